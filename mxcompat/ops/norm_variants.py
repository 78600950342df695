"""Batch normalization with statistics of several devices, and fused with a rectifier."""

import torch

from mxcompat.base import MXNetError
from mxcompat.ops.dtypes import NAME_BY_TORCH, same_type
from mxcompat.ops.norm import batch_norm, batch_norm_shape, move_averages
from mxcompat.ops.registry import register
from mxcompat.ops.schema import Bool, Float, Int, NoEffect, Optional, Params, Str, TrainMode
from mxcompat.ops.shape import merge_inputs

_INITIAL = {"moving_mean": {"__init__": '["zero", {}]'}, "moving_var": {"__init__": '["one", {}]'}}
_COMMON = {
    "aux": ("moving_mean", "moving_var"),
    "commit": move_averages,
    "forward_writes": lambda params: {"gamma": 1.0} if params.fix_gamma else {},
    "variable_attributes": _INITIAL,
    "may_view": True,
    "visible": lambda params: 3 if params.output_mean_var else 1,
}


def _single(params: Params, ins: list, outs: list) -> tuple[list, list]:
    ins, outs = same_type(params, ins, outs)
    if ins[0] not in (None, torch.float32):
        raise MXNetError(f"data has type {NAME_BY_TORCH[ins[0]]}, expected float32")
    return ins, outs


def _sync_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    if params.ndev != 1:
        raise MXNetError(
            f"ndev={params.ndev}: expected 1 (devices run one after the other, and cannot wait for each other)"
        )
    data = ins[0]
    if data is None:
        return ins, outs
    if len(data) < 2:
        raise MXNetError(f"data has shape {data}, expected two axes or more")
    channels = (data[1],)
    names = ("data", "gamma", "beta", "moving_mean", "moving_var")
    return merge_inputs(names, ins, [data, *[channels] * 4]), [data, channels, channels]


@register(
    "_contrib_SyncBatchNorm",
    infer_shape=_sync_shape,
    infer_type=_single,
    outputs=3,
    output_names=("output", "mean", "var"),
    **_COMMON,
)
def sync_batch_norm(
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
    ndev: Int = 1,
    key: NoEffect(Str),
    is_train: TrainMode = False,
):
    """``BatchNorm`` over axis 1 with statistics of all devices, of which there is one: ``ndev`` other than 1 raises.

    data (N, C, …), the rest (C,), float32 -> output like data, mean and variance (C,) of the batch, or the moving ones.
    """
    output, mean, scale, *statistics = batch_norm(
        data, gamma, beta, moving_mean, moving_var, eps=eps, momentum=momentum, fix_gamma=fix_gamma,
        use_global_stats=use_global_stats, is_train=is_train,
    )  # fmt: skip
    return (output, mean, statistics[1] if statistics else moving_var, *statistics)


def _rectified_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    ins, outs = batch_norm_shape(params, ins, outs[:3])
    if ins[0] is not None and (len(ins[0]) != 4 or params.axis != 1):
        raise MXNetError(f"data has shape {ins[0]}, axis={params.axis}: expected four axes, and axis=1")
    return ins, [*outs, outs[0]]


@register(
    "_contrib_BatchNormWithReLU",
    infer_shape=_rectified_shape,
    infer_type=_single,
    outputs=4,
    output_names=("output", "mean", "var", "workspace"),
    **_COMMON,
)
def batch_norm_with_relu(
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
    """``max(BatchNorm(data), 0)`` for data (N, C, H, W), float32; the other outputs are those of ``BatchNorm``."""
    output, mean, scale, *statistics = batch_norm(
        data, gamma, beta, moving_mean, moving_var, eps=eps, momentum=momentum, fix_gamma=fix_gamma,
        use_global_stats=use_global_stats, is_train=is_train,
    )  # fmt: skip
    output = torch.relu(output)
    return (output, mean, scale, output.detach(), *statistics)
