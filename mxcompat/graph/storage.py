"""Storage types in a graph: which values and gradients are sparse, and what a node that meets sparse values runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mxcompat.formats.arrays import STORAGE_NAMES
from mxcompat.ops import mixed
from mxcompat.symbol.node import Entry, Node


def declared(variable: Node) -> str:
    """The storage type a variable was made with."""
    return STORAGE_NAMES[int(variable.attrs.get("__storage_type__", "0"))]


def is_mixed(order: Sequence[Node], given: Mapping[int, str]) -> bool:
    """Whether the graph has sparse values or gradients; ``given`` are the storage types of variables (by id)."""
    if any(stype != "default" for stype in given.values()):
        return True
    return any(node.op is not None and mixed.always_mixed(node.op, node.params) for node in order)


def infer_stypes(order: Sequence[Node], given: Mapping[int, str]) -> dict[int, list[str]]:
    """Storage types of all node outputs."""
    stypes: dict[int, list[str]] = {}
    for node in order:
        if node.op is None:
            stypes[id(node)] = [given.get(id(node), "default")]
        else:
            stypes[id(node)] = mixed.infer_stypes(node.op, node.params, _inputs_of(node, stypes))
    return stypes


def _inputs_of(node: Node, stypes: Mapping[int, Sequence[str]]) -> tuple[str, ...]:
    return tuple(stypes[id(child)][index] for child, index in node.inputs)


def gradient_stypes(
    order: Sequence[Node], heads: Sequence[Entry], stypes: Mapping[int, Sequence[str]]
) -> dict[int, str]:
    """Storage types of the gradients of variables (by id) that backward computes; others are dense.

    A gradient from several places is row_sparse where all parts are.
    """
    parts: dict[tuple[int, int], list[str]] = {}
    for node, index in heads:
        parts.setdefault((id(node), index), []).append(stypes[id(node)][index])
    for node in reversed(order):
        if node.op is None:
            continue
        given = parts.get((id(node), 0))
        found = mixed.rule_of(node.op)
        ins = _inputs_of(node, stypes)
        gradients: Sequence[str] = ["default"] * len(ins)
        covered = any(stype != "default" for stype in ins) or mixed.always_mixed(node.op, node.params)
        if given is None and not any((id(node), i) in parts for i in range(node.num_outputs())):
            continue
        if found is not None and found.gradients is not None and covered:
            gradients = found.gradients(node.params, ins, _sum(given or ["default"]))
        for entry, stype in zip(node.inputs, gradients):
            parts.setdefault((id(entry[0]), entry[1]), []).append(stype)
    return {id(node): _sum(parts.get((id(node), 0), ["default"])) for node in order if node.op is None}


def _sum(stypes: Sequence[str]) -> str:
    if len(stypes) == 1 or all(stype == "row_sparse" for stype in stypes):
        return stypes[0]
    return "default"


def targets(
    order: Sequence[Node], stypes: Mapping[int, Sequence[str]], instances: Mapping[int, Callable]
) -> dict[int, Callable]:
    """What the nodes (by id) run that meet sparse values, or make some; ``instances`` are nodes with state of their own."""
    made = dict(instances)
    for node in order:
        if node.op is None:
            continue
        if any(s != "default" for s in _inputs_of(node, stypes)) or mixed.always_mixed(node.op, node.params):
            made[id(node)] = _target(node, instances.get(id(node), node.op.target))
    return made


def _target(node: Node, dense: Callable) -> Callable:
    op, params = node.op, node.params
    assert op is not None

    def on_mixed_values(*values: Any, **kwargs: Any) -> Any:
        results = mixed.call(op, params, values, kwargs)
        if results is None:
            return dense(*[mixed.densify(value) for value in values], **kwargs)
        return results[0] if len(results) == 1 else tuple(results)

    return on_mixed_values
