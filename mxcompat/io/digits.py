"""Lines of decimal numbers, all of them at once: eight digits are one 64-bit word."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

__all__ = ["plain_rows", "scaled"]

_CHARACTERS = b"0123456789.,-+eE\n"
_COMMA, _LINE, _DOT, _MINUS, _PLUS, _ZERO = b",\n.-+0"
_MOST = 19  # digits that a 64-bit word holds for certain; the original looks at so many behind the point
_WORD = 8
#: bytes of a word -> which bits of it are those of its last 0 to 8 (4) digits
_DIGITS = {
    size: np.array([int.from_bytes(bytes(size - count) + b"\x0f" * count, "little") for count in range(size + 1)], kind)
    for size, kind in ((4, np.uint32), (8, np.uint64))
}
#: how neighbours are joined to pairs, pairs to fours, these to the whole: factor, bits between them, what to keep
_JOINTS = ((10, 8, 0x00FF00FF00FF00FF), (100, 16, 0x0000FFFF0000FFFF), (10000, 32, 0xFFFFFFFF))
_POWERS = 10.0 ** np.arange(_MOST + 1)


@np.errstate(over="ignore", under="ignore", invalid="ignore")
def scaled(values: Any, exponent: int, down: bool) -> Any:
    """float32 ``values`` times, or divided by, a power of ten, in the original's steps."""
    exponent = min(exponent, 38)
    if exponent == 38:
        limit = np.float32(1.175494351 if down else 3.402823466)
        values = np.where(values < limit if down else values > limit, limit, values)
    scale = np.float32(1)
    for step in (1e8,) * (exponent // 8) + (10.0,) * (exponent % 8):
        scale = scale * np.float32(step)
    return values / scale if down else values * scale


def plain_rows(text: bytes, width: int, dtype: np.dtype) -> np.ndarray | None:
    """The numbers of lines, each of ``width`` numbers with commas between them, as float32, int32 or int64.

    None where there is anything else, such as spaces, empty lines, hexadecimal numbers or more than 19 digits.
    """
    if sys.byteorder != "little" or not text.endswith(b"\n") or text.translate(None, _CHARACTERS):
        return None
    if dtype.kind == "i" and any(sign in text for sign in (b".", b"e", b"E")):
        return None
    numbers = _Numbers(text)
    ends = numbers.ends
    lines = numbers.bytes[ends] == _LINE
    if len(ends) % width or not lines[width - 1 :: width].all() or np.count_nonzero(lines) * width != len(ends):
        return None
    if not numbers.find_parts(text):
        return None
    values = numbers.integers(dtype) if dtype.kind == "i" else numbers.floats()
    return None if values is None else values.reshape(-1, width)


class _Numbers:
    """Where the parts of each number begin and end in a text."""

    def __init__(self, text: bytes):
        padded = bytes(_WORD) + text  # there is a whole word in front of every place
        self.bytes = np.frombuffer(padded, np.uint8)
        self.words: dict[int, np.ndarray] = {
            size: np.ndarray((len(padded) - size + 1,), f"<u{size}", buffer=padded, strides=(1,)) for size in _DIGITS
        }
        self.ends = np.flatnonzero((self.bytes == _COMMA) | (self.bytes == _LINE))

    def find_parts(self, text: bytes) -> bool:
        """Find sign, whole part, fraction and exponent of each number; whether that is all there is."""
        starts = np.empty_like(self.ends)
        starts[0], starts[1:] = _WORD, self.ends[:-1] + 1
        self.negative, signed = self._sign(starts)
        self.starts = starts + signed
        self.mantissa_ends, self.exponents = self.ends, np.empty(0, np.int64)
        signs = int(np.count_nonzero(signed))
        if b"e" in text or b"E" in text:
            places = np.flatnonzero((self.bytes | 32) == ord("e"))
            self.exponents = np.searchsorted(self.ends, places)
            self.mantissa_ends = self.ends.copy()
            self.mantissa_ends[self.exponents] = places
            self.exponent_negative, signed = self._sign(places + 1)
            self.exponent_starts = places + 1 + signed
            signs += int(np.count_nonzero(signed))
        if signs != sum(np.count_nonzero(self.bytes == sign) for sign in (_MINUS, _PLUS)) or not self._find_points():
            return False
        self.whole, self.fraction = self.points - self.starts, np.maximum(self.mantissa_ends - self.points - 1, 0)
        digits = self.whole + self.fraction
        return bool(
            (digits > 0).all() and max(self.whole.max(), self.fraction.max()) <= _MOST and self.whole.min() >= 0
        )

    def _sign(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Whether there is a minus, and whether there is a sign at all."""
        found = self.bytes[places]
        negative = found == _MINUS
        return negative, negative | (found == _PLUS)

    def _find_points(self) -> bool:
        """Where the whole parts end; False where a number has two points or two exponents."""
        points = np.flatnonzero(self.bytes == _DOT)
        self.points = self.mantissa_ends
        if len(points) == len(self.ends) and (points < self.ends).all() and (points[1:] > self.ends[:-1]).all():
            self.points = points
        elif len(points):
            owners = np.searchsorted(self.ends, points)
            if (np.diff(owners) == 0).any():
                return False
            self.points = self.mantissa_ends.copy()
            self.points[owners] = points
        if not len(self.exponents):
            return True
        return not ((np.diff(self.exponents) == 0).any() or (self.points > self.mantissa_ends).any())

    def _digits(self, ends: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """The value of the digits in front of each end."""
        longest = int(lengths.max())
        if longest <= _WORD:
            return self._word(ends, lengths, _WORD if longest > _WORD // 2 else _WORD // 2)
        total = self._word(ends, np.minimum(lengths, _WORD), _WORD)
        for skipped in range(_WORD, longest, _WORD):
            more = np.clip(lengths - skipped, 0, _WORD)
            total += self._word(np.maximum(ends - skipped, _WORD), more, _WORD) * np.uint64(10**skipped)
        return total

    def _word(self, ends: np.ndarray, lengths: np.ndarray, size: int) -> np.ndarray:
        """The value of up to ``size`` digits, 4 or 8."""
        word = self.words[size][ends - size]
        kind = word.dtype.type
        word &= _DIGITS[size][lengths]
        for factor, bits, mask in _JOINTS[: 2 if size == 4 else 3]:
            shifted = word >> kind(bits)
            word *= kind(factor)
            word += shifted
            word &= kind(mask & (256**size - 1))
        return word

    def floats(self) -> np.ndarray | None:
        """float32: whole part and fraction are rounded and added, then scaled."""
        values = self._digits(self.points, self.whole).astype(np.float32)
        if self.points is not self.mantissa_ends:
            digits = self._digits(self.mantissa_ends, self.fraction)
            values += (digits.astype(np.float64) / _POWERS[self.fraction]).astype(np.float32)
        if len(self.exponents):
            lengths = self.ends[self.exponents] - self.exponent_starts
            if lengths.min() < 1 or lengths.max() > _WORD:
                return None
            powers = self._digits(self.ends[self.exponents], lengths).astype(np.int64)
            for down in (False, True):
                for power in np.unique(powers[self.exponent_negative == down]).tolist():
                    chosen = self.exponents[(powers == power) & (self.exponent_negative == down)]
                    values[chosen] = scaled(values[chosen], power, down)
        bits = values.view(np.uint32)
        bits |= self.negative.astype(np.uint32) << np.uint32(31)  # the sign, faster than by arithmetic
        return values

    def integers(self, dtype: np.dtype) -> np.ndarray | None:
        """Whole numbers; None for octal ones and those beyond 18 digits."""
        octal = (self.bytes[self.starts] == _ZERO) & (self.whole > 1)
        if octal.any() or self.whole.max() >= _MOST:
            return None
        values = self._digits(self.ends, self.whole).astype(np.int64)
        return np.negative(values, where=self.negative, out=values).astype(dtype, copy=False)
