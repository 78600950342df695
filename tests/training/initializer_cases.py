"""Initializers: rules by name, texts, values (runs on real MXNet, too)."""

from __future__ import annotations

import warnings

import numpy as np

from tests.training.observing import attempt, logged, plain


def _filled(mx, initializer, name, shape=(2, 2), attrs=None, text=False, dtype="float32"):
    array = mx.nd.full(shape, 7, dtype=dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        initializer(name if text else mx.init.InitDesc(name, attrs), array)
    return plain(array)


ENDINGS = ["weight", "bias", "gamma", "beta", "min", "max", "moving_mean", "moving_var", "moving_inv_var", "moving_avg"]
ENDINGS += ["running_mean", "parameters", "weight_quantize", "bias_quantize", "data"]


def _names(mx):
    found, constant = [], mx.init.Constant(5.0)
    for ending in ENDINGS:
        for text in (False, True):
            if ending == "weight_quantize" and not text:
                continue
            found.append([ending, text, attempt(lambda e=ending, t=text: _filled(mx, constant, "a_" + e, text=t))])
    for name, shape in (
        ("stn_loc_weight", (2, 2)),
        ("stn_loc_bias", (6,)),
        ("stn_loc_bias", (5,)),
        ("upsampling0", (1, 2, 3, 4)),
    ):
        found.append([name, attempt(lambda n=name, s=shape: _filled(mx, constant, n, s, text=True))])
    for array, name in (([1], "x_weight"), (mx.nd.ones((1,)), 3)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found.append(attempt(lambda a=array, n=name: constant(n, a)))
    return found


def _texts(mx):
    init = mx.init
    made = [
        init.Zero(),
        init.One(),
        init.Constant(3),
        init.Constant(2.5),
        init.Constant(np.array([1.0, 2.0])),
        init.Constant(mx.nd.array([1.0, 2.0])),
        init.Uniform(),
        init.Uniform(0.5),
        init.Normal(),
        init.Normal(2),
        init.Orthogonal(),
        init.Orthogonal(2, "normal"),
        init.Xavier(),
        init.Xavier("gaussian", "in", 2.34),
        init.MSRAPrelu(),
        init.MSRAPrelu("out", 0.1),
        init.Bilinear(),
        init.LSTMBias(),
        init.LSTMBias(2),
        init.FusedRNN(init.One(), 2, 1, "lstm"),
        init.FusedRNN(None, 2, 3, "gru", True, 2.0),
    ]
    texts = [initializer.dumps() for initializer in made]
    again = [mx.initializer.create(text).dumps() for text in texts if "one" not in text and "[1.0" not in text]
    equal = [
        init.One() == init.One(),
        init.Uniform(1) == init.Uniform(2),
        init.Uniform(1) == init.Normal(1),
        init.One() == 3,
    ]
    return [texts, again, equal]


def _attributes(mx):
    init = mx.init
    own = {"__init__": init.Constant(3.0).dumps()}
    found = [_filled(mx, init.Uniform(), name, attrs=own) for name in ("x_weight", "x_bias", "x_moving_mean", "data")]
    desc = init.InitDesc("x", {"a": "1"})
    found += [str(desc), desc.attrs, desc.global_init, init.InitDesc("y").attrs]
    uniform = init.Uniform()
    uniform(init.InitDesc("x_bias"), mx.nd.ones((1,)))
    desc = init.InitDesc("x_bias")
    uniform(desc, mx.nd.ones((1,)))
    return found + [desc.global_init is uniform]


def _mixed(mx):
    init, nd = mx.init, mx.nd
    mixed = init.Mixed(["fc.*bias", ".*"], [init.Constant(1), init.Constant(2)])
    found = [_filled(mx, mixed, name, text=True) for name in ("fc_weight", "conv_weight", "fc_bias")]
    single = init.Mixed(["bias"], [init.Zero()])
    found += [attempt(lambda: _filled(mx, single, "x_bias")), attempt(lambda: _filled(mx, single, "bias"))]
    found.append(attempt(lambda: init.Mixed(["a", "b"], [init.Zero()])))
    values = {"arg:x_weight": nd.ones((2, 2)) * 4, "aux:m": nd.ones((2, 2)) * 5, "y": nd.ones((2, 2)) * 6}
    load = init.Load(values, default_init=init.One(), verbose=True)
    found += [logged(lambda n=name: found.append(_filled(mx, load, n))) for name in ("x_weight", "m", "y", "z_weight")]
    found += [
        attempt(lambda: _filled(mx, load, "x_weight", (3,))),
        attempt(lambda: _filled(mx, init.Load(values), "z_weight")),
    ]
    return found + [attempt(lambda: init.Load([1])), sorted(load.param)]


def _fixed(mx):
    init = mx.init
    found = [_filled(mx, init.Bilinear(), "u_weight", shape) for shape in ((1, 1, 4, 4), (2, 1, 3, 5), (1, 2, 2, 2))]
    found += [_filled(mx, init.LSTMBias(b), "x_weight", (n,)) for b, n in ((1.5, 8), (2, 9), (1, 3))]
    found += [_filled(mx, init.Constant(v), "x_weight") for v in (2, np.array([[1.0, 2.0], [3.0, 4.0]]), [5.0, 6.0])]
    found += [_filled(mx, init.Constant(2.75), "x_weight", dtype=t) for t in ("float16", "float64", "int32")]
    return found


def _fused(mx):
    init, found = mx.init, []
    sizes = {"rnn_relu": 1, "rnn_tanh": 1, "lstm": 4, "gru": 3}
    for mode, gates in sorted(sizes.items()):
        for layers, both in ((1, False), (2, True)):
            hidden, directions, width = 2, 1 + both, 3
            size = gates * hidden * (width + hidden + 2) * directions
            size += (layers - 1) * gates * hidden * (hidden * directions + hidden + 2) * directions
            inner = init.Mixed(
                [".*l0.*i2h.*weight", ".*bias", ".*"], [init.Constant(2), init.Constant(3), init.Constant(4)]
            )
            names = []

            class Recording(init.Initializer):
                def __call__(self, desc, arr, names=names, inner=inner):
                    names.append([str(desc), list(arr.shape)])
                    inner(desc, arr)

            fused = init.FusedRNN(Recording(), hidden, layers, mode, both, 2.0)
            found.append([_filled(mx, fused, "p_weight", (size,)), names])
    desc = init.InitDesc("rnn_parameters", {"__init__": init.FusedRNN(None, 2, 1, "lstm").dumps()}, init.Constant(9))
    array = mx.nd.zeros((4 * 2 * (3 + 2) + 16,))
    init.Uniform()(desc, array)
    return found + [plain(array)]


def _verbose(mx):
    init = mx.init

    def fill():
        for made in (
            init.Constant(0.3).set_verbosity(True),
            init.One().set_verbosity(True, lambda x: f"{x.size} values"),
        ):
            for name, attrs in (("x_weight", None), ("x_bias", None), ("y", {"__init__": '["one", {}]'})):
                made(init.InitDesc(name, attrs), mx.nd.zeros((3,)))

    return logged(fill)


def _initializer_errors(mx):
    init = mx.init
    calls = [
        lambda: _filled(mx, init.Xavier(), "x_weight", (3,)),
        lambda: _filled(mx, init.Xavier(factor_type="all"), "x_weight"),
        lambda: _filled(mx, init.Xavier(rnd_type="other"), "x_weight"),
        lambda: _filled(mx, init.Constant([1.0, 2.0, 3.0]), "x_weight"),
        lambda: mx.initializer.create("nonsense"),
        lambda: mx.initializer.create(3),
        lambda: mx.initializer.create(init.One(), 3),
        lambda: _filled(mx, init.Initializer(), "x_weight"),
        lambda: mx.initializer.register(int),
        lambda: init.Constant(),
        lambda: _filled(mx, init.FusedRNN(init.One(), 2, 1, "other"), "x_weight", (56,)),
        lambda: _filled(mx, init.FusedRNN(init.One(), 2, 1, "lstm"), "x_weight", (55,)),
    ]
    return [attempt(call) for call in calls]


def _scales(mx):
    """Bounds and deviations of random draws, rounded so that any generator gives them."""
    init, found = mx.init, []
    mx.random.seed(1)
    for made, shape in (
        (init.Uniform(), (300, 200)),
        (init.Xavier(), (300, 200)),
        (init.Xavier(factor_type="in"), (50, 40, 5, 5)),
        (init.Xavier(factor_type="out", magnitude=2), (80, 40, 5, 5)),
    ):
        values = np.array(_filled(mx, made, "x_weight", shape))
        found.append([round(float(abs(values).max()), 3), abs(float(values.mean())) < 1e-3])
    for made, shape in (
        (init.Normal(), (300, 200)),
        (init.Xavier("gaussian", "in", 2), (300, 200)),
        (init.MSRAPrelu("in", 0.1), (300, 200)),
    ):
        found.append(round(float(np.array(_filled(mx, made, "x_weight", shape)).std()), 2))
    for made, shape in (
        (init.Orthogonal(), (4, 9)),
        (init.Orthogonal(1, "normal"), (6, 2, 2)),
        (init.Orthogonal(2.0), (9, 2, 2)),
    ):
        values = np.array(_filled(mx, made, "x_weight", shape)).reshape(shape[0], -1)
        product = values @ values.T if values.shape[0] <= values.shape[1] else values.T @ values
        found.append(np.round(product, 3).__abs__().tolist())
    return found


CASES = {
    "names": _names, "texts": _texts, "attributes": _attributes, "mixed and load": _mixed, "fixed values": _fixed,
    "fused": _fused, "verbose": _verbose, "initializer errors": _initializer_errors, "scales": _scales,
}  # fmt: skip
