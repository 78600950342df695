"""Pooling of regions of interest.

A region is a row (batch index, x1, y1, x2, y2) in pixels of the image; ``spatial_scale`` turns pixels of the image into
pixels of the feature map.
"""

import torch

from mxcompat.base import MXNetError
from mxcompat.ops.dtypes import floating, same_type
from mxcompat.ops.registry import register
from mxcompat.ops.schema import Bool, Float, Int, Params, Shape
from mxcompat.ops.shape import forward_rule, is_known, merge
from mxcompat.ops.vision_bins import bilinear_corners, bin_sums, pixel_rows, sampled_bins, weighted_sums

POOLED_SIZE = Shape(ndims=(2,), min=1)
SCALE = Float(min=0.0, max=1.0)
TABLE_ENTRIES = 2**23  # of the range maxima that are held at once


def _check_regions(data: tuple, rois: tuple) -> None:
    if len(data) != 4:
        raise MXNetError(f"data has shape {data}, expected (N, C, H, W)")
    if len(rois) != 2 or rois[1] not in (5, -1):
        raise MXNetError(f"rois has shape {rois}, expected (number of regions, 5)")


def _scaled(coordinates: torch.Tensor, spatial_scale: float) -> torch.Tensor:
    """The product as the original computes it: the scale has single precision."""
    wide = _wide(coordinates)
    scale = torch.tensor(spatial_scale, dtype=torch.float32, device=wide.device)
    return (wide * scale.to(wide.dtype)).to(coordinates.dtype)


def _wide(data: torch.Tensor) -> torch.Tensor:
    """At least single precision."""
    return data if data.dtype is torch.float64 else data.to(torch.float32)


def _rounded(data: torch.Tensor) -> torch.Tensor:
    """To the nearest whole number, halves away from zero."""
    wide = data.to(torch.float64)
    return torch.copysign(torch.floor(torch.abs(wide) + 0.5), wide).to(data.dtype)


