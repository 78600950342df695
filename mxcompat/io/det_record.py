"""``ImageDetRecordIter``: batches of images with boxes from record files."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from mxcompat.base import MXNetError
from mxcompat.context import Context
from mxcompat.formats.recordio import unpack
from mxcompat.io.augment import Step
from mxcompat.io.det_augment import DetAugmentation, Labels
from mxcompat.io.draws import Draws
from mxcompat.io.image_record import ImageLabels, check_images, decode_record, mean_image, record_source, red_first
from mxcompat.io.pipeline import ImageBatches, Sample
from mxcompat.io.records import Record, RecordFiles, SplitRecords

__all__ = ["detection_batches"]

_LOG = logging.getLogger(__name__)
_F = np.float32
_SEED = 233
_FRONT = 4  # numbers in front of a label in a batch: channels, height, width, length of the label


class DetDecoder:
    """Images and boxes as ``ImageDetRecordIter`` gives them; ``width`` is the room for the numbers of a label."""

    def __init__(self, params: Any, labels: ImageLabels | None, width: int):
        self.params, self.labels = params, labels
        self.data_shape = params.data_shape
        self.label_shape: tuple[int, ...] = (width + _FRONT,)
        self.dtype = np.dtype(np.float32)
        self.seeds: tuple[int, ...] = (_SEED,)
        self.seed: int | None = None
        names = [name for name in params.aug_seq.split(",") if name]
        for name in names:
            if name != "det_aug_default":
                raise MXNetError(
                    f"aug_seq={params.aug_seq!r}: there is no augmenter {name!r} for boxes, expected det_aug_default"
                )
        self.augmentations = [DetAugmentation(params) for _ in names]
        self.random = any(augmentation.random for augmentation in self.augmentations)
        self.mean: np.ndarray | None = None

    def read(self, record: Record) -> Sample:
        """Decode, and find the label."""
        header, pixels = decode_record(record, self.data_shape[0])
        label = record_label(header, self.params.label_width) if self.labels is None else self.labels.find(header.id)
        return Sample(pixels, label, header.id)

    def plan(self, sample: Sample, draws: Sequence[Draws]) -> tuple[list[Step], np.ndarray]:
        """The steps of the augmentation and the label after it."""
        steps: list[Step] = []
        pixels, label = sample.pixels, sample.label
        for augmentation in self.augmentations:
            labels = Labels(label)
            planned = augmentation.plan(pixels.shape[0], pixels.shape[1], labels, draws[0])
            label = labels.flat()
            if len(self.augmentations) > 1:  # the next one needs the size
                for step in planned:
                    pixels = step(pixels)
                sample.pixels = pixels
            else:
                steps = planned
        return steps, label

    def change(self, sample: Sample, plan: Any) -> np.ndarray:
        """The pixels (height, width, channel) after the steps of the plan; ``MXNetError`` where these are too large."""
        pixels = sample.pixels
        for step in plan[0]:
            pixels = step(pixels)
        pixels = pixels.reshape(*pixels.shape[:2], -1)
        height, width, channels = pixels.shape
        if channels != self.data_shape[0] or height > self.data_shape[1] or width > self.data_shape[2]:
            raise MXNetError(
                f"image {sample.number} has the shape {(channels, height, width)}, which does not fit into "
                f"data_shape={self.data_shape}"
            )
        return pixels

    def write(
        self, changed: list[np.ndarray], plans: list, samples: list[Sample], data: np.ndarray, label: Any
    ) -> None:
        """Put the pixels, red first and normalized, into the upper left corners, and the labels behind their sizes."""
        data[...] = 0
        label[...] = self.params.label_pad_value
        for place, (pixels, (_, numbers)) in enumerate(zip(changed, plans)):
            height, width, channels = pixels.shape
            target = data[place, :, :height, :width]
            for channel in range(channels):
                target[channel] = red_first(pixels, channel)
            self._normalize(target)
            label[place, :_FRONT] = channels, height, width, numbers.size
            label[place, _FRONT : _FRONT + numbers.size] = numbers

    def _normalize(self, data: np.ndarray) -> None:
        """(data - mean) / std * scale, where a std of 0 means 1."""
        p, letters = self.params, "rgba"[: len(data)]
        means = [_F(p[f"mean_{letter}"]) for letter in "rgba"]
        if max(means) > 0:
            data -= np.array(means[: len(data)], np.float32).reshape(-1, 1, 1)
        elif self.mean is not None:
            data -= self.mean[:, : data.shape[1], : data.shape[2]]
        for channel, letter in enumerate(letters):
            if p[f"std_{letter}"] > 0:
                data[channel] /= _F(p[f"std_{letter}"])
        if p.scale != 1:
            data *= _F(p.scale)


def record_label(header: Any, width: int) -> np.ndarray:
    """The label in a header, of ``width`` numbers unless that is not above 0."""
    if not header.flag:
        raise MXNetError("Not enough label packed in img_list or rec file: the record has one number as label")
    if width > 0 and header.flag != width:
        raise MXNetError(f"rec file provide {header.flag}-dimensional label but label_width is set to {width}")
    return np.asarray(header.label, np.float32)


def _longest_label(params: Any) -> int:
    """The numbers of the longest label in the part of the record files."""
    records = SplitRecords(RecordFiles(params.path_imgrec, "path_imgrec"), params.num_parts, params.part_index)
    longest = 0
    while (chunk := records.chunk(0)) is not None:
        for record in chunk:
            try:
                longest = max(longest, record_label(unpack(record.content)[0], params.label_width).size)
            except Exception as error:
                raise record.error(error) from None
    return longest


def detection_batches(params: Any) -> ImageBatches:
    """The reader of ``ImageDetRecordIter``."""
    name = "ImageDetRecordIter"
    check_images(params, name)
    source = record_source(params, name)
    labels, longest = None, 0
    if params.path_imglist:
        labels = ImageLabels(params.path_imglist, params.label_width if params.label_width > 0 else None)
        longest = max((label.size for label in labels.labels.values()), default=0)
    else:
        longest = _longest_label(params)
    if 0 < params.label_pad_width < longest:
        raise MXNetError(f"{name}: label_pad_width={params.label_pad_width} smaller than estimated width: {longest}")
    width = max(longest, params.label_pad_width)
    if params.verbose:
        _LOG.info("%s: %s, label padding width: %d", name, params.path_imgrec, width)
    decoder = DetDecoder(params, labels, width)
    batches = ImageBatches(
        source,
        decoder,
        batch_size=params.batch_size,
        round_batch=params.round_batch,
        shuffle_seed=_SEED + params.seed if params.shuffle else None,
        threads=params.preprocess_threads,
        prefetch=params.prefetch_buffer,
        context=Context("cpu", 0),
        numbered=True,
    )
    if params.mean_img:
        decoder.mean = mean_image(batches, params.mean_img, decoder.data_shape, "float32")
    return batches
