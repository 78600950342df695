"""Registries of classes by lower-case name: initializers, optimizers, metrics (public path: ``mxnet.registry``)."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from typing import Any

__all__ = ["get_alias_func", "get_create_func", "get_register_func", "get_registry"]

_REGISTRIES: dict[type, dict[str, type]] = {}


def get_registry(base_class: type) -> dict[str, type]:
    """A copy of the registry of ``base_class``: name -> class."""
    return _REGISTRIES.setdefault(base_class, {}).copy()


def get_register_func(base_class: type, nickname: str) -> Callable:
    """The decorator ``register(klass, name=None)`` for subclasses of ``base_class``."""
    registry = _REGISTRIES.setdefault(base_class, {})

    def register(klass: type, name: str | None = None) -> type:
        """Register a class under its lower-case name; a taken name is replaced, with a warning."""
        if not issubclass(klass, base_class):
            raise AssertionError(f"Can only register subclass of {base_class.__name__}")
        key = (name or klass.__name__).lower()
        if key in registry and registry[key] is not klass:
            old = f"{registry[key].__module__}.{registry[key].__name__}"
            warnings.warn(
                f"New {nickname} {klass.__module__}.{klass.__name__} registered with name {key} is "
                f"overriding existing {nickname} {old}",
                UserWarning,
                stacklevel=2,
            )
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
    """The function ``create(name or instance or JSON text, ...)``."""
    registry = _REGISTRIES.setdefault(base_class, {})

    def create(*args: Any, **kwargs: Any) -> Any:
        """An instance by name, from ``'["name", {...}]'``, from a dict with the name in it, or the instance itself."""
        if args:
            name, args = args[0], args[1:]
        else:
            name = kwargs.pop(nickname)
        if isinstance(name, base_class):
            if args or kwargs:
                raise AssertionError(f"{nickname} is already an instance. Additional arguments are invalid")
            return name
        if isinstance(name, dict):
            return create(**name)
        if not isinstance(name, str):
            raise AssertionError(f"{nickname} must be of string type, found {type(name)}")
        if name.startswith("["):
            name, kwargs = json.loads(name)
            return create(name, **kwargs)
        if name.startswith("{"):
            return create(**json.loads(name))
        if name.lower() not in registry:
            known = ", ".join(sorted(registry))
            raise AssertionError(f"{name} is not registered. Please register with {nickname}.register first (known: {known})")
        return registry[name.lower()](*args, **kwargs)

    return create
