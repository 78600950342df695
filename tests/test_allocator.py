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
