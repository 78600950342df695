"""Metrics: results after updates and resets, creation, errors (runs on real MXNet, too)."""

from __future__ import annotations

import numpy as np

from tests.training.observing import attempt, plain

LABELS, PREDICTIONS = [0, 1, 1, 0], [[0.7, 0.3], [0.4, 0.6], [0.8, 0.2], [0.25, 0.75]]
MORE_LABELS, MORE_PREDICTIONS = [1, 1, 0], [[0.1, 0.9], [0.35, 0.65], [0.9, 0.1]]
CLASSES, SCORES = [2, 0, 1], [[0.1, 0.2, 0.7], [0.3, 0.3, 0.4], [0.2, 0.5, 0.3]]
LINES = [[1.0, 2.0, 3.0, 5.0], [1.0, 2.5, 4.0, 4.5], [2.0, 0.5, 1.0], [1.0, 0.0, 1.5]]


def _results(metric, whole=True):
    kinds = [type(metric.num_inst).__name__ in ("float", "float32", "float64"), plain(metric.num_inst)]
    return [plain(metric.get()), plain(metric.get_global()) if whole else [], plain(metric.get_name_value()), kinds]


def followed(mx, metric, *batches, whole=True):
    """Results after each batch of (labels, predictions), then after ``reset_local``, after one more, after ``reset``."""
    metric, found = mx.metric.create(metric), []
    for labels, predictions in batches:
        metric.update([mx.nd.array(labels)], [mx.nd.array(predictions)])
        found.append(_results(metric, whole))
    metric.reset_local()
    found.append(_results(metric, whole))
    labels, predictions = batches[0]
    metric.update([mx.nd.array(labels)], [mx.nd.array(predictions)])
    found.append(_results(metric, whole))
    metric.reset()
    found.append(_results(metric, whole))
    return [found, str(metric), {key: plain(value) for key, value in metric.get_config().items() if key != "feval"}]


BINARY = ((LABELS, PREDICTIONS), (MORE_LABELS, MORE_PREDICTIONS))
MULTI = ((CLASSES, SCORES), ([1, 1], [[0.2, 0.4, 0.4], [0.6, 0.3, 0.1]]))
REAL = ((LINES[0], LINES[1]), (LINES[2], LINES[3]))


def _metric(make, *batches, **params):
    return lambda mx: followed(mx, make(mx.metric), *batches, **params)


CASES = {
    "accuracy": _metric(lambda m: "acc", *BINARY),
    "accuracy, classes given": _metric(lambda m: m.Accuracy(), ([0, 1, 2], [0, 1, 1])),
    "accuracy, axis 2": _metric(lambda m: m.Accuracy(axis=2), ([[0, 1]], [[[0.2, 0.8], [0.1, 0.9]]])),
    "accuracy, pixels": _metric(lambda m: m.Accuracy(), ([[[0, 1]]], [[[[0.5, 0.1]], [[0.2, 0.8]]]])),
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
    # its global value is always 0 in the original
    "pearson micro": _metric(lambda m: m.PearsonCorrelation(average="micro"), *REAL, whole=False),
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
