"""Array files: the samples of every version, damaged ones, and writing to the byte what MXNet 1.9.1 writes."""

import hashlib
import json
import struct
from pathlib import Path

import numpy as np
import pytest

from mxcompat.base import MXNetError
from mxcompat.formats import arrays
from mxcompat.formats.arrays import ArrayRecord

SAMPLES = Path(__file__).parents[1] / "golden" / "samples"
CONTENTS = json.loads((SAMPLES / "samples.json").read_text(encoding="utf-8"))
CURRENT = [
    "all_dtypes.nd",
    "bool.nd",
    "convnet-0003.params",
    "empty_list.nd",
    "high_dims.nd",
    "named_dense.params",
    "np_shape_v3.nd",
    "sparse.nd",
    "unnamed_dense.nd",
]
OLDER = ["handmade_v0.nd", "handmade_v1.nd", "legacy_ndarray.v0"]


def record(shape=(2,), dtype="float32", stype=0, magic=arrays.V2_MAGIC, content=None, context=(1, 0), code=None):
    """The bytes of a dense record, any part of which can be wrong."""
    body = np.arange(int(np.prod(shape)), dtype=dtype).tobytes() if content is None else content
    code = arrays.CODES[dtype] if code is None else code
    header = struct.pack(f"<Iii{len(shape)}q", magic, stype, len(shape), *shape)
    return header + struct.pack("<iii", *context, code) + body


def array_file(*records, names=(), count=None, name_count=None):
    chunks = [struct.pack("<QQQ", 0x112, 0, len(records) if count is None else count), *records]
    chunks.append(struct.pack("<Q", len(names) if name_count is None else name_count))
    chunks += [struct.pack("<Q", len(name)) + name for name in names]
    return b"".join(chunks)


def dense(found):
    """A record as a dense array."""
    if found.stype == "default":
        return found.data
    full = np.zeros(found.shape, found.data.dtype)
    if found.stype == "row_sparse":
        full[found.aux[0]] = found.data
        return full
    indptr, columns = found.aux
    rows = np.repeat(np.arange(found.shape[0]), np.diff(indptr))
    full[rows, columns] = found.data
    return full


@pytest.mark.parametrize("name", CURRENT + OLDER)
def test_sample_has_the_recorded_content(name):
    records, names = arrays.load(SAMPLES / name)
    expected = CONTENTS[name].get("contents")
    if expected is None:
        return
    assert len(records) == len(expected)
    for key, found in zip(names or map(str, range(len(records))), records):
        stored = np.ascontiguousarray(dense(found))
        assert list(found.shape) == expected[key]["shape"]
        assert found.dtype == expected[key]["dtype"]
        assert found.stype == expected[key].get("stype", "default")
        assert hashlib.sha256(stored.tobytes()).hexdigest() == expected[key]["sha256"]
    assert bool(names) == (CONTENTS[name].get("loads_as", "dict") == "dict" and bool(records))


def test_arrays_under_numpy_shape_semantics():
    records, names = arrays.load(SAMPLES / "np_shape_v3.nd")
    assert not names
    assert [(found.shape, found.numpy_shape) for found in records] == [((0, 3), True), ((2,), True)]
    np.testing.assert_array_equal(records[1].data, [1.0, 1.0])


@pytest.mark.parametrize("name", CURRENT)
def test_writing_gives_the_bytes_of_the_original(name, tmp_path):
    content = (SAMPLES / name).read_bytes()
    records, names = arrays.loads(content)
    assert arrays.dumps(records, names) == content
    arrays.save(tmp_path / "again", records, names)
    assert (tmp_path / "again").read_bytes() == content


@pytest.mark.parametrize("name", [*CURRENT, "handmade_v0.nd", "handmade_v1.nd"])
def test_every_truncation_is_an_error(name):
    content = (SAMPLES / name).read_bytes()
    for length in range(len(content)):
        with pytest.raises(MXNetError, match=r"cut: offset \d+"):
            arrays.loads(content[:length], "cut")


