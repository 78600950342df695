"""Metrics: values as MXNet 1.9.1 gives them (semantics.md, 189 to 199)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import mxcompat as mx
from tests.training.metric_cases import CASES as RECORDED_CASES
from tests.training.observing import differences, recorded

nd = mx.nd
LABELS, PREDICTIONS = [0, 1, 1], [[0.7, 0.3], [0.4, 0.6], [0.8, 0.2]]


def met(metric: Any, labels: Any = LABELS, predictions: Any = PREDICTIONS) -> tuple:
    metric = mx.metric.create(metric)
    metric.update([nd.array(labels)], [nd.array(predictions)])
    name, value = metric.get()
    assert type(value) is float
    return name, round(value, 6), metric.num_inst


CASES = [
    ("acc", LABELS, PREDICTIONS, ("accuracy", 0.666667, 3)),
    ("acc", [0, 1], [0, 1], ("accuracy", 1.0, 2)),
    (lambda: mx.metric.TopKAccuracy(2), LABELS, PREDICTIONS, ("top_k_accuracy_2", 1.0, 3)),
    ("f1", LABELS, PREDICTIONS, ("f1", 0.666667, 1)),
    (lambda: mx.metric.F1(average="micro"), LABELS, PREDICTIONS, ("f1", 0.666667, 3)),
    ("mcc", LABELS, PREDICTIONS, ("mcc", 0.5, 1.0)),
    ("ce", LABELS, PREDICTIONS, ("cross-entropy", 0.825646, 3)),
    ("nll_loss", LABELS, PREDICTIONS, ("nll-loss", 0.825646, 3)),
    (lambda: mx.metric.Perplexity(None), LABELS, PREDICTIONS, ("perplexity", 2.283356, 3)),
    (lambda: mx.metric.Perplexity(1), LABELS, PREDICTIONS, ("perplexity", 1.428571, 1)),
    ("mae", [1.0, 2.0], [[1.5], [4.0]], ("mae", 1.25, 1)),
    ("mse", [1.0, 2.0], [[1.5], [4.0]], ("mse", 2.125, 1)),
    ("rmse", [1.0, 2.0], [[1.5], [4.0]], ("rmse", 1.457738, 1)),
    ("pearsonr", [1.0, 2.0, 3.0], [1.0, 2.0, 4.0], ("pearsonr", 0.981981, 1)),
    (
        lambda: mx.metric.PearsonCorrelation(average="micro"),
        [1.0, 2.0, 3.0],
        [1.0, 2.0, 4.0],
        ("pearsonr", 0.981981, 1),
    ),
    ("pcc", LABELS, PREDICTIONS, ("pcc", 0.5, 1)),
    ("loss", [0], [[1.0, 2.0], [3.0, 4.0]], ("loss", 2.5, 4)),
]


@pytest.mark.parametrize(("metric", "labels", "predictions", "expected"), CASES, ids=range(len(CASES)))
def test_values(metric: Any, labels: Any, predictions: Any, expected: tuple) -> None:
    assert met(metric() if callable(metric) else metric, labels, predictions) == expected


def test_before_the_first_update_and_composites() -> None:
    assert math.isnan(mx.metric.Accuracy().get()[1])
    names, values = mx.metric.create(["acc", "mse"]).get()
    assert names == ["accuracy", "mse"]
    assert all(math.isnan(value) for value in values)
    assert [name for name, _ in mx.metric.create(["acc"]).get_name_value()] == ["accuracy"]


def test_global_and_local_statistics() -> None:
    metric = mx.metric.Accuracy()
    metric.update([nd.array([0])], [nd.array([[0.9, 0.1]])])
    metric.reset_local()
    metric.update([nd.array([1])], [nd.array([[0.9, 0.1]])])
    assert metric.get() == ("accuracy", 0.0)
    assert metric.get_global() == ("accuracy", 0.5)


def test_custom_metrics() -> None:
    def squares(label: np.ndarray, pred: np.ndarray) -> float:
        return float(((label - pred) ** 2).sum())

    metric = mx.metric.np(squares)
    metric.update([nd.ones((2,))], [nd.zeros((2,))])
    assert metric.get() == ("squares", 2.0)
    assert mx.metric.CustomMetric(lambda label, pred: (1.0, 2)).name == "custom(<lambda>)"
    assert mx.metric.create(squares).name == "squares"


def test_errors() -> None:
    with pytest.raises(ValueError, match="Shape of labels 1 does not match shape of predictions 0"):
        mx.metric.Accuracy().update([nd.ones((2,))], [])
    with pytest.raises(AssertionError, match="top_k"):
        mx.metric.TopKAccuracy(1)
    with pytest.raises(AssertionError, match="nonsense"):
        mx.metric.create("nonsense")
    with pytest.raises(ValueError, match="binary"):
        met("f1", [0, 1, 2], [[0.5, 0.5]] * 3)


def test_squares_of_small_integers_do_not_overflow() -> None:
    metric = mx.metric.MSE()
    metric.update([nd.array([100], dtype="int8")], [nd.array([50], dtype="int8")])
    assert metric.get() == ("mse", 2500.0)


def test_names_select_arrays() -> None:
    metric = mx.metric.MSE(output_names=["o"])
    metric.update_dict({"l": nd.ones((2,))}, {"o": nd.ones((2,)), "z": nd.zeros((2,))})
    assert metric.get() == ("mse", 0.0)


def test_every_registered_name() -> None:
    names = """acc accuracy ce composite compositeevalmetric crossentropy custommetric f1 loss mae mcc mse negativeloglikelihood
    nll_loss pcc pearsoncorrelation pearsonr perplexity rmse top_k_acc top_k_accuracy topkaccuracy torch caffe"""
    from mxcompat.registry import get_registry

    assert set(names.split()) <= set(get_registry(mx.metric.EvalMetric))


RECORDED = recorded("metric")


@pytest.mark.parametrize("name", RECORDED_CASES)
def test_as_recorded(name: str) -> None:
    assert differences(RECORDED_CASES[name](mx), RECORDED[name]) == []


def test_metrics_of_several_values_as_before_0_10() -> None:
    """As scripts of that time wrote them; the numbers in names, lists and nan are those of 0.9."""

    class Several(mx.metric.EvalMetric):
        def update(self, labels: Any, preds: Any) -> None:
            assert len(labels) == self.num
            for i, label in enumerate(labels):
                self.sum_metric[i] += float(label.sum().asscalar())
                self.num_inst[i] += label.size

    metric = Several("several", 2)
    names, values = metric.get()
    assert names == ["several_0", "several_1"] and np.isnan(values).all()
    metric.update([mx.nd.array([1, 2]), mx.nd.array([4])], [])
    assert metric.get_name_value() == [("several_0", 1.5), ("several_1", 4.0)]
    metric.reset()
    assert metric.num_inst == [0, 0] and metric.sum_metric == [0.0, 0.0]
    assert Several("several", num=2).get_config()["num"] == 2  # as a keyword it is the subclass' own
    assert Several("several", num=2).num_inst == 0


def test_sums_are_double_whatever_is_added() -> None:
    """As in NumPy 1, where a Python number and a float32 gave a float64."""

    class Total(mx.metric.EvalMetric):
        def update(self, labels: Any, preds: Any) -> None:
            self.sum_metric += np.sum(preds[0].asnumpy())
            self.num_inst += 1

    metric = Total("total")
    for value in (2.0**24, 1.0, 1.0, 1.0):
        metric.update([], [mx.nd.array([value])])
    assert metric.get() == ("total", (2**24 + 3) / 4)
    metric.reset()
    assert isinstance(metric.sum_metric, float) and metric.sum_metric == 0.0
