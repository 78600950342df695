"""A thread that reads an iterator one batch ahead."""

from __future__ import annotations

import atexit
import queue
import threading
import time
from typing import Any

from mxcompat.base import MXNetError

#: seconds that the end of the program waits for batches that are being fetched
_PATIENCE = 5.0
_running: dict[threading.Thread, queue.SimpleQueue] = {}


class Fetcher:
    """Keeps the next batch of ``iterator`` ready.

    ``ask`` has it fetched, ``wait`` gives the outcome of the last ``ask`` (the first one happens at once), again and
    again until the next ``ask``. The thread knows the iterator and two queues, not this object, so that it does not
    keep its owner alive; ``stop`` ends it.
    """

    def __init__(self, iterator: Any):
        self._requests: queue.SimpleQueue = queue.SimpleQueue()
        self._results: queue.SimpleQueue = queue.SimpleQueue()
        self._outcome: tuple[Any, BaseException | None] | None = None
        arguments = (iterator, self._requests, self._results)
        self.thread = threading.Thread(target=_fetch, args=arguments, name="mxcompat-prefetch", daemon=True)
        _running[self.thread] = self._requests
        self.thread.start()
        self.ask()

    def ask(self) -> None:
        """Have the next batch fetched."""
        self._outcome = None
        self._requests.put(True)

    def wait(self) -> tuple[Any, BaseException | None]:
        """``(batch, None)``, ``(None, None)`` at the end of the data or ``(None, error)``."""
        if self._outcome is None:
            if not self.thread.is_alive():
                raise MXNetError(
                    "PrefetchingIter: its threads do not exist in a forked process; make the iterator there"
                )
            self._outcome = self._results.get()
        return self._outcome

    def stop(self) -> None:
        """End the thread, once it is through with what it is doing."""
        self._requests.put(False)


def _fetch(iterator: Any, requests: queue.SimpleQueue, results: queue.SimpleQueue) -> None:
    try:
        while requests.get():
            try:
                results.put((iterator.next(), None))
            except StopIteration:
                results.put((None, None))
            except BaseException as error:  # noqa: BLE001 - raised where the batch is taken
                results.put((None, error))
    finally:
        _running.pop(threading.current_thread(), None)


@atexit.register
def _finish() -> None:
    """End the threads before the interpreter does: one that it ends inside one of PyTorch's kernels aborts the process."""
    end = time.monotonic() + _PATIENCE
    for requests in list(_running.values()):
        requests.put(False)
    for thread in list(_running):
        thread.join(max(0.0, end - time.monotonic()))
