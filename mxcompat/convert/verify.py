"""Comparison of what a converted network computes with what mxcompat computes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

__all__ = ["Difference", "compare"]


@dataclass(frozen=True)
class Difference:
    """How far an output is from the expected one; ``agrees`` says whether that is within tolerance."""

    name: str
    shape: tuple[int, ...]
    expected_shape: tuple[int, ...]
    max_abs: float
    max_rel: float
    cosine: float
    agrees: bool

    def text(self) -> str:
        if self.shape != self.expected_shape:
            return f"{self.name}: shape {self.shape}, expected {self.expected_shape}"
        figures = f"max abs {self.max_abs:.1e}, max rel {self.max_rel:.1e}, cosine {self.cosine:.7f}"
        return f"{self.name} {self.shape}: {figures}" + ("" if self.agrees else "  OUT OF TOLERANCE")

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def compare(
    names: Sequence[str], expected: Sequence[np.ndarray], found: Sequence[np.ndarray], tolerance: float
) -> list[Difference]:
    """One entry an output. It agrees where no element is further away than ``tolerance`` times the largest one."""
    return [_difference(*each, tolerance) for each in zip(names, expected, found, strict=True)]


def _difference(name: str, expected: np.ndarray, found: np.ndarray, tolerance: float) -> Difference:
    if expected.shape != found.shape:
        return Difference(name, found.shape, expected.shape, np.inf, np.inf, 0.0, False)
    want, have = expected.astype(np.float64).ravel(), found.astype(np.float64).ravel()
    same = (want == have) | (np.isnan(want) & np.isnan(have))  # infinities too
    finite = want[np.isfinite(want)]
    scale = float(np.abs(finite).max(initial=0.0)) or 1.0
    with np.errstate(invalid="ignore"):
        gap = np.where(same, 0.0, np.abs(want - have))
        relative = gap / np.maximum(np.abs(want), 1e-3 * scale, where=~np.isnan(want), out=np.full_like(want, scale))
    largest = float(gap.max(initial=0.0))
    agrees = bool(np.isfinite(largest) and largest <= tolerance * scale)
    return Difference(
        name, found.shape, expected.shape, largest, float(relative.max(initial=0.0)), _cosine(want, have), agrees
    )


def _cosine(want: np.ndarray, have: np.ndarray) -> float:
    usable = np.isfinite(want) & np.isfinite(have)
    want, have = want[usable], have[usable]
    product = float(np.linalg.norm(want) * np.linalg.norm(have))
    return float(want @ have) / product if product else float(np.array_equal(want, have))
