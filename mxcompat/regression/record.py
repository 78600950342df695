#!/usr/bin/env python
"""Record what a training script does under MXNet, to verify it elsewhere: ``python record.py -o golden -- train.py ...``

This one file is carried into the script's own environment: Python 2.7 to 3.11, MXNet 0.11 to 1.9, NumPy. It runs the
unmodified script and watches its executors (Module, BucketingModule, FeedForward, or bound by hand), optimizers and
metrics. Programs that use mx.nd, autograd or Gluon alone have no executor and leave no recording.

The folder gets ``meta.json``, the symbols (``symbol-0.json`` ...) and ``arrays.npz``. A step is what happens from a
forward to the last update before the next one; a forward without training is a step of its own kind. A recorded step
holds all that it takes to repeat it: parameters, inputs, head gradients and optimizer states in full; and what came of
it: outputs, gradients, new parameters and states, metrics. Of a large result only a hash, statistics and a fixed choice
of elements are kept. The first step of each graph, and each one of ``--steps``, also has every node's output. Arrays are
stored once by content, and the bytes depend on the program alone: two recordings of one seeded script are equal.

``mxcompat verify golden`` repeats the steps in mxcompat and shows where they part.
"""
from __future__ import print_function

import argparse
import ctypes
import functools
import hashlib
import io
import json
import os
import platform
import random
import runpy
import sys
import threading
import zipfile
import zlib

import numpy as np

FORMAT = 1
#: elements kept of a large result, and of the output of an inner node
SAMPLE = 1024
INNER_SAMPLE = 64
#: bytes that an entry of the archive takes beside its content
ENTRY_OVERHEAD = 140
#: calls in a step without an update; a program that never updates through an optimizer gets steps of this many at most
LONGEST_STEP = 8
#: values of metrics kept of a whole run
METRIC_VALUES = 2000
#: steps recorded of each kind: the first, then 1, 3, 10, 30, 100, ... and 1, 10, 100, ...
EXPONENTS = range(9)
STEPS = {
    "train": frozenset([0] + [m * 10 ** e for e in EXPONENTS for m in (1, 3)]),
    "inference": frozenset([0] + [10 ** e for e in EXPONENTS]),
}
SIMPLE = (bool, int, float, str, type(u""), type(2**64), type(None))
#: attributes of an optimizer that are told of each update, or that say nothing about its rule
COUNTERS = frozenset(
    ["num_update", "_index_update_count", "_all_index_update_counts", "sym_info", "param_dict", "weight_set", "lr_scheduler"]
)


# -- arrays -------------------------------------------------------------------------------------------------------


def positions(size, count):
    """``count`` places spread over an array of ``size`` elements, in rising order: multiples of the golden section."""
    stride = max(1, int(size * 0.6180339887498949))
    while _common_divisor(stride, size) != 1:
        stride += 1
    return np.sort(np.arange(count, dtype=np.int64) * stride % size)


def _common_divisor(a, b):
    while b:
        a, b = b, a % b
    return a


def digest(array):
    """24 hexadecimal digits that stand for type, shape and contents."""
    head = "%s %s " % (array.dtype.str, "x".join(str(int(size)) for size in array.shape))
    return hashlib.sha256(head.encode("ascii") + np.ascontiguousarray(array).tobytes()).hexdigest()[:24]


def statistics(array):
    """``[minimum, maximum, mean, root mean square, number of values that are not finite]``; the first four of the rest."""
    values = array.ravel().astype(np.float64)
    finite = values[np.isfinite(values)]
    if not finite.size:
        return [0.0, 0.0, 0.0, 0.0, int(values.size)]
    root = float(np.sqrt(np.mean(finite * finite)))
    return [float(finite.min()), float(finite.max()), float(finite.mean()), root, int(values.size - finite.size)]


def npy(array):
    """The bytes of a .npy file."""
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.ascontiguousarray(array).reshape(array.shape), (1, 0), False)
    return stream.getvalue()


