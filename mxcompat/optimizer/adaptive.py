"""Optimizers whose rate adapts to the gradients of each element."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from mxcompat.base import MXNetError
from mxcompat.ndarray.ndarray import NDArray
from mxcompat.ops import steps
from mxcompat.optimizer.base import Optimizer, register, zeros_like


def _columns(states: Sequence[tuple]) -> list[list[NDArray]]:
    """The first arrays of all states, the second ones, and so on."""
    return [list(column) for column in zip(*states)]


@register
class Adam(Optimizer):
    """``w -= lr * sqrt(1 - beta2**t) / (1 - beta1**t) * m / (sqrt(v) + epsilon)`` with the moments m, v of
    ``g = clip(rescale_grad * g + wd * w)`` at the parameter's t-th update.

    With ``lazy_update`` a row_sparse gradient changes its rows only.
    """

    def __init__(
        self, learning_rate: float = 0.001, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8,
        lazy_update: bool = True, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.lazy_update = lazy_update

    def create_state(self, index: Any, weight: NDArray) -> Any:
        """Both moments."""
        stype = weight.stype if self.lazy_update else "default"
        return zeros_like(weight, stype=stype), zeros_like(weight, stype=stype)

    def _skips_rows(self, step: Callable, weight: NDArray) -> bool:
        return self.lazy_update

    def _correction(self, count: int) -> float:
        return math.sqrt(1.0 - self.beta2**count) / (1.0 - self.beta1**count)

    def _update_list(self, indices: Sequence, weights: Sequence, grads: Sequence, states: Sequence) -> None:
        lrs, wds = self._count_and_rates(indices)
        counts = [self._count_of(index) for index in indices]
        corrections = {count: self._correction(count) for count in set(counts)}
        numbers = [(lr * corrections[count], wd) for lr, wd, count in zip(lrs, wds, counts)]
        options = {"beta1": self.beta1, "beta2": self.beta2, "epsilon": self.epsilon}
        options.update(self._gradient_options())
        self._run(steps.adam_, indices, weights, grads, _columns(states), numbers, **options)


@register
class AdaGrad(Optimizer):
    """``h += g**2``; ``w -= lr * (g / sqrt(h + eps) + wd * w)`` with ``g = clip(rescale_grad * g)``.

    A row_sparse gradient changes its rows only, and allows no weight decay (``MXNetError``).
    """

    def __init__(self, eps: float = 1e-7, **kwargs: Any):
        super().__init__(**kwargs)
        self.float_stable_eps = eps

    def create_state(self, index: Any, weight: NDArray) -> Any:
        """The sum of squares, in float32."""
        return zeros_like(weight, torch.float32, weight.stype)

    def _skips_rows(self, step: Callable, weight: NDArray) -> bool:
        return True

    def _update_list(self, indices: Sequence, weights: Sequence, grads: Sequence, states: Sequence) -> None:
        numbers = list(zip(*self._count_and_rates(indices)))
        for index, grad, (_, wd) in zip(indices, grads, numbers):
            if wd != 0 and grad.stype == "row_sparse":
                raise MXNetError(f"{self._label(index)}: weight decay with a row_sparse gradient is not supported")
        options = {"epsilon": self.float_stable_eps, **self._exact_gradient_options()}
        self._run(steps.adagrad_, indices, weights, grads, [states], numbers, **options)


@register
class RMSProp(Optimizer):
    """``w -= lr * g / sqrt(n + epsilon)`` with the moving mean n of ``g**2``, ``g = clip(rescale_grad * g + wd * w)``.

    ``gamma1`` is the decay of n. ``centered`` subtracts the square of the moving mean of ``g`` from n and adds a momentum
    of ``gamma2``. ``clip_weights`` limits the weights to both sides.
    """

    def __init__(
        self, learning_rate: float = 0.001, gamma1: float = 0.9, gamma2: float = 0.9, epsilon: float = 1e-8,
        centered: bool = False, clip_weights: float | None = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.gamma1 = gamma1
        self.gamma2 = gamma2
        self.centered = centered
        self.epsilon = epsilon
        self.clip_weights = clip_weights

    def create_state(self, index: Any, weight: NDArray) -> Any:
        """Moving means in float32: of the square; ``centered`` also of the gradient, and the last step."""
        return tuple(zeros_like(weight, torch.float32, weight.stype) for _ in range(3 if self.centered else 1))

    def _update_list(self, indices: Sequence, weights: Sequence, grads: Sequence, states: Sequence) -> None:
        numbers = list(zip(*self._count_and_rates(indices)))
        options = {"gamma1": self.gamma1, "epsilon": self.epsilon, "clip_weights": self.clip_weights or -1.0}
        options.update(self._gradient_options())
        if self.centered:
            self._run(
                steps.rmspropalex_, indices, weights, grads, _columns(states), numbers, gamma2=self.gamma2, **options
            )
        else:
            self._run(steps.rmsprop_, indices, weights, grads, _columns(states), numbers, **options)


@register
class AdaDelta(Optimizer):
    """``w -= d + wd * w`` with ``d = sqrt(delta + epsilon) / sqrt(n + epsilon) * g``, the moving means n of ``g**2`` and
    delta of ``d**2``, both with decay ``rho``; there is no learning rate.

    Compat: the original leaves the rescaled gradient in the gradient array.
    """

    def __init__(self, rho: float = 0.90, epsilon: float = 1e-5, **kwargs: Any):
        super().__init__(**kwargs)
        self.rho = rho
        self.epsilon = epsilon

    def create_state(self, index: Any, weight: NDArray) -> Any:
        """Both moving means, in float32."""
        return zeros_like(weight, torch.float32), zeros_like(weight, torch.float32)

    def _update_list(self, indices: Sequence, weights: Sequence, grads: Sequence, states: Sequence) -> None:
        _, wds = self._count_and_rates(indices)
        options = {"rho": self.rho, "epsilon": self.epsilon, **self._exact_gradient_options()}
        numbers = [(wd,) for wd in wds]
        self._run(steps.adadelta_, indices, weights, grads, _columns(states), numbers, **options)


@register
class Ftrl(Optimizer):
    """Follow the regularized leader: ``w = (sign(z) * lamda1 - z) / ((beta + sqrt(n)) / lr + wd)`` where ``|z| > lamda1``,
    else 0. n sums ``g**2``, z sums ``g - (sqrt(n) - sqrt(n_before)) * w / lr``, with ``g = clip(rescale_grad * g)``."""

    def __init__(self, lamda1: float = 0.01, learning_rate: float = 0.1, beta: float = 1, **kwargs: Any):
        super().__init__(**kwargs)
        self.lamda1 = lamda1
        self.beta = beta
        self.lr = learning_rate

    def create_state(self, index: Any, weight: NDArray) -> Any:
        """z and n, in float32."""
        return zeros_like(weight, torch.float32, weight.stype), zeros_like(weight, torch.float32, weight.stype)

    def _skips_rows(self, step: Callable, weight: NDArray) -> bool:
        return weight.stype == "row_sparse"

    def _update_list(self, indices: Sequence, weights: Sequence, grads: Sequence, states: Sequence) -> None:
        numbers = list(zip(*self._count_and_rates(indices)))
        options = {"lamda1": self.lamda1, "beta": self.beta, **self._gradient_options()}
        self._run(steps.ftrl_, indices, weights, grads, _columns(states), numbers, **options)


@register
class FTML(Optimizer):
    """Follow the moving leader: ``w = -z / d``, with states that average ``g = clip(rescale_grad * g + wd * w)``."""

    def __init__(self, beta1: float = 0.6, beta2: float = 0.999, epsilon: float = 1e-8, **kwargs: Any):
        super().__init__(**kwargs)
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon

    def create_state(self, index: Any, weight: NDArray) -> Any:
        """d, v and z."""
        return zeros_like(weight), zeros_like(weight), zeros_like(weight)

    def _update_list(self, indices: Sequence, weights: Sequence, grads: Sequence, states: Sequence) -> None:
        lrs, wds = self._count_and_rates(indices)
        numbers = [(lr, wd, self._count_of(index)) for lr, wd, index in zip(lrs, wds, indices)]
        options = {"beta1": self.beta1, "beta2": self.beta2, "epsilon": self.epsilon}
        options.update(rescale_grad=self.rescale_grad, clip_grad=self.clip_gradient or -1.0)
        self._run(steps.ftml_, indices, weights, grads, _columns(states), numbers, **options)


@register
class Adamax(Optimizer):
    """``w -= lr / (1 - beta1**t) * m / u`` with the moving mean m of ``g = clip(rescale_grad * g + wd * w)`` and
    ``u = max(beta2 * u, |g|)`` at the parameter's t-th update."""

    def __init__(self, learning_rate: float = 0.002, beta1: float = 0.9, beta2: float = 0.999, **kwargs: Any):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.beta1 = beta1
        self.beta2 = beta2

    def create_state(self, index: Any, weight: NDArray) -> Any:
        """m and u."""
        return zeros_like(weight), zeros_like(weight)

    def _update_list(self, indices: Sequence, weights: Sequence, grads: Sequence, states: Sequence) -> None:
        lrs, wds = self._count_and_rates(indices)
        corrected = [lr / (1.0 - self.beta1 ** self._count_of(index)) for lr, index in zip(lrs, indices)]
        options = {"beta1": self.beta1, "beta2": self.beta2, **self._exact_gradient_options()}
        self._run(steps.adamax_, indices, weights, grads, _columns(states), list(zip(corrected, wds)), **options)


