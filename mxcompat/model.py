"""Checkpoints, and how Module and FeedForward update parameters (public path: ``mxnet.model``)."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
from collections import namedtuple
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mxcompat import kvstore as kvs
from mxcompat import ndarray as nd
from mxcompat import optimizer as opt
from mxcompat import symbol as sym
from mxcompat.base import DamagedFile
from mxcompat.callback import save_checkpoint
from mxcompat.context import Context

__all__ = ["BatchEndParam", "FeedForward", "load_checkpoint", "load_params", "save_checkpoint"]  # noqa: F822

SKLEARN_INSTALLED = importlib.util.find_spec("sklearn") is not None

#: what a batch callback gets: numbers of the epoch and batch, the metric, and the local names of the training loop
BatchEndParam = namedtuple("BatchEndParams", ["epoch", "nbatch", "eval_metric", "locals"])  # type: ignore[name-match]

#: names of the training loop of FeedForward, which is imported when one is used (it imports scikit-learn where there is one)
_LOOP = "mxcompat.module.feed_forward"
_LOOP_NAMES = {
    "BASE_ESTIMATOR",
    "DataDesc",
    "DataParallelExecutorManager",
    "FeedForward",
    "LogValidationMetricsCallback",
}
_LOOP_NAMES |= {"Uniform", "_train_multi_device", "cpu", "get_updater", "io", "metric"}


def __getattr__(name: str) -> Any:
    if name in _LOOP_NAMES:
        return getattr(importlib.import_module(_LOOP), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


# -- updating ---------------------------------------------------------------------------------------------------

#: number of elements of a parameter above which 'local' does not update on the kvstore
_LARGE_PARAMETER = 16 * 1024 * 1024


def _create_kvstore(kvstore: Any, num_device: int, arg_params: dict[str, Any]) -> tuple[Any, bool]:
    """``(kvstore or None, whether it runs the optimizer)`` for a name, a KVStore or None; ``TypeError`` otherwise.

    One device needs none; ``MXNET_UPDATE_ON_KVSTORE=0`` leaves the optimizer to the caller.
    """
    update_on_kvstore = bool(int(os.environ.get("MXNET_UPDATE_ON_KVSTORE", "1")))
    if isinstance(kvstore, str):
        name, kvstore = kvstore, None
        if num_device != 1 or "dist" in name:
            kvstore = kvs.create(name)
            if (
                name == "local"
                and max(np.prod(x.shape, dtype=np.int64) for x in arg_params.values()) > _LARGE_PARAMETER
            ):
                update_on_kvstore = False
    elif kvstore is not None and not isinstance(kvstore, kvs.KVStoreBase):
        raise TypeError(f"kvstore must be KVStore, str or None, found {type(kvstore)}")
    if kvstore is None:
        return None, False
    return kvstore, update_on_kvstore and kvstore.is_capable(kvs.KVStoreBase.OPTIMIZER)


def _initialize_kvstore(
    kvstore: Any,
    param_arrays: Sequence,
    arg_params: dict[str, Any],
    param_names: Sequence[str],
    update_on_kvstore: bool,
) -> None:
    """Give the kvstore the parameters; where it runs the optimizer, the devices' dense arrays get its values."""
    for name, arrays in zip(param_names, param_arrays):
        if update_on_kvstore and arg_params[name].stype == "default":
            kvstore.broadcast(name, arg_params[name], out=arrays)
        else:
            kvstore.init(name, arg_params[name])


def _update_params_on_kvstore(
    param_arrays: Sequence, grad_arrays: Sequence, kvstore: Any, param_names: Sequence[str]
) -> None:
    """Push gradients to the kvstore, whose optimizer runs, and pull the parameters."""
    for index, (arrays, grads) in enumerate(zip(param_arrays, grad_arrays)):
        if grads[0] is not None:
            kvstore.pushpull(param_names[index], grads, out=arrays, priority=-index)


def _update_params(
    param_arrays: Sequence,
    grad_arrays: Sequence,
    updater: Callable,
    num_device: int,
    kvstore: Any = None,
    param_names: Sequence[str] | None = None,
) -> None:
    """One step of the updater on every device, after the kvstore (if any) has summed the gradients.

    Parameter ``i`` on device ``k`` has the number ``i * num_device + k``. An ``Updater`` gets all parameters of a device
    in one call; another function, as old scripts put in its place, gets them one by one.
    """
    steps: list[tuple[list, list, list]] = [([], [], []) for _ in range(num_device)]
    for index, (arrays, grads) in enumerate(zip(param_arrays, grad_arrays)):
        if grads[0] is None:
            continue
        if kvstore:
            assert param_names is not None
            if grads[0].stype == "default":
                kvstore.pushpull(param_names[index], grads, priority=-index)
            else:
                kvstore.push(param_names[index], grads, priority=-index)
                kvstore.pull(param_names[index], out=grads, priority=-index, ignore_sparse=False)
        for device, (weight, grad) in enumerate(zip(arrays, grads)):
            for column, value in zip(steps[device], (index * num_device + device, grad, weight)):
                column.append(value)
    for numbers, gradients, weights in steps:
        if not numbers:
            continue
        if isinstance(updater, opt.Updater):
            updater(numbers, gradients, weights)
        else:
            for step in zip(numbers, gradients, weights):
                updater(*step)


# -- checkpoints ------------------------------------------------------------------------------------------------


def _named_params(arg_params: dict[str, Any], aux_params: dict[str, Any], ctx: Context) -> dict[str, Any]:
    """The arrays of a parameter file: names with ``arg:`` and ``aux:`` in front."""
    named = {f"arg:{name}": array.as_in_context(ctx) for name, array in arg_params.items()}
    named.update((f"aux:{name}", array.as_in_context(ctx)) for name, array in aux_params.items())
    return named


def _split_params(loaded: Any, path: str, strict: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """``(arg_params, aux_params)`` of what a parameter file holds; ``ValueError`` where names have no kind.

    Unknown kinds are errors with ``strict``, else they are left out.
    """
    found: dict[str, dict[str, Any]] = {"arg": {}, "aux": {}}
    if not isinstance(loaded, dict):
        raise DamagedFile(f"Invalid param file {path}: its arrays have no names, expected arg:... and aux:...")
    for key, array in loaded.items():
        kind, colon, name = key.partition(":")
        if not colon or (strict and kind not in found):
            raise DamagedFile(
                f"Invalid param file {path}: array {key!r}, expected a name that starts with arg: or aux:"
            )
        found.setdefault(kind, {})[name] = array
    return found["arg"], found["aux"]


def load_params(prefix: str, epoch: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """``(arg_params, aux_params)`` from ``prefix-0001.params``, numbered by ``epoch``."""
    path = f"{prefix}-{int(epoch):04d}.params"
    loaded = nd.load(path)
    if not loaded:
        logging.warning("Params file '%s' is empty", path)
        return {}, {}
    return _split_params(loaded, path, strict=False)


def load_checkpoint(prefix: str, epoch: int) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """``(symbol, arg_params, aux_params)`` from the files that ``save_checkpoint`` wrote."""
    return (sym.load(f"{prefix}-symbol.json"), *load_params(prefix, epoch))
