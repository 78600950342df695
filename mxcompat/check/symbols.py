"""Reading symbol files: operators that are missing, and what the others do differently."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator

from mxcompat.base import MXNetError
from mxcompat.check.calls import check_node
from mxcompat.check.findings import Finding
from mxcompat.formats import symbol_json
from mxcompat.formats.symbol_json import GraphData, NodeData
from mxcompat.ops import load_catalogue, reference, registry

__all__ = ["check_symbol"]


def check_symbol(text: str, file: str, is_named: bool = False) -> tuple[list[Finding], int] | None:
    """The findings in a symbol file, and how many operators it has; None for another JSON file, unless it ``is_named``."""
    if not is_named and ('"nodes"' not in text or '"arg_nodes"' not in text):
        return None
    load_catalogue()
    try:
        graph = symbol_json.parse(text, file)
    except MXNetError as error:
        return [Finding(file, 1, 1, "MX503", str(error).removeprefix(f"{file}: "))], 0
    nodes = [node for node in _all_nodes(graph) if not node.is_variable]
    missing = [node for node in nodes if registry.find(node.op) is None]
    found = [_missing(node, text, file) for node in missing]
    if not missing:
        found = _loading_error(text, file) or list(_remarks(nodes, text, file))
    return found, len(nodes)


def _all_nodes(graph: GraphData) -> Iterator[NodeData]:
    for node in graph.nodes:
        yield node
        for inner in node.subgraphs:
            yield from _all_nodes(inner)


def _missing(node: NodeData, text: str, file: str) -> Finding:
    reason = reference.why_excluded(node.op) or "neither MXNet 1.9.1 nor mxcompat has this operator"
    return Finding(file, _line_of(text, node), 1, "MX303", f"node {node.name}: {node.op}: {reason}")


def _loading_error(text: str, file: str) -> list[Finding]:
    import mxcompat as mx

    try:
        mx.sym.load_json(text)
    except MXNetError as error:
        return [Finding(file, 1, 1, "MX312", str(error))]
    return []


def _remarks(nodes: list[NodeData], text: str, file: str) -> Iterator[Finding]:
    """What differs or has no effect: told once for all nodes of which it is true, as files spell out every parameter."""
    places: dict[tuple[str, str], list[NodeData]] = defaultdict(list)
    for node in nodes:
        op = registry.find(node.op)
        for _, code, remark in check_node(op, node.attrs) if op is not None else ():
            places[code, remark].append(node)
    for (code, remark), same in places.items():
        more = f" and {len(same) - 1} more" if len(same) > 1 else ""
        yield Finding(file, _line_of(text, same[0]), 1, code, f"node {same[0].name}{more}: {remark}")


def _line_of(text: str, node: NodeData) -> int:
    place = text.find(f'"name": {json.dumps(node.name)}')
    return text.count("\n", 0, max(place, 0)) + 1
