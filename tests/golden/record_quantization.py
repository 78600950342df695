"""Record what real MXNet quantizes: ``python tests/golden/record_quantization.py``, with the oracle's interpreter.

The results of ``tests/contrib/quantization_cases.py`` go to ``tests/golden/quantization.json``, one line a case.
"""

from __future__ import annotations

import json
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def main() -> None:
    sys.path[0] = ROOT
    # fused layers have other names, and calibration would miss those that they swallow
    os.environ.update(OMP_NUM_THREADS="1", MXNET_SUBGRAPH_BACKEND="NONE")
    import mxnet as mx
    import mxnet.contrib.quantization  # noqa: F401

    from tests.contrib.quantization_cases import CASES

    lines = [f"{json.dumps(name)}: {json.dumps(case(mx))}" for name, case in CASES.items()]
    with open(os.path.join(ROOT, "tests", "golden", "quantization.json"), "w", encoding="utf-8") as file:
        file.write("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
