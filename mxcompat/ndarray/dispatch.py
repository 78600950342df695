"""Running one operator on NDArray handles: parameters, checks, the call, the tape, and where results are written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from mxcompat.base import MXNetError, OutOfBounds, is_callback_error
from mxcompat.context import Context, current_context, torch_device
from mxcompat.ndarray.history import note
from mxcompat.ops.dtypes import NAME_BY_TORCH, TORCH_BY_NAME
from mxcompat.ops.mixed import ALWAYS, Sparse, densify
from mxcompat.ops.schema import Operator, Params
from mxcompat.ops.shape import is_known
from mxcompat.scope import STATE, WATCH

_new_handle: Callable[[torch.Tensor, Context], Any]


def install_handle(factory: Callable[[torch.Tensor, Context], Any]) -> None:
    """The registration point of the NDArray class: ``factory(tensor, context)`` makes a handle."""
    global _new_handle
    _new_handle = factory


_invoke_mixed: Callable[..., Any]


def install_mixed(function: Callable[..., Any]) -> None:
    """The registration point of calls with sparse arrays: ``function(op, params, inputs, out, context)``.

    It returns None where the call runs on dense copies.
    """
    global _invoke_mixed
    _invoke_mixed = function


_invoke_integers: Callable[..., Any]


def install_integers(function: Callable[..., Any]) -> None:
    """The registration point of recorded calls with integers: ``function(op, params, given, inputs, out, context)``."""
    global _invoke_integers
    _invoke_integers = function


def parse_context(text: Any) -> Context:
    """A Context, ``'cpu(1)'``, ``'gpu'`` or nothing (the current context)."""
    if isinstance(text, Context):
        return text
    if not text:
        return current_context()
    kind, _, number = str(text).partition("(")
    return Context(kind.strip(), int(number.rstrip(") ") or 0) if number else 0)


def invoke(op: Operator, inputs: Sequence[Any], given: dict[str, Any], out: Any = None) -> Any:
    """Run ``op`` on handles; ``given`` are the parameters as the caller spelled them.

    Returns one handle, or a list where several outputs are visible (``out`` itself when given). Raises ``MXNetError``
    for wrong parameters, shapes, types, devices and values, naming the operator.
    """
    context = _context(op, inputs, given)
    params = op.parse(given)
    names, count, visible_count, mutated = op.arity(params)
    if len(inputs) != len(names):
        raise MXNetError(
            f"Operator {op.name} expects {len(names)} inputs ({', '.join(names)}), but got {len(inputs)} instead"
        )
    if op.name in ALWAYS or _any_sparse(inputs, out):
        done = _invoke_mixed(op, params, inputs, out, context)
        if done is not None:
            return done
    tensors = [x._data for x in inputs]
    device = torch_device(context) if op.takes_device else None
    is_train = STATE.training
    instance = None
    if op.instantiate is None:
        _validate(op, params, tensors)
    else:
        instance = _instance(op, params, tensors, context)
    recorded = STATE.recording and any(x._tape is not None for x in inputs)
    if recorded and _through_integers(op, params, inputs):
        return _invoke_integers(op, params, given, inputs, out, context)
    taped = [t if x._tape is None else _taped(x) for t, x in zip(tensors, inputs)] if recorded else tensors
    graded = recorded and op.differentiable and not op.stops_gradient
    if graded:
        tensors = taped
    results = run(op, params, tensors, is_train, device, grad=graded, instance=instance)
    values = results[:count]
    if mutated:
        _write_mutated(mutated, names, inputs, results[count:])
    if op.forward_writes is not None:  # imperatively the original writes these in every call
        for name, number in op.forward_writes(params).items():
            target = inputs[names.index(name)]
            target._write(torch.full_like(target._like, number))
    if recorded and is_train and op.commit is not None and len(results) > count + len(mutated):
        values = _commit_in_backward(op, params, inputs, names, values, results[count + len(mutated) :])
    if op.may_view:
        values = [_unshare(value, tensors) for value in values]
    visible = values[:visible_count]
    if recorded:
        visible = [_recorded(value, taped) for value in _guarded(op, visible, names, taped)]
        note(op, given, inputs, visible)
    if out is not None:
        return _write_out(op, visible, out, recorded)
    handles = [_handle(value, context, recorded) for value in visible]
    return handles[0] if len(handles) == 1 else handles


def _any_sparse(inputs: Sequence[Any], out: Any) -> bool:
    for x in inputs:
        if x._storage is not None:
            return True
    if out is None:
        return False
    return any(x._storage is not None for x in (out if isinstance(out, (list, tuple)) else (out,)))


def _through_integers(op: Operator, params: Params, inputs: Sequence[Any]) -> bool:
    """Whether a gradient may go through integers: recorded ones among the inputs, or a cast to them."""
    if op.instantiate is not None or op.commit is not None or op.random or op.mutated_names(params):
        return False
    if op.name == "Cast" and not TORCH_BY_NAME[params.dtype].is_floating_point:
        return inputs[0]._storage is None
    return any(x._tape is not None and x._storage is None and not x._data.is_floating_point() for x in inputs)


def _taped(x: Any) -> torch.Tensor:
    """The array's place in the recording, as a tensor with its elements."""
    if x._storage is None:
        return x._tape if x._data.is_floating_point() else x._data
    with torch.enable_grad():
        return densify(Sparse(x._storage, x._tape))