def test_every_changed_byte_is_read_or_refused():
    for name in ("sparse.nd", "np_shape_v3.nd", "handmade_v0.nd", "handmade_v1.nd", "unnamed_dense.nd"):
        content = (SAMPLES / name).read_bytes()
        for place in range(len(content)):
            for value in (0, 1, 0x7F, 0x80, 0xFF):
                try:
                    arrays.loads(content[:place] + bytes([value]) + content[place + 1 :])
                except MXNetError:
                    pass


def test_a_truncated_file_names_file_and_offset(tmp_path):
    path = tmp_path / "cut.params"
    path.write_bytes((SAMPLES / "unnamed_dense.nd").read_bytes()[:70])
    with pytest.raises(MXNetError, match=r"cut\.params: offset 64: truncated: the data of array 0 takes 16 bytes, 6"):
        arrays.load(path)


@pytest.mark.parametrize("path", ["absent.params", "."])
def test_a_file_that_cannot_be_opened(path, tmp_path):
    with pytest.raises(MXNetError, match="cannot be read"):
        arrays.load(tmp_path / path)


def test_a_file_that_cannot_be_written(tmp_path):
    with pytest.raises(MXNetError, match="cannot be written"):
        arrays.save(tmp_path / "no" / "folder", [])


def test_read_arrays_are_writable_and_own_their_memory():
    records, _ = arrays.load(SAMPLES / "named_dense.params")
    for found in records:
        assert found.data.flags.writeable
        assert found.data.flags.owndata
        found.data[...] = 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "offset 0: truncated: the file header takes 8 bytes, 0 are left"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "this is no array file: it starts with 0xa1a0a0d474e5089, expected 0x112"),
        (array_file(record(stype=3)), "storage type of array 0 is 3"),
        (array_file(record(stype=-1)), "storage type of array 0 is -1"),
        (array_file(record(stype=1, magic=arrays.V3_MAGIC)), "storage type of array 0 is 1, expected 0"),
        (array_file(record(code=8)), "element type of array 0 has code 8, expected one of 0 .float32"),
        (array_file(record(code=-1)), "element type of array 0 has code -1"),
        (array_file(record((-1, 3), content=b"")), r"shape \(-1, 3\), a dimension cannot be negative"),
        (array_file(struct.pack("<Iii", arrays.V2_MAGIC, 0, -2) + bytes(20)), "array 0 has -2 dimensions"),
        (array_file(record((2**40,), content=b"")), "truncated: the data of array 0 takes 4398046511104 bytes"),
        (array_file(record((2**40,) * 9, content=b"")), "truncated: the data of array 0"),
        (array_file(record((0, 2**62), content=b"")), "numpy cannot hold"),
        (array_file(record((1,) * 70)), "numpy cannot hold"),
        (array_file(record(), count=2**62), "truncated: a list of 4611686018427387904 arrays"),
        (array_file(record(), name_count=1), "truncated: a list of 1 names"),
        (array_file(record(), name_count=2**62), "4611686018427387904 names for 1 arrays"),
        (array_file(record(), names=[b"a", b"b"]), "2 names for 1 arrays"),
        (array_file(names=[b"a"]), "1 names for 0 arrays"),
        (array_file(record(), record(), names=[b"a", b"a"]), "the name 'a' occurs twice"),
        (array_file(record(), names=[b"\xff"]), "not UTF-8"),
    ],
)
def test_refused(content, message):
    with pytest.raises(MXNetError, match=message):
        arrays.loads(content)


