"""Storage rules of the elementwise operators, reductions and shape operators (which results stay sparse, and how).

The storage types of results are the original's; its checks of the same name are in ``FInferStorageType`` functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from mxcompat.base import MXNetError
from mxcompat.ops.mixed import Call, Gradient, Rule, Stypes, differentiate, rule
from mxcompat.ops.schema import Params
from mxcompat.ops.storage import Csr, RowSparse, Storage, align, pointers_of, sum_of

SPARSE = ("csr", "row_sparse")

# -- one input, zero stays zero -------------------------------------------------------------------------------------


def _kept(params: Params, stypes: Stypes) -> Sequence[str] | None:
    return stypes[:1] if stypes[0] in SPARSE else None


def _on_values(call: Call, data: Storage) -> Storage:
    return data.checked().with_values(call.apply(data.values)[0])


def _rowwise(call: Call, gradients: Sequence[Gradient]) -> list[Gradient] | None:
    """Where the gradient has some rows only, an elementwise operator is differentiated at these."""
    (gradient,) = gradients
    if not isinstance(gradient, RowSparse):
        return None
    rows = gradient.indices
    inputs = [value.rows_of(rows) if isinstance(value, RowSparse) else _rows(value, rows) for value in call.values]
    found = differentiate(call.apply, inputs, [True] * len(inputs), [gradient.values])
    return [RowSparse(g, rows, gradient.shape) for g in found]


def _rows(value: Any, rows: torch.Tensor) -> torch.Tensor:
    return (value.dense() if isinstance(value, Storage) else value)[rows]


def _same_gradient(params: Params, stypes: Stypes, gradient: str) -> Sequence[str]:
    """Sparse where input and gradient are of one storage type."""
    return [stype if stype == gradient else "default" for stype in stypes]


_UNARY = """BlockGrad _contrib_round_ste _contrib_sign_ste _copy abs ceil fix floor negative relu rint round sign square
trunc _mul_scalar _div_scalar _scatter_plus_scalar _scatter_minus_scalar _contrib_gradientmultiplier""".split()

#: likewise, but their gradients are dense arrays
_UNARY_DENSE_GRADIENT = (
    """arcsin arcsinh arctan arctanh cbrt degrees expm1 log1p radians sin sinh sqrt tan tanh""".split()
)

for _name in _UNARY:
    rule(_name, Rule(_kept, _on_values, _rowwise, gradients=_same_gradient))
for _name in _UNARY_DENSE_GRADIENT:
    rule(_name, Rule(_kept, _on_values, _rowwise))

rule("make_loss", Rule(_kept, _on_values))  # its gradient is one everywhere, whatever comes in


def _quadratic_stypes(params: Params, stypes: Stypes) -> Sequence[str] | None:
    return stypes[:1] if stypes[0] == "csr" and params.c == 0.0 else None


rule("_contrib_quadratic", Rule(_quadratic_stypes, _on_values, gradients=_same_gradient))

#: operators with a number: what they make of a zero decides
_SCALAR: dict[str, Callable[[float, float], float]] = {
    "_plus_scalar": lambda zero, number: zero + number,
    "_minus_scalar": lambda zero, number: zero - number,
    "_equal_scalar": lambda zero, number: zero == number,
    "_not_equal_scalar": lambda zero, number: zero != number,
    "_greater_scalar": lambda zero, number: zero > number,
    "_greater_equal_scalar": lambda zero, number: zero >= number,
    "_lesser_scalar": lambda zero, number: zero < number,
    "_lesser_equal_scalar": lambda zero, number: zero <= number,
}


def _kept_if_zero(of_zero: Callable[[float, float], float]) -> Callable:
    def infer(params: Params, stypes: Stypes) -> Sequence[str] | None:
        return _kept(params, stypes) if not of_zero(0.0, params.scalar) else None

    return infer


for _name, _of_zero in _SCALAR.items():
    rule(_name, Rule(_kept_if_zero(_of_zero), _on_values, _rowwise, gradients=_same_gradient))


def _clip_stypes(params: Params, stypes: Stypes) -> Sequence[str] | None:
    return _kept(params, stypes) if params.a_min <= 0.0 <= params.a_max else None


rule("clip", Rule(_clip_stypes, _on_values, _rowwise))


def _zeros_like(call: Call, data: Storage) -> Storage:
    return type(data).empty(data.shape, data.dtype, data.device)  # type: ignore[attr-defined]


rule("zeros_like", Rule(_kept, _zeros_like, gradients=_same_gradient))

# -- two inputs of one shape ----------------------------------------------------------------------------------------


def _both_alike(params: Params, stypes: Stypes) -> Sequence[str] | None:
    return stypes[:1] if stypes[0] == stypes[1] != "default" else None


def _on_union(call: Call, left: Storage, right: Storage) -> Storage:
    a, b, rebuilt = align(left, right)
    return rebuilt(call.apply(a, b)[0])


def _both_gradients(params: Params, stypes: Stypes, gradient: str) -> Sequence[str]:
    return _same_gradient(params, stypes, gradient) if stypes[0] == stypes[1] else ["default", "default"]


for _name in ("elemwise_add", "elemwise_sub", "_grad_add"):
    rule(_name, Rule(_both_alike, _on_union, _rowwise, gradients=_both_gradients))
for _name in ("_maximum", "_minimum", "_hypot"):
    rule(_name, Rule(_both_alike, _on_union, _rowwise))


def _product_stypes(params: Params, stypes: Stypes) -> Sequence[str] | None:
    left, right = stypes
    if left == right or "default" in stypes:
        return [left if left != "default" else right]
    return None


def _product(call: Call, left: Any, right: Any) -> Storage:
    if isinstance(left, Storage) and isinstance(right, Storage):
        return _on_union(call, left, right)
    sparse = left if isinstance(left, Storage) else right
    stored = [sparse.values if x is sparse else elements(sparse, x) for x in (left, right)]
    return sparse.with_values(call.apply(*stored)[0])


def elements(sparse: Storage, dense: torch.Tensor) -> torch.Tensor:
    """What a dense array of the same shape has where ``sparse`` stores something."""
    sparse.checked()
    if isinstance(sparse, Csr):
        return dense.reshape(-1)[sparse.keys()]
    return dense[sparse.indices]


rule("elemwise_mul", Rule(_product_stypes, _product, _rowwise))


def _scatter_div_stypes(params: Params, stypes: Stypes) -> Sequence[str] | None:
    return ("row_sparse",) if stypes[0] == "row_sparse" else None


def _scatter_div(call: Call, left: RowSparse, right: Any) -> RowSparse:
    divisor = right.rows_of(left.indices) if isinstance(right, RowSparse) else _rows(right, left.indices)
    return left.with_values(call.apply(left.values, divisor)[0])


rule("_scatter_elemwise_div", Rule(_scatter_div_stypes, _scatter_div))


# Compat: the sum of csr arrays is dense, that of row_sparse ones is row_sparse
def _sum_stypes(params: Params, stypes: Stypes) -> Sequence[str] | None:
    return ("row_sparse",) if all(stype == "row_sparse" for stype in stypes) else None


def _sum_gradients(call: Call, gradients: Sequence[Gradient]) -> list[Gradient]:
    return [gradients[0]] * len(call.values)


def _all_same_gradient(params: Params, stypes: Stypes, gradient: str) -> Sequence[str]:
    return [gradient] * len(stypes)


rule(
    "add_n",
    Rule(_sum_stypes, lambda call, *parts: sum_of(parts), _sum_gradients, gradients=_all_same_gradient),
)

# -- broadcasting ---------------------------------------------------------------------------------------------------


def _csr_by_dense(params: Params, stypes: Stypes) -> Sequence[str] | None:
    return ("csr",) if stypes == ("csr", "default") else None


def _on_stored(call: Call, left: Csr, right: torch.Tensor) -> Csr | None:
    """``left`` with its stored elements multiplied or divided by what a broadcast dense array has there."""
    left.checked()
    shape = (1,) * (2 - right.ndim) + tuple(right.shape)
    if call.op.name == "broadcast_div" and shape == left.shape != (1, 1):
        raise MXNetError("Please use elemwise_div for division between csr and dense of the same shape")
    if len(shape) > 2 or any(dim not in (1, own) for dim, own in zip(shape, left.shape)):
        return None  # the result is larger than the csr array
    places = (left.rows() if shape[0] > 1 else 0) * shape[1] + (left.indices if shape[1] > 1 else 0)
    factors = right.reshape(-1)[places]
    return left.with_values(call.apply(left.values, factors.expand_as(left.values))[0])


for _name in ("broadcast_mul", "broadcast_div"):
    rule(_name, Rule(_csr_by_dense, _on_stored))

# -- reductions -----------------------------------------------------------------------------------------------------


def _row_or_column(params: Params, stypes: Stypes) -> Sequence[str] | None:
    """Sums over one axis of a csr array, with the axis gone."""
    axis = params.axis
    single = axis is not None and len(axis) == 1 and axis[0] in (0, 1, -1, -2)
    return ("default",) if stypes[0] == "csr" and single and not params.keepdims and not params.exclude else None


def _csr_sum(call: Call, data: Csr) -> torch.Tensor:
    data.checked()
    along_rows = call.params.axis[0] % 2 == 1
    kept = 0 if along_rows else 1
    sums = data.values.new_zeros(data.shape[kept])
    sums.index_add_(0, data.rows() if along_rows else data.indices, data.values)
    if call.op.name == "sum":
        return sums
    return torch.div(sums, data.shape[1 - kept], rounding_mode=None if sums.is_floating_point() else "trunc")


for _name in ("sum", "mean"):
    rule(_name, Rule(_row_or_column, _csr_sum))


def _square_sum_stypes(params: Params, stypes: Stypes) -> Sequence[str]:
    axis = params.axis
    if stypes[0] != "row_sparse" or axis is None or len(axis) != 1 or params.exclude:
        raise MXNetError(
            f"_square_sum needs one axis of a row_sparse matrix, found axis={axis} and {stypes[0]} storage"
        )
    return ("row_sparse",) if axis[0] % 2 == 1 and params.keepdims else ("default",)


def _square_sum(call: Call, data: RowSparse) -> Any:
    axis, keepdims = call.params.axis[0] % 2, call.params.keepdims
    if axis == 0:
        return call.apply(data.checked().values)[0]
    sums = data.checked().with_values(call.apply(data.values)[0].reshape(-1, 1))
    if keepdims:
        return sums
    return sums.dense().reshape(-1)


def _square_sum_gradients(call: Call, gradients: Sequence[Gradient]) -> list[Gradient]:
    """``2 * data * gradient``: the rows that are stored."""
    (data,), (gradient,) = call.values, gradients
    if call.params.axis[0] % 2 == 0:
        factor = gradient.dense() if isinstance(gradient, Storage) else gradient
        return [data.with_values(2 * data.values * factor.reshape(1, -1))]
    if isinstance(gradient, RowSparse):
        factor = gradient.rows_of(data.indices)
    else:
        factor = gradient.reshape(-1, 1)[data.indices]
    return [data.with_values(2 * data.values * factor)]


rule(
    "_square_sum",
    Rule(_square_sum_stypes, _square_sum, _square_sum_gradients, lambda params: True, lambda p, s, g: ("row_sparse",)),
)


def _norm_stypes(params: Params, stypes: Stypes) -> Sequence[str] | None:
    whole = params.ord == 2 and params.axis is None and not params.keepdims
    return ("default",) if stypes[0] in SPARSE and whole else None


def _norm(call: Call, data: Storage) -> torch.Tensor:
    return call.apply(data.checked().values.reshape(-1))[0]


rule("norm", Rule(_norm_stypes, _norm))

# -- parts and joints -----------------------------------------------------------------------------------------------


def _slice_stypes(params: Params, stypes: Stypes) -> Sequence[str] | None:
    steps = params.step or ()
    return ("csr",) if stypes[0] == "csr" and all(step in (None, 1) for step in steps) else None


def _csr_slice(call: Call, data: Csr) -> Csr:
    data.checked()
    begin, end = call.params.begin, call.params.end
    bounds = [(0, data.shape[0]), (0, data.shape[1])]
    for axis, (first, last) in enumerate(zip(begin, end)):
        start, stop, _ = slice(first, last).indices(data.shape[axis])
        bounds[axis] = (start, max(start, stop))
    return csr_part(data, *bounds)


def csr_part(data: Csr, rows: tuple[int, int], columns: tuple[int, int]) -> Csr:
    """The matrix of some rows and columns, each from one number up to another."""
    first, last = (int(place) for place in (data.indptr[rows[0]], data.indptr[rows[1]]))
    values, indices = data.values[first:last], data.indices[first:last]
    pointers = data.indptr[rows[0] : rows[1] + 1] - first
    shape = (rows[1] - rows[0], columns[1] - columns[0])
    if columns == (0, data.shape[1]):
        return Csr(values.clone(), indices, pointers, shape)
    kept = (indices >= columns[0]) & (indices < columns[1])
    before = pointers_of(kept.to(torch.int64))
    return Csr(values[kept], indices[kept] - columns[0], before[pointers], shape)


rule("slice", Rule(_slice_stypes, _csr_slice))


def _take_stypes(params: Params, stypes: Stypes) -> Sequence[str] | None:
    fits = stypes == ("csr", "default") and params.axis == 0 and params.mode in ("clip", "wrap")
    return ("csr",) if fits else None


def _csr_take(call: Call, data: Csr, indices: torch.Tensor) -> Csr:
    data.checked()
    if indices.ndim != 1:
        raise MXNetError(f"take: a csr array needs indices of one dimension, found shape {tuple(indices.shape)}")
    whole, count = indices.to(torch.int64), data.shape[0]
    picked = whole.remainder(count) if call.params.mode == "wrap" else whole.clamp(0, count - 1)
    lengths = (data.indptr[1:] - data.indptr[:-1])[picked]
    pointers = pointers_of(lengths)
    starts = torch.repeat_interleave(data.indptr[picked] - pointers[:-1], lengths)
    places = torch.arange(starts.numel(), device=starts.device) + starts
    return Csr(data.values[places], data.indices[places], pointers, (picked.numel(), data.shape[1]))


rule("take", Rule(_take_stypes, _csr_take))


def _concat_stypes(params: Params, stypes: Stypes) -> Sequence[str] | None:
    return ("csr",) if params.dim == 0 and all(stype == "csr" for stype in stypes) else None


def _csr_concat(call: Call, *parts: Csr) -> Csr:
    ends, pointers = 0, [parts[0].indptr[:1]]
    for part in parts:
        part.checked()
        pointers.append(part.indptr[1:] + ends)
        ends += part.indices.numel()
    shape = (sum(part.shape[0] for part in parts), parts[0].shape[1])
    values, indices = (torch.cat([getattr(part, name) for part in parts]) for name in ("values", "indices"))
    return Csr(values, indices, torch.cat(pointers), shape)


rule("Concat", Rule(_concat_stypes, _csr_concat))
