"""Networks to quantize, by real MXNet when they are recorded (tests/golden/record_quantization.py) and by mxcompat.

A case is a function of ``mx`` that returns what JSON can hold. Parameters and data come from NumPy's frozen streams, as
multiples of 1/64.
"""

import json

import numpy as np

BATCH = 4


def lenet(mx):
    data = mx.sym.Variable("data")
    net = mx.sym.Convolution(data, kernel=(3, 3), num_filter=4, name="conv1")
    net = mx.sym.Activation(net, act_type="relu", name="relu1")
    net = mx.sym.Pooling(net, kernel=(2, 2), stride=(2, 2), pool_type="max", name="pool1")
    net = mx.sym.Convolution(net, kernel=(3, 3), num_filter=6, no_bias=True, name="conv2")
    net = mx.sym.Activation(net, act_type="relu", name="relu2")
    net = mx.sym.Pooling(net, kernel=(2, 2), stride=(2, 2), pool_type="avg", name="pool2")
    net = mx.sym.Flatten(net, name="flat")
    net = mx.sym.FullyConnected(net, num_hidden=10, name="fc1")
    net = mx.sym.Activation(net, act_type="relu", name="relu3")
    net = mx.sym.FullyConnected(net, num_hidden=3, name="fc2")
    return mx.sym.softmax(net, name="softmax")


def branches(mx):
    """Branches, batch normalization, and an operator in the middle that is not quantized."""
    data = mx.sym.Variable("data")
    stem = mx.sym.Convolution(data, kernel=(3, 3), pad=(1, 1), num_filter=4, name="stem")
    left = mx.sym.Pooling(stem, kernel=(3, 3), pad=(1, 1), pool_type="max", name="left")
    total = mx.sym.elemwise_add(left, stem, name="total")
    joined = mx.sym.Concat(total, stem, dim=1, name="joined")
    scaled = joined * 0.5
    tail = mx.sym.Convolution(mx.sym.relu(scaled, name="cut"), kernel=(1, 1), num_filter=3, name="tail")
    norm = mx.sym.BatchNorm(tail, fix_gamma=False, name="norm")
    pool = mx.sym.Pooling(norm, kernel=(2, 2), global_pool=True, pool_type="avg", name="pool")
    return mx.sym.FullyConnected(pool, num_hidden=3, name="out")


def products(mx):
    """Products, an embedding and dense layers without flattening; two heads."""
    data = mx.sym.Variable("data")
    rows = mx.sym.Embedding(data, input_dim=9, output_dim=5, name="rows")
    first = mx.sym.FullyConnected(rows, num_hidden=6, flatten=False, no_bias=True, name="first")
    second = mx.sym.FullyConnected(rows, num_hidden=6, flatten=False, name="second")
    product = mx.sym.elemwise_mul(first, second, name="product")
    tanh = mx.sym.Activation(product, act_type="tanh", name="tanh")
    return mx.sym.Group([mx.sym.FullyConnected(product, num_hidden=2, name="last"), tanh])


def recurrent(mx):
    """What reads a recurrent layer stays as it is: the original would give it a range end that does not exist."""
    data = mx.sym.Variable("data")
    net = mx.sym.RNN(data, state_size=4, num_layers=1, mode="lstm", name="lstm")
    return mx.sym.sqrt(net, name="out")


def sliced(mx):
    """Inputs that are one of several outputs, of operators with names for these and without."""
    data = mx.sym.Variable("data")
    parts = mx.sym.SliceChannel(data, num_outputs=2, axis=1, name="parts")
    best = mx.sym.topk(data, k=2, ret_typ="both", name="best")
    nets = [mx.sym.FullyConnected(x, num_hidden=2, name=f"fc{i}") for i, x in enumerate([parts[1], best[1], data])]
    return mx.sym.Group([*nets, mx.sym.FullyConnected(parts[0], nets[0].get_internals()["fc0_weight"], num_hidden=2)])


