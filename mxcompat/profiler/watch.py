"""Timing of operators while the profiler runs: each call, its gradient, and the callbacks of custom operators."""

from __future__ import annotations

import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from mxcompat.base import MXNetError
from mxcompat.profiler.trace import Trace

_OPERATORS, _CUSTOM, _LIBRARY = "operator", "Custom Operator", "PyTorch"


class _Callbacks(threading.local):
    """The custom operator whose Python code runs in this thread, and since when nothing else was counted."""

    name: str | None = None
    since = 0


class OperatorWatch:
    """Runs operators in place of their callers and notes how long they took.

    With a GPU every operator is waited for, so that its time is that of its kernels. ``memory`` notes how much memory is
    in use behind each operator: that of the process on the cpu, that of its arrays on a GPU.
    """

    def __init__(self, trace: Trace, memory: bool):
        self._trace, self._memory = trace, memory
        self._callbacks = _Callbacks()

    def call(self, name: str, function: Callable, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """``function(*args, **kwargs)`` as operator ``name``; its gradient is timed as ``_backward_name``."""
        wanted = torch.is_grad_enabled() and any(isinstance(x, torch.Tensor) and x.requires_grad for x in args)
        backward = _Backward(self, name) if wanted else None
        if backward is not None:
            args = _through(backward.end, args)
        begin = self._begin()
        result = function(*args, **kwargs)
        self._end(name, begin)
        if backward is None:
            return result
        if isinstance(result, torch.Tensor):
            return _through(backward.begin, [result])[0]
        return type(result)(_through(backward.begin, result)) if isinstance(result, (tuple, list)) else result

    @contextmanager
    def callback(self, name: str) -> Iterator[None]:
        """A scope in which a custom operator's Python code runs; operators that it calls are noted under its name."""
        mine = self._callbacks
        self._close_python()
        outer, mine.name, mine.since = mine.name, name, time.perf_counter_ns()
        try:
            yield
        finally:
            self._close_python()
            mine.name, mine.since = outer, time.perf_counter_ns()

    def _close_python(self) -> None:
        """Note the Python code since the last operator of a callback."""
        mine = self._callbacks
        if mine.name is not None:
            now = time.perf_counter_ns()
            self._trace.span(_CUSTOM, f"{mine.name}::pure_python", mine.since, now, _CUSTOM)

    def _begin(self) -> int:
        self._close_python()
        return time.perf_counter_ns()

    def _end(self, name: str, begin: int) -> None:
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()
        end, mine = time.perf_counter_ns(), self._callbacks
        if mine.name is not None:
            self._trace.span(_CUSTOM, f"{mine.name}::{name}", begin, end, _CUSTOM)
            mine.since = end
        else:
            self._trace.span(_OPERATORS, name, begin, end, _OPERATORS)
        if self._memory:
            for where, used in _memory_in_use():
                self._trace.value("Device Storage", f"Memory: {where}", used)


def backward_name(name: str) -> str:
    """What the gradient of an operator is called."""
    return f"_backward{name}" if name.startswith("_") else f"_backward_{name}"


class _Backward:
    """The gradient of one call: it begins when the outputs' gradients are there and ends with those of the inputs."""

    def __init__(self, watch: OperatorWatch, name: str):
        self._watch, self._name = watch, backward_name(name)
        self._since: int | None = None

    def begin(self) -> None:
        """The gradients of the outputs are known."""
        self._since = self._watch._begin()

    def end(self) -> None:
        """The gradients of the inputs are known."""
        if self._since is not None:
            self._watch._end(self._name, self._since)
        self._since = None


class _Passing(torch.autograd.Function):
    """The tensors themselves; ``action`` is called when their gradients pass."""

    @staticmethod
    def forward(ctx: Any, action: Callable[[], None], *tensors: torch.Tensor) -> tuple:
        ctx.set_materialize_grads(False)
        ctx.action = action
        return tuple(tensor.view_as(tensor) for tensor in tensors)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple:
        ctx.action()
        return None, *gradients


def _through(action: Callable[[], None], values: Sequence[Any]) -> list[Any]:
    places = [i for i, value in enumerate(values) if isinstance(value, torch.Tensor) and value.requires_grad]
    passed = list(values)
    if places:
        for i, tensor in zip(places, _Passing.apply(action, *[values[i] for i in places])):
            passed[i] = tensor
    return passed


def _memory_in_use() -> Iterator[tuple[str, int]]:
    try:
        with open("/proc/self/statm", "rb") as file:
            yield "cpu/0", int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:  # not Linux: the largest so far, in kilobytes
        import resource

        yield "cpu/0", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if torch.cuda.is_initialized():
        for index in range(torch.cuda.device_count()):
            yield f"gpu/{index}", torch.cuda.memory_allocated(index)


class LibraryWatch:
    """PyTorch's own profiler: its operators and the GPU's kernels, as they lie below MXNet's operators."""

    def __init__(self, trace: Trace, memory: bool):
        self._trace, self._memory = trace, memory
        self._profile: Any = None

    def start(self) -> None:
        """Collect from now on; ``MXNetError`` when another profiler of PyTorch is running."""
        if torch.autograd._profiler_enabled():  # torch would hand this one the other's events, and crash later
            raise MXNetError(
                "profile_api: another profiler of PyTorch is running in this thread; end it, or leave profile_api out"
            )
        kinds = [torch.profiler.ProfilerActivity.CPU]
        if torch.cuda.is_available():
            kinds.append(torch.profiler.ProfilerActivity.CUDA)
        self._profile = torch.profiler.profile(activities=kinds, profile_memory=self._memory)
        self._profile.start()

    def stop(self) -> None:
        """Hand over what came since the start. Must be called in the thread that started."""
        if self._profile is None:
            return
        profile, self._profile = self._profile, None
        profile.stop()
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "trace.json")
            profile.export_chrome_trace(path)
            with open(path, encoding="utf-8") as file:
                collected = json.load(file)
        base = collected.get("baseTimeNanoseconds", 0) / 1000
        events = [event for event in collected["traceEvents"] if isinstance(event, dict)]
        for event in events:
            if "ts" in event:
                event["ts"] += base
        self._trace.add_foreign(events, _LIBRARY)
