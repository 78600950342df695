"""Contributed operators (generated from the catalogue)."""

from mxcompat.ndarray.updates import *  # noqa: F403
from mxcompat.ndarray.updates import __all__ as _updates

__all__: list[str] = [*_updates]  # noqa: PLE0604
