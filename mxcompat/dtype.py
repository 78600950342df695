"""The one table of element types: names, file codes and numpy types (torch-free; torch's side is ``ops/dtypes.py``)."""

from __future__ import annotations

from typing import Any

import numpy as np

#: name -> code in files and in ``__dtype__`` attributes (formats.md, section 1)
CODES = {
    "float32": 0,
    "float64": 1,
    "float16": 2,
    "uint8": 3,
    "int32": 4,
    "int8": 5,
    "int64": 6,
    "bool": 7,
    "bfloat16": 12,
}
NAMES = {code: name for name, code in CODES.items()}

#: numpy type -> code, and back; bfloat16 has no numpy type. None stands for "not given" with code -1.
DTYPE_NP_TO_MX: dict[Any, int] = {None: -1, np.bool_: 7}
DTYPE_NP_TO_MX.update({getattr(np, name): code for name, code in CODES.items() if name not in ("bool", "bfloat16")})
DTYPE_MX_TO_NP: dict[int, Any] = {code: np_type for np_type, code in DTYPE_NP_TO_MX.items()}

_BY_NP_TYPE = {np_type: NAMES[code] for np_type, code in DTYPE_NP_TO_MX.items() if np_type is not None}


def dtype_name(dtype: Any) -> str:
    """The canonical name of a type given as name, numpy type, numpy dtype, Python type or file code.

    Raises ``TypeError`` for anything the original has no code for.
    """
    try:
        if isinstance(dtype, str) and dtype in CODES:
            return dtype
        if dtype in _BY_NP_TYPE:
            return _BY_NP_TYPE[dtype]
        if isinstance(dtype, str) and dtype.lstrip("-").isdigit():
            return NAMES[int(dtype)]
        if isinstance(dtype, int) and not isinstance(dtype, bool):
            return NAMES[dtype]
        return _BY_NP_TYPE[np.dtype(dtype).type]
    except (KeyError, TypeError, ValueError):
        raise TypeError(f"type {dtype!r} is not supported; expected one of {', '.join(CODES)}") from None


def np_dtype(dtype: Any) -> Any:
    """The numpy scalar type of ``dtype`` (``numpy.float32`` …); bfloat16, which numpy lacks, raises ``TypeError``."""
    name = dtype_name(dtype)
    if name == "bfloat16":
        raise TypeError("bfloat16 has no numpy type")
    return np.bool_ if name == "bool" else getattr(np, name)


def as_numbers(values: np.ndarray, name: str) -> np.ndarray:
    """An array of Python objects or of text as numbers of the named type (of float32 for bfloat16), any other as it is.

    ``TypeError`` or ``ValueError`` for what numpy cannot read as a number.
    """
    if values.dtype.kind not in "OSU":
        return values
    return values.astype(np_dtype("float32" if name == "bfloat16" else name))
