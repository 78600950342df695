"""Image files to arrays, and the two changes of size that go with them: (height, width, channel), numbers as OpenCV's.
They exist imperatively only.

Decoding needs OpenCV or Pillow: ``pip install 'mxcompat[image]'``.
"""

from pathlib import Path

import torch

from mxcompat.base import MXNetError
from mxcompat.formats import images
from mxcompat.ops.dtypes import NAME_BY_TORCH, fixed_output, same_type
from mxcompat.ops.image import image_resize
from mxcompat.ops.interpolation import LINEAR, NEAREST
from mxcompat.ops.registry import register
from mxcompat.ops.schema import Bool, Device, Float, Floats, Int, Params, Str
from mxcompat.ops.shape import forward_rule, merge

CONSTANT, REPLICATE, REFLECT, WRAP, REFLECT_101 = range(5)
ISOLATED = 16  # a bit that is added to these; it changes nothing for an image that is no part of another
_JFIF = (b"\xff\xd8\xff\xe0", b"JFIF\0")


def _decoded(content: bytes, flag: int, to_rgb: bool, what: str) -> torch.Tensor:
    if flag not in (images.GRAY, images.COLOR):
        raise MXNetError(f"flag={flag}: expected 0 (gray) or 1 (colours)")
    try:
        # Compat: EXIF data turn an image, but not in a JPEG file that begins with a JFIF header
        pixels = images.decode(content, flag, turn=content[:4] != _JFIF[0] or content[6:11] != _JFIF[1])
    except ImportError as error:
        raise MXNetError(str(error)) from error
    if pixels is None:
        raise MXNetError(f"{what} is no image that can be decoded")
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    return torch.from_numpy(images.swap_colors(pixels) if to_rgb and flag == images.COLOR else pixels)


def _file_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    """What a file holds is not known before it is read."""
    return ins, [merge((-1, -1, 1 if params.flag == images.GRAY else 3), outs[0], "output")]


def _buffer_type(params: Params, ins: list, outs: list) -> tuple[list, list]:
    if ins[0] not in (None, torch.uint8):
        raise MXNetError(f"buf has type {NAME_BY_TORCH[ins[0]]}, expected uint8")
    return fixed_output("uint8")(params, ins, outs)


@register("_cvimdecode", infer_shape=_file_shape, infer_type=_buffer_type, symbolic=False, no_gradient=True)
def cv_imdecode(buf, *, flag: Int(min=0) = 1, to_rgb: Bool = True):
    """The image in a buffer of bytes: (N,) -> (H, W, 3), gray (H, W, 1) for ``flag=0``, of uint8.

    Colours are red, green, blue, or with ``to_rgb=False`` the other way round. What is no image raises ``MXNetError``.
    """
    return _decoded(buf.cpu().numpy().tobytes(), flag, to_rgb, "buf").to(buf.device)


@register("_cvimread", infer_shape=_file_shape, infer_type=fixed_output("uint8"), symbolic=False)
def cv_imread(*, filename: Str, flag: Int(min=0) = 1, to_rgb: Bool = True, device: Device = None):
    """The image in a file: -> (H, W, 3), gray (H, W, 1) for ``flag=0``, of uint8.

    Colours are red, green, blue, or with ``to_rgb=False`` the other way round. A file that cannot be read or is no image
    raises ``MXNetError``.
    """
    try:
        content = Path(filename).read_bytes()
    except OSError as error:
        raise MXNetError(f"{filename!r} cannot be read: {error.strerror}") from error
    return _decoded(content, flag, to_rgb, repr(filename)).to(device)


def _need_image(shape: tuple) -> None:
    if len(shape) != 3:
        raise MXNetError(f"src has shape {shape}, expected (height, width, channel)")


def _resize_shape(params: Params, shape: tuple) -> tuple:
    _need_image(shape)
    if not 0 <= params.interp <= 4:
        raise MXNetError(
            f"interp={params.interp}: expected 0 (nearest), 1 (linear), 2 (cubic), 3 (area) or 4 (Lanczos)"
        )
    return (params.h, params.w, shape[2])


def _resize_type(params: Params, ins: list, outs: list) -> tuple[list, list]:
    ins, outs = same_type(params, ins, outs)
    if ins[0] not in (None, torch.uint8, torch.float32, torch.float64):
        raise MXNetError(f"src has type {NAME_BY_TORCH[ins[0]]}, expected uint8, float32 or float64")
    return ins, outs