@register
class Nadam(Optimizer):
    """Adam with Nesterov's momentum, whose share of the step grows with the number of updates (``schedule_decay``).

    Compat: the product of the momenta, ``m_schedule``, goes on with every parameter that is updated, as in the original,
    so that the order of the parameters matters.
    """

    def __init__(
        self, learning_rate: float = 0.001, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8,
        schedule_decay: float = 0.004, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.schedule_decay = schedule_decay
        self.m_schedule = 1.0

    def create_state(self, index: Any, weight: NDArray) -> Any:
        """Both moments."""
        return zeros_like(weight), zeros_like(weight)

    def _momentum(self, count: int) -> float:
        return self.beta1 * (1.0 - 0.5 * 0.96 ** (count * self.schedule_decay))

    def _shares(self, count: int) -> tuple[float, float, float]:
        """The shares of gradient and first moment in the step, and the divisor of the second moment."""
        momentum, next_momentum = self._momentum(count), self._momentum(count + 1)
        self.m_schedule *= momentum
        grad_share = (1.0 - momentum) / (1.0 - self.m_schedule)
        mean_share = next_momentum / (1.0 - self.m_schedule * next_momentum)
        return grad_share, mean_share, 1.0 - self.beta2**count

    def _update_list(self, indices: Sequence, weights: Sequence, grads: Sequence, states: Sequence) -> None:
        lrs, wds = self._count_and_rates(indices)
        numbers = [(lr, wd, *self._shares(self._count_of(index))) for lr, wd, index in zip(lrs, wds, indices)]
        options = {"beta1": self.beta1, "beta2": self.beta2, "epsilon": self.epsilon}
        options.update(self._exact_gradient_options())
        self._run(steps.nadam_, indices, weights, grads, _columns(states), numbers, **options)
