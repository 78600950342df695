"""FeedForward, the estimator of the first MXNet versions, and its training loop (public path: ``mxnet.model``)."""

from __future__ import annotations

import logging
import time
import warnings
from typing import Any

import numpy as np

from mxcompat import io, metric
from mxcompat import ndarray as nd
from mxcompat import optimizer as opt
from mxcompat import symbol as sym
from mxcompat.callback import LogValidationMetricsCallback
from mxcompat.context import Context, cpu
from mxcompat.executor_manager import DataParallelExecutorManager, _check_arguments, _load_data
from mxcompat.initializer import Uniform
from mxcompat.io import DataDesc
from mxcompat.model import (
    BatchEndParam,
    _create_kvstore,
    _initialize_kvstore,
    _update_params,
    _update_params_on_kvstore,
    load_checkpoint,
    save_checkpoint,
)
from mxcompat.optimizer import get_updater

try:
    from sklearn.base import BaseEstimator as BASE_ESTIMATOR
except ImportError:
    BASE_ESTIMATOR = object

__all__ = ["FeedForward"]

DEFAULT_INITIALIZER = Uniform(0.01)
LOG_VALIDATION = LogValidationMetricsCallback()


def _multiple_callbacks(callbacks: Any, *args: Any) -> None:
    """Call one callback, each of a list, or none."""
    for callback in callbacks if isinstance(callbacks, list) else [callbacks] if callbacks else []:
        callback(*args)


def _notify(callbacks: Any, epoch: int, nbatch: int, eval_metric: Any, local_names: dict[str, Any]) -> None:
    if callbacks is not None:
        param = BatchEndParam(epoch=epoch, nbatch=nbatch, eval_metric=eval_metric, locals=local_names)
        _multiple_callbacks(callbacks, param)


def _train_multi_device(
    symbol: Any, ctx: Any, arg_names: Any, param_names: Any, aux_names: Any, arg_params: Any, aux_params: Any,
    begin_epoch: int, end_epoch: int, epoch_size: int | None, optimizer: Any, kvstore: Any, update_on_kvstore: bool,
    train_data: Any, eval_data: Any = None, eval_metric: Any = None, epoch_end_callback: Any = None,
    batch_end_callback: Any = None, logger: Any = None, work_load_list: Any = None, monitor: Any = None,
    eval_end_callback: Any = None, eval_batch_end_callback: Any = None, sym_gen: Any = None,
) -> None:  # fmt: skip
    """Train on every context of ``ctx``; ``arg_params`` and ``aux_params`` are the start and receive the result.

    An epoch has ``epoch_size`` batches, restarting ``train_data`` as often as that takes, or all of them. The local
    names are what callbacks get as ``locals``: hence the length.
    """
    logger = logger or logging
    executor_manager = DataParallelExecutorManager(
        symbol, ctx, train_data, arg_names, param_names, aux_names, work_load_list, logger, sym_gen
    )
    if monitor:
        executor_manager.install_monitor(monitor)
    executor_manager.set_params(arg_params, aux_params)
    update = _update_step(executor_manager, optimizer, kvstore, update_on_kvstore, arg_params)
    train_data.reset()
    for epoch in range(begin_epoch, end_epoch):
        tic = time.time()
        eval_metric.reset()
        nbatch = 0
        while True:
            for data_batch in train_data:
                executor_manager.load_data_batch(data_batch)
                if monitor is not None:
                    monitor.tic()
                executor_manager.forward(is_train=True)
                executor_manager.backward()
                update()
                if monitor is not None:
                    monitor.toc_print()
                executor_manager.update_metric(eval_metric, data_batch.label)
                nbatch += 1
                _notify(batch_end_callback, epoch, nbatch, eval_metric, locals())
                if epoch_size is not None and nbatch >= epoch_size:
                    break
            else:
                logger.info("Epoch[%d] Resetting Data Iterator", epoch)
                train_data.reset()
            if epoch_size is None or nbatch >= epoch_size:
                break
        logger.info("Epoch[%d] Time cost=%.3f", epoch, time.time() - tic)
        if epoch_end_callback or epoch + 1 == end_epoch:
            executor_manager.copy_to(arg_params, aux_params)
        _multiple_callbacks(epoch_end_callback, epoch, symbol, arg_params, aux_params)
        if eval_data:
            _evaluate(executor_manager, epoch, eval_data, eval_metric, eval_end_callback, eval_batch_end_callback)


