"""Monitor: statistics of every node's output during training (public path: ``mxnet.monitor``)."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from math import sqrt
from typing import Any

from mxcompat.base import py_str
from mxcompat.ndarray import NDArray, norm

__all__ = ["Monitor"]


def _mean_magnitude(array: NDArray) -> NDArray:
    """The Euclidean norm over the root of the size."""
    return norm(array) / sqrt(array.size)


class Monitor:
    """Collects ``stat_func(array)`` of outputs and arguments whose names match ``pattern``, every ``interval`` batches.

    With ``sort`` the result is ordered by name; with ``monitor_all`` inputs of nodes are watched too.
    """

    def __init__(
        self,
        interval: int,
        stat_func: Callable | None = None,
        pattern: str = ".*",
        sort: bool = False,
        monitor_all: bool = False,
    ):
        self.stat_func = stat_func or _mean_magnitude
        self.interval, self.sort, self.monitor_all = interval, sort, monitor_all
        self.activated = False
        self.queue: list[tuple[int, str, Any]] = []
        self.step = 0
        self.exes: list[Any] = []
        self.re_prog = re.compile(pattern)

    def stat_helper(self, name: Any, array: Any) -> None:
        """What an executor calls for every array it shows."""
        name = py_str(name)
        if self.activated and self.re_prog.match(name):
            self.queue.append((self.step, name, self.stat_func(NDArray(array, writable=False))))

    def install(self, exe: Any) -> None:
        """Watch an executor."""
        exe.set_monitor_callback(self.stat_helper, self.monitor_all)
        self.exes.append(exe)

    def tic(self) -> None:
        """Begin a batch; it is watched when its number is a multiple of the interval."""
        if self.step % self.interval == 0:
            for exe in self.exes:
                for array in exe.arg_arrays:
                    array.wait_to_read()
            self.queue = []
            self.activated = True
        self.step += 1

    def toc(self) -> list[tuple[int, str, str]]:
        """End a batch: (step, name, statistic as text) of what was collected, arguments last."""
        if not self.activated:
            return []
        for exe in self.exes:
            for name, array in (*zip(exe._symbol.list_arguments(), exe.arg_arrays), *exe.aux_dict.items()):
                if self.re_prog.match(name):
                    self.queue.append((self.step, name, self.stat_func(array)))
        self.activated = False
        queue = sorted(self.queue, key=lambda entry: entry[1]) if self.sort else self.queue
        result = [(step, name, self._text(values)) for step, name, values in queue]
        self.queue = []
        return result

    @staticmethod
    def _text(values: Any) -> str:
        values = values if isinstance(values, list) else [values]
        text = ""
        for value in values:
            if not isinstance(value, NDArray):
                raise AssertionError(f"a statistic must be an NDArray, found {type(value)}")
            text += (str(value.asscalar()) if value.shape in ((1,), ()) else str(value.asnumpy())) + "\t"
        return text

    def toc_print(self) -> None:
        """End a batch and log what was collected."""
        for step, name, text in self.toc():
            logging.info("Batch: %7d %-30s %s", step, name, text)
