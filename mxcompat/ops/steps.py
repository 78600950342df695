"""Optimizer steps in place, on lists of tensors: one call updates many parameters.

Every step takes equally long lists (``weights``, ``grads``, then the states) of one element type and device, and numbers
that hold for all of them. ``apply`` splits what is to be updated into such lists. The numbers are rounded as the
original's kernels round them: to float32, then to the element type, and so are products of numbers.

``rescale_grad`` multiplies the gradient, ``clip_gradient`` (negative: off) limits it to both sides, ``wd`` is the weight
decay; each step says in which order. Gradients are not changed (but by ``adadelta_``, as in the original).
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.autograd.graph import increment_version

from mxcompat.scope import WATCH

Tensors = list[torch.Tensor]

_NUMBER_TYPES: dict[torch.dtype, Any] = {torch.float64: np.float64, torch.float16: np.float16}

#: types in which torch's fused steps round as the original does
FUSED_TYPES = (torch.float32, torch.float64)

#: on the cpu, steps of several passes take so many elements at a time: with their states they stay in the cache
BLOCK_ELEMENTS = 1 << 18


def rounded(like: torch.Tensor, *numbers: float) -> list[Any]:
    """The numbers as numpy scalars of the tensor's element type, each rounded to float32 first."""
    kind = _NUMBER_TYPES.get(like.dtype, np.float32)
    return [kind(np.float32(number)) for number in numbers]


def exactly(like: torch.Tensor, *numbers: float) -> list[Any]:
    """The numbers as numpy scalars of the tensor's element type."""
    kind = _NUMBER_TYPES.get(like.dtype, np.float32)
    return [kind(number) for number in numbers]


def apply(step: Callable, lists: Sequence[Tensors], numbers: Sequence[tuple], **shared: Any) -> None:
    """Run ``step(*lists, *numbers, **shared)`` on the tensors that agree in type, device and ``numbers``.

    ``lists`` are weights, gradients and states by position in the parameter list; ``numbers`` has one tuple for each
    parameter. The result is that of one call for each parameter.
    """
    groups: dict[tuple, list[int]] = {}
    for i, weight in enumerate(lists[0]):
        groups.setdefault((weight.dtype, weight.device, *numbers[i]), []).append(i)
    for key, members in groups.items():
        if len(members) == len(lists[0]):
            _run(step, (*lists, *key[2:]), shared)
        else:
            _run(step, (*[[tensors[i] for i in members] for tensors in lists], *key[2:]), shared)


def _run(step: Callable, args: tuple, shared: dict[str, Any]) -> None:
    if WATCH.imperative is None:
        step(*args, **shared)
    else:
        WATCH.imperative(f"{step.__name__.rstrip('_')}_update", step, args, shared)


def _in_blocks(split: bool) -> Callable[[Callable], Callable]:
    """Decorator of steps: on the cpu they take small tensors together, up to ``BLOCK_ELEMENTS``, and large ones in parts
    (``split``) or alone."""

    def decorate(step: Callable) -> Callable:
        @functools.wraps(step)
        def run(*arguments: Any, **options: Any) -> None:
            weights = arguments[0]
            if weights[0].device.type != "cpu" or sum(weight.numel() for weight in weights) <= BLOCK_ELEMENTS:
                step(*arguments, **options)
                return
            lists = [argument for argument in arguments if isinstance(argument, list)]
            for block in _blocks(lists, split):
                step(*block, *arguments[len(lists) :], **options)

        return run

    return decorate


blocked, chunked = _in_blocks(split=True), _in_blocks(split=False)


def _blocks(lists: list[Tensors], split: bool) -> Iterator[list[Tensors]]:
    block: list[Tensors] = [[] for _ in lists]
    room = BLOCK_ELEMENTS
    for tensors in zip(*lists):
        size = tensors[0].numel()
        if size > BLOCK_ELEMENTS and split:
            parts = [tensor.view(-1).split(BLOCK_ELEMENTS) for tensor in tensors]
            yield from ([[part] for part in one] for one in zip(*parts))
            continue
        if size > room and block[0]:
            yield block
            block, room = [[] for _ in lists], BLOCK_ELEMENTS
        for part, tensor in zip(block, tensors):
            part.append(tensor)
        room -= size
    if block[0]:
        yield block


def _clip_(tensors: Tensors, bound: float) -> None:
    if tensors[0].device.type == "cpu":  # one pass instead of two
        for tensor in tensors:
            tensor.clamp_(-bound, bound)
    else:
        torch._foreach_clamp_max_(tensors, bound)
        torch._foreach_clamp_min_(tensors, -bound)


