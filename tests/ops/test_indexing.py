"""Rows of the look-ups."""

import numpy as np

from tests.harness import Bad, Row, ints, rows_test, values

WEIGHT = {"input_dim": 5, "output_dim": 3}
SHAPE = (3, 4, 5)


def _embedding(data, weight=(5, 3), **options):
    params = dict(WEIGHT, **options.pop("params", {}))
    return Row("Embedding", {"data": data, "weight": weight}, params, grad=("weight",), **options)


def _take(shape, indices, grad=("a",), compiled=False, dtype="float32", **params):
    return Row("take", {"a": shape, "indices": indices}, params, grad=grad, compile=compiled, dtype=dtype)


def _picks(axis, mode):
    rows = []
    for keepdims in (False, True):
        sizes = list(SHAPE)
        del sizes[axis]
        inputs = {"data": SHAPE, "index": ints(sizes, -5, 8)}
        params = {"axis": axis, "keepdims": keepdims, "mode": mode}
        rows.append(Row("pick", inputs, params, compile=axis == 1))
    sizes = list(SHAPE)
    sizes[axis] = 1
    rows.append(Row("pick", {"data": SHAPE, "index": ints(sizes, 0, 3)}, {"axis": axis, "mode": mode}))
    return rows


def _hot(indices, **params):
    return Row("one_hot", {"indices": indices}, params, grad=False, exact=True, compile=params == {"depth": 3})


def _gather(shape, indices, grad=True, **options):
    return Row("gather_nd", {"data": shape, "indices": indices}, grad=grad, exact=True, **options)


def _scatter(data, indices, shape, **options):
    return Row("scatter_nd", {"data": data, "indices": values(indices)}, {"shape": shape}, exact=True, **options)


ELEMENTS = {"a": (3, 4), "indices": ints((3,), 0, 4, "int32")}
PLACES = values([[0, 2, 1], [1, 3, 0]])

SET = {"lhs": (2, 3), "rhs": (1,)}


def _scatter_set(shape, count, places, **options):
    """The original writes into ``lhs`` alone."""
    inputs = {"lhs": shape, "rhs": count, "indices": values(places)}
    return Row(
        "_internal._scatter_set_nd", inputs, {"shape": shape}, grad=False, faces=("nd",), out=("lhs",), **options
    )


