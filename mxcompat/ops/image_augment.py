"""Changes of colours and random changes of images, pixels (H, W, C) with one or three channels (red, green, blue)."""

from collections.abc import Callable

import torch

from mxcompat.base import MXNetError
from mxcompat.ops.image import as_copied, image_flip_left_right, image_flip_top_bottom
from mxcompat.ops.registry import register
from mxcompat.ops.schema import Float, Floats, Params
from mxcompat.ops.shape import same_shape

FACTOR = Float(min=0.0)
GRAY = (0.299, 0.587, 0.114)
#: directions in which natural images vary most, times how much (of 255)
PRINCIPAL = (
    (55.46 * -0.5675, 4.794 * 0.7192, 1.148 * 0.4009),
    (55.46 * -0.5808, 4.794 * -0.0045, 1.148 * -0.8140),
    (55.46 * -0.5836, 4.794 * -0.6948, 1.148 * 0.4203),
)
#: of the values (largest, smallest, falling, rising) in each sixth of the circle of hues: those of red, green and blue
SECTORS = ((0, 3, 1), (2, 0, 1), (1, 0, 3), (1, 2, 0), (3, 1, 0), (0, 1, 2))


def _image_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    ins, outs = same_shape(params, ins, outs)
    if ins[0] is not None and (len(ins[0]) != 3 or ins[0][2] not in (1, 3, -1)):
        raise MXNetError(f"data has shape {ins[0]}, expected (H, W, C) with 1 or 3 channels")
    return ins, outs


