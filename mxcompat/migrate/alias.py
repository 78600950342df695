"""The alias: ``import mxnet`` and every submodule give mxcompat's own modules, as the same objects.

Two finders do it. The first in ``sys.meta_path`` answers for ``mxnet`` and ``mxnet.*`` with the module of the same path
below mxcompat. The last one is asked only for ``mxcompat.*`` names that nobody found: modules of the original that are
not supported become stand-ins that can be imported but not used, anything else fails with a message that says so.

Processes started from here inherit the alias: a folder on PYTHONPATH holds a package ``mxnet`` that installs it.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import mxcompat
from mxcompat.absent import ADVICE, AbsentModule

__all__ = ["Alias", "install", "is_installed", "uninstall"]

#: the folder that children have on PYTHONPATH
INHERIT = str(Path(__file__).parent / "inherit")

#: submodules of unsupported modules; old scripts import these by ``from mxnet.gluon import nn``
_ABSENT_SUBMODULES = {
    "contrib": "amp onnx quantization tensorboard tensorrt text",
    "contrib.amp": "amp lists loss_scaler",
    "gluon": "block contrib data loss model_zoo nn parameter rnn trainer utils",
    "gluon.contrib": "cnn data estimator nn rnn",
    "gluon.data": "batchify dataloader dataset sampler vision",
    "gluon.data.vision": "datasets transforms",
    "gluon.model_zoo": "model_store vision",
    "gluon.nn": "activations basic_layers conv_layers",
    "gluon.rnn": "rnn_cell rnn_layer",
    "numpy": "linalg random",
    "numpy_extension": "image random",
}


class _AliasFinder(MetaPathFinder, Loader):
    """Answers ``mxnet`` and ``mxnet.*`` with the module of the same path below mxcompat."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "mxnet" and not fullname.startswith("mxnet."):
            return None
        own = _own_name(fullname)
        if own not in sys.modules and importlib.util.find_spec(own) is None:
            return None
        return ModuleSpec(fullname, self)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None  # a throw-away module; exec_module puts the real one in its place

    def exec_module(self, module: ModuleType) -> None:
        # The import system takes what is in sys.modules after this call, so the real module keeps its own __spec__.
        sys.modules[module.__name__] = importlib.import_module(_own_name(module.__name__))


class _AbsentFinder(MetaPathFinder, Loader):
    """Asked last for ``mxcompat.*``: stand-ins for unsupported modules, a clear error for everything else."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith("mxcompat."):
            return None
        spec = stand_in(fullname)
        if spec is not None:
            return spec
        short = fullname.partition(".")[2]
        advice = ADVICE.get(short.split(".")[0])
        # A name other than the one searched for keeps `from mxnet import name` from swallowing this message.
        raise ModuleNotFoundError(
            f"mxcompat has no mxnet.{short}" + (f" ({advice})" if advice else ""), name=f"mxnet.{short}"
        )

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return AbsentModule(spec.name, f"Stands for {spec.name}, which mxcompat does not have.")

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to run: a stand-in is complete when it is made."""


def stand_in(fullname: str) -> ModuleSpec | None:
    """The spec of a stand-in for a module of the original that mxcompat does not have; None for any other name."""
    parent, _, child = fullname.partition(".")[2].rpartition(".")
    known = _ABSENT_SUBMODULES.get(parent, "").split() if parent else mxcompat._MODULES.values()
    return ModuleSpec(fullname, _ABSENT, is_package=True) if child in known else None


_FINDER, _ABSENT = _AliasFinder(), _AbsentFinder()


class Alias:
    """What ``install`` returns; as a context manager it ends the alias that this call has installed."""

    def __init__(self, installed_here: bool):
        self._installed_here = installed_here

    def __enter__(self) -> Alias:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._installed_here:
            uninstall()


def _own_name(fullname: str) -> str:
    return "mxcompat" + fullname[len("mxnet") :]


def is_installed() -> bool:
    """Whether ``import mxnet`` gives mxcompat in this process."""
    return _FINDER in sys.meta_path


def install() -> Alias:
    """Make ``import mxnet`` and every submodule give mxcompat, here and in processes started from here.

    Calling it again changes nothing. ``with mxcompat.install():`` limits it to a block. ``ImportError`` if the real
    mxnet is already imported.
    """
    if is_installed():
        return Alias(installed_here=False)
    other = sys.modules.get("mxnet")
    if other is not None and other is not mxcompat:
        where = getattr(other, "__file__", None) or "somewhere"
        if os.path.dirname(os.path.dirname(os.path.abspath(where))) != INHERIT:
            raise ImportError(
                f"mxnet {getattr(other, '__version__', '')} is already imported from {where}: call mxcompat.install() "
                "before anything imports mxnet"
            )
        del sys.modules["mxnet"]
    sys.meta_path.insert(0, _FINDER)
    sys.meta_path.append(_ABSENT)
    importlib.import_module("mxnet")
    _let_children_inherit()
    return Alias(installed_here=True)


def uninstall() -> None:
    """End the alias: ``import mxnet`` finds the real one again, if there is one. What was imported stays usable."""
    for finder in (_FINDER, _ABSENT):
        if finder in sys.meta_path:
            sys.meta_path.remove(finder)
    for name in [name for name in sys.modules if name == "mxnet" or name.startswith("mxnet.")]:
        if sys.modules[name] is sys.modules.get(_own_name(name)):
            del sys.modules[name]
    sys.path[:] = [entry for entry in sys.path if entry != INHERIT]
    inherited = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if INHERIT in inherited:
        inherited.remove(INHERIT)
        os.environ["PYTHONPATH"] = os.pathsep.join(inherited)
        if not inherited:
            del os.environ["PYTHONPATH"]


def _let_children_inherit() -> None:
    path = os.environ.get("PYTHONPATH")
    if INHERIT not in (path or "").split(os.pathsep):
        os.environ["PYTHONPATH"] = INHERIT + os.pathsep + path if path else INHERIT
    if INHERIT not in sys.path:  # multiprocessing hands sys.path to spawned children, in place of their own
        sys.path.insert(1, INHERIT)
