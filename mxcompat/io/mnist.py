"""Images and labels in the files of the MNIST data set, for ``MNISTIter``."""

from __future__ import annotations

import gzip
import logging
import math
import os
import zlib
from typing import BinaryIO, cast

import numpy as np

from mxcompat.base import MXNetError
from mxcompat.io.draws import Draws
from mxcompat.io.native import Loaded

__all__ = ["open_mnist"]

_GZIP = b"\x1f\x8b"
_GZIP_RATIO = 1032  # more than that many bytes never come of one byte of a gzip file
_LOG = logging.getLogger(__name__)


class _Whole:
    """Batches of arrays in memory; samples that do not fill a batch are left out."""

    def __init__(self, data: np.ndarray, label: np.ndarray, batch_size: int):
        self.data, self.label, self.batch_size = data, label, batch_size
        self._start = 0

    def read(self) -> Loaded | None:
        stop = self._start + self.batch_size
        if stop > len(self.data):
            return None
        rows = slice(self._start, stop)
        self._start = stop
        return Loaded(self.data[rows].copy(), self.label[rows].copy(), 0, np.zeros(self.batch_size, np.uint64))

    def rewind(self) -> None:
        self._start = 0

    def close(self) -> None:
        pass


def _part(count: int, num_parts: int, part_index: int) -> tuple[int, int]:
    """First sample of the part, and the one behind its last."""
    return int(count / num_parts * part_index), int(count / num_parts * (part_index + 1))


def _open(path: str, parameter: str) -> BinaryIO:
    try:
        with open(path, "rb") as stream:
            packed = stream.read(2) == _GZIP
        return cast(BinaryIO, gzip.open(path, "rb") if packed else open(path, "rb"))
    except OSError as error:
        raise MXNetError(f"MNISTIter: {parameter}={path!r} cannot be read: {error.strerror}") from error


def _load(path: str, parameter: str, num_parts: int, part_index: int) -> np.ndarray:
    """The bytes of a part of an IDX file: (N, rows, columns) images or (N,) labels."""
    axes = 3 if parameter == "image" else 1
    with _open(path, parameter) as stream:
        try:
            head = stream.read(4 + 4 * axes)
            if len(head) < 4 + 4 * axes:
                raise MXNetError(f"MNISTIter: {path}: invalid mnist format, the file has {len(head)} bytes")
            count, *sizes = (int(size) for size in np.frombuffer(head, ">i4")[1:])
            if min([count, *sizes]) < 0:
                raise MXNetError(
                    f"MNISTIter: {path}: offset 4: {count} samples of {sizes} bytes, expected no less than 0"
                )
            start, stop = _part(count, num_parts, part_index)
            sample = math.prod(sizes)
            wanted = (stop - start) * sample
            ratio = _GZIP_RATIO if isinstance(stream, gzip.GzipFile) else 1
            content = b""
            if stop * sample <= ratio * os.path.getsize(
                path
            ):  # reading claims the memory before it looks what is there
                stream.seek(start * sample, 1)
                content = stream.read(wanted)
                stream.read(1)  # at its end an archive is compared with its checksum
        except (OSError, EOFError, zlib.error) as error:
            raise MXNetError(f"MNISTIter: {path}: damaged: {error}") from None
    if len(content) < wanted:
        raise MXNetError(
            f"MNISTIter: {path}: truncated: {count} samples of {sample} bytes announced, samples {start} to {stop} "
            f"take {wanted} bytes, {len(content)} are there"
        )
    return np.frombuffer(content, np.uint8).reshape(stop - start, *sizes)


def open_mnist(
    image: str, label: str, *, batch_size: int, shuffle: bool, flat: bool, seed: int, silent: bool, num_parts: int,
    part_index: int,
) -> _Whole:  # fmt: skip
    """The reader of a part of the data set, shuffled once."""
    if part_index >= num_parts:
        raise MXNetError(f"MNISTIter: part_index={part_index} is not below num_parts={num_parts}")
    pixels = _load(image, "image", num_parts, part_index)
    labels = _load(label, "label", num_parts, part_index)
    if len(pixels) != len(labels):
        raise MXNetError(f"MNISTIter: {image} has {len(pixels)} images, {label} has {len(labels)} labels")
    if shuffle:
        order = list(range(len(labels)))
        Draws(seed).shuffle(order)
        pixels, labels = pixels[order], labels[order]
    shape = (len(pixels), -1) if flat else (len(pixels), 1, *pixels.shape[1:])
    data = (pixels.astype(np.float32) * np.float32(1 / 256)).reshape(shape)
    if not silent:
        _LOG.info("MNISTIter: load %d images, shuffle=%d, shape=%s", len(data), shuffle, (batch_size, *data.shape[1:]))
    return _Whole(data, labels.astype(np.float32)[:, None], batch_size)
