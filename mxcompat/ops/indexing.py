"""Look-ups: embedding, take, pick, one-hot, gather and scatter.

Indices may have any element type and are cut to whole numbers. Where the original refuses an index by its value, eager
CPU execution does so too, and other executions move it into the range.
"""

import torch
from torch.nn import functional

from mxcompat.base import MXNetError
from mxcompat.ops.dtypes import NAME_BY_TORCH, TORCH_BY_NAME, floating, free_inputs, open_inputs, output_from, unify
from mxcompat.ops.registry import register
from mxcompat.ops.schema import Bool, DType, Enum, Float, Int, Optional, Params, Shape
from mxcompat.ops.shape import forward_rule, is_known, merge, normalize_axis, size

NumberType = DType("bfloat16", "float16", "float32", "float64", "int32", "int64", "int8", "uint8")


def _in_range(index, count: int, mode: str):
    """Whole-number indices brought into [0, count): cut off at the ends (``clip``) or modulo the size (``wrap``)."""
    whole = index.to(torch.int64)
    return whole.remainder(count) if mode == "wrap" else whole.clamp(0, count - 1)


def embedding_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    weight = merge((params.input_dim, params.output_dim), ins[1], "Shape inconsistent, input weight")
    data = ins[0]
    if outs[0] is not None:
        data = merge(data, outs[0][:-1], "output")
    return [data, weight], [None if data is None else merge((*data, params.output_dim), outs[0], "output")]


def embedding_type(params: Params, ins: list, outs: list) -> tuple[list, list]:
    weight = unify([ins[1], outs[0]]) or TORCH_BY_NAME[params.dtype]
    return [ins[0], weight], [weight]


@register(
    "Embedding",
    ("_sparse_Embedding",),
    infer_shape=embedding_shape,
    infer_type=embedding_type,
    no_gradient=("data",),
)
def embedding(
    data,
    weight,
    *,
    input_dim: Int(min=1),
    output_dim: Int(min=1),
    dtype: NumberType = "float32",
    sparse_grad: Bool = False,
):
    """Rows of ``weight`` (input_dim, output_dim) named by ``data`` (...) -> (..., output_dim).

    Numbers outside [0, input_dim) are moved to its ends, in the gradient too; ``dtype`` is the type of a weight whose
    type nothing else fixes. With ``sparse_grad`` the gradient of the weight is row_sparse.
    """
    return functional.embedding(_in_range(data, input_dim, "clip"), weight)


def _take_shape(params: Params, *shapes: tuple) -> tuple:
    source, indices = shapes
    if not source:
        raise MXNetError("a must have at least one dimension")
    axis = normalize_axis(params.axis, len(source))
    return (*source[:axis], *indices, *source[axis + 1 :])


def _check_take(params: Params, a, indices) -> None:
    count = a.shape[params.axis]
    if params.mode == "raise" and bool(((indices < 0) | (indices >= count)).any()):
        raise MXNetError(f"take: indices contain indices out of bound for axis {params.axis} with size {count}")


@register(
    "take",
    infer_shape=forward_rule(_take_shape, partial=True),
    infer_type=free_inputs,
    check=_check_take,
    may_view=True,
)
def take(a, indices, *, axis: Int = 0, mode: Enum("clip", "raise", "wrap") = "clip"):
    """Slices of ``a`` along ``axis``, one for each index: the axes of ``indices`` replace that axis.

    ``clip`` moves indices outside to the ends (negative ones to 0), ``wrap`` takes them modulo the size, ``raise``
    refuses them with ``MXNetError``.
    """
    position = axis % a.ndim
    index = _in_range(indices, a.shape[position], mode)
    if position == 0 and a.ndim == 2 and a.is_floating_point():
        return functional.embedding(index, a)
    picked = a.index_select(position, index.reshape(-1))
    return picked.reshape((*a.shape[:position], *indices.shape, *a.shape[position + 1 :]))


def _pick_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    data, index = ins
    if params.axis is None:
        raise MXNetError("axis=None is not supported, an axis must be given")
    if data is None:
        return ins, outs
    axis = normalize_axis(params.axis, len(data))
    rows, kept = data[:axis] + data[axis + 1 :] or (1,), (*data[:axis], 1, *data[axis + 1 :])
    keeps = index is not None and len(index) == len(data)
    index = merge(kept if keeps else rows, index, "Shape inconsistent, input index")
    return [data, index], [merge(kept if params.keepdims else rows, outs[0], "output")]


@register("pick", ("choose_element_0index",), infer_shape=_pick_shape, infer_type=free_inputs, may_view=True)
def pick(data, index, *, axis: Optional(Int) = -1, keepdims: Bool = False, mode: Enum("clip", "wrap") = "clip"):
    """One element along ``axis`` for each position of the other axes.

    ``index`` has the shape of the data without that axis, or with size 1 there; ``mode`` as in ``take``.
    """
    position = axis % data.ndim
    chosen = _in_range(index, data.shape[position], mode)
    if index.ndim < data.ndim or data.ndim == 1:
        chosen = chosen.reshape(*data.shape[:position], 1, *data.shape[position + 1 :])
    picked = data.gather(position, chosen)
    return picked if keepdims or data.ndim == 1 else picked.squeeze(position)


