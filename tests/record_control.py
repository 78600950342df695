"""Record the control-flow cases with real MXNet: ``python tests/record_control.py`` (its interpreter)."""

import os
import sys

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from tests.control_cases import CASES, run

if __name__ == "__main__":
    import mxnet

    results = {}
    for case in CASES:
        for seed in (0, 1):
            found = run(mxnet, case, seed)
            results.update({f"{case}/{seed}/{key}": value for key, value in found.items()})
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden", "control.npz")
    np.savez_compressed(path, **results)
