"""Rows of the normalization layers."""

import numpy as np

from tests.harness import Bad, Row, positive, rows_test, values

LOOSE = {"rtol": 2e-4, "atol": 2e-5}  # differences of means, divided by small deviations


def _batch_norm(shape, axis=1, own=None, compiled=False, dtype="float32", train=True, grad=True, **params):
    size = (shape[axis],)
    if axis != 1:
        params["axis"] = axis
    inputs = {"data": shape, "gamma": positive(size, own), "beta": positive(size, own)}
    aux = {"moving_mean": positive(size, own), "moving_var": positive(size, own)}
    loose = LOOSE if dtype == "float32" else {"rtol": 1e-2, "atol": 2e-3} if dtype == "float16" else {}
    return Row("BatchNorm", inputs, params, aux=aux, dtype=dtype, train=train, grad=grad, compile=compiled, **loose)


def _shapes(shape, **options):
    return [
        _batch_norm(shape, **options),
        _batch_norm(shape, fix_gamma=False, **options),
        _batch_norm(shape, fix_gamma=False, output_mean_var=True),
        _batch_norm(shape, fix_gamma=False, train=False, grad=False),
        _batch_norm(shape, fix_gamma=False, use_global_stats=True, output_mean_var=True),
    ]


def _affine(op, shape, size, compiled=False, dtype="float32", **params):
    inputs = {"data": shape, "gamma": positive((size,)), "beta": (size,)}
    loose = LOOSE if dtype == "float32" else {"rtol": 2e-2, "atol": 5e-3} if dtype == "float16" else {}
    return Row(op, inputs, params, compile=compiled, dtype=dtype, **loose)


def _layer_norms(shape):
    axes = range(-1, len(shape))
    return [
        *[_affine("LayerNorm", shape, shape[axis], axis=axis) for axis in axes],
        *[_affine("LayerNorm", shape, shape[axis], axis=axis, output_mean_var=True, eps=0.1) for axis in axes],
    ]


THREE = {"data": (4, 3), "gamma": (3,), "beta": (3,)}
MOVING = {"moving_mean": (3,), "moving_var": positive((3,))}
#: the original refuses these when it runs, here binding does
AT_BIND = "RuntimeError"
MODES = ["instance", "channel", "spatial"]

ROWS = [
    *_shapes((4, 3), compiled=True),
    *_shapes((4, 3, 5)),
    *_shapes((4, 3, 5, 2), compiled=True),
    *_shapes((2, 3, 2, 3, 2)),
    _batch_norm((4, 3, 5, 2), axis=3, fix_gamma=False),
    _batch_norm((4, 3, 5, 2), axis=-1, fix_gamma=False, momentum=0.5, eps=1e-5, compiled=True),
    _batch_norm((4, 3, 5, 2), axis=0, fix_gamma=False),
    _batch_norm((4, 3, 5, 2), axis=-1, train=False, grad=False),
    _batch_norm((4, 3), dtype="float64", fix_gamma=False),
    _batch_norm((4, 3, 5, 2), dtype="float16", own="float32", fix_gamma=False),
    _batch_norm((4, 3, 5, 2), dtype="float16", own="float32", fix_gamma=False, train=False, grad=False),
    Bad("BatchNorm", THREE, {"axis": 2}, aux=MOVING, match="axis"),
    Bad("BatchNorm", dict(THREE, gamma=(4,)), aux=MOVING, match="gamma", error=AT_BIND),
    Bad("BatchNorm", dict(THREE, data=values(np.zeros((4, 3)), "float64")), aux=MOVING, match="float64"),
    *[Row("LRN", {"data": (2, 6, 3, 2)}, {"nsize": n, "alpha": 0.3, "beta": 0.6, "knorm": 1.5}) for n in range(1, 6)],
    Row("LRN", {"data": (2, 6, 3, 2)}, {"nsize": 3}, compile=True),
    Bad("LRN", {"data": (2, 6, 3)}, {"nsize": 3}, error=AT_BIND),
    *[Row("L2Normalization", {"data": (2, 3, 4, 2)}, {"mode": mode}, compile=mode == "channel") for mode in MODES],
    *[Row("L2Normalization", {"data": (2, 3, 4)}, {"mode": mode}, dtype="float64") for mode in MODES],
    *[Row("L2Normalization", {"data": np.zeros((2, 3, 4), "float32")}, {"mode": mode, "eps": 0.01}) for mode in MODES],
    Row("L2Normalization", {"data": (2, 3)}),
    Bad("L2Normalization", {"data": (2, 3)}, {"mode": "channel"}, match="axes"),
    Bad("L2Normalization", {"data": (2, 3)}, {"mode": "spatial"}, match="axes"),
    _affine("InstanceNorm", (2, 3, 4), 3, compiled=True),
    _affine("InstanceNorm", (2, 3, 4, 2), 3, eps=0.01),
    _affine("InstanceNorm", (2, 3, 1), 3),
    _affine("InstanceNorm", (2, 3, 2, 2, 2), 3),
    Bad("InstanceNorm", dict(THREE, data=(2, 3)), error=AT_BIND),
    *_layer_norms((5, 3)),
    *_layer_norms((3, 5, 4)),
    _affine("LayerNorm", (4, 5), 5, compiled=True),
    _affine("LayerNorm", (4, 5), 5, dtype="float64"),
    _affine("LayerNorm", (4, 5), 5, dtype="float16"),
    Bad("LayerNorm", dict(THREE, data=(2, 3)), {"axis": 2}, match="axis"),
    Bad("LayerNorm", dict(THREE, data=(2, 4)), match="gamma"),
    *[_affine("GroupNorm", (2, 4, 3), groups, num_groups=groups, compiled=groups == 2) for groups in (1, 2, 4)],
    *[
        _affine("GroupNorm", (2, 4, 3, 2), groups, num_groups=groups, output_mean_var=True, eps=0.1)
        for groups in (1, 2)
    ],
    Bad("GroupNorm", dict(THREE, data=(2, 4, 3)), {"num_groups": 3}, match="divisible"),
    Bad("GroupNorm", {"data": (2, 4), "gamma": (1,), "beta": (1,)}),
    Bad("GroupNorm", {"data": (2, 4, 3), "gamma": (4,), "beta": (4,)}, {"num_groups": 2}, match="gamma", error=AT_BIND),
]

test_rows = rows_test(ROWS, __file__)
