"""What recurrent cells compose and do, run by real MXNet to record and by mxcompat to compare (Python 3.8).

Every case takes the package and returns ``(facts, arrays)``.
"""

from __future__ import annotations

import os
import random
import tempfile
import warnings

import numpy as np

HIDDEN, STEPS, BATCH, WIDTH = 2, 3, 2, 3


def draw(shape, seed):
    """Random values, exact in float32."""
    return (np.random.RandomState(seed).randint(-32, 33, shape) / 32.0).astype(np.float32)


def attempt(call):
    """The result of a call, or the class of its error."""
    try:
        return call()
    except Exception as error:
        return "raises " + type(error).__name__


def names(states):
    """The names of nested states."""
    return [names(state) for state in states] if isinstance(states, (list, tuple)) else [state_name(states)]


def state_name(state):
    return [state.name, state.list_outputs()]


# -- cells ------------------------------------------------------------------------------------------------------


def _stack(mx):
    stack = mx.rnn.SequentialRNNCell()
    stack.add(mx.rnn.LSTMCell(HIDDEN, prefix="a_"))
    stack.add(mx.rnn.DropoutCell(0.5))
    stack.add(mx.rnn.ResidualCell(mx.rnn.GRUCell(HIDDEN, prefix="b_")))
    stack.add(mx.rnn.ZoneoutCell(mx.rnn.RNNCell(HIDDEN, prefix="c_"), 0.25, 0.5))
    return stack


def _deep(mx):
    stack = mx.rnn.SequentialRNNCell()
    stack.add(mx.rnn.BidirectionalCell(mx.rnn.LSTMCell(HIDDEN, prefix="l_"), mx.rnn.GRUCell(HIDDEN, prefix="r_")))
    stack.add(mx.rnn.FusedRNNCell(HIDDEN, mode="gru", prefix="f_", get_next_state=True))
    stack.add(mx.rnn.DropoutCell(0.5))
    stack.add(mx.rnn.RNNCell(HIDDEN, "relu"))
    return stack


def _shared(mx):
    params = mx.rnn.RNNParams("shared_")
    cells = [mx.rnn.LSTMCell(HIDDEN, prefix=prefix, params=params) for prefix in ("one_", "two_")]
    return mx.rnn.BidirectionalCell(cells[0], cells[1], output_prefix="both_")


def _fused(**options):
    return lambda mx: mx.rnn.FusedRNNCell(HIDDEN, **options)


def _unfused(**options):
    return lambda mx: mx.rnn.FusedRNNCell(HIDDEN, **options).unfuse()


def _sides(mx):
    return mx.rnn.BidirectionalCell(
        mx.rnn.FusedRNNCell(HIDDEN, mode="gru", prefix="f_"), mx.rnn.RNNCell(HIDDEN, prefix="p_")
    )


def _conv(kind, shape=(1, 2, 5, 4), **options):
    return lambda mx: getattr(mx.rnn, kind)(shape, HIDDEN, **options)


