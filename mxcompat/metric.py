"""Evaluation metrics (public path: ``mxnet.metric``). Values are Python floats, so that logs read as they did."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy

from mxcompat import registry
from mxcompat.ndarray import NDArray

__all__ = ["Accuracy", "Caffe", "CompositeEvalMetric", "CrossEntropy", "CustomMetric", "EvalMetric", "F1", "Loss", "MAE"]
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
    return array.asnumpy() if hasattr(array, "asnumpy") else numpy.asarray(array)


def _ratio(total: Any, count: Any) -> float:
    return float(total) / float(count) if count else float("nan")


class EvalMetric:
    """Base class: a sum and a number of instances, since the last ``reset`` and since ``reset_local``."""

    def __init__(
        self, name: Any, output_names: Sequence[str] | None = None, label_names: Sequence[str] | None = None, **kwargs: Any
    ):
        self.name = str(name)
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
        raise TypeError(f"{type(self).__name__} must define update")

    def _add(self, total: Any, count: Any) -> None:
        """Add to the sums and to the numbers of instances, local and global."""
        self.sum_metric += total
        self.global_sum_metric += total
        self.num_inst += count
        self.global_num_inst += count

    def reset(self) -> None:
        """Start anew."""
        self.num_inst: Any = 0
        self.sum_metric: Any = 0.0
        self.global_num_inst: Any = 0
        self.global_sum_metric: Any = 0.0

    def reset_local(self) -> None:
        """Start the local statistics anew; the global ones go on."""
        self.num_inst, self.sum_metric = 0, 0.0

    def get(self) -> tuple[Any, Any]:
        """Name and value; nan before the first update."""
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

    def __init__(
        self, metrics: Any = None, name: str = "composite", output_names: Any = None, label_names: Any = None
    ):
        super().__init__(name, output_names, label_names, has_global_stats=True)
        self.metrics = [create(metric) for metric in metrics or []]

    def add(self, metric: Any) -> None:
        """Append a metric."""
        self.metrics.append(create(metric))

    def get_metric(self, index: int) -> Any:
        """The metric at a place."""
        if 0 <= index < len(self.metrics):
            return self.metrics[index]
        return ValueError(f"Metric index {index} is out of range 0 and {len(self.metrics)}")

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
            names.extend([name] if isinstance(name, str) else name)
            values.extend([value] if isinstance(value, (float, int, numpy.generic)) else value)
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
            if pred.shape != label.shape:
                pred = numpy.argmax(pred, axis=self.axis)
            label, pred = label.astype("int32").ravel(), pred.astype("int32").ravel()
            check_label_shapes(label, pred)
            self._add(int((pred == label).sum()), len(pred))


@register
@alias("top_k_accuracy", "top_k_acc")
class TopKAccuracy(EvalMetric):
    """The share of labels among the ``top_k`` largest predictions."""

    def __init__(
        self, top_k: int = 1, name: str = "top_k_accuracy", output_names: Any = None, label_names: Any = None
    ):
        super().__init__(name, output_names, label_names, top_k=top_k, has_global_stats=True)
        if top_k <= 1:
            raise AssertionError("Please use Accuracy if top_k is no more than 1")
        self.top_k = top_k
        self.name += f"_{top_k}"

    def update(self, labels: Any, preds: Any) -> None:
        labels, preds = check_label_shapes(labels, preds, True)
        for label, pred in zip(labels, preds):
            label, pred = _numpy(label).astype("int32"), _numpy(pred).astype("float32")
            if pred.ndim > 2:
                raise AssertionError("Predictions should be no more than 2 dims")
            check_label_shapes(label, pred)
            if pred.ndim == 1:
                self._add(int((numpy.argsort(pred, kind="stable") == label).sum()), len(label))
                continue
            count = min(self.top_k, pred.shape[1])
            best = numpy.argpartition(pred, pred.shape[1] - count, axis=1)[:, -count:]
            self._add(int((best == label.reshape(-1, 1)).sum()), pred.shape[0])


def _confusion(label: numpy.ndarray, pred: numpy.ndarray, what: str) -> numpy.ndarray:
    """True positives, false positives, false negatives, true negatives of a binary classification."""
    check_label_shapes(label, pred)
    label = label.astype("int32").ravel()
    if len(numpy.unique(label)) > 2:
        raise ValueError(f"{what} currently only supports binary classification.")
    chosen = numpy.argmax(pred, axis=1)
    right, yes = chosen == label, chosen == 1
    return numpy.array([(right & yes).sum(), (~right & yes).sum(), (~right & ~yes).sum(), (right & ~yes).sum()])


def _f1(counts: numpy.ndarray) -> float:
    tp, fp, fn, _tn = (float(x) for x in counts)
    precision = tp / (tp + fp) if tp + fp else 0.0
    recall = tp / (tp + fn) if tp + fn else 0.0
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _matthews(counts: numpy.ndarray) -> float:
    tp, fp, fn, tn = (float(x) for x in counts)
    denominator = 1.0
    for term in (tp + fp, tp + fn, tn + fp, tn + fn):
        denominator *= term if term else 1.0
    return (tp * tn - fp * fn) / math.sqrt(denominator)


class _Binary(EvalMetric):
    """A score of the confusion matrix: averaged over updates ('macro') or of all of them together ('micro')."""

    _score: Callable[[numpy.ndarray], float]
    _title = ""

    def __init__(self, name: str, output_names: Any, label_names: Any, average: str):
        self.average = average
        super().__init__(name, output_names, label_names, has_global_stats=True)

    def update(self, labels: Any, preds: Any) -> None:
        labels, preds = check_label_shapes(labels, preds, True)
        for label, pred in zip(labels, preds):
            counts = _confusion(_numpy(label), _numpy(pred), self._title)
            self._counts += counts
            self._global_counts += counts
        score = type(self)._score
        if self.average == "macro":
            self._add(score(self._counts), 1)
            self._counts[:] = 0
            self._global_counts[:] = 0
        else:
            self.sum_metric = score(self._counts) * self._counts.sum()
            self.global_sum_metric = score(self._global_counts) * self._global_counts.sum()
            self.num_inst, self.global_num_inst = int(self._counts.sum()), int(self._global_counts.sum())

    def reset(self) -> None:
        super().reset()
        self._counts, self._global_counts = numpy.zeros(4, "int64"), numpy.zeros(4, "int64")

    def reset_local(self) -> None:
        super().reset_local()
        self._counts = numpy.zeros(4, "int64")


@register
class F1(_Binary):
    """The harmonic mean of precision and recall of class 1."""

    _score = staticmethod(_f1)
    _title = "F1"

    def __init__(self, name: str = "f1", output_names: Any = None, label_names: Any = None, average: str = "macro"):
        super().__init__(name, output_names, label_names, average)


@register
class MCC(_Binary):
    """Matthews' correlation coefficient of class 1."""

    _score = staticmethod(_matthews)
    _title = "MCC"

    def __init__(self, name: str = "mcc", output_names: Any = None, label_names: Any = None, average: str = "macro"):
        super().__init__(name, output_names, label_names, average)


