"""Repeated parts of a network become classes.

A candidate is a run of steps that occurs several times: equal but for numbers and parameters. The run that saves most
lines becomes a class, its occurrences become one step each, and the search goes on with those, so that blocks may
contain blocks. Ends where few values cross, and names that agree, count as better: they are where a person would cut.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mxcompat.convert.block_names import arguments_of_layers, class_name, common_name, has_parts, split_names, word_of
from mxcompat.convert.steps import Layer, Moved, Source, Step, Variable, current, legal, unique

__all__ = ["Block", "find_blocks"]

LONGEST, SHORTEST_GAIN = 60, 2.0
_INPUT_NAMES = (("x",), ("x", "y"), ("x", "y", "z"), ("x", "y", "z", "w"))


@dataclass(eq=False)
class Block:
    """A class of the generated file; ``steps`` are those of its first occurrence."""

    cls: str
    doc: str
    steps: list[Step]
    inputs: list[Source]
    outputs: list[Source]
    layers: list[Layer]
    stored: list[Variable]
    attributes: dict[int, str]
    parameters: list[str] = field(default_factory=list)
    given: dict[tuple[int, str], str] = field(default_factory=dict)
    local_names: dict[int, str] = field(default_factory=dict)

    @property
    def input_names(self) -> tuple[str, ...]:
        """x, y, …; x, h and c where the layers inside tell an input from a hidden state."""
        names = [self._role_of(source) for source in self.inputs]
        return tuple(names) if len(set(names)) == len(names) > 1 else _INPUT_NAMES[len(self.inputs) - 1]

    def _role_of(self, source: Source) -> str:
        readers = [step for step in self.steps if any(p is source[0] and i == source[1] for p, i in step.inputs)]
        layers = {self.attributes[id(step.layer)] for step in readers if step.layer is not None}
        return {"i2h": "x", "h2h": "h"}.get(layers.pop(), "c") if layers else "c"

    @property
    def kept(self) -> list[str]:
        """Arguments of the constructor that ``forward`` needs."""
        own = {id(step) for step in self.steps}
        return list(dict.fromkeys(text for (key, _), text in self.given.items() if key in own))

    def input_map(self) -> dict[tuple[int, int], str]:
        return {(id(p), i): name for (p, i), name in zip(self.inputs, self.input_names)}

    def arguments_of(self, layer: Layer) -> dict[str, str]:
        """Texts of a layer's arguments that are arguments of the block."""
        return {name: text for (key, name), text in self.given.items() if key == id(layer)}

    def number_texts(self) -> dict[tuple[int, str], str]:
        own = {id(step) for step in self.steps}
        return {(key, name): f"self.{text}" for (key, name), text in self.given.items() if key in own}


@dataclass
class _Occurrence:
    """One place of a run: its steps, what it reads from outside, its layers and stored variables, its outputs."""

    start: int
    steps: list[Step]
    inputs: list[Source]
    layers: list[Layer]
    stored: list[Variable]
    outputs: list[tuple[int, int]]

    def identity(self) -> tuple[int, ...]:
        return (*map(id, self.layers), *map(id, self.stored))


def find_blocks(steps: list[Step], outside: Sequence[Source]) -> tuple[list[Step], list[Block], Moved]:
    """The steps with repeated runs replaced by calls of blocks, the blocks, inner ones first, and where values went.

    ``outside`` are the values that are read from elsewhere.
    """
    blocks: list[Block] = []
    names: set[str] = {"Net"}
    moved: Moved = {}
    while True:
        group = _Search(steps, [current(source, moved) for source in outside]).best()
        if group is None:
            return steps, blocks, moved
        block, calls = _as_block(group, names)
        blocks.append(block)
        steps = _replaced(steps, group, calls, moved)


