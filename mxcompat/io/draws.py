"""Random draws as the original's file iterators make them: Mersenne twister and the distributions of GNU's C++ library 4.8.

With them a shuffled order or an augmentation is the original's for the same seed. Parameters and results are float32
where the original computes in single precision.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = ["Draws"]

_RANGE = 2**32
_AT_A_TIME = 64  # numbers that are made together


class Draws:
    """A generator of 32-bit numbers, started with ``seed`` (any integer, taken modulo 2**32)."""

    def __init__(self, seed: int):
        self.seed(seed)

    def seed(self, seed: int) -> None:
        """Start again with ``seed``."""
        self._seed = seed % _RANGE
        self._random: np.random.RandomState | None = None  # made at the first draw
        self._ahead: list[int] = []

    def state(self) -> Any:
        """What ``restore`` takes to go on from here."""
        return self._seed, None if self._random is None else self._random.get_state(), list(self._ahead)

    def restore(self, state: Any) -> None:
        """Go on from where ``state`` was taken."""
        self.seed(state[0])
        if state[1] is not None:
            self._random = np.random.RandomState()
            self._random.set_state(state[1])
        self._ahead = list(state[2])

    def bits(self) -> int:
        """The next number below 2**32."""
        if not self._ahead:
            if self._random is None:
                self._random = np.random.RandomState(self._seed)
            self._ahead = self._random.randint(0, _RANGE, _AT_A_TIME, dtype=np.uint32).tolist()[::-1]
        return self._ahead.pop()

    def unit(self) -> float:
        """A float32 from 0 to 1 (Compat: rounding makes a 1 of the last 128 of 2**32 numbers)."""
        return float(np.float32(self.bits())) / _RANGE

    def uniform(self, low: float, high: float) -> float:
        """A float32 between ``low`` and ``high``."""
        low32 = np.float32(low)
        return float(np.float32(self.unit()) * (np.float32(high) - low32) + low32)

    def integer(self, low: int, high: int) -> int:
        """An integer from ``low`` to ``high``, both included; ``ValueError`` when ``high`` is less than ``low``."""
        count = high - low + 1
        if count <= 0:
            raise ValueError(f"no integer lies between {low} and {high}")
        share = (_RANGE - 1) // count
        while (drawn := self.bits()) >= count * share:
            pass
        return low + drawn // share

    def coin(self) -> bool:
        """True in half of the cases."""
        first, second = self.bits(), self.bits()
        return (first + second * _RANGE) / (_RANGE * _RANGE) < 0.5

    def normals(self, deviation: float, count: int) -> list[float]:
        """``count`` normally distributed float32 of mean 0, by the polar method, which makes them in pairs."""
        drawn: list[float] = []
        one, scale = np.float32(1), np.float32(deviation)
        while len(drawn) < count:
            x, y = (np.float32(2) * np.float32(self.unit()) - one for _ in range(2))
            square = x * x + y * y
            if square > 1 or square == 0:
                continue
            factor = np.float32(math.sqrt(np.float32(-2) * np.float32(math.log(square)) / square))
            drawn += [float(y * factor * scale), float(x * factor * scale)]
        return drawn[:count]

    def shuffle(self, items: list) -> None:
        """Bring the items into a random order."""
        for i in range(1, len(items)):
            k = self.integer(0, i)
            items[i], items[k] = items[k], items[i]
