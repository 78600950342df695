"""A checkpoint's graph as a program of steps: every node becomes a step, or nothing where it only passes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mxcompat.base import MXNetError
from mxcompat.convert import ConversionError
from mxcompat.convert.checkpoint import Checkpoint
from mxcompat.convert.steps import Layer, Program, Source, Step, Variable, legal
from mxcompat.convert.value_names import is_automatic, word_for
from mxcompat.symbol.node import Node

__all__ = ["Call", "Translator", "emits", "emitters", "translate"]

Emitter = Callable[["Call"], "Step | Source | None"]

#: operator -> how it is written; None from it means: not this way, take the operator's own body over (``lift``)
EMITTERS: dict[str, Emitter] = {}


def emits(*operators: str) -> Callable[[Emitter], Emitter]:
    """Decorator of the function that writes these operators."""

    def decorate(function: Emitter) -> Emitter:
        for operator in operators:
            if operator in EMITTERS:
                raise ValueError(f"{operator} is written by {EMITTERS[operator].__name__} already")
            EMITTERS[operator] = function
        return function

    return decorate


class Call:
    """One node to be written, with what is known about it."""

    def __init__(self, translator: Translator, node: Node):
        assert node.op is not None
        checkpoint = translator.checkpoint
        self.translator, self.node, self.params, self.name = translator, node, node.params, node.name
        self.operator = node.op.name
        self.inputs = [translator.sources[id(child), index] for child, index in node.inputs]
        self.shapes = [checkpoint.shapes[id(child)][index] for child, index in node.inputs]
        self.types = [checkpoint.types[id(child)][index] for child, index in node.inputs]
        self.outputs = checkpoint.shapes[id(node)]
        self.output_types = checkpoint.types[id(node)]

    def step(self, text: str, inputs: list[Source] | None = None, **numbers: Any) -> Step:
        """A step with one output."""
        sources = self.inputs if inputs is None else inputs
        is_named = self.node.op is None or not is_automatic(self.name, self.node.op)
        name = self.name if is_named else word_for(self.operator)
        return Step(name, self.operator, text, sources, numbers, shapes=[self.outputs[0]], is_named=is_named)

    def layer(self, cls: str, arguments: dict[str, Any], options: dict[str, Any], **weights: int) -> Layer | None:
        """The submodule that owns the inputs at the given positions (own name=position); None if it cannot own them.

        It can when they are stored, and nodes equal to this one alone read them.
        """
        variables = {own: self.inputs[place][0] for own, place in weights.items()}
        owned = {own: value for own, value in variables.items() if isinstance(value, Variable) and value.is_stored}
        if len(owned) != len(variables) or not self.translator.can_own(self.node, list(weights.values())):
            return None
        return self.translator.shared_layer(self.node, cls, arguments, options, owned)

    def call_layer(self, layer: Layer, text: str = "{self}({0})", **numbers: Any) -> Step:
        """A step that calls a layer on the first input."""
        step = self.step(text, self.inputs[:1], **numbers)
        step.layer = layer
        return step

    def helper(self, name: str, source: str) -> str:
        """Put a function into the generated file."""
        self.translator.helpers[name] = source
        return name

    def refuse(self, reason: str) -> ConversionError:
        return ConversionError(f"{self.operator} {self.name}: {reason}")


class Translator:
    """Turns the nodes of one checkpoint into steps."""

    def __init__(self, checkpoint: Checkpoint):
        self.checkpoint = checkpoint
        self.sources: dict[tuple[int, int], Source] = {}
        self.steps: list[Step] = []
        self.losses: list[Step] = []
        self.helpers: dict[str, str] = {}
        self.imports: set[str] = set()
        self.notes: dict[str, list[str]] = {}
        self.lifted_names: dict[tuple[str, str], str] = {}
        self.layers: dict[tuple, Layer] = {}
        self.users: dict[int, list[tuple[Node, int]]] = {}
        for node in checkpoint.order:
            for place, (child, _) in enumerate(node.inputs):
                self.users.setdefault(id(child), []).append((node, place))

    def can_own(self, node: Node, places: list[int]) -> bool:
        """Whether the variables at these places are read by nodes with this one's operator and parameters alone."""
        readers: set[int] | None = None
        for place in places:
            uses = self.users[id(node.inputs[place][0])]
            same = {id(user) for user, at in uses if at == place and user.op is node.op and user.params == node.params}
            if len(same) != len(uses) or (readers is not None and same != readers):
                return False
            readers = same
        return True

    def shared_layer(self, node: Node, cls: str, arguments: dict, options: dict, weights: dict) -> Layer:
        key = (cls, *(variable.name for variable in weights.values()))
        if not weights:
            key = (cls, id(node))
        if key not in self.layers:
            from mxcompat.convert.layers import DEFAULTS

            name = _stem(weights) or node.name
            self.layers[key] = Layer(cls, name, arguments, options, weights, defaults=DEFAULTS)
        return self.layers[key]

    def run(self) -> Program:
        for node in self.checkpoint.order:
            if node.op is None:
                self.sources[id(node), 0] = (self.checkpoint.variables[node.name], 0)
            else:
                self._add(node)
        heads = [self.sources[id(node), index] for node, index in self.checkpoint.symbol._heads]
        names = [node.output_name(index) for node, index in self.checkpoint.symbol._heads]
        return Program(
            legal(self.checkpoint.name, "net"),
            self.checkpoint.by_role("input"),
            self.checkpoint.by_role("label"),
            self._creation_first(),
            heads,
            names,
            self.losses,
            self.helpers,
            self.imports,
            [f"{', '.join(names)}: {text}" for text, names in self.notes.items()],
        )

    def _creation_first(self) -> list[Step]:
        """The steps, those that depend on no value first: begin states stand between the layers otherwise."""
        return sorted(self.steps, key=lambda step: bool(step.inputs))

    def _add(self, node: Node) -> None:
        from mxcompat.convert.lift import lifted

        call = Call(self, node)
        emitter = EMITTERS.get(call.operator)
        try:
            result = emitter(call) if emitter is not None else None
            if result is None:
                result = lifted(call)
        except MXNetError as error:
            text = str(error)
            named = text if node.name in text else f"{call.operator} {node.name}: {text}"
            raise ConversionError(named) from error
        if isinstance(result, tuple):
            self.sources[id(node), 0] = result
            return
        if not result.shapes or result.count > 1:
            result.shapes = [tuple(shape) for shape in call.outputs[: result.count]]
        self.steps.append(result)
        for index in range(result.count):
            self.sources[id(node), index] = (result, index)


_ENDINGS = {
    "weight": ("weight", "gamma"),
    "bias": ("bias", "beta"),
    "running_mean": ("moving_mean",),
    "running_var": ("moving_var",),
    "": ("parameters",),
}


def _stem(weights: dict[str, Variable]) -> str:
    """What the names of a layer's variables begin with, where they end as the symbol's usually do."""
    stems = set()
    for own, variable in weights.items():
        ending = next((e for e in _ENDINGS.get(own, (own,)) if variable.name.endswith(f"_{e}")), None)
        stems.add(None if ending is None else variable.name[: -len(ending) - 1])
    return stems.pop() or "" if len(stems) == 1 else ""


def translate(checkpoint: Checkpoint) -> Program:
    """The program of a checkpoint; ``ConversionError`` names the node and operator that cannot be written."""
    emitters()
    return Translator(checkpoint).run()


def emitters() -> dict[str, Emitter]:
    """All operators that are written in a form of their own."""
    from mxcompat.convert import functions, layers, losses  # noqa: F401  (they register their emitters)

    return EMITTERS