class _Search:
    """Looks for the run worth most in one list of steps."""

    def __init__(self, steps: list[Step], outside: Sequence[Source]):
        self.steps = steps
        numbers: dict[Any, int] = {}
        self.keys = [
            -1 - place if "{like}" in step.text else numbers.setdefault(step.key(), len(numbers))
            for place, step in enumerate(steps)
        ]
        self.last_read: dict[tuple[int, int], int] = {}
        self.users: dict[int, list[int]] = {}
        for place, step in enumerate(steps):
            for producer, index in step.inputs:
                self.last_read[id(producer), index] = place
                if isinstance(producer, Variable) and producer.is_stored:
                    self.users.setdefault(id(producer), []).append(place)
            if step.layer is not None:
                self.users.setdefault(id(step.layer), []).append(place)
        for producer, index in outside:
            self.last_read[id(producer), index] = len(steps) + 1
            if isinstance(producer, Variable):
                self.users.setdefault(id(producer), []).append(-1)
        self.costs = [0.6 + (step.layer is not None) for step in steps]

    def best(self) -> list[_Occurrence] | None:
        runs: dict[tuple[int, int], list[int]] = {}
        for start in range(len(self.steps)):
            for length, mark in self._marks(start):
                runs.setdefault((length, mark), []).append(start)
        candidates = sorted(
            ((len(starts) - 1) * sum(self.costs[starts[0] : starts[0] + length]), length, starts)
            for (length, _), starts in runs.items()
            if len(starts) > 1
        )
        found, worth = None, SHORTEST_GAIN
        for possible, length, starts in reversed(candidates):
            if possible * 2.0 <= worth:
                break
            for first, start in enumerate(starts[: 3 if length <= 16 else 1]):
                if start >= starts[0] + length:
                    break  # later beginnings leave out more and line up with nothing new
                group = self._group(starts[first:], length)
                value = self._worth(group) if group else 0.0
                if value > worth:
                    found, worth = group, value
        return found

    def _marks(self, start: int) -> list[tuple[int, int]]:
        """Hashes of the runs that begin here; equal ones read and compute alike."""
        places: dict[int, int] = {}
        slots: dict[tuple[int, int], int] = {}
        layers: dict[int, int] = {}
        mark, found, inputs = 0, [], 0
        for offset in range(min(LONGEST, len(self.steps) - start)):
            step, key = self.steps[start + offset], self.keys[start + offset]
            if key < 0:
                break
            reads = []
            for producer, index in step.inputs:
                if id(producer) in places:
                    reads.append((0, offset - places[id(producer)], index))
                else:
                    is_stored = isinstance(producer, Variable) and producer.is_stored
                    if (id(producer), index) not in slots:
                        inputs += not is_stored
                    reads.append((1 + is_stored, slots.setdefault((id(producer), index), len(slots)), 0))
            layer = -1 if step.layer is None else layers.setdefault(id(step.layer), len(layers))
            mark = hash((mark, key, tuple(reads), layer))
            places[id(step)] = offset
            if inputs > len(_INPUT_NAMES):
                break
            if offset:
                found.append((offset + 1, mark))
        return found

    def _group(self, starts: list[int], length: int) -> list[_Occurrence]:
        """Occurrences that do not overlap and own their parameters; empty where they do not."""
        group: list[_Occurrence] = []
        end = -1
        for start in starts:
            if start < end:
                continue
            group.append(self._occurrence(start, length))
            end = start + length
        outputs = sorted({output for occurrence in group for output in occurrence.outputs})
        for occurrence in group:  # one that does not use an output leaves it
            occurrence.outputs = outputs
        return group if len(group) > 1 and self._is_sound(group) else []

    def _occurrence(self, start: int, length: int) -> _Occurrence:
        steps = self.steps[start : start + length]
        own = {id(step) for step in steps}
        reads = {(id(p), i): (p, i) for step in steps for p, i in step.inputs if id(p) not in own}
        stored = [p for p, _ in reads.values() if isinstance(p, Variable) and p.is_stored]
        inputs = [source for source in reads.values() if source[0] not in stored]
        layers = {id(step.layer): step.layer for step in steps if step.layer is not None}
        outputs = [
            (place, index)
            for place, step in enumerate(steps)
            for index in range(step.count)
            if self.last_read.get((id(step), index), -1) >= start + length
        ]
        return _Occurrence(start, steps, inputs, list(layers.values()), stored, outputs)

    def _is_sound(self, group: list[_Occurrence]) -> bool:
        first = group[0]
        if not 1 <= len(first.inputs) <= len(_INPUT_NAMES) or not 1 <= len(first.outputs) <= 3:
            return False
        covered = {place for o in group for place in range(o.start, o.start + len(o.steps))}
        owners: dict[int, tuple[int, ...]] = {}
        for occurrence in group:
            identity = occurrence.identity()
            for key in identity:
                if owners.setdefault(key, identity) != identity or not covered.issuperset(self.users[key]):
                    return False
        numbers: dict[tuple[int, ...], tuple] = {}
        if first.identity():
            for occurrence in group:
                values = tuple(tuple(step.numbers.items()) for step in occurrence.steps)
                if numbers.setdefault(occurrence.identity(), values) != values:
                    return False
        return self._is_connected(first)

    @staticmethod
    def _is_connected(occurrence: _Occurrence) -> bool:
        """Whether every step hangs together with the others, by reading one another or the same value."""
        groups: list[set] = []
        for step in occurrence.steps:
            own = {(id(p), i) for p, i in step.inputs} | {(id(step), i) for i in range(step.count)}
            touching = [group for group in groups if group & own]
            groups = [group for group in groups if not group & own] + [own.union(*touching)]
        return len(groups) == 1

    def _worth(self, group: list[_Occurrence]) -> float:
        """The lines that a class saves, less for ends and names that do not suggest one."""
        first = group[0]
        instances = list({o.identity(): o for o in group}.values()) if first.identity() else group
        plain = [step for step in first.steps if step.layer is None or step.layer.cls.startswith("nn.")]
        lines = sum(0.6 + (step.layer is not None) for step in plain)
        if any(len(step.inputs) > 1 for step in plain):  # blocks side by side, and what joins them
            lines += len(first.steps) - len(plain)
        saved = 0.6 * len(first.steps) * (len(group) - 1) + len(first.layers) * (len(instances) - 1) - 0.4 * len(group)
        parameters = arguments_of_layers([o.layers for o in instances], [o.steps for o in instances])
        worth = saved - 3 - 0.5 * len(parameters.names)
        if lines < 2.5 or len(parameters.names) > 10:
            return 0.0
        worth *= (1, 0.9, 0.8, 0.7)[len(first.inputs) - 1] * (1, 0.9, 0.75)[len(first.outputs) - 1]
        own_names, prefixes, grade = split_names([[layer.name for layer in o.layers] for o in instances])
        if grade == 2 and len(first.layers) > 1:
            worth *= 2.0 if self._are_complete(prefixes, instances) and not has_parts(own_names) else 0.5
        elif first.layers and grade == 0:  # each needs lines in the table of names
            worth -= len(instances) * sum(max(1, len(_leaves(layer)) / 2) for layer in first.layers)
        worth *= 0.8 if _is_activation(first.steps[0]) else 1.0
        following = first.start + len(first.steps)
        if following < len(self.steps) and _is_activation(self.steps[following]):
            worth *= 0.8 if self.steps[following].inputs[0][0] is first.steps[-1] else 1.0
        return worth

    def _are_complete(self, prefixes: Sequence[str], instances: Sequence[_Occurrence]) -> bool:
        """Whether all layers of each name are inside, of stage1_unit1 say: the author of the symbol cut there."""
        for prefix, occurrence in zip(prefixes, instances):
            inside = {id(layer) for layer in occurrence.layers}
            for step in self.steps:
                if step.layer is not None and id(step.layer) not in inside and f"_{step.layer.name}_".find(f"_{prefix}_") >= 0:
                    return False
        return True


