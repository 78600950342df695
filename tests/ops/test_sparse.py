"""Rows of the operators that exist for sparse arrays, where these take dense ones (the rest: tests/ndarray/test_sparse.py)."""

from tests.harness import Bad, Row, ints, rows_test

WIDE = {"data": ints((2, 3), 0, 5), "weight": (5, 4)}
SIZES = {"input_dim": 5, "output_dim": 4}

ROWS = [
    *[Row("cast_storage", {"data": (3, 4)}, {"stype": stype}, grad=False) for stype in ("csr", "row_sparse")],
    Row("cast_storage", {"data": (3, 4)}, {"stype": "default"}, compile=True),
    Row("cast_storage", {"data": ints((2, 3, 2), -2, 3)}, {"stype": "row_sparse"}, dtype="int32", grad=False),
    Row("cast_storage", {"data": ints((4, 3), 0, 2)}, {"stype": "csr"}, dtype="float64", grad=False),
    Bad("cast_storage", {"data": (3, 4)}, {"stype": "dense"}, match="stype"),
    Bad("cast_storage", {"data": (3, 4)}, {}, match="stype"),
    Row("contrib.SparseEmbedding", WIDE, SIZES, grad=False),
    Row("contrib.SparseEmbedding", {**WIDE, "data": [4, 0, 4]}, SIZES, grad=False),
    Row("contrib.SparseEmbedding", {**WIDE, "data": [1.7]}, SIZES, grad=False, dtype="float64"),
    Bad("contrib.SparseEmbedding", {**WIDE, "weight": (5, 3)}, SIZES, match="weight"),
    Bad("contrib.SparseEmbedding", WIDE, {"input_dim": 5}, match="output_dim"),
    Row("contrib.SparseEmbedding", {**WIDE, "data": [5, -1]}, SIZES, grad=False),
]

test_rows = rows_test(ROWS, __file__)
