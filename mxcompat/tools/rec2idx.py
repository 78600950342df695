"""Make the index (.idx) of a record file (.rec): a line a record, its number from 0 on, a TAB and its byte offset.

The same command line as the original's ``tools/rec2idx.py``. Needs no torch.
"""

from __future__ import annotations

import argparse
import os
import sys

from mxcompat.base import MXNetError
from mxcompat.formats.atomic import write_atomically
from mxcompat.formats.recordio import RecordReader
from mxcompat.migrate import CommandError


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the original's rec2idx."""
    parser.add_argument("record", help="the .rec file")
    parser.add_argument("index", help="the .idx file to write")


def main(args: argparse.Namespace) -> int:
    """Write the index; a damaged record file leaves the index as it was."""
    try:
        starts = _starts(args.record)
        write_atomically(args.index, "".join(f"{key}\t{start}\n" for key, start in enumerate(starts)).encode())
    except (MXNetError, OSError) as error:
        raise CommandError(str(error), 1 if os.path.isfile(args.record) else 2) from None
    print(f"{args.index}: {len(starts)} records")
    return 0


def _starts(path: str) -> list[int]:
    """The offset of every record, all of which are read."""
    reader = RecordReader(path)
    try:
        starts = [reader.tell()]
        while reader.read() is not None:
            starts.append(reader.tell())
        return starts[:-1]
    finally:
        reader.close()


if __name__ == "__main__":
    from mxcompat.tools import run_alone

    sys.exit(run_alone(sys.modules[__name__]))
