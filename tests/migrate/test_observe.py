"""``mxcompat run --profile`` and ``--strict``."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

STEP = """
import mxnet as mx
x = mx.sym.Variable('data')
x = mx.sym.Convolution(x, num_filter=2, kernel=(3, 3), workspace={workspace}, name='conv1')
x = mx.sym.sum(mx.sym.Dropout(x, p=0.5))
executor = x.simple_bind(mx.cpu(), data=(1, 1, 4, 4))
executor.forward(is_train=True)
executor.backward(mx.nd.ones(1))
print('done', flush=True)
"""


def run(folder: Path, text: str, *options: str) -> subprocess.CompletedProcess:
    (folder / "main.py").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "mxcompat", "run", *options, "main.py"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MXCOMPAT_COMPILE": "never"}
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)


def rows(text: str) -> dict[str, list[str]]:
    """Operator -> the other columns of the table."""
    lines = text.partition("mxcompat run --profile\n")[2].splitlines()
    assert re.split(r"\s{2,}", lines[0]) == ["operator", "calls", "time (ms)", "device", "note"]
    cells = [re.split(r"\s{2,}", line) for line in lines[2:]]
    return {name: rest for name, *rest in cells if len(rest) == 4}


def test_profile_ends_with_a_table(tmp_path: Path) -> None:
    done = run(tmp_path, STEP.format(workspace=256), "--profile")
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
    table = rows(done.stderr)
    assert table["Convolution"][0] == "1" and table["Convolution"][2:] == ["cpu", "no effect"]
    assert table["_backward_Convolution"][2:] == ["cpu", "no effect"]
    assert table["Dropout"][2:] == ["cpu", "differs"] and table["sum"][2:] == ["cpu", "exact"]
    assert all(float(cells[1]) >= 0 for cells in table.values())
    assert "\nno effect: Convolution: workspace\n" in done.stderr
    assert re.search(r"^differs: Dropout: random numbers", done.stderr, re.MULTILINE)


def test_profile_of_a_script_that_fails(tmp_path: Path) -> None:
    text = "import mxnet as mx\nmx.nd.ones(3) + 1\nmx.profiler.set_state('run')\nmx.profiler.set_state('stop')\n1 / 0\n"
    done = run(tmp_path, text, "--profile")
    assert done.returncode == 1 and "ZeroDivisionError" in done.stderr
    assert rows(done.stderr)["_plus_scalar"][0] == "1" and "used mx.profiler itself" in done.stderr


REFUSED = """
import subprocess, sys
import mxnet as mx
from mxnet.profiler import dumps
x = mx.nd.ones(3)
for call in (
    lambda: mx.sym.Convolution(num_filter=2, kernel=(3, 3), workspace=256, name='conv1'),
    lambda: mx.sym.Variable('x').astype('int32'),
    lambda: mx.nd.take(x, mx.nd.ones(1), mode='raise'),
    dumps,
    lambda: mx.io.CSVIter(data_csv='data.csv', data_shape=(1,), batch_size=1, prefetch_buffer=9),
):
    try:
        call()
        print('nothing')
    except mx.MXNetError as error:
        print(error)
print(mx.nd.Dropout(x).shape, x.astype('int32').dtype.__name__)
print(mx.sym.Convolution(num_filter=2, kernel=(3, 3), workspace=1024).name, flush=True)
print(subprocess.call([sys.executable, '-c', 'import mxnet as mx; mx.sym.cast(mx.sym.Variable("x"), dtype="int32")']))
"""


def test_strict(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("1\n2\n", encoding="utf-8")
    done = run(tmp_path, REFUSED, "--strict")
    lines = done.stdout.splitlines()
    for line, start in zip(
        lines,
        [
            "Convolution conv1: workspace has no effect here",
            "Cast differs from MXNet",
            "take differs from MXNet",
            "mx.profiler.dumps differs from MXNet",
            "CSVIter: prefetch_buffer has no effect here",
        ],
    ):
        assert line.startswith(start) and "--strict" in line
    assert lines[5:] == [
        "(3,) int32",
        "convolution0",
        "1",
    ]  # random numbers may differ, a default says nothing; children too
    assert "Cast differs from MXNet" in done.stderr
