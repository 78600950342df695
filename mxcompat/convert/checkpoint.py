"""A checkpoint, checked: the symbol, its arrays, and the shapes and types of everything at the given input shapes."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mxcompat import context
from mxcompat import ndarray as nd
from mxcompat import symbol as sym
from mxcompat.base import MXNetError
from mxcompat.convert import ConversionError
from mxcompat.convert.steps import Variable
from mxcompat.formats import symbol_json
from mxcompat.model import load_params
from mxcompat.ops.dtypes import NAME_BY_TORCH, TORCH_BY_NAME
from mxcompat.ops.shape import is_known
from mxcompat.symbol.infer import infer_shapes, infer_types
from mxcompat.symbol.node import Node, topological

__all__ = ["Checkpoint", "load", "make", "reference_outputs", "seeded_inputs"]

#: output layers whose second input is a label
LABELLED = {"SoftmaxOutput", "LinearRegressionOutput", "LogisticRegressionOutput", "MAERegressionOutput", "SVMOutput"}


@dataclass
class Checkpoint:
    """A symbol with its arrays, bound to input shapes. ``shapes`` and ``types`` are those of node outputs, by node id."""

    name: str
    symbol: Any
    arrays: dict[str, Any]
    order: list[Node]
    shapes: dict[int, list[tuple[int, ...]]]
    types: dict[int, list[str]]
    variables: dict[str, Variable]
    left_out: list[str]

    def by_role(self, *roles: str) -> list[Variable]:
        return [variable for variable in self.variables.values() if variable.role in roles]


def load(
    prefix: str, epoch: int, shapes: Mapping[str, tuple[int, ...]], outputs: Sequence[str] = ()
) -> Checkpoint:
    """The checkpoint ``prefix-symbol.json`` and ``prefix-0001.params``; ``ConversionError`` says what is wrong with it.

    ``outputs`` name nodes or outputs inside of the symbol that become those of the network.
    """
    for path in (f"{prefix}-symbol.json", f"{prefix}-{epoch:04d}.params"):
        if not os.path.isfile(path):
            raise ConversionError(f"{path}: no such file (PREFIX and EPOCH name PREFIX-symbol.json and PREFIX-EPOCH.params)")
    try:
        symbol = _cut(f"{prefix}-symbol.json", outputs) if outputs else sym.load(f"{prefix}-symbol.json")
        arrays, aux = load_params(prefix, epoch)
    except (MXNetError, ValueError, OSError) as error:
        advice = "; --output NAME converts what is in front of it" if "custom operator" in str(error) else ""
        raise ConversionError(f"{error}{advice}") from error
    return make(symbol, {**arrays, **aux}, shapes, os.path.basename(prefix) or "net")


def _cut(path: str, outputs: Sequence[str]) -> Any:
    """The symbol up to some of its inner outputs; what comes after them need not be known here."""
    graph = symbol_json.load(path)
    places = {node.name: place for place, node in enumerate(graph.nodes)}
    heads = [places.get(name, places.get(name.rpartition("_")[0])) for name in outputs]
    for name, head in zip(outputs, heads):
        if head is None:
            raise _no_output(name, list(places))
    needed: set[int] = set()
    stack = [head for head in heads if head is not None]
    while stack:
        place = stack.pop()
        if place not in needed:
            needed.add(place)
            stack += [source for source, *_ in graph.nodes[place].inputs]
    moved = {place: number for number, place in enumerate(sorted(needed))}
    nodes = [graph.nodes[place] for place in moved]
    for node in nodes:
        node.inputs = [(moved[edge[0]], *edge[1:]) for edge in node.inputs]
        node.control_deps = [moved[place] for place in node.control_deps if place in moved]
    edges = [(moved[head], 0, 0) for head in heads if head is not None]
    text = symbol_json.render(nodes, edges, [1] * len(nodes), graph.version, graph.attrs)
    internals = sym.load_json(text).get_internals()
    names = internals.list_outputs()
    found = []
    for name in outputs:
        full = next((known for known in (name, f"{name}_output") if known in names), None)
        if full is None:
            raise _no_output(name, names)
        found.append(internals[full])
    return found[0] if len(found) == 1 else sym.Group(found)


def _no_output(name: str, known: list[str]) -> ConversionError:
    close = difflib.get_close_matches(name, known, 5) or known[-5:]
    return ConversionError(f"--output {name}: the symbol has no such output; it has {', '.join(close)}")


def make(
    symbol: Any,
    arrays: Mapping[str, Any],
    shapes: Mapping[str, tuple[int, ...]],
    name: str,
    types: Mapping[str, str] | None = None,
) -> Checkpoint:
    """The checkpoint of a symbol and its arrays (NDArray by name) at the given input shapes (and types, float32 else)."""
    order = topological(symbol._heads)
    nodes = {node.name: node for node in order if node.op is None}
    unknown = [key for key in shapes if key not in nodes]
    if unknown:
        free = [key for key in nodes if key not in arrays]
        raise ConversionError(f"--shape {unknown[0]}: the symbol has no such input; it has {_listed(free)}")
    given = {id(nodes[key]): tuple(shape) for key, shape in shapes.items()}
    known = {key: array for key, array in arrays.items() if key in nodes and key not in shapes}
    given.update((id(nodes[key]), tuple(array.shape)) for key, array in known.items())
    kinds = {id(nodes[key]): TORCH_BY_NAME[np.dtype(array.dtype).name] for key, array in known.items()}
    kinds.update((id(nodes[key]), TORCH_BY_NAME[kind]) for key, kind in (types or {}).items())
    found_shapes, found_types = _infer(order, given, kinds)
    aux = set(symbol.list_auxiliary_states())
    variables = {}
    for key, node in nodes.items():
        shape, dtype = tuple(found_shapes[id(node)][0]), found_types[id(node)][0]
        role = _role(node, key in known, key in shapes, key in aux, order)
        if not role:
            raise _missing(key, shape, arrays, nodes)
        variables[key] = Variable(key, role, shape, dtype)
    left_out = sorted(key for key in arrays if key not in nodes)
    return Checkpoint(name, symbol, known, order, found_shapes, found_types, variables, left_out)


def _infer(order: list[Node], given: dict, kinds: dict) -> tuple[dict, dict]:
    try:
        shapes = infer_shapes(order, given)
        types = infer_types(order, kinds)
    except MXNetError as error:
        raise ConversionError(f"symbol, parameters and --shape disagree: {error}") from error
    unknown = [node for node in order if not all(map(is_known, shapes[id(node)]))]
    if unknown:
        wanted = [node.name for node in unknown if node.op is None] or [node.name for node in unknown]
        raise ConversionError(
            f"the shape of {_listed(wanted)} does not follow from the others; give --shape NAME=SIZE,SIZE,…"
        )
    names = {key: [NAME_BY_TORCH[t or torch.float32] for t in found] for key, found in types.items()}
    return shapes, names


def _role(node: Node, stored: bool, given: bool, is_aux: bool, order: list[Node]) -> str:
    """What a variable is for; empty where nothing says it. Labels are what output layers alone read as such."""
    if stored:
        return "buffer" if is_aux else "parameter"
    uses = [(user.op, i) for user in order for i, (child, _) in enumerate(user.inputs) if child is node]
    if node.name.endswith("label") or all(op is not None and op.name in LABELLED and i == 1 for op, i in uses):
        return "label"
    return "input" if given else ""


def _missing(name: str, shape: tuple, arrays: Mapping[str, Any], nodes: Mapping[str, Node]) -> ConversionError:
    text = f"{name} is in the symbol, but not in the parameter file"
    spare = [key for key in arrays if key not in nodes]
    if spare:
        return ConversionError(
            f"{text}, which has {_listed(spare)} that the symbol does not know: do the two belong together?"
        )
    return ConversionError(f"{text}; if it is an input, add --shape {name}={','.join(map(str, shape))}")


def _listed(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "") if names else "none"


# -- numbers ----------------------------------------------------------------------------------------------------------


def seeded_inputs(checkpoint: Checkpoint, seed: int) -> dict[str, np.ndarray]:
    """Values for inputs and labels: normal ones, or whole numbers below the size of what they look up."""
    generator = np.random.default_rng(seed)
    bounds = _index_bounds(checkpoint)
    values = {}
    for variable in checkpoint.by_role("input", "label"):
        bound = bounds.get(variable.name)
        if bound is None and variable.role == "input":
            values[variable.name] = generator.standard_normal(variable.shape).astype(variable.dtype)
        else:
            values[variable.name] = generator.integers(0, bound or 2, variable.shape).astype(variable.dtype)
    return values


#: operators that hand indices on as they are
_PASSING = {"Reshape", "transpose", "SwapAxis", "Flatten", "SliceChannel", "slice_axis", "Cast", "expand_dims", "Concat"}
_PASSING |= {"slice", "squeeze", "_split_v2", "broadcast_axis", "_copy", "BlockGrad", "SequenceReverse", "stack"}


def _index_bounds(checkpoint: Checkpoint) -> dict[str, int]:
    """variable -> how many entries the table has that it is used to look up."""
    bounds: dict[int, int] = {}
    for node in reversed(checkpoint.order):
        if node.op is None:
            continue
        if node.op.name == "Embedding":
            bounds[id(node.inputs[0][0])] = node.params.input_dim
        elif node.op.name == "one_hot":
            bounds[id(node.inputs[0][0])] = node.params.depth
        elif node.op.name == "take":
            table, index = node.inputs[0]
            bounds[id(node.inputs[1][0])] = checkpoint.shapes[id(table)][index][node.params.axis]
        elif node.op.name in ("pick", "batch_take"):
            table, index = node.inputs[0]
            bounds[id(node.inputs[1][0])] = checkpoint.shapes[id(table)][index][-1]
        elif node.op.name in _PASSING and id(node) in bounds:
            bounds.update((id(child), bounds[id(node)]) for child, _ in node.inputs)
    return {node.name: bounds[id(node)] for node in checkpoint.order if node.op is None and id(node) in bounds}


def reference_outputs(checkpoint: Checkpoint, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """What mxcompat itself computes in inference."""
    cpu = context.cpu()
    bound = {**checkpoint.arrays, **{key: nd.array(value, dtype=value.dtype) for key, value in inputs.items()}}
    aux = checkpoint.symbol.list_auxiliary_states()
    arguments = {key: bound[key] for key in checkpoint.symbol.list_arguments()}
    executor = checkpoint.symbol.bind(cpu, arguments, grad_req="null", aux_states={key: bound[key] for key in aux})
    return [output.asnumpy() for output in executor.forward(is_train=False)]
