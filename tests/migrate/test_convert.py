"""``mxcompat convert``: reports, exit codes, what is left behind where something is wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("safetensors")

import mxcompat as mx
from mxcompat.__main__ import main
from mxcompat.convert import exports
from tests.convert.nets import NETS, save, values

SHAPE = ("--shape", "data=4,10")


@pytest.fixture
def prefix(tmp_path: Path) -> str:
    """Of a checkpoint of epoch 1, alone in its folder."""
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    save("mlp", str(folder / "mlp"))
    return str(folder / "mlp")


@pytest.fixture
def refused(tmp_path: Path, capsys: pytest.CaptureFixture) -> Callable:
    """``refused(*arguments)``: the message of a conversion that ends with code 2 and writes nothing."""

    def run(*arguments: str) -> str:
        before = sorted(tmp_path.rglob("*"))
        try:
            code = main(["convert", *arguments])
        except SystemExit as error:  # from argparse
            code = int(error.code or 0)
        output = capsys.readouterr()
        assert code == 2 and output.out == "" and "Traceback" not in output.err, output.err
        assert sorted(tmp_path.rglob("*")) == before
        return output.err.strip().splitlines()[-1]

    return run


def test_report(prefix: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = str(tmp_path / "net.py")
    assert main(["convert", prefix, "1", "--to", "module", *SHAPE, "-o", out]) == 0
    first, *rest = capsys.readouterr().out.splitlines()
    assert first.startswith("softmax_output (4, 4): max abs ") and ", cosine 1.0000000" in first
    assert rest == [f"wrote {out}", f"wrote {tmp_path / 'net.safetensors'}"]
    assert main(["convert", prefix, "1", "--to", "safetensors", *SHAPE, "-o", out, "--format", "json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["files"] == [f"{out}.safetensors"] and report["error"] == "" and report["notes"] == []
    assert report["outputs"][0]["name"] == "softmax_output" and report["outputs"][0]["agrees"]


def test_there_and_back(prefix: str, tmp_path: Path) -> None:
    """The files that come back are those of the checkpoint, to the byte."""
    stored, back = str(tmp_path / "net.safetensors"), str(tmp_path / "mlp")
    assert main(["convert", prefix, "1", "--to", "safetensors", *SHAPE, "-o", stored]) == 0
    assert main(["convert", stored, "1", "--to", "params", "-o", back]) == 0
    _, arguments, _ = mx.model.load_checkpoint(back, 1)
    for name, array in values(NETS["mlp"]).items():
        np.testing.assert_array_equal(arguments[name].asnumpy(), array.asnumpy())
    assert Path(f"{back}-symbol.json").read_text() == Path(f"{prefix}-symbol.json").read_text()


def test_existing_files_are_replaced_only_by_what_agrees(
    prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    out = tmp_path / "net.py"
    out.write_text("old")
    command = ["convert", prefix, "1", "--to", "module", *SHAPE, "-o", str(out)]
    compute = exports.reference_outputs
    with monkeypatch.context() as patch:
        patch.setattr(exports, "reference_outputs", lambda *given: [x + 0.1 for x in compute(*given)])
        assert main(command) == 3
    output = capsys.readouterr()
    assert "OUT OF TOLERANCE" in output.out and "nothing was written" in output.err
    assert out.read_text() == "old" and not (tmp_path / "net.safetensors").exists()
    assert main(command) == 0 and "class Net" in out.read_text()


def test_unused_parameters_are_noted(prefix: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    arrays = mx.nd.load(f"{prefix}-0001.params")
    mx.nd.save(f"{prefix}-0002.params", {**arrays, "arg:old_weight": mx.nd.ones((2, 2))})
    assert main(["convert", prefix, "2", "--to", "module", *SHAPE, "-o", str(tmp_path / "net.py")]) == 0
    assert "note: left out, as the symbol does not use them: old_weight" in capsys.readouterr().out


def test_arguments(prefix: str, tmp_path: Path, refused: Callable) -> None:
    out = ("-o", str(tmp_path / "net.py"))
    module = ("--to", "module")
    assert "--shape is missing" in refused(prefix, "1", *module, *out)
    assert "expected NAME=SIZE,SIZE" in refused(prefix, "1", *module, *out, "--shape", "4,10")
    assert "expected NAME=SIZE,SIZE" in refused(prefix, "1", *module, *out, "--shape", "data=4,x")
    assert "expected NAME=SIZE,SIZE" in refused(prefix, "1", *module, *out, "--shape", "data=0,10")
    assert "invalid choice: 'keras'" in refused(prefix, "1", "--to", "keras", *out, *SHAPE)
    assert "-o/--out" in refused(prefix, "1", *module, *SHAPE)
    text = refused(prefix, "1", *module, *out, "--shape", "image=4,10")
    assert "--shape image" in text and "it has data" in text
    text = refused(prefix, "1", *module, *out, "--shape", "data=4,11")
    assert "FullyConnected fc1" in text and "(16, 10)" in text and "(16, 11)" in text
    assert "pt2 and ONNX files only" in refused(prefix, "1", *module, *out, *SHAPE, "--dynamic-batch")


def test_paths(prefix: str, tmp_path: Path, refused: Callable) -> None:
    out = ("-o", str(tmp_path / "net.py"))
    module = ("--to", "module", *SHAPE)
    assert "none-symbol.json: no such file" in refused(str(tmp_path / "none"), "1", *module, *out)
    assert "mlp-0007.params: no such file" in refused(prefix, "7", *module, *out)
    assert f"{tmp_path / 'absent'}: no such folder" in refused(prefix, "1", *module, "-o", str(tmp_path / "absent" / "net.py"))
    (tmp_path / "folder.py").mkdir()
    assert "folder.py is a folder" in refused(prefix, "1", *module, "-o", str(tmp_path / "folder.py"))


def _without(path: str, *names: str, **more: Any) -> None:
    arrays = mx.nd.load(path)
    mx.nd.save(path, {**{key: value for key, value in arrays.items() if key[4:] not in names}, **more})


def test_symbol_and_parameters_that_disagree(prefix: str, tmp_path: Path, refused: Callable) -> None:
    given = (prefix, "1", "--to", "module", *SHAPE, "-o", str(tmp_path / "net.py"))
    params = f"{prefix}-0001.params"
    _without(params, "fc2_bias")
    text = refused(*given)
    assert "fc2_bias is in the symbol, but not in the parameter file" in text and "fc2_bias=8" in text
    _without(params, **{"arg:dense_bias": mx.nd.zeros((8,))})
    assert "dense_bias that the symbol does not know: do the two belong together?" in refused(*given)
    _without(params, "dense_bias", **{"arg:fc2_bias": mx.nd.zeros((9,))})
    text = refused(*given)
    assert "fc2" in text and "(9,)" in text and "(8,)" in text


def test_broken_files(prefix: str, tmp_path: Path, refused: Callable) -> None:
    given = (prefix, "1", "--to", "module", *SHAPE, "-o", str(tmp_path / "net.py"))
    symbol, params = Path(f"{prefix}-symbol.json"), Path(f"{prefix}-0001.params")
    text, data = symbol.read_text(), params.read_bytes()
    params.write_bytes(data[:200])
    assert "mlp-0001.params" in refused(*given)
    params.write_bytes(b"")
    assert "mlp-0001.params" in refused(*given)
    params.write_bytes(data)
    symbol.write_text(text[:100])
    assert "mlp-symbol.json" in refused(*given)
    symbol.write_text("[]")
    assert "mlp-symbol.json" in refused(*given)


def test_operators_that_cannot_be_converted_are_named(prefix: str, tmp_path: Path, refused: Callable) -> None:
    given = ("1", "--to", "module", *SHAPE, "-o", str(tmp_path / "net.py"))
    symbol = Path(f"{prefix}-symbol.json")
    text = symbol.read_text()
    symbol.write_text(text.replace('"op": "Activation"', '"op": "Telepathy"'))
    assert re.search("node activation\\d+: operator 'Telepathy' is not registered$", refused(prefix, *given))
    symbol.write_text(text.replace('"act_type": "relu"', '"act_type": "telepathic"'))
    assert re.search("activation\\d+.*telepathic", refused(prefix, *given))


def test_output_cuts_the_symbol(tmp_path: Path, capsys: pytest.CaptureFixture, refused: Callable) -> None:
    """What is in front of a loss of the program's own can be converted."""
    features = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=3, name="fc1")
    hidden = mx.sym.FullyConnected(features, num_hidden=2, name="fc2")
    symbol = mx.sym.Custom(hidden, mx.sym.Variable("label"), op_type="convert_command_loss", name="loss")
    arrays = {name: mx.nd.ones(shape) for name, shape in (("fc1_weight", (3, 4)), ("fc1_bias", (3,)))}
    arrays.update(fc2_weight=mx.nd.ones((2, 3)), fc2_bias=mx.nd.ones((2,)))
    prefix = str(tmp_path / "net")
    mx.model.save_checkpoint(prefix, 0, symbol, arrays, {})
    given = (prefix, "--to", "module", "-o", str(tmp_path / "out.py"), "--shape", "data=5,4")
    assert "Custom loss" in (text := refused(*given, "label=5")) and "--output NAME" in text
    assert "--output fc3: the symbol has no such output; it has fc2" in refused(*given, "--output", "fc3")
    capsys.readouterr()
    assert main(["convert", *given, "--output", "fc1", "fc2_output"]) == 0
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith("fc1_output (5, 3): ") and second.startswith("fc2_output (5, 2): ")
    file = tmp_path / "net-symbol.json"
    file.write_text(file.read_text().replace("convert_command_loss", "of_another_program"))
    assert "of_another_program" in (text := refused(*given, "label=5")) and "--output NAME" in text
    assert main(["convert", *given, "--output", "fc1"]) == 0
    assert "note: left out, as the symbol does not use them: fc2_bias, fc2_weight" in capsys.readouterr().out


