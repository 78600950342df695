"""The public path ``mxnet.ndarray.utils``."""

from mxcompat.ndarray.creation import array, empty, load, load_frombuffer, save, zeros

__all__ = ["array", "empty", "load", "load_frombuffer", "save", "zeros"]
