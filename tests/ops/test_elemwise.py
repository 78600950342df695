"""Rows of the elementwise functions of one input."""

from tests.harness import Row, distinct, positive, rows_test, uniform, values

EVERYWHERE = ["sigmoid", "tanh", "exp", "square", "sin", "cos", "abs", "negative", "relu", "softsign"]
ABOVE_ZERO = ["log", "sqrt", "rsqrt", "cbrt", "reciprocal", "gammaln"]
INSIDE_ONE = ["arcsin", "arccos", "arctanh", "erfinv"]
STEPS = ["sign", "floor", "ceil", "round", "rint", "fix", "trunc"]
EDGES = values([0.0, -0.0, 1.0, -1.0, float("inf"), float("-inf"), float("nan"), 3e38])


def _rows(op, spec, **options):
    return [
        Row(op, {"data": spec}, compile=True, **options),
        Row(op, {"data": spec}, dtype="float64", **options),
        Row(op, {"data": EDGES}, **options),
    ]


ROWS = [
    *[row for op in EVERYWHERE for row in _rows(op, (3, 4))],
    *[row for op in ABOVE_ZERO for row in _rows(op, positive((3, 4)))],
    *[row for op in INSIDE_ONE for row in _rows(op, uniform((3, 4), -0.9, 0.9))],
    *[row for op in STEPS for row in _rows(op, distinct((4, 5), 0.25), exact=True)],
]

test_rows = rows_test(ROWS, __file__)
