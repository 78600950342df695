"""A key-value store within one process: push sums, an updater or optimizer updates, pull copies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mxcompat import optimizer as opt
from mxcompat.base import MXNetError
from mxcompat.formats.atomic import write_atomically
from mxcompat.ndarray import NDArray

LOCAL_TYPES = ("local", "local_update_cpu", "local_allreduce_cpu", "local_allreduce_device", "device")
DISTRIBUTED = ("dist", "dist_sync", "dist_async", "dist_device_sync", "dist_sync_device", "dist_async_device", "p3")


class KVStoreBase:
    """What a Module needs of a store; ``register`` adds stores of other kinds by class name."""

    OPTIMIZER = "optimizer"
    kv_registry: dict[str, type] = {}

    @staticmethod
    def register(klass: type) -> type:
        """Register a store under its lower-case class name."""
        KVStoreBase.kv_registry[klass.__name__.lower()] = klass
        return klass

    @staticmethod
    def is_capable(capability: str) -> bool:
        """Whether the store offers a capability (``'optimizer'``)."""
        raise TypeError("a store must define is_capable")


def _pairs(key: Any, value: Any) -> list[tuple[Any, list[NDArray]]]:
    """Keys with the list of arrays of each; ``TypeError`` where they do not fit."""
    if isinstance(key, (list, tuple)):
        if not isinstance(value, (list, tuple)) or len(key) != len(value):
            raise TypeError(f"{len(key)} keys need a list of as many values, found {type(value)}")
        return [pair for k, v in zip(key, value) for pair in _pairs(k, v)]
    arrays = value if isinstance(value, (list, tuple)) else [value]
    for array in arrays:
        if not isinstance(array, NDArray):
            raise TypeError(f"key {key}: expected NDArrays, found {type(array)}")
    return [(key, list(arrays))]


class KVStore(KVStoreBase):
    """One process' store. Keys are all integers or all strings."""

    def __init__(self, handle: str = "local"):
        self._type = handle
        self._stored: dict[Any, NDArray] = {}
        self._updater: Any = None
        self._updater_func: Callable | None = None
        self._key_type: type | None = None

    type = property(lambda self: self._type, doc="The name it was created by.")
    rank = property(lambda self: 0, doc="The number of this worker: 0, there is one.")
    num_workers = property(lambda self: 1, doc="How many workers there are: 1.")

    @staticmethod
    def is_capable(capability: str) -> bool:
        """Whether the store offers a capability (``'optimizer'``)."""
        if capability.lower() == KVStoreBase.OPTIMIZER:
            return True
        raise MXNetError(f"Unknown capability: {capability}")

    def _check_key(self, key: Any, known: bool = True) -> None:
        kind = str if isinstance(key, str) else int
        if self._key_type not in (None, kind):
            raise MXNetError(f"key {key!r}: Mixed key types are not allowed, the store's keys are {self._key_type}")
        self._key_type = kind
        if known and key not in self._stored:
            raise MXNetError(f"key {key} has not been inited")

    def init(self, key: Any, value: Any) -> None:
        """Set the first value of a key, or of several; a second time raises ``MXNetError``."""
        for k, arrays in _pairs(key, value):
            self._check_key(k, known=False)
            if k in self._stored:
                raise MXNetError(f"duplicate init of key {k}. Please double check if you called kv.init or kv.broadcast twice")
            self._stored[k] = arrays[0].copy()

    def push(self, key: Any, value: Any, priority: int = 0) -> None:
        """Sum the values of each key; give the sum to the updater, or store it where there is none."""
        for k, arrays in _pairs(key, value):
            self._check_key(k)
            stored = self._stored[k]
            merged = arrays[0].as_in_context(stored.context) if len(arrays) > 1 else arrays[0].copyto(stored.context)
            for other in arrays[1:]:
                merged = merged + other.as_in_context(stored.context)
            if merged.shape != stored.shape:
                raise MXNetError(f"key {k}: pushed shape {merged.shape}, expected {stored.shape}")
            if self._updater_func is not None:
                self._updater_func(self._index(k), merged, stored)
            else:
                self._stored[k] = merged

    def _index(self, key: Any) -> Any:
        return int(key) if isinstance(key, str) and key.isdigit() else key

    def pull(self, key: Any, out: Any = None, priority: int = 0, ignore_sparse: bool = True) -> None:
        """Copy the stored values into ``out``."""
        if out is None:
            raise AssertionError("pull: out is missing")
        for k, arrays in _pairs(key, out):
            self._check_key(k)
            for array in arrays:
                self._stored[k].copyto(array)

    def pushpull(self, key: Any, value: Any, out: Any = None, priority: int = 0) -> None:
        """``push``, then ``pull`` into ``out`` (into the values themselves without one)."""
        self.push(key, value, priority)
        self.pull(key, value if out is None else out, priority)

    def broadcast(self, key: Any, value: Any, out: Any, priority: int = 0) -> None:
        """``init``, then ``pull``."""
        self.init(key, value)
        self.pull(key, out, priority)

    def row_sparse_pull(self, key: Any, out: Any = None, priority: int = 0, row_ids: Any = None) -> None:
        """Raises ``MXNetError``: arrays are dense here."""
        raise MXNetError("row_sparse_pull: row_sparse arrays are not supported")

    def set_gradient_compression(self, compression_params: dict[str, Any]) -> None:
        """Raises: only distributed stores compress gradients."""
        raise MXNetError("Gradient compression is not supported for this type of kvstore")

    def set_optimizer(self, optimizer: Any) -> None:
        """Update with an optimizer at each push."""
        self._set_updater(opt.get_updater(optimizer))

    def _set_updater(self, updater: Callable) -> None:
        """Call ``updater(key, merged, stored)`` at each push."""
        self._updater = self._updater_func = updater

    def save_optimizer_states(self, fname: str, dump_optimizer: bool = False) -> None:
        """Write the updater's states to a file."""
        if self._updater is None:
            raise AssertionError("Cannot save states for distributed training")
        write_atomically(fname, self._updater.get_states(dump_optimizer))

    def load_optimizer_states(self, fname: str) -> None:
        """Read the updater's states from a file."""
        if self._updater is None:
            raise AssertionError("Cannot load states for distributed training")
        with open(fname, "rb") as stream:
            self._updater.set_states(stream.read())


def create(name: str = "local") -> Any:
    """A store by name: the local and device kinds, or a registered class.

    Distributed kinds raise ``MXNetError``: there is one process here.
    """
    if not isinstance(name, str):
        raise TypeError("name must be a string")
    lower = name.lower()
    if lower in KVStoreBase.kv_registry:
        return KVStoreBase.kv_registry[lower]()
    if lower in LOCAL_TYPES:
        return KVStore(lower)
    if lower in DISTRIBUTED or lower in ("nccl", "horovod", "byteps"):
        raise MXNetError(f"kvstore {name!r} needs several processes, which are not supported; use 'local' or 'device'")
    raise MXNetError(f"Unknown KVStore type {name!r}; expected one of {', '.join(LOCAL_TYPES)}")
