"""Conversion between numbers and 8-bit integers, as the original's CPU kernels (oneDNN) do it.

A quantized array travels with the smallest and the largest number it stands for, each of shape (1,). The zero of data
and integers is the same: an integer times range / 127.5 (int8), 255.5 (uint8) or 2**31 (int32) is the number, with the
larger magnitude of the two as range. Products round to the nearest integer, halves to even, and stop at the type's ends.
"""

import torch

from mxcompat.base import MXNetError
from mxcompat.ops.dtypes import NAME_BY_TORCH, TORCH_BY_NAME
from mxcompat.ops.registry import register
from mxcompat.ops.schema import Enum, Float, Optional, Params
from mxcompat.ops.shape import merge, merge_inputs

BYTES = (torch.int8, torch.uint8)
INT32_RANGE = 2.0**31  # what 2**31 - 1 is in single precision
#: Compat: halves, so that the outermost integers stand for as much as the others
BYTE_RANGES = {torch.int8: 127.5, torch.uint8: 255.5}
OutType = Enum("auto", "int8", "uint8")
CalibrationRange = Optional(Float)
RANGED_OUTPUTS = ("output", "min_output", "max_output")

# -- arithmetic -----------------------------------------------------------------------------------------------------


def over(numerator, denominator):
    """The quotient in single precision; a number divided by a tensor is no product with its reciprocal."""
    like = denominator if isinstance(denominator, torch.Tensor) else numerator
    parts = (x if isinstance(x, torch.Tensor) else torch.full_like(like, x) for x in (numerator, denominator))
    return torch.div(*parts)


def magnitude(low, high):
    """The larger absolute value of two range ends."""
    return torch.maximum(low.abs(), high.abs())


def scale_of(dtype: torch.dtype, low, high):
    """How many integer steps a byte type has for one."""
    return over(BYTE_RANGES[dtype], magnitude(low, high))


def saturated(values, dtype: torch.dtype):
    """The nearest integers of the type, halves to even."""
    info = torch.iinfo(dtype)
    wide = values.double() if dtype is torch.int32 else values
    strange = info.max if dtype is torch.int8 else info.min  # Compat: what becomes of 0 times an infinite scale
    return torch.nan_to_num(wide.round(), strange, info.max, info.min).clamp(info.min, info.max).to(dtype)


def truncated(values):
    """int32 by cutting off the fraction; what does not fit becomes the smallest integer, as on x86."""
    fits = values.abs() < INT32_RANGE
    return torch.where(fits, values.double(), -INT32_RANGE).to(torch.int32)


def calibrated(params: Params | dict) -> bool:
    """Whether both ends of the calibrated range are given."""
    return params["min_calib_range"] is not None and params["max_calib_range"] is not None


def number(value: float, like):
    """A parameter as a single-precision tensor of shape (1,)."""
    return torch.full((1,), value, dtype=torch.float32, device=like.device)


def result_type(params: Params | dict) -> torch.dtype:
    """The byte type that ``out_type`` means; ``auto`` is uint8 for a calibrated range without negative numbers."""
    if params["out_type"] != "auto":
        return TORCH_BY_NAME[params["out_type"]]
    return torch.uint8 if calibrated(params) and params["min_calib_range"] >= 0 else torch.int8


# -- rules ----------------------------------------------------------------------------------------------------------


def assign_types(names, ins: list, wanted) -> list:
    """Input types, those known compared with the wanted ones (None: any; a tuple: one of these)."""
    found = []
    for name, have, want in zip(names, ins, wanted, strict=True):
        if isinstance(want, tuple):
            if have is not None and have not in want:
                raise MXNetError(f"{name} has type {NAME_BY_TORCH[have]}, expected {_or(want)}")
            found.append(have)
            continue
        if None not in (have, want) and have is not want:
            raise MXNetError(
                f"Type inconsistent, Provided = {NAME_BY_TORCH[have]}, inferred type = {NAME_BY_TORCH[want]} ({name})"
            )
        found.append(want if have is None else have)
    return found


def _or(types) -> str:
    return " or ".join(NAME_BY_TORCH[dtype] for dtype in types)


def ranged_outputs(shape, outs: list) -> list:
    """The shapes of an output and its two range ends."""
    return [merge(shape, outs[0], "output"), (1,), (1,)][: len(outs)]


def _quantize_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    data = merge(ins[0], outs[0], "output")
    ends = merge_inputs(("min_range", "max_range")[: len(ins) - 1], ins[1:], [(1,)] * (len(ins) - 1))
    return [data, *ends], [data, (1,), (1,)][: len(outs)]


def _typed(names, *wanted):
    """A type rule: inputs of the wanted types, outputs of ``result_type`` and two range ends."""

    def rule(params: Params, ins: list, outs: list) -> tuple[list, list]:
        return assign_types(names, ins, wanted), [result_type(params), torch.float32, torch.float32]

    return rule


_ENDS = ("data", "min_range", "max_range")

# -- operators ------------------------------------------------------------------------------------------------------


@register(
    "_contrib_quantize",
    infer_shape=_quantize_shape,
    infer_type=_typed(_ENDS, torch.float32, torch.float32, torch.float32),
    outputs=3,
    stops_gradient=True,
    may_view=True,
)
def quantize(data, min_range, max_range, *, out_type: Enum("int8", "uint8") = "uint8"):
    """Integers for numbers of a given range: data (...), ends (1,) -> data (...) of ``out_type`` and the ends.

    The scale is 127 (int8) or 255 (uint8) over the larger magnitude. The ends of int8 are made symmetric; for uint8
    negative numbers become 0, and the ends are those given.
    """
    dtype = TORCH_BY_NAME[out_type]
    reach = magnitude(min_range, max_range)
    result = saturated(data * over(float(torch.iinfo(dtype).max), reach), dtype)
    return (result, -reach, reach) if dtype is torch.int8 else (result, min_range, max_range)


