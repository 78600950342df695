"""The augmentations of ``ImageRecordIter`` (``aug_default``), in two steps.

``Augmentation.plan`` makes all random choices for an image from its size alone, in the original's order and precision;
what it returns are functions, to be applied to the pixels (height, width, channel; blue first) by any thread.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from mxcompat.base import MXNetError
from mxcompat.formats.images import opencv, resize
from mxcompat.io.draws import Draws

__all__ = ["Augmentation", "Step", "brightened", "cropped", "interpolation_method", "resized", "shifted"]

Step = Callable[[np.ndarray], np.ndarray]

_F = np.float32
_ATTEMPTS = 10
_AUTO, _ANY = 9, 10
_NO_LIMIT = 1e10
# eigenvectors of the colours of photographs, red, green, blue, times their eigenvalues
_COLORS = np.array(
    [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]], np.float32
) * np.array([55.46, 4.794, 1.148], np.float32)


def resized(pixels: np.ndarray, width: int, height: int, interpolation: int) -> np.ndarray:
    """The image in another size."""
    return resize(opencv(), pixels, width, height, interpolation)


def cropped(pixels: np.ndarray, x: int, y: int, width: int, height: int) -> np.ndarray:
    """A part of the image."""
    return pixels[y : y + height, x : x + width]


def _warped(pixels: np.ndarray, matrix: np.ndarray, width: int, height: int, how: int, fill: int) -> np.ndarray:
    """The affine transformation, with places rounded to 1/32 of a pixel as in OpenCV 3 (later versions are exact)."""
    library = opencv()
    x, y = _places(matrix.astype(np.float64), width, height)
    return library.remap(
        pixels,
        np.clip(np.stack([x >> 5, y >> 5], axis=2), -32768, 32767).astype(np.int16),
        ((y & 31) * 32 + (x & 31)).astype(np.uint16),
        library.INTER_LINEAR if how == library.INTER_AREA else how,
        borderMode=library.BORDER_CONSTANT,
        borderValue=(fill,) * 3,
    )


def _places(m: np.ndarray, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Where each pixel of the result comes from, in 1/32 of a pixel: columns and rows (height, width)."""
    determinant = m[0, 0] * m[1, 1] - m[0, 1] * m[1, 0]
    d = 1 / determinant if determinant != 0 else 0.0
    a, b, c, e = m[1, 1] * d, -m[0, 1] * d, -m[1, 0] * d, m[0, 0] * d
    across, down = np.arange(width), np.arange(height)[:, None]
    found = []
    for step, skew, shift in ((a, b, -a * m[0, 2] - b * m[1, 2]), (c, e, -c * m[0, 2] - e * m[1, 2])):
        places = np.rint(step * across * 1024) + np.rint((skew * down + shift) * 1024) + 16
        found.append(places.astype(np.int64) >> 5)
    return found[0], found[1]


def _padded(pixels: np.ndarray, margin: int, fill: int) -> np.ndarray:
    library = opencv()
    return library.copyMakeBorder(pixels, *(margin,) * 4, library.BORDER_CONSTANT, value=(fill,) * 3)


