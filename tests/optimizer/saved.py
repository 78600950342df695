"""States files: written by one implementation after ten steps, read by another, which goes on for ten more."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.optimizer import cases

#: id -> (case, whether the optimizer is saved too): every optimizer both ways. With half weights LARS is left out: the
#: original takes norms of the half weights, which after loading states alone are not their float32 copies rounded.
CASES = {
    name + ("+optimizer" if dump else ""): (name, dump)
    for name in cases.CASES
    if "-" not in name or name.endswith(("-everything", "-half", "-momentum", "-centered"))
    if name != "lars-half"
    for dump in (False, True)
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


def write(mx: Any, saved: str) -> bytes:
    """The states after the first half of a case."""
    name, dump = CASES[saved]
    updater, weights, gradients = _start(mx, name)
    _steps(updater, mx, weights, gradients[:HALF])
    return updater.get_states(dump_optimizer=dump)


def go_on(mx: Any, content: bytes, saved: str) -> dict[str, np.ndarray]:
    """The weights after the second half of a case, from the first weights and the given states."""
    updater, weights, gradients = _start(mx, CASES[saved][0])
    updater.set_states(content)
    _steps(updater, mx, weights, gradients[HALF:])
    return {f"weight{i}": array.asnumpy() for i, array in enumerate(weights)}