def _batch_take_shape(params: Params, *shapes: tuple) -> tuple:
    source, indices = shapes
    if not source or size(source[:-1]) != size(indices):
        raise MXNetError(f"indices have shape {indices}, expected one for each row of a, which has shape {source}")
    return indices


def _batch_take_type(params: Params, ins: list, outs: list) -> tuple[list, list]:
    if ins[1] not in (None, torch.int32):
        raise MXNetError(f"indices have type {NAME_BY_TORCH[ins[1]]}, expected int32")
    source = unify([ins[0], outs[0]])
    return [source, torch.int32], [source]


@register(
    "batch_take",
    infer_shape=forward_rule(_batch_take_shape),
    infer_type=_batch_take_type,
    no_gradient=True,
)
def batch_take(a, indices):
    """One element of each row of ``a`` (..., K): indices (int32, one for each row) -> the shape of indices."""
    rows = a.reshape(-1, a.shape[-1])
    return rows.gather(1, _in_range(indices, rows.shape[1], "clip").reshape(-1, 1)).reshape(indices.shape)


@register(
    "one_hot",
    infer_shape=forward_rule(lambda params, indices: (*indices, params.depth), partial=True),
    infer_type=output_from("dtype"),
    stops_gradient=True,
)
def one_hot(
    indices, *, depth: Int(min=0), on_value: Float = 1.0, off_value: Float = 0.0, dtype: NumberType = "float32"
):
    """``on_value`` at each index along a new last axis of size ``depth``, ``off_value`` elsewhere.

    An index outside [0, depth) gives a row of ``off_value``.
    """
    kind = TORCH_BY_NAME[dtype]
    on, off = (value if kind.is_floating_point else int(value) for value in (on_value, off_value))
    hit = indices.to(torch.int64).unsqueeze(-1) == torch.arange(depth, device=indices.device)
    return torch.where(hit, on, off).to(kind)


def _axis_indices(indices, sizes) -> tuple:
    """One index tensor for each leading axis; negative numbers count from its end."""
    whole = indices.to(torch.int64)
    rows = [whole[axis] for axis in range(whole.shape[0])]
    return tuple(torch.where(row < 0, row + n, row).clamp(0, n - 1) for row, n in zip(rows, sizes))


def _check_axis_indices(indices, sizes) -> None:
    for axis, count in enumerate(sizes[: indices.shape[0]]):
        outside = (indices[axis] < -count) | (indices[axis] >= count)
        if bool(outside.any()):
            index = int(indices[axis][outside].reshape(-1)[0])
            raise IndexError(f"index {index} is out of bounds for axis {axis} with size {count}")


def _gather_nd_shape(params: Params, *shapes: tuple) -> tuple:
    data, indices = shapes
    if len(indices) < 2:
        raise MXNetError(f"indices have shape {indices}, expected at least 2 axes")
    if indices[0] > len(data):
        raise MXNetError(f"indices name {indices[0]} axes, data has {len(data)}")
    return (*indices[1:], *data[indices[0] :])


@register(
    "gather_nd",
    infer_shape=forward_rule(_gather_nd_shape),
    infer_type=open_inputs,
    check=lambda params, data, indices: _check_axis_indices(indices, data.shape),
)
def gather_nd(data, indices):
    """Elements or slices of ``data``; the columns of ``indices`` (M, ...) name positions on its first M axes.

    -> (..., the other axes of data). Negative numbers count from the end; numbers outside raise ``IndexError``.
    """
    return data[_axis_indices(indices, data.shape)]


def _scatter_nd_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    data, indices = ins
    if is_known(data) and is_known(indices):
        fits = len(indices) > 1 and indices[0] <= len(params.shape)
        if not fits or data != (*indices[1:], *params.shape[indices[0] :]):
            raise MXNetError(f"data {data}, indices {indices} and shape {params.shape} do not fit together")
    return ins, [merge(params.shape, outs[0], "output")]


@register(
    "scatter_nd",
    infer_shape=_scatter_nd_shape,
    infer_type=open_inputs,
    check=lambda params, data, indices: _check_axis_indices(indices, params.shape),
)
def scatter_nd(data, indices, *, shape: Shape):
    """Zeros of the given shape with ``data`` written where ``indices`` (M, ...) point, the inverse of ``gather_nd``.

    Of several values for one place one is kept; each of them receives the gradient of that place.
    """
    return data.new_zeros(shape).index_put(_axis_indices(indices, shape), data)


