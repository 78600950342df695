"""The augmentations of ``ImageDetRecordIter`` (``det_aug_default``): random choices from size and boxes, then functions.

Boxes are float32 (objects, 4): left, top, right and bottom as shares of width and height, computed in the original's
order and precision.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from mxcompat.base import MXNetError
from mxcompat.formats.images import opencv
from mxcompat.io.augment import Step, brightened, cropped, interpolation_method, resized, shifted
from mxcompat.io.draws import Draws

__all__ = ["DetAugmentation", "Labels"]

_F = np.float32
_ROW = tuple[np.float32, np.float32, np.float32, np.float32]  # left, top, width, height
_SAMPLERS = (
    "min_crop_scales", "max_crop_scales", "min_crop_aspect_ratios", "max_crop_aspect_ratios", "min_crop_overlaps",
    "max_crop_overlaps", "min_crop_sample_coverages", "max_crop_sample_coverages", "min_crop_object_coverages",
    "max_crop_object_coverages", "max_crop_trials",
)  # fmt: skip
_LEAST_PAD = _F(1.05)


class Labels:
    """The objects of a flat label: length of its head, numbers of an object, rest of the head, the objects' numbers."""

    def __init__(self, raw: np.ndarray):
        if raw.size < 7:
            raise MXNetError(f"a label for detection has at least 7 numbers, found {raw.size}")
        head, width = int(raw[0]), int(raw[1])
        if head < 2 or width < 5 or (raw.size - head) % width or head > raw.size:
            raise MXNetError(
                f"a label of {raw.size} numbers has a head of {head} and objects of {width} numbers, expected at least "
                "2 and 5, and nothing over"
            )
        self.head = raw[:head]
        objects = raw[head:].reshape(-1, width)
        self.objects = objects[(objects[:, 3] > objects[:, 1]) & (objects[:, 4] > objects[:, 2])]

    @property
    def boxes(self) -> np.ndarray:
        """(objects, 4)."""
        return self.objects[:, 1:5]

    def set_boxes(self, boxes: np.ndarray, objects: np.ndarray | None = None) -> None:
        """Give the objects, or those in ``objects``, other boxes."""
        chosen = self.objects if objects is None else objects
        self.objects = np.concatenate([chosen[:, :1], boxes, chosen[:, 5:]], axis=1)

    def flat(self) -> np.ndarray:
        """The label as it came."""
        return np.concatenate([self.head, self.objects.ravel()])


def _projected(boxes: np.ndarray, frame: _ROW) -> np.ndarray:
    """The boxes as shares of a frame (left, top, width, height), kept inside it."""
    x, y, width, height = frame
    start = np.maximum(_F(0), (boxes[:, :2] - np.array([x, y])) / np.array([width, height]))
    stop = np.minimum(_F(1), (boxes[:, 2:] - np.array([x, y])) / np.array([width, height]))
    return np.concatenate([start, stop], axis=1)


def _areas(boxes: np.ndarray, frame: _ROW) -> tuple[np.ndarray, np.ndarray]:
    """The areas of the boxes, and those of their parts in the frame."""
    sizes = boxes[:, 2:] - boxes[:, :2]
    start, size = np.array(frame[:2]), np.array(frame[2:])
    common = np.minimum(start + size, boxes[:, :2] + sizes) - np.maximum(start, boxes[:, :2])
    shared = np.where((common > 0).all(axis=1), common[:, 0] * common[:, 1], _F(0))
    return sizes[:, 0] * sizes[:, 1], shared


def _flipped(pixels: np.ndarray) -> np.ndarray:
    return opencv().flip(pixels, 1)


def _padded(pixels: np.ndarray, margins: tuple[int, int, int, int], fill: int) -> np.ndarray:
    library = opencv()
    return library.copyMakeBorder(pixels, *margins, library.BORDER_CONSTANT, value=(fill,) * 3)


