"""The records of an epoch, in chunks: which of them a part gets, and in which order, is the original's choice.

A source has ``start()``, which begins an epoch, ``chunk(count)``, which gives the next records (about ``count`` of them
where the source has an index) or None at the end, and ``state()`` and ``restore()`` for what random orders depend on.
"""

from __future__ import annotations

import bisect
import itertools
import os
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

from mxcompat.base import MXNetError
from mxcompat.formats.recordio import next_record, read_index, record_starts, split_records
from mxcompat.io.draws import Draws
from mxcompat.io.files import expand

__all__ = ["IndexedRecords", "PartOrder", "Record", "RecordFiles", "Source", "SplitRecords"]

_WINDOW = 8 << 20  # bytes the original reads at a time
_INDEX_SEED, _PART_SEED = 111, 666


class Record(NamedTuple):
    """The payload of a record, and where it stands."""

    content: Any
    path: str
    offset: int
    place: int  # its offset in all files together

    def error(self, problem: object) -> MXNetError:
        """The error for a record that cannot be used, with its file and number."""
        number = len(record_starts(self.path, self.offset))
        return MXNetError(f"{self.path}: record {number} (offset {self.offset}): {problem}")


class Source(Protocol):
    """The records of an epoch, in chunks."""

    def start(self) -> None:
        """Begin an epoch."""

    def chunk(self, count: int) -> list[Record] | None:
        """The next records, about ``count`` of them where that can be chosen; None at the end."""

    def state(self) -> Any:
        """What the order of the coming epochs depends on."""

    def restore(self, state: Any) -> None:
        """Go back to such a state; ``start`` has to follow."""


class RecordFiles:
    """Record files as one sequence of bytes; offsets count from the beginning of the first file."""

    def __init__(self, uri: str, parameter: str):
        self.paths = expand(uri, parameter)
        sizes = [os.path.getsize(path) for path in self.paths]
        for path, size in zip(self.paths, sizes):
            if size % 4:
                raise MXNetError(f"{path}: no record file, its {size} bytes are no multiple of 4")
        self.offsets = [0, *itertools.accumulate(sizes)]
        self.size = self.offsets[-1]

    def file_at(self, offset: int) -> int:
        """The number of the file that has the byte at ``offset``."""
        return min(bisect.bisect_right(self.offsets, offset), len(self.paths)) - 1

    def read(self, start: int, stop: int) -> bytes:
        """The bytes from ``start`` to ``stop``."""
        parts = []
        while start < stop:
            number = self.file_at(start)
            end = min(stop, self.offsets[number + 1])
            with open(self.paths[number], "rb") as stream:
                stream.seek(start - self.offsets[number])
                parts.append(stream.read(end - start))
            if len(parts[-1]) < end - start:
                raise MXNetError(f"{self.paths[number]}: became shorter while it was read")
            start = end
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def records(self, start: int, stop: int, whole: bool = True) -> tuple[list[Record], int]:
        """The records between two offsets and the offset behind them; unless ``whole``, the last one may be cut off.

        Those before a damaged one are what is found, the next call raises ``MXNetError``.
        """
        found: list[Record] = []
        place = start
        while place < stop:
            number = self.file_at(place)
            base, end = self.offsets[number], min(stop, self.offsets[number + 1])
            complete = whole or end < stop
            pieces, used = split_records(self.read(place, end), self.paths[number], place - base, complete)
            found += [Record(content, self.paths[number], at, base + at) for content, at in pieces]
            place += used
            if place < end:
                break
        return found, place

    def next_start(self, offset: int) -> int:
        """The first offset from ``offset`` on where a record begins (or the file ends)."""
        number = self.file_at(offset)
        base = self.offsets[number]
        if offset == base or offset >= self.size:
            return offset
        return base + next_record(self.paths[number], offset - base)


def check_part(num_parts: int, part_index: int, name: str) -> None:
    """``MXNetError`` unless there is such a part."""
    if not 0 <= part_index < num_parts:
        raise MXNetError(f"{name}: part_index={part_index} is not one of num_parts={num_parts} parts (0 is the first)")


