"""Nodes of a symbolic graph: structure never changes, attributes may."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from mxcompat.ops.schema import HIDDEN_KEYS, Operator, Params

Entry = tuple["Node", int]


class Node:
    """A variable (``op`` is None) or one application of an operator.

    ``attrs`` holds operator parameters as the text they were given as, and user attributes as ``__name__``. ``version``
    grows with every change of an attribute, so that caches can key on it. ``mutations`` counts the operators that were
    given this variable as an auxiliary state; ``input_versions`` is what each input's count was (files keep it).
    """

    __slots__ = ("_params", "attrs", "input_versions", "inputs", "mutations", "name", "op", "subgraphs", "version")

    def __init__(
        self,
        op: Operator | None,
        name: str,
        attrs: dict[str, str],
        inputs: Sequence[Entry] = (),
        input_versions: Sequence[int] | None = None,
        params: Params | None = None,
        subgraphs: Sequence[Any] = (),
    ):
        self.op, self.name, self.attrs, self.inputs = op, name, attrs, tuple(inputs)
        self.version = 0
        self.subgraphs = tuple(subgraphs)
        self._params = params
        self.mutations = 0
        self.input_versions = tuple(input_versions) if input_versions is not None else self._read_versions()

    def __repr__(self) -> str:
        return f"<Node {self.op.name if self.op else 'variable'} {self.name}>"

    @property
    def params(self) -> Params:
        """The operator's parsed parameters."""
        if self._params is None:
            assert self.op is not None
            given = {key: value for key, value in self.attrs.items() if not is_user_attribute(key)}
            self._params = self.op.parse(given, self.name)
            if self.subgraphs:
                self._params = Params({**self._params, "subgraphs": self.subgraphs})
        return self._params

    def set_attribute(self, key: str, value: str) -> None:
        """Write one attribute."""
        self.attrs[key] = value
        self.version += 1
        if not is_user_attribute(key):
            self._params = None

    def _read_versions(self) -> tuple[int, ...]:
        """Count this node's own changes of its auxiliary states, and note the counts."""
        for position in self.aux_inputs():
            self.inputs[position][0].mutations += 1
        return tuple(child.mutations for child, _ in self.inputs)

    def num_outputs(self) -> int:
        return 1 if self.op is None else self.op.num_outputs(self.params)

    def num_visible(self) -> int:
        return 1 if self.op is None else self.op.num_visible(self.params)

    def output_name(self, index: int) -> str:
        """Name of one output: the variable's own, or ``name_suffix``."""
        if self.op is None:
            return self.name
        return f"{self.name}_{self.op.output_names(self.params)[index]}"

    def aux_inputs(self) -> list[int]:
        """Positions of the inputs that are auxiliary states."""
        if self.op is None or not self.op.has_aux:
            return []
        aux = self.op.aux_names(self.params)
        return [i for i, name in enumerate(self.op.input_names(self.params)) if name in aux]


def is_user_attribute(key: str) -> bool:
    """Whether an attribute is the user's (``__x__``) and no operator parameter."""
    return key.startswith("__") and key.endswith("__")


def stored_key(key: str) -> str:
    """The key under which an attribute is kept: ``lr_mult`` and its like get their double underscores."""
    return f"__{key}__" if any(key.startswith(hidden) for hidden in HIDDEN_KEYS) else key


def shown_attributes(attrs: dict[str, str]) -> dict[str, str]:
    """The attributes as ``list_attr`` shows them: the hidden keys with and without their double underscores."""
    shown = dict(attrs)
    for key, value in attrs.items():
        if is_user_attribute(key) and any(key[2:-2].endswith(hidden) for hidden in HIDDEN_KEYS):
            shown[key[2:-2]] = value
    return shown


def topological(heads: Iterable[Entry]) -> list[Node]:
    """All nodes the heads need, each after its inputs (depth-first, in the order of the inputs)."""
    order: list[Node] = []
    seen: set[int] = set()
    for head, _ in heads:
        if id(head) in seen:
            continue
        seen.add(id(head))
        stack: list[tuple[Node, Any]] = [(head, iter(head.inputs))]
        while stack:
            node, inputs = stack[-1]
            for child, _ in inputs:
                if id(child) not in seen:
                    seen.add(id(child))
                    stack.append((child, iter(child.inputs)))
                    break
            else:
                order.append(node)
                stack.pop()
    return order


def copy_graph(heads: Sequence[Entry], replace: dict[int, Entry] | None = None) -> list[Entry]:
    """Copies of the heads on copied nodes; ``replace`` maps a variable node's id to what stands in its place."""
    replace = replace or {}
    copies: dict[int, Node] = {}

    def moved(entry: Entry) -> Entry:
        node, index = entry
        return replace[id(node)] if id(node) in replace else (copies[id(node)], index)

    for node in topological(heads):
        if id(node) in replace:
            continue
        inputs = [moved(entry) for entry in node.inputs]
        copy = Node(node.op, node.name, dict(node.attrs), inputs, node.input_versions, node._params, node.subgraphs)
        copy.mutations = node.mutations
        copies[id(node)] = copy
    return [moved(entry) for entry in heads]
