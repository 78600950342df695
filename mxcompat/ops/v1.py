"""The first generation of convolution, pooling and batch normalization, which old symbol files still name.

They know images with two spatial axes only, channels first.
"""

import torch
from torch.nn import functional

from mxcompat.base import MXNetError
from mxcompat.ops.conv import NATURAL_AXES, CudnnTune, convolution, convolution_inputs, convolution_shape
from mxcompat.ops.dtypes import NAME_BY_TORCH, floating, same_type
from mxcompat.ops.norm import batch_norm, batch_norm_shape, move_averages
from mxcompat.ops.pool import explicit_padding, pooled_size, window_reach
from mxcompat.ops.registry import register
from mxcompat.ops.schema import Bool, Enum, Float, Int, NoEffect, Optional, Params, Shape, TrainMode
from mxcompat.ops.shape import forward_rule

LayoutV1 = Optional(Enum("NCDHW", "NCHW", "NDHWC", "NHWC"))


def _convolution_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    if len(params.kernel) != 2:
        raise MXNetError(f"kernel={params.kernel}: expected 2 axes (the successor, Convolution, has 1 to 3)")
    if params.layout not in (None, "NCHW"):
        raise MXNetError(f"layout={params.layout!r}: expected 'NCHW' (the successor, Convolution, has others)")
    return convolution_shape(params, ins, outs)


@register("Convolution_v1", infer_shape=_convolution_shape, infer_type=floating(), active=convolution_inputs)
def convolution_v1(
    data,
    weight,
    bias=None,
    *,
    kernel: Shape,
    stride: NATURAL_AXES = (),
    dilate: NATURAL_AXES = (),
    pad: NATURAL_AXES = (),
    num_filter: Int(min=1),
    num_group: Int(min=1) = 1,
    workspace: NoEffect(Int(min=0)) = 1024,
    no_bias: Bool = False,
    cudnn_tune: CudnnTune = None,
    cudnn_off: NoEffect(Bool) = False,
    layout: LayoutV1 = None,
):
    """Cross-correlation of images with learned kernels, as ``Convolution`` computes it.

    data (N, C, H, W), weight (num_filter, C / num_group, *kernel), bias (num_filter,) -> (N, num_filter, *out) with
    out = (in + 2 * pad - dilate * (kernel - 1) - 1) // stride + 1.
    """
    return convolution(
        data, weight, bias, kernel=kernel, stride=stride, dilate=dilate, pad=pad, num_filter=num_filter, num_group=num_group
    )  # fmt: skip


def _pooling_geometry(params: Params) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return params.stride or (1, 1), params.pad or (0, 0)


def _pooling_shape(params: Params, data: tuple) -> tuple:
    if len(data) != 4:
        raise MXNetError(f"data has shape {data}, expected axes (batch, channel, y, x)")
    if params.global_pool:
        return (*data[:2], 1, 1)
    if len(params.kernel) != 2:
        raise MXNetError(f"kernel={params.kernel}: expected 2 entries (the successor, Pooling, takes 1 to 3)")
    stride, pad = _pooling_geometry(params)
    if len(stride) != 2 or len(pad) != 2 or min(*params.kernel, *stride) < 1 or min(pad) < 0:
        raise MXNetError(
            f"kernel={params.kernel}, stride={stride}, pad={pad}: expected two entries each, kernel and stride positive"
        )
    space = []
    for n, k, s, p in zip(data[2:], params.kernel, stride, pad):
        if k > n + 2 * p:
            raise MXNetError(f"kernel size {k} exceeds input size {n} with pad {p} on each side")
        space.append(pooled_size(n, k, s, p, params.pooling_convention))
    return (*data[:2], *space)


class _AllMaxima(torch.autograd.Function):
    """Maximum over the last two axes; every element that equals it gets the whole head gradient."""

    @staticmethod
    def forward(ctx, windows):
        result = windows.amax((-2, -1))
        ctx.save_for_backward(windows, result)
        return result

    @staticmethod
    def backward(ctx, head):
        windows, result = ctx.saved_tensors
        return torch.where(windows == result[..., None, None], head[..., None, None], 0)


