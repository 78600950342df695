"""Sparse storage: what a csr or row_sparse array consists of, as tensors, and the arithmetic of their structure.

``Csr`` holds the stored elements of a matrix row by row, ``RowSparse`` some whole rows (slices along the first axis) of an
array. A storage never changes once it is made; two of them may share tensors. Stored elements may be zero. Row
numbers of a ``RowSparse`` rise; the columns of one row of a ``Csr`` may stand in any order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn import functional

from mxcompat.base import MXNetError

__all__ = ["Csr", "RowSparse", "Storage", "align", "from_dense"]


class Storage:
    """What both kinds share: ``values`` (stored elements or rows), ``indices`` (columns or rows) and ``shape``."""

    __slots__ = ("_checked", "indices", "shape", "values")
    stype = ""
    values: torch.Tensor
    indices: torch.Tensor
    shape: tuple[int, ...]

    @property
    def dtype(self) -> torch.dtype:
        """Element type."""
        return self.values.dtype

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.values.device

    @property
    def tensors(self) -> tuple[torch.Tensor, ...]:
        """The values, then the tensors of the structure in the order of files."""
        raise NotImplementedError

    def with_values(self, values: torch.Tensor) -> Any:
        """The same structure with other values (rows of a ``RowSparse`` may get another shape)."""
        raise NotImplementedError

    def problem(self) -> str | None:
        """What makes the structure unusable, or None; ``full`` checks of upstream's ``check_format``."""
        raise NotImplementedError

    def dense(self) -> torch.Tensor:
        """All elements as one tensor."""
        raise NotImplementedError

    def checked(self) -> Any:
        """Itself; ``MXNetError`` where row or column numbers would lead out of the array. Looks once."""
        if not self._checked:
            problem = self._out_of_range()
            if problem:
                raise MXNetError(f"{self.stype} array of shape {self.shape}: {problem}")
            self._checked = True
        return self

    def _out_of_range(self) -> str | None:
        raise NotImplementedError

    def clone(self) -> Any:
        """A copy that shares no values."""
        return self.with_values(self.values.clone())

    def to(self, device: torch.device, dtype: torch.dtype) -> Any:
        """On another device or of another type (itself where nothing changes)."""
        raise NotImplementedError


def _range_problem(indices: torch.Tensor, count: int, what: str) -> str | None:
    if not indices.numel():
        return None
    low, high = int(indices.min()), int(indices.max())
    if low < 0 or high >= count:
        return f"{what} run from {low} to {high}, outside of 0 to {count - 1}"
    return None


