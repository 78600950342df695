"""Stand-ins for modules that later Pythons removed: ``imp``, ``distutils``, ``xml.etree.cElementTree``.

They hold what scripts use: ``distutils`` its versions, ``strtobool`` and ``mkpath``, not its compilers.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
import re
import sys
import xml.etree.ElementTree
from types import ModuleType
from typing import IO, Any

__all__ = ["DISTUTILS", "LooseVersion", "StrictVersion", "make_celementtree", "make_distutils", "make_imp"]

_PY_SOURCE, _PKG_DIRECTORY = 1, 5


@functools.total_ordering
class Version:
    """A version made from a text; compares with another one or with a text."""

    def __init__(self, vstring: str | None = None):
        if vstring:
            self.parse(vstring)

    def parse(self, vstring: str) -> None:
        """Read ``vstring`` into ``version``, the value that is compared."""
        self.vstring = vstring
        self.version: Any = vstring

    def __str__(self) -> str:
        return self.vstring

    def __repr__(self) -> str:
        return f"{type(self).__name__} ('{self}')"

    def _other(self, other: Any) -> Any:
        return (type(self)(other) if isinstance(other, str) else other).version

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (str, Version)) and self.version == self._other(other)

    def __lt__(self, other: Any) -> bool:
        return self.version < self._other(other) if isinstance(other, (str, Version)) else NotImplemented

    def __hash__(self) -> int:
        return hash(str(self.version))


class LooseVersion(Version):
    """Runs of digits and runs of letters, compared one by one: ``version`` of '1.9.1rc2' is [1, 9, 1, 'rc', 2]."""

    def parse(self, vstring: str) -> None:
        """Any text is a version; comparing a number with letters raises ``TypeError``."""
        self.vstring = vstring
        parts = re.findall(r"\d+|[a-z]+|[^\da-z.]+", vstring)
        self.version = [int(part) if part.isdigit() else part for part in parts]


class StrictVersion(Version):
    """Two or three numbers and an optional ``a`` or ``b`` release: '1.2', '1.2.3', '1.2a3'."""

    _FORM = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?(?:([ab])(\d+))?", re.ASCII)

    def parse(self, vstring: str) -> None:
        """``ValueError`` for a text of another form."""
        match = self._FORM.fullmatch(vstring)
        if not match:
            raise ValueError(f"invalid version number '{vstring}'")
        self.vstring = vstring
        major, minor, patch, letter, number = match.groups()
        self.prerelease = (letter, int(number)) if letter else None
        # A release comes after its own alphas and betas.
        self.version = (int(major), int(minor), int(patch or 0), self.prerelease or ("release", 0))


def _strtobool(val: str) -> int:
    """1 or 0 for a word of yes or no; ``ValueError`` for any other."""
    word = val.lower()
    if word in ("y", "yes", "t", "true", "on", "1"):
        return 1
    if word in ("n", "no", "f", "false", "off", "0"):
        return 0
    raise ValueError(f"invalid truth value {val!r}")


def _mkpath(name: str, mode: int = 0o777, verbose: int = 1, dry_run: int = 0) -> list[str]:
    """Make a folder and its parents; the folders that were made."""
    made: list[str] = []
    folder = os.path.normpath(name)
    while folder and not os.path.isdir(folder):
        made.insert(0, folder)
        folder = os.path.dirname(folder)
    if not dry_run:
        os.makedirs(name, mode, exist_ok=True)
    return made


#: the modules of distutils that the stand-in has, with what they hold
DISTUTILS: dict[str, dict[str, Any]] = {
    "version": {"Version": Version, "LooseVersion": LooseVersion, "StrictVersion": StrictVersion},
    "util": {"strtobool": _strtobool},
    "dir_util": {"mkpath": _mkpath},
}


def make_distutils() -> ModuleType:
    """The package ``distutils`` with the modules in ``DISTUTILS``, which are put into ``sys.modules`` too."""
    package = ModuleType("distutils", "Stands for distutils, which Python 3.12 removed.")
    package.__path__ = []
    for name, members in DISTUTILS.items():
        module = ModuleType(f"distutils.{name}")
        module.__dict__.update(members)
        setattr(package, name, module)
        sys.modules[module.__name__] = module
    return package


def _load_source(name: str, pathname: str, file: IO | None = None) -> ModuleType:
    """The module of a source file, put into ``sys.modules`` under ``name``."""
    spec = importlib.util.spec_from_file_location(name, pathname)
    if spec is None or spec.loader is None:
        raise ImportError(f"{pathname} is not Python source", name=name, path=pathname)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _find_module(name: str, path: list[str] | None = None) -> tuple[IO | None, str, tuple[str, str, int]]:
    """Open file, path and description of a source module or package in ``path`` (``sys.path``)."""
    for folder in sys.path if path is None else path:
        package = os.path.join(folder, name)
        if os.path.isfile(os.path.join(package, "__init__.py")):
            return None, package, ("", "", _PKG_DIRECTORY)
        if os.path.isfile(package + ".py"):
            return open(package + ".py", encoding="utf-8"), package + ".py", (".py", "r", _PY_SOURCE)
    raise ImportError(f"No module named {name!r}", name=name)


def _load_module(name: str, file: IO | None, pathname: str, description: tuple[str, str, int]) -> ModuleType:
    """The module that ``find_module`` found."""
    if description[2] == _PKG_DIRECTORY:
        pathname = os.path.join(pathname, "__init__.py")
    return _load_source(name, pathname)


def make_imp() -> ModuleType:
    """The module ``imp`` for source files and packages."""
    module = ModuleType("imp", "Stands for imp, which Python 3.12 removed.")
    module.__dict__.update(
        reload=importlib.reload,
        new_module=ModuleType,
        load_source=_load_source,
        find_module=_find_module,
        load_module=_load_module,
        PY_SOURCE=_PY_SOURCE,
        PKG_DIRECTORY=_PKG_DIRECTORY,
    )
    return module


def make_celementtree() -> ModuleType:
    """``xml.etree.cElementTree`` has been ``xml.etree.ElementTree`` since Python 3.3."""
    return xml.etree.ElementTree
