"""SVRGModule: numbers of MXNet 1.9.1 (recorded below), and what a loop of one's own sees."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mxcompat as mx
from mxcompat.contrib.svrg_optimization.svrg_module import SVRGModule
from mxcompat.contrib.svrg_optimization.svrg_optimizer import _SVRGOptimizer

TWO = [mx.cpu(0), mx.cpu(1)]
SGD = {"learning_rate": 0.025}
#: weight and bias after the first and the fourth epoch, and the last full gradient on the first device
RECORDED = {
    "no kvstore": ([1.2803387, 1.5946563, 0.4901591], [1.3492959, 2.0545139, 0.5561692], [-13.801813, -21.811388, -5.568362]),
    "kvstore": ([1.2770966, 1.6197703, 0.4926128], [1.3416229, 2.0626101, 0.5551758], [-13.770571, -21.509132, -5.516134]),
    "devices": ([1.2770969, 1.6197703, 0.4926128], [1.3416231, 2.0626099, 0.5551758], [-6.8852835, -10.754567, -2.7580662]),
    "momentum": ([1.8869617, 2.131001, 0.696023], [0.5242249, 1.9091698, 0.3190252], [-92.721786, -83.65593, -30.608831]),
    "adam": ([0.1497565, 0.2496677, 0.0997236], [0.2983607, 0.3981433, 0.2482544], [-181.885208, -183.071136, -63.334682]),
    "nag": ([1.7810941, 2.2059903, 0.6906606], [0.6781311, 1.9750119, 0.4210668], [-21.480423, -18.711405, -6.8345737]),
}  # fmt: skip


def module(**options: Any) -> tuple[SVRGModule, mx.io.NDArrayIter]:
    """A linear regression on 37 rows in batches of 8."""
    data = np.random.RandomState(0).randint(1, 5, [37, 2]).astype("float32")
    labels = data.dot(np.array([1.0, 2.0]))
    batches = mx.io.NDArrayIter(data, labels, batch_size=8, label_name="lin_reg_label")
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), name="fc1", num_hidden=1)
    net = mx.sym.LinearRegressionOutput(net, mx.sym.Variable("lin_reg_label"), name="lro")
    options = {"update_freq": 2, **options}
    return SVRGModule(net, data_names=["data"], label_names=["lin_reg_label"], **options), batches


def start() -> dict[str, mx.nd.NDArray]:
    """First values of the parameters."""
    return {"fc1_weight": mx.nd.array([[0.1, 0.2]]), "fc1_bias": mx.nd.array([0.05])}


def numbers(params: dict[str, mx.nd.NDArray]) -> list[float]:
    """Weight and bias in one list."""
    return [*params["fc1_weight"].asnumpy().ravel(), *params["fc1_bias"].asnumpy()]


@pytest.mark.parametrize(
    ("name", "options", "fit"),
    [
        ("no kvstore", {}, {"optimizer_params": SGD}),
        ("no kvstore", {}, {"optimizer_params": SGD, "kvstore": None}),
        ("kvstore", {}, {"optimizer_params": SGD, "kvstore": "object"}),
        ("devices", {"context": TWO}, {"optimizer_params": SGD}),
        ("momentum", {"update_freq": 1}, {"optimizer_params": {"learning_rate": 0.01, "momentum": 0.9}}),
        ("adam", {"update_freq": 3}, {"optimizer": "adam", "optimizer_params": {"learning_rate": 0.01}, "kvstore": "object"}),
        (
            "nag",
            {"update_freq": 1, "context": TWO},
            {"optimizer": "nag", "optimizer_params": {"learning_rate": 0.01, "momentum": 0.9, "wd": 0.1}},
        ),
    ],
)  # fmt: skip
def test_training_agrees_with_the_original(name: str, options: dict, fit: dict) -> None:
    if fit.get("kvstore") == "object":
        fit = {**fit, "kvstore": mx.kv.create("local")}
    net, batches = module(**options)
    epochs: list = []
    net.fit(
        batches,
        eval_metric="mse",
        num_epoch=4,
        arg_params=start(),
        aux_params={},
        epoch_end_callback=lambda epoch, symbol, arg, aux: epochs.append(numbers(arg)),
        **fit,
    )
    first, last, full = RECORDED[name]
    # float32 sums of 37 rows in another order, over 20 updates
    np.testing.assert_allclose(epochs[0], first, rtol=2e-6)
    np.testing.assert_allclose(epochs[3], last, rtol=2e-6)
    np.testing.assert_allclose(numbers(net._param_dict[0]), full, rtol=2e-6)


def test_fixed_parameters_stay() -> None:
    net, batches = module(fixed_param_names=["fc1_bias"])
    net.fit(batches, eval_metric="mse", num_epoch=2, arg_params=start(), aux_params={}, optimizer_params=SGD)
    assert net.get_params()[0]["fc1_bias"].asnumpy()[0] == np.float32(0.05)
    assert net.get_params()[0]["fc1_weight"].asnumpy()[0, 0] != np.float32(0.1)


def test_a_loop_of_ones_own() -> None:
    net, batches = module()
    net.bind(batches.provide_data, batches.provide_label)
    net.init_params(arg_params=start(), aux_params={})
    net.init_optimizer(optimizer_params=SGD)
    assert type(net._optimizer) is _SVRGOptimizer and net._mod_aux.binded
    net.update_full_grads(batches)
    batches.reset()
    batch = next(batches)
    net.forward(batch, is_train=True)
    net.backward()
    net.update()
    # the weights are still those of the past, so what is left of the gradient is the full one
    np.testing.assert_allclose(
        numbers({name: net._exec_group.grad_arrays[i][0] for i, name in enumerate(net._exec_group.param_names)}),
        numbers(net._param_dict[0]),
        rtol=1e-6,
    )
    net.reshape([("data", (4, 2))], [("lin_reg_label", (4,))])
    assert net._mod_aux.data_shapes[0].shape == (4, 2)
    net.init_optimizer()
    assert not net._param_dict[0]["fc1_weight"].asnumpy().any()


def test_evaluation_and_prediction() -> None:
    net, batches = module()
    seen: list = []
    net.fit(
        batches, batches, "mse", num_epoch=1, optimizer_params=SGD, batch_end_callback=seen.append, arg_params=start(),
        aux_params={},
    )  # fmt: skip
    assert [param.nbatch for param in seen] == list(range(5))
    assert net.predict(batches).shape == (37, 1)
    bound, _ = module()
    bound.bind([("data", (2, 2))], [("lin_reg_label", (2,))], for_training=False)
    assert not bound._mod_aux.binded
    with pytest.raises(AssertionError, match="num_epoch"):
        bound.fit(batches)


def test_update_freq_is_checked() -> None:
    with pytest.raises(ValueError, match="positive"):
        module(update_freq=0)
    for wrong in (1.5, None):
        with pytest.raises(TypeError, match="integer"):
            module(update_freq=wrong)


def test_the_optimizer_assigns_full_gradients() -> None:
    names = {0: "weight", 1: "weight_full"}
    optimizer = mx.optimizer.create("_SVRGOptimizer", default_optimizer="sgd", param_idx2name=names, learning_rate=1.0)
    assert optimizer.default_opt.lr == 1
    store = mx.kv.create("local")
    store.set_optimizer(optimizer)
    for key in (0, 1):
        store.init(key, mx.nd.zeros(3))
        store.push(key, mx.nd.full(3, 2))
    found = [mx.nd.zeros(3), mx.nd.zeros(3)]
    store.pull([0, 1], found)
    assert found[0].asnumpy().tolist() == [-2] * 3 and found[1].asnumpy().tolist() == [2] * 3
