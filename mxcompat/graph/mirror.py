"""Mirroring: outputs of cheap nodes are dropped after the forward and computed again when a backward asks for them.

``MXNET_BACKWARD_DO_MIRROR=1`` mirrors every node but those that are dear to compute (``DEAR``, fused layers, layers that
were joined), the attribute ``force_mirroring`` single nodes; both are read at bind. Nodes that draw random numbers, have
state of their own or give an output of the graph are never mirrored, nor, under the switch, those with the attribute
``mirror_stage``, which marks the ends of stages. Values stay the same bit for bit: the same kernels run on the same inputs.

A forward runs under hooks that see each tensor autograd saves. What lies in the memory of a mirrored value is replaced by
a note which value it was. Backward computes the value from the nearest ones that were kept, and keeps it until the last
of those who saved it has had it. Mirrored graphs run eagerly, whatever the compile policy.
"""

from __future__ import annotations

import operator
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import fx
from torch.autograd.graph import saved_tensors_hooks

from mxcompat.symbol.node import Node

__all__ = ["Mirrored", "is_asked", "is_mirrored"]

#: operators whose outputs are kept under the switch: the original's list, then others that cost as much
DEAR = frozenset("Convolution FullyConnected Concat SoftmaxOutput".split())
DEAR |= frozenset("Deconvolution RNN Embedding dot batch_dot _linalg_gemm _linalg_gemm2 CTCLoss Correlation".split())
#: what an operator saves for itself is kept up to this size: it is not worth a second run
SMALL = 1 << 16


def is_asked() -> bool:
    """Whether ``MXNET_BACKWARD_DO_MIRROR`` is set to something else than 0."""
    return os.environ.get("MXNET_BACKWARD_DO_MIRROR", "0").strip() not in ("", "0")


def is_mirrored(node: Node, asked: bool) -> bool:
    """Whether a node's outputs are computed again in backward; ``asked`` tells whether the switch is on."""
    op = node.op
    if op is None or op.instantiate is not None or node.subgraphs:
        return False
    if op.random and not (op.name == "LeakyReLU" and node.params.act_type != "rrelu"):
        return False
    if _is_true(node.attrs.get("__force_mirroring__")):
        return True
    return asked and op.name not in DEAR and not _is_true(node.attrs.get("__mirror_stage__"))


def _is_true(text: str | None) -> bool:
    return text is not None and text.strip().lower() in ("true", "1")


class _Saved:
    """What autograd holds in place of a tensor it saves: the tensor, or which value of which node it was."""

    __slots__ = ("geometry", "index", "inner", "node", "tape", "tensor")

    def __init__(self, tape: _Tape, tensor: torch.Tensor):
        self.tape = tape
        self.tensor: torch.Tensor | None = tensor.detach()  # an output's history would hold what holds this object

    def drop(self, node: fx.Node, index: int | None, inner: bool) -> None:
        """Forget the tensor: it is value ``index`` of a node, or the ``index``-th tensor the node saves by itself."""
        assert self.tensor is not None
        self.node, self.index, self.inner = node, index, inner
        self.geometry = (self.tensor.size(), self.tensor.stride(), self.tensor.storage_offset())
        self.tensor = None
        self.tape.holders[node, inner] += 1

    def get(self) -> torch.Tensor:
        """The tensor, computed again where it was dropped."""
        if self.tensor is not None:
            return self.tensor
        value = self.tape.again(self.node, self.inner)
        tensor = value if self.index is None else value[self.index]
        size, stride, offset = self.geometry
        if tensor.size() == size and tensor.stride() == stride and tensor.storage_offset() == offset:
            return tensor
        return tensor.as_strided(size, stride, offset)


