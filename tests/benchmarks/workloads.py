"""The workloads, one a name, written against MXNet's API; run as a script they print MiB after the import, the most MiB,
and seconds a call.

    python tests/benchmarks/workloads.py (mxcompat | mxnet | torch) NAME

Runs on Python 3.8 and real MXNet too. ``torch`` is the same work written by hand, where there is one.
"""

import functools
import os
import resource
import statistics
import subprocess
import sys
import time

import numpy as np

from tests.benchmarks import sparse
from tests.benchmarks.networks import NETWORKS, batch, mlp, resnet50, unrolled_lstm
from tests.benchmarks.reading import READING

#: the clock: processor time of all threads (BENCHMARK_CLOCK=cpu) does not see what else the machine does
clock = time.process_time if os.environ.get("BENCHMARK_CLOCK") == "cpu" else time.perf_counter


#: seconds before the measurement begins; the compile policy has decided by then if this is long enough
WARM_UP = float(os.environ.get("BENCHMARK_WARM_UP", "3"))


def timed(call, repeat, number):
    """The median over ``repeat`` rounds of the seconds one call takes, after one round of warm-up."""
    for _ in range(max(1, number // 10)):
        call()
    rounds = []
    for _ in range(repeat):
        start = clock()
        for _ in range(number):
            call()
        rounds.append((clock() - start) / number)
    return statistics.median(rounds)


def steady(step, wait=lambda: None):
    """Seconds of one step once it has settled: at least 3 s of warm-up, then the median of 7 rounds of 0.5 s or more."""
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < WARM_UP or count < 10:
        step()
        wait()
        count += 1
    number = max(1, int(0.5 / ((time.perf_counter() - start) / count)))

    def several():
        for _ in range(number):
            step()
        wait()

    return timed(several, 7, 1) / number


def settle_allocator():
    """The setting of glibc's allocator that mxcompat makes at import, for the other side."""
    from mxcompat import allocator

    allocator.keep_memory()


def add(mx):
    a, b = mx.nd.ones((4, 4)), mx.nd.ones((4, 4))
    result = timed(lambda: a + b, 7, 5000)
    mx.nd.waitall()
    return result


def add_torch(torch):
    a, b = torch.ones(4, 4), torch.ones(4, 4)
    return timed(lambda: a + b, 7, 5000)


def row_slice(mx):
    a = mx.nd.ones((4, 4))
    return timed(lambda: a[1:3], 7, 5000)


def fully_connected(mx):
    x, w, b = mx.nd.ones((4, 4)), mx.nd.ones((8, 4)), mx.nd.ones((8,))
    result = timed(lambda: mx.nd.FullyConnected(x, w, b, num_hidden=8), 7, 2000)
    mx.nd.waitall()
    return result


def bind_mlp(mx):
    net = mlp(mx)
    return timed(lambda: net.simple_bind(mx.cpu(), data=(64, 784)), 5, 20)


def bind_resnet50(mx):
    net = resnet50(mx)
    return timed(lambda: net.simple_bind(mx.cpu(), data=(4, 3, 224, 224)), 5, 2)


def first_step_mlp(mx):
    """From the symbol to the end of the first training step, binding included."""
    net = mlp(mx)
    start = clock()
    ex = net.simple_bind(mx.cpu(), data=(64, 784))
    ex.forward(is_train=True)
    ex.backward()
    ex.grad_arrays[1].asnumpy()
    return clock() - start


def _module(mx, name, for_training):
    shape, label_shape = NETWORKS[name][2:4]
    module = mx.mod.Module(NETWORKS[name][0](mx))
    module.bind([("data", shape)], [("softmax_label", label_shape)], for_training=for_training)
    module.init_params(mx.init.Xavier())
    return module, mx.io.DataBatch(*[[mx.nd.array(x)] for x in batch(name)])


def train(mx, name):
    """One step of a Module: forward, backward, update with momentum."""
    module, one_batch = _module(mx, name, True)
    module.init_optimizer(optimizer_params={"learning_rate": 0.01, "momentum": 0.9})

    def step():
        module.forward_backward(one_batch)
        module.update()

    return steady(step, mx.nd.waitall)


def infer(mx, name):
    """One forward of a Module bound for inference."""
    module, one_batch = _module(mx, name, False)
    return steady(lambda: module.forward(one_batch, is_train=False), mx.nd.waitall)


BUCKETS = (5, 10, 15, 20)


def buckets(mx):
    """One step of a BucketingModule whose batches come in four lengths, in turn: an unrolled LSTM."""

    def generate(length):
        return unrolled_lstm(mx, length), ("data",), ("softmax_label",)

    def one(length):
        data, label = (mx.nd.array(x[:, :length]) for x in batch("unrolled LSTM"))
        shapes = [("data", data.shape)], [("softmax_label", label.shape)]
        return mx.io.DataBatch([data], [label], bucket_key=length, provide_data=shapes[0], provide_label=shapes[1])

    batches = [one(length) for length in BUCKETS]
    module = mx.mod.BucketingModule(generate, default_bucket_key=max(BUCKETS))
    module.bind(batches[-1].provide_data, batches[-1].provide_label)
    module.init_params(mx.init.Xavier())
    module.init_optimizer(optimizer_params={"learning_rate": 0.01, "momentum": 0.9})

    def steps():
        for one_batch in batches:
            module.forward_backward(one_batch)
            module.update()

    return steady(steps, mx.nd.waitall) / len(BUCKETS)


def _fit(mx, **options):
    data, label = (np.concatenate([x] * 50) for x in batch("MLP"))
    module = mx.mod.Module(mlp(mx))
    module.fit(mx.io.NDArrayIter(data, label, 64), optimizer_params={"learning_rate": 0.01, "momentum": 0.9}, **options)
    mx.nd.waitall()


def fit_small(mx):
    """A whole small job, from the symbol to the end of ``fit``: 3 epochs of 50 batches, Speedometer included."""
    mx.mod, mx.nd.waitall()  # imported
    start = clock()
    _fit(mx, num_epoch=3, batch_end_callback=mx.callback.Speedometer(64, 20))
    return clock() - start


def fit_batch(mx):
    """One batch in the middle of ``fit``: iterator, step, metric, callbacks."""
    times = []
    _fit(mx, num_epoch=61, epoch_end_callback=lambda *state: times.append((mx.nd.waitall(), clock())[1]))
    return statistics.median(after - before for before, after in zip(times[20:], times[21:])) / 50


def _by_hand(torch, name, compiled):
    net = NETWORKS[name][1](torch)
    data, label = (torch.from_numpy(x) for x in batch(name))
    return (torch.compile(net) if compiled else net), net, data, label.long().reshape(-1)


def train_torch(torch, name, compiled):
    run, net, data, label = _by_hand(torch, name, compiled)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)

    def step():
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(run(data), label).backward()
        optimizer.step()

    return steady(step)


def infer_torch(torch, name, compiled):
    run, net, data, _ = _by_hand(torch, name, compiled)
    net.eval()
    with torch.no_grad():
        return steady(lambda: torch.softmax(run(data), -1))


def embedding(mx, optimizer, sparse_grad):
    return steady(sparse.embedding_step(mx, optimizer, sparse_grad), mx.nd.waitall)


def embedding_torch(torch, optimizer, compiled):
    return steady(sparse.embedding_step_torch(torch, optimizer))


def linear(mx):
    return steady(sparse.linear_step(mx), mx.nd.waitall)


def import_time(mx):
    """Importing and touching nd, sym and mod, in a fresh process."""
    return _import_seconds(f"import {mx.__name__} as mx; mx.nd; mx.sym; mx.mod")


def import_time_torch(torch):
    return _import_seconds("import torch")


def _import_seconds(code):
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    rounds = []
    for _ in range(6):  # the first run compiles the sources
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, env=environment)
        rounds.append(time.perf_counter() - start)
    return statistics.median(rounds[1:])


