"""Evaluation metrics (public path: ``mxnet.metric``). Values are Python floats, so that logs read as they did."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy
import torch

from mxcompat import registry
from mxcompat.base import numeric_types, string_types
from mxcompat.ndarray import NDArray

__all__ = [
    "Accuracy",
    "Caffe",
    "CompositeEvalMetric",
    "CrossEntropy",
    "CustomMetric",
    "EvalMetric",
    "F1",
    "Loss",
    "MAE",
]
__all__ += ["MCC", "MSE", "NegativeLogLikelihood", "PCC", "PearsonCorrelation", "Perplexity", "RMSE", "TopKAccuracy"]
__all__ += ["Torch", "check_label_shapes", "create", "np", "register"]


def check_label_shapes(labels: Any, preds: Any, wrap: bool = False, shape: bool = False) -> tuple[Any, Any]:
    """Compare the number (with ``shape`` the shapes) of labels and predictions; ``ValueError`` when they differ."""
    label_shape, pred_shape = (labels.shape, preds.shape) if shape else (len(labels), len(preds))
    if label_shape != pred_shape:
        raise ValueError(f"Shape of labels {label_shape} does not match shape of predictions {pred_shape}")
    if wrap:
        labels = [labels] if isinstance(labels, NDArray) else labels
        preds = [preds] if isinstance(preds, NDArray) else preds
    return labels, preds


def _numpy(array: Any) -> numpy.ndarray:
    """The elements, to be read only: those of an array on the cpu are not copied."""
    if type(array) is NDArray and array._data.device.type == "cpu" and array._data.dtype is not torch.bfloat16:
        return array._data.numpy()
    return array.asnumpy() if hasattr(array, "asnumpy") else numpy.asarray(array)


def _ratio(total: Any, count: Any) -> Any:
    """``total / count``, nan without a count; a NumPy number becomes a Python number, which prints alike in NumPy 1 and 2."""
    value = total / count if count else float("nan")
    return value.item() if isinstance(value, numpy.generic) else value


class EvalMetric:
    """Base class: a sum and a number of instances, since the last ``reset`` and since ``reset_local``.

    Compat: up to 0.9 the second parameter was ``num``, the number of values that a metric keeps: ``sum_metric`` and
    ``num_inst`` are then lists, and names get numbers. An integer there is still taken for it.
    """

    num: int | None = None
    _values: int | None = None  # as num, which subclasses set for purposes of their own too

    def __init__(
        self,
        name: Any,
        output_names: Any = None,
        label_names: Sequence[str] | None = None,
        **kwargs: Any,
    ):
        self.name = str(name)
        if isinstance(output_names, int):
            self.num = self._values = output_names
            output_names = None
        self.output_names, self.label_names = output_names, label_names
        self._has_global_stats = kwargs.pop("has_global_stats", False)
        self._kwargs = kwargs
        self.reset()

    def __str__(self) -> str:
        return f"EvalMetric: {dict(self.get_name_value())}"

    def get_config(self) -> dict[str, Any]:
        """What ``create`` needs to make the metric again."""
        config = self._kwargs.copy()
        config.update(
            metric=type(self).__name__, name=self.name, output_names=self.output_names, label_names=self.label_names
        )
        return config

    def update_dict(self, label: dict[str, Any], pred: dict[str, Any]) -> None:
        """``update`` with the arrays that ``label_names`` and ``output_names`` select."""
        preds = [pred[name] for name in self.output_names] if self.output_names is not None else list(pred.values())
        labels = [label[name] for name in self.label_names] if self.label_names is not None else list(label.values())
        self.update(labels, preds)

    def update(self, labels: Any, preds: Any) -> None:
        """Take in one batch: lists of labels and predictions."""
        raise NotImplementedError(f"{type(self).__name__} must define update")

    def _add(self, total: Any, count: Any) -> None:
        """Add to the sums and to the numbers of instances, local and global."""
        self.sum_metric += total
        self.global_sum_metric += total
        self.num_inst += count
        self.global_num_inst += count

    def reset(self) -> None:
        """Start anew."""
        EvalMetric.reset_local(self)
        self.global_num_inst: Any = 0
        self.global_sum_metric: Any = numpy.float64(0.0)

    def reset_local(self) -> None:
        """Start the local statistics anew; the global ones go on."""
        # in NumPy 2 a Python number takes the precision of the float32 that a subclass adds to it: 2**24 + 1 is 2**24
        zero = numpy.float64(0.0)
        self.num_inst: Any = 0 if self._values is None else [0] * self._values
        self.sum_metric: Any = zero if self._values is None else [zero] * self._values

    def get(self) -> tuple[Any, Any]:
        """Name and value; nan before the first update."""
        if self._values is not None:
            names = [f"{self.name}_{i}" for i in range(self._values)]
            return names, [_ratio(total, count) for total, count in zip(self.sum_metric, self.num_inst)]
        return self.name, _ratio(self.sum_metric, self.num_inst)

    def get_global(self) -> tuple[Any, Any]:
        """Name and value since ``reset``, where the metric keeps it."""
        if not self._has_global_stats:
            return self.get()
        return self.name, _ratio(self.global_sum_metric, self.global_num_inst)

    def get_name_value(self) -> list[tuple[str, Any]]:
        """Pairs of name and value."""
        return _pairs(*self.get())

    def get_global_name_value(self) -> list[tuple[str, Any]]:
        """Pairs of name and global value."""
        return _pairs(*self.get_global()) if self._has_global_stats else self.get_name_value()


def _pairs(names: Any, values: Any) -> list[tuple[str, Any]]:
    names = names if isinstance(names, list) else [names]
    values = values if isinstance(values, list) else [values]
    return list(zip(names, values))


register = registry.get_register_func(EvalMetric, "metric")
alias = registry.get_alias_func(EvalMetric, "metric")
_create = registry.get_create_func(EvalMetric, "metric")


def create(metric: Any, *args: Any, **kwargs: Any) -> EvalMetric:
    """A metric from its name, a function ``feval(label, pred)``, an instance, or a list of these (composite)."""
    if callable(metric) and not isinstance(metric, EvalMetric):
        return CustomMetric(metric, *args, **kwargs)
    if isinstance(metric, list):
        composite = CompositeEvalMetric()
        for child in metric:
            composite.add(create(child, *args, **kwargs))
        return composite
    return _create(metric, *args, **kwargs)


@register
@alias("composite")
class CompositeEvalMetric(EvalMetric):
    """Several metrics as one: names and values are lists."""

    def __init__(self, metrics: Any = None, name: str = "composite", output_names: Any = None, label_names: Any = None):
        super().__init__(name, output_names, label_names, has_global_stats=True)
        self.metrics = [create(metric) for metric in metrics or []]

    def add(self, metric: Any) -> None:
        """Append a metric."""
        self.metrics.append(create(metric))

    def get_metric(self, index: int) -> Any:
        """The metric at a place; a ``ValueError`` (returned) where there is none."""
        try:
            return self.metrics[index]
        except IndexError:
            # Compat: the error is returned, not raised
            return ValueError(f"there is no metric {index}, only {len(self.metrics)} metrics")

    def update_dict(self, labels: dict[str, Any], preds: dict[str, Any]) -> None:  # type: ignore[override]
        if self.label_names is not None:
            labels = OrderedDict((name, value) for name, value in labels.items() if name in self.label_names)
        if self.output_names is not None:
            preds = OrderedDict((name, value) for name, value in preds.items() if name in self.output_names)
        for metric in self.metrics:
            metric.update_dict(labels, preds)

    def update(self, labels: Any, preds: Any) -> None:
        for metric in self.metrics:
            metric.update(labels, preds)

    def reset(self) -> None:
        for metric in getattr(self, "metrics", ()):
            metric.reset()

    def reset_local(self) -> None:
        for metric in getattr(self, "metrics", ()):
            metric.reset_local()

    def _collect(self, results: Any) -> tuple[list, list]:
        names: list = []
        values: list = []
        for name, value in results:
            names.extend([name] if isinstance(name, string_types) else name)
            values.extend([value] if isinstance(value, numeric_types) else value)
        return names, values

    def get(self) -> tuple[Any, Any]:
        return self._collect(metric.get() for metric in self.metrics)

    def get_global(self) -> tuple[Any, Any]:
        return self._collect(metric.get_global() for metric in self.metrics)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config["metrics"] = [metric.get_config() for metric in self.metrics]
        return config


@register
@alias("acc")
class Accuracy(EvalMetric):
    """The share of predictions (the largest along ``axis`` when shapes differ) that equal the label."""

    def __init__(self, axis: int = 1, name: str = "accuracy", output_names: Any = None, label_names: Any = None):
        super().__init__(name, output_names, label_names, axis=axis, has_global_stats=True)
        self.axis = axis

    def update(self, labels: Any, preds: Any) -> None:
        labels, preds = check_label_shapes(labels, preds, True)
        for label, pred in zip(labels, preds):
            label, pred = _numpy(label), _numpy(pred)
            pred = pred.argmax(self.axis) if pred.shape != label.shape else pred.astype(numpy.int32)
            label, pred = label.ravel().astype(numpy.int32), pred.ravel()
            check_label_shapes(label, pred)
            self._add(int(numpy.count_nonzero(pred == label)), len(pred))


@register
@alias("top_k_accuracy", "top_k_acc")
class TopKAccuracy(EvalMetric):
    """The share of labels among the ``top_k`` largest predictions."""

    def __init__(self, top_k: int = 1, name: str = "top_k_accuracy", output_names: Any = None, label_names: Any = None):
        super().__init__(name, output_names, label_names, top_k=top_k, has_global_stats=True)
        if top_k <= 1:
            raise AssertionError("Please use Accuracy if top_k is no more than 1")
        self.top_k = top_k
        self.name += f"_{top_k}"

    def update(self, labels: Any, preds: Any) -> None:
        labels, preds = check_label_shapes(labels, preds, True)
        for label, pred in zip(labels, preds):
            label, pred = _numpy(label).astype("int32").ravel(), _numpy(pred).astype("float32")
            if pred.ndim > 2:
                raise AssertionError(
                    f"TopKAccuracy: predictions have shape {pred.shape}, expected (N, classes) or (N,)"
                )
            order = numpy.argpartition(pred, -self.top_k)
            check_label_shapes(label, order)
            # Compat: predictions (N,) are compared as places in their order, which says little
            best = order[:, -self.top_k :] if pred.ndim == 2 else order[:, None]
            self._add(int((best == label[:, None]).sum()), len(label))


class _BinaryClassificationMetrics:
    """Confusion matrices of two classes, the second one positive: since ``reset_stats`` and since ``local_reset_stats``."""

    def __init__(self) -> None:
        self.reset_stats()

    def update_binary_stats(self, label: Any, pred: Any) -> None:
        """Count labels (N,) against scores (N, classes); ``ValueError`` with more than two different labels."""
        label, pred = _numpy(label).astype("int32"), _numpy(pred)
        check_label_shapes(label, pred)
        label, chosen = label.ravel(), numpy.argmax(pred, axis=1)
        if len(numpy.unique(label)) > 2:
            raise ValueError(f"a binary metric got the labels {numpy.unique(label).tolist()}, expected two classes")
        counts = numpy.bincount(2 * (label == 1) + (chosen == 1), minlength=4)
        self.local += counts
        self.whole += counts

    def reset_stats(self) -> None:
        """Forget everything."""
        self.local, self.whole = numpy.zeros(4, "int64"), numpy.zeros(4, "int64")

    def local_reset_stats(self) -> None:
        """Forget the local counts."""
        self.local = numpy.zeros(4, "int64")

    true_negatives = property(lambda self: int(self.local[0]), doc="Others that were taken for others.")
    false_positives = property(lambda self: int(self.local[1]), doc="Others that were taken for class 1.")
    false_negatives = property(lambda self: int(self.local[2]), doc="Samples of class 1 that were taken for another.")
    true_positives = property(lambda self: int(self.local[3]), doc="Samples of class 1 that were found.")
    precision = property(lambda self: _precision_and_recall(self.local)[0], doc="The right share of what was found.")
    recall = property(lambda self: _precision_and_recall(self.local)[1], doc="The found share of class 1.")
    fscore = property(lambda self: _f1(self.local), doc="The harmonic mean of precision and recall.")
    global_fscore = property(lambda self: _f1(self.whole), doc="``fscore`` since ``reset_stats``.")
    total_examples = property(lambda self: int(self.local.sum()), doc="How many samples were counted.")
    global_total_examples = property(
        lambda self: int(self.whole.sum()), doc="``total_examples`` since ``reset_stats``."
    )

    def matthewscc(self, use_global: bool = False) -> float:
        """Matthews' correlation coefficient."""
        return _matthews(self.whole if use_global else self.local)


