"""What a graph is turned into before it becomes source text: variables, layers and steps."""

from __future__ import annotations

import json
import keyword
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

#: names of the generated file that no local name may hide
RESERVED = {"self", "model", "torch", "nn", "F", "np", "load", "save", "loss", "path", "super", "tuple", "list", "range"}


@dataclass(eq=False)
class Variable:
    """A variable of the symbol: ``role`` is input, label, parameter or buffer (an auxiliary state)."""

    name: str
    role: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def is_stored(self) -> bool:
        return self.role in ("parameter", "buffer")


@dataclass(eq=False)
class Layer:
    """A submodule: ``cls(*arguments, **options)``, maybe handed through a function (``wrap``).

    ``weights`` maps its own names of parameters and buffers (dotted for those of layers inside) to variables; of a
    recurrent layer the name is empty, and the variable holds all of them. Options equal to one of ``defaults`` are not
    written.
    """

    cls: str
    name: str
    arguments: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, Variable] = field(default_factory=dict)
    wrap: str = ""
    defaults: dict[str, Any] = field(default_factory=dict)

    def signature(self) -> tuple:
        """What must agree for two layers to be the same but for numbers."""
        fixed = [(name, None if is_number(value) else value) for name, value in self.values().items()]
        return self.cls, tuple(fixed), self.wrap, tuple(self.weights)

    def values(self) -> dict[str, Any]:
        return {**self.arguments, **self.options}


@dataclass(eq=False)
class Step:
    """One line of computation, ``text`` over ``{0}``, ``{1}``, … (``{a0}`` where an operand needs brackets).

    ``{self}`` stands for its layer, ``{name}`` for an entry of ``numbers``, ``{training}`` for the module's mode,
    ``{like}`` for an input of the function (its device and sizes). ``count`` outputs are unpacked by ``pattern``.
    ``is_named`` says whether the author of the symbol chose the name; ``output_names`` are those of several outputs.
    """

    name: str
    operator: str
    text: str
    inputs: list[Source]
    numbers: dict[str, Any] = field(default_factory=dict)
    layer: Layer | None = None
    count: int = 1
    pattern: str = ""
    shapes: list[tuple[int, ...]] = field(default_factory=list)
    ends_gradient: bool = False
    is_named: bool = True
    output_names: list[str] = field(default_factory=list)

    def key(self) -> tuple:
        """What must agree for two steps to be the same but for numbers and inputs."""
        fixed = tuple((name, None if is_number(value) else value) for name, value in self.numbers.items())
        layer = None if self.layer is None else self.layer.signature()
        return self.operator, self.text, len(self.inputs), fixed, layer, self.count, self.pattern

    @property
    def is_expression(self) -> bool:
        """Whether the text must be put in brackets to be an operand."""
        return bool(re.match(r"^(-|\{a\d+\} [^.]|[\w.{}]+ [-+*/%<>=])", self.text)) or " if " in self.text


Source = tuple[Step | Variable, int]

#: value (by id) -> what computes it instead of the step that did
Moved = dict[tuple[int, int], Source]


def current(source: Source, moved: Moved) -> Source:
    """Where a value is found now."""
    while (id(source[0]), source[1]) in moved:
        source = moved[id(source[0]), source[1]]
    return source


@dataclass(eq=False)
class Program:
    """A translated graph. ``losses`` are steps whose sum is what training minimizes; ``helpers`` source by name."""

    name: str
    inputs: list[Variable]
    labels: list[Variable]
    steps: list[Step]
    heads: list[Source]
    head_names: list[str]
    losses: list[Step]
    helpers: dict[str, str]
    imports: set[str]
    notes: list[str]


def is_number(value: Any) -> bool:
    """Whether a value may differ between the repeats of a block: a number, or a tuple of them."""
    if isinstance(value, tuple):
        return bool(value) and all(is_number(item) for item in value)
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def number_text(value: Any) -> str:
    """Source text of a value; the shortest decimal that is the same float32."""
    if isinstance(value, tuple):
        return "(" + ", ".join(map(number_text, value)) + ("," if len(value) == 1 else "") + ")"
    if isinstance(value, float):
        if not np.isfinite(value):
            return f'float("{value}")'
        texts = (float(f"{value:.{digits}g}") for digits in (7, 8, 9))
        return repr(next((short for short in texts if np.float32(short) == np.float32(value)), value))
    return quoted(value) if isinstance(value, str) else repr(value)


def quoted(text: str) -> str:
    """A string of the source; names come from files, so nothing in them may end it."""
    return json.dumps(text, ensure_ascii=False)


def shown(text: str) -> str:
    """A name in a docstring, likewise."""
    return " ".join(text.replace("\\", "/").replace('"', "'").split())


def legal(name: str, otherwise: str = "x") -> str:
    """An identifier made of a name of the symbol."""
    text = re.sub(r"\W", "_", name).strip("_") or otherwise
    if text[0].isdigit():
        text = f"{otherwise}_{text}"
    return f"{text}_" if keyword.iskeyword(text) or text in RESERVED else text


def unique(name: str, taken: set[str]) -> str:
    """The name, or with a number behind it where it is taken; it counts as taken then."""
    number, found = 2, name
    while found in taken:
        found, number = f"{name}_{number}", number + 1
    taken.add(found)
    return found
