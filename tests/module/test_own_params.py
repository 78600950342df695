"""A module's own copies of its parameters: there when somebody looks, no memory while nobody does."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mxcompat as mx

BATCH = mx.io.DataBatch([mx.nd.array([[1, 2, 0], [3, 0, 1], [0, 1, 4], [2, 5, 2]])], [mx.nd.array([0, 1, 1, 1])])


def net() -> Any:
    data = mx.sym.BatchNorm(mx.sym.Variable("data"), name="bn")
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(data, num_hidden=2, name="fc"), name="softmax")


def bound(**options: Any) -> Any:
    module = mx.mod.Module(net(), **options)
    module.bind([("data", (4, 3))], [("softmax_label", (4,))])
    module.init_params(mx.init.One())
    module.init_optimizer(optimizer_params={"learning_rate": 0.5})
    return module


def train(module: Any) -> np.ndarray:
    """One step; the weight after it."""
    module.forward_backward(BATCH)
    module.update()
    weight: np.ndarray = module._exec_group.execs[0].arg_dict["fc_weight"].asnumpy()
    assert np.abs(weight - 1).max() > 1e-3
    return weight


def test_copies_nobody_holds_go_and_come_back() -> None:
    module = bound()
    gone = weakref.ref(module._arg_params["fc_weight"])
    expected = train(module)
    gc.collect()
    assert gone() is None and all(part.is_let_go for part in module._own)
    arguments, auxiliary = module.get_params()
    assert list(arguments) == ["bn_gamma", "bn_beta", "fc_weight", "fc_bias"] and list(auxiliary) == [
        "bn_moving_mean",
        "bn_moving_var",
    ]
    np.testing.assert_array_equal(arguments["fc_weight"].asnumpy(), expected)
    assert not any(part.is_let_go for part in module._own)


def test_a_dict_that_is_held_stays_the_same_and_stale_until_asked_again() -> None:
    module = bound()
    arguments, auxiliary = module.get_params()
    weight = arguments["fc_weight"]
    expected = train(module)
    np.testing.assert_array_equal(weight.asnumpy(), np.ones((2, 3)))
    again, _ = module.get_params()
    assert again is arguments and again["fc_weight"] is weight
    np.testing.assert_array_equal(weight.asnumpy(), expected)


def test_an_array_that_is_held_alone_stays_the_same() -> None:
    module = bound()
    weight = module.get_params()[0]["fc_weight"]
    expected = train(module)
    gc.collect()
    np.testing.assert_array_equal(weight.asnumpy(), np.ones((2, 3)))
    arguments, _ = module.get_params()
    assert arguments["fc_weight"] is weight
    np.testing.assert_array_equal(weight.asnumpy(), expected)


def test_private_names_see_values() -> None:
    module = bound()
    expected = train(module)
    np.testing.assert_array_equal(module._arg_params["fc_weight"].asnumpy(), expected)
    assert set(module._aux_params) == {"bn_moving_mean", "bn_moving_var"}


def test_private_names_may_be_set_before_the_bind() -> None:
    given = bound().get_params()
    module = mx.mod.Module(net())
    assert module._arg_params is None
    module._arg_params, module._aux_params = given
    module.params_initialized = True
    module.bind([("data", (4, 3))], [("softmax_label", (4,))], for_training=False)
    for name, array in given[0].items():
        np.testing.assert_array_equal(module.get_params()[0][name].asnumpy(), array.asnumpy())


def test_an_array_of_another_type_is_kept(tmp_path: Path) -> None:
    prefix = str(tmp_path / "net")
    arguments, auxiliary = bound().get_params()
    wide = {**arguments, "fc_bias": arguments["fc_bias"].astype("float64")}
    mx.model.save_checkpoint(prefix, 0, net(), wide, auxiliary)
    module = mx.mod.Module.load(prefix, 0)
    module.bind([("data", (4, 3))], [("softmax_label", (4,))])
    module.init_optimizer(optimizer_params={"learning_rate": 0.5})
    train(module)
    found, _ = module.get_params()
    assert found["fc_bias"].dtype == np.float64 and found["fc_bias"].asnumpy().any()


def test_a_rebind_goes_on_with_the_trained_parameters() -> None:
    module = bound()
    expected = train(module)
    module.bind([("data", (2, 3))], [("softmax_label", (2,))], force_rebind=True)
    np.testing.assert_array_equal(module._exec_group.execs[0].arg_dict["fc_weight"].asnumpy(), expected)


@pytest.mark.parametrize("trained", (0, 1))
def test_modules_that_share_memory_share_the_copies(trained: int) -> None:
    first, second = bound(), mx.mod.Module(net())
    second.bind([("data", (4, 3))], [("softmax_label", (4,))], shared_module=first)
    expected = train((first, second)[trained])
    assert first._own is second._own
    for module in (first, second):
        np.testing.assert_array_equal(module.get_params()[0]["fc_weight"].asnumpy(), expected)