def _precision_and_recall(counts: numpy.ndarray) -> tuple[float, float]:
    _tn, fp, fn, tp = (float(count) for count in counts)
    return tp / (tp + fp) if tp + fp else 0.0, tp / (tp + fn) if tp + fn else 0.0


def _f1(counts: numpy.ndarray) -> float:
    precision, recall = _precision_and_recall(counts)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _matthews(counts: numpy.ndarray) -> float:
    tn, fp, fn, tp = (float(count) for count in counts)
    sums = (tp + fp, tp + fn, tn + fp, tn + fn)
    return (tp * tn - fp * fn) / math.sqrt(math.prod(term for term in sums if term))


class _Binary(EvalMetric):
    """A score of the confusion matrix: averaged over updates ('macro') or of all of them together ('micro')."""

    def __init__(self, name: str, output_names: Any, label_names: Any, average: str):
        self._average, self._metrics = average, _BinaryClassificationMetrics()
        super().__init__(name, output_names, label_names, has_global_stats=True)

    @staticmethod
    def _score(counts: numpy.ndarray) -> float:
        raise NotImplementedError("a binary metric must define its score")

    def update(self, labels: Any, preds: Any) -> None:
        labels, preds = check_label_shapes(labels, preds, True)
        for label, pred in zip(labels, preds):
            self._metrics.update_binary_stats(label, pred)
        local, whole = self._metrics.local, self._metrics.whole
        if self._average == "macro":
            self._add(self._score(local), 1)
            self._metrics.reset_stats()
        else:
            self.num_inst, self.global_num_inst = int(local.sum()), int(whole.sum())
            self.sum_metric = self._score(local) * self.num_inst
            self.global_sum_metric = self._score(whole) * self.global_num_inst

    def reset(self) -> None:
        super().reset()
        self._metrics.reset_stats()

    def reset_local(self) -> None:
        super().reset_local()
        self._metrics.local_reset_stats()


