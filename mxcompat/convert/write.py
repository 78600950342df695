"""The source file of a program: imports, helpers, classes of blocks, the network, its loss, loading and saving."""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from mxcompat.convert.blocks import Block, find_blocks
from mxcompat.convert.body import Frame, body_lines, wrapped
from mxcompat.convert.checkpoint import Checkpoint
from mxcompat.convert.loops import Loop, roll
from mxcompat.convert.naming import loading_text
from mxcompat.convert.steps import (
    Layer,
    Program,
    Source,
    Step,
    Variable,
    current,
    legal,
    number_text,
    quoted,
    shown,
    unique,
)

__all__ = ["source_text"]

CLASS = "Net"
_BATCH_NORM = (
    "BatchNorm: momentum is the share of the new value in PyTorch, of the old one in MXNet. In training the running "
    "variances take the unbiased variance of each batch, those of MXNet the biased one, (n - 1) / n of it."
)


@dataclass
class _Parts:
    """The steps by where they go: ``trunk`` is read by outputs and loss, ``outputs`` and ``loss`` come after it."""

    trunk: list[Step]
    outputs: list[Step]
    loss: list[Step]
    boundary: list[Source] = field(default_factory=list)
    output_labels: list[Variable] = field(default_factory=list)


def source_text(program: Program, checkpoint: Checkpoint, weights_file: str) -> str:
    """The whole file."""
    parts = _divided(program)
    outside = [*program.heads] if not program.losses else parts.boundary
    trunk, blocks, moved = find_blocks(parts.trunk, outside)
    trunk = roll(trunk, outside, moved)
    for step in (*parts.outputs, *parts.loss, *program.losses):
        step.inputs = [current(source, moved) for source in step.inputs]
    parts.boundary = [current(source, moved) for source in parts.boundary]
    program.heads = [current(source, moved) for source in program.heads]
    module = _Module(program, checkpoint, parts, trunk, blocks)
    sections = [
        *program.helpers.values(),
        *(module.block_class(block) for block in blocks),
        module.network(),
        module.loss_function(),
        module.loading(),
    ]
    text = "\n\n".join(section.rstrip("\n") + "\n" for section in sections if section)
    return f"{_heading(program, checkpoint, weights_file, text)}\n\n\n{text}"


def _heading(program: Program, checkpoint: Checkpoint, weights_file: str, text: str) -> str:
    shapes = ", ".join(f"{shown(v.name)} {tuple(v.shape)}" for v in (*program.inputs, *program.labels))
    lines = [f'"""{shown(checkpoint.name)}, converted from an MXNet symbol by mxcompat.', ""]
    lines += _prose(f"Comments give the shapes for {shapes}." if shapes else "It has no inputs.")
    if any(layer.cls.startswith("nn.BatchNorm") for layer in _layers(program.steps)):
        lines += ["", *_prose(_BATCH_NORM)]
    for note in dict.fromkeys(program.notes):
        lines += ["", *_prose(shown(note))]
    lines += ['"""', ""]
    lines += sorted(f"import {name}" for name in program.imports if name in ("functools", "math"))
    lines += ["from pathlib import Path"] + ["from typing import NamedTuple"] * ("NamedTuple" in program.imports)
    lines += ["", *(["import numpy as np"] if "numpy" in program.imports else []), "import torch"]
    lines += ["import torch.nn.functional as F"] if re.search(r"\bF\.", text) else []
    lines += ["from safetensors import safe_open"]
    lines += ["from safetensors.torch import load_file, save_file", "from torch import nn", ""]
    lines += [f"WEIGHTS = Path(__file__).with_name({quoted(weights_file)})"]
    return "\n".join(lines)


def _prose(text: str) -> list[str]:
    return textwrap.wrap(text, 108, break_long_words=False)


def _layers(steps: Iterable[Step]) -> list[Layer]:
    flat = [part for step in steps for part in (step.body if isinstance(step, Loop) else [step])]
    return list({id(step.layer): step.layer for step in flat if step.layer is not None}.values())


# -- what goes where --------------------------------------------------------------------------------------------------


def _needed(targets: Iterable[Source]) -> set[int]:
    """The steps (by id) that some values need."""
    found: set[int] = set()
    stack = [producer for producer, _ in targets]
    while stack:
        producer = stack.pop()
        if isinstance(producer, Step) and id(producer) not in found:
            found.add(id(producer))
            stack += [child for child, _ in producer.inputs]
    return found


def _divided(program: Program) -> _Parts:
    shown = _needed(program.heads)
    steps = [step for step in program.steps if id(step) in shown]
    if not program.losses:
        return _Parts(steps, [], [], program.heads, _labels_read(steps, program.heads))
    trained = _needed(source for loss in program.losses for source in loss.inputs)
    late: set[int] = {id(variable) for variable in program.labels}
    trunk = []
    for step in program.steps:
        if step.ends_gradient or any(id(child) in late for child, _ in step.inputs):
            late.add(id(step))
        elif id(step) in shown and id(step) in trained:
            trunk.append(step)
    inside = {id(step) for step in trunk}
    outputs = [step for step in steps if id(step) not in inside]
    loss = [step for step in program.steps if id(step) in trained and id(step) not in inside]
    readers = [source for step in (*outputs, *loss, *program.losses) for source in step.inputs]
    boundary = {(id(p), i): (p, i) for p, i in (*readers, *program.heads) if id(p) in inside}
    return _Parts(trunk, outputs, loss, list(boundary.values()), _labels_read(outputs, program.heads))


