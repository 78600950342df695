"""Loggers: levels, files and the look of a line."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path

import pytest

import mxcompat as mx
from tests import api_walk


def test_names_and_signatures() -> None:
    api_walk.check(["mx.log"], {})


def test_lines(capsys: pytest.CaptureFixture) -> None:
    logger = mx.log.get_logger("tests.log.lines", level=mx.log.DEBUG)
    for level in (mx.log.DEBUG, mx.log.INFO, mx.log.WARNING, mx.log.ERROR, mx.log.CRITICAL, 25):
        logger.log(level, "hello %s", "world")
    lines = capsys.readouterr().err.splitlines()
    pattern = r"(\x1b\[3.m)(.)\d{4} \d\d:\d\d:\d\d (\d+) (\S+):test_lines:\d+\]\x1b\[0m hello world"
    matches = [re.fullmatch(pattern, line) for line in lines]
    assert [match[2] for match in matches if match] == list("DIWECU")
    assert [match[1][3] for match in matches if match] == list("421112")
    assert all(match and match[3] == str(os.getpid()) and match[4] == __file__ for match in matches)


def test_second_call_returns_the_first_logger(tmp_path: Path) -> None:
    logger = mx.log.get_logger("tests.log.file", filename=str(tmp_path / "out"), level=mx.log.INFO)
    assert mx.log.get_logger("tests.log.file", level=mx.log.ERROR) is logger
    assert logger.level == mx.log.INFO and len(logger.handlers) == 1
    logger.info("plain line")
    logger.handlers[0].close()
    assert (tmp_path / "out").read_text() == "plain line\n"


def test_root_logger_is_left_alone() -> None:
    handlers = list(logging.getLogger().handlers)
    assert mx.log.get_logger() is logging.getLogger() and logging.getLogger().handlers == handlers


def test_old_spelling() -> None:
    with pytest.warns(DeprecationWarning, match="getLogger is deprecated, Use get_logger instead."):
        mx.log.getLogger("tests.log.old")
