"""Builds ``mx.nd.*`` from the catalogue: one function an operator name, in the submodule where the original has it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from mxcompat.base import _Null
from mxcompat.ndarray.dispatch import invoke
from mxcompat.ndarray.ndarray import NDArray
from mxcompat.ops import faces, reference, registry
from mxcompat.ops.schema import Operator


def make_function(op: Operator, name: str, module: str) -> Callable:
    """The imperative function of an operator."""

    count = len(op.inputs) if op.variadic is None else -1  # arguments that can only be all the inputs
    all_named = frozenset(op.inputs)

    def function(*args: Any, out: Any = None, name: str | None = None, **kwargs: Any) -> Any:
        if len(args) == count and all_named.isdisjoint(kwargs) and _are_plain(args, kwargs):
            return invoke(op, args, kwargs, out)
        args, behind = faces.split_tail(op, args, faces.ARRAY_TAIL)
        inputs, params = _bind(op, args, kwargs)
        out = behind.get("out", out)
        for position, value in enumerate(inputs):
            if not isinstance(value, NDArray):
                label = op.inputs[min(position, len(op.inputs) - 1)]
                raise AssertionError(f"{op.name}: Argument {label} must have NDArray type, but got {value}")
        return invoke(op, inputs, params, out)

    function.__name__ = function.__qualname__ = name
    function.__module__ = module
    function.__doc__ = faces.docstring(op, "NDArray")
    function.__signature__ = faces.signature(op, symbolic=False)  # type: ignore[attr-defined]
    return function


def _are_plain(arrays: tuple, params: dict[str, Any]) -> bool:
    """Whether these are arrays, none left out, and parameters that are all given."""
    for array in arrays:
        if not isinstance(array, NDArray):
            return False
    for value in params.values():
        if value is _Null:
            return False
    return True


def _bind(op: Operator, args: tuple, kwargs: dict[str, Any]) -> tuple[list, dict[str, Any]]:
    if op.variadic is not None:
        inputs, _, params = faces.split_arguments(op, args, kwargs)
        arrays = [name for name, value in params.items() if isinstance(value, NDArray)]
        named = {name: params.pop(name) for name in arrays}
        if op.counts_itself:
            params.setdefault(op.variadic, len(inputs) + len(named))
        if named:
            names = op.input_names(op.parse(params)) if op.open_params else tuple(named)
            inputs += [named.pop(name) for name in names if name in named] + list(named.values())
        return inputs, params
    inputs, named, params = faces.split_arguments(op, args, kwargs)
    if named:
        position = {name: i for i, name in enumerate(op.inputs)}
        inputs += [None] * (len(op.inputs) - len(inputs))
        for name, value in named.items():
            inputs[position[name]] = value
    return [value for value in inputs if value is not None], params


def fill(modules: dict[str, ModuleType]) -> None:
    """Put every operator's function into its submodule; names a submodule defines itself stay."""
    for op in registry.operators():
        for registered in (op.name, *op.aliases):
            where, name = faces.place(registered)
            if not hasattr(modules[where], name):
                setattr(modules[where], name, make_function(op, name, modules[where].__name__))
                _export(modules[where], name)
    for excluded in reference.excluded():
        where, name = faces.place(excluded)
        if not hasattr(modules[where], name):
            setattr(modules[where], name, faces.refusal(excluded))


def _export(module: ModuleType, name: str) -> None:
    if hasattr(module, "__all__") and (not name.startswith("_") or module.__name__.endswith("_internal")):
        module.__all__.append(name)  # type: ignore[attr-defined]


def attach_methods(op_module: ModuleType) -> None:
    """Give NDArray its methods that are operators."""
    for name in faces.METHODS:
        function = getattr(op_module, name, None) or getattr(sys.modules["mxcompat.ndarray.creation"], name, None)
        if function is not None and name not in NDArray.__dict__:
            setattr(NDArray, name, _method(function, name))


def _method(function: Callable, name: str) -> Callable:
    def method(self: NDArray, *args: Any, **kwargs: Any) -> Any:
        return function(self, *args, **kwargs)

    method.__name__, method.__qualname__ = name, f"NDArray.{name}"
    method.__doc__ = f"``mx.nd.{name}`` with this array as its first input."
    return method
