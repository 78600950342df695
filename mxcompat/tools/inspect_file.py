"""``mxcompat inspect``: what is in a ``.params``, ``.json``, ``.rec``, ``.idx`` or ``.states`` file; needs no torch."""

from __future__ import annotations

import argparse
import collections
import json
import math
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from mxcompat.base import MXNetError
from mxcompat.formats import arrays, recordio, states, symbol_json
from mxcompat.migrate import CommandError

ARRAY_MAGIC = (0x112).to_bytes(8, "little")
#: first bytes of record contents -> what they are
CONTENTS = ((b"\xff\xd8\xff", "JPEG"), (b"\x89PNG", "PNG"), (b"\x93NUMPY", "npy"))


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``mxcompat inspect``."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="the kind is told by the content, not by the name")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="output (default: text)")
    parser.add_argument("--stats", action="store_true", help="minimum, maximum, mean and NaN count of each array")
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="records shown of a .rec (default: 20)")


def main(args: argparse.Namespace) -> int:
    """Describe each file; 2 if one cannot be read."""
    found = [describe(path, args.stats, args.limit) for path in args.files]
    if args.format == "json":
        print(json.dumps(found if len(found) > 1 else found[0], indent=1, default=str))
        return 0
    for description in found:
        print("\n".join(as_text(description)))
    return 0


def describe(path: str, stats: bool = False, limit: int = 20) -> dict[str, Any]:
    """The content of a file as plain values; ``CommandError`` naming the file for one that cannot be read."""
    try:
        with open(path, "rb") as stream:
            head = stream.read(64)
        kind, reader = _kind(head, path)
        return {"file": path, "kind": kind, "bytes": os.path.getsize(path), **reader(path, stats, limit)}
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from None
    except (MXNetError, ValueError) as error:
        raise CommandError(str(error)) from None


def _kind(head: bytes, path: str) -> tuple[str, Callable[[str, bool, int], dict[str, Any]]]:
    if head.startswith(ARRAY_MAGIC):
        return "arrays", _arrays
    if head.startswith(recordio.MAGIC_BYTES):
        return "records", _records
    if head.lstrip()[:1] == b"{":
        return "symbol", _symbol
    if head[:1] == b"\x80" or path.endswith(".states"):
        return "states", _states
    first = head.split(b"\n")[0].split()
    if len(first) == 2 and first[1].isdigit():
        return "index", _index
    raise CommandError(f"{path}: this is no .params, .json, .rec, .idx or .states file (it begins with {head[:8]!r})")


# -- the kinds ----------------------------------------------------------------------------------------------------


def _array(record: arrays.ArrayRecord, stats: bool) -> dict[str, Any]:
    described: dict[str, Any] = {"dtype": record.dtype, "shape": list(record.shape)}
    if record.stype != "default":
        described["storage"] = record.stype
    data = record.data
    if stats and data is not None and data.size and record.dtype != "bfloat16":
        values = data.astype(np.float64)
        finite = values[np.isfinite(values)]
        if finite.size:
            described.update(min=float(finite.min()), max=float(finite.max()), mean=float(finite.mean()))
        described["nan"] = int(np.isnan(values).sum())
    return described


def _arrays(path: str, stats: bool, limit: int) -> dict[str, Any]:
    records, names = arrays.load(path)
    listed = [{"name": names[i] if names else str(i), **_array(record, stats)} for i, record in enumerate(records)]
    return {"arrays": listed, "numbers": sum(math.prod(record.shape) for record in records if record.data is not None)}


def _symbol(path: str, stats: bool, limit: int) -> dict[str, Any]:
    graph = symbol_json.load(path)
    version = graph.version
    return {
        "version": f"{version // 10000}.{version // 100 % 100}.{version % 100}",
        "variables": [node.name for node in graph.nodes if node.is_variable],
        "operators": dict(collections.Counter(node.op for node in graph.nodes if not node.is_variable).most_common()),
        "heads": [[graph.nodes[index].name, output] for index, output, *_ in graph.heads],
    }


def _content(data: bytes) -> str:
    return next((name for magic, name in CONTENTS if data.startswith(magic)), "data")


