"""What a value is called whose author gave no name: a word for the operator, without the number that the symbol counts."""

from __future__ import annotations

import builtins
import keyword
import re

from mxcompat.ops.schema import Operator

__all__ = ["is_automatic", "word_for"]

_WORDS = {
    "Activation": "active", "BatchNorm": "normal", "Cast": "converted", "Concat": "joined", "Convolution": "conv",
    "Crop": "window", "Deconvolution": "deconv", "Dropout": "kept", "Embedding": "embedded", "Flatten": "flat",
    "FullyConnected": "linear", "LeakyReLU": "active", "Pad": "padded", "Pooling": "pooled", "Reshape": "reshaped",
    "RNN": "states", "SliceChannel": "parts", "SoftmaxOutput": "shares", "SwapAxis": "swapped", "UpSampling": "larger",
    "abs": "size", "add": "total", "add_n": "total", "div": "ratio", "expand_dims": "expanded", "max": "largest",
    "min": "smallest", "minus": "difference", "mul": "product", "negative": "minus", "plus": "total", "rdiv": "ratio",
    "rminus": "difference", "slice": "piece", "slice_axis": "piece", "softmax": "shares", "square": "squared",
    "squeeze": "squeezed", "sub": "difference", "sum": "total", "tile": "tiled", "transpose": "transposed",
}  # fmt: skip


def is_automatic(name: str, op: Operator) -> bool:
    """Whether a node's name is one that the symbol counted, such as ``activation12`` or ``_mulscalar0``."""
    stem = re.sub(r"\d+$", "", name)
    if stem == name:
        return False
    return _plain(stem) in {_plain(known) for known in (op.hint, op.name, *op.aliases)}


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def word_for(operator: str) -> str:
    """A word for what an operator computes."""
    stem = re.sub(r"^(elemwise|broadcast)_|_scalar$|^_contrib_|^_+", "", re.sub(r"^_(?=.*_scalar$)", "", operator))
    word = _WORDS.get(operator) or _WORDS.get(stem) or stem.lower()
    return f"{word}_value" if hasattr(builtins, word) or keyword.iskeyword(word) else word
