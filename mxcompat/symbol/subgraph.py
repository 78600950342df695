"""Subgraphs: graphs inside a node, as the control-flow operators have them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from mxcompat.symbol import infer
from mxcompat.symbol.node import Entry, topological

#: ``runner(subgraph, tensors, is_train)`` -> outputs; the binding layer sets it
_runner: Callable[[Subgraph, Sequence[torch.Tensor], bool], list[torch.Tensor]]


def install_runner(runner: Callable) -> None:
    """The registration point of binding: what runs a subgraph."""
    global _runner
    _runner = runner


class Subgraph:
    """The heads of a graph whose variables, in the order of their first use, are its inputs."""

    def __init__(self, heads: Sequence[Entry]):
        self.heads = list(heads)
        self.order = topological(self.heads)
        self.variables = [node for node in self.order if node.op is None]
        self.lowered: dict[tuple, Any] = {}  # kept by the runner

    def infer_shapes(self, ins: Sequence[tuple | None]) -> tuple[list, list]:
        """Partial shapes of inputs and outputs, from those of the inputs."""
        return self._refined(infer.infer_shapes, ins)

    def infer_types(self, ins: Sequence[torch.dtype | None]) -> tuple[list, list]:
        """Types of inputs and outputs, from those of the inputs."""
        return self._refined(infer.infer_types, ins)

    def _refined(self, rule: Callable, ins: Sequence[Any]) -> tuple[list, list]:
        given = {id(node): value for node, value in zip(self.variables, ins) if value is not None}
        values = rule(self.order, given)
        return [values[id(node)][0] for node in self.variables], [values[id(node)][i] for node, i in self.heads]

    def run(self, tensors: Sequence[torch.Tensor], is_train: bool) -> list[torch.Tensor]:
        """The outputs for the inputs; differentiable where gradients are on."""
        return _runner(self, tensors, is_train)
