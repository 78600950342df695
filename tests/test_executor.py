"""Executors: binding, gradients, outputs, reshape (semantics.md, 143 to 155)."""

from __future__ import annotations

from typing import Any
from unittest import mock

import numpy as np
import pytest

import mxcompat as mx
from mxcompat.base import MXNetError

sym, nd, V = mx.sym, mx.nd, mx.sym.Variable
CPU = mx.cpu()


def ones(*shape: int, **kwargs: Any) -> Any:
    return nd.ones(shape, **kwargs)


def test_head_gradients() -> None:
    ex = (V("a") * 2).bind(CPU, [nd.array([1.0])], args_grad=[nd.zeros((1,))])
    ex.forward(is_train=True)
    with pytest.raises(MXNetError, match="_output is not a loss"):
        ex.backward()
    with pytest.raises(MXNetError, match="backward"):
        ex.backward(ones(3))
    ex.backward([ones(1), ones(1)])
    assert ex.grad_dict["a"].asnumpy().tolist() == [2]
    ex.backward({ex._symbol.list_outputs()[0]: ones(1)})
    assert ex.grad_dict["a"].asnumpy().tolist() == [2]
    loss = sym.MakeLoss(V("a") * 2).bind(CPU, [nd.array([1.0])], args_grad=[nd.zeros((1,))])
    loss.forward(is_train=True)
    loss.backward()
    assert loss.grad_dict["a"].asnumpy().tolist() == [2]


def test_heads_without_gradient_may_have_any_shape() -> None:
    for net in (sym.argmax(V("a"), axis=0), sym.BlockGrad(V("a")), sym.shape_array(V("a"))):
        ex = net.bind(CPU, [ones(2)], args_grad=[ones(2)])
        ex.forward(is_train=True)
        ex.backward(ones(6))
        assert ex.grad_dict["a"].asnumpy().tolist() == [0, 0]


def test_backward_without_forward_runs_one() -> None:
    ex = mx.sym.square(V("a")).bind(CPU, [nd.array([3.0])], args_grad=[nd.zeros((1,))])
    ex.backward(ones(1))
    assert ex.grad_dict["a"].asnumpy().tolist() == [6] and ex.outputs[0].asnumpy().tolist() == [9]


@pytest.mark.parametrize("name", ["in", "a b", "1x", "é", ""])
def test_any_name_is_bound(name: str) -> None:
    assert (V(name) * 2).bind(CPU, {name: ones(1)}).forward()[0].asnumpy().tolist() == [2]


def test_like_and_equal_names() -> None:
    ex = (V("a.b") - V("a_b")).bind(CPU, {"a.b": nd.array([3.0]), "a_b": ones(1)})
    assert ex.forward()[0].asnumpy().tolist() == [2]
    with pytest.raises(MXNetError, match="two arguments are called 'a'"):
        (V("a") * V("a")).bind(CPU, [ones(1), ones(1)])


def test_grad_req_write_add_and_null() -> None:
    net = V("a") * V("b")
    args = {"a": nd.array([2.0]), "b": nd.array([3.0])}
    grads = {"a": nd.array([100.0]), "b": nd.array([100.0])}
    ex = net.bind(CPU, args, args_grad=grads, grad_req={"a": "add", "b": "write"})
    for _ in range(2):
        ex.forward(is_train=True)
        ex.backward([ones(1)])
    assert {k: v.asnumpy().tolist() for k, v in ex.grad_dict.items()} == {"a": [106], "b": [2]}
    null = net.bind(CPU, args, args_grad=grads, grad_req="null")
    null.forward(is_train=True)
    null.backward([ones(1)])
    assert grads["a"].asnumpy().tolist() == [106]
    with pytest.raises(ValueError, match="foo"):
        net.bind(CPU, args, args_grad=grads, grad_req="foo")


def test_gradients_are_written_into_the_given_arrays() -> None:
    whole = nd.zeros((3, 2))
    ex = (V("a") * 3).bind(CPU, [ones(1, 2)], args_grad={"a": whole[1:2]})
    ex.forward(is_train=True)
    ex.backward(ones(1, 2))
    assert whole.asnumpy().tolist() == [[0, 0], [3, 3], [0, 0]]


def test_simple_bind_allocates_gradients() -> None:
    net = sym.FullyConnected(V("data"), num_hidden=4, name="fc1")
    full = net.simple_bind(CPU, data=(2, 3))
    assert [k for k, v in full.grad_dict.items() if v is not None] == ["data", "fc1_weight", "fc1_bias"]
    part = net.simple_bind(CPU, data=(2, 3), grad_req={"fc1_weight": "write"})
    assert [k for k, v in part.grad_dict.items() if v is not None] == ["fc1_weight"]
    with pytest.raises(RuntimeError, match="data: None"):
        net.simple_bind(CPU)
    with pytest.raises(RuntimeError, match="data"):
        net.simple_bind(CPU, data=3)
    typed = (V("a", shape=(2, 3), dtype="float64") * 2).simple_bind(CPU)
    assert typed.arg_dict["a"].shape == (2, 3)
    assert typed.arg_dict["a"].dtype is np.float64


