"""The migration examples, unmodified, under ``mxcompat run``."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mxcompat.__main__ import main

ROOT = Path(__file__).parents[1]
DIGITS = "migration_examples/digits/train.py"


def run(*args: str, cwd: Path = ROOT, errors: int = subprocess.STDOUT) -> str:
    """What the script prints and logs."""
    command = [sys.executable, "-m", "mxcompat", "run", "--seed", "1", *args]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=cwd, env=environment)
    assert done.returncode == 0, done.stdout
    return done.stdout


def final_accuracy(text: str) -> float:
    match = re.search(r"^final validation accuracy (\d\.\d{4})$", text, re.MULTILINE)
    assert match, text
    return float(match[1])


def test_digits_lenet() -> None:
    text = run(DIGITS, "--network", "lenet")
    for form in (
        r"^Epoch\[9\] Batch \[10-20\]\tSpeed: \d+\.\d\d samples/sec\taccuracy=\d\.\d{6}\tcross-entropy=\d\.\d{6}$",
        r"^Epoch\[9\] Train-accuracy=\d\.\d{6}$",
        r"^Epoch\[9\] Time cost=\d+\.\d{3}$",
        r"^Epoch\[9\] Validation-cross-entropy=\d\.\d{6}$",
    ):
        assert re.search(form, text, re.MULTILINE), (form, text)
    assert final_accuracy(text) >= 0.97


def test_digits_goes_on_from_a_checkpoint(tmp_path: Path) -> None:
    prefix = str(tmp_path / "digits")
    common = (DIGITS, "--network", "mlp", "--model-prefix", prefix)
    first = run(*common, "--num-epochs", "2")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "digits-0001.params",
        "digits-0002.params",
        "digits-symbol.json",
    ]
    second = run(*common, "--num-epochs", "4", "--load-epoch", "2", "--lr", "0.05")
    assert "Epoch[1]" not in second and "Epoch[2]" in second and "Epoch[3]" in second
    assert final_accuracy(second) > final_accuracy(first) - 0.02


@pytest.mark.slow
@pytest.mark.parametrize("options", [["--kv-store", "device"], ["--network", "mlp"], ["--gpus", "0,1"]], ids=" ".join)
def test_digits_variants(options: list[str]) -> None:
    assert final_accuracy(run("--device", "cpu", DIGITS, *options)) >= 0.95


def plain(text: str) -> list[str]:
    """The text without NumPy's spacing and with the original's name for the package."""
    text = re.sub(r"\s*([][(),])\s*", r"\1", text.replace("mxcompat.", "mxnet."))
    return text.split()


@pytest.mark.parametrize(
    "script", ["symbol_tour/tour.py", "ndarray_tour/tour.py", "book_symbol/symbol.py", "api_guide/guide.py"]
)
def test_tutorials_print_what_the_original_printed(script: str, tmp_path: Path) -> None:
    path = ROOT / "migration_examples" / script
    found = run("--device", "cpu", str(path), cwd=tmp_path, errors=subprocess.DEVNULL)
    expected = path.with_name("expected.txt").read_text(encoding="utf-8")
    assert plain(found) == plain(expected)


def test_the_module_tutorial(tmp_path: Path) -> None:
    text = run(str(ROOT / "migration_examples/module_training/train.py"), cwd=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *(f"mx_mlp-000{i}.params" for i in range(1, 6)),
        "mx_mlp-symbol.json",
    ]
    assert len(re.findall(r"^batch \d, accuracy \d\.\d{6}$", text, re.MULTILINE)) == 10
    assert re.search(r"^\[\('mse', \S+\), \('accuracy', 0\.\d+\)\]$", text, re.MULTILINE)
    assert re.search(r"^True$", text, re.MULTILINE)
    assert [int(n) for n in re.findall(r"Epoch\[(\d)\] Train-accuracy", text)] == [*range(5), *range(5), 3, 4, 0, 1]


def test_the_custom_operator_tutorial() -> None:
    text = run(str(ROOT / "migration_examples/custom_softmax/softmax.py"))
    accuracies = re.findall(r"^(built in|in Python): accuracy (\d\.\d{4})$", text, re.MULTILINE)
    assert [name for name, _ in accuracies] == ["built in", "in Python"]
    assert accuracies[0][1] == accuracies[1][1] and float(accuracies[0][1]) > 0.98


def test_converted_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    """The module of the folder is what the command writes; its training goes on, and back to a checkpoint."""
    pytest.importorskip("safetensors")
    folder = ROOT / "migration_examples/convert"
    shutil.copy(folder / "continue_training.py", tmp_path)
    monkeypatch.chdir(tmp_path)
    command = ["convert", str(folder / "lenet"), "2", "--to", "module", "--shape", "data=1,1,8,8", "-o", "lenet.py"]
    assert main(command) == 0
    assert capsys.readouterr().out.endswith("wrote lenet.py\nwrote lenet.safetensors\n")
    assert (tmp_path / "lenet.py").read_text() == (folder / "lenet.py").read_text()
    data = str(ROOT / "migration_examples/digits/digits.npz")
    training = ["continue_training.py", "--data", data, "--epochs", "2", "--out", "tuned.safetensors"]
    done = subprocess.run([sys.executable, *training], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    first, *_, last, saved = done.stdout.splitlines()
    assert first == "as converted: validation accuracy 0.9575" and saved == "saved tuned.safetensors"
    assert float(last.split()[-1]) > 0.965
    assert main(["convert", "tuned.safetensors", "4", "--to", "params", "-o", "tuned"]) == 0
    text = run(str(ROOT / DIGITS), "--model-prefix", "tuned", "--load-epoch", "4", "--num-epochs", "4", cwd=tmp_path)
    assert f"{final_accuracy(text):.4f}" == last.split()[-1]


def test_readme_example() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"^```python\n(.*?)^```\n\nIt prints `(.*?)`\.$", readme, re.MULTILINE | re.DOTALL)
    assert block
    done = subprocess.run([sys.executable, "-c", block[1]], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == block[2], done.stderr


def test_continuous_integration_runs_the_command_of_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "\n    python -m pytest\n" in readme
    assert (ROOT / ".ci" / "run").read_text(encoding="utf-8").endswith("\npython -m pytest\n")
