"""Lowering: structure of the fx graph."""

from __future__ import annotations

from typing import Any

import torch

import mxcompat as mx
from mxcompat.graph.lower import differentiated, lower
from mxcompat.symbol.node import topological

sym, V = mx.sym, mx.sym.Variable
CPU = torch.device("cpu")


def lowered(symbol: Any, with_gradient: tuple[str, ...] = (), is_train: bool = False) -> Any:
    arguments, auxiliary = symbol._variables()
    variables = [*arguments, *auxiliary]
    positions = {i for i, node in enumerate(variables) if node.name in with_gradient}
    return lower(symbol._heads, variables, positions, is_train, CPU)


def test_one_placeholder_a_variable_and_one_call_a_node() -> None:
    net = sym.FullyConnected(V("my data"), num_hidden=2, name="1fc")
    graph = lowered(net).module.graph
    assert [n.op for n in graph.nodes] == ["placeholder"] * 3 + ["call_function", "output"]
    assert [n.meta.get("mxnet_name") for n in graph.nodes][:4] == ["my data", "1fc_weight", "1fc_bias", "1fc"]
    call = next(n for n in graph.nodes if n.op == "call_function")
    assert call.kwargs == {"num_hidden": 2}
    assert call.meta["operator"] == "FullyConnected"


def test_equal_node_names_stay_apart() -> None:
    a = V("a")
    net = sym.Activation(sym.Activation(a, act_type="tanh", name="x"), act_type="tanh", name="x")
    outputs, _ = lowered(net).module(torch.ones(1))
    assert torch.allclose(outputs[0], torch.tanh(torch.tanh(torch.ones(1))))


def test_training_graph_returns_statistics_of_differentiated_nodes() -> None:
    net = sym.BatchNorm(sym.BatchNorm(V("d"), name="first"), name="second")
    train = lowered(net, ("first_gamma",), is_train=True)
    assert [commit.node.name for commit in train.commits] == ["first", "second"]
    assert [len(commit.aux) for commit in train.commits] == [2, 2]
    upper = lowered(net, ("second_beta",), is_train=True)
    assert [commit.node.name for commit in upper.commits] == ["second"]
    assert lowered(net, ("first_gamma",), is_train=False).commits == []


def test_block_grad_ends_differentiation() -> None:
    inner = sym.tanh(V("a"), name="inner")
    net = sym.Group([sym.BlockGrad(inner), sym.tanh(V("b"), name="other")])
    order = topological(net._heads)
    leaves = {id(node) for node in order if node.op is None}
    wanted = differentiated(order, net._heads, leaves)
    assert {node.name for node in order if id(node) in wanted and node.op is not None} == {"other"}


def test_outputs_that_are_variables_are_aliases() -> None:
    a = V("a")
    found = lowered(sym.Group([a * 2, a]))
    assert found.aliases == {1: 0}
