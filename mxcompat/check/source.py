"""Reading Python sources: the uses of MXNet's names, wherever imports and plain assignments put them."""

from __future__ import annotations

import ast
import functools
import importlib.util
import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy

from mxcompat.check import names
from mxcompat.check.bindings import Bindings, dotted, guarded_names, is_version_test
from mxcompat.check.calls import Call, check_call
from mxcompat.check.findings import Finding
from mxcompat.differences import DRAWS, differs
from mxcompat.downloads import GONE
from mxcompat.migrate import idioms, python2
from mxcompat.migrate.removed_modules import DISTUTILS
from mxcompat.migrate.run import python2_construct

__all__ = ["check_source", "syntax_finding"]

_URL_HOST = re.compile(r"https?://([^/\s'\"]+)")
#: builtins, modules and methods of Python 2 that Python 3 has not
_OLD_BUILTINS = (python2.OLD_NAMES | {"reduce", "cmp", "reload"}) - {"izip", "imap", "ifilter"}
_OLD_METHODS = {"iteritems": 0, "itervalues": 0, "iterkeys": 0, "has_key": 1}
#: methods that NumPy removed -> how many arguments a call has that can only mean an array
_ARRAY_METHODS = {"tostring": (0,), "itemset": (1, 2), "ptp": (0, 1)}
_COPIES = "MXNet's own downloads take copies from the folder that MXCOMPAT_DATA names"
#: what a program that has an answer to it need not be told: a name that is missing, or of an older Python or NumPy
_ANSWERED = ("MX1", "MX301", "MX302", "MX303")