class DetAugmentation:
    """``params`` has the parameters of the original's augmenter as attributes."""

    def __init__(self, params: Any):
        self.params = params
        if not (0 <= params.inter_method <= 4 or params.inter_method in (9, 10)):
            raise MXNetError(f"inter_method={params.inter_method} is invalid, expected 0 to 4, 9 or 10")
        if params.emit_overlap_thresh < 0:
            raise MXNetError(f"emit_overlap_thresh={params.emit_overlap_thresh} is below 0")
        self.samplers = self._samplers() if params.num_crop_sampler > 0 else []

    def _samplers(self) -> list[dict[str, Any]]:
        """What each way of cropping demands, by parameter name."""
        count = self.params.num_crop_sampler
        columns = {}
        for name in _SAMPLERS:
            given = self.params[name]
            if len(given) not in (1, count):
                raise MXNetError(f"{name} has {len(given)} entries, expected 1 or num_crop_sampler={count}")
            columns[name] = given if len(given) == count else given * count
        samplers = [
            {name: (column[i] if name == "max_crop_trials" else _F(column[i])) for name, column in columns.items()}
            for i in range(count)
        ]
        for sampler in samplers:
            _check_sampler(sampler)
        return samplers

    @property
    def random(self) -> bool:
        """Whether a plan depends on random numbers."""
        p = self.params
        colors = max(
            p.random_hue_prob, p.random_saturation_prob, p.random_illumination_prob, p.random_contrast_prob,
        )  # fmt: skip
        return (
            colors > 0 or p.rand_mirror_prob > 0 or (p.rand_pad_prob > 0 and p.max_pad_scale > 1)
            or (p.rand_crop_prob > 0 and bool(self.samplers)) or p.inter_method == 10
        )  # fmt: skip

    def plan(self, height: int, width: int, labels: Labels, draws: Draws) -> list[Step]:
        """The steps for an image of this size; the labels are changed."""
        p = self.params
        steps: list[Step] = []
        if p.resize != -1:
            tall = height > width
            new_height = p.resize * height // width if tall else p.resize
            new_width = p.resize if tall else p.resize * width // height
            height, width = self._resize(height, width, new_height, new_width, draws, steps)
        self._plan_colors(draws, steps)
        if p.rand_mirror_prob > 0 and _F(draws.unit()) < _F(p.rand_mirror_prob):
            boxes = labels.boxes
            labels.set_boxes(np.stack([_F(1) - boxes[:, 2], boxes[:, 1], _F(1) - boxes[:, 0], boxes[:, 3]], axis=1))
            steps.append(_flipped)
        if p.rand_pad_prob > 0 and p.max_pad_scale > 1 and _F(draws.unit()) < _F(p.rand_pad_prob):
            height, width = self._plan_pad(height, width, labels, draws, steps)
        if p.rand_crop_prob > 0 and self.samplers and _F(draws.unit()) < _F(p.rand_crop_prob):
            height, width = self._plan_crop(height, width, labels, draws, steps)
        self._plan_fit(height, width, draws, steps)
        return steps

    def _resize(
        self, height: int, width: int, new_height: int, new_width: int, draws: Draws, steps: list[Step]
    ) -> tuple[int, int]:
        how = interpolation_method(self.params.inter_method, height, width, new_height, new_width, draws)
        steps.append(functools.partial(resized, width=new_width, height=new_height, interpolation=how))
        return new_height, new_width

    def _plan_colors(self, draws: Draws, steps: list[Step]) -> None:
        p = self.params
        probabilities = (
            p.random_hue_prob, p.random_saturation_prob, p.random_illumination_prob, p.random_contrast_prob,
        )  # fmt: skip
        if max(probabilities) <= 0:
            return
        limits = (p.max_random_hue, p.max_random_saturation, p.max_random_illumination, p.max_random_contrast)
        amounts = [_F(draws.uniform(-1, 1)) * _F(limit) for limit in limits]
        chosen = [amount if _F(draws.unit()) < _F(share) else _F(0) for amount, share in zip(amounts, probabilities)]
        hue, saturation, lightness = (int(amount) for amount in chosen[:3])
        if hue or saturation or lightness:
            steps.append(functools.partial(shifted, hue=hue, lightness=lightness, saturation=saturation))
        if abs(chosen[3]) > 1e-3:
            steps.append(functools.partial(brightened, share=chosen[3] + _F(1)))

    def _plan_pad(self, height: int, width: int, labels: Labels, draws: Draws, steps: list[Step]) -> tuple[int, int]:
        scale = _F(draws.uniform(1, self.params.max_pad_scale))
        if scale < _LEAST_PAD:
            return height, width
        x, y = -_F(draws.uniform(0, scale - _F(1))), -_F(draws.uniform(0, scale - _F(1)))
        labels.set_boxes(_projected(labels.boxes, (x, y, scale, scale)))
        left, right = int(-x * _F(width)), int((scale + x - _F(1)) * _F(width))
        top, bottom = int(-y * _F(height)), int((scale + y - _F(1)) * _F(height))
        steps.append(functools.partial(_padded, margins=(top, bottom, left, right), fill=self.params.fill_value))
        return height + top + bottom, width + left + right

    def _plan_crop(self, height: int, width: int, labels: Labels, draws: Draws, steps: list[Step]) -> tuple[int, int]:
        order = list(range(len(self.samplers)))
        draws.shuffle(order)
        for number in order:
            sampler = self.samplers[number]
            for _trial in range(sampler["max_crop_trials"]):
                frame = _draw_frame(sampler, _F(width) / _F(height), draws)
                if self._accept(frame, sampler, labels):
                    x, y = int(frame[0] * _F(width)), int(frame[1] * _F(height))
                    w, h = int(frame[2] * _F(width)), int(frame[3] * _F(height))
                    steps.append(functools.partial(cropped, x=x, y=y, width=w, height=h))
                    return h, w
        return height, width

    def _accept(self, frame: _ROW, sampler: dict[str, Any], labels: Labels) -> bool:
        """Whether the frame is what the sampler demands; the labels then are those of the frame."""
        boxes = labels.boxes
        if not len(boxes):
            return True
        areas, shared = _areas(boxes, frame)
        frame_area = frame[2] * frame[3]
        suits = np.ones(len(boxes), bool)
        for name, measure in (
            ("overlaps", np.where(shared > 0, shared / (frame_area + areas - shared), _F(0))),
            ("sample_coverages", shared / frame_area),
            ("object_coverages", shared / areas),
        ):
            low, high = sampler[f"min_crop_{name}"], sampler[f"max_crop_{name}"]
            if low > 0 or high < 1:
                suits &= (measure >= low) & (measure <= high)
        if not suits.any():
            return False
        if self.params.crop_emit_mode == "center":
            center = (boxes[:, :2] + boxes[:, 2:]) * _F(0.5)
            start = np.array(frame[:2])
            kept = ((center >= start) & (center < start + np.array(frame[2:]))).all(axis=1)
        else:
            kept = shared / areas > _F(self.params.emit_overlap_thresh)
        if not kept.any():
            return False
        labels.set_boxes(_projected(boxes[kept], frame), labels.objects[kept])
        return True

    def _plan_fit(self, height: int, width: int, draws: Draws, steps: list[Step]) -> None:
        """The size of ``data_shape``, or the largest one inside it."""
        _, new_height, new_width = self.params.data_shape
        mode = self.params.resize_mode
        if mode == "shrink" and height <= new_height and width <= new_width:
            return
        if mode != "force":
            ratio = min(_F(new_height) / _F(height), _F(new_width) / _F(width))
            new_height, new_width = int(ratio * _F(height)), int(ratio * _F(width))
        self._resize(height, width, new_height, new_width, draws, steps)


