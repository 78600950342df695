"""Registries of classes by lower-case name: initializers, optimizers, metrics (public path: ``mxnet.registry``)."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from typing import Any

from mxcompat.base import string_types

__all__ = ["get_alias_func", "get_create_func", "get_register_func", "get_registry"]

_REGISTRIES: dict[type, dict[str, type]] = {}


def _full_name(klass: type) -> str:
    return f"{klass.__module__}.{klass.__name__}"


def get_registry(base_class: type) -> dict[str, type]:
    """A copy of the registry of ``base_class``: name -> class."""
    return _REGISTRIES.setdefault(base_class, {}).copy()


def get_register_func(base_class: type, nickname: str) -> Callable:
    """The decorator ``register(klass, name=None)`` for subclasses of ``base_class``."""
    registry = _REGISTRIES.setdefault(base_class, {})

    def register(klass: type, name: str | None = None) -> type:
        """Register a class under its lower-case name; a taken name is replaced, with a ``UserWarning``."""
        if not issubclass(klass, base_class):
            raise AssertionError(f"{klass.__name__} is no subclass of {base_class.__name__}: it is no {nickname}")
        key = (klass.__name__ if name is None else name).lower()
        if registry.get(key, klass) is not klass:
            old, new = _full_name(registry[key]), _full_name(klass)
            warnings.warn(f"{nickname} {key!r} was {old} and is {new} from now on", UserWarning, stacklevel=2)
        registry[key] = klass
        return klass

    return register


def get_alias_func(base_class: type, nickname: str) -> Callable:
    """The decorator ``alias(*names)`` for subclasses of ``base_class``."""
    register = get_register_func(base_class, nickname)

    def alias(*aliases: str) -> Callable[[type], type]:
        """Register a class under further names."""

        def decorate(klass: type) -> type:
            for name in aliases:
                register(klass, name)
            return klass

        return decorate

    return alias


def get_create_func(base_class: type, nickname: str) -> Callable:
    """The function ``create(name or instance or JSON text, ...)``; what it cannot use is an ``AssertionError``."""
    registry = _REGISTRIES.setdefault(base_class, {})

    def create(*args: Any, **kwargs: Any) -> Any:
        """An instance by name, from ``'["name", {...}]'``, from a dict with the name in it, or the instance itself."""
        if args:
            name, args = args[0], args[1:]
        else:
            name = kwargs.pop(nickname)
        ready = isinstance(name, base_class) or (isinstance(name, string_types) and name.startswith(("[", "{")))
        if ready and (args or kwargs):
            raise AssertionError(f"{nickname} {name} is complete: it takes no further arguments")
        if isinstance(name, base_class):
            return name
        if isinstance(name, dict):
            return create(**name)
        if not isinstance(name, string_types):
            raise AssertionError(f"{nickname} must be a name or an instance, found {type(name)}")
        if name.startswith("["):
            name, kwargs = json.loads(name)
            return create(name, **kwargs)
        if name.startswith("{"):
            return create(**json.loads(name))
        if name.lower() not in registry:
            known = ", ".join(sorted(registry))
            raise AssertionError(f"there is no {nickname} {name!r} (there are {known}); register adds one")
        return registry[name.lower()](*args, **kwargs)

    return create
