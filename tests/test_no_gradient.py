"""Operators without a gradient, and inputs that have none: where asking raises, as the original does, and where not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import mxcompat as mx
from mxcompat import MXNetError, nd, sym
from mxcompat.ops import registry

VALUES = [[1.0, 3.0], [2.0, 0.5]]
DATA, WEIGHT = sym.Variable("data"), sym.Variable("weight")


def _bound(symbol: mx.sym.Symbol, without: tuple[str, ...] = ()) -> mx.executor.Executor:
    args = {name: nd.array(VALUES) for name in symbol.list_arguments()}
    grads = {name: nd.zeros((2, 2)) for name in args if name not in without}
    return symbol.bind(
        mx.cpu(), args, args_grad=grads, grad_req={name: "write" if name in grads else "null" for name in args}
    )


def _trained(symbol: mx.sym.Symbol, without: tuple[str, ...] = ()) -> dict:
    executor = _bound(symbol, without)
    executor.forward(is_train=True)
    executor.backward([nd.ones(output.shape) for output in executor.outputs])
    return executor.grad_dict


def _embedded(data: mx.sym.Symbol) -> mx.sym.Symbol:
    return sym.Embedding(data, WEIGHT, input_dim=2, output_dim=2)


@pytest.mark.parametrize(
    "build",
    [
        lambda: sym.argmax_channel(DATA),
        lambda: sym.argmax_channel(sym.relu(DATA)),
        lambda: sym.argmax_channel(sym.BlockGrad(DATA)),
        lambda: sym.Group([WEIGHT * 2, sym.argmax_channel(DATA)]),
        lambda: sym.khatri_rao(DATA, DATA),
        lambda: sym.all_finite(DATA),
        lambda: sym._internal._slice_assign_scalar(DATA, scalar=1, begin=(0, 0), end=(1, 1)),
        lambda: sym.shuffle(DATA),
    ],
)
def test_binding_with_gradients_raises(build: Callable) -> None:
    symbol = build()
    with pytest.raises(MXNetError, match="non-differentiable"):
        _bound(symbol)
    with pytest.raises(MXNetError, match="non-differentiable"):
        _bound(symbol, without=("data",) if "weight" in symbol.list_arguments() else ())
    _bound(symbol, without=("data", "weight")).forward()


def test_behind_block_grad_nothing_is_asked() -> None:
    gradients = _trained(sym.Group([DATA * 2, sym.BlockGrad(sym.argmax_channel(DATA))]))
    np.testing.assert_array_equal(gradients["data"].asnumpy(), 2)


@pytest.mark.parametrize("between", [lambda x: x, lambda x: sym.cast(x, dtype="float32"), sym.relu])
def test_an_index_has_no_gradient(between: Callable) -> None:
    executor = _bound(_embedded(between(DATA)))
    executor.forward(is_train=True)
    with pytest.raises(MXNetError, match="input data"):
        executor.backward([nd.ones((2, 2, 2))])


@pytest.mark.parametrize("between", [sym.BlockGrad, sym.floor, sym.zeros_like, lambda x: sym.argmax(x, axis=1)])
def test_an_index_without_gradient_of_its_own(between: Callable) -> None:
    gradients = _trained(_embedded(between(DATA)))
    assert not gradients["data"].asnumpy().any()
    assert gradients["weight"].asnumpy().any()


def test_a_label_has_no_gradient() -> None:
    loss = sym.softmax_cross_entropy(DATA, sym.sum(WEIGHT, axis=1))
    with pytest.raises(MXNetError, match="input label"):
        _trained(loss)
    assert _trained(loss, without=("weight",))["data"].asnumpy().any()


# -- recorded calls -------------------------------------------------------------------------------------------------


def _recorded(function: Callable) -> tuple[mx.nd.NDArray, mx.nd.NDArray]:
    data, weight = nd.array(VALUES), nd.ones((2, 2))
    data.attach_grad()
    weight.attach_grad()
    with mx.autograd.record():
        heads = function(data, weight)
    mx.autograd.backward(heads if isinstance(heads, list) else [heads])
    return data.grad, weight.grad


@pytest.mark.parametrize(
    "function",
    [
        lambda x, w: nd.argmax_channel(x),
        lambda x, w: [x * 2, nd.argmax_channel(x)],
        lambda x, w: [x * 2, nd.argmax_channel(nd.BlockGrad(x))],
        lambda x, w: x * nd.argmax_channel(x).reshape((2, 1)),
        lambda x, w: nd.khatri_rao(x, w),
        lambda x, w: nd.sgd_update(w, x, lr=1),
        lambda x, w: nd.Embedding(x, w, input_dim=2, output_dim=2),
        lambda x, w: nd.Embedding(nd.relu(x), w, input_dim=2, output_dim=2),
    ],
)
def test_recorded_backward_raises(function: Callable) -> None:
    with pytest.raises(MXNetError, match="non-differentiable|no gradient"):
        _recorded(function)


@pytest.mark.parametrize(
    "function",
    [
        lambda x, w: [x * 2, w, nd.BlockGrad(nd.argmax_channel(x))],
        lambda x, w: [(nd.argmax_channel(x), x * 2)[1], w],
        lambda x, w: [(nd.sgd_update(w.detach(), x.detach(), lr=1), x * 2)[1], w],
    ],
)
def test_recorded_backward_beside_it(function: Callable) -> None:
    data, weight = _recorded(function)
    np.testing.assert_array_equal(data.asnumpy(), 2)
    np.testing.assert_array_equal(weight.asnumpy(), 1)


@pytest.mark.parametrize("between", [nd.BlockGrad, nd.floor, lambda x: nd.argmax(x, axis=1), lambda x: x.detach()])
def test_recorded_index_without_gradient_of_its_own(between: Callable) -> None:
    data, weight = _recorded(lambda x, w: nd.Embedding(between(x), w, input_dim=2, output_dim=2))
    assert not data.asnumpy().any()
    assert weight.asnumpy().any()


def test_gradient_of_another_input() -> None:
    data, weight = nd.array(VALUES), nd.ones((2, 2))
    data.attach_grad()
    weight.attach_grad()
    with mx.autograd.record():
        output = nd.Embedding(data, weight, input_dim=2, output_dim=2)
    np.testing.assert_array_equal(mx.autograd.grad(output, [weight])[0].asnumpy(), [[1, 1], [3, 3]])


def test_named_inputs_exist() -> None:
    for op in registry.operators():
        assert set(op.no_gradient) <= set(op.inputs), op.name
