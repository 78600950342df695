"""``mx.contrib``: contributed operators of both faces, and contributed modules (public path: ``mxnet.contrib``)."""

from __future__ import annotations

from typing import Any

from mxcompat.absent import module_or_absent

#: public name -> module
_MODULES = {
    "amp": "contrib.amp",
    "autograd": "contrib.autograd",
    "io": "contrib.io",
    "nd": "ndarray.contrib",
    "ndarray": "ndarray.contrib",
    "onnx": "contrib.onnx",
    "quant": "contrib.quantization",
    "quantization": "contrib.quantization",
    "svrg_optimization": "contrib.svrg_optimization",
    "sym": "symbol.contrib",
    "symbol": "symbol.contrib",
    "tensorboard": "contrib.tensorboard",
    "tensorrt": "contrib.tensorrt",
    "text": "contrib.text",
}
__all__ = sorted(_MODULES)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'mxcompat.contrib' has no attribute {name!r}")
    value = module_or_absent(f"mxcompat.{_MODULES[name]}")
    globals()[name] = value
    return value
