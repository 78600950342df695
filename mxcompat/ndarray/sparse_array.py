"""The classes of sparse arrays; users find them in ``mx.nd.sparse`` (public path: ``mxnet.ndarray.sparse``).

A sparse array holds a ``Storage`` in ``_storage``. ``_data`` is a dense copy: code that only reads may use it, code that
writes goes through ``_write`` or replaces ``_storage``.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch

from mxcompat.base import MXNetError, NotSupportedForSparseNDArray, numeric_types
from mxcompat.context import Context, current_context, torch_device
from mxcompat.ndarray.assign import element
from mxcompat.ndarray.dispatch import invoke
from mxcompat.ndarray.mixed_dispatch import install_sparse_handle
from mxcompat.ndarray.ndarray import NDArray, _call, _wrap, install_sparse
from mxcompat.ops import registry
from mxcompat.ops.dtypes import NUMPY_BY_TORCH, torch_dtype
from mxcompat.ops.mixed import dense_of, gradient_of, proxy
from mxcompat.ops.storage import Csr, RowSparse, Storage, empty, from_dense, sum_of
from mxcompat.scope import STATE

__all__ = ["BaseSparseNDArray", "CSRNDArray", "RowSparseNDArray", "zeros_of"]

_PUBLIC_MODULE = "mxcompat.ndarray.sparse"


class BaseSparseNDArray(NDArray):
    """An array of which only some elements are stored; see ``CSRNDArray`` and ``RowSparseNDArray``."""

    __slots__ = ("_storage",)
    __module__ = _PUBLIC_MODULE
    _storage: Any
    _stype = ""

    def __init__(self, handle: Any, writable: bool = True):
        self._ctx = handle._ctx if isinstance(handle, NDArray) else current_context()
        self._tape = self._grad = self._grad_req = None
        same = isinstance(handle, BaseSparseNDArray) and handle._stype == self._stype
        self._storage = handle._storage if same else empty(self._stype, (0, 0), torch.float32, torch.device("cpu"))

    # -- what it is ---------------------------------------------------------------------------------------------

    @property
    def _data(self) -> torch.Tensor:  # type: ignore[override]
        return self._storage.dense()

    @_data.setter
    def _data(self, value: torch.Tensor) -> None:
        self._storage = from_dense(value, self._stype)

    @property
    def _like(self) -> torch.Tensor:
        return proxy(self._storage)

    def _write(self, value: torch.Tensor) -> None:
        like = self._storage
        value = value.detach().to(like.device, like.dtype).expand(like.shape)
        self._storage = from_dense(value, self._stype)

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes."""
        return self._storage.shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self._storage.shape)

    @property
    def size(self) -> int:
        """Raises ``NotImplementedError``: stored elements or all, that is the question."""
        raise NotImplementedError(
            "the size of a sparse array is ambiguous: shape has all elements, data the stored ones"
        )

    @property
    def dtype(self) -> Any:
        """Element type as a numpy scalar type (bfloat16, which numpy lacks, as text)."""
        return NUMPY_BY_TORCH.get(self._storage.dtype, "bfloat16")

    @property
    def stype(self) -> str:
        """Storage type."""
        return self._stype

    @property
    def data(self) -> NDArray:
        """A copy of what is stored: elements of a csr array (k,), rows of a row_sparse one (k, ...)."""
        return _wrap(self._storage.values.clone(), self._ctx)

    @data.setter
    def data(self, data: Any) -> None:
        raise NotImplementedError(f"{type(self).__name__}: data cannot be set; assign a whole array with [:]")

    @property
    def indices(self) -> NDArray:
        """A copy of the numbers that say where the stored elements are: columns (csr) or rows, int64."""
        return _wrap(self._storage.indices.clone(), self._ctx)

    @indices.setter
    def indices(self, indices: Any) -> None:
        raise NotImplementedError(f"{type(self).__name__}: indices cannot be set; assign a whole array with [:]")

    @property
    def _num_aux(self) -> int:
        return len(self._storage.tensors) - 1

    @property
    def _aux_types(self) -> list:
        return [self._aux_type(i) for i in range(self._num_aux)]

    def _aux_type(self, i: int) -> Any:
        return NUMPY_BY_TORCH[self._storage.tensors[1 + i].dtype]

    def _aux_data(self, i: int) -> NDArray:
        return _wrap(self._storage.tensors[1 + i].clone(), self._ctx)

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"\n<{type(self).__name__} {'x'.join(map(str, self.shape))} @{self._ctx}>"

    def __bool__(self) -> bool:
        if int(np.prod(self.shape)) == 1:
            return bool(self.asnumpy().reshape(-1)[0])
        raise ValueError("The truth value of an NDArray with multiple elements is ambiguous.")

    def __reduce__(self) -> tuple:
        return type(self), (None,), self.__getstate__()

    def wait_to_read(self) -> None:
        """Wait until the elements can be read."""
        if self._storage.device.type == "cuda":
            torch.cuda.synchronize(self._storage.device)

    wait_to_write = wait_to_read

    def check_format(self, full_check: bool = True) -> None:
        """``MXNetError`` where the structure is none of this storage type: numbers out of range or not rising.

        ``full_check`` False leaves out whether numbers rise.
        """
        storage = self._storage
        problem = storage.problem() if full_check else storage._out_of_range()
        if problem:
            raise MXNetError(f"Check the validity of {type(self).__name__} of shape {self.shape}: {problem}")

    # -- copies -------------------------------------------------------------------------------------------------

    def _recorded_copy(self, context: Context) -> NDArray:
        storage = self._storage.to(torch_device(context), self._storage.dtype)
        result = _wrap_storage(storage.clone() if storage is self._storage else storage, context)
        if STATE.recording and self._tape is not None:
            result._tape = self._tape
        return result

    def detach(self) -> NDArray:
        """A handle on the same storage that is not part of any recorded computation."""
        return _wrap_storage(self._storage, self._ctx)

    def astype(self, dtype: Any, copy: bool = True) -> NDArray:
        """A copy with another element type (the array itself when nothing changes and ``copy`` is False)."""
        wanted, storage = torch_dtype(dtype), self._storage
        if wanted is storage.dtype:
            return _wrap_storage(storage.clone(), self._ctx) if copy else self
        return _wrap_storage(storage.to(storage.device, wanted), self._ctx)

    def copyto(self, other: Any) -> Any:
        """Copy into ``other``, which is dense or of the same storage type, or onto a context.

        Returns the target, False for the array itself; ``TypeError`` for another storage type, ``MXNetError`` for
        another shape.
        """
        if isinstance(other, Context):
            return self._recorded_copy(other)
        if not isinstance(other, NDArray):
            raise TypeError(f"copyto does not support type {type(other)}")
        if other is self:
            warnings.warn("You are attempting to copy an array to itself", RuntimeWarning, stacklevel=2)
            return False
        if other.stype not in ("default", self._stype):
            raise TypeError(f"copyto does not support destination NDArray stype {other.stype}")
        if other.shape != self.shape:
            raise MXNetError(f"copyto: expected target shape {self.shape}, got {other.shape}")
        if isinstance(other, BaseSparseNDArray):
            target = other._storage
            storage = self._storage.to(target.device, target.dtype)
            other._storage = storage.clone() if storage is self._storage else storage
        else:
            other._write(self._data)
        return other

    def tostype(self, stype: str) -> NDArray:
        """A copy in another storage type; ``ValueError`` between csr and row_sparse, which go by way of ``default``."""
        if stype in ("csr", "row_sparse") and stype != self._stype:
            raise ValueError(f"cast_storage from {self._stype} to {stype} is not supported")
        return _call("cast_storage", self, stype=stype)

    def reshape(self, *shape: Any, **kwargs: Any) -> NDArray:
        """Raises ``NotSupportedForSparseNDArray``."""
        raise NotSupportedForSparseNDArray(self.reshape, None, shape)

    def _at(self, idx: Any) -> NDArray:
        raise NotSupportedForSparseNDArray(self._at, "[idx]", idx)

    def _slice(self, start: Any, stop: Any) -> NDArray:
        raise NotSupportedForSparseNDArray(self._slice, None, start, stop)

    def __setitem__(self, key: Any, value: Any) -> None:
        if not isinstance(key, slice):
            raise TypeError(f"{type(self).__name__} only supports [:] for assignment")
        if key != slice(None):
            raise ValueError(f"Assignment with slice for {type(self).__name__} is not implemented yet.")
        if isinstance(value, NDArray):
            if value is not self:
                value.copyto(self)
        elif isinstance(value, numeric_types):
            self._fill(value)
        elif isinstance(value, (np.ndarray, np.generic)):
            warnings.warn(
                f"Assigning non-NDArray object to {type(self).__name__} is not efficient", RuntimeWarning, stacklevel=2
            )
            if value.shape != self.shape:
                raise MXNetError(f"{type(self).__name__}: expected a value of shape {self.shape}, got {value.shape}")
            self._write(torch.from_numpy(np.ascontiguousarray(value)))
        else:
            raise TypeError(f"type {type(value)} not supported")

    def _fill(self, number: Any) -> None:
        raise ValueError(f"Assigning numeric types to {type(self).__name__} is not implemented yet.")

    # -- arithmetic ---------------------------------------------------------------------------------------------

    def __add__(self, other: Any) -> NDArray:
        return arithmetic("add", self, other)

    def __sub__(self, other: Any) -> NDArray:
        return arithmetic("sub", self, other)

    def __mul__(self, other: Any) -> NDArray:
        return arithmetic("mul", self, other)

    def __div__(self, other: Any) -> NDArray:
        return arithmetic("div", self, other)

    def __iadd__(self, other: Any) -> NDArray:
        return self._take(self + other)

    def __isub__(self, other: Any) -> NDArray:
        return self._take(self - other)

    def __imul__(self, other: Any) -> NDArray:
        return self._take(self * other)

    def __itruediv__(self, other: Any) -> NDArray:
        return self._take(self / other)

    __idiv__ = __itruediv__

    def _take(self, result: NDArray) -> NDArray:
        result.copyto(self)
        return self


