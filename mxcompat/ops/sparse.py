"""Operators that exist for sparse arrays: conversion of storage, retained rows, embeddings and updates by row_sparse
gradients; and products of sparse matrices.

Their storage rules stand next to them. Run on dense copies they compute the same numbers.
"""

from collections.abc import Sequence
from typing import Any

import torch

from mxcompat.base import MXNetError
from mxcompat.ops import steps
from mxcompat.ops.dtypes import fixed_output, floating, open_inputs, same_type
from mxcompat.ops.indexing import NumberType, embedding, embedding_shape, embedding_type
from mxcompat.ops.mixed import Call, Gradient, Rule, Stypes, dense_of, rule
from mxcompat.ops.reduce import reduced_axes
from mxcompat.ops.registry import register
from mxcompat.ops.schema import Bool, Enum, Float, Int, NoEffect, Optional, Params, Shape
from mxcompat.ops.shape import forward_rule, merge, same_shape
from mxcompat.ops.storage import Csr, RowSparse, Storage, from_dense, gathered

# -- conversion -----------------------------------------------------------------------------------------------------


@register("cast_storage", ("_sparse_cast_storage",), infer_shape=same_shape, may_view=True)
def cast_storage(data, *, stype: Enum("csr", "default", "row_sparse")):
    """The array in storage type ``stype``: ``csr`` takes two axes, and csr and row_sparse become each other only by way
    of ``default``."""
    return data


def _cast_stypes(params: Params, stypes: Stypes) -> Sequence[str]:
    if {stypes[0], params.stype} == {"csr", "row_sparse"}:
        raise MXNetError(f"cast_storage from {stypes[0]} to {params.stype} is not supported")
    return (params.stype,)


def _cast(call: Call, data: Any) -> Any:
    if isinstance(data, Storage):
        return data.checked().clone() if data.stype == call.params.stype else data.dense()
    return from_dense(data, call.params.stype)


def _pass_on(call: Call, gradients: Sequence[Gradient]) -> list[Gradient]:
    return list(gradients)


def _is_cast(params: Params) -> bool:
    return params.stype != "default"


rule("cast_storage", Rule(_cast_stypes, _cast, _pass_on, _is_cast, lambda params, stypes, gradient: (gradient,)))

# -- rows of a row_sparse array -------------------------------------------------------------------------------------


def _retain_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    if ins[1] is not None and len(ins[1]) != 1:
        raise MXNetError(f"indices have shape {ins[1]}, expected one dimension")
    data = merge(ins[0], outs[0], "output")
    return [data, ins[1]], [data]


@register("_sparse_retain", infer_shape=_retain_shape, infer_type=open_inputs, no_gradient=("indices",))
def sparse_retain(data, indices):
    """A row_sparse array (N, ...) with those of its rows only that ``indices`` (k,) name, in rising order."""
    kept = torch.zeros(data.shape[0], dtype=torch.bool, device=data.device)
    kept = kept.index_fill(0, indices.to(torch.int64), True)
    return torch.where(kept.view(-1, *[1] * (data.ndim - 1)), data, torch.zeros_like(data))


def _retain_stypes(params: Params, stypes: Stypes) -> Sequence[str]:
    if stypes != ("row_sparse", "default"):
        raise MXNetError(
            f"_sparse_retain needs a row_sparse array and dense indices, found {' and '.join(stypes)} storage"
        )
    return ("row_sparse",)


def _named_rows(call: Call) -> torch.Tensor:
    """The rows that exist among those named, in order."""
    rows = torch.unique(call.values[1].to(torch.int64))
    return rows[(rows >= 0) & (rows < call.values[0].shape[0])]


def _retain(call: Call, data: RowSparse, indices: torch.Tensor) -> RowSparse:
    return data.retained(_named_rows(call))


def _retain_gradients(call: Call, gradients: Sequence[Gradient]) -> list[Gradient]:
    (gradient,), rows = gradients, _named_rows(call)
    if isinstance(gradient, RowSparse):
        return [gradient.retained(rows), None]
    return [RowSparse(gradient[rows], rows, gradient.shape), None]


