"""Convolution, its transpose, up-sampling and cropping of images.

Layouts are strings over N (batch), C (channel) and D, H, W (space). The kernels run channels-first; a channels-last
node permutes data and weight on the way in and the result on the way out.
"""

from collections.abc import Sequence

import torch
from torch.nn import functional

from mxcompat.base import MXNetError
from mxcompat.ops.dtypes import floating
from mxcompat.ops.registry import register
from mxcompat.ops.schema import Bool, Enum, Int, NoEffect, Optional, Params, Shape
from mxcompat.ops.shape import forward_rule, is_known, merge, merge_inputs

CHANNELS_FIRST = {1: "NCW", 2: "NCHW", 3: "NCDHW"}
Layout = Optional(Enum("NCDHW", "NCHW", "NCW", "NDHWC", "NHWC"))
CudnnTune = NoEffect(Optional(Enum("fastest", "limited_workspace", "off")))
NATURAL_AXES = Shape(min=0)

_CONVOLUTIONS = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
_TRANSPOSED = {1: functional.conv_transpose1d, 2: functional.conv_transpose2d, 3: functional.conv_transpose3d}


def is_channels_last(layout: str | None) -> bool:
    """Whether the channel is the last letter of the layout; None means the default, channels first."""
    return layout is not None and layout[-1] == "C"


def channels_first_shape(shape: Sequence[int], layout: str | None) -> tuple:
    """The shape with the channel moved from the end to axis 1 when the layout has it last."""
    return (shape[0], shape[-1], *shape[1:-1]) if is_channels_last(layout) else tuple(shape)


def layout_shape(shape: Sequence[int], layout: str | None) -> tuple:
    """The inverse of ``channels_first_shape``."""
    return (shape[0], *shape[2:], shape[1]) if is_channels_last(layout) else tuple(shape)


def _per_axis(values: Sequence[int], axes: int, default: int) -> tuple[int, ...]:
    return tuple(values) or (default,) * axes


def _check_geometry(params: Params, data: tuple, names: Sequence[str]) -> int:
    """The number of spatial axes, after comparing kernel, data rank, layout and the per-axis parameters with it."""
    axes = len(params.kernel)
    if axes not in CHANNELS_FIRST:
        raise MXNetError(f"kernel={params.kernel}: expected 1, 2 or 3 axes")
    if len(data) != axes + 2:
        raise MXNetError(f"data has shape {data}, expected {axes + 2} axes for kernel={params.kernel}")
    if params.layout is not None and len(params.layout) != axes + 2:
        raise MXNetError(f"layout={params.layout!r} does not fit kernel={params.kernel}")
    for name in names:
        if len(params[name]) not in (0, axes):
            raise MXNetError(f"{name}={params[name]}: expected as many entries as kernel={params.kernel}")
        if name not in ("pad", "adj") and 0 in params[name]:
            raise MXNetError(f"{name}={params[name]}: entries must be positive")
    if 0 in params.kernel:
        raise MXNetError(f"kernel={params.kernel}: entries must be positive")
    return axes


def _check_groups(params: Params, channels: int) -> None:
    groups = params.num_group
    if channels != -1 and channels % groups:
        raise MXNetError(f"{channels} input channels are not divisible by num_group={groups}")
    if params.num_filter % groups:
        raise MXNetError(f"num_filter={params.num_filter} is not divisible by num_group={groups}")


def _dilated(kernel: Sequence[int], dilate: Sequence[int]) -> tuple[int, ...]:
    return tuple(1 + (k - 1) * d for k, d in zip(kernel, dilate))


def convolution_inputs(params: Params) -> tuple[str, ...]:
    """The inputs of a convolution, with or without bias."""
    return ("data", "weight") if params.no_bias else ("data", "weight", "bias")


