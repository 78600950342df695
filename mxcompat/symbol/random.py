"""``mx.sym.random``: draws whose parameters are numbers (one distribution) or symbols (one distribution an element)."""

from __future__ import annotations

import math
from numbers import Number
from typing import Any

from mxcompat.base import _Null
from mxcompat.ops import registry
from mxcompat.symbol.compose import make_node
from mxcompat.symbol.symbol import Symbol, apply

__all__ = [
    "exponential",
    "gamma",
    "generalized_negative_binomial",
    "multinomial",
    "negative_binomial",
    "normal",
    "poisson",
]
__all__ += ["randint", "randn", "shuffle", "uniform"]


def _make(op_name: str, inputs: list[Symbol], params: dict[str, Any], kwargs: dict[str, Any]) -> Symbol:
    name, attr = kwargs.pop("name", None), kwargs.pop("attr", None)
    named = {key: kwargs.pop(key)._single_entry() for key in list(kwargs) if isinstance(kwargs[key], Symbol)}
    given = {key: value for key, value in {**params, **kwargs}.items() if value is not _Null and value is not None}
    node = make_node(registry.get(op_name), op_name, [x._single_entry() for x in inputs], named, given, name, attr)
    return Symbol([(node, i) for i in range(node.num_visible())])


def _draw(name: str, values: dict[str, Any], shape: Any, dtype: Any, kwargs: dict[str, Any]) -> Symbol:
    if all(isinstance(value, Symbol) for value in values.values()):
        return _make(f"_sample_{name}", list(values.values()), {"shape": shape, "dtype": dtype}, kwargs)
    if not all(isinstance(value, Number) for value in values.values()):
        kinds = ", ".join(type(value).__name__ for value in values.values())
        raise ValueError(f"random.{name}: the parameters must be all numbers or all Symbols, found {kinds}")
    return _make(f"_random_{name}", [], {**values, "shape": shape, "dtype": dtype}, kwargs)


def uniform(low: Any = 0, high: Any = 1, shape: Any = _Null, dtype: Any = _Null, **kwargs: Any) -> Symbol:
    """Uniform in ``[low, high)``."""
    return _draw("uniform", {"low": low, "high": high}, shape, dtype, kwargs)


def normal(loc: Any = 0, scale: Any = 1, shape: Any = _Null, dtype: Any = _Null, **kwargs: Any) -> Symbol:
    """Normal with mean ``loc`` and standard deviation ``scale``."""
    names = ("mu", "sigma") if isinstance(loc, Symbol) else ("loc", "scale")
    return _draw("normal", dict(zip(names, (loc, scale))), shape, dtype, kwargs)


def randn(*shape: int, **kwargs: Any) -> Symbol:
    """Normal of the given shape (keywords: loc, scale, dtype)."""
    loc, scale, dtype = kwargs.pop("loc", 0), kwargs.pop("scale", 1), kwargs.pop("dtype", _Null)
    return normal(loc, scale, shape, dtype, **kwargs)


def poisson(lam: Any = 1, shape: Any = _Null, dtype: Any = _Null, **kwargs: Any) -> Symbol:
    """Poisson with mean ``lam``."""
    return _draw("poisson", {"lam": lam}, shape, dtype, kwargs)


def exponential(scale: Any = 1, shape: Any = _Null, dtype: Any = _Null, **kwargs: Any) -> Symbol:
    """Exponential with mean ``scale`` (the operator's parameter is the rate, one over the scale)."""
    return _draw("exponential", {"lam": 1.0 / scale}, shape, dtype, kwargs)


def gamma(alpha: Any = 1, beta: Any = 1, shape: Any = _Null, dtype: Any = _Null, **kwargs: Any) -> Symbol:
    """Gamma with shape ``alpha`` and scale ``beta``."""
    return _draw("gamma", {"alpha": alpha, "beta": beta}, shape, dtype, kwargs)


def negative_binomial(k: Any = 1, p: Any = 1, shape: Any = _Null, dtype: Any = _Null, **kwargs: Any) -> Symbol:
    """Failures before the k-th success of probability ``p``."""
    return _draw("negative_binomial", {"k": k, "p": p}, shape, dtype, kwargs)


def generalized_negative_binomial(
    mu: Any = 1, alpha: Any = 1, shape: Any = _Null, dtype: Any = _Null, **kwargs: Any
) -> Symbol:
    """Negative binomial by mean ``mu`` and dispersion ``alpha``."""
    return _draw("generalized_negative_binomial", {"mu": mu, "alpha": alpha}, shape, dtype, kwargs)


def rand_zipfian(true_classes: Symbol, num_sampled: int, range_max: int) -> tuple:
    """``num_sampled`` classes below ``range_max`` drawn with repetition by an about log-uniform distribution.

    Class k has the probability log((k + 2) / (k + 1)) / log(range_max + 1). Returns the classes (int64), how often each
    of ``true_classes`` is to be expected among them, and how often each drawn class is (float64).
    """
    if not isinstance(true_classes, Symbol):
        raise AssertionError(f"rand_zipfian: true_classes is {type(true_classes)}, expected Symbol")
    log_range = math.log(range_max + 1)
    exponential: Any = apply("exp", "exp", [uniform(0, log_range, (num_sampled,), "float64")], {})
    drawn = _typed(exponential - 1, "int64") % range_max

    def expected(classes: Any) -> Any:
        classes = _typed(classes, "float64")
        share: Any = apply("log", "log", [(classes + 2.0) / (classes + 1.0)], {})
        return share / log_range * num_sampled

    return drawn, expected(true_classes), expected(drawn)


def _typed(symbol: Symbol, dtype: str) -> Any:
    return apply("Cast", "cast", [symbol], {"dtype": dtype})


def multinomial(data: Symbol, shape: Any = _Null, get_prob: bool = True, dtype: Any = "int32", **kwargs: Any) -> Symbol:
    """Indices drawn with the probabilities in the last axis of ``data`` (and their log-likelihood with ``get_prob``)."""
    return _make("_sample_multinomial", [data], {"shape": shape, "get_prob": get_prob, "dtype": dtype}, kwargs)


def randint(low: int, high: int, shape: Any = _Null, dtype: Any = _Null, **kwargs: Any) -> Symbol:
    """Integers in ``[low, high)``, int32 by default."""
    return _draw("randint", {"low": low, "high": high}, shape, dtype, kwargs)


def shuffle(data: Symbol, **kwargs: Any) -> Symbol:
    """The rows in random order."""
    return _make("_shuffle", [data], {}, kwargs)
