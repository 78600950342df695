"""torch's side of the type table, and the dtype rules operators share.

A rule takes and returns ``(in_types, out_types)``, lists of ``torch.dtype`` or None for unknown. The original never
promotes: by default all inputs and outputs of an operator share one type.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from mxcompat import dtype as table
from mxcompat.base import MXNetError
from mxcompat.ops.schema import Params, TypeRule

TORCH_BY_NAME: dict[str, torch.dtype] = {name: getattr(torch, name) for name in table.CODES}
NAME_BY_TORCH: dict[torch.dtype, str] = {value: name for name, value in TORCH_BY_NAME.items()}
NUMPY_BY_TORCH: dict[torch.dtype, Any] = {
    value: np.bool_ if name == "bool" else getattr(np, name)
    for name, value in TORCH_BY_NAME.items()
    if name != "bfloat16"
}
FLOATS = (torch.float16, torch.float32, torch.float64, torch.bfloat16)


def torch_dtype(dtype: Any) -> torch.dtype:
    """The torch type of a name, numpy type, Python type, file code or torch type; ``TypeError`` when unknown."""
    return dtype if isinstance(dtype, torch.dtype) else TORCH_BY_NAME[table.dtype_name(dtype)]


def in_type(number: float, dtype: torch.dtype) -> float | int:
    """A number as C converts it to the type: rounded to float16; cut to integers, and wrapped where it does not fit."""
    if dtype.is_floating_point:
        return _half(number) if dtype is torch.float16 else number
    if dtype is torch.bool:
        return number != 0
    info = torch.iinfo(dtype)
    reach = 2 ** (max(info.bits, 32) - 1)
    whole = int(number) if -reach <= number < reach else -reach  # what x86 gives for all that is out of reach
    return (whole - info.min) % 2**info.bits + info.min


def _half(number: float) -> float:
    """The nearest number that float16 has (numpy and struct can do it too, but do not trace)."""
    if number == 0 or not math.isfinite(number):
        return number
    unit = 2.0 ** (max(math.frexp(number)[1], -13) - 11)
    rounded = round(number / unit) * unit
    return rounded if abs(rounded) < 65520 else math.copysign(math.inf, number)


def unify(types: list, what: str = "input") -> Any:
    """The one type that all known entries share, None when none is known; a contradiction raises ``MXNetError``."""
    found = None
    for index, dtype in enumerate(types):
        if dtype is None or dtype is found:
            continue
        if found is not None:
            raise MXNetError(
                f"Incompatible attr in node at {index}-th {what}: expected {NAME_BY_TORCH[found]}, "
                f"got {NAME_BY_TORCH[dtype]}"
            )
        found = dtype
    return found


def same_type(params: Params, ins: list, outs: list) -> tuple[list, list]:
    """All inputs and outputs share one type, in both directions."""
    first = ins[0] if ins else None
    if first is not None and all(t is first for t in ins) and all(t is None or t is first for t in outs):
        return ins, [first] * len(outs)
    dtype = unify([*ins, *outs])
    return [dtype] * len(ins), [dtype] * len(outs)


def free_inputs(params: Params, ins: list, outs: list) -> tuple[list, list]:
    """The first input gives the type of all outputs; the other inputs may have any type (default: the first's)."""
    dtype = unify([ins[0], *outs])
    return [dtype, *(dtype if t is None else t for t in ins[1:])], [dtype] * len(outs)


def open_inputs(params: Params, ins: list, outs: list) -> tuple[list, list]:
    """The first input gives the type of all outputs; the other inputs may have any type, and nothing is said of them."""
    dtype = unify([ins[0], *outs])
    return [dtype, *ins[1:]], [dtype] * len(outs)


def fixed_output(name: str) -> TypeRule:
    """Inputs of any type; all outputs have the named type."""

    def rule(params: Params, ins: list, outs: list) -> tuple[list, list]:
        return ins, [TORCH_BY_NAME[name]] * len(outs)

    return rule


def output_from(parameter: str, fallback: str = "float32", inputs: Callable = lambda ins: ins) -> TypeRule:
    """Inputs of any type; all outputs have the type that the named parameter gives (``fallback`` when it is None)."""

    def rule(params: Params, ins: list, outs: list) -> tuple[list, list]:
        return inputs(ins), [TORCH_BY_NAME[params[parameter] or fallback]] * len(outs)

    return rule


def floating(rule: TypeRule = same_type) -> TypeRule:
    """Like ``rule``, and a first input that is known not to be floating raises ``MXNetError``."""

    def checked(params: Params, ins: list, outs: list) -> tuple[list, list]:
        ins, outs = rule(params, ins, outs)
        if ins and ins[0] is not None and ins[0] not in FLOATS:
            raise MXNetError(f"input has type {NAME_BY_TORCH[ins[0]]}, expected a floating type")
        return ins, outs

    return checked
