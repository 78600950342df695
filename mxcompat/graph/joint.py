"""A call, recorded as flat graphs of torch's own kernels: in training forward and backward, without autograd.

PyTorch's autograd builds and walks a graph of its own in every step, and every operator function runs its Python again.
For a bound graph both are the same each time. So one call of the user (forward, then backward) is recorded as the kernels
that it runs, and later calls run just these: the same kernels on the same numbers, so results agree bit for bit. Small
networks train about a third faster for it; recording costs a few steps and needs no compiler. An inference call is recorded
likewise, as one graph.

What cannot be recorded (values read by Python, shapes that depend on values, tensors of unknown origin, memory changed in
place across the two parts) leaves the graph to autograd.
"""

from __future__ import annotations

import functools
import logging
import operator
import re
import weakref
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import fx
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mxcompat.graph.reuse import form_of, reuse_memory

__all__ = ["Joint", "Recorder", "forward_only"]

logger = logging.getLogger("mxcompat.compile")

_aten = torch.ops.aten
_UNRECORDABLE = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
_RENAMED = {_aten.detach.default, _aten.alias.default}  # the same values under another name
_PLAIN = (bool, int, float, complex, str, type(None), torch.dtype, torch.device, torch.layout, torch.memory_format)


class _Refused(Exception):
    """Why a call cannot be recorded."""


