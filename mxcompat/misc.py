"""The learning-rate schedules of the first versions, functions of the iteration (public path: ``mxnet.misc``).

``mxcompat.lr_scheduler`` has the schedules that optimizers use.
"""

from __future__ import annotations

import logging

__all__ = ["FactorScheduler", "LearningRateScheduler"]


class LearningRateScheduler:
    """Base class: calling it with the number of the iteration gives the rate; ``base_lr`` is the first rate."""

    def __init__(self) -> None:
        self.base_lr = 0.01

    def __call__(self, iteration: int) -> float:
        """The rate of an iteration."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__")


class FactorScheduler(LearningRateScheduler):
    """``base_lr * factor ** floor(iteration / step)``; a change is logged."""

    def __init__(self, step: int, factor: float = 0.1):
        super().__init__()
        if step < 1:
            raise ValueError(f"FactorScheduler: step is {step}, expected at least 1 iteration")
        if factor >= 1.0:
            raise ValueError(f"FactorScheduler: factor is {factor}, expected less than 1")
        self.step, self.factor = step, factor
        self.old_lr, self.init = self.base_lr, False

    def __call__(self, iteration: int) -> float:
        if not self.init:
            self.init, self.old_lr = True, self.base_lr
        rate = self.base_lr * self.factor ** int(iteration / self.step)
        if rate != self.old_lr:
            self.old_lr = rate
            logging.info("At Iteration [%d]: Swith to new learning rate %.5f", iteration, rate)
        return rate