class _Tape:
    """What one forward leaves for its backwards: the kept values that mirrored nodes start from.

    ``holders`` counts who saved a node's value, or (with True) a tensor that the node saved by itself.
    """

    def __init__(self, place: Mapping[fx.Node, int]):
        self._place = place
        self.kept: dict[fx.Node, Any] = {}
        self.gradients: dict[fx.Node, list[bool]] = {}  # for each input of a node in turn: whether it needs one
        self.holders: Counter[tuple[fx.Node, bool]] = Counter()
        self._again: dict[tuple[fx.Node, bool], Any] = {}
        self._left: dict[tuple[fx.Node, bool], int] = {}
        self._backward = -1

    def again(self, node: fx.Node, inner: bool) -> Any:
        """A mirrored node's value, or with ``inner`` what it saves by itself; the last holder's call lets go of it."""
        backward = torch._C._current_graph_task_id()
        if backward != self._backward:
            self._forget()
            self._backward = backward
            if backward >= 0:
                torch.autograd.Variable._execution_engine.queue_callback(self._forget)
        key = (node, inner)
        value = self._again[key] if key in self._again else self._inner(node) if inner else self._value(node)
        self._left[key] = self._left.get(key, self.holders[key]) - 1
        if self._left[key] > 0:
            self._again[key] = value
        else:
            self._again.pop(key, None)
        return value

    def _forget(self) -> None:
        self._again.clear()
        self._left.clear()
        self._backward = -1

    def _value(self, node: fx.Node) -> Any:
        """A node's value: kept, there again, or computed from such ones."""
        needed: set[fx.Node] = set()
        pending = [node]
        while pending:
            current = pending.pop()
            if current not in needed and current not in self.kept and (current, False) not in self._again:
                needed.add(current)
                pending.extend(current.all_input_nodes)
        uses = Counter(source for current in needed for source in current.all_input_nodes)
        values: dict[fx.Node, Any] = {}

        def value_of(source: fx.Node) -> Any:
            if source in values:
                return values[source]
            return self.kept[source] if source in self.kept else self._again[source, False]

        with torch.no_grad():
            for current in sorted(needed, key=self._place.__getitem__):
                args, kwargs = fx.node.map_arg((current.args, current.kwargs), value_of)
                values[current] = current.target(*args, **kwargs)  # type: ignore[operator]
                if self._left.get((current, False), self.holders[current, False]) > 0:
                    self._again[current, False] = values[current]
                for source in current.all_input_nodes:
                    uses[source] -= 1
                    if uses[source] == 0:
                        values.pop(source, None)
        return value_of(node)

    def _inner(self, node: fx.Node) -> list[torch.Tensor]:
        """What a node saves, from running it once more with gradients."""
        flags = iter(self.gradients[node])
        args, kwargs = fx.node.map_arg((node.args, node.kwargs), lambda source: _leaf(self._value(source), next(flags)))
        saved: list[torch.Tensor] = []

        def pack(tensor: torch.Tensor) -> int:
            saved.append(tensor)
            return len(saved)

        with torch.enable_grad(), saved_tensors_hooks(pack, _never):
            node.target(*args, **kwargs)  # type: ignore[operator]
        return saved


def _leaf(value: Any, needs_gradient: bool) -> Any:
    return value.detach().requires_grad_(True) if needs_gradient else value


def _never(packed: int) -> torch.Tensor:
    raise AssertionError("a second run is not differentiated")


def _tensors(value: Any) -> Iterator[tuple[int | None, torch.Tensor]]:
    """The tensors of a node's value with their index, which is None where the value is one tensor."""
    if isinstance(value, torch.Tensor):
        yield None, value
    elif isinstance(value, (tuple, list)):
        yield from ((i, part) for i, part in enumerate(value) if isinstance(part, torch.Tensor))


def _detached(value: Any) -> Any:
    """The value without its history, which would hold the tape that is to hold the value."""
    if isinstance(value, torch.Tensor):
        return value.detach()
    return tuple(_detached(part) for part in value) if isinstance(value, (tuple, list)) else value


