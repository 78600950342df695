"""Reductions: over all axes, some of them, or all but some. A full reduction gives shape (1,)."""

from collections.abc import Callable

import torch

from mxcompat.base import MXNetError
from mxcompat.ops.dtypes import TORCH_BY_NAME, same_type
from mxcompat.ops.elemwise import cast_tensor, define, taped
from mxcompat.ops.registry import register
from mxcompat.ops.schema import Bool, DType, Int, Optional, Params, Shape
from mxcompat.ops.shape import merge, normalize_axis


def reduced_axes(ndim: int, axis: tuple[int, ...] | None, exclude: bool = False) -> tuple[int, ...]:
    """The axes that are reduced; ``MXNetError`` for one out of range or named twice."""
    if not axis:  # Compat: ``exclude`` of no axes reduces all of them too
        return tuple(range(ndim))
    axes = [normalize_axis(a, ndim) for a in axis]
    if len(set(axes)) != len(axes):
        raise MXNetError(f"axis {axis}: an axis is named twice")
    return tuple(a for a in range(ndim) if a not in axes) if exclude else tuple(sorted(axes))


def reduced_shape(shape: tuple, axes: tuple[int, ...], keepdims: bool) -> tuple:
    """What remains of ``shape``; (1,) when nothing does."""
    if keepdims:
        return tuple(1 if i in axes else dim for i, dim in enumerate(shape))
    return tuple(dim for i, dim in enumerate(shape) if i not in axes) or (1,)


def _reduce_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    data = ins[0]
    if data is None:
        return ins, outs
    axes = reduced_axes(len(data), params.axis, params.get("exclude", False))
    return ins, [merge(reduced_shape(data, axes, params.keepdims), outs[0], "output")]


def _sum(data, axes):
    return data.sum(axes, keepdim=True, dtype=data.dtype)


def _mean(data, axes):
    if data.is_floating_point():
        return data.mean(axes, keepdim=True)
    count = 1
    for axis in axes:
        count *= data.shape[axis]
    return torch.div(data.sum(axes, keepdim=True, dtype=data.dtype), count, rounding_mode="trunc").to(data.dtype)


class _Product(torch.autograd.Function):
    """The product along axes; gradient head * product / x, which is nan where x is 0."""

    @staticmethod
    def forward(ctx, data, axes):
        result = data
        for axis in axes:
            result = result.prod(axis, keepdim=True, dtype=data.dtype)
        ctx.save_for_backward(data, result)
        return result

    @staticmethod
    def backward(ctx, gradient):
        data, result = ctx.saved_tensors
        return gradient * result / data, None


def _prod(data, axes):
    return _Product.apply(data, axes)


class _Extremum(torch.autograd.Function):
    """The largest (smallest) value along axes; every tied position receives the whole gradient."""

    @staticmethod
    def forward(ctx, data, axes, function):
        value = function(data, axes, keepdim=True)
        ctx.save_for_backward(data == value)
        return value

    @staticmethod
    def backward(ctx, gradient):
        (chosen,) = ctx.saved_tensors
        return torch.where(chosen, gradient, 0), None, None


def _extremum(function: Callable) -> Callable:
    def reduced(data, axes):
        return _Extremum.apply(data, axes, function) if taped(data) else function(data, axes, keepdim=True)

    return reduced


def _nan_as(number: int) -> Callable:
    def replaced(data):
        return torch.where(torch.isnan(data), number, data) if data.is_floating_point() else data

    return replaced


_zero_nan, _one_nan = _nan_as(0), _nan_as(1)

#: name -> (aliases, function of data and axes that keeps the axes, text)
_TABLE: dict[str, tuple[tuple[str, ...], Callable, str]] = {
    "sum": (("_sparse_sum", "sum_axis"), _sum, "The sum."),
    "mean": (("_sparse_mean",), _mean, "The mean; of integers it is cut towards zero."),
    "prod": ((), _prod, "The product."),
    "max": (("max_axis",), _extremum(torch.amax), "The largest value; ties all get the gradient."),
    "min": (("min_axis",), _extremum(torch.amin), "The smallest value; ties all get the gradient."),
    "nansum": ((), lambda x, axes: _sum(_zero_nan(x), axes), "The sum, nan counting as 0."),
    "nanprod": ((), lambda x, axes: _prod(_one_nan(x), axes), "The product, nan counting as 1."),
}


def _operator(name: str, function: Callable, text: str) -> Callable:
    def operator(data, *, axis: Optional(Shape()) = None, keepdims: Bool = False, exclude: Bool = False):
        axes = reduced_axes(data.ndim, axis, exclude)
        result = function(data, axes) if axes else data.clone()
        return result if keepdims else result.reshape(reduced_shape(tuple(data.shape), axes, False))

    define(operator, name, f"{text}\n\nOver all axes (None or empty), the given ones, or with ``exclude`` all others.")
    return operator


for _name, (_aliases, _function, _text) in _TABLE.items():
    register(_name, _aliases, infer_shape=_reduce_shape)(_operator(_name, _function, _text))


def _norm_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    if params.ord not in (1, 2):
        raise MXNetError(f"norm only supports ord=1 and ord=2, got {params.ord}")
    return _reduce_shape(params, ins, outs)


def _norm_type(params: Params, ins: list, outs: list) -> tuple[list, list]:
    if params.out_dtype is None:
        return same_type(params, ins, outs)
    return ins, [TORCH_BY_NAME[params.out_dtype]]


