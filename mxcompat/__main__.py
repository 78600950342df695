"""The command ``mxcompat``, also ``python -m mxcompat``.

Exit codes: 0 clean, 1 findings, 2 usage or internal error, 3 numbers out of tolerance; ``run`` ends with the script's.

A command is a module with ``configure(parser)``, which adds its arguments, and ``main(args)``, which returns the exit
code. Only the module of the command that was asked for is imported.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import os
import sys
import traceback
from collections.abc import Sequence

from mxcompat.migrate import CommandError

#: command -> its module and what it does
COMMANDS = {
    "convert": ("mxcompat.migrate.convert", "a checkpoint as a PyTorch module, a pt2, ONNX or safetensors file, and back"),
    "check": ("mxcompat.check.command", "report what in scripts, notebooks and symbol files works here"),
    "doctor": ("mxcompat.tools.doctor", "show versions, devices and settings, and run a short self-test"),
    "inspect": ("mxcompat.tools.inspect_file", "show what a .params, .json, .rec, .idx or .states file holds"),
    "migrate": ("mxcompat.migrate.rewrite", "rewrite scripts and notebooks for mxcompat"),
    "ops": ("mxcompat.migrate.catalogue", "list the original's operators: supported, missing, left out"),
    "rec": ("mxcompat.tools.rec", "list, take apart, check, repair, index and pack RecordIO files"),
    "recorder": ("mxcompat.regression.recorder", "print the file that records a script under MXNet, for verify"),
    "run": ("mxcompat.migrate.run", "run an unmodified MXNet script"),
    "verify": ("mxcompat.regression.verify", "repeat recordings of MXNet and show where mxcompat parts from them"),
}


def _version() -> str:
    try:
        return importlib.metadata.version("mxcompat")
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"


def _parser(wanted: str | None) -> argparse.ArgumentParser:
    """The parser with the arguments of the command ``wanted``; the other commands are there by name only."""
    parser = argparse.ArgumentParser(prog="mxcompat", description="Programs written for Apache MXNet, on PyTorch.")
    parser.add_argument("--version", action="version", version=f"mxcompat {_version()}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (module, summary) in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        if name == wanted:
            importlib.import_module(module).configure(command)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    argv = sys.argv[1:] if argv is None else list(argv)
    args = _parser(argv[0] if argv else None).parse_args(argv)
    command = importlib.import_module(COMMANDS[args.command][0])
    try:
        code = command.main(args)
        if args.command != "run":
            sys.stdout.flush()
        return code
    except BrokenPipeError:  # who reads, as head does, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except CommandError as error:
        print(f"mxcompat {args.command}: {error}", file=sys.stderr)
        return error.exit_code
    except Exception:
        traceback.print_exc()
        print(f"mxcompat {args.command}: internal error", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
