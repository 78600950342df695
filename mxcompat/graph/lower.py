"""Lowering: a Symbol becomes one torch.fx GraphModule whose call targets are the operator functions.

The graph has one placeholder a variable (arguments, then auxiliary states) and one ``call_function`` a node, whose
name is the node's, made unique and legal; ``meta['mxnet_name']`` keeps the original. It returns
``(outputs, statistics)``: the symbol's outputs, and one tuple of batch statistics for each node in ``commits``.
"""

from __future__ import annotations

import keyword
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx

from mxcompat.base import MXNetError
from mxcompat.ops.schema import Params
from mxcompat.symbol.node import Entry, Node, topological


@dataclass
class Commit:
    """A node whose auxiliary states move in backward: their positions among the graph's inputs."""

    node: Node
    aux: list[int]


@dataclass
class Lowered:
    """A graph for one mode (training or inference).

    ``aliases`` maps an output that is a bare variable to that input's position; ``may_alias`` are outputs that could
    share memory with an input; ``forward_writes`` are (input position, number) pairs a forward with gradients writes.
    ``is_best_eager`` says that compiling would only take apart what is one kernel now.
    """

    module: fx.GraphModule
    commits: list[Commit]
    aliases: dict[int, int]
    may_alias: list[int]
    forward_writes: list[tuple[int, float]]
    random: bool
    traceable: bool
    is_best_eager: bool
    operators: int


def lower(
    heads: Sequence[Entry],
    variables: Sequence[Node],
    with_gradient: set[int],
    is_train: bool,
    device: torch.device,
    created: Mapping[int, tuple] | None = None,
    instances: Mapping[int, Callable] | None = None,
) -> Lowered:
    """The graph of ``heads``; ``variables`` are its inputs in order, ``with_gradient`` the positions that get gradients.

    ``created`` has the inferred shapes of the nodes (by id) that create arrays, ``instances`` the callables of the nodes
    (by id) that have state of their own (``Operator.instantiate``).
    """
    graph = fx.Graph()
    order = topological(heads)
    values: dict[tuple[int, int], fx.Node] = {}
    taken: set[str] = set()
    for index, variable in enumerate(variables):
        legal = _legal(variable.name, index)
        if legal in taken:  # a.b and a_b
            legal = f"input_{index}_{legal}"
        taken.add(legal)
        placeholder = graph.create_node("placeholder", legal)
        placeholder.meta["mxnet_name"] = variable.name
        values[id(variable), 0] = placeholder
    place = {id(variable): i for i, variable in enumerate(variables)}
    wanted = differentiated(order, heads, {id(variables[i]) for i in with_gradient})
    commits: list[Commit] = []
    tails: list[fx.Node] = []
    writes: list[tuple[int, float]] = []
    for node in order:
        if node.op is None:
            continue
        kwargs = _keywords(node, is_train, device, (created or {}).get(id(node)))
        target = (instances or {}).get(id(node), node.op.target)
        tail = _add_node(graph, node, values, target, kwargs, is_train)
        if id(node) not in wanted:
            continue
        if node.op.commit is not None and is_train:
            commits.append(Commit(node, [place[id(node.inputs[i][0])] for i in node.aux_inputs()]))
            tails.append(tail)
        writes += _forward_writes(node, place)
    graph.output((tuple(values[id(node), index] for node, index in heads), tuple(tails)))
    graph.lint()
    module = fx.GraphModule(torch.nn.Module(), graph, class_name="MXNetGraph")
    operators = [node.op for node in order if node.op is not None]
    return Lowered(
        module,
        commits,
        {i: place[id(node)] for i, (node, _) in enumerate(heads) if node.op is None},
        [i for i, (node, _) in enumerate(heads) if node.op is not None and node.op.may_view],
        writes,
        any(op.random for op in operators),
        all(op.traceable for op in operators),
        device.type == "cpu" and any(op.whole_on_cpu for op in operators),
        len(operators),
    )


def moved_states(
    lowered: Lowered, inputs: Sequence[torch.Tensor], statistics: Sequence[Sequence[torch.Tensor]]
) -> Iterator[tuple[int, torch.Tensor]]:
    """(input position, new value) of the auxiliary states that a training call moves, the last node first."""
    for commit, own in zip(reversed(lowered.commits), reversed(statistics)):
        op = commit.node.op
        assert op is not None and op.commit is not None
        if own:
            targets = tuple(inputs[i] for i in commit.aux)
            yield from zip(commit.aux, op.commit(commit.node.params, targets, tuple(t.detach() for t in own)))


