"""Initializers: which values a new parameter gets, by its name and attributes (public path: ``mxnet.initializer``)."""

from __future__ import annotations

import json
import logging
import re
import warnings
from collections.abc import Callable, Iterator
from math import sqrt
from typing import Any

import numpy as np

from mxcompat import random, registry
from mxcompat.base import string_types
from mxcompat.ndarray import NDArray, load, norm

__all__ = [
    "Bilinear",
    "Constant",
    "FusedRNN",
    "InitDesc",
    "Initializer",
    "LSTMBias",
    "Load",
    "MSRAPrelu",
    "Mixed",
    "Normal",
]
__all__ += ["One", "Orthogonal", "Uniform", "Xavier", "Zero", "register"]


class InitDesc(str):
    """The name of a parameter with its symbol attributes and the initializer of the whole net."""

    attrs: dict[str, str]
    global_init: Any

    def __new__(cls, name: str, attrs: dict[str, str] | None = None, global_init: Any = None) -> InitDesc:
        desc = super().__new__(cls, name)
        desc.attrs = attrs or {}
        desc.global_init = global_init
        return desc


class Initializer:
    """Base class. Calling it fills an array by the ``__init__`` attribute of its description, else by the name's ending.

    weight: the class's rule; bias, beta, min: 0; gamma, max: 1; anything else raises ``ValueError``. A plain string as
    name (deprecated) also knows moving_mean, moving_avg, moving_inv_var (0) and moving_var (1).
    """

    def __init__(self, **kwargs: Any):
        self._kwargs = kwargs
        self._verbose = False
        self._print_func: Callable | None = None

    def set_verbosity(self, verbose: bool = False, print_func: Callable | None = None) -> Initializer:
        """Log a statistic of every array that is initialized."""
        self._verbose = verbose
        self._print_func = print_func or (lambda x: str((norm(x) / sqrt(x.size)).asscalar()))
        return self

    def _verbose_print(self, desc: Any, init: str, arr: NDArray) -> None:
        if self._verbose and self._print_func:
            logging.info("Initialized %s as %s: %s", desc, init, self._print_func(arr))

    def dumps(self) -> str:
        """Name and arguments as JSON, the form of ``__init__`` attributes."""
        return json.dumps([type(self).__name__.lower(), self._kwargs])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Initializer):
            return NotImplemented
        return type(self) is type(other) and self._kwargs == other._kwargs

    def __call__(self, desc: Any, arr: NDArray) -> None:
        if not isinstance(desc, InitDesc):
            self._legacy_init(desc, arr)
            return
        if desc.global_init is None:
            desc.global_init = self
        own = desc.attrs.get("__init__", "")
        if own:
            create(own)._init_weight(desc, arr)
            self._verbose_print(desc, own, arr)
            return
        for ending, method in _ENDINGS:
            if desc.endswith(ending):
                getattr(self, method)(desc, arr)
                self._verbose_print(desc, ending, arr)
                return
        self._init_default(desc, arr)

    def _legacy_init(self, name: str, arr: NDArray) -> None:
        """The rules for a name that is a plain string."""
        warnings.warn(
            f"initializing {name!r} by a plain name is deprecated: give mx.init.InitDesc(name) and the array",
            DeprecationWarning,
            stacklevel=3,
        )
        if not isinstance(name, string_types):
            raise TypeError(f"the name of a parameter must be a string, found {type(name)}")
        if not isinstance(arr, NDArray):
            raise TypeError(f"parameter {name}: expected an NDArray, found {type(arr)}")
        if name.startswith("upsampling"):
            self._init_bilinear(name, arr)
            return
        if name.startswith("stn_loc") and name.endswith("weight"):
            self._init_zero(name, arr)
            return
        if name.startswith("stn_loc") and name.endswith("bias"):
            self._init_loc_bias(name, arr)
            return
        for ending, method in _LEGACY_ENDINGS:
            if name.endswith(ending):
                getattr(self, method)(name, arr)
                return
        self._init_default(name, arr)

    def _init_bilinear(self, _: Any, arr: NDArray) -> None:
        arr[:] = _bilinear_kernel(arr.shape)

    def _init_loc_bias(self, _: Any, arr: NDArray) -> None:
        if arr.shape[0] != 6:
            raise AssertionError(f"the bias of an affine localisation has 6 elements, found shape {arr.shape}")
        arr[:] = np.array([1.0, 0, 0, 0, 1.0, 0])

    def _init_zero(self, _: Any, arr: NDArray) -> None:
        arr[:] = 0.0

    def _init_one(self, _: Any, arr: NDArray) -> None:
        arr[:] = 1.0

    def _init_bias(self, _: Any, arr: NDArray) -> None:
        arr[:] = 0.0

    def _init_quantized_bias(self, _: Any, arr: NDArray) -> None:
        arr[:] = 0

    def _init_gamma(self, _: Any, arr: NDArray) -> None:
        arr[:] = 1.0

    def _init_beta(self, _: Any, arr: NDArray) -> None:
        arr[:] = 0.0

    def _init_quantized_weight(self, _: Any, arr: NDArray) -> None:
        # Compat: one number is drawn for the whole array
        arr[:] = int(random.randint(-127, 127, dtype="int32").asscalar())

    def _init_weight(self, name: Any, arr: NDArray) -> None:
        """The rule of the class."""
        raise NotImplementedError(f"{type(self).__name__} must define _init_weight")

    def _init_default(self, name: Any, _: NDArray) -> None:
        raise ValueError(
            f"no rule for the name {name}: it ends in none of {', '.join(ending for ending, _ in _ENDINGS)}; "
            "mx.sym.Variable(name, init=mx.init....) gives a variable its own rule"
        )