def add_entry(archive, key, content):
    """Write a .npy file into an archive; the same bytes at any time and on any system."""
    entry = zipfile.ZipInfo(key + ".npy", (1980, 1, 1, 0, 0, 0))
    entry.compress_type, entry.create_system, entry.external_attr = zipfile.ZIP_DEFLATED, 3, 0o644 << 16
    archive.writestr(entry, content)


class Store(object):
    """``arrays.npz``: one entry for each content. What a step adds is kept or dropped as a whole."""

    def __init__(self, path, budget):
        self.path, self.budget, self.used = path, budget, 0
        self.archive = zipfile.ZipFile(path + ".part", "w", zipfile.ZIP_DEFLATED, True)
        self.known, self.pending = set(), []

    def put(self, array):
        """Take in an array; the name of its entry."""
        key = digest(array)
        if key not in self.known:
            self.known.add(key)
            self.pending.append((key, npy(array)))
        return key

    def settle(self, required):
        """Write what came since the last call if it fits the budget, else forget it; whether it was written."""
        size = sum(len(zlib.compress(content)) + ENTRY_OVERHEAD for _, content in self.pending)
        fits = required or self.used + size <= self.budget
        if fits:
            self.used += size
            for key, content in self.pending:
                add_entry(self.archive, key, content)
        else:
            self.known.difference_update(key for key, _ in self.pending)
        self.pending = []
        return fits

    def close(self):
        """Finish the file."""
        self.archive.close()
        if os.path.exists(self.path):
            os.remove(self.path)
        os.rename(self.path + ".part", self.path)


def described(array, value):
    """Shape, type and (if sparse) storage of an array whose content is ``value``."""
    entry = {"shape": [int(size) for size in value.shape], "dtype": value.dtype.name}
    storage = getattr(array, "stype", "default")
    if storage not in (None, "default"):
        entry["stype"] = storage
    return entry