def _fill_shape(params: Params, *shapes: tuple) -> tuple:
    matrix, values, columns = shapes
    if len(matrix) != 2 or values != matrix[:1] or columns != matrix[:1]:
        raise MXNetError(f"expected shapes (N, K), (N,), (N,), got {matrix}, {values}, {columns}")
    return matrix


@register(
    "fill_element_0index",
    infer_shape=forward_rule(_fill_shape),
    infer_type=floating(),
    symbolic=False,
    no_gradient=True,
)
def fill_element_0index(lhs, mhs, rhs):
    """``lhs`` (N, K) with, in each row, the element that ``rhs`` (N,) names replaced by that of ``mhs`` (N,).

    A column outside [0, K) leaves its row as it is.
    """
    hit = rhs.to(torch.int64).unsqueeze(1) == torch.arange(lhs.shape[1], device=lhs.device)
    return torch.where(hit, mhs.unsqueeze(1), lhs)


def _onehot_encode_shape(params: Params, *shapes: tuple) -> tuple:
    indices, matrix = shapes
    if len(indices) != 1 or len(matrix) != 2 or indices[0] != matrix[0]:
        raise MXNetError(f"expected shapes (N,) and (N, K), got {indices} and {matrix}")
    return matrix


@register(
    "_onehot_encode",
    infer_shape=forward_rule(_onehot_encode_shape),
    infer_type=floating(),
    symbolic=False,
    no_gradient=True,
)
def onehot_encode(lhs, rhs):
    """One row for each number in ``lhs`` (N,): 1 in that column, 0 elsewhere, in the shape (N, K) of ``rhs``."""
    hit = lhs.to(torch.int64).unsqueeze(1) == torch.arange(rhs.shape[1], device=lhs.device)
    return hit.to(rhs.dtype)


def _scatter_set_nd_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    target = merge(params.shape, ins[0], "Shape inconsistent, input lhs")
    _, outs = _scatter_nd_shape(params, ins[1:], outs)
    return [target, *ins[1:]], outs


def _scatter_set_nd_type(params: Params, ins: list, outs: list) -> tuple[list, list]:
    dtype = unify([*ins[:2], *outs])
    return [dtype, dtype, ins[2]], [dtype]


@register(
    "_scatter_set_nd",
    infer_shape=_scatter_set_nd_shape,
    infer_type=_scatter_set_nd_type,
    check=lambda params, lhs, rhs, indices: _check_axis_indices(indices, params.shape),
    no_gradient=True,
)
def scatter_set_nd(lhs, rhs, indices, *, shape: Shape):
    """``lhs`` with ``rhs`` written where ``indices`` (M, ...) point; ``shape`` is that of ``lhs``.

    ``out=lhs`` changes the array itself. Of several values for one place one is kept. It has no gradient.
    """
    return lhs.index_put(_axis_indices(indices, shape), rhs)


def _ravel_shape(params: Params, data: tuple) -> tuple:
    if not params.shape:
        raise MXNetError("parameter shape is empty")
    if len(data) != 2 or data[0] != len(params.shape):
        raise MXNetError(f"data has shape {data}, expected ({len(params.shape)}, N): a row for each axis of shape")
    return data[1:]


@register(
    "_ravel_multi_index", ("ravel_multi_index",), infer_shape=forward_rule(_ravel_shape), stops_gradient=True
)  # fmt: skip
def ravel_multi_index(data, *, shape: Optional(Shape) = None):
    """Positions in an array of the given shape as single numbers: the columns of ``data`` (M, N) -> (N,).

    The numbers are not checked against ``shape``, whose first entry plays no part.
    """
    assert shape is not None  # the shape rule has seen to it
    total = data[0].to(torch.int64)
    for row, count in zip(data[1:], shape[1:]):
        total = total * count + row.to(torch.int64)
    return total.to(data.dtype)


def _unravel_shape(params: Params, data: tuple) -> tuple:
    if not params.shape:
        raise MXNetError("parameter shape is empty")
    if len(data) != 1:
        # Compat: the original infers (M, first size) for more axes, and fills it with what is no position.
        raise MXNetError(f"data has shape {data}, expected one axis")
    return (len(params.shape), *data)


@register("_unravel_index", ("unravel_index",), infer_shape=forward_rule(_unravel_shape), stops_gradient=True)
def unravel_index(data, *, shape: Optional(Shape) = None):
    """The inverse of ``ravel_multi_index``: ``data`` (N,) -> (M, N), one row for each of the M axes of ``shape``.

    What is too large for ``shape`` goes into the first row; negative numbers give negative positions.
    """
    assert shape is not None  # the shape rule has seen to it
    rest, rows = data.to(torch.int64), []
    for count in reversed(shape[1:]):
        rows.append(torch.fmod(rest, count))
        rest = torch.div(rest, count, rounding_mode="trunc")
    return torch.stack([rest, *reversed(rows)]).to(data.dtype)
