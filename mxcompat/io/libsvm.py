"""Rows of sparse numbers from text files, for ``LibSVMIter``."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import numpy as np

from mxcompat import ndarray as nd
from mxcompat.base import MXNetError
from mxcompat.context import Context
from mxcompat.io.csv import plain_numbers, strtof
from mxcompat.io.files import expand, part_of_lines

__all__ = ["LibSVMRows", "LibSVMSamples", "SparseRows"]

_BLOCK = 1 << 20  # bytes read at a time


class SparseRows:
    """Rows of ``width`` numbers, most of them 0: row i has ``values[starts[i]:starts[i + 1]]`` at these ``indices``."""

    def __init__(self, values: np.ndarray, indices: np.ndarray, starts: np.ndarray, width: int):
        self.values, self.indices, self.starts, self.width = values, indices, starts, width

    def __len__(self) -> int:
        return len(self.starts) - 1

    def part(self, first: int, last: int) -> SparseRows:
        """The rows from ``first`` up to ``last``."""
        starts = self.starts[first : last + 1]
        used = slice(starts[0], starts[-1])
        return SparseRows(self.values[used], self.indices[used], starts - starts[0], self.width)

    @staticmethod
    def join(parts: Sequence[SparseRows]) -> SparseRows:
        """Rows one behind the other."""
        counts = [np.diff(part.starts) for part in parts]
        starts = np.concatenate([[0], np.cumsum(np.concatenate(counts))]).astype(np.int64)
        values, indices = (np.concatenate([getattr(part, name) for part in parts]) for name in ("values", "indices"))
        return SparseRows(values, indices, starts, parts[0].width)

    def array(self, context: Context) -> Any:
        """The rows as a csr array."""
        shape = (len(self), self.width)
        return nd.sparse.csr_matrix((self.values, self.indices, self.starts), shape=shape, ctx=context, dtype="float32")


class LibSVMRows:
    """Labels and rows of a part of text files: on each line a label and pairs of index and value."""

    def __init__(self, uri: str, parameter: str, width: int, num_parts: int, part_index: int):
        self.parts = part_of_lines(expand(uri, parameter), num_parts, part_index)
        self.uri, self.parameter, self.width = uri, parameter, width
        self.restart()

    def restart(self) -> None:
        """Go back to the first row."""
        self._blocks = self._read()
        self._ready = (np.empty(0, np.float32), self._rows([], [], [0]))

    def close(self) -> None:
        """Close the file that is being read."""
        self._blocks.close()

    def take(self, count: int) -> tuple[np.ndarray, SparseRows]:
        """Labels and rows of the next ``count`` lines, or of those that are left."""
        parts = []
        while count:
            labels, rows = self._ready
            if not len(labels):
                block = next(self._blocks, None)
                if block is None:
                    break
                self._ready = block
                continue
            used = min(count, len(labels))
            parts.append((labels[:used], rows.part(0, used)))
            self._ready = (labels[used:], rows.part(used, len(labels)))
            count -= used
        if not parts:
            return self._ready
        return np.concatenate([labels for labels, _ in parts]), SparseRows.join([rows for _, rows in parts])

    def _rows(self, values: Any, indices: list[int], starts: list[int]) -> SparseRows:
        return SparseRows(
            np.asarray(values, np.float32), np.array(indices, np.int64), np.array(starts, np.int64), self.width
        )

    def _read(self) -> Generator[tuple[np.ndarray, SparseRows], None, None]:
        for path, start, stop in self.parts:
            lines: list[bytes] = []
            number, size = 1, 0
            with open(path, "rb") as stream:
                stream.seek(start)
                while start < stop:
                    lines.append(stream.readline())
                    start, size = start + len(lines[-1]), size + len(lines[-1])
                    if size >= _BLOCK or start >= stop:
                        yield self._parse(path, number, lines)
                        number, lines, size = number + len(lines), [], 0

    def _parse(self, path: str, first: int, lines: list[bytes]) -> tuple[np.ndarray, SparseRows]:
        labels: list[bytes] = []
        values: list[bytes] = []
        indices: list[int] = []
        starts = [0]
        for number, line in enumerate(lines, first):
            fields = line.partition(b"#")[0].split()
            if not fields:
                continue
            try:
                labels.append(fields[0].partition(b":")[0])
                _check_number(labels[-1])
                for field in fields[1:]:
                    if not field.startswith(b"qid:"):
                        self._add(field, indices, values)
            except ValueError as error:
                raise MXNetError(f"LibSVMIter: {path}: line {number} of the part: {error}") from None
            starts.append(len(indices))
        return _float32(labels), self._rows(_float32(values), indices, starts)

    def _add(self, field: bytes, indices: list[int], values: list[bytes]) -> None:
        """One pair; a value that is left out is 1."""
        index, _, value = field.partition(b":")
        _check_number(index)
        place = int(index)
        if not 0 <= place < self.width:
            raise ValueError(
                f"index {place} is not below {self.width}, the size that {self.parameter} should have (the first index is 0)"
            )
        _check_number(value or b"1")
        indices.append(place)
        values.append(value or b"1")


def _check_number(field: bytes) -> None:
    float(field)
    if b"_" in field:  # which Python allows
        raise ValueError(f"could not convert string to float: {field!r}")


def _float32(fields: list[bytes]) -> np.ndarray:
    """The numbers as the original reads them."""
    found = plain_numbers(fields) if fields else np.empty(0, np.float32)
    for place, field in enumerate(fields):
        if b"e" in field or b"E" in field:
            found[place] = strtof(field)[0]
    return found


class LibSVMSamples:
    """Rows with the labels of their own lines, or with the rows of other files as labels."""

    def __init__(self, data: LibSVMRows, label: LibSVMRows | None):
        self.data, self.label = data, label

    @property
    def source(self) -> str:
        """The files of the data."""
        return self.data.uri

    def take(self, count: int) -> tuple[Any, Any]:
        """Data and labels of the next ``count`` lines, or of those that are left."""
        labels, rows = self.data.take(count)
        if self.label is None:
            return rows, labels
        _, other = self.label.take(len(rows))
        if len(other) < len(rows):
            raise MXNetError(
                f"LibSVMIter: label_libsvm={self.label.uri!r} has fewer rows than data_libsvm={self.data.uri!r}"
            )
        return rows, other

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