CELLS = {
    "rnn": lambda mx: mx.rnn.RNNCell(HIDDEN),
    "rnn relu": lambda mx: mx.rnn.RNNCell(HIDDEN, activation="relu", prefix="r_"),
    "rnn own activation": lambda mx: mx.rnn.RNNCell(HIDDEN, activation=mx.sym.LeakyReLU),
    "lstm": lambda mx: mx.rnn.LSTMCell(HIDDEN),
    "lstm forget": lambda mx: mx.rnn.LSTMCell(HIDDEN, prefix="x_", forget_bias=2.5),
    "gru": lambda mx: mx.rnn.GRUCell(HIDDEN),
    "fused lstm": _fused(),
    "fused lstm states": _fused(num_layers=2, get_next_state=True, dropout=0.25, forget_bias=0.5),
    "fused gru both": _fused(num_layers=2, mode="gru", bidirectional=True, get_next_state=True, prefix="g_"),
    "fused rnn": _fused(mode="rnn_tanh"),
    "fused rnn relu": _fused(mode="rnn_relu", bidirectional=True),
    "unfused lstm": _unfused(num_layers=2, dropout=0.5, prefix="u_"),
    "unfused gru both": _unfused(num_layers=2, mode="gru", bidirectional=True, dropout=0.25),
    "unfused both": _unfused(num_layers=2, mode="gru", bidirectional=True),
    "unfused rnn": _unfused(mode="rnn_relu"),
    "unfused tanh": _unfused(mode="rnn_tanh", num_layers=2),
    "stack": _stack,
    "deep stack": _deep,
    "shared": _shared,
    "fused and plain": _sides,
    "both": lambda mx: mx.rnn.BidirectionalCell(mx.rnn.RNNCell(HIDDEN, prefix="l_"), mx.rnn.RNNCell(HIDDEN, prefix="r_")),
    "dropout": lambda mx: mx.rnn.DropoutCell(0.5),
    "no dropout": lambda mx: mx.rnn.DropoutCell(0),
    "residual": lambda mx: mx.rnn.ResidualCell(mx.rnn.LSTMCell(HIDDEN)),
    "residual both": lambda mx: mx.rnn.ResidualCell(_shared(mx)),
    "residual fused": lambda mx: mx.rnn.ResidualCell(mx.rnn.FusedRNNCell(HIDDEN, mode="rnn_tanh")),
    "zoneout outputs": lambda mx: mx.rnn.ZoneoutCell(mx.rnn.LSTMCell(HIDDEN), zoneout_outputs=0.5),
    "zoneout states": lambda mx: mx.rnn.ZoneoutCell(mx.rnn.GRUCell(HIDDEN), zoneout_states=0.5),
    "zoneout none": lambda mx: mx.rnn.ZoneoutCell(mx.rnn.GRUCell(HIDDEN)),
    "nested modifiers": lambda mx: mx.rnn.ZoneoutCell(mx.rnn.ResidualCell(mx.rnn.RNNCell(HIDDEN)), 0.5, 0.25),
    "conv rnn": _conv("ConvRNNCell"),
    "conv rnn options": _conv(
        "ConvRNNCell", h2h_kernel=(5, 3), h2h_dilate=(2, 1), i2h_kernel=(2, 3), i2h_stride=(2, 1), i2h_pad=(1, 1),
        i2h_dilate=(1, 2), i2h_weight_initializer="ones", h2h_weight_initializer="zeros", i2h_bias_initializer=None,
        activation="relu", prefix="c_",
    ),
    "conv lstm": _conv("ConvLSTMCell"),
    "conv lstm tanh": _conv("ConvLSTMCell", activation="tanh", h2h_bias_initializer="ones"),
    "conv lstm NHWC": _conv("ConvLSTMCell", shape=(1, 5, 4, 2), conv_layout="NHWC"),
    "conv gru": _conv("ConvGRUCell", activation="tanh"),
}  # fmt: skip


# -- graphs -----------------------------------------------------------------------------------------------------


def _unrolled(mx, cell, **options):
    """The graph and names of one unrolling; those of inputs in a list when ``inputs`` says so."""
    inputs = mx.sym.Variable("data")
    if options.pop("listed", False):
        inputs = [mx.sym.Variable("data%d" % step) for step in range(STEPS)]  # noqa: UP031
    if options.pop("variables", False):
        options["begin_state"] = _begin(mx, cell, mx.sym.Variable)
    outputs, states = cell.unroll(STEPS, inputs=inputs, **options)
    whole = outputs if isinstance(outputs, mx.sym.Symbol) else mx.sym.Group(outputs)
    flat = _flat(states)
    graph = mx.sym.Group([whole] + flat) if flat else whole
    return {"graph": graph.tojson(), "outputs": whole.list_outputs(), "states": names(states)}