def prepared(grads: Tensors, rescale: Any, clip: Any, weights: Tensors | None = None, wd: Any = 0.0) -> Tensors:
    """``clip(rescale * grad + wd * weight)``, as new tensors unless nothing changes."""
    result = grads
    if rescale != 1:
        result = list(torch._foreach_mul(result, float(rescale)))
    if weights is not None and wd != 0:
        if result is grads:
            result = list(torch._foreach_add(result, weights, alpha=float(wd)))
        else:
            torch._foreach_add_(result, weights, alpha=float(wd))
    if clip >= 0:
        if result is grads:
            result = list(torch._foreach_mul(result, 1.0))
        _clip_(result, float(clip))
    return result


def in_float32(tensors: Tensors) -> Tensors:
    """The tensors as float32 (themselves where they are)."""
    return [tensor.float() for tensor in tensors]


# -- gradient descent -------------------------------------------------------------------------------------------


def _descent_amount(grads: Tensors, lr: Any, rescale: Any, clip: Any) -> tuple[Tensors, float]:
    """Tensors and a factor whose product is ``lr * clip(rescale * grad)``, with as few passes as possible."""
    if clip >= 0:
        return prepared(grads, rescale, clip), float(lr)
    return grads, float(lr * rescale)


def _descend_(
    weights: Tensors, grads: Tensors, moms: Tensors | None, lr: Any, wd: Any, momentum: Any, rescale: Any
) -> None:
    """``m = momentum * m - lr * (rescale * g + wd * w)``; ``w += m`` (m starts at 0 each time without ``moms``)."""
    if weights[0].dtype in FUSED_TYPES and rescale != 0 and (moms is None or momentum != 0):
        # torch's rule: m = momentum * m + (1 - dampening) * (g + weight_decay * w); w -= rate * m
        factor = float(lr) * float(rescale)
        rate, dampening = (factor, 0.0) if moms is None else (-1.0, 1.0 + factor)
        torch._fused_sgd_(
            weights, grads, moms or [], weight_decay=float(wd) / float(rescale), momentum=float(momentum), lr=rate,
            dampening=dampening, nesterov=False, maximize=False, is_first_step=False,
        )  # fmt: skip
        increment_version(weights)  # the kernel writes them unseen
        return
    if moms is None:
        if wd != 0:
            torch._foreach_mul_(weights, float(1 - lr * wd))
        torch._foreach_add_(weights, grads, alpha=-float(lr * rescale))
        return
    torch._foreach_mul_(moms, float(momentum))
    if wd != 0:
        torch._foreach_add_(moms, weights, alpha=-float(lr * wd))
    torch._foreach_add_(moms, grads, alpha=-float(lr * rescale))
    torch._foreach_add_(weights, moms)


@blocked
def _descend_clipped_(
    weights: Tensors, grads: Tensors, moms: Tensors | None, lr: Any, wd: Any, momentum: Any, rescale: Any, clip: Any
) -> None:
    _descend_(weights, prepared(grads, rescale, clip), moms, lr, wd, momentum, type(lr)(1))


def sgd_(
    weights: Tensors, grads: Tensors, lr: float, wd: float, *, rescale_grad: float = 1.0, clip_gradient: float = -1.0
) -> None:
    """``w = (1 - lr * wd) * w - lr * clip(rescale_grad * g)``."""
    lr, wd, rescale_grad, clip_gradient = rounded(weights[0], lr, wd, rescale_grad, clip_gradient)
    if clip_gradient >= 0:
        _descend_clipped_(weights, grads, None, lr, wd, 0.0, rescale_grad, clip_gradient)
    else:
        _descend_(weights, grads, None, lr, wd, 0.0, rescale_grad)


def sgd_mom_(
    weights: Tensors, grads: Tensors, moms: Tensors, lr: float, wd: float, *, momentum: float = 0.0,
    rescale_grad: float = 1.0, clip_gradient: float = -1.0,
) -> None:  # fmt: skip
    """``m = momentum * m - lr * wd * w - lr * clip(rescale_grad * g)``; ``w += m``."""
    lr, wd, momentum, rescale_grad, clip_gradient = rounded(weights[0], lr, wd, momentum, rescale_grad, clip_gradient)
    if clip_gradient >= 0:
        _descend_clipped_(weights, grads, moms, lr, wd, momentum, rescale_grad, clip_gradient)
    else:
        _descend_(weights, grads, moms, lr, wd, momentum, rescale_grad)


