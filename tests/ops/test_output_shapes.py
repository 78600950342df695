"""Sizes of created arrays that their consumers complete."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mxcompat as mx


def _forward(symbol: Any, **shapes: Any) -> np.ndarray:
    executor = symbol.simple_bind(mx.cpu(), **shapes)
    for name in shapes:
        executor.arg_dict[name][:] = 0
    return executor.forward()[0].asnumpy()


# recorded with MXNet 1.9.1
@pytest.mark.parametrize(
    ("created", "expected"),
    [
        (lambda: mx.sym.ones((0, 3)), [[1, 1, 1], [1, 1, 1]]),
        (lambda: mx.sym.ones((0, 0)), [[1, 1, 1], [1, 1, 1]]),
        (lambda: mx.sym.full((2, 0), 2.5), [[2.5, 2.5, 2.5], [2.5, 2.5, 2.5]]),
        (lambda: mx.sym._internal._zeros(shape=()), [[0, 0, 0], [0, 0, 0]]),
        (lambda: mx.sym.random.uniform(1.0, 1.0, shape=(0, 3)), [[1, 1, 1], [1, 1, 1]]),
        (lambda: mx.sym.cast(mx.sym.random.randint(4, 5, shape=(2, 0)), dtype="float32"), [[4, 4, 4], [4, 4, 4]]),
    ],
)
def test_consumers_complete_the_shape(created: Any, expected: list) -> None:
    assert _forward(created() + mx.sym.Variable("x"), x=(2, 3)).tolist() == expected


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"start": 1, "step": 2}, [1, 3, 5, 7]),
        ({"start": 1, "step": 2, "repeat": 2}, [1, 1, 3, 3]),
        ({"start": 3}, [3, 4, 5, 6]),
    ],
)
def test_consumers_say_how_long_a_range_is(params: dict, expected: list) -> None:
    created = mx.sym.arange(infer_range=True, **params)
    assert _forward(created + mx.sym.Variable("x"), x=(4,)).tolist() == expected


def test_a_created_shape_that_nothing_completes_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="does not follow"):
        mx.sym.zeros((0, 3)).simple_bind(mx.cpu())
    with pytest.raises(mx.base.MXNetError, match="inferring shapes failed"):
        mx.nd.random.uniform(shape=(0, 3))


def test_each_bind_completes_the_shape_anew() -> None:
    symbol = mx.sym.ones((0, 2)) + mx.sym.Variable("x")
    executor = symbol.simple_bind(mx.cpu(), x=(3, 2))
    assert executor.forward()[0].shape == (3, 2)
    larger = executor.reshape(x=(5, 2), allow_up_sizing=True)
    assert larger.forward()[0].shape == (5, 2)
    assert executor.forward()[0].shape == (3, 2)
