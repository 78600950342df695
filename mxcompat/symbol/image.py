"""Image operators (generated from the catalogue)."""

__all__: list[str] = []
