"""``mx.onnx.export_model``: arguments as programs give them, files as other programs read them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mxcompat as mx
from tests.convert.nets import NETS, save, values

pytest.importorskip("safetensors")
pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")

DATA = NETS["mlp"].shapes["data"]


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """Paths of a checkpoint's symbol and parameters."""
    save("mlp", str(tmp_path / "mlp"), 3)
    return str(tmp_path / "mlp-symbol.json"), str(tmp_path / "mlp-0003.params")


def computed(path: str, **inputs: np.ndarray) -> list[np.ndarray]:
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, inputs)


def expected(symbol: Any, arrays: dict[str, Any], data: np.ndarray) -> list[np.ndarray]:
    """What the symbol computes in inference."""
    executor = symbol.simple_bind(mx.cpu(), grad_req="null", data=data.shape)
    aux = {name: array for name, array in arrays.items() if name in executor.aux_dict}
    executor.copy_params_from({name: array for name, array in arrays.items() if name not in aux}, aux)
    return [output.asnumpy() for output in executor.forward(is_train=False, data=mx.nd.array(data))]


def drawn(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.RandomState(3).standard_normal(shape).astype("float32")


def check(path: str, symbol: Any, arrays: dict[str, Any], shape: tuple[int, ...]) -> None:
    data = drawn(shape)
    for want, have in zip(expected(symbol, arrays, data), computed(path, data=data), strict=True):
        np.testing.assert_allclose(have, want, rtol=1e-4, atol=1e-5)


def test_files(files: tuple[str, str], tmp_path: Path) -> None:
    """The call of the tutorials: two paths, a list of shapes, a type, the path to write."""
    out = str(tmp_path / "mlp.onnx")
    assert mx.onnx.export_model(*files, [DATA], np.float32, out) == out
    check(out, NETS["mlp"].build(), values(NETS["mlp"]), DATA)


def test_symbol_and_one_dict(tmp_path: Path) -> None:
    """Names may carry the prefixes of parameter files; shapes may be lists; the path need not end in .onnx."""
    net = NETS["resnet_v1"]
    symbol, arrays, out = net.build(), values(net), str(tmp_path / "model.bin")
    aux = symbol.list_auxiliary_states()
    named = {f"{'aux' if name in aux else 'arg'}:{name}": array for name, array in arrays.items()}
    assert mx.onnx.export_model(symbol, named, [list(net.shapes["data"])], "float32", out) == out
    check(out, symbol, arrays, net.shapes["data"])
    assert [path.name for path in tmp_path.iterdir()] == ["model.bin"]


def test_symbol_and_two_dicts_under_old_names(tmp_path: Path) -> None:
    net = NETS["inception_bn"]
    symbol, arrays, out = net.build(), values(net), str(tmp_path / "net.onnx")
    aux = {name: arrays.pop(name) for name in symbol.list_auxiliary_states()}
    mx.onnx.export_model(
        sym=symbol, params=[arrays, aux], input_shape=[net.shapes["data"]], input_type=[np.float32], onnx_file_path=out
    )
    check(out, symbol, {**arrays, **aux}, net.shapes["data"])


def test_parameters_that_the_symbol_does_not_use(tmp_path: Path) -> None:
    out = str(tmp_path / "net.onnx")
    arrays = {**values(NETS["mlp"]), "extra": mx.nd.array([1, 2])}
    mx.onnx.export_model(NETS["mlp"].build(), arrays, [DATA], onnx_file_path=out)
    check(out, NETS["mlp"].build(), values(NETS["mlp"]), DATA)


def test_several_inputs_follow_the_order_of_the_symbol(tmp_path: Path) -> None:
    left, right = mx.sym.Variable("left"), mx.sym.Variable("right")
    symbol = mx.sym.broadcast_mul(left, right) + mx.sym.broadcast_add(left, mx.sym.Variable("bias"))
    out = str(tmp_path / "net.onnx")
    mx.onnx.export_model(symbol, {"bias": mx.nd.array([[1, 2, 3]])}, [(2, 3), (1, 3)], onnx_file_path=out)
    first, second = drawn((2, 3)), drawn((1, 3))
    (found,) = computed(out, left=first, right=second)
    np.testing.assert_allclose(found, first * second + first + np.array([[1, 2, 3]]), rtol=1e-5)


@pytest.mark.parametrize("sizes", [None, [("batch", 3, 16, 16)], [(None, 3, 16, 16)]], ids=str)
def test_dynamic_batch(sizes: Any, tmp_path: Path) -> None:
    net, out = NETS["resnet_v2"], str(tmp_path / "net.onnx")
    symbol, arrays = net.build(), values(net)
    mx.onnx.export_model(
        symbol, arrays, [(1, 3, 16, 16)], onnx_file_path=out, dynamic=True, dynamic_input_shapes=sizes
    )
    for batch in (1, 2, 5):
        check(out, symbol, arrays, (batch, 3, 16, 16))


def test_verbose_shows_how_the_outputs_compare(capsys: pytest.CaptureFixture, tmp_path: Path) -> None:
    symbol = mx.sym.exp(mx.sym.Variable("data"), name="grown")
    mx.onnx.export_model(symbol, {}, [(2, 3)], onnx_file_path=str(tmp_path / "a.onnx"))
    assert capsys.readouterr().out == ""
    mx.onnx.export_model(symbol, {}, [(2, 3)], onnx_file_path=str(tmp_path / "b.onnx"), verbose=True)
    assert capsys.readouterr().out.startswith("grown_output (2, 3): max abs ")


def test_wrong_arguments_are_refused_with_the_original_classes(files: tuple[str, str], tmp_path: Path) -> None:
    symbol, arrays = NETS["mlp"].build(), values(NETS["mlp"])
    before = sorted(tmp_path.iterdir())
    out = str(tmp_path / "net.onnx")
    for sym, params in (
        (symbol, files[1]),  # a Symbol and a path
        (files[0], arrays),
        (symbol, [arrays]),
        (symbol, None),
        (files[0], str(tmp_path / "none-0000.params")),
        (str(tmp_path / "none-symbol.json"), files[1]),
    ):
        with pytest.raises(ValueError, match="both be file names|no such file"):
            mx.onnx.export_model(sym, params, [DATA], onnx_file_path=out)
    for shapes in (None, [], [DATA, DATA], DATA):
        with pytest.raises(ValueError, match="one shape for each of the inputs data"):
            mx.onnx.export_model(symbol, arrays, shapes, onnx_file_path=out)
    with pytest.raises(ValueError, match="one type for each of the inputs data"):
        mx.onnx.export_model(symbol, arrays, [DATA], [np.float32] * 2, out)
    with pytest.raises(ValueError, match="dynamic_input_shapes"):
        mx.onnx.export_model(symbol, arrays, [DATA], onnx_file_path=out, dynamic=True, dynamic_input_shapes=[])
    with pytest.raises(mx.MXNetError, match="fc1"):
        mx.onnx.export_model(symbol, arrays, [(4, 11)], onnx_file_path=out)
    assert sorted(tmp_path.iterdir()) == before


def test_without_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"pip install 'mxcompat\[onnx\]'"):
        mx.onnx.export_model(NETS["mlp"].build(), values(NETS["mlp"]), [DATA], onnx_file_path=str(tmp_path / "a.onnx"))


def test_operator_support() -> None:
    names = mx.onnx.get_operator_support()
    assert {"Convolution", "SoftmaxOutput", "RNN", "_contrib_MultiBoxDetection"} <= set(names)
    assert "Custom" not in names and names == sorted(names) == mx.onnx.get_operator_support(opset_version=13)
