"""``mx.contrib.onnx``: export to ONNX under its old name; importing ONNX files says what to do instead."""

from __future__ import annotations

from typing import Any

from mxcompat.contrib.onnx import mx2onnx, onnx2mx
from mxcompat.contrib.onnx.onnx2mx import get_model_metadata as get_model_metadata_
from mxcompat.contrib.onnx.onnx2mx import import_model as import_model_
from mxcompat.contrib.onnx.onnx2mx import import_to_gluon as import_to_gluon_
from mxcompat.onnx import export_model as export_model_

__all__ = ["export_model", "get_model_metadata", "import_model", "import_to_gluon", "mx2onnx", "onnx2mx"]


def export_model(*args: Any, **kwargs: Any) -> str:
    """``mx.onnx.export_model``."""
    return export_model_(*args, **kwargs)


def import_model(*args: Any, **kwargs: Any) -> Any:
    """Raises ``MXNetError``: mxcompat does not make symbols of ONNX files."""
    return import_model_(*args, **kwargs)


def get_model_metadata(*args: Any, **kwargs: Any) -> dict[str, list[tuple]]:
    """Names and shapes of the inputs and outputs of an ONNX file."""
    return get_model_metadata_(*args, **kwargs)


def import_to_gluon(*args: Any, **kwargs: Any) -> Any:
    """Raises ``MXNetError``: mxcompat does not make blocks of ONNX files."""
    return import_to_gluon_(*args, **kwargs)
