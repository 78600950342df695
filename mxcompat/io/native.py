"""Iterators over files, made by ``mx.io.<Name>(**parameters)`` (public names of ``mxnet.io.io``).

A reader is an object with ``read()``, which gives the next ``Loaded`` batch or None at the end of an epoch,
``rewind()``, which starts the next epoch, and ``close()``. A function with the decorator ``data_iter`` makes it from
parameters, whose kinds are its annotations as those of operators are.
"""

from __future__ import annotations

import inspect
import logging
import os
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

from mxcompat.base import MXNetError
from mxcompat.context import Context
from mxcompat.io.batch import DataBatch, DataDesc, DataIter
from mxcompat.ndarray.ndarray import NDArray, _wrap
from mxcompat.ops.schema import NoEffect, Params, _read_signature, unknown_parameter

__all__ = ["DTYPES", "Loaded", "MXDataIter", "Reader", "creators", "data_iter"]

#: the element types that the original's parameter ``dtype`` knows
DTYPES = ("bfloat16", "float16", "float32", "float64", "int32", "int64", "int8", "uint8")
#: taken by the iterator, not by its reader
_NAMES = ("data_name", "label_name")

creators: dict[str, Callable[..., MXDataIter]] = {}


class Loaded(NamedTuple):
    """One batch: arrays with the batch as first axis, how many samples at its end only fill it up, sample numbers."""

    data: Any
    label: Any
    pad: int
    numbers: np.ndarray


class Reader(Protocol):
    """What ``MXDataIter`` reads from."""

    def read(self) -> Loaded | None:
        """The next batch, arrays that nobody else will change; None at the end of the epoch."""

    def rewind(self) -> None:
        """Start the next epoch."""

    def close(self) -> None:
        """Let go of files and threads."""


def as_array(values: Any, context: Context) -> NDArray:
    """An NDArray on the memory of ``values``, or what the method ``array`` of other objects than numpy arrays makes."""
    return _wrap(torch.from_numpy(values), context) if isinstance(values, np.ndarray) else values.array(context)


class MXDataIter(DataIter):
    """An iterator over files, made by ``mx.io.CSVIter(…)`` and its like.

    The first batch is read at once, ``provide_data`` and ``provide_label`` describe it; ``StopIteration`` is raised when
    there is none. Errors in the files are raised by ``next`` (and by the construction, for the first batch).

    Compat: labels of one number a sample are (N,). ``iter_next`` moves on, also when it is called first; the original
    answers True for ever then.
    """

    def __init__(self, handle: Reader, data_name: str = "data", label_name: str = "softmax_label", **_: Any):
        super().__init__()
        self.handle = handle
        self._context: Context = getattr(handle, "context", Context("cpu", 0))
        self._process = os.getpid()
        self._debug_skip_load = False
        self._debug_at_begin = False
        self._current: Loaded | None = None
        self.first_batch: DataBatch | None = None
        self.first_batch = self.next()
        data, label = self.first_batch.data[0], self.first_batch.label[0]
        self.provide_data = [DataDesc(data_name, data.shape, data.dtype)]
        self.provide_label = [DataDesc(label_name, label.shape, label.dtype)]
        self.batch_size = data.shape[0]

    def __del__(self) -> None:
        handle = getattr(self, "handle", None)
        if handle is not None and getattr(self, "_process", None) == os.getpid():
            handle.close()

    def debug_skip_load(self) -> None:
        """Let ``next`` give the same batch again and again, to time everything else."""
        self._debug_skip_load = True
        logging.info("Set debug_skip_load to be true, will simply return first batch")

    def reset(self) -> None:
        """Start the next epoch."""
        self._check_process()
        self._debug_at_begin = True
        self.first_batch = None
        self.handle.rewind()

    def next(self) -> DataBatch:
        """The next batch; ``StopIteration`` when there is none."""
        if self._debug_skip_load and not self._debug_at_begin:
            return self._batch()
        if self.first_batch is not None:
            batch, self.first_batch = self.first_batch, None
            return batch
        self._debug_at_begin = False
        if not self.iter_next():
            raise StopIteration
        return self._batch()

    def iter_next(self) -> bool:
        """Move to the next batch; whether there is one."""
        if self.first_batch is not None:
            self.first_batch = None
            return True
        self._check_process()
        loaded = self.handle.read()
        if loaded is None:
            return False
        self._current = loaded._replace(
            data=as_array(loaded.data, self._context), label=as_array(_flat_label(loaded.label), self._context)
        )
        return True

    def _batch(self) -> DataBatch:
        return DataBatch([self.getdata()], [self.getlabel()], pad=self.getpad(), index=self.getindex())

    def _loaded(self) -> Loaded:
        if self._current is None:
            raise MXNetError("MXDataIter: no batch was read yet, call iter_next() or next() first")
        return self._current

    def getdata(self) -> NDArray:
        """The data array of the current batch."""
        return self._loaded().data

    def getlabel(self) -> NDArray:
        """The label array of the current batch."""
        return self._loaded().label

    def getindex(self) -> np.ndarray:
        """The numbers of the samples in the current batch (uint64; zeros where the reader does not count them)."""
        return self._loaded().numbers.copy()

    def getpad(self) -> int:
        """How many samples at the end of the current batch only fill it up."""
        return self._loaded().pad

    def _check_process(self) -> None:
        """Threads and file positions are not those of a forked process."""
        if self._process != os.getpid():
            raise MXNetError("MXDataIter: made before a fork, it works in its own process only; make another one here")


