"""Image operators on (H, W, C) or (N, H, W, C) pixels and (C, H, W) or (N, C, H, W) tensors."""

import torch

from mxcompat.base import MXNetError
from mxcompat.ops.dtypes import FLOATS, NAME_BY_TORCH, fixed_output, floating
from mxcompat.ops.registry import register
from mxcompat.ops.schema import Floats, Params
from mxcompat.ops.shape import forward_rule, merge, same_shape


def _to_tensor_shape(params: Params, data: tuple) -> tuple[int, ...]:
    if len(data) not in (3, 4):
        raise MXNetError(f"expected (H, W, C) or (N, H, W, C), got {data}")
    return (*data[:-3], data[-1], *data[-3:-1])


@register("_image_to_tensor", infer_shape=forward_rule(_to_tensor_shape), infer_type=fixed_output("float32"))
def image_to_tensor(data):
    """Pixels (H, W, C) in [0, 255] to a float32 tensor (C, H, W) in [0, 1]; a leading batch axis stays."""
    return (data.movedim(-1, -3).to(torch.float32) / 255.0).contiguous()


def _normalize_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    shape = merge(ins[0], outs[0], "output")
    if shape is not None:
        if len(shape) not in (3, 4):
            raise MXNetError(f"expected (C, H, W) or (N, C, H, W), got {shape}")
        channels = shape[-3]
        if channels not in (1, 3, -1):
            raise MXNetError(f"expected 1 or 3 channels, got {channels} in {shape}")
        for name in ("mean", "std"):
            if len(params[name]) not in (1, channels, 4) and channels != -1:
                raise MXNetError(f"{name} {params[name]} must have 1 or {channels} entries")
    return [shape], [shape]


@register("_image_normalize", infer_shape=_normalize_shape, infer_type=floating())
def image_normalize(data, *, mean: Floats = (0.0, 0.0, 0.0, 0.0), std: Floats = (1.0, 1.0, 1.0, 1.0)):
    """(data - mean) / std by channel; data (C, H, W) or (N, C, H, W) with 1 or 3 channels."""
    if data.dtype not in FLOATS:
        raise MXNetError(f"expected a floating type, got {NAME_BY_TORCH[data.dtype]}")
    channels = data.shape[-3]
    shift, scale = (
        torch.tensor((list(x) * channels)[:channels], dtype=data.dtype, device=data.device).reshape(-1, 1, 1)
        for x in (mean, std)
    )
    return (data - shift) / scale


def _pixels_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    ins, outs = same_shape(params, ins, outs)
    if ins[0] is not None and len(ins[0]) != 3:
        raise MXNetError(f"expected (H, W, C), got {ins[0]}")
    return ins, outs


# Compat: along an axis of odd size the original leaves the middle line unwritten; here it stays in its place.
@register("_image_flip_left_right", infer_shape=_pixels_shape)
def image_flip_left_right(data):
    """Pixels (H, W, C) mirrored from left to right."""
    return data.flip(1)


@register("_image_flip_top_bottom", infer_shape=_pixels_shape)
def image_flip_top_bottom(data):
    """Pixels (H, W, C) mirrored from top to bottom."""
    return data.flip(0)
