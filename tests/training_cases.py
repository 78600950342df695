"""What the training parts answer, as JSON values: run by real MXNet to record and by mxcompat to compare (Python 3.8).

Every function of a ``CASES`` table takes the package. ``attempt`` turns an exception into its class name.
"""

from __future__ import annotations

import io
import logging
import os
import re
import tempfile
import warnings

import numpy as np


def attempt(call):
    """The result of a call, or ``'raises NAME'``."""
    try:
        return call()
    except Exception as error:
        return "raises " + type(error).__name__


def logged(call):
    """The lines that a call logs, with level names; times and speeds replaced."""
    stream, root = io.StringIO(), logging.getLogger()
    handler, level = logging.StreamHandler(stream), root.level
    handler.setFormatter(logging.Formatter("%(levelname)s:%(message)s"))
    others, root.handlers = root.handlers, [handler]
    root.setLevel(logging.INFO)
    try:
        call()
    finally:
        root.handlers = others
        root.setLevel(level)
    return re.sub(r"Speed: (inf|[\d.]+)", "Speed: S", stream.getvalue()).split("\n")[:-1]


def plain(value):
    """Numbers and arrays of any kind as Python numbers and lists."""
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "asnumpy"):
        value = value.asnumpy()
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


# -- metrics ----------------------------------------------------------------------------------------------------

LABELS, PREDICTIONS = [0, 1, 1, 0], [[0.7, 0.3], [0.4, 0.6], [0.8, 0.2], [0.25, 0.75]]
MORE_LABELS, MORE_PREDICTIONS = [1, 1, 0], [[0.1, 0.9], [0.35, 0.65], [0.9, 0.1]]
CLASSES, SCORES = [2, 0, 1], [[0.1, 0.2, 0.7], [0.3, 0.3, 0.4], [0.2, 0.5, 0.3]]
LINES = [[1.0, 2.0, 3.0, 5.0], [1.0, 2.5, 4.0, 4.5], [2.0, 0.5, 1.0], [1.0, 0.0, 1.5]]


def _results(metric):
    kinds = [type(metric.num_inst).__name__ in ("float", "float32", "float64"), plain(metric.num_inst)]
    return [plain(metric.get()), plain(metric.get_global()), plain(metric.get_name_value()), kinds]


def followed(mx, metric, *batches):
    """Results after each batch of (labels, predictions), then after ``reset_local``, after one more, after ``reset``."""
    metric, found = mx.metric.create(metric), []
    for labels, predictions in batches:
        metric.update([mx.nd.array(labels)], [mx.nd.array(predictions)])
        found.append(_results(metric))
    metric.reset_local()
    found.append(_results(metric))
    labels, predictions = batches[0]
    metric.update([mx.nd.array(labels)], [mx.nd.array(predictions)])
    found.append(_results(metric))
    metric.reset()
    found.append(_results(metric))
    return [found, str(metric), {key: plain(value) for key, value in metric.get_config().items() if key != "feval"}]


BINARY = ((LABELS, PREDICTIONS), (MORE_LABELS, MORE_PREDICTIONS))
MULTI = ((CLASSES, SCORES), ([1, 1], [[0.2, 0.4, 0.4], [0.6, 0.3, 0.1]]))
REAL = ((LINES[0], LINES[1]), (LINES[2], LINES[3]))


def _metric(make, *batches):
    return lambda mx: followed(mx, make(mx.metric), *batches)