def _legal(name: str, index: int) -> str:
    """A Python identifier for a placeholder, made of the variable's name."""
    text = re.sub(r"\W", "_", name)
    return text if text.isidentifier() and not keyword.iskeyword(text) else f"input_{index}_{text}"


def _keywords(node: Node, is_train: bool, device: torch.device, shape: tuple | None) -> dict[str, Any]:
    op = node.op
    assert op is not None
    params = node.params if op.instantiate is None else Params()  # an instance has its parameters already
    return op.call_arguments(params, is_train, device, shape, explicit=True)


def _add_node(
    graph: fx.Graph,
    node: Node,
    values: dict,
    target: Callable,
    kwargs: dict[str, Any],
    is_train: bool,
) -> fx.Node:
    """Add the call of one node and the selection of its outputs; returns the call itself sliced to its statistics."""
    op = node.op
    assert op is not None
    args = tuple(values[id(child), index] for child, index in node.inputs)
    call = graph.create_node("call_function", target, args, kwargs, name=_legal(node.name, 0))
    call.meta.update(mxnet_name=node.name, operator=op.name, params=node.params, random=op.random)
    count = node.num_outputs()
    has_tail = op.commit is not None and is_train
    mutated = op.mutated_names(node.params)
    if count == 1 and not has_tail and not mutated:
        values[id(node), 0] = call
        return call
    for index in range(count):
        values[id(node), index] = graph.call_function(operator.getitem, (call, index))
    if not has_tail:
        return call
    start = count + len(mutated)
    return graph.call_function(operator.getitem, (call, slice(start, None)))


def _forward_writes(node: Node, place: dict[int, int]) -> list[tuple[int, float]]:
    assert node.op is not None
    if node.op.forward_writes is None:
        return []
    names = node.op.input_names(node.params)
    numbers = node.op.forward_writes(node.params)
    return [
        (place[id(child)], numbers[name])
        for name, (child, _) in zip(names, node.inputs)
        if name in numbers and id(child) in place
    ]


def differentiated(order: Sequence[Node], heads: Sequence[Entry], leaves: set[int]) -> set[int]:
    """The nodes (by id) whose gradient is computed: they lie between a head and a leaf that gets a gradient."""
    return _below(order, leaves) & _above(order, heads)


def _below(order: Sequence[Node], leaves: set[int], through_losses: bool = True) -> set[int]:
    """The nodes (by id) that a leaf reaches through the inputs."""
    below = set(leaves)
    for node in order:
        if node.op is None or (node.op.stops_gradient if through_losses else node.op.is_loss(node.params)):
            continue
        if any(id(child) in below for child, _ in node.inputs):
            below.add(id(node))
    return below


def _above(order: Sequence[Node], heads: Sequence[Entry]) -> set[int]:
    """The nodes (by id) that a head reaches through the consumers."""
    above: set[int] = {id(node) for node, _ in heads}
    for node in reversed(order):
        if id(node) in above and node.op is not None and not node.op.stops_gradient:
            above.update(id(child) for child, _ in node.inputs)
    return above


def asked_heads(heads: Sequence[Entry], leaves: set[int]) -> list[bool]:
    """Whether a backward asks for the gradient of each head: it reaches a leaf that gets a gradient, past every loss, since
    a loss ignores what comes from behind it (a reshaped SoftmaxOutput needs no head gradient)."""
    reached = _below(topological(heads), leaves, through_losses=False)
    return [id(node) in reached for node, _ in heads]


def refused_gradient(heads: Sequence[Entry], leaves: set[int]) -> str:
    """Why a backward with these leaves (by id) must fail: an input of which no gradient can be asked; empty if it need not.

    Raises ``MXNetError`` where a gradient would pass through an operator that has none, whatever lies before it.
    """
    order = topological(heads)
    if not leaves or all(n.op is None or (n.op.differentiable and not n.op.no_gradient) for n in order):
        return ""
    above, below = _above(order, heads), _below(order, leaves)
    for node in order:
        if node.op is None or id(node) not in above:
            continue
        if not node.op.differentiable:
            raise MXNetError(
                f"Operator {node.op.name} is non-differentiable: no gradient can pass through {node.name}; put BlockGrad "
                "behind it, or bind without gradients"
            )
        for name, (child, _) in zip(node.op.input_names(node.params), node.inputs):
            if name in node.op.no_gradient and id(child) in below:
                return f"{node.op.label(node.name)}: no gradient can be asked for input {name}; put BlockGrad before it"
    return ""