def _records(path: str, stats: bool, limit: int) -> dict[str, Any]:
    shown: list[dict[str, Any]] = []
    count = total = 0
    for offset, record in _each(path):
        count, total = count + 1, total + len(record)
        if len(shown) < limit:
            shown.append({"offset": offset, "bytes": len(record), **_header(record)})
    return {"count": count, "content bytes": total, "records": shown}


def _each(path: str) -> Iterator[tuple[int, bytes]]:
    reader = recordio.RecordReader(path)
    try:
        while True:
            offset = reader.tell()
            record = reader.read()
            if record is None:
                return
            yield offset, record
    finally:
        reader.close()


def _header(record: bytes) -> dict[str, Any]:
    try:
        header, content = recordio.unpack(record)
    except (MXNetError, ValueError):
        return {}
    label = header.label.tolist() if isinstance(header.label, np.ndarray) else header.label
    return {"id": header.id, "label": label, "content": _content(content)}


def _index(path: str, stats: bool, limit: int) -> dict[str, Any]:
    entries = recordio.read_index(path)
    keys = [key for key, _ in entries]
    return {"count": len(keys), "keys": keys[:limit], "last key": keys[-1] if keys else None}


def _states(path: str, stats: bool, limit: int) -> dict[str, Any]:
    with open(path, "rb") as stream:
        content = stream.read()

    def resolve(module: str, name: str) -> type:
        return type(name, (), {"__module__": module})

    loaded = states.loads(content, lambda data: _array(arrays.parse_record(data, path), stats), resolve, source=path)
    described: dict[str, Any] = {}
    if isinstance(loaded, tuple) and len(loaded) == 2:
        loaded, optimizer = loaded
        settings = {key: value for key, value in vars(optimizer).items() if isinstance(value, (str, int, float, bool))}
        described["optimizer"] = {"class": f"{type(optimizer).__module__}.{type(optimizer).__name__}", **settings}
    described["states"] = loaded if isinstance(loaded, dict) else {"": loaded}
    return described


# -- text ---------------------------------------------------------------------------------------------------------


def as_text(found: dict[str, Any]) -> Iterator[str]:
    """The description as lines."""
    yield f"{found['file']}: {found['kind']}, {found['bytes']:,} bytes"
    if found["kind"] == "arrays":
        yield from _table(found["arrays"])
        yield f"{len(found['arrays'])} arrays, {found['numbers']:,} numbers"
    elif found["kind"] == "symbol":
        yield f"written by MXNet {found['version']}"
        yield "variables: " + ", ".join(found["variables"])
        yield "operators: " + ", ".join(f"{name} ({count})" for name, count in found["operators"].items())
        yield "outputs: " + ", ".join(f"{name}[{output}]" for name, output in found["heads"])
    elif found["kind"] == "records":
        yield from _table(found["records"])
        yield f"{found['count']} records, {found['content bytes']:,} bytes of content"
    elif found["kind"] == "index":
        yield f"{found['count']} keys: {', '.join(map(str, found['keys']))}" + (
            ", …" if found["count"] > len(found["keys"]) else ""
        )
    else:
        if "optimizer" in found:
            yield "optimizer: " + ", ".join(f"{key}={value}" for key, value in found["optimizer"].items())
        for key, value in found["states"].items():
            yield f"{key}: {_short(value)}"


def _short(value: Any) -> str:
    if isinstance(value, dict) and "dtype" in value:
        extra = "".join(f" {key}={value[key]:.4g}" for key in ("min", "max", "mean", "nan") if key in value)
        return f"{value['dtype']} {tuple(value['shape'])}{extra}"
    if isinstance(value, (tuple, list)):
        return "(" + ", ".join(_short(item) for item in value) + ")"
    return str(value)


def _table(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Rows with aligned columns; a column for every key that occurs."""
    keys = list(dict.fromkeys(key for row in rows for key in row))
    cells = [[_cell(row.get(key, "")) for key in keys] for row in rows]
    widths = [max(len(row[i]) for row in cells) if cells else 0 for i in range(len(keys))]
    for row in cells:
        yield ("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths))).rstrip()


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"({', '.join(map(str, value))}{',' * (len(value) == 1)})" if isinstance(value, list) else str(value)
