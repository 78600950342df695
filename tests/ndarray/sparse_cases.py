"""Cases of sparse arrays, run by real MXNet when they are recorded (tests/golden/record_sparse.py) and by mxcompat.

A case is a function of ``mx`` that returns arrays, numbers or lists of these; ``described`` makes JSON of them. Values
are such that every step is exact in float32.
"""

import itertools

import numpy as np

VALUES = np.array([[0, 0.5, 0, 0], [0, 0, 0, 0], [0.25, 0, 0, 0.75], [0, 0, 1, 0]], np.float32)
OTHER = np.array([[0, 0.5, 0.25, 0], [0, 0, 0, 0.5], [0, 0, 0, 0], [0, 0, 0, 0]], np.float32)
STYPES = ("default", "csr", "row_sparse")

UNARY = """BlockGrad abs arccos arccosh arcsin arcsinh arctan arctanh cbrt ceil cos cosh degrees erf exp expm1 fix floor gamma
gammaln identity log log10 log1p log2 logical_not make_loss negative ones_like radians rcbrt reciprocal relu rint round rsqrt
sigmoid sign sin sinh softsign sqrt square tan tanh trunc zeros_like""".split()
SCALAR = """plus minus rminus mul div rdiv equal not_equal greater greater_equal lesser lesser_equal maximum minimum
power""".split()
BINARY = """elemwise_add elemwise_sub elemwise_mul elemwise_div broadcast_add broadcast_sub broadcast_mul broadcast_equal
dot add_n _maximum _minimum _hypot _scatter_elemwise_div""".split()


def described(result):
    """Arrays as storage type, shape, type and elements; errors of the case itself as ``error``."""
    if isinstance(result, (list, tuple)):
        return [described(part) for part in result]
    if hasattr(result, "stype"):
        elements = [round(float(x), 5) if np.isfinite(x) else str(x) for x in result.asnumpy().reshape(-1)]
        return [result.stype, list(result.shape), np.dtype(result.dtype).name, elements]
    return result


def arrays(mx, stype, values=VALUES):
    """One array in a storage type."""
    return mx.nd.array(values).tostype(stype)


def operator(mx, name):
    """The imperative function of an operator."""
    return getattr(mx.nd, name, None) or getattr(mx.nd._internal, name)


def attempt(mx, function, *inputs, **options):
    """What a function gives, or that it raises an ``MXNetError`` (a kernel that the original lacks)."""
    try:
        result = function(*inputs, **options)
        described(result)
    except mx.base.MXNetError:
        return "MXNetError"
    return result


def unary(name):
    return lambda mx: [operator(mx, name)(arrays(mx, stype)) for stype in STYPES[1:]]


def scalar(name):
    function = "_" + name + "_scalar"
    return lambda mx: [
        operator(mx, function)(arrays(mx, stype), scalar=number) for stype in STYPES[1:] for number in (0.0, 2.0, -1.0)
    ]


def binary(name):
    def case(mx):
        function = operator(mx, name)
        pairs = [pair for pair in itertools.product(STYPES, repeat=2) if pair != ("default", "default")]
        return [attempt(mx, function, arrays(mx, a), arrays(mx, b, OTHER)) for a, b in pairs]

    return case


def dots(mx):
    """Products for every wish of a result's storage type."""
    results = []
    for a, b, wish in itertools.product(STYPES, STYPES, (None, *STYPES)):
        for transposed in ({}, {"transpose_a": True}, {"transpose_b": True}, {"transpose_a": True, "transpose_b": True}):
            options = dict(transposed, **({} if wish is None else {"forward_stype": wish}))
            results.append(attempt(mx, mx.nd.sparse.dot, arrays(mx, a), arrays(mx, b, OTHER), **options))
    return results


def parts(mx):
    x = arrays(mx, "csr")
    return [x[1], x[-1], x[1:3], x[-3:-1], x[:2], x[2:], mx.nd.slice(x, begin=(1, 0), end=(4, 3)),
            mx.nd.slice(x, begin=(0,), end=(3,), step=(2,)), mx.nd.slice(arrays(mx, "row_sparse"), begin=(1,), end=(3,)),
            mx.nd.take(x, mx.nd.array([2, 0, 9, -1])), mx.nd.take(x, mx.nd.array([5, -1]), mode="wrap"),
            mx.nd.take(x, mx.nd.array([1]), axis=1), mx.nd.concat(x, x, dim=0), mx.nd.concat(x, x, dim=1),
            mx.nd.concat(x, arrays(mx, "default"), dim=0)]  # fmt: skip


