"""``ImageRecordIter`` and its relatives: batches of images from record files."""

from __future__ import annotations

import logging
import math
import os
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from mxcompat import ndarray as nd
from mxcompat.base import MXNetError
from mxcompat.context import Context
from mxcompat.formats import images
from mxcompat.formats.recordio import unpack
from mxcompat.io.augment import Augmentation, Step
from mxcompat.io.draws import Draws
from mxcompat.io.pipeline import AUGMENT_SEED, ImageBatches, Sample
from mxcompat.io.records import IndexedRecords, PartOrder, Record, RecordFiles, Source, SplitRecords, check_part

__all__ = ["ImageDecoder", "ImageLabels", "check_images", "decode_record", "image_batches", "mean_image"]
__all__ += ["record_source", "red_first"]

_LOG = logging.getLogger(__name__)
_F = np.float32
_DECODE = {1: images.GRAY, 3: images.COLOR, 4: images.UNCHANGED}
_MEGABYTE = 1 << 20


class ImageLabels:
    """The labels of a ``.lst`` file by image number: number, labels, and what else a line may have, set apart by spaces
    or TABs."""

    def __init__(self, path: str, width: int | None):
        self.path = path
        self.labels: dict[int, np.ndarray] = {}
        try:
            with open(path, "rb") as lines:
                for number, line in enumerate(lines, 1):
                    fields = line.split()
                    if fields:
                        self._add(number, fields, width)
        except OSError as error:
            raise MXNetError(f"path_imglist={path!r} cannot be read: {error.strerror}") from error

    def _add(self, number: int, fields: list[bytes], width: int | None) -> None:
        stop = len(fields) - 1 if width is None else 1 + width
        try:
            if len(fields) < stop:
                raise ValueError
            key, labels = int(float(fields[0])), [float(field) for field in fields[1:stop]]
        except (ValueError, OverflowError):
            raise MXNetError(
                f"{self.path}: line {number}: Bad ImageList format, expected a number and {width or 'some'} labels"
            ) from None
        with np.errstate(over="ignore"):
            self.labels[key] = np.array(labels, np.float32)

    def find(self, number: int) -> np.ndarray:
        """The labels of an image."""
        try:
            return self.labels[number]
        except KeyError:
            raise MXNetError(f"{self.path}: fail to find imagelabel for id {number}") from None


def decode_record(record: Record, channels: int) -> tuple[Any, np.ndarray]:
    """The header of a record, and its pixels as stored or made gray or coloured for that many channels."""
    try:
        header, content = unpack(record.content)
    except (struct.error, ValueError) as error:
        raise record.error(error) from None
    pixels = images.decode(content, _DECODE[channels])
    if pixels is None:
        raise record.error(f"image {header.id} cannot be decoded ({len(content)} bytes)")
    if channels == 4 and (pixels.ndim != 3 or pixels.shape[2] != 4 or pixels.dtype != np.uint8):
        raise record.error(f"Invalid image with index {header.id}. Expected 4 channels of 8 bits, got {pixels.shape}")
    return header, pixels


def red_first(pixels: np.ndarray, channel: int) -> np.ndarray:
    """One channel of pixels (..., channel), blue first, in the order red, green, blue, alpha."""
    return pixels[..., 2 - channel if pixels.shape[-1] > 2 and channel < 3 else channel]


