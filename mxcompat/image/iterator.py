"""``ImageIter``: batches of images from record files or image files, changed by augmenters in Python."""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Iterator
from typing import Any

import numpy as np

from mxcompat import io, recordio
from mxcompat import ndarray as nd
from mxcompat.base import DamagedFile, MXNetError, numeric_types
from mxcompat.image.augmenters import CreateAugmenter
from mxcompat.image.functions import imdecode

__all__ = ["ImageIter"]

_LABEL_TYPES = ("int32", "float32", "int64", "float64")
_LAST_BATCH = ("pad", "discard", "roll_over")


def _listed(path: str, dtype: str) -> Iterator[tuple[int, tuple[Any, str]]]:
    """The lines of a ``.lst`` file: key, labels and file name."""
    with open(path, "rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                fields = line.decode("utf-8").strip().split("\t")
                key, labels = int(fields[0]), np.array([float(field) for field in fields[1:-1]])
                with np.errstate(over="ignore", invalid="ignore"):
                    stored = labels.astype(dtype)
            except ValueError:
                raise DamagedFile(
                    f"{path}: line {number}: expected a number, labels and a path, separated by TABs, found {line[:100]!r}"
                ) from None
            yield key, (nd.array(stored, dtype=dtype), fields[-1])


def _given(entries: list, dtype: str) -> Iterator[tuple[str, tuple[Any, str]]]:
    """The entries of an image list, numbered from '1': one label, several or a list of them, then the file name."""
    for number, entry in enumerate(entries, 1):
        if len(entry) > 2:
            labels: Any = entry[:-1]
        else:
            labels = [entry[0]] if isinstance(entry[0], numeric_types) else entry[0]
        yield str(number), (nd.array(labels, dtype=dtype), entry[-1])


class _NoLabel(MXNetError, KeyError):
    """Compat: programs catch ``KeyError`` for a record that the image list does not name."""

    __str__ = Exception.__str__


class ImageIter(io.DataIter):
    """Batches of images (N, 3, height, width) of float32, red first, with their labels.

    The images come from a record file (``path_imgrec``, with ``path_imgidx`` for any order), or are files in
    ``path_root`` that a ``.lst`` file (``path_imglist``) or a list of ``[label(s), path]`` (``imglist``) names; a list
    beside a record file gives the labels. ``shuffle`` draws a new order at every reset from Python's ``random``;
    ``num_parts`` and ``part_index`` take a part. ``aug_list`` holds the augmenters, else ``CreateAugmenter`` makes them
    from ``kwargs``. ``last_batch_handle`` is ``'pad'``, ``'discard'`` or ``'roll_over'``. ``dtype`` is that of the labels
    in a list; in a batch they are float32.

    An image that cannot be decoded raises ``RuntimeError`` naming it. A subclass overrides ``next_sample``,
    ``read_image``, ``imdecode``, ``check_valid_image``, ``augmentation_transform`` or ``postprocess_data``.
    """

    def __init__(
        self, batch_size: int, data_shape: tuple, label_width: int = 1, path_imgrec: Any = None, path_imglist: Any = None,
        path_root: Any = None, path_imgidx: Any = None, shuffle: bool = False, part_index: int = 0, num_parts: int = 1,
        aug_list: Any = None, imglist: Any = None, data_name: str = "data", label_name: str = "softmax_label",
        dtype: str = "float32", last_batch_handle: str = "pad", **kwargs: Any,
    ):  # fmt: skip
        super().__init__()
        if not (path_imgrec or path_imglist or isinstance(imglist, list)):
            raise AssertionError(f"{type(self).__name__}: expected path_imgrec, path_imglist or a list imglist")
        if dtype not in _LABEL_TYPES:
            raise AssertionError(f"{dtype} label not supported, expected one of {', '.join(_LABEL_TYPES)}")
        if last_batch_handle not in _LAST_BATCH:
            raise ValueError(f"last_batch_handle is {last_batch_handle!r}, expected one of {', '.join(_LAST_BATCH)}")
        self._open(path_imgrec, path_imgidx)
        self.path_root = path_root
        keys = self._read_list(path_imglist, imglist, dtype)
        self.check_data_shape(data_shape)
        self.provide_data: list = [(data_name, (batch_size, *data_shape))]
        self.provide_label: list = [(label_name, (batch_size, label_width) if label_width > 1 else (batch_size,))]
        self.batch_size, self.data_shape, self.label_width = batch_size, data_shape, label_width
        self.shuffle = shuffle
        self.seq = self._sequence(keys, path_imgidx, num_parts, part_index)
        self.auglist: list = CreateAugmenter(data_shape, **kwargs) if aug_list is None else aug_list
        self.cur = 0
        self.last_batch_handle = last_batch_handle
        self.num_image = None if self.seq is None else len(self.seq)
        self._allow_read = True
        self._cache_data: Any = None  # the batch that was begun, its labels and how much of it is filled
        self._cache_label: Any = None
        self._cache_idx: int | None = None
        self.reset()

    def _open(self, path_imgrec: Any, path_imgidx: Any) -> None:
        self.imgrec: Any = None
        self.imgidx: list | None = None
        if path_imgrec:
            logging.info("%s: loading recordio %s...", type(self).__name__, path_imgrec)
            if path_imgidx:
                self.imgrec = recordio.MXIndexedRecordIO(path_imgidx, path_imgrec, "r")
                self.imgidx = list(self.imgrec.keys)
            else:
                self.imgrec = recordio.MXRecordIO(path_imgrec, "r")

    def _read_list(self, path_imglist: Any, imglist: Any, dtype: str) -> list:
        """The keys of the image list in its order; the list itself becomes a dict."""
        entries: Any = None
        if path_imglist:
            logging.info("%s: loading image list %s...", type(self).__name__, path_imglist)
            entries = list(_listed(path_imglist, dtype))
        elif isinstance(imglist, list):
            logging.info("%s: loading image list...", type(self).__name__)
            entries = list(_given(imglist, dtype))
        self.imglist: dict | None = None if entries is None else dict(entries)
        return [key for key, _ in entries or ()]

    def _sequence(self, keys: list, path_imgidx: Any, num_parts: int, part_index: int) -> list | None:
        """The keys in the order of reading, None where the record file is read from its beginning."""
        sequence: list | None = keys if self.imgrec is None else self.imgidx
        if self.imgrec is not None and (self.shuffle or num_parts > 1 or path_imgidx) and sequence is None:
            raise AssertionError(f"{type(self).__name__}: shuffle and num_parts of a record file need path_imgidx")
        if num_parts > 1 and sequence is not None:
            if part_index >= num_parts:
                raise AssertionError(f"part_index={part_index} is not below num_parts={num_parts}")
            count = len(sequence) // num_parts
            sequence = sequence[part_index * count : (part_index + 1) * count]
        return sequence

    # -- where the iterator stands ------------------------------------------------------------------------------

    def _restart(self) -> None:
        if self.imgrec is not None:
            self.imgrec.reset()
        self.cur = 0
        self._allow_read = True

    def reset(self) -> None:
        """Start the next epoch (with ``'roll_over'`` and images left from the last one: go on behind them)."""
        if self.seq is not None and self.shuffle:
            random.shuffle(self.seq)
        if self.last_batch_handle != "roll_over" or self._cache_data is None:
            self._restart()

    def hard_reset(self) -> None:
        """Start the next epoch with the first image, whatever is left."""
        if self.seq is not None and self.shuffle:
            random.shuffle(self.seq)
        self._restart()
        self._cache_data = self._cache_label = self._cache_idx = None

    def next_sample(self) -> tuple[Any, bytes]:
        """The label and the encoded image of the next sample; ``StopIteration`` behind the last one."""
        if not self._allow_read:
            raise StopIteration
        if self.seq is None:
            record = self.imgrec.read()
            if record is None:
                if self.last_batch_handle != "discard":
                    self.imgrec.reset()
                raise StopIteration
            header, image = self._unpacked(record)
            return header.label, image
        if self.cur >= len(self.seq):
            if self.last_batch_handle != "discard":
                self.cur = 0
            raise StopIteration
        key = self.seq[self.cur]
        self.cur += 1
        if self.imgrec is not None:
            header, image = self._unpacked(self.imgrec.read_idx(key))
            if self.imglist is not None and key not in self.imglist:
                raise _NoLabel(f"{self.imgrec.uri}: key {key}: the image list has no labels for it")
            return (header.label if self.imglist is None else self.imglist[key][0]), image
        label, path = (self.imglist or {})[key]
        return label, self.read_image(path)

    def _unpacked(self, record: bytes) -> tuple[Any, bytes]:
        """Header and image of a record; ``DamagedFile`` naming the file for one that has no whole header."""
        try:
            return recordio.unpack(record)
        except MXNetError as error:
            raise DamagedFile(f"{self.imgrec.uri}: {self._where()}: {error}") from error

    # -- batches ------------------------------------------------------------------------------------------------

    def next(self) -> io.DataBatch:
        """The next batch; ``StopIteration`` when there is none."""
        if self._cache_data is not None:
            data, label, filled = self._cache_data, self._cache_label, self._cache_idx or 0
        else:
            data = nd.zeros((self.batch_size, *self.data_shape))
            label = self._empty_label()
            filled = self._batchify(data, label)
        pad = self.batch_size - filled
        if pad and self.last_batch_handle == "discard":
            raise StopIteration
        if pad and self.last_batch_handle == "roll_over" and self._cache_data is None:
            self._cache_data, self._cache_label, self._cache_idx = data, label, filled
            raise StopIteration
        if pad:
            self._batchify(data, label, filled)
            if self.last_batch_handle == "pad":
                self._allow_read = False
            else:
                self._cache_data = self._cache_label = self._cache_idx = None
        return io.DataBatch([data], [label], pad=pad)

    def _empty_label(self) -> Any:
        return nd.zeros(self.provide_label[0][1])

    def _batchify(self, batch_data: Any, batch_label: Any, start: int = 0) -> int:
        """Fill the batch from sample ``start`` on; how many samples it holds then, ``StopIteration`` for none."""
        filled = start
        try:
            while filled < self.batch_size:
                if self._put_next(batch_data, batch_label, filled):
                    filled += 1
        except StopIteration:
            if not filled:
                raise
        return filled

    def _put_next(self, batch_data: Any, batch_label: Any, place: int) -> bool:
        """Put the next sample at ``place``; False when it is left out."""
        label, content = self.next_sample()
        data = self.imdecode(content)
        try:
            self.check_valid_image(data)
        except RuntimeError as error:
            logging.debug("Invalid image, skipping:  %s", error)
            return False
        batch_data[place] = self.postprocess_data(self.augmentation_transform(data))
        self._put_label(batch_label, place, label)
        return True

    def _put_label(self, batch_label: Any, place: int, label: Any) -> None:
        try:
            batch_label[place] = label
        except (MXNetError, ValueError) as error:
            raise DamagedFile(
                f"{self._where()}: a label that is not of label_width={self.label_width}: {error}"
            ) from error

    # -- what a subclass may override ---------------------------------------------------------------------------

    def check_data_shape(self, data_shape: tuple) -> None:
        """``ValueError`` unless the shape is (3, height, width)."""
        if len(data_shape) != 3:
            raise ValueError(f"data_shape should have length 3, with dimensions CxHxW, found {data_shape}")
        if data_shape[0] != 3:
            raise ValueError(f"This iterator expects inputs to have 3 channels, found {data_shape}")

    def check_valid_image(self, data: Any) -> None:
        """``RuntimeError`` for what is no image; it is left out then."""
        if len(data[0].shape) == 0:
            raise RuntimeError("Data shape is wrong")

    def imdecode(self, s: bytes) -> Any:
        """The image in encoded bytes; ``MXNetError`` with its key or path for one that cannot be decoded."""
        try:
            return imdecode(s)
        except (MXNetError, ValueError) as error:
            raise MXNetError(f"Broken image {self._where()}, {error}") from error

    def _where(self) -> str:
        """Which sample was read last."""
        if self.seq is None:
            return f"in {self.imgrec.uri}"
        key = self.seq[self.cur - 1]
        if self.imglist is not None and key in self.imglist:
            return f"filename: {self.imglist[key][1]}" + (f" (key {key} of {self.imgrec.uri})" if self.imgrec else "")
        return f"index: {key} of {self.imgrec.uri}"

    def read_image(self, fname: str) -> bytes:
        """The bytes of an image file in ``path_root``."""
        with open(os.path.join(self.path_root or "", fname), "rb") as stream:
            return stream.read()

    def augmentation_transform(self, data: Any) -> Any:
        """The image after all augmenters."""
        for augmenter in self.auglist:
            data = augmenter(data)
        return data

    def postprocess_data(self, datum: Any) -> Any:
        """The image (height, width, channel) as (channel, height, width)."""
        return nd.transpose(datum, axes=(2, 0, 1))
