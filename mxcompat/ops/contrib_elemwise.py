"""Elementwise operators of the contrib namespace, and those that make, compare and write arrays of positions."""

import math

import torch

from mxcompat.base import MXNetError
from mxcompat.ops.dtypes import fixed_output, in_type, open_inputs, unify
from mxcompat.ops.elemwise import in_floating, taped
from mxcompat.ops.registry import register
from mxcompat.ops.schema import Bool, Float, Int, Optional, Params, Shape
from mxcompat.ops.shape import forward_rule, is_known, merge, normalize_axis, same_shape


class _StraightThrough(torch.autograd.Function):
    """A function whose gradient is times the head gradient, as if it multiplied by that number."""

    @staticmethod
    def forward(ctx, data, result, times):
        ctx.times = times
        return result.view_as(result)

    @staticmethod
    def backward(ctx, gradient):
        return gradient if ctx.times == 1 else gradient * ctx.times, None, None


def _straight_through(data: torch.Tensor, result: torch.Tensor, times: float = 1) -> torch.Tensor:
    return _StraightThrough.apply(data, result, times) if taped(data) else result


@register("_contrib_round_ste", ("_sparse__contrib_round_ste",), infer_shape=same_shape)
def round_ste(data):
    """The nearest whole number, halves away from zero; the gradient is that of the identity."""
    fixed = data.detach()
    return _straight_through(data, torch.sign(fixed) * torch.floor(torch.abs(fixed) + 0.5).to(data.dtype))


@register("_contrib_sign_ste", ("_sparse__contrib_sign_ste",), infer_shape=same_shape)
def sign_ste(data):
    """-1, 0 or 1; the gradient is that of the identity."""
    return _straight_through(data, torch.sign(data.detach()))


@register("_contrib_quadratic", infer_shape=same_shape)
def quadratic(data, *, a: Float = 0.0, b: Float = 0.0, c: Float = 0.0):
    """a * x ** 2 + b * x + c; of whole numbers cut off behind the point."""
    return in_floating(lambda x: x * (a * x + b) + c)(data)


@register("_contrib_gradientmultiplier", infer_shape=same_shape, may_view=True)
def gradient_multiplier(data, *, scalar: Float = 1.0, is_int: Bool = True):
    """The input itself; on the way back the gradient is multiplied by ``scalar`` (-1 reverses it)."""
    return _straight_through(data, data.detach(), scalar)


@register("_contrib_backward_gradientmultiplier", infer_shape=same_shape)
def backward_gradient_multiplier(data, *, scalar: Float = 1.0, is_int: Bool = True):
    """``data * scalar``, what ``gradientmultiplier`` does to a gradient."""
    return data * in_type(scalar, data.dtype)


def _check_last_axis(params: Params, ins: list, outs: list) -> tuple[list, list]:
    ins, outs = same_shape(params, ins, outs)
    if ins[0] == ():
        raise MXNetError("data has no axis")
    return ins, outs


@register("_contrib_div_sqrt_dim", infer_shape=_check_last_axis)
def div_sqrt_dim(data):
    """The input over the square root of the size of its last axis; both are cut to whole numbers where it holds such."""
    root = math.sqrt(data.shape[-1])
    if data.is_floating_point():
        return data / root
    return torch.div(data, in_type(root, data.dtype), rounding_mode="trunc")


# -- positions --------------------------------------------------------------------------------------------------------


def _index_array_shape(params: Params, data: tuple) -> tuple:
    if params.axes is None:
        return (*data, len(data))
    for axis in params.axes:
        normalize_axis(axis, len(data), "axes")
    return (*data, len(params.axes))


@register(
    "_contrib_index_array",
    infer_shape=forward_rule(_index_array_shape, partial=True),
    infer_type=fixed_output("int64"),
    stops_gradient=True,
)
def index_array(data, *, axes: Optional(Shape) = None):
    """The position of every element: data (d1, …, dn) -> int64 (d1, …, dn, n), or its places along ``axes`` alone."""
    axes = range(data.ndim) if axes is None else axes
    if not axes:
        return data.new_zeros((*data.shape, 0), dtype=torch.int64)
    places = []
    for axis in axes:
        line = torch.arange(data.shape[axis], device=data.device)
        places.append(line.view(-1, *[1] * (data.ndim - 1 - axis % data.ndim)).expand(data.shape))
    return torch.stack(places, -1)


