"""The functions of mx.nd._internal that are not generated."""

from __future__ import annotations

import numpy as np
import pytest

from mxcompat import MXNetError, nd


def test_copyto_writes_out() -> None:
    data, out = nd.array([[1, 2], [3, 4]]), nd.zeros((2, 2), dtype="float64")
    assert nd._internal._copyto(data, out=out) is out
    np.testing.assert_array_equal(out.asnumpy(), data.asnumpy())
    assert out.dtype == np.float64


@pytest.mark.parametrize(("dtype", "expected"), [("float32", -1.5), ("int32", -1)])
def test_set_value_fills_out(dtype: str, expected: float) -> None:
    out = nd.zeros((2,), dtype=dtype)
    assert nd._internal._set_value(-1.5, out=out) is out
    assert out.asnumpy().tolist() == [expected] * 2


@pytest.mark.parametrize("call", [lambda: nd._internal._copyto(nd.ones((2,))), lambda: nd._internal._set_value(2.0)])
def test_out_is_needed(call) -> None:
    with pytest.raises(MXNetError, match="out is None"):
        call()


def test_shapes_must_agree() -> None:
    with pytest.raises(MXNetError, match="shape"):
        nd._internal._copyto(nd.ones((2, 2)), out=nd.zeros((4,)))
