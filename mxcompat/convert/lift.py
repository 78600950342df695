"""Operators without a form of their own: the body that mxcompat runs is taken over into the generated file.

The function's source text is copied with all that it refers to, without what only the registry needs: decorators and
annotations. Bodies are plain torch by the rules of the catalogue, so the copy depends on torch alone; the few pieces
that would not are replaced here.
"""

from __future__ import annotations

import ast
import builtins
import functools
import inspect
import math
import re
import sys
from collections.abc import Iterator
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch

from mxcompat.base import MXNetError
from mxcompat.convert.steps import Step, is_number, number_text, unique
from mxcompat.convert.translate import Call
from mxcompat.ops.schema import NoEffect, Operator, Params

__all__ = ["is_liftable", "lifted"]

#: modules that a copied body may use: object -> the name in the generated file and its import
_MODULES = {
    id(torch): ("torch", ""),
    id(torch.nn.functional): ("F", ""),
    id(np): ("np", "numpy"),
    id(math): ("math", "math"),
    id(functools): ("functools", "functools"),
}

_SUPPRESSION = '''\
def unsuppressed(boxes, areas, groups, counts, threshold, border, inclusive, limit):
    """Non-maximum suppression: which boxes (N, B, 4), best first, remain when each beats later ones of its group."""
    places = torch.arange(boxes.shape[1], device=boxes.device)
    taking_part = places < counts[:, None]

    def suppress(place, kept):
        box, area, group = boxes.index_select(1, place), areas.index_select(1, place), groups.index_select(1, place)
        low, high = torch.maximum(box[..., :2], boxes[..., :2]), torch.minimum(box[..., 2:], boxes[..., 2:])
        sides = (high - low + border).clamp(min=0)
        common = sides[..., 0] * sides[..., 1]
        overlap = common / (area + areas - common)
        beaten = overlap >= threshold if inclusive else overlap > threshold
        beaten = beaten & (group == groups) & (places > place) & kept.index_select(1, place)
        return place + 1, kept & ~beaten

    start = torch.zeros(1, dtype=torch.int64, device=boxes.device)
    if torch.compiler.is_compiling():  # an exported graph keeps the loop
        kept = torch.while_loop(lambda place, kept: place[0] < kept.shape[1], suppress, (start, taking_part))[1]
    else:
        kept = taking_part
        for place in range(boxes.shape[1]):
            kept = suppress(start + place, kept)[1]
    return kept & (kept.cumsum(1) <= limit)
'''

_PARAMS = '''\
class Params(dict):
    """Options by name."""

    __getattr__ = dict.__getitem__
'''

_TYPES = "float32 float64 float16 bfloat16 uint8 int8 int32 int64 bool"
_TORCH_BY_NAME = (
    f'TORCH_BY_NAME = {{name: getattr(torch, name) for name in "{_TYPES}".split()}}\n'
)

#: what is written instead of a name that the catalogue's modules have
_INSTEAD = {
    "unsuppressed": _SUPPRESSION,
    "Params": _PARAMS,
    "TORCH_BY_NAME": _TORCH_BY_NAME,
    "or_one": "def or_one(shape):\n    return tuple(shape) or (1,)\n",
    "taped": (
        "def taped(*tensors):\n"
        "    return torch.is_grad_enabled() and any(t.requires_grad for t in tensors)\n"
    ),
}


def lifted(call: Call) -> Step:
    """The step that calls the operator's own body; ``ConversionError`` where the body cannot leave mxcompat."""
    op = call.node.op
    assert op is not None
    reason = "it contains subgraphs" if call.node.subgraphs else _why_not(op)
    if reason:
        raise call.refuse(f"the operator cannot be converted: {reason}")
    lifter = _Lifter(call)
    name = lifter.take(sys.modules[op.fn.__module__], op.fn.__code__.co_name)
    given = [f"{{{i}}}" for i in range(len(call.inputs))]
    kwargs = {
        key: value
        for key, value in op.call_arguments(call.params, False, "cpu", call.outputs[0], explicit=True).items()
        if key not in op.params or not isinstance(op.params[key].kind, NoEffect)
    }
    numbers = {}
    for key, value in kwargs.items():
        if key == op.takes_mode:
            given.append(f"{key}={{training}}")
        elif key == op.takes_device:
            given.append(f"{key}={{like}}.device")
        elif is_number(value):
            numbers[key] = value
            given.append(f"{key}={{{key}}}")
        else:
            given.append(f"{key}={number_text(value)}")
    step = call.step(f"{name}({', '.join(given)})", **numbers)
    return _with_outputs(call, step)


def _why_not(op: Operator) -> str:
    """Why an operator's body cannot leave mxcompat; empty if it can."""
    is_of_the_program = op.instantiate is not None or op.name == "Custom"
    for is_so, reason in (
        (is_of_the_program, "it runs code of the program; --output NAME converts what is in front of it"),
        (op.commit is not None, "it has states of its own"),
        (bool(op.mutates), "it changes its inputs"),
        (bool(op.fn.__closure__), "it has no form in PyTorch here"),
    ):
        if is_so:
            return reason
    return ""


