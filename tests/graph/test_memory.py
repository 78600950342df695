"""The estimate of a bound graph's memory that ``debug_str`` prints."""

from __future__ import annotations

import re
from typing import Any

import mxcompat as mx

sym, V = mx.sym, mx.sym.Variable
SHAPE = (10, 3, 256, 256)
MB = 10 * 3 * 256 * 256 * 4 / 2**20


def megabytes(net: Any, **keywords: Any) -> int:
    text = net.simple_bind(mx.cpu(), **keywords).debug_str()
    found = re.search(r"Total (\d+) MB allocated\nTotal 0 TempSpace resource requested\n$", text)
    assert found
    return int(found[1])


def squares(count: int) -> Any:
    net = V("data")
    for _ in range(count):
        net = net * net
    return net


def test_training_keeps_every_output() -> None:
    assert megabytes(squares(10), data=SHAPE) >= int(10 * MB)


def test_inference_needs_two_outputs_at_a_time() -> None:
    assert megabytes(squares(10), data=SHAPE, grad_req="null") == int(2 * MB)


def test_nothing_is_kept_where_gradients_stop() -> None:
    assert megabytes(sym.stop_gradient(squares(10)), data=SHAPE) == int(2 * MB)
    half = squares(5)
    stopped = sym.BlockGrad(half) * half
    assert megabytes(sym.BlockGrad(stopped), data=SHAPE) < megabytes(stopped, data=SHAPE)
