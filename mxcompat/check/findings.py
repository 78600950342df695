"""Findings, and the forms in which they are reported."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import quote

_SARIF = "https://json.schemastore.org/sarif-2.1.0.json"

#: class of a code -> what it is about
CLASSES = {
    "MX1": "Python or NumPy age",
    "MX2": "behaves differently here",
    "MX3": "missing",
    "MX4": "no effect here",
    "MX5": "security or files",
}


@dataclass(frozen=True)
class Finding:
    """One line of the report; line and column count from 1, in a notebook within the code cell of that number."""

    file: str
    line: int
    column: int
    code: str
    text: str
    cell: int = 0

    def __str__(self) -> str:
        return f"{self.place()} {self.code} {self.text}"

    def place(self) -> str:
        """File, cell, line and column, each followed by a colon."""
        cell = f"cell {self.cell}:" if self.cell else ""
        return f"{self.file}:{cell}{self.line}:{self.column}:"

    def for_hosts(self) -> tuple[int, int, str]:
        """Line, column and text for programs that know no cells: a notebook's first line, the cell in the text."""
        if not self.cell:
            return self.line, self.column, self.text
        return 1, 1, f"cell {self.cell}, line {self.line}: {self.text}"


@dataclass
class Report:
    """What was found in all files; ``uses`` counts the uses of MXNet's names."""

    findings: list[Finding] = field(default_factory=list)
    files: int = 0
    uses: int = 0

    def count(self, code: str) -> int:
        """How many uses have a finding of the class."""
        return len({(f.file, f.cell, f.line, f.column) for f in self.findings if f.code.startswith(code)})

    def summary(self) -> str:
        """The last line of the report."""
        counted = f"{_counted(self.files, 'file')}, {_counted(self.uses, 'MXNet use')}"
        if not self.uses:
            return counted
        missing, differ = self.count("MX3"), self.count("MX2")
        supported = max(self.uses - missing - differ, 0)
        share = 100.0 * supported / self.uses
        return f"{counted}: {supported} supported ({share:.1f} %), {differ} differ, {missing} missing"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def as_text(report: Report) -> str:
    """A line a finding, then the summary."""
    return "\n".join([*map(str, report.findings), report.summary()])


def as_coloured_text(report: Report) -> str:
    """The same for a terminal: places bold, what is missing red, the other codes yellow."""
    lines = [
        f"\033[1m{f.place()}\033[0m \033[{31 if f.code.startswith('MX3') else 33}m{f.code}\033[0m {f.text}"
        for f in report.findings
    ]
    return "\n".join([*lines, report.summary()])


def as_json(report: Report) -> str:
    """Findings and counts as one object."""
    counts = {"files": report.files, "uses": report.uses, "missing": report.count("MX3"), "differ": report.count("MX2")}
    return json.dumps({"findings": [asdict(f) for f in report.findings], "counts": counts}, indent=1)


def as_github(report: Report) -> str:
    """Workflow commands that annotate a pull request."""
    return "\n".join([*map(_github_command, report.findings), report.summary()])


def _github_command(finding: Finding) -> str:
    line, column, text = finding.for_hosts()
    kind = "error" if finding.code.startswith("MX3") else "warning"
    place = f"file={_escaped(finding.file, ':,')},line={line},col={column},title={finding.code}"
    return f"::{kind} {place}::{_escaped(text)}"


def _escaped(text: str, more: str = "") -> str:
    """The text of a workflow command; properties have ``more`` characters with a meaning."""
    for sign in "%\r\n" + more:
        text = text.replace(sign, f"%{ord(sign):02X}")
    return text


def as_sarif(report: Report) -> str:
    """SARIF 2.1.0, as code hosts read it."""
    codes = sorted({f.code for f in report.findings})
    rules = [{"id": code, "shortDescription": {"text": CLASSES[code[:3]]}} for code in codes]
    driver = {"name": "mxcompat check", "rules": rules}
    results = [_sarif_result(f, codes.index(f.code)) for f in report.findings]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return json.dumps({"$schema": _SARIF, "version": "2.1.0", "runs": [run]}, indent=1)


def _sarif_result(finding: Finding, rule: int) -> dict:
    line, column, text = finding.for_hosts()
    region = {"startLine": line, "startColumn": column}
    place = {"artifactLocation": {"uri": _uri(finding.file)}, "region": region}
    level = "error" if finding.code.startswith("MX3") else "warning"
    return {
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": level,
        "message": {"text": text},
        "locations": [{"physicalLocation": place}],
    }


def _uri(path: str) -> str:
    """A relative reference for a relative path, a file URI for an absolute one."""
    return Path(path).as_uri() if os.path.isabs(path) else quote(Path(os.path.normpath(path)).as_posix())


FORMATS = {"text": as_text, "json": as_json, "github": as_github, "sarif": as_sarif}


def unique(findings: Sequence[Finding]) -> list[Finding]:
    """The findings in order of place, each once."""
    return sorted(set(findings), key=lambda f: (f.file, f.cell, f.line, f.column, f.code, f.text))
