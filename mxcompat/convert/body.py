"""Source text of a function body: steps become lines, short chains nest, and each value gets a name.

A value that only the next line reads is called ``x`` (``y`` where ``x`` is still needed); others carry the name that the
symbol gave them. Every line ends with the shape of what it computes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from mxcompat.convert.loops import Loop
from mxcompat.convert.steps import Source, Step, Variable, legal, number_text, unique

__all__ = ["Frame", "body_lines", "wrapped"]

WIDTH, NESTED_WIDTH, DEPTH = 108, 84, 4
#: the names of several outputs, when longer, are a tuple's name and numbers
UNPACKED_WIDTH = 50
#: layers that begin a line of their own
_HEAVY = ("nn.Conv", "nn.Linear", "nn.LSTM", "nn.GRU", "nn.RNN")
_PASSING = ("x", "y", "z")
_SLOT = re.compile(r"\{(a?)(\d+)\}")


@dataclass
class Frame:
    """What a function body may refer to.

    ``arguments`` are the names of values that come from outside, ``owner`` is how it calls the module (self, model),
    ``attributes`` the names of layers and stored variables (by id), ``numbers`` texts for entries of steps (by id),
    ``names`` those of values (by id). ``returned`` is filled with the names that returned values have in the body.
    In the body of a loop, ``forced`` are names that values must have, ``taken`` names that others have, and ``passing``
    those that may stand for one value after the other.
    """

    owner: str
    arguments: dict[tuple[int, int], str]
    attributes: Mapping[int, str]
    numbers: Mapping[tuple[int, str], str] = field(default_factory=dict)
    names: Mapping[int, str] = field(default_factory=dict)
    shows_shapes: bool = True
    returned: dict[tuple[int, int], str] = field(default_factory=dict)
    forced: dict[tuple[int, int], str] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    passing: set[str] | None = None


@dataclass
class _Line:
    """One assignment: the outermost step; ``inside`` are the steps nested in it."""

    step: Step
    inside: list[Step]

    def reads(self) -> list[tuple[int, int]]:
        own = {id(step) for step in self.inside}
        steps = [self.step, *self.inside]
        return [(id(p), i) for step in steps for p, i in step.inputs if id(p) not in own]


def body_lines(steps: Sequence[Step], returns: Sequence[Source], frame: Frame, returned: str = "return {}") -> list[str]:
    """The lines of a body (not indented), the return statement last.

    ``returned`` is filled with the returned values; without any, nothing is returned.
    """
    return _writer(steps, returns, frame).text(returned)


def _writer(steps: Sequence[Step], returns: Sequence[Source], frame: Frame) -> _Writer:
    aliases = _aliases(steps)
    steps = [step for step in steps if (id(step), 0) not in aliases]
    returns = [_resolved(source, aliases) for source in returns]
    inputs = {id(step): [_resolved(source, aliases) for source in step.inputs] for step in steps}
    return _Writer(frame, inputs, _grouped(steps, inputs, returns), returns)


def _aliases(steps: Sequence[Step]) -> dict[tuple[int, int], Source]:
    """Steps that only pass their input on."""
    return {(id(step), 0): step.inputs[0] for step in steps if step.text in ("{0}", "{a0}")}


def _resolved(source: Source, aliases: dict[tuple[int, int], Source]) -> Source:
    while (id(source[0]), source[1]) in aliases:
        source = aliases[id(source[0]), source[1]]
    return source


def _grouped(steps: Sequence[Step], inputs: dict[int, list[Source]], returns: Sequence[Source]) -> list[_Line]:
    """Nest a step in the one that follows, where that alone reads it, and only once."""
    reads = Counter((id(p), i) for step in steps for p, i in inputs[id(step)])
    reads.update((id(p), i) for p, i in returns)
    lines: list[_Line] = []
    for step in steps:
        line = _Line(step, [])
        if lines and _nests(lines[-1], step, inputs[id(step)], reads):
            previous = lines.pop()
            line.inside = [*previous.inside, previous.step]
        lines.append(line)
    return lines


def _nests(previous: _Line, step: Step, inputs: list[Source], reads: Counter) -> bool:
    inner = previous.step
    places = [i for i, (p, _) in enumerate(inputs) if p is inner]
    if isinstance(inner, Loop):
        return False
    if inner.count != 1 or len(places) != 1 or reads[id(inner), 0] != 1 or len(previous.inside) >= DEPTH - 1:
        return False
    if _is_heavy(step) and any(part.layer is not None for part in (inner, *previous.inside)):
        return False
    slots = [slot for slot in _SLOT.findall(step.text) if int(slot[1]) == places[0]]
    texts = [inner.text, step.text, *(s.text for s in previous.inside)]
    return len(slots) == 1 and sum(map(_expected_length, texts)) <= NESTED_WIDTH


def _is_heavy(step: Step) -> bool:
    """Whether the step calls a layer that a person would give a line, or a block."""
    return step.layer is not None and (step.layer.cls.startswith(_HEAVY) or not step.layer.cls.startswith("nn."))


def _expected_length(text: str) -> int:
    return len(re.sub(r"\{[^}]*\}", "xxxx", text).replace("xxxx(", "self.layer_name("))


class _Writer:
    def __init__(self, frame: Frame, inputs: dict[int, list[Source]], lines: list[_Line], returns: Sequence[Source]):
        self.frame, self.inputs, self.lines, self.returns = frame, inputs, lines, returns
        self.taken = set(frame.arguments.values()) | frame.taken
        self.names: dict[tuple[int, int], str] = dict(frame.arguments)
        self.last_read = self._last_reads()
        self.forced = dict(frame.forced)
        self.tuples: dict[int, str] = {}
        loops = [line.step for line in lines if isinstance(line.step, Loop)]
        self.iterated = {id(pieces) for loop in loops for _, pieces in loop.elements}
        self.carried = {id(loop): [self._carried_name(*entry) for entry in loop.carried] for loop in loops}

    def _last_reads(self) -> dict[tuple[int, int], list[int]]:
        """value -> the lines that read it; the return statement counts as one more line."""
        found: dict[tuple[int, int], list[int]] = {}
        for number, line in enumerate(self.lines):
            for step in (line.step, *line.inside):
                for producer, index in self.inputs[id(step)]:
                    found.setdefault((id(producer), index), []).append(number)
        for producer, index in self.returns:
            found.setdefault((id(producer), index), []).append(len(self.lines))
        return found

    def text(self, returned: str) -> list[str]:
        written = []
        for number, line in enumerate(self.lines):
            if isinstance(line.step, Loop):
                written += self._loop(line.step)
                continue
            self.stem = self._stem(line)
            expression = self._expression(line.step, {id(step) for step in line.inside})
            is_last = number == len(self.lines) - 1
            shape = self._shape(line.step)
            if is_last and returned and line.step.count == 1 and self._is_returned_alone(line.step):
                written += wrapped(returned.format(expression), shape)
                return written
            target = self._target(line.step, number)
            written += wrapped(f"{target} = {expression}", shape)
        values = ", ".join(self._value(source) for source in self.returns)
        if values and returned:
            written += wrapped(returned.format(values), "")
        return written

    def _is_returned_alone(self, step: Step) -> bool:
        return len(self.returns) == 1 and self.returns[0][0] is step

    def _shape(self, step: Step) -> str:
        if not self.frame.shows_shapes or not step.shapes or step.shapes[0] == ():
            return ""
        shapes = [str(tuple(shape)) for shape in step.shapes]
        return shapes[0] if len(set(shapes)) == 1 else ", ".join(shapes) if len(shapes) <= 3 else ""

    # -- names --------------------------------------------------------------------------------------------------

    def _stem(self, line: _Line) -> str:
        """What a line's value is called: by its author, else like the last layer in the line, else by the operator."""
        step = line.step
        if id(step) in self.frame.names or step.is_named:
            return self.frame.names.get(id(step)) or legal(step.name, "value")
        for part in (step, *reversed(line.inside)):
            if part.layer is not None:
                return self.frame.attributes[id(part.layer)]
            if len(part.inputs) != 1:
                break
        return legal(step.name, "value")

    def _target(self, step: Step, number: int) -> str:
        if step.count == 1:
            return self._named(step, 0, number)
        stem = self.stem
        if id(step) in self.iterated or (not step.pattern and step.count * (len(stem) + 4) > UNPACKED_WIDTH):
            name = self.tuples[id(step)] = unique(stem, self.taken)
            self.names.update(((id(step), index), f"{name}[{index}]") for index in range(step.count))
            return name
        names = [self._named(step, index, number) for index in range(step.count)]
        return step.pattern.format(*names) if step.pattern else ", ".join(names)

    def _named(self, step: Step, index: int, number: int) -> str:
        value = (id(step), index)
        reads = self.last_read.get(value, [])
        if value in self.forced or not reads:
            self.names[value] = self.forced.get(value, "_")
            return self.names[value]
        if self._passes_on(step, reads, number):
            busy = {self.names[v] for v, places in self.last_read.items() if v in self.names and max(places) > number}
            busy |= set(self._kept_arguments(number))
            for name in _PASSING:
                if name not in busy and (name not in self.taken or name in self._generic):
                    self._generic.add(name)
                    self.names[value] = name
                    return name
        stem = self.stem if step.count == 1 else f"{self.stem}_{(step.output_names or range(step.count))[index]}"
        self.names[value] = self.frame.returned[value] = unique(stem, self.taken)
        return self.names[value]

    def _passes_on(self, step: Step, reads: list[int], number: int) -> bool:
        """Whether the next line alone reads the value."""
        is_next = step.count == 1 and set(reads) == {number + 1} and number + 1 < len(self.lines)
        return is_next and not isinstance(self.lines[number + 1].step, Loop)

    @property
    def _generic(self) -> set[str]:
        """Names that stand for one value after the other; the arguments may be among them."""
        if not hasattr(self, "_generic_names"):
            names = self.frame.arguments.values() if self.frame.passing is None else self.frame.passing
            self._generic_names = {name for name in names if name in _PASSING}
        return self._generic_names

    def _kept_arguments(self, number: int) -> list[str]:
        """Arguments that ``{like}`` may need, or that a later line reads."""
        later = [step for line in self.lines[number + 1 :] for step in (line.step, *line.inside)]
        first = next(iter(self.frame.arguments.values()), "")
        return [first] if any("{like}" in step.text for step in later) else []

    # -- loops --------------------------------------------------------------------------------------------------

    def _carried_name(self, variable: Variable, first: Source, value: Source) -> str:
        """What a value that goes from one iteration to the next is called; the first one, where it can, too."""
        step, index = value
        assert isinstance(step, Step)
        stem = self._stem(_Line(step, []))
        name = unique(stem if step.count == 1 else f"{stem}_{(step.output_names or range(step.count))[index]}", self.taken)
        producer = first[0]
        if isinstance(producer, Step) and producer.count == 1 and not isinstance(producer, Loop):
            if len(self.last_read[id(producer), 0]) == 1:
                self.forced[id(producer), 0] = name
        return name

    def _loop(self, loop: Loop) -> list[str]:
        """The lines of a loop: what it starts with, its head, its body."""
        lines, inside, forced = [], {}, {}
        for (variable, first, (step, index)), name in zip(loop.carried, self.carried[id(loop)]):
            inside[id(variable), 0] = forced[id(step), index] = name
            if self._value(first) != name:
                lines.append(f"{name} = {self._value(first)}")
        pieces = [self.tuples.get(id(step)) or self._tuple_text(step) for _, step in loop.elements]
        pieces = [f"reversed({text})" for text in pieces] if loop.is_reversed else pieces
        free = [name for name in _PASSING if name not in self.taken or name in self._generic]
        for (variable, _), name in zip(loop.elements, [*free, *(f"piece_{n}" for n in range(len(pieces)))]):
            inside[id(variable), 0] = name
        heads = [inside[id(variable), 0] for variable, _ in loop.elements] or ["_"]
        lists = [unique("outputs", self.taken) for _ in loop.collected]
        lines += [f"{name} = []" for name in lists]
        source = pieces[0] if len(pieces) == 1 else f"zip({', '.join(pieces)})" if pieces else f"range({loop.iterations})"
        lines.append(f"for {', '.join(heads)} in {source}:")
        frame = replace(
            self.frame, arguments={**self.names, **inside}, forced=forced, taken=self.taken, passing=set(heads), returned={}
        )
        results = [*(value for _, _, value in loop.carried), *loop.finals, *loop.collected]
        body = _writer(loop.body, results, frame)
        written = body.text("")
        written += [f"{name}.append({body._value(value)})" for name, value in zip(lists, loop.collected)]
        self.taken |= body.taken
        for number, name in enumerate([*(body._value(value) for value in loop.finals), *lists]):
            self.names[id(loop), number] = self.frame.returned[id(loop), number] = name
        return lines + [f"    {line}" for line in written]

    def _tuple_text(self, step: Step) -> str:
        return f"({', '.join(self._value((step, index)) for index in range(step.count))})"

    # -- expressions --------------------------------------------------------------------------------------------

    def _value(self, source: Source) -> str:
        producer, index = source
        if (id(producer), index) in self.names:
            return self.names[id(producer), index]
        assert isinstance(producer, Variable), f"{producer} has no name"
        return f"{self.frame.owner}.{self.frame.attributes[id(producer)]}"

    def _expression(self, step: Step, inside: set[int]) -> str:
        inputs = self.inputs[id(step)]

        def filled(match: re.Match) -> str:
            is_atom, place = match[1] == "a", int(match[2])
            producer, index = inputs[place]
            if id(producer) not in inside or not isinstance(producer, Step):
                return self._value((producer, index))
            text = self._expression(producer, inside)
            return f"({text})" if is_atom and producer.is_expression and not _binds(producer, step, place) else text

        text = _SLOT.sub(filled, step.text)
        for name, value in step.numbers.items():
            text = text.replace(f"{{{name}}}", self.frame.numbers.get((id(step), name)) or number_text(value))
        layer = "" if step.layer is None else f"{self.frame.owner}.{self.frame.attributes[id(step.layer)]}"
        like = next(iter(self.frame.arguments.values()), "")
        text = text if like else text.replace(", device={like}.device", "")  # a network without inputs
        filled_text = text.replace("{self}", layer).replace("{training}", f"{self.frame.owner}.training")
        return filled_text.replace("{like}", like)