@register
class F1(_Binary):
    """The harmonic mean of precision and recall of class 1."""

    _score = staticmethod(_f1)

    def __init__(self, name: str = "f1", output_names: Any = None, label_names: Any = None, average: str = "macro"):
        super().__init__(name, output_names, label_names, average)
        self.average, self.metrics = average, self._metrics


@register
class MCC(_Binary):
    """Matthews' correlation coefficient of class 1."""

    _score = staticmethod(_matthews)

    def __init__(self, name: str = "mcc", output_names: Any = None, label_names: Any = None, average: str = "macro"):
        super().__init__(name, output_names, label_names, average)

    def reset(self) -> None:
        super().reset()
        self.num_inst, self.global_num_inst = 0.0, 0.0

    def reset_local(self) -> None:
        super().reset_local()
        self.num_inst = 0.0


def _picked(pred: numpy.ndarray, label: numpy.ndarray, axis: int) -> numpy.ndarray:
    """Of each sample the prediction for its label; labels out of range take the first or last class."""
    rows = numpy.moveaxis(pred, axis, -1)
    if rows.shape[:-1] != label.shape:
        raise ValueError(f"Perplexity: predictions {pred.shape} without axis {axis} do not match labels {label.shape}")
    places = label.astype("int32").clip(0, rows.shape[-1] - 1)
    return numpy.take_along_axis(rows, places[:, None], axis=1)[:, 0]


