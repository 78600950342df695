"""``mx.autograd``: gradients of gradients, the state of gradients, symbols of what was recorded."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import mxcompat as mx

autograd, nd = mx.autograd, mx.nd


def variable(*values: float) -> nd.NDArray:
    """An array that takes a gradient."""
    array = nd.array(values)
    array.attach_grad()
    return array


def test_grad_returns_a_list() -> None:
    x, y = variable(1, 2), variable(3, 4)
    with autograd.record():
        z = x * y
    (only,) = autograd.grad(z, x, retain_graph=True)
    assert only.asnumpy().tolist() == [3, 4]
    both = autograd.grad(z, [x, y])
    assert [gradient.asnumpy().tolist() for gradient in both] == [[3, 4], [1, 2]]


@pytest.mark.parametrize(
    ("function", "second"),
    [
        (nd.sin, lambda x: -np.sin(x)),
        (nd.exp, np.exp),
        (lambda x: x * x * x, lambda x: 6 * x),
        (nd.relu, np.zeros_like),
        (lambda x: nd.clip(x, 0, 1), np.zeros_like),
        (lambda x: 3 * x, np.zeros_like),
        (nd.arcsinh, lambda x: -x / np.sqrt(x * x + 1) ** 3),  # Compat: the original has the wrong sign here
    ],
)
def test_second_derivatives(function: Callable, second: Callable) -> None:
    x = variable(0.5, -0.2, 0.3)
    with autograd.record():
        first = autograd.grad(function(x), x, create_graph=True, retain_graph=True)[0]
        (found,) = autograd.grad(first, x, create_graph=True, retain_graph=True)
    np.testing.assert_allclose(found.asnumpy(), second(x.asnumpy()), rtol=1e-5, atol=1e-6)


def test_grad_needs_variables_of_the_computation() -> None:
    x = variable(1)
    with autograd.record():
        y = x * 2
    with pytest.raises(ValueError, match="empty"):
        autograd.grad(y, [])
    with pytest.raises(mx.MXNetError, match="variable 0"):
        autograd.grad(y, nd.ones(1))


def test_head_gradients_can_be_part_of_the_computation() -> None:
    x, head = variable(1, 2, 3), variable(4, 5, 6)
    with autograd.record():
        first = autograd.grad(x * x, x, head_grads=head, create_graph=True, retain_graph=True)[0]
    first.backward(nd.array([1, 10, 100]))
    assert head.grad.asnumpy().tolist() == [2, 40, 600]
    assert x.grad.asnumpy().tolist() == [8, 100, 1200]


def test_star_import_gives_what_the_original_gives() -> None:
    names: dict = {}
    exec("from mxcompat.autograd import *", names)
    assert {"NDArray", "Symbol", "get_symbol", "grad", "record", "string_types"} <= set(names)


def test_gradient_state() -> None:
    x, y = variable(1), variable(2)
    assert not x._fresh_grad and not nd.ones(1)._fresh_grad
    with autograd.record():
        z = x * 3
    z.backward()
    assert x._fresh_grad and not y._fresh_grad
    x._fresh_grad = False
    assert not x._fresh_grad
    with pytest.raises(mx.MXNetError, match="attach_grad"):
        nd.ones(1)._fresh_grad = True


def test_mode_of_backward() -> None:
    def normalized(train_mode: bool) -> tuple[nd.NDArray, nd.NDArray]:
        x = nd.arange(6).reshape((3, 2))
        x.attach_grad()
        gamma, beta, mean, variance = nd.ones(2), nd.zeros(2), nd.zeros(2), nd.ones(2)
        with autograd.record(train_mode=train_mode):
            return x, nd.BatchNorm(x, gamma, beta, mean, variance)

    for backward_mode in (True, False):
        x, y = normalized(False)
        y.backward(nd.array([[1, 2]] * 3), train_mode=backward_mode)
        np.testing.assert_allclose(x.grad.asnumpy(), [[1, 2]] * 3, rtol=1e-3)
    x, y = normalized(True)
    with pytest.raises(mx.MXNetError, match="recorded in training mode"):
        y.backward(train_mode=False)
    with pytest.raises(mx.MXNetError, match="recorded in training mode"):
        autograd.grad(y, x, train_mode=False)
    y.backward()


class Double(autograd.Function):
    def forward(self, x: nd.NDArray) -> nd.NDArray:
        return x * 2

    def backward(self, head: nd.NDArray) -> nd.NDArray:
        return head * 2


def test_symbol_of_a_computation() -> None:
    x, y, constant = variable(1, 2), variable(3, 4), nd.array([5, 6])
    with autograd.record():
        z = nd.broadcast_add(x * x, 2 * y) - constant + nd.stack(x, y).sum(axis=0)
        parts = nd.split(z, num_outputs=2, axis=0)
    symbol = autograd.get_symbol(z)
    assert symbol.list_arguments() == ["var0", "var1", "null0"]
    arrays = {"var0": x, "var1": y, "null0": constant}
    np.testing.assert_array_equal(symbol.bind(mx.cpu(), arrays).forward()[0].asnumpy(), z.asnumpy())
    second = autograd.get_symbol(parts[1])
    assert second.list_outputs()[0].endswith("_output1")
    np.testing.assert_array_equal(second.bind(mx.cpu(), arrays).forward()[0].asnumpy(), parts[1].asnumpy())
    assert mx.sym.load_json(symbol.tojson()).list_arguments() == ["var0", "var1", "null0"]
    assert autograd.get_symbol(x).list_outputs() == ["var0"]


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x[1],
        lambda x: x[1:3],
        lambda x: x[1][0],
        lambda x: x.reshape((2, 6)),
        lambda x: x.reshape((2, 6))[1].reshape((3, 2)),
        lambda x: x.copy(),
        lambda x: x.as_in_context(mx.cpu(1)),
    ],
)
def test_symbol_of_views(view: Callable) -> None:
    x = nd.arange(12).reshape((4, 3))
    x.attach_grad()
    with autograd.record():
        y = view(x) * 2
    symbol = autograd.get_symbol(y)
    np.testing.assert_array_equal(symbol.bind(mx.cpu(), {"var0": x}).forward()[0].asnumpy(), y.asnumpy())


def test_symbol_with_auxiliary_states() -> None:
    x = nd.arange(6).reshape((3, 2))
    x.attach_grad()
    with autograd.record():
        y = nd.BatchNorm(x, nd.ones(2), nd.zeros(2), nd.zeros(2), nd.ones(2), fix_gamma=False)
    symbol = autograd.get_symbol(y)
    assert symbol.list_arguments() == ["var0", "null0", "null1"]
    assert symbol.list_auxiliary_states() == ["null2", "null3"]


def test_what_has_no_symbol() -> None:
    x = variable(1, 2, 3)
    with autograd.record():
        results = [Double()(x), x[nd.array([0, 2])], x[::2]]
    for result in results:
        with pytest.raises(mx.MXNetError, match="no operator made"):
            autograd.get_symbol(result)
    with pytest.raises(mx.MXNetError, match="not part of a computation graph"):
        autograd.get_symbol(nd.ones(1))
    with pytest.raises(AssertionError, match="Invalid argument type"):
        autograd.get_symbol(3)


def test_long_computations() -> None:
    x = variable(1)
    with autograd.record():
        y = x
        for _ in range(3000):
            y = y + 1
    assert len(autograd.get_symbol(y).get_internals().list_outputs()) == 3001


@pytest.mark.parametrize(
    "function",
    [
        lambda x: nd.SoftmaxOutput(x, nd.array([0, 1])),
        lambda x: nd.LinearRegressionOutput(x, nd.ones((2, 3))),
        lambda x: nd.CTCLoss(x.reshape((2, 1, 3)), nd.array([[1]])),
        lambda x: nd.LeakyReLU(x, act_type="selu"),
        lambda x: nd.SoftmaxActivation(x.reshape((1, 2, 3))),
        lambda x: Double()(x),
    ],
)
def test_no_second_derivative(function: Callable) -> None:
    """Where the gradient is not the derivative of the output, its derivative would be wrong: it is refused."""
    x = nd.arange(6).reshape((2, 3)) / 10
    x.attach_grad()
    with autograd.record():
        first = autograd.grad(function(x), x, create_graph=True, retain_graph=True)[0]
        second = (first * first).sum()
    with pytest.raises(mx.MXNetError, match="non-differentiable"):
        second.backward()


def test_second_derivative_of_cross_entropy() -> None:
    x = variable(0.1, 0.5, 0.2)
    with autograd.record():
        loss = nd.softmax_cross_entropy(x.reshape((1, 3)), nd.array([1]))
        first = autograd.grad(loss, x, create_graph=True, retain_graph=True)[0]
    first.backward(nd.array([1, 2, 4]))
    share = np.exp([0.1, 0.5, 0.2]) / np.exp([0.1, 0.5, 0.2]).sum()
    np.testing.assert_allclose(x.grad.asnumpy(), share * ([1, 2, 4] - share @ [1, 2, 4]), rtol=1e-5)
