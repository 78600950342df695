"""Array lists (``.params``, ``.nd``): the bytes of every MXNet version to numpy arrays, and back to what 1.9.1 writes.

A file is a header, the array records back to back, and the names::

    u64 0x112, u64 reserved, u64 n, n records, u64 m (0 or n), m times (u64 length, UTF-8 bytes)

A record starts with a u32 that tells its version: V2 (1.x; dense, csr, row_sparse), V3 (V2 under numpy shape semantics,
dense only), V1 (0.11, 0.12) and V0 (older; that number is the count of dimensions). Integers are little-endian.
Every size is checked against the length of the file before anything is allocated.
"""

from __future__ import annotations

import io
import logging
import math
import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mxcompat.base import MXNetError
from mxcompat.dtype import CODES, NAMES
from mxcompat.formats.atomic import write_atomically

__all__ = ["ArrayRecord", "dump_record", "dumps", "load", "loads", "parse_record", "save"]

LIST_MAGIC = 0x112
V1_MAGIC = 0xF993FAC8
V2_MAGIC = 0xF993FAC9
V3_MAGIC = 0xF993FACA
STORAGE_CODES = {"default": 0, "row_sparse": 1, "csr": 2}
STORAGE_NAMES = {code: name for name, code in STORAGE_CODES.items()}
AUX_NAMES: dict[str, tuple[str, ...]] = {"default": (), "row_sparse": ("indices",), "csr": ("indptr", "indices")}
INDEX_TYPES = ("int64", "int32", "int8", "uint8")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class ArrayRecord:
    """One stored array.

    ``dtype`` is a name of ``mxcompat.dtype.CODES``; ``data`` holds the values, bfloat16 as its uint16 bit patterns.
    Dense: ``data`` has ``shape``. row_sparse: ``data`` (k, ...) are the stored rows, ``aux`` = (row ids (k,),).
    csr: ``data`` (k,) are the stored values, ``aux`` = (indptr (rows + 1,), column indices (k,)).
    ``data`` is None for an array that never got memory. ``context`` is (device type code, device id), which is
    information only: every build loads every file. ``numpy_shape`` marks a V3 record, whose shape may be () (a scalar).
    Arrays that were read are writable and own their memory.
    """

    dtype: str
    shape: tuple[int, ...]
    data: np.ndarray | None
    stype: str = "default"
    aux: tuple[np.ndarray, ...] = ()
    context: tuple[int, int] = (1, 0)
    numpy_shape: bool = False

    @classmethod
    def dense(cls, data: np.ndarray, context: tuple[int, int] = (1, 0)) -> ArrayRecord:
        """The record of a dense numpy array; ``TypeError`` for an element type that files have no code for."""
        if data.dtype.name not in CODES:
            raise TypeError(f"numpy type {data.dtype} has no code in array files; expected one of {', '.join(CODES)}")
        return cls(data.dtype.name, data.shape, data, context=context)


def load(path: str | os.PathLike) -> tuple[list[ArrayRecord], list[str]]:
    """The records and the names of an array file; the names are empty for a file that holds a list.

    Raises ``MXNetError`` naming file and offset for a missing, truncated or damaged file; bytes after the last name
    are reported by the logger ``mxcompat.formats.arrays`` and otherwise ignored.
    """
    try:
        with open(path, "rb") as stream:
            if os.path.isfile(path):
                return _read_list(_Reader(stream, os.fstat(stream.fileno()).st_size, os.fspath(path)))
            return loads(stream.read(), os.fspath(path))
    except OSError as error:
        raise MXNetError(f"{os.fspath(path)}: cannot be read: {error.strerror}") from error


def loads(content: bytes | bytearray | memoryview, source: str = "<buffer>") -> tuple[list[ArrayRecord], list[str]]:
    """As ``load`` for the bytes of a file; ``source`` names them in messages."""
    return _read_list(_Reader(io.BytesIO(content), memoryview(content).nbytes, source))


def parse_record(content: bytes | bytearray | memoryview, source: str = "<buffer>") -> ArrayRecord:
    """The array of one bare record, as pickled arrays carry it; bytes behind the record raise ``MXNetError``."""
    reader = _Reader(io.BytesIO(content), memoryview(content).nbytes, source)
    record = _read_record(reader, "the array")
    if reader.left:
        raise reader.error(f"{reader.left} bytes follow the array")
    return record


