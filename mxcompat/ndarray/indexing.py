"""Reading and writing parts of an array with the original's rules for views and copies.

Basic keys (integers, slices, ``...``, ``None``) give a view when the selected part is contiguous in memory, else a
copy; keys with arrays or lists always copy. A key of arrays holds integer positions, never a mask.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from mxcompat.base import integer_types

BASIC = (int, np.integer, slice, type(None), type(Ellipsis))


def is_basic(key: Any) -> bool:
    """Whether the key has integers, slices, ``...`` and ``None`` only."""
    if isinstance(key, tuple):
        return all(isinstance(k, BASIC) for k in key)
    return isinstance(key, BASIC)


def as_tuple(key: Any) -> tuple:
    """The key as a tuple; a list is one index array."""
    return key if isinstance(key, tuple) else (key,)


def _expand(key: tuple, shape: tuple[int, ...]) -> list:
    """The key with ``...`` written out and full slices appended; too many indices raise ``IndexError``."""
    used = sum(k is not None and k is not Ellipsis for k in key)
    if used > len(shape):
        raise IndexError(f"too many indices ({used}) for array with {len(shape)} dimensions")
    full = [slice(None)] * (len(shape) - used)
    if any(k is Ellipsis for k in key):
        if sum(k is Ellipsis for k in key) > 1:
            raise IndexError("an index can only have a single ellipsis ('...')")
        where = next(i for i, k in enumerate(key) if k is Ellipsis)
        return [*key[:where], *full, *key[where + 1 :]]
    return [*key, *full]


def _checked_integer(index: Any, axis: int, shape: tuple[int, ...]) -> int:
    if not -shape[axis] <= index < shape[axis]:
        raise IndexError(f"index {index} is out of bounds for axis {axis} with size {shape[axis]}")
    return int(index) % shape[axis]


def basic_view(tensor: torch.Tensor, key: Any) -> torch.Tensor:
    """The part of ``tensor`` that a basic key selects, as a view where steps are positive, else a copy."""
    axis, shape, flips = 0, tuple(tensor.shape), []
    parts: list = []
    for k in _expand(as_tuple(key), shape):
        if k is None:
            parts.append(None)
            continue
        if isinstance(k, (int, np.integer)):
            parts.append(_checked_integer(k, axis, shape))
        elif k.step is not None and k.step < 0:
            start, stop, step = k.indices(shape[axis])
            count = len(range(start, stop, step))
            low = start + (count - 1) * step if count else 0
            parts.append(slice(low, start + 1 if count else 0, -step))
            if count > 1:  # one row in reverse is that row: no copy
                flips.append(sum(not isinstance(p, int) for p in parts) - 1)
        else:
            if k.step == 0:
                raise ValueError("slice step cannot be zero")
            parts.append(slice(*k.indices(shape[axis])))
        axis += 1
    view = tensor[tuple(parts)]
    return view.flip(flips) if flips else view


def is_contiguous(key: tuple, shape: tuple[int, ...]) -> bool:
    """Whether integers and slices, at most one an axis, select elements that lie side by side, in this order."""
    return np.empty(shape, np.bool_)[key].flags.c_contiguous


def index_tensor(key: Any, axis_size: int, axis: int, device: torch.device) -> torch.Tensor:
    """Integer positions of an index array (floats are cut), checked against the axis."""
    if hasattr(key, "_data"):
        positions = key._data.to(torch.int64)
    else:
        positions = torch.as_tensor(np.asarray(key).astype(np.int64))
    positions = positions.to(device)
    if positions.numel() and device.type == "cpu":
        low, high = int(positions.min()), int(positions.max())
        if low < -axis_size or high >= axis_size:
            bad = low if low < -axis_size else high
            raise IndexError(f"index {bad} is out of bounds for axis {axis} with size {axis_size}")
    return torch.where(positions < 0, positions + axis_size, positions)


def advanced_key(tensor: torch.Tensor, key: Any) -> tuple:
    """The key with every array, list and integer turned into index tensors that torch understands.

    Slices with a negative step stay: torch has none, ``advanced_part`` and ``write_advanced`` take care of them.
    """
    parts: list = []
    axis = 0
    shape = tuple(tensor.shape)
    for k in _expand(as_tuple(key), shape):
        if k is None:
            parts.append(None)
            continue
        if isinstance(k, integer_types) and not isinstance(k, bool):
            # as numpy has it, a number among arrays is an array; torch would select first and place the axes otherwise
            parts.append(torch.tensor([_checked_integer(k, axis, shape)], device=tensor.device))
        elif isinstance(k, slice):
            parts.append(k)
        elif isinstance(k, (list, tuple, np.ndarray, range)) or hasattr(k, "_data"):
            parts.append(index_tensor(list(k) if isinstance(k, range) else k, shape[axis], axis, tensor.device))
        else:
            raise ValueError(f"NDArray does not support slicing with key {k} of type {type(k)}.")
        axis += 1
    return tuple(parts)


def advanced_part(tensor: torch.Tensor, positions: tuple) -> torch.Tensor:
    """The part that a key of ``advanced_key`` selects (a copy)."""
    axis, parts = 0, []
    for part in positions:
        if isinstance(part, slice) and part.step is not None and part.step < 0:
            rows = torch.arange(*part.indices(tensor.shape[axis]), device=tensor.device)
            tensor, part = tensor.index_select(axis, rows), slice(None)
        parts.append(part)
        axis += part is not None
    return tensor[tuple(parts)]


def write_advanced(tensor: torch.Tensor, positions: tuple, value: Callable[[tuple[int, ...]], torch.Tensor]) -> None:
    """Write ``value(shape)`` into the part that a key of ``advanced_key`` selects."""
    if not any(isinstance(part, slice) and part.step is not None and part.step < 0 for part in positions):
        tensor[positions] = value(tuple(tensor[positions].shape))
        return
    places = torch.arange(tensor.numel(), device=tensor.device).reshape(tensor.shape)
    places = advanced_part(places, positions)
    tensor.view(-1)[places] = value(tuple(places.shape))


def fit_value(value: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """``value`` ready to be broadcast to ``shape``: surplus leading axes of size 1 are dropped."""
    while value.ndim > len(shape) and value.shape[0] == 1:
        value = value[0]
    try:
        return value.expand(shape)
    except RuntimeError:
        raise ValueError(
            f"operands could not be broadcast together: value of shape {tuple(value.shape)} and requested shape {shape}"
        ) from None
