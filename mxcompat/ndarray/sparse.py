"""``mx.nd.sparse``: sparse arrays, how to make them, and the operators that know them (public path:
``mxnet.ndarray.sparse``)."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import torch

from mxcompat.base import MXNetError, integer_types, numeric_types
from mxcompat.context import Context, current_context
from mxcompat.ndarray import creation
from mxcompat.ndarray.ndarray import NDArray
from mxcompat.ndarray.sparse_array import (
    BaseSparseNDArray,
    CSRNDArray,
    RowSparseNDArray,
    _wrap_storage,
    arithmetic,
    is_scipy_csr,
    sparse_copy,
    zeros_of,
)
from mxcompat.ops.dtypes import torch_dtype
from mxcompat.ops.storage import Csr, RowSparse

__all__ = ["BaseSparseNDArray", "CSRNDArray", "RowSparseNDArray", "add", "csr_matrix", "divide", "multiply"]
__all__ += ["row_sparse_array", "subtract"]


def _dtype_of(source: Any, dtype: Any) -> torch.dtype:
    """The type asked for, else the source's where it has one, else float32."""
    if dtype is None and isinstance(source, NDArray):
        return source._like.dtype
    if dtype is None:
        dtype = source.dtype if isinstance(source, np.ndarray) or is_scipy_csr(source) else "float32"
    return torch_dtype(dtype)


def _tensor(source: Any, context: Context, dtype: Any) -> torch.Tensor:
    """A new tensor from an array or anything like one; ``TypeError`` otherwise."""
    if not isinstance(source, (NDArray, np.ndarray)):
        try:
            source = np.array(source)
        except (TypeError, ValueError):
            raise TypeError("values must be array like object") from None
    return creation.array(source, context, dtype)._data


def _numbers(source: Any, context: Context) -> torch.Tensor:
    """Column, row or place numbers as int64 (numbers of other types are cut)."""
    return _tensor(source, context, "int64")


def _agree(given: Any, shape: Any) -> None:
    if given and shape and tuple(given) != tuple(shape):
        raise ValueError(f"Shape mismatch detected. {tuple(given)} v.s. {tuple(shape)}")


def csr_matrix(arg1: Any, shape: Any = None, ctx: Context | None = None, dtype: Any = None) -> CSRNDArray:
    """A csr matrix.

    ``arg1`` is ``(data, indices, indptr)``, ``(data, (rows, columns))`` (needs scipy; repeated places are summed), a shape
    ``(M, N)`` for zeros, a csr array (MXNet's or scipy's), or anything dense with two axes. ``shape`` is found from the
    numbers where it is not given. ``dtype`` is by default that of an array among the sources, else float32.

    ``ValueError`` for sources of the wrong kind or number of axes, ``MXNetError`` for parts of lengths that do not fit.
    Whether numbers are in range and rise is found by ``check_format``, or when an operator reads the array.
    """
    context = ctx or current_context()
    if isinstance(arg1, tuple):
        if len(arg1) == 2 and isinstance(arg1[1], tuple) and len(arg1[1]) == 2:
            return _csr_from_places(arg1[0], *arg1[1], shape, context, dtype)
        if len(arg1) == 2:
            _agree(arg1, shape)
            return empty("csr", arg1, ctx, dtype)
        if len(arg1) == 3:
            return _csr_from_parts(*arg1, shape, context, dtype)
        raise ValueError(f"Unexpected length of input tuple: {len(arg1)}")
    if isinstance(arg1, RowSparseNDArray):
        raise ValueError("Unexpected input type: RowSparseNDArray")
    if isinstance(arg1, CSRNDArray) or is_scipy_csr(arg1):
        _agree(arg1.shape, shape)
        return array(arg1, ctx, dtype)
    dense = creation.array(arg1, context, _dtype_of(arg1, dtype))
    _agree(dense.shape, shape)
    return dense.tostype("csr")  # type: ignore[return-value]


