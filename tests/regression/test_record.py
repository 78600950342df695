"""The recorder: one file in Python 2's syntax, equal recordings of equal runs, what the options do."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mxcompat.__main__ import main
from mxcompat.regression import record, recorder
from mxcompat.regression.golden import Recording

HERE = Path(__file__).parent
SCRIPTS = HERE / "scripts"
ROOT = HERE.parents[1]


def run(*args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The recorder, under the alias in the place of MXNet."""
    command = [sys.executable, "-m", "mxcompat", "run", str(recorder.SOURCE), *args]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment)


def test_the_command_prints_the_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    source = recorder.SOURCE.read_text(encoding="utf-8")
    assert main(["recorder"]) == 0
    assert capsys.readouterr().out == source
    assert main(["recorder", "-o", str(tmp_path / "record.py")]) == 0
    assert (tmp_path / "record.py").read_text(encoding="utf-8") == source
    assert main(["recorder", "-o", str(tmp_path)]) == 2


def test_a_reader_that_stops_is_no_error() -> None:
    command = [sys.executable, "-m", "mxcompat", "recorder"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_it_needs_the_old_environment_alone() -> None:
    source = recorder.SOURCE.read_text(encoding="utf-8")
    source.encode("ascii")
    tree = ast.parse(source, feature_version=(3, 4))
    imported = {name.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    assert imported <= {*sys.stdlib_module_names, "mxnet", "numpy"}
    for node in ast.walk(tree):
        # syntax of Python 3 alone; a feature version below 3.4 is not offered
        assert not isinstance(node, (ast.JoinedStr, ast.Nonlocal, ast.AnnAssign, ast.YieldFrom, ast.AsyncFunctionDef))
        if isinstance(node, (ast.FunctionDef, ast.Lambda)):
            assert not node.args.kwonlyargs and not getattr(node, "returns", None)
            assert not any(argument.annotation for argument in node.args.args)


def test_equal_runs_give_equal_bytes(tmp_path: Path) -> None:
    for folder in ("first", "second"):
        done = run("-o", folder, "--", str(SCRIPTS / "module_fit.py"), cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "6 steps recorded (the run had 12 of training and 4 others)" in done.stderr
    names = sorted(path.name for path in (tmp_path / "first").iterdir())
    assert names == ["arrays.npz", "meta.json", "symbol-0.json"]
    for name in names:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
    meta = Recording(tmp_path / "first").meta
    assert meta["package"] == "mxcompat" and meta["seeds"] == [["mxnet", 3], ["numpy", 3]]
    assert main(["verify", str(tmp_path / "first"), "--rtol", "1e-5"]) == 0


def test_options(tmp_path: Path) -> None:
    done = run("-o", "a", "--steps", "1,3-4", "--inference", "none", "--sample", "8", "--seed", "4", "--",
               str(SCRIPTS / "custom_loop.py"), cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    recording = Recording(tmp_path / "a")
    # the first step of a graph is always there
    assert [step["number"] for step in recording.steps] == [0, 1, 3, 4]
    assert all(call["inner"] for step in recording.steps for call in step["calls"])
    assert recording.meta["seed"] == 4 and recording.sample == 8
    gradient = recording.steps[0]["calls"][0]["backwards"][0]["gradients"]["fc1_weight"]
    assert set(gradient) == {"shape", "dtype", "hash", "stats", "sample"}
    assert recording.entry(gradient["sample"]).shape == (8,)


def test_a_budget_drops_whole_steps(tmp_path: Path) -> None:
    done = run("-o", "a", "--budget", "0.04", "--", str(SCRIPTS / "module_fit.py"), cwd=tmp_path)
    assert "did not fit, --budget makes room" in done.stderr
    recording = Recording(tmp_path / "a")
    assert 0 < len(recording.steps) < 6
    assert recording.meta["totals"]["dropped"] == 6 - len(recording.steps)
    assert (tmp_path / "a" / "arrays.npz").stat().st_size < 50_000
    assert main(["verify", str(tmp_path / "a")]) == 0


def test_scripts_without_executors_and_with_errors(tmp_path: Path) -> None:
    (tmp_path / "plain.py").write_text("import mxnet as mx\nprint(mx.nd.ones(2).sum().asscalar())\n")
    done = run("-o", "a", "--", "plain.py", cwd=tmp_path)
    assert done.returncode == 1 and "nothing is recorded" in done.stderr
    loop = (SCRIPTS / "custom_loop.py").read_text(encoding="utf-8")
    (tmp_path / "broken.py").write_text(loop + "\nraise SystemExit(5)\n")
    done = run("-o", "b", "--", "broken.py", cwd=tmp_path)
    assert done.returncode == 5
    assert len(Recording(tmp_path / "b").steps) == 3  # what there was until then
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "mine.txt").write_text("")
    with pytest.raises(SystemExit, match="c is not empty and holds no recording"):
        record.prepare_folder(str(tmp_path / "c"))


def test_the_programs_own_monitor_keeps_working(tmp_path: Path) -> None:
    script = (SCRIPTS / "module_fit.py").read_text(encoding="utf-8")
    monitored = script.replace("    train,\n", "    train,\n    monitor=mx.mon.Monitor(4, pattern='fc1_output'),\n")
    (tmp_path / "monitored.py").write_text("import logging\nlogging.basicConfig(level='INFO')\n" + monitored)
    done = run("-o", "a", "--", "monitored.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("fc1_output") == 3  # every fourth of 12 batches
    assert Recording(tmp_path / "a").steps[0]["calls"][0]["inner"]


def test_positions_are_distinct_and_spread() -> None:
    for size, count in ((1025, 1024), (4096, 64), (97, 96), (10**9, 1024)):
        chosen = record.positions(size, count)
        assert len(set(chosen.tolist())) == count and chosen.max() < size
        assert np.diff(chosen).max() <= 4 * size / count


def test_statistics_leave_out_what_is_not_finite() -> None:
    assert record.statistics(np.array([3.0, -4.0, np.nan, np.inf], "f")) == [-4.0, 3.0, -0.5, 12.5**0.5, 2]
    assert record.statistics(np.array([np.nan])) == [0.0, 0.0, 0.0, 0.0, 1]


def test_recordings_of_mxnet_are_of_these_scripts() -> None:
    folders = [path for path in (HERE.parent / "golden" / "regression").iterdir() if path.is_dir()]
    assert len(folders) >= 4
    for folder in folders:
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        assert meta["package"] == "mxnet" and (SCRIPTS / meta["script"]).is_file()
        content = (folder / "arrays.npz").read_bytes()
        assert hashlib.sha256(content).hexdigest() == meta["arrays"]["sha256"]
