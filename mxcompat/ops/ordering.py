"""Sorting and counting. Equal values keep their order.

Compat: the original's order of equal values is whatever its C++ sort leaves, from 17 elements on no longer the first come.
"""

import torch

from mxcompat.base import MXNetError
from mxcompat.ops.dtypes import TORCH_BY_NAME, output_from, same_type, unify
from mxcompat.ops.registry import register
from mxcompat.ops.schema import Bool, DType, Enum, Floats, Int, Optional, Params
from mxcompat.ops.shape import merge, normalize_axis, same_shape, size

_INDEX_TYPES = DType("float16", "float32", "float64", "int32", "int64", "uint8")


def _no_half(data: torch.Tensor) -> None:
    if data.dtype is torch.float16:
        raise MXNetError("sorting float16 is not supported")


def _along(data: torch.Tensor, axis: int | None) -> tuple[torch.Tensor, int]:
    """The array and the axis to sort; None means the flattened array."""
    return (data.reshape(-1), 0) if axis is None else (data, axis)


def _sorted_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    data = ins[0]
    if data is None:
        return ins, outs
    if params.axis is None:
        return ins, [merge((size(data),), outs[0], "output") if -1 not in data else outs[0]]
    normalize_axis(params.axis, len(data))
    return same_shape(params, ins, outs)


@register("sort", infer_shape=_sorted_shape, output_names=("output0",))
def sort(data, *, axis: Optional(Int) = -1, is_ascend: Bool = True):
    """The values in order along an axis, or of the flattened array.

    Compat: the original differentiates it where ``axis`` is given, and raises where it is left out.
    """
    _no_half(data)
    values, where = _along(data, axis)
    return torch.sort(values, dim=where, descending=not is_ascend, stable=True)[0]


@register("argsort", infer_shape=_sorted_shape, infer_type=output_from("dtype"), stops_gradient=True)
def argsort(data, *, axis: Optional(Int) = -1, is_ascend: Bool = True, dtype: _INDEX_TYPES = "float32"):
    """The positions that sort the array along an axis, or flattened."""
    _no_half(data)
    values, where = _along(data, axis)
    return torch.sort(values, dim=where, descending=not is_ascend, stable=True)[1].to(TORCH_BY_NAME[dtype])


def _count(params: Params, length: int) -> int:
    if params.k > length:
        raise MXNetError(f"k must be at most the {length} elements of the axis, got {params.k}")
    return params.k if params.k >= 1 else length


def _topk_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    data = ins[0]
    if data is None or -1 in data:
        return ins, outs
    if params.axis is None:
        shape: tuple = (_count(params, size(data)),)
    else:
        axis = normalize_axis(params.axis, len(data))
        shape = (*data[:axis], _count(params, data[axis]), *data[axis + 1 :])
    if params.ret_typ == "mask":
        shape = data
    return ins, [merge(shape, out, "output") for out in outs]


def _topk_type(params: Params, ins: list, outs: list) -> tuple[list, list]:
    index = TORCH_BY_NAME[params.dtype]
    if params.ret_typ == "indices":
        return ins, [index]
    if params.ret_typ == "both":
        return ins, [ins[0], index]
    return same_type(params, ins, outs)


def _topk_names(params: Params) -> tuple[str, ...]:
    return {"both": ("output0", "output1"), "value": ("output0",)}.get(params.ret_typ, ("output",))


class _Selected(torch.autograd.Function):
    """The values at sorted positions; the gradient goes back to these positions."""

    @staticmethod
    def forward(ctx, values, positions, axis):
        ctx.save_for_backward(positions)
        ctx.axis, ctx.shape = axis, values.shape
        return values.gather(axis, positions)

    @staticmethod
    def backward(ctx, gradient):
        (positions,) = ctx.saved_tensors
        zeros = torch.zeros(ctx.shape, dtype=gradient.dtype, device=gradient.device)
        return zeros.scatter(ctx.axis, positions, gradient), None, None


@register(
    "topk",
    infer_shape=_topk_shape,
    infer_type=_topk_type,
    outputs=lambda params: 2 if params.ret_typ == "both" else 1,
    output_names=_topk_names,
    loss=lambda params: params.ret_typ in ("indices", "mask"),
)
def topk(
    data,
    *,
    axis: Optional(Int) = -1,
    k: Int = 1,
    ret_typ: Enum("both", "indices", "mask", "value") = "indices",
    is_ascend: Bool = False,
    dtype: _INDEX_TYPES = "float32",
):
    """The k largest (smallest) elements along an axis, or of the flattened array; k < 1 means all, sorted.

    ``ret_typ``: their positions, values, both, or a mask of the input's shape. Values are differentiable.
    """
    values, where = _along(data, axis)
    where %= values.ndim
    count = _count(Params(k=k), values.shape[where])
    positions = torch.sort(values.detach(), dim=where, descending=not is_ascend, stable=True)[1].narrow(where, 0, count)
    if ret_typ == "mask":
        mask = torch.zeros_like(values).scatter(where, positions, torch.ones_like(positions, dtype=data.dtype))
        return mask.reshape(data.shape)
    indices = positions.to(TORCH_BY_NAME[dtype])
    if ret_typ == "indices":
        return indices
    selected = _Selected.apply(values, positions, where)
    return (selected, indices) if ret_typ == "both" else selected


def _histogram_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    count, limits = params.bin_cnt, params.range
    if (count is None) != (limits is None):
        raise MXNetError("bin_cnt and range should both be given, or neither of them")
    if limits is not None and (len(limits) != 2 or limits[0] > limits[1]):
        raise MXNetError(f"range={limits}: expected a lower and an upper end, in this order")
    if count is None:
        if ins[1] is None or ins[1] == (-1,):
            return ins, outs
        if len(ins[1]) != 1:
            raise MXNetError(f"bins has shape {ins[1]}, expected one axis")
        count = ins[1][0] - 1
    return ins, [merge((count,), outs[0], "counts"), merge((count + 1,), outs[1], "edges")]


def _histogram_type(params: Params, ins: list, outs: list) -> tuple[list, list]:
    dtype = unify([*ins, outs[1]])
    return [dtype] * len(ins), [torch.int64, dtype]


@register(
    "_histogram",
    infer_shape=_histogram_shape,
    infer_type=_histogram_type,
    active=lambda params: ("data", "bins") if params.bin_cnt is None else ("data",),
    outputs=2,
    stops_gradient=True,
    no_gradient=True,
)
def histogram(
    data,
    bins=None,
    *,
    bin_cnt: Optional(Int(min=1)) = None,
    range: Optional(Floats) = None,  # noqa: A002
):
    """How many elements lie between successive edges, and the edges: (n,) int64 and (n + 1,).

    The edges are ``bins``, or cut ``range`` into ``bin_cnt`` equal parts; the last part includes its upper edge.
    """
    if bins is None:
        parts = torch.arange(bin_cnt + 1, dtype=torch.float64, device=data.device)
        bins = (range[0] + parts * (range[1] - range[0]) / bin_cnt).to(data.dtype)
    count = bins.shape[0] - 1
    values = data.reshape(-1).contiguous()
    places = (torch.searchsorted(bins, values, right=True) - 1).clamp(0, count - 1)
    inside = (values >= bins[0]) & (values <= bins[-1])
    counts = torch.zeros(count, dtype=torch.int64, device=data.device)
    return counts.index_add(0, places, inside.to(torch.int64)), bins.clone()
