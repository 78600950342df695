"""Metrics for TensorBoard, with a writer that stands for the real ones."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import mxcompat as mx
from mxcompat.contrib import tensorboard
from tests import api_walk

MODULES = ("mxboard", "torch.utils.tensorboard", "tensorboardX")


class Writer:
    def __init__(self, folder: str):
        self.folder, self.scalars = folder, []  # type: ignore[var-annotated]

    def add_scalar(self, name: str, value: float, global_step: int) -> None:
        self.scalars.append((name, value, global_step))


def test_names_and_signatures() -> None:
    api_walk.check(["mx.contrib.tensorboard"], {})


@pytest.mark.parametrize("installed", MODULES)
def test_metrics_are_written(installed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in MODULES:
        monkeypatch.setitem(sys.modules, name, None)
    module: Any = ModuleType(installed)
    module.SummaryWriter = Writer
    monkeypatch.setitem(sys.modules, installed, module)
    metric = mx.metric.create(["acc", "mse"])
    metric.update([mx.nd.array([0])], [mx.nd.array([[0.9, 0.1]])])
    for prefix, names in ((None, ["accuracy", "mse"]), ("train", ["train-accuracy", "train-mse"])):
        callback = tensorboard.LogMetricsCallback("logs", prefix)
        callback(SimpleNamespace(eval_metric=None, epoch=1))
        callback(SimpleNamespace(eval_metric=metric, epoch=2))
        assert callback.summary_writer.folder == "logs"
        assert [(name, step) for name, _, step in callback.summary_writer.scalars] == [(name, 2) for name in names]
        assert callback.summary_writer.scalars[0][1] == 1.0


def test_no_writer(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in MODULES:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"pip install 'mxcompat\[tensorboard\]'"):
        tensorboard.LogMetricsCallback("logs")
