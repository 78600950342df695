"""What recorded arrays came from: the operators, their parameters and inputs, so that a Symbol can be made of them.

Every tensor of the recording carries its origin, (step, number of the output). Steps keep no values alive.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch

from mxcompat.ops import registry
from mxcompat.ops.schema import Operator

__all__ = ["Origin", "Step", "note", "note_view", "origin"]

Origin = tuple["Step", int]


class Step:
    """One call of an operator; without operator an input of the computation, or (``opaque``) what no operator made."""

    __slots__ = ("given", "inputs", "is_attached", "op", "opaque")

    def __init__(
        self,
        op: Operator | None = None,
        given: dict[str, Any] | None = None,
        inputs: Sequence[Origin] = (),
        is_attached: bool = False,
        opaque: bool = False,
    ):
        self.op, self.given, self.inputs = op, given or {}, inputs
        self.is_attached, self.opaque = is_attached, opaque


def origin(array: Any) -> Origin:
    """Where an array came from; an array outside the recording is an input."""
    tensor = array._tape if array._tape is not None else array._data
    found = getattr(tensor, "mx_origin", None)
    if found is None:
        is_attached = hasattr(tensor, "mx_leaf")
        found = Step(is_attached=is_attached, opaque=array._tape is not None and not is_attached), 0
        tensor.mx_origin = found
    return found


def note(op: Operator, given: dict[str, Any], inputs: Sequence[Any], values: Iterable[torch.Tensor]) -> None:
    """Note that ``values`` are what ``op`` made of ``inputs``."""
    step = Step(op, given, [origin(x) for x in inputs])
    for index, value in enumerate(values):
        value.mx_origin = (step, index)  # type: ignore[attr-defined]


def note_view(array: Any, part: Any) -> None:
    """Note that ``part`` shows some or all elements of ``array``, which lie side by side."""
    start, whole = (part._data.data_ptr() - array._data.data_ptr()) // part._data.element_size(), origin(array)
    if part._data.numel() != array._data.numel():
        flat = Step(registry.get("Reshape"), {"shape": (-1,)}, [whole])
        limits = {"axis": 0, "begin": start, "end": start + part._data.numel()}
        whole = Step(registry.get("slice_axis"), limits, [(flat, 0)]), 0
    part._tape.mx_origin = (Step(registry.get("Reshape"), {"shape": tuple(part._data.shape)}, [whole]), 0)
