"""``mx.contrib.onnx``: export under its old names, what can be read of ONNX files."""

from __future__ import annotations

from pathlib import Path

import pytest

import mxcompat as mx


def test_old_names() -> None:
    """The second was where the function lived until MXNet 1.8."""
    from mxcompat.contrib import onnx as onnx_mxnet
    from mxcompat.contrib.onnx.mx2onnx import export_model

    assert mx.contrib.onnx is onnx_mxnet
    assert onnx_mxnet.mx2onnx.export_model is export_model is mx.onnx.export_model is onnx_mxnet.export_model_


def test_import_says_what_to_do_instead() -> None:
    for call in (
        lambda: mx.contrib.onnx.import_model("a.onnx"),
        lambda: mx.contrib.onnx.import_to_gluon("a.onnx", mx.cpu()),
    ):
        with pytest.raises(mx.MXNetError, match="run a.onnx with onnxruntime"):
            call()


def test_metadata_of_an_exported_file(tmp_path: Path) -> None:
    for package in ("safetensors", "onnx", "onnxscript"):
        pytest.importorskip(package)
    data = mx.sym.Variable("data")
    symbol = mx.sym.FullyConnected(data, mx.sym.Variable("weight"), no_bias=True, num_hidden=3, name="fc")
    arrays = {"weight": mx.nd.ones((3, 5))}
    path = str(tmp_path / "net.onnx")
    assert mx.contrib.onnx.export_model(symbol, arrays, [(2, 5)], onnx_file_path=path) == path
    found = mx.contrib.onnx.get_model_metadata(path)
    assert found == {"input_tensor_data": [("data", (2, 5))], "output_tensor_data": [("fc_output", (2, 3))]}
    mx.contrib.onnx.export_model(symbol, arrays, [(2, 5)], onnx_file_path=path, dynamic=True)
    assert mx.contrib.onnx.get_model_metadata(path)["input_tensor_data"] == [("data", (0, 5))]
