"""Thread-local recording and training flags (what ``mx.autograd``'s scopes switch and the operator faces read)."""

import threading

__all__ = ["STATE"]


class _State(threading.local):
    """``recording``: imperative operators are taped; ``training``: operators run in training mode."""

    recording = False
    training = False


STATE = _State()
