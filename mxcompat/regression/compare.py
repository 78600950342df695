"""Comparing repeated arrays with recorded ones: tolerances, single comparisons, and the report of a whole recording.

The error of an element is ``|found - recorded| / (|recorded| + r)``, where r is the size (root mean square) of the array
plus a thousandth of that of the largest array of its kind in the same call: the terms that a sum is made of have the
size of the array, not of the element. To r of a gradient (or state) comes the size of its node's largest one, and ten times
that where its own is below a thousandth of it: it is zero then but for rounding, as for a bias before BatchNorm. Where
gradients jump (an element that rounding takes over the edge of a relu or max pooling) the allowance is measured. New
parameters are compared by how far they moved, less what rounding can do to the parameter itself.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np

from mxcompat.regression.golden import Recording
from mxcompat.regression.record import positions, statistics

__all__ = ["Comparison", "Report", "Tolerance", "compare", "floor_of", "jump", "node_floor"]

#: largest error by element type. float32 sums of 10^3 to 10^5 terms in another order part by 1e-7 to 1e-5, and some
#: layers of a network multiply that; float16 has 11 bits, of which sums lose some; float64 nets are sums of 1e-16.
TOLERANCES = {"float16": 2e-2, "float32": 1e-4, "float64": 1e-9}
#: share of the largest array of a kind that counts as the size of every one
SHARE = 1e-3
#: how many times the size of its node's gradients a gradient counts that is zero but for rounding
ROUNDING = 10


@dataclasses.dataclass(frozen=True)
class Tolerance:
    """``rtol`` replaces the errors allowed of floating-point types; differences up to ``atol`` are none."""

    rtol: float | None = None
    atol: float = 0.0

    def of(self, dtype: str) -> float:
        """The largest error of an array of that type: 0 for integers."""
        if dtype not in TOLERANCES:
            return 0.0
        return TOLERANCES[dtype] if self.rtol is None else self.rtol


@dataclasses.dataclass
class Comparison:
    """One array: where it belongs, its error and what is allowed; ``problem`` says what is wrong beside numbers."""

    step: str
    what: str
    node: str
    shape: tuple[int, ...] = ()
    error: float = 0.0
    allowed: float = 0.0
    exact: bool = False
    place: tuple[int, ...] | None = None
    recorded: float | None = None
    found: float | None = None
    problem: str = ""
    detail: str = ""
    jumps: bool = False  # the allowance is the array's own jump, see replay

    @property
    def agrees(self) -> bool:
        return not self.problem and self.error <= self.allowed

    def text(self) -> str:
        """``step 0, output softmax_output of node softmax (SoftmaxOutput), shape (64, 10): error 1.2e-3, ...``"""
        where = f"{self.step}, {self.what}" + (f", {self.node}" if self.node else "")
        where += f", shape {self.shape}" if self.shape else ""
        if self.problem:
            return f"{where}: {self.problem}"
        values = f": {self.detail}" if self.detail else ""
        if self.place is not None:
            values = f" at {self.place}: recorded {self.recorded:.8g}, found {self.found:.8g}"
        return f"{where}: error {self.error:.1e}, allowed {self.allowed:.1e}{values}"

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {**dataclasses.asdict(self), "agrees": self.agrees}


class Arrays(Protocol):
    """Where the values of recorded arrays come from."""

    def entry(self, key: str) -> np.ndarray: ...

    def array(self, entry: Mapping[str, Any]) -> np.ndarray: ...


class Report:
    """All comparisons of a recording, and what was left out and why."""

    def __init__(self, recording: Recording):
        self.recording = recording
        self.comparisons: list[Comparison] = []
        self.skipped: collections.Counter[str] = collections.Counter()

    def add(self, comparison: Comparison) -> None:
        """Take in a comparison."""
        self.comparisons.append(comparison)

    @property
    def divergences(self) -> list[Comparison]:
        """Those out of tolerance, in the order of the run."""
        return [comparison for comparison in self.comparisons if not comparison.agrees]

    @property
    def worst(self) -> Comparison | None:
        """The largest error, jumps left aside."""
        return max((x for x in self.comparisons if not x.problem and not x.jumps), key=lambda x: x.error, default=None)

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        wrong, worst = self.divergences, self.worst
        return {
            "recording": str(self.recording.folder),
            "compared": len(self.comparisons),
            "exact": sum(comparison.exact for comparison in self.comparisons),
            "worst": worst.as_dict() if worst else None,
            "first": wrong[0].as_dict() if wrong else None,
            "divergences": [comparison.as_dict() for comparison in wrong],
            "jumps": sum(comparison.jumps for comparison in self.comparisons),
            "skipped": dict(self.skipped),
        }

    def _hint(self, first: Comparison) -> str:
        """How to find the node, where a training step was recorded without inner outputs."""
        kind, _, number = first.step.partition(" ")
        inner = any(x.step == first.step and x.what.startswith("inner ") for x in self.comparisons)
        if kind != "step" or inner or not first.what.startswith(("output ", "gradient ")):
            return ""
        return f" (record.py --steps {number} records every node of this step)"

    def text(self, shown: int = 10) -> str:
        """The report in lines; of the divergences the first ``shown``."""
        wrong, worst, lines = self.divergences, self.worst, [self.recording.about()]
        if wrong:
            lines.append(f"first divergence: {wrong[0].text()}{self._hint(wrong[0])}")
            lines += [f"  then {comparison.text()}" for comparison in wrong[1:shown]]
            if len(wrong) > shown:
                lines.append(f"  and {len(wrong) - shown} more")
        jumps = sum(comparison.jumps for comparison in self.comparisons)
        if jumps:
            lines.append(f"{jumps} gradients were allowed to part as far as they jump when parameters move by rounding")
        lines += [f"not compared: {count} x {reason}" for reason, count in self.skipped.items()]
        exact = sum(comparison.exact for comparison in self.comparisons)
        lines.append(
            f"compared {len(self.comparisons)}, {exact} of them equal to the bit, {len(wrong)} out of tolerance"
        )
        if worst is not None:
            lines[-1] += f"; worst {worst.error:.1e} at {worst.step}, {worst.what}"
        return "\n".join(lines)


def size_of(entry: Mapping[str, Any], recording: Arrays) -> float:
    """The root mean square of a recorded array."""
    if "stats" in entry:
        return float(entry["stats"][3])
    return float(statistics(recording.array(entry))[3])


def floor_of(entries: Iterable[Mapping[str, Any]], recording: Arrays) -> float:
    """What comes to the size of each of these arrays: a share of the largest one's."""
    return SHARE * max((size_of(entry, recording) for entry in entries), default=0.0)


