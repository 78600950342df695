"""Rows of the broadcasting operators of two arrays, and of broadcasting itself."""

from tests.harness import Bad, Row, ints, positive, rows_test, values

ARITHMETIC = ["add", "sub", "mul", "maximum", "minimum"]
COMPARISONS = ["equal", "not_equal", "greater", "greater_equal", "lesser", "lesser_equal"]
COMPARISONS += ["logical_and", "logical_or", "logical_xor"]
TIES = values([[1.0, 2.0, -1.0], [0.0, -2.5, 7.0]])
ROW = values([[1.0, -2.5, -1.0]])


def _rows(op, positive_only=False):
    left, right = (positive((2, 3)), positive((1, 3))) if positive_only else (TIES, ROW)
    return [
        Row(op, {"lhs": left, "rhs": right}, compile=True),
        Row(op, {"lhs": positive((2, 1, 4)), "rhs": positive((1, 3, 1))}, dtype="float64"),
        Row(op, {"lhs": positive((3,)), "rhs": positive((2, 3))}),
        Row(op, {"lhs": ints((2, 3), 1, 9), "rhs": ints((2, 1), 1, 4)}, dtype="int32", grad=False, exact=True),
    ]


ROWS = [
    *[row for op in ARITHMETIC + COMPARISONS for row in _rows("broadcast_" + op)],
    *[row for op in ("div", "power", "hypot") for row in _rows("broadcast_" + op, positive_only=True)],
    *_rows("broadcast_mod", positive_only=True),
    Row("broadcast_mod", {"lhs": values([5.5, -5.5, 5.0]), "rhs": values([2.0])}, exact=True),
    Row("broadcast_mod", {"lhs": values([5.5]), "rhs": values([2.0, -2.0, 0.0])}, grad=("lhs",), exact=True),
    Row("broadcast_maximum", {"lhs": values([1.0]), "rhs": values([1.0])}, exact=True),
    Row("broadcast_to", {"data": (1, 3)}, {"shape": (4, 3)}, compile=True),
    Row("broadcast_to", {"data": (1, 3)}, {"shape": (4, 0)}),
    Row("broadcast_to", {"data": (2, 1, 1)}, {"shape": (2, 3, 4)}, dtype="float64"),
    Row("broadcast_axis", {"data": (1, 3, 1)}, {"axis": (0, 2), "size": (2, 4)}, compile=True),
    Row("broadcast_axis", {"data": (1, 3)}, {"axis": 0, "size": 2}),
    Row("broadcast_axis", {"data": (2, 1)}, {"axis": 1, "size": 3}, dtype="float64"),
    Row("broadcast_like", {"lhs": (1, 3), "rhs": (4, 3)}, compile=True),
    Row("broadcast_like", {"lhs": (2, 1), "rhs": (5, 3)}, {"lhs_axes": (1,), "rhs_axes": (0,)}),
    Row("broadcast_like", {"lhs": (1, 1), "rhs": (2, 3)}, dtype="float64"),
    *[Row("broadcast_" + op, {"lhs": TIES, "rhs": ROW}, dtype="float16") for op in ("add", "mul", "maximum", "equal")],
    Row("broadcast_power", {"lhs": values([[0.0], [2.0]]), "rhs": values([[0.0, 2.0, 0.5]])}),
    Row(
        "broadcast_mod", {"lhs": values([[7], [-7]]), "rhs": values([3, -3, -1])}, dtype="int32", grad=False, exact=True
    ),
    Row("broadcast_div", {"lhs": values([[7], [-7]]), "rhs": values([2, -2])}, dtype="int64", grad=False, exact=True),
    Row("broadcast_like", {"lhs": (1, 2), "rhs": (4, 2)}, {"lhs_axes": (0,)}, tag="one_sided"),
    Row("broadcast_like", {"lhs": (3, 1), "rhs": (5, 2)}, {"lhs_axes": (-1,), "rhs_axes": (-2,)}),
    Row("broadcast_to", {"data": ints((1, 3), 0, 9)}, {"shape": "(2, 3)"}, dtype="int32", grad=False, exact=True),
    Bad("broadcast_like", {"lhs": (4,), "rhs": (4,)}, {"lhs_axes": (0,), "rhs_axes": (0,)}),
    Bad("broadcast_axis", {"data": (1, 3, 1)}, {"axis": -1, "size": 2}),
    Bad("broadcast_like", {"lhs": (1, 2), "rhs": (4, 2)}, {"lhs_axes": (0,), "rhs_axes": (0, 1)}),
    Bad("broadcast_axis", {"data": (1, 3)}, {"axis": (0,), "size": (2, 2)}),
    Bad("broadcast_to", {"data": (1, 3)}, {"shape": (3,)}),
    Bad("broadcast_add", {"lhs": (2, 3), "rhs": (2, 2)}, match=r"\(2, 3\)"),
    Bad("broadcast_to", {"data": (2, 3)}, {"shape": (4, 3)}),
    Bad("broadcast_axis", {"data": (2, 3)}, {"axis": 0, "size": 4}),
    Bad("broadcast_like", {"lhs": (2, 3), "rhs": (4, 3)}),
    Bad("broadcast_div", {"lhs": values([1]), "rhs": values([0])}, match="zero", error="MXNetError", dtype="int32"),
]

test_rows = rows_test(ROWS, __file__)
