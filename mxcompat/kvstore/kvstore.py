"""A key-value store within one process: push sums, an updater or optimizer updates, pull copies."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import torch

from mxcompat import optimizer as opt
from mxcompat.base import MXNetError, string_types
from mxcompat.formats.atomic import write_atomically
from mxcompat.kvstore.base import KVStoreBase
from mxcompat.ndarray import NDArray, zeros
from mxcompat.optimizer.updater import read_states

__all__ = ["KVStore"]

logger = logging.getLogger(__name__)


def _pairs(key: Any, value: Any) -> Iterator[tuple[Any, NDArray]]:
    """Every array with its key. ``AssertionError`` or ``TypeError`` for keys, values or numbers of them that do not fit."""
    if isinstance(key, (list, tuple)):
        if not isinstance(value, (list, tuple)) or len(key) != len(value):
            raise AssertionError(f"{len(key)} keys need a list of as many values, found {value!r}")
        if len({isinstance(one, string_types) for one in key}) > 1:
            raise AssertionError(f"keys must be all integers or all strings, found {list(key)}")
        for one, its_value in zip(key, value):
            yield from _pairs(one, its_value)
        return
    if not isinstance(key, (int, *string_types)):
        raise AssertionError(f"a key must be an integer or a string, found {type(key)}")
    if not isinstance(value, (NDArray, list, tuple)):
        raise TypeError(f"key {key}: expected an NDArray or a list of them, found {type(value)}")
    for array in [value] if isinstance(value, NDArray) else value:
        if not isinstance(array, NDArray):
            raise AssertionError(f"key {key}: expected NDArrays, found {type(array)}")
        yield key, array


class _TwoBits:
    """Gradients of two bits: what reaches ``threshold`` is sent as +-threshold, the rest waits for the next push.

    The remainder is kept by key and by place in the list of a push.
    """

    def __init__(self, threshold: float):
        self.threshold = threshold
        self._rest: dict[tuple[Any, int], Any] = {}

    def __call__(self, key: Any, place: int, array: NDArray) -> NDArray:
        rest = self._rest.get((key, place))
        if rest is None:
            rest = zeros(array.shape, array.context, dtype=array.dtype)
        total = rest + array
        sent = ((total >= self.threshold) - (total <= -self.threshold)) * self.threshold
        self._rest[key, place] = total - sent
        return sent


class KVStore(KVStoreBase):
    """One process' store of the kind ``handle``. Keys are all integers or all strings."""

    def __init__(self, handle: str):
        self.handle = handle
        self._stored: dict[Any, NDArray] = {}
        self._updater: Any = None
        self._compress: _TwoBits | None = None
        self._warned: set[Any] = set()

    type = property(lambda self: self.handle, doc="The name it was created by.")  # type: ignore[assignment]
    rank = property(lambda self: 0, doc="The number of this worker: 0, there is one.")  # type: ignore[assignment]
    num_workers = property(lambda self: 1, doc="How many workers there are: 1.")  # type: ignore[assignment]

    def is_capable(self, capability: str) -> bool:
        """Whether the store offers a capability: the optimizer, yes; ``ValueError`` for any other."""
        if capability.lower() == KVStoreBase.OPTIMIZER:
            return True
        raise ValueError(f"unknown capability {capability!r}, expected {KVStoreBase.OPTIMIZER!r}")

    def _grouped(self, key: Any, value: Any) -> dict[Any, list[NDArray]]:
        """The arrays of each key; ``MXNetError`` for keys of the other type."""
        groups: dict[Any, list[NDArray]] = {}
        for one, array in _pairs(key, value):
            groups.setdefault(one, []).append(array)
        for stored in list(self._stored)[:1]:
            for one in groups:
                if isinstance(one, string_types) != isinstance(stored, string_types):
                    raise MXNetError(
                        f"key {one!r}: the store has keys like {stored!r}; integers and strings do not mix"
                    )
        return groups

    def _known(self, key: Any, value: Any) -> list[tuple[Any, list[NDArray]]]:
        """The arrays of each key, in the order of integer keys, else in the order in which keys were initialized."""
        groups = self._grouped(key, value)
        for one in groups:
            if one not in self._stored:
                raise MXNetError(f"key {one!r} is not in the store: init comes before push and pull")
        if len(groups) == 1:
            return list(groups.items())
        by_number = isinstance(next(iter(groups)), int)
        return [(one, groups[one]) for one in (sorted(groups) if by_number else self._stored) if one in groups]

    def init(self, key: Any, value: Any) -> None:
        """Set the first value of a key, or of several; a second time raises ``MXNetError``."""
        for one, arrays in self._grouped(key, value).items():
            if one in self._stored or len(arrays) > 1:
                raise MXNetError(f"key {one!r} has a value already: init takes one array, once")
            self._stored[one] = arrays[0].copy()

    def push(self, key: Any, value: Any, priority: int = 0) -> None:
        """Sum the arrays of each key; give the sum to the updater, or store it where there is none.

        An updater gets string keys as bytes.
        """
        for one, arrays in self._known(key, value):
            stored = self._stored[one]
            for array in arrays:
                if array.stype == "csr":
                    raise MXNetError(f"push: key {one!r}: expected dense or row_sparse arrays, found csr")
                if array.shape != stored.shape:
                    raise MXNetError(f"push: key {one!r} has shape {stored.shape}, found an array of {array.shape}")
            merged = self._sum(one, arrays, stored)
            if self._updater is not None:
                self._updater(one.encode() if isinstance(one, str) else one, merged, stored)
            else:
                # Compat: the original keeps a single pushed array itself, so that writing to it changes the store
                self._stored[one] = merged.copy() if merged is arrays[0] else merged

    def _sum(self, key: Any, arrays: list[NDArray], stored: NDArray) -> NDArray:
        """The sum of arrays, where the stored one is; a single array is not copied."""
        if self._compress is not None:
            arrays = [self._compress(key, place, array) for place, array in enumerate(arrays)]
        merged: Any = arrays[0].as_in_context(stored.context)
        for array in arrays[1:]:
            merged = merged + array.as_in_context(stored.context)
        return merged

    def pull(self, key: Any, out: Any = None, priority: int = 0, ignore_sparse: bool = True) -> None:
        """Copy the stored values into ``out``; sparse arrays are left as they are, with a warning in the log, while
        ``ignore_sparse``: they are for ``row_sparse_pull``."""
        if out is None:
            raise AssertionError("pull: out is missing")
        for one, arrays in self._known(key, out):
            for array in arrays:
                if ignore_sparse and array.stype != "default":
                    self._warn_of_sparse(one)
                else:
                    self._stored[one].copyto(array)

    def _warn_of_sparse(self, key: Any) -> None:
        if key not in self._warned:
            self._warned.add(key)
            logger.warning(
                "Warning: non-default weights detected during kvstore pull. This call has been ignored. Please make sure to "
                "use kv.row_sparse_pull() or module.prepare() with row_ids."
            )

    def pushpull(self, key: Any, value: Any, out: Any = None, priority: int = 0) -> None:
        """``push``, then ``pull`` into ``out`` (into the values themselves without one)."""
        self.push(key, value, priority)
        self.pull(key, value if out is None else out, priority)

    def broadcast(self, key: Any, value: Any, out: Any, priority: int = 0) -> None:
        """``init``, then ``pull``."""
        self.init(key, value)
        self.pull(key, out, priority)

    def row_sparse_pull(self, key: Any, out: Any = None, priority: int = 0, row_ids: Any = None) -> None:
        """Copy some rows of row_sparse values into the row_sparse arrays of ``out``.

        ``row_ids`` has the numbers of the rows, in any order and with repetitions: one array for all of ``out``, or a list
        with one for each. ``MXNetError`` where an array is not row_sparse, or a number out of range.
        """
        if out is None or row_ids is None:
            raise AssertionError("row_sparse_pull: out or row_ids is missing")
        row_ids = [row_ids] if isinstance(row_ids, NDArray) else row_ids
        if not isinstance(row_ids, list):
            raise AssertionError(f"row_ids should be NDArray or list of NDArray, found {type(row_ids)}")
        same = len(row_ids) == 1 and isinstance(out, list)
        first = [out[0]] if same else out
        targets, numbers = list(_pairs(key, first)), [rows for _, rows in _pairs(key, row_ids)]
        if len(targets) != len(numbers):
            raise AssertionError(f"row_sparse_pull: {len(targets)} arrays and {len(numbers)} row_ids, expected as many")
        self._known(key, first)
        for (one, target), rows in zip(targets, numbers):
            self._pull_rows(one, target, rows)
        for array in out[1:] if same else ():
            out[0].copyto(array)

    def _pull_rows(self, key: Any, target: NDArray, rows: NDArray) -> None:
        stored = self._stored[key]
        for what, array, stype in (("the value", stored, "row_sparse"), ("out", target, "row_sparse")):
            if array.stype != stype:
                raise MXNetError(f"row_sparse_pull: key {key!r}: {what} has storage {array.stype}, expected {stype}")
        if rows.stype != "default" or target.shape != stored.shape:
            raise MXNetError(
                f"row_sparse_pull: key {key!r}: out has shape {target.shape}, expected {stored.shape}; row_ids are "
                f"{rows.stype}, expected dense"
            )
        wanted = rows._data.reshape(-1).to(torch.int64).unique()
        if wanted.numel() and not (0 <= int(wanted[0]) and int(wanted[-1]) < stored.shape[0]):
            raise MXNetError(
                f"row_sparse_pull: key {key!r}: row_ids run from {int(wanted[0])} to {int(wanted[-1])}, outside of 0 to "
                f"{stored.shape[0] - 1}"
            )
        source, like = stored._storage, target._like
        target._storage = source.retained(wanted.to(source.device)).to(like.device, like.dtype)

    def set_gradient_compression(self, compression_params: dict[str, Any]) -> None:
        """Send gradients in two bits: ``{'type': '2bit', 'threshold': 0.5}``, for stores with 'device' in their name.

        What a push cannot send is added to the next push of the same key. ``MXNetError`` for other types and stores.
        """
        if "device" not in self.handle:
            raise MXNetError(f"set_gradient_compression: kvstore {self.handle!r} has none, only 'device' has")
        if not isinstance(compression_params, dict):
            raise AssertionError(f"set_gradient_compression: expected a dict, found {type(compression_params)}")
        kind, threshold = compression_params.get("type"), float(compression_params.get("threshold", 0.5))
        if kind != "2bit":
            raise MXNetError(f"set_gradient_compression: type is {kind!r}, expected '2bit'")
        if threshold <= 0:
            raise MXNetError(f"set_gradient_compression: threshold is {threshold}, expected more than 0")
        self._compress = _TwoBits(threshold)

    def set_optimizer(self, optimizer: Any) -> None:
        """Update with an optimizer at each push."""
        self._set_updater(opt.get_updater(optimizer))

    def _set_updater(self, updater: Callable) -> None:
        """Call ``updater(key, merged, stored)`` at each push; it changes ``stored`` in place."""
        self._updater = updater

    def save_optimizer_states(self, fname: str, dump_optimizer: bool = False) -> None:
        """Write the updater's states (and the optimizer itself) to a file."""
        write_atomically(fname, self._with_states("save").get_states(dump_optimizer))

    def load_optimizer_states(self, fname: str) -> None:
        """Read the updater's states from a file."""
        read_states(self._with_states("load"), fname)

    def _with_states(self, action: str) -> Any:
        if self._updater is None:
            raise AssertionError(
                f"cannot {action} optimizer states: the store has no optimizer, set_optimizer gives it one"
            )
        return self._updater

    def _barrier(self) -> None:
        """Wait for all workers: there is one."""
