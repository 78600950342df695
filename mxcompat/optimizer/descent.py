"""Optimizers that go down the gradient: SGD and its relatives."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from typing import Any

from mxcompat.ndarray import random
from mxcompat.ndarray.ndarray import NDArray
from mxcompat.ops import steps
from mxcompat.optimizer.base import Optimizer, register, zeros_like


def aggregation_size(default: int) -> int:
    """How many parameters the original updates in one call: ``MXNET_OPTIMIZER_AGGREGATION_SIZE``."""
    return int(os.environ.get("MXNET_OPTIMIZER_AGGREGATION_SIZE", default))


@register
class SGD(Optimizer):
    """``w -= lr * (clip(rescale_grad * g) + wd * w)``; with ``momentum``, ``m = momentum * m - lr * (...)`` and ``w += m``.

    With ``lazy_update`` a row_sparse gradient changes its rows only, also where there is a momentum or weight decay.
    """

    _copy_is_last = True

    def __init__(self, momentum: float = 0.0, lazy_update: bool = True, **kwargs: Any):
        super().__init__(**kwargs)
        self.momentum = momentum
        self.lazy_update = lazy_update
        self.aggregate_num = aggregation_size(4)

    def create_state(self, index: Any, weight: NDArray) -> Any:
        """The momentum, None without one."""
        stype = weight.stype if self.lazy_update else "default"
        return None if self.momentum == 0.0 else zeros_like(weight, stype=stype)

    def _skips_rows(self, step: Callable, weight: NDArray) -> bool:
        return self.lazy_update

    def _update_list(self, indices: Sequence, weights: Sequence, grads: Sequence, states: Sequence) -> None:
        numbers = list(zip(*self._count_and_rates(indices)))
        options = self._gradient_options()
        if self.momentum > 0:
            options["momentum"] = self.momentum
            self._run(steps.sgd_mom_, indices, weights, grads, [states], numbers, **options)
        else:
            self._run(steps.sgd_, indices, weights, grads, [], numbers, **options)


@register
class ccSGD(SGD):  # noqa: N801
    """An old name of ``SGD``."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)


@register
class NAG(Optimizer):
    """Nesterov's momentum: ``m = momentum * m - lr * g``, ``w += momentum * m - lr * g`` with
    ``g = clip(rescale_grad * g) + wd * w``; SGD without momentum."""

    _copy_is_last = True

    def __init__(self, momentum: float = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.momentum = momentum

    def create_state(self, index: Any, weight: NDArray) -> Any:
        """The momentum, None without one."""
        return None if self.momentum == 0.0 else zeros_like(weight)

    def _has_copy(self, weight: NDArray, state: Any) -> bool:
        return self._is_mixed(weight) and isinstance(state, (tuple, list))

    def _update_list(self, indices: Sequence, weights: Sequence, grads: Sequence, states: Sequence) -> None:
        numbers = list(zip(*self._count_and_rates(indices)))
        options = self._gradient_options()
        if self.momentum == 0.0:
            self._run(steps.sgd_, indices, weights, grads, [], numbers, **options)
        else:
            options["momentum"] = max(0.0, self.momentum)
            self._run(steps.nag_mom_, indices, weights, grads, [states], numbers, **options)


@register
class Signum(Optimizer):
    """``w = (1 - lr * wd_lh) * w + lr * sign(m)`` with ``m = momentum * m - (1 - momentum) * (clip(rescale_grad * g) + wd * w)``;
    without momentum ``w = (1 - lr * wd) * w - lr * sign(g)``."""

    def __init__(self, learning_rate: float = 0.01, momentum: float = 0.9, wd_lh: float = 0.0, **kwargs: Any):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.momentum = momentum
        self.wd_lh = wd_lh

    def create_state(self, index: Any, weight: NDArray) -> Any:
        """The momentum, None without one."""
        return None if self.momentum == 0.0 else zeros_like(weight, stype=weight.stype)

    def _update_list(self, indices: Sequence, weights: Sequence, grads: Sequence, states: Sequence) -> None:
        numbers = list(zip(*self._count_and_rates(indices)))
        if self.momentum == 0.0:
            self._run(steps.signsgd_, indices, weights, grads, [], numbers)
        else:
            options = {**self._gradient_options(), "momentum": max(0.0, self.momentum), "wd_lh": self.wd_lh or 0.0}
            self._run(steps.signum_, indices, weights, grads, [states], numbers, **options)


@register
class SGLD(Optimizer):
    """Langevin dynamics: half a step of SGD, and normal noise of variance ``lr``."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)

    def create_state(self, index: Any, weight: NDArray) -> Any:
        """There is none."""
        return None

    def _update_list(self, indices: Sequence, weights: Sequence, grads: Sequence, states: Sequence) -> None:
        lrs, wds = self._count_and_rates(indices)
        numbers = list(zip(lrs, wds))
        self._run(steps.sgld_, indices, weights, grads, [], numbers, **self._exact_gradient_options())
        for weight, lr in zip(weights, lrs):
            weight += random.normal(0, math.sqrt(lr), shape=weight.shape, dtype=weight.dtype, ctx=weight.context)


@register
class DCASGD(Optimizer):
    """SGD for delayed gradients: adds ``lamda * g**2 * (w - w_before)`` to the gradient.

    Compat: the original fails with a momentum (it asks a whole array for its truth value); here it works.
    """

    def __init__(self, momentum: float = 0.0, lamda: float = 0.04, **kwargs: Any):
        super().__init__(**kwargs)
        self.momentum = momentum
        self.weight_previous: dict = {}
        self.lamda = lamda

    def create_state(self, index: Any, weight: NDArray) -> Any:
        """Momentum (None without one) and the weight before the last update."""
        return None if self.momentum == 0.0 else zeros_like(weight), weight.copy()

    def _update_list(self, indices: Sequence, weights: Sequence, grads: Sequence, states: Sequence) -> None:
        numbers = list(zip(*self._count_and_rates(indices)))
        options = {**self._exact_gradient_options(), "lamda": self.lamda}
        previous = [state[1] for state in states]
        if self.momentum == 0.0:
            self._run(steps.dcasgd_, indices, weights, grads, [previous], numbers, **options)
        else:
            moms = [state[0] for state in states]
            options["momentum"] = self.momentum
            self._run(steps.dcasgd_mom_, indices, weights, grads, [previous, moms], numbers, **options)


@register
class Test(Optimizer):
    """Adds the rescaled gradient to the weight and keeps the weight as its state (for tests)."""

    __test__ = False  # no test case, whatever its name

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)

    def create_state(self, index: Any, weight: NDArray) -> Any:
        """Zeros of float32."""
        return zeros_like(weight).astype("float32")

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """``weight += rescale_grad * grad``."""
        weight += grad * self.rescale_grad
        state[:] = weight
