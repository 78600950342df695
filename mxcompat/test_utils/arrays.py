"""Random shapes, arrays and matrices for tests, dense and sparse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy import random as rnd

from mxcompat import ndarray as nd
from mxcompat.context import Context
from mxcompat.ndarray import NDArray
from mxcompat.test_utils.defaults import default_context, default_dtype

__all__ = [
    "assign_each",
    "assign_each2",
    "collapse_sum_like",
    "create_2d_tensor",
    "create_vector",
    "get_identity_mat",
    "get_identity_mat_batch",
    "new_matrix_with_real_eigvals_2d",
    "new_matrix_with_real_eigvals_nd",
    "new_orthonormal_matrix_2d",
    "new_sym_matrix_with_real_eigvals_2d",
    "new_sym_matrix_with_real_eigvals_nd",
    "np_reduce",
    "rand_coord_2d",
    "rand_ndarray",
    "rand_shape_2d",
    "rand_shape_3d",
    "rand_shape_nd",
    "random_arrays",
    "random_sample",
    "random_uniform_arrays",
]


def random_arrays(*shapes: tuple[int, ...]) -> Any:
    """A float32 NumPy array of normal draws for each shape; the array itself when there is one."""
    arrays: list[np.ndarray] = [np.asarray(rnd.randn(*shape), dtype=default_dtype()) for shape in shapes]
    return arrays[0] if len(arrays) == 1 else arrays


def random_uniform_arrays(*shapes: tuple[int, ...], **kwargs: Any) -> list[np.ndarray]:
    """A NumPy array of uniform draws from [``low``, ``high``) (default [0, 1)) of ``dtype`` for each shape."""
    low, high = kwargs.pop("low", 0.0), kwargs.pop("high", 1.0)
    dtype = kwargs.pop("dtype", default_dtype())
    if kwargs:
        raise TypeError(f"Got unexpected argument/s : {sorted(kwargs)}")
    return [np.asarray(rnd.uniform(low, high, size=shape)).astype(dtype) for shape in shapes]


def random_sample(population: Sequence, k: int) -> Sequence:
    """``k`` elements of a sequence, none twice, in random order."""
    if not 0 <= k <= len(population):
        raise AssertionError(f"random_sample: k is {k}, expected 0 to {len(population)}")
    shuffled = population[:]
    rnd.shuffle(shuffled)  # type: ignore[arg-type]
    return shuffled[:k]


def rand_ndarray(
    shape: Sequence[int],
    stype: str = "default",
    density: float | None = None,
    dtype: Any = None,
    modifier_func: Callable | None = None,
    shuffle_csr_indices: bool = False,
    distribution: str | None = None,
    ctx: Context | None = None,
) -> NDArray:
    """A random NDArray: normal draws when dense, else as ``rand_sparse_ndarray`` makes it.

    Compat: the options after ``dtype``, except ``ctx``, are about sparse arrays and have no effect on a dense one.
    """
    if stype == "default":
        return nd.array(random_arrays(tuple(shape)), dtype=dtype, ctx=ctx or default_context())
    from mxcompat.test_utils.sparse_arrays import rand_sparse_ndarray

    return rand_sparse_ndarray(
        shape,
        stype,
        density=density,
        dtype=dtype,
        distribution=distribution,
        modifier_func=modifier_func,
        shuffle_csr_indices=shuffle_csr_indices,
        ctx=ctx,
    )[0]


def _rand_sizes(largest: Sequence[int], allow_zero_size: bool) -> tuple[int, ...]:
    return tuple(int(rnd.randint(0 if allow_zero_size else 1, size + 1)) for size in largest)


def rand_shape_2d(dim0: int = 10, dim1: int = 10, allow_zero_size: bool = False) -> tuple[int, ...]:
    """A random shape of two axes, with sizes from 1 (or 0) to the given ones."""
    return _rand_sizes((dim0, dim1), allow_zero_size)


def rand_shape_3d(dim0: int = 10, dim1: int = 10, dim2: int = 10, allow_zero_size: bool = False) -> tuple[int, ...]:
    """A random shape of three axes, with sizes from 1 (or 0) to the given ones."""
    return _rand_sizes((dim0, dim1, dim2), allow_zero_size)


def rand_shape_nd(num_dim: int, dim: int = 10, allow_zero_size: bool = False) -> tuple[int, ...]:
    """A random shape of ``num_dim`` axes, with sizes from 1 (or 0) to ``dim``."""
    return tuple(rnd.randint(0 if allow_zero_size else 1, dim + 1, size=num_dim).tolist())


def rand_coord_2d(x_low: int, x_high: int, y_low: int, y_high: int) -> tuple[Any, Any]:
    """A random point of integers, x in [x_low, x_high) and y in [y_low, y_high)."""
    return rnd.randint(x_low, x_high, dtype=np.int64), rnd.randint(y_low, y_high, dtype=np.int64)


def assign_each(the_input: np.ndarray, function: Callable | None) -> np.ndarray:
    """``function`` of every element as float64; a copy where there is no function."""
    if function is None:
        return np.array(the_input)
    values = [function(value) for value in np.ravel(the_input)]
    return np.array(values, dtype=np.float64).reshape(the_input.shape)


def assign_each2(input1: np.ndarray, input2: np.ndarray, function: Callable | None) -> np.ndarray:
    """``function`` of every pair of elements as float64; a copy of the first array where there is no function."""
    if function is None:
        return np.array(input1)
    if input1.shape != input2.shape:
        raise AssertionError(f"assign_each2: shapes {input1.shape} and {input2.shape} differ")
    values = [function(first, second) for first, second in zip(np.ravel(input1), np.ravel(input2))]
    return np.array(values, dtype=np.float64).reshape(input1.shape)


def create_2d_tensor(rows: int, columns: int, dtype: Any = np.int64) -> NDArray:
    """An array (rows, columns) that holds each row's number."""
    return nd.broadcast_to(create_vector(rows, dtype).reshape((rows, 1)), shape=(rows, columns))