def _labels_read(steps: Sequence[Step], heads: Sequence[Source]) -> list[Variable]:
    read = [p for step in steps for p, _ in step.inputs] + [p for p, _ in heads]
    found = {id(p): p for p in read if isinstance(p, Variable) and p.role == "label"}
    return list(found.values())


# -- the classes ------------------------------------------------------------------------------------------------------


class _Module:
    """Writes the network and what belongs to it."""

    def __init__(
        self, program: Program, checkpoint: Checkpoint, parts: _Parts, trunk: list[Step], blocks: list[Block]
    ):
        self.program, self.checkpoint, self.parts = program, checkpoint, parts
        self.trunk, self.blocks = trunk, blocks
        self.steps = [*trunk, *parts.outputs, *parts.loss]
        self.layers = _layers(self.steps)
        taken = {"forward", "scores", "training", "train", "eval"}
        self.attributes = {id(layer): unique(legal(layer.name, layer.cls.split(".")[-1].lower()), taken) for layer in self.layers}
        self.stored = self._free_variables()
        self.attributes.update((id(variable), unique(legal(variable.name), taken)) for variable in self.stored)
        self.value_names: dict[tuple[int, int], str] = {}

    def _free_variables(self) -> list[Variable]:
        """Parameters and states that no layer owns."""
        read = [p for step in (*self.steps, *self.program.losses) for p, _ in step.inputs]
        read += [p for p, _ in self.program.heads]
        return list({id(p): p for p in read if isinstance(p, Variable) and p.is_stored}.values())

    # -- blocks -------------------------------------------------------------------------------------------------

    def block_class(self, block: Block) -> str:
        text = ", ".join(["self", *block.parameters])
        lines = [f"class {block.cls}(nn.Module):", f'    """{shown(block.doc)}"""', ""]
        if block.layers or block.stored or block.parameters:
            lines += [*_indented(wrapped(f"def __init__({text}):"), 4), "        super().__init__()"]
        lines += [f"        self.{name} = {name}" for name in block.kept]
        for layer in block.layers:
            lines += _indented(_constructor(f"self.{block.attributes[id(layer)]}", layer, block.arguments_of(layer)), 8)
        lines += [f"        self.{block.attributes[id(v)]} = {_empty(v)}" for v in block.stored]
        lines += [""] if lines[-1] else []
        lines += [f"    def forward({', '.join(['self', *block.input_names])}):"]
        frame = Frame("self", block.input_map(), block.attributes, block.number_texts(), block.local_names)
        return "\n".join(lines + _indented(body_lines(block.steps, block.outputs, frame), 8)) + "\n"

    # -- the network --------------------------------------------------------------------------------------------

    def network(self) -> str:
        lines = [f"class {CLASS}(nn.Module):", f'    """{self._summary()}"""', "", "    def __init__(self):"]
        lines += ["        super().__init__()"]
        for layer in self.layers:
            lines += _indented(_constructor(f"self.{self.attributes[id(layer)]}", layer, {}), 8)
        for variable in self.stored:
            lines += _indented(self._variable_lines(variable), 8)
        return "\n".join(lines) + "\n\n" + ("\n".join(self._methods()))

    def _summary(self) -> str:
        given = ", ".join(v.name for v in self._forward_variables())
        heads = ", ".join(self.program.head_names)
        return shown(f"{given} -> {heads}.")

    def _variable_lines(self, variable: Variable) -> list[str]:
        name = self.attributes[id(variable)]
        if variable.role == "buffer" or "float" not in variable.dtype:
            return [f'self.register_buffer("{name}", {_zeros(variable)})']
        return [f"self.{name} = {_empty(variable)}"]

    def _forward_variables(self) -> list[Variable]:
        return [*self.program.inputs, *self.parts.output_labels]

    def _arguments(self, variables: Sequence[Variable]) -> dict[tuple[int, int], str]:
        taken: set[str] = set()
        return {(id(v), 0): unique(legal(v.name, "data"), taken) for v in variables}

    def _methods(self) -> list[str]:
        program, parts = self.program, self.parts
        if not program.losses:
            return self._method("forward", self._forward_variables(), self.trunk, program.heads, "", {})
        inputs = self._arguments(program.inputs)
        text = self._method("scores", program.inputs, self.trunk, parts.boundary, "What outputs and loss are made of.", {})
        call = f"self.scores({', '.join(inputs.values())})"
        known = self._boundary_names()
        text += ["", *self._method("forward", self._forward_variables(), parts.outputs, program.heads, "", known, call)]
        return text

    def _boundary_names(self) -> dict[tuple[int, int], str]:
        """Names of the values that ``scores`` returns."""
        taken = {legal(v.name, "data") for v in (*self.program.inputs, *self.program.labels)}
        names = {}
        for producer, index in self.parts.boundary:
            stem = self.value_names.get((id(producer), index))
            if stem is not None:
                names[id(producer), index] = unique(stem, taken)
                continue
            stem = legal(producer.name, "value")
            count = producer.count if isinstance(producer, Step) else 1
            names[id(producer), index] = unique(f"{stem}_{index}" if count > 1 else stem, taken)
        return names

    def _method(
        self,
        name: str,
        variables: Sequence[Variable],
        steps: Sequence[Step],
        returns: Sequence[Source],
        doc: str,
        known: dict[tuple[int, int], str],
        scores: str = "",
    ) -> list[str]:
        arguments = self._arguments(variables)
        first, known = _unpacked(known, scores, steps, returns)
        frame = Frame("self", {**arguments, **known}, self.attributes, returned=self.value_names)
        lines = [f"    def {name}({', '.join(['self', *arguments.values()])}):"]
        lines += [f'        """{doc}"""'] if doc else []
        return lines + _indented([*first, *body_lines(steps, returns, frame)], 8)

    # -- loss, loading, saving ----------------------------------------------------------------------------------

    def loss_function(self) -> str:
        program, parts = self.program, self.parts
        if not program.losses:
            return ""
        labels = [v for v in program.labels if (id(v), 0) in _reads([*parts.loss, *program.losses], [])]
        inputs, known = self._arguments(program.inputs), self._boundary_names()
        arguments = {**inputs, **self._arguments(labels)}
        lines = [f"def loss({', '.join(['model', *arguments.values()])}):"]
        lines += [
            '    """What training minimizes, summed over the batch, as the gradients of the symbol are; Module.fit divides them',
            f'    by the batch size: (loss(model, ...) / len({next(iter(arguments.values()), "data")})).backward()."""',
        ]
        first, known = _unpacked(known, f"model.scores({', '.join(inputs.values())})", [*parts.loss, *program.losses], [])
        frame = Frame("model", {**arguments, **known}, self.attributes, shows_shapes=False)
        total: Step | None = None
        steps = [*parts.loss, *program.losses]
        if len(program.losses) > 1:
            text = " + ".join(f"{{{i}}}" for i in range(len(program.losses)))
            total = Step("total", "add", text, [(loss, 0) for loss in program.losses])
            steps.append(total)
        body = body_lines(steps, [(total or program.losses[0], 0)], frame)
        return "\n".join(lines + _indented([*first, *body], 4)) + "\n"

    def loading(self) -> str:
        layers = {self.attributes[id(layer)]: layer for layer in self.layers}
        stored = {self.attributes[id(variable)]: variable for variable in self.stored}
        return loading_text(layers, stored, "fixed_gamma" in self.program.helpers)


