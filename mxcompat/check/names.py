"""What a dotted name of MXNet is here: asked of the package itself and of the catalogue of operators."""

from __future__ import annotations

import difflib
import functools
import inspect
import warnings
from types import ModuleType
from typing import Any

import mxcompat
from mxcompat.absent import AbsentClass, AbsentError, AbsentModule
from mxcompat.ops import faces, load_catalogue, reference, registry
from mxcompat.ops.schema import HIDDEN_KEYS, NoEffect, Operator

#: keywords that every operator's function takes besides inputs and parameters
_COMMON = {"name", "attr", "out", "ctx", "dtype", "shape"}


class Unknown(Exception):
    """A name that is not there; the message says so."""

    def __init__(self, code: str, text: str):
        super().__init__(text)
        self.code, self.text = code, text


@functools.cache
def resolve(path: str) -> Any:
    """The object that ``mx.<path>`` names (the empty path is the package). Only modules and classes are looked into: of
    anything else the rest of the path is not known before the program runs, and the object itself is returned.

    Raises ``Unknown`` for a name that is missing.
    """
    found: Any = mxcompat
    done: list[str] = []
    for part in path.split(".") if path else []:
        if isinstance(found, AbsentModule):
            raise Unknown("MX302", f"mx.{path} is not supported: {_absent_text(found, part)}")
        if not isinstance(found, (ModuleType, type)) or isinstance(found, AbsentClass):
            return found
        found = _member(found, part, ".".join(done))
        done.append(part)
    reason = getattr(found, "reason", None) if inspect.isfunction(found) else None
    if isinstance(reason, str):
        raise Unknown("MX303", f"mx.{path} is left out: {reason}")
    if isinstance(found, AbsentClass):
        raise Unknown("MX302", f"mx.{path} is not supported: {found.__doc__}")
    return found


def _absent_text(module: AbsentModule, name: str) -> str:
    try:
        getattr(module, name)
    except AbsentError as error:
        return str(error)
    except AttributeError:
        pass
    return str(module.__doc__)


def _member(owner: Any, name: str, path: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return getattr(owner, name)
        except AbsentError as error:
            raise Unknown("MX302", str(error)) from None
        except AttributeError:
            pass
    full = f"mx.{path}.{name}" if path else f"mx.{name}"
    if isinstance(owner, type):
        return None  # an attribute that objects get when they are made
    close = difflib.get_close_matches(name, [n for n in dir(owner) if not n.startswith("_")], 1, 0.8)
    raise Unknown(
        "MX301",
        f"{full} is not supported: neither MXNet 1.9.1 nor mxcompat has it (a plugin, a fork, or another version)"
        + (f"; did you mean {close[0]}?" if close else "")
        if not _in_original(path, name)
        else f"{full} is not supported yet",
    )


def _in_original(path: str, name: str) -> bool:
    """Whether the original has an operator of that name there."""
    place = ".".join([*path.split(".")[1:], name])
    return place in _original_places()


@functools.cache
def _original_places() -> frozenset[str]:
    names = [name for registered, aliases in reference.registered_names().items() for name in (registered, *aliases)]
    return frozenset(_place(name) for name in names)


def _place(name: str) -> str:
    where, public = faces.place(name)
    return public if where == "op" else f"{where}.{public}"


@functools.cache
def _operators() -> dict[str, Operator]:
    load_catalogue()
    return {_place(name): op for op in registry.operators() for name in (op.name, *op.aliases)}


def operator_at(path: str) -> Operator | None:
    """The operator whose generated function ``mx.<path>`` is; None for anything else."""
    face, _, place = path.partition(".")
    if face not in ("nd", "ndarray", "sym", "symbol"):
        if path.startswith(("contrib.nd.", "contrib.ndarray.", "contrib.sym.", "contrib.symbol.")):
            place = "contrib." + path.split(".", 2)[2]
        else:
            return None
    place = place.removeprefix("op.")
    op = _operators().get(place)
    try:
        function = resolve(path)
    except Unknown:
        return None
    is_generated = op is not None and getattr(function, "__doc__", None) == faces.docstring(op, _kind(path))
    return op if is_generated else None


def _kind(path: str) -> str:
    return "NDArray" if path.split(".")[0] in ("nd", "ndarray") or path.startswith("contrib.nd") else "Symbol"


def check_call(path: str, keywords: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(keyword, code, text) of everything wrong with the keywords of a call; unknown values are ``Ellipsis``."""
    op = operator_at(path)
    if op is not None:
        return [found for key, value in keywords.items() if (found := _check_parameter(op, path, key, value))]
    return _check_signature(path, keywords)


def _check_parameter(op: Operator, path: str, key: str, value: Any) -> tuple[str, str, str] | None:
    if key in op.inputs or key in _COMMON and key not in op.params or key.startswith("__"):
        return None
    param = op.params.get(key)
    if param is None:
        hidden = any(key == one or key.endswith("_" + one) for one in HIDDEN_KEYS)
        if op.variadic is not None or op.open_params or op.lenient or hidden:
            return None
        return key, "MX311", f"{op.name} has no parameter {key!r} (it has {', '.join(op.params) or 'none'})"
    if value is not ...:
        try:
            param.kind.parse(value)
        except (ValueError, TypeError, KeyError, SyntaxError, AttributeError, OverflowError):
            return key, "MX312", f"{op.name}: {key}={value!r}, expected {param.kind.text}"
    if isinstance(param.kind, NoEffect):
        return key, "MX401", f"{op.name}: {key} is accepted and has no effect here"
    return None


def _check_signature(path: str, keywords: dict[str, Any]) -> list[tuple[str, str, str]]:
    try:
        function = resolve(path)
        target = getattr(function, "__init__") if isinstance(function, type) else function  # noqa: B009
        parameters = inspect.signature(target).parameters.values()
    except (Unknown, TypeError, ValueError):
        return []
    if not callable(function) or any(p.kind is p.VAR_KEYWORD for p in parameters):
        return []
    names = {p.name for p in parameters if p.kind is not p.POSITIONAL_ONLY}
    if isinstance(function, type) and target is object.__init__:
        return []
    return [(key, "MX311", f"mx.{path} has no argument {key!r}") for key in keywords if key not in names]