class Recorder(TorchDispatchMode):
    """Records the kernels that run inside ``with``: once around the forward, once around the backward.

    It never changes what runs. ``refused`` says why nothing came of it, and is empty otherwise. Tensors are held weakly, so
    that recording needs no memory.
    """

    def __init__(self, inputs: Sequence[torch.Tensor]):
        super().__init__()
        self.graph = fx.Graph()
        self.refused = ""
        self.phase = "forward"
        self.strides = [value.stride() for value in inputs]
        self._known: dict[int, tuple[weakref.ref, Any]] = {}
        for index, value in enumerate(inputs):
            self._know(value, self._placeholder(f"input_{index}"))

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else the first recording imports torch._dynamo, and sympy with it

    def _placeholder(self, name: str) -> fx.Node:
        node = self.graph.placeholder(name)
        node.meta["phase"] = self.phase
        return node

    def begin_backward(self, heads: Sequence[torch.Tensor]) -> None:
        """What is recorded from now on belongs to the backward, which is given these head gradients."""
        self.phase = "backward"
        for index, head in enumerate(heads):
            self._know(head, self._placeholder(f"head_{index}"))

    def constant(self, value: torch.Tensor) -> None:
        """One more input of the forward, of which nothing but the origin counts."""
        self._know(value, self._placeholder(f"constant_{len(self._known)}"))

    def _know(self, value: torch.Tensor, node: Any) -> None:
        self._known[id(value)] = (weakref.ref(value), node)

    def node_of(self, value: torch.Tensor | None) -> Any:
        """The node that made a tensor; raises for one of unknown origin."""
        if value is None:
            return None
        reference, node = self._known.get(id(value), (None, None))
        if reference is None or reference() is not value:
            raise _Refused(f"a tensor of shape {tuple(value.shape)} comes from elsewhere")
        return node

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if not self.refused:
            try:
                self._record(func, args, kwargs, result)
            except _Refused as refusal:
                self.refused = f"{func}: {refusal}"
        return result

    def _record(self, func: Any, args: Any, kwargs: Any, result: Any) -> None:
        if func in _RENAMED:
            self._know(result, self.node_of(args[0]))
            return
        if not _UNRECORDABLE.isdisjoint(func.tags):
            raise _Refused("its result depends on values")
        if func._schema.is_mutable:
            self._check_change(func, args, kwargs)
        node = self.graph.call_function(
            func, tuple(self._nodes(args)), {key: self._nodes(x) for key, x in kwargs.items()}
        )
        node.meta["phase"] = self.phase
        operands = {
            value.untyped_storage().data_ptr()
            for value in tree_leaves((args, kwargs))
            if isinstance(value, torch.Tensor) and value.layout is torch.strided
        }
        self._results(result, node, operands)

    def _nodes(self, value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return self.node_of(value)
        if isinstance(value, (list, tuple)):
            return [self._nodes(x) for x in value]
        if not isinstance(value, _PLAIN):
            raise _Refused(f"an argument is a {type(value).__name__}")
        return value

    def _results(self, result: Any, node: fx.Node, operands: set[int]) -> None:
        if isinstance(result, torch.Tensor):
            self._know(result, node)
            if result.layout is torch.strided:
                node.meta["form"] = form_of(result, operands)
        elif isinstance(result, (list, tuple)):
            for index, part in enumerate(result):
                if isinstance(part, torch.Tensor):
                    item = self.graph.call_function(operator.getitem, (node, index))
                    item.meta["phase"] = self.phase
                    self._results(part, item, operands)

    def _check_change(self, func: Any, args: Any, kwargs: Any) -> None:
        """A kernel may change what its own part made; anything else must stay as the next call finds it."""
        for index, argument in enumerate(func._schema.arguments):
            if argument.alias_info is None or not argument.alias_info.is_write:
                continue
            given = kwargs.get(argument.name, args[index] if index < len(args) else None)
            for value in given if isinstance(given, (list, tuple)) else [given]:
                node = self.node_of(value)
                if node is not None and (node.op == "placeholder" or node.meta["phase"] != self.phase):
                    raise _Refused("it changes memory that the call did not make")


class Joint:
    """The forward and the backward of a recorded call.

    ``requires`` says of each output whether a gradient passes through it; ``backward`` takes the head gradients of those.
    ``heads_used`` says which of these it looks at: a loss does not.
    """

    def __init__(
        self,
        recorder: Recorder,
        outputs: Sequence[torch.Tensor],
        statistics: Sequence[Sequence[torch.Tensor]],
        gradients: Sequence[torch.Tensor | None],
    ):
        """Raises ``_Refused`` for a call that could not be recorded."""
        graph, known = recorder.graph, recorder.node_of
        end = graph.output(
            (
                tuple(map(known, outputs)),
                tuple(tuple(map(known, group)) for group in statistics),
                tuple(map(known, gradients)),
            )
        )
        self.strides = recorder.strides
        self.requires = [output.requires_grad for output in outputs]
        _simplify(graph)
        forward, moved, backward = end.args[0]
        after = [node for node in graph.nodes if node.meta.get("phase") == "backward"]
        needed = _needed(after, backward)
        heads = [node for node in after if node.op == "placeholder"]
        before = [node for node in graph.nodes if node.meta.get("phase") == "forward"]
        saved = tuple(node for node in before if node in needed)
        self.heads_used = [node in needed for node in heads]
        inputs = [node for node in before if node.op == "placeholder"]
        first = _needed(before, (*forward, *(node for group in moved for node in group), *saved))
        self._forward = _function(inputs, [n for n in before if n in first], (forward, moved, saved))
        self._backward = _function([*saved, *heads], [n for n in after if n in needed], backward, takes_list=True)

    @classmethod
    def of(
        cls,
        recorder: Recorder,
        outputs: Sequence[torch.Tensor],
        statistics: Sequence[Sequence[torch.Tensor]],
        gradients: Sequence[torch.Tensor | None],
    ) -> Joint | None:
        """What was recorded; None where that is not possible."""
        if not recorder.refused:
            try:
                return cls(recorder, outputs, statistics, gradients)
            except _Refused as refusal:
                recorder.refused = str(refusal)
        logger.debug("not recorded, autograd stays: %s", recorder.refused)
        return None

    def fits(self, inputs: Sequence[torch.Tensor]) -> bool:
        """Whether the inputs lie in memory as they did when the call was recorded."""
        return [value.stride() for value in inputs] == self.strides

    def forward(self, inputs: Sequence[torch.Tensor]) -> tuple:
        """Outputs, batch statistics, and what the backward needs."""
        with torch.enable_grad():  # as it was recorded: oneDNN's LSTM asks for it; nothing is taped, no input is a leaf
            return self._forward(*inputs)

    def backward(self, values: list[Any]) -> Sequence[torch.Tensor | None]:
        """The gradients, of what the forward saved and the head gradients; empties the list, to free each tensor in time.

        Head gradients may be None where ``heads_used`` says that they are not looked at.
        """
        with torch.no_grad():
            return self._backward(values)


def forward_only(recorder: Recorder, results: Any) -> Callable | None:
    """A function of the inputs that runs the kernels of a recorded call without backward and returns its results, which are
    nested tuples of tensors; None where the call could not be recorded."""
    if not recorder.refused:
        try:
            end = recorder.graph.output(_nodes_of(recorder, results))
        except _Refused as refusal:
            recorder.refused = str(refusal)
        else:
            _simplify(recorder.graph)
            wanted = _needed(list(recorder.graph.nodes), end.all_input_nodes)
            inputs = [node for node in recorder.graph.nodes if node.op == "placeholder"]
            kernels = [node for node in recorder.graph.nodes if node.op == "call_function" and node in wanted]
            return _function(inputs, kernels, end.args[0])
    logger.debug("not recorded, the graph stays as it is: %s", recorder.refused)
    return None


def _nodes_of(recorder: Recorder, results: Any) -> Any:
    if isinstance(results, (list, tuple)):
        return tuple(_nodes_of(recorder, part) for part in results)
    return recorder.node_of(results)


def _needed(nodes: Sequence[fx.Node], results: Sequence[Any]) -> set[fx.Node]:
    """The nodes, and what they are given, on which the results depend; kernels that change memory always count."""
    needed = {node for node in results if node is not None}
    for node in reversed(nodes):
        if node in needed or (isinstance(node.target, torch._ops.OpOverload) and node.target._schema.is_mutable):
            needed.add(node)
            needed.update(node.all_input_nodes)
    return needed


def _simplify(graph: fx.Graph) -> None:
    """A matrix transposed twice is the matrix."""
    for node in list(graph.nodes):
        inner = node.args[0] if node.target is _aten.t.default else None
        if inner is not None and inner.target is _aten.t.default:
            node.replace_all_uses_with(inner.args[0])
            graph.erase_node(node)


def _function(inputs: Sequence[fx.Node], nodes: Sequence[fx.Node], results: Any, takes_list: bool = False) -> Callable:
    """A Python function of the inputs, or of a list of them that it empties, that runs the nodes."""
    graph = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for index, node in enumerate(inputs):
        copies[node] = graph.placeholder(f"given_{index}")
    for node in nodes:
        if node.op != "placeholder":
            copies[node] = graph.node_copy(node, copies.__getitem__)
    graph.output(fx.node.map_arg(results, copies.__getitem__))
    reuse_memory(graph)
    for node in graph.nodes:
        _shorten(node)
    code = graph.python_code("self")
    names: dict[str, Any] = dict(code.globals)

    def named(match: re.Match) -> str:
        kernel: Any = torch.ops
        for part in match[1].split("."):
            kernel = getattr(kernel, part)
        name = "kernel_" + match[1].replace(".", "_")
        names[name] = getattr(kernel, "_op", kernel)
        return f"{name}("

    source = re.sub(r"torch\.ops\.([\w.]+)\(", named, code.src)
    if takes_list:
        given = "".join(f"given_{index}, " for index in range(len(inputs)))
        start = source.index("def forward(")
        body = source[source.index(":\n", start) + 2 :]
        taken = f"    {given}= values\n    values.clear()\n" if inputs else ""
        source = f"{source[:start]}def forward(self, values):\n{taken}{body}"
    exec(compile(source, "<recorded graph>", "exec"), names)
    return functools.partial(names["forward"], None)


def _shorten(node: fx.Node) -> None:
    """Call a kernel by the shortest way that Python has: a function of torch's own takes half the time of ``torch.ops``."""
    if not isinstance(node.target, torch._ops.OpOverload) or node.target.namespace != "aten":
        return
    name = node.target._schema.name.removeprefix("aten::")
    if name == "view" and isinstance(node.args[1], (list, tuple)) and node.args[1]:
        node.op, node.target, node.args = "call_method", "view", (node.args[0], *cast(list, node.args[1]))
    elif name.endswith("_") and not node.kwargs and hasattr(torch.Tensor, name):
        node.op, node.target = "call_method", name
    elif hasattr(torch._C._VariableFunctions, name) and hasattr(torch, name) and node.target._overloadname != "grad_input":
        node.target = getattr(torch, name)