def _check_sampler(sampler: dict[str, Any]) -> None:
    if not 0 <= sampler["min_crop_scales"] < sampler["max_crop_scales"] <= 1:
        raise MXNetError(
            f"min_crop_scales={sampler['min_crop_scales']}, max_crop_scales={sampler['max_crop_scales']}: expected "
            "0 <= min < max <= 1"
        )
    if sampler["min_crop_aspect_ratios"] < 0:
        raise MXNetError(f"min_crop_aspect_ratios={sampler['min_crop_aspect_ratios']} is below 0")
    for name in ("aspect_ratios", "overlaps", "sample_coverages", "object_coverages"):
        low, high = sampler[f"min_crop_{name}"], sampler[f"max_crop_{name}"]
        if low > high:
            raise MXNetError(f"min_crop_{name}={low} is above max_crop_{name}={high}")


def _draw_frame(sampler: dict[str, Any], aspect: np.float32, draws: Draws) -> _ROW:
    """A frame (left, top, width, height) as shares of an image of this width by height."""
    scale = _F(draws.uniform(sampler["min_crop_scales"], sampler["max_crop_scales"])) + _F(1e-12)
    low = max(sampler["min_crop_aspect_ratios"] / aspect, scale * scale)
    high = min(sampler["max_crop_aspect_ratios"] / aspect, _F(1.0 / float(scale * scale)))
    ratio = np.sqrt(_F(draws.uniform(low, high)))
    width, height = min(_F(1), scale * ratio), min(_F(1), scale / ratio)
    x = _F(draws.uniform(0, _F(1) - width))
    return x, _F(draws.uniform(0, _F(1) - height)), width, height
