"""What the cases of modules are made of: ways to look, small networks and data.

A case runs on real MXNet when it is recorded and on mxcompat when it is tested. It takes ``mx`` and returns ``(facts,
arrays)``: facts are JSON values that must be equal, arrays NumPy arrays that must be close. Python 3.8 suffices.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

Found = tuple  # (facts, arrays)
CASES: dict[str, Callable[[Any], Found]] = {}


def case(function: Callable[[Any], Found]) -> Callable[[Any], Found]:
    CASES[function.__name__] = function
    return function


# -- looking ----------------------------------------------------------------------------------------------------


def raised(call: Callable[[], Any]) -> str:
    """The class of what ``call`` raises, 'nothing' when it returns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            call()
        except Exception as error:
            return type(error).__name__
    return "nothing"


def caught(call: Callable[[], Any], kind: type) -> str:
    """The name of ``kind`` when ``call`` raises that or a class of its own that is one, else what ``raised`` says."""
    try:
        call()
    except kind:
        return kind.__name__
    except Exception:
        pass
    return raised(call)


def warned(call: Callable[[], Any]) -> list[str]:
    """The texts of the warnings that ``call`` gives."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [str(one.message) for one in caught if issubclass(one.category, UserWarning)]


def logged(call: Callable[[], Any], logger: logging.Logger | None = None) -> list[str]:
    """The lines that ``call`` logs at INFO and above, seconds and speeds left out."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            text = re.sub(r"cost=\d+\.\d{3}", "cost=T", record.getMessage())
            lines.append("%s %s %s" % (record.levelname, record.name, text))  # noqa: UP031

    handler, target = Keep(), logger or logging.getLogger()
    level = target.level
    target.addHandler(handler)
    target.setLevel(logging.INFO)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            call()
    finally:
        target.removeHandler(handler)
        target.setLevel(level)
    return lines


def draw(shape: Any, seed: int = 0) -> np.ndarray:
    """Random values, exact in float32."""
    return (np.random.RandomState(seed).randint(-64, 65, shape) / 64.0).astype(np.float32)


def numpy_of(params: dict[str, Any], prefix: str = "") -> dict[str, np.ndarray]:
    return {prefix + name: array.asnumpy() for name, array in params.items()}


# -- networks and data ------------------------------------------------------------------------------------------


def mlp(mx: Any, hidden: int = 4, classes: int = 3) -> Any:
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=hidden, name="fc1")
    net = mx.sym.Activation(net, act_type="tanh", name="act1")
    net = mx.sym.FullyConnected(net, num_hidden=classes, name="fc2")
    return mx.sym.SoftmaxOutput(net, name="softmax")


def normalized(mx: Any) -> Any:
    net = mx.sym.Convolution(mx.sym.Variable("data"), kernel=(3, 3), num_filter=3, name="conv")
    net = mx.sym.BatchNorm(net, fix_gamma=False, momentum=0.8, name="bn")
    net = mx.sym.Activation(net, act_type="relu", name="relu")
    net = mx.sym.FullyConnected(mx.sym.Flatten(net), num_hidden=2, name="fc")
    return mx.sym.SoftmaxOutput(net, name="softmax")


def start(symbol: Any, **shapes: Any) -> dict[str, np.ndarray]:
    """Initial values of the parameters, by name."""
    found, _, _ = symbol.infer_shape(**shapes)
    names = [name for name in symbol.list_arguments()]
    return {name: draw(shape, len(name)) / 4 for name, shape in zip(names, found) if name not in shapes}


def arrays(mx: Any, values: dict[str, np.ndarray]) -> dict[str, Any]:
    return {name: mx.nd.array(value) for name, value in values.items()}


def bound(mx: Any, batch: int = 4, symbol: Any = None, bind: Any = None, **options: Any) -> Any:
    """A module of the MLP with its start values."""
    symbol = symbol or mlp(mx)
    module = mx.mod.Module(symbol, **options)
    module.bind([("data", (batch, 3))], [("softmax_label", (batch,))], **(bind or {}))
    params = arrays(mx, start(mlp(mx), data=(batch, 3), softmax_label=(batch,)))
    module.init_params(mx.init.Zero(), arg_params=params, aux_params={}, allow_missing=True)
    return module


def batch_of(mx: Any, rows: int = 4, seed: int = 1, **options: Any) -> Any:
    label = np.arange(rows) % 3
    return mx.io.DataBatch([mx.nd.array(draw((rows, 3), seed))], [mx.nd.array(label)], **options)


def iterator(mx: Any, rows: int = 10, batch: int = 4, **options: Any) -> Any:
    return mx.io.NDArrayIter(draw((rows, 3), 2), np.arange(rows) % 3, batch_size=batch, **options)


def two(mx: Any) -> list:
    return [mx.cpu(0), mx.cpu(1)]
