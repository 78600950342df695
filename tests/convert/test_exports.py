"""pt2, ONNX and safetensors files, and the way back: numbers on inputs that the conversion was not verified on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("safetensors")

import torch
from safetensors import safe_open

from mxcompat.convert import ConversionError, checkpoint, exports, verify
from tests.convert.nets import NETS, bound, values

#: the others are marked slow; these have branches, recurrence, and integers between them
FAST = {"mlp", "lenet", "resnet_v1", "fused_lstm"}
EXPORTED = [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in NETS if NETS[name].exports]


def written(name: str, form: str, folder: Path, **options: Any) -> str:
    """The path of the net's file."""
    return exports.convert(bound(name), form, str(folder / name), **options).files[-1]


def check(name: str, found: list[np.ndarray], inputs: dict[str, np.ndarray]) -> None:
    """Within 1e-4 of the largest value of each output."""
    network = bound(name)
    wanted = checkpoint.reference_outputs(network, inputs)
    for difference in verify.compare(network.symbol.list_outputs(), wanted, found, 1e-4):
        assert difference.agrees, difference.text()


def as_tuple(outputs: Any) -> tuple:
    return outputs if isinstance(outputs, tuple) else (outputs,)


@pytest.mark.parametrize("name", EXPORTED)
def test_pt2(name: str, tmp_path: Path) -> None:
    program = torch.export.load(written(name, "pt2", tmp_path)).module()
    inputs = checkpoint.seeded_inputs(bound(name), 7)
    found = as_tuple(program(*(torch.from_numpy(inputs[key]) for key in NETS[name].forward_inputs)))
    check(name, [output.detach().numpy() for output in found], inputs)


@pytest.mark.parametrize("name", EXPORTED)
def test_onnx(name: str, tmp_path: Path) -> None:
    for package in ("onnx", "onnxscript"):
        pytest.importorskip(package)
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(written(name, "onnx", tmp_path), providers=["CPUExecutionProvider"])
    assert [entry.name for entry in session.get_outputs()] == bound(name).symbol.list_outputs()
    inputs = checkpoint.seeded_inputs(bound(name), 7)
    check(name, session.run(None, {key: inputs[key] for key in NETS[name].forward_inputs}), inputs)


@pytest.mark.parametrize("name", NETS)
def test_safetensors_and_back(name: str, tmp_path: Path) -> None:
    """Symbol and arrays survive; what comes back loads as a checkpoint and computes the same to the bit."""
    path = written(name, "safetensors", tmp_path)
    with safe_open(path, "pt") as file:
        assert json.loads(file.metadata()["symbol"])["nodes"]
        assert set(file.keys()) == set(values(NETS[name]))
    exports.to_params(path, 4, str(tmp_path / "back"))
    again = checkpoint.load(str(tmp_path / "back"), 4, {**NETS[name].shapes, **NETS[name].labels})
    inputs = checkpoint.seeded_inputs(bound(name), 7)
    for want, have in zip(*(checkpoint.reference_outputs(network, inputs) for network in (bound(name), again)), strict=True):
        np.testing.assert_array_equal(have, want)
    for key, want in values(NETS[name]).items():
        np.testing.assert_array_equal(again.arrays[key].asnumpy(), want.asnumpy())


def test_open_batch(tmp_path: Path) -> None:
    """One file for every batch size, though the example has one sample."""
    net = NETS["resnet_v2"]
    network = checkpoint.make(net.build(), values(net), {"data": (1, 3, 16, 16)}, "net")
    (path,) = exports.convert(network, "pt2", str(tmp_path / "net"), dynamic={"data": [0]}).files
    program = torch.export.load(path).module()
    for batch in (1, 3):
        data = np.random.RandomState(batch).standard_normal((batch, 3, 16, 16)).astype("float32")
        other = checkpoint.make(net.build(), values(net), {"data": data.shape}, "net")
        (want,) = checkpoint.reference_outputs(other, {"data": data, "softmax_label": np.zeros(batch, "float32")})
        np.testing.assert_allclose(program(torch.from_numpy(data)).detach().numpy(), want, rtol=1e-4, atol=1e-5)
    with pytest.raises(ConversionError, match="pt2 and ONNX files only, not in module"):
        exports.convert(network, "module", str(tmp_path / "net"), dynamic={"data": [0]})
