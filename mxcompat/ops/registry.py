"""The catalogue: every operator under its canonical name and its aliases."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from mxcompat.base import MXNetError
from mxcompat.ops.dtypes import same_type
from mxcompat.ops.reference import why_excluded
from mxcompat.ops.schema import Operator, ShapeRule, TypeRule

__all__ = ["find", "get", "names", "operators", "register"]

_BY_NAME: dict[str, Operator] = {}
_OPERATORS: dict[str, Operator] = {}


def register(
    name: str, aliases: Sequence[str] = (), *, infer_shape: ShapeRule, infer_type: TypeRule = same_type, **options: Any
) -> Callable[[Callable], Callable]:
    """Decorator that puts a function into the catalogue and returns it unchanged (options: see ``Operator``).

    A name or alias that is already taken raises ``ValueError``.
    """

    def decorate(fn: Callable) -> Callable:
        operator = Operator(name, fn, aliases=aliases, infer_shape=infer_shape, infer_type=infer_type, **options)
        for key in (name, *aliases):
            if key in _BY_NAME:
                raise ValueError(f"operator name {key!r} is registered twice ({_BY_NAME[key].name} and {name})")
            _BY_NAME[key] = operator
        _OPERATORS[name] = operator
        return fn

    return decorate


def find(name: str) -> Operator | None:
    """The operator of that name or alias, or None."""
    return _BY_NAME.get(name)


def get(name: str) -> Operator:
    """The operator of that name or alias; ``MXNetError``, with the reason where it is left out, when there is none."""
    try:
        return _BY_NAME[name]
    except KeyError:
        reason = why_excluded(name)
        raise MXNetError(f"operator {name!r} is not registered" + (f": {reason}" if reason else "")) from None


def operators() -> Iterable[Operator]:
    """All operators, each once, in order of registration."""
    return _OPERATORS.values()


def names() -> list[str]:
    """All names and aliases, sorted."""
    return sorted(_BY_NAME)
