"""From records to batches of images, with threads that decode ahead.

A ``Decoder`` does the work for one record in three steps: ``read`` decodes (in any thread, in any order), ``plan`` makes
the random choices (one record after another, in the order of the batches) and ``finish`` writes the sample into its
place in the batch (in any thread again). Results therefore do not depend on the number of threads.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np

from mxcompat.base import MXNetError
from mxcompat.context import Context
from mxcompat.io.draws import Draws
from mxcompat.io.native import Loaded
from mxcompat.io.records import Record, Source

__all__ = ["AUGMENT_SEED", "Decoder", "ImageBatches", "Sample"]

AUGMENT_SEED = 111


class Sample:
    """A decoded record: pixels (height, width, channel; blue first), labels, and the number in its header."""

    def __init__(self, pixels: np.ndarray, label: np.ndarray, number: int):
        self.pixels, self.label, self.number = pixels, label, number


class Decoder(Protocol):
    """What is done with a record."""

    data_shape: tuple[int, ...]
    label_shape: tuple[int, ...]
    dtype: Any
    random: bool  # whether plans depend on random numbers
    seeds: tuple[int, ...]  # of the generators that a plan draws from
    seed: int | None  # where every plan begins with a generator of its own

    def read(self, record: Record) -> Sample:
        """Decode."""

    def plan(self, sample: Sample, draws: Sequence[Draws]) -> Any:
        """Make the random choices."""

    def finish(self, sample: Sample, plan: Any, data: np.ndarray, label: np.ndarray) -> None:
        """Write the sample into the batch."""


class _Turns:
    """Lets threads into the planning one after another, by numbers."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._next = 0
        self._closed = False

    def take(self, number: int) -> None:
        """Wait for a turn; ``MXNetError`` when everything is given up."""
        with self._changed:
            self._changed.wait_for(lambda: self._next == number or self._closed)
            if self._closed:
                raise MXNetError("the iterator was reset")

    def end(self) -> None:
        """Let the next one in."""
        with self._changed:
            self._next += 1
            self._changed.notify_all()

    def close(self) -> None:
        """Give up all turns to come."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class _Batch:
    """A batch in the making: its arrays, the work for each sample, and how things stand behind it."""

    def __init__(self, decoder: Decoder, size: int):
        self.data = np.empty((size, *decoder.data_shape), decoder.dtype)
        self.label = np.empty((size, *decoder.label_shape), np.float32)
        self.numbers = np.zeros(size, np.uint64)
        self.work: list[Future] = []
        self.pad = 0
        self.wraps = False
        self.source_state: Any = None
        self.draws_state: Any = None
        self.error: BaseException | None = None


class _Work:
    """The work for the records of an epoch; it knows neither the iterator nor the pool, so that it keeps none alive."""

    def __init__(self, decoder: Decoder, draws: list[Draws]):
        self.decoder, self.draws, self.turns = decoder, draws, _Turns()
        self.ordered = decoder.random and decoder.seed is None

    def run(self, record: Record, turn: int, place: int, seed: int, batch: _Batch, last: bool) -> None:
        """Decode, plan and finish one sample; ``MXNetError`` naming file and record for one that cannot be used."""
        try:
            sample, plan = self._planned(record, turn, seed, batch, last)
            self.decoder.finish(sample, plan, batch.data[place], batch.label[place])
            batch.numbers[place] = sample.number
        except Exception as error:  # noqa: BLE001 - whatever a damaged image makes a library raise
            if isinstance(error, MXNetError) and str(error).startswith(record.path):
                raise
            raise record.error(error) from error

    def _planned(self, record: Record, turn: int, seed: int, batch: _Batch, last: bool) -> tuple[Sample, Any]:
        """The decoded sample and its random choices; records that cannot be used take their turn nevertheless."""
        if not self.ordered:
            own = [Draws((self.decoder.seed or 0) + seed + AUGMENT_SEED) for _ in self.decoder.seeds]
            sample = self.decoder.read(record)
            return sample, self.decoder.plan(sample, own)
        try:
            try:
                sample = self.decoder.read(record)
            finally:
                self.turns.take(turn)
            return sample, self.decoder.plan(sample, self.draws)
        finally:
            if last:
                batch.draws_state = states(self.draws)
            self.turns.end()


def states(draws: Iterable[Draws]) -> list:
    """What generators need to go on from here."""
    return [generator.state() for generator in draws]


class ImageBatches:
    """Batches of ``batch_size`` images from a source, ``prefetch`` batches ahead of their use.

    ``shuffle_seed`` brings the records of each chunk into a random order. With ``round_batch`` the last batch of an epoch
    is filled up with records of the next one, which then begins behind them; else with zeros. Starting an epoch before
    the last batch was taken gives up what was read ahead, and leaves no trace in random choices.

    Compat: with ``round_batch=False`` the original shows no pad and fills the batch up with what was in memory.
    """

    def __init__(
        self, source: Source, decoder: Decoder, *, batch_size: int, round_batch: bool, shuffle_seed: int | None,
        threads: int, prefetch: int, context: Context, numbered: bool = False,
    ):  # fmt: skip
        self.source, self.decoder = source, decoder
        self.batch_size, self.round_batch, self.context, self.numbered = batch_size, round_batch, context, numbered
        self._prefetch = max(prefetch, 1)
        self._order = None if shuffle_seed is None else Draws(shuffle_seed)
        self._draws = [Draws(seed) for seed in decoder.seeds]
        self._threads = max(min(threads, os.cpu_count() or 1), 1)
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="mxcompat-decode")
        self._ahead: deque[_Batch] = deque()
        self._wrapped = False  # the batch that was taken last has records of the next epoch
        self._begin()

    def close(self) -> None:
        """Give up what was read ahead and end the threads, without waiting for them."""
        self._drop()
        self._pool.shutdown(wait=False, cancel_futures=True)

    # -- epochs -------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self.source.start()
        self._left: deque[tuple[Record, int]] = deque()
        self._resume = (self._states(), states(self._draws))
        self._open()

    def _open(self) -> None:
        """Be ready for the batches of an epoch."""
        self._work = _Work(self.decoder, self._draws)
        self._turn = 0
        self._finished = False

    def _states(self) -> Any:
        return self.source.state(), None if self._order is None else self._order.state()

    def _drop(self) -> None:
        """Give up what was read ahead; what is running goes on with generators that nobody else uses."""
        self._work.turns.close()
        for batch in self._ahead:
            for future in batch.work:
                future.cancel()
        self._ahead.clear()

    def rewind(self) -> None:
        """Start the next epoch."""
        if self._wrapped:
            self._wrapped = False
            self._open()
            return
        self._drop()
        (source_state, order_state), draws_state = self._resume
        self.source.restore(source_state)
        if self._order is not None:
            self._order.restore(order_state)
        self._draws = [Draws(0) for _ in draws_state]
        for generator, state in zip(self._draws, draws_state):
            generator.restore(state)
        self._begin()

    def read(self) -> Loaded | None:
        """The next batch, None at the end of the epoch; ``MXNetError`` for the first record that cannot be used."""
        while not self._finished and len(self._ahead) < self._prefetch:
            self._submit()
        if not self._ahead:
            return None
        batch = self._ahead.popleft()
        failed = [error for error in (future.exception() for future in batch.work) if error is not None]
        self._wrapped = batch.wraps
        self._resume = (batch.source_state or self._resume[0], batch.draws_state or self._resume[1])
        if failed or batch.error:
            raise failed[0] if failed else batch.error  # type: ignore[misc]
        if not self._finished:
            self._submit()
        index = batch.numbers if self.numbered else np.zeros(self.batch_size, np.uint64)
        return Loaded(batch.data, batch.label, batch.pad, index)

    # -- batches ------------------------------------------------------------------------------------------------

    def _submit(self) -> None:
        """Have the threads work on one more batch; nothing at the end of the epoch."""
        batch = _Batch(self.decoder, self.batch_size)
        records: list[tuple[Record, int]] = []
        try:
            records = self._gather(batch)
        except (MXNetError, OSError, ValueError) as error:
            batch.error = error if isinstance(error, MXNetError) else MXNetError(str(error))
            self._finished = True
        if not records and batch.error is None:
            self._finished = True
            return
        batch.source_state = None if batch.wraps else self._states()
        batch.data[len(records) :] = batch.label[len(records) :] = 0
        for place, (record, seed) in enumerate(records):
            last = place == len(records) - 1
            batch.work.append(self._pool.submit(self._work.run, record, self._turn, place, seed, batch, last))
            self._turn += 1
        self._ahead.append(batch)

    def _gather(self, batch: _Batch) -> list[tuple[Record, int]]:
        """The records of the next batch, each with the number from which ``seed_aug`` makes its seed."""
        records: list[tuple[Record, int]] = []
        while len(records) < self.batch_size:
            if self._left:
                records.append(self._left.popleft())
                continue
            chunk = self.source.chunk(self.batch_size)
            if chunk is not None:
                self._put(chunk, len(records))
                continue
            self._finished = True
            if not records:
                break
            if batch.wraps:
                raise MXNetError(
                    "number of input images must be bigger than the batch size: "
                    f"two epochs have {len(records)} images, batch_size={self.batch_size}"
                )
            batch.pad = self.batch_size - len(records)
            if not self.round_batch:
                break
            batch.wraps = True
            self.source.start()
        return records

    def _put(self, chunk: list[Record], filled: int) -> None:
        """Queue the records of a chunk."""
        first = filled if self._order is None else self.batch_size
        numbered = list(zip(chunk, range(first, first + len(chunk))))
        if self._order is not None:
            self._order.shuffle(numbered)
        self._left.extend(numbered)

    # -- all images ---------------------------------------------------------------------------------------------

    def mean(self) -> np.ndarray:
        """The mean of all samples as they would come in an epoch, which has to begin anew then."""
        total = np.zeros(self.decoder.data_shape, np.float32)
        count = 0
        while (chunk := self.source.chunk(self.batch_size)) is not None:
            for start in range(0, len(chunk), self.batch_size):
                part = chunk[start : start + self.batch_size]
                batch = _Batch(self.decoder, len(part))
                for place, record in enumerate(part):
                    seed = self.batch_size + start + place
                    batch.work.append(self._pool.submit(self._work.run, record, self._turn, place, seed, batch, False))
                    self._turn += 1
                for place, future in enumerate(batch.work):
                    future.result()
                    total = total + batch.data[place] if count else batch.data[place].copy()
                    count += 1
        if not count:
            raise MXNetError("mean_img: there are no images")
        self._begin()
        return total * np.float32(1 / count)
