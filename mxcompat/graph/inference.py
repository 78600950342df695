"""Inference graphs: BatchNorm folded into convolutions, activations and additions fused, weights packed for oneDNN.

Once the parameters have stayed for ``SETTLED_CALLS`` calls, a call is recorded as the kernels that it runs, and while they
stay these run alone.
"""

from __future__ import annotations

import copy
import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import fx

from mxcompat.graph import fuse, rewrite
from mxcompat.graph.joint import Recorder, forward_only
from mxcompat.graph.packed import Convolution, Layer, Linear, Recurrent, UnrolledRecurrent, Watch
from mxcompat.graph.recurrent import join_steps, run_layer

__all__ = ["Inference"]

#: calls with the same parameters after which every layer has packed what it packs
SETTLED_CALLS = 2


class Inference:
    """Runs an inference graph; where gradients are wanted after all, the differentiable one."""

    def __init__(self, module: fx.GraphModule, is_recordable: bool):
        self._differentiable = rewrite.for_training(module)
        folded = _fold(module)
        self._run = folded.forward  # past the hooks of nn.Module, which nobody sets here
        self._is_recordable = is_recordable
        self._layers = [node.target for node in folded.graph.nodes if isinstance(node.target, Layer)]
        self._watched, self._others = _positions(folded.graph)
        self._watch = Watch()
        self._settled_calls = 0
        self._recorded: Callable | None = None
        self._strides: list[tuple[int, ...]] = []  # of all inputs at the recorded call
        self._packed_layers: list[bool] = []
        self._constants: list[torch.Tensor] | None = None  # what is packed now, if the recorded call can go on with it

    def __call__(self, *tensors: torch.Tensor) -> Any:
        if torch.is_grad_enabled():
            return self._differentiable(*tensors)
        if not self._is_recordable:
            return self._run(*tensors)
        if not self._watch.is_unchanged([tensors[index] for index in self._watched]):
            self._settled_calls, self._constants = 0, None
        elif self._constants is not None:
            if all([tensors[index].stride() == self._strides[index] for index in self._others]):
                assert self._recorded is not None
                return self._recorded(*tensors, *self._constants)
        elif self._settled_calls < SETTLED_CALLS:
            self._settled_calls += 1
            if self._settled_calls == SETTLED_CALLS:
                return self._settle(tensors)
        return self._run(*tensors)

    def _settle(self, tensors: Sequence[torch.Tensor]) -> Any:
        """A call with everything packed: it is recorded, unless one was, which then goes on with what is packed now."""
        packed = [layer.packed for layer in self._layers]
        shape = [value is not None for value in packed]
        constants = [part for value in packed for part in (value or ()) if part is not None]
        if self._recorded is not None:
            if shape == self._packed_layers and [value.stride() for value in tensors] == self._strides:
                self._constants = constants
            return self._run(*tensors)
        recorder = Recorder(tensors)
        for constant in constants:
            recorder.constant(constant)
        with recorder:
            results = self._run(*tensors)
        self._recorded = forward_only(recorder, results)
        if self._recorded is None:
            self._is_recordable = False
        else:
            self._constants, self._packed_layers, self._strides = constants, shape, recorder.strides
        return results


def _positions(graph: fx.Graph) -> tuple[list[int], list[int]]:
    """The positions of the inputs that layers pack, and those of the others."""
    layers = [node for node in graph.nodes if isinstance(node.target, Layer)]
    packed = {argument for node in layers for argument in node.args[node.target.first :] if argument is not None}
    inputs = [node for node in graph.nodes if node.op == "placeholder"]
    watched = [index for index, node in enumerate(inputs) if node in packed]
    return watched, [index for index in range(len(inputs)) if index not in watched]


