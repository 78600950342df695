"""Short names of what the tests of behaviours do over and over: bind, run, read back, compare."""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Callable
from typing import Any

import numpy as np

import mxcompat as mx
from tests.training.observing import log_text

nd, sym, V = mx.nd, mx.sym, mx.sym.Variable

#: two rows of three classes, and the class of each
LOGITS, LABELS = [[1.0, 2.0, 3.0], [1.0, 1.0, 1.0]], [2, 0]


def exc(call: Callable) -> str:
    """The class of what a call raises."""
    try:
        call()
    except Exception as error:
        return type(error).__name__
    return "nothing"


def near(found: Any, expected: Any) -> bool:
    """Whether nested numbers agree to the five digits that the reference was written down with; nan is nan."""
    if isinstance(expected, (list, tuple)):
        return len(found) == len(expected) and all(near(x, y) for x, y in zip(found, expected))
    if isinstance(expected, dict):
        return set(found) == set(expected) and all(near(found[key], value) for key, value in expected.items())
    if isinstance(expected, float):
        return (math.isnan(found) and math.isnan(expected)) or math.isclose(found, expected, rel_tol=2e-5, abs_tol=1e-5)
    return found == expected


def listed(array: Any, digits: int = 5) -> Any:
    """The numbers of an array as nested lists, rounded."""
    return np.round(array.asnumpy().astype("float64"), digits).tolist()


def run(
    net: Any,
    train: bool = True,
    back: bool = True,
    head: Any = None,
    req: Any = "write",
    aux: Any = None,
    **inputs: Any,
):
    """Outputs, gradients by name (both as nested lists) and the executor of one forward and one backward.

    ``head``: the gradients of the outputs; ``back=False``: no backward, and no arrays for gradients.
    """

    def array(value: Any) -> Any:
        return nd.array(value, dtype=getattr(value, "dtype", "float32"))

    args = {name: array(value) for name, value in inputs.items()}
    wanted = {name for name in args if back and (req if isinstance(req, str) else req.get(name, "null")) != "null"}
    grads = {name: nd.zeros(args[name].shape, dtype=args[name].dtype) for name in wanted}
    states = {name: array(value) for name, value in (aux or {}).items()}
    ex = net.bind(mx.cpu(), args, args_grad=grads or None, grad_req=req if grads else "null", aux_states=states)
    outputs = [x.asnumpy().tolist() for x in ex.forward(is_train=train)]
    if back:
        heads = [nd.array(x, dtype=y.dtype) for x, y in zip(head or [], ex.outputs)]
        ex.backward(heads or None)
    return outputs, {name: listed(ex.grad_dict[name]) for name in wanted}, ex


def out(net: Any, **inputs: Any) -> Any:
    """The first output in training mode."""
    return run(net, back=False, **inputs)[0][0]


def grad(net: Any, name: str, head: Any = None, **inputs: Any) -> Any:
    """The gradient of one argument."""
    return run(net, head=head, **inputs)[1][name]


def bn(train: bool = True, back: bool = False, **params: Any):
    """``run`` of BatchNorm over two rows, with gamma 2, beta 0, moving mean 0 and moving variance 1."""
    net = sym.BatchNorm(V("d"), V("g"), V("b"), V("mm"), V("mv"), **params)
    data, states = np.array([[1.0, 10.0], [3.0, 20.0]], "f"), {"mm": [0.0, 0.0], "mv": [1.0, 1.0]}
    head = [np.array([[1.0, 2.0], [3.0, 5.0]])] if back else None
    return run(net, train, back, head, aux=states, d=data, g=[2.0, 2.0], b=[0.0, 0.0])


def mlp() -> Any:
    """Two layers and a softmax over three classes."""
    net = sym.Activation(sym.FullyConnected(V("data"), num_hidden=4, name="fc1"), act_type="relu", name="relu1")
    return sym.SoftmaxOutput(sym.FullyConnected(net, num_hidden=3, name="fc2"), name="softmax")


def initialised() -> tuple[Any, Any]:
    """A module of ``mlp`` with weights of 0.1, and an iterator over ten rows in batches of four."""
    it = mx.io.NDArrayIter(np.arange(30, dtype="f").reshape(10, 3), np.arange(10) % 3, batch_size=4)
    module = mx.mod.Module(mlp())
    module.bind(it.provide_data, it.provide_label)
    module.init_params(mx.init.Constant(0.1))
    return module, it


def logged(call: Callable) -> str:
    """What a call writes to the root logger, a line each: the level, a colon, the text."""
    text: str = log_text(call, only="root")
    return text


def printed(call: Callable) -> str:
    """What a call prints."""
    stream = io.StringIO()
    with contextlib.redirect_stdout(stream):
        call()
    return stream.getvalue()
