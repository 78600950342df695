"""Normalization layers."""

from typing import Any

import torch
from torch.nn import functional

from mxcompat.base import MXNetError
from mxcompat.ops.dtypes import FLOATS, NAME_BY_TORCH, floating, unify
from mxcompat.ops.registry import register
from mxcompat.ops.schema import Bool, Enum, Float, Int, NoEffect, Optional, Params, TrainMode
from mxcompat.ops.shape import merge, merge_inputs, normalize_axis, same_shape


def batch_norm_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    """The shape rule of batch normalization: data, then one entry for each channel everywhere."""
    data = merge(ins[0], outs[0], "output")
    if data is None:
        return ins, outs
    channels = (data[normalize_axis(params.axis, len(data), "Channel axis out of range: axis")],)
    names = ("data", "gamma", "beta", "moving_mean", "moving_var")
    return merge_inputs(names, ins, [data, *[channels] * 4]), [data, channels, channels]


def _batch_norm_type(params: Params, ins: list, outs: list) -> tuple[list, list]:
    data = unify([ins[0], outs[0]])
    if data is None:
        return ins, outs
    if data not in FLOATS:
        raise MXNetError(f"data has type {NAME_BY_TORCH[data]}, expected a floating type")
    # Half-precision data keeps its parameters and statistics in single precision.
    own = torch.float32 if data in (torch.float16, torch.bfloat16) else data
    if any(t not in (None, own) for t in ins[1:]):
        raise MXNetError(f"gamma, beta and the moving statistics must have type {NAME_BY_TORCH[own]}, got {ins[1:]}")
    return [data, own, own, own, own], [data, own, own]


def move_averages(params: Params, aux: tuple, statistics: tuple) -> tuple:
    """``moving * momentum + batch * (1 - momentum)`` for mean and biased variance."""
    return tuple(old * params.momentum + new * (1 - params.momentum) for old, new in zip(aux, statistics))


@register(
    "BatchNorm",
    infer_shape=batch_norm_shape,
    infer_type=_batch_norm_type,
    aux=("moving_mean", "moving_var"),
    outputs=3,
    visible=lambda params: 3 if params.output_mean_var else 1,
    output_names=("output", "mean", "var"),
    commit=move_averages,
    forward_writes=lambda params: {"gamma": 1.0} if params.fix_gamma else {},
    variable_attributes={"moving_mean": {"__init__": '["zero", {}]'}, "moving_var": {"__init__": '["one", {}]'}},
    may_view=True,
)
def batch_norm(
    data,
    gamma,
    beta,
    moving_mean,
    moving_var,
    *,
    eps: Float = 0.0010000000474974513,
    momentum: Float = 0.899999976,
    fix_gamma: Bool = True,
    use_global_stats: Bool = False,
    output_mean_var: Bool = False,
    axis: Int = 1,
    cudnn_off: NoEffect(Bool) = False,
    min_calib_range: NoEffect(Optional(Float)) = None,
    max_calib_range: NoEffect(Optional(Float)) = None,
    is_train: TrainMode = False,
):
    """Batch normalization: ``(data - mean) / sqrt(var + eps) * gamma + beta`` over all axes but ``axis``.

    data (N, C, ...), the rest (C,) -> output like data, mean (C,) and, under the name var, ``1 / sqrt(var + eps)``.
    Training takes mean and biased variance of the batch, inference and ``use_global_stats`` the moving ones. With
    ``fix_gamma`` gamma counts as 1, gets no gradient, and has 1 written into it by a forward that prepares gradients.
    No gradient passes through mean and var. Training returns the batch's mean and variance besides; the moving averages
    advance in backward.
    """
    position = axis % data.ndim
    image = data if position == 1 else data.movedim(position, 1)
    weight = None if fix_gamma else gamma
    if is_train and not use_global_stats:
        output, mean, scale = torch.native_batch_norm(image, weight, beta, None, None, True, 0.0, eps)
        statistics = (mean, scale**-2 - eps)
    else:
        output = functional.batch_norm(image, moving_mean, moving_var, weight, beta, False, 0.0, eps)
        mean, scale, statistics = moving_mean, (moving_var + eps).rsqrt(), ()
    if position != 1:
        output = output.movedim(1, position).contiguous()
    return (output, mean, scale, *statistics)


def _lrn_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    if ins[0] is not None and len(ins[0]) != 4:
        raise MXNetError(f"data has shape {ins[0]}, expected axes (batch, channel, y, x)")
    return same_shape(params, ins, outs)


@register("LRN", infer_shape=_lrn_shape, infer_type=floating())
def local_response_norm(
    data, *, alpha: Float = 9.99999975e-05, beta: Float = 0.75, knorm: Float = 2.0, nsize: Int(min=1)
):
    """Local response normalization across channels: ``x / (knorm + alpha / nsize * sum x**2) ** beta``.

    data (N, C, H, W); the sum runs over the ``nsize`` channels around each one, as far as they exist.
    """
    window = nsize - 1 + nsize % 2  # Compat: an even window loses one channel and stays centred
    return functional.local_response_norm(data, window, alpha * window / nsize, beta, knorm)


