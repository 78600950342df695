"""Operators whose name begins with an underscore (generated from the catalogue)."""

from mxcompat.symbol.symbol import SymbolBase

__all__ = ["SymbolBase"]
