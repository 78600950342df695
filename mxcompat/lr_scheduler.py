"""Learning-rate schedules: the rate as a function of the number of updates (public path: ``mxnet.lr_scheduler``)."""

from __future__ import annotations

import logging
from math import cos, pi

__all__ = ["CosineScheduler", "FactorScheduler", "LRScheduler", "MultiFactorScheduler", "PolyScheduler"]


class LRScheduler:
    """Base class: calling it with the number of updates so far gives the rate.

    During the first ``warmup_steps`` updates the rate rises from ``warmup_begin_lr`` to ``base_lr`` ('linear') or stays
    at ``warmup_begin_lr`` ('constant').
    """

    def __init__(
        self, base_lr: float = 0.01, warmup_steps: int = 0, warmup_begin_lr: float = 0, warmup_mode: str = "linear"
    ):
        if not isinstance(warmup_steps, int):
            raise AssertionError(f"warmup_steps must be an int, found {type(warmup_steps)}")
        if warmup_begin_lr > base_lr:
            raise ValueError(f"warmup_begin_lr {warmup_begin_lr} is above base_lr {base_lr}: the rate must not fall")
        if warmup_steps < 0:
            raise ValueError(f"warmup_steps is {warmup_steps}, expected 0 or more")
        if warmup_mode not in ("linear", "constant"):
            raise ValueError(f"warmup_mode is {warmup_mode!r}, expected 'linear' or 'constant'")
        self.base_lr, self.warmup_steps = base_lr, warmup_steps
        self.warmup_begin_lr, self.warmup_final_lr, self.warmup_mode = warmup_begin_lr, base_lr, warmup_mode

    def get_warmup_lr(self, num_update: int) -> float:
        """The rate during warm-up."""
        if num_update >= self.warmup_steps:
            raise AssertionError(f"update {num_update} is after the {self.warmup_steps} steps of warm-up")
        if self.warmup_mode == "constant":
            return self.warmup_begin_lr
        rise = (self.warmup_final_lr - self.warmup_begin_lr) * float(num_update) / float(self.warmup_steps)
        return self.warmup_begin_lr + rise

    def __call__(self, num_update: int) -> float:
        """The rate after ``num_update`` updates."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__")


class FactorScheduler(LRScheduler):
    """Multiplies the rate by ``factor`` every ``step`` updates, down to ``stop_factor_lr``."""

    def __init__(
        self,
        step: int,
        factor: float = 1,
        stop_factor_lr: float = 1e-8,
        base_lr: float = 0.01,
        warmup_steps: int = 0,
        warmup_begin_lr: float = 0,
        warmup_mode: str = "linear",
    ):
        super().__init__(base_lr, warmup_steps, warmup_begin_lr, warmup_mode)
        if step < 1:
            raise ValueError(f"step is {step}, expected at least 1 update")
        if factor > 1.0:
            raise ValueError(f"factor is {factor}, expected at most 1: the rate must not rise")
        self.step, self.factor, self.stop_factor_lr, self.count = step, factor, stop_factor_lr, 0

    def __call__(self, num_update: int) -> float:
        if num_update < self.warmup_steps:
            return self.get_warmup_lr(num_update)
        while num_update > self.count + self.step:
            self.count += self.step
            self.base_lr *= self.factor
            if self.base_lr < self.stop_factor_lr:
                self.base_lr = self.stop_factor_lr
                logging.info(
                    "Update[%d]: now learning rate arrived at %0.5e, will not change in the future",
                    num_update,
                    self.base_lr,
                )
            else:
                logging.info("Update[%d]: Change learning rate to %0.5e", num_update, self.base_lr)
        return self.base_lr


class MultiFactorScheduler(LRScheduler):
    """Multiplies the rate by ``factor`` after each of the given numbers of updates."""

    def __init__(
        self,
        step: list[int],
        factor: float = 1,
        base_lr: float = 0.01,
        warmup_steps: int = 0,
        warmup_begin_lr: float = 0,
        warmup_mode: str = "linear",
    ):
        super().__init__(base_lr, warmup_steps, warmup_begin_lr, warmup_mode)
        if not isinstance(step, list) or not step:
            raise AssertionError(f"step must be a non-empty list, found {step!r}")
        if any(later <= earlier for earlier, later in zip(step, step[1:])):
            raise ValueError(f"step is {step}, expected increasing numbers of updates")
        if step[0] < 1:
            raise ValueError(f"step is {step}, expected at least 1 update before the first drop")
        if factor > 1.0:
            raise ValueError(f"factor is {factor}, expected at most 1: the rate must not rise")
        self.step, self.cur_step_ind, self.factor, self.count = step, 0, factor, 0

    def __call__(self, num_update: int) -> float:
        if num_update < self.warmup_steps:
            return self.get_warmup_lr(num_update)
        while self.cur_step_ind < len(self.step) and num_update > self.step[self.cur_step_ind]:
            self.count = self.step[self.cur_step_ind]
            self.cur_step_ind += 1
            self.base_lr *= self.factor
            logging.info("Update[%d]: Change learning rate to %0.5e", num_update, self.base_lr)
        return self.base_lr


class _Descent(LRScheduler):
    """From ``base_lr`` to ``final_lr`` in ``max_update`` updates, along a curve; the last value stays."""

    def __init__(self, max_update: int, base_lr: float, final_lr: float, warmup: tuple[int, float, str]):
        super().__init__(base_lr, *warmup)
        if not isinstance(max_update, int):
            raise AssertionError(f"max_update must be an int, found {type(max_update)}")
        if max_update < 1:
            raise ValueError(f"max_update is {max_update}, expected at least 1 update")
        self.base_lr_orig, self.max_update, self.final_lr = self.base_lr, max_update, final_lr
        self.max_steps = max_update - self.warmup_steps

    def _remaining(self, progress: float) -> float:
        """How much of the way is left (1 to 0) after ``progress`` (0 to 1) of the updates."""
        raise NotImplementedError(f"{type(self).__name__} must define its curve")

    def __call__(self, num_update: int) -> float:
        if num_update < self.warmup_steps:
            return self.get_warmup_lr(num_update)
        if num_update <= self.max_update:
            progress = float(num_update - self.warmup_steps) / float(self.max_steps)
            self.base_lr = self.final_lr + (self.base_lr_orig - self.final_lr) * self._remaining(progress)
        return self.base_lr


class PolyScheduler(_Descent):
    """The way left falls as ``(1 - progress) ** pwr``."""

    def __init__(
        self,
        max_update: int,
        base_lr: float = 0.01,
        pwr: int = 2,
        final_lr: float = 0,
        warmup_steps: int = 0,
        warmup_begin_lr: float = 0,
        warmup_mode: str = "linear",
    ):
        super().__init__(max_update, base_lr, final_lr, (warmup_steps, warmup_begin_lr, warmup_mode))
        self.power = pwr

    def _remaining(self, progress: float) -> float:
        return pow(1 - progress, self.power)


class CosineScheduler(_Descent):
    """The way left falls as half a cosine."""

    def __init__(
        self,
        max_update: int,
        base_lr: float = 0.01,
        final_lr: float = 0,
        warmup_steps: int = 0,
        warmup_begin_lr: float = 0,
        warmup_mode: str = "linear",
    ):
        super().__init__(max_update, base_lr, final_lr, (warmup_steps, warmup_begin_lr, warmup_mode))

    def _remaining(self, progress: float) -> float:
        return (1 + cos(pi * progress)) / 2
