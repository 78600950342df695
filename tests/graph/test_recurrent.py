"""Unrolled LSTM layers run as one kernel and give what the steps give; whatever looks inside keeps them apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import mxcompat as mx
from mxcompat.graph import fuse, recurrent

pytestmark = pytest.mark.skipif(not fuse.available(torch.device("cpu")), reason="no fused kernels here")

STEPS, BATCH, WIDTH = 4, 3, 5


def cell(sym: Any, x: Any, state: Any, weights: Any, order: str, step: int) -> tuple:
    """One step written out, the gates in any order of the letters i, f, c, o."""
    hidden, memory = state
    gates = sym.FullyConnected(x, weights[0], weights[1], num_hidden=4 * WIDTH)
    gates = gates + sym.FullyConnected(hidden, weights[2], weights[3], num_hidden=4 * WIDTH)
    parts = sym.SliceChannel(gates, num_outputs=4, name=f"slice{step}")
    gate = {
        name: sym.Activation(parts[order.index(name)], act_type="tanh" if name == "c" else "sigmoid") for name in "ifco"
    }
    memory = gate["i"] * gate["c"] + gate["f"] * memory
    return gate["o"] * sym.Activation(memory, act_type="tanh"), memory


def unrolled(order: str = "ifco", extra: str = "", layers: int = 1, p: float = 0.0) -> Any:
    sym = mx.sym
    with mx.name.NameManager():
        steps = list(sym.SliceChannel(sym.Variable("data"), num_outputs=STEPS, axis=1, squeeze_axis=True))
        outputs: list = []
        for layer in range(layers):
            weights = [sym.Variable(f"l{layer}_{name}") for name in ("wx", "bx", "wh", "bh")]
            state = (sym.Variable(f"l{layer}_h"), sym.Variable(f"l{layer}_m"))
            outputs, memories = [], []
            for step, x in enumerate(steps):
                if extra == "feedback" and outputs:
                    x = x + outputs[-1]
                state = cell(sym, x, state, weights, order, step)
                outputs.append(state[0])
                memories.append(state[1])
            steps = [sym.Dropout(h, p=p) for h in outputs] if p else outputs
        heads = [sym.Concat(*[sym.expand_dims(h, axis=1) for h in steps], dim=1)]
        if extra == "hidden":
            heads.append(sym.tanh(outputs[1]))
        if extra == "last":
            heads.append(memories[-1] * 2)
        if extra == "memory":
            heads.append(memories[1] * 2)
        return sym.Group(heads)


def run(monkeypatch: pytest.MonkeyPatch, net: Any, exact: str) -> tuple:
    monkeypatch.setenv("MXCOMPAT_EXACT", exact)
    shapes = {name: (BATCH, WIDTH) for name in net.list_arguments() if name.endswith(("_h", "_m"))}
    executor = net.simple_bind(mx.cpu(), data=(BATCH, STEPS, WIDTH), **shapes)
    rng = np.random.RandomState(3)
    for array in executor.arg_arrays:
        array[:] = rng.uniform(-1, 1, array.shape)
    mx.random.seed(5)
    executor.forward(is_train=True)
    executor.backward([mx.nd.array(rng.uniform(-1, 1, out.shape)) for out in executor.outputs])
    outputs = [out.asnumpy() for out in executor.outputs]
    inference = [out.asnumpy() for out in executor.forward(is_train=False)]
    graph = executor._modes[True].runner.eager.graph
    joined = sum(node.target is recurrent.run_layer for node in graph.nodes)
    return outputs + inference + [grad.asnumpy() for grad in executor.grad_arrays], joined


@pytest.mark.parametrize(
    ("options", "layers"),
    [
        ({}, 1),
        ({"order": "icfo"}, 1),
        ({"extra": "hidden"}, 1),
        ({"extra": "last"}, 1),
        ({"layers": 2}, 2),
        ({"layers": 2, "p": 0.5}, 0),  # one generator serves both layers: the order of its draws would change
        ({"layers": 1, "p": 0.5}, 1),
        ({"extra": "memory"}, 0),
        ({"extra": "feedback"}, 0),
    ],
    ids=str,
)
def test_the_layer_gives_what_its_steps_give(monkeypatch: pytest.MonkeyPatch, options: dict, layers: int) -> None:
    net = unrolled(**options)
    expected, plain = run(monkeypatch, net, "1")
    found, joined = run(monkeypatch, net, "0")
    assert (plain, joined) == (0, layers)
    for one, other in zip(found, expected):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=2e-6)


def test_cells_of_the_library_are_recognised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MXCOMPAT_EXACT", "0")
    stack = mx.rnn.SequentialRNNCell()
    for layer in range(3):
        stack.add(mx.rnn.LSTMCell(WIDTH, prefix=f"l{layer}_"))
    outputs, _ = stack.unroll(STEPS, inputs=mx.sym.Variable("data"), merge_outputs=True)
    executor = outputs.simple_bind(mx.cpu(), data=(BATCH, STEPS, WIDTH))
    executor.forward(is_train=True)
    targets = [node.target for node in executor._modes[True].runner.eager.graph.nodes]
    assert targets.count(recurrent.run_layer) == 3
    assert not [node for node in executor._modes[True].runner.eager.graph.nodes if "expand_dims" in node.name]


@pytest.mark.parametrize("trailing", [(), (1,), (2, 3)])
@pytest.mark.parametrize("listed", [False, True])
def test_steps_are_flattened(monkeypatch: pytest.MonkeyPatch, trailing: tuple, listed: bool) -> None:
    results = []
    for exact in "01":
        monkeypatch.setenv("MXCOMPAT_EXACT", exact)
        inputs: Any = mx.sym.Variable("data")
        if listed:
            inputs = [mx.sym.Variable(f"data{step}") for step in range(STEPS)]
        with mx.name.NameManager():
            outputs, _ = mx.rnn.LSTMCell(WIDTH).unroll(STEPS, inputs=inputs, merge_outputs=True)
        shapes = {"data": (BATCH, STEPS, *trailing)}
        if listed:
            shapes = {f"data{step}": (BATCH, *trailing) for step in range(STEPS)}
        executor = outputs.simple_bind(mx.cpu(), **shapes)
        rng = np.random.RandomState(3)
        for array in executor.arg_arrays:
            array[:] = rng.uniform(-1, 1, array.shape)
        executor.forward(is_train=True)
        executor.backward(mx.nd.ones((BATCH, STEPS, WIDTH)))
        results.append([array.asnumpy() for array in (*executor.outputs, *executor.grad_arrays)])
    for one, other in zip(*results):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=2e-6)