def preloaded_sgd_(
    weights: Tensors, grads: Tensors, moms: Tensors | None, lrs: torch.Tensor, wds: torch.Tensor, *,
    momentum: float = 0.0, rescale_grad: float = 1.0, clip_gradient: float = -1.0,
) -> None:  # fmt: skip
    """``sgd_mom_`` (``sgd_`` without ``moms``) with the rates in tensors: one entry for each weight."""
    momentum, rescale_grad, clip_gradient = rounded(weights[0], momentum, rescale_grad, clip_gradient)
    amounts, factor = _descent_amount(grads, 1.0, rescale_grad, clip_gradient)
    kind = weights[0].dtype
    moves = torch._foreach_mul(weights, list((lrs * wds).to(kind).neg().unbind()))
    torch._foreach_sub_(moves, torch._foreach_mul(amounts, list((lrs * factor).to(kind).unbind())))
    if moms is not None:
        torch._foreach_mul_(moms, float(momentum))
        torch._foreach_add_(moms, moves)
    torch._foreach_add_(weights, moves if moms is None else moms)


def layer_rates(
    lrs: torch.Tensor, weights_sum_sq: torch.Tensor, grads_sum_sq: torch.Tensor, wds: torch.Tensor, eta: float,
    eps: float, rescale_grad: float,
) -> torch.Tensor:  # fmt: skip
    """Rates by layer, as LARS has them: ``lrs * eta * w / (g * rescale_grad + wds * w + eps)`` with the norms w and g of
    weights and gradients, ``lrs`` where a norm is 0. All tensors have one entry for each layer."""
    weight_norms = weights_sum_sq.sqrt()
    rates = lrs * eta * weight_norms / (grads_sum_sq.sqrt() * rescale_grad + wds * weight_norms + eps)
    return torch.where((weight_norms > 0) & (grads_sum_sq > 0), rates, lrs)


@blocked
def nag_mom_(
    weights: Tensors, grads: Tensors, moms: Tensors, lr: float, wd: float, *, momentum: float = 0.0,
    rescale_grad: float = 1.0, clip_gradient: float = -1.0,
) -> None:  # fmt: skip
    """``m *= momentum``; ``w' = w - m + (momentum + 1) * (m - lr * (g + wd * w))``; ``m -= lr * (g + wd * w')``.

    ``g`` is the rescaled and clipped gradient. Compat: the momentum takes the decay of the weight that was just written
    (``w'``), as the original's kernel does when it works in place (in every optimizer).
    """
    lr, wd, momentum, rescale_grad, clip_gradient = rounded(weights[0], lr, wd, momentum, rescale_grad, clip_gradient)
    torch._foreach_mul_(moms, float(momentum))
    grads = prepared(grads, rescale_grad, clip_gradient)
    amounts = prepared(grads, 1.0, -1.0, weights, wd)
    torch._foreach_add_(weights, moms, alpha=float(momentum))
    torch._foreach_add_(weights, amounts, alpha=-float((momentum + 1) * lr))
    torch._foreach_add_(moms, prepared(grads, 1.0, -1.0, weights, wd), alpha=-float(lr))


@blocked
def signsgd_(weights: Tensors, grads: Tensors, lr: float, wd: float) -> None:
    """``w = (1 - lr * wd) * w - lr * sign(g)``."""
    lr, wd = rounded(weights[0], lr, wd)
    if wd != 0:
        torch._foreach_mul_(weights, float(1 - lr * wd))
    torch._foreach_add_(weights, torch._foreach_sign(grads), alpha=-float(lr))


@blocked
def signum_(
    weights: Tensors, grads: Tensors, moms: Tensors, lr: float, wd: float, *, momentum: float = 0.0,
    rescale_grad: float = 1.0, clip_gradient: float = -1.0, wd_lh: float = 0.0,
) -> None:  # fmt: skip
    """``m = momentum * m - (1 - momentum) * (wd * w + clip(rescale_grad * g))``; ``w = (1 - lr * wd_lh) * w + lr * sign(m)``."""
    lr, wd, momentum, rescale_grad, clip_gradient, wd_lh = rounded(
        weights[0], lr, wd, momentum, rescale_grad, clip_gradient, wd_lh
    )
    torch._foreach_mul_(moms, float(momentum))
    rest = 1 - momentum
    if wd != 0:
        torch._foreach_add_(moms, weights, alpha=-float(rest * wd))
    amounts, factor = _descent_amount(grads, rest, rescale_grad, clip_gradient)
    torch._foreach_add_(moms, amounts, alpha=-factor)
    if wd_lh != 0:
        torch._foreach_mul_(weights, float(1 - lr * wd_lh))
    torch._foreach_add_(weights, torch._foreach_sign(moms), alpha=float(lr))


