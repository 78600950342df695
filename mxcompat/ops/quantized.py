"""Layers on 8-bit integers; each takes and gives the range that its integers stand for (see ``ops/quantize.py``).

Sums of products are taken in double precision, where they are exact, and become int32; those of convolutions, and those
that a bias is added to, in single precision, as in the original's kernels.
"""

import math

import torch
from torch.nn import functional

from mxcompat.base import MXNetError
from mxcompat.ops.conv import NATURAL_AXES, CudnnTune, Layout, convolution_shape
from mxcompat.ops.dense import fully_connected
from mxcompat.ops.indexing import NumberType, embedding, embedding_shape
from mxcompat.ops.matrix import concat_shape
from mxcompat.ops.norm import batch_norm_shape
from mxcompat.ops.pool import PoolLayout, pooling, pooling_shape
from mxcompat.ops.quantize import (
    BYTE_RANGES,
    BYTES,
    INT32_RANGE,
    RANGED_OUTPUTS,
    CalibrationRange,
    assign_types,
    calibrated,
    magnitude,
    number,
    over,
    ranged_outputs,
    saturated,
    scale_of,
    truncated,
)
from mxcompat.ops.registry import register
from mxcompat.ops.schema import Bool, Enum, Float, Int, NoEffect, Optional, Params, Shape
from mxcompat.ops.shape import is_known, merge, merge_inputs, normalize_axis, size

FLOAT = torch.float32
_CONVOLUTIONS = {2: functional.conv2d, 3: functional.conv3d}

# -- rules ----------------------------------------------------------------------------------------------------------


def _layer_inputs(params: Params) -> tuple[str, ...]:
    ranged = ("data", "weight") if params.no_bias else ("data", "weight", "bias")
    return ranged + tuple(f"{end}_{name}" for name in ranged for end in ("min", "max"))


def _with_ends(rule, ins: list, outs: list, params: Params, ranged: int) -> tuple[list, list]:
    """Shapes by the rule of the layer on numbers, for the first ``ranged`` inputs; the rest are range ends."""
    found, results = rule(params, ins[:ranged], outs[:1])
    names = [f"range end {i}" for i in range(len(ins) - ranged)]
    ends = merge_inputs(names, ins[ranged:], [(1,)] * len(names))
    return [*found, *ends], ranged_outputs(results[0], outs)


def _layer_type(params: Params, ins: list, outs: list) -> tuple[list, list]:
    names = _layer_inputs(params)
    ranged = len(names) // 3
    wanted = [BYTES, *[torch.int8] * (ranged - 1), *[FLOAT] * (2 * ranged)]
    return assign_types(names, ins, wanted), [torch.int32, FLOAT, FLOAT]


def _product_range(data, low, high, weight_low, weight_high, both_signed: bool):
    """The range ends of int32 sums of products."""
    steps = (127.0, 127.0) if both_signed else (127.0, 255.0)
    one = over(magnitude(low, high), steps[0]) * over(magnitude(weight_low, weight_high), steps[1])
    return -one * INT32_RANGE, one * INT32_RANGE


def _sums(products, bias=None):
    """int32 from sums; a bias is added in single precision."""
    return saturated(products if bias is None else products.float() + bias.float(), torch.int32)


# -- layers with weights --------------------------------------------------------------------------------------------


def _conv_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    if params.num_group != 1:
        raise MXNetError(f"num_group={params.num_group}: expected 1")
    if len(params.kernel) not in (2, 3):
        raise MXNetError(f"kernel={params.kernel}: expected 2 or 3 axes")
    if params.layout not in (None, "NCHW", "NCDHW"):
        raise MXNetError(f"layout={params.layout!r}: expected 'NCHW' or 'NCDHW'")
    return _with_ends(convolution_shape, ins, outs, params, 2 if params.no_bias else 3)


