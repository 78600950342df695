"""Metrics for TensorBoard (public path: ``mxnet.contrib.tensorboard``)."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["LogMetricsCallback"]

#: packages with a ``SummaryWriter``, and what installs them
_WRITERS = {"mxboard": "mxboard", "torch.utils.tensorboard": "tensorboard", "tensorboardX": "tensorboardX"}


def _summary_writer(folder: str) -> Any:
    for module in _WRITERS:
        try:
            return importlib.import_module(module).SummaryWriter(folder)
        except ImportError:
            continue
    raise ImportError(
        "LogMetricsCallback needs a package that writes TensorBoard files: pip install 'mxcompat[tensorboard]' "
        f"(or one of {', '.join(_WRITERS.values())})"
    )


class LogMetricsCallback:
    """A batch-end or evaluation-end callback that writes each metric as a scalar of the epoch into ``logging_dir``.

    ``prefix`` and a dash go before the names. ``ImportError`` when no package that can write is installed (the original
    logs that and fails at the first batch).
    """

    def __init__(self, logging_dir: str, prefix: str | None = None):
        self.prefix = prefix
        self.summary_writer = _summary_writer(logging_dir)

    def __call__(self, param: Any) -> None:
        """Write the metrics of a ``BatchEndParam``, if it has any."""
        if param.eval_metric is None:
            return
        for name, value in param.eval_metric.get_name_value():
            shown = name if self.prefix is None else f"{self.prefix}-{name}"
            self.summary_writer.add_scalar(shown, value, global_step=param.epoch)