METRICS = {
    "accuracy": _metric(lambda m: "acc", *BINARY),
    "accuracy, classes given": _metric(lambda m: m.Accuracy(), ([0, 1, 2], [0, 1, 1])),
    "accuracy, axis 2": _metric(lambda m: m.Accuracy(axis=2), ([[0, 1]], [[[0.2, 0.8], [0.1, 0.9]]])),
    "accuracy, pixels": _metric(lambda m: m.Accuracy(), ([[[0, 1], [1, 1]]], [[[[0.5, 0.1], [0.1, 0.5]], [[0.2, 0.3], [0.8, 0.6]]]])),
    "accuracy, nan": _metric(lambda m: m.Accuracy(), ([0, 0, 1], [[np.nan, np.nan], [0.1, np.nan], [np.nan, 0.2]])),
    "accuracy, ties": _metric(lambda m: m.Accuracy(), ([0, 1], [[0.5, 0.5], [0.5, 0.5]])),
    "top k": _metric(lambda m: m.TopKAccuracy(2), *MULTI),
    "top k, more than classes": _metric(lambda m: m.TopKAccuracy(3, name="top"), *MULTI),
    "f1": _metric(lambda m: "f1", *BINARY),
    "f1 micro": _metric(lambda m: m.F1(average="micro"), *BINARY),
    "f1, nothing found": _metric(lambda m: m.F1(), ([1, 1], [[0.9, 0.1], [0.9, 0.1]])),
    "mcc": _metric(lambda m: "mcc", *BINARY),
    "mcc micro": _metric(lambda m: m.MCC(average="micro"), *BINARY),
    "mcc, one class": _metric(lambda m: m.MCC(), ([1, 1], [[0.1, 0.9], [0.1, 0.9]])),
    "perplexity": _metric(lambda m: m.Perplexity(None), *BINARY),
    "perplexity, ignored": _metric(lambda m: m.Perplexity(ignore_label=1), *BINARY),
    "perplexity, all ignored": _metric(lambda m: m.Perplexity(ignore_label=1), ([1], [[0.5, 0.5]])),
    "perplexity, label out of range": _metric(lambda m: m.Perplexity(None), ([-1, 5], [[0.25, 0.75], [0.5, 0.5]])),
    "perplexity, zero": _metric(lambda m: m.Perplexity(None), ([0], [[0.0, 1.0]])),
    "perplexity, axis 1": _metric(lambda m: m.Perplexity(None, axis=1), *BINARY),
    "mae": _metric(lambda m: "mae", *REAL),
    "mse": _metric(lambda m: "mse", *REAL),
    "rmse": _metric(lambda m: "rmse", *REAL),
    "mse, broadcast": _metric(lambda m: m.MSE(), ([1.0, 2.0], [[1.5, 0.5], [4.0, 1.0]])),
    "cross entropy": _metric(lambda m: "ce", *MULTI),
    "cross entropy, eps": _metric(lambda m: m.CrossEntropy(eps=0.5, name="h"), *MULTI),
    "negative log likelihood": _metric(lambda m: "nll_loss", *MULTI),
    "pearson": _metric(lambda m: "pearsonr", *REAL),
    "pearson micro": _metric(lambda m: m.PearsonCorrelation(average="micro"), *REAL),
    "pcc": _metric(lambda m: "pcc", *BINARY),
    "pcc, classes": _metric(lambda m: m.PCC(), *MULTI),
    "pcc, classes given": _metric(lambda m: m.PCC(), ([0, 1, 4], [0, 1, 1])),
    "pcc, one class": _metric(lambda m: m.PCC(), ([0, 0], [0, 0])),
    "loss": _metric(lambda m: "loss", *REAL),
    "torch": _metric(lambda m: "torch", *REAL),
    "caffe": _metric(lambda m: m.Caffe(), *REAL),
    "composite": lambda mx: _composite(mx),
    "custom": lambda mx: _custom(mx),
    "selection": lambda mx: _selection(mx),
    "metric errors": lambda mx: _metric_errors(mx),
    "metric creation": lambda mx: _metric_creation(mx),
}


def _composite(mx):
    nd, metric = mx.nd, mx.metric.create(["acc", mx.metric.CrossEntropy(), ["mse"]])
    before = [plain(metric.get()), plain(metric.get_global())]
    metric.update([nd.array(LABELS)], [nd.array(PREDICTIONS)])
    first = [plain(metric.get()), plain(metric.get_global()), plain(metric.get_name_value()), str(metric)]
    metric.reset_local()
    second = [plain(metric.get()), plain(metric.get_global_name_value())]
    found = [metric.get_metric(0).name, type(metric.get_metric(-1)).__name__, type(metric.get_metric(9)).__name__]
    simple = mx.metric.CompositeEvalMetric(["acc", "ce"])
    return [before, first, second, found, simple.get_config(), mx.metric.create("composite", metrics=["mae"]).get()[0]]


def _custom(mx):
    nd, found = mx.nd, []

    def squares(label, pred):
        return float(((label - pred) ** 2).sum())

    def pair(label, pred):
        return float(np.abs(label - pred).sum()), label.size

    for metric in (
        mx.metric.np(squares),
        mx.metric.np(pair, name="given"),
        mx.metric.create(pair),
        mx.metric.CustomMetric(lambda label, pred: 1),
        mx.metric.np(lambda label, pred: 2.0),
        mx.metric.CustomMetric(squares, name="few", allow_extra_outputs=True),
    ):
        labels, outputs = [nd.array([1.0, 2.0])], [nd.array([0.0, 4.0])]
        metric.update(labels, outputs + ([nd.ones((9,))] if metric.name == "few" else []))
        found.append(_results(metric))
        found.append(attempt(lambda metric=metric: metric.get_config()))
    return found


def _selection(mx):
    nd, found = mx.nd, []
    labels = {"l": nd.array([1.0]), "k": nd.array([2.0])}
    outputs = {"o": nd.array([1.5]), "p": nd.array([4.0])}
    for output_names, label_names in ((None, None), (["p"], ["k"]), (["p", "o"], ["k", "l"])):
        metric = mx.metric.MSE(output_names=output_names, label_names=label_names)
        metric.update_dict(labels, outputs)
        found.append(_results(metric))
    composite = mx.metric.CompositeEvalMetric(["mse"], output_names=["o"], label_names=["l"])
    composite.update_dict(labels, outputs)
    found.append(plain(composite.get()))
    metric = mx.metric.MSE(output_names=["nowhere"])
    return found + [attempt(lambda: metric.update_dict(labels, outputs))]


