"""BaseModule: what every module can do, and training and prediction loops on top of it."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from mxcompat import metric, ndarray
from mxcompat.base import _as_list
from mxcompat.context import cpu
from mxcompat.initializer import Uniform
from mxcompat.io import DataBatch, DataDesc
from mxcompat.model import BatchEndParam, _named_params, _split_params

__all__ = ["BaseModule"]

DEFAULT_INITIALIZER = Uniform(0.01)
#: names ending so are parameters: not proposed where the name of an input is wrong
_PARAMETER_ENDINGS = ("_weight", "_bias", "_gamma", "_beta")


def _require(condition: Any, message: str) -> None:
    """``AssertionError`` unless the condition holds: what the original's asserts raise, with a text."""
    if not condition:
        raise AssertionError(message)


def _check_input_names(symbol: Any, names: Sequence[str], typename: str, throw: bool) -> None:
    """``ValueError`` (a warning unless ``throw``) for each name that is no argument of the symbol."""
    arguments = symbol.list_arguments()
    for name in names:
        if name in arguments:
            continue
        candidates = "\n\t".join(arg for arg in arguments if not arg.endswith(_PARAMETER_ENDINGS))
        message = (
            f"\033[91mYou created Module with Module(..., {typename}_names={names!s}) but input with name '{name}' is not "
            f"found in symbol.list_arguments(). Did you mean one of:\n\t{candidates}\033[0m"
        )
        if throw:
            raise ValueError(message)
        warnings.warn(message, stacklevel=2)


def _check_names_match(data_names: Sequence[str], data_shapes: Sequence[Any], name: str, throw: bool) -> None:
    """``ValueError`` (a warning unless ``throw``) when the described inputs are not the named ones."""
    if sorted(data_names) == sorted(desc[0] for desc in data_shapes):
        return
    message = f"Data provided by {name}_shapes don't match names specified by {name}_names ({data_shapes!s} vs. {data_names!s})"
    if throw:
        raise ValueError(message)
    warnings.warn(message, stacklevel=2)


def _parse_data_desc(
    data_names: Sequence[str], label_names: Sequence[str], data_shapes: Any, label_shapes: Any
) -> tuple[list[DataDesc], list[DataDesc] | None]:
    """The descriptions as ``DataDesc``; their names must be the module's (labels: a warning)."""
    data_shapes = [x if isinstance(x, DataDesc) else DataDesc(*x) for x in data_shapes]
    _check_names_match(data_names, data_shapes, "data", True)
    if label_shapes is not None:
        label_shapes = [x if isinstance(x, DataDesc) else DataDesc(*x) for x in label_shapes]
    _check_names_match(label_names, label_shapes if label_shapes is not None else [], "label", False)
    return data_shapes, label_shapes


def _batches(data: Any) -> Iterator[Any]:
    """An iterator over the batches of ``data``, which may know ``next()`` only (the Python 2 protocol)."""
    try:
        return iter(data)
    except TypeError:
        if not hasattr(data, "next"):
            raise
    return _next_calls(data)


def _next_calls(data: Any) -> Iterator[Any]:
    while True:
        try:
            batch = data.next()
        except StopIteration:
            return
        yield batch


def _call(callbacks: Any, epoch: int, nbatch: int, eval_metric: Any, local_names: dict[str, Any]) -> None:
    """Give one callback, or each of a list, its BatchEndParam."""
    param = BatchEndParam(epoch=epoch, nbatch=nbatch, eval_metric=eval_metric, locals=local_names)
    for callback in _as_list(callbacks):
        callback(param)


def _metric_labels(batch: Any) -> tuple:
    """What ``update_metric`` takes after the metric; a list of batches is one batch for each device."""
    return ([part.label for part in batch], True) if isinstance(batch, list) else (batch.label,)