@register(
    "_cvimresize",
    infer_shape=forward_rule(_resize_shape),
    infer_type=_resize_type,
    symbolic=False,
    no_gradient=True,
    may_view=True,
)
def cv_imresize(src, *, w: Int(min=1), h: Int(min=1), interp: Int = 1):
    """Another size: (H, W, C) -> (h, w, C), by the nearest pixel (``interp`` 0), linearly (1), cubically (2), by common
    area (3) or by Lanczos' kernel (4).

    OpenCV does it where it is installed (it is faster), as the original does.
    """
    library = images.opencv()
    # the weights of bilinear interpolation are float32 in the original, also for float64
    if library is not None and (interp not in (NEAREST, LINEAR) or src.dtype == torch.uint8):
        resized = images.resize(library, src.cpu().numpy(), w, h, interp)
        return torch.from_numpy(resized.reshape(h, w, src.shape[2])).to(src.device)
    return image_resize(src, size=(w, h), interp=interp)


def _fill(params: Params, channels: int) -> tuple[float, ...]:
    """The number for each channel of a constant border."""
    # Compat: ``value`` is for the first three channels, a fourth is filled with zeros
    fill = params["values"] or (params.value, params.value, params.value, 0.0)
    if channels > 4 and len(set(fill)) == 1 and len(fill) == 4:
        return fill[:1] * channels
    if len(fill) < channels:
        raise MXNetError(f"values={fill}: expected one for each of {channels} channels")
    return fill[:channels]


def _border_shape(params: Params, shape: tuple) -> tuple:
    _need_image(shape)
    margins = (params.top, params.bot, params.left, params.right)
    if min(margins) < 0:
        raise MXNetError(f"top, bot, left, right are {margins}, expected none below 0")
    if not CONSTANT <= params.type & ~ISOLATED <= REFLECT_101:
        raise MXNetError(
            f"type={params.type}: expected 0 (constant), 1 (replicate), 2 (reflect), 3 (wrap) or 4 (reflect 101), plus 16 or not"
        )
    if params.type & ~ISOLATED == CONSTANT:
        _fill(params, shape[2])
    return (shape[0] + params.top + params.bot, shape[1] + params.left + params.right, shape[2])


def _border_type(params: Params, ins: list, outs: list) -> tuple[list, list]:
    ins, outs = same_type(params, ins, outs)
    if ins[0] not in (None, torch.uint8, torch.int32, torch.float32, torch.float64):
        raise MXNetError(f"src has type {NAME_BY_TORCH[ins[0]]}, expected uint8, int32, float32 or float64")
    return ins, outs


def _sources(size: int, before: int, after: int, kind: int, device: torch.device) -> torch.Tensor:
    """For each new line the old one that it shows."""
    places = torch.arange(-before, size + after, device=device)
    if kind in (CONSTANT, REPLICATE) or size == 1:
        return places.clamp(0, size - 1)
    if kind == WRAP:
        return places.remainder(size)
    period = 2 * size if kind == REFLECT else 2 * size - 2
    places = places.remainder(period)
    return torch.where(places < size, places, (period - 1 if kind == REFLECT else period) - places)


@register(
    "_cvcopyMakeBorder",
    infer_shape=forward_rule(_border_shape),
    infer_type=_border_type,
    symbolic=False,
    no_gradient=True,
)
def cv_copy_make_border(
    src, *, top: Int, bot: Int, left: Int, right: Int, type: Int = 0, value: Float = 0.0, values: Floats = ()  # noqa: A002
):  # fmt: skip
    """The image with margins: (H, W, C) -> (top + H + bot, left + W + right, C).

    ``type`` 0 fills them with ``values``, one for each channel (or ``value`` for the first three), rounded to the type;
    1 repeats the edge; 2 mirrors the image with its edge, 4 without; 3 wraps around.
    """
    type &= ~ISOLATED  # noqa: A001
    height, width, channels = src.shape
    rows = _sources(height, top, bot, type, src.device)
    columns = _sources(width, left, right, type, src.device)
    result = src.index_select(0, rows).index_select(1, columns)
    if type != CONSTANT:
        return result
    fill = torch.tensor(_fill(Params(values=values, value=value), channels), dtype=torch.float64, device=src.device)
    if not src.dtype.is_floating_point:
        info = torch.iinfo(src.dtype)
        fill = fill.round().clamp(info.min, info.max)
    down, across = (
        (torch.arange(before + size + after, device=src.device) - before).clamp(-1, size)
        for size, before, after in ((height, top, bot), (width, left, right))
    )
    inside = ((down >= 0) & (down < height)).view(-1, 1, 1) & ((across >= 0) & (across < width)).view(1, -1, 1)
    return torch.where(inside, result, fill.to(src.dtype))