def _metric_errors(mx):
    nd, metric = mx.nd, mx.metric
    one, two = nd.ones((2,)), nd.array([[0.2, 0.8], [0.4, 0.6]])
    calls = [
        lambda: metric.Accuracy().update([one], []),
        lambda: metric.Accuracy().update([nd.ones((3,))], [two]),
        lambda: metric.TopKAccuracy(1),
        lambda: metric.TopKAccuracy(2).update([one], [nd.ones((2, 2, 2))]),
        lambda: metric.TopKAccuracy(5).update([one], [two]),
        lambda: metric.TopKAccuracy(2).update([nd.ones((3,))], [two]),
        lambda: metric.F1().update([nd.array([0, 1, 2])], [nd.ones((3, 2))]),
        lambda: metric.MCC().update([one], [nd.ones((3, 2))]),
        lambda: metric.Perplexity(None).update([nd.ones((3,))], [two]),
        lambda: metric.Perplexity(None).update([one], []),
        lambda: metric.CrossEntropy().update([nd.ones((3,))], [two]),
        lambda: metric.CrossEntropy().update([nd.array([0, 2])], [two]),
        lambda: metric.PearsonCorrelation().update([nd.ones((3,))], [one]),
        lambda: metric.MSE().update([one], [nd.ones((3, 2))]),
        lambda: metric.create("nonsense"),
        lambda: metric.create(3),
        lambda: metric.create(metric.MSE(), name="x"),
        lambda: metric.EvalMetric("m").update([], []),
        lambda: metric.Perplexity(),
        lambda: metric.check_label_shapes(one, two, shape=True),
        lambda: metric.check_label_shapes([one], [two])[0] is None,
        lambda: metric.check_label_shapes(one, two, wrap=True)[0] is one,
        lambda: type(metric.check_label_shapes(one, two, wrap=True)[0]).__name__,
    ]
    return [attempt(lambda call=call: plain(call())) for call in calls]


def _metric_creation(mx):
    create = mx.metric.create
    found = [
        create("ACC"),
        create("top_k_accuracy", top_k=3),
        create("TopKAccuracy", top_k=2),
        create('["perplexity", {"ignore_label": 0}]'),
        create('{"metric": "ce", "eps": 0.5}'),
        create({"metric": "mse", "name": "other"}),
        create(**create("rmse").get_config()),
        create("acc", axis=2),
        create(["acc", "f1"], name="both"),
    ]
    return [[type(metric).__name__, metric.name, plain(sorted(metric.get_config()))] for metric in found]


# -- learning rates ---------------------------------------------------------------------------------------------


def _rates(make, updates=range(1, 13)):
    def case(mx):
        schedule, rates = make(mx.lr_scheduler), []
        lines = logged(lambda: rates.extend(schedule(update) for update in updates))
        return [rates, lines, {key: value for key, value in sorted(vars(schedule).items())}]

    return case


def _schedule_errors(mx):
    lr = mx.lr_scheduler
    calls = [
        lambda: lr.FactorScheduler(0),
        lambda: lr.FactorScheduler(1, 1.5),
        lambda: lr.FactorScheduler(1, warmup_mode="sudden"),
        lambda: lr.FactorScheduler(1, base_lr=0.1, warmup_begin_lr=0.2),
        lambda: lr.FactorScheduler(1, warmup_steps=-1),
        lambda: lr.FactorScheduler(1, warmup_steps=1.5),
        lambda: lr.MultiFactorScheduler([4, 2]),
        lambda: lr.MultiFactorScheduler([2, 2]),
        lambda: lr.MultiFactorScheduler([0, 2]),
        lambda: lr.MultiFactorScheduler([]),
        lambda: lr.MultiFactorScheduler((2, 4)),
        lambda: lr.MultiFactorScheduler([2], 2),
        lambda: lr.PolyScheduler(0),
        lambda: lr.PolyScheduler(2.5),
        lambda: lr.CosineScheduler(0),
        lambda: lr.PolyScheduler(4, warmup_steps=4)(4),
        lambda: lr.LRScheduler()(1),
        lambda: lr.LRScheduler(warmup_steps=2).get_warmup_lr(1),
        lambda: lr.LRScheduler(warmup_steps=2).get_warmup_lr(2),
    ]
    return [attempt(call) for call in calls]


def _misc(mx):
    import importlib

    misc = importlib.import_module(mx.__name__ + ".misc")
    schedule, rates = misc.FactorScheduler(3, 0.5), []
    schedule.base_lr = 0.2
    lines = logged(lambda: rates.extend(schedule(update) for update in range(8)))
    base = misc.LearningRateScheduler()
    errors = [lambda: misc.FactorScheduler(0), lambda: misc.FactorScheduler(1, 1.0), lambda: base(1)]
    return [rates, lines, base.base_lr, [attempt(call) for call in errors], sorted(vars(schedule))]


