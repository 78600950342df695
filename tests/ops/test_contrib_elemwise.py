"""Rows of the elementwise operators of the contrib namespace and of arrays of positions."""

from tests.harness import Bad, Row, ints, rows_test, values

HALVES = values([-2.5, -1.5, -0.5, -0.0, 0.4, 0.5, 1.5, 2.5])
ODD = values([float("nan"), 1.0, float("inf"), 0.0])
BYTES = values([254, 255, 0, 1, 7])

STRAIGHT = [
    *[Row("contrib.round_ste", {"data": HALVES}, dtype=dtype) for dtype in ("float16", "float32", "float64", "int8")],
    *[Row("contrib.sign_ste", {"data": HALVES}, dtype=dtype) for dtype in ("float16", "float32", "float64", "int32")],
    Row("contrib.round_ste", {"data": (2, 3, 4)}, compile=True),
    Row("contrib.sign_ste", {"data": (2, 3, 4)}, compile=True),
    Row("contrib.sign_ste", {"data": BYTES}, dtype="uint8"),
    Row("contrib.gradientmultiplier", {"data": (3, 4)}, {"scalar": -0.5}, compile=True),
    Row("contrib.gradientmultiplier", {"data": (3, 4)}, {"scalar": 2.0, "is_int": False}, dtype="float64"),
    Row("contrib.gradientmultiplier", {"data": (3, 4)}),
    Row("contrib.gradientmultiplier", {"data": ints((3,), -5, 5)}, {"scalar": 2.5}, dtype="int32"),
    *[
        Row("contrib.backward_gradientmultiplier", {"data": (3, 4)}, params, grad=False, faces=("nd",), dtype=dtype)
        for params, dtype in (({"scalar": 2.5}, "float32"), ({"scalar": 2.5}, "int32"), ({}, "float64"))
    ],
]

NUMBERS = [
    Row("contrib.quadratic", {"data": (3, 4)}, {"a": 1.5, "b": 0.25, "c": 0.75}, compile=True),
    Row("contrib.quadratic", {"data": (3, 4)}, {"a": -2.0}),
    Row("contrib.quadratic", {"data": (3, 4)}, {"b": 3, "c": 1}, dtype="float16"),
    Row("contrib.quadratic", {"data": (3, 4)}, {"a": 0.5}, dtype="float64"),
    Row("contrib.quadratic", {"data": (3, 4)}),
    Row("contrib.quadratic", {"data": BYTES}, {"a": 1.5, "b": 0.3, "c": 0.7}, dtype="uint8"),
    Row("contrib.quadratic", {"data": ints((6,), -9, 9)}, {"a": 0.5, "b": 0.5, "c": 0.3}, dtype="int32"),
    Bad("contrib.quadratic", {"data": (3, 4)}, {"a": "many"}),
    Bad("contrib.quadratic", {"data": (3, 4)}, {"d": 1}),
    Row("contrib.div_sqrt_dim", {"data": (2, 3, 5)}, compile=True),
    Row("contrib.div_sqrt_dim", {"data": (4,)}, dtype="float64"),
    Row("contrib.div_sqrt_dim", {"data": (2, 7)}, dtype="float16"),
    Row("contrib.div_sqrt_dim", {"data": BYTES}, dtype="uint8"),
    Row("contrib.div_sqrt_dim", {"data": ints((7,), -9, 9)}, dtype="int32"),
]

POSITIONS = [
    Row("contrib.index_array", {"data": (3, 2)}, compile=True, faces=("sym",)),
    Row("contrib.index_array", {"data": (4,)}, dtype="int32", grad=False),
    Row("contrib.index_array", {"data": (3, 2, 4)}, {"axes": (1, 0)}, grad=False),
    Row("contrib.index_array", {"data": (3, 2, 4)}, {"axes": (-1,)}, grad=False),
    Row("contrib.index_array", {"data": (3, 2)}, {"axes": 1}, dtype="float64", grad=False),
    Bad("contrib.index_array", {"data": (3, 2)}, {"axes": (2,)}, error="MXNetError"),  # the original reads other memory
]


