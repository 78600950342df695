"""The process that reads mutants: a line ``[loader, number]`` in, a line with what became of it out."""

from __future__ import annotations

import faulthandler
import gc
import json
import os
import resource
import sys
import tempfile
import traceback
import tracemalloc
import warnings
from pathlib import Path
from typing import Any

from mxcompat.base import MXNetError
from tests.fuzz.loaders import Loader, loaders
from tests.fuzz.mutants import Mutant, make

_ROOM = 1 << 30  # bytes of addresses that a mutant may take; more is refused by the system
_EXPLAINED = 64  # bytes that one byte of the files may become


def _address_space() -> int:
    with open("/proc/self/statm", encoding="ascii") as stream:
        return int(stream.read().split()[0]) * resource.getpagesize()


def limit_addresses() -> None:
    """Have the system refuse what is far too much, also where memory is claimed and not used."""
    if sys.platform == "linux":
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (_address_space() + _ROOM, hard))


def judge(loader: Loader, mutant: Mutant) -> tuple[str, str]:
    """What became of a mutant: loaded, refused, or a finding: unnamed, other, oversized; and the message."""
    size = sum(len(content) for content in mutant.files.values())
    with tempfile.TemporaryDirectory(prefix="mxcompat-fuzz-") as folder:
        for name, content in mutant.files.items():
            Path(folder, name).write_bytes(content)
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        outcome, message = _read(loader, folder, list(mutant.files))
        _, peak = tracemalloc.get_traced_memory()
    allowed = loader.room + _EXPLAINED * size
    if peak - before > allowed:
        return "oversized", f"{peak - before} bytes claimed for files of {size}; {message}"
    return outcome, message


def _read(loader: Loader, folder: str, names: list[str]) -> tuple[str, str]:
    sources = [loader.source] if loader.source else [os.path.join(folder, name) for name in names]
    try:
        loader.load(folder)
    except MXNetError as error:
        message = str(error)
        named = any(source in message for source in sources)
        return ("refused", message) if named else ("unnamed", traceback.format_exc())
    except MemoryError:
        return "oversized", traceback.format_exc()
    except BaseException:  # whatever it is, it is a finding
        return "other", traceback.format_exc()
    return "loaded", ""


def main() -> None:
    """Answer until the input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints must not come between the answers
    seed, limit = int(sys.argv[1]), float(sys.argv[2])
    warnings.simplefilter("error")
    known = loaders()
    for name, loader in known.items():  # the first use imports and makes a lot
        outcome, message = judge(loader, Mutant(loader.sets[0], "", ""))
        if outcome != "loaded":
            raise SystemExit(f"{name}: the files without damage are {outcome}: {message}")
    limit_addresses()
    tracemalloc.start()
    print(json.dumps("ready"), file=answers, flush=True)
    for line in sys.stdin:
        name, number = json.loads(line)
        faulthandler.dump_traceback_later(limit * 0.9, exit=False)
        answer: Any = judge(known[name], make(name, number, seed))
        faulthandler.cancel_dump_traceback_later()
        print(json.dumps(answer), file=answers, flush=True)
        if number % 500 == 499:
            gc.collect()


if __name__ == "__main__":
    faulthandler.enable()
    main()