#: ending of a name -> method that fills the array, in the order in which they are tried
_ENDINGS = (
    ("weight", "_init_weight"),
    ("bias", "_init_bias"),
    ("gamma", "_init_gamma"),
    ("beta", "_init_beta"),
    ("min", "_init_zero"),
    ("max", "_init_one"),
    ("weight_quantize", "_init_quantized_weight"),
    ("bias_quantize", "_init_quantized_bias"),
)
_LEGACY_ENDINGS = (
    *_ENDINGS[:6],
    ("moving_mean", "_init_zero"),
    ("moving_var", "_init_one"),
    ("moving_inv_var", "_init_zero"),
    ("moving_avg", "_init_zero"),
)

_register = registry.get_register_func(Initializer, "initializer")
alias = registry.get_alias_func(Initializer, "initializer")
create = registry.get_create_func(Initializer, "initializer")


def register(klass: type) -> type:
    """Register a class of initializers under its lower-case name (a decorator)."""
    return _register(klass)


def _bilinear_kernel(shape: tuple[int, ...]) -> np.ndarray:
    """The weights of bilinear upsampling, the same for every pair of channels."""
    factor = np.ceil(shape[3] / 2.0)
    center = (2 * factor - 1 - factor % 2) / (2.0 * factor)
    column = 1 - np.abs(np.arange(shape[3]) / factor - center)
    row = 1 - np.abs(np.arange(shape[2]) / factor - center)
    return np.broadcast_to(np.outer(row, column), shape).astype("float32")


class Load:
    """Values by name from a file or dict (``arg:`` and ``aux:`` are dropped), else from ``default_init``."""

    def __init__(self, param: Any, default_init: Any = None, verbose: bool = False):
        if isinstance(param, str):
            param = load(param)
        if not isinstance(param, dict):
            raise AssertionError(f"Load: expected a file of named arrays or a dict, found {type(param)}")
        self.param = {name[4:] if name.startswith(("arg:", "aux:")) else name: value for name, value in param.items()}
        self.default_init = default_init
        self.verbose = verbose

    def __call__(self, name: str, arr: NDArray) -> None:
        if name in self.param:
            if arr.shape != self.param[name].shape:
                raise AssertionError(
                    f"Load: parameter {name} has shape {arr.shape}, the loaded array has {self.param[name].shape}"
                )
            arr[:] = self.param[name]
        elif self.default_init is None:
            raise AssertionError(f"Load: no array for parameter {name}, and there is no default_init")
        else:
            self.default_init(name, arr)
        if self.verbose:
            logging.info("Initialized %s by %s", name, "loading" if name in self.param else "default")


class Mixed:
    """The initializer of the first pattern (regular expression) that matches the name."""

    def __init__(self, patterns: list[str], initializers: list[Any]):
        if len(patterns) != len(initializers):
            raise AssertionError(f"Mixed: {len(patterns)} patterns for {len(initializers)} initializers")
        self.map = list(zip([re.compile(pattern) for pattern in patterns], initializers))

    def __call__(self, name: str, arr: NDArray) -> None:
        for pattern, initializer in self.map:
            if pattern.match(name):
                initializer(name, arr)
                return
        patterns = [pattern.pattern for pattern, _ in self.map]
        raise ValueError(f"Mixed: parameter {name} matches none of {patterns}; a last pattern '.*' matches the rest")


