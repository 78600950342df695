"""Functions of ``mx.nd.contrib`` around the update operators of AdamW and LAMB: weights, gradients and states by list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from mxcompat.ndarray.dispatch import invoke
from mxcompat.ndarray.ndarray import NDArray, _wrap
from mxcompat.ops import registry

__all__ = ["adamw_update", "mp_adamw_update", "multi_adamw_update", "multi_lamb_update"]
__all__ += ["multi_mp_adamw_update", "multi_mp_lamb_update"]


def _scale(rescale_grad: Any, like: NDArray) -> NDArray:
    """The factor of the gradients as an array of float32."""
    if isinstance(rescale_grad, NDArray):
        return rescale_grad.astype("float32")
    return _wrap(torch.full((1,), float(rescale_grad), dtype=torch.float32, device=like._data.device), like.context)


def _by_weight(*columns: Sequence[NDArray]) -> list[NDArray]:
    """The arrays of the first weight, those of the second, and so on."""
    return [array for group in zip(*columns) for array in group]


def adamw_update(
    weight: NDArray, grad: NDArray, mean: NDArray, var: NDArray, rescale_grad: Any, lr: float, eta: float,
    beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8, wd: float = 0, clip_gradient: float = -1,
    out: Any = None, name: str | None = None, **kwargs: Any,
) -> Any:  # fmt: skip
    """``weight - eta * (lr * mean / (sqrt(var) + epsilon) + wd * weight)`` with the moments of ``rescale_grad * grad``.

    ``rescale_grad`` is a number or an array of one; nothing changes where it is infinite, no number, or 0.
    """
    params = {"lr": lr, "eta": eta, "beta1": beta1, "beta2": beta2, "epsilon": epsilon, "wd": wd}
    params.update(clip_gradient=clip_gradient, **kwargs)
    inputs = [weight, grad, mean, var, _scale(rescale_grad, weight)]
    return invoke(registry.get("_adamw_update"), inputs, params, out)


def mp_adamw_update(
    weight: NDArray, grad: NDArray, mean: NDArray, var: NDArray, weight32: NDArray, rescale_grad: Any, lr: float,
    eta: float, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8, wd: float = 0,
    clip_gradient: float = -1, out: Any = None, name: str | None = None, **kwargs: Any,
) -> Any:  # fmt: skip
    """``adamw_update`` of the float32 copy ``weight32``; the result has the type of ``weight``."""
    params = {"lr": lr, "eta": eta, "beta1": beta1, "beta2": beta2, "epsilon": epsilon, "wd": wd}
    params.update(clip_gradient=clip_gradient, **kwargs)
    inputs = [weight, grad, mean, var, weight32, _scale(rescale_grad, weight)]
    return invoke(registry.get("_mp_adamw_update"), inputs, params, out)


def multi_adamw_update(
    weights: Sequence[NDArray], grads: Sequence[NDArray], mean: Sequence[NDArray], var: Sequence[NDArray],
    rescale_grad: Any, lrs: Sequence[float], wds: Sequence[float], etas: Sequence[float], out: Any = None,
    name: str | None = None, size: int = 0, **kwargs: Any,
) -> Any:  # fmt: skip
    """``adamw_update`` of many weights at once."""
    inputs = [*_by_weight(weights, grads, mean, var), _scale(rescale_grad, weights[0])]
    params = {"num_weights": size or len(weights), "lrs": lrs, "wds": wds, "etas": etas, **kwargs}
    return invoke(registry.get("_multi_adamw_update"), inputs, params, out)


def multi_mp_adamw_update(
    weights: Sequence[NDArray], grads: Sequence[NDArray], mean: Sequence[NDArray], var: Sequence[NDArray],
    weights32: Sequence[NDArray], rescale_grad: Any, lrs: Sequence[float], wds: Sequence[float], etas: Sequence[float],
    out: Any = None, name: str | None = None, size: int = 0, **kwargs: Any,
) -> Any:  # fmt: skip
    """``mp_adamw_update`` of many weights at once."""
    inputs = [*_by_weight(weights, grads, mean, var, weights32), _scale(rescale_grad, weights[0])]
    params = {"num_weights": size or len(weights), "lrs": lrs, "wds": wds, "etas": etas, **kwargs}
    return invoke(registry.get("_multi_mp_adamw_update"), inputs, params, out)


def multi_lamb_update(
    weights: Sequence[NDArray], grads: Sequence[NDArray], mean: Sequence[NDArray], var: Sequence[NDArray],
    step_count: Sequence[int], lrs: Sequence[float], wds: Sequence[float], out: Any = None, num_tensors: int = 0,
    **kwargs: Any,
) -> Any:  # fmt: skip
    """The LAMB update of many weights, each at the update that ``step_count`` says."""
    inputs = _by_weight(weights, grads, mean, var)
    params = {"num_tensors": num_tensors or len(weights), "step_count": step_count, "learning_rates": lrs, "wds": wds}
    return invoke(registry.get("_multi_lamb_update"), inputs, {**params, **kwargs}, out)


def multi_mp_lamb_update(
    weights: Sequence[NDArray], grads: Sequence[NDArray], mean: Sequence[NDArray], var: Sequence[NDArray],
    weights32: Sequence[NDArray], step_count: Sequence[int], lrs: Sequence[float], wds: Sequence[float], out: Any = None,
    num_tensors: int = 0, **kwargs: Any,
) -> Any:  # fmt: skip
    """``multi_lamb_update`` of float32 copies; the results have the types of ``weights``."""
    inputs = _by_weight(weights, grads, mean, var, weights32)
    params = {"num_tensors": num_tensors or len(weights), "step_count": step_count, "learning_rates": lrs, "wds": wds}
    return invoke(registry.get("_multi_mp_lamb_update"), inputs, {**params, **kwargs}, out)
