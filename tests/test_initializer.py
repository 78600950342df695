"""Initializers (semantics.md, 180 to 188)."""

from __future__ import annotations

import numpy as np
import pytest

import mxcompat as mx
from mxcompat.initializer import InitDesc
from tests.training.initializer_cases import CASES as RECORDED_CASES
from tests.training.observing import differences, recorded

nd = mx.nd

ENDINGS = {"weight": 5, "bias": 0, "gamma": 1, "beta": 0, "min": 0, "max": 1}
ONLY_AS_TEXT = {"moving_mean": 0, "moving_var": 1, "moving_inv_var": 0, "moving_avg": 0}


def filled(initializer: object, name: str, shape: tuple = (2, 2)) -> np.ndarray:
    array = nd.full(shape, 7.0)
    initializer(name, array)
    return array.asnumpy()


@pytest.mark.parametrize("ending", [*ENDINGS, *ONLY_AS_TEXT, "running_mean"])
def test_names_decide(ending: str) -> None:
    constant = mx.init.Constant(5.0)
    if ending in ENDINGS:
        assert filled(constant, InitDesc(f"a_{ending}")).tolist() == [[ENDINGS[ending]] * 2] * 2
    else:
        with pytest.raises(ValueError, match=f"a_{ending}"):
            filled(constant, InitDesc(f"a_{ending}"))
    with pytest.warns(DeprecationWarning):
        if ending == "running_mean":
            with pytest.raises(ValueError, match="running_mean"):
                filled(constant, f"a_{ending}")
        else:
            expected = {**ENDINGS, **ONLY_AS_TEXT}[ending]
            assert filled(constant, f"a_{ending}").tolist() == [[expected] * 2] * 2


def test_the_attribute_of_a_variable_wins() -> None:
    desc = InitDesc("x_weight", {"__init__": mx.init.Constant(3.0).dumps()})
    assert filled(mx.init.Uniform(), desc, (2,)).tolist() == [3, 3]
    assert filled(mx.init.One(), InitDesc("x_bias"), (2,)).tolist() == [0, 0]


def test_operators_say_how_their_variables_begin() -> None:
    given, own = mx.sym.Variable("given"), mx.sym.Variable("own", init=mx.init.One())
    net = mx.sym.LeakyReLU(mx.sym.Variable("data"), act_type="prelu", name="a")
    net = mx.sym.LeakyReLU(mx.sym.LeakyReLU(net, gamma=given, act_type="prelu"), gamma=own, act_type="prelu")
    net = mx.sym.UpSampling(net, scale=2, sample_type="bilinear", num_filter=2, name="up")
    constant = '["Constant", {"value": 0.25}]'
    texts = {name: attrs["__init__"] for name, attrs in net.attr_dict().items() if "__init__" in attrs}
    assert texts == {"a_gamma": constant, "given": constant, "own": '["one", {}]', "up_weight": '["bilinear", {}]'}
    module = mx.mod.Module(net, label_names=None)
    module.bind([("data", (1, 2, 3, 3))])
    module.init_params()
    values = {name: float(array.asnumpy().flat[0]) for name, array in module.get_params()[0].items()}
    assert values == {"a_gamma": 0.25, "given": 0.25, "own": 1, "up_weight": 0.0625}


def test_a_constant_that_is_an_array_is_written_as_a_list() -> None:
    for array in (nd.ones((1, 2)), np.ones((1, 2))):
        initializer = mx.init.Constant(array)
        assert initializer.dumps() == '["constant", {"value": [[1.0, 1.0]]}]'
        assert initializer._kwargs == {"value": [[1.0, 1.0]]}


def test_texts() -> None:
    found = [x.dumps() for x in (mx.init.Constant(3.0), mx.init.Xavier(), mx.init.MSRAPrelu(), mx.init.Uniform())]
    found += [x.dumps() for x in (mx.init.Normal(), mx.init.Orthogonal(), mx.init.One())]
    assert found == [
        '["constant", {"value": 3.0}]',
        '["xavier", {"rnd_type": "uniform", "factor_type": "avg", "magnitude": 3}]',
        '["msraprelu", {"factor_type": "avg", "slope": 0.25}]',
        '["uniform", {"scale": 0.07}]',
        '["normal", {"sigma": 0.01}]',
        '["orthogonal", {"scale": 1.414, "rand_type": "uniform"}]',
        '["one", {}]',
    ]


def test_distributions() -> None:
    mx.random.seed(0)
    uniform = filled(mx.init.Xavier(), InitDesc("w_weight"), (200, 300))
    assert 0.108 < abs(uniform).max() <= (3 / 250) ** 0.5 + 1e-6
    gaussian = filled(mx.init.Xavier("gaussian", "in", 2), InitDesc("w_weight"), (200, 300))
    assert abs(gaussian.std() - (2 / 300) ** 0.5) < 2e-3
    assert abs(filled(mx.init.Normal(0.5), InitDesc("w_weight"), (200, 300)).std() - 0.5) < 0.01
    product = filled(mx.init.Orthogonal(1.0), InitDesc("w_weight"), (4, 9))
    assert np.allclose(product @ product.T, np.eye(4), atol=1e-5)
    with pytest.raises(ValueError, match="2D"):
        filled(mx.init.Xavier(), InitDesc("w_weight"), (3,))


def test_kernels_gates_and_pieces() -> None:
    kernel = filled(mx.init.Bilinear(), InitDesc("u_weight"), (1, 1, 4, 4))
    assert kernel[0, 0, 1].tolist() == [0.1875, 0.5625, 0.5625, 0.1875]
    desc = InitDesc("l_i2h_bias", {"__init__": mx.init.LSTMBias(1.5).dumps()})
    assert filled(mx.init.LSTMBias(1.5), desc, (8,)).tolist() == [0, 0, 1.5, 1.5, 0, 0, 0, 0]
    packed = filled(mx.init.FusedRNN(mx.init.One(), 2, 1, "lstm"), InitDesc("p_weight"), (56,))
    assert packed[:40].tolist() == [1] * 40
    assert packed[-16:].tolist() == [0, 0, 1, 1, 0, 0, 0, 0] * 2


def test_mixed_and_load() -> None:
    mixed = mx.init.Mixed(["bias", ".*"], [mx.init.Zero(), mx.init.One()])
    assert filled(mixed, InitDesc("x_weight"), (2,)).tolist() == [1, 1]
    with pytest.raises(ValueError, match="x_weight"):
        mx.init.Mixed(["bias"], [mx.init.Zero()])(InitDesc("x_weight"), nd.ones((1,)))
    load = mx.init.Load({"arg:x_weight": nd.ones((2,)) * 4}, default_init=mx.init.Zero())
    assert filled(load, InitDesc("x_weight"), (2,)).tolist() == [4, 4]
    assert filled(load, InitDesc("y_weight"), (2,)).tolist() == [0, 0]
    with pytest.raises(AssertionError, match="x_weight"):
        filled(load, InitDesc("x_weight"), (3,))


def test_seeds_repeat() -> None:
    draws = []
    for _ in range(2):
        mx.random.seed(3)
        draws.append(filled(mx.init.Uniform(1.0), InitDesc("x_weight")))
    assert np.array_equal(*draws)


RECORDED = recorded("initializer")


@pytest.mark.parametrize("name", RECORDED_CASES)
def test_as_recorded(name: str) -> None:
    assert differences(RECORDED_CASES[name](mx), RECORDED[name]) == []
