"""Run Apache MXNet's unit tests (branch v1.9.x) against mxcompat, one process a file, and compare with what is known.

Prints a table and writes a JSON report. Ends with 1 if a test fails that is not in ``data/known_failures.txt`` and
passes on real MXNet 1.9.1, or if a known failure passes. Tests that use Gluon or ``mx.np`` are counted apart.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(__file__).resolve().parent / "data"
UNITTESTS = Path("tests/python/unittest")

#: the core of the API, and the rest that needs no Gluon
GROUPS = {
    "first": "symbol executor module attr infer_shape infer_type viz init io kvstore metric multi_device_exec "
    "model_parallel recordio rnn optimizer ndarray random autograd contrib_autograd base operator",
    "second": "higher_order_grad contrib_operator contrib_control_flow contrib_optimizer contrib_text contrib_io "
    "contrib_krprod contrib_svrg_module contrib_svrg_optimizer contrib_stes_op contrib_hawkesll sparse_ndarray "
    "sparse_operator image exc_handling thread_local engine profiler runtime dlpack dynamic_shape test_utils "
    "kvstore_custom",
}
Result = dict[str, Any]


def main(arguments: list[str] | None = None) -> int:
    """The exit code."""
    options = _options(arguments)
    folder = Path(options.src) / UNITTESTS
    if not folder.is_dir():
        print(f"tests.upstream: {folder} is not there: --src names a checkout of apache/mxnet, branch v1.9.x")
        return 2
    files = [_file_name(name) for name in options.files] if options.files else _files_of(options.group)
    absent = [file for file in files if not (folder / file).is_file()]
    if absent:
        print(f"tests.upstream: no such file in {folder}: {', '.join(absent)}")
        return 2
    with ThreadPoolExecutor(options.jobs) as pool:
        results = dict(zip(files, pool.map(lambda file: run_file(folder / file, options), files)))
    if options.record:
        record(results)
        return 0
    facts = _read_facts()
    known = _read_known()
    if not options.k:  # a test that did not even start has failed
        for file, lines in results.items():
            lines += _not_run(file, lines, facts)
    table = {file: classify(lines, facts, known) for file, lines in results.items()}
    _write_json(options.json, table, results)
    return _report(table, results)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tests.upstream", description=__doc__)
    parser.add_argument("--src", required=True, metavar="CHECKOUT", help="checkout of apache/mxnet, branch v1.9.x")
    parser.add_argument("--files", nargs="+", metavar="FILE", help="test files, as test_symbol or test_symbol.py")
    parser.add_argument("--group", choices=(*GROUPS, "all"), default="first", help="group of files (default: first)")
    parser.add_argument("-k", metavar="EXPR", help="only the tests that pytest's -k selects")
    parser.add_argument("--mode", choices=("never", "auto", "always"), default="never", help="MXCOMPAT_COMPILE")
    parser.add_argument("--limit", type=float, default=300, metavar="SECONDS", help="limit a test (default: 300)")
    parser.add_argument("--jobs", type=int, default=1, help="files that run at a time (default: 1)")
    parser.add_argument("--seed", type=int, default=1, help="seed of every test (default: 1)")
    parser.add_argument("--json", default="upstream.json", metavar="PATH", help="report (default: upstream.json)")
    parser.add_argument("--python", default=sys.executable, help="interpreter; with --record, real MXNet's")
    parser.add_argument("--record", action="store_true", help="run on real MXNet and record the outcomes in data/")
    parser.add_argument("-v", "--verbose", action="store_true", help="print each test's result as it comes")
    parser.add_argument("--tracebacks", action="store_true", help="print pytest's output")
    return parser.parse_args(arguments)


def _file_name(name: str) -> str:
    return name if name.endswith(".py") else name + ".py"


def _files_of(group: str) -> list[str]:
    groups = GROUPS.values() if group == "all" else [GROUPS[group]]
    return [f"test_{name}.py" for names in groups for name in names.split()]


def run_file(path: Path, options: argparse.Namespace) -> list[Result]:
    """The result of every test of a file. A process that dies costs the test that it died in, and is started again."""
    results: list[Result] = []
    with tempfile.TemporaryDirectory() as scratch:
        report, done = Path(scratch) / "report", Path(scratch) / "done"
        for _ in range(20):  # a file that crashes more often says nothing more
            report.write_text("")
            done.write_text("\n".join(result["id"] for result in results))
            code, output = _run_process(path, options, scratch, report, done)
            lines = [json.loads(line) for line in report.read_text().splitlines()]
            finished = [line for line in lines if "id" in line]
            results += finished
            started = [line["start"] for line in lines if "start" in line]
            if len(started) <= len([line for line in finished if not line["id"].endswith("::collection")]):
                break
            results.append(
                {"id": started[-1], "outcome": "crashed", "seconds": 0, "error": f"process ended with {code}"}
            )
        if not results and code not in (0, 5):
            results.append(
                {"id": f"{path.name}::collection", "outcome": "failed", "seconds": 0, "error": output[-500:]}
            )
    if options.verbose:
        for result in results:
            print(f"{result['outcome']:8} {result['seconds']:7.2f} {result['id']} {result['error']}", flush=True)
    return results


def _run_process(path: Path, options: argparse.Namespace, scratch: str, report: Path, done: Path) -> tuple[int, str]:
    environment = {**os.environ, "UPSTREAM_REPORT": str(report), "UPSTREAM_DONE": str(done)}
    environment.update(UPSTREAM_LIMIT=str(options.limit), MXCOMPAT_COMPILE=options.mode, PYTHONDONTWRITEBYTECODE="1")
    environment.update(MXNET_TEST_SEED=str(options.seed), MXNET_MODULE_SEED=str(options.seed), PYTHONPATH=str(ROOT))
    environment.update(MXNET_STORAGE_FALLBACK_LOG_VERBOSE="0", UPSTREAM_FILE=path.name)
    if options.record:
        environment["UPSTREAM_REAL"] = "1"
    settings = Path(scratch) / "pytest.ini"
    settings.write_text("[pytest]\nfilterwarnings = default\n")
    command = [options.python, "-m", "pytest", "-p", "tests.upstream.plugin", "-p", "no:cacheprovider", "-q"]
    command += ["-c", str(settings), "--rootdir", scratch, "--tb=short", str(path.resolve())]
    if options.k:
        command += ["-k", options.k]
    working = Path(scratch) / "work"
    working.mkdir(exist_ok=True)
    process = subprocess.Popen(
        command,
        cwd=working,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    output = _watch(process, report, options.limit)
    if options.tracebacks:
        print(output, flush=True)
    return process.returncode, output


def _watch(process: subprocess.Popen, report: Path, limit: float) -> str:
    """Wait for the process; kill it when a test has run 60 s over its limit (in code that no signal interrupts)."""
    while True:
        try:
            return process.communicate(timeout=15)[0]
        except subprocess.TimeoutExpired:
            if time.time() - report.stat().st_mtime > limit + 60:
                process.kill()


def _not_run(file: str, results: list[Result], facts: dict[str, str]) -> list[Result]:
    there = {result["id"] for result in results}
    names = [name for name in facts if name.startswith(f"{file}::") and name not in there]
    return [{"id": name, "outcome": "absent", "seconds": 0, "error": "was not run"} for name in names]


def classify(results: Iterable[Result], facts: dict[str, str], known: dict[str, str]) -> dict[str, list[str]]:
    """Ids of one file by what they mean; ``facts`` and ``known`` are the recorded outcomes and the known failures.

    A test that real MXNet has no passing record of counts in no percentage. ``expected`` counts the tests that pass
    there and use neither Gluon nor ``mx.np``; of these ``passed`` pass here.
    """
    table: dict[str, list[str]] = {
        kind: [] for kind in ("expected", "passed", "known", "unexpected", "surprise", "apart", "apart_passed", "other")
    }
    for result in results:
        name, passed = result["id"], result["outcome"] == "passed"
        fact = facts.get(name, "unknown")
        if fact.startswith("passed "):  # uses Gluon or mx.np
            table["apart"].append(name)
            if passed:
                table["apart_passed"].append(name)
        elif fact == "passed":
            table["expected"].append(name)
            table["passed" if passed else "known" if name in known else "unexpected"].append(name)
        else:
            table["other"].append(name)
        if passed and name in known:
            table["surprise"].append(name)
    return table


def record(results: dict[str, list[Result]]) -> None:
    """Keep what became of the tests on real MXNet: a line a test, ``id outcome [uses]``; other files' lines stay."""
    facts = _read_facts()
    for file, lines in results.items():
        facts = {name: fact for name, fact in facts.items() if not name.startswith(f"{file}::")}
        facts.update({line["id"]: " ".join([line["outcome"], *line.get("uses", [])]) for line in lines})
    DATA.mkdir(exist_ok=True)
    head = "# What becomes of MXNet's unit tests on real MXNet 1.9.1, and whether they use Gluon or mx.np.\n"
    text = "".join(f"{name} {fact}\n" for name, fact in sorted(facts.items()))
    (DATA / "mxnet_outcomes.txt").write_text(head + text)


