"""Operators whose name begins with an underscore (generated from the catalogue), and two functions on arrays.

Beyond what is generated: ``_copyto`` and ``_set_value``, which write into the array given as ``out``.
"""

from __future__ import annotations

from typing import Any

from mxcompat.base import MXNetError
from mxcompat.ndarray.cached_op import CachedOp
from mxcompat.ndarray.ndarray import NDArray, NDArrayBase

__all__ = ["CachedOp", "NDArrayBase", "_copyto", "_set_value"]


def _copyto(data: NDArray, out: NDArray | None = None, name: str | None = None) -> NDArray:
    """Copy ``data`` into ``out``, whose shape must agree and whose type stays; returns ``out``."""
    return data.copyto(_target("_copyto", out))


def _set_value(src: float, out: NDArray | None = None, name: str | None = None) -> NDArray:
    """Write the number ``src`` into every element of ``out``; returns ``out``."""
    target = _target("_set_value", out)
    target[:] = src
    return target


def _target(function: str, out: Any) -> NDArray:
    if not isinstance(out, NDArray):
        raise MXNetError(f"{function}: out is {out!r}, expected the NDArray to write into")
    return out
