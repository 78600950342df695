"""Shape and type inference over a graph: sweeps forwards and backwards until nothing changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from mxcompat.base import MXNetError
from mxcompat.ops.dtypes import NAME_BY_TORCH, torch_dtype
from mxcompat.ops.schema import Shape as ShapeKind
from mxcompat.ops.shape import is_known, merge, partial_shape
from mxcompat.symbol.node import Node

_PARSE_SHAPE = ShapeKind().parse


class Inference:
    """What is known of every node output: ``values[id(node)]`` is a list with one entry an output."""

    def __init__(self, order: Sequence[Node], given: dict[int, Any], attribute: Callable[[Node], Any], rule: str):
        self.order, self.rule = order, rule
        self._known = is_known if rule == "infer_shape" else _is_given
        self.values: dict[int, list] = {}
        for node in order:
            key = id(node)
            if node.op is not None:
                self.values[key] = [None] * node.num_outputs()
            else:
                self.values[key] = [given[key] if key in given else attribute(node)]

    def run(self) -> None:
        """Sweep until a fixed point; a contradiction raises ``MXNetError`` naming operator and node."""
        nodes = pending = [node for node in self.order if node.op is not None]
        settled: set[int] = set()
        forward = True
        while pending:
            changed: set[int] = set()
            for node in pending if forward else reversed(pending):
                if self._visit(node, changed):
                    settled.add(id(node))
            forward = not forward
            nodes = [node for node in nodes if id(node) not in settled]
            pending = [n for n in nodes if id(n) in changed or any(id(child) in changed for child, _ in n.inputs)]

    def _visit(self, node: Node, changed: set[int]) -> bool:
        """Apply the node's rule; whether everything around it is known, so that it has nothing more to say."""
        values = self.values
        ins = [values[id(child)][index] for child, index in node.inputs]
        outs = values[id(node)]
        new_ins, new_outs = getattr(node.op, self.rule)(node.params, ins, list(outs), node.name)
        settled = True
        for (child, index), old, new in zip(node.inputs, ins, new_ins):
            if new is not None and new != old:
                self._store(child, index, new, node)
                changed.add(id(child))
            settled = settled and self._known(new)
        for index, (old, new) in enumerate(zip(outs, new_outs)):
            if new is not None and new != old:
                self._store(node, index, new, node)
                changed.add(id(node))
            settled = settled and self._known(new)
        return settled

    def _store(self, node: Node, index: int, new: Any, where: Node) -> None:
        known = self.values[id(node)][index]
        if self.rule == "infer_shape":
            try:
                new = tuple(new) if known is None else merge(known, tuple(new), node.output_name(index))
            except MXNetError as error:
                raise MXNetError(f"Error in operator {where.name}: {error}") from None
        elif known is not None and known is not new:
            raise MXNetError(
                f"Error in operator {where.name}: {node.output_name(index)} has type {NAME_BY_TORCH[known]}, "
                f"expected {NAME_BY_TORCH[new]}"
            )
        self.values[id(node)][index] = new


def _is_given(dtype: torch.dtype | None) -> bool:
    return dtype is not None


def infer_shapes(order: Sequence[Node], given: dict[int, Any]) -> dict[int, list]:
    """Partial shapes of all node outputs, from the given ones and the variables' ``__shape__``."""

    def attribute(node: Node) -> tuple | None:
        text = node.attrs.get("__shape__")
        return partial_shape(_PARSE_SHAPE(text)) if text not in (None, "", "None") else None

    inference = Inference(order, given, attribute, "infer_shape")
    inference.run()
    return inference.values


def infer_types(order: Sequence[Node], given: dict[int, torch.dtype]) -> dict[int, list]:
    """Types (``torch.dtype`` or None) of all node outputs, from the given ones and the variables' ``__dtype__``."""

    def attribute(node: Node) -> torch.dtype | None:
        text = node.attrs.get("__dtype__")
        return torch_dtype(int(text)) if text and int(text) >= 0 else None

    inference = Inference(order, given, attribute, "infer_type")
    inference.run()
    return inference.values


def all_known(shapes: Sequence[tuple | None]) -> bool:
    """Whether every shape is fully known."""
    return all(is_known(shape) for shape in shapes)
