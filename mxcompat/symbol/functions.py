"""Functions of ``mx.sym`` that are written by hand: operands that may be numbers, and creation."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Number
from typing import Any

from mxcompat.base import MXNetError
from mxcompat.dtype import dtype_name
from mxcompat.ops import registry
from mxcompat.symbol.compose import make_node
from mxcompat.symbol.symbol import Symbol, apply

__all__ = ["arange", "eye", "full", "histogram", "hypot", "linspace", "maximum", "minimum", "ones", "pow", "power"]
__all__ += ["split_v2", "zeros"]


def _pair(name: str, symbols: str, scalar: str, reflected: str, numbers: Callable, lhs: Any, rhs: Any) -> Any:
    if isinstance(lhs, Symbol) and isinstance(rhs, Symbol):
        return apply(symbols, symbols.lower(), [lhs, rhs], {})
    if isinstance(lhs, Symbol) and isinstance(rhs, Number):
        return apply(scalar, scalar.lower(), [lhs], {"scalar": rhs})
    if isinstance(lhs, Number) and isinstance(rhs, Symbol):
        return apply(reflected, reflected.lower(), [rhs], {"scalar": lhs})
    if isinstance(lhs, Number) and isinstance(rhs, Number):
        return numbers(lhs, rhs)
    raise TypeError(f"{name}: types ({type(lhs)}, {type(rhs)}) not supported")


def pow(base: Any, exp: Any) -> Any:  # noqa: A001
    """``base ** exp`` of symbols or numbers."""
    return _pair("pow", "_Power", "_PowerScalar", "_RPowerScalar", lambda a, b: a**b, base, exp)


power = pow


def maximum(left: Any, right: Any) -> Any:
    """The larger of symbols or numbers."""
    return _pair("maximum", "_Maximum", "_MaximumScalar", "_MaximumScalar", max, left, right)


def minimum(left: Any, right: Any) -> Any:
    """The smaller of symbols or numbers."""
    return _pair("minimum", "_Minimum", "_MinimumScalar", "_MinimumScalar", min, left, right)


def hypot(left: Any, right: Any) -> Any:
    """The hypotenuse of symbols or numbers."""
    return _pair("hypot", "_Hypot", "_HypotScalar", "_HypotScalar", lambda a, b: (a * a + b * b) ** 0.5, left, right)


def _create(op_name: str, params: dict[str, Any], kwargs: dict[str, Any]) -> Symbol:
    name, attr = kwargs.pop("name", None), kwargs.pop("attr", None)
    kwargs.pop("ctx", None)
    named = {key: kwargs.pop(key)._single_entry() for key in list(kwargs) if isinstance(kwargs[key], Symbol)}
    node = make_node(registry.get(op_name), op_name, [], named, {**params, **kwargs}, name, attr)
    return Symbol([(node, 0)])


def zeros(shape: Any, dtype: Any = None, **kwargs: Any) -> Symbol:
    """A constant of zeros."""
    return _create("_zeros", {"shape": shape, "dtype": dtype_name(dtype or "float32")}, kwargs)


def ones(shape: Any, dtype: Any = None, **kwargs: Any) -> Symbol:
    """A constant of ones."""
    return _create("_ones", {"shape": shape, "dtype": dtype_name(dtype or "float32")}, kwargs)


def full(shape: Any, val: float, dtype: Any = None, **kwargs: Any) -> Symbol:
    """A constant filled with ``val``."""
    return _create("_full", {"shape": shape, "dtype": dtype_name(dtype or "float32"), "value": float(val)}, kwargs)


def arange(
    start: float,
    stop: float | None = None,
    step: float = 1.0,
    repeat: int = 1,
    infer_range: bool = False,
    name: str | None = None,
    dtype: Any = None,
) -> Symbol:
    """Evenly spaced values in ``[start, stop)``, each ``repeat`` times; with ``infer_range`` the consumer says how many."""
    params = {"start": start, "stop": stop, "step": step, "repeat": repeat, "infer_range": infer_range}
    return _create("_arange", {**params, "dtype": dtype_name(dtype or "float32")}, {"name": name})


def linspace(
    start: float, stop: float, num: int, endpoint: bool = True, name: str | None = None, dtype: Any = None
) -> Symbol:
    """``num`` evenly spaced values from ``start`` to ``stop``."""
    params = {"start": start, "stop": stop, "num": num, "endpoint": endpoint, "dtype": dtype_name(dtype or "float32")}
    return _create("_linspace", params, {"name": name})


def eye(N: int, M: int = 0, k: int = 0, dtype: Any = None, **kwargs: Any) -> Symbol:  # noqa: N803
    """A matrix with ones on its k-th diagonal."""
    return _create("_eye", {"N": N, "M": M, "k": k, "dtype": dtype_name(dtype or "float32")}, kwargs)


def histogram(a: Symbol, bins: Any = 10, range: Any = None, **kwargs: Any) -> Symbol:  # noqa: A002
    """Counts and edges of the values of ``a``; bins as edges (a Symbol) or as their number with a range."""
    name = kwargs.pop("name", None)
    if isinstance(bins, Symbol):
        node = make_node(
            registry.get("_histogram"), "_histogram", [a._single_entry(), bins._single_entry()], {}, kwargs, name
        )
    else:
        if range is None:
            raise ValueError("null range is not supported in symbol mode")
        params = {"bin_cnt": bins, "range": range, **kwargs}
        node = make_node(registry.get("_histogram"), "_histogram", [a._single_entry()], {}, params, name)
    return Symbol([(node, 0), (node, 1)])


def split_v2(ary: Symbol, indices_or_sections: Any, axis: int = 0, squeeze_axis: bool = False) -> Symbol:
    """Sub-arrays along an axis: that many equal parts, or parts ending at the given indices."""
    params: dict[str, Any] = {"axis": axis, "squeeze_axis": squeeze_axis}
    if isinstance(indices_or_sections, int):
        params.update(indices=(), sections=indices_or_sections)
    elif isinstance(indices_or_sections, (tuple, list)):
        params["indices"] = (0, *indices_or_sections)
    else:
        raise MXNetError("split_v2: indices_or_sections must be an int, a tuple or a list of ints")
    return apply("_split_v2", "_split_v2", [ary], params)
