"""Record the runs of ``tests/optimizer/cases.py`` with real MXNet: ``python tests/golden/record_optimizer.py``.

Run it with the oracle's interpreter; the results go to ``tests/golden/optimizer.npz``, with states files of real MXNet.
"""

from __future__ import annotations

import os
import sys
import warnings

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
if __name__ == "__main__":
    sys.path[0] = ROOT
    os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np  # noqa: E402

from tests import golden_store  # noqa: E402
from tests.optimizer import cases, saved  # noqa: E402

GOLDEN = os.path.join(ROOT, "tests", "golden", "optimizer.npz")


def main() -> None:
    import mxnet as mx

    results = {name: golden_store.Result(*cases.run(mx, name)) for name in cases.CASES}
    for name in saved.CASES:
        content = np.frombuffer(saved.write(mx, name), np.uint8)
        results["saved-" + name] = golden_store.Result({}, {"bytes": content, **saved.go_on(mx, content.tobytes(), name)})
    golden_store.save(GOLDEN, results)
    print(f"{len(results)} cases, {os.path.getsize(GOLDEN)} bytes")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
