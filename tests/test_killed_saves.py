"""A save that is killed leaves whole files; ``python -m tests.fuzz.kill`` kills as many as one likes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import mxcompat as mx
from tests.fuzz import kill

if not hasattr(os, "fork"):
    pytest.skip("processes are killed after a fork", allow_module_level=True)


def test_killed_saves_leave_whole_files(capsys: pytest.CaptureFixture) -> None:
    code = kill.main(["--times", "6", "--longest", "0.1", "--size", "20000", "--seed", "5"])
    printed = capsys.readouterr()
    assert code == 0, printed.err
    assert len(printed.out.splitlines()) == 1 + len(kill.KINDS)


@pytest.mark.parametrize("kind", sorted(kill.KINDS))
def test_files_of_two_epochs_and_cut_files_are_noticed(kind: str, tmp_path: Path) -> None:
    saver = kill.KINDS[kind](1000)
    saver.save(tmp_path, 3)
    assert kill._look(saver, tmp_path)["damaged"] == 0
    last = sorted(path for path in tmp_path.iterdir() if path.name.startswith("last"))[0]
    last.write_bytes(last.read_bytes()[:-9])
    assert kill._look(saver, tmp_path)["damaged"] == 1


def test_a_mixture_of_epochs_is_noticed(tmp_path: Path) -> None:
    saver = kill.Arrays(3)
    path = tmp_path / "net-0001.params"
    mx.nd.save(str(path), {f"array{i}": mx.nd.full((3,), 1 + (i == 2)) for i in range(4)})
    with pytest.raises(kill.Damaged, match="expected the number of one epoch"):
        saver.check(path)
