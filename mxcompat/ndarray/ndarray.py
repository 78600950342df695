"""NDArray: a mutable handle on one contiguous tensor (public path of the original: ``mxnet.ndarray.ndarray``).

``_data`` is the tensor, which never requires a gradient. ``_tape`` is a second tensor on the same storage that exists
while the array takes part in a recorded computation. Leading-axis slices and ``reshape`` share memory, everything else
copies.
"""

from __future__ import annotations

import ctypes
import importlib
import math
import operator
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from mxcompat import c_types
from mxcompat.base import MXNetError, numeric_types
from mxcompat.context import Context, current_context, torch_device
from mxcompat.formats import arrays as array_format
from mxcompat.ndarray import assign, indexing, integers
from mxcompat.ndarray.dispatch import install_handle, invoke
from mxcompat.ndarray.history import note, note_view
from mxcompat.ndarray.records import record_of
from mxcompat.ops import registry
from mxcompat.ops.dtypes import NAME_BY_TORCH, NUMPY_BY_TORCH, torch_dtype
from mxcompat.ops.shape import SizeMismatch, reshape_target
from mxcompat.ops.storage import empty as empty_storage
from mxcompat.ops.storage import stored
from mxcompat.scope import STATE, is_np_shape

__all__ = ["NDArray", "waitall"]

#: the built-in, which the original's module has under this name
py_slice = slice
#: array class on the right of an operator -> handled by its own reflected method
_SCALARS = numeric_types


def _wrap(tensor: torch.Tensor, context: Context | None = None) -> NDArray:
    """A handle on ``tensor`` itself (no copy)."""
    handle = NDArray.__new__(NDArray)
    handle._data = tensor
    handle._ctx = context if context is not None else current_context()
    handle._tape = None
    handle._grad = None
    handle._grad_req = None
    handle._writable = True
    return handle


_wrap_sparse: Callable[[Any, Context], Any]


def install_sparse(factory: Callable[[Any, Context], Any]) -> None:
    """The registration point of the sparse classes: ``factory(storage, context)`` makes a handle."""
    global _wrap_sparse
    _wrap_sparse = factory


def _call(name: str, *inputs: NDArray, out: Any = None, **params: Any) -> Any:
    return invoke(registry.get(name), inputs, params, out)


class NDArrayBase:
    """What arrays of every kind derive from."""

    __slots__ = ()


