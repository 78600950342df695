"""Record what modules do with real MXNet: ``python tests/golden/record_module.py [case ...]``, the oracle's interpreter.

The results go to ``tests/golden/module/cases.npz``; with names only those cases are recorded again.
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
from tests.module import cases, looking, loop_cases, training  # noqa: E402, F401

GOLDEN = os.path.join(ROOT, "tests", "golden", "module", "cases.npz")
ALL = dict(looking.CASES, **training.CASES)


def main(names: list[str]) -> None:
    import mxnet as mx

    results = {name: result for name, result in golden_store.load(GOLDEN).items() if name in ALL}
    for name in names or list(ALL):
        facts, arrays = ALL[name](mx)
        results[name] = golden_store.Result(json.loads(json.dumps(facts)), arrays)
    golden_store.save(GOLDEN, results)
    print("%d cases, %d bytes" % (len(results), os.path.getsize(GOLDEN)))  # noqa: UP031


if __name__ == "__main__":
    main(sys.argv[1:])
