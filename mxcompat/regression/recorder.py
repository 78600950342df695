"""``mxcompat recorder``: print the one file that runs beside MXNet and records a script (``record.py``)."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mxcompat.migrate import CommandError

__all__ = ["configure", "main"]

SOURCE = Path(__file__).with_name("record.py")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``mxcompat recorder``."""
    parser.add_argument("-o", "--out", metavar="FILE", help="write it there instead of printing it")
    parser.epilog = "In the old environment: python record.py -o golden -- train.py ...; here: mxcompat verify golden."


def main(args: argparse.Namespace) -> int:
    """Print or write the file."""
    text = SOURCE.read_text(encoding="utf-8")
    if args.out is None:
        sys.stdout.write(text)
        return 0
    try:
        Path(args.out).write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{args.out}: {error.strerror}") from None
    return 0
