"""Repeating a recording: each recorded step from its own parameters and inputs, compared with what came of it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

import mxcompat as mx
from mxcompat.base import MXNetError
from mxcompat.regression.compare import Comparison, Report, Tolerance, compare, floor_of, jump, node_floor
from mxcompat.regression.golden import Recording
from mxcompat.regression.graphs import Graph, mask_name, with_masks
from mxcompat.regression.record import positions
from mxcompat.regression.training import repeat_metric, repeat_update, to_array

__all__ = ["replay"]

#: what calls raise that cannot be repeated
FAILURES = (MXNetError, TypeError, ValueError)
#: how the jumps of gradients are measured: parameters move by so many units of rounding, that often; the largest move of a
#: gradient is allowed so many times
JUMP_MOVE, JUMP_TRIALS, JUMP_FACTOR = 32, 3, 3


def replay(
    recording: Recording,
    tolerance: Tolerance | None = None,
    steps: Sequence[int] | None = None,
    progress: Callable[[str], None] | None = None,
) -> Report:
    """Repeat the recorded steps (with ``steps``: the training steps of these numbers) and compare them.

    ``progress`` is told each step. Graphs run on the CPU, node by node unless ``MXCOMPAT_COMPILE`` says otherwise.
    """
    report = Report(recording)
    with _eager():
        run = Replay(recording, report, tolerance or Tolerance())
        for step in recording.steps:
            if steps is None or (step["kind"] == "train" and step["number"] in steps):
                if progress is not None:
                    progress(label(step))
                run.step(step)
    return report


def label(step: Mapping[str, Any]) -> str:
    """``step 10`` for training, ``inference 3`` for a forward without."""
    return f"{'step' if step['kind'] == 'train' else 'inference'} {step['number']}"


@contextlib.contextmanager
def _eager() -> Iterator[None]:
    """No compiling, unless it is asked for: each graph runs a few times only."""
    asked = os.environ.get("MXCOMPAT_COMPILE")
    if asked is None:
        os.environ["MXCOMPAT_COMPILE"] = "never"
    try:
        yield
    finally:
        if asked is None:
            os.environ.pop("MXCOMPAT_COMPILE", None)


class Replay:
    """The state of a repetition: graphs and executors, and the results of the step that is repeated."""

    def __init__(self, recording: Recording, report: Report, tolerance: Tolerance):
        self.recording, self.report, self.tolerance = recording, report, tolerance
        self.graphs: dict[tuple, Graph] = {}  # by symbol, and the nodes whose random numbers are recorded
        self.executors: dict[tuple, Any] = {}
        self.shares: dict[str, dict[str, float]] = {}  # symbol -> share that each Dropout node drops
        self.at = ""
        #: (place of the call, "output" or "gradient", number or name) -> (recorded entry, found or None if random)
        self.results: dict[tuple, tuple[Mapping[str, Any], np.ndarray | None]] = {}

    def step(self, step: Mapping[str, Any]) -> None:
        """Repeat one step."""
        self.at, self.results = label(step), {}
        for place, call in enumerate(step["calls"]):
            try:
                self._call(place, call)
            except FAILURES as error:
                self._failed(f"executor {call['executor']}", str(error).split("\n")[0])
        for update in step["updates"]:
            try:
                repeat_update(self, update)
            except FAILURES as error:
                self._failed("update", str(error).split("\n")[0])
        for metric in step["metrics"]:
            repeat_metric(self, metric)

    def _failed(self, what: str, problem: str) -> None:
        if "custom operator" in problem:
            problem += "; --load the file that registers it"
        self.report.add(Comparison(self.at, what, "", problem=problem))

    def skip(self, reason: str) -> None:
        """Note that something is not compared."""
        self.report.skipped[reason] += 1

    def check(self, what: str, node: str, entry: Mapping[str, Any], found: np.ndarray, **options: Any) -> Comparison:
        """Compare an array."""
        comparison = compare(Comparison(self.at, what, node), entry, found, self.recording, self.tolerance, **options)
        self.report.add(comparison)
        return comparison

    # -- graphs -------------------------------------------------------------------------------------------------

    def _graph(self, call: Mapping[str, Any]) -> Graph:
        number, masks = self.recording.executors[call["executor"]]["symbol"], tuple(call.get("masks", ()))
        if (number, masks) not in self.graphs:
            text = self.recording.symbols[number]
            self.graphs[number, masks] = Graph(mx.sym.load_json(with_masks(text, masks) if masks else text))
        return self.graphs[number, masks]

    def _executor(self, call: Mapping[str, Any]) -> Any:
        """The executor of a call, with the arguments and states it had."""
        number, graph, masks = call["executor"], self._graph(call), call.get("masks", {})
        arguments, states = (
            {name: to_array(self.recording.array(entry), entry) for name, entry in call[kind].items()}
            for kind in ("arguments", "states")
        )
        for name, entry in masks.items():
            arguments[mask_name(name)] = self._mask(number, name, entry)
        key = (number, *masks)
        if key not in self.executors:
            requests = self.recording.executors[number]["grad_req"]
            storage = {
                name: x.get("stype", "default") for y in call.get("backwards", ()) for name, x in y["gradients"].items()
            }
            gradients = {
                name: mx.nd.zeros(
                    arguments[name].shape, dtype=arguments[name].dtype, stype=storage.get(name, "default")
                )
                for name in requests
            }
            self.executors[key] = graph.symbol.bind(
                mx.cpu(), arguments, gradients, {**dict.fromkeys(arguments, "null"), **requests}, states
            )
            return self.executors[key]
        executor = self.executors[key]
        for given, held in ((arguments, executor.arg_dict), (states, executor.aux_dict)):
            for name, value in given.items():
                value.copyto(held[name])
        return executor

    def _mask(self, executor: int, node: str, entry: Mapping[str, Any]) -> Any:
        """What a Dropout node multiplied with. Where its input was 0 that is unknown, and 0 here."""
        size = int(np.prod(entry["shape"], dtype=np.int64))
        kept = np.unpackbits(self.recording.entry(entry["bits"]))[:size].reshape(entry["shape"])
        text = self.recording.symbols[self.recording.executors[executor]["symbol"]]
        if text not in self.shares:
            nodes = Graph(mx.sym.load_json(text)).nodes
            self.shares[text] = {x.name: x.params["p"] for x in nodes if x.op is not None and x.op.name == "Dropout"}
        return mx.nd.array(kept / (1.0 - self.shares[text][node]), dtype=entry["dtype"])

    # -- calls --------------------------------------------------------------------------------------------------

    def _call(self, place: int, call: Mapping[str, Any]) -> None:
        graph, executor = self._graph(call), self._executor(call)
        random = graph.random(call["is_train"])
        inner: dict[str, np.ndarray] = {}
        if call.get("inner"):
            executor.set_monitor_callback(lambda name, array: inner.setdefault(name.decode(), array.asnumpy()))
        executor.forward(is_train=call["is_train"])
        executor.set_monitor_callback(None)
        self._compare_inner(graph, call, inner, random)
        outputs = executor.outputs
        floor = floor_of(call["outputs"], self.recording)
        for number, (entry, output) in enumerate(zip(call["outputs"], outputs)):
            name, node = graph.outputs[number], graph.heads[number]
            found = None if node in random else output.asnumpy()
            self.results[place, "output", number] = entry, found
            if found is None:
                self.skip(graph.reason(node, "outputs", random))
            else:
                self.check(f"output {name}", graph.described(node), entry, found, floor=floor)
        parting = [(x, self._backward(place, graph, executor, x, random)) for x in call.get("backwards", ())]
        states = call["states_after"]
        for name, entry in states.items():
            node = graph.consumers[name][0]
            if node in random:
                self.skip(graph.reason(node, "states", random))
                continue
            siblings = [states[other] for other in graph.arguments(node) if other in states]
            floor = node_floor(entry, siblings, 0.0, self.recording)
            self.check(f"state {name}", graph.described(node), entry, executor.aux_dict[name].asnumpy(), floor=floor)
        for backward, gradients in parting:
            if gradients:
                self._measure_jumps(call, backward, gradients)

    def _compare_inner(self, graph: Graph, call: Mapping[str, Any], found: Mapping[str, Any], random: set[str]) -> None:
        """Every node's output, in the order in which the original ran them."""
        recorded = [(name, entry) for name, entry in call.get("inner", ()) if name in found and name in graph.visible]
        floor = floor_of([entry for _, entry in recorded], self.recording)
        for name, entry in recorded:
            node = graph.visible[name]
            if node in random:
                self.skip(graph.reason(node, "nodes", random))
            else:
                self.check(f"inner output {name}", graph.described(node), entry, found[name], floor=floor)

    def _backward(
        self, place: int, graph: Graph, executor: Any, backward: Mapping[str, Any], random: set[str]
    ) -> list[tuple[str, Comparison, np.ndarray, float]]:
        """Compare the gradients; (name, comparison, gradient, floor) of those that part."""
        self._run_backward(executor, backward)
        gradients, parting = backward["gradients"], []
        of_call = floor_of(gradients.values(), self.recording)
        for name in graph.from_the_loss(gradients):
            entry, node = gradients[name], graph.consumers[name][0]
            siblings = [gradients[other] for other in graph.arguments(node) if other in gradients]
            found = executor.grad_dict[name].asnumpy()
            touched = graph.touched(name, random)
            self.results[place, "gradient", name] = entry, None if touched else found
            if touched:
                self.skip(graph.reason(touched, "gradients", random))
                continue
            floor = node_floor(entry, siblings, of_call, self.recording)
            comparison = self.check(f"gradient of {name}", graph.described(node), entry, found, floor=floor)
            if not comparison.agrees and not comparison.problem:
                parting.append((name, comparison, found, floor))
        return parting

    def _run_backward(self, executor: Any, backward: Mapping[str, Any]) -> None:
        for name, entry in backward["before"].items():
            to_array(self.recording.array(entry), entry).copyto(executor.grad_dict[name])
        heads = backward["heads"]
        if heads is not None:
            heads = [None if entry is None else to_array(self.recording.array(entry), entry) for entry in heads]
        executor.backward(heads)

    def _measure_jumps(
        self,
        call: Mapping[str, Any],
        backward: Mapping[str, Any],
        parting: Sequence[tuple[str, Comparison, np.ndarray, float]],
    ) -> None:
        """Allow gradients to part as far as they move when the parameters move by rounding, a few times over.

        An element that is zero but for rounding is on either side of a relu, or wins a max pooling or not; in a deep
        network there are some in every batch, and each puts a jump into the gradients of all layers before it.
        """
        far = dict.fromkeys((name for name, *_ in parting), 0.0)
        for trial in range(JUMP_TRIALS):
            executor, draw = self._executor(call), np.random.RandomState(trial)
            for name in backward["gradients"]:
                value = executor.arg_dict[name].asnumpy()
                if value.dtype.kind == "f":
                    signs = draw.randint(0, 2, value.shape) * 2.0 - 1
                    executor.arg_dict[name][:] = value * (1 + JUMP_MOVE * np.finfo(value.dtype).eps * signs)
            executor.forward(is_train=call["is_train"])
            self._run_backward(executor, backward)
            for name, _, found, floor in parting:
                moved = executor.grad_dict[name].asnumpy()
                far[name] = max(far[name], jump(backward["gradients"][name], found, moved, self.recording, floor))
        for name, comparison, *_ in parting:
            if JUMP_FACTOR * far[name] > comparison.allowed:
                comparison.allowed, comparison.jumps = JUMP_FACTOR * far[name], True

    # -- arrays that are results of the step --------------------------------------------------------------------

    def given(self, entry: Mapping[str, Any], use_random: bool = False) -> tuple[np.ndarray | None, bool]:
        """An array, and whether it is as recorded in full.

        A large result of the step is the repeated one with the recorded elements in their places. None for one that
        depends on random numbers; with ``use_random``, zeros with the recorded elements.
        """
        if "link" not in entry:
            return self.recording.array(entry), True
        recorded, found = self.results[tuple(entry["link"])]
        if "array" in recorded:
            return self.recording.array(recorded), True
        if found is None and not use_random:
            return None, False
        value = np.zeros(recorded["shape"], recorded["dtype"]) if found is None else found.copy()
        chosen = self.recording.entry(recorded["sample"])
        value.reshape(-1)[positions(value.size, chosen.size)] = chosen
        return value, False
