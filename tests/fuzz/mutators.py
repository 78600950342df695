"""What happens to a file: changes of bytes, of lines of text, and of graphs in JSON. All choices come from ``rng``."""

from __future__ import annotations

import copy
import json
import random
import struct
from collections.abc import Callable, Sequence
from typing import Any

Bytes = Callable[[bytearray, random.Random, Sequence[bytes]], bytes | bytearray]

INTERESTING = (
    *(0, 1, 2, 3, 7, 8, 16, 64, 127, 128, 255, 256, 1000, 4096, 32767, 32768, 65535, 65536, 2**20, 2**24, 2**29 - 1),
    *(2**29, 2**30, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**40, 2**48, 2**61, 2**62, 2**63 - 1, 2**63, 2**64 - 1),
)
_LAYOUTS = ((1, "<B"), (2, "<H"), (4, "<I"), (8, "<Q"), (4, ">I"), (2, ">H"))


def _place(data: Sequence, rng: random.Random) -> int:
    """A position, half of the time near the beginning, where headers stand."""
    if not data:
        return 0
    return rng.randrange(min(len(data), 64)) if rng.random() < 0.5 else rng.randrange(len(data))


def _block(data: bytearray, rng: random.Random) -> tuple[int, int]:
    start = _place(data, rng)
    size = rng.choice((1, 2, 4, 8, 16, 64, 256, len(data) // 2 or 1))
    return start, min(start + size, len(data))


def flip_bits(data: bytearray, rng: random.Random, others: Sequence[bytes]) -> bytearray:
    for _ in range(rng.choice((1, 1, 1, 2, 8, 32)) if data else 0):
        data[_place(data, rng)] ^= 1 << rng.randrange(8)
    return data


def set_bytes(data: bytearray, rng: random.Random, others: Sequence[bytes]) -> bytearray:
    for _ in range(rng.choice((1, 1, 2, 4, 16)) if data else 0):
        data[_place(data, rng)] = rng.choice((0, 1, 0x20, 0x7F, 0x80, 0xFF, rng.randrange(256)))
    return data


def truncate(data: bytearray, rng: random.Random, others: Sequence[bytes]) -> bytearray:
    return data[: rng.randrange(len(data) + 1)]


def insert(data: bytearray, rng: random.Random, others: Sequence[bytes]) -> bytearray:
    place = rng.randrange(len(data) + 1)
    count = rng.choice((1, 2, 3, 4, 8, 100))
    content = bytes(count) if rng.random() < 0.3 else bytes(rng.randrange(256) for _ in range(count))
    return data[:place] + content + data[place:]


def duplicate_block(data: bytearray, rng: random.Random, others: Sequence[bytes]) -> bytearray:
    start, stop = _block(data, rng)
    return data[:stop] + data[start:stop] * rng.choice((1, 1, 2, 10)) + data[stop:]


def remove_block(data: bytearray, rng: random.Random, others: Sequence[bytes]) -> bytearray:
    start, stop = _block(data, rng)
    return data[:start] + data[stop:]


def swap_blocks(data: bytearray, rng: random.Random, others: Sequence[bytes]) -> bytearray:
    start, stop = _block(data, rng)
    block, rest = data[start:stop], data[:start] + data[stop:]
    place = rng.randrange(len(rest) + 1)
    return rest[:place] + block + rest[place:]


def fill_block(data: bytearray, rng: random.Random, others: Sequence[bytes]) -> bytearray:
    start, stop = _block(data, rng)
    data[start:stop] = bytes([rng.choice((0, 0, 0xFF, 0x41))]) * (stop - start)
    return data


def splice(data: bytearray, rng: random.Random, others: Sequence[bytes]) -> bytearray:
    other = rng.choice(others) if others else bytes(data)
    if rng.random() < 0.5:  # the rest of another file
        place = rng.randrange(len(data) + 1)
        return data[:place] + other[rng.randrange(len(other) + 1) if rng.random() < 0.5 else place :]
    start = _place(other, rng)
    place = _place(data, rng)
    return data[:place] + other[start : start + rng.choice((4, 8, 32, 128))] + data[place:]


def set_number(data: bytearray, rng: random.Random, others: Sequence[bytes]) -> bytearray:
    """An interesting number at an aligned position."""
    size, layout = rng.choice(_LAYOUTS)
    if len(data) < size:
        return data
    place = _place(data[: len(data) - size + 1], rng)
    place -= place % min(size, 4)
    struct.pack_into(layout, data, place, rng.choice(INTERESTING) % 256**size)
    return data


def change_length(data: bytearray, rng: random.Random, others: Sequence[bytes]) -> bytearray:
    """A number that could be a count or a length becomes another one."""
    size, layout = rng.choice(((4, "<I"), (8, "<Q"), (4, ">I")))
    fields = [
        (place, struct.unpack_from(layout, data, place)[0]) for place in range(0, min(len(data) - size + 1, 4000), 4)
    ]
    fields = [(place, value) for place, value in fields if 0 < value <= len(data)]
    if not fields:
        return set_number(data, rng, others)
    place, value = rng.choice(fields)
    new = rng.choice((value + 1, value - 1, value * 2, value // 2, value + 4, len(data), value << 20, -value, 0))
    struct.pack_into(layout, data, place, new % 256**size)
    return data


BYTES: tuple[Bytes, ...] = (
    flip_bits, set_bytes, truncate, insert, duplicate_block, remove_block, swap_blocks, fill_block, splice, set_number,
    set_number, change_length, change_length,
)  # fmt: skip


# -- text ---------------------------------------------------------------------------------------------------------

TOKENS = (
    *(
        "",
        "0",
        "-1",
        "nan",
        "-nan",
        "inf",
        "-inf",
        "1e999",
        "-1e999",
        "1e-999",
        "1e38",
        "4e38",
        "0x1F",
        "0777",
        "1_000",
    ),
    *(
        "+",
        "-",
        ".",
        "e",
        "1e",
        "1e+",
        "1.2.3",
        "--5",
        "5f",
        "abc",
        "None",
        "\x00",
        "\t",
        " ",
        '"',
        "'",
        "#",
        ":",
        "::",
    ),
    *("9" * 25, "9" * 400, "1" * 6000, "1e" + "9" * 5000, "0." + "3" * 5000, "2147483648", "4294967296", "-2147483649"),
    *("9223372036854775807", "9223372036854775808", "18446744073709551616", "1:1", "0:1e999", "5:", ":5", "-1:3"),
    *("99999999999999999999:1", "qid:3", "\u0663", "\u00e9", "\U0001f600", "../..", "a" * 5000, "1 2 3", "1,2,3"),
)


def _fields(text: str) -> tuple[list[str], str]:
    """A line's fields and what stands between them."""
    separator = next((mark for mark in ("\t", ",", " ") if mark in text), " ")
    return text.split(separator), separator


def change_text(data: bytearray, rng: random.Random, others: Sequence[bytes]) -> bytes:
    """A few changes to the lines of a text."""
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    for _ in range(rng.choice((1, 1, 2, 3))):
        place = rng.randrange(len(lines) or 1) if lines else 0
        if not lines:
            lines = [rng.choice(TOKENS)]
        kind = rng.randrange(9)
        fields, separator = _fields(lines[place])
        field = rng.randrange(len(fields))
        if kind <= 2:
            fields[field] = rng.choice(TOKENS)
        elif kind == 3:
            del fields[field]
        elif kind == 4:
            fields.insert(field, rng.choice((*TOKENS, fields[field])))
        elif kind == 5:
            separator = rng.choice(("\t", ",", " ", ";", "", "\r", "  ", ":"))
        elif kind == 6:
            fields *= rng.choice((2, 50))
        lines[place] = separator.join(fields)
        if kind == 7:
            del lines[place]
        elif kind == 8:
            lines.insert(place, rng.choice(("", "\r", "\ufeff", *lines)))
    return rng.choice(("\n", "\n", "\n", "\r\n", "\n\n")).join(lines).encode("utf-8", "surrogateescape")


# -- graphs -------------------------------------------------------------------------------------------------------

VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2**31, 2**63, 2**64, 10**30, 10**400, 0.5, 1e300, -0.0, float("nan"), float("inf")),
    *(
        "",
        "null",
        "nan",
        "NaN",
        "-1",
        "(",
        "()",
        "(1,)",
        "(0, 0)",
        "(-1, 2)",
        "(99999999999999999999, 3)",
        "None",
        "[]",
    ),
    *("1e999", "9" * 5000, "a" * 100_000, "\x00", "\ud800", "True", "[[", "{}", "1073741824", "FullyConnected", "data"),
    *(
        [],
        {},
        [[]],
        [0],
        [0, 0],
        [0, 0, 0],
        [0, 0, 0, 0],
        [[0, 0, 0]],
        [-1, 0, 0],
        [9999, 0, 0],
        [0, 9999, 0],
        {"a": 1},
    ),
)


def _spots(content: Any, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """Every (container, key) in a JSON value."""
    entries = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in entries:
        found.append((content, key))
        _spots(value, found)
    return found


def _change_graph(content: dict, rng: random.Random) -> None:
    """One change that knows what a graph is."""
    nodes = content["nodes"]
    node, other = rng.choice(nodes), rng.choice(nodes)
    kind = rng.randrange(12)
    count = len(nodes)
    index = rng.choice((count, count + 1, -1, -count, 2**31, 2**32, 2**63, rng.randrange(count), nodes.index(node)))
    inputs = node.get("inputs") or [[0, 0, 0]]
    attrs = next((node[key] for key in ("attrs", "attr", "param") if node.get(key)), None)
    if kind <= 1:  # out of range, a cycle, or another node
        rng.choice(inputs)[0] = index
        node["inputs"] = inputs
    elif kind == 2:
        rng.choice(inputs)[-1] = rng.choice((1, 2, 99, -1, 2**31, 2**64))
    elif kind == 3:
        rng.choice(content["heads"])[rng.randrange(2)] = index
    elif kind == 4:
        rng.choice((content.get("arg_nodes") or [0], content.get("node_row_ptr") or [0]))[0] = index
    elif kind == 5:
        node["name"] = rng.choice((other["name"], "", "x" * 200_000, "\x00", "a\nb", "\ud83d\ude00"))
    elif kind == 6:
        node["op"] = rng.choice(
            (other["op"], "null", "", "NoSuchOperator", "_foreach", "_cond", "Custom", "SliceChannel")
        )
    elif kind == 7 and attrs:
        attrs[rng.choice(list(attrs))] = rng.choice(VALUES)
    elif kind == 8 and attrs is not None:
        key = rng.choice(("num_outputs", "__shape__", "lr_mult", "__init__", "weight_lr_mult", "kernel", "a" * 100_000))
        attrs[key] = rng.choice(VALUES)
    elif kind == 9:
        nodes.remove(node) if rng.random() < 0.5 else nodes.insert(rng.randrange(count), node)
    elif kind == 10:
        nodes[nodes.index(node)], nodes[nodes.index(other)] = other, node
    else:
        node["subgraphs"] = [rng.choice((copy.deepcopy(nodes[0]), {}, copy.deepcopy(content), None))]
        node["control_deps"] = rng.choice(([], [index], [0], [0.5]))


def change_graph(data: bytearray, rng: random.Random, others: Sequence[bytes]) -> bytes:
    """A graph with nodes, edges, attributes or values of the JSON changed."""
    content = json.loads(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        spots = _spots(content, [])
        container, key = rng.choice(spots)
        kind = rng.randrange(5)
        if kind >= 2:
            if isinstance(content.get("nodes"), list) and all(isinstance(n, dict) for n in content["nodes"] or [0]):
                try:
                    _change_graph(content, rng)
                except (KeyError, IndexError, TypeError, AttributeError, ValueError):
                    continue  # an earlier change took away what this one would change
        elif kind == 0:
            del container[key]
        else:
            container[key] = rng.choice(VALUES)
    text = json.dumps(content, indent=rng.choice((None, 2)), ensure_ascii=rng.random() < 0.5)
    if rng.random() < 0.05:
        depth = rng.choice((100, 1000, 100_000))
        text = text.replace("[", "[" * depth, 1) if rng.random() < 0.5 else '{"a":' * depth + text
    if rng.random() < 0.03:
        text = text.replace('"op"', '"op": "null", "op"', 1)
    return text.encode("utf-8", "surrogatepass")


def mutate(name: str, content: bytes, rng: random.Random, others: Sequence[bytes]) -> tuple[bytes, str]:
    """The damaged content of a file with this name, and which mutators made it."""
    kinds: tuple[Bytes, ...] = BYTES
    if name.endswith(".json"):
        kinds = (*BYTES, *(change_graph,) * 3 * len(BYTES))
    elif name.endswith((".csv", ".libsvm", ".lst", ".idx")):
        kinds = (*BYTES, *(change_text,) * 2 * len(BYTES))
    used = []
    for _ in range(rng.choice((1, 1, 1, 1, 2, 3))):
        mutator = rng.choice(kinds)
        try:
            changed = bytes(mutator(bytearray(content), rng, others))
        except (ValueError, RecursionError):  # a graph that an earlier change made unreadable
            continue
        content = changed
        used.append(mutator.__name__)
    return content, "+".join(used)
