"""``mx.autograd``: recording of imperative operators and their gradients (public path: ``mxnet.autograd``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from mxcompat.base import MXNetError, is_callback_error, string_types
from mxcompat.ndarray.dispatch import is_training_statistics
from mxcompat.ndarray.history import Step, origin
from mxcompat.ndarray.ndarray import NDArray, _mark, _wrap
from mxcompat.ndarray.sparse_array import gradient_array, store_gradient
from mxcompat.scope import STATE
from mxcompat.symbol import Symbol
from mxcompat.symbol.compose import make_node
from mxcompat.symbol.node import Node

__all__ = ["Function", "NDArray", "Symbol", "backward", "get_symbol", "grad", "is_recording", "is_training"]
__all__ += ["mark_variables", "pause", "predict_mode", "record", "set_recording", "set_training", "string_types"]
__all__ += ["train_mode"]


def set_recording(is_recording: bool) -> bool:
    """Switch recording on or off in this thread; returns what it was."""
    before, STATE.recording = STATE.recording, bool(is_recording)
    return before


def set_training(train_mode: bool) -> bool:
    """Switch training mode on or off in this thread; returns what it was."""
    before, STATE.training = STATE.training, bool(train_mode)
    return before


def is_recording() -> bool:
    """Whether imperative operators are recorded."""
    return STATE.recording


def is_training() -> bool:
    """Whether imperative operators run in training mode."""
    return STATE.training


class _Scope:
    """Sets recording and training mode inside a ``with`` (None leaves one as it is)."""

    def __init__(self, recording: bool | None, training: bool | None):
        self._recording, self._training = recording, training
        self._before: list[tuple[bool, bool]] = []

    def __enter__(self) -> None:
        self._before.append((STATE.recording, STATE.training))
        if self._recording is not None:
            STATE.recording = self._recording
        if self._training is not None:
            STATE.training = self._training

    def __exit__(self, ptype: Any, value: Any, trace: Any) -> None:
        STATE.recording, STATE.training = self._before.pop()


def record(train_mode: bool = True) -> _Scope:
    """A scope whose operators are recorded for ``backward``, in training mode by default."""
    return _Scope(True, train_mode)


def pause(train_mode: bool = False) -> _Scope:
    """A scope whose operators are not recorded."""
    return _Scope(False, train_mode)


def train_mode() -> _Scope:
    """A scope in training mode; recording stays as it is."""
    return _Scope(None, True)


def predict_mode() -> _Scope:
    """A scope in inference mode; recording stays as it is."""
    return _Scope(None, False)


def mark_variables(variables: Any, gradients: Any, grad_reqs: Any = "write") -> None:
    """Make arrays leaves of the recording, with the arrays their gradients go into."""
    if isinstance(variables, NDArray):
        variables, gradients = [variables], [gradients]
    if isinstance(grad_reqs, str):
        grad_reqs = [grad_reqs] * len(variables)
    for variable, gradient, request in zip(variables, gradients, grad_reqs):
        _mark(variable, gradient, request)


def _heads(heads: Any, head_grads: Any, recorded: bool = False) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """The tensors of the recording and the gradients that enter there, as parts of the recording if ``recorded``."""
    heads = [heads] if isinstance(heads, NDArray) else list(heads)
    if head_grads is None:
        head_grads = [None] * len(heads)
    head_grads = [head_grads] if isinstance(head_grads, NDArray) else list(head_grads)
    if len(head_grads) != len(heads):
        raise ValueError(f"Heads and head_grads must have the same length: {len(heads)} and {len(head_grads)}")
    tensors, given = [], []
    for index, (head, gradient) in enumerate(zip(heads, head_grads)):
        if head._tape is None:
            raise MXNetError(
                f"Cannot differentiate node because it is not in a computational graph (head {index}). You need to set "
                "is_recording to true or use autograd.record() to save computational graphs for backward. If you want to "
                "differentiate the same graph twice, you need to pass retain_graph=True to backward."
            )
        tensors.append(head._tape)
        like = head._like
        given.append(
            torch.ones(like.shape, dtype=head._tape.dtype, device=like.device)
            if gradient is None
            else _fitted(_tensor(gradient, recorded), like, index).to(head._tape.dtype)
        )
    return tensors, given


def _tensor(gradient: NDArray, recorded: bool) -> torch.Tensor:
    return gradient._tape if recorded and gradient._tape is not None else gradient._data


def _fitted(gradient: torch.Tensor, like: torch.Tensor, index: int) -> torch.Tensor:
    """The head gradient in the head's shape. Compat: of a larger one the first elements count, as in memory."""
    if gradient.shape == like.shape:
        return gradient
    if gradient.numel() < like.numel():
        raise MXNetError(
            f"backward: head gradient {index} has shape {tuple(gradient.shape)}, expected {tuple(like.shape)}"
        )
    return gradient.reshape(-1)[: like.numel()].reshape(like.shape)


