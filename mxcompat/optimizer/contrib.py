"""Further optimizers (public path of the original: ``mxnet.optimizer.contrib``)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from mxcompat.ndarray import zeros
from mxcompat.ndarray.ndarray import NDArray
from mxcompat.ops import steps
from mxcompat.optimizer.base import Optimizer, register

__all__ = ["GroupAdaGrad"]


@register
class GroupAdaGrad(Optimizer):
    """AdaGrad with one rate for each row of a matrix: ``h += mean(g**2)`` by row, ``w -= lr * g / sqrt(h + eps)``.

    For matrices only, such as embeddings; there is no weight decay (``AssertionError``). A row_sparse gradient changes its
    rows only.
    """

    def __init__(self, eps: float = 1e-5, **kwargs: Any):
        super().__init__(**kwargs)
        self.float_stable_eps = eps

    def create_state(self, index: Any, weight: NDArray) -> Any:
        """The sum of mean squares of each row: (N, 1), float32."""
        if len(weight.shape) != 2:
            raise AssertionError(f"{self._label(index)} has shape {weight.shape}, expected two axes")
        return zeros((weight.shape[0], 1), weight.context, stype=weight.stype)

    def _skips_rows(self, step: Callable, weight: NDArray) -> bool:
        return True

    def _update_list(self, indices: Sequence, weights: Sequence, grads: Sequence, states: Sequence) -> None:
        lrs, wds = self._count_and_rates(indices)
        if any(wd != 0 for wd in wds):
            raise AssertionError("Weight decay is not supported for GroupAdaGrad")
        options = {"epsilon": self.float_stable_eps, **self._exact_gradient_options()}
        numbers = [(lr,) for lr in lrs]
        with torch.no_grad():
            columns = (indices, weights, grads, states, numbers)
            kept = [i for i in range(len(indices)) if not self._run_sparse(steps.group_adagrad_, i, columns, options)]
            indices, weights, grads, states = ([column[i] for i in kept] for column in columns[:4])
            if indices:
                lists = [*self._tensors(indices, weights, grads, []), [state._data for state in states]]
                steps.apply(steps.group_adagrad_, lists, [numbers[i] for i in kept], **options)
