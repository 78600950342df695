"""Record what the tools answer with real MXNet: ``python tests/golden/record_tools.py``, the oracle's interpreter.

The results of the cases of ``tests/tools`` go to ``tests/golden/tools.json``, one line a case.
"""

from __future__ import annotations

import importlib
import json
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TABLES = ("visualization",)


def main() -> None:
    sys.path[0] = ROOT
    os.environ["OMP_NUM_THREADS"] = "1"
    import mxnet as mx

    lines = []
    for table in TABLES:
        for name, case in importlib.import_module(f"tests.tools.{table}_cases").CASES.items():
            lines.append(f"{json.dumps(f'{table}: {name}')}: {json.dumps(case(mx))}")
    with open(os.path.join(ROOT, "tests", "golden", "tools.json"), "w", encoding="utf-8") as file:
        file.write("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
