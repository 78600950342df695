"""Rows of the correlation of patches."""

from tests.harness import Bad, Row, rows_test
from tests.rows import ints


def _row(params, shape=(2, 3, 8, 9), **options):
    return Row("Correlation", {"data1": shape, "data2": shape}, params, rtol=1e-4, atol=1e-5, **options)


ROWS = [
    _row({}, compile=True),
    _row({"kernel_size": 3, "max_displacement": 2, "pad_size": 3}),
    _row({"kernel_size": 3, "max_displacement": 3, "stride1": 2, "stride2": 2, "pad_size": 4}),
    _row({"max_displacement": 4, "stride2": 3, "pad_size": 4, "is_multiply": False}),
    _row({"max_displacement": 0, "stride1": 3}, dtype="float64"),
    Row("Correlation", {"data1": ints((1, 2, 5, 5), 0, 3), "data2": ints((1, 2, 5, 5), 0, 3)}, {"is_multiply": False}),
    Bad("Correlation", {"data1": (2, 3, 8, 9), "data2": (2, 3, 8, 9)}, {"max_displacement": 4}),
    Bad("Correlation", {"data1": (2, 3, 8), "data2": (2, 3, 8)}),
    Bad("Correlation", {"data1": (2, 3, 8, 9), "data2": (2, 3, 8, 9)}, {"kernel_size": 2}),
    Bad("Correlation", {"data1": (2, 3, 8, 9), "data2": (2, 3, 8, 8)}, error="MXNetError"),
]

test_rows = rows_test(ROWS, __file__)