def save(path: str | os.PathLike, records: Sequence[ArrayRecord], names: Sequence[str] = ()) -> None:
    """Writes an array file in one step (see ``write_atomically``); without ``names`` it holds a list.

    Raises ``MXNetError`` when the records cannot be stored or the file cannot be written.
    """
    try:
        write_atomically(path, list(_list_chunks(records, names)))
    except OSError as error:
        raise MXNetError(f"{os.fspath(path)}: cannot be written: {error.strerror}") from error


def dumps(records: Sequence[ArrayRecord], names: Sequence[str] = ()) -> bytes:
    """The bytes of an array file."""
    return b"".join(_list_chunks(records, names))


def dump_record(record: ArrayRecord) -> bytes:
    """The bytes of one bare record, as pickled arrays carry it."""
    return b"".join(_record_chunks(record, "the array"))


class _Reader:
    """A position in a file of known length; every failure names the file and the offset."""

    def __init__(self, stream: io.BufferedIOBase, size: int, source: str):
        self.stream = stream
        self.size = size
        self.source = source
        self.offset = 0

    @property
    def left(self) -> int:
        return self.size - self.offset

    def error(self, problem: str) -> MXNetError:
        return MXNetError(f"{self.source}: offset {self.offset}: {problem}")

    def require(self, count: int, what: str) -> None:
        if count > self.left:
            raise self.error(f"truncated: {what} takes {count} bytes, {self.left} are left")

    def take(self, count: int, what: str) -> bytes:
        self.require(count, what)
        content = self.stream.read(count)
        if len(content) != count:
            raise self.error(f"truncated: {what} takes {count} bytes, {len(content)} could be read")
        self.offset += count
        return content

    def numbers(self, layout: str, what: str) -> tuple[Any, ...]:
        return struct.unpack("<" + layout, self.take(struct.calcsize("<" + layout), what))

    def array(self, dtype: str, shape: tuple[int, ...], what: str) -> np.ndarray:
        """Reads the elements straight into a new array."""
        stored = _stored_type(dtype)
        count = math.prod(shape)
        self.require(count * stored.itemsize, what)
        try:
            content: np.ndarray = np.empty(shape, np.uint8 if dtype == "bool" else stored)
            if count and self.stream.readinto(content.reshape(-1).view(np.uint8).data) != content.nbytes:
                raise self.error(f"truncated: {what} takes {content.nbytes} bytes")
            if dtype == "bool":
                content = content != 0  # any other byte is no valid element of a numpy array of truth values
        except ValueError as error:
            raise self.error(f"{what} has shape {shape}, which numpy cannot hold: {error}") from None
        self.offset += count * stored.itemsize
        return content


def _stored_type(dtype: str) -> np.dtype:
    """The numpy type of the stored elements: bfloat16 is kept as bit patterns."""
    return np.dtype("uint16" if dtype == "bfloat16" else dtype).newbyteorder("<")


def _read_list(reader: _Reader) -> tuple[list[ArrayRecord], list[str]]:
    (magic,) = reader.numbers("Q", "the file header")
    if magic != LIST_MAGIC:
        reader.offset = 0
        raise reader.error(f"this is no array file: it starts with {magic:#x}, expected {LIST_MAGIC:#x}")
    _, count = reader.numbers("QQ", "the file header")
    reader.require(4 * count, f"a list of {count} arrays")
    records = [_read_record(reader, f"array {index}") for index in range(count)]
    (name_count,) = reader.numbers("Q", "the count of names")
    if name_count not in (0, count):
        raise reader.error(f"the file has {name_count} names for {count} arrays, expected none or as many")
    names = _read_names(reader, name_count)
    if reader.left:
        logger.warning("%s: %d bytes after the last array and name are ignored", reader.source, reader.left)
    return records, names


def _read_names(reader: _Reader, count: int) -> list[str]:
    reader.require(8 * count, f"a list of {count} names")
    names: dict[str, None] = {}
    for index in range(count):
        (length,) = reader.numbers("Q", f"the length of name {index}")
        content = reader.take(length, f"name {index}")
        try:
            name = content.decode("utf-8")
        except UnicodeDecodeError:
            raise reader.error(f"name {index} is {content!r}, which is not UTF-8") from None
        if name in names:
            raise reader.error(f"the name {name!r} occurs twice")
        names[name] = None
    return list(names)


