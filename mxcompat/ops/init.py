"""Operators that create arrays from parameters alone.

A 0 in their ``shape`` (and an empty shape) is an unknown size: in a graph it is filled in from the consumers. Under
NumPy shape semantics -1 is.
"""

import math
from collections.abc import Callable

import torch

from mxcompat.base import MXNetError
from mxcompat.context import Context
from mxcompat.dtype import NAMES
from mxcompat.ops.dtypes import TORCH_BY_NAME, in_type, output_from, unify
from mxcompat.ops.registry import register
from mxcompat.ops.schema import Bool, Device, DType, Float, Int, NoEffect, Optional, OutputShape, Params, Shape, Str
from mxcompat.ops.shape import merge, normalize_axis, partial_shape, size

_ARANGE_TYPES = DType("bfloat16", "float16", "float32", "float64", "int32", "int64", "int8", "uint8")


def created_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    """The ``shape`` parameter, and what the consumers say of its unknown sizes."""
    return ins, [merge(partial_shape(params.shape), outs[0], "shape")]


@register("_zeros", infer_shape=created_shape, infer_type=output_from("dtype"))
def zeros(
    *,
    shape: Shape() = (),
    ctx: NoEffect(Str) = "",
    dtype: DType() = "float32",
    created: OutputShape,
    device: Device = None,
):
    """An array of zeros."""
    return torch.zeros(created, dtype=TORCH_BY_NAME[dtype], device=device)


def _late_type(params: Params, ins: list, outs: list) -> tuple[list, list]:
    """The type that the code ``dtype`` names; -1: what the consumers say."""
    if params.dtype == -1:
        return ins, outs
    if params.dtype not in NAMES:
        raise MXNetError(f"dtype={params.dtype}: expected -1 or a type's code, one of {sorted(NAMES)}")
    return ins, [unify([TORCH_BY_NAME[NAMES[params.dtype]], *outs], "output")]


def _zeros_of(params: Params, context: Context, ins: list, in_types: list, outs: list, out_types: list) -> Callable:
    def blank(device: torch.device | None = None) -> torch.Tensor:
        return torch.zeros(outs[0], dtype=out_types[0], device=device)

    return blank


@register("_zeros_without_dtype", infer_shape=created_shape, infer_type=_late_type, instantiate=_zeros_of)
def zeros_without_dtype(
    *, shape: Optional(Shape()) = None, ctx: NoEffect(Str) = "", dtype: Int = -1, device: Device = None
):
    """An array of zeros whose type, unless the code ``dtype`` gives it, is that of what uses it; alone it raises."""
    return torch.zeros(shape, dtype=TORCH_BY_NAME[NAMES[dtype]], device=device)


@register("_ones", infer_shape=created_shape, infer_type=output_from("dtype"))
def ones(
    *,
    shape: Shape() = (),
    ctx: NoEffect(Str) = "",
    dtype: DType() = "float32",
    created: OutputShape,
    device: Device = None,
):
    """An array of ones."""
    return torch.ones(created, dtype=TORCH_BY_NAME[dtype], device=device)


@register("_full", infer_shape=created_shape, infer_type=output_from("dtype"))
def full(
    *,
    shape: Optional(Shape()) = None,
    ctx: NoEffect(Str) = "",
    dtype: DType() = "float32",
    value: Float,
    created: OutputShape,
    device: Device = None,
):
    """An array filled with ``value``."""
    kind = TORCH_BY_NAME[dtype]
    return torch.full(created, in_type(value, kind), dtype=kind, device=device)


def _range_length(params: Params) -> int:
    """How many elements, repetitions included."""
    if params.step == 0:
        raise MXNetError("step cannot be 0")
    start, stop = (0.0, params.start) if params.stop is None else (params.start, params.stop)
    count = math.ceil((stop - start) / params.step)
    if count <= 0:
        raise MXNetError(f"Invalid range (start, stop, step) = ({start}, {stop}, {params.step}): it is empty")
    return count * params.repeat


def _arange_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    if params.infer_range and params.stop is None:
        return ins, [merge((-1,), outs[0], "range")]
    return ins, [merge((_range_length(params),), outs[0], "range")]


#: Compat: start and step are cut to integers in these types, also in the two narrow floating ones
_WHOLE_STEPS = (torch.int8, torch.uint8, torch.int32, torch.int64, torch.float16, torch.bfloat16)


def _progression(start: float, step: float, repeat: int, count: int, dtype: torch.dtype, device) -> torch.Tensor:
    """``count`` values by ``step``, each ``repeat`` times, computed in the result's own type."""
    places = torch.arange(count, device=device)
    if repeat > 1:
        places = torch.div(places, repeat, rounding_mode="floor")
    wide = torch.int64 if dtype in _WHOLE_STEPS else dtype
    if dtype in _WHOLE_STEPS:
        start, step = int(start), int(step)
    return (places.to(wide) * step + start).to(dtype)


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
    created: OutputShape,
    device: Device = None,
):
    """Values from ``start`` below ``stop`` by ``step``, each ``repeat`` times; with ``stop`` None, from 0 below ``start``.

    With ``infer_range`` and no ``stop`` the consumer says how many, beginning at ``start``.
    """
    if stop is None and not infer_range:
        start = 0.0
    return _progression(start, step, repeat, created[0], TORCH_BY_NAME[dtype], device)


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
    N: Int(min=0),  # noqa: N803
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
    if data is None:
        return ins, outs
    shape = data if params.axis is None else (data[normalize_axis(params.axis, len(data))],)
    return ins, [merge(shape, outs[0], "output")]


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
    return _progression(start, step, repeat, size(shape), data.dtype, data.device).reshape(shape)