def _l2_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    if ins[0] is not None and params.mode != "instance" and len(ins[0]) < 3:
        raise MXNetError(f"data has shape {ins[0]}, expected at least 3 axes for mode={params.mode!r}")
    return same_shape(params, ins, outs)


@register("L2Normalization", infer_shape=_l2_shape, infer_type=floating())
def l2_normalization(data, *, eps: Float = 1.00000001e-10, mode: Enum("channel", "instance", "spatial") = "instance"):
    """``x / sqrt(sum(x**2) + eps)``: the sum runs over all axes but the first (``instance``), over axis 1 (``channel``)
    or over axis 2 and all after it (``spatial``).
    """
    axes = {"instance": list(range(1, data.ndim)), "channel": [1], "spatial": list(range(2, data.ndim))}[mode]
    square = data * data
    total = square.sum(axes, keepdim=True) if axes else square
    return data / (total + eps).sqrt()


def _instance_norm_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    data = merge(ins[0], outs[0], "output")
    if data is None:
        return ins, outs
    if len(data) < 3:
        raise MXNetError(f"data has shape {data}, expected at least 3 axes")
    return merge_inputs(("data", "gamma", "beta"), ins, [data, data[1:2], data[1:2]]), [data]


@register("InstanceNorm", infer_shape=_instance_norm_shape, infer_type=floating())
def instance_norm(data, gamma, beta, *, eps: Float = 0.00100000005):
    """``(data - mean) / sqrt(var + eps) * gamma + beta``, mean and variance over the space of each image and channel.

    data (N, C, *space), gamma and beta (C,) -> like data.
    """
    return torch.instance_norm(data, gamma, beta, None, None, True, 0.0, eps, False)


def _moments(outputs: int) -> dict[str, Any]:
    """Registration of a layer that shows mean and standard deviation when asked."""
    return {
        "outputs": lambda params: outputs if params.output_mean_var else 1,
        "output_names": lambda params: ("output", "mean", "std") if params.output_mean_var else ("output",),
    }


def _layer_norm_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    data = merge(ins[0], outs[0], "output")
    if data is None:
        return ins, outs
    axis = normalize_axis(params.axis, len(data), "Channel axis out of range: axis")
    channels, moments = (data[axis],), (*data[:axis], 1, *data[axis + 1 :])
    return merge_inputs(("data", "gamma", "beta"), ins, [data, channels, channels]), [data, moments, moments][
        : len(outs)
    ]


@register("LayerNorm", infer_shape=_layer_norm_shape, infer_type=floating(), **_moments(3))
def layer_norm(data, gamma, beta, *, axis: Int = -1, eps: Float = 9.99999975e-06, output_mean_var: Bool = False):
    """``(data - mean) / sqrt(var + eps) * gamma + beta`` with mean and variance along one axis.

    gamma and beta have the size of that axis. ``output_mean_var`` adds mean and ``sqrt(var + eps)``, which keep the
    axis with size 1 and pass no gradient.
    """
    position = axis % data.ndim
    last = position == data.ndim - 1
    rows = data if last else data.movedim(position, -1)
    output, mean, scale = torch.native_layer_norm(rows, (rows.shape[-1],), gamma, beta, eps)
    output = output if last else output.movedim(-1, position).contiguous()
    if not output_mean_var:
        return output
    moments = (mean.detach().to(data.dtype), (1 / scale.detach()).to(data.dtype))
    return (output, *(moment.reshape(rows.shape[:-1]).unsqueeze(position) for moment in moments))


def _group_norm_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    data, groups = merge(ins[0], outs[0], "output"), params.num_groups
    if data is None:
        return ins, outs
    if len(data) < 3:
        raise MXNetError(f"data has shape {data}, expected at least 3 axes")
    if data[1] != -1 and data[1] % groups:
        raise MXNetError(f"{data[1]} channels are not divisible by num_groups={groups}")
    moments = (data[0], groups)
    expected = [data, (groups,), (groups,)]
    return merge_inputs(("data", "gamma", "beta"), ins, expected), [data, moments, moments][: len(outs)]


@register("GroupNorm", infer_shape=_group_norm_shape, infer_type=floating(), **_moments(3))
def group_norm(
    data, gamma, beta, *, num_groups: Int(min=1) = 1, eps: Float = 9.99999975e-06, output_mean_var: Bool = False
):
    """``(data - mean) / sqrt(var + eps) * gamma + beta``, mean and variance over each group of channels and its space.

    data (N, C, *space); gamma and beta have one entry per group. ``output_mean_var`` adds mean and ``sqrt(var + eps)``
    (N, num_groups), which pass no gradient.
    """
    batch, channels = data.shape[:2]
    share = channels // num_groups
    # Compat: one gamma and one beta per group, not per channel.
    weight, bias = gamma.repeat_interleave(share), beta.repeat_interleave(share)
    space = data[0, 0].numel()
    output, mean, scale = torch.native_group_norm(data, weight, bias, batch, channels, space, num_groups, eps)
    if not output_mean_var:
        return output
    return output, mean.detach().to(data.dtype), (1 / scale.detach()).to(data.dtype)
