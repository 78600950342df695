"""Linear algebra (generated from the catalogue)."""

__all__: list[str] = []