class NDArray(NDArrayBase):
    """A multi-dimensional array of one element type on one context."""

    __slots__ = ("__weakref__", "_ctx", "_data", "_grad", "_grad_req", "_tape", "_writable")
    __array_priority__ = 1000.0
    _data: torch.Tensor
    _ctx: Context
    _tape: torch.Tensor | None
    _grad: NDArray | None
    _grad_req: str | None
    #: what a sparse array holds in place of a tensor (ops/storage.py)
    _storage: Any = None

    def __init__(self, handle: Any, writable: bool = True):
        """A second handle on the memory of an NDArray (a tensor, ``NDArrayHandle``); None gives an empty array."""
        if isinstance(handle, ctypes.c_void_p):
            handle = c_types.behind(handle)
        source = handle._data if isinstance(handle, NDArray) else torch.empty(0)
        self._data = handle if isinstance(handle, torch.Tensor) else source
        self._ctx = handle._ctx if isinstance(handle, NDArray) else current_context()
        self._tape = self._grad = self._grad_req = None
        self._writable = writable

    # -- what it is ---------------------------------------------------------------------------------------------

    @property
    def _like(self) -> torch.Tensor:
        """A tensor of the array's shape, type and device, to look at these only."""
        return self._data

    def _write(self, value: torch.Tensor) -> None:
        """Set all elements, in place."""
        self._data.copy_(value)

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes."""
        return tuple(self._data.shape)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self._data.ndim

    @property
    def size(self) -> int:
        """Number of elements."""
        return self._data.numel()

    @property
    def dtype(self) -> Any:
        """Element type as a numpy scalar type (bfloat16, which numpy lacks, as text)."""
        return NUMPY_BY_TORCH.get(self._data.dtype, "bfloat16")

    @property
    def context(self) -> Context:
        """The context the array lives on."""
        return self._ctx

    ctx = context

    @property
    def stype(self) -> str:
        """Storage type; ``'default'`` means dense."""
        return "default"

    @property
    def T(self) -> NDArray:  # noqa: N802
        """The array with its axes reversed (a copy)."""
        return self if self.ndim < 2 else _call("transpose", self)

    @property
    def grad(self) -> NDArray | None:
        """The gradient array made by ``attach_grad``."""
        return self._grad

    @property
    def handle(self) -> NDArray:
        """The array itself; the original's C handle has no counterpart."""
        return self

    @property
    def _as_parameter_(self) -> int:
        """What ``ctypes.cast(array, NDArrayHandle)``, the idiom of monitor callbacks, gives back to ``NDArray(handle)``."""
        return c_types.address_of(self)

    @property
    def writable(self) -> bool:
        """False: in-place arithmetic is refused, here and on views (assigning elements is not, as in the original)."""
        return getattr(self, "_writable", True)

    @writable.setter
    def writable(self, value: bool) -> None:
        self._writable = bool(value)

    def __len__(self) -> int:
        return self._data.shape[0]

    def __hash__(self) -> int:
        return id(self) >> 4

    def __repr__(self) -> str:
        shape_text = "x".join(str(dim) for dim in self.shape)
        return f"\n{self.asnumpy()!s}\n<{type(self).__name__} {shape_text} @{self._ctx}>"

    def __bool__(self) -> bool:
        if self.size == 0:
            return False
        if self.size == 1:
            return bool(self.asscalar())
        raise ValueError("The truth value of an NDArray with multiple elements is ambiguous.")

    __nonzero__ = __bool__

    def __index__(self) -> int:
        if self.ndim == 0 and np.issubdtype(self.dtype, np.integer):
            return int(self._data)
        raise TypeError("only integer scalar arrays can be converted to a scalar index")

    def __iter__(self) -> Iterator[NDArray]:
        return (self[i] for i in range(len(self)))

    # -- to and from other libraries ----------------------------------------------------------------------------

    def asnumpy(self) -> np.ndarray:
        """A numpy copy of the elements."""
        data = self._data
        if data.dtype is torch.bfloat16:
            data = data.float()
        return data.cpu().numpy().copy() if data.device.type != "cpu" else np.array(data.numpy())

    def asscalar(self) -> Any:
        """The only element as a numpy scalar; ``ValueError`` unless there is exactly one."""
        if self.size != 1:
            raise ValueError("The current array is not a scalar")
        return self.asnumpy().reshape(-1)[0]

    item = asscalar

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self.asnumpy()
        return array if dtype is None else array.astype(dtype, copy=False)

    def __dlpack__(self, *, stream: Any = None, **kwargs: Any) -> Any:
        _share_outside(self._data)
        return self._data.__dlpack__(stream=stream, **kwargs)

    def __dlpack_device__(self) -> Any:
        return self._data.__dlpack_device__()

    def to_dlpack_for_read(self) -> Any:
        """A DLPack capsule on this array's memory."""
        return self.__dlpack__()

    to_dlpack_for_write = to_dlpack_for_read

    def __reduce__(self) -> tuple:
        return NDArray, (None,), self.__getstate__()

    def __getstate__(self) -> dict[str, Any]:
        return {"handle": bytearray(array_format.dump_record(record_of(self)))}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._tape = self._grad = self._grad_req = None
        if state["handle"] is None:
            self._data, self._ctx = torch.empty(0), current_context()
            return
        loaded = _from_record(array_format.parse_record(bytes(state["handle"])))
        self._data, self._ctx = loaded._data, loaded._ctx

    def __copy__(self) -> NDArray:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> NDArray:
        return self.copy()

    @property
    def _fresh_grad(self) -> bool:
        """Whether ``backward`` has written this attached array's gradient since this was set to False."""
        return getattr(self._tape, "mx_fresh", False)

    @_fresh_grad.setter
    def _fresh_grad(self, state: bool) -> None:
        if self._tape is None:
            raise MXNetError("_fresh_grad: the array has no gradient; call attach_grad first")
        self._tape.mx_fresh = bool(state)  # type: ignore[attr-defined]

    # -- copies and views ---------------------------------------------------------------------------------------

    def copy(self) -> NDArray:
        """An independent copy on the same context."""
        return self._recorded_copy(self._ctx)

    def _recorded_copy(self, context: Context) -> NDArray:
        device = torch_device(context)
        result = _wrap(torch.empty_like(self._data, device=device).copy_(self._data), context)
        if STATE.recording and self._tape is not None:
            with torch.enable_grad():
                result._tape = integers.copied(integers.values(self), result._data)
            note(registry.get("_copy"), {}, [self], [result._tape])
            if result._data.is_floating_point():
                result._data = result._tape.detach()
        return result

    def copyto(self, other: NDArray | Context) -> NDArray:
        """Copy into ``other`` (its dtype stays) or onto a context; shapes must agree, ``MXNetError`` otherwise."""
        if isinstance(other, Context):
            return self._recorded_copy(other)
        if not isinstance(other, NDArray):
            raise TypeError(f"copyto does not support type {type(other)}")
        if other is self:
            return other
        if other._storage is None and other._data.data_ptr() == self._data.data_ptr() and other.shape == self.shape:
            return other
        if other.shape != self.shape:
            raise MXNetError(f"copyto: expected target shape {self.shape}, got {other.shape}")
        if STATE.recording:
            assign.refuse_recorded(other)
            if self._tape is not None and other._storage is None:
                assign.write_recorded(other, self, other.shape)
                return other
        other._write(self._data)
        return other

    def as_in_context(self, context: Context) -> NDArray:
        """The array itself when it is there already, else a copy on ``context``."""
        return self if self._ctx == context else self.copyto(context)

    as_in_ctx = as_in_context

    def astype(self, dtype: Any, copy: bool = True) -> NDArray:
        """A copy with another element type (the array itself when nothing changes and ``copy`` is False)."""
        if not copy and torch_dtype(dtype) is self._data.dtype:
            return self
        return _call("Cast", self, dtype=NAME_BY_TORCH[torch_dtype(dtype)])

    def as_nd_ndarray(self) -> NDArray:
        """The array itself."""
        return self

    def as_np_ndarray(self) -> Any:
        """``mx.np`` arrays are not supported: raises ``MXNetError``."""
        raise MXNetError("as_np_ndarray: NumPy arrays (mx.np) are not supported; use asnumpy()")

    def tostype(self, stype: str) -> NDArray:
        """The array in another storage type, a copy for ``csr`` (two axes, ``ValueError`` otherwise) and ``row_sparse``."""
        if stype == "default":
            return self
        if stype == "csr" and self.ndim != 2:
            raise ValueError(f"To convert to a CSR, the NDArray should be 2 Dimensional. Current shape is {self.shape}")
        return _call("cast_storage", self, stype=stype)

    def detach(self) -> NDArray:
        """A handle on the same memory that is not part of any recorded computation."""
        _share(self._data)
        return _wrap(self._data, self._ctx)

    def reshape(self, *shape: Any, **kwargs: Any) -> NDArray:
        """The same elements in another shape, sharing memory (codes 0, -1, -2, -3, -4 as in ``Reshape``)."""
        given = False
        if len(shape) == 1 and isinstance(shape[0], (tuple, list)):
            shape = tuple(shape[0])
            given = True
        if not shape:
            shape = kwargs.pop("shape", ())
            shape = (shape,) if isinstance(shape, int) else tuple(shape)
            if not shape and not given:
                raise AssertionError("Shape must be provided.")
        reverse = bool(kwargs.pop("reverse", False))
        if kwargs:
            raise TypeError(f"Got unknown keywords in reshape: {', '.join(kwargs)}. Accepted: 'shape' and 'reverse'.")
        codes = tuple(operator.index(dim) for dim in shape)
        try:
            target = reshape_target(codes, self.shape, reverse)
            size = math.prod(target)
        except SizeMismatch:
            size = -1
        if size > self.size:
            raise MXNetError(
                "NDArray.Reshape: target shape size is larger than the current shape: "
                f"{self.shape} has {self.size} elements, {target} has {size}"
            )
        if size != self.size:
            raise ValueError(f"Cannot reshape array of size {self.size} into shape {tuple(shape)}")
        return self._view(lambda tensor: tensor.view(target))

    def _view(self, select: Callable[[torch.Tensor], torch.Tensor]) -> NDArray:
        """A handle on part of this array's memory; recorded where this array is."""
        _share(self._data)
        result = _wrap(select(self._data), self._ctx)
        if STATE.recording and self._tape is not None:
            with torch.enable_grad():
                result._tape = select(integers.values(self))
            note_view(self, result)
        result._writable = self.writable
        return result

    # -- reading and writing parts ------------------------------------------------------------------------------

    def __getitem__(self, key: Any) -> NDArray:
        if type(key) is slice and key.step is None and self._tape is None and self._writable:
            data = self._data  # rows of an array: the most common key, without the general way's bookkeeping
            if data.ndim:
                start, stop, _ = key.indices(data.shape[0])
                if start < stop:
                    _share(data)
                    return _wrap(data.narrow(0, start, stop - start), self._ctx)
        if isinstance(key, str) or (isinstance(key, NDArray) and key.ndim == 0 and key.size == 0):
            raise ValueError(f"NDArray does not support slicing with key {key} of type {type(key)}.")
        if indexing.is_basic(key):
            view = indexing.basic_view(self._data, key)
            if view.ndim == 0 and not is_np_shape():
                return self._view(lambda t: indexing.basic_view(t, key).reshape(1))
            if view.is_contiguous():
                if self._tape is None and self.writable:
                    _share(self._data)
                    return _wrap(view, self._ctx)
                return self._view(lambda t: indexing.basic_view(t, key))
            return self._taken(lambda t: indexing.basic_view(t, key))
        positions = indexing.advanced_key(self._data, key)
        return self._taken(lambda t: indexing.advanced_part(t, positions))

    def _taken(self, select: Callable[[torch.Tensor], torch.Tensor]) -> NDArray:
        if STATE.recording and self._tape is not None:
            with torch.enable_grad():
                tape = _at_least_1d(select(integers.values(self))).clone(memory_format=torch.contiguous_format)
            floating = self._data.is_floating_point()
            result = _wrap(tape.detach() if floating else _at_least_1d(select(self._data)).contiguous(), self._ctx)
            result._tape = tape
            return result
        return _wrap(_at_least_1d(select(self._data)).clone(memory_format=torch.contiguous_format), self._ctx)

    @staticmethod
    def _basic_indexing_slice_is_contiguous(slc_key: tuple, shape: tuple[int, ...]) -> bool:
        """Whether a key of integers and slices gives a view, not a copy, of an array of this shape."""
        return indexing.is_contiguous(slc_key, shape)

    def __setitem__(self, key: Any, value: Any) -> None:
        assign.set_items(self, key, value)

    def slice_assign(self, rhs: NDArray, begin: Any, end: Any, step: Any) -> NDArray:
        """A copy in which the region ``begin:end:step`` is replaced by ``rhs``."""
        return _call("_slice_assign", self, rhs, begin=begin, end=end, step=step)

    def slice_assign_scalar(self, value: float, begin: Any, end: Any, step: Any) -> NDArray:
        """A copy in which the region ``begin:end:step`` is filled with ``value``."""
        return _call("_slice_assign_scalar", self, scalar=value, begin=begin, end=end, step=step)

    # -- shape methods whose signature is their own -------------------------------------------------------------

    def transpose(self, *args: Any, **kwargs: Any) -> NDArray:
        """The array with its axes permuted (a copy); without axes they are reversed."""
        axes = args
        if len(args) == 1 and (isinstance(args[0], (tuple, list)) or args[0] is None):
            axes = tuple(args[0] or ())
        return _call("transpose", self, **({"axes": axes} if axes else {}), **kwargs)

    def broadcast_to(self, shape: Any) -> NDArray:
        """The array repeated along axes of size 1 to ``shape``; 0 keeps a size, missing leading axes are added."""
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        if len(shape) > self.ndim:
            own = (1,) * (len(shape) - self.ndim) + self.shape
            return _call("broadcast_to", self.reshape(own), shape=shape)
        return _call("broadcast_to", self, shape=shape)

    def broadcast_like(self, other: NDArray) -> NDArray:
        """The array broadcast to the shape of ``other``."""
        return self.broadcast_to(other.shape)

    def expand_dims(self, axis: int, inplace: bool = False) -> NDArray:
        """The array with a new axis of size 1 (``inplace`` shares memory)."""
        if not inplace:
            return _call("expand_dims", self, axis=axis)
        return self._view(lambda tensor: tensor.unsqueeze(axis))

    def flatten(self, inplace: bool = False) -> NDArray:
        """The array as two axes (``inplace`` shares memory)."""
        return _call("Flatten", self) if not inplace else self.reshape((0, -1))

    def squeeze(self, axis: Any = None, inplace: bool = False) -> NDArray:
        """The array without its axes of size 1 (``inplace`` shares memory)."""
        result = _call("squeeze", self, **({} if axis is None else {"axis": axis}))
        return self.reshape(result.shape) if inplace else result

    def diag(self, k: int = 0, **kwargs: Any) -> NDArray:
        """The k-th diagonal, or a matrix with it."""
        return _call("diag", self, k=k, **kwargs)

    # -- recording ----------------------------------------------------------------------------------------------

    def attach_grad(self, grad_req: str = "write", stype: str | None = None) -> None:
        """Give the array a gradient array, which ``backward`` fills by ``grad_req`` (write, add or null).

        ``stype`` is the gradient's storage type, by default the array's.
        """
        like, stype = self._like, stype or self.stype
        if stype == "default":
            grad = _wrap(torch.zeros_like(like, memory_format=torch.contiguous_format), self._ctx)
        else:
            grad = _wrap_sparse(empty_storage(stype, like.shape, like.dtype, like.device), self._ctx)
        _mark(self, grad, grad_req)

    def backward(self, out_grad: NDArray | None = None, retain_graph: bool = False, train_mode: bool = True) -> None:
        """Gradients of this array with respect to everything attached (head gradient: ones by default)."""
        _autograd().backward([self], None if out_grad is None else [out_grad], retain_graph, train_mode)

    # -- waiting ------------------------------------------------------------------------------------------------

    def wait_to_read(self) -> None:
        """Wait until the elements can be read."""
        if self._data.device.type == "cuda":
            torch.cuda.synchronize(self._data.device)

    wait_to_write = wait_to_read

    # -- arithmetic ---------------------------------------------------------------------------------------------

    def __neg__(self) -> NDArray:
        return _call("_mul_scalar", self, scalar=-1.0)

    def __abs__(self) -> NDArray:
        return _call("abs", self)

    def __eq__(self, other: object) -> NDArray:  # type: ignore[override]
        return _binary(self, other, "broadcast_equal", "_equal_scalar")

    def __ne__(self, other: object) -> NDArray:  # type: ignore[override]
        return _binary(self, other, "broadcast_not_equal", "_not_equal_scalar")