def _ranges(start: torch.Tensor, end: torch.Tensor, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """First and behind-the-last whole positions between the bounds, cut to the map."""
    first = torch.floor(start).to(torch.int64).clamp(0, size)
    return first, torch.ceil(end).to(torch.int64).clamp(0, size)


# -- maxima -----------------------------------------------------------------------------------------------------------


def _better(values, places, other_values, other_places):
    """The larger values and where they were; of equal ones that with the lower place."""
    take = (other_values > values) | ((other_values == values) & (other_places < places))
    return torch.where(take, other_values, values), torch.where(take, other_places, places)


def _doublings(values, places, axis: int) -> list:
    """Maxima over 1, 2, 4, … positions of an axis that begin at each position."""
    levels, step, size = [(values, places)], 1, values.shape[axis]
    while 2 * step <= size:
        behind = (torch.arange(size, device=values.device) + step).clamp(max=size - 1)
        values, places = _better(values, places, values.index_select(axis, behind), places.index_select(axis, behind))
        levels.append((values, places))
        step *= 2
    return levels


def _maxima_of_bins(data, batch, rows, columns):
    """Where the maximum of each bin lies in its plane, (regions, P, Q, C), for bins that are not empty.

    data (N, C, H, W) of one block of channels, batch (regions,), rows and columns pairs of bounds (regions, P or Q).
    Each rectangle is the union of four whose sides are powers of two, whose maxima are in a table.
    """
    count, channels, height, width = data.shape
    planes = data.permute(0, 2, 3, 1)
    places = torch.arange(height * width, device=data.device).view(height, width, 1).expand(planes.shape)
    levels = [entry for pair in _doublings(planes, places, 1) for entry in _doublings(*pair, 2)]
    values = torch.stack([entry[0] for entry in levels]).view(-1, channels)
    places = torch.stack([entry[1] for entry in levels]).view(-1, channels)

    def sides(bounds, size):
        powers = torch.tensor([max(n, 1).bit_length() - 1 for n in range(size + 1)], device=data.device)
        first, behind = bounds
        power = powers[(behind - first).clamp(1, size)]
        return power, first.clamp(max=size - 1), (behind - torch.bitwise_left_shift(torch.ones_like(power), power))

    row_power, *row_starts = sides(rows, height)
    column_power, *column_starts = sides(columns, width)
    level = row_power[:, :, None] * width.bit_length() + column_power[:, None, :]
    best = None
    for row in row_starts:
        for column in column_starts:
            place = (row.clamp(min=0) * width)[:, :, None] + column.clamp(min=0)[:, None, :]
            index = (level * count + batch[:, None, None]) * (height * width) + place
            corner = values[index], places[index]
            best = corner if best is None else _better(*best, *corner)
    return best[1]


def _roi_pooling_shape(params: Params, data: tuple, rois: tuple) -> list:
    _check_regions(data, rois)
    return [(rois[0], data[1], *params.pooled_size)] * 2


def _roi_pooling_type(params: Params, ins: list, outs: list) -> tuple[list, list]:
    ins, (dtype,) = floating(same_type)(params, ins, outs[:1])
    return ins, [dtype, torch.int64]


@register(
    "ROIPooling",
    infer_shape=forward_rule(_roi_pooling_shape),
    infer_type=_roi_pooling_type,
    outputs=2,
    visible=1,
    output_names=("output", "maxidx"),
)
def roi_pooling(data, rois, *, pooled_size: POOLED_SIZE, spatial_scale: SCALE):
    """The largest value in each of the bins into which a region is divided; 0 in an empty bin.

    data (N, C, H, W), rois (regions, 5) -> (regions, C, *pooled_size). The corners are rounded, both belong to the region,
    and neighbouring bins may share positions. The gradient goes to the first of equal maxima; regions get none.
    """
    count, channels, height, width = data.shape
    batch = rois.detach()[:, 0].to(torch.int64)
    corners = _rounded(_scaled(rois.detach()[:, 1:], spatial_scale))
    bounds = []
    for axis, (bins, size) in enumerate(((pooled_size[1], width), (pooled_size[0], height))):
        start, end = corners[:, axis, None], corners[:, axis + 2, None]
        step = (end - start + 1).clamp(min=1) / bins
        numbers = torch.arange(bins + 1, dtype=data.dtype, device=data.device)
        bounds.append(_ranges(torch.floor(numbers[:-1] * step) + start, torch.ceil(numbers[1:] * step) + start, size))
    columns, rows = bounds
    filled = (rows[1] > rows[0])[:, :, None] & (columns[1] > columns[0])[:, None, :]
    filled = filled & ((batch >= 0) & (batch < count))[:, None, None]
    batch = batch.clamp(0, count - 1)
    values = data.detach()
    values = torch.where(torch.isnan(values), -torch.inf, values)
    tables = height.bit_length() * width.bit_length() * count * height * width
    block = max(1, TABLE_ENTRIES // tables)
    parts = [_maxima_of_bins(part, batch, rows, columns) for part in values.split(block, dim=1)]
    places = torch.cat(parts, dim=3).permute(0, 3, 1, 2)
    plane = batch[:, None] * channels + torch.arange(channels, device=data.device)
    index = plane[:, :, None, None] * (height * width) + places
    filled = filled[:, None]
    return torch.where(filled, data.reshape(-1)[index], 0), torch.where(filled, index, -1)


# -- averages ---------------------------------------------------------------------------------------------------------


def batch_rows(batch: torch.Tensor, count: int, per_image: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Where the image of each region begins in a table of pixels, and whether there is such an image."""
    number = batch.detach().to(torch.int64)
    known = (number >= 0) & (number < count)
    return torch.where(known, number, 0) * per_image, known


def of_regions(sums: torch.Tensor, known: torch.Tensor, bins: tuple[int, int]) -> torch.Tensor:
    """(regions * P * Q, C) -> (regions, C, P, Q), 0 for regions of no image."""
    result = sums.view(known.shape[0], *bins, sums.shape[1]).permute(0, 3, 1, 2)
    return torch.where(known[:, None, None, None], result, 0)


def _bin_starts(start, extent, bins: int):
    """Where the bins of each region begin, (regions, bins), and how long they are, (regions, 1)."""
    step = (extent / bins)[:, None]
    return start[:, None] + torch.arange(bins, dtype=start.dtype, device=start.device) * step, step


def _even_means(rows, base, corners, extents, bins, size, samples: int):
    """Means of ``samples`` x ``samples`` bilinear samples in every bin; base (regions, P, Q)."""
    places = []
    for axis in (1, 0):
        begin, step = _bin_starts(corners[:, axis], extents[:, axis], bins[1 - axis])
        numbers = torch.arange(samples, dtype=begin.dtype, device=begin.device) + 0.5
        places.append(begin[:, :, None] + numbers * step[:, :, None] / samples)
    y, x = torch.broadcast_tensors(places[0][:, :, None, :, None], places[1][:, None, :, None, :])
    index, weights = bilinear_corners(y, x, size)
    count = base.numel()
    index = index + base[..., None, None, None]
    return weighted_sums(rows, index.reshape(count, -1), (weights / samples**2).reshape(count, -1))


def _adaptive_means(rows, base, corners, extents, bins, size):
    """Likewise with as many samples as a bin has pixels, rounded up."""
    steps = torch.stack((extents[:, 1] / bins[0], extents[:, 0] / bins[1]), 1)
    bounds = corners.new_tensor([[[-1, size[0]], [-1, size[1]]]])
    own = sampled_bins(corners[:, [1, 0]], steps, torch.ceil(steps), bounds, base)
    return bin_sums(rows, *own, size, True)


def _roi_align_shape(params: Params, data: tuple, rois: tuple) -> tuple:
    _check_regions(data, rois)
    bins = params.pooled_size[0] * params.pooled_size[1]
    if params.position_sensitive and data[1] % bins:
        raise MXNetError(f"data has {data[1]} channels, expected a multiple of {bins} with position_sensitive")
    return (rois[0], data[1] // bins if params.position_sensitive else data[1], *params.pooled_size)


def _check_extent(params: Params, data: torch.Tensor, rois: torch.Tensor) -> None:
    if params.aligned and bool((rois[:, 3:] <= rois[:, 1:3]).any()):
        raise MXNetError("rois: with aligned=True every region must have x2 > x1 and y2 > y1")


@register("_contrib_ROIAlign", infer_shape=forward_rule(_roi_align_shape), infer_type=floating(), check=_check_extent)
def roi_align(
    data, rois, *, pooled_size: POOLED_SIZE, spatial_scale: SCALE, sample_ratio: Int = -1, position_sensitive: Bool = False,
    aligned: Bool = False,
):  # fmt: skip
    """The average of bilinear samples in each of the bins into which a region is divided, nothing being rounded.

    data (N, C, H, W), rois (regions, 5) -> (regions, C, *pooled_size), or C / (P * Q) channels with
    ``position_sensitive``, where every bin reads channels of its own. ``sample_ratio`` samples a side and bin, as many as
    pixels when it is not positive. ``aligned`` shifts regions by half a pixel; otherwise they are at least one pixel
    large. A negative batch index gives 0; regions get no gradient.
    """
    count, _, height, width = data.shape
    regions = _wide(rois.detach())
    corners = _scaled(regions[:, 1:], spatial_scale) - (0.5 if aligned else 0.0)
    extents = corners[:, 2:] - corners[:, :2]
    extents = extents if aligned else extents.clamp(min=1)
    wide, size = _wide(data), (height, width)
    bins = pooled_size[0] * pooled_size[1]
    own = bins if position_sensitive else 1  # maps an image has for each channel of the output
    base, known = batch_rows(regions[:, 0], count, own * height * width)
    base = base[:, None].expand(-1, bins)
    if position_sensitive:
        wide = wide.view(count, -1, bins, height, width)
        base = base + torch.arange(bins, device=data.device) * (height * width)
    base = base.reshape(-1, *pooled_size)
    if sample_ratio > 0:
        sums = _even_means(pixel_rows(wide), base, corners, extents, pooled_size, size, sample_ratio)
    else:
        sums = _adaptive_means(pixel_rows(wide), base, corners, extents, pooled_size, size)
    return of_regions(sums, known, pooled_size).to(data.dtype).contiguous()


def _group_size(params: Params) -> int:
    return params.group_size or params.pooled_size


def _psroi_shape(params: Params, data: tuple, rois: tuple, *trans: tuple) -> tuple:
    _check_regions(data, rois)
    expected = params.output_dim * _group_size(params) ** 2
    if data[1] < expected:
        raise MXNetError(f"data has {data[1]} channels, expected output_dim * group_size ** 2 = {expected} or more")
    return (rois[0], params.output_dim, params.pooled_size, params.pooled_size)


def _windows(edges, bins: int, size: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """For every bin its first pixel and its sides, (regions * bins * bins, 2), along (y, x).

    edges (regions, 2, 2): start and end of the region, along (x, y).
    """
    start = edges[:, 0]
    step = (edges[:, 1] - start).clamp(min=0.1) / bins
    numbers = torch.arange(bins + 1, dtype=start.dtype, device=start.device)
    lines = start[:, :, None] + numbers * step[:, :, None]
    ends = torch.tensor([[size[1]], [size[0]]], dtype=start.dtype, device=start.device)
    first = torch.minimum(torch.floor(lines[:, :, :-1]).clamp(min=0), ends)
    sides = (torch.minimum(torch.ceil(lines[:, :, 1:]), ends) - first).clamp(min=0)

    def pairs(along):
        rows, columns = along[:, 1, :, None], along[:, 0, None, :]
        return torch.stack(torch.broadcast_tensors(rows, columns), -1).view(-1, 2)

    return pairs(first), pairs(sides)


def _group_of_bins(bins: int, groups: int, device: torch.device) -> torch.Tensor:
    return torch.tensor([min(i * groups // bins, groups - 1) for i in range(bins)], device=device)


@register("_contrib_PSROIPooling", infer_shape=forward_rule(_psroi_shape), infer_type=floating())
def psroi_pooling(
    data, rois, *, spatial_scale: SCALE, output_dim: Int(min=1), pooled_size: Int(min=1), group_size: Int(min=0) = 0
):
    """The average over each of the bins into which a region is divided, every group of bins reading its own channels.

    data (N, output_dim * group_size ** 2, H, W), of which surplus channels do not matter, rois (regions, 5)
    -> (regions, output_dim, pooled_size, pooled_size); ``group_size`` 0 means ``pooled_size``. Corners are rounded before
    they are scaled; an empty bin gives 0; regions get no gradient.
    """
    count, _, height, width = data.shape
    groups = group_size or pooled_size
    corners = _rounded(_wide(rois.detach()))
    one_more = torch.tensor([[0], [1]], dtype=corners.dtype, device=data.device)
    edges = _scaled(corners[:, 1:].view(-1, 2, 2) + one_more, spatial_scale)
    first, sides = _windows(edges, pooled_size, (height, width))
    chosen = _group_of_bins(pooled_size, groups, data.device)
    base, known = batch_rows(corners[:, 0], count, groups * groups * height * width)
    base = base[:, None, None] + (chosen[:, None] * groups + chosen) * (height * width)
    weights = 1 / sides.prod(1, keepdim=True).clamp(min=1)
    geometry = torch.cat((first, torch.ones_like(first), weights), 1)
    maps = _wide(data)[:, : output_dim * groups * groups].unflatten(1, (output_dim, groups * groups))
    sums = bin_sums(pixel_rows(maps), base.view(-1), sides.to(torch.int64), geometry, (height, width), False)
    return of_regions(sums, known, (pooled_size, pooled_size)).to(data.dtype).contiguous()


# -- deformable -------------------------------------------------------------------------------------------------------


def _deformable_psroi_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    if not params.no_trans and ins[2] is not None and len(ins[2]) != 4:
        raise MXNetError(f"trans has shape {ins[2]}, expected (regions, 2 * classes, part_size, part_size)")
    if not all(map(is_known, ins)):
        return ins, outs
    shape = _psroi_shape(params, *ins)
    part = params.part_size or params.pooled_size
    if not params.no_trans:
        expected = (ins[1][0], ins[2][1], part, part)
        if ins[2] != expected or ins[2][1] % 2 or params.output_dim % max(ins[2][1] // 2, 1) or not ins[2][1]:
            raise MXNetError(
                f"trans has shape {ins[2]}, expected (regions={ins[1][0]}, 2 * classes, {part}, {part}) with a number of "
                f"classes that divides output_dim={params.output_dim}"
            )
    return ins, [merge(shape, out, "output") for out in outs]


def _moved_starts(starts, extents, trans, trans_std: float, output_dim: int, pooled: int, part: int):
    """Where sampling begins, along x and y, (regions, output_dim or 1, P, P): bins moved by learned parts of the region."""
    numbers = torch.arange(pooled, dtype=starts.dtype, device=starts.device)
    steps = extents / pooled
    begin_x = (starts[:, 0, None] + numbers * steps[:, 0, None])[:, None, None, :]
    begin_y = (starts[:, 1, None] + numbers * steps[:, 1, None])[:, None, :, None]
    if trans is None:
        return begin_x, begin_y
    regions, doubled = trans.shape[:2]
    parts = torch.floor(numbers / pooled * part).to(torch.int64)
    moved = _scaled(trans, trans_std).view(regions, doubled // 2, 2, part, part)
    moved = moved.index_select(3, parts).index_select(4, parts)
    moved = moved.repeat_interleave(output_dim // (doubled // 2), dim=1)
    extent = extents[:, :, None, None, None]
    return begin_x + moved[:, :, 0] * extent[:, 0], begin_y + moved[:, :, 1] * extent[:, 1]


def _interpolated(data, planes, x, y):
    """data (N, C, H, W) at the points (x, y) inside of the planes (numbers n * C + c), bilinearly."""
    height, width = data.shape[2:]
    left, top = torch.floor(x), torch.floor(y)
    share_x, share_y = x - left, y - top
    flat = data.reshape(-1)
    total = 0
    for row, row_share in ((top, 1 - share_y), (torch.ceil(y), share_y)):
        for column, column_share in ((left, 1 - share_x), (torch.ceil(x), share_x)):
            index = (planes * height + row.detach().to(torch.int64)) * width + column.detach().to(torch.int64)
            total = total + flat[index] * row_share * column_share
    return total


@register(
    "_contrib_DeformablePSROIPooling",
    infer_shape=_deformable_psroi_shape,
    infer_type=floating(),
    active=lambda params: ("data", "rois") if params.no_trans else ("data", "rois", "trans"),
    outputs=2,
    visible=1,
    output_names=("output", "top_count"),
)
def deformable_psroi_pooling(
    data, rois, trans=None, *, spatial_scale: SCALE, output_dim: Int(min=1), group_size: Int(min=1),
    pooled_size: Int(min=1), part_size: Int(min=0) = 0, sample_per_part: Int(min=1) = 1,
    trans_std: Float(min=0.0, max=1.0) = 0.0, no_trans: Bool = False,
):  # fmt: skip
    """Position-sensitive pooling of bilinear samples whose bins are moved by ``trans``.

    data (N, output_dim * group_size ** 2, H, W), rois (regions, 5), trans (regions, 2 * classes, part_size, part_size) with
    the moves along x and y as parts of the region, times ``trans_std`` -> (regions, output_dim, pooled_size, pooled_size).
    ``part_size`` 0 means ``pooled_size``. Samples outside of the map do not count; a bin without any gives 0.
    """
    count, channels, height, width = data.shape
    corners = _rounded(_wide(rois.detach()))
    starts = _scaled(corners[:, 1:3], spatial_scale) - 0.5
    extents = (_scaled(corners[:, 3:] + 1, spatial_scale) - 0.5 - starts).clamp(min=0.1)
    moves = None if no_trans else _wide(trans)
    part = part_size or pooled_size
    x, y = _moved_starts(starts, extents, moves, trans_std, output_dim, pooled_size, part)
    samples = torch.arange(sample_per_part, dtype=starts.dtype, device=data.device)
    distance = (extents / pooled_size / sample_per_part)[:, :, None, None, None, None, None]
    x = x[..., None, None] + samples * distance[:, 0]
    y = y[..., None, None] + samples[:, None] * distance[:, 1]
    inside = (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
    group = _group_of_bins(pooled_size, group_size, data.device)
    channel = torch.arange(output_dim, device=data.device)[:, None, None] * group_size + group[:, None]
    batch = corners[:, 0].to(torch.int64).clamp(0, count - 1)
    planes = (batch[:, None, None, None] * channels + channel * group_size + group)[..., None, None]
    values = _interpolated(_wide(data), planes, x.clamp(0, width - 1), y.clamp(0, height - 1))
    counts = inside.sum((-2, -1)).to(values.dtype).expand(values.shape[:4])
    total = torch.where(inside, values, 0).sum((-2, -1))
    return (total / counts.clamp(min=1)).to(data.dtype), counts.to(data.dtype).contiguous()
