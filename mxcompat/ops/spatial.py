"""Sampling of feature maps at computed places: spatial transformers, resizing, pooling to a given size.

A sampling grid (N, 2, h, w) holds x in channel 0 and y in channel 1, from -1 (the first pixel's centre) to 1 (the last's).
"""

import math

import numpy as np
import torch
from torch.nn import functional

from mxcompat.base import MXNetError
from mxcompat.ops.dtypes import NAME_BY_TORCH, floating, same_type
from mxcompat.ops.registry import register
from mxcompat.ops.schema import Bool, Enum, Float, Int, NoEffect, Optional, Params, Shape
from mxcompat.ops.shape import forward_rule

# -- grids ------------------------------------------------------------------------------------------------------------


def _target(params: Params) -> tuple[int, int]:
    if len(params.target_shape) < 2 or min(params.target_shape[:2]) <= 0:
        raise MXNetError(f"target_shape={params.target_shape}: expected (height, width), both positive")
    return params.target_shape[0], params.target_shape[1]


def _step(size: int) -> float:
    """The distance of neighbouring places from -1 to 1. Compat: infinite for a single place, which becomes NaN."""
    return 2.0 / (size - 1) if size > 1 else math.inf


def _homogeneous_places(height: int, width: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """(3, height * width): x, y and 1 of every place of a grid."""
    x = torch.arange(width, dtype=dtype, device=device) * _step(width) - 1
    y = torch.arange(height, dtype=dtype, device=device) * _step(height) - 1
    return torch.stack((x.repeat(height), y.repeat_interleave(width), torch.ones_like(x).repeat(height)))


def _grid_shape(params: Params, data: tuple) -> list:
    if params.transform_type == "affine":
        if len(data) != 2 or data[1] != 6:
            raise MXNetError(f"data has shape {data}, expected (batch, 6) with transform_type='affine'")
        height, width = _target(params)
        return [(data[0], 2, height, width), (3, height * width)]
    if len(data) != 4 or data[1] != 2:
        raise MXNetError(f"data has shape {data}, expected (batch, 2, height, width) with transform_type='warp'")
    return [data, data[1:]]


def _single_type(params: Params, ins: list, outs: list) -> tuple[list, list]:
    ins, outs = same_type(params, ins, outs)
    if ins[0] not in (None, torch.float32):
        raise MXNetError(f"data has type {NAME_BY_TORCH[ins[0]]}, expected float32")
    return ins, outs


@register(
    "GridGenerator",
    infer_shape=forward_rule(_grid_shape),
    infer_type=_single_type,
    outputs=2,
    visible=1,
    output_names=("output", "grid_dst"),
)
def grid_generator(data, *, transform_type: Enum("affine", "warp"), target_shape: Shape = (0, 0)):
    """The sampling grid of an affine map or of an optical flow.

    ``affine``: data (N, 6), the rows of 2 x 3 matrices that take a place of the output, in [-1, 1], to the place to sample
    -> (N, 2, *target_shape). ``warp``: data (N, 2, H, W), how many pixels further right and down to sample -> (N, 2, H, W);
    ``target_shape`` does not matter. float32 only.
    """
    if transform_type == "affine":
        height, width = target_shape[:2]
        places = _homogeneous_places(height, width, data.dtype, data.device)
        return (data.reshape(-1, 3) @ places).view(-1, 2, height, width), places
    height, width = data.shape[2:]
    x, y = (torch.arange(n, dtype=data.dtype, device=data.device) for n in (width, height))
    places = torch.stack((x.expand(height, width), y[:, None].expand(height, width)))
    halves = torch.tensor([(width - 1) / 2, (height - 1) / 2], dtype=data.dtype, device=data.device)
    return (data + places) / halves[:, None, None] - 1, places


def _sampled(data: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    """Bilinear samples of data (N, C, H, W) at grid (N, 2, h, w); outside of the map lie zeros."""
    return functional.grid_sample(data, grid.permute(0, 2, 3, 1), padding_mode="zeros", align_corners=True)


def _sampler_shape(params: Params, data: tuple, grid: tuple) -> list:
    if len(data) != 4:
        raise MXNetError(f"data has shape {data}, expected (N, C, H, W)")
    if len(grid) != 4 or grid[:2] != (data[0], 2) or min(grid[2:]) < 1:
        raise MXNetError(f"grid has shape {grid}, expected ({data[0]}, 2, height, width)")
    return [(*data[:2], *grid[2:]), (grid[0], *grid[2:], 2)]


@register(
    "BilinearSampler",
    infer_shape=forward_rule(_sampler_shape),
    infer_type=floating(),
    outputs=2,
    visible=1,
    output_names=("output", "tmp"),
)
def bilinear_sampler(data, grid, *, cudnn_off: NoEffect(Optional(Bool)) = None):
    """Samples of a map, bilinear between four pixels; outside of the map lie zeros.

    data (N, C, H, W), grid (N, 2, h, w) -> (N, C, h, w). Both have a gradient.
    """
    return _sampled(data, grid), grid.new_zeros((grid.shape[0], *grid.shape[2:], 2))


def _transformer_shape(params: Params, data: tuple, loc: tuple) -> list:
    if len(data) != 4:
        raise MXNetError(f"data has shape {data}, expected (N, C, H, W)")
    if loc != (data[0], 6):
        raise MXNetError(f"loc has shape {loc}, expected ({data[0]}, 6)")
    height, width = _target(params)
    return [(*data[:2], height, width), (3, height * width), (data[0], 2, height * width)]


def _transformer_type(params: Params, ins: list, outs: list) -> tuple[list, list]:
    ins, outs = same_type(params, ins, outs)
    if ins[0] not in (None, torch.float32, torch.float64):
        raise MXNetError(f"data has type {NAME_BY_TORCH[ins[0]]}, expected float32 or float64")
    return ins, outs


@register(
    "SpatialTransformer",
    infer_shape=forward_rule(_transformer_shape),
    infer_type=_transformer_type,
    outputs=3,
    visible=1,
    output_names=("output", "grid_dst", "grid_src"),
)
def spatial_transformer(
    data, loc, *, target_shape: Shape = (0, 0), transform_type: Enum("affine"), sampler_type: Enum("bilinear"),
    cudnn_off: NoEffect(Optional(Bool)) = None,
):  # fmt: skip
    """Bilinear samples of a map at the places to which an affine map takes those of the output.

    data (N, C, H, W), loc (N, 6), the rows of 2 x 3 matrices on places in [-1, 1] -> (N, C, *target_shape). Outside of the
    map lie zeros. float32 and float64.
    """
    height, width = target_shape[:2]
    places = _homogeneous_places(height, width, torch.float64, data.device).to(data.dtype)
    source = loc.reshape(-1, 2, 3) @ places
    return _sampled(data, source.view(-1, 2, height, width)), places, source


# -- resizing ---------------------------------------------------------------------------------------------------------

_MODES = ("size", "odd_scale", "like", "to_even_down", "to_even_up", "to_odd_down", "to_odd_up")


def _scaled_side(size: int, scale: float | None, odd: bool) -> int:
    if scale is None:
        raise MXNetError("scale_height and scale_width must both be given")
    whole = size - 1 if odd and size % 2 else size
    return int(np.float32(scale) * np.float32(whole)) + (size - whole)


def _resized_sides(params: Params, height: int, width: int) -> tuple[int, ...]:
    """Height and width of the output of all modes but ``like``."""
    # Compat: in mode 'size' the height's scale alone decides whether the scales count
    scales = (params.scale_height, params.scale_width)
    if params.mode == "odd_scale" or (params.mode == "size" and params.scale_height is not None):
        pairs = zip((height, width), scales)
        return tuple(_scaled_side(side, scale, params.mode == "odd_scale") for side, scale in pairs)
    if params.mode == "size":
        return params.height, params.width
    _, parity, direction = params.mode.split("_")
    step = 1 if direction == "up" else -1
    return tuple(side if side % 2 == (parity == "odd") else side + step for side in (height, width))


def _resize_shape(params: Params, data: tuple, *like: tuple) -> tuple:
    if len(data) != 4:
        raise MXNetError(f"data has shape {data}, expected (N, C, H, W)")
    if params.mode != "like":
        return (*data[:2], *_resized_sides(params, *data[2:]))
    if len(like[0]) < 4:
        raise MXNetError(f"like has shape {like[0]}, expected (…, …, height, width)")
    return (*data[:2], *like[0][2:4])


@register(
    "_contrib_BilinearResize2D",
    infer_shape=forward_rule(_resize_shape),
    infer_type=floating(),
    active=lambda params: ("data", "like") if params.mode == "like" else ("data",),
    may_view=True,
)
def bilinear_resize(
    data, like=None, *, height: Int(min=1) = 1, width: Int(min=1) = 1, scale_height: Optional(Float) = None,
    scale_width: Optional(Float) = None, mode: Enum(*_MODES) = "size", align_corners: Bool = True,
):  # fmt: skip
    """Bilinear interpolation of maps to another size.

    data (N, C, H, W) -> (N, C, h, w). ``mode`` says which size: ``size`` (height, width), or (H, W) times the scales where
    ``scale_height`` is given; ``odd_scale`` likewise, of an odd side one less is scaled and one added; ``like`` that of
    ``like``, which gets a zero gradient; ``to_even_down`` … the nearest even or odd one. ``align_corners`` puts the
    outermost pixels onto each other, otherwise the outer edges.
    """
    if mode == "like":
        sides = tuple(like.shape[2:4])
    else:
        params = Params(height=height, width=width, scale_height=scale_height, scale_width=scale_width, mode=mode)
        sides = _resized_sides(params, *data.shape[2:])
    if sides == tuple(data.shape[2:]):
        return data
    if 0 in (*sides, *data.shape):
        return data.new_zeros((*data.shape[:2], *sides))
    # Compat: where one line is made it is the first one
    data = data[:, :, : data.shape[2] if sides[0] > 1 else 1, : data.shape[3] if sides[1] > 1 else 1]
    return functional.interpolate(data, size=sides, mode="bilinear", align_corners=align_corners)


def _adaptive_sides(output_size: tuple[int, ...]) -> tuple[int, int]:
    if len(output_size) == 1:
        return output_size[0], output_size[0]
    return (output_size[0], output_size[1]) if len(output_size) == 2 else (1, 1)


def _adaptive_shape(params: Params, data: tuple) -> tuple:
    if len(data) != 4:
        raise MXNetError(f"data has shape {data}, expected (N, C, H, W)")
    sides = _adaptive_sides(params.output_size)
    if min(sides) < 0:
        raise MXNetError(f"output_size={params.output_size}: expected numbers that are not negative")
    return (*data[:2], *sides)


@register("_contrib_AdaptiveAvgPooling2D", infer_shape=forward_rule(_adaptive_shape), infer_type=floating())
def adaptive_average_pooling(data, *, output_size: Shape = ()):
    """Means over as many windows as the output has pixels; bin i of n over a side of s is [floor(i s / n), ceil((i + 1) s / n)).

    data (N, C, H, W) -> (N, C, h, w); ``output_size`` is (h, w), or one number for both. Compat: without, or with more than
    two, 1 x 1.
    """
    sides = _adaptive_sides(output_size)
    if 0 in sides:
        return data.new_zeros((*data.shape[:2], *sides))
    return functional.adaptive_avg_pool2d(data, sides)
