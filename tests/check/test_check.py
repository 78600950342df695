"""``mxcompat check``: planted faults are found where they are, sound code has none."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import mxcompat as mx
from mxcompat.__main__ import main
from mxcompat.check.command import check
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
    ("from xml.etree import cElementTree as ET", "MX112"),
    ("xrange(3)", "MX102"),
    ("import pickle; pickle.load(open('x', 'rb'))", "MX501"),
    ("from mxnet.gluon import Trainer; Trainer()", "MX302"),
    ("f = mx.sym.FullyConnected; f(data, num_hiden=3)", "MX311"),
    ("mx.nd.Concat(data, axis=1)", "MX311"),
    ("mx.nd.relu(data, data, data, data)", "MX311"),
    ("mx.nd.FullyConnected(data, data, num_hidden=3, no_bias=True, ctx=mx.cpu())", "MX311"),
    ("mx.io.CSVIter(data_csv='x', data_shape=(3,), batch_size=1, batchsize=3)", "MX311"),
    ("mx.io.CSVIter('x', data_csv='x', data_shape=(3,), batch_size=1)", "MX311"),
    ("mx.nd.cast(data, 'int33')", "MX312"),
    ("mx.io.CSVIter(data_csv='x', data_shape='three', batch_size=1)", "MX312"),
    ("mx.sym.FullyConnected(data)", "MX313"),
    ("mx.io.CSVIter(data_csv='x', batch_size=1)", "MX313"),
    ("mx.io.NDArrayIter()", "MX313"),
    ("mx.model.load_checkpoint('x', 1, 2)", "MX313"),
    ("mx.sym.cast(data, 'int32')", "MX201"),
    ("mx.sym.Cast(data, dtype=np.int32)", "MX201"),
    ("mx.nd.take(data, data, mode='raise')", "MX201"),
    ("from mxnet import profiler as p; p.dumps()", "MX201"),
    ("mx.random.seed(3)", "MX202"),
    ("from mxnet.random import seed; seed(3)", "MX202"),
    ("mx.sym.Convolution(data, None, None, (3, 3), (), (), (), 3, 1, 512)", "MX401"),
    ("mx.io.CSVIter(data_csv='x', data_shape=(3,), batch_size=1, prefetch_buffer=9)", "MX401"),
    ("mx.io.ImageRecordIter(path_imgrec='x', data_shape=(3, 2, 2), batch_size=1, rand_corp=True)", "MX402"),
    ("x.tostring()", "MX113"),
    ("d.iteritems()", "MX102"),
    ("import Queue", "MX102"),
    ("import urllib; urllib.urlopen('x')", "MX102"),
    ("from urllib import urlretrieve", "MX102"),
    ("np.lib.pad(data, 3)", "MX110"),
    ("np.random.no_such_draw()", "MX110"),
    ("import sys; sys.maxint", "MX102"),
    ("print([np for np in (1,)], np.int)", "MX110"),
    ("try:\n    long_program()\n    mx.sym.Nowhere(data)\nexcept Exception:\n    pass", "MX301"),
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
def f(mx, np):
    return mx.something.of_another + np.int
try:
    mx.nd.only_in_newer_versions
except AttributeError:
    pass
class Block(gluon.HybridBlock if False else object):
    pass
np.int32(3), np.float64, np.lib.stride_tricks.as_strided, np.random.mtrand.RandomState, np.pi.real, np.testing.tests
conv = mx.sym.Convolution(data, kernel=(3, 3), num_filter=3, workspace=1024, cudnn_tune=None)
mx.sym.Convolution(data, **{'num_filter': 3})
mx.sym.FullyConnected(*[data, 3])
mx.nd.cast(nd.ones(3), dtype='int32'), mx.sym.cast(data, dtype=np.float16), mx.sym.Dropout(data)
mx.nd.take(nd.ones(3), nd.ones(3)), mx.sym.Concat(first=data, second=data, dim=0)
mx.io.ImageRecordIter(path_imgrec='x.rec', data_shape=(3, 2, 2), batch_size=1, data_name='data')
"""

