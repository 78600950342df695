"""Inference graphs: BatchNorm folded into convolutions, activations and additions fused, weights packed for oneDNN.

Each fused layer keeps its folded and packed weights beside the parameters they were made from. They are made at the
second call with the same parameters, so that a validation pass between two updates does not pay for packing, and are
used as long as the very tensors, at the very versions, come in again. Parameters whose memory another library holds
(``from_numpy``, DLPack) are never packed: they may change without a new version.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Sequence
from typing import Any

import torch
from torch import fx
from torch.nn import functional

from mxcompat.graph import fuse, rewrite
from mxcompat.graph.recurrent import join_steps
from mxcompat.ndarray.ndarray import OUTSIDE, is_outside

__all__ = ["Inference"]


class Inference:
    """Runs an inference graph; where gradients are wanted after all, the differentiable one."""

    def __init__(self, module: fx.GraphModule):
        self._differentiable = rewrite.for_training(module)
        self._folded = _fold(module)
        self._run = self._folded.forward  # past the hooks of nn.Module, which nobody sets here

    def __call__(self, *tensors: torch.Tensor) -> Any:
        return (self._differentiable if torch.is_grad_enabled() else self._run)(*tensors)


class _Layer:
    """A layer with parameters; ``packed`` is what was made of them."""

    __name__ = "fused_layer"

    def __init__(self, activation: str):
        self.activation = activation
        self.packed: Any = None
        self._tensors: Sequence[Any] = ()
        self._versions: tuple[int, ...] = ()
        self._held_outside = False

    def is_settled(self, tensors: Sequence[torch.Tensor | None]) -> bool:
        """Whether the parameters are those of the last call, unchanged; forgets what was packed if not."""
        versions = (OUTSIDE["storages"], *[0 if t is None else t._version for t in tensors])
        settled = versions == self._versions and all(map(operator.is_, tensors, self._tensors))
        if not settled:
            self._tensors, self._versions, self.packed = tensors, versions, None
            self._held_outside = any(t is not None and is_outside(t) for t in tensors)
        return settled and not self._held_outside


class _Convolution(_Layer):
    """Convolution, then maybe BatchNorm by moving averages, an addition, an activation."""

    def __init__(self, geometry: tuple, eps: float | None, adds: bool, activation: str):
        super().__init__(activation)
        self.geometry, self.eps, self.adds = geometry, eps, adds

    def __call__(self, x: torch.Tensor, other: Any, *parameters: Any) -> torch.Tensor:
        if x.dtype is not torch.float32:
            return self._plain(x, other, *parameters)
        x = fuse.channels_last(x)
        if not self.is_settled(parameters):
            return self._plain(x, other, *parameters)
        if self.packed is None:
            self.packed = self._pack(x, *parameters)
        weight, bias = self.packed
        stride, pad, dilate, groups = self.geometry
        if not self.adds:
            return torch.ops.mkldnn._convolution_pointwise(
                x, weight, bias, pad, stride, dilate, groups, self.activation, [], ""
            )
        activation = None if self.activation == "none" else self.activation
        return torch.ops.mkldnn._convolution_pointwise.binary(
            x, fuse.channels_last(other), weight, bias, pad, stride, dilate, groups, "add", 1.0, activation, [], None
        )

    def _plain(self, x: Any, other: Any, weight: Any, bias: Any, *norm: Any) -> torch.Tensor:
        stride, pad, dilate, groups = self.geometry
        y = functional.conv2d(x, weight, bias, stride, pad, dilate, groups)
        if self.eps is not None:
            gamma, beta, mean, variance = norm
            y = functional.batch_norm(y, mean, variance, gamma, beta, False, 0.0, self.eps)
        if self.adds:
            y = y + other
        return y if self.activation == "none" else fuse.ACTIVATIONS[self.activation](y)

    def _pack(self, x: torch.Tensor, weight: torch.Tensor, bias: Any, *norm: Any) -> tuple:
        stride, pad, dilate, groups = self.geometry
        if self.eps is not None:
            gamma, beta, mean, variance = norm
            scale = (variance + self.eps).rsqrt()
            if gamma is not None:
                scale = scale * gamma
            bias = beta - mean * scale if bias is None else beta + (bias - mean) * scale
            weight = weight * scale.reshape(-1, 1, 1, 1)
        packed = torch.ops.mkldnn._reorder_convolution_weight(weight, pad, stride, dilate, groups, list(x.shape))
        return packed, None if bias is None else bias.clone()


class _Linear(_Layer):
    """A fully connected layer, maybe with an activation."""

    def __init__(self, flatten: bool, activation: str):
        super().__init__(activation)
        self.flatten = flatten

    def __call__(self, x: torch.Tensor, weight: torch.Tensor, bias: Any) -> torch.Tensor:
        rows = x.reshape(x.shape[0], -1) if self.flatten else x.reshape(-1, x.shape[-1])
        work = rows.numel() * weight.shape[0]
        if x.dtype is not torch.float32 or work < fuse.LINEAR_WORK or not self.is_settled((weight, bias)):
            return fuse.linear(x, weight, bias, self.flatten, self.activation)
        if self.packed is None:
            self.packed = torch.ops.mkldnn._reorder_linear_weight(weight, rows.shape[0])
        y = torch.ops.mkldnn._linear_pointwise(rows.contiguous(), self.packed, bias, self.activation, [], "")
        return y if self.flatten else y.reshape(*x.shape[:-1], -1)


def _fold(module: fx.GraphModule) -> fx.GraphModule:
    module = join_steps(module)
    graph = copy.deepcopy(module.graph)
    for node in list(graph.nodes):
        if rewrite.is_plain_convolution(node) and _are_placeholders(node.args[1:]):
            _fold_convolution(graph, node)
        elif node.meta.get("operator") == "FullyConnected" and fuse.linear_pays() and _are_placeholders(node.args[1:]):
            last, activation = rewrite.with_activation(node)
            layer = _Linear(node.meta["params"].flatten, activation)
            _replace(graph, last, layer, (*node.args, None)[:3])
    graph.eliminate_dead_code()
    return fx.GraphModule(module, graph, class_name="MXNetInferenceGraph")


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
    layer = _Convolution(rewrite.geometry(node), eps, other is not None, activation)
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
