"""Random sparse arrays for tests: row_sparse and csr."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy import random as rnd

from mxcompat import ndarray as nd
from mxcompat.context import Context
from mxcompat.ndarray import NDArray
from mxcompat.test_utils.arrays import assign_each
from mxcompat.test_utils.defaults import default_context, default_dtype

__all__ = ["create_sparse_array", "create_sparse_array_zd", "rand_sparse_ndarray", "shuffle_csr_column_indices"]
_sparse: Any = nd.sparse  # its names are made at import


def rand_sparse_ndarray(
    shape: Sequence[int],
    stype: str,
    density: float | None = None,
    dtype: Any = None,
    distribution: str | None = None,
    data_init: float | None = None,
    rsp_indices: Any = None,
    modifier_func: Callable | None = None,
    shuffle_csr_indices: bool = False,
    ctx: Context | None = None,
) -> tuple[NDArray, tuple]:
    """A random array of storage type ``'row_sparse'`` or ``'csr'``, and its parts.

    ``density`` is the share of rows (row_sparse) or elements (csr) that are stored, a random one when None. Stored
    values are uniform draws from [0, 1), or ``data_init``; ``rsp_indices`` names the rows, ``modifier_func`` maps each
    value of a row_sparse array. ``distribution='powerlaw'`` (csr) stores twice as many elements in each row as in the
    one before, beginning with 2, as far as ``density`` goes, and one element in every row that is left.

    Returns ``(array, (values, rows))`` with NumPy parts for row_sparse, ``(array, (indptr, indices, data))`` with
    NDArray parts for csr. ``AssertionError`` for another storage type or distribution.
    """
    ctx = ctx or default_context()
    density = rnd.rand() if density is None else density
    dtype = default_dtype() if dtype is None else dtype
    distribution = distribution or "uniform"
    if stype == "row_sparse":
        if distribution != "uniform":
            raise AssertionError(f"Distribution {distribution} not supported for row_sparse")
        return _rand_row_sparse(shape, density, dtype, data_init, rsp_indices, modifier_func, ctx)
    if stype != "csr":
        raise AssertionError(f"unknown storage type {stype!r}, expected 'row_sparse' or 'csr'")
    if len(shape) != 2:
        raise AssertionError(f"a csr array has two axes, found shape {tuple(shape)}")
    if distribution == "uniform":
        csr = _uniform_csr(shape, density, dtype, data_init, shuffle_csr_indices, ctx)
    elif distribution == "powerlaw":
        csr = nd.array(_powerlaw(shape, density, dtype), ctx=ctx).tostype("csr")
    else:
        raise AssertionError(f"Distribution not supported: {distribution}")
    return csr, (csr.indptr, csr.indices, csr.data)  # type: ignore[attr-defined]


def _rand_row_sparse(
    shape: Sequence[int], density: float, dtype: Any, data_init: Any, rows: Any, modifier: Any, ctx: Context
) -> tuple[NDArray, tuple]:
    rows = np.flatnonzero(rnd.rand(shape[0]) < density) if rows is None else np.asarray(rows)
    if len(rows) > shape[0]:
        raise AssertionError(f"rsp_indices names {len(rows)} rows of {shape[0]}")
    if not len(rows):
        empty = nd.zeros(tuple(shape), stype="row_sparse", dtype=dtype, ctx=ctx)
        return empty, (np.array([], dtype=dtype), np.array([]))
    values = rnd.rand(len(rows), *shape[1:]).astype(dtype)
    if data_init is not None:
        values.fill(data_init)
    if modifier is not None:
        values = assign_each(values, modifier)
    array = _sparse.row_sparse_array((values, rows), shape=tuple(shape), dtype=dtype, ctx=ctx)
    return array, (values, rows)


def _check_density(shape: Sequence[int], density: float) -> None:
    if not 0 <= density <= 1:
        raise ValueError(f"density has to be between 0 and 1, found {density}")
    if shape[0] <= 0 or shape[1] <= 0:
        raise ValueError(f"num_rows or num_cols should be greater than 0, found shape {tuple(shape)}")


class _Rows:
    """The parts of a csr array in NumPy."""

    def __init__(self, data: np.ndarray, indices: np.ndarray, indptr: np.ndarray):
        self.data, self.indices, self.indptr = data, indices, indptr


def _uniform_csr(
    shape: Sequence[int], density: float, dtype: Any, data_init: Any, shuffle: bool, ctx: Context
) -> NDArray:
    _check_density(shape, density)
    cells = shape[0] * shape[1]
    count = round(density * cells)
    draw = rnd.default_rng(rnd.randint(2**31))  # its choice does not list every cell
    places = np.sort(draw.choice(cells, count, replace=False, shuffle=False))
    if np.dtype(dtype).kind in "iu":  # whole range of the type, as scipy.sparse.rand draws integers
        limits = np.iinfo(dtype)
        data = draw.integers(limits.min, limits.max, size=count, dtype=dtype)
    else:
        data = rnd.rand(count).astype(dtype)
    if data_init is not None:
        data.fill(data_init)
    per_row = np.bincount(places // shape[1], minlength=shape[0])
    csr = _Rows(data, places % shape[1], np.concatenate([[0], np.cumsum(per_row)]))
    if shuffle:
        shuffle_csr_column_indices(csr)
    return _sparse.csr_matrix((csr.data, csr.indices, csr.indptr), shape=tuple(shape), dtype=dtype, ctx=ctx)


def shuffle_csr_column_indices(csr: Any) -> None:
    """Shuffle the column numbers within each row, in place; ``csr`` has ``indptr`` and ``indices`` (NumPy)."""
    for begin, end in zip(csr.indptr[:-1], csr.indptr[1:]):
        row = np.array(csr.indices[begin:end])
        rnd.shuffle(row)
        csr.indices[begin:end] = row


def _powerlaw(shape: Sequence[int], density: float, dtype: Any) -> np.ndarray:
    """A dense array with one element in each row, then 2, 4, 8... in the rows from the top while the count lasts."""
    _check_density(shape, density)
    rows, columns = shape
    left = int(rows * columns * density)
    if left < 2 * rows:
        raise ValueError(
            f"not supported for this density: {density} for this shape {(rows, columns)}: "
            "num_rows * num_cols * density must be at least 2 * num_rows"
        )
    dense = np.zeros((rows, columns), dtype=dtype)
    dense[:, 0] = 1 + rnd.uniform(0.001, 2, size=rows)
    left -= rows
    width = 2
    for row in range(rows):
        more = min(min(width, columns) - 1, left)
        dense[row, 1 : 1 + more] = 1 + rnd.uniform(0.001, 2, size=more)
        left -= more
        width *= 2
    if left > 0:
        raise ValueError(f"not supported for this density: {density} for this shape {(rows, columns)}")
    return dense


def create_sparse_array(
    shape: Sequence[int],
    stype: str,
    data_init: float | None = None,
    rsp_indices: Any = None,
    dtype: Any = None,
    modifier_func: Callable | None = None,
    density: float = 0.5,
    shuffle_csr_indices: bool = False,
) -> NDArray:
    """The array of ``rand_sparse_ndarray``, with the rows of ``rsp_indices`` sorted."""
    if stype not in ("row_sparse", "csr"):
        raise AssertionError(f"Unknown storage type: {stype}")
    rows = None if rsp_indices is None else np.sort(np.asarray(rsp_indices))
    return rand_sparse_ndarray(
        shape,
        stype,
        density=density,
        data_init=data_init,
        rsp_indices=rows if stype == "row_sparse" else None,
        dtype=dtype,
        modifier_func=modifier_func,
        shuffle_csr_indices=shuffle_csr_indices,
    )[0]


def create_sparse_array_zd(
    shape: Sequence[int],
    stype: str,
    density: float,
    data_init: float | None = None,
    rsp_indices: Any = None,
    dtype: Any = None,
    modifier_func: Callable | None = None,
    shuffle_csr_indices: bool = False,
) -> NDArray:
    """``create_sparse_array``, but a row_sparse array stores the rows of ``rsp_indices`` alone, whatever ``density``."""
    if stype == "row_sparse":
        density = 0.0
    return create_sparse_array(
        shape,
        stype,
        data_init=data_init,
        rsp_indices=rsp_indices,
        dtype=dtype,
        modifier_func=modifier_func,
        density=density,
        shuffle_csr_indices=shuffle_csr_indices,
    )
