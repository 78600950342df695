"""Boxes of detectors: overlaps, suppression of the weaker, and the anchors, targets and detections of SSD.

A box is (x1, y1, x2, y2), or (x, y, width, height) around a centre where an operator takes ``format``. What depends on
values step by step runs in numpy inside of opaque torch operators, so that graphs around it still trace.
"""

import numpy as np
import torch

from mxcompat.base import MXNetError
from mxcompat.ops.dtypes import floating, unify
from mxcompat.ops.registry import register
from mxcompat.ops.schema import Bool, Enum, Float, Floats, Int, NoEffect, Params
from mxcompat.ops.shape import forward_rule

FORMAT = Enum("center", "corner")
VARIANCES = (0.1, 0.1, 0.2, 0.2)


def single(params: Params, ins: list, outs: list) -> tuple[list, list]:
    """All inputs and outputs are float32; any other type raises ``MXNetError``."""
    unify([torch.float32, *ins])
    unify([torch.float32, *outs], "output")
    return [torch.float32] * len(ins), [torch.float32] * len(outs)


# -- suppression ------------------------------------------------------------------------------------------------------


@torch.library.custom_op("mxcompat::unsuppressed", mutates_args=())
def unsuppressed(
    boxes: torch.Tensor,
    areas: torch.Tensor,
    groups: torch.Tensor,
    counts: torch.Tensor,
    threshold: float,
    border: float,
    inclusive: bool,
    limit: int,
) -> torch.Tensor:
    """Which boxes remain when each that remains suppresses later ones of its group that overlap it too much.

    boxes (N, B, 4) corners, best first, areas and groups (N, B), counts (N,): how many of the B take part -> bool (N, B).
    Overlap is intersection over union, too much where it exceeds the threshold (``inclusive``: or equals it); ``border``
    is added to the sides of an intersection; at most ``limit`` boxes remain.
    """
    corners, sizes, kinds = (t.cpu().numpy() for t in (boxes, areas, groups))
    bound = np.float32(threshold)
    kept = np.zeros(sizes.shape, bool)
    with np.errstate(divide="ignore", invalid="ignore"):
        for image, count in enumerate(counts.tolist()):
            left = np.arange(count)
            x1, y1, x2, y2 = corners[image].T
            for _ in range(limit):
                if not left.size:
                    break
                best, left = left[0], left[1:]
                kept[image, best] = True
                width = np.maximum(np.minimum(x2[best], x2[left]) - np.maximum(x1[best], x1[left]) + border, 0)
                height = np.maximum(np.minimum(y2[best], y2[left]) - np.maximum(y1[best], y1[left]) + border, 0)
                common = width * height
                overlap = common / (sizes[image, best] + sizes[image, left] - common)
                beaten = overlap >= bound if inclusive else overlap > bound
                left = left[~(beaten & (kinds[image, best] == kinds[image, left]))]
    return torch.from_numpy(kept).to(boxes.device)


@unsuppressed.register_fake
def _unsuppressed_shape(boxes, areas, groups, counts, threshold, border, inclusive, limit):
    return torch.empty_like(areas, dtype=torch.bool)


def corners_of(boxes: torch.Tensor, box_format: str) -> torch.Tensor:
    """(x1, y1, x2, y2) of boxes in either format."""
    if box_format == "corner":
        return boxes
    half = boxes[..., 2:] / 2
    return torch.cat((boxes[..., :2] - half, boxes[..., :2] + half), -1)


def areas_of(boxes: torch.Tensor, box_format: str) -> torch.Tensor:
    """Areas of boxes, 0 where a side is negative."""
    sides = boxes[..., 2:] - boxes[..., :2] if box_format == "corner" else boxes[..., 2:]
    return torch.where((sides < 0).any(-1), 0, sides[..., 0] * sides[..., 1])


class _OtherFormat(torch.autograd.Function):
    """Boxes in the other format, except those whose first number is negative; the gradient passes as it is."""

    @staticmethod
    def forward(ctx, boxes, box_format):
        if box_format == "corner":
            moved = corners_of(boxes, "center")
        else:
            moved = torch.cat(((boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]), -1)
        return torch.where(boxes[..., :1] < 0, boxes, moved)

    @staticmethod
    def backward(ctx, gradient):
        return gradient, None


