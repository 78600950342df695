"""Reading, resizing, cropping and turning images: NDArrays (height, width, channel), red first, unless said otherwise.

Interpolation (``interp``) is 0 nearest, 1 bilinear, 2 cubic, 3 area, 4 Lanczos; functions that crop or resize by rule
also take 9 (cubic to enlarge, area to shrink, else bilinear) and 10 (one of the five at random). Random choices are
drawn from Python's ``random``, angles from ``numpy.random``, in the original's order.
"""

from __future__ import annotations

import random
import warnings
from numbers import Number
from typing import Any

import numpy as np

from mxcompat import ndarray as nd
from mxcompat.base import MXNetError, numeric_types

__all__ = [
    "center_crop",
    "color_normalize",
    "copyMakeBorder",
    "fixed_crop",
    "imdecode",
    "imread",
    "imresize",
    "imrotate",
]
__all__ += ["random_crop", "random_rotate", "random_size_crop", "resize_short", "scale_down"]

_OPERATORS: Any = nd._internal  # its names come from the catalogue
_CUBIC, _AREA, _LINEAR = 2, 3, 1
_AUTO, _ANY = 9, 10


def imread(filename: Any, *args: Any, **kwargs: Any) -> Any:
    """The image in a file: (H, W, 3), or (H, W, 1) with ``flag=0``, of uint8; blue first with ``to_rgb=False``.

    Raises ``MXNetError`` for a file that cannot be read or is no image.
    """
    return _OPERATORS._cvimread(filename, *args, **kwargs)


def imdecode(buf: Any, *args: Any, **kwargs: Any) -> Any:
    """The image in bytes, a bytearray, or a numpy array or NDArray of uint8; ``flag`` and ``to_rgb`` as for ``imread``.

    Raises ``MXNetError`` for what is no image, ``ValueError`` for another type than these.
    """
    if not isinstance(buf, nd.NDArray):
        if not isinstance(buf, (bytes, bytearray, np.ndarray)):
            raise ValueError(f"buf must be of type bytes, bytearray or numpy.ndarray, found {type(buf)}")
        content = np.frombuffer(buf, np.uint8)
        if not content.size:
            raise MXNetError("imdecode: Input cannot be an empty buffer")
        buf = nd.array(content, dtype=np.uint8)
    return _OPERATORS._cvimdecode(buf, *args, **kwargs)


def imresize(src: Any, w: int, h: int, *args: Any, **kwargs: Any) -> Any:
    """The image resized to width ``w`` and height ``h``; ``interp`` 0 to 4 (bilinear unless given)."""
    return _OPERATORS._cvimresize(src, w, h, *args, **kwargs)


def copyMakeBorder(src: Any, top: int, bot: int, left: int, right: int, *args: Any, **kwargs: Any) -> Any:  # noqa: N802
    """The image with margins, filled as ``type`` says: 0 with ``values`` for the channels (or one ``value``), 1 with the
    edge, 2 and 4 with the mirrored image, with and without its edge, 3 with the image again."""
    return _OPERATORS._cvcopyMakeBorder(src, top, bot, left, right, *args, **kwargs)


def scale_down(src_size: tuple[float, float], size: tuple[float, float]) -> tuple[int, int]:
    """``size`` (width, height) made smaller, in proportion, until it fits into ``src_size``."""
    width, height = size
    max_width, max_height = src_size
    if height > max_height:
        width, height = float(width * max_height) / height, max_height
    if width > max_width:
        width, height = max_width, float(height * max_width) / width
    return int(width), int(height)


def _get_interp_method(interp: int, sizes: tuple = ()) -> int:
    """The interpolation 0 to 4 that ``interp`` means for ``sizes``: old height and width, new height and width."""
    if interp == _AUTO:
        if not sizes:
            return _CUBIC
        old_height, old_width, height, width = sizes
        if height > old_height and width > old_width:
            return _CUBIC
        return _AREA if height < old_height and width < old_width else _LINEAR
    if interp == _ANY:
        return random.randint(0, 4)
    if interp not in range(5):
        raise ValueError(f"Unknown interp method {interp}, expected 0 to 4, 9 or 10")
    return interp


