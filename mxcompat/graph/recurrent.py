"""Unrolled LSTM layers, recognised and run by torch's fused kernel.

A script that unrolls ``LSTMCell`` by hand or by ``mx.rnn`` makes about twenty nodes a step. Steps that share their four
parameters and hand state and output on to the next are one layer; the layer becomes one call on the stacked inputs. A
layer whose gates or inner cell states are used elsewhere, whose inputs depend on its own outputs, or whose joining would
change the order of random draws stays as it is.
"""

from __future__ import annotations

import copy
import heapq
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx

__all__ = ["join_steps", "ordered", "run_layer", "stacked"]

#: steps from which on a layer is worth one kernel
LEAST_STEPS = 3
#: the gates in the order of torch's weights
GATES = ("enter", "forget", "content", "leave")


@dataclass
class _Step:
    """One step of an LSTM: its two linear layers (which is which shows in the chain), and what it takes and gives."""

    linears: tuple[fx.Node, fx.Node]
    order: tuple[int, ...]  # the place of each of GATES among the slices
    memory_before: fx.Node
    memory: fx.Node
    hidden: fx.Node
    inner: set[fx.Node]


def run_layer(
    inputs: Any, hidden: Any, memory: Any, parameters: Sequence[torch.Tensor], order: Sequence[int], steps_first: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """(outputs (T, N, H), last memory (N, H)) of a layer over a tensor (T, N, I), (N, T, I), or a list of (N, I)."""
    inputs, parameters = stacked(inputs, steps_first), ordered(parameters, order)
    state = (hidden.unsqueeze(0), memory.unsqueeze(0))
    outputs, _, last = torch.lstm(inputs, state, parameters, True, 1, 0.0, False, False, False)
    return outputs, last.squeeze(0)


def stacked(inputs: Any, steps_first: bool) -> torch.Tensor:
    """The inputs of a layer as one tensor (T, N, I)."""
    if isinstance(inputs, (list, tuple)):
        inputs = torch.stack(inputs)
    elif not steps_first:
        inputs = inputs.transpose(0, 1)
    # what the linear layer of a step flattens
    return inputs if inputs.dim() == 3 else inputs.reshape(*inputs.shape[:2], -1)


def ordered(parameters: Sequence[torch.Tensor], order: Sequence[int]) -> list[torch.Tensor]:
    """The parameters with the gates in torch's order."""
    if tuple(order) == (0, 1, 2, 3):
        return list(parameters)
    return [torch.cat([parameter.chunk(4)[i] for i in order]) for parameter in parameters]


def join_steps(module: fx.GraphModule) -> fx.GraphModule:
    """The graph with every recognised layer joined; the module itself where there is none."""
    if sum(_is(node, "SliceChannel") for node in module.graph.nodes) < LEAST_STEPS:
        return module
    graph = copy.deepcopy(module.graph)
    joined: list[fx.Node] = []  # the outputs of layers done before, which a layer on top takes whole
    for chain in _chains(graph):
        outputs = _join(graph, chain, joined)
        if outputs is not None:
            joined.append(outputs)
    if not joined:
        return module
    for node in list(graph.nodes):
        _take_whole(graph, node, joined)
    result = _sorted(graph)
    if _draws(result) != _draws(module.graph):
        return module
    result.lint()
    return fx.GraphModule(module, result, class_name="MXNetJoinedGraph")


# -- recognising --------------------------------------------------------------------------------------------------


def _is(node: Any, name: str, **params: Any) -> bool:
    if not isinstance(node, fx.Node) or node.meta.get("operator") != name:
        return False
    return all(node.meta["params"][key] == value for key, value in params.items())


def _activation(node: Any, kind: str) -> bool:
    return _is(node, "Activation", act_type=kind)


def _pair(node: Any, name: str, first: Any, second: Any) -> tuple[fx.Node, fx.Node] | None:
    """The two inputs of a node of that operator, ordered so that ``first`` and ``second`` hold for them."""
    if not _is(node, name):
        return None
    left, right = node.args[:2]
    for a, b in ((left, right), (right, left)):
        if first(a) and second(b):
            return a, b
    return None


def _any(node: Any) -> bool:
    return isinstance(node, fx.Node)


def _step(hidden: fx.Node) -> _Step | None:
    """The step whose output this node is, if it is one."""
    out = _pair(hidden, "elemwise_mul", lambda n: _activation(n, "sigmoid"), lambda n: _activation(n, "tanh"))
    if out is None:
        return None
    leave, squashed = out
    memory: Any = squashed.args[0]
    if not _is(memory, "elemwise_add"):
        return None
    for kept, entered in (memory.args, memory.args[::-1]):
        new = _pair(entered, "elemwise_mul", lambda n: _activation(n, "sigmoid"), lambda n: _activation(n, "tanh"))
        old = _pair(kept, "elemwise_mul", lambda n: _activation(n, "sigmoid"), _any)
        if new is None or old is None:
            continue
        gates = (new[0], old[0], new[1], leave)
        found = _gate_source(gates)
        if found is not None:
            linears, order, inner = found
            members: set[fx.Node] = {*inner, *gates, squashed, kept, entered}
            return _Step(linears, order, old[1], memory, hidden, members)
    return None


def _gate_source(gates: Sequence[fx.Node]) -> tuple[tuple[fx.Node, fx.Node], tuple[int, ...], set[fx.Node]] | None:
    """Where four gates come from: the linear layers, the place of each gate, and the nodes between."""
    parts = [gate.args[0] for gate in gates]
    if any(not isinstance(part, fx.Node) or part.target is not operator.getitem for part in parts):
        return None
    slices = {part.args[0] for part in parts}  # type: ignore[union-attr]
    order = tuple(part.args[1] for part in parts)  # type: ignore[union-attr]
    source = slices.pop()
    if slices or sorted(order) != [0, 1, 2, 3] or not _is(source, "SliceChannel", num_outputs=4, axis=1):  # type: ignore[type-var]
        return None
    total = source.args[0]  # type: ignore[union-attr]
    linears = _pair(total, "elemwise_add", _is_linear, _is_linear)
    if linears is None or source.meta["params"].squeeze_axis:  # type: ignore[union-attr]
        return None
    return linears, order, {*parts, source, total, *linears}  # type: ignore[return-value, arg-type]


def _is_linear(node: Any) -> bool:
    return _is(node, "FullyConnected", no_bias=False, flatten=True)


def _chains(graph: fx.Graph) -> list[list[_Step]]:
    """Steps that follow each other, in order of the graph; only those that may be joined."""
    steps = [step for step in map(_step, graph.nodes) if step is not None]
    by_memory = {step.memory: step for step in steps}
    followers: dict[fx.Node, _Step] = {}
    for step in steps:
        before = by_memory.get(step.memory_before)
        if before is not None and _takes(step, before.hidden) and _weights(step) == _weights(before):
            followers[before.memory] = step
    starts = [step for step in steps if all(step is not follower for follower in followers.values())]
    chains = []
    for step in starts:
        chain = [step]
        while chain[-1].memory in followers:
            chain.append(followers[chain[-1].memory])
        if len(chain) >= LEAST_STEPS and _may_join(chain):
            chains.append(chain)
    return chains


def _takes(step: _Step, hidden: fx.Node) -> bool:
    return any(linear.args[0] is hidden for linear in step.linears)


def _weights(step: _Step) -> set:
    return {linear.args[1:] for linear in step.linears}


def _may_join(chain: Sequence[_Step]) -> bool:
    """Whether nothing outside looks at what lies inside, and no input depends on an output."""
    for position, step in enumerate(chain):
        allowed = {*step.inner, step.memory, step.hidden}
        if position + 1 < len(chain):
            allowed |= chain[position + 1].inner
            if any(user not in allowed for user in step.memory.users):
                return False
        if any(user not in allowed for node in step.inner for user in node.users):
            return False
    inner = {node for step in chain for node in (*step.inner, step.memory, step.hidden)}
    reachable = set(inner)
    for node in inner:
        graph = node.graph
        break
    for node in graph.nodes:  # what depends on the chain without being part of it
        if node not in inner and any(source in reachable for source in node.all_input_nodes):
            reachable.add(node)
    return all(_inputs(chain, i)[0] not in reachable for i in range(len(chain)))


def _inputs(chain: Sequence[_Step], i: int) -> tuple[fx.Node, fx.Node, fx.Node]:
    """(input, its linear layer, the hidden state's linear layer) of a step."""
    if i > 0:
        recurrent = next(linear for linear in chain[i].linears if linear.args[0] is chain[i - 1].hidden)
    else:
        weights = _inputs(chain, 1)[2].args[1:]
        recurrent = next(linear for linear in chain[0].linears if linear.args[1:] == weights)
    own = next(linear for linear in chain[i].linears if linear is not recurrent)
    return own.args[0], own, recurrent  # type: ignore[return-value]


# -- joining ------------------------------------------------------------------------------------------------------


def _join(graph: fx.Graph, chain: Sequence[_Step], joined: Sequence[fx.Node]) -> fx.Node | None:
    """Put one call in the place of a chain; the node of its outputs (T, N, H)."""
    _, own, recurrent = _inputs(chain, 0)
    inputs: Any = [_inputs(chain, i)[0] for i in range(len(chain))]
    whole, steps_first = _whole(inputs, joined)
    parameters = [own.args[1], recurrent.args[1], own.args[2], recurrent.args[2]]
    start = (recurrent.args[0], chain[0].memory_before)
    with graph.inserting_before(chain[-1].hidden):
        arguments = (inputs if whole is None else whole, *start, parameters, chain[0].order, steps_first)
        call = graph.call_function(run_layer, arguments)
        outputs = graph.call_function(operator.getitem, (call, 0))
        memory = graph.call_function(operator.getitem, (call, 1))
        parts = [graph.call_function(operator.getitem, (outputs, i)) for i in range(len(chain))]
    for step, part in zip(chain, parts):
        step.hidden.replace_all_uses_with(part)
    last = {*chain[-1].inner, chain[-1].hidden}
    chain[-1].memory.replace_all_uses_with(memory, delete_user_cb=lambda user: user not in last)
    _erase(graph, [node for step in chain for node in (*step.inner, step.memory, step.hidden)])
    return outputs


def _erase(graph: fx.Graph, nodes: Sequence[fx.Node]) -> None:
    left = list(dict.fromkeys(nodes))
    while left:
        unused = [node for node in left if not node.users]
        if not unused:
            raise AssertionError(f"{left[0]} is still in use")
        for node in unused:
            graph.erase_node(node)
        left = [node for node in left if node not in set(unused)]


def _whole(inputs: Sequence[fx.Node], joined: Sequence[fx.Node]) -> tuple[fx.Node | None, bool]:
    """The tensor that the inputs are the steps of, in order, and whether its first axis is the step."""
    sources = {node.args[0] if node.target is operator.getitem else None for node in inputs}
    source = sources.pop()
    if sources or not isinstance(source, fx.Node) or [node.args[1] for node in inputs] != list(range(len(inputs))):
        return None, True
    if source in joined and len({user for user in source.users if user.target is operator.getitem}) == len(inputs):
        return source, True
    if _is(source, "SliceChannel", num_outputs=len(inputs), squeeze_axis=True):
        axis = source.meta["params"].axis
        if axis in (0, 1):
            return source.args[0], axis == 0  # type: ignore[return-value]
    return None, True


def _take_whole(graph: fx.Graph, node: fx.Node, joined: Sequence[fx.Node]) -> None:
    """Joined steps that are stacked again: the outputs as they came from the kernel."""
    if not _is(node, "Concat") or node.meta["params"].dim not in (0, 1):
        return
    axis = node.meta["params"].dim
    if any(not _is(part, "expand_dims", axis=axis) for part in node.args):
        return
    whole, steps_first = _whole([part.args[0] for part in node.args], joined)  # type: ignore[union-attr, misc]
    if whole is None or whole not in joined or not steps_first:
        return
    with graph.inserting_before(node):
        outputs = whole if axis == 0 else graph.call_function(torch.transpose, (whole, 0, 1))
    node.replace_all_uses_with(outputs)


def _sorted(graph: fx.Graph) -> fx.Graph:
    """A copy in an order that respects the edges and otherwise keeps the nodes as they stood; unused ones are left out."""
    needed = {node for node in graph.nodes if node.op in ("placeholder", "output")}
    left = list(needed)
    while left:
        for source in left.pop().all_input_nodes:
            if source not in needed:
                needed.add(source)
                left.append(source)
    nodes = [node for node in graph.nodes if node in needed]
    place = {node: i for i, node in enumerate(nodes)}
    missing = {node: len(set(node.all_input_nodes)) for node in nodes}
    ready = [place[node] for node in nodes if missing[node] == 0]
    heapq.heapify(ready)
    result = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    while ready:
        node = nodes[heapq.heappop(ready)]
        copies[node] = result.node_copy(node, lambda source: copies[source])
        for user in needed.intersection(node.users):
            missing[user] -= 1
            if missing[user] == 0:
                heapq.heappush(ready, place[user])
    return result


def _draws(graph: fx.Graph) -> list[str]:
    """The nodes that draw random numbers, in order."""
    return [node.name for node in graph.nodes if node.meta.get("random")]
