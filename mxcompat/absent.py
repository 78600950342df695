"""Modules of the original that mxcompat does not have: importing one works, using it says what is missing.

Scripts often import ``mxnet.gluon`` or ``mxnet.numpy`` beside what they use, so an import alone must not fail.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any

from mxcompat.base import MXNetError

#: what to do instead, where there is something
ADVICE = {
    "gluon": "mxcompat covers the Symbol and Module API; port Gluon blocks to torch.nn",
    "numpy": "use numpy, or mx.nd for arrays that operators take",
    "numpy_extension": "use mx.nd",
    "torch": "call PyTorch directly, or write a custom operator",
    "rtc": "CUDA kernels at run time are not supported; write a custom operator",
}


class AbsentError(MXNetError, AttributeError):
    """Use of a module that mxcompat does not have."""


class AbsentClass(type):
    """Stands for a class of such a module: scripts may derive from it, making an object raises ``AbsentError``."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        raise absent_error(next(base.__dict__["_absent"] for base in cls.__mro__ if "_absent" in base.__dict__))

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise absent_error(f"{cls._absent}.{name}")


class AbsentModule(ModuleType):
    """Stands for a module of the original; its classes can be named and derived from, any use raises ``AbsentError``."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        full = f"{self.__name__.split('.', 1)[1]}.{name}"
        if not name[0].isupper():
            raise absent_error(full)
        value = AbsentClass(
            name, (), {"_absent": full, "__module__": self.__name__, "__doc__": str(absent_error(full))}
        )
        setattr(self, name, value)
        return value

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """``mx.rtc(…)`` of the first versions was a class."""
        raise absent_error(self.__name__.split(".", 1)[1])


def absent_error(full: str) -> AbsentError:
    """What is raised for a use of ``mx.<full>``, which is not here."""
    module = full.rpartition(".")[0] or full
    advice = ADVICE.get(full.split(".")[0])
    return AbsentError(f"mxcompat has no {full}: mx.{module} is not supported" + (f" ({advice})" if advice else ""))


def module_or_absent(name: str) -> ModuleType:
    """The module of that full name, or a stand-in when mxcompat does not have it."""
    if name in sys.modules:
        return sys.modules[name]
    if importlib.util.find_spec(name) is not None:
        return importlib.import_module(name)
    stand_in = AbsentModule(name, f"Stands for {name}, which mxcompat does not have.")
    stand_in.__path__ = []  # its submodules are absent too
    sys.modules[name] = stand_in
    return stand_in
