"""Operators that create arrays from parameters alone."""

import math

import torch

from mxcompat.base import MXNetError
from mxcompat.ops.dtypes import TORCH_BY_NAME, output_from
from mxcompat.ops.registry import register
from mxcompat.ops.schema import Bool, Device, DType, Float, Int, NoEffect, Optional, Params, Shape, Str
from mxcompat.ops.shape import is_known, merge, normalize_axis, size

_ARANGE_TYPES = DType("bfloat16", "float16", "float32", "float64", "int32", "int64", "int8", "uint8")


def _given_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    """The ``shape`` parameter, in which 0 (and an empty shape) is filled in from the consumers."""
    shape = tuple(-1 if dim <= 0 else dim for dim in params.shape or ()) or None
    return ins, [merge(shape, outs[0], "shape")]


@register("_zeros", infer_shape=_given_shape, infer_type=output_from("dtype"))
def zeros(*, shape: Shape() = (), ctx: NoEffect(Str) = "", dtype: DType() = "float32", device: Device = None):
    """An array of zeros."""
    return torch.zeros(shape, dtype=TORCH_BY_NAME[dtype], device=device)


@register("_ones", infer_shape=_given_shape, infer_type=output_from("dtype"))
def ones(*, shape: Shape() = (), ctx: NoEffect(Str) = "", dtype: DType() = "float32", device: Device = None):
    """An array of ones."""
    return torch.ones(shape, dtype=TORCH_BY_NAME[dtype], device=device)


@register("_full", infer_shape=_given_shape, infer_type=output_from("dtype"))
def full(
    *,
    shape: Optional(Shape()) = None,
    ctx: NoEffect(Str) = "",
    dtype: DType() = "float32",
    value: Float,
    device: Device = None,
):
    """An array filled with ``value``."""
    kind = TORCH_BY_NAME[dtype]
    return torch.full(shape or (), value if kind.is_floating_point else int(value), dtype=kind, device=device)


def _range_length(params: Params) -> int:
    """How many elements, repetitions included."""
    if params.step == 0:
        raise MXNetError("step cannot be 0")
    start, stop = (0.0, params.start) if params.stop is None else (params.start, params.stop)
    count = math.ceil((stop - start) / params.step)
    if count <= 0:
        raise MXNetError(f"the range from {start} to {stop} by {params.step} is empty")
    return count * params.repeat


def _arange_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    if params.infer_range and params.stop is None:
        return ins, outs
    return ins, [merge((_range_length(params),), outs[0], "range")]


@register("_arange", infer_shape=_arange_shape, infer_type=output_from("dtype"))
def arange(
    *,
    start: Float,
    stop: Optional(Float) = None,
    step: Float = 1.0,
    repeat: Int(min=1) = 1,
    infer_range: Bool = False,
    ctx: NoEffect(Str) = "",
    dtype: _ARANGE_TYPES = "float32",
    device: Device = None,
):
    """Values from ``start`` below ``stop`` by ``step``, each ``repeat`` times; with ``stop`` None, from 0 below ``start``."""
    if stop is None:
        start, stop = 0.0, start
    count = math.ceil((stop - start) / step)
    values = start + step * torch.arange(count, dtype=torch.float64, device=device)
    if repeat > 1:
        values = values.repeat_interleave(repeat)
    return values.to(TORCH_BY_NAME[dtype])


@register(
    "_linspace",
    infer_shape=lambda params, ins, outs: (ins, [merge((params.num,), outs[0], "num")]),
    infer_type=output_from("dtype"),
)
def linspace(
    *,
    start: Float,
    stop: Float,
    num: Int(min=0),
    endpoint: Bool = True,
    ctx: NoEffect(Str) = "",
    dtype: _ARANGE_TYPES = "float32",
    device: Device = None,
):
    """``num`` evenly spaced values from ``start`` to ``stop`` (left out unless ``endpoint``)."""
    parts = num - 1 if endpoint else num
    step = (stop - start) / parts if parts > 0 else 0.0
    return (start + step * torch.arange(num, dtype=torch.float64, device=device)).to(TORCH_BY_NAME[dtype])


@register(
    "_eye",
    infer_shape=lambda params, ins, outs: (ins, [merge((params.N, params.M or params.N), outs[0], "shape")]),
    infer_type=output_from("dtype"),
)
def eye(
    *,
    N: Int(min=1),  # noqa: N803
    M: Int(min=0) = 0,  # noqa: N803
    k: Int = 0,
    ctx: NoEffect(Str) = "",
    dtype: DType("float16", "float32", "float64", "int32", "int64", "int8", "uint8") = "float32",
    device: Device = None,
):
    """An N x M matrix (M = 0: N x N) with ones on its k-th diagonal."""
    rows = torch.arange(N, device=device).unsqueeze(1)
    columns = torch.arange(M or N, device=device)
    return (columns - rows == k).to(TORCH_BY_NAME[dtype])


def _arange_like_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    data = ins[0]
    if data is None or (params.axis is None and not is_known(data)):
        return ins, outs
    shape = data if params.axis is None else (data[normalize_axis(params.axis, len(data))],)
    return ins, [merge(tuple(shape), outs[0], "output")]


@register("_contrib_arange_like", infer_shape=_arange_like_shape, stops_gradient=True)
def arange_like(
    data,
    *,
    start: Float = 0.0,
    step: Float = 1.0,
    repeat: Int(min=1) = 1,
    ctx: NoEffect(Str) = "",
    axis: Optional(Int) = None,
):
    """Values by ``step``, each ``repeat`` times, in the shape of ``data`` or as long as one of its axes."""
    shape = tuple(data.shape) if axis is None else (data.shape[axis],)
    count = size(shape)
    places = torch.div(torch.arange(count, device=data.device), repeat, rounding_mode="floor")
    return (start + step * places).to(data.dtype).reshape(shape)