def _without_padding(batch: Any, outputs: Sequence[Any]) -> list:
    pad = getattr(batch, "pad", None) or 0
    return [out[0 : out.shape[0] - pad] for out in outputs]


class BaseModule:
    """A piece of computation that can be bound to shapes, run forward and backward, and updated.

    Subclasses give the computation (``bind``, ``forward``, ``backward``, ``update``, ``get_outputs`` ...); this class
    gives ``fit``, ``score`` and ``predict``. ``binded``, ``params_initialized`` and ``optimizer_initialized`` tell how
    far the set-up has come; ``for_training`` and ``inputs_need_grad`` are what ``bind`` was given.
    """

    def __init__(self, logger: Any = logging):
        self.logger = logger
        self.binded = False
        self.for_training = False
        self.inputs_need_grad = False
        self.params_initialized = False
        self.optimizer_initialized = False
        self._symbol: Any = None

    def _check_ready(self, what: str, parameters: bool = True, optimizer: bool = False) -> None:
        """``AssertionError`` naming the step of the set-up that ``what`` needs and that was not made."""
        _require(self.binded, f"{what}: the module is not bound, call bind first")
        _require(self.params_initialized or not parameters, f"{what}: no parameters yet, call init_params first")
        _require(self.optimizer_initialized or not optimizer, f"{what}: no optimizer yet, call init_optimizer first")

    # -- loops --------------------------------------------------------------------------------------------------

    def forward_backward(self, data_batch: Any) -> None:
        """A forward in training mode, then a backward."""
        self.forward(data_batch, is_train=True)
        self.backward()

    def _prepare(self, data_batch: Any, sparse_row_id_fn: Any) -> None:
        # subclasses written before sparse arrays take the batch alone
        if sparse_row_id_fn is None:
            self.prepare(data_batch)
        else:
            self.prepare(data_batch, sparse_row_id_fn=sparse_row_id_fn)

    def _predictions(
        self, eval_data: Any, num_batch: int | None, reset: bool, sparse_row_id_fn: Any
    ) -> Iterator[tuple]:
        """``(nbatch, batch)`` after an inference forward of each batch, at most ``num_batch`` of them."""
        if reset:
            eval_data.reset()
        for nbatch, eval_batch in enumerate(_batches(eval_data)):
            if nbatch == num_batch:
                break
            self._prepare(eval_batch, sparse_row_id_fn)
            self.forward(eval_batch, is_train=False)
            yield nbatch, eval_batch

    def score(
        self,
        eval_data: Any,
        eval_metric: Any,
        num_batch: int | None = None,
        batch_end_callback: Any = None,
        score_end_callback: Any = None,
        reset: bool = True,
        epoch: int = 0,
        sparse_row_id_fn: Any = None,
    ) -> list[tuple[str, float]]:
        """Evaluate ``eval_metric`` on the batches of ``eval_data``; returns ``[(name, value), ...]``.

        The padding of the last batch counts, as in the original. ``epoch`` is what callbacks are told.
        """
        self._check_ready("score")
        if not isinstance(eval_metric, metric.EvalMetric):
            eval_metric = metric.create(eval_metric)
        eval_metric.reset()
        actual_num_batch = 0
        for nbatch, eval_batch in self._predictions(eval_data, num_batch, reset, sparse_row_id_fn):
            self.update_metric(eval_metric, *_metric_labels(eval_batch))
            if batch_end_callback is not None:
                _call(batch_end_callback, epoch, nbatch, eval_metric, locals())
            actual_num_batch += 1
        if score_end_callback:
            _call(score_end_callback, epoch, actual_num_batch, eval_metric, locals())
        return eval_metric.get_name_value()

    def iter_predict(
        self, eval_data: Any, num_batch: int | None = None, reset: bool = True, sparse_row_id_fn: Any = None
    ) -> Iterator[tuple]:
        """``(outputs, nbatch, batch)`` for each batch; outputs (without padding) hold until the next one is asked for."""
        self._check_ready("iter_predict")
        for nbatch, eval_batch in self._predictions(eval_data, num_batch, reset, sparse_row_id_fn):
            yield _without_padding(eval_batch, self.get_outputs()), nbatch, eval_batch

    def predict(
        self,
        eval_data: Any,
        num_batch: int | None = None,
        merge_batches: bool = True,
        reset: bool = True,
        always_output_list: bool = False,
        sparse_row_id_fn: Any = None,
    ) -> Any:
        """Outputs for all batches, padding dropped.

        One NDArray of all samples (a list of them with several outputs or ``always_output_list``), or with
        ``merge_batches=False`` a list of outputs for each batch. An NDArray or numpy array is one batch; its first
        output is returned.
        """
        self._check_ready("predict")
        if isinstance(eval_data, (ndarray.NDArray, np.ndarray)):
            if isinstance(eval_data, np.ndarray):
                eval_data = ndarray.array(eval_data)
            # Compat: such a forward runs in training mode where the module is bound for training
            self.forward(DataBatch([eval_data]))
            return self.get_outputs()[0]
        if not (hasattr(eval_data, "provide_data") and (hasattr(eval_data, "__iter__") or hasattr(eval_data, "next"))):
            raise ValueError(f"predict: eval_data must be an NDArray or a data iterator, found {type(eval_data)}")
        collected = [
            [out.copy() for out in _without_padding(eval_batch, self.get_outputs())]
            for _, eval_batch in self._predictions(eval_data, num_batch, reset, sparse_row_id_fn)
        ]
        if not collected or not merge_batches:
            return collected
        count = len(collected[0])
        if any(len(outputs) != count for outputs in collected):
            counts = sorted({len(outputs) for outputs in collected})
            raise AssertionError(
                f"predict: batches have {counts} outputs and cannot be merged; give merge_batches=False"
            )
        merged = [ndarray.concatenate(list(parts)) for parts in zip(*collected)]
        return merged if always_output_list or count != 1 else merged[0]

    def fit(
        self, train_data: Any, eval_data: Any = None, eval_metric: Any = "acc", epoch_end_callback: Any = None,
        batch_end_callback: Any = None, kvstore: Any = "local", optimizer: Any = "sgd",
        optimizer_params: Any = (("learning_rate", 0.01),), eval_end_callback: Any = None,
        eval_batch_end_callback: Any = None, initializer: Any = DEFAULT_INITIALIZER, arg_params: Any = None,
        aux_params: Any = None, allow_missing: bool = False, force_rebind: bool = False, force_init: bool = False,
        begin_epoch: int = 0, num_epoch: int | None = None, validation_metric: Any = None, monitor: Any = None,
        sparse_row_id_fn: Any = None,
    ) -> None:  # fmt: skip
        """Bind, initialize and train on ``train_data`` for the epochs ``begin_epoch`` to ``num_epoch - 1``.

        After each epoch the training metric and the seconds are logged, ``epoch_end_callback(epoch, symbol, arg_params,
        aux_params)`` is called, and ``eval_data`` is scored. ``batch_end_callback`` gets a ``BatchEndParam``, whose
        ``locals`` are the names of this function: hence its length.
        """
        _require(num_epoch is not None, "fit: give num_epoch, the number of the epoch to stop before")
        self._set_up(train_data, force_rebind, monitor)
        self.init_params(
            initializer=initializer, arg_params=arg_params, aux_params=aux_params, allow_missing=allow_missing,
            force_init=force_init,
        )  # fmt: skip
        self.init_optimizer(kvstore=kvstore, optimizer=optimizer, optimizer_params=optimizer_params)
        if validation_metric is None:
            validation_metric = eval_metric
        if not isinstance(eval_metric, metric.EvalMetric):
            eval_metric = metric.create(eval_metric)
        for epoch in range(begin_epoch, num_epoch):  # type: ignore[arg-type]
            tic = time.time()
            eval_metric.reset()
            nbatch = 0
            data_iter = _batches(train_data)
            end_of_batch = False
            next_data_batch = next(data_iter)
            while not end_of_batch:
                data_batch = next_data_batch
                if monitor is not None:
                    monitor.tic()
                self.forward_backward(data_batch)
                self.update()
                self.update_metric(eval_metric, *_metric_labels(data_batch))
                try:
                    next_data_batch = next(data_iter)
                    self._prepare(next_data_batch, sparse_row_id_fn)
                except StopIteration:
                    end_of_batch = True
                if monitor is not None:
                    monitor.toc_print()
                if end_of_batch:  # before the callbacks: some reset the metric
                    eval_name_vals = eval_metric.get_global_name_value()
                if batch_end_callback is not None:
                    _call(batch_end_callback, epoch, nbatch, eval_metric, locals())
                nbatch += 1
            self._end_epoch(epoch, eval_name_vals, tic, epoch_end_callback)
            if eval_data is not None:
                self._validate(epoch, eval_data, validation_metric, eval_end_callback, eval_batch_end_callback)
            train_data.reset()

    def _set_up(self, train_data: Any, force_rebind: bool, monitor: Any) -> None:
        self.bind(
            data_shapes=train_data.provide_data,
            label_shapes=train_data.provide_label,
            for_training=True,
            force_rebind=force_rebind,
        )
        if monitor is not None:
            self.install_monitor(monitor)

    def _end_epoch(self, epoch: int, eval_name_vals: Any, tic: float, epoch_end_callback: Any) -> None:
        """Log the epoch, make the parameters of all devices equal and show them to the callbacks."""
        for name, value in eval_name_vals:
            self.logger.info("Epoch[%d] Train-%s=%f", epoch, name, value)
        self.logger.info("Epoch[%d] Time cost=%.3f", epoch, time.time() - tic)
        arg_params, aux_params = self.get_params()
        self.set_params(arg_params, aux_params)
        if epoch_end_callback is not None:
            for callback in _as_list(epoch_end_callback):
                callback(epoch, self.symbol, arg_params, aux_params)

    def _validate(self, epoch: int, eval_data: Any, eval_metric: Any, end_callback: Any, batch_callback: Any) -> None:
        found = self.score(
            eval_data, eval_metric, score_end_callback=end_callback, batch_end_callback=batch_callback, epoch=epoch
        )
        for name, value in found:
            self.logger.info("Epoch[%d] Validation-%s=%f", epoch, name, value)

    # -- parameters ---------------------------------------------------------------------------------------------

    def get_params(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """``(arg_params, aux_params)``: the parameters by name."""
        raise self._missing("get_params")

    def init_params(
        self,
        initializer: Any = DEFAULT_INITIALIZER,
        arg_params: Any = None,
        aux_params: Any = None,
        allow_missing: bool = False,
        force_init: bool = False,
        allow_extra: bool = False,
    ) -> None:
        """Give the parameters their first values: from ``arg_params`` and ``aux_params``, else by the initializer."""
        raise self._missing("init_params")

    def set_params(
        self,
        arg_params: Any,
        aux_params: Any,
        allow_missing: bool = False,
        force_init: bool = True,
        allow_extra: bool = False,
    ) -> None:
        """Give the parameters these values (``init_params`` without an initializer)."""
        extra = {"allow_extra": True} if allow_extra else {}  # subclasses written before it do not take it
        self.init_params(
            initializer=None,
            arg_params=arg_params,
            aux_params=aux_params,
            allow_missing=allow_missing,
            force_init=force_init,
            **extra,
        )

    def save_params(self, fname: str) -> None:
        """Write the parameters to a file, under names that start with ``arg:`` and ``aux:``."""
        ndarray.save(fname, _named_params(*self.get_params(), cpu()))

    def load_params(self, fname: str) -> None:
        """Read the parameters from a file that ``save_params`` wrote; ``ValueError`` for another kind of file."""
        self.set_params(*_split_params(ndarray.load(fname), fname, strict=True))

    def get_states(self, merge_multi_context: bool = True) -> list:
        """The arrays of the inputs in ``state_names``, a list for each of them with one array for each device."""
        self._check_ready("get_states")
        _require(not merge_multi_context, "get_states: only merge_multi_context=False is supported")
        return []

    def set_states(self, states: Any = None, value: Any = None) -> None:
        """Write the arrays of the states: from a list like ``get_states`` gives, or one number everywhere."""
        self._check_ready("set_states")
        _require(not states and not value, f"set_states: {type(self).__name__} has no states")

    # -- what subclasses give -----------------------------------------------------------------------------------

    def _missing(self, name: str) -> NotImplementedError:
        return NotImplementedError(f"{type(self).__name__} does not implement {name}")

    @property
    def data_names(self) -> list[str]:
        """Names of the inputs."""
        raise self._missing("data_names")

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs."""
        raise self._missing("output_names")

    @property
    def data_shapes(self) -> list:
        """``(name, shape)`` of each input."""
        raise self._missing("data_shapes")

    @property
    def label_shapes(self) -> list | None:
        """``(name, shape)`` of each label; None without labels."""
        raise self._missing("label_shapes")

    @property
    def output_shapes(self) -> list:
        """``(name, shape)`` of each output."""
        raise self._missing("output_shapes")

    @property
    def symbol(self) -> Any:
        """The symbol, where there is one."""
        return self._symbol

    def bind(
        self,
        data_shapes: Any,
        label_shapes: Any = None,
        for_training: bool = True,
        inputs_need_grad: bool = False,
        force_rebind: bool = False,
        shared_module: Any = None,
        grad_req: Any = "write",
    ) -> None:
        """Make executors for inputs of these shapes (``provide_data`` and ``provide_label`` of an iterator)."""
        raise self._missing("bind")

    def init_optimizer(
        self,
        kvstore: Any = "local",
        optimizer: Any = "sgd",
        optimizer_params: Any = (("learning_rate", 0.01),),
        force_init: bool = False,
    ) -> None:
        """Install the optimizer, and the kvstore that sums gradients over devices."""
        raise self._missing("init_optimizer")

    def prepare(self, data_batch: Any, sparse_row_id_fn: Any = None) -> None:
        """Get ready for a batch before its forward (switch to its bucket)."""
        if sparse_row_id_fn is not None:
            warnings.warn("sparse_row_id_fn is not invoked for BaseModule.", stacklevel=2)

    def forward(self, data_batch: Any, is_train: bool | None = None) -> None:
        """Run a batch; ``is_train`` is what ``bind`` was told (``for_training``) unless given."""
        raise self._missing("forward")

    def backward(self, out_grads: Any = None) -> None:
        """Compute gradients; outputs that are no losses need ``out_grads``, a list of NDArrays."""
        raise self._missing("backward")

    def get_outputs(self, merge_multi_context: bool = True) -> list:
        """Outputs of the last forward; unmerged, a list for each output with one array for each device."""
        raise self._missing("get_outputs")

    def get_input_grads(self, merge_multi_context: bool = True) -> list:
        """Gradients of the inputs from the last backward; unmerged as in ``get_outputs``."""
        raise self._missing("get_input_grads")

    def update(self) -> None:
        """One step of the optimizer with the gradients of the last backward."""
        raise self._missing("update")

    def update_metric(self, eval_metric: Any, labels: Any, pre_sliced: bool = False) -> None:
        """Add the last outputs to a metric; ``pre_sliced`` labels are a list of labels for each device."""
        raise self._missing("update_metric")

    def install_monitor(self, mon: Any) -> None:
        """Let a Monitor watch the executors."""
        raise self._missing("install_monitor")
