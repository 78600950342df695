"""What an operator is: its inputs, typed parameters, outputs and rules, read from the signature of one Python function.

Positional arguments of the function are tensor inputs, keyword-only arguments are typed parameters in the original's
order::

    @register("Activation", infer_shape=same_shape)
    def activation(data, *, act_type: Enum("relu", "sigmoid", "softrelu", "softsign", "tanh")):
        ...

Parameter kinds (``Int``, ``Float``, ``Bool``, ``Shape``, ``Enum``, ``DType``, ``Str``, …) turn a Python value or the
original's text (``"(3, 3)"``, ``"True"``, ``"None"``) into one Python value; both go through the same parser. Three
annotations are no parameters but are filled in by whoever runs the operator: ``TrainMode`` (a bool), ``Device`` (a
``torch.device``) and ``OutputShape`` (a tuple). ``NoEffect(kind)`` declares a parameter that is accepted and checked but
changes no result.
"""

import ast
import functools
import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from mxcompat import dtype as dtypes
from mxcompat.base import MXNetError

__all__ = [
    "Bool",
    "DType",
    "Device",
    "Enum",
    "Float",
    "Floats",
    "Int",
    "NoEffect",
    "Operator",
    "Optional",
    "OptionalInts",
    "OutputShape",
]
__all__ += ["Param", "Params", "Shape", "Str", "Subgraphs", "TrainMode", "attribute_text", "unknown_parameter"]
__all__ += ["without_effect"]

REQUIRED = inspect.Parameter.empty
HIDDEN_KEYS = ("ctx_group", "lr_mult", "wd_mult", "force_mirroring", "mirror_stage")


class TrainMode:
    """Annotation of the keyword that receives whether the operator runs in training mode."""


class Device:
    """Annotation of the keyword that receives the ``torch.device`` on which a creating operator allocates."""


class OutputShape:
    """Annotation of the keyword that receives the shape of a creating operator's output, as its consumers complete it."""


class Subgraphs:
    """Annotation of the keyword that receives the subgraphs of a control-flow node."""


class Kind:
    """A parameter type. ``parse`` returns the Python value or raises ``ValueError`` saying what was expected."""

    text = ""

    def parse(self, value: Any) -> Any:
        raise ValueError(self.text)


class Int(Kind):
    """An integer, optionally bounded (both bounds are included)."""

    def __init__(self, min: int | None = None, max: int | None = None):  # noqa: A002
        self.min, self.max = min, max
        bounds = [f">= {min}"] * (min is not None) + [f"<= {max}"] * (max is not None)
        self.text = " ".join(["int", *bounds])

    def parse(self, value: Any) -> int:
        if isinstance(value, str):
            value = int(value.strip().rstrip("L"))
        elif isinstance(value, (float, np.floating)):
            if value != int(value):
                raise ValueError(self.text)
            value = int(value)
        value = value.__index__() if not isinstance(value, bool) else int(value)
        if (self.min is not None and value < self.min) or (self.max is not None and value > self.max):
            raise ValueError(self.text)
        return value


class Float(Kind):
    """A number, optionally bounded (both bounds are included)."""

    def __init__(self, min: float | None = None, max: float | None = None):  # noqa: A002
        self.min, self.max = min, max
        bounds = [f">= {min}"] * (min is not None) + [f"<= {max}"] * (max is not None)
        self.text = " ".join(["float", *bounds])

    def parse(self, value: Any) -> float:
        value = float(value)
        if (self.min is not None and value < self.min) or (self.max is not None and value > self.max):
            raise ValueError(self.text)
        return value


class _Bool(Kind):
    text = "boolean"
    _values = {"true": True, "1": True, "false": False, "0": False}

    def parse(self, value: Any) -> bool:
        if isinstance(value, str):
            return self._values[value.strip().lower()]
        if isinstance(value, (bool, int, float, np.generic)):
            return bool(value)
        raise ValueError(self.text)


class _Str(Kind):
    text = "string"

    def parse(self, value: Any) -> str:
        return str(value)


def _numbers(value: Any) -> tuple:
    """The elements of a tuple, list, array, single number or the text of one of these."""
    if isinstance(value, str):
        text = re.sub(r"(?<=\d)L\b", "", value.strip())
        value = ast.literal_eval(text.replace("nan", "None")) if text else ()
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, (tuple, list)):
        return tuple(value)
    if value is None or isinstance(value, (dict, set)):
        raise ValueError("tuple")
    if hasattr(value, "asnumpy"):
        raise ValueError("tuple")
    return (value,)


