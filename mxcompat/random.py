"""``mx.random``: the seed, and the drawing functions of ``mx.nd.random`` (public path of the original: ``mxnet.random``)."""

from __future__ import annotations

from typing import Any

import torch

from mxcompat.ndarray.random import *  # noqa: F403
from mxcompat.ndarray.random import __all__ as _drawing

__all__ = ["seed", *_drawing]


def seed(seed_state: int, ctx: Any = "all") -> None:
    """Start the random streams anew (Python's and numpy's own generators are not touched).

    The streams are PyTorch's: the same seed repeats a run, but draws other numbers than MXNet. ``ValueError`` unless
    ``seed_state`` is an integer.
    """
    if not isinstance(seed_state, int):
        try:
            seed_state = int(seed_state.__index__())
        except AttributeError:
            raise ValueError("sd must be int") from None
    torch.manual_seed(seed_state % 2**63)
