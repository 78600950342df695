"""The compile policy: decisions are made on calls the user makes, and the results stay the same."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

import mxcompat as mx
from mxcompat.graph import compile as policy

sym, nd, V = mx.sym, mx.nd, mx.sym.Variable


def runner(name: str, monkeypatch: pytest.MonkeyPatch) -> tuple[policy.Runner, list[str]]:
    """A runner whose compiler is counted and gives a function twice as large."""
    module = torch.fx.symbolic_trace(lambda x: (x + 1,))
    compiled: list[str] = []

    def fake(module: Any) -> Any:
        compiled.append("compiled")
        return lambda x: (x + 2,)

    monkeypatch.setattr(policy, "_compile", fake)
    return policy.Runner(module, module, 1, True, name), compiled


def test_never_stays_eager_and_always_compiles_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    eager, compiled = runner("never", monkeypatch)
    assert eager([torch.zeros(1)])[0].item() == 1
    assert not compiled
    always, compiled = runner("always", monkeypatch)
    assert always([torch.zeros(1)])[0].item() == 2
    assert compiled == ["compiled"]


def test_auto_compiles_once_eager_time_has_paid(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    auto, compiled = runner("auto", monkeypatch)
    budget = policy.PATIENCE * policy.expected_compile_seconds(1)
    with caplog.at_level(logging.INFO, logger="mxcompat.compile"):
        for _ in range(policy.TRIAL_CALLS + 1):
            assert auto([torch.zeros(1)])[0].item() == 1
            auto.record(budget / (policy.TRIAL_CALLS + 0.5))
        assert not auto.is_compiled
        for _ in range(policy.TRIAL_CALLS + 1):
            assert auto([torch.zeros(1)])[0].item() == 2
            auto.record(budget / 100)
    assert compiled == ["compiled"]
    assert auto.is_compiled
    assert "keeping the compiled graph" in caplog.text


def test_auto_costs_little_more_than_never(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where compiling takes as long as expected and is of no use."""
    auto, compiled = runner("auto", monkeypatch)
    expected, step = policy.expected_compile_seconds(1), 0.01
    never = total = 0.0
    worst = 0.0
    for _ in range(4000):
        was = bool(compiled)
        auto([torch.zeros(1)])
        seconds = step + (expected if compiled and not was else 0.0)
        auto.record(seconds)
        never, total = never + step, total + seconds
        worst = max(worst, total / never)
    assert compiled
    assert not auto.is_compiled
    assert worst <= 1.251


def test_a_rare_last_batch_is_not_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []

    def fake(module: Any) -> Any:
        compiled.append("compiled")
        return module

    monkeypatch.setattr(policy, "_compile", fake)
    monkeypatch.setattr(policy, "expected_compile_seconds", lambda operators: 0.25)
    with policy.using("auto"):
        often = sym.exp(V("data")).simple_bind(mx.cpu(), data=(4, 3), grad_req="null")
        rare = often.reshape(data=(1, 3))
        for _ in range(policy.TRIAL_CALLS + 1):
            often.forward()
            often._modes[False].runner.record(0.5)
            rare.forward()
        often.forward()
    assert often._modes[False].runner.is_compiled
    assert not rare._modes[False].runner.is_compiled
    assert compiled == ["compiled"]


def test_decisions_are_printed_on_request() -> None:
    script = """
import mxcompat as mx
from mxcompat.graph import compile as policy
net = mx.sym.exp(mx.sym.Variable("data"))
for name in ("auto", "never"):
    with policy.using(name):
        net.simple_bind(mx.cpu(), data=(2,)).forward()
"""
    environment = {**os.environ, "MXCOMPAT_LOG": "compile", "PYTHONPATH": os.getcwd()}
    found = subprocess.run([sys.executable, "-c", script], env=environment, check=True, capture_output=True, text=True)
    lines = [line for line in found.stderr.splitlines() if line.startswith("[mxcompat.compile]")]
    assert "eager; compiled once its calls have taken" in lines[0]
    assert "MXCOMPAT_COMPILE=never" in lines[1]
    environment["MXCOMPAT_LOG"] = "everything"
    found = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert "MXCOMPAT_LOG='everything'" in found.stderr


def test_auto_returns_to_eager_when_compiled_is_slower(monkeypatch: pytest.MonkeyPatch) -> None:
    auto, _ = runner("auto", monkeypatch)
    for _ in range(policy.TRIAL_CALLS + 1):
        auto.record(policy.PATIENCE * policy.expected_compile_seconds(1))
    for _ in range(policy.TRIAL_CALLS + 1):
        auto([torch.zeros(1)])
        auto.record(100 * policy.expected_compile_seconds(1))
    assert auto([torch.zeros(1)])[0].item() == 1


def test_graphs_that_cannot_be_traced_stay_eager(monkeypatch: pytest.MonkeyPatch) -> None:
    runner("always", monkeypatch)
    module = torch.fx.symbolic_trace(lambda x: (x,))
    untraceable = policy.Runner(module, module, 1, False, "always")
    assert untraceable.policy == "never"


def test_auto_leaves_recurrent_layers_whole() -> None:
    net = mx.sym.RNN(*map(mx.sym.Variable, ("data", "weight", "state", "cell")), state_size=2, num_layers=1, mode="lstm")
    for name, expected in (("auto", "never"), ("always", "always")):
        with policy.using(name):
            executor = net.simple_bind(mx.cpu(), data=(3, 1, 2))
        assert executor._mode(True).runner.policy == expected
        assert executor._mode(True).runner.is_traceable


def test_a_failing_compiler_is_met_once(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    always, _ = runner("always", monkeypatch)

    class BackendCompilerFailed(RuntimeError):
        pass

    def failing(module: Any) -> Any:
        def call(*tensors: Any) -> Any:
            raise BackendCompilerFailed("no compiler here")

        return call

    monkeypatch.setattr(policy, "_compile", failing)
    monkeypatch.setattr(policy, "_backend_failed", False)
    with caplog.at_level(logging.WARNING, logger="mxcompat.compile"):
        for _ in range(3):
            assert always([torch.zeros(1)])[0].item() == 1
    assert caplog.text.count("no compiler here") == 1


def test_switch_values_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MXCOMPAT_COMPILE", "sometimes")
    with pytest.raises(ValueError, match=r"MXCOMPAT_COMPILE='sometimes'.*auto, always, never"):
        policy.policy()
    monkeypatch.setenv("MXCOMPAT_COMPILE", "never")
    assert policy.policy() == "never"
    with policy.using("always"):
        assert policy.policy() == "always"
    with pytest.raises(ValueError, match="maybe"), policy.using("maybe"):
        pass


@pytest.mark.compiled
def test_compiled_dropout_draws_the_eager_stream() -> None:
    net = sym.Dropout(V("a"), p=0.5)
    found = []
    for name in ("never", "always"):
        with policy.using(name):
            ex = net.simple_bind(mx.cpu(), a=(64,))
        ex.arg_dict["a"][:] = 1
        mx.random.seed(7)
        ex.forward(is_train=True)
        ex.backward(nd.ones((64,)))
        found.append((ex.outputs[0].asnumpy(), ex.grad_dict["a"].asnumpy()))
    assert np.array_equal(found[0][0], found[1][0])
    assert np.array_equal(found[0][1], found[1][1])


def test_a_damaged_kernel_in_the_cache_is_a_failure_of_the_compiler():
    assert policy._is_backend_failure(OSError("kernel.so: file too short"))
    assert not policy._is_backend_failure(RuntimeError("index out of range"))