def run(
    op: Operator,
    params: Params,
    tensors: Sequence[torch.Tensor],
    is_train: bool,
    device: Any,
    *,
    grad: bool,
    instance: Callable | None = None,
) -> list:
    """Call the operator's function, or its instance, eagerly and with its value checks.

    torch's own failures become ``MXNetError``; what a user's callback raises passes.
    """
    try:
        if op.check is not None and all(t.device.type == "cpu" for t in tensors):
            op.check(params, *tensors)
        shape = _created_shape(op, params) if op.takes_shape else None
        kwargs = op.call_arguments(params if instance is None else Params(), is_train, device, shape)
        function = instance or op.fn
        if WATCH.imperative is not None:
            with torch.set_grad_enabled(grad):
                result = WATCH.imperative(op.name, function, tensors, kwargs)
        elif grad:
            with torch.enable_grad():
                result = function(*tensors, **kwargs)
        else:  # nothing here requires a gradient, so nothing is taped
            result = function(*tensors, **kwargs)
    except (RuntimeError, IndexError, ValueError, TypeError) as error:
        if is_callback_error(error):
            raise
        raise failure(op, tensors, error) from (None if isinstance(error, MXNetError) else error)
    return list(result) if isinstance(result, (tuple, list)) else [result]


def failure(op: Operator, tensors: Sequence[torch.Tensor], error: Exception) -> MXNetError:
    """What to raise for a failure in an operator."""
    if isinstance(error, MXNetError):
        return MXNetError(f"{op.name}: {error}")
    kind = OutOfBounds if isinstance(error, IndexError) else MXNetError
    return kind(f"{op.name}({_describe(tensors)}): {error}")


def _created_shape(op: Operator, params: Params) -> tuple:
    """The shape a creating operator's parameters give; imperatively there is nothing that could complete it."""
    shape = op.infer_shape(params, [], [None])[1][0]
    if not is_known(shape):
        raise MXNetError(
            f"Operator {op.name} inferring shapes failed: the parameters {dict(params)} leave {shape} open"
        )
    return shape


def _context(op: Operator, inputs: Sequence[Any], given: dict[str, Any]) -> Context:
    if not inputs:
        return parse_context(given.pop("ctx", None))
    context = inputs[0]._ctx
    if len(inputs) > 1:
        for index, other in enumerate(inputs[1:], 1):
            if other._ctx is not context and torch_device(other._ctx) != torch_device(context):
                raise MXNetError(
                    f"{op.name}: input {index} is on {other._ctx}, expected {context} like the first input"
                )
    return context