def _box_nms_shape(params: Params, data: tuple) -> list:
    if len(data) < 2:
        raise MXNetError(f"data has shape {data}, expected (…, boxes, width)")
    width, coordinates = data[-1], range(params.coord_start, params.coord_start + 4)
    if coordinates[0] < 0 or coordinates[-1] >= width:
        raise MXNetError(
            f"coord_start={params.coord_start}: the coordinates are out of range for boxes of {width} numbers"
        )
    taken = ["score_index"] + ["id_index"] * (params.id_index >= 0)
    for name in taken:
        if not 0 <= params[name] < width or params[name] in coordinates:
            raise MXNetError(f"{name}={params[name]} is out of range for {width} numbers, or one of the coordinates")
    if params.id_index == params.score_index:
        raise MXNetError(f"id_index and score_index are both {params.id_index}")
    return [data, (*data[:-1], 1)]


@register(
    "_contrib_box_nms",
    ("_contrib_box_non_maximum_suppression",),
    infer_shape=forward_rule(_box_nms_shape),
    infer_type=floating(),
    outputs=2,
    visible=1,
)
def box_nms(
    data, *, overlap_thresh: Float = 0.5, valid_thresh: Float = 0.0, topk: Int = -1, coord_start: Int = 2,
    score_index: Int = 1, id_index: Int = -1, background_id: Int = -1, force_suppress: Bool = False,
    in_format: FORMAT = "corner", out_format: FORMAT = "corner",
):  # fmt: skip
    """Non-maximum suppression: the remaining boxes by descending score, then rows of -1.

    data (…, boxes, width) -> the same shape. Boxes of a score up to ``valid_thresh`` and of class ``background_id`` do not
    take part, nor those behind the best ``topk``; a box suppresses weaker ones that overlap it by more than
    ``overlap_thresh``, of its own class only where ``id_index`` is given without ``force_suppress``. The gradient goes
    back to the rows that remained.
    """
    count, width = data.shape[-2:]
    rows = data.reshape(-1, count, width)
    batch = torch.arange(rows.shape[0], device=data.device)[:, None] * count
    places = torch.arange(count, device=data.device)
    if topk == 0:
        return data.clone(), (batch + places).to(data.dtype).view(*data.shape[:-1], 1)
    fixed = rows.detach()
    scores = fixed[:, :, score_index]
    valid = scores > torch.tensor(valid_thresh, dtype=data.dtype, device=data.device)
    if id_index >= 0:
        valid = valid & (fixed[:, :, id_index] != background_id)
    order = torch.argsort(torch.where(valid, scores, -torch.inf), dim=1, descending=True, stable=True)
    ordered = fixed.gather(1, order[:, :, None].expand(-1, -1, width))
    boxes = ordered[:, :, coord_start : coord_start + 4]
    one_group = id_index < 0 or force_suppress
    groups = torch.zeros_like(order) if one_group else ordered[:, :, id_index].to(torch.int64)
    counts = valid.sum(1).clamp(max=count if topk < 0 else topk)
    corners, areas = corners_of(boxes, in_format).contiguous(), areas_of(boxes, in_format)
    kept = unsuppressed(corners, areas, groups, counts, overlap_thresh, 0.0, False, count)
    index = order.gather(1, torch.argsort((~kept).to(torch.uint8), dim=1, stable=True))
    present = (places < kept.sum(1, keepdim=True))[:, :, None]
    result = torch.where(present, rows.gather(1, index[:, :, None].expand(-1, -1, width)), -1)
    if in_format != out_format:
        moved = _OtherFormat.apply(result[:, :, coord_start : coord_start + 4], out_format)
        result = torch.cat((result[:, :, :coord_start], moved, result[:, :, coord_start + 4 :]), 2)
    record = torch.where(present, (index + batch)[:, :, None], -1).to(data.dtype)
    return result.view(data.shape), record.view(*data.shape[:-1], 1)


def _box_iou_shape(params: Params, lhs: tuple, rhs: tuple) -> tuple:
    for name, shape in (("lhs", lhs), ("rhs", rhs)):
        if len(shape) < 2 or shape[-1] != 4:
            raise MXNetError(f"{name} has shape {shape}, expected (…, 4) with two axes or more")
    return (*lhs[:-1], *rhs[:-1])


@register("_contrib_box_iou", infer_shape=forward_rule(_box_iou_shape), infer_type=floating())
def box_iou(lhs, rhs, *, format: FORMAT = "corner"):  # noqa: A002
    """Intersection over union of every box of ``lhs`` with every box of ``rhs``; zero gradient.

    lhs (…, 4), rhs (…, 4) -> the leading axes of both.
    """
    shape = (*lhs.shape[:-1], *rhs.shape[:-1])
    lhs, rhs = lhs.detach().reshape(-1, 1, 4), rhs.detach().reshape(1, -1, 4)
    first, second = corners_of(lhs, format), corners_of(rhs, format)
    low, high = torch.maximum(first[..., :2], second[..., :2]), torch.minimum(first[..., 2:], second[..., 2:])
    sides = (high - low).clamp(min=0)
    common = sides[..., 0] * sides[..., 1]
    union = areas_of(lhs, format) + areas_of(rhs, format) - common
    return torch.where(common > 0, common / union, 0).view(shape)