def _update_step(manager: Any, optimizer: Any, kvstore: Any, update_on_kvstore: bool, arg_params: Any) -> Any:
    """The function that makes one step of the optimizer on the manager's parameters."""
    updater = None
    if update_on_kvstore:
        kvstore.set_optimizer(optimizer)
    else:
        updater = get_updater(optimizer)
    if kvstore:
        _initialize_kvstore(kvstore, manager.param_arrays, arg_params, manager.param_names, update_on_kvstore)
    if updater is None:
        return lambda: _update_params_on_kvstore(
            manager.param_arrays, manager.grad_arrays, kvstore, manager.param_names
        )
    return lambda: _update_params(
        manager.param_arrays, manager.grad_arrays, updater, len(manager.ctx), kvstore, manager.param_names
    )


def _evaluate(
    executor_manager: Any, epoch: int, eval_data: Any, eval_metric: Any, eval_end_callback: Any, batch_callback: Any
) -> None:
    eval_metric.reset()
    eval_data.reset()
    total_num_batch = 0
    for i, eval_batch in enumerate(eval_data):
        executor_manager.load_data_batch(eval_batch)
        executor_manager.forward(is_train=False)
        executor_manager.update_metric(eval_metric, eval_batch.label)
        _notify(batch_callback, epoch, i, eval_metric, locals())
        total_num_batch += 1
    _notify(eval_end_callback, epoch, total_num_batch, eval_metric, locals())
    eval_data.reset()