SCHEDULES = {
    "factor": _rates(lambda lr: lr.FactorScheduler(2, 0.5, base_lr=1.0)),
    "factor, defaults": _rates(lambda lr: lr.FactorScheduler(3)),
    "factor, stop": _rates(lambda lr: lr.FactorScheduler(1, 0.1, 0.05, base_lr=1.0), range(1, 6)),
    "factor, far": _rates(lambda lr: lr.FactorScheduler(2, 0.5, base_lr=1.0), (1, 9, 3)),
    "factor, linear": _rates(lambda lr: lr.FactorScheduler(3, 0.5, base_lr=1.0, warmup_steps=4, warmup_begin_lr=0.2), range(14)),
    "factor, constant": _rates(
        lambda lr: lr.FactorScheduler(3, 0.5, base_lr=1.0, warmup_steps=4, warmup_begin_lr=0.2, warmup_mode="constant"), range(9)
    ),
    "steps": _rates(lambda lr: lr.MultiFactorScheduler([2, 5], 0.1, base_lr=1.0)),
    "steps, far": _rates(lambda lr: lr.MultiFactorScheduler([2, 5, 9], 0.1, base_lr=1.0), (7, 20, 3)),
    "steps, linear": _rates(lambda lr: lr.MultiFactorScheduler([3, 6], 0.1, base_lr=1.0, warmup_steps=2), range(9)),
    "polynomial": _rates(lambda lr: lr.PolyScheduler(8, 1.0), range(11)),
    "polynomial, given": _rates(lambda lr: lr.PolyScheduler(8, 1.0, 3, 0.1, warmup_steps=2, warmup_begin_lr=0.5), range(11)),
    "polynomial, late": _rates(lambda lr: lr.PolyScheduler(4, 1.0), (9,)),
    "cosine": _rates(lambda lr: lr.CosineScheduler(8, 1.0), range(11)),
    "cosine, given": _rates(lambda lr: lr.CosineScheduler(8, 1.0, 0.1, 2, 0.5, "constant"), range(11)),
    "schedule errors": _schedule_errors,
    "misc": _misc,
}


# -- initializers -----------------------------------------------------------------------------------------------