def _reads(steps: Iterable[Step], returns: Iterable[Source]) -> Counter:
    """value -> how often it is read."""
    return Counter([(id(p), i) for step in steps for p, i in step.inputs] + [(id(p), i) for p, i in returns])


def _unpacked(
    known: dict[tuple[int, int], str], call: str, steps: Iterable[Step], returns: Iterable[Source]
) -> tuple[list[str], dict[tuple[int, int], str]]:
    """The line that unpacks what a call returns, and the texts of the values; a single one that is read once needs no line."""
    read = _reads(steps, returns)
    if not known or not call:
        return [], known
    if len(known) == 1 and all(read[key] == 1 for key in known):
        return [], dict.fromkeys(known, call)
    targets = [text if key in read else "_" for key, text in known.items()]
    return wrapped(f"{', '.join(targets)} = {call}"), known


def _indented(lines: Iterable[str], by: int) -> list[str]:
    return [f"{' ' * by}{line}" if line else "" for line in lines]


def _constructor(target: str, layer: Layer, given: dict[str, str]) -> list[str]:
    """``self.name = nn.Layer(…)``; ``given`` are texts that stand for arguments."""
    parts = [given.get(name) or number_text(value) for name, value in layer.arguments.items()]
    parts += [f"{name}={given.get(name) or number_text(value)}" for name, value in layer.options.items()
              if name in given or name not in layer.defaults or value != layer.defaults[name]]  # fmt: skip
    text = f"{layer.cls}({', '.join(parts)})"
    dtypes = {variable.dtype for variable in layer.weights.values()} - {"float32"}
    if dtypes and layer.cls.startswith("nn."):
        text += f".to(torch.{dtypes.pop()})"
    for wrap in layer.wrap.split():
        text = f"{wrap}({text})"
    return wrapped(f"{target} = {text}")


def _zeros(variable: Variable) -> str:
    dtype = "" if variable.dtype == "float32" else f", dtype=torch.{variable.dtype}"
    return f"torch.zeros({number_text(tuple(variable.shape))}{dtype})"


def _empty(variable: Variable) -> str:
    return f"nn.Parameter({_zeros(variable)})"