class Shape(Kind):
    """A tuple of integers; a single integer stands for a tuple of one. ``ndims`` limits the allowed lengths."""

    def __init__(self, ndims: tuple[int, ...] = (), min: int | None = None):  # noqa: A002
        self.ndims = ndims
        self.element = Int(min=min)
        self.text = "tuple of " + self.element.text + (f" with {' or '.join(map(str, ndims))} entries" if ndims else "")

    def parse(self, value: Any) -> tuple[int, ...]:
        result = tuple(self.element.parse(x) for x in _numbers(value))
        if self.ndims and len(result) not in self.ndims:
            raise ValueError(self.text)
        return result


class _OptionalInts(Kind):
    text = "tuple of int or None"

    def parse(self, value: Any) -> tuple[int | None, ...]:
        return tuple(None if x is None else _INT.parse(x) for x in _numbers(value))


class _Floats(Kind):
    text = "tuple of float"

    def parse(self, value: Any) -> tuple[float, ...]:
        return tuple(float(x) for x in _numbers(value))


class Enum(Kind):
    """One of a fixed set of strings."""

    def __init__(self, *values: str):
        self.values = values
        self.text = "one of " + ", ".join(repr(value) for value in values)

    def parse(self, value: Any) -> str:
        if str(value) not in self.values:
            raise ValueError(self.text)
        return str(value)


class DType(Kind):
    """An element type, kept as its name (``'float32'``); without arguments every type of the table is allowed."""

    def __init__(self, *names: str):
        self.names = names or tuple(dtypes.CODES)
        self.text = "one of " + ", ".join(repr(name) for name in self.names)

    def parse(self, value: Any) -> str:
        try:
            name = dtypes.dtype_name(value)
        except TypeError:
            raise ValueError(self.text) from None
        if name not in self.names:
            raise ValueError(self.text)
        return name


class Optional(Kind):
    """``None`` (or its text) besides what ``kind`` allows."""

    def __init__(self, kind: Any):
        self.kind = as_kind(kind)
        self.text = self.kind.text + " or None"

    def parse(self, value: Any) -> Any:
        if value is None or (isinstance(value, str) and value.strip() == "None"):
            return None
        return self.kind.parse(value)


class NoEffect(Kind):
    """A parameter that is accepted and checked but changes no result here (``workspace``, ``cudnn_tune``, …)."""

    def __init__(self, kind: Any):
        self.kind = as_kind(kind)
        self.text = self.kind.text

    def parse(self, value: Any) -> Any:
        return self.kind.parse(value)


Bool, Str, Floats, OptionalInts, _INT = _Bool(), _Str(), _Floats(), _OptionalInts(), Int()


def as_kind(annotation: Any) -> Kind:
    """The kind an annotation stands for; a kind class without arguments means its instance."""
    if isinstance(annotation, type) and issubclass(annotation, Kind):
        return annotation()
    if isinstance(annotation, Kind):
        return annotation
    raise TypeError(f"{annotation!r} is no parameter kind")


class Param(NamedTuple):
    """One parameter: ``default`` is ``REQUIRED`` when it must be given."""

    name: str
    kind: Kind
    default: Any

    @property
    def required(self) -> bool:
        return self.default is REQUIRED

    def parse(self, value: Any, label: str) -> Any:
        """The value; ``MXNetError`` saying what ``label`` (operator and node) expects there."""
        try:
            return self.kind.parse(value)
        except (ValueError, TypeError, KeyError, SyntaxError, AttributeError, OverflowError):
            raise MXNetError(f"{label}: parameter {self.name}={value!r}: expected {self.kind.text}") from None

    def missing(self, label: str) -> MXNetError:
        """What is raised when a required parameter is not given."""
        return MXNetError(f"{label}: required parameter {self.name} ({self.kind.text}) is missing")


def unknown_parameter(label: str, name: str, known: Iterable[str]) -> MXNetError:
    """What is raised for a keyword that is no parameter."""
    return MXNetError(f"{label}: unknown parameter {name!r} (known: {', '.join(known) or 'none'})")


def without_effect(known: dict[str, Param], given: Iterable[str], params: dict[str, Any]) -> list[str]:
    """The given parameters that change nothing here, and are not what they would be without being given."""
    return [
        name
        for name in given
        if name in known
        and isinstance(known[name].kind, NoEffect)
        and name != "ctx"  # where arrays are made: it has its effect before it gets here
        and params[name] != known[name].default
    ]


