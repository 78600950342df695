"""Monitor: what it collects of a small net (runs on real MXNet, too)."""

from __future__ import annotations

import re

import numpy as np

from tests.training.observing import attempt, logged


def _net(mx):
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), mx.sym.Variable("kernel"), num_hidden=3, name="fc1")
    return mx.sym.SoftmaxOutput(mx.sym.BatchNorm(net, name="bn", fix_gamma=False), name="softmax")


def _watched(mx, steps=3, is_train=True, **params):
    params.setdefault("interval", 1)
    monitor, found = mx.mon.Monitor(**params), []
    exe = _net(mx).simple_bind(mx.cpu(), data=(5, 4))
    for index, array in enumerate(exe.arg_arrays[:-1]):
        array[:] = (np.arange(array.size) ** 2 % 7).reshape(array.shape) * 0.25 + index
    exe.aux_dict["bn_moving_var"][:] = 1
    monitor.install(exe)
    for _ in range(steps):
        monitor.tic()
        exe.forward(is_train=is_train)
        if is_train:
            exe.backward()
        found.append([[step, name, _split(text)] for step, name, text in monitor.toc()])
    return found


def _split(text):
    """A text without its numbers, and the numbers."""
    number = r"-?\d+\.\d*(?:e[+-]?\d+)?"
    return [re.sub(number, "#", text), [float(found) for found in re.findall(number, text)]]


CASES = {
    "outputs": lambda mx: _watched(mx, pattern=".*output"),
    "inference": lambda mx: _watched(mx, is_train=False),
    "everything": lambda mx: _watched(mx, 1, is_train=False, monitor_all=True, sort=True),
    "parameters": lambda mx: _watched(mx, pattern="fc1_(weight|bias)|bn_beta", interval=2),
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
