"""Printed and drawn symbols (public path: ``mxnet.visualization``, ``mx.viz``)."""

from __future__ import annotations

import json
import re
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

from mxcompat.symbol import Symbol

__all__ = ["plot_network", "print_summary"]

_TITLES = ("Layer (type)", "Output Shape", "Param #", "Previous Layer")
#: fill colour of a node by operator; ``null`` are variables
_COLORS = {
    "null": "#8dd3c7",
    "Convolution": "#fb8072",
    "FullyConnected": "#fb8072",
    "Activation": "#ffffb3",
    "LeakyReLU": "#ffffb3",
    "BatchNorm": "#bebada",
    "Pooling": "#80b1d3",
    "Concat": "#fdb462",
    "Flatten": "#fdb462",
    "Reshape": "#fdb462",
    "Softmax": "#b3de69",
}
_OTHER_COLOR = "#fccde5"
_WEIGHT_ENDINGS = (
    "_weight",
    "_bias",
    "_beta",
    "_gamma",
    "_moving_var",
    "_moving_mean",
    "_running_var",
    "_running_mean",
)


class _Graph:
    """The nodes of a symbol's JSON, with the shapes and types of everything inside it."""

    def __init__(self, symbol: Symbol, shape: dict | None, dtype: dict | None = None):
        internals = symbol.get_internals()
        names = internals.list_outputs() if shape is not None or dtype is not None else []
        self.shapes = _inferred(names, internals.infer_shape, shape, "shape")
        self.types = _inferred(names, internals.infer_type, dtype, "type")
        described = json.loads(symbol.tojson())
        self.nodes = described["nodes"]
        # Compat: the three numbers of the first head (node, output, version) count as nodes, so node 0 nearly always
        # does; that is why the first variable has a row and is named as a previous layer.
        self.heads = set(described["heads"][0])

    def tail_shape(self, node: dict) -> tuple[int, ...]:
        """The shape of a node's plain output without its batch axis; () when that is not known."""
        key = node["name"] if node["op"] == "null" else node["name"] + "_output"
        return tuple((self.shapes or {}).get(key, ())[1:])


def _inferred(names: list[str], infer: Callable, given: dict | None, what: str) -> dict[str, Any] | None:
    if given is None:
        return None
    _, outputs, _ = infer(**given)
    if outputs is None:
        raise ValueError(f"Input {what} is incomplete")
    return dict(zip(names, outputs))


def _numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]


def print_summary(
    symbol: Symbol,
    shape: dict | None = None,
    line_length: int = 120,
    positions: list = [0.44, 0.64, 0.74, 1.0],  # noqa: B006
) -> None:
    """Print one row a layer: name and type, output shape without the batch axis, number of parameters, previous layers.

    ``shape`` maps inputs to their shapes; without it shapes are blank and only Embedding's parameters are counted right.
    ``positions`` are the ends of the columns, in characters or (last one at most 1) as parts of ``line_length``.
    ``TypeError`` for something other than a Symbol, ``ValueError`` when ``shape`` does not determine all shapes.

    Compat: numbers of parameters are the original's estimates. The inputs of Convolution and FullyConnected are counted
    by their channel axis alone, only four operators have parameters, and BatchNorm counts 2 a channel.
    """
    if not isinstance(symbol, Symbol):
        raise TypeError("symbol must be Symbol")
    graph = _Graph(symbol, shape)
    ends = [int(line_length * part) for part in positions] if positions[-1] <= 1 else positions
    print("_" * line_length)
    _print_row(_TITLES, ends)
    print("=" * line_length)
    total = 0
    for index, node in enumerate(graph.nodes):
        if node["op"] == "null" and index > 0:
            continue
        total += _print_layer(graph, index, ends)
        print(("=" if index == len(graph.nodes) - 1 else "_") * line_length)
    print(f"Total params: {total}")
    print("_" * line_length)


def _print_row(fields: Any, ends: list[int]) -> None:
    line = ""
    for field, end in zip(fields, ends):
        line = (line + str(field))[:end].ljust(end)
    print(line)


def _print_layer(graph: _Graph, index: int, ends: list[int]) -> int:
    node = graph.nodes[index]
    previous = [graph.nodes[source] for source, *_ in node["inputs"] if _is_layer(graph, source)]
    channels = sum(graph.tail_shape(source)[0] for source in previous if graph.tail_shape(source))
    shown = graph.tail_shape(node) if node["op"] != "null" or index in graph.heads else ()
    parameters = _parameter_count(graph, node, channels)
    names = [source["name"] for source in previous] or [""]
    _print_row((f"{node['name']}({node['op']})", "x".join(map(str, shown)), parameters, names[0]), ends)
    for name in names[1:]:
        _print_row(("", "", "", name), ends)
    return parameters


def _is_layer(graph: _Graph, index: int) -> bool:
    return graph.nodes[index]["op"] != "null" or index in graph.heads


