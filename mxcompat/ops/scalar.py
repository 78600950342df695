"""Elementwise operators of an array and a number.

The number is first cut to the array's own type: an integer array times 1.5 is that array times 1. Only with
``is_int=False``, which Python arithmetic never says, integer arrays count as float64; bool arrays count as int64.
"""

from collections.abc import Callable

import torch

from mxcompat.base import MXNetError
from mxcompat.ops import elemwise
from mxcompat.ops.dtypes import in_type, unify
from mxcompat.ops.registry import register
from mxcompat.ops.schema import Bool, Float, Params
from mxcompat.ops.shape import same_shape


def _filled(data: torch.Tensor, scalar: float | int) -> torch.Tensor:
    return torch.full_like(data, scalar)


def _reject_zero_scalar(params: Params, data: torch.Tensor) -> None:
    dtype = _computed_type(data.dtype, params.is_int)
    if not dtype.is_floating_point and in_type(params.scalar, dtype) == 0:
        raise MXNetError("integer division by zero")


def _reject_zero_element(params: Params, data: torch.Tensor) -> None:
    if not _computed_type(data.dtype, params.is_int).is_floating_point and bool((data == 0).any()):
        raise MXNetError("integer division by zero")


def _compared(function: Callable) -> Callable:
    return lambda x, s: function(x, s).to(x.dtype)


def _logical(function: Callable) -> Callable:
    return lambda x, s: function(x, _filled(x, s)).to(x.dtype)


def _power(data, scalar):
    return torch.pow(data, scalar) if data.is_floating_point() else elemwise.power(data, _filled(data, scalar))


#: name -> (alias, function of array and fitting number, text, check, True for comparisons)
_TABLE: dict[str, tuple[str, Callable, str, Callable | None, bool]] = {
    "_plus_scalar": ("_PlusScalar", lambda x, s: x + s, "x + scalar.", None, False),
    "_minus_scalar": ("_MinusScalar", lambda x, s: x - s, "x - scalar.", None, False),
    "_rminus_scalar": ("_RMinusScalar", lambda x, s: s - x, "scalar - x.", None, False),
    "_mul_scalar": ("_MulScalar", lambda x, s: x * s, "x * scalar.", None, False),
    "_div_scalar": (
        "_DivScalar",
        lambda x, s: x / s if x.is_floating_point() else torch.div(x, s, rounding_mode="trunc") if s != -1 else -x,
        "x / scalar; integers are cut towards zero.",
        _reject_zero_scalar,
        False,
    ),
    "_rdiv_scalar": (
        "_RDivScalar",
        lambda x, s: s / x if x.is_floating_point() else elemwise.cast_tensor(s / x.to(torch.float32), x.dtype),
        "scalar / x; integers are cut towards zero.",
        _reject_zero_element,
        False,
    ),
    "_mod_scalar": (
        "_ModScalar",
        lambda x, s: elemwise.modulo(x, _filled(x, s)),
        "The remainder of x / scalar, with the sign of scalar.",
        None,
        False,
    ),
    "_rmod_scalar": (
        "_RModScalar",
        lambda x, s: elemwise.modulo(_filled(x, s), x),
        "The remainder of scalar / x, with the sign of x.",
        None,
        False,
    ),
    "_power_scalar": ("_PowerScalar", _power, "x ** scalar.", None, False),
    "_rpower_scalar": (
        "_RPowerScalar",
        lambda x, s: torch.pow(s, x) if x.is_floating_point() else elemwise.power(_filled(x, s), x),
        "scalar ** x.",
        None,
        False,
    ),
    "_maximum_scalar": (
        "_MaximumScalar",
        lambda x, s: elemwise.maximum(x, _filled(x, s)),
        "max(x, scalar); in a tie the gradient passes.",
        None,
        False,
    ),
    "_minimum_scalar": (
        "_MinimumScalar",
        lambda x, s: elemwise.minimum(x, _filled(x, s)),
        "min(x, scalar); in a tie the gradient passes.",
        None,
        False,
    ),
    "_hypot_scalar": (
        "_HypotScalar",
        lambda x, s: elemwise.hypotenuse(x, _filled(x, s)),
        "sqrt(x ** 2 + scalar ** 2).",
        None,
        False,
    ),
    "_equal_scalar": ("_EqualScalar", _compared(torch.eq), "1 where x == scalar, else 0.", None, True),
    "_not_equal_scalar": ("_NotEqualScalar", _compared(torch.ne), "1 where x != scalar, else 0.", None, True),
    "_greater_scalar": ("_GreaterScalar", _compared(torch.gt), "1 where x > scalar, else 0.", None, True),
    "_greater_equal_scalar": ("_GreaterEqualScalar", _compared(torch.ge), "1 where x >= scalar, else 0.", None, True),
    "_lesser_scalar": ("_LesserScalar", _compared(torch.lt), "1 where x < scalar, else 0.", None, True),
    "_lesser_equal_scalar": ("_LesserEqualScalar", _compared(torch.le), "1 where x <= scalar, else 0.", None, True),
    "_logical_and_scalar": (
        "_LogicalAndScalar",
        _logical(torch.logical_and),
        "1 where both are not 0, else 0.",
        None,
        True,
    ),
    "_logical_or_scalar": ("_LogicalOrScalar", _logical(torch.logical_or), "1 where one is not 0, else 0.", None, True),
    "_logical_xor_scalar": (
        "_LogicalXorScalar",
        _logical(torch.logical_xor),
        "1 where exactly one is not 0, else 0.",
        None,
        True,
    ),
    "_scatter_plus_scalar": ("", lambda x, s: x + s, "x + scalar.", None, False),
    "_scatter_minus_scalar": ("", lambda x, s: x - s, "x - scalar.", None, False),
}


def _computed_type(dtype: torch.dtype, is_int: bool) -> torch.dtype:
    if dtype.is_floating_point:
        return dtype
    if not is_int:
        return torch.float64
    return torch.int64 if dtype is torch.bool else dtype


def _type_rule(params: Params, ins: list, outs: list) -> tuple[list, list]:
    if ins[0] is None:
        return outs, outs
    return ins, [unify([_computed_type(ins[0], params.is_int), *outs], "output")]


def _operator(name: str, function: Callable, text: str) -> Callable:
    def operator(data, *, scalar: Float = 1.0, is_int: Bool = True):
        dtype = _computed_type(data.dtype, is_int)
        return function(data if dtype is data.dtype else data.to(dtype), in_type(scalar, dtype))

    elemwise.define(
        operator, name, f"{text}\n\ndata of any shape -> the same shape and type; an integer type cuts the number."
    )
    return operator


for _name, (_alias, _function, _text, _check, _is_comparison) in _TABLE.items():
    register(
        _name,
        (_alias,) if _alias else (),
        infer_shape=same_shape,
        infer_type=_type_rule,
        check=_check,
        stops_gradient=_is_comparison,
    )(_operator(_name, _function, _text))
