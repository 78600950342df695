"""An estimate of the memory that a bound graph needs beside its arguments, gradients and auxiliary states."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import torch

from mxcompat.ops.shape import is_known, size
from mxcompat.symbol.node import Entry, Node

Place = tuple[int, int]  # node by id, output


def planned_bytes(
    order: Sequence[Node],
    heads: Sequence[Entry],
    wanted: set[int],
    shapes: Mapping[int, Sequence[tuple | None]],
    types: Mapping[int, Sequence[torch.dtype | None]],
    mirrored: Collection[int] = (),
) -> int:
    """The largest number of bytes that operators' outputs take at one time in a forward and a backward.

    An output is kept until its last reader has run, or, where a gradient of a ``wanted`` variable (by id) passes through
    its operator or a reader, until that one's backward. Gradients live from their first to their last use. Outputs of
    ``mirrored`` nodes (by id) go after the forward and come back with the backward that reads them.
    """
    bytes_of: dict[Place, int] = {}
    for node in order:
        for index, (shape, dtype) in enumerate(zip(shapes[id(node)], types[id(node)])):
            known = node.op is not None and shape is not None and is_known(shape)
            bytes_of[id(node), index] = size(shape or ()) * (dtype or torch.float32).itemsize if known else 0
    taped = _taped(order, heads, wanted)
    last_reader = {(id(child), index): i for i, node in enumerate(order) for child, index in node.inputs}
    shown = {(id(node), index) for node, index in heads}
    kept = {place for node in order if id(node) in taped for place in _places(node)}
    again = {place for place in kept if place[0] in mirrored} - shown
    live, peak = 0, 0
    for step, node in enumerate(order):
        live += sum(bytes_of[place] for place in _places(node, inputs=False))
        peak = max(peak, live)
        done = [
            p
            for p, reader in last_reader.items()
            if reader == step and (p not in kept or p in again) and p not in shown
        ]
        live -= sum(bytes_of[place] for place in done)
    return max(peak, _backward_peak(order, taped, bytes_of, kept, shown, again, live))


def _places(node: Node, inputs: bool = True) -> list[Place]:
    """A node's outputs, and where asked its inputs."""
    own = [(id(node), index) for index in range(node.num_outputs())]
    return own + [(id(child), index) for child, index in node.inputs] if inputs else own


def _taped(order: Sequence[Node], heads: Sequence[Entry], wanted: set[int]) -> set[int]:
    """The operators through which gradients of wanted variables pass."""
    depends: set[int] = set()
    for node in order:
        if node.op is None:
            found = id(node) in wanted
        else:
            found = not node.op.stops_gradient and any(id(child) in depends for child, _ in node.inputs)
        if found:
            depends.add(id(node))
    asked = {id(node) for node, _ in heads}
    for node in reversed(order):
        if id(node) in asked and id(node) in depends:
            asked.update(id(child) for child, _ in node.inputs)
    return {id(node) for node in order if node.op is not None} & depends & asked


def _backward_peak(
    order: Sequence[Node],
    taped: set[int],
    bytes_of: Mapping[Place, int],
    kept: set[Place],
    shown: set[Place],
    again: set[Place],
    live: int,
) -> int:
    """The largest number of live bytes while gradients go back through the taped operators."""
    inputs_of = {id(node): node.inputs for node in order}
    there: set[Place] = set()
    peak = live
    gradients: set[Place] = set()
    first_reader: dict[Place, int] = {}
    for step, node in enumerate(order):
        if id(node) in taped:
            for place in _places(node):
                first_reader.setdefault(place, step)
    for step in range(len(order) - 1, -1, -1):
        node = order[step]
        if id(node) not in taped:
            continue
        new = {(id(child), index) for child, index in node.inputs if id(child) in taped} - gradients
        gradients |= new
        live += sum(bytes_of[place] for place in new)
        back = _come_back(_places(node), again, there, inputs_of)
        there |= back
        live += sum(bytes_of[place] for place in back)
        peak = max(peak, live)
        ended = [place for place in _places(node, inputs=False) if place in gradients]
        ended += [p for p in kept if first_reader.get(p) == step and p not in shown]
        live -= sum(bytes_of[place] for place in ended)
    return peak


def _come_back(
    asked: Sequence[Place], again: set[Place], there: set[Place], inputs_of: Mapping[int, Sequence[Entry]]
) -> set[Place]:
    """The dropped places that are computed anew for those asked for."""
    found: set[Place] = set()
    pending = list(asked)
    while pending:
        place = pending.pop()
        if place in again and place not in there and place not in found:
            found.add(place)
            pending += [(id(child), index) for child, index in inputs_of[place[0]]]
    return found