NETS = {"lenet": lenet, "branches": branches, "products": products, "recurrent": recurrent, "sliced": sliced}
#: type of the data, and operators that stay as they are, with which the original's kernels run: convolutions take uint8
#: only, products int8, and a rectifier makes int8 of everything
RUN = {"lenet": ("uint8", ["Activation"]), "products": ("int8", [])}
SHAPES = {"lenet": (BATCH, 2, 12, 12), "branches": (BATCH, 2, 6, 6), "products": (BATCH, 3)}


def network(mx, name):
    """A network whose automatic names do not depend on what was made before."""
    with mx.name.NameManager():
        return NETS[name](mx)


def numbers(seed, shape, high=64):
    """Multiples of 1/64 in [-1, 1)."""
    return np.random.RandomState(seed).randint(-64, high, shape).astype("float32") / 64


def parameters(mx, symbol, shape):
    """Arguments and auxiliary states for data of a shape."""
    arguments, _, states = symbol.infer_shape(data=shape)
    names = [name for name in symbol.list_arguments() if name != "data"]
    shapes = dict(zip(symbol.list_arguments(), arguments))
    args = {name: mx.nd.array(numbers(i, shapes[name]) / 2) for i, name in enumerate(names)}
    kept = zip(symbol.list_auxiliary_states(), states)
    return args, {name: mx.nd.array(abs(numbers(50 + i, size)) + 0.5) for i, (name, size) in enumerate(kept)}


def examples(name):
    """Two batches: numbers from 0 on, or rows of the embedding."""
    shape = (2 * SHAPES[name][0], *SHAPES[name][1:])
    if name == "products":
        return np.random.RandomState(7).randint(0, 9, shape).astype("float32")
    return np.abs(numbers(7, shape))


def described_graph(symbol):
    """Nodes as operator, name, attributes and inputs, and the heads."""
    graph = json.loads(symbol.tojson())
    nodes = [[n["op"], n["name"], n.get("attrs", {}), [e[:2] for e in n["inputs"]]] for n in graph["nodes"]]
    return [nodes, [e[:2] for e in graph["heads"]]]


def graph(mx, name, mode, dtype="int8", **options):
    symbol = network(mx, name)
    quantize = mx.contrib.quantization._quantize_symbol
    held = options.pop("offline", [n for n in symbol.list_arguments() if n != "data"])
    found, layers = quantize(
        symbol, mx.cpu(), offline_params=held, quantized_dtype=dtype, quantize_mode=mode, **options
    )
    return [*described_graph(found), layers, found.list_arguments(), found.list_auxiliary_states()]


def model(mx, name, calib_mode, dtype, excluded, **options):
    """Graph, parameters and outputs of a quantized model."""
    symbol, shape = network(mx, name), SHAPES[name]
    args, aux = parameters(mx, symbol, shape)
    data = mx.io.NDArrayIter(examples(name), batch_size=BATCH)
    found, qargs, qaux = mx.contrib.quantization.quantize_model(
        symbol, args, aux, label_names=(), calib_mode=calib_mode, quantized_dtype=dtype,
        excluded_op_names=excluded, calib_data=None if calib_mode == "none" else data, **options
    )  # fmt: skip
    arrays = {
        n: [str(np.dtype(a.dtype)), list(a.shape), float(a.asnumpy().astype("float64").sum())] for n, a in qargs.items()
    }
    batch = mx.nd.array(examples(name)[:BATCH])
    feeds = {**qargs, "data": batch}
    outputs = found.bind(mx.cpu(), feeds, aux_states=qaux, grad_req="null").forward(is_train=False)
    return [*described_graph(found), arrays, [[round(float(x), 4) for x in o.asnumpy().ravel()[:40]] for o in outputs]]


