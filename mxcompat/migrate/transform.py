"""The changes of ``mxcompat migrate`` to one Python source, on libcst's tree: comments and layout stay (extra ``[migrate]``).

``mxnet`` becomes ``mxcompat`` in every import, and names that NumPy and Python removed become what they stood for. Names
are followed through imports and scopes, so that a variable that happens to be called ``np`` is left alone.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import libcst as cst
from libcst.metadata import (
    BuiltinAssignment,
    ExpressionContext,
    ExpressionContextProvider,
    MetadataWrapper,
    QualifiedNameProvider,
    QualifiedNameSource,
    ScopeProvider,
)

from mxcompat.migrate import constructs, idioms

__all__ = ["transform"]

_EMPTY = cst.Module([])
#: one change can make way for another, as a name from an import that goes may have hidden one of Python's own
_ROUNDS = 4


def transform(text: str) -> str:
    """The source with its imports and removed names rewritten; doing it again changes nothing.

    ``libcst.ParserSyntaxError`` for what is not Python 3.
    """
    for _ in range(_ROUNDS):
        if not _TOUCHED.search(text):  # the tree is costly
            break
        before, text = text, _transform_once(text)
        if text == before:
            break
    return text


def _touched() -> re.Pattern:
    """Matches every text in which something may be changed, and some others."""
    python = {name for names in idioms.PYTHON_NAMES.values() for name in names}
    modules = {module.rpartition(".")[2] for module in idioms.PYTHON_MODULES}
    words = "|".join(sorted({"mxnet", "fromstring", *python, *modules}))
    members = "|".join(sorted({*idioms.NUMPY_NAMES, *constructs.CALLS}))
    return re.compile(rf"\b(?:{words})\b|\.\s*(?:{members})\b|\bfrom\s+numpy\b|\bcopy\s*=\s*False\b")


_TOUCHED = _touched()


def _transform_once(text: str) -> str:
    changes = _Changes("isAlive" in _defined(text))
    module = MetadataWrapper(cst.parse_module(text), unsafe_skip_copy=True).visit(changes)
    present = _imported(module.code)
    needed: dict[str, list[str]] = {}
    for home, names in changes.needs.items():
        needed[home] = sorted(names - present)
        present |= names
    return module.visit(_MoreImports(needed)).code


def _defined(text: str) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)}


def _imported(text: str) -> set[str]:
    """The modules that plain imports name."""
    imports = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import)]
    return {alias.name for node in imports for alias in node.names if alias.asname is None}


def _code(node: cst.CSTNode) -> str:
    return _EMPTY.code_for_node(node)


def _renamed(dotted: Any, old: str = "mxnet", new: str = "mxcompat") -> Any:
    """The dotted name with another first part; the same object where the first part is not ``old``."""
    if isinstance(dotted, cst.Attribute):
        value = _renamed(dotted.value, old, new)
        return dotted if value is dotted.value else dotted.with_changes(value=value)
    return dotted.with_changes(value=new) if isinstance(dotted, cst.Name) and dotted.value == old else dotted


class _Changes(cst.CSTTransformer):
    """``needs``: module whose import is there -> modules that the new text uses beside it."""

    METADATA_DEPENDENCIES = (QualifiedNameProvider, ScopeProvider, ExpressionContextProvider)

    def __init__(self, has_is_alive: bool):
        super().__init__()
        self.needs: dict[str, set[str]] = defaultdict(set)
        self._has_is_alive = has_is_alive
        self._no_names: set[int] = set()  # attributes, keywords and parts of imports
        self._keeps_name = False

    # -- imports ------------------------------------------------------------------------------------------------

    def visit_Module(self, node: cst.Module) -> None:  # noqa: N802
        for found in ast.walk(ast.parse(node.code)):
            if isinstance(found, ast.Import):
                self._keeps_name |= any(a.asname == "mxnet" for a in found.names)

    def visit_Import(self, node: cst.Import) -> bool:  # noqa: N802
        return False

    def visit_ImportFrom(self, node: cst.ImportFrom) -> bool:  # noqa: N802
        return False

    def leave_Import(self, original_node: cst.Import, updated_node: cst.Import) -> cst.Import:  # noqa: N802
        return updated_node.with_changes(names=[self._alias(alias) for alias in updated_node.names])

    def _alias(self, alias: cst.ImportAlias) -> cst.ImportAlias:
        name = _renamed(alias.name)
        if name is not alias.name and alias.asname is None and self._keeps_name and isinstance(name, cst.Name):
            return alias.with_changes(name=name, asname=_as("mxnet"))
        moved = constructs.MODULES.get(alias.evaluated_name)
        if moved is not None and alias.asname is not None:
            name = cst.parse_expression(moved)
        return alias.with_changes(name=name)

    def leave_SimpleStatementLine(  # noqa: N802
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> Any:
        if len(updated_node.body) != 1 or not isinstance(updated_node.body[0], cst.ImportFrom):
            return updated_node
        statement = updated_node.body[0]
        if statement.relative or statement.module is None:
            return updated_node
        if isinstance(statement.names, cst.ImportStar):
            changed = statement.with_changes(module=_renamed(statement.module))
            return updated_node.with_changes(body=[changed])
        lines = _split(statement.with_changes(module=_renamed(statement.module)))
        if len(lines) == 1 and lines[0] is statement:
            return updated_node
        lines = lines or [cst.Pass()]  # something has to carry the comments, and to fill a block
        kept = _comments(cst.SimpleStatementLine(lines))
        lost = [text for text in _comments(cst.SimpleStatementLine([statement])) if text not in kept]
        above = [*updated_node.leading_lines, *(cst.EmptyLine(comment=cst.Comment(text)) for text in lost)]
        first = updated_node.with_changes(body=[lines[0]], leading_lines=above)
        return cst.FlattenSentinel([first, *(cst.SimpleStatementLine([line]) for line in lines[1:])])

    # -- names --------------------------------------------------------------------------------------------------

    def visit_Attribute(self, node: cst.Attribute) -> None:  # noqa: N802
        self._no_names.add(id(node.attr))

    def visit_Arg(self, node: cst.Arg) -> None:  # noqa: N802
        if node.keyword is not None:
            self._no_names.add(id(node.keyword))

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.BaseExpression:  # noqa: N802
        if original_node.value != "mxnet" or self._keeps_name or id(original_node) in self._no_names:
            return updated_node
        return updated_node.with_changes(value="mxcompat") if self._is(original_node, "mxnet") else updated_node

    def leave_Attribute(self, original_node: cst.Attribute, updated_node: cst.Attribute) -> Any:  # noqa: N802
        if self.get_metadata(ExpressionContextProvider, original_node, None) is not ExpressionContext.LOAD:
            return updated_node
        if isinstance(original_node.value, cst.Call) and self._is(original_node.value.func, "inspect.getargspec"):
            return _full_argspec(updated_node)
        module, _, name = self._origin(original_node).rpartition(".")
        if module == "numpy" and name in idioms.NUMPY_NAMES:
            return self._numpy_name(original_node, updated_node, name)
        found = constructs.python_text(module, name) if module else None
        if found is None:
            return updated_node
        home, own = found
        prefix = _code(updated_node.value)
        if home != module:
            self.needs[module].add(home)
            prefix = prefix + home[len(module) :] if home.startswith(module + ".") else home
        return _expression(f"{prefix}.{own}", updated_node)

    def _numpy_name(self, original: cst.Attribute, updated: cst.Attribute, name: str) -> Any:
        text = constructs.numpy_text(name, _code(updated.value))
        if text is None or (text.isidentifier() and self._is_shadowed(original, text)):
            return updated
        if text == "math":
            self.needs["numpy"].add("math")
        return _expression(f"({text})" if text.startswith("-") else text, updated)

    def _is_shadowed(self, node: cst.CSTNode, name: str) -> bool:
        scope = self.get_metadata(ScopeProvider, node, None)
        return scope is None or any(not isinstance(one, BuiltinAssignment) for one in scope[name]) and name != "math"

    def _origin(self, node: cst.CSTNode) -> str:
        """The full name of what an imported name stands for; '' for anything else."""
        found = self.get_metadata(QualifiedNameProvider, node, set())
        names = {one.name for one in (found() if callable(found) else found) if one.source is QualifiedNameSource.IMPORT}
        return names.pop() if len(names) == 1 else ""

    def _is(self, node: cst.CSTNode, name: str) -> bool:
        return self._origin(node) == name

    # -- calls --------------------------------------------------------------------------------------------------

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> Any:  # noqa: N802
        func = original_node.func
        if isinstance(func, cst.Attribute) and func.attr.value == "isAlive" and not (original_node.args):
            if not self._has_is_alive:
                return updated_node.with_deep_changes(updated_node.func.attr, value="is_alive")  # type: ignore[attr-defined]
            return updated_node
        module, _, name = self._origin(func).rpartition(".")
        if module != "numpy" or not isinstance(updated_node.func, cst.Attribute):
            return updated_node
        numpy = _code(updated_node.func.value)
        if name == "fromstring":
            return _from_bytes(updated_node)
        if name == "array":
            return _copy_if_needed(updated_node)
        args = updated_node.args
        form = constructs.CALLS.get(name, {}).get(len(args))
        if form is None or any(arg.keyword is not None or arg.star for arg in args):
            return updated_node
        texts = [(_operand if "*" in form else _code)(arg.value) for arg in args]
        return _expression(form.format(*texts, np=numpy), updated_node)

    def leave_Subscript(self, original_node: cst.Subscript, updated_node: cst.Subscript) -> Any:  # noqa: N802
        value = original_node.value
        if isinstance(value, cst.Call) and self._is(value.func, "inspect.getargspec"):
            return updated_node.with_changes(value=_full_spec_call(updated_node.value))
        return updated_node


class _MoreImports(cst.CSTTransformer):
    """Adds ``import new`` behind the first import of each module in ``needed``."""

    def __init__(self, needed: dict[str, list[str]]):
        super().__init__()
        self._needed = needed

    def leave_SimpleStatementLine(  # noqa: N802
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> Any:
        modules = [
            alias.evaluated_name for part in updated_node.body if isinstance(part, cst.Import) for alias in part.names
        ]
        new = [name for module in modules for name in self._needed.pop(module.split(".")[0], [])]
        if not new:
            return updated_node
        return cst.FlattenSentinel([updated_node, *(cst.parse_statement(f"import {name}") for name in new)])


def _comments(node: cst.CSTNode) -> list[str]:
    return [text.strip() for text in _code(node).splitlines() for text in re.findall(r"#.*", text)]


def _as(name: str) -> cst.AsName:
    return cst.AsName(cst.Name(name))


def _expression(text: str, like: Any) -> cst.BaseExpression:
    made: Any = cst.parse_expression(text)
    return made.with_changes(lpar=like.lpar or made.lpar, rpar=like.rpar or made.rpar)


def _operand(node: cst.BaseExpression) -> str:
    """The text of an argument, in brackets where a star before it would tear it apart."""
    simple = isinstance(node, (cst.Name, cst.Attribute, cst.Call, cst.Subscript, cst.List, cst.Tuple, cst.SimpleString))
    return _code(node) if simple or node.lpar else f"({_code(node)})"


def _full_spec_call(call: Any) -> Any:
    return call.with_changes(func=call.func.with_changes(attr=cst.Name("getfullargspec"))) if _by_module(call) else call


def _by_module(call: Any) -> bool:
    return isinstance(call.func, cst.Attribute)


def _full_argspec(node: cst.Attribute) -> cst.Attribute:
    """``inspect.getargspec(f).args`` by ``getfullargspec``."""
    attr = {"keywords": "varkw"}.get(node.attr.value, node.attr.value)
    if attr not in ("args", "varargs", "varkw", "defaults") or not _by_module(node.value):
        return node
    return node.with_changes(value=_full_spec_call(node.value), attr=cst.Name(attr))


def _from_bytes(call: cst.Call) -> cst.BaseExpression:
    """``np.fromstring(x, dtype)`` of bytes as ``np.frombuffer(x, dtype).copy()``; a call with ``sep`` stays."""
    names = [arg.keyword.value if arg.keyword else None for arg in call.args]
    if not call.args or "sep" in names or len(call.args) > 3 or any(arg.star for arg in call.args):
        return call
    if isinstance(call.args[0].value, cst.SimpleString) and "b" not in call.args[0].value.prefix.lower():
        return call
    args = [
        arg.with_changes(keyword=cst.Name("buffer")) if name == "string" else arg for arg, name in zip(call.args, names)
    ]
    assert isinstance(call.func, cst.Attribute)
    func = call.func.with_changes(attr=cst.Name("frombuffer"))
    inner = call.with_changes(func=func, args=args, lpar=[], rpar=[])
    return cst.Call(cst.Attribute(inner, cst.Name("copy")), lpar=call.lpar, rpar=call.rpar)


def _copy_if_needed(call: cst.Call) -> cst.Call:
    """``np.array(x, copy=False)`` meant "only if needed", which NumPy 2 spells ``copy=None``."""
    return call.with_changes(args=[_copy_argument(arg) for arg in call.args])


def _copy_argument(arg: cst.Arg) -> cst.Arg:
    is_false = isinstance(arg.value, cst.Name) and arg.value.value == "False"
    if arg.keyword is None or arg.keyword.value != "copy" or not is_false:
        return arg
    return arg.with_changes(value=cst.Name("None"))


# -- from … import … ----------------------------------------------------------------------------------------------


def _split(statement: cst.ImportFrom) -> list[cst.BaseSmallStatement]:
    """The statements that import the same names from where they are now."""
    assert statement.module is not None and not isinstance(statement.names, cst.ImportStar)
    module = _code(statement.module)
    kept: list[cst.ImportAlias] = []
    moved: dict[str, list[cst.ImportAlias]] = defaultdict(list)
    assigned: list[cst.BaseSmallStatement] = []
    for alias in statement.names:
        place = _new_place(module, alias.evaluated_name)
        if place is None:
            kept.append(alias)
            continue
        home, own = place
        bound = alias.evaluated_alias or alias.evaluated_name
        if home == "":  # one of Python's own names
            if own != bound:
                assigned.append(cst.Assign([cst.AssignTarget(cst.Name(bound))], cst.parse_expression(own)))
            continue
        moved[home].append(cst.ImportAlias(cst.Name(own), None if own == bound else _as(bound)))
    if not moved and len(kept) == len(statement.names):
        return [statement]
    return [*_import_lines(statement, kept, moved), *assigned]


def _import_lines(
    statement: cst.ImportFrom, kept: Sequence[cst.ImportAlias], moved: dict[str, list[cst.ImportAlias]]
) -> list[cst.BaseSmallStatement]:
    lines: list[cst.BaseSmallStatement] = []
    module = _code(statement.module) if statement.module is not None else ""
    here = moved.pop(module, [])
    if kept or here:
        names = [*kept, *here]
        names = [name.with_changes(comma=cst.MaybeSentinel.DEFAULT) for name in names] if here else names
        if not here and statement.lpar is None:
            names[-1] = names[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
        lines.append(statement.with_changes(names=names))
    lines += [cst.ImportFrom(cst.parse_expression(home), names) for home, names in moved.items()]  # type: ignore[arg-type]
    return lines


def _new_place(module: str, name: str) -> tuple[str, str] | None:
    """(module, name) of where ``from module import name`` finds the same now, module '' for a builtin; None: stays."""
    if module == "numpy" and name in idioms.NUMPY_NAMES:
        text = constructs.numpy_text(name, "numpy")
        if text is None or not text.replace(".", "").isidentifier() or text == "math":
            return None
        home, _, own = text.rpartition(".")
        return home, own
    if (module, name) in constructs.FROM_IMPORTS:
        return constructs.FROM_IMPORTS[module, name], name
    moved = constructs.MODULES.get(f"{module}.{name}")
    if moved is not None:
        home, _, own = moved.rpartition(".")
        return home, own
    if module in constructs.MODULES:
        return constructs.MODULES[module], name
    return constructs.python_text(module, name)
