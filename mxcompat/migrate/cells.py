"""The code cells of a notebook as one Python source, and back: names go from cell to cell, IPython's commands stay."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from mxcompat.migrate import CommandError
from mxcompat.migrate.python2 import is_python3
from mxcompat.migrate.run import python2_construct

__all__ = ["Notebook", "without_commands"]

_HEAD = "#%%mxcompat cell {}\n"
#: a command of IPython; a line that begins with "% (" goes on with the text format of the line before
_COMMAND = re.compile(r"^\s*(?:[\w, ]+=\s*)?(?:%(?![\s(])|!)|^\s*\?|\?\s*$")
_FORMS = [
    {"indent": indent, "ensure_ascii": ascii_only, "separators": separators}
    for indent in (1, 2, 4, None)
    for ascii_only in (False, True)
    for separators in ((",", ": "), None)
]


class Notebook:
    """A notebook of format 3 or 4. ``CommandError`` for a text that is none."""

    def __init__(self, text: str, file: str):
        self._file, self._text = file, text
        try:
            self._content = json.loads(text)
            sheets = [self._content, *self._content.get("worksheets", [])]
            cells = [cell for sheet in sheets for cell in sheet.get("cells", [])]
            self._cells = [cell for cell in cells if cell.get("cell_type") == "code"]
        except (ValueError, AttributeError, TypeError) as error:
            raise CommandError(f"{file}: this is no notebook: {error}") from None
        if "nbformat" not in self._content:
            raise CommandError(f"{file}: this is no notebook: it has no nbformat")
        self._hidden: dict[str, str] = {}  # placeholder -> what stands there

    def __len__(self) -> int:
        return len(self._cells)

    @property
    def language(self) -> str:
        """What the notebook's cells are written in."""
        metadata = self._content.get("metadata", {})
        found = metadata.get("kernelspec", {}).get("language") or metadata.get("language_info", {}).get("name")
        return str(found or "python").lower()

    def sources(self) -> list[str]:
        """The text of each code cell."""
        texts = [cell.get("source", cell.get("input", "")) for cell in self._cells]
        return ["".join(text) if isinstance(text, list) else str(text) for text in texts]

    def joined(self, convert: Callable[[str], str] | None) -> str:
        """The cells as one source, each under a head; ``convert`` makes Python 3 of a cell, None where that is not asked.

        Commands of IPython, and cells that are no Python, are hidden behind names. ``CommandError`` for Python 2.
        """
        parts = []
        for number, source in enumerate(self.sources()):
            parts.append(_HEAD.format(number) + self._as_python(source, number, convert) + "\n")
        return "".join(parts)

    def _as_python(self, source: str, number: int, convert: Callable[[str], str] | None) -> str:
        if source.lstrip().startswith("%%"):
            return self._hide(source)
        text = source
        if not is_python3(text):
            text = "\n".join(self._hide_command(line) for line in source.split("\n"))
        if convert is not None:
            text = convert(text)
        if is_python3(text):
            return text
        construct = next(filter(None, map(python2_construct, source.split("\n"))), None)
        if construct and convert is None:
            raise CommandError(f"{self._file}: code cell {number + 1}: this is Python 2 ({construct}): add --py2")
        return self._hide(source)

    def _hide(self, text: str) -> str:
        placeholder = f"__mxcompat_hidden_{len(self._hidden)}__"
        self._hidden[placeholder] = text
        return placeholder

    def _hide_command(self, line: str) -> str:
        if not _COMMAND.search(line):
            return line
        indent = line[: len(line) - len(line.lstrip())]
        return indent + self._hide(line.lstrip())

    def split(self, joined: str) -> list[str]:
        """The text of each cell in a source that ``joined`` gave and that was changed since."""
        parts = re.split(r"^#%%mxcompat cell \d+\n", joined, flags=re.MULTILINE)[1:]
        return [self._shown(part[:-1]) for part in parts]

    def _shown(self, text: str) -> str:
        return re.sub(r"__mxcompat_hidden_\d+__", lambda match: self._hidden[match[0]], text)

    def with_sources(self, sources: list[str]) -> str:
        """The notebook's text with other code; the rest stays as it is, in the layout that it has."""
        form = next((form for form in _FORMS if _dumped(self._content, form) == self._text.rstrip("\n")), _FORMS[0])
        before = self.sources()
        for cell, old, new in zip(self._cells, before, sources):
            if old != new:
                key = "source" if "source" in cell else "input"
                cell[key] = new.splitlines(keepends=True) if isinstance(cell[key], list) else new
        end = self._text[len(self._text.rstrip("\n")) :]
        return _dumped(self._content, form) + end


def without_commands(source: str) -> str:
    """The cell with IPython's commands replaced by ``pass``, line for line; one of another language is empty."""
    if source.lstrip().startswith("%%"):
        return ""
    if is_python3(source):
        return source
    lines = [re.sub(r"\S.*", "pass", line) if _COMMAND.search(line) else line for line in source.split("\n")]
    return "\n".join(lines)


def _dumped(content: Any, form: dict[str, Any]) -> str:
    return json.dumps(content, **form)