def convolution_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    """The shape rule of convolutions of 1 to 3 spatial axes."""
    if ins[0] is None:
        return ins, outs
    layout = params.layout
    axes = _check_geometry(params, ins[0], ("stride", "dilate", "pad"))
    data = channels_first_shape(ins[0], layout)
    _check_groups(params, data[1])
    stride, pad = _per_axis(params.stride, axes, 1), _per_axis(params.pad, axes, 0)
    extent = _dilated(params.kernel, _per_axis(params.dilate, axes, 1))
    space = []
    for n, k, s, p in zip(data[2:], extent, stride, pad):
        if n != -1 and n + 2 * p < k:
            raise MXNetError(f"kernel size {k} exceeds input size {n} with pad {p} on each side")
        space.append(-1 if n == -1 else (n + 2 * p - k) // s + 1)
    output = merge(layout_shape((data[0], params.num_filter, *space), layout), outs[0], "output")
    # The batch size, and with stride 1 the space, follow from the output too.
    known = channels_first_shape(output, layout)
    back = [o + k - 1 - 2 * p if n == -1 and o != -1 and s == 1 else n
            for n, o, k, s, p in zip(data[2:], known[2:], extent, stride, pad)]  # fmt: skip
    weight = (params.num_filter, data[1] // params.num_group if data[1] != -1 else -1, *params.kernel)
    expected = (layout_shape((known[0], data[1], *back), layout), layout_shape(weight, layout), (params.num_filter,))
    return merge_inputs(("data", "weight", "bias")[: len(ins)], ins, expected[: len(ins)]), [output]


@register("Convolution", infer_shape=convolution_shape, infer_type=floating(), active=convolution_inputs)
def convolution(
    data,
    weight,
    bias=None,
    *,
    kernel: Shape,
    stride: NATURAL_AXES = (),
    dilate: NATURAL_AXES = (),
    pad: NATURAL_AXES = (),
    num_filter: Int(min=1),
    num_group: Int(min=1) = 1,
    workspace: NoEffect(Int(min=0)) = 1024,
    no_bias: Bool = False,
    cudnn_tune: CudnnTune = None,
    cudnn_off: NoEffect(Bool) = False,
    layout: Layout = None,
):
    """Cross-correlation of 1 to 3 spatial axes with learned kernels.

    data (N, C, *space), weight (num_filter, C / num_group, *kernel), bias (num_filter,) -> (N, num_filter, *out) with
    out = (in + 2 * pad - dilate * (kernel - 1) - 1) // stride + 1. In a channels-last ``layout`` all but the bias
    carry the channel as their last axis.
    """
    axes = len(kernel)
    stride, dilate, pad = _per_axis(stride, axes, 1), _per_axis(dilate, axes, 1), _per_axis(pad, axes, 0)
    run = _CONVOLUTIONS[axes]
    if not is_channels_last(layout):
        return run(data, weight, bias, stride, pad, dilate, num_group)
    result = run(data.movedim(-1, 1), weight.movedim(-1, 1), bias, stride, pad, dilate, num_group)
    return result.movedim(1, -1).contiguous()


def _transposed_padding(kernel, stride, dilate, pad, adj, target_shape, space: Sequence[int]) -> tuple[tuple, tuple]:
    """(pad, adj) of a Deconvolution over known input sizes; a target shape replaces the given ones."""
    axes = len(kernel)
    if not any(target_shape):
        return _per_axis(pad, axes, 0), _per_axis(adj, axes, 0)
    extent = _dilated(kernel, _per_axis(dilate, axes, 1))
    stride = _per_axis(stride, axes, 1)
    excess = [s * (n - 1) + k - t for n, k, s, t in zip(space, extent, stride, target_shape)]
    if min(excess) < 0:
        raise MXNetError(f"target_shape={target_shape} is too big for data with spatial size {tuple(space)}")
    return tuple((e + 1) // 2 for e in excess), tuple(e % 2 for e in excess)


def _deconvolution_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    if ins[0] is None:
        return ins, outs
    layout = params.layout
    axes = _check_geometry(params, ins[0], ("stride", "dilate", "pad", "adj"))
    target = params.target_shape
    if any(target) and (len(target) != axes or 0 in target):
        raise MXNetError(f"target_shape={target}: expected a positive entry for each axis of kernel={params.kernel}")
    stride, dilate = _per_axis(params.stride, axes, 1), _per_axis(params.dilate, axes, 1)
    if axes == 3 and any(d != 1 for d in dilate):
        raise MXNetError(f"dilate={dilate} is not supported with three spatial axes")
    data = channels_first_shape(ins[0], layout)
    _check_groups(params, data[1])
    if is_known(data[2:]):
        given = (params.kernel, stride, dilate, params.pad, params.adj, target)
        pad, adj = _transposed_padding(*given, data[2:])
        if any(a > s - 1 for a, s in zip(adj, stride)):
            raise MXNetError(f"adj={adj} must be smaller than stride={stride}")
        extent = _dilated(params.kernel, dilate)
        space = [s * (n - 1) + k - 2 * p + a for n, k, s, p, a in zip(data[2:], extent, stride, pad, adj)]
        if min(space) < 1:
            raise MXNetError(f"pad={pad} leaves an output of spatial size {tuple(space)}")
    else:
        space = list(target) if any(target) else [-1] * axes
    output = merge(layout_shape((data[0], params.num_filter, *space), layout), outs[0], "output")
    weight = layout_shape((data[1], params.num_filter // params.num_group, *params.kernel), layout)
    expected = (ins[0], weight, (params.num_filter,))[: len(ins)]
    return merge_inputs(("data", "weight", "bias")[: len(ins)], ins, expected), [output]


@register("Deconvolution", infer_shape=_deconvolution_shape, infer_type=floating(), active=convolution_inputs)
def deconvolution(
    data,
    weight,
    bias=None,
    *,
    kernel: Shape,
    stride: NATURAL_AXES = (),
    dilate: NATURAL_AXES = (),
    pad: NATURAL_AXES = (),
    adj: NATURAL_AXES = (),
    target_shape: NATURAL_AXES = (),
    num_filter: Int(min=1),
    num_group: Int(min=1) = 1,
    workspace: NoEffect(Int(min=0)) = 512,
    no_bias: Bool = True,
    cudnn_tune: CudnnTune = None,
    cudnn_off: NoEffect(Bool) = False,
    layout: Layout = None,
):
    """Transposed convolution: the gradient of ``Convolution`` with respect to its data.

    data (N, C, *space), weight (C, num_filter / num_group, *kernel), bias (num_filter,) -> (N, num_filter, *out) with
    out = (in - 1) * stride + dilate * (kernel - 1) + 1 - 2 * pad + adj. A ``target_shape`` is the output's spatial
    size and replaces ``pad`` and ``adj``: half of the excess, rounded up, is cut on each side.
    """
    axes = len(kernel)
    if is_channels_last(layout):
        data, weight = data.movedim(-1, 1), weight.movedim(-1, 1)
    padding, extra = _transposed_padding(kernel, stride, dilate, pad, adj, target_shape, data.shape[2:])
    stride, dilate = _per_axis(stride, axes, 1), _per_axis(dilate, axes, 1)
    result = _TRANSPOSED[axes](data, weight, bias, stride, padding, extra, num_group, dilate)
    return result.movedim(1, -1).contiguous() if is_channels_last(layout) else result


def _upsampling_inputs(params: Params) -> tuple[str, ...]:
    if params.sample_type == "bilinear":
        return ("data", "weight")
    return tuple(f"arg{i}" for i in range(params.num_args))


def _bilinear_kernel(scale: int) -> int:
    return 2 * scale - scale % 2


def _upsampling_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    data, scale = ins[0], params.scale
    if data is None:
        return ins, outs
    images = ins[:1] if params.sample_type == "bilinear" else ins
    if any(image is not None and len(image) != 4 for image in images):
        raise MXNetError(f"expected inputs with axes (batch, channel, y, x), got {images}")
    space = tuple(-1 if n == -1 else n * scale for n in data[2:])
    if params.sample_type == "bilinear":
        return _bilinear_shape(params, ins, (data[0], data[1], *space), outs)
    if not all(is_known(image) for image in images):
        return ins, outs
    for image in images:
        factors = {o // n if n and o % n == 0 else None for n, o in zip(image[2:], space)}
        if None in factors or len(factors) != 1:
            raise MXNetError(
                f"input of size {image[2:]} cannot be scaled by one whole number to the output size {space}"
            )
    channels = [image[1] for image in images]
    if params.multi_input_mode == "sum" and len(set(channels)) != 1:
        raise MXNetError(f"multi_input_mode='sum' needs equal numbers of channels, got {channels}")
    total = channels[0] if params.multi_input_mode == "sum" else sum(channels)
    return ins, [merge((data[0], total, *space), outs[0], "output")]


def _bilinear_shape(params: Params, ins: list, output: tuple, outs: list) -> tuple[list, list]:
    channels, kernel = output[1], _bilinear_kernel(params.scale)
    if channels not in (-1, params.num_filter):
        raise MXNetError(f"num_filter={params.num_filter} must be the number of channels, {channels}")
    weight = merge((channels, 1, kernel, kernel), ins[1], "Shape inconsistent, input weight")
    return [ins[0], weight], [merge(output, outs[0], "output")]


def _repeat_pixels(image, factor: int):
    batch, channels, height, width = image.shape
    grown = image[:, :, :, None, :, None].expand(batch, channels, height, factor, width, factor)
    return grown.reshape(batch, channels, height * factor, width * factor)


@register(
    "UpSampling",
    variadic="num_args",
    active=_upsampling_inputs,
    infer_shape=_upsampling_shape,
    infer_type=floating(),
    may_view=True,
    # Compat: the second input of sample_type nearest, too
    variable_attributes={name: {"__init__": '["bilinear", {}]'} for name in ("weight", "arg1")},
)
def upsampling(
    *data,
    scale: Int(min=1),
    num_filter: Int = 0,
    sample_type: Enum("nearest", "bilinear"),
    multi_input_mode: Enum("concat", "sum") = "concat",
    num_args: Int(min=1),
    workspace: NoEffect(Int(min=0)) = 512,
):
    """Images enlarged by a whole factor.

    ``nearest`` repeats pixels: every input (N, Ci, H, W) is brought to ``scale`` times the size of the first one, then
    all are concatenated along the channel, or summed. ``bilinear`` takes data (N, C, H, W) and weight (C, 1, K, K) with
    K = 2 * scale - scale % 2 and is a Deconvolution of one group per channel; ``num_filter`` must be C.
    """
    first = data[0]
    if sample_type == "bilinear":
        pad = scale // 2  # ceil((scale - 1) / 2)
        return functional.conv_transpose2d(first, data[1], None, scale, pad, 0, num_filter)
    height = first.shape[2] * scale
    grown = [_repeat_pixels(image, height // image.shape[2]) for image in data]
    if len(grown) == 1:
        return grown[0]
    return torch.cat(grown, 1) if multi_input_mode == "concat" else torch.stack(grown).sum(0)


def _crop_shape(params: Params, *shapes: tuple) -> tuple:
    data = shapes[0]
    if any(len(shape) != 4 for shape in shapes):
        raise MXNetError(f"expected inputs with axes (batch, channel, y, x), got {shapes}")
    wanted = tuple(shapes[1][2:] if len(shapes) == 2 else params.h_w)
    if len(wanted) != 2 or len(params.offset) != 2:
        raise MXNetError(f"h_w={params.h_w} and offset={params.offset} must have two entries")
    for name, offset, have, want in zip(("height", "width"), params.offset, data[2:], wanted):
        if not 1 <= want <= have:
            raise MXNetError(f"crop {name} {want} must be between 1 and {have}, the size of the data")
        if not params.center_crop and not 0 <= offset <= have - want:
            raise MXNetError(f"crop offset {offset} leaves no room for a {name} of {want} in {have}")
    return (*data[:2], *wanted)


@register("Crop", variadic="num_args", infer_shape=forward_rule(_crop_shape), may_view=True)
def crop(*data, num_args: Int(min=1, max=2), offset: Shape = (0, 0), h_w: Shape = (0, 0), center_crop: Bool = False):
    """A window of an image: data (N, C, H, W) -> (N, C, h, w).

    The size is ``h_w``, or that of a second input, which receives a zero gradient. The window starts at ``offset``
    (y, x), or lies in the middle with ``center_crop`` (an odd rest is left below and to the right).
    """
    image = data[0]
    height, width = data[1].shape[2:] if num_args == 2 else h_w
    top, left = offset
    if center_crop:
        top, left = (image.shape[2] - height) // 2, (image.shape[3] - width) // 2
    return image[:, :, top : top + height, left : left + width]
