"""Executors on several devices, as ``FeedForward`` trains them (public path: ``mxnet.executor_manager``)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from mxcompat import ndarray as nd
from mxcompat.base import MXNetError
from mxcompat.context import cpu
from mxcompat.io import DataDesc

__all__ = ["DataParallelExecutorGroup", "DataParallelExecutorManager"]


def _split_input_slice(batch_size: int, work_load_list: Sequence[float]) -> list[slice]:
    """The part of a batch for each device, in proportion to its work load (halves go to the even number).

    What rounding leaves over goes to the last device; ``ValueError`` when a device would get nothing.
    """
    total = sum(work_load_list)
    counts = [round(work_load * batch_size / total) for work_load in work_load_list]
    counts[-1] += max(0, batch_size - sum(counts))
    slices: list[slice] = []
    end = 0
    for count in counts:
        begin, end = end, min(end + count, batch_size)
        if begin >= end:
            raise ValueError(
                f"Too many slices. Some splits are empty: a batch of {batch_size} for {len(counts)} devices with work "
                f"loads {list(work_load_list)}"
            )
        slices.append(slice(begin, end))
    return slices


def _check_arguments(symbol: Any) -> None:
    """``ValueError`` when two arguments, or two auxiliary states, have the same name."""
    for kind, names in (("argument", symbol.list_arguments()), ("auxiliary state", symbol.list_auxiliary_states())):
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(
                f"{kind} names must differ: {twice[0]!r} occurs {names.count(twice[0])} times among {names}"
            )


def _load_general(data: Sequence[Any], targets: Sequence[Any]) -> None:
    """Copy arrays into bound arrays; a target is an array, or a list of ``(slice of the batch, array)``."""
    for source, target in zip(data, targets):
        if isinstance(target, nd.NDArray):
            source.copyto(target)
            continue
        expected = target[-1][0].stop
        if expected != source.shape[0]:
            raise AssertionError(f"batch size mismatch: expected {expected}, found {source.shape[0]}")
        for part, array in target:
            (source if part == slice(0, expected) else source[part]).copyto(array)


def _load_data(batch: Any, targets: Sequence[Any]) -> None:
    """Copy the data of a batch into bound arrays."""
    _load_general(batch.data, targets)


def _load_label(batch: Any, targets: Sequence[Any]) -> None:
    """Copy the labels of a batch into bound arrays."""
    _load_general(batch.label, targets)


class _Binding:
    """Chooses the arrays of one executor: new ones, those of another executor, or shared input arrays."""

    def __init__(self, ctx: Any, param_names: Sequence[str], base_exec: Any, shared_data_arrays: dict, logger: Any):
        self.ctx, self.param_names, self.base_exec = ctx, param_names, base_exec
        self.shared, self.logger = shared_data_arrays, logger

    def argument(self, name: str, shape: tuple[int, ...], dtype: Any) -> Any:
        if name not in self.param_names:
            return self._input(name, shape, dtype)
        if self.base_exec is None:
            return nd.zeros(shape, self.ctx, dtype=dtype)
        return _same(name, self.base_exec.arg_dict[name], shape, dtype)

    def _input(self, name: str, shape: tuple[int, ...], dtype: Any) -> Any:
        held = self.shared.get(name)
        if held is not None and held.size >= np.prod(shape, dtype=np.int64):
            flat = _same(name, held, held.shape, dtype).reshape((-1,))
            return flat[: int(np.prod(shape, dtype=np.int64))].reshape(shape)
        if held is not None:
            self.logger.warning(
                f'bucketing: data "{name}" has a shape {shape}, which is larger than already allocated shape {held.shape}. '
                "Need to re-allocate. Consider putting default_bucket_key to be the bucket taking the largest input for "
                "better memory sharing."
            )
        self.shared[name] = nd.zeros(shape, self.ctx, dtype=dtype)
        return self.shared[name]

    def gradient(self, name: str, shape: tuple[int, ...], dtype: Any) -> Any:
        if self.base_exec is None or name not in self.param_names:
            return nd.zeros(shape, self.ctx, dtype=dtype)
        return self.base_exec.grad_dict[name]

    def auxiliary(self, index: int, name: str, shape: tuple[int, ...], dtype: Any) -> Any:
        if self.base_exec is None:
            return nd.zeros(shape, self.ctx, dtype=dtype)
        return _same(name, self.base_exec.aux_arrays[index], shape, dtype)


def _same(name: str, array: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    if array.shape != tuple(shape) or array.dtype != dtype:
        raise AssertionError(
            f"{name}: the shared array is {array.shape} {array.dtype}, expected {tuple(shape)} {dtype}"
        )
    return array


def _bind_exec(
    sym: Any,
    ctx: Any,
    input_shapes: dict[str, tuple[int, ...]],
    param_names: Sequence[str],
    need_grad: Any = False,
    base_exec: Any = None,
    shared_data_arrays: dict | None = None,
    input_types: dict | None = None,
    logger: Any = logging,
) -> Any:
    """An executor for inputs of these shapes, with gradients for the names in ``need_grad`` (True: all but inputs).

    Parameters come from ``base_exec`` where it is given; inputs from ``shared_data_arrays``, which grows.
    """
    arg_shapes, _, aux_shapes = sym.infer_shape(**input_shapes)
    if arg_shapes is None:
        raise AssertionError(f"bind: shapes do not follow from {input_shapes}")
    arg_types, _, aux_types = sym.infer_type(**(input_types or dict.fromkeys(input_shapes, np.float32)))
    if arg_types is None:
        raise AssertionError(f"bind: types do not follow from {input_types}")
    names, aux_names = sym.list_arguments(), sym.list_auxiliary_states()
    if isinstance(need_grad, bool):
        need_grad = set(names) - set(input_shapes) if need_grad else set()
    elif not isinstance(need_grad, set):
        raise AssertionError(f"need_grad must be a bool or a set of names, found {type(need_grad)}")
    shared = shared_data_arrays if shared_data_arrays is not None else {}
    arrays = _Binding(ctx, param_names, base_exec, shared, logger)
    described = list(zip(names, arg_shapes, arg_types))
    return sym.bind(
        ctx=ctx,
        args=[arrays.argument(*one) for one in described],
        args_grad={one[0]: arrays.gradient(*one) for one in described if one[0] in need_grad},
        aux_states=[arrays.auxiliary(i, *one) for i, one in enumerate(zip(aux_names, aux_shapes, aux_types))],
        grad_req={name: "write" if name in need_grad else "null" for name in names},
        shared_exec=base_exec,
    )


class DataParallelExecutorGroup:
    """Executors of one symbol, one for each context, for the batches that ``train_data`` describes."""

    def __init__(
        self,
        sym: Any,
        arg_names: Sequence[str],
        param_names: Sequence[str],
        ctx: Sequence[Any],
        slices: Sequence[slice],
        train_data: Any,
        shared_group: DataParallelExecutorGroup | None = None,
    ):
        _check_arguments(sym)
        new: list[dict] = [{} for _ in ctx]
        self.shared_data_arrays: list[dict] = new if shared_group is None else shared_group.shared_data_arrays
        self.data_names = [x[0] for x in train_data.provide_data]
        self.label_names = [x[0] for x in train_data.provide_label]
        self.aux_names = sym.list_auxiliary_states()
        self.param_idx = [i for i, name in enumerate(arg_names) if name in param_names]
        self.param_names = [arg_names[i] for i in self.param_idx]
        inputs = [*train_data.provide_data, *train_data.provide_label]
        types = {x[0]: x.dtype if isinstance(x, DataDesc) else np.float32 for x in inputs}
        self.train_execs: list = [
            _bind_exec(
                sym,
                context,
                {x[0]: (part.stop - part.start, *x[1][1:]) for x in inputs},
                self.param_names,
                need_grad=True,
                base_exec=None if shared_group is None else shared_group.train_execs[i],
                shared_data_arrays=self.shared_data_arrays[i],
                input_types=types,
            )
            for i, (context, part) in enumerate(zip(ctx, slices))
        ]
        self.slices = slices
        self._collect_arrays()

    def _collect_arrays(self) -> None:
        execs = self.train_execs
        self.data_arrays, self.label_arrays = (
            [[(part, e.arg_dict[name]) for part, e in zip(self.slices, execs)] for name in names]
            for names in (self.data_names, self.label_names)
        )
        self.param_arrays = [[e.arg_arrays[i] for e in execs] for i in self.param_idx]
        self.grad_arrays = [[e.grad_arrays[i] for e in execs] for i in self.param_idx]
        self.aux_arrays = [[e.aux_arrays[i] for e in execs] for i in range(len(self.aux_names))]

    def load_data_batch(self, data_batch: Any) -> None:
        """Copy data and labels of a batch into the executors."""
        _load_data(data_batch, self.data_arrays)
        _load_label(data_batch, self.label_arrays)

    def forward(self, is_train: bool = False) -> None:
        """Run every executor."""
        for executor in self.train_execs:
            executor.forward(is_train=is_train)

    def backward(self) -> None:
        """Run every executor backward."""
        for executor in self.train_execs:
            executor.backward()

    def update_metric(self, metric: Any, labels: Any, pre_sliced: bool = False) -> None:
        """Add the outputs to a metric; ``pre_sliced`` labels are a list of labels for each executor."""
        for i, (executor, part) in enumerate(zip(self.train_execs, self.slices)):
            metric.update(labels[i] if pre_sliced else [label[part] for label in labels], executor.outputs)


class DataParallelExecutorManager:
    """The executor group in use: with ``sym_gen`` there is one for each bucket key, and they share parameters."""

    def __init__(
        self,
        symbol: Any,
        ctx: Sequence[Any],
        train_data: Any,
        arg_names: Sequence[str],
        param_names: Sequence[str],
        aux_names: Sequence[str],
        work_load_list: list | None = None,
        logger: Any = None,
        sym_gen: Any = None,
    ):
        (logger or logging).info("Start training with %s", str(ctx))
        if work_load_list is None:
            work_load_list = [1] * len(ctx)
        if not isinstance(work_load_list, list) or len(work_load_list) != len(ctx):
            raise AssertionError(f"work_load_list must be a list of {len(ctx)} numbers, found {work_load_list}")
        self.slices = _split_input_slice(train_data.batch_size, work_load_list)
        self.arg_names, self.param_names, self.aux_names = arg_names, param_names, aux_names
        self.ctx = ctx
        self.execgrp = DataParallelExecutorGroup(symbol, arg_names, param_names, ctx, self.slices, train_data)
        self.symbol = symbol
        self.sym_gen = sym_gen
        self.curr_execgrp: Any = None
        if sym_gen is not None:
            self.execgrp_bucket = {train_data.default_bucket_key: self.execgrp}

    def install_monitor(self, monitor: Any) -> None:
        """Let a Monitor watch the executors."""
        if self.sym_gen is not None:
            raise NotImplementedError("install_monitor: monitoring buckets is not supported; use BucketingModule")
        for executor in self.execgrp.train_execs:
            monitor.install(executor)

    def set_params(self, arg_params: dict, aux_params: dict) -> None:
        """Copy parameters into every executor."""
        for executor in self.execgrp.train_execs:
            executor.copy_params_from(arg_params, aux_params)

    def copy_to(self, arg_params: dict, aux_params: dict) -> None:
        """Write the mean of the executors' parameters into the given arrays."""
        for names, blocks, found in (
            (self.param_names, self.param_arrays, arg_params),
            (self.aux_names, self.aux_arrays, aux_params),
        ):
            for name, block in zip(names, blocks):
                mean = sum(array.copyto(cpu()) for array in block) / len(block)
                mean.astype(found[name].dtype).copyto(found[name])

    @property
    def param_arrays(self) -> list:
        """Parameters: for each name, one array of each executor."""
        return self.execgrp.param_arrays

    @property
    def grad_arrays(self) -> list:
        """Gradients of the parameters, in the same order."""
        return self.execgrp.grad_arrays

    @property
    def aux_arrays(self) -> list:
        """Auxiliary states: for each name, one array of each executor."""
        return self.execgrp.aux_arrays

    def load_data_batch(self, data_batch: Any) -> None:
        """Load a batch into the executors of its bucket, which are made when it comes for the first time."""
        if self.sym_gen is None:
            self.curr_execgrp = self.execgrp
        else:
            key = data_batch.bucket_key
            if key not in self.execgrp_bucket:
                self.execgrp_bucket[key] = DataParallelExecutorGroup(
                    self.sym_gen(key), self.arg_names, self.param_names, self.ctx, self.slices, data_batch, self.execgrp
                )
            self.curr_execgrp = self.execgrp_bucket[key]
        self.curr_execgrp.load_data_batch(data_batch)

    def _current(self) -> Any:
        if self.curr_execgrp is None:
            raise MXNetError("no batch is loaded, call load_data_batch first")
        return self.curr_execgrp

    def forward(self, is_train: bool = False) -> None:
        """Run the executors on the batch that was loaded."""
        self._current().forward(is_train=is_train)

    def backward(self) -> None:
        """Run the executors backward."""
        self._current().backward()

    def update_metric(self, metric: Any, labels: Any, pre_sliced: bool = False) -> None:
        """Add the outputs to a metric."""
        self._current().update_metric(metric, labels, pre_sliced)
