"""Contributed operators (generated from the catalogue)."""

from mxcompat.symbol.control import *  # noqa: F403
from mxcompat.symbol.control import __all__ as _control
from mxcompat.symbol.random import rand_zipfian

__all__: list[str] = [*_control, "rand_zipfian"]  # noqa: PLE0604
