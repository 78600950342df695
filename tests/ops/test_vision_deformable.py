"""Rows of the deformable convolutions; the gradient of the modulated one exists on gpus only, so it is checked here."""

import numpy as np

from tests.harness import Bad, Row, rows_test
from tests.rows import uniform

LOOSE = {"rtol": 1e-4, "atol": 1e-5, "partial": False}  # sums of some dozens of products in another order


def _inputs(offset, weight, data=(2, 4, 5, 6), bias=True, mask=None):
    inputs = {"data": data, "offset": uniform(offset, -2.5, 2.5)}
    if mask is not None:
        inputs["mask"] = uniform(mask)
    inputs["weight"] = weight
    if bias:
        inputs["bias"] = weight[:1]
    return inputs


def _plain(offset, weight, bias=True, **params):
    given = dict(params, kernel=weight[2:], num_filter=weight[0])
    return _inputs(offset, weight, bias=bias), given if bias else dict(given, no_bias=True)


def _modulated(offset, mask, weight, bias=True, **params):
    given = dict(params, kernel=weight[2:], num_filter=weight[0])
    return _inputs(offset, weight, bias=bias, mask=mask), given if bias else dict(given, no_bias=True)


PLAIN, MODULATED = "contrib.DeformableConvolution", "contrib.ModulatedDeformableConvolution"
ROWS = [
    Row(PLAIN, *_plain((2, 18, 3, 4), (3, 4, 3, 3)), compile=True, **LOOSE),
    Row(
        PLAIN,
        *_plain((2, 24, 3, 5), (6, 2, 3, 2), pad=(1, 2), stride=(2, 2), num_group=2, num_deformable_group=2),
        **LOOSE,
    ),  # fmt: skip
    Row(PLAIN, *_plain((2, 8, 5, 6), (3, 4, 2, 2), bias=False, pad=(1, 1), dilate=(2, 2)), **LOOSE),
    Row(PLAIN, *_plain((2, 18, 3, 4), (3, 4, 3, 3)), dtype="float64", partial=False),
    Bad(PLAIN, *_plain((2, 17, 3, 4), (3, 4, 3, 3))),
    Bad(PLAIN, *_plain((2, 18, 4, 4), (3, 4, 3, 3))),
    Bad(PLAIN, *_plain((2, 18, 3, 4), (3, 4, 3, 3), num_deformable_group=3)),
    Bad(PLAIN, *_plain((2, 18, 3, 4), (3, 4, 3, 3), layout="NHWC")),
    Row(MODULATED, *_modulated((2, 18, 3, 4), (2, 9, 3, 4), (3, 4, 3, 3)), grad=False, compile=True, **LOOSE),
    Row(
        MODULATED,
        *_modulated(
            (2, 24, 3, 5), (2, 12, 3, 5), (6, 2, 3, 2), pad=(1, 2), stride=(2, 2), num_group=2, num_deformable_group=2
        ),
        grad=False,
        **LOOSE,
    ),  # fmt: skip
    Row(
        MODULATED,
        *_modulated((2, 8, 5, 6), (2, 4, 5, 6), (3, 4, 2, 2), bias=False, pad=(1, 1), dilate=(2, 2), im2col_step=1),
        grad=False,
        **LOOSE,
    ),  # fmt: skip
    Row(MODULATED, *_modulated((2, 18, 3, 4), (2, 9, 3, 4), (3, 4, 3, 3)), grad=False, dtype="float64", partial=False),
    Bad(MODULATED, *_modulated((2, 18, 3, 4), (2, 8, 3, 4), (3, 4, 3, 3))),
]

test_rows = rows_test(ROWS, __file__)


def _loss(data, offset, mask, weight, bias):
    import mxcompat as mx

    params = {"kernel": (2, 3), "num_filter": 2, "pad": (1, 1), "num_deformable_group": 2}
    output = mx.nd.contrib.ModulatedDeformableConvolution(data, offset, mask, weight, bias, **params)
    return (output * output).sum()


def test_gradients_of_the_modulated_convolution_are_the_differences() -> None:
    import mxcompat as mx

    rng = np.random.RandomState(0)
    shapes = [(1, 2, 3, 4), (1, 24, 4, 4), (1, 12, 4, 4), (2, 2, 2, 3), (2,)]
    arrays = [mx.nd.array(rng.uniform(-1.3, 1.3, shape), dtype="float64") for shape in shapes]
    for array in arrays:
        array.attach_grad()
    with mx.autograd.record():
        loss = _loss(*arrays)
    loss.backward()
    for position, array in enumerate(arrays):
        way = rng.standard_normal(array.shape)
        ends = []
        for step in (1e-6, -1e-6):
            moved = list(arrays)
            moved[position] = mx.nd.array(array.asnumpy() + step * way, dtype="float64")
            ends.append(_loss(*moved).asscalar())
        np.testing.assert_allclose((ends[0] - ends[1]) / 2e-6, (array.grad.asnumpy() * way).sum(), rtol=1e-6)