@register(
    "_contrib_quantized_conv",
    infer_shape=_conv_shape,
    infer_type=_layer_type,
    active=_layer_inputs,
    outputs=3,
    output_names=RANGED_OUTPUTS,
    stops_gradient=True,
)
def quantized_conv(
    data,
    weight,
    bias=None,
    min_data=None,
    max_data=None,
    min_weight=None,
    max_weight=None,
    min_bias=None,
    max_bias=None,
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
    layout: Layout = None,
):
    """Convolution of bytes over two or three axes: data (N, C, *space), weight (num_filter, C, *kernel) int8.

    It gives int32 (N, num_filter, *out) and its range ends. The original's CPU build takes uint8 data only.
    """
    if no_bias:  # the inputs are given without gaps
        bias, min_data, max_data, min_weight, max_weight = None, bias, min_data, max_data, min_weight
    axes = len(kernel)
    found = _CONVOLUTIONS[axes](
        data.double(), weight.double(), None, stride or (1,) * axes, pad or (0,) * axes, dilate or (1,) * axes
    )
    # Compat: the integers of the bias are added as they are, whatever their range; and the range of the result is that
    # of two int8 factors, whatever the type of the data.
    shift = None if bias is None else bias.reshape(-1, *[1] * axes)
    return _sums(found.float(), shift), *_product_range(data, min_data, max_data, min_weight, max_weight, True)


def _dense_rule(params: Params, ins: list, outs: list) -> tuple[list, list]:
    data, hidden = ins[0], params.num_hidden
    if data is None:
        return ins, outs
    if not data:
        raise MXNetError("data must have at least one dimension")
    features = data[1:] if params.flatten else data[-1:]
    width = size(features) if is_known(features) else -1
    output = merge((data[0], hidden) if params.flatten else (*data[:-1], hidden), outs[0], "output")
    expected = ((output[0], *data[1:]) if len(data) > 1 else data, (hidden, width), (hidden,))[: len(ins)]
    return merge_inputs(("data", "weight", "bias")[: len(ins)], ins, expected), [output]


def _dense_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    return _with_ends(_dense_rule, ins, outs, params, 2 if params.no_bias else 3)


@register(
    "_contrib_quantized_fully_connected",
    infer_shape=_dense_shape,
    infer_type=_layer_type,
    active=_layer_inputs,
    outputs=3,
    output_names=RANGED_OUTPUTS,
    stops_gradient=True,
)
def quantized_fully_connected(
    data,
    weight,
    bias=None,
    min_data=None,
    max_data=None,
    min_weight=None,
    max_weight=None,
    min_bias=None,
    max_bias=None,
    *,
    num_hidden: Int(min=1),
    no_bias: Bool = False,
    flatten: Bool = True,
):
    """Linear layer on bytes: data (N, ...), weight (num_hidden, K) int8, bias (num_hidden,) int8.

    It gives int32 (N, num_hidden) and its range ends; the bias is brought to the scale of the products first.
    """
    if no_bias:  # the inputs are given without gaps
        bias, min_data, max_data, min_weight, max_weight = None, bias, min_data, max_data, min_weight
    found = fully_connected(data.double(), weight.double(), num_hidden=num_hidden, no_bias=True, flatten=flatten)
    if bias is not None:
        steps = scale_of(data.dtype, min_data, max_data) * scale_of(torch.int8, min_weight, max_weight)
        bias = truncated(bias.float() * over(steps * magnitude(min_bias, max_bias), BYTE_RANGES[torch.int8]))
    signed = data.dtype is torch.int8
    return _sums(found, bias), *_product_range(data, min_data, max_data, min_weight, max_weight, signed)


def _embedding_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    return _with_ends(embedding_shape, ins, outs, params, 2)


def _embedding_type(params: Params, ins: list, outs: list) -> tuple[list, list]:
    names = ("data", "weight", "min_weight", "max_weight")
    return assign_types(names, ins, (None, torch.int8, FLOAT, FLOAT)), [torch.int8, FLOAT, FLOAT]


