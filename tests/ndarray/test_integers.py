"""Gradients through arrays of integers and casts to integers (semantics.md, 29; the numbers are the original's)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mxcompat as mx

autograd, nd = mx.autograd, mx.nd


def variable(values: Any, dtype: str = "int32") -> nd.NDArray:
    """An array that takes a gradient."""
    array = nd.array(values, dtype=dtype)
    array.attach_grad()
    return array


def test_gradients_of_integers_are_integers() -> None:
    x = variable([1, 2, -3, 0])
    with autograd.record():
        y = (x * x).astype("float32") * 0.5
    y.backward()
    assert y.asnumpy().tolist() == [0.5, 2, 4.5, 0]
    assert x.grad.dtype is np.int32 and x.grad.asnumpy().tolist() == [0, 0, 0, 0]  # 0.5 is cut at the cast


def test_a_cast_to_integers_passes_its_gradient() -> None:
    x = variable([1.6, 2.2, -3.7, 0], "float32")
    with autograd.record():
        y = x.astype("int32") * 3
        z = y.astype("float32") * 1.7
    z.backward()
    np.testing.assert_allclose(z.asnumpy(), [5.1, 10.2, -15.3, 0], rtol=1e-6)  # single precision
    assert x.grad.asnumpy().tolist() == [3, 3, 3, 3]
    with autograd.record():
        y = x.astype("int32")
    y.backward(nd.array([5, 6, 7, 8], dtype="int32"))
    assert x.grad.asnumpy().tolist() == [5, 6, 7, 8]


def test_large_integers_stay_exact() -> None:
    x = variable([2**53 + 1, 5], "int64")
    with autograd.record():
        y = x * 3
    y.backward()
    assert y.asnumpy().tolist() == [3 * (2**53 + 1), 15] and x.grad.asnumpy().tolist() == [3, 3]


def test_a_variable_may_change_between_recordings_and_gradients_may_add_up() -> None:
    x, total = nd.array([1, 2], dtype="int32"), nd.zeros((2,), dtype="int32")
    autograd.mark_variables([x], [total], grad_reqs="add")
    for _ in range(2):
        x[:] = x + 1
        with autograd.record():
            y = (x * x).sum()
        y.backward()
    assert y.asscalar() == 25 and total.asnumpy().tolist() == [10, 14]


@pytest.mark.parametrize(
    "key", [1, slice(1, 3), (slice(None), 1), slice(None, None, -1), [2, 0], None, (0, [1, 1]), ([0, 1], None, [1, 0])]
)
def test_parts_of_recorded_integers(key: Any) -> None:
    x = variable(np.arange(6).reshape(3, 2))
    with autograd.record():
        part = x[key]
    part.backward()
    expected = np.zeros((3, 2), np.int32)
    np.add.at(expected, key, 1)
    assert part.dtype is np.int32 and part.asnumpy().tolist() == np.arange(6).reshape(3, 2)[key].tolist()
    assert x.grad.asnumpy().tolist() == expected.tolist()


def test_copies_assignments_and_targets() -> None:
    x = variable([1, 2])
    whole, target = nd.zeros((2,), dtype="int32"), nd.zeros((2,), dtype="int32")
    with autograd.record():
        whole[:] = x.copy().reshape((2, 1)).reshape((2,))
        nd.elemwise_add(whole, whole, out=target)
    target.backward()
    assert target.asnumpy().tolist() == [2, 4] and x.grad.asnumpy().tolist() == [2, 2]


def test_selections_sums_and_gradients_by_grad() -> None:
    x = variable([[4, 1], [3, 2], [0, 7]])
    keep = nd.array([0, 1, 1])
    with autograd.record():
        y = nd.contrib.boolean_mask(x, keep).sum() + nd.topk(x, ret_typ="value").sum()
    (gradient,) = autograd.grad(y, [x])
    assert gradient.dtype is np.int32 and gradient.asnumpy().tolist() == [[1, 0], [2, 1], [1, 2]]
    assert y.asscalar() == 12 + 14


def test_operators_without_a_gradient_give_zero_or_refuse() -> None:
    x = variable([1, 0, 2])
    with autograd.record():
        y = nd.BlockGrad(x) + nd.one_hot(x, 3, dtype="int32").sum(axis=1)
    y.backward()
    assert x.grad.asnumpy().tolist() == [0, 0, 0]
    with autograd.record():
        y = nd.Embedding(x, nd.ones((3, 2)), input_dim=3, output_dim=2)
    with pytest.raises(mx.MXNetError, match="no gradient can be asked for input data"):
        y.backward()
