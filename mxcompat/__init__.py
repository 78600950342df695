"""mxcompat: the Symbol/Module API of Apache MXNet, running on PyTorch.

``import mxcompat as mx`` gives the names of ``import mxnet as mx``; ``mxcompat.install()`` makes ``import mxnet`` itself
give them. Everything is imported at first use, so that ``import mxcompat.recordio`` and the file tools need no torch.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

__version__ = "1.9.1"

#: public name -> module below this package
_MODULES = {
    "api": "api",
    "attribute": "attribute",
    "autograd": "autograd",
    "base": "base",
    "callback": "callback",
    "context": "context",
    "contrib": "contrib",
    "engine": "engine",
    "error": "error",
    "executor": "executor",
    "executor_manager": "executor_manager",
    "gluon": "gluon",
    "image": "image",
    "img": "image",
    "init": "initializer",
    "initializer": "initializer",
    "io": "io",
    "kv": "kvstore",
    "kvstore": "kvstore",
    "libinfo": "libinfo",
    "library": "library",
    "log": "log",
    "lr_scheduler": "lr_scheduler",
    "metric": "metric",
    "mod": "module",
    "model": "model",
    "module": "module",
    "mon": "monitor",
    "monitor": "monitor",
    "name": "name",
    "nd": "ndarray",
    "ndarray": "ndarray",
    "ndarray_doc": "ndarray_doc",
    "notebook": "notebook",
    "np": "numpy",
    "np_symbol": "np_symbol",
    "npx": "numpy_extension",
    "numpy": "numpy",
    "numpy_dispatch_protocol": "numpy_dispatch_protocol",
    "numpy_extension": "numpy_extension",
    "numpy_op_fallback": "numpy_op_fallback",
    "numpy_op_signature": "numpy_op_signature",
    "onnx": "onnx",
    "operator": "operator",
    "optimizer": "optimizer",
    "profiler": "profiler",
    "random": "random",
    "recordio": "recordio",
    "registry": "registry",
    "rnd": "random",
    "rnn": "rnn",
    "rtc": "rtc",
    "runtime": "runtime",
    "sym": "symbol",
    "symbol": "symbol",
    "symbol_doc": "symbol_doc",
    "test_utils": "test_utils",
    "th": "torch",
    "torch": "torch",
    "tvmop": "tvmop",
    "util": "util",
    "visualization": "visualization",
    "viz": "visualization",
}
#: public name -> module that defines it
_NAMES = {
    "AttrScope": "attribute",
    "Context": "context",
    "MXNetError": "base",
    "cpu": "context",
    "cpu_pinned": "context",
    "current_context": "context",
    "gpu": "context",
    "is_np_array": "util",
    "is_np_shape": "util",
    "np_array": "util",
    "np_shape": "util",
    "set_np_shape": "util",
    "use_np": "util",
    "use_np_array": "util",
    "use_np_shape": "util",
}
#: names of mxcompat itself
_OWN = {"install": "migrate.alias", "uninstall": "migrate.alias"}

__all__ = sorted([*_MODULES, *_NAMES])  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        from mxcompat.absent import module_or_absent

        value = module_or_absent(f"mxcompat.{_MODULES[name]}")
    elif name in _NAMES:
        value = getattr(importlib.import_module(f"mxcompat.{_NAMES[name]}"), name)
    elif name in _OWN:
        value = getattr(importlib.import_module(f"mxcompat.{_OWN[name]}"), name)
    else:
        raise AttributeError(f"module 'mxcompat' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_OWN})


def load_ipython_extension(ipython: Any) -> None:
    """``%load_ext mxcompat``: the alias, and symbols that show as drawings."""
    from mxcompat.migrate.notebook import load

    load(ipython)


def unload_ipython_extension(ipython: Any) -> None:
    """``%unload_ext mxcompat``: the end of both."""
    from mxcompat.migrate.notebook import unload

    unload(ipython)


class _UnsupportedModules:
    """Asked last of all finders: ``from mxcompat.gluon import nn`` gives a stand-in that can be imported but not used."""

    @staticmethod
    def find_spec(fullname: str, path: Any = None, target: Any = None) -> Any:
        if not fullname.startswith("mxcompat."):
            return None
        from mxcompat.migrate.alias import stand_in

        return stand_in(fullname)


sys.meta_path.append(_UnsupportedModules)

if os.environ.get("MXNET_PROFILER_AUTOSTART", "0") not in ("", "0", "false"):
    from mxcompat.profiler.control import autostart

    autostart()