# -- SSD --------------------------------------------------------------------------------------------------------------


def _prior_shape(params: Params, data: tuple) -> tuple:
    if len(data) < 4:
        raise MXNetError(f"data has shape {data}, expected (N, C, H, W)")
    for name in ("steps", "offsets"):
        if len(params[name]) != 2:
            raise MXNetError(f"{name}={params[name]}: expected two numbers, along y and x")
    if not params.sizes or not params.ratios:
        raise MXNetError(f"sizes={params.sizes}, ratios={params.ratios}: expected at least one of each")
    if params.steps[0] * params.steps[1] < 0:
        raise MXNetError(f"steps={params.steps}: expected both or none")
    if not all(0 <= offset <= 1 for offset in params.offsets):
        raise MXNetError(f"offsets={params.offsets}: expected numbers in [0, 1]")
    return (1, data[2] * data[3] * (len(params.sizes) + len(params.ratios) - 1), 4)


@register("_contrib_MultiBoxPrior", infer_shape=forward_rule(_prior_shape), infer_type=single)
def multibox_prior(
    data, *, sizes: Floats = (1.0,), ratios: Floats = (1.0,), clip: Bool = False, steps: Floats = (-1.0, -1.0),
    offsets: Floats = (0.5, 0.5),
):  # fmt: skip
    """Anchors around every pixel, in parts of the image: all sizes with the first ratio, then the other ratios with the
    first size.

    data (N, C, H, W), of which the shape alone matters -> (1, H * W * anchors, 4). ``steps`` and ``offsets`` (y, x) place
    the centres at (pixel + offset) * step; steps that are not positive mean 1 / H and 1 / W.
    """

    def numbers(given):
        return torch.tensor(given, dtype=torch.float32, device=data.device)

    height, width = data.shape[2:4]
    automatic = steps[0] <= 0 or steps[1] <= 0
    step_y, step_x = (1 / numbers([height, width])) if automatic else numbers(steps)
    offset = numbers(offsets)
    size = numbers([*sizes, *[sizes[0]] * (len(ratios) - 1)])
    root = torch.sqrt(numbers([*[ratios[0]] * len(sizes), *ratios[1:]]))
    half = torch.stack((size * height / width * root / 2, size / root / 2), -1)
    y = (torch.arange(height, dtype=torch.float32, device=data.device) + offset[0]) * step_y
    x = (torch.arange(width, dtype=torch.float32, device=data.device) + offset[1]) * step_x
    centres = torch.stack((x.expand(height, width), y[:, None].expand(height, width)), -1)[:, :, None]
    anchors = torch.cat((centres - half, centres + half), -1).view(1, -1, 4)
    return anchors.clamp(0, 1) if clip else anchors


