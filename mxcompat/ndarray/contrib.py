"""Contributed operators (generated from the catalogue)."""

from mxcompat.ndarray.control import *  # noqa: F403
from mxcompat.ndarray.control import __all__ as _control
from mxcompat.ndarray.random import rand_zipfian
from mxcompat.ndarray.updates import *  # noqa: F403
from mxcompat.ndarray.updates import __all__ as _updates

__all__: list[str] = [*_control, *_updates, "rand_zipfian"]  # noqa: PLE0604
