"""Operators that change the shape of an array, take parts of it, or join arrays."""

import torch

from mxcompat.base import MXNetError
from mxcompat.ops.dtypes import floating, free_inputs, in_type, unify
from mxcompat.ops.registry import register
from mxcompat.ops.schema import Bool, Enum, Float, Int, Optional, OptionalInts, Params, Shape
from mxcompat.ops.shape import forward_rule, is_known, merge, normalize_axis, or_one, reshape_target, same_shape, size
from mxcompat.scope import is_np_shape

# -- reshaping ----------------------------------------------------------------------------------------------------------


def _target(params: Params, data: tuple) -> tuple[int, ...]:
    """The shape ``Reshape`` gives; without codes the old ``target_shape``, in which 0 is inferred."""
    if params.shape:
        return reshape_target(params.shape, data, params.reverse)
    if not params.target_shape:
        raise MXNetError("shape is missing")
    target = [-1 if dim == 0 else dim for dim in params.target_shape]
    if params.keep_highest:
        target[0] = data[0]
    return reshape_target(target, data)


def _reshape_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    data = ins[0]
    if data is None:
        return ins, outs
    target = merge(_target(params, data), outs[0], "output")
    if is_known(target) and data.count(-1) == 1:  # what the output says about the input
        rest = size([dim for dim in data if dim != -1])
        if rest and size(target) % rest == 0:
            data = tuple(size(target) // rest if dim == -1 else dim for dim in data)
    if is_known(data) and is_known(target) and size(data) != size(target):
        raise MXNetError(f"cannot reshape {data} into {target}: {size(data)} and {size(target)} elements")
    return [data], [target]


@register("Reshape", ("reshape",), infer_shape=_reshape_shape, may_view=True)
def reshape(
    data, *, shape: Shape() = (), reverse: Bool = False, target_shape: Shape() = (), keep_highest: Bool = False
):
    """The same elements in another shape.

    Codes: 0 copies the size at the same place, -1 is inferred, -2 takes all that remain, -3 merges two, -4 splits one into
    the two that follow; ``reverse`` matches from the right. A target of another size raises.
    """
    params = Params(shape=shape, reverse=reverse, target_shape=target_shape, keep_highest=keep_highest)
    return data.reshape(_target(params, tuple(data.shape)))


def _flatten_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    data = ins[0]
    if data is None:
        return ins, outs
    rest = size(data[1:]) if is_known(data[1:]) else -1
    target = merge((data[0], rest), outs[0], "output")
    return [(target[0], *data[1:])], [target]


@register("Flatten", ("flatten",), infer_shape=_flatten_shape, may_view=True)
def flatten(data):
    """All axes but the first as one: (N, ...) -> (N, K); one axis gives (N, 1)."""
    return data.flatten(1) if data.ndim > 1 else data.reshape(data.shape[0], 1)


def _like_target(params: Params, lhs: tuple, rhs: tuple) -> tuple[int, ...]:
    def bounds(begin: int | None, end: int | None, ndim: int) -> tuple[int, int]:
        begin = 0 if begin is None else begin % ndim if begin < 0 else begin
        end = ndim if end is None else end % ndim if end < 0 else end
        if not 0 <= begin <= end <= ndim:
            raise MXNetError(f"axes {begin} to {end} are not within {ndim} axes")
        return begin, end

    left, right = bounds(params.lhs_begin, params.lhs_end, len(lhs)), bounds(params.rhs_begin, params.rhs_end, len(rhs))
    return (*lhs[: left[0]], *rhs[right[0] : right[1]], *lhs[left[1] :])


def _reshape_like_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    if ins[0] is None or ins[1] is None:
        return ins, outs
    target = _like_target(params, ins[0], ins[1])
    if is_known(ins[0]) and is_known(target) and size(ins[0]) != size(target):
        raise MXNetError(f"cannot reshape {ins[0]} into {target}")
    return ins, [merge(target, outs[0], "output")]


@register("reshape_like", infer_shape=_reshape_like_shape, infer_type=free_inputs, may_view=True)
def reshape_like(
    lhs,
    rhs,
    *,
    lhs_begin: Optional(Int) = None,
    lhs_end: Optional(Int) = None,
    rhs_begin: Optional(Int) = None,
    rhs_end: Optional(Int) = None,
):
    """lhs in the shape of rhs, or with its axes lhs_begin..lhs_end replaced by the axes rhs_begin..rhs_end of rhs."""
    params = Params(lhs_begin=lhs_begin, lhs_end=lhs_end, rhs_begin=rhs_begin, rhs_end=rhs_end)
    return lhs.reshape(_like_target(params, tuple(lhs.shape), tuple(rhs.shape)))


def _expand_dims_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    data, out = ins[0], outs[0]
    if data is None:
        if out is None:
            return ins, outs
        axis = normalize_axis(params.axis, len(out))
        return [(*out[:axis], *out[axis + 1 :])], outs
    axis = normalize_axis(params.axis, len(data) + 1)
    out = merge((*data[:axis], 1, *data[axis:]), out, "output")
    return [(*out[:axis], *out[axis + 1 :])], [out]


@register("expand_dims", infer_shape=_expand_dims_shape, may_view=True)
def expand_dims(data, *, axis: Int):
    """The array with a new axis of size 1 at ``axis`` (negative counts from the end)."""
    return data.unsqueeze(axis)


def _squeezed(params: Params, data: tuple) -> tuple[int, ...]:
    if params.axis is None:
        return tuple(dim for dim in data if dim != 1) or (1,)
    axes = [normalize_axis(axis, len(data)) for axis in params.axis]
    for axis in axes:
        if data[axis] != 1:
            raise MXNetError(f"cannot squeeze axis {axis} of {data}: its size is {data[axis]}, not 1")
    return tuple(dim for i, dim in enumerate(data) if i not in axes) or (1,)


@register("squeeze", infer_shape=forward_rule(_squeezed), may_view=True)
def squeeze(data, *, axis: Optional(Shape()) = None):
    """The array without its axes of size 1 (the named ones); at least one axis stays."""
    return data.reshape(_squeezed(Params(axis=axis), tuple(data.shape)))


def _order(params: Params, ndim: int) -> tuple[int, ...]:
    axes = params.axes or tuple(range(ndim))[::-1]
    if sorted(axes) != list(range(ndim)):  # Compat: negative axes are refused
        raise MXNetError(f"axes {params.axes} are no permutation of the axes 0 to {ndim - 1}")
    return axes


def _transpose_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    data, out = ins[0], outs[0]
    known = data if data is not None else out
    if known is None:
        return ins, outs
    order = _order(params, len(known))
    if data is not None:
        out = merge(tuple(data[axis] for axis in order), out, "output")
    back = [-1] * len(order)
    for position, axis in enumerate(order):
        back[axis] = out[position]
    return [tuple(back)], [out]


@register("transpose", infer_shape=_transpose_shape, may_view=True)
def transpose(data, *, axes: Shape() = ()):
    """The array with its axes in the given order; reversed without one."""
    return data.permute(_order(Params(axes=axes), data.ndim))


def _swap_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    data = ins[0]
    if data is None:
        return ins, outs
    first, second = normalize_axis(params.dim1, len(data), "dim1"), normalize_axis(params.dim2, len(data), "dim2")
    shape = list(data)
    shape[first], shape[second] = shape[second], shape[first]
    out = list(merge(tuple(shape), outs[0], "output"))
    back = list(out)
    back[first], back[second] = out[second], out[first]
    return [tuple(back)], [tuple(out)]


@register("SwapAxis", ("swapaxes",), infer_shape=_swap_shape, may_view=True)
def swap_axis(data, *, dim1: Int = 0, dim2: Int = 0):
    """The array with two axes exchanged."""
    return data.transpose(dim1, dim2)


def _reverse_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    ins, outs = same_shape(params, ins, outs)
    for axis in params.axis:
        if ins[0] is not None and not 0 <= axis < len(ins[0]):  # Compat: negative axes are refused
            raise MXNetError(f"axis: index = {axis} must be in range [0, {len(ins[0])})")
    return ins, outs


@register("reverse", ("flip",), infer_shape=_reverse_shape)
def reverse(data, *, axis: Shape()):
    """The array with the given (non-negative) axes in reverse order."""
    return data.flip(axis)


def _blocks(params: Params, data: tuple, to_depth: bool) -> tuple[int, ...]:
    block = params.block_size
    if len(data) != 4:
        raise MXNetError(f"expected 4 axes (N, C, H, W), got {data}")
    if 0 in data and not is_np_shape():
        raise MXNetError(f"data has shape {data}: sizes must be positive")
    n, c, h, w = data
    if to_depth:
        if h % block or w % block or not h or not w:
            raise MXNetError(f"height and width of {data} must be multiples of block_size {block}")
        return n, c * block * block, h // block, w // block
    if c % (block * block):
        raise MXNetError(f"the {c} channels of {data} must be a multiple of block_size squared {block * block}")
    return n, c // (block * block), h * block, w * block


@register("depth_to_space", infer_shape=forward_rule(lambda params, data: _blocks(params, data, False)), may_view=True)
def depth_to_space(data, *, block_size: Int(min=1)):
    """(N, C, H, W) -> (N, C / b^2, H b, W b); channels are split block-major: (b, b, C / b^2)."""
    n, c, h, w = data.shape
    b = block_size
    parts = data.reshape(n, b, b, c // (b * b), h, w)
    return parts.permute(0, 3, 4, 1, 5, 2).reshape(n, c // (b * b), h * b, w * b)


@register("space_to_depth", infer_shape=forward_rule(lambda params, data: _blocks(params, data, True)), may_view=True)
def space_to_depth(data, *, block_size: Int(min=1)):
    """(N, C, H, W) -> (N, C b^2, H / b, W / b), the inverse of depth_to_space."""
    n, c, h, w = data.shape
    b = block_size
    parts = data.reshape(n, c, h // b, b, w // b, b)
    return parts.permute(0, 3, 5, 1, 2, 4).reshape(n, c * b * b, h // b, w // b)


# -- repeating and padding ----------------------------------------------------------------------------------------------


def _tiled(params: Params, data: tuple) -> tuple[int, ...]:
    ndim = max(len(data), len(params.reps))
    shape = (1,) * (ndim - len(data)) + tuple(data)
    reps = (1,) * (ndim - len(params.reps)) + params.reps
    if any(rep < (0 if is_np_shape() else 1) for rep in reps):
        raise MXNetError(f"reps {params.reps} must be positive")
    return tuple(dim * rep if dim != -1 else -1 for dim, rep in zip(shape, reps))


@register("tile", infer_shape=forward_rule(_tiled, partial=True), may_view=True)
def tile(data, *, reps: Shape()):
    """The whole array repeated ``reps`` times along each axis; ranks are aligned from the right."""
    return data.repeat((1,) * (data.ndim - len(reps)) + reps)


def _repeated(params: Params, data: tuple) -> tuple[int, ...]:
    if params.axis is None:
        return (size(data) * params.repeats if is_known(data) else -1,)
    axis = normalize_axis(params.axis, len(data))
    return (*data[:axis], data[axis] * params.repeats if data[axis] != -1 else -1, *data[axis + 1 :])


@register("repeat", infer_shape=forward_rule(_repeated, partial=True))
def repeat(data, *, repeats: Int(min=0), axis: Optional(Int) = None):
    """Every element repeated ``repeats`` times along an axis, or in the flattened array."""
    return data.repeat_interleave(repeats, axis)


def _padded(params: Params, data: tuple) -> tuple[int, ...]:
    width = params.pad_width
    if len(data) not in (4, 5):
        raise MXNetError(f"Current implementation only supports 4-D or 5-D input, got {data}")
    if len(width) != 2 * len(data) or any(width[:4]) or any(w < 0 for w in width):
        raise MXNetError(
            f"pad_width {width}: expected {2 * len(data)} numbers, before and after each axis, the first four of them 0"
        )
    if params.mode == "reflect":
        for axis in range(2, len(data)):
            if -1 < data[axis] <= max(width[2 * axis], width[2 * axis + 1]):
                raise MXNetError(f"pad_width {width}: reflection on axis {axis} must stay below its size {data[axis]}")
    return tuple(dim + width[2 * i] + width[2 * i + 1] if dim != -1 else -1 for i, dim in enumerate(data))


@register("Pad", ("pad",), infer_shape=forward_rule(_padded, partial=True), infer_type=floating())
def pad(data, *, mode: Enum("constant", "edge", "reflect"), pad_width: Shape(), constant_value: Float = 0.0):
    """The array with a border on its spatial axes: (N, C, ...) with 4 or 5 axes.

    ``pad_width`` lists before and after of each axis, N and C with 0.
    """
    widths = [w for axis in range(data.ndim - 1, 1, -1) for w in pad_width[2 * axis : 2 * axis + 2]]
    if mode == "constant":
        return torch.nn.functional.pad(data, widths, value=constant_value)
    return torch.nn.functional.pad(data, widths, mode="replicate" if mode == "edge" else "reflect")


# -- parts --------------------------------------------------------------------------------------------------------------


def slice_ranges(params: Params, data: tuple) -> list[tuple[int, int, int]]:
    """Start, step and count along each axis of ``slice``; None means the whole axis, ends beyond it are clipped.

    The count is -1 on an axis of unknown size.
    """
    begin, end, step = params.begin, params.end, params.get("step") or ()
    if len(begin) != len(end) or len(begin) > len(data) or (step and len(step) != len(begin)):
        raise MXNetError(f"begin {begin}, end {end} and step {step} must have one length, at most {len(data)}")
    ranges = []
    for axis, dim in enumerate(data):
        if axis >= len(begin):
            ranges.append((0, 1, dim))
            continue
        pace = step[axis] if step and step[axis] is not None else 1
        if pace == 0:
            raise MXNetError(f"step {step} must not be 0")
        if dim == -1:
            ranges.append((0, pace, -1))
            continue
        covered = range(dim)[slice(begin[axis], end[axis], pace)]
        ranges.append((covered.start, pace, len(covered)))
    return ranges


def _sliced(params: Params, data: tuple) -> tuple[int, ...]:
    return tuple(count for _, _, count in slice_ranges(params, data))


def _select(data: torch.Tensor, params: Params) -> torch.Tensor:
    flips = []
    keys = []
    for axis, (start, step, count) in enumerate(slice_ranges(params, tuple(data.shape))):
        if step < 0:
            flips.append(axis)
            start, step = start + (count - 1) * step if count else 0, -step
        keys.append(slice(start, start + (count - 1) * step + 1 if count else start, step))
    view = data[tuple(keys)]
    return view.flip(flips) if flips else view


@register("slice", ("_sparse_slice", "crop"), infer_shape=forward_rule(_sliced, partial=True), may_view=True)
def slice_(data, *, begin: OptionalInts, end: OptionalInts, step: OptionalInts = ()):
    """The region from ``begin`` below ``end`` by ``step`` on the leading axes; None means from or to the border."""
    return _select(data, Params(begin=begin, end=end, step=step))


slice_.__name__ = "slice_region"


def _axis_bounds(params: Params, data: tuple) -> tuple[int, int, int]:
    axis = normalize_axis(params.axis, len(data))
    dim = data[axis]
    begin = params.begin + dim if params.begin < 0 else params.begin
    end = dim if params.end is None else params.end + dim if params.end < 0 else params.end
    if end > dim:
        raise MXNetError(f"Invalid end for end={params.end} as axis_size is {dim}")
    if not 0 <= begin < end:
        raise MXNetError(f"Invalid begin, end, got begin={params.begin}, end={params.end} for axis of size {dim}")
    return axis, begin, end


def _slice_axis_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    data = ins[0]
    if data is None:
        return ins, outs
    axis = normalize_axis(params.axis, len(data))
    if data[axis] == -1:
        return ins, [merge((*data[:axis], -1, *data[axis + 1 :]), outs[0], "output")]
    axis, begin, end = _axis_bounds(params, data)
    return ins, [merge((*data[:axis], end - begin, *data[axis + 1 :]), outs[0], "output")]


@register("slice_axis", infer_shape=_slice_axis_shape, may_view=True)
def slice_axis(data, *, axis: Int, begin: Int, end: Optional(Int)):
    """The part from ``begin`` below ``end`` of one axis; None means to its end, beyond it raises."""
    axis, begin, end = _axis_bounds(Params(axis=axis, begin=begin, end=end), tuple(data.shape))
    return data.narrow(axis, begin, end - begin)


def _sliced_like(params: Params, data: tuple, like: tuple) -> tuple[int, ...]:
    if not params.axes and len(data) != len(like):
        raise MXNetError(f"data {data} and shape_like {like} must have the same rank")
    axes = [normalize_axis(axis, len(data)) for axis in params.axes] or range(len(data))
    shape = list(data)
    for axis in axes:
        if axis >= len(like) or (data[axis] != -1 and like[axis] > data[axis]):
            raise MXNetError(f"shape_like {like} is larger than data {data} on axis {axis}")
        shape[axis] = like[axis]
    return tuple(shape)


@register("slice_like", infer_shape=forward_rule(_sliced_like, partial=True), infer_type=free_inputs, may_view=True)
def slice_like(data, shape_like, *, axes: Shape() = ()):
    """The leading part of ``data`` as large as ``shape_like``, on all or the given axes."""
    shape = _sliced_like(Params(axes=axes), tuple(data.shape), tuple(shape_like.shape))
    return data[tuple(slice(0, dim) for dim in shape)]


def _assign_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    shape = merge(ins[0], outs[0], "output")
    if shape is None:
        return ins, outs
    region = _sliced(params, shape)
    return [shape, *[merge(region, value, "rhs") for value in ins[1:]]], [shape]


@register("_slice_assign", ("_crop_assign",), infer_shape=_assign_shape, no_gradient=True)
def slice_assign(lhs, rhs, *, begin: OptionalInts, end: OptionalInts, step: OptionalInts = ()):
    """lhs with the region ``begin:end:step`` replaced by rhs."""
    return _assigned(lhs, rhs, Params(begin=begin, end=end, step=step))


@register("_slice_assign_scalar", ("_crop_assign_scalar",), infer_shape=_assign_shape, no_gradient=True)
def slice_assign_scalar(data, *, scalar: Float = 0.0, begin: OptionalInts, end: OptionalInts, step: OptionalInts = ()):
    """data with the region ``begin:end:step`` filled with a number."""
    params = Params(begin=begin, end=end, step=step)
    return _assigned(data, torch.full_like(_select(data, params), in_type(scalar, data.dtype)), params)


def _assigned(data: torch.Tensor, value: torch.Tensor, params: Params) -> torch.Tensor:
    grids = [
        start + step * torch.arange(count, device=data.device)
        for start, step, count in slice_ranges(params, tuple(data.shape))
    ]
    return data.index_put(torch.meshgrid(*grids, indexing="ij"), value)


# -- joining and splitting ----------------------------------------------------------------------------------------------


def concat_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    """The shape rule of joining arrays along axis ``dim``."""
    known = next((s for s in (*ins, *outs) if s is not None), None)
    if known is None:
        return ins, outs
    axis = normalize_axis(params.dim, len(known), "dim")
    rest = None
    for i, shape in enumerate((*ins, *outs)):
        if shape is not None and len(shape) != len(known):
            raise MXNetError(f"input {i} has shape {shape}, expected {len(known)} axes")
        rest = merge(rest, None if shape is None else (*shape[:axis], -1, *shape[axis + 1 :]), f"input {i}")
    lengths = [-1 if s is None else s[axis] for s in ins]
    total = outs[0][axis] if outs[0] is not None else -1
    if -1 not in lengths:
        total = merge((sum(lengths),), (total,), "output")[0]
    elif lengths.count(-1) == 1 and total != -1:
        lengths[lengths.index(-1)] = total - sum(length for length in lengths if length != -1)
    shapes = [(*rest[:axis], length, *rest[axis + 1 :]) for length in lengths]
    return shapes, [(*rest[:axis], total, *rest[axis + 1 :])]


@register("Concat", ("_sparse_concat", "concat"), infer_shape=concat_shape, variadic="num_args", may_view=True)
def concat(*data, num_args: Int(min=1), dim: Int = 1):
    """The arrays joined along axis ``dim``; all other sizes must agree."""
    return data[0] if len(data) == 1 else torch.cat(data, dim)


@register("_rnn_param_concat", infer_shape=concat_shape, variadic="num_args", may_view=True)
def rnn_param_concat(*data, num_args: Int(min=1), dim: Int = 1):
    """The arrays joined along axis ``dim``, as packed recurrent parameters are."""
    return data[0] if len(data) == 1 else torch.cat(data, dim)


def _stack_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    shape = None
    for i, other in enumerate(ins):
        shape = merge(shape, other, f"input {i}")
    if outs[0] is not None:
        axis = normalize_axis(params.axis, len(outs[0]))
        shape = merge(shape, (*outs[0][:axis], *outs[0][axis + 1 :]), "output")
    if shape is None:
        return ins, outs
    axis = normalize_axis(params.axis, len(shape) + 1)
    return [shape] * len(ins), [(*shape[:axis], len(ins), *shape[axis:])]


@register("stack", infer_shape=_stack_shape, variadic="num_args")
def stack(*data, axis: Int = 0, num_args: Int(min=1)):
    """The arrays, of one shape, along a new axis."""
    return torch.stack(data, axis)


def _split_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    data = ins[0]
    if data is None:
        return ins, outs
    axis, count = normalize_axis(params.axis, len(data)), params.num_outputs
    if data[axis] != -1 and data[axis] % count:
        raise MXNetError(f"axis {axis} of {data} cannot be split into {count} equal parts")
    part = -1 if data[axis] == -1 else data[axis] // count
    if params.squeeze_axis and part not in (1, -1):
        raise MXNetError(f"squeeze_axis: the parts of axis {axis} of {data} have size {part}, not 1")
    shape = (*data[:axis], *(() if params.squeeze_axis else (part,)), *data[axis + 1 :])
    shape = or_one(shape)
    for out in outs:
        shape = merge(shape, out, "output")
    if params.squeeze_axis:
        back = (*shape[:axis], data[axis], *shape[axis:])[: len(data)]
    else:
        back = (*shape[:axis], -1 if shape[axis] == -1 else shape[axis] * count, *shape[axis + 1 :])
    return [merge(data, back, "data")], [shape] * len(outs)


def _numbered(count: int) -> tuple[str, ...]:
    return tuple(f"output{i}" for i in range(count))


@register(
    "SliceChannel",
    ("split",),
    infer_shape=_split_shape,
    outputs=lambda params: params.num_outputs,
    output_names=lambda params: _numbered(params.num_outputs),
    may_view=True,
)
def slice_channel(data, *, num_outputs: Int(min=1), axis: Int = 1, squeeze_axis: Bool = False):
    """The array cut into ``num_outputs`` equal parts along an axis (which ``squeeze_axis`` removes, at size 1)."""
    if num_outputs == 1 and not squeeze_axis:
        return data
    parts = data.unbind(axis) if squeeze_axis else data.chunk(num_outputs, axis)
    if len(parts) == 1:
        return parts[0].reshape(or_one(parts[0].shape))
    return tuple(part.reshape(or_one(part.shape)) for part in parts)


def _cuts(params: Params, length: int) -> list[int]:
    """Where the parts begin, and the end of the axis; of ``sections`` that do not divide it the first ones are larger."""
    count = params.sections
    if count > 0:
        return [i * (length // count) + min(i, length % count) for i in range(count + 1)]
    cuts = [*params.indices, length]
    if any(begin > end for begin, end in zip(cuts, cuts[1:])):
        raise MXNetError(f"indices {params.indices} must not decrease, nor pass the {length} elements of the axis")
    return cuts


def _split_v2_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    data = ins[0]
    if data is None or data[normalize_axis(params.axis, len(data))] == -1:
        return ins, outs
    axis = normalize_axis(params.axis, len(data))
    cuts = _cuts(params, data[axis])
    shapes = []
    for begin, end in zip(cuts, cuts[1:]):
        if params.squeeze_axis and end - begin != 1:
            raise MXNetError(f"squeeze_axis: a part of axis {axis} of {data} has size {end - begin}, not 1")
        middle = () if params.squeeze_axis else (end - begin,)
        shapes.append((*data[:axis], *middle, *data[axis + 1 :]))
    outs = [merge(s, o, "output") for s, o in zip(shapes, outs)]
    for out in outs:
        data = merge(data, (*out[:axis], data[axis], *out[axis + (not params.squeeze_axis) :]), "data")
    return [data], outs


def _split_v2_outputs(params: Params) -> int:
    return params.sections if params.sections > 0 else len(params.indices)


@register(
    "_split_v2",
    infer_shape=_split_v2_shape,
    outputs=_split_v2_outputs,
    may_view=True,
)
def split_v2(data, *, indices: Shape(), axis: Int = 1, squeeze_axis: Bool = False, sections: Int(min=0) = 0):
    """The array cut along an axis into ``sections`` parts, or into parts beginning at ``indices``."""
    cuts = _cuts(Params(indices=indices, sections=sections), data.shape[axis])
    parts = [data.narrow(axis, begin, end - begin) for begin, end in zip(cuts, cuts[1:])]
    if squeeze_axis:
        parts = [part.squeeze(axis) for part in parts]
    return parts[0] if len(parts) == 1 else tuple(parts)


# -- diagonals and selection ----------------------------------------------------------------------------------------------


def _diag_shape(params: Params, data: tuple) -> tuple[int, ...]:
    k = params.k
    if len(data) == 1:
        side = data[0] + abs(k)
        return side, side
    first, second = normalize_axis(params.axis1, len(data), "axis1"), normalize_axis(params.axis2, len(data), "axis2")
    if first == second:
        raise MXNetError(f"axis1 and axis2 must differ, both are {first}")
    rows, columns = data[first], data[second]
    length = min(rows, columns - k) if k >= 0 else min(rows + k, columns)
    if length < 0:
        raise MXNetError(f"diagonal {k} of {data} does not exist")
    return (*(dim for i, dim in enumerate(data) if i not in (first, second)), length)


@register("diag", infer_shape=forward_rule(_diag_shape), may_view=True)
def diag(data, *, k: Int = 0, axis1: Int = 0, axis2: Int = 1):
    """The k-th diagonal over two axes (as a new last axis), or of one axis the matrix with it on its k-th diagonal."""
    if data.ndim == 1:
        return torch.diag_embed(data, k)
    return torch.diagonal(data, k, axis1, axis2)


def _where_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    condition = ins[0]
    if not is_known(condition):
        return ins, outs  # Compat: as in the original, nothing follows from a condition that is not fully known
    shape = merge(merge(ins[1], ins[2], "y"), outs[0], "output")
    if condition is not None and shape is not None:
        if len(condition) == 1 and len(shape) != 1:
            condition = merge(condition, (shape[0],), "condition")
        else:
            condition = shape = merge(condition, shape, "condition")
    return [condition, shape, shape], [shape]


def _where_type(params: Params, ins: list, outs: list) -> tuple[list, list]:
    dtype = unify([*ins[1:], *outs])
    return [ins[0] if ins[0] is not None else dtype, dtype, dtype], [dtype]


@register("where", ("_sparse_where",), infer_shape=_where_shape, infer_type=_where_type)
def where(condition, x, y):
    """x where the condition is not 0, else y; a condition of one axis selects whole rows. It gets no gradient."""
    chosen = condition.detach() != 0
    if chosen.ndim == 1 and x.ndim > 1:
        chosen = chosen.reshape(-1, *[1] * (x.ndim - 1))
    return torch.where(chosen, x, y)
