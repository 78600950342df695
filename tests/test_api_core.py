"""The public names and signatures of arrays, symbols, executors and what they stand on are the original's.

Operators are held against the original's registry in ``tests/ops/test_catalogue.py``; their names are left out here.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

import pytest

from tests import api_walk

MX_NP = "it belongs to mx.np, which is not supported"
IMPORTED = "the original's module imports the name and does not offer it"
GENERATED = "a module that the original generates; its functions are in op, _internal, contrib, image, linalg, sparse"
C_LIBRARY = "it talks to the original's C library"
FREED = "Python frees the memory"
INDEXING = "a part of the original's indexing"
MADE_BY_BIND = "executors come from bind and simple_bind; the original's constructor takes C handles"

_FACE = {
    **dict.fromkeys("np npx numpy numpy_extension __all__.numpy __all__.numpy_extension".split(), MX_NP),
    **dict.fromkeys("gen__internal gen_contrib gen_image gen_linalg gen_op gen_sparse register".split(), GENERATED),
}
_INDEXING = "get_indexing_dispatch_code get_oshape_of_gather_nd_op indexing_key_expand_implicit_axes".split()
#: modules -> names that differ, with reasons
MODULES: dict[str, dict[str, str]] = {
    "mx.attribute": {},
    "mx.base": {
        **dict.fromkeys("c2pyerror c_handle_array get_last_ffi_error".split(), C_LIBRARY),
        **dict.fromkeys("add_fileline_to_docstring build_param_doc".split(), "it writes docstrings of generated functions"),
        "libinfo": IMPORTED,
    },
    "mx.context": {},
    "mx.executor": {"Executor.__init__": MADE_BY_BIND, "Executor.__del__": FREED, "ndarray": IMPORTED},
    "mx.name": {},
    "mx.ndarray": {
        **_FACE,
        **dict.fromkeys([*_INDEXING, *(f"__all__.{name}" for name in _INDEXING)], INDEXING),
        "NDArray.__del__": FREED,
        "__all__._new_empty_handle": C_LIBRARY,
        "imdecode": "use mx.image.imdecode",
        "__all__.imdecode": "use mx.image.imdecode",
    },
    "mx.ndarray._internal": {"__all__._*": C_LIBRARY},
    "mx.ndarray.contrib": {**dict.fromkeys("current_context uniform mx ndarray".split(), IMPORTED)},
    "mx.ndarray.image": {},
    "mx.ndarray.linalg": {},
    "mx.ndarray.op": {"__all__.CachedOp": IMPORTED},
    "mx.ndarray.random": {"current_context": IMPORTED},
    "mx.ndarray.sparse": {
        "*.__del__": FREED,
        **dict.fromkeys("NotSupportedForSparseNDArray gs_retain py_sum op __all__._ndarray_cls".split(), IMPORTED),
    },
    "mx.ndarray.utils": {},
    "mx.random": {**dict.fromkeys("Context integer_types".split(), IMPORTED)},
    "mx.symbol": {**_FACE, "Symbol.__del__": FREED},
    "mx.symbol._internal": {
        **dict.fromkeys("AttrScope NameManager".split(), IMPORTED),
        "__all__._*": C_LIBRARY,
    },
    "mx.symbol.contrib": {
        **dict.fromkeys("AttrScope Symbol symbol uniform".split(), IMPORTED),
        **dict.fromkeys("adamw_update mp_adamw_update".split(), "operators that update weights exist for arrays only"),
    },
    "mx.symbol.image": {},
    "mx.symbol.linalg": {},
    "mx.symbol.op": {},
    "mx.symbol.random": {"numeric_types": IMPORTED},
    "mx.symbol.sparse": {},
    "mx.util": {**dict.fromkeys("np_ufunc_legal_option wrap_np_binary_func wrap_np_unary_func".split(), MX_NP)},
}


def _differing(module: str) -> dict[str, Any]:
    """What differs in a module, operators apart, by the name within the module."""
    entry = api_walk.survey()["modules"][module]
    operators = set(entry["operators"])
    found = {place[len(module) + 1 :]: text for place, text in api_walk.problems([module])}
    return {name: text for name, text in found.items() if name.removeprefix("__all__.") not in operators}


@pytest.mark.parametrize("module", MODULES)
def test_names_and_signatures(module: str) -> None:
    found, excuses = _differing(module), MODULES[module]
    lines = [
        f"{module}.{name} {text}"
        for name, text in found.items()
        if not any(fnmatchcase(name, pattern) for pattern in excuses)
    ]
    idle = [pattern for pattern in excuses if not any(fnmatchcase(name, pattern) for name in found)]
    assert not lines, "\n" + "\n".join(lines)
    assert not idle, f"excuses that cover nothing: {idle}"


def test_few_names_are_excused() -> None:
    """At most one name in twenty differs, operators apart."""
    names = excused = 0
    for module in MODULES:
        entry = api_walk.survey()["modules"][module]
        own = sum(len(cls["methods"]) + len(cls["properties"]) + 1 for cls in entry["classes"].values())
        names += own + len(entry["functions"]) + len(entry["values"]) + len(entry["submodules"])
        excused += sum(not name.startswith("__all__.") for name in _differing(module))
    assert excused <= names / 20, f"{excused} of {names}"