def resize_short(src: Any, size: int, interp: int = 2) -> Any:
    """The image in the size at which its shorter edge has ``size`` pixels."""
    height, width, _ = src.shape
    if height > width:
        new_height, new_width = size * height // width, size
    else:
        new_height, new_width = size, size * width // height
    method = _get_interp_method(interp, (height, width, new_height, new_width))
    return imresize(src, new_width, new_height, interp=method)


def fixed_crop(src: Any, x0: int, y0: int, w: int, h: int, size: Any = None, interp: int = 2) -> Any:
    """The part of width ``w`` and height ``h`` at column ``x0`` and row ``y0``, resized to ``size`` (width, height).

    Compat: without resizing, whole rows share the memory of ``src``. A ``size`` that is a list always resizes.
    """
    part = src[y0 : y0 + h, x0 : x0 + w]
    if size is None or (w, h) == size:
        return part
    return imresize(part, *size, interp=_get_interp_method(interp, (h, w, size[1], size[0])))


def random_crop(src: Any, size: Any, interp: int = 2) -> tuple:
    """A part of ``size`` (width, height) at a random place, and (x, y, width, height) of the part.

    From an image that is smaller, a part of the same proportions is enlarged.
    """
    height, width, _ = src.shape
    w, h = scale_down((width, height), size)
    x0 = random.randint(0, width - w)
    y0 = random.randint(0, height - h)
    return fixed_crop(src, x0, y0, w, h, size, interp), (x0, y0, w, h)


def center_crop(src: Any, size: Any, interp: int = 2) -> tuple:
    """The part of ``size`` (width, height) in the middle, and (x, y, width, height) of the part.

    From an image that is smaller, a part of the same proportions is enlarged.
    """
    height, width, _ = src.shape
    w, h = scale_down((width, height), size)
    x0, y0 = int((width - w) / 2), int((height - h) / 2)
    return fixed_crop(src, x0, y0, w, h, size, interp), (x0, y0, w, h)


def random_size_crop(src: Any, size: Any, area: Any, ratio: Any, interp: int = 2, **kwargs: Any) -> tuple:
    """A part at a random place, resized to ``size`` (width, height), and (x, y, width, height) of the part.

    ``area`` is the range of the part's share of the area (a number: from there to 1), ``ratio`` the range of width by
    height, drawn evenly on a logarithmic scale. After ten parts that do not fit, the middle is taken.
    """
    area = _old_name(area, kwargs, "random_size_crop")
    limits: Any = (area, 1.0) if isinstance(area, numeric_types) else area
    height, width, _ = src.shape
    for _attempt in range(10):
        target = random.uniform(*limits) * (height * width)
        aspect = np.exp(random.uniform(np.log(ratio[0]), np.log(ratio[1])))
        w, h = int(round(np.sqrt(target * aspect))), int(round(np.sqrt(target / aspect)))
        if w <= width and h <= height:
            x0 = random.randint(0, width - w)
            y0 = random.randint(0, height - h)
            return fixed_crop(src, x0, y0, w, h, size, interp), (x0, y0, w, h)
    return center_crop(src, size, interp)


def _old_name(area: Any, kwargs: dict[str, Any], function: str) -> Any:
    """``area``, or ``min_area``, as it was called once."""
    if "min_area" in kwargs:
        warnings.warn("`min_area` is deprecated. Please use `area` instead.", DeprecationWarning, stacklevel=3)
        area = kwargs.pop("min_area")
    if kwargs:
        raise AssertionError(f"unexpected keyword arguments for `{function}`: {', '.join(kwargs)}")
    return area


def color_normalize(src: Any, mean: Any, std: Any = None) -> Any:
    """``(src - mean) / std``, written into ``src``; what is None is left out."""
    if mean is not None:
        src -= mean
    if std is not None:
        src /= std
    return src