class FeedForward(BASE_ESTIMATOR):  # type: ignore[misc, valid-type]
    """A classifier or regressor with ``fit``, ``predict`` and ``score`` on arrays or iterators; deprecated for Module.

    ``symbol`` is a Symbol, or a function of a bucket key that gives one. ``kwargs`` are parameters of the optimizer.
    Arrays are cut into batches of ``numpy_batch_size``.
    """

    def __init__(
        self, symbol: Any, ctx: Any = None, num_epoch: int | None = None, epoch_size: int | None = None,
        optimizer: Any = "sgd", initializer: Any = DEFAULT_INITIALIZER, numpy_batch_size: int = 128, arg_params: Any = None,
        aux_params: Any = None, allow_extra_params: bool = False, begin_epoch: int = 0, **kwargs: Any,
    ):  # fmt: skip
        warnings.warn(
            "\033[91mmxnet.model.FeedForward has been deprecated. Please use mxnet.mod.Module instead.\033[0m",
            DeprecationWarning,
            stacklevel=2,
        )
        is_symbol = isinstance(symbol, sym.Symbol)
        if not is_symbol and not callable(symbol):
            raise AssertionError(f"FeedForward: symbol must be a Symbol or a function, found {type(symbol)}")
        self.symbol: Any = symbol if is_symbol else None
        self.sym_gen: Any = None if is_symbol else symbol
        self.arg_params, self.aux_params = arg_params, aux_params
        self.allow_extra_params = allow_extra_params
        self.argument_checked = False
        if self.sym_gen is None:
            self._check_arguments()
        self.ctx = [cpu()] if ctx is None else [ctx] if isinstance(ctx, Context) else ctx
        self.num_epoch = num_epoch
        self.epoch_size = epoch_size
        self.kwargs = kwargs.copy()
        self.optimizer = optimizer
        self.initializer = initializer
        self.numpy_batch_size = numpy_batch_size
        self._pred_exec: Any = None
        self.begin_epoch = begin_epoch

    def _check_arguments(self) -> None:
        """Check that names differ; with ``allow_extra_params`` drop the parameters that the symbol does not have."""
        if self.argument_checked:
            return
        if self.symbol is None:
            raise AssertionError("FeedForward has no symbol yet: fit makes it from the function it was given")
        self.argument_checked = True
        _check_arguments(self.symbol)
        if self.allow_extra_params:
            self.arg_params = _only(self.arg_params, self.symbol.list_arguments())
            self.aux_params = _only(self.aux_params, self.symbol.list_auxiliary_states())

    @staticmethod
    def _is_data_arg(name: str) -> bool:
        """Whether an argument is an input by its name."""
        return name.endswith(("data", "label"))

    def _init_params(self, inputs: Any, overwrite: bool = False) -> tuple[list[str], list[str], list[str]]:
        """Make the parameters: those given before are kept unless ``overwrite``, the others come from the initializer.

        Returns the names of arguments, parameters and auxiliary states.
        """
        inputs = [x if isinstance(x, DataDesc) else DataDesc(*x) for x in inputs]
        arg_names, aux_names = self.symbol.list_arguments(), self.symbol.list_auxiliary_states()
        arg_shapes, _, aux_shapes = self.symbol.infer_shape(**{x.name: x.shape for x in inputs})
        arg_types, _, aux_types = self.symbol.infer_type(**{x.name: x.dtype for x in inputs})
        if arg_shapes is None or arg_types is None:
            raise AssertionError(f"shapes or types of the parameters do not follow from the inputs {inputs}")
        input_names = [x.name for x in inputs]
        parameters = [x for x in zip(arg_names, arg_shapes, arg_types) if x[0] not in input_names]
        self.arg_params = self._made(parameters, None if overwrite else self.arg_params)
        self.aux_params = self._made(zip(aux_names, aux_shapes, aux_types), None if overwrite else self.aux_params)
        return arg_names, [x[0] for x in parameters], aux_names

    def _made(self, described: Any, given: dict[str, Any] | None) -> dict[str, Any]:
        params = {name: nd.zeros(shape, dtype=dtype) for name, shape, dtype in described}
        for name, array in params.items():
            if given and name in given:
                array[:] = given[name][:]
            else:
                self.initializer(name, array)
        return params

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_pred_exec": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    # -- inputs -------------------------------------------------------------------------------------------------

    def _init_iter(self, X: Any, y: Any, is_train: bool) -> Any:  # noqa: N803
        """An iterator over ``X`` and its labels ``y``; iterators are taken as they are."""
        if not isinstance(X, (np.ndarray, nd.NDArray)):
            if not isinstance(X, io.DataIter):
                raise TypeError(f"X must be DataIter, NDArray or numpy.ndarray, found {type(X)}")
            return X
        if y is None:
            if is_train:
                raise ValueError("y must be specified when X is numpy.ndarray")
            y = np.zeros(X.shape[0])
        if not isinstance(y, (np.ndarray, nd.NDArray)):
            raise TypeError(f"y must be ndarray when X is numpy.ndarray, found {type(y)}")
        if X.shape[0] != y.shape[0]:
            raise ValueError(f"X has {X.shape[0]} samples and y has {y.shape[0]} labels")
        if y.ndim == 2 and y.shape[1] == 1:
            y = y.reshape((-1,))
        if y.ndim != 1:
            raise ValueError(f"y must have the shape (N,) or (N, 1), found {y.shape}")
        batch_size = min(X.shape[0], self.numpy_batch_size)
        if is_train:
            return io.NDArrayIter(X, y, batch_size, shuffle=True, last_batch_handle="roll_over")
        return io.NDArrayIter(X, y, batch_size, shuffle=False)

    def _init_eval_iter(self, eval_data: Any) -> Any:
        """An iterator over evaluation data: an iterator, a pair of arrays or lists, or None."""
        if eval_data is None or isinstance(eval_data, io.DataIter):
            return eval_data
        if not (isinstance(eval_data, (tuple, list)) and len(eval_data) == 2):
            raise TypeError(
                f"eval_data must be a DataIter or a pair (data, label) of arrays or lists, found {type(eval_data)}"
            )
        data, label = eval_data
        if data is None:
            raise ValueError("eval_data: the data is None")
        if label is None and isinstance(data, io.DataIter):
            return data
        data, label = (np.array(x) if isinstance(x, list) else x for x in (data, label))
        return self._init_iter(data, label, is_train=True)

    def _init_predictor(self, input_shapes: Any, type_dict: Any = None) -> None:
        """Bind for prediction, unless the executor that there is has these shapes."""
        shapes = {name: array.shape for name, array in self.arg_params.items()}
        shapes.update((x[0], x[1]) for x in input_shapes)
        if self._pred_exec is not None:
            arg_shapes, _, _ = self.symbol.infer_shape(**shapes)
            if arg_shapes is None:
                raise AssertionError(f"shapes do not follow from the inputs {input_shapes}")
            if arg_shapes == [array.shape for array in self._pred_exec.arg_arrays]:
                return
        _check_arguments(self.symbol)
        executor = self.symbol.simple_bind(self.ctx[0], grad_req="null", type_dict=type_dict, **shapes)
        executor.copy_params_from(self.arg_params, self.aux_params)
        self._pred_exec = executor

    def _forwards(self, X: Any, num_batch: int | None, reset: bool) -> Any:  # noqa: N803
        """``(i, batch)`` for the batches of ``X``, each after its forward; stops at batch ``num_batch``."""
        if reset:
            X.reset()
        types = {name: array.dtype for name, array in self.arg_params.items()}
        types.update((x[0], x.dtype if isinstance(x, DataDesc) else np.float32) for x in X.provide_data)
        self._init_predictor(X.provide_data, types)
        inputs = [self._pred_exec.arg_dict[x[0]] for x in X.provide_data]
        for i, batch in enumerate(X):
            if i == num_batch:
                break
            _load_data(batch, inputs)
            self._pred_exec.forward(is_train=False)
            yield i, batch

    # -- use ----------------------------------------------------------------------------------------------------

    def predict(self, X: Any, num_batch: int | None = None, return_data: bool = False, reset: bool = True) -> Any:  # noqa: N803
        """Outputs for all samples as numpy arrays (a list of several outputs), with ``return_data`` data and labels too."""
        X = self._init_iter(X, None, is_train=False)  # noqa: N806
        collected: tuple[list, list, list] = ([], [], [])
        for i, batch in self._forwards(X, None, reset):
            count = X.batch_size - batch.pad
            groups = (self._pred_exec.outputs, *((batch.data, batch.label) if return_data else ()))
            for found, group in zip(collected, groups):
                found.append([array[0:count].asnumpy() for array in group])
            if i + 1 == num_batch:
                break
        merged = [[np.concatenate(parts) for parts in zip(*found)] for found in collected]
        outputs, data, label = (group[0] if len(group) == 1 else group for group in merged)
        return (outputs, data, label) if return_data else outputs

    def score(
        self,
        X: Any,  # noqa: N803
        eval_metric: Any = "acc",
        num_batch: int | None = None,
        batch_end_callback: Any = None,
        reset: bool = True,
    ) -> Any:
        """The value of a metric on ``X``, an iterator with labels (a ready metric is not reset first)."""
        if not isinstance(eval_metric, metric.EvalMetric):
            eval_metric = metric.create(eval_metric)
        X = self._init_iter(X, None, is_train=False)  # noqa: N806
        for i, batch in self._forwards(X, num_batch, reset):
            eval_metric.update(batch.label, self._pred_exec.outputs)
            _notify(batch_end_callback, 0, i, eval_metric, locals())
        return eval_metric.get()[1]

    def fit(
        self, X: Any, y: Any = None, eval_data: Any = None, eval_metric: Any = "acc",  # noqa: N803
        epoch_end_callback: Any = None, batch_end_callback: Any = None, kvstore: Any = "local", logger: Any = None,
        work_load_list: Any = None, monitor: Any = None, eval_end_callback: Any = LOG_VALIDATION,
        eval_batch_end_callback: Any = None,
    ) -> None:  # fmt: skip
        """Train on ``X`` (an iterator, or an array with labels ``y``) for the epochs ``begin_epoch`` to ``num_epoch - 1``."""
        if self.num_epoch is None:
            raise TypeError("FeedForward: give num_epoch, the number of the epoch to stop before")
        data = self._init_iter(X, y, is_train=True)
        eval_data = self._init_eval_iter(eval_data)
        if self.sym_gen:
            self.symbol = self.sym_gen(data.default_bucket_key)
            self._check_arguments()
        self.kwargs["sym"] = self.symbol
        arg_names, param_names, aux_names = self._init_params([*data.provide_data, *data.provide_label])
        if not isinstance(eval_metric, metric.EvalMetric):
            eval_metric = metric.create(eval_metric)
        kvstore, update_on_kvstore = _create_kvstore(kvstore, len(self.ctx), self.arg_params)
        optimizer = self._make_optimizer(data.batch_size, param_names, kvstore, update_on_kvstore)
        _train_multi_device(
            self.symbol, self.ctx, arg_names, param_names, aux_names, self.arg_params, self.aux_params,
            begin_epoch=self.begin_epoch, end_epoch=self.num_epoch, epoch_size=self.epoch_size, optimizer=optimizer,
            train_data=data, eval_data=eval_data, eval_metric=eval_metric, epoch_end_callback=epoch_end_callback,
            batch_end_callback=batch_end_callback, kvstore=kvstore, update_on_kvstore=update_on_kvstore, logger=logger,
            work_load_list=work_load_list, monitor=monitor, eval_end_callback=eval_end_callback,
            eval_batch_end_callback=eval_batch_end_callback, sym_gen=self.sym_gen,
        )  # fmt: skip

    def _make_optimizer(self, batch_size: int, param_names: list[str], kvstore: Any, update_on_kvstore: bool) -> Any:
        step = 1 if update_on_kvstore else len(self.ctx)
        idx2name = {i * step + k: name for i, name in enumerate(param_names) for k in range(step)}
        self.kwargs["param_idx2name"] = idx2name
        if isinstance(self.optimizer, str):
            if kvstore and "dist" in kvstore.type and "_async" not in kvstore.type:
                batch_size *= kvstore.num_workers
            return opt.create(self.optimizer, rescale_grad=1.0 / batch_size, **self.kwargs)
        if not isinstance(self.optimizer, opt.Optimizer):
            raise TypeError(f"FeedForward: optimizer must be a name or an Optimizer, found {type(self.optimizer)}")
        if not self.optimizer.idx2name:
            self.optimizer.idx2name = dict(idx2name)
        return self.optimizer

    def save(self, prefix: str, epoch: int | None = None, remove_amp_cast: bool = True) -> None:
        """Write a checkpoint, numbered ``num_epoch`` unless ``epoch`` is given."""
        if epoch is None:
            epoch = self.num_epoch
        if epoch is None:
            raise AssertionError("save: give epoch, the number of the checkpoint")
        save_checkpoint(prefix, epoch, self.symbol, self.arg_params, self.aux_params, remove_amp_cast=remove_amp_cast)

    @staticmethod
    def load(prefix: str, epoch: int, ctx: Any = None, **kwargs: Any) -> FeedForward:
        """A model from a checkpoint; a further ``fit`` starts at ``epoch``."""
        symbol, arg_params, aux_params = load_checkpoint(prefix, epoch)
        return FeedForward(symbol, ctx=ctx, arg_params=arg_params, aux_params=aux_params, begin_epoch=epoch, **kwargs)

    @staticmethod
    def create(
        symbol: Any, X: Any, y: Any = None, ctx: Any = None, num_epoch: int | None = None,  # noqa: N803
        epoch_size: int | None = None, optimizer: Any = "sgd", initializer: Any = DEFAULT_INITIALIZER, eval_data: Any = None,
        eval_metric: Any = "acc", epoch_end_callback: Any = None, batch_end_callback: Any = None, kvstore: Any = "local",
        logger: Any = None, work_load_list: Any = None, eval_end_callback: Any = LOG_VALIDATION,
        eval_batch_end_callback: Any = None, **kwargs: Any,
    ) -> FeedForward:  # fmt: skip
        """Make a model and ``fit`` it; ``kwargs`` go to the constructor."""
        model = FeedForward(
            symbol, ctx=ctx, num_epoch=num_epoch, epoch_size=epoch_size, optimizer=optimizer, initializer=initializer,
            **kwargs,
        )  # fmt: skip
        model.fit(
            X, y, eval_data=eval_data, eval_metric=eval_metric, epoch_end_callback=epoch_end_callback,
            batch_end_callback=batch_end_callback, kvstore=kvstore, logger=logger, work_load_list=work_load_list,
            eval_end_callback=eval_end_callback, eval_batch_end_callback=eval_batch_end_callback,
        )  # fmt: skip
        return model


FeedForward.__module__ = "mxcompat.model"  # where pickles look for it


def _only(params: dict[str, Any] | None, names: list[str]) -> dict[str, Any] | None:
    return {name: array for name, array in params.items() if name in names} if params else params