@register
class Perplexity(EvalMetric):
    """exp of the mean negative logarithm of the label's probability, labels equal to ``ignore_label`` left out."""

    def __init__(
        self, ignore_label: Any, axis: int = -1, name: str = "perplexity", output_names: Any = None, label_names: Any = None
    ):
        super().__init__(name, output_names, label_names, ignore_label=ignore_label, has_global_stats=True)
        self.ignore_label, self.axis = ignore_label, axis

    def update(self, labels: Any, preds: Any) -> None:
        if len(labels) != len(preds):
            raise AssertionError(f"{len(labels)} labels for {len(preds)} predictions")
        for label, pred in zip(labels, preds):
            label, pred = _numpy(label), _numpy(pred)
            if label.size != pred.size / pred.shape[-1]:
                raise AssertionError(f"shape mismatch: {label.shape} vs. {pred.shape}")
            label = label.astype("int32").ravel()
            chosen = numpy.take_along_axis(
                pred.reshape(-1, pred.shape[-1]), label.clip(0, pred.shape[-1] - 1)[:, None], axis=1
            )[:, 0]
            count = label.size
            if self.ignore_label is not None:
                ignored = label == self.ignore_label
                count -= int(ignored.sum())
                chosen = numpy.where(ignored, 1, chosen)
            loss = -numpy.log(numpy.maximum(1e-10, chosen)).sum()
            self._add(float(loss), count)

    def get(self) -> tuple[Any, Any]:
        return self.name, math.exp(_ratio(self.sum_metric, self.num_inst)) if self.num_inst else float("nan")

    def get_global(self) -> tuple[Any, Any]:
        mean = _ratio(self.global_sum_metric, self.global_num_inst)
        return self.name, math.exp(mean) if self.global_num_inst else float("nan")


class _Regression(EvalMetric):
    """A mean over each batch; one instance an update."""

    def __init__(self, name: str, output_names: Any, label_names: Any):
        super().__init__(name, output_names, label_names, has_global_stats=True)

    def _error(self, difference: numpy.ndarray) -> Any:
        raise TypeError(f"{type(self).__name__} must define its error")

    def update(self, labels: Any, preds: Any) -> None:
        labels, preds = check_label_shapes(labels, preds, True)
        for label, pred in zip(labels, preds):
            label, pred = _numpy(label), _numpy(pred)
            label = label.reshape(-1, 1) if label.ndim == 1 else label
            pred = pred.reshape(-1, 1) if pred.ndim == 1 else pred
            self._add(float(self._error(label - pred)), 1)


