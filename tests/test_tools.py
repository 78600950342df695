"""``mxcompat inspect``, ``rec`` and ``doctor`` from the outside."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import mxcompat as mx
from mxcompat import recordio
from mxcompat.__main__ import main
from mxcompat.formats.recordio import MAGIC_BYTES


def test_inspect_arrays(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = str(tmp_path / "net-0001.params")
    mx.nd.save(path, {"arg:w": mx.nd.array([[1, 2], [3, float("nan")]]), "aux:m": mx.nd.zeros((3,), dtype="int32")})
    assert main(["inspect", path, "--stats"]) == 0
    text = capsys.readouterr().out
    assert "arg:w" in text and "(2, 2)" in text and "int32" in text and "2 arrays, 7 numbers" in text
    assert main(["inspect", path, "--stats", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["arrays"][0] == {
        "name": "arg:w", "dtype": "float32", "shape": [2, 2], "min": 1.0, "max": 3.0, "mean": 2.0, "nan": 1
    }  # fmt: skip


def test_inspect_symbols_and_states(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    net = mx.sym.SoftmaxOutput(mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=2, name="fc"), name="out")
    net.save(str(tmp_path / "net-symbol.json"))
    optimizer = mx.optimizer.create("adam", learning_rate=0.25)
    updater = mx.optimizer.get_updater(optimizer)
    updater(0, mx.nd.ones((2, 3)), mx.nd.ones((2, 3)))
    (tmp_path / "net.states").write_bytes(updater.get_states(dump_optimizer=True))
    assert main(["inspect", str(tmp_path / "net-symbol.json"), str(tmp_path / "net.states")]) == 0
    text = capsys.readouterr().out
    assert "variables: data, fc_weight, fc_bias, out_label" in text
    assert "operators: FullyConnected (1), SoftmaxOutput (1)" in text
    assert "outputs: out[0]" in text
    assert "Adam" in text and "lr=0.25" in text
    assert "0: (float32 (2, 3), float32 (2, 3))" in text


def records(path: Path, count: int = 5) -> list[bytes]:
    contents = [b"\xff\xd8\xff" + bytes([i]) * (i + 1) + MAGIC_BYTES * (i == 2) for i in range(count)]
    writer = recordio.MXIndexedRecordIO(str(path.with_suffix(".idx")), str(path), "w")
    for i, content in enumerate(contents):
        writer.write_idx(i, recordio.pack(recordio.IRHeader(0, float(i), i + 10, 0), content))
    writer.close()
    return contents


def test_records_are_listed_and_taken_apart(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / "set.rec"
    contents = records(path)
    assert main(["rec", "ls", str(path)]) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [(line[2], line[3]) for line in lines] == [(str(i + 10), str(i)) for i in range(5)]
    assert main(["inspect", str(path), str(path.with_suffix(".idx"))]) == 0
    text = capsys.readouterr().out
    assert "5 records" in text and "JPEG" in text and "5 keys: 0, 1, 2, 3, 4" in text
    assert main(["rec", "extract", str(path), "-o", str(tmp_path / "out")]) == 0
    assert [(tmp_path / "out" / f"{i:08d}.jpg").read_bytes() for i in range(5)] == contents
    assert (tmp_path / "out" / "list.lst").read_text().splitlines()[1] == "11\t1\t00000001.jpg"
    assert main(["rec", "check", str(path)]) == 0


@pytest.mark.parametrize("place", [0, 1, 3])
def test_damaged_records_are_found_and_left_out(tmp_path: Path, capsys: pytest.CaptureFixture, place: int) -> None:
    path, mended = tmp_path / "set.rec", tmp_path / "mended.rec"
    contents = records(path)
    offsets = [int(line.split("\t")[1]) for line in path.with_suffix(".idx").read_text().splitlines()]
    damaged = bytearray(path.read_bytes())
    damaged[offsets[place]] ^= 0xFF
    path.write_bytes(damaged)
    assert main(["rec", "check", str(path)]) == 1
    assert f"{path}: offset {offsets[place]}" in capsys.readouterr().err
    assert main(["rec", "repair", str(path), "-o", str(mended)]) == 0
    assert capsys.readouterr().out.startswith("4 records kept, ")
    reader = recordio.MXIndexedRecordIO(str(mended.with_suffix(".idx")), str(mended), "r")
    kept = [recordio.unpack(reader.read_idx(key))[1] for key in reader.keys]
    assert kept == [content for i, content in enumerate(contents) if i != place]
    assert main(["rec", "check", str(mended)]) == 0


def test_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("hello")
    for command, message in (
        (["inspect", str(tmp_path / "none.params")], "No such file"),
        (["inspect", str(text)], "is no .params"),
        (["rec", "ls", str(tmp_path / "none.rec")], "no such file"),
        (["rec", "check", str(text)], "offset 0"),
    ):
        assert main(command) in (1, 2)
        assert message in capsys.readouterr().err
    cut = tmp_path / "cut.params"
    mx.nd.save(str(cut), [mx.nd.ones(100)])
    cut.write_bytes(cut.read_bytes()[:100])
    assert main(["inspect", str(cut)]) == 2
    assert str(cut) in capsys.readouterr().err


def test_files_are_read_without_torch(tmp_path: Path) -> None:
    path = tmp_path / "set.rec"
    records(path)
    mx.nd.save(str(tmp_path / "a.params"), [mx.nd.ones(2)])
    code = f"""
import sys
from mxcompat.__main__ import main
import mxcompat.recordio
assert main(["inspect", {str(tmp_path / "a.params")!r}, {str(path)!r}]) == 0
assert main(["rec", "check", {str(path)!r}]) == 0
assert "torch" not in sys.modules
"""
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
    assert done.returncode == 0, done.stderr


def test_doctor(capsys: pytest.CaptureFixture) -> None:
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    assert "self-test" in text and "passed" in text and "torch" in text
    np.random.seed()
