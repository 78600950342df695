"""Update operators, one weight at a time: the new weight is the output, states are changed in place.

The functions are pure: they return the new weight and the new states, and whoever runs them writes the states back
(and the weight, where it is given as ``out=``). The arithmetic is that of ``steps``, on copies. All of them exist
imperatively only, as in the original, whose composing functions refuse inputs that are changed in place.

``rescale_grad`` multiplies the gradient; ``clip_gradient`` limits it to both sides (negative: not at all), ``wd`` is the
weight decay. The learning rate ``lr`` comes with every correction in it.
"""

from collections.abc import Callable
from typing import Any

import torch

from mxcompat.base import MXNetError
from mxcompat.ops import steps
from mxcompat.ops.dtypes import NAME_BY_TORCH, floating, same_type, unify
from mxcompat.ops.registry import register
from mxcompat.ops.schema import Bool, Float, Int, NoEffect, Params, TypeRule
from mxcompat.ops.shape import merge, same_shape


def low_and_float32(low: int, output: torch.dtype | None = None) -> TypeRule:
    """The first ``low`` inputs and the output share a type, the other inputs are float32 (``output``: its type)."""

    def rule(params: Params, ins: list, outs: list) -> tuple[list, list]:
        dtype = unify([*ins[:low], *([] if output else outs)])
        for index, found in enumerate(ins[low:], low):
            if found not in (None, torch.float32):
                raise MXNetError(f"input {index} has type {NAME_BY_TORCH[found]}, expected float32")
        return [dtype] * low + [torch.float32] * (len(ins) - low), [output or dtype] * len(outs)

    return rule


def _update(name: str, *, states: tuple[str, ...] = (), low: int = 0, aliases: tuple[str, ...] = ()) -> Callable:
    """``register`` for an update of one weight; ``low`` inputs have the weight's type and the rest float32 (0: all the
    weight's)."""
    types = floating(low_and_float32(low) if low else same_type)
    return register(
        name, aliases, infer_shape=same_shape, infer_type=types, mutates=states, symbolic=False, no_gradient=True
    )


def _stepped(step: Callable, tensors: tuple, changed: tuple[int, ...], *numbers: Any, **options: Any) -> tuple:
    """The tensors at ``changed`` after ``step``; what is given stays as it is."""
    copies = [tensor.clone() if i in changed else tensor for i, tensor in enumerate(tensors)]
    step(*[[tensor] for tensor in copies], *numbers, **options)
    return tuple(copies[i] for i in changed)


# -- gradient descent -------------------------------------------------------------------------------------------


@_update("sgd_update", aliases=("_sparse_sgd_update",))
def sgd_update(
    weight, grad, *, lr: Float, wd: Float = 0.0, rescale_grad: Float = 1.0, clip_gradient: Float = -1.0,
    lazy_update: Bool = True,
):  # fmt: skip
    """``(1 - lr * wd) * weight - lr * clip(rescale_grad * grad)``.

    All arrays have one shape and type; with ``lazy_update`` a row_sparse gradient changes its rows only.
    """
    options = {"rescale_grad": rescale_grad, "clip_gradient": clip_gradient}
    return _stepped(steps.sgd_, (weight, grad), (0,), lr, wd, **options)


@_update("sgd_mom_update", states=("mom",), aliases=("_sparse_sgd_mom_update",))
def sgd_mom_update(
    weight, grad, mom, *, lr: Float, momentum: Float = 0.0, wd: Float = 0.0, rescale_grad: Float = 1.0,
    clip_gradient: Float = -1.0, lazy_update: Bool = True,
):  # fmt: skip
    """``mom = momentum * mom - lr * wd * weight - lr * clip(rescale_grad * grad)``, then ``weight + mom``."""
    options = {"momentum": momentum, "rescale_grad": rescale_grad, "clip_gradient": clip_gradient}
    return _stepped(steps.sgd_mom_, (weight, grad, mom), (0, 2), lr, wd, **options)


