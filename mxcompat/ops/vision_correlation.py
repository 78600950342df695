"""Correlation of patches of two feature maps (FlowNet)."""

import torch
from torch.nn import functional

from mxcompat.base import MXNetError
from mxcompat.ops.dtypes import floating
from mxcompat.ops.registry import register
from mxcompat.ops.schema import Bool, Int, Params
from mxcompat.ops.shape import merge

SIZE = Int(min=0)


def _shape_rule(params: Params, ins: list, outs: list) -> tuple[list, list]:
    data = merge(ins[0], ins[1], "data2")
    if data is None:
        return ins, outs
    if len(data) != 4:
        raise MXNetError(f"data1 has shape {data}, expected (N, C, H, W)")
    if params.kernel_size % 2 == 0:
        raise MXNetError(f"kernel_size={params.kernel_size}: expected an odd number")
    border = params.max_displacement + params.kernel_size // 2
    padded = [-1 if size == -1 else size + 2 * params.pad_size for size in data[2:]]
    space = [-1 if size == -1 else -(-(size - 2 * border) // params.stride1) for size in padded]
    if any(size != -1 and size < 1 for size in space):
        raise MXNetError(f"data of shape {data} has no room for kernel and displacement: {dict(params)}")
    reached = 2 * (params.max_displacement // params.stride2) + 1
    shapes = [(data[0], reached**2, *space), *[(data[0], *padded, data[1])] * 2]
    return [data, data], [merge(shape, out, f"output {i}") for i, (shape, out) in enumerate(zip(shapes, outs))]


@register(
    "Correlation",
    infer_shape=_shape_rule,
    infer_type=floating(),
    outputs=3,
    visible=1,
    output_names=("output", "tmp1", "tmp2"),
)
def correlation(
    data1, data2, *, kernel_size: SIZE = 1, max_displacement: SIZE = 1, stride1: Int(min=1) = 1, stride2: Int(min=1) = 1,
    pad_size: SIZE = 0, is_multiply: Bool = True,
):  # fmt: skip
    """The mean product (or distance, with ``is_multiply`` False) of patches of ``data1`` and displaced ones of ``data2``.

    data1, data2 (N, C, H, W), padded with ``pad_size`` zeros -> (N, displacements, H', W'): patches of ``kernel_size``,
    every ``stride1`` pixels, displacements up to ``max_displacement`` along both axes, every ``stride2`` pixels.
    """
    first, second = (functional.pad(data, (pad_size,) * 4) for data in (data1, data2))
    height, width = (size - 2 * max_displacement for size in first.shape[2:])
    fixed = first[:, :, max_displacement : max_displacement + height, max_displacement : max_displacement + width]
    radius = max_displacement // stride2 * stride2
    steps = range(max_displacement - radius, max_displacement + radius + 1, stride2)
    planes = []
    for y in steps:
        for x in steps:
            moved = second[:, :, y : y + height, x : x + width]
            # Compat: where both are equal the distance has the gradient of data1 - data2
            value = fixed * moved if is_multiply else torch.where(fixed >= moved, fixed - moved, moved - fixed)
            planes.append(value.mean(1))
    result = functional.avg_pool2d(torch.stack(planes, 1), kernel_size, stride1)
    return result, first.permute(0, 2, 3, 1), second.permute(0, 2, 3, 1)
