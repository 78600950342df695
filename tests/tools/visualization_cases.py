"""Printed and drawn symbols (runs on real MXNet, too)."""

from __future__ import annotations

import contextlib
import io
import warnings

import numpy as np

from tests.training.observing import attempt


def _images(mx):
    data = mx.sym.Variable("data")
    first = mx.sym.Convolution(data, kernel=(5, 5), num_filter=20, name="first")
    normal = mx.sym.BatchNorm(first, name="normal")
    pool = mx.sym.Pooling(
        mx.sym.Activation(normal, act_type="tanh", name="act"), kernel=(2, 2), pool_type="max", name="pool"
    )
    groups = mx.sym.Convolution(
        pool, kernel=(3, 3), num_filter=40, num_group=4, no_bias=True, stride=(1, 2), name="groups"
    )
    leaky = mx.sym.LeakyReLU(groups, name="leaky")
    both = mx.sym.Concat(leaky, mx.sym.LeakyReLU(groups, act_type="elu", name="elu"), dim=1, name="both")
    last = mx.sym.Pooling(both, global_pool=True, pool_type="avg", kernel=(1, 1), stride=(1, 1), name="last")
    flat = mx.sym.Flatten(last, name="flat")
    left = mx.sym.FullyConnected(flat, num_hidden=10, name="left")
    right = mx.sym.FullyConnected(flat, num_hidden=10, no_bias=True, name="right")
    return mx.sym.SoftmaxOutput(mx.sym.elemwise_add(left, right, name="plus"), name="softmax"), {"data": (2, 3, 28, 28)}


def _words(mx):
    data, bias = mx.sym.Variable("data"), mx.sym.Variable("head_bias", lr_mult=2.0)
    words = mx.sym.Embedding(data, input_dim=100, output_dim=28, name="words")
    head = mx.sym.FullyConnected(words, bias=bias, num_hidden=10, name="head")
    return mx.sym.SliceChannel(head, num_outputs=5, name="parts"), {"data": (6, 3)}


def _group(mx):
    data, other = mx.sym.Variable("data"), mx.sym.Variable("other")
    parts = mx.sym.SliceChannel(data, num_outputs=2, name="parts")
    plus = mx.sym.elemwise_add(parts[0], other, name="plus")
    twice = mx.sym.broadcast_add(parts[1], mx.sym.identity(other, name="same"), name="twice")
    return mx.sym.Group([plus, mx.sym.sum(twice, name="total"), parts[1]]), {"data": (3, 4, 5), "other": (3, 2, 5)}


def _long_names(mx):
    data, weight = mx.sym.Variable("data"), mx.sym.Variable("w")
    first = mx.sym.FullyConnected(data, weight, num_hidden=3, flatten=False, name="first")
    return mx.sym.FullyConnected(first, num_hidden=7, name="a_name_that_does_not_fit_" * 3), {"data": (6, 5)}


def _resize(mx):
    data = mx.sym.Variable("data")
    net = mx.sym.contrib.BilinearResize2D(data, mx.sym.Variable("size"), mode="like", name="resize")
    return mx.sym.Reshape(net, shape=(0, -1), name="flat"), {"data": (2, 3, 4, 4), "size": (2, 3, 8, 8)}


def _variable(mx):
    return mx.sym.Variable("data"), {"data": (3, 4)}


NETS = {
    "images": _images,
    "words": _words,
    "group": _group,
    "long names": _long_names,
    "resize": _resize,
    "variable": _variable,
}


def _printed(mx, symbol, options):
    with contextlib.redirect_stdout(io.StringIO()) as stream:
        mx.viz.print_summary(symbol, **options)
    return stream.getvalue().split("\n")


def _drawn(dot):
    return [dot.name, dot.format, *dot.source.rstrip("\n").split("\n")]


def _summaries(build):
    def case(mx):
        symbol, shape = build(mx)
        return [
            _printed(mx, symbol, options)
            for options in (
                {},
                {"shape": shape},
                {"shape": shape, "line_length": 80},
                {"shape": shape, "line_length": 98, "positions": [0.3, 0.6, 0.8, 1.0]},
                {"shape": shape, "positions": [20, 40, 60, 80]},
            )
        ]

    return case


def _drawings(build):
    def case(mx):
        symbol, shape = build(mx)
        looks = {"shape": "oval", "fixedsize": "false"}
        return [
            _drawn(mx.viz.plot_network(symbol, **options))
            for options in (
                {},
                {"shape": shape},
                {"shape": shape, "dtype": {"data": np.float32}, "title": "typed"},
                {"hide_weights": False, "save_format": "png", "node_attrs": looks},
            )
        ]

    return case


def _refusals(mx):
    symbol, _ = _long_names(mx)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # shapes that stay open are warned of, too
        return [
            attempt(lambda: mx.viz.print_summary(3)),
            attempt(lambda: mx.viz.plot_network("net")),
            attempt(lambda: mx.viz.print_summary(symbol, shape={})),
            attempt(lambda: mx.viz.plot_network(symbol, shape={})),
        ]


def _repeated_names(mx):
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=4, name="same")
    net = mx.sym.FullyConnected(net, num_hidden=4, name="same")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        mx.viz.plot_network(net)
    [warning] = caught
    text, _, names = str(warning.message).rpartition(": ")
    return [warning.category.__name__, text, sorted(names.split(","))]


CASES = {"summary of " + name: _summaries(build) for name, build in NETS.items()}
CASES.update({"drawing of " + name: _drawings(build) for name, build in NETS.items()})
CASES.update({"refusals": _refusals, "repeated names": _repeated_names})
