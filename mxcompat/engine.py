"""How many operators run as one bulk (public path: ``mxnet.engine``)."""

from __future__ import annotations

import operator
import threading
from types import TracebackType

from mxcompat.base import MXNetError

__all__ = ["bulk", "set_bulk_size"]


class _BulkSize(threading.local):
    value = 0


_SIZE = _BulkSize()


def set_bulk_size(size: int) -> int:
    """Set this thread's bulk size (0 at first) and return what it was; ``MXNetError`` below 0.

    The number never changes results. Here it does not change speed either: operators of a bound symbol already run as
    one graph, imperative ones one by one.
    """
    size = operator.index(size)
    if size < 0:
        raise MXNetError(f"set_bulk_size: the size is {size}, expected at least 0")
    before, _SIZE.value = _SIZE.value, size
    return before


class _BulkScope:
    def __init__(self, size: int):
        self._size, self._before = size, 0

    def __enter__(self) -> _BulkScope:
        self._before = set_bulk_size(self._size)
        return self

    def __exit__(
        self, ptype: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        set_bulk_size(self._before)


def bulk(size: int) -> _BulkScope:
    """A scope with that bulk size (see ``set_bulk_size``)."""
    return _BulkScope(size)
