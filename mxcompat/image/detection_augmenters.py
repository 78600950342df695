"""Augmenters for images with boxes: they change image and label together.

A label is a numpy array (objects, 5 or more): class, then left, top, right and bottom as shares of width and height.
Random numbers come from Python's ``random``, in the original's order.
"""

from __future__ import annotations

import json
import logging
import random
import warnings
from math import sqrt
from typing import Any

import numpy as np

from mxcompat import ndarray as nd
from mxcompat.base import numeric_types
from mxcompat.image.augmenters import (
    MEAN,
    STD,
    Augmenter,
    CastAug,
    ColorNormalizeAug,
    ForceResizeAug,
    ResizeAug,
    color_augmenters,
    plain_parameters,
    statistic,
)
from mxcompat.image.functions import copyMakeBorder, fixed_crop

__all__ = ["CreateDetAugmenter", "CreateMultiRandCropAugmenter", "DetAugmenter", "DetBorrowAug", "DetHorizontalFlipAug"]
__all__ += ["DetRandomCropAug", "DetRandomPadAug", "DetRandomSelectAug"]

_Range = Any  # (lowest, highest)


class DetAugmenter:
    """Base of the augmenters: a call takes image and label and returns both. ``kwargs`` are what ``dumps`` shows."""

    def __init__(self, **kwargs: Any):
        self._kwargs = plain_parameters(kwargs)

    def dumps(self) -> Any:
        """The augmenter as text: JSON of its lower-case name and its parameters."""
        return json.dumps([type(self).__name__.lower(), self._kwargs])

    def __call__(self, src: Any, label: Any) -> tuple:
        """The changed image and label."""
        raise NotImplementedError("Must override implementation.")


class DetBorrowAug(DetAugmenter):
    """An augmenter for images that does not move anything, so that the label stays."""

    def __init__(self, augmenter: Augmenter):
        if not isinstance(augmenter, Augmenter):
            raise TypeError(f"Borrowing from invalid Augmenter, found {type(augmenter)}")
        super().__init__(augmenter=augmenter.dumps())
        self.augmenter = augmenter

    def dumps(self) -> Any:
        """The lower-case name, and what the augmenter says."""
        return [type(self).__name__.lower(), self.augmenter.dumps()]

    def __call__(self, src: Any, label: Any) -> tuple:
        """The changed image, and the label."""
        return self.augmenter(src), label


class DetRandomSelectAug(DetAugmenter):
    """One augmenter of a list, chosen at random, or none with probability ``skip_prob``."""

    def __init__(self, aug_list: Any, skip_prob: float = 0):
        super().__init__(skip_prob=skip_prob)
        aug_list = aug_list if isinstance(aug_list, (list, tuple)) else [aug_list]
        for augmenter in aug_list:
            if not isinstance(augmenter, DetAugmenter):
                raise ValueError(f"Allow DetAugmenter in list only, found {type(augmenter)}")
        self.aug_list = aug_list
        self.skip_prob = skip_prob if aug_list else 1

    def dumps(self) -> Any:
        """The lower-case name, and what the augmenters say."""
        return [type(self).__name__.lower(), [augmenter.dumps() for augmenter in self.aug_list]]

    def __call__(self, src: Any, label: Any) -> tuple:
        """Image and label after the chosen augmenter. Compat: the list is shuffled."""
        if random.random() < self.skip_prob:
            return src, label
        random.shuffle(self.aug_list)
        return self.aug_list[0](src, label)


class DetHorizontalFlipAug(DetAugmenter):
    """Mirrors left and right with probability ``p``."""

    def __init__(self, p: float):
        super().__init__(p=p)
        self.p = p

    def __call__(self, src: Any, label: Any) -> tuple:
        """The mirrored image or the given one, and the label, changed in place."""
        if random.random() < self.p:
            src = nd.flip(src, axis=1)
            label[:, (1, 3)] = 1.0 - label[:, (3, 1)]
        return src, label


def _as_range(given: Any, name: str, owner: Any) -> _Range:
    """A range as it is; a number is one from itself to itself."""
    if isinstance(given, (tuple, list)):
        return given
    if not isinstance(given, numeric_types):
        raise AssertionError(f"{type(owner).__name__}: {name} is {given!r}, expected a number or two")
    logging.info("Using fixed %s: %s in %s", name.replace("_", " "), given, type(owner).__name__)
    return (given, given)