def _parameter_count(graph: _Graph, node: dict, channels: int) -> int:
    attrs = node.get("attrs", {})
    has_bias = attrs.get("no_bias") != "True"
    if node["op"] == "Convolution":
        filters = int(attrs["num_filter"])
        count = channels * filters // int(attrs.get("num_group", "1"))
        for size in _numbers(attrs["kernel"]):
            count *= size
        return count + filters if has_bias else count
    if node["op"] == "FullyConnected":
        return (channels + has_bias) * int(attrs["num_hidden"])
    if node["op"] == "BatchNorm":
        return 2 * (graph.tail_shape(node) or (0,))[0]
    if node["op"] == "Embedding":
        return int(attrs["input_dim"]) * int(attrs["output_dim"])
    return 0


def plot_network(
    symbol: Symbol,
    title: str = "plot",
    save_format: str = "pdf",
    shape: dict | None = None,
    dtype: dict | None = None,
    node_attrs: dict = {},  # noqa: B006
    hide_weights: bool = True,
) -> Any:
    """A ``graphviz.Digraph`` of the symbol, with an edge from every layer back to each of its inputs.

    ``shape`` and ``dtype`` map inputs to shapes and types, which are then written on the edges; ``node_attrs`` are
    Graphviz attributes of every node; ``hide_weights`` leaves out variables whose names end as those of parameters do.
    ``TypeError`` for something other than a Symbol, ``ValueError`` when ``shape`` or ``dtype`` leave something open,
    ``RuntimeWarning`` when nodes share a name (they become one node of the drawing). Rendering needs the Graphviz
    program.
    """
    try:
        from graphviz import Digraph
    except ImportError as error:
        raise ImportError("Draw network requires graphviz library") from error
    if not isinstance(symbol, Symbol):
        raise TypeError("symbol must be a Symbol")
    graph = _Graph(symbol, shape, dtype)
    _warn_of_repeated_names(graph.nodes)
    shared = {"shape": "box", "fixedsize": "true", "width": "1.3", "height": "0.8034", "style": "filled", **node_attrs}
    dot = Digraph(name=title, format=save_format)
    hidden = set()
    for node in graph.nodes:
        if node["op"] == "null" and node["name"].endswith(_WEIGHT_ENDINGS):
            # Compat: shown weights are not drawn here; their edges make them plain ovals.
            if hide_weights:
                hidden.add(node["name"])
            continue
        look = {**shared, "fillcolor": _COLORS.get(node["op"], _OTHER_COLOR)}
        if node["op"] == "null":
            look["shape"] = "oval"
        dot.node(name=node["name"], label=_label(node), **look)
    for node in graph.nodes:
        # Compat: only the image of a resize is drawn, not what gives it its size.
        inputs = node["inputs"][:1] if node["op"] == "_contrib_BilinearResize2D" else node["inputs"]
        for source, output, *_ in inputs:
            other = graph.nodes[source]
            if other["name"] not in hidden:
                look = {"dir": "back", "arrowtail": "open", "label": _edge_label(graph, other, output)}
                dot.edge(tail_name=node["name"], head_name=other["name"], **look)
    return dot


def _warn_of_repeated_names(nodes: list[dict]) -> None:
    repeated = [name for name, count in Counter(node["name"] for node in nodes).items() if count > 1]
    if repeated:
        warnings.warn(
            "There are multiple variables with the same name in your graph, this may result in cyclic graph. "
            "Repeated names: " + ",".join(repeated),
            RuntimeWarning,
            stacklevel=3,
        )


def _label(node: dict) -> str:
    attrs = node.get("attrs", {})
    stride = "x".join(map(str, _numbers(attrs["stride"]))) if "stride" in attrs else "1"
    if node["op"] == "Convolution":
        return f"Convolution\n{'x'.join(map(str, _numbers(attrs['kernel'])))}/{stride}, {attrs['num_filter']}"
    if node["op"] == "FullyConnected":
        return f"FullyConnected\n{attrs['num_hidden']}"
    if node["op"] == "Activation":
        return f"Activation\n{attrs['act_type']}"
    if node["op"] == "LeakyReLU":
        return f"LeakyReLU\n{attrs.get('act_type', 'Leaky')}"
    if node["op"] == "Pooling":
        kernel = "x".join(map(str, _numbers(attrs["kernel"]))) if "kernel" in attrs else "[]"
        return f"Pooling\n{attrs.get('pool_type', 'max')}, {kernel}/{stride}"
    if node["op"] == "Custom":
        return attrs["op_type"]
    return node["name"]


def _edge_label(graph: _Graph, node: dict, output: int) -> str:
    label = ""
    if graph.shapes is not None:
        label = "x".join(str(size) for size in _of_edge(graph.shapes, node, output)[1:])
    if graph.types is not None:
        label += f"({_of_edge(graph.types, node, output).__name__})"
    return label


def _of_edge(known: dict[str, Any], node: dict, output: int) -> Any:
    """What is known of the output that an edge comes from."""
    if node["op"] == "null":
        return known[node["name"]]
    if "num_outputs" in node.get("attrs", {}):
        # Compat: edges from an operator with num_outputs show its last output, whichever they use.
        output = int(node["attrs"]["num_outputs"]) - 1
    prefix = node["name"] + "_"
    plain = [key for key in (f"{prefix}output{output}", f"{prefix}output") if key in known]
    named = [key for key in known if key.startswith(prefix)]
    return known[plain[0] if plain else named[output]]