def by_hand(mx, calib_mode):
    """The same in two steps: a collector on an executor, then ``calib_graph``."""
    quantization = mx.contrib.quantization
    symbol = lenet(mx)
    args, aux = parameters(mx, symbol, SHAPES["lenet"])
    found, qargs, qaux, collector = quantization.quantize_graph(
        symbol, args, aux, calib_mode=calib_mode, quantized_dtype="uint8"
    )
    before = sorted(qargs)
    if calib_mode == "entropy":
        collector.num_bins = 1001
    executor = symbol.simple_bind(mx.cpu(), grad_req="null", data=SHAPES["lenet"])
    executor.copy_params_from(args, aux)
    executor.set_monitor_callback(collector.collect, monitor_all=True)
    for start in (0, BATCH):
        executor.forward(is_train=False, data=mx.nd.array(examples("lenet")[start : start + BATCH]))
    kept = sorted(collector.hist_dict if calib_mode == "entropy" else collector.min_max_dict)
    found, qargs, qaux = quantization.calib_graph(found, args, aux, collector, calib_mode, "uint8", logger=None)
    return [before, kept, described_graph(found), sorted(qargs)]


def thresholds(mx, dtype):
    """Ranges from histograms that grow."""
    quantization, results = mx.contrib.quantization, []
    for seed, shift in ((1, 0.0), (2, 3.0)):
        rng = np.random.RandomState(seed)
        first, second = (np.abs(rng.standard_normal(3000)) * scale - 0.25 * (shift == 0) for scale in (1.0, 1.5))
        ends = [(x.min(), x.max(), max(abs(x.min()), abs(x.max()))) for x in (first, second)]
        counts, edges = np.histogram(first, bins=1001, range=(-ends[0][2], ends[0][2]))
        both = quantization.combine_histogram((counts, edges, *ends[0]), second, *ends[1])
        again = quantization.combine_histogram(both, first, *ends[0])
        low, high, threshold, divergence = quantization._get_optimal_threshold(again, dtype, num_quantized_bins=63)
        table = quantization._get_optimal_thresholds({"a": both}, dtype, num_quantized_bins=63)
        results.append([len(again[0]), int(again[0].sum()), round(float(low), 5), round(float(high), 5),
                        round(float(threshold[0]), 5), round(float(divergence[0]), 5),
                        [round(float(np.asarray(x).reshape(())), 5) for x in table["a"]]])  # fmt: skip
    return results


CASES = {
    **{
        f"{name}-{mode}": lambda mx, name=name, mode=mode: graph(mx, name, mode)
        for name in NETS
        for mode in ("full", "smart")
    },
    "lenet-uint8": lambda mx: graph(mx, "lenet", "smart", "uint8"),
    "lenet-online": lambda mx: graph(mx, "lenet", "full", "auto", offline=["fc1_weight"]),
    "lenet-without-names": lambda mx: graph(mx, "lenet", "full", excluded_symbols=["conv2", "fc2"]),
    "branches-without-operators": lambda mx: graph(mx, "branches", "full", excluded_operators=["Concat", "BatchNorm"]),
    "products-without": lambda mx: graph(mx, "products", "smart", excluded_symbols=["first"]),
    **{
        f"model-{name}-{calib}": lambda mx, name=name, calib=calib: model(
            mx, name, calib, *RUN[name], quantize_mode="full"
        )
        for name in RUN
        for calib in ("none", "naive")
    },
    "model-lenet-entropy": lambda mx: model(
        mx, "lenet", "entropy", *RUN["lenet"], excluded_sym_names=["conv1", "conv2", "fc1"]
    ),
    "model-lenet-smart": lambda mx: model(mx, "lenet", "naive", *RUN["lenet"], num_calib_examples=3),
    "model-branches": lambda mx: model(mx, "branches", "naive", "uint8", [], quantize_mode="full"),
    **{f"by-hand-{calib}": lambda mx, calib=calib: by_hand(mx, calib) for calib in ("naive", "entropy")},
    **{f"thresholds-{dtype}": lambda mx, dtype=dtype: thresholds(mx, dtype) for dtype in ("int8", "uint8", "auto")},
}
