"""``mxcompat check``: planted faults are found where they are, sound code has none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import mxcompat as mx
from mxcompat.__main__ import main
from mxcompat.check.source import check_source

ROOT = Path(__file__).parents[2]

#: a line at the end of a script that imports mxnet as mx and numpy as np -> the code of its finding
FAULTS = [
    ("mx.sym.CaffeOp(data)", "MX301"),
    ("mx.nd.WarpCTC(data)", "MX301"),
    ("mx.sym.contrib.Nowhere(data)", "MX301"),
    ("mx.contrib.sym.MultiBoxNowhere(data)", "MX301"),
    ("mx.symbol.Convolutoin(data)", "MX301"),
    ("mx.io.CaffeDataIter()", "MX301"),
    ("mx.optimizer.Nowhere()", "MX301"),
    ("mx.nothing.at_all()", "MX301"),
    ("mx.nd.contrib.dgl_adjacency(data)", "MX303"),
    ("mx.gluon.nn.Dense(3)", "MX302"),
    ("mx.gluon.Trainer()", "MX302"),
    ("mx.np.zeros(3)", "MX302"),
    ("mx.rtc.CudaModule('')", "MX302"),
    ("from mxnet import gluon; gluon.loss.L2Loss()", "MX302"),
    ("mx.sym.Convolution(data, kernel=(3, 3), num_filters=3)", "MX311"),
    ("mx.sym.FullyConnected(data, num_hidden=3, nobias=True)", "MX311"),
    ("mx.nd.Pooling(data, kernel=(2, 2), pad_type='max')", "MX311"),
    ("mx.mod.Module(data, labels=['x'])", "MX311"),
    ("mx.init.Xavier(gain=2)", "MX311"),
    ("mx.sym.Activation(data, act_type='gelu')", "MX312"),
    ("mx.sym.Pooling(data, pool_type='mean', kernel=(2, 2))", "MX312"),
    ("mx.sym.Convolution(data, kernel='three', num_filter=3)", "MX312"),
    ("mx.sym.RNN(data, mode='sru', state_size=3, num_layers=1)", "MX312"),
    ("mx.sym.Dropout(data, p='often')", "MX312"),
    ("mx.sym.Convolution(data, kernel=(3, 3), num_filter=3, workspace=512)", "MX401"),
    ("mx.sym.BatchNorm(data, cudnn_off=True)", "MX401"),
    ("np.zeros(3, np.int)", "MX110"),
    ("x = np.product([1, 2])", "MX110"),
    ("import time; time.clock()", "MX111"),
    ("import collections; collections.Mapping", "MX111"),
    ("import imp", "MX112"),
    ("xrange(3)", "MX102"),
    ("import pickle; pickle.load(open('x', 'rb'))", "MX501"),
    ("url = 'http://data.mxnet.io/models/imagenet/resnet/50-layers/resnet-50-0000.params'", "MX502"),
]

SOUND = """
import mxnet as mx
import mxnet.ndarray as nd
from mxnet import sym as S, gluon
from mxnet.io import DataBatch
import numpy as np

S2 = mx.symbol
data = S.Variable('data', lr_mult=2)
net = S2.Convolution(data=data, kernel=(3, 3), num_filter="8", name='c', attr={'x': 'y'})
net = S.Activation(net, act_type='relu')
net = mx.sym.Custom(net, op_type='mine', anything=3)
net = mx.sym.Concat(net, net, dim=1)
net = mx.contrib.sym.MultiBoxPrior(net, sizes=(0.1,))
net.whatever_a_symbol_has(3)
mod = mx.mod.Module(net, context=[mx.cpu(), mx.gpu(0)])
mod.fit(None, optimizer_params={'learning_rate': 0.1})
batch = DataBatch([nd.zeros((2, 3))], provide_data=None)
mx.random.seed(3)
def f(mx, np):
    return mx.something.of_another + np.int
try:
    mx.nd.only_in_newer_versions
except AttributeError:
    pass
class Block(gluon.HybridBlock if False else object):
    pass
np.int32(3), np.float64
"""


@pytest.mark.parametrize(("line", "code"), FAULTS)
def test_planted_faults_are_found(line: str, code: str) -> None:
    text = f"import mxnet as mx\nimport numpy as np\ndata = mx.sym.Variable('data')\n{line}\n"
    found, uses = check_source(text, "script.py")
    assert [(f.line, f.code) for f in found] == [(4, code)], found
    assert uses >= 2


def test_sound_code_has_no_findings() -> None:
    found, uses = check_source(SOUND, "script.py")
    assert [str(f) for f in found if f.code != "MX302"] == []
    assert uses >= 20


def test_python_2_is_named() -> None:
    found, _ = check_source("import mxnet as mx\nprint 'x'\n", "old.py")
    assert found[0].code == "MX101" and "print statement" in found[0].text and found[0].line == 2


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    script = tmp_path / "train.py"
    script.write_text("import mxnet as mx\nx = mx.sym.Nowhere(1)\ny = mx.sym.relu(x)\n")
    notebook = {
        "cells": [{"cell_type": "code", "source": ["%matplotlib inline\n", "import mxnet as mx\n", "mx.nd.Nowhere()"]}]
    }
    (tmp_path / "note.ipynb").write_text(json.dumps(notebook))
    net = mx.sym.Activation(mx.sym.Variable("data"), act_type="relu", name="act")
    (tmp_path / "net-symbol.json").write_text(net.tojson())
    (tmp_path / "bad-symbol.json").write_text(net.tojson().replace('"op": "Activation"', '"op": "Nowhere"'))
    (tmp_path / "settings.json").write_text("{}")
    assert main(["check", str(tmp_path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "4 files, 7 MXNet uses: 4 supported (57.1 %), 0 differ, 3 missing"
    assert f"{script}:2:5: MX301 mx.sym.Nowhere is not supported" in "\n".join(lines)
    assert any("note.ipynb:3:1: MX301" in line for line in lines)
    assert any("bad-symbol.json" in line and "MX303 node act: Nowhere" in line for line in lines)
    assert main(["check", str(tmp_path / "net-symbol.json")]) == 0


@pytest.mark.parametrize("form", ["json", "sarif", "github"])
def test_formats(tmp_path: Path, capsys: pytest.CaptureFixture, form: str) -> None:
    script = tmp_path / "train.py"
    script.write_text("import mxnet as mx\nmx.sym.Nowhere(1)\n")
    assert main(["check", "--format", form, str(script)]) == 1
    text = capsys.readouterr().out
    if form == "github":
        assert text.startswith(f"::error file={script},line=2,col=1,title=MX301::mx.sym.Nowhere")
    else:
        content = json.loads(text)
        result = content["findings"][0] if form == "json" else content["runs"][0]["results"][0]
        assert "MX301" in json.dumps(result)


def test_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["check", str(tmp_path / "none.py")]) == 2
    assert "no such file or folder" in capsys.readouterr().err
    cases = {
        "broken.py": "def f(:\n",
        "empty.ipynb": "",
        "list.ipynb": "[]",
        "null.py": "a\0b",
        "cut-symbol.json": '{"nodes": [], "arg_nodes": [',
    }
    for name, text in cases.items():
        (tmp_path / name).write_text(text)
        assert main(["check", str(tmp_path / name)]) == 1, name
        assert capsys.readouterr().out.startswith(f"{tmp_path / name}:1:")


def test_the_examples_are_sound() -> None:
    from mxcompat.check.command import check

    report = check([str(ROOT / "migration_examples")])
    assert report.uses > 200
    assert not [f for f in report.findings if f.code.startswith("MX3")]
