"""A walk over the original's public names: which of them mxcompat lacks, or gives another signature.

``problems(["mx.rnn", ...])`` compares modules with the recorded survey (``tests/golden/api.json.gz``, made by
``tests/golden/record_api.py``) and yields ``id -> text``. An id is the dotted name, such as ``mx.rnn.LSTMCell.unroll``.
``check(modules, excuses)`` fails on every problem that no excuse covers, and on every excuse that covers none.

Signatures agree when parameters have the same names, order and kinds and defaults that print the same; a default that
printed as an object (``<function zeros>``) only has to be there. Names that a module of the original merely imported
from elsewhere have to exist (but for its C glue, ``GLUE``); their signatures are compared at home.
"""

from __future__ import annotations

import functools
import gzip
import importlib
import inspect
import json
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

GOLDEN = Path(__file__).parent / "golden" / "api.json.gz"
_OPEN, _CLOSE = "([{<", ")]}>"
#: what the original's modules import to talk to its C library and to Python 2
GLUE = frozenset(
    "MXCallbackList c_array c_array_buf c_handle_array c_str c_str_array check_call ctypes2buffer ctypes2docstring "
    "ctypes2numpy_shared mx_real_t mx_uint py_str with_metaclass".split()
)


class Parameter(NamedTuple):
    """``name`` with its stars, and the text of its default (None: it has none)."""

    name: str
    default: str | None


@functools.cache
def survey() -> dict[str, Any]:
    """The recorded names of the original."""
    return json.loads(gzip.decompress(GOLDEN.read_bytes()))


def our_module(name: str) -> Any:
    """The module of mxcompat for ``mx.NAME``; None when there is none."""
    try:
        return importlib.import_module("mxcompat" + name[len("mx") :])
    except ImportError:
        return None


def parse_signature(text: str) -> list[Parameter]:
    """The parameters of a printed signature."""
    found = []
    for part in _split(text.strip()[1:-1]):
        name, _, default = part.partition("=")
        found.append(Parameter(name.split(":")[0].strip(), default.strip() if "=" in part else None))
    return found


def _split(text: str) -> Iterator[str]:
    depth, quote, start = 0, "", 0
    for place, char in enumerate(text):
        if quote:
            quote = "" if char == quote and text[place - 1] != "\\" else quote
        elif char in "'\"":
            quote = char
        elif char in _OPEN:
            depth += 1
        elif char in _CLOSE:
            depth -= 1
        elif char == "," and not depth:
            yield text[start:place].strip()
            start = place + 1
    if text[start:].strip():
        yield text[start:].strip()


def our_parameters(function: Any) -> list[Parameter] | None:
    """The parameters of a callable in the same form; None when it shows no signature."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    found = []
    for parameter in parameters:
        stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        if parameter.kind is parameter.KEYWORD_ONLY and not any(p.name.startswith("*") for p in found):
            found.append(Parameter("*", None))
        found.append(Parameter(stars + parameter.name, _default_text(parameter.default)))
    return found


def _default_text(default: Any) -> str | None:
    if default is inspect.Parameter.empty:
        return None
    if not isinstance(default, type):
        return repr(default)
    home = default.__module__.replace("mxcompat", "mxnet", 1)
    return default.__name__ if home == "builtins" else f"{home}.{default.__name__}"


def signature_problem(function: Any, recorded: str) -> str | None:
    """How a callable differs from a recorded signature."""
    ours = our_parameters(function)
    if ours is None or recorded is None:
        return None
    theirs = [p for p in parse_signature(recorded) if p.name != "/"]
    same = [p.name for p in ours] == [p.name for p in theirs]
    if same and all(_same_default(mine.default, other.default) for mine, other in zip(ours, theirs)):
        return None
    return f"has ({_shown(ours)}), expected ({_shown(theirs)})"


def _same_default(mine: str | None, other: str | None) -> bool:
    if mine is None or other is None or "<" not in other:
        return mine == other
    return "<class" not in other or mine == other


def _shown(parameters: list[Parameter]) -> str:
    return ", ".join(p.name if p.default is None else f"{p.name}={p.default}" for p in parameters)


def _at_home(module: str, home: str) -> bool:
    own = "mxnet" + module[len("mx") :]
    return home == own or home.startswith(own + ".")


def problems(modules: Iterable[str]) -> Iterator[tuple[str, str]]:
    """What differs in these modules, as (id, text)."""
    for name in modules:
        entry, module = survey()["modules"][name], our_module(name)
        if module is None:
            yield name, "is missing"
            continue
        for short, recorded in entry["classes"].items():
            yield from _class_problems(name, short, recorded, getattr(module, short, None))
        for short, recorded in entry["functions"].items():
            function = getattr(module, short, None)
            if function is None:
                if _at_home(name, recorded["home"]) or short not in GLUE:
                    yield f"{name}.{short}", "is missing"
            elif _at_home(name, recorded["home"]):
                text = signature_problem(function, recorded["signature"])
                if text:
                    yield f"{name}.{short}", text
        for short in [*entry["values"], *entry["submodules"], *entry["operators"]]:
            if not hasattr(module, short) and our_module(f"{name}.{short}") is None:
                yield f"{name}.{short}", "is missing"
        lacking = sorted(set(entry["all"] or ()) - set(getattr(module, "__all__", ()) or dir(module)))
        for short in lacking:
            yield f"{name}.__all__.{short}", "is not listed"


def _class_problems(module: str, short: str, recorded: dict[str, Any], ours: Any) -> Iterator[tuple[str, str]]:
    place = f"{module}.{short}"
    if ours is None:
        if _at_home(module, recorded["home"]) or short not in GLUE:
            yield place, "is missing"
        return
    if not _at_home(module, recorded["home"]):
        return
    if not isinstance(ours, type):
        yield place, "is not a class"
        return
    for base in recorded["bases"]:
        if base.rpartition(".")[2] not in {cls.__name__ for cls in ours.__mro__}:
            yield f"{place}.__bases__", f"does not derive from {base}"
    if list(recorded.get("fields", ())) != list(getattr(ours, "_fields", ())):
        yield f"{place}._fields", f"has the fields {getattr(ours, '_fields', ())}, expected {recorded.get('fields')}"
    for name, signature in recorded["methods"].items():
        method = getattr(ours, name, None)
        text = "is missing" if method is None else signature_problem(method, signature)
        if text:
            yield f"{place}.{name}", text
    for name in [*recorded["properties"], *recorded["class_attrs"]]:
        if not hasattr(ours, name):
            yield f"{place}.{name}", "is missing"
    for name, settable in recorded["properties"].items():
        found = inspect.getattr_static(ours, name, None)
        if settable and isinstance(found, property) and found.fset is None:
            yield f"{place}.{name}", "cannot be set"


def check(modules: Iterable[str], excuses: dict[str, str]) -> None:
    """Fail unless every problem has an excuse (id or pattern -> reason), and every excuse a problem."""
    found = dict(problems(modules))
    used = {pattern: [place for place in found if fnmatchcase(place, pattern)] for pattern in excuses}
    excused = {place for places in used.values() for place in places}
    lines = [f"{place} {text}" for place, text in found.items() if place not in excused]
    lines += [f"excuse {pattern!r} covers nothing" for pattern, places in used.items() if not places]
    assert not lines, "\n" + "\n".join(lines)
