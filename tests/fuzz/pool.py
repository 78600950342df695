"""A process that reads mutants, watched: when it dies or does not answer, the mutant is to blame and another one starts."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

_ROOT = Path(__file__).parents[2]
_START = 300  # seconds that a process may take to get ready


class Reader:
    """One worker process, started when it is needed; ``limit`` seconds are given to a mutant."""

    def __init__(self, seed: int, limit: float):
        self.seed, self.limit = seed, limit
        self._process: subprocess.Popen | None = None
        self._log: Any = None

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop()

    def read(self, loader: str, number: int) -> tuple[str, str]:
        """What became of a mutant, and the message."""
        if self._process is None:
            self._start()
        assert self._process is not None
        try:
            self._process.stdin.write(json.dumps([loader, number]).encode() + b"\n")  # type: ignore[union-attr]
            self._process.stdin.flush()  # type: ignore[union-attr]
            answer = self._answer(self.limit)
        except TimeoutError:
            return "hang", self._stop(patience=0)
        except (EOFError, BrokenPipeError):
            return "crash", self._stop()
        return tuple(answer)

    def _start(self) -> None:
        self._log = tempfile.TemporaryFile()
        environment = dict(os.environ, MALLOC_ARENA_MAX="1", OMP_NUM_THREADS="1", MXCOMPAT_COMPILE="never")
        command = [sys.executable, "-m", "tests.fuzz.worker", str(self.seed), str(self.limit)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            cwd=_ROOT,
            env=environment,
            bufsize=0,
        )
        try:
            self._answer(_START)
        except (EOFError, TimeoutError):
            raise RuntimeError("the process that reads mutants did not start: " + self._stop()) from None

    def _answer(self, limit: float) -> Any:
        """The next line; ``EOFError`` when the process has died, ``TimeoutError`` when it says nothing."""
        assert self._process is not None
        stream = self._process.stdout
        line = b""
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([stream], [], [], limit)
            if not ready:
                raise TimeoutError
            part = os.read(stream.fileno(), 1 << 20)  # type: ignore[union-attr]
            if not part:
                raise EOFError
            line += part
        return json.loads(line)

    def _stop(self, patience: float = 5) -> str:
        """End the process; how it ended, and what it said last."""
        if self._process is None:
            return ""
        process, self._process = self._process, None
        process.stdin.close()  # type: ignore[union-attr]
        try:
            code = process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        process.stdout.close()  # type: ignore[union-attr]
        self._log.seek(0)
        said = self._log.read().decode("utf-8", "replace")[-4000:]
        self._log.close()
        ended = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return f"{ended}\n{said}"
