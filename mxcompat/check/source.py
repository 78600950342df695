"""Reading Python sources: the uses of MXNet's names, wherever imports and plain assignments put them."""

from __future__ import annotations

import ast
import builtins
import re
import warnings
from collections.abc import Iterator
from typing import Any

from mxcompat.check import names
from mxcompat.check.findings import Finding
from mxcompat.downloads import GONE
from mxcompat.migrate import idioms
from mxcompat.migrate.run import python2_construct

_URL_HOST = re.compile(r"https?://([^/\s'\"]+)")
#: Python 2's builtins that Python 3 has not
_OLD_BUILTINS = {
    "xrange",
    "unicode",
    "raw_input",
    "unichr",
    "basestring",
    "long",
    "reduce",
    "execfile",
    "cmp",
    "reload",
}


def check_source(text: str, file: str, first_line: int = 1) -> tuple[list[Finding], int]:
    """The findings in a source, and how often it uses MXNet's names."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except SyntaxError as error:
        line = text.splitlines()[error.lineno - 1] if error.lineno and error.lineno <= text.count("\n") + 1 else ""
        construct = "tabs mixed with spaces" if isinstance(error, TabError) else python2_construct(line)
        what = (
            f"this is Python 2 ({construct}): mxcompat migrate --py2 converts it"
            if construct
            else f"syntax error: {error.msg}"
        )
        place = (error.lineno or 1) + first_line - 1
        return [Finding(file, place, error.offset or 1, "MX101" if construct else "MX100", what)], 0
    except ValueError as error:  # null bytes
        return [Finding(file, first_line, 1, "MX100", f"syntax error: {error}")], 0
    visitor = _Visitor(file, first_line)
    visitor.visit(tree)
    return visitor.findings, visitor.uses


class _Visitor(ast.NodeVisitor):
    """Walks one module. ``known`` maps names to the dotted path below ``mx`` that they stand for."""

    def __init__(self, file: str, first_line: int):
        self.file, self.first_line = file, first_line
        self.findings: list[Finding] = []
        self.uses = 0
        self.known: dict[str, str] = {}
        self.numpy: set[str] = set()
        self.modules: dict[str, str] = {}  # other modules that lost names: local name -> module
        self.bound: set[str] = set(dir(builtins))
        self.optional = 0  # inside try: … except ImportError/AttributeError

    def report(self, node: ast.AST, code: str, text: str) -> None:
        line, column = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
        self.findings.append(Finding(self.file, line + self.first_line - 1, column + 1, code, text))

    # -- imports ------------------------------------------------------------------------------------------------

    def visit_Import(self, node: ast.Import) -> None:  # noqa: N802
        for alias in node.names:
            root = alias.name.split(".")[0]
            local = alias.asname or root
            self.bound.add(local)
            if root in ("mxnet", "mxcompat"):
                path = alias.name.partition(".")[2]
                self.known[local] = path if alias.asname else ""
                self._use(node, path, importing=True)
            elif root == "numpy":
                if alias.name == "numpy" or not alias.asname:
                    self.numpy.add(local)
            else:
                self._other_module(node, alias.name)
                self.modules[local] = alias.name if alias.asname else root

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:  # noqa: N802
        module = node.module or ""
        for alias in node.names:
            self.bound.add(alias.asname or alias.name)
        if node.level:
            return
        if module.split(".")[0] in ("mxnet", "mxcompat"):
            below = module.partition(".")[2]
            for alias in node.names:
                if alias.name == "*":
                    self._star(node, below)
                    continue
                path = f"{below}.{alias.name}" if below else alias.name
                self.known[alias.asname or alias.name] = path
                self._use(node, path, importing=True)
        elif module:
            self._other_module(node, module)
            for alias in node.names:
                self._lost_name(node, module, alias.name)
                if module == "numpy" and alias.name in idioms.NUMPY_NAMES and not _numpy_has(alias.name):
                    self.report(node, "MX110", _numpy_text(alias.name))

    def _star(self, node: ast.AST, below: str) -> None:
        self.uses += 1
        try:
            module = names.resolve(below)
        except names.Unknown as error:
            self.report(node, error.code, error.text)
            return
        for name in getattr(module, "__all__", None) or [n for n in dir(module) if not n.startswith("_")]:
            self.known[name] = f"{below}.{name}" if below else name

    def _other_module(self, node: ast.AST, module: str) -> None:
        for old in idioms.PYTHON_MODULES:
            if module == old or module.startswith(old + "."):
                self.report(node, "MX112", f"Python has no module {old} any more; mxcompat run gives it back")

    def _lost_name(self, node: ast.AST, module: str, name: str) -> None:
        for owner, lost in idioms.PYTHON_NAMES.items():
            if getattr(owner, "__name__", "") == module and name in lost and not idioms._has(owner, name):
                self.report(node, "MX111", f"{module}.{name} is gone from Python; mxcompat run gives it back")

    # -- names --------------------------------------------------------------------------------------------------

    def visit_Assign(self, node: ast.Assign) -> None:  # noqa: N802
        self.visit(node.value)
        path = self._path(node.value)
        for target in node.targets:
            if isinstance(target, ast.Name):
                if path is not None and self._is_namespace(path):
                    self.known[target.id] = path
                else:
                    self.known.pop(target.id, None)
                    self.numpy.discard(target.id)
                self.bound.add(target.id)
            else:
                self.visit(target)

    def _is_namespace(self, path: str) -> bool:
        try:
            return isinstance(names.resolve(path), (type, type(names)))
        except names.Unknown:
            return False

    def visit_FunctionDef(self, node: Any) -> None:  # noqa: N802
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
        hidden = {a.arg for a in arguments if a is not None}
        self.bound.add(getattr(node, "name", ""))
        outer, outer_numpy = dict(self.known), set(self.numpy)
        for part in (*getattr(node, "decorator_list", ()), *node.args.defaults, *node.args.kw_defaults):
            if part is not None:
                self.visit(part)
        self.known = {name: path for name, path in self.known.items() if name not in hidden}
        self.numpy -= hidden
        self.bound |= hidden
        for statement in node.body if isinstance(node.body, list) else [node.body]:
            self.visit(statement)
        self.known, self.numpy = outer, outer_numpy

    visit_AsyncFunctionDef = visit_Lambda = visit_FunctionDef

    def visit_Try(self, node: ast.Try) -> None:  # noqa: N802
        caught = " ".join(ast.unparse(h.type) if h.type is not None else "Exception" for h in node.handlers)
        guarded = any(word in caught for word in ("ImportError", "AttributeError", "Exception", "ModuleNotFoundError"))
        self.optional += guarded
        for statement in node.body:
            self.visit(statement)
        self.optional -= guarded
        for part in (*node.handlers, *node.orelse, *node.finalbody):
            self.visit(part)

    def _path(self, node: ast.AST) -> str | None:
        """The path below ``mx`` of a chain of attributes; None for anything else."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id not in self.known:
            return None
        return ".".join(part for part in (self.known[node.id], *reversed(parts)) if part)

    def visit_Attribute(self, node: ast.Attribute) -> None:  # noqa: N802
        path = self._path(node)
        if path is not None:
            self._use(node, path)
            return
        if isinstance(node.value, ast.Name):
            owner = node.value.id
            if owner in self.numpy and node.attr in idioms.NUMPY_NAMES and not _numpy_has(node.attr):
                self.report(node, "MX110", _numpy_text(node.attr))
            elif owner in self.modules:
                self._lost_name(node, self.modules[owner], node.attr)
        self.visit(node.value)

    def visit_Name(self, node: ast.Name) -> None:  # noqa: N802
        if isinstance(node.ctx, ast.Store):
            self.bound.add(node.id)
            self.known.pop(node.id, None)
        elif node.id in self.known and self.known[node.id]:
            self.uses += 1
        elif node.id in _OLD_BUILTINS and node.id not in self.bound:
            self.report(node, "MX102", f"{node.id} is Python 2's: mxcompat migrate --py2 converts it")

    def _use(self, node: ast.AST, path: str, importing: bool = False) -> None:
        self.uses += 1
        if importing and not path:
            return
        try:
            found = names.resolve(path)
        except names.Unknown as error:
            if importing and error.code == "MX302":
                return  # importing such a module or class alone does no harm
            if not self.optional:
                self.report(node, error.code, error.text)
            return
        del found

    # -- calls --------------------------------------------------------------------------------------------------

    def visit_Call(self, node: ast.Call) -> None:  # noqa: N802
        path = self._path(node.func)
        if path is not None:
            keywords = {k.arg: _literal(k.value) for k in node.keywords if k.arg is not None}
            places = {k.arg: k for k in node.keywords}
            for key, code, text in names.check_call(path, keywords):
                self.report(places[key], code, text)
        self._risky_call(node)
        self.generic_visit(node)

    def _risky_call(self, node: ast.Call) -> None:
        if not isinstance(node.func, ast.Attribute) or not isinstance(node.func.value, ast.Name):
            return
        owner, name = self.modules.get(node.func.value.id, ""), node.func.attr
        if owner in ("pickle", "cPickle", "dill", "joblib") and name in ("load", "loads"):
            self.report(node, "MX501", f"{owner}.{name} runs code of the file: load only files that you trust")

    def visit_Constant(self, node: ast.Constant) -> None:  # noqa: N802
        if isinstance(node.value, str):
            for host in _URL_HOST.findall(node.value):
                if host.lower() in GONE:
                    text = f"{host} no longer serves files: place a copy in the folder that MXCOMPAT_DATA names"
                    self.report(node, "MX502", text)


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError):
        return ...


def _numpy_has(name: str) -> bool:
    import numpy

    return idioms._has(numpy, name)


def _numpy_text(name: str) -> str:
    value = idioms.NUMPY_NAMES[name]
    instead = getattr(value, "__name__", None)
    return f"np.{name} is gone from NumPy; mxcompat run gives it back" + (f" (it was {instead})" if instead else "")


def cells(notebook: dict) -> Iterator[str]:
    """The code cells of a notebook, without IPython's own commands."""
    for cell in notebook.get("cells", []) or [
        c for sheet in notebook.get("worksheets", []) for c in sheet.get("cells", [])
    ]:
        if cell.get("cell_type") == "code":
            source = cell.get("source", cell.get("input", ""))
            text = "".join(source) if isinstance(source, list) else str(source)
            if text.lstrip().startswith("%%"):
                continue
            yield "\n".join("pass" if line.lstrip()[:1] in ("%", "!", "?") else line for line in text.split("\n"))
