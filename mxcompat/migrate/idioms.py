"""Old idioms that later versions of NumPy and Python removed, put back in memory while an old script runs.

Nothing that is still there is replaced, with three exceptions: ``np.fromstring`` (its binary mode is gone),
``np.array`` (``copy=False`` now means "never" where it meant "only if needed"), and NumPy's print style. Methods that
NumPy removed from its array class (``tostring``, ``itemset``, ``ptp``, ``newbyteorder``) cannot be put back: the class
is closed.
"""

from __future__ import annotations

import base64
import collections
import collections.abc
import fractions
import functools
import importlib.util
import inspect
import math
import sys
import threading
import time
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from mxcompat.migrate import removed_modules

__all__ = ["NUMPY_METHODS", "NUMPY_NAMES", "PYTHON_NAMES", "restore", "withdraw"]


def _asscalar(a: Any) -> Any:
    return np.asarray(a).item()


def _asfarray(a: Any, dtype: Any = np.float64) -> np.ndarray:
    return np.asarray(a, dtype=dtype if np.issubdtype(dtype, np.inexact) else np.float64)


def _in1d(ar1: Any, ar2: Any, assume_unique: bool = False, invert: bool = False) -> np.ndarray:
    return np.isin(np.asarray(ar1).ravel(), ar2, assume_unique=assume_unique, invert=invert)


def _msort(a: Any) -> np.ndarray:
    return np.sort(a, axis=0)


def _rank(a: Any) -> int:
    return np.ndim(a)


def _find_common_type(array_types: Any, scalar_types: Any) -> np.dtype:
    return np.result_type(*array_types, *scalar_types)


def _issubclass(arg1: Any, arg2: Any) -> bool:
    return isinstance(arg1, type) and issubclass(arg1, arg2)


def _issctype(rep: Any) -> bool:
    try:
        return np.dtype(rep).type is not np.object_
    except TypeError:
        return False


def _trapezoid(y: Any, x: Any = None, dx: float = 1.0, axis: int = -1) -> Any:
    return np.trapezoid(y, x, dx, axis)


def _exception(name: str) -> type:
    return getattr(getattr(np, "exceptions", np), name, RuntimeError)


#: name that NumPy removed -> what it stood for
NUMPY_NAMES: dict[str, Any] = {
    # types: Python's own ...
    "int": int,
    "float": float,
    "complex": complex,
    "object": object,
    "str": str,
    "unicode": str,
    "bool": bool,
    "long": int,
    # ... and NumPy's
    "bool8": np.bool_,
    "int0": np.intp,
    "uint0": np.uintp,
    "float_": np.float64,
    "complex_": np.complex128,
    "cfloat": np.complex128,
    "singlecomplex": np.complex64,
    "longfloat": np.longdouble,
    "longcomplex": np.clongdouble,
    "clongfloat": np.clongdouble,
    "string_": np.bytes_,
    "bytes0": np.bytes_,
    "unicode_": np.str_,
    "str0": np.str_,
    "object0": np.object_,
    "void0": np.void,
    "typeDict": np.sctypeDict,
    "sctypes": {
        "int": [np.int8, np.int16, np.int32, np.int64],
        "uint": [np.uint8, np.uint16, np.uint32, np.uint64],
        "float": [np.float16, np.float32, np.float64, np.longdouble],
        "complex": [np.complex64, np.complex128, np.clongdouble],
        "others": [bool, object, bytes, str, np.void],
    },
    # numbers
    "Inf": np.inf,
    "Infinity": np.inf,
    "infty": np.inf,
    "PINF": np.inf,
    "NINF": -np.inf,
    "NaN": np.nan,
    "NAN": np.nan,
    "PZERO": 0.0,
    "NZERO": -0.0,
    # functions
    "asscalar": _asscalar,
    "asfarray": _asfarray,
    "in1d": _in1d,
    "msort": _msort,
    "rank": _rank,
    "product": np.prod,
    "cumproduct": np.cumprod,
    "sometrue": np.any,
    "alltrue": np.all,
    "round_": np.round,
    "row_stack": np.vstack,
    "trapz": _trapezoid,
    "mat": np.asmatrix,
    "find_common_type": _find_common_type,
    "issubclass_": _issubclass,
    "issctype": _issctype,
    "math": math,
    # warnings and errors
    "AxisError": _exception("AxisError"),
    "ComplexWarning": _exception("ComplexWarning"),
    "RankWarning": _exception("RankWarning"),
    "VisibleDeprecationWarning": _exception("VisibleDeprecationWarning"),
    "ModuleDeprecationWarning": _exception("ModuleDeprecationWarning"),
    "TooHardError": _exception("TooHardError"),
}