class Params(dict):
    """Parsed parameters of one node, all of them, also readable as attributes (``params.kernel``)."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:  # what copying, pickling and tracing expect of an object that lacks an attribute
            raise AttributeError(f"no parameter {name!r}") from None


def attribute_text(value: Any) -> str:
    """The text under which a parameter value is kept in a node's attributes (NumPy 1 spelling of numbers)."""
    if isinstance(value, (tuple, list)):
        items = [attribute_text(x) for x in value]
        return (
            f"({items[0]},)"
            if len(items) == 1 and isinstance(value, tuple)
            else _brackets(value).format(", ".join(items))
        )
    if isinstance(value, type) and issubclass(value, np.generic):
        return np.dtype(value).name
    if isinstance(value, np.ndarray):
        return str(value.tolist())
    return str(value)


def _brackets(value: Any) -> str:
    return "({})" if isinstance(value, tuple) else "[{}]"


Shapes = list  # of tuples with -1 for an unknown dimension, or None for an unknown rank
ShapeRule = Callable[[Params, Shapes, Shapes], tuple[Shapes, Shapes]]
TypeRule = Callable[[Params, list, list], tuple[list, list]]


class Operator:
    """One entry of the catalogue. Built by ``registry.register``; never changed afterwards.

    ``fn(*tensors, **params)`` is pure and returns a tensor or a tuple: the outputs (hidden ones included), then one
    new value for each input named in ``mutates``, then, in training mode, the batch statistics that ``commit`` needs.

    inputs           names of tensor inputs, auxiliary states included; ``variadic`` names the parameter that counts
                     them where their number is free (``num_args``, or '' when none does); ``counts_itself``: it is
                     filled in when not given
    active           ``active(params)`` -> names of the inputs this node really has
    aux              names of the inputs that are auxiliary states
    outputs          how many outputs, hidden ones included: int or ``f(params)``
    visible          how many of them a user sees: int, ``f(params)`` or None for all
    output_names     suffixes of their names: tuple or ``f(params)``; None means ``output`` or ``output0, output1, …``
    infer_shape      ``rule(params, in_shapes, out_shapes)`` -> refined pair; -1 = unknown size, None = unknown rank
    infer_type       likewise with ``torch.dtype`` or None
    mutates          inputs whose new values follow the outputs (written back by whoever runs the operator), or
                     ``f(params)``
    commit           ``commit(params, aux_values, statistics)`` -> new auxiliary values, run in backward (rule 1)
    forward_writes   ``f(params)`` -> {input: number} written into bound inputs by a training forward with gradients
    check            ``check(params, *tensors)``: value checks of eager CPU execution
    may_view         the body may return a view of an input (the caller copies)
    loss             ``f(params)`` or bool: backward needs no head gradient
    random           draws from the generator
    traceable        False keeps graphs with this operator eager
    whole_on_cpu     True: one kernel on the CPU, which the compiler would take apart into many, so that the policy ``auto``
                     leaves graphs with this operator eager there
    symbolic         False: exists imperatively only
    stops_gradient   its gradients are all zero, and nothing behind it is differentiated through it
    no_gradient      True: it has none, and where one would pass through it, MXNetError is raised; names: inputs for
                     which a gradient cannot be asked (MXNetError)
    open_params      keywords that are no parameters are kept, as text
    prepare          ``f(params)`` -> the parsed parameters of one node or one imperative call, shared with no other
    instantiate      ``f(params, context, in_shapes, in_types, out_shapes, out_types)`` -> ``f(*tensors, is_train=)``, what
                     one node of one executor, or one imperative call, runs instead of ``fn``; made at bind
    hint             stem of automatic names (default: lower-case name)
    """

    def __init__(
        self,
        name: str,
        fn: Callable,
        *,
        aliases: Sequence[str] = (),
        infer_shape: ShapeRule,
        infer_type: TypeRule,
        active: Callable[[Params], Sequence[str]] | None = None,
        variadic: str | None = None,
        counts_itself: bool = True,
        aux: Sequence[str] | Callable[[Params], Sequence[str]] = (),
        outputs: int | Callable[[Params], int] = 1,
        visible: int | Callable[[Params], int] | None = None,
        output_names: Sequence[str] | Callable[[Params], Sequence[str]] | None = None,
        mutates: Sequence[str] | Callable[[Params], Sequence[str]] = (),
        commit: Callable | None = None,
        forward_writes: Callable | None = None,
        check: Callable | None = None,
        may_view: bool = False,
        loss: bool | Callable[[Params], bool] = False,
        random: bool = False,
        traceable: bool = True,
        whole_on_cpu: bool = False,
        symbolic: bool = True,
        stops_gradient: bool = False,
        no_gradient: bool | Sequence[str] = (),
        variable_attributes: dict[str, dict[str, str]] | None = None,
        hint: str | None = None,
        open_params: bool = False,
        prepare: Callable[[Params], Params] | None = None,
        instantiate: Callable[..., Callable] | None = None,
    ):
        self.name, self.fn, self.aliases = name, fn, tuple(aliases)
        self.doc = inspect.getdoc(fn) or ""
        self._infer_shape, self._infer_type = infer_shape, infer_type
        self._active, self.variadic, self.counts_itself = active, variadic, counts_itself
        self._aux, self.aux = aux, () if callable(aux) else tuple(aux)
        self._outputs, self._visible, self._output_names = outputs, visible, output_names
        self.mutates = mutates if callable(mutates) else tuple(mutates)
        self.commit, self.forward_writes, self.check = commit, forward_writes, check
        self.may_view, self._loss, self.random, self.traceable = may_view, loss, random, traceable
        self.whole_on_cpu, self.symbolic, self.hint = whole_on_cpu, symbolic, hint or name.lower()
        self.differentiable, self.no_gradient = no_gradient is not True, _names(no_gradient)
        self.stops_gradient = stops_gradient
        self.variable_attributes = variable_attributes or {}
        self.open_params, self.prepare, self.instantiate = open_params, prepare, instantiate
        self.inputs, self.params, filled = _read_signature(fn, variadic)
        self.takes_mode, self.takes_device = filled.get(TrainMode, ""), filled.get(Device, "")
        self.takes_shape = filled.get(OutputShape, "")
        self.target = fn if check is None else _with_check(fn, check)
        self._parsed: dict[tuple, Params] = {}
        self.accepted: dict[tuple, Params] = {}  # calls whose shapes and types passed the rules (nd face)
        self._arities: dict[int, tuple] = {}
        self.defaults = {p.name: p.default for p in self.params.values() if not p.required}

    def __repr__(self) -> str:
        return f"<Operator {self.name}>"

    # -- parameters ---------------------------------------------------------------------------------------------

    @property
    def lenient(self) -> bool:
        """Operators without any parameter ignore unknown keywords, as the original's do."""
        return not self.params

    def parse(self, given: dict[str, Any], node: str = "") -> Params:
        """All parameters, from the given ones (Python values or text) and the defaults.

        Raises ``MXNetError`` naming operator, node and parameter for unknown, missing or ill-formed ones.
        """
        if self.prepare is not None:
            return self.prepare(self._parse(given, node))
        try:
            key = tuple((name, type(value), value) for name, value in given.items())
            return self._parsed[key]
        except TypeError:  # an unhashable value
            return self._parse(given, node)
        except KeyError:
            params = self._parse(given, node)
            if len(self._parsed) < 4096:
                self._parsed[key] = params
            return params

    def _parse(self, given: dict[str, Any], node: str) -> Params:
        values = Params(self.defaults)
        for name, value in given.items():
            param = self.params.get(name)
            if param is None:
                if self.open_params:
                    values[name] = attribute_text(value)
                elif not self.lenient:
                    raise unknown_parameter(self.label(node), name, self.params)
                continue
            values[name] = param.parse(value, self.label(node))
        for param in self.params.values():
            if param.required and param.name not in values:
                raise param.missing(self.label(node))
        return values

    def label(self, node: str = "") -> str:
        """Operator and node name, as error messages begin."""
        return f"{self.name} {node}" if node else self.name

    # -- inputs and outputs -------------------------------------------------------------------------------------

    def input_names(self, params: Params) -> tuple[str, ...]:
        """Names of this node's inputs, auxiliary states included."""
        if self._active is not None:
            return tuple(self._active(params))
        return self.inputs if self.variadic is None else tuple(f"arg{i}" for i in range(params[self.variadic]))

    def aux_names(self, params: Params) -> tuple[str, ...]:
        """Names of the inputs that are auxiliary states of this node."""
        return tuple(self._aux(params)) if callable(self._aux) else self.aux

    @property
    def has_aux(self) -> bool:
        """Whether a node of this operator can have auxiliary states."""
        return bool(self._aux)

    def num_outputs(self, params: Params) -> int:
        return self._outputs(params) if callable(self._outputs) else self._outputs

    def num_visible(self, params: Params) -> int:
        if self._visible is None:
            return self.num_outputs(params)
        return self._visible(params) if callable(self._visible) else self._visible

    def output_names(self, params: Params) -> tuple[str, ...]:
        """Suffixes of the output names; a node ``fc1`` shows ``fc1_output``."""
        if self._output_names is not None:
            return tuple(self._output_names(params) if callable(self._output_names) else self._output_names)
        count = self.num_outputs(params)
        return ("output",) if count == 1 else tuple(f"output{i}" for i in range(count))

    def mutated_names(self, params: Params) -> Sequence[str]:
        """Names of the inputs that a call changes, in the order of their new values behind the outputs."""
        return self.mutates(params) if callable(self.mutates) else self.mutates

    def arity(self, params: Params) -> tuple[tuple[str, ...], int, int, Sequence[str]]:
        """Input names, the number of outputs and of visible ones, and the names of changed inputs; for calls, remembered."""
        found = self._arities.get(id(params))
        if found is None or found[0] is not params:
            counts = self.num_outputs(params), self.num_visible(params)
            found = (params, (self.input_names(params), *counts, self.mutated_names(params)))
            if len(self._arities) < 1024:  # each keeps its parameters, so that no other ones get their id
                self._arities[id(params)] = found
        return found[1]

    def is_loss(self, params: Params) -> bool:
        """Whether backward needs no head gradient: a loss ignores it, a zero gradient needs none."""
        return self.stops_gradient or bool(self._loss(params) if callable(self._loss) else self._loss)

    # -- rules --------------------------------------------------------------------------------------------------

    def infer_shape(self, params: Params, ins: Shapes, outs: Shapes, node: str = "") -> tuple[Shapes, Shapes]:
        """Refined input and output shapes; a contradiction raises ``MXNetError`` naming operator and node."""
        try:
            return self._infer_shape(params, ins, outs)
        except MXNetError as error:
            raise MXNetError(f"Error in operator {node or self.name}: {self.label(node)}: {error}") from error.__cause__

    def infer_type(self, params: Params, ins: list, outs: list, node: str = "") -> tuple[list, list]:
        """Refined input and output types; a contradiction raises ``MXNetError`` naming operator and node."""
        try:
            return self._infer_type(params, ins, outs)
        except MXNetError as error:
            raise MXNetError(f"Error in operator {node or self.name}: {self.label(node)}: {error}") from error.__cause__

    def call_arguments(
        self, params: Params, is_train: bool, device: Any, shape: tuple | None = None, *, explicit: bool = False
    ) -> dict[str, Any]:
        """Keyword arguments of ``fn``; with ``explicit`` only those that differ from its defaults."""
        kwargs = dict(params)
        if explicit:
            defaults = self.defaults
            kwargs = {name: value for name, value in params.items() if name not in defaults or value != defaults[name]}
        if self.takes_mode:
            kwargs[self.takes_mode] = is_train
        if self.takes_device:
            kwargs[self.takes_device] = device
        if self.takes_shape:
            kwargs[self.takes_shape] = shape
        return kwargs