def _begin(mx, cell, func, **options):
    """The begin states by a function, which modifiers call by another name.

    In the original a modifier cannot pass a function on to cells made of cells, nor these to it.
    """
    modifier = isinstance(cell, mx.rnn.ModifierCell)
    if modifier and hasattr(cell.base_cell, "_cells"):
        return None
    if any(isinstance(part, mx.rnn.ModifierCell) for part in getattr(cell, "_cells", ())):
        return cell.begin_state(**options)
    return cell.begin_state(**{"init_sym" if modifier else "func": func}, **options)


def _flat(states):
    return [one for state in states for one in (_flat(state) if isinstance(state, list) else [state])]


WAYS = {
    "": {},
    "merged": {"merge_outputs": True},
    "separate": {"merge_outputs": False},
    "time first": {"layout": "TNC", "merge_outputs": True},
    "list": {"listed": True},
    "list merged": {"listed": True, "layout": "TNC", "merge_outputs": True},
    "variables": {"variables": True},
}


def graphs(mx, kind):
    """The graphs of a cell, each from a new cell; then of one cell unrolled twice."""
    found, facts = {}, {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for way, options in WAYS.items():
            with mx.name.NameManager():
                found[way] = attempt(lambda options=options: _unrolled(mx, CELLS[kind](mx), **dict(options)))
        with mx.name.NameManager():
            cell = CELLS[kind](mx)
            facts["info"] = [{key: str(value) for key, value in info.items()} for info in cell.state_info]
            facts["shapes"] = [list(shape) for shape in cell.state_shape]
            facts["params"] = sorted(cell.params._params)
            facts["gates"] = list(cell._gate_names)
            attempt(lambda: _unrolled(mx, cell))
            found["twice"] = attempt(lambda: _unrolled(mx, cell))
            facts["stepped"] = attempt(lambda: names(cell(mx.sym.Variable("x"), _begin(mx, cell, mx.sym.zeros))[1]))
            facts["states"] = [names(_begin(mx, cell, mx.sym.Variable) or []) for _ in range(2)]
            uniform = {"low": -1.0, "high": 1.0}
            facts["drawn"] = attempt(lambda: [s.tojson() for s in _begin(mx, cell, mx.sym.uniform, **uniform)])
    facts["graphs"] = found
    return facts, {}


# -- numbers ----------------------------------------------------------------------------------------------------

#: cells whose outputs and gradients are compared: those without random numbers
NUMBERS = ["rnn", "rnn relu", "lstm", "gru", "fused lstm", "fused gru both", "fused rnn", "unfused both", "shared"]
NUMBERS += ["fused and plain", "both", "residual both", "conv rnn", "conv rnn options", "conv lstm", "conv gru"]
NUMBERS += ["zoneout none", "unfused tanh", "conv lstm tanh"]


def numbers(mx, kind):
    """Outputs and gradients of a cell, its weights packed and unpacked."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with mx.name.NameManager():
            cell = CELLS[kind](mx)
            outputs, states = cell.unroll(STEPS, inputs=mx.sym.Variable("data"), merge_outputs=True)
            graph = mx.sym.Group([outputs] + _flat(states))
    residual = kind.startswith("residual")
    shape = (BATCH, STEPS, 2, 5, 4) if kind.startswith("conv") else (BATCH, STEPS, 2 * HIDDEN if residual else WIDTH)
    run = graph.simple_bind(mx.cpu(), data=shape, grad_req="write")
    for seed, name in enumerate(sorted(run.arg_dict)):
        run.arg_dict[name][:] = mx.nd.array(draw(run.arg_dict[name].shape, seed))
    run.forward(is_train=True)
    run.backward([mx.nd.array(draw(out.shape, 7)) for out in run.outputs])
    arrays = {"out/%d" % place: out.asnumpy() for place, out in enumerate(run.outputs)}  # noqa: UP031
    arrays.update(("grad/" + name, array.asnumpy()) for name, array in run.grad_dict.items())
    weights = {name: array for name, array in run.arg_dict.items() if name != "data"}
    unpacked = attempt(lambda: cell.unpack_weights(weights))
    if isinstance(unpacked, str):
        return {"unpacked": unpacked}, arrays
    packed = cell.pack_weights(unpacked)
    arrays.update(("unpacked/" + name, array.asnumpy()) for name, array in unpacked.items())
    arrays.update(("packed/" + name, array.asnumpy()) for name, array in packed.items())
    return {"unpacked": sorted(unpacked), "packed": sorted(packed), "given": sorted(weights)}, arrays


# -- wrong use, checkpoints, sentences --------------------------------------------------------------------------


def errors(mx):
    rnn, data = mx.rnn, mx.sym.Variable("data")
    base, modified = rnn.BaseRNNCell(), rnn.LSTMCell(2)
    rnn.ResidualCell(modified)
    two = mx.sym.Group([data, mx.sym.Variable("other")])
    fused, both = rnn.FusedRNNCell(2, prefix="f_"), _shared(mx)
    with_params = rnn.SequentialRNNCell(params=rnn.RNNParams("q_"))
    stack = rnn.SequentialRNNCell()
    stack.add(both)
    calls = [
        lambda: base(data, []),
        lambda: base.state_info,
        lambda: base.state_shape,
        lambda: base.begin_state(),
        lambda: base.unpack_weights({"a": 1}),
        lambda: base.pack_weights({"a": 1}),
        lambda: modified.begin_state(),
        lambda: modified.unroll(2, data),
        lambda: rnn.ModifierCell(rnn.LSTMCell(2))(data, []),
        lambda: rnn.LSTMCell(2).unroll(2, None),
        lambda: rnn.LSTMCell(2).unroll(2, two),
        lambda: rnn.LSTMCell(2).unroll(2, [data]),
        lambda: fused(data, []),
        lambda: fused.unroll(2, data, layout="NCT"),
        lambda: fused.unpack_weights({"f_parameters": mx.nd.zeros((57,))}),
        lambda: fused.unpack_weights({}),
        lambda: fused.pack_weights({}),
        lambda: rnn.FusedRNNCell(2, mode="nonsense"),
        lambda: rnn.FusedRNNCell(2, mode="nonsense")._gate_names,
        lambda: both(data, []),
        lambda: stack(data, stack.begin_state()),
        lambda: with_params.add(rnn.LSTMCell(2)),
        lambda: rnn.BidirectionalCell(rnn.LSTMCell(2), rnn.LSTMCell(2), params=rnn.RNNParams("q_")),
        lambda: rnn.DropoutCell("0.5"),
        lambda: rnn.ZoneoutCell(fused),
        lambda: rnn.ZoneoutCell(both),
        lambda: rnn.ConvLSTMCell((1, 2, 4, 4), 2, h2h_kernel=(2, 3)),
        lambda: rnn.BaseConvRNNCell((1, 2, 4, 4), 2, (3, 3), (1, 1), (3, 3), (1, 1), (1, 1), (1, 1), *[None] * 5),
        lambda: rnn.LSTMCell(2).unpack_weights({}),
        lambda: rnn.LSTMCell(2).pack_weights({}),
        lambda: rnn.LSTMCell(2).begin_state(nonsense=1),
        lambda: rnn.BucketSentenceIter([[1, 2]], 1, buckets=[1]),
        lambda: rnn.BucketSentenceIter([[1, 2]], 1, layout="TC"),
        lambda: rnn.encode_sentences([["a"]], vocab={}),
    ]
    return {"answers": [_told(attempt(call)) for call in calls]}, {}


def _told(answer):
    return answer if isinstance(answer, (str, dict, list)) else type(answer).__name__


def checkpoints(mx):
    cells = [mx.rnn.FusedRNNCell(HIDDEN, prefix="f_"), mx.rnn.LSTMCell(HIDDEN, prefix="p_")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        outputs, _ = cells[0].unroll(STEPS, mx.sym.Variable("data"), layout="TNC")
        outputs, _ = cells[1].unroll(STEPS, outputs, layout="TNC", merge_outputs=True)
    shapes, _, _ = outputs.infer_shape(data=(STEPS, BATCH, WIDTH))
    args = {n: mx.nd.array(draw(s, len(n))) for n, s in zip(outputs.list_arguments(), shapes) if n != "data"}
    found, arrays = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        prefix = os.path.join(folder, "net")
        mx.rnn.save_rnn_checkpoint(cells, prefix, 3, outputs, args, {})
        callback = mx.rnn.do_rnn_checkpoint(cells[1], os.path.join(folder, "plain"), period=2)
        for epoch in range(5):
            callback(epoch, outputs, args, {})
        found["files"] = sorted(os.listdir(folder))
        found["names"] = sorted(mx.nd.load(prefix + "-0003.params"))
        symbol, loaded, aux = mx.rnn.load_rnn_checkpoint(cells, prefix, 3)
        found["same graph"] = symbol.tojson() == outputs.tojson()
        arrays.update(("arg/" + name, array.asnumpy()) for name, array in loaded.items())
        found["aux"] = sorted(aux)
    return found, arrays


def sentences(mx):
    encode, facts, arrays = mx.rnn.encode_sentences, {}, {}
    words = [["a", "b", "a"], ["c"], [], ["b", "d", "e", "f"]]
    known = {"a": 5, "b": 7}
    facts["encoded"] = [
        attempt(call)
        for call in (
            lambda: encode(words),
            lambda: encode(words, start_label=3, invalid_label=5, invalid_key="<eos>"),
            lambda: encode(words, vocab=dict(known)),
            lambda: encode(words, vocab=dict(known), unknown_token="<unk>"),
            lambda: encode(words, vocab=dict(known), unknown_token="a", start_label=4, invalid_label=4),
            lambda: encode(words, unknown_token="<unk>"),
            lambda: encode([], vocab=known),
        )
    ]
    coded = [list(range(1, 1 + length)) for length in (1, 2, 2, 3, 3, 3, 4, 4, 5, 5, 5, 5, 6, 7)]
    ways = {
        "own buckets": {"batch_size": 2},
        "buckets": {"batch_size": 2, "buckets": [5, 3]},
        "time first": {"batch_size": 1, "buckets": [3, 9, 6, 20], "layout": "TN", "invalid_label": 0, "dtype": "int32"},
        "names": {"batch_size": 3, "data_name": "x", "label_name": "y", "dtype": "float64"},
    }
    for way, options in ways.items():
        random.seed(3)
        np.random.seed(4)
        source = mx.rnn.BucketSentenceIter(coded, **options)
        facts[way] = {"described": _described(source), "buckets": [int(size) for size in source.buckets], "batches": []}
        for epoch in range(2):
            for place, batch in enumerate(source):
                facts[way]["batches"].append([int(batch.bucket_key), batch.pad, _described(batch)])
                key = "%s/%d/%d" % (way, epoch, place)  # noqa: UP031
                arrays[key + "/data"], arrays[key + "/label"] = batch.data[0].asnumpy(), batch.label[0].asnumpy()
            source.reset()
    return facts, arrays


def _described(source):
    described = list(source.provide_data) + list(source.provide_label)
    return [[d.name, [int(n) for n in d.shape], np.dtype(d.dtype).name, d.layout] for d in described]


CASES = {"graphs of " + kind: lambda mx, kind=kind: graphs(mx, kind) for kind in CELLS}
CASES.update({"numbers of " + kind: lambda mx, kind=kind: numbers(mx, kind) for kind in NUMBERS})
CASES.update({"errors": errors, "checkpoints": checkpoints, "sentences": sentences})
