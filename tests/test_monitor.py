"""Monitor: what it collects and how it prints it (semantics.md, 179)."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import pytest

import mxcompat as mx
from tests.training.monitor_cases import CASES as RECORDED_CASES
from tests.training.observing import differences, recorded

nd, V = mx.nd, mx.sym.Variable
RECORDED = recorded("monitor")


@pytest.mark.parametrize("name", RECORDED_CASES)
def test_as_recorded(name: str) -> None:
    assert differences(RECORDED_CASES[name](mx), RECORDED[name]) == []


def executor() -> Any:
    net = mx.sym.SoftmaxOutput(mx.sym.FullyConnected(V("data"), num_hidden=3, name="fc"), name="softmax")
    exe = net.simple_bind(mx.cpu(), data=(2, 4))
    exe.arg_dict["data"][:] = 1
    return exe


def test_watching_does_not_change_the_result() -> None:
    plain, watched = executor(), executor()
    monitor = mx.mon.Monitor(1, monitor_all=True)
    monitor.install(watched)
    monitor.tic()
    for exe in (plain, watched):
        exe.forward(is_train=True)
        exe.backward()
    assert monitor.toc()
    for name in ("fc_weight", "fc_bias"):
        assert plain.grad_dict[name].asnumpy().tolist() == watched.grad_dict[name].asnumpy().tolist()


def test_only_every_interval_and_matching_names() -> None:
    monitor, exe = mx.mon.Monitor(2, pattern="fc_b"), executor()
    monitor.install(exe)
    found = []
    for _ in range(4):
        monitor.tic()
        exe.forward()
        found.append(monitor.toc())
    assert [[(step, name) for step, name, _ in batch] for batch in found] == [
        [(1, "fc_bias")],
        [],
        [(3, "fc_bias")],
        [],
    ]


def test_a_module_installs_it() -> None:
    net = mx.sym.SoftmaxOutput(mx.sym.FullyConnected(V("data"), num_hidden=3, name="fc"), name="softmax")
    module = mx.mod.Module(net)
    module.bind([("data", (2, 3))], [("softmax_label", (2,))])
    module.init_params(mx.init.One())
    monitor = mx.mon.Monitor(1, pattern="fc.*")
    module.install_monitor(monitor)
    monitor.tic()
    module.forward(mx.io.DataBatch([nd.ones((2, 3))], [nd.ones((2,))]), is_train=True)
    module.backward()
    names = [name for _, name, _ in monitor.toc()]
    assert names[0] == "fc_output"
    assert {"fc_backward_output1", "fc_weight", "fc_bias"} <= set(names)


def test_gradients_of_an_operator_are_shown_together() -> None:
    """Those of data and labels, too, which nothing needs; not those of auxiliary states."""
    data, shapes = V("data"), {"data": (2, 3, 2, 2), "ends": (2,)}
    net = mx.sym.FullyConnected(mx.sym.BatchNorm(data, name="bn"), num_hidden=4, name="fc") + 1
    net = mx.sym.where(net > 0, net, net * 2, name="pick") + mx.sym.BlockGrad(net)
    net = mx.sym.SequenceMask(net, V("ends"), use_sequence_length=True, axis=1, name="mask")
    net = mx.sym.SoftmaxOutput(net, name="softmax")
    wanted = {name: "null" if name in (*shapes, "softmax_label") else "write" for name in net.list_arguments()}
    exe, names = net.simple_bind(mx.cpu(), grad_req=wanted, **shapes), []
    exe.set_monitor_callback(lambda name, array: names.append(name.decode()))
    exe.forward(is_train=True)
    exe.backward()
    shown = [
        f"{node}_backward_output{i}" for node, count in (("bn", 3), ("fc", 3), ("softmax", 2)) for i in range(count)
    ]
    shown += [f"pick_backward_output{i}" for i in range(2)] + ["mask_backward_data", "mask_backward_sequence_length"]
    assert sorted(n for n in names if "backward" in n and not n.startswith("_")) == sorted(shown)


def test_a_callback_may_cast_its_array_to_a_handle() -> None:
    """The idiom of programs that write their own callbacks (calibration, histograms of activations)."""
    found: dict[str, float] = {}

    def callback(name: bytes, array: Any) -> None:
        handle = ctypes.cast(array, mx.base.NDArrayHandle)
        view = mx.nd.NDArray(handle, writable=False)
        found[mx.base.py_str(name)] = view.sum().asscalar()

    net = mx.sym.Activation(mx.sym.Variable("data"), act_type="relu", name="act")
    exe = net.simple_bind(mx.cpu(), data=(2, 2), grad_req="null")
    exe.set_monitor_callback(callback, monitor_all=True)
    exe.forward(data=mx.nd.array([[1, -1], [2, 0]]))
    assert found == {"data": 2, "act_input0": 2, "act_output": 3}


def test_a_handle_of_an_array_that_is_gone() -> None:
    handle = ctypes.cast(mx.nd.ones(2), mx.base.NDArrayHandle)
    with pytest.raises(ValueError, match="no array has this handle"):
        mx.nd.NDArray(handle)
    assert mx.nd.NDArray(mx.base.NDArrayHandle()).size == 0


@pytest.mark.parametrize(
    ("symbol", "names"),
    [
        (lambda data: mx.sym.exp(data, name="op"), ["data", "op_input0", "op_output"]),
        (lambda data: mx.sym.softmax(data, name="op"), ["data", "op_data", "op_output"]),
        (lambda data: mx.sym.concat(data, data, name="op"), ["data", "op_arg0", "data", "op_arg1", "op_output"]),
        (lambda data: mx.sym.amp_multicast(data, num_outputs=1, name="op"), ["data", "op_data_0", "op_output"]),
    ],
)
def test_names_of_inputs(symbol: Callable, names: list[str]) -> None:
    exe = symbol(mx.sym.Variable("data")).simple_bind(mx.cpu(), data=(2, 2), grad_req="null")
    shown: list[str] = []
    exe.set_monitor_callback(lambda name, array: shown.append(mx.base.py_str(name)), monitor_all=True)
    exe.forward()
    assert shown == names