@pytest.mark.parametrize(
    ("stype", "shape", "stored", "aux", "message"),
    [
        ("csr", (2, 2), 2, [[0, 1, 2], [0, 2]], "indices run from 0 to 2, outside of 0 to 1"),
        ("csr", (2, 2), 2, [[0, 1, 2], [-1, 0]], "indices run from -1"),
        ("csr", (2, 2), 2, [[0, 2], [0, 1]], "indptr has 2 entries, expected 3"),
        ("csr", (2, 2), 2, [[0, 2, 1], [0, 1]], "indptr does not rise"),
        ("csr", (2, 2), 2, [[0, 1, 3], [0, 1]], "indptr does not rise"),
        ("csr", (4,), 2, [[0, 1, 2], [0, 1]], "a csr array has two dimensions"),
        ("csr", (2, 2), 3, [[0, 1, 2], [0, 1]], r"stored values have shape \(3,\), expected \(2,\)"),
        ("row_sparse", (3,), 1, [[3]], "indices run from 3 to 3, outside of 0 to 2"),
        ("row_sparse", (3,), 1, [[0, 1]], r"shape \(1,\), expected \(2,\) from 2 indices"),
        ("row_sparse", (3,), 1, [[0.0]], "expected one dimension of integers"),
    ],
)
def test_sparse_arrays_that_do_not_fit_are_refused(stype, shape, stored, aux, message):
    aux = [np.array(part) for part in aux]
    header = struct.pack("<Iiiq", arrays.V2_MAGIC, arrays.STORAGE_CODES[stype], 1, stored)
    header += struct.pack(f"<i{len(shape)}q", len(shape), *shape) + struct.pack("<iii", 1, 0, 0)
    for part in aux:
        header += struct.pack("<iiq", arrays.CODES[part.dtype.name], 1, len(part))
    content = array_file(header + bytes(4 * stored) + b"".join(part.tobytes() for part in aux))
    with pytest.raises(MXNetError, match=message):
        arrays.loads(content)
    broken = ArrayRecord("float32", shape, np.zeros(stored, "float32"), stype, tuple(aux))
    with pytest.raises(MXNetError, match=message):
        arrays.dumps([broken])


@pytest.mark.parametrize("stype", ["row_sparse", "csr"])
def test_sparse_arrays_without_values(stype):
    data = np.zeros((0, 4) if stype == "row_sparse" else (0,), "float32")
    none = np.zeros(0, "int64")
    for aux in [(none,)] if stype == "row_sparse" else [(none, none), (np.zeros(4, "int64"), none)]:
        (found,), _ = arrays.loads(arrays.dumps([ArrayRecord("float32", (3, 4), data, stype, aux)]))
        assert found.shape == (3, 4)
        assert found.data.shape == data.shape
        assert [len(part) for part in found.aux] == [len(part) for part in aux]


def test_the_context_and_the_reserved_number_are_information_only():
    content = array_file(record(context=(2, 7)), record(context=(99, -5)))
    records, _ = arrays.loads(content[:8] + b"\xff" * 8 + content[16:])
    assert [found.context for found in records] == [(2, 7), (99, -5)]


def test_bytes_behind_the_names_are_reported(caplog):
    records, _ = arrays.loads(array_file(record()) + b"xyz", "long.nd")
    assert len(records) == 1
    assert caplog.messages == ["long.nd: 3 bytes after the last array and name are ignored"]


@pytest.mark.parametrize(
    "head", [struct.pack("<Iii", arrays.V2_MAGIC, 0, 0), struct.pack("<II", arrays.V1_MAGIC, 0), bytes(4)]
)
def test_an_array_that_never_got_memory(head):
    records, _ = arrays.loads(array_file(head, record()))
    assert records[0].data is None
    np.testing.assert_array_equal(records[1].data, [0, 1])


@pytest.mark.parametrize("stype", ["default", "row_sparse", "csr"])
@pytest.mark.parametrize("numpy_shape", [False, True])
def test_an_array_without_memory_is_written_and_read(stype, numpy_shape):
    absent = ArrayRecord("float32", (), None, stype, numpy_shape=numpy_shape)
    if numpy_shape and stype != "default":
        with pytest.raises(MXNetError, match="numpy shape semantics stores dense arrays only"):
            arrays.dumps([absent])
        return
    (found,), _ = arrays.loads(arrays.dumps([absent]))
    assert found.data is None
    assert (found.stype, found.numpy_shape) == (stype, numpy_shape)


