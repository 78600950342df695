"""Rows of the sorting operators."""

from tests.harness import Bad, Row, distinct, ints, rows_test, values

TOPK = ["value", "indices", "mask", "both"]
DATA = distinct((2, 3, 4))
COUNTED = values([[0.0, 0.1, 0.5, 1.0], [1.5, 2.0, 2.1, -1.0]])

ROWS = [
    *[
        Row("topk", {"data": DATA}, {"k": 2, "ret_typ": r}, grad=r in ("value", "both"), exact=True, compile=True)
        for r in TOPK
    ],
    *[
        Row("topk", {"data": DATA}, {"k": 1, "axis": 0, "ret_typ": r, "is_ascend": True}, grad=False, exact=True)
        for r in TOPK
    ],
    Row("topk", {"data": values([3.0, 1.0, 2.0])}, {"k": 0, "ret_typ": "value"}, exact=True),
    Row("topk", {"data": DATA}, {"k": 3, "axis": None, "ret_typ": "value"}, exact=True),
    Row("topk", {"data": DATA}, {"dtype": "int32"}, grad=False, exact=True),
    Row("topk", {"data": DATA}, {"k": 2}, dtype="float64", grad=False, exact=True),
    *[
        row
        for op, grad in (("sort", False), ("argsort", False))
        for row in (
            Row(op, {"data": DATA}, grad=grad, exact=True, compile=True),
            Row(op, {"data": DATA}, {"axis": 1, "is_ascend": False}, dtype="float64", grad=grad, exact=True),
            Row(op, {"data": DATA}, {"axis": None}, grad=grad, exact=True),
            Row(op, {"data": ints((3, 1), 0, 9)}, {"axis": 0}, dtype="int32", grad=grad, exact=True),
        )
    ],
    Row("argsort", {"data": DATA}, {"dtype": "int32"}, grad=False, exact=True),
    *[
        Row(
            "_internal._histogram",
            {"data": COUNTED},
            {"bin_cnt": 4, "range": (0, 2)},
            dtype=t,
            grad=False,
            compile=True,
        )
        for t in ("float32", "float64", "int32")
    ],
    Row("_internal._histogram", {"data": COUNTED, "bins": values([0.0, 0.5, 1.5, 2.0])}, grad=False, exact=True),
    Row("_internal._histogram", {"data": (3, 50)}, {"bin_cnt": 7, "range": (-1.5, 2)}, grad=False, rtol=1e-6),
    Bad("_internal._histogram", {"data": (3, 5)}, {"bin_cnt": 3}),
    Bad("_internal._histogram", {"data": (3, 5)}, {"bin_cnt": 3, "range": (2, 0)}),
    Bad("topk", {"data": (2, 3)}, {"k": 9}),
    Bad("topk", {"data": (2, 3)}, {"k": 9, "ret_typ": "mask"}),
    Bad("sort", {"data": (2, 3)}, dtype="float16"),
    Bad("topk", {"data": (2, 3)}, {"ret_typ": "all"}),
    Bad("sort", {"data": (2, 3)}, {"axis": 5}),
]

test_rows = rows_test(ROWS, __file__)
