"""Record the row tables with real MXNet. Run it with the oracle's interpreter; it needs tests/ and NumPy alone::

    python tests/record.py [--all] [--check] [family ...]

Without families every ``tests/ops/test_<family>.py`` that has a table is recorded, into
``tests/golden/ops/<family>.npz``. Rows that are recorded already stay as they are (``--all`` records them again), rows
that left the table are dropped.
``--check`` writes nothing and says where the oracle disagrees with the record. Rows are evaluated in a worker process,
which is started again behind a row that kills it. Exit status 1 when a row could not be recorded.
"""

from __future__ import annotations

import argparse
import glob
import importlib
import json
import os
import pickle
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator
from typing import Any

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if __name__ == "__main__":
    sys.path[0] = ROOT

from tests import golden_store, harness, observe  # noqa: E402
from tests.rows import Bad, Case  # noqa: E402

ROW_SECONDS = 120


def families() -> list[str]:
    """The families that have a table."""
    found = []
    for path in sorted(glob.glob(os.path.join(ROOT, "tests", "ops", "test_*.py"))):
        with open(path, encoding="utf-8") as file:
            if "rows_test(" in file.read():
                found.append(os.path.basename(path)[len("test_") : -len(".py")])
    return found


def table(family: str) -> dict[str, Case]:
    """The rows of a family that are recorded, by id."""
    importlib.import_module("tests.ops.test_" + family)
    rows = {row.id: row for row in harness.TABLES[family]}
    return {key: row for key, row in rows.items() if not (isinstance(row, Bad) and row.error is not None)}


def work(family: str) -> None:
    """The worker: evaluate the rows whose ids stand on standard input, and stream (id, result or error text)."""
    stream = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what MXNet prints must not disturb the stream
    ids = json.loads(sys.stdin.read())
    import mxnet as mx

    rows = table(family)
    for row_id in ids:
        pickle.dump((row_id, None), stream)
        stream.flush()
        signal.alarm(ROW_SECONDS)
        try:
            outcome = observe.observe(mx, rows[row_id])  # type: Any
            problem = _difference(outcome, observe.observe(mx, rows[row_id]))
            if problem:
                outcome = "two runs of the oracle disagree (memory it does not write?): " + problem
        except Exception:  # noqa: BLE001 - shown to the author of the row
            outcome = traceback.format_exc(limit=-3)
        signal.alarm(0)
        pickle.dump((row_id, outcome), stream)
        stream.flush()


def evaluate(family: str, ids: list[str]) -> Iterator[tuple[str, Any]]:
    """(id, result or error text) of each row; a worker that dies is replaced."""
    environment = dict(os.environ, OMP_NUM_THREADS="1", MXNET_SUBGRAPH_VERBOSE="0")
    while ids:
        command = [sys.executable, os.path.abspath(__file__), "--worker", family]
        worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdin.write(json.dumps(ids).encode("utf-8"))
        worker.stdin.close()
        running = ""
        while True:
            try:
                row_id, outcome = pickle.load(worker.stdout)
            except EOFError:
                break
            running = row_id if outcome is None else ""
            if outcome is not None:
                ids = ids[1:]
                yield row_id, outcome
        status = worker.wait()
        if running:
            yield running, f"the oracle's process ended with status {status} (a crash, or more than {ROW_SECONDS} s)"
            ids = ids[1:]
        elif status:
            raise SystemExit(f"{family}: the worker ended with status {status} before the first row")


def mistake(row: Case, outcome: Any) -> str:
    """Why an outcome cannot be recorded; empty when it can."""
    if isinstance(outcome, str):
        hint = "; declare error='MXNetError' (or another class)" if isinstance(row, Bad) else ""
        return outcome.rstrip() + hint
    if isinstance(row, Bad) and set(outcome.facts["errors"].values()) == {"none"}:
        return "the original raises nothing here; declare error=... when mxcompat should"
    if outcome.size > golden_store.ROW_LIMIT:
        return f"the results take {outcome.size} bytes, more than {golden_store.ROW_LIMIT}; use smaller inputs"
    return ""


def record(family: str, everything: bool) -> int:
    """Bring the golden file of a family up to date; the number of rows that failed."""
    rows = table(family)
    kept = {} if everything else golden_store.load(harness.golden_path(family))
    results = {key: value for key, value in kept.items() if key in rows}
    new, failed = 0, 0
    for row_id, outcome in evaluate(family, [key for key in rows if key not in results]):
        problem = mistake(rows[row_id], outcome)
        if problem:
            failed += 1
            print(f"{family}: {row_id}: {rows[row_id]!r}\n    " + problem.replace("\n", "\n    "))
        else:
            new += 1
            results[row_id] = outcome
    if new or len(kept) != len(results):
        golden_store.save(harness.golden_path(family), results)
    dropped = len(kept) - (len(results) - new)
    print(f"{family}: {len(results)} rows, {new} new, {dropped} dropped, {failed} failed")
    return failed


def check(family: str) -> int:
    """Compare the record with the oracle; the number of rows that differ."""
    rows = table(family)
    recorded = golden_store.load(harness.golden_path(family))
    bad = [f"{key}: recorded, but in no table" for key in recorded if key not in rows]
    bad += [f"{key}: not recorded" for key in rows if key not in recorded]
    for row_id, outcome in evaluate(family, [key for key in rows if key in recorded]):
        problem = mistake(rows[row_id], outcome) or _difference(recorded[row_id], outcome)
        if problem:
            bad.append(f"{row_id}: {problem}")
    print("\n".join([f"{family}: {len(rows)} rows, {len(bad)} differ", *bad]))
    return len(bad)


def _difference(recorded: golden_store.Result, found: golden_store.Result) -> str:
    if json.dumps(found.facts, sort_keys=True) != json.dumps(recorded.facts, sort_keys=True):
        return f"facts: recorded {recorded.facts}, found {found.facts}"
    if set(found.arrays) != set(recorded.arrays):
        return f"arrays: recorded {sorted(recorded.arrays)}, found {sorted(found.arrays)}"
    for key, array in recorded.arrays.items():
        problem = harness.differences(array, found.arrays[key])
        if problem:
            return f"{key}: {problem}"
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(description="Record the operator tables with real MXNet.")
    parser.add_argument("families", nargs="*")
    parser.add_argument("--all", action="store_true", help="record again what is recorded already")
    parser.add_argument("--check", action="store_true", help="write nothing, compare the record with the oracle")
    parser.add_argument("--worker", metavar="FAMILY", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options.worker)
        return 0
    chosen = options.families or families()
    bad = sum(check(family) if options.check else record(family, options.all) for family in chosen)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