class ImageDecoder:
    """Images and labels as ``ImageRecordIter`` gives them; ``first_version`` as ``ImageRecordIter_v1`` does."""

    def __init__(self, params: Any, dtype: str, labels: ImageLabels | None, first_version: bool = False):
        self.params, self.labels, self.first_version = params, labels, first_version
        self.data_shape, self.dtype = params.data_shape, np.dtype(dtype)
        self.label_shape: tuple[int, ...] = (params.label_width,)
        names = [name for name in params.aug_seq.split(",") if name]
        for name in names:
            if name != "aug_default":
                raise MXNetError(f"aug_seq={params.aug_seq!r}: there is no augmenter {name!r}, expected aug_default")
        self.augmentations = [Augmentation(params) for _ in names]
        self.plain = dtype == "uint8" and first_version  # neither mirrored nor normalized
        self.seed = None if first_version else params.seed_aug
        self.mean: np.ndarray | None = None
        self.seeds: tuple[int, ...] = (AUGMENT_SEED, params.seed) if first_version else (AUGMENT_SEED,)
        self.mirror, self.rand_mirror = params.mirror, params.rand_mirror
        self.lights_vary = dtype == "float32" and (params.max_random_contrast, params.max_random_illumination) != (0, 0)
        self.light = _F(1 if first_version or self.plain else params.scale), _F(0)
        self.random = any(augmentation.random for augmentation in self.augmentations) or (
            not self.plain and (self.rand_mirror or self.lights_vary)
        )

    def read(self, record: Record) -> Sample:
        """Decode, and find the labels."""
        header, pixels = decode_record(record, self.data_shape[0])
        return Sample(pixels, self._label(header), header.id)

    def _label(self, header: Any) -> np.ndarray:
        width = self.params.label_width
        if self.labels is not None:
            return self.labels.find(header.id)
        if header.flag:
            if header.flag != width:
                raise MXNetError(f"rec file provide {header.flag}-dimensional label but label_width is set to {width}")
        elif width != 1:
            raise MXNetError(
                f"label_width must be 1 unless an imglist is provided or the rec file is packed with "
                f"multi dimensional label, found {width}"
            )
        return np.asarray(header.label, np.float32)

    def plan(self, sample: Sample, draws: Sequence[Draws]) -> tuple[list[Step], bool, np.float32, np.float32]:
        """The steps of the augmentation, whether to mirror, contrast and illumination."""
        steps: list[Step] = []
        height, width = sample.pixels.shape[:2]
        for augmentation in self.augmentations:
            steps += augmentation.plan(height, width, draws[0])
            height, width = self.data_shape[1:]
        if self.plain:
            return steps, False, *self.light
        mirrored, light, drawn = self.mirror, self.light, draws[-1]
        if self.rand_mirror and not self.first_version:
            mirrored = drawn.coin() or mirrored
        if self.dtype != np.uint8 and self.random:
            light = self._draw_light(drawn)
        if self.rand_mirror and self.first_version:
            mirrored = drawn.coin() or mirrored
        return steps, mirrored, *light

    def _draw_light(self, draws: Draws) -> tuple[np.float32, np.float32]:
        """Contrast and illumination, which are drawn also where there is nothing to choose from."""
        if not self.lights_vary:
            draws.bits(), draws.bits()
            return self.light
        limits = _F(self.params.max_random_contrast), _F(self.params.max_random_illumination)
        contrast, illumination = (_F(draws.unit()) * limit * _F(2) - limit for limit in limits)
        return (contrast + _F(1)) * self.light[0], illumination * self.light[0]

    def change(self, sample: Sample, plan: Any) -> np.ndarray:
        """The pixels (height, width, channel) after the steps of the plan; ``MXNetError`` for another shape than asked."""
        pixels = sample.pixels
        for step in plan[0]:
            pixels = step(pixels)
        channels = pixels.shape[2] if pixels.ndim == 3 else 1
        if (channels, *pixels.shape[:2]) != self.data_shape:
            raise MXNetError(
                f"image {sample.number} has the shape {(channels, *pixels.shape[:2])}, "
                f"expected data_shape={self.data_shape}"
            )
        return pixels

    def write(
        self, changed: list[np.ndarray], plans: list, samples: list[Sample], data: np.ndarray, label: Any
    ) -> None:
        """Put the pixels, mirrored, red first and normalized, and the labels into their places."""
        channels, height, width = self.data_shape
        library = images.opencv()
        stack = np.empty((len(changed), height, width, channels), np.uint8)
        mirrored = [plan[1] for plan in plans]
        later = self.mean is not None  # a mean image is subtracted before mirroring
        for place, pixels in enumerate(changed):
            target = stack[place] if channels > 1 else stack[place, :, :, 0]
            if mirrored[place] and not later:
                library.flip(pixels, 1, target)
            else:
                target[...] = pixels
        light: Any = plans[0][2:]
        if self.lights_vary:
            light = [np.array([plan[i] for plan in plans], np.float32).reshape(-1, 1, 1) for i in (2, 3)]
        planes = library.split(stack.reshape(-1, width, channels))  # as fast as reading every third byte once
        for channel in range(channels):
            plane = planes[channel if channels < 3 or channel == 3 else 2 - channel]  # red first
            self._write_channel(channel, plane.reshape(-1, height, width), data[:, channel], *light)
        if later:
            for place in np.flatnonzero(mirrored).tolist():
                data[place] = library.flip(data[place].reshape(-1, width), 1).reshape(data[place].shape)
        for place, sample in enumerate(samples):
            label[place] = sample.label

    def _write_channel(
        self, channel: int, source: np.ndarray, target: np.ndarray, contrast: np.ndarray, illumination: np.ndarray
    ) -> None:
        """One channel of some images into its place."""
        p, letter = self.params, "rgba"[channel]
        if self.dtype == np.uint8:
            target[...] = source
            return
        mean: Any = _F(p[f"mean_{letter}"]) if self.mean is None else self.mean[channel]
        if self.dtype == np.int8:
            whole = np.copysign(np.floor(np.abs(mean) + _F(0.5)), mean).astype(np.int16)
            target[...] = np.clip(source.astype(np.int16) - whole, -128, 127)
            return
        np.subtract(source, mean, out=target)
        deviation = _F(p[f"std_{letter}"])
        if self.first_version:
            factors: tuple = (contrast, illumination, _F(p.scale), deviation)
            operations: tuple = (np.multiply, np.add, np.multiply, np.divide)
        else:
            with np.errstate(divide="ignore", invalid="ignore"):
                factors = (contrast / deviation, illumination / deviation)
            operations = (np.multiply, np.add)
        for operation, factor in zip(operations, factors):
            if factor.ndim or factor != (0 if operation is np.add else 1):
                operation(target, factor, out=target)


