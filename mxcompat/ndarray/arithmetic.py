"""Functions of two operands, each an array or a number: ``mx.nd.add(a, 2)``, ``mx.nd.maximum(1, b)``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mxcompat.base import numeric_types
from mxcompat.ndarray.dispatch import invoke
from mxcompat.ndarray.ndarray import NDArray
from mxcompat.ops import registry

#: public name -> operator of two arrays, of array and number, of number and array, function of two numbers
_TABLE: dict[str, tuple[str, str, str, Callable[[Any, Any], Any]]] = {
    "add": ("broadcast_add", "_plus_scalar", "_plus_scalar", lambda a, b: a + b),
    "subtract": ("broadcast_sub", "_minus_scalar", "_rminus_scalar", lambda a, b: a - b),
    "multiply": ("broadcast_mul", "_mul_scalar", "_mul_scalar", lambda a, b: a * b),
    "divide": ("broadcast_div", "_div_scalar", "_rdiv_scalar", lambda a, b: a / b),
    "true_divide": ("broadcast_div", "_div_scalar", "_rdiv_scalar", lambda a, b: a / b),
    "modulo": ("broadcast_mod", "_mod_scalar", "_rmod_scalar", lambda a, b: a % b),
    "power": ("broadcast_power", "_power_scalar", "_rpower_scalar", lambda a, b: a**b),
    "maximum": ("broadcast_maximum", "_maximum_scalar", "_maximum_scalar", lambda a, b: a if a > b else b),
    "minimum": ("broadcast_minimum", "_minimum_scalar", "_minimum_scalar", lambda a, b: a if a < b else b),
    "equal": ("broadcast_equal", "_equal_scalar", "_equal_scalar", lambda a, b: float(a == b)),
    "not_equal": ("broadcast_not_equal", "_not_equal_scalar", "_not_equal_scalar", lambda a, b: float(a != b)),
    "greater": ("broadcast_greater", "_greater_scalar", "_lesser_scalar", lambda a, b: float(a > b)),
    "greater_equal": (
        "broadcast_greater_equal",
        "_greater_equal_scalar",
        "_lesser_equal_scalar",
        lambda a, b: float(a >= b),
    ),
    "lesser": ("broadcast_lesser", "_lesser_scalar", "_greater_scalar", lambda a, b: float(a < b)),
    "lesser_equal": (
        "broadcast_lesser_equal",
        "_lesser_equal_scalar",
        "_greater_equal_scalar",
        lambda a, b: float(a <= b),
    ),
    "logical_and": (
        "broadcast_logical_and",
        "_logical_and_scalar",
        "_logical_and_scalar",
        lambda a, b: float(bool(a and b)),
    ),
    "logical_or": (
        "broadcast_logical_or",
        "_logical_or_scalar",
        "_logical_or_scalar",
        lambda a, b: float(bool(a or b)),
    ),
    "logical_xor": (
        "broadcast_logical_xor",
        "_logical_xor_scalar",
        "_logical_xor_scalar",
        lambda a, b: float(bool(a) != bool(b)),
    ),
}


def _make(name: str) -> Callable:
    arrays, scalar, reflected, numbers = _TABLE[name]

    def function(lhs: Any, rhs: Any) -> Any:
        if isinstance(lhs, NDArray):
            if isinstance(rhs, NDArray):
                return invoke(registry.get(arrays), (lhs, rhs), {})
            if isinstance(rhs, numeric_types):
                return invoke(registry.get(scalar), (lhs,), {"scalar": rhs})
            raise TypeError(f"{name}: type {type(rhs)} not supported")
        if not isinstance(lhs, numeric_types):
            raise TypeError(f"{name}: type {type(lhs)} not supported")
        if isinstance(rhs, NDArray):
            return invoke(registry.get(reflected), (rhs,), {"scalar": lhs})
        if isinstance(rhs, numeric_types):
            return numbers(lhs, rhs)
        raise TypeError(f"{name}: type {type(rhs)} not supported")

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"Elementwise ``{name}`` of two arrays (broadcast), or of an array and a number."
    return function


def _power() -> Callable:
    compute = _make("power")

    def power(base: Any, exp: Any) -> Any:
        return compute(base, exp)

    power.__doc__ = compute.__doc__
    return power


__all__ = sorted(_TABLE)
globals().update({name: _make(name) for name in _TABLE}, power=_power())