def plain(value):
    """A setting as JSON: numbers, texts, None, lists, and dicts as ``{"pairs": ...}``; ``ValueError`` for anything else."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, SIMPLE):
        return value
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    if isinstance(value, dict):
        pairs = [[plain(key), plain(part)] for key, part in value.items()]
        return {"pairs": sorted(pairs, key=lambda pair: (str(type(pair[0])), pair[0]))}
    raise ValueError("no setting: %r" % (type(value),))


def settings(thing, without=()):
    """The attributes of an object that are plain, and the names of the others."""
    found, other = {}, []
    for name, value in vars(thing).items():
        if name in without or callable(value):
            continue
        try:
            found[name] = plain(value)
        except ValueError:
            other.append(name)
    return found, sorted(other)


def drops(node):
    """Whether a node of a symbol is a Dropout that drops something."""
    parameters = node.get("attrs") or node.get("attr") or node.get("param") or {}
    return node["op"] == "Dropout" and float(parameters.get("p", 0.5)) > 0


# -- what is recorded ---------------------------------------------------------------------------------------------


class Step(object):
    """A step that is going on; ``entry`` is what is recorded of it, None if it is not recorded."""

    def __init__(self, kind, number, entry):
        self.kind, self.number, self.entry = kind, number, entry
        self.updated = False
        self.calls = 0
        self.awaits = {}  # executors that ran forward -> whether a backward may follow
        self.links = {}  # digest of a result -> where it is in this step


class Recorder(object):
    """Everything that is known of a run; the hooks call it."""

    def __init__(self, mx, folder, steps, sample, budget):
        self.mx, self.folder, self.sample = mx, folder, sample
        self.steps = dict((kind, STEPS[kind] if chosen is None else chosen) for kind, chosen in steps.items())
        self.all_inner = steps["train"] is not None
        self.store = Store(os.path.join(folder, "arrays.npz"), budget)
        self.thread = threading.current_thread()
        self.busy = 0
        self.step = None
        self.counts = {"train": 0, "inference": 0}
        self.symbols, self.symbol_texts, self.executors, self.optimizers = [], [], [], []
        self.dropouts = []  # of each symbol: outputs of Dropout -> name of the node
        self.recorded, self.dropped = [], 0
        self.metric_values, self.seeds = [], []
        self.seen = set()  # (kind, symbol) of recorded steps
        self.inner = set()  # (symbol, is_train) whose inner nodes are recorded
        self.rates = None

    def active(self):
        """Whether a hook has to do something: not inside of another one, and not in a thread of a custom operator."""
        return not self.busy and threading.current_thread() is self.thread

    # arrays

    def full(self, array, value=None):
        """An array that the repetition starts from."""
        value = array.asnumpy() if value is None else value
        return dict(described(array, value), array=self.store.put(value))

    def result(self, array, sample=None, where=None):
        """An array that the repetition is compared with: in full if small, else what stands for it."""
        value, sample = array.asnumpy(), sample or self.sample
        if where is not None and self.step is not None:
            self.step.links.setdefault(digest(value), where)
        if value.size <= sample:
            return self.full(array, value)
        chosen = np.ascontiguousarray(value).ravel()[positions(value.size, sample)]
        return dict(described(array, value), hash=digest(value), stats=statistics(value), sample=self.store.put(chosen))

    def given(self, array):
        """An array that a large result of this step may have become: then its place there, else the array."""
        value = array.asnumpy()
        where = self.step.links.get(digest(value))
        if where is None or value.size <= self.sample:
            return self.full(array, value)
        return dict(described(array, value), link=where)

    def nested(self, state, take):
        """A state of an optimizer: None, an array, or a sequence of states."""
        if state is None:
            return None
        if isinstance(state, (list, tuple)):
            return {"sequence": [self.nested(part, take) for part in state]}
        if hasattr(state, "asnumpy"):
            return take(state)
        return {"number": plain(state)}

    # executors

    def executor_number(self, executor):
        """The number of an executor; it is noted with its symbol at its first forward."""
        number = getattr(executor, "_golden_number", None)
        if number is None:
            text = executor._symbol.tojson()
            if text not in self.symbol_texts:
                self.symbol_texts.append(text)
                nodes = [node["name"] for node in json.loads(text)["nodes"] if drops(node)]
                self.dropouts.append(dict((name + "_output", name) for name in nodes))
                name = "symbol-%d.json" % len(self.symbols)
                self.symbols.append({"file": name, "sha256": hashlib.sha256(text.encode("utf-8")).hexdigest()})
            number = executor._golden_number = len(self.executors)
            self.executors.append(
                {
                    "symbol": self.symbol_texts.index(text),
                    "context": str(getattr(executor, "_ctx", "")),
                    "grad_req": self.requests(executor),
                    "outputs": executor._symbol.list_outputs(),
                }
            )
        return number

    @staticmethod
    def requests(executor):
        """What is asked of each gradient that there is: write or add."""
        asked, names = executor._grad_req, executor._symbol.list_arguments()
        if isinstance(asked, (list, tuple)):
            asked = dict(zip(names, asked))
        elif not isinstance(asked, dict):
            asked = dict.fromkeys(names, asked)
        found = [(name, asked.get(name, "null")) for name in names if executor.grad_dict.get(name) is not None]
        return dict((name, request) for name, request in found if request != "null")

    def begin_call(self, executor, is_train, inputs):
        """Before a forward; what is recorded of the call, None if nothing is."""
        number = self.executor_number(executor)
        kind = "train" if is_train else "inference"
        if self.is_over(executor, kind):
            self.end_step()
            self.begin_step(kind, self.executors[number]["symbol"])
        step = self.step
        step.calls += 1
        step.awaits[number] = bool(is_train and self.executors[number]["grad_req"])
        executor._golden_call = None
        if step.entry is None:
            return None
        call = {"executor": number, "is_train": is_train, "arguments": {}, "states": {}}
        for name, array in executor.arg_dict.items():
            value = array.asnumpy()
            if name in inputs:
                new = inputs[name]
                new = np.asarray(new.asnumpy() if hasattr(new, "asnumpy") else new)
                value = new.astype(value.dtype) if new.shape == value.shape else value
            call["arguments"][name] = self.full(array, value)
        for name, array in executor.aux_dict.items():
            call["states"][name] = self.full(array)
        inner = (self.executors[number]["symbol"], is_train)
        if self.all_inner or inner not in self.inner:
            self.inner.add(inner)
            call["inner"] = []
        if is_train and self.dropouts[inner[0]]:
            call["masks"] = {}
        return call

    def is_over(self, executor, kind):
        """Whether a forward of ``executor`` begins another step. A forward that still awaits its backward holds it open."""
        step = self.step
        if step is None or step.kind != kind or step.calls >= LONGEST_STEP:
            return True
        own = executor._golden_number
        if any(waits for number, waits in step.awaits.items() if number != own):
            return False
        return step.updated or own in step.awaits

    def begin_step(self, kind, symbol):
        number = self.counts[kind]
        self.counts[kind] += 1
        wanted = number in self.steps[kind] or (kind, symbol) not in self.seen
        self.seen.add((kind, symbol))
        entry = {"kind": kind, "number": number, "calls": [], "updates": [], "metrics": []} if wanted else None
        self.step = Step(kind, number, entry)

    def end_step(self):
        """Keep what was recorded of the step, if there is room."""
        step, self.step = self.step, None
        if step is None or step.entry is None:
            return
        if self.store.settle(not self.recorded):
            self.recorded.append(step.entry)
        else:
            self.dropped += 1
            for call in step.entry["calls"]:
                if "inner" in call:
                    self.inner.discard((self.executors[call["executor"]]["symbol"], call["is_train"]))

    def inner_output(self, call, name, array):
        """What a node gave. Of Dropout it is kept which elements went through: that is all of its random numbers."""
        if "inner" in call:
            call["inner"].append([name, self.result(array, INNER_SAMPLE)])
        node = self.dropouts[self.executors[call["executor"]]["symbol"]].get(name)
        if node is not None:
            value = array.asnumpy()
            kept = self.store.put(np.packbits((value != 0).ravel().astype(np.uint8)))
            call["masks"][node] = {"bits": kept, "shape": [int(size) for size in value.shape], "dtype": value.dtype.name}

    def end_call(self, executor, call):
        """After a forward. What raises an error is not recorded."""
        calls = self.step.entry["calls"]
        place = len(calls)
        executor._golden_call = (self.step, call, place)
        call["outputs"] = [self.result(x, where=[place, "output", i]) for i, x in enumerate(executor.outputs)]
        call["states_after"] = dict((name, self.result(x)) for name, x in executor.aux_dict.items())
        calls.append(call)

    def open_call(self, executor):
        """What is recorded of the forward that a backward belongs to."""
        step, call, place = getattr(executor, "_golden_call", None) or (None, None, None)
        return (call, place) if step is self.step and step is not None else (None, None)

    def begin_backward(self, executor, heads):
        """Before a backward; None if it is not recorded."""
        if self.step is not None:
            self.step.awaits[getattr(executor, "_golden_number", None)] = False
        call, _ = self.open_call(executor)
        if call is None:
            return None
        if isinstance(heads, dict):
            heads = [heads[name] for name in executor._symbol.list_outputs()]
        elif heads is not None and not isinstance(heads, (list, tuple)):
            heads = [heads]
        requests = self.executors[call["executor"]]["grad_req"]
        added = [name for name, request in requests.items() if request == "add"]
        return {
            "heads": None if heads is None else [None if x is None else self.full(x) for x in heads],
            "before": dict((name, self.full(executor.grad_dict[name])) for name in added),
        }

    def end_backward(self, executor, backward):
        """After a backward."""
        call, place = self.open_call(executor)
        requests = self.executors[call["executor"]]["grad_req"]
        backward["gradients"] = dict(
            (name, self.result(executor.grad_dict[name], where=[place, "gradient", name])) for name in sorted(requests)
        )
        call["states_after"] = dict((name, self.result(x)) for name, x in executor.aux_dict.items())
        call.setdefault("backwards", []).append(backward)

    # optimizers

    def optimizer_number(self, optimizer):
        """The number of an optimizer with its settings as they are now."""
        found, other = settings(optimizer, COUNTERS)
        entry = {"class": type(optimizer).__name__, "module": type(optimizer).__module__, "settings": found, "other": other}
        scheduler = optimizer.lr_scheduler
        if scheduler is not None:
            entry["scheduler"] = {"class": type(scheduler).__name__, "module": type(scheduler).__module__}
            entry["scheduler"]["settings"] = settings(scheduler)[0]
        if entry not in self.optimizers:
            self.optimizers.append(entry)
        return self.optimizers.index(entry)

    def begin_update(self, optimizer, indices, weights, grads, states):
        """Before an update: ``states`` are (known, state) of each parameter. None if it is not recorded."""
        if self.step is None:
            return None
        self.step.updated = True
        if self.step.entry is None:
            return None
        names, counts = getattr(optimizer, "idx2name", {}), optimizer._index_update_count
        update = {"optimizer": self.optimizer_number(optimizer), "num_update": optimizer.num_update, "parameters": []}
        for index, weight, grad, (known, state) in zip(indices, weights, grads, states):
            entry = {"index": index, "name": names.get(index, index), "count": counts.get(index)}
            entry.update(weight=self.full(weight), gradient=self.given(grad), known=known)
            entry["state"] = self.nested(state, self.full) if known else None
            update["parameters"].append(entry)
        self.rates = {}
        return update

    def end_update(self, update, many, weights, states):
        """After an update; ``many`` if lists were given."""
        update["many"] = many
        rates, self.rates = self.rates, None
        for entry, weight, state in zip(update["parameters"], weights, states):
            entry["weight_after"] = self.result(weight)
            entry["state_after"] = self.nested(state, self.result)
            for name in ("lr", "wd"):
                if (name, entry["index"]) in rates:
                    entry[name] = plain(rates[name, entry["index"]])
        self.step.entry["updates"].append(update)

    # metrics

    def begin_metric(self, metric, labels, predictions):
        """Before a metric takes in a batch; None if it is not recorded."""
        if self.step is None or self.step.entry is None or type(metric).__name__ == "CompositeEvalMetric":
            return None
        before, other = settings(metric)
        entry = {"class": type(metric).__name__, "module": type(metric).__module__, "before": before, "other": other}
        try:
            entry["config"] = plain(metric.get_config())
        except (AttributeError, NotImplementedError, ValueError):
            entry["config"] = None
        for name, arrays in (("labels", labels), ("predictions", predictions)):
            arrays = arrays if isinstance(arrays, (list, tuple)) else [arrays]
            if not all(hasattr(array, "asnumpy") for array in arrays):
                return None
            entry[name] = [self.given(array) for array in arrays]
        return entry

    def end_metric(self, metric, entry):
        """After a metric took in a batch."""
        entry["after"] = settings(metric)[0]
        self.step.entry["metrics"].append(entry)

    def metric_value(self, name, value):
        """What a metric said."""
        if len(self.metric_values) < METRIC_VALUES:
            try:
                value = [repr(float(x)) for x in value] if isinstance(value, (list, tuple)) else repr(float(value))
                self.metric_values.append([self.counts["train"], self.counts["inference"], plain(name), value])
            except (TypeError, ValueError):
                pass

    def finish(self, about):
        """Write the files; whether there was anything to record."""
        self.end_step()
        self.store.close()
        for symbol, text in zip(self.symbols, self.symbol_texts):
            write_text(os.path.join(self.folder, symbol["file"]), text)
        with open(self.store.path, "rb") as stream:
            about["arrays"] = {"file": "arrays.npz", "sha256": hashlib.sha256(stream.read()).hexdigest()}
        about.update(
            format=FORMAT,
            symbols=self.symbols,
            executors=self.executors,
            optimizers=self.optimizers,
            steps=self.recorded,
            totals=dict(self.counts, recorded=len(self.recorded), dropped=self.dropped),
            metric_values=self.metric_values,
            seeds=self.seeds,
        )
        text = json.dumps(about, indent=1, sort_keys=True, separators=(",", ": "), allow_nan=True)
        write_text(os.path.join(self.folder, "meta.json"), text + "\n")
        return bool(self.recorded)


def write_text(path, text):
    """Write a file of UTF-8."""
    with io.open(path, "wb") as stream:
        stream.write(text if isinstance(text, bytes) else text.encode("utf-8"))


# -- hooks --------------------------------------------------------------------------------------------------------


def replace(owner, name, make):
    """Put ``make(function)`` in the place of a function of a class or module."""
    original = vars(owner)[name]
    setattr(owner, name, functools.wraps(original)(make(original)))


def watch_executors(recorder):
    """Hooks on ``Executor``."""
    kind = recorder.mx.executor.Executor
    replace(kind, "set_monitor_callback", functools.partial(watched_monitor, recorder))
    replace(kind, "forward", functools.partial(watched_forward, recorder))
    replace(kind, "backward", functools.partial(watched_backward, recorder))


def watched_forward(recorder, original):
    def run(self, is_train=False, **inputs):
        if not recorder.active():
            return original(self, is_train, **inputs)
        recorder.busy += 1
        try:
            call = recorder.begin_call(self, bool(is_train), inputs)
            if call is None:
                return original(self, is_train, **inputs)
            with_inner = "inner" in call or "masks" in call
            if with_inner:
                show_inner(recorder, self, call)
            try:
                outputs = original(self, is_train, **inputs)
            finally:
                if with_inner:
                    hide_inner(self)
            recorder.end_call(self, call)
            return outputs
        finally:
            recorder.busy -= 1

    return run


def watched_backward(recorder, original):
    def run(self, out_grads=None, *rest, **named):
        if not recorder.active():
            return original(self, out_grads, *rest, **named)
        recorder.busy += 1
        try:
            entry = recorder.begin_backward(self, out_grads)
            original(self, out_grads, *rest, **named)
            if entry is not None:
                recorder.end_backward(self, entry)
        finally:
            recorder.busy -= 1

    return run


def watched_monitor(recorder, original):
    def run(self, callback, *rest, **named):
        if not recorder.busy:
            self._golden_monitor = (callback, rest, named)
        return original(self, callback, *rest, **named)

    return run


def show_inner(recorder, executor, call):
    """Let the executor show every node's output, and the program's own monitor what it asked for."""
    own = getattr(executor, "_golden_monitor", None)

    def observe(name, handle):
        if own is not None:
            own[0](name, handle)
        if isinstance(handle, int) or type(handle).__name__ == "long":
            if own is not None:
                return  # the program's monitor owns the handle
            handle = recorder.mx.nd.NDArray(ctypes.cast(handle, recorder.mx.base.NDArrayHandle), writable=False)
        name = name.decode("utf-8") if isinstance(name, bytes) else name
        try:
            recorder.inner_output(call, name, handle)
        except recorder.mx.base.MXNetError:
            pass  # an operator failed: the program hears of it when it reads an output

    executor.set_monitor_callback(observe, *(own[1] if own else ()), **(own[2] if own else {}))


def hide_inner(executor):
    """Give the executor the program's monitor back, or one that does nothing (there is no way to take one off)."""
    callback, rest, named = getattr(executor, "_golden_monitor", None) or (_ignore, (), {})
    executor.set_monitor_callback(callback, *rest, **named)


