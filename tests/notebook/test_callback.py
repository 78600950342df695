"""Training logs as data frames; a small stand-in plays pandas where that is not installed."""

from __future__ import annotations

import sys
from datetime import timedelta
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import mxcompat as mx
from mxcompat.notebook import callback


class Frame:
    """As much of a DataFrame as the logger uses."""

    def __init__(self) -> None:
        self.columns: list[str] = []
        self.rows: list[list] = []
        self.loc = self

    def __len__(self) -> int:
        return len(self.rows)

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(key, str):
            self.columns.append(key)
            for row in self.rows:
                row.append(value)
        else:
            assert key == len(self.rows) and len(value) == len(self.columns)
            self.rows.append(value)

    def __getitem__(self, name: str) -> list:
        return [row[self.columns.index(name)] for row in self.rows]


@pytest.fixture
def pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = ModuleType("pandas")
    module.DataFrame = Frame
    monkeypatch.setitem(sys.modules, "pandas", module)


def param(nbatch: int, metric: Any = None, epoch: int = 0) -> SimpleNamespace:
    return SimpleNamespace(epoch=epoch, nbatch=nbatch, eval_metric=metric, locals=None)


def accuracy() -> Any:
    metric = mx.metric.Accuracy()
    metric.update([mx.nd.array([0])], [mx.nd.array([[0.9, 0.1]])])
    return metric


def test_frames(pandas: None) -> None:
    logger = callback.PandasLogger(batch_size=4, frequent=2)
    metric = accuracy()
    for batch in range(4):
        logger.train_cb(param(batch, metric if batch == 2 else None))
    logger.eval_cb(param(3, accuracy(), epoch=1))
    logger.epoch_cb(0, None, {}, {})
    assert list(logger.train_df["minibatch_count"]) == [0, 2]
    assert list(logger.train_df["accuracy"]) == [None, 1.0]
    assert metric.num_inst == 0
    names = ["accuracy", "batches_per_sec", "records_per_sec", "elapsed", "minibatch_count", "epoch"]
    assert list(logger.eval_df.columns) == names and list(logger.eval_df["epoch"]) == [1]
    assert list(logger.epoch_df.columns) == ["elapsed", "epoch_time"]
    assert all(isinstance(value, timedelta) for value in logger.epoch_df["epoch_time"])
    assert logger.eval_df["batches_per_sec"][0] == 4 * logger.eval_df["records_per_sec"][0]
    assert set(logger.all_dataframes) == {"train", "eval", "epoch"}


def test_callbacks_of_a_fit(pandas: None) -> None:
    loggers = [callback.PandasLogger(2, frequent=1) for _ in range(2)]
    data = mx.io.NDArrayIter(mx.nd.arange(16).reshape((8, 2)), mx.nd.array([0, 1] * 4), 2)
    net = mx.sym.SoftmaxOutput(mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=2), name="softmax")
    mx.mod.Module(net).fit(data, data, num_epoch=2, **callback.args_wrapper(*loggers))
    for logger in loggers:
        assert [len(frame) for frame in (logger.train_df, logger.eval_df, logger.epoch_df)] == [8, 2, 2]


def test_missing_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"mxcompat\[notebook\]"):
        callback.PandasLogger(4)


def test_charts_are_not_here() -> None:
    with pytest.raises(mx.MXNetError, match="no notebook.callback.LiveLearningCurve"):
        _ = mx.notebook.callback.LiveLearningCurve
    with pytest.raises(AttributeError):
        _ = mx.notebook.callback.nothing
