"""Record training programs with real MXNet: ``python tests/golden/record_scenarios.py [name ...]``, the oracle's python.

The parameters at the start, the losses and what else ``tests/training/scenarios.py`` found go to
``tests/golden/training/<name>.npz``.
"""

from __future__ import annotations

import os
import sys

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
if __name__ == "__main__":
    sys.path[0] = ROOT
    os.environ.update(OMP_NUM_THREADS="1", MXNET_SUBGRAPH_VERBOSE="0")

from tests.training.scenarios import SCENARIOS, STEPS  # noqa: E402


def path(name: str) -> str:
    return os.path.join(ROOT, "tests", "golden", "training", name + ".npz")


def main(names: list[str]) -> None:
    import mxnet as mx

    os.makedirs(os.path.dirname(path("")), exist_ok=True)
    for name in names or list(SCENARIOS):
        start, found = SCENARIOS[name](mx, None)
        if len(found["losses"]) != STEPS:
            raise ValueError("%s made %d steps" % (name, len(found["losses"])))  # noqa: UP031
        arrays = {"start/" + key: value for key, value in start.items()}
        arrays.update(("found/" + key, value) for key, value in found.items())
        np.savez_compressed(path(name), **{key.replace("/", "|"): value for key, value in arrays.items()})
        print(name, os.path.getsize(path(name)), found["losses"][[0, 1, -1]].round(4))


if __name__ == "__main__":
    main(sys.argv[1:])
