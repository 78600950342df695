"""The profiler's switches, and what it has collected."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import warnings
from dataclasses import dataclass, replace
from typing import Any

from mxcompat.base import MXNetError
from mxcompat.profiler.trace import Statistics, Trace
from mxcompat.scope import WATCH

_SORTS = ("total", "avg", "min", "max", "count")
_TRUE, _FALSE = ("true", "1"), ("false", "0")


@dataclass(frozen=True)
class _Config:
    profile_all: bool = False
    profile_symbolic: bool = True
    profile_imperative: bool = True
    profile_memory: bool = True
    profile_api: bool = False  # Compat: on in the original; PyTorch's events are many, so they are asked for here
    filename: str = "profile.json"
    continuous_dump: bool = True
    dump_period: float = 1.0
    aggregate_stats: bool = False
    profile_process: str = "worker"


class _Profiler:
    """The state of the one profiler."""

    def __init__(self) -> None:
        self.config = _Config()
        self.trace: Trace | None = None  # there from the first run to the final dump
        self.statistics: Statistics | None = None
        self.running = self.paused = False
        self._library: Any = None
        self._writer: _Writer | None = None

    @property
    def active(self) -> Trace | None:
        """Where events go now; None while nothing is collected."""
        return self.trace if self.running and not self.paused else None

    def configure(self, config: _Config) -> None:
        """Take over a configuration; a running profiler goes on with it."""
        self.config = config
        if config.aggregate_stats and self.statistics is None:
            self.statistics = Statistics()
        elif not config.aggregate_stats:
            self.statistics = None
        if self.trace is not None:
            self.trace.statistics = self.statistics
        self._switch()

    def run(self) -> None:
        """Collect from now on."""
        self.trace = self.trace or Trace(self.statistics)
        self.running, self.paused = True, False
        self._switch()
        if self._writer is None and self.config.continuous_dump:
            self._writer = _Writer(self)

    def stop(self) -> None:
        """Collect no longer; what was collected stays."""
        self.running = False
        self._switch()
        if self._writer is not None:
            self._writer.stop()
            self._writer = None

    def pause(self, paused: bool) -> None:
        """Interrupt or go on."""
        self.paused = paused
        self._switch()

    def write(self, finished: bool) -> None:
        """Write the file; ``finished`` ends the run."""
        if self.trace is None:
            raise MXNetError("Profiler hasn't been run. Config and start profiler first")
        trace = self.trace
        if finished:
            self.stop()
        elif self._library is not None:  # what PyTorch collected comes when it stops
            self._library.stop()
            self._library.start()
        trace.write(self.config.filename)
        if finished:
            self.trace = None

    def _switch(self) -> None:
        """Watch what the configuration asks for, or nothing."""
        if self._library is not None:
            self._library.stop()
            self._library = None
        config, trace = self.config, self.active
        WATCH.imperative = WATCH.symbolic = WATCH.callback = None
        if trace is None:
            return
        from mxcompat.profiler.watch import LibraryWatch, OperatorWatch

        memory = config.profile_memory or config.profile_all
        if config.profile_api or config.profile_all:
            library = LibraryWatch(trace, memory)
            library.start()
            self._library = library
        watch = OperatorWatch(trace, memory)
        if config.profile_imperative or config.profile_all:
            WATCH.imperative = watch.call
        if config.profile_symbolic or config.profile_all:
            WATCH.symbolic = watch.call
        WATCH.callback = watch.callback

    def abandon(self) -> None:
        """Forget a run: a forked child neither collects nor writes its parent's file."""
        WATCH.imperative = WATCH.symbolic = WATCH.callback = None
        self.__init__()  # type: ignore[misc]


class _Writer:
    """A thread that writes what was collected every ``dump_period`` seconds (``continuous_dump``)."""

    def __init__(self, profiler: _Profiler):
        self._profiler, self._stopped = profiler, threading.Event()
        threading.Thread(target=self._work, name="mxcompat-profiler", daemon=True).start()

    def stop(self) -> None:
        """Write no longer."""
        self._stopped.set()

    def _work(self) -> None:
        while not self._stopped.wait(self._profiler.config.dump_period):
            trace = self._profiler.trace
            if trace is None or self._stopped.is_set():
                return
            try:
                trace.write(self._profiler.config.filename)
            except OSError as error:
                logging.warning("profiler: %s; nothing more is written before the next dump", error)
                return


PROFILER = _Profiler()
profiler_kvstore_handle: Any = None


def set_kvstore_handle(handle: Any) -> None:
    """Keep the store whose servers could be profiled; stores here have none (see ``profile_process``)."""
    global profiler_kvstore_handle
    profiler_kvstore_handle = handle


def _refuse_server(profile_process: str) -> None:
    if {"worker": False, "server": True}[profile_process]:
        raise MXNetError("profile_process='server': there are no server processes here, only 'worker' can be profiled")


