"""Tools of the command ``mxcompat``, and those that are started as ``python -m mxcompat.tools.<name>``."""

from __future__ import annotations

import argparse
import sys
from types import ModuleType

from mxcompat.migrate import CommandError

__all__ = ["run_alone"]


def run_alone(tool: ModuleType) -> int:
    """Run a tool that has ``configure`` and ``main`` with the arguments of this process; its exit code."""
    name = tool.__spec__.name if tool.__spec__ is not None else tool.__name__
    parser = argparse.ArgumentParser(
        prog=f"python -m {name}",
        description=(tool.__doc__ or "").split("\n\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    tool.configure(parser)
    args = parser.parse_args()
    try:
        return tool.main(args)
    except CommandError as error:
        print(f"{name.rpartition('.')[2]}: {error}", file=sys.stderr)
        return error.exit_code
