"""The registry of error classes."""

from __future__ import annotations

import pytest

import mxcompat as mx
from mxcompat import base, error
from tests import api_walk


def test_names_and_signatures() -> None:
    api_walk.check(["mx.error"], {})


def test_internal_error_has_a_hint() -> None:
    assert "lost\nMXNet hint: " in str(error.InternalError("lost"))
    assert str(error.InternalError("lost. MXNet hint: look again")) == "lost. MXNet hint: look again"
    with pytest.raises(mx.MXNetError):
        raise error.InternalError("lost")


@pytest.mark.parametrize("use", ["rtc('name', [], [], '')", "rtc.CudaModule('')", "gluon.nn.Dense(3)"])
def test_what_is_absent_says_so_however_it_is_used(use: str) -> None:
    with pytest.raises(mx.MXNetError, match=rf"mx\.{use.split('.')[0].split('(')[0]}.* is not supported"):
        eval(f"mx.{use}")


def test_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "error_types", dict(base.error_types))
    assert base.error_types["ValueError"] is ValueError
    assert base.error_types["InternalError"] is error.InternalError

    @error.register
    class OneError(mx.MXNetError):
        pass

    @error.register("OtherName")
    class OtherError(mx.MXNetError):
        pass

    assert base.error_types["OneError"] is OneError
    assert base.error_types["OtherName"] is OtherError
    assert error.register("Third", KeyError) is KeyError is base.error_types["Third"]
