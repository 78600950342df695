"""Loops and choices, symbolic: each case builds a graph and says which arrays it gets; real MXNet records the results.

Runs on Python 3.8 and real MXNet too (``python tests/record_control.py`` there).
"""

import numpy as np


def running_sum(mx):
    """A loop over slices with a weight from outside and two states."""
    data, total, count, weight = (mx.sym.Variable(n) for n in ("data", "total", "count", "weight"))

    def body(x, states):
        new = x * weight + states[0]
        return [new, x * states[1]], [new * 1, states[1] * 0.5 + x]

    outputs, states = mx.sym.contrib.foreach(body, data, [total, count])
    return mx.sym.Group([*outputs, *states]), {"data": (4, 3), "total": (3,), "count": (3,), "weight": (3,)}


def outer_expression(mx):
    """What the body uses from outside is an expression; the output of the loop is used on."""
    data, state, bias = (mx.sym.Variable(n) for n in ("data", "state", "bias"))
    outside = mx.sym.tanh(bias * 2)
    output, last = mx.sym.contrib.foreach(lambda x, s: (x * outside + s[0], [s[0] * 0.5 + x]), data, [state])
    return mx.sym.Group([mx.sym.sum(output * output, axis=1), last[0]]), {"data": (3, 2), "state": (2,), "bias": (2,)}


def nested(mx):
    """A loop in a loop."""
    data, state = mx.sym.Variable("data"), mx.sym.Variable("state")

    def outer(row, states):
        inner, last = mx.sym.contrib.foreach(lambda x, s: (x * s[0], [s[0] + x]), row, [states[0]])
        return mx.sym.sum(inner), [last[0] * 0.5]

    output, last = mx.sym.contrib.foreach(outer, data, [state])
    return mx.sym.Group([output, last[0]]), {"data": (3, 4, 2), "state": (2,)}


def recurrent(mx):
    """A layer with automatic parameters inside the body."""
    data, state = mx.sym.Variable("data"), mx.sym.Variable("state")

    def body(x, states):
        hidden = mx.sym.FullyConnected(x, num_hidden=3, name="i2h") + mx.sym.FullyConnected(
            states[0], num_hidden=3, name="h2h"
        )
        hidden = mx.sym.tanh(hidden)
        return hidden, [hidden]

    output, last = mx.sym.contrib.foreach(body, data, [state])
    return mx.sym.Group([output, last[0]]), {"data": (4, 2, 5), "state": (2, 3)}


def growing(mx):
    """A loop that ends by its condition, three steps before its limit."""
    i, s, w = (mx.sym.Variable(n) for n in ("i", "s", "w"))
    outputs, final = mx.sym.contrib.while_loop(
        lambda i, s: i <= 3, lambda i, s: ([s * w], [i + 1, mx.sym.broadcast_add(s, i)]), [i, s], max_iterations=6
    )
    return mx.sym.Group([mx.sym.slice_axis(outputs[0], axis=0, begin=0, end=3), *final]), {
        "i": 1.0,
        "s": (2,),
        "w": (2,),
    }


def choice(mx):
    """Either branch, with expressions from outside."""
    a, b, pred = mx.sym.Variable("a"), mx.sym.Variable("b"), mx.sym.Variable("pred")
    shared = a * b
    result = mx.sym.contrib.cond(mx.sym.sum(pred) < 0, lambda: (a + 5) * shared, lambda: (a - 5) * shared)
    return result * 2, {"a": (1, 3), "b": (1, 3), "pred": (3,)}


CASES = {f.__name__: f for f in (running_sum, outer_expression, nested, recurrent, growing, choice)}


def arrays(shapes, seed):
    rng = np.random.RandomState(seed)
    made = {}
    for name in sorted(shapes):
        shape = shapes[name]
        made[name] = (
            np.full((1,), shape, "float32") if isinstance(shape, float) else rng.uniform(-1, 1, shape).astype("float32")
        )
    return made


def run(mx, name, seed):
    """Everything that is looked at: the names, the JSON, outputs, gradients, by array name."""
    with mx.name.NameManager():
        net, shapes = CASES[name](mx)
    if set(net.list_arguments()) != set(shapes):  # automatic parameters
        shapes = dict(zip(net.list_arguments(), net.infer_shape(**shapes)[0]))
    values = arrays(shapes, seed)
    args = {key: mx.nd.array(value) for key, value in values.items()}
    # the original leaves parts of a choice's gradients undefined
    grads = {key: mx.nd.zeros(value.shape) for key, value in values.items() if name != "choice"}
    executor = net.bind(mx.cpu(), args, grads)
    outputs = executor.forward(is_train=True)
    rng = np.random.RandomState(seed + 1)
    if grads:
        executor.backward([mx.nd.array(rng.uniform(-1, 1, out.shape)) for out in outputs])
    result = {f"out{i}": out.asnumpy() for i, out in enumerate(outputs)}
    result.update({f"grad_{key}": grad.asnumpy() for key, grad in grads.items()})
    result["names"] = np.array([*net.list_arguments(), *net.list_outputs()])
    result["json"] = np.array(net.tojson())
    return result
