"""What programs call to read ONNX files: their inputs and outputs can be listed, graphs are not imported."""

from __future__ import annotations

from typing import Any

from mxcompat.base import MXNetError

__all__ = ["get_model_metadata", "import_model", "import_to_gluon"]

_ADVICE = (
    "ONNX files are not imported into symbols; run {file} with onnxruntime, turn it into a PyTorch module with onnx2torch, "
    "or, where the MXNet checkpoint still exists, load that (mx.model.load_checkpoint)"
)


def import_model(model_file: str) -> Any:
    """Raises ``MXNetError`` saying what to do instead."""
    raise MXNetError(_ADVICE.format(file=model_file))


def import_to_gluon(model_file: str, ctx: Any) -> Any:
    """Raises ``MXNetError`` saying what to do instead."""
    raise MXNetError(_ADVICE.format(file=model_file))


def get_model_metadata(model_file: str) -> dict[str, list[tuple]]:
    """``input_tensor_data`` and ``output_tensor_data``, each a list of (name, shape); an open size is 0.

    Raises ``ImportError`` without the package onnx.
    """
    try:
        import onnx
    except ImportError as error:
        raise ImportError("reading ONNX files needs the package onnx: pip install 'mxcompat[onnx]'") from error
    graph = onnx.load(model_file).graph
    stored = {tensor.name for tensor in graph.initializer}

    def listed(values: Any) -> list[tuple]:
        return [
            (value.name, tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim))
            for value in values
            if value.name not in stored
        ]

    return {"input_tensor_data": listed(graph.input), "output_tensor_data": listed(graph.output)}