def _filled(mx, initializer, name, shape=(2, 2), attrs=None, text=False, dtype="float32"):
    array = mx.nd.full(shape, 7, dtype=dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        initializer(name if text else mx.init.InitDesc(name, attrs), array)
    return plain(array)


ENDINGS = ["weight", "bias", "gamma", "beta", "min", "max", "moving_mean", "moving_var", "moving_inv_var", "moving_avg"]
ENDINGS += ["running_mean", "parameters", "weight_quantize", "bias_quantize", "data"]


def _names(mx):
    found, constant = [], mx.init.Constant(5.0)
    for ending in ENDINGS:
        for text in (False, True):
            if ending == "weight_quantize" and not text:
                continue
            found.append([ending, text, attempt(lambda e=ending, t=text: _filled(mx, constant, "a_" + e, text=t))])
    for name, shape in (("stn_loc_weight", (2, 2)), ("stn_loc_bias", (6,)), ("stn_loc_bias", (5,)), ("upsampling0", (1, 2, 3, 4))):
        found.append([name, attempt(lambda n=name, s=shape: _filled(mx, constant, n, s, text=True))])
    for array, name in (([1], "x_weight"), (mx.nd.ones((1,)), 3)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found.append(attempt(lambda a=array, n=name: constant(n, a)))
    return found


def _texts(mx):
    init = mx.init
    made = [
        init.Zero(), init.One(), init.Constant(3), init.Constant(2.5), init.Constant(np.array([1.0, 2.0])),
        init.Constant(mx.nd.array([1.0, 2.0])), init.Uniform(), init.Uniform(0.5), init.Normal(), init.Normal(2),
        init.Orthogonal(), init.Orthogonal(2, "normal"), init.Xavier(), init.Xavier("gaussian", "in", 2.34),
        init.MSRAPrelu(), init.MSRAPrelu("out", 0.1), init.Bilinear(), init.LSTMBias(), init.LSTMBias(2),
        init.FusedRNN(init.One(), 2, 1, "lstm"), init.FusedRNN(None, 2, 3, "gru", True, 2.0),
    ]
    texts = [initializer.dumps() for initializer in made]
    again = [mx.initializer.create(text).dumps() for text in texts if "one" not in text and "[1.0" not in text]
    equal = [init.One() == init.One(), init.Uniform(1) == init.Uniform(2), init.Uniform(1) == init.Normal(1), init.One() == 3]
    return [texts, again, equal]


def _attributes(mx):
    init = mx.init
    own = {"__init__": init.Constant(3.0).dumps()}
    found = [_filled(mx, init.Uniform(), name, attrs=own) for name in ("x_weight", "x_bias", "x_moving_mean", "data")]
    desc = init.InitDesc("x", {"a": "1"})
    found += [str(desc), desc.attrs, desc.global_init, init.InitDesc("y").attrs]
    uniform = init.Uniform()
    uniform(init.InitDesc("x_bias"), mx.nd.ones((1,)))
    desc = init.InitDesc("x_bias")
    uniform(desc, mx.nd.ones((1,)))
    return found + [desc.global_init is uniform]


def _mixed(mx):
    init, nd = mx.init, mx.nd
    mixed = init.Mixed(["fc.*bias", ".*"], [init.Constant(1), init.Constant(2)])
    found = [_filled(mx, mixed, name, text=True) for name in ("fc_weight", "conv_weight", "fc_bias")]
    single = init.Mixed(["bias"], [init.Zero()])
    found += [attempt(lambda: _filled(mx, single, "x_bias")), attempt(lambda: _filled(mx, single, "bias"))]
    found.append(attempt(lambda: init.Mixed(["a", "b"], [init.Zero()])))
    values = {"arg:x_weight": nd.ones((2, 2)) * 4, "aux:m": nd.ones((2, 2)) * 5, "y": nd.ones((2, 2)) * 6}
    load = init.Load(values, default_init=init.One(), verbose=True)
    found += [logged(lambda n=name: found.append(_filled(mx, load, n))) for name in ("x_weight", "m", "y", "z_weight")]
    found += [attempt(lambda: _filled(mx, load, "x_weight", (3,))), attempt(lambda: _filled(mx, init.Load(values), "z_weight"))]
    return found + [attempt(lambda: init.Load([1])), sorted(load.param)]


def _fixed(mx):
    init = mx.init
    found = [_filled(mx, init.Bilinear(), "u_weight", shape) for shape in ((1, 1, 4, 4), (2, 1, 3, 5), (1, 2, 2, 2))]
    found += [_filled(mx, init.LSTMBias(b), "x_weight", (n,)) for b, n in ((1.5, 8), (2, 9), (1, 3))]
    found += [_filled(mx, init.Constant(v), "x_weight") for v in (2, np.array([[1.0, 2.0], [3.0, 4.0]]), [5.0, 6.0])]
    found += [_filled(mx, init.Constant(2.75), "x_weight", dtype=t) for t in ("float16", "float64", "int32")]
    return found


def _fused(mx):
    init, found = mx.init, []
    sizes = {"rnn_relu": 1, "rnn_tanh": 1, "lstm": 4, "gru": 3}
    for mode, gates in sorted(sizes.items()):
        for layers, both in ((1, False), (2, True)):
            hidden, directions, width = 2, 1 + both, 3
            size = gates * hidden * (width + hidden + 2) * directions
            size += (layers - 1) * gates * hidden * (hidden * directions + hidden + 2) * directions
            inner = init.Mixed([".*l0.*i2h.*weight", ".*bias", ".*"], [init.Constant(2), init.Constant(3), init.Constant(4)])
            names = []

            class Recording(init.Initializer):
                def __call__(self, desc, arr, names=names, inner=inner):
                    names.append([str(desc), list(arr.shape)])
                    inner(desc, arr)

            fused = init.FusedRNN(Recording(), hidden, layers, mode, both, 2.0)
            found.append([_filled(mx, fused, "p_weight", (size,)), names])
    desc = init.InitDesc("rnn_parameters", {"__init__": init.FusedRNN(None, 2, 1, "lstm").dumps()}, init.Constant(9))
    array = mx.nd.zeros((4 * 2 * (3 + 2) + 16,))
    init.Uniform()(desc, array)
    return found + [plain(array)]


def _verbose(mx):
    init = mx.init

    def fill():
        for made in (init.Constant(0.3).set_verbosity(True), init.One().set_verbosity(True, lambda x: "%d values" % x.size)):
            for name, attrs in (("x_weight", None), ("x_bias", None), ("y", {"__init__": '["one", {}]'})):
                made(init.InitDesc(name, attrs), mx.nd.zeros((3,)))

    return logged(fill)


def _initializer_errors(mx):
    init = mx.init
    calls = [
        lambda: _filled(mx, init.Xavier(), "x_weight", (3,)),
        lambda: _filled(mx, init.Xavier(factor_type="all"), "x_weight"),
        lambda: _filled(mx, init.Xavier(rnd_type="other"), "x_weight"),
        lambda: _filled(mx, init.Constant([1.0, 2.0, 3.0]), "x_weight"),
        lambda: mx.initializer.create("nonsense"),
        lambda: mx.initializer.create(3),
        lambda: mx.initializer.create(init.One(), 3),
        lambda: _filled(mx, init.Initializer(), "x_weight"),
        lambda: mx.initializer.register(int),
        lambda: init.Constant(),
        lambda: _filled(mx, init.FusedRNN(init.One(), 2, 1, "other"), "x_weight", (56,)),
        lambda: _filled(mx, init.FusedRNN(init.One(), 2, 1, "lstm"), "x_weight", (55,)),
    ]
    return [attempt(call) for call in calls]


def _scales(mx):
    """Bounds and deviations of random draws, rounded so that any generator gives them."""
    init, found = mx.init, []
    mx.random.seed(1)
    for made, shape in (
        (init.Uniform(), (300, 200)), (init.Xavier(), (300, 200)), (init.Xavier(factor_type="in"), (50, 40, 5, 5)),
        (init.Xavier(factor_type="out", magnitude=2), (80, 40, 5, 5)),
    ):
        values = np.array(_filled(mx, made, "x_weight", shape))
        found.append([round(float(abs(values).max()), 3), abs(float(values.mean())) < 1e-3])
    for made, shape in (
        (init.Normal(), (300, 200)), (init.Xavier("gaussian", "in", 2), (300, 200)), (init.MSRAPrelu("in", 0.1), (300, 200)),
    ):
        found.append(round(float(np.array(_filled(mx, made, "x_weight", shape)).std()), 2))
    for made, shape in ((init.Orthogonal(), (4, 9)), (init.Orthogonal(1, "normal"), (6, 2, 2)), (init.Orthogonal(2.0), (9, 2, 2))):
        values = np.array(_filled(mx, made, "x_weight", shape)).reshape(shape[0], -1)
        product = values @ values.T if values.shape[0] <= values.shape[1] else values.T @ values
        found.append(np.round(product, 3).__abs__().tolist())
    return found


INITIALIZERS = {
    "names": _names, "texts": _texts, "attributes": _attributes, "mixed and load": _mixed, "fixed values": _fixed,
    "fused": _fused, "verbose": _verbose, "initializer errors": _initializer_errors, "scales": _scales,
}  # fmt: skip


# -- callbacks --------------------------------------------------------------------------------------------------


class _Param:
    def __init__(self, nbatch, metric=None, epoch=0):
        self.epoch, self.nbatch, self.eval_metric, self.locals = epoch, nbatch, metric, None


def _accuracy(mx, right=True):
    metric = mx.metric.Accuracy()
    metric.update([mx.nd.array([0 if right else 1])], [mx.nd.array([[0.9, 0.1]])])
    return metric


def _speedometer(mx):
    def meters():
        for reset in (True, False):
            for frequent in (1, 2):
                meter, metric = mx.callback.Speedometer(4, frequent, auto_reset=reset), mx.metric.create(["acc", "mse"])
                for epoch in range(2):
                    for batch in range(5):
                        metric.update([mx.nd.array([0])], [mx.nd.array([[0.9]])])
                        meter(_Param(batch, metric, epoch))
        meter = mx.callback.Speedometer(4, 2)
        for batch in range(5):
            meter(_Param(batch))
        meter(_Param(3))
        meter(_Param(4))

    return [logged(meters), sorted(vars(mx.callback.Speedometer(1)).items())]


def _other_callbacks(mx):
    def lines():
        for reset in (False, True):
            callback, metric = mx.callback.log_train_metric(2, reset), _accuracy(mx)
            for batch in range(5):
                callback(_Param(batch, metric, 3))
        mx.callback.log_train_metric(1)(_Param(0))
        bar = mx.callback.ProgressBar(7, 10)
        for batch in range(9):
            bar(_Param(batch))
        mx.callback.ProgressBar(total=3)(_Param(2))
        final = mx.callback.LogValidationMetricsCallback()
        final(_Param(0, mx.metric.create([_accuracy(mx), _accuracy(mx, False)]), 2))
        final(_Param(0))

    return logged(lines)


def _checkpoints(mx):
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=1, name="fc")
    calls = []

    class Saving:
        def save_checkpoint(self, *args):
            calls.append(list(args))

    with tempfile.TemporaryDirectory() as folder:

        def save():
            for name, period in (("a", 1), ("b", 2), ("c", 0)):
                callback = mx.callback.do_checkpoint(os.path.join(folder, name), period)
                for epoch in range(3):
                    callback(epoch, net, {"fc_weight": mx.nd.ones((1, 2))}, {"m": mx.nd.zeros((1,))})
            mx.callback.do_checkpoint(os.path.join(folder, "d"))(0, None, {}, {})

        lines = [line.replace(folder, "FOLDER") for line in logged(save)]
        files = sorted(os.listdir(folder))
        names = sorted(mx.nd.load(os.path.join(folder, "b-0002.params")))
    for callback in (mx.callback.module_checkpoint(Saving(), "p", 2, True), mx.callback.module_checkpoint(Saving(), "q")):
        for epoch in range(3):
            callback(epoch)
            callback(epoch, None, {}, {})
    return [lines, files, names, calls]


CALLBACKS = {"speedometer": _speedometer, "other callbacks": _other_callbacks, "checkpoints": _checkpoints}


# -- monitor ----------------------------------------------------------------------------------------------------


def _net(mx):
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=3, name="fc1")
    net = mx.sym.BatchNorm(net, name="bn", fix_gamma=False)
    return mx.sym.MakeLoss(mx.sym.Activation(net, act_type="relu", name="act"), name="loss")