class CSRNDArray(BaseSparseNDArray):
    """A matrix whose elements are stored row by row: ``data`` (k,), their columns ``indices`` (k,), and ``indptr``.

    Row r has the elements ``indptr[r]`` to ``indptr[r + 1]``. Columns of one row should rise and not repeat.
    """

    __slots__ = ()
    __module__ = _PUBLIC_MODULE
    _storage: Csr
    _stype = "csr"

    @property
    def indptr(self) -> NDArray:
        """A copy of where each row starts among the stored elements, and where the last ends: (rows + 1,), int64."""
        return _wrap(self._storage.indptr.clone(), self._ctx)

    @indptr.setter
    def indptr(self, indptr: Any) -> None:
        raise NotImplementedError("CSRNDArray: indptr cannot be set; assign a whole array with [:]")

    def __getitem__(self, key: Any) -> NDArray:
        """Rows as a csr matrix: an integer (one row), or a slice without step."""
        if isinstance(key, (int, np.integer)) and not isinstance(key, bool):
            if not -self.shape[0] <= key < self.shape[0]:
                raise IndexError(f"index {key} is out of bounds for axis 0 with size {self.shape[0]}")
            begin = key % self.shape[0]
            return _call("slice", self, begin=(begin,), end=(begin + 1,))
        if isinstance(key, slice):
            if key.step is not None:
                raise ValueError("CSRNDArray only supports continuous slicing on axis 0")
            if key.start is None and key.stop is None:
                return self
            # Compat: a stop of 0 means the end
            return _call("slice", self, begin=(key.start or 0,), end=(key.stop or self.shape[0],))
        if isinstance(key, tuple):
            raise ValueError("Multi-dimension indexing is not supported")
        raise ValueError(f"Undefined behaviour for {key}")

    def asscipy(self) -> Any:
        """A copy as ``scipy.sparse.csr_matrix``; ``ImportError`` without scipy."""
        scipy_sparse = import_scipy()
        parts = (self.data.asnumpy(), self.indices.asnumpy(), self.indptr.asnumpy())
        return scipy_sparse.csr_matrix(parts, shape=self.shape, dtype=self.dtype)


