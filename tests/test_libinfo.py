"""Paths of a native library, which mxcompat does not bring."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

import mxcompat as mx
from tests import api_walk


@pytest.fixture(autouse=True)
def _no_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MXNET_LIBRARY_PATH", "MXNET_INCLUDE_PATH", "MXNET_CONF_PATH", "LD_LIBRARY_PATH"):
        monkeypatch.delenv(name, raising=False)


def test_names_and_signatures() -> None:
    api_walk.check(["mx.libinfo"], {})
    assert mx.libinfo.__version__ == mx.__version__ == "1.9.1"


def test_nothing_to_find() -> None:
    with pytest.raises(RuntimeError, match="(?s)Cannot find the MXNet library.*libmxnet.so.*PyTorch"):
        mx.libinfo.find_lib_path()
    with pytest.raises(RuntimeError, match="Cannot find the MXNet include path"):
        mx.libinfo.find_include_path()
    with pytest.raises(RuntimeError, match="Cannot find the TVM op config"):
        mx.libinfo.find_conf_path()


def test_paths_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "libmxnet.so").touch()
    monkeypatch.setenv("LD_LIBRARY_PATH", f"/nowhere: {tmp_path}")
    assert mx.libinfo.find_lib_path() == [str(tmp_path / "libmxnet.so")]
    (tmp_path / "other.so").touch()
    monkeypatch.setenv("MXNET_LIBRARY_PATH", str(tmp_path / "other.so"))
    monkeypatch.setenv("MXNET_INCLUDE_PATH", str(tmp_path))
    monkeypatch.setenv("MXNET_CONF_PATH", str(tmp_path / "other.so"))
    assert mx.libinfo.find_lib_path() == [str(tmp_path / "other.so")]
    assert mx.libinfo.find_include_path() == str(tmp_path)
    assert mx.libinfo.find_conf_path() == str(tmp_path / "other.so")


def test_useless_paths_are_warned_of(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("MXNET_INCLUDE_PATH", "/nowhere")
    with caplog.at_level(logging.WARNING), pytest.raises(RuntimeError):
        mx.libinfo.find_include_path()
    monkeypatch.setenv("MXNET_INCLUDE_PATH", ".")
    with caplog.at_level(logging.WARNING), pytest.raises(RuntimeError):
        mx.libinfo.find_include_path()
    assert [record.getMessage() for record in caplog.records] == [
        "MXNET_INCLUDE_PATH '/nowhere' doesn't exist",
        "MXNET_INCLUDE_PATH should be an absolute path, instead of: .",
    ]
