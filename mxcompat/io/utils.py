"""Sources of ``NDArrayIter``: from what a user gives to a list of named arrays (public path: ``mxnet.io.utils``).

A source is an NDArray, an ``h5py.Dataset`` (read batch by batch) or a csr matrix, MXNet's or scipy's (made dense batch by batch).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from mxcompat import ndarray as nd
from mxcompat.base import MXNetError
from mxcompat.ndarray.ndarray import NDArray, _wrap
from mxcompat.ndarray.sparse_array import CSRNDArray, is_scipy_csr

__all__ = ["is_csr", "is_h5py", "read", "read_rows"]

_ACCEPTED = "NDArray, numpy.ndarray, h5py.Dataset"


def is_h5py(value: Any) -> bool:
    """Whether ``value`` is an ``h5py.Dataset`` (h5py is never imported here)."""
    h5py = sys.modules.get("h5py")
    return h5py is not None and isinstance(value, h5py.Dataset)


def is_csr(value: Any) -> bool:
    """Whether ``value`` is a csr matrix, MXNet's or scipy's."""
    return isinstance(value, CSRNDArray) or is_scipy_csr(value)


def _init_data(data: Any, allow_empty: bool, default_name: str) -> list[tuple[str, Any]]:
    """``(name, source)`` pairs sorted by name, from an array, a list of arrays or a dict of arrays.

    One array is called ``default_name``, several ``_0_<default_name>``, ``_1_<default_name>``, … Raises ``TypeError``
    for what is no array, ``AssertionError`` when nothing is given and ``allow_empty`` is False.
    """
    if data is None:
        data = []
    if isinstance(data, (np.ndarray, NDArray)) or is_h5py(data):
        data = [data]
    if isinstance(data, list):
        if not data and not allow_empty:
            raise AssertionError(f"{default_name}: expected at least one array, got none")
        names = [default_name] if len(data) == 1 else [f"_{i}_{default_name}" for i in range(len(data))]
        data = dict(zip(names, data))
    if not isinstance(data, dict):
        raise TypeError(f"Input must be {_ACCEPTED} a list of them or dict with them as values, found {type(data)}")
    return sorted((name, _as_source(name, value)) for name, value in data.items())


def _as_source(name: str, value: Any) -> Any:
    if isinstance(value, NDArray) or is_h5py(value) or is_csr(value):
        return value
    try:
        return nd.array(value)
    except Exception as error:  # whatever the conversion of a foreign object raises
        raise TypeError(f"Invalid type '{type(value)}' for {name}, should be {_ACCEPTED}") from error


def _has_instance(data: Sequence[tuple[str, Any]], dtype: Any) -> bool:
    """Whether a source in a list of ``(name, source)`` is an instance of ``dtype``."""
    return any(isinstance(source, dtype) for _, source in data)


def _getdata_by_idx(data: Sequence[tuple[str, Any]], idx: np.ndarray) -> list[tuple[str, Any]]:
    """The sources with their first axis reordered by ``idx``; h5py sources stay as they are.

    Compat: a reordered NDArray is float32 whatever it was, because the original makes it anew from numpy.
    """
    rows = torch.from_numpy(idx)
    return [(name, _reordered(source, idx, rows)) for name, source in data]


def _reordered(source: Any, idx: np.ndarray, rows: torch.Tensor) -> Any:
    if is_h5py(source):
        return source
    if isinstance(source, CSRNDArray):
        return nd.take(source, nd.array(idx, dtype="int64"))
    if is_csr(source):
        return source[idx]
    tensor = source._data
    return _wrap(tensor.index_select(0, rows.to(tensor.device)).float(), source.context)


def _slice_along_batch_axis(data: NDArray, s: slice, batch_axis: int) -> NDArray:
    """A copy of the part ``s`` of an axis; ``MXNetError`` when the array has no such axis or is too short."""
    tensor = data._data
    if not -tensor.ndim <= batch_axis < tensor.ndim:
        raise MXNetError(f"array of shape {data.shape} has no batch axis {batch_axis}")
    if not 0 <= s.start < s.stop <= tensor.shape[batch_axis]:
        raise MXNetError(
            f"samples {s.start} to {s.stop} were asked of an array of shape {data.shape} with batch axis {batch_axis}"
        )
    part = tensor.narrow(batch_axis, s.start, s.stop - s.start)
    return _wrap(part.clone(memory_format=torch.contiguous_format), data._ctx)


def read(source: Any, start: int, stop: int, batch_axis: int) -> NDArray:
    """The samples ``start`` to ``stop`` of an NDArray (along ``batch_axis``) or of a csr matrix, as a new dense array.

    Compat: as in MXNet 1.9.1, whose documentation promises csr arrays for csr sources.
    """
    if is_csr(source):
        return nd.array(source[start:stop], dtype=source.dtype).tostype("default")
    return _slice_along_batch_axis(source, slice(start, stop), batch_axis)


def read_rows(source: Any, rows: np.ndarray) -> NDArray:
    """The given rows of an h5py source, in the given order (h5py itself reads in increasing order only)."""
    order = np.argsort(rows)
    content = source[rows[order]]
    return nd.array(content[np.argsort(order)])
