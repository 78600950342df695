"""Whole networks agree with real MXNet: outputs, all gradients, auxiliary states, parameters after training steps."""

from __future__ import annotations

import pytest

import mxcompat as mx
from tests import golden_store, nets, record_nets

RECORDED = golden_store.load(record_nets.GOLDEN)
COMPILED = ("mlp", "lenet", "resnet-tanh", "lstm", "several-outputs")


def _problems(name: str) -> str:
    net = nets.NETS[name]
    return "\n".join(record_nets.disagreements(net, RECORDED[name], nets.observe(mx, net)))


@pytest.mark.parametrize("name", nets.NETS)
def test_eager(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MXCOMPAT_COMPILE", "never")
    assert _problems(name) == ""


@pytest.mark.compiled
@pytest.mark.parametrize("name", COMPILED)
def test_compiled(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MXCOMPAT_COMPILE", "always")
    assert _problems(name) == ""


@pytest.mark.parametrize("name", ["lenet", "resnet-tanh", "lstm", "several-outputs"])
def test_two_backwards_after_one_forward(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MXCOMPAT_COMPILE", "never")
    net = nets.NETS[name]
    once = {key: array for key, array in RECORDED[name].arrays.items() if key.startswith("grad/")}
    written = nets.repeated_gradients(mx, net, "write")
    added = nets.repeated_gradients(mx, net, "add")
    assert record_nets.array_disagreements(once, written, net.tolerance) == []
    assert record_nets.array_disagreements({key: 2 * once[key] for key in once}, added, net.tolerance) == []


def test_every_net_is_recorded() -> None:
    assert sorted(RECORDED) == sorted(nets.NETS)
