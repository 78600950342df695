"""Operators under their plain names (generated from the catalogue)."""

__all__: list[str] = []
