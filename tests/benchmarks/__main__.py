"""Run the workloads on all sides in turn and print medians and ratios.

    python -m tests.benchmarks [--oracle PYTHON] [--rounds N] [--threads N] [--only TEXT]

``--oracle`` is an interpreter that has real MXNet 1.9.1; without it that column stays empty. Each measurement is a fresh
process; ratios are taken within a round, their median is printed.
"""

from __future__ import annotations

import argparse
import functools
import os
import statistics
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.workloads import WORKLOADS

SCRIPT = Path(__file__).with_name("workloads.py")


def measure(python: str, side: str, name: str, threads: int) -> tuple[float, str]:
    """Seconds a call of one workload on one side, and its memory."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(SCRIPT.parents[2])}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # the first step would compile sources again and again
    found = subprocess.run(
        [python, str(SCRIPT), side, name], env=environment, check=True, capture_output=True, text=True
    )
    imported, most, seconds = map(float, found.stdout.split()[-3:])
    return seconds, f"{imported:.0f} + {most - imported:.0f}"


def show(seconds: float | None) -> str:
    """A time with a unit that fits."""
    if seconds is None:
        return "-"
    for unit, scale in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds * 1e6:.3g} us"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__.split("\n")[0])
    parser.add_argument("--oracle", metavar="PYTHON", help="interpreter with real MXNet")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="", help="workloads whose name contains this")
    parser.add_argument(
        "--compiled", action="store_true", help="let PyTorch by hand be the better of eager and compiled"
    )
    parser.add_argument(
        "--memory", action="store_true", help="peak memory too: after the import + because of the workload"
    )
    options = parser.parse_args()
    columns = ["workload", "mxcompat", "MXNet", "MXNet / mxcompat", "PyTorch by hand", "mxcompat / PyTorch"]
    if options.memory:
        columns += ["MiB of mxcompat", "MiB of MXNet"]
    print(f"| {' | '.join(columns)} |")
    print("|---" * len(columns) + "|")
    for name, (_, by_hand) in WORKLOADS.items():
        if options.only not in name:
            continue
        rounds = []
        for _ in range(options.rounds):
            own = measure(sys.executable, "mxcompat", name, options.threads)
            original = measure(options.oracle, "mxnet", name, options.threads) if options.oracle else None
            hands = (
                ["torch", "torch-compiled"]
                if isinstance(by_hand, functools.partial) and options.compiled
                else ["torch"]
            )
            hand = min(measure(sys.executable, side, name, options.threads) for side in hands)[0] if by_hand else None
            memory = [own[1], original[1] if original else "-"]
            rounds.append((own[0], original[0] if original else None, hand))
        times = [[r[i] for r in rounds if r[i] is not None] for i in range(3)]
        medians = [statistics.median(column) if column else None for column in times]
        faster = statistics.median(o / m for m, o, _ in rounds) if options.oracle else None
        against = statistics.median(m / h for m, _, h in rounds) if by_hand else None
        print(
            f"| {name} | {show(medians[0])} | {show(medians[1])} | {f'{faster:.2f}' if faster else '-'} "
            f"| {show(medians[2])} | {f'{against:.2f}' if against else '-'} |"
            + (f" {memory[0]} | {memory[1]} |" if options.memory else ""),
            flush=True,
        )


if __name__ == "__main__":
    main()
