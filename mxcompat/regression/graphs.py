"""What replaying a recording has to know of its symbols: names of nodes, and what depends on random numbers."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from mxcompat.differences import RANDOM, difference
from mxcompat.symbol.node import Node

__all__ = ["Graph", "mask_name", "with_masks"]

#: operators that draw only in training (Dropout: unless mode is 'always')
_IN_TRAINING = frozenset(["Dropout", "LeakyReLU", "RNN"])


def mask_name(node: str) -> str:
    """The variable that stands for the random numbers of a Dropout node."""
    return f"{node}_golden_mask"


def with_masks(text: str, nodes: Iterable[str]) -> str:
    """The JSON of a symbol with these Dropout nodes turned into products with a variable."""
    graph = json.loads(text)
    masks = sorted(nodes)
    shift = len(masks)
    for node in graph["nodes"]:
        node["inputs"] = [[source + shift, *rest] for source, *rest in node["inputs"]]
        if node["name"] in masks:
            kept = {key: value for key, value in node.items() if key in ("name", "inputs")}
            node.clear()
            node.update(kept, op="elemwise_mul", inputs=[kept["inputs"][0], [masks.index(kept["name"]), 0, 0]])
    variables = [{"op": "null", "name": mask_name(name), "inputs": []} for name in masks]
    graph["nodes"] = [*variables, *graph["nodes"]]
    graph["arg_nodes"] = [*range(shift), *(number + shift for number in graph["arg_nodes"])]
    graph["heads"] = [[source + shift, *rest] for source, *rest in graph["heads"]]
    graph.pop("node_row_ptr", None)
    return json.dumps(graph)


class Graph:
    """A symbol, its nodes in topological order, and names.

    outputs    names of the symbol's outputs; ``heads``: names of their nodes
    visible    name of a node's output -> name of the node
    consumers  name of a variable -> names of the nodes that take it
    """

    def __init__(self, symbol: Any):
        self.symbol = symbol
        self.nodes: list[Node] = symbol._nodes()
        self.place = {node.name: number for number, node in enumerate(self.nodes)}
        self.by_name = {node.name: node for node in self.nodes}
        self.outputs: list[str] = symbol.list_outputs()
        self.heads = [node.name for node, _ in symbol._heads]
        self.visible = {
            node.output_name(i): node.name
            for node in self.nodes
            if node.op is not None
            for i in range(node.num_visible())
        }
        self.consumers: dict[str, list[str]] = {node.name: [] for node in self.nodes}
        for node in self.nodes:
            for source, _ in node.inputs:
                self.consumers[source.name].append(node.name)
        for name, found in self.consumers.items():
            if not found:  # a variable that is an output
                found.append(name)
        self._random: dict[bool, set[str]] = {}

    def described(self, name: str) -> str:
        """``node bn1 (BatchNorm)``."""
        op = self.by_name[name].op
        if op is None:
            return f"variable {name}"
        return f"node {name} ({'Dropout' if mask_name(name) in self.by_name else op.name})"

    def arguments(self, name: str) -> list[str]:
        """Names of the variables that a node takes (a variable: itself)."""
        return [source.name for source, _ in self.by_name[name].inputs] or [name]

    def from_the_loss(self, arguments: Iterable[str]) -> list[str]:
        """Names of arguments in the order in which backward reaches them."""
        return sorted(arguments, key=lambda name: -max(self.place[node] for node in self.consumers[name]))

    def draws(self, node: Node, is_train: bool) -> bool:
        """Whether a node draws random numbers in this mode."""
        if node.op is None or node.op.name not in RANDOM or difference(node.op.name, node.params) is None:
            return False
        return is_train or node.op.name not in _IN_TRAINING or node.params.get("mode") == "always"

    def random(self, is_train: bool) -> set[str]:
        """Names of the nodes that draw random numbers, or depend on such a node."""
        if is_train not in self._random:
            found: set[str] = set()
            for node in self.nodes:
                if self.draws(node, is_train) or any(source.name in found for source, _ in node.inputs):
                    found.add(node.name)
            self._random[is_train] = found
        return self._random[is_train]

    def touched(self, argument: str, random: set[str]) -> str | None:
        """A random node that an argument's gradient comes by; None if there is none."""
        if not random:
            return None
        reached = {argument}
        for node in self.nodes:
            if any(source.name in reached for source, _ in node.inputs):
                reached.add(node.name)
                if node.name in random:
                    return node.name
        return None

    def reason(self, name: str, what: str, random: set[str]) -> str:
        """Why something of a node is not compared: the first node before it, or itself, that draws."""
        node = self.by_name[name]
        while True:
            before = next((source for source, _ in node.inputs if source.name in random), None)
            if before is None:
                op = node.op.name if node.op is not None else "variable"
                return f"{what} behind {node.name} ({op}), which draws random numbers"
            node = before
