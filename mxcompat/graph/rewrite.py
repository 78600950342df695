"""Rewriting a lowered graph for speed: convolutions in channels-last memory, layers fused with their activation.

The rewritten graph computes the same as the plain one but for rounding, and is what runs eagerly on the CPU; the plain
graph stays for monitors, for the compiler and for ``MXCOMPAT_EXACT=1``.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection

from torch import fx

from mxcompat.graph import fuse
from mxcompat.graph.recurrent import join_steps

__all__ = ["for_training", "geometry", "is_plain_convolution", "single_user"]


def for_training(module: fx.GraphModule) -> fx.GraphModule:
    """The graph with fused kernels, differentiable; the module itself where it holds nothing to fuse."""
    module = join_steps(module)
    graph = copy.deepcopy(module.graph)
    changed = False
    for node in list(graph.nodes):
        if is_plain_convolution(node):
            rewritten: tuple[Callable, tuple] = (fuse.convolution, (*_layer_inputs(node), geometry(node)))
        elif node.meta.get("operator") == "FullyConnected" and fuse.linear_pays():
            rewritten = (fuse.linear, (*_layer_inputs(node), node.meta["params"].flatten))
        else:
            continue
        last, activation = with_activation(node)
        with graph.inserting_before(last):
            fused = graph.call_function(rewritten[0], (*rewritten[1], activation))
        fused.meta["joined"] = [part.meta["mxnet_name"] for part in dict.fromkeys((node, last))]
        last.replace_all_uses_with(fused)
        for old in (last, node):
            if not old.users and old in graph.nodes:
                graph.erase_node(old)
        changed = True
    return fx.GraphModule(module, graph, class_name="MXNetFusedGraph") if changed else module


def is_plain_convolution(node: fx.Node) -> bool:
    """Whether the node is a convolution over two spatial axes, channels first as the user sees it."""
    if node.meta.get("operator") != "Convolution":
        return False
    params = node.meta["params"]
    return len(params.kernel) == 2 and params.layout in (None, "NCHW")


def geometry(node: fx.Node) -> tuple:
    """(stride, pad, dilate, groups) of a convolution node."""
    given = node.meta["params"]
    return (given.stride or (1, 1), given.pad or (0, 0), given.dilate or (1, 1), given.num_group)


def _layer_inputs(node: fx.Node) -> tuple:
    return (*node.args, None)[:3]


def single_user(node: fx.Node) -> fx.Node | None:
    """The one node that uses this one's value; None if there are several, or the graph returns it."""
    users = list(node.users)
    return users[0] if len(users) == 1 and users[0].op == "call_function" else None


def with_activation(node: fx.Node, kinds: Collection[str] = tuple(fuse.ACTIVATIONS)) -> tuple[fx.Node, str]:
    """The last node of a layer and its activation: the node itself and "none" where none of the kinds follows it."""
    user = single_user(node)
    if user is not None and user.meta.get("operator") == "Activation":
        kind = user.meta["params"].act_type
        if kind in kinds:
            return user, kind
    return node, "none"
