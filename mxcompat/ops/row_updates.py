"""Updates by row_sparse gradients: only the rows that the gradient has are read and written.

What such an update does to its rows is what the dense update does to them; the others keep weight and states.
"""

from collections.abc import Callable, Sequence

import torch

from mxcompat.base import MXNetError
from mxcompat.ops import steps
from mxcompat.ops.dtypes import floating, same_type
from mxcompat.ops.registry import register
from mxcompat.ops.schema import Float, Operator, Params
from mxcompat.ops.shape import merge, same_shape
from mxcompat.ops.storage import RowSparse

#: update operators that skip rows: all of these, those with ``lazy_update`` unless it is False
LAZY = ("sgd_update", "sgd_mom_update", "mp_sgd_update", "mp_sgd_mom_update", "adam_update", "ftrl_update")
LAZY += ("_sparse_adagrad_update", "_contrib_group_adagrad_update")


def skips_rows(op: Operator, params: Params) -> bool:
    """Whether this update leaves the rows alone that a row_sparse gradient lacks."""
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


@register(
    "_sparse_adagrad_update",
    infer_shape=same_shape,
    infer_type=floating(same_type),
    mutates=("history",),
    symbolic=False,
)
def adagrad_update(
    weight, grad, history, *, lr: Float, epsilon: Float = 1e-7, wd: Float = 0.0, rescale_grad: Float = 1.0,
    clip_gradient: Float = -1.0,
):  # fmt: skip
    """``history += g**2``, then ``weight - lr * g / sqrt(history + epsilon)`` with ``g = clip(rescale_grad * grad)``.

    ``grad`` may be row_sparse; there is no weight decay (``MXNetError``).
    """
    if wd != 0.0:
        raise MXNetError(f"sparse adagrad_update does not support wd, found {wd}")
    options = {"epsilon": epsilon, "rescale_grad": rescale_grad, "clip_gradient": clip_gradient}
    weight, history = weight.clone(), history.clone()
    steps.adagrad_([weight], [grad], [history], lr, 0.0, **options)
    return weight, history


def _group_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    weight = merge(merge(ins[0], ins[1], "gradient"), outs[0], "output")
    history = ins[2] if weight is None else merge((weight[0], *[1] * (len(weight) - 1)), ins[2], "history")
    return [weight, weight, history], [weight]


@register(
    "_contrib_group_adagrad_update",
    infer_shape=_group_shape,
    infer_type=floating(same_type),
    mutates=("history",),
    symbolic=False,
)
def group_adagrad_update(
    weight, grad, history, *, lr: Float, rescale_grad: Float = 1.0, clip_gradient: Float = -1.0, epsilon: Float = 1e-5
):
    """``history += mean(g**2)`` by row (N, 1), then ``weight - lr * g / sqrt(history + epsilon)`` with
    ``g = clip(rescale_grad * grad)``; weight (N, M), ``grad`` may be row_sparse."""
    options = {"epsilon": epsilon, "rescale_grad": rescale_grad, "clip_gradient": clip_gradient}
    weight, history = weight.clone(), history.clone()
    steps.group_adagrad_([weight], [grad], [history], lr, **options)
    return weight, history
