"""NumPy-semantics switches, which stay off here, environment and GPUs (public path of the original: ``mxnet.util``)."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterator
from typing import Any

from mxcompat.base import MXNetError
from mxcompat.context import Context, gpu_memory_info, num_gpus

__all__ = [
    "get_cuda_compute_capability",
    "get_gpu_count",
    "get_gpu_memory",
    "getenv",
    "is_np_array",
    "is_np_shape",
    "makedirs",
    "np_array",
    "np_shape",
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


def _refused_when_used(func: Any, what: str) -> Any:
    """A function or class that raises when it is called or made: a file that only decorates can be imported."""
    name = getattr(func, "__name__", func)

    def refuse(*args: Any, **kwargs: Any) -> None:
        _refuse(True, f"{what} on {name}")

    if isinstance(func, type):
        return type(func)(func.__name__, (func,), {"__init__": refuse, "__module__": func.__module__})
    return functools.wraps(func)(refuse)


def use_np_shape(func: Callable) -> Callable:
    """``func``, which raises ``MXNetError`` when called: NumPy shape semantics are not supported."""
    return _refused_when_used(func, "use_np_shape")


def use_np_array(func: Callable) -> Callable:
    """``func``, which raises ``MXNetError`` when called: NumPy array semantics are not supported."""
    return _refused_when_used(func, "use_np_array")


def use_np(func: Callable) -> Callable:
    """``func``, which raises ``MXNetError`` when called: NumPy semantics are not supported."""
    return _refused_when_used(func, "use_np")


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
