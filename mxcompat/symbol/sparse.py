"""``mx.sym.sparse``: the operators that know sparse arrays (generated from the catalogue)."""

__all__: list[str] = []