def _leaves(layer: Layer) -> set[str]:
    """The layers inside of a block."""
    return {own.rpartition(".")[0] for own in layer.weights}


def _is_activation(step: Step) -> bool:
    return step.operator in ("Activation", "LeakyReLU", "relu", "sigmoid", "tanh", "Pooling", "Dropout")


# -- making the class -------------------------------------------------------------------------------------------------


def _as_block(group: list[_Occurrence], names: set[str]) -> tuple[Block, list[Step]]:
    """The class of a group, and the step that stands for each occurrence."""
    first = group[0]
    has_identity = bool(first.identity())
    instances = list({o.identity(): o for o in group}.values()) if has_identity else group
    cls = _unused_class(class_name(first.steps, first.inputs), names)
    own_names, instance_names, _ = split_names([[layer.name for layer in o.layers] for o in instances])
    has_names = any(instance_names)
    instance_names = _instance_names(cls, instance_names, names)
    attributes = _attributes(first, own_names)
    parameters = arguments_of_layers([o.layers for o in instances], [o.steps for o in instances], own_names)
    block = Block(
        cls,
        "",
        first.steps,
        first.inputs,
        [(first.steps[place], index) for place, index in first.outputs],
        first.layers,
        first.stored,
        attributes,
        parameters.texts(),
        {**parameters.of_layers(first.layers), **parameters.of_steps(first.steps)},
        _local_names(group),
    )
    made: dict[Any, Layer] = {}
    calls = []
    for occurrence in group:
        place = next(i for i, o in enumerate(instances) if o is occurrence or _same(o, occurrence, has_identity))
        key = occurrence.identity() if has_identity else tuple(parameters.values(place).items())
        if key not in made:
            made[key] = _instance(cls, instance_names[place], occurrence, attributes, first, parameters.values(place))
            made[key].defaults = parameters.defaults
        name = instance_names[place] if has_names else block.local_names.get(id(block.outputs[0][0]), instance_names[place])
        calls.append(_call(occurrence, made[key], name, first, block.local_names))
    uses = f"{len(group)} times" if len(group) > 2 else "twice"
    has_shapes = any(step.shapes for step in first.steps)
    where = f"; the shapes are those of {instance_names[0]}" if has_shapes and len(instances) > 1 else ""
    block.doc = f"Used {uses}{where}."
    return block, calls


