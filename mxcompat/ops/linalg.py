"""Linear algebra: products, factorizations and triangles of the matrices in the last two axes.

Every operator works on a batch: the leading axes count matrices. Only float32 and float64 are computed.
"""

import torch

from mxcompat.base import MXNetError
from mxcompat.ops.dtypes import NAME_BY_TORCH, same_type
from mxcompat.ops.registry import register
from mxcompat.ops.schema import Bool, Float, Int, Params
from mxcompat.ops.shape import forward_rule, merge, or_one, same_shape

# -- rules ------------------------------------------------------------------------------------------------------


def _single_or_double(params: Params, ins: list, outs: list) -> tuple[list, list]:
    """All inputs and outputs share one type, float32 or float64."""
    ins, outs = same_type(params, ins, outs)
    if ins[0] not in (None, torch.float32, torch.float64):
        raise MXNetError(f"input has type {NAME_BY_TORCH[ins[0]]}, expected float32 or float64")
    return ins, outs


def _need_matrices(shape: tuple, name: str = "A", *, square: bool = False) -> None:
    if len(shape) < 2:
        raise MXNetError(f"{name} has shape {shape}, expected at least two axes")
    if square and shape[-2] != shape[-1]:
        raise MXNetError(f"{name} has shape {shape}, expected square matrices in the last two axes")


def _square_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    """Square matrices to matrices of the same shape, in both directions."""
    ins, outs = same_shape(params, ins, outs)
    if ins[0] is not None:
        _need_matrices(ins[0], square=True)
    return ins, outs


def _product_shape(params: Params, *shapes: tuple) -> tuple:
    left, right = shapes[:2]
    if len(left) < 2 or len(left) != len(right):
        raise MXNetError(f"A {left} and B {right} must have the same number of axes, at least two")
    rows = params.axis + len(left) if params.axis < 0 else params.axis
    if not 0 <= rows < len(left) - 1:
        raise MXNetError(f"axis={params.axis} cannot hold the rows of A {left}: expected one of all axes but the last")
    batch = [axis for axis in range(len(left) - 1) if axis != rows]
    if any(left[axis] != right[axis] for axis in batch):
        raise MXNetError(f"A {left} and B {right} must agree in all axes but {rows} and the last")
    height, inner = (left[-1], left[rows]) if params.transpose_a else (left[rows], left[-1])
    other, width = (right[-1], right[rows]) if params.transpose_b else (right[rows], right[-1])
    if inner != other:
        raise MXNetError(f"cannot multiply A {left} and B {right}: {inner} columns meet {other} rows")
    return (*left[:rows], height, *left[rows + 1 : -1], width)


def _gemm_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    first, outs = forward_rule(_product_shape)(params, ins[:2], outs)
    third = merge(outs[0], ins[2], "Shape inconsistent, input C")
    return [*first, third], outs


def _triangular_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    """B keeps its shape; A is square, of the side of B that it meets. Known from the output, too."""
    left, right = ins
    right = merge(right, outs[0], "output")
    if right is None:
        return ins, outs
    _need_matrices(right, "B")
    if left is not None and len(left) != len(right):
        raise MXNetError(f"A {left} and B {right} must have the same number of axes")
    side = right[-1] if params.rightside else right[-2]
    left = merge((*right[:-2], side, side), left, "Shape inconsistent, input A")
    return [left, right], [right]


# -- products ---------------------------------------------------------------------------------------------------


def _product(left, right, transpose_a: bool, transpose_b: bool, alpha: float, axis: int):
    """alpha * A @ B of the matrices whose rows run along ``axis`` and whose columns along the last one."""
    moved = axis not in (-2, left.ndim - 2)
    if moved:
        left, right = left.movedim(axis, -2), right.movedim(axis, -2)
    result = torch.matmul(left.mT if transpose_a else left, right.mT if transpose_b else right)
    if alpha != 1:
        result = result * alpha
    return result.movedim(-2, axis if axis >= 0 else left.ndim + axis) if moved else result


