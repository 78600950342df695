"""CSVIter, MNISTIter and the iterator they share; expected values are those of real MXNet 1.9.1."""

from __future__ import annotations

import gzip
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mxcompat as mx
from mxcompat.base import MXNetError
from mxcompat.io.csv import strtof
from mxcompat.io.draws import Draws


def epoch(iterator: Any) -> list:
    """First number of every sample, labels, pad and sample numbers of each batch."""
    return [
        (b.data[0].asnumpy().reshape(iterator.batch_size, -1)[:, 0].tolist(), b.label[0].asnumpy().tolist(), b.pad)
        + (b.index.tolist(),)
        for b in iterator
    ]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    (tmp_path / "data.csv").write_text("".join(f"{i},{i + 10},{i + 20}\n" for i in range(5)))
    (tmp_path / "label.csv").write_text("".join(f"{i}\n" for i in range(5)))
    return tmp_path


def values(path: Path, text: str, **options: Any) -> np.ndarray:
    """What CSVIter reads of a text, in one batch."""
    path = path / "text.csv"
    path.write_bytes(text.encode())
    count = len([line for line in text.splitlines() if line])
    return mx.io.CSVIter(**{"data_csv": path, "data_shape": (3,), "batch_size": count, **options}).next().data[0]


class TestCSV:
    def test_round_batch(self, rows: Path) -> None:
        it = mx.io.CSVIter(data_csv=rows / "data.csv", data_shape=(3,), label_csv=rows / "label.csv", batch_size=2)
        assert it.provide_data == [("data", (2, 3))] and it.provide_label == [("softmax_label", (2,))]
        first = [([0, 1], [0, 1], 0, [0, 1]), ([2, 3], [2, 3], 0, [2, 3]), ([4, 0], [4, 0], 1, [4, 0])]
        assert epoch(it) == first
        with pytest.raises(StopIteration):
            it.next()
        it.reset()
        assert epoch(it) == [([1, 2], [1, 2], 0, [1, 2]), ([3, 4], [3, 4], 0, [3, 4])]
        it.reset()
        assert epoch(it) == first

    def test_last_batch_without_round_batch(self, rows: Path) -> None:
        options: Any = {"data_csv": rows / "data.csv", "data_shape": "(3,)", "round_batch": "False"}
        it = mx.io.CSVIter(batch_size=2, **options)
        expected = [([0, 1], [0, 0], 0, [0, 1]), ([2, 3], [0, 0], 0, [2, 3]), ([4, 3], [0, 0], 1, [4, 3])]
        assert epoch(it) == expected
        it.reset()
        assert epoch(it) == expected
        it = mx.io.CSVIter(batch_size=7, **options)
        assert epoch(it) == [([0, 1, 2, 3, 4, 0, 0], [0] * 7, 2, [0, 1, 2, 3, 4, 0, 0])]

    def test_reset_before_the_end_begins_with_the_first(self, rows: Path) -> None:
        it = mx.io.CSVIter(data_csv=rows / "data.csv", data_shape=(3,), batch_size=2)
        it.next()
        it.reset()
        assert it.next().data[0].asnumpy()[:, 0].tolist() == [0, 1]

    def test_shapes_names_and_types(self, rows: Path) -> None:
        data = rows / "data.csv"
        it = mx.io.CSVIter(
            data_csv=data, data_shape=(3, 1), label_csv=data, label_shape=(3,), batch_size=2, data_name="x",
            label_name="y", dtype="int64",
        )  # fmt: skip
        assert it.provide_data == [("x", (2, 3, 1))] and it.provide_label == [("y", (2, 3))]
        assert it.provide_data[0].dtype == it.provide_label[0].dtype == np.int64
        assert str(it.next().data[0].context) == "cpu(0)"

    def test_numbers(self, tmp_path: Path) -> None:
        text = "0.1,1e3,-7.25\r\n 3.14159274,1.5e-3,nan\r\n123456.789,inf,+4\n\n16777217.3,.5,1.\n"
        bits = [1036831949, 1148846080, 3236429824, 1078530011, 985963430, 2143289344]
        bits += [1206984805, 2139095040, 1082130432, 1266679808, 1056964608, 1065353216]
        assert values(tmp_path, text).asnumpy().view(np.uint32).ravel().tolist() == bits
        octal = "010,0x10,-7\n1.5,99999999999,3x\n"
        assert values(tmp_path, octal, dtype="int32").asnumpy().tolist() == [[8, 16, -7], [1, 1215752191, 3]]
        assert values(tmp_path, octal, dtype="int64").asnumpy().tolist() == [[8, 16, -7], [1, 99999999999, 3]]
        assert values(tmp_path, octal).asnumpy().tolist() == [[10, 0, -7], [1.5, 99999997952, 3]]

    def test_both_ways_of_reading_agree(self, tmp_path: Path) -> None:
        numbers = np.random.RandomState(0).normal(0, 100, (200, 3))
        lines = [",".join(f"{x:.9f}" for x in row) for row in numbers]
        fast = values(tmp_path, "\n".join(lines)).asnumpy()
        slow = [[float(strtof(field.encode())[0]) for field in line.split(",")] for line in lines]
        assert fast.tolist() == slow
        assert values(tmp_path, "\n".join([*lines, "1e0,2,3"])).asnumpy()[:-1].tolist() == slow

    def test_several_files(self, rows: Path) -> None:
        data = rows / "data.csv"
        it = mx.io.CSVIter(data_csv=f"{data};{data}", data_shape=3, batch_size=5)
        assert [batch[3] for batch in epoch(it)] == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]
        (rows / "more").mkdir()
        (rows / "more" / "b.csv").write_text("3,4")
        (rows / "more" / "a.csv").write_text("1,2")
        for path in (rows / "more", f"{rows / 'more'}/", f"file://{rows / 'more'}/.*[.]csv"):
            assert epoch(mx.io.CSVIter(data_csv=path, data_shape=2, batch_size=2))[0][0] == [1, 3]

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"data_shape": (2,)}, r"data.csv: line 1: .*expects 2 numbers .*the line has 3"),
            ({"batch_size": 12}, "must be bigger than batch size, found 5 samples"),
            ({"dtype": "float64"}, "float64' is not supported"),
            ({"foo": 3}, "CSVIter: unknown parameter 'foo' .*known: data_csv"),
            ({"round_batch": "x"}, "CSVIter: parameter round_batch='x': expected boolean"),
            ({"batch_size": 0}, "batch_size=0: expected int >= 1"),
            ({"data_csv": "nowhere.csv"}, "data_csv='nowhere.csv': Cannot find any files"),
            ({"data_csv": "s3://bucket/x"}, "only local files"),
        ],
    )
    def test_bad_input(self, rows: Path, options: dict, message: str) -> None:
        with pytest.raises(MXNetError, match=message):
            epoch(mx.io.CSVIter(**{"data_csv": rows / "data.csv", "data_shape": (3,), "batch_size": 2, **options}))

    def test_missing_and_ragged(self, rows: Path) -> None:
        with pytest.raises(MXNetError, match="required parameter data_csv"):
            mx.io.CSVIter(data_shape=(3,), batch_size=2)
        with pytest.raises(TypeError, match="keyword arguments"):
            mx.io.CSVIter(rows / "data.csv", data_shape=(3,), batch_size=2)
        with pytest.raises(MXNetError, match="fewer rows"):
            epoch(mx.io.CSVIter(data_csv=f"{rows / 'data.csv'};{rows / 'data.csv'}", label_csv=rows / "label.csv",
                                data_shape=(3,), batch_size=5))  # fmt: skip
        for text in ("1,2,3\n1,,3\n", "1,2,3\n1,x,3\n", "1,2,3\n1,2\n"):
            with pytest.raises(MXNetError, match=r"text.csv: line 2: .*the line has 2"):
                values(rows, text)


