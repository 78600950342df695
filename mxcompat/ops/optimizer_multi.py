"""Update operators of many weights at once, and what optimizers compute of many arrays.

The inputs of an update are grouped by weight (``weight_0, grad_0, mom_0, weight_1, …``), the outputs are the new weights;
states are changed in place. As in ``optimizer``, the functions are pure and exist imperatively only. ``num_weights``
(``num_tensors``) must be given where it is not 1.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from mxcompat.base import MXNetError
from mxcompat.ops import steps
from mxcompat.ops.dtypes import FLOATS, NAME_BY_TORCH, floating, same_type, unify
from mxcompat.ops.optimizer import unless_scale_is_bad
from mxcompat.ops.registry import register
from mxcompat.ops.schema import Bool, Float, Floats, Int, Params, Shape
from mxcompat.ops.shape import merge, same_shape, size

LAMB_LIMIT = 45


def _update_many(
    name: str,
    roles: str,
    count: str = "num_weights",
    *,
    tail: Sequence[str] = (),
    lists: Sequence[str] = (),
    low: int = 0,
) -> Callable:
    """``register`` for an update of many weights.

    ``roles`` are the inputs of one weight, ``tail`` the inputs behind all weights, ``lists`` the parameters with one
    entry for each weight. With ``low``, the first so many roles have the weight's type and the others are float32.
    """
    stride = len(roles.split())
    states = [role for role in roles.split() if role not in ("weight", "grad")]

    def active(params: Params) -> tuple[str, ...]:
        return (*(f"{role}_{i}" for i in range(params[count]) for role in roles.split()), *tail)

    def mutates(params: Params) -> tuple[str, ...]:
        return tuple(f"{state}_{i}" for state in states for i in range(params[count]))

    def infer_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
        number = params[count]
        for parameter in lists:
            if len(params[parameter]) != number:
                raise MXNetError(f"{parameter} has {len(params[parameter])} entries, expected {number} ({count})")
        for rates, shape in zip(("lrs", "wds"), ins[number * stride :] if "lrs" in tail else ()):
            if shape is not None and size(shape) != number:
                raise MXNetError(f"{rates} has shape {shape}, expected {number} entries ({count})")
        new_ins, new_outs = [], []
        for i in range(number):
            group, (out,) = same_shape(params, ins[i * stride : (i + 1) * stride], [outs[i]])
            new_ins += group
            new_outs.append(out)
        return [*new_ins, *ins[number * stride :]], new_outs

    def infer_type(params: Params, ins: list, outs: list) -> tuple[list, list]:
        if not low:
            (dtype, *_), _ = floating(same_type)(params, ins[: params[count] * stride], outs)
            tail_types = [_require_float32(x, name) for x, name in zip(ins[params[count] * stride :], tail)]
            return [dtype] * (params[count] * stride) + tail_types, [dtype] * len(outs)
        return _mixed_types(ins, outs, stride, low)

    return register(
        name, infer_shape=infer_shape, infer_type=infer_type, active=active, mutates=mutates, variadic=count,
        counts_itself=False, outputs=lambda params: params[count], symbolic=False, no_gradient=True,
    )  # fmt: skip


def _require_float32(found: Any, name: str) -> torch.dtype:
    if found not in (None, torch.float32):
        raise MXNetError(f"input {name} has type {NAME_BY_TORCH[found]}, expected float32")
    return torch.float32


def _mixed_types(ins: list, outs: list, stride: int, low: int) -> tuple[list, list]:
    types, new_outs = [], []
    for i, out in enumerate(outs):
        group = ins[i * stride : (i + 1) * stride]
        dtype = unify([*group[:low], out])
        if dtype is not None and dtype not in FLOATS:
            raise MXNetError(f"weight {i} has type {NAME_BY_TORCH[dtype]}, expected a floating type")
        types += [dtype] * low + [_require_float32(x, f"{j} of weight {i}") for j, x in enumerate(group[low:], low)]
        new_outs.append(dtype)
    return types + [_require_float32(x, "behind the weights") for x in ins[len(outs) * stride :]], new_outs


def _by_role(data: Sequence[torch.Tensor], number: int, stride: int, tail: int = 0) -> list[list[torch.Tensor]]:
    """Copies of weights and states and the gradients themselves, one list for each role."""
    tensors = data[: len(data) - tail]
    return [
        [tensor if role == 1 else tensor.clone() for tensor in tensors[role : number * stride : stride]]
        for role in range(stride)
    ]


def _results(roles: list[list[torch.Tensor]]) -> tuple[torch.Tensor, ...]:
    """The new weights, then the new states, role by role (gradients excluded)."""
    return tuple(tensor for role, tensors in enumerate(roles) if role != 1 for tensor in tensors)


# -- gradient descent -------------------------------------------------------------------------------------------


@_update_many("multi_sgd_update", "weight grad", lists=("lrs", "wds"))
def multi_sgd_update(
    *data, lrs: Floats, wds: Floats, rescale_grad: Float = 1.0, clip_gradient: Float = -1.0, num_weights: Int = 1
):
    """``sgd_update`` of each weight, with one entry of ``lrs`` and ``wds`` for each."""
    roles = _by_role(data, num_weights, 2)
    steps.apply(steps.sgd_, roles, list(zip(lrs, wds)), rescale_grad=rescale_grad, clip_gradient=clip_gradient)
    return _results(roles)


@_update_many("multi_sgd_mom_update", "weight grad mom", lists=("lrs", "wds"))
def multi_sgd_mom_update(
    *data, lrs: Floats, wds: Floats, momentum: Float = 0.0, rescale_grad: Float = 1.0, clip_gradient: Float = -1.0,
    num_weights: Int = 1,
):  # fmt: skip
    """``sgd_mom_update`` of each weight, with one entry of ``lrs`` and ``wds`` for each."""
    roles = _by_role(data, num_weights, 3)
    options = {"momentum": momentum, "rescale_grad": rescale_grad, "clip_gradient": clip_gradient}
    steps.apply(steps.sgd_mom_, roles, list(zip(lrs, wds)), **options)
    return _results(roles)


@_update_many("multi_mp_sgd_update", "weight grad weight32", lists=("lrs", "wds"), low=2)
def multi_mp_sgd_update(
    *data, lrs: Floats, wds: Floats, rescale_grad: Float = 1.0, clip_gradient: Float = -1.0, num_weights: Int = 1
):
    """``mp_sgd_update`` of each weight, with one entry of ``lrs`` and ``wds`` for each."""
    roles = _by_role(data, num_weights, 3)
    steps.apply(steps.mp_sgd_, roles, list(zip(lrs, wds)), rescale_grad=rescale_grad, clip_gradient=clip_gradient)
    return _results(roles)


@_update_many("multi_mp_sgd_mom_update", "weight grad mom weight32", lists=("lrs", "wds"), low=2)
def multi_mp_sgd_mom_update(
    *data, lrs: Floats, wds: Floats, momentum: Float = 0.0, rescale_grad: Float = 1.0, clip_gradient: Float = -1.0,
    num_weights: Int = 1,
):  # fmt: skip
    """``mp_sgd_mom_update`` of each weight, with one entry of ``lrs`` and ``wds`` for each."""
    roles = _by_role(data, num_weights, 4)
    options = {"momentum": momentum, "rescale_grad": rescale_grad, "clip_gradient": clip_gradient}
    steps.apply(steps.mp_sgd_mom_, roles, list(zip(lrs, wds)), **options)
    return _results(roles)


_RATES = ("lrs", "wds")


def _preloaded(data: Sequence[torch.Tensor], number: int, stride: int, has_mom: bool, **options: Any) -> tuple:
    roles = _by_role(data, number, stride, tail=2)
    is_mixed = stride == 3 + has_mom
    targets = roles[-1] if is_mixed else roles[0]
    grads = steps.in_float32(roles[1]) if is_mixed else roles[1]
    lrs, wds = (rates.reshape(-1) for rates in data[-2:])
    steps.preloaded_sgd_(targets, grads, roles[2] if has_mom else None, lrs, wds, **options)
    if is_mixed:
        torch._foreach_copy_(roles[0], targets)
    return _results(roles)


@_update_many("preloaded_multi_sgd_update", "weight grad", tail=_RATES)
def preloaded_multi_sgd_update(*data, rescale_grad: Float = 1.0, clip_gradient: Float = -1.0, num_weights: Int = 1):
    """``multi_sgd_update`` with ``lrs`` and ``wds`` as the last two inputs."""
    return _preloaded(data, num_weights, 2, False, rescale_grad=rescale_grad, clip_gradient=clip_gradient)


@_update_many("preloaded_multi_sgd_mom_update", "weight grad mom", tail=_RATES)
def preloaded_multi_sgd_mom_update(
    *data, momentum: Float = 0.0, rescale_grad: Float = 1.0, clip_gradient: Float = -1.0, num_weights: Int = 1
):
    """``multi_sgd_mom_update`` with ``lrs`` and ``wds`` as the last two inputs."""
    options = {"momentum": momentum, "rescale_grad": rescale_grad, "clip_gradient": clip_gradient}
    return _preloaded(data, num_weights, 3, True, **options)


@_update_many("preloaded_multi_mp_sgd_update", "weight grad weight32", tail=_RATES, low=2)
def preloaded_multi_mp_sgd_update(*data, rescale_grad: Float = 1.0, clip_gradient: Float = -1.0, num_weights: Int = 1):
    """``multi_mp_sgd_update`` with ``lrs`` and ``wds`` as the last two inputs."""
    return _preloaded(data, num_weights, 3, False, rescale_grad=rescale_grad, clip_gradient=clip_gradient)


@_update_many("preloaded_multi_mp_sgd_mom_update", "weight grad mom weight32", tail=_RATES, low=2)
def preloaded_multi_mp_sgd_mom_update(
    *data, momentum: Float = 0.0, rescale_grad: Float = 1.0, clip_gradient: Float = -1.0, num_weights: Int = 1
):
    """``multi_mp_sgd_mom_update`` with ``lrs`` and ``wds`` as the last two inputs."""
    options = {"momentum": momentum, "rescale_grad": rescale_grad, "clip_gradient": clip_gradient}
    return _preloaded(data, num_weights, 4, True, **options)


# -- LAMB and AdamW ---------------------------------------------------------------------------------------------


def _lamb(step: Callable, roles: list[list[torch.Tensor]], lrs: Any, wds: Any, counts: Any, **options: Any) -> tuple:
    if len(lrs) > LAMB_LIMIT:
        raise MXNetError(f"num_tensors={len(lrs)}: at most {LAMB_LIMIT} tensors are updated at once")
    steps.apply(step, roles, list(zip(lrs, wds, counts)), **options)
    return _results(roles)


_LAMB_LISTS = ("learning_rates", "wds", "step_count")


@_update_many("_multi_lamb_update", "weight grad mean var", "num_tensors", lists=_LAMB_LISTS)
def multi_lamb_update(
    *data, learning_rates: Floats, beta1: Float = 0.9, beta2: Float = 0.999, epsilon: Float = 1e-6, wds: Floats,
    rescale_grad: Float = 1.0, lower_bound: Float = -1.0, upper_bound: Float = -1.0, clip_gradient: Float = -1.0,
    bias_correction: Bool = True, step_count: Shape, num_tensors: Int = 1,
):  # fmt: skip
    """Both phases of the LAMB update of each weight, with the norms of weight and direction."""
    options = {"beta1": beta1, "beta2": beta2, "epsilon": epsilon, "bias_correction": bias_correction}
    options.update(rescale_grad=rescale_grad, clip_gradient=clip_gradient)
    options.update(lower_bound=lower_bound, upper_bound=upper_bound)
    return _lamb(steps.lamb_, _by_role(data, num_tensors, 4), learning_rates, wds, step_count, **options)


@_update_many("_multi_mp_lamb_update", "weight grad mean var weight32", "num_tensors", lists=_LAMB_LISTS, low=2)
def multi_mp_lamb_update(
    *data, learning_rates: Floats, beta1: Float = 0.9, beta2: Float = 0.999, epsilon: Float = 1e-6, wds: Floats,
    rescale_grad: Float = 1.0, lower_bound: Float = -1.0, upper_bound: Float = -1.0, clip_gradient: Float = -1.0,
    bias_correction: Bool = True, step_count: Shape, num_tensors: Int = 1,
):  # fmt: skip
    """``_multi_lamb_update`` of float32 copies of the weights; the outputs are these, in the type of the weights."""
    options = {"beta1": beta1, "beta2": beta2, "epsilon": epsilon, "bias_correction": bias_correction}
    options.update(rescale_grad=rescale_grad, clip_gradient=clip_gradient)
    options.update(lower_bound=lower_bound, upper_bound=upper_bound)
    return _lamb(steps.mp_lamb_, _by_role(data, num_tensors, 5), learning_rates, wds, step_count, **options)


def _adamw(
    step: Callable, data: Sequence[torch.Tensor], number: int, stride: int, numbers: Sequence[tuple], **options: Any
) -> tuple:
    scale = data[-1].reshape(-1)[0]
    old = [data[role : number * stride : stride] for role in range(stride)]
    roles = _by_role(data, number, stride, tail=1)
    roles[1] = [(grad.float() if stride == 5 else grad) * scale for grad in roles[1]]
    steps.apply(step, roles, numbers, **options)
    return tuple(
        unless_scale_is_bad(scale, *pair)
        for role, tensors in enumerate(roles)
        if role != 1
        for pair in zip(tensors, old[role])
    )


@_update_many("_multi_adamw_update", "weight grad mean var", tail=("rescale_grad",), lists=("lrs", "wds", "etas"))
def multi_adamw_update(
    *data, lrs: Floats, beta1: Float = 0.9, beta2: Float = 0.999, epsilon: Float = 1e-8, wds: Floats, etas: Floats,
    clip_gradient: Float = -1.0, num_weights: Int = 1,
):  # fmt: skip
    """``_adamw_update`` of each weight; the last input scales the gradients, which stay as they are."""
    options = {"beta1": beta1, "beta2": beta2, "epsilon": epsilon, "clip_gradient": clip_gradient}
    return _adamw(steps.adamw_, data, num_weights, 4, list(zip(lrs, wds, etas)), **options)


@_update_many(
    "_multi_mp_adamw_update",
    "weight grad mean var weight32",
    tail=("rescale_grad",),
    lists=("lrs", "wds", "etas"),
    low=2,
)
def multi_mp_adamw_update(
    *data, lrs: Floats, beta1: Float = 0.9, beta2: Float = 0.999, epsilon: Float = 1e-8, wds: Floats, etas: Floats,
    clip_gradient: Float = -1.0, num_weights: Int = 1,
):  # fmt: skip
    """``_mp_adamw_update`` of each weight; the last input scales the gradients."""
    options = {"beta1": beta1, "beta2": beta2, "epsilon": epsilon, "clip_gradient": clip_gradient}
    return _adamw(steps.mp_adamw_, data, num_weights, 5, list(zip(lrs, wds, etas)), **options)


# -- what optimizers compute of many arrays ---------------------------------------------------------------------


def _array_names(params: Params) -> tuple[str, ...]:
    return tuple(f"array_{i}" for i in range(params["num_arrays"]))


def _entry_each(params: Params, ins: list, outs: list) -> tuple[list, list]:
    return ins, [merge((params["num_arrays"],), outs[0], "output")]


def _one_type_to_float32(params: Params, ins: list, outs: list) -> tuple[list, list]:
    inputs, _ = floating(same_type)(params, ins, [])
    return inputs, [torch.float32]


@register(
    "multi_sum_sq",
    infer_shape=_entry_each,
    infer_type=_one_type_to_float32,
    variadic="num_arrays",
    active=_array_names,
    no_gradient=True,
)
def multi_sum_sq(*data, num_arrays: Int):
    """The sum of the squares of each array, as one float32 array with ``num_arrays`` entries."""
    return torch.stack([tensor.float().square().sum() for tensor in data])


def _all_float32(params: Params, ins: list, outs: list) -> tuple[list, list]:
    return [_require_float32(dtype, f"{i} of multi_lars") for i, dtype in enumerate(ins)], [torch.float32]


@register("multi_lars", infer_shape=same_shape, infer_type=_all_float32, no_gradient=True)
def multi_lars(lrs, weights_sum_sq, grads_sum_sq, wds, *, eta: Float, eps: Float, rescale_grad: Float = 1.0):
    """Rates by layer: ``lrs * eta * w / (g * rescale_grad + wds * w + eps)`` with the norms w of the weights and g of the
    gradients (roots of the sums of squares), and ``lrs`` where one of these is 0. All inputs have one entry a layer."""
    return steps.layer_rates(lrs, weights_sum_sq, grads_sum_sq, wds, eta, eps, rescale_grad)


def _each_as_given(params: Params, ins: list, outs: list) -> tuple[list, list]:
    return ins, outs


def _each_floating(params: Params, ins: list, outs: list) -> tuple[list, list]:
    for dtype in ins:
        floating(same_type)(params, [dtype], [])
    return ins, outs


@register(
    "reset_arrays", infer_shape=_each_as_given, infer_type=_each_floating, variadic="num_arrays", active=_array_names,
    outputs=0, mutates=_array_names, symbolic=False, no_gradient=True,
)  # fmt: skip
def reset_arrays(*data, num_arrays: Int):
    """Fill the arrays with zeros; there are no outputs."""
    return tuple(torch.zeros_like(tensor) for tensor in data)
