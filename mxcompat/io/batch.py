"""Descriptions, batches and the base of the iterators (public names of ``mxnet.io.io``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

__all__ = ["DataBatch", "DataDesc", "DataIter"]


class _NameAndShape(NamedTuple):
    name: str
    shape: tuple[int, ...]


class DataDesc(_NameAndShape):
    """Name and shape of one input, a tuple of the two, with attributes ``dtype`` and ``layout`` (a letter for each axis).

    Compat: two descriptions are equal when name and shape are; type and layout do not count.
    """

    dtype: Any
    layout: str | None

    def __new__(cls, name: str, shape: Sequence[int], dtype: Any = np.float32, layout: str | None = "NCHW") -> DataDesc:
        desc = super().__new__(cls, name, shape)  # type: ignore[arg-type]
        desc.dtype = dtype
        desc.layout = layout
        return desc

    def __repr__(self) -> str:
        return f"DataDesc[{self.name},{self.shape},{self.dtype},{self.layout}]"

    @staticmethod
    def get_batch_axis(layout: str | None) -> int:
        """The axis of the batch in a layout: where its ``N`` stands, -1 without one, 0 without a layout."""
        return 0 if layout is None else layout.find("N")

    @staticmethod
    def get_list(shapes: Any, types: Any) -> list[DataDesc]:
        """Descriptions from ``(name, shape)`` pairs and ``(name, dtype)`` pairs (or None)."""
        if types is None:
            return [DataDesc(entry[0], entry[1]) for entry in shapes]
        type_of = dict(types)
        return [DataDesc(entry[0], entry[1], type_of[entry[0]]) for entry in shapes]


class DataBatch:
    """One batch: lists of arrays ``data`` and ``label``, and what is known about them.

    ``pad`` counts samples at the end that only fill the batch up, ``index`` numbers the samples, ``bucket_key``,
    ``provide_data`` and ``provide_label`` serve modules with buckets.
    """

    data: Any
    label: Any

    def __init__(
        self, data: Any, label: Any = None, pad: int | None = None, index: Any = None, bucket_key: Any = None,
        provide_data: Any = None, provide_label: Any = None,
    ):  # fmt: skip
        if data is not None and not isinstance(data, (list, tuple)):
            raise AssertionError(f"Data must be list of NDArrays, found {type(data)}")
        if label is not None and not isinstance(label, (list, tuple)):
            raise AssertionError(f"Label must be list of NDArrays, found {type(label)}")
        self.data = data
        self.label = label
        self.pad = pad
        self.index = index
        self.bucket_key = bucket_key
        self.provide_data = provide_data
        self.provide_label = provide_label

    def __str__(self) -> str:
        data_shapes = [x.shape for x in self.data]
        label_shapes = [x.shape for x in self.label] if self.label else None
        return f"{type(self).__name__}: data shapes: {data_shapes} label shapes: {label_shapes}"


class DataIter:
    """Base of the iterators. ``next()`` gives a ``DataBatch`` and raises ``StopIteration`` behind the last one.

    A subclass overrides ``next``, or ``iter_next`` with ``getdata``, ``getlabel``, ``getpad`` and ``getindex``; it has
    properties ``provide_data`` and ``provide_label`` with lists of ``DataDesc``.
    """

    def __init__(self, batch_size: int = 0):
        self.batch_size = batch_size

    def __iter__(self) -> DataIter:
        return self

    def reset(self) -> None:
        """Start from the beginning again."""

    def next(self) -> DataBatch:
        """The next batch; ``StopIteration`` when there is none."""
        if not self.iter_next():
            raise StopIteration
        return DataBatch(data=self.getdata(), label=self.getlabel(), pad=self.getpad(), index=self.getindex())

    def __next__(self) -> DataBatch:
        return self.next()

    def iter_next(self) -> Any:
        """Move to the next batch; whether there is one."""

    def getdata(self) -> Any:
        """The data arrays of the current batch."""

    def getlabel(self) -> Any:
        """The label arrays of the current batch."""

    def getindex(self) -> Any:
        """The numbers of the samples in the current batch, or None."""
        return None

    def getpad(self) -> Any:
        """How many samples at the end of the current batch only fill it up."""


class _BatchIter(DataIter):
    """An iterator that moves on by taking whole batches of others: ``current_batch`` holds the last one."""

    current_batch: Any = None

    def getdata(self) -> Any:
        """The data arrays of the current batch."""
        return self.current_batch.data

    def getlabel(self) -> Any:
        """The label arrays of the current batch."""
        return self.current_batch.label

    def getindex(self) -> Any:
        """The numbers of the samples in the current batch, or None."""
        return self.current_batch.index

    def getpad(self) -> Any:
        """How many samples at the end of the current batch only fill it up."""
        return self.current_batch.pad
