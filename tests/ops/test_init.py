"""Rows of the operators that create arrays."""

import pytest

from tests.harness import Bad, Row, rows_test

ROWS = [
    *[
        Row(
            "_internal." + op, {}, {"shape": (2, 3), "dtype": dtype}, grad=False, exact=True, compile=dtype == "float32"
        )
        for op in ("_zeros", "_ones")
        for dtype in ("float32", "float64", "int32", "uint8")
    ],
    *[
        Row("_internal._full", {}, {"shape": (2, 3), "value": 2.5, "dtype": dtype}, grad=False, exact=True)
        for dtype in ("float32", "float64", "int32")
    ],
    Row("_internal._arange", {}, {"start": 0, "stop": 5}, grad=False, exact=True, compile=True),
    Row("_internal._arange", {}, {"start": 0, "stop": 2, "step": 0.5, "repeat": 2}, grad=False, exact=True),
    Row("_internal._arange", {}, {"start": 5, "stop": 1, "step": -2, "dtype": "int32"}, grad=False, exact=True),
    Row("_internal._arange", {}, {"start": 3}, grad=False, exact=True),
    *[
        Row("_internal._linspace", {}, params, grad=False)
        for params in (
            {"start": 0, "stop": 1, "num": 5},
            {"start": 2, "stop": 5, "num": 4, "endpoint": False},
            {"start": 3, "stop": -3, "num": 7, "dtype": "float64"},
        )
    ],
    *[
        Row("_internal._arange", {}, {"start": 1.5, "stop": 9, "step": 1.7, "dtype": t}, grad=False, exact=True)
        for t in ("float64", "float16", "int8", "uint8", "int64")
    ],
    *[
        Row("_internal._linspace", {}, params, grad=False, compile=True)
        for params in (
            {"start": 0, "stop": 10, "num": 3, "dtype": "int32"},
            {"start": 1, "stop": 2, "num": 1, "dtype": "float64"},
        )
    ],
    *[
        Row("_internal._full", {}, {"shape": (3,), "value": value, "dtype": t}, grad=False, exact=True, compile=True)
        for value, t in ((300, "uint8"), (-2.7, "int64"), (0.1, "float16"))
    ],
    Row("_internal._eye", {}, {"N": 2, "k": 5}, grad=False, exact=True, compile=True),
    Row("contrib.arange_like", {"data": (2, 3)}, {"start": 1.5, "repeat": 2}, grad=False, exact=True, compile=True),
    Row("contrib.arange_like", {"data": (4,)}, {"start": 1.5, "step": 0.5}, dtype="float16", grad=False, exact=True),
    *[
        Row("_internal._eye", {}, params, grad=False, exact=True)
        for params in ({"N": 3}, {"N": 3, "M": 4, "k": 1}, {"N": 4, "M": 2, "k": -1, "dtype": "int32"})
    ],
    Row("contrib.arange_like", {"data": (2, 3)}, grad=False, exact=True),
    Row("contrib.arange_like", {"data": (2, 3)}, {"start": 1.5, "step": 2, "axis": 1}, grad=False, exact=True),
    Row("contrib.arange_like", {"data": (4, 2)}, {"axis": 0}, dtype="float64", grad=False, exact=True),
    Bad("_internal._zeros", {}, {"shape": (0, 3)}),
    Bad("_internal._full", {}, {"value": 1}),
    Bad("_internal._arange", {}, {"start": 0, "infer_range": True}),
    Bad("_internal._arange", {}, {"start": 0, "stop": 3, "step": 0}),
    Bad("_internal._linspace", {}, {"start": 0, "stop": 3, "num": -1}),
    Bad("_internal._arange", {}, {"start": 5, "stop": 2}),
    Bad("_internal._arange", {}, {"start": 0, "stop": 5, "step": -1}),
    Bad("_internal._zeros", {}, {"shape": (2, 3), "dtype": "complex64"}),
]
ZEROS = "_internal._zeros_without_dtype"
ROWS += [
    Bad(ZEROS, {}, {"shape": (2, 3)}, match="not known", faces=("nd",)),
    Bad(ZEROS, {}, {}, faces=("nd",)),
    Bad(ZEROS, {}, {"shape": (2, 3), "dtype": "int32"}, match="dtype"),
]


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_type_of_the_consumer(dtype: str) -> None:
    """The original gives zeros of no type of their own the shape and type of what uses them."""
    from mxcompat import cpu, nd, sym

    total = sym._internal._zeros_without_dtype(shape=(2, 0), name="blank") + sym.Variable("data")
    assert total.infer_shape(data=(2, 3)) == ([(2, 3)], [(2, 3)], [])
    data = nd.ones((2, 3), dtype=dtype)
    found = total.bind(cpu(), {"data": data}).forward()[0]
    assert found.dtype == data.dtype
    assert (found == data).asnumpy().all()


test_rows = rows_test(ROWS, __file__)
