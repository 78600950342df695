"""The base class of the optimizers: rates, multipliers, counts of updates, registry, and how lists are updated at once."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch

from mxcompat.base import MXNetError
from mxcompat.ndarray.mixed_dispatch import state_rows, weight_rows
from mxcompat.ndarray.ndarray import NDArray, _wrap
from mxcompat.ndarray.sparse_array import BaseSparseNDArray, zeros_of
from mxcompat.ops import steps
from mxcompat.ops.dtypes import NAME_BY_TORCH
from mxcompat.ops.row_updates import update_rows

__all__ = ["Optimizer", "create", "register"]

Class = TypeVar("Class", bound=type)


class Optimizer:
    """Base of the optimizers.

    rescale_grad      factor of every gradient, usually 1 / batch size
    param_idx2name    names of the parameters by index; those not ending in ``_weight`` or ``_gamma`` get no weight decay
    wd                weight decay
    clip_gradient     limit of the rescaled gradient to both sides, None for none
    learning_rate     rate (0.01 without a scheduler); it becomes the scheduler's ``base_lr``
    lr_scheduler      gives the rate for a number of updates
    sym               symbol whose variables may carry ``__lr_mult__`` and ``__wd_mult__``
    begin_num_update  number of updates at which every parameter starts counting
    multi_precision   keep float32 copies of float16 weights, and states, in float32
    param_dict        objects with ``lr_mult`` and ``wd_mult`` by index, which take precedence

    A subclass defines ``create_state(index, weight)`` and ``update(index, weight, grad, state)``, which changes ``weight``
    and ``state``. The classes of this package define ``_update_list`` instead: one step for lists of parameters, with
    the numbers of a loop over them.
    """

    opt_registry: ClassVar[dict[str, type]] = {}

    #: a state with a float32 copy is (state, copy), not (copy, state)
    _copy_is_last: ClassVar[bool] = False

    def __init__(
        self, rescale_grad: float = 1.0, param_idx2name: dict[Any, str] | None = None, wd: float = 0.0,
        clip_gradient: float | None = None, learning_rate: float | None = None, lr_scheduler: Any = None, sym: Any = None,
        begin_num_update: int = 0, multi_precision: bool = False, param_dict: dict[Any, Any] | None = None,
    ):  # fmt: skip
        if lr_scheduler is None and learning_rate is None:
            learning_rate = 0.01
        if lr_scheduler is not None and learning_rate is not None and lr_scheduler.base_lr != learning_rate:
            print(
                UserWarning(
                    "learning rate from ``lr_scheduler`` has been overwritten by ``learning_rate`` in optimizer."
                )
            )
            lr_scheduler.base_lr = learning_rate
        if param_idx2name is not None and not isinstance(param_idx2name, dict):
            raise AssertionError(
                f"param_idx2name should be a dict of param indexes to names, found {type(param_idx2name)}"
            )
        self.rescale_grad = rescale_grad
        self.lr_scheduler = lr_scheduler
        self.lr: Any = learning_rate
        self.wd = wd
        self.begin_num_update = begin_num_update
        self.num_update = begin_num_update
        self._all_index_update_counts: dict[int, dict[Any, int]] = {0: {}}
        self._index_update_count = self._all_index_update_counts[0]
        self.clip_gradient = clip_gradient
        self.multi_precision = multi_precision
        self.aggregate_num = 0
        self.idx2name = dict(param_idx2name or {})
        self.sym_info: tuple = () if sym is None else (sym.attr_dict(), sym.list_arguments())
        self.param_dict = param_dict or {}
        self.allow_np_array = False
        self.set_lr_mult({})
        self.set_wd_mult({})

    # -- registry -----------------------------------------------------------------------------------------------

    @staticmethod
    def register(klass: Class) -> Class:
        """Decorator: make a class known to ``create`` under its name in lower case; a taken name is replaced, with a
        warning."""
        if not isinstance(klass, type):
            raise AssertionError(f"register: expected a class, found {klass!r}")
        name = klass.__name__.lower()
        known = Optimizer.opt_registry.get(name)
        if known is not None:
            warnings.warn(
                f"WARNING: New optimizer {klass.__module__}.{klass.__name__} is overriding existing optimizer "
                f"{known.__module__}.{known.__name__}",
                stacklevel=2,
            )
        Optimizer.opt_registry[name] = klass
        return klass

    @staticmethod
    def create_optimizer(name: str, **kwargs: Any) -> Optimizer:
        """The optimizer of that name, in any case; ``ValueError`` when there is none."""
        if name.lower() not in Optimizer.opt_registry:
            known = ", ".join(sorted(Optimizer.opt_registry))
            raise ValueError(f"Cannot find optimizer {name} (known: {known})")
        return Optimizer.opt_registry[name.lower()](**kwargs)

    # -- states and updates -------------------------------------------------------------------------------------

    def create_state(self, index: Any, weight: NDArray) -> Any:
        """The state of one parameter before its first update: None, an array, or a tuple of these."""

    def create_state_multi_precision(self, index: Any, weight: NDArray) -> Any:
        """Like ``create_state``; with ``multi_precision`` a float16 weight also gets a float32 copy."""
        if self._is_mixed(weight):
            copy = weight.astype(np.float32)
            state = self.create_state(index, copy)
            return (state, copy) if self._copy_is_last else (copy, state)
        if weight.dtype == np.float16:
            warnings.warn(
                "Accumulating with float16 in optimizer can lead to poor accuracy or slow convergence. "
                f"Consider using multi_precision=True option of the {type(self).__name__} optimizer",
                stacklevel=2,
            )
        return self.create_state(index, weight)

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Update a parameter and its state, in place; or many, with a list for each argument."""
        if isinstance(index, (list, tuple)):
            self._update_list(index, weight, grad, state)
        else:
            self._update_list([index], [weight], [grad], [state])

    def update_multi_precision(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Like ``update``; with ``multi_precision``, float16 weights are updated by way of their float32 copies."""
        if not isinstance(index, (list, tuple)):
            if not self._has_copy(weight, state):
                self.update(index, weight, grad, state)
                return
            copy, inner = self._split(state)
            self.update(index, copy, grad.astype(np.float32), inner)
            weight[:] = copy
            return
        mixed = [i for i, (one, its_state) in enumerate(zip(weight, state)) if self._has_copy(one, its_state)]
        if not mixed:
            self.update(index, weight, grad, state)
            return
        targets, grads, states = list(weight), list(grad), list(state)
        for i in mixed:
            targets[i], states[i] = self._split(state[i])
            grads[i] = grad[i].astype(np.float32)
        self.update(index, targets, grads, states)
        with torch.no_grad():
            for i in mixed:
                weight[i]._write(targets[i]._data)

    def _is_mixed(self, weight: NDArray) -> bool:
        return self.multi_precision and weight.dtype == np.float16

    def _has_copy(self, weight: NDArray, state: Any) -> bool:
        return self._is_mixed(weight)

    def _split(self, state: Any) -> tuple[NDArray, Any]:
        """The float32 copy and the rest of a state that has one."""
        return (state[1], state[0]) if self._copy_is_last else (state[0], state[1])

    def _update_list(self, indices: Sequence, weights: Sequence, grads: Sequence, states: Sequence) -> None:
        """Update many parameters; a class either defines this or ``update``."""
        raise NotImplementedError(f"{type(self).__name__} must define update(index, weight, grad, state)")

    def _run(
        self, step: Callable, indices: Sequence, weights: Sequence, grads: Sequence, states: Sequence[Sequence],
        numbers: Sequence[tuple], **options: Any,
    ) -> None:  # fmt: skip
        """One step for all parameters: ``states`` are lists of arrays, ``numbers`` has a tuple for each parameter.

        A row_sparse gradient changes its rows only where ``_skips_rows`` says so; other sparse arrays take part as
        dense copies.
        """
        with torch.no_grad():
            if any(isinstance(array, BaseSparseNDArray) for array in (*weights, *grads)):
                columns = (indices, weights, grads, *states, numbers)
                kept = [i for i in range(len(indices)) if not self._run_sparse(step, i, columns, options)]
                indices, weights, grads, *states, numbers = ([column[i] for i in kept] for column in columns)
            if indices:
                steps.apply(step, self._tensors(indices, weights, grads, states), numbers, **options)

    def _run_sparse(self, step: Callable, place: int, columns: Sequence[Sequence], options: dict[str, Any]) -> bool:
        """The step for one parameter with a sparse weight or gradient; False where both are dense."""
        index, weight, grad, *states, numbers = (column[place] for column in columns)
        if not any(isinstance(array, BaseSparseNDArray) for array in (weight, grad)):
            return False
        if grad.shape != weight.shape or grad.dtype != weight.dtype:
            self._refuse(index, weight, grad)
        if grad.stype == "row_sparse" and self._skips_rows(step, weight):
            targets = [weight_rows(self._label(index), weight), *[state_rows(state) for state in states]]
            update_rows(lambda tensors: step(*[[t] for t in tensors], *numbers, **options), targets, grad._storage)
            return True
        arrays = [weight, *states]
        tensors = [_elements(array) for array in arrays]
        step([tensors[0]], [grad._data], *[[tensor] for tensor in tensors[1:]], *numbers, **options)
        for array, tensor in zip(arrays, tensors):
            if array._storage is not None and tensor is not array._storage.values:
                array._write(tensor)
        return True

    def _skips_rows(self, step: Callable, weight: NDArray) -> bool:
        """Whether a row_sparse gradient leaves all rows alone that it lacks."""
        return step is steps.sgd_

    def _tensors(
        self, indices: Sequence, weights: Sequence, grads: Sequence, states: Sequence[Sequence]
    ) -> list[list[torch.Tensor]]:
        """Tensors of weights, gradients and states; ``MXNetError`` where shape, type or device differ."""
        columns = [weights, grads, *states]
        for arrays in columns:
            for index, weight, array in zip(indices, weights, arrays):
                if not isinstance(array, NDArray):
                    raise AssertionError(f"{self._label(index)}: expected an NDArray, found {type(array)}")
                own, data = weight._data, array._data
                if data.shape != own.shape or data.dtype is not own.dtype or data.device != own.device:
                    self._refuse(index, weight, array)
                if array.stype != "default":
                    raise MXNetError(
                        f"{self._label(index)}: {array.stype} arrays are not supported, expected dense ones"
                    )
        return [[array._data for array in arrays] for arrays in columns]

    def _label(self, index: Any) -> str:
        return f"{type(self).__name__}: parameter {self.idx2name.get(index, index)}"

    def _refuse(self, index: Any, weight: NDArray, array: NDArray) -> None:
        found, expected = (
            f"shape {x.shape}, type {NAME_BY_TORCH[x._data.dtype]}, on {x.context}" for x in (array, weight)
        )
        raise MXNetError(
            f"{self._label(index)}: gradient or state has {found}, expected those of the weight: {expected}"
        )

    def _gradient_options(self) -> dict[str, float]:
        """``rescale_grad`` and ``clip_gradient`` as the update operators take them: a limit of 0 means none."""
        return {"rescale_grad": self.rescale_grad, "clip_gradient": self.clip_gradient or -1.0}

    def _exact_gradient_options(self) -> dict[str, float]:
        """The same for the rules made of array arithmetic, where a limit of 0 counts."""
        clip = -1.0 if self.clip_gradient is None else self.clip_gradient
        return {"rescale_grad": self.rescale_grad, "clip_gradient": clip}

    # -- rates --------------------------------------------------------------------------------------------------

    @property
    def learning_rate(self) -> float:
        """The rate now: the scheduler's for the number of updates so far, or the fixed one."""
        return self.lr if self.lr_scheduler is None else self.lr_scheduler(self.num_update)

    def set_learning_rate(self, lr: float) -> None:
        """Set the fixed rate; raises ``UserWarning`` where a scheduler gives it."""
        if self.lr_scheduler is not None:
            raise UserWarning("set_learning_rate: the rate comes from lr_scheduler; set that one's base_lr instead")
        self.lr = lr

    def set_lr_scale(self, args_lrscale: Any) -> None:
        """Raises ``DeprecationWarning``: gone from the original too."""
        raise DeprecationWarning("set_lr_scale is gone; use set_lr_mult")

    def set_lr_mult(self, args_lr_mult: dict[Any, float]) -> None:
        """Factors of the rate by name or index; those of the symbol's variables hold where none is given."""
        self.lr_mult: dict[Any, float] = {**self._variable_factors("__lr_mult__"), **args_lr_mult}

    def set_wd_mult(self, args_wd_mult: dict[Any, float]) -> None:
        """Factors of the weight decay by name or index; those of the symbol's variables hold where none is given, and 0
        for names (of ``param_idx2name``) that do not end in ``_weight`` or ``_gamma``."""
        self.wd_mult: dict[Any, float] = {name: 0.0 for name in self.idx2name.values() if not self._decays(name)}
        self.wd_mult.update(self._variable_factors("__wd_mult__"))
        self.wd_mult.update(args_wd_mult)

    @staticmethod
    def _decays(name: str) -> bool:
        return name.endswith(("_weight", "_gamma"))

    def _variable_factors(self, key: str) -> dict[str, float]:
        if not self.sym_info:
            return {}
        attributes, names = self.sym_info
        return {name: float(attributes[name][key]) for name in names if key in attributes.get(name, ())}

    def _set_current_context(self, device_id: int) -> None:
        """Count updates for that device."""
        self._index_update_count = self._all_index_update_counts.setdefault(device_id, {})

    def _update_count(self, index: Any) -> None:
        """Count an update of a parameter, or of each in a list."""
        counts = self._index_update_count
        for i in index if isinstance(index, (list, tuple)) else (index,):
            counts[i] = counts.get(i, self.begin_num_update) + 1
            self.num_update = max(counts[i], self.num_update)

    def _scaled(self, base: float, indices: Sequence[Any], factors: dict[Any, float], attribute: str) -> list[float]:
        """``base`` times the factor of each parameter: by ``param_dict``, by index, or by name."""
        result = []
        for index in indices:
            if index in self.param_dict:
                result.append(base * getattr(self.param_dict[index], attribute))
            elif index in factors:
                result.append(base * factors[index])
            elif index in self.idx2name:
                result.append(base * factors.get(self.idx2name[index], 1.0))
            else:
                result.append(base)
        return result

    def _get_lrs(self, indices: Sequence[Any]) -> list[float]:
        """The rates of parameters."""
        return self._scaled(self.learning_rate, indices, self.lr_mult, "lr_mult")

    def _get_lr(self, index: Any) -> float:
        """The rate of a parameter."""
        return self._get_lrs([index])[0]

    def _get_wds(self, indices: Sequence[Any]) -> list[float]:
        """The weight decays of parameters."""
        return self._scaled(self.wd, indices, self.wd_mult, "wd_mult")

    def _get_wd(self, index: Any) -> float:
        """The weight decay of a parameter."""
        return self._get_wds([index])[0]

    def _count_and_rates(self, indices: Sequence[Any]) -> tuple[list[float], list[float]]:
        """Count an update of each parameter; their rates and weight decays, as a loop over the parameters sees them."""
        if self._rates_by_index():
            rates = []
            for index in indices:
                self._update_count(index)
                rates.append((self._get_lr(index), self._get_wd(index)))
            return [lr for lr, _ in rates], [wd for _, wd in rates]
        counts = {self._index_update_count.get(index) for index in indices}
        stride = max(1, self.aggregate_num) if len(counts) > 1 else len(indices)
        lrs: list[float] = []
        wds: list[float] = []
        for start in range(0, len(indices), stride or 1):
            part = indices[start : start + stride]
            self._update_count(part)
            lrs += self._get_lrs(part)
            wds += self._get_wds(part)
        return lrs, wds

    def _rates_by_index(self) -> bool:
        """Whether a subclass has its own ``_get_lr`` or ``_get_wd``, and the rule asks these."""
        own = type(self)
        return self.aggregate_num == 0 and (
            own._get_lr is not Optimizer._get_lr or own._get_wd is not Optimizer._get_wd
        )

    def _count_of(self, index: Any) -> int:
        """How often a parameter was updated."""
        return self._index_update_count[index]

    # -- pickling -----------------------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        del state["param_dict"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ = state
        self.param_dict = {}


register = Optimizer.register
create = Optimizer.create_optimizer


def zeros_like(weight: NDArray, dtype: torch.dtype | None = None, stype: str = "default") -> NDArray:
    """A state of zeros with the weight's shape and context, of its type unless ``dtype`` is given."""
    like = weight._like
    if stype != "default":
        return zeros_of(stype, like.shape, weight.context, dtype or like.dtype)
    return _wrap(torch.zeros(like.shape, dtype=dtype or like.dtype, device=like.device), weight.context)


def _elements(array: NDArray) -> torch.Tensor:
    """A tensor of all elements: the array's memory where it has all of them, else a copy."""
    storage = array._storage
    whole = array.stype == "row_sparse" and storage.is_full
    return storage.values if whole else array._data
