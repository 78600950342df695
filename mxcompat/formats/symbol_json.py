"""Symbol JSON (``-symbol.json``): the text of every MXNet version to plain nodes, and back to the text of 1.9.1.

What this module knows is the format; what depends on operators (how many inputs, their names) comes from the caller
through callbacks, see ``upgrade``.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mxcompat.base import MXNetError

__all__ = ["GraphData", "NodeData", "load", "parse", "render", "upgrade"]

#: (node index, output index, version); the version counts how often operators have changed a variable before this use
Edge = tuple[int, int, int]

CURRENT_VERSION = 10901
OLDEST_VERSION = 800  # of a file that does not tell: the mark came with 0.9
HIDDEN_KEYS = ("ctx_group", "lr_mult", "wd_mult", "force_mirroring", "mirror_stage")

GRAPH_KEYS = {"nodes", "arg_nodes", "heads", "node_row_ptr", "attrs"}
NODE_KEYS = {"op", "name", "inputs", "attrs", "attr", "param", "control_deps", "subgraphs", "backward_source_id"}

logger = logging.getLogger(__name__)


@dataclass
class NodeData:
    """One node: an operator, or a variable when ``op`` is ``"null"``; every attribute value is a string."""

    op: str
    name: str
    attrs: dict[str, str] = field(default_factory=dict)
    inputs: list[Edge] = field(default_factory=list)
    control_deps: list[int] = field(default_factory=list)
    subgraphs: list[GraphData] = field(default_factory=list)

    @property
    def is_variable(self) -> bool:
        return self.op == "null"


@dataclass
class GraphData:
    """A graph: nodes in an order where inputs come first, its outputs, and the version of the writer.

    ``version`` is major * 10000 + minor * 100 + patch. ``attrs`` holds the other marks of the file as (type, value).
    ``node_outputs`` is the count of outputs of each node as the file tells it, or None.
    """

    nodes: list[NodeData]
    heads: list[Edge]
    version: int = CURRENT_VERSION
    attrs: dict[str, Any] = field(default_factory=dict)
    node_outputs: list[int] | None = None
    source: str = "<symbol>"


def load(path: str | os.PathLike) -> GraphData:
    """The graph in a file; ``MXNetError`` for one that cannot be read or is damaged."""
    try:
        with open(path, "rb") as stream:
            content = stream.read()
    except OSError as error:
        raise MXNetError(f"{os.fspath(path)}: cannot be read: {error.strerror}") from error
    return parse(content, os.fspath(path))


def parse(text: str | bytes, source: str = "<symbol>") -> GraphData:
    """The graph of a JSON text of any version from 0.8 to 2.0, not upgraded yet; ``source`` names it in messages.

    ``param``, ``attr`` and ``attrs`` of a node become one map (``param`` gives way, of the others the later one wins),
    edges without a version get 0. Raises ``MXNetError`` naming the node for what is missing, unknown, of the wrong
    type or out of range, and for an input that does not come before its node. Text behind the graph is reported by
    the logger ``mxcompat.formats.symbol_json`` and ignored.
    """
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            raise MXNetError(f"{source}: offset {error.start}: this is not UTF-8 text") from None
    try:
        # The original writes control characters as they are, which strict JSON forbids.
        decoder = json.JSONDecoder(object_pairs_hook=_unique_keys, parse_constant=_refuse_constant, strict=False)
        start = len(text) - len(text.lstrip(" \t\r\n"))
        content, end = decoder.raw_decode(text, start)
        if "\\ud" in text.lower():
            json.dumps(content, ensure_ascii=False).encode("utf-8")  # refuses half of a surrogate pair
        graph = _parse_graph(content, source)
    except json.JSONDecodeError as error:
        raise MXNetError(
            f"{source}: line {error.lineno} column {error.colno}: this is no symbol JSON: {error.msg}"
        ) from None
    except RecursionError:
        raise MXNetError(f"{source}: the JSON is nested too deeply") from None
    except ValueError as error:
        raise MXNetError(f"{source}: {error}") from None
    if text[end:].strip(" \t\r\n\0"):
        logger.warning("%s: %d characters behind the graph are ignored", source, len(text) - end)
    if graph.version > CURRENT_VERSION:
        logger.warning("%s: written by MXNet version %d, newer than %d", source, graph.version, CURRENT_VERSION)
    return graph


def _refuse_constant(text: str) -> None:
    raise ValueError(f"{text} is no number of JSON")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} occurs twice in one object")
    return content


def _parse_graph(content: Any, where: str, default_version: int = OLDEST_VERSION) -> GraphData:
    _check_keys(content, where, GRAPH_KEYS, ("nodes", "arg_nodes", "heads"))
    version, attrs = _parse_marks(content.get("attrs", {}), where, default_version)
    listed = _list_of(content["nodes"], f"{where}: nodes")
    nodes = [_parse_node(node, index, len(listed), where, version) for index, node in enumerate(listed)]
    for index in _indices(content["arg_nodes"], len(nodes), f"{where}: arg_nodes"):
        if not nodes[index].is_variable:
            raise MXNetError(f"{where}: arg_nodes names node {index}, which is no variable but {nodes[index].op}")
    heads = [
        _parse_edge(head, len(nodes), f"{where}: heads entry {index}")
        for index, head in enumerate(_list_of(content["heads"], f"{where}: heads"))
    ]
    return GraphData(nodes, heads, version, attrs, _node_outputs(content.get("node_row_ptr"), len(nodes)), where)


def _check_keys(content: Any, where: str, known: set[str], required: Sequence[str]) -> None:
    if not isinstance(content, dict):
        raise MXNetError(f"{where}: expected a JSON object, found {_kind(content)}")
    for key in required:
        if key not in content:
            raise MXNetError(f"{where}: the key {key!r} is missing")
    unknown = sorted(set(content) - known)
    if unknown:
        raise MXNetError(f"{where}: unknown key {unknown[0]!r}, expected {', '.join(sorted(known))}")


def _parse_marks(content: Any, where: str, default_version: int) -> tuple[int, dict[str, Any]]:
    """The version and the other marks of a graph; a subgraph has none and is of the version around it."""
    if not isinstance(content, dict):
        raise MXNetError(f"{where}: attrs is {_kind(content)}, expected a JSON object")
    for key, value in content.items():
        if not (isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)):
            raise MXNetError(f"{where}: attrs entry {key!r} is {value!r}, expected [type, value]")
    version = content.get("mxnet_version", ("int", default_version))[1]
    if type(version) is not int:
        raise MXNetError(f"{where}: mxnet_version is {version!r}, expected a whole number")
    return version, {key: tuple(value) for key, value in content.items() if key != "mxnet_version"}


def _node_outputs(row_ptr: Any, count: int) -> list[int] | None:
    """The outputs of each node by ``node_row_ptr``; the original ignores that key, so a wrong one counts as absent."""
    if not isinstance(row_ptr, list) or len(row_ptr) != count + 1 or any(type(entry) is not int for entry in row_ptr):
        return None
    return [after - before for before, after in itertools.pairwise(row_ptr)]


def _parse_node(content: Any, index: int, count: int, where: str, version: int) -> NodeData:
    label = f"{where}: node {index}"
    _check_keys(content, label, NODE_KEYS, ("op", "name", "inputs"))
    for key in ("op", "name"):
        if not isinstance(content[key], str):
            raise MXNetError(f"{label}: {key} is {_kind(content[key])}, expected a string")
    label += f" ({content['op']} {content['name']!r})"
    inputs = [
        _parse_edge(edge, count, f"{label}: input {place}")
        for place, edge in enumerate(_list_of(content["inputs"], f"{label}: inputs"))
    ]
    control_deps = _indices(content.get("control_deps", []), count, f"{label}: control_deps")
    for source in [edge[0] for edge in inputs] + control_deps:
        if source >= index:
            raise MXNetError(f"{label}: it takes node {source}, which does not come before it")
    if inputs and content["op"] == "null":
        raise MXNetError(f"{label}: a variable has no inputs, found {len(inputs)}")
    if type(content.get("backward_source_id", -1)) is not int:
        raise MXNetError(f"{label}: backward_source_id is {content['backward_source_id']!r}, expected a whole number")
    subgraphs = [
        _parse_graph(graph, f"{label}: subgraph {place}", version)
        for place, graph in enumerate(_list_of(content.get("subgraphs", []), f"{label}: subgraphs"))
    ]
    return NodeData(content["op"], content["name"], _merged_attrs(content, label), inputs, control_deps, subgraphs)


def _merged_attrs(content: dict[str, Any], label: str) -> dict[str, str]:
    """``param``, then ``attr`` and ``attrs`` in the order of the file, as one map."""
    merged: dict[str, str] = {}
    for key in ["param"] + [key for key in content if key in ("attr", "attrs")]:
        attrs = content.get(key, {})
        if not isinstance(attrs, dict):
            raise MXNetError(f"{label}: {key} is {_kind(attrs)}, expected a JSON object")
        for name, value in attrs.items():
            if not isinstance(value, str):
                raise MXNetError(f"{label}: the value of {name!r} is {value!r}, expected a string")
            merged[name] = value
    return merged


def _parse_edge(content: Any, count: int, label: str) -> Edge:
    if not isinstance(content, list) or len(content) not in (2, 3) or any(type(entry) is not int for entry in content):
        raise MXNetError(f"{label} is {content!r}, expected [node, output] or [node, output, version]")
    node, output, version = content if len(content) == 3 else (*content, 0)
    if not 0 <= node < count:
        raise MXNetError(f"{label} names node {node}, the graph has {count} nodes")
    if output < 0 or version < 0:
        raise MXNetError(f"{label} is {content!r}, output and version cannot be negative")
    return node, output, version


def _indices(content: Any, count: int, label: str) -> list[int]:
    for index in _list_of(content, label):
        if type(index) is not int or not 0 <= index < count:
            raise MXNetError(f"{label} holds {index!r}, expected node numbers below {count}")
    return list(content)


def _list_of(content: Any, label: str) -> list[Any]:
    if not isinstance(content, list):
        raise MXNetError(f"{label}: expected a list, found {_kind(content)}")
    return content


def _kind(content: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "a truth value", type(None): "null"}
    return kinds.get(type(content), "a number")


#: names of the inputs of an operator with these attributes, None for one whose inputs have no fixed names
InputNames = Callable[[str, dict[str, str]], "Sequence[str] | None"]
#: attributes that an operator gives to the variable feeding the input of this number (``__init__``)
VariableAttrs = Callable[[str, dict[str, str], int], dict[str, str]]
NamesOf = Callable[[NodeData], "Sequence[str] | None"]


def upgrade(graph: GraphData, input_names: InputNames, variable_attrs: VariableAttrs) -> GraphData:
    """The graph as the current version would have stored it; ``graph`` itself stays as it is.

    Of any older version: bare keys such as ``lr_mult`` become ``__lr_mult__``, and ``weight_lr_mult`` on an operator
    moves to the variable of that input. Below 0.9: inputs that the file lacks become variables. Below 0.9.4: variables
    get what their operator says of their initial value. Below 0.9.5: ``axis`` = -1 of argmax and argmin goes.
    A file of the current or a later version is taken as it is (Compat: bare keys in it stay bare).
    """

    def ask(node: NodeData, callback: Callable, *more: Any) -> Any:
        try:
            return callback(node.op, node.attrs, *more)
        except MXNetError as error:
            raise MXNetError(f"{graph.source}: node {node.name!r}: {error}") from None

    nodes = [replace(node, attrs=dict(node.attrs), inputs=list(node.inputs)) for node in graph.nodes]
    result = replace(graph, nodes=nodes, version=max(graph.version, CURRENT_VERSION))
    if graph.version < CURRENT_VERSION:
        _rename_hidden_keys(nodes, lambda node: ask(node, input_names))
    if graph.version < 900:
        result = _add_missing_inputs(result, lambda node: ask(node, input_names))
    if graph.version < 904:
        _set_variable_attrs(result.nodes, lambda node, place: ask(node, variable_attrs, place))
    if graph.version < 905:
        for node in result.nodes:
            if node.op in ("argmax", "argmin") and node.attrs.get("axis") == "-1":
                del node.attrs["axis"]
    return result


def _rename_hidden_keys(nodes: list[NodeData], names_of: NamesOf) -> None:
    for node in nodes:
        hidden = {key: value for key, value in node.attrs.items() if _hidden_key(key)}
        for key in hidden:
            del node.attrs[key]
        for key, value in hidden.items():
            owner, bare = _hidden_key_owner(nodes, node, key, names_of)
            if owner is None:
                node.attrs[key] = value
            else:
                owner.attrs[f"__{bare}__"] = value


def _hidden_key(key: str) -> str | None:
    """The hidden key that ``key`` is or ends with, or None."""
    return next((bare for bare in HIDDEN_KEYS if key.endswith(bare)), None)


def _hidden_key_owner(
    nodes: list[NodeData], node: NodeData, key: str, names_of: NamesOf
) -> tuple[NodeData | None, str]:
    """The node a bare key belongs to: the node itself, or the variable of the input that the key names."""
    bare = _hidden_key(key) or ""
    if key == bare:
        return node, bare
    prefix = key[: -len(bare) - 1]
    names = None if node.is_variable or not prefix else names_of(node)
    if names is None or prefix not in names:
        return None, bare
    place = list(names).index(prefix)
    variable = nodes[node.inputs[place][0]] if place < len(node.inputs) else None
    return (variable if variable is not None and variable.is_variable else None), bare


def _add_missing_inputs(graph: GraphData, names_of: NamesOf) -> GraphData:
    """Gives every operator the inputs it lacks, as variables directly before it that repeat its attributes."""
    nodes: list[NodeData] = []
    moved: list[int] = []
    for node in graph.nodes:
        node.inputs = [(moved[source], output, version) for source, output, version in node.inputs]
        node.control_deps = [moved[source] for source in node.control_deps]
        names = None if node.is_variable else names_of(node)
        for name in (names or ())[len(node.inputs) :]:
            variable = NodeData("null", f"{node.name}_{name}" if node.name else name, dict(node.attrs))
            node.inputs.append((len(nodes), 0, 0))
            nodes.append(variable)
        moved.append(len(nodes))
        nodes.append(node)
    heads = [(moved[source], output, version) for source, output, version in graph.heads]
    node_outputs = graph.node_outputs if len(nodes) == len(graph.nodes) else None
    return replace(graph, nodes=nodes, heads=heads, node_outputs=node_outputs)


def _set_variable_attrs(nodes: list[NodeData], attrs_of: Callable[[NodeData, int], dict[str, str]]) -> None:
    for node in nodes:
        for place, (source, _, _) in enumerate(node.inputs):
            if nodes[source].is_variable:
                nodes[source].attrs = {**attrs_of(node, place), **nodes[source].attrs}


def render(
    nodes: Sequence[NodeData],
    heads: Sequence[Sequence[int]],
    num_outputs_per_node: Sequence[int],
    version: int = CURRENT_VERSION,
    attrs: dict[str, Any] | None = None,
) -> str:
    """The JSON text of a graph, to the character what MXNet 1.9.1 writes.

    ``num_outputs_per_node`` counts hidden outputs too; subgraphs carry theirs as ``node_outputs``. Edges and heads
    may leave the version out (0). ``attrs`` are further (type, value) marks beside ``mxnet_version``.
    """
    marks = {**(attrs or {}), "mxnet_version": ("int", version)}
    return _render_graph(nodes, heads, num_outputs_per_node, marks, 0)


def _render_graph(
    nodes: Sequence[NodeData],
    heads: Sequence[Sequence[int]],
    node_outputs: Sequence[int] | None,
    marks: dict[str, Any],
    depth: int,
) -> str:
    if node_outputs is None or len(node_outputs) != len(nodes):
        found = "none" if node_outputs is None else str(len(node_outputs))
        raise MXNetError(f"a graph of {len(nodes)} nodes is written with {found} counts of outputs")
    row_ptr = [0]
    for count in node_outputs:
        row_ptr.append(row_ptr[-1] + count)
    fields = {
        "nodes": _block([_render_node(node, depth + 2) for node in nodes], "[]", True, depth + 1),
        "arg_nodes": _numbers([index for index, node in enumerate(nodes) if node.is_variable], depth + 1),
        "node_row_ptr": _numbers(row_ptr, depth + 1),
        "heads": _edges(heads, depth + 1),
    }
    if marks:
        entries = {key: f"[{_quote(kind)}, {json.dumps(value)}]" for key, (kind, value) in marks.items()}
        fields["attrs"] = _mapping(entries, depth + 1)
    return _block([f'"{key}": {value}' for key, value in fields.items()], "{}", True, depth)


def _render_node(node: NodeData, depth: int) -> str:
    fields = {"op": _quote(node.op), "name": _quote(node.name)}
    if node.attrs:
        fields["attrs"] = _mapping({key: _quote(value) for key, value in node.attrs.items()}, depth + 1)
    fields["inputs"] = _edges(node.inputs, depth + 1)
    if node.control_deps:
        fields["control_deps"] = _numbers(node.control_deps, depth + 1)
    if node.subgraphs:
        graphs = [
            _render_graph(graph.nodes, graph.heads, graph.node_outputs, graph.attrs, depth + 2)
            for graph in node.subgraphs
        ]
        fields["subgraphs"] = _block(graphs, "[]", True, depth + 1)
    return _block([f'"{key}": {value}' for key, value in fields.items()], "{}", True, depth)


def _block(entries: Sequence[str], brackets: str, multi_line: bool, depth: int) -> str:
    """Entries between brackets, on one line or each on its own; the original leaves a space behind each comma."""
    if not multi_line or not entries:
        return brackets[0] + ", ".join(entries) + brackets[1]
    line = "\n" + "  " * (depth + 1)
    return brackets[0] + line + f", {line}".join(entries) + "\n" + "  " * depth + brackets[1]


def _mapping(entries: dict[str, str], depth: int) -> str:
    """Sorted by the bytes of the keys."""
    listed = [f"{_quote(key)}: {entries[key]}" for key in sorted(entries, key=lambda key: key.encode("utf-8"))]
    return _block(listed, "{}", len(listed) > 1, depth)


def _numbers(numbers: Sequence[int], depth: int) -> str:
    return _block([str(number) for number in numbers], "[]", len(numbers) > 10, depth)


def _edges(edges: Sequence[Sequence[int]], depth: int) -> str:
    listed = [f"[{edge[0]}, {edge[1]}, {edge[2] if len(edge) > 2 else 0}]" for edge in edges]
    return _block(listed, "[]", len(listed) > 10, depth)


_ESCAPES = str.maketrans({"\r": "\\r", "\n": "\\n", "\t": "\\t", "\\": "\\\\", '"': '\\"'})


def _quote(text: str) -> str:
    """A JSON string as the original writes it: other control characters and letters beyond ASCII stay as they are."""
    return f'"{text.translate(_ESCAPES)}"'