@register("_linalg_gemm", ("linalg_gemm",), infer_shape=_gemm_shape, infer_type=_single_or_double)
def linalg_gemm(
    A, B, C, *, transpose_a: Bool = False, transpose_b: Bool = False, alpha: Float = 1.0, beta: Float = 1.0,
    axis: Int = -2,
):  # fmt: skip
    """``alpha * A @ B + beta * C``.

    A (..., M, K), B (..., K, N), C (..., M, N) -> (..., M, N), without broadcasting. ``transpose_a`` and
    ``transpose_b`` swap rows and columns of an operand first; ``axis`` is where the rows of all three are.
    """
    return _product(A, B, transpose_a, transpose_b, alpha, axis) + (C if beta == 1 else C * beta)


@register("_linalg_gemm2", ("linalg_gemm2",), infer_shape=forward_rule(_product_shape), infer_type=_single_or_double)
def linalg_gemm2(
    A, B, *, transpose_a: Bool = False, transpose_b: Bool = False, alpha: Float = 1.0, axis: Int = -2
):  # fmt: skip
    """``alpha * A @ B``.

    A (..., M, K), B (..., K, N) -> (..., M, N), without broadcasting. ``transpose_a`` and ``transpose_b`` swap rows
    and columns of an operand first; ``axis`` is where the rows of both operands are.
    """
    return _product(A, B, transpose_a, transpose_b, alpha, axis)


def _triangle(A, lower: bool):
    return torch.tril(A) if lower else torch.triu(A)


@register("_linalg_trmm", ("linalg_trmm",), infer_shape=_triangular_shape, infer_type=_single_or_double)
def linalg_trmm(
    A, B, *, transpose: Bool = False, rightside: Bool = False, lower: Bool = True, alpha: Float = 1.0
):  # fmt: skip
    """Product with a triangular matrix: ``alpha * op(A) @ B``, or ``alpha * B @ op(A)`` with ``rightside``.

    A (..., K, K), B (..., M, N) -> the shape of B. Only the triangle of A that ``lower`` names is read; ``transpose``
    multiplies with its transposed.
    """
    triangle = _triangle(A, lower)
    triangle = triangle.mT if transpose else triangle
    return alpha * (torch.matmul(B, triangle) if rightside else torch.matmul(triangle, B))


@register("_linalg_trsm", ("linalg_trsm",), infer_shape=_triangular_shape, infer_type=_single_or_double)
def linalg_trsm(
    A, B, *, transpose: Bool = False, rightside: Bool = False, lower: Bool = True, alpha: Float = 1.0
):  # fmt: skip
    """The X of ``op(A) @ X = alpha * B``, or of ``X @ op(A) = alpha * B`` with ``rightside``, for a triangular A.

    A (..., K, K), B (..., M, N) -> the shape of B. Only the triangle of A that ``lower`` names is read; ``transpose``
    solves with its transposed. A zero on the diagonal gives infinities.
    """
    triangle = A.mT if transpose else A
    upper = lower == transpose
    return torch.linalg.solve_triangular(triangle, alpha * B, upper=upper, left=not rightside)


def _syrk_shape(params: Params, shape: tuple) -> tuple:
    _need_matrices(shape)
    side = shape[-1] if params.transpose else shape[-2]
    return (*shape[:-2], side, side)


@register("_linalg_syrk", ("linalg_syrk",), infer_shape=forward_rule(_syrk_shape), infer_type=_single_or_double)
def linalg_syrk(A, *, transpose: Bool = False, alpha: Float = 1.0):
    """``alpha * A @ A.T``, or ``alpha * A.T @ A`` with ``transpose``.

    A (..., M, N) -> (..., M, M), with ``transpose`` (..., N, N).
    """
    return alpha * (torch.matmul(A.mT, A) if transpose else torch.matmul(A, A.mT))


# -- factorizations ---------------------------------------------------------------------------------------------