@_update("mp_sgd_update", states=("weight32",), low=2)
def mp_sgd_update(
    weight, grad, weight32, *, lr: Float, wd: Float = 0.0, rescale_grad: Float = 1.0, clip_gradient: Float = -1.0,
    lazy_update: Bool = True,
):  # fmt: skip
    """``sgd_update`` of the float32 copy ``weight32``; the output is that, in the type of ``weight``."""
    options = {"rescale_grad": rescale_grad, "clip_gradient": clip_gradient}
    return _stepped(steps.mp_sgd_, (weight, grad, weight32), (0, 2), lr, wd, **options)


@_update("mp_sgd_mom_update", states=("mom", "weight32"), low=2)
def mp_sgd_mom_update(
    weight, grad, mom, weight32, *, lr: Float, momentum: Float = 0.0, wd: Float = 0.0, rescale_grad: Float = 1.0,
    clip_gradient: Float = -1.0, lazy_update: Bool = True,
):  # fmt: skip
    """``sgd_mom_update`` of the float32 copy ``weight32``; the output is that, in the type of ``weight``."""
    options = {"momentum": momentum, "rescale_grad": rescale_grad, "clip_gradient": clip_gradient}
    return _stepped(steps.mp_sgd_mom_, (weight, grad, mom, weight32), (0, 2, 3), lr, wd, **options)


@_update("nag_mom_update", states=("mom",))
def nag_mom_update(
    weight, grad, mom, *, lr: Float, momentum: Float = 0.0, wd: Float = 0.0, rescale_grad: Float = 1.0,
    clip_gradient: Float = -1.0,
):  # fmt: skip
    """Nesterov's momentum: a step of ``momentum * mom - lr * g``, seen from one step ahead, with
    ``g = clip(rescale_grad * grad) + wd * weight``.

    Compat: ``mom`` takes the decay of the new weight, as in the original when ``out`` is the weight.
    """
    options = {"momentum": momentum, "rescale_grad": rescale_grad, "clip_gradient": clip_gradient}
    return _stepped(steps.nag_mom_, (weight, grad, mom), (0, 2), lr, wd, **options)


@_update("mp_nag_mom_update", states=("mom", "weight32"), low=2)
def mp_nag_mom_update(
    weight, grad, mom, weight32, *, lr: Float, momentum: Float = 0.0, wd: Float = 0.0, rescale_grad: Float = 1.0,
    clip_gradient: Float = -1.0,
):  # fmt: skip
    """``nag_mom_update`` of the float32 copy ``weight32``; the output is that, in the type of ``weight``."""
    options = {"momentum": momentum, "rescale_grad": rescale_grad, "clip_gradient": clip_gradient}
    return _stepped(steps.mp_nag_mom_, (weight, grad, mom, weight32), (0, 2, 3), lr, wd, **options)


@_update("signsgd_update")
def signsgd_update(
    weight, grad, *, lr: Float, wd: Float = 0.0, rescale_grad: NoEffect(Float) = 1.0,
    clip_gradient: NoEffect(Float) = -1.0,
):  # fmt: skip
    """``(1 - lr * wd) * weight - lr * sign(grad)``.

    Compat: the original ignores ``rescale_grad``, even a negative one, and ``clip_gradient``.
    """
    return _stepped(steps.signsgd_, (weight, grad), (0,), lr, wd)


@_update("signum_update", states=("mom",))
def signum_update(
    weight, grad, mom, *, lr: Float, momentum: Float = 0.0, wd: Float = 0.0, rescale_grad: Float = 1.0,
    clip_gradient: Float = -1.0, wd_lh: Float = 0.0,
):  # fmt: skip
    """``mom = momentum * mom - (1 - momentum) * (wd * weight + clip(rescale_grad * grad))``, then
    ``(1 - lr * wd_lh) * weight + lr * sign(mom)``."""
    options = {"momentum": momentum, "rescale_grad": rescale_grad, "clip_gradient": clip_gradient, "wd_lh": wd_lh}
    return _stepped(steps.signum_, (weight, grad, mom), (0, 2), lr, wd, **options)


# -- with second moments ----------------------------------------------------------------------------------------


