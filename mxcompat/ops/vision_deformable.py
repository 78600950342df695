"""Convolutions whose kernels read the data at learned places, between the pixels."""

import torch

from mxcompat.base import MXNetError
from mxcompat.ops.dtypes import floating
from mxcompat.ops.registry import register
from mxcompat.ops.schema import Bool, Enum, Int, NoEffect, Optional, Params, Shape
from mxcompat.ops.shape import merge, merge_inputs

PLANE = Optional(Enum("NCDHW", "NCHW", "NCW"))
AXES = Shape(min=0)


def _pair(values: tuple, default: int) -> tuple[int, int]:
    return (values[0], values[1]) if values else (default, default)


def _geometry(params: Params) -> list[tuple[int, int, int, int]]:
    """(kernel, stride, dilate, pad) along the rows and along the columns."""
    if len(params.kernel) != 2 or params.layout not in (None, "NCHW"):
        raise MXNetError(f"kernel={params.kernel}, layout={params.layout}: expected two axes and layout NCHW")
    for name in ("stride", "dilate", "pad"):
        if len(params[name]) not in (0, 2) or (name != "pad" and 0 in params[name]):
            raise MXNetError(f"{name}={params[name]}: expected two positive numbers, one an axis")
    if 0 in params.kernel:
        raise MXNetError(f"kernel={params.kernel}: sizes must be positive")
    return list(zip(params.kernel, _pair(params.stride, 1), _pair(params.dilate, 1), _pair(params.pad, 0)))


