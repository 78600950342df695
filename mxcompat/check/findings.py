"""Findings, and the forms in which they are reported."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

#: class of a code -> what it is about
CLASSES = {
    "MX1": "Python or NumPy age",
    "MX2": "behaves differently here",
    "MX3": "missing",
    "MX4": "no effect here",
    "MX5": "security or files",
}


@dataclass(frozen=True, order=True)
class Finding:
    """One line of the report; line and column count from 1."""

    file: str
    line: int
    column: int
    code: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.code} {self.text}"


@dataclass
class Report:
    """What was found in all files; ``uses`` counts the uses of MXNet's names."""

    findings: list[Finding] = field(default_factory=list)
    files: int = 0
    uses: int = 0

    def count(self, code: str) -> int:
        """How many uses have a finding of the class."""
        return len({(f.file, f.line, f.column) for f in self.findings if f.code.startswith(code)})

    def summary(self) -> str:
        """The last line of the report."""
        missing, differ = self.count("MX3"), self.count("MX2")
        supported = max(self.uses - missing - differ, 0)
        share = 100.0 * supported / self.uses if self.uses else 100.0
        return (
            f"{self.files} files, {self.uses} MXNet uses: {supported} supported ({share:.1f} %), {differ} differ, "
            f"{missing} missing"
        )


def as_text(report: Report) -> str:
    """A line a finding, then the summary."""
    return "\n".join([*map(str, report.findings), report.summary()])


def as_json(report: Report) -> str:
    """Findings and counts as one object."""
    counts = {"files": report.files, "uses": report.uses, "missing": report.count("MX3"), "differ": report.count("MX2")}
    return json.dumps({"findings": [asdict(f) for f in report.findings], "counts": counts}, indent=1)


def as_github(report: Report) -> str:
    """Workflow commands that annotate a pull request."""
    lines = [
        f"::{'error' if f.code.startswith('MX3') else 'warning'} file={f.file},line={f.line},col={f.column},"
        f"title={f.code}::{f.text}"
        for f in report.findings
    ]
    return "\n".join([*lines, report.summary()])


def as_sarif(report: Report) -> str:
    """SARIF 2.1.0, as code hosts read it."""
    codes = sorted({f.code for f in report.findings})
    rules = [{"id": code, "shortDescription": {"text": CLASSES[code[:3]]}} for code in codes]
    results = [_sarif_result(f) for f in report.findings]
    tool = {"driver": {"name": "mxcompat check", "rules": rules}}
    return json.dumps({"version": "2.1.0", "runs": [{"tool": tool, "results": results}]}, indent=1)


def _sarif_result(finding: Finding) -> dict:
    region = {"startLine": finding.line, "startColumn": finding.column}
    place = {"physicalLocation": {"artifactLocation": {"uri": finding.file}, "region": region}}
    level = "error" if finding.code.startswith("MX3") else "warning"
    return {"ruleId": finding.code, "level": level, "message": {"text": finding.text}, "locations": [place]}


FORMATS = {"text": as_text, "json": as_json, "github": as_github, "sarif": as_sarif}


def unique(findings: Sequence[Finding]) -> list[Finding]:
    """The findings in order of place, each once."""
    return sorted(set(findings))
