"""The softmax family without a loss: plain functions with their true gradient."""

import torch

from mxcompat.base import MXNetError
from mxcompat.ops.dtypes import NAME_BY_TORCH, TORCH_BY_NAME, floating, unify
from mxcompat.ops.registry import register
from mxcompat.ops.schema import Bool, DType, Enum, Float, Int, Optional, Params
from mxcompat.ops.shape import merge, merge_inputs, normalize_axis, same_shape

FloatType = Optional(DType("float16", "float32", "float64"))
_LENGTH_TYPES = (torch.uint8, torch.int8, torch.int32, torch.int64)


def _softmax_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    data = merge(ins[0], outs[0], "output")
    if data is None:
        return ins, outs
    axis = normalize_axis(params.axis, len(data))
    lengths = data[:axis] + data[axis + 1 :]
    return merge_inputs(("data", "length")[: len(ins)], ins, (data, lengths)[: len(ins)]), [data]


def _softmax_type(params: Params, ins: list, outs: list) -> tuple[list, list]:
    if len(ins) == 2 and ins[1] not in (None, *_LENGTH_TYPES):
        raise MXNetError(f"length has type {NAME_BY_TORCH[ins[1]]}, expected an integer type")
    if params.dtype is not None:
        data, output = ins[0], TORCH_BY_NAME[params.dtype]
    else:
        data = output = unify([ins[0], outs[0]])
    return [data, *ins[1:]], [output]


def _valid_positions(length, size: int, axis: int, ndim: int):
    """A mask, broadcast against the data, of the positions below each length."""
    positions = torch.arange(size, device=length.device)
    shape = [1] * ndim
    shape[axis] = size
    return positions.reshape(shape) < length.unsqueeze(axis)


def _scaled(data, temperature):
    return data if temperature is None else data / temperature


@register(
    "softmax",
    infer_shape=_softmax_shape,
    infer_type=floating(_softmax_type),
    active=lambda params: ("data", "length") if params.use_length else ("data",),
)
def softmax(
    data,
    length=None,
    *,
    axis: Int = -1,
    temperature: Optional(Float) = None,
    dtype: FloatType = None,
    use_length: Optional(Bool) = False,
):
    """``exp(x / temperature) / sum(exp(x / temperature))`` along an axis, in ``dtype`` when given.

    With ``use_length``, ``length`` (the shape of the data without ``axis``) says how many leading positions take part;
    the others are 0, all of them for length 0.
    """
    kind = None if dtype is None else TORCH_BY_NAME[dtype]
    scaled = _scaled(data, temperature)
    if not use_length:
        return torch.softmax(scaled, axis, dtype=kind)
    position = axis % data.ndim
    valid = _valid_positions(length, data.shape[position], position, data.ndim)
    # The lowest finite number instead of -inf: a row without valid positions keeps a finite gradient.
    share = torch.softmax(scaled.masked_fill(~valid, torch.finfo(data.dtype).min), position, dtype=kind)
    return share.masked_fill(~valid, 0.0)


def _without_length(params: Params, ins: list, outs: list) -> tuple[list, list]:
    if params.use_length:
        raise MXNetError("use_length=True: this operator has no input for lengths")
    return _softmax_shape(params, ins, outs)


@register("log_softmax", infer_shape=_without_length, infer_type=floating(_softmax_type))
def log_softmax(
    data,
    *,
    axis: Int = -1,
    temperature: Optional(Float) = None,
    dtype: FloatType = None,
    use_length: Optional(Bool) = False,
):
    """Logarithm of ``softmax(data / temperature)`` along an axis, in ``dtype`` when given."""
    return torch.log_softmax(_scaled(data, temperature), axis, dtype=None if dtype is None else TORCH_BY_NAME[dtype])


@register("softmin", infer_shape=_without_length, infer_type=floating(_softmax_type))
def softmin(
    data,
    *,
    axis: Int = -1,
    temperature: Optional(Float) = None,
    dtype: FloatType = None,
    use_length: Optional(Bool) = False,
):
    """``softmax(-data / temperature)`` along an axis, in ``dtype`` when given."""
    return torch.softmax(-_scaled(data, temperature), axis, dtype=None if dtype is None else TORCH_BY_NAME[dtype])


class _InstanceSoftmax(torch.autograd.Function):
    """Softmax along the last axis.

    Compat: the gradient is output * (head - total), where total sums head * output over axis 1, not over the last axis;
    on two-dimensional data these are the same.
    """

    first_order_only = True

    @staticmethod
    def forward(ctx, data):
        output = torch.softmax(data, -1)
        ctx.save_for_backward(output)
        return output

    @staticmethod
    def backward(ctx, head):
        (output,) = ctx.saved_tensors
        total = (head * output).sum(1, keepdim=True)
        return output * (head - total)


def _softmax_activation_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    ins, outs = same_shape(params, ins, outs)
    if params.mode == "channel" and ins[0] is not None and len(ins[0]) < 3:
        raise MXNetError(f"data has shape {ins[0]}, expected at least 3 axes for mode='channel'")
    return ins, outs


@register("SoftmaxActivation", infer_shape=_softmax_activation_shape, infer_type=floating())
def softmax_activation(data, *, mode: Enum("channel", "instance") = "instance"):
    """Softmax along axis 1 (``channel``) or along the last axis (``instance``)."""
    if mode == "instance" and data.ndim > 2:
        return _InstanceSoftmax.apply(data)
    return torch.softmax(data, 1 if mode == "channel" else -1)
