"""Inference graphs: packed layers and recorded calls give the plain graph's numbers, and follow their inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mxcompat as mx
from mxcompat.graph import compile as policy
from mxcompat.graph import fuse
from mxcompat.graph.packed import Convolution


def residual() -> Any:
    """Two blocks whose sums may take the memory of the shortcut, and one whose shortcut is an output."""
    net = mx.sym.Variable("data")
    shortcuts = []
    for block in range(3):
        left = mx.sym.Convolution(net, num_filter=4, kernel=(3, 3), pad=(1, 1), name=f"a{block}")
        left = mx.sym.BatchNorm(left, name=f"a{block}_bn", fix_gamma=False)
        left = mx.sym.Activation(left, act_type="relu")
        left = mx.sym.Convolution(left, num_filter=4, kernel=(3, 3), pad=(1, 1), name=f"b{block}")
        right = mx.sym.Convolution(net, num_filter=4, kernel=(1, 1), name=f"c{block}") if block != 1 else net
        net = mx.sym.Activation(left + right, act_type="relu")
        shortcuts.append(right)
    return mx.sym.Group([net, shortcuts[-1]])


def fused_lstm() -> Any:
    cell = mx.rnn.FusedRNNCell(5, num_layers=2, mode="lstm", bidirectional=True, prefix="l_", get_next_state=True)
    outputs, states = cell.unroll(4, inputs=mx.sym.Variable("data"), layout="TNC", merge_outputs=True)
    return mx.sym.Group([outputs, *states])


def unrolled_lstm() -> Any:
    stack = mx.rnn.SequentialRNNCell()
    for layer in range(2):
        stack.add(mx.rnn.LSTMCell(5, prefix=f"l{layer}_"))
    outputs, states = stack.unroll(4, inputs=mx.sym.Variable("data"), layout="NTC", merge_outputs=True)
    return mx.sym.Group([outputs, *states])


NETS = {
    "residual": (residual, (2, 3, 6, 6), 2e-6),
    "fused lstm": (fused_lstm, (4, 3, 6), 0),
    "unrolled lstm": (unrolled_lstm, (3, 4, 6), 1e-6),  # the plain graph runs step by step
}


def bound(name: str, monkeypatch: pytest.MonkeyPatch, exact: str = "0") -> Any:
    monkeypatch.setenv("MXCOMPAT_EXACT", exact)
    monkeypatch.setattr(fuse, "LINEAR_WORK", 1)
    make, shape, _ = NETS[name]
    with policy.using("never"):
        executor = make().simple_bind(mx.cpu(), data=shape, grad_req="null")
    write(executor, 0)
    executor.forward()
    return executor


def write(executor: Any, seed: int, names: Any = None) -> None:
    """Other numbers in the arrays of these names, or in all."""
    rng = np.random.RandomState(seed)
    for name, array in sorted({**executor.arg_dict, **executor.aux_dict}.items()):
        values = rng.uniform(0.2, 0.8, array.shape) if "var" in name else rng.uniform(-0.5, 0.5, array.shape)
        if names is None or name in names:
            array[:] = values


def results(executor: Any) -> list[np.ndarray]:
    return [output.asnumpy() for output in executor.forward()]


def engine(executor: Any) -> Any:
    """What runs the executor's inference graph."""
    return executor._modes[False].runner.eager


@pytest.mark.parametrize("name", NETS)
def test_recorded_calls_follow_data_and_parameters(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    executor, plain = bound(name, monkeypatch), bound(name, monkeypatch, "1")
    tolerance = NETS[name][2]
    seen = []
    for step in range(12):
        if step == 6:  # recorded by now: other parameters, then again a recorded call
            assert engine(executor)._constants is not None
        for target in (executor, plain):
            write(target, step, None if step == 6 else ["data"])
        found = results(executor)
        for own, expected in zip(found, results(plain)):
            np.testing.assert_allclose(own, expected, rtol=0, atol=tolerance, err_msg=f"step {step}")
        seen.append(found[0])
    assert engine(executor)._constants is not None
    assert all(not np.array_equal(a, b) for a, b in zip(seen, seen[1:]))


@pytest.mark.parametrize("name", NETS)
def test_a_parameter_that_changes_at_every_call(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    executor, plain = bound(name, monkeypatch), bound(name, monkeypatch, "1")
    for step in range(6):
        for target in (executor, plain):
            write(target, step)
        for own, expected in zip(results(executor), results(plain)):
            np.testing.assert_allclose(own, expected, rtol=0, atol=NETS[name][2])
    assert engine(executor)._recorded is None


def test_outputs_are_arrays_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    executor = bound("residual", monkeypatch)
    for _ in range(4):
        results(executor)
    kept = [output.copy() for output in executor.outputs]
    for output in executor.outputs:
        output[:] = 7
    for own, before in zip(results(executor), kept):
        np.testing.assert_array_equal(own, before.asnumpy())


def test_sums_take_memory_that_nothing_else_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    executor = bound("residual", monkeypatch)
    layers = [layer for layer in engine(executor)._layers if isinstance(layer, Convolution) and layer.adds]
    assert [layer.overwrites for layer in layers] == [True, True, False]


def test_graphs_that_draw_are_recorded_and_draw_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    net = mx.sym.Variable("data") + mx.sym.random.uniform(shape=(50,))
    executor = net.simple_bind(mx.cpu(), data=(50,), grad_req="null")
    drawn = [results(executor)[0] for _ in range(6)]
    assert engine(executor)._recorded is not None
    assert len({values.tobytes() for values in drawn}) == 6


def test_loops_that_look_at_values_are_not_recorded() -> None:
    start, step = mx.sym.Variable("start"), mx.sym.Variable("step")
    outputs, states = mx.sym.contrib.while_loop(
        lambda i, s: i < 5, lambda i, s: ([i + s], [i + s, s]), [start, step], max_iterations=6
    )
    executor = mx.sym.Group([*outputs, *states]).bind(mx.cpu(), {"start": mx.nd.zeros((1,)), "step": mx.nd.ones((1,))})
    for begin in (0, 0, 0, 0, 3, 4, 0):
        executor.arg_dict["start"][:] = begin
        steps = executor.forward()[0].asnumpy().ravel()
        assert steps.tolist() == [*range(begin + 1, 6), *[0] * (begin + 1)]
    assert engine(executor)._recorded is None


def test_integers_seen_as_other_integers_are_recorded() -> None:
    data = mx.sym.contrib.quantize_v2(mx.sym.Variable("data"), min_calib_range=0.0, max_calib_range=2.0, out_type="auto")
    executor = mx.sym.contrib.dequantize(*data).simple_bind(mx.cpu(), data=(2, 3), grad_req="null")
    executor.arg_dict["data"][:] = 1
    first, *others = [results(executor)[0] for _ in range(5)]
    assert engine(executor)._recorded is not None
    for other in others:
        np.testing.assert_array_equal(other, first)
