"""Automatic names start anew in every test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import mxcompat as mx


@pytest.fixture(autouse=True)
def names() -> Iterator[None]:
    with mx.name.NameManager():
        yield