#: what is no finding, because the program has an answer to it
ANSWERED = [
    "np.int = int\nnp.int(3)",
    "if not hasattr(np, 'int'):\n    np.int = int\nx = np.int(3)",
    "setattr(np, 'int', int)\nnp.int(3)",
    "[np.int for np in (1, 2)], {np.int for np in ()}, {np.int: np.float for np in ()}, list(np.int for np in ())",
    "[x for np in (1,) for x in np.int if np.float]",
    "for np in (1, 2):\n    np.int",
    "with f() as np:\n    np.int",
    "import other as np\nnp.int",
    "def np(): pass\nnp.int",
    "x = np.float if hasattr(np, 'float') else float",
    "import sys\nif sys.version_info[0] < 3:\n    xrange(3), unicode('')",
    "try:\n    xrange\nexcept NameError:\n    xrange = range\nxrange(3)",
    "from six.moves import *\nxrange(3)",
    "try:\n    import queue\nexcept ImportError:\n    import Queue as queue",
    "try:\n    import cPickle\nexcept:\n    import pickle",
    "import collections\ntry:\n    m = collections.Mapping\nexcept AttributeError:\n    m = None",
    "import time\ntime.clock = time.time\ntime.clock()",
    "mx.nd.mine = f\nmx.nd.mine(3)",
    "if 'new' in dir(mx.sym):\n    mx.sym.new()",
    "class A:\n    def tostring(self):\n        return self.tostring()",
    "import six\nsix.iteritems(d)",
]


@pytest.mark.parametrize(("line", "code"), FAULTS)
def test_planted_faults_are_found(line: str, code: str) -> None:
    text = f"import mxnet as mx\nimport numpy as np\ndata = mx.sym.Variable('data')\n{line}\n"
    found, uses = check_source(text, "script.py")
    assert [(f.line, f.code) for f in found] == [(4 + line[: line.find("mx.sym.Nowhere")].count("\n"), code)], found
    assert uses >= 2


def test_sound_code_has_no_findings() -> None:
    found, uses = check_source(SOUND, "script.py")
    assert [str(f) for f in found if f.code != "MX302"] == []
    assert uses >= 20


@pytest.mark.parametrize("text", ANSWERED)
def test_what_the_program_has_an_answer_to(text: str) -> None:
    found, _ = check_source(f"import mxnet as mx\nimport numpy as np\n{text}\n", "script.py")
    assert found == []


def test_findings_have_the_words_of_the_run() -> None:
    text = "import mxnet as mx\n" + "\n".join(
        [
            "mx.nd.relu(mx.nd.ones(1), act=1)",
            "mx.nd.Pooling(mx.nd.ones((1, 1, 2, 2)), kernel=(2, 2), pool_type='mean')",
            "mx.nd.Pooling(mx.nd.ones((1, 1, 2, 2)), kernel=(2, 2), pool=1)",
            "mx.sym.Embedding(input_dim=3)",
            "mx.io.CSVIter(data_csv='x', batch_size=1)",
            "mx.io.CSVIter(data_csv='x', batch_size=1, data_shape=(1,), shape=3)",
            "mx.gluon.Trainer(3)",
            "mx.np.zeros(3)",
        ]
    )
    found, _ = check_source(text, "script.py")
    for line, statement in list(enumerate(text.splitlines(), 1))[2:]:
        with pytest.raises((mx.MXNetError, AttributeError)) as raised:
            exec(statement, {"mx": mx})
        assert [f.text for f in found if f.line == line] == [str(raised.value)]


def test_removed_modules() -> None:
    found, _ = check_source("import distutils.version\nfrom distutils.core import setup\nimport imp\n", "script.py")
    assert ["gives it back" in f.text for f in found] == [True, False, True]
    assert found[1].text == "the module distutils.core is gone from Python; setuptools has it"


def test_columns_count_characters() -> None:
    found, _ = check_source("import numpy as np\nx = 'é', np.int\n", "script.py")
    assert [(f.line, f.column) for f in found] == [(2, 10)]


def test_python_2_is_named() -> None:
    found, _ = check_source("import mxnet as mx\nprint 'x'\n", "old.py")
    assert found[0].code == "MX101" and "print statement" in found[0].text and found[0].line == 2


