"""Callbacks: their log lines and files (runs on real MXNet, too)."""

from __future__ import annotations

import os
import tempfile

from tests.training.observing import logged


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
    for callback in (
        mx.callback.module_checkpoint(Saving(), "p", 2, True),
        mx.callback.module_checkpoint(Saving(), "q"),
    ):
        for epoch in range(3):
            callback(epoch)
            callback(epoch, None, {}, {})
    return [lines, files, names, calls]


CASES = {"speedometer": _speedometer, "other callbacks": _other_callbacks, "checkpoints": _checkpoints}
