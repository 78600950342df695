"""The public RecordIO classes: reading and writing, in order and by key, in other processes, and image records."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mxcompat import recordio
from mxcompat.base import MXNetError
from mxcompat.formats import images

SAMPLES = Path(__file__).parent / "golden" / "samples"
CONTENTS = json.loads((SAMPLES / "samples.json").read_text(encoding="utf-8"))


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "a.rec")


@pytest.fixture
def indexed(tmp_path):
    """Paths of an index and its file with the records x3, x1 and, under the key 3 again, dup."""
    paths = str(tmp_path / "i.idx"), str(tmp_path / "i.rec")
    writer = recordio.MXIndexedRecordIO(*paths, "w")
    for key, content in ((3, b"x3"), (1, b"x1"), (3, b"dup")):
        writer.write_idx(key, content)
    assert (writer.keys, writer.idx) == ([3, 1, 3], {3: 24, 1: 12})
    assert writer.tell() == 36
    writer.close()
    return paths


def test_write_and_read(path):
    writer = recordio.MXRecordIO(path, "w")
    assert (writer.is_open, writer.writable) == (True, True)
    writer.write(b"one")
    writer.write(bytearray(b"two"))
    with pytest.raises(TypeError, match="a record is bytes, found str"):
        writer.write("three")
    with pytest.raises(AssertionError, match="read needs flag 'r', found 'w'"):
        writer.read()
    writer.close()
    writer.close()
    with pytest.raises(RuntimeError, match="the file is closed"):
        writer.write(b"")
    reader = recordio.MXRecordIO(path, "r")
    assert [reader.read(), reader.read(), reader.read(), reader.read()] == [b"one", b"two", None, None]
    reader.reset()
    assert reader.read() == b"one"
    with pytest.raises(AssertionError, match="write needs flag 'w', found 'r'"):
        reader.write(b"")
    reader.close()
    assert not reader.is_open
    with pytest.raises(RuntimeError, match="the file is closed"):
        reader.read()


def test_reset_of_a_writer_empties_the_file(path):
    writer = recordio.MXRecordIO(path, "w")
    writer.write(b"one")
    writer.reset()
    writer.close()
    assert os.path.getsize(path) == 0


@pytest.mark.parametrize("flag", ["a", "rb", ""])
def test_unknown_flags(path, flag):
    with pytest.raises(ValueError, match=f"Invalid flag {flag}"):
        recordio.MXRecordIO(path, flag)


def test_files_that_cannot_be_opened(tmp_path, indexed):
    for flag in ("r", "w"):
        with pytest.raises(MXNetError):
            recordio.MXRecordIO(str(tmp_path / "absent" / "a.rec"), flag)
    with pytest.raises(FileNotFoundError):
        recordio.MXIndexedRecordIO(str(tmp_path / "absent.idx"), indexed[1], "r")


def test_reading_by_key(indexed):
    assert Path(indexed[0]).read_bytes() == b"3\t0\n1\t12\n3\t24\n"
    reader = recordio.MXIndexedRecordIO(*indexed, "r")
    assert (reader.keys, reader.idx) == ([3, 1, 3], {3: 24, 1: 12})
    assert [reader.read_idx(3), reader.read_idx(1), reader.read()] == [b"dup", b"x1", b"dup"]
    with pytest.raises(KeyError):
        reader.read_idx(9)
    reader.reset()
    assert reader.read() == b"x3"
    with pytest.raises(AssertionError, match="tell needs flag 'w'"):
        reader.tell()
    reader.close()
    named = recordio.MXIndexedRecordIO(*indexed, "r", key_type=str)
    assert named.read_idx("1") == b"x1"
    named.close()


def test_sample():
    reader = recordio.MXIndexedRecordIO(str(SAMPLES / "indexed.idx"), str(SAMPLES / "indexed.rec"), "r")
    for expected in CONTENTS["indexed.rec"]["records"]:
        header, payload = recordio.unpack(reader.read_idx(expected["key"]))
        assert (header.id, payload.hex()) == (expected["id"], expected["payload"])
    reader.close()


def test_an_index_that_points_behind_the_file(indexed):
    Path(indexed[0]).write_text("1\t99\n")
    reader = recordio.MXIndexedRecordIO(*indexed, "r")
    with pytest.raises(MXNetError, match=r"i\.idx: key 1 is at offset 99, .*i\.rec has 36 bytes"):
        reader.read_idx(1)
    reader.close()


def test_a_reader_travels_as_its_paths(indexed):
    reader = recordio.MXIndexedRecordIO(*indexed, "r")
    reader.read()
    other = pickle.loads(pickle.dumps(reader))
    assert (other.read(), reader.read(), other.read_idx(1)) == (b"x3", b"x1", b"x1")
    reader.close()
    other.close()
    closed = pickle.loads(pickle.dumps(reader))
    assert not closed.is_open


def test_an_open_writer_cannot_travel(path):
    writer = recordio.MXRecordIO(path, "w")
    with pytest.raises(RuntimeError, match="an open writer cannot be pickled"):
        pickle.dumps(writer)
    writer.close()
    assert not pickle.loads(pickle.dumps(writer)).is_open


def test_after_a_fork_only_reading_by_key_goes_on(indexed, monkeypatch):
    reader = recordio.MXIndexedRecordIO(*indexed, "r")
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(RuntimeError, match="Forbidden operation in multiple processes"):
        reader.read()
    assert reader.read_idx(1) == b"x1"
    assert reader.read() == b"dup"
    reader.close()


def test_images_need_a_library(monkeypatch):
    for name in ("cv2", "PIL", "PIL.Image"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"pip install 'mxcompat\[image\]'"):
        recordio.pack_img((0, 1, 2, 3), np.zeros((2, 2, 3), "uint8"))
    with pytest.raises(ImportError, match=r"pip install 'mxcompat\[image\]'"):
        recordio.unpack_img(recordio.pack((0, 1, 2, 3), b"x"))


@pytest.fixture(params=["cv2", "PIL.Image"])
def image_library(request, monkeypatch):
    library = pytest.importorskip(request.param)
    monkeypatch.setattr(images, "_library", lambda: (request.param.split(".")[0], library))


def test_image_sample(image_library):
    reader = recordio.MXRecordIO(str(SAMPLES / "image_png.rec"), "r")
    record = reader.read()
    reader.close()
    header, image = recordio.unpack_img(record)
    assert header.label == CONTENTS["image_png.rec"]["label"]
    assert image.shape == (8, 9, 3)
    again, same = recordio.unpack_img(recordio.pack_img(header, image, quality=3, img_fmt=".png"), iscolor=1)
    assert again == header
    np.testing.assert_array_equal(same, image)
    assert recordio.unpack_img(record, iscolor=0)[1].shape == (8, 9)


def test_images_of_every_shape(image_library):
    ramp = np.arange(120, dtype="uint8").reshape(5, 6, 4)
    for image in (ramp, ramp[:, :, :3], ramp[:, :, 0]):
        np.testing.assert_array_equal(images.decode(images.encode(image, ".png", 95), -1), image)
        assert images.decode(images.encode(image, ".jpg"), 1).shape == (5, 6, 3)
    assert images.decode(b"no image", 1) is None
    assert images.decode(b"", 1) is None
    with pytest.raises(ValueError, match="unknown|cannot be written"):
        images.encode(ramp, ".absent")
    with pytest.raises(ValueError, match="image flag is 2"):
        images.decode(b"", 2)


def test_torch_is_not_imported():
    code = "import sys, mxcompat.recordio, mxcompat.formats.states; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])
