"""The operator ``Custom``: a node whose forward and backward are callbacks of the user's Python.

This module knows what such a node needs; ``mxcompat.operator``, which knows arrays, installs the factory that makes it.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch

from mxcompat.base import MXNetError
from mxcompat.ops.dtypes import unify
from mxcompat.ops.registry import register
from mxcompat.ops.schema import Params, Str, TrainMode, attribute_text
from mxcompat.ops.shape import is_known, merge


class Property(Protocol):
    """What the user's property class says, in tensors' terms."""

    arguments: Sequence[str]
    outputs: Sequence[str]
    aux: Sequence[str]
    needs_head: bool

    def infer_shape(self, shapes: list) -> tuple[list, list, list]:
        """Complete the shapes of arguments, outputs and auxiliary states."""

    def infer_type(self, types: list) -> tuple[list, list, list]:
        """Complete the types of arguments, outputs and auxiliary states."""

    def create(self, tensors: Sequence[torch.Tensor]) -> Any:
        """The instance that runs one node."""

    def forward(self, instance: Any, is_train: bool, tensors: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """Run the forward callback."""

    def backward(self, instance: Any, heads: Any, inputs: Any, outputs: Any, wanted: Sequence[bool]) -> list:
        """Run the backward callback: the gradients of the arguments."""


_make_property: Callable[[str, dict[str, str]], Property] | None = None
_properties: dict[tuple, Property] = {}


def install_factory(factory: Callable[[str, dict[str, str]], Property]) -> None:
    """The registration point of ``mxcompat.operator``: ``factory(op_type, keyword texts)``."""
    global _make_property
    _make_property = factory
    _properties.clear()


def forget(op_type: str) -> None:
    """Drop what is kept of a name that is registered anew."""
    for key in [key for key in _properties if key[0] == op_type]:
        del _properties[key]


def _property(params: Params) -> Property:
    """The property of a node; every keyword of the user arrives as text."""
    if not params.op_type:
        raise MXNetError("op_type is missing")
    given = {name: attribute_text(value) for name, value in params.items() if name not in ("op_type", "num_args")}
    key = (params.op_type, tuple(sorted(given.items())))
    if key not in _properties:
        if _make_property is None:
            raise MXNetError(f"op_type {params.op_type!r} is not registered (mx.operator.register)")
        _properties[key] = _make_property(params.op_type, given)
    return _properties[key]


def _shape_rule(params: Params, ins: list, outs: list) -> tuple[list, list]:
    prop = _property(params)
    count = len(prop.arguments)
    if not any(is_known(shape) for shape in ins[:count]):
        return ins, outs
    try:
        arguments, outputs, aux = prop.infer_shape([list(s) if is_known(s) else [] for s in ins[:count]])
    except Exception:
        if all(is_known(shape) for shape in ins[:count]):
            raise
        return ins, outs  # it may need the shapes that are still unknown
    if (len(arguments), len(outputs), len(aux)) != (count, len(outs), len(prop.aux)):
        raise MXNetError(
            f"infer_shape of {params.op_type} gave {len(arguments)} argument, {len(outputs)} output and {len(aux)} auxiliary "
            f"shapes, expected {count}, {len(outs)} and {len(prop.aux)}"
        )
    found = [tuple(shape) or None for shape in (*arguments, *aux)]
    merged = [merge(old, new, f"input {i}") for i, (old, new) in enumerate(zip(ins, found))]
    return merged, [merge(old, tuple(new), f"output {i}") for i, (old, new) in enumerate(zip(outs, outputs))]


def _type_rule(params: Params, ins: list, outs: list) -> tuple[list, list]:
    prop = _property(params)
    count = len(prop.arguments)
    known = unify([t for t in ins[:1] if t is not None])
    if known is None and count:
        return ins, outs
    arguments, outputs, aux = prop.infer_type([t or known for t in ins[:count]])
    return [*arguments, *aux], list(outputs)


class _Callbacks(torch.autograd.Function):
    """Runs the callbacks of one node; inputs are argument tensors, then auxiliary states."""

    @staticmethod
    def forward(ctx, prop, instance, is_train, *tensors):
        ctx.prop, ctx.instance = prop, instance
        plain = tuple(t.detach() for t in tensors)
        outputs = prop.forward(instance, is_train, plain)
        ctx.inputs, ctx.outputs = plain, tuple(t.detach() for t in outputs)
        return outputs

    @staticmethod
    def backward(ctx, *heads):
        wanted = ctx.needs_input_grad[3 : 3 + len(ctx.prop.arguments)]
        gradients = ctx.prop.backward(ctx.instance, heads, ctx.inputs, ctx.outputs, wanted)
        return (None, None, None, *gradients, *[None] * len(ctx.prop.aux))


def instantiate(params: Params, kept: dict) -> Callable:
    """The callable of one node of one executor; ``kept`` holds the user's instance, made at the first call."""

    def custom(*tensors, is_train=False, **_given):
        prop = _property(params)
        if "instance" not in kept:
            kept["instance"] = prop.create(tensors)
        outputs = _Callbacks.apply(prop, kept["instance"], is_train, *tensors)
        return outputs[0] if len(outputs) == 1 else outputs

    return custom


@register(
    "Custom",
    infer_shape=_shape_rule,
    infer_type=_type_rule,
    variadic="num_args",
    counts_itself=False,
    active=lambda params: (*_property(params).arguments, *_property(params).aux),
    aux=lambda params: tuple(_property(params).aux),
    outputs=lambda params: len(_property(params).outputs),
    output_names=lambda params: tuple(_property(params).outputs),
    loss=lambda params: not _property(params).needs_head,
    open_params=True,
    traceable=False,
    instantiate=instantiate,
)
def custom(*data, op_type: Str = "", is_train: TrainMode = False, **given):
    """Runs the operator that ``mx.operator.register(op_type)`` registered; other keywords reach its property as text."""
    params = Params(op_type=op_type, **given)
    return instantiate(params, {})(*data, is_train=is_train)