class TestSharedIterator:
    def test_moving_by_hand(self, rows: Path) -> None:
        it = mx.io.CSVIter(data_csv=rows / "data.csv", data_shape=(3,), batch_size=2)
        assert isinstance(it, mx.io.MXDataIter)
        seen = []
        while it.iter_next():
            seen.append((it.getdata().asnumpy()[:, 0].tolist(), it.getlabel().shape, it.getpad(), it.getindex().dtype))
        assert seen == [([0, 1], (2,), 0, np.uint64), ([2, 3], (2,), 0, np.uint64), ([4, 0], (2,), 1, np.uint64)]

    def test_batches_are_the_users(self, rows: Path) -> None:
        it = mx.io.CSVIter(data_csv=rows / "data.csv", data_shape=(3,), batch_size=2, round_batch=False)
        first = it.next()
        first.data[0][:] = -1
        assert it.next().data[0].asnumpy()[0, 0] == 2

    def test_skipping(self, rows: Path) -> None:
        it = mx.io.CSVIter(data_csv=rows / "data.csv", data_shape=(3,), batch_size=2)
        it.debug_skip_load()
        assert [it.next().data[0].asnumpy()[0, 0] for _ in range(4)] == [0] * 4

    def test_fork(self, rows: Path) -> None:
        it = mx.io.CSVIter(data_csv=rows / "data.csv", data_shape=(3,), batch_size=2)
        it.next()
        child = os.fork()
        if child == 0:
            try:
                it.next()
            except MXNetError:
                os._exit(0)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert it.next().data[0].asnumpy()[0, 0] == 2


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    images = np.random.RandomState(1).randint(0, 256, (11, 4, 3)).astype(np.uint8)
    images[:, 0, 0] = np.arange(11)
    content = struct.pack(">IIII", 2051, 11, 4, 3) + images.tobytes()
    labels = struct.pack(">II", 2049, 11) + (np.arange(11) % 10).astype(np.uint8).tobytes()
    for name, written in (("image", content), ("label", labels)):
        (tmp_path / name).write_bytes(written)
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(written))
    return tmp_path