@register("_linalg_potrf", ("linalg_potrf",), infer_shape=_square_shape, infer_type=_single_or_double)
def linalg_potrf(A, *, lower: Bool = True):
    """Cholesky factor: the triangular L with ``L @ L.T = A``, or the U with ``U.T @ U = A`` for ``lower=False``.

    A (..., N, N), of which only that triangle is read -> (..., N, N), zero in the other triangle. A matrix that is not
    positive definite raises ``MXNetError``.
    """
    # the gradient is symmetric, whichever triangle was read
    return torch.linalg.cholesky(A, upper=not lower)


def _check_factor(params: Params, A) -> None:
    if bool((A.diagonal(dim1=-2, dim2=-1) == 0).any()):
        raise MXNetError("A has a zero on its diagonal, so it is not the Cholesky factor of an invertible matrix")


@register(
    "_linalg_potri", ("linalg_potri",), infer_shape=_square_shape, infer_type=_single_or_double, check=_check_factor
)
def linalg_potri(A, *, lower: Bool = True):
    """The inverse of the matrix whose Cholesky factor is A: ``(A @ A.T) ** -1``, ``(A.T @ A) ** -1`` if not ``lower``.

    A (..., N, N), of which only the triangle that ``lower`` names is read -> (..., N, N). A zero on the diagonal raises
    ``MXNetError``.
    """
    return torch.cholesky_inverse(_triangle(A, lower), upper=not lower)


def _gelqf_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    full = merge(ins[0], outs[0], "output 0")
    if full is None:
        return ins, outs
    _need_matrices(full)
    if full[-2] > full[-1] >= 0:
        raise MXNetError(f"A has shape {full}, expected at least as many columns as rows")
    return [full], [full, merge((*full[:-1], full[-2]), outs[1], "output 1")]


@register("_linalg_gelqf", ("linalg_gelqf",), outputs=2, infer_shape=_gelqf_shape, infer_type=_single_or_double)
def linalg_gelqf(A):
    """LQ factorization ``A = L @ Q``: returns Q, whose rows are orthonormal, and the lower triangular L.

    A (..., M, N) with M <= N -> Q (..., M, N), L (..., M, M). The signs are LAPACK's: the diagonal of L may be negative.
    """
    q, r = torch.linalg.qr(A.mT)
    return q.mT.contiguous(), r.mT.contiguous()


class _Eigen(torch.autograd.Function):
    """Eigenvectors as rows U, eigenvalues l. Gradient: U' Y U, where Y is symmetric with dl on its diagonal and

    (X_ij - X_ji) / (2 (l_i - l_j)) below it, X = dU U'. Compat: equal eigenvalues count as 1e-30 (float64: 1e-100) apart.
    """

    @staticmethod
    def forward(ctx, A):
        eigenvalues, columns = torch.linalg.eigh(A, UPLO="L")
        rows = columns.mT
        largest = rows.gather(-1, rows.abs().argmax(-1, keepdim=True))
        rows = torch.where(largest < 0, -rows, rows)
        ctx.save_for_backward(rows, eigenvalues)
        return rows, eigenvalues

    @staticmethod
    def backward(ctx, d_rows, d_eigenvalues):
        rows, eigenvalues = ctx.saved_tensors
        smallest = 1e-30 if rows.dtype is torch.float32 else 1e-100
        turned = torch.matmul(d_rows, rows.mT)
        gaps = (eigenvalues.unsqueeze(-1) - eigenvalues.unsqueeze(-2)).clamp(min=smallest)
        below = torch.tril((turned - turned.mT) / (2 * gaps), -1)
        inner = below + below.mT + torch.diag_embed(d_eigenvalues)
        return torch.matmul(rows.mT, torch.matmul(inner, rows))


def _syevd_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    full = merge(ins[0], outs[0], "output 0")
    if full is None:
        return ins, outs
    _need_matrices(full, square=True)
    return [full], [full, merge(full[:-1], outs[1], "output 1")]


@register("_linalg_syevd", outputs=2, infer_shape=_syevd_shape, infer_type=_single_or_double)
def linalg_syevd(A):
    """Eigenvectors U, as rows, and ascending eigenvalues l of symmetric matrices: ``A = U.T @ diag(l) @ U``.

    A (..., N, N), of which only the lower triangle is read -> U (..., N, N), l (..., N). The largest component of every
    eigenvector is positive.
    """
    return _Eigen.apply(A)