ROWS = [
    _embedding(ints((4,), -2, 7), compile=True),
    _embedding(ints((2, 3), 0, 5, "int32")),
    _embedding(values([1.9, -0.5, 3.2])),
    _embedding(ints((2, 3), 0, 5, "int64"), dtype="float64", params={"dtype": "float64"}),
    _embedding(ints((2, 3), 0, 5), params={"sparse_grad": False}),
    Bad("Embedding", {"data": ints((4,), 0, 4), "weight": (5, 4)}, WEIGHT, match="weight"),
    Bad("Embedding", {"data": ints((4,), 0, 4), "weight": (5, 3)}, {"input_dim": 5}, match="output_dim"),
    *[
        _take(SHAPE, ints((2, 3), -7, 8), axis=axis, mode=mode, compiled=axis == 1)
        for axis in (0, 1, 2, -1)
        for mode in ("clip", "wrap")
    ],
    _take((3, 4), ints((2, 3), -7, 8), grad=True),
    _take((3, 4), ints((2, 3), 0, 3), compiled=True),
    _take((6,), ints((2, 3), -7, 8), mode="wrap"),
    _take((3, 4), ints((2,), 0, 3, "int64"), dtype="int32", grad=False),
    _take((3, 4), ints((2, 3), 0, 3, "uint8"), mode="raise"),
    _take((3, 4), ints((2, 3), 0, 4, "int32"), mode="raise", axis=1, dtype="float64"),
    Bad("take", {"a": (3, 4), "indices": values([0, -1])}, {"mode": "raise"}, match="out of bound"),
    Bad("take", {"a": (3, 4), "indices": values([0, 3])}, {"mode": "raise"}, match="out of bound"),
    Bad("take", {"a": (3, 4), "indices": (2,)}, {"axis": 2}, match="axis"),
    *[row for axis in (0, 1, 2, -1) for mode in ("clip", "wrap") for row in _picks(axis, mode)],
    Row("pick", {"data": (4,), "index": ints((1,), 0, 4)}),
    Row("pick", {"data": (3, 4), "index": ints((3,), 0, 4, "int32")}, dtype="float64", grad=("data",)),
    Row("choose_element_0index", {"data": (3, 4), "index": ints((3,), 0, 4)}),
    Bad("pick", {"data": (3, 4), "index": (4,)}, match="index"),
    Bad("pick", {"data": (3, 4), "index": (1,)}, {"axis": None}, match="axis"),
    *[_hot(spec, depth=3) for spec in (ints((3,), 0, 3), ints((2, 3), -1, 5), values([1.9, -0.5]))],
    _hot(ints((4,), 0, 3, "int32"), depth=4, on_value=2.5, off_value=-1.5),
    _hot(ints((4,), 0, 3), depth=4, on_value=2.5, off_value=-1.5, dtype="int32"),
    _hot(ints((4,), 0, 3), depth=4, dtype="float64"),
    Bad("one_hot", {"indices": (3,)}, match="depth"),
    _gather(SHAPE, PLACES, compile=True),
    _gather((3, 4), values([[0, 2, 1], [1, 3, 0]], "int64"), grad=("data",)),
    _gather((3, 4), values([[0, -1, 1]]), grad=False),
    _gather((3, 4), values([[[0, 1], [2, 2]], [[0, 1], [3, 3]]])),
    _gather((2,), values([[1, 1]])),
    Bad("gather_nd", {"data": (3, 4), "indices": values([0, 1])}, match="2 axes"),
    Bad("gather_nd", {"data": (3, 4), "indices": values([[0], [1], [2]])}, match="axes"),
    Bad("gather_nd", {"data": (3, 4), "indices": values([[3], [0]])}, match="out of bounds", error="MXNetError"),
    _scatter((3,), [[0, 2, 1], [1, 3, 0]], (3, 4), compile=True),
    _scatter((3, 4), [[0, 2, 1]], (3, 4)),
    _scatter((3,), [[0, 1, 1]], (3,)),
    _scatter((2,), [[0, 1], [1, 1]], (2, 2), dtype="int32", grad=False),
    Bad("scatter_nd", {"data": (3, 4), "indices": values([[0, 2]])}, {"shape": (3, 4)}, match="fit"),
    Row("batch_take", ELEMENTS, grad=False, exact=True, compile=True),
    Row("batch_take", ELEMENTS, dtype="int32", grad=False),
    Row("batch_take", {"a": (5, 2), "indices": ints((5,), 0, 2, "int32")}, dtype="float64", grad=False),
    Bad("batch_take", dict(ELEMENTS, indices=ints((3,), 0, 4)), match="int32"),
    Bad("batch_take", dict(ELEMENTS, indices=ints((2,), 0, 4, "int32"))),
    Row("fill_element_0index", {"lhs": (3, 4), "mhs": (3,), "rhs": ints((3,), 0, 5)}, grad=False, faces=("nd",)),
    Row("fill_element_0index", {"lhs": (2, 4), "mhs": (2,), "rhs": values([3, 0])}, grad=False, faces=("nd",)),
    Row("fill_element_0index", {"lhs": (1, 3), "mhs": (1,), "rhs": values([2])}, grad=False, faces=("nd",)),
    Bad("fill_element_0index", {"lhs": (3, 4), "mhs": (2,), "rhs": (2,)}, faces=("nd",)),
    _scatter_set((2, 3), (3,), [[0, 1, 1], [2, 0, 0]]),
    _scatter_set((3, 4), (2, 4), [[2, 0]]),
    _scatter_set((2, 3), (2,), [[0, 1], [2, 0]], dtype="int32"),
    Bad("_internal._scatter_set_nd", dict(SET, indices=values([[0], [0]])), {"shape": (2, 4)}, faces=("nd",)),
    Bad(
        "_internal._scatter_set_nd",
        dict(SET, indices=values([[3], [0]])),
        {"shape": (2, 3)},
        match="bounds",
        error="MXNetError",
        faces=("nd",),
    ),
    Row("ravel_multi_index", {"data": values([[1, 2, 0], [0, 3, 3]])}, {"shape": (3, 4)}, compile=True),
    Row("ravel_multi_index", {"data": values([[1, 9], [-1, 5], [1.7, 0]])}, {"shape": (2, 3, 4)}),
    Row("ravel_multi_index", {"data": values([[1, 2], [0, 3]], "int64")}, {"shape": (-1, 4)}, dtype="int64"),
    Bad("ravel_multi_index", {"data": (2, 3)}, match="empty"),
    Bad("ravel_multi_index", {"data": (2,)}, {"shape": (3, 4)}),
    Bad("ravel_multi_index", {"data": (3, 2)}, {"shape": (3, 4)}, match="row for each axis"),
    Row("unravel_index", {"data": values([1, 7, 11])}, {"shape": (3, 4)}, compile=True),
    Row("unravel_index", {"data": values([1, 7, 25, -5], "int32")}, {"shape": (2, 3, 4)}, dtype="int32"),
    Row("unravel_index", {"data": values([1.7, -1.0, 29])}, {"shape": (-1, 4)}, dtype="float64"),
    Row("unravel_index", {"data": values([1, 5])}, {"shape": (3,)}),
    Bad("unravel_index", {"data": (3,)}, match="empty"),
    Bad("unravel_index", {"data": (2, 3)}, {"shape": (3, 4)}, match="one axis", error="MXNetError"),
    Row("_internal._onehot_encode", {"lhs": values([1, 0, 5]), "rhs": (3, 2)}, grad=False, faces=("nd",)),
    Row("_internal._onehot_encode", {"lhs": ints((4,), 0, 3), "rhs": (4, 3)}, grad=False, faces=("nd",)),
    Row("_internal._onehot_encode", {"lhs": values([1.9]), "rhs": (1, 3)}, grad=False, faces=("nd",)),
    Bad("_internal._onehot_encode", {"lhs": values([1, 0]), "rhs": (3, 2)}, faces=("nd",)),
]


def test_batch_take_of_more_axes():
    """The original misreads the rows of data with more than two axes."""
    from mxcompat import nd

    data, index = np.arange(24.0).reshape(2, 3, 4), np.array([[3, 0, 1], [2, 2, 0]])
    found = nd.batch_take(nd.array(data), nd.array(index, dtype="int32"))
    np.testing.assert_array_equal(found.asnumpy(), np.take_along_axis(data, index[..., None], 2)[..., 0])


test_rows = rows_test(ROWS, __file__)
