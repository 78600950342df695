"""Rows of the elementwise operators of one array, of two of one shape, and of several."""

from tests.harness import Bad, Row, distinct, ints, positive, rows_test, uniform, values

EVERYWHERE = [
    "sigmoid",
    "tanh",
    "exp",
    "square",
    "sin",
    "cos",
    "abs",
    "negative",
    "relu",
    "softsign",
    "arctan",
    "arcsinh",
]
EVERYWHERE += ["sinh", "cosh", "tan", "expm1", "degrees", "radians", "erf"]
ABOVE_ZERO = ["log", "sqrt", "rsqrt", "cbrt", "rcbrt", "reciprocal", "gammaln", "gamma", "log10", "log2", "log1p"]
INSIDE_ONE = ["arcsin", "arccos", "arctanh", "erfinv"]
STEPS = ["sign", "floor", "ceil", "round", "rint", "fix", "trunc"]
EDGES = values([0.0, -0.0, 1.0, -1.0, float("inf"), float("-inf"), float("nan"), 3e38])
BETWEEN_POLES = values([0.25, 1.0, 5.5, -0.5, -1.5, -2.5, float("nan")])
TIES = values([[1.0, 2.0, -1.0], [0.0, -2.5, 7.0]])
OTHER = values([[1.0, 3.0, -2.0], [0.0, 2.0, -3.0]])
PAIR = {"lhs": TIES, "rhs": OTHER}


#: where the gradient at nan, -0 or infinity is torch's (the values are the original's)
EDGE_GRADIENT_DIFFERS = ["rsqrt"]


def _rows(op, spec, **options):
    single = {"rtol": 1e-5, "atol": 1e-6} if op in ("gamma", "gammaln") else {}  # their slope is single precision there
    return [
        Row(op, {"data": spec}, compile=True, **options),
        Row(op, {"data": spec}, dtype="float64", **options, **single),
        Row(op, {"data": BETWEEN_POLES if single else EDGES}, grad=op not in EDGE_GRADIENT_DIFFERS, **options),
    ]


def _pair_rows(op, exact=True, positive_left=False):
    left = positive((2, 3)) if positive_left else TIES
    grad = not op.endswith("_grad_add")
    return [
        Row(op, {"lhs": left, "rhs": OTHER}, compile=True, grad=grad, exact=exact and not positive_left),
        Row(op, {"lhs": positive((3, 4)), "rhs": positive((3, 4))}, dtype="float64", grad=grad),
        Row(op, {"lhs": ints((3, 4), 1, 9), "rhs": ints((3, 4), 1, 4)}, dtype="int32", grad=False, exact=True),
    ]


HALF = ["relu", "sigmoid", "tanh", "exp", "abs", "square", "floor", "round", "identity", "make_loss", "zeros_like"]
OVERFLOWS = values([300.0, -300.0, 3e9, -3e9, 1e20, float("inf"), float("-inf"), float("nan")])
COMPARISONS = ["equal", "not_equal", "greater", "greater_equal", "lesser", "lesser_equal"]
COMPARISONS += ["logical_and", "logical_or", "logical_xor"]
DTYPES = ["float16", "float32", "float64", "int32", "int64", "int8", "uint8"]