#: name -> (workload on MXNet's API, the same by hand in PyTorch or None); the latter is told whether to compile
WORKLOADS = {
    "a + b, 4x4": (add, add_torch),
    "slice": (row_slice, None),
    "FullyConnected": (fully_connected, None),
    "bind MLP": (bind_mlp, None),
    "bind ResNet-50": (bind_resnet50, None),
    "first step MLP": (first_step_mlp, None),
    "import": (import_time, import_time_torch),
}
for _name in ("sgd", "adam"):
    _by_hand_too = functools.partial(embedding_torch, optimizer=_name)
    for _kind, _sparse in (("row_sparse", True), ("dense", False)):
        WORKLOADS[f"embedding 1M x 64, 1,000 rows a step, {_name}, {_kind} gradient"] = (
            functools.partial(embedding, optimizer=_name, sparse_grad=_sparse),
            _by_hand_too,
        )
WORKLOADS["fit MLP, 3 epochs of 50 batches"] = (fit_small, None)
WORKLOADS["a batch within fit, MLP"] = (fit_batch, None)
WORKLOADS["train unrolled LSTM in four buckets"] = (buckets, None)
WORKLOADS["linear regression on csr, 1,000 x 1M"] = (linear, None)
WORKLOADS.update((name, (workload, None)) for name, workload in READING.items())
for _name in NETWORKS:
    WORKLOADS[f"train {_name}"] = (functools.partial(train, name=_name), functools.partial(train_torch, name=_name))
    WORKLOADS[f"infer {_name}"] = (functools.partial(infer, name=_name), functools.partial(infer_torch, name=_name))


def peak():
    """The most memory that this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main():
    side, name = sys.argv[1:3]
    workload, by_hand = WORKLOADS[name]
    if side.startswith("torch"):
        import torch as library

        settle_allocator()
        call = by_hand
        if isinstance(by_hand, functools.partial):
            call = functools.partial(by_hand, compiled=side == "torch-compiled")
    elif side == "mxnet":
        import mxnet as library

        call = workload
    else:
        import mxcompat as library

        call = workload
        library.nd  # noqa: B018  torch is imported at the first use
    imported = peak()
    seconds = call(library)
    print(imported, peak(), seconds)


if __name__ == "__main__":
    main()
