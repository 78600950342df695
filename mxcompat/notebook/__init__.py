"""Callbacks for notebooks (public path: ``mxnet.notebook``)."""

from mxcompat.notebook import callback

__all__ = ["callback"]
