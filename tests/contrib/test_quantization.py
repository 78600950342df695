"""``mx.contrib.quantization`` against what real MXNet makes of the same networks."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mxcompat as mx
from mxcompat.base import MXNetError
from mxcompat.contrib import quantization
from tests.contrib.quantization_cases import CASES, SHAPES, examples, lenet, parameters

RECORDED = json.loads((Path(__file__).parents[1] / "golden" / "quantization.json").read_text(encoding="utf-8"))


def _same(expected: Any, found: Any, place: str = "") -> list[str]:
    """Where two results differ; numbers, also those in texts, may by single-precision rounding."""
    if isinstance(expected, dict) and isinstance(found, dict) and expected.keys() == found.keys():
        return [line for key in expected for line in _same(expected[key], found[key], f"{place}/{key}")]
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        return [line for i, x in enumerate(expected) for line in _same(x, found[i], f"{place}/{i}")]
    if place.endswith("_calib_range"):
        expected, found = float(expected), float(found)
    if (
        isinstance(expected, float)
        and isinstance(found, float)
        and abs(expected - found) <= 1e-5 * max(1, abs(expected))
    ):
        return []
    return [] if expected == found else [f"{place}: expected {str(expected)[:200]}, found {str(found)[:200]}"]


@pytest.mark.parametrize("name", CASES)
def test_equals_the_original(name: str) -> None:
    found = json.loads(json.dumps(CASES[name](mx)))
    # rounded outputs may differ in their last digit
    assert _same(RECORDED[name], found) == []


def _lenet() -> tuple[Any, dict, dict]:
    symbol = lenet(mx)
    return symbol, *parameters(mx, symbol, SHAPES["lenet"])


def _outputs(symbol: Any, args: dict, aux: dict) -> np.ndarray:
    feeds = {**args, "data": mx.nd.array(examples("lenet"))}
    return symbol.bind(mx.cpu(), feeds, aux_states=aux, grad_req="null").forward()[0].asnumpy()


@pytest.mark.parametrize("mode", ["none", "naive"])
def test_quantized_model_gives_nearly_the_same(mode: str) -> None:
    symbol, args, aux = _lenet()
    args["conv1_bias"][:] = 0  # quantized convolutions add its integers as they are
    data = mx.io.NDArrayIter(examples("lenet"), batch_size=4)
    quantized = quantization.quantize_model(
        symbol, args, aux, label_names=(), calib_mode=mode, calib_data=data, quantize_mode="full"
    )
    assert np.abs(_outputs(*quantized) - _outputs(symbol, args, aux)).max() < 0.02


def test_runs_in_a_module_and_from_a_checkpoint(tmp_path: Path) -> None:
    symbol, args, aux = _lenet()
    data = mx.io.NDArrayIter(examples("lenet"), batch_size=4)
    found = quantization.quantize_model(symbol, args, aux, label_names=(), calib_mode="naive", calib_data=data)
    mx.model.save_checkpoint(str(tmp_path / "net"), 0, *found)
    module = mx.mod.Module.load(str(tmp_path / "net"), 0, label_names=())
    module.bind(data.provide_data, for_training=False)
    data.reset()
    assert module.predict(data).asnumpy().tolist() == _outputs(*found).tolist()


def test_recurrent_layer_before_a_dense_one() -> None:
    state = {name: mx.sym.Variable(name) for name in ("state", "state_cell")}
    net = mx.sym.RNN(mx.sym.Variable("data"), state_size=4, num_layers=1, mode="lstm", name="lstm", **state)
    symbol = mx.sym.FullyConnected(net, num_hidden=2, flatten=False, name="out")
    shapes = {"data": (3, 2, 5), "state": (1, 2, 4), "state_cell": (1, 2, 4)}
    sizes = dict(zip(symbol.list_arguments(), symbol.infer_shape(**shapes)[0]))
    rng = np.random.RandomState(0)
    args = {name: mx.nd.array(rng.uniform(-0.5, 0.5, size)) for name, size in sizes.items()}
    held = {name: array for name, array in args.items() if name not in shapes}
    found, params, _ = quantization.quantize_model(symbol, held, {}, calib_mode="none")
    operators = [node.op.name for node in found._nodes() if node.op is not None]
    assert operators[:3] == ["_contrib_quantize_asym", "_contrib_quantized_rnn", "_contrib_quantize_v2"]
    feeds = {**params, **{name: args[name] for name in shapes}}
    output = found.bind(mx.cpu(), feeds, grad_req="null").forward()[0]
    exact = symbol.bind(mx.cpu(), args, grad_req="null").forward()[0]
    assert np.abs((output - exact).asnumpy()).max() < 0.01


def test_smoothing() -> None:
    assert quantization._smooth_distribution(np.array([0.0, 2.0, 2.0]), eps=0.5).tolist() == [0.5, 1.75, 1.75]
    with pytest.raises(ValueError, match="All entries are 0"):
        quantization._smooth_distribution(np.zeros(3))
    with pytest.raises(AssertionError, match="too few"):
        quantization._smooth_distribution(np.array([0.0, 0.0, 2.0]), eps=0.5)


def test_logger_hears_of_it(caplog: pytest.LogCaptureFixture) -> None:
    symbol, args, aux = _lenet()
    data = mx.io.NDArrayIter(examples("lenet"), batch_size=4)
    with caplog.at_level(logging.INFO):
        quantization.quantize_model(
            symbol, args, aux, label_names=(), calib_mode="naive", calib_data=data, logger=logging.getLogger("q")
        )
    assert "Collected statistics from 2 batches with batch_size=4" in caplog.text


class TestErrors:
    @pytest.mark.parametrize(
        ("options", "error", "words"),
        [
            ({"quantized_dtype": "int4"}, ValueError, "unknown quantized_dtype int4"),
            ({"quantize_granularity": "row-wise"}, ValueError, "quantize_granularity row-wise"),
            ({"quantize_mode": "some"}, MXNetError, "unrecognized quantize mode: some"),
            ({"excluded_sym_names": "conv1"}, ValueError, "excluded_sym_names"),
            ({"excluded_op_names": ("Concat",)}, ValueError, "excluded_op_names"),
            ({"calib_mode": "magic"}, ValueError, "unknown calibration mode magic"),
            ({"calib_mode": "naive"}, ValueError, "calib_data must be provided"),
            ({"calib_mode": "naive", "calib_data": [1]}, ValueError, "of DataIter type"),
        ],
    )
    def test_quantize_model(self, options: dict, error: type[Exception], words: str) -> None:
        with pytest.raises(error, match=words):
            quantization.quantize_model(*_lenet(), **{"calib_mode": "none", **options})

    def test_symbol(self) -> None:
        with pytest.raises(TypeError, match="expected a Symbol, got str"):
            quantization.quantize_model("net-symbol.json", {}, {})  # type: ignore[arg-type]

    def test_two_steps(self) -> None:
        symbol, args, aux = _lenet()
        with pytest.raises(ValueError, match="single ctx"):
            quantization.quantize_graph(symbol, args, aux, ctx=[mx.cpu()])
        with pytest.raises(ValueError, match="unknown calibration mode customize"):
            quantization.quantize_graph(symbol, args, aux, calib_mode="customize")
        for mode, words in (("none", "set calibration mode"), ("magic", "unknown calibration mode")):
            with pytest.raises(ValueError, match=words):
                quantization.calib_graph(symbol, args, aux, None, calib_mode=mode)
        with pytest.raises(AssertionError, match="odd number"):
            quantization._get_optimal_threshold((np.ones(4), np.ones(5), 0, 1, 1), "int8")
        with pytest.raises(AssertionError, match="expected a dict"):
            quantization._get_optimal_thresholds([], "int8")
        with pytest.raises(ValueError, match="type of DataIter"):
            quantization._collect_layer_statistics(None, [1], None)  # type: ignore[arg-type]

    def test_what_does_not_exist(self) -> None:
        with pytest.raises(MXNetError, match="call quantize_model"):
            quantization.quantize_model_mkldnn(*_lenet())
        with pytest.raises(ValueError, match="cpu platform"):
            quantization.quantize_model_mkldnn(*_lenet(), ctx=mx.gpu())
        for function in (quantization.quantize_net, quantization.quantize_net_v2):
            with pytest.raises(MXNetError, match="Gluon"):
                function(object())

    def test_batch_normalization_needs_a_range(self) -> None:
        symbol = mx.sym.BatchNorm(mx.sym.Variable("data"), name="norm")
        found, _, _ = quantization.quantize_model(symbol, {}, {}, calib_mode="none", quantize_mode="full")
        with pytest.raises(MXNetError, match="calibrated range"):
            found.infer_shape(data=(2, 3))

    def test_gpu(self) -> None:
        symbol = lenet(mx)
        with pytest.raises(MXNetError, match="channel-wise"):
            quantization._quantize_symbol(symbol, mx.gpu(), quantize_granularity="channel-wise")
        found, _ = quantization._quantize_symbol(symbol, mx.gpu(), quantize_mode="full")
        names = {name for name in found.get_internals().list_outputs() if name.startswith("quantized_")}
        assert "quantized_relu1_output" not in names
        assert {"quantized_conv1_output", "quantized_pool1_output", "quantized_flat_output"} <= names
