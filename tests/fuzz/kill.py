"""``python -m tests.fuzz.kill``: processes that save are killed at random moments, then every file must be whole.

A child saves epoch after epoch, each time over one file and into a new one, until ``kill -9`` ends it. Afterwards every
file under its final name is read completely; all it holds must be of one epoch, and of the one in its name. What the
killed process left behind must be gone after the next save.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

import mxcompat as mx

LEFTOVER = re.compile(r"\.mxcompat-[0-9a-f]{16}\.tmp")


class Damaged(Exception):
    """A file that is not what was saved."""


def _epoch_of(numbers: Iterable[np.ndarray], path: Path) -> int:
    """The one value that all the numbers have."""
    found = {float(value) for array in numbers for value in np.unique(array)}
    if len(found) != 1:
        raise Damaged(f"{path}: holds {sorted(found)[:5]}, expected the number of one epoch")
    return int(found.pop())


class Arrays:
    """``mx.nd.save``."""

    def __init__(self, size: int):
        self.size = size

    def save(self, folder: Path, epoch: int) -> None:
        arrays = {f"array{i}": mx.nd.full((self.size,), epoch) for i in range(4)}
        for name in ("last.params", f"net-{epoch:04d}.params"):
            mx.nd.save(str(folder / name), arrays)

    def check(self, path: Path) -> int:
        arrays = mx.nd.load(str(path))
        if sorted(arrays) != [f"array{i}" for i in range(4)] or any(a.shape != (self.size,) for a in arrays.values()):
            raise Damaged(f"{path}: holds {arrays}")
        return _epoch_of([array.asnumpy() for array in arrays.values()], path)


class Symbols:
    """``Symbol.save``."""

    def __init__(self, size: int):
        self.layers = max(size // 1000, 2)

    def _symbol(self, epoch: int) -> Any:
        with mx.AttrScope(__epoch__=str(epoch)):
            net = mx.sym.Variable("data")
            for i in range(self.layers):
                net = mx.sym.FullyConnected(net, num_hidden=epoch + 1, name=f"fc{i}")
        return net

    def save(self, folder: Path, epoch: int) -> None:
        for name in ("last-symbol.json", f"net-{epoch:04d}-symbol.json"):
            self._symbol(epoch).save(str(folder / name))

    def check(self, path: Path) -> int:
        symbol = mx.sym.load(str(path))
        if len(symbol.list_arguments()) != 2 * self.layers + 1:
            raise Damaged(f"{path}: has the arguments {symbol.list_arguments()}")
        attrs = symbol.attr_dict()
        epochs = [int(attrs[f"fc{i}"]["__epoch__"]) for i in range(self.layers)]
        epochs += [int(attrs[f"fc{i}"]["num_hidden"]) - 1 for i in range(self.layers)]
        return _epoch_of([np.array(epochs)], path)


class Checkpoints:
    """``Module.save_checkpoint`` with the optimizer's state."""

    def __init__(self, size: int):
        net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=max(size // 16, 2), name="fc", no_bias=True)
        self.module = mx.mod.Module(mx.sym.LinearRegressionOutput(net, name="out"), label_names=["out_label"])
        self.module.bind([("data", (1, 16))], [("out_label", (1, max(size // 16, 2)))])
        self.module.init_params()
        self.module.init_optimizer(kvstore=None, optimizer="adam")
        self.weight = self.module._exec_group.execs[0].arg_dict["fc_weight"]
        self.module._updater(0, mx.nd.zeros(self.weight.shape), self.weight)

    def save(self, folder: Path, epoch: int) -> None:
        self.module.set_params({"fc_weight": mx.nd.full(self.weight.shape, epoch)}, {})
        for state in self.module._updater.states[0]:
            state[:] = epoch
        self.module.save_checkpoint(str(folder / "last"), 0, save_optimizer_states=True)
        self.module.save_checkpoint(str(folder / "net"), epoch, save_optimizer_states=True)

    def check(self, path: Path) -> int:
        if path.name.endswith("-symbol.json"):
            if mx.sym.load(str(path)).tojson() != self.module.symbol.tojson():
                raise Damaged(f"{path}: another symbol")
            return -1
        if path.suffix == ".states":
            updater = mx.optimizer.get_updater(mx.optimizer.create("adam"))
            updater.set_states(path.read_bytes())
            return _epoch_of([state.asnumpy() for state in updater.states[0]], path)
        arrays = mx.nd.load(str(path))
        if list(arrays) != ["arg:fc_weight"] or arrays["arg:fc_weight"].shape != self.weight.shape:
            raise Damaged(f"{path}: holds {arrays}")
        return _epoch_of([arrays["arg:fc_weight"].asnumpy()], path)


KINDS: dict[str, Callable[[int], Any]] = {"nd": Arrays, "symbol": Symbols, "module": Checkpoints}


def _child(saver: Any, folder: Path, ready: int) -> None:
    """Save for ever; tells through the pipe ``ready`` when it begins."""
    os.write(ready, b".")
    epoch = 1
    while True:
        saver.save(folder, epoch)
        epoch += 1


def kill_once(saver: Any, folder: Path, seconds: float) -> Counter:
    """Kill one process that saves, ``seconds`` after its beginning; what was found then."""
    waiting, ready = os.pipe()
    child = os.fork()
    if not child:
        try:
            _child(saver, folder, ready)
        finally:
            os._exit(1)
    os.close(ready)
    os.read(waiting, 1)
    os.close(waiting)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        raise RuntimeError("the process that saves has ended by itself")
    return _look(saver, folder)


def _look(saver: Any, folder: Path) -> Counter:
    """Read every file, then save once more and count what is left over."""
    found: Counter = Counter()
    for path in sorted(folder.iterdir()):
        if LEFTOVER.fullmatch(path.name):
            found["leftovers"] += 1
            continue
        found["files"] += 1
        try:
            epoch = saver.check(path)
            named = re.search(r"net-(\d{4})", path.name)
            if named and epoch not in (-1, int(named[1])):
                raise Damaged(f"{path}: holds epoch {epoch}")
        except Exception as error:  # whatever a damaged file does
            found["damaged"] += 1
            print(f"{path}: {type(error).__name__}: {error}", file=sys.stderr)
    found["interrupted"] += bool(found["leftovers"])
    saver.save(folder, 1)
    found["not removed"] += sum(bool(LEFTOVER.fullmatch(path.name)) for path in folder.iterdir())
    return found


def run(kind: str, times: int, size: int, longest: float, rng: random.Random) -> Counter:
    """Kill ``times`` processes that save in one way."""
    saver = KINDS[kind](size)
    total: Counter = Counter()
    for _ in range(times):
        with tempfile.TemporaryDirectory(prefix="mxcompat-kill-") as folder:
            total += kill_once(saver, Path(folder), rng.uniform(0, longest))
        total["kills"] += 1
    return total


def main(argv: list[str] | None = None) -> int:
    """The exit code: 1 where a file was damaged, or a leftover stayed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.kill", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--times", type=int, default=200, metavar="N", help="kills for each way of saving (default: 200)"
    )
    parser.add_argument("--kind", action="append", choices=sorted(KINDS), help="only this way of saving; repeat")
    parser.add_argument("--size", type=int, default=100_000, metavar="N", help="numbers in an array (default: 100000)")
    parser.add_argument(
        "--longest", type=float, default=0.2, metavar="S", help="the latest moment of a kill, in seconds"
    )
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    columns = ("kills", "interrupted", "files", "damaged", "leftovers", "not removed")
    print(f"{'saving':10}" + "".join(f"{column:>13}" for column in columns))
    bad = 0
    for kind in args.kind or KINDS:
        found = run(kind, args.times, args.size, args.longest, random.Random(f"{args.seed}:{kind}"))
        print(f"{kind:10}" + "".join(f"{found[column]:>13}" for column in columns), flush=True)
        bad += found["damaged"] + found["not removed"]
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