def test_unknown_dimensions_under_numpy_shape_semantics():
    head = struct.pack("<Iiiqq", arrays.V3_MAGIC, 0, 2, -1, 3)
    records, _ = arrays.loads(array_file(head, record(magic=arrays.V3_MAGIC)))
    assert records[0].data is None
    assert records[1].shape == (2,)


def test_a_scalar_needs_numpy_shape_semantics():
    scalar = np.array(2.5, "float32")
    (found,), _ = arrays.loads(arrays.dumps([ArrayRecord("float32", (), scalar, numpy_shape=True)]))
    assert found.data.shape == ()
    assert found.data == 2.5
    with pytest.raises(MXNetError, match="no dimensions"):
        arrays.dumps([ArrayRecord("float32", (), scalar)])


def test_bfloat16_is_kept_as_bit_patterns():
    bits = np.array([0x3F80, 0xC040], "uint16")
    content = arrays.dumps([ArrayRecord("bfloat16", (2,), bits)])
    assert struct.unpack_from("<i", content, 24 + 28) == (12,)
    (found,), _ = arrays.loads(content)
    assert found.dtype == "bfloat16"
    np.testing.assert_array_equal(found.data, bits)


def test_truth_values_that_are_neither_0_nor_1():
    (found,), _ = arrays.loads(array_file(record((3,), "bool", content=b"\0\2\xff")))
    assert found.data.dtype == np.bool_
    assert found.data.view("uint8").tolist() == [0, 1, 1]


def test_a_bare_record_is_what_a_pickled_array_carries():
    content = bytes.fromhex("c9fa93f9 00000000 01000000 0200000000000000 01000000 00000000 00000000 0000803f 00000040")
    assert arrays.dump_record(ArrayRecord.dense(np.array([1, 2], "float32"))) == content
    np.testing.assert_array_equal(arrays.parse_record(bytearray(content)).data, [1, 2])
    with pytest.raises(MXNetError, match="1 bytes follow"):
        arrays.parse_record(content + b"x")
    for length in range(len(content)):
        with pytest.raises(MXNetError, match="offset"):
            arrays.parse_record(content[:length])


def test_strided_data_is_written_row_by_row():
    data = np.arange(6, dtype="float32").reshape(2, 3)
    assert arrays.dump_record(ArrayRecord.dense(data.T)) == arrays.dump_record(ArrayRecord.dense(data.T.copy()))


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (ArrayRecord("uint16", (1,), np.zeros(1, "uint16")), "element type 'uint16'"),
        (ArrayRecord("float32", (1,), np.zeros(1, "float64")), "data of type float64, expected float32"),
        (ArrayRecord("float32", (2,), np.zeros(1, "float32")), r"shape \(1,\), expected \(2,\)"),
        (ArrayRecord("float32", (1,), np.zeros(1, "float32"), "csr"), "0 auxiliary arrays, expected indptr, indices"),
    ],
)
def test_records_that_cannot_be_written(found, message, tmp_path):
    with pytest.raises(MXNetError, match=message):
        arrays.save(tmp_path / "x", [found], ["a"])
    assert not list(tmp_path.iterdir())


def test_names_must_fit_the_arrays():
    one = ArrayRecord.dense(np.zeros(1, "float32"))
    with pytest.raises(MXNetError, match="2 names were given for 1 arrays"):
        arrays.dumps([one], ["a", "b"])
    with pytest.raises(MXNetError, match="the name 'a' occurs twice"):
        arrays.dumps([one, one], ["a", "a"])
    with pytest.raises(TypeError, match="uint16"):
        ArrayRecord.dense(np.zeros(1, "uint16"))