@register(
    "_contrib_quantized_embedding",
    infer_shape=_embedding_shape,
    infer_type=_embedding_type,
    outputs=3,
    output_names=RANGED_OUTPUTS,
    stops_gradient=True,
    may_view=True,
)
def quantized_embedding(
    data,
    weight,
    min_weight,
    max_weight,
    *,
    input_dim: Int(min=1),
    output_dim: Int(min=1),
    dtype: NoEffect(NumberType) = "float32",
    sparse_grad: NoEffect(Bool) = False,
):
    """Rows of the int8 ``weight`` (input_dim, output_dim) named by ``data`` (...) -> (..., output_dim), and its range."""
    return embedding(data, weight, input_dim=input_dim, output_dim=output_dim), min_weight, max_weight


def _batch_norm_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    found, results = _with_ends(batch_norm_shape, ins, outs, params, 5)
    data = found[0]
    if data is not None and len(data) < 2:
        raise MXNetError(f"data has shape {data}, expected at least two axes")
    if data is not None and data[normalize_axis(params.axis, len(data))] != data[1]:
        # Compat: the original's kernel takes axis 1 whatever is asked for.
        raise MXNetError(f"axis={params.axis}: only axis 1 of data {data} can be normalized")
    if not calibrated(params):
        raise MXNetError("min_calib_range or max_calib_range is missing: this layer needs a calibrated range")
    return found, results


def _batch_norm_type(params: Params, ins: list, outs: list) -> tuple[list, list]:
    names = ("data", "gamma", "beta", "moving_mean", "moving_var", "min_data", "max_data")
    return assign_types(names, ins, (BYTES, *[FLOAT] * 6)), [torch.int8, FLOAT, FLOAT]


@register(
    "_contrib_quantized_batch_norm",
    infer_shape=_batch_norm_shape,
    infer_type=_batch_norm_type,
    aux=("moving_mean", "moving_var"),
    outputs=3,
    output_names=RANGED_OUTPUTS,
    stops_gradient=True,
)
def quantized_batch_norm(
    data,
    gamma,
    beta,
    moving_mean,
    moving_var,
    min_data,
    max_data,
    *,
    eps: Float = 0.0010000000474974513,
    momentum: NoEffect(Float) = 0.899999976,
    fix_gamma: NoEffect(Bool) = True,
    use_global_stats: NoEffect(Bool) = False,
    output_mean_var: NoEffect(Bool) = False,
    axis: Int = 1,
    cudnn_off: NoEffect(Bool) = False,
    min_calib_range: CalibrationRange = None,
    max_calib_range: CalibrationRange = None,
):
    """Batch normalization of bytes by the moving statistics: data (N, C, ...) -> int8 (N, C, ...).

    The range of the result is the calibrated one, which must be given. ``gamma`` counts as it is, with ``fix_gamma`` too.
    """
    if data.dtype is torch.uint8:  # the kernel takes int8
        data = saturated(data.float() * (BYTE_RANGES[torch.int8] / BYTE_RANGES[torch.uint8]), torch.int8)
    low, high = number(min_calib_range, data), number(max_calib_range, data)
    reach = magnitude(low, high)
    deviation = (moving_var.double() + eps).sqrt()
    inverse = (1.0 / deviation).float()
    scale = over(gamma * inverse * magnitude(min_data, max_data), reach)
    shift = over((beta - moving_mean * gamma * inverse) * BYTE_RANGES[torch.int8], reach)
    # Compat: the statistics are made part of scale and shift, and eps is counted once more with the variance 1 left.
    scale = over(scale, math.sqrt(1.0 + eps))
    column = (-1, *[1] * (data.ndim - 2))
    return saturated(data.float() * scale.reshape(column) + shift.reshape(column), torch.int8), low, high


# -- layers without weights -----------------------------------------------------------------------------------------

_RANGED = ("data", "min_data", "max_data")


