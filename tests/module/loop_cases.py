"""Cases of modules: loops, files, buckets, chains, monitors and FeedForward."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.module.looking import (
    Found,
    arrays,
    batch_of,
    bound,
    case,
    caught,
    draw,
    iterator,
    logged,
    mlp,
    normalized,
    numpy_of,
    raised,
    start,
    two,
    warned,
)

# -- loops ------------------------------------------------------------------------------------------------------


@case
def predictions(mx: Any) -> Found:
    module = bound(mx, bind={"for_training": False})
    it = iterator(mx)
    facts: dict[str, Any] = {
        "merged": list(module.predict(it).shape),
        "list": [[list(out.shape) for out in outs] for outs in module.predict(it, merge_batches=False)],
        "always": [list(out.shape) for out in module.predict(it, always_output_list=True)],
        "one batch": list(module.predict(it, num_batch=1).shape),
        "left": [list(module.predict(it, num_batch=1).shape), list(module.predict(it, reset=False).shape)],
        "numbers": [[list(out[0].shape), i, batch.pad] for out, i, batch in module.iter_predict(it)],
        "nothing": module.predict(it, reset=False),
        "not an iterator": raised(lambda: module.predict([batch_of(mx)])),
    }
    found = {"merged": module.predict(it).asnumpy()}
    found["numpy"] = module.predict(draw((4, 3), 2)).asnumpy()
    found["array"] = module.predict(mx.nd.array(draw((4, 3), 2))).asnumpy()
    return facts, found


@case
def scores(mx: Any) -> Found:
    module = bound(mx)
    it, seen, metric = iterator(mx), [], mx.metric.Accuracy()

    def at_batch(param: Any) -> None:
        seen.append(
            [param.epoch, param.nbatch, sorted(set(param.locals) & {"self", "eval_data", "eval_batch", "nbatch"})]
        )

    def at_end(param: Any) -> None:
        seen.append([param.epoch, param.nbatch, "actual_num_batch" in param.locals])

    values = module.score(it, metric, batch_end_callback=at_batch, score_end_callback=[at_end], epoch=7)
    facts = {"count": metric.num_inst, "names": [name for name, _ in values], "seen": seen}
    facts["limited"] = [module.score(it, metric, num_batch=2), metric.num_inst][1]
    several = module.score(it, ["acc", "ce"])
    facts["several"] = [name for name, _ in several]
    return facts, {"values": np.array([value for _, value in [*values, *several]])}


@case
def fit_lines(mx: Any) -> Found:
    it, other = iterator(mx), iterator(mx, 6, 4)
    values = start(mlp(mx), data=(4, 3), softmax_label=(4,))
    module = mx.mod.Module(mlp(mx))

    def run() -> None:
        module.fit(
            it, eval_data=other, eval_metric=["acc", "mae"], num_epoch=3, arg_params=arrays(mx, values), aux_params={},
            optimizer_params=(("learning_rate", 0.5),), validation_metric="acc",
        )  # fmt: skip

    facts = {"lines": logged(run), "again": logged(lambda: module.fit(it, begin_epoch=3, num_epoch=4))}
    return facts, numpy_of(module.get_params()[0])


@case
def fit_callbacks(mx: Any) -> Found:
    seen: list = []
    locals_seen: set = set()

    def at_batch(param: Any) -> None:
        locals_seen.update(param.locals)
        seen.append([type(param).__name__, param.epoch, param.nbatch, param.eval_metric.num_inst])

    def at_epoch(epoch: int, symbol: Any, arg_params: dict, aux_params: dict) -> None:
        seen.append(["epoch", epoch, type(symbol).__name__, sorted(arg_params), sorted(aux_params)])

    def at_end(param: Any) -> None:
        seen.append(["end", param.epoch, param.nbatch])

    def run() -> None:
        mx.mod.Module(mlp(mx)).fit(
            iterator(mx), eval_data=iterator(mx, 6), num_epoch=2, begin_epoch=1, initializer=mx.init.One(),
            batch_end_callback=[at_batch, mx.callback.log_train_metric(2)], epoch_end_callback=at_epoch,
            eval_end_callback=at_end, eval_batch_end_callback=lambda param: seen.append(["eval", param.nbatch]),
        )  # fmt: skip

    lines = logged(run)
    wanted = {"self", "train_data", "eval_data", "eval_metric", "epoch", "nbatch", "data_batch", "next_data_batch"}
    wanted |= {"data_iter", "end_of_batch", "tic", "monitor", "optimizer", "kvstore", "validation_metric"}
    return {"seen": seen, "lines": lines, "locals": sorted(locals_seen & wanted)}, {}


@case
def optimizers(mx: Any) -> Found:
    facts, found = {}, {}
    for name, options in {"sgd": {"momentum": 0.9, "wd": 0.01}, "adam": {}, "rmsprop": {}, "adagrad": {}}.items():
        module = bound(mx)
        module.init_optimizer(optimizer=name, optimizer_params=dict(options, learning_rate=0.05))
        for step in range(4):
            module.forward_backward(batch_of(mx, 4, step))
            module.update()
        found.update(numpy_of(module.get_params()[0], name + "/"))
        made = module._optimizer
        facts[name] = [made.rescale_grad, made.num_update, made.wd_mult, module._updater is not None]
    module = bound(mx)
    own = mx.optimizer.SGD(learning_rate=1.0)
    facts["warning"] = warned(lambda: module.init_optimizer(optimizer=own))
    facts["names"] = {str(key): value for key, value in own.idx2name.items()}
    module.init_optimizer(optimizer_params={"rescale_grad": 2.0}, force_init=True)
    facts["rescale"] = module._optimizer.rescale_grad
    return facts, found


@case
def fixed_and_multiplied(mx: Any) -> Found:
    variable = mx.sym.Variable
    net = mx.sym.FullyConnected(variable("data"), variable("w", lr_mult=0.5), num_hidden=4, name="fc1")
    net = mx.sym.FullyConnected(net, num_hidden=3, name="fc2")
    net = mx.sym.SoftmaxOutput(net, name="softmax")
    module = mx.mod.Module(net, fixed_param_names=["fc2_bias"])
    module.bind([("data", (4, 3))], [("softmax_label", (4,))])
    module.init_params(arg_params=arrays(mx, start(net, data=(4, 3), softmax_label=(4,))), aux_params={})
    module.init_optimizer(optimizer_params={"learning_rate": 0.5, "wd": 0.1})
    module.forward_backward(batch_of(mx))
    module.update()
    facts = {"lr_mult": module._optimizer.lr_mult, "wd_mult": module._optimizer.wd_mult}
    return facts, numpy_of(module.get_params()[0])


@case
def swapped_gradients(mx: Any) -> Found:
    module = bound(mx)
    module.init_optimizer(optimizer_params={"learning_rate": 1.0})
    module.forward_backward(batch_of(mx))
    for block in module._exec_group.grad_arrays:
        block[0] = mx.nd.ones(block[0].shape) * 4
    module.update()
    return {}, numpy_of(module.get_params()[0])


@case
def auxiliary(mx: Any) -> Found:
    net = normalized(mx)
    module = mx.mod.Module(net, context=two(mx))
    module.bind([("data", (4, 1, 6, 6))], [("softmax_label", (4,))])
    params = start(net, data=(4, 1, 6, 6), softmax_label=(4,))
    module.init_params(mx.init.One(), arrays(mx, params))
    module.init_optimizer(optimizer_params={"learning_rate": 0.1})
    for step in range(3):
        label = mx.nd.array(np.arange(4) % 2)
        module.forward_backward(mx.io.DataBatch([mx.nd.array(draw((4, 1, 6, 6), step))], [label]))
        module.update()
    mx.nd.waitall()
    arg, aux = module.get_params()
    return {"names": sorted(aux)}, dict(numpy_of(arg), **numpy_of(aux))


# -- files ------------------------------------------------------------------------------------------------------


@case
def checkpoints(mx: Any) -> Found:
    with tempfile.TemporaryDirectory() as folder:
        prefix = os.path.join(folder, "net")
        module = bound(mx)
        module.init_optimizer(optimizer_params={"learning_rate": 0.5, "momentum": 0.9})

        def step(one: Any, seed: int) -> None:
            one.forward_backward(batch_of(mx, 4, seed))
            one.update()

        step(module, 1)
        lines = logged(lambda: module.save_checkpoint(prefix, 3, save_optimizer_states=True))
        lines += logged(lambda: mx.model.save_checkpoint(prefix, 4, module.symbol, *module.get_params()))
        lines += logged(lambda: mx.callback.module_checkpoint(module, prefix, 2)(1))
        facts = {"lines": [line.replace(folder, "DIR") for line in lines], "files": sorted(os.listdir(folder))}
        facts["names"] = sorted(mx.nd.load(prefix + "-0003.params"))
        step(module, 2)
        found = numpy_of(module.get_params()[0])
        loaded = mx.mod.Module.load(prefix, 3, load_optimizer_states=True)
        loaded.bind([("data", (4, 3))], [("softmax_label", (4,))])
        loaded.init_optimizer(optimizer_params={"learning_rate": 0.5, "momentum": 0.9})
        step(loaded, 2)
        found.update(numpy_of(loaded.get_params()[0], "loaded/"))
        symbol, arg, aux = mx.model.load_checkpoint(prefix, 4)
        facts["loaded"] = [symbol.list_arguments(), sorted(arg), sorted(aux)]
        loaded.save_params(prefix + ".params")
        loaded.load_params(prefix + ".params")
        mx.nd.save(prefix + ".other", {"x": mx.nd.ones((1,))})
        mx.nd.save(prefix + ".kind", {"x:y": mx.nd.ones((1,))})
        facts["bad"] = [caught(lambda: loaded.load_params(prefix + end), ValueError) for end in (".other", ".kind")]  # noqa: B023
    return facts, found


# -- buckets ----------------------------------------------------------------------------------------------------


def bucket_symbols(mx: Any) -> Callable:
    def sym_gen(length: int) -> tuple:
        net = mx.sym.Embedding(mx.sym.Variable("data"), input_dim=6, output_dim=3, name="embed")
        net = mx.sym.mean(mx.sym.Reshape(net, shape=(-1, length, 3)), axis=1)
        net = mx.sym.FullyConnected(net, num_hidden=3, name="fc")
        return mx.sym.SoftmaxOutput(net, name="softmax"), ("data",), ("softmax_label",)

    return sym_gen


def bucket_batch(mx: Any, length: int, seed: int, rows: int = 4) -> Any:
    data = np.random.RandomState(seed).randint(0, 6, (rows, length))
    return mx.io.DataBatch(
        [mx.nd.array(data)], [mx.nd.array(np.arange(rows) % 3)], bucket_key=length, pad=0,
        provide_data=[mx.io.DataDesc("data", (rows, length))], provide_label=[mx.io.DataDesc("softmax_label", (rows,))],
    )  # fmt: skip


def bucketing(mx: Any, **options: Any) -> Any:
    module = mx.mod.BucketingModule(bucket_symbols(mx), default_bucket_key=5, **options)
    module.bind([("data", (4, 5))], [("softmax_label", (4,))])
    params = start(bucket_symbols(mx)(5)[0], data=(4, 5), softmax_label=(4,))
    module.init_params(arg_params=arrays(mx, params), aux_params={})
    return module


@case
def buckets(mx: Any) -> Found:
    module = bucketing(mx)
    names = [module.data_names, module.output_names]
    module.init_optimizer(optimizer_params={"learning_rate": 0.5, "momentum": 0.9})
    found, facts = {}, {"names": names}
    for step, length in enumerate([5, 3, 3, 2, 5, 4, 3]):
        batch = bucket_batch(mx, length, step)
        module.prepare(bucket_batch(mx, 2, 0))
        module.forward_backward(batch)
        module.update()
        found["output%d" % step] = module.get_outputs()[0].asnumpy()  # noqa: UP031
        facts["shapes%d" % step] = [list(x.shape) for x in module.data_shapes]  # noqa: UP031
    metric = mx.metric.Accuracy()
    module.update_metric(metric, batch.label)
    facts["count"] = metric.num_inst
    facts["buckets"] = sorted(module._buckets)
    facts["current"] = [
        module._curr_bucket_key,
        module._curr_module is module._buckets[3],
        module.symbol.list_outputs(),
    ]
    first, third = (module._buckets[key]._exec_group.execs[0] for key in (5, 3))
    first.arg_dict["fc_bias"][:] = 8
    facts["shared"] = bool((third.arg_dict["fc_bias"].asnumpy() == 8).all())
    facts["shared gradients"] = bool(
        (third.grad_dict["fc_bias"].asnumpy() == first.grad_dict["fc_bias"].asnumpy()).all()
    )
    found.update(numpy_of(bucketing(mx).get_params()[0], "start/"))
    return facts, found


@case
def bucket_lines(mx: Any) -> Found:
    module = bucketing(mx)

    class Batches:
        batch_size = 4
        provide_data = [mx.io.DataDesc("data", (4, 5))]
        provide_label = [mx.io.DataDesc("softmax_label", (4,))]

        def __iter__(self) -> Any:
            return iter([bucket_batch(mx, length, length) for length in (5, 3, 2)])

        def reset(self) -> None:
            pass

    def run() -> None:
        module.fit(Batches(), num_epoch=2, optimizer_params={"learning_rate": 0.1})
        module.init_optimizer()
        module.bind([("data", (4, 5))])

    facts = {
        "lines": logged(run),
        "warnings": warned(lambda: module.set_params({}, {}, allow_missing=True, force_init=False)),
        "silent": warned(lambda: module.init_params()),
        "no key": raised(lambda: mx.mod.BucketingModule(bucket_symbols(mx))),
        "unbound": raised(lambda: mx.mod.BucketingModule(bucket_symbols(mx), 5).switch_bucket(3, None)),
    }
    return facts, numpy_of(module.get_params()[0])


@case
def bucket_files(mx: Any) -> Found:
    with tempfile.TemporaryDirectory() as folder:
        prefix = os.path.join(folder, "net")
        module = bucketing(mx)
        module.forward(bucket_batch(mx, 3, 1), is_train=False)
        lines = logged(lambda: module.save_checkpoint(prefix, 2))
        facts = {"files": sorted(os.listdir(folder)), "lines": lines}
        loaded = mx.mod.BucketingModule.load(prefix, 2, bucket_symbols(mx), 5)
        arg, aux = mx.model.load_params(prefix, 2)
        symbols = {key: bucket_symbols(mx)(key)[0] for key in (5, 3)}
        given = mx.mod.BucketingModule.load_dict(symbols, bucket_symbols(mx), 5, arg_params=arg, aux_params=aux)
    found = {"saved": module.get_outputs()[0].asnumpy()}
    for name, one in (("loaded", loaded), ("given", given)):
        one.bind([("data", (4, 5))], [("softmax_label", (4,))], for_training=False)
        one.forward(bucket_batch(mx, 3, 1), is_train=False)
        found[name] = one.get_outputs()[0].asnumpy()
        facts[name] = sorted(int(key) for key in one._buckets)
    return facts, found


# -- chains and Python modules ----------------------------------------------------------------------------------


@case
def chain(mx: Any) -> Found:
    first = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=3, name="first")
    net = mx.mod.SequentialModule()
    net.add(mx.mod.Module(first, label_names=[])).add(mx.mod.Module(mlp(mx)), take_labels=True, auto_wiring=True)
    facts: dict[str, Any] = {"option": raised(lambda: mx.mod.SequentialModule().add(None, wiring=True))}
    net.bind([("data", (4, 3))], [("softmax_label", (4,))], inputs_need_grad=True)
    params = start(first, data=(4, 3))
    params.update(start(mlp(mx), data=(4, 3), softmax_label=(4,)))
    net.init_params(arg_params=arrays(mx, params), aux_params={})
    lines = logged(lambda: (net.init_optimizer(), net.init_optimizer(), net.bind([("data", (4, 3))])))
    for step in range(2):
        net.forward_backward(batch_of(mx, 4, step))
        net.update()
    facts.update(lines=lines, outputs=net.output_names, data=net.data_names, shapes=[list(net.output_shapes[0][1])])
    facts["labels"] = [list(shape) for _, shape in net.label_shapes]
    facts["fit"] = logged(lambda: net.fit(iterator(mx), num_epoch=1))
    twice = mx.mod.SequentialModule()
    for _ in range(2):
        twice.add(mx.mod.Module(first, label_names=[]), auto_wiring=True)
    twice.bind([("data", (4, 3))])
    facts["twice"] = raised(lambda: twice.init_params())
    facts["empty"] = raised(lambda: mx.mod.SequentialModule().bind([("data", (4, 3))]))
    found = numpy_of(net.get_params()[0])
    found["input grad"] = net._modules[0].get_input_grads()[0].asnumpy()
    return facts, found


@case
def python_loss(mx: Any) -> Found:
    first = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=3, name="first")
    loss = mx.mod.PythonLossModule(grad_func=lambda scores, labels: scores - mx.nd.one_hot(labels, 3))
    net = mx.mod.SequentialModule()
    net.add(mx.mod.Module(first, label_names=None)).add(loss, take_labels=True, auto_wiring=True)
    net.bind([("data", (4, 3))], [("softmax_label", (4,))])
    net.init_params(arg_params=arrays(mx, start(first, data=(4, 3))), aux_params={})
    net.init_optimizer(optimizer_params={"learning_rate": 0.5})
    for step in range(3):
        net.forward_backward(batch_of(mx, 4, step))
        net.update()
    metric = mx.metric.Accuracy()
    net.update_metric(metric, batch_of(mx).label)
    facts = {
        "names": [loss.data_names, loss.output_names, list(loss.output_shapes[0])],
        "bound": [loss.binded, loss.params_initialized, loss.optimizer_initialized],
        "params": [len(part) for part in loss.get_params()],
        "monitor": raised(lambda: loss.install_monitor(None)),
        "heads": raised(lambda: loss.backward([mx.nd.ones((4, 3))])),
        "no function": raised(lambda: _no_function(mx)),
        "sliced": raised(lambda: loss.update_metric(metric, [], pre_sliced=True)),
        "count": metric.num_inst,
        "bind names": raised(lambda: mx.mod.PythonLossModule().bind([("x", (4, 3))])),
        "bind add": raised(lambda: mx.mod.PythonLossModule().bind([("data", (4, 3))], grad_req="add")),
    }
    facts["names"][2][1] = list(facts["names"][2][1])
    found = numpy_of(net.get_params()[0])
    found["grad"] = loss.get_input_grads()[0].asnumpy()
    return facts, found


def _no_function(mx: Any) -> None:
    loss = mx.mod.PythonLossModule()
    loss.bind([("data", (4, 3))], [("softmax_label", (4,))])
    loss.forward(batch_of(mx), is_train=True)
    loss.backward()


# -- monitors ---------------------------------------------------------------------------------------------------


@case
def monitored(mx: Any) -> Found:
    monitor = mx.mon.Monitor(1, stat_func=lambda x: mx.nd.norm(x), pattern="fc.*|softmax.*")
    module = bound(mx)
    module.install_monitor(monitor)
    monitor.tic()
    module.forward(batch_of(mx), is_train=False)
    rows = monitor.toc()
    return {"names": [[step, name] for step, name, _ in rows]}, {
        "values": np.array([float(text) for _, _, text in rows])
    }


# -- FeedForward ------------------------------------------------------------------------------------------------


def feed_forward(mx: Any, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        params = arrays(mx, start(mlp(mx), data=(4, 3), softmax_label=(4,)))
        settings: dict[str, Any] = dict({"num_epoch": 2, "learning_rate": 0.5, "numpy_batch_size": 4}, **options)
        return mx.model.FeedForward(mlp(mx), arg_params=params, aux_params={}, **settings)


@case
def estimator(mx: Any) -> Found:
    facts, found = {}, {}
    for name, options in {
        "one": {},
        "two": {"ctx": two(mx)},
        "size": {"epoch_size": 5},
        "adam": {"optimizer": "adam"},
    }.items():
        model = feed_forward(mx, **options)
        seen: list = []
        facts[name] = logged(
            lambda: model.fit(  # noqa: B023
                iterator(mx, 8),
                eval_data=iterator(mx, 8),
                eval_metric="acc",  # noqa: B023
                batch_end_callback=lambda param: seen.append(param.nbatch),  # noqa: B023
                epoch_end_callback=[lambda *args: seen.append(args[0])],  # noqa: B023
            )  # fmt: skip
        )
        facts[name + " seen"] = seen
        found.update(numpy_of(model.arg_params, name + "/"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found["predict"] = model.predict(iterator(mx))
        found["array"] = model.predict(draw((5, 3)))
        outputs, data, label = model.predict(iterator(mx), num_batch=2, return_data=True)
        facts["data"] = [list(x.shape) for x in (outputs, data, label)]
        found["score"] = np.array(model.score(iterator(mx)))
    return facts, found


@case
def estimator_inputs(mx: Any) -> Found:
    x, y = draw((5, 3)), np.arange(5) % 3
    found = {}
    model = feed_forward(mx)
    facts: dict[str, Any] = {
        "no labels": raised(lambda: model.fit(x)),
        "lists": raised(lambda: model.fit([1], y)),
        "labels": raised(lambda: model.fit(x, [1])),
        "lengths": raised(lambda: model.fit(x, y[:3])),
        "label axes": raised(lambda: model.fit(x, np.ones((5, 2)))),
        "eval": raised(lambda: model.fit(x, y, eval_data=3)),
        "eval none": raised(lambda: model.fit(x, y, eval_data=(None, y))),
        "save": raised(lambda: feed_forward(mx, num_epoch=None).save("x")),
        "symbol": raised(lambda: mx.model.FeedForward(3)),
        "is data": [mx.model.FeedForward._is_data_arg(name) for name in ("data", "my_label", "weight")],
    }
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        mx.model.FeedForward(mlp(mx))
    facts["warning"] = [str(one.message) for one in caught if "FeedForward" in str(one.message)]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        prefix = os.path.join(folder, "net")
        lines = logged(lambda: model.save(prefix))
        facts["lines"] = [line.replace(folder, "DIR") for line in lines]
        loaded = mx.model.FeedForward.load(prefix, 2)
        facts["loaded"] = [loaded.begin_epoch, sorted(loaded.arg_params)]
        found["loaded"] = loaded.predict(x)
    return facts, found
