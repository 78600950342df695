"""``mxcompat verify``: repeat recordings of MXNet and show where mxcompat parts from them."""

from __future__ import annotations

import argparse
import json
import os
import runpy
import sys
import time

from mxcompat.migrate import CommandError
from mxcompat.regression.golden import Recording, find_recordings

__all__ = ["configure", "main"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``mxcompat verify``."""
    parser.add_argument(
        "folders", nargs="+", metavar="FOLDER", help="a recording, or a folder with recordings below it"
    )
    parser.add_argument("--step", type=int, action="append", metavar="N", help="only this training step (repeatable)")
    parser.add_argument("--rtol", type=float, metavar="X", help="largest error of floating-point arrays (by type)")
    parser.add_argument("--atol", type=float, default=0.0, metavar="X", help="differences up to this are none (0)")
    parser.add_argument(
        "--load",
        action="append",
        default=[],
        metavar="FILE.py",
        help="run this first, for the operators that it registers",
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="of the report")


def main(args: argparse.Namespace) -> int:
    """Verify each recording; 0, or 3 where something is out of tolerance."""
    folders = [found for folder in args.folders for found in find_recordings(folder) or [folder]]
    recordings = [Recording(folder) for folder in folders]
    for recording in recordings:
        _check_steps(recording, args.step)

    from mxcompat.regression.compare import Tolerance
    from mxcompat.regression.replay import replay

    for path in args.load:
        _load(path)
    reports = []
    for recording in recordings:
        start = time.perf_counter()
        reports.append(replay(recording, Tolerance(args.rtol, args.atol), args.step, _progress()))
        if args.format == "text":
            print(f"{reports[-1].text()} ({time.perf_counter() - start:.1f} s)")
    if args.format == "json":
        print(json.dumps([report.as_dict() for report in reports], indent=1))
    return 3 if any(report.divergences for report in reports) else 0


def _load(path: str) -> None:
    """Run a file of the program under the alias; ``__name__`` is not ``__main__``, so that it does not train."""
    from mxcompat.migrate import alias, idioms

    if not os.path.isfile(path):
        raise CommandError(f"--load {path}: there is no such file")
    alias.install()
    idioms.restore()
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    runpy.run_path(path, run_name="loaded_by_verify")


def _check_steps(recording: Recording, wanted: list[int] | None) -> None:
    known = {step["number"] for step in recording.steps if step["kind"] == "train"}
    for number in wanted or ():
        if number not in known:
            raise CommandError(f"{recording.folder}: no step {number}; recorded are {sorted(known)}")


def _progress():  # type: ignore[no-untyped-def]
    if not sys.stderr.isatty():
        return None
    return lambda step: print(f"\r{step}\x1b[K\r", end="", file=sys.stderr, flush=True)
