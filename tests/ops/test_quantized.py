"""Rows of the layers on 8-bit integers."""

import numpy as np

from tests.harness import Bad, Row, ints, rows_test, uniform, values

LOW, HIGH = values([-3.0], "float32"), values([2.0], "float32")
OTHER_LOW, OTHER_HIGH = values([-1.0], "float32"), values([4.0], "float32")
RANGE = {"min_calib_range": -2.0, "max_calib_range": 3.0}


def _int8(*shape):
    return ints(shape, -128, 128, "int8")


def _uint8(*shape):
    return ints(shape, 0, 256, "uint8")


def _row(name, inputs, params=None, **options):
    return Row(f"contrib.{name}", inputs, params, grad=False, exact=True, train=False, **{"partial": False, **options})


def _bad(name, inputs, params=None, **options):
    return Bad(f"contrib.{name}", inputs, params, **options)


def _layer(data, weight, bias=None):
    """Inputs of a layer: the arrays, then the range ends of each."""
    arrays = {"data": data, "weight": weight, **({} if bias is None else {"bias": bias})}
    ends = {"data": (LOW, HIGH), "weight": (OTHER_LOW, OTHER_HIGH), "bias": (values([-0.3]), values([0.2]))}
    for name in list(arrays):
        arrays[f"min_{name}"], arrays[f"max_{name}"] = ends[name]
    return arrays


def _conv(data, weight, bias=True, **params):
    kernel, filters = weight[2:], weight[0]
    inputs = _layer(data, _int8(*weight), _int8(filters) if bias else None)
    return inputs, {"kernel": kernel, "num_filter": filters, **({} if bias else {"no_bias": True}), **params}


def _fc(data, weight, bias=True, **params):
    inputs = _layer(data, _int8(*weight), _int8(weight[0]) if bias else None)
    return inputs, {"num_hidden": weight[0], **({} if bias else {"no_bias": True}), **params}


DEEP, HEAVY = values(np.full((1, 2048, 1, 1), 255), "uint8"), ints((3, 2048, 1, 1), 100, 128, "int8")
POINT = {"kernel": (1, 1), "num_filter": 3}
FULL = values(np.full((2, 1031), 255), "uint8")
WIDE = {"data": ints((2, 3), -1, 6), "weight": _int8(5, 4), "min_weight": LOW, "max_weight": HIGH}
SIZES = {"input_dim": 5, "output_dim": 4}


def _norm(data, channels, **params):
    column = {name: uniform((channels,), *ends) for name, ends in (("gamma", (-2, 2)), ("beta", (-1, 1)))}
    ends = {"min_data": LOW, "max_data": HIGH}
    aux = {"moving_mean": uniform((channels,), -1, 1), "moving_var": uniform((channels,), 0.5, 2)}
    given = {"min_calib_range": -4.0, "max_calib_range": 5.0, **params}
    # the auxiliary states stand in the middle, so that symbols are composed by name
    return _row("quantized_batch_norm", {"data": data, **column, **ends}, given, aux=aux, faces=("sym",))