def _ignore(name, array):
    pass


def text(index):
    """An index of a parameter; the key of a kvstore may come as bytes."""
    return index.decode("utf-8") if isinstance(index, bytes) and not isinstance(index, str) else index


def watch_updates(recorder):
    """Hooks on ``Updater`` and on ``update`` of every optimizer."""
    optimizer = recorder.mx.optimizer
    replace(optimizer.Updater, "__call__", functools.partial(watched_updater, recorder))
    for kind in family(optimizer.Optimizer):
        for name in ("update", "update_multi_precision"):
            if name in vars(kind):
                replace(kind, name, functools.partial(watched_rule, recorder))
        for name, key in (("_get_lr", "lr"), ("_get_wd", "wd"), ("_get_lrs", "lr"), ("_get_wds", "wd")):
            if name in vars(kind):
                replace(kind, name, functools.partial(watched_rate, recorder, key))


def watched_updater(recorder, original):
    def run(self, index, grad, weight):
        if not recorder.active():
            return original(self, index, grad, weight)
        recorder.busy += 1
        try:
            many = isinstance(index, (list, tuple))
            indices = [text(i) for i in (index if many else [index])]
            grads, weights = (grad, weight) if many else ([grad], [weight])
            states = [(i in self.states, self.states.get(i)) for i in indices]
            update = recorder.begin_update(self.optimizer, indices, weights, grads, states)
            original(self, index, grad, weight)
            if update is not None:
                recorder.end_update(update, many, weights, [self.states.get(i) for i in indices])
        finally:
            recorder.busy -= 1

    return run


