"""Automatic names of symbols, one counter a stem and thread (public path of the original: ``mxnet.name``)."""

from __future__ import annotations

import threading
from typing import Any

from mxcompat.base import SettableClass, classproperty

__all__ = ["NameManager", "Prefix"]


class NameManager(metaclass=SettableClass):
    """Gives ``hint0``, ``hint1``, … to operators without a name; a ``with`` scope that replaces the current one."""

    _current = threading.local()

    def __init__(self) -> None:
        self._counter: dict[str, int] = {}
        self._old_manager: NameManager | None = None

    def get(self, name: str | None, hint: str) -> str:
        """``name`` itself when given, else the next automatic name of the stem ``hint``."""
        if name:
            return name
        count = self._counter.get(hint, 0)
        self._counter[hint] = count + 1
        return f"{hint}{count}"

    def __enter__(self) -> NameManager:
        self._old_manager = current()
        NameManager._current.value = self
        return self

    def __exit__(self, ptype: Any, value: Any, trace: Any) -> None:
        NameManager._current.value = self._old_manager

    @classproperty
    def current(cls) -> NameManager:  # noqa: N805
        return current()

    @current.setter  # type: ignore[no-redef]
    def current(cls, manager: NameManager) -> None:  # noqa: N805
        NameManager._current.value = manager


class Prefix(NameManager):
    """Puts a prefix before automatic and explicit names alike."""

    def __init__(self, prefix: str):
        super().__init__()
        self._prefix = prefix

    def get(self, name: str | None, hint: str) -> str:
        return self._prefix + super().get(name, hint)


def current() -> NameManager:
    """This thread's innermost name manager."""
    manager = getattr(NameManager._current, "value", None)
    if manager is None:
        manager = NameManager._current.value = NameManager()
    return manager
