"""Callbacks of a training loop (public path: ``mxnet.callback``). Log lines are the original's to the letter."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from typing import Any

from mxcompat.ndarray import NDArray, save

__all__ = ["LogValidationMetricsCallback", "ProgressBar", "Speedometer", "do_checkpoint", "log_train_metric"]
__all__ += ["module_checkpoint"]


def module_checkpoint(mod: Any, prefix: str, period: int = 1, save_optimizer_states: bool = False) -> Callable:
    """An epoch-end callback that lets a module save itself every ``period`` epochs."""
    period = int(max(1, period))

    def _callback(iter_no: int, sym: Any = None, arg: Any = None, aux: Any = None) -> None:
        if (iter_no + 1) % period == 0:
            mod.save_checkpoint(prefix, iter_no + 1, save_optimizer_states)

    return _callback


def do_checkpoint(prefix: str, period: int = 1) -> Callable:
    """An epoch-end callback that saves symbol and parameters every ``period`` epochs, numbered from 1."""
    period = int(max(1, period))

    def _callback(iter_no: int, sym: Any, arg: dict[str, NDArray], aux: dict[str, NDArray]) -> None:
        if (iter_no + 1) % period == 0:
            save_checkpoint(prefix, iter_no + 1, sym, arg, aux)

    return _callback


def save_checkpoint(
    prefix: str,
    epoch: int,
    symbol: Any,
    arg_params: dict[str, NDArray],
    aux_params: dict[str, NDArray],
    remove_amp_cast: bool = True,
) -> None:
    """Write ``prefix-symbol.json`` and ``prefix-%04d.params`` (names with ``arg:`` and ``aux:``)."""
    if symbol is not None:
        symbol.save(f"{prefix}-symbol.json", remove_amp_cast=remove_amp_cast)
    arrays = {f"arg:{name}": value for name, value in arg_params.items()}
    arrays.update({f"aux:{name}": value for name, value in aux_params.items()})
    path = f"{prefix}-{epoch:04d}.params"
    save(path, arrays)
    logging.info('Saved checkpoint to "%s"', path)


def log_train_metric(period: int, auto_reset: bool = False) -> Callable:
    """A batch-end callback that logs the training metric every ``period`` batches."""

    def _callback(param: Any) -> None:
        if param.nbatch % period == 0 and param.eval_metric is not None:
            for name, value in param.eval_metric.get_name_value():
                logging.info("Iter[%d] Batch[%d] Train-%s=%f", param.epoch, param.nbatch, name, value)
            if auto_reset:
                param.eval_metric.reset_local()

    return _callback


class Speedometer:
    """A batch-end callback that logs samples a second and the metric every ``frequent`` batches."""

    def __init__(self, batch_size: int, frequent: int = 50, auto_reset: bool = True):
        self.batch_size, self.frequent, self.auto_reset = batch_size, frequent, auto_reset
        self.init = False
        self.tic: float = 0
        self.last_count = 0

    def __call__(self, param: Any) -> None:
        count = param.nbatch
        if self.last_count > count:
            self.init = False
        self.last_count = count
        if not self.init:
            self.init = True
            self.tic = time.time()
            return
        if count % self.frequent:
            return
        elapsed = time.time() - self.tic
        speed = self.frequent * self.batch_size / elapsed if elapsed else float("inf")
        if param.eval_metric is None:
            logging.info("Iter[%d] Batch [%d]\tSpeed: %.2f samples/sec", param.epoch, count, speed)
        else:
            pairs = param.eval_metric.get_name_value()
            values = "\t%s=%f" * len(pairs)
            flat = [item for pair in pairs for item in pair]
            if self.auto_reset:
                param.eval_metric.reset_local()
                text = "Epoch[%d] Batch [%d-%d]\tSpeed: %.2f samples/sec" + values
                logging.info(text, param.epoch, count - self.frequent, count, speed, *flat)
            else:
                text = "Epoch[%d] Batch [0-%d]\tSpeed: %.2f samples/sec" + values
                logging.info(text, param.epoch, count, speed, *flat)
        self.tic = time.time()


class ProgressBar:
    """A batch-end callback that logs a bar of ``length`` characters for ``total`` batches."""

    def __init__(self, total: int, length: int = 80):
        self.bar_len, self.total = length, total

    def __call__(self, param: Any) -> None:
        filled = int(round(self.bar_len * param.nbatch / float(self.total)))
        percent = math.ceil(100.0 * param.nbatch / float(self.total))
        bar = "=" * filled + "-" * (self.bar_len - filled)
        logging.info("[%s] %s%s\r", bar, percent, "%")


class LogValidationMetricsCallback:
    """An evaluation-end callback that logs the validation metric."""

    def __call__(self, param: Any) -> None:
        if not param.eval_metric:
            return
        for name, value in param.eval_metric.get_name_value():
            logging.info("Epoch[%d] Validation-%s=%f", param.epoch, name, value)
