"""Images to the columns that a convolution multiplies, and back."""

from torch.nn import functional

from mxcompat.base import MXNetError
from mxcompat.ops.conv import NATURAL_AXES
from mxcompat.ops.dtypes import floating
from mxcompat.ops.registry import register
from mxcompat.ops.schema import Params, Shape
from mxcompat.ops.shape import forward_rule, size


def _geometry(params: Params) -> tuple:
    """(stride, dilate, pad) for the two axes."""
    return params.stride or (1, 1), params.dilate or (1, 1), params.pad or (0, 0)


def _check_geometry(params: Params) -> None:
    if len(params.kernel) != 2:
        # Compat: the original infers shapes for one and three axes, and then fails to compute them.
        raise MXNetError(f"kernel={params.kernel}: expected two entries")
    for name, values in zip(("stride", "dilate", "pad"), _geometry(params)):
        if len(values) != 2 or (name != "pad" and 0 in values):
            raise MXNetError(
                f"{name}={values}: expected two entries" + (", not negative" if name == "pad" else " above 0")
            )
    if min(params.kernel) < 1:
        raise MXNetError(f"kernel={params.kernel}: entries must be positive")


def _columns(params: Params, space: tuple) -> int:
    """How many positions the kernel takes in an image of that size."""
    counts = []
    for n, k, s, d, p in zip(space, params.kernel, *_geometry(params)):
        extent = 1 + (k - 1) * d
        if n + 2 * p < extent:
            raise MXNetError(f"kernel size {extent} exceeds input size {n} with pad {p} on each side")
        counts.append((n + 2 * p - extent) // s + 1)
    return size(counts)


def _im2col_shape(params: Params, data: tuple) -> tuple:
    _check_geometry(params)
    if len(data) != 4:
        raise MXNetError(f"data has shape {data}, expected axes (batch, channel, y, x)")
    return (data[0], data[1] * size(params.kernel), _columns(params, data[2:]))


@register("im2col", infer_shape=forward_rule(_im2col_shape), infer_type=floating())
def im2col(data, *, kernel: Shape, stride: NATURAL_AXES = (), dilate: NATURAL_AXES = (), pad: NATURAL_AXES = ()):
    """The patches of images that lie under a sliding kernel, one a column.

    data (N, C, H, W) -> (N, C * kernel height * kernel width, positions); the padding is zero.
    """
    return functional.unfold(data, kernel, dilate or 1, pad or 0, stride or 1)


def _col2im_shape(params: Params, data: tuple) -> tuple:
    _check_geometry(params)
    if len(params.output_size) != 2:
        raise MXNetError(f"output_size={params.output_size}: expected two entries, as many as kernel={params.kernel}")
    if len(data) != 3:
        raise MXNetError(f"data has shape {data}, expected axes (batch, channel and place in the kernel, position)")
    if data[1] % size(params.kernel):
        raise MXNetError(f"data has shape {data}: axis 1 is no multiple of the size of kernel={params.kernel}")
    positions = _columns(params, params.output_size)
    if data[2] != positions:
        raise MXNetError(f"data has {data[2]} columns, expected {positions} for output_size={params.output_size}")
    return (data[0], data[1] // size(params.kernel), *params.output_size)


@register("col2im", infer_shape=forward_rule(_col2im_shape), infer_type=floating())
def col2im(
    data,
    *,
    output_size: Shape,
    kernel: Shape,
    stride: NATURAL_AXES = (),
    dilate: NATURAL_AXES = (),
    pad: NATURAL_AXES = (),
):
    """The images of ``output_size`` (H, W) in which each column is added where ``im2col`` would take it from.

    data (N, C * kernel height * kernel width, positions) -> (N, C, H, W).
    """
    return functional.fold(data, output_size, kernel, dilate or 1, pad or 0, stride or 1)