def _names(no_gradient: bool | Sequence[str]) -> tuple[str, ...]:
    return () if isinstance(no_gradient, bool) else tuple(no_gradient)


def _with_check(fn: Callable, check: Callable) -> Callable:
    """``fn`` for graphs: eager execution on the cpu runs the value checks first, compiled graphs and cuda skip them."""
    import torch

    @functools.wraps(fn)
    def checked(*tensors: Any, **kwargs: Any) -> Any:
        if not torch.compiler.is_compiling() and all(t.device.type == "cpu" for t in tensors):
            check(Params({**defaults, **kwargs}), *tensors)
        return fn(*tensors, **kwargs)

    defaults = {
        arg.name: arg.default for arg in inspect.signature(fn).parameters.values() if arg.kind is arg.KEYWORD_ONLY
    }
    return checked


def _read_signature(fn: Callable, variadic: str | None) -> tuple[tuple[str, ...], dict[str, Param], dict[Any, str]]:
    """Inputs, parameters, and the keywords that the runner fills in, by annotation."""
    inputs: list[str] = []
    params: dict[str, Param] = {}
    filled: dict[Any, str] = {}
    for arg in inspect.signature(fn).parameters.values():
        if arg.kind is arg.VAR_POSITIONAL:
            if variadic is None:
                raise TypeError(f"{fn.__name__}: *{arg.name} needs variadic=")
            inputs.append(arg.name)
        elif arg.kind is arg.VAR_KEYWORD:
            continue
        elif arg.kind is not arg.KEYWORD_ONLY:
            inputs.append(arg.name)
        elif arg.annotation in (TrainMode, Device, OutputShape, Subgraphs):
            filled[arg.annotation] = arg.name
        else:
            name = arg.name[:-1] if arg.name.endswith("_") else arg.name
            params[name] = Param(name, as_kind(arg.annotation), arg.default)
    return tuple(inputs), params, filled
