"""Error classes and their registry (public path: ``mxnet.error``)."""

from __future__ import annotations

from mxcompat.base import MXNetError, error_types, register_error

__all__ = ["MXNetError", "register"]

register = register_error


@register_error
class InternalError(MXNetError):
    """A failure inside the library; its text gets a hint to report it unless it has one."""

    def __init__(self, msg: str):
        if "MXNet hint:" not in msg:
            msg += "\nMXNet hint: this is an error inside mxcompat; please report it with the program that raised it."
        super().__init__(msg)


for _class in (ValueError, TypeError, AttributeError, IndexError, NotImplementedError):
    error_types.setdefault(_class.__name__, _class)