def watched_rule(recorder, original):
    def run(self, index, weight, grad, state):
        if not recorder.active():
            return original(self, index, weight, grad, state)
        recorder.busy += 1
        try:
            many = isinstance(index, (list, tuple))
            indices = [text(i) for i in (index if many else [index])]
            weights, grads, states = (weight, grad, state) if many else ([weight], [grad], [state])
            update = recorder.begin_update(self, indices, weights, grads, [(True, part) for part in states])
            original(self, index, weight, grad, state)
            if update is not None:
                recorder.end_update(update, many, weights, states)
        finally:
            recorder.busy -= 1

    return run


def watched_rate(recorder, key, original):
    def run(self, index):
        found = original(self, index)
        if recorder.rates is not None:
            many = isinstance(index, (list, tuple))
            for i, rate in zip(index if many else [index], found if many else [found]):
                recorder.rates[key, text(i)] = rate
        return found

    return run


def watch_metrics(recorder):
    """Hooks on ``update`` and ``get`` of every metric."""
    for kind in family(recorder.mx.metric.EvalMetric):
        if "update" in vars(kind):
            replace(kind, "update", functools.partial(watched_metric, recorder))
        if "get" in vars(kind):
            replace(kind, "get", functools.partial(watched_value, recorder))


def watched_metric(recorder, original):
    def run(self, labels, preds):
        if not recorder.active() or hasattr(self, "metrics") and isinstance(self.metrics, list):
            return original(self, labels, preds)  # of a list of metrics each is recorded
        recorder.busy += 1
        try:
            entry = recorder.begin_metric(self, labels, preds)
            original(self, labels, preds)
            if entry is not None:
                recorder.end_metric(self, entry)
        finally:
            recorder.busy -= 1

    return run


