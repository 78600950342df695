"""``foreach``, ``while_loop`` and ``cond`` over arrays: Python loops that autograd records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mxcompat.ndarray.creation import zeros
from mxcompat.ndarray.dispatch import invoke
from mxcompat.ndarray.ndarray import NDArray
from mxcompat.ops import registry

__all__ = ["cond", "foreach", "isfinite", "isinf", "isnan", "while_loop"]


def _call(name: str, inputs: Sequence[NDArray], **params: Any) -> NDArray:
    return invoke(registry.get(name), inputs, params)


def flatten(values: Any, what: str) -> tuple[list, Any]:
    """The arrays of a nested list, and its form: 0 for an array, else a list of forms."""
    if isinstance(values, NDArray):
        return [values], 0
    assert isinstance(values, (list, tuple)), (
        f"{what} must be (nested) list of NDArray, but got {values} of type {type(values)}"
    )
    leaves, forms = [], []
    for value in values:
        more, form = flatten(value, what)
        leaves += more
        forms.append(form)
    return leaves, forms


def regroup(leaves: list, form: Any) -> Any:
    """The inverse of ``flatten``."""
    left = iter(leaves)

    def take(one: Any) -> Any:
        return [take(part) for part in one] if isinstance(one, list) else next(left)

    return take(form)


def _scalar(value: Any, kind: type, what: str) -> Any:
    if isinstance(value, NDArray):
        value = value.asscalar()
    try:
        return kind(value)
    except (TypeError, ValueError):
        raise ValueError(f"Cannot convert {what} to python {kind.__name__}") from None


def foreach(body: Callable, data: Any, init_states: Any) -> tuple:
    """Run ``body(slice, states) -> (outputs, new states)`` on every slice of ``data`` along axis 0.

    data (an array or list of arrays), init_states (likewise, nested) -> the outputs stacked along a new axis 0 and the
    states of the last step, each in the structure that the body returns.
    """
    flatten(data, "foreach input")
    flatten(init_states, "foreach states")
    single = isinstance(data, NDArray)
    states, collected, form = init_states, [], None
    for step in range(data.shape[0] if single else data[0].shape[0]):
        outputs, states = body(data[step] if single else [part[step] for part in data], states)
        leaves, form = flatten(outputs, "foreach output")
        collected.append(leaves)
    stacked = [_call("stack", column, num_args=len(column)) for column in zip(*collected)]
    return regroup(stacked, [] if form is None else form), states


def while_loop(cond: Callable, func: Callable, loop_vars: Any, max_iterations: int | None = None) -> tuple:
    """Run ``func(*loop_vars) -> (outputs, new loop_vars)`` while ``cond(*loop_vars)`` is true.

    The outputs are stacked along a new axis 0 of size ``max_iterations``; those of steps that did not run are 0 (the
    original leaves them undefined), and the list is empty if no step runs. ``ValueError`` without max_iterations or loop
    variables, or when their number changes.
    """
    if max_iterations is None:
        raise ValueError("max_iterations should be specified")
    limit = _scalar(max_iterations, int, "max_iteration")
    if not isinstance(loop_vars, NDArray) and len(loop_vars) == 0:
        raise ValueError("loop_vars should contain at least one element")
    single = isinstance(loop_vars, NDArray)
    variables = [loop_vars] if single else list(loop_vars)
    collected: list[list] = []
    form: Any = []
    while len(collected) < limit and _scalar(cond(*variables), bool, "Return value of cond"):
        outputs, new = func(*variables)
        new = [] if new is None else [new] if isinstance(new, NDArray) else list(new)
        if len(new) != len(variables):
            raise ValueError("The length of loop_vars should be consistent during the loop")
        variables = new
        leaves, form = flatten([] if outputs is None else outputs, "while output")
        collected.append(leaves)
        if len(leaves) != len(collected[0]):
            raise ValueError("Number of elements in step_output should be the same in each step")
    stacked = [_stack(i, column, limit) for i, column in enumerate(zip(*collected), 1)]
    return regroup(stacked, form), variables[0] if single else variables


def _stack(place: int, column: tuple, limit: int) -> NDArray:
    if any(array.shape != column[0].shape for array in column):
        shapes = [f"  Step {i}, shape is {array.shape}" for i, array in enumerate(column)]
        head = f"Shapes of {place}-th elements in step_outputs are inconsistent, which are:"
        raise ValueError("\n".join([head, *shapes]))
    rows = _call("stack", column, num_args=len(column))
    if len(column) == limit:
        return rows
    shape = (limit - len(column), *column[0].shape)
    return _call("Concat", (rows, zeros(shape, rows.context, rows.dtype)), num_args=2, dim=0)


def cond(pred: Any, then_func: Callable, else_func: Callable) -> Any:
    """``then_func()`` if ``pred`` (an array of one element) is true, else ``else_func()``."""
    return then_func() if _scalar(pred, bool, "pred") else else_func()


def isinf(data: NDArray) -> NDArray:
    """1 where an element is infinite, else 0."""
    return _call("abs", (data,)) == float("inf")


def isfinite(data: NDArray) -> NDArray:
    """1 where an element is neither infinite nor nan, else 0."""
    return _call("broadcast_logical_and", (data == data, _call("abs", (data,)) != float("inf")))


def isnan(data: NDArray) -> NDArray:
    """1 where an element is nan, else 0."""
    return data != data
