"""Record what real MXNet makes of sparse arrays: ``python tests/golden/record_sparse.py``, the oracle's interpreter.

The results of ``tests/ndarray/sparse_cases.py`` go to ``tests/golden/sparse.json``, one line a case.
"""

from __future__ import annotations

import json
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def main() -> None:
    sys.path[0] = ROOT
    os.environ.update(OMP_NUM_THREADS="1", MXNET_STORAGE_FALLBACK_LOG_VERBOSE="0")
    import mxnet as mx

    from tests.ndarray.sparse_cases import CASES, described

    lines = [f"{json.dumps(name)}: {json.dumps(described(case(mx)))}" for name, case in CASES.items()]
    with open(os.path.join(ROOT, "tests", "golden", "sparse.json"), "w", encoding="utf-8") as file:
        file.write("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
