"""Optimizers and the Updater that keeps their states (public path: ``mxnet.optimizer.optimizer``).

``update`` takes one parameter or lists of them; the rules here change all parameters of a list by one foreach step.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy
import torch

from mxcompat import lr_scheduler
from mxcompat.base import MXNetError
from mxcompat.formats import arrays as array_format
from mxcompat.formats import states as state_format
from mxcompat.ndarray import NDArray, zeros
from mxcompat.ndarray.ndarray import _from_record, _record
from mxcompat.ops import optimizer as steps

__all__ = ["SGD", "Adam", "Optimizer", "Test", "Updater", "ccSGD", "create", "get_updater", "register"]


class Optimizer:
    """Base class: learning rate, weight decay and their multipliers by parameter, and the count of updates.

    Multipliers come from ``param_dict``, ``set_lr_mult`` and ``set_wd_mult`` (by index or name) and from the attributes
    ``__lr_mult__`` and ``__wd_mult__`` of ``sym``. With ``param_idx2name``, names that do not end in ``_weight`` or
    ``_gamma`` get no weight decay.
    """

    opt_registry: dict[str, type] = {}

    def __init__(
        self,
        rescale_grad: float = 1.0,
        param_idx2name: dict[int, str] | None = None,
        wd: float = 0.0,
        clip_gradient: float | None = None,
        learning_rate: float | None = None,
        lr_scheduler: Any = None,
        sym: Any = None,
        begin_num_update: int = 0,
        multi_precision: bool = False,
        param_dict: dict[Any, Any] | None = None,
    ):
        self.rescale_grad, self.wd, self.clip_gradient, self.multi_precision = (
            rescale_grad,
            wd,
            clip_gradient,
            multi_precision,
        )
        self.lr_scheduler = lr_scheduler
        if self.lr_scheduler is None and learning_rate is None:
            learning_rate = 0.01
        self.lr: Any = learning_rate
        if self.lr_scheduler is not None and learning_rate is not None:
            if self.lr_scheduler.base_lr != learning_rate:
                logging.getLogger(__name__).info(
                    "learning rate from ``lr_scheduler`` has been overwritten by ``learning_rate``"
                )
            self.lr_scheduler.base_lr = learning_rate
        self.begin_num_update = self.num_update = begin_num_update
        self._all_index_update_counts: dict[int, dict[Any, int]] = {0: {}}
        self._index_update_count = self._all_index_update_counts[0]
        self.aggregate_num = 0
        if param_idx2name is None:
            param_idx2name = {}
        if not isinstance(param_idx2name, dict):
            raise AssertionError("param_idx2name should be a dict of param indexes to names.")
        self.idx2name = param_idx2name.copy()
        self.sym_info = (sym.attr_dict(), sym.list_arguments()) if sym is not None else ()
        self.param_dict = param_dict or {}
        self.allow_np_array = False
        self.set_lr_mult({})
        self.set_wd_mult({})

    # -- registry -----------------------------------------------------------------------------------------------

    @staticmethod
    def register(klass: type) -> type:
        """Register a class under its lower-case name; a taken name is replaced, with a warning."""
        if not isinstance(klass, type):
            raise AssertionError(f"expected a class, found {klass!r}")
        name = klass.__name__.lower()
        old = Optimizer.opt_registry.get(name)
        if old is not None and old is not klass:
            warnings.warn(
                f"WARNING: New optimizer {klass.__module__}.{klass.__name__} is overriding existing optimizer "
                f"{old.__module__}.{old.__name__}",
                stacklevel=2,
            )
        Optimizer.opt_registry[name] = klass
        return klass

    @staticmethod
    def create_optimizer(name: str, **kwargs: Any) -> Optimizer:
        """An optimizer by name; ``ValueError`` for an unknown one."""
        if name.lower() in Optimizer.opt_registry:
            return Optimizer.opt_registry[name.lower()](**kwargs)
        raise ValueError(f"Cannot find optimizer {name} (known: {', '.join(sorted(Optimizer.opt_registry))})")

    # -- the rule -----------------------------------------------------------------------------------------------

    def create_state(self, index: Any, weight: NDArray) -> Any:
        """The state of one parameter (None, an array or a tuple)."""
        return None

    def create_state_multi_precision(self, index: Any, weight: NDArray) -> Any:
        """Like ``create_state``; with ``multi_precision`` a float16 weight gets a float32 master copy beside it."""
        if self.multi_precision and weight.dtype == numpy.float16:
            master = weight.astype(numpy.float32)
            return self.create_state(index, master), master
        if weight.dtype == numpy.float16 and not self.multi_precision:
            warnings.warn(
                "Accumulating with float16 in optimizer can lead to poor accuracy or slow convergence. Consider using "
                "multi_precision=True option of the optimizer",
                stacklevel=2,
            )
        return self.create_state(index, weight)

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Change weight and state by the gradient; all four may be lists."""
        raise TypeError(f"{type(self).__name__} must define update")

    def update_multi_precision(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Like ``update``, on the float32 master copy of float16 weights with ``multi_precision``."""
        if not (self.multi_precision and not isinstance(weight, (list, tuple)) and weight.dtype == numpy.float16):
            self.update(index, weight, grad, state)
            return
        inner, master = state
        self.update(index, master, grad.astype(numpy.float32), inner)
        weight[:] = master

    # -- rates --------------------------------------------------------------------------------------------------

    @property
    def learning_rate(self) -> float:
        """The rate now: the scheduler's, or the fixed one."""
        return self.lr_scheduler(self.num_update) if self.lr_scheduler is not None else self.lr

    def set_learning_rate(self, lr: float) -> None:
        """Set the fixed rate; ``UserWarning`` raised when a scheduler rules."""
        if self.lr_scheduler is not None:
            raise UserWarning(
                "LRScheduler of the optimizer has already been defined. Note that set_learning_rate can mutate the "
                "value of the learning rate of the optimizer only when the LRScheduler of the optimizer is undefined."
            )
        self.lr = lr

    def set_lr_mult(self, args_lr_mult: dict[Any, float]) -> None:
        """Multipliers of the rate by index or name, over those of the symbol's attributes."""
        self.lr_mult: dict[Any, float] = self._attribute_multipliers("__lr_mult__")
        self.lr_mult.update(args_lr_mult)

    def set_wd_mult(self, args_wd_mult: dict[Any, float]) -> None:
        """Multipliers of the weight decay by index or name, over those of the symbol's attributes."""
        self.wd_mult: dict[Any, float] = {
            name: 0.0 for name in self.idx2name.values() if not name.endswith(("_weight", "_gamma"))
        }
        self.wd_mult.update(self._attribute_multipliers("__wd_mult__"))
        self.wd_mult.update(args_wd_mult)

    def _attribute_multipliers(self, key: str) -> dict[Any, float]:
        if not self.sym_info:
            return {}
        attributes, arguments = self.sym_info
        return {name: float(attributes[name][key]) for name in arguments if key in attributes.get(name, {})}

    def _set_current_context(self, device_id: int) -> None:
        self._index_update_count = self._all_index_update_counts.setdefault(device_id, {})

    def _update_count(self, index: Any) -> None:
        for i in index if isinstance(index, (list, tuple)) else [index]:
            count = self._index_update_count.get(i, self.begin_num_update) + 1
            self._index_update_count[i] = count
            self.num_update = max(count, self.num_update)

    def _multiplied(self, base: float, indices: Sequence[Any], table: dict[Any, float], attribute: str) -> list[float]:
        result = []
        for index in indices:
            if index in self.param_dict:
                result.append(base * getattr(self.param_dict[index], attribute))
            elif index in table:
                result.append(base * table[index])
            elif index in self.idx2name:
                result.append(base * table.get(self.idx2name[index], 1.0))
            else:
                result.append(base)
        return result

    def _get_lrs(self, indices: Sequence[Any]) -> list[float]:
        return self._multiplied(self.learning_rate, indices, self.lr_mult, "lr_mult")

    def _get_lr(self, index: Any) -> float:
        return self._get_lrs([index])[0]

    def _get_wds(self, indices: Sequence[Any]) -> list[float]:
        return self._multiplied(self.wd, indices, self.wd_mult, "wd_mult")

    def _get_wd(self, index: Any) -> float:
        return self._get_wds([index])[0]

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        del state["_index_update_count"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ = state
        self._index_update_count = self._all_index_update_counts[0]


register = Optimizer.register
create = Optimizer.create_optimizer


def _lists(*values: Any) -> list[list]:
    """The arguments of ``update`` as lists."""
    if isinstance(values[0], (list, tuple)):
        return [list(value) for value in values]
    return [[value] for value in values]


def _tensors(arrays: Sequence[NDArray]) -> list[torch.Tensor]:
    return [array._data for array in arrays]


def _groups(weights: Sequence[NDArray], states: Sequence[Any]) -> list[list[int]]:
    """Positions that one foreach step can take together: same device, type and kind of state."""
    groups: dict[Any, list[int]] = {}
    for position, (weight, state) in enumerate(zip(weights, states)):
        data = weight._data
        groups.setdefault((data.device, data.dtype, state is None), []).append(position)
    return list(groups.values())


@register
class SGD(Optimizer):
    """w -= lr (clip(rescale g) + wd w), with ``momentum`` as a running sum of these steps.

    ``lazy_update`` matters for row-sparse gradients only.
    """

    def __init__(self, momentum: float = 0.0, lazy_update: bool = True, **kwargs: Any):
        super().__init__(**kwargs)
        self.momentum, self.lazy_update = momentum, lazy_update
        self.aggregate_num = 4

    def create_state(self, index: Any, weight: NDArray) -> Any:
        if self.momentum == 0.0:
            return None
        return zeros(weight.shape, weight.context, dtype=weight.dtype)

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        indices, weights, grads, states = _lists(index, weight, grad, state)
        self._update_count(indices)
        lrs, wds = self._get_lrs(indices), self._get_wds(indices)
        with torch.no_grad():
            for group in _groups(weights, states):
                momenta = None if states[group[0]] is None else _tensors([states[i] for i in group])
                steps.sgd_(
                    _tensors([weights[i] for i in group]),
                    _tensors([grads[i] for i in group]),
                    momenta,
                    [lrs[i] for i in group],
                    [wds[i] for i in group],
                    self.momentum,
                    self.rescale_grad,
                    self.clip_gradient,
                )


@register
class ccSGD(SGD):  # noqa: N801
    """Another name of SGD, from before 0.9."""


@register
class Adam(Optimizer):
    """Adam with the bias correction in the rate; weight decay is added to the gradient before clipping."""

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        lazy_update: bool = True,
        **kwargs: Any,
    ):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.beta1, self.beta2, self.epsilon, self.lazy_update = beta1, beta2, epsilon, lazy_update

    def create_state(self, index: Any, weight: NDArray) -> Any:
        return (
            zeros(weight.shape, weight.context, dtype=weight.dtype),
            zeros(weight.shape, weight.context, dtype=weight.dtype),
        )

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        indices, weights, grads, states = _lists(index, weight, grad, state)
        self._update_count(indices)
        lrs, wds = self._get_lrs(indices), self._get_wds(indices)
        for position, i in enumerate(indices):
            t = self._index_update_count[i]
            lrs[position] *= math.sqrt(1.0 - self.beta2**t) / (1.0 - self.beta1**t)
        with torch.no_grad():
            for group in _groups(weights, states):
                steps.adam_(
                    _tensors([weights[i] for i in group]),
                    _tensors([grads[i] for i in group]),
                    _tensors([states[i][0] for i in group]),
                    _tensors([states[i][1] for i in group]),
                    [lrs[i] for i in group],
                    [wds[i] for i in group],
                    (self.beta1, self.beta2),
                    self.epsilon,
                    self.rescale_grad,
                    self.clip_gradient,
                )


@register
class Test(Optimizer):
    """Adds the rescaled gradient to the weight and keeps the weight as its state."""

    __test__ = False

    def create_state(self, index: Any, weight: NDArray) -> Any:
        return zeros(weight.shape, weight.context)

    def update(self, index: Any, weight: NDArray, grad: NDArray, state: NDArray) -> None:
        weight[:] += grad * self.rescale_grad
        state[:] = weight


class Updater:
    """Calls an optimizer for parameters by index and keeps their states: what a Module or a kvstore updates with."""

    def __init__(self, optimizer: Optimizer):
        self.optimizer = optimizer
        self.states: dict[Any, Any] = {}
        self.states_synced: dict[Any, bool] = {}
        self.aggregate_updates = optimizer.aggregate_num > 0

    def __call__(self, index: Any, grad: Any, weight: Any) -> None:
        """Update one parameter, or all of the lists in one step."""
        indices, grads, weights = _lists(index, grad, weight)
        if weights:
            self.optimizer._set_current_context(weights[0].context.device_id)
        for i, array in zip(indices, weights):
            if i not in self.states:
                self.states[i] = self.optimizer.create_state_multi_precision(i, array)
                self.states_synced[i] = True
            elif not self.states_synced[i]:
                self.states[i] = self.sync_state_context(self.states[i], array.context)
                self.states_synced[i] = True
        together = [k for k, array in enumerate(weights) if self._takes_lists() and array.dtype != numpy.float16]
        if together:
            self.optimizer.update(
                [indices[k] for k in together],
                [weights[k] for k in together],
                [grads[k] for k in together],
                [self.states[indices[k]] for k in together],
            )
        for k in sorted(set(range(len(indices))) - set(together)):
            self.optimizer.update_multi_precision(indices[k], weights[k], grads[k], self.states[indices[k]])

    def _takes_lists(self) -> bool:
        """Whether the rule in force is one of this package's, which all take lists (a user's own may not)."""
        return type(self.optimizer).update in (SGD.update, Adam.update)

    def sync_state_context(self, state: Any, context: Any) -> Any:
        """A state, moved to a context."""
        if isinstance(state, NDArray):
            return state.as_in_context(context)
        if isinstance(state, (tuple, list)):
            return type(state)(self.sync_state_context(part, context) for part in state)
        return state

    def set_states(self, states: bytes) -> None:
        """Take over states that ``get_states`` gave, here or in MXNet; ``MXNetError`` for anything unsafe in them."""
        loaded = state_format.loads(states, _array_from_bytes, _resolve)
        if isinstance(loaded, tuple) and len(loaded) == 2:
            self.states, self.optimizer = loaded
        else:
            self.states = loaded
        if not isinstance(self.states, dict):
            raise MXNetError(f"optimizer states: expected a dict, found {type(self.states)}")
        self.states_synced = dict.fromkeys(self.states, False)

    def get_states(self, dump_optimizer: bool = False) -> bytes:
        """The states (with ``dump_optimizer`` the optimizer too) as MXNet pickles them."""
        content = (self.states, self.optimizer) if dump_optimizer else self.states
        return state_format.dumps(content, NDArray, _array_to_bytes)


def _array_to_bytes(array: NDArray) -> bytes:
    return array_format.dump_record(_record(array))


def _array_from_bytes(content: bytes) -> NDArray:
    return _from_record(array_format.parse_record(content))


def _resolve(module: str, name: str) -> Any:
    """The class that a states file names: an optimizer or a schedule; None for anything else."""
    if name.lower() in Optimizer.opt_registry:
        return Optimizer.opt_registry[name.lower()]
    return getattr(lr_scheduler, name, None) if name in lr_scheduler.__all__ else None


def get_updater(optimizer: Optimizer) -> Updater:
    """The updater of an optimizer."""
    return Updater(optimizer)
