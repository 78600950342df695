"""What a row of an operator table says: the operator, its inputs, its parameters and what to look at.

A row is evaluated twice, by real MXNet when it is recorded and by mxcompat when it is tested, and both make its inputs
from the row alone: values are drawn from NumPy's frozen ``RandomState`` streams, seeded with the row's id.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

FLOATS = ("float16", "float32", "float64")
GRID = 2.0**20  # random values are multiples of 1/GRID: exact in float32, and the same on every machine


class Spec:
    """How to make one array: ``draw(rng)`` gives the values, ``dtype`` None means the row's."""

    def __init__(self, text: str, draw: Callable[[np.random.RandomState], Any], dtype: str | None = None):
        self.text, self.draw, self.dtype = text, draw, dtype

    def build(self, seed: str, dtype: str) -> np.ndarray:
        rng = np.random.RandomState(zlib.crc32(seed.encode("utf-8")))
        return np.ascontiguousarray(np.asarray(self.draw(rng)).astype(self.dtype or dtype))


def _text(kind: str, shape: Sequence[int], dtype: str | None, *options: float) -> str:
    parts = [str(tuple(shape)), *map(repr, options), *([] if dtype is None else [dtype])]
    return f"{kind}({', '.join(parts)})"


def normal(shape: Sequence[int], dtype: str | None = None) -> Spec:
    """Standard normal values (what a bare shape means)."""

    def draw(rng: np.random.RandomState) -> np.ndarray:
        return np.round(rng.standard_normal(shape) * GRID) / GRID

    return Spec(_text("normal", shape, dtype), draw, dtype)


def uniform(shape: Sequence[int], low: float = 0.0, high: float = 1.0, dtype: str | None = None) -> Spec:
    """Values evenly distributed in [low, high)."""

    def draw(rng: np.random.RandomState) -> np.ndarray:
        return np.floor((low + (high - low) * rng.random_sample(shape)) * GRID) / GRID

    return Spec(_text("uniform", shape, dtype, low, high), draw, dtype)


def positive(shape: Sequence[int], dtype: str | None = None) -> Spec:
    """Values evenly distributed in [0.5, 2)."""
    return uniform(shape, 0.5, 2.0, dtype)


def ints(shape: Sequence[int], low: int, high: int, dtype: str | None = None) -> Spec:
    """Whole numbers in [low, high), of the row's element type unless another is given."""
    return Spec(_text("ints", shape, dtype, low, high), lambda rng: rng.randint(low, high, tuple(shape)), dtype)