def mnist(folder: Path, end: str = "", **options: Any) -> Any:
    return mx.io.MNISTIter(image=folder / f"image{end}", label=folder / f"label{end}", silent=True, **options)


def firsts(iterator: Any) -> list[float]:
    return [pixel * 256 for batch in epoch(iterator) for pixel in batch[0]]


class TestMNIST:
    def test_images(self, digits: Path) -> None:
        it = mnist(digits, batch_size=3, shuffle=False)
        assert it.provide_data == [("data", (3, 1, 4, 3))] and it.provide_label == [("softmax_label", (3,))]
        batch = it.next()
        bits = [0, 1063976960, 1057751040, 1049624576, 1065287680, 1057554432]
        assert batch.data[0].asnumpy().view(np.uint32).ravel()[:6].tolist() == bits
        it.reset()
        assert firsts(it) == list(range(9))

    @pytest.mark.parametrize(
        ("seed", "order"),
        [(0, [0, 2, 3, 5, 9, 1, 10, 8, 4]), (1, [6, 9, 10, 2, 4, 1, 5, 3, 8]), (7, [2, 4, 5, 10, 8, 7, 6, 1, 0]),
         (-3, [4, 2, 3, 1, 9, 5, 10, 8, 0])],
    )  # fmt: skip
    @pytest.mark.parametrize("end", ["", ".gz"])
    def test_shuffled(self, digits: Path, seed: int, order: list[int], end: str) -> None:
        it = mnist(digits, end, batch_size=3, seed=seed, flat=True, input_shape=(784,))
        assert it.provide_data == [("data", (3, 12))]
        assert firsts(it) == order
        it.reset()
        assert epoch(it)[0][1] == [number % 10 for number in order[:3]]

    def test_parts(self, digits: Path) -> None:
        parts = [firsts(mnist(digits, batch_size=2, shuffle=False, num_parts=3, part_index=i)) for i in range(3)]
        assert parts == [[0, 1], [3, 4, 5, 6], [7, 8, 9, 10]]

    def test_bad_input(self, digits: Path) -> None:
        for options, message in [
            ({"part_index": 2, "num_parts": 2}, "part_index=2"),
            ({"dtype": "uint8"}, "dtype='uint8'"),
            ({"batch_size": 0}, "batch_size=0"),
        ]:
            with pytest.raises(MXNetError, match=message):
                mnist(digits, **options)
        with pytest.raises(StopIteration):
            mnist(digits, batch_size=20)
        with pytest.raises(MXNetError, match="image='nothing' cannot be read"):
            mx.io.MNISTIter(image="nothing", label=digits / "label")
        (digits / "image").write_bytes((digits / "image").read_bytes()[:-1])
        with pytest.raises(MXNetError, match="truncated"):
            mnist(digits)


def test_draws() -> None:
    draws = Draws(5489)
    assert [draws.bits() for _ in range(2)] == [3499211612, 581869302]
    draws.seed(0)
    assert all(0 <= draws.unit() <= 1 and 3 <= draws.integer(3, 7) <= 7 for _ in range(100))
    assert abs(np.mean([draws.coin() for _ in range(1000)]) - 0.5) < 0.05
    assert abs(np.std(draws.normals(2.0, 1001)) - 2) < 0.2
    with pytest.raises(ValueError, match="between 1 and 0"):
        draws.integer(1, 0)


