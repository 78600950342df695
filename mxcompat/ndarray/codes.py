"""The code tables of ``mxnet.ndarray.ndarray``: element types, storage types, gradient requests."""

from __future__ import annotations

from typing import Any

import numpy as np

from mxcompat.dtype import CODES
from mxcompat.formats.arrays import STORAGE_CODES

__all__ = ["_DTYPE_MX_TO_NP", "_DTYPE_NP_TO_MX", "_GRAD_REQ_MAP"]

#: how the original writes bfloat16, which numpy lacks
_BFLOAT16 = np.dtype([("bfloat16", np.uint16)])

_DTYPE_MX_TO_NP: dict[int, Any] = {-1: None}
_DTYPE_MX_TO_NP.update({code: _BFLOAT16 if name == "bfloat16" else np.dtype(name).type for name, code in CODES.items()})
_DTYPE_NP_TO_MX: dict[Any, int] = {kind: code for code, kind in _DTYPE_MX_TO_NP.items()}

_STORAGE_TYPE_UNDEFINED, _STORAGE_TYPE_DEFAULT, _STORAGE_TYPE_ROW_SPARSE, _STORAGE_TYPE_CSR = -1, 0, 1, 2
_STORAGE_TYPE_STR_TO_ID: dict[str, int] = {"undefined": _STORAGE_TYPE_UNDEFINED, **STORAGE_CODES}
_STORAGE_TYPE_ID_TO_STR: dict[int, str] = {code: name for name, code in _STORAGE_TYPE_STR_TO_ID.items()}

_GRAD_REQ_MAP: dict[str, int] = {"null": 0, "write": 1, "add": 3}