class Csr(Storage):
    """A matrix (rows, columns): ``values`` (k,) at columns ``indices`` (k,), row r at ``indptr[r]:indptr[r + 1]``."""

    __slots__ = ("indptr",)
    stype = "csr"
    indptr: torch.Tensor

    def __init__(
        self,
        values: torch.Tensor,
        indices: torch.Tensor,
        indptr: torch.Tensor,
        shape: Sequence[int],
        checked: bool = True,
    ):
        self.values, self.indices, self.indptr = values, indices, indptr
        self.shape = tuple(int(dim) for dim in shape)
        self._checked = checked

    @property
    def tensors(self) -> tuple[torch.Tensor, ...]:
        return self.values, self.indptr, self.indices

    def with_values(self, values: torch.Tensor) -> Csr:
        return Csr(values, self.indices, self.indptr, self.shape, self._checked)

    def to(self, device: torch.device, dtype: torch.dtype) -> Csr:
        if self.device == device and self.dtype is dtype:
            return self
        values, indices = self.values.to(device, dtype), self.indices.to(device)
        return Csr(values, indices, self.indptr.to(device), self.shape, self._checked)

    def rows(self) -> torch.Tensor:
        """The row of every stored element."""
        counts = self.indptr[1:] - self.indptr[:-1]
        numbers = torch.arange(self.shape[0], device=self.device)
        return torch.repeat_interleave(numbers, counts, output_size=self.indices.numel())

    def keys(self) -> torch.Tensor:
        """The place of every stored element in the flattened matrix."""
        return self.rows() * self.shape[1] + self.indices

    def dense(self) -> torch.Tensor:
        self.checked()
        flat = self.values.new_zeros(self.shape[0] * self.shape[1])
        flat[self.keys()] = self.values
        return flat.view(self.shape)

    def problem(self) -> str | None:
        problem = self._out_of_range()
        if problem or not self.indices.numel():
            return problem
        rows = self.rows()
        if bool(((self.indices[1:] <= self.indices[:-1]) & (rows[1:] == rows[:-1])).any()):
            return "the column numbers of a row do not rise"
        return None

    def _out_of_range(self) -> str | None:
        stored, pointers = self.indices.numel(), self.indptr
        if pointers.numel() != self.shape[0] + 1:
            return f"indptr has {pointers.numel()} entries, expected {self.shape[0] + 1} for {self.shape[0]} rows"
        if int(pointers[0]) != 0 or int(pointers[-1]) != stored or bool((pointers[1:] < pointers[:-1]).any()):
            return f"indptr does not rise from 0 to {stored}, the count of stored values"
        return _range_problem(self.indices, self.shape[1], "column numbers")

    @staticmethod
    def empty(shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> Csr:
        """All zeros: nothing is stored."""
        indices = torch.zeros(0, dtype=torch.int64, device=device)
        pointers = torch.zeros(shape[0] + 1, dtype=torch.int64, device=device)
        return Csr(torch.zeros(0, dtype=dtype, device=device), indices, pointers, shape)

    @staticmethod
    def from_dense(data: torch.Tensor) -> Csr:
        """The elements of a matrix that are not zero (a NaN is none)."""
        kept = data != 0
        places = kept.nonzero()
        return Csr(data[kept], places[:, 1].contiguous(), pointers_of(kept.sum(1)), data.shape)

    @staticmethod
    def from_keys(keys: torch.Tensor, values: torch.Tensor, shape: Sequence[int]) -> Csr:
        """Elements at rising places of the flattened matrix."""
        rows, columns = torch.div(keys, shape[1], rounding_mode="floor"), keys % shape[1]
        return Csr(values, columns, pointers_of(torch.bincount(rows, minlength=shape[0])), shape)

    def sorted(self) -> Csr:
        """The same matrix with rising columns in each row."""
        keys, order = self.keys().sort()
        if torch.equal(keys, self.keys()):
            return self
        return Csr(self.values[order], self.indices[order], self.indptr, self.shape)

    def times(self, matrix: torch.Tensor) -> torch.Tensor:
        """The product with a dense matrix (columns, N): (rows, N)."""
        self.checked()
        if not self.indices.numel() or not matrix.shape[1]:
            return matrix.new_zeros((self.shape[0], matrix.shape[1]))
        return _weighted_sums(matrix, self.indices, self.indptr, self.values)

    def transposed_times(self, matrix: torch.Tensor) -> RowSparse:
        """The product of the transposed matrix with a dense one (rows, N): the rows of (columns, N) that are columns of this."""
        self.checked()
        shape = (self.shape[1], matrix.shape[1])
        if not self.indices.numel() or not matrix.shape[1]:
            return RowSparse.empty(shape, matrix.dtype, matrix.device)
        narrow = self.indices.int() if self.shape[1] < 2**31 else self.indices  # sorted in half the time
        columns, order = torch.sort(narrow, stable=True)
        kept, counts = torch.unique_consecutive(columns, return_counts=True)
        rows, values = self.rows().index_select(0, order), self.values.index_select(0, order)
        return RowSparse(_weighted_sums(matrix, rows, pointers_of(counts), values), kept.long(), shape)


def pointers_of(counts: torch.Tensor) -> torch.Tensor:
    """Where parts of so many elements start, and where the last ends."""
    pointers = counts.new_zeros(counts.numel() + 1, dtype=torch.int64)
    torch.cumsum(counts, 0, out=pointers[1:])
    return pointers


def _weighted_sums(
    matrix: torch.Tensor, picked: torch.Tensor, pointers: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """Sums of picked rows of ``matrix``, each times its weight, over the parts that ``pointers`` delimit."""
    return functional.embedding_bag(
        picked, matrix, pointers, mode="sum", per_sample_weights=weights, include_last_offset=True
    )


class RowSparse(Storage):
    """An array (rows, ...): ``values`` (k, ...) are the rows ``indices`` (k,), all others are zero."""

    __slots__ = ()
    stype = "row_sparse"

    def __init__(self, values: torch.Tensor, indices: torch.Tensor, shape: Sequence[int], checked: bool = True):
        self.values, self.indices = values, indices
        self.shape = tuple(int(dim) for dim in shape)
        self._checked = checked

    @property
    def tensors(self) -> tuple[torch.Tensor, ...]:
        return self.values, self.indices

    @property
    def is_full(self) -> bool:
        """Whether every row is stored."""
        return self.indices.numel() == self.shape[0]

    def with_values(self, values: torch.Tensor) -> RowSparse:
        return RowSparse(values, self.indices, (self.shape[0], *values.shape[1:]), self._checked)

    def to(self, device: torch.device, dtype: torch.dtype) -> RowSparse:
        if self.device == device and self.dtype is dtype:
            return self
        return RowSparse(self.values.to(device, dtype), self.indices.to(device), self.shape, self._checked)

    def dense(self) -> torch.Tensor:
        self.checked()
        if self.is_full:
            return self.values.clone()
        result = self.values.new_zeros(self.shape)
        result[self.indices] = self.values
        return result

    def problem(self) -> str | None:
        problem = self._out_of_range()
        if problem is None and bool((self.indices[1:] <= self.indices[:-1]).any()):
            return "the row numbers do not rise"
        return problem

    def _out_of_range(self) -> str | None:
        if self.indices.numel() > self.shape[0]:
            return f"{self.indices.numel()} rows are stored of {self.shape[0]}"
        return _range_problem(self.indices, self.shape[0], "row numbers")

    @staticmethod
    def empty(shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> RowSparse:
        """All zeros: no row is stored."""
        values = torch.zeros((0, *shape[1:]), dtype=dtype, device=device)
        return RowSparse(values, torch.zeros(0, dtype=torch.int64, device=device), shape)

    @staticmethod
    def from_dense(data: torch.Tensor) -> RowSparse:
        """The rows that have an element which is not zero."""
        kept = (data.reshape(data.shape[0], -1) != 0).any(1).nonzero().reshape(-1)
        return RowSparse(data[kept], kept, data.shape)

    @staticmethod
    def full(data: torch.Tensor) -> RowSparse:
        """All rows, on the memory of ``data``."""
        return RowSparse(data, torch.arange(data.shape[0], device=data.device), data.shape)

    def retained(self, rows: torch.Tensor) -> RowSparse:
        """The rows of the given numbers (rising, without repetition), also where they are not stored and so zero."""
        self.checked()
        return RowSparse(self.rows_of(rows), rows, self.shape)

    def places(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """For row numbers: their places among the stored rows, and whether they are stored at all."""
        if self.is_full:
            return rows, torch.ones_like(rows, dtype=torch.bool)
        if not self.indices.numel():
            return torch.zeros_like(rows), torch.zeros_like(rows, dtype=torch.bool)
        places = torch.searchsorted(self.indices, rows).clamp_(max=self.indices.numel() - 1)
        return places, self.indices[places] == rows

    def rows_of(self, rows: torch.Tensor) -> torch.Tensor:
        """The rows of the given numbers, zeros where they are not stored: (number of rows, ...)."""
        places, stored = self.places(rows)
        if self.is_full:
            return self.values[places]
        if not self.indices.numel():
            return self.values.new_zeros((rows.numel(), *self.shape[1:]))
        return self.values[places] * stored.view(-1, *[1] * (len(self.shape) - 1))


def from_dense(data: torch.Tensor, stype: str) -> Any:
    """A tensor as storage of a type, itself for ``default``; ``MXNetError`` for a csr array without two axes."""
    if stype == "default":
        return data
    if stype == "csr":
        if data.ndim != 2:
            raise MXNetError(f"a csr array has two dimensions, found shape {tuple(data.shape)}")
        return Csr.from_dense(data)
    if stype != "row_sparse":
        raise MXNetError(f"unknown storage type {stype!r}, expected 'default', 'row_sparse' or 'csr'")
    if not data.ndim:
        raise MXNetError("a row_sparse array has at least one dimension")
    return RowSparse.from_dense(data)


def empty(stype: str, shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> Any:
    """Storage of zeros."""
    if stype == "csr" and len(shape) != 2:
        raise MXNetError(f"a csr array has two dimensions, found shape {tuple(shape)}")
    return (Csr if stype == "csr" else RowSparse).empty(shape, dtype, device)


def stored(stype: str, values: torch.Tensor, structure: Sequence[torch.Tensor], shape: Sequence[int]) -> Any:
    """Storage of its parts, in the order of files; an ``indptr`` that was never allocated is one of zeros."""
    if stype == "row_sparse":
        return RowSparse(values, structure[0], shape, checked=False)
    pointers = structure[0] if structure[0].numel() else structure[0].new_zeros(shape[0] + 1)
    return Csr(values, structure[1], pointers, shape, checked=False)


def align(left: Any, right: Any) -> tuple[torch.Tensor, torch.Tensor, Callable[[torch.Tensor], Any]]:
    """Two arrays of one kind and shape brought to one structure: values of each, and what makes an array of new values.

    The structure is the union of both; what only one of them stores is zero in the other.
    """
    left.checked(), right.checked()
    if left.indices is right.indices or _same_structure(left, right):
        return left.values, right.values, left.with_values
    if isinstance(left, Csr):
        keys = torch.cat([left.keys(), right.keys()])
    else:
        keys = torch.cat([left.indices, right.indices])
    union, where = torch.unique(keys, return_inverse=True)
    count, shape = left.indices.numel(), left.shape
    spread = []
    for part, places in ((left, where[:count]), (right, where[count:])):
        values = part.values.new_zeros((union.numel(), *part.values.shape[1:]))
        values[places] = part.values
        spread.append(values)
    if isinstance(left, Csr):
        return spread[0], spread[1], lambda values: Csr.from_keys(union, values, shape)
    return spread[0], spread[1], lambda values: RowSparse(values, union, (shape[0], *values.shape[1:]))


def _same_structure(left: Any, right: Any) -> bool:
    if left.indices.numel() != right.indices.numel() or not torch.equal(left.indices, right.indices):
        return False
    return not isinstance(left, Csr) or torch.equal(left.indptr, right.indptr)


def sum_of(parts: Sequence[RowSparse]) -> RowSparse:
    """The sum of row_sparse arrays of one shape: the union of their rows."""
    if len(parts) == 1:
        return parts[0]
    rows, where = torch.unique(torch.cat([part.indices for part in parts]), return_inverse=True)
    values = parts[0].values.new_zeros((rows.numel(), *parts[0].shape[1:]))
    values.index_add_(0, where, torch.cat([part.checked().values for part in parts]))
    return RowSparse(values, rows, parts[0].shape)


def gathered(rows: torch.Tensor, values: torch.Tensor, shape: Sequence[int]) -> RowSparse:
    """The sum of rows that may repeat, in any order."""
    kept, where = torch.unique(rows, return_inverse=True)
    sums = values.new_zeros((kept.numel(), *values.shape[1:]))
    sums.index_add_(0, where, values)
    return RowSparse(sums, kept, shape)
