"""What a comparison uses when it is told nothing: context, type, tolerances per type."""

from __future__ import annotations

import numbers
import os
from typing import Any

import numpy as np

from mxcompat.context import Context, current_context
from mxcompat.util import get_cuda_compute_capability

__all__ = [
    "default_atols",
    "default_context",
    "default_dtype",
    "default_numeric_eps",
    "default_rtols",
    "effective_dtype",
    "get_atol",
    "get_etol",
    "get_rtol",
    "get_tolerance",
    "get_tols",
    "set_default_context",
]
_EXACT = ("bool", "int8", "uint8", "int32", "uint32", "int64", "uint64")
# GPUs from compute capability 8.0 on round the factors of float32 products (TF32).
_TF32_CAPABILITY = 80


def default_context() -> Context:
    """The context that checks run on: the current one."""
    return current_context()


def set_default_context(ctx: Context) -> None:
    """Make ``ctx`` the current context of this thread, outside any ``with`` scope."""
    Context._default_ctx.value = ctx


def default_dtype() -> type:
    """The type of random test arrays."""
    return np.float32


def _per_dtype(half: float, single: float, double: float) -> dict[np.dtype, float]:
    return {np.dtype("float16"): half, np.dtype("float32"): single, np.dtype("float64"): double}


def default_rtols() -> dict[np.dtype, float]:
    """Relative tolerance of each type. Compat: int16, uint16 and complex types have none."""
    return {**_per_dtype(1e-2, 1e-4, 1e-5), **{np.dtype(name): 0 for name in _EXACT}}


def default_atols() -> dict[np.dtype, float]:
    """Absolute tolerance of each type. Compat: int16, uint16 and complex types have none."""
    return {**_per_dtype(1e-1, 1e-3, 1e-20), **{np.dtype(name): 0 for name in _EXACT}}


def default_numeric_eps() -> dict[np.dtype, float]:
    """Step of a finite difference in each type: a power of two, so that adding it loses no bits."""
    return _per_dtype(2.0**-6, 2.0**-9, 2.0**-14)


def _rounds_products(ctx: Any) -> bool:
    if getattr(ctx, "device_type", None) != "gpu" or os.environ.get("NVIDIA_TF32_OVERRIDE") == "0":
        return False
    try:
        return get_cuda_compute_capability(ctx) >= _TF32_CAPABILITY
    except (TypeError, ValueError, RuntimeError):
        return False


def effective_dtype(dat: Any) -> np.dtype:
    """The type whose tolerances fit ``dat``: float16 for a float32 array on a GPU that computes in TF32."""
    dtype = np.dtype(dat.dtype)
    if dtype == np.float32 and _rounds_products(getattr(dat, "ctx", None)):
        return np.dtype(np.float16)
    return dtype


def get_tolerance(dat: Any, tol: Any, default_tol: dict[np.dtype, float]) -> float:
    """``tol`` itself when it is a number; else its entry for the effective type of ``dat``, or the default's.

    A type that neither table has raises ``KeyError``.
    """
    if isinstance(tol, numbers.Number):
        return tol  # type: ignore[return-value]
    dtype = effective_dtype(dat)
    if tol is not None and dtype in tol:
        return tol[dtype]
    return default_tol[dtype]


def get_tols(x: Any, y: Any, rtol: Any, atol: Any) -> tuple[float, float]:
    """Relative and absolute tolerance for comparing arrays or numbers: the larger of what each of the two allows."""
    pair = [np.array(value) if isinstance(value, numbers.Number) else value for value in (x, y)]
    return (
        max(get_tolerance(value, rtol, default_rtols()) for value in pair),
        max(get_tolerance(value, atol, default_atols()) for value in pair),
    )


def get_atol(atol: float | None = None, dtype: Any = np.dtype(np.float64)) -> float:  # noqa: B008
    """``atol``, or the default absolute tolerance of ``dtype``."""
    return default_atols()[dtype] if atol is None else atol


def get_rtol(rtol: float | None = None, dtype: Any = np.dtype(np.float64)) -> float:  # noqa: B008
    """``rtol``, or the default relative tolerance of ``dtype``."""
    return default_rtols()[dtype] if rtol is None else rtol


def get_etol(etol: float | None = None) -> float:
    """``etol``, or 0: the share of elements that may differ."""
    return 0 if etol is None else etol