@alias("zeros")
@register
class Zero(Initializer):
    """Zeros."""

    def __init__(self) -> None:
        super().__init__()

    def _init_weight(self, _: Any, arr: NDArray) -> None:
        arr[:] = 0


@alias("ones")
@register
class One(Initializer):
    """Ones."""

    def __init__(self) -> None:
        super().__init__()

    def _init_weight(self, _: Any, arr: NDArray) -> None:
        arr[:] = 1


@register
class Constant(Initializer):
    """One number, or an array of the parameter's shape."""

    def __init__(self, value: Any):
        super().__init__(value=value)
        self.value = value

    def _init_weight(self, _: Any, arr: NDArray) -> None:
        arr[:] = self.value

    def dumps(self) -> str:
        value = self._kwargs["value"]
        if isinstance(value, NDArray):
            value = value.asnumpy()
        # Compat: from here on the initializer's arguments hold a list.
        self._kwargs["value"] = value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value
        return json.dumps([type(self).__name__.lower(), self._kwargs])


@register
class Uniform(Initializer):
    """Uniform in [-scale, scale)."""

    def __init__(self, scale: float = 0.07):
        super().__init__(scale=scale)
        self.scale = scale

    def _init_weight(self, _: Any, arr: NDArray) -> None:
        random.uniform(-self.scale, self.scale, out=arr)


@register
class Normal(Initializer):
    """Normal around 0 with standard deviation ``sigma``."""

    def __init__(self, sigma: float = 0.01):
        super().__init__(sigma=sigma)
        self.sigma = sigma

    def _init_weight(self, _: Any, arr: NDArray) -> None:
        random.normal(0, self.sigma, out=arr)


@register
class Orthogonal(Initializer):
    """``scale`` times an orthogonal matrix (rows are the first axis)."""

    def __init__(self, scale: float = 1.414, rand_type: str = "uniform"):
        super().__init__(scale=scale, rand_type=rand_type)
        self.scale, self.rand_type = scale, rand_type

    def _init_weight(self, _: Any, arr: NDArray) -> None:
        rows, columns = arr.shape[0], int(np.prod(arr.shape[1:]))
        if self.rand_type not in ("uniform", "normal"):
            raise ValueError(f"Orthogonal: rand_type is {self.rand_type!r}, expected 'uniform' or 'normal'")
        draw = random.uniform if self.rand_type == "uniform" else random.normal
        first = -1.0 if self.rand_type == "uniform" else 0.0
        left, _values, right = np.linalg.svd(draw(first, 1.0, shape=(rows, columns)).asnumpy(), full_matrices=False)
        arr[:] = (self.scale * (left if left.shape == (rows, columns) else right)).reshape(arr.shape)


@register
class Xavier(Initializer):
    """Random with a variance of ``magnitude / factor``, factor the average, ``in`` or ``out`` number of connections."""

    def __init__(self, rnd_type: str = "uniform", factor_type: str = "avg", magnitude: float = 3):
        super().__init__(rnd_type=rnd_type, factor_type=factor_type, magnitude=magnitude)
        self.rnd_type, self.factor_type, self.magnitude = rnd_type, factor_type, float(magnitude)

    def _init_weight(self, name: Any, arr: NDArray) -> None:
        shape = arr.shape
        if len(shape) < 2:
            raise ValueError(f"Xavier: parameter {name} has shape {shape}, expected at least 2D")
        area = float(np.prod(shape[2:])) if len(shape) > 2 else 1.0
        fan_in, fan_out = shape[1] * area, shape[0] * area
        factors = {"avg": (fan_in + fan_out) / 2.0, "in": fan_in, "out": fan_out}
        if self.factor_type not in factors:
            raise ValueError(f"Xavier: factor_type is {self.factor_type!r}, expected 'avg', 'in' or 'out'")
        scale = np.sqrt(self.magnitude / factors[self.factor_type])
        if self.rnd_type == "uniform":
            random.uniform(-scale, scale, out=arr)
        elif self.rnd_type == "gaussian":
            random.normal(0, scale, out=arr)
        else:
            raise ValueError(f"Xavier: rnd_type is {self.rnd_type!r}, expected 'uniform' or 'gaussian'")


