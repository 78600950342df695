"""Rows of the image operators."""

from tests.harness import Bad, Row, ints, rows_test

PIXELS = ints((4, 5, 3), 0, 256, dtype="uint8")

ROWS = [
    Row("image.to_tensor", {"data": PIXELS}, grad=False),
    Row("image.to_tensor", {"data": ints((2, 4, 5, 1), 0, 256, dtype="uint8")}, grad=False),
    Row("image.to_tensor", {"data": (4, 5, 3)}, grad=False),
    Row("image.normalize", {"data": (3, 4, 5)}, {"mean": (0.1, 0.2, 0.3), "std": (2.0, 3.0, 4.0)}, compile=True),
    Row("image.normalize", {"data": (2, 3, 4, 5)}, {"mean": (0.5,), "std": (2.0,)}),
    Row("image.normalize", {"data": (1, 4, 5)}, {"mean": (0.5,), "std": (0.25,)}),
    *[
        Row(path, {"data": data}, grad=False, exact=True)
        for path in ("image.flip_left_right", "image.flip_top_bottom")
        for data in (ints((4, 6, 3), 0, 256, dtype="uint8"), (4, 6, 1), (2, 2, 3))
    ],
    Bad("image.to_tensor", {"data": (4, 5)}),
    Bad("image.flip_left_right", {"data": (2, 4, 5, 3)}),
    Bad("image.normalize", {"data": (2, 4, 5)}, {"mean": (0.5,), "std": (2.0,)}),
]

test_rows = rows_test(ROWS, __file__)
