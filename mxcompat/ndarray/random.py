"""``mx.nd.random``: draws whose parameters are numbers (one distribution) or arrays (one distribution an element)."""

from __future__ import annotations

import math
from typing import Any

from mxcompat.base import _Null, numeric_types
from mxcompat.context import Context
from mxcompat.dtype import dtype_name
from mxcompat.ndarray.dispatch import invoke
from mxcompat.ndarray.ndarray import NDArray
from mxcompat.ops import registry

__all__ = ["exponential", "exponential_like", "gamma", "gamma_like", "generalized_negative_binomial"]
__all__ += [
    "generalized_negative_binomial_like",
    "multinomial",
    "negative_binomial",
    "negative_binomial_like",
    "normal",
]
__all__ += ["normal_like", "poisson", "poisson_like", "randint", "randn", "shuffle", "uniform", "uniform_like"]
__all__ = [name for name in __all__ if not name.endswith("_like")]  # those are generated


def _draw(
    name: str, params: dict[str, Any], shape: Any, dtype: Any, ctx: Any, out: Any, kwargs: dict[str, Any]
) -> NDArray:
    if isinstance(dtype, Context):  # Compat: up to 0.12 the context came before the type
        dtype, ctx = ctx or _Null, dtype
    given = {"shape": shape, "dtype": dtype, **kwargs}
    given = {key: value for key, value in given.items() if value is not _Null and value is not None}
    if out is not None and "dtype" not in given:
        given["dtype"] = dtype_name(out.dtype)  # the draw takes the type of the array it fills
    values = list(params.values())
    if all(isinstance(value, NDArray) for value in values):
        return invoke(registry.get(f"_sample_{name}"), values, given, out)
    if not all(isinstance(value, numeric_types) for value in values):
        kinds = ", ".join(type(value).__name__ for value in values)
        raise ValueError(f"random.{name}: the parameters must be all numbers or all NDArrays, found {kinds}")
    if ctx is None and out is not None:
        ctx = out.context
    if "shape" not in given and out is None:
        given["shape"] = (1,)
    elif "shape" not in given:
        given["shape"] = out.shape
    return invoke(registry.get(f"_random_{name}"), (), {**params, **given, "ctx": ctx}, out)


def uniform(
    low: Any = 0, high: Any = 1, shape: Any = _Null, dtype: Any = _Null, ctx: Any = None, out: Any = None, **kwargs: Any
) -> NDArray:
    """Uniform in ``[low, high)``."""
    return _draw("uniform", {"low": low, "high": high}, shape, dtype, ctx, out, kwargs)


def normal(
    loc: Any = 0,
    scale: Any = 1,
    shape: Any = _Null,
    dtype: Any = _Null,
    ctx: Any = None,
    out: Any = None,
    **kwargs: Any,
) -> NDArray:
    """Normal with mean ``loc`` and standard deviation ``scale``."""
    if isinstance(loc, NDArray):
        return _draw("normal", {"mu": loc, "sigma": scale}, shape, dtype, ctx, out, kwargs)
    return _draw("normal", {"loc": loc, "scale": scale}, shape, dtype, ctx, out, kwargs)


def randn(*shape: int, **kwargs: Any) -> NDArray:
    """Normal of the given shape (keywords: loc, scale, dtype, ctx, out)."""
    loc, scale = kwargs.pop("loc", 0), kwargs.pop("scale", 1)
    dtype, ctx, out = kwargs.pop("dtype", _Null), kwargs.pop("ctx", None), kwargs.pop("out", None)
    return normal(loc, scale, shape, dtype, ctx, out, **kwargs)


def poisson(
    lam: Any = 1, shape: Any = _Null, dtype: Any = _Null, ctx: Any = None, out: Any = None, **kwargs: Any
) -> NDArray:
    """Poisson with mean ``lam``."""
    return _draw("poisson", {"lam": lam}, shape, dtype, ctx, out, kwargs)


def exponential(
    scale: Any = 1, shape: Any = _Null, dtype: Any = _Null, ctx: Any = None, out: Any = None, **kwargs: Any
) -> NDArray:
    """Exponential with mean ``scale`` (the operator's parameter is the rate, one over the scale)."""
    return _draw("exponential", {"lam": 1.0 / scale}, shape, dtype, ctx, out, kwargs)


def gamma(
    alpha: Any = 1,
    beta: Any = 1,
    shape: Any = _Null,
    dtype: Any = _Null,
    ctx: Any = None,
    out: Any = None,
    **kwargs: Any,
) -> NDArray:
    """Gamma with shape ``alpha`` and scale ``beta``."""
    return _draw("gamma", {"alpha": alpha, "beta": beta}, shape, dtype, ctx, out, kwargs)


def negative_binomial(
    k: Any = 1, p: Any = 1, shape: Any = _Null, dtype: Any = _Null, ctx: Any = None, out: Any = None, **kwargs: Any
) -> NDArray:
    """Failures before the k-th success of probability ``p``."""
    return _draw("negative_binomial", {"k": k, "p": p}, shape, dtype, ctx, out, kwargs)


def generalized_negative_binomial(
    mu: Any = 1, alpha: Any = 1, shape: Any = _Null, dtype: Any = _Null, ctx: Any = None, out: Any = None, **kwargs: Any
) -> NDArray:
    """Negative binomial by mean ``mu`` and dispersion ``alpha``."""
    return _draw("generalized_negative_binomial", {"mu": mu, "alpha": alpha}, shape, dtype, ctx, out, kwargs)


def rand_zipfian(true_classes: NDArray, num_sampled: int, range_max: int, ctx: Any = None) -> tuple:
    """``num_sampled`` classes below ``range_max`` drawn with repetition by an about log-uniform distribution.

    Class k has the probability log((k + 2) / (k + 1)) / log(range_max + 1). Returns the classes (int64), how often each
    of ``true_classes`` is to be expected among them, and how often each drawn class is (float64).
    """
    log_range = math.log(range_max + 1)
    exponential = invoke(registry.get("exp"), (uniform(0, log_range, (num_sampled,), "float64", ctx),), {})
    drawn = (exponential - 1).astype("int64") % range_max

    def expected(classes: Any) -> NDArray:
        classes = classes.astype("float64")
        return invoke(registry.get("log"), ((classes + 2) / (classes + 1),), {}) / log_range * num_sampled

    return drawn, expected(true_classes), expected(drawn)


def multinomial(
    data: NDArray, shape: Any = _Null, get_prob: bool = False, out: Any = None, dtype: Any = "int32", **kwargs: Any
) -> Any:
    """Indices drawn with the probabilities in the last axis of ``data`` (and their log-likelihood with ``get_prob``)."""
    params = {"get_prob": get_prob, "dtype": dtype, **kwargs}
    if shape is not _Null:
        params["shape"] = shape
    return invoke(registry.get("_sample_multinomial"), (data,), params, out)


def randint(
    low: int, high: int, shape: Any = _Null, dtype: Any = _Null, ctx: Any = None, out: Any = None, **kwargs: Any
) -> NDArray:
    """Integers in ``[low, high)``, int32 by default."""
    return _draw("randint", {"low": low, "high": high}, shape, dtype, ctx, out, kwargs)


def shuffle(data: NDArray, **kwargs: Any) -> NDArray:
    """The rows in random order."""
    return invoke(registry.get("_shuffle"), (data,), {}, kwargs.get("out"))
