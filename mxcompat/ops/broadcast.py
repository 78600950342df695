"""Elementwise operators of two arrays with numpy's broadcasting, and broadcasting itself."""

from mxcompat.base import MXNetError
from mxcompat.ops.dtypes import free_inputs
from mxcompat.ops.elemwise import BINARY, binary_operator, reject_zero_divisor
from mxcompat.ops.registry import register
from mxcompat.ops.schema import Optional, Params, Shape
from mxcompat.ops.shape import broadcast_shape, is_known, merge, normalize_axis

_ALIASES = {
    "add": ("_sparse_broadcast_add", "_sparse_broadcast_plus", "broadcast_plus"),
    "sub": ("_sparse_broadcast_minus", "_sparse_broadcast_sub", "broadcast_minus"),
    "mul": ("_sparse_broadcast_mul",),
    "div": ("_sparse_broadcast_div",),
}

for _stem, (_function, _text, _is_comparison) in BINARY.items():
    register(
        f"broadcast_{_stem}",
        _ALIASES.get(_stem, ()),
        infer_shape=broadcast_shape,
        check=reject_zero_divisor if _stem == "div" else None,
        stops_gradient=_is_comparison,
    )(
        binary_operator(
            f"broadcast_{_stem}",
            _function,
            f"{_text}\n\nRanks are aligned from the right; axes of size 1 are repeated.",
        )
    )


def _broadcast_to_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    data, target = ins[0], params.shape
    if data is None:
        return ins, outs
    if len(data) != len(target):
        raise MXNetError(f"shape {target} has {len(target)} axes, expected {len(data)} as in the input {data}")
    shape = []
    for have, want in zip(data, target):
        if want in (0, have) or have == 1 or have == -1:
            shape.append(have if want == 0 else want)
        else:
            raise MXNetError(f"cannot broadcast {data} to {target}: only axes of size 1 can be repeated")
    return ins, [merge(tuple(shape), outs[0], "output")]


@register("broadcast_to", infer_shape=_broadcast_to_shape, may_view=True)
def broadcast_to(data, *, shape: Shape() = ()):
    """The array with its axes of size 1 repeated to ``shape``; 0 keeps a size."""
    return data.expand([have if want == 0 else want for have, want in zip(data.shape, shape)])


def _broadcast_axis_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    data = ins[0]
    if data is None:
        return ins, outs
    if len(params.axis) != len(params.size):
        raise MXNetError(f"axis {params.axis} and size {params.size} must have the same length")
    shape = list(data)
    for axis, target in zip(params.axis, params.size):
        if not 0 <= axis < len(data):  # Compat: negative axes are refused
            raise MXNetError(f"axis: index = {axis} must be in range [0, {len(data)})")
        if data[axis] not in (1, -1):
            raise MXNetError(f"axis {axis} of {data} has size {data[axis]}; only axes of size 1 can be repeated")
        shape[axis] = target
    return ins, [merge(tuple(shape), outs[0], "output")]


@register("broadcast_axis", ("broadcast_axes",), infer_shape=_broadcast_axis_shape, may_view=True)
def broadcast_axis(data, *, axis: Shape() = (), size: Shape() = ()):
    """The array with the given axes, of size 1, repeated to the given sizes."""
    shape = list(data.shape)
    for position, target in zip(axis, size):
        shape[position] = target
    return data.expand(shape)


def _like_axes(params: Params, lhs: tuple, rhs: tuple) -> tuple[int, ...]:
    """The shape of ``broadcast_like``: all of rhs, or the named axes of it."""
    if params.lhs_axes is None or params.rhs_axes is None:
        if len(lhs) != len(rhs):
            raise MXNetError(f"lhs {lhs} and rhs {rhs} must have the same rank")
        return tuple(rhs)
    if not params.lhs_axes or not params.rhs_axes or len(params.lhs_axes) != len(params.rhs_axes):
        raise MXNetError(f"lhs_axes {params.lhs_axes} and rhs_axes {params.rhs_axes} must name equally many axes")
    shape = list(lhs)
    for left, right in zip(params.lhs_axes, params.rhs_axes):
        axis = normalize_axis(left, len(lhs), "lhs_axes")
        if lhs[axis] not in (1, -1):
            raise MXNetError(
                f"lhs_axes: axis {left} of {lhs} has size {lhs[axis]}; only axes of size 1 can be repeated"
            )
        shape[axis] = rhs[normalize_axis(right, len(rhs), "rhs_axes")]
    return tuple(shape)


def _broadcast_like_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    if ins[0] is None or ins[1] is None:
        return ins, outs
    shape = _like_axes(params, ins[0], ins[1])
    for have, want in zip(ins[0], shape):
        if have not in (1, -1, want) and want != -1:
            raise MXNetError(f"cannot broadcast {ins[0]} to {shape}: only axes of size 1 can be repeated")
    return ins, [merge(shape, outs[0], "output") if is_known(shape) else outs[0]]


@register("broadcast_like", infer_shape=_broadcast_like_shape, infer_type=free_inputs, may_view=True)
def broadcast_like(lhs, rhs, *, lhs_axes: Optional(Shape()) = None, rhs_axes: Optional(Shape()) = None):
    """lhs with its axes of size 1 repeated to the shape of rhs (or the named axes to those of rhs)."""
    params = Params(lhs_axes=lhs_axes, rhs_axes=rhs_axes)
    return lhs.expand(_like_axes(params, tuple(lhs.shape), tuple(rhs.shape)))
