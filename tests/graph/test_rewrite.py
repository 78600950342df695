"""Fused graphs agree with the plain ones, in training and in inference, and notice when parameters change."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import mxcompat as mx
from mxcompat.graph import fuse
from tests import nets

pytestmark = pytest.mark.skipif(not fuse.available(torch.device("cpu")), reason="no fused kernels here")


def convolutions(act_type: str) -> Any:
    """A stem of one channel, a residual block with a projected shortcut, grouped and dilated layers."""
    sym = mx.sym
    with mx.name.NameManager():
        net = sym.Convolution(sym.Variable("data"), kernel=(3, 3), pad=(1, 1), num_filter=8, name="stem")
        net = sym.Activation(net, act_type=act_type)
        branch = sym.Convolution(net, kernel=(3, 3), pad=(1, 1), num_filter=8, num_group=4, no_bias=True)
        branch = sym.Activation(sym.BatchNorm(branch, fix_gamma=False, eps=1e-3), act_type=act_type)
        branch = sym.BatchNorm(sym.Convolution(branch, kernel=(3, 3), pad=(2, 2), dilate=(2, 2), num_filter=8))
        shortcut = sym.BatchNorm(sym.Convolution(net, kernel=(1, 1), num_filter=8, no_bias=True), fix_gamma=True)
        net = sym.Activation(branch + shortcut, act_type=act_type)
        net = sym.Pooling(net, kernel=(2, 2), stride=(2, 2), pool_type="max")
        net = sym.Activation(sym.FullyConnected(net, num_hidden=300), act_type="sigmoid")
        return sym.SoftmaxOutput(sym.FullyConnected(net, num_hidden=4), name="softmax")


def bound(monkeypatch: pytest.MonkeyPatch, net: Any, exact: str, seed: int = 0) -> Any:
    monkeypatch.setenv("MXCOMPAT_EXACT", exact)
    monkeypatch.setattr(fuse, "linear_pays", lambda: True)
    monkeypatch.setattr(fuse, "LINEAR_WORK", 1)
    executor = net.simple_bind(mx.cpu(), data=(5, 1, 10, 10))
    rng = np.random.RandomState(seed)
    for name, array in executor.arg_dict.items():
        array[:] = rng.randint(0, 4, array.shape) if name.endswith("label") else rng.uniform(-0.5, 0.5, array.shape)
    for array in executor.aux_arrays:
        array[:] = rng.uniform(0.5, 1.5, array.shape)
    executor.forward(is_train=False)  # modes are made at the first call
    executor.forward(is_train=True)
    return executor


@pytest.mark.parametrize("act_type", ["tanh", "sigmoid", "softrelu"])
def test_training_agrees(monkeypatch: pytest.MonkeyPatch, act_type: str) -> None:
    plain, fused = (bound(monkeypatch, convolutions(act_type), exact) for exact in "10")
    assert fused._modes[True].runner.eager is not fused.graph_module
    assert plain._modes[True].runner.eager is plain.graph_module
    for executor in (plain, fused):
        executor.backward()
    np.testing.assert_allclose(fused.outputs[0].asnumpy(), plain.outputs[0].asnumpy(), atol=2e-6)
    for name, gradient in plain.grad_dict.items():
        scale = 1e-4 * max(1.0, float(np.abs(gradient.asnumpy()).max()))  # BatchNorm is less exact in channels-last
        np.testing.assert_allclose(
            fused.grad_dict[name].asnumpy(), gradient.asnumpy(), rtol=1e-4, atol=scale, err_msg=name
        )


@pytest.mark.parametrize("act_type", ["relu", "tanh", "softrelu"])
def test_inference_agrees_before_and_after_packing(monkeypatch: pytest.MonkeyPatch, act_type: str) -> None:
    plain, fused = (bound(monkeypatch, convolutions(act_type), exact) for exact in "10")
    for _ in range(3):
        expected, found = (executor.forward(is_train=False)[0].asnumpy() for executor in (plain, fused))
        np.testing.assert_allclose(found, expected, atol=2e-6)
    layers = fused._modes[False].runner.eager._layers
    assert len(layers) == 6
    assert all(layer.packed is not None for layer in layers)


@pytest.mark.parametrize("name", ["stem_weight", "batchnorm1_moving_var", "batchnorm2_beta", "fullyconnected1_bias"])
def test_packed_weights_follow_the_parameters(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    plain, fused = (bound(monkeypatch, convolutions("relu"), exact) for exact in "10")
    for _ in range(3):
        fused.forward(is_train=False)
    for executor in (plain, fused):
        array = {**executor.arg_dict, **executor.aux_dict}[name]
        array[0:1] = 2.0  # through a view
    for _ in range(3):
        expected, found = (executor.forward(is_train=False)[0].asnumpy() for executor in (plain, fused))
        np.testing.assert_allclose(found, expected, atol=2e-6)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "ftrl", "lamb"])
def test_packed_weights_follow_an_update(monkeypatch: pytest.MonkeyPatch, optimizer: str) -> None:
    monkeypatch.setenv("MXCOMPAT_EXACT", "0")
    module = mx.mod.Module(convolutions("tanh"))
    module.bind([("data", (5, 1, 10, 10))], [("softmax_label", (5,))])
    module.init_params(mx.init.Uniform(0.5))
    module.init_optimizer(optimizer=optimizer, optimizer_params={"learning_rate": 0.5})
    batch = mx.io.DataBatch([mx.nd.ones((5, 1, 10, 10))], [mx.nd.zeros(5)])
    for _ in range(2):
        module.forward_backward(batch)
        module.update()
        for _ in range(3):
            module.forward(batch, is_train=False)
        monkeypatch.setenv("MXCOMPAT_EXACT", "1")
        fresh = mx.mod.Module(module.symbol)
        fresh.bind([("data", (5, 1, 10, 10))], [("softmax_label", (5,))], for_training=False)
        fresh.set_params(*module.get_params())
        fresh.forward(batch)
        monkeypatch.setenv("MXCOMPAT_EXACT", "0")
        np.testing.assert_allclose(module.get_outputs()[0].asnumpy(), fresh.get_outputs()[0].asnumpy(), atol=2e-6)


def test_a_backward_after_an_inference_forward(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, fused = (bound(monkeypatch, convolutions("tanh"), exact) for exact in "10")
    for executor in (plain, fused):
        for _ in range(3):
            executor.forward(is_train=False)
        executor.backward()
    for name in ("stem_weight", "fullyconnected0_weight"):
        expected, found = (executor.grad_dict[name].asnumpy() for executor in (plain, fused))
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_other_types_run_the_plain_kernels() -> None:
    executor = convolutions("relu").simple_bind(mx.cpu(), data=(2, 1, 6, 6), type_dict={"data": "float64"})
    for _ in range(3):
        assert executor.forward(is_train=False)[0].dtype == np.float64


def test_nets_without_convolutions_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuse, "linear_pays", lambda: False)
    executor = nets.mlp(mx).simple_bind(mx.cpu(), data=(2, 6))
    executor.forward(is_train=True)
    assert executor._modes[True].runner.eager is executor.graph_module


@pytest.mark.parametrize("way", ["from_numpy", "from_dlpack", "to_dlpack after packing"])
def test_memory_held_outside_is_never_packed(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    monkeypatch.setattr(fuse, "linear_pays", lambda: True)
    monkeypatch.setattr(fuse, "LINEAR_WORK", 1)
    memory = np.full((4, 6), 2, np.float32)
    if way == "from_numpy":
        weight = mx.nd.from_numpy(memory.view())  # the view becomes read-only, the memory does not
    elif way == "from_dlpack":
        weight = mx.nd.from_dlpack(torch.from_numpy(memory))
    else:
        weight = mx.nd.array(memory)
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=4, no_bias=True, name="fc")
    executor = net.bind(mx.cpu(), {"data": mx.nd.ones((3, 6)), "fc_weight": weight})
    for _ in range(3):
        executor.forward()
    assert np.array_equal(executor.outputs[0].asnumpy(), np.full((3, 4), 12, np.float32))
    if way.startswith("to_dlpack"):
        memory = torch.from_dlpack(weight.to_dlpack_for_write()).numpy()
    memory[:] = 3
    executor.forward()
    assert np.array_equal(executor.outputs[0].asnumpy(), np.full((3, 4), 18, np.float32))
