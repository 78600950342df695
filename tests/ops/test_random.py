"""Rows of the random operators: shapes and types equal the original's, values are judged as samples."""

import numpy as np

import mxcompat as mx
from tests.harness import Bad, Row, Sampled, ints, rows_test, values

SIZE = (40, 500)


def _whole(low, high):
    def check(sample, *rest):
        assert (sample == np.floor(sample)).all()
        assert low <= sample.min() and sample.max() <= high

    return check


def _distribution(name, params, moments, check=None):
    """One distribution through its three operators: by numbers, like an array, and one an element."""
    path = "_internal._random_" + name
    return [
        Sampled(path, {}, params, SIZE, moments=moments, check=check),
        Sampled(path, {}, {**params, "dtype": "float64"}, SIZE, moments=moments, check=check),
        Sampled(path, {}, {**params, "dtype": "float16"}, (200,), moments=moments),
        Sampled("random." + name + "_like", {"data": (50, 400)}, params, moments=moments, check=check),
        Sampled("random." + name + "_like", {"data": (50, 400)}, params, moments=moments, dtype="float64"),
        Sampled("random." + name + "_like", {"data": (3, 100)}, params, moments=moments, tag="small"),
    ]


def _inside(low, high):
    def check(sample, *rest):
        assert low <= sample.min() and sample.max() < high

    return check


def _each(name, inputs, moments, check=None):
    path = "_internal._sample_" + name
    specs = {key: values(column) for key, column in inputs.items()}
    means, deviations = (np.array(x) for x in moments)
    return [
        Sampled(path, specs, None, (20000,), moments=(means, deviations), check=check),
        Sampled(path, specs, {"dtype": "float64"}, (100, 200), moments=(means, deviations), check=check),
        Sampled(path, specs, None, (5000,), moments=(means, deviations), dtype="float64"),
    ]


def _multinomial(sample, *rest):
    found = [(sample == i).mean() for i in range(3)]
    assert np.allclose(found, [0.2, 0.5, 0.3], atol=0.02), found
    if rest:
        assert np.allclose(np.exp(rest[0]), np.array([0.2, 0.5, 0.3])[sample.astype(int)], atol=1e-6)


def _unique(range_max):
    """Rows of different numbers whose first ones are distributed as they should, and how many draws they took."""

    def check(samples, draws):
        assert samples.min() >= 0
        assert samples.max() < range_max
        assert all(len(set(row)) == len(row) for row in samples.tolist())
        assert (draws >= samples.shape[1]).all()
        expected = np.log(1.5) / np.log(range_max)
        share = (samples[:, 0] == 0).mean()
        assert abs(share - expected) < 6 * (expected * (1 - expected) / len(samples)) ** 0.5

    return check


def _permuted(sample, *rest):
    assert sorted(sample[:, 0].tolist()) == list(range(6))
    assert (sample[:, 1] == sample[:, 0] + 10).all()


