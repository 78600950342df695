"""Mirroring: what is dropped, that backward computes the same bit for bit, and what the estimate of memory says."""

from __future__ import annotations

import gc
import re
import weakref
from typing import Any

import numpy as np
import pytest
import torch

import mxcompat as mx
from mxcompat.graph import mirror
from tests.benchmarks import networks

sym, V = mx.sym, mx.sym.Variable


def convolutions() -> Any:
    """Every kind of node that matters: normalization, pooling, dropout, residuals, several outputs, views."""
    with mx.name.NameManager():
        net = sym.Activation(sym.Convolution(V("data"), kernel=(3, 3), num_filter=16), act_type="tanh")
        for i in range(3):
            branch = sym.Convolution(net, kernel=(3, 3), pad=(1, 1), num_filter=16, name=f"conv{i}")
            branch = sym.Activation(sym.BatchNorm(branch, fix_gamma=False, name=f"bn{i}"), act_type="relu")
            net = sym.LeakyReLU(branch + net, slope=0.1) if i else sym.Activation(branch + net, act_type="softrelu")
        net = sym.Pooling(net, kernel=(2, 2), stride=(2, 2), pool_type="max")
        left, right = sym.SliceChannel(net, num_outputs=2, axis=1)
        net = sym.Dropout(sym.Flatten(sym.Concat(left * right, sym.sqrt(sym.abs(left) + 1))), p=0.3)
        net = sym.LayerNorm(sym.FullyConnected(net, num_hidden=200), V("scale"), V("shift"))
        return sym.SoftmaxOutput(sym.FullyConnected(net, num_hidden=7), name="softmax")


def lstm() -> Any:
    return networks.unrolled_lstm(mx, 5)


def trained(net: Any, shapes: dict, backwards: int = 1) -> dict[str, np.ndarray]:
    """Outputs, gradients and states after a step."""
    request = "add" if backwards > 1 else "write"
    wanted = {name: request for name in net.list_arguments() if name not in shapes}
    executor = net.simple_bind(mx.cpu(), grad_req=wanted, **shapes)
    rng = np.random.RandomState(0)
    for name, array in executor.arg_dict.items():
        whole = name.endswith("label") or (name == "data" and array.ndim == 2)
        array[:] = rng.randint(0, 7, array.shape) if whole else rng.uniform(-0.5, 0.5, array.shape)
    mx.random.seed(3)
    executor.forward(is_train=True)
    for _ in range(backwards):
        executor.backward()
    arrays = {**executor.grad_dict, **executor.aux_dict}
    found = {name: array.asnumpy() for name, array in arrays.items() if array is not None}
    return {**found, "output": executor.outputs[0].asnumpy()}


NETS = [(convolutions, {"data": (8, 1, 24, 24)}), (lstm, {"data": (64, 5), "softmax_label": (64, 5)})]


@pytest.mark.parametrize("exact", ["0", "1"])
@pytest.mark.parametrize("backwards", [1, 2])
@pytest.mark.parametrize(("net", "shapes"), NETS)
def test_mirroring_changes_no_bit(
    monkeypatch: pytest.MonkeyPatch, net: Any, shapes: dict, backwards: int, exact: str
) -> None:
    monkeypatch.setenv("MXCOMPAT_EXACT", exact)
    monkeypatch.setattr(mirror, "SMALL", 64)
    plain = trained(net(), shapes, backwards)
    monkeypatch.setenv("MXNET_BACKWARD_DO_MIRROR", "1")
    mirrored = trained(net(), shapes, backwards)
    for name, value in plain.items():
        assert np.array_equal(mirrored[name], value), name


def kept_bytes(monkeypatch: pytest.MonkeyPatch, net: Any, asked: str, **shapes: Any) -> int:
    """Bytes of distinct memory that a forward leaves for its backward, arguments apart."""
    monkeypatch.setenv("MXNET_BACKWARD_DO_MIRROR", asked)
    executor = net.simple_bind(mx.cpu(), **shapes)
    own = {array._data.untyped_storage().data_ptr() for array in (*executor.arg_arrays, *executor.aux_arrays)}
    saved: list[Any] = []

    class Recorded(mirror._Saved):
        __slots__ = ()

        def __init__(self, tape: Any, tensor: torch.Tensor):
            super().__init__(tape, tensor)
            saved.append(self)

    monkeypatch.setattr(mirror, "_Saved", Recorded)
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: Recorded(None, tensor), Recorded.get):
        executor.forward(is_train=True)
    kept = [each.tensor for each in saved if each.tensor is not None]
    for tape in {id(each.tape): each.tape for each in saved if each.tape is not None}.values():
        kept += [tensor for value in tape.kept.values() for _, tensor in mirror._tensors(value)]
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in kept}
    return sum(size for address, size in storages.items() if address not in own)


