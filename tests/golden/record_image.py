"""Record what ``mx.image`` does with real MXNet: ``python tests/golden/record_image.py``, the oracle's interpreter.

The results of ``tests/image/cases.py`` go to ``tests/golden/image.npz``.
"""

from __future__ import annotations

import json
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
if __name__ == "__main__":
    sys.path[0] = ROOT
    os.environ.update(OMP_NUM_THREADS="1", MXNET_SUBGRAPH_VERBOSE="0")

from tests import golden_store  # noqa: E402
from tests.image import cases  # noqa: E402

GOLDEN = os.path.join(ROOT, "tests", "golden", "image.npz")


def main() -> None:
    import mxnet as mx

    results = {}
    for name, case in cases.CASES.items():
        facts, arrays = case(mx)
        results[name] = golden_store.Result(json.loads(json.dumps(facts)), arrays)
    golden_store.save(GOLDEN, results)
    print("%d cases, %d bytes" % (len(results), os.path.getsize(GOLDEN)))  # noqa: UP031


if __name__ == "__main__":
    main()
