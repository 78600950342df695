"""Imports point down only: every file of the package imports from its own layer or a lower one."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import mxcompat

ROOT = Path(mxcompat.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))

#: layer of each module, by the longest prefix; lower numbers are lower layers
LAYERS = {
    "base": 0,
    "c_types": 0,
    "allocator": 0,
    "scope": 0,
    "dtype": 0,
    "context": 0,
    "name": 0,
    "attribute": 0,
    "absent": 0,
    "formats": 0,
    "recordio": 0,
    "util": 0,
    "registry": 0,
    "gluon": 0,
    "downloads": 0,
    "differences": 0,
    "ops": 1,
    "ndarray": 2,
    "symbol": 2,
    "graph": 3,
    "executor": 4,
    "mixed_executor": 4,
    "bind": 4,
    "operator": 4,
    "autograd": 4,
    "random": 4,
    "test_utils": 5,
    "initializer": 5,
    "lr_scheduler": 5,
    "optimizer": 5,
    "metric": 5,
    "callback": 5,
    "monitor": 5,
    "kvstore": 5,
    "io": 5,
    "image": 5,
    "misc": 5,
    "engine": 5,
    "error": 5,
    "libinfo": 5,
    "log": 5,
    "notebook": 5,
    "profiler": 5,
    "runtime": 5,
    "visualization": 5,
    "contrib": 6,
    "convert": 6,
    "onnx": 6,
    "model": 6,
    "module": 6,
    "rnn": 6,
    "executor_manager": 6,
    "migrate": 7,
    "check": 7,
    "tools": 7,
    "regression": 7,
    "__main__": 8,
    "": 8,
}


def _module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _layer(module: str) -> int:
    return LAYERS[module.split(".")[0]]


def _imports(path: Path) -> list[tuple[int, str]]:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names if alias.name.startswith("mxcompat.")]
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "mxcompat":
            if node.module == "mxcompat":
                found += [(node.lineno, f"mxcompat.{alias.name}") for alias in node.names]
            else:
                found.append((node.lineno, node.module))
    return [(line, name[len("mxcompat.") :]) for line, name in found]


@pytest.mark.parametrize("path", FILES, ids=_module)
def test_imports_point_down(path: Path) -> None:
    own = _module(path)
    for line, imported in _imports(path):
        if imported.startswith("__version__"):
            continue
        assert _layer(imported) <= _layer(own), f"{path.name}:{line}: {own or 'mxcompat'} imports {imported} from above"
        siblings = {own.split(".")[0], imported.split(".")[0]}
        assert siblings != {"ndarray", "symbol"}, f"{path.name}:{line}: ndarray and symbol are siblings"


def test_operators_know_torch_only() -> None:
    for path in FILES:
        if _module(path).startswith("ops"):
            allowed = {"base", "dtype", "context", "formats", "ops", "scope"}
            assert all(name.split(".")[0] in allowed for _, name in _imports(path)), path