def _areas(boxes: np.ndarray) -> np.ndarray:
    """Areas of boxes (N, 4 or more)."""
    return np.maximum(0, boxes[:, 3] - boxes[:, 1]) * np.maximum(0, boxes[:, 2] - boxes[:, 0])


class _Attempts(DetAugmenter):
    """An augmenter that draws areas and aspect ratios until one suits, at most ``max_attempts`` times."""

    aspect_ratio_range: _Range
    area_range: _Range
    max_attempts: int
    enabled: bool

    def _set_ranges(self, aspect_ratio_range: _Range, area_range: _Range, least: float) -> None:
        """Keep the ranges; with impossible ones the augmenter is switched off, with a warning.

        Compat: the original fails to give the warning, with a ``TypeError``.
        """
        self.aspect_ratio_range, self.area_range = aspect_ratio_range, area_range
        problem = ""
        if area_range[1] <= least or area_range[0] > area_range[1]:
            problem = f"area_range: {area_range}"
        elif aspect_ratio_range[0] <= 0 or aspect_ratio_range[0] > aspect_ratio_range[1]:
            problem = f"aspect_ratio_range: {aspect_ratio_range}"
        self.enabled = not problem
        if problem:
            warnings.warn(f"Skip {type(self).__name__} due to invalid {problem}", stacklevel=4)

    def _limits(self, height: int, width: int) -> tuple[float, float]:
        """The smallest and the largest area in pixels."""
        return self.area_range[0] * height * width, self.area_range[1] * height * width


class DetRandomCropAug(_Attempts):
    """Cuts out a part that shows more than ``min_object_covered`` of every object that it touches.

    The part's share of the area is in ``area_range``, its width by height in ``aspect_ratio_range``. Of the boxes those
    stay of which more than ``min_eject_coverage`` is left. After ``max_attempts`` unsuitable parts nothing is cut.
    """

    def __init__(
        self, min_object_covered: float = 0.1, aspect_ratio_range: _Range = (0.75, 1.33), area_range: _Range = (0.05, 1.0),
        min_eject_coverage: float = 0.3, max_attempts: int = 50,
    ):  # fmt: skip
        aspect_ratio_range = _as_range(aspect_ratio_range, "aspect_ratio_range", self)
        area_range = _as_range(area_range, "area_range", self)
        super().__init__(
            min_object_covered=min_object_covered,
            aspect_ratio_range=aspect_ratio_range,
            area_range=area_range,
            min_eject_coverage=min_eject_coverage,
            max_attempts=max_attempts,
        )
        self.min_object_covered, self.min_eject_coverage = min_object_covered, min_eject_coverage
        self.max_attempts = max_attempts
        self._set_ranges(aspect_ratio_range, area_range, 0)

    def __call__(self, src: Any, label: Any) -> tuple:
        """The part with its boxes, or what was given."""
        crop = self._random_crop_proposal(label, src.shape[0], src.shape[1])
        if not crop:
            return src, label
        x, y, w, h, label = crop
        return fixed_crop(src, x, y, w, h, None), label

    def _shows_enough(self, label: np.ndarray, box: tuple[int, int, int, int], height: int, width: int) -> bool:
        """Whether the part (x, y, w, h) shows an object, and enough of every object that it shows."""
        x, y, w, h = box
        if w * h < 2:
            return False
        areas = _areas(label[:, 1:])
        large = areas * width * height > 2
        boxes, areas = label[large, 1:5], areas[large]
        low = np.maximum(boxes[:, :2], (x / width, y / height))
        high = np.minimum(boxes[:, 2:], ((x + w) / width, (y + h) / height))
        shown = _areas(np.concatenate([low, high], axis=1)) / areas
        shown = shown[shown > 0]
        return shown.size > 0 and bool(np.amin(shown) > self.min_object_covered)

    def _update_labels(self, label: np.ndarray, box: tuple[int, int, int, int], height: int, width: int) -> Any:
        """The boxes as seen in the part, None when none is left."""
        x, y, w, h = box[0] / width, box[1] / height, box[2] / width, box[3] / height
        out = label.copy()
        out[:, (1, 3)] -= x
        out[:, (2, 4)] -= y
        out[:, (1, 3)] /= w
        out[:, (2, 4)] /= h
        out[:, 1:5] = np.minimum(1, np.maximum(0, out[:, 1:5]))
        with np.errstate(divide="ignore", invalid="ignore"):  # boxes without area
            left = _areas(out[:, 1:]) * w * h / _areas(label[:, 1:])
        kept = (out[:, 3] > out[:, 1]) & (out[:, 4] > out[:, 2]) & (left > self.min_eject_coverage)
        return out[kept] if kept.any() else None

    def _draw_size(self, height: int, width: int) -> tuple[int, int] | None:
        """Width and height of a part, None for an attempt that failed."""
        min_area, max_area = self._limits(height, width)
        ratio = random.uniform(*self.aspect_ratio_range)
        if ratio <= 0:
            return None
        h, max_h = int(round(sqrt(min_area / ratio))), int(round(sqrt(max_area / ratio)))
        if round(max_h * ratio) > width:  # the largest height whose width fits
            max_h = int((width + 0.4999999) / ratio)
        max_h = min(max_h, height)
        h = min(h, max_h)
        if h < max_h:
            h = random.randint(h, max_h)
        w = int(round(h * ratio))
        if w * h < min_area:  # rounding may have gone beyond the limits
            h += 1
            w = int(round(h * ratio))
        if w * h > max_area:
            h -= 1
            w = int(round(h * ratio))
        suits = min_area <= w * h <= max_area and 0 <= w <= width and 0 <= h <= height
        return (w, h) if suits else None

    def _random_crop_proposal(self, label: np.ndarray, height: int, width: int) -> tuple:
        """A part and its boxes (x, y, w, h, label), or ()."""
        if not self.enabled or height <= 0 or width <= 0:
            return ()
        for _attempt in range(self.max_attempts):
            size = self._draw_size(height, width)
            if size is None:
                continue
            w, h = size
            y = random.randint(0, height - h)
            x = random.randint(0, width - w)
            if self._shows_enough(label, (x, y, w, h), height, width):
                new_label = self._update_labels(label, (x, y, w, h), height, width)
                if new_label is not None:
                    return (x, y, w, h, new_label)
        return ()


