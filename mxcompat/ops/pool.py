"""Pooling over one to three spatial axes.

torch's kernels serve every window that they accept; the windows of ``pooling_convention='full'`` that start in the
right padding, and paddings above half a kernel, are brought into that form by padding the data first.
"""

from collections.abc import Sequence

import torch
from torch.nn import functional

from mxcompat.base import MXNetError
from mxcompat.ops.conv import channels_first_shape, is_channels_last, layout_shape
from mxcompat.ops.dtypes import floating
from mxcompat.ops.registry import register
from mxcompat.ops.schema import Bool, Enum, Int, NoEffect, Optional, Params, Shape
from mxcompat.ops.shape import forward_rule

_MAX = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}
PoolLayout = Optional(Enum("NCDHW", "NCHW", "NCW", "NDHWC", "NHWC", "NWC"))


def pooled_size(size: int, kernel: int, stride: int, pad: int, convention: str) -> int:
    """How many windows fit along an axis; ``same``: one at every stride, cut by the border."""
    if convention == "same":
        return -(-size // stride)
    room = size + 2 * pad - kernel
    return 1 + (-(-room // stride) if convention == "full" else room // stride)


def pooling_shape(params: Params, shape: tuple) -> tuple:
    """The shape of pooled data of that shape."""
    data = channels_first_shape(shape, params.layout)
    if len(data) not in (3, 4, 5):
        raise MXNetError(f"data has shape {shape}, expected 3 to 5 axes (batch, channel and space)")
    axes = len(data) - 2
    if params.layout is not None and len(params.layout) != len(data):
        raise MXNetError(f"layout={params.layout!r} does not fit data of shape {shape}")
    if params.pool_type == "lp" and params.p_value not in (1, 2, 3):
        raise MXNetError(f"p_value={params.p_value}: expected 1, 2 or 3 for pool_type='lp'")
    if params.pooling_convention == "same" and (axes != 1 or params.pad != (0, 0, 0)):
        # Compat: the original's check reads three paddings, whatever the number of axes
        raise MXNetError("pooling_convention='same' needs data of one spatial axis and pad=(0, 0, 0)")
    if params.global_pool:
        return layout_shape((*data[:2], *(1,) * axes), params.layout)
    if len(params.kernel) != axes:
        raise MXNetError(f"kernel={params.kernel}: expected {axes} entries for data of shape {shape}")
    pad = params.pad if params.pooling_convention != "same" else ()
    for name, given in (("stride", params.stride), ("pad", pad)):
        if len(given) not in (0, axes):
            raise MXNetError(f"{name}={params[name]}: expected as many entries as kernel={params.kernel}")
    stride, pad = params.stride or (1,) * axes, pad or (0,) * axes
    space = []
    for n, k, s, p in zip(data[2:], params.kernel, stride, pad):
        if k < 1 or s < 1 or p < 0 or p >= k:
            raise MXNetError(
                f"kernel={k}, stride={s}, pad={p}: kernel and stride must be positive, pad smaller than kernel"
            )
        if k > n + 2 * p:
            raise MXNetError(f"kernel size {k} exceeds input size {n} with pad {p} on each side")
        space.append(pooled_size(n, k, s, p, params.pooling_convention))
    return layout_shape((*data[:2], *space), params.layout)


def window_reach(size: int, kernel: int, stride: int, pad: int, convention: str) -> int:
    """How many positions the last window reaches beyond the right padding."""
    count = pooled_size(size, kernel, stride, pad, convention)
    return max((count - 1) * stride + kernel - size - 2 * pad, 0)


def _touches_data(size: int, kernel: int, stride: int, pad: int) -> bool:
    """Whether the last window of the full convention holds an element of the data."""
    return (pooled_size(size, kernel, stride, pad, "full") - 1) * stride - pad < size


def _torch_agrees(windows: Sequence[tuple], convention: str) -> bool:
    """Whether torch makes the same windows: its ceil mode drops those in the right padding."""
    if convention == "same":
        return False
    return all(2 * p <= k and (convention == "valid" or _touches_data(n, k, s, p)) for n, k, s, p in windows)


def explicit_padding(pad: Sequence[int], reach: Sequence[int]) -> list[int]:
    """``functional.pad``'s argument: the last axis comes first."""
    return [amount for p, r in reversed(list(zip(pad, reach))) for amount in (p, p + r)]


def _maximum(data, kernel, stride, pad, convention):
    windows = list(zip(data.shape[2:], kernel, stride, pad))
    if not _torch_agrees(windows, convention):
        lowest = torch.finfo(data.dtype).min
        reach = [window_reach(n, k, s, p, convention) for n, k, s, p in windows]
        data = functional.pad(data, explicit_padding(pad, reach), value=lowest)
        pad, convention = (0,) * len(kernel), "valid"
    return _MAX[len(kernel)](data, kernel, stride, pad, 1, convention == "full")


def _total(data, kernel, stride, pad, convention):
    """Sum over each window; positions outside the data count as zero."""
    windows = list(zip(data.shape[2:], kernel, stride, pad))
    reach = [window_reach(n, k, s, p, convention) for n, k, s, p in windows]
    if any(reach) or any(2 * p > k for _, k, _, p in windows):
        data, pad = functional.pad(data, explicit_padding(pad, reach)), (0,) * len(kernel)
    if len(kernel) == 3:
        return functional.avg_pool3d(data, kernel, stride, pad, divisor_override=1)
    if len(kernel) == 2:
        return functional.avg_pool2d(data, kernel, stride, pad, divisor_override=1)
    lifted = functional.avg_pool2d(data.unsqueeze(2), (1, *kernel), (1, *stride), (0, *pad), divisor_override=1)
    return lifted.squeeze(2)


def _counts(size: int, kernel: int, stride: int, pad: int, convention: str, include_pad: bool) -> list[int]:
    """By how much each window along one axis is divided."""
    counts = []
    for index in range(pooled_size(size, kernel, stride, pad, convention)):
        start = index * stride - pad
        end = min(start + kernel, size + pad)
        count = end - start if include_pad else min(end, size) - max(start, 0)
        counts.append(max(count, 1))  # an empty window sums to 0 and stays 0
    return counts


_AVERAGE = {1: functional.avg_pool1d, 2: functional.avg_pool2d, 3: functional.avg_pool3d}


def _average(data, kernel, stride, pad, convention, include_pad):
    windows = list(zip(data.shape[2:], kernel, stride, pad))
    if _torch_agrees(windows, convention):
        return _AVERAGE[len(kernel)](data, kernel, stride, pad, convention == "full", include_pad)
    divisor = torch.ones((), dtype=data.dtype, device=data.device)
    for window in windows:
        counts = torch.tensor(_counts(*window, convention, include_pad), dtype=data.dtype, device=data.device)
        divisor = divisor.unsqueeze(-1) * counts
    return _total(data, kernel, stride, pad, convention) / divisor


def _root(total, power):
    """The power-th root; an odd one keeps the sign."""
    return total.sqrt() if power == 2 else total.sign() * total.abs() ** (1 / power)


def _pool(data, pool_type, kernel, stride, pad, convention, power, include_pad):
    if pool_type == "max":
        return _maximum(data, kernel, stride, pad, convention)
    if pool_type == "avg":
        return _average(data, kernel, stride, pad, convention, include_pad)
    if pool_type == "sum" or power == 1:
        return _total(data, kernel, stride, pad, convention)
    return _root(_total(data**power, kernel, stride, pad, convention), power)


def _pool_everything(data, pool_type, power):
    """One window over all spatial axes."""
    space = list(range(2, data.ndim))
    if pool_type == "max":
        return _MAX[len(space)](data, tuple(data.shape[2:]))
    if pool_type == "avg":
        return data.mean(space, keepdim=True)
    if pool_type == "sum" or power == 1:
        return data.sum(space, keepdim=True)
    return _root((data**power).sum(space, keepdim=True), power)


@register("Pooling", infer_shape=forward_rule(pooling_shape), infer_type=floating(), may_view=True)
def pooling(
    data,
    *,
    kernel: Shape = (),
    pool_type: Enum("avg", "lp", "max", "sum") = "max",
    global_pool: Bool = False,
    cudnn_off: NoEffect(Bool) = False,
    pooling_convention: Enum("full", "same", "valid") = "valid",
    stride: Shape = (),
    pad: Shape = (),
    p_value: Optional(Int) = None,
    count_include_pad: Optional(Bool) = None,
    layout: PoolLayout = None,
):
    """Maximum, average, sum or p-norm over sliding windows: data (N, C, *space) -> (N, C, *out).

    out = (in + 2 * pad - kernel) / stride + 1, rounded down (``valid``) or up (``full``); ``same``, for one axis and
    pad=(0, 0, 0): in / stride, rounded up. ``avg`` divides by the size
    of the window cut off at the padded data, or, without ``count_include_pad``, at the data itself; ``lp`` is
    (sum of x ** p_value) ** (1 / p_value). ``global_pool`` ignores kernel, stride and pad and leaves one position. The
    gradient of a maximum goes to the first position that holds it. In a channels-last ``layout`` the channel is the
    last axis of data and result.
    """
    channels_last = is_channels_last(layout)
    image = data.movedim(-1, 1) if channels_last else data
    if global_pool:
        result = _pool_everything(image, pool_type, p_value)
    else:
        axes = len(kernel)
        same = pooling_convention == "same"
        stride, pad = stride or (1,) * axes, (0,) * axes if same or not pad else pad
        include_pad = count_include_pad is None or count_include_pad
        result = _pool(image, pool_type, kernel, stride, pad, pooling_convention, p_value, include_pad)
    return result.movedim(1, -1).contiguous() if channels_last else result
