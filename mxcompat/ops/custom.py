"""The operators whose forward and backward are Python callbacks: ``Custom``, and ``_Native`` and ``_NDArray`` of old.

This module has their schema and their place in torch's graph; ``mxcompat.operator``, which knows arrays and the user's
classes, installs the factory of their properties.
"""

import functools
import importlib
import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import torch

from mxcompat.base import MXNetError
from mxcompat.context import Context, current_context, torch_device
from mxcompat.ops.dtypes import unify
from mxcompat.ops.registry import register
from mxcompat.ops.schema import Bool, Params, Str, TrainMode
from mxcompat.ops.shape import is_known, merge

Tensors = Sequence[torch.Tensor]


class Operation(Protocol):
    """The user's instance behind one bound node or one imperative call. Its callbacks write into the tensors given."""

    def forward(self, is_train: bool, inputs: Tensors, outputs: Tensors, aux: Tensors) -> None:
        """Compute ``outputs``."""

    def backward(
        self,
        wanted: Sequence[bool],
        heads: Tensors,
        inputs: Tensors,
        outputs: Tensors,
        gradients: Tensors,
        aux: Tensors,
    ) -> None:
        """Compute those ``gradients`` (of the inputs) that are wanted."""


class Property(Protocol):
    """What the user's property says of one node."""

    name: str
    arguments: tuple[str, ...]
    outputs: tuple[str, ...]
    aux: tuple[str, ...]
    needs_heads: bool

    def infer_shape(self, shapes: list[list[int]]) -> tuple[list, list, list]:
        """Shapes of arguments, outputs and auxiliary states; an unknown size is -1, an unknown shape is empty."""

    def infer_type(self, types: list) -> tuple[list, list, list]:
        """Types of arguments, outputs and auxiliary states; unknown ones are None."""

    def create(self, context: Context, shapes: list[list[int]], types: list[torch.dtype]) -> Operation:
        """The instance for inputs (auxiliary states included) of these shapes and types."""


class _NodeParams(Params):
    """The parameters of one node or call, and the property made of them."""

    __slots__ = ("property",)
    property: Property


_OPERATOR_LAYER = "mxcompat.operator"
_make_property: Callable[[str, dict[str, Any]], Property] | None = None


def install_properties(factory: Callable[[str, dict[str, Any]], Property]) -> None:
    """The registration point of ``mxcompat.operator``: ``factory(operator name, parameters)``."""
    global _make_property
    _make_property = factory


def _prepare(name: str, params: Params) -> Params:
    if _make_property is None:
        importlib.import_module(_OPERATOR_LAYER)  # it installs itself
    assert _make_property is not None
    prepared = _NodeParams(params)
    prepared.property = _make_property(name, dict(params))
    return prepared


def _shape_rule(params: Any, ins: list, outs: list) -> tuple[list, list]:
    prop = params.property
    arguments = ins[: len(prop.arguments)]
    try:
        groups = prop.infer_shape([list(shape or ()) for shape in arguments])
        found = [[tuple(map(operator.index, shape)) or None for shape in group] for group in groups]
        _check_counts(prop, found, "shapes")
    except Exception as error:
        if all(map(is_known, arguments)):
            raise MXNetError(f"infer_shape of {prop.name}: {type(error).__name__}: {error}") from error
        return ins, outs  # it may need what is still unknown
    names = (*prop.arguments, *prop.aux)
    shapes = [merge(have, new, f"input {name}") for name, have, new in zip(names, ins, found[0] + found[2])]
    return shapes, [merge(have, new, f"output {name}") for name, have, new in zip(prop.outputs, outs, found[1])]


def _type_rule(params: Any, ins: list, outs: list) -> tuple[list, list]:
    prop = params.property
    arguments = ins[: len(prop.arguments)]
    try:
        found = prop.infer_type(list(arguments))
        _check_counts(prop, found, "types")
    except Exception as error:
        if None not in arguments:
            raise MXNetError(f"infer_type of {prop.name}: {type(error).__name__}: {error}") from error
        return ins, outs
    types = [unify([have, new]) for have, new in zip(ins, [*found[0], *found[2]])]
    return types, [unify([have, new], "output") for have, new in zip(outs, found[1])]


def _check_counts(prop: Property, found: Sequence[list], what: str) -> None:
    for group, names, kind in zip(found, (prop.arguments, prop.outputs, prop.aux), ("argument", "output", "auxiliary")):
        if len(group) != len(names):
            raise ValueError(f"expected {len(names)} {kind} {what} ({', '.join(names)}), got {len(group)}")