@_update("adam_update", states=("mean", "var"), aliases=("_sparse_adam_update",))
def adam_update(
    weight, grad, mean, var, *, lr: Float, beta1: Float = 0.9, beta2: Float = 0.999, epsilon: Float = 1e-8,
    wd: Float = 0.0, rescale_grad: Float = 1.0, clip_gradient: Float = -1.0, lazy_update: Bool = True,
):  # fmt: skip
    """``weight - lr * mean / (sqrt(var) + epsilon)``, with the moving moments of
    ``clip(rescale_grad * grad + wd * weight)``."""
    options = {"beta1": beta1, "beta2": beta2, "epsilon": epsilon}
    options.update(rescale_grad=rescale_grad, clip_gradient=clip_gradient)
    return _stepped(steps.adam_, (weight, grad, mean, var), (0, 2, 3), lr, wd, **options)


@_update("rmsprop_update", states=("n",))
def rmsprop_update(
    weight, grad, n, *, lr: Float, gamma1: Float = 0.95, epsilon: Float = 1e-8, wd: Float = 0.0,
    rescale_grad: Float = 1.0, clip_gradient: Float = -1.0, clip_weights: Float = -1.0,
):  # fmt: skip
    """``weight - lr * g / sqrt(n + epsilon)``, with the moving mean ``n`` of the square of
    ``g = clip(rescale_grad * grad + wd * weight)``; ``clip_weights`` limits the result to both sides."""
    options = {"gamma1": gamma1, "epsilon": epsilon, "rescale_grad": rescale_grad}
    options.update(clip_gradient=clip_gradient, clip_weights=clip_weights)
    return _stepped(steps.rmsprop_, (weight, grad, n), (0, 2), lr, wd, **options)


@_update("rmspropalex_update", states=("n", "g", "delta"))
def rmspropalex_update(
    weight, grad, n, g, delta, *, lr: Float, gamma1: Float = 0.95, gamma2: Float = 0.9, epsilon: Float = 1e-8,
    wd: Float = 0.0, rescale_grad: Float = 1.0, clip_gradient: Float = -1.0, clip_weights: Float = -1.0,
):  # fmt: skip
    """``weight + delta`` with ``delta = gamma2 * delta - lr * grad / sqrt(n - g**2 + epsilon)``, where ``g`` and ``n`` are
    the moving means of ``clip(rescale_grad * grad + wd * weight)`` and of its square."""
    options = {"gamma1": gamma1, "gamma2": gamma2, "epsilon": epsilon, "rescale_grad": rescale_grad}
    options.update(clip_gradient=clip_gradient, clip_weights=clip_weights)
    return _stepped(steps.rmspropalex_, (weight, grad, n, g, delta), (0, 2, 3, 4), lr, wd, **options)


@_update("ftrl_update", states=("z", "n"), aliases=("_sparse_ftrl_update",))
def ftrl_update(
    weight, grad, z, n, *, lr: Float, lamda1: Float = 0.01, beta: Float = 1.0, wd: Float = 0.0,
    rescale_grad: Float = 1.0, clip_gradient: Float = -1.0,
):  # fmt: skip
    """Follow the regularized leader: ``(sign(z) * lamda1 - z) / ((beta + sqrt(n)) / lr + wd)`` where ``|z| > lamda1``,
    else 0; ``n`` sums the squares of the gradient ``g``, ``z`` sums ``g - (sqrt(n) - sqrt(n before)) * weight / lr``."""
    options = {"lamda1": lamda1, "beta": beta, "rescale_grad": rescale_grad, "clip_gradient": clip_gradient}
    return _stepped(steps.ftrl_, (weight, grad, z, n), (0, 2, 3), lr, wd, **options)


@_update("ftml_update", states=("d", "v", "z"))
def ftml_update(
    weight, grad, d, v, z, *, lr: Float, beta1: Float(min=0, max=1) = 0.6, beta2: Float(min=0, max=1) = 0.999,
    epsilon: Float = 1e-8, t: Int, wd: Float = 0.0, rescale_grad: Float = 1.0, clip_grad: Float = -1.0,
):  # fmt: skip
    """Follow the moving leader: ``-z / d``, with the states of the gradient
    ``clip(rescale_grad * grad + wd * weight)`` at its ``t``-th update."""
    options = {"beta1": beta1, "beta2": beta2, "epsilon": epsilon}
    options.update(rescale_grad=rescale_grad, clip_grad=clip_grad)
    return _stepped(steps.ftml_, (weight, grad, d, v, z), (0, 2, 3, 4), lr, wd, t, **options)