def _table(values: np.ndarray) -> np.ndarray:
    """What becomes of each of the 256 numbers, rounded and clipped."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _gray(pixels: np.ndarray) -> np.ndarray:
    """Compat: the first channel, which is blue, is weighted as red; rounded as in OpenCV 3."""
    weighted = pixels.astype(np.int32) @ np.array([4899, 9617, 1868], np.int32)
    return ((weighted + 8192) >> 14).astype(np.uint8)


def brightened(pixels: np.ndarray, share: np.float32) -> np.ndarray:
    """All numbers times ``share``."""
    return opencv().LUT(pixels, _table(np.arange(256, dtype=_F) * share))


def _contrasted(pixels: np.ndarray, share: np.float32) -> np.ndarray:
    mean = _F(opencv().mean(_gray(pixels))[0])
    return opencv().LUT(pixels, _table(np.arange(256, dtype=_F) * share + (_F(1) - share) * mean))


def _saturated(pixels: np.ndarray, share: np.float32) -> np.ndarray:
    library = opencv()
    gray = library.cvtColor(_gray(pixels), library.COLOR_GRAY2BGR)
    return library.addWeighted(pixels, float(share), gray, float(_F(1) - share), 0.0)


def shifted(pixels: np.ndarray, hue: int, lightness: int, saturation: int) -> np.ndarray:
    """Added to the hue (0 to 180), lightness and saturation of every pixel, without turning around at the ends."""
    library = opencv()
    space = library.cvtColor(pixels, library.COLOR_BGR2HLS)
    tables = [
        np.clip(np.arange(256) + shift, 0, limit) for shift, limit in ((hue, 180), (lightness, 255), (saturation, 255))
    ]
    return library.cvtColor(library.LUT(space, np.stack(tables, axis=1)[None].astype(np.uint8)), library.COLOR_HLS2BGR)


def _tinted(pixels: np.ndarray, color: tuple) -> np.ndarray:
    tables = [np.clip(np.trunc(np.arange(256, dtype=_F) + amount), 0, 255) for amount in color]
    return opencv().LUT(pixels, np.stack(tables, axis=1)[None].astype(np.uint8))


def interpolation_method(method: int, height: int, width: int, new_height: int, new_width: int, draws: Draws) -> int:
    """The interpolation 0 to 4 between two sizes: as given, by rule (9) or random (10)."""
    if method == _AUTO:
        if new_width > width and new_height > height:
            return 2
        return 3 if new_width < width and new_height < height else 1
    return draws.integer(0, 4) if method == _ANY else method


class Augmentation:
    """``params`` has the parameters of the original's augmenter as attributes; ``rotate_list`` the angles to choose from."""

    def __init__(self, params: Any):
        self.params = params
        p = params
        self.angles: tuple[int, ...] = p.rotate_list
        if p.min_aspect_ratio is None:
            self.aspects = _F(1) - _F(p.max_aspect_ratio), _F(1) + _F(p.max_aspect_ratio)
        else:
            self.aspects = _F(p.min_aspect_ratio), _F(p.max_aspect_ratio)
        self.scales = _F(p.min_random_scale), _F(p.max_random_scale)
        self.areas = _F(p.min_random_area), _F(p.max_random_area)
        sizes_vary = p.max_img_size != _NO_LIMIT or p.min_img_size != 0
        self.affine = (
            p.max_rotate_angle > 0 or p.max_shear_ratio > 0 or p.rotate > 0 or bool(self.angles) or self.scales != (1, 1)
            or (not p.random_resized_crop and self.aspects != (1, 1)) or sizes_vary
        )  # fmt: skip
        self.colors = max(p.brightness, p.contrast, p.saturation, p.pca_noise) > 0 or any(
            (p.random_h, p.random_s, p.random_l)
        )
        self.crops_only = not (
            p.resize != -1 or self.affine or p.pad > 0 or p.random_resized_crop or self.colors
            or (p.max_crop_size, p.min_crop_size) != (-1, -1) or p.inter_method == _ANY
        )  # fmt: skip
        self.height, self.width = p.data_shape[1:]
        self._check()

    def _check(self) -> None:
        p = self.params
        lowest = 1 if self.affine else 0
        if not (lowest <= p.inter_method <= 4 or p.inter_method in (_AUTO, _ANY)):
            raise MXNetError(
                f"inter_method={p.inter_method} is invalid, expected {lowest} to 4, 9 or 10"
                + (" (0 is not possible with rotation, shear, scale or aspect ratio)" if p.inter_method == 0 else "")
            )
        if not p.random_resized_crop:
            return
        if self.scales != (1, 1) or (p.min_crop_size, p.max_crop_size) != (-1, -1) or p.rand_crop:
            raise MXNetError(
                "Setting random_resized_crop to true conflicts with min_random_scale, max_random_scale, "
                "min_crop_size, max_crop_size, and rand_crop."
            )
        if self.aspects[0] <= 0 or self.aspects[0] > self.aspects[1] or self.areas[0] > self.areas[1]:
            raise MXNetError(
                f"random_resized_crop: aspect ratios {self.aspects} and areas {self.areas} are no ranges above 0"
            )

    @property
    def random(self) -> bool:
        """Whether a plan depends on random numbers."""
        p = self.params
        return bool(
            p.inter_method == _ANY or p.max_rotate_angle > 0 or p.max_shear_ratio > 0 or len(self.angles) > 1
            or self.scales[0] != self.scales[1] or self.aspects[0] != self.aspects[1] or p.rand_crop
            or (p.random_resized_crop and self._resizes_crop()) or p.max_crop_size != p.min_crop_size
            or p.brightness > 0 or p.contrast > 0 or p.saturation > 0 or p.random_h or p.random_s or p.random_l
            or p.pca_noise > 0
        )  # fmt: skip

    def _resizes_crop(self) -> bool:
        return self.areas != (1, 1) or self.aspects != (1, 1)

    def plan(self, height: int, width: int, draws: Draws) -> list[Step]:
        """The steps for an image of this size."""
        steps: list[Step] = []
        if self.crops_only and height >= self.height and width >= self.width:
            x, y = self._corner(height - self.height, width - self.width, draws)
            return [functools.partial(cropped, x=x, y=y, width=self.width, height=self.height)]
        height, width = self._plan_resize(height, width, draws, steps)
        if self.affine:
            height, width = self._plan_affine(height, width, draws, steps)
        if self.params.pad > 0:
            steps.append(functools.partial(_padded, margin=self.params.pad, fill=self.params.fill_value))
            height, width = height + 2 * self.params.pad, width + 2 * self.params.pad
        if not self._plan_resized_crop(height, width, draws, steps):
            self._plan_crop(height, width, draws, steps)
        if self.colors:
            self._plan_colors(draws, steps)
        return steps

    def _method(self, height: int, width: int, new_height: int, new_width: int, draws: Draws) -> int:
        return interpolation_method(self.params.inter_method, height, width, new_height, new_width, draws)

    def _plan_resize(self, height: int, width: int, draws: Draws, steps: list[Step]) -> tuple[int, int]:
        size = self.params.resize
        if size == -1:
            return height, width
        if height > width:
            new_height, new_width = size * height // width, size
        else:
            new_height, new_width = size, size * width // height
        how = self._method(height, width, new_height, new_width, draws)
        steps.append(functools.partial(resized, width=new_width, height=new_height, interpolation=how))
        return new_height, new_width

    def _plan_affine(self, height: int, width: int, draws: Draws, steps: list[Step]) -> tuple[int, int]:
        p = self.params
        shear_limit = _F(p.max_shear_ratio)
        shear = _F(draws.unit()) * shear_limit * _F(2) - shear_limit
        angle = draws.integer(-p.max_rotate_angle, p.max_rotate_angle)
        if p.rotate > 0:
            angle = p.rotate
        if self.angles:
            angle = self.angles[draws.integer(0, len(self.angles) - 1)]
        a, b = _F(math.cos(angle / 180.0 * math.pi)), _F(math.sin(angle / 180.0 * math.pi))
        scale = ratio = _F(1)
        if not p.random_resized_crop:
            scale = _F(draws.unit()) * (self.scales[1] - self.scales[0]) + self.scales[0]
            ratio = _F(draws.unit()) * (self.aspects[1] - self.aspects[0]) + self.aspects[0]
        hs = _F(2) * scale / (_F(1) + ratio)
        ws = ratio * hs
        new_width, new_height = (
            max(_F(p.min_img_size), min(_F(p.max_img_size), scale * _F(size))) for size in (width, height)
        )
        matrix = np.array([[hs * a - shear * b * ws, hs * b + shear * a * ws, 0], [-b * ws, a * ws, 0]], np.float32)
        for row, size in ((0, new_width), (1, new_height)):
            center = matrix[row, 0] * _F(width) + matrix[row, 1] * _F(height)
            matrix[row, 2] = (size - center) / _F(2)
        # Compat: the original hands the new sizes over as integers here
        how = self._method(height, width, int(new_height), int(new_width), draws)
        new_size = int(new_height), int(new_width)
        steps.append(
            functools.partial(_warped, matrix=matrix, width=new_size[1], height=new_size[0], how=how, fill=p.fill_value)
        )
        return new_size

    def _plan_resized_crop(self, height: int, width: int, draws: Draws, steps: list[Step]) -> bool:
        """Steps that cut out a part and resize it; whether there are any."""
        p = self.params
        _, new_height, new_width = p.data_shape
        if p.random_resized_crop:
            part = self._random_part(height, width, draws) if self._resizes_crop() else None
        elif (p.max_crop_size, p.min_crop_size) != (-1, -1):
            part = self._square_part(height, width, draws)
        else:
            part = None
        if part is None:
            return False
        x, y, w, h = part
        how = self._method(h, w, new_height, new_width, draws)
        steps.append(functools.partial(cropped, x=x, y=y, width=w, height=h))
        steps.append(functools.partial(resized, width=new_width, height=new_height, interpolation=how))
        return True

    def _random_part(self, height: int, width: int, draws: Draws) -> tuple[int, int, int, int] | None:
        """(x, y, width, height) of random area and aspect ratio, None when ten of them do not fit."""
        for _attempt in range(_ATTEMPTS):
            share = _F(draws.uniform(*self.areas))
            ratio = _F(draws.uniform(*self.aspects))
            target = _F(height * width) * share
            h, w = _rounded(np.sqrt(target / ratio)), _rounded(np.sqrt(target * ratio))
            if draws.unit() > 0.5:
                h, w = w, h
            if h <= height and w <= width:
                y = draws.integer(0, height - h)
                return draws.integer(0, width - w), y, w, h
        return None

    def _square_part(self, height: int, width: int, draws: Draws) -> tuple[int, int, int, int]:
        p = self.params
        if not (width >= p.max_crop_size and height >= p.max_crop_size and p.max_crop_size >= p.min_crop_size > 0):
            raise MXNetError(
                f"input image size smaller than max_crop_size: the image has {height}x{width} pixels, "
                f"min_crop_size={p.min_crop_size}, max_crop_size={p.max_crop_size}"
            )
        size = draws.integer(p.min_crop_size, p.max_crop_size)
        x, y = self._corner(height - size, width - size, draws)
        return x, y, size, size

    def _corner(self, room_down: int, room_across: int, draws: Draws) -> tuple[int, int]:
        """(x, y) of a part that leaves this much room: random, or so that the part is in the middle."""
        if not self.params.rand_crop:
            return room_across // 2, room_down // 2
        y = draws.integer(0, room_down)
        return draws.integer(0, room_across), y

    def _plan_crop(self, height: int, width: int, draws: Draws, steps: list[Step]) -> None:
        """Steps that cut out a part, after enlarging what is too small."""
        _, new_height, new_width = self.params.data_shape
        how = self._method(height, width, new_height, new_width, draws)
        if height < new_height:
            width = int(_F(new_height) / _F(height) * _F(width))
            height = new_height
            steps.append(functools.partial(resized, width=width, height=height, interpolation=how))
        if width < new_width:
            height = int(_F(new_width) / _F(width) * _F(height))
            width = new_width
            steps.append(functools.partial(resized, width=width, height=height, interpolation=how))
        if height < new_height:
            raise MXNetError(f"input image size smaller than input shape: {height}x{width}, {new_height}x{new_width}")
        x, y = self._corner(height - new_height, width - new_width, draws)
        steps.append(functools.partial(cropped, x=x, y=y, width=new_width, height=new_height))

    def _plan_colors(self, draws: Draws, steps: list[Step]) -> None:
        p = self.params
        amounts = (p.brightness, p.contrast, p.saturation)
        if max(amounts) > 0:
            shares = [_F(1.0 + draws.uniform(-amount, amount)) for amount in amounts]
            order = [0, 1, 2]
            draws.shuffle(order)
            changes = (brightened, _contrasted, _saturated)
            steps += [functools.partial(changes[kind], share=shares[kind]) for kind in order]
        if p.random_h or p.random_s or p.random_l:
            hue, saturation, lightness = (self._bell(limit, draws) for limit in (p.random_h, p.random_s, p.random_l))
            steps.append(functools.partial(shifted, hue=hue, lightness=lightness, saturation=saturation))
        if p.pca_noise > 0:
            red, green, blue = (_F(amount) for amount in draws.normals(p.pca_noise, 3))
            tint = [row[0] * red + row[1] * green + row[2] * blue for row in _COLORS]
            steps.append(functools.partial(_tinted, color=(tint[2], tint[1], tint[0])))

    @staticmethod
    def _bell(limit: int, draws: Draws) -> int:
        """A whole number between minus and plus ``limit``, seldom near them."""
        first, second = _F(draws.unit()), _F(draws.unit())
        return int((first + _F(4) * second) / _F(5) * _F(limit) * _F(2) - _F(limit))


def _rounded(value: np.float32) -> int:
    """The nearest integer, away from zero from halfway."""
    return math.floor(float(value) + 0.5)
