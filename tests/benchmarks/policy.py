"""What the compile policy costs: the time of a whole training, in ``auto`` against ``never`` and ``always``.

    python -m tests.benchmarks.policy [--steps 10,100,1000,10000] [--only TEXT] [--rounds N] [--threads N]

Each measurement is a fresh process with an empty cache of the compiler; timed is everything from the bind of a Module to
the end of the last step. The last column is ``auto`` over the better of the others; the aim is 1.25 at most.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

from tests.benchmarks.networks import NETWORKS, batch

POLICIES = ("auto", "never", "always")
NETS = ("LeNet", "unrolled LSTM", "fused LSTM")


def train(name: str, steps: int) -> float:
    """Seconds from bind to the end of the last step."""
    import mxcompat as mx

    net = NETWORKS[name][0](mx)
    one_batch = mx.io.DataBatch(*[[mx.nd.array(x)] for x in batch(name)])
    shape, label_shape = NETWORKS[name][2:4]
    start = time.perf_counter()
    module = mx.mod.Module(net)
    module.bind([("data", shape)], [("softmax_label", label_shape)])
    module.init_params(mx.init.Xavier())
    module.init_optimizer(optimizer_params={"learning_rate": 0.01, "momentum": 0.9})
    for _ in range(steps):
        module.forward_backward(one_batch)
        module.update()
    mx.nd.waitall()
    return time.perf_counter() - start


def measure(policy: str, name: str, steps: int, threads: int) -> float:
    """Seconds of one training in a process of its own, nothing compiled before."""
    with tempfile.TemporaryDirectory(prefix="mxcompat-policy-") as cache:
        settings = {"MXCOMPAT_COMPILE": policy, "OMP_NUM_THREADS": str(threads), "TORCHINDUCTOR_CACHE_DIR": cache}
        environment = {**os.environ, **settings}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        command = [sys.executable, "-m", "tests.benchmarks.policy", "--run", name, "--steps", str(steps)]
        found = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return float(found.stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.policy", description=__doc__.split("\n")[0])
    parser.add_argument("--steps", default="10,100,1000,10000", help="counts, by comma")
    parser.add_argument("--only", default="", help="networks whose name contains this")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--run", choices=NETS, help=argparse.SUPPRESS)  # one measurement, in this process
    options = parser.parse_args()
    counts = [int(count) for count in options.steps.split(",")]
    if options.run:
        print(train(options.run, counts[0]))
        return
    print("| training | steps | auto | never | always | auto / better |")
    print("|---|---|---|---|---|---|")
    for name in (name for name in NETS if options.only in name):
        for steps in counts:
            rounds = [
                [measure(policy, name, steps, options.threads) for policy in POLICIES] for _ in range(options.rounds)
            ]
            auto, never, always = (statistics.median(column) for column in zip(*rounds))
            ratio = statistics.median(row[0] / min(row[1:]) for row in rounds)
            print(f"| {name} | {steps} | {auto:.2f} s | {never:.2f} s | {always:.2f} s | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