def mixed(step: Callable) -> Callable:
    """``step`` for weights and gradients of 16 bits: the last list holds the float32 weights that it updates.

    The new function takes ``weights, grads, *states, weights32`` and writes the rounded result into ``weights``.
    """

    def mixed_step(weights: Tensors, grads: Tensors, *rest: Any, **shared: Any) -> None:
        count = next((i for i, item in enumerate(rest) if not isinstance(item, list)), len(rest))
        states, weights32, numbers = rest[: count - 1], rest[count - 1], rest[count:]
        step(weights32, in_float32(grads), *states, *numbers, **shared)
        torch._foreach_copy_(weights, weights32)

    return mixed_step


mp_sgd_, mp_sgd_mom_, mp_nag_mom_ = mixed(sgd_), mixed(sgd_mom_), mixed(nag_mom_)


# -- with second moments ----------------------------------------------------------------------------------------


def _decay_moments_(means: Tensors, variances: Tensors, grads: Tensors, beta1: Any, beta2: Any) -> None:
    torch._foreach_mul_(means, float(beta1))
    torch._foreach_add_(means, grads, alpha=float(1 - beta1))
    torch._foreach_mul_(variances, float(beta2))
    torch._foreach_addcmul_(variances, grads, grads, value=float(1 - beta2))


def _root_plus(tensors: Tensors, epsilon: Any) -> Tensors:
    roots = list(torch._foreach_sqrt(tensors))
    torch._foreach_add_(roots, float(epsilon))
    return roots


#: a number of steps after which Adam's moments have no bias left, by device
_UNBIASED: dict[torch.device, torch.Tensor] = {}


def _unbiased(device: torch.device) -> torch.Tensor:
    if device not in _UNBIASED:
        _UNBIASED[device] = torch.tensor(1e9, device=device)
    return _UNBIASED[device]


@blocked
def adam_(
    weights: Tensors, grads: Tensors, means: Tensors, variances: Tensors, lr: float, wd: float, *, beta1: float = 0.9,
    beta2: float = 0.999, epsilon: float = 1e-8, rescale_grad: float = 1.0, clip_gradient: float = -1.0,
) -> None:  # fmt: skip
    """``g = clip(rescale_grad * g + wd * w)``; ``w -= lr * m / (sqrt(v) + epsilon)`` with the moments m, v of ``g``.

    The caller puts the correction of the bias into ``lr``.
    """
    lr, wd, rescale_grad, clip_gradient = rounded(weights[0], lr, wd, rescale_grad, clip_gradient)
    beta1, beta2, epsilon = rounded(weights[0], beta1, beta2, epsilon)
    if weights[0].dtype in FUSED_TYPES and 0 <= beta1 < 1 and 0 <= beta2 < 1:
        if clip_gradient >= 0:
            grads, wd = prepared(grads, rescale_grad, clip_gradient, weights, wd), 0.0
        else:
            grads = prepared(grads, rescale_grad, clip_gradient)
        torch._fused_adam_(
            weights, grads, means, variances, [], [_unbiased(weights[0].device)] * len(weights), lr=float(lr),
            beta1=float(beta1), beta2=float(beta2), weight_decay=float(wd), eps=float(epsilon), amsgrad=False,
            maximize=False,
        )  # fmt: skip
        increment_version(weights)
    else:
        grads = prepared(grads, rescale_grad, clip_gradient, weights, wd)
        _decay_moments_(means, variances, grads, beta1, beta2)
        torch._foreach_addcdiv_(weights, means, _root_plus(variances, epsilon), value=-float(lr))


def lamb_direction_(
    weights: Tensors, grads: Tensors, means: Tensors, variances: Tensors, wd: float, count: int, *, beta1: float = 0.9,
    beta2: float = 0.999, epsilon: float = 1e-6, bias_correction: bool = True, rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
) -> Tensors:  # fmt: skip
    """The direction ``m / (sqrt(v) + epsilon) + wd * w`` with the moments m, v of ``clip(rescale_grad * g)``.

    ``count`` is the number of this update of these weights; the moments are corrected by it if ``bias_correction``.
    """
    wd, rescale_grad, clip_gradient = rounded(weights[0], wd, rescale_grad, clip_gradient)
    beta1, beta2, epsilon = rounded(weights[0], beta1, beta2, epsilon)
    _decay_moments_(means, variances, prepared(grads, rescale_grad, clip_gradient), beta1, beta2)
    if bias_correction:
        (power,) = rounded(weights[0], count)
        directions = list(torch._foreach_div(means, float(1 - beta1**power)))
        roots = _root_plus(list(torch._foreach_div(variances, float(1 - beta2**power))), epsilon)
        torch._foreach_div_(directions, roots)
    else:
        directions = list(torch._foreach_div(means, _root_plus(variances, epsilon)))
    if wd != 0:
        torch._foreach_add_(directions, weights, alpha=float(wd))
    return directions


