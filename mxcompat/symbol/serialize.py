"""Graphs to and from JSON text, and the listing that ``debug_str`` prints."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence

from mxcompat.base import MXNetError
from mxcompat.formats import symbol_json
from mxcompat.ops import registry
from mxcompat.ops.schema import Params
from mxcompat.scope import is_np_shape
from mxcompat.symbol.node import Entry, Node, is_user_attribute, topological
from mxcompat.symbol.subgraph import Subgraph

#: operator -> outputs that the original counts, those for its own use included
_INTERNAL_OUTPUTS: dict[str, int | Callable[[Params], int]] = {
    "CTCLoss": 2,
    "GroupNorm": 3,
    "InstanceNorm": 3,
    "L2Normalization": 2,
    "LRN": 2,
    "LayerNorm": 3,
    "Pooling": lambda params: 2 if params.pool_type == "max" and params.layout is None else 1,
    "_linalg_det": 3,
    "_linalg_slogdet": 4,
    "sort": 2,
    "topk": lambda params: 2 if params.ret_typ == "value" else 1,
}


def to_json(heads: Sequence[Entry]) -> str:
    """The JSON text of a graph."""
    graph = _graph_data(heads)
    marks = {"is_np_shape": ("int", 1)} if is_np_shape() else None
    return symbol_json.render(graph.nodes, graph.heads, graph.node_outputs or [], attrs=marks)


def _graph_data(heads: Sequence[Entry]) -> symbol_json.GraphData:
    order = topological(heads)
    place = {id(node): i for i, node in enumerate(order)}
    nodes = [
        symbol_json.NodeData(
            "null" if node.op is None else node.op.name,
            node.name,
            node.attrs,
            [(place[id(child)], index, v) for (child, index), v in zip(node.inputs, node.input_versions)],
            subgraphs=[_graph_data(subgraph.heads) for subgraph in node.subgraphs],
        )
        for node in order
    ]
    edges = [(place[id(node)], index, 0) for node, index in heads]
    return symbol_json.GraphData(nodes, edges, node_outputs=[_counted_outputs(node) for node in order])


def _counted_outputs(node: Node) -> int:
    """How many outputs files count: some operators of the original have more, for their own use, than those here."""
    count = node.num_outputs()
    if node.op is None or node.op.name not in _INTERNAL_OUTPUTS:
        return count
    counted = _INTERNAL_OUTPUTS[node.op.name]
    return max(count, counted if isinstance(counted, int) else counted(node.params))


def from_file(path: str | os.PathLike) -> list[Entry]:
    """The heads of the graph in a file."""
    return _build(symbol_json.load(path))


def from_json(text: str, source: str) -> list[Entry]:
    """The heads of the graph in a JSON text; ``source`` names it in errors."""
    return _build(symbol_json.parse(text, source))


def _input_names(op_name: str, attrs: dict[str, str]) -> list[str] | None:
    op = registry.find(op_name)
    if op is None:
        return None
    return list(op.input_names(op.parse({k: v for k, v in attrs.items() if not is_user_attribute(k)})))


def _variable_attrs(op_name: str, attrs: dict[str, str], place: int) -> dict[str, str]:
    op = registry.find(op_name)
    if op is None or op.variadic is not None:
        return {}
    names = _input_names(op_name, attrs) or []
    return op.variable_attributes.get(names[place], {}) if place < len(names) else {}


def _build(graph: symbol_json.GraphData) -> list[Entry]:
    graph = symbol_json.upgrade(graph, _input_names, _variable_attrs)
    old_shapes = is_np_shape() and not graph.attrs.get("is_np_shape", ("int", 0))[1]
    nodes: list[Node] = []
    for data in graph.nodes:
        op = None
        if not data.is_variable:
            try:
                op = registry.get(data.op)
            except MXNetError as error:
                raise MXNetError(f"{graph.source}: node {data.name}: {error}") from None
        inputs = [(nodes[source], index) for source, index, *_ in data.inputs]
        attrs = _current_shape(data.attrs) if old_shapes else dict(data.attrs)
        subgraphs = [Subgraph(_build(subgraph)) for subgraph in data.subgraphs]
        versions = [version for _, _, version in data.inputs]
        node = Node(op, data.name, attrs, inputs, versions, subgraphs=subgraphs)
        _check(node, graph.source)
        nodes.append(node)
    heads = [(nodes[source], index) for source, index, *_ in graph.heads]
    for node, index in heads:
        _check_output(node, index, f"{graph.source}: a head")
    return heads


def _current_shape(attrs: dict[str, str]) -> dict[str, str]:
    """The attributes with a ``__shape__`` of before NumPy shape semantics, where 0 and () are unknown, in their terms."""
    if "__shape__" not in attrs:
        return dict(attrs)
    sizes = tuple(int(dim) or -1 for dim in re.findall(r"-?\d+", attrs["__shape__"]))
    return {**attrs, "__shape__": str(sizes or None)}


def _check(node: Node, source: str) -> None:
    for child, index in node.inputs:
        _check_output(child, index, f"{source}: node {node.name}")
    if node.op is not None:
        try:
            node.params  # noqa: B018  (parsing validates)
        except MXNetError as error:
            raise MXNetError(f"{source}: {error}") from None
        # Compat: a node with too few inputs loads and fails on inference; without its states the original crashes.
        wanted = max(node.aux_inputs(), default=-1) + 1
        if wanted > len(node.inputs):
            raise MXNetError(
                f"{source}: node {node.name}: {node.op.name} has {len(node.inputs)} inputs, expected {wanted} with its states"
            )


def _check_output(node: Node, index: int, reader: str) -> None:
    if index >= node.num_outputs():
        raise MXNetError(f"{reader} reads output {index} of {node.name}, which has {node.num_outputs()}")


def without_amp_cast(heads: Sequence[Entry]) -> list[Entry]:
    """The graph with ``amp_cast`` and ``amp_multicast`` nodes skipped by their consumers (as heads they stay)."""
    order = topological(heads)
    if not any(node.op is not None and node.op.name in ("amp_cast", "amp_multicast") for node in order):
        return list(heads)
    copies: dict[int, Node] = {}
    skipped: dict[tuple[int, int], Entry] = {}

    def moved(entry: Entry) -> Entry:
        node, index = entry
        return skipped.get((id(node), index), (copies[id(node)], index))

    for node in order:
        copy = copies[id(node)] = Node(
            node.op, node.name, dict(node.attrs), [moved(e) for e in node.inputs], node.input_versions, node._params,
            node.subgraphs,
        )  # fmt: skip
        if node.op is not None and node.op.name in ("amp_cast", "amp_multicast"):
            skipped.update({(id(node), index): entry for index, entry in enumerate(copy.inputs)})
    return [(copies[id(node)], index) for node, index in heads]


def debug_text(heads: Sequence[Entry]) -> str:
    """Outputs, then every node in order: variables, and operators with their inputs and attributes."""
    lines = ["Symbol Outputs:"]
    lines += [f"\toutput[{i}]={node.name}({index})" for i, (node, index) in enumerate(heads)]
    for node in topological(heads):
        if node.op is None:
            lines.append(f"Variable:{node.name}")
            continue
        lines += ["-" * 20, f"Op:{node.op.name}, Name={node.name}", "Inputs:"]
        for i, (child, index) in enumerate(node.inputs):
            version = " version=0" if child.op is None else ""
            lines.append(f"\targ[{i}]={child.name}({index}){version}")
        if node.attrs:
            lines.append("Attrs:")
            lines += [f"\t{key}={value}" for key, value in sorted(node.attrs.items())]
    return "\n".join(lines) + "\n"
