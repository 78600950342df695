"""Optimizer updates: one in-place step over lists of tensors a family, and the pure operators on top of it.

A step works on lists so that a whole network is updated by a few foreach calls; its numbers do not depend on how many
tensors it is given. Gradients are rescaled, then clipped; weight decay comes after clipping for SGD and before it for Adam.
"""

from collections.abc import Sequence

import torch

from mxcompat.ops.dtypes import unify
from mxcompat.ops.registry import register
from mxcompat.ops.schema import Bool, Float, NoEffect, Params
from mxcompat.ops.shape import same_shape

Tensors = Sequence[torch.Tensor]

#: above so many elements in all, a loop over tensors is faster than foreach (large tensors are bound by memory)
FOREACH_LIMIT = 4_000_000


def _prepared(gradients: Tensors, rescale: float, clip: float | None) -> list[torch.Tensor]:
    """Rescaled and clipped gradients (new tensors unless there is nothing to do)."""
    prepared = list(gradients)
    if rescale != 1.0:
        prepared = list(torch._foreach_mul(prepared, rescale))
    if clip is not None and clip >= 0:
        prepared = list(torch._foreach_clamp_max(torch._foreach_clamp_min(prepared, -clip), clip))
    return prepared


def _in_chunks(total: int, tensors: Tensors) -> list[slice]:
    """Where to cut the lists: one foreach call for small networks, single tensors for large ones."""
    if sum(t.numel() for t in tensors) <= FOREACH_LIMIT:
        return [slice(0, total)]
    return [slice(i, i + 1) for i in range(total)]


def sgd_(
    weights: Tensors,
    gradients: Tensors,
    momenta: Tensors | None,
    lrs: Sequence[float],
    wds: Sequence[float],
    momentum: float,
    rescale: float,
    clip: float | None,
) -> None:
    """In place: m = momentum m - lr (clip(rescale g) + wd w); w += m. Without momenta, w -= lr (…)."""
    for part in _in_chunks(len(weights), weights):
        w, lr = list(weights[part]), list(lrs[part])
        step = torch._foreach_add(_prepared(gradients[part], rescale, clip), torch._foreach_mul(w, list(wds[part])))
        torch._foreach_mul_(step, [-x for x in lr])
        if momenta is not None:
            m = list(momenta[part])
            torch._foreach_mul_(m, momentum)
            torch._foreach_add_(m, step)
            step = m
        torch._foreach_add_(w, step)


def adam_(
    weights: Tensors,
    gradients: Tensors,
    means: Tensors,
    variances: Tensors,
    lrs: Sequence[float],
    wds: Sequence[float],
    betas: tuple[float, float],
    epsilon: float,
    rescale: float,
    clip: float | None,
) -> None:
    """In place: g = clip(rescale g + wd w); m, v decay towards g, g^2; w -= lr m / (sqrt(v) + epsilon)."""
    beta1, beta2 = betas
    for part in _in_chunks(len(weights), weights):
        w, m, v = list(weights[part]), list(means[part]), list(variances[part])
        decayed = torch._foreach_add(_prepared(gradients[part], rescale, None), torch._foreach_mul(w, list(wds[part])))
        g = _prepared(decayed, 1.0, clip)
        torch._foreach_mul_(m, beta1)
        torch._foreach_add_(m, torch._foreach_mul(g, 1 - beta1))
        torch._foreach_mul_(v, beta2)
        torch._foreach_add_(v, torch._foreach_mul(torch._foreach_mul(g, g), 1 - beta2))
        denominator = torch._foreach_add(torch._foreach_sqrt(v), epsilon)
        torch._foreach_add_(w, torch._foreach_div(torch._foreach_mul(m, [-x for x in lrs[part]]), denominator))


def _mixed_type(params: Params, ins: list, outs: list) -> tuple[list, list]:
    """Weight and gradient share one type; states are float32."""
    dtype = unify([*ins[:2], *outs])
    return [dtype, dtype, *[torch.float32] * (len(ins) - 2)], [dtype]


_UPDATE = {"infer_shape": same_shape, "symbolic": False, "stops_gradient": True}


@register("sgd_update", ("_sparse_sgd_update",), **_UPDATE)
def sgd_update(
    weight,
    grad,
    *,
    lr: Float,
    wd: Float = 0.0,
    rescale_grad: Float = 1.0,
    clip_gradient: Float = -1.0,
    lazy_update: NoEffect(Bool) = True,
):
    """weight - lr (clip(rescale_grad grad) + wd weight)."""
    weight = weight.clone()
    sgd_([weight], [grad], None, [lr], [wd], 0.0, rescale_grad, clip_gradient)
    return weight


@register("sgd_mom_update", ("_sparse_sgd_mom_update",), mutates=("mom",), **_UPDATE)
def sgd_mom_update(
    weight,
    grad,
    mom,
    *,
    lr: Float,
    momentum: Float = 0.0,
    wd: Float = 0.0,
    rescale_grad: Float = 1.0,
    clip_gradient: Float = -1.0,
    lazy_update: NoEffect(Bool) = True,
):
    """mom = momentum mom - lr (clip(rescale_grad grad) + wd weight); gives weight + mom and changes ``mom``."""
    weight, mom = weight.clone(), mom.clone()
    sgd_([weight], [grad], [mom], [lr], [wd], momentum, rescale_grad, clip_gradient)
    return weight, mom


@register("mp_sgd_update", infer_type=_mixed_type, mutates=("weight32",), **_UPDATE)
def mp_sgd_update(
    weight,
    grad,
    weight32,
    *,
    lr: Float,
    wd: Float = 0.0,
    rescale_grad: Float = 1.0,
    clip_gradient: Float = -1.0,
    lazy_update: NoEffect(Bool) = True,
):
    """``sgd_update`` of the float32 master copy ``weight32`` (changed); gives it in the weight's type."""
    master = weight32.clone()
    sgd_([master], [grad.to(torch.float32)], None, [lr], [wd], 0.0, rescale_grad, clip_gradient)
    return master.to(weight.dtype), master


@register("mp_sgd_mom_update", infer_type=_mixed_type, mutates=("mom", "weight32"), **_UPDATE)
def mp_sgd_mom_update(
    weight,
    grad,
    mom,
    weight32,
    *,
    lr: Float,
    momentum: Float = 0.0,
    wd: Float = 0.0,
    rescale_grad: Float = 1.0,
    clip_gradient: Float = -1.0,
    lazy_update: NoEffect(Bool) = True,
):
    """``sgd_mom_update`` of the float32 master copy ``weight32`` (changed, like ``mom``)."""
    master, mom = weight32.clone(), mom.clone()
    sgd_([master], [grad.to(torch.float32)], [mom], [lr], [wd], momentum, rescale_grad, clip_gradient)
    return master.to(weight.dtype), mom, master


@register("adam_update", ("_sparse_adam_update",), mutates=("mean", "var"), **_UPDATE)
def adam_update(
    weight,
    grad,
    mean,
    var,
    *,
    lr: Float,
    beta1: Float = 0.9,
    beta2: Float = 0.999,
    epsilon: Float = 1e-8,
    wd: Float = 0.0,
    rescale_grad: Float = 1.0,
    clip_gradient: Float = -1.0,
    lazy_update: NoEffect(Bool) = True,
):
    """Adam without bias correction (which is in ``lr``); gives the new weight and changes ``mean`` and ``var``."""
    weight, mean, var = weight.clone(), mean.clone(), var.clone()
    adam_([weight], [grad], [mean], [var], [lr], [wd], (beta1, beta2), epsilon, rescale_grad, clip_gradient)
    return weight, mean, var