def array_like(value: Any, target: NDArray) -> NDArray:
    """``value`` (numbers, nested lists) as an array of the target's type and context; ``ValueError`` otherwise."""
    try:
        return _wrap(assign.value_tensor(target, value), target._ctx)
    except TypeError:
        raise ValueError(f"only accept list of NDArrays or numbers, found {type(value)}") from None


def _at_least_1d(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.reshape(1) if tensor.ndim == 0 else tensor


def _share(tensor: torch.Tensor) -> None:
    """Note on the storage that more than one handle uses it: results are then copied into it, never rebound."""
    tensor.untyped_storage().mx_shared = True  # type: ignore[attr-defined]


def _share_outside(tensor: torch.Tensor) -> None:
    """Note on the storage that other libraries may write it, which no version counter sees."""
    _share(tensor)
    tensor.untyped_storage().mx_outside = True  # type: ignore[attr-defined]
    OUTSIDE["storages"] += 1


#: how many storages other libraries have, or had: whoever relies on version counters looks again when it grows
OUTSIDE = {"storages": 0}


def is_outside(tensor: torch.Tensor) -> bool:
    """Whether another library may write the tensor's storage."""
    return getattr(tensor.untyped_storage(), "mx_outside", False)


def is_shared(tensor: torch.Tensor) -> bool:
    """Whether more than one handle uses the tensor's storage."""
    return getattr(tensor.untyped_storage(), "mx_shared", False)


def _mark(array: NDArray, grad: NDArray | None, grad_req: str) -> None:
    """Make ``array`` a leaf whose gradient goes into ``grad``."""
    if grad_req not in ("write", "add", "null"):
        raise ValueError(f"grad_req {grad_req!r} is not one of 'write', 'add', 'null'")
    array._grad, array._grad_req = grad, grad_req
    like = array._like
    floating = like.dtype.is_floating_point
    if grad_req == "null" or not (floating or array._storage is None):
        array._tape = None
        return
    # .data has a version counter of its own: MXNet allows writing a weight between forward and backward
    array._tape = like.data.requires_grad_(True) if floating else integers.leaf(like)
    array._tape.mx_leaf = array  # type: ignore[attr-defined]


_RECORDING_LAYER = "mxcompat.autograd"


def _autograd() -> Any:
    """The layer above that differentiates recordings; it is needed at the first ``backward`` only."""
    return importlib.import_module(_RECORDING_LAYER)


def _from_record(record: Any) -> NDArray:
    """The array of a file record; the stored context is information only."""
    if record.numpy_shape != is_np_shape():  # Compat: 0 and () mean different things in the two kinds of files
        was, turn = ("", "on") if record.numpy_shape else ("not ", "off")
        raise MXNetError(f"the array was {was}saved under NumPy shape semantics: turn these {turn} with mx.np_shape")
    if record.data is None:
        raise MXNetError("an array without memory (never allocated) cannot be loaded")
    data = record.data if record.data.flags.writeable and record.data.flags.owndata else np.array(record.data)
    if record.dtype == "bfloat16":
        tensor = torch.from_numpy(data.view(np.int16)).view(torch.bfloat16)
    else:
        tensor = torch.from_numpy(data)
    context = current_context()
    device = torch_device(context)
    if record.stype == "default":
        return _wrap(tensor.reshape(record.shape).to(device), context)
    structure = [torch.from_numpy(np.array(part, np.int64)).to(device) for part in record.aux]
    return _wrap_sparse(stored(record.stype, tensor.to(device), structure, record.shape), context)


def _binary(lhs: NDArray, rhs: Any, array_op: str, scalar_op: str) -> NDArray:
    if isinstance(rhs, NDArray):
        return _call(array_op, lhs, rhs)
    if isinstance(rhs, _SCALARS):
        return _call(scalar_op, lhs, scalar=rhs)
    raise TypeError(f"type {type(rhs)} not supported")


_READ_ONLY = {
    "add": "add to",
    "sub": "subtract from",
    "mul": "multiply to",
    "div": "divide from",
    "truediv": "divide from",
    "mod": "take modulo from",
}


def _check_writable(array: NDArray, name: str) -> None:
    if not array.writable:
        raise ValueError(f"trying to {_READ_ONLY[name]} a readonly NDArray")


def _arithmetic(name: str, array_op: str, scalar_op: str, reflected_op: str, torch_op: Callable) -> None:
    """Attach ``__name__``, ``__rname__`` and ``__iname__``; equal shapes and types take torch's call directly."""

    def forward(self: NDArray, other: Any) -> NDArray:
        if type(other) is NDArray and not STATE.recording:
            a, b = self._data, other._data
            if a.shape == b.shape and a.dtype is b.dtype and a.dtype.is_floating_point and a.device == b.device:
                return _wrap(torch_op(a, b), self._ctx)
        return _binary(self, other, array_op, scalar_op)

    def reflected(self: NDArray, other: Any) -> NDArray:
        if isinstance(other, NDArray):
            return _binary(other, self, array_op, scalar_op)
        return _binary(self, other, array_op, reflected_op)

    def in_place(self: NDArray, other: Any) -> NDArray:
        _check_writable(self, name)
        if isinstance(other, NDArray):
            if STATE.recording and self._tape is None and other._tape is not None:
                assign.refuse_in_place()
            return _call(array_op, self, other, out=self)
        if isinstance(other, _SCALARS):
            return _call(scalar_op, self, scalar=other, out=self)
        raise TypeError(f"type {type(other)} not supported")

    # Compat: there is no __ipow__, so that a **= 2 makes a new array
    for prefix, function in (("", forward), ("r", reflected), *((("i", in_place),) if name != "pow" else ())):
        function.__name__ = f"__{prefix}{name}__"
        function.__qualname__ = f"NDArray.{function.__name__}"
        setattr(NDArray, function.__name__, function)


_arithmetic("add", "broadcast_add", "_plus_scalar", "_plus_scalar", torch.add)
_arithmetic("sub", "broadcast_sub", "_minus_scalar", "_rminus_scalar", torch.sub)
_arithmetic("mul", "broadcast_mul", "_mul_scalar", "_mul_scalar", torch.mul)
_arithmetic("truediv", "broadcast_div", "_div_scalar", "_rdiv_scalar", torch.div)
_arithmetic("div", "broadcast_div", "_div_scalar", "_rdiv_scalar", torch.div)
_arithmetic("pow", "broadcast_power", "_power_scalar", "_rpower_scalar", torch.pow)


def _method(name: str, array_op: str, scalar_op: str) -> None:
    def method(self: NDArray, other: Any) -> NDArray:
        return _binary(self, other, array_op, scalar_op)

    method.__name__ = name
    method.__qualname__ = f"NDArray.{name}"
    setattr(NDArray, name, method)


for _name in ("greater", "greater_equal", "lesser", "lesser_equal"):
    _python_name = {"greater": "gt", "greater_equal": "ge", "lesser": "lt", "lesser_equal": "le"}[_name]
    _method(f"__{_python_name}__", f"broadcast_{_name}", f"_{_name}_scalar")
_method("__mod__", "broadcast_mod", "_mod_scalar")


def _rmod(self: NDArray, other: Any) -> NDArray:
    return (
        _binary(other, self, "broadcast_mod", "")
        if isinstance(other, NDArray)
        else _binary(self, other, "", "_rmod_scalar")
    )


def _imod(self: NDArray, other: Any) -> NDArray:
    _check_writable(self, "mod")
    if isinstance(other, NDArray):
        return _call("broadcast_mod", self, other, out=self)
    return _call("_mod_scalar", self, scalar=other, out=self)


setattr(NDArray, "__rmod__", _rmod)  # noqa: B010
setattr(NDArray, "__imod__", _imod)  # noqa: B010
install_handle(_wrap)
# A forked child has the parent's thread pool but not its threads: an operator that waited for them would hang.
os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))


def waitall() -> None:
    """Wait for all pending work (cuda queues)."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.synchronize()
