"""RecordIO (``.rec``), its index (``.idx``) and the header of image records, as bytes.

A record is stored as one or more parts::

    u32 magic, u32 (flag << 29 | length), payload, zeros up to a multiple of 4

Flag 0 is a whole record; 1, 2 and 3 are the first, a middle and the last part of a record that was cut wherever the
magic itself stands at a multiple of 4 in its payload; those four bytes are left out and put back on reading.
"""

from __future__ import annotations

import numbers
import os
import struct
from collections import namedtuple
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from mxcompat.base import DamagedFile, MXNetError

__all__ = ["IRHeader", "RecordReader", "RecordWriter", "next_record", "pack", "read_index", "record_chunks"]
__all__ += ["record_starts", "split_records", "unpack"]

MAGIC = 0xCED7230A
MAGIC_BYTES = struct.pack("<I", MAGIC)
MAX_LENGTH = (1 << 29) - 1
WHOLE, FIRST, MIDDLE, LAST = range(4)
_SEARCH = 1 << 20  # bytes looked at together
_SHOWN = 100  # characters of a line in messages
_PART = struct.Struct("<II")
_HEADER = struct.Struct("<IfQQ")

# ``label`` is a number, or the labels as an array; ``id`` identifies the record, ``id2`` holds its higher bits.
# Compat: it prints as HEADER.
IRHeader = namedtuple("HEADER", ["flag", "label", "id", "id2"])  # type: ignore[name-match]
IRHeader.__qualname__ = "IRHeader"  # under which pickle finds it


class RecordReader:
    """Reads the records of a file one after another, from any position a record starts at."""

    def __init__(self, path: str | os.PathLike):
        self.path = os.fspath(path)
        try:
            self.stream = open(path, "rb")  # noqa: SIM115  closed by close()
        except OSError as error:
            raise MXNetError(f"{self.path}: cannot be read: {error.strerror}") from error

    def close(self) -> None:
        self.stream.close()

    def tell(self) -> int:
        """Offset of the next record in bytes."""
        return self.stream.tell()

    def seek(self, offset: int) -> None:
        """Goes to the record at ``offset``, given in bytes."""
        self.stream.seek(offset)

    def read(self) -> bytes | None:
        """The next record, None at the end of the file; ``MXNetError`` with the offset for a damaged one."""
        start = self.stream.tell()
        part = self._part()
        if part is None:
            return None
        flag, content = part
        if flag == WHOLE:
            return content
        if flag != FIRST:
            raise self._error(start, f"a record cannot start with a part of flag {flag}")
        pieces = [content]
        while flag != LAST:
            offset = self.stream.tell()
            part = self._part()
            if part is None:
                raise self._error(offset, f"truncated: the record of offset {start} ends without its last part")
            flag, content = part
            if flag not in (MIDDLE, LAST):
                raise self._error(offset, f"a part of flag {flag} inside the record of offset {start}")
            pieces.append(content)
        return MAGIC_BYTES.join(pieces)

    def __iter__(self) -> Iterator[bytes]:
        """The records from here to the end."""
        return iter(self.read, None)

    def _part(self) -> tuple[int, bytes] | None:
        head = self.stream.read(_PART.size)
        if not head:
            return None
        offset = self.stream.tell() - len(head)
        if len(head) < _PART.size:
            raise self._error(offset, f"truncated: the head of a part takes {_PART.size} bytes, {len(head)} are left")
        magic, word = _PART.unpack(head)
        if magic != MAGIC:
            raise self._error(offset, f"no record starts here: found {magic:#010x}, expected {MAGIC:#010x}")
        length = word & MAX_LENGTH
        padded = length + -length % 4
        if padded > _SEARCH:  # reading claims the memory before it looks how much there is
            left = os.fstat(self.stream.fileno()).st_size - offset - _PART.size
            content = self.stream.read(min(padded, max(left, 0)))
        else:
            content = self.stream.read(padded)
        if len(content) < padded:
            raise self._error(offset, f"truncated: the part takes {padded} bytes, {len(content)} are left")
        return word >> 29, content[:length] if padded > length else content

    def _error(self, offset: int, problem: str) -> MXNetError:
        return MXNetError(f"{self.path}: offset {offset}: {problem}")


