"""The updater: an optimizer together with the states of the parameters it updates."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

from mxcompat import lr_scheduler
from mxcompat.base import MXNetError, py_str
from mxcompat.formats import arrays as array_format
from mxcompat.formats import states as state_format
from mxcompat.ndarray.ndarray import NDArray, _from_record
from mxcompat.ndarray.records import record_of
from mxcompat.optimizer.base import Optimizer

__all__ = ["Updater", "get_updater", "read_states"]

#: attributes in which a class defines its rule; the first class that has one decides how it is called
_RULES = ("_update_list", "update_multi_precision", "update")


class Updater:
    """Updates parameters by index with an optimizer, and keeps their states (``states``, by index)."""

    def __init__(self, optimizer: Optimizer):
        self.optimizer = optimizer
        self.states: dict[Any, Any] = {}
        self.states_synced: dict[Any, bool] = {}
        self.aggregate_updates = optimizer.aggregate_num > 0

    def __call__(self, index: Any, grad: Any, weight: Any) -> None:
        """Update a parameter with its gradient, in place; with lists, many at once."""
        indices: Sequence[Any] = index if isinstance(index, (list, tuple)) else [index]
        indices = [py_str(i) if isinstance(i, bytes) else i for i in indices]
        grads: Sequence[Any] = grad if isinstance(index, (list, tuple)) else [grad]
        weights: Sequence[Any] = weight if isinstance(index, (list, tuple)) else [weight]
        if not weights:
            return
        optimizer = self.optimizer
        optimizer._set_current_context(weights[0].context.device_id)
        states: Sequence[Any] = [self._state(i, array) for i, array in zip(indices, weights)]
        rule = _rule(type(optimizer)) if optimizer.aggregate_num > 0 or len(indices) > 1 else "update"
        if rule == "_update_list":
            if optimizer.aggregate_num > 0:
                indices, weights, grads, states = _by_type(indices, weights, grads, states)
            optimizer.update_multi_precision(indices, weights, grads, states)
        elif rule == "update_multi_precision" and optimizer.aggregate_num > 0:
            for group in _groups(indices, weights, grads, states, optimizer.aggregate_num):
                optimizer.update_multi_precision(*group)
        else:
            for arguments in zip(indices, weights, grads, states):
                optimizer.update_multi_precision(*arguments)

    def _state(self, index: Any, weight: NDArray) -> Any:
        """The state of a parameter, new or moved to the weight's context where it has to be."""
        if index not in self.states:
            self.states[index] = self.optimizer.create_state_multi_precision(index, weight)
            self.states_synced[index] = True
        elif not self.states_synced[index]:
            self.states[index] = self.sync_state_context(self.states[index], weight.context)
            self.states_synced[index] = True
        return self.states[index]

    def sync_state_context(self, state: Any, context: Any) -> Any:
        """The state with its arrays on ``context``."""
        if isinstance(state, NDArray):
            return state.as_in_context(context)
        if isinstance(state, (tuple, list)):
            return type(state)(self.sync_state_context(part, context) for part in state)
        return state

    def get_states(self, dump_optimizer: bool = False) -> bytes:
        """The states (with ``dump_optimizer``: and the optimizer) as MXNet 1.9.1 pickles them."""
        content = (self.states, self.optimizer) if dump_optimizer else self.states
        return state_format.dumps(content, NDArray, _array_bytes)

    def set_states(self, states: bytes) -> None:
        """Take over what ``get_states`` gave, here or in MXNet.

        No code of the file is run: optimizers and schedules in it must be those of MXNet, registered optimizers, or
        subclasses of ``LRScheduler`` that exist. Anything else raises ``MXNetError``, as does a damaged file.
        """
        self._take(states, "<states>")

    def _take(self, states: bytes, source: str) -> None:
        """Take over the states in a file that is called ``source`` in messages."""
        content = state_format.loads(states, _array, _known_class, _classes_of_the_program(), source)
        optimizer = None
        if isinstance(content, tuple) and len(content) == 2:
            content, optimizer = content
        if not isinstance(content, dict) or not isinstance(optimizer, (Optimizer, type(None))):
            raise MXNetError(f"{source}: expected a dict, or a dict and an optimizer, found {type(content)}")
        self.states = content
        if optimizer is not None:
            self.optimizer = optimizer
        self.states_synced = dict.fromkeys(content, False)


def _rule(kind: type) -> str:
    """Where a class has its rule: ``_update_list`` in the classes of this package, which update lists in one step, or
    what a subclass overrides."""
    for base in kind.__mro__:
        for rule in _RULES:
            if rule in base.__dict__ and base is not Optimizer:
                return rule
    return "update"


def _by_type(indices: Sequence, weights: Sequence, grads: Sequence, states: Sequence) -> tuple[Sequence, ...]:
    """The parameters ordered by element type, in order of first appearance, as aggregating optimizers take them."""
    place: dict[Any, int] = {}
    places = [place.setdefault(weight._data.dtype, len(place)) for weight in weights]
    if len(place) == 1:
        return indices, weights, grads, states
    order = sorted(range(len(places)), key=places.__getitem__)
    return tuple([column[i] for i in order] for column in (indices, weights, grads, states))


def _groups(indices: Sequence, weights: Sequence, grads: Sequence, states: Sequence, size: int) -> Iterator[tuple]:
    """Groups of up to ``size`` parameters of one type."""
    columns = _by_type(indices, weights, grads, states)
    start = 0
    while start < len(indices):
        dtype = columns[1][start].dtype
        stop = start + 1
        while stop < len(indices) and stop - start < size and columns[1][stop].dtype == dtype:
            stop += 1
        yield tuple(column[start:stop] for column in columns)
        start = stop


# -- classes in files of states ---------------------------------------------------------------------------------


def _array_bytes(array: NDArray) -> bytes:
    return array_format.dump_record(record_of(array))


def _array(record: bytes) -> NDArray:
    return _from_record(array_format.parse_record(record))


def _known_class(module: str, name: str) -> type | None:
    """The class of this package for a name in ``mxnet.optimizer`` or ``mxnet.lr_scheduler``."""
    root = lr_scheduler.LRScheduler if module.startswith("mxnet.lr_scheduler") else Optimizer
    found = [kind for kind in _family(root) if kind.__name__ == name and kind.__module__.startswith("mxcompat.")]
    return found[0] if found else None


def _classes_of_the_program() -> dict[tuple[str, str], type]:
    """Registered optimizers, and schedules, that the running program defines."""
    kinds = [*Optimizer.opt_registry.values(), *_family(lr_scheduler.LRScheduler)]
    return {(kind.__module__, kind.__qualname__): kind for kind in kinds if not kind.__module__.startswith("mxcompat.")}


def _family(root: type) -> list[type]:
    """A class and all its subclasses."""
    found = [root]
    for kind in found:
        found += kind.__subclasses__()
    return found


def read_states(updater: Any, path: str | os.PathLike) -> None:
    """``updater.set_states`` with the content of a file; ``MXNetError`` naming the file when it is damaged."""
    with open(path, "rb") as stream:
        content = stream.read()
    if getattr(type(updater), "set_states", None) is Updater.set_states:
        updater._take(content, os.fspath(path))
    else:
        updater.set_states(content)


def get_updater(optimizer: Optimizer) -> Updater:
    """An updater with this optimizer."""
    return Updater(optimizer)