@mx.operator.register("convert_command_loss")
class LossProp(mx.operator.CustomOpProp):
    """A loss of the program's own."""

    def list_arguments(self) -> list[str]:
        return ["data", "label"]

    def infer_shape(self, in_shape: Any) -> Any:
        return [in_shape[0], [in_shape[0][0]]], [in_shape[0]], []

    def create_operator(self, ctx: Any, shapes: Any, dtypes: Any) -> Any:
        return mx.operator.CustomOp()


def test_names_of_a_file_are_not_run(tmp_path: Path) -> None:
    """A symbol is data: whatever its names are, they stay names in the source."""
    trap = tmp_path / "trap"
    evil = f'x"""); open({str(trap)!r}, "w") #\\'
    data = mx.sym.Variable('da"ta')
    weight = mx.sym.Variable(f"{evil}_weight")
    net = mx.sym.FullyConnected(data, weight, mx.sym.Variable("\\'\"_bias"), num_hidden=3, name=evil)
    net = mx.sym.SoftmaxOutput(net, name='soft"""max\nimport os\n')
    arrays = {weight.name: mx.nd.ones((3, 4)), "\\'\"_bias": mx.nd.ones((3,))}
    prefix = str(tmp_path / 'net"""')
    mx.model.save_checkpoint(prefix, 0, net, arrays, {})
    assert main(["convert", prefix, "--to", "module", "--shape", 'da"ta=2,4', "-o", str(tmp_path / "out.py")]) == 0
    assert not trap.exists() and "\\\"" in (tmp_path / "out.py").read_text()


