"""Image operators on (H, W, C) or (N, H, W, C) pixels and (C, H, W) or (N, C, H, W) tensors."""

import torch

from mxcompat.base import MXNetError
from mxcompat.ops.dtypes import FLOATS, NAME_BY_TORCH, fixed_output, floating, same_type
from mxcompat.ops.interpolation import LINEAR_EXACT, METHODS, NEAREST, resized
from mxcompat.ops.registry import register
from mxcompat.ops.schema import Bool, Floats, Int, Params, Shape
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


class _Copied(torch.autograd.Function):
    """The result; data gets the head gradient as it is, whatever was done to it."""

    @staticmethod
    def forward(ctx, data, result):
        return result.view_as(result)

    @staticmethod
    def backward(ctx, gradient):
        return gradient, None


def as_copied(data: torch.Tensor, result: torch.Tensor) -> torch.Tensor:
    """``result`` with the gradient of a copy of ``data``, which is what the original says of its augmentations."""
    return _Copied.apply(data, result) if torch.is_grad_enabled() and data.requires_grad else result


def _pixels_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    ins, outs = same_shape(params, ins, outs)
    if ins[0] is not None and (len(ins[0]) != 3 or ins[0][2] not in (1, 3, -1)):
        raise MXNetError(f"expected (H, W, C) with 1 or 3 channels, got {ins[0]}")
    return ins, outs


# Compat: along an axis of odd size the original leaves the middle line unwritten; here it stays in its place. The gradient
# is not mirrored.
@register("_image_flip_left_right", infer_shape=_pixels_shape)
def image_flip_left_right(data):
    """Pixels (H, W, C) mirrored from left to right."""
    return as_copied(data, data.detach().flip(1))


@register("_image_flip_top_bottom", infer_shape=_pixels_shape)
def image_flip_top_bottom(data):
    """Pixels (H, W, C) mirrored from top to bottom."""
    return as_copied(data, data.detach().flip(0))


def _crop_shape(params: Params, data: tuple) -> tuple:
    if len(data) not in (3, 4) or data[-1] not in (1, 3):
        raise MXNetError(f"data has shape {data}, expected (H, W, C) or (N, H, W, C) with 1 or 3 channels")
    for start, length, size, what in (
        (params.x, params.width, data[-2], "columns"),
        (params.y, params.height, data[-3], "rows"),
    ):
        if start < 0 or length <= 0 or start + length > size:
            raise MXNetError(f"{length} {what} from {start} on are not all in data of shape {data}")
    return (*data[:-3], params.height, params.width, data[-1])


@register("_image_crop", infer_shape=forward_rule(_crop_shape), may_view=True)
def image_crop(data, *, x: Int, y: Int, width: Int, height: Int):
    """``height`` rows from ``y`` and ``width`` columns from ``x`` on; data (H, W, C) or (N, H, W, C)."""
    return data[..., y : y + height, x : x + width, :]


def _resized(params: Params, height: int, width: int) -> tuple[int, int]:
    """Rows and columns of the new image."""
    if len(params.size) not in (1, 2) or min(params.size) <= 0:
        raise MXNetError(f"size={params.size}: expected one or two positive numbers")
    if len(params.size) == 2:
        return params.size[1], params.size[0]
    side = params.size[0]
    if not params.keep_ratio:
        return side, side
    return (height * side // width, side) if height > width else (side, width * side // height)


def _resize_shape(params: Params, data: tuple) -> tuple:
    if len(data) not in (3, 4):
        raise MXNetError(f"data has shape {data}, expected (H, W, C) or (N, H, W, C)")
    if not NEAREST <= params.interp <= LINEAR_EXACT:
        raise MXNetError(f"interp={params.interp}: expected {METHODS}")
    return (*data[:-3], *_resized(params, *data[-3:-1]), data[-1])


def _resize_type(params: Params, ins: list, outs: list) -> tuple[list, list]:
    ins, outs = same_type(params, ins, outs)
    allowed = [torch.uint8, torch.float32, torch.float64, *[torch.int32] * (params.interp in (NEAREST, LINEAR_EXACT))]
    if ins[0] not in (None, *allowed):
        raise MXNetError(
            f"data has type {NAME_BY_TORCH[ins[0]]}, expected one of {[NAME_BY_TORCH[t] for t in allowed]} "
            f"with interp={params.interp}"
        )
    return ins, outs


@register(
    "_image_resize",
    infer_shape=forward_rule(_resize_shape),
    infer_type=_resize_type,
    no_gradient=("data",),
    may_view=True,
)
def image_resize(data, *, size: Shape = (), keep_ratio: Bool = False, interp: Int = 1):
    """Another size, interpolated as OpenCV does: ``interp`` 0 from the nearest pixel, 1 bilinearly, 2 cubically, 3 by
    common area, 4 by Lanczos' kernel, 5 bilinearly with exact weights.

    data (H, W, C) or (N, H, W, C); ``size`` is (width, height), or one number for both sides, or with ``keep_ratio`` for
    the shorter side. It has no gradient. uint8, float32, float64, and int32 with 0 and 5.
    """
    data = data.detach()
    rows, columns = data.shape[-3:-1]
    height, width = _resized(Params(size=size, keep_ratio=keep_ratio), rows, columns)
    return data if (height, width) == (rows, columns) else resized(data, height, width, interp)
