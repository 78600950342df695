"""What is wrong with one call, as far as its text tells: judged by the schema of operators and by signatures.

Errors, differences and what has no effect are told in the words of the run: the same code raises them there.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mxcompat.base import MXNetError
from mxcompat.check import names
from mxcompat.differences import RANDOM, difference, differs, no_effect
from mxcompat.io.native import misspelt_keyword
from mxcompat.ops import faces
from mxcompat.ops.schema import HIDDEN_KEYS, Operator, Param, unknown_parameter, without_effect

__all__ = ["Call", "Fault", "check_call", "check_node"]

#: (keyword that it is about, or None for the call, code, text)
Fault = tuple[str | None, str, str]


@dataclass(frozen=True)
class Call:
    """A call of ``mx.<path>``; ``...`` stands for a value that only a run knows.

    ``is_open``: a star hides further arguments, whose number and names are unknown.
    """

    path: str
    args: tuple[Any, ...]
    keywords: dict[str, Any]
    is_open: bool = False


def check_call(call: Call) -> list[Fault]:
    """Everything wrong with the arguments of a call."""
    try:
        function = names.resolve(call.path)
    except names.Unknown:
        return []
    op = names.operator_at(call.path)
    if op is not None:
        return list(_operator_faults(op, call))
    if hasattr(function, "parameters"):
        return list(_iterator_faults(function, call))
    return list(_signature_faults(function, call))


# -- operators ----------------------------------------------------------------------------------------------------


def _operator_faults(op: Operator, call: Call) -> Iterator[Fault]:
    tail = faces.SYMBOL_TAIL if names.is_symbolic(call.path) else faces.ARRAY_TAIL
    try:
        args, _ = faces.split_tail(op, call.args, tail)
    except TypeError as error:
        yield None, "MX311", str(error)
        return
    given = {key: value for key, value in call.keywords.items() if not _is_no_parameter(op, key, value, tail)}
    if op.variadic is None:
        given = {**dict(zip(op.params, args[len(op.inputs) :])), **given}
    values, unknown = dict(op.defaults), []
    for key, value in given.items():
        if key not in op.params:
            if not (op.open_params or op.lenient):
                unknown.append(key)
                yield key, "MX311", str(unknown_parameter(op.name, key, op.params))
            continue
        try:
            values[key] = value if value is ... else op.params[key].parse(value, op.name)
        except MXNetError as error:
            values[key] = ...
            yield key, "MX312", str(error)
    if not (call.is_open or unknown):  # the unknown one may be the missing one, misspelt
        yield from _missing(op.name, op.params, {*given, op.variadic or ""})
    for key in without_effect(op.params, given, values):
        yield key, "MX401", no_effect(op.name, [key])
    text = None if op.name in RANDOM else difference(op.name, values, names.is_symbolic(call.path))
    if text:
        yield None, "MX201", differs(op.name, text)


def _is_no_parameter(op: Operator, key: str, value: Any, tail: tuple[str, ...]) -> bool:
    """Whether a keyword is an input, or one of those that every function takes."""
    if key in op.params:
        return False
    hidden = key.startswith("__") or any(key == one or key.endswith("_" + one) for one in HIDDEN_KEYS)
    return key in op.inputs or key in tail or hidden or (op.variadic is not None and value is ...)


def _missing(label: str, params: dict[str, Param], given: set[str]) -> Iterator[Fault]:
    for param in params.values():
        if param.required and param.name not in given:
            yield None, "MX313", str(param.missing(label))


def check_node(op: Operator, attrs: dict[str, str]) -> list[Fault]:
    """What is to be said of a node in a symbol file, whose attributes can be parsed."""
    given = {key: value for key, value in attrs.items() if key in op.params}
    try:
        params = op.parse(given)
    except MXNetError as error:
        return [(None, "MX312", str(error))]
    found: list[Fault] = [(key, "MX401", no_effect(op.name, [key])) for key in without_effect(op.params, given, params)]
    text = None if op.name in RANDOM else difference(op.name, params)
    return [*found, *([(None, "MX201", differs(op.name, text))] if text else [])]


# -- other functions ----------------------------------------------------------------------------------------------


def _iterator_faults(creator: Any, call: Call) -> Iterator[Fault]:
    """The iterators over files, which have typed parameters too."""
    name, params = creator.__name__, creator.parameters
    given = {key: value for key, value in call.keywords.items() if key not in (*creator.names, *creator.ignored)}
    if call.args:
        yield None, "MX311", f"{name} can only accept keyword arguments"
    values = {param.name: param.default for param in params.values()}
    for key, value in given.items():
        if key in creator.misspelt:
            yield key, "MX402", misspelt_keyword(name, key)
        elif key not in params:
            yield key, "MX311", str(unknown_parameter(name, key, [*params, *creator.names]))
        else:
            try:
                values[key] = value if value is ... else params[key].parse(value, name)
            except MXNetError as error:
                yield key, "MX312", str(error)
    if not call.is_open:
        yield from _missing(name, params, set(given))
    for key in without_effect(params, given, values):
        yield key, "MX401", no_effect(name, [key])


def _signature_faults(function: Any, call: Call) -> Iterator[Fault]:
    if not callable(function) or getattr(function, "__init__", None) is object.__init__:
        return
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return
    parameters = signature.parameters.values()
    known = {p.name for p in parameters if p.kind is not p.POSITIONAL_ONLY}
    unknown = [] if any(p.kind is p.VAR_KEYWORD for p in parameters) else [k for k in call.keywords if k not in known]
    for key in unknown:
        yield key, "MX311", f"mx.{call.path} has no argument {key!r}"
    try:
        bind = signature.bind_partial if call.is_open or unknown else signature.bind
        bind(*call.args, **{key: value for key, value in call.keywords.items() if key not in unknown})
    except TypeError as error:
        yield None, "MX313", f"mx.{call.path}: {error}"