@pytest.fixture
def sparse(tmp_path: Path) -> Path:
    (tmp_path / "data.t").write_text("1.0 0:0.5 2:1.2\n-2.0\n-3.0 0:0.6 1:2.4 2:1.2\n4 2:-1.2\n")
    (tmp_path / "label.t").write_text("1.0\n-2.0 0:0.125\n-3.0 2:1.2\n4 1:1.0 2:-1.2\n")
    return tmp_path


ROWS = np.array([[0.5, 0, 1.2], [0, 0, 0], [0.6, 2.4, 1.2], [0, 0, -1.2]], np.float32).tolist()
LABEL_ROWS = np.array([[0, 0, 0], [0.125, 0, 0], [0, 0, 1.2], [0, 1, -1.2]], np.float32).tolist()


def svm(folder: Path, **options: Any) -> Any:
    return mx.io.LibSVMIter(**{"data_libsvm": folder / "data.t", "data_shape": (3,), "batch_size": 3, **options})


def sparse_epoch(iterator: Any) -> list:
    return [(b.data[0].asnumpy().tolist(), b.label[0].asnumpy().tolist(), b.pad, b.index.tolist()) for b in iterator]


class TestLibSVM:
    def test_epochs(self, sparse: Path) -> None:
        it = svm(sparse)
        assert it.provide_data == [("data", (3, 3))] and it.provide_label == [("softmax_label", (3,))]
        batch = it.next()
        assert batch.data[0].stype == "csr" and batch.label[0].stype == "default"
        assert batch.data[0].indptr.asnumpy().tolist() == [0, 2, 2, 5] and batch.data[0].indices.dtype == np.int64
        it.reset()
        assert sparse_epoch(it) == [
            (ROWS[:3], [1, -2, -3], 0, [0, 1, 2]),
            ([ROWS[3], ROWS[0], ROWS[1]], [4, 1, -2], 2, [3, 0, 1]),
        ]
        it.reset()
        assert sparse_epoch(it) == [([ROWS[2], ROWS[3], ROWS[0]], [-3, 4, 1], 1, [2, 3, 0])]
        it.reset()
        assert sparse_epoch(it) == [(ROWS[1:], [-2, -3, 4], 0, [1, 2, 3])]

    def test_labels_of_another_file(self, sparse: Path) -> None:
        it = svm(sparse, label_libsvm=sparse / "label.t", label_shape=3, batch_size=2)
        assert it.provide_label == [("softmax_label", (2, 3))]
        assert [batch[1] for batch in sparse_epoch(it)] == [LABEL_ROWS[:2], LABEL_ROWS[2:]]
        assert it.getlabel().stype == "csr"

    def test_parts(self, sparse: Path) -> None:
        parts = [sparse_epoch(svm(sparse, batch_size=1, num_parts=2, part_index=i)) for i in (0, 1)]
        assert [[batch[1][0] for batch in part] for part in parts] == [[1, -2, -3], [4]]
        several = f"{sparse / 'data.t'};{sparse / 'data.t'}"
        assert [batch[0][0] for batch in sparse_epoch(svm(sparse, data_libsvm=several, batch_size=1))] == ROWS * 2

    def test_what_a_line_may_have(self, sparse: Path) -> None:
        (sparse / "data.t").write_text("# nothing\n\n1:2 qid:3 2:2.5e1 0:1 # two\n 3 1\r\n")
        assert sparse_epoch(svm(sparse, batch_size=2)) == [([[1, 0, 25], [0, 1, 0]], [1, 3], 0, [0, 1])]

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"round_batch": False}, "round_batch=False"),
            ({"dtype": "float64"}, "dtype='float64'"),
            ({"data_shape": (3, 1)}, "data_shape"),
            ({"data_shape": (2,)}, r"data.t: line 1 of the part: index 2 is not below 2"),
            ({"label_shape": (2,)}, "label_shape"),
            ({"batch_size": 9}, "found 4 samples"),
            ({"part_index": 1}, "part_index=1"),
        ],
    )
    def test_bad_input(self, sparse: Path, options: dict, message: str) -> None:
        with pytest.raises(MXNetError, match=message):
            sparse_epoch(svm(sparse, **options))

    def test_bad_lines(self, sparse: Path) -> None:
        (sparse / "label.t").write_text("1\n")
        with pytest.raises(MXNetError, match="fewer rows"):
            sparse_epoch(svm(sparse, label_libsvm=sparse / "label.t", label_shape=(3,)))
        for line in ("x 1:1", "1 x", "1 1:x", "1 -1:2"):
            (sparse / "data.t").write_text(f"1 1:1\n{line}\n")
            with pytest.raises(MXNetError, match=r"data.t: line 2 of the part"):
                svm(sparse)