def structures(mx):
    """Stored elements and their places."""
    csr, rows = arrays(mx, "csr"), arrays(mx, "row_sparse")
    total, product = csr + arrays(mx, "csr", OTHER), csr * arrays(mx, "csr", OTHER)
    both = rows + arrays(mx, "row_sparse", OTHER)
    retained = mx.nd.sparse.retain(rows, mx.nd.array([0, 1, 3]))
    return [csr.data, csr.indices, csr.indptr, rows.data, rows.indices, total, product, both.indices,
            both.data, csr[1:3].indptr, retained.indices, retained.data, mx.nd.contrib.getnnz(csr),
            mx.nd.contrib.getnnz(csr, axis=1)]  # fmt: skip


def made(mx):
    """The ways to make sparse arrays."""
    sparse = mx.nd.sparse
    return [sparse.csr_matrix(([1, 2, 3], [2, 0, 1], [0, 2, 2, 3])), sparse.csr_matrix((3, 2)),
            sparse.csr_matrix(([1, 2], [2, 0], [0, 2, 2]), shape=(2, 4), dtype="float64"),
            sparse.csr_matrix((np.array([1, 2, 3]), ([0, 1, 0], [1, 0, 1]))), sparse.csr_matrix([[0, 1], [2, 0]]),
            sparse.csr_matrix(np.array([[0, 1.0], [2, 0]])), sparse.csr_matrix(arrays(mx, "csr"), dtype="int32"),
            sparse.row_sparse_array(([[1, 2], [3, 4]], [0, 2])), sparse.row_sparse_array((2, 3, 2)),
            sparse.row_sparse_array(([[1, 2]], [1]), shape=(4, 2)), sparse.row_sparse_array(VALUES),
            sparse.row_sparse_array(([1.0, 2.0], [0, 2]), shape=(4,)), mx.nd.zeros((2, 2), stype="csr"),
            mx.nd.array(arrays(mx, "row_sparse")), sparse.zeros("row_sparse", (2, 2), dtype="int32"),
            arrays(mx, "csr").astype("float64"), arrays(mx, "csr").copy()]  # fmt: skip


def reduced(mx):
    results = []
    for stype, name in itertools.product(STYPES[1:], ("sum", "mean", "norm", "max")):
        for options in ({}, {"axis": 0}, {"axis": 1}, {"axis": -1}, {"axis": 1, "keepdims": True}, {"axis": (0, 1)}):
            results.append(operator(mx, name)(arrays(mx, stype), **options))
    rows = arrays(mx, "row_sparse")
    for axis, keepdims in itertools.product((0, 1), (False, True)):
        results.append(mx.nd._internal._square_sum(rows, axis=axis, keepdims=keepdims))
    return results


def broadcast(mx):
    factors = [[[1.0, 2, 4, 8]], [[1.0], [2], [4], [8]], [[2.0]], [1.0, 2, 4, 8], [2.0]]
    names = ("broadcast_mul", "broadcast_div", "broadcast_add", "broadcast_sub")
    return [operator(mx, name)(arrays(mx, stype), mx.nd.array(factor))
            for stype, name, factor in itertools.product(STYPES[1:], names, factors)]  # fmt: skip


def arithmetic(mx):
    results = []
    for stype in STYPES[1:]:
        x, y, dense = arrays(mx, stype), arrays(mx, stype, OTHER), arrays(mx, "default", OTHER + 1)
        results += [x + y, x - y, x * y, x + dense, x * dense, dense * x, dense + x, x - 1, x * 2, 2 * x, x / 2, -x, abs(x)]
        results += [x == y, x != 0, x > 0, 1 - x, x**2, mx.nd.sparse.subtract(2, x), mx.nd.sparse.divide(2, x)]
        x += y
        x *= 2
        x -= y
        x /= 4
        results.append(x)
        target = mx.nd.zeros((4, 4), stype=stype)
        target[:] = dense
        results += [target, dense.copyto(mx.nd.zeros((4, 4), stype=stype)), y.copyto(mx.nd.ones((4, 4)))]
        mx.nd.elemwise_add(dense, dense, out=target)
        results += [target, mx.nd.clip(y, -1, 0.25), mx.nd.where(y, dense, dense * 2)]
    return results