@register
class MSRAPrelu(Xavier):
    """Xavier for layers before a PReLU of that slope: gaussian, magnitude 2 / (1 + slope^2)."""

    def __init__(self, factor_type: str = "avg", slope: float = 0.25):
        super().__init__("gaussian", factor_type, 2.0 / (1 + slope**2))
        self._kwargs = {"factor_type": factor_type, "slope": slope}


@register
class Bilinear(Initializer):
    """The weights of bilinear upsampling."""

    def __init__(self) -> None:
        super().__init__()

    def _init_weight(self, _: Any, arr: NDArray) -> None:
        arr[:] = _bilinear_kernel(arr.shape)


@register
class LSTMBias(Initializer):
    """Zeros, and ``forget_bias`` for the second quarter: the forget gate."""

    def __init__(self, forget_bias: float = 1.0):
        super().__init__(forget_bias=forget_bias)
        self.forget_bias = forget_bias

    def _init_weight(self, name: Any, arr: NDArray) -> None:
        values = np.zeros(arr.shape, "float32")
        hidden = arr.shape[0] // 4
        values[hidden : 2 * hidden] = self.forget_bias
        arr[:] = values


#: names of the gates of one layer of a packed recurrent parameter, in order
FUSED_GATES = {"rnn_relu": ("",), "rnn_tanh": ("",), "lstm": ("_i", "_f", "_c", "_o"), "gru": ("_r", "_z", "_o")}


def fused_pieces(
    size: int, hidden: int, layers: int, mode: str, bidirectional: bool
) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Name and shape of every piece of a packed parameter of ``size`` numbers, in the order in which they lie."""
    gates, directions = FUSED_GATES[mode], "lr" if bidirectional else "l"
    row = len(gates) * hidden * len(directions)  # numbers of a layer for each input column
    deep = (layers - 1) * row * (hidden * len(directions) + hidden + 2)
    width = (size - deep) // row - hidden - 2
    if width < 1 or deep + row * (width + hidden + 2) != size:
        raise AssertionError(f"FusedRNN: no input size gives {size} parameters to {layers} layers {mode} of {hidden}")
    for layer in range(layers):
        for direction in directions:
            for source, columns in (("i2h", width if layer == 0 else hidden * len(directions)), ("h2h", hidden)):
                for gate in gates:
                    yield f"{direction}{layer}_{source}{gate}_weight", (hidden, columns)
    for layer in range(layers):
        for direction in directions:
            for source in ("i2h", "h2h"):
                for gate in gates:
                    yield f"{direction}{layer}_{source}{gate}_bias", (hidden,)


@register
class FusedRNN(Initializer):
    """Every piece of a packed recurrent parameter by ``init`` (None: the initializer of the whole net) and its name.

    Pieces are named as by ``mx.rnn.FusedRNNCell(..., prefix="")``; forget gates of an LSTM get ``forget_bias``.
    """

    def __init__(
        self,
        init: Any,
        num_hidden: int,
        num_layers: int,
        mode: str,
        bidirectional: bool = False,
        forget_bias: float = 1.0,
    ):
        if isinstance(init, string_types):
            init = create(init)
        super().__init__(
            init=init.dumps() if init is not None else None,
            num_hidden=num_hidden,
            num_layers=num_layers,
            mode=mode,
            bidirectional=bidirectional,
            forget_bias=forget_bias,
        )
        self._init, self._num_hidden, self._num_layers = init, num_hidden, num_layers
        self._mode, self._bidirectional, self._forget_bias = mode, bidirectional, forget_bias

    def _init_weight(self, desc: Any, arr: NDArray) -> None:
        whole = getattr(desc, "global_init", None)
        initializer = whole if self._init is None else self._init
        if initializer is None or initializer is self:
            raise ValueError(f"FusedRNN: no initializer for the pieces of {desc}: init is None, and so is the net's")
        numbers, place = arr.reshape((-1,)), 0
        pieces = fused_pieces(arr.size, self._num_hidden, self._num_layers, self._mode, self._bidirectional)
        for name, shape in list(pieces):
            count = int(np.prod(shape))
            piece = numbers[place : place + count].reshape(shape)
            place += count
            if self._mode == "lstm" and name.endswith("_f_bias"):
                piece[:] = self._forget_bias
            else:
                initializer(InitDesc(name, global_init=whole), piece)