def test_shapes_that_do_not_follow(tmp_path: Path, refused: Callable) -> None:
    both = mx.sym.Variable("left") + mx.sym.Variable("right") * mx.sym.Variable("weight")
    left = mx.sym.Concat(both, mx.sym.Variable("more"), name="both")
    mx.model.save_checkpoint(str(tmp_path / "net"), 0, left, {"weight": mx.nd.ones((2, 3))}, {})
    given = (str(tmp_path / "net"), "--to", "module", "-o", str(tmp_path / "net.py"), "--shape")
    assert "the shape of more" in refused(*given, "left=2,3")
    assert "left is in the symbol, but not in the parameter file" in refused(*given, "more=2,3")


def test_files_for_the_way_back(prefix: str, tmp_path: Path, refused: Callable) -> None:
    from safetensors.numpy import save_file

    path, back = str(tmp_path / "a.safetensors"), ("--to", "params", "-o", str(tmp_path / "back"))
    assert "no such file" in refused(path, "1", *back)
    Path(path).write_bytes(b"not safetensors")
    assert "cannot be read as safetensors" in refused(path, "1", *back)
    save_file({"fc1_weight": np.zeros((2, 2), "float32")}, path)
    assert "does not hold a symbol" in refused(path, "1", *back)
    symbol = Path(f"{prefix}-symbol.json").read_text()
    save_file({"dense_weight": np.zeros((2, 2), "float32")}, path, {"symbol": symbol})
    assert "the symbol has no dense_weight" in refused(path, "1", *back)


def test_help_shows_examples(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        main(["convert", "--help"])
    text = capsys.readouterr().out
    for form in ("module", "pt2", "onnx", "safetensors", "params"):
        assert f"--to {form}" in text
