"""Peak resident memory of training, and what mirroring saves.

    python -m tests.benchmarks.memory [--steps N] [--allocator keep|system] [--only TEXT] [--executor]

Each measurement is a fresh process that trains a few steps with momentum: a Module of mxcompat, the same with
``MXNET_BACKWARD_DO_MIRROR=1``, and the net by hand in PyTorch, all with the same setting of glibc's allocator. ``system`` is
exact (each large block goes back at once), ``keep`` is the default of mxcompat. Printed are the peak of the process and, in
brackets, what it is above the process before the net was made. ``--executor`` trains a bare executor instead of a Module.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from typing import Any

from tests.benchmarks.networks import NETWORKS, batch

SIDES = ("mxcompat", "mirrored", "torch")


def resident(key: str) -> float:
    """A line of the process's status, in MB."""
    with open("/proc/self/status", encoding="utf-8") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith(key))


def train_module(name: str, steps: int) -> float:
    """Train with a Module; what was resident before, in MB."""
    import mxcompat as mx

    mx.nd.zeros((1,)), mx.sym, mx.mod.Module
    before = resident("VmRSS")
    shape, label_shape = NETWORKS[name][2:4]
    module = mx.mod.Module(NETWORKS[name][0](mx))
    module.bind([("data", shape)], [("softmax_label", label_shape)])
    module.init_params(mx.init.Xavier())
    module.init_optimizer(optimizer_params={"learning_rate": 0.01, "momentum": 0.9})
    one_batch = mx.io.DataBatch(*[[mx.nd.array(x)] for x in batch(name)])
    for _ in range(steps):
        module.forward_backward(one_batch)
        module.update()
    return before


def train_executor(name: str, steps: int) -> float:
    """Train an executor with an updater; what was resident before, in MB."""
    import mxcompat as mx

    mx.nd.zeros((1,)), mx.sym, mx.mod.Module
    before = resident("VmRSS")
    shape, label_shape = NETWORKS[name][2:4]
    net = NETWORKS[name][0](mx)
    inputs = {"data": shape, "softmax_label": label_shape}
    wanted = {key: "null" if key in inputs else "write" for key in net.list_arguments()}
    executor = net.simple_bind(mx.cpu(), grad_req=wanted, **inputs)
    initialize, attributes = mx.init.Xavier(), net.attr_dict()
    for key, array in (*executor.arg_dict.items(), *executor.aux_dict.items()):
        if key not in inputs:
            initialize(mx.init.InitDesc(key, attributes.get(key)), array)
    update = mx.optimizer.get_updater(mx.optimizer.create("sgd", learning_rate=0.01, momentum=0.9))
    data, label = (mx.nd.array(x) for x in batch(name))
    for _ in range(steps):
        executor.forward(is_train=True, data=data, softmax_label=label)
        executor.backward()
        for index, (array, gradient) in enumerate(zip(executor.arg_arrays, executor.grad_arrays)):
            if gradient is not None:
                update(index, gradient, array)
    return before


def train_by_hand(name: str, steps: int) -> float:
    """Train with PyTorch alone; what was resident before, in MB."""
    import torch

    if os.environ["MXCOMPAT_ALLOCATOR"] == "keep":
        from mxcompat import allocator

        allocator.keep_memory()
    before = resident("VmRSS")
    net = NETWORKS[name][1](torch)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    data, label = (torch.from_numpy(x) for x in batch(name))
    for _ in range(steps):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(data), label.long().reshape(-1)).backward()
        optimizer.step()
    return before


def measure(side: str, name: str, options: argparse.Namespace) -> tuple[float, float]:
    """(peak, peak above the start) in MB of a fresh process."""
    settings = {"MXCOMPAT_COMPILE": "never", "MXCOMPAT_ALLOCATOR": options.allocator}
    settings["MXNET_BACKWARD_DO_MIRROR"] = "1" if side == "mirrored" else "0"
    if options.allocator == "system":
        settings["MALLOC_MMAP_THRESHOLD_"] = "65536"
    command = [sys.executable, "-m", __spec__.name, "--side", side, "--only", name, "--steps", str(options.steps)]
    command += ["--executor"] * options.executor
    found = subprocess.run(command, env={**os.environ, **settings}, check=True, stdout=subprocess.PIPE, text=True)
    peak, above = found.stdout.split()[-2:]
    return float(peak), float(above)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.memory", description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--allocator", choices=("keep", "system"), default="system")
    parser.add_argument("--only", default="", help="networks whose name contains this")
    parser.add_argument("--executor", action="store_true", help="train without a Module")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)  # one measurement, in this process
    options = parser.parse_args()
    if options.side:
        own: Any = train_executor if options.executor else train_module
        run: Any = train_by_hand if options.side == "torch" else own
        before = run(options.only, options.steps)
        print(resident("VmHWM"), resident("VmHWM") - before)
        return
    print("| training | mxcompat | mirrored | PyTorch by hand | mxcompat / PyTorch | mirrored / mxcompat |")
    print("|---|---|---|---|---|---|")
    for name in ("ResNet-50", "unrolled LSTM"):
        if options.only in name:
            found = [measure(side, name, options) for side in SIDES]
            shown = " | ".join(f"{peak:.0f} MB ({above:.0f})" for peak, above in found)
            whole, mirrored, hand = (peak for peak, _ in found)
            print(f"| {name} | {shown} | {whole / hand:.2f} | {mirrored / whole:.2f} |", flush=True)


if __name__ == "__main__":
    main()
