"""Cases of modules: set-up, running, updating."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from tests.module.looking import (
    Found,
    arrays,
    batch_of,
    bound,
    case,
    draw,
    iterator,
    logged,
    mlp,
    numpy_of,
    raised,
    start,
    two,
    warned,
)

# -- set-up -----------------------------------------------------------------------------------------------------


@case
def wrong_names(mx: Any) -> Found:
    data = [("data", (4, 3))]

    def label(names: Any, shapes: Any) -> list[str]:
        return warned(lambda: mx.mod.Module(mlp(mx), label_names=names).bind(data, shapes))

    return {
        "data": raised(lambda: mx.mod.Module(mlp(mx), data_names=["x"])),
        "state": raised(lambda: mx.mod.Module(mlp(mx), state_names=["x"])),
        "fixed": raised(lambda: mx.mod.Module(mlp(mx), fixed_param_names=["x"])),
        "label": warned(lambda: mx.mod.Module(mlp(mx), label_names=["y"])),
        "bind data": raised(lambda: mx.mod.Module(mlp(mx)).bind([("x", (4, 3))])),
        "bind no label": label(("softmax_label",), None),
        "bind other label": raised(lambda: mx.mod.Module(mlp(mx)).bind(data, [("y", (4,))])),
        "none": label(None, None),
        "work loads": raised(lambda: mx.mod.Module(mlp(mx), work_load_list=[1, 2])),
    }, {}


@case
def set_up_order(mx: Any) -> Found:
    module = mx.mod.Module(mlp(mx))
    done, no_grad = bound(mx), bound(mx, bind={"for_training": False})
    no_grad.forward(batch_of(mx))
    steps = {
        "get_params": lambda: module.get_params(),
        "init_params": lambda: module.init_params(),
        "forward": lambda: module.forward(batch_of(mx)),
        "data_shapes": lambda: module.data_shapes,
        "label_shapes": lambda: module.label_shapes,
        "output_shapes": lambda: module.output_shapes,
        "reshape": lambda: module.reshape([("data", (2, 3))]),
        "init_optimizer": lambda: module.init_optimizer(),
        "update": lambda: done.update(),
        "input gradients": lambda: done.get_input_grads(),
        "states": lambda: done.get_states(),
        "set_states": lambda: done.set_states(),
        "set both": lambda: done.set_states(states=[], value=1),
        "backward of inference": lambda: no_grad.backward(),
        "gradients of inference": lambda: mx.mod.Module(mlp(mx)).bind(
            [("data", (4, 3))], [("softmax_label", (4,))], for_training=False, inputs_need_grad=True
        ),
        "save states": lambda: done.save_optimizer_states("x"),
        "optimizer": lambda: bound(mx).init_optimizer(optimizer=3),
        "kvstore": lambda: bound(mx).init_optimizer(kvstore=3),
        "fit without epochs": lambda: bound(mx).fit(iterator(mx)),
    }
    return {name: raised(step) for name, step in steps.items()}, {}


@case
def second_calls(mx: Any) -> Found:
    module = bound(mx)
    again = [("data", (4, 3))], [("softmax_label", (4,))]
    facts = {
        "bind": logged(lambda: module.bind(*again)),
        "init_params": warned(lambda: module.init_params()),
        "set_params": warned(lambda: module.set_params({}, {}, allow_missing=True, force_init=False)),
        "set_params all": warned(lambda: module.set_params({}, {}, force_init=False)),
        "init_optimizer": logged(lambda: (module.init_optimizer(), module.init_optimizer())),
    }
    return facts, numpy_of(module.get_params()[0])


@case
def own_logger(mx: Any) -> Found:
    logger = logging.getLogger("own")
    module = bound(mx, logger=logger)

    def run() -> None:
        module.bind([("data", (4, 3))])
        module.fit(iterator(mx, 8), num_epoch=1)

    return {"lines": logged(run, logger)}, {}


@case
def parameters(mx: Any) -> Found:
    module = bound(mx)
    own, aux = module.get_params()
    fill = mx.nd.ones((1,))
    before = numpy_of(own)
    facts = {
        "names": [sorted(own), sorted(aux)],
        "missing": raised(lambda: module.set_params({"fc1_bias": mx.nd.ones((4,))}, {})),
        "extra": raised(lambda: module.set_params(dict(own, zz=fill), {})),
        "extra with missing": raised(lambda: module.set_params({"zz": fill}, {}, allow_missing=True)),
        "extra allowed": raised(lambda: module.set_params({"zz": fill}, {}, allow_missing=True, allow_extra=True)),
        "shape": raised(lambda: module.set_params({"fc1_bias": mx.nd.ones((3,))}, {}, allow_missing=True)),
        "init shape": raised(
            lambda: module.init_params(arg_params={"fc1_bias": mx.nd.ones((3,))}, allow_missing=True, force_init=True)
        ),
    }
    module = bound(mx)
    own["fc1_bias"][:] = 9  # the module's own copies
    module.set_params({"fc2_bias": mx.nd.ones((3,)) * 5}, {}, allow_missing=True)
    found = dict(before, **numpy_of(module.get_params()[0], "set/"))
    module.init_params(mx.init.One(), {"fc1_weight": mx.nd.ones((4, 3)) * 3}, {}, allow_missing=True, force_init=True)
    found.update(numpy_of(module.get_params()[0], "init/"))
    return facts, found


@case
def group_insides(mx: Any) -> Found:
    module = bound(mx, bind={"inputs_need_grad": True}, fixed_param_names=["fc1_weight"])
    group = module._exec_group
    module.forward_backward(batch_of(mx))

    def shapes(blocks: Any) -> list:
        return [[None if array is None else list(array.shape) for array in block] for block in blocks]

    def parts(blocks: Any) -> list:
        return [[[part.start, part.stop, list(array.shape)] for part, array in block] for block in blocks]

    return {
        "requests": group.grad_req,
        "data": parts(group.data_arrays),
        "label": parts(group.label_arrays),
        "params": shapes(group.param_arrays),
        "grads": shapes(group.grad_arrays),
        "input grads": shapes(group.input_grad_arrays),
        "aux": shapes(group.aux_arrays),
        "states": shapes(group.state_arrays),
        "names": [group.param_names, group.arg_names, group.aux_names, group.data_names, group.label_names],
        "layouts": [group.data_layouts, group.label_layouts, group.output_layouts],
        "batch": [group.batch_size, [[s.start, s.stop] for s in group.slices]],
        "shared": sorted(set(group.shared_data_arrays[0]) & {"data", "softmax_label"}),
        "outputs": [group.output_names, group.num_outputs, [list(x[1]) for x in group.get_output_shapes()]],
        "inference": bound(mx, bind={"for_training": False})._exec_group.grad_arrays,
    }, {"input grad": module.get_input_grads()[0].asnumpy()}


@case
def requests(mx: Any) -> Found:
    facts: dict[str, Any] = {}
    for name, request in {
        "add": "add",
        "null": "null",
        "dict": {"fc1_weight": "add", "data": "write"},
        "list": ["null", "write", "write", "add", "write", "null"],
    }.items():
        module = bound(mx, bind={"grad_req": request})
        facts[name] = module._exec_group.grad_req
    facts["bad"] = raised(lambda: bound(mx, bind={"grad_req": 3}))
    facts["short"] = raised(lambda: bound(mx, bind={"grad_req": ["write"]}))
    module = bound(mx, bind={"grad_req": "add"})
    for _ in range(3):
        module.forward_backward(batch_of(mx))
    names = module._exec_group.param_names
    return facts, {name: block[0].asnumpy() for name, block in zip(names, module._exec_group.grad_arrays)}


# -- running ----------------------------------------------------------------------------------------------------


@case
def other_shapes(mx: Any) -> Found:
    module = bound(mx)
    module.init_optimizer(optimizer_params={"learning_rate": 0.5})
    found, facts = {}, {}
    for step, rows in enumerate([4, 2, 4, 7, 7, 2, 4]):
        module.forward_backward(batch_of(mx, rows, step))
        module.update()
        found["output%d" % step] = module.get_outputs()[0].asnumpy()  # noqa: UP031
        facts["shapes%d" % step] = [list(module.data_shapes[0].shape), list(module.output_shapes[0][1])]  # noqa: UP031
    found.update(numpy_of(module.get_params()[0]))
    ones = mx.nd.ones

    def forward(data: Any, label: Any = None) -> str:
        return raised(lambda: bound(mx).forward(mx.io.DataBatch(data, label)))

    facts["features"] = forward([ones((4, 5))], [ones((4,))])
    facts["rows without label"] = forward([ones((5, 3))])
    facts["no label"] = forward([ones((4, 3))])
    facts["label rows"] = forward([ones((4, 3))], [ones((3,))])
    facts["label axes"] = forward([ones((4, 3))], [ones((4, 1))])
    facts["no data"] = forward([])
    facts["more data"] = forward([ones((4, 3)), ones((4, 3))], [ones((4,))])
    return facts, found


@case
def described_batch(mx: Any) -> Found:
    module = bound(mx)
    data, label = mx.nd.array(draw((6, 3))), mx.nd.array(np.arange(6) % 3)
    describe = {"provide_data": [("data", (6, 3))], "provide_label": [("softmax_label", (6,))]}
    module.forward(mx.io.DataBatch([data], [label], **describe), is_train=False)
    return {"shape": list(module.data_shapes[0].shape)}, {"output": module.get_outputs()[0].asnumpy()}


@case
def several_devices(mx: Any) -> Found:
    found: dict[str, np.ndarray] = {}
    facts: dict[str, Any] = {}
    for name, loads, kvstore in (("even", None, "local"), ("uneven", [1, 3], "device"), ("no store", None, None)):
        module = bound(mx, 8, context=two(mx), work_load_list=loads)
        module.init_optimizer(kvstore, optimizer_params={"learning_rate": 0.5, "momentum": 0.9})
        for step in range(3):
            module.forward_backward(batch_of(mx, 8, step))
            module.update()
        parts = module.get_outputs(merge_multi_context=False)[0]
        facts[name] = [
            [[s.start, s.stop] for s in module._exec_group.slices],
            [list(part.shape) for part in parts],
            None if module._kvstore is None else module._kvstore.type,
            module._update_on_kvstore,
            module._optimizer.rescale_grad,
            {str(key): value for key, value in module._optimizer.idx2name.items()},
        ]
        found[name] = module.get_outputs()[0].asnumpy()
        found.update(numpy_of(module.get_params()[0], name + "/"))
    split = mx.executor_manager._split_input_slice
    for rows, loads in ((10, [1, 1, 1]), (10, [1, 2]), (5, [3, 1]), (3, [1.5, 1.5]), (7, [1, 1])):
        facts["%d %s" % (rows, loads)] = [[s.start, s.stop] for s in split(rows, loads)]  # noqa: UP031
    facts["too few rows"] = raised(lambda: split(2, [1, 1, 1]))
    return facts, found


@case
def batch_for_each_device(mx: Any) -> Found:
    module = bound(mx, 8, context=two(mx))
    parts = [batch_of(mx, 4, seed) for seed in (1, 2)]
    metric = mx.metric.Accuracy()
    module.forward(parts, is_train=True)
    module.update_metric(metric, [part.label for part in parts], pre_sliced=True)
    facts = {"count": metric.num_inst}
    facts["shapes"] = raised(lambda: module.forward([batch_of(mx, 4), batch_of(mx, 3)]))
    return facts, {"output": module.get_outputs()[0].asnumpy(), "metric": np.array(metric.get()[1])}


@case
def head_gradients(mx: Any) -> Found:
    def module(contexts: Any) -> Any:
        net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=2, name="fc")
        made = mx.mod.Module(net, label_names=None, context=contexts)
        made.bind([("data", (4, 3))], inputs_need_grad=True)
        made.init_params(arg_params=arrays(mx, start(net, data=(4, 3))), aux_params={})
        made.forward(mx.io.DataBatch([mx.nd.array(draw((4, 3)))]), is_train=True)
        made.backward([mx.nd.array(draw((4, 2), 5))])
        return made

    one, both = module(mx.cpu()), module(two(mx))
    found = {"one": one.get_input_grads()[0].asnumpy(), "both": both.get_input_grads()[0].asnumpy()}
    return {"parts": [list(x.shape) for x in both.get_input_grads(merge_multi_context=False)[0]]}, found


@case
def states(mx: Any) -> Found:
    state = mx.sym.Variable("state", shape=(4, 3))
    net = mx.sym.FullyConnected(mx.sym.Variable("data") + state, num_hidden=2, name="fc")
    module = mx.mod.Module(net, label_names=None, state_names=["state"])
    module.bind([("data", (4, 3))])
    module.init_params(arg_params=arrays(mx, start(net, data=(4, 3), state=(4, 3))), aux_params={})
    batch = mx.io.DataBatch([mx.nd.array(draw((4, 3)))])
    found = {}
    module.set_states(value=2)
    module.forward(batch)
    found["two"] = module.get_outputs()[0].asnumpy()
    module.set_states(states=[[mx.nd.array(draw((4, 3), 7))]])
    module.forward(batch)
    found["given"] = module.get_outputs()[0].asnumpy()
    found["state"] = module.get_states(merge_multi_context=False)[0][0].asnumpy()
    return {"params": sorted(module.get_params()[0])}, found


@case
def layouts(mx: Any) -> Found:
    desc = mx.io.DataDesc
    net = mx.sym.SwapAxis(mx.sym.Variable("data"), dim1=0, dim2=1)
    net = mx.sym.FullyConnected(net, num_hidden=2, name="fc")
    net = mx.sym.LinearRegressionOutput(net, mx.sym.Variable("label"), name="out")
    module = mx.mod.Module(net, label_names=["label"], context=two(mx))
    module.bind([desc("data", (3, 4, 2), layout="TNC")], [desc("label", (4, 2), layout="NC")])
    module.init_params(arg_params=arrays(mx, start(net, data=(3, 4, 2), label=(4, 2))), aux_params={})
    batch = mx.io.DataBatch([mx.nd.array(draw((3, 4, 2)))], [mx.nd.array(draw((4, 2)))])
    metric = mx.metric.MSE()
    module.forward_backward(batch)
    module.update_metric(metric, batch.label)
    grads = [block[0].asnumpy() for block in module._exec_group.grad_arrays]
    facts = {"layouts": [module._exec_group.data_layouts, module._exec_group.label_layouts]}
    return facts, {"output": module.get_outputs()[0].asnumpy(), "weight": grads[0], "bias": grads[1]}


@case
def types(mx: Any) -> Found:
    desc = mx.io.DataDesc
    module = mx.mod.Module(mlp(mx))
    module.bind([desc("data", (4, 3), "float64")], [desc("softmax_label", (4,), "float64")])
    params = start(mlp(mx), data=(4, 3), softmax_label=(4,))
    module.init_params(arg_params=arrays(mx, params), aux_params={})
    module.init_optimizer(optimizer_params={"learning_rate": 0.5})
    module.forward_backward(batch_of(mx))
    module.update()
    group = module._exec_group
    facts = {
        "params": sorted({array.dtype.__name__ for array in module.get_params()[0].values()}),
        "grads": sorted({block[0].dtype.__name__ for block in group.grad_arrays}),
        "output": module.get_outputs()[0].dtype.__name__,
    }
    return facts, numpy_of(module.get_params()[0])