def _read_facts() -> dict[str, str]:
    return dict(_read_lines(DATA / "mxnet_outcomes.txt"))


def _read_known() -> dict[str, str]:
    return dict(_read_lines(DATA / "known_failures.txt"))


def _read_lines(path: Path) -> Iterable[tuple[str, str]]:
    if path.is_file():
        for line in path.read_text().splitlines():
            if line.strip() and not line.startswith("#"):
                name, _, rest = line.partition(" ")
                yield name, rest.strip()


def _write_json(path: str, table: dict[str, dict[str, list[str]]], results: dict[str, list[Result]]) -> None:
    content = {file: {"summary": table[file], "tests": results[file]} for file in results}
    Path(path).write_text(json.dumps(content, indent=1) + "\n")


def _report(table: dict[str, dict[str, list[str]]], results: dict[str, list[Result]]) -> int:
    print(f"{'file':32} {'passed':>7} {'of':>5} {'known':>6} {'new':>5} {'apart':>9} {'seconds':>8}")
    total = dict.fromkeys(("expected", "passed", "known", "unexpected", "apart", "apart_passed"), 0)
    for file, kinds in table.items():
        counts = {kind: len(kinds[kind]) for kind in total}
        total = {kind: total[kind] + counts[kind] for kind in total}
        _print_row(file, counts, sum(result["seconds"] for result in results[file]))
    _print_row("together", total, sum(result["seconds"] for lines in results.values() for result in lines))
    share = 100 * total["passed"] / max(total["expected"], 1)
    print(f"{share:.1f} % of the tests that pass on real MXNet 1.9.1 without Gluon and mx.np pass on mxcompat.")
    errors = {result["id"]: result for lines in results.values() for result in lines}
    unexpected = [name for kinds in table.values() for name in kinds["unexpected"]]
    surprises = [name for kinds in table.values() for name in kinds["surprise"]]
    for result in errors.values():
        if result["id"].endswith("::collection"):
            print(f"{result['id']}: {result['error']}")
    for name in unexpected:
        if errors[name]["outcome"] == "absent":
            continue  # its file did not import, which is said above, or was cut short
        print(f"{errors[name]['outcome']}: {name}: {errors[name]['error']}")
    for name in surprises:
        print(f"passes, though data/known_failures.txt lists it: {name}")
    return 1 if unexpected or surprises else 0


def _print_row(file: str, counts: dict[str, int], seconds: float) -> None:
    apart = f"{counts['apart_passed']}/{counts['apart']}"
    print(
        f"{file:32} {counts['passed']:7} {counts['expected']:5} {counts['known']:6} {counts['unexpected']:5} "
        f"{apart:>9} {seconds:8.1f}"
    )


if __name__ == "__main__":
    sys.exit(main())