@register
class Perplexity(EvalMetric):
    """exp of the mean negative logarithm of the label's probability, labels equal to ``ignore_label`` left out."""

    def __init__(
        self,
        ignore_label: Any,
        axis: int = -1,
        name: str = "perplexity",
        output_names: Any = None,
        label_names: Any = None,
    ):
        super().__init__(name, output_names, label_names, ignore_label=ignore_label, has_global_stats=True)
        self.ignore_label, self.axis = ignore_label, axis

    def update(self, labels: Any, preds: Any) -> None:
        if len(labels) != len(preds):
            raise AssertionError(f"Perplexity: {len(labels)} labels for {len(preds)} predictions")
        loss = 0.0
        count: Any = 0
        for label, pred in zip(labels, preds):
            label, pred = _numpy(label).ravel(), _numpy(pred)
            if label.size * pred.shape[-1] != pred.size:
                raise AssertionError(f"Perplexity: {label.size} labels for predictions of shape {pred.shape}")
            chosen = _picked(pred, label, self.axis)
            if self.ignore_label is not None:
                ignored = label == self.ignore_label
                count -= float(ignored.sum())
                chosen = numpy.where(ignored, 1, chosen)
            loss -= float(numpy.log(numpy.maximum(1e-10, chosen)).sum())
            count += chosen.size
        self._add(loss, count)

    def get(self) -> tuple[Any, Any]:
        return self.name, math.exp(self.sum_metric / self.num_inst) if self.num_inst else float("nan")

    def get_global(self) -> tuple[Any, Any]:
        total, count = self.global_sum_metric, self.global_num_inst
        return self.name, math.exp(total / count) if count else float("nan")


