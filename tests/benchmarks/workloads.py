"""The workloads, one a name, written against MXNet's API; run as a script they print seconds a call.

    python tests/benchmarks/workloads.py (mxcompat | mxnet | torch) NAME

Runs on Python 3.8 and real MXNet too. ``torch`` is the same work written by hand, where there is one.
"""

import os
import statistics
import subprocess
import sys
import time

import numpy as np


def timed(call, repeat, number):
    """The median over ``repeat`` rounds of the seconds one call takes, after one round of warm-up."""
    for _ in range(max(1, number // 10)):
        call()
    rounds = []
    for _ in range(repeat):
        start = time.perf_counter()
        for _ in range(number):
            call()
        rounds.append((time.perf_counter() - start) / number)
    return statistics.median(rounds)


def mlp(mx):
    net = mx.sym.Variable("data")
    for i, width in enumerate((128, 64)):
        net = mx.sym.Activation(mx.sym.FullyConnected(net, num_hidden=width, name=f"fc{i}"), act_type="relu")
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(net, num_hidden=10, name="out"), name="softmax")


def resnet50(mx):
    """A 50-layer residual network for 224 x 224 images, three-layer blocks."""

    def conv(net, filters, kernel, stride, name):
        pad = (kernel // 2, kernel // 2)
        net = mx.sym.Convolution(
            net, num_filter=filters, kernel=(kernel, kernel), stride=(stride, stride), pad=pad, no_bias=True, name=name
        )
        return mx.sym.BatchNorm(net, fix_gamma=False, name=name + "_bn")

    def relu(net):
        return mx.sym.Activation(net, act_type="relu")

    net = relu(conv(mx.sym.Variable("data"), 64, 7, 2, "stem"))
    net = mx.sym.Pooling(net, kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type="max")
    for stage, (blocks, width) in enumerate(((3, 64), (4, 128), (6, 256), (3, 512))):
        for block in range(blocks):
            name = f"s{stage}b{block}"
            stride = 2 if stage and not block else 1
            shortcut = conv(net, 4 * width, 1, stride, name + "_sc") if not block else net
            branch = relu(conv(net, width, 1, 1, name + "_a"))
            branch = relu(conv(branch, width, 3, stride, name + "_b"))
            net = relu(conv(branch, 4 * width, 1, 1, name + "_c") + shortcut)
    net = mx.sym.Flatten(mx.sym.Pooling(net, global_pool=True, pool_type="avg", kernel=(7, 7)))
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(net, num_hidden=1000, name="fc"), name="softmax")


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
    start = time.perf_counter()
    ex = net.simple_bind(mx.cpu(), data=(64, 784))
    ex.forward(is_train=True)
    ex.backward()
    ex.grad_arrays[1].asnumpy()
    return time.perf_counter() - start


def train_mlp(mx):
    """One step of a Module: forward, backward, update."""
    module = mx.mod.Module(mlp(mx))
    module.bind([("data", (64, 784))], [("softmax_label", (64,))])
    module.init_params(mx.init.Xavier())
    module.init_optimizer(optimizer_params={"learning_rate": 0.1, "momentum": 0.9})
    rng = np.random.RandomState(0)
    data, label = mx.nd.array(rng.rand(64, 784)), mx.nd.array(rng.randint(0, 10, 64))
    batch = mx.io.DataBatch([data], [label])

    def step():
        module.forward_backward(batch)
        module.update()

    def steps():
        for _ in range(20):
            step()
        mx.nd.waitall()

    return timed(steps, 7, 2) / 20


def train_mlp_torch(torch):
    layers = [
        torch.nn.Linear(784, 128),
        torch.nn.ReLU(),
        torch.nn.Linear(128, 64),
        torch.nn.ReLU(),
        torch.nn.Linear(64, 10),
    ]
    net = torch.nn.Sequential(*layers)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    data, label = torch.rand(64, 784), torch.randint(0, 10, (64,))

    def step():
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(data), label).backward()
        optimizer.step()

    return timed(step, 7, 40)


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


#: name -> (workload on MXNet's API, the same by hand in PyTorch or None)
WORKLOADS = {
    "a + b, 4x4": (add, add_torch),
    "slice": (row_slice, None),
    "FullyConnected": (fully_connected, None),
    "bind MLP": (bind_mlp, None),
    "bind ResNet-50": (bind_resnet50, None),
    "first step MLP": (first_step_mlp, None),
    "train step MLP": (train_mlp, train_mlp_torch),
    "import": (import_time, import_time_torch),
}


def main():
    side, name = sys.argv[1:3]
    workload, by_hand = WORKLOADS[name]
    if side == "torch":
        import torch

        print(by_hand(torch))
    elif side == "mxnet":
        import mxnet

        print(workload(mxnet))
    else:
        import mxcompat

        print(workload(mxcompat))


if __name__ == "__main__":
    main()
