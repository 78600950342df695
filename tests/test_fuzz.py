"""Damaged files in small numbers; ``python -m tests.fuzz`` reads as many as one likes."""

from __future__ import annotations

import random
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.fuzz import __main__ as command
from tests.fuzz import mutators, pool
from tests.fuzz.loaders import loaders
from tests.fuzz.mutants import make, shares
from tests.fuzz.worker import judge

if sys.platform != "linux":
    pytest.skip("the watch over memory reads /proc", allow_module_level=True)


@pytest.mark.parametrize("name", sorted(loaders()))
def test_files_without_damage_are_loaded(name: str, tmp_path: Path) -> None:
    loader = loaders()[name]
    for number, files in enumerate(loader.sets):
        folder = tmp_path / str(number)
        folder.mkdir()
        for file, content in files.items():
            (folder / file).write_bytes(content)
        loader.load(str(folder))


def test_damaged_files_are_loaded_or_refused_by_name(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    code = command.main(["--mutants", "330", "--seed", "2026", "--keep", str(tmp_path)])
    output = capsys.readouterr().out
    assert code == 0, output
    assert "ImageRecordIter" in output or "cv2" not in sys.modules
    assert not list(tmp_path.iterdir())


def test_a_mutant_is_made_again() -> None:
    for name in ("nd.load", "sym.load", "CSVIter"):
        assert make(name, 7, 3) == make(name, 7, 3) != make(name, 8, 3)


def test_every_mutator_changes_files() -> None:
    content = b"".join(bytes([i, 0, 0, 0]) for i in range(1, 60))
    for mutator in {*mutators.BYTES, mutators.change_text}:
        made = {bytes(mutator(bytearray(content), random.Random(i), [content[::-1]])) for i in range(20)}
        assert len(made) > 5, mutator.__name__
        for empty in (b"", b"\n"):
            mutator(bytearray(empty), random.Random(1), [b""])


def test_shares() -> None:
    counts = shares(list(loaders()), 1000)
    assert min(counts.values()) >= 1
    assert counts["nd.load"] > counts["rec check"]


def test_findings_are_told_from_good_outcomes(monkeypatch: pytest.MonkeyPatch) -> None:
    from mxcompat.base import MXNetError
    from tests.fuzz.loaders import Loader
    from tests.fuzz.mutants import Mutant

    def load(action: str, folder: str) -> None:
        if action == "memory":
            bytes(100 << 20)
        elif action == "wrong class":
            raise KeyError("x")
        elif action != "loaded":
            raise MXNetError(f"{folder}/a.nd: bad" if action == "refused" else "bad")

    import functools
    import tracemalloc

    tracemalloc.start()
    try:
        found = Counter(
            judge(Loader([], functools.partial(load, action)), Mutant({"a.nd": b""}, "a.nd", ""))[0]
            for action in ("loaded", "refused", "unnamed", "wrong class", "memory")
        )
    finally:
        tracemalloc.stop()
    assert found == Counter(["loaded", "refused", "unnamed", "other", "oversized"])


@pytest.mark.parametrize(
    ("code", "outcome", "says"),
    [
        ("os.abort()", "crash", "SIGABRT"),
        ("time.sleep(60)", "hang", "SIGKILL"),
        ("sys.exit(3)", "crash", "exit code 3"),
    ],
)
def test_a_process_that_dies_or_hangs_is_noticed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str, outcome: str, says: str
) -> None:
    script = tmp_path / "worker.py"
    script.write_text(f"import os, sys, time\nprint('\"ready\"', flush=True)\nfor line in sys.stdin:\n    {code}\n")
    start = pool.subprocess.Popen

    def popen(given: list[str], **options: object) -> object:
        return start([given[0], str(script)], **options)  # type: ignore[call-overload]

    monkeypatch.setattr(pool.subprocess, "Popen", popen)
    with pool.Reader(0, 1.0) as reader:
        found, message = reader.read("nd.load", 0)
        assert found == outcome
        assert message.startswith(says)
        assert reader.read("nd.load", 1)[0] == outcome  # another process has started
