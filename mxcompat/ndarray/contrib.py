"""Contributed operators (generated from the catalogue)."""

from mxcompat.ndarray.control import *  # noqa: F403
from mxcompat.ndarray.control import __all__ as _control
from mxcompat.ndarray.updates import *  # noqa: F403
from mxcompat.ndarray.updates import __all__ as _updates

__all__: list[str] = [*_control, *_updates]  # noqa: PLE0604
