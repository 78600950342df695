"""Rows of activations and dropout."""

import numpy as np

from tests.harness import Bad, Row, Sampled, positive, rows_test, values

EDGES = values([[-30.0, -2.0, -0.5, 0.0, 0.5, 2.0, 30.0]])
SMOOTH = {"rtol": 1e-4, "atol": 1e-5}  # exp and tanh approximations differ in their last bits
TYPES = ["relu", "sigmoid", "softrelu", "softsign", "tanh"]
RECTIFIERS = ["leaky", "elu", "selu", "gelu"]
#: shapes of data and gamma
PRELU = [
    ((2, 3), (3,)),
    ((2, 3), (2,)),
    ((2, 3), (1,)),
    ((2, 3), (2, 3)),
    ((2, 3, 4), (3,)),
    ((2, 3, 4), (2, 1)),
    ((3, 3), (3,)),
    ((2, 3, 2, 2), (3,)),
]


def _activation(act_type):
    return [
        Row("Activation", {"data": EDGES}, {"act_type": act_type}, **SMOOTH),
        Row("Activation", {"data": EDGES}, {"act_type": act_type}, dtype="float64"),
        Row("Activation", {"data": (2, 3, 2, 2)}, {"act_type": act_type}, compile=True, **SMOOTH),
        Row("Activation", {"data": (3, 4)}, {"act_type": act_type}, dtype="float16"),
    ]


def _rectifier(act_type):
    return [
        Row("LeakyReLU", {"data": EDGES}, {"act_type": act_type}, **SMOOTH),
        Row("LeakyReLU", {"data": EDGES}, {"act_type": act_type, "slope": 0.4}, dtype="float64", rtol=1e-5),
        Row("LeakyReLU", {"data": (2, 3, 2, 2)}, {"act_type": act_type, "slope": 0.1}, compile=True, **SMOOTH),
    ]


def _halves(output):
    """Ones of which each is either 0 or 2."""
    assert set(np.unique(output)) == {0.0, 2.0}


def _shared(output):
    """Each column is either all 0 or all 2."""
    _halves(output)
    assert (output == output[:1]).all()


def _kept(output):
    assert set(np.unique(output)) == {0.0, 4.0}


ONES = np.ones((40, 50), "float32")
HALF = (1.0, 1.0)  # mean and deviation of a value that is 0 or 2

ROWS = [
    *[row for act_type in TYPES for row in _activation(act_type)],
    *[row for act_type in RECTIFIERS for row in _rectifier(act_type)],
    *[
        Row("LeakyReLU", {"data": data, "gamma": gamma}, {"act_type": "prelu"}, compile=gamma == (2, 1))
        for data, gamma in PRELU
    ],
    Row("LeakyReLU", {"data": (3, 4), "gamma": positive((4,))}, {"act_type": "prelu"}, dtype="float64"),
    Row("LeakyReLU", {"data": EDGES}),
    Bad("Activation", {"data": (2, 3)}, {"act_type": "swish"}, match="act_type"),
    Bad("Activation", {"data": (2, 3)}, match="act_type"),
    Bad("Activation", {"data": (2, 3)}, {"act_type": "relu"}, dtype="int32", error="RuntimeError"),
    Bad(
        "LeakyReLU", {"data": (2, 3, 4), "gamma": (4,)}, {"act_type": "prelu"}, match="broadcast", error="RuntimeError"
    ),
    Bad("LeakyReLU", {"data": (2, 3, 4), "gamma": (1, 3, 1)}, {"act_type": "prelu"}, error="RuntimeError"),
    Row("Dropout", {"data": (4, 5)}, {"p": 0.3}, train=False, grad=False, exact=True),
    Row("Dropout", {"data": (4, 5)}, {"p": 0.0}, exact=True),
    Row("Dropout", {"data": (4, 5)}, {"p": 0.3, "axes": (0,)}, train=False, grad=False, exact=True),
    Sampled("Dropout", {"data": ONES}, {"p": 0.5}, check=_halves, moments=HALF),
    Sampled("Dropout", {"data": ONES}, {"p": 0.75}, check=_kept, moments=(1.0, 3**0.5)),
    Sampled("Dropout", {"data": ONES}, {"p": 0.5, "axes": (0,)}, check=_shared),
    Sampled("Dropout", {"data": ONES}, {"p": 0.5, "mode": "always"}, check=_halves, moments=HALF, train=False),
    Bad("Dropout", {"data": (4, 5)}, {"p": 1.5}, match="p="),
    Bad("Dropout", {"data": (4, 5)}, {"axes": (2,)}, match="axes"),
    Bad("Dropout", {"data": (4, 5)}, {"axes": (-1,)}, match="axes"),
]

test_rows = rows_test(ROWS, __file__)


def test_rrelu_slopes():
    """The original's process dies on this type in training; outside it takes the middle slope."""
    import mxcompat as mx

    data = mx.nd.array(np.tile([-2.0, 3.0], (50, 1)))
    data.attach_grad()
    with mx.autograd.record():
        output, slopes = mx.nd.LeakyReLU(data, act_type="rrelu")
    output.backward()
    slopes = slopes.asnumpy()
    assert (0.125 <= slopes).all() and (slopes <= 0.334).all() and len(np.unique(slopes)) > 50
    np.testing.assert_allclose(output.asnumpy(), np.stack([-2 * slopes[:, 0], np.full(50, 3)], 1), rtol=1e-6)
    np.testing.assert_allclose(data.grad.asnumpy(), np.stack([slopes[:, 0], np.ones(50)], 1), rtol=1e-6)
    outside = mx.nd.LeakyReLU(data, act_type="rrelu")[0]
    np.testing.assert_allclose(outside.asnumpy()[0], [-2 * 0.2295, 3], rtol=1e-5)


def test_dropout_of_everything_is_nan():
    """The original divides zero by zero here, and its own tests hold it to that."""
    import mxcompat as mx

    with mx.autograd.record():
        output = mx.nd.Dropout(mx.nd.ones((3, 4)), p=1.0)
    assert np.isnan(output.asnumpy()).all()
