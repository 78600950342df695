"""Kernels that do more than one operator's work: linear layers and convolutions with their activation, by oneDNN.

These operators of torch are semi-private, so they are used from this module alone, behind ``available``; every function
here has the plain operators as its fallback. They serve float32 on the CPU. ``MXCOMPAT_EXACT=1`` switches them off.

A linear layer goes to oneDNN where MKL, torch's choice, is known to be slow: on AMD's Zen 5 it runs at half of oneDNN's
speed (1024^3: 217 against 480 GFLOP/s), on Zen 4 there is nothing between them. The choice depends on the processor
alone, not on a timing, so that runs repeat bit for bit.
"""

from __future__ import annotations

import functools
import os
import re
from typing import Any

import torch
from torch.nn import functional

from mxcompat.base import env_choice

__all__ = [
    "ACTIVATIONS",
    "available",
    "channels_last",
    "convolution",
    "has_packed_recurrent",
    "is_exact",
    "linear",
    "linear_pays",
]

#: activation -> the same in torch; the gradients of these follow from the output alone
ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid}
_DERIVATIVES: dict[str, Any] = {
    "relu": lambda gradient, output: torch.ops.aten.threshold_backward(gradient, output, 0),
    "tanh": torch.ops.aten.tanh_backward,
    "sigmoid": torch.ops.aten.sigmoid_backward,
}
#: multiplications from which on oneDNN's call overhead no longer matters
LINEAR_WORK = 1 << 20


def is_exact() -> bool:
    """Whether ``MXCOMPAT_EXACT`` keeps layouts and kernels plain."""
    return env_choice("MXCOMPAT_EXACT", ("0", "1"), "0") == "1"


@functools.cache
def _has_operators() -> bool:
    names = ("_convolution_pointwise", "_linear_pointwise", "_reorder_convolution_weight", "_reorder_linear_weight")
    return torch.backends.mkldnn.is_available() and all(hasattr(torch.ops.mkldnn, name) for name in names)


@functools.cache
def has_packed_recurrent() -> bool:
    """Whether LSTM layers take packed weights."""
    return hasattr(torch.ops.mkldnn, "_reorder_mkldnn_rnn_layer_weight")


def available(device: torch.device) -> bool:
    """Whether graphs on this device may use these kernels."""
    return device.type == "cpu" and not is_exact() and _has_operators()


@functools.cache
def linear_pays() -> bool:
    """Whether this processor's linear layers gain from oneDNN: AMD's with full-width AVX-512 (family 26 and later)."""
    if not os.path.exists("/proc/cpuinfo"):
        return False
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        head = file.read(4096)
    family = re.search(r"^cpu family\s*:\s*(\d+)", head, re.MULTILINE)
    return "AuthenticAMD" in head and "avx512f" in head and family is not None and int(family[1]) >= 26


def channels_last(image: torch.Tensor) -> torch.Tensor:
    """The image (N, C, H, W) with the channel running fastest in memory; other ranks and types stay as they are."""
    if image.dim() != 4 or image.dtype is not torch.float32:
        return image
    if image.shape[1] == 1 and not image.requires_grad and image.is_contiguous():
        count, channels, height, width = image.shape  # one channel fits both layouts: say which is meant
        return image.as_strided(image.shape, (height * width * channels, 1, width * channels, channels))
    return image.contiguous(memory_format=torch.channels_last)


# -- linear layers ------------------------------------------------------------------------------------------------


def _onednn_linear(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, activation: str) -> torch.Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, activation, [], "")


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any, weight: Any, bias: Any, activation: str) -> torch.Tensor:
        output = _onednn_linear(x, weight, bias, activation)
        ctx.save_for_backward(x, weight, output)
        ctx.activation = activation
        return output

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple:  # type: ignore[override]
        x, weight, output = ctx.saved_tensors
        if ctx.activation != "none":
            gradient = _DERIVATIVES[ctx.activation](gradient, output)
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad[:3]
        gradient_x = _product(gradient, weight) if needs_x else None
        gradient_weight = None
        if needs_weight:  # the kernel wants its first operand contiguous: transpose the smaller one
            if x.shape[1] < gradient.shape[1]:
                gradient_weight = _product(x.t(), gradient).t()
            else:
                gradient_weight = _product(gradient.t(), x)
        return gradient_x, gradient_weight, gradient.sum(0) if needs_bias else None, None


def _product(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """left (M, K) @ right (K, N)."""
    if left.shape[0] * left.shape[1] * right.shape[1] < LINEAR_WORK:
        return torch.mm(left, right)
    return _onednn_linear(left.contiguous(), right.t(), None, "none")


def linear(x: torch.Tensor, weight: torch.Tensor, bias: Any, flatten: bool, activation: str = "none") -> torch.Tensor:
    """``activation(x @ weight.T + bias)``; with ``flatten`` the axes of x behind the first count as one."""
    if flatten and x.dim() != 2:
        x = x.reshape(x.shape[0], -1)
    work = x.numel() * weight.shape[0]
    if x.dtype is torch.float32 and work >= LINEAR_WORK and linear_pays():
        rows = x if x.dim() == 2 else x.reshape(-1, x.shape[-1])
        rows = rows.contiguous()
        if not torch.is_grad_enabled():
            output = _onednn_linear(rows, weight, bias, activation)
        else:
            output = _Linear.apply(rows, weight, bias, activation)
        return output if x.dim() == 2 else output.reshape(*x.shape[:-1], -1)
    output = functional.linear(x, weight, bias)
    return output if activation == "none" else ACTIVATIONS[activation](output)


# -- convolutions -------------------------------------------------------------------------------------------------


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any, weight: Any, bias: Any, geometry: tuple, activation: str) -> torch.Tensor:
        stride, pad, dilate, groups = geometry
        output = torch.ops.mkldnn._convolution_pointwise(
            x, weight, bias, pad, stride, dilate, groups, activation, [], ""
        )
        ctx.save_for_backward(x, weight, output)
        ctx.geometry, ctx.activation, ctx.has_bias = geometry, activation, bias is not None
        return output

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple:  # type: ignore[override]
        x, weight, output = ctx.saved_tensors
        stride, pad, dilate, groups = ctx.geometry
        gradient = _DERIVATIVES[ctx.activation](gradient, output)
        gradients = torch.ops.aten.convolution_backward(
            gradient, x, weight, [weight.shape[0]] if ctx.has_bias else None, stride, pad, dilate, False, [0, 0], groups,
            list(ctx.needs_input_grad[:3]),
        )  # fmt: skip
        return (*gradients, None, None)


def convolution(
    x: torch.Tensor, weight: torch.Tensor, bias: Any, geometry: tuple, activation: str = "none"
) -> torch.Tensor:
    """Two-dimensional convolution in channels-last memory, with an activation; geometry is (stride, pad, dilate, groups)."""
    stride, pad, dilate, groups = geometry
    x = channels_last(x)
    if activation == "none":
        return functional.conv2d(x, weight, bias, stride, pad, dilate, groups)
    if x.dtype is not torch.float32:
        return ACTIVATIONS[activation](functional.conv2d(x, weight, bias, stride, pad, dilate, groups))
    return _Convolution.apply(x, weight, bias, geometry, activation)
