"""Rows of the operators between images and columns."""

from tests.harness import Bad, Row, rows_test

IMAGE = {"data": (2, 3, 5, 4)}
WINDOW = {"kernel": (3, 2)}
COLUMNS = {"data": (2, 12, 6)}
BACK = {"kernel": (2, 2), "output_size": (3, 4)}

ROWS = [
    Row("im2col", IMAGE, WINDOW, compile=True),
    Row("im2col", IMAGE, dict(WINDOW, stride=(2, 1), pad=(1, 2))),
    Row("im2col", IMAGE, dict(WINDOW, dilate=(2, 3)), dtype="float64"),
    Row("im2col", IMAGE, WINDOW, dtype="float16"),
    Bad("im2col", {"data": (2, 3, 5)}, {"kernel": (3,)}, match="kernel"),
    Bad("im2col", {"data": (1, 2, 3, 3, 3)}, {"kernel": (2, 2, 2)}),
    Bad("im2col", {"data": (5, 4)}, WINDOW),
    Bad("im2col", IMAGE, {"kernel": (6, 2)}, match="exceeds"),
    Bad("im2col", IMAGE, dict(WINDOW, stride=(0, 1))),
    Bad("im2col", IMAGE, dict(WINDOW, stride=(1,)), match="stride"),
    Bad("im2col", IMAGE, WINDOW, dtype="int32"),
    Row("col2im", COLUMNS, BACK, compile=True),
    Row("col2im", {"data": (1, 8, 4)}, dict(BACK, output_size=(4, 4), stride=(2, 2)), dtype="float64"),
    Row("col2im", {"data": (1, 4, 9)}, dict(BACK, output_size=(2, 2), pad=(1, 1))),
    Row("col2im", {"data": (2, 4, 6)}, dict(BACK, output_size=(5, 3), dilate=(2, 1))),
    Bad("col2im", COLUMNS, dict(BACK, output_size=(4, 4)), match="columns"),
    Bad("col2im", COLUMNS, dict(BACK, output_size=(4,))),
    Bad("col2im", {"data": (2, 5, 6)}, BACK, match="multiple"),
    Bad("col2im", {"data": (4, 6)}, BACK),
    Bad("col2im", {"data": (1, 6, 3)}, {"kernel": (3,), "output_size": (5,)}),
]

test_rows = rows_test(ROWS, __file__)
