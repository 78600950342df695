"""Whether random draws have the distribution they should have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

__all__ = ["chi_square_check", "gen_buckets_probs_with_ppf", "mean_check", "var_check", "verify_generator"]


def gen_buckets_probs_with_ppf(ppf: Callable, nbuckets: int) -> tuple[list[tuple], list[float]]:
    """``nbuckets`` intervals of equal probability, from the inverse of a distribution function; and the probabilities."""
    if nbuckets <= 0:
        raise AssertionError(f"nbuckets must be positive, found {nbuckets}")
    edges = [ppf(place / nbuckets) for place in range(nbuckets + 1)]
    return list(zip(edges[:-1], edges[1:])), [1.0 / nbuckets] * nbuckets


def mean_check(generator: Callable, mu: float, sigma: float, nsamples: int = 1000000) -> bool:
    """Whether the mean of ``generator(nsamples)`` is within three standard errors of ``mu``."""
    mean = np.array(generator(nsamples)).mean()
    return bool(abs(mean - mu) < 3 * sigma / np.sqrt(nsamples))


def var_check(generator: Callable, sigma: float, nsamples: int = 1000000) -> bool:
    """Whether the variance of ``generator(nsamples)`` is within three standard errors of ``sigma ** 2`` (normal)."""
    variance = np.array(generator(nsamples)).var(ddof=1)
    return bool(abs(variance - sigma**2) < 3 * np.sqrt(2 * sigma**4 / (nsamples - 1)))


def chi_square_check(
    generator: Callable, buckets: list, probs: Sequence[float], nsamples: int = 1000000
) -> tuple[float, np.ndarray, np.ndarray]:
    """Pearson's chi-square test of ``generator(nsamples)``.

    ``buckets`` are intervals (low, high) in ascending order, or the values of a discrete distribution, with the
    probability of each in ``probs``. Returns the p value, the observed and the expected counts.
    """
    if not isinstance(buckets, list) or len(probs) != len(buckets):
        raise AssertionError("chi_square_check: expected a list of buckets and as many probabilities")
    samples = np.asarray(generator(nsamples))
    if isinstance(buckets[0], (list, tuple)):
        edges = np.array(buckets, dtype=np.float32).ravel()
        if (np.diff(edges) < 0).any():
            raise AssertionError("chi_square_check: buckets must ascend and not overlap")
        numbers = np.searchsorted(edges, samples, side="right") // 2
        observed = np.array([(numbers == place).sum() for place in range(len(buckets))])
    else:
        observed = np.array([(samples == value).sum() for value in buckets])
    expected = (nsamples * np.array(probs, dtype=np.float32)).astype(np.int32)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = ((observed - expected) ** 2 / expected).sum()
    half = torch.tensor([(len(buckets) - 1) / 2, statistic / 2], dtype=torch.float64)
    return float(torch.special.gammaincc(half[0], half[1])), observed, expected


def verify_generator(
    generator: Callable,
    buckets: list,
    probs: Sequence[float],
    nsamples: int = 1000000,
    nrepeat: int = 5,
    success_rate: float = 0.2,
    alpha: float = 0.05,
) -> list[float]:
    """``AssertionError`` unless ``chi_square_check`` gives a p value above ``alpha`` often enough.

    ``success_rate`` is the share of the ``nrepeat`` checks that have to succeed. Returns their p values.
    """
    checks: list[Any] = [chi_square_check(generator, buckets, probs, nsamples) for _ in range(nrepeat)]
    p_values = [p for p, _, _ in checks]
    if sum(p > alpha for p in p_values) < nrepeat * success_rate:
        observed, expected = [list(o) for _, o, _ in checks], [list(e) for _, _, e in checks]
        raise AssertionError(
            f"Generator test fails, Chi-square p={p_values}, obs_freq={observed}, expected_freq={expected}."
            f"\nbuckets={buckets}, probs={probs}"
        )
    return p_values
