"""What of an array goes into a file."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from mxcompat.formats.arrays import ArrayRecord
from mxcompat.ops.dtypes import NAME_BY_TORCH
from mxcompat.scope import is_np_shape

__all__ = ["record_of"]


def record_of(array: Any) -> ArrayRecord:
    """The file record of an array."""
    storage = array._storage
    data = (array._data if storage is None else storage.values).detach().cpu().contiguous()
    name = NAME_BY_TORCH[data.dtype]
    values = (data.view(torch.int16) if name == "bfloat16" else data).numpy()
    if name == "bfloat16":
        values = values.view(np.uint16)
    context = (array._ctx.device_typeid, array._ctx.device_id)
    if storage is None:
        return ArrayRecord(name, tuple(data.shape), values, context=context, numpy_shape=is_np_shape())
    structure = tuple(tensor.cpu().numpy() for tensor in storage.tensors[1:])
    return ArrayRecord(name, storage.shape, values, storage.stype, structure, context=context)
