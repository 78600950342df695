"""Rows of the operators that convert to and from 8-bit integers."""

from tests.harness import Bad, Row, ints, rows_test, uniform, values

LOW, HIGH = values([-3.0], "float32"), values([2.0], "float32")
EDGE = values([-2.6, -1.3, -0.01, 0.0, 0.01, 0.0098, 0.5, 1.3, 2.5, 2.55, 7.0], "float32")
RANGE = {"min_calib_range": -2.0, "max_calib_range": 3.0}
POSITIVE = {"min_calib_range": 0.0, "max_calib_range": 3.0}
SUMS = values([-(2**31), -1000000000, -5, 0, 4, 70000000, 2**31 - 1], "int32")


def _int8(*shape):
    return ints(shape, -128, 128, "int8")


def _uint8(*shape):
    return ints(shape, 0, 256, "uint8")


def _row(name, inputs, params=None, **options):
    return Row(f"contrib.{name}", inputs, params, grad=False, exact=True, train=False, **{"partial": False, **options})


def _bad(name, inputs, params=None, **options):
    return Bad(f"contrib.{name}", inputs, params, **options)


GIVEN = {"min_range": LOW, "max_range": HIGH}

ROWS = [
    *[_row("quantize", {"data": EDGE, **GIVEN}, {"out_type": t}) for t in ("int8", "uint8")],
    _row("quantize", {"data": uniform((2, 3, 4, 5), -4, 4), **GIVEN}, {"out_type": "int8"}, compile=True),
    _row("quantize", {"data": uniform((2, 3), -4, 4), **GIVEN}),
    _row("quantize", {"data": [1.0, 0.0], "min_range": [0.0], "max_range": [0.0]}, {"out_type": "int8"}),
    _bad("quantize", {"data": (3,), **GIVEN}, {"out_type": "auto"}),
    _bad("quantize", {"data": (3,), "min_range": [0.0, 1.0], "max_range": [0.0]}),
    _bad("quantize", {"data": (3,), **GIVEN}, dtype="float64"),
    *[_row("quantize_v2", {"data": EDGE}, {"out_type": t}) for t in ("int8", "uint8", "auto")],
    *[_row("quantize_v2", {"data": EDGE}, {"out_type": t, **RANGE}) for t in ("int8", "uint8", "auto")],
    _row("quantize_v2", {"data": EDGE}, {"out_type": "auto", **POSITIVE}),
    _row("quantize_v2", {"data": (2, 3, 4, 5)}, compile=True),
    _row("quantize_v2", {"data": (2, 3, 4)}, {"min_calib_range": -1.0}),
    _row("quantize_v2", {"data": [0.0, float("nan"), 1.0, float("inf")]}),
    *[_row("quantize_v2", {"data": [0.0, float("nan"), -1.0, 2.0]}, {"out_type": t}) for t in ("int8", "uint8")],
    _row("quantize_v2", {"data": [0.0, 0.0]}),
    _row("quantize_v2", {"data": [0.0, 0.0]}, {"out_type": "uint8"}),
    *[_row("quantize_v2", {"data": d(3, 4)}, {"out_type": t}) for d in (_int8, _uint8) for t in ("int8", "uint8")],
    _row("quantize_v2", {"data": _uint8(3, 4)}, {"out_type": "uint8", **RANGE}),
    _bad("quantize_v2", {"data": (3,)}, dtype="float16"),
    _bad("quantize_v2", {"data": (3,)}, {"out_type": "int32"}),
    _row("quantize_asym", {"data": (2, 3, 4)}, compile=True),
    _row("quantize_asym", {"data": (2, 3, 4)}, {"min_calib_range": -1.0, "max_calib_range": 1.0}),
    _row("quantize_asym", {"data": uniform((4, 2, 9), -7, 30)}),
    _bad("quantize_asym", {"data": (3, 4)}, error="MXNetError"),  # the original crashes
    _bad("quantize_asym", {"data": (2, 3, 4)}, dtype="float64"),
    *[_row("dequantize", {"data": d(3, 4), **GIVEN}, compile=d is _int8) for d in (_int8, _uint8)],
    _row("dequantize", {"data": _int8(2, 3, 4, 5), "min_range": [-0.5], "max_range": [0.25]}),
    _bad("dequantize", {"data": ints((3,), 0, 9, "int32"), **GIVEN}),
    _bad("dequantize", {"data": _int8(3), **GIVEN}, {"out_type": "float16"}),
    *[_row("requantize", {"data": SUMS, **GIVEN}, {"out_type": t}) for t in ("int8", "uint8", "auto")],
    *[_row("requantize", {"data": SUMS, **GIVEN}, {"out_type": t, **RANGE}) for t in ("int8", "uint8", "auto")],
    _row("requantize", {"data": SUMS, **GIVEN}, {"out_type": "auto", **POSITIVE}),
    _row("requantize", {"data": ints((3, 4, 2, 2), -90000, 90000, "int32"), **GIVEN}, compile=True),
    _bad("requantize", {"data": _int8(3), **GIVEN}),
]

test_rows = rows_test(ROWS, __file__)
