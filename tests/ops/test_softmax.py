"""Rows of the softmax functions."""

from tests.harness import Bad, Row, ints, rows_test

SHAPE = (2, 3, 4)
SMOOTH = {"rtol": 1e-4, "atol": 1e-5}  # exponentials and sums in another order


def _family(op):
    return [
        *[Row(op, {"data": SHAPE}, {"axis": axis}, compile=axis == 1, **SMOOTH) for axis in (-1, 0, 1)],
        Row(op, {"data": SHAPE}, {"axis": 1, "temperature": 0.5}, **SMOOTH),
        Row(op, {"data": (3, 5)}, dtype="float64"),
        Row(op, {"data": (5,)}, **SMOOTH),
        Bad(op, {"data": (3, 5)}, {"use_length": True}) if op != "softmax" else Row(op, {"data": (3, 5)}, {"axis": 0}),
    ]


def _with_length(axis, **params):
    sizes = [size for index, size in enumerate(SHAPE) if index != axis % 3]
    inputs = {"data": SHAPE, "length": ints(sizes, 0, SHAPE[axis] + 1, "int32")}
    given = dict(params, axis=axis, use_length=True)
    return Row("softmax", inputs, given, grad=("data",), compile=axis == 1, **SMOOTH)


ROWS = [
    *[row for op in ("softmax", "log_softmax", "softmin") for row in _family(op)],
    *[_with_length(axis) for axis in (-1, 0, 1)],
    _with_length(1, temperature=2.0),
    Row("softmax", {"data": (3, 5)}, {"dtype": "float64"}, rtol=1e-4, atol=1e-5),
    Row("softmax", {"data": (3, 5)}, dtype="float16"),
    Bad("softmax", {"data": (3, 5)}, {"dtype": "int32"}, match="dtype"),
    Bad("softmax", {"data": (3, 5), "length": ints((5,), 1, 4, "int32")}, {"use_length": True}, match="length"),
    Bad("softmax", {"data": (3, 5)}, {"axis": 2}, match="axis", error="RuntimeError"),  # the original's process dies
    Row("SoftmaxActivation", {"data": (3, 5)}, compile=True, **SMOOTH),
    Row("SoftmaxActivation", {"data": SHAPE}, **SMOOTH),
    Row("SoftmaxActivation", {"data": (2, 3, 4, 2)}, **SMOOTH),
    Row("SoftmaxActivation", {"data": SHAPE}, {"mode": "channel"}, **SMOOTH),
    Row("SoftmaxActivation", {"data": (2, 3, 4, 2)}, {"mode": "channel"}, compile=True, **SMOOTH),
    Bad("SoftmaxActivation", {"data": (3, 5)}, {"mode": "channel"}, match="channel", error="RuntimeError"),
]

test_rows = rows_test(ROWS, __file__)
