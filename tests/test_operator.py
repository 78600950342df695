"""Custom operators: names, instances, callbacks (semantics.md, 228)."""

from __future__ import annotations

from typing import Any

import pytest

import mxcompat as mx
from mxcompat.base import MXNetError

nd, sym, V = mx.nd, mx.sym, mx.sym.Variable


@mx.operator.register("test_scaled")
class ScaledProp(mx.operator.CustomOpProp):
    """Multiplies by a number; counts its forwards in an auxiliary state."""

    def __init__(self, factor: str = "2"):
        super().__init__(need_top_grad=True)
        self.factor = factor

    def list_arguments(self) -> list[str]:
        return ["data", "other"]

    def list_outputs(self) -> list[str]:
        return ["scaled", "sum"]

    def list_auxiliary_states(self) -> list[str]:
        return ["count"]

    def infer_shape(self, in_shape: list) -> tuple:
        return [in_shape[0], in_shape[0]], [in_shape[0], (1,)], [(1,)]

    def create_operator(self, ctx: Any, shapes: Any, dtypes: Any) -> Any:
        return Scaled(float(self.factor))


class Scaled(mx.operator.CustomOp):
    def __init__(self, factor: float):
        self.factor = factor

    def forward(self, is_train: bool, req: Any, in_data: Any, out_data: Any, aux: Any) -> None:
        if in_data[0].asnumpy().max() > 100:
            raise KeyError("too large")
        self.assign(out_data[0], req[0], in_data[0] * self.factor)
        self.assign(out_data[1], req[1], (in_data[0] + in_data[1]).sum())
        aux[0][:] += 1

    def backward(self, req: Any, out_grad: Any, in_data: Any, out_data: Any, in_grad: Any, aux: Any) -> None:
        self.assign(in_grad[0], req[0], out_grad[0] * self.factor + out_grad[1].asscalar())
        self.assign(in_grad[1], req[1], nd.ones(in_data[1].shape) * out_grad[1].asscalar())


def bound(factor: Any = 3) -> Any:
    net = sym.Custom(V("data"), name="c", op_type="test_scaled", factor=factor)
    assert net.list_arguments() == ["data", "c_other"]
    assert net.list_auxiliary_states() == ["c_count"]
    assert net.list_outputs() == ["c_scaled", "c_sum"]
    return net.simple_bind(mx.cpu(), data=(2,))


def test_outputs_gradients_and_auxiliary_states() -> None:
    ex = bound()
    ex.arg_dict["data"][:], ex.arg_dict["c_other"][:] = 2, 5
    ex.forward(is_train=True)
    assert [x.asnumpy().tolist() for x in ex.outputs] == [[6, 6], [14]]
    ex.backward([nd.ones((2,)), nd.array([10.0])])
    assert ex.grad_dict["data"].asnumpy().tolist() == [13, 13]
    assert ex.grad_dict["c_other"].asnumpy().tolist() == [10, 10]
    ex.forward(is_train=False)
    assert ex.aux_dict["c_count"].asnumpy().tolist() == [2]


def test_json_keeps_the_keywords() -> None:
    net = sym.Custom(V("data"), name="c", op_type="test_scaled", factor=3)
    assert net.attr_dict()["c"] == {"op_type": "test_scaled", "factor": "3"}
    again = sym.load_json(net.tojson())
    assert again.tojson() == net.tojson()
    assert again.infer_shape(data=(4,))[1] == [(4,), (1,)]


def test_imperative_calls_and_recording() -> None:
    x, other, count = nd.array([1.0, 2.0]), nd.zeros((2,)), nd.zeros((1,))
    x.attach_grad()
    with mx.autograd.record():
        scaled, total = nd.Custom(x, other, count, op_type="test_scaled", factor=4)
        loss = scaled.sum() + total
    loss.backward()
    assert scaled.asnumpy().tolist() == [4, 8]
    assert x.grad.asnumpy().tolist() == [5, 5]
    assert count.asnumpy().tolist() == [1]


def test_exceptions_of_callbacks_arrive_as_they_are() -> None:
    ex = bound()
    ex.arg_dict["data"][:] = 1000
    with pytest.raises(KeyError, match="too large"):
        ex.forward()
    with pytest.raises(TypeError, match="factors"):
        sym.Custom(V("data"), op_type="test_scaled", factors=3)
    with pytest.raises(MXNetError, match="never_registered"):
        sym.Custom(V("data"), op_type="never_registered")


def test_operators_of_old() -> None:
    class Twice(mx.operator.NumpyOp):
        def forward(self, in_data: Any, out_data: Any) -> None:
            out_data[0][:] = in_data[0] * 2

        def backward(self, out_grad: Any, in_data: Any, out_data: Any, in_grad: Any) -> None:
            in_grad[0][:] = out_grad[0] * 2

    class Thrice(mx.operator.NDArrayOp):
        def forward(self, in_data: Any, out_data: Any) -> None:
            out_data[0][:] = in_data[0] * 3

        def backward(self, out_grad: Any, in_data: Any, out_data: Any, in_grad: Any) -> None:
            in_grad[0][:] = out_grad[0] * 3

    twice, thrice = Twice(), Thrice()
    ex = thrice(twice(V("x"), name="a"), name="b").simple_bind(mx.cpu(), x=(2,))
    ex.arg_dict["x"][:] = 1
    ex.forward(is_train=True)
    ex.backward(nd.ones((2,)))
    assert ex.outputs[0].asnumpy().tolist() == [6, 6]
    assert ex.grad_dict["x"].asnumpy().tolist() == [6, 6]


def test_listing() -> None:
    assert "Convolution" in mx.operator.get_all_registered_operators()
    found = mx.operator.get_operator_arguments("Activation")
    assert (found.narg, found.names) == (2, ["data", "act_type"])
