"""Rows of the output layers. Labels get no gradient: the original leaves their arrays as they are."""

from tests.harness import Bad, Row, ints, rows_test, uniform, values

SMOOTH = {"rtol": 1e-4, "atol": 1e-5}  # exponentials and sums in another order
OPTIONS = [
    {},
    {"grad_scale": 2.5},
    {"normalization": "batch"},
    {"normalization": "valid"},
    {"use_ignore": True, "ignore_label": 1.0},
    {"use_ignore": True, "ignore_label": 1.0, "normalization": "valid"},
    {"use_ignore": True, "ignore_label": 1.0, "normalization": "batch", "grad_scale": 3.0},
    {"normalization": "valid", "ignore_label": 2.0},
    {"out_grad": True},
    {"smooth_alpha": 0.3},
    {"smooth_alpha": 0.3, "use_ignore": True, "ignore_label": 0.0},
]


def _output(data, label, params=None, op="SoftmaxOutput", **options):
    inputs = {"data": data, "label": label}
    loose = {} if options.get("dtype") == "float64" else SMOOTH
    return Row(op, inputs, params, grad=("data",), **loose, **options)


def _softmax_outputs(params):
    whole, multi = dict(params, preserve_shape=True), dict(params, multi_output=True)
    return [
        _output((5, 3), ints((5,), 0, 3), params, compile=True),
        _output((5, 3), (5, 3), params),
        _output((4, 3, 2), ints((4, 3), 0, 3), params),
        _output((4, 3, 2), ints((4, 3), 0, 2), whole),
        _output((4, 3, 2, 2), ints((4, 4), 0, 3), multi),
        _output((4, 3, 2, 2), ints((4, 2, 2), 0, 3), multi),
        _output((4, 3, 2), (4, 3, 2), multi),
    ]


def _regressions(op):
    def row(data, label, params=None, **options):
        return _output(data, label, params, op, **options)

    inputs = {"data": (4, 3), "label": (4, 3)}
    return [
        row((4, 3), (4, 3), compile=True),
        row((4, 3), (4, 3), {"grad_scale": 0.3}),
        row((4, 1), (4,)),
        row((4, 1), (4, 1)),
        row((4, 3, 2), (4, 6)),
        row((4,), (4,)),
        row(ints((4, 3), -1, 2), ints((4, 3), -1, 2)),
        row((4, 3), (4, 3), dtype="float64"),
        row((4, 3), (4, 3), head=None, tag="headless"),
        Bad(op, dict(inputs, label=(3, 4)), match="label"),
        Bad(op, dict(inputs, label=(12,)), match="label"),
        Bad(op, dict(inputs, label=ints((4, 3), 0, 2, "float64"))),
    ]


def _hinges(params):
    return [
        _output((4, 3), ints((4,), 0, 3), params, "SVMOutput", compile=True),
        _output((4, 2, 3), ints((4, 2), 0, 3), params, "SVMOutput"),
        _output((4, 3), values([-1, 5, 1.9, 0]), params, "SVMOutput"),
        _output(values([[1, -1, 0]]), values([0]), params, "SVMOutput"),
    ]


def _made(params):
    return [
        Row("MakeLoss", {"data": (4, 3)}, params, compile=True),
        Row("MakeLoss", {"data": (4,)}, params),
        Row("MakeLoss", {"data": (4, 2, 3)}, params, dtype="float64"),
    ]


def _cross_entropy(data, label, **options):
    return _output(data, label, None, "softmax_cross_entropy", **options)


def _sparse_activation(shape=(4, 3), dtype="float32", train=True, **params):
    """The original has no imperative form that works."""
    inputs, aux = {"data": uniform(shape, 0.1, 0.9)}, {"moving_avg": uniform(shape[1:], 0.1, 0.9)}
    options = dict(dtype=dtype, train=train, grad=train, faces=("sym",))
    return Row("IdentityAttachKLSparseReg", inputs, params, aux=aux, compile=train, **options)


LABELLED = {"data": (5, 3), "label": ints((5,), 0, 3)}
BIG = ints((4, 3), -60, 60)

ROWS = [
    *[row for params in OPTIONS for row in _softmax_outputs(params)],
    _output((4, 3, 2, 2), ints((4, 1, 2, 2), 0, 3), {"multi_output": True}),
    _output((5, 3), ints((5,), 0, 3), op="Softmax"),
    _output((5, 3), ints((5,), 0, 3), dtype="float64"),
    _output((5, 3), values([-1, 3, 7, 1.9, 0])),
    _output((5, 3), ints((5,), 0, 3), head=None),
    Row("SoftmaxOutput", LABELLED, train=False, grad=False, **SMOOTH),
    Bad("SoftmaxOutput", dict(LABELLED, label=ints((4,), 0, 3)), match="label"),
    Bad("SoftmaxOutput", dict(LABELLED, label=ints((5, 1), 0, 3)), match="label"),
    Bad("SoftmaxOutput", dict(LABELLED, label=ints((5,), 0, 3, "int32"))),
    Bad("SoftmaxOutput", {"data": (5, 3, 2), "label": ints((30,), 0, 3)}, {"multi_output": True}, match="label"),
    Bad("SoftmaxOutput", LABELLED, {"normalization": "mean"}, match="normalization"),
    *[
        row
        for op in ("LinearRegressionOutput", "LogisticRegressionOutput", "MAERegressionOutput")
        for row in _regressions(op)
    ],
    *_hinges({}),
    *_hinges({"use_linear": True}),
    *_hinges({"margin": 0.3, "regularization_coefficient": 2.0}),
    *_hinges({"margin": 0.3, "regularization_coefficient": 2.0, "use_linear": True}),
    Bad("SVMOutput", dict(LABELLED, label=(3,)), match="label"),
    *_made({}),
    *_made({"grad_scale": 3.0}),
    *_made({"normalization": "batch", "grad_scale": 2.0}),
    *_made({"normalization": "valid"}),
    *_made({"normalization": "valid", "valid_thresh": 0.5, "grad_scale": 2.0}),
    *_made({"normalization": "valid", "valid_thresh": 5.0}),
    Row("MakeLoss", {"data": (4, 3)}, head=None),
    _cross_entropy((4, 3), ints((4,), 0, 3), compile=True),
    _cross_entropy(BIG, ints((4,), 0, 3)),
    _cross_entropy((4, 3), ints((4,), 0, 3), dtype="float64"),
    _sparse_activation(),
    _sparse_activation(sparseness_target=0.3, penalty=0.5, momentum=0.6),
    _sparse_activation(train=False),
    Bad("softmax_cross_entropy", dict(LABELLED, label=(3,))),
    Bad("softmax_cross_entropy", dict(LABELLED, data=(5, 3, 2)), match="axes"),
]

test_rows = rows_test(ROWS, __file__)