def imrotate(src: Any, rotation_degrees: Any, zoom_in: bool = False, zoom_out: bool = False) -> Any:
    """float32 image (C, H, W), or images (N, C, H, W), turned around the middle, with black corners.

    The angle in degrees is a number, or an NDArray (N,) for images. ``zoom_in`` enlarges so that no corner is black,
    ``zoom_out`` shrinks so that the whole image is seen.
    """
    if zoom_in and zoom_out:
        raise ValueError("`zoom_in` and `zoom_out` cannot be both True")
    if src.dtype is not np.float32:
        raise TypeError(f"Only `float32` images are supported by this function, found {src.dtype}")
    if src.ndim not in (3, 4):
        raise ValueError(f"Only 3D and 4D are supported by this function, found shape {src.shape}")
    single = src.ndim == 3
    if single and not isinstance(rotation_degrees, Number):
        raise TypeError("When a single image is passed the rotation angle is required to be a scalar.")
    images = src.expand_dims(axis=0) if single else src
    if isinstance(rotation_degrees, Number):
        rotation_degrees = nd.array([rotation_degrees] * len(images), ctx=src.context)
    if len(images) != len(rotation_degrees):
        raise ValueError(
            "The number of images must be equal to the number of rotation angles, "
            f"found {len(images)} and {len(rotation_degrees)}"
        )
    angles = (np.pi * rotation_degrees.as_in_context(src.context) / 180).reshape((-1, 1, 1))
    grid = _turned_grid(angles, images.shape[2], images.shape[3])
    if zoom_in or zoom_out:
        grid = grid * _zoom(angles, images.shape[2], images.shape[3], zoom_out)
    turned = nd.BilinearSampler(images, grid)
    return turned[0] if single else turned


def _turned_grid(angles: Any, height: int, width: int) -> Any:
    """For each pixel where it comes from, from -1 to 1: angles (N, 1, 1) in radians -> (N, 2, H, W)."""
    half_height, half_width = float(height - 1) / 2, float(width - 1) / 2
    rows = nd.arange(height, ctx=angles.context).reshape((1, height, 1)) - half_height
    columns = nd.arange(width, ctx=angles.context).reshape((1, 1, width)) - half_width
    rows = nd.broadcast_to(rows, (1, height, width))
    columns = nd.broadcast_to(columns, (1, height, width))
    cosine, sine = nd.cos(angles), nd.sin(angles)
    x = (columns * cosine - rows * sine) / half_width
    y = (columns * sine + rows * cosine) / half_height
    return nd.stack(x, y, axis=1)


def _zoom(angles: Any, height: int, width: int, out: bool) -> Any:
    """The factor for each grid: (N, 1, 1) -> (N, 1, 1, 1). It is how far the corners reach beyond the frame."""
    h, w = (nd.array([size], ctx=angles.context) for size in (height, width))
    diagonal, corner = nd.sqrt(h * h + w * w), nd.arctan(h / w)
    size = nd.abs(angles)
    x, y = (
        nd.maximum(nd.abs(diagonal * wave(corner + size)), nd.abs(diagonal * wave(corner - size)))
        for wave in (nd.cos, nd.sin)
    )
    factor = nd.maximum(x / w, y / h) if out else nd.minimum(w / x, h / y)
    return factor.expand_dims(axis=3)


def random_rotate(src: Any, angle_limits: tuple, zoom_in: bool = False, zoom_out: bool = False) -> Any:
    """``imrotate`` by angles drawn evenly between the two limits, in degrees."""
    if src.ndim == 3:
        degrees: Any = np.random.uniform(*angle_limits)
    else:
        low, high = angle_limits
        degrees = nd.array(np.random.uniform(low, high, size=src.shape[0]))
    return imrotate(src, degrees, zoom_in=zoom_in, zoom_out=zoom_out)
