"""Unrolled recurrence becomes a loop again: a run of steps that repeats at once, each time on the next piece of an input.

What an iteration reads of the one before is carried in a variable; what every iteration adds to one ``torch.stack`` or
``torch.cat`` is collected in a list.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from mxcompat.convert.steps import Moved, Source, Step, Variable, current

__all__ = ["Loop", "roll"]

FEWEST, LONGEST = 3, 24
_GATHERED = re.compile(r"^torch\.(stack|cat)\(\(.*?\), ")


@dataclass(eq=False)
class Loop(Step):
    """``body`` are the steps of the first iteration, reading ``elements`` and ``carried`` through placeholders.

    ``elements`` are (placeholder, the step that makes the pieces), ``carried`` (placeholder, first value, value of the
    body that the next iteration reads). Outputs are the ``finals``, values of the last iteration, then lists of the
    ``collected`` ones.
    """

    body: list[Step] = field(default_factory=list)
    elements: list[tuple[Variable, Step]] = field(default_factory=list)
    carried: list[tuple[Variable, Source, Source]] = field(default_factory=list)
    finals: list[Source] = field(default_factory=list)
    collected: list[Source] = field(default_factory=list)
    iterations: int = 0
    is_reversed: bool = False


def roll(steps: list[Step], outside: Sequence[Source], moved: Moved) -> list[Step]:
    """The steps, repeated runs replaced by loops; ``outside`` are the values that are read from elsewhere.

    ``moved`` takes in where values of the runs are found then.
    """
    place = 0
    while place < len(steps):
        found = _longest_run(steps, place)
        loop = found and _Run(steps, place, *found, [current(source, moved) for source in outside]).loop(moved)
        if found and loop:
            steps = [*steps[:place], loop, *steps[place + found[0] * found[1] :]]
        place += 1
    return steps


def _longest_run(steps: list[Step], start: int) -> tuple[int, int] | None:
    """``(steps in an iteration, iterations)`` of what repeats from here on."""
    best = None
    for period in range(1, min(LONGEST, (len(steps) - start) // FEWEST) + 1):
        length = 0
        while start + length + period < len(steps) and _equal(steps[start + length], steps[start + length + period]):
            length += 1
        count = length // period + 1
        if count >= FEWEST and (best is None or count * period > best[0] * best[1]):
            best = period, count
    return best


def _equal(one: Step, other: Step) -> bool:
    return one.layer is other.layer and one.numbers == other.numbers and one.key() == other.key()


class _Run:
    """One candidate: ``count`` iterations of ``period`` steps."""

    def __init__(self, steps: list[Step], start: int, period: int, count: int, outside: Sequence[Source]):
        self.steps, self.start, self.period, self.count = steps, start, period, count
        self.own = steps[start : start + period * count]
        self.places = {id(step): place for place, step in enumerate(self.own)}
        self.outside = outside
        self.elements: dict[int, tuple[Variable, Step]] = {}
        self.carried: dict[tuple[int, int], tuple[Variable, Source, Source]] = {}
        self.directions: set[bool] = set()

    def loop(self, moved: Moved) -> Loop | None:
        """The loop, with readers of its lists rewritten; None where the run is none."""
        body = []
        for offset in range(self.period):
            inputs = [self._input(offset, slot) for slot in range(len(self.own[offset].inputs))]
            if None in inputs:
                return None
            body.append(replace(self.own[offset], inputs=[source for source in inputs if source is not None]))
        found = self._results()
        if found is None or not self.carried or len(self.directions) > 1:
            return None
        finals, gatherers = found
        renewed = {id(old): new for old, new in zip(self.own, body)}

        def inside(source: Source) -> Source:
            return (renewed[id(source[0])], source[1]) if id(source[0]) in renewed else source  # type: ignore[return-value]

        for step in body:
            step.inputs = [inside(source) for source in step.inputs]
        carried = [(variable, first, inside(value)) for variable, first, value in self.carried.values()]
        loop = Loop(
            "loop", "loop", "", self._reads(body),
            count=len(finals) + len(gatherers), body=body, elements=list(self.elements.values()), carried=carried,
            finals=[inside((self.own[offset], index)) for offset, index in finals],
            collected=[inside((self.own[offset], index)) for offset, index in gatherers.values()],
            iterations=self.count, is_reversed=True in self.directions,
        )  # fmt: skip
        self._rewrite(loop, finals, gatherers, moved)
        return loop

    # -- what an iteration reads ------------------------------------------------------------------------------------

    def _input(self, offset: int, slot: int) -> Source | None:
        """What the first iteration reads there, with placeholders; None where the iterations do not follow a rule."""
        sources = [self.own[n * self.period + offset].inputs[slot] for n in range(self.count)]
        if all(source[0] is sources[0][0] and source[1] == sources[0][1] for source in sources):
            return None if id(sources[0][0]) in self.places else sources[0]
        relative = [self._relative(n, source) for n, source in enumerate(sources)]
        if len(set(relative)) == 1 and relative[0] is not None:
            return sources[0] if relative[0][0] == 0 else None
        if relative[0] is None and len(set(relative[1:])) == 1 and relative[1] is not None and relative[1][0] == 1:
            return self._carried(offset, sources[0], relative[1][1:])
        return self._element(sources)

    def _relative(self, iteration: int, source: Source) -> tuple[int, int, int] | None:
        """``(iterations back, offset, index)`` of a value that the run computes."""
        place = self.places.get(id(source[0]))
        if place is None:
            return None
        return iteration - place // self.period, place % self.period, source[1]

    def _carried(self, reader: int, first: Source, value: tuple[int, int]) -> Source | None:
        offset, index = value
        if reader > offset:  # the old value is needed after the new one is there
            return None
        if value not in self.carried:
            producer = self.own[offset]
            variable = Variable(producer.name, "local", tuple(producer.shapes[0]) if producer.shapes else (), "")
            self.carried[value] = variable, first, (producer, index)
        variable, known, _ = self.carried[value]
        return (variable, 0) if known[0] is first[0] and known[1] == first[1] else None

    def _element(self, sources: list[Source]) -> Source | None:
        pieces = sources[0][0]
        indices = [index for _, index in sources]
        forwards, backwards = list(range(self.count)), list(range(self.count))[::-1]
        if not isinstance(pieces, Step) or isinstance(pieces, Loop) or pieces.count != self.count or pieces.pattern:
            return None
        if any(producer is not pieces for producer, _ in sources) or indices not in (forwards, backwards):
            return None
        self.directions.add(indices == backwards)
        shape = tuple(pieces.shapes[0]) if pieces.shapes else ()
        return self.elements.setdefault(id(pieces), (Variable("x", "local", shape, ""), pieces))[0], 0

    def _reads(self, body: list[Step]) -> list[Source]:
        """All that the loop reads from before."""
        own = {id(step) for step in body}
        sources = [(pieces, 0) for _, pieces in self.elements.values()] + [first for _, first, _ in self.carried.values()]
        sources += [source for step in body for source in step.inputs if id(source[0]) not in own]
        return [source for source in sources if not (isinstance(source[0], Variable) and source[0].role == "local")]

    # -- what is read of the run ------------------------------------------------------------------------------------

    def _results(self) -> tuple[list[tuple[int, int]], dict[int, tuple[int, int]]] | None:
        """Values of the last iteration that are read later, and for each later step that gathers one of every
        iteration (by id) which; None where something else is read."""
        finals: list[tuple[int, int]] = []
        gatherers: dict[int, tuple[int, int]] = {}
        for step in [*self.steps[self.start + len(self.own) :], Step("", "", "", list(self.outside))]:
            read = [(self.places[id(p)], i) for p, i in step.inputs if id(p) in self.places]
            if not read:
                continue
            values = {(place % self.period, index) for place, index in read}
            iterations = [place // self.period for place, _ in read]
            if len(values) == 1 and iterations == list(range(self.count)) and len(read) == len(step.inputs):
                if not _GATHERED.match(step.text):
                    return None
                gatherers[id(step)] = values.pop()
            elif set(iterations) == {self.count - 1}:
                finals += [value for value in sorted(values) if value not in finals]
            else:
                return None
        return finals, gatherers

    def _rewrite(
        self, loop: Loop, finals: list[tuple[int, int]], gatherers: dict[int, tuple[int, int]], moved: Moved
    ) -> None:
        """Let later steps read the loop."""
        last = self.own[len(self.own) - self.period :]
        moved.update(((id(last[offset]), index), (loop, number)) for number, (offset, index) in enumerate(finals))
        lists = {key: len(finals) + number for number, key in enumerate(gatherers)}
        for step in self.steps[self.start + len(self.own) :]:
            if id(step) in gatherers:
                step.text = _GATHERED.sub(lambda match: f"torch.{match[1]}({{0}}, ", step.text)
                step.inputs = [(loop, lists[id(step)])]
                continue
            step.inputs = [current(source, moved) for source in step.inputs]