def trust_ratio(
    weight_norms: torch.Tensor, direction_norms: torch.Tensor, lower_bound: float = -1.0, upper_bound: float = -1.0
) -> torch.Tensor:
    """``|w| / |direction|``, with ``|w|`` held within the bounds (negative: none); 1 where one of the two is zero."""
    if lower_bound >= 0:
        weight_norms = weight_norms.clamp_min(lower_bound)
    if upper_bound >= 0:
        weight_norms = weight_norms.clamp_max(upper_bound)
    either_zero = (weight_norms == 0) | (direction_norms == 0)
    return torch.where(either_zero, 1.0, weight_norms / direction_norms)


def _lamb_(
    measured: Tensors, weights: Tensors, grads: Tensors, means: Tensors, variances: Tensors, lr: float, wd: float,
    count: int, lower_bound: float = -1.0, upper_bound: float = -1.0, **options: Any,
) -> None:  # fmt: skip
    """``lamb_`` with the norms of ``measured``."""
    norms = torch.stack(torch._foreach_norm(measured))
    directions = lamb_direction_(weights, grads, means, variances, wd, count, **options)
    ratios = trust_ratio(norms, torch.stack(torch._foreach_norm(directions)), lower_bound, upper_bound)
    (lr,) = rounded(weights[0], lr)
    torch._foreach_mul_(directions, list((ratios * float(lr)).unbind()))
    torch._foreach_sub_(weights, directions)


@chunked
def lamb_(weights: Tensors, *rest: Any, **options: Any) -> None:
    """``w -= lr * trust_ratio * direction`` for ``weights, grads, means, variances, lr, wd, count``.

    Keywords are the bounds of ``trust_ratio`` and those of ``lamb_direction_``.
    """
    _lamb_(weights, weights, *rest, **options)


@chunked
def mp_lamb_(
    weights: Tensors,
    grads: Tensors,
    means: Tensors,
    variances: Tensors,
    weights32: Tensors,
    *numbers: Any,
    **options: Any,
) -> None:
    """``lamb_`` of float32 copies, which are rounded into ``weights``; the norms are those of ``weights``."""
    _lamb_(in_float32(weights), weights32, in_float32(grads), means, variances, *numbers, **options)
    torch._foreach_copy_(weights, weights32)


@blocked
def adamw_(
    weights: Tensors, grads: Tensors, means: Tensors, variances: Tensors, lr: float, wd: float, eta: float, *,
    beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8, clip_gradient: float = -1.0,
) -> None:  # fmt: skip
    """``w -= eta * (lr * m / (sqrt(v) + epsilon) + wd * w)`` with the moments m, v of ``clip(g)``."""
    lr, wd, eta, clip_gradient = rounded(weights[0], lr, wd, eta, clip_gradient)
    beta1, beta2, epsilon = rounded(weights[0], beta1, beta2, epsilon)
    _decay_moments_(means, variances, prepared(grads, 1.0, clip_gradient), beta1, beta2)
    if wd != 0:
        torch._foreach_mul_(weights, float(1 - eta * wd))
    torch._foreach_addcdiv_(weights, means, _root_plus(variances, epsilon), value=-float(eta * lr))


mp_adamw_ = mixed(adamw_)


@blocked
def rmsprop_(
    weights: Tensors, grads: Tensors, squares: Tensors, lr: float, wd: float, *, gamma1: float = 0.95,
    epsilon: float = 1e-8, rescale_grad: float = 1.0, clip_gradient: float = -1.0, clip_weights: float = -1.0,
) -> None:  # fmt: skip
    """``g = clip(rescale_grad * g + wd * w)``; ``n = (1 - gamma1) * g**2 + gamma1 * n``; ``w -= lr * g / sqrt(n + epsilon)``."""
    lr, wd, gamma1, epsilon, rescale_grad, clip_gradient, clip_weights = rounded(
        weights[0], lr, wd, gamma1, epsilon, rescale_grad, clip_gradient, clip_weights
    )
    grads = prepared(grads, rescale_grad, clip_gradient, weights, wd)
    torch._foreach_mul_(squares, float(gamma1))
    torch._foreach_addcmul_(squares, grads, grads, value=float(1 - gamma1))
    roots = torch._foreach_add(squares, float(epsilon))
    torch._foreach_sqrt_(roots)
    torch._foreach_addcdiv_(weights, grads, roots, value=-float(lr))
    if clip_weights >= 0:
        _clip_(weights, float(clip_weights))


