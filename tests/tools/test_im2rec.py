"""``python -m mxcompat.tools.im2rec`` and ``rec2idx``, ``mxcompat rec pack`` and ``index``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mxcompat import recordio
from mxcompat.__main__ import main
from mxcompat.formats import images
from mxcompat.formats.recordio import MAGIC_BYTES

NAMES = ("b.jpg", "a.PNG", "notes.txt", "cat/c.jpeg", "cat/d.jpg", "dog/e.png", "dog/old/f.jpg")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of files named like images, whose contents are their names."""
    for name in NAMES:
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode() + MAGIC_BYTES)
    return tmp_path / "images"


def pack(*arguments: object) -> int:
    return main(["rec", "pack", *map(str, arguments)])


def records(path: Path) -> list[tuple]:
    reader = recordio.MXIndexedRecordIO(str(path.with_suffix(".idx")), str(path.with_suffix(".rec")), "r")
    return [recordio.unpack(reader.read_idx(key)) for key in reader.keys]


class TestLists:
    def test_a_folder(self, root: Path, tmp_path: Path) -> None:
        assert pack("--list", "--no-shuffle", tmp_path / "set", root) == 0
        assert (tmp_path / "set.lst").read_text() == "0\t0.000000\ta.PNG\n1\t0.000000\tb.jpg\n"

    def test_folders_are_labels(self, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
        assert pack(tmp_path / "set", root, "--list", "--recursive", "--no-shuffle") == 0
        lines = [line.split("\t") for line in (tmp_path / "set.lst").read_text().splitlines()]
        assert [line[2] for line in lines] == ["a.PNG", "b.jpg", *NAMES[3:]]
        assert [float(line[1]) for line in lines] == [0, 0, 1, 1, 2, 3]
        assert capsys.readouterr().out.splitlines()[:4] == [". 0", "cat 1", "dog 2", "dog/old 3"]

    def test_links_that_lead_back(self, root: Path, tmp_path: Path) -> None:
        (root / "cat" / "up").symlink_to(root)
        (root / "more").symlink_to(root / "cat", target_is_directory=True)
        assert pack("--list", "--recursive", "--no-shuffle", tmp_path / "set", root) == 0
        names = [line.split("\t")[2] for line in (tmp_path / "set.lst").read_text().splitlines()]
        assert names == ["a.PNG", "b.jpg", *NAMES[3:], "more/c.jpeg", "more/d.jpg"]

    def test_the_order_is_the_originals(self, tmp_path: Path) -> None:
        for i in range(10):
            (tmp_path / f"{i}.jpg").touch()
        assert pack("--list", tmp_path / "set", tmp_path) == 0
        # as recorded of the original, which shuffles with the seed 100 too
        assert [line[0] for line in (tmp_path / "set.lst").read_text().splitlines()] == list("4059316872")

    def test_chunks_and_shares(self, root: Path, tmp_path: Path) -> None:
        options = ("--list", "--recursive", "--no-shuffle", "--chunks", 2, "--train-ratio", 0.34, "--test-ratio", 0.34)
        assert pack(*options, tmp_path / "set", root) == 0
        found = {
            path.name: [int(line.split("\t")[0]) for line in path.read_text().splitlines()]
            for path in tmp_path.glob("*.lst")
        }
        assert found == {
            "set_0_test.lst": [0], "set_0_train.lst": [1], "set_0_val.lst": [2],
            "set_1_test.lst": [3], "set_1_train.lst": [4], "set_1_val.lst": [5],
        }  # fmt: skip

    def test_endings(self, root: Path, tmp_path: Path) -> None:
        assert pack(tmp_path / "set", root, "--list", "--recursive", "--exts", ".jpeg", ".TXT") == 0
        assert len((tmp_path / "set.lst").read_text().splitlines()) == 2

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("--chunks", 0), "--chunks 0"),
            (("--train-ratio", 1.5), "--train-ratio 1.5: expected 0 to 1"),
            (("--test-ratio", 0.2), "--train-ratio 1 and --test-ratio 0.2 are more than 1"),
            (("--exts", ".gif"), "no file ends in .gif"),
        ],
    )
    def test_bad_arguments(
        self, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture, options: tuple, message: str
    ) -> None:
        assert pack(tmp_path / "set", root, "--list", *options) == 2
        assert message in capsys.readouterr().err
        assert not list(tmp_path.glob("*.lst"))


