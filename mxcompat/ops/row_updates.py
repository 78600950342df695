"""Updates by row_sparse gradients: only the rows that the gradient has are read and written.

What such an update does to its rows is what the dense update does to them; the others keep weight and states.
"""

from collections.abc import Callable, Sequence

import torch

from mxcompat.ops.schema import Operator, Params
from mxcompat.ops.storage import RowSparse

#: update operators that skip rows: all of these, those with ``lazy_update`` unless it is False
LAZY = ("sgd_update", "sgd_mom_update", "mp_sgd_update", "mp_sgd_mom_update", "adam_update", "ftrl_update")
LAZY += ("_sparse_adagrad_update", "_contrib_group_adagrad_update")


def skips_rows(op: Operator, params: Params, weight_stype: str) -> bool:
    """Whether this update of a weight leaves the rows alone that a row_sparse gradient lacks."""
    if op.name == "ftrl_update" and weight_stype != "row_sparse":  # Compat: dense weights get dense updates
        return False
    return op.name in LAZY and params.get("lazy_update", True)


def update_rows(
    step: Callable[[list[torch.Tensor]], None], targets: Sequence[torch.Tensor], gradient: RowSparse
) -> None:
    """Change the gradient's rows of ``targets`` (weight, then states) in place.

    ``step([weight, gradient, *states])`` gets these rows as tensors, and changes weight and states in place.
    """
    rows = gradient.checked().indices
    if not rows.numel():
        return
    whole = gradient.is_full and bool(torch.equal(rows, torch.arange(rows.numel(), device=rows.device)))
    parts = list(targets) if whole else [target.index_select(0, rows) for target in targets]
    step([parts[0], gradient.values, *parts[1:]])
    if not whole:
        for target, part in zip(targets, parts):
            target.index_copy_(0, rows, part)


def run_update(op: Operator, kwargs: dict, targets: Sequence[torch.Tensor], gradient: RowSparse) -> None:
    """Run an update operator on the gradient's rows; ``targets`` are weight and states, changed in place."""

    def step(tensors: list[torch.Tensor]) -> None:
        results = op.fn(*tensors, **kwargs)
        changed = [tensors[0], *tensors[2:]]
        for target, value in zip(changed, results if isinstance(results, tuple) else (results,)):
            target.copy_(value)

    update_rows(step, targets, gradient)