rule(
    "_sparse_retain",
    Rule(_retain_stypes, _retain, _retain_gradients, lambda params: True, lambda p, s, g: ("row_sparse", "default")),
)

# -- sums -----------------------------------------------------------------------------------------------------------


def _square_sum_shape(params: Params, data: tuple) -> tuple:
    axes = reduced_axes(len(data), params.axis, params.exclude)
    if params.keepdims:
        return tuple(1 if a in axes else dim for a, dim in enumerate(data))
    return tuple(dim for a, dim in enumerate(data) if a not in axes) or (1,)


@register("_square_sum", infer_shape=forward_rule(_square_sum_shape))
def square_sum(data, *, axis: Optional(Shape()) = None, keepdims: Bool = False, exclude: Bool = False):
    """Sum of the squares of a row_sparse matrix over one axis; over axis 1 with ``keepdims`` it is row_sparse."""
    return data.square().sum(reduced_axes(data.ndim, axis, exclude), keepdim=keepdims)


def _getnnz_shape(params: Params, data: tuple) -> tuple:
    if params.axis == 0:
        raise MXNetError("getnnz with axis = 0 is not supported yet")
    if params.axis not in (None, 1):
        raise MXNetError(f"axis is {params.axis}, expected 1 or None")
    return (1,) if params.axis is None else data[:1]


@register(
    "_contrib_getnnz",
    infer_shape=forward_rule(_getnnz_shape),
    infer_type=fixed_output("int64"),
    no_gradient=("data",),
    stops_gradient=True,
)
def getnnz(data, *, axis: Optional(Int) = None):
    """How many elements of a csr matrix (N, M) are stored: (1,), or with axis 1 in each row, (N,)."""
    stored = (data != 0).to(torch.int64)
    return stored.sum().reshape(1) if axis is None else stored.sum(1)


def _csr_only(params: Params, stypes: Stypes) -> Sequence[str]:
    if stypes != ("csr",):
        raise MXNetError(f"_contrib_getnnz needs a csr array, found {stypes[0]} storage")
    return ("default",)


def _getnnz(call: Call, data: Csr) -> torch.Tensor:
    return data.indptr[-1:].clone() if call.params.axis is None else data.indptr[1:] - data.indptr[:-1]


rule("_contrib_getnnz", Rule(_csr_only, _getnnz, takes_part=lambda params: True))


def _edge_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    for name, shape in zip(("u", "v"), ins[1:]):
        if shape is not None and len(shape) != 1:
            raise MXNetError(f"{name} has shape {shape}, expected one dimension")
    ends = merge(merge(ins[1], ins[2], "v, as long as u"), outs[0], "output")
    return [ins[0], ends, ends], [ends]


@register("_contrib_edge_id", infer_shape=_edge_shape, infer_type=open_inputs, no_gradient=True)
def edge_id(data, u, v):
    """``data[u, v]`` of a csr matrix (N, M), -1 where nothing is stored: u (K,), v (K,) -> (K,)."""
    found = data[u.to(torch.int64), v.to(torch.int64)]
    return torch.where(found == 0, -1, found)


def _edge_stypes(params: Params, stypes: Stypes) -> Sequence[str]:
    if stypes != ("csr", "default", "default"):
        raise MXNetError(f"_contrib_edge_id needs a csr array and dense u and v, found {', '.join(stypes)} storage")
    return ("default",)


