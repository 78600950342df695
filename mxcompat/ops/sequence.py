"""Operators on padded sequences whose true lengths are given besides."""

from typing import Any

import torch

from mxcompat.base import MXNetError
from mxcompat.ops.dtypes import free_inputs
from mxcompat.ops.registry import register
from mxcompat.ops.schema import Bool, Float, Int, Params
from mxcompat.ops.shape import merge


def _inputs(params: Params) -> tuple[str, ...]:
    return ("data", "sequence_length") if params.use_sequence_length else ("data",)


def _sequence_rule(axes: tuple[int, ...], drops_time: bool = False):
    def rule(params: Params, ins: list, outs: list) -> tuple[list, list]:
        axis = params.axis
        if axis not in axes:
            raise MXNetError(f"axis={axis}: expected {' or '.join(map(str, axes))}")
        data = ins[0] if drops_time else merge(ins[0], outs[0], "output")
        if data is None:
            return ins, outs
        if len(data) < 2:
            raise MXNetError(f"data has shape {data}, expected at least 2 axes")
        batch = (data[1 - axis],)
        lengths = [merge(batch, shape, "Shape inconsistent, input sequence_length") for shape in ins[1:]]
        output = data[:axis] + data[axis + 1 :] if drops_time else data
        return [data, *lengths], [merge(output, outs[0], "output")]

    return rule


def _options(axes: tuple[int, ...], drops_time: bool = False) -> dict[str, Any]:
    rule = _sequence_rule(axes, drops_time)
    return {"infer_shape": rule, "infer_type": free_inputs, "active": _inputs}


def _steps(data, axis: int):
    """0, 1, … along the time axis, with a size of 1 on the batch axis."""
    time = torch.arange(data.shape[axis], device=data.device)
    return time.unsqueeze(1 - axis)


def _over_features(positions, ndim: int):
    return positions.reshape(*positions.shape, *[1] * (ndim - 2))


@register("SequenceMask", **_options((0, 1)), may_view=True)
def sequence_mask(data, sequence_length=None, *, use_sequence_length: Bool = False, value: Float = 0.0, axis: Int = 0):
    """``value`` in place of the steps beyond each sequence's length.

    data (T, N, ...), or (N, T, ...) with axis=1; sequence_length (N,), cut to whole numbers -> like data. Without
    ``use_sequence_length`` the data is returned.
    """
    if not use_sequence_length:
        return data
    lengths = sequence_length.to(torch.int64).unsqueeze(axis)
    beyond = _over_features(_steps(data, axis) >= lengths, data.ndim)
    return data.masked_fill(beyond, value if data.is_floating_point() else int(value))


@register("SequenceLast", **_options((0, 1), drops_time=True), may_view=True)
def sequence_last(data, sequence_length=None, *, use_sequence_length: Bool = False, axis: Int = 0):
    """The last step of each sequence: data (T, N, ...), or (N, T, ...) with axis=1 -> (N, ...).

    Lengths outside [1, T], for which the original reads foreign memory, are moved into it.
    """
    if not use_sequence_length:
        return data.select(axis, data.shape[axis] - 1)
    last = (sequence_length.to(torch.int64) - 1).clamp(0, data.shape[axis] - 1)
    rows = torch.arange(data.shape[1 - axis], device=data.device)
    return data[last, rows] if axis == 0 else data[rows, last]


@register("SequenceReverse", **_options((0,)), may_view=True)
def sequence_reverse(data, sequence_length=None, *, use_sequence_length: Bool = False, axis: Int = 0):
    """The first ``sequence_length`` steps of each sequence in reverse order, the rest unchanged: data (T, N, ...).

    Without ``use_sequence_length`` all steps are reversed.
    """
    if not use_sequence_length:
        return data.flip(0)
    steps = _steps(data, 0)
    lengths = sequence_length.to(torch.int64).clamp(max=data.shape[0])
    source = torch.where(steps < lengths, lengths - 1 - steps, steps)
    return data.gather(0, _over_features(source, data.ndim).expand(data.shape))
