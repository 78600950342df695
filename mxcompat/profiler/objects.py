"""What programs put into the trace themselves: tasks, frames, events, counters and markers, grouped by domain."""

from __future__ import annotations

import itertools
import threading
import time

from mxcompat.base import MXNetError
from mxcompat.profiler.control import PROFILER

_SCOPES = {"global": "g", "marker": "m", "process": "p", "task": "t", "thread": "t"}
_numbers = itertools.count(1)


class Domain:
    """A name under which tasks, frames, counters and markers appear."""

    def __init__(self, name: str):
        self.name = name

    def __str__(self) -> str:
        return self.name

    def new_task(self, name: str) -> Task:
        """A task of this domain."""
        return Task(self, name)

    def new_frame(self, name: str) -> Frame:
        """A frame of this domain."""
        return Frame(self, name)

    def new_counter(self, name: str, value: int | None = None) -> Counter:
        """A counter of this domain, with a first value unless that is None."""
        return Counter(self, name, value)

    def new_marker(self, name: str) -> Marker:
        """A marker of this domain."""
        return Marker(self, name)


class _Duration:
    """Something between ``start`` and ``stop``; it is noted if the profiler was collecting at both."""

    _category: str
    _phases: str

    def __init__(self, name: str):
        self.name = name
        self._number = next(_numbers)
        self._since: int | None = None

    def start(self) -> None:
        """Begin."""
        self._since = time.perf_counter_ns() if PROFILER.active is not None else None

    def stop(self) -> None:
        """End; without a start nothing is noted."""
        since, self._since, trace = self._since, None, PROFILER.active
        if since is not None and trace is not None:
            extra = {"id": self._number} if self._phases == "be" else {}
            now = time.perf_counter_ns()
            trace.span(self._category, self.name, since, now, self._category, self._phases, **extra)

    def __str__(self) -> str:
        return self.name


class Task(_Duration):
    """Work of a domain that may go on beside other tasks, and in other threads than the one that began it."""

    _phases = "be"

    def __init__(self, domain: Domain, name: str):
        super().__init__(name)
        self._category = domain.name


class Frame(_Duration):
    """One of many passes, such as a batch, in a lane of its own."""

    _phases = "()"

    def __init__(self, domain: Domain, name: str):
        super().__init__(name)
        self._category = f"{domain.name},frame"


class Event(_Duration):
    """A part of the program in the thread that runs it."""

    _category, _phases = "event", "BE"

    def __init__(self, name: str):
        super().__init__(name)


class Counter:
    """A whole number that changes over time, also while nothing is collected."""

    def __init__(self, domain: Domain, name: str, value: int | None = None):
        self.name = name
        self._category, self._value, self._lock = domain.name, 0, threading.Lock()
        if value is not None:
            self.set_value(value)

    def _change(self, value: int, add: bool) -> None:
        with self._lock:
            self._value = self._value + value if add else value
            if PROFILER.active is not None:
                PROFILER.active.value(self._category, self.name, self._value)

    def set_value(self, value: int) -> None:
        """Set it; ``ValueError`` for what ``int`` refuses."""
        self._change(int(value), add=False)

    def increment(self, delta: int = 1) -> None:
        """Add to it."""
        self._change(int(delta), add=True)

    def decrement(self, delta: int = 1) -> None:
        """Subtract from it."""
        self._change(-int(delta), add=True)

    def __iadd__(self, delta: int) -> Counter:
        self.increment(delta)
        return self

    def __isub__(self, delta: int) -> Counter:
        self.decrement(delta)
        return self

    def __str__(self) -> str:
        return self.name


class Marker:
    """A moment of a domain."""

    def __init__(self, domain: Domain, name: str):
        self.name, self.domain = name, domain

    def mark(self, scope: str = "process") -> None:
        """Note the moment for 'global', 'process', 'thread', 'task' or 'marker'; ``MXNetError`` for another scope."""
        if scope not in _SCOPES:
            raise MXNetError(f"Invalid Input: '{scope}', valid values are: {{{str(sorted(_SCOPES))[1:-1]}}}")
        if PROFILER.active is not None:
            PROFILER.active.instant(f"{self.domain.name},instant_marker", self.name, _SCOPES[scope])
