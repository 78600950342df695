"""``mxcompat run``: an unmodified script as under plain python, with the alias on and old idioms restored.

The script's own view is python's: ``sys.argv``, ``sys.path[0]``, ``__main__``, exit code and traceback. Processes that
it starts inherit the alias, ``--device`` and the old idioms as soon as they import mxnet.
"""

from __future__ import annotations

import argparse
import builtins
import importlib.util
import io
import os
import random
import re
import sys
from importlib.abc import InspectLoader
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import CodeType, ModuleType, TracebackType
from typing import Any

from mxcompat.migrate import CommandError, alias, idioms

__all__ = ["configure", "continue_in_child", "main", "python2_construct"]

#: tells children which ``--device`` the run has; there (maybe empty) in every process below a run
_DEVICE_VARIABLE = "MXCOMPAT_RUN_DEVICE"
#: tells children that the run is strict
_STRICT_VARIABLE = "MXCOMPAT_RUN_STRICT"

#: what Python 2 wrote and Python 3 refuses: a pattern for the offending line, and its name
_PYTHON2 = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        (r"^\s*(?:.*[:;]\s*)?print\b\s*(?![\s(=.])", "print statement"),
        (r"^\s*(?:.*[:;]\s*)?exec\b\s*(?![\s(=.])", "exec statement"),
        (r"^\s*except\b.+,\s*\w+\s*:", "'except Error, name'"),
        (r"^\s*raise\s+[\w.]+\s*,", "'raise Error, value'"),
        (r"<>", "operator <>"),
        (r"`[^`]+`", "repr() in backticks"),
        (r"(?<![.\w])0\d+\b(?!\.)", "octal number with a leading 0"),
        (r"\b(?:0[xX][\da-fA-F]+|\d+)[lL]\b", "long integer with an L"),
        (r"""\b[uU][rR]["']""", "ur'' string"),
        (r"^\s*def\s+\w+\s*\([^)]*\(", "tuple parameter"),
    )
)


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"{text} is no number in 0..{2**32 - 1}")
    return int(text)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``mxcompat run``."""
    parser.usage = "mxcompat run [--profile] [--strict] [--seed N] [--device cpu|cuda] (-m MODULE | script.py) args…"
    parser.add_argument("--seed", type=_seed, metavar="N", help="start the generators of mxnet, numpy and random at N")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="where the arrays of mx.gpu() live")
    parser.add_argument("--profile", action="store_true", help="end with a table: operator, calls, time, device, note")
    parser.add_argument("--strict", action="store_true", help="fail where something differs or has no effect here")
    parser.add_argument("-m", dest="is_module", action="store_true", help="run a module, as python -m does")
    parser.add_argument("script", nargs=argparse.REMAINDER, help="the script or module, and its own arguments")


def main(args: argparse.Namespace) -> int:
    """Run the script or module; its exit code. ``SystemExit`` and ``KeyboardInterrupt`` of the script pass through."""
    if not args.script:
        raise CommandError("give a script or -m MODULE")
    alias.install()
    idioms.restore()
    _use_device(args.device)
    if args.strict:
        os.environ[_STRICT_VARIABLE] = "1"
        _be_strict()
    if args.seed is not None:
        _start_generators(args.seed)
    return _profiled(args.script, args.is_module) if args.profile else _execute(args.script, args.is_module)


def continue_in_child() -> None:
    """What ``import mxnet`` does in a child process: the alias and, below ``mxcompat run``, what goes with it."""
    alias.install()
    device = os.environ.get(_DEVICE_VARIABLE)
    if device is not None:
        idioms.restore()
        _use_device(device)
        if os.environ.get(_STRICT_VARIABLE):
            _be_strict()


def _be_strict() -> None:
    from mxcompat.migrate import observe

    observe.refuse_differences()


def _profiled(command: list[str], is_module: bool) -> int:
    """Run it, and end with the table, however it ends. Processes that it starts are not in the table."""
    from mxcompat.migrate.observe import Profile

    profile = Profile()
    profile.start()
    try:
        return _execute(command, is_module)
    finally:
        print(profile.table(), file=sys.stderr)


def python2_construct(line: str) -> str | None:
    """The name of the Python 2 construct in a line that Python 3 refuses; None if it shows none."""
    return next((name for pattern, name in _PYTHON2 if pattern.search(line)), None)


def _use_device(device: str | None) -> None:
    from mxcompat import context

    os.environ[_DEVICE_VARIABLE] = device or ""
    if device == "cpu":
        context.set_gpu_substitute(context.cpu())
    elif device == "cuda":
        if context.num_gpus() == 0:
            raise CommandError("--device cuda: CUDA offers no device here")
        if context.num_gpus() == 1:  # every mx.gpu(i) is the one that is there
            context.set_gpu_substitute(context.gpu())


def _start_generators(seed: int) -> None:
    import numpy

    import mxcompat.random

    random.seed(seed)
    numpy.random.seed(seed)
    mxcompat.random.seed(seed)


def _execute(command: list[str], is_module: bool) -> int:
    try:
        code, main_module = _load_module(command) if is_module else _load_script(command)
        sys.modules["__main__"] = main_module
        exec(code, main_module.__dict__)
    except (CommandError, SystemExit):
        raise
    except KeyboardInterrupt:
        # Python ends such a process by the signal; its traceback is printed on the way.
        hook = sys.excepthook
        sys.excepthook = lambda kind, error, trace: _show(hook, error)
        raise
    except BaseException as error:
        _show(sys.excepthook, error)
        return 1
    return 0


def _load_script(command: list[str]) -> tuple[CodeType, ModuleType]:
    path = os.path.abspath(command[0])
    try:
        with io.open_code(path) as file:
            source = file.read()
    except OSError as error:
        raise CommandError(f"can't open file {path!r}: [Errno {error.errno}] {error.strerror}") from None
    sys.argv[:] = command
    _set_first_path(os.path.dirname(os.path.realpath(path)))
    code = compile(source, path, "exec", dont_inherit=True)
    return code, _new_main(__file__=path, __cached__=None, __loader__=SourceFileLoader("__main__", path))


def _load_module(command: list[str]) -> tuple[CodeType, ModuleType]:
    sys.argv[:] = ["-m", *command[1:]]
    _set_first_path(os.getcwd())
    spec = _find_module(command[0])
    code = spec.loader.get_code(spec.name) if isinstance(spec.loader, InspectLoader) else None
    if code is None:
        raise CommandError(f"no code object available for {command[0]}", 1)
    sys.argv[0] = spec.origin or command[0]
    main_module = _new_main(
        __file__=spec.origin, __cached__=spec.cached, __loader__=spec.loader, __package__=spec.parent, __spec__=spec
    )
    return code, main_module


def _find_module(name: str) -> ModuleSpec:
    """The spec of the module that ``python -m name`` runs: a package stands for its ``__main__``."""
    try:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            name += ".__main__"
            spec = importlib.util.find_spec(name)
    except ModuleNotFoundError as error:
        if not error.name or not f"{name}.".startswith(f"{error.name}."):
            raise  # something that the package imports is missing
        spec = None
    if spec is None:
        raise CommandError(f"no module named {name}", 1)
    return spec


def _set_first_path(folder: str) -> None:
    if not getattr(sys.flags, "safe_path", False):  # python -P adds no folder
        sys.path[0] = folder


def _new_main(**attributes: Any) -> ModuleType:
    main_module = ModuleType("__main__")
    main_module.__dict__.update(__builtins__=builtins, __annotations__={}, **attributes)
    return main_module


def _show(hook: Any, error: BaseException) -> None:
    """Print an error of the script as python would, without the frames that run the script."""
    error.__traceback__ = _without_own_frames(error.__traceback__)
    hook(type(error), error, error.__traceback__)
    construct = python2_construct(error.text or "") if isinstance(error, SyntaxError) else None
    if isinstance(error, TabError):
        construct = "tabs mixed with spaces"
    if construct:
        print(
            f"mxcompat run: {error.filename}:{error.lineno}: this is Python 2 ({construct}); "  # type: ignore[attr-defined]
            "mxcompat migrate --py2 converts it",
            file=sys.stderr,
        )


def _without_own_frames(trace: TracebackType | None) -> TracebackType | None:
    while trace is not None and trace.tb_frame.f_code.co_filename != __file__:
        trace = trace.tb_next
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    return trace
