"""From samples to batches, as the original's batch loader does it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from mxcompat.base import MXNetError
from mxcompat.io.native import Loaded

__all__ = ["BatchLoader", "Samples"]


class Samples(Protocol):
    """The samples of an epoch, one after another."""

    @property
    def source(self) -> str:
        """The files they come from, for messages."""

    def take(self, count: int) -> tuple[Any, Any]:
        """Data and labels of the next ``count`` samples, or of those that are left: arrays or rows that can be joined."""

    def restart(self) -> None:
        """Go back to the first sample."""

    def close(self) -> None:
        """Let go of files."""


def _joined(parts: Sequence[Any]) -> Any:
    """Arrays, or objects with a method ``join``, one behind the other."""
    return np.concatenate(parts) if isinstance(parts[0], np.ndarray) else type(parts[0]).join(parts)


class BatchLoader:
    """Batches of ``batch_size`` samples.

    The last batch of an epoch is filled up: with ``round_batch`` by the first samples, and the next epoch then begins
    behind these; else with whatever stood there in the batch before (zeros when there was none). ``pad`` counts them.
    Starting an epoch anew before its last batch was taken begins with the first sample.

    Compat: the original reads ahead, so its position after such an early reset depends on how far its thread was.
    """

    def __init__(self, samples: Samples, batch_size: int, round_batch: bool):
        self.samples, self.batch_size, self.round_batch = samples, batch_size, round_batch
        self._position = 0
        self._ended = False
        self._overflow = False
        self._last: Any = None

    def close(self) -> None:
        """Let go of files."""
        self.samples.close()

    def rewind(self) -> None:
        """Start the next epoch."""
        if not self._overflow:
            self._restart()
        self._ended = self._overflow = False

    def read(self) -> Loaded | None:
        """The next batch, None at the end of the epoch."""
        if self._ended:
            return None
        parts = [self._take(self.batch_size)]
        count = len(parts[0][0])
        self._ended = count < self.batch_size
        missing = self.batch_size - count
        if not count:
            return None
        if missing and self.round_batch:
            self._restart()
            parts.append(self._take(missing))
            if len(parts[1][0]) < missing:
                raise MXNetError(
                    f"{self.samples.source}: round_batch: number of input must be bigger than batch size, "
                    f"found {count} samples for batch_size={self.batch_size}, of which {missing} are to be filled up"
                )
            self._overflow = True
        elif missing:
            last = self._last or [np.zeros((self.batch_size, *part.shape[1:]), part.dtype) for part in parts[0]]
            parts.append(tuple(array[count:] for array in last))
        arrays = parts[0] if len(parts) == 1 else tuple(_joined(pair) for pair in zip(*parts))
        if not self.round_batch:
            self._last = [array.copy() for array in arrays]  # the arrays themselves are the user's
        return Loaded(arrays[0], arrays[1], missing, arrays[2])

    def _restart(self) -> None:
        self.samples.restart()
        self._position = 0

    def _take(self, count: int) -> tuple[Any, ...]:
        """Data, labels and numbers of at most ``count`` samples."""
        data, label = self.samples.take(count)
        start = self._position
        self._position += len(data)
        return data, label, np.arange(start, self._position, dtype=np.uint64)