def _watched(mx, steps=3, is_train=True, **params):
    params.setdefault("interval", 1)
    monitor, found = mx.mon.Monitor(**params), []
    exe = _net(mx).simple_bind(mx.cpu(), data=(2, 4))
    for index, array in enumerate(exe.arg_arrays):
        array[:] = np.arange(array.size).reshape(array.shape) * 0.25 + index
    exe.aux_dict["bn_moving_var"][:] = 1
    monitor.install(exe)
    for _ in range(steps):
        monitor.tic()
        exe.forward(is_train=is_train)
        if is_train:
            exe.backward()
        found.append([[step, name, _rounded(text)] for step, name, text in monitor.toc()])
    return found


def _rounded(text):
    """Numbers of a text to four digits."""
    return re.sub(r"-?\d+\.\d*(e-?\d+)?", lambda number: "%.4g" % float(number.group()), text)


MONITORS = {
    "outputs": lambda mx: _watched(mx, pattern=".*output"),
    "inference": lambda mx: _watched(mx, is_train=False),
    "everything": lambda mx: _watched(mx, 1, is_train=False, monitor_all=True, sort=True),
    "parameters": lambda mx: _watched(mx, pattern="fc1_(weight|bias)|bn_moving.*", interval=2),
    "own statistic": lambda mx: _watched(mx, 1, pattern="fc1", stat_func=lambda x: mx.nd.max(x), is_train=False),
    "two statistics": lambda mx: _watched(
        mx, 1, pattern="fc1_b", stat_func=lambda x: [mx.nd.max(x), x[0:2]], is_train=False
    ),
    "print": lambda mx: _printed(mx),
    "bad statistic": lambda mx: attempt(lambda: _watched(mx, 1, stat_func=lambda x: 1.0)),
}


