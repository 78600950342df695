"""Rows of box overlaps, suppression and the operators of SSD."""

import numpy as np

from tests.harness import Bad, Row, rows_test
from tests.rows import uniform


def boxes(count, seed, center=False, low=0.0, high=1.0):
    """Boxes as a list, with room to overlap."""
    rng = np.random.RandomState(seed)
    middle, half = rng.uniform(0.1, 0.9, (count, 2)), rng.uniform(0.05, 0.4, (count, 2)) / 2
    both = (middle, 2 * half) if center else (middle - half, middle + half)
    return np.round(np.concatenate(both, 1) * (high - low) + low, 4)


def detections(count, seed, classes=3, center=False, batch=()):
    """Rows (class, score, box): some scores are equal, some not positive, some classes -1."""
    shape = (int(np.prod(batch)) if batch else 1) * count
    rng = np.random.RandomState(seed)
    scores = np.round(rng.uniform(-0.2, 1.0, shape), 1)
    kinds = rng.randint(-1, classes, shape)
    rows = np.concatenate((kinds[:, None], scores[:, None], boxes(shape, seed, center)), 1)
    return rows.reshape(*batch, count, 6).astype("float32")


NMS, IOU = "contrib.box_nms", "contrib.box_iou"
OPEN = {"overlap_thresh": 0.2}
BOX_NMS = [
    Row(NMS, {"data": detections(12, 1)}, OPEN, compile=True),
    Row(NMS, {"data": detections(12, 1)}, dict(OPEN, id_index=0)),
    Row(NMS, {"data": detections(12, 2)}, dict(OPEN, id_index=0, background_id=1, valid_thresh=0.3)),
    Row(NMS, {"data": detections(12, 3)}, dict(OPEN, id_index=0, force_suppress=True, topk=5)),
    Row(NMS, {"data": detections(9, 4, batch=(2, 3))}, dict(OPEN, topk=4)),
    Row(NMS, {"data": detections(12, 5, center=True)}, dict(OPEN, in_format="center")),
    Row(NMS, {"data": detections(12, 5, center=True)}, dict(OPEN, in_format="center", out_format="center")),
    Row(NMS, {"data": detections(12, 6)}, dict(OPEN, out_format="center")),
    Row(NMS, {"data": detections(12, 7) - np.float32(0.5)}, dict(OPEN, out_format="center")),
    Row(NMS, {"data": detections(12, 8)[:, [2, 3, 4, 5, 0, 1]]}, dict(OPEN, coord_start=0, score_index=5, id_index=4)),
    Row(NMS, {"data": detections(12, 1).astype("float64")}, OPEN, dtype="float64"),
    Row(NMS, {"data": detections(12, 1)}, dict(OPEN, topk=0)),
    Row(NMS, {"data": detections(6, 1)}, dict(OPEN, valid_thresh=2.0)),
    Bad(NMS, {"data": (4, 4)}),
    Bad(NMS, {"data": (6,)}),
    Bad(NMS, {"data": (4, 6)}, {"score_index": 3}),
    Bad(NMS, {"data": (4, 6)}, {"id_index": 1}),
    Bad(NMS, {"data": (4, 6)}, {"coord_start": 3}),
    Bad(NMS, {"data": (4, 6)}, {"in_format": "middle"}),
]
BOX_IOU = [
    Row(IOU, {"lhs": boxes(5, 1).astype("float32"), "rhs": boxes(4, 2).astype("float32")}, compile=True),
    Row(
        IOU,
        {"lhs": boxes(5, 1, True).astype("float32"), "rhs": boxes(4, 2, True).astype("float32")},
        {"format": "center"},
    ),  # fmt: skip
    Row(IOU, {"lhs": boxes(6, 1).reshape(2, 3, 4), "rhs": boxes(4, 2).reshape(2, 1, 2, 4)}, dtype="float64"),
    Row(
        IOU, {"lhs": [[0, 0, 1, 1], [1, 1, 0, 0], [2, 2, 2, 3]], "rhs": [[1, 0, 2, 1], [0.5, 0.5, 3, 3], [2, 2, 2, 3]]}
    ),
    Bad(IOU, {"lhs": (4,), "rhs": (4, 4)}),
    Bad(IOU, {"lhs": (4, 4), "rhs": (4, 5)}),
]

