"""What a profiler collects: events for a Chrome trace file, and statistics of them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

#: what to add to ``time.perf_counter_ns`` to get the time of day
_EPOCH = time.time_ns() - time.perf_counter_ns()
_HEAD, _TAIL = b'{"traceEvents": [\n', b'\n], "displayTimeUnit": "ms"}\n'
#: process numbers of the trace's lanes begin here, apart from those that PyTorch's own events have
_FIRST_LANE = 1 << 20
NO_TOTAL = "Device Storage"  # the category whose values are kilobytes, not milliseconds

_SORT_KEYS = {"total": "Total", "avg": "Avg", "min": "Min", "max": "Max", "count": "Count"}


def microseconds(nanoseconds: int) -> float:
    """A ``perf_counter_ns`` as microseconds of the time of day, which trace files count in."""
    return (nanoseconds + _EPOCH) / 1000


@dataclass
class _Entry:
    count: int = 0
    total: float = 0.0
    min: float = float("inf")
    max: float = float("-inf")

    def add(self, value: float) -> None:
        self.count += 1
        self.total += value
        self.min, self.max = min(self.min, value), max(self.max, value)


class Statistics:
    """Count, total, least, largest and mean of the values of each name of each category.

    Compat: the original's mean of a counter or of memory is half its range; here it is the mean.
    """

    def __init__(self) -> None:
        self._entries: dict[str, dict[str, _Entry]] = {}

    def add(self, category: str, name: str, value: float) -> None:
        """Note one value: milliseconds, kilobytes of memory, or thousandths of a counter."""
        self._entries.setdefault(category, {}).setdefault(name, _Entry()).add(value)

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()

    def _rows(self, category: str, sort_by: str, ascending: bool) -> dict[str, dict[str, float]]:
        rows = {}
        for name, entry in self._entries[category].items():
            row: dict[str, float] = {"Count": entry.count, "Total": entry.total, "Min": entry.min, "Max": entry.max}
            rows[name] = {**row, "Avg": entry.total / entry.count}
        key = _SORT_KEYS[sort_by]
        if category != NO_TOTAL or sort_by != "total":
            rows = dict(sorted(rows.items(), key=lambda item: item[1][key], reverse=not ascending))
        if category == NO_TOTAL:
            for row in rows.values():
                del row["Total"]
        return rows

    def as_json(self, sort_by: str, ascending: bool) -> str:
        """The statistics as a JSON object with the keys Time, Memory and Unit."""
        rows = {category: self._rows(category, sort_by, ascending) for category in sorted(self._entries)}
        memory = {category: rows.pop(category) for category in [NO_TOTAL] if category in rows}
        return json.dumps({"Time": rows, "Memory": memory, "Unit": {"Time": "ms", "Memory": "kB"}}, indent=4) + "\n"

    def as_table(self, sort_by: str, ascending: bool) -> str:
        """The statistics as a table of text, one part a category."""
        lines = ["", "Profile Statistics:", "\tNote the difference in units for different entries."]
        for category in sorted(self._entries):
            times = ["Time (ms)", "Min Time (ms)", "Max Time (ms)", "Avg Time (ms)"]
            titles = ["Min Use  (kB)", "Max Use  (kB)", "Avg Use  (kB)"] if category == NO_TOTAL else times
            lines += [category, "================="]
            lines += [_row("Name", "Total Count", titles), _row("----", "-" * 11, ["-" * len(t) for t in titles])]
            for name, row in self._rows(category, sort_by, ascending).items():
                values = [f"{row[key]:.4f}" for key in ("Total", "Min", "Max", "Avg") if key in row]
                lines.append(_row(name, str(row["Count"]), values))
            lines.append("")
        return "\n".join(lines) + "\n"


def _row(name: str, count: str, values: Iterable[str]) -> str:
    return f"{name:<25}{count:>16}" + "".join(f" {value:>16}" for value in values)


@dataclass
class Trace:
    """Events on their way to a trace file. Every method may be called from any thread."""

    statistics: Statistics | None = None  # filled too when it is there
    _pending: list[dict[str, Any]] = field(default_factory=list)
    _lanes: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _path: str | None = None
    _end: int = 0

    def span(self, category: str, name: str, begin: int, end: int, lane: str, phases: str = "BE", **extra: Any) -> None:
        """Something that took from ``begin`` to ``end`` (``perf_counter_ns``)."""
        common = {"name": name, "cat": category, "tid": threading.get_ident(), **extra}
        with self._lock:
            pid = self._lane(lane)
            for phase, when in zip(phases, (begin, end)):
                self._pending.append({**common, "ph": phase, "ts": microseconds(when), "pid": pid})
            if self.statistics is not None:
                self.statistics.add(category, name, (end - begin) / 1e6)

    def value(self, category: str, name: str, value: int) -> None:
        """A number that changes over time; bytes in the category of memory."""
        event = {"name": name, "cat": category, "ph": "C", "args": {name: value}, "tid": threading.get_ident()}
        with self._lock:
            self._pending.append({**event, "ts": microseconds(time.perf_counter_ns()), "pid": self._lane(category)})
            if self.statistics is not None:
                self.statistics.add(category, name, value / 1000)

    def instant(self, category: str, name: str, scope: str) -> None:
        """A moment; ``scope`` is how far its mark reaches: the first letter of global, process, thread, task, marker."""
        event = {"name": name, "cat": category, "ph": "n", "s": scope, "tid": threading.get_ident()}
        with self._lock:
            self._pending.append({**event, "ts": microseconds(time.perf_counter_ns()), "pid": self._lane(category)})

    def add_foreign(self, events: list[dict[str, Any]], category: str) -> None:
        """Events that PyTorch's profiler collected."""
        with self._lock:
            self._pending += events
            if self.statistics is not None:
                for event in events:
                    if event.get("ph") == "X":
                        self.statistics.add(category, event["name"], event.get("dur", 0) / 1000)

    def _lane(self, name: str) -> int:
        """The process number under which a viewer shows a category; its name goes into the trace once."""
        if name not in self._lanes:
            self._lanes[name] = _FIRST_LANE + len(self._lanes)
            self._pending.append({"ph": "M", "name": "process_name", "pid": self._lanes[name], "args": {"name": name}})
        return self._lanes[name]

    def write(self, path: str) -> None:
        """Append what came since the last write; a file that this trace did not begin is replaced.

        The file is complete JSON after every write.
        """
        with self._lock:
            lines = [json.dumps(event).encode() for event in self._pending]
            if path != self._path:
                with open(path, "wb") as file:
                    file.write(_HEAD + b",\n".join(lines) + _TAIL)
                    self._path, self._end = path, file.tell() - len(_TAIL)
            elif lines:
                with open(path, "r+b") as file:
                    file.seek(self._end)
                    file.write((b",\n" if self._end > len(_HEAD) else b"") + b",\n".join(lines))
                    self._end = file.tell()
                    file.write(_TAIL)
            self._pending.clear()
