"""The allocator's setting: made once, and switched off by the environment."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

CODE = "from mxcompat import allocator; print(allocator.keep_memory(), allocator.keep_memory())"


def made(value: str) -> str:
    environment = {**os.environ, "MXCOMPAT_ALLOCATOR": value}
    return subprocess.run([sys.executable, "-c", CODE], env=environment, capture_output=True, text=True).stdout.strip()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a setting of glibc")
def test_the_switch() -> None:
    assert made("keep") in ("True True", "False False")  # another C library has no such setting
    assert made("system") == "False False"


def test_an_unknown_value_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from mxcompat import allocator

    monkeypatch.setenv("MXCOMPAT_ALLOCATOR", "fast")
    monkeypatch.setattr(allocator, "_done", False)
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(ValueError, match="MXCOMPAT_ALLOCATOR='fast'"):
        allocator.keep_memory()


KEEPS = """
import mxcompat as mx
from mxcompat import allocator
from tests.benchmarks.memory import resident

net = mx.sym.relu(mx.sym.exp(mx.sym.Variable("data")))
net.simple_bind(mx.cpu(), data=(2, 2)).forward(is_train=True)
arrays = [mx.nd.zeros((4, 1 << 20)) + 1 for _ in range(4)]  # 64 MiB
before = resident("VmRSS")
del arrays
print(allocator.keep_memory(), before - resident("VmRSS") < 32)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a setting of glibc")
@pytest.mark.parametrize(
    "switches, kept",
    [
        ({}, True),
        ({"MXNET_BACKWARD_DO_MIRROR": "1"}, False),
        ({"MXNET_BACKWARD_DO_MIRROR": "1", "MXCOMPAT_ALLOCATOR": "keep"}, True),
    ],
)
def test_the_switch_for_mirroring_gives_large_blocks_back(switches: dict[str, str], kept: bool) -> None:
    names = ("MXCOMPAT_ALLOCATOR", "MXNET_BACKWARD_DO_MIRROR")
    environment = {key: value for key, value in os.environ.items() if key not in names} | switches
    environment["PYTHONPATH"] = os.getcwd()
    found = subprocess.run([sys.executable, "-c", KEEPS], env=environment, check=True, capture_output=True, text=True)
    has_setting, keeps = found.stdout.split()
    if has_setting == "False":
        pytest.skip("another C library has no such setting")
    assert keeps == str(kept)
