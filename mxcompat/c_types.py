"""The ctypes names that ``mxnet.base`` offers to programs which build C arrays; there is no C library behind them."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["mx_int", "mx_uint", "mx_int64", "mx_float", "mx_float_p", "mx_real_t", "NDArrayHandle", "SymbolHandle"]
__all__ += ["ExecutorHandle", "CachedOpHandle", "OpHandle", "FunctionHandle", "DataIterCreatorHandle", "DataIterHandle"]
__all__ += ["KVStoreHandle", "RecordIOHandle", "ProfileHandle", "CudaModuleHandle", "CudaKernelHandle", "DLPackHandle"]
__all__ += ["MXCallbackList", "c_str", "c_array", "c_array_buf", "c_str_array", "ctypes2buffer", "ctypes2numpy_shared"]
__all__ += ["py_str"]

mx_int, mx_uint, mx_int64, mx_float = ctypes.c_int, ctypes.c_uint, ctypes.c_int64, ctypes.c_float
mx_float_p = ctypes.POINTER(mx_float)
#: the element type of arrays for which none is given
mx_real_t = np.float32
NDArrayHandle = SymbolHandle = ExecutorHandle = CachedOpHandle = OpHandle = ctypes.c_void_p
FunctionHandle = DataIterCreatorHandle = DataIterHandle = KVStoreHandle = RecordIOHandle = ctypes.c_void_p
ProfileHandle = CudaModuleHandle = CudaKernelHandle = DLPackHandle = ctypes.c_void_p


#: what was cast to a handle, while it lives
_BY_ADDRESS: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()


def address_of(thing: Any) -> int:
    """What ``ctypes.cast(thing, NDArrayHandle)`` is to hold: ``behind`` finds the thing by it."""
    _BY_ADDRESS[id(thing)] = thing
    return id(thing)


def behind(handle: ctypes.c_void_p) -> Any:
    """What was cast to that handle, None for the null pointer; ``ValueError`` when it does not live any more."""
    thing = _BY_ADDRESS.get(handle.value) if handle.value else None
    if handle.value and thing is None:
        raise ValueError(f"NDArrayHandle({handle.value:#x}): no array has this handle")
    return thing


class MXCallbackList(ctypes.Structure):
    """The callbacks of a custom operator, as the C interface lays them out."""

    _fields_ = (
        ("num_callbacks", ctypes.c_int),
        ("callbacks", ctypes.POINTER(ctypes.CFUNCTYPE(ctypes.c_int))),
        ("contexts", ctypes.POINTER(ctypes.c_void_p)),
    )


def c_str(string: str) -> ctypes.c_char_p:
    """The UTF-8 bytes of a ``str`` as a C string."""
    return ctypes.c_char_p(string.encode("utf-8"))


def c_array(ctype: Any, values: Sequence[Any]) -> Any:
    """A C array of that element type."""
    return (ctype * len(values))(*values)


def c_array_buf(ctype: Any, buf: Any) -> Any:
    """A C array on the memory of a buffer such as an ``array.array``."""
    return (ctype * len(buf)).from_buffer(buf)


def c_str_array(strings: Sequence[str]) -> Any:
    """A C array of C strings."""
    return (ctypes.c_char_p * len(strings))(*(text.encode("utf-8") for text in strings))


def ctypes2buffer(cptr: Any, length: int) -> bytearray:
    """A copy of ``length`` bytes behind a pointer to ``c_char``; ``RuntimeError`` for another pointer."""
    if not isinstance(cptr, ctypes.POINTER(ctypes.c_char)):
        raise RuntimeError("expected char pointer")
    return bytearray(ctypes.string_at(cptr, length))


def ctypes2numpy_shared(cptr: Any, shape: Sequence[int]) -> np.ndarray:
    """A float32 array on the memory behind a pointer to ``c_float``; ``RuntimeError`` for another pointer."""
    if not isinstance(cptr, mx_float_p):
        raise RuntimeError("expected float pointer")
    return np.ctypeslib.as_array(cptr, tuple(shape))


def py_str(x: Any) -> str:
    """The text of a ``bytes`` or ``str``."""
    return x.decode("utf-8") if isinstance(x, bytes) else str(x)