def test_mirroring_saves_activations(monkeypatch: pytest.MonkeyPatch) -> None:
    net = networks.resnet50(mx)
    plain, mirrored = (kept_bytes(monkeypatch, net, asked, data=(2, 3, 160, 160)) for asked in "01")
    assert mirrored < 0.6 * plain


def test_a_tape_goes_with_its_backward_or_the_next_forward(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MXNET_BACKWARD_DO_MIRROR", "1")
    monkeypatch.setattr(mirror, "SMALL", 64)
    tapes: list[weakref.ref] = []

    class Watched(mirror._Tape):
        def __init__(self, place: Any):
            super().__init__(place)
            tapes.append(weakref.ref(self))

    monkeypatch.setattr(mirror, "_Tape", Watched)
    gc.disable()
    try:
        executor = convolutions().simple_bind(mx.cpu(), data=(8, 1, 24, 24))
        for _ in range(3):
            executor.forward(is_train=True)
        assert [tape() is None for tape in tapes] == [True, True, False]
        executor.backward()
        assert tapes[-1]() is None
    finally:
        gc.enable()


def estimate(net: Any, **shapes: Any) -> int:
    found = re.search(r"Total (\d+) MB allocated", net.simple_bind(mx.cpu(), **shapes).debug_str())
    assert found
    return int(found[1])


def test_the_estimate_falls_too(monkeypatch: pytest.MonkeyPatch) -> None:
    net = networks.resnet50(mx)
    plain = estimate(net, data=(4, 3, 224, 224))
    monkeypatch.setenv("MXNET_BACKWARD_DO_MIRROR", "1")
    assert estimate(net, data=(4, 3, 224, 224)) < 0.7 * plain


def names_of_mirrored(net: Any) -> set[str]:
    executor = net.simple_bind(mx.cpu(), data=(2, 3, 8, 8))
    executor.forward(is_train=True)
    run = executor._modes[True].runner.eager
    found = run.mirrored if isinstance(run, mirror.Mirrored) else ()
    return {name for node in found for name in node.meta.get("joined", [node.meta.get("mxnet_name")]) if name}


@pytest.mark.parametrize("attribute", ["force_mirroring", "__force_mirroring__"])
def test_attributes_choose_nodes(monkeypatch: pytest.MonkeyPatch, attribute: str) -> None:
    net = sym.Convolution(V("data"), kernel=(3, 3), num_filter=4, name="conv")
    net = sym.Activation(net, act_type="tanh", name="act", attr={attribute: "True"})
    net = sym.Dropout(sym.exp(net, name="exp"), name="drop", attr={attribute: "True"})
    net = sym.sin(net, name="sin", attr={"mirror_stage": "True"})
    net = sym.exp(sym.cos(net, name="cos"), name="head")
    monkeypatch.setenv("MXCOMPAT_EXACT", "1")
    assert names_of_mirrored(net) == {"act"}  # never what draws random numbers
    monkeypatch.setenv("MXNET_BACKWARD_DO_MIRROR", "1")
    assert names_of_mirrored(net) == {"act", "exp", "cos"}


def test_fused_layers_are_mirrored_when_all_parts_are_forced() -> None:
    with mx.AttrScope(force_mirroring="True"):
        net = sym.Activation(
            sym.Convolution(V("data"), kernel=(3, 3), num_filter=4, name="conv"), name="act", act_type="relu"
        )
    assert names_of_mirrored(sym.exp(net, name="head")) == {"conv", "act"}


def test_arguments_without_a_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MXNET_BACKWARD_DO_MIRROR", "1")
    monkeypatch.setattr(mirror, "SMALL", 0)
    a, b = V("a"), V("b")
    net = sym.exp(sym.sin(a) * sym.cos(b), name="head")
    executor = net.bind(mx.cpu(), {"a": mx.nd.ones((3,)), "b": mx.nd.ones((3,))}, {"a": mx.nd.zeros((3,))})
    executor.forward(is_train=True)
    for _ in range(2):
        executor.backward(mx.nd.ones((3,)))
    sine, cosine = np.sin(1), np.cos(1)
    expected = np.exp(sine * cosine) * cosine * cosine
    np.testing.assert_allclose(executor.grad_dict["a"].asnumpy(), np.full(3, expected), rtol=1e-6)
