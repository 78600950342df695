"""Rows of the operators of an array and a number."""

from tests.harness import Bad, Row, ints, positive, rows_test, values

ARITHMETIC = ["_plus", "_minus", "_rminus", "_mul", "_div", "_maximum", "_minimum", "_hypot", "_scatter_plus"]
ARITHMETIC += ["_scatter_minus"]
COMPARISONS = ["_equal", "_not_equal", "_greater", "_greater_equal", "_lesser", "_lesser_equal"]
COMPARISONS += ["_logical_and", "_logical_or", "_logical_xor"]
DATA = values([[1.0, 1.5, -1.0], [0.0, -2.5, 7.0]])


def _rows(op, data, scalar=1.5):
    path = "_internal." + op + "_scalar"
    return [
        Row(path, {"data": data}, {"scalar": scalar}, compile=True),
        Row(path, {"data": data}, {"scalar": scalar}, dtype="float64"),
        Row(path, {"data": ints((2, 3), 1, 9)}, {"scalar": 2.7}, dtype="int32", grad=False, exact=True),
    ]


ROWS = [
    *[row for op in ARITHMETIC + COMPARISONS for row in _rows(op, DATA)],
    *[row for op in ("_rdiv", "_power", "_rpower") for row in _rows(op, positive((2, 3)))],
    *_rows("_mod", values([[5.5, -5.5, 2.0], [0.25, -2.5, 7.0]]), 2.0),
    *_rows("_rmod", values([[5.5, -5.5, 2.0], [0.75, -2.5, 0.0]]), 2.0),
    Row("_internal._mod_scalar", {"data": values([5.0, -5.0])}, {"scalar": 0.0}, exact=True),
    Row("_internal._power_scalar", {"data": values([-2.0, 0.0, 3.0])}, {"scalar": 2}, exact=True),
    Row("_internal._mul_scalar", {"data": ints((2, 3), 0, 9)}, {"scalar": 1.5}, dtype="uint8", grad=False, exact=True),
    Row(
        "_internal._greater_scalar",
        {"data": ints((2, 3), 0, 3)},
        {"scalar": 1.5},
        dtype="int32",
        grad=False,
        exact=True,
    ),
    Row("_internal._div_scalar", {"data": values([7, -7])}, {"scalar": 2}, dtype="int64", grad=False, exact=True),
    Row("_internal._plus_scalar", {"data": (2, 3)}, {"scalar": 0.5}, dtype="float16"),
    *[
        Row("_internal." + op, {"data": values([1, 2, 7, 100])}, {"scalar": s}, dtype=t, grad=False, exact=True)
        for op in ("_plus_scalar", "_mul_scalar", "_greater_scalar", "_maximum_scalar")
        for s, t in ((300.0, "uint8"), (-1.0, "uint8"), (1e10, "int32"))
    ],
    *[
        Row("_internal." + op, {"data": values([0.1, 3.0, -2.5])}, {"scalar": s}, dtype="float16", exact=True)
        for op in ("_mul_scalar", "_plus_scalar", "_minimum_scalar")
        for s in (0.1, 1e10)
    ],
    Row(
        "_internal._rdiv_scalar", {"data": values([3, -7, -1])}, {"scalar": 1e10}, dtype="int32", grad=False, exact=True
    ),
    *[
        Row("_internal." + op, {"data": data}, {"scalar": 2.5, "is_int": is_int}, dtype=t, grad=False, rtol=1e-12)
        for op in ("_plus_scalar", "_rdiv_scalar", "_mod_scalar", "_greater_scalar", "_logical_xor_scalar")
        for data, t, is_int in (
            (values([3, 1, 7]), "int32", False),
            (values([True, False, True] if op != "_rdiv_scalar" else [True]), "bool", True),
            (values([True, True]), "bool", False),
        )
    ],
    Row("_internal._div_scalar", {"data": (2, 3)}, {"scalar": 2.5, "is_int": False}),
    Row("_internal._mod_scalar", {"data": values([1, 2, 100])}, {"scalar": -1}, dtype="uint8", grad=False, exact=True),
    Bad(
        "_internal._rdiv_scalar", {"data": values([0])}, {"scalar": 1}, match="zero", error="MXNetError", dtype="int32"
    ),
    Bad("_internal._div_scalar", {"data": values([7])}, {"scalar": 0}, match="zero", error="MXNetError", dtype="int32"),
    Bad("_internal._plus_scalar", {"data": (2, 3)}, {"scalar": "one"}),
]

test_rows = rows_test(ROWS, __file__)