def _extremes(data):
    """Smallest and largest number (1,), not-a-numbers left out."""
    last = torch.finfo(data.dtype).max
    missing = data.isnan()
    low = torch.where(missing, last, data).amin()
    return low.reshape(1), torch.where(missing, -last, data).amax().reshape(1)


def _passed_on(data, dtype, ends):
    """Bytes as they are: their bits are read as the wanted type."""
    if ends is None:
        reach = number(BYTE_RANGES[data.dtype], data)
        ends = (torch.zeros_like(reach) if data.dtype is torch.uint8 else -reach, reach)
    return data.view(dtype), *ends


def _given_ends(data, low, high):
    return None if low is None or high is None else (number(low, data), number(high, data))


@register(
    "_contrib_quantize_v2",
    infer_shape=_quantize_shape,
    infer_type=_typed(("data",), (torch.float32, *BYTES)),
    outputs=3,
    stops_gradient=True,
    may_view=True,
)
def quantize_v2(
    data,
    *,
    out_type: OutType = "int8",
    min_calib_range: CalibrationRange = None,
    max_calib_range: CalibrationRange = None,
):
    """Integers for numbers: data (...) -> data (...) of ``out_type``, and the ends (1,) of the range they stand for.

    The range is the calibrated one when both its ends are given, else that of the data. int8 takes a symmetric range;
    for uint8 negative numbers become 0. ``auto`` is uint8 for a calibrated range without negative numbers, else int8.
    Bytes pass unchanged.
    """
    options = {"out_type": out_type, "min_calib_range": min_calib_range, "max_calib_range": max_calib_range}
    dtype, ends = result_type(options), _given_ends(data, min_calib_range, max_calib_range)
    if data.dtype in BYTES:
        return _passed_on(data, dtype, ends)
    low, high = _extremes(data) if ends is None else ends
    result = saturated(data * scale_of(dtype, low, high), dtype)
    reach = magnitude(low, high)
    return (result, -reach, reach) if dtype is torch.int8 else (result, low, high)


def _asymmetric_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    found = _quantize_shape(params, ins, outs)
    if found[0][0] is not None and len(found[0][0]) != 3:
        # Compat: the original crashes.
        raise MXNetError(f"data has shape {found[0][0]}, expected three axes (time, batch, feature)")
    return found


def _asymmetric_type(params: Params, ins: list, outs: list) -> tuple[list, list]:
    return assign_types(("data",), ins, (torch.float32,)), [torch.uint8, torch.float32, torch.float32]


@register(
    "_contrib_quantize_asym",
    infer_shape=_asymmetric_shape,
    infer_type=_asymmetric_type,
    outputs=3,
    output_names=("output", "scale", "shift"),
    stops_gradient=True,
)
def quantize_asym(data, *, min_calib_range: CalibrationRange = None, max_calib_range: CalibrationRange = None):
    """uint8 for ``data * scale + shift``: data (T, N, C) -> data (T, N, C), scale (1,) and shift (1,).

    The smallest number (calibrated, or found in the data) becomes 0, the largest 255. It feeds ``quantized_rnn``.
    """
    low, high = _given_ends(data, min_calib_range, max_calib_range) or _extremes(data)
    scale = over(255.0, high - low)
    shift = 255.0 - high * scale
    return saturated(data * scale + shift, torch.uint8), scale, shift


def _dequantize_type(params: Params, ins: list, outs: list) -> tuple[list, list]:
    return assign_types(_ENDS, ins, (BYTES, torch.float32, torch.float32)), [torch.float32]


@register("_contrib_dequantize", infer_shape=_quantize_shape, infer_type=_dequantize_type, stops_gradient=True)
def dequantize(data, min_range, max_range, *, out_type: Enum("float32") = "float32"):
    """The numbers that integers stand for: data (...) of int8 or uint8, ends (1,) -> (...)."""
    return data.to(torch.float32) * over(magnitude(min_range, max_range), BYTE_RANGES[data.dtype])


def _found_range(data, low, high):
    """The range that the integers in ``data`` really use."""
    wide = data.to(torch.float32)
    largest = magnitude(wide.amin().reshape(1), wide.amax().reshape(1))
    # Compat: the largest magnitude passes through int32, where 2**31 turns negative.
    largest = torch.where(largest < INT32_RANGE, largest, -INT32_RANGE)
    return over(largest * magnitude(low, high), INT32_RANGE)


@register(
    "_contrib_requantize",
    infer_shape=_quantize_shape,
    infer_type=_typed(_ENDS, torch.int32, torch.float32, torch.float32),
    outputs=3,
    stops_gradient=True,
)
def requantize(
    data,
    min_range,
    max_range,
    *,
    out_type: OutType = "int8",
    min_calib_range: CalibrationRange = None,
    max_calib_range: CalibrationRange = None,
):
    """Bytes for the int32 that quantized operators accumulate: data (...), ends (1,) -> data (...) and the new ends.

    The new range is the calibrated one when both its ends are given, else the one that the data uses.
    """
    options = {"out_type": out_type, "min_calib_range": min_calib_range, "max_calib_range": max_calib_range}
    dtype, ends = result_type(options), _given_ends(data, min_calib_range, max_calib_range)
    reach = _found_range(data, min_range, max_range) if ends is None else magnitude(*ends)
    scale = over(magnitude(min_range, max_range), INT32_RANGE) * over(float(torch.iinfo(dtype).max), reach)
    result = saturated(data.to(torch.float32) * scale, dtype)
    return result, (torch.zeros_like(reach) if dtype is torch.uint8 else -reach), reach