def node_floor(
    entry: Mapping[str, Any], siblings: Iterable[Mapping[str, Any]], floor: float, recording: Arrays
) -> float:
    """What comes to the size of a gradient or state; ``siblings`` are all of its node, ``floor`` is that of the call."""
    node = max(size_of(sibling, recording) for sibling in siblings)
    return floor + node * (ROUNDING if size_of(entry, recording) < SHARE * node else 1)


def jump(entry: Mapping[str, Any], found: np.ndarray, moved: np.ndarray, recording: Arrays, floor: float) -> float:
    """The error of another result of one's own against the first one, in the terms of the recorded array."""
    return float(
        np.max(_errors(found.ravel(), moved.ravel(), None, size_of(entry, recording) + floor, 0.0), initial=0.0)
    )


def compare(
    comparison: Comparison,
    entry: Mapping[str, Any],
    found: np.ndarray,
    recording: Arrays,
    tolerance: Tolerance,
    floor: float = 0.0,
    before: np.ndarray | None = None,
    whole: bool = True,
) -> Comparison:
    """Fill in ``comparison`` with the error of ``found`` against a recorded array.

    floor    what comes to the size of the array
    before   the array before an update, whose change is compared
    whole    also compare the root mean square where only a choice of elements is recorded
    """
    comparison.shape = tuple(entry["shape"])
    if list(found.shape) != list(entry["shape"]) or found.dtype.name != entry["dtype"]:
        comparison.problem = (
            f"recorded {tuple(entry['shape'])} {entry['dtype']}, found {tuple(found.shape)} {found.dtype.name}"
        )
        return comparison
    chosen = None
    if "array" in entry:
        recorded, values = recording.array(entry).ravel(), found.ravel()
        comparison.exact = recorded.tobytes() == values.tobytes()
    else:
        recorded = recording.entry(entry["sample"])
        chosen = positions(found.size, recorded.size)
        values = found.ravel()[chosen]
    comparison.allowed = tolerance.of(entry["dtype"])
    if not recorded.size:
        return comparison
    was = None if before is None else (before.ravel() if chosen is None else before.ravel()[chosen])
    errors = _errors(recorded, values, was, size_of(entry, recording) + floor, tolerance.atol)
    worst = int(np.argmax(errors))
    comparison.error = float(errors[worst])
    index = worst if chosen is None else int(chosen[worst])
    comparison.place = tuple(int(i) for i in np.unravel_index(index, found.shape)) if found.ndim else ()
    comparison.recorded, comparison.found = float(recorded[worst]), float(values[worst])
    if chosen is not None and whole and before is None and comparison.agrees:
        _compare_whole(comparison, entry, found, floor, tolerance)
    return comparison


def _errors(recorded: np.ndarray, found: np.ndarray, was: np.ndarray | None, size: float, atol: float) -> np.ndarray:
    """The error of each element; infinite where one of the two is no number, or another infinity."""
    rounding: Any = 0.0
    recorded, found = (x.astype(np.float64) if x.dtype.kind != "b" else x.astype(np.int8) for x in (recorded, found))
    if was is not None:
        rounding = 8 * np.finfo(was.dtype).eps * np.abs(was.astype(np.float64)) if was.dtype.kind == "f" else 0.0
        recorded, found = recorded - was, found - was
        finite = recorded[np.isfinite(recorded)]
        size = float(np.sqrt(np.mean(finite * finite))) if finite.size else 0.0
    with np.errstate(all="ignore"):
        difference = np.where(
            (recorded == found) | (np.isnan(recorded) & np.isnan(found)), 0.0, np.abs(found - recorded)
        )
        difference = np.where(difference <= atol + rounding, 0.0, difference)
        errors = difference / (np.abs(recorded) + size)
    errors = np.where(difference == 0, 0.0, errors)
    return np.where(np.isnan(errors), np.inf, errors)


def _compare_whole(
    comparison: Comparison, entry: Mapping[str, Any], found: np.ndarray, floor: float, tolerance: Tolerance
) -> None:
    """What the chosen elements do not show: the root mean square and the number of values that are not finite."""
    own = statistics(found)
    difference = abs(own[3] - entry["stats"][3])
    size = entry["stats"][3] + floor
    error = difference / size if difference > tolerance.atol and size else 0.0
    if own[4] != entry["stats"][4]:
        comparison.problem = f"{own[4]} values are not finite, recorded {entry['stats'][4]}"
    elif error > max(comparison.error, comparison.allowed):
        comparison.error, comparison.place = error, None
        comparison.detail = f"root mean square {own[3]:.8g}, recorded {entry['stats'][3]:.8g}"
