"""``mx.sym``: symbols and the composing face of every operator (public path of the original: ``mxnet.symbol``)."""

from typing import TYPE_CHECKING, Any

from mxcompat.ops import load_catalogue
from mxcompat.symbol import _internal, contrib, functions, image, linalg, namespace, op, random, sparse
from mxcompat.symbol import symbol as _symbol
from mxcompat.symbol.symbol import Group, Symbol, Variable, fromjson, load, load_json, var

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
_public.update({name: getattr(functions, name) for name in functions.__all__})
globals().update(_public)
for _name in functions.__all__:
    setattr(_symbol, _name, _public[_name])
symbol = _symbol

__all__ = sorted({*_public, *_symbol.__all__, "contrib", "image", "linalg", "op", "random", "sparse"})

if TYPE_CHECKING:  # the names above are made at import

    def __getattr__(name: str) -> Any: ...
