"""Boxes of two-stage detectors: matching, targets as offsets from anchors and back, regions that are turned."""

import math

import numpy as np
import torch

from mxcompat.base import MXNetError
from mxcompat.ops.dtypes import floating
from mxcompat.ops.registry import register
from mxcompat.ops.schema import Bool, Enum, Float, Int, Params, Shape
from mxcompat.ops.shape import Shape as PartialShape
from mxcompat.ops.shape import forward_rule, is_known, merge, size
from mxcompat.ops.vision import batch_rows, of_regions
from mxcompat.ops.vision_bins import bin_sums, pixel_rows, sampled_bins

# -- matching ---------------------------------------------------------------------------------------------------------


@torch.library.custom_op("mxcompat::greedy_matches", mutates_args=())
def greedy_matches(scores: torch.Tensor, threshold: float, ascending: bool, limit: int) -> torch.Tensor:
    """The column matched with each row of (B, N, M), int64 (B, N), -1 for none: best free pair first, ``limit`` pairs."""
    tables = scores.cpu().numpy()
    bound = np.float32(threshold)
    matches = np.full(tables.shape[:2], -1, np.int64)
    taken = np.inf if ascending else -np.inf
    for table, found in zip(tables, matches):
        free = table.copy()
        for _ in range(min(*table.shape, limit)):
            row, column = np.unravel_index(free.argmin() if ascending else free.argmax(), free.shape)
            if not (free[row, column] < bound if ascending else free[row, column] > bound):
                break
            found[row] = column
            free[row], free[:, column] = taken, taken
    return torch.from_numpy(matches).to(scores.device)


@greedy_matches.register_fake
def _greedy_matches_shape(scores, threshold, ascending, limit):
    return scores.new_empty(scores.shape[:2], dtype=torch.int64)


def _matching_shape(params: Params, data: tuple) -> list:
    if len(data) < 2:
        raise MXNetError(f"data has shape {data}, expected (…, rows, columns)")
    return [data[:-1], (*data[:-2], data[-1])]


@register("_contrib_bipartite_matching", infer_shape=forward_rule(_matching_shape), infer_type=floating(), outputs=2)
def bipartite_matching(data, *, is_ascend: Bool = False, threshold: Float, topk: Int = -1):
    """Pairs of rows and columns, each used once, by descending score (ascending with ``is_ascend``).

    data (…, N, M) -> the column of each row (…, N) and the row of each column (…, M), -1 where there is none. Scores must
    lie beyond ``threshold``. Zero gradient. Compat: a positive ``topk`` allows one pair more than it says.
    """
    rows, columns = data.shape[-2:]
    scores = data.detach().reshape(-1, rows, columns)
    limit = topk + 1 if topk > 0 else min(rows, columns)
    column_of = greedy_matches(scores.contiguous(), threshold, is_ascend, limit)
    numbers = torch.arange(columns, device=data.device)
    pairs = column_of[:, :, None] == numbers
    places = torch.arange(rows, device=data.device)[:, None]
    row_of = torch.where(pairs, places, -1).amax(1) if rows else column_of.new_full((len(scores), columns), -1)
    return column_of.view(data.shape[:-1]).to(data.dtype), row_of.view(*data.shape[:-2], columns).to(data.dtype)


# -- targets ----------------------------------------------------------------------------------------------------------


def _encode_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    samples, matches, anchors, refs = ins[:4]
    ins = [*ins[:4], *(merge((4,), shape, f"input {name}") for shape, name in zip(ins[4:], ("means", "stds")))]
    if not all(map(is_known, ins[:4])):
        return ins, outs
    for name, shape in (("anchors", anchors), ("refs", refs)):
        if len(shape) < 3 or shape[-1] != 4 or size(shape) != 4 * shape[0] * shape[1]:
            raise MXNetError(f"{name} has shape {shape}, expected (batch, boxes, 4)")
    if refs[0] != anchors[0]:
        raise MXNetError(f"refs has shape {refs}, expected ({anchors[0]}, boxes, 4)")
    for name, shape in (("samples", samples), ("matches", matches)):
        if len(shape) < 2 or size(shape) != anchors[0] * anchors[1]:
            raise MXNetError(f"{name} has shape {shape}, expected {anchors[:2]}")
    return ins, [merge(anchors, out, "output") for out in outs]