class _Plan(NamedTuple):
    """What a run needs to know: how many tensors are arguments, and what to allocate for the outputs."""

    arguments: int
    shapes: Sequence[tuple[int, ...]]
    types: Sequence[torch.dtype]
    device: torch.device


class _Callbacks(torch.autograd.Function):
    """One run of an operation; its tensors are arguments, then auxiliary states.

    The callbacks see the memory of the graph itself: what they write into inputs and auxiliary states stays there.
    """

    first_order_only = True

    @staticmethod
    def forward(ctx, operation, is_train, plan, *tensors):
        ctx.operation = operation
        ctx.inputs = tuple(t.data for t in tensors[: plan.arguments])
        ctx.aux = tuple(t.data for t in tensors[plan.arguments :])
        results = tuple(torch.zeros(s, dtype=t, device=plan.device) for s, t in zip(plan.shapes, plan.types))
        ctx.outputs = tuple(t.data for t in results)
        operation.forward(is_train, ctx.inputs, ctx.outputs, ctx.aux)
        return results

    @staticmethod
    def backward(ctx, *heads):
        wanted = ctx.needs_input_grad[3 : 3 + len(ctx.inputs)]
        gradients = [torch.zeros_like(t) for t in ctx.inputs]
        heads = tuple(head.detach().contiguous() for head in heads)
        with torch.no_grad():
            ctx.operation.backward(wanted, heads, ctx.inputs, ctx.outputs, gradients, ctx.aux)
        return None, None, None, *(g if want else None for g, want in zip(gradients, wanted)), *[None] * len(ctx.aux)


def _instantiate(
    params: Any, context: Context, ins: Sequence, in_types: Sequence, outs: Any, out_types: Any
) -> Callable:
    """What one bound node or one imperative call runs: the user's instance is made here, once."""
    operation = params.property.create(context, [list(shape) for shape in ins], list(in_types))
    plan = _Plan(len(params.property.arguments), outs, out_types, torch_device(context))

    def run_custom(*tensors: torch.Tensor, is_train: bool = False) -> Any:
        results = _Callbacks.apply(operation, is_train, plan, *tensors)
        return results[0] if len(results) == 1 else results

    return run_custom


def _call(name: str, tensors: Tensors, params: dict[str, Any], is_train: bool) -> Any:
    """One run outside any node, with a property and an instance of its own."""
    prepared: Any = _prepare(name, Params(params))
    blank = [None] * len(prepared.property.outputs)
    ins, outs = _shape_rule(prepared, [tuple(t.shape) for t in tensors], blank)
    in_types, out_types = _type_rule(prepared, [t.dtype for t in tensors], blank)
    return _instantiate(prepared, current_context(), ins, in_types, outs, out_types)(*tensors, is_train=is_train)


def _register(name: str, **options: Any) -> Callable[[Callable], Callable]:
    return register(
        name,
        infer_shape=_shape_rule,
        infer_type=_type_rule,
        variadic="",
        counts_itself=False,
        prepare=functools.partial(_prepare, name),
        active=lambda params: params.property.arguments + params.property.aux,
        aux=lambda params: params.property.aux,
        outputs=lambda params: len(params.property.outputs),
        output_names=lambda params: params.property.outputs,
        loss=lambda params: not params.property.needs_heads,
        instantiate=_instantiate,
        traceable=False,
        **options,
    )


@_register("Custom", open_params=True)
def custom(*data, op_type: Str = "", is_train: TrainMode = False, **given):
    """The operator that ``mx.operator.register(op_type)`` registered.

    All other keywords reach its property as text. Inputs, outputs and auxiliary states are those the property lists.
    """
    return _call("Custom", data, {"op_type": op_type, **given}, is_train)


@_register("_Native")
def native(*data, info: Str, need_top_grad: Bool = True, is_train: TrainMode = False):
    """The symbol of an ``mx.operator.NumpyOp``; ``info`` names the object."""
    return _call("_Native", data, {"info": info, "need_top_grad": need_top_grad}, is_train)


@_register("_NDArray")
def ndarray(*data, info: Str, is_train: TrainMode = False):
    """The symbol of an ``mx.operator.NDArrayOp``; ``info`` names the object."""
    return _call("_NDArray", data, {"info": info}, is_train)
