"""The behaviours that the architecture rests on; each is a rule that would cost a rewrite if it came late."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest

import mxcompat as mx
from mxcompat.base import MXNetError
from mxcompat.graph import compile as policy

sym, nd, V = mx.sym, mx.nd, mx.sym.Variable
CPU = mx.cpu()
DATA = np.array([[1.0, 10.0], [3.0, 20.0]], "float32")


def batch_norm(requests: dict[str, str], head: Any = None, **params: Any) -> Any:
    net = sym.BatchNorm(V("d"), V("g"), V("b"), name="bn", **params)
    net = head(net) if head else net
    args = {"d": nd.array(DATA), "g": nd.array([2, 2]), "b": nd.array([0, 0])}
    grads = {key: nd.zeros(args[key].shape) for key in requests}
    return net.bind(CPU, args, args_grad=grads, grad_req=requests, aux_states=[nd.zeros((2,)), nd.ones((2,))])


ALL = {"d": "write", "g": "write", "b": "write"}


def moving_mean(ex: Any) -> list[float]:
    return [round(float(x), 4) for x in ex.aux_arrays[0].asnumpy()]


def test_rule_1_auxiliary_states_move_in_backward() -> None:
    ex = batch_norm(ALL)
    ex.forward(is_train=True)
    ex.forward(is_train=True)
    assert moving_mean(ex) == [0, 0]
    ex.backward(nd.ones((2, 2)))
    assert moving_mean(ex) == [0.2, 1.5]
    ex.backward(nd.ones((2, 2)))
    assert moving_mean(ex) == [0.38, 2.85]
    stopped = batch_norm(ALL, head=sym.BlockGrad)
    stopped.forward(is_train=True)
    stopped.backward()
    assert moving_mean(stopped) == [0, 0]
    unbound = batch_norm({})
    unbound.forward(is_train=True)
    unbound.backward(nd.ones((2, 2)))
    assert moving_mean(unbound) == [0, 0]


def test_rule_1_shared_auxiliary_states_move_in_reverse_graph_order() -> None:
    mean, var, gamma, beta = V("m"), V("v"), V("g"), V("b")
    first = sym.BatchNorm(V("x"), gamma, beta, mean, var, momentum=0.5)
    second = sym.BatchNorm(V("y"), gamma, beta, mean, var, momentum=0.5)
    net = sym.Group([first, second])
    ex = net.simple_bind(CPU, x=(2, 1), y=(2, 1))
    ex.arg_dict["x"][:], ex.arg_dict["y"][:] = 8, 16
    ex.forward(is_train=True)
    ex.backward([nd.ones((2, 1))] * 2)
    assert ex.aux_dict["m"].asnumpy().tolist() == [(0 + 16) / 2 / 2 + 8 / 2]


def test_rule_2_fix_gamma_writes_gamma_when_gradients_are_bound() -> None:
    for requests, expected in ((ALL, [1, 1]), ({"b": "write"}, [1, 1]), ({}, [2, 2])):
        ex = batch_norm(requests)
        ex.forward(is_train=True)
        assert ex.arg_dict["g"].asnumpy().tolist() == expected
    free = batch_norm(ALL, fix_gamma=False)
    free.forward(is_train=True)
    assert free.arg_dict["g"].asnumpy().tolist() == [2, 2]


def test_rule_2_update_operators_change_their_states() -> None:
    weight, momentum = nd.ones((2,)), nd.zeros((2,))
    nd.sgd_mom_update(weight, nd.ones((2,)), momentum, lr=0.5, momentum=0.9, out=weight)
    assert momentum.asnumpy().tolist() == [-0.5, -0.5]
    assert weight.asnumpy().tolist() == [0.5, 0.5]


def test_rule_3_gradient_handles_never_share_memory() -> None:
    a, b = V("a"), V("b")
    ex = (a + b).bind(CPU, [nd.ones((2,)), nd.ones((2,))], args_grad=[nd.zeros((2,)), nd.zeros((2,))])
    head = nd.ones((2,))
    ex.forward(is_train=True)
    ex.backward(head)
    ex.grad_arrays[0][:] = 7
    assert ex.grad_arrays[1].asnumpy().tolist() == [1, 1]
    assert head.asnumpy().tolist() == [1, 1]
    simple = sym.FullyConnected(a, num_hidden=2, no_bias=True, name="f").simple_bind(CPU, a=(2, 3))
    kept = simple.grad_dict["f_weight"]
    view = kept[0:1]
    simple.arg_dict["a"][:] = 1
    simple.forward(is_train=True)
    simple.backward(nd.ones((2, 2)))
    assert view.asnumpy().tolist() == [[2, 2, 2]]
    assert simple.grad_dict["f_weight"] is kept


def test_rule_4_outputs_are_handles_that_follow() -> None:
    x = np.array([[1.0, 2.0, 3.0]], "float32")
    ex = sym.SoftmaxOutput(V("x"), V("l"), name="s").bind(
        CPU, {"x": nd.array(x), "l": nd.array([2])}, args_grad={"x": nd.zeros((1, 3))}
    )
    handle = ex.outputs[0]
    assert handle.shape == (1, 3)
    ex.forward(is_train=True)
    assert handle is ex.outputs[0]
    assert abs(handle.asnumpy().sum() - 1) < 1e-6
    ex.outputs[0][:] = 0.5  # the gradient is output minus target, of the output as it is now
    ex.backward()
    assert ex.grad_dict["x"].asnumpy().tolist() == [[0.5, 0.5, -0.5]]


def test_rule_4_copying_operators_do_not_share() -> None:
    a = nd.ones((2, 3))
    for copy in (
        nd.reshape(a, shape=(3, 2)),
        nd.Flatten(a),
        nd.identity(a),
        nd.BlockGrad(a),
        nd.Dropout(a),
        nd.expand_dims(a, axis=0),
        nd.squeeze(a),
        nd.split(a, num_outputs=1, axis=0),
        nd.slice_axis(a, axis=0, begin=0, end=2),
        nd.transpose(a),
    ):
        copy[:] = 9
    assert a.asnumpy().tolist() == [[1] * 3] * 2
    for view in (a.reshape((6,)), a[0:1], a[:], a.as_in_context(CPU), a.astype("float32", copy=False), a.detach()):
        view[:] = 5
        assert a.asnumpy().max() == 5
        a[:] = 1


@pytest.mark.parametrize("mode", ["never", pytest.param("always", marks=pytest.mark.compiled)])
def test_rule_5_backward_may_be_repeated(mode: str) -> None:
    with policy.using(mode):
        ex = sym.Activation(V("a") * V("b"), act_type="tanh").simple_bind(CPU, a=(3,), b=(3,))
    ex.arg_dict["a"][:], ex.arg_dict["b"][:] = 0.5, 0.25
    ex.forward(is_train=True)
    ex.backward(nd.ones((3,)))
    first = ex.grad_dict["a"].asnumpy()
    ex.backward(nd.ones((3,)) * 2)
    assert np.allclose(ex.grad_dict["a"].asnumpy(), 2 * first)


def test_rule_6_backward_after_inference_repeats_the_random_draw() -> None:
    ex = sym.Dropout(V("a"), p=0.5, mode="always").simple_bind(CPU, a=(200,))
    ex.arg_dict["a"][:] = 1
    mask = ex.forward(is_train=False)[0].asnumpy()
    following = nd.random.uniform(shape=(3,)).asnumpy()
    ex.backward(nd.ones((200,)))
    assert ex.grad_dict["a"].asnumpy().tolist() == mask.tolist()
    assert not np.array_equal(nd.random.uniform(shape=(3,)).asnumpy(), following)


def test_rule_7_writing_the_base_shows_in_recorded_views() -> None:
    base = nd.ones((2, 2))
    base.attach_grad()
    with mx.autograd.record():
        view = base[0:1]
        product = view * 3
    base[:] = 5
    assert view.asnumpy().tolist() == [[5, 5]]
    product.backward()
    assert base.grad.asnumpy().tolist() == [[3, 3], [0, 0]]


def _module(batch: int = 4) -> Any:
    net = sym.SoftmaxOutput(sym.FullyConnected(V("data"), num_hidden=2, name="fc"), name="softmax")
    module = mx.mod.Module(net)
    module.bind([("data", (batch, 3))], [("softmax_label", (batch,))])
    module.init_params(mx.init.One())
    module.init_optimizer(optimizer_params={"learning_rate": 1.0})
    return module


def _batch(size: int = 4) -> Any:
    return mx.io.DataBatch([nd.ones((size, 3))], [nd.zeros((size,))])


def test_rule_8_update_reads_the_lists_and_forward_keeps_its_handles() -> None:
    module = _module()
    module.forward_backward(_batch())
    names = module._exec_group.param_names
    for arrays in module._exec_group.grad_arrays:
        arrays[0] = nd.zeros(arrays[0].shape)
    before = {name: module.get_params()[0][name].asnumpy() for name in names}
    module.update()
    for name in names:
        assert np.array_equal(module.get_params()[0][name].asnumpy(), before[name])
    ex = (V("a") * 2).simple_bind(CPU, a=(1,))
    ex.arg_dict["a"] = nd.array([100])
    assert ex.forward()[0].asnumpy().tolist() == [0]


def test_rule_9_value_checks_run_eagerly_on_the_cpu() -> None:
    with pytest.raises(MXNetError, match="take"):
        nd.take(nd.ones((2,)), nd.array([5]), mode="raise")
    with pytest.raises(MXNetError, match="zero"):
        nd.array([1], dtype="int32") / nd.array([0], dtype="int32")


def test_rule_10_attributes_can_change_and_are_seen() -> None:
    net = sym.FullyConnected(V("a"), num_hidden=2, name="f")
    assert net.infer_shape(a=(1, 3))[1] == [(1, 2)]
    net._set_attr(num_hidden="5")
    assert net.infer_shape(a=(1, 3))[1] == [(1, 5)]


def test_rule_11_monitor_sees_each_output_once_and_gradients() -> None:
    drawn = sym.Dropout(V("a"), p=0.5, name="drop")
    net = sym.MakeLoss(sym.exp(drawn, name="e"), name="loss")
    ex = net.simple_bind(CPU, a=(50,))
    seen: dict[str, Any] = {}
    calls: list[str] = []

    def callback(name: bytes, array: Any) -> None:
        calls.append(name.decode())
        seen[name.decode()] = nd.NDArray(array).asnumpy()

    ex.set_monitor_callback(callback)
    ex.arg_dict["a"][:] = 1
    output = ex.forward(is_train=True)[0].asnumpy()
    assert [name for name in calls if "drop_output" in name or name in ("e_output", "loss_output")] == [
        "drop_output",
        "e_output",
        "loss_output",
    ]
    assert np.allclose(np.exp(seen["drop_output"]), output)  # one draw: what it showed is what ran
    ex.backward()
    assert any("e_backward" in name for name in calls)


def test_rule_12_custom_operators_are_made_once_per_bind() -> None:
    made = []

    class Double(mx.operator.CustomOp):
        def forward(self, is_train: Any, req: Any, in_data: Any, out_data: Any, aux: Any) -> None:
            self.assign(out_data[0], req[0], in_data[0] * 2)

        def backward(self, req: Any, out_grad: Any, in_data: Any, out_data: Any, in_grad: Any, aux: Any) -> None:
            with mx.autograd.record():
                pass
            self.assign(in_grad[0], req[0], out_grad[0] * 2)

    @mx.operator.register("rule_12_double")
    class DoubleProp(mx.operator.CustomOpProp):
        def create_operator(self, ctx: Any, shapes: Any, dtypes: Any) -> Any:
            made.append(1)
            return Double()

    ex = sym.Custom(V("a"), op_type="rule_12_double").simple_bind(CPU, a=(2,))
    ex.arg_dict["a"][:] = 3
    for _ in range(3):
        ex.forward(is_train=True)
        ex.backward(nd.ones((2,)))
    assert ex.outputs[0].asnumpy().tolist() == [6, 6]
    assert ex.grad_dict["a"].asnumpy().tolist() == [2, 2]
    assert len(made) == 1


def test_rule_13_other_batch_sizes_share_storages() -> None:
    module = _module(4)
    weight = module._exec_group.execs[0].arg_dict["fc_weight"]
    module.forward(_batch(2), is_train=False)
    module._exec_group.execs[0].arg_dict["fc_weight"][:] = 9
    assert weight.asnumpy().max() == 9


def _predict(queue: Any, state: Any) -> None:
    net, arrays = pickle.loads(state)
    queue.put(net.eval(mx.cpu(), **arrays)[0].asnumpy().tolist())


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_rule_14_prediction_in_child_processes(method: str) -> None:
    net = sym.FullyConnected(V("a"), num_hidden=2, no_bias=True, name="f")
    arrays = {"a": nd.ones((2, 300)), "f_weight": nd.ones((2, 300))}
    expected = net.eval(CPU, **arrays)[0].asnumpy().tolist()
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    with pytest.warns(DeprecationWarning) if method == "fork" and sys.version_info >= (3, 12) else _nothing():
        process = context.Process(target=_predict, args=(queue, pickle.dumps((net, arrays))))
        process.start()
    assert queue.get(timeout=60) == expected
    process.join(60)
    assert process.exitcode == 0


class _nothing:
    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: Any) -> None:
        pass


#: ``nd.ones((2,))`` and ``sym.exp(sym.Variable('a'), name='e')``, pickled by MXNet 1.9.1 (protocol 2)
MXNET_ARRAY = bytes.fromhex(
    "8002636d786e65742e6e6461727261792e6e6461727261790a4e4441727261790a71004e8571015271027d7103580600000068616e646c6571"
    "04635f5f6275696c74696e5f5f0a6279746561727261790a7105635f636f646563730a656e636f64650a7106582e000000c389c3bac293c3b9"
    "000000000100000002000000000000000100000000000000000000000000c2803f0000c2803f710758060000006c6174696e31710886710952"
    "710a85710b52710c73622e"
)
MXNET_SYMBOL = (
    b"\x80\x02cmxnet.symbol.symbol\nSymbol\nq\x00N\x85q\x01Rq\x02}q\x03X\x06\x00\x00\x00handleq\x04X)\x01\x00\x00"
    b'{\n  "nodes": [\n    {\n      "op": "null", \n      "name": "a", \n      "inputs": []\n    }, \n    {\n'
    b'      "op": "exp", \n      "name": "e", \n      "inputs": [[0, 0, 0]]\n    }\n  ], \n  "arg_nodes": [0], \n'
    b'  "node_row_ptr": [0, 1, 2], \n  "heads": [[1, 0, 0]], \n  "attrs": {"mxnet_version": ["int", 10901]}\n}q\x05sb.'
)


def test_rule_15_pickles_of_the_original_load_under_the_alias() -> None:
    with mx.install():
        array = pickle.loads(MXNET_ARRAY)
        assert isinstance(array, nd.NDArray)
        assert array.asnumpy().tolist() == [1, 1]
        symbol = pickle.loads(MXNET_SYMBOL)
        assert symbol.list_outputs() == ["e_output"]
    record = "c9fa93f9000000000100000002000000000000000100000000000000000000000000803f0000803f"
    assert bytes(nd.ones((2,)).__getstate__()["handle"]).hex() == record


def test_rule_16_star_import_and_unused_gluon() -> None:
    code = "\n".join(
        [
            "import mxcompat",
            "mxcompat.install()",
            "from mxnet import *",
            "from mxnet.symbol import *",
            "import mxnet.gluon",
            "from mxnet import gluon as g",
            "assert Variable('a').name == 'a' and nd.ones((1,)).shape == (1,)",
            "try:",
            "    g.nn.Dense",
            "except AttributeError as error:",
            "    assert 'gluon' in str(error)",
            "else:",
            "    raise SystemExit('gluon was usable')",
        ]
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_rule_16_public_names_are_the_originals() -> None:
    expected = """AttrScope Context MXNetError api attribute autograd base callback context contrib cpu cpu_pinned
    current_context engine error executor executor_manager gluon gpu image img init initializer io is_np_array is_np_shape
    kv kvstore libinfo library log lr_scheduler metric mod model module mon monitor name nd ndarray ndarray_doc notebook np
    np_array np_shape np_symbol npx numpy numpy_dispatch_protocol numpy_extension numpy_op_fallback numpy_op_signature onnx
    operator optimizer profiler random recordio registry rnd rnn rtc runtime set_np_shape sym symbol symbol_doc test_utils
    th torch tvmop use_np use_np_array use_np_shape util visualization viz"""
    assert sorted(mx.__all__) == sorted(expected.split())


def test_rule_17_children_inherit_the_alias() -> None:
    code = (
        "import mxcompat, subprocess, sys; mxcompat.install();"
        "subprocess.run([sys.executable, '-c', 'import mxnet as mx; print(mx.__version__, mx.nd.ones((1,)).shape)'], check=True)"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, timeout=120, capture_output=True, text=True)
    assert found.stdout.strip() == "1.9.1 (1,)"


def test_rule_18_threads_get_right_outputs() -> None:
    module = _module()
    module.forward(_batch(), is_train=False)
    expected = module.get_outputs()[0].asnumpy()
    failures: list[Any] = []

    def work() -> None:
        for _ in range(20):
            ex = module._symbol.simple_bind(CPU, data=(4, 3), grad_req="null")
            ex.copy_params_from(module.get_params()[0])
            ex.arg_dict["data"][:] = 1
            if not np.allclose(ex.forward()[0].asnumpy(), expected):
                failures.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_rule_19_metrics_return_python_floats() -> None:
    metric = mx.metric.create("acc")
    metric.update([nd.array([0, 1])], [nd.array([[0.9, 0.1], [0.8, 0.2]])])
    name, value = metric.get()
    assert type(value) is float
    assert repr((name, value)) == "('accuracy', 0.5)"


def test_every_rule_has_a_test() -> None:
    with open(os.path.abspath(__file__), encoding="utf-8") as stream:
        text = stream.read()
    assert [n for n in range(1, 20) if f"def test_rule_{n}_" not in text] == []