# -- inverse and determinants -----------------------------------------------------------------------------------


@register("_linalg_inverse", ("linalg_inverse",), infer_shape=_square_shape, infer_type=_single_or_double)
def linalg_inverse(A):
    """The inverse of square matrices: (..., N, N) -> (..., N, N). A singular one raises ``MXNetError``."""
    return torch.linalg.inv(A)


def _determinant_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    shape = ins[0]
    if shape is None:
        return ins, outs
    _need_matrices(shape, square=True)
    if 0 in shape:
        raise MXNetError(f"A has shape {shape}, expected matrices that have elements")
    return ins, [merge(or_one(shape[:-2]), out, f"output {i}") for i, out in enumerate(outs)]


def _scaled_inverse(A, factor, singular):
    """factor * inverse(A).T, zero where the matrix is singular."""
    identity = torch.eye(A.shape[-1], dtype=A.dtype, device=A.device)
    singular = singular[..., None, None]
    inverse = torch.linalg.inv_ex(torch.where(singular, identity, A)).inverse
    return torch.where(singular, torch.zeros_like(A), factor[..., None, None] * inverse.mT)


class _Det(torch.autograd.Function):
    """Determinant with the gradient det(A) * inverse(A).T, zero where A is singular."""

    @staticmethod
    def forward(ctx, A):
        result = torch.linalg.det(A)
        ctx.save_for_backward(A, result)
        return result

    @staticmethod
    def backward(ctx, head):
        A, result = ctx.saved_tensors
        return _scaled_inverse(A, head * result, result == 0)


class _SlogDet(torch.autograd.Function):
    """Sign and log |det(A)|; the gradient of the logarithm is inverse(A).T, zero where A is singular or for the sign."""

    @staticmethod
    def forward(ctx, A):
        sign, logarithm = torch.linalg.slogdet(A)
        ctx.save_for_backward(A, sign)
        return sign, logarithm

    @staticmethod
    def backward(ctx, sign_head, head):
        A, sign = ctx.saved_tensors
        return _scaled_inverse(A, head, sign == 0)


@register(
    "_linalg_det",
    ("linalg_det",),
    infer_shape=_determinant_shape,
    infer_type=_single_or_double,
    output_names=("output0",),
)
def linalg_det(A):
    """Determinants of square matrices: (..., N, N) -> (...), (1,) for one matrix.

    A singular matrix gets a zero gradient.
    """
    return _Det.apply(A).reshape(or_one(A.shape[:-2]))


@register(
    "_linalg_slogdet", ("linalg_slogdet",), outputs=2, infer_shape=_determinant_shape, infer_type=_single_or_double
)
def linalg_slogdet(A):
    """Sign and logarithm of the magnitude of determinants: (..., N, N) -> two times (...), (1,) for one matrix.

    A singular matrix has sign 0, logarithm -inf and a zero gradient. The sign passes no gradient on.
    """
    sign, logarithm = _SlogDet.apply(A)
    shape = or_one(A.shape[:-2])
    return sign.reshape(shape), logarithm.reshape(shape)


# -- diagonals and triangles ------------------------------------------------------------------------------------


def _sumlogdiag_shape(params: Params, shape: tuple) -> tuple:
    _need_matrices(shape, square=True)
    return shape[:-2] or (1,)


@register(
    "_linalg_sumlogdiag", ("linalg_sumlogdiag",), infer_shape=forward_rule(_sumlogdiag_shape),
    infer_type=_single_or_double,
)  # fmt: skip
def linalg_sumlogdiag(A):
    """The sum of the logarithms of the diagonal: (..., N, N) -> (...), (1,) for one matrix."""
    return torch.log(A.diagonal(dim1=-2, dim2=-1)).sum(-1).reshape(A.shape[:-2] or (1,))


def _extracted_size(params: Params, shape: tuple) -> int:
    """Length of the diagonal with the offset."""
    _need_matrices(shape, square=True)
    length = shape[-1] - abs(params.offset)
    if length <= 0:
        raise MXNetError(f"offset={params.offset} lies outside of the matrices of A {shape}")
    return length


