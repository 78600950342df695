"""The operator catalogue: every operator is one function in one family module, registered once."""

import gc
import importlib
import pkgutil

_INFRASTRUCTURE = {"dtypes", "faces", "mixed", "reference", "registry", "schema", "shape", "storage"}


def load_catalogue() -> None:
    """Import every family module of this package, which registers its operators."""
    collecting = gc.isenabled()
    gc.disable()  # nothing here is garbage, and one collection with torch loaded takes a fifth of the import
    try:
        for module in pkgutil.iter_modules(__path__):
            if module.name not in _INFRASTRUCTURE:
                importlib.import_module(f"{__name__}.{module.name}")
    finally:
        if collecting:
            gc.enable()
