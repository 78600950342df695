"""Rows of the linear layers and matrix products."""

from tests.harness import Bad, Row, ints, rows_test

HIDDEN = {"num_hidden": 4}
EMBEDDING = {"input_dim": 5, "output_dim": 4}
DOUBLE = dict(EMBEDDING, dtype="float64")

ROWS = [
    Row("FullyConnected", {"data": (3, 5), "weight": (4, 5), "bias": (4,)}, HIDDEN, compile=True),
    Row("FullyConnected", {"data": (3, 2, 5), "weight": (4, 10), "bias": (4,)}, HIDDEN),
    Row("FullyConnected", {"data": (3, 2, 5), "weight": (4, 5), "bias": (4,)}, dict(HIDDEN, flatten=False)),
    Row("FullyConnected", {"data": (3, 5), "weight": (4, 5)}, dict(HIDDEN, no_bias=True)),
    Row("FullyConnected", {"data": (3, 5), "weight": (4, 5), "bias": (4,)}, HIDDEN, dtype="float64"),
    Row("FullyConnected", {"data": (3, 5), "weight": (4, 5), "bias": (4,)}, HIDDEN, grad=("weight",)),
    Bad("FullyConnected", {"data": (3, 5), "weight": (4, 6), "bias": (4,)}, HIDDEN),
    Bad("FullyConnected", {"data": (3, 5), "weight": (4, 5), "bias": (4,)}, {"num_hidden": 0}),
    Bad("FullyConnected", {"data": (3, 5), "weight": (4, 5), "bias": (4,)}, {"hidden": 4}, match="hidden"),
    Row("Embedding", {"data": ints((2, 3), 0, 5), "weight": (5, 4)}, EMBEDDING, grad=("weight",)),
    Row("Embedding", {"data": ints((7,), -2, 8, "int32"), "weight": (5, 4)}, EMBEDDING, grad=("weight",)),
    Row("Embedding", {"data": ints((2, 2), 0, 5), "weight": (5, 4)}, DOUBLE, dtype="float64", grad=("weight",)),
    Row("dot", {"lhs": (3, 4), "rhs": (4, 2)}, compile=True),
    Row("dot", {"lhs": (4,), "rhs": (4,)}),
    Row("dot", {"lhs": (2, 3, 4), "rhs": (4, 2)}),
    Row("dot", {"lhs": (4, 3), "rhs": (4, 2)}, {"transpose_a": True}),
    Row("dot", {"lhs": (3, 4), "rhs": (2, 4)}, {"transpose_b": True}, dtype="float64"),
    Row("dot", {"lhs": (4, 3), "rhs": (2, 4)}, {"transpose_a": True, "transpose_b": True}),
    Row("dot", {"lhs": (2, 3, 4), "rhs": (4, 5, 2)}),
    Bad("dot", {"lhs": (3, 4), "rhs": (3, 4)}),
    Row("batch_dot", {"lhs": (2, 3, 4), "rhs": (2, 4, 5)}, compile=True),
    Row("batch_dot", {"lhs": (2, 4, 3), "rhs": (2, 4, 5)}, {"transpose_a": True}),
    Row("batch_dot", {"lhs": (2, 3, 4), "rhs": (2, 5, 4)}, {"transpose_b": True}, dtype="float64"),
    Row("batch_dot", {"lhs": (2, 4, 3), "rhs": (2, 5, 4)}, {"transpose_a": True, "transpose_b": True}),
    Bad("batch_dot", {"lhs": (2, 3, 4), "rhs": (3, 4, 5)}),
    Row("khatri_rao", {"arg0": (2, 3), "arg1": (4, 3)}, grad=False),
    Row("khatri_rao", {"arg0": (2, 3), "arg1": (4, 3), "arg2": (2, 3)}, grad=False, compile=True),
    Row("khatri_rao", {"arg0": (2, 3)}, grad=False, dtype="float64"),
]

test_rows = rows_test(ROWS, __file__)