def _flat_label(label: Any) -> Any:
    """Compat: where the second axis has one entry, the original shows the first N numbers only, as (N,)."""
    if not isinstance(label, np.ndarray) or label.ndim < 2 or label.shape[1] != 1:
        return label
    return label.reshape(-1)[: label.shape[0]]


def data_iter(
    name: str, ignored: tuple[str, ...] = (), misspelt: tuple[str, ...] = ()
) -> Callable[[Callable[..., Reader]], Callable[..., Reader]]:
    """Make ``mx.io.<name>`` of a function that takes parameters and returns a reader.

    ``ignored`` and ``misspelt`` name keywords that published programs give and the original does not read; for the
    latter there is a warning.
    """

    def register(make: Callable[..., Reader]) -> Callable[..., Reader]:
        _, params, _ = _read_signature(make, None)

        def creator(*args: Any, **kwargs: Any) -> MXDataIter:
            if args:
                raise TypeError(f"{name} can only accept keyword arguments")
            names = {key: str(kwargs.pop(key)) for key in _NAMES if key in kwargs}
            for key in set(misspelt) & kwargs.keys():
                warnings.warn(misspelt_keyword(name, key), stacklevel=2)
            given = {key: value for key, value in kwargs.items() if key not in (*ignored, *misspelt)}
            return MXDataIter(make(**_parsed(name, params, given)), **names)

        creator.parameters, creator.names = params, _NAMES  # type: ignore[attr-defined]  # read by mxcompat check
        creator.ignored, creator.misspelt = ignored, misspelt  # type: ignore[attr-defined]
        creator.__name__ = creator.__qualname__ = name
        creator.__doc__ = f"{inspect.getdoc(make)}\n\nParameters: {_described(params)}."
        creators[name] = creator
        return make

    return register


def misspelt_keyword(name: str, key: str) -> str:
    """The warning about a keyword that published programs give and no version reads."""
    return f"{name}: {key} is no parameter, it has no effect (as in MXNet)"


def _parsed(name: str, params: dict[str, Any], given: dict[str, Any]) -> Params:
    """All parameters; ``MXNetError`` naming the iterator and the parameter for unknown, missing or ill-formed ones."""
    values = Params({param.name: param.default for param in params.values() if not param.required})
    for key, value in given.items():
        if key not in params:
            # Compat: the original ignores what it does not know, a misspelt parameter is never noticed there.
            raise unknown_parameter(name, key, [*params, *_NAMES])
        values[key] = params[key].parse(value, name)
    for param in params.values():
        if param.name not in values:
            raise param.missing(name)
    return values


def _described(params: dict[str, Any]) -> str:
    return ", ".join(
        f"{param.name} ({param.kind.text}, "
        + ("required" if param.required else f"default {param.default!r}")
        + (", no effect here)" if isinstance(param.kind, NoEffect) else ")")
        for param in params.values()
    )