class _Regression(EvalMetric):
    """A mean over each batch; one instance an update."""

    def __init__(self, name: str, output_names: Any, label_names: Any):
        super().__init__(name, output_names, label_names, has_global_stats=True)

    def _error(self, difference: numpy.ndarray) -> Any:
        """The error of a batch; ``difference`` may be overwritten."""
        raise NotImplementedError(f"{type(self).__name__} must define its error")

    def update(self, labels: Any, preds: Any) -> None:
        labels, preds = check_label_shapes(labels, preds, True)
        for label, pred in zip(labels, preds):
            label, pred = _numpy(label), _numpy(pred)
            label = label.reshape(-1, 1) if label.ndim == 1 else label
            pred = pred.reshape(-1, 1) if pred.ndim == 1 else pred
            difference = label - pred
            exact = (
                difference if difference.dtype.kind == "f" else difference.astype("float64")
            )  # squares of int8 overflow
            self._add(float(self._error(exact)), 1)


@register
class MAE(_Regression):
    """Mean absolute error."""

    def __init__(self, name: str = "mae", output_names: Any = None, label_names: Any = None):
        super().__init__(name, output_names, label_names)

    def _error(self, difference: numpy.ndarray) -> Any:
        return numpy.abs(difference, out=difference).mean()


@register
class MSE(_Regression):
    """Mean squared error."""

    def __init__(self, name: str = "mse", output_names: Any = None, label_names: Any = None):
        super().__init__(name, output_names, label_names)

    def _error(self, difference: numpy.ndarray) -> Any:
        return numpy.square(difference, out=difference).mean()


@register
class RMSE(_Regression):
    """Root of the mean squared error; the roots are averaged."""

    def __init__(self, name: str = "rmse", output_names: Any = None, label_names: Any = None):
        super().__init__(name, output_names, label_names)

    def _error(self, difference: numpy.ndarray) -> Any:
        return numpy.sqrt(numpy.square(difference, out=difference).mean())


class _LogLikelihood(EvalMetric):
    """Mean of -log(probability of the label + eps)."""

    def __init__(self, eps: float, name: str, output_names: Any, label_names: Any):
        super().__init__(name, output_names, label_names, eps=eps, has_global_stats=True)
        self.eps = eps

    def update(self, labels: Any, preds: Any) -> None:
        labels, preds = check_label_shapes(labels, preds, True)
        for label, pred in zip(labels, preds):
            label, pred = _numpy(label).ravel(), _numpy(pred)
            if label.shape[0] != pred.shape[0]:
                raise AssertionError(f"{self.name}: {label.shape[0]} labels for {pred.shape[0]} predictions")
            chosen = pred[numpy.arange(label.shape[0]), label.astype("int64")]
            self._add(float((-numpy.log(chosen + self.eps)).sum()), label.shape[0])


