"""Record the example networks with real MXNet: ``python tests/record_nets.py [--check]`` with the oracle's interpreter.

The results go to ``tests/golden/nets.npz``; ``--check`` writes nothing and says where the oracle disagrees with them.
"""

from __future__ import annotations

import argparse
import os
import sys

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if __name__ == "__main__":
    sys.path[0] = ROOT
    # the match range keeps MXNet from reusing activations' memory, which would spoil the second backward
    os.environ.update(OMP_NUM_THREADS="1", MXNET_SUBGRAPH_VERBOSE="0", NNVM_EXEC_MATCH_RANGE="0")

from tests import golden_store, nets  # noqa: E402

GOLDEN = os.path.join(ROOT, "tests", "golden", "nets.npz")


def disagreements(net: nets.Net, expected: golden_store.Result, found: golden_store.Result) -> list[str]:
    """Where a run differs from the record, one line each."""
    facts = [(key, expected.facts[key], value) for key, value in found.facts.items()]
    problems = [f"{key}: expected {wanted}, found {value}" for key, wanted, value in facts if wanted != value]
    return problems + array_disagreements(expected.arrays, found.arrays, net.tolerance)


def array_disagreements(expected: dict[str, np.ndarray], found: dict[str, np.ndarray], tolerance: float) -> list[str]:
    """The arrays whose relative error exceeds ``tolerance``, one line each."""
    if sorted(expected) != sorted(found):
        return [f"arrays: expected {sorted(expected)}, found {sorted(found)}"]
    problems = []
    for key, array in expected.items():
        other = found[key]
        if (array.shape, array.dtype) != (other.shape, other.dtype):
            problems.append(f"{key}: expected {array.shape} {array.dtype}, found {other.shape} {other.dtype}")
        else:
            error = nets.relative_error(array, other)
            if not error <= tolerance:
                problems.append(f"{key} {array.shape}: relative error {error:.3g}, allowed {tolerance:g}")
    return problems


def main() -> int:
    parser = argparse.ArgumentParser(description="Record the example networks with real MXNet.")
    parser.add_argument("--check", action="store_true", help="write nothing, compare the record with the oracle")
    options = parser.parse_args()
    import mxnet as mx

    found = {name: nets.observe(mx, net) for name, net in nets.NETS.items()}
    if not options.check:
        golden_store.save(GOLDEN, found)
        print(f"{len(found)} networks, {os.path.getsize(GOLDEN)} bytes")
        return 0
    recorded = golden_store.load(GOLDEN)
    lines = []
    for name, net in nets.NETS.items():
        lines += [f"{name}: {line}" for line in disagreements(net, recorded[name], found[name])]
    print("\n".join([f"{len(found)} networks, {len(lines)} differences", *lines]))
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
