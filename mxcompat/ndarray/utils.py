"""The public path ``mxnet.ndarray.utils``."""

from mxcompat.base import string_types as string_types
from mxcompat.ndarray.creation import array, empty, load, load_frombuffer, save, zeros
from mxcompat.ndarray.ndarray import NDArray as NDArray

__all__ = ["array", "empty", "load", "load_frombuffer", "save", "zeros"]