class _EuclideanNorm(torch.autograd.Function):
    """sqrt(sum x^2); gradient head * x / norm, which is nan at the zero vector."""

    @staticmethod
    def forward(ctx, data, axes):
        value = torch.sqrt((data * data).sum(axes, keepdim=True))
        ctx.save_for_backward(data, value)
        return value

    @staticmethod
    def backward(ctx, gradient):
        data, value = ctx.saved_tensors
        return gradient * data / value, None


@register("norm", ("_sparse_norm",), infer_shape=_norm_shape, infer_type=_norm_type)
def norm(
    data,
    *,
    ord: Int = 2,  # noqa: A002
    axis: Optional(Shape()) = None,
    out_dtype: Optional(DType("float16", "float32", "float64", "int32", "int64", "int8")) = None,
    keepdims: Bool = False,
):
    """The sum of absolute values (``ord`` 1) or the root of the sum of squares (``ord`` 2), computed in ``out_dtype``."""
    axes = reduced_axes(data.ndim, axis)
    floating = data if data.is_floating_point() else data.to(torch.float32)
    if out_dtype in ("float32", "float64"):
        floating = floating.to(TORCH_BY_NAME[out_dtype])
    result = torch.abs(floating).sum(axes, keepdim=True) if ord == 1 else _EuclideanNorm.apply(floating, axes)
    result = result if keepdims else result.reshape(reduced_shape(tuple(data.shape), axes, False))
    return result.to(TORCH_BY_NAME[out_dtype] if out_dtype else data.dtype)


def _moments_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    data = ins[0]
    if not params.axes:
        raise MXNetError("axes is missing: name all axes for the moments of the whole array")
    if data is None:
        return ins, outs
    shape = reduced_shape(data, reduced_axes(len(data), params.axes), params.keepdims)
    return ins, [merge(shape, out, "output") for out in outs]


@register("moments", infer_shape=_moments_shape, outputs=2)
def moments(data, *, axes: Optional(Shape()) = None, keepdims: Bool = False):
    """Mean and (biased) variance over the given axes."""
    over = reduced_axes(data.ndim, axes)
    mean = _mean(data, over)
    variance = _mean((data - mean) * (data - mean), over)
    if keepdims:
        return mean, variance
    shape = reduced_shape(tuple(data.shape), over, False)
    return mean.reshape(shape), variance.reshape(shape)


def _cumsum_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    data = ins[0]
    if params.axis is None:
        if data is None or -1 in data:
            return ins, outs
        count = 1
        for dim in data:
            count *= dim
        return ins, [merge((count,), outs[0], "output")]
    if data is not None:
        normalize_axis(params.axis, len(data))
    shape = merge(data, outs[0], "output")
    return [shape], [shape]


def _cumsum_type(params: Params, ins: list, outs: list) -> tuple[list, list]:
    if params.dtype is None:
        return same_type(params, ins, outs)
    return ins, [TORCH_BY_NAME[params.dtype]]


@register("_np_cumsum", ("cumsum",), infer_shape=_cumsum_shape, infer_type=_cumsum_type)
def cumsum(
    a,
    *,
    axis: Optional(Int) = None,
    dtype: Optional(DType("float16", "float32", "float64", "int32", "int64", "int8")) = None,
):
    """Running sums along an axis, or over the flattened array."""
    data = cast_tensor(a, TORCH_BY_NAME[dtype]) if dtype else a
    return torch.cumsum(data.reshape(-1) if axis is None else data, axis or 0, dtype=data.dtype)


# -- positions of extrema ---------------------------------------------------------------------------------------------


def _position_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    data = ins[0]
    if data is None:
        return ins, outs
    axes = tuple(range(len(data))) if params.axis is None else (normalize_axis(params.axis, len(data)),)
    return ins, [merge(reduced_shape(data, axes, params.keepdims), outs[0], "output")]


def _first_position(data, axis, keepdims, largest):
    """The first position of the extremum, in the array's own type."""
    flat = data.reshape(-1) if axis is None else data
    where = 0 if axis is None else axis
    extremum = torch.amax(flat, where, keepdim=True) if largest else torch.amin(flat, where, keepdim=True)
    places = torch.arange(flat.shape[where], device=data.device)
    places = places.reshape([-1 if i == where % flat.ndim else 1 for i in range(flat.ndim)])
    chosen = (flat == extremum) | torch.isnan(flat) if flat.is_floating_point() else flat == extremum
    first = torch.where(chosen, places, flat.shape[where]).amin(where, keepdim=True)
    axes = tuple(range(data.ndim)) if axis is None else (axis % data.ndim,)
    return first.reshape(reduced_shape(tuple(data.shape), axes, keepdims)).to(data.dtype)


@register("argmax", infer_shape=_position_shape, stops_gradient=True)
def argmax(data, *, axis: Optional(Int) = None, keepdims: Bool = False):
    """The first position of the largest value, in the type of ``data`` (over the flattened array when axis is None)."""
    return _first_position(data, axis, keepdims, True)


@register("argmin", infer_shape=_position_shape, stops_gradient=True)
def argmin(data, *, axis: Optional(Int) = None, keepdims: Bool = False):
    """The first position of the smallest value, in the type of ``data`` (over the flattened array when axis is None)."""
    return _first_position(data, axis, keepdims, False)


def _channel_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    if ins[0] is None:
        return ins, outs
    if len(ins[0]) < 2:
        raise MXNetError(f"expected at least two axes, got {ins[0]}")
    return ins, [merge((ins[0][0], *ins[0][2:]), outs[0], "output")]


@register("argmax_channel", infer_shape=_channel_shape, stops_gradient=True, no_gradient=True)
def argmax_channel(data):
    """The first position of the largest value along axis 1, in the type of ``data``."""
    return _first_position(data, 1, False, True)
