"""Python 2 sources as Python 3: the 2-to-3 fixers (fissix), and the division that they leave to people (extra ``[migrate]``)."""

from __future__ import annotations

import ast
import logging
import warnings
from collections.abc import Collection
from typing import Any

__all__ = ["NotPython", "OLD_ATTRIBUTES", "OLD_METHODS", "OLD_MODULES", "OLD_NAMES"]
__all__ += ["convert", "cuts_quotients", "divisions", "is_python2", "is_python3"]

#: names, methods, modules and their members that tell Python 2 where the grammar does not; the fixers leave none of them
OLD_NAMES = {"xrange", "unicode", "raw_input", "basestring", "unichr", "long", "execfile", "izip", "imap", "ifilter"}
OLD_METHODS = {"iteritems", "itervalues", "iterkeys", "has_key", "izip", "imap", "ifilter"}
OLD_MODULES = {"cPickle", "StringIO", "cStringIO", "ConfigParser", "Queue", "urllib2", "urlparse", "__builtin__"}
OLD_ATTRIBUTES = {
    "sys": {"maxint"},
    "os": {"getcwdu"},
    "itertools": {"izip", "imap", "ifilter", "izip_longest"},
    "urllib": {"urlopen", "urlretrieve", "urlencode", "quote", "quote_plus", "unquote", "unquote_plus"},
}
_INTEGER_CALLS = ("len", "int", "ord")
_FLOAT_CALLS = ("float",)


class NotPython(Exception):
    """A source that is neither Python 2 nor Python 3, and the line where that shows."""

    def __init__(self, text: str, line: int):
        super().__init__(text)
        self.line = line


def is_python3(text: str) -> bool:
    """Whether Python 3 can parse the text."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
    except (SyntaxError, ValueError):
        return False
    return True


def is_python2(text: str) -> bool:
    """Whether the source is Python 2: by its grammar, or by a name that Python 3 does not have."""
    return not is_python3(text) or any(map(_is_old, ast.walk(ast.parse(text))))


def _is_old(node: ast.AST) -> bool:
    if isinstance(node, ast.Name):
        return node.id in OLD_NAMES
    if isinstance(node, ast.Attribute):
        owner = node.value.id if isinstance(node.value, ast.Name) else ""
        return node.attr in OLD_METHODS or node.attr in OLD_ATTRIBUTES.get(owner, ())
    if isinstance(node, ast.Import):
        return any(alias.name in OLD_MODULES for alias in node.names)
    if not isinstance(node, ast.ImportFrom):
        return False
    moved = OLD_ATTRIBUTES.get(node.module or "", ())
    return node.module in OLD_MODULES or any(alias.name in moved for alias in node.names)


def convert(text: str, file: str) -> str:
    """The source in Python 3; one that is Python 3 already stays as it is.

    Quotients of two numbers that are integers by their form become ``//`` unless the source imports ``division``; the
    others are for ``divisions`` to find. ``NotPython`` for what even Python 2 would refuse.
    """
    from fissix.pgen2.parse import ParseError
    from fissix.pgen2.tokenize import TokenError

    if not is_python2(text):
        return text
    ended = text if text.endswith("\n") else text + "\n"
    logging.getLogger("RefactoringTool").setLevel(logging.ERROR)
    try:
        converted = str(_tool(is_python3(text)).refactor_string(ended, file))
    except ParseError as error:
        line = error.context[1][0] if error.context else 1
        raise NotPython(f"syntax error at {error.value!r}", line) from None
    except (TokenError, IndentationError) as error:
        line = error.lineno if isinstance(error, IndentationError) else error.args[1][0]
        raise NotPython(str(error.args[0]), line or 1) from None
    converted = converted if text.endswith("\n") else converted[:-1]
    if not is_python3(converted):
        converted = _spaces_for_tabs(converted)
    try:
        ast.parse(converted)
    except (SyntaxError, ValueError) as error:
        raise NotPython(f"stays Python 2: {getattr(error, 'msg', error)}", getattr(error, "lineno", 1)) from None
    converted = _with_next(converted)
    return converted if _has_true_division(text) else _integer_divisions(converted)


def _tool(has_print_function: bool) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from fissix import refactor

    fixers = refactor.get_fixers_from_package("fissix.fixes")
    if has_print_function:
        fixers.remove("fissix.fixes.fix_print")
    return refactor.RefactoringTool(fixers, {"print_function": has_print_function})


def _spaces_for_tabs(text: str) -> str:
    """Indentation as Python 2 read it: a tab goes to the next multiple of eight."""
    lines = []
    for line in text.splitlines(keepends=True):
        body = line.lstrip(" \t")
        lines.append(line[: len(line) - len(body)].expandtabs(8) + body)
    return "".join(lines)


def _with_next(converted: str) -> str:
    """The text with ``next`` beside each ``__next__`` that the fixers made of it in a class that is derived.

    MXNet's iterators call both, and their base class has both: a class that replaces one of them replaces half.
    """
    lines = converted.splitlines(keepends=True)
    ends: list[tuple[int, str]] = []
    for node in ast.walk(ast.parse(converted)):
        if not isinstance(node, ast.ClassDef) or not set(map(ast.unparse, node.bases)) - {"object"}:
            continue
        methods = {part.name: part for part in node.body if isinstance(part, ast.FunctionDef)}
        names = {name.id for part in node.body for name in ast.walk(part) if isinstance(name, ast.Name)}
        if "__next__" in methods and not {"next", "__next__"} & (methods.keys() - {"__next__"} | names):
            method = methods["__next__"]
            ends.append((method.end_lineno or method.lineno, " " * method.col_offset))
    for line, indent in sorted(ends, reverse=True):
        lines[line - 1] = lines[line - 1].rstrip("\r\n") + "\n"
        lines.insert(line, f"\n{indent}next = __next__\n")
    return "".join(lines)


# -- division -----------------------------------------------------------------------------------------------------


def _has_true_division(text: str) -> bool:
    return "__future__ import" in text and "division" in text.partition("__future__")[2].partition("\n\n")[0]


def _integer_names(tree: ast.Module) -> set[str]:
    """The names that a module binds once, at its top, and to an integer: its constants."""
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            names.append(node.id)
        elif isinstance(node, ast.arg):
            names.append(node.arg)
        elif isinstance(node, ast.alias):
            names.append(node.asname or node.name)
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            names += node.names
    plain = [part for part in tree.body if isinstance(part, ast.Assign) and isinstance(part.value, ast.Constant)]
    found = {part.targets[0].id for part in plain if isinstance(part.targets[0], ast.Name) and _is_integer(part.value)}
    return {name for name in found if names.count(name) == 1}


def _is_integer(node: ast.expr, constants: Collection[str] = ()) -> bool:
    """Whether the value is an integer by its form: a literal, a length, a size, a constant, or a sum or product of these."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, int)
    if isinstance(node, ast.Name):
        return node.id in constants
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id in _INTEGER_CALLS
    if isinstance(node, ast.BinOp):
        exact = isinstance(node.op, (ast.Add, ast.Sub, ast.Mult, ast.FloorDiv, ast.Mod, ast.Div))
        return exact and _is_integer(node.left, constants) and _is_integer(node.right, constants)
    if isinstance(node, ast.UnaryOp):
        return _is_integer(node.operand, constants)
    is_item = isinstance(node, ast.Subscript) and isinstance(node.value, ast.Attribute)
    return is_item and node.value.attr == "shape"  # type: ignore[attr-defined]


