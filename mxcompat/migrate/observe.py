"""What ``mxcompat run --profile`` and ``--strict`` see: operators, their times and devices, and where they differ from MXNet's.

Both look at the parameters of operators where these are parsed, which is once for a node and once for an imperative call.
"""

from __future__ import annotations

import threading
import warnings
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from mxcompat.differences import DIFFERENCES, DRAWS, RANDOM, difference, differs, no_effect
from mxcompat.ops.schema import Operator, without_effect

__all__ = ["Profile", "refuse_differences"]

_STRICT = "which --strict does not allow"
_HEAD = ("operator", "calls", "time (ms)", "device", "note")


def _on_parse(look: Callable[[Any, dict[str, Any], Any, str | None], None]) -> None:
    """Show every parsed set of parameters to ``look(operator, given, parsed, node)``, in this process.

    ``node`` is the name of a node ("" before it has one), and None for a call on arrays, where none is told.
    """
    parse = Operator.parse

    def watched(self: Operator, given: dict[str, Any], node: str | None = None) -> Any:
        params = parse(self, given, node or "")
        look(self, given, params, node)
        return params

    Operator.parse = watched  # type: ignore[method-assign]  # only then: the plain path has no switch to look at


# -- strict -------------------------------------------------------------------------------------------------------


def refuse_differences() -> None:
    """Make ``MXNetError`` of every use of what differs from MXNet or has no effect. Random numbers may differ."""
    from mxcompat.io import native
    from mxcompat.ops import load_catalogue, registry

    _on_parse(_refuse)
    native._parsed = _refusing_iterator(native._parsed)
    warnings.filterwarnings("error", message=".*has no effect")

    load_catalogue()
    for name, text in DIFFERENCES.items():
        if registry.find(name) is None and text != DRAWS:
            _refuse_function(name, text)


def _refuse(op: Any, given: dict[str, Any], params: Any, node: str | None) -> None:
    from mxcompat.base import MXNetError

    label, idle = op.label(node or ""), without_effect(op.params, given, params)
    if idle:
        raise MXNetError(f"{no_effect(label, idle)}, {_STRICT}")
    text = None if op.name in RANDOM else difference(op.name, params, symbolic=node is not None)
    if text:
        raise MXNetError(f"{differs(label, text)}, {_STRICT}")


def _refusing_iterator(parse: Callable) -> Callable:
    """The parameters of the data iterators, refused likewise."""
    from mxcompat.base import MXNetError

    def parsed(name: str, params: dict[str, Any], given: dict[str, Any]) -> Any:
        values = parse(name, params, given)
        idle = without_effect(params, given, values)
        if idle:
            raise MXNetError(f"{no_effect(name, idle)}, {_STRICT}")
        return values

    return parsed


def _refuse_function(name: str, text: str) -> None:
    import importlib

    from mxcompat.base import MXNetError

    module, _, function = name.rpartition(".")

    def refused(*args: Any, **kwargs: Any) -> Any:
        raise MXNetError(f"{differs(f'mx.{name}', text)}, {_STRICT}")

    setattr(importlib.import_module(f"mxcompat.{module}"), function, refused)


# -- profile ------------------------------------------------------------------------------------------------------


@dataclass
class _Row:
    calls: int = 0
    nanoseconds: int = 0
    devices: set[str] = field(default_factory=set)


class Profile:
    """The table of a run. It takes the profiler's place: graphs run operator by operator, as plain ones."""

    def __init__(self) -> None:
        from mxcompat.profiler.watch import OperatorWatch

        self._rows: dict[str, _Row] = defaultdict(_Row)
        self._lock = threading.Lock()
        self._idle: dict[str, set[str]] = defaultdict(set)
        self._different: dict[str, str] = {}
        self._watch = OperatorWatch(self, memory=False)  # type: ignore[arg-type]  # it calls ``span`` only

    def start(self) -> None:
        """Look on from now on."""
        from mxcompat.scope import WATCH

        _on_parse(self._look)
        self._call = self.call  # one object, to be known again
        WATCH.imperative = WATCH.symbolic = self._call
        WATCH.callback = self._watch.callback

    def _look(self, op: Any, given: dict[str, Any], params: Any, node: str | None) -> None:
        self._idle[op.name].update(without_effect(op.params, given, params))
        text = difference(op.name, params, symbolic=node is not None)
        if text:
            self._different[op.name] = text

    def call(self, name: str, function: Callable, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Run one operator and note where."""
        result = self._watch.call(name, function, args, kwargs)
        devices = _devices(result) or _devices(args)
        with self._lock:
            self._rows[name].devices |= devices
        return result

    def span(self, category: str, name: str, begin: int, end: int, lane: str) -> None:
        """One operator, gradient or piece of a custom operator took from ``begin`` to ``end`` nanoseconds."""
        with self._lock:
            row = self._rows[name]
            row.calls += 1
            row.nanoseconds += end - begin

    def table(self) -> str:
        """Operators by time, with a note on each; what the notes mean is told below."""
        from mxcompat.profiler.watch import backward_name
        from mxcompat.scope import WATCH

        forward = {backward_name(name): name for name in self._rows}
        rows = [_HEAD]
        for name, row in sorted(self._rows.items(), key=lambda item: -item[1].nanoseconds):
            if row.calls == 0:
                continue
            origin = forward.get(name, name)
            devices = row.devices or self._rows[origin].devices if origin in self._rows else row.devices
            rows.append(
                (name, str(row.calls), f"{row.nanoseconds / 1e6:.3f}", ", ".join(sorted(devices)), self._note(origin))
            )
        lines = ["", "mxcompat run --profile", *_columns(rows), *self._remarks()]
        if WATCH.imperative is not self._call:
            lines.append("the script used mx.profiler itself: what came after that is not in this table")
        return "\n".join(lines)

    def _note(self, name: str) -> str:
        notes = (["differs"] if name in self._different else []) + (["no effect"] if self._idle.get(name) else [])
        return ", ".join(notes) or "exact"

    def _remarks(self) -> list[str]:
        ran = [name for name in sorted(self._rows) if self._rows[name].calls]
        texts: dict[str, list[str]] = defaultdict(list)
        for name in ran:
            if name in self._different:
                texts[self._different[name]].append(name)
        idle = [name for name in ran if self._idle.get(name)]
        lines = [f"differs: {', '.join(names)}: {text}" for text, names in texts.items()]
        return lines + [f"no effect: {name}: {', '.join(sorted(self._idle[name]))}" for name in idle]


def _devices(values: Any) -> set[str]:
    """Where the tensors in a value, or in nested lists of them, are."""
    if isinstance(values, (list, tuple)):
        return set().union(*map(_devices, values))
    return {str(values.device)} if hasattr(values, "device") else set()


def _columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEAD))]
    lines = []
    for row in rows:
        cells = [f"{cell:{'>' if i in (1, 2) else '<'}{widths[i]}}" for i, cell in enumerate(row)]
        lines.append("  ".join(cells).rstrip())
    return [lines[0], "  ".join("-" * width for width in widths), *lines[1:]]