def distinct(shape: Sequence[int], step: float = 0.125, dtype: str | None = None) -> Spec:
    """Shuffled multiples of ``step`` around zero, no two of them equal."""

    def draw(rng: np.random.RandomState) -> np.ndarray:
        count = int(np.prod(shape, dtype=np.int64))
        return ((rng.permutation(count) - count // 2) * step).reshape(shape)

    return Spec(_text("distinct", shape, dtype, step), draw, dtype)


def values(array: Any, dtype: str | None = None) -> Spec:
    """The given values (what a list or a NumPy array means; an array keeps its own type)."""
    found = np.asarray(array)
    return Spec(canonical(found) if dtype is None else f"{canonical(found)} as {dtype}", lambda rng: found, dtype)


def as_spec(given: Any) -> Spec:
    """The spec that a shape tuple, a list, a NumPy array or a spec stands for."""
    if isinstance(given, Spec):
        return given
    if isinstance(given, tuple) and all(isinstance(dim, int) for dim in given):
        return normal(given)
    if isinstance(given, np.ndarray):
        return values(given, given.dtype.name)
    if isinstance(given, list):
        return values(given)
    raise TypeError(f"{given!r} is neither a shape tuple nor a list, an array or a spec such as ints(shape, 0, 9)")


def canonical(value: Any) -> str:
    """A text that is equal for equal values, whatever the versions of Python and NumPy."""
    if isinstance(value, np.ndarray) and value.size <= 16:
        return f"{value.dtype.name} {value.tolist()}"
    if isinstance(value, np.ndarray):
        digest = hashlib.sha1(np.ascontiguousarray(value).tobytes()).hexdigest()
        return f"{value.dtype.name} {value.shape} sha1 {digest}"
    if isinstance(value, np.generic):
        return repr(value.item())
    if isinstance(value, type):
        return np.dtype(value).name
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {canonical(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, (tuple, list)):
        return type(value).__name__ + "(" + ", ".join(canonical(item) for item in value) + ")"
    return repr(value)


class Case:
    """What all kinds of rows share: an operator under mx.sym / mx.nd, named inputs and parameters.

    ``op`` is the path below ``mx.sym`` and ``mx.nd`` (``"contrib.Proposal"``). ``inputs`` maps names to specs, in
    order; inputs named ``arg0``, ``arg1``, … are passed by position, others by keyword. ``faces`` says where the
    operator exists. ``name=None`` keeps the row from passing ``name=`` to the symbol (functions that take none).
    """

    kind = ""

    def __init__(
        self, op: str, inputs: dict, params: dict | None, aux: dict | None, dtype: str, train: bool,
        faces: Sequence[str], name: str | None, tag: str, **options: Any,
    ):  # fmt: skip
        self.op, self.params, self.dtype, self.train = op, dict(params or {}), dtype, train
        self.faces, self.name, self.tag = tuple(faces), name, tag
        if not self.faces or set(self.faces) - {"sym", "nd"}:
            raise ValueError(f"{op}: faces={faces!r}, expected some of ('sym', 'nd')")
        self.inputs = {key: as_spec(spec) for key, spec in inputs.items()}
        self.aux = {key: as_spec(spec) for key, spec in (aux or {}).items()}
        specs = [f"{key}={spec.text}" for key, spec in [*self.inputs.items(), *self.aux.items()]]
        parts = [self.kind, op, specs, canonical(self.params), list(self.aux), dtype, train, self.faces, name, tag]
        digest = hashlib.sha1(canonical([*parts, options]).encode("utf-8")).hexdigest()
        self.id = "-".join([op, digest[:8]] + ([tag] if tag else []))

    def __repr__(self) -> str:
        inputs = ", ".join(f"{key}: {spec.text}" for key, spec in self.inputs.items())
        return f"{self.op}({inputs}; {', '.join(f'{key}={value}' for key, value in self.params.items())})"

    def arrays(self) -> dict[str, np.ndarray]:
        """The values of the inputs, auxiliary states excluded."""
        return {name: spec.build(f"{self.id}/{name}", self.dtype) for name, spec in self.inputs.items()}

    def aux_arrays(self) -> dict[str, np.ndarray]:
        """The values of the auxiliary states before the first forward."""
        return {name: spec.build(f"{self.id}/{name}", self.dtype) for name, spec in self.aux.items()}

    @property
    def all_names(self) -> list[str]:
        """Names of inputs and auxiliary states, in the operator's order."""
        return [*self.inputs, *self.aux]


def by_position(name: str) -> bool:
    """Whether an input of that name is passed by position (``arg0``, ``arg1``, …)."""
    return re.match(r"arg\d+$", name) is not None


class Row(Case):
    """A call whose outputs, gradients, auxiliary states, names, shapes and types equal the recorded ones.

    grad      True: the gradients of all inputs of a floating type; False: none; else a tuple of names
    head      'random': backward gets random head gradients; None: it gets none (losses); a list: one spec an output
    rtol      relative tolerance, atol absolute one (None: by element type, see harness.TOLERANCES); exact: bit for bit
    compile   the row is also run compiled, in the tests marked ``compiled``
    out       names of inputs that the imperative call is given as ``out=``
    partial   False: shapes and types inferred from single inputs need not say what the original's say (where these are
              wrong, or would contradict what more inputs say)
    """

    kind = "row"

    def __init__(
        self, op: str, inputs: dict, params: dict | None = None, *, dtype: str = "float32", train: bool = True,
        grad: bool | tuple[str, ...] = True, head: str | list | None = "random", aux: dict | None = None,
        faces: Sequence[str] = ("sym", "nd"), rtol: float | None = None, atol: float | None = None, exact: bool = False,
        compile: bool = False, partial: bool = True, name: str | None = "op", tag: str = "",  # noqa: A002
        out: Sequence[str] = (),
    ):  # fmt: skip
        self.heads = [as_spec(spec) for spec in head] if isinstance(head, list) else head
        heads = [spec.text for spec in self.heads] if isinstance(self.heads, list) else head
        options = {"grad": grad, "head": heads, **({"out": list(out)} if out else {})}
        super().__init__(op, inputs, params, aux, dtype, train, faces, name, tag, **options)
        self.grad, self.rtol, self.atol, self.exact, self.compile = grad, rtol, atol, exact, compile
        self.partial, self.out = partial, tuple(out)

    def gradient_names(self, arrays: dict[str, np.ndarray]) -> list[str]:
        """The inputs whose gradients are computed."""
        if isinstance(self.grad, bool):
            return [name for name in arrays if self.grad and arrays[name].dtype.name in FLOATS]
        unknown = set(self.grad) - set(arrays)
        if unknown:
            raise ValueError(f"{self!r}: grad names {sorted(unknown)}, which are no inputs")
        return list(self.grad)

    def head_arrays(self, outputs: Sequence[tuple[tuple[int, ...], str]]) -> list[np.ndarray] | None:
        """Head gradients for outputs of these shapes and types; None when backward takes none.

        Outputs that are not floating get ones.
        """
        if self.heads is None:
            return None
        heads = []
        for index, (shape, dtype) in enumerate(outputs):
            spec = normal(shape) if self.heads == "random" else self.heads[index]
            value = spec.build(f"{self.id}/head{index}", dtype)
            heads.append(value if dtype in FLOATS else np.ones(shape, dtype))
        return heads


class Bad(Case):
    """A call that must raise on every face, and what: the class that the original raises there (recorded).

    With ``error`` that class is expected instead and nothing is recorded: for calls that crash the original's process,
    or that it accepts although no result can be right. ``match`` is searched in mxcompat's message.
    """

    kind = "bad"

    def __init__(
        self, op: str, inputs: dict, params: dict | None = None, match: str | None = None, error: str | None = None, *,
        dtype: str = "float32", train: bool = True, aux: dict | None = None, faces: Sequence[str] = ("sym", "nd"),
        name: str | None = "op", tag: str = "",
    ):  # fmt: skip
        super().__init__(op, inputs, params, aux, dtype, train, faces, name, tag)
        self.match, self.error = match, error


class Sampled(Case):
    """A random draw: shapes and types equal the recorded ones, the values are judged as a sample.

    size      a shape, passed as parameter ``shape`` (None: the operator takes none)
    moments   (mean, standard deviation), checked within six standard errors; arrays stand for one distribution for each
              entry of the leading axes
    check     ``check(sample, ...)`` with one array an output, asserts whatever else holds
    """

    kind = "sampled"

    def __init__(
        self, op: str, inputs: dict, params: dict | None = None, size: Sequence[int] | None = None, *,
        check: Callable[..., None] | None = None, moments: tuple[Any, Any] | None = None, dtype: str = "float32",
        train: bool = True, faces: Sequence[str] = ("sym", "nd"), name: str | None = "op", tag: str = "",
    ):  # fmt: skip
        if check is None and moments is None:
            raise ValueError(f"{op}: a Sampled row needs check= or moments=")
        shape = {} if size is None else {"shape": tuple(size)}
        super().__init__(op, inputs, {**(params or {}), **shape}, None, dtype, train, faces, name, tag)
        self.check, self.moments = check, moments
