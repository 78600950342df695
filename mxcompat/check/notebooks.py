"""Reading notebooks: names go from cell to cell, a cell that is no Python is told of and left out."""

from __future__ import annotations

import ast
import warnings
from dataclasses import replace

from mxcompat.check.findings import Finding
from mxcompat.check.source import check_source, syntax_finding
from mxcompat.migrate import CommandError
from mxcompat.migrate.cells import Notebook, without_commands

__all__ = ["check_notebook"]


def check_notebook(text: str, file: str) -> tuple[list[Finding], int]:
    """The findings in a notebook, and how often it uses MXNet's names."""
    try:
        notebook = Notebook(text, file)
    except CommandError as error:
        return [Finding(file, 1, 1, "MX100", str(error).removeprefix(f"{file}: "))], 0
    if "python" not in notebook.language:
        return [], 0
    found: list[Finding] = []
    lines: list[str] = []
    places: list[tuple[int, int]] = []  # cell and line in it of each line
    for number, source in enumerate(notebook.sources(), 1):
        source = without_commands(source.replace("\r\n", "\n").replace("\r", "\n"))
        wrong = _syntax_error(source)
        if wrong is not None:
            found.append(replace(syntax_finding(wrong, source, file), cell=number))
            continue
        cell = source.split("\n")
        lines += cell
        places += [(number, line) for line in range(1, len(cell) + 1)]
    findings, uses = check_source("\n".join(lines), file)
    for finding in findings:
        cell_number, line = places[finding.line - 1]
        words = finding.text.replace("mxcompat run gives it back", "%load_ext mxcompat gives it back")
        found.append(replace(finding, cell=cell_number, line=line, text=words))
    return found, uses


def _syntax_error(source: str) -> Exception | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(source)
    except (SyntaxError, ValueError) as error:
        return error
    return None
