"""The command ``mxcompat check``."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tokenize
from collections.abc import Iterator, Sequence

from mxcompat.base import MXNetError
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
    print(findings.FORMATS[args.format](report))
    return 1 if report.findings else 0


def check(paths: Sequence[str]) -> Report:
    """The report on files and folders; ``CommandError`` for a path that does not exist."""
    report = Report()
    found: list[Finding] = []
    files = [file for path in paths for file in _files(path)]
    bar = _progress(files)
    for file in bar:
        results, uses = _check_file(file)
        if results or uses or file in paths or not file.endswith(".json"):
            report.files += 1
        found += results
        report.uses += uses
    report.findings = findings.unique(found)
    return report


def _progress(files: Sequence[str]) -> Sequence[str]:
    if not sys.stderr.isatty() or len(files) < 50:
        return files
    try:
        from tqdm import tqdm
    except ImportError:
        return files
    return tqdm(files, unit="file")  # type: ignore[return-value]


def _files(path: str) -> Iterator[str]:
    if os.path.isfile(path):
        yield path
    elif os.path.isdir(path):
        for folder, below, names in os.walk(path):
            below[:] = sorted(name for name in below if name not in SKIPPED)
            yield from (os.path.join(folder, name) for name in sorted(names) if name.endswith(SUFFIXES))
    else:
        raise CommandError(f"{path}: no such file or folder")


def _check_file(file: str) -> tuple[list[Finding], int]:
    if file.endswith(".json"):
        return _check_symbol(file)
    from mxcompat.check.source import cells, check_source

    try:
        if not file.endswith(".ipynb"):
            return check_source(_source(file), file)
        with open(file, encoding="utf-8") as stream:
            notebook = json.load(stream)
        return check_source("\n".join(cells(notebook)), file)
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}") from None
    except (UnicodeDecodeError, SyntaxError):
        return [Finding(file, 1, 1, "MX100", "the encoding of this file is not what it declares")], 0
    except (ValueError, AttributeError) as error:
        return [Finding(file, 1, 1, "MX100", f"this is no notebook: {error}")], 0
    except RecursionError:
        return [Finding(file, 1, 1, "MX100", "the source is nested too deeply")], 0


def _source(file: str) -> str:
    try:
        with tokenize.open(file) as stream:
            return stream.read()
    except UnicodeDecodeError:
        with open(file, encoding="latin-1") as stream:
            return stream.read()


def _check_symbol(file: str) -> tuple[list[Finding], int]:
    """A graph's operators and their parameters; other JSON files are passed over."""
    with open(file, encoding="utf-8", errors="replace") as stream:
        text = stream.read()
    if '"nodes"' not in text or '"arg_nodes"' not in text:
        return [], 0
    from mxcompat.formats import symbol_json
    from mxcompat.ops import load_catalogue, reference, registry

    load_catalogue()
    try:
        graph = symbol_json.parse(text, file)
    except MXNetError as error:
        return [Finding(file, 1, 1, "MX503", str(error))], 0
    found, uses = [], 0
    for node in graph.nodes:
        if node.is_variable:
            continue
        uses += 1
        if registry.find(node.op) is None:
            reason = reference.why_excluded(node.op) or "there is no such operator here"
            found.append(Finding(file, _line_of(text, node.name), 1, "MX303", f"node {node.name}: {node.op}: {reason}"))
    if not found:
        import mxcompat as mx

        try:
            mx.sym.load_json(text)
        except MXNetError as error:
            found.append(Finding(file, 1, 1, "MX312", str(error)))
    return found, uses


def _line_of(text: str, name: str) -> int:
    place = text.find(f'"name": {json.dumps(name)}')
    return text.count("\n", 0, max(place, 0)) + 1