@register
@alias("ce")
class CrossEntropy(_LogLikelihood):
    """Cross entropy of predicted probabilities (N, classes) and labels (N,)."""

    def __init__(
        self, eps: float = 1e-12, name: str = "cross-entropy", output_names: Any = None, label_names: Any = None
    ):
        super().__init__(eps, name, output_names, label_names)


@register
@alias("nll_loss")
class NegativeLogLikelihood(_LogLikelihood):
    """Negative logarithm of the likelihood of labels (N,) under probabilities (N, classes)."""

    def __init__(self, eps: float = 1e-12, name: str = "nll-loss", output_names: Any = None, label_names: Any = None):
        super().__init__(eps, name, output_names, label_names)


@register
@alias("pearsonr")
class PearsonCorrelation(EvalMetric):
    """Pearson's correlation of labels and predictions: averaged over updates ('macro') or of all together ('micro')."""

    def __init__(
        self, name: str = "pearsonr", output_names: Any = None, label_names: Any = None, average: str = "macro"
    ):
        self.average = average
        super().__init__(name, output_names, label_names, has_global_stats=True)

    def reset(self) -> None:
        super().reset()
        self.reset_micro()

    def reset_micro(self) -> None:
        """Start the running sums of 'micro' anew."""
        self._labels: tuple[Any, Any, Any] = (0, 0.0, 0.0)  # count, mean, sum of squared distances from the mean
        self._preds: tuple[Any, Any, Any] = (0, 0.0, 0.0)
        self._products = 0.0

    def update_variance(self, new_values: numpy.ndarray, *aggregate: Any) -> tuple[Any, Any, Any]:
        """Take values into (count, mean, sum of squared distances from the mean), by Welford's formula."""
        count, mean, squares = aggregate
        count += len(new_values)
        moved = mean + float((new_values - mean).sum()) / count
        return count, moved, squares + float(((new_values - mean) * (new_values - moved)).sum())

    def update_cov(self, label: numpy.ndarray, pred: numpy.ndarray) -> None:
        """Take in the products of distances: of labels from their new mean, of predictions from the mean before."""
        self._products += float(((label - self._labels[1]) * (pred - self._preds[1])).sum())

    def update(self, labels: Any, preds: Any) -> None:
        labels, preds = check_label_shapes(labels, preds, True)
        for label, pred in zip(labels, preds):
            check_label_shapes(label, pred, False, True)
            label, pred = _numpy(label).ravel().astype("float64"), _numpy(pred).ravel().astype("float64")
            if self.average == "macro":
                self._add(float(numpy.corrcoef(pred, label)[0, 1]), 1)
            else:
                self._labels = self.update_variance(label, *self._labels)
                self.update_cov(label, pred)
                self._preds = self.update_variance(pred, *self._preds)
                self._add(0.0, 1)

    def _micro(self, count: int) -> tuple[Any, Any]:
        squares = math.sqrt(self._labels[2]) * math.sqrt(self._preds[2])
        return self.name, self._products / squares if count and squares else float("nan")

    def get(self) -> tuple[Any, Any]:
        return super().get() if self.average == "macro" else self._micro(self.num_inst)

    def get_global(self) -> tuple[Any, Any]:
        # Compat: the global value of 'micro' is 0 in the original, which never adds to the sum that it divides
        return super().get_global() if self.average == "macro" else self._micro(self.global_num_inst)