@blocked
def rmspropalex_(
    weights: Tensors, grads: Tensors, squares: Tensors, means: Tensors, deltas: Tensors, lr: float, wd: float, *,
    gamma1: float = 0.95, gamma2: float = 0.9, epsilon: float = 1e-8, rescale_grad: float = 1.0,
    clip_gradient: float = -1.0, clip_weights: float = -1.0,
) -> None:  # fmt: skip
    """The centered form: ``delta = gamma2 * delta - lr * g / sqrt(n - m**2 + epsilon)`` with the moving means m of ``g``
    and n of its square, ``g = clip(rescale_grad * g + wd * w)``; ``w += delta``."""
    lr, wd, gamma1, gamma2, epsilon = rounded(weights[0], lr, wd, gamma1, gamma2, epsilon)
    rescale_grad, clip_gradient, clip_weights = rounded(weights[0], rescale_grad, clip_gradient, clip_weights)
    grads = prepared(grads, rescale_grad, clip_gradient, weights, wd)
    torch._foreach_mul_(squares, float(gamma1))
    torch._foreach_addcmul_(squares, grads, grads, value=float(1 - gamma1))
    torch._foreach_mul_(means, float(gamma1))
    torch._foreach_add_(means, grads, alpha=float(1 - gamma1))
    roots = torch._foreach_addcmul(squares, means, means, value=-1.0)
    torch._foreach_add_(roots, float(epsilon))
    torch._foreach_sqrt_(roots)
    torch._foreach_mul_(deltas, float(gamma2))
    torch._foreach_addcdiv_(deltas, grads, roots, value=-float(lr))
    torch._foreach_add_(weights, deltas)
    if clip_weights >= 0:
        _clip_(weights, float(clip_weights))


# -- follow the leader ------------------------------------------------------------------------------------------


@blocked
def ftrl_(
    weights: Tensors, grads: Tensors, zs: Tensors, ns: Tensors, lr: float, wd: float, *, lamda1: float = 0.01,
    beta: float = 1.0, rescale_grad: float = 1.0, clip_gradient: float = -1.0,
) -> None:  # fmt: skip
    """``z += g - (sqrt(n + g**2) - sqrt(n)) * w / lr``; ``n += g**2``;
    ``w = (sign(z) * lamda1 - z) / ((beta + sqrt(n)) / lr + wd)`` where ``|z| > lamda1``, else 0, for the rescaled and
    clipped ``g``."""
    lr, wd, lamda1, beta, rescale_grad, clip_gradient = rounded(
        weights[0], lr, wd, lamda1, beta, rescale_grad, clip_gradient
    )
    grads = prepared(grads, rescale_grad, clip_gradient)
    old_roots = list(torch._foreach_sqrt(ns))
    torch._foreach_addcmul_(ns, grads, grads)
    roots = list(torch._foreach_sqrt(ns))
    torch._foreach_add_(zs, grads)
    torch._foreach_addcmul_(zs, torch._foreach_sub(roots, old_roots), weights, value=-1.0 / float(lr))
    torch._foreach_add_(roots, float(beta))
    torch._foreach_div_(roots, float(lr))
    torch._foreach_add_(roots, float(wd))
    for weight, z, root in zip(weights, zs, roots):
        weight.copy_(torch.nn.functional.softshrink(z, float(lamda1)) / -root)


@blocked
def ftml_(
    weights: Tensors, grads: Tensors, ds: Tensors, variances: Tensors, zs: Tensors, lr: float, wd: float, count: int, *,
    beta1: float = 0.6, beta2: float = 0.999, epsilon: float = 1e-8, rescale_grad: float = 1.0, clip_grad: float = -1.0,
) -> None:  # fmt: skip
    """``g = clip(rescale_grad * g + wd * w)``; ``v = beta2 * v + (1 - beta2) * g**2``;
    ``d' = (1 - beta1**t) / lr * (sqrt(v / (1 - beta2**t)) + epsilon)``;
    ``z = beta1 * z + (1 - beta1) * g - (d' - beta1 * d) * w``; ``w = -z / d'``, with the number t of the update."""
    lr, wd, beta1, beta2, rescale_grad, clip_grad, power = rounded(
        weights[0], lr, wd, beta1, beta2, rescale_grad, clip_grad, count
    )
    grads = prepared(grads, rescale_grad, clip_grad, weights, wd)
    torch._foreach_mul_(variances, float(beta2))
    torch._foreach_addcmul_(variances, grads, grads, value=float(1 - beta2))
    new_ds = _root_plus(list(torch._foreach_div(variances, float(1 - beta2**power))), epsilon)
    torch._foreach_mul_(new_ds, float((1 - beta1**power) / lr))
    torch._foreach_mul_(zs, float(beta1))
    torch._foreach_add_(zs, grads, alpha=float(1 - beta1))
    torch._foreach_mul_(ds, float(-beta1))
    torch._foreach_add_(ds, new_ds)
    torch._foreach_addcmul_(zs, ds, weights, value=-1.0)
    torch._foreach_copy_(ds, new_ds)
    torch._foreach_copy_(weights, zs)
    torch._foreach_div_(weights, new_ds)
    torch._foreach_neg_(weights)


