"""RecordIO as bytes: the samples, damaged files, payloads that hold the magic, headers and index files."""

import json
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest

from mxcompat.base import MXNetError
from mxcompat.formats import recordio

SAMPLES = Path(__file__).parents[1] / "golden" / "samples"
CONTENTS = json.loads((SAMPLES / "samples.json").read_text(encoding="utf-8"))
MAGIC = recordio.MAGIC_BYTES


def part(flag, content, length=None):
    length = len(content) if length is None else length
    return MAGIC + struct.pack("<I", flag << 29 | length) + content + bytes(-len(content) % 4)


def read_all(path, content=None):
    if content is not None:
        path.write_bytes(content)
    reader = recordio.RecordReader(path)
    try:
        return list(reader)
    finally:
        reader.close()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.rec"


def test_sample_is_read_and_written_to_the_byte(path):
    records = read_all(SAMPLES / "plain.rec")
    assert [record.hex() for record in records] == CONTENTS["plain.rec"]["records_hex"]
    writer = recordio.RecordWriter(path)
    for record in records:
        writer.write(record)
    assert writer.tell() == CONTENTS["plain.rec"]["bytes"]
    writer.close()
    assert path.read_bytes() == (SAMPLES / "plain.rec").read_bytes()


@pytest.mark.parametrize("sample", ["plain.rec", "indexed.rec"])
def test_a_truncated_file_gives_its_whole_records_and_an_error(path, sample):
    content = (SAMPLES / sample).read_bytes()
    records = read_all(SAMPLES / sample)
    ends = {0}
    for record in records:
        ends.add(max(ends) + sum(map(len, recordio.record_chunks(record))))
    for length in range(len(content)):
        if length in ends:
            found = read_all(path, content[:length])
            assert found == records[: len(found)]
        else:
            with pytest.raises(MXNetError, match=r"a\.rec: offset \d+: truncated"):
                read_all(path, content[:length])


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        MAGIC,
        MAGIC * 3,
        b"ab" + MAGIC + b"cd",
        b"abcd" + MAGIC + b"ef",
        MAGIC[:3] + MAGIC,
        b"x" + MAGIC * 2,
        b"\n\n#\xd7\xce" * 8,
        bytearray(b"abc"),
        memoryview(b"abc"),
    ],
)
def test_any_payload_comes_back(path, payload):
    chunks = b"".join(recordio.record_chunks(payload))
    assert len(chunks) % 4 == 0
    assert read_all(path, chunks + part(0, b"next")) == [bytes(payload), b"next"]


def test_the_magic_is_cut_out_at_multiples_of_4_only():
    assert recordio.record_chunks(b"ab" + MAGIC + b"cd") == [MAGIC + struct.pack("<I", 8), b"ab" + MAGIC + b"cd", b""]
    chunks = recordio.record_chunks(b"abcd" + MAGIC + b"efgh" + MAGIC)
    assert b"".join(chunks) == part(1, b"abcd") + part(2, b"efgh") + part(3, b"")


def test_a_record_that_is_too_long(monkeypatch):
    monkeypatch.setattr(recordio, "MAX_LENGTH", 3)
    with pytest.raises(MXNetError, match="a record has 4 bytes, the format holds at most 3"):
        recordio.record_chunks(b"abcd")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"zzzzzzzz", "offset 0: no record starts here: found 0x7a7a7a7a, expected 0xced7230a"),
        (part(0, b"abcd") + b"abc", "offset 12: truncated: the head of a part takes 8 bytes, 3 are left"),
        (part(0, b"abcd", 500_000_000), "offset 0: truncated: the part takes 500000000 bytes, 4 are left"),
        (part(0, b"abcde")[:-1], "truncated: the part takes 8 bytes, 7 are left"),
        (part(2, b"abcd"), "a record cannot start with a part of flag 2"),
        (part(3, b"abcd"), "a record cannot start with a part of flag 3"),
        (part(7, b"abcd"), "a record cannot start with a part of flag 7"),
        (part(1, b"abcd"), "offset 12: truncated: the record of offset 0 ends without its last part"),
        (part(1, b"abcd") + part(0, b""), "offset 12: a part of flag 0 inside the record of offset 0"),
        (part(1, b"abcd") + part(1, b""), "offset 12: a part of flag 1 inside"),
    ],
)
def test_damaged_files(path, content, message):
    with pytest.raises(MXNetError, match=r"a\.rec: .*" + message):
        read_all(path, content)