@register
class MAE(_Regression):
    """Mean absolute error."""

    def __init__(self, name: str = "mae", output_names: Any = None, label_names: Any = None):
        super().__init__(name, output_names, label_names)

    def _error(self, difference: numpy.ndarray) -> Any:
        return numpy.abs(difference).mean()


@register
class MSE(_Regression):
    """Mean squared error."""

    def __init__(self, name: str = "mse", output_names: Any = None, label_names: Any = None):
        super().__init__(name, output_names, label_names)

    def _error(self, difference: numpy.ndarray) -> Any:
        return (difference**2.0).mean()


@register
class RMSE(_Regression):
    """Root of the mean squared error; the roots are averaged."""

    def __init__(self, name: str = "rmse", output_names: Any = None, label_names: Any = None):
        super().__init__(name, output_names, label_names)

    def _error(self, difference: numpy.ndarray) -> Any:
        return numpy.sqrt((difference**2.0).mean())


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
                raise AssertionError(f"{label.shape[0]} labels for {pred.shape[0]} predictions")
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
        self._moments = numpy.zeros(6)  # count, sums of label, prediction, their squares and their product

    def update(self, labels: Any, preds: Any) -> None:
        labels, preds = check_label_shapes(labels, preds, True)
        for label, pred in zip(labels, preds):
            check_label_shapes(label, pred, False, True)
            x, y = _numpy(label).ravel().astype("float64"), _numpy(pred).ravel().astype("float64")
            if self.average == "macro":
                self._add(float(numpy.corrcoef(y, x)[0, 1]), 1)
            else:
                self._moments += [x.size, x.sum(), y.sum(), (x * x).sum(), (y * y).sum(), (x * y).sum()]
                self.num_inst += 1
                self.global_num_inst += 1

    def get(self) -> tuple[Any, Any]:
        if self.average == "macro" or self.num_inst == 0:
            return super().get()
        n, sx, sy, sxx, syy, sxy = self._moments
        covariance = sxy - sx * sy / n
        return self.name, float(covariance / math.sqrt((sxx - sx * sx / n) * (syy - sy * sy / n)))

    get_global = get


@register
class PCC(EvalMetric):
    """The correlation of several classes: Matthews' coefficient of the whole confusion matrix."""

    def __init__(
        self, name: str = "pcc", output_names: Any = None, label_names: Any = None, has_global_stats: bool = True
    ):
        self.k = 2
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
        cov_xx, cov_yy = (rows * (n - rows)).sum(), (columns * (n - columns)).sum()
        if cov_xx == 0 or cov_yy == 0:
            return float("nan")
        return float((matrix.diagonal() * n - rows * columns).sum() / math.sqrt(float(cov_xx) * float(cov_yy)))

    def get(self) -> tuple[Any, Any]:
        return self.name, self._correlation(self.lcm) if self.num_inst else float("nan")

    def get_global(self) -> tuple[Any, Any]:
        return self.name, self._correlation(self.gcm) if self.global_num_inst else float("nan")

    def reset(self) -> None:
        super().reset()
        self.gcm = numpy.zeros((self.k, self.k), "int64")
        self.lcm = numpy.zeros((self.k, self.k), "int64")

    def reset_local(self) -> None:
        super().reset_local()
        self.lcm = numpy.zeros((self.k, self.k), "int64")


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
            if name.find("<") != -1:
                name = f"custom({name})"
        super().__init__(name, output_names, label_names, feval=feval, allow_extra_outputs=allow_extra_outputs)
        self._has_global_stats = True
        self._feval, self._allow_extra_outputs = feval, allow_extra_outputs

    def update(self, labels: Any, preds: Any) -> None:
        if not self._allow_extra_outputs:
            labels, preds = check_label_shapes(labels, preds, True)
        for pred, label in zip(preds, labels):
            found = self._feval(_numpy(label), _numpy(pred))
            total, count = found if isinstance(found, tuple) else (found, 1)
            self._add(total, count)

    def get_config(self) -> dict[str, Any]:
        raise NotImplementedError("CustomMetric cannot be serialized")


def np(numpy_feval: Callable, name: str | None = None, allow_extra_outputs: bool = False) -> CustomMetric:
    """The custom metric of a function on numpy arrays, named after it."""

    def feval(label: Any, pred: Any) -> Any:
        return numpy_feval(label, pred)

    feval.__name__ = numpy_feval.__name__
    return CustomMetric(feval, name, allow_extra_outputs)
