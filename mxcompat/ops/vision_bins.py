"""Averages over bins of feature maps: each bin is a weighted sum of a few pixels, wherever they lie.

Maps are tables with one pixel a row. What a bin does not touch does not enter its sum, so that an infinite pixel stays
where it is.
"""

import torch
from torch.nn import functional

ENTRIES_AT_ONCE = 2**22  # of pixels in bins


def pixel_rows(data: torch.Tensor) -> torch.Tensor:
    """(N, C, …, H, W) as a table (N * … * H * W, C)."""
    return data.movedim(1, -1).reshape(-1, data.shape[1])


def weighted_sums(rows: torch.Tensor, index: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Sums of rows: index and weights (bins, entries) -> (bins, C)."""
    return functional.embedding_bag(index, rows, mode="sum", per_sample_weights=weights)


def bilinear_corners(y, x, size: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """The four pixels around each point, as rows of a table of one map, and their weights, (…, 4).

    Points outside of [-1, size] have weights 0; those between the border and the outermost pixels take the pixel.
    """
    shares, lines = [], []
    inside = torch.ones((), dtype=torch.bool, device=y.device)
    for place, length in zip((y, x), size):
        inside = inside & (place >= -1) & (place <= length)
        place = place.clamp(0, length - 1)
        low = torch.floor(place)
        upper = place - low
        first = low.to(torch.int64)
        lines.append((first, (first + 1).clamp(max=length - 1)))
        shares.append((1 - upper, upper))
    pairs = [(i, j) for i in (0, 1) for j in (0, 1)]
    index = torch.stack([lines[0][i] * size[1] + lines[1][j] for i, j in pairs], -1)
    weights = torch.stack([shares[0][i] * shares[1][j] for i, j in pairs], -1)
    return index, torch.where(inside[..., None], weights, 0)


# -- bins with different numbers of samples ---------------------------------------------------------------------------


def sampled_bins(starts, steps, per_bin, bounds, base) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """base, counts and the first five columns of the geometry of ``bin_sums`` for the bins of regions.

    starts, steps, per_bin (regions, 2): along (down, across), where the first bin begins, how long bins are, how many
    samples each has; bounds (regions or 1, 2, 2): between which coordinates samples can lie in the map, so that no others
    are made; base (regions, P, Q).
    """
    counts, columns = [], []
    for axis in (0, 1):
        length = base.shape[1 + axis]
        shape = (-1, length, 1) if axis == 0 else (-1, 1, length)
        step, count, low, high = (t[:, axis, None] for t in (steps, per_bin, bounds[..., 0], bounds[..., 1]))
        gap = step / count
        numbers = torch.arange(length, dtype=gap.dtype, device=gap.device)
        first = starts[:, axis, None] + numbers * step + gap / 2
        before = torch.nan_to_num(torch.floor((low - first) / gap).clamp(min=0), nan=0)
        behind = torch.nan_to_num(torch.minimum(torch.ceil((high - first) / gap) + 1, count), nan=0)
        counts.append((behind - before).clamp(min=0).to(torch.int64).view(shape).expand(base.shape))
        columns.append([t.view(shape).expand(base.shape) for t in (first + before * gap, gap.expand_as(first))])
    weight = (1 / per_bin.prod(1))[:, None, None].expand(base.shape)
    (y, down), (x, across) = columns
    geometry = torch.stack([t.reshape(-1) for t in (y, x, down, across, weight)], 1)
    return base.reshape(-1), torch.stack([t.reshape(-1) for t in counts], 1), geometry


def _entries(base, counts, geometry, size: list[int], smooth: bool):
    """(bin, row, weight) of every entry of these bins; see ``bin_sums``."""
    sizes = counts.prod(1)
    bins = torch.repeat_interleave(torch.arange(len(base), device=base.device), sizes)
    number = torch.arange(len(bins), device=base.device) - (sizes.cumsum(0) - sizes)[bins]
    across = counts[bins, 1]
    own = geometry[bins]
    y = own[:, 0] + torch.div(number, across, rounding_mode="floor") * own[:, 2]
    x = own[:, 1] + torch.remainder(number, across) * own[:, 3]
    weights = own[:, 4]
    if not smooth:
        return bins, base[bins] + y.to(torch.int64) * size[1] + x.to(torch.int64), weights
    if geometry.shape[1] > 5:
        cosine, sine = own[:, 5], own[:, 6]
        y, x = y * cosine - x * sine + own[:, 7], x * cosine + y * sine + own[:, 8]
    inside = (y >= -1) & (y <= size[0]) & (x >= -1) & (x <= size[1])
    bins, y, x, weights = bins[inside], y[inside], x[inside], weights[inside]
    index, shares = bilinear_corners(y, x, (size[0], size[1]))
    bins = bins[:, None].expand(-1, 4)
    return bins.reshape(-1), (base[bins] + index).reshape(-1), (shares * weights[:, None]).reshape(-1)


def _parts(counts: torch.Tensor) -> list[slice]:
    """Runs of bins that together have a bounded number of entries."""
    total = counts.prod(1).cumsum(0)
    if len(total) == 0 or int(total[-1]) <= ENTRIES_AT_ONCE:
        return [slice(0, len(total))] if len(total) else []
    _, lengths = torch.unique_consecutive(torch.div(total, ENTRIES_AT_ONCE, rounding_mode="floor"), return_counts=True)
    ends = lengths.cumsum(0).tolist()
    return [slice(start, end) for start, end in zip([0, *ends], ends)]


def _starts(index: torch.Tensor, count: int) -> torch.Tensor:
    """Where each of ``count`` values begins in a sorted index."""
    return torch.searchsorted(index, torch.arange(count, device=index.device))


def bin_sums(rows, base, counts, geometry, size: tuple[int, int], smooth: bool) -> torch.Tensor:
    """The sum of the weighted samples of every bin, (bins, C), for bins with different numbers of samples.

    base (bins,): where the bin's map begins in ``rows``, counts (bins, 2): samples down and across, geometry (bins, 5): the
    first sample (y, x), their distances and the weight of each, (bins, 9) where they are turned after that: cosine and
    sine of the angle, and the centre (y, x); size: (H, W) of each map. Samples are interpolated bilinearly and are 0
    outside of [-1, size], or, not ``smooth``, they are pixels of the map. A bin without samples gives 0.
    """
    compute = opaque_sums if torch.compiler.is_compiling() else _sums
    return compute(rows, base, counts, geometry, list(size), smooth)


def _sums(rows, base, counts, geometry, size: list[int], smooth: bool) -> torch.Tensor:
    results = []
    for part in _parts(counts):
        bins, index, weights = _entries(base[part], counts[part], geometry[part], size, smooth)
        starts = _starts(bins, part.stop - part.start)
        results.append(functional.embedding_bag(index, rows, starts, mode="sum", per_sample_weights=weights))
    if len(results) == 1:
        return results[0]
    return torch.cat(results) if results else rows.new_zeros((0, rows.shape[1]))


@torch.library.custom_op("mxcompat::bin_sums", mutates_args=())
def opaque_sums(
    rows: torch.Tensor, base: torch.Tensor, counts: torch.Tensor, geometry: torch.Tensor, size: list[int], smooth: bool
) -> torch.Tensor:
    """``bin_sums`` as one step of a compiled graph: how many entries there are depends on values."""
    return _sums(rows, base, counts, geometry, size, smooth)


@opaque_sums.register_fake
def _sums_shape(rows, base, counts, geometry, size, smooth):
    return rows.new_empty((base.shape[0], rows.shape[1]))


@torch.library.custom_op("mxcompat::bin_sums_backward", mutates_args=())
def sums_backward(
    gradient: torch.Tensor, base: torch.Tensor, counts: torch.Tensor, geometry: torch.Tensor, size: list[int],
    smooth: bool, row_count: int,
) -> torch.Tensor:  # fmt: skip
    """The gradient of the rows of ``bin_sums``."""
    result = gradient.new_zeros((row_count, gradient.shape[1]))
    for part in _parts(counts):
        bins, index, weights = _entries(base[part], counts[part], geometry[part], size, smooth)
        order = torch.argsort(index, stable=True)
        starts = _starts(index[order], row_count)
        heads = gradient[part].contiguous()
        result += functional.embedding_bag(bins[order], heads, starts, mode="sum", per_sample_weights=weights[order])
    return result


@sums_backward.register_fake
def _backward_shape(gradient, base, counts, geometry, size, smooth, row_count):
    return gradient.new_empty((row_count, gradient.shape[1]))


def _save(ctx, inputs, output) -> None:
    rows, base, counts, geometry, ctx.size, ctx.smooth = inputs
    ctx.row_count = rows.shape[0]
    ctx.save_for_backward(base, counts, geometry)


def _differentiate(ctx, gradient):
    rows = sums_backward(gradient, *ctx.saved_tensors, ctx.size, ctx.smooth, ctx.row_count)
    return rows, None, None, None, None, None


opaque_sums.register_autograd(_differentiate, setup_context=_save)
