"""What a program binds itself, and where it has an answer to a name that is missing."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator

__all__ = ["Bindings", "dotted", "guarded_names", "is_version_test"]

_MISSING = {"ImportError", "ModuleNotFoundError", "AttributeError", "NameError"}
#: star imports that bring names of Python 2
_COMPATIBLE = ("six", "past", "future", "builtins")
_VERSION_WORDS = ("version_info", "PY2", "PY3", "__version__", "python_version", "hexversion")


class Bindings:
    """``names`` that a module binds anywhere, ``methods`` that it defines, and attributes that it sets.

    Where in the module does not matter: functions run after all of it was read.
    """

    def __init__(self, tree: ast.Module):
        self.names: set[str] = set(dir(builtins))
        self.methods: set[str] = set()
        self._attributes: set[str] = set()  # dotted
        for node in ast.walk(tree):
            self._collect(node)

    def _collect(self, node: ast.AST) -> None:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            self.names.add(node.id)
        elif isinstance(node, ast.arg):
            self.names.add(node.arg)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            self.names.add(node.name)
            self.methods.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            self.names |= set(_imported(node))
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            self._attributes.add(dotted(node))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "setattr":
            if len(node.args) > 1 and isinstance(node.args[1], ast.Constant):
                self._attributes.add(f"{dotted(node.args[0])}.{node.args[1].value!s}")

    def sets(self, node: ast.Attribute) -> bool:
        """Whether the module puts something into that attribute itself, or into one on the way to it."""
        while isinstance(node, ast.Attribute):
            text = dotted(node)
            if not text:
                return False
            if text in self._attributes:
                return True
            node = node.value  # type: ignore[assignment]
        return False

    def catches_missing(self, node: ast.Try) -> bool:
        """Whether the ``try`` is about names that may be missing: by what it catches, or because it is short.

        A handler of everything around a whole program is no answer to one missing name.
        """
        caught = {name for handler in node.handlers for name in _caught(handler)}
        is_short = len(node.body) == 1 or all(isinstance(part, (ast.Import, ast.ImportFrom)) for part in node.body)
        return bool(caught & _MISSING) or ("Exception" in caught and is_short)


def dotted(node: ast.AST) -> str:
    """The text of a chain of attributes that begins with a name; '' for anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def _imported(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    for alias in node.names:
        if alias.name == "*" and (getattr(node, "module", "") or "").split(".")[0] in _COMPATIBLE:
            yield from ("xrange", "unicode", "raw_input", "basestring", "unichr", "long", "reduce", "cmp", "reload")
        yield alias.asname or alias.name.split(".")[0]


def _caught(handler: ast.ExceptHandler) -> list[str]:
    if handler.type is None:
        return ["Exception"]
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return [ast.unparse(kind).rpartition(".")[2] for kind in kinds]


def guarded_names(test: ast.expr) -> set[str]:
    """The names that a condition asks for by ``hasattr``, ``getattr`` or ``in``."""
    found: list[ast.expr] = []
    for node in ast.walk(test):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("hasattr", "getattr"):
            found += node.args[1:2]
        elif isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.In, ast.NotIn)):
            found.append(node.left)  # "x" in dir(mx.sym)
    return {node.value for node in found if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def is_version_test(test: ast.expr) -> bool:
    """Whether a condition asks for the version of Python or of a package."""
    text = ast.unparse(test)
    return any(word in text for word in _VERSION_WORDS)
