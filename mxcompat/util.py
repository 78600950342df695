"""NumPy's meaning of shapes, environment and GPUs (public path of the original: ``mxnet.util``)."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from typing import Any

from mxcompat import scope
from mxcompat.base import MXNetError, c_str, py_str
from mxcompat.context import Context, gpu_memory_info, num_gpus

__all__ = [
    "c_str",
    "get_cuda_compute_capability",
    "get_gpu_count",
    "get_gpu_memory",
    "getenv",
    "is_np_array",
    "is_np_shape",
    "makedirs",
    "np_array",
    "np_shape",
    "py_str",
    "reset_np",
    "set_module",
    "set_np",
    "set_np_shape",
    "setenv",
    "use_np",
    "use_np_array",
    "use_np_shape",
]


def makedirs(d: str) -> None:
    """Create a folder and its parents unless it is there."""
    os.makedirs(os.path.expanduser(d), exist_ok=True)


def is_np_shape() -> bool:
    """Whether NumPy shape semantics are on: a size of 0 is a size, ``()`` a scalar's shape and -1 an unknown size."""
    return scope.is_np_shape()


def is_np_array() -> bool:
    """Whether NumPy array semantics are on (never: ``mx.np`` is not supported)."""
    return False


def set_np_shape(active: bool | int) -> bool:
    """Switch NumPy shape semantics of this thread on or off (2: on in every thread); returns what they were."""
    return scope.set_np_shape(int(active))


class _NumpyShapeScope:
    """A ``with`` scope that switches NumPy shape semantics; None leaves them as they are."""

    def __init__(self, is_np_shape: bool | None):
        self._active, self._before = is_np_shape, False

    def __enter__(self) -> None:
        if self._active is not None:
            self._before = set_np_shape(self._active)

    def __exit__(self, ptype: Any, value: Any, trace: Any) -> None:
        if self._active is not None and self._before != bool(self._active):
            set_np_shape(self._before)


def np_shape(active: bool = True) -> _NumpyShapeScope:
    """A scope with NumPy shape semantics on or off."""
    return _NumpyShapeScope(active)


def use_np_shape(func: Any) -> Any:
    """A function, or a class with its methods and properties, that runs under NumPy shape semantics.

    ``TypeError`` for anything else.
    """
    if isinstance(func, type):
        for name, member in inspect.getmembers(func, lambda x: inspect.isroutine(x) or isinstance(x, property)):
            if inspect.isfunction(member) or inspect.ismethod(member):
                setattr(func, name, use_np_shape(member))
            elif isinstance(member, property):
                parts = [f and use_np_shape(f) for f in (member.fget, member.fset, member.fdel)]
                setattr(func, name, property(parts[0], parts[1], parts[2], member.__doc__))
        return func
    if not callable(func):
        raise TypeError(f"use_np_shape can only decorate classes and callable objects, found {type(func)}")

    @functools.wraps(func)
    def with_np_shape(*args: Any, **kwargs: Any) -> Any:
        with np_shape(True):
            return func(*args, **kwargs)

    return with_np_shape


def _refuse(what: str) -> None:
    raise MXNetError(f"{what}: NumPy arrays (mx.np) are not supported; np_shape alone gives scalars and sizes of 0")


class _NumpyArrayScope:
    """A ``with`` scope with NumPy array semantics off; entering one with them on raises ``MXNetError``."""

    def __init__(self, is_np_array: bool):
        self._is_np_array = is_np_array

    def __enter__(self) -> _NumpyArrayScope:
        if self._is_np_array:
            _refuse("np_array")
        return self

    def __exit__(self, ptype: Any, value: Any, trace: Any) -> None:
        pass


def np_array(active: bool = True) -> _NumpyArrayScope:
    """A scope with NumPy array semantics off (on raises ``MXNetError``: ``mx.np`` is not supported)."""
    return _NumpyArrayScope(active)


def set_np(shape: bool = True, array: bool = True) -> None:
    """Switch NumPy shape semantics; ``array=True`` raises, with ``shape=False`` ``ValueError``, else ``MXNetError``."""
    if array and not shape:
        raise ValueError("NumPy Shape semantics is required in using NumPy array semantics.")
    if array:
        _refuse("set_np(array=True)")
    set_np_shape(shape)


def reset_np() -> None:
    """Switch NumPy semantics off."""
    set_np(shape=False, array=False)


def _refused_when_used(func: Any, what: str) -> Any:
    """A function or class that raises when it is called or made: a file that only decorates can be imported."""
    name = getattr(func, "__name__", func)

    def refuse(*args: Any, **kwargs: Any) -> None:
        _refuse(f"{what} on {name}")

    if isinstance(func, type):
        return type(func)(func.__name__, (func,), {"__init__": refuse, "__module__": func.__module__})
    return functools.wraps(func)(refuse)


def use_np_array(func: Callable) -> Callable:
    """``func``, which raises ``MXNetError`` when called: NumPy array semantics are not supported."""
    return _refused_when_used(func, "use_np_array")


def use_np(func: Callable) -> Callable:
    """``func``, which raises ``MXNetError`` when called: NumPy array semantics are not supported."""
    return _refused_when_used(func, "use_np")


def set_module(module: str | None) -> Callable:
    """A decorator that overrides ``__module__``; None leaves it."""

    def decorate(func: Any) -> Any:
        if module is not None:
            func.__module__ = module
        return func

    return decorate


def getenv(name: str) -> str | None:
    """The value of an environment variable; None where it is not set."""
    return os.environ.get(name)


def setenv(name: str, value: str | None) -> None:
    """Set an environment variable, or remove it (None)."""
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


def get_gpu_count() -> int:
    """How many GPUs CUDA offers."""
    return num_gpus()


def get_gpu_memory(gpu_dev_id: int) -> tuple[int, int]:
    """Free and total memory of a GPU in bytes; ``MXNetError`` where there is none."""
    return gpu_memory_info(gpu_dev_id)


def get_cuda_compute_capability(ctx: Context) -> int:
    """Ten times the compute capability of a GPU: 80 for 8.0.

    ``ValueError`` for what is no GPU context, ``RuntimeError`` where there is no such GPU.
    """
    if not isinstance(ctx, Context) or ctx.device_type != "gpu":
        raise ValueError(f"get_cuda_compute_capability: expected a gpu context, found {ctx!r}")
    if ctx.device_id >= num_gpus():
        raise RuntimeError(f"get_cuda_compute_capability: {ctx} does not exist: CUDA offers {num_gpus()} devices")
    import torch

    major, minor = torch.cuda.get_device_capability(ctx.device_id)
    return 10 * major + minor
