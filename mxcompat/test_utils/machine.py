"""Environment variables for a while, and facts about the machine."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mxcompat
from mxcompat.ndarray import waitall
from mxcompat.util import get_gpu_count, setenv

__all__ = [
    "discard_stderr",
    "environment",
    "get_im2rec_path",
    "has_tvm_ops",
    "is_aarch64_run",
    "is_cd_run",
    "is_op_runnable",
    "list_gpus",
]


@contextmanager
def environment(*args: Any) -> Iterator[None]:
    """A scope in which environment variables have other values: ``environment(name, value)`` or a dict; None unsets."""
    if len(args) == 1 and isinstance(args[0], dict):
        values = args[0]
    elif len(args) == 2:
        values = {args[0]: args[1]}
    else:
        raise AssertionError("environment: expected a dict, or a name and a value")
    before = {name: os.environ.get(name) for name in values}
    for name, value in values.items():
        setenv(name, value)
    try:
        yield
    finally:
        waitall()
        for name, value in before.items():
            setenv(name, value)


@contextmanager
def discard_stderr() -> Iterator[None]:
    """A scope in which what this process writes to its standard error file is lost."""
    try:
        number = sys.stderr.fileno()
    except (AttributeError, OSError):  # standard error is no file: nothing to redirect
        yield
        return
    sys.stderr.flush()
    kept = os.dup(number)
    try:
        with open(os.devnull, "w") as sink:
            os.dup2(sink.fileno(), number)
            yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, number)
        os.close(kept)


def list_gpus() -> range:
    """The numbers of the GPUs that CUDA offers."""
    return range(get_gpu_count())


def is_cd_run() -> bool:
    """Whether the environment says that this is a delivery run (``CD_JOB=1``)."""
    return os.environ.get("CD_JOB") == "1"


def is_aarch64_run() -> bool:
    """Whether the machine is a 64-bit ARM."""
    return platform.machine() == "aarch64"


def has_tvm_ops() -> bool:
    """Whether operators made by TVM are there (never)."""
    return False


def is_op_runnable() -> bool:
    """Whether the current context runs every operator (always: only operators made by TVM are choosy)."""
    return True


def get_im2rec_path(home_env: str = "MXNET_HOME") -> str:
    """Path of the script ``im2rec.py``: in ``tools`` of the folder that ``home_env`` names, or of the package.

    ``OSError`` where it is in neither.
    """
    home = Path(os.environ[home_env] if home_env in os.environ else str(mxcompat.__file__))
    home = home if home_env in os.environ else home.parent
    candidates = [home / "tools" / "im2rec.py", home / ".." / ".." / "tools" / "im2rec.py"]
    for path in candidates:
        if path.is_file():
            return str(path)
    raise OSError(f"Could not find path to tools/im2rec.py: {candidates[0]} is not there; {home_env} names its folder")
