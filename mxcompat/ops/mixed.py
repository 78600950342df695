"""Running operators on dense and sparse values: which storage results have, the kernels, and gradients.

A value is a tensor or a ``Sparse``: storage, and where it takes part in differentiation a ``tape``. The tape is a tensor
of the array's full shape that takes no memory; gradients of sparse values therefore are gradients of whole arrays,
dense or (as sparse COO tensors of whole rows) row_sparse.

A ``Rule`` says for some storage types of the inputs which ones the outputs have, and how to compute and differentiate
them. Whatever no rule covers runs on dense copies, with the same numbers and dense results.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.autograd.function import BackwardCFunction

from mxcompat.ops.schema import Operator, Params
from mxcompat.ops.storage import RowSparse, Storage, from_dense

__all__ = ["Call", "Rule", "Sparse", "always_mixed", "call", "densify", "proxy", "rule", "rule_of", "stype_of"]

Stypes = tuple[str, ...]
Gradient = Any  # a tensor, a RowSparse or None


class Sparse:
    """A sparse value of a graph or a recording: ``storage`` and ``tape`` (None where nothing is differentiated)."""

    __slots__ = ("storage", "tape")

    def __init__(self, storage: Storage, tape: torch.Tensor | None = None):
        self.storage, self.tape = storage, tape

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes."""
        return self.storage.shape


@dataclass(frozen=True)
class Rule:
    """What one operator does with sparse inputs.

    infer       ``infer(params, stypes)`` -> storage types of the outputs, None where the operator runs on dense copies
    forward     ``forward(call, *values)`` -> outputs (storages and tensors; a tensor is converted where ``infer`` says
                otherwise), None for the operator's own function on dense copies
    backward    ``backward(call, gradients)`` -> gradients of all inputs (``call.wanted`` says which are used); None, or
                the answer None, stands for differentiating the operator's own function on dense copies
    takes_part  ``takes_part(params)``: the rule also covers calls with dense inputs only
    gradients   ``gradients(params, stypes, gradient_stype)`` -> storage types of the inputs' gradients; None: all dense
    """

    infer: Callable[[Params, Stypes], Sequence[str] | None]
    forward: Callable | None = None
    backward: Callable | None = None
    takes_part: Callable[[Params], bool] | None = None
    gradients: Callable[[Params, Stypes, str], Sequence[str]] | None = None


_RULES: dict[str, Rule] = {}

#: operators whose rule covers calls with dense inputs too: name -> ``takes_part``
ALWAYS: dict[str, Callable[[Params], bool]] = {}


def rule(name: str, made: Rule) -> None:
    """Register the rule of an operator by its canonical name; ``ValueError`` for a second one."""
    if name in _RULES:
        raise ValueError(f"operator {name!r} has two storage rules")
    _RULES[name] = made
    if made.takes_part is not None:
        ALWAYS[name] = made.takes_part


def rule_of(op: Operator) -> Rule | None:
    """The operator's rule, None when it runs on dense arrays only."""
    return _RULES.get(op.name)


def always_mixed(op: Operator, params: Params) -> bool:
    """Whether the operator's rule covers this call even when all inputs are dense."""
    return op.name in ALWAYS and ALWAYS[op.name](params)


def stype_of(value: Any) -> str:
    """Storage type of a value."""
    return value.storage.stype if isinstance(value, Sparse) else "default"


def infer_stypes(op: Operator, params: Params, stypes: Stypes) -> list[str]:
    """Storage types of the outputs for those of the inputs."""
    found = _RULES.get(op.name)
    if found is not None and (any(s != "default" for s in stypes) or always_mixed(op, params)):
        outs = found.infer(params, stypes)
        if outs is not None:
            return list(outs)
    return ["default"] * op.num_outputs(params)


def proxy(storage: Storage) -> torch.Tensor:
    """A tensor of the storage's full shape, type and device that takes no memory."""
    return torch.zeros((), dtype=storage.dtype, device=storage.device).expand(storage.shape)


class Call:
    """One call of an operator on mixed values: ``values`` are tensors and storages, ``outputs`` its results."""

    def __init__(
        self, op: Operator, params: Params, kwargs: dict[str, Any], values: Sequence[Any], stypes: Sequence[str]
    ):
        self.op, self.params, self.kwargs, self.values, self.stypes = op, params, kwargs, tuple(values), tuple(stypes)
        self.outputs: list = []
        self.wanted: Sequence[bool] = ()

    def apply(self, *tensors: torch.Tensor) -> list[torch.Tensor]:
        """The operator's own function with this call's parameters."""
        result = self.op.fn(*tensors, **self.kwargs)
        return list(result) if isinstance(result, (tuple, list)) else [result]

    def run(self) -> list[Any]:
        """The outputs as tensors and storages."""
        found = _RULES[self.op.name]
        results = None
        if found.forward is not None:
            results = found.forward(self, *self.values)
        if results is None:
            results = self.apply(*[dense_of(value) for value in self.values])
        elif not isinstance(results, (tuple, list)):
            results = [results]
        outputs = []
        for result, stype in zip(results, self.stypes):
            if stype == "default":
                result = dense_of(result)
            elif not isinstance(result, Storage) or result.stype != stype:
                result = from_dense(dense_of(result), stype)
            outputs.append(result)
        self.outputs = outputs
        return outputs

    def gradients(self, wanted: Sequence[bool], given: Sequence[Gradient]) -> list[Gradient]:
        """Gradients of the inputs (of those ``wanted``) for those of the outputs."""
        self.wanted = wanted
        found = _RULES[self.op.name]
        result = found.backward(self, given) if found.backward is not None else None
        return list(result) if result is not None else self._dense_gradients(wanted, given)

    def _dense_gradients(self, wanted: Sequence[bool], given: Sequence[Gradient]) -> list[Gradient]:
        """Differentiate the operator's own function on dense copies."""
        return differentiate(self.apply, [dense_of(value) for value in self.values], wanted, given)


