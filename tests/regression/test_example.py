"""The example of a recording: run, verified, converted, trained on in plain PyTorch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_examples import ROOT, final_accuracy, run


def test_recorded_and_verified(tmp_path: Path) -> None:
    folder = ROOT / "migration_examples/record_verify"
    assert 0.97 < final_accuracy(run(str(folder / "train.py"), "--num-epochs", "4", cwd=tmp_path)) <= 1
    command = [sys.executable, "-m", "mxcompat", "verify", str(folder / "golden")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0 and "compared 523, " in done.stdout and ", 0 out of tolerance" in done.stdout, done.stdout
    pytest.importorskip("safetensors")
    convert = ["convert", str(folder / "digits"), "5", "--to", "module", "--shape", "data=1,1,8,8", "-o", "net.py"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-m", "mxcompat", *convert], check=True, cwd=tmp_path, env=environment)
    script = [sys.executable, str(folder / "continue_training.py"), str(tmp_path)]
    lines = subprocess.run(script, capture_output=True, text=True, check=True).stdout.splitlines()
    assert lines[0] == "as converted: validation accuracy 0.9833" and float(lines[-1].split()[-1]) > 0.96