def test_files_that_cannot_be_opened(tmp_path):
    with pytest.raises(MXNetError, match="cannot be read"):
        recordio.RecordReader(tmp_path / "absent.rec")
    with pytest.raises(MXNetError, match="cannot be written"):
        recordio.RecordWriter(tmp_path / "absent" / "a.rec")


def test_seek():
    reader = recordio.RecordReader(SAMPLES / "indexed.rec")
    for key, offset in recordio.read_index(SAMPLES / "indexed.idx"):
        reader.seek(offset)
        assert reader.tell() == offset
        header, payload = recordio.unpack(reader.read())
        expected = CONTENTS["indexed.rec"]["records"][key]
        assert (header.flag, header.id, header.id2) == (expected["flag"], expected["id"], expected["id2"])
        assert payload.hex() == expected["payload"]
        assert np.asarray(header.label).tolist() == expected["label"]
        assert recordio.pack(header, payload) in recordio.record_chunks(recordio.pack(header, payload))
    reader.close()


def test_index_files(tmp_path):
    path = tmp_path / "a.idx"
    path.write_bytes(b"7\t0\r\nx y\t12\n\n")
    assert recordio.read_index(path, str) == [("7", 0), ("x y", 12)]
    with pytest.raises(ValueError, match=r"a\.idx: line 2: expected a key, a TAB and an offset, found 'x y"):
        recordio.read_index(path)
    path.write_text("3\n")
    with pytest.raises(ValueError, match="line 1"):
        recordio.read_index(path)
    with pytest.raises(FileNotFoundError):
        recordio.read_index(tmp_path / "absent.idx")


@pytest.mark.parametrize(
    ("label", "flag", "stored"),
    [
        (1, 0, None),
        (2.5, 0, None),
        (np.float32(3), 0, None),
        (True, 0, None),
        (np.array(4.0), 1, [4.0]),
        ([1, 2], 2, [1.0, 2.0]),
        (np.array([[1, 2], [3, 4]]), 4, [1.0, 2.0, 3.0, 4.0]),
        ([], 0, []),
    ],
)
def test_labels(label, flag, stored):
    content = recordio.pack((9, label, 2**40, 3), b"xy")
    head = struct.pack("<IfQQ", flag, label if stored is None else 0, 2**40, 3)
    assert content == head + np.array([] if stored is None else stored, "<f4").tobytes() + b"xy"
    header, payload = recordio.unpack(content)
    assert payload == b"xy"
    if flag:
        assert header.label.dtype == np.float32
        assert header.label.tolist() == stored
    else:
        assert type(header.label) is float


def test_headers():
    header = recordio.IRHeader(0, 1.5, 2, 3)
    assert repr(header) == "HEADER(flag=0, label=1.5, id=2, id2=3)"
    assert pickle.loads(pickle.dumps(header)) == header
    with pytest.raises(struct.error, match="a record of 3 bytes is shorter than its header of 24 bytes"):
        recordio.unpack(b"abc")
    with pytest.raises(ValueError, match="announces 9 labels of 4 bytes, 4 bytes follow"):
        recordio.unpack(struct.pack("<IfQQ", 9, 0, 1, 2) + b"abcd")
    with pytest.raises(struct.error):
        recordio.pack((0, 1, -2, 3), b"")
    with pytest.raises(TypeError):
        recordio.pack((0, 1, 2, 3), "text")
