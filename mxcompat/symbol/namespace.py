"""Builds ``mx.sym.*`` from the catalogue: one composing function an operator name, where the original has it."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from mxcompat.ops import faces, reference, registry
from mxcompat.ops.schema import Operator
from mxcompat.symbol import functions
from mxcompat.symbol.compose import make_node
from mxcompat.symbol.node import Entry
from mxcompat.symbol.symbol import Symbol


def make_function(op: Operator, name: str, module: str) -> Callable:
    """The composing function of an operator."""
    hint = name.lower()

    def function(*args: Any, name: str | None = None, attr: dict[str, str] | None = None, **kwargs: Any) -> Symbol:
        kwargs.pop("out", None)
        args, behind = faces.split_tail(op, args, faces.SYMBOL_TAIL)
        name, attr = behind.get("name", name), behind.get("attr", attr)
        if isinstance(name, Symbol):  # a second input to an operator of one
            bool(name)
        inputs, named, params = faces.split_arguments(op, args, kwargs)
        named = {key: value for key, value in named.items() if value is not None}
        named |= {key: params.pop(key) for key in list(params) if isinstance(params[key], Symbol)}
        if op.variadic is not None and op.counts_itself:
            params.setdefault(op.variadic, len(inputs) + len(named))
        for position, value in enumerate(inputs):
            if not (isinstance(value, Symbol) or value is None):
                label = op.inputs[min(position, len(op.inputs) - 1)]
                raise AssertionError(f"{op.name}: Argument {label} must be Symbol instances, but got {value}")
        entries: list[Entry | None] = [None if value is None else value._single_entry() for value in inputs]
        named_entries = {key: _symbol(op, key, value)._single_entry() for key, value in named.items()}
        node = make_node(op, hint, entries, named_entries, params, name, attr)
        return Symbol([(node, i) for i in range(node.num_visible())])

    function.__name__ = function.__qualname__ = name
    function.__module__ = module
    function.__doc__ = faces.docstring(op, "Symbol")
    function.__signature__ = faces.signature(op, symbolic=True)  # type: ignore[attr-defined]
    return function


def _symbol(op: Operator, key: str, value: Any) -> Symbol:
    if not isinstance(value, Symbol):
        raise AssertionError(f"{op.name}: Argument {key} must be Symbol instances, but got {value}")
    return value


def fill(modules: dict[str, ModuleType]) -> None:
    """Put every operator's function into its submodule; names a submodule defines itself stay."""
    for op in registry.operators():
        for registered in (op.name, *op.aliases):
            where, name = faces.place(registered)
            if not hasattr(modules[where], name):
                setattr(modules[where], name, make_function(op, name, modules[where].__name__))
                if not name.startswith("_") or where == "_internal":
                    modules[where].__all__.append(name)  # type: ignore[attr-defined]
    for excluded in reference.excluded():
        where, name = faces.place(excluded)
        if not hasattr(modules[where], name):
            setattr(modules[where], name, faces.refusal(excluded))


def attach_methods(op_module: ModuleType) -> None:
    """Give Symbol its methods that are operators."""
    methods = {name: name for name in (*faces.METHODS, "broadcast_like", "broadcast_to", "reshape", "transpose")}
    for name, operator in {**methods, "astype": "cast"}.items():
        function = getattr(functions, name, None) or getattr(op_module, operator, None)
        if function is not None and name not in Symbol.__dict__:
            setattr(Symbol, name, _method(function, name))

    def expand_dims(self: Symbol, axis: int, inplace: bool = False, **kwargs: Any) -> Symbol:
        """The symbol with a new axis of size 1; ``inplace`` has no effect."""
        return op_module.expand_dims(self, axis=axis, **kwargs)

    def squeeze(self: Symbol, axis: Any = None, inplace: bool = False, **kwargs: Any) -> Symbol:
        """The symbol without its axes of size 1, or without the given ones; ``inplace`` has no effect."""
        return op_module.squeeze(self, axis=axis, **kwargs)

    def flatten(self: Symbol, inplace: bool = False, **kwargs: Any) -> Symbol:
        """The symbol as two axes; ``inplace`` has no effect."""
        return op_module.flatten(self, **kwargs)

    def diag(self: Symbol, k: int = 0, **kwargs: Any) -> Symbol:
        """The ``k``-th diagonal, or a matrix with the symbol on it."""
        return op_module.diag(self, k, **kwargs)

    for method in (expand_dims, squeeze, flatten, diag):
        method.__qualname__ = f"Symbol.{method.__name__}"
        setattr(Symbol, method.__name__, method)


def _method(function: Callable, name: str) -> Callable:
    def method(self: Symbol, *args: Any, **kwargs: Any) -> Symbol:
        return function(self, *args, **kwargs)

    method.__name__, method.__qualname__ = name, f"Symbol.{name}"
    method.__doc__ = f"``mx.sym.{name}`` with this symbol as its first input."
    return method
