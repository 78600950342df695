"""What a dotted name of MXNet is here: asked of the package itself and of the catalogue of operators."""

from __future__ import annotations

import difflib
import functools
import inspect
import warnings
from types import ModuleType
from typing import Any

import mxcompat
from mxcompat.absent import AbsentClass, AbsentError, AbsentModule, absent_error
from mxcompat.differences import DIFFERENCES
from mxcompat.ops import faces, load_catalogue, reference, registry
from mxcompat.ops.schema import Operator


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
            rest = path.split(".")[len(done) :]
            raise Unknown("MX302", str(absent_error(".".join([found.__name__.partition(".")[2], *rest]))))
        if not isinstance(found, (ModuleType, type)) or isinstance(found, AbsentClass):
            return found
        found = _member(found, part, ".".join(done))
        done.append(part)
    reason = getattr(found, "reason", None) if inspect.isfunction(found) else None
    if isinstance(reason, str):
        raise Unknown("MX303", f"mx.{path} is left out: {reason}")
    if isinstance(found, AbsentClass):
        raise Unknown("MX302", str(absent_error(path)))
    return found


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


@functools.cache
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
    kind = "Symbol" if is_symbolic(path) else "NDArray"
    is_generated = op is not None and getattr(function, "__doc__", None) == faces.docstring(op, kind)
    return op if is_generated else None


def is_symbolic(path: str) -> bool:
    """Whether ``mx.<path>`` is about symbols, and not about arrays."""
    return path.removeprefix("contrib.").split(".")[0] in ("sym", "symbol")


@functools.cache
def different_function(path: str) -> str | None:
    """What is different in the function ``mx.<path>``, by whatever name; None when nothing is. Operators are left out."""
    try:
        found = resolve(path)
        return next((text for name, text in DIFFERENCES.items() if "." in name and resolve(name) is found), None)
    except Unknown:
        return None