@register("Pooling_v1", infer_shape=forward_rule(_pooling_shape), infer_type=floating())
def pooling_v1(
    data,
    *,
    kernel: Shape = (),
    pool_type: Enum("avg", "max", "sum") = "max",
    global_pool: Bool = False,
    pooling_convention: Enum("full", "valid") = "valid",
    stride: Shape = (),
    pad: Shape = (),
):
    """Maximum, average or sum over sliding windows: data (N, C, H, W) -> (N, C, *out).

    out = (in + 2 * pad - kernel) / stride + 1, rounded down (``valid``) or up (``full``). Unlike ``Pooling``, ``avg``
    always divides by the size of the whole kernel, the padding takes part in the maximum as zeros, and every position
    that holds a maximum gets its gradient. ``global_pool`` ignores kernel, stride and pad and leaves one position.
    """
    if global_pool:
        kernel, stride, pad = tuple(data.shape[2:]), (1, 1), (0, 0)
    stride, pad = stride or (1, 1), pad or (0, 0)
    reach = [window_reach(n, k, s, p, pooling_convention) for n, k, s, p in zip(data.shape[2:], kernel, stride, pad)]
    padded = functional.pad(data, explicit_padding(pad, (0, 0)))
    lowest = float("-inf") if pool_type == "max" else 0.0
    padded = functional.pad(padded, explicit_padding((0, 0), reach), value=lowest)
    windows = padded.unfold(2, kernel[0], stride[0]).unfold(3, kernel[1], stride[1])
    if pool_type == "max":
        return _AllMaxima.apply(windows)
    total = windows.sum((-2, -1))
    return total / (kernel[0] * kernel[1]) if pool_type == "avg" else total


def _batch_norm_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    if ins[0] is not None and len(ins[0]) not in (2, 4):
        raise MXNetError(f"data has shape {ins[0]}, expected 2 or 4 axes (the successor, BatchNorm, takes any number)")
    return batch_norm_shape(Params(params, axis=1), ins, outs)


def _single(params: Params, ins: list, outs: list) -> tuple[list, list]:
    """All inputs and outputs are float32."""
    ins, outs = same_type(params, ins, outs)
    if ins[0] not in (None, torch.float32):
        raise MXNetError(f"data has type {NAME_BY_TORCH[ins[0]]}, expected float32")
    return ins, outs


@register(
    "BatchNorm_v1",
    infer_shape=_batch_norm_shape,
    infer_type=_single,
    aux=("moving_mean", "moving_var"),
    outputs=3,
    visible=lambda params: 3 if params.output_mean_var else 1,
    output_names=("output", "mean", "var"),
    commit=move_averages,
    forward_writes=lambda params: {"gamma": 1.0} if params.fix_gamma else {},
    variable_attributes={"moving_mean": {"__init__": '["zero", {}]'}, "moving_var": {"__init__": '["one", {}]'}},
    may_view=True,
)
def batch_norm_v1(
    data,
    gamma,
    beta,
    moving_mean,
    moving_var,
    *,
    eps: Float = 0.00100000005,
    momentum: Float = 0.899999976,
    fix_gamma: Bool = True,
    use_global_stats: Bool = False,
    output_mean_var: Bool = False,
    is_train: TrainMode = False,
):
    """Batch normalization over axis 1, as ``BatchNorm`` computes it: ``(data - mean) / sqrt(var + eps) * gamma + beta``.

    data (N, C) or (N, C, H, W), the rest (C,) -> output like data, mean (C,) and variance (C,), through which no gradient
    passes. The moving averages advance in backward.
    """
    output, mean, _, *statistics = batch_norm(
        data, gamma, beta, moving_mean, moving_var, eps=eps, momentum=momentum, fix_gamma=fix_gamma,
        use_global_stats=use_global_stats, is_train=is_train,
    )  # fmt: skip
    return (output, mean, statistics[1] if statistics else moving_var, *statistics)