def _centres_and_sides(boxes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    sides = boxes[..., 2:] - boxes[..., :2]
    return boxes[..., :2] + sides * 0.5, sides


@register("_contrib_box_encode", infer_shape=_encode_shape, infer_type=floating(), outputs=2, stops_gradient=True)
def box_encode(samples, matches, anchors, refs, means, stds):
    """Where boxes lie from their anchors: (centre - centre) / side and log(side / side), minus means, over stds.

    samples (B, N): above 0.5 for anchors that count; matches (B, N): the box of each anchor; anchors (B, N, 4) and refs
    (B, M, 4): corners; means and stds (4,) -> targets (B, N, 4), 0 where an anchor does not count, and masks of that shape,
    1 or 0. Zero gradient.
    """
    samples, matches, anchors, refs, means, stds = (t.detach() for t in (samples, matches, anchors, refs, means, stds))
    batch, count = anchors.shape[:2]
    index = matches.reshape(batch, count, 1).to(torch.int64).clamp(0, refs.shape[1] - 1)
    boxes = refs.reshape(batch, -1, 4).gather(1, index.expand(-1, -1, 4))
    centres, sides = _centres_and_sides(anchors.reshape(batch, count, 4))
    box_centres, box_sides = _centres_and_sides(boxes)
    moves = torch.cat(((box_centres - centres) / sides, torch.log(box_sides / sides)), -1)
    counts = samples.reshape(batch, count, 1) > 0.5
    targets = torch.where(counts, (moves - means) / stds, 0)
    masks = counts.to(anchors.dtype).expand(-1, -1, 4)
    return targets.reshape(anchors.shape), masks.reshape(anchors.shape)


def _decode_shape(params: Params, data: tuple, anchors: tuple) -> tuple:
    if len(data) != 3 or data[2] != 4:
        raise MXNetError(f"data has shape {data}, expected (batch, boxes, 4)")
    if len(anchors) < 3 or anchors[-1] != 4 or size(anchors) != data[1] * 4:
        raise MXNetError(f"anchors has shape {anchors}, expected (1, {data[1]}, 4)")
    return data


@register(
    "_contrib_box_decode",
    infer_shape=forward_rule(_decode_shape),
    infer_type=floating(),
    stops_gradient=True,
)
def box_decode(
    data, anchors, *, std0: Float = 1.0, std1: Float = 1.0, std2: Float = 1.0, std3: Float = 1.0, clip: Float = -1.0,
    format: Enum("center", "corner") = "center",  # noqa: A002
):  # fmt: skip
    """The corners of boxes from their offsets, the inverse of ``box_encode`` without means.

    data (B, N, 4), anchors (1, N, 4) in ``format`` -> (B, N, 4). A positive ``clip`` limits the logarithms of the sides.
    Zero gradient.
    """
    stds = torch.tensor([std0, std1, std2, std3], dtype=data.dtype, device=data.device)
    data, anchors = data.detach(), anchors.detach().reshape(1, -1, 4)
    centres, sides = _centres_and_sides(anchors) if format == "corner" else (anchors[..., :2], anchors[..., 2:])
    scaled = data * stds
    middle = scaled[..., :2] * sides + centres
    logarithms = scaled[..., 2:].clamp(max=clip) if clip > 0 else scaled[..., 2:]
    half = torch.exp(logarithms) * sides * 0.5
    return torch.cat((middle - half, middle + half), -1)


# -- turned regions ---------------------------------------------------------------------------------------------------


def _bounds(size: tuple[int, int], cosine, sine, y, x):
    """Between which coordinates (down, across) of its own a turned region meets the map, (regions, 2, 2)."""
    corners_y = torch.tensor([-1, -1, size[0], size[0]], dtype=y.dtype, device=y.device) - y[:, None]
    corners_x = torch.tensor([-1, size[1], -1, size[1]], dtype=x.dtype, device=x.device) - x[:, None]
    cosine, sine = cosine[:, None], sine[:, None]
    own = torch.stack((corners_x * sine + corners_y * cosine, corners_x * cosine - corners_y * sine), 1)
    return torch.stack((own.amin(2), own.amax(2)), 2)


def _turned_shape(params: Params, data: PartialShape, rois: PartialShape) -> tuple:
    if data is None or len(data) != 4:
        raise MXNetError(f"data has shape {data}, expected (N, C, H, W)")
    if rois is None or len(rois) != 2 or rois[1] != 6:
        raise MXNetError(f"rois has shape {rois}, expected (number of regions, 6)")
    return (rois[0], data[1], *params.pooled_size)


@register("_contrib_RROIAlign", infer_shape=forward_rule(_turned_shape), infer_type=floating(), no_gradient=True)
def rroi_align(
    data,
    rois,
    *,
    pooled_size: Shape(ndims=(2,), min=1),
    spatial_scale: Float(min=0.0, max=1.0),
    sampling_ratio: Int = -1,
):
    """The average of bilinear samples in each of the bins into which a turned region is divided.

    data (N, C, H, W), rois (regions, 6): batch index, centre x and y, width, height, and angle in degrees, clockwise
    -> (regions, C, *pooled_size). ``sampling_ratio`` samples a side and bin, as many as pixels when it is not positive;
    samples outside of the map are 0, and so are regions of no image. There is no gradient.
    """
    wide = torch.float64 if data.dtype is torch.float64 else torch.float32
    regions, maps = rois.detach().to(wide), data.detach().to(wide)
    count, pixels = data.shape[0], (data.shape[2], data.shape[3])
    scale = torch.tensor(spatial_scale, dtype=torch.float32, device=data.device).to(wide)
    x, y = (regions[:, 1:3] * scale).unbind(1)
    sides = (regions[:, [4, 3]] * scale).clamp(min=1)
    steps = sides / torch.tensor(pooled_size, dtype=wide, device=data.device)
    per_bin = torch.full_like(steps, sampling_ratio) if sampling_ratio > 0 else torch.ceil(steps)
    angle = regions[:, 5] * (math.pi / 180)
    turn = (torch.cos(angle), torch.sin(angle), y, x)
    base, known = batch_rows(regions[:, 0], count, pixels[0] * pixels[1])
    base = base[:, None, None].expand(-1, *pooled_size)
    base, counts, geometry = sampled_bins(-sides / 2, steps, per_bin, _bounds(pixels, *turn), base)
    turns = torch.stack(turn, 1).repeat_interleave(pooled_size[0] * pooled_size[1], 0)
    sums = bin_sums(pixel_rows(maps), base, counts, torch.cat((geometry, turns), 1), pixels, True)
    return of_regions(sums, known, pooled_size).to(data.dtype).contiguous()
