"""foreach, while_loop and cond, on both faces, against recorded results of real MXNet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import mxcompat as mx
from mxcompat.base import MXNetError
from tests.control_cases import CASES, run

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "control.npz")


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("case", CASES)
def test_agrees_with_the_original(case: str, seed: int) -> None:
    found = run(mx, case, seed)
    prefix = f"{case}/{seed}/"
    expected = {key[len(prefix) :]: GOLDEN[key] for key in GOLDEN.files if key.startswith(prefix)}
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        if value.dtype.kind == "U":
            # auto names of bodies count on over a process
            assert key == "json" or found[key].tolist() == value.tolist()
        else:
            np.testing.assert_allclose(found[key], value, rtol=1e-5, atol=1e-6, err_msg=key)


@pytest.mark.parametrize("case", CASES)
def test_graphs_survive_a_round_trip(case: str) -> None:
    net, shapes = CASES[case](mx)
    again = mx.sym.load_json(net.tojson())
    assert again.tojson() == net.tojson()
    shapes = {key: (1,) if isinstance(shape, float) else shape for key, shape in shapes.items()}
    assert again.infer_shape(**shapes) == net.infer_shape(**shapes)


@pytest.mark.parametrize("case", CASES)
def test_recorded_files_load(case: str) -> None:
    text = str(GOLDEN[f"{case}/0/json"])
    assert mx.sym.load_json(text).tojson() == text


def test_structures_come_back_as_given() -> None:
    data, a, b = (mx.sym.Variable(n) for n in "dab")
    outputs, states = mx.sym.contrib.foreach(lambda x, s: ([x, [x + s[0]]], [s[0] + 1, [s[1][0] * 2]]), data, [a, [b]])
    assert isinstance(outputs[1], list) and isinstance(states[1], list)
    nd_outputs, nd_states = mx.nd.contrib.foreach(
        lambda x, s: ([x, [x + s[0]]], [s[0] + 1, [s[1][0] * 2]]), mx.nd.ones((2, 3)), [mx.nd.ones(3), [mx.nd.ones(3)]]
    )
    assert nd_outputs[1][0].shape == (2, 3)
    assert nd_states[1][0].asnumpy().tolist() == [4, 4, 4]


def test_imperative_loops_record_gradients() -> None:
    w = mx.nd.array([2.0])
    w.attach_grad()
    with mx.autograd.record():
        outputs, (i, s) = mx.nd.contrib.while_loop(
            lambda i, s: i < 3, lambda i, s: (s * w, (i + 1, s * w)), (mx.nd.array([0.0]), mx.nd.array([1.0])), 5
        )
        s.backward()
    assert outputs.shape == (5, 1)
    assert outputs.asnumpy().ravel().tolist() == [2, 4, 8, 0, 0]
    assert w.grad.asscalar() == 12
    assert mx.nd.contrib.cond(mx.nd.array([0]), lambda: w, lambda: w * 3).asscalar() == 6


def test_batch_statistics_move_inside_a_loop() -> None:
    data, state = mx.sym.Variable("data"), mx.sym.Variable("state")
    output, last = mx.sym.contrib.foreach(
        lambda x, s: (mx.sym.BatchNorm(x, momentum=0.5, name="bn") + s[0], [s[0]]), data, [state]
    )
    executor = output.simple_bind(mx.cpu(), data=(2, 4, 3), state=(4, 3))
    executor.arg_dict["data"][:] = 2.0
    executor.forward(is_train=True)
    mean = {**executor.arg_dict, **executor.aux_dict}["bn_moving_mean"].asnumpy()
    np.testing.assert_allclose(mean, 1.5)


def test_bad_loops_are_refused() -> None:
    data, state = mx.sym.Variable("data"), mx.sym.Variable("state")
    with pytest.raises(AssertionError, match="have to be used"):
        mx.sym.contrib.foreach(lambda x, s: (s[0], [s[0]]), data, [state])
    with pytest.raises(AssertionError, match="different format"):
        mx.sym.contrib.foreach(lambda x, s: (x, [x, s[0]]), data, [state])
    with pytest.raises(ValueError, match="max_iterations should be specified"):
        mx.sym.contrib.while_loop(lambda i: i < 3, lambda i: (i, [i + 1]), [state])
    with pytest.raises(ValueError, match="Number of outputs differs"):
        mx.sym.contrib.cond(state, lambda: [data, data], lambda: data)
    output, _ = mx.sym.contrib.foreach(lambda x, s: (x, [mx.sym.concat(s[0], x, dim=0)]), data, [state])
    with pytest.raises((MXNetError, RuntimeError), match="state"):
        output.simple_bind(mx.cpu(), data=(2, 3), state=(3,))
    choice = mx.sym.contrib.cond(data, lambda: state, lambda: state * 2)
    executor = choice.simple_bind(mx.cpu(), data=(2,), state=(3,))
    with pytest.raises(MXNetError, match=r"shape \(2,\), expected one element"):
        executor.forward()


def test_bodies_that_change_shapes_are_refused() -> None:
    contrib, one, two = mx.sym.contrib, mx.sym.Variable("one"), mx.sym.Variable("two")

    def twice(x: mx.sym.Symbol) -> mx.sym.Symbol:
        return mx.sym.concat(x, x, dim=0)

    state = contrib.foreach(lambda x, s: (x, twice(s)), one, two)[1]
    output = contrib.foreach(lambda x, s: (x[0] + x[1], s), [one, two], mx.sym.Variable("state"))[0]
    variables = contrib.while_loop(lambda i, s: i < 3, lambda i, s: (s, [i + 1, twice(s)]), [one, two], 4)[1]
    branches = contrib.cond(one, lambda: two, lambda: twice(two))
    for symbol, shapes, words in (
        (state, {"one": (3, 2), "two": (1, 2)}, r"state 0: expected \(1, 2\), got \(2, 2\)"),
        (output, {"one": (3, 2), "two": (2, 2), "state": (1,)}, "first axes of 3 and 2"),
        (variables[1], {"one": (1,), "two": (1, 2)}, r"loop variable 1: expected \(1, 2\), got \(2, 2\)"),
        (branches, {"one": (1,), "two": (1, 2)}, r"output 0: expected \(1, 2\), got \(2, 2\)"),
    ):
        with pytest.raises(MXNetError, match=words):
            symbol.infer_shape(**shapes)
        arrays = {name: mx.nd.ones(shape) for name, shape in shapes.items()}
        with pytest.raises(MXNetError, match=words):
            symbol.bind(mx.cpu(), {name: arrays[name] for name in symbol.list_arguments()}).forward()


def test_steps_of_different_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="inconsistent"):
        mx.nd.contrib.while_loop(
            lambda s: s.sum() < 9, lambda s: (s, mx.nd.concat(s, s, dim=0)), [mx.nd.ones((1, 2))], 3
        )
