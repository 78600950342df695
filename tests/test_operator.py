"""Custom operators: names, instances, callbacks (semantics.md, 228)."""

from __future__ import annotations

from typing import Any

import numpy as np
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


LOG: list[Any] = []


class Logging(mx.operator.CustomOp):
    def forward(self, is_train: bool, req: Any, in_data: Any, out_data: Any, aux: Any) -> None:
        LOG.append(("forward", is_train, req, mx.autograd.is_recording(), mx.autograd.is_training()))
        self.assign(out_data[0], req[0], in_data[0] * 2)
        self.assign(out_data[1], req[1], in_data[1] * 3)

    def backward(self, req: Any, out_grad: Any, in_data: Any, out_data: Any, in_grad: Any, aux: Any) -> None:
        LOG.append(("backward", req, mx.autograd.is_recording(), mx.autograd.is_training()))
        aux[0][:] += 10
        for i in range(2):
            self.assign(in_grad[i], req[i], out_grad[i] * (i + 2))


@mx.operator.register("test_logging")
class LoggingProp(mx.operator.CustomOpProp):
    """Notes every call of a callback."""

    def __init__(self, **given: str):
        super().__init__()
        LOG.append(("property", given))

    def list_arguments(self) -> list[str]:
        return ["a", "b"]

    def list_outputs(self) -> list[str]:
        return ["x", "y"]

    def list_auxiliary_states(self) -> list[str]:
        return ["state"]

    def infer_shape(self, in_shape: list) -> tuple:
        LOG.append(("shape", in_shape))
        return [in_shape[0], in_shape[0]], [in_shape[0], in_shape[0]], [(1,)]

    def create_operator(self, ctx: Any, shapes: Any, dtypes: Any) -> Any:
        LOG.append(("create", str(ctx), shapes, dtypes))
        return Logging()


def logged() -> list[Any]:
    found = list(LOG)
    LOG.clear()
    return found


def test_one_property_a_node_and_one_instance_a_bind() -> None:
    logged()
    net = sym.Custom(V("a"), op_type="test_logging", name="c", k=5, shape=(1, 2), none=None, attr={"__mine__": "7"})
    assert logged() == [("property", {"k": "5", "shape": "(1, 2)", "none": "None"})]
    assert net.infer_shape_partial(a=(0, 3)) == ([(0, 3), (0, 3)], [(0, 3), (0, 3)], [(1,)])
    assert logged()[0] == ("shape", [[-1, 3], []])
    ex = net.simple_bind(mx.cpu(), a=(2, 3))
    assert [entry for entry in logged() if entry[0] != "shape"] == [
        ("create", "cpu(0)", [[2, 3], [2, 3], [1]], [0, 0, 0])
    ]
    for is_train in (True, False, True):
        ex.forward(is_train=is_train)
        assert logged() == [("forward", int(is_train), ["write", "write"], False, is_train)]


def test_backward_runs_no_forward_again() -> None:
    net = sym.Custom(V("a"), V("b"), op_type="test_logging", name="c")
    ex = net.simple_bind(mx.cpu(), grad_req={"a": "write", "b": "null"}, a=(1,))
    logged()
    ex.forward(is_train=False)
    for _ in range(2):
        ex.backward([nd.ones((1,)), nd.ones((1,))])
    assert [entry[0] for entry in logged()] == ["forward", "backward", "backward"]
    assert ex.aux_dict["c_state"].asnumpy().tolist() == [20]
    assert ex.grad_dict["a"].asnumpy().tolist() == [2]


def test_requests_say_which_gradients_are_wanted() -> None:
    a, b = V("a"), V("b")
    for inputs, requests, gradients in (
        ((a, b), ["write", "write"], [2, 3]),
        ((a, a), ["write", "write"], [5]),
        ((a * 2, sym.BlockGrad(b)), ["write", "null"], [4, 0]),
    ):
        net = sym.Custom(*inputs, op_type="test_logging")
        ex = net.simple_bind(mx.cpu(), **{name: (1,) for name in net.list_arguments()})
        logged()
        ex.forward(is_train=True)
        ex.backward([nd.ones((1,)), nd.ones((1,))])
        assert logged()[-1] == ("backward", requests, False, True)
        assert [g.asscalar() for g in ex.grad_arrays] == gradients


