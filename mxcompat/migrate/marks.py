"""The comments ``# TODO(mxcompat) CODE …`` that ``mxcompat migrate`` leaves above what it cannot change."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from mxcompat.check.source import check_source

__all__ = ["Mark", "TAG", "add_marks", "marks_of"]

TAG = "# TODO(mxcompat)"
#: classes of ``mxcompat check`` that a program does not run with: missing here, or gone from Python or NumPy
_STOPPING = ("MX3", "MX1")

Mark = tuple[int, str, str]  # line from 1, code, text


def marks_of(text: str, file: str) -> list[Mark]:
    """What is to be marked: the findings of ``mxcompat check``, and imports by a name in a string."""
    findings, _ = check_source(text, file)
    found = [(f.line, f.code, f.text) for f in findings if f.code.startswith(_STOPPING)]
    return sorted({*found, *_imports_by_name(text)})


def _imports_by_name(text: str) -> Iterable[Mark]:
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
            continue
        name, function = node.args[0].value, ast.unparse(node.func)
        is_mxnet = isinstance(name, str) and (name == "mxnet" or name.startswith("mxnet."))
        if is_mxnet and function.split(".")[-1] in ("__import__", "import_module"):
            yield node.lineno, "MX304", "this imports mxnet by its name: call mxcompat.install() before it"


def add_marks(text: str, marks: Iterable[Mark]) -> tuple[str, int]:
    """The text with a comment above the statement of each mark, unless it is there; and how many it then has."""
    tree = ast.parse(text)
    lines = text.splitlines(keepends=True)
    starts = _statement_starts(tree)
    wanted: dict[int, dict[str, None]] = {}
    for line, code, reason in marks:
        wanted.setdefault(starts.get(line, line), {})[f"{TAG} {code} {reason}"] = None
    for line in sorted(wanted, reverse=True):
        above = _comments_above(lines, line)
        indent = lines[line - 1][: len(lines[line - 1]) - len(lines[line - 1].lstrip())]
        lines[line - 1 : line - 1] = [f"{indent}{comment}\n" for comment in wanted[line] if comment not in above]
    marked = "".join(lines)
    if ast.dump(ast.parse(marked)) != ast.dump(tree):  # a statement that begins behind another's last line
        return text, sum(map(len, wanted.values()))
    return marked, sum(map(len, wanted.values()))


def _comments_above(lines: list[str], line: int) -> set[str]:
    found = set()
    for text in reversed(lines[: line - 1]):
        if not text.lstrip().startswith("#"):
            break
        found.add(text.strip())
    return found


def _statement_starts(tree: ast.Module) -> dict[int, int]:
    """Line -> the first line of the innermost statement that it is part of, decorators included."""
    starts: dict[int, int] = {}
    for node in ast.walk(tree):  # outer ones first
        if isinstance(node, ast.stmt):
            first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))])
            last = node.end_lineno or node.lineno
            starts.update(dict.fromkeys(range(first, last + 1), first))
    return starts