class TestRecordSets:
    def test_files_as_they_are(self, root: Path, tmp_path: Path) -> None:
        (tmp_path / "set_a.lst").write_text("7\t1.5\tb.jpg\n\n3\t2\t4\tcat/c.jpeg\n")
        (tmp_path / "set_b.lst").write_text("0\t0\ta.PNG\n")
        assert pack("--pass-through", tmp_path / "set", root) == 0
        found = records(tmp_path / "set_a")
        assert [(header.flag, header.label, header.id) for header, _ in found] == [(0, 1.5, 7), (0, 2, 3)]
        assert [content for _, content in found] == [b"b.jpg" + MAGIC_BYTES, b"cat/c.jpeg" + MAGIC_BYTES]
        assert (tmp_path / "set_a.idx").read_text().split()[::2] == ["7", "3"]
        assert len(records(tmp_path / "set_b")) == 1

    @pytest.mark.parametrize("threads", [1, 3])
    def test_all_labels(self, root: Path, tmp_path: Path, threads: int) -> None:
        lines = [f"{i}\t{i}\t{i + 0.5}\t{NAMES[i % 2]}\n" for i in range(100)]
        (tmp_path / "set.lst").write_text("".join(lines))
        assert pack("--pass-through", "--pack-label", "--num-thread", threads, tmp_path / "set", root) == 0
        found = records(tmp_path / "set")
        assert [header.id for header, _ in found] == list(range(100))
        assert all(header.flag == 2 and header.label.tolist() == [i, i + 0.5] for i, (header, _) in enumerate(found))

    def test_what_cannot_be_packed_is_named_and_left_out(
        self, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture
    ) -> None:
        path = tmp_path / "set.lst"
        path.write_text("0\t0\tb.jpg\n1\tx\tb.jpg\n2\tb.jpg\n3\t0\tnowhere.jpg\n-4\t0\tb.jpg\n5\t0\ta.PNG\n")
        assert pack("--pass-through", tmp_path / "set", root) == 1
        done = capsys.readouterr()
        assert "2 records, 4 lines left out" in done.out
        for line, text in (
            (2, "1\\tx\\tb.jpg"),
            (3, "2\\tb.jpg"),
            (4, "nowhere.jpg: cannot be read"),
            (5, "number -4"),
        ):
            assert any(found.startswith(f"{path}: line {line}: ") and text in found for found in done.err.splitlines())
        assert [header.id for header, _ in records(path)] == [0, 5]

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("--quality", 0), "--quality 0: expected 1 to 100"),
            (("--resize", -1), "--resize -1"),
            (("--num-thread", 0), "--num-thread 0"),
            ((), "Did not find any list file"),
        ],
    )
    def test_bad_arguments(
        self, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture, options: tuple, message: str
    ) -> None:
        assert pack(tmp_path / "set", root, *options) == 2
        assert message in capsys.readouterr().err
        assert pack(tmp_path / "set", tmp_path / "none") == 2
        assert "none: no such folder" in capsys.readouterr().err


