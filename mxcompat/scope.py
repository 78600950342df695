"""Thread-local flags (``mx.autograd``: recording, training; ``mx.util``: NumPy shapes), and who watches operators."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

__all__ = ["STATE", "WATCH", "is_np_shape", "set_np_shape"]


class _State(threading.local):
    """``recording``: imperative operators are taped; ``training``: operators run in training mode.

    ``np_shape``: a size of 0 is a size and ``()`` the shape of a scalar; otherwise they mean "unknown".
    """

    recording = False
    training = False
    np_shape = False


STATE = _State()


class _EveryThread:
    np_shape = False


def is_np_shape() -> bool:
    """Whether 0 is a size and ``()`` a shape, in this thread or in all of them."""
    return STATE.np_shape or _EveryThread.np_shape


def set_np_shape(active: int) -> bool:
    """Switch the meaning of shapes: 0 off, 1 on in this thread, 2 on in every thread; returns whether it was on."""
    before = is_np_shape()
    STATE.np_shape = bool(active)
    if active in (0, 2):
        _EveryThread.np_shape = active == 2
    return before


class _Watch:
    """Who runs operators in their callers' place, for all threads; None: nobody.

    ``imperative`` and ``symbolic`` take (name, function, arguments, keywords) and return what the function returns, for
    operators run one by one and for those of a bound symbol; ``callback`` makes the scope of a custom operator's code.
    """

    imperative: Callable[..., Any] | None = None
    symbolic: Callable[..., Any] | None = None
    callback: Callable[[str], AbstractContextManager] | None = None


WATCH = _Watch()