def watched_value(recorder, original):
    def run(self):
        if not recorder.active():
            return original(self)
        recorder.busy += 1
        try:
            name, value = original(self)
        finally:
            recorder.busy -= 1
        recorder.metric_value(name, value)
        return name, value

    return run


def watch_seeds(recorder):
    """Note the seeds that the program sets."""

    def noted(where, original):
        def run(*args, **named):
            if len(recorder.seeds) < 20:
                try:
                    recorder.seeds.append([where, plain(args[0] if args else sorted(named.items())[0][1])])
                except (ValueError, IndexError):
                    recorder.seeds.append([where, None])
            return original(*args, **named)

        return run

    for where, module in (("mxnet", recorder.mx.random), ("numpy", np.random), ("random", random)):
        module.seed = functools.partial(noted, where)(module.seed)


def family(root):
    """A class and all its subclasses, each once."""
    found = [root]
    for kind in found:
        found += [sub for sub in kind.__subclasses__() if sub not in found]
    return found


# -- command ------------------------------------------------------------------------------------------------------


def parse_steps(text):
    """Numbers of steps: ``0,5,10-12`` or ``none``."""
    found = set()
    for part in text.split(",") if text != "none" else ():
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return frozenset(found)


def parser():
    """The arguments of the command."""
    found = argparse.ArgumentParser(
        prog="record.py",
        usage="record.py [options] -- script.py args ...",
        description="Run a script under MXNet and record its steps for mxcompat verify.",
    )
    found.add_argument("-o", "--out", default="golden", metavar="FOLDER", help="where to write (golden)")
    found.add_argument(
        "--steps",
        type=parse_steps,
        metavar="0,5,10-12",
        help="training steps, then with every node's output (default: 0, 1, 3, 10, 30, 100, ...)",
    )
    found.add_argument("--inference", type=parse_steps, metavar="0,5,10-12", help="steps without training (0, 1, 10, ...)")
    found.add_argument("--sample", type=int, default=SAMPLE, metavar="N", help="elements kept of a large result (%d)" % SAMPLE)
    found.add_argument("--budget", type=float, default=10, metavar="MB", help="size; the first step is always kept (10)")
    found.add_argument("--seed", type=int, metavar="N", help="seed mxnet, numpy and random first")
    found.add_argument("-m", dest="is_module", action="store_true", help="run a module, as python -m does")
    found.add_argument("script", help="the script or module")
    found.add_argument("arguments", nargs=argparse.REMAINDER, help="its own arguments")
    return found