def _allclose(a, b, tag="", **params):
    dtype = params.pop("dtype", "float32")
    inputs = {"a": values(a), "b": values(b)}
    return Row("contrib.allclose", inputs, params, grad=False, dtype=dtype, tag=tag, compile=tag == "same")


CLOSE = [
    _allclose([1, 2], [1, 2], "same"),
    _allclose([1, 2], [1.1, 2]),
    _allclose([1, 2], [1.125, 2], rtol=0.1),
    _allclose([1, 2], [1.125, 2], rtol=0.125),
    _allclose([1, 2], [1.125, 2], atol=0.2, dtype="float64"),
    _allclose([1, 2], [1.125, 2], atol=0.125, dtype="float16"),
    Row("contrib.allclose", {"a": ODD, "b": ODD}, grad=False),
    Row("contrib.allclose", {"a": ODD, "b": ODD}, {"equal_nan": False}, grad=False),
    _allclose([5], [float("inf")]),
    _allclose([float("inf")], [5.0]),
    _allclose([float("nan")], [5.0]),
    _allclose([5], [6], dtype="int32"),
    _allclose([5, 7], [5, 7], dtype="int64"),
    _allclose([5, 8], [8, 5], dtype="uint8", atol=3.0),
    Bad("contrib.allclose", {"a": (2, 3), "b": (2, 2)}, faces=("nd",)),
    Bad("contrib.allclose", {"a": (2,), "b": values([1, 2], "float64")}),
]


def _index_copy(index, new, old=(5, 3), **options):
    return Row("contrib.index_copy", {"old_tensor": old, "index_vector": index, "new_tensor": new}, **options)


COPIES = [
    _index_copy(values([3, 0], "int32"), (2, 3), compile=True, grad=("old_tensor", "new_tensor")),
    _index_copy(values([3, 0], "int64"), (2, 3), dtype="float64", grad=("old_tensor", "new_tensor")),
    _index_copy(values([3.7, 0.2]), (2, 3), dtype="float16", grad=("old_tensor", "new_tensor")),
    _index_copy(values([3, 3], "int32"), (2, 3), grad=("old_tensor", "new_tensor")),
    _index_copy(values([4, 0, 1], "int32"), (3,), (5,), dtype="int32"),
    _index_copy(values([1], "int32"), (1, 2, 2), (2, 2, 2), grad=("old_tensor", "new_tensor")),
    Bad("contrib.index_copy", {"old_tensor": (5, 3), "index_vector": values([1], "int32"), "new_tensor": (2, 3)}),
    Bad("contrib.index_copy", {"old_tensor": (5, 3), "index_vector": values([[1]], "int32"), "new_tensor": (1, 3)}),
    Bad("contrib.index_copy", {"old_tensor": (5, 3), "index_vector": values([1], "int32"), "new_tensor": (1, 2)}),
    Bad(
        "contrib.index_copy",
        {"old_tensor": (5, 3), "index_vector": values([5, 0], "int32"), "new_tensor": (2, 3)},
        match="not all in",
        error="MXNetError",
    ),
]


def _masked(index, data=(4, 3), **options):
    return Row("contrib.boolean_mask", {"data": data, "index": index}, faces=("nd",), grad=("data",), **options)


MASKED = [
    _masked(values([0, 1, 0, 2.5])),
    _masked(values([0, 1, 0, 1], "int8"), dtype="float64"),
    _masked(values([1, 1, 0, -1], "int32"), (4, 2, 2), dtype="float16"),
    _masked(values([float("nan"), 0, -1, 0]), (4,)),
    Bad("contrib.boolean_mask", {"data": (4, 3), "index": values([1, 0, 1])}),
    Bad("contrib.boolean_mask", {"data": (4, 3), "index": values([[1, 0, 1, 0]])}),
    Bad("contrib.boolean_mask", {"data": (4, 3), "index": values([1, 0, 1])}, {"axis": 1}),
]

test_rows = rows_test([*STRAIGHT, *NUMBERS, *POSITIONS, *CLOSE, *COPIES, *MASKED], __file__)
