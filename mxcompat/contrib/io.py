"""Data loaders as iterators of modules (public path: ``mxnet.contrib.io``)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from mxcompat import ndarray as nd
from mxcompat.io import DataDesc, DataIter

__all__ = ["DataDesc", "DataIter", "DataLoaderIter", "nd"]


class DataLoaderIter(DataIter):
    """An iterator over a data loader: anything that can be iterated again and again and gives (data, label) batches.

    ``torch.utils.data.DataLoader`` is one. Batches may hold NDArrays, tensors or NumPy arrays and come out as ``dtype``.
    The first batch, which is drawn here and once more later, tells the shapes; a smaller last one is filled up with
    zeros and counted in ``pad``. ``ValueError`` for a loader without batches or with others than pairs.
    """

    def __init__(
        self, loader: Iterable, data_name: str = "data", label_name: str = "softmax_label", dtype: Any = "float32"
    ):
        super().__init__()
        self._loader, self.dtype = loader, dtype
        data, label = self._pair(next(iter(loader), None))
        self.batch_size = data.shape[0]
        self.provide_data = [DataDesc(data_name, data.shape, dtype)]
        self.provide_label = [DataDesc(label_name, label.shape, dtype)]
        self._current_batch: tuple[nd.NDArray, nd.NDArray] | None = None
        self.reset()

    def _pair(self, batch: Any) -> tuple[nd.NDArray, nd.NDArray]:
        if batch is None:
            raise ValueError("DataLoaderIter: the loader has no batches")
        if not isinstance(batch, (list, tuple)) or len(batch) != 2:
            size = f" of {len(batch)}" if isinstance(batch, (list, tuple)) else ""
            raise ValueError(f"DataLoaderIter: a batch is a {type(batch).__name__}{size}, expected (data, label)")
        return self._array(batch[0]), self._array(batch[1])

    def _array(self, values: Any) -> nd.NDArray:
        if isinstance(values, nd.NDArray):
            return values.astype(self.dtype)
        return nd.array(np.asarray(values), dtype=self.dtype)

    def reset(self) -> None:
        """Begin the loader anew."""
        self._iter = iter(self._loader)

    def iter_next(self) -> bool:
        """Go to the next batch; False at the end."""
        batch = next(self._iter, None)
        self._current_batch = None if batch is None else self._pair(batch)
        return batch is not None

    def _filled(self, array: nd.NDArray) -> list[nd.NDArray]:
        if not self.getpad():
            return [array]
        filled = nd.zeros((self.batch_size, *array.shape[1:]), dtype=self.dtype)
        filled[: array.shape[0]] = array
        return [filled]

    def _current(self) -> tuple[nd.NDArray, nd.NDArray]:
        if self._current_batch is None:
            raise ValueError("DataLoaderIter: there is no batch; call iter_next first")
        return self._current_batch

    def getdata(self) -> list[nd.NDArray]:
        """The data of the batch."""
        return self._filled(self._current()[0])

    def getlabel(self) -> list[nd.NDArray]:
        """The labels of the batch."""
        return self._filled(self._current()[1])

    def getpad(self) -> int:
        """How many examples were filled up."""
        return self.batch_size - self._current()[0].shape[0]

    def getindex(self) -> None:
        """The numbers of the examples: not known."""