def set_config(**kwargs: Any) -> None:
    """Configure the profiler, before it runs or meanwhile; what is not given takes its default.

    ``filename`` ('profile.json') is the trace file. ``profile_symbolic`` and ``profile_imperative`` (True) time the
    operators of bound symbols and those called one by one; ``profile_memory`` (True) notes the memory in use behind each;
    ``profile_api`` (False) adds PyTorch's own events, GPU kernels among them; ``profile_all`` (False) is all of these.
    ``continuous_dump`` (True) writes the file every ``dump_period`` (1.0) seconds; ``aggregate_stats`` (False) keeps
    statistics for ``dumps``. ``MXNetError`` for other keywords, unfit values, and ``profile_process='server'``.
    """
    values: dict[str, Any] = {}
    for key, value in kwargs.items():
        if key not in _Config.__dataclass_fields__:
            raise MXNetError(f"set_config: unknown keyword {key}; known are {', '.join(_Config.__dataclass_fields__)}")
        values[key] = _parsed(key, str(value))
    config = _Config(**values)
    if config.profile_process not in ("worker", "server"):
        raise MXNetError(
            f"set_config: profile_process is '{config.profile_process}', valid values are: {{'server', 'worker'}}"
        )
    _refuse_server(config.profile_process)
    if config.continuous_dump and config.dump_period <= 0:
        raise MXNetError(f"set_config: dump_period is {config.dump_period}, expected more than 0 seconds")
    PROFILER.configure(config)


def _parsed(key: str, text: str) -> Any:
    kind = _Config.__dataclass_fields__[key].type
    if kind == "bool":
        if text.lower() not in (*_TRUE, *_FALSE):
            raise MXNetError(f"Invalid Parameter format for {key} expect boolean but value='{text}'")
        return text.lower() in _TRUE
    if kind == "float":
        try:
            return float(text)
        except ValueError:
            raise MXNetError(f"Invalid Parameter format for {key} expect float but value='{text}'") from None
    return text


def profiler_set_config(mode: str = "symbolic", filename: str = "profile.json") -> None:
    """The old spelling of ``set_config(profile_MODE=True, filename=filename)``; ``mode`` is 'symbolic' or 'all'."""
    warnings.warn(
        "profiler.profiler_set_config() is deprecated. Please use profiler.set_config() instead", stacklevel=2
    )
    set_config(**{f"profile_{mode}": True, "filename": filename})


def set_state(state: str = "stop", profile_process: str = "worker") -> None:
    """Start ('run') or end ('stop') collecting; ``KeyError`` for another state."""
    run = {"stop": False, "run": True}[state]
    _refuse_server(profile_process)
    if run:
        PROFILER.run()
    else:
        PROFILER.stop()


def profiler_set_state(state: str = "stop") -> None:
    """The old spelling of ``set_state``."""
    warnings.warn("profiler.profiler_set_state() is deprecated. Please use profiler.set_state() instead", stacklevel=2)
    set_state(state)


def dump(finished: bool = True, profile_process: str = "worker") -> None:
    """Write what was collected to the trace file; ``finished`` stops the profiler, and its next run begins a new file.

    ``MXNetError`` when the profiler did not run since the last finished dump.
    """
    _refuse_server(profile_process)
    PROFILER.write(finished is True)


def dump_profile() -> None:
    """The old spelling of ``dump``."""
    warnings.warn("profiler.dump_profile() is deprecated. Please use profiler.dump() instead", stacklevel=2)
    dump(True)


def dumps(reset: bool = False, format: str = "table", sort_by: str = "total", ascending: bool = False) -> str:
    """The statistics as text: a 'table' or 'json', sorted by 'total', 'avg', 'min', 'max' or 'count' in each category.

    Times are milliseconds, memory is kilobytes; ``reset`` starts anew afterwards. Empty unless ``aggregate_stats`` was
    configured. ``AssertionError`` for other formats, sortings and switches.
    """
    for name, value, allowed in (
        ("format", format, ("table", "json")),
        ("sort_by", sort_by, _SORTS),
        ("ascending", ascending, (False, True)),
        ("reset", reset, (False, True)),
    ):
        if value not in allowed:
            raise AssertionError(
                f"Invalid value provided for {name}: {value}. Support: {', '.join(map(repr, allowed))}"
            )
    statistics = PROFILER.statistics
    if statistics is None:
        return ""
    text = (statistics.as_table if format == "table" else statistics.as_json)(sort_by, bool(ascending))
    if reset:
        statistics.clear()
    return text


def pause(profile_process: str = "worker") -> None:
    """Interrupt collecting until ``resume``."""
    _refuse_server(profile_process)
    PROFILER.pause(True)


def resume(profile_process: str = "worker") -> None:
    """Go on after ``pause``."""
    _refuse_server(profile_process)
    PROFILER.pause(False)


def autostart() -> None:
    """Run from the environment: ``MXNET_PROFILER_AUTOSTART=1``, with imperative operators when the mode is 1."""
    imperative = os.environ.get("MXNET_PROFILER_MODE", "0") not in ("", "0")
    PROFILER.configure(replace(_Config(), profile_imperative=imperative, profile_memory=False))
    PROFILER.run()


def _finish() -> None:
    """At the end of the process a run that nobody wrote is written."""
    if PROFILER.trace is not None:
        PROFILER.write(True)


atexit.register(_finish)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=PROFILER.abandon)