def record_source(params: Any, name: str, index: str = "", shuffle: bool = False) -> Source:
    """Where the records come from: by an index, as they stand, or in parts of random order."""
    if not params.path_imgrec:
        raise MXNetError(f"{name}: must specify path_imgrec")
    check_part(params.num_parts, params.part_index, name)
    files = RecordFiles(params.path_imgrec, "path_imgrec")
    if index:
        return IndexedRecords(files, index, params.num_parts, params.part_index, shuffle, params.seed)
    if params.shuffle_chunk_size > 0:
        size = params.num_parts * params.shuffle_chunk_size * _MEGABYTE
        pieces = math.ceil(files.size * 1.1 / size)
        if pieces > 1:
            return PartOrder(files, params.num_parts, params.part_index, pieces, params.shuffle_chunk_seed)
    return SplitRecords(files, params.num_parts, params.part_index)


def check_images(params: Any, name: str) -> None:
    """``MXNetError`` unless the images have 1, 3 or 4 channels, ``ImportError`` without OpenCV."""
    if params.data_shape[0] not in _DECODE:
        raise MXNetError(f"{name}: Invalid output shape {params.data_shape}, expected 1, 3 or 4 channels")
    if images.opencv() is None:
        raise ImportError(f"{name} needs OpenCV, which is not installed: pip install 'mxcompat[image]'")


def image_batches(params: Any, name: str, dtype: str, first_version: bool = False) -> ImageBatches:
    """The reader of ``ImageRecordIter`` and its relatives."""
    check_images(params, name)
    labels = ImageLabels(params.path_imglist, params.label_width) if params.path_imglist else None
    decoder = ImageDecoder(params, dtype, labels, first_version)
    index = "" if first_version else params.path_imgidx
    source = record_source(params, name, index, params.shuffle)
    if params.verbose:
        _LOG.info("%s: %s, %d threads for decoding", name, params.path_imgrec, params.preprocess_threads)
    pinned = params.device_id != -1 and not first_version
    batches = ImageBatches(
        source,
        decoder,
        batch_size=params.batch_size,
        round_batch=params.round_batch,
        shuffle_seed=AUGMENT_SEED + params.seed if params.shuffle and not index else None,
        threads=params.preprocess_threads,
        prefetch=params.prefetch_buffer,
        context=Context("cpu_pinned", params.device_id) if pinned else Context("cpu", 0),
        numbered=first_version,
    )
    if params.mean_img and dtype != "uint8":
        decoder.mean = mean_image(batches, params.mean_img, decoder.data_shape, dtype)
    return batches


def mean_image(batches: ImageBatches, path: str, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """The mean image in a file; where there is none, that of all samples as they come, which is written there."""
    if not os.path.exists(path):
        if dtype != "float32":
            raise MXNetError(f"mean_img={path!r} is not there, it can be made with dtype='float32' only")
        _LOG.info("Cannot find %s: create mean image, this will take some time...", path)
        mean = batches.mean()
        nd.save(path, {"mean_img": nd.array(mean)})
        return mean
    loaded = nd.load(path)
    arrays = list(loaded.values()) if isinstance(loaded, dict) else loaded
    if len(arrays) != 1 or arrays[0].shape != shape:
        found = [array.shape for array in arrays]
        raise MXNetError(f"mean_img={path!r}: Invalid mean image file format: arrays {found}, expected one of {shape}")
    return arrays[0].asnumpy().astype(np.float32)