def test_an_imperative_call_makes_one_of_each() -> None:
    x = nd.ones((1,))
    x.attach_grad()
    state = nd.zeros((1,))
    logged()
    with mx.autograd.record():
        first, _ = nd.Custom(x, x, state, op_type="test_logging")
    first.backward()
    assert [entry[0] for entry in logged()] == ["property", "shape", "create", "forward", "backward"]
    assert (x.grad.asscalar(), state.asscalar()) == (2, 10)
    with pytest.raises(MXNetError, match="expects 3 inputs"):
        nd.Custom(x, x, op_type="test_logging")
    assert nd.Custom(b=x * 5, a=x, state=state, op_type="test_logging")[1].asscalar() == 15


def simple(name: str, forward: Any = None, backward: Any = None, **members: Any) -> None:
    """Register an operator of single functions."""
    own = {key: value for key, value in (("forward", forward), ("backward", backward)) if value is not None}
    cls = type("Op", (mx.operator.CustomOp,), own)
    need_top_grad = members.pop("need_top_grad", True)

    class Prop(mx.operator.CustomOpProp):
        def __init__(self) -> None:
            super().__init__(need_top_grad)

        def create_operator(self, ctx: Any, shapes: Any, dtypes: Any) -> Any:
            return cls()

    for key, value in members.items():
        setattr(Prop, key, value)
    mx.operator.register(name)(Prop)


def test_losses_need_no_head_gradient() -> None:
    def forward(self: Any, is_train: Any, req: Any, in_data: Any, out_data: Any, aux: Any) -> None:
        self.assign(out_data[0], req[0], in_data[0])

    def backward(self: Any, req: Any, out_grad: Any, in_data: Any, out_data: Any, in_grad: Any, aux: Any) -> None:
        self.assign(in_grad[0], req[0], out_data[0] * 7)

    simple("test_loss", forward, backward, need_top_grad=False)
    simple("test_dependency", forward, backward, declare_backward_dependency=lambda self, heads, ins, outs: outs)
    simple("test_no_loss", forward, backward)
    for name in ("test_loss", "test_dependency", "test_no_loss"):
        ex = sym.Custom(V("x"), op_type=name).simple_bind(mx.cpu(), x=(2,))
        ex.arg_dict["x"][:] = 1
        ex.forward(is_train=True)
        if name == "test_no_loss":
            with pytest.raises(MXNetError, match="head_gradient is required"):
                ex.backward()
        else:
            ex.backward()
            assert ex.grad_dict["x"].asnumpy().tolist() == [7, 7]


def test_callbacks_write_the_memory_of_the_graph() -> None:
    def forward(self: Any, is_train: Any, req: Any, in_data: Any, out_data: Any, aux: Any) -> None:
        in_data[0][:] = 5
        out_data[0][:] = in_data[0]

    simple("test_in_place", forward)
    x = nd.ones((2,))
    assert nd.Custom(x, op_type="test_in_place").asnumpy().tolist() == [5, 5]
    assert x.asnumpy().tolist() == [5, 5]
    ex = sym.Custom(V("x"), op_type="test_in_place").bind(mx.cpu(), {"x": nd.ones((2,))}, {"x": nd.zeros((2,))})
    ex.forward(is_train=True)
    assert ex.arg_dict["x"].asnumpy().tolist() == [5, 5]


def test_callbacks_may_use_executors_and_recording() -> None:
    class Nested(mx.operator.CustomOp):
        def __init__(self) -> None:
            self.executor = sym.square(V("v")).simple_bind(mx.cpu(), v=(2,))

        def forward(self, is_train: Any, req: Any, in_data: Any, out_data: Any, aux: Any) -> None:
            self.assign(out_data[0], req[0], self.executor.forward(is_train=is_train, v=in_data[0])[0])

        def backward(self, req: Any, out_grad: Any, in_data: Any, out_data: Any, in_grad: Any, aux: Any) -> None:
            self.executor.backward(out_grad[0])
            x = in_data[0].copy()
            x.attach_grad()
            with mx.autograd.record():
                y = x * x * out_grad[0]
            y.backward()
            assert x.grad.asnumpy().tolist() == self.executor.grad_dict["v"].asnumpy().tolist()
            self.assign(in_grad[0], req[0], x.grad)

    simple("test_nested", create_operator=lambda self, ctx, shapes, dtypes: Nested())
    ex = sym.Custom(V("x") * 1, op_type="test_nested").simple_bind(mx.cpu(), x=(2,))
    ex.forward(is_train=True, x=nd.array([2.0, 3.0]))
    ex.backward(nd.ones((2,)))
    assert ex.outputs[0].asnumpy().tolist() == [4, 9]
    assert ex.grad_dict["x"].asnumpy().tolist() == [4, 6]