def _activation_rule(params: Params, ins: list, outs: list) -> tuple[list, list]:
    if params.act_type != "relu":
        raise MXNetError(f"act_type={params.act_type!r}: only 'relu' exists for quantized data")
    return ins, [ins[0]]


def _activation_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    return _with_ends(_activation_rule, ins, outs, params, 1)


def _activation_type(params: Params, ins: list, outs: list) -> tuple[list, list]:
    return assign_types(_RANGED, ins, (BYTES, FLOAT, FLOAT)), [torch.int8, FLOAT, FLOAT]


@register(
    "_contrib_quantized_act",
    infer_shape=_activation_shape,
    infer_type=_activation_type,
    outputs=3,
    output_names=RANGED_OUTPUTS,
    no_gradient=True,
    may_view=True,
)
def quantized_act(data, min_data, max_data, *, act_type: Enum("relu", "sigmoid", "softrelu", "softsign", "tanh")):
    """``max(data, 0)`` on bytes (...) with the same range; only ``act_type='relu'`` exists.

    The result is int8: the bits of uint8 data are kept, so that what exceeds 127 turns negative.
    """
    return (data.clamp(min=0) if data.dtype is torch.int8 else data.view(torch.int8)), min_data, max_data


def _pooling_rule(params: Params, ins: list, outs: list) -> tuple[list, list]:
    data = ins[0]
    if params.pool_type not in ("max", "avg"):
        raise MXNetError(f"pool_type={params.pool_type!r}: expected 'max' or 'avg' for quantized data")
    if params.layout not in (None, "NCHW", "NCDHW"):
        raise MXNetError(f"layout={params.layout!r}: expected 'NCHW' or 'NCDHW'")
    if not is_known(data):
        return ins, outs
    if len(data) not in (4, 5):
        raise MXNetError(f"data has shape {data}, expected 4 or 5 axes")
    if len(params.kernel) != len(data) - 2:
        raise MXNetError(f"kernel={params.kernel}: expected {len(data) - 2} entries for data of shape {data}")
    return ins, [pooling_shape(params, data)]


def _pooling_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    return _with_ends(_pooling_rule, ins, outs, params, 1)


def _pooling_type(params: Params, ins: list, outs: list) -> tuple[list, list]:
    found = assign_types(_RANGED, ins, (BYTES, FLOAT, FLOAT))
    return found, [found[0], FLOAT, FLOAT]


@register(
    "_contrib_quantized_pooling",
    infer_shape=_pooling_shape,
    infer_type=_pooling_type,
    outputs=3,
    output_names=RANGED_OUTPUTS,
    stops_gradient=True,
    may_view=True,
)
def quantized_pooling(
    data,
    min_data,
    max_data,
    *,
    kernel: Shape = (),
    pool_type: Enum("avg", "lp", "max", "sum") = "max",
    global_pool: Bool = False,
    cudnn_off: NoEffect(Bool) = False,
    pooling_convention: Enum("full", "same", "valid") = "valid",
    stride: Shape = (),
    pad: Shape = (),
    p_value: NoEffect(Optional(Int)) = None,
    count_include_pad: Optional(Bool) = None,
    layout: PoolLayout = None,
):
    """Maximum or average of bytes over sliding windows, as ``Pooling``: data (N, C, *space) -> (N, C, *out), same range.

    Averages round to the nearest integer, halves to even.
    """
    # Compat: with pooling_convention='full', windows beyond the padded data count whole here.
    whole = pool_type == "avg" and pooling_convention == "full" and not global_pool and count_include_pad is not False
    found = pooling(
        data.double(),
        kernel=kernel,
        pool_type="sum" if whole else pool_type,
        global_pool=global_pool,
        pooling_convention=pooling_convention,
        stride=stride,
        pad=pad,
        count_include_pad=count_include_pad,
    )
    return saturated(found / size(kernel) if whole else found, data.dtype), min_data, max_data


