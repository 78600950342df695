"""``foreach``, ``while_loop`` and ``cond`` over symbols: the bodies become subgraphs.

A body is called once with fresh variables. Nodes it makes carry ``__subgraph_name__``; what it uses from outside, nodes
without that mark, is cut off and becomes an input of the loop.
"""

from __future__ import annotations

import collections
import threading
from collections.abc import Callable, Sequence
from typing import Any

from mxcompat import attribute
from mxcompat import name as naming
from mxcompat.ops import registry
from mxcompat.ops.schema import attribute_text
from mxcompat.symbol.node import Entry, Node, topological
from mxcompat.symbol.subgraph import Subgraph
from mxcompat.symbol.symbol import Group, Symbol, apply, var

__all__ = ["cond", "foreach", "while_loop"]

_MARK = "__subgraph_name__"
_counts = threading.local()


def foreach(body: Callable, data: Any, init_states: Any, name: str = "foreach") -> tuple:
    """Run ``body(slice, states) -> (outputs, new states)`` on every slice of ``data`` along axis 0.

    data (symbol or nested list of them), init_states likewise -> outputs stacked along a new axis 0, and the states of
    the last step, each in the structure that the body returns.
    """
    inputs, input_form = flatten(data, "foreach input", Symbol)
    states, state_form = flatten(init_states, "foreach states", Symbol)
    with _scope(name) as scope:
        arguments = regroup([_stand_in(x) for x in inputs], input_form)
        outputs, new_states = body(arguments, regroup([_stand_in(x) for x in states], state_form))
        outputs, output_form = flatten(outputs, "foreach output", Symbol)
        new_states, new_form = flatten(new_states, "foreach loop_vars", Symbol)
        assert state_form == new_form, "The input and output loop_vars have different format"
        subgraph = _Body(outputs, new_states, scope._attr[_MARK], True)
    places = {_stand_in_name(x): x for x in (*inputs, *states)}
    for kind, given in (("data", inputs), ("state", states)):
        if any(_stand_in_name(x) not in subgraph.names for x in given):
            raise AssertionError(f"the {kind} arrays have to be used in the loop body")
    rest = [name for name in subgraph.names if name not in places]
    node = _node(
        "_foreach",
        [subgraph],
        [*inputs, *states, *(subgraph.outer(name) for name in rest)],
        num_outputs=len(outputs) + len(new_states),
        num_out_data=len(outputs),
        in_state_locs=[subgraph.names.index(_stand_in_name(x)) for x in states],
        in_data_locs=[subgraph.names.index(_stand_in_name(x)) for x in inputs],
        remain_locs=[subgraph.names.index(name) for name in rest],
    )
    results = [Symbol([(node, i)]) for i in range(node.num_outputs())]
    return regroup(results[: len(outputs)], output_form), regroup(results[len(outputs) :], new_form)


def while_loop(
    cond: Callable, func: Callable, loop_vars: Any, max_iterations: int | None = None, name: str = "while_loop"
) -> tuple:
    """Run ``func(*loop_vars) -> (outputs, new loop_vars)`` while ``cond(*loop_vars)`` is true.

    The outputs are stacked along a new axis 0 of size ``max_iterations``; those of steps that did not run are 0.
    ``ValueError`` without max_iterations, without loop variables, or when a variable is not used.
    """
    if max_iterations is None:
        raise ValueError("max_iterations should be specified")
    limit = scalar(max_iterations, int, "max_iteration")
    if isinstance(loop_vars, (list, tuple)) and len(loop_vars) == 0:
        raise ValueError("loop_vars should contain at least one element")
    variables, form = flatten(loop_vars, "while loop_vars", Symbol)
    with _scope(name + "_cond") as scope:
        result = cond(*_arguments(variables, form))
        if not isinstance(result, Symbol):
            raise ValueError("Return of cond must be a Symbol")
        test = _Body([], [result], scope._attr[_MARK], False)
    with _scope(name + "_func") as scope:
        outputs, new_variables = func(*_arguments(variables, form))
        outputs, output_form = flatten([] if outputs is None else outputs, "while output", Symbol)
        new_variables, _ = flatten([] if new_variables is None else new_variables, "while loop_vars", Symbol)
        if len(new_variables) != len(variables):
            raise ValueError("The number of loop_vars should be consistent during the loop")
        step = _Body(outputs, new_variables, scope._attr[_MARK], False)
    inputs, (test_places, step_places) = _united([test, step], {_stand_in_name(x): x for x in variables})
    for place, variable in enumerate(variables, 1):
        if _stand_in_name(variable) not in step.names:
            raise ValueError(f"The {place}-th loop_var doesn't involve into the computation")
    node = _node(
        "_while_loop",
        [test, step],
        inputs,
        max_iterations=limit,
        cond_input_locs=test_places,
        func_input_locs=step_places,
        func_var_locs=[step.names.index(_stand_in_name(x)) for x in variables],
        num_out_data=len(outputs),
        num_outputs=len(outputs) + len(new_variables),
    )
    results = [Symbol([(node, i)]) for i in range(node.num_outputs())]
    return regroup(results[: len(outputs)], output_form), regroup(results[len(outputs) :], form)