def _csr_from_places(data: Any, rows: Any, columns: Any, shape: Any, context: Context, dtype: Any) -> CSRNDArray:
    data, rows, columns = (x.asnumpy() if isinstance(x, NDArray) else x for x in (data, rows, columns))
    values, rows, columns = np.asarray(data), *(np.asarray(x).astype(np.int64) for x in (rows, columns))
    if not values.shape == rows.shape == columns.shape or values.ndim != 1:
        raise ValueError(f"data, rows and columns have shapes {values.shape}, {rows.shape}, {columns.shape}, not (N,) all")
    if shape is None:
        if not values.size:
            raise ValueError("cannot infer the shape of a csr matrix without elements")
        shape = (int(rows.max()) + 1, int(columns.max()) + 1)
    for places, size, axis in ((rows, shape[0], "row"), (columns, shape[1], "column")):
        if places.size and not 0 <= places.min() <= places.max() < size:
            raise ValueError(f"{axis} numbers run from {places.min()} to {places.max()}, expected 0 to {size - 1}")
    cells, order = np.unique(rows * shape[1] + columns, return_inverse=True)
    total = np.zeros(len(cells), values.dtype)
    np.add.at(total, order, values)  # elements of one place are added up
    pointers = np.zeros(shape[0] + 1, np.int64)
    np.cumsum(np.bincount(cells // shape[1], minlength=shape[0]), out=pointers[1:])
    return _csr_from_parts(total, cells % shape[1], pointers, shape, context, dtype)


def _csr_from_parts(data: Any, indices: Any, indptr: Any, shape: Any, context: Context, dtype: Any) -> CSRNDArray:
    values = _tensor(data, context, _dtype_of(data, dtype))
    columns, pointers = _numbers(indices, context), _numbers(indptr, context)
    if values.ndim != 1 or columns.ndim != 1 or pointers.ndim != 1 or not pointers.numel():
        found = [tuple(x.shape) for x in (values, columns, pointers)]
        raise ValueError(f"invalid shape: data, indices and indptr have {found}, expected one axis each")
    if shape is None:
        if not columns.numel():
            raise ValueError("invalid shape: there are no indices to find it from")
        shape = (pointers.numel() - 1, int(columns.max()) + 1)
    if len(shape) != 2:
        raise ValueError(f"invalid shape: {shape}, a csr array has two dimensions")
    if values.numel() != columns.numel():
        raise MXNetError(
            f"csr_matrix: data has {values.numel()} elements and indices {columns.numel()}, expected as many"
        )
    return _wrap_storage(Csr(values, columns, pointers, shape, checked=False), context)


def row_sparse_array(arg1: Any, shape: Any = None, ctx: Context | None = None, dtype: Any = None) -> RowSparseNDArray:
    """A row_sparse array.

    ``arg1`` is ``(data, indices)`` with stored rows (k, ...) and their numbers (k,), a shape for zeros, a row_sparse array,
    or anything dense. ``shape`` is found from the numbers where it is not given. ``dtype`` is by default that of an array
    among the sources, else float32.

    ``ValueError`` for sources of the wrong kind or number of axes, ``MXNetError`` for parts whose shapes do not fit.
    Whether numbers are in range and rise is found by ``check_format``, or when an operator reads the array.
    """
    context = ctx or current_context()
    if isinstance(arg1, tuple):
        if len(arg1) < 2:
            raise ValueError(f"Unexpected length of input tuple: {len(arg1)}")
        if len(arg1) > 2 or all(isinstance(dim, integer_types) for dim in arg1):
            _agree(arg1, shape)
            return empty("row_sparse", arg1, ctx, dtype)
        return _rows_from_parts(arg1[0], arg1[1], shape, context, dtype)
    if isinstance(arg1, CSRNDArray):
        raise ValueError("Unexpected input type: CSRNDArray")
    if isinstance(arg1, RowSparseNDArray):
        _agree(arg1.shape, shape)
        return array(arg1, ctx, dtype)
    dense = creation.array(arg1, context, _dtype_of(arg1, dtype))
    _agree(dense.shape, shape)
    return dense.tostype("row_sparse")  # type: ignore[return-value]


def _rows_from_parts(data: Any, indices: Any, shape: Any, context: Context, dtype: Any) -> RowSparseNDArray:
    values = _tensor(data, context, _dtype_of(data, dtype))
    rows = _numbers(indices, context)
    if rows.ndim != 1:
        raise ValueError(f"invalid shape: indices have {tuple(rows.shape)}, expected one axis")
    if shape is None:
        if not rows.numel():
            raise ValueError("invalid shape: there are no indices to find it from")
        shape = (int(rows[-1]) + 1, *values.shape[1:])
    if values.ndim != len(shape) or 0 in shape[1:]:
        raise ValueError(f"invalid shape: data {tuple(values.shape)} for an array of shape {tuple(shape)}")
    expected = (rows.numel(), *shape[1:])
    if not rows.numel() and not values.numel():
        values = values.reshape(expected)
    if tuple(values.shape) != expected:
        raise MXNetError(f"row_sparse_array: data has shape {tuple(values.shape)}, expected {expected}")
    return _wrap_storage(RowSparse(values, rows, shape, checked=False), context)


def zeros(stype: str, shape: Any, ctx: Context | None = None, dtype: Any = None, **kwargs: Any) -> Any:
    """An array of zeros in a storage type; ``ValueError`` for an unknown one, ``MXNetError`` for csr without two axes."""
    if stype == "default":
        return creation.zeros(shape, ctx=ctx, dtype=dtype, **kwargs)
    result = zeros_of(stype, shape, ctx, dtype)
    out = kwargs.get("out")
    return result if out is None else result.copyto(out)


def empty(stype: str, shape: Any, ctx: Context | None = None, dtype: Any = None) -> Any:
    """A sparse array that stores nothing."""
    if stype not in ("csr", "row_sparse"):
        raise Exception(f"unknown stype : {stype}")
    return zeros_of(stype, (shape,) if isinstance(shape, int) else shape, ctx, dtype)


def array(source_array: Any, ctx: Context | None = None, dtype: Any = None) -> Any:
    """A copy of a sparse array, or of scipy's csr matrix (put in order).

    The type is by default the source's. Dense sources are refused: ``AssertionError`` for NDArray (``tostype`` converts
    these), ``ValueError`` otherwise.
    """
    if isinstance(source_array, NDArray) and not isinstance(source_array, BaseSparseNDArray):
        raise AssertionError("Please use `tostype` to create RowSparseNDArray or CSRNDArray from an NDArray")
    if isinstance(source_array, BaseSparseNDArray) or is_scipy_csr(source_array):
        return sparse_copy(source_array, ctx or current_context(), dtype)
    if isinstance(source_array, (np.ndarray, np.generic)):
        raise ValueError(f"Please use mx.nd.array to create an NDArray with source_array of type {type(source_array)}")
    raise ValueError(f"Unexpected source_array type: {type(source_array)}")


_OF_NUMBERS = {"add": operator.add, "sub": operator.sub, "mul": operator.mul, "div": operator.truediv}


def _two(name: str, lhs: Any, rhs: Any) -> Any:
    if isinstance(lhs, numeric_types) and isinstance(rhs, numeric_types):
        return _OF_NUMBERS[name](lhs, rhs)
    return arithmetic(name, lhs, rhs)


def add(lhs: Any, rhs: Any) -> Any:
    """The sum of two arrays (broadcast), or of an array and a number."""
    return _two("add", lhs, rhs)


def subtract(lhs: Any, rhs: Any) -> Any:
    """The difference of two arrays (broadcast), or of an array and a number.

    Compat: a number on the left is subtracted from the array.
    """
    return _two("sub", lhs, rhs)


def multiply(lhs: Any, rhs: Any) -> Any:
    """The product of two arrays (broadcast), or of an array and a number."""
    return _two("mul", lhs, rhs)


def divide(lhs: Any, rhs: Any) -> Any:
    """The quotient of two arrays (broadcast), or of an array and a number.

    Compat: with a number on the left the array is divided by the number.
    """
    return _two("div", lhs, rhs)