#: method that NumPy removed from its arrays -> what does the same
NUMPY_METHODS = {"tostring": "x.tobytes()", "itemset": "x[index] = value", "ptp": "np.ptp(x)"}

ArgSpec = collections.namedtuple("ArgSpec", "args varargs keywords defaults")


def _getargspec(func: Callable) -> ArgSpec:
    spec = inspect.getfullargspec(func)
    if spec.kwonlyargs or spec.annotations:
        raise ValueError(f"{func!r} has keyword-only parameters or annotations, which getargspec cannot show")
    return ArgSpec(spec.args, spec.varargs, spec.varkw, spec.defaults)


#: module -> names that Python removed from it -> what they stood for
PYTHON_NAMES: dict[ModuleType, dict[str, Any]] = {
    collections: {name: getattr(collections.abc, name) for name in collections.abc.__all__ if name != "Buffer"},
    time: {"clock": time.process_time},
    inspect: {"getargspec": _getargspec, "ArgSpec": ArgSpec},
    fractions: {"gcd": math.gcd},
    base64: {"encodestring": base64.encodebytes, "decodestring": base64.decodebytes},
    threading.Thread: {"isAlive": threading.Thread.is_alive},  # type: ignore[dict-item]
}

#: module that Python removed -> what makes a stand-in
PYTHON_MODULES: dict[str, Callable[[], ModuleType]] = {
    "imp": removed_modules.make_imp,
    "distutils": removed_modules.make_distutils,
    "xml.etree.cElementTree": removed_modules.make_celementtree,
}


def _wrap_fromstring(current: Callable) -> Callable:
    @functools.wraps(current)
    def fromstring(string: Any, dtype: Any = float, count: int = -1, sep: str = "", **kwargs: Any) -> np.ndarray:
        if sep != "":
            return current(string, dtype, count, sep=sep, **kwargs)
        raw = string.encode() if isinstance(string, str) else string
        return np.frombuffer(raw, dtype, count).copy()

    return fromstring


def _wrap_array(current: Callable) -> Callable:
    @functools.wraps(current)
    def array(*args: Any, **kwargs: Any) -> np.ndarray:
        if kwargs.get("copy", True) is False:
            kwargs["copy"] = None  # NumPy 2 spells "only if needed" so
        return current(*args, **kwargs)

    return array


def _has(module: Any, name: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return hasattr(module, name)


#: what takes the old names out again, in the order in which they were put back
_undo: list[Callable[[], object]] = []


def _put(owner: Any, name: str, value: Any) -> None:
    old = vars(owner).get(name, _undo)
    setattr(owner, name, value)
    _undo.append(
        functools.partial(delattr, owner, name) if old is _undo else functools.partial(setattr, owner, name, old)
    )


def _restore_numpy() -> None:
    for name, value in NUMPY_NAMES.items():
        if not _has(np, name):
            _put(np, name, value)
    _put(np, "fromstring", _wrap_fromstring(np.fromstring))
    if int(np.__version__.split(".")[0]) >= 2:
        _put(np, "array", _wrap_array(np.array))
        _undo.append(functools.partial(np.set_printoptions, **np.get_printoptions()))
        np.set_printoptions(legacy="1.25")


def restore() -> bool:
    """Put the old names back into NumPy and Python's modules, for this process; False if they are there already."""
    if _undo:
        return False
    _restore_numpy()
    for module, names in PYTHON_NAMES.items():
        for name, value in names.items():
            if not _has(module, name):
                _put(module, name, value)
    for module_name, make in PYTHON_MODULES.items():
        if module_name not in sys.modules and importlib.util.find_spec(module_name) is None:
            before = set(sys.modules)
            sys.modules[module_name] = make()
            _undo.extend(functools.partial(sys.modules.pop, each, None) for each in set(sys.modules) - before)
    return True


def withdraw() -> None:
    """Take out again what ``restore`` put back; objects that were made meanwhile stay as they are."""
    while _undo:
        _undo.pop()()