def _flatten_rule(params: Params, ins: list, outs: list) -> tuple[list, list]:
    data = ins[0]
    return ins, [None if not is_known(data) else (data[0], size(data[1:]))]


def _flatten_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    return _with_ends(_flatten_rule, ins, outs, params, 1)


def _flatten_type(params: Params, ins: list, outs: list) -> tuple[list, list]:
    found = assign_types(_RANGED, ins, (None, FLOAT, FLOAT))
    return found, [found[0], FLOAT, FLOAT]


@register(
    "_contrib_quantized_flatten",
    infer_shape=_flatten_shape,
    infer_type=_flatten_type,
    outputs=3,
    output_names=RANGED_OUTPUTS,
    stops_gradient=True,
    may_view=True,
)
def quantized_flatten(data, min_data, max_data):
    """All axes but the first in one, with the same range: data (N, ...) -> (N, K)."""
    return data.reshape(data.shape[0], -1), min_data, max_data


# -- several inputs -------------------------------------------------------------------------------------------------


def _concat_inputs(params: Params) -> tuple[str, ...]:
    names = [f"arg{i}" for i in range(params.num_args)]
    return (*names, *(f"{name}_{end}" for name in names for end in ("min", "max")))


def _concat_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    return _with_ends(concat_shape, ins, outs, params, params.num_args)


def _concat_type(params: Params, ins: list, outs: list) -> tuple[list, list]:
    count = params.num_args
    data = [torch.uint8 if dtype is None else dtype for dtype in ins[:count]]
    found = assign_types(_concat_inputs(params), [*data, *ins[count:]], [*[BYTES] * count, *[FLOAT] * (2 * count)])
    return found, [torch.int8 if torch.int8 in data else torch.uint8, FLOAT, FLOAT]


def _rescaled(data, dtype: torch.dtype, factor):
    """Integers times a factor, rounded to the type."""
    return saturated(data.float() * factor, dtype)


@register(
    "_contrib_quantized_concat",
    infer_shape=_concat_shape,
    infer_type=_concat_type,
    active=_concat_inputs,
    variadic="num_args",
    outputs=3,
    output_names=RANGED_OUTPUTS,
    stops_gradient=True,
)
def quantized_concat(*data, num_args: Int(min=1), dim: Int = 1):
    """Bytes joined along axis ``dim``: ``num_args`` arrays, then the range ends of each -> array and its range.

    The range is the widest one, and holds zero; the others are brought to it. One int8 array makes the result int8.
    """
    arrays, ends = data[:num_args], data[num_args:]
    low = torch.stack(ends[0::2]).amin(0).clamp(max=0.0)
    high = torch.stack(ends[1::2]).amax(0).clamp(min=0.0)
    dtype = torch.int8 if any(array.dtype is torch.int8 for array in arrays) else torch.uint8
    target = scale_of(dtype, low, high)
    parts = [
        _rescaled(array, dtype, over(target, scale_of(array.dtype, ends[2 * i], ends[2 * i + 1])))
        for i, array in enumerate(arrays)
    ]
    return torch.cat(parts, dim), low, high


_PAIR = ("lhs", "rhs", "lhs_min", "lhs_max", "rhs_min", "rhs_max")


def _pair_rule(params: Params, ins: list, outs: list) -> tuple[list, list]:
    shape = merge(merge(ins[0], ins[1], "Shape inconsistent, input rhs"), outs[0], "output")
    return [shape, shape], [shape]


def _pair_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    return _with_ends(_pair_rule, ins, outs, params, 2)


def _sum_type(params: Params, ins: list, outs: list) -> tuple[list, list]:
    known = [torch.uint8 if dtype is None else dtype for dtype in ins[:2]]
    found = assign_types(_PAIR, [*known, *ins[2:]], (BYTES, BYTES, *[FLOAT] * 4))
    same = found[0] if found[0] is found[1] else torch.int8
    return found, [same if calibrated(params) else torch.int32, FLOAT, FLOAT]