def _is_float(node: ast.expr) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, float)
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id in _FLOAT_CALLS
    return isinstance(node, ast.BinOp) and (_is_float(node.left) or _is_float(node.right))


def _quotients(text: str) -> list[ast.BinOp]:
    return [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)]


def _integer_divisions(text: str) -> str:
    """The text with ``//`` in the place of each ``/`` between integers."""
    lines = text.splitlines(keepends=True)
    places, constants = [], _integer_names(ast.parse(text))
    for node in _quotients(text):
        if _is_integer(node.left, constants) and _is_integer(node.right, constants):
            places.append(_sign_place(lines, node))
    for line, column in sorted(filter(None, places), reverse=True):
        row = lines[line].encode()
        lines[line] = (row[:column] + b"//" + row[column + 1 :]).decode()
    return "".join(lines)


def _sign_place(lines: list[str], node: ast.BinOp) -> tuple[int, int] | None:
    """Line (from 0) and byte of the sign between the operands; only brackets, blanks and comments stand beside it."""
    assert node.left.end_lineno is not None and node.left.end_col_offset is not None
    line, column = node.left.end_lineno - 1, node.left.end_col_offset
    while line < node.right.lineno:
        place = lines[line].encode().partition(b"#")[0].find(b"/", column)
        if place >= 0:
            return line, place
        line, column = line + 1, 0
    return None


def cuts_quotients(text: str) -> bool:
    """Whether ``/`` cut the quotient of integers in the source: it is Python 2 and does not import ``division``."""
    return is_python2(text) and not _has_true_division(text)


def divisions(converted: str) -> list[tuple[int, str, str]]:
    """Marks (line, code, text) for the quotients of a converted Python 2 source whose operands may be integers."""
    text = '"/" cut the quotient of integers in Python 2: write // if both are integers'
    found: list[ast.stmt | ast.expr] = []
    for node in ast.walk(ast.parse(converted)):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            found += [] if _is_float(node.left) or _is_float(node.right) else [node]
        elif isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Div):
            found += [] if _is_float(node.value) else [node]
    return sorted({(node.lineno, "MX103", text) for node in found})
