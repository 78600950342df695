"""``mx.autograd.grad``: what it returns, and gradients of gradients."""

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
