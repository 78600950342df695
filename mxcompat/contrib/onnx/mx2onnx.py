"""``mx.contrib.onnx.mx2onnx``: where export was until MXNet 1.8."""

from mxcompat.onnx.mx2onnx import export_model, get_operator_support

__all__ = ["export_model", "get_operator_support"]
