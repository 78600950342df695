"""Activation functions with parameters, and dropout."""

import torch
from torch.nn import functional

from mxcompat.base import MXNetError
from mxcompat.ops.dtypes import floating
from mxcompat.ops.registry import register
from mxcompat.ops.schema import Bool, Enum, Float, NoEffect, Optional, Params, Shape, TrainMode
from mxcompat.ops.shape import merge, same_shape

_ACTIVATIONS = {
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "softrelu": lambda data: functional.softplus(data, threshold=40.0),  # where log(1 + exp(x)) is x in every type
    "softsign": functional.softsign,
    "tanh": torch.tanh,
}


@register("Activation", infer_shape=same_shape, infer_type=floating())
def activation(data, *, act_type: Enum("relu", "sigmoid", "softrelu", "softsign", "tanh")):
    """Element by element: max(x, 0), 1 / (1 + exp(-x)), log(1 + exp(x)), x / (1 + abs(x)) or tanh(x)."""
    return _ACTIVATIONS[act_type](data)


SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805


class _Selu(torch.autograd.Function):
    """scale * x for x > 0, else scale * alpha * (exp(x) - 1).

    Compat: the gradient is scale * (alpha + output) for x <= 0, not the derivative, scale * alpha + output.
    """

    first_order_only = True

    @staticmethod
    def forward(ctx, data):
        output = functional.selu(data)
        ctx.save_for_backward(output)
        return output

    @staticmethod
    def backward(ctx, head):
        (output,) = ctx.saved_tensors
        return head * SELU_SCALE * torch.where(output > 0, 1.0, SELU_ALPHA + output)


def _gamma_view(gamma: tuple, data: tuple) -> tuple:
    """The shape in which gamma is broadcast over data: its axes are matched from the right to axes 1 and 0 of data.

    Compat: so gamma (N,) acts along axis 0 where axis 1 has another size, and gammas of higher rank are refused.
    """
    view, left = [1] * len(data), list(gamma)
    for axis in range(min(1, len(data) - 1), -1, -1):
        if left and left[-1] in (1, data[axis]):
            view[axis] = left.pop()
    if left:
        raise MXNetError(f"gamma of shape {gamma} cannot be broadcast over data of shape {data}")
    return tuple(view)


def _leaky_relu_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    data = merge(ins[0], outs[0], "output")
    if params.act_type != "prelu" or data is None:
        return [data, *ins[1:]], [data] * len(outs)
    gamma = ins[1]
    if gamma is None:
        if len(data) < 2:
            raise MXNetError(f"data has shape {data}, expected at least 2 axes to infer the shape of gamma")
        gamma = (data[1],)
    elif -1 not in data and -1 not in gamma:
        _gamma_view(gamma, data)
    return [data, gamma], [data]


@register(
    "LeakyReLU",
    infer_shape=_leaky_relu_shape,
    infer_type=floating(),
    active=lambda params: ("data", "gamma") if params.act_type == "prelu" else ("data",),
    outputs=lambda params: 2 if params.act_type == "rrelu" else 1,
    output_names=lambda params: ("output", "mask") if params.act_type == "rrelu" else ("output",),
    variable_attributes={"gamma": {"__init__": '["Constant", {"value": 0.25}]'}},
    random=True,
)
def leaky_relu(
    data,
    gamma=None,
    *,
    act_type: Enum("elu", "gelu", "leaky", "prelu", "rrelu", "selu") = "leaky",
    slope: Float = 0.25,
    lower_bound: Float = 0.125,
    upper_bound: Float = 0.333999991,
    is_train: TrainMode = False,
):
    """Rectifiers that pass something of the negative side, element by element.

    ``leaky``: slope * x for x <= 0. ``prelu``: gamma * x, gamma (C,) along axis 1. ``elu``: slope * (exp(x) - 1).
    ``selu``: the self-normalizing elu. ``gelu``: x * Phi(x). ``rrelu``: a slope drawn per element from [lower_bound,
    upper_bound] in training, the middle of them otherwise; the slopes are the second output.
    """
    if act_type == "prelu":
        return torch.where(data > 0, data, data * gamma.reshape(_gamma_view(tuple(gamma.shape), tuple(data.shape))))
    if act_type == "rrelu":
        if is_train:
            slopes = torch.rand_like(data) * (upper_bound - lower_bound) + lower_bound
        else:
            slopes = torch.full_like(data, (lower_bound + upper_bound) / 2)
        return torch.where(data > 0, data, data * slopes), slopes
    if act_type == "leaky":
        return functional.leaky_relu(data, slope)
    if act_type == "elu":
        return functional.elu(data, slope)
    return _Selu.apply(data) if act_type == "selu" else functional.gelu(data)


def _dropout_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    data = merge(ins[0], outs[0], "output")
    if data is None:
        return ins, outs
    if any(not 0 <= axis < len(data) for axis in params.axes):
        raise MXNetError(f"axes={params.axes}: expected axes from 0 to {len(data) - 1}")
    return [data], [data, _mask_shape(data, params.axes)]


def _mask_shape(data: tuple, axes: tuple) -> tuple:
    return tuple(1 if axis in axes else n for axis, n in enumerate(data)) if axes else data


@register(
    "Dropout",
    infer_shape=_dropout_shape,
    infer_type=floating(),
    outputs=2,
    visible=1,
    output_names=("output", "mask"),
    random=True,
    may_view=True,
)
def dropout(
    data,
    *,
    p: Float(min=0.0, max=1.0) = 0.5,
    mode: Enum("always", "training") = "training",
    axes: Shape = (),
    cudnn_off: NoEffect(Optional(Bool)) = False,
    is_train: TrainMode = False,
):
    """Zeroes each element with probability ``p`` and scales the others by 1 / (1 - p); the mask is a hidden output.

    It acts in training, and with ``mode='always'`` in inference too; otherwise the result is the data. Elements along
    ``axes`` share one draw.
    """
    shape = _mask_shape(tuple(data.shape), axes)
    if p == 0 or not (is_train or mode == "always"):
        return data, data.new_ones(()).expand(shape)
    keep = 1 - p
    mask = torch.bernoulli(data.new_empty(shape), keep)
    mask = mask / keep  # Compat: nan for p = 1, as the original's 0 / 0
    return data * mask, mask
