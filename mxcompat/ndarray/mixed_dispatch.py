"""Running operators on sparse arrays: by their storage rules, and updates that touch the gradient's rows only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from mxcompat.base import MXNetError
from mxcompat.context import Context
from mxcompat.ndarray.dispatch import _handle, _validate, _write_out, check_target, failure, install_mixed
from mxcompat.ops import mixed, row_updates
from mxcompat.ops.mixed import Sparse
from mxcompat.ops.schema import Operator, Params
from mxcompat.ops.storage import RowSparse
from mxcompat.scope import STATE

_new_sparse: Callable[[Any, Context], Any]


def install_sparse_handle(factory: Callable[[Any, Context], Any]) -> None:
    """The registration point of the sparse classes: ``factory(storage, context)`` makes a handle."""
    global _new_sparse
    _new_sparse = factory


def invoke_mixed(op: Operator, params: Params, inputs: Sequence[Any], out: Any, context: Context) -> Any:
    """Run ``op`` by its storage rule; None where none covers the call, which then runs on dense copies."""
    if len(inputs) > 1 and inputs[1].stype == "row_sparse" and row_updates.skips_rows(op, params, inputs[0].stype):
        return _update(op, params, inputs, out)
    if mixed.rule_of(op) is None or (all(x._storage is None for x in inputs) and not mixed.always_mixed(op, params)):
        return None
    likes = [x._like for x in inputs]
    _validate(op, params, likes)
    recorded = STATE.recording and any(x._tape is not None for x in inputs)
    try:
        with torch.set_grad_enabled(recorded):
            values = [value_of(x, recorded) for x in inputs]
            results = mixed.call(op, params, values, op.call_arguments(params, STATE.training, None))
    except (RuntimeError, IndexError, ValueError, TypeError) as error:
        raise failure(op, likes, error) from (None if isinstance(error, MXNetError) else error)
    if results is None:
        return None
    if out is not None:
        return _write(op, results, out, recorded)
    handles = [handle_of(value, context, recorded) for value in results]
    return handles[0] if len(handles) == 1 else handles


def value_of(x: Any, recorded: bool) -> Any:
    """An array as a value: its tensor or storage, with its place in the recording."""
    if x._storage is not None:
        return Sparse(x._storage, x._tape if recorded else None)
    return x._tape if recorded and x._tape is not None and x._data.is_floating_point() else x._data


def handle_of(value: Any, context: Context, recorded: bool) -> Any:
    """A value as a new array."""
    if not isinstance(value, Sparse):
        return _handle(value, context, recorded)
    handle = _new_sparse(value.storage, context)
    if recorded and value.tape is not None and value.tape.requires_grad:
        handle._tape = value.tape
    return handle


def _write(op: Operator, results: Sequence[Any], out: Any, recorded: bool) -> Any:
    """Results into given arrays, as they are where these have the same storage type."""
    targets = out if isinstance(out, (list, tuple)) else [out]
    for index, (target, value) in enumerate(zip(targets, results)):
        if not isinstance(value, Sparse) or target.stype != value.storage.stype:
            _write_out(op, [mixed.densify(value)], [target], recorded)
            continue
        check_target(op, index, target, mixed.proxy(value.storage))
        target._storage, target._tape = value.storage, value.tape if recorded else None
    return out


def _update(op: Operator, params: Params, inputs: Sequence[Any], out: Any) -> Any:
    """An update that costs what the rows of its gradient cost; the weight is changed in place where it is ``out``."""
    _validate(op, params, [x._like for x in inputs])
    weight, gradient, *states = inputs
    target = weight.copy() if out is None else out
    if target is not weight and out is not None:
        weight.copyto(target)
    with torch.no_grad():
        tensors = [weight_rows(op.name, target), *[state_rows(state) for state in states]]
        row_updates.run_update(op, op.call_arguments(params, STATE.training, None), tensors, gradient._storage)
    return target


def weight_rows(what: str, array: Any) -> torch.Tensor:
    """The memory of all rows of a weight, to be changed in place; ``MXNetError`` where a row is not stored."""
    if array._storage is None:
        return array._data
    if array.stype != "row_sparse" or not array._storage.is_full:
        raise MXNetError(f"{what}: a {array.stype} weight of shape {array.shape} must have all rows to be updated")
    return array._storage.values


def state_rows(array: Any) -> torch.Tensor:
    """The memory of all rows of a state; rows that are not stored become zeros first."""
    if array._storage is None:
        return array._data
    if not (array.stype == "row_sparse" and array._storage.is_full):
        array._storage = RowSparse.full(array._data)
    return array._storage.values


install_mixed(invoke_mixed)