class SplitRecords:
    """The records that begin in a part of the bytes of the files, in their order, in chunks of up to 8 MiB."""

    def __init__(self, files: RecordFiles, num_parts: int, part_index: int):
        self.files = files
        self.set_part(num_parts, part_index)

    def set_part(self, num_parts: int, part_index: int) -> None:
        """Change the part; ``start`` has to follow."""
        share = -(-self.files.size // num_parts)
        share += -share % 4
        first, last = (min(share * i, self.files.size) for i in (part_index, part_index + 1))
        self.first, self.last = (first, first) if first == last else map(self.files.next_start, (first, last))
        self.start()

    def start(self) -> None:
        """Begin an epoch."""
        self._place = self.first

    def state(self) -> Any:
        """The order is always the same."""

    def restore(self, state: Any) -> None:
        """The order is always the same."""

    def chunk(self, count: int) -> list[Record] | None:
        """The records that are complete in the next 8 MiB, but the last of them, unless the part ends there."""
        window = _WINDOW
        while self._place < self.last:
            stop = min(self._place + window, self.last)
            full = self._place + window <= self.last
            found, place = self.files.records(self._place, stop, whole=not full)
            if full and place > stop - 8 and found:  # a chunk ends before the last record that begins in the window
                place = found.pop().place
            if found:
                self._place = place
                return found
            window *= 2
        return None


class PartOrder:
    """The records of a part, cut into smaller parts that come in a random order, another one in each epoch."""

    def __init__(self, files: RecordFiles, num_parts: int, part_index: int, pieces: int, seed: int):
        self.records = SplitRecords(files, num_parts * pieces, part_index * pieces)
        self.total, self.base = num_parts * pieces, part_index * pieces
        self.order = list(range(pieces))
        self.draws = Draws(_PART_SEED + part_index + num_parts + pieces + seed)
        self.draws.shuffle(self.order)
        self._fresh = True
        self._begin()

    def _begin(self) -> None:
        self._next = 0
        self._piece()

    def _piece(self) -> None:
        self.records.set_part(self.total, self.base + self.order[self._next])
        self._next += 1

    def start(self) -> None:
        """Begin an epoch."""
        if not self._fresh:
            self.draws.shuffle(self.order)
        self._fresh = False
        self._begin()

    def state(self) -> Any:
        """Generator and order."""
        return self.draws.state(), list(self.order), self._fresh

    def restore(self, state: Any) -> None:
        """Go back to a state."""
        self.draws.restore(state[0])
        self.order, self._fresh = list(state[1]), state[2]

    def chunk(self, count: int) -> list[Record] | None:
        """The next records, None at the end."""
        while True:
            found = self.records.chunk(count)
            if found is not None or self._next == len(self.order):
                return found
            self._piece()


class IndexedRecords:
    """The records that an index names, a part of them, in the order of their offsets or shuffled in each epoch.

    ``count`` records, and what stands between them, are a chunk; where an epoch ends inside a chunk, the next one begins
    with the rest of it.
    """

    def __init__(self, files: RecordFiles, index: str, num_parts: int, part_index: int, shuffle: bool, seed: int):
        starts = sorted(offset for _, offset in read_index(expand(index, "path_imgidx")[0], str))
        for offset in (*starts[:1], *starts[-1:]):
            if not 0 <= offset < files.size:
                raise MXNetError(f"{index}: a record at offset {offset}, the record files have {files.size} bytes")
        self.files = files
        share = -(-len(starts) // num_parts)
        self.regions = list(zip(starts, [*starts[1:], files.size]))[share * part_index : share * (part_index + 1)]
        self.draws = Draws(_INDEX_SEED + seed) if shuffle else None
        self._owed = 0
        self._order: list[int] = []
        self._place = 0

    def start(self) -> None:
        """Begin an epoch."""
        self._order = list(range(len(self.regions)))
        if self.draws is not None:
            self.draws.shuffle(self._order)
        self._place = 0

    def state(self) -> Any:
        """The generator, and how many records of a chunk are to come."""
        return (None if self.draws is None else self.draws.state()), self._owed

    def restore(self, state: Any) -> None:
        """Go back to a state."""
        if self.draws is not None:
            self.draws.restore(state[0])
        self._owed = state[1]

    def chunk(self, count: int) -> list[Record] | None:
        """The next records, None at the end."""
        count = self._owed or count
        chosen = self._order[self._place : self._place + count]
        if not chosen:
            return None
        self._owed = count - len(chosen)
        self._place += len(chosen)
        return [record for first, last in self._joined(chosen) for record in self._all(first, last)]

    def _all(self, first: int, last: int) -> list[Record]:
        """All records between two offsets."""
        found, place = self.files.records(first, last)
        return found if place == last else found + self._all(place, last)

    def _joined(self, chosen: list[int]) -> Iterator[tuple[int, int]]:
        """The bytes of the chosen records, those that follow each other as one piece."""
        first, last = self.regions[chosen[0]]
        for number in chosen[1:]:
            start, stop = self.regions[number]
            if start == last:
                last = stop
            else:
                yield first, last
                first, last = start, stop
        yield first, last