def _in_type(values: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """float32 values cut to the type; only uint8 is limited to its range, as in the original."""
    return values.clamp(0, 255).to(dtype) if dtype is torch.uint8 else values.to(dtype)


def _draw(low: float, high: float, device: torch.device) -> torch.Tensor:
    return low + (high - low) * torch.rand((), device=device)


def _brighter(data, factor):
    return _in_type(data.to(torch.float32) * factor, data.dtype)


def _more_contrast(data, factor):
    pixels = data.to(torch.float32)
    if data.shape[2] > 1:
        gray = (pixels[..., :3] * torch.tensor(GRAY, device=data.device)).sum(-1)
    else:
        gray = pixels[..., 0]
    return _in_type(pixels * factor + (1 - factor) * gray.mean(), data.dtype)


def _more_saturated(data, factor):
    if data.shape[2] == 1:
        return data.clone()
    pixels = data.to(torch.float32)
    # Compat: the original's gray is the part of blue alone
    return _in_type(pixels[..., 2:] * GRAY[2] * (1 - factor) + pixels * factor, data.dtype)


def _hue_lightness_saturation(pixels):
    """Hue in degrees, lightness and saturation in [0, 1], of pixels in [0, 255]."""
    red, green, blue = (pixels / 255).unbind(-1)
    largest = torch.maximum(torch.maximum(red, green), blue)
    smallest = torch.minimum(torch.minimum(red, green), blue)
    range_, total = largest - smallest, largest + smallest
    colored = range_ > torch.finfo(torch.float32).eps
    lightness = total * 0.5
    divisor = torch.where(lightness < 0.5, total, 2 - total)
    saturation = torch.where(colored, range_ / torch.where(colored, divisor, 1), 0)
    scale = 60 / torch.where(colored, range_, 1)
    hue = torch.where(
        largest == red,
        (green - blue) * scale,
        torch.where(largest == green, (blue - red) * scale + 120, (red - green) * scale + 240),
    )
    hue = torch.where(hue < 0, hue + 360, hue)
    return torch.where(colored, hue, 0), lightness, saturation


def _colors(hue, lightness, saturation):
    """Pixels in [0, 255], the inverse of ``_hue_lightness_saturation``; any hue is taken modulo 360."""
    largest = torch.where(
        lightness <= 0.5, lightness * (1 + saturation), lightness + saturation - lightness * saturation
    )
    smallest = 2 * lightness - largest
    place = torch.remainder(hue * (1 / 60), 6)
    sector = place.to(torch.int64).clamp(0, 5)
    share = place - sector
    values = torch.stack(
        (largest, smallest, smallest + (largest - smallest) * (1 - share), smallest + (largest - smallest) * share), -1
    )
    chosen = values.gather(-1, torch.tensor(SECTORS, device=hue.device)[sector])
    return torch.where((saturation == 0)[..., None], lightness[..., None], chosen) * 255


def _hue_turned(data, part):
    if data.shape[2] == 1:
        return data.clone()
    hue, lightness, saturation = _hue_lightness_saturation(data.to(torch.float32))
    return _in_type(_colors(hue + part * 360, lightness, saturation), data.dtype)


def _lit(data, alpha):
    if data.shape[2] == 1:
        return data.clone()
    shift = (torch.tensor(PRINCIPAL, device=data.device) * alpha).sum(1)
    return _in_type(data.to(torch.float32) + shift, data.dtype)


def _random_factor(name: str, change: Callable, text: str) -> None:
    def augmented(data, *, min_factor: FACTOR, max_factor: FACTOR):
        return as_copied(data, change(data.detach(), _draw(min_factor, max_factor, data.device)))

    augmented.__name__ = augmented.__qualname__ = f"image_{name}"
    augmented.__doc__ = f"{text}, drawn evenly from [min_factor, max_factor); pixels (H, W, C) of the same shape."
    register(f"_image_{name}", infer_shape=_image_shape, random=True)(augmented)


_random_factor("random_brightness", _brighter, "Pixels times a factor")
_random_factor("random_contrast", _more_contrast, "The distance of pixels to the image's mean gray times a factor")
_random_factor("random_saturation", _more_saturated, "The distance of pixels to their gray times a factor")
_random_factor("random_hue", _hue_turned, "The hue turned by a part of the circle")


@register("_image_random_color_jitter", infer_shape=_image_shape, random=True)
def image_random_color_jitter(data, *, brightness: Float, contrast: Float, saturation: Float, hue: Float):
    """Brightness, contrast, saturation and hue changed in random order, each by an even draw within its parameter around
    no change; pixels (H, W, C). Parameters that are not positive change nothing."""
    changes = ((_brighter, brightness, 1), (_more_contrast, contrast, 1), (_more_saturated, saturation, 1),
               (_hue_turned, hue, 0))  # fmt: skip
    used = [(change, middle + _draw(-size, size, data.device)) for change, size, middle in changes if size > 0]
    result = data.detach()
    order = torch.randperm(len(used), device=data.device)
    for step in range(len(used)):
        changed = torch.stack([change(result, factor) for change, factor in used])
        result = changed.index_select(0, order[step : step + 1])[0]
    return as_copied(data, result if used else result.clone())


def _lighting_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    if len(params.alpha) != 3:
        raise MXNetError(f"alpha={params.alpha}: expected three numbers")
    return _image_shape(params, ins, outs)


@register("_image_adjust_lighting", infer_shape=_lighting_shape)
def image_adjust_lighting(data, *, alpha: Floats):
    """A colour added to all pixels (H, W, C): ``alpha`` along the three directions in which natural images vary."""
    return as_copied(data, _lit(data.detach(), torch.tensor(alpha, dtype=torch.float32, device=data.device)))


@register("_image_random_lighting", infer_shape=_image_shape, random=True)
def image_random_lighting(data, *, alpha_std: Float = 0.05):
    """A colour added to all pixels (H, W, C), normally distributed along the directions in which natural images vary."""
    return as_copied(data, _lit(data.detach(), torch.randn(3, device=data.device) * alpha_std))


def _random_flip(name: str, flip: Callable, text: str) -> None:
    def flipped(data):
        keep = torch.rand((), device=data.device) < 0.5
        return as_copied(data, torch.where(keep, data.detach(), flip(data.detach())))

    flipped.__name__ = flipped.__qualname__ = f"image_{name}"
    flipped.__doc__ = f"Pixels (H, W, C), mirrored {text} in one of two calls."
    register(f"_image_{name}", infer_shape=_image_shape, random=True)(flipped)


_random_flip("random_flip_left_right", image_flip_left_right, "from left to right")
_random_flip("random_flip_top_bottom", image_flip_top_bottom, "from top to bottom")