ROWS = [
    *[row for op in EVERYWHERE for row in _rows(op, (3, 4))],
    *[row for op in ABOVE_ZERO for row in _rows(op, positive((3, 4)))],
    *[row for op in INSIDE_ONE for row in _rows(op, uniform((3, 4), -0.9, 0.9))],
    *_rows("arccosh", uniform((3, 4), 1.5, 3.0)),
    *[row for op in STEPS for row in _rows(op, distinct((4, 5), 0.25), exact=True)],
    *[Row("relu", {"data": ints((3, 4), -5, 5)}, dtype="int32", grad=False, exact=True)],
    *[Row("exp", {"data": ints((3, 4), -3, 4)}, dtype="int32", grad=False, exact=True)],
    *[row for op in ("elemwise_add", "elemwise_sub", "elemwise_mul") for row in _pair_rows(op)],
    *_pair_rows("elemwise_div", positive_left=True)[1:],
    Row("elemwise_div", {"lhs": TIES, "rhs": values([[1.0, 4.0, -2.0], [0.5, 2.0, 0.0]])}, compile=True),
    Row("elemwise_div", {"lhs": values([7, -7, 5]), "rhs": values([2, 2, -3])}, dtype="int32", grad=False, exact=True),
    *[row for op in ("maximum", "minimum") for row in _pair_rows("_internal._" + op)],
    *_pair_rows("_internal._power", exact=False, positive_left=True),
    *_pair_rows("_internal._hypot", exact=False),
    *_pair_rows("_internal._mod"),
    Row("_internal._mod", {"lhs": values([5.5, -5.5, 5.0]), "rhs": values([2.0, 2.0, 0.0])}, exact=True),
    Row(
        "_internal._mod", {"lhs": values([7, -7, 7]), "rhs": values([3, 3, -3])}, dtype="int32", grad=False, exact=True
    ),
    *[row for op in COMPARISONS for row in _pair_rows("_internal._" + op)],
    *_pair_rows("_internal._grad_add"),
    *_pair_rows("_internal._scatter_elemwise_div", positive_left=True)[1:],
    Row("_internal._scatter_elemwise_div", {"lhs": (3, 2), "rhs": positive((3, 2))}, compile=True),
    Row("add_n", {"arg0": (2, 3)}),
    Row("add_n", {"arg0": (2, 3), "arg1": (2, 3), "arg2": (2, 3)}, compile=True),
    Row("add_n", {"arg0": ints((2, 3), 0, 9), "arg1": ints((2, 3), 0, 9)}, dtype="int32", grad=False, exact=True),
    *[row for op in ("identity", "BlockGrad", "make_loss") for row in _rows(op, (3, 4))[:2]],
    *[
        Row(op, {"data": ints((2, 3), -5, 5)}, dtype="int64", grad=False)
        for op in ("identity", "BlockGrad", "make_loss")
    ],
    Row("make_loss", {"data": (2, 3)}, head=None),
    Row("BlockGrad", {"data": (2, 3)}, head=None),
    *[
        Row(op, {"data": (2, 3)}, dtype=t, grad=False, compile=t == "float32")
        for op in ("zeros_like", "ones_like")
        for t in DTYPES[:4]
    ],
    *[Row(op, {"data": (2, 3, 4)}, grad=False, compile=True) for op in ("shape_array", "size_array")],
    *[Row(op, {"data": ints((5,), 0, 9)}, dtype="int32", grad=False) for op in ("shape_array", "size_array")],
    *[Row(op, {"data": (1, 1)}, dtype="float64", grad=False) for op in ("shape_array", "size_array")],
    Row("logical_not", {"data": TIES}, compile=True),
    Row("logical_not", {"data": TIES}, dtype="float64"),
    Row("logical_not", {"data": ints((3, 4), -1, 2)}, dtype="int32", grad=False),
    *[Row("_internal._identity_with_attr_like_rhs", {"lhs": (2, 3), "rhs": (2, 3)}, dtype=t) for t in DTYPES[1:3]],
    Row("_internal._identity_with_attr_like_rhs", {"lhs": (4,), "rhs": (4,)}, compile=True),
    *[
        Row("Cast", {"data": values([-2.7, 1.5, 2.5, 0.0])}, {"dtype": t}, grad=t.startswith("float"), compile=True)
        for t in DTYPES
        if t != "uint8"
    ],
    Row("Cast", {"data": values([300, 2, -1])}, {"dtype": "uint8"}, dtype="int32", grad=False, exact=True),
    Row("amp_cast", {"data": (2, 3)}, {"dtype": "float16"}),
    Row("amp_cast", {"data": (2, 3)}, {"dtype": "float32"}),
    Row("amp_cast", {"data": (4,)}, {"dtype": "float16"}, compile=True),
    Row("amp_multicast", {"arg0": (2,), "arg1": (2, 3)}, {"num_outputs": 2}, grad=False, partial=False),
    Row(
        "amp_multicast",
        {"arg0": (2,), "arg1": (2, 3)},
        {"num_outputs": 2, "cast_narrow": True},
        grad=False,
        partial=False,
    ),
    Row("amp_multicast", {"arg0": (2,)}, {"num_outputs": 1}, grad=False, compile=True),
    Row("clip", {"data": values([-1.0, 1.0, 2.0, -3.0, 0.5])}, {"a_min": -1.0, "a_max": 1.0}, compile=True, exact=True),
    Row("clip", {"data": (3, 4)}, {"a_min": -0.5, "a_max": 0.25}, dtype="float64"),
    Row("clip", {"data": ints((3, 4), -9, 9)}, {"a_min": -2, "a_max": 3}, dtype="int32", grad=False, exact=True),
    Row("smooth_l1", {"data": values([0.1, 0.5, 2.0, -3.0, -0.1, 0.0])}, {"scalar": 2.0}, compile=True),
    Row("smooth_l1", {"data": (3, 4)}, {"scalar": 1.0}),
    Row("smooth_l1", {"data": (3, 4)}, {"scalar": 3.0}, dtype="float64"),
    Row("hard_sigmoid", {"data": values([-4.0, -1.0, 0.0, 1.0, 4.0])}, compile=True),
    Row("hard_sigmoid", {"data": (3, 4)}, {"alpha": 0.3, "beta": 0.1}),
    Row("hard_sigmoid", {"data": (3, 4)}, dtype="float64"),
    Row("all_finite", {"data": (2, 3)}, grad=False, compile=True),
    Row("all_finite", {"data": values([1.0, float("nan")])}, grad=False),
    Row("all_finite", {"data": values([1.0, float("inf")])}, grad=False),
    Row("multi_all_finite", {"arg0": (2, 3), "arg1": (4,)}, {"num_arrays": 2}, grad=False, compile=True),
    Row("multi_all_finite", {"arg0": (2, 3), "arg1": values([float("nan")])}, {"num_arrays": 2}, grad=False),
    Row("multi_all_finite", {"arg0": (2, 3)}, {"num_arrays": 1}, grad=False),
    *[Row(op, {"data": distinct((3, 4), 0.375)}, dtype="float16") for op in HALF],
    *[Row(op, {"lhs": TIES, "rhs": OTHER}, dtype="float16") for op in ("elemwise_add", "_internal._maximum")],
    *[Row(op, {"data": ints((3, 4), -9, 10)}, dtype="int32", grad=False, exact=True) for op in ("erf", "tanh", *STEPS)],
    Row("gamma", {"data": values([0.0, -0.0, -1.0, -2.0, -0.5, -1.5, 2.5, float("-inf")])}, grad=False),
    Row("clip", {"data": (3, 4)}, {"a_min": 0.5, "a_max": -0.5}, exact=True, tag="crossed"),
    Row("smooth_l1", {"data": ints((3, 4), -5, 6)}, {"scalar": 2.7}, dtype="int32", grad=False, exact=True),
    Row("smooth_l1", {"data": values([0.0, 1.5, float("inf"), float("nan")])}, {"scalar": 0.0}, grad=False),
    Row("smooth_l1", {"data": values([0.0, 1e-6, 0.25, float("inf"), float("-inf")])}, {"scalar": 2.0}),
    Row("hard_sigmoid", {"data": values([-2.5, 2.5, 2.0, -2.0])}, {"alpha": 0.25, "beta": 0.5}, exact=True, tag="ends"),
    Row("_internal._power", {"lhs": values([0.0, 0.0, 4.0]), "rhs": values([0.0, 2.0, 0.5])}, compile=True),
    Row("_internal._mod", {"lhs": values([5, 5]), "rhs": values([255, 3])}, dtype="uint8", grad=False, exact=True),
    *[
        Row("Cast", {"data": OVERFLOWS}, {"dtype": t}, grad=False, exact=True)
        for t in ("int32", "int64", "int8", "uint8")
    ],
    Row("sign", {"data": TIES}, dtype="float16", exact=True),
    Bad("clip", {"data": (2, 3)}, {"a_min": "low", "a_max": 1}),
    Bad("hard_sigmoid", {"data": ints((2, 3), 0, 3)}, dtype="int32"),
    Bad("all_finite", {"data": ints((2, 3), 0, 3)}, dtype="int32"),
    Bad("all_finite", {"data": (2, 3)}, {"init_output": False}, match="init_output", error="MXNetError", faces=("nd",)),
    Bad(
        "elemwise_div",
        {"lhs": values([-(2**31)]), "rhs": values([-1])},
        match="overflow",
        error="MXNetError",
        dtype="int32",
    ),
    Bad("elemwise_add", {"lhs": (2, 3), "rhs": (1, 3)}),
    Bad("elemwise_add", {"lhs": (2, 3), "rhs": ints((2, 3), 0, 5, dtype="int32")}),
    Bad(
        "elemwise_div", {"lhs": values([1, 2]), "rhs": values([0, 1])}, match="zero", error="MXNetError", dtype="int32"
    ),
    Bad("clip", {"data": (2, 3)}, {"a_min": 0}),
    Bad("Cast", {"data": (2, 3)}, {"dtype": "complex64"}),
]

test_rows = rows_test(ROWS, __file__)
