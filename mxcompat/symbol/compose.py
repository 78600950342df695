"""Composition: applying an operator to symbols makes a node, with variables for the inputs that are missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mxcompat import attribute, name
from mxcompat.base import MXNetError
from mxcompat.ops.schema import HIDDEN_KEYS, Operator, attribute_text
from mxcompat.symbol.node import Entry, Node, is_user_attribute, stored_key


def make_node(
    op: Operator,
    hint: str,
    inputs: Sequence[Entry | None],
    named: dict[str, Entry],
    params: dict[str, Any],
    node_name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Node:
    """The node ``op(inputs, **named)``; missing inputs become variables ``<name>_<input>``.

    Raises ``MXNetError`` for wrong parameters and for inputs the operator does not have.
    """
    attrs = _attributes(op, params, attribute.current().get(attr))
    parsed = op.parse({key: value for key, value in attrs.items() if not is_user_attribute(key)}, node_name or "")
    if not op.symbolic:
        raise MXNetError(
            f"Not enough argument to call operator {op.name}: it exists imperatively only (mx.nd.{op.name})"
        )
    node_name = name.current().get(node_name, hint)
    slots = op.input_names(parsed)
    while len(inputs) > len(slots) and inputs[-1] is None:  # Convolution(x, w, None, no_bias=True)
        inputs = inputs[:-1]
    if len(inputs) > len(slots):
        raise MXNetError(
            f"{op.label(node_name)}: expected at most {len(slots)} inputs ({', '.join(slots)}), got {len(inputs)}"
        )
    entries: list[Entry | None] = [*inputs, *[None] * (len(slots) - len(inputs))]
    for key, entry in named.items() if slots else ():  # Compat: an operator without inputs ignores those given by name
        if key not in slots:
            raise MXNetError(
                f"{op.label(node_name)}: Keyword argument name {key} not found. Candidates: {', '.join(slots)}"
            )
        entries[slots.index(key)] = entry
    filled = [
        entry if entry is not None else (_missing_variable(op, node_name, slot, attrs), 0)
        for slot, entry in zip(slots, entries)
    ]
    for slot, (child, _) in zip(slots, filled):
        if child.op is None:
            for key, text in op.variable_attributes.get(slot, {}).items():
                if key not in child.attrs:  # variables that were given, too
                    child.set_attribute(key, text)
    return Node(op, node_name, attrs, filled, params=parsed)


def _missing_variable(op: Operator, node_name: str, slot: str, attrs: dict[str, str]) -> Node:
    """The automatic variable of an input: it repeats the node's attributes, as the original's does."""
    own = {key: value for key, value in attrs.items() if not op.variadic or key != op.variadic}
    return Node(None, f"{node_name}_{slot}", own)


def _attributes(op: Operator, params: dict[str, Any], user: dict[str, str]) -> dict[str, str]:
    attrs: dict[str, str] = {}
    for key, value in (*params.items(), *user.items()):
        for hidden in HIDDEN_KEYS:
            if key != hidden and key.endswith("_" + hidden) and not is_user_attribute(key):
                raise MXNetError(
                    f"{op.name}: setting variable attributes with {key} is deprecated. please instead use "
                    f"w = Variable({hidden}={value}) and {op.name}({key[: -len(hidden) - 1]}=w)"
                )
        attrs[stored_key(key)] = attribute_text(value)
    return attrs