def is_liftable(op: Operator) -> bool:
    """Whether the operator's body can be taken over."""
    return op.symbolic and not _why_not(op)


def _with_outputs(call: Call, step: Step) -> Step:
    """Several outputs are unpacked; where only the first one is read, it is taken."""
    count = call.node.num_outputs()
    if count == 1:
        return step
    users = call.translator.users.get(id(call.node), [])
    read = {user.inputs[place][1] for user, place in users}
    read |= {index for node, index in call.translator.checkpoint.symbol._heads if node is call.node}
    if read <= {0}:
        step.text += "[0]"
    else:
        step.count = count
    return step


class _Lifter:
    """Copies definitions of the catalogue's modules into the generated file, each once, after what it needs."""

    def __init__(self, call: Call):
        self.call, self.helpers, self.imports = call, call.translator.helpers, call.translator.imports
        self.names: dict[tuple[str, str], str] = call.translator.lifted_names

    def take(self, module: ModuleType, name: str) -> str:
        """The name in the generated file of ``module.name``, whose definition is there then."""
        key = module.__name__, name
        if key in self.names:
            return self.names[key]
        if name in _INSTEAD:
            self.names[key] = name
            self.helpers[name] = _INSTEAD[name]
            return name
        node = _definitions(module).get(name)
        if node is None and isinstance(module.__dict__.get(name), (int, float)):  # one of several on a line
            self.names[key] = self._unused(name, module)
            self.helpers[self.names[key]] = f"{self.names[key]} = {module.__dict__[name]!r}\n"
            return self.names[key]
        if node is None:
            raise self.call.refuse(f"the operator cannot be converted: {module.__name__}.{name} has no plain definition")
        own = self.names[key] = self._unused(name, module)
        text = self._copied(module, node, name, own)
        self.helpers[own] = text
        return own

    def _unused(self, name: str, module: ModuleType) -> str:
        """A name for a definition that hides nothing."""
        taken = set(self.names.values()) | set(self.helpers) | _all_local_names(module) | set(dir(builtins))
        return next((found for found in (name.strip("_"), name) if found not in taken), unique(f"{name}_", taken))

    def _copied(self, module: ModuleType, node: ast.stmt, name: str, own: str) -> str:
        edits = [*self._references(module, node, name, own)]
        if not (isinstance(node, ast.ClassDef) and any("NamedTuple" in ast.unparse(base) for base in node.bases)):
            edits += _annotations(node)
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            place = _source(module)[node.lineno - 1].index(name, node.col_offset)
            edits.append((node.lineno, place, node.lineno, place + len(name), own))
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            edits.append((*_span(node.targets[0] if isinstance(node, ast.Assign) else node.target), own))
        text = _edited(_source(module), node, edits)
        return re.sub(r"  # (noqa|fmt|type):.*", "", text).replace("# Compat: ", "# ") + "\n"

    def _references(self, module: ModuleType, node: ast.stmt, name: str, own: str) -> Iterator[tuple]:
        """Edits that make the names of the module those of the generated file."""
        local = _local_names(node)
        skipped: set[int] = {id(part) for root in _annotation_nodes(node) for part in ast.walk(root)}
        skipped |= {id(part) for root in getattr(node, "decorator_list", []) for part in ast.walk(root)}
        for part in ast.walk(node):
            if id(part) in skipped:
                continue
            if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name) and part.value.id not in local:
                owner = getattr(module, part.value.id, None)
                if isinstance(owner, ModuleType) and owner.__name__.startswith("mxcompat."):
                    skipped.add(id(part.value))
                    yield (*_span(part), self.take(owner, part.attr))
            elif isinstance(part, ast.Name) and part.id not in local:
                yield (*_span(part), own if part.id == name else self._renamed(module, part.id))

    def _renamed(self, module: ModuleType, name: str) -> str:
        if name not in module.__dict__:
            if hasattr(builtins, name):
                return name
            raise self.call.refuse(f"the operator cannot be converted: {name} is not defined in {module.__name__}")
        value = module.__dict__[name]
        if id(value) in _MODULES:
            alias, statement = _MODULES[id(value)]
            self.imports.add(statement)
            return alias
        if value is MXNetError:
            return "ValueError"
        if value is NamedTuple:
            self.imports.add("NamedTuple")
            return name
        if isinstance(value, ModuleType):
            raise self.call.refuse(f"the operator cannot be converted: it needs the module {value.__name__}")
        home = _home(module, name, value)
        return self.take(*home)


def _home(module: ModuleType, name: str, value: Any) -> tuple[ModuleType, str]:
    """Where something that a module names is defined, and under what name."""
    if value is Params:
        return module, "Params"
    if name in _definitions(module):
        return module, name
    if isinstance(value, (FunctionType, type)):
        return sys.modules[value.__module__], value.__name__
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return sys.modules[node.module], alias.name
    return module, name