# -- LAMB and AdamW ---------------------------------------------------------------------------------------------


def _lamb_direction(tensors: tuple, wd: float, count: int, **options: Any) -> tuple:
    """The direction and the new moments (weight, gradient and moments are ``tensors``)."""
    weight, grad, mean, var = tensors
    mean, var = mean.clone(), var.clone()
    directions = steps.lamb_direction_([weight], [grad], [mean], [var], wd, count, **options)
    return directions[0], mean, var


@_update("lamb_update_phase1", states=("mean", "var"))
def lamb_update_phase1(
    weight, grad, mean, var, *, beta1: Float = 0.9, beta2: Float = 0.999, epsilon: Float = 1e-6, t: Int,
    bias_correction: Bool = True, wd: Float, rescale_grad: Float = 1.0, clip_gradient: Float = -1.0,
):  # fmt: skip
    """The direction ``mean / (sqrt(var) + epsilon) + wd * weight`` with the moving moments of
    ``clip(rescale_grad * grad)``, corrected for their bias at the ``t``-th update."""
    options = {"beta1": beta1, "beta2": beta2, "epsilon": epsilon, "bias_correction": bias_correction}
    options.update(rescale_grad=rescale_grad, clip_gradient=clip_gradient)
    return _lamb_direction((weight, grad, mean, var), wd, t, **options)


def _mp_lamb_types(params: Params, ins: list, outs: list) -> tuple[list, list]:
    """Weight and gradient are float16 and everything else float32."""
    for index, found in enumerate(ins):
        expected = torch.float16 if index < 2 else torch.float32
        if found not in (None, expected):
            raise MXNetError(f"input {index} has type {NAME_BY_TORCH[found]}, expected {NAME_BY_TORCH[expected]}")
    return [torch.float16] * 2 + [torch.float32] * (len(ins) - 2), [torch.float32]


@register(
    "mp_lamb_update_phase1",
    infer_shape=same_shape,
    infer_type=_mp_lamb_types,
    mutates=("mean", "var"),
    symbolic=False,
    no_gradient=True,
)
def mp_lamb_update_phase1(
    weight, grad, mean, var, weight32, *, beta1: Float = 0.9, beta2: Float = 0.999, epsilon: Float = 1e-6, t: Int,
    bias_correction: Bool = True, wd: Float, rescale_grad: Float = 1.0, clip_gradient: Float = -1.0,
):  # fmt: skip
    """``lamb_update_phase1`` of the float32 copy ``weight32``, for a weight and gradient of float16."""
    options = {"beta1": beta1, "beta2": beta2, "epsilon": epsilon, "bias_correction": bias_correction}
    options.update(rescale_grad=rescale_grad, clip_gradient=clip_gradient)
    return _lamb_direction((weight32, grad.float(), mean, var), wd, t, **options)


def _phase2_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    weight = ins[0]
    for name, index in (("g", 1), ("weight32", 4)):
        if index < len(ins):
            weight = merge(weight, ins[index], f"Shape inconsistent, input {name}")
    for name, shape in (("r1", ins[2]), ("r2", ins[3])):
        if shape is not None and (not shape or shape[0] != 1):
            raise MXNetError(f"input {name} has shape {shape}, expected (1,)")
    return [weight, weight, *ins[2:4], *[weight] * (len(ins) - 4)], [merge(weight, outs[0], "output")]


def _phase2(weight: Any, g: Any, r1: Any, r2: Any, lr: float, lower_bound: float, upper_bound: float) -> torch.Tensor:
    lr, lower_bound, upper_bound = map(float, steps.rounded(weight, lr, lower_bound, upper_bound))
    ratio = steps.trust_ratio(r1.reshape(-1)[:1], r2.reshape(-1)[:1], lower_bound, upper_bound)
    return weight - (ratio * lr).reshape((1,) * weight.ndim) * g


@register("lamb_update_phase2", infer_shape=_phase2_shape, infer_type=floating(), symbolic=False, no_gradient=True)
def lamb_update_phase2(weight, g, r1, r2, *, lr: Float, lower_bound: Float = -1.0, upper_bound: Float = -1.0):
    """``weight - lr * r1 / r2 * g``: the direction ``g`` scaled by the norms ``r1`` of the weight and ``r2`` of ``g``.

    ``r1`` is held within the bounds (negative: none); the ratio is 1 where one of the norms is 0.
    """
    return _phase2(weight, g, r1, r2, lr, lower_bound, upper_bound)


