"""Where a native MXNet would be (public path: ``mxnet.libinfo``). mxcompat has no native library of its own."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

__all__ = ["find_conf_path", "find_include_path", "find_lib_path"]

__version__ = "1.9.1"
_ADVICE = "mxcompat runs on PyTorch and has no native MXNet; programs that link or load one need MXNet itself"


def _from_environment(variable: str, exists: Callable[[str], bool]) -> str | None:
    path = os.environ.get(variable)
    if not path:
        return None
    if not exists(path):
        logging.warning("%s '%s' doesn't exist", variable, path)
    elif not os.path.isabs(path):
        logging.warning("%s should be an absolute path, instead of: %s", variable, path)
    else:
        return path
    return None


def find_lib_path(prefix: str = "libmxnet") -> list[str]:
    """Paths of a native library: ``MXNET_LIBRARY_PATH``, else ``PREFIX.so`` in the folders of ``LD_LIBRARY_PATH``.

    ``RuntimeError`` when there is none, which is the rule: mxcompat brings none.
    """
    given = _from_environment("MXNET_LIBRARY_PATH", os.path.isfile)
    if given:
        return [given]
    folders = [folder.strip() for folder in os.environ.get("LD_LIBRARY_PATH", "").split(":") if folder.strip()]
    candidates = [Path(folder, f"{prefix}.so") for folder in [*folders, str(Path(__file__).parent)]]
    found = [str(path) for path in candidates if path.is_file()]
    if not found:
        listed = "\n".join(map(str, candidates))
        raise RuntimeError(f"Cannot find the MXNet library.\nList of candidates:\n{listed}\n{_ADVICE}")
    return found


def find_include_path() -> str:
    """The folder of C headers that ``MXNET_INCLUDE_PATH`` names; ``RuntimeError`` without it: mxcompat brings none."""
    given = _from_environment("MXNET_INCLUDE_PATH", os.path.isdir)
    if given:
        return given
    raise RuntimeError(f"Cannot find the MXNet include path (MXNET_INCLUDE_PATH names none). {_ADVICE}")


def find_conf_path(prefix: str = "tvmop") -> str:
    """The TVM operator configuration that ``MXNET_CONF_PATH`` names; ``RuntimeError`` without it."""
    given = _from_environment("MXNET_CONF_PATH", os.path.isfile)
    if given:
        return given
    raise RuntimeError(f"Cannot find the TVM op config {prefix}.conf (MXNET_CONF_PATH names none). {_ADVICE}")
