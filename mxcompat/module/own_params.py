"""The copies of the parameters that a module keeps beside its executors' own."""

from __future__ import annotations

import weakref
from collections.abc import Collection, Mapping

from mxcompat import ndarray as nd

__all__ = ["OwnParams"]


class _Arrays(dict):
    """A dict of name to NDArray that can be referred to weakly."""

    __slots__ = ("__weakref__",)


class OwnParams:
    """A dict of name to NDArray on the cpu; modules with shared memory share it.

    Once the executors' parameters are newer, nobody needs the copies (98 MB for ResNet-50) but a program that got them from
    ``get_params``. ``let_go`` leaves them to such a program; ``arrays`` brings back what is still there: the same dict, the
    same arrays, as far as anybody holds them, and new ones for the rest.
    """

    def __init__(self, arrays: Mapping[str, nd.NDArray]):
        self._held: dict[str, nd.NDArray] | None = _Arrays(arrays)
        self._dict: weakref.ref | None = None
        self._order: list[str] = []
        self._weak: dict[str, weakref.ref] = {}
        self._kept: dict[str, nd.NDArray] = {}

    @property
    def is_let_go(self) -> bool:
        """Whether values must come from the executors before anybody sees them."""
        return self._held is None

    def let_go(self, newer: Mapping[str, nd.NDArray]) -> None:
        """Leave those arrays to others that are like the executor's, ``newer``, by name."""
        if self._held is None:
            return
        self._dict, self._order = weakref.ref(self._held), list(self._held)
        self._kept = {name: array for name, array in self._held.items() if not _is_like(array, newer.get(name))}
        self._weak = {name: weakref.ref(array) for name, array in self._held.items() if name not in self._kept}
        self._held = None

    def arrays(self, newer: Mapping[str, nd.NDArray] | None = None) -> dict[str, nd.NDArray]:
        """The dict; arrays that are gone are made like those in ``newer``, without values."""
        if self._held is None:
            assert self._dict is not None and newer is not None
            self._held = self._dict()
            if self._held is None:
                self._held = _Arrays((name, self._array(name, newer)) for name in self._order)
        return self._held

    def _array(self, name: str, newer: Mapping[str, nd.NDArray]) -> nd.NDArray:
        array = self._kept.get(name)
        if array is None:
            array = self._weak[name]()
        return nd.zeros(newer[name].shape, dtype=newer[name].dtype) if array is None else array


def _is_like(array: nd.NDArray, other: nd.NDArray | None) -> bool:
    if other is None or array.stype != "default" or other.stype != "default":
        return False
    return array.context.device_type == "cpu" and array.shape == other.shape and array.dtype == other.dtype


def zeros_like(names: Collection[str], blocks: Collection) -> OwnParams:
    """Copies for the parameters of a group of executors: ``blocks`` hold the arrays of each."""
    pairs = ((name, block[0]) for name, block in zip(names, blocks))
    return OwnParams({name: nd.zeros(x.shape, dtype=x.dtype, stype=x.stype) for name, x in pairs})
