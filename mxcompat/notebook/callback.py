"""Training logs as pandas data frames (public path: ``mxnet.notebook.callback``).

The original's live charts drew with a Bokeh of its time and are not here: plot the frames of a ``PandasLogger``.
"""

from __future__ import annotations

import time
from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

from mxcompat.absent import AbsentError

__all__ = ["PandasLogger", "args_wrapper"]

_CHARTS = ("LiveBokehChart", "LiveLearningCurve", "LiveTimeSeries")


def __getattr__(name: str) -> Any:
    if name in _CHARTS:
        raise AbsentError(f"mxcompat has no notebook.callback.{name}: plot the data frames of a PandasLogger instead")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _new_frame() -> Any:
    try:
        import pandas
    except ImportError as error:
        raise ImportError("PandasLogger needs pandas: pip install 'mxcompat[notebook]'") from error
    return pandas.DataFrame()


class PandasLogger:
    """Records training, evaluation and epochs as rows of three data frames.

    ``callback_args()`` are the keywords of ``fit`` that connect it. Training has a row every ``frequent`` batches. Rows
    of training and evaluation hold the metrics (which are reset), ``batches_per_sec`` and ``records_per_sec``,
    ``elapsed`` since the logger was made, ``minibatch_count`` and ``epoch``.

    Compat: as in the original ``records_per_sec`` is the rate of batches and ``batches_per_sec`` that of examples.
    """

    def __init__(self, batch_size: int, frequent: int = 50):
        self.batch_size, self.frequent = batch_size, frequent
        self._dataframes = {"train": _new_frame(), "eval": _new_frame(), "epoch": _new_frame()}
        self.last_time = time.time()
        self.start_time = self.last_epoch_time = datetime.now()

    @property
    def train_df(self) -> Any:
        """The frame of training batches."""
        return self._dataframes["train"]

    @property
    def eval_df(self) -> Any:
        """The frame of evaluations."""
        return self._dataframes["eval"]

    @property
    def epoch_df(self) -> Any:
        """The frame of epochs, with ``elapsed`` and ``epoch_time``."""
        return self._dataframes["epoch"]

    @property
    def all_dataframes(self) -> dict[str, Any]:
        """The frames by name: 'train', 'eval' and 'epoch'."""
        return self._dataframes

    def elapsed(self) -> timedelta:
        """The time since the logger was made."""
        return datetime.now() - self.start_time

    def append_metrics(self, metrics: dict[str, Any], df_name: str) -> None:
        """Append a row to a frame; names that it lacks become columns."""
        frame = self._dataframes[df_name]
        for name in metrics:
            if name not in frame.columns:
                frame[name] = None
        frame.loc[len(frame)] = [metrics.get(name) for name in frame.columns]

    def train_cb(self, param: Any) -> None:
        """The batch-end callback."""
        if param.nbatch % self.frequent == 0:
            self._process_batch(param, "train")

    def eval_cb(self, param: Any) -> None:
        """The evaluation-end callback."""
        self._process_batch(param, "eval")

    def _process_batch(self, param: Any, dataframe: str) -> None:
        now, metrics = time.time(), {}
        if param.eval_metric is not None:
            metrics = dict(param.eval_metric.get_name_value())
            param.eval_metric.reset()
        seconds = now - self.last_time
        speed = self.frequent / seconds if seconds else float("inf")
        metrics.update(batches_per_sec=speed * self.batch_size, records_per_sec=speed, elapsed=self.elapsed())
        metrics.update(minibatch_count=param.nbatch, epoch=param.epoch)
        self.append_metrics(metrics, dataframe)
        self.last_time = now

    def epoch_cb(self, *args: Any) -> None:
        """The epoch-end callback; what ``fit`` tells it is not needed."""
        now = datetime.now()
        self.append_metrics({"elapsed": self.elapsed(), "epoch_time": now - self.last_epoch_time}, "epoch")
        self.last_epoch_time = now

    def callback_args(self) -> dict[str, Any]:
        """The keywords of ``fit`` that connect all callbacks."""
        return {
            "batch_end_callback": self.train_cb,
            "eval_end_callback": self.eval_cb,
            "epoch_end_callback": self.epoch_cb,
        }


def args_wrapper(*args: Any) -> dict[str, list]:
    """The keywords of ``fit`` for several callback objects: a list of functions under each."""
    together = defaultdict(list)
    for callback in args:
        for name, function in callback.callback_args().items():
            together[name].append(function)
    return dict(together)
