"""Checks of a symbol: its outputs and gradients against given ones, its gradients against finite differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mxcompat import ndarray as nd
from mxcompat import symbol
from mxcompat.context import Context
from mxcompat.ndarray import NDArray
from mxcompat.symbol import Symbol
from mxcompat.test_utils.compare import assert_almost_equal
from mxcompat.test_utils.defaults import default_context, default_dtype, default_numeric_eps, get_tolerance
from mxcompat.test_utils.sparse_arrays import create_sparse_array

__all__ = [
    "check_numeric_gradient",
    "check_symbolic_backward",
    "check_symbolic_forward",
    "numeric_grad",
    "simple_forward",
]
_PROJECTION = "__random_proj"


def simple_forward(sym: Symbol, ctx: Context | None = None, is_train: bool = False, **inputs: Any) -> Any:
    """The outputs of a symbol as NumPy arrays, from NumPy inputs by name; the array itself when there is one."""
    arrays = {name: nd.array(value) for name, value in inputs.items()}
    executor = sym.bind(ctx or default_context(), args=arrays)
    executor.forward(is_train=is_train)
    outputs = [output.asnumpy() for output in executor.outputs]
    return outputs[0] if len(outputs) == 1 else outputs


def _check_dtype(dtype: Any, *more: str) -> None:
    if isinstance(dtype, str) and dtype in more:
        return
    if dtype not in (np.float16, np.float32, np.float64):
        raise AssertionError(f"dtype is {dtype!r}, expected float16, float32 or float64{' or '.join(['', *more])}")


def _to_ndarray(value: Any, ctx: Context, dtype: Any) -> NDArray:
    return nd.array(value, ctx=ctx, dtype=value.dtype if isinstance(dtype, str) and dtype == "asnumpy" else dtype)


def _by_name(names: Sequence[str], values: Any, what: str) -> dict[str, Any]:
    """Values by name; a list gives them in order, a dict has to have exactly these names."""
    if isinstance(values, Mapping):
        if set(values) != set(names):
            raise ValueError(
                f"Symbol {what} and keys of the given {what} do not match: the symbol has {sorted(names)}, "
                f"given were {sorted(values)}"
            )
        return dict(values)
    if not isinstance(values, (list, tuple)):
        raise AssertionError(f"{what}: expected a dict, list or tuple, found {type(values).__name__}")
    return dict(zip(names, values))


def _parse_location(sym: Symbol, location: Any, ctx: Context, dtype: Any) -> dict[str, NDArray]:
    """The arguments as NDArrays, sorted by name; what is no NumPy array passes as it is."""
    values = _by_name(sym.list_arguments(), location, "arguments")
    return {
        name: _to_ndarray(value, ctx, dtype) if isinstance(value, np.ndarray) else value
        for name, value in sorted(values.items())
    }


def _parse_aux_states(sym: Symbol, aux_states: Any, ctx: Context, dtype: Any) -> dict[str, NDArray] | None:
    if aux_states is None:
        return None
    values = _by_name(sym.list_auxiliary_states(), aux_states, "aux_states")
    return {name: _to_ndarray(value, ctx, dtype) for name, value in values.items()}


def _store(array: NDArray, value: Any, dtype: Any) -> None:
    dense = nd.array(value, dtype=dtype)
    array[:] = dense if array.stype == "default" else dense.tostype(array.stype)


def numeric_grad(
    executor: Any,
    location: dict[str, Any],
    aux_states: Mapping[str, Any] | None = None,
    eps: float = 1e-4,
    use_forward_train: bool = True,
    dtype: Any = default_dtype(),  # noqa: B008
) -> dict[str, np.ndarray]:
    """The gradient of the sum of an executor's first output, by central differences of step ``eps``.

    ``location`` holds the arguments by name (NumPy), at which the executor's arrays are left; the gradient of an
    argument of integers is 0. Auxiliary states are set to ``aux_states`` before every forward pass.
    """
    _check_dtype(dtype)
    gradients = {name: np.zeros(value.shape, dtype=dtype) for name, value in location.items()}
    for name, value in location.items():
        location[name] = value = np.asarray(value, order="C")
        if executor.arg_dict[name].stype == "default":
            _store(executor.arg_dict[name], value, dtype)

    def output_sum_at(name: str, values: np.ndarray) -> np.ndarray:
        _store(executor.arg_dict[name], values, dtype)
        for state, value in (aux_states or {}).items():
            _store(executor.aux_dict[state], value, dtype)
        executor.forward(is_train=use_forward_train)
        return executor.outputs[0].asnumpy()

    for name, value in location.items():
        if value.dtype.kind != "f":
            continue
        moved = value.copy()
        for place in range(moved.size):
            start = moved.flat[place]
            moved.flat[place] += eps / 2.0
            above = output_sum_at(name, moved)
            moved.flat[place] -= eps
            below = output_sum_at(name, moved)
            gradients[name].flat[place] = (above - below).sum() / eps
            moved.flat[place] = start
        _store(executor.arg_dict[name], value, dtype)
    return gradients


def _grad_req(grad_nodes: Any, sym: Symbol) -> dict[str, str]:
    if grad_nodes is None:
        return dict.fromkeys(sym.list_arguments(), "write")
    if isinstance(grad_nodes, Mapping):
        return dict(grad_nodes)
    if isinstance(grad_nodes, (list, tuple)):
        return dict.fromkeys(grad_nodes, "write")
    raise ValueError(f"grad_nodes: expected a dict, list or tuple, found {type(grad_nodes).__name__}")


def _empty_of(array: NDArray, stype: str | None) -> NDArray:
    if stype in (None, "default"):
        return array
    return nd.zeros(array.shape, array.context, array.dtype, stype)


def _projected(sym: Any, location: dict[str, NDArray], ctx: Context, dtype: Any) -> Symbol:
    """A loss that weighs every element of the output; its weights are added to ``location``."""
    _, shapes, _ = sym.infer_shape(**{name: value.shape for name, value in location.items()})
    weights = np.random.rand(*shapes[0]) + 0.1  # small ones would cost a difference its precision
    location[_PROJECTION] = nd.array(weights, ctx=ctx, dtype=dtype)
    return symbol.make_loss(sym * symbol.Variable(_PROJECTION))


def check_numeric_gradient(
    sym: Symbol,
    location: Any,
    aux_states: Any = None,
    numeric_eps: Any = None,
    rtol: Any = None,
    atol: Any = None,
    grad_nodes: Any = None,
    use_forward_train: bool = True,
    ctx: Context | None = None,
    grad_stype_dict: Mapping[str, str] | None = None,
    dtype: Any = default_dtype(),  # noqa: B008
) -> None:
    """``AssertionError`` unless the gradients of a symbol of one output agree with central differences.

    ``location`` and ``aux_states`` are dicts by name, or lists in the symbol's order; ``grad_nodes`` names the
    arguments to check, or is a dict of name to ``'write'``, ``'add'`` or ``'null'``; ``grad_stype_dict`` gives storage
    types of gradients. ``numeric_eps`` is the step, by default one that fits the type.
    """
    _check_dtype(dtype)
    ctx = ctx or default_context()
    location = _parse_location(sym, location, ctx, dtype)
    values = {name: value.asnumpy() for name, value in location.items()}
    states = _parse_aux_states(sym, aux_states, ctx, dtype)
    state_values = None if states is None else {name: state.asnumpy() for name, state in states.items()}
    grad_req = _grad_req(grad_nodes, sym)
    loss = _projected(sym, location, ctx, dtype)
    before = {name: np.random.normal(0, 0.01, size=location[name].shape) for name in [*grad_req, _PROJECTION]}
    if grad_stype_dict is not None and not isinstance(grad_stype_dict, Mapping):
        raise AssertionError("grad_stype_dict must be a dict")
    gradients = {
        name: _empty_of(nd.array(value, ctx=ctx, dtype=dtype), (grad_stype_dict or {}).get(name))
        for name, value in before.items()
    }
    executor = loss.bind(ctx, grad_req=grad_req, args=location, args_grad=gradients, aux_states=states)
    if len(executor.arg_arrays) != len(location):
        raise ValueError(f"the executor has {len(executor.arg_arrays)} arguments, location has {len(location)}")
    executor.forward(is_train=True)
    eps = get_tolerance(executor.outputs[0], numeric_eps, default_numeric_eps())
    if dtype != np.float64 and eps < 1e-5:
        raise AssertionError(f"numeric_eps is {eps}: steps below 1e-5 need dtype float64")
    executor.backward()
    differences = numeric_grad(executor, values, state_values, eps, use_forward_train, dtype)
    for name, request in grad_req.items():
        labels = (f"NUMERICAL_{name}", f"BACKWARD_{name}")
        _compare_gradient(
            name, request, differences[name], executor.grad_dict[name], before[name], labels, rtol=rtol, atol=atol
        )


def _compare_gradient(
    name: str, request: str, expected: Any, found: Any, before: np.ndarray, names: tuple[str, str], **options: Any
) -> None:
    """``found`` against ``expected`` as ``grad_req`` has it: written, added to ``before``, or left as ``before``."""
    if request == "write":
        assert_almost_equal(expected, found, names=names, **options)
    elif request == "add":
        assert_almost_equal(expected, found.asnumpy() - before, names=names, **options)
    elif request == "null":
        assert_almost_equal(before, before if found is None else found, names=names, **options)
    else:
        raise ValueError(f"Invalid grad_req {request} for argument {name}")


def check_symbolic_forward(
    sym: Symbol,
    location: Any,
    expected: Any,
    rtol: Any = None,
    atol: Any = None,
    aux_states: Any = None,
    ctx: Context | None = None,
    equal_nan: bool = False,
    dtype: Any = default_dtype(),  # noqa: B008
) -> list[NDArray]:
    """``AssertionError`` unless the outputs of a symbol (not in training) are the expected ones; returns them.

    ``location``, ``aux_states`` and ``expected`` are dicts by name, or lists in the symbol's order. NumPy inputs are
    converted to ``dtype``; ``'asnumpy'`` keeps the type of each.
    """
    _check_dtype(dtype, "asnumpy")
    ctx = ctx or default_context()
    location = _parse_location(sym, location, ctx, dtype)
    states = _parse_aux_states(sym, aux_states, ctx, dtype)
    if isinstance(expected, Mapping):
        expected = [expected[name] for name in sym.list_outputs()]
    keep = isinstance(dtype, str)
    gradients = {
        name: nd.zeros(value.shape, ctx=ctx, dtype=value.dtype if keep else dtype) for name, value in location.items()
    }
    executor = sym.bind(ctx=ctx, args=location, args_grad=gradients, aux_states=states)
    executor.forward(is_train=False)
    for name, value, output in zip(sym.list_outputs(), expected, executor.outputs):
        names = (f"EXPECTED_{name}", f"FORWARD_{name}")
        assert_almost_equal(value, output, rtol, atol, names, equal_nan=equal_nan)
    return executor.outputs


def check_symbolic_backward(
    sym: Symbol,
    location: Any,
    out_grads: Any,
    expected: Any,
    rtol: Any = None,
    atol: Any = None,
    aux_states: Any = None,
    grad_req: Any = "write",
    ctx: Context | None = None,
    grad_stypes: Mapping[str, str] | None = None,
    equal_nan: bool = False,
    dtype: Any = default_dtype(),  # noqa: B008
) -> dict[str, NDArray]:
    """``AssertionError`` unless the gradients of a symbol are the expected ones; returns the gradient arrays.

    ``location``, ``aux_states``, ``out_grads`` (gradients of the outputs) and ``expected`` are dicts by name, or lists
    in the symbol's order; ``grad_req`` is a word for all arguments, a list or a dict; ``grad_stypes`` gives storage
    types of gradients. NumPy inputs are converted to ``dtype``; ``'asnumpy'`` keeps the type of each.
    """
    _check_dtype(dtype, "asnumpy")
    ctx = ctx or default_context()
    location = _parse_location(sym, location, ctx, dtype)
    states = _parse_aux_states(sym, aux_states, ctx, dtype)
    arguments = sym.list_arguments()
    if isinstance(expected, (list, tuple)):
        expected = dict(zip(arguments, expected))
    if isinstance(grad_req, str):
        grad_req = dict.fromkeys(arguments, grad_req)
    elif isinstance(grad_req, (list, tuple)):
        grad_req = dict(zip(arguments, grad_req))
    before = {name: np.random.normal(size=value.shape) for name, value in sorted(expected.items())}
    gradients = {}
    for name, value in before.items():
        stype = (grad_stypes or {}).get(name)
        if stype not in (None, "default"):
            gradients[name] = create_sparse_array(value.shape, stype, density=0.0)  # type: ignore[arg-type]
        else:
            own = expected[name].dtype if isinstance(dtype, str) else dtype
            gradients[name] = nd.array(value, ctx=ctx, dtype=own)
    executor = sym.bind(ctx=ctx, args=location, args_grad=gradients, aux_states=states, grad_req=grad_req)
    executor.forward(is_train=True)
    executor.backward(_head_gradients(out_grads, ctx, dtype))
    for name, value in expected.items():
        labels = (f"EXPECTED_{name}", f"BACKWARD_{name}")
        options = {"rtol": rtol, "atol": atol, "equal_nan": equal_nan}
        _compare_gradient(name, grad_req[name], value, gradients[name], before[name], labels, **options)
    return gradients


def _head_gradients(out_grads: Any, ctx: Context, dtype: Any) -> Any:
    def convert(value: Any) -> Any:
        return _to_ndarray(value, ctx, dtype) if isinstance(value, np.ndarray) else value

    if isinstance(out_grads, (list, tuple)):
        return [convert(value) for value in out_grads]
    if isinstance(out_grads, Mapping):
        return {name: convert(value) for name, value in out_grads.items()}
    if out_grads is not None:
        raise AssertionError(f"out_grads: expected a dict, list or tuple, found {type(out_grads).__name__}")
    return None
