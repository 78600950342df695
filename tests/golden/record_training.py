"""Record what the training parts answer with real MXNet: ``python tests/golden/record_training.py``, the oracle's interpreter.

The results of ``tests/training`` go to ``tests/golden/training.json``, one line a case.
"""

from __future__ import annotations

import json
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def main() -> None:
    sys.path[0] = ROOT
    os.environ["OMP_NUM_THREADS"] = "1"
    import mxnet as mx

    from tests.training import (
        callback_cases,
        initializer_cases,
        kvstore_cases,
        lr_scheduler_cases,
        metric_cases,
        monitor_cases,
    )
    from tests.training.observing import GOLDEN

    lines = []
    modules = (callback_cases, initializer_cases, kvstore_cases, lr_scheduler_cases, metric_cases, monitor_cases)
    for module in modules:
        table = module.__name__.rpartition(".")[2].replace("_cases", "")
        for name, case in module.CASES.items():
            lines.append("%s: %s" % (json.dumps("%s: %s" % (table, name)), json.dumps(case(mx))))  # noqa: UP031
    with open(GOLDEN, "w", encoding="utf-8") as file:
        file.write("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