# -- rules that the original puts together from array arithmetic --------------------------------------------------


@blocked
def adagrad_(
    weights: Tensors, grads: Tensors, histories: Tensors, lr: float, wd: float, *, epsilon: float = 1e-7,
    rescale_grad: float = 1.0, clip_gradient: float = -1.0,
) -> None:  # fmt: skip
    """``h += g**2``; ``w -= lr * (g / sqrt(h + epsilon) + wd * w)`` for the rescaled and clipped ``g``."""
    lr, wd, epsilon, rescale_grad, clip_gradient = exactly(weights[0], lr, wd, epsilon, rescale_grad, clip_gradient)
    grads = prepared(grads, rescale_grad, clip_gradient)
    torch._foreach_addcmul_(histories, grads, grads)
    roots = torch._foreach_add(histories, float(epsilon))
    torch._foreach_sqrt_(roots)
    amounts = list(torch._foreach_div(grads, roots))
    if wd != 0:
        torch._foreach_add_(amounts, weights, alpha=float(wd))
    torch._foreach_add_(weights, amounts, alpha=-float(lr))


@chunked
def group_adagrad_(
    weights: Tensors, grads: Tensors, histories: Tensors, lr: float, *, epsilon: float = 1e-5,
    rescale_grad: float = 1.0, clip_gradient: float = -1.0,
) -> None:  # fmt: skip
    """``adagrad_`` of matrices (N, M) with one history for each row: ``histories`` are (N, 1) and sum the means of
    squares."""
    lr, epsilon, rescale_grad, clip_gradient = exactly(weights[0], lr, epsilon, rescale_grad, clip_gradient)
    grads = prepared(grads, rescale_grad, clip_gradient)
    for weight, grad, history in zip(weights, grads, histories):
        history.add_(grad.square().mean(1, keepdim=True))
        weight.addcdiv_(grad, (history + float(epsilon)).sqrt(), value=-float(lr))


@blocked
def adadelta_(
    weights: Tensors, grads: Tensors, squares: Tensors, deltas: Tensors, wd: float, *, rho: float = 0.9,
    epsilon: float = 1e-5, rescale_grad: float = 1.0, clip_gradient: float = -1.0,
) -> None:  # fmt: skip
    """``g *= rescale_grad`` in place; ``n = rho * n + (1 - rho) * g**2``;
    ``d = sqrt(delta + epsilon) / sqrt(n + epsilon) * g``; ``delta = rho * delta + (1 - rho) * d**2``; ``w -= d + wd * w``
    for the clipped ``g``."""
    wd, epsilon, rho, rest, clip_gradient = exactly(weights[0], wd, epsilon, rho, 1.0 - rho, clip_gradient)
    if rescale_grad != 1:
        torch._foreach_mul_(grads, float(rescale_grad))
    grads = prepared(grads, 1.0, clip_gradient)
    torch._foreach_mul_(squares, float(rho))
    torch._foreach_addcmul_(squares, grads, grads, value=float(rest))
    moves = torch._foreach_add(deltas, float(epsilon))
    torch._foreach_sqrt_(moves)
    roots = torch._foreach_add(squares, float(epsilon))
    torch._foreach_sqrt_(roots)
    torch._foreach_div_(moves, roots)
    torch._foreach_mul_(moves, grads)
    torch._foreach_mul_(deltas, float(rho))
    torch._foreach_addcmul_(deltas, moves, moves, value=float(rest))
    if wd != 0:
        torch._foreach_add_(moves, weights, alpha=float(wd))
    torch._foreach_sub_(weights, moves)


