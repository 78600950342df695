"""Make ``tests/golden/api.json.gz`` from the survey of the original's public names: ``record_api.py PATH/TO/api.json``.

The survey (a walk over real MXNet 1.9.1 with ``inspect``) is kept with what the walk of ``tests/api_walk.py`` reads.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).with_name("api.json.gz")
KEPT = ("native_data_iters", "optimizer_default_instances", "registries", "top_level_modules", "top_level_names")


def class_entry(found: dict[str, Any]) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "home": found["defined_in"],
        "bases": found["bases"],
        "methods": {name: method["signature"] for name, method in found["methods"].items()},
        "properties": {name: prop["settable"] for name, prop in found["properties"].items()},
        "class_attrs": sorted(found["class_attrs"]),
    }
    if "namedtuple_fields" in found:
        entry["fields"] = found["namedtuple_fields"]
    return entry


def module_entry(found: dict[str, Any]) -> dict[str, Any]:
    functions = found.get("functions", {}).items()
    return {
        "classes": {name: class_entry(entry) for name, entry in found.get("classes", {}).items()},
        "functions": {
            name: {"home": entry["defined_in"], "signature": entry["signature"]} for name, entry in functions
        },
        "values": sorted(found.get("values", {})),
        "submodules": sorted(found.get("submodules", {})),
        "operators": found.get("generated_op_functions", []),
        "all": found.get("__all__"),
    }


def main(source: str) -> None:
    survey = json.loads(Path(source).read_text(encoding="utf-8"))
    kept = {key: survey[key] for key in KEPT}
    kept["modules"] = {name: module_entry(found) for name, found in survey["modules"].items()}
    text = json.dumps(kept, sort_keys=True, separators=(",", ":")).encode()
    GOLDEN.write_bytes(gzip.compress(text, 9, mtime=0))
    print(f"{len(kept['modules'])} modules, {GOLDEN.stat().st_size} bytes")


if __name__ == "__main__":
    main(sys.argv[1])