def test_backward_after_an_inference_forward() -> None:
    a = V("a")
    ex = (a * a).simple_bind(CPU, a=(1,))
    ex.arg_dict["a"][:] = 3
    ex.forward(is_train=False)
    ex.backward(ones(1))
    assert ex.grad_dict["a"].asnumpy().tolist() == [6]
    drop = sym.Dropout(a, p=0.5).simple_bind(CPU, a=(3,))
    drop.forward(is_train=False)
    drop.backward(ones(3))
    assert drop.grad_dict["a"].asnumpy().tolist() == [1, 1, 1]


def test_forward_keywords_are_copied_in() -> None:
    ex = (V("a") * 2).simple_bind(CPU, a=(2,))
    assert ex.forward(a=nd.array([1, 2]))[0].asnumpy().tolist() == [2, 4]
    assert ex.arg_dict["a"].asnumpy().tolist() == [1, 2]
    with pytest.raises(TypeError, match="Unknown argument b"):
        ex.forward(b=ones(2))
    with pytest.raises(ValueError, match=r"Argument a, need: \(2,\), received: \(3,\)"):
        ex.forward(a=ones(3))


def test_arguments_are_used_by_reference() -> None:
    a = ones(1)
    ex = (V("a") * 2).bind(CPU, {"a": a})
    a[:] = 5
    assert ex.forward()[0].asnumpy().tolist() == [10]
    assert ex.forward()[0] is ex.outputs[0]


def test_requests_of_simple_bind() -> None:
    net = V("a") * V("b")
    for request in ("sometimes", ["sometimes", "write"], {"a": "sometimes"}, ["write"], []):
        with pytest.raises(RuntimeError, match="grad_req"):
            net.simple_bind(CPU, grad_req=request, a=(2,))
    assert [x is None for x in net.simple_bind(CPU, grad_req=["null", "add"], a=(2,)).grad_arrays] == [True, False]


def test_bind_errors() -> None:
    net = sym.elemwise_add(V("a"), V("b"), name="plus")
    with pytest.raises(ValueError, match="`b` is missing"):
        net.bind(CPU, {"a": ones(2)})
    with pytest.raises(ValueError, match="expected 2"):
        net.bind(CPU, [ones(2)])
    with pytest.raises(MXNetError, match=r"plus.*\(2,\).*\(3,\)"):
        net.bind(CPU, [ones(2), ones(3)])
    with pytest.raises(MXNetError, match="plus.*float32.*float64"):
        net.bind(CPU, [ones(2), ones(2, dtype="float64")])
    with pytest.raises(MXNetError, match=r"b is in cpu\(1\) while binding with ctx=cpu\(0\)"):
        net.bind(CPU, [ones(2), ones(2, ctx=mx.cpu(1))])
    for wrong in (3, [ones(2), 3]):
        with pytest.raises(TypeError, match="NDArrays"):
            net.bind(CPU, wrong)
    with pytest.raises(TypeError, match="Context"):
        net.bind(1, [ones(2), ones(2)])
    assert sorted(net.bind(CPU, {"a": ones(2), "b": ones(2), "zz": ones(9)}).arg_dict) == ["a", "b"]


def test_reshape_shares_parameters() -> None:
    ex = sym.FullyConnected(V("x"), num_hidden=2, name="f").simple_bind(CPU, x=(2, 3))
    small = ex.reshape(x=(1, 3))
    ex.arg_dict["f_weight"][:] = 4
    assert small.arg_dict["f_weight"].asnumpy()[0].tolist() == [4, 4, 4]
    small.arg_dict["x"][:] = 5
    assert ex.arg_dict["x"].asnumpy().tolist() == [[5, 5, 5], [0, 0, 0]]
    with pytest.raises(MXNetError, match="allow_up_sizing"):
        ex.reshape(x=(9, 3))
    with pytest.raises(MXNetError, match="f_weight"):
        ex.reshape(x=(9, 5), allow_up_sizing=True)
    assert ex.reshape(x=(9, 3), allow_up_sizing=True).outputs[0].shape == (9, 2)