def _validate(op: Operator, params: Params, tensors: Sequence[torch.Tensor]) -> None:
    """Run the operator's rules on shapes and types; what passed once is remembered."""
    key = (id(params), *[(t.shape, t.dtype) for t in tensors])
    if op.accepted.get(key) is params:
        return
    outputs = [None] * op.num_outputs(params)
    op.infer_shape(params, [tuple(t.shape) for t in tensors], outputs)
    op.infer_type(params, [t.dtype for t in tensors], outputs)
    if len(op.accepted) < 1024:
        op.accepted[key] = params


def _instance(op: Operator, params: Params, tensors: Sequence[torch.Tensor], context: Context) -> Callable:
    """What this one call of an operator with state of its own runs."""
    assert op.instantiate is not None
    blank = [None] * op.num_outputs(params)
    ins, outs = op.infer_shape(params, [tuple(t.shape) for t in tensors], blank)
    in_types, out_types = op.infer_type(params, [t.dtype for t in tensors], blank)
    if not all(map(is_known, outs)) or None in out_types:
        raise MXNetError(f"Operator {op.name}: the shapes {outs} and types {out_types} of the outputs are not known")
    return op.instantiate(params, context, ins, in_types, outs, out_types)


def _describe(tensors: Sequence[torch.Tensor]) -> str:
    return ", ".join(f"{tuple(t.shape)} {NAME_BY_TORCH.get(t.dtype, t.dtype)}" for t in tensors)


def _handle(value: torch.Tensor, context: Context, recorded: bool) -> Any:
    if not value.is_contiguous():
        value = value.contiguous()
    handle = _new_handle(value.detach() if recorded else value, context)
    if recorded and value.requires_grad:
        handle._tape = value
    return handle


def _unshare(value: torch.Tensor, tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    """A copy where the value still shares memory with an input (or shows one element several times)."""
    where = value.untyped_storage().data_ptr()
    if any(t.untyped_storage().data_ptr() == where for t in tensors) or not value.is_contiguous():
        return value.clone(memory_format=torch.contiguous_format)
    return value


def _write_mutated(
    mutated: Sequence[str], names: Sequence[str], inputs: Sequence[Any], values: Sequence[torch.Tensor]
) -> None:
    for name, value in zip(mutated, values):
        for target, input_name in zip(inputs, names):
            if input_name == name:
                target._write(value)


def _write_out(op: Operator, values: Sequence[torch.Tensor], out: Any, recorded: bool) -> Any:
    targets = out if isinstance(out, (list, tuple)) else [out]
    if len(targets) > len(values):
        raise MXNetError(f"{op.name}: out= has {len(targets)} arrays, expected {len(values)}")
    for index, (target, value) in enumerate(zip(targets, values)):
        if target._tape is not None and STATE.recording:
            raise MXNetError(
                f"{op.name}: Assigning to NDArrays that are already in a computational graph will cause undefined "
                "behavior when evaluating gradients. Please call backward first to clear the graph or do this out side "
                "of a record section."
            )
        check_target(op, index, target, value)
        with torch.no_grad():
            target._write(value)
        target._tape = value if recorded and value.requires_grad else None
    return out


def check_target(op: Operator, index: int, target: Any, value: torch.Tensor) -> None:
    """``MXNetError`` for an array given as ``out`` that has another shape or type than the value."""
    like = target._like
    if like.shape != value.shape or like.dtype is not value.dtype:
        raise MXNetError(
            f"{op.name}: Incompatible attr in node at {index}-th output: expected {_describe([value])}, "
            f"got {_describe([like])}"
        )


class _ZeroGradient(torch.autograd.Function):
    """A value that was computed from the inputs but passes them no gradient other than zero."""

    @staticmethod
    def forward(ctx: Any, value: torch.Tensor, *inputs: torch.Tensor) -> torch.Tensor:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*inputs)
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple:
        return None, *(torch.zeros_like(x) for x in ctx.saved_tensors)