def _fold(module: fx.GraphModule) -> fx.GraphModule:
    module = join_steps(module)
    graph = copy.deepcopy(module.graph)
    for node in list(graph.nodes):
        if rewrite.is_plain_convolution(node) and _are_placeholders(node.args[1:]):
            _fold_convolution(graph, node)
        elif node.meta.get("operator") == "FullyConnected" and _are_placeholders(node.args[1:]):
            last, activation = rewrite.with_activation(node)
            layer = Linear(node.meta["params"].flatten, activation)
            _replace(graph, last, layer, (*node.args, None)[:3])
        elif fuse.has_packed_recurrent() and _is_plain_lstm(node):
            data, vector, *states = node.args
            call = functools.partial(node.target, **node.kwargs)
            _replace(graph, node, Recurrent(call, node.meta["params"]), (data, *states, vector))
        elif fuse.has_packed_recurrent() and node.target is run_layer and _are_placeholders(node.args[3]):
            *inputs, parameters, order, steps_first = node.args
            _replace(graph, node, UnrolledRecurrent(run_layer, order, steps_first), (*inputs, *parameters))
    graph.eliminate_dead_code()
    _reuse_memory(graph)
    return fx.GraphModule(module, graph, class_name="MXNetInferenceGraph")


def _reuse_memory(graph: fx.Graph) -> None:
    """Let a sum take the memory of what is added, where a layer made that and only layers before this one read it."""
    place = {node: index for index, node in enumerate(graph.nodes)}
    for node in graph.nodes:
        if isinstance(node.target, Convolution) and node.target.adds:
            other = node.args[1]
            node.target.overwrites = (
                isinstance(other.target, Convolution)
                and other is not node.args[0]
                and all(isinstance(user.target, Layer) and place[user] <= place[node] for user in other.users)
            )


def _is_plain_lstm(node: fx.Node) -> bool:
    """Whether the node is an LSTM without projection, clipping and sequence lengths."""
    if node.meta.get("operator") != "RNN" or node.meta["params"].mode != "lstm" or len(node.args) != 4:
        return False
    params = node.meta["params"]
    plain = not params.projection_size and params.lstm_state_clip_min is None and not params.use_sequence_length
    return plain and _are_placeholders(node.args[1:2])


def _are_placeholders(nodes: Sequence[Any]) -> bool:
    return all(isinstance(node, fx.Node) and node.op == "placeholder" for node in nodes)


def _fold_convolution(graph: fx.Graph, node: fx.Node) -> None:
    data, weight, bias = (*node.args, None)[:3]
    last, eps, norm_inputs = _with_norm(node)
    other = None
    user = rewrite.single_user(last)
    if user is not None and user.meta.get("operator") == "elemwise_add":
        others = [arg for arg in user.args if arg is not last]
        if len(others) == 1:
            last, other = user, others[0]
    last, activation = rewrite.with_activation(last, ("relu",) if other is not None else tuple(fuse.ACTIVATIONS))
    layer = Convolution(rewrite.geometry(node), eps, other is not None, activation)
    _replace(graph, last, layer, (data, other, weight, bias, *norm_inputs))


def _with_norm(node: fx.Node) -> tuple[fx.Node, float | None, tuple]:
    """The output of a BatchNorm on top of the convolution, its eps and its inputs; the node itself without."""
    user = rewrite.single_user(node)
    if user is None or user.meta.get("operator") != "BatchNorm" or not _are_placeholders(user.args[1:]):
        return node, None, ()
    params = user.meta["params"]
    used = [child for child in user.users if child.users]
    if params.axis != 1 or len(used) != 1 or used[0].target is not operator.getitem or used[0].args[1] != 0:
        return node, None, ()
    gamma, *others = user.args[1:]  # a fixed gamma is no input: every forward with gradients writes it
    return used[0], params.eps, (None if params.fix_gamma else gamma, *others)


def _replace(graph: fx.Graph, node: fx.Node, target: Any, args: tuple) -> None:
    with graph.inserting_before(node):
        fused = graph.call_function(target, args)
    node.replace_all_uses_with(fused)