def recorded(mx):
    """Gradients of imperative calls."""
    results = []
    data = arrays(mx, "csr")
    for stype, grad_stype in itertools.product(("default", "row_sparse"), STYPES[::2]):
        weight = mx.nd.array([[1.0, 2], [3, 4], [5, 6], [7, 8]]).tostype(stype)
        weight.attach_grad(stype=grad_stype)
        with mx.autograd.record():
            loss = mx.nd.sum(mx.nd.sparse.dot(data, weight) * mx.nd.array([[1.0, 2], [3, 4], [5, 6], [7, 8]]))
        loss.backward()
        results.append(weight.grad)
    weight = mx.nd.ones((4, 2))
    weight.attach_grad(stype="row_sparse")
    with mx.autograd.record():
        rows = mx.nd.sparse.Embedding(mx.nd.array([1, 3, 1]), weight, input_dim=4, output_dim=2, sparse_grad=True)
        loss = (rows * mx.nd.array([[1.0, 2], [3, 4], [5, 6]])).sum()
    loss.backward()
    results += [weight.grad, weight.grad.indices]
    return results


def bound(mx):
    """Outputs and gradients of graphs, and their storage types."""
    sparse, variable = mx.sym.sparse, mx.sym.Variable
    x, weight, ids = variable("x", stype="csr"), variable("w", stype="row_sparse"), variable("ids")
    table = variable("w")
    linear = sparse.dot(x, weight)
    squares = linear + sparse.dot(mx.sym.square(x), mx.sym.square(weight))
    looked_up = sparse.Embedding(ids, table, input_dim=4, output_dim=4, sparse_grad=True)
    cases = [(linear, "xw"), (squares, "xw"), (looked_up, ["ids", "w"]), (mx.sym.cast_storage(weight, "default"), "w"),
             (mx.sym._internal._square_sum(weight, axis=1, keepdims=True), "w"), (sparse.elemwise_add(weight, weight), "w"),
             (mx.sym.sum(looked_up) + mx.sym.sum(table), ["ids", "w"]), (sparse.relu(x), "x")]  # fmt: skip
    results = []
    for net, names in cases:
        requests = {name: "null" if name in ("ids", "x") and len(names) > 1 else "write" for name in names}
        shapes = {name: (3,) if name == "ids" else (4, 4) for name in names}
        executor = net.simple_bind(mx.cpu(), grad_req=requests, **shapes)
        for name in names:
            array = executor.arg_dict[name]
            if name == "ids":
                array[:] = mx.nd.array([2, 0, 2])
            else:
                array[:] = arrays(mx, array.stype, VALUES if name == "x" else OTHER + 1)
        executor.forward(is_train=True)
        executor.backward([mx.nd.ones(output.shape) for output in executor.outputs])
        results += [executor.outputs[0], *[grad for grad in executor.grad_arrays if grad is not None]]
    return results


def updates(mx):
    """Update operators with row_sparse gradients."""
    results = []
    gradient = mx.nd.sparse.row_sparse_array(([[0.5, -1, 2, 0], [4, 0.25, -0.5, 1]], [0, 2]), shape=(4, 4))
    cases = [("sgd_update", 0, {"wd": 0.5}), ("sgd_update", 0, {"wd": 0.5, "lazy_update": False}),
             ("sgd_mom_update", 1, {"momentum": 0.5, "wd": 0.5, "clip_gradient": 0.75}),
             ("adam_update", 2, {"wd": 0.5, "rescale_grad": 0.5}), ("ftrl_update", 2, {"wd": 0.5})]  # fmt: skip
    for name, count, options in cases:
        for stype in ("default", "row_sparse"):
            weight = mx.nd.array(OTHER + 1).tostype(stype)
            states = [mx.nd.ones((4, 4)).tostype(stype) for _ in range(count)]
            operator(mx, name)(weight, gradient, *states, out=weight, lr=0.25, **options)
            results += [weight, *states]
    for stype in ("default", "row_sparse"):
        weight, history = mx.nd.array(OTHER + 1).tostype(stype), mx.nd.ones((4, 4)).tostype(stype)
        mx.nd.sparse.adagrad_update(weight, gradient, history, out=weight, lr=0.25)
        results += [weight, history]
        weight, history = mx.nd.array(OTHER + 1).tostype(stype), mx.nd.ones((4, 1)).tostype(stype)
        mx.nd.contrib.group_adagrad_update(weight, gradient, history, out=weight, lr=0.25)
        results += [weight, history]
    return results