def _phase2_types(params: Params, ins: list, outs: list) -> tuple[list, list]:
    (weight,), outs = low_and_float32(1)(params, ins[:1], outs)
    return [weight, *low_and_float32(0)(params, ins[1:], [])[0]], outs


@register(
    "mp_lamb_update_phase2",
    infer_shape=_phase2_shape,
    infer_type=floating(_phase2_types),
    symbolic=False,
    no_gradient=True,
)
def mp_lamb_update_phase2(
    weight, g, r1, r2, weight32, *, lr: Float, lower_bound: Float = -1.0, upper_bound: Float = -1.0
):
    """``lamb_update_phase2`` of the float32 copy ``weight32``, in the type of ``weight``.

    Compat: ``weight32`` itself stays as it is, as in the original.
    """
    return _phase2(weight32, g, r1, r2, lr, lower_bound, upper_bound).to(weight.dtype)


def _adamw_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    """All inputs but the last (the scale, of any shape) have the shape of the output."""
    tensors, outs = same_shape(params, ins[:-1], outs)
    return [*tensors, ins[-1]], outs


def unless_scale_is_bad(scale: torch.Tensor, new: torch.Tensor, old: torch.Tensor) -> torch.Tensor:
    """``new``, or ``old`` where the scale of the loss is infinite, no number, or 0."""
    return torch.where(torch.isfinite(scale) & (scale != 0), new, old)


@register(
    "_adamw_update",
    infer_shape=_adamw_shape,
    infer_type=floating(low_and_float32(4)),
    mutates=("grad", "mean", "var"),
    symbolic=False,
    no_gradient=True,
)
def adamw_update(
    weight, grad, mean, var, rescale_grad, *, lr: Float, beta1: Float = 0.9, beta2: Float = 0.999,
    epsilon: Float = 1e-8, wd: Float = 0.0, eta: Float, clip_gradient: Float = -1.0,
):  # fmt: skip
    """``weight - eta * (lr * mean / (sqrt(var) + epsilon) + wd * weight)`` with the moving moments of
    ``clip(rescale_grad * grad)``.

    Nothing changes where the array ``rescale_grad`` (one element) is infinite, no number, or 0.
    Compat: the original leaves the rescaled and clipped gradient in ``grad``.
    """
    scale = rescale_grad.reshape(-1)[0]
    scaled = grad * scale
    if clip_gradient >= 0:
        scaled = scaled.clamp(-clip_gradient, clip_gradient)
    options = {"beta1": beta1, "beta2": beta2, "epsilon": epsilon}
    new = _stepped(steps.adamw_, (weight, scaled, mean, var), (0, 1, 2, 3), lr, wd, eta, **options)
    return tuple(unless_scale_is_bad(scale, *pair) for pair in zip(new, (weight, grad, mean, var)))


@register(
    "_mp_adamw_update",
    infer_shape=_adamw_shape,
    infer_type=floating(low_and_float32(2)),
    mutates=("mean", "var", "weight32"),
    symbolic=False,
    no_gradient=True,
)
def mp_adamw_update(
    weight, grad, mean, var, weight32, rescale_grad, *, lr: Float, beta1: Float = 0.9, beta2: Float = 0.999,
    epsilon: Float = 1e-8, wd: Float = 0.0, eta: Float, clip_gradient: Float = -1.0,
):  # fmt: skip
    """``_adamw_update`` of the float32 copy ``weight32``, in the type of ``weight``; ``grad`` stays as it is."""
    scale = rescale_grad.reshape(-1)[0]
    options = {"beta1": beta1, "beta2": beta2, "epsilon": epsilon, "clip_gradient": clip_gradient}
    tensors = (weight32, grad.float() * scale, mean, var)
    new = _stepped(steps.adamw_, tensors, (0, 2, 3), lr, wd, eta, **options)
    new32, mean, var = (unless_scale_is_bad(scale, *pair) for pair in zip(new, (weight32, mean, var)))
    return unless_scale_is_bad(scale, new32.to(weight.dtype), weight), mean, var, new32
