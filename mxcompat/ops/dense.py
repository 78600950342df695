"""Linear layers and matrix products."""

import torch

from mxcompat.base import MXNetError
from mxcompat.ops.dtypes import floating
from mxcompat.ops.registry import register
from mxcompat.ops.schema import Bool, Enum, Int, NoEffect, Optional, Params
from mxcompat.ops.shape import forward_rule, is_known, merge, merge_inputs, size

StorageType = Optional(Enum("default", "row_sparse", "csr"))


def _fully_connected_inputs(params: Params) -> tuple[str, ...]:
    return ("data", "weight") if params.no_bias else ("data", "weight", "bias")


def _fully_connected_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    data, hidden = ins[0], params.num_hidden
    if data is None:
        return ins, outs
    if not data:
        raise MXNetError("data must have at least one dimension")
    features = data[1:] if params.flatten else data[-1:]
    width = size(features) if is_known(features) else -1
    output = (data[0] if params.flatten else data[:-1]) if data else -1
    output = (output, hidden) if params.flatten else (*output, hidden)
    output = merge(output, outs[0], "output")
    if params.flatten and output is not None:  # the batch size is known to the output's consumer: begin states
        data = (output[0] if data[0] == -1 else data[0], *data[1:])
    column = len(ins) > 2 and ins[2] is not None and len(ins[2]) == 2  # a bias may be a column, as row_sparse ones are
    expected = (data, (hidden, width), (hidden, 1) if column else (hidden,))[: len(ins)]
    return merge_inputs(("data", "weight", "bias")[: len(ins)], ins, expected), [output]


@register(
    "FullyConnected", ("_sparse_FullyConnected",), infer_shape=_fully_connected_shape, active=_fully_connected_inputs
)
def fully_connected(data, weight, bias=None, *, num_hidden: Int(min=1), no_bias: Bool = False, flatten: Bool = True):
    """Linear layer ``data @ weight.T + bias``.

    data (N, ...), weight (num_hidden, K), bias (num_hidden,) or (num_hidden, 1) -> (N, num_hidden); K is the product of
    the trailing axes of ``data`` when ``flatten``, else the result is (..., num_hidden) and K is the last axis of ``data``.
    """
    if flatten and data.ndim != 2:
        data = data.reshape(data.shape[0], -1)
    return torch.nn.functional.linear(data, weight, bias if bias is None or bias.ndim == 1 else bias.reshape(-1))


def _dot_parts(shape: tuple, transposed: bool, contract_last: bool) -> tuple[tuple, int]:
    """The free axes of one operand of ``dot`` and the size of its contracted axis."""
    last = contract_last != transposed
    return (shape[:-1], shape[-1]) if last else (shape[1:], shape[0])


def _dot_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    left, right = ins
    if left is None or right is None:
        return ins, outs
    if not left or not right:
        raise MXNetError("scalar tensor is not supported by this operator")
    if len(left) == len(right) == 1 and (params.transpose_a or params.transpose_b):
        raise MXNetError("cannot transpose vectors")
    free_left, inner_left = _dot_parts(left, params.transpose_a, True)
    free_right, inner_right = _dot_parts(right, params.transpose_b, False)
    if inner_left != inner_right and -1 not in (inner_left, inner_right):
        raise MXNetError(
            f"dot shape error: {left} X {right}: contracted axes have sizes {inner_left} and {inner_right}"
        )
    return ins, [merge((free_left + free_right) or (1,), outs[0], "output")]


@register("dot", ("_sparse_dot",), infer_shape=_dot_shape, infer_type=floating())
def dot(lhs, rhs, *, transpose_a: Bool = False, transpose_b: Bool = False, forward_stype: StorageType = None):
    """Contraction of the last axis of ``lhs`` with the first axis of ``rhs``.

    lhs (..., K), rhs (K, ...) -> the remaining axes of ``lhs``, then those of ``rhs``; two vectors give shape (1,).
    ``transpose_a`` contracts the first axis of ``lhs`` instead, ``transpose_b`` the last axis of ``rhs``.
    ``forward_stype`` is the result's storage type; by default it follows from those of matrices (``ops/sparse.py``).
    """
    left = 0 if transpose_a else lhs.ndim - 1
    right = rhs.ndim - 1 if transpose_b else 0
    if lhs.ndim == 2 and rhs.ndim == 2:
        return torch.mm(lhs.t() if transpose_a else lhs, rhs.t() if transpose_b else rhs)
    if lhs.ndim == 1 and rhs.ndim == 1:
        return torch.dot(lhs, rhs).reshape(1)
    return torch.tensordot(lhs, rhs, dims=([left], [right]))


def _batch_dot_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    left, right = ins
    if left is None or right is None:
        return ins, outs
    if len(left) < 3 or len(left) != len(right):
        raise MXNetError(f"batch_dot supports arrays of one rank, at least 3; got {left} and {right}")
    if left[-1] == -1 or right[-2] == -1:
        return ins, outs  # Compat: whatever is transposed
    batch = merge(left[:-2], right[:-2], "batch_dot shape error (the leading batch dimensions must be equal)")
    rows, inner_left = left[-2:][::-1] if params.transpose_a else left[-2:]
    inner_right, columns = right[-2:][::-1] if params.transpose_b else right[-2:]
    if inner_left != inner_right and -1 not in (inner_left, inner_right):
        raise MXNetError(
            f"batch_dot shape error: {left} X {right}: contracted axes have sizes {inner_left} and {inner_right}"
        )
    return ins, [merge((*batch, rows, columns), outs[0], "output")]


@register("batch_dot", infer_shape=_batch_dot_shape, infer_type=floating())
def batch_dot(
    lhs, rhs, *, transpose_a: Bool = False, transpose_b: Bool = False, forward_stype: NoEffect(StorageType) = None
):
    """Matrix products over equal leading axes: lhs (..., M, K), rhs (..., K, N) -> (..., M, N).

    ``transpose_a`` and ``transpose_b`` swap the last two axes of an operand first.
    """
    left = lhs.transpose(-1, -2) if transpose_a else lhs
    right = rhs.transpose(-1, -2) if transpose_b else rhs
    return torch.matmul(left, right)


def _khatri_rao_shape(params: Params, *shapes: tuple) -> tuple:
    columns = shapes[0][-1]
    if any(len(shape) != 2 or shape[1] != columns for shape in shapes):
        raise MXNetError(f"expected matrices with the same number of columns, got {', '.join(map(str, shapes))}")
    return (size([shape[0] for shape in shapes]), columns)


@register(
    "khatri_rao",
    variadic="num_args",
    infer_shape=forward_rule(_khatri_rao_shape),
    infer_type=floating(),
    no_gradient=True,
    may_view=True,
)
def khatri_rao(*args, num_args: Int(min=1)):
    """Column-wise Kronecker product of matrices (M1, K), (M2, K), … -> (M1 * M2 * …, K). It has no gradient."""
    product = args[0]
    for matrix in args[1:]:
        product = (product[:, None, :] * matrix[None, :, :]).reshape(-1, product.shape[1])
    return product