class TestEncoding:
    """The pixels of images that are encoded anew (the bytes are the original's where OpenCV is the same)."""

    @pytest.fixture
    def image(self, tmp_path: Path) -> np.ndarray:
        pytest.importorskip("cv2")
        pixels = np.random.RandomState(0).randint(0, 256, (6, 9, 4)).astype(np.uint8)
        (tmp_path / "x.png").write_bytes(images.encode(pixels, ".png", 3))
        (tmp_path / "set.lst").write_text("0\t1\tx.png\n")
        return pixels

    def packed(self, tmp_path: Path, *options: object) -> np.ndarray | None:
        assert pack(tmp_path / "set", tmp_path, *options) == 0
        ((_, content),) = records(tmp_path / "set")
        return images.decode(content, images.UNCHANGED)

    def test_colors(self, image: np.ndarray, tmp_path: Path) -> None:
        np.testing.assert_array_equal(self.packed(tmp_path, "--encoding", ".png"), image[:, :, :3])
        np.testing.assert_array_equal(self.packed(tmp_path, "--encoding", ".png", "--color", -1), image)
        assert self.packed(tmp_path, "--encoding", ".png", "--color", 0).shape == (6, 9)

    def test_size(self, image: np.ndarray, tmp_path: Path) -> None:
        square = self.packed(tmp_path, "--encoding", ".png", "--center-crop")
        np.testing.assert_array_equal(square, image[:, 1:7, :3])
        assert self.packed(tmp_path, "--resize", 4).shape == (4, 6, 3)
        assert self.packed(tmp_path, "--resize", 12, "--center-crop").shape == (12, 12, 3)

    def test_quality(self, image: np.ndarray, tmp_path: Path) -> None:
        sizes = []
        for quality in (5, 95):
            self.packed(tmp_path, "--quality", quality)
            sizes.append((tmp_path / "set.rec").stat().st_size)
        assert sizes[0] < sizes[1]

    def test_no_image(self, image: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
        (tmp_path / "x.png").write_bytes(b"no image")
        assert pack(tmp_path / "set", tmp_path) == 1
        text = capsys.readouterr().err
        assert f"{tmp_path / 'set.lst'}: line 1: {tmp_path / 'x.png'}: cannot be decoded" in text

    def test_without_opencv(
        self, image: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "cv2", None)
        assert pack("--resize", 4, tmp_path / "set", tmp_path) == 2
        monkeypatch.setitem(sys.modules, "PIL.Image", None)
        assert pack(tmp_path / "set", tmp_path) == 2
        assert capsys.readouterr().err.count("mxcompat[image]") == 2
        assert pack("--pass-through", tmp_path / "set", tmp_path) == 0


def test_index(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "set.lst").write_text("".join(f"{i}\t0\t{name}\n" for i, name in enumerate(NAMES)))
    assert pack("--pass-through", tmp_path / "set", root) == 0
    record, index = tmp_path / "set.rec", tmp_path / "made.idx"
    assert main(["rec", "index", str(record), str(index)]) == 0
    assert index.read_bytes() == (tmp_path / "set.idx").read_bytes()
    record.write_bytes(record.read_bytes()[:-4])
    capsys.readouterr()
    assert main(["rec", "index", str(record), str(index)]) == 1
    assert f"{record}: offset" in capsys.readouterr().err
    assert index.read_bytes() == (tmp_path / "set.idx").read_bytes()
    assert main(["rec", "index", str(tmp_path / "none.rec"), str(index)]) == 2


def test_as_programs(root: Path, tmp_path: Path) -> None:
    """Started as the original's scripts are; without torch."""

    def run(module: str, *arguments: object) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", f"mxcompat.tools.{module}", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])

    for options in (["--list", "--recursive"], ["--pass-through"]):
        done = run("im2rec", *options, tmp_path / "set", root)
        assert (done.returncode, done.stderr) == (0, "")
    done = run("rec2idx", tmp_path / "set.rec", tmp_path / "other.idx")
    assert (done.returncode, done.stderr) == (0, "")
    assert len((tmp_path / "other.idx").read_text().splitlines()) == 6
    done = run("rec2idx", tmp_path / "none.rec", tmp_path / "none.idx")
    assert done.returncode == 2 and done.stderr.startswith("rec2idx: ") and "none.rec: cannot be read" in done.stderr
    code = "import sys, mxcompat.tools.im2rec, mxcompat.tools.rec2idx; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