def test_types_of_outputs() -> None:
    def forward(self: Any, is_train: Any, req: Any, in_data: Any, out_data: Any, aux: Any) -> None:
        out_data[0][:] = 3

    simple("test_int", forward, infer_type=lambda self, types: (types, [np.int32], []))
    assert nd.Custom(nd.ones((2,)), op_type="test_int").dtype == np.int32
    assert sym.Custom(V("x"), op_type="test_int").infer_type(x="float16") == ([np.float16], [np.int32], [])
    simple("test_float_only", forward, infer_type=lambda self, types: ([np.float32], [np.float32], []))
    with pytest.raises(MXNetError, match="expected float64, got float32"):
        nd.Custom(nd.ones((2,), dtype="float64"), op_type="test_float_only")


@pytest.mark.parametrize(
    ("result", "match"),
    [
        (lambda shape: 1 / 0, "ZeroDivisionError"),
        (lambda shape: (shape,), "2 or 3 lists"),
        (lambda shape: (shape, [shape[0], shape[0]]), "expected 1 output"),
        (lambda shape: (shape, [(3.0,)]), "TypeError"),
        (lambda shape: ([(3,)], [(3,)]), r"expected \(2,\), got \(3,\)"),
        (lambda shape: (shape, [()]), "not known"),
    ],
)
def test_wrong_answers_of_infer_shape(result: Any, match: str) -> None:
    simple("test_shape", infer_shape=lambda self, shape: result(shape))
    with pytest.raises(MXNetError, match=match):
        nd.Custom(nd.ones((2,)), op_type="test_shape")


def test_a_name_registered_anew_leaves_earlier_nodes_alone() -> None:
    def writing(number: int) -> Any:
        return lambda self, is_train, req, in_data, out_data, aux: self.assign(out_data[0], req[0], number)

    simple("test_anew", writing(1))
    net = sym.Custom(V("x"), op_type="test_anew")
    simple("test_anew", writing(2))
    assert net.eval(x=nd.ones((1,)))[0].asscalar() == 1
    assert nd.Custom(nd.ones((1,)), op_type="test_anew").asscalar() == 2


def test_defaults_of_the_property() -> None:
    prop = mx.operator.CustomOpProp()
    assert prop.infer_shape([[1, 2]]) == ([[1, 2]], ([1, 2],), ())
    assert prop.infer_type([np.float32]) == ([np.float32], [np.float32], [])
    assert prop.infer_storage_type(["default"]) == (["default"], ["default"], [])
    with pytest.raises(AssertionError, match="csr"):
        prop.infer_storage_type(["csr"])
    lists = [["default"], ["default"], ["default"], ["undefined"], []]
    assert prop.infer_storage_type_backward(*lists) == (["default"],) * 4 + ([],)


def test_exceptions_of_callbacks_arrive_as_they_are() -> None:
    ex = bound()
    ex.arg_dict["data"][:] = 1000
    with pytest.raises(KeyError, match="too large"):
        ex.forward()
    with pytest.raises(TypeError, match="factors"):
        sym.Custom(V("data"), op_type="test_scaled", factors=3)
    with pytest.raises(MXNetError, match="never_registered"):
        sym.Custom(V("data"), op_type="never_registered")


def test_errors_of_a_backward_callback_arrive_as_they_are() -> None:
    def backward(self: Any, **arrays: Any) -> None:
        raise ValueError("not today")

    simple("test_raising", backward=backward)
    ex = sym.Custom(V("x"), op_type="test_raising").simple_bind(mx.cpu(), x=(2,))
    ex.forward(is_train=True)
    with pytest.raises(ValueError, match="not today"):
        ex.backward(nd.ones((2,)))
    x = nd.ones((2,))
    x.attach_grad()
    with mx.autograd.record():
        y = nd.Custom(x, op_type="test_raising")
    with pytest.raises(ValueError, match="not today"):
        y.backward()


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

    with pytest.warns(UserWarning, match="deprecated"):
        twice, thrice = Twice(), Thrice()
    assert twice(V("x")).list_outputs() == ["_native0_output"]
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


def test_a_star_import_gives_what_callbacks_use() -> None:
    names: dict[str, Any] = {}
    exec("from mxcompat.operator import *", names)
    assert {"CustomOp", "NDArray", "NDArrayHandle", "ctypes", "py_str"} <= set(names)
