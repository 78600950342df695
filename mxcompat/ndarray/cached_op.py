"""CachedOp: a symbol as a function of arrays, run operator by operator and recorded like them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mxcompat.base import MXNetError
from mxcompat.ndarray.dispatch import invoke
from mxcompat.ndarray.ndarray import NDArray

__all__ = ["CachedOp"]

#: options of the original; they choose how it allocates and schedules, and change no result
_FLAGS = frozenset(
    "inline_limit forward_bulk_size backward_bulk_size static_alloc static_shape is_dynamic data_indices param_indices".split()
)


class CachedOp:
    """``CachedOp(sym)(*arrays)``: the outputs of a symbol for its inputs, in the order of ``sym.list_inputs()``.

    Auxiliary states are among the inputs and are written. ``flags`` are pairs of an option and its value; the options
    choose how the original allocates and schedules and have no effect here (``MXNetError`` for an unknown one).
    """

    __slots__ = ("_heads", "_nodes", "handle", "is_np_sym")

    def __init__(self, sym: Any, flags: Sequence[tuple[str, Any]] = ()):
        for key, _ in flags:
            if key not in _FLAGS:
                raise MXNetError(f"CachedOp: unknown flag {key!r}, expected one of {', '.join(sorted(_FLAGS))}")
        self._heads, self._nodes = list(sym._heads), list(sym._nodes())
        self.handle, self.is_np_sym = self, False

    def __call__(self, *args: NDArray, **kwargs: Any) -> Any:
        """One NDArray, or a list where the symbol has several outputs; ``out`` gets them when given."""
        out = kwargs.pop("out", None)
        kwargs.pop("default_ctx", None)
        if kwargs:
            raise TypeError("CachedOp.__call__ got unexpected keyword argument(s): " + ", ".join(kwargs))
        variables = [node for node in self._nodes if node.op is None]
        if len(args) != len(variables):
            raise MXNetError(f"CachedOp: got {len(args)} arrays, expected {len(variables)}: {_names(variables)}")
        for node, array in zip(variables, args):
            if not isinstance(array, NDArray):
                raise TypeError(f"CachedOp: input {node.name} is {type(array)}, expected NDArray")
        results = self._run(dict(zip(map(id, variables), ([array] for array in args))))
        if out is None:
            return results[0] if len(results) == 1 else results
        targets = list(out) if isinstance(out, (list, tuple)) else [out]
        if len(targets) != len(results):
            raise MXNetError(f"CachedOp: out= has {len(targets)} arrays, expected {len(results)}")
        for target, result in zip(targets, results):
            result.copyto(target)
        return out

    def _run(self, values: dict[int, list[NDArray]]) -> list[NDArray]:
        for node in self._nodes:
            if node.op is not None:
                inputs = [values[id(child)][index] for child, index in node.inputs]
                result = invoke(node.op, inputs, dict(node.params))
                values[id(node)] = result if isinstance(result, list) else [result]
        return [values[id(node)][index] for node, index in self._heads]


def _names(variables: Sequence[Any]) -> str:
    return ", ".join(node.name for node in variables)