def _overlaps(anchors: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    low = np.maximum(anchors[:, None, :2], boxes[None, :, :2])
    high = np.minimum(anchors[:, None, 2:], boxes[None, :, 2:])
    common = np.maximum(high - low, 0).prod(-1)
    union = (anchors[:, 2:] - anchors[:, :2]).prod(-1)[:, None] + (boxes[:, 2:] - boxes[:, :2]).prod(-1) - common
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(union == 0, np.float32(0), common / union)


def _matches(overlaps: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """The box of each anchor, and whether it counts: first the best pairs, each box and anchor once, then anchors whose
    best overlap exceeds the threshold."""
    matched, positive = overlaps.argmax(1), np.zeros(len(overlaps), bool)
    free = overlaps.copy()
    for _ in range(overlaps.shape[1]):
        anchor, box = np.unravel_index(free.argmax(), free.shape)
        if not free[anchor, box] > np.float32(1e-6):
            break
        matched[anchor], positive[anchor] = box, True
        free[anchor], free[:, box] = -1, -1
    if threshold > 0:
        positive |= overlaps.max(1) > np.float32(threshold)
    return matched, positive


def _negatives(overlaps, positive, scores, ratio: float, threshold: float) -> np.ndarray:
    """The anchors that count as background: those without a box that look least like background, ``ratio`` for each
    positive one."""
    count = min(int(positive.sum() * np.float32(ratio)), int((~positive).sum()))
    candidates = np.flatnonzero(~positive & (overlaps.max(1) < np.float32(threshold)))
    if count <= 0:
        return candidates[:0]
    if len(candidates) < count:
        raise MXNetError(f"MultiBoxTarget: {len(candidates)} anchors are free to be background, {count} are needed")
    likely = np.exp(scores - scores.max(0))
    return candidates[np.argsort((likely[0] / likely.sum(0))[candidates], kind="stable")[:count]]


def _encoded(anchors: np.ndarray, boxes: np.ndarray, variances: np.ndarray) -> np.ndarray:
    sides, box_sides = anchors[:, 2:] - anchors[:, :2], boxes[:, 2:] - boxes[:, :2]
    centres, box_centres = (anchors[:, :2] + anchors[:, 2:]) / 2, (boxes[:, :2] + boxes[:, 2:]) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.concatenate(((box_centres - centres) / sides, np.log(box_sides / sides)), 1) / variances


@torch.library.custom_op("mxcompat::box_targets", mutates_args=())
def box_targets(
    anchor: torch.Tensor, label: torch.Tensor, cls_pred: torch.Tensor, thresholds: list[float], ratio: float,
    ignore_label: float, variances: list[float],
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:  # fmt: skip
    """See ``multibox_target``; ``thresholds`` are those of overlap and of negative mining."""
    anchors = anchor.cpu().numpy().reshape(-1, 4)
    labels, scores = label.cpu().numpy(), cls_pred.cpu().numpy()
    targets = np.zeros((len(labels), len(anchors), 4), np.float32)
    masks = np.zeros_like(targets)
    classes = np.full((len(labels), len(anchors)), ignore_label, np.float32)
    for image, rows in enumerate(labels):
        padding = np.flatnonzero(rows[:, 0] == -1)
        rows = rows[: padding[0]] if padding.size else rows
        if not len(rows):
            continue
        overlaps = _overlaps(anchors, rows[:, 1:5])
        matched, positive = _matches(overlaps, thresholds[0])
        negative = _negatives(overlaps, positive, scores[image], ratio, thresholds[1]) if ratio > 0 else ~positive
        classes[image, negative] = 0
        classes[image, positive] = rows[matched[positive], 0] + 1
        masks[image, positive] = 1
        targets[image, positive] = _encoded(
            anchors[positive], rows[matched[positive], 1:5], np.asarray(variances, np.float32)
        )
    flat = (targets.reshape(len(labels), -1), masks.reshape(len(labels), -1), classes)
    first, second, third = (torch.from_numpy(array).to(anchor.device) for array in flat)
    return first, second, third


@box_targets.register_fake
def _box_targets_shape(anchor, label, cls_pred, thresholds, ratio, ignore_label, variances):
    located = label.new_empty((label.shape[0], anchor.shape[1] * 4))
    return located, torch.empty_like(located), label.new_empty((label.shape[0], anchor.shape[1]))


def _target_shape(params: Params, anchor: tuple, label: tuple, cls_pred: tuple) -> list:
    if len(anchor) != 3 or anchor[0] != 1 or anchor[2] != 4:
        raise MXNetError(f"anchor has shape {anchor}, expected (1, anchors, 4)")
    if len(label) != 3 or label[2] < 5:
        raise MXNetError(f"label has shape {label}, expected (N, boxes, 5 or more)")
    if len(cls_pred) != 3 or cls_pred[2] != anchor[1]:
        raise MXNetError(f"cls_pred has shape {cls_pred}, expected (N, classes, {anchor[1]})")
    if len(params.variances) != 4:
        raise MXNetError(f"variances={params.variances}: expected four numbers")
    return [(label[0], anchor[1] * 4)] * 2 + [(label[0], anchor[1])]


@register(
    "_contrib_MultiBoxTarget",
    infer_shape=forward_rule(_target_shape),
    infer_type=single,
    outputs=3,
    output_names=("loc_target", "loc_mask", "cls_target"),
    stops_gradient=True,
)
def multibox_target(
    anchor, label, cls_pred, *, overlap_threshold: Float = 0.5, ignore_label: Float = -1.0,
    negative_mining_ratio: Float = -1.0, negative_mining_thresh: Float = 0.5,
    minimum_negative_samples: NoEffect(Int) = 0, variances: Floats = VARIANCES,
):  # fmt: skip
    """What SSD learns: for each anchor the offset of its box, 1 where there is one, and its class (0 is background).

    anchor (1, anchors, 4), label (N, boxes, (class, x1, y1, x2, y2, …)) ending with rows of -1, cls_pred (N, classes,
    anchors) -> (N, anchors * 4) twice and (N, anchors). With a positive ``negative_mining_ratio`` only so many anchors for
    each one with a box are background, the others get ``ignore_label``, as do all of an image without boxes.
    """
    inputs = (x.detach().contiguous() for x in (anchor, label, cls_pred))
    thresholds = [overlap_threshold, negative_mining_thresh]
    return box_targets(*inputs, thresholds, negative_mining_ratio, ignore_label, list(variances))


def _detection_shape(params: Params, cls_prob: tuple, loc_pred: tuple, anchor: tuple) -> tuple:
    if len(cls_prob) != 3 or len(anchor) != 3 or anchor[1:] != (cls_prob[2], 4):
        raise MXNetError(f"cls_prob has shape {cls_prob}, anchor {anchor}: expected (N, classes, A) and (1, A, 4)")
    if len(loc_pred) != 2 or loc_pred[1] != cls_prob[2] * 4:
        raise MXNetError(f"loc_pred has shape {loc_pred}, expected (N, {cls_prob[2] * 4})")
    if len(params.variances) != 4:
        raise MXNetError(f"variances={params.variances}: expected four numbers")
    return (cls_prob[0], cls_prob[2], 6)


def _decoded(anchor, loc_pred, variances, clip: bool):
    """Boxes (N, A, 4) at the predicted offsets from the anchors."""
    moves = loc_pred.view(loc_pred.shape[0], -1, 4) * torch.tensor(variances, dtype=torch.float32, device=anchor.device)
    low, high = anchor[..., :2], anchor[..., 2:]
    centres = moves[..., :2] * (high - low) + (low + high) / 2
    half = torch.exp(moves[..., 2:]) * (high - low) / 2
    boxes = torch.cat((centres - half, centres + half), -1)
    return boxes.clamp(0, 1) if clip else boxes


@register("_contrib_MultiBoxDetection", infer_shape=forward_rule(_detection_shape), infer_type=single)
def multibox_detection(
    cls_prob, loc_pred, anchor, *, clip: Bool = True, threshold: Float = 0.01, background_id: NoEffect(Int) = 0,
    nms_threshold: Float = 0.5, force_suppress: Bool = False, variances: Floats = VARIANCES, nms_topk: Int = -1,
):  # fmt: skip
    """What SSD found: rows (class, score, x1, y1, x2, y2) by descending score, class -1 where nothing remains.

    cls_prob (N, classes, A) whose class 0 is background, loc_pred (N, A * 4), anchor (1, A, 4) -> (N, A, 6); zero gradient.
    Each anchor has its most likely class; below ``threshold`` it is dropped. Boxes of one class (of all, with
    ``force_suppress``) that overlap a better one by ``nms_threshold`` or more keep their row but lose their class; a
    threshold outside of (0, 1] suppresses and sorts nothing. Behind the best ``nms_topk`` no class remains.
    """
    cls_prob, loc_pred, anchor = cls_prob.detach(), loc_pred.detach(), anchor.detach()
    count = cls_prob.shape[2]
    if cls_prob.shape[1] > 1:
        scores, classes = cls_prob[:, 1:].max(1)
        valid = (scores > -1) & (scores >= torch.tensor(threshold, dtype=torch.float32, device=scores.device))
    else:
        scores, classes = torch.full_like(cls_prob[:, 0], -1), torch.zeros_like(cls_prob[:, 0])
        valid = classes > 0
    rows = torch.cat((classes.to(scores.dtype)[..., None], scores[..., None]), -1)
    rows = torch.cat((rows, _decoded(anchor, loc_pred, variances, clip)), -1)
    places = torch.arange(count, device=rows.device)
    total = valid.sum(1, keepdim=True)

    def picked(order):
        return torch.where((places < total)[..., None], rows.gather(1, order[..., None].expand(-1, -1, 6)), -1)

    packed = picked(torch.argsort((~valid).to(torch.uint8), dim=1, stable=True))
    if not 0 < nms_threshold <= 1:
        return packed
    order = torch.argsort(torch.where(valid, scores, -torch.inf), dim=1, descending=True, stable=True)
    best = total if nms_topk <= 0 else total.clamp(max=nms_topk)
    # Compat: behind the best nms_topk stand the rows that were at these places before the sorting
    result = torch.where((places < best)[..., None], picked(order), packed)
    corners = result[..., 2:].contiguous()
    areas = (corners[..., 2] - corners[..., 0]) * (corners[..., 3] - corners[..., 1])
    groups = torch.zeros_like(order) if force_suppress else result[..., 0].to(torch.int64)
    kept = unsuppressed(corners, areas, groups, best[:, 0], nms_threshold, 0.0, True, count)
    return torch.cat((torch.where(kept, result[..., 0], -1)[..., None], result[..., 1:]), -1)
