"""Fourier transforms and count sketches, which the original has on gpus alone."""

import torch

from mxcompat.base import MXNetError
from mxcompat.ops.dtypes import floating
from mxcompat.ops.registry import register
from mxcompat.ops.schema import Int, NoEffect, Params
from mxcompat.ops.shape import forward_rule


def _check_axes(data: tuple) -> None:
    if len(data) not in (2, 4):
        raise MXNetError(f"data has shape {data}, expected two or four axes")


def _fft_shape(params: Params, data: tuple) -> tuple:
    _check_axes(data)
    return (*data[:-1], data[-1] * 2)


def _wide(data: torch.Tensor) -> torch.Tensor:
    return data if data.dtype is torch.float64 else data.to(torch.float32)


@register("_contrib_fft", infer_shape=forward_rule(_fft_shape), infer_type=floating())
def fft(data, *, compute_size: NoEffect(Int) = 128):
    """The discrete Fourier transform along the last axis: (…, d) -> (…, 2 d), real and imaginary parts in turn."""
    return torch.view_as_real(torch.fft.fft(_wide(data))).flatten(-2).to(data.dtype)


def _ifft_shape(params: Params, data: tuple) -> tuple:
    _check_axes(data)
    if data[-1] % 2:
        raise MXNetError(f"data has shape {data}, expected pairs of real and imaginary parts along the last axis")
    return (*data[:-1], data[-1] // 2)


@register("_contrib_ifft", infer_shape=forward_rule(_ifft_shape), infer_type=floating())
def ifft(data, *, compute_size: NoEffect(Int) = 128):
    """d times the real part of the inverse of ``fft``: (…, 2 d) -> (…, d). Compat: it is not divided by d."""
    pairs = torch.view_as_complex(_wide(data).unflatten(-1, (-1, 2)).contiguous())
    return torch.fft.ifft(pairs, norm="forward").real.to(data.dtype).contiguous()


def _sketch_shape(params: Params, data: tuple, h: tuple, s: tuple) -> tuple:
    _check_axes(data)
    if params.out_dim < 1:
        raise MXNetError(f"out_dim={params.out_dim}: expected a positive number")
    for name, shape in (("h", h), ("s", s)):
        if shape not in ((data[-1],), (1, data[-1])):
            raise MXNetError(f"{name} has shape {shape}, expected (1, {data[-1]})")
    return (*data[:-1], params.out_dim)


def _check_places(params: Params, data: torch.Tensor, h: torch.Tensor, s: torch.Tensor) -> None:
    places = h.detach().to(torch.int64)
    if bool(((places < 0) | (places >= params.out_dim)).any()):
        raise MXNetError(f"h: expected numbers in [0, out_dim={params.out_dim})")


@register("_contrib_count_sketch", infer_shape=forward_rule(_sketch_shape), infer_type=floating(), check=_check_places)
def count_sketch(data, h, s, *, out_dim: Int, processing_batch_size: NoEffect(Int) = 32):
    """Sums of signed entries: out[…, h[i]] += s[i] * data[…, i].

    data (…, d), h (1, d) with places in [0, out_dim), s (1, d) with signs -> (…, out_dim). Only data has a gradient.
    """
    places = h.detach().reshape(-1).to(torch.int64)
    result = data.new_zeros((*data.shape[:-1], out_dim))
    return result.index_add(data.ndim - 1, places, data * s.detach().reshape(-1))
