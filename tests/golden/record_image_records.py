"""Record what iterators over image records give with real MXNet: ``python tests/golden/record_image_records.py``, the
oracle's interpreter. The results of ``tests/io/record_cases.py`` go to ``tests/golden/image_records.npz``.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
if __name__ == "__main__":
    sys.path[0] = ROOT
    os.environ.update(OMP_NUM_THREADS="1", MXNET_SUBGRAPH_VERBOSE="0")

from tests import golden_store  # noqa: E402
from tests.io import record_cases  # noqa: E402

GOLDEN = os.path.join(ROOT, "tests", "golden", "image_records.npz")


def main() -> None:
    import mxnet as mx

    results = {}
    with tempfile.TemporaryDirectory() as folder:
        record_cases.files(mx, folder)
        for name in record_cases.CASES:
            facts, arrays = record_cases.run(mx, folder, name)
            results[name] = golden_store.Result(json.loads(json.dumps(facts)), arrays)
    golden_store.save(GOLDEN, results)
    print("%d cases, %d bytes" % (len(results), os.path.getsize(GOLDEN)))  # noqa: UP031


if __name__ == "__main__":
    main()