@functools.cache
def _source(module: ModuleType) -> list[str]:
    return inspect.getsource(module).splitlines()


@functools.cache
def _definitions(module: ModuleType) -> dict[str, ast.stmt]:
    """The functions, classes and constants at the top of a module, by name."""
    found: dict[str, ast.stmt] = {}
    for node in ast.parse("\n".join(_source(module))).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found[node.name] = node
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = node
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            found[node.target.id] = node
    return found


def _span(node: Any) -> tuple[int, int, int, int]:
    return node.lineno, node.col_offset, node.end_lineno, node.end_col_offset


def _annotation_nodes(node: ast.stmt) -> Iterator[ast.expr]:
    for part in ast.walk(node):
        if isinstance(part, ast.FunctionDef) and part.returns is not None:
            yield part.returns
        if isinstance(part, ast.arg) and part.annotation is not None:
            yield part.annotation
        if isinstance(part, ast.AnnAssign):
            yield part.annotation


def _annotations(node: ast.stmt) -> Iterator[tuple]:
    """Edits that take annotations away."""
    defaults = {id(arg): default for part in ast.walk(node) for arg, default in _defaults(part)}
    for part in ast.walk(node):
        if isinstance(part, ast.arg) and part.annotation is not None:
            start, default = part.col_offset + len(part.arg), defaults.get(id(part))
            if default is None:
                yield part.lineno, start, part.annotation.end_lineno, part.annotation.end_col_offset, ""
            else:
                yield part.lineno, start, default.lineno, default.col_offset, "="
        if isinstance(part, ast.FunctionDef) and part.returns is not None:
            end = part.returns
            last = _last_argument(part)
            yield last[0], last[1], end.end_lineno, end.end_col_offset, ")"
        if isinstance(part, ast.AnnAssign):
            target = part.target
            yield target.end_lineno, target.end_col_offset, part.annotation.end_lineno, part.annotation.end_col_offset, ""


def _defaults(part: ast.AST) -> Iterator[tuple[ast.arg, ast.expr]]:
    """The arguments of a function that have defaults, with these."""
    if isinstance(part, ast.FunctionDef):
        positional = [*part.args.posonlyargs, *part.args.args]
        yield from zip(positional[len(positional) - len(part.args.defaults) :], part.args.defaults)
        yield from ((arg, value) for arg, value in zip(part.args.kwonlyargs, part.args.kw_defaults) if value is not None)


def _last_argument(function: ast.FunctionDef) -> tuple[int, int]:
    """Where the argument list ends, before its closing bracket (functions with return annotations fit on one line)."""
    args = function.args
    parts: list[Any] = [*args.posonlyargs, *args.args, *args.kwonlyargs, *args.defaults, *args.kw_defaults]
    ends = [(part.end_lineno, part.end_col_offset) for part in [*parts, args.vararg, args.kwarg] if part is not None]
    return max(ends) if ends else (function.lineno, function.col_offset + len(f"def {function.name}("))


@functools.cache
def _all_local_names(module: ModuleType) -> frozenset[str]:
    """Arguments and variables of all functions of a module: a definition of such a name would be hidden there."""
    return frozenset().union(*(_local_names(node, True) for node in _definitions(module).values()))


def _local_names(node: ast.stmt, without_own: bool = False) -> set[str]:
    """Names that are arguments or assigned somewhere inside, that of a constant itself among them."""
    names: set[str] = set()
    for part in ast.walk(node):
        if isinstance(part, ast.arg):
            names.add(part.arg)
        elif isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
            names.add(part.id)
        elif isinstance(part, ast.FunctionDef) and part is not node:
            names.add(part.name)
    if isinstance(node, (ast.Assign, ast.AnnAssign)):
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        assert isinstance(target, ast.Name)
        (names.discard if without_own else names.add)(target.id)
    return names


def _edited(lines: list[str], node: ast.stmt, edits: list[tuple]) -> str:
    """The text of a definition with (line, column, end line, end column, new text) applied, the last one first."""
    assert node.end_lineno is not None
    text = {number: lines[number - 1] for number in range(node.lineno, node.end_lineno + 1)}
    for line, column, end_line, end_column, new in sorted(set(edits), reverse=True):
        if line == end_line and text[line][column:end_column] == new:
            continue
        tail = _cut(text[end_line], end_column, True)
        text[line] = _cut(text[line], column, False) + new + tail
        for number in range(line + 1, end_line + 1):
            text.pop(number, None)
    return "\n".join(line.rstrip() for _, line in sorted(text.items()))


def _cut(line: str, column: int, is_tail: bool) -> str:
    """Part of a line by a column of the syntax tree, which counts bytes."""
    raw = line.encode()
    return (raw[column:] if is_tail else raw[:column]).decode()
