"""The pytest plugin, in sessions of its own: recordings as tests, golden values, tolerances, the summary, the alias."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
GOLDEN = HERE.parent / "golden" / "regression"
TESTS = """
import pytest

def test_the_alias():
    import mxnet
    assert mxnet.nd.ones(2).sum().asscalar() == 2

def test_a_value(mx, golden):
    golden.check("twice", mx.nd.arange(4) * FACTOR)
    golden.check("number", 3)

@pytest.mark.mxcompat_tolerance(rtol=0.2)
def test_a_tolerance(mx, golden):
    golden.check("about", mx.nd.ones(3) * (1 + FACTOR / 20))

def test_a_recording(golden):
    golden.verify("custom_loop")
"""
OPTIONS = ("--mxcompat-alias", "--mxcompat-golden", "golden")


def session(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run pytest with the plugin in a folder, its summary as long as a terminal has it (pytest asks CI and BUILD_NUMBER)."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    for name in ("CI", "BUILD_NUMBER"):
        environment.pop(name, None)
    command = [sys.executable, "-m", "pytest", "-p", "mxcompat.regression.plugin", "-p", "no:cacheprovider", *options]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)


@pytest.fixture
def team(tmp_path: Path) -> Path:
    """A folder as a team has it: tests, and recordings in a folder of their own."""
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers\nfilterwarnings = error\n")
    (tmp_path / "test_model.py").write_text(TESTS.replace("FACTOR", "2"))
    for name in ("custom_loop", "feed_forward"):
        shutil.copytree(GOLDEN / name, tmp_path / "golden" / name)
    return tmp_path


def test_recordings_and_values(team: Path) -> None:
    done = session(team, *OPTIONS)
    assert done.returncode == 1 and done.stdout.count("--mxcompat-update stores it") == 2, done.stdout
    before = (team / "golden" / "custom_loop" / "arrays.npz").read_bytes()
    assert session(team, *OPTIONS, "--mxcompat-update").returncode == 0
    values = team / "golden" / "values" / "test_model-test_a_value.npz"
    stored = values.read_bytes()
    done = session(team, *OPTIONS, "-v")
    assert done.returncode == 0, done.stdout
    assert "golden::custom_loop PASSED" in done.stdout and "golden::feed_forward PASSED" in done.stdout
    assert "6 passed" in done.stdout
    assert "\ngolden: 201 compared, worst 1.9e-07 at feed_forward, step 0, inner output fc2_output\n" in done.stdout
    # another result: beyond the tolerance for one test, within it for the other
    (team / "test_model.py").write_text(TESTS.replace("FACTOR", "3"))
    done = session(team, *OPTIONS, "-k", "value or tolerance")
    assert "1 failed, 1 passed" in done.stdout and "golden.check: twice, shape (4,): error" in done.stdout
    (team / "test_model.py").write_text(TESTS.replace("FACTOR", "2"))
    assert session(team, *OPTIONS, "-k", "value", "--mxcompat-update").returncode == 0
    assert values.read_bytes() == stored
    assert (team / "golden" / "custom_loop" / "arrays.npz").read_bytes() == before


def test_a_divergence_fails_the_item_unless_a_marker_allows_it(team: Path) -> None:
    (team / "test_model.py").unlink()
    path = team / "golden" / "custom_loop" / "meta.json"
    text = path.read_text(encoding="utf-8")
    assert '"gamma1": 0.9' in text
    path.write_text(text.replace('"gamma1": 0.9', '"gamma1": 0.91'), encoding="utf-8")
    done = session(team, *OPTIONS)
    assert done.returncode == 1 and "1 failed, 1 passed" in done.stdout
    assert "first divergence: step 1, " in done.stdout and "after its update by RMSProp" in done.stdout
    (team / "conftest.py").write_text(
        "import pytest\n"
        "@pytest.hookimpl(trylast=True)\n"
        "def pytest_collection_modifyitems(items):\n"
        "    for item in items:\n"
        "        item.add_marker(pytest.mark.mxcompat_tolerance(rtol=0.5))\n"
    )
    assert session(team, *OPTIONS).returncode == 0


def test_without_its_options_it_is_not_there(team: Path) -> None:
    (team / "test_model.py").write_text(
        "import sys\n"
        "def test_nothing_is_imported():\n"
        "    assert not {'torch', 'numpy', 'mxnet'} & set(sys.modules)\n"
        "def test_it_is_asked_for(golden):\n"
        "    pass\n"
    )
    done = session(team)
    assert "1 passed, 1 error" in done.stdout and "the fixture golden needs --mxcompat-golden DIR" in done.stdout
    assert "golden: " not in done.stdout
    done = session(team, "--mxcompat-golden", "nowhere")
    assert done.returncode == 4 and "there is no such folder" in done.stderr


def test_pytest_finds_it() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert '\n[project.entry-points.pytest11]\nmxcompat = "mxcompat.regression.plugin"\n' in project