def cond(pred: Symbol, then_func: Callable, else_func: Callable, name: str = "cond") -> Any:
    """``then_func()`` if ``pred`` (one element) is true, else ``else_func()``; both give as many symbols, of equal shapes."""
    bodies, forms = [], []
    for suffix, function in (("_pred", lambda: pred), ("_then", then_func), ("_else", else_func)):
        with _scope(name + suffix) as scope:
            outputs, form = flatten(function(), "cond outputs", Symbol)
            bodies.append(_Body(outputs, [], scope._attr[_MARK], False))
            forms.append(form)
    if len(bodies[0].heads) != 1:
        raise ValueError("pred should always be a single output")
    if len(bodies[1].heads) != len(bodies[2].heads):
        raise ValueError("Number of outputs differs between then-branch and else-branch")
    inputs, places = _united(bodies, {})
    node = _node(
        "_cond",
        bodies,
        inputs,
        cond_input_locs=places[0],
        then_input_locs=places[1],
        else_input_locs=places[2],
        num_outputs=len(bodies[1].heads),
    )
    return regroup([Symbol([(node, i)]) for i in range(node.num_outputs())], forms[1])


# -- structures, also of the imperative face ----------------------------------------------------------------------


def flatten(values: Any, what: str, kind: type) -> tuple[list, Any]:
    """The leaves of a nested list, and its form: 0 for a leaf, else a list of forms (n for a symbol of n outputs)."""
    if isinstance(values, kind):
        count = len(values.list_outputs()) if isinstance(values, Symbol) else 0
        return [values], count if count > 1 else 0
    assert isinstance(values, (list, tuple)), (
        f"{what} must be (nested) list of {kind.__name__}, but got {values} of type {type(values)}"
    )
    leaves, forms = [], []
    for value in values:
        more, form = flatten(value, what, kind)
        leaves += more
        forms.append(form)
    return leaves, forms


def regroup(leaves: Sequence[Any], form: Any) -> Any:
    """The inverse of ``flatten``."""
    left = list(leaves)

    def take(one: Any) -> Any:
        if isinstance(one, list):
            return [take(part) for part in one]
        taken = left[: max(one, 1)]
        del left[: max(one, 1)]
        return taken[0] if one == 0 else taken

    return take(form)


def scalar(value: Any, kind: type, what: str) -> Any:
    """A Python number of an array of one element, or of anything that converts; ``ValueError`` otherwise."""
    if hasattr(value, "asscalar"):
        value = value.asscalar()
    try:
        return kind(value)
    except (TypeError, ValueError):
        raise ValueError(f"Cannot convert {what} to python {kind.__name__}") from None


# -- building subgraphs -------------------------------------------------------------------------------------------


def _scope(name: str) -> attribute.AttrScope:
    """A scope that marks what is made inside; the mark is new for every call."""
    outer = attribute.current()._attr.get(_MARK, "")
    name = f"{outer}${name}" if outer else name
    counts = _counts.__dict__.setdefault("used", collections.Counter())
    counts[name] += 1
    return attribute.AttrScope(**{_MARK: f"{name}{counts[name] - 1}"})


def _stand_in_name(symbol: Symbol) -> str:
    """What the variable is called that stands for a symbol inside: its name and output number."""
    node, index = symbol._heads[0]
    return f"{node.name}-{index}"


