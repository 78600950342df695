"""The range of numbers whose quantized distribution tells the most about the original one."""

import numpy as np
import torch

from mxcompat.base import MXNetError
from mxcompat.ops.quantize import assign_types
from mxcompat.ops.registry import register
from mxcompat.ops.schema import Int, Params


def _total(numbers) -> np.float32:
    """The sum in single precision, from left to right."""
    return np.cumsum(numbers, dtype=np.float32)[-1]


def smoothed(counts, eps: float = 0.0001):
    """The distribution with a little of every bin moved into the empty ones; None where it is too thin for that."""
    empty = counts == 0
    zeros = int(empty.sum())
    if zeros == counts.size:
        return None
    taken = np.float32(eps) * np.float32(zeros) / np.float32(counts.size - zeros)
    if taken >= 1:
        return None
    return np.where(empty, counts + np.float32(eps), counts - taken).astype(np.float32)


def _merged(counts, kept, bins: int):
    """The counts as ``bins`` wider bins, spread evenly over what is not empty: what is left of them in 8 bits."""
    width = counts.size // bins
    starts = np.arange(bins) * width
    sums = np.add.reduceat(counts, starts)
    filled = np.add.reduceat((counts != 0).astype(np.int64), starts)
    share = sums.astype(np.float32) / np.maximum(filled, 1).astype(np.float32)
    widths = np.diff(np.append(starts, counts.size))
    return np.where((kept != 0) & np.repeat(filled != 0, widths), np.repeat(share, widths), 0).astype(np.float32)


def _divergence(counts, reach: int, bins: int) -> np.float32:
    """How much is lost by cutting the histogram off ``reach`` bins from its middle, and merging the rest."""
    middle = counts.size // 2
    start, stop = middle - reach, middle + reach + 1
    kept = counts[start:stop].copy()
    kept[0] = _total(counts[: start + 1])
    kept[-1] = _total(counts[stop - 1 :])
    inner = counts[start:stop].astype(np.int64)
    inner[0] = 0
    p, q = smoothed(kept), smoothed(_merged(inner, kept, bins))
    if q is None:
        return np.float32(np.inf)
    if p is None or (p <= 0).any() or (q <= 0).any():
        raise MXNetError(f"_contrib_calibrate_entropy: no distribution is left {reach} bins from the middle")
    p, q = p / _total(p), q / _total(q)
    return _total(p * np.log(p / q))


def _best(counts, edges, bins: int) -> tuple:
    lowest, found = np.finfo(np.float32).max, edges[counts.size // 2 + bins // 2 + 1]
    for reach in range(bins // 2, counts.size // 2 + 1):
        divergence = _divergence(counts, reach, bins)
        if divergence < lowest:
            lowest, found = divergence, edges[counts.size // 2 + reach + 1]
    return found, lowest


@torch.library.custom_op("mxcompat::best_threshold", mutates_args=())
def best_threshold(hist: torch.Tensor, edges: torch.Tensor, bins: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The threshold of least divergence, and that divergence; each of shape (1,)."""
    found = _best(hist.detach().cpu().numpy().reshape(-1), edges.detach().cpu().numpy().reshape(-1), bins)
    threshold, divergence = (hist.new_tensor([float(value)]) for value in found)
    return threshold, divergence


@best_threshold.register_fake
def _best_threshold_shape(hist, edges, bins):
    return hist.new_empty((1,)), hist.new_empty((1,))


def _entropy_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    hist, edges = ins
    if hist is not None and edges is not None and -1 not in (*hist, *edges):
        count, ends, bins = int(np.prod(hist)), int(np.prod(edges)), params.num_quantized_bins
        if ends != count + 1:
            raise MXNetError(f"hist_edges has {ends} entries, expected {count + 1}, one more than hist")
        # Compat: for what follows the original reads other memory, or runs out of it.
        if count % 2 == 0:
            raise MXNetError(f"hist has {count} bins, expected an odd number")
        if bins > count:
            raise MXNetError(f"num_quantized_bins={bins}: expected at most the {count} bins of hist")
    return ins, [(1,), (1,)]


def _entropy_type(params: Params, ins: list, outs: list) -> tuple[list, list]:
    return assign_types(("hist", "hist_edges"), ins, (torch.float32,) * 2), [torch.float32] * 2


@register(
    "_contrib_calibrate_entropy",
    infer_shape=_entropy_shape,
    infer_type=_entropy_type,
    outputs=2,
    output_names=("threshold", "divergence"),
    no_gradient=True,
)
def calibrate_entropy(hist, hist_edges, *, num_quantized_bins: Int(min=1) = 255):
    """Where to cut off a histogram around zero so that its integers keep most: threshold (1,) and divergence (1,).

    hist (B,) counts numbers in B bins (B odd) between the edges (B + 1,). Of all symmetric ranges of at least
    ``num_quantized_bins`` bins the one is taken whose histogram has the least Kullback-Leibler divergence from itself in
    that many bins. It has no gradient.
    """
    return best_threshold(hist, hist_edges, num_quantized_bins)