def create_vector(size: int, dtype: Any = np.int64) -> NDArray:
    """The numbers from 0 to ``size - 1``."""
    return nd.arange(0, size, dtype=dtype)


def get_identity_mat(size: int) -> NDArray:
    """The identity matrix (size, size), float32."""
    return nd.array(np.eye(size, dtype=np.float32))


def get_identity_mat_batch(size: int) -> NDArray:
    """Two identity matrices, (2, size, size), float32."""
    return nd.array(np.stack([np.eye(size, dtype=np.float32)] * 2))


def np_reduce(
    dat: np.ndarray, axis: int | Sequence[int] | None, keepdims: bool, numpy_reduce_func: Callable
) -> np.ndarray:
    """Reduce ``dat`` over one, several or all (None) axes with a NumPy function that reduces one axis."""
    axes = [axis] if isinstance(axis, int) else list(range(dat.ndim) if axis is None else axis)
    result = dat
    for place in sorted(axes, reverse=True):
        result = numpy_reduce_func(result, axis=place)
    if keepdims:
        sizes = list(dat.shape)
        for place in axes:
            sizes[place] = 1
        result = result.reshape(tuple(sizes))
    return result


def collapse_sum_like(a: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Sum ``a`` over the axes along which an array of ``shape`` would be broadcast to it."""
    lead = a.ndim - len(shape)
    if lead < 0 or any(size not in (1, own) for size, own in zip(shape, a.shape[lead:])):
        raise AssertionError(f"collapse_sum_like: shape {tuple(shape)} does not broadcast to {a.shape}")
    if not a.size or not np.prod(shape):
        return np.zeros(shape, dtype=a.dtype)
    spread = [lead + place for place, size in enumerate(shape) if size != a.shape[lead + place]]
    return a.sum(axis=(*range(lead), *spread)).reshape(shape)


def _real_eigenvalues(n: int) -> np.ndarray:
    return np.diag(rnd.uniform(-10.0, 10.0, n))


def new_matrix_with_real_eigvals_2d(n: int) -> np.ndarray:
    """A random matrix (n, n) with real eigenvalues in [-10, 10) and eigenvectors of a condition below 3."""
    while True:
        scale = rnd.uniform(-1.0, 1.0, n)
        normal = rnd.uniform(-1.0, 1.0, (n, 1))
        normal /= np.linalg.norm(normal)
        vectors = (np.eye(n) - 2 * normal @ normal.T) * scale  # columns of a reflection, scaled
        if np.linalg.cond(vectors, 2) < 3:
            return np.linalg.inv(vectors) @ _real_eigenvalues(n) @ vectors


def new_orthonormal_matrix_2d(n: int) -> np.ndarray:
    """A random orthonormal matrix (n, n)."""
    draws = rnd.randn(n, n)
    return np.linalg.qr(draws.T @ draws)[0]


def new_sym_matrix_with_real_eigvals_2d(n: int) -> np.ndarray:
    """A random symmetric matrix (n, n) with eigenvalues in [-10, 10)."""
    vectors = new_orthonormal_matrix_2d(n)
    return vectors.T @ _real_eigenvalues(n) @ vectors


def _stacked(make: Callable[[int], np.ndarray], shape: Sequence[int]) -> np.ndarray:
    count = int(np.prod(shape[:-2]))
    return np.array([make(shape[-1]) for _ in range(count)]).reshape(shape)


def new_matrix_with_real_eigvals_nd(shape: Sequence[int]) -> np.ndarray:
    """``new_matrix_with_real_eigvals_2d`` for each of the leading axes of ``shape`` (..., n, n)."""
    return _stacked(new_matrix_with_real_eigvals_2d, shape)


def new_sym_matrix_with_real_eigvals_nd(shape: Sequence[int]) -> np.ndarray:
    """``new_sym_matrix_with_real_eigvals_2d`` for each of the leading axes of ``shape`` (..., n, n)."""
    return _stacked(new_sym_matrix_with_real_eigvals_2d, shape)
