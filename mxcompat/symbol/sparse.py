"""Names of the sparse variants; arrays are dense here (generated from the catalogue)."""

__all__: list[str] = []
