"""What the training parts answer, as JSON values: run by real MXNet to record and by mxcompat to compare (Python 3.8).

Every function of a ``CASES`` table takes the package.
"""

from __future__ import annotations

import io
import json
import logging
import os
import re

import numpy as np


def attempt(call):
    """The result of a call, or ``'raises NAME'``."""
    try:
        return call()
    except Exception as error:
        return "raises " + type(error).__name__


def log_text(call, only=""):
    """What a call logs, with level names; ``only`` is a logger's name, or all."""
    stream, root = io.StringIO(), logging.getLogger()
    handler, level = logging.StreamHandler(stream), root.level
    handler.setFormatter(logging.Formatter("%(levelname)s:%(message)s"))
    handler.addFilter(logging.Filter(only))
    others, root.handlers = root.handlers, [handler]
    root.setLevel(logging.INFO)
    try:
        call()
    finally:
        root.handlers = others
        root.setLevel(level)
    return stream.getvalue()


def logged(call):
    """The lines that a call logs, with level names; times and speeds replaced."""
    return re.sub(r"Speed: (inf|[\d.]+)", "Speed: S", log_text(call)).split("\n")[:-1]


def plain(value):
    """Numbers and arrays of any kind as Python numbers and lists."""
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "asnumpy"):
        value = value.asnumpy()
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


GOLDEN = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "golden", "training.json")


def recorded(table, golden=GOLDEN):
    """The recorded results of a table's cases."""
    with open(golden, encoding="utf-8") as file:
        results = json.load(file)
    return {name.partition(": ")[2]: result for name, result in results.items() if name.startswith(table + ": ")}


def differences(found, wanted, place=""):
    """Where two results differ, as texts; numbers may differ by 2e-6 of the larger of 1 and themselves (sums in float32)."""
    if isinstance(wanted, list) and isinstance(found, (list, tuple)) and len(found) == len(wanted):
        pairs = enumerate(zip(found, wanted))
    elif isinstance(wanted, dict) and isinstance(found, dict) and sorted(found) == sorted(wanted):
        pairs = ((key, (found[key], wanted[key])) for key in wanted)
    elif type(found) is not bool and isinstance(found, (int, float)) and isinstance(wanted, (int, float)):
        same = found == wanted or (found != found and wanted != wanted)
        return (
            [] if same or abs(found - wanted) <= 2e-6 * max(1, abs(wanted)) else [f"{place}: {found} is not {wanted}"]
        )
    else:
        return [] if type(found) is type(wanted) and found == wanted else [f"{place}: {found!r} is not {wanted!r}"]
    return [text for key, (one, other) in pairs for text in differences(one, other, f"{place}/{key}")]