@register(
    "_contrib_quantized_elemwise_add",
    infer_shape=_pair_shape,
    infer_type=_sum_type,
    outputs=3,
    output_names=RANGED_OUTPUTS,
    no_gradient=True,
)
def quantized_elemwise_add(
    lhs,
    rhs,
    lhs_min,
    lhs_max,
    rhs_min,
    rhs_max,
    *,
    min_calib_range: CalibrationRange = None,
    max_calib_range: CalibrationRange = None,
):
    """Sum of two arrays of bytes of one shape, with its range ends.

    With a calibrated range the result is in bytes (int8 unless both are uint8), else in int32.
    """
    reaches = magnitude(lhs_min, lhs_max), magnitude(rhs_min, rhs_max)
    if min_calib_range is not None and max_calib_range is not None:
        dtype = lhs.dtype if lhs.dtype is rhs.dtype else torch.int8
        low, high = number(min_calib_range, lhs), number(max_calib_range, lhs)
        unit = over(BYTE_RANGES[dtype], magnitude(low, high))
        factors = [over(unit, over(BYTE_RANGES[x.dtype], reach)) for x, reach in zip((lhs, rhs), reaches)]
    else:
        dtype, high = torch.int32, reaches[0] + reaches[1]
        low = -high
        factors = [over(r * INT32_RANGE, high * BYTE_RANGES[x.dtype]) for x, r in zip((lhs, rhs), reaches)]
    return _sum(lhs, rhs, factors, dtype), low, high


def _sum(lhs, rhs, factors, dtype):
    terms = []
    for data, other, factor in zip((lhs, rhs), (rhs, lhs), factors):
        if data.dtype is torch.uint8 and other.dtype is torch.int8:
            # Compat: uint8 beside int8 is brought to int8 first, where a sum in int32 leaves it nearly no room.
            terms.append(_rescaled(data, torch.int8, factor).float())
        else:
            terms.append(data.float() * factor)
    return saturated(terms[0] + terms[1], dtype)


def _product_type(params: Params, ins: list, outs: list) -> tuple[list, list]:
    found = assign_types(_PAIR, ins, (torch.int8, torch.int8, *[FLOAT] * 4))
    if params.enable_float_output:
        return found, [FLOAT]
    return found, [torch.int8 if calibrated(params) else torch.int32, FLOAT, FLOAT]


@register(
    "_contrib_quantized_elemwise_mul",
    infer_shape=_pair_shape,
    infer_type=_product_type,
    outputs=lambda params: 1 if params.enable_float_output else 3,
    output_names=lambda params: RANGED_OUTPUTS[: 1 if params.enable_float_output else 3],
    stops_gradient=True,
)
def quantized_elemwise_mul(
    lhs,
    rhs,
    lhs_min,
    lhs_max,
    rhs_min,
    rhs_max,
    *,
    min_calib_range: CalibrationRange = None,
    max_calib_range: CalibrationRange = None,
    enable_float_output: Bool = False,
):
    """Product of two int8 arrays of one shape: int32 and its range ends, int8 with a calibrated range, or numbers.

    Calibrated results are cut off to integers, and wrap where they exceed the range.
    """
    products = lhs.int() * rhs.int()
    scales = scale_of(torch.int8, lhs_min, lhs_max), scale_of(torch.int8, rhs_min, rhs_max)
    if enable_float_output:
        return products.float() * over(over(1.0, scales[0]), scales[1])
    if min_calib_range is None or max_calib_range is None:
        return products, *_product_range(lhs, lhs_min, lhs_max, rhs_min, rhs_max, True)
    low, high = number(min_calib_range, lhs), number(max_calib_range, lhs)
    unit = over(BYTE_RANGES[torch.int8], magnitude(low, high))
    found = truncated(products.float() * over(over(unit, scales[0]), scales[1]))
    return found.to(torch.int8), low, high