CERTAIN = values([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
ROWS_OF_SIX = values([[i, i + 10] for i in range(6)])

ROWS = [
    *_distribution("uniform", {"low": -1.0, "high": 3.0}, (1.0, 4 / 12**0.5), _inside(-1, 3)),
    *_distribution("normal", {"loc": 2.0, "scale": 0.5}, (2.0, 0.5)),
    *_distribution("exponential", {"lam": 4.0}, (0.25, 0.25), _inside(0, 100)),
    *_distribution("gamma", {"alpha": 2.0, "beta": 3.0}, (6.0, 18**0.5), _inside(0, 1000)),
    *_distribution("poisson", {"lam": 4.0}, (4.0, 2.0), _whole(0, 100)),
    *_distribution("negative_binomial", {"k": 3, "p": 0.4}, (4.5, 11.25**0.5), _whole(0, 1000)),
    *_distribution("generalized_negative_binomial", {"mu": 2.0, "alpha": 0.3}, (2.0, 3.2**0.5), _whole(0, 1000)),
    *_each("uniform", {"low": [0.0, 5.0], "high": [1.0, 9.0]}, ([0.5, 7.0], [1 / 12**0.5, 4 / 12**0.5])),
    *_each("normal", {"mu": [0.0, 5.0], "sigma": [1.0, 2.0]}, ([0.0, 5.0], [1.0, 2.0])),
    *_each("exponential", {"lam": [1.0, 4.0]}, ([1.0, 0.25], [1.0, 0.25])),
    *_each("gamma", {"alpha": [2.0, 9.0], "beta": [1.0, 0.5]}, ([2.0, 4.5], [2**0.5, 1.5])),
    *_each("poisson", {"lam": [1.0, 9.0]}, ([1.0, 9.0], [1.0, 3.0])),
    *_each("negative_binomial", {"k": [3.0, 5.0], "p": [0.4, 0.5]}, ([4.5, 5.0], [11.25**0.5, 10**0.5])),
    *_each("generalized_negative_binomial", {"mu": [2.0], "alpha": [0.3]}, ([2.0], [3.2**0.5])),
    Sampled(
        "_internal._random_randint",
        {},
        {"low": 2, "high": 8},
        SIZE,
        moments=(4.5, 35**0.5 / 12**0.5),
        check=_whole(2, 7),
    ),
    Sampled("_internal._random_randint", {}, {"low": 0, "high": 2, "dtype": "int64"}, (999,), moments=(0.5, 0.5)),
    Sampled("_internal._random_randint", {}, {"low": -5, "high": -3}, (99,), check=_whole(-5, -4)),
    Sampled("_internal._sample_multinomial", {"data": values([0.2, 0.5, 0.3])}, None, (9000,), check=_multinomial),
    Sampled(
        "_internal._sample_multinomial",
        {"data": values([0.2, 0.5, 0.3])},
        {"get_prob": True},
        (9000,),
        check=_multinomial,
    ),
    Sampled(
        "_internal._sample_multinomial",
        {"data": values([[0.2, 0.5, 0.3]])},
        {"dtype": "float32"},
        (9000,),
        check=_multinomial,
    ),
    Sampled("_internal._sample_unique_zipfian", {}, {"range_max": 20}, (2000, 6), check=_unique(20)),
    Sampled("_internal._sample_unique_zipfian", {}, {"range_max": 3000}, (500, 40), check=_unique(3000)),
    Sampled("_internal._sample_unique_zipfian", {}, {"range_max": 4}, (20, 4), check=_unique(4)),
    Bad("_internal._sample_unique_zipfian", {}, {"range_max": 4, "shape": (2, 5)}, match="range_max=4"),
    Bad("_internal._sample_unique_zipfian", {}, {"range_max": 4, "shape": (4,)}),
    Bad("_internal._sample_unique_zipfian", {}, {"range_max": 4}),
    Bad("_internal._sample_unique_zipfian", {}, {"shape": (2, 2)}, match="range_max"),
    Sampled("_internal._shuffle", {"data": ROWS_OF_SIX}, check=_permuted),
    Sampled("_internal._shuffle", {"data": ROWS_OF_SIX}, check=_permuted, dtype="int32"),
    Sampled("_internal._shuffle", {"data": ROWS_OF_SIX}, check=_permuted, dtype="float64"),
    Row(
        "_internal._sample_multinomial",
        {"data": CERTAIN},
        {"get_prob": True, "shape": (4,), "dtype": "float32"},
        compile=True,
    ),
    Row("_internal._sample_multinomial", {"data": CERTAIN}, {"dtype": "float16", "shape": (2, 3)}, head=None),
    Row("_internal._sample_multinomial", {"data": CERTAIN}, {"get_prob": True, "dtype": "float64"}, dtype="float64"),
    Bad("_internal._sample_multinomial", {"data": ints((2, 3), 0, 2)}, dtype="int32"),
    Bad("_internal._random_uniform", {}, {"low": 5, "high": 1, "shape": (2,)}, faces=("nd",)),
    Bad("_internal._random_normal", {}, {"scale": 0.0, "shape": (2,)}, faces=("nd",)),
    Bad("_internal._random_gamma", {}, {"beta": 0.0, "shape": (2,)}, faces=("nd",)),
    Bad("_internal._random_poisson", {}, {"lam": -1.0, "shape": (2,)}, faces=("nd",)),
    Bad("_internal._random_randint", {}, {"low": 3, "high": 3, "shape": (2,)}, "low=3", "MXNetError", faces=("nd",)),
    Bad("_internal._random_negative_binomial", {}, {"p": 0.0, "shape": (2,)}, "p=0", "MXNetError", faces=("nd",)),
    Bad("random.uniform_like", {"data": ints((2, 3), 0, 2)}, dtype="int32", faces=("nd",)),
    Bad("_internal._random_exponential", {}, {"lam": -1.0, "shape": (2,)}, faces=("nd",)),
    Bad("_internal._random_uniform", {}, {"dtype": "int32", "shape": (2,)}),
]

test_rows = rows_test(ROWS, __file__)


def test_a_context_in_the_place_of_the_type() -> None:
    """Where it was up to 0.12."""
    for draw in (mx.nd.random.normal, mx.random.uniform):
        for drawn in (draw(0, 1, (2, 3), mx.cpu()), draw(0, 1, (2, 3), mx.cpu(), "float64")):
            assert drawn.shape == (2, 3) and drawn.context == mx.cpu()
    assert mx.nd.random.normal(0, 1, (2,), mx.cpu(), "float64").dtype is np.float64
