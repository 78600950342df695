"""Contexts: where an array lives (public path of the original: ``mxnet.context``).

An NDArray carries a Context; the ``torch.device`` is derived from it, never the reverse. All cpu contexts share one
memory, so arithmetic among them works.
"""

from __future__ import annotations

import threading
from typing import Any

from mxcompat.base import MXNetError, SettableClass, classproperty

__all__ = ["Context", "cpu", "cpu_pinned", "current_context", "gpu", "gpu_memory_info", "num_gpus"]


class Context(metaclass=SettableClass):
    """A device: ``Context('cpu', 1)``, ``Context('gpu', 0)`` or a copy of another context; also a ``with`` scope."""

    devtype2str = {1: "cpu", 2: "gpu", 3: "cpu_pinned", 5: "cpu_shared"}
    devstr2type = {"cpu": 1, "gpu": 2, "cpu_pinned": 3, "cpu_shared": 5}
    _default_ctx = threading.local()
    __slots__ = ("_device", "_old_ctx", "device_id", "device_typeid")

    device_typeid: int
    device_id: int

    def __init__(self, device_type: str | Context, device_id: int = 0):
        if isinstance(device_type, Context):
            self.device_typeid, self.device_id = device_type.device_typeid, device_type.device_id
        else:
            if device_type not in Context.devstr2type:
                raise KeyError(device_type)
            self.device_typeid, self.device_id = Context.devstr2type[device_type], device_id
        self._old_ctx: Any = None
        self._device: Any = None

    @property
    def device_type(self) -> str:
        """``'cpu'``, ``'gpu'``, ``'cpu_pinned'`` or ``'cpu_shared'``."""
        return Context.devtype2str[self.device_typeid]

    def __hash__(self) -> int:
        return hash((self.device_typeid, self.device_id))

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, Context)
            and self.device_typeid == other.device_typeid
            and self.device_id == other.device_id
        )

    def __str__(self) -> str:
        return f"{self.device_type}({self.device_id})"

    def __repr__(self) -> str:
        return str(self)

    def __reduce__(self) -> tuple:
        return Context, (self.device_type, self.device_id)

    def __enter__(self) -> Context:
        self._old_ctx = current_context()
        Context._default_ctx.value = self
        return self

    def __exit__(self, ptype: Any, value: Any, trace: Any) -> None:
        Context._default_ctx.value = self._old_ctx

    @classproperty
    def default_ctx(cls) -> Context:  # noqa: N805
        return current_context()

    @default_ctx.setter  # type: ignore[no-redef]
    def default_ctx(cls, context: Context) -> None:  # noqa: N805
        Context._default_ctx.value = context

    def empty_cache(self) -> None:
        """Return cached device memory to the driver (nothing to do on the cpu)."""
        if self.device_typeid == 2:
            import torch

            torch.cuda.empty_cache()


_CPU = Context("cpu", 0)
_gpu_substitute: Context | None = None


def set_gpu_substitute(context: Context | None) -> None:
    """Make ``mx.gpu(i)`` arrays live on ``context`` instead (``mxcompat run --device cpu``); None ends it."""
    global _gpu_substitute
    _gpu_substitute = context


def cpu(device_id: int = 0) -> Context:
    """The cpu context; the number only tells contexts apart."""
    return Context("cpu", device_id)


def cpu_pinned(device_id: int = 0) -> Context:
    """Page-locked cpu memory."""
    return Context("cpu_pinned", device_id)


def gpu(device_id: int = 0) -> Context:
    """The context of one GPU. Making it is free; allocating on it without CUDA raises ``MXNetError``."""
    return Context("gpu", device_id)


def num_gpus() -> int:
    """How many GPUs CUDA offers."""
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def gpu_memory_info(device_id: int = 0) -> tuple[int, int]:
    """Free and total memory of a GPU in bytes; ``MXNetError`` where there is none."""
    import torch

    if device_id >= num_gpus():
        raise MXNetError(f"gpu({device_id}) does not exist: CUDA offers {num_gpus()} devices")
    return torch.cuda.mem_get_info(device_id)


def current_context() -> Context:
    """The innermost ``with`` context of this thread, else ``cpu(0)``."""
    return getattr(Context._default_ctx, "value", _CPU)


def torch_device(context: Context) -> Any:
    """The ``torch.device`` of a context; a GPU that is not there raises ``MXNetError``."""
    if context._device is None:
        import torch

        where = context
        if context.device_typeid == 2 and _gpu_substitute is not None:
            where = _gpu_substitute
        if where.device_typeid != 2:
            device = torch.device("cpu")
        elif where.device_id < num_gpus():
            device = torch.device("cuda", where.device_id)
        else:
            raise MXNetError(
                f"{context} cannot be used: CUDA offers {num_gpus()} devices here. Use mx.cpu(), or "
                "`mxcompat run --device cpu` to run a script that asks for a GPU."
            )
        if where is not context:
            return device  # not kept: the substitute may change
        context._device = device
    return context._device