def differentiate(
    function: Callable, inputs: Sequence[torch.Tensor], wanted: Sequence[bool], given: Sequence[Gradient]
) -> list[Gradient]:
    """Gradients of ``function`` at dense inputs; inputs that it does not depend on get zeros."""
    leaves = [x.detach().requires_grad_(want) for x, want in zip(inputs, wanted)]
    with torch.enable_grad():
        outputs = function(*leaves)
    pairs = [(y, dense_of(g)) for y, g in zip(outputs, given) if g is not None and y.requires_grad]
    asked = [leaf for leaf, want in zip(leaves, wanted) if want]
    found: Sequence[torch.Tensor | None] = [None] * len(asked)
    if pairs:
        ys, gs = zip(*pairs)
        found = torch.autograd.grad(ys, asked, gs, allow_unused=True)
    rest = iter(torch.zeros_like(leaf) if g is None else g for leaf, g in zip(asked, found))
    return [next(rest) if want else None for want in wanted]


def dense_of(value: Any) -> torch.Tensor:
    """A tensor itself, or all elements of a storage."""
    return value.dense() if isinstance(value, Storage) else value


class _Mixed(torch.autograd.Function):
    """One call on mixed values in the recording: tapes in, tensors and tapes out."""

    first_order_only = True

    @staticmethod
    def forward(ctx: Any, call: Call, accepts: Sequence[bool], *tapes: torch.Tensor) -> tuple:
        ctx.call, ctx.accepts = call, accepts
        ctx.set_materialize_grads(False)
        outputs = call.run()
        return tuple(proxy(y) if isinstance(y, Storage) else y for y in outputs)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor | None) -> tuple:
        wanted = ctx.needs_input_grad[2:]
        if all(g is None for g in grads):
            return (None, None, *[None] * len(wanted))
        with torch.no_grad():
            found = ctx.call.gradients(wanted, [gradient_of(g) for g in grads])
            shown = [tensor_of(g, accepts) if want else None for g, want, accepts in zip(found, wanted, ctx.accepts)]
        return (None, None, *shown)


class _Densify(torch.autograd.Function):
    """The elements of a sparse value; its gradient is the tape's."""

    @staticmethod
    def forward(ctx: Any, storage: Storage, tape: torch.Tensor) -> torch.Tensor:
        return storage.dense()

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple:
        return None, grads[0]


_TAKE_ROWS = (_Mixed, _Densify)


def takes_rows(tape: torch.Tensor) -> bool:
    """Whether a row_sparse gradient may flow into this tensor: into leaves, and results of the functions above."""
    made_by = tape.grad_fn
    return made_by is None or (isinstance(made_by, BackwardCFunction) and made_by._forward_cls in _TAKE_ROWS)


def gradient_of(grad: torch.Tensor | None) -> Gradient:
    """A gradient as torch carries it: strided, or COO for whole rows, which becomes a ``RowSparse``."""
    if grad is None or grad.layout is torch.strided:
        return grad
    grad = grad.coalesce()
    return RowSparse(grad.values(), grad.indices()[0], grad.shape)


def tensor_of(gradient: Gradient, accepts: bool) -> torch.Tensor | None:
    """A gradient for torch to carry: rows as a COO tensor where the receiver takes these."""
    if not isinstance(gradient, Storage):
        return gradient
    if not accepts or not isinstance(gradient, RowSparse):
        return gradient.dense()
    return torch.sparse_coo_tensor(
        gradient.indices.unsqueeze(0), gradient.values, gradient.shape, is_coalesced=True, check_invariants=False
    )


def densify(value: Any) -> torch.Tensor:
    """The elements of a value, differentiable where the value is."""
    if not isinstance(value, Sparse):
        return value
    if value.tape is None or not (value.tape.requires_grad and torch.is_grad_enabled()):
        return value.storage.dense()
    return _Densify.apply(value.storage, value.tape)


def call(op: Operator, params: Params, values: Sequence[Any], kwargs: dict[str, Any]) -> list[Any] | None:
    """Run an operator's rule on mixed values; None where no rule covers these.

    ``kwargs`` are the keywords of the operator's own function.
    """
    found = _RULES.get(op.name)
    if found is None:
        return None
    stypes = found.infer(params, tuple(stype_of(value) for value in values))
    if stypes is None:
        return None
    made = Call(op, params, kwargs, [value.storage if isinstance(value, Sparse) else value for value in values], stypes)
    tapes = [value.tape if isinstance(value, Sparse) else value for value in values]
    if not (torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tapes)):
        return [Sparse(y) if isinstance(y, Storage) else y for y in made.run()]
    made.values = tuple(v if isinstance(v, Storage) else v.detach() for v in made.values)
    nothing = torch.zeros(())
    tapes = [nothing if tape is None else tape for tape in tapes]
    shown = _Mixed.apply(made, [takes_rows(tape) for tape in tapes], *tapes)
    return [Sparse(y, tape) if isinstance(y, Storage) else tape for y, tape in zip(made.outputs, shown)]