class DetRandomPadAug(_Attempts):
    """Puts the image at a random place of a larger one, filled with ``pad_val`` (a number, or one for each channel).

    The larger area by the image's is in ``area_range``, its width by height in ``aspect_ratio_range``. After
    ``max_attempts`` unsuitable ones nothing is done.
    """

    def __init__(
        self, aspect_ratio_range: _Range = (0.75, 1.33), area_range: _Range = (1.0, 3.0), max_attempts: int = 50,
        pad_val: Any = (128, 128, 128),
    ):  # fmt: skip
        if not isinstance(pad_val, (list, tuple)) and not isinstance(pad_val, numeric_types):
            raise AssertionError(f"DetRandomPadAug: pad_val is {pad_val!r}, expected a number or several")
        aspect_ratio_range = _as_range(aspect_ratio_range, "aspect_ratio_range", self)
        area_range = _as_range(area_range, "area_range", self)
        super().__init__(
            aspect_ratio_range=aspect_ratio_range, area_range=area_range, max_attempts=max_attempts, pad_val=pad_val
        )
        self.pad_val = pad_val
        self.max_attempts = max_attempts
        self._set_ranges(aspect_ratio_range, area_range, 1.0)

    def __call__(self, src: Any, label: Any) -> tuple:
        """The larger image with its boxes, or what was given."""
        height, width, channels = src.shape
        pad = self._random_pad_proposal(label, height, width)
        if not pad:
            return src, label
        x, y, w, h, label = pad
        fill = self.pad_val if isinstance(self.pad_val, (list, tuple)) else [self.pad_val] * channels
        return copyMakeBorder(src, y, h - y - height, x, w - x - width, 16, values=fill), label

    def _update_labels(self, label: np.ndarray, box: tuple[int, int, int, int], height: int, width: int) -> np.ndarray:
        """The boxes as seen in the larger image (x, y, w, h)."""
        x, y, w, h = box
        out = label.copy()
        out[:, (1, 3)] = (out[:, (1, 3)] * width + x) / w
        out[:, (2, 4)] = (out[:, (2, 4)] * height + y) / h
        return out

    def _draw_size(self, height: int, width: int) -> tuple[int, int] | None:
        """Width and height of a larger image, None for an attempt that failed."""
        min_area, max_area = self._limits(height, width)
        ratio = random.uniform(*self.aspect_ratio_range)
        if ratio <= 0:
            return None
        h, max_h = int(round(sqrt(min_area / ratio))), int(round(sqrt(max_area / ratio)))
        if round(h * ratio) < width:
            h = int((width + 0.499999) / ratio)
        h = min(max(h, height), max_h)
        if h < max_h:
            h = random.randint(h, max_h)
        w = int(round(h * ratio))
        return None if h - height < 2 or w - width < 2 else (w, h)  # a margin of a pixel is of no use

    def _random_pad_proposal(self, label: np.ndarray, height: int, width: int) -> tuple:
        """A larger image and its boxes (x, y, w, h, label), or ()."""
        if not self.enabled or height <= 0 or width <= 0:
            return ()
        for _attempt in range(self.max_attempts):
            size = self._draw_size(height, width)
            if size is None:
                continue
            w, h = size
            y = random.randint(0, h - height)
            x = random.randint(0, w - width)
            return (x, y, w, h, self._update_labels(label, (x, y, w, h), height, width))
        return ()