def _leaves(tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """The attached arrays' tensors that the given ones depend on."""
    found = {id(tensor): tensor for tensor in tensors if tensor.grad_fn is None}
    for function in _functions(tensors):
        variable = getattr(function, "variable", None)
        if variable is not None:
            found[id(variable)] = variable
    return [leaf for leaf in found.values() if hasattr(leaf, "mx_leaf")]


def _functions(tensors: Sequence[torch.Tensor]) -> Iterator[Any]:
    """Every step of the recording that the tensors depend on, the last first."""
    seen: set[Any] = set()
    stack = [tensor.grad_fn for tensor in tensors if tensor.grad_fn is not None]
    while stack:
        function = stack.pop()
        if function in seen:
            continue
        seen.add(function)
        yield function
        stack += [following for following, _ in function.next_functions if following is not None]


def _check_mode(tensors: Sequence[torch.Tensor], train_mode: bool) -> None:
    if not train_mode and any(map(is_training_statistics, _functions(tensors))):
        raise MXNetError(
            "backward(train_mode=False): a BatchNorm was recorded in training mode, and its gradient is that of the "
            "batch's statistics; record with train_mode=False for that of the moving averages"
        )


def backward(heads: Any, head_grads: Any = None, retain_graph: bool = False, train_mode: bool = True) -> None:
    """Gradients of the heads with respect to everything attached, written by each one's ``grad_req``.

    ``MXNetError`` for a head that was not recorded, or whose graph an earlier backward freed.

    Gradients are those of what was recorded. ``train_mode`` matters to BatchNorm alone: False for one that was recorded
    in training mode raises ``MXNetError`` (the original differentiates another function then, one with the moving
    averages), and the default is no matter for one recorded in inference mode.
    """
    tensors, given = _heads(heads, head_grads)
    _check_mode(tensors, train_mode)
    leaves = _leaves(tensors)
    if leaves:
        gradients = _differentiate(tensors, leaves, given, retain_graph, create_graph=False)
        for leaf, gradient in zip(leaves, gradients):
            _store(leaf.mx_leaf, gradient)  # type: ignore[attr-defined]
            leaf.mx_fresh = True  # type: ignore[attr-defined]
    if not retain_graph:
        for head in [heads] if isinstance(heads, NDArray) else heads:
            if head._grad_req is None:
                head._tape = None


def _store(array: NDArray, gradient: torch.Tensor | None) -> None:
    target = array._grad
    if target is None or gradient is None:
        return
    store_gradient(target, gradient.detach(), array._grad_req == "add")


def _differentiate(
    tensors: list[torch.Tensor], leaves: list[torch.Tensor], given: list[torch.Tensor], retain: bool, create_graph: bool
) -> Sequence[torch.Tensor | None]:
    try:
        return torch.autograd.grad(
            tensors, leaves, given, retain_graph=retain, create_graph=create_graph, allow_unused=True
        )
    except RuntimeError as error:
        if is_callback_error(error):
            raise
        if "second time" in str(error):
            raise MXNetError(
                "Cannot differentiate node because it is not in a computational graph. If you want to differentiate the "
                "same graph twice, you need to pass retain_graph=True to backward."
            ) from error
        raise MXNetError(f"backward: {error}") from error


def grad(
    heads: Any,
    variables: Any,
    head_grads: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    train_mode: bool = True,
) -> list[NDArray]:
    """The gradients of the heads with respect to ``variables`` as a list of new arrays (recorded with ``create_graph``).

    Compat: a list also for a single array.
    """
    tensors, given = _heads(heads, head_grads, recorded=create_graph)
    _check_mode(tensors, train_mode)
    variables = [variables] if isinstance(variables, NDArray) else list(variables)
    if not variables:
        raise ValueError("variables cannot be an empty list.")
    leaves = []
    for index, variable in enumerate(variables):
        if variable._tape is None:
            raise MXNetError(f"grad: variable {index} is not part of the recorded computation")
        leaves.append(variable._tape)
    retain = create_graph if retain_graph is None else retain_graph
    gradients = _differentiate(tensors, leaves, given, retain, create_graph)
    final = _without_second_derivative(tensors) if create_graph else ""
    results = []
    for variable, leaf, gradient in zip(variables, leaves, gradients):
        if gradient is None:
            raise MXNetError("grad: a variable is not connected to the heads")
        result = gradient_array(gradient.detach().to(variable._like.dtype), variable.context)
        if create_graph:
            with torch.enable_grad():
                if final:
                    result._tape = _Final.apply(gradient, final, leaf)
                else:
                    result._tape = gradient if gradient.requires_grad else _Constant.apply(gradient, leaf)
        results.append(result)
    return results


def _without_second_derivative(tensors: Sequence[torch.Tensor]) -> str:
    """A part of the computation whose gradient is no function that could be differentiated; empty if there is none.

    Such classes say ``first_order_only``: their gradients are not the derivatives of what they return, or come from code
    that is not recorded.
    """
    for function in _functions(tensors):
        made_by: Any = getattr(function, "_forward_cls", None)
        if getattr(made_by, "first_order_only", False):
            return made_by.__name__.strip("_")
    return ""


class _Final(torch.autograd.Function):
    """A gradient that cannot be differentiated: trying to raises."""

    @staticmethod
    def forward(ctx: Any, gradient: torch.Tensor, what: str, variable: torch.Tensor) -> torch.Tensor:
        ctx.what = what
        return gradient.view_as(gradient)

    @staticmethod
    def backward(ctx: Any, *heads: Any) -> Any:
        raise MXNetError(f"the gradient of {ctx.what} is non-differentiable: there is no second derivative")


class _Constant(torch.autograd.Function):
    """A gradient that does not change with the variable, as part of the computation: its gradient is 0."""

    @staticmethod
    def forward(ctx: Any, gradient: torch.Tensor, variable: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(variable)
        return gradient.view_as(gradient)

    @staticmethod
    def backward(ctx: Any, *heads: Any) -> Any:
        (variable,) = ctx.saved_tensors
        return None, torch.zeros_like(variable)


def get_symbol(x: NDArray) -> Symbol:
    """The recorded computation of an array as a Symbol.

    Attached arrays are its variables ``var0``, ``var1``..., all other inputs ``null0``...; operators are ``node_0``...,
    numbered anew in every call. ``MXNetError`` when the array is not recorded, and where something other than an operator
    made a value (a ``Function``, indexing with arrays or steps, the gradients of ``grad``).
    """
    if not isinstance(x, NDArray):
        raise AssertionError(f"get_symbol: Invalid argument type, expecting {NDArray}, got {type(x)}")
    if x._tape is None:
        raise MXNetError("get_symbol: NDArray is not part of a computation graph. Did you forget to turn on recording?")
    head, index = origin(x)
    nodes: dict[Step, Node] = {}
    counts = {"var": 0, "null": 0, "node_": 0}
    stack = [head]
    while stack:
        missing = [source for source, _ in stack[-1].inputs if source not in nodes]
        if missing:
            stack.append(missing[0])
            continue
        step = stack.pop()
        if step not in nodes:
            nodes[step] = _symbol_node(step, nodes, counts)
    return Symbol([(nodes[head], index)])


def _symbol_node(step: Step, nodes: dict[Step, Node], counts: dict[str, int]) -> Node:
    if step.opaque:
        raise MXNetError("get_symbol: the array depends on a value that no operator made (a Function, indexing, grad)")
    kind = "node_" if step.op is not None else "var" if step.is_attached else "null"
    name = f"{kind}{counts[kind]}"
    counts[kind] += 1
    if step.op is None:
        return Node(None, name, {})
    inputs = [(nodes[source], index) for source, index in step.inputs]
    return make_node(step.op, step.op.name.lower(), inputs, {}, step.given, name)


class Function:
    """A function with a gradient of its own: subclasses define ``forward(*arrays)`` and ``backward(*output_grads)``."""

    def __init__(self) -> None:
        self._used = False
        self.saved_tensors: tuple = ()

    def save_for_backward(self, *args: Any) -> None:
        """Keep arrays for ``backward`` as ``saved_tensors``."""
        self.saved_tensors = args

    def forward(self, *inputs: Any) -> Any:
        """The outputs; operators in it are not recorded."""
        raise TypeError(f"{type(self).__name__} must define forward")

    def backward(self, *output_grads: Any) -> Any:
        """The gradients of the inputs."""
        raise TypeError(f"{type(self).__name__} must define backward")

    def __call__(self, *inputs: NDArray) -> Any:
        if self._used:
            raise MXNetError("Each Function instance can only be called once. Please create another instance.")
        self._used = True
        recording = STATE.recording
        with pause(train_mode=STATE.training):
            outputs = self.forward(*inputs)
        single = isinstance(outputs, NDArray)
        results = [outputs] if single else list(outputs)
        if recording and any(x._tape is not None for x in inputs):
            tapes = [x._tape if x._tape is not None else x._data for x in inputs]
            action = _make_action(self, [x.context for x in inputs])
            with torch.enable_grad():
                taped = _CustomGradient.apply(action, len(results), *[x._data for x in results], *tapes)
            results = [_wrap(x._data, x.context) for x in results]
            for result, tape in zip(results, taped if isinstance(taped, tuple) else (taped,)):
                result._tape = tape
        return results[0] if single else results


def _make_action(function: Function, contexts: Sequence[Any]) -> Callable:
    def action(gradients: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        with torch.no_grad(), pause(train_mode=STATE.training):
            given = [_wrap(gradient.detach().contiguous(), contexts[0]) for gradient in gradients]
            results = function.backward(*given)
        results = [results] if isinstance(results, NDArray) else list(results)
        if len(results) != len(contexts):
            raise MXNetError(
                f"{type(function).__name__}.backward: expected {len(contexts)} gradients, one an input, got {len(results)}"
            )
        return [result._data for result in results]

    return action


class _CustomGradient(torch.autograd.Function):
    """Passes values on; the gradient is what ``action(head gradients)`` returns."""

    first_order_only = True

    @staticmethod
    def forward(ctx: Any, action: Callable, count: int, *tensors: torch.Tensor) -> tuple:
        ctx.action, ctx.count = action, count
        return tuple(value.view_as(value) for value in tensors[:count])

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple:
        return (None, None, *[None] * ctx.count, *ctx.action(gradients))
