"""Networks on 8-bit integers (public path: ``mxnet.contrib.quantization``, also ``mx.contrib.quant``).

``quantize_model`` makes a quantized symbol and its parameters; ``quantize_graph`` and ``calib_graph`` do the same in two
steps, around a forward pass of one's own. Calibration finds the ranges of layers' outputs on examples beforehand, so that
they need not be found in every batch.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

from mxcompat import ndarray
from mxcompat.base import MXNetError, py_str
from mxcompat.context import Context, cpu
from mxcompat.graph import quantize as graph_pass
from mxcompat.io import DataIter
from mxcompat.module import Module
from mxcompat.ndarray import NDArray
from mxcompat.ops.calibrate import smoothed
from mxcompat.symbol import Symbol

__all__ = ["calib_graph", "combine_histogram", "quantize_graph", "quantize_model", "quantize_model_mkldnn"]
__all__ += ["quantize_net", "quantize_net_v2"]

_DTYPES = ("int8", "uint8", "auto")
_GRANULARITIES = ("tensor-wise", "channel-wise")
_OFFLINE = ("weight_quantize", "bias_quantize")
DEFAULT_CONTEXT = cpu()
Ranges = Mapping[str, tuple[Any, Any]]

# -- graphs and parameters ------------------------------------------------------------------------------------------


def _quantize_symbol(
    sym: Symbol,
    ctx: Context,
    excluded_symbols: list[str] | None = None,
    excluded_operators: list[str] | None = None,
    offline_params: Collection[str] | None = None,
    quantized_dtype: str = "int8",
    quantize_mode: str = "smart",
    quantize_granularity: str = "tensor-wise",
) -> tuple[Symbol, list[str]]:
    """The quantized symbol, and the names of the outputs it can be calibrated with (see ``graph.quantize``)."""
    _check_choices(quantized_dtype, quantize_granularity)
    if not isinstance(sym, Symbol):
        raise TypeError(f"sym: expected a Symbol, got {type(sym).__name__}")
    for name, given in (("excluded_symbols", excluded_symbols), ("excluded_operators", excluded_operators)):
        if given is not None and not isinstance(given, list):
            raise AssertionError(f"{name}: expected a list of names, got {type(given).__name__}")
    on_cpu = ctx.device_type != "gpu"
    if not on_cpu and quantize_granularity == "channel-wise":
        raise MXNetError("quantize_granularity='channel-wise' is not supported on the gpu; use 'tensor-wise'")
    return graph_pass.quantize(
        sym,
        on_cpu,
        excluded_symbols or (),
        excluded_operators or (),
        offline_params or (),
        quantized_dtype,
        quantize_mode,
    )


def _quantize_params(qsym: Symbol, params: dict[str, NDArray], th_dict: Ranges) -> dict[str, NDArray]:
    """The parameters of a quantized symbol: weights and biases as int8 with their ranges, the others as they are."""
    found: dict[str, NDArray] = {}
    for name in qsym.list_arguments():
        if name.endswith(_OFFLINE):
            array = params[name.removesuffix("_quantize")]
            ends = ndarray.min(array), ndarray.max(array)
            parts = ndarray.contrib.quantize(array, *ends, out_type="int8")  # type: ignore[attr-defined]
            found.update(zip((name, f"{name}_min", f"{name}_max"), parts))
        elif name in params:
            found[name] = params[name]
        elif name.endswith(("_min", "_max")) and name[:-4] in th_dict:
            found[name] = ndarray.array([th_dict[name[:-4]][name.endswith("_max")]])
    return found


def _calibrate_quantized_sym(qsym: Symbol, th_dict: Ranges | None) -> Symbol:
    """The quantized symbol with ranges by output name; the symbol itself when there are none."""
    if not th_dict:
        return qsym
    ranges = {name: (_number(low), _number(high)) for name, (low, high) in th_dict.items()}
    return graph_pass.calibrate(qsym, ranges)


def _number(value: Any) -> float:
    """A number, or the only element of an array, in single precision."""
    return float(np.asarray(value, np.float32).reshape(()))


# -- what layers put out --------------------------------------------------------------------------------------------


def combine_histogram(old_hist: tuple, arr: np.ndarray, new_min: float, new_max: float, new_th: float) -> tuple:
    """A histogram (counts, edges, min, max, threshold) with the values of ``arr`` added, whose magnitude is ``new_th``.

    Where that is beyond the old threshold the range grows by whole bins on both sides.
    """
    counts, edges, low, high, threshold = old_hist
    if new_th > threshold:
        step = 2 * float(threshold) / len(counts)  # in double precision, as NumPy 1 has it
        more = int((new_th - threshold) // step + 1)
        threshold = more * step + float(threshold)
        grown, edges = np.histogram(arr, bins=2 * more + len(counts), range=(-threshold, threshold))
        grown[more : more + len(counts)] += counts
    else:
        grown = counts + np.histogram(arr, bins=len(counts), range=(-threshold, threshold))[0]
    return grown, edges, min(low, new_min), max(high, new_max), threshold


class _LayerHistogramCollector:
    """A monitor callback that keeps histograms of the named outputs in ``hist_dict``."""

    def __init__(self, num_bins: int = 8001, include_layer: Collection[str] | None = None, logger: Any = None):
        self.hist_dict: dict[str, tuple] = {}
        self.num_bins, self.include_layer, self.logger = num_bins, include_layer, logger

    def collect(self, name: Any, arr: Any) -> None:
        """Add an output, if it is one of those named."""
        name = py_str(name)
        if self.include_layer is None or name not in self.include_layer:
            return
        values = NDArray(arr, writable=False).asnumpy()
        if self.logger:
            self.logger.debug(f"Collecting layer {name} histogram of shape {values.shape}")
        low, high = values.min(), values.max()
        threshold = max(abs(low), abs(high))
        if name in self.hist_dict:
            self.hist_dict[name] = combine_histogram(self.hist_dict[name], values, low, high, threshold)
        else:
            counts, edges = np.histogram(values, bins=self.num_bins, range=(-threshold, threshold))
            self.hist_dict[name] = (counts, edges, low, high, threshold)


class _LayerOutputMinMaxCollector:
    """A monitor callback that keeps the extremes of the named outputs in ``min_max_dict``."""

    def __init__(self, quantized_dtype: str, include_layer: Collection[str] | None = None, logger: Any = None):
        self.min_max_dict: dict[str, tuple] = {}
        self.quantized_dtype, self.include_layer, self.logger = quantized_dtype, include_layer, logger

    def collect(self, name: Any, arr: Any) -> None:
        """Widen the range of an output, if it is one of those named."""
        name = py_str(name)
        if self.include_layer is None or name not in self.include_layer:
            return
        values = NDArray(arr, writable=False)
        low, high = ndarray.min(values).asscalar(), ndarray.max(values).asscalar()
        if name in self.min_max_dict:
            known = self.min_max_dict[name]
            self.min_max_dict[name] = (min(known[0], low), max(known[1], high))
        else:
            self.min_max_dict[name] = (low, high)
        if self.logger:
            self.logger.debug(f"Collecting layer {name} min_range={low:f}, max_range={high:f}")


def _collect_layer_statistics(
    mod: Module, data: DataIter, collector: Any, max_num_examples: int | None = None, logger: Any = None
) -> int:
    """Show the collector all node outputs of forward passes over the data; returns how many examples they were."""
    if not isinstance(data, DataIter):
        raise ValueError(f"Only supports data as a type of DataIter, while received type {type(data)}")
    mod._exec_group.execs[0].set_monitor_callback(collector.collect, monitor_all=True)
    batches = examples = 0
    for batch in data:
        mod.forward(data_batch=batch, is_train=False)
        batches += 1
        examples += data.batch_size
        if max_num_examples is not None and examples >= max_num_examples:
            break
    if logger is not None:
        logger.info(f"Collected statistics from {batches} batches with batch_size={data.batch_size}")
    return examples


def _collect_layer_output_min_max(
    mod: Module,
    data: DataIter,
    quantized_dtype: str,
    include_layer: Collection[str] | None = None,
    max_num_examples: int | None = None,
    logger: Any = None,
) -> tuple[dict[str, tuple], int]:
    """The extremes of the named outputs over the data, and the number of examples."""
    collector = _LayerOutputMinMaxCollector(quantized_dtype, include_layer, logger)
    examples = _collect_layer_statistics(mod, data, collector, max_num_examples, logger)
    return collector.min_max_dict, examples


def _collect_layer_histogram(
    mod: Module,
    data: DataIter,
    include_layer: Collection[str] | None = None,
    max_num_examples: int | None = None,
    logger: Any = None,
) -> tuple[dict[str, tuple], int]:
    """Histograms of the named outputs over the data, and the number of examples."""
    collector = _LayerHistogramCollector(include_layer=include_layer, logger=logger)
    examples = _collect_layer_statistics(mod, data, collector, max_num_examples, logger)
    return collector.hist_dict, examples


# -- thresholds -----------------------------------------------------------------------------------------------------


def _smooth_distribution(p: np.ndarray, eps: float = 0.0001) -> np.ndarray:
    """Counts with a little of every bin moved into the empty ones; ``ValueError`` when all are empty."""
    if not np.any(p):
        raise ValueError("The discrete probability distribution is malformed. All entries are 0.")
    found = smoothed(np.asarray(p, np.float32), eps)
    if found is None or (found <= 0).any():
        raise AssertionError(f"the distribution has too few entries that are not 0 for eps={eps}")
    return found


def _unsigned(low: float, quantized_dtype: str) -> bool:
    return low >= 0 and quantized_dtype in ("auto", "uint8")


def _get_optimal_threshold(hist_data: tuple, quantized_dtype: str, num_quantized_bins: int = 255) -> tuple:
    """(min, max, threshold (1,), divergence (1,)) of a histogram with an odd number of bins.

    For uint8 the bins of negative numbers, which stay empty, are counted in addition.
    """
    counts, edges, low, high, _ = hist_data
    if len(counts) % 2 != 1:
        raise AssertionError(f"the histogram has {len(counts)} bins, expected an odd number")
    if _unsigned(low, quantized_dtype):
        num_quantized_bins = num_quantized_bins * 2 + 1
    arrays = ndarray.array(counts, ctx=cpu()), ndarray.array(edges, ctx=cpu())
    found = ndarray.contrib.calibrate_entropy(  # type: ignore[attr-defined]
        *arrays, num_quantized_bins=num_quantized_bins
    )
    return low, high, *(part.asnumpy() for part in found)


def _get_optimal_thresholds(
    hist_dict: dict[str, tuple], quantized_dtype: str, num_quantized_bins: int = 255, logger: Any = None
) -> dict[str, tuple]:
    """The ranges of outputs by their histograms, which are removed from ``hist_dict`` one by one."""
    if not isinstance(hist_dict, dict):
        raise AssertionError(f"hist_dict: expected a dict, got {type(hist_dict).__name__}")
    if logger is not None:
        logger.info(
            "Calculating optimal thresholds for quantization using KL divergence "
            f"with num_quantized_bins={num_quantized_bins}"
        )
    ranges: dict[str, tuple] = {}
    for name in list(hist_dict):
        found = _get_optimal_threshold(hist_dict.pop(name), quantized_dtype, num_quantized_bins)
        low, high, threshold, divergence = found
        ranges[name] = (0, threshold) if _unsigned(low, quantized_dtype) else (-threshold, threshold)
        if logger:
            logger.debug(
                f"layer={name}, min_val={low:f}, max_val={high:f}, th={threshold[0]:f}, divergence={divergence[0]:f}"
            )
    return ranges


# -- for users ------------------------------------------------------------------------------------------------------


def _check_choices(quantized_dtype: str, quantize_granularity: str) -> None:
    if quantized_dtype not in _DTYPES:
        raise ValueError(f"unknown quantized_dtype {quantized_dtype} received, expected `int8`, `uint8` or `auto`")
    if quantize_granularity not in _GRANULARITIES:
        raise ValueError(
            f"unknown quantize_granularity {quantize_granularity} received, expected `tensor-wise` or `channel-wise`"
        )


def _check_names(name: str, given: Any) -> list[str]:
    if given is not None and not isinstance(given, list):
        raise ValueError(
            f"{name} must be a list of names that will not be quantized, while received type {type(given)}"
        )
    return given or []


def _check_context(ctx: Any) -> None:
    if not isinstance(ctx, Context):
        raise ValueError(f"currently only supports single ctx, while received {ctx}")


def _unknown_mode(calib_mode: str, *allowed: str) -> ValueError:
    return ValueError(f"unknown calibration mode {calib_mode} received, expected one of {', '.join(allowed)}")


def _check_examples(ctx: Any, calib_data: Any, calib_mode: str) -> None:
    _check_context(ctx)
    if calib_data is None:
        raise ValueError(f"calib_data must be provided when calib_mode={calib_mode}")
    if not isinstance(calib_data, DataIter):
        raise ValueError(
            f"calib_data must be of DataIter type when calib_mode={calib_mode}, while received type {type(calib_data)}"
        )


def _calibration_module(
    sym: Symbol,
    params: tuple[dict, dict],
    data_names: Any,
    label_names: Any,
    ctx: Context,
    calib_data: Any,
) -> Module:
    """The network on numbers, bound to the examples."""
    module = Module(symbol=sym, data_names=data_names, label_names=label_names, context=ctx)
    labels = calib_data.provide_label or None
    module.bind(for_training=False, data_shapes=calib_data.provide_data, label_shapes=labels)
    module.set_params(*params)
    return module


def quantize_model(
    sym: Symbol,
    arg_params: dict[str, NDArray],
    aux_params: dict[str, NDArray],
    data_names: Any = ("data",),
    label_names: Any = ("softmax_label",),
    ctx: Context = DEFAULT_CONTEXT,
    excluded_sym_names: list[str] | None = None,
    excluded_op_names: list[str] | None = None,
    calib_mode: str = "entropy",
    calib_data: Any = None,
    num_calib_examples: int | None = None,
    quantized_dtype: str = "int8",
    quantize_mode: str = "smart",
    quantize_granularity: str = "tensor-wise",
    logger: Any = None,
) -> tuple[Symbol, dict[str, NDArray], dict[str, NDArray]]:
    """A quantized symbol, its parameters and auxiliary states.

    ``calib_mode``: 'none' finds ranges in every batch, 'naive' takes the extremes over ``num_calib_examples`` of
    ``calib_data`` (None: all), 'entropy' the ranges that keep most of their distributions. ``quantized_dtype`` is what the
    data become: 'int8', 'uint8' or, 'auto', uint8 where the calibrated range has no negative numbers. ``quantize_mode``:
    'full' quantizes all it can, 'smart' convolutions, dense and LSTM layers and what stands between two of these.
    Layers named in ``excluded_sym_names``, and operators in ``excluded_op_names``, stay as they are.
    ``quantize_granularity`` changes nothing but in graphs fused for oneDNN, which do not exist here. ``ValueError`` for
    anything else.
    """
    names = _check_names("excluded_sym_names", excluded_sym_names)
    operators = _check_names("excluded_op_names", excluded_op_names)
    _check_choices(quantized_dtype, quantize_granularity)
    _log(logger, "Quantizing symbol")
    qsym, layers = _quantize_symbol(
        sym, ctx, names, operators, list(arg_params), quantized_dtype, quantize_mode, quantize_granularity
    )
    ranges: dict[str, tuple] = {}
    if calib_mode is not None and calib_mode != "none":
        if calib_mode not in ("naive", "entropy"):
            raise _unknown_mode(calib_mode, "none", "naive", "entropy")
        _check_examples(ctx, calib_data, calib_mode)
        module = _calibration_module(sym, (arg_params, aux_params), data_names, label_names, ctx, calib_data)
        if calib_mode == "entropy":
            histograms, count = _collect_layer_histogram(module, calib_data, layers, num_calib_examples, logger)
            _log(logger, f"Collected layer outputs from FP32 model using {count} examples")
            ranges = _get_optimal_thresholds(histograms, quantized_dtype, logger=logger)
        else:
            ranges, count = _collect_layer_output_min_max(
                module, calib_data, quantized_dtype, layers, num_calib_examples, logger
            )
            _log(logger, f"Collected layer output min/max values from FP32 model using {count} examples")
        qsym = _calibrate_quantized_sym(qsym, ranges)
    _log(logger, "Quantizing parameters")
    return qsym, _quantize_params(qsym, arg_params, ranges), aux_params


def _log(logger: Any, message: str) -> None:
    if logger:
        logger.info(message)


def quantize_model_mkldnn(
    sym: Symbol,
    arg_params: dict[str, NDArray],
    aux_params: dict[str, NDArray],
    data_names: Any = ("data",),
    label_names: Any = ("softmax_label",),
    ctx: Context = DEFAULT_CONTEXT,
    excluded_sym_names: list[str] | None = None,
    excluded_op_names: list[str] | None = None,
    calib_mode: str = "entropy",
    calib_data: Any = None,
    num_calib_examples: int | None = None,
    quantized_dtype: str = "int8",
    quantize_mode: str = "smart",
    quantize_granularity: str = "tensor-wise",
    logger: Any = None,
) -> tuple[Symbol, dict[str, NDArray], dict[str, NDArray]]:
    """Raises ``MXNetError``: the nodes that the original fuses for its oneDNN backend do not exist here."""
    _check_context(ctx)
    if ctx.device_type != "cpu":
        raise ValueError("quantize_model_mkldnn only support Intel cpu platform with MKL-DNN Backend")
    raise MXNetError(
        "quantize_model_mkldnn: layers fused for oneDNN (MKLDNN_QUANTIZE) do not exist here; "
        "call quantize_model, which takes the same arguments"
    )


def quantize_graph(
    sym: Symbol,
    arg_params: dict[str, NDArray],
    aux_params: dict[str, NDArray],
    ctx: Context = DEFAULT_CONTEXT,
    excluded_sym_names: list[str] | None = None,
    excluded_op_names: list[str] | None = None,
    calib_mode: str = "entropy",
    quantized_dtype: str = "int8",
    quantize_mode: str = "full",
    quantize_granularity: str = "tensor-wise",
    LayerOutputCollector: Any = None,  # noqa: N803
    logger: Any = None,
) -> tuple[Symbol, dict[str, NDArray], dict[str, NDArray], Any]:
    """A quantized symbol without ranges, its parameters, auxiliary states, and a collector of what layers put out.

    Pass ``collector.collect`` to the ``set_monitor_callback`` of an executor of ``sym``, run examples, and call
    ``calib_graph``. ``calib_mode`` chooses the collector ('entropy', 'naive', 'customize': ``LayerOutputCollector``; none
    for 'none'); the other arguments are those of ``quantize_model``.
    """
    names = _check_names("excluded_sym_names", excluded_sym_names)
    _check_context(ctx)
    _check_choices(quantized_dtype, quantize_granularity)
    _log(logger, "Quantizing graph")
    qsym, layers = _quantize_symbol(
        sym, ctx, names, excluded_op_names, list(arg_params), quantized_dtype, quantize_mode, quantize_granularity
    )
    collector: Any = None
    if calib_mode == "entropy":
        collector = _LayerHistogramCollector(include_layer=layers, logger=logger)
    elif calib_mode == "naive":
        collector = _LayerOutputMinMaxCollector(quantized_dtype, layers, logger)
    elif calib_mode == "customize" and LayerOutputCollector is not None:
        collector = LayerOutputCollector
    elif calib_mode is not None and calib_mode != "none":
        raise _unknown_mode(calib_mode, "none", "naive", "entropy", "customize")
    if collector is not None:
        _log(logger, "Collector created, please use set_monitor_callback to collect calibration information.")
    _log(logger, "Quantizing parameters")
    return qsym, _quantize_params(qsym, arg_params, {}), aux_params, collector


def calib_graph(
    qsym: Symbol,
    arg_params: dict[str, NDArray],
    aux_params: dict[str, NDArray],
    collector: Any,
    calib_mode: str = "entropy",
    quantized_dtype: str = "int8",
    logger: Any = logging,
) -> tuple[Symbol, dict[str, NDArray], dict[str, NDArray]]:
    """The symbol of ``quantize_graph`` with the ranges that its collector found, its parameters and auxiliary states.

    ``arg_params`` are those of the network on numbers. ``ValueError`` for ``calib_mode='none'``.
    """
    if calib_mode is None or calib_mode == "none":
        raise ValueError("please set calibration mode to naive or entropy.")
    if calib_mode == "entropy":
        ranges = _get_optimal_thresholds(collector.hist_dict, quantized_dtype, logger=logger)
    elif calib_mode in ("naive", "customize"):
        ranges = collector.min_max_dict
    else:
        raise _unknown_mode(calib_mode, "none", "naive", "entropy", "customize")
    qsym = _calibrate_quantized_sym(qsym, ranges)
    _log(logger, "Quantizing parameters")
    return qsym, _quantize_params(qsym, arg_params, ranges), aux_params


def _needs_gluon(name: str) -> MXNetError:
    return MXNetError(f"{name}: Gluon is not supported (export the block, and call quantize_model with its symbol)")


def quantize_net_v2(
    network: Any,
    quantized_dtype: str = "auto",
    quantize_mode: str = "full",
    quantize_granularity: str = "tensor-wise",
    exclude_layers: list[str] | None = None,
    exclude_layers_match: list[str] | None = None,
    exclude_operators: list[str] | None = None,
    calib_data: Any = None,
    data_shapes: Any = None,
    calib_mode: str = "none",
    num_calib_examples: int | None = None,
    ctx: Context = DEFAULT_CONTEXT,
    LayerOutputCollector: Callable | None = None,  # noqa: N803
    logger: Any = None,
) -> Any:
    """Raises ``MXNetError``: there are no Gluon blocks to quantize."""
    raise _needs_gluon("quantize_net_v2")


def quantize_net(
    network: Any,
    quantized_dtype: str = "auto",
    quantize_mode: str = "full",
    exclude_layers: list[str] | None = None,
    exclude_layers_match: list[str] | None = None,
    exclude_operators: list[str] | None = None,
    calib_data: Any = None,
    data_shapes: Any = None,
    calib_mode: str = "none",
    num_calib_examples: int | None = None,
    ctx: Context = DEFAULT_CONTEXT,
    logger: Any = None,
) -> Any:
    """Raises ``MXNetError``: there are no Gluon blocks to quantize."""
    raise _needs_gluon("quantize_net")
