"""Which files a path of a file iterator means, and which bytes of them a part gets."""

from __future__ import annotations

import os
import re

from mxcompat.base import MXNetError

__all__ = ["expand", "part_of_lines"]


def expand(uri: str, parameter: str) -> list[str]:
    """The files of ``a;b;…``: each is a file, a folder (all its files) or a regular expression for names in a folder.

    ``file://`` is allowed in front; empty files are left out. The files of a folder come in the order of their names
    (Compat: in the original in the order in which the system lists them). ``MXNetError`` when there are none.
    """
    found: list[str] = []
    for part in uri.split(";"):
        path = part.removeprefix("file://")
        if "://" in path:
            raise MXNetError(f"{parameter}={uri!r}: only local files can be read, download it first")
        found += _matching(path)
    files = [path for path in found if os.path.getsize(path)]
    if not files:
        raise MXNetError(f"{parameter}={uri!r}: Cannot find any files that matches the URI pattern (or they are empty)")
    return files


def _matching(path: str) -> list[str]:
    if os.path.isdir(path):
        return [entry for entry in _entries(path) if os.path.isfile(entry)]
    if os.path.exists(path):
        return [path]
    folder, _, pattern = path.rpartition("/")
    if not pattern or not os.path.isdir(folder or "."):
        return []
    try:
        wanted = re.compile(pattern)
    except re.error:
        return []
    return [entry for entry in _entries(folder or ".") if wanted.fullmatch(os.path.basename(entry))]


def _entries(folder: str) -> list[str]:
    return [os.path.join(folder, name) for name in sorted(os.listdir(folder))]


def part_of_lines(paths: list[str], num_parts: int, part_index: int) -> list[tuple[str, int, int]]:
    """File, first byte and the byte behind the last one, for each file that has lines of the part.

    The bytes of all files are divided evenly; a line belongs to the part in which it begins.
    """
    sizes = [os.path.getsize(path) for path in paths]
    share = -(-sum(sizes) // num_parts)
    first, last = share * part_index, share * (part_index + 1)
    found, base = [], 0
    for path, size in zip(paths, sizes):
        start, stop = (_line_start(path, min(max(place - base, 0), size)) for place in (first, last))
        if start < stop:
            found.append((path, start, stop))
        base += size
    return found


def _line_start(path: str, offset: int) -> int:
    """Where the first line behind the byte at ``offset`` begins; 0 stays 0."""
    if offset == 0 or offset >= os.path.getsize(path):
        return offset
    with open(path, "rb") as stream:
        stream.seek(offset)
        stream.readline()
        place = stream.tell()
        while (byte := stream.read(1)) and byte in b"\r\n":
            place += 1
        return place