def test_dictionaries_follow_list_order() -> None:
    ex = sym.SoftmaxOutput(sym.FullyConnected(V("data"), num_hidden=3, name="fc"), name="softmax").simple_bind(
        CPU, data=(2, 3)
    )
    assert list(ex.arg_dict) == ["data", "fc_weight", "fc_bias", "softmax_label"]
    assert list(ex.output_dict) == ["softmax_output"]
    assert ex.outputs[0].shape == (2, 3)  # before any forward
    assert "Total" in ex.debug_str()


def test_copy_params_from() -> None:
    ex = (V("a") * 2).simple_bind(CPU, a=(2,))
    with pytest.raises(ValueError, match='"z"'):
        ex.copy_params_from({"z": ones(2)})
    ex.copy_params_from({"z": ones(2)}, allow_extra_params=True)
    ex.copy_params_from({"a": nd.array([1, 2], dtype="float64")})
    assert ex.arg_dict["a"].asnumpy().tolist() == [1, 2]
    assert ex.arg_dict["a"].dtype is np.float32


def test_bare_variable_output_is_the_argument() -> None:
    a = V("a")
    ex = sym.Group([a, a * 2]).bind(CPU, [ones(2)], args_grad=[nd.zeros((2,))])
    ex.forward(is_train=True)
    ex.outputs[0][:] = 7
    assert ex.arg_dict["a"].asnumpy().tolist() == [7, 7]
    ex.backward([ones(2), ones(2)])
    assert ex.grad_dict["a"].asnumpy().tolist() == [3, 3]


def test_graph_module_is_printable() -> None:
    ex = sym.FullyConnected(V("x"), num_hidden=2, name="my-fc").simple_bind(CPU, x=(2, 3))
    ex.forward()
    assert "num_hidden = 2" in ex.graph_module.code
    names = {node.meta.get("mxnet_name") for node in ex.graph_module.graph.nodes}
    assert {"x", "my-fc", "my-fc_weight"} <= names


def test_failing_values_name_the_symbol() -> None:
    ex = sym.take(V("a"), V("i"), mode="raise", name="t").bind(CPU, [ones(2), nd.array([5])])
    with pytest.raises(MXNetError, match="out of bound"):
        ex.forward()[0].asnumpy()


def test_group_contexts_place_arguments() -> None:
    with mx.AttrScope(ctx_group="d1"):
        a = V("a") * 2
    with mx.AttrScope(ctx_group="d2"):
        b = a + 1
    ex = b.simple_bind(CPU, group2ctx={"d1": mx.cpu(1), "d2": mx.cpu(2)}, a=(2,))
    ex.arg_dict["a"][:] = 3
    assert ex.forward()[0].asnumpy().tolist() == [7, 7]
    assert str(ex.arg_dict["a"].context) == "cpu(1)"


def test_a_missing_last_input_may_be_none() -> None:
    net = sym.Convolution(V("x"), V("w"), None, kernel=(1,), num_filter=1, no_bias=True)
    assert net.list_arguments() == ["x", "w"]


def test_gradient_of_integers_is_zero() -> None:
    net = sym.broadcast_mul(V("a"), sym.Cast(V("n"), dtype="float32"))
    grads = {"a": ones(2), "n": nd.ones(2, dtype="int32")}
    ex = net.bind(CPU, {"a": ones(2), "n": nd.array([2, 3], dtype="int32")}, args_grad=grads)
    ex.forward(is_train=True)
    ex.backward(ones(2))
    assert grads["a"].asnumpy().tolist() == [2, 3] and grads["n"].asnumpy().tolist() == [0, 0]


def test_reshape_keeps_the_monitor() -> None:
    seen: list = []
    ex = (V("a") * 2).simple_bind(CPU, a=(2,))
    ex.set_monitor_callback(lambda name, array: seen.append(array.shape))
    ex.reshape(allow_up_sizing=True, a=(3,)).forward()
    assert seen == [(3,)]


@pytest.mark.parametrize("recorded", [False, True])
def test_a_second_backward_repeats_the_forward_once(recorded: bool) -> None:
    net = sym.Dropout(sym.FullyConnected(V("data"), num_hidden=300, name="fc"), p=0.5)
    executor = net.simple_bind(mx.cpu(), data=(4, 300))
    for array in executor.arg_arrays:
        array[:] = mx.nd.random.uniform(-1, 1, array.shape)
    head = mx.nd.random.uniform(-1, 1, (4, 300))
    for _ in range(4 if recorded else 0):
        executor.forward(is_train=True)
        executor.backward(head)
    assert (executor._modes.get(True) is not None and executor._modes[True].joint is not None) == recorded
    for _ in range(2):
        executor.forward(is_train=True)
        found = []
        for _ in range(3):
            executor.backward(head)
            found.append([grad.asnumpy() for grad in executor.grad_arrays])
        assert all(np.array_equal(a, b) for again in found[1:] for a, b in zip(found[0], again))
        assert executor._call is not None
        assert not executor._call.is_spent