class RowSparseNDArray(BaseSparseNDArray):
    """An array of which some rows (slices along the first axis) are stored: ``data`` (k, ...), row numbers ``indices``
    (k,) that rise. Gradients of embeddings are such arrays."""

    __slots__ = ()
    __module__ = _PUBLIC_MODULE
    _storage: RowSparse
    _stype = "row_sparse"

    def __getitem__(self, key: Any) -> NDArray:
        """``[:]`` is the array itself; there is no other part."""
        if isinstance(key, slice):
            if key != slice(None):
                raise Exception("RowSparseNDArray only supports [:] for __getitem__")
            return self
        if isinstance(key, int):
            raise Exception("__getitem__ with int key is not implemented for RowSparseNDArray yet")
        if isinstance(key, tuple):
            raise ValueError("Multi-dimension indexing is not supported")
        raise ValueError(f"Undefined behaviour for {key}")

    def _fill(self, number: Any) -> None:
        like = self._storage
        self._storage = RowSparse.full(
            torch.full(like.shape, element(number, like.dtype), dtype=like.dtype, device=like.device)
        )

    def retain(self, *args: Any, **kwargs: Any) -> NDArray:
        """The array with those of its rows only that ``indices`` (k,) name (``retain(indices, out=None)``)."""
        return self._retain(*args, **kwargs)

    def _retain(self, indices: NDArray, out: Any = None) -> NDArray:
        return invoke(registry.get("_sparse_retain"), (self, indices), {}, out)


#: operator of two arrays of one shape, of other shapes, of array and number
_ARITHMETIC = {
    "add": ("elemwise_add", "broadcast_add", "_plus_scalar"),
    "sub": ("elemwise_sub", "broadcast_sub", "_minus_scalar"),
    "mul": ("elemwise_mul", "broadcast_mul", "_mul_scalar"),
    "div": ("elemwise_div", "broadcast_div", "_div_scalar"),
}


