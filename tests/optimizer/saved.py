"""States files: written by one implementation after ten steps, read by another, which goes on for ten more."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.optimizer import cases

#: cases whose states are saved -> whether the optimizer is saved too
CASES = {
    "sgd-momentum_everything": True,
    "sgd-half_momentum": False,
    "adam-everything": True,
    "rmsprop-centered": False,
}
HALF = 10


def _steps(updater: Any, mx: Any, weights: list, gradients: list) -> None:
    for values in gradients:
        grads = [mx.nd.array(value, dtype=value.dtype) for value in values]
        updater(list(range(len(weights))), grads, weights)


def _start(mx: Any, name: str) -> tuple:
    optimizer, shapes, dtype = cases.make(mx, name)
    first, gradients = cases.draws(shapes, dtype)
    updater = mx.optimizer.get_updater(optimizer)
    return updater, [mx.nd.array(array, dtype=dtype) for array in first], gradients


def write(mx: Any, name: str) -> bytes:
    """The states after the first half of a case."""
    updater, weights, gradients = _start(mx, name)
    _steps(updater, mx, weights, gradients[:HALF])
    return updater.get_states(dump_optimizer=CASES[name])


def go_on(mx: Any, content: bytes, name: str) -> dict[str, np.ndarray]:
    """The weights after the second half of a case, from the first weights and the given states."""
    updater, weights, gradients = _start(mx, name)
    updater.set_states(content)
    _steps(updater, mx, weights, gradients[HALF:])
    return {f"weight{i}": array.asnumpy() for i, array in enumerate(weights)}