def _allclose_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    if None not in ins:
        merge(ins[0], ins[1], "input b")
    return ins, [merge((), outs[0], "output")]


def _allclose_type(params: Params, ins: list, outs: list) -> tuple[list, list]:
    unify(ins)
    return ins, [torch.uint8]


@register("_contrib_allclose", infer_shape=_allclose_shape, infer_type=_allclose_type, no_gradient=True)
def allclose(a, b, *, rtol: Float = 9.99999975e-06, atol: Float = 9.99999994e-09, equal_nan: Bool = True):
    """1 where |a - b| <= atol + rtol * |b| holds everywhere, else 0; a and b of one shape -> uint8 ().

    ``equal_nan`` lets NaN equal NaN. Compat: the difference of anything finite from an infinite b counts as small.
    """
    missing = torch.isnan(a), torch.isnan(b)
    if not a.is_floating_point():
        a, b = a.to(torch.float64), b.to(torch.float64)
    near = (a == b) | (torch.abs(a - b) <= atol + rtol * torch.abs(b))
    none, both = ~(missing[0] | missing[1]), missing[0] & missing[1]
    good = (near & none) | both if equal_nan else near & none
    return good.all().to(torch.uint8)


def _index_copy_shape(params: Params, old: tuple, index: tuple, new: tuple) -> tuple:
    if len(index) != 1:
        raise MXNetError(f"index_vector has shape {index}, expected one axis")
    if not old or new != (index[0], *old[1:]) or new[0] > old[0]:
        raise MXNetError(
            f"new_tensor has shape {new}, expected ({index[0]}, …) with the other axes of old_tensor, whose shape is {old}, "
            "and not more rows"
        )
    return old


def _index_copy_type(params: Params, ins: list, outs: list) -> tuple[list, list]:
    dtype = unify([ins[0], ins[2], outs[0]])
    return [dtype, ins[1], dtype], [dtype]


def _check_rows(params: Params, old, index, new) -> None:
    rows = index.detach().to(torch.int64)
    if bool(((rows < 0) | (rows >= old.shape[0])).any()):
        raise MXNetError(f"index_vector: rows {rows.tolist()} are not all in [0, {old.shape[0]})")


@register(
    "_contrib_index_copy",
    infer_shape=forward_rule(_index_copy_shape),
    infer_type=_index_copy_type,
    check=_check_rows,
)
def index_copy(old_tensor, index_vector, new_tensor):
    """``old_tensor`` with ``new_tensor[i]`` in the place of row ``index_vector[i]``; of equal rows the last counts.

    old_tensor (n, …), index_vector (m,), new_tensor (m, …) -> (n, …). Both tensors have a gradient; that of rows which
    were overwritten is 0. Rows outside of [0, n) raise ``MXNetError``.
    """
    return old_tensor.index_copy(0, index_vector.detach().to(torch.int64), new_tensor)


def _mask_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    if params.axis != 0:
        raise MXNetError(f"axis={params.axis}: expected 0")
    if all(map(is_known, ins)) and (not ins[0] or ins[1] != ins[0][:1]):
        raise MXNetError(f"index has shape {ins[1]}, expected one entry for each row of data, whose shape is {ins[0]}")
    return ins, outs


@register("_contrib_boolean_mask", infer_shape=_mask_shape, infer_type=open_inputs, traceable=False)
def boolean_mask(data, index, *, axis: Int = 0):
    """The rows where ``index`` is not 0: data (n, …), index (n,) -> (number of such rows, …).

    The shape depends on the values, so that a symbol with this operator cannot be bound. Rows left out get a zero
    gradient, and so does ``index``.
    """
    return data[index.detach() != 0]
