"""Operators whose name begins with an underscore (generated from the catalogue)."""

__all__: list[str] = []