LAYERS = [
    _row("quantized_conv", *_conv(_uint8(2, 3, 5, 6), (4, 3, 3, 2)), compile=True),
    _row("quantized_conv", *_conv(_uint8(2, 3, 5, 6), (4, 3, 3, 3), bias=False)),
    _row("quantized_conv", *_conv(_uint8(1, 2, 6, 6), (3, 2, 3, 3), pad=(2, 1), stride=(2, 1), dilate=(1, 2))),
    _row("quantized_conv", *_conv(_uint8(1, 2, 3, 4, 4), (3, 2, 1, 3, 3), layout="NCDHW")),
    _row("quantized_conv", *_conv(_uint8(1, 64, 5, 5), (2, 64, 5, 5))),
    *[_row("quantized_conv", _layer(DEEP, HEAVY, bias), POINT if bias else {**POINT, "no_bias": True})
      for bias in (None, _int8(3))],
    _bad("quantized_conv", *_conv(_uint8(1, 2, 4, 4), (2, 2, 3, 3), num_group=2)),
    _bad("quantized_conv", *_conv(_uint8(1, 2, 4, 4), (2, 2, 3, 3), layout="NHWC")),
    _bad("quantized_conv", *_conv(_uint8(1, 2, 4), (2, 2, 3))),
    _bad("quantized_conv", *_conv(ints((1, 2, 4, 4), 0, 9), (2, 2, 3, 3))),
    _bad("quantized_conv", *_conv(_uint8(1, 2, 2, 2), (2, 2, 3, 3)), error="MXNetError"),
    *[_row("quantized_fully_connected", *_fc(d(3, 7), (4, 7)), compile=d is _int8) for d in (_int8, _uint8)],
    *[_row("quantized_fully_connected", *_fc(d(3, 2, 2), (5, 4), bias=False)) for d in (_int8, _uint8)],
    _row("quantized_fully_connected", *_fc(_uint8(3, 2, 4), (5, 4), flatten=False)),
    _row("quantized_fully_connected", *_fc(FULL, (3, 1031))),
    _row("quantized_fully_connected", *_fc(FULL, (3, 1031), bias=False)),
    _bad("quantized_fully_connected", *_fc(ints((3, 4), 0, 9), (5, 4))),
    _bad("quantized_fully_connected", *_fc(_uint8(3, 4), (5, 3))),
    _bad("quantized_fully_connected", _layer(_uint8(3, 4), _int8(5, 4)), {"no_bias": True}),
    _row("quantized_embedding", WIDE, SIZES, compile=True),
    _row("quantized_embedding", {**WIDE, "data": ints((2, 2), -9, 9, "int32")}, SIZES),
    _row("quantized_embedding", {**WIDE, "data": _int8(3)}, {**SIZES, "dtype": "float64"}),
    _bad("quantized_embedding", {**WIDE, "weight": (5, 4)}, SIZES),
    _bad("quantized_embedding", {**WIDE, "weight": _int8(5, 3)}, SIZES),
    *[_norm(d(2, 3, 4, 4), 3) for d in (_int8, _uint8)],
    _norm(_int8(3, 5), 5, eps=0.125),
    _norm(_uint8(2, 3, 2, 2, 2), 3, fix_gamma=False),
    _bad("quantized_batch_norm", {"data": _int8(2, 3), **{n: (3,) for n in ("gamma", "beta")},
                                  "moving_mean": (3,), "moving_var": (3,), "min_data": LOW, "max_data": HIGH},
         faces=("nd",)),
]  # fmt: skip

ENDS = {"min_data": LOW, "max_data": HIGH}
WINDOW = {"kernel": (2, 2), "stride": (2, 2)}


def _pool(data, **params):
    return _row("quantized_pooling", {"data": data, **ENDS}, params)


SIMPLE = [
    *[_row("quantized_act", {"data": d(2, 9), **ENDS}, {"act_type": "relu"}) for d in (_int8, _uint8)],
    _row("quantized_act", {"data": _int8(2, 3, 4, 4), **ENDS}, {"act_type": "relu"}, compile=True),
    _bad("quantized_act", {"data": _int8(2, 3), **ENDS}, {"act_type": "tanh"}),
    _bad("quantized_act", {"data": (2, 3), **ENDS}, {"act_type": "relu"}),
    *[_row("quantized_flatten", {"data": d(2, 3, 4), **ENDS}, compile=d is _int8) for d in (_int8, _uint8)],
    _row("quantized_flatten", {"data": _int8(5), **ENDS}),
    _row("quantized_flatten", {"data": (2, 3, 2, 2), **ENDS}),
    _bad("quantized_flatten", {"data": _int8(2, 3), "min_data": [1.0, 2.0], "max_data": HIGH}),
    *[_pool(d(1, 2, 5, 5), **WINDOW, pool_type=t) for d in (_int8, _uint8) for t in ("max", "avg")],
    *[_pool(_int8(2, 2, 5, 6), **WINDOW, pool_type=t, pooling_convention="full") for t in ("max", "avg")],
    *[
        _pool(_uint8(2, 2, 5, 5), kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type="avg", count_include_pad=c)
        for c in (True, False)
    ],
    _pool(_uint8(1, 2, 6, 6), kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type="avg", pooling_convention="full"),
    *[_pool(_int8(1, 3, 4, 5), kernel=(2, 2), global_pool=True, pool_type=t) for t in ("max", "avg")],
    _pool(_int8(1, 2, 3, 5, 5), kernel=(2, 3, 3), stride=(1, 2, 2), pool_type="avg"),
    _bad("quantized_pooling", {"data": _int8(1, 2, 5, 5), **ENDS}, {"kernel": (2, 2), "pool_type": "sum"}),
    _bad("quantized_pooling", {"data": _int8(1, 2, 5, 5), **ENDS}, {"kernel": (7, 2)}),
    _bad("quantized_pooling", {"data": _int8(1, 2, 5, 5), **ENDS}, {"global_pool": True}),
    _bad("quantized_pooling", {"data": _int8(1, 2, 5), **ENDS}, {"kernel": (2,)}),
    _bad("quantized_pooling", {"data": (1, 2, 5, 5), **ENDS}, {"kernel": (2, 2)}),
]


