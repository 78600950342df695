"""Errors, type groups and environment switches that every layer shares (public path of the original: ``mxnet.base``)."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from mxcompat.c_types import *  # noqa: F403

__all__ = ["MXNetError"]

string_types = (str,)
numeric_types = (float, int, np.generic)
integer_types = (int, np.int32, np.int64)


class MXNetError(RuntimeError):
    """An operator, shape, type, bind or file failure; a ``RuntimeError`` as in the original."""

    def __reduce__(self) -> Any:
        if (
            type(self) is MXNetError
        ):  # its class path is the original's, which child processes may not be able to import
            return _make_error, self.args
        return super().__reduce__()


def _make_error(*args: Any) -> MXNetError:
    return MXNetError(*args)


# The original's class path is what old pickles and printed tracebacks show.
MXNetError.__module__ = "mxnet.base"


def mark_callback_error(error: BaseException) -> BaseException:
    """Note that the user's own code raised this inside an operator; what to raise in its place.

    That is the error with its text, attributes and traceback, of a class that is its own and ``MXNetError``: programs
    catch the errors of their callbacks under either.
    """
    if isinstance(error, Exception) and not isinstance(error, MXNetError):
        try:
            kind = type(type(error).__name__, (type(error), MXNetError), {"__module__": type(error).__module__})
            both = kind.__new__(kind, *error.args)
            both.args = error.args
            both.__dict__.update(error.__dict__)
        except TypeError:  # a class that does not go together with MXNetError
            both = error
        else:
            both.__cause__, both.__context__ = error.__cause__, error.__context__
            both.__suppress_context__ = error.__suppress_context__
        error = both.with_traceback(error.__traceback__)
    error.mx_callback = True  # type: ignore[attr-defined]
    return error


def is_callback_error(error: BaseException) -> bool:
    """Whether the user's own code raised this inside an operator: such errors pass as they are."""
    return getattr(error, "mx_callback", False)


#: error classes by name, as ``register_error`` filled it
error_types: dict[str, type] = {}


def register_error(func_name: Any = None, cls: Any = None) -> Any:
    """Enter an error class under ``func_name`` (default: its own name); works as a decorator, with and without a name.

    The original raises registered classes for messages of its C library that begin with their name. Here nothing comes
    from C, so the registry only answers who is in it.
    """
    if callable(func_name):
        func_name, cls = None, func_name

    def enter(error: type) -> type:
        error_types[func_name or error.__name__] = error
        return error

    return enter if cls is None else enter(cls)


class DamagedFile(MXNetError, ValueError):
    """A file, or a record of one, that is not as it should be; programs catch it under either name."""


class OutOfBounds(MXNetError, IndexError):
    """An index that is not in its array; programs catch it under either name."""


@register_error
class NotImplementedForSymbol(MXNetError):
    """Raised when a Symbol is used where only an NDArray has a value (truth value, ``asnumpy``, in-place arithmetic)."""

    def __init__(self, function: Callable, alias: str | None, *args: Any):
        super().__init__()
        self.function = function.__name__
        self.alias = alias
        self.args = tuple(str(type(arg)) for arg in args)

    def __str__(self) -> str:
        text = f"Function {self.function}"
        if self.alias:
            text += f' (namely operator "{self.alias}")'
        if self.args:
            text += f" with arguments ({', '.join(self.args)})"
        return text + " is not implemented for Symbol and only available in NDArray."


class NotSupportedForSparseNDArray(MXNetError):
    """Raised when a dense-only method is called on a sparse NDArray."""

    def __init__(self, function: Callable, alias: str | None, *args: Any):
        super().__init__()
        self.function = function.__name__
        self.alias = alias
        self.args = tuple(str(type(arg)) for arg in args)

    def __str__(self) -> str:
        text = f"Function {self.function}"
        if self.alias:
            text += f' (namely operator "{self.alias}")'
        if self.args:
            text += f" with arguments ({', '.join(self.args)})"
        return text + " is not supported for SparseNDArray and only available in NDArray."


class _NullType:
    """The value of a parameter that was not given (generated signatures show it)."""

    def __repr__(self) -> str:
        return "_Null"

    def __bool__(self) -> bool:
        return False


_Null = _NullType()


class classproperty:  # noqa: N801  (the original's name)
    """A property of the class itself."""

    def __init__(self, func: Callable):
        self._getter = func
        self._setter: Callable | None = None

    def __get__(self, instance: Any, owner: type) -> Any:
        return self._getter(owner)

    def setter(self, func: Callable) -> classproperty:
        """Let the classes of metaclass ``SettableClass`` set the property by ``func(cls, value)``."""
        self._setter = func
        return self


class SettableClass(type):
    """The metaclass of classes whose ``classproperty`` with a setter can be set: ``NameManager.current = manager``."""

    def __setattr__(cls, key: str, value: Any) -> None:
        found = cls.__dict__.get(key)
        if isinstance(found, classproperty) and found._setter is not None:
            found._setter(cls, value)
        else:
            super().__setattr__(key, value)


def with_metaclass(meta: type, *bases: type) -> Any:
    """A base class for ``class A(with_metaclass(Meta, B))``: the class gets that metaclass and those bases."""

    class Deferred(type):
        def __new__(cls, name: str, _: Any, namespace: dict[str, Any]) -> Any:
            return meta(name, bases, namespace)

    return type.__new__(Deferred, "temporary_class", (), {})


class _Library:
    """Stands for the original's C library, of which nothing exists here."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise MXNetError(f"{name}: mxcompat has no C library; use the Python interface")


_LIB = _Library()


def check_call(ret: int) -> None:
    """``MXNetError`` unless a call of the C library returned 0."""
    if ret != 0:
        raise MXNetError(f"a call of the C library returned {ret}")


def _as_list(obj: Any) -> list | tuple:
    """``obj`` itself when it is a list or tuple, else a list holding it."""
    return obj if isinstance(obj, (list, tuple)) else [obj]


def data_dir_default() -> str:
    """Where downloads and caches lie unless ``MXNET_HOME`` names a folder: ``~/.mxnet``, on Windows below ``APPDATA``."""
    if os.name == "nt":
        return os.path.join(os.environ.get("APPDATA", ""), "mxnet")
    return os.path.join(os.path.expanduser("~"), ".mxnet")


def data_dir() -> str:
    """``$MXNET_HOME``, or ``data_dir_default()`` where that is not set."""
    return os.environ.get("MXNET_HOME") or data_dir_default()


def env_choice(name: str, choices: tuple[str, ...], default: str) -> str:
    """The value of an environment switch, or ``default``; an unknown value raises ``ValueError`` naming the choices."""
    value = os.environ.get(name, default).strip().lower() or default
    if value not in choices:
        raise ValueError(f"{name}={value!r} is not one of {', '.join(choices)}")
    return value
