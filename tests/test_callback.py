"""Callbacks: log lines are MXNet's to the letter (semantics.md, 175 to 177)."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest

import mxcompat as mx
from mxcompat import callback
from tests.training.callback_cases import CASES as RECORDED_CASES
from tests.training.observing import differences, recorded

nd = mx.nd


class Param:
    def __init__(self, nbatch: int, metric: Any, epoch: int = 0):
        self.epoch, self.nbatch, self.eval_metric, self.locals = epoch, nbatch, metric, None


def accuracy() -> Any:
    metric = mx.metric.Accuracy()
    metric.update([nd.array([0])], [nd.array([[0.9, 0.1]])])
    return metric


def test_speedometer(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        meter, metric = callback.Speedometer(4, 1), accuracy()
        for i in range(3):
            meter(Param(i, metric))
        callback_without_reset = callback.Speedometer(4, 1, auto_reset=False)
        for i in range(2):
            callback_without_reset(Param(i, accuracy()))
    lines = [re.sub(r"Speed: [\d.]+|Speed: inf", "Speed: S", record.getMessage()) for record in caplog.records]
    assert lines == [
        "Epoch[0] Batch [0-1]\tSpeed: S samples/sec\taccuracy=1.000000",
        "Epoch[0] Batch [1-2]\tSpeed: S samples/sec\taccuracy=nan",
        "Epoch[0] Batch [0-1]\tSpeed: S samples/sec\taccuracy=1.000000",
    ]


def test_log_train_metric_and_validation(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        callback.log_train_metric(1)(Param(0, accuracy()))
        callback.LogValidationMetricsCallback()(Param(0, accuracy(), epoch=2))
    assert [r.getMessage() for r in caplog.records] == [
        "Iter[0] Batch[0] Train-accuracy=1.000000",
        "Epoch[2] Validation-accuracy=1.000000",
    ]


def test_do_checkpoint(tmp_path: Any, caplog: pytest.LogCaptureFixture) -> None:
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=1, name="fc")
    save = callback.do_checkpoint(str(tmp_path / "k"), period=2)
    with caplog.at_level(logging.INFO):
        for epoch in range(3):
            save(epoch, net, {"fc_weight": nd.ones((1, 2))}, {"m": nd.zeros((1,))})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["k-0002.params", "k-symbol.json"]
    assert [r.getMessage() for r in caplog.records] == [f'Saved checkpoint to "{tmp_path}/k-0002.params"']
    assert sorted(nd.load(str(tmp_path / "k-0002.params"))) == ["arg:fc_weight", "aux:m"]


def test_progress_bar(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        callback.ProgressBar(4, 8)(Param(1, None))
    assert caplog.records[0].getMessage() == "[==------] 25%\r"


RECORDED = recorded("callback")


@pytest.mark.parametrize("name", RECORDED_CASES)
def test_as_recorded(name: str) -> None:
    assert differences(RECORDED_CASES[name](mx), RECORDED[name]) == []
