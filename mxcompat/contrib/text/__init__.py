"""Vocabularies, embeddings from files and counting of tokens (public path: ``mxnet.contrib.text``)."""

from mxcompat.contrib.text import embedding, utils, vocab

__all__ = ["embedding", "utils", "vocab"]
