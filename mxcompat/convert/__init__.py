"""The way out: a checkpoint as a readable PyTorch module, as torch.export, ONNX or safetensors file, and back.

``checkpoint`` reads and checks the files, ``translate`` makes a program of ``steps`` of the graph (``layers``,
``functions`` and ``losses`` say how each operator is written, ``lift`` takes over what they leave), ``blocks`` finds
what repeats, ``body`` and ``write`` make source text of it, ``exports`` the other files, ``verify`` compares numbers.
"""

from mxcompat.base import MXNetError

__all__ = ["ConversionError"]


class ConversionError(MXNetError):
    """A checkpoint cannot be converted; the text says what is in the way."""