def _printed(mx):
    monitor = mx.mon.Monitor(1, pattern="fc1.*")
    exe = _net(mx).simple_bind(mx.cpu(), data=(2, 4))
    exe.arg_dict["fc1_bias"][:] = 2
    monitor.install(exe)
    monitor.tic()
    exe.forward(is_train=False)
    return [logged(monitor.toc_print), monitor.toc(), monitor.step, len(monitor.exes), monitor.activated]


# -- key-value stores -------------------------------------------------------------------------------------------


def _pull(mx, store, key, shape=(2,)):
    out = mx.nd.zeros(shape)
    store.pull(key, out=out)
    return plain(out)


def _sums(mx):
    nd, found = mx.nd, []
    for kind in ("local", "device", "local_allreduce_cpu", "LOCAL", "local_update_cpu", "local_allreduce_device"):
        store = mx.kv.create(kind)
        store.init("a", nd.ones((2,)))
        found.append([_pull(mx, store, "a"), store.type, store.rank, store.num_workers, store.is_capable("optimizer")])
        store.push("a", [nd.ones((2,)), nd.ones((2,)) * 3])
        found.append(_pull(mx, store, "a"))
        store.push("a", nd.ones((2,)) * 7)
        found.append(_pull(mx, store, "a"))
    return found


def _lists(mx):
    nd, store = mx.nd, mx.kv.create()
    store.init([3, 5], [nd.ones((2,)), nd.zeros((2,))])
    store.push([3, 5], [[nd.ones((2,)), nd.ones((2,))], [nd.ones((2,))]])
    outs = [[nd.zeros((2,)), nd.zeros((2,))], [nd.zeros((2,))]]
    store.pull([3, 5], out=outs)
    found = [plain(outs)]
    store.push([3, 3, 5], [nd.ones((2,)), nd.ones((2,)) * 2, nd.ones((2,)) * 5])
    found += [_pull(mx, store, 3), _pull(mx, store, 5)]
    values = [nd.ones((2,)), nd.ones((2,)) * 4]
    store.pushpull(3, values)
    found.append(plain(values))
    store.pushpull([3, 5], values, out=outs)
    found.append(plain(outs))
    other = mx.kv.create("device")
    out = [nd.zeros((2,)), nd.zeros((2,))]
    other.broadcast("w", nd.ones((2,)) * 2, out)
    other.broadcast(["x", "y"], values, out)
    found += [plain(out), _pull(mx, other, "w")]
    other.push("w", nd.ones((2,)) * 9)
    half = nd.zeros((2,), dtype="float16")
    found.append(attempt(lambda: [other.pull("w", out=half), plain(half)][1]))
    return found


def _updaters(mx):
    nd, found, calls = mx.nd, [], []
    for keys in ((3, 4), ("a", "b"), ("7", "8")):
        store = mx.kv.create()
        store.init(list(keys), [nd.ones((2,)), nd.ones((2,)) * 2])

        def update(key, merged, stored):
            calls.append([repr(key), plain(merged), plain(stored)])
            stored += merged * 2

        store._set_updater(update)
        store.push(keys[0], [nd.ones((2,)), nd.ones((2,)) * 2])
        store.pushpull(keys[1], nd.ones((2,)), out=nd.zeros((2,)))
        found += [_pull(mx, store, key) for key in keys]
    return [found, calls]


def _optimizers(mx):
    nd, found = mx.nd, []
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "states")
        for keys in ((0, 1), ("fc_weight", "fc_bias"), ("0", "1")):
            stores = []
            for _ in range(2):
                store = mx.kv.create()
                store.init(list(keys), [nd.ones((2,)), nd.ones((2,)) * 2])
                optimizer = mx.optimizer.create("sgd", learning_rate=0.5, momentum=0.5, wd=0.1, rescale_grad=0.5)
                store.set_optimizer(optimizer)
                stores.append(store)
            stores[0].push(list(keys), [nd.ones((2,)), nd.ones((2,)) * 3])
            stores[0].push(keys[0], nd.ones((2,)))
            stores[0].save_optimizer_states(path)
            found.append([_pull(mx, stores[0], key) for key in keys])
            stores[1].load_optimizer_states(path)
            stores[1].push(list(keys), [nd.ones((2,)), nd.ones((2,)) * 3])
            found.append([_pull(mx, stores[1], key) for key in keys])
            found.append(sorted(str(key) for key in stores[1]._updater.states))
    return found


