"""The command ``mxcompat check``."""

from __future__ import annotations

import argparse
import os
import sys
import tokenize
from collections.abc import Iterator, Sequence

from mxcompat.check import findings
from mxcompat.check.findings import Finding, Report
from mxcompat.migrate import CommandError

SUFFIXES = (".py", ".ipynb", ".json")
SKIPPED = {".git", "__pycache__", "node_modules", ".ipynb_checkpoints"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``mxcompat check``."""
    parser.epilog = "Codes: " + "; ".join(f"{code}xx {text}" for code, text in findings.CLASSES.items()) + "."
    parser.add_argument("paths", nargs="+", metavar="PATH", help="scripts, notebooks, symbol files, or folders of them")
    parser.add_argument("--format", choices=sorted(findings.FORMATS), default="text", help="output (default: text)")


def main(args: argparse.Namespace) -> int:
    """Print the report; 1 if there are findings."""
    report = check(args.paths)
    is_coloured = args.format == "text" and sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    print((findings.as_coloured_text if is_coloured else findings.FORMATS[args.format])(report))
    if not report.files:
        print(f"mxcompat check: no script, notebook or symbol file in {', '.join(args.paths)}", file=sys.stderr)
    return 1 if report.findings else 0


def check(paths: Sequence[str]) -> Report:
    """The report on files and folders; ``CommandError`` for a path that does not exist or cannot be read."""
    report = Report()
    found: list[Finding] = []
    files = list(dict.fromkeys(file for path in paths for file in _files(path, found)))
    for file in _progress(files):
        try:
            checked = _check_file(file, file in paths)
        except OSError as error:
            if file in paths:
                raise CommandError(f"{file}: {error.strerror}") from None
            checked = [_unreadable(file, error)], 0
        if checked is not None:
            report.files += 1
            found += checked[0]
            report.uses += checked[1]
    report.findings = findings.unique(found)
    return report


def _unreadable(path: str, error: OSError) -> Finding:
    return Finding(path, 1, 1, "MX503", f"this cannot be read: {error.strerror}")


def _progress(files: Sequence[str]) -> Sequence[str]:
    if not sys.stderr.isatty() or len(files) < 50:
        return files
    try:
        from tqdm import tqdm
    except ImportError:
        return files
    return tqdm(files, unit="file")  # type: ignore[return-value]


def _files(path: str, unreadable: list[Finding]) -> Iterator[str]:
    """The files that a path stands for; folders that cannot be read are added to ``unreadable``."""
    if os.path.isfile(path):
        suffix = os.path.splitext(path)[1]
        if suffix and suffix not in SUFFIXES and not suffix.startswith(".py"):
            raise CommandError(f"{path}: neither a script, a notebook nor a symbol file (try mxcompat inspect)")
        yield path
    elif os.path.isdir(path):
        for folder, below, names in os.walk(path, onerror=lambda e: unreadable.append(_unreadable(e.filename, e))):
            below[:] = sorted(name for name in below if name not in SKIPPED)
            yield from (os.path.join(folder, name) for name in sorted(names) if name.endswith(SUFFIXES))
    else:
        raise CommandError(f"{path}: no such file or folder")


def _check_file(file: str, is_named: bool) -> tuple[list[Finding], int] | None:
    """Findings and uses; None for a JSON file that holds no symbol, unless it ``is_named`` in the command."""
    try:
        if file.endswith(".json"):
            from mxcompat.check.symbols import check_symbol

            with open(file, encoding="utf-8", errors="replace") as stream:
                return check_symbol(stream.read(), file, is_named)
        if file.endswith(".ipynb"):
            from mxcompat.check.notebooks import check_notebook

            with open(file, encoding="utf-8") as stream:
                return check_notebook(stream.read(), file)
        from mxcompat.check.source import check_source

        text, is_misread = _source(file)
        found, uses = check_source(text, file)
        return [*([_encoding_finding(file)] if is_misread else []), *found], uses
    except UnicodeDecodeError:  # a notebook
        return [_encoding_finding(file)], 0
    except (RecursionError, MemoryError):  # the parser's stack is one too
        return [Finding(file, 1, 1, "MX100", "the source is nested too deeply")], 0


def _encoding_finding(file: str) -> Finding:
    return Finding(file, 1, 1, "MX100", "the encoding of this file is not what it declares, or not UTF-8")


def _source(file: str) -> tuple[str, bool]:
    """The text, and whether its encoding is wrong: what can be told of it is told all the same."""
    try:
        with tokenize.open(file) as stream:
            return stream.read(), False
    except (UnicodeDecodeError, SyntaxError):  # in the text, or where the encoding is declared
        with open(file, encoding="latin-1") as stream:
            return stream.read(), True
