"""Optimizers for large batches: rates by layer, and rates that warm up."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from mxcompat.base import MXNetError
from mxcompat.ndarray.ndarray import NDArray
from mxcompat.ndarray.sparse_array import BaseSparseNDArray
from mxcompat.ops import steps
from mxcompat.optimizer.base import Optimizer, register, zeros_like
from mxcompat.optimizer.descent import aggregation_size


@register
class LARS(Optimizer):
    """SGD whose rate is scaled for each layer by ``eta * |w| / (|g| + wd * |w| + eps)`` (1 where a norm is 0), except for
    parameters whose names end in ``gamma``, ``beta`` or ``bias``.

    ``momentum_correction`` scales the momentum by the ratio of this rate to the last one. With ``lazy_update`` a
    row_sparse gradient changes its rows only. Only names that end in ``_weight`` get weight decay.

    Compat: parameters are taken ``aggregate_num`` at a time, and after the first of these groups the last rate is the
    present one, so that a change of the rate corrects the momentum of the first group only, as in the original.
    """

    _copy_is_last = True

    def __init__(
        self, momentum: float = 0.0, lazy_update: bool = True, eta: float = 0.001, eps: float = 0,
        momentum_correction: bool = True, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(**kwargs)
        self.momentum = momentum
        self.momentum_correction = momentum_correction
        self.lazy_update = lazy_update
        self.aggregate_num = aggregation_size(4)
        self.eta = eta
        self.eps = eps
        self.skip = 0
        self.last_lr: float | None = None
        self.cur_lr: float | None = None

    @staticmethod
    def _decays(name: str) -> bool:
        return name.endswith("_weight")

    def create_state(self, index: Any, weight: NDArray) -> Any:
        """The momentum, None without one."""
        stype = weight.stype if self.lazy_update else "default"
        return None if self.momentum == 0.0 else zeros_like(weight, stype=stype)

    def _get_lrs(self, indices: Sequence[Any]) -> list[float]:
        """The rates of parameters; the one before multipliers becomes ``cur_lr``, and that ``last_lr``."""
        lr = self.learning_rate
        self.last_lr = lr if self.cur_lr is None else self.cur_lr
        self.cur_lr = lr
        return self._scaled(lr, indices, self.lr_mult, "lr_mult")

    def _corrected_momentum(self) -> float:
        if self.momentum_correction and self.last_lr:
            return self.momentum * (self.cur_lr / self.last_lr)  # type: ignore[operator]
        return self.momentum

    def _update_list(self, indices: Sequence, weights: Sequence, grads: Sequence, states: Sequence) -> None:
        stride = max(1, self.aggregate_num)
        for start in range(0, len(indices), stride):
            self._update_group(*(part[start : start + stride] for part in (indices, weights, grads, states)))

    def _update_group(self, indices: Sequence, weights: Sequence, grads: Sequence, states: Sequence) -> None:
        self._update_count(indices)
        lrs, wds = self._get_lrs(indices), self._get_wds(indices)
        columns = [states] if self.momentum > 0 else []
        if any(isinstance(array, BaseSparseNDArray) for array in (*weights, *grads)):
            self._update_sparse(indices, weights, grads, columns, list(zip(lrs, wds)))
            return
        tensors = self._tensors(indices, weights, grads, columns)
        options = self._gradient_options()
        if self.momentum > 0:
            options["momentum"] = self._corrected_momentum()
        with torch.no_grad():
            device = tensors[0][0].device
            rates = torch.tensor(lrs, dtype=torch.float32, device=device)
            decays = torch.tensor(wds, dtype=torch.float32, device=device)
            scaled = torch.where(
                self._has_layer_rate(indices, device), self._layer_rates(tensors, rates, decays), rates
            )
            moms = tensors[2] if columns else None
            steps.preloaded_sgd_(tensors[0], tensors[1], moms, scaled, decays, **options)

    def _update_sparse(
        self, indices: Sequence, weights: Sequence, grads: Sequence, columns: Sequence, numbers: Sequence
    ) -> None:
        """The same for parameters some of which are sparse or have sparse gradients."""
        scaled = []
        for index, weight, grad, (lr, wd) in zip(indices, weights, grads, numbers):
            device = weight._like.device
            rates, decays = torch.tensor([lr], device=device), torch.tensor([wd], device=device)
            if bool(self._has_layer_rate([index], device)):
                rates = self._layer_rates([[weight._data], [grad._data]], rates, decays)
            scaled.append((float(rates), wd))
        options = self._gradient_options()
        if columns:
            options["momentum"] = self._corrected_momentum()
        self._run(steps.sgd_mom_ if columns else steps.sgd_, indices, weights, grads, columns, scaled, **options)

    def _skips_rows(self, step: Callable, weight: NDArray) -> bool:
        return self.lazy_update

    def _has_layer_rate(self, indices: Sequence, device: torch.device) -> torch.Tensor:
        names = [self.idx2name.get(index, str(index)) for index in indices]
        return torch.tensor([not name.endswith(("gamma", "beta", "bias")) for name in names], device=device)

    def _layer_rates(self, tensors: list, rates: torch.Tensor, decays: torch.Tensor) -> torch.Tensor:
        weight_sums, grad_sums = (torch.stack([x.float().square().sum() for x in column]) for column in tensors[:2])
        return steps.layer_rates(rates, weight_sums, grad_sums, decays, self.eta, self.eps, self.rescale_grad)


@register
class LAMB(Optimizer):
    """Adam whose step is scaled for each layer to ``lr`` times the norm of the weight.

    The direction is ``m / (sqrt(v) + epsilon) + wd * w`` with the moments m, v of ``clip(rescale_grad * g)``, corrected
    for their bias if ``bias_correction``. ``lower_bound`` and ``upper_bound`` limit the norm of the weight.
    """

    def __init__(
        self, learning_rate: float = 0.001, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-6,
        lower_bound: float | None = None, upper_bound: float | None = None, bias_correction: bool = True, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.lower_bound = lower_bound
        self.upper_bound = upper_bound
        self.bias_correction = bias_correction
        self.aggregate_num = max(1, min(45, aggregation_size(45)))

    def create_state(self, index: Any, weight: NDArray) -> Any:
        """Both moments."""
        return zeros_like(weight, stype=weight.stype), zeros_like(weight, stype=weight.stype)

    def _update_list(self, indices: Sequence, weights: Sequence, grads: Sequence, states: Sequence) -> None:
        lrs, wds = self._count_and_rates(indices)
        numbers = [(lr, wd, self._count_of(index)) for lr, wd, index in zip(lrs, wds, indices)]
        options = {"beta1": self.beta1, "beta2": self.beta2, "epsilon": self.epsilon}
        options.update(bias_correction=self.bias_correction, **self._gradient_options())
        options.update(lower_bound=self.lower_bound or -1.0, upper_bound=self.upper_bound or -1.0)
        means, variances = [state[0] for state in states], [state[1] for state in states]
        self._run(steps.lamb_, indices, weights, grads, [means, variances], numbers, **options)


_WARMUPS = {
    "linear": lambda share: share,
    "power2": lambda share: share * share,
    "sqrt": math.sqrt,
}


@register
class LBSGD(Optimizer):
    """SGD that adds up ``batch_scale`` gradients for each step and warms its rate up to ``batch_scale`` times the given.

    ``warmup_strategy`` is ``'linear'``, ``'power2'`` or ``'sqrt'`` over ``warmup_epochs`` of ``updates_per_epoch``
    updates, or ``'lars'``: the rate is scaled by ``sqrt(|w|**2 / (|g|**2 + wd * |w|**2))``, within 0.01 and 100.
    Anything else leaves the rate as it is until the warm-up ends.

    Compat: the first gradient of a parameter is kept as the array that was passed, not as a copy; a Module passes the
    same array every time, so that with a ``batch_scale`` above 1 the first step adds the second gradient twice.
    """

    def __init__(
        self, momentum: float = 0.0, multi_precision: bool = False, warmup_strategy: str = "linear",
        warmup_epochs: int = 5, batch_scale: int = 1, updates_per_epoch: int = 32, begin_epoch: int = 0,
        num_epochs: int = 60, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(multi_precision=multi_precision, **kwargs)
        logging.info("Running Large-Batch SGD Algorithm")
        logging.info(
            "(Batch_scale=%f, warmup_epochs=%d, warmup_strategy=%s, updates_per_epoch=%d)",
            batch_scale, warmup_epochs, warmup_strategy, updates_per_epoch,
        )  # fmt: skip
        self.momentum = momentum
        self.warmup_strategy = warmup_strategy
        self.warmup_epochs = warmup_epochs
        self.batch_scale = batch_scale
        self.updates_per_epoch = updates_per_epoch
        self.init_updates = begin_epoch * updates_per_epoch
        self.num_epochs = num_epochs
        self.lbmult = 1
        self.cumgrads: dict[Any, dict[str, Any]] = {}
        self.adaptive = False
        self.admult = 1

    def create_state(self, index: Any, weight: NDArray) -> Any:
        """The momentum, None without one."""
        return None if self.momentum == 0.0 else zeros_like(weight, stype=weight.stype)

    def _skips_rows(self, step: Callable, weight: NDArray) -> bool:
        return True

    def _warmup_factor(self, updates: int) -> float:
        last = self.warmup_epochs * self.updates_per_epoch
        if updates >= last:
            return float(self.batch_scale)
        if last <= 1 or self.warmup_strategy not in _WARMUPS:
            return 1.0
        return 1.0 + (self.batch_scale - 1) * _WARMUPS[self.warmup_strategy](updates / last)

    @staticmethod
    def _layer_factor(weight: Any, grad: Any, wd: float) -> float:
        weight_square, grad_square = (float((x * x).asnumpy().sum()) for x in (weight, grad))
        return min(max(math.sqrt(weight_square / (grad_square + wd * weight_square + 1e-18)), 0.01), 100)

    def _add_up(self, index: Any, grad: NDArray) -> dict[str, Any]:
        """The gradients of a parameter since its last step, added up, and how many it had altogether."""
        known = self.cumgrads.get(index)
        if known and known["num_cums"] > 0:
            total = {"cum_grad": known["cum_grad"] + grad, "num_cums": known["num_cums"] + 1}
        else:
            total = {"cum_grad": grad, "num_cums": self.init_updates + 1}
        self.cumgrads[index] = total
        return total

    def _update_list(self, indices: Sequence, weights: Sequence, grads: Sequence, states: Sequence) -> None:
        for index, weight, grad, state in zip(indices, weights, grads, states):
            self._update_one(index, weight, grad, state)

    def _update_one(self, index: Any, weight: NDArray, grad: NDArray, state: Any) -> None:
        if weight.shape != grad.shape:
            raise MXNetError(f"{self._label(index)}: gradient has shape {grad.shape}, expected {weight.shape}")
        lr, wd = self._get_lr(index), self._get_wd(index)
        self._update_count(index)
        total = self._add_up(index, grad)
        if total["num_cums"] % self.batch_scale != 0:
            return
        mean = total["cum_grad"] / self.batch_scale
        is_lars = self.warmup_strategy == "lars"
        lr *= self._layer_factor(weight, mean, wd) if is_lars else self._warmup_factor(total["num_cums"])
        options = self._gradient_options()
        if state is None:
            self._run(steps.sgd_, [index], [weight], [mean], [], [(lr, wd)], **options)
        else:
            options["momentum"] = max(0.0, self.momentum)
            self._run(steps.sgd_mom_, [index], [weight], [mean], [[state]], [(lr, wd)], **options)
        total["cum_grad"] = 0