def _store_errors(mx):
    nd, store, text = mx.nd, mx.kv.create(), mx.kv.create()
    store.init(3, nd.ones((2,)))
    text.init("a", nd.ones((2,)))
    one = nd.ones((2,))
    calls = [
        lambda: store.init(3, one),
        lambda: store.push(5, one),
        lambda: store.pull(5, out=one),
        lambda: store.init("a", one),
        lambda: text.init(4, one),
        lambda: store.push("b", one),
        lambda: store.init([6, "c"], [one, one]),
        lambda: store.init([6, 7], [one]),
        lambda: store.init(8, 3),
        lambda: store.init(8, [3]),
        lambda: store.init(2.5, one),
        lambda: store.pull(3),
        lambda: mx.kv.create(3),
        lambda: store.is_capable("nonsense"),
        lambda: store.save_optimizer_states("nowhere"),
        lambda: store.load_optimizer_states("nowhere"),
        lambda: store.broadcast(3, one, out=one),
        lambda: store.set_gradient_compression({"type": "nonsense"}),
        lambda: store.set_gradient_compression(3),
        lambda: store.row_sparse_pull(3),
    ]
    return [attempt(lambda call=call: plain(call())) for call in calls]


def _own_store(mx):
    base, found = mx.kv.KVStoreBase, []

    class OwnStore(base):
        pass

    base.register(OwnStore)
    store = mx.kv.create("ownstore")
    found.append([type(store).__name__, sorted(name for name in base.kv_registry)])
    for name, args in (("pushpull", (1, 2)), ("broadcast", (1, 2, 3)), ("set_optimizer", (1,)), ("is_capable", ("optimizer",))):
        found.append(attempt(lambda name=name, args=args: getattr(store, name)(*args)))
    found += [attempt(lambda name=name: getattr(store, name)) for name in ("type", "rank", "num_workers")]
    found += [attempt(lambda name=name: getattr(store, name)("f")) for name in ("save_optimizer_states", "load_optimizer_states")]
    del base.kv_registry["ownstore"]
    test, values = mx.kv.create("teststore"), [mx.nd.ones((2,)), mx.nd.ones((2,)) * 3]
    found += [test.type, test.rank, test.num_workers, test.is_capable("optimizer"), attempt(lambda: test.is_capable("x"))]
    test.pushpull("a", values)
    out = mx.nd.zeros((2,))
    test.broadcast("a", values[0], out)
    found += [plain(values), plain(out), attempt(lambda: test.set_optimizer(None))]
    test.pushpull("a", values, out)
    found.append(plain(out))
    test.pushpull("a", out, values)
    return found + [plain(values)]


def _compressed(mx):
    nd, found = mx.nd, []
    for kind in ("device", "local_allreduce_device"):
        store = mx.kv.create(kind)
        store.set_gradient_compression({"type": "2bit", "threshold": 0.5})
        store.init(["a", "b"], [nd.zeros((4,)), nd.zeros((2,))])
        for _ in range(4):
            store.push("a", [nd.array([0.25, -0.25, 0.75, -1.25]), nd.array([0.5, 0.125, -0.5, -1.25])])
            found.append(_pull(mx, store, "a", (4,)))
        store.push("a", nd.array([0.25, -0.25, 0.75, -1.25]))
        store.push("b", nd.array([0.75, 0.25]))
        found += [_pull(mx, store, "a", (4,)), _pull(mx, store, "b")]
    store = mx.kv.create("device")
    store.set_gradient_compression({"type": "2bit"})
    store.init("a", nd.zeros((2,)))
    store._set_updater(lambda key, merged, stored: stored.__iadd__(merged))
    store.push("a", [nd.array([0.75, 0.25]), nd.array([0.75, -0.75])])
    found.append(_pull(mx, store, "a"))
    for params in ({"type": "1bit"}, {"threshold": 1}, {"type": "2bit", "threshold": -1}, {"type": "none"}, 3):
        found.append(attempt(lambda params=params: mx.kv.create("device").set_gradient_compression(params)))
    return found


def _kinds(mx):
    names = ["nonsense", "local_x", "my_device", "LOCAL"]
    return [attempt(lambda name=name: mx.kv.create(name).type) for name in names]


STORES = {
    "sums": _sums, "lists": _lists, "updaters": _updaters, "optimizers": _optimizers, "store errors": _store_errors,
    "own stores": _own_store, "compressed": _compressed, "kinds": _kinds,
}  # fmt: skip

TABLES = {
    "metric": METRICS,
    "lr_scheduler": SCHEDULES,
    "initializer": INITIALIZERS,
    "callback": CALLBACKS,
    "monitor": MONITORS,
    "kvstore": STORES,
}