PRIOR = "contrib.MultiBoxPrior"
PRIORS = [
    Row(PRIOR, {"data": (2, 3, 3, 5)}, compile=True),
    Row(PRIOR, {"data": (1, 3, 4, 3)}, {"sizes": (0.3, 0.7), "ratios": (1.0, 2.0, 0.5)}),
    Row(PRIOR, {"data": (1, 3, 4, 3)}, {"sizes": (0.9, 1.4), "ratios": (3.0, 0.3), "clip": True}),
    Row(PRIOR, {"data": (1, 3, 4, 3)}, {"sizes": (0.2,), "steps": (0.1, 0.3), "offsets": (0.25, 1.0)}),
    Bad(PRIOR, {"data": (3, 4, 3)}),
    Bad(PRIOR, {"data": (1, 3, 4, 3)}, {"steps": (0.1,)}),
    Bad(PRIOR, {"data": (1, 3, 4, 3)}, {"offsets": (0.5, 1.5)}),
    Bad(PRIOR, {"data": (1, 3, 4, 3)}, dtype="float64"),
]

TARGET = "contrib.MultiBoxTarget"


def _labels(*images, width=5):
    rows = max(len(image) for image in images) + 1
    label = np.full((len(images), rows, width), -1, "float32")
    for place, image in enumerate(images):
        for row, (kind, seed) in enumerate(image):
            label[place, row, 0] = kind
            label[place, row, 1:5] = boxes(1, seed)[0]
    return label


ANCHORS = boxes(20, 11)[None].astype("float32")
IMAGES = _labels([(1, 3), (0, 4), (2, 4)], [], [(3, 5)])
MINED = {"negative_mining_ratio": 3.0, "negative_mining_thresh": 0.4, "overlap_threshold": 0.3}


def _targets(params, label=IMAGES, **options):
    inputs = {"anchor": ANCHORS, "label": label, "cls_pred": (3, 4, 20)}
    return Row(TARGET, inputs, params, head=None, **options)


TARGETS = [
    _targets({}, compile=True),
    _targets({"overlap_threshold": 0.2, "variances": (0.1, 0.2, 0.3, 0.4), "ignore_label": -2.0}),
    _targets({"overlap_threshold": -1.0}),
    _targets(MINED),
    _targets(dict(MINED, negative_mining_ratio=0.2, ignore_label=7.0)),
    _targets({}, _labels([(1, 3), (0, 4)], [(5, 8)], [(3, 5)], width=7)),
    Bad(TARGET, {"anchor": (2, 20, 4), "label": IMAGES, "cls_pred": (3, 4, 20)}),
    Bad(TARGET, {"anchor": ANCHORS, "label": (3, 2, 4), "cls_pred": (3, 4, 20)}),
    Bad(TARGET, {"anchor": ANCHORS, "label": IMAGES, "cls_pred": (3, 4, 19)}),
]

DETECTION = "contrib.MultiBoxDetection"


def _found(params, classes=4, **options):
    inputs = {"cls_prob": uniform((2, classes, 20), 0.0, 0.4), "loc_pred": (2, 80), "anchor": ANCHORS}
    return Row(DETECTION, inputs, params, **options)


DETECTIONS = [
    _found({}, compile=True),
    _found({"threshold": 0.3, "nms_threshold": 0.2}),
    _found({"threshold": 0.2, "nms_threshold": 0.3, "force_suppress": True, "clip": False}),
    _found({"nms_topk": 6, "nms_threshold": 0.2, "force_suppress": True, "threshold": 0.25}),
    _found({"nms_threshold": -1.0, "threshold": 0.3, "variances": (0.2, 0.1, 0.1, 0.3)}),
    _found({"threshold": 0.9}),
    _found({}, classes=1),
    Bad(DETECTION, {"cls_prob": (2, 3, 20), "loc_pred": (2, 79), "anchor": ANCHORS}),
    Bad(DETECTION, {"cls_prob": (2, 3, 19), "loc_pred": (2, 80), "anchor": ANCHORS}),
]

test_rows = rows_test([*BOX_NMS, *BOX_IOU, *PRIORS, *TARGETS, *DETECTIONS], __file__)
