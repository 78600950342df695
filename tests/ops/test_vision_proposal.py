"""Rows of region proposals."""

from tests.harness import Bad, Row, rows_test
from tests.rows import distinct, uniform

MANY, ONE = "contrib.MultiProposal", "contrib.Proposal"
SMALL = {"scales": (2.0, 4.0), "ratios": (0.5, 1.0, 2.0), "feature_stride": 16, "rpn_min_size": 8,
         "rpn_pre_nms_top_n": 40, "rpn_post_nms_top_n": 12}  # fmt: skip


def _inputs(images, kinds=6, space=(4, 5), info=None):
    info = info or [[64, 80, 1.0]] * images
    return {
        "cls_prob": distinct((images, 2 * kinds, *space), 0.001953125),
        "bbox_pred": uniform((images, 4 * kinds, *space), -0.5, 0.5),
        "im_info": info,
    }


def _row(op, images=1, info=None, kinds=6, **params):
    return Row(op, _inputs(images, kinds, info=info), dict(SMALL, **params), head=None)


ROWS = [
    Row(ONE, _inputs(1), SMALL, head=None, compile=True),
    _row(ONE, output_score=True, threshold=0.3),
    _row(ONE, rpn_pre_nms_top_n=-1, rpn_post_nms_top_n=200, threshold=0.5),
    _row(ONE, info=[[50, 61.5, 1.5]], rpn_min_size=30, output_score=True),
    _row(ONE, iou_loss=True),
    _row(ONE, kinds=2, scales=(2.7,), ratios=(0.3, 1.9), feature_stride=8, info=[[32, 40, 2.0]]),
    _row(MANY, images=2, info=[[64, 80, 1.0], [50, 61.5, 1.5]], output_score=True),
    _row(MANY, images=2, rpn_min_size=40, threshold=0.2),
    _row(MANY, images=3, iou_loss=True, rpn_post_nms_top_n=50),
    Bad(ONE, _inputs(2), SMALL),
    Bad(MANY, _inputs(2, kinds=5), SMALL),
    Bad(MANY, _inputs(1, info=[[200, 80, 1.0]]), SMALL, error="MXNetError"),
    Bad(MANY, {"cls_prob": (1, 12, 4, 5), "bbox_pred": (1, 23, 4, 5), "im_info": (1, 3)}, SMALL),
    Bad(ONE, _inputs(1), SMALL, dtype="float64"),
]

test_rows = rows_test(ROWS, __file__)
