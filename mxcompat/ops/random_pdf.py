"""Densities of the distributions that ``ops/random.py`` draws from, differentiable in samples and parameters.

The parameters have the leading axes of the samples: one distribution for each of their entries. Samples of discrete
distributions get a zero gradient, and no sample is checked to lie in the support.
"""

import inspect
from collections.abc import Callable

import torch

from mxcompat.base import MXNetError
from mxcompat.ops.dtypes import NAME_BY_TORCH
from mxcompat.ops.elemwise import define
from mxcompat.ops.registry import register
from mxcompat.ops.schema import Bool, Params
from mxcompat.ops.shape import merge


def _uniform(x, low, high):
    return torch.zeros_like(x) - torch.log(high - low)


def _normal(x, mu, sigma):
    distance = (x - mu) / sigma
    return -0.5 * distance * distance - torch.log(sigma) - 0.9189385332046727  # log(sqrt(2 pi))


def _gamma(x, alpha, beta):
    return alpha * torch.log(beta) + (alpha - 1) * torch.log(x) - beta * x - torch.lgamma(alpha)


def _exponential(x, lam):
    return torch.log(lam) - lam * x


def _poisson(x, lam):
    return x * torch.log(lam) - torch.lgamma(x + 1) - lam


def _negative_binomial(x, k, p):
    ways = torch.lgamma(x + k) - torch.lgamma(x + 1) - torch.lgamma(k)
    return ways + k * torch.log(p) + x * torch.log(1 - p)


def _generalized_negative_binomial(x, mu, alpha):
    return _negative_binomial(x, 1 / alpha, 1 / (mu * alpha + 1))


def _dirichlet(x, alpha):
    powers = ((alpha - 1) * torch.log(x)).sum(-1)
    return powers + torch.lgamma(alpha.sum(-1)) - torch.lgamma(alpha).sum(-1)


#: name -> (parameters, logarithm of the density, text, True where samples are discrete)
_TABLE: dict[str, tuple[tuple[str, ...], Callable, str, bool]] = {
    "uniform": (("low", "high"), _uniform, "Density 1 / (high - low) of the uniform distribution.", True),
    "normal": (("mu", "sigma"), _normal, "Density of the normal distribution.", False),
    "gamma": (("alpha", "beta"), _gamma, "Density of the gamma distribution; here beta is the rate.", False),
    "exponential": (("lam",), _exponential, "Density of the exponential distribution with rate lam.", False),
    "poisson": (("lam",), _poisson, "Probability in the Poisson distribution with mean lam.", True),
    "negative_binomial": (
        ("k", "p"),
        _negative_binomial,
        "Probability of that many failures before k successes.",
        True,
    ),
    "generalized_negative_binomial": (
        ("mu", "alpha"),
        _generalized_negative_binomial,
        "Probability in the negative binomial distribution by mean mu and dispersion alpha.",
        True,
    ),
}


def _common(params: list, expected: tuple | None) -> tuple | None:
    for i, shape in enumerate(params):
        expected = merge(expected, shape, f"parameter {i}")
    return expected


def _density_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    common = _common(ins[1:], None)
    sample = merge(ins[0], outs[0], "output")
    if common is None or sample is None:
        return [sample, *[common] * (len(ins) - 1)], [sample]
    if len(common) > len(sample):
        raise MXNetError(f"sample {sample} has fewer axes than the distribution parameters {common}")
    common = _common([common], sample[: len(common)])
    sample = merge(sample, (*common, *sample[len(common) :]), "sample")
    return [sample, *[common] * (len(ins) - 1)], [sample]


def _floating(sample: torch.Tensor) -> torch.Tensor:
    if not sample.is_floating_point():
        raise MXNetError(f"expected a floating type, got {NAME_BY_TORCH[sample.dtype]}")
    return sample


def _make(name: str, parameters: tuple[str, ...], density: Callable, text: str, discrete: bool) -> None:
    def operator(sample, *distributions, is_log=False):
        x = _floating(sample).detach() if discrete else _floating(sample)
        logarithm = density(x, *[p.reshape(*p.shape, *[1] * (x.ndim - p.ndim)) for p in distributions])
        return logarithm if is_log else torch.exp(logarithm)

    either = inspect.Parameter.POSITIONAL_OR_KEYWORD
    flag = inspect.Parameter("is_log", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Bool)
    operator.__signature__ = inspect.Signature([inspect.Parameter(x, either) for x in ("sample", *parameters)] + [flag])
    doc = f"{text}\n\nsample (..., *rest), parameters (...) -> (..., *rest); ``is_log`` gives the logarithm."
    register(f"_random_pdf_{name}", (f"random_pdf_{name}",), infer_shape=_density_shape)(
        define(operator, f"random_pdf_{name}", doc)
    )


for _name, _row in _TABLE.items():
    _make(_name, *_row)


def _dirichlet_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    sample, alpha = ins
    if sample is None or alpha is None:
        return ins, outs
    if not 1 <= len(alpha) <= len(sample):
        raise MXNetError(f"sample {sample} has fewer axes than the distribution parameters {alpha}")
    alpha = merge((*sample[: len(alpha) - 1], sample[-1]), alpha, "alpha")
    return [sample, alpha], [merge(sample[:-1] or (1,), outs[0], "output")]


@register("_random_pdf_dirichlet", ("random_pdf_dirichlet",), infer_shape=_dirichlet_shape)
def random_pdf_dirichlet(sample, alpha, *, is_log: Bool = False):
    """Density of the Dirichlet distribution.

    sample (..., *rest, K), alpha (..., K) -> (..., *rest), or (1,) for a single sample; ``is_log`` gives the logarithm.
    """
    between = [1] * (sample.ndim - alpha.ndim)
    logarithm = _dirichlet(_floating(sample), alpha.reshape(*alpha.shape[:-1], *between, alpha.shape[-1]))
    logarithm = logarithm.reshape(tuple(sample.shape[:-1]) or (1,))
    return logarithm if is_log else torch.exp(logarithm)
