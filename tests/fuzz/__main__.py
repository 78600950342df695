"""``python -m tests.fuzz``: reads damaged files with every loader and counts what becomes of them.

A mutant is loaded or refused, or it is a finding: an error that names no file, another class of exception, a crash, a
hang, or more memory than the file explains. Findings are kept, and end the command with 1. The same seed makes the same
mutants; ``--only LOADER:NUMBER`` reads one again.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.fuzz.loaders import loaders
from tests.fuzz.mutants import make, shares
from tests.fuzz.pool import Reader

OUTCOMES = ("loaded", "refused", "unnamed", "other", "crash", "hang", "oversized")
GOOD = ("loaded", "refused")


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    made = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.splitlines()[0])
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--mutants", type=int, default=3300, metavar="N", help="of all loaders together (default: 3300)")
    made.add_argument("--first", type=int, default=0, metavar="N", help="number of the first mutant of each loader")
    made.add_argument(
        "--loader", action="append", choices=sorted(loaders()), metavar="NAME", help="only this one; repeat"
    )
    made.add_argument("--time-limit", type=float, default=10, metavar="S", help="seconds for a mutant (default: 10)")
    made.add_argument("--keep", metavar="FOLDER", help="where findings go (default: a new temporary folder)")
    made.add_argument("--only", metavar="LOADER:NUMBER", help="read one mutant and tell what becomes of it")
    return made


def read_one(name: str, number: int, args: argparse.Namespace) -> int:
    """One mutant again, with its files kept."""
    mutant = make(name, number, args.seed)
    with Reader(args.seed, args.time_limit) as reader:
        outcome, message = reader.read(name, number)
    folder = keep(args.keep or tempfile.mkdtemp(prefix="mxcompat-fuzz-"), name, number, args.seed)
    print(f"{name}:{number}: {mutant.damaged} by {mutant.how}: {outcome}\n{message}\nfiles in {folder}")
    return int(outcome not in GOOD)


def keep(folder: str, name: str, number: int, seed: int, message: str = "") -> Path:
    """Write the files of a mutant, and the message if there is one."""
    place = Path(folder, f"{name.replace(' ', '_').replace(',', '')}-{number}")
    place.mkdir(parents=True, exist_ok=True)
    for file, content in make(name, number, seed).files.items():
        (place / file).write_bytes(content)
    if message:
        (place / "finding.txt").write_text(message, encoding="utf-8")
    return place


def run(args: argparse.Namespace) -> tuple[dict[str, Counter], list[str]]:
    """Outcomes by loader, and a line for each finding."""
    counts: dict[str, Counter] = {}
    findings: list[str] = []
    folder = args.keep
    with Reader(args.seed, args.time_limit) as reader:
        for name, count in shares(args.loader or list(loaders()), args.mutants).items():
            counts[name] = Counter()
            started = time.perf_counter()
            for number in range(args.first, args.first + count):
                outcome, message = reader.read(name, number)
                counts[name][outcome] += 1
                if outcome not in GOOD:
                    folder = folder or tempfile.mkdtemp(prefix="mxcompat-fuzz-")
                    how = make(name, number, args.seed).how
                    place = keep(folder, name, number, args.seed, f"{outcome}, {how}\n{message}")
                    last = message.strip().splitlines()[-1:]
                    findings.append(f"{name}:{number}: {outcome} ({how}): {' '.join(last)[:200]}  [{place}]")
            counts[name]["seconds"] = round(time.perf_counter() - started)
    return counts, findings


def table(counts: dict[str, Counter]) -> str:
    """A line for each loader and one for all."""
    total = sum(counts.values(), Counter())
    columns = ("mutants", *OUTCOMES, "seconds")
    lines = [f"{'loader':26}" + "".join(f"{column:>10}" for column in columns)]
    for name, found in [*counts.items(), ("all", total)]:
        numbers = [sum(found[outcome] for outcome in OUTCOMES), *(found[column] for column in columns[1:])]
        lines.append(f"{name:26}" + "".join(f"{number:>10}" for number in numbers))
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """The exit code: 1 where there is a finding."""
    args = parser().parse_args(argv)
    if args.only:
        name, _, number = args.only.rpartition(":")
        return read_one(name, int(number), args)
    counts, findings = run(args)
    print("\n".join([table(counts), *findings]))
    return int(bool(findings))


if __name__ == "__main__":
    sys.exit(main())