def _joined(arrays, same=False, **params):
    ends = [(LOW, HIGH), (LOW, HIGH) if same else (OTHER_LOW, OTHER_HIGH), (values([0.0]), values([2.5]))]
    flat = [*arrays, *[end for pair in ends[: len(arrays)] for end in pair]]
    return _row("quantized_concat", {f"arg{i}": x for i, x in enumerate(flat)}, {"num_args": len(arrays), **params})


def _pair(first, second, shape=(2, 3, 4)):
    ranges = {"lhs_min": LOW, "lhs_max": HIGH, "rhs_min": OTHER_LOW, "rhs_max": OTHER_HIGH}
    return {"lhs": first(*shape), "rhs": second(*shape), **ranges}


KINDS = [(a, b) for a in (_int8, _uint8) for b in (_int8, _uint8)]
SIGNED = _pair(_int8, _int8)

PAIRS = [
    *[_joined([a(2, 2, 3), b(2, 1, 3)]) for a, b in KINDS],
    _joined([_int8(2, 2, 3), _int8(2, 1, 3)], same=True),
    _joined([_uint8(2, 2, 3), _int8(2, 2, 4), _uint8(2, 2, 1)], dim=2),
    _joined([_int8(2, 2), _int8(1, 2)], dim=0),
    _bad("quantized_concat", {"arg0": _int8(2, 2), "arg1": _int8(2, 2), "arg2": LOW, "arg3": HIGH}, {"num_args": 2},
         faces=("nd",)),
    _bad("quantized_concat", {"arg0": (2, 2), "arg1": LOW, "arg2": HIGH}, {"num_args": 1}),
    *[_row("quantized_elemwise_add", _pair(a, b), compile=a is not b) for a, b in KINDS],
    *[_row("quantized_elemwise_add", _pair(a, b), RANGE) for a, b in KINDS],
    _bad("quantized_elemwise_add", {**SIGNED, "rhs": _int8(4)}),
    _bad("quantized_elemwise_add", {**SIGNED, "rhs": (2, 3, 4)}),
    # Compat: every imperative call of the product fails in the original, for a mistake in its shape rule.
    _row("quantized_elemwise_mul", SIGNED, faces=("sym",), compile=True),
    _row("quantized_elemwise_mul", SIGNED, {"min_calib_range": -12.0, "max_calib_range": 9.0}, faces=("sym",)),
    _row("quantized_elemwise_mul", SIGNED, {"min_calib_range": -1.0, "max_calib_range": 0.5}, faces=("sym",)),
    _row("quantized_elemwise_mul", SIGNED, {"enable_float_output": True}, faces=("sym",)),
    _bad("quantized_elemwise_mul", {**SIGNED, "rhs": _int8(4)}),
]  # fmt: skip


test_layers = rows_test(LAYERS, __file__)
test_simple = rows_test(SIMPLE, __file__)
test_pairs = rows_test(PAIRS, __file__)