def _extractdiag_shape(params: Params, shape: tuple) -> tuple:
    return (*shape[:-2], _extracted_size(params, shape))


@register(
    "_linalg_extractdiag", ("linalg_extractdiag",), infer_shape=forward_rule(_extractdiag_shape),
    infer_type=_single_or_double, may_view=True,
)  # fmt: skip
def linalg_extractdiag(A, *, offset: Int = 0):
    """The diagonal ``offset`` above (negative: below) the main one: (..., N, N) -> (..., N - |offset|)."""
    return A.diagonal(offset, -2, -1)


def _need_vectors(shape: tuple) -> None:
    if not shape:
        raise MXNetError("A has no axis, expected at least one")


def _makediag_shape(params: Params, shape: tuple) -> tuple:
    _need_vectors(shape)
    side = shape[-1] + abs(params.offset)
    return (*shape[:-1], side, side)


@register(
    "_linalg_makediag", ("linalg_makediag",), infer_shape=forward_rule(_makediag_shape), infer_type=_single_or_double
)
def linalg_makediag(A, *, offset: Int = 0):
    """Matrices with A on the diagonal ``offset`` above (negative: below) the main one and zeros elsewhere.

    A (..., N) -> (..., N + |offset|, N + |offset|).
    """
    return torch.diag_embed(A, offset)


def _positions(count: int, offset: int, lower: bool, device):
    """Row and column of the packed entries of a triangle with ``count`` rows."""
    rows, columns = torch.tril_indices(count, count, device=device)
    rows = rows + abs(offset)
    return (columns, rows) if offset > 0 or (offset == 0 and not lower) else (rows, columns)


def _extracttrian_shape(params: Params, shape: tuple) -> tuple:
    length = _extracted_size(params, shape)
    return (*shape[:-2], length * (length + 1) // 2)


@register(
    "_linalg_extracttrian", ("linalg_extracttrian",), infer_shape=forward_rule(_extracttrian_shape),
    infer_type=_single_or_double,
)  # fmt: skip
def linalg_extracttrian(A, *, offset: Int = 0, lower: Bool = True):
    """The entries of a triangle, packed: (..., N, N) -> (..., M * (M + 1) / 2), M = N - |offset|.

    ``offset`` 0 takes the triangle that ``lower`` names, a positive one the triangle from that diagonal above the main
    one upwards, a negative one that below it. A lower triangle is packed row by row, an upper one column by column.
    """
    rows, columns = _positions(A.shape[-1] - abs(offset), offset, lower, A.device)
    return A[..., rows, columns]


def _triangle_side(entries: int) -> int:
    """The M with M * (M + 1) / 2 entries."""
    return round(((8 * entries + 1) ** 0.5 - 1) / 2)


def _maketrian_shape(params: Params, shape: tuple) -> tuple:
    _need_vectors(shape)
    length = _triangle_side(shape[-1])
    if length * (length + 1) // 2 != shape[-1]:
        raise MXNetError(f"A has shape {shape}: {shape[-1]} entries make no triangle")
    side = length + abs(params.offset)
    return (*shape[:-1], side, side)


@register(
    "_linalg_maketrian", ("linalg_maketrian",), infer_shape=forward_rule(_maketrian_shape),
    infer_type=_single_or_double,
)  # fmt: skip
def linalg_maketrian(A, *, offset: Int = 0, lower: Bool = True):
    """Triangular matrices from their packed entries, the inverse of ``extracttrian``; zeros elsewhere.

    A (..., M * (M + 1) / 2) -> (..., N, N), N = M + |offset|. ``offset`` and ``lower`` are those of ``extracttrian``.
    """
    count = _triangle_side(A.shape[-1])
    side = count + abs(offset)
    rows, columns = _positions(count, offset, lower, A.device)
    blank = A.new_zeros((*A.shape[:-1], side * side))
    return blank.index_copy(-1, rows * side + columns, A).reshape(*A.shape[:-1], side, side)
