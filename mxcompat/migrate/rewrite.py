"""``mxcompat migrate``: scripts and notebooks rewritten for mxcompat, as a diff, in place, or into other files.

Imports of ``mxnet`` become imports of ``mxcompat``, names that NumPy and Python removed become what they stood for, and
what cannot be changed is marked ``# TODO(mxcompat) CODE …``. Comments and layout stay. Everything is worked out before the
first file is written; if one file cannot be read, none is written.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import importlib
import io
import os
import shutil
import sys
import tempfile
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass

from mxcompat.migrate import CommandError
from mxcompat.migrate.run import python2_construct

__all__ = ["Result", "configure", "main", "rewrite_notebook", "rewrite_source"]

_SUFFIXES = (".py", ".ipynb")
_SKIPPED = {"__pycache__", "node_modules"}


@dataclass(frozen=True)
class Result:
    """A rewritten text: how many marks it has, and what is to be said about it."""

    text: str
    marks: int = 0
    note: str = ""


@dataclass(frozen=True)
class _File:
    """One input: ``before`` and ``after`` have the line ends of Python, the file's own are ``newline``."""

    path: str
    before: str
    result: Result
    encoding: str
    newline: str

    @property
    def is_changed(self) -> bool:
        return self.before != self.result.text

    def content(self) -> bytes:
        """What the rewritten file holds."""
        return self.result.text.replace("\n", self.newline).encode(self.encoding)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``mxcompat migrate``."""
    parser.add_argument("path", metavar="IN", help="a script, a notebook, or a folder of them")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("-o", "--output", metavar="OUT", help="write to this file or folder")
    how.add_argument("--write", action="store_true", help="change the files themselves")
    how.add_argument("--diff", action="store_true", help="show what would change (the default)")
    parser.add_argument("--py2", action="store_true", help="first make Python 3 of Python 2 sources")


def main(args: argparse.Namespace) -> int:
    """Rewrite the files, then say how many changed; 0 unless something is wrong with an input."""
    _need("libcst", *(["fissix"] if args.py2 else []))
    targets = dict(_targets(args.path, args.output))
    files, errors = [], []
    for path in targets:
        try:
            files.append(_rewrite_file(path, args.py2))
        except CommandError as error:
            errors.append(str(error))
    if errors:
        raise CommandError("\nmxcompat migrate: ".join([*errors, *["nothing was written"] * (len(targets) > 1)]))
    for file in files:
        if args.output is not None:
            _write(file, targets[file.path])
        elif args.write:
            if file.is_changed:
                _write(file, os.path.realpath(file.path))
        else:
            sys.stdout.writelines(_diff(file))
        if file.result.note:
            print(f"{file.path}: {file.result.note}", file=sys.stderr)
    if not files:
        print(f"mxcompat migrate: no script or notebook in {args.path}", file=sys.stderr)
    print(_summary(files, args.write or args.output is not None), file=sys.stderr)
    return 0


def _need(*modules: str) -> None:
    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError:
            raise CommandError(f"{module} is missing: pip install 'mxcompat[migrate]'") from None


def _summary(files: list[_File], written: bool) -> str:
    changed, marks = sum(file.is_changed for file in files), sum(file.result.marks for file in files)
    text = f"{len(files)} {'file' if len(files) == 1 else 'files'}, {changed} {'changed' if written else 'to change'}"
    return text + (f", {marks} {'place' if marks == 1 else 'places'} marked TODO(mxcompat)" if marks else "")


# -- files --------------------------------------------------------------------------------------------------------


def _targets(path: str, output: str | None) -> Iterator[tuple[str, str]]:
    """Each input, and the file that it is written to when there is an output."""
    if os.path.isfile(path):
        suffix = os.path.splitext(path)[1]
        if suffix and suffix not in _SUFFIXES and not suffix.startswith(".py"):
            raise CommandError(f"{path}: neither a script nor a notebook")
        into = output is not None and (os.path.isdir(output) or output.endswith(os.sep))
        target = os.path.join(output or "", os.path.basename(path)) if into else output or ""
        yield _apart(path, target)
    elif os.path.isdir(path):
        if output is not None and os.path.isfile(output):
            raise CommandError(f"{output} is a file; {path} is a folder, and needs a folder to go to")
        for file in list(_below(path)):
            yield _apart(file, os.path.join(output or "", os.path.relpath(file, path)))
    else:
        raise CommandError(f"{path}: no such file or folder")


def _below(path: str) -> Iterator[str]:
    for folder, below, names in os.walk(path):
        below[:] = sorted(name for name in below if name not in _SKIPPED and not name.startswith("."))
        yield from (os.path.join(folder, name) for name in sorted(names) if name.endswith(_SUFFIXES))


def _apart(path: str, target: str) -> tuple[str, str]:
    if target and os.path.exists(target) and os.path.samefile(path, target):
        raise CommandError(f"{target} is the input itself: give --write to change it")
    return path, target


def _rewrite_file(path: str, py2: bool) -> _File:
    try:
        with open(path, "rb") as stream:
            content = stream.read()
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from None
    is_notebook = path.endswith(".ipynb")
    try:
        encoding = "utf-8" if is_notebook else tokenize.detect_encoding(io.BytesIO(content).readline)[0]
        text = content.decode(encoding)
    except (SyntaxError, UnicodeDecodeError, LookupError):
        raise CommandError(f"{path}: the encoding of this file is not what it declares, or not UTF-8") from None
    newline = "\r\n" if "\r\n" in text else "\n"
    before = text.replace("\r\n", "\n")
    try:
        result = (rewrite_notebook if is_notebook else rewrite_source)(before, path, py2)
        return _File(path, before, result, encoding, newline)
    except (RecursionError, MemoryError):  # the parser's stack is one too
        raise CommandError(f"{path}: the source is nested too deeply") from None


def _write(file: _File, target: str) -> None:
    """Put the text into the file at once: whoever reads it sees the old one or the new one."""
    folder = os.path.dirname(target) or "."
    try:
        os.makedirs(folder, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=".mxcompat-")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(file.content())
            shutil.copymode(file.path, temporary)
            os.replace(temporary, target)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise CommandError(f"{target}: {error.strerror}") from None
    except UnicodeEncodeError as error:
        raise CommandError(f"{target}: {error}") from None


def _diff(file: _File) -> Iterator[str]:
    before, after = _shown(file.before, file.path), _shown(file.result.text, file.path)
    for line in difflib.unified_diff(before, after, file.path, file.path + " (migrated)"):
        yield line if line.endswith("\n") else line + "\n\\ No newline at end of file\n"


def _shown(text: str, path: str) -> list[str]:
    """The lines of a diff: of a notebook its code, each cell under its number."""
    if not path.endswith(".ipynb"):
        return text.splitlines(keepends=True)
    from mxcompat.migrate.cells import Notebook

    sources = Notebook(text, path).sources()
    return [
        line
        for number, source in enumerate(sources, 1)
        for line in [f"# code cell {number}\n", *(each + "\n" for each in source.split("\n"))]
    ]


# -- texts --------------------------------------------------------------------------------------------------------


def rewrite_source(text: str, file: str, py2: bool = False) -> Result:
    """The Python source, rewritten. ``CommandError`` for a syntax error; Python 2 without ``py2`` is named as such."""
    old_division = py2 and _cuts_quotients(text)
    if py2:
        text = _converted(text, file)
    try:
        ast.parse(text)
    except SyntaxError as error:
        raise CommandError(f"{file}:{error.lineno}: {_what_is_wrong(error)}") from None
    except ValueError as error:  # null bytes
        raise CommandError(f"{file}: this is no Python source: {error}") from None
    return _rewritten(text, file, old_division)


def rewrite_notebook(text: str, file: str, py2: bool = False) -> Result:
    """The notebook with its code cells rewritten together, so that what one imports is known in the next."""
    from mxcompat.migrate.cells import Notebook

    notebook = Notebook(text, file)
    if not len(notebook):
        return Result(text, note="the notebook has no code cells")
    if "python" not in notebook.language:
        return Result(text, note=f"the notebook's language is {notebook.language}")
    old_division: list[bool] = []

    def convert(cell: str) -> str:
        old_division.append(_cuts_quotients(cell))
        return _converted(cell, file)

    source = notebook.joined(convert if py2 else None)
    result = _rewritten(source, file, any(old_division))
    sources = notebook.split(result.text)
    changed = sources != notebook.sources()
    return Result(notebook.with_sources(sources) if changed else text, result.marks)


def _converted(text: str, file: str) -> str:
    from mxcompat.migrate import python2

    try:
        return python2.convert(text, file)
    except python2.NotPython as error:
        raise CommandError(f"{file}:{error.line}: neither Python 2 nor Python 3: {error}") from None


def _cuts_quotients(text: str) -> bool:
    from mxcompat.migrate import python2

    return python2.cuts_quotients(text)


def _what_is_wrong(error: SyntaxError) -> str:
    construct = "tabs mixed with spaces" if isinstance(error, TabError) else python2_construct(error.text or "")
    if construct:
        return f"this is Python 2 ({construct}): add --py2, which makes Python 3 of it first"
    return f"syntax error: {error.msg}"


def _rewritten(text: str, file: str, old_division: bool) -> Result:
    import libcst

    from mxcompat.migrate import marks, python2, transform

    try:
        changed = transform.transform(text)
    except libcst.ParserSyntaxError as error:
        raise CommandError(f"{file}:{error.raw_line}: syntax error: {error.message}") from None
    found = [*marks.marks_of(changed, file), *(python2.divisions(changed) if old_division else [])]
    return Result(*marks.add_marks(changed, found))