def put_notebook(path: Path, *cells: str, **more: object) -> Path:
    code = [{"cell_type": "code", "source": cell.splitlines(True)} for cell in cells]
    text = {"cell_type": "markdown", "source": ["np.int"]}
    path.write_text(json.dumps({"cells": [text, *code], "metadata": {}, "nbformat": 4, **more}))
    return path


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    script = tmp_path / "train.py"
    script.write_text("import mxnet as mx\nx = mx.sym.Nowhere(1)\ny = mx.sym.relu(x)\n")
    put_notebook(tmp_path / "note.ipynb", "", "%matplotlib inline\nimport mxnet as mx\nmx.nd.Nowhere()")
    net = mx.sym.Activation(mx.sym.Variable("data"), act_type="relu", name="act")
    (tmp_path / "net-symbol.json").write_text(net.tojson())
    (tmp_path / "bad-symbol.json").write_text(net.tojson().replace('"op": "Activation"', '"op": "Nowhere"'))
    (tmp_path / "settings.json").write_text("{}")
    assert main(["check", str(tmp_path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "4 files, 7 MXNet uses: 4 supported (57.1 %), 0 differ, 3 missing"
    assert f"{script}:2:5: MX301 mx.sym.Nowhere is not supported" in "\n".join(lines)
    assert any("note.ipynb:cell 2:3:1: MX301" in line for line in lines)
    assert any("bad-symbol.json" in line and "MX303 node act: Nowhere" in line for line in lines)
    assert main(["check", str(tmp_path / "net-symbol.json")]) == 0


def findings_of(path: Path) -> list[tuple]:
    return [(f.cell, f.line, f.column, f.code) for f in check([str(path)]).findings]


def test_notebooks(tmp_path: Path) -> None:
    cells = ["import mxnet as mx\nimport numpy as np", "%time mx.nd.Nowhere()\nnp.int", "print 'old'", "%%bash\nnp.int"]
    path = put_notebook(tmp_path / "a.ipynb", *cells, "not python at all", "x = !ls\nmx.nd.Nowhere?\nmx.sym.Nowhere()")
    assert findings_of(path) == [(2, 2, 1, "MX110"), (3, 1, 1, "MX101"), (5, 1, 12, "MX100"), (6, 3, 1, "MX301")]
    assert findings_of(put_notebook(tmp_path / "b.ipynb")) == []
    julia = {"kernelspec": {"language": "julia"}}
    assert findings_of(put_notebook(tmp_path / "c.ipynb", "using MXNet", metadata=julia)) == []


def test_symbol_files(tmp_path: Path) -> None:
    data = mx.sym.Variable("data")
    for number in range(3):
        data = mx.sym.Convolution(data, kernel=(1, 1), num_filter=1, workspace=9, name=f"c{number}")
    path = tmp_path / "net-symbol.json"
    path.write_text(mx.sym.cast(data, dtype="int32", name="cut").tojson())
    found = check([str(path)]).findings
    assert [(f.code, f.text.partition(": ")[0]) for f in found] == [
        ("MX401", "node c0 and 2 more"),
        ("MX201", "node cut"),
    ]
    assert all("c0" in path.read_text().splitlines()[f.line - 1] for f in found[:1])
    path.write_text(path.read_text().replace('"num_filter": "1"', '"num_filter": "-1"'))
    assert [f.code for f in check([str(path)]).findings] == ["MX312"]


@pytest.mark.parametrize("form", ["json", "sarif", "github"])
def test_formats(tmp_path: Path, capsys: pytest.CaptureFixture, form: str) -> None:
    script = tmp_path / "train, 1.py"
    script.write_text("import mxnet as mx\nmx.sym.Nowhere(1)\nmx.random.seed(3)\n")
    put_notebook(tmp_path / "z.ipynb", "import mxnet as mx", "\nmx.nd.Nowhere()")
    assert main(["check", "--format", form, str(tmp_path)]) == 1
    text = capsys.readouterr().out
    if form == "github":
        lines = text.splitlines()
        start = f"::error file={tmp_path}/train%2C 1.py,line=2,col=1,title=MX301::mx.sym.Nowhere is not supported"
        assert lines[0].startswith(start) and lines[1].startswith("::warning file=")
        assert f"{tmp_path}/z.ipynb,line=1,col=1,title=MX301::cell 2, line 2: mx.nd.Nowhere" in lines[2]
        return
    content = json.loads(text)
    if form == "json":
        assert [(f["code"], f["cell"], f["line"]) for f in content["findings"]] == [
            ("MX301", 0, 2), ("MX202", 0, 3), ("MX301", 2, 2)
        ]  # fmt: skip
        assert content["counts"] == {"files": 2, "uses": 5, "missing": 2, "differ": 1}
    else:
        check_sarif(content)
        levels = [(r["ruleId"], r["level"]) for r in content["runs"][0]["results"]]
        assert levels == [("MX301", "error"), ("MX202", "warning"), ("MX301", "error")]


def test_colours_on_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "train.py"
    script.write_text("import mxnet as mx\nmx.sym.Nowhere(1)\n")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    main(["check", str(script)])
    assert capsys.readouterr().out.startswith(f"\033[1m{script}:2:1:\033[0m \033[31mMX301\033[0m mx.sym.Nowhere")
    monkeypatch.setenv("NO_COLOR", "1")
    main(["check", str(script)])
    assert capsys.readouterr().out.startswith(f"{script}:2:1: MX301 ")


def check_sarif(content: dict) -> None:
    """What the schema of SARIF 2.1.0 asks of the parts that are there."""
    assert set(content) == {"$schema", "version", "runs"} and content["version"] == "2.1.0"
    (one,) = content["runs"]
    assert set(one) == {"tool", "columnKind", "results"} and one["columnKind"] == "unicodeCodePoints"
    rules = one["tool"]["driver"]["rules"]
    assert one["tool"]["driver"]["name"] and len({rule["id"] for rule in rules}) == len(rules)
    for result in one["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"] and result["message"]["text"]
        place = result["locations"][0]["physicalLocation"]
        assert place["region"]["startLine"] >= 1 and place["region"]["startColumn"] >= 1
        assert re.fullmatch(r"[\w.:/%~-]+", place["artifactLocation"]["uri"])


UNKNOWN_OPERATOR = json.dumps(
    {
        "nodes": [
            {"op": "null", "name": "data", "inputs": []},
            {"op": "CaffeOp", "name": "c1", "inputs": [[0, 0, 0]]},
        ],
        "arg_nodes": [0],
        "heads": [[1, 0, 0]],
    },
    indent=1,
)


def test_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["check", str(tmp_path / "none.py")]) == 2
    assert "no such file or folder" in capsys.readouterr().err
    cases = {
        "broken.py": ("def f(:\n", "1:7: MX100 syntax error"),
        "old.py": ("x = 1\nprint x\n", "2:1: MX101 this is Python 2 (print statement)"),
        "empty.ipynb": ("", "1:1: MX100 this is no notebook"),
        "list.ipynb": ("[]", "1:1: MX100 this is no notebook"),
        "null.py": ("a\0b", "1:1: MX100 syntax error"),
        "cut-symbol.json": ('{"nodes": [], "arg_nodes": [', "1:1: MX503 "),
        "settings.json": ("{}", "1:1: MX503 "),
        "coding.py": ("# coding: nonsense\n", "1:1: MX100 the encoding"),
        "op-symbol.json": (UNKNOWN_OPERATOR, "10:1: MX303 node c1: CaffeOp: neither MXNet 1.9.1 nor mxcompat"),
        "deep.py": ("x = " + "-" * 100000 + "1", "1:1: MX100 "),
    }
    for name, (text, start) in cases.items():
        (tmp_path / name).write_text(text)
        assert main(["check", str(tmp_path / name)]) == 1, name
        assert capsys.readouterr().out.startswith(f"{tmp_path / name}:{start}"), name


def test_what_can_be_read_of_a_wrong_encoding(tmp_path: Path) -> None:
    path = tmp_path / "latin.py"
    path.write_bytes(b"import mxnet as mx  # \xe9\nmx.sym.Nowhere()\n")
    assert findings_of(path) == [(0, 1, 1, "MX100"), (0, 2, 1, "MX301")]


def test_other_files_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "net-0001.params").write_bytes(b"")
    assert main(["check", str(tmp_path / "net-0001.params")]) == 2
    assert "neither a script, a notebook nor a symbol file (try mxcompat inspect)" in capsys.readouterr().err
    (tmp_path / "train").write_text("import mxnet as mx\n")
    assert main(["check", str(tmp_path / "train")]) == 0


def test_folders_with_nothing_to_read(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["check", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert (
        out.startswith("0 files, 0 MXNet uses")
        and err == f"mxcompat check: no script, notebook or symbol file in {tmp_path}\n"
    )
    (tmp_path / "gone.py").symlink_to(tmp_path / "nowhere.py")
    assert main(["check", str(tmp_path)]) == 1
    assert f"{tmp_path}/gone.py:1:1: MX503 this cannot be read: No such file or directory" in capsys.readouterr().out
    assert main(["check", str(tmp_path / "gone.py")]) == 2


def test_the_examples_are_sound() -> None:
    report = check([str(ROOT / "migration_examples")])
    assert report.uses > 200
    assert not [f for f in report.findings if f.code.startswith("MX3")]
