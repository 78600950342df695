"""``mx.nd``: arrays and the imperative face of every operator (public path of the original: ``mxnet.ndarray``)."""

from typing import TYPE_CHECKING, Any

from mxcompat import allocator
from mxcompat.ndarray import (
    _internal,
    arithmetic,
    codes,
    contrib,
    creation,
    image,
    linalg,
    namespace,
    op,
    random,
    sparse,
    utils,
)
from mxcompat.ndarray import ndarray as _ndarray
from mxcompat.ndarray.cached_op import CachedOp
from mxcompat.ndarray.codes import __all__ as _code_tables
from mxcompat.ndarray.ndarray import NDArray, waitall
from mxcompat.ops import load_catalogue

allocator.keep_memory()
load_catalogue()
namespace.fill(
    {
        "op": op,
        "_internal": _internal,
        "contrib": contrib,
        "linalg": linalg,
        "sparse": sparse,
        "image": image,
        "random": random,
    }
)
namespace.attach_methods(op)

# Python functions of the same name as an operator take numbers too, and win.
_public = {name: getattr(op, name) for name in op.__all__}
for _module in (arithmetic, creation):
    _public.update({name: getattr(_module, name) for name in _module.__all__})
globals().update(_public)
for _name in (*arithmetic.__all__, *creation.__all__):
    setattr(_ndarray, _name, _public[_name])
for _name in vars(codes):
    if _name.isupper() and _name.startswith(("_DTYPE", "_STORAGE", "_GRAD")):  # where programs look for them
        setattr(_ndarray, _name, getattr(codes, _name))
globals().update({_name: getattr(codes, _name) for _name in _code_tables})
op.CachedOp = _ndarray.CachedOp = CachedOp  # type: ignore[attr-defined]
ndarray = _ndarray

__all__ = sorted(
    {*_public, *_code_tables, "CachedOp", "NDArray", "contrib", "image", "linalg", "op", "random", "sparse", "utils"}
    | {"waitall"}
)

if TYPE_CHECKING:  # the names above are made at import

    def __getattr__(name: str) -> Any: ...
