"""NumPy-semantics switches, which stay off here (public path of the original: ``mxnet.util``)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from mxcompat.base import MXNetError

__all__ = ["is_np_array", "is_np_shape", "makedirs", "np_array", "np_shape", "set_np_shape", "use_np", "use_np_array"]
__all__ += ["use_np_shape"]


def makedirs(d: str) -> None:
    """Create a folder and its parents unless it is there."""
    import os

    os.makedirs(os.path.expanduser(d), exist_ok=True)


def is_np_shape() -> bool:
    """Whether NumPy shape semantics are on (never)."""
    return False


def is_np_array() -> bool:
    """Whether NumPy array semantics are on (never)."""
    return False


def _refuse(active: Any, what: str) -> None:
    if active:
        raise MXNetError(
            f"{what}: NumPy semantics are not supported; sizes of 0 and arrays without axes follow MXNet's rules"
        )


def set_np_shape(active: bool) -> bool:
    """Switch NumPy shape semantics off (on raises ``MXNetError``); returns what they were."""
    _refuse(active, "set_np_shape")
    return False


@contextlib.contextmanager
def np_shape(active: bool = True) -> Iterator[None]:
    """A scope with NumPy shape semantics off (on raises ``MXNetError``)."""
    _refuse(active, "np_shape")
    yield


@contextlib.contextmanager
def np_array(active: bool = True) -> Iterator[None]:
    """A scope with NumPy array semantics off (on raises ``MXNetError``)."""
    _refuse(active, "np_array")
    yield


def use_np_shape(func: Callable) -> Callable:
    """Raises ``MXNetError``: NumPy shape semantics are not supported."""
    _refuse(True, f"use_np_shape on {getattr(func, '__name__', func)}")
    return func


def use_np_array(func: Callable) -> Callable:
    """Raises ``MXNetError``: NumPy array semantics are not supported."""
    _refuse(True, f"use_np_array on {getattr(func, '__name__', func)}")
    return func


def use_np(func: Callable) -> Callable:
    """Raises ``MXNetError``: NumPy semantics are not supported."""
    _refuse(True, f"use_np on {getattr(func, '__name__', func)}")
    return func
