"""Recorded results in one small file: an index and one flat array for each element type.

A golden file is an ``.npz`` archive. Entry ``index`` is UTF-8 JSON ``{"format": n, "rows": {id: {"facts": ...,
"arrays": {key: [type, offset, shape]}}}}``; every other entry is named after an element type and holds the values of
all arrays of that type, one after the other; equal arrays are stored once. The bytes depend on the contents alone.
"""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np

FORMAT = 1
ROW_LIMIT = 200000  # bytes of values one row may store


class Result:
    """What was observed of one row: ``facts`` (JSON values) and ``arrays`` (NumPy arrays by key)."""

    def __init__(self, facts: dict[str, Any], arrays: dict[str, np.ndarray]):
        self.facts, self.arrays = facts, arrays

    @property
    def size(self) -> int:
        """Bytes of the values, equal arrays counted once."""
        return sum(len(data) for data in {array.tobytes() for array in self.arrays.values()})


def load(path: str) -> dict[str, Result]:
    """The results in a golden file by row id; empty when there is no file or its format is another one."""
    if not os.path.exists(path):
        return {}
    with np.load(path) as archive:
        index = json.loads(archive["index"].tobytes().decode("utf-8"))
        pools = {name: archive[name] for name in archive.files if name != "index"}
    if index["format"] != FORMAT:
        return {}
    results = {}
    for row_id, entry in index["rows"].items():
        arrays = {key: _slice(pools[where[0]], where[1], where[2]) for key, where in entry["arrays"].items()}
        results[row_id] = Result(entry["facts"], arrays)
    return results


def save(path: str, results: dict[str, Result]) -> None:
    """Replace a golden file. ``ValueError`` when the arrays of one row exceed ``ROW_LIMIT`` bytes."""
    pools = {}  # type: dict[str, _Pool]
    rows = {}
    for row_id in sorted(results):
        result = results[row_id]
        if result.size > ROW_LIMIT:
            raise ValueError(f"row {row_id} stores {result.size} bytes, at most {ROW_LIMIT} are allowed")
        places = {}
        for key in sorted(result.arrays):
            array = result.arrays[key]
            pool = pools.setdefault(array.dtype.name, _Pool())
            places[key] = [array.dtype.name, pool.put(array), list(array.shape)]
        rows[row_id] = {"facts": result.facts, "arrays": places}
    text = json.dumps({"format": FORMAT, "rows": rows}, sort_keys=True, separators=(",", ":"))
    entries = {name: pools[name].values() for name in sorted(pools)}
    entries["index"] = np.frombuffer(text.encode("utf-8"), np.uint8)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    unfinished = path + ".part"
    with open(unfinished, "wb") as file:
        np.savez_compressed(file, **entries)
    os.replace(unfinished, path)


class _Pool:
    """The values of one element type; ``put`` returns the place of an array."""

    def __init__(self) -> None:
        self.parts = []  # type: list[np.ndarray]
        self.length = 0
        self.known = {}  # type: dict[bytes, int]

    def put(self, array: np.ndarray) -> int:
        data = array.tobytes()
        if data not in self.known:
            self.known[data] = self.length
            self.parts.append(np.frombuffer(data, array.dtype))
            self.length += array.size
        return self.known[data]

    def values(self) -> np.ndarray:
        return np.concatenate(self.parts)


def _slice(pool: np.ndarray, offset: int, shape: list[int]) -> np.ndarray:
    count = int(np.prod(shape, dtype=np.int64))
    return pool[offset : offset + count].reshape(shape)
