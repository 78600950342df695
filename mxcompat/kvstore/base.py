"""What a store offers to a training loop, and how stores are made by name (public path: ``mxnet.kvstore.base``)."""

from __future__ import annotations

import warnings
from typing import Any

from mxcompat.base import MXNetError, string_types

__all__ = ["KVStoreBase", "create"]

#: stores of several processes that the original leaves to other packages
_ELSEWHERE = ("horovod", "byteps")


class KVStoreBase:
    """The interface of stores; ``register`` adds a class to those that ``create`` makes."""

    #: the capability of running the optimizer
    OPTIMIZER = "optimizer"
    kv_registry: dict[str, type] = {}

    def _missing(self, name: str) -> NotImplementedError:
        return NotImplementedError(f"{type(self).__name__} must define {name}")

    def broadcast(self, key: Any, value: Any, out: Any, priority: int = 0) -> None:
        """Give ``value`` of the first worker to the arrays of ``out`` on all workers."""
        raise self._missing("broadcast")

    def pushpull(self, key: Any, value: Any, out: Any = None, priority: int = 0) -> None:
        """Sum the arrays of ``value`` over devices and workers into those of ``out`` (into themselves without one)."""
        raise self._missing("pushpull")

    def set_optimizer(self, optimizer: Any) -> None:
        """Let the store update its values with an optimizer."""
        raise self._missing("set_optimizer")

    def is_capable(self, capability: str) -> bool:
        """Whether the store offers a capability (``KVStoreBase.OPTIMIZER``)."""
        raise self._missing("is_capable")

    def save_optimizer_states(self, fname: str, dump_optimizer: bool = False) -> None:
        """Write the optimizer's states (and the optimizer itself) to a file."""
        raise self._missing("save_optimizer_states")

    def load_optimizer_states(self, fname: str) -> None:
        """Read the optimizer's states from a file."""
        raise self._missing("load_optimizer_states")

    @property
    def type(self) -> str:
        """The kind of store."""
        raise self._missing("type")

    @property
    def rank(self) -> int:
        """The number of this worker, from 0."""
        raise self._missing("rank")

    @property
    def num_workers(self) -> int:
        """How many workers there are."""
        raise self._missing("num_workers")

    @staticmethod
    def register(klass: Any) -> Any:
        """Register a class under its lower-case name (a decorator); a taken name is replaced, with a warning."""
        if not isinstance(klass, type):
            raise AssertionError(f"register: expected a class, found {klass!r}")
        name = klass.__name__.lower()
        old = KVStoreBase.kv_registry.get(name)
        if old is not None and old is not klass:
            warnings.warn(
                f"kvstore {name!r} was {old.__module__}.{old.__name__} and is {klass.__module__}.{klass.__name__} from now on",
                stacklevel=2,
            )
        KVStoreBase.kv_registry[name] = klass
        return klass


def _arrays(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


@KVStoreBase.register
class TestStore(KVStoreBase):
    """A store without values: it only copies and sums, and leaves updates to the caller."""

    __test__ = False  # no test case, though its name begins like one

    def broadcast(self, key: Any, value: Any, out: Any, priority: int = 0) -> None:
        for array in _arrays(out):
            array[:] = value

    def pushpull(self, key: Any, value: Any, out: Any = None, priority: int = 0) -> None:
        values = _arrays(value)
        total = values[0]
        for array in values[1:]:
            total = total + array.as_in_context(total.context)
        for array in values if out is None else _arrays(out):
            array[:] = total

    @staticmethod
    def is_capable(capability: str) -> bool:  # type: ignore[override]
        if capability.lower() == KVStoreBase.OPTIMIZER:
            return False
        raise ValueError(f"unknown capability {capability!r}, expected {KVStoreBase.OPTIMIZER!r}")

    type = property(lambda self: "teststore", doc="``'teststore'``.")  # type: ignore[assignment]
    rank = property(lambda self: 0, doc="0: there is one worker.")  # type: ignore[assignment]
    num_workers = property(lambda self: 1, doc="1.")  # type: ignore[assignment]


def create(name: str = "local") -> Any:
    """A store by name: a registered class, or one within this process.

    As in the original any other name makes a store in this process ('local', 'device', 'local_allreduce_cpu', ...); all
    compute the same. With 'nccl' it is one, too. Stores of several processes ('dist_sync', 'dist_async', every name with
    'dist' in it, 'horovod', 'byteps') raise ``MXNetError``: one process alone would train on a part of the data only.
    """
    if not isinstance(name, string_types):
        raise TypeError(f"the name of a kvstore must be a string, found {type(name)}")
    lower = name.lower()
    if lower in KVStoreBase.kv_registry:
        return KVStoreBase.kv_registry[lower]()
    if "dist" in lower or lower in _ELSEWHERE:
        raise MXNetError(f"kvstore {name!r} needs several processes, which are not supported; use 'local' or 'device'")
    from mxcompat.kvstore.kvstore import KVStore

    return KVStore(lower)
