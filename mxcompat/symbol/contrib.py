"""Contributed operators (generated from the catalogue)."""

from mxcompat.symbol.control import *  # noqa: F403
from mxcompat.symbol.control import __all__ as _control

__all__: list[str] = [*_control]  # noqa: PLE0604