def test_a_failed_backward_leaves_gradients_of_zeros() -> None:
    net = sym.FullyConnected(sym.exp(V("data")), num_hidden=300, no_bias=True, name="fc")
    executor = net.simple_bind(mx.cpu(), data=(4, 300))
    executor.forward(is_train=True)
    executor.backward(mx.nd.ones((4, 300)))
    executor.forward(is_train=True)
    executor._modes[True].joint = None
    with mock.patch("torch.autograd.grad", side_effect=RuntimeError("out of luck")), pytest.raises(MXNetError):
        executor.backward(mx.nd.ones((4, 300)))
    weight = executor.grad_dict["fc_weight"]
    weight[0] = 2
    assert weight.asnumpy().sum() == 600


DATA = mx.sym.Variable("data")
FC = mx.sym.FullyConnected(DATA, num_hidden=4, name="fc")
SOFTMAX = mx.sym.SoftmaxOutput(FC, name="softmax")
#: heads behind a loss, and the gradient of fc_bias that the original computes without head gradients; None: it asks for one
BEHIND_LOSSES: dict[str, tuple[mx.sym.Symbol, list[float] | None]] = {
    "reshape": (mx.sym.Reshape(SOFTMAX, shape=(2, 2, -1)), [-1.5, 0.5, 0.5, 0.5]),
    "product": (SOFTMAX * 2, [-1.5, 0.5, 0.5, 0.5]),
    "sum": (mx.sym.sum(SOFTMAX), [-1.5, 0.5, 0.5, 0.5]),
    "type": (mx.sym.Cast(SOFTMAX, dtype="float64"), [-1.5, 0.5, 0.5, 0.5]),
    "parts": (mx.sym.SliceChannel(SOFTMAX, num_outputs=2), [-1.5, 0.5, 0.5, 0.5]),
    "MakeLoss": (mx.sym.MakeLoss(FC) * 2, [2, 2, 2, 2]),
    "make_loss": (mx.sym.make_loss(FC) * 3, [2, 2, 2, 2]),
    "regression": (mx.sym.Reshape(mx.sym.LinearRegressionOutput(FC, name="l"), shape=(-1,)), [0.375] * 4),
    "SVM": (mx.sym.Reshape(mx.sym.SVMOutput(FC, name="s"), shape=(-1,)), [0, 9, 9, 9]),
    "two losses": (mx.sym.Concat(SOFTMAX, mx.sym.MakeLoss(FC)), [0.5, 2.5, 2.5, 2.5]),
    "a group": (mx.sym.Group([mx.sym.Flatten(SOFTMAX), mx.sym.MakeLoss(mx.sym.sum(FC))]), [0.5, 2.5, 2.5, 2.5]),
    "no gradient": (mx.sym.BlockGrad(FC) * 2, [0, 0, 0, 0]),
    "a choice": (mx.sym.one_hot(mx.sym.argmax(FC, axis=1), 4), [0, 0, 0, 0]),
    "beside a loss": (SOFTMAX + FC, None),
    "joined": (mx.sym.Concat(SOFTMAX, FC), None),
    "softmax": (mx.sym.Reshape(mx.sym.softmax(FC), shape=(-1,)), None),
    "an argument": (mx.sym.Group([SOFTMAX, DATA]), None),
}  # fmt: skip


@pytest.mark.parametrize("name", BEHIND_LOSSES)
def test_heads_behind_losses_need_no_gradient(name: str) -> None:
    net, expected = BEHIND_LOSSES[name]
    executor = net.simple_bind(mx.cpu(), data=(2, 3))
    for array in executor.arg_arrays:
        array[:] = 0.5
    for _ in range(3):  # by autograd, recorded, and from the record
        executor.forward(is_train=True)
        if expected is None:
            with pytest.raises(MXNetError, match="head_gradient is required"):
                executor.backward()
        else:
            executor.backward()
            assert executor.grad_dict["fc_bias"].asnumpy().tolist() == pytest.approx(expected)


def test_a_head_that_nobody_needs_may_have_any_shape() -> None:
    executor = mx.sym.Reshape(SOFTMAX, shape=(-1,)).simple_bind(mx.cpu(), data=(2, 3))
    for array in executor.arg_arrays:
        array[:] = 0.5
    for head in (mx.nd.ones((2, 4)), mx.nd.ones((8,))):
        executor.forward(is_train=True)
        executor.backward(head)
        assert executor.grad_dict["fc_bias"].asnumpy().tolist() == [-1.5, 0.5, 0.5, 0.5]
