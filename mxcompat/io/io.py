"""Data iterators: descriptions, batches, and iterators over arrays and other iterators (public path: ``mxnet.io.io``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mxcompat import ndarray as nd
from mxcompat.io import readers  # noqa: F401  it fills creators
from mxcompat.io.batch import DataBatch, DataDesc, DataIter, _BatchIter
from mxcompat.io.native import MXDataIter, creators
from mxcompat.io.prefetch import Fetcher
from mxcompat.io.utils import _getdata_by_idx, _init_data, is_csr, is_h5py, read, read_rows

__all__ = ["CSVIter", "DataBatch", "DataDesc", "DataIter", "ImageDetRecordIter", "ImageRecordInt8Iter"]
__all__ += ["ImageRecordIter", "ImageRecordIter_v1", "ImageRecordUInt8Iter", "ImageRecordUInt8Iter_v1", "LibSVMIter"]
__all__ += ["MNISTIter", "MXDataIter", "NDArrayIter", "PrefetchingIter", "ResizeIter"]

CSVIter = creators["CSVIter"]
ImageDetRecordIter = creators["ImageDetRecordIter"]
ImageRecordInt8Iter = creators["ImageRecordInt8Iter"]
ImageRecordIter = creators["ImageRecordIter"]
ImageRecordIter_v1 = creators["ImageRecordIter_v1"]
ImageRecordUInt8Iter = creators["ImageRecordUInt8Iter"]
ImageRecordUInt8Iter_v1 = creators["ImageRecordUInt8Iter_v1"]
LibSVMIter = creators["LibSVMIter"]
MNISTIter = creators["MNISTIter"]


class ResizeIter(_BatchIter):
    """``size`` batches an epoch of another iterator, which starts again where it ends.

    ``reset_internal`` says whether ``reset`` also resets that iterator, or lets it go on where it is.
    """

    def __init__(self, data_iter: Any, size: int, reset_internal: bool = True):
        super().__init__(data_iter.batch_size)
        self.data_iter = data_iter
        self.size = size
        self.reset_internal = reset_internal
        self.cur = 0
        self.current_batch = None
        self.provide_data = data_iter.provide_data
        self.provide_label = data_iter.provide_label
        if hasattr(data_iter, "default_bucket_key"):
            self.default_bucket_key = data_iter.default_bucket_key

    def reset(self) -> None:
        """Start counting again (and reset the iterator, see ``reset_internal``)."""
        self.cur = 0
        if self.reset_internal:
            self.data_iter.reset()

    def iter_next(self) -> bool:
        """Take the next batch; False when ``size`` batches were taken."""
        if self.cur == self.size:
            return False
        try:
            self.current_batch = self.data_iter.next()
        except StopIteration:
            self.data_iter.reset()
            self.current_batch = self.data_iter.next()
        self.cur += 1
        return True


def _renamed(iters: Sequence[Any], attribute: str, renames: Any) -> list:
    """The descriptions of all iterators in one list, under new names where there is a map for each iterator."""
    if renames is None:
        return [desc for iterator in iters for desc in getattr(iterator, attribute)]
    return [
        DataDesc(names[desc.name], desc.shape, desc.dtype) if isinstance(desc, DataDesc) else DataDesc(*desc)
        for names, iterator in zip(renames, iters)
        for desc in getattr(iterator, attribute)
    ]


class PrefetchingIter(_BatchIter):
    """Reads other iterators ahead, one thread and one batch for each; their batches are joined into one.

    ``rename_data`` and ``rename_label`` hold a dict from old to new names for each iterator. An error inside an iterator
    is raised by ``next``. The threads end when the object is no longer used.
    """

    def __init__(self, iters: Any, rename_data: Any = None, rename_label: Any = None):
        super().__init__()
        self.iters = iters if isinstance(iters, list) else [iters]
        self.n_iter = len(self.iters)
        if not self.n_iter:
            raise AssertionError("PrefetchingIter: expected at least one iterator")
        self.rename_data = rename_data
        self.rename_label = rename_label
        self.batch_size = self.provide_data[0][1][0]
        self.current_batch = None
        self._ended = False
        self._fetchers = [Fetcher(iterator) for iterator in self.iters]
        self.prefetch_threads = [fetcher.thread for fetcher in self._fetchers]

    def __del__(self) -> None:
        for fetcher in getattr(self, "_fetchers", ()):
            fetcher.stop()

    @property
    def provide_data(self) -> list:
        """Descriptions of the data of all iterators."""
        return _renamed(self.iters, "provide_data", self.rename_data)

    @property
    def provide_label(self) -> list:
        """Descriptions of the labels of all iterators."""
        return _renamed(self.iters, "provide_label", self.rename_label)

    def reset(self) -> None:
        """Drop what was read ahead and start all iterators from the beginning."""
        for fetcher in self._fetchers:
            fetcher.wait()
        for iterator in self.iters:
            iterator.reset()
        self._ended = False
        for fetcher in self._fetchers:
            fetcher.ask()

    def iter_next(self) -> bool:
        """Take the next batch of every iterator; False at the end, ``AssertionError`` when they do not end together."""
        if self._ended:
            return False
        outcomes = [fetcher.wait() for fetcher in self._fetchers]
        failed = [error for _, error in outcomes if error is not None]
        batches = [batch for batch, _ in outcomes]
        if not failed and batches[0] is None:
            self._ended = True
            if any(batch is not None for batch in batches):
                raise AssertionError("Number of entry mismatches between iterators")
            return False
        for fetcher in self._fetchers:
            fetcher.ask()
        if failed:
            raise failed[0]
        if any(batch is None or batch.pad != batches[0].pad for batch in batches):
            raise AssertionError("Number of entry mismatches between iterators")
        self.current_batch = DataBatch(
            [array for batch in batches for array in batch.data],
            [array for batch in batches for array in batch.label or ()],
            batches[0].pad,
            batches[0].index,
            provide_data=self.provide_data,
            provide_label=self.provide_label,
        )
        return True

    def next(self) -> DataBatch:
        """The next batch; ``StopIteration`` when there is none."""
        if not self.iter_next():
            raise StopIteration
        return self.current_batch


class NDArrayIter(DataIter):
    """Batches of arrays that are in memory.

    ``data`` and ``label`` are an array (NDArray, numpy, ``h5py.Dataset``), a list of these, or a dict from names to
    these, which may also be csr matrices (batches are dense). What is no NDArray becomes one of float32.
    ``last_batch_handle`` says what happens to the samples that do not fill the last batch: ``'pad'`` fills it up from
    the start (``getpad`` counts these samples), ``'discard'`` drops them, ``'roll_over'`` keeps them for the next epoch.
    ``shuffle`` draws a new order at every reset, from numpy's global random state. ``layout`` tells the batch axis.

    Compat: a shuffled array becomes float32, whatever it was; the batches of an epoch are copies of the source.
    """

    def __init__(
        self, data: Any, label: Any = None, batch_size: int = 1, shuffle: bool = False, last_batch_handle: str = "pad",
        data_name: str = "data", label_name: str = "softmax_label", layout: str = "NCHW",
    ):  # fmt: skip
        super().__init__(batch_size)
        self.data = _init_data(data, allow_empty=False, default_name=data_name)
        self.label = _init_data(label, allow_empty=True, default_name=label_name)
        if last_batch_handle != "discard" and any(is_csr(source) for _, source in (*self.data, *self.label)):
            raise NotImplementedError("NDArrayIter takes csr matrices only with last_batch_handle='discard'")
        self.num_data = self.data[0][1].shape[0]
        self.idx = np.arange(self.num_data)
        self._order = np.arange(self.num_data)  # of the samples now, as numbered in the sources that were given
        self.shuffle = shuffle
        self.last_batch_handle = last_batch_handle
        self.layout = layout
        self.cursor = -batch_size
        self._cache_data: list | None = None
        self._cache_label: list | None = None
        self.reset()
        self.data_list = [source for _, source in (*self.data, *self.label)]
        self.num_source = len(self.data_list)

    def _describe(self, sources: Sequence[tuple[str, Any]]) -> list[DataDesc]:
        axis = self.layout.find("N")
        return [
            DataDesc(
                name,
                (*source.shape[:axis], self.batch_size, *source.shape[axis + 1 :]),
                getattr(source.dtype, "type", source.dtype),
                layout=self.layout,
            )
            for name, source in sources
        ]

    @property
    def provide_data(self) -> list[DataDesc]:
        """Descriptions of the data of a batch."""
        return self._describe(self.data)

    @property
    def provide_label(self) -> list[DataDesc]:
        """Descriptions of the labels of a batch."""
        return self._describe(self.label)

    # -- where the iterator stands ------------------------------------------------------------------------------

    def reset(self) -> None:
        """Start the next epoch (with ``'roll_over'`` from the samples that are left)."""
        if self.shuffle:
            self._shuffle_data()
        left_over = self.num_data - self.batch_size < self.cursor < self.num_data
        if self.last_batch_handle == "roll_over" and left_over:
            self.cursor -= self.num_data + self.batch_size
        else:
            self.cursor = -self.batch_size

    def hard_reset(self) -> None:
        """Start the next epoch with the first sample, whatever is left."""
        if self.shuffle:
            self._shuffle_data()
        self.cursor = -self.batch_size
        self._cache_data = self._cache_label = None

    def _shuffle_data(self) -> None:
        np.random.shuffle(self.idx)
        self._order = self._order[self.idx]
        self.data = _getdata_by_idx(self.data, self.idx)
        self.label = _getdata_by_idx(self.label, self.idx)

    def iter_next(self) -> bool:
        """Move to the next batch; whether there is one."""
        self.cursor += self.batch_size
        return self.cursor < self.num_data

    def next(self) -> DataBatch:
        """The next batch; ``StopIteration`` when there is none."""
        if not self.iter_next():
            raise StopIteration
        data, label = self.getdata(), self.getlabel()
        if data[0].shape[self.layout.find("N")] != self.batch_size:  # kept for the next epoch, or dropped
            self._cache_data, self._cache_label = data, label
            raise StopIteration
        return DataBatch(data=data, label=label, pad=self.getpad(), index=None)

    # -- the current batch --------------------------------------------------------------------------------------

    def getdata(self) -> list:
        """The data arrays of the current batch."""
        batch = self._batchify(self.data, self._cache_data)
        if self._rolled_over():
            self._cache_data = None
        return batch

    def getlabel(self) -> list:
        """The label arrays of the current batch."""
        batch = self._batchify(self.label, self._cache_label)
        if self._rolled_over():
            self._cache_label = None
        return batch

    def getpad(self) -> int:
        """How many samples at the end of the current batch only fill it up (with ``'roll_over'``: how many are left
        from the last epoch)."""
        if self.last_batch_handle == "pad":
            return max(0, self.cursor + self.batch_size - self.num_data)
        return -self.cursor if self._rolled_over() else 0

    def _rolled_over(self) -> bool:
        """Whether the current batch begins with samples of the last epoch."""
        return self.last_batch_handle == "roll_over" and -self.batch_size < self.cursor < 0

    def _batchify(self, sources: Sequence[tuple[str, Any]], left_over: list | None) -> list:
        if self.cursor >= self.num_data:
            raise AssertionError("DataIter needs reset.")
        if self._rolled_over():
            if left_over is None:
                raise AssertionError("the samples left from the last epoch were taken already; DataIter needs reset.")
            return self._join([left_over, self._read(sources, 0, self.cursor + self.batch_size)])
        stop = min(self.cursor + self.batch_size, self.num_data)
        parts = [self._read(sources, self.cursor, stop)]
        missing = self.cursor + self.batch_size - self.num_data if self.last_batch_handle == "pad" else 0
        while missing > 0:
            count = min(missing, self.num_data)
            parts.append(self._read(sources, 0, count))
            missing -= count
        return self._join(parts)

    def _read(self, sources: Sequence[tuple[str, Any]], start: int, stop: int) -> list:
        axis = self.layout.find("N")
        return [
            read_rows(source, self._order[start:stop]) if is_h5py(source) else read(source, start, stop, axis)
            for _, source in sources
        ]

    def _join(self, parts: Sequence[list]) -> list:
        """Each source's parts, one behind the other along the batch axis."""
        if len(parts) == 1:
            return parts[0]
        axis = self.layout.find("N")
        return [nd.concat(*arrays, dim=axis) for arrays in zip(*parts)]