def _shape_rule(names: tuple[str, ...]):
    """The rule for these inputs before weight and bias; ``mask`` has half as many channels as ``offset``."""

    def rule(params: Params, ins: list, outs: list) -> tuple[list, list]:
        data = ins[0]
        if data is None:
            return ins, outs
        if len(data) != 4:
            raise MXNetError(f"data has shape {data}, expected (N, C, H, W)")
        groups, parts = params.num_group, params.num_deformable_group
        for what, channels, divisor in (("num_group", data[1], groups), ("num_deformable_group", data[1], parts),
                                        ("num_group", params.num_filter, groups)):  # fmt: skip
            if channels != -1 and channels % divisor:
                raise MXNetError(f"{channels} channels are not divisible by {what}={divisor}")
        space = []
        for size, (kernel, stride, dilate, pad) in zip(data[2:], _geometry(params)):
            if size != -1 and size + 2 * pad < dilate * (kernel - 1) + 1:
                raise MXNetError(f"kernel={params.kernel} exceeds the padded data of shape {data}")
            space.append(-1 if size == -1 else (size + 2 * pad - dilate * (kernel - 1) - 1) // stride + 1)
        taps = params.kernel[0] * params.kernel[1] * parts
        expected = [tuple(data), (data[0], 2 * taps, *space), (data[0], taps, *space)][: len(names)]
        expected.append((params.num_filter, -1 if data[1] == -1 else data[1] // groups, *params.kernel))
        expected.append((params.num_filter,))
        filled = merge_inputs((*names, "weight", "bias")[: len(ins)], ins, expected[: len(ins)])
        return filled, [merge((data[0], params.num_filter, *space), outs[0], "output")]

    return rule


def _active(names: tuple[str, ...]):
    return lambda params: (*names, "weight") if params.no_bias else (*names, "weight", "bias")


def _places(offset, parts: int, geometry: list) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows and columns that each kernel tap reads, (N, parts, taps, H', W'); offset (N, 2 * parts * taps, H', W')."""
    count, _, *space = offset.shape
    taps = geometry[0][0] * geometry[1][0]
    moved = offset.view(count, parts, taps, 2, *space)
    grids = []
    for axis, (kernel, stride, dilate, pad) in enumerate(geometry):
        taps_at = torch.arange(kernel, device=offset.device) * dilate - pad
        outputs_at = torch.arange(space[axis], device=offset.device) * stride
        grid = taps_at[:, None] + outputs_at
        shape = (kernel, 1, space[0], 1) if axis == 0 else (1, kernel, 1, space[1])
        full = grid.view(shape).expand(geometry[0][0], geometry[1][0], *space).reshape(taps, *space)
        grids.append(moved[:, :, :, axis] + full)
    return grids[0], grids[1]


def _gathered(data, rows, columns, shares, parts: int):
    """Sum over the corners of data[n, c, row, column] * share, (N, C, taps, H', W').

    ``rows`` and ``columns`` are pairs of whole places, ``shares`` a function of which of each pair.
    """
    count, channels, height, width = data.shape
    flat = data.view(count, parts, channels // parts, height * width)
    total = 0
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            index = (row * width + column).flatten(2)[:, :, None].expand(-1, -1, channels // parts, -1)
            values = flat.gather(3, index).view(count, parts, channels // parts, *row.shape[2:])
            total = total + values * shares(i, j)[:, :, None]
    return total.reshape(count, channels, *rows[0].shape[2:])


def _held_at_border(data, rows, columns, parts: int):
    """Bilinear samples; 0 outside of the map, and the last row and column extend to its border."""
    inside = (rows >= 0) & (columns >= 0) & (rows < data.shape[2]) & (columns < data.shape[3])
    pairs, weights = [], []
    for place, size in ((rows, data.shape[2]), (columns, data.shape[3])):
        low = torch.floor(place.detach()).clamp(0, size - 1)
        share = torch.where(low >= size - 1, 0, place - low)
        low = low.to(torch.int64)
        pairs.append((low, (low + 1).clamp(max=size - 1)))
        weights.append((1 - share, share))
    return _gathered(data, *pairs, lambda i, j: torch.where(inside, weights[0][i] * weights[1][j], 0), parts)


def _fading_at_border(data, rows, columns, parts: int):
    """Bilinear samples of the map with zeros around it."""
    pairs, weights = [], []
    for place, size in ((rows, data.shape[2]), (columns, data.shape[3])):
        low = torch.floor(place.detach())
        near = place > -1, place < size
        share = place - low
        known = [(low + i >= 0) & (low + i <= size - 1) & near[0] & near[1] for i in (0, 1)]
        pairs.append(tuple((low + i).clamp(0, size - 1).to(torch.int64) for i in (0, 1)))
        weights.append([torch.where(k, s, 0) for k, s in zip(known, (1 - share, share))])
    return _gathered(data, *pairs, lambda i, j: weights[0][i] * weights[1][j], parts)


def _filtered(samples, weight, bias, groups: int):
    """samples (N, C, taps, H', W') times weight (num_filter, C / groups, h, w), plus bias."""
    count, channels, taps, *space = samples.shape
    columns = samples.reshape(count, groups, channels // groups * taps, space[0] * space[1])
    kernels = weight.reshape(groups, weight.shape[0] // groups, channels // groups * taps)
    result = torch.matmul(kernels, columns).view(count, weight.shape[0], *space)
    return result if bias is None else result + bias[:, None, None]


@register(
    "_contrib_DeformableConvolution",
    infer_shape=_shape_rule(("data", "offset")),
    infer_type=floating(),
    active=_active(("data", "offset")),
)
def deformable_convolution(
    data, offset, weight, bias=None, *, kernel: AXES, stride: AXES = (), dilate: AXES = (), pad: AXES = (),
    num_filter: Int(min=1), num_group: Int(min=1) = 1, num_deformable_group: Int(min=1) = 1,
    workspace: NoEffect(Int(min=0)) = 1024, no_bias: Bool = False, layout: PLANE = None,
):  # fmt: skip
    """A convolution of the plane whose taps are moved by ``offset``, in pixels.

    data (N, C, H, W), offset (N, 2 * num_deformable_group * taps, H', W') with the moves along rows and columns in turn,
    weight (num_filter, C / num_group, h, w), bias (num_filter,) -> (N, num_filter, H', W'), where H' and W' are those of
    Convolution. Taps outside of the map read 0.
    """
    params = Params(kernel=kernel, stride=stride, dilate=dilate, pad=pad, layout=layout)
    rows, columns = _places(offset, num_deformable_group, _geometry(params))
    return _filtered(_held_at_border(data, rows, columns, num_deformable_group), weight, bias, num_group)


@register(
    "_contrib_ModulatedDeformableConvolution",
    infer_shape=_shape_rule(("data", "offset", "mask")),
    infer_type=floating(),
    active=_active(("data", "offset", "mask")),
)
def modulated_deformable_convolution(
    data, offset, mask, weight, bias=None, *, kernel: AXES, stride: AXES = (), dilate: AXES = (), pad: AXES = (),
    num_filter: Int(min=1), num_group: Int(min=1) = 1, num_deformable_group: Int(min=1) = 1,
    workspace: NoEffect(Int(min=0)) = 1024, no_bias: Bool = False, im2col_step: NoEffect(Int(min=1)) = 64,
    layout: PLANE = None,
):  # fmt: skip
    """A deformable convolution whose taps are also weighted by ``mask``.

    data (N, C, H, W), offset (N, 2 * num_deformable_group * taps, H', W'), mask (N, num_deformable_group * taps, H', W'),
    weight (num_filter, C / num_group, h, w), bias (num_filter,) -> (N, num_filter, H', W'). The map has zeros around it,
    to which samples near its border are interpolated.
    """
    params = Params(kernel=kernel, stride=stride, dilate=dilate, pad=pad, layout=layout)
    rows, columns = _places(offset, num_deformable_group, _geometry(params))
    samples = _fading_at_border(data, rows, columns, num_deformable_group)
    count, channels, taps, *space = samples.shape
    parts = samples.view(count, num_deformable_group, channels // num_deformable_group, taps, *space)
    samples = (parts * mask.view(count, num_deformable_group, 1, taps, *space)).view(samples.shape)
    return _filtered(samples, weight, bias, num_group)