class Mirrored:
    """Runs a training graph and drops what ``mirrors`` says of the symbol's nodes, by name."""

    def __init__(self, module: fx.GraphModule, mirrors: Mapping[str, bool]):
        self.module = module
        self.order = list(module.graph.nodes)
        self.place = {node: i for i, node in enumerate(self.order)}
        self.placeholders = [node for node in self.order if node.op == "placeholder"]
        shown = {source for node in self.order if node.op == "output" for source in node.all_input_nodes}
        self.mirrored: set[fx.Node] = set()
        for node in self.order:
            if node.op == "call_function" and node not in shown and self._is_mirrored(node, mirrors):
                self.mirrored.add(node)
        self.starts = {source for node in self.mirrored for source in node.all_input_nodes} - self.mirrored
        self.ends: dict[fx.Node, list[fx.Node]] = {}  # for each node the values that nobody needs after it
        last = {source: node for node in self.order for source in node.all_input_nodes}
        for source, user in last.items():
            self.ends.setdefault(user, []).append(source)

    def _is_mirrored(self, node: fx.Node, mirrors: Mapping[str, bool]) -> bool:
        if node.target is operator.getitem:
            return node.args[0] in self.mirrored
        names = node.meta.get("joined") or (node.meta.get("mxnet_name", ""),)
        return all(mirrors.get(name, False) for name in names)

    def __call__(self, *tensors: torch.Tensor) -> Any:
        if not torch.is_grad_enabled() or not self.mirrored:
            return self.module(*tensors)
        return _Forward(self).run(tensors)


class _Forward:
    """One forward of a mirrored graph."""

    def __init__(self, graph: Mirrored):
        self._graph = graph
        self._tape = _Tape(graph.place)
        self._values: dict[fx.Node, Any] = {}
        self._fresh: list[_Saved] = []  # what the node that runs now has saved so far
        self._owners: dict[int, tuple[fx.Node, int | None]] = {}  # by address of live memory: the value that lies there
        self._users: Counter[int] = Counter()

    def run(self, tensors: Sequence[torch.Tensor]) -> Any:
        """The graph's outputs."""
        try:
            return self._run(tensors)
        finally:  # autograd keeps the hook, which is bound to this object: it must not hold what holds autograd's nodes
            self._values.clear()
            self._fresh.clear()

    def _run(self, tensors: Sequence[torch.Tensor]) -> Any:
        graph, values = self._graph, self._values
        given = dict(zip(graph.placeholders, tensors))
        with saved_tensors_hooks(self._pack, _Saved.get):
            for node in graph.order:
                args, kwargs = fx.node.map_arg((node.args, node.kwargs), values.__getitem__)
                if node.op == "output":
                    return args[0]
                value = given[node] if node.op == "placeholder" else node.target(*args, **kwargs)  # type: ignore[operator]
                self._enter(node, value)
                self._settle(node)
                del args, kwargs, value
                for source in graph.ends.get(node, ()):
                    self._leave(source)
        raise AssertionError("a graph without output")

    def _pack(self, tensor: torch.Tensor) -> _Saved:
        saved = _Saved(self._tape, tensor)
        self._fresh.append(saved)
        return saved

    def _enter(self, node: fx.Node, value: Any) -> None:
        self._values[node] = value
        for index, tensor in _tensors(value):
            address = tensor.untyped_storage().data_ptr()
            self._owners.setdefault(address, (node, index))
            self._users[address] += 1
        if node in self._graph.starts:
            self._tape.kept[node] = _detached(value)

    def _leave(self, node: fx.Node) -> None:
        for _, tensor in _tensors(self._values.pop(node)):
            address = tensor.untyped_storage().data_ptr()
            self._users[address] -= 1
            if self._users[address] == 0:
                del self._users[address], self._owners[address]

    def _settle(self, node: fx.Node) -> None:
        """Drop what the node saved, where it can be computed again."""
        for index, saved in enumerate(self._fresh):
            assert saved.tensor is not None
            storage = saved.tensor.untyped_storage()
            if storage.nbytes() <= SMALL:
                continue
            owner, part = self._owners.get(storage.data_ptr(), (None, None))
            if owner in self._graph.mirrored:
                saved.drop(owner, part, inner=False)
            elif owner is None and node in self._graph.mirrored:
                saved.drop(node, index, inner=True)
                self._tape.gradients[node] = self._flags(node)
        self._fresh.clear()

    def _flags(self, node: fx.Node) -> list[bool]:
        flags: list[bool] = []
        fx.node.map_arg(
            (node.args, node.kwargs),
            lambda source: flags.append(getattr(self._values[source], "requires_grad", False)),  # type: ignore[arg-type, func-returns-value]
        )
        return flags
