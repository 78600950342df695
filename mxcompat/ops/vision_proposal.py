"""Proposals of regions that may hold an object, from the outputs of a region proposal network."""

import functools

import torch

from mxcompat.base import MXNetError
from mxcompat.ops.registry import register
from mxcompat.ops.schema import Bool, Float, Floats, Int, Params
from mxcompat.ops.shape import merge, merge_inputs
from mxcompat.ops.vision_boxes import single, unsuppressed


def _anchors(scales, ratios, stride: int, height: int, width: int, device: torch.device) -> torch.Tensor:
    """The anchors (H * W * A, 4), in pixels of the image: squares of the stride, of each ratio in each scale."""
    scale = torch.tensor(scales, dtype=torch.float32, device=device)
    ratio = torch.tensor(ratios, dtype=torch.float32, device=device)[:, None]
    side = torch.floor(torch.sqrt(torch.floor(stride * stride / ratio)) + 0.5)
    across = (side * scale).reshape(-1)
    down = (torch.floor(side * scale / scale * ratio + 0.5) * scale).reshape(-1)
    half = 0.5 * (torch.stack((across, down), -1) - 1)
    centre = 0.5 * (stride - 1)
    x = (torch.arange(width, device=device) * stride).expand(height, width)
    y = (torch.arange(height, device=device) * stride)[:, None].expand(height, width)
    shift = torch.stack((x, y), -1).to(torch.float32)[:, :, None]
    return torch.cat((centre - half + shift, centre + half + shift), -1).view(-1, 4)


def _moved(anchors, deltas, iou_loss: bool):
    """Anchors (B, 4) moved by deltas (N, B, 4): of the corners, or of the centre in sides and of the sides in logarithms."""
    if iou_loss:
        return anchors + deltas
    sides = anchors[:, 2:] - anchors[:, :2] + 1
    centres = deltas[..., :2] * sides + (anchors[:, :2] + 0.5 * (sides - 1))
    half = 0.5 * ((torch.exp(deltas[..., 2:]) * sides).to(torch.float64) - 1)
    return torch.cat((centres - half, centres + half), -1).to(torch.float32)


def _check(params: Params, cls_prob: torch.Tensor, bbox_pred: torch.Tensor, im_info: torch.Tensor) -> None:
    cells = (im_info[:, :2] / params.feature_stride).to(torch.int64)
    if bool((cells > torch.tensor(cls_prob.shape[2:])).any()):
        raise MXNetError(
            f"im_info says images of {cells.tolist()} cells of {params.feature_stride} pixels, cls_prob has only "
            f"{tuple(cls_prob.shape[2:])}"
        )


def _shape_rule(params: Params, ins: list, outs: list) -> tuple[list, list]:
    data = ins[0]
    if data is None:
        return ins, outs
    if len(data) != 4:
        raise MXNetError(f"cls_prob has shape {data}, expected (N, 2 * anchors, H, W)")
    kinds = len(params.scales) * len(params.ratios)
    if data[1] not in (-1, 2 * kinds):
        raise MXNetError(
            f"cls_prob has {data[1]} channels, expected 2 * {len(params.scales)} scales * ratios = {2 * kinds}"
        )
    expected = [tuple(data), (data[0], 4 * kinds, *data[2:]), (data[0], 3)]
    rows = -1 if data[0] == -1 else data[0] * params.rpn_post_nms_top_n
    filled = merge_inputs(("cls_prob", "bbox_pred", "im_info"), ins, expected)
    return filled, [merge((rows, 5), outs[0], "output"), merge((rows, 1), outs[1], "score")]


def _one_image(params: Params, ins: list, outs: list) -> tuple[list, list]:
    if ins[0] is not None and ins[0] and ins[0][0] > 1:
        raise MXNetError(f"cls_prob has shape {ins[0]}: Proposal takes one image, MultiProposal takes several")
    return _shape_rule(params, ins, outs)


