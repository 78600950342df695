"""Rows of the reductions."""

from tests.harness import Bad, Row, distinct, ints, positive, rows_test, values

REDUCTIONS = ["sum", "mean", "prod", "max", "min", "nansum", "nanprod"]
NAN = values([[1.0, float("nan"), 3.0], [2.0, 4.0, float("nan")]])
POSITIONS = ["argmax", "argmin"]


def _rows(op):
    data = distinct((2, 3, 4), 0.25)
    return [
        Row(op, {"data": data}, compile=True),
        Row(op, {"data": data}, {"axis": 1}, compile=True),
        Row(op, {"data": data}, {"axis": (0, 2), "keepdims": True}, dtype="float64"),
        Row(op, {"data": data}, {"axis": -1, "exclude": True}),
        Row(op, {"data": data}, {"axis": ()}),
        Row(op, {"data": ints((2, 3), 1, 4)}, {"axis": 1}, dtype="int32", grad=False, exact=True),
    ]


ROWS = [
    *[row for op in REDUCTIONS for row in _rows(op)],
    *[Row(op, {"data": NAN}, {"axis": 1}) for op in ("nansum", "nanprod")],
    *[Row(op, {"data": values([[2.0, 2.0, 1.0], [1.0, 1.0, 1.0]])}, {"axis": 1}, exact=True) for op in ("max", "min")],
    Row("norm", {"data": (2, 3)}, compile=True),
    Row("norm", {"data": (2, 3, 4)}, {"axis": 1}, dtype="float64"),
    Row("norm", {"data": (2, 3, 4)}, {"axis": (0, 2), "keepdims": True}),
    Row("norm", {"data": (2, 3)}, {"ord": 1, "axis": 1}),
    Row("norm", {"data": values([0.0, 0.0])}),
    Row("norm", {"data": (3, 4)}, {"axis": 1, "out_dtype": "float32"}, partial=False),
    Row("norm", {"data": (3, 4)}, {"ord": 1, "out_dtype": "float64"}, dtype="float64", partial=False),
    *[
        Row(op, {"data": distinct((3, 4), 0.25)}, {"axis": 1}, dtype="float16")
        for op in ("sum", "mean", "max", "argmax")
    ],
    *[
        Row(
            op,
            {"data": values([[1.0, float("nan"), 3.0], [float("inf"), 0.0, float("-inf")]])},
            {"axis": 1},
            grad=False,
        )
        for op in ("sum", "mean", "max", "min", "argmax", "argmin")
    ],
    Row("prod", {"data": values([[0.0, 2.0, 3.0], [4.0, 2.0, 3.0]])}, {"axis": 1}),
    *[Row(op, {"data": values([[1.0, 3.0, 3.0], [5.0, 0.0, 0.0]])}, {"axis": 1}, exact=True) for op in POSITIONS],
    *[Row(op, {"data": distinct((2, 3, 4))}, exact=True, compile=True) for op in POSITIONS],
    *[
        Row(op, {"data": distinct((2, 3, 4))}, {"axis": -1, "keepdims": True}, dtype="float64", exact=True)
        for op in POSITIONS
    ],
    *[Row(op, {"data": ints((3, 4), 0, 5)}, {"axis": 0}, dtype="int32", grad=False, exact=True) for op in POSITIONS],
    Row("argmax_channel", {"data": distinct((3, 4))}, grad=False, exact=True, compile=True),
    Row("argmax_channel", {"data": distinct((2, 3, 4))}, grad=False, exact=True),
    Row("argmax_channel", {"data": values([[1.0, 3.0, 3.0]])}, dtype="float64", grad=False, exact=True),
    Row("moments", {"data": (2, 3, 4)}, {"axes": (0, 2)}, compile=True),
    Row("moments", {"data": (2, 3)}, {"axes": (1,), "keepdims": True}, dtype="float64"),
    Row("moments", {"data": (2, 3)}, {"axes": (0, 1)}),
    Bad("moments", {"data": (2, 3)}),
    Row("cumsum", {"a": (2, 3)}, {"axis": 1}, compile=True),
    Row("cumsum", {"a": (2, 3)}),
    Row("cumsum", {"a": ints((2, 3), 0, 9)}, {"axis": 0, "dtype": "int64"}, dtype="int32", grad=False),
    Row("cumsum", {"a": (2, 3)}, {"axis": 1, "dtype": "float64"}, partial=False),
    Row("cumsum", {"a": values([0.6, 0.6, 0.6, 2.7])}, {"dtype": "int32"}, grad=False, exact=True, partial=False),
    Row("sum", {"data": positive((2, 3))}, {"axis": "(0, 1)", "keepdims": "True"}),
    Bad("sum", {"data": (2, 3)}, {"axis": 5}),
    Bad("sum", {"data": (2, 3)}, {"axis": (0, 0)}),
    Bad("norm", {"data": (2, 3)}, {"ord": 3}, faces=("nd",)),
    Bad("argmax", {"data": (2, 3)}, {"axis": 7}),
    Bad("sum", {"data": (2, 3)}, {"axes": 1}),
]

test_rows = rows_test(ROWS, __file__)