def _edge(call: Call, data: Csr, u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    data.checked()
    rows, columns = u.to(torch.int64), v.to(torch.int64)
    if rows.numel() and bool(((rows < 0) | (rows >= data.shape[0])).any()):
        # Compat: the original reads other memory.
        raise MXNetError(f"_contrib_edge_id: u names rows outside of 0 to {data.shape[0] - 1}")
    inside = (columns >= 0) & (columns < data.shape[1])
    wanted, (stored, order) = rows * data.shape[1] + columns, data.keys().sort(stable=True)
    if not stored.numel():
        return torch.full_like(rows, -1).to(data.dtype)
    places = torch.searchsorted(stored, wanted).clamp(max=stored.numel() - 1)
    return torch.where(inside & (stored[places] == wanted), data.values[order[places]], -1)


rule("_contrib_edge_id", Rule(_edge_stypes, _edge, takes_part=lambda params: True))

# -- embeddings -----------------------------------------------------------------------------------------------------


@register(
    "_contrib_SparseEmbedding",
    infer_shape=embedding_shape,
    infer_type=embedding_type,
    no_gradient=("data",),
)
def sparse_embedding(
    data, weight, *, input_dim: Int(min=1), output_dim: Int(min=1), dtype: NumberType = "float32",
    sparse_grad: NoEffect(Bool) = False, deterministic: NoEffect(Bool) = False,
):  # fmt: skip
    """``Embedding`` whose gradient is row_sparse."""
    return embedding(data, weight, input_dim=input_dim, output_dim=output_dim)


def _embedding_stypes(params: Params, stypes: Stypes) -> Sequence[str] | None:
    return ("default",) if stypes[0] == "default" and stypes[1] != "csr" else None


def _embedding_rows(call: Call) -> torch.Tensor:
    return call.values[0].to(torch.int64).clamp(0, call.params.input_dim - 1).reshape(-1)


def _embedding(call: Call, data: torch.Tensor, weight: Any) -> torch.Tensor | None:
    if not isinstance(weight, RowSparse):
        return None
    if data.numel() and data.device.type == "cpu" and not (0 <= data.min() and data.max() < weight.shape[0]):
        raise MXNetError(f"SparseEmbedding input contains data out of bound, outside of 0 to {weight.shape[0] - 1}")
    return weight.checked().rows_of(_embedding_rows(call)).reshape(*data.shape, -1)


def _embedding_gradients(call: Call, gradients: Sequence[Gradient]) -> list[Gradient]:
    rows, (gradient,) = _embedding_rows(call), gradients
    flat = dense_of(gradient).reshape(rows.numel(), -1)
    return [None, gathered(rows, flat, call.values[1].shape)]


def _embedding_gradient_stypes(params: Params, stypes: Stypes, gradient: str) -> Sequence[str]:
    return "default", "row_sparse" if _has_sparse_gradient(params) else "default"


def _has_sparse_gradient(params: Params) -> bool:
    return params.sparse_grad or "deterministic" in params  # the parameter that only SparseEmbedding has


for _name in ("Embedding", "_contrib_SparseEmbedding"):
    rule(
        _name,
        Rule(_embedding_stypes, _embedding, _embedding_gradients, _has_sparse_gradient, _embedding_gradient_stypes),
    )

# -- products -------------------------------------------------------------------------------------------------------


def _dot_stypes(params: Params, stypes: Stypes) -> Sequence[str] | None:
    """The storage of ``dot``: what ``forward_stype`` asks for, or what the kernels of the original give."""
    left, right = stypes
    wish = params.forward_stype
    if left == "csr" and right != "csr" and params.transpose_a and not params.transpose_b:
        return (wish or "row_sparse",)
    if left == "default" and right == "csr" and not params.transpose_a:
        return (wish or "csr",)
    return (wish or "default",)


def _dot(call: Call, left: Any, right: Any) -> Any:
    transpose_a, transpose_b = call.params.transpose_a, call.params.transpose_b
    if len(left.shape) != 2 or len(right.shape) != 2:
        return None
    if isinstance(left, Csr) and not isinstance(right, Csr) and not transpose_b:
        return left.transposed_times(dense_of(right)) if transpose_a else csr_times(left, right)
    if isinstance(right, Csr) and isinstance(left, torch.Tensor) and not transpose_a:
        if transpose_b:
            return right.times(left.t().contiguous()).t().contiguous()
        return _columns(right.transposed_times(left.t().contiguous()))
    return None


def csr_times(left: Csr, right: Any) -> torch.Tensor:
    """The dense product of a csr matrix with a dense or row_sparse one, which costs what is stored."""
    if not isinstance(right, RowSparse) or right.is_full:
        return left.times(right.values if isinstance(right, RowSparse) else right)
    left.checked(), right.checked()
    if not right.indices.numel():
        return right.values.new_zeros((left.shape[0], right.shape[1]))
    places, stored = right.places(left.indices)
    values = left.values * stored
    return Csr(values, places, left.indptr, (left.shape[0], right.indices.numel())).times(right.values)


def _columns(transposed: RowSparse) -> Csr:
    """A csr matrix that stores whole columns, from its transpose."""
    rows, stored = transposed.shape[1], transposed.indices.numel()
    pointers = torch.arange(rows + 1, device=transposed.device) * stored
    shape = (rows, transposed.shape[0])
    return Csr(transposed.values.t().reshape(-1), transposed.indices.repeat(rows), pointers, shape)


def _dot_gradients(call: Call, gradients: Sequence[Gradient]) -> list[Gradient] | None:
    """For ``y = a b`` of a csr ``a``: the gradient of b is ``a' g``, with the rows that are columns of ``a``."""
    (left, right), (gradient,) = call.values, gradients
    transpose_a, transpose_b = call.params.transpose_a, call.params.transpose_b
    if not isinstance(left, Csr) or isinstance(right, Csr) or transpose_b or len(right.shape) != 2:
        return None
    of_left = None
    if call.wanted[0]:
        flat, other = dense_of(gradient), dense_of(right)
        of_left = torch.mm(other, flat.t()) if transpose_a else torch.mm(flat, other.t())
    if not call.wanted[1]:
        return [of_left, None]
    if transpose_a:
        return [of_left, csr_times(left, gradient)]
    return [of_left, left.transposed_times(dense_of(gradient))]


def _dot_gradient_stypes(params: Params, stypes: Stypes, gradient: str) -> Sequence[str]:
    rows = stypes[0] == "csr" and gradient != "csr" and not params.transpose_a and not params.transpose_b
    return "default", "row_sparse" if rows else "default"


rule(
    "dot",
    Rule(_dot_stypes, _dot, _dot_gradients, lambda p: p.forward_stype not in (None, "default"), _dot_gradient_stypes),
)

# -- updates --------------------------------------------------------------------------------------------------------


@register(
    "_sparse_adagrad_update",
    infer_shape=same_shape,
    infer_type=floating(same_type),
    mutates=("history",),
    symbolic=False,
)
def adagrad_update(
    weight, grad, history, *, lr: Float, epsilon: Float = 1e-7, wd: Float = 0.0, rescale_grad: Float = 1.0,
    clip_gradient: Float = -1.0,
):  # fmt: skip
    """``history += g**2``, then ``weight - lr * g / sqrt(history + epsilon)`` with ``g = clip(rescale_grad * grad)``.

    ``grad`` may be row_sparse; there is no weight decay (``MXNetError``).
    """
    if wd != 0.0:
        raise MXNetError(f"sparse adagrad_update does not support wd, found {wd}")
    options = {"epsilon": epsilon, "rescale_grad": rescale_grad, "clip_gradient": clip_gradient}
    weight, history = weight.clone(), history.clone()
    steps.adagrad_([weight], [grad], [history], lr, 0.0, **options)
    return weight, history


def _group_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    weight = merge(merge(ins[0], ins[1], "gradient"), outs[0], "output")
    history = ins[2] if weight is None else merge((weight[0], *[1] * (len(weight) - 1)), ins[2], "history")
    return [weight, weight, history], [weight]


@register(
    "_contrib_group_adagrad_update",
    infer_shape=_group_shape,
    infer_type=floating(same_type),
    mutates=("history",),
    symbolic=False,
)
def group_adagrad_update(
    weight, grad, history, *, lr: Float, rescale_grad: Float = 1.0, clip_gradient: Float = -1.0, epsilon: Float = 1e-5
):
    """``history += mean(g**2)`` by row (N, 1), then ``weight - lr * g / sqrt(history + epsilon)`` with
    ``g = clip(rescale_grad * grad)``; weight (N, M), ``grad`` may be row_sparse."""
    options = {"epsilon": epsilon, "rescale_grad": rescale_grad, "clip_gradient": clip_gradient}
    weight, history = weight.clone(), history.clone()
    steps.group_adagrad_([weight], [grad], [history], lr, **options)
    return weight, history