def _proposals(
    cls_prob, bbox_pred, im_info, *, rpn_pre_nms_top_n: Int = 6000, rpn_post_nms_top_n: Int(min=1) = 300,
    threshold: Float = 0.7, rpn_min_size: Int = 16, scales: Floats = (4.0, 8.0, 16.0, 32.0),
    ratios: Floats = (0.5, 1.0, 2.0), feature_stride: Int(min=1) = 16, output_score: Bool = False, iou_loss: Bool = False,
):  # fmt: skip
    """The most likely regions that do not overlap much.

    cls_prob (N, 2 * anchors, H, W) with the scores of background, then of objects, bbox_pred (N, 4 * anchors, H, W),
    im_info (N, (height, width, scale)) -> (N * rpn_post_nms_top_n, (image, x1, y1, x2, y2)) in pixels, and their scores
    (visible with ``output_score``). Regions whose sides are below ``rpn_min_size`` times the image's scale and anchors
    outside of the image come last; fewer regions than wanted are repeated. Zero gradient.
    """
    cls_prob, bbox_pred, im_info = cls_prob.detach(), bbox_pred.detach(), im_info.detach()
    images, doubled, height, width = cls_prob.shape
    kinds, total = doubled // 2, doubled // 2 * height * width
    scores = cls_prob[:, kinds:].permute(0, 2, 3, 1).reshape(images, total)
    deltas = bbox_pred.view(images, kinds, 4, height, width).permute(0, 3, 4, 1, 2).reshape(images, total, 4)
    boxes = _moved(_anchors(scales, ratios, feature_stride, height, width, cls_prob.device), deltas, iou_loss)
    limits = torch.stack((im_info[:, 1], im_info[:, 0]), 1).repeat(1, 2)[:, None] - 1
    boxes = torch.minimum(boxes, limits).clamp(min=0)
    cells = (im_info[:, :2] / feature_stride).to(torch.int64)
    row = torch.arange(height, device=scores.device) >= cells[:, :1]
    column = torch.arange(width, device=scores.device) >= cells[:, 1:]
    outside = (row[:, :, None] | column[:, None, :])[..., None].expand(-1, -1, -1, kinds).reshape(images, total)
    smallest = (rpn_min_size * im_info[:, 2])[:, None]
    small = (boxes[..., 2:] - boxes[..., :2] + 1 < smallest[..., None]).any(-1)
    grown = torch.cat((boxes[..., :2] - smallest[..., None] / 2, boxes[..., 2:] + smallest[..., None] / 2), -1)
    boxes, scores = torch.where(small[..., None], grown, boxes), torch.where(small | outside, -1, scores)
    taken = min(rpn_pre_nms_top_n, total) if rpn_pre_nms_top_n > 0 else total
    order = torch.argsort(scores, dim=1, descending=True, stable=True)[:, :taken]
    boxes, scores = boxes.gather(1, order[..., None].expand(-1, -1, 4)), scores.gather(1, order)
    sides = boxes[..., 2:] - boxes[..., :2] + 1
    everything = torch.full_like(order[:, 0], taken)
    kept = unsuppressed(
        boxes.contiguous(), sides[..., 0] * sides[..., 1], torch.zeros_like(order), everything, threshold, 1.0, False,
        min(rpn_post_nms_top_n, taken),
    )  # fmt: skip
    ranked = torch.argsort((~kept).to(torch.uint8), dim=1, stable=True)
    index = ranked.gather(1, torch.arange(rpn_post_nms_top_n, device=scores.device) % kept.sum(1, keepdim=True))
    image = torch.arange(images, dtype=boxes.dtype, device=boxes.device)[:, None, None].expand(
        -1, rpn_post_nms_top_n, 1
    )
    found = torch.cat((image, boxes.gather(1, index[..., None].expand(-1, -1, 4))), -1)
    return found.view(-1, 5), scores.gather(1, index).view(-1, 1)


_OPTIONS = {
    "infer_type": single, "outputs": 2, "visible": lambda params: 2 if params.output_score else 1,
    "output_names": ("output", "score"), "check": _check, "stops_gradient": True,
}  # fmt: skip


@register("_contrib_MultiProposal", infer_shape=_shape_rule, **_OPTIONS)
@functools.wraps(_proposals)
def multi_proposal(*args, **kwargs):
    return _proposals(*args, **kwargs)


@register("_contrib_Proposal", infer_shape=_one_image, **_OPTIONS)
@functools.wraps(_proposals)
def proposal(*args, **kwargs):
    return _proposals(*args, **kwargs)


for _function, _name in ((multi_proposal, "multi_proposal"), (proposal, "proposal")):
    _function.__name__ = _function.__qualname__ = _name
