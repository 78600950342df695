"""``mxcompat rec``: list, take apart, check, repair, index and make RecordIO files; needs no torch.

``pack`` and ``index`` are the original's im2rec and rec2idx.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator

import numpy as np

from mxcompat.base import MXNetError
from mxcompat.formats import recordio
from mxcompat.formats.atomic import write_atomically
from mxcompat.migrate import CommandError
from mxcompat.tools import im2rec, rec2idx

SUFFIXES = ((b"\xff\xd8\xff", ".jpg"), (b"\x89PNG", ".png"), (b"\x93NUMPY", ".npy"))


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``mxcompat rec``."""
    commands = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    one = commands.add_parser("ls", help="a line a record: offset, bytes, id, label")
    one.add_argument("file")
    one = commands.add_parser("extract", help="write each record's content into a folder")
    one.add_argument("file")
    one.add_argument("-o", "--output", required=True, metavar="FOLDER")
    one = commands.add_parser("check", help="read every record, and the .idx beside the file; 1 for damage")
    one.add_argument("file")
    one = commands.add_parser("repair", help="copy the whole records of a damaged file, and index them")
    one.add_argument("file")
    one.add_argument("-o", "--output", required=True, metavar="FILE")
    for name, tool, text in (
        ("pack", im2rec, "list images and make a .rec of them, with the flags of im2rec"),
        ("index", rec2idx, "make the .idx of a .rec, as rec2idx does"),
    ):
        tool.configure(commands.add_parser(name, help=text, formatter_class=argparse.ArgumentDefaultsHelpFormatter))


def main(args: argparse.Namespace) -> int:
    """The exit code: 1 where ``check`` finds damage."""
    if args.action in ("pack", "index"):
        return {"pack": im2rec, "index": rec2idx}[args.action].main(args)
    if not os.path.isfile(args.file):
        raise CommandError(f"{args.file}: no such file")
    return {"ls": _ls, "extract": _extract, "check": _check, "repair": _repair}[args.action](args)


def _records(path: str) -> Iterator[tuple[int, bytes]]:
    reader = recordio.RecordReader(path)
    try:
        while True:
            offset = reader.tell()
            record = reader.read()
            if record is None:
                return
            yield offset, record
    except MXNetError as error:
        raise CommandError(f"{error} (mxcompat rec repair copies what is whole)", 1) from None
    finally:
        reader.close()


def _label(label: object) -> str:
    return " ".join(f"{value:g}" for value in np.atleast_1d(np.asarray(label, dtype=float)))


def _ls(args: argparse.Namespace) -> int:
    for offset, record in _records(args.file):
        try:
            header, content = recordio.unpack(record)
        except (MXNetError, ValueError):
            print(f"{offset}\t{len(record)}\t-\t-")
        else:
            print(f"{offset}\t{len(content)}\t{header.id}\t{_label(header.label)}")
    return 0


def _extract(args: argparse.Namespace) -> int:
    os.makedirs(args.output, exist_ok=True)
    labels = []
    for number, (offset, record) in enumerate(_records(args.file)):
        try:
            header, content = recordio.unpack(record)
        except MXNetError as error:
            raise CommandError(f"{args.file}: record {number} (offset {offset}): {error}", 1) from None
        suffix = next((suffix for magic, suffix in SUFFIXES if content.startswith(magic)), ".bin")
        name = f"{number:08d}{suffix}"
        write_atomically(os.path.join(args.output, name), [content])
        labels.append("\t".join([str(header.id), *_label(header.label).split(), name]))
    listing = "".join(line + "\n" for line in labels)
    write_atomically(os.path.join(args.output, "list.lst"), [listing.encode()])
    print(f"{len(labels)} records, and list.lst with their labels, in {args.output}")
    return 0


def _check(args: argparse.Namespace) -> int:
    offsets = {offset for offset, _ in _records(args.file)}
    print(f"{args.file}: {len(offsets)} records, whole")
    index = os.path.splitext(args.file)[0] + ".idx"
    if not os.path.isfile(index):
        return 0
    try:
        entries = recordio.read_index(index)
    except (MXNetError, ValueError) as error:
        raise CommandError(str(error), 1) from None
    astray = [(key, offset) for key, offset in entries if offset not in offsets]
    if astray:
        print(
            f"{index}: key {astray[0][0]} names offset {astray[0][1]}, where no record starts ({len(astray)} such keys)"
        )
        return 1
    print(f"{index}: {len(entries)} keys" + ("" if len(entries) == len(offsets) else f" for {len(offsets)} records"))
    return 0


def _repair(args: argparse.Namespace) -> int:
    if os.path.exists(args.output) and os.path.samefile(args.file, args.output):
        raise CommandError("the output is the damaged file itself: name another one")
    with open(args.file, "rb") as stream:
        content = stream.read()
    whole, lost = _whole_records(args.file, content)
    index, position, chunks = [], 0, []
    for number, (start, end) in enumerate(whole):
        index.append(f"{number}\t{position}\n")
        position += end - start
        chunks.append(content[start:end])
    write_atomically(args.output, chunks)
    write_atomically(os.path.splitext(args.output)[0] + ".idx", ["".join(index).encode()])
    print(f"{len(whole)} records kept, {lost} bytes left out")
    return 0


def _whole_records(path: str, content: bytes) -> tuple[list[tuple[int, int]], int]:
    """(start, end) of every record that can be read, and how many bytes belong to none."""
    reader = recordio.RecordReader(path)
    whole: list[tuple[int, int]] = []
    position = lost = 0
    try:
        while position < len(content):
            reader.seek(position)
            try:
                record = reader.read()
            except MXNetError:
                record = None
            if record is not None:
                whole.append((position, reader.tell()))
                position = reader.tell()
                continue
            start = position
            position += 4  # records start at multiples of four
            found = content.find(recordio.MAGIC_BYTES, position)
            while found != -1 and found % 4:
                found = content.find(recordio.MAGIC_BYTES, found + 1)
            position = len(content) if found == -1 else found
            lost += position - start
    finally:
        reader.close()
    return whole, lost
