"""Symbols as functions of arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mxcompat as mx
from mxcompat.base import MXNetError

nd, sym, V = mx.nd, mx.sym, mx.sym.Variable


def network() -> Any:
    net = sym.FullyConnected(V("data"), V("w"), V("b"), num_hidden=2)
    return sym.Activation(net, act_type="tanh")


def arrays() -> list[Any]:
    return [nd.array([[1, 2, 3]]), nd.array(np.arange(6).reshape(2, 3) / 10), nd.array([0.5, -1])]


def test_it_gives_what_an_executor_gives() -> None:
    op = nd.CachedOp(network(), flags=[("static_alloc", True)])
    expected = network().bind(mx.cpu(), arrays()).forward()[0]
    assert op(*arrays()).asnumpy().tolist() == expected.asnumpy().tolist()
    out = nd.zeros((1, 2))
    assert op(*arrays(), out=out) is out
    assert out.asnumpy().tolist() == expected.asnumpy().tolist()


def test_it_is_recorded() -> None:
    data, w, b = arrays()
    w.attach_grad()
    with mx.autograd.record():
        y = nd.CachedOp(network())(data, w, b)
    y.backward()
    bound = network().bind(mx.cpu(), arrays(), args_grad={"w": nd.zeros((2, 3))}, grad_req={"w": "write"})
    bound.forward(is_train=True)
    bound.backward(nd.ones((1, 2)))
    np.testing.assert_allclose(w.grad.asnumpy(), bound.grad_dict["w"].asnumpy(), rtol=1e-6)


def test_several_outputs_and_auxiliary_states() -> None:
    parts = nd.CachedOp(sym.SliceChannel(V("x"), num_outputs=2))(nd.array([[1, 2]]))
    assert [part.asnumpy().tolist() for part in parts] == [[[1]], [[2]]]
    op = nd._internal.CachedOp(sym.BatchNorm(V("x"), fix_gamma=False, name="bn", momentum=0.5))
    x, mean, var = nd.array([[1.0], [3.0]]), nd.zeros((1,)), nd.ones((1,))
    x.attach_grad()
    with mx.autograd.record():
        y = op(x, nd.ones((1,)), nd.zeros((1,)), mean, var)
    y.backward()
    assert mean.asscalar() == 1


def test_wrong_calls() -> None:
    op = nd.CachedOp(network())
    with pytest.raises(MXNetError, match="got 1 arrays, expected 3: data, w, b"):
        op(nd.ones((1, 3)))
    with pytest.raises(TypeError, match="unexpected keyword"):
        op(*arrays(), data=1)
    with pytest.raises(TypeError, match="expected NDArray"):
        op(1, 2, 3)
    with pytest.raises(MXNetError, match="unknown flag"):
        nd.CachedOp(network(), flags=[("fast", True)])