def _read_record(reader: _Reader, what: str) -> ArrayRecord:
    (magic,) = reader.numbers("I", f"the start of {what}")
    if magic in (V2_MAGIC, V3_MAGIC):
        return _read_current(reader, what, numpy_shape=magic == V3_MAGIC)
    if magic == V1_MAGIC:
        (ndim,) = reader.numbers("I", f"the shape of {what}")
        shape = _read_dimensions(reader, ndim, "q", what)
    else:
        reader.require(4 * magic, f"the shape of {what}, which starts with {magic:#x} and so has {magic} dimensions,")
        shape = reader.numbers(f"{magic}I", f"the shape of {what}")
    if not shape:
        return ArrayRecord("float32", (), None)
    context, dtype = _read_context(reader, what), _read_dtype(reader, what)
    return ArrayRecord(dtype, shape, reader.array(dtype, shape, f"the data of {what}"), context=context)


def _read_current(reader: _Reader, what: str, numpy_shape: bool) -> ArrayRecord:
    """The rest of a V2 or V3 record, behind its first number."""
    (code,) = reader.numbers("i", f"the storage type of {what}")
    if code not in STORAGE_NAMES or (numpy_shape and code):
        expected = "0 (dense)" if numpy_shape else "0 (dense), 1 (row_sparse) or 2 (csr)"
        raise reader.error(f"the storage type of {what} is {code}, expected {expected}")
    stype = STORAGE_NAMES[code]
    storage_shape = _read_shape(reader, f"the stored values of {what}") if code else None
    shape = _read_shape(reader, what, numpy_shape)
    if shape is None or (not shape and not numpy_shape):
        return ArrayRecord("float32", (), None, stype, numpy_shape=numpy_shape)
    context, dtype = _read_context(reader, what), _read_dtype(reader, what)
    aux_kinds = []
    for name in AUX_NAMES[stype]:
        label = f"the {name} of {what}"
        aux_kinds.append((_read_dtype(reader, label), _read_shape(reader, label), label))
    data = reader.array(dtype, shape if storage_shape is None else storage_shape, f"the data of {what}")
    aux = tuple(reader.array(kind, size or (), label) for kind, size, label in aux_kinds)
    record = ArrayRecord(dtype, shape, data, stype, aux, context, numpy_shape)
    problem = _sparse_problem(record)
    if problem:
        raise reader.error(f"{what}: {problem}")
    return record


def _read_shape(reader: _Reader, what: str, numpy_shape: bool = False) -> tuple[int, ...] | None:
    """A shape; None for one that is unknown, which only numpy shape semantics can store."""
    (ndim,) = reader.numbers("i", f"the shape of {what}")
    if numpy_shape and ndim == -1:
        return None
    if ndim < 0:
        raise reader.error(f"{what} has {ndim} dimensions")
    return _read_dimensions(reader, ndim, "q", what, numpy_shape)


def _read_dimensions(reader: _Reader, ndim: int, kind: str, what: str, numpy_shape: bool = False) -> Any:
    reader.require(8 * ndim, f"the shape of {what} with {ndim} dimensions")
    shape = reader.numbers(f"{ndim}{kind}", f"the shape of {what}")
    if numpy_shape and -1 in shape and min(shape) == -1:
        return None
    if shape and min(shape) < 0:
        raise reader.error(f"{what} has shape {shape}, a dimension cannot be negative")
    return shape


def _read_context(reader: _Reader, what: str) -> tuple[int, int]:
    device_type, device_id = reader.numbers("ii", f"the context of {what}")
    return device_type, device_id


def _read_dtype(reader: _Reader, what: str) -> str:
    (code,) = reader.numbers("i", f"the element type of {what}")
    if code not in NAMES:
        known = ", ".join(f"{known} ({name})" for known, name in NAMES.items())
        raise reader.error(f"the element type of {what} has code {code}, expected one of {known}")
    return NAMES[code]


def _sparse_problem(record: ArrayRecord) -> str | None:
    """What makes a sparse record unusable, or None: shapes that do not fit and indices out of range."""
    if record.stype == "default" or record.data is None:
        return None
    for name, array in zip(AUX_NAMES[record.stype], record.aux):
        if array.ndim != 1 or array.dtype.name not in INDEX_TYPES:
            return f"{name} has shape {array.shape} and type {array.dtype}, expected one dimension of integers"
    stored, indices = record.data.shape, record.aux[-1]
    expected = indices.shape if record.stype == "csr" else indices.shape + record.shape[1:]
    if stored != expected:
        return f"the stored values have shape {stored}, expected {expected} from {len(indices)} indices"
    if record.stype == "csr":
        if len(record.shape) != 2:
            return f"a csr array has two dimensions, found shape {record.shape}"
        problem = _indptr_problem(record.aux[0], record.shape[0], len(indices))
        if problem:
            return problem
    bound = record.shape[1] if record.stype == "csr" else record.shape[0]
    if len(indices) and (indices.min() < 0 or indices.max() >= bound):
        return f"indices run from {indices.min()} to {indices.max()}, outside of 0 to {bound - 1}"
    return None