def check_source(text: str, file: str) -> tuple[list[Finding], int]:
    """The findings in a source, and how often it uses MXNet's names."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError) as error:
        return [syntax_finding(error, text, file)], 0
    visitor = _Visitor(file, text, Bindings(tree))
    visitor.visit(tree)
    return visitor.findings, visitor.uses


def syntax_finding(error: Exception, text: str, file: str) -> Finding:
    """What is told of a source that Python 3 cannot parse; Python 2 is named as such."""
    if not isinstance(error, SyntaxError):  # null bytes
        return Finding(file, 1, 1, "MX100", f"syntax error: {error}")
    lines = text.splitlines()
    line = lines[error.lineno - 1] if error.lineno and error.lineno <= len(lines) else ""
    construct = "tabs mixed with spaces" if isinstance(error, TabError) else python2_construct(line)
    what = (
        f"this is Python 2 ({construct}): mxcompat migrate --py2 converts it"
        if construct
        else f"syntax error: {error.msg}"
    )
    return Finding(file, error.lineno or 1, max(error.offset or 1, 1), "MX101" if construct else "MX100", what)


class _Visitor(ast.NodeVisitor):
    """Walks one module. ``known`` maps names to the dotted path below ``mx`` that they stand for."""

    def __init__(self, file: str, text: str, bindings: Bindings):
        self.file, self.bindings = file, bindings
        self._lines = re.split("\r\n|[\r\n]", text)  # as Python counts them
        self.findings: list[Finding] = []
        self.uses = 0
        self.known: dict[str, str] = {}
        self.numpy: set[str] = set()
        self.modules: dict[str, str] = {}  # other modules: local name -> module
        self.answered: list[tuple[set[str] | None, tuple[str, ...]]] = []  # names (None: all), codes

    def report(self, node: ast.AST, code: str, text: str, name: str = "") -> None:
        if any((names is None or name in names) and code.startswith(codes) for names, codes in self.answered):
            return
        line, offset = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
        column = len(self._lines[line - 1].encode()[:offset].decode(errors="replace"))  # the tree counts bytes
        self.findings.append(Finding(self.file, line, column + 1, code, text))

    # -- imports ------------------------------------------------------------------------------------------------

    def visit_Import(self, node: ast.Import) -> None:  # noqa: N802
        for alias in node.names:
            root = alias.name.split(".")[0]
            local = alias.asname or root
            self._rebind(local)
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
            self._rebind(alias.asname or alias.name)
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
                if f"{module}.{alias.name}" in idioms.PYTHON_MODULES:  # from xml.etree import cElementTree
                    self._other_module(node, f"{module}.{alias.name}")
                if module == "numpy":
                    self._numpy_name(node, alias.name)

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
        package, _, below = module.partition(".")
        if package == "distutils" and below and below not in DISTUTILS:
            self.report(node, "MX112", f"the module {module} is gone from Python; setuptools has it")
        elif module in idioms.PYTHON_MODULES or package in idioms.PYTHON_MODULES:
            self.report(node, "MX112", f"the module {module} is gone from Python; mxcompat run gives it back")
        if module.split(".")[0] in python2.OLD_MODULES:
            self.report(node, "MX102", f"the module {module} is Python 2's: mxcompat migrate --py2 converts it")

    def _lost_name(self, node: ast.AST, module: str, name: str) -> None:
        for owner, lost in idioms.PYTHON_NAMES.items():
            if getattr(owner, "__name__", "") == module and name in lost and not idioms._has(owner, name):
                self.report(node, "MX111", f"{module}.{name} is gone from Python; mxcompat run gives it back", name)
        if name in python2.OLD_ATTRIBUTES.get(module, ()):
            self.report(node, "MX102", f"{module}.{name} is Python 2's: mxcompat migrate --py2 converts it", name)

    def _numpy_name(self, node: ast.AST, path: str) -> None:
        name = path.rpartition(".")[2]
        if path in idioms.NUMPY_NAMES and not idioms._has(numpy, path):
            instead = getattr(idioms.NUMPY_NAMES[path], "__name__", "_")
            text = f"np.{path} is gone from NumPy; mxcompat run gives it back"
            self.report(node, "MX110", text + ("" if instead[0] == "_" else f" (it was {instead})"), name)
        elif not _is_in_numpy(path):
            self.report(node, "MX110", f"np.{path} is not in NumPy {numpy.__version__}", name)

    # -- names --------------------------------------------------------------------------------------------------

    def _rebind(self, name: str) -> None:
        """The name stands for something else from now on."""
        self.known.pop(name, None)
        self.numpy.discard(name)
        self.modules.pop(name, None)

    @contextmanager
    def _scope(self, hidden: Iterable[str] = ()) -> Iterator[None]:
        """What is bound inside, and the ``hidden`` names, are forgotten behind it."""
        outer = dict(self.known), set(self.numpy), dict(self.modules)
        for name in hidden:
            self._rebind(name)
        yield
        self.known, self.numpy, self.modules = outer

    def visit_Assign(self, node: ast.Assign) -> None:  # noqa: N802
        self.visit(node.value)
        path = self._path(node.value)
        for target in node.targets:
            self.visit(target)
            if isinstance(target, ast.Name) and path is not None and self._is_followed(path):
                self.known[target.id] = path

    def _is_followed(self, path: str) -> bool:
        """Whether a plain assignment of it makes another name for it: modules, classes and functions."""
        try:
            return callable(found := names.resolve(path)) or isinstance(found, type(names))
        except names.Unknown:
            return False

    def visit_FunctionDef(self, node: Any) -> None:  # noqa: N802
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
        outside = [*getattr(node, "decorator_list", ()), *node.args.defaults, *node.args.kw_defaults]
        outside += [getattr(node, "returns", None), *(a.annotation for a in arguments if a is not None)]
        for part in filter(None, outside):
            self.visit(part)
        if hasattr(node, "name"):
            self._rebind(node.name)
        with self._scope(a.arg for a in arguments if a is not None):
            for statement in node.body if isinstance(node.body, list) else [node.body]:
                self.visit(statement)

    visit_AsyncFunctionDef = visit_Lambda = visit_FunctionDef

    def visit_ClassDef(self, node: ast.ClassDef) -> None:  # noqa: N802
        self._rebind(node.name)
        with self._scope():
            self.generic_visit(node)

    def visit_ListComp(self, node: Any) -> None:  # noqa: N802
        self.visit(node.generators[0].iter)
        with self._scope():
            for number, part in enumerate(node.generators):
                for inner in (part.target, *part.ifs) if number == 0 else (part.iter, part.target, *part.ifs):
                    self.visit(inner)
            for name in ("key", "value", "elt"):
                if hasattr(node, name):
                    self.visit(getattr(node, name))

    visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_ListComp

    # -- parts that a program has an answer to ---------------------------------------------------------------------

    def _visit_answered(
        self, names: set[str] | None, parts: Iterable[ast.AST], codes: tuple[str, ...] = _ANSWERED
    ) -> None:
        self.answered.append((names, codes))
        for part in parts:
            self.visit(part)
        self.answered.pop()

    def visit_Try(self, node: ast.Try) -> None:  # noqa: N802
        is_answer = self.bindings.catches_missing(node)
        self._visit_answered(None if is_answer else set(), node.body)
        self._visit_answered(None if is_answer else set(), node.handlers, ("MX1",))  # except ImportError: import Queue
        for part in (*node.orelse, *node.finalbody):
            self.visit(part)

    def visit_If(self, node: Any) -> None:  # noqa: N802
        self.visit(node.test)
        answered = None if is_version_test(node.test) else guarded_names(node.test)
        self._visit_answered(answered, node.body if isinstance(node.body, list) else [node.body])
        self._visit_answered(answered, node.orelse if isinstance(node.orelse, list) else [node.orelse])

    visit_IfExp = visit_If

    # -- uses -----------------------------------------------------------------------------------------------------

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
        if self.bindings.sets(node):
            return
        path = self._path(node)
        if path is not None:
            self._use(node, path)
            return
        owner, _, below = dotted(node).partition(".")
        if owner in self.numpy and below:
            self._numpy_name(node, below)
            return
        if isinstance(node.value, ast.Name) and owner in self.modules:
            self._lost_name(node, self.modules[owner], node.attr)
        self.visit(node.value)

    def visit_Name(self, node: ast.Name) -> None:  # noqa: N802
        if isinstance(node.ctx, ast.Store):
            self._rebind(node.id)
        elif node.id in self.known and self.known[node.id]:
            self._use(node, self.known[node.id], renamed=True)
        elif node.id in _OLD_BUILTINS and node.id not in self.bindings.names:
            self.report(node, "MX102", f"{node.id} is Python 2's: mxcompat migrate --py2 converts it", node.id)

    def _use(self, node: ast.AST, path: str, importing: bool = False, renamed: bool = False) -> None:
        """A use of ``mx.<path>``; ``renamed``: by a name that an import has brought, and that was told of there.

        Importing a module or a class that is absent does no harm, so that this is told where it is used.
        """
        self.uses += 1
        if not path:
            return
        try:
            names.resolve(path)
        except names.Unknown as error:
            is_absent = error.code == "MX302"
            if is_absent if renamed else not (importing and is_absent):
                self.report(node, error.code, error.text, path.rpartition(".")[2])
            return
        different = None if importing else names.different_function(path)
        if different:
            self.report(node, "MX202" if different == DRAWS else "MX201", differs(f"mx.{path}", different))

    # -- calls --------------------------------------------------------------------------------------------------

    def visit_Call(self, node: ast.Call) -> None:  # noqa: N802
        path = self._path(node.func)
        if path is not None:
            places = {k.arg: k for k in node.keywords if k.arg is not None}
            stars = len(places) < len(node.keywords) or any(isinstance(arg, ast.Starred) for arg in node.args)
            args = () if stars else tuple(self._literal(arg) for arg in node.args)
            call = Call(path, args, {key: self._literal(k.value) for key, k in places.items()}, stars)
            for key, code, text in check_call(call):
                self.report(node if key is None else places.get(key, node), code, text)
        self._method_call(node)
        self.generic_visit(node)

    def _method_call(self, node: ast.Call) -> None:
        """Calls of other modules' functions, and of methods of objects whose class only a run knows."""
        if not isinstance(node.func, ast.Attribute):
            return
        owner, name = node.func.value, node.func.attr
        module = self.modules.get(owner.id) if isinstance(owner, ast.Name) else None
        if module in ("pickle", "cPickle", "dill", "joblib") and name in ("load", "loads"):
            self.report(node, "MX501", f"{module}.{name} runs code of the file: load only files that you trust")
        if module is not None or self._path(node.func) is not None:
            return
        count = len(node.args) + len(node.keywords)
        if _OLD_METHODS.get(name) == count and name not in self.bindings.methods:
            self.report(node, "MX102", f".{name}() is Python 2's: mxcompat migrate --py2 converts it", name)
        gone = count in _ARRAY_METHODS.get(name, ()) and not idioms._has(numpy.ndarray, name)
        if gone and name not in self.bindings.methods and not (isinstance(owner, ast.Name) and owner.id in self.numpy):
            text = f"arrays have no {name}() in this NumPy any more: write {idioms.NUMPY_METHODS[name]}"
            self.report(node, "MX113", text, name)

    def visit_Constant(self, node: ast.Constant) -> None:  # noqa: N802
        if isinstance(node.value, str):
            for host in _URL_HOST.findall(node.value):
                if host.lower() in GONE:
                    self.report(node, "MX502", f"{host} no longer serves files: {_COPIES}")

    def _literal(self, node: ast.expr) -> Any:
        """The value of a literal or of a type of NumPy; ``...`` for anything else."""
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in self.numpy:
            found = getattr(numpy, node.attr, ...) if node.attr not in idioms.NUMPY_NAMES else ...
            return found if isinstance(found, type) else ...
        try:
            return ast.literal_eval(node)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            return ...


@functools.cache
def _is_in_numpy(path: str) -> bool:
    """Whether NumPy has what ``np.<path>`` names; of what is below a class or a value the run alone knows."""
    found: Any = numpy
    for name in path.split("."):
        if not isinstance(found, ModuleType):
            return True
        if not idioms._has(found, name):
            is_package = hasattr(found, "__path__")
            return is_package and importlib.util.find_spec(f"{found.__name__}.{name}") is not None
        found = getattr(found, name)
    return True
