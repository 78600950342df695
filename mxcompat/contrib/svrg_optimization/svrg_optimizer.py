"""The optimizers that SVRGModule installs: full gradients are stored, all other keys get the optimizer asked for."""

from __future__ import annotations

import inspect
from typing import Any

from mxcompat import optimizer as opt

__all__: list[str] = []

#: parameters that every optimizer has
_BASE_PARAMETERS = frozenset(inspect.signature(opt.Optimizer.__init__).parameters) - {"self"}


@opt.register
class _AssignmentOptimizer(opt.Optimizer):
    """Puts the gradient in the place of the weight: a kvstore that runs it hands out sums of what is pushed."""

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        weight[:] = grad


@opt.register
class _SVRGOptimizer(opt.Optimizer):
    """``default_optimizer`` (a name, made with the other keywords, or an Optimizer), but keys whose name holds ``full``
    are assigned."""

    def __init__(self, default_optimizer: Any, **kwargs: Any):
        super().__init__(**{key: value for key, value in kwargs.items() if key in _BASE_PARAMETERS})
        by_name = isinstance(default_optimizer, str)
        self.default_opt = opt.create(default_optimizer, **kwargs) if by_name else default_optimizer
        self.aux_opt = opt.create(_AssignmentOptimizer.__name__)

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        self._optimizer_of(index).update(index, weight, grad, state)

    def create_state(self, index: Any, weight: Any) -> Any:
        return self._optimizer_of(index).create_state(index, weight)

    def _optimizer_of(self, index: Any) -> Any:
        name = index if index in self.idx2name.values() else self.idx2name[index]
        return self.aux_opt if "full" in name else self.default_opt