def optimizers(mx):
    """Three steps of optimizers, with sparse and dense weights."""
    results = []
    first, second = np.zeros((4, 2), np.float32), np.zeros((4, 2), np.float32)
    first[[0, 2]], second[[2, 3]] = [[1, -2], [0.5, 4]], [[-1, 2], [3, 0.25]]
    options = [("sgd", {"wd": 0.1}), ("sgd", {"wd": 0.1, "momentum": 0.9}), ("sgd", {"momentum": 0.9, "lazy_update": False}),
               ("adam", {"wd": 0.1}), ("adam", {"wd": 0.1, "lazy_update": False}), ("adagrad", {}), ("ftrl", {"wd": 0.1}),
               ("groupadagrad", {}), ("rmsprop", {"wd": 0.1}), ("nag", {"wd": 0.1}), ("nag", {"momentum": 0.9}),
               ("lbsgd", {"momentum": 0.9}), ("lars", {"wd": 0.1}), ("signum", {}), ("adamax", {})]  # fmt: skip
    for (name, given), stype in itertools.product(options, ("default", "row_sparse")):
        updater = mx.optimizer.get_updater(mx.optimizer.create(name, learning_rate=0.125, **given))
        weight = mx.nd.array([[1.0, 2], [3, 4], [5, 6], [7, 8]]).tostype(stype)
        for gradient in (first, second, np.zeros((4, 2))):
            updater(0, mx.nd.array(gradient).tostype("row_sparse"), weight)
        results.append(weight)
    return results


def stored(mx):
    """Values of a store, some rows of them, and pushed gradients."""
    store = mx.kv.create("local")
    values = mx.nd.array(VALUES + 1).tostype("row_sparse")
    store.init("w", values)
    out = mx.nd.zeros((4, 4), stype="row_sparse")
    store.row_sparse_pull("w", out=out, row_ids=mx.nd.array([2, 0, 2]))
    results = [out, out.indices]
    others = [mx.nd.zeros((4, 4), stype="row_sparse") for _ in range(2)]
    store.row_sparse_pull("w", out=others, row_ids=[mx.nd.array([1]), mx.nd.array([3, 3])])
    results += [others[0], others[1], others[1].indices]
    store.push("w", [arrays(mx, "row_sparse"), arrays(mx, "row_sparse", OTHER)])
    dense = mx.nd.zeros((4, 4))
    store.pull("w", out=dense)
    store.pull("w", out=out)
    results += [dense, out]
    store.init("v", values)
    store.set_optimizer(mx.optimizer.SGD(learning_rate=0.5, wd=0.5))
    store.push("v", arrays(mx, "row_sparse", OTHER))
    store.row_sparse_pull("v", out=out, row_ids=mx.nd.arange(4))
    return [*results, out]


def modules(mx):
    """Weights of a module on csr batches, whose store runs the optimizer on row_sparse weights."""
    x, weight = mx.sym.Variable("data", stype="csr"), mx.sym.Variable("weight", stype="row_sparse", shape=(4, 2))
    net = mx.sym.LinearRegressionOutput(mx.sym.sparse.dot(x, weight), mx.sym.Variable("label"))
    labels = mx.nd.array([[1.0, 2], [3, 4], [5, 6], [7, 8]])
    results = []
    for store in ("local", mx.kv.create("local")):
        iterator = mx.io.NDArrayIter(arrays(mx, "csr"), labels, 2, label_name="label", last_batch_handle="discard")
        module = mx.mod.Module(net, label_names=["label"])
        module.bind(iterator.provide_data, iterator.provide_label)
        module.init_params(mx.init.One())
        module.init_optimizer(store, "sgd", (("learning_rate", 0.5), ("momentum", 0.5), ("wd", 0.0)))
        for batch in iterator:
            if not isinstance(store, str):
                module.prepare(batch, sparse_row_id_fn=lambda one: {"weight": mx.nd.arange(4)})
            module.forward_backward(batch)
            module.update()
            results += [batch.data[0], module.get_outputs()[0]]
        results.append(module.get_params()[0]["weight"])
    return results


CASES = {"made": made, "structures": structures, "parts": parts, "reduced": reduced, "broadcast": broadcast, "dots": dots,
         "arithmetic": arithmetic, "recorded": recorded, "bound": bound, "updates": updates, "optimizers": optimizers,
         "stored": stored, "modules": modules}  # fmt: skip
CASES.update({"unary " + name: unary(name) for name in UNARY})
CASES.update({"scalar " + name: scalar(name) for name in SCALAR})
CASES.update({"binary " + name: binary(name) for name in BINARY})
