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
        Row(path, {"data": data}, exact=True)
        for path in ("image.flip_left_right", "image.flip_top_bottom")
        for data in (ints((4, 6, 3), 0, 256, dtype="uint8"), (4, 6, 1), (2, 2, 3))
    ],
    Row("image.crop", {"data": PIXELS}, {"x": 1, "y": 2, "width": 3, "height": 2}, exact=True),
    Row("image.crop", {"data": (2, 4, 5, 1)}, {"x": 0, "y": 0, "width": 5, "height": 1}, exact=True, compile=True),
    Row("image.crop", {"data": (4, 5, 3)}, {"x": 2, "y": 1, "width": 3, "height": 3}, exact=True, dtype="float64"),
    *[
        Row("image.resize", {"data": data}, params, grad=False, exact=interp == 0 or dtype == "uint8", dtype=dtype)
        for dtype, data in (("uint8", ints((7, 9, 3), 0, 256)), ("float32", (7, 9, 3)), ("float64", (2, 7, 9, 1)))
        for interp in (0, 1)
        for params in (
            {"size": (5, 4), "interp": interp},
            {"size": (20, 17), "interp": interp},
            {"size": 11, "interp": interp},
            {"size": 5, "interp": interp, "keep_ratio": True},
        )
    ],
    *[
        Row("image.resize", {"data": data}, {"size": (3, 2)}, grad=False, dtype=dtype, compile=dtype == "uint8")
        for dtype, data in (("uint8", ints((4, 6, 3), 0, 256)), ("float32", (4, 6, 3)), ("float64", (4, 6, 1)))
    ],
    *[
        Row("image.resize", {"data": data}, {"size": size, "interp": interp}, grad=False, exact=True, dtype=dtype)
        for interp in (2, 3, 4, 5)
        for dtype, data in (("uint8", ints((14, 18, 3), 0, 256)), ("float32", (14, 18, 3)), ("float64", (14, 18, 2)))
        for size in ((10, 8), (23, 19), (7, 30), (9, 7))
    ],
    *[
        Row(
            "image.resize",
            {"data": ints((2, 9, 12, channels), 0, 256)},
            {"size": (4, 3), "interp": interp},
            grad=False,
            exact=True,
            dtype="uint8",
            compile=channels == 3,
        )
        for interp in (2, 3, 4)
        for channels in (2, 3)
    ],
    Row("image.resize", {"data": ints((8, 10, 2), 0, 256)}, {"size": (5, 4)}, grad=False, exact=True, dtype="uint8"),
    Row("image.resize", {"data": ints((7, 9, 3), 0, 99)}, {"size": (20, 4), "interp": 5}, grad=False, dtype="int32"),
    Row("image.resize", {"data": (6, 4, 1)}, {"size": 3, "keep_ratio": True}, grad=False),
    Row("image.resize", {"data": (6, 4, 1)}, {"size": (4, 6)}, grad=False, exact=True),
    Row("image.resize", {"data": ints((7, 9, 3), 0, 256)}, {"size": 5, "interp": 0}, grad=False, dtype="int32"),
    Bad("image.resize", {"data": (7, 9, 3)}, {"size": 0}),
    Bad("image.resize", {"data": (7, 9, 3)}, {"size": (1, 2, 3)}),
    Bad("image.resize", {"data": (7, 9)}, {"size": 3}),
    Bad("image.resize", {"data": (7, 9, 3)}, {"size": 3, "interp": 9}),
    Bad("image.resize", {"data": (7, 9, 3)}, {"size": 3, "interp": 6}),
    Bad("image.resize", {"data": (7, 9, 3)}, {"size": 3, "interp": 2}, dtype="int32"),
    Bad("image.resize", {"data": (7, 9, 3)}, {"size": 3}, dtype="int32"),
    Bad("image.resize", {"data": (7, 9, 3)}, {"size": 3}, dtype="float16"),
    Bad("image.crop", {"data": (4, 5, 3)}, {"x": 3, "y": 1, "width": 3, "height": 3}),
    Bad("image.crop", {"data": (4, 5, 3)}, {"x": 0, "y": 1, "width": 0, "height": 3}),
    Bad("image.crop", {"data": (4, 5, 2)}, {"x": 0, "y": 1, "width": 1, "height": 3}),
    Bad("image.to_tensor", {"data": (4, 5)}),
    Bad("image.flip_left_right", {"data": (2, 4, 5, 3)}),
    Bad("image.normalize", {"data": (2, 4, 5)}, {"mean": (0.5,), "std": (2.0,)}),
]

test_rows = rows_test(ROWS, __file__)