def CreateMultiRandCropAugmenter(  # noqa: N802
    min_object_covered: Any = 0.1, aspect_ratio_range: Any = (0.75, 1.33), area_range: Any = (0.05, 1.0),
    min_eject_coverage: Any = 0.3, max_attempts: Any = 50, skip_prob: float = 0,
) -> DetRandomSelectAug:  # fmt: skip
    """One of several ``DetRandomCropAug``: a list as parameter has one entry for each, anything else is for all."""
    given = [min_object_covered, aspect_ratio_range, area_range, min_eject_coverage, max_attempts]
    columns = [value if isinstance(value, list) else [value] for value in given]
    count = max(len(column) for column in columns)
    if any(len(column) not in (1, count) for column in columns):
        raise AssertionError(f"lists of {[len(column) for column in columns]} entries, expected 1 or {count} in each")
    columns = [column if len(column) == count else column * count for column in columns]
    return DetRandomSelectAug([DetRandomCropAug(*row) for row in zip(*columns)], skip_prob=skip_prob)


def CreateDetAugmenter(  # noqa: N802
    data_shape: tuple, resize: int = 0, rand_crop: float = 0, rand_pad: float = 0, rand_gray: float = 0,
    rand_mirror: bool = False, mean: Any = None, std: Any = None, brightness: float = 0, contrast: float = 0,
    saturation: float = 0, pca_noise: float = 0, hue: float = 0, inter_method: int = 2, min_object_covered: Any = 0.1,
    aspect_ratio_range: Any = (0.75, 1.33), area_range: Any = (0.05, 3.0), min_eject_coverage: Any = 0.3,
    max_attempts: Any = 50, pad_val: Any = (127, 127, 127),
) -> list[DetAugmenter]:  # fmt: skip
    """The usual list of augmenters for detection with images of ``data_shape`` (channel, height, width).

    In this order: shorter edge to ``resize``; a crop with probability ``rand_crop``; mirrored half of the time with
    ``rand_mirror``; padding with ``pad_val`` with probability ``rand_pad``, up to the larger end of ``area_range``; the
    size of ``data_shape``; float32; colours; ``mean`` and ``std`` (numpy arrays, or True for ImageNet's).
    """
    augmenters: list[DetAugmenter] = [DetBorrowAug(ResizeAug(resize, inter_method))] if resize > 0 else []
    if rand_crop > 0:
        augmenters.append(
            CreateMultiRandCropAugmenter(
                min_object_covered, aspect_ratio_range, area_range, min_eject_coverage, max_attempts, 1 - rand_crop
            )
        )
    if rand_mirror > 0:
        augmenters.append(DetHorizontalFlipAug(0.5))
    if rand_pad > 0:
        pad = DetRandomPadAug(aspect_ratio_range, (1.0, area_range[1]), max_attempts, pad_val)
        augmenters.append(DetRandomSelectAug([pad], 1 - rand_pad))
    borrowed: list[Augmenter] = [ForceResizeAug((data_shape[2], data_shape[1]), inter_method), CastAug()]
    borrowed += color_augmenters(brightness, contrast, saturation, hue, pca_noise, rand_gray)
    mean = statistic(mean, MEAN, np.array, (np.ndarray,), "mean")
    std = statistic(std, STD, np.array, (np.ndarray,), "std")
    if mean is not None or std is not None:
        borrowed.append(ColorNormalizeAug(mean, std))
    return [*augmenters, *(DetBorrowAug(augmenter) for augmenter in borrowed)]