def _unused_class(cls: str, taken: set[str]) -> str:
    found, number = cls, 2
    while found in taken:
        found, number = f"{cls}{number}", number + 1
    taken.add(found)
    return found


def _instance_names(cls: str, found: Sequence[str], taken: set[str]) -> list[str]:
    """Identifiers: names that are none are put behind a word for the class, numbers where there are no names."""
    if any(found) and all(name.isidentifier() for name in found):
        return list(found)
    word = unique(word_of(cls), taken)
    if len(found) == 1:
        return [word]
    return [f"{word}_{name}" if any(found) else f"{word}{number}" for number, name in enumerate(found, 1)]


def _same(one: _Occurrence, other: _Occurrence, has_identity: bool) -> bool:
    return has_identity and one.identity() == other.identity()


def _attributes(first: _Occurrence, own_names: Sequence[str]) -> dict[int, str]:
    taken = {"forward", "training", "train", "eval"}
    attributes = {
        id(layer): unique(legal(name, word_of(layer.cls)), taken) for layer, name in zip(first.layers, own_names)
    }
    attributes.update((id(variable), unique(legal(variable.name), taken)) for variable in first.stored)
    return attributes


def _local_names(group: Sequence[_Occurrence]) -> dict[int, str]:
    """Names of values inside that the author gave: what the names in all occurrences have in common."""
    names = {}
    for place, step in enumerate(group[0].steps):
        column = [occurrence.steps[place] for occurrence in group]
        if all(other.is_named for other in column):
            name = common_name([other.name for other in column])
            if name:
                names[id(step)] = legal(name)
    return names


def _instance(
    cls: str, name: str, occurrence: _Occurrence, attributes: Mapping[int, str], first: _Occurrence, values: dict
) -> Layer:
    weights = {}
    for layer, template in zip(occurrence.layers, first.layers):
        for own, variable in layer.weights.items():
            weights[f"{attributes[id(template)]}.{own}"] = variable
    for variable, template_variable in zip(occurrence.stored, first.stored):
        weights[attributes[id(template_variable)]] = variable
    positional = {key: value for key, value in values.items() if "channels" in key or "features" in key}
    options = {key: value for key, value in values.items() if key not in positional}
    return Layer(cls, name, positional, options, weights)


def _call(
    occurrence: _Occurrence, layer: Layer, name: str, first: _Occurrence, local_names: Mapping[int, str]
) -> Step:
    text = "{self}(" + ", ".join(f"{{{i}}}" for i in range(len(occurrence.inputs))) + ")"
    outputs = [(occurrence.steps[place], index) for place, index in occurrence.outputs]
    shapes = [step.shapes[index] for step, index in outputs]
    step = Step(name, layer.cls, text, occurrence.inputs, {}, layer, len(outputs), "", shapes)
    step.output_names = [local_names.get(id(first.steps[place]), str(n)) for n, (place, _) in enumerate(occurrence.outputs)]
    if len(set(step.output_names)) != len(outputs):
        step.output_names = []
    return step


def _replaced(steps: list[Step], group: list[_Occurrence], calls: list[Step], moved: Moved) -> list[Step]:
    """The steps with each occurrence replaced by its call, which others then read; ``moved`` takes its values in."""
    for occurrence, call in zip(group, calls):
        for number, (place, index) in enumerate(occurrence.outputs):
            moved[id(occurrence.steps[place]), index] = (call, number)
    at = {occurrence.start: (len(occurrence.steps), call) for occurrence, call in zip(group, calls)}
    result, place = [], 0
    while place < len(steps):
        length, step = at.get(place, (1, steps[place]))
        result.append(step)
        place += length
    for step in result:
        step.inputs = [current(source, moved) for source in step.inputs]
    return result