def split_records(
    content: bytes, path: str, base: int = 0, whole: bool = True
) -> tuple[list[tuple[bytes | memoryview, int]], int]:
    """The records in bytes that begin with one: payloads with their offsets, and how many bytes they take.

    ``base`` is the offset of ``content`` in the file ``path``. A damaged record raises ``MXNetError`` when it is the first
    one, else those before it are what is found. What is left of a record at the end is damaged if the content should be
    ``whole``, else not counted.
    """
    size, place = len(content), 0
    found: list[tuple[bytes | memoryview, int]] = []
    while place < size:
        try:
            payload, end = _record_at(content, place, path, base)
        except MXNetError:
            if found:
                break
            raise
        if payload is None:
            if whole and not found:
                raise MXNetError(f"{path}: offset {base + place}: truncated: the record is longer than the file")
            break
        found.append((payload, base + place))
        place = end
    return found, place


def _record_at(content: bytes, place: int, path: str, base: int) -> tuple[bytes | memoryview | None, int]:
    """The payload of the record at ``place`` and where the next one begins; None for one that is not complete."""
    pieces: list[memoryview] = []
    while True:
        flag, begin, end = _part_at(content, place, path, base)
        padded = end + -end % 4
        if padded > len(content):
            return None, place
        if (flag in (WHOLE, FIRST)) != (not pieces):
            raise MXNetError(f"{path}: offset {base + place}: no part of flag {flag} can stand there")
        pieces.append(memoryview(content)[begin:end])
        place = padded
        if flag in (WHOLE, LAST):
            return (pieces[0] if len(pieces) == 1 else MAGIC_BYTES.join(pieces)), place


def _part_at(content: bytes, place: int, path: str, base: int) -> tuple[int, int, int]:
    """Flag, begin and end of the payload of the part at ``place``; one whose head is cut off ends behind everything."""
    if place + _PART.size > len(content):
        return WHOLE, place, len(content) + 1
    magic, word = _PART.unpack_from(content, place)
    if magic != MAGIC:
        raise MXNetError(
            f"{path}: offset {base + place}: no record starts here: found {magic:#010x}, expected {MAGIC:#010x}"
        )
    begin = place + _PART.size
    return word >> 29, begin, begin + (word & MAX_LENGTH)