def arithmetic(name: str, lhs: Any, rhs: Any) -> Any:
    """Arithmetic that keeps storage where it can: of two arrays, or of an array and a number on either side.

    Compat: a number on the left is taken as one on the right, also in differences and quotients.
    """
    same, broadcast, scalar = _ARITHMETIC[name]
    if isinstance(lhs, NDArray) and isinstance(rhs, NDArray):
        return _call(same if lhs.shape == rhs.shape else broadcast, lhs, rhs)
    if isinstance(rhs, numeric_types) and isinstance(lhs, NDArray):
        return _call(scalar, lhs, scalar=rhs)
    if isinstance(lhs, numeric_types) and isinstance(rhs, NDArray):
        return _call(scalar, rhs, scalar=lhs)
    raise TypeError(f"type {type(lhs if isinstance(rhs, NDArray) else rhs)} not supported")


def import_scipy() -> Any:
    """``scipy.sparse``; ``ImportError`` naming what is missing."""
    try:
        import scipy.sparse
    except ImportError:
        raise ImportError("scipy could not be imported. Please make sure that the scipy is installed.") from None
    return scipy.sparse


_CLASSES: dict[str, type[BaseSparseNDArray]] = {"csr": CSRNDArray, "row_sparse": RowSparseNDArray}


def _wrap_storage(storage: Storage, context: Context) -> Any:
    """A handle on ``storage`` itself (no copy)."""
    handle = _CLASSES[storage.stype].__new__(_CLASSES[storage.stype])
    handle._storage, handle._ctx = storage, context
    handle._tape = handle._grad = handle._grad_req = None
    return handle


def zeros_of(stype: str, shape: Any, context: Context | None, dtype: Any) -> Any:
    """A sparse array that stores nothing; ``ValueError`` for an unknown storage type."""
    if stype not in _CLASSES:
        raise ValueError(f"unknown storage type{stype}")
    context = context or current_context()
    shape = tuple(int(dim) for dim in shape)
    return _wrap_storage(empty(stype, shape, torch_dtype(dtype or "float32"), torch_device(context)), context)


def is_scipy_csr(source: Any) -> bool:
    """Whether ``source`` is a csr matrix of scipy (which is not imported for the question)."""
    return type(source).__module__.startswith("scipy.") and getattr(source, "format", "") == "csr"


def sparse_copy(source: Any, context: Context, dtype: Any = None) -> Any:
    """A sparse array with the content of one, or of scipy's csr matrix, which is put in order first."""
    if isinstance(source, BaseSparseNDArray):
        old = source._storage
        storage = old.to(torch_device(context), torch_dtype(dtype) if dtype is not None else old.dtype)
        return _wrap_storage(storage.clone() if storage is old else storage, context)
    canonical = source.sorted_indices()
    canonical.sum_duplicates()
    wanted, device = torch_dtype(dtype if dtype is not None else canonical.dtype), torch_device(context)
    indices, pointers = (torch.from_numpy(x.astype(np.int64)) for x in (canonical.indices, canonical.indptr))
    storage = Csr(torch.from_numpy(np.array(canonical.data)), indices, pointers, canonical.shape)
    return _wrap_storage(storage.to(device, wanted), context)


# -- gradients ------------------------------------------------------------------------------------------------------


def store_gradient(target: NDArray, gradient: torch.Tensor, adds: bool) -> None:
    """Write (or add) a gradient as torch carries it into an array of any storage type."""
    if target._storage is None:
        if gradient.layout is torch.strided:
            target._data.add_(gradient.to(target._data.dtype)) if adds else target._data.copy_(gradient)
            return
        rows = gradient_of(gradient)
        if not adds:
            target._data.zero_()
        target._data.index_add_(0, rows.indices, rows.values)
        return
    found = gradient_of(gradient)
    if adds and isinstance(found, RowSparse) and isinstance(target._storage, RowSparse):
        target._storage = sum_of([target._storage, found])
        return
    if adds:
        found = target._storage.dense() + dense_of(found)
    same = isinstance(found, RowSparse) and isinstance(target._storage, RowSparse)
    target._storage = found if same else from_dense(dense_of(found), target.stype)


def gradient_array(gradient: torch.Tensor, context: Context) -> NDArray:
    """A new array with a gradient as torch carries it: row_sparse where it has some rows only."""
    found = gradient_of(gradient)
    if isinstance(found, RowSparse):
        return _wrap_storage(found, context)
    return _wrap(found.clone(memory_format=torch.contiguous_format), context)


install_sparse(_wrap_storage)
install_sparse_handle(_wrap_storage)