@blocked
def adamax_(
    weights: Tensors, grads: Tensors, means: Tensors, norms: Tensors, lr: float, wd: float, *, beta1: float = 0.9,
    beta2: float = 0.999, rescale_grad: float = 1.0, clip_gradient: float = -1.0,
) -> None:  # fmt: skip
    """``m = beta1 * m + (1 - beta1) * g``; ``u = max(beta2 * u, |g|)``; ``w -= lr * m / u`` with
    ``g = clip(rescale_grad * g + wd * w)``."""
    lr, wd, beta1, beta2, rest = exactly(weights[0], lr, wd, beta1, beta2, 1.0 - beta1)
    grads = prepared(grads, *exactly(weights[0], rescale_grad, clip_gradient), weights, wd)
    torch._foreach_mul_(means, float(beta1))
    torch._foreach_add_(means, grads, alpha=float(rest))
    torch._foreach_mul_(norms, float(beta2))
    torch._foreach_maximum_(norms, torch._foreach_abs(grads))
    torch._foreach_addcdiv_(weights, means, norms, value=-float(lr))


@blocked
def nadam_(
    weights: Tensors, grads: Tensors, means: Tensors, variances: Tensors, lr: float, wd: float, grad_share: float,
    mean_share: float, variance_scale: float, *, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8,
    rescale_grad: float = 1.0, clip_gradient: float = -1.0,
) -> None:  # fmt: skip
    """``w -= lr * (grad_share * g + mean_share * m) / (sqrt(v / variance_scale) + epsilon)`` with the moments m, v of
    ``g = clip(rescale_grad * g + wd * w)``."""
    lr, wd, grad_share, mean_share, variance_scale, epsilon = exactly(
        weights[0], lr, wd, grad_share, mean_share, variance_scale, epsilon
    )
    grads = prepared(grads, *exactly(weights[0], rescale_grad, clip_gradient), weights, wd)
    _decay_moments_(means, variances, grads, beta1, beta2)
    directions = list(torch._foreach_mul(grads, float(grad_share)))
    torch._foreach_add_(directions, means, alpha=float(mean_share))
    roots = _root_plus(list(torch._foreach_div(variances, float(variance_scale))), epsilon)
    torch._foreach_addcdiv_(weights, directions, roots, value=-float(lr))


def _compensated(
    weights: Tensors, grads: Tensors, previous: Tensors, lr: float, wd: float, lamda: float, rescale_grad: float,
    clip_gradient: float,
) -> Tensors:  # fmt: skip
    """``-lr * (g + wd * w + lamda * g**2 * (w - previous))`` for the rescaled and clipped ``g``."""
    lr, wd, lamda = exactly(weights[0], lr, wd, lamda)
    grads = prepared(grads, *exactly(weights[0], rescale_grad, clip_gradient))
    drifts = torch._foreach_sub(weights, previous)
    torch._foreach_mul_(drifts, grads)
    moves = list(torch._foreach_addcmul(grads, drifts, grads, value=float(lamda)))
    if wd != 0:
        torch._foreach_add_(moves, weights, alpha=float(wd))
    torch._foreach_mul_(moves, -float(lr))
    return moves


@blocked
def dcasgd_(
    weights: Tensors, grads: Tensors, previous: Tensors, lr: float, wd: float, *, lamda: float = 0.04,
    rescale_grad: float = 1.0, clip_gradient: float = -1.0,
) -> None:  # fmt: skip
    """Descent with the gradient compensated for its delay, ``g + wd * w + lamda * g**2 * (w - previous)``, for the
    rescaled and clipped ``g``; ``previous`` becomes the weight before the step."""
    moves = _compensated(weights, grads, previous, lr, wd, lamda, rescale_grad, clip_gradient)
    torch._foreach_copy_(previous, weights)
    torch._foreach_add_(weights, moves)


@blocked
def dcasgd_mom_(
    weights: Tensors, grads: Tensors, previous: Tensors, moms: Tensors, lr: float, wd: float, *, momentum: float = 0.0,
    lamda: float = 0.04, rescale_grad: float = 1.0, clip_gradient: float = -1.0,
) -> None:  # fmt: skip
    """``dcasgd_`` with momentum: ``m = momentum * m + move``; ``w += m``."""
    moves = _compensated(weights, grads, previous, lr, wd, lamda, rescale_grad, clip_gradient)
    torch._foreach_mul_(moms, float(exactly(weights[0], momentum)[0]))
    torch._foreach_add_(moms, moves)
    torch._foreach_copy_(previous, weights)
    torch._foreach_add_(weights, moms)


@blocked
def sgld_(
    weights: Tensors, grads: Tensors, lr: float, wd: float, *, rescale_grad: float = 1.0, clip_gradient: float = -1.0
) -> None:
    """``w -= lr / 2 * (g + wd * w)`` for the rescaled and clipped ``g``; the caller adds the noise."""
    half, wd = exactly(weights[0], lr / 2, wd)
    amounts = prepared(grads, *exactly(weights[0], rescale_grad, clip_gradient))
    torch._foreach_add_(weights, prepared(amounts, 1.0, -1.0, weights, wd), alpha=-float(half))
