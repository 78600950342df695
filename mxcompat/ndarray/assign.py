"""Writing into an array: ``a[key] = value`` with values of every kind, also while a computation is recorded."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from mxcompat.base import MXNetError, numeric_types
from mxcompat.dtype import as_numbers
from mxcompat.ndarray import indexing, integers
from mxcompat.ndarray.history import note
from mxcompat.ops import registry
from mxcompat.ops.dtypes import NAME_BY_TORCH
from mxcompat.scope import STATE


def set_items(array: Any, key: Any, value: Any) -> None:
    """``array[key] = value`` for a dense array.

    While recording, an array of the recording is not written, but for numpy values that fill it whole, and what the
    recording knows is written into whole arrays only, which thereby become a part of it; otherwise ``MXNetError``.
    """
    data = array._data
    if isinstance(key, slice) and key == slice(None) and isinstance(value, numeric_types):
        if STATE.recording:
            refuse_recorded(array)
        with torch.no_grad():
            data.fill_(element(value, data.dtype))
        return
    with torch.no_grad():
        source = value_tensor(array, value)
        if indexing.is_basic(key) and not _has_negative_step(key):
            target = indexing.basic_view(data, key)
            if STATE.recording and _recorded(array, value, target.numel() == data.numel()):
                write_recorded(array, value, tuple(target.shape))
                return
            target.copy_(indexing.fit_value(_drop_unit(source, target.shape), tuple(target.shape)))
            return
        if STATE.recording:
            _recorded(array, value, False)
        positions = indexing.advanced_key(data, key)
        indexing.write_advanced(data, positions, lambda shape: indexing.fit_value(_drop_unit(source, shape), shape))


def _recorded(array: Any, value: Any, whole: bool) -> bool:
    """Whether the assignment becomes a part of the recording; ``MXNetError`` where it may not be made."""
    if not (whole and isinstance(value, np.ndarray)):  # Compat: numpy values go past the recording
        refuse_recorded(array)
    if getattr(value, "_tape", None) is None:
        return False
    if not whole:
        refuse_in_place()
    return True


def write_recorded(array: Any, value: Any, shape: tuple[int, ...]) -> None:
    """Write a recorded ``value``, broadcast to ``shape``, into the whole of ``array``, which joins the recording."""
    data = array._data
    with torch.enable_grad():
        fitted = indexing.fit_value(integers.values(value), shape).reshape(data.shape)
        place = integers.copied(fitted, data)
    with torch.no_grad():
        data.copy_(fitted)
    array._tape = place
    note(registry.get("_copy"), {}, [value], [place])


def refuse_recorded(array: Any) -> None:
    """``MXNetError`` for an array that is a part of the recording."""
    if array._tape is not None:
        raise MXNetError(
            "Assigning to NDArrays that are already in a computational graph will cause undefined behavior when "
            "evaluating gradients. Please call backward first to clear the graph or do this out side of a record "
            "section."
        )


def refuse_in_place() -> None:
    """``MXNetError`` for a change in place by something recorded."""
    raise MXNetError(
        "Inplace operations (+=, -=, x[:]=, etc) are not supported when recording with autograd. Make a new array"
    )


def value_tensor(array: Any, value: Any) -> torch.Tensor:
    """A value of any kind as a tensor of the array's type on its device; ``TypeError`` for what is no array."""
    data = array._data
    if hasattr(value, "_data"):
        return value._data.to(data.device, data.dtype)
    if isinstance(value, numeric_types):
        return torch.tensor(element(value, data.dtype), dtype=data.dtype, device=data.device)
    try:
        values = as_numbers(np.asarray(value), NAME_BY_TORCH[data.dtype])
        return torch.from_numpy(np.ascontiguousarray(values)).reshape(values.shape).to(data.device, data.dtype)
    except (TypeError, ValueError):
        raise TypeError(
            f"NDArray does not support assignment with non-array-like object {value} of type {type(value)}"
        ) from None


def element(value: Any, dtype: torch.dtype) -> Any:
    """A Python number that ``fill_`` writes as a C cast would."""
    if dtype is torch.bool:
        return bool(value)
    return float(value) if dtype.is_floating_point else int(value)


def _drop_unit(source: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    return source.reshape(()) if not shape and source.numel() == 1 else source


def _has_negative_step(key: Any) -> bool:
    return any(isinstance(k, slice) and k.step is not None and k.step < 0 for k in indexing.as_tuple(key))