def _stand_in(symbol: Symbol) -> Symbol:
    return var(_stand_in_name(symbol))


def _arguments(variables: Sequence[Symbol], form: Any) -> list:
    arguments = regroup([_stand_in(x) for x in variables], form)
    return arguments if isinstance(arguments, list) else [arguments]


class _Body(Subgraph):
    """A subgraph in the making: its outputs, cut off from what lies outside."""

    def __init__(self, outputs: Sequence[Symbol], states: Sequence[Symbol], mark: str, once: bool):
        used = set(Group([*outputs, *states]).list_inputs())
        names = {str(output.name) for output in outputs} if once else set()
        heads = [_own(x, used, mark) for x in outputs] + [_own(x, used | names, mark) for x in states]
        self.cut: dict[str, Symbol] = {}
        self.originals: dict[str, Node] = {}
        super().__init__(self._copied(heads, mark))
        self.names = [node.name for node in self.variables]
        assert len(set(self.names)) == len(self.names), (
            f"The inputs of the subgraph don't have unique names: {self.names}"
        )

    def _copied(self, heads: Sequence[Entry], mark: str) -> list[Entry]:
        """Copies of the marked nodes; an entry from outside becomes a variable of that output's name."""
        copies: dict[int, Node] = {}
        variables: dict[tuple[int, int], Node] = {}

        def moved(entry: Entry) -> Entry:
            node, index = entry
            if id(node) in copies:
                return copies[id(node)], index
            if (id(node), index) not in variables:
                name = node.output_name(index)
                variables[id(node), index] = Node(None, name, {})
                self.cut[name] = Symbol([entry])
            return variables[id(node), index], 0

        inner = {id(node) for node in topological(heads) if node.op is None or _is_marked(node, mark)}
        stack = [node for node, _ in heads]
        needed: set[int] = set()
        while stack:  # what lies below a cut is not part of the subgraph
            node = stack.pop()
            if id(node) in inner and id(node) not in needed:
                needed.add(id(node))
                stack += [child for child, _ in node.inputs]
        for node in topological(heads):
            if id(node) not in needed:
                continue
            if node.op is None:
                self.originals[node.name] = node
            inputs = [moved(entry) for entry in node.inputs]
            attrs = dict(node.attrs)
            copies[id(node)] = Node(node.op, node.name, attrs, inputs, params=node._params, subgraphs=node.subgraphs)
        return [moved(entry) for entry in heads]

    def outer(self, name: str) -> Symbol:
        """What an input stands for outside: the entry that was cut off, or the variable itself."""
        return self.cut[name] if name in self.cut else Symbol([(self.originals[name], 0)])


def _is_marked(node: Node, mark: str) -> bool:
    own = node.attrs.get(_MARK, "")
    return own == mark or own.startswith(mark + "$")


def _own(symbol: Symbol, foreign: set[str], mark: str) -> Entry:
    """The head of an output; one that is an input, or made outside, goes through a copy."""
    entry = symbol._single_entry()
    if symbol.name in foreign or entry[0].attrs.get(_MARK, "") != mark:
        return apply("_copy", "identity", [symbol], {})._single_entry()
    return entry


def _united(bodies: Sequence[_Body], given: dict[str, Symbol]) -> tuple[list[Symbol], list[list[int]]]:
    """All inputs of several subgraphs, each once, and the places of each subgraph's inputs among them."""
    inputs: list[Symbol] = []
    known: dict[tuple[int, int], int] = {}
    places = []
    for body in bodies:
        own = []
        for name in body.names:
            symbol = given[name] if name in given else body.outer(name)
            node, index = symbol._heads[0]
            if (id(node), index) not in known:
                known[id(node), index] = len(inputs)
                inputs.append(symbol)
            own.append(known[id(node), index])
        places.append(own)
    return inputs, places


def _node(operator: str, bodies: Sequence[_Body], inputs: Sequence[Symbol], **params: Any) -> Node:
    op = registry.get(operator)
    attrs = {key: attribute_text(value) for key, value in params.items()}
    attrs["num_args"] = str(len(inputs) + len(bodies))
    attrs.update(attribute.current().get(None))
    node_name = naming.current().get(None, operator)
    return Node(op, node_name, attrs, [x._single_entry() for x in inputs], subgraphs=bodies)
