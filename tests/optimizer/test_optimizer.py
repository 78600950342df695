"""Optimizers: registry, rates and multipliers, states, errors, subclasses."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import mxcompat as mx
from mxcompat import nd
from mxcompat.base import MXNetError

Optimizer = mx.optimizer.Optimizer

#: attributes of fresh instances that the original shows, beside those of the base class
OWN_ATTRIBUTES = {
    "adadelta": {"rho": 0.9, "epsilon": 1e-5},
    "adagrad": {"float_stable_eps": 1e-7},
    "adam": {"lr": 0.001, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "lazy_update": True},
    "adamax": {"lr": 0.002, "beta1": 0.9, "beta2": 0.999},
    "ccsgd": {"momentum": 0.0, "lazy_update": True, "aggregate_num": 4},
    "dcasgd": {"momentum": 0.0, "lamda": 0.04, "weight_previous": {}},
    "ftml": {"beta1": 0.6, "beta2": 0.999, "epsilon": 1e-8},
    "ftrl": {"lr": 0.1, "lamda1": 0.01, "beta": 1},
    "groupadagrad": {"float_stable_eps": 1e-5},
    "lamb": {"lr": 0.001, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-6, "lower_bound": None, "upper_bound": None}
    | {"bias_correction": True, "aggregate_num": 45},
    "lars": {"momentum": 0.0, "lazy_update": True, "eta": 0.001, "eps": 0, "momentum_correction": True, "skip": 0}
    | {"last_lr": None, "cur_lr": None, "aggregate_num": 4},
    "lbsgd": {"momentum": 0.0, "warmup_strategy": "linear", "warmup_epochs": 5, "batch_scale": 1, "init_updates": 0}
    | {"updates_per_epoch": 32, "num_epochs": 60, "lbmult": 1, "cumgrads": {}, "adaptive": False, "admult": 1},
    "nadam": {"lr": 0.001, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "schedule_decay": 0.004, "m_schedule": 1.0},
    "nag": {"momentum": 0.0},
    "rmsprop": {"lr": 0.001, "gamma1": 0.9, "gamma2": 0.9, "epsilon": 1e-8, "centered": False, "clip_weights": None},
    "sgd": {"momentum": 0.0, "lazy_update": True, "aggregate_num": 4},
    "sgld": {},
    "signum": {"momentum": 0.9, "wd_lh": 0.0},
    "test": {},
}
BASE_ATTRIBUTES = {
    "_all_index_update_counts": {0: {}}, "_index_update_count": {}, "aggregate_num": 0, "allow_np_array": False,
    "begin_num_update": 0, "clip_gradient": None, "idx2name": {}, "lr": 0.01, "lr_mult": {}, "lr_scheduler": None,
    "multi_precision": False, "num_update": 0, "param_dict": {}, "rescale_grad": 1.0, "sym_info": (), "wd": 0.0, "wd_mult": {},
}  # fmt: skip


def stepped(optimizer: Any, steps: int) -> list[float]:
    """One weight of 1 under gradients of 0.5."""
    updater, weight, values = mx.optimizer.get_updater(optimizer), nd.ones((1,)), []
    for _ in range(steps):
        updater(0, nd.array([0.5]), weight)
        values.append(round(float(weight.asscalar()), 6))
    return values


class TestRegistry:
    def test_names(self) -> None:
        ours = {name for name, kind in Optimizer.opt_registry.items() if kind.__module__.startswith("mxcompat.optimizer.")}
        assert ours == set(OWN_ATTRIBUTES)

    @pytest.mark.parametrize("name", OWN_ATTRIBUTES)
    def test_attributes(self, name: str) -> None:
        assert vars(mx.optimizer.create(name)) == {**BASE_ATTRIBUTES, **OWN_ATTRIBUTES[name]}

    def test_create_in_any_case(self) -> None:
        assert type(mx.optimizer.create("AdaGrad")) is mx.optimizer.AdaGrad
        with pytest.raises(ValueError, match="nothing"):
            mx.optimizer.create("nothing")

    def test_modules(self) -> None:
        assert mx.optimizer.SGD.__module__ == "mxcompat.optimizer.optimizer"
        assert mx.optimizer.contrib.GroupAdaGrad.__module__ == "mxcompat.optimizer.contrib"
        assert mx.optimizer.optimizer.SGD is mx.optimizer.SGD

    def test_register_warns_of_a_taken_name(self) -> None:
        kept = Optimizer.opt_registry["test"]
        try:
            with pytest.warns(UserWarning, match="overriding"):
                Optimizer.register(type("Test", (Optimizer,), {}))
        finally:
            Optimizer.opt_registry["test"] = kept


class TestRates:
    def test_scheduler_takes_the_rate(self, capsys: Any) -> None:
        schedule = mx.lr_scheduler.FactorScheduler(2, 0.1)
        optimizer = mx.optimizer.create("SGD", learning_rate=0.5, lr_scheduler=schedule)
        assert (schedule.base_lr, optimizer.learning_rate) == (0.5, 0.5)
        assert "overwritten" in capsys.readouterr().out
        assert stepped(optimizer, 4) == [0.75, 0.5, 0.475, 0.45]
        with pytest.raises(UserWarning):
            optimizer.set_learning_rate(0.1)

    def test_set_learning_rate(self) -> None:
        optimizer = mx.optimizer.SGD()
        optimizer.set_learning_rate(0.25)
        assert optimizer.learning_rate == 0.25
        with pytest.raises(DeprecationWarning):
            optimizer.set_lr_scale({})

    def test_counts(self) -> None:
        optimizer = mx.optimizer.SGD()
        updater = mx.optimizer.get_updater(optimizer)
        for index in (0, 0, 1):
            updater(index, nd.ones((1,)), nd.ones((1,)))
        assert (optimizer.num_update, optimizer._index_update_count) == (2, {0: 2, 1: 1})

    def test_names_switch_the_weight_decay_off(self) -> None:
        assert stepped(mx.optimizer.SGD(learning_rate=0.1, wd=0.1, param_idx2name={0: "x_bias"}), 1) == [0.95]
        assert stepped(mx.optimizer.SGD(learning_rate=0.1, wd=0.1, param_idx2name={0: "x_weight"}), 1) == [0.94]

    def test_multipliers_of_variables(self) -> None:
        weight = mx.sym.Variable("w", lr_mult=0.5, wd_mult=2.0)
        symbol = mx.sym.FullyConnected(mx.sym.Variable("data"), weight, num_hidden=2, name="fc")
        optimizer = mx.optimizer.SGD(wd=0.1, sym=symbol, param_idx2name={0: "w", 1: "fc_bias"})
        assert (optimizer.lr_mult, optimizer.wd_mult) == ({"w": 0.5}, {"w": 2.0, "fc_bias": 0.0})
        assert (optimizer._get_lrs([0, 1]), optimizer._get_wds([0, 1])) == ([0.005, 0.01], [0.2, 0.0])

    def test_param_dict_comes_first(self) -> None:
        parameter = type("Parameter", (), {"lr_mult": 3.0, "wd_mult": 0.5})()
        optimizer = mx.optimizer.SGD(wd=0.1, param_dict={0: parameter})
        optimizer.set_lr_mult({0: 7.0})
        assert (optimizer._get_lr(0), optimizer._get_wd(0)) == (0.03, 0.05)

    def test_bad_arguments(self) -> None:
        with pytest.raises(AssertionError, match="param_idx2name"):
            mx.optimizer.SGD(param_idx2name=["a"])
        with pytest.raises(TypeError):
            mx.optimizer.SGD(learning_speed=1)


class TestSemantics:
    """The numbers of semantics.md, 200 to 214."""

    @pytest.mark.parametrize(
        ("optimizer", "values"),
        [
            (lambda o: o.SGD(learning_rate=0.1), [0.95, 0.9]),
            (lambda o: o.SGD(learning_rate=0.1, wd=0.1, clip_gradient=0.2, rescale_grad=2.0), [0.97]),
            (lambda o: o.SGD(learning_rate=0.1, momentum=0.9, wd=0.1), [0.94, 0.8266]),
            (lambda o: o.NAG(learning_rate=0.1, momentum=0.9), [0.905, 0.7695]),
            (lambda o: o.Adam(learning_rate=0.1), [0.899999, 0.799999, 0.699998]),
            (lambda o: o.Adam(learning_rate=0.1, wd=1.0, clip_gradient=0.3, epsilon=1.0), [0.99906]),
            (lambda o: o.AdaGrad(learning_rate=0.1), [0.9, 0.829289]),
            (lambda o: o.AdaGrad(learning_rate=0.1, wd=0.1), [0.89]),
            (lambda o: o.RMSProp(learning_rate=0.1), [0.683772, 0.454357]),
            (lambda o: o.RMSProp(learning_rate=0.1, centered=True), [0.666667, 0.11176]),
            (lambda o: o.AdaDelta(), [0.990002, 0.979744]),
            (lambda o: o.AdaDelta(wd=0.1), [0.890002]),
            (lambda o: o.Ftrl(), [0.299333, 0.270044]),
            (lambda o: o.Adamax(), [0.998, 0.996]),
            (lambda o: o.Nadam(), [0.998944, 0.99816]),
            (lambda o: o.FTML(), [0.99, 0.98375]),
            (lambda o: o.Signum(learning_rate=0.1), [0.9, 0.8]),
            (lambda o: o.Signum(learning_rate=0.1, momentum=0.0, wd=0.1), [0.89]),
            (lambda o: o.Signum(learning_rate=0.1, wd_lh=0.1), [0.89]),
            (lambda o: o.DCASGD(learning_rate=0.1), [0.95, 0.90005]),
            (lambda o: o.LAMB(learning_rate=0.1), [0.9, 0.81]),
            (lambda o: o.LAMB(learning_rate=0.1, wd=0.1, lower_bound=0.5, upper_bound=0.8), [0.92]),
            (lambda o: o.LARS(learning_rate=0.1), [0.9999]),
            (lambda o: o.LARS(learning_rate=0.1, param_idx2name={0: "x_bias"}), [0.95]),
            (lambda o: o.LBSGD(learning_rate=0.1), [0.95, 0.9]),
        ],
    )
    def test_values(self, optimizer: Any, values: list[float]) -> None:
        assert stepped(optimizer(mx.optimizer), len(values)) == pytest.approx(values, abs=2e-6)

    def test_multi_precision_state(self) -> None:
        weight = nd.ones((1,), dtype="float16")
        state = mx.optimizer.SGD(momentum=0.9, multi_precision=True).create_state_multi_precision(0, weight)
        assert [array.dtype for array in state] == [np.float32, np.float32]
        copy_of_weight, moments = mx.optimizer.Adam(multi_precision=True).create_state_multi_precision(0, weight)
        assert [array.dtype for array in (copy_of_weight, *moments)] == [np.float32] * 3

    def test_float16_without_copies_warns(self) -> None:
        with pytest.warns(UserWarning, match="multi_precision"):
            mx.optimizer.SGD().create_state_multi_precision(0, nd.ones((1,), dtype="float16"))

    def test_sgld_adds_noise(self) -> None:
        mx.random.seed(3)
        updater, weight = mx.optimizer.get_updater(mx.optimizer.SGLD(learning_rate=0.01)), nd.ones((4000,))
        updater(0, nd.ones((4000,)) * 0.5, weight)
        assert weight.asnumpy().mean() == pytest.approx(1 - 0.01 / 2 * 0.5, abs=0.006)
        assert weight.asnumpy().std() == pytest.approx(0.1, rel=0.05)

    def test_dcasgd_with_momentum(self) -> None:
        """The original raises here: it asks an array for its truth value."""
        optimizer = mx.optimizer.DCASGD(learning_rate=0.1, momentum=0.9)
        updater, weight = mx.optimizer.get_updater(optimizer), nd.ones((2,))
        updater(0, nd.ones((2,)), weight)
        updater(0, nd.ones((2,)), weight)
        step = -0.1 * (1 + 0.04 * (0.9 - 1.0))
        np.testing.assert_allclose(weight.asnumpy(), 0.9 + (0.9 * -0.1 + step), rtol=1e-6)

    def test_adadelta_rescales_the_gradient_itself(self) -> None:
        grad = nd.ones((2,))
        mx.optimizer.get_updater(mx.optimizer.AdaDelta(rescale_grad=0.25))(0, grad, nd.ones((2,)))
        assert grad.asnumpy().tolist() == [0.25, 0.25]

    @pytest.mark.parametrize("name", sorted(set(OWN_ATTRIBUTES) - {"adadelta"}))
    def test_gradients_stay(self, name: str) -> None:
        grad = nd.ones((3, 2)) * 0.7
        arguments = {"rescale_grad": 0.5, "clip_gradient": 0.1}
        mx.optimizer.get_updater(mx.optimizer.create(name, **arguments))([0], [grad], [nd.ones((3, 2))])
        assert (grad.asnumpy() == np.float32(0.7)).all()

    def test_large_arrays(self) -> None:
        """Beyond the size of a block, in parts."""
        shape = (700, 1000)
        for name in ("adam", "adagrad", "lamb"):
            updater = mx.optimizer.get_updater(mx.optimizer.create(name, learning_rate=0.1))
            weights = [nd.ones(shape), nd.ones((3,)), nd.ones((800, 900))]
            updater([0, 1, 2], [nd.ones(w.shape) for w in weights], weights)
            for weight in weights:
                assert np.ptp(weight.asnumpy()) == 0
                assert weight.asnumpy()[0].max() < 0.95


class TestErrors:
    def test_shapes_types_and_classes(self) -> None:
        for name in ("sgd", "adam", "lars", "lbsgd", "groupadagrad"):
            updater = mx.optimizer.get_updater(mx.optimizer.create(name, param_idx2name={0: "fc_weight"}))
            with pytest.raises(MXNetError, match="fc_weight"):
                updater(0, nd.ones((2,)), nd.ones((3, 2)))
        with pytest.raises(MXNetError, match="float64"):
            mx.optimizer.get_updater(mx.optimizer.SGD())(0, nd.ones((2,), dtype="float64"), nd.ones((2,)))
        with pytest.raises(AssertionError, match="NDArray"):
            mx.optimizer.get_updater(mx.optimizer.SGD())(0, np.ones(2), nd.ones((2,)))

    def test_float64_needs_states_of_its_type(self) -> None:
        """As in the original, whose states of these rules are always float32."""
        with pytest.raises(MXNetError, match="float32"):
            mx.optimizer.get_updater(mx.optimizer.RMSProp())(
                0, nd.ones((2,), dtype="float64"), nd.ones((2,), dtype="float64")
            )

    def test_group_adagrad(self) -> None:
        with pytest.raises(AssertionError, match="two axes"):
            mx.optimizer.create("groupadagrad").create_state(0, nd.ones((2,)))
        with pytest.raises(AssertionError, match="decay"):
            mx.optimizer.get_updater(mx.optimizer.create("groupadagrad", wd=0.1))(0, nd.ones((2, 2)), nd.ones((2, 2)))

    def test_a_rule_is_needed(self) -> None:
        with pytest.raises(NotImplementedError, match="update"):
            Optimizer().update(0, nd.ones((1,)), nd.ones((1,)), None)


class Plain(Optimizer):
    """A rule written as users write them."""

    def create_state(self, index: Any, weight: Any) -> Any:
        return nd.zeros(weight.shape)

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        self._update_count(index)
        state += grad
        weight -= self._get_lr(index) * state


class TestSubclasses:
    def updated(self, optimizer: Any) -> list[float]:
        updater = mx.optimizer.get_updater(optimizer)
        weights = [nd.ones((1,)), nd.ones((2,))]
        for _ in range(2):
            updater([0, 1], [nd.ones((1,)), nd.ones((2,))], weights)
        return [round(float(weight.asnumpy()[0]), 6) for weight in weights]

    def test_own_rule(self) -> None:
        assert self.updated(Plain(learning_rate=0.1)) == [0.7, 0.7]

    @pytest.mark.parametrize("base", [mx.optimizer.SGD, mx.optimizer.Adam])
    def test_overridden_update(self, base: type) -> None:
        seen = []

        class Mine(base):  # type: ignore[misc, valid-type]
            def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
                seen.append(index)
                super().update(index, weight, grad, state)

        assert self.updated(Mine(learning_rate=0.1)) == self.updated(base(learning_rate=0.1))
        assert seen == [0, 1, 0, 1]

    def test_overridden_multi_precision_update_gets_groups(self) -> None:
        seen = []

        class Mine(mx.optimizer.SGD):
            def update_multi_precision(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
                seen.append(tuple(index))
                super().update_multi_precision(index, weight, grad, state)

        updater = mx.optimizer.get_updater(Mine())
        weights = [nd.ones((1,), dtype="float64" if i == 1 else "float32") for i in range(7)]
        updater(list(range(7)), weights, weights)
        assert seen == [(0, 2, 3, 4), (5, 6), (1,)]

    def test_overridden_rate(self) -> None:
        class Mine(mx.optimizer.AdaGrad):
            def _get_lr(self, index: Any) -> float:
                return super()._get_lr(index) * (index + 1)

        assert self.updated(Mine(learning_rate=0.1, eps=0.0)) == [0.829289, 0.658579]

    def test_overridden_state(self) -> None:
        class Mine(mx.optimizer.SGD):
            def create_state(self, index: Any, weight: Any) -> Any:
                return nd.ones(weight.shape)

        assert self.updated(Mine(learning_rate=0.1, momentum=0.5)) == [1.5, 1.5]


class TestCopies:
    def test_pickle_and_deepcopy(self) -> None:
        optimizer = mx.optimizer.Adam(learning_rate=0.1, param_dict={0: object()})
        mx.optimizer.get_updater(mx.optimizer.Adam())(0, nd.ones((1,)), nd.ones((1,)))
        for other in (pickle.loads(pickle.dumps(optimizer)), copy.deepcopy(optimizer)):
            assert vars(other) == {**vars(optimizer), "param_dict": {}}
            assert other._index_update_count is other._all_index_update_counts[0]
