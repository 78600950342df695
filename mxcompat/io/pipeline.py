"""From records to batches of images, with threads that decode ahead.

A ``Decoder`` does the work in steps: ``read`` decodes a record (in any thread, in any order), ``plan`` makes its random
choices (one record after another, in the order of the batches), ``change`` carries them out and ``write`` puts a few
samples into their places in the batch (in any thread again). Results therefore do not depend on the number of threads.
"""

from __future__ import annotations

import math
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Sequence
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
_GROUP = 16  # records that a thread takes at a time


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

    def change(self, sample: Sample, plan: Any) -> np.ndarray:
        """The pixels (height, width, channel) after the plan."""

    def write(
        self, changed: list[np.ndarray], plans: list, samples: list[Sample], data: np.ndarray, label: Any
    ) -> None:
        """Put samples into their places: ``data`` and ``label`` are that part of the batch."""


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


class _Memory:
    """Memory for batches, used again once nobody holds the array any more: blocks of this size that come and go leave gaps
    in the heap, which then grows to twice what is in use."""

    def __init__(self) -> None:
        self._free: list[np.ndarray] = []

    def array(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """An array with any values."""
        count = math.prod(shape)
        size = count * np.dtype(dtype).itemsize
        while self._free:
            block = self._free.pop()
            if block.nbytes == size:
                break
        else:
            block = np.empty(size, np.uint8)
        # on a memoryview, so that all its views, and tensors on them, hold this very array
        array = np.frombuffer(block.data, dtype, count)
        weakref.finalize(array, self._free.append, block).atexit = False
        return array.reshape(shape)


class _Batch:
    """A batch in the making: its arrays, the work for each sample, and how things stand behind it."""

    def __init__(self, decoder: Decoder, size: int, memory: _Memory):
        self.data = memory.array((size, *decoder.data_shape), decoder.dtype)
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

    def run(self, group: list[tuple[Record, int]], turn: int, place: int, batch: _Batch, last: bool) -> None:
        """Decode, plan and write a few samples; ``MXNetError`` naming file and record for one that cannot be used."""
        attempts = [_Attempt(record, seed) for record, seed in group]
        try:
            for attempt in attempts:
                attempt.make("sample", self.decoder.read, attempt.record)
        finally:
            if self.ordered:
                self.turns.take(turn)
        try:
            for attempt in attempts:  # also behind a record that cannot be used, for the sake of the random numbers
                draws = self.draws if self.ordered else self._own_draws(attempt.seed)
                attempt.make("plan", self.decoder.plan, attempt.sample, draws)
        finally:
            if self.ordered:
                if last:
                    batch.draws_state = states(self.draws)
                self.turns.end()
        for attempt in attempts:
            attempt.make("changed", self.decoder.change, attempt.sample, attempt.plan)
        failed = next((attempt.error for attempt in attempts if attempt.error is not None), None)
        if failed is not None:
            raise failed
        part = slice(place, place + len(attempts))
        samples = [attempt.sample for attempt in attempts]
        plans = [attempt.plan for attempt in attempts]
        self.decoder.write([a.changed for a in attempts], plans, samples, batch.data[part], batch.label[part])
        batch.numbers[part] = [sample.number for sample in samples]

    def _own_draws(self, seed: int) -> list[Draws]:
        return [Draws((self.decoder.seed or 0) + seed + AUGMENT_SEED) for _ in self.decoder.seeds]


class _Attempt:
    """What has become of a record so far; behind an error nothing is tried any more."""

    __slots__ = ("changed", "error", "plan", "record", "sample", "seed")

    def __init__(self, record: Record, seed: int):
        self.record, self.seed = record, seed
        self.sample: Any = None
        self.plan: Any = None
        self.changed: Any = None
        self.error: MXNetError | None = None

    def make(self, name: str, function: Callable, *arguments: Any) -> None:
        """Set the attribute ``name`` to the result of a function, or the error."""
        if self.error is not None:
            return
        try:
            setattr(self, name, function(*arguments))
        except Exception as error:  # noqa: BLE001 - whatever a damaged image makes a library raise
            named = isinstance(error, MXNetError) and str(error).startswith(self.record.path)
            self.error = error if named else self.record.error(error)  # type: ignore[assignment]


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
        self._order = None if shuffle_seed is None else Draws(shuffle_seed)
        self._draws = [Draws(seed) for seed in decoder.seeds]
        self._threads = max(min(threads, os.cpu_count() or 1), 1)
        self._prefetch = max(min(prefetch, self._threads + 1), 1)  # more would only take memory
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="mxcompat-decode")
        self._memory = _Memory()
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
        if not self._finished and len(self._ahead) < max(self._prefetch - 1, 1):  # the rest when this one is done with
            self._submit()
        index = batch.numbers if self.numbered else np.zeros(self.batch_size, np.uint64)
        return Loaded(batch.data, batch.label, batch.pad, index)

    # -- batches ------------------------------------------------------------------------------------------------

    def _submit(self) -> None:
        """Have the threads work on one more batch; nothing at the end of the epoch."""
        batch = _Batch(self.decoder, self.batch_size, self._memory)
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
        self._share_out(records, batch)
        self._ahead.append(batch)

    def _share_out(self, records: list[tuple[Record, int]], batch: _Batch) -> None:
        """Give the threads the work for a batch, some records at a time."""
        size = max(min(_GROUP, len(records) // (2 * self._threads)), 1)
        for place in range(0, len(records), size):
            group = records[place : place + size]
            last = place + size >= len(records)
            batch.work.append(self._pool.submit(self._work.run, group, self._turn, place, batch, last))
            self._turn += 1

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
                batch = _Batch(self.decoder, len(part), self._memory)
                first = self.batch_size + start
                self._share_out(list(zip(part, range(first, first + len(part)))), batch)
                for future in batch.work:
                    future.result()
                for sample in batch.data:
                    total = total + sample if count else sample.copy()
                    count += 1
        if not count:
            raise MXNetError("mean_img: there are no images")
        self._begin()
        return total * np.float32(1 / count)
