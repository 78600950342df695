"""Comparing arrays, with a report of where they differ most."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.testing as npt

from mxcompat.base import MXNetError
from mxcompat.ndarray import NDArray, waitall
from mxcompat.test_utils.defaults import get_atol, get_etol, get_rtol, get_tols

__all__ = [
    "almost_equal",
    "assert_allclose",
    "assert_almost_equal",
    "assert_almost_equal_ignore_nan",
    "assert_almost_equal_with_err",
    "assert_exception",
    "checkShapes",
    "compare_ndarray_tuple",
    "locationError",
    "retry",
    "same",
    "same_array",
    "same_symbol_structure",
]


def same(a: Any, b: Any) -> bool:
    """Whether two arrays have the same shape and elements."""
    return np.array_equal(a, b)


def same_array(array1: Any, array2: Any) -> bool:
    """Whether two NDArrays share their memory: a change of the first must show in the second."""
    array1[:] += 1
    seen = same(array1.asnumpy(), array2.asnumpy())
    array1[:] -= 1
    return seen and same(array1.asnumpy(), array2.asnumpy())


def same_symbol_structure(sym1: Any, sym2: Any) -> bool:
    """Whether the nodes of two symbols have the same operators, in order, as far as both go."""
    nodes1, nodes2 = (json.loads(sym.tojson())["nodes"] for sym in (sym1, sym2))
    return all(node1["op"] == node2["op"] for node1, node2 in zip(nodes1, nodes2))


def checkShapes(a: Any, b: Any) -> None:  # noqa: N802
    """``AssertionError`` unless two arrays have the same shape."""
    if a.shape != b.shape:
        text = f"a.shape = {a.shape} and b.shape = {b.shape} are not equal"
        raise AssertionError(npt.build_err_msg([a, b], err_msg=text))


def almost_equal(
    a: Any,
    b: Any,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    use_broadcast: bool = True,
) -> bool:
    """Whether ``|a - b| <= atol + rtol * |b|`` everywhere. Compat: the default tolerances are those of float64."""
    if not use_broadcast:
        checkShapes(a, b)
    a, b = (x.astype(np.float32) if getattr(x, "dtype", None) == np.float16 else x for x in (a, b))  # ten times faster
    return np.allclose(a, b, rtol=get_rtol(rtol), atol=get_atol(atol), equal_nan=equal_nan)


def locationError(  # noqa: N802
    a: np.ndarray,
    b: np.ndarray,
    index: tuple,
    names: tuple[str, str],
    maxError: bool = False,  # noqa: N803
) -> str:
    """Text that says what two arrays hold at ``index``."""
    return (
        f"Location of {'maximum ' if maxError else ''}error: {tuple(int(i) for i in index)}, "
        f"{names[0]}={a[index]:.8f}, {names[1]}={b[index]:.8f}"
    )


def _violations(a: np.ndarray, b: np.ndarray, rtol: float, atol: float) -> np.ndarray:
    """How far each element is beyond its tolerance (1 is just within); infinities of one sign are equal."""
    if a.dtype.kind in "bui" or b.dtype.kind in "bui":  # unsigned differences would wrap around
        a, b = a.astype(np.float64), b.astype(np.float64)
    with np.errstate(all="ignore"):
        difference = np.where(np.equal(a, b), 0, np.abs(a - b))
        return difference / (atol + rtol * np.abs(b) + 1e-20)


def _mismatch_report(
    a: np.ndarray,
    b: np.ndarray,
    tolerances: tuple[float, float],
    names: tuple[str, str],
    equal_nan: bool,
    mismatches: tuple[int, int],
) -> str:
    """Print the worst elements; the text of the error."""
    rtol, atol = tolerances
    a, b = np.broadcast_arrays(a, b)
    violation = _violations(a, b, rtol, atol)
    wrong = ~np.isclose(a, b, rtol=rtol, atol=atol, equal_nan=equal_nan)
    # NaN sorts last, so that the reversed order begins with it
    worst_first = np.argsort(np.where(wrong, violation, -1), axis=None)[::-1][: int(wrong.sum())]
    worst = np.unravel_index(worst_first[0], a.shape)
    text = f"Error {float(violation[worst]):f} exceeds tolerance rtol={rtol:e}, atol={atol:e}"
    if not a.ndim:
        return text + ".\n"
    shown, counted = mismatches
    print(f"\n*** Maximum errors for vector of size {a.size}:  rtol={rtol}, atol={atol}\n")
    for place, flat in enumerate(worst_first[: max(shown, 0)], 1):
        index = np.unravel_index(flat, a.shape)
        print(f"{place:3d}: Error {float(violation[index]):f}  {locationError(a, b, index, names)}")
    more = 0 < counted < len(worst_first)
    count = counted + 1 if more else len(worst_first)
    text += f" (mismatch {'at least ' if more else ''}{100 * count / a.size:f}%).\n"
    return text + locationError(a, b, worst, names, maxError=True)


def _fail(a: np.ndarray, b: np.ndarray, *report: Any) -> None:
    text = _mismatch_report(a, b, *report)
    with np.printoptions(threshold=4, suppress=True):
        raise AssertionError(npt.build_err_msg([a, b], err_msg=text))


def _as_numpy(value: Any) -> Any:
    return value.asnumpy() if isinstance(value, NDArray) else value


def assert_almost_equal(
    a: Any,
    b: Any,
    rtol: Any = None,
    atol: Any = None,
    names: tuple[str, str] = ("a", "b"),
    equal_nan: bool = False,
    use_broadcast: bool = True,
    mismatches: tuple[int, int] = (10, 10),
) -> None:
    """``AssertionError`` unless ``|a - b| <= atol + rtol * |b|`` everywhere; arrays (NDArray or NumPy) or numbers.

    A tolerance is a number, a dict of type to number, or None for the default of the coarser of the two types
    (``default_rtols``, ``default_atols``; a type without a default raises ``KeyError``). Shapes broadcast, unless
    ``use_broadcast`` is off or both are NDArrays of one context and type, where other shapes raise ``MXNetError``.
    On failure the worst ``mismatches[0]`` elements are printed, and mismatches counted up to ``mismatches[1]``
    (0: all).
    """
    if not use_broadcast:
        checkShapes(a, b)
    rtol, atol = get_tols(a, b, rtol, atol)
    both = isinstance(a, NDArray) and isinstance(b, NDArray)
    if both and a.context == b.context and a.dtype == b.dtype and a.shape != b.shape:
        raise MXNetError(f"assert_almost_equal: {names[0]} has shape {a.shape}, {names[1]} has shape {b.shape}")
    a, b = _as_numpy(a), _as_numpy(b)
    if getattr(a, "dtype", None) == np.bool_ and getattr(b, "dtype", None) == np.bool_:
        npt.assert_equal(a, b)
    elif not almost_equal(a, b, rtol, atol, equal_nan=equal_nan):
        _fail(np.asarray(a), np.asarray(b), (rtol, atol), names, equal_nan, mismatches)


def assert_allclose(a: Any, b: Any, rtol: Any = 1e-07, atol: Any = 0, equal_nan: bool = True) -> None:
    """``assert_almost_equal`` with the defaults of ``numpy.testing.assert_allclose``."""
    assert_almost_equal(a, b, rtol=rtol, atol=atol, equal_nan=equal_nan)


def assert_almost_equal_with_err(
    a: Any,
    b: Any,
    rtol: Any = None,
    atol: Any = None,
    etol: float | None = None,
    names: tuple[str, str] = ("a", "b"),
    equal_nan: bool = False,
    mismatches: tuple[int, int] = (10, 10),
) -> None:
    """``assert_almost_equal``, but a share of at most ``etol`` of the elements may differ.

    Compat: NaN in both arrays counts as a difference, whatever ``equal_nan``, where ``etol`` is above 0.
    """
    etol = get_etol(etol)
    if etol <= 0:
        assert_almost_equal(a, b, rtol=rtol, atol=atol, names=names, equal_nan=equal_nan, mismatches=mismatches)
        return
    rtol, atol = get_tols(a, b, rtol, atol)
    a, b = np.asarray(_as_numpy(a)), np.asarray(_as_numpy(b))
    equal = np.isclose(a, b, rtol=rtol, atol=atol)
    if 1 - np.count_nonzero(equal) / equal.size > etol:
        _fail(a, b, (rtol, atol), names, False, mismatches)


def assert_almost_equal_ignore_nan(
    a: Any, b: Any, rtol: Any = None, atol: Any = None, names: tuple[str, str] = ("a", "b")
) -> None:
    """``assert_almost_equal`` where neither array is NaN."""
    a, b = np.copy(_as_numpy(a)), np.copy(_as_numpy(b))
    unknown = np.isnan(a) | np.isnan(b)
    a[unknown] = b[unknown] = 0
    assert_almost_equal(a, b, rtol, atol, names)


def assert_exception(f: Callable, exception_type: Any, *args: Any, **kwargs: Any) -> None:
    """``AssertionError`` unless ``f(*args, **kwargs)`` raises ``exception_type``."""
    try:
        f(*args, **kwargs)
    except exception_type:
        return
    raise AssertionError(f"{getattr(f, '__name__', f)} did not raise {exception_type}")


def compare_ndarray_tuple(t1: Any, t2: Any, rtol: Any = None, atol: Any = None) -> None:
    """``assert_almost_equal`` on every array of nested tuples; nothing where either is None."""
    if t1 is None or t2 is None:
        return
    if isinstance(t1, tuple):
        for s1, s2 in zip(t1, t2):
            compare_ndarray_tuple(s1, s2, rtol, atol)
    else:
        assert_almost_equal(t1, t2, rtol=rtol, atol=atol)


def retry(n: int) -> Callable:
    """A decorator for random tests: up to ``n`` calls, until one raises no ``AssertionError``."""
    if n <= 0:
        raise AssertionError(f"retry: n must be positive, found {n}")

    def decorate(f: Callable) -> Callable:
        @functools.wraps(f)
        def wrapper(*args: Any, **kwargs: Any) -> None:
            for attempt in range(1, n + 1):
                try:
                    f(*args, **kwargs)
                    return
                except AssertionError:
                    if attempt == n:
                        raise
                    waitall()

        return wrapper

    return decorate
