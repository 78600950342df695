"""Gradients through arrays of integers, and through casts to integers.

torch differentiates floating tensors alone. The place that an array of integers has in the recording is therefore a
float64 tensor of its shape, of which only the gradient matters: operators compute the result from the integers, and
once more from float64 copies, for the derivative. As in the original, a gradient is an integer where the array is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from mxcompat.context import Context
from mxcompat.ndarray.dispatch import _guarded, _handle, _recorded, _write_out, install_integers, run
from mxcompat.ndarray.history import note
from mxcompat.ops.schema import Operator, Params
from mxcompat.scope import STATE

__all__ = ["copied", "leaf", "values"]


class _Values(torch.autograd.Function):
    """``value`` in the place of ``tape``; the gradient that goes there is cut to integers where ``whole``."""

    @staticmethod
    def forward(ctx: Any, tape: torch.Tensor, value: torch.Tensor, whole: bool) -> torch.Tensor:
        ctx.dtype, ctx.whole = tape.dtype, whole
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple:
        (gradient,) = gradients
        if ctx.whole:
            gradient = gradient + (gradient.trunc() - gradient).detach()
        return gradient.to(ctx.dtype), None, None


def leaf(like: torch.Tensor) -> torch.Tensor:
    """A place for an attached array of integers."""
    return torch.zeros((), dtype=torch.float64, device=like.device).expand(like.shape).requires_grad_(True)


def values(array: Any) -> torch.Tensor:
    """The dense array's place in the recording with its elements, those of integers as float64."""
    data = array._data
    if data.is_floating_point():
        return array._tape
    with torch.enable_grad():
        return _Values.apply(array._tape, data.to(torch.float64), True)


def copied(tape: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """A copy of a part of the recording, of the type that the place of an array like ``like`` has."""
    dtype = like.dtype if like.is_floating_point() else torch.float64
    return tape.to(like.device, dtype, copy=True, memory_format=torch.contiguous_format)


def _widened(array: Any) -> torch.Tensor:
    """An input of the second run."""
    if array._tape is None:
        return array._data.to(torch.float64)
    with torch.enable_grad():
        return values(array).to(torch.float64)


def _derivable(op: Operator, params: Params, exact: Sequence[torch.Tensor], taped: list[torch.Tensor]) -> list:
    """Floating results, connected to ``taped`` where the operator has a derivative."""
    if op.name == "Cast":
        return [taped[0]]
    if op.differentiable and not op.stops_gradient:
        return run(op, params, taped, STATE.training, None, grad=True)
    return [value.to(torch.float64) for value in exact]


def invoke_integers(
    op: Operator, params: Params, given: dict[str, Any], inputs: Sequence[Any], out: Any, context: Context
) -> Any:
    """Run ``op`` with integers among the recorded inputs or results."""
    exact = run(op, params, [x._data for x in inputs], STATE.training, None, grad=False)
    exact = exact[: op.num_visible(params)]
    taped = [_widened(x) for x in inputs]
    places = []
    for value, floating in zip(exact, _derivable(op, params, exact, taped)):
        with torch.enable_grad():
            whole = not value.is_floating_point()
            places.append(floating if whole else _Values.apply(floating, value, False))
    places = [_recorded(place, taped) for place in _guarded(op, places, op.input_names(params), taped)]
    note(op, given, inputs, places)
    if out is not None:
        _write_out(op, exact, out, False)
        handles = list(out) if isinstance(out, (list, tuple)) else [out]
    else:
        handles = [_handle(value, context, False) for value in exact]
    for handle, place in zip(handles, places):
        handle._tape = place if place.requires_grad else None
    return out if out is not None else handles[0] if len(handles) == 1 else handles


install_integers(invoke_integers)
