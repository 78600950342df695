"""The bulk size: a number that each thread keeps."""

from __future__ import annotations

import threading

import pytest

import mxcompat as mx
from tests import api_walk


def test_names_and_signatures() -> None:
    api_walk.check(["mx.engine"], {})


def test_bulk_size_returns_what_it_was() -> None:
    assert [mx.engine.set_bulk_size(size) for size in (3, 15, 0)] == [0, 3, 15]
    with mx.engine.bulk(7):
        with pytest.raises(KeyError), mx.engine.bulk(9):
            raise KeyError
        assert mx.engine.set_bulk_size(7) == 7
        others: list[int] = []
        thread = threading.Thread(target=lambda: others.append(mx.engine.set_bulk_size(4)))
        thread.start()
        thread.join()
        assert others == [0]
    assert mx.engine.set_bulk_size(0) == 0


def test_refusals() -> None:
    with pytest.raises(mx.MXNetError, match="-1"):
        mx.engine.set_bulk_size(-1)
    with pytest.raises(TypeError):
        mx.engine.set_bulk_size("3")


def test_results_do_not_change() -> None:
    with mx.engine.bulk(10):
        x = mx.nd.ones((10,))
        for _ in range(20):
            x += 1
    assert (x.asnumpy() == 21).all()
