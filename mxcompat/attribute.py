"""Attributes that a ``with`` scope puts on every symbol made inside (public path of the original: ``mxnet.attribute``)."""

from __future__ import annotations

import threading
from typing import Any

from mxcompat.base import SettableClass, classproperty, string_types

__all__ = ["AttrScope"]


class AttrScope(metaclass=SettableClass):
    """``with AttrScope(ctx_group='dev1', __data__='x'):``; values must be strings, inner scopes win."""

    _current = threading.local()

    def __init__(self, **kwargs: str):
        for value in kwargs.values():
            if not isinstance(value, string_types):
                raise ValueError("Attributes need to be string")
        self._attr = kwargs
        self._old_scope: AttrScope | None = None

    def get(self, attr: dict[str, str] | None) -> dict[str, str]:
        """The scope's attributes updated with ``attr``."""
        if not self._attr:
            return attr if attr else {}
        merged = dict(self._attr)
        if attr:
            merged.update(attr)
        return merged

    def __enter__(self) -> AttrScope:
        outer = current()
        self._old_scope = outer
        merged = dict(outer._attr)
        merged.update(self._attr)
        self._attr = merged
        AttrScope._current.value = self
        return self

    def __exit__(self, ptype: Any, value: Any, trace: Any) -> None:
        AttrScope._current.value = self._old_scope

    @classproperty
    def current(cls) -> AttrScope:  # noqa: N805
        return current()

    @current.setter  # type: ignore[no-redef]
    def current(cls, scope: AttrScope) -> None:  # noqa: N805
        AttrScope._current.value = scope


def current() -> AttrScope:
    """This thread's innermost scope."""
    scope = getattr(AttrScope._current, "value", None)
    if scope is None:
        scope = AttrScope._current.value = AttrScope()
    return scope