def _indptr_problem(indptr: np.ndarray, rows: int, stored: int) -> str | None:
    """An array without a stored value may come with an indptr that was never allocated."""
    if not stored and not len(indptr):
        return None
    if len(indptr) != rows + 1:
        return f"indptr has {len(indptr)} entries, expected {rows + 1} for {rows} rows"
    if indptr[0] != 0 or indptr[-1] != stored or (indptr[1:] < indptr[:-1]).any():
        return f"indptr does not rise from 0 to {stored}, the count of stored values"
    return None


def _list_chunks(records: Sequence[ArrayRecord], names: Sequence[str]) -> Iterator[bytes | memoryview]:
    if len(names) not in (0, len(records)):
        raise MXNetError(f"{len(names)} names were given for {len(records)} arrays")
    if len(set(names)) != len(names):
        raise MXNetError(f"the name {next(name for name in names if list(names).count(name) > 1)!r} occurs twice")
    yield struct.pack("<QQQ", LIST_MAGIC, 0, len(records))
    for index, record in enumerate(records):
        yield from _record_chunks(record, f"array {names[index]!r}" if names else f"array {index}")
    yield struct.pack("<Q", len(names))
    for name in names:
        content = name.encode("utf-8")
        yield struct.pack("<Q", len(content)) + content


def _record_chunks(record: ArrayRecord, what: str) -> Iterator[bytes | memoryview]:
    """The pieces of one V2 (or V3) record; the values are not copied when they are contiguous already."""
    _check_record(record, what)
    header = struct.pack("<Ii", V3_MAGIC if record.numpy_shape else V2_MAGIC, STORAGE_CODES[record.stype])
    if record.data is None:
        unknown = -1 if record.numpy_shape else 0
        storage = struct.pack("<i", 0) if record.stype != "default" else b""
        yield header + storage + struct.pack("<i", unknown)
        return
    if record.stype != "default":
        header += _pack_shape(record.data.shape)
    header += _pack_shape(record.shape) + struct.pack("<iii", *record.context, CODES[record.dtype])
    for array in record.aux:
        header += struct.pack("<i", CODES[array.dtype.name]) + _pack_shape(array.shape)
    yield header
    yield _content(record.data, record.dtype)
    for array in record.aux:
        yield _content(array, array.dtype.name)


def _pack_shape(shape: tuple[int, ...]) -> bytes:
    return struct.pack(f"<i{len(shape)}q", len(shape), *shape)


def _content(array: np.ndarray, dtype: str) -> memoryview | bytes:
    stored = np.ascontiguousarray(array, _stored_type(dtype))
    return stored.reshape(-1).view(np.uint8).data if stored.size else b""


def _check_record(record: ArrayRecord, what: str) -> None:
    """Raises ``MXNetError`` for a record whose parts do not fit together."""
    if record.dtype not in CODES or record.stype not in STORAGE_CODES:
        raise MXNetError(
            f"{what} has element type {record.dtype!r} and storage type {record.stype!r}, which files lack"
        )
    if record.numpy_shape and record.stype != "default":
        raise MXNetError(f"{what} is {record.stype}; numpy shape semantics stores dense arrays only")
    if record.data is None:
        return
    if record.data.dtype.newbyteorder("<") != _stored_type(record.dtype):
        raise MXNetError(f"{what} has data of type {record.data.dtype}, expected {_stored_type(record.dtype)}")
    if len(record.aux) != len(AUX_NAMES[record.stype]):
        expected = ", ".join(AUX_NAMES[record.stype]) or "none"
        raise MXNetError(f"{what} is {record.stype} with {len(record.aux)} auxiliary arrays, expected {expected}")
    if record.stype == "default" and record.data.shape != record.shape:
        raise MXNetError(f"{what} has data of shape {record.data.shape}, expected {record.shape}")
    if not record.shape and not record.numpy_shape:
        raise MXNetError(f"{what} has no dimensions, which only numpy shape semantics can store")
    problem = _sparse_problem(record)
    if problem:
        raise MXNetError(f"{what}: {problem}")