@register
class PCC(EvalMetric):
    """The correlation of several classes: Matthews' coefficient of the whole confusion matrix."""

    def __init__(
        self, name: str = "pcc", output_names: Any = None, label_names: Any = None, has_global_stats: bool = True
    ):
        self.k = 2
        self.lcm = self.gcm = numpy.zeros((2, 2), "int64")  # counts by prediction and label, local and global
        super().__init__(name, output_names, label_names, has_global_stats=has_global_stats)

    def _grown(self, matrix: numpy.ndarray) -> numpy.ndarray:
        return numpy.pad(matrix, [(0, self.k - matrix.shape[0])] * 2)

    def update(self, labels: Any, preds: Any) -> None:
        labels, preds = check_label_shapes(labels, preds, True)
        for label, pred in zip(labels, preds):
            label, pred = _numpy(label).astype("int32").ravel(), _numpy(pred)
            pred = numpy.argmax(pred, axis=1) if pred.shape != label.shape else pred.astype("int32")
            self.k = max(self.k, int(pred.max()) + 1, int(label.max()) + 1)
            self.lcm, self.gcm = self._grown(self.lcm), self._grown(self.gcm)
            counts = numpy.zeros_like(self.lcm)
            numpy.add.at(counts, (pred, label), 1)
            self.lcm += counts
            self.gcm += counts
        self.num_inst += 1
        self.global_num_inst += 1

    @staticmethod
    def _correlation(matrix: numpy.ndarray) -> float:
        n = matrix.sum()
        rows, columns = matrix.sum(axis=1), matrix.sum(axis=0)
        variances = float((rows * (n - rows)).sum()) * float((columns * (n - columns)).sum())
        covariance = float((matrix.diagonal() * n - rows * columns).sum())
        return covariance / math.sqrt(variances) if variances else float("nan")

    sum_metric = property(  # type: ignore[assignment]
        lambda self: self._correlation(self.lcm) * self.num_inst, doc="The correlation times the number of updates."
    )
    global_sum_metric = property(  # type: ignore[assignment]
        lambda self: self._correlation(self.gcm) * self.global_num_inst, doc="``sum_metric`` since ``reset``."
    )

    def reset(self) -> None:
        self.global_num_inst, self.gcm = 0.0, numpy.zeros((self.k, self.k), "int64")
        self.reset_local()

    def reset_local(self) -> None:
        self.num_inst, self.lcm = 0.0, numpy.zeros((self.k, self.k), "int64")


@register
class Loss(EvalMetric):
    """The mean of all outputs; labels are not looked at."""

    def __init__(self, name: str = "loss", output_names: Any = None, label_names: Any = None):
        super().__init__(name, output_names, label_names, has_global_stats=True)

    def update(self, _: Any, preds: Any) -> None:
        for pred in [preds] if isinstance(preds, NDArray) else preds:
            self._add(float(_numpy(pred).sum()), pred.size)


@register
class Torch(Loss):
    """The mean of all outputs, under another name."""

    def __init__(self, name: str = "torch", output_names: Any = None, label_names: Any = None):
        super().__init__(name, output_names, label_names)


@register
class Caffe(Loss):
    """The mean of all outputs, under another name."""

    def __init__(self, name: str = "caffe", output_names: Any = None, label_names: Any = None):
        super().__init__(name, output_names, label_names)


@register
class CustomMetric(EvalMetric):
    """``feval(label, pred)`` on numpy arrays, giving a number or (sum, number of instances)."""

    def __init__(
        self,
        feval: Callable,
        name: str | None = None,
        allow_extra_outputs: bool = False,
        output_names: Any = None,
        label_names: Any = None,
    ):
        if name is None:
            name = feval.__name__
            name = f"custom({name})" if "<" in name else name
        super().__init__(
            name, output_names, label_names, feval=feval, allow_extra_outputs=allow_extra_outputs, has_global_stats=True
        )
        self._feval, self._allow_extra_outputs = feval, allow_extra_outputs

    def update(self, labels: Any, preds: Any) -> None:
        if not self._allow_extra_outputs:
            labels, preds = check_label_shapes(labels, preds, True)
        for pred, label in zip(preds, labels):
            found = self._feval(numpy.array(_numpy(label)), numpy.array(_numpy(pred)))  # which may write them
            total, count = found if isinstance(found, tuple) else (found, 1)
            self._add(total, count)

    def get_config(self) -> dict[str, Any]:
        raise NotImplementedError(f"CustomMetric {self.name}: a function has no configuration to write down")


def np(numpy_feval: Callable, name: str | None = None, allow_extra_outputs: bool = False) -> CustomMetric:
    """The custom metric of a function on numpy arrays, named after it."""

    def feval(label: Any, pred: Any) -> Any:
        return numpy_feval(label, pred)

    feval.__name__ = numpy_feval.__name__
    return CustomMetric(feval, name, allow_extra_outputs)