def next_record(path: str | os.PathLike, offset: int) -> int:
    """The first multiple of 4 from ``offset`` on at which a record begins, or the size of the file."""
    with open(path, "rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        while offset < size:
            stream.seek(offset)
            block = stream.read(_SEARCH + 8)
            place = -1
            while (place := block.find(MAGIC_BYTES, place + 1)) >= 0 and place < _SEARCH:
                word = block[place + 4 : place + 8]
                if place % 4 == 0 and len(word) == 4 and word[3] >> 5 in (WHOLE, FIRST):
                    return offset + place
            offset += _SEARCH
    return size


def record_starts(path: str | os.PathLike, stop: int | None = None) -> list[int]:
    """The offsets at which the records of a file begin, up to ``stop``, from the heads of the parts alone."""
    starts = []
    with open(path, "rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        place = 0
        while place < (size if stop is None else min(stop, size)):
            stream.seek(place)
            head = stream.read(_PART.size)
            if len(head) < _PART.size:
                break
            magic, word = _PART.unpack(head)
            if magic != MAGIC:
                raise MXNetError(f"{os.fspath(path)}: offset {place}: no record starts here")
            if word >> 29 in (WHOLE, FIRST):
                starts.append(place)
            length = word & MAX_LENGTH
            place += _PART.size + length + -length % 4
    return starts


class RecordWriter:
    """Writes records one after another into a new file."""

    def __init__(self, path: str | os.PathLike):
        self.path = os.fspath(path)
        try:
            self.stream = open(path, "wb")  # noqa: SIM115  closed by close()
        except OSError as error:
            raise MXNetError(f"{self.path}: cannot be written: {error.strerror}") from error

    def close(self) -> None:
        self.stream.close()

    def tell(self) -> int:
        """Offset in bytes at which the next record will start."""
        return self.stream.tell()

    def write(self, payload: bytes | bytearray | memoryview) -> None:
        """Appends a record of less than 512 MiB."""
        self.stream.writelines(record_chunks(payload))


def record_chunks(payload: bytes | bytearray | memoryview) -> list[bytes]:
    """The pieces of a stored record; ``MXNetError`` for one that is too long for the format."""
    payload = bytes(payload)
    if len(payload) > MAX_LENGTH:
        raise MXNetError(f"a record has {len(payload)} bytes, the format holds at most {MAX_LENGTH}")
    pieces = _cut(payload)
    chunks = []
    for index, piece in enumerate(pieces):
        if len(pieces) == 1:
            flag = WHOLE
        else:
            flag = FIRST if index == 0 else LAST if index == len(pieces) - 1 else MIDDLE
        chunks += [_PART.pack(MAGIC, flag << 29 | len(piece)), piece, bytes(-len(piece) % 4)]
    return chunks


def _cut(payload: bytes) -> list[bytes]:
    """The payload without the magics that stand at multiples of 4, cut where they stood."""
    pieces = []
    start = place = 0
    while (place := payload.find(MAGIC_BYTES, place)) >= 0:
        if place % 4:
            place += 1
            continue
        pieces.append(payload[start:place])
        start = place = place + 4
    return [*pieces, payload[start:]]


def read_index(path: str | os.PathLike, key_type: Callable[[str], Any] = int) -> list[tuple[Any, int]]:
    """Keys and byte offsets of an ``.idx`` file, in file order; empty lines are passed over.

    Raises ``DamagedFile`` (a ``ValueError``) naming the line that is not a key, a TAB and an offset.
    """
    entries = []
    with open(path, "rb") as stream:
        for number, line in enumerate(stream, 1):
            try:
                fields = line.decode("utf-8").strip().split("\t")
                if fields == [""]:
                    continue
                entries.append((key_type(fields[0]), int(fields[1])))
            except (ValueError, IndexError):
                raise DamagedFile(
                    f"{os.fspath(path)}: line {number}: expected a key, a TAB and an offset, found {_excerpt(line)}"
                ) from None
    return entries


def _excerpt(line: bytes) -> str:
    text = line.decode("utf-8", "backslashreplace")
    return repr(text) if len(text) <= _SHOWN else f"{text[:_SHOWN]!r}..."


class _ShortRecord(DamagedFile, struct.error):
    """Compat: programs catch ``struct.error`` for a record without a whole header."""


def pack(header: Any, s: bytes) -> bytes:
    """A record of the header (flag, label, id, id2) and the payload ``s``.

    A number as label is stored in the header, with flag 0 whatever was given. Labels as a list or an array are stored
    as float32 between header and payload, with their number as flag.
    """
    header = IRHeader(*header)
    labels = b""
    if isinstance(header.label, numbers.Number):
        header = header._replace(flag=0)
    else:
        array = np.asarray(header.label, dtype="<f4")
        header, labels = header._replace(flag=array.size, label=0), array.tobytes()
    return _HEADER.pack(*header) + labels + s


def unpack(s: bytes) -> tuple[Any, bytes]:
    """The header and the payload of a record that ``pack`` made; several labels come as a float32 array.

    Raises ``DamagedFile`` for a record shorter than a header (``struct.error`` too) or than its labels (``ValueError``).
    """
    if len(s) < _HEADER.size:
        raise _ShortRecord(f"a record of {len(s)} bytes is shorter than its header of {_HEADER.size} bytes")
    header, payload = IRHeader(*_HEADER.unpack_from(s)), s[_HEADER.size :]
    if not header.flag:
        return header, payload
    size = 4 * header.flag
    if len(payload) < size:
        raise DamagedFile(f"a record announces {header.flag} labels of 4 bytes, {len(payload)} bytes follow its header")
    return header._replace(label=np.frombuffer(payload, "<f4", header.flag)), payload[size:]
