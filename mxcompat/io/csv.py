"""Rows of numbers from text files, for ``CSVIter``."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Generator
from typing import Any

import numpy as np

from mxcompat.base import MXNetError
from mxcompat.io.digits import plain_rows, scaled
from mxcompat.io.files import expand

__all__ = ["CSVRows", "CSVSamples", "plain_numbers", "strtof"]

_BLOCK = 1 << 18  # bytes read at a time: what is computed with them stays in the cache
_PLAIN = {"f": b"0123456789.,-+ ", "i": b"0123456789,-+ "}  # what the fast way of reading numbers is given
_OCTAL = re.compile(rb"(?:^|,)[ +-]*0\d")
_INTEGER = re.compile(rb"[ \t\v\f]*([+-]?)(?:0[xX]([0-9a-fA-F]+)|(0[0-7]*)|([1-9]\d*))")
_FLOAT = re.compile(
    rb"[ \t\v\f]*([+-]?)(?:(infinity|inf)|(nan(?:\(\w*\))?)|(\d*)(\.\d*)?(?:[eE]([+-]?)(\d*))?[fF]?)", re.I
)
_BOM = b"\xef\xbb\xbf"


def strtof(text: bytes) -> tuple[np.float32, int]:
    """The float32 that ``text`` begins with, as the original computes it, and how many bytes it takes.

    Compat: integer and fractional part are rounded to float32 each and added, then scaled by the exponent.
    """
    match = _FLOAT.match(text)
    assert match is not None  # every part of the pattern is optional
    sign, infinite, nan, whole, fraction, down, exponent = match.groups()
    if infinite or nan:
        value = np.float32(math.inf if infinite else math.nan)
    else:
        digits = (fraction or b"")[1:20]
        value = np.float32(int(whole[-64:] or b"0") % 2**64)  # 10**64 is a multiple of 2**64
        value += np.float32(int(digits or b"0") / 10 ** len(digits))
        value = np.float32(scaled(value, int((exponent or b"").lstrip(b"0")[:9] or b"0"), down == b"-"))
    end = match.end()
    if not any((infinite, nan, whole, fraction, exponent is not None, text[end - 1 : end] in (b"f", b"F"))):
        end = match.end(1) if sign else 0
    return (-value if sign == b"-" else value), end


def plain_numbers(fields: list[bytes]) -> np.ndarray:
    """What ``strtof`` makes of numbers without exponents; ``ValueError`` for what is no number."""
    exact = np.array([float(field) for field in fields])
    size = np.abs(exact)
    odd = np.flatnonzero(~(size < 2.0**63))  # whole parts that wrap around, infinite, no number
    size[odd] = 0
    whole = np.floor(size)
    values = whole.astype(np.float32) + (size - whole).astype(np.float32)
    values = np.copysign(values, exact).astype(np.float32)
    for place in odd:
        values[place] = strtof(fields[place])[0]
    return values


def _strtoll(text: bytes) -> tuple[int, int]:
    """The integer that ``text`` begins with (0x… hexadecimal, 0… octal), and how many bytes it takes."""
    match = _INTEGER.match(text)
    if match is None:
        return 0, 0
    sign, hexadecimal, octal, decimal = match.groups()
    value = int(hexadecimal, 16) if hexadecimal else int(octal, 8) if octal else int(decimal[:20])
    value = -value if sign == b"-" else value
    return max(min(value, 2**63 - 1), -(2**63)), match.end()


def _row(line: bytes, number: Callable[[bytes], tuple[Any, int]]) -> list:
    """The numbers of one line; a field that does not begin with a number gives none."""
    found = []
    place = 0
    while place < len(line):
        value, used = number(line[place:])
        if used:
            found.append(value)
        comma = line.find(b",", place + used)
        place = len(line) if comma < 0 else comma + 1
    return found


def _usual(text: bytes) -> bytes:
    """The lines with the usual ends, and without the spaces that some programs write behind commas."""
    if b"\r" in text:
        text = text.replace(b"\r\n", b"\n")
    if b" " in text:
        text = text.replace(b", ", b",")
    return text if text.endswith(b"\n") else text + b"\n"


class CSVRows:
    """The rows of text files as arrays (rows, *shape) of ``dtype`` float32, int32 or int64."""

    def __init__(self, uri: str, parameter: str, shape: tuple[int, ...], dtype: str):
        self.paths = expand(uri, parameter)
        self.uri, self.parameter, self.shape, self.dtype = uri, parameter, shape, np.dtype(dtype)
        self.width = math.prod(shape)
        self.restart()

    def restart(self) -> None:
        """Go back to the first row."""
        self._blocks = self._read()
        self._ready = np.empty((0, self.width), self.dtype)

    def close(self) -> None:
        """Close the file that is being read."""
        self._blocks.close()

    def take(self, count: int) -> np.ndarray:
        """The next ``count`` rows, or those that are left."""
        parts = []
        while count:
            if not len(self._ready):
                block = next(self._blocks, None)
                if block is None:
                    break
                self._ready = block
            parts.append(self._ready[:count])
            self._ready = self._ready[count:]
            count -= len(parts[-1])
        rows = np.concatenate(parts) if parts else self._ready[:0]
        return rows.reshape(-1, *self.shape)

    def _read(self) -> Generator[np.ndarray, None, None]:
        for path in self.paths:
            first = 1
            with open(path, "rb") as stream:
                while block := stream.read(_BLOCK):
                    block += stream.readline()
                    text = block.removeprefix(_BOM) if first == 1 else block
                    rows = plain_rows(_usual(text), self.width, self.dtype)
                    if rows is None:
                        lines = text.splitlines()
                        rows = self._parse(path, first, lines)
                        first += len(lines)
                    else:
                        first += len(rows)
                    yield rows

    def _parse(self, path: str, first: int, lines: list[bytes]) -> np.ndarray:
        filled = [line for line in lines if line]
        rows = self._fast(filled)
        if rows is not None:
            return rows
        number = strtof if self.dtype.kind == "f" else _strtoll
        parsed = [(at, _row(line, number)) for at, line in enumerate(lines, first) if line]
        for at, row in parsed:
            if len(row) != self.width:
                raise MXNetError(
                    f"CSVIter: {path}: line {at}: The data size in CSV do not match size of shape: {self.parameter} "
                    f"expects {self.width} numbers for shape {self.shape}, the line has {len(row)}"
                )
        values = np.array([row for _, row in parsed], np.float32 if self.dtype.kind == "f" else np.int64)
        return values.astype(self.dtype, copy=False).reshape(-1, self.width)

    def _fast(self, lines: list[bytes]) -> np.ndarray | None:
        """All numbers at once, None where a line is not just as many plain numbers as it should."""
        text = b",".join(lines)
        fields = text.split(b",")
        if text.translate(None, _PLAIN[self.dtype.kind]) or any(line.count(b",") != self.width - 1 for line in lines):
            return None
        try:
            if self.dtype.kind == "i":
                if _OCTAL.search(text):
                    return None
                return np.array([int(field) for field in fields], np.int64).astype(self.dtype).reshape(-1, self.width)
            return plain_numbers(fields).reshape(-1, self.width)
        except (ValueError, OverflowError):
            return None


class CSVSamples:
    """Rows of data with rows of labels, or zeros."""

    def __init__(self, data: CSVRows, label: CSVRows | None):
        self.data, self.label = data, label

    @property
    def source(self) -> str:
        """The files of the data."""
        return self.data.uri

    def take(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Data and labels of the next ``count`` rows, or of those that are left."""
        data = self.data.take(count)
        if self.label is None:
            return data, np.zeros((len(data), 1), data.dtype)
        label = self.label.take(len(data))
        if len(label) < len(data):
            raise MXNetError(f"CSVIter: label_csv={self.label.uri!r} has fewer rows than data_csv={self.data.uri!r}")
        return data, label

    def restart(self) -> None:
        """Go back to the first row."""
        for rows in (self.data, self.label):
            if rows is not None:
                rows.close()
                rows.restart()

    def close(self) -> None:
        """Close the files."""
        for rows in (self.data, self.label):
            if rows is not None:
                rows.close()
