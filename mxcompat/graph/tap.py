"""Watching a graph run: every node's outputs in forward, and the gradients of its inputs in backward (Monitor)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import fx

from mxcompat.ops.schema import Operator
from mxcompat.scope import WATCH
from mxcompat.symbol.node import Node

Observer = Callable[[str, torch.Tensor], None]


class Watched(fx.Interpreter):
    """Runs the graph once, every operator through ``call(name, function, arguments, keywords)`` (the profiler)."""

    def __init__(self, module: fx.GraphModule, call: Callable[..., Any]):
        super().__init__(module)
        self._call = call

    def run_node(self, n: fx.Node) -> Any:
        if "operator" not in n.meta:
            return super().run_node(n)
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        return self._call(n.meta["operator"], n.target, args, kwargs)


class Tap(fx.Interpreter):
    """Runs the graph once, node by node, and shows each output to ``observe(name, tensor)`` as it appears.

    With ``inputs`` the inputs are shown too. Gradients are shown during backward, in the order the engine reaches them:
    ``<node>_backward_output<i>`` for the i-th input.
    """

    def __init__(self, module: fx.GraphModule, nodes: Sequence[Node], observe: Observer, inputs: bool):
        super().__init__(module)
        self._nodes = {node.name: node for node in nodes if node.op is not None}
        self._observe, self._inputs = observe, inputs

    def run_node(self, n: fx.Node) -> Any:
        node = self._nodes.get(n.meta.get("mxnet_name", "")) if "operator" in n.meta else None
        if node is None:
            result = super().run_node(n)
            if self._inputs and n.op == "placeholder":
                self._observe(n.meta["mxnet_name"], result)
            return result
        op = node.op
        assert op is not None
        if self._inputs:
            self._show_inputs(n, node, op)
        # the backward pass reaches what was made last first: gradients then appear in the order of the inputs
        watched = [self._watched(arg) for arg in reversed(n.args)][::-1]
        with_gradient = [t for t in watched if isinstance(t, torch.Tensor) and t.requires_grad]
        if WATCH.symbolic is not None:
            result = WATCH.symbolic(op.name, n.target, watched, dict(n.kwargs))
        else:
            result = self.call_function(n.target, tuple(watched), dict(n.kwargs))
        values = result if isinstance(result, (tuple, list)) else (result,)
        for index in range(node.num_outputs()):
            if index < len(values):
                self._observe(node.output_name(index), values[index])
        if with_gradient:
            self._watch_gradients(node, watched)
        return result

    def _watched(self, arg: Any) -> Any:
        """A tensor of this consumer's own, so that its gradient is this node's part only."""
        value = self.env[arg] if isinstance(arg, fx.Node) else arg
        return value.view_as(value) if isinstance(value, torch.Tensor) and value.requires_grad else value

    def _show_inputs(self, n: fx.Node, node: Node, op: Operator) -> None:
        names = op.input_names(node.params)
        for name, arg in zip(names, n.args):
            self._observe(f"{node.name}_{name}", self.env[arg])  # type: ignore[index]

    def _watch_gradients(self, node: Node, inputs: Sequence[Any]) -> None:
        single = sum(isinstance(value, torch.Tensor) for value in inputs) == 1
        for index, value in enumerate(inputs):
            if isinstance(value, torch.Tensor) and value.requires_grad:
                name = f"{node.name}_backward_output" + ("" if single else str(index))
                value.register_hook(lambda gradient, name=name, like=value: self._show_gradient(name, gradient, like))

    def _show_gradient(self, name: str, gradient: torch.Tensor | None, like: torch.Tensor) -> None:
        """A gradient that an operator leaves out, as output layers do for labels, is zero."""
        self._observe(name, torch.zeros_like(like) if gradient is None else gradient)