def _binds(inner: Step, outer: Step, place: int) -> bool:
    """Whether a product, or a sum on the left, is an operand of a sum: it needs no brackets there."""
    if not re.match(r"^\{a0\}( \+ \{a\d+\})+$|^\{a0\} - \{a1\}$", outer.text):
        return False
    return bool(re.match(r"^\{a0\} [*/] (\{a1\}|\{scalar\})$", inner.text)) or (
        place == 0 and bool(re.match(r"^\{a0\} [-+] (\{a1\}|\{scalar\})$", inner.text))
    )


# -- long lines -------------------------------------------------------------------------------------------------------


def wrapped(line: str, comment: str = "", width: int = WIDTH) -> list[str]:
    """The line, cut at the commas of its longest brackets where it is too long; the comment goes where it fits."""
    if comment and len(line) + len(comment) + 4 <= width:
        return [f"{line}  # {comment}"]
    if len(line) <= width:
        return [line]
    opening, closing = max(_outer_brackets(line), key=lambda ends: ends[1] - ends[0], default=(0, 0))
    items = _split(line[opening + 1 : closing])
    if not items:
        return [line]
    inner, rows = "", []
    for item in items:
        candidate = f"{inner} {item}," if inner else f"{item},"
        if inner and len(candidate) > width - 4:
            rows.append(inner)
            candidate = f"{item},"
        inner = candidate
    rows.append(inner)
    rows = [f"    {part}" for row in rows for part in (wrapped(row, "", width - 4) if len(row) > width else [row])]
    return [line[: opening + 1] + (f"  # {comment}" if comment else ""), *rows, line[closing:]]


def _outer_brackets(line: str) -> list[tuple[int, int]]:
    """The places of the brackets that are inside of no others."""
    found, depth, start = [], 0, 0
    for place, letter in enumerate(line):
        if letter in "([{":
            start = start if depth else place
            depth += 1
        elif letter in ")]}":
            depth -= 1
            if depth == 0:
                found.append((start, place))
    return found


def _split(text: str) -> list[str]:
    parts, depth, start = [], 0, 0
    for place, letter in enumerate(text):
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and depth == 0:
            parts.append(text[start:place].strip())
            start = place + 1
    rest = text[start:].strip()
    return [*parts, rest] if rest else parts