def prepare_folder(folder):
    """Make the folder, or take one with a recording; ``SystemExit`` for a folder with anything else in it."""
    if not os.path.isdir(folder):
        os.makedirs(folder)
    names = os.listdir(folder)
    if names and "meta.json" not in names and "arrays.npz.part" not in names:
        raise SystemExit("record.py: %s is not empty and holds no recording" % folder)
    for name in names:
        if name == "meta.json" or name.startswith(("symbol-", "arrays.npz")):
            os.remove(os.path.join(folder, name))


def main(argv=None):
    """Run and record; the exit code is the script's, 1 if there was nothing to record."""
    args = parser().parse_args(argv)
    folder = os.path.abspath(args.out)
    prepare_folder(folder)
    sys.argv = [args.script] + args.arguments
    sys.path[0] = os.getcwd() if args.is_module else os.path.dirname(os.path.abspath(args.script))
    import mxnet as mx

    steps = {"train": args.steps, "inference": args.inference}
    recorder = Recorder(mx, folder, steps, args.sample, int(args.budget * 1e6))
    if args.seed is not None:
        random.seed(args.seed)
        np.random.seed(args.seed)
        mx.random.seed(args.seed)
    for watch in (watch_executors, watch_updates, watch_metrics, watch_seeds):
        watch(recorder)
    about = {
        "script": os.path.basename(args.script),
        "arguments": args.arguments,
        "versions": {"python": platform.python_version(), "mxnet": mx.__version__, "numpy": np.__version__},
        "package": mx.__name__,
        "platform": "%s %s" % (platform.system(), platform.machine()),
        "seed": args.seed,
        "sample": args.sample,
    }
    try:
        run = runpy.run_module if args.is_module else runpy.run_path
        run(args.script, run_name="__main__", **({"alter_sys": True} if args.is_module else {}))
    finally:
        recorder.busy += 1
        if recorder.finish(about):
            report(recorder, args.out)
    if not recorder.recorded:
        print("record.py: the script ran no executor: nothing is recorded", file=sys.stderr)
        return 1
    return 0


def report(recorder, folder):
    """Say what was recorded."""
    size = sum(os.path.getsize(os.path.join(folder, name)) for name in os.listdir(folder))
    print(
        "record.py: %s: %d steps recorded (the run had %d of training and %d others), %.1f MB%s"
        % (
            folder,
            len(recorder.recorded),
            recorder.counts["train"],
            recorder.counts["inference"],
            size / 1e6,
            "; %d did not fit, --budget makes room" % recorder.dropped if recorder.dropped else "",
        ),
        file=sys.stderr,
    )


if __name__ == "__main__":
    sys.exit(main())
