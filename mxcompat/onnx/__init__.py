"""``mx.onnx``: symbols and parameters as ONNX files (public path: ``mxnet.onnx``)."""

from mxcompat.onnx import mx2onnx
from mxcompat.onnx.mx2onnx import export_model, get_operator_support

__all__ = ["export_model", "get_operator_support", "mx2onnx"]
