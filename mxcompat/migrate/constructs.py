"""What ``mxcompat migrate`` writes in the place of names that NumPy and Python removed.

Which names these are is said by the tables of ``mxcompat.migrate.idioms`` alone; most replacements follow from the values
there. Only calls whose arguments change are spelled out here.
"""

from __future__ import annotations

import builtins
import functools
import math
from types import ModuleType
from typing import Any

import numpy as np

from mxcompat.migrate import idioms

__all__ = ["CALLS", "FROM_IMPORTS", "MODULES", "numpy_text", "python_text"]

#: NumPy function -> the call that does the same, by the number of its positional arguments; {np} is NumPy's local name
CALLS: dict[str, dict[int, str]] = {
    "asscalar": {1: "{np}.asarray({0}).item()"},
    "asfarray": {1: "{np}.asarray({0}, dtype={np}.float64)"},
    "in1d": {2: "{np}.isin({np}.asarray({0}).ravel(), {1})"},
    "msort": {1: "{np}.sort({0}, axis=0)"},
    "rank": {1: "{np}.ndim({0})"},
    "find_common_type": {2: "{np}.result_type(*{0}, *{1})"},
}
#: modules that have moved as a whole
MODULES = {"xml.etree.cElementTree": "xml.etree.ElementTree"}
#: (module, name) that nothing in Python replaces -> where mxcompat keeps it
FROM_IMPORTS = {
    ("distutils.version", "LooseVersion"): "mxcompat.migrate.removed_modules",
    ("distutils.version", "StrictVersion"): "mxcompat.migrate.removed_modules",
    ("imp", "reload"): "importlib",
}
#: where NumPy's own name for a value depends on the machine, or on its version
_NUMPY_SPELLINGS = {"int0": "intp", "uint0": "uintp", "bool8": "bool_", "trapz": "trapezoid"}


def numpy_text(name: str, numpy: str) -> str | None:
    """An expression for the name that NumPy removed; ``numpy`` is NumPy's local name. None where there is none."""
    value = idioms.NUMPY_NAMES[name]
    if name in _NUMPY_SPELLINGS:
        return f"{numpy}.{_NUMPY_SPELLINGS[name]}"
    if isinstance(value, float):
        return _number_text(value, numpy)
    if isinstance(value, ModuleType):
        return value.__name__
    own = getattr(value, "__name__", "")
    if getattr(builtins, own, None) is value:
        return own
    if name in CALLS or own.startswith("_"):
        return None
    if getattr(getattr(np, "exceptions", None), own, None) is value:
        return f"{numpy}.exceptions.{own}"
    found = own if getattr(np, own, None) is value and own not in idioms.NUMPY_NAMES else _name_in_numpy(value)
    return f"{numpy}.{found}" if found else None


def _number_text(value: float, numpy: str) -> str:
    if math.isnan(value):
        return f"{numpy}.nan"
    if math.isinf(value):
        return f"{numpy}.inf" if value > 0 else f"-{numpy}.inf"
    return repr(value)


def _name_in_numpy(value: Any) -> str | None:
    names = [name for name, one in vars(np).items() if one is value and name not in idioms.NUMPY_NAMES]
    return min(names, default=None)


@functools.cache
def _python_names() -> dict[str, dict[str, Any]]:
    return {owner.__name__: names for owner, names in idioms.PYTHON_NAMES.items() if isinstance(owner, ModuleType)}


def python_text(module: str, name: str) -> tuple[str, str] | None:
    """(module, name) of what stands in for a name that Python removed from a module; None where nothing does."""
    value = _python_names().get(module, {}).get(name)
    own = getattr(value, "__name__", "")
    if value is None or own.startswith("_") or value is idioms.ArgSpec:
        return None
    home = getattr(value, "__module__", "")
    if module == "collections":
        return "collections.abc", name
    if home != module and own in dir(__import__(module)):
        home = module
    return home, own