def _recorded(value: torch.Tensor, tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    """The value with a place in the recording, where every result of a recorded call has one."""
    if value.requires_grad or not value.is_floating_point():
        return value
    inputs = [t for t in tensors if t.requires_grad]
    with torch.enable_grad():
        return _ZeroGradient.apply(value, *inputs)


class _Refusal(torch.autograd.Function):
    """A zero that stands for an input of which no gradient can be asked; asking raises."""

    @staticmethod
    def forward(ctx: Any, tensor: torch.Tensor, what: str, source: Any) -> torch.Tensor:
        ctx.what, ctx.shape, ctx.source = what, tensor.shape, source
        return tensor.new_zeros(())

    @staticmethod
    def backward(ctx: Any, asked: torch.Tensor) -> tuple:
        if bool(asked) and (ctx.source is None or _reaches_leaf(ctx.source)):
            raise MXNetError(f"{ctx.what}; put BlockGrad in between")
        return asked.new_zeros(()).expand(ctx.shape), None, None


def _reaches_leaf(function: Any) -> bool:
    """Whether a gradient that enters there arrives at an attached array, and not only at operators that stop it."""
    seen, stack = set(), [function]
    while stack:
        function = stack.pop()
        if function is None or function in seen or isinstance(function, _ZeroGradient._backward_cls):
            continue
        if hasattr(function, "variable"):
            return True
        seen.add(function)
        stack += [following for following, _ in function.next_functions]
    return False


class _Tie(torch.autograd.Function):
    """The value; its head gradient goes on, and, unless it is zero, a 1 to each of the refusals."""

    @staticmethod
    def forward(ctx: Any, value: torch.Tensor, *refusals: torch.Tensor) -> torch.Tensor:
        ctx.types = [refusal.dtype for refusal in refusals]
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, head: torch.Tensor) -> tuple:
        asked = (head != 0).any()
        return head, *(asked.to(dtype) for dtype in ctx.types)


def _guarded(op: Operator, values: list, names: Sequence[str], tensors: Sequence[torch.Tensor]) -> list:
    """The values of a recorded call, such that backward refuses the gradients that the operator does not have."""
    if op.differentiable and not op.no_gradient:
        return values
    refusals = []
    with torch.enable_grad():
        for name, tensor in zip(names, tensors):
            if not tensor.requires_grad:
                continue
            if not op.differentiable:  # raises whatever lies before it
                refusals.append(_Refusal.apply(tensor, f"Operator {op.name} is non-differentiable", None))
            elif name in op.no_gradient:
                source = torch.autograd.graph.get_gradient_edge(tensor).node
                refusals.append(_Refusal.apply(tensor, f"{op.name}: no gradient can be asked for input {name}", source))
        if not refusals:
            return values
        return [_Tie.apply(value, *refusals) if value.is_floating_point() else value for value in values]


class _Commit(torch.autograd.Function):
    """Identity; backward runs ``action`` once (MXNet moves auxiliary states in backward, not in forward)."""

    @staticmethod
    def forward(ctx: Any, value: torch.Tensor, action: Callable[[], None]) -> torch.Tensor:
        ctx.action = action
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple:
        ctx.action()
        return grads[0], None


def is_training_statistics(function: Any) -> bool:
    """Whether a step of torch's graph belongs to an operator that used the statistics of its batch."""
    return isinstance(function, _Commit._backward_cls)


def _commit_in_backward(
    op: Operator, params: Params, inputs: Sequence[Any], names: Sequence[str], values: list, statistics: list
) -> list:
    targets = [x for x, name in zip(inputs, names) if name in op.aux_names(params)]
    kept = tuple(s.detach() for s in statistics)

    def action() -> None:
        with torch.no_grad():
            new_values = op.commit(params, tuple(t._data for t in targets), kept)  # type: ignore[misc]
            for target, value in zip(targets, new_values):
                target._write(value)

    return [_Commit.apply(values[0], action), *values[1:]]
