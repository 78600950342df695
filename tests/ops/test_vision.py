"""Rows of the pooling of regions of interest."""

import numpy as np

from tests.harness import Bad, Row, rows_test

REGIONS = [
    [0, 0, 0, 4, 4],
    [1, 2, 1, 9, 6],
    [0, 6.5, 3.5, 3.5, 7.49],
    [1, -3, -2, 14, 20],
    [0, 20, 20, 24, 30],
    [1, 5, 5, 5, 5],
]
OUTSIDE = [[0, 0, 0, 4, 4], [-1, 0, 0, 4, 4], [2, 0, 0, 4, 4]]
DATA = (2, 3, 8, 10)


def _regions(op, params, regions=REGIONS, data=DATA, **options):
    inputs = {"data": data, "rois": regions}
    return Row(op, inputs, params, **options)


TIES = np.array([[[[1, 3, 3, 0], [2, 3, 3, 1], [0, 0, 0, 0], [5, 5, 0, 0]]]], dtype="float32")

ROI_POOLING = [
    _regions("ROIPooling", {"pooled_size": (2, 2), "spatial_scale": 1.0}, exact=True, compile=True),
    _regions("ROIPooling", {"pooled_size": (3, 4), "spatial_scale": 0.7}, exact=True),
    _regions("ROIPooling", {"pooled_size": (7, 7), "spatial_scale": 0.5}, dtype="float64", exact=True),
    _regions("ROIPooling", {"pooled_size": (2, 3), "spatial_scale": 0.25}, dtype="float16", exact=True),
    _regions("ROIPooling", {"pooled_size": (2, 2), "spatial_scale": 1.0}, OUTSIDE, exact=True),
    _regions("ROIPooling", {"pooled_size": (1, 1), "spatial_scale": 0.0625}, data=(2, 3, 1, 1), exact=True),
    _regions("ROIPooling", {"pooled_size": (4, 3), "spatial_scale": 1.0}, data=(2, 2, 13, 17), exact=True),
    Row(
        "ROIPooling",
        {"data": TIES, "rois": [[0, 0, 0, 3, 3]]},
        {"pooled_size": (2, 2), "spatial_scale": 1.0},
        exact=True,
    ),
    Bad("ROIPooling", {"data": DATA, "rois": REGIONS}, {"pooled_size": (0, 2), "spatial_scale": 1.0}),
    Bad("ROIPooling", {"data": DATA, "rois": REGIONS}, {"pooled_size": (2, 2), "spatial_scale": 1.5}),
    Bad("ROIPooling", {"data": (3, 8, 10), "rois": REGIONS}, {"pooled_size": (2, 2), "spatial_scale": 1.0}),
    Bad("ROIPooling", {"data": DATA, "rois": (3, 4)}, {"pooled_size": (2, 2), "spatial_scale": 1.0}),
    Bad("ROIPooling", {"data": DATA, "rois": REGIONS}, {"pooled_size": (2, 2), "spatial_scale": 1.0}, dtype="int32"),
]

INSIDE = REGIONS[:2] + REGIONS[3:]
ROI_ALIGN = [
    _regions("contrib.ROIAlign", {"pooled_size": (2, 2), "spatial_scale": 1.0}, compile=True),
    _regions("contrib.ROIAlign", {"pooled_size": (3, 4), "spatial_scale": 0.7}),
    _regions("contrib.ROIAlign", {"pooled_size": (2, 2), "spatial_scale": 0.25, "sample_ratio": 2}),
    _regions("contrib.ROIAlign", {"pooled_size": (2, 3), "spatial_scale": 1.0, "sample_ratio": 3}, dtype="float64"),
    _regions(
        "contrib.ROIAlign",
        {"pooled_size": (2, 2), "spatial_scale": 1.0, "aligned": True},
        [[0, 0, 0, 4, 4], [1, 2, 1, 9, 6], [0, 0.2, 0.3, 0.6, 0.9], [1, -30, -20, 40, 50]],
    ),
    _regions("contrib.ROIAlign", {"pooled_size": (1, 1), "spatial_scale": 1.0}, data=(2, 3, 2, 1)),
    _regions(
        "contrib.ROIAlign",
        {"pooled_size": (2, 3), "spatial_scale": 0.5, "position_sensitive": True},
        data=(2, 12, 8, 10),
    ),
    Bad(
        "contrib.ROIAlign",
        {"data": DATA, "rois": REGIONS},
        {"pooled_size": (2, 2), "spatial_scale": 1.0, "position_sensitive": True},
    ),
    Bad("contrib.ROIAlign", {"data": DATA, "rois": REGIONS}, {"pooled_size": (2,), "spatial_scale": 1.0}),
    Bad("contrib.ROIAlign", {"data": DATA, "rois": (3, 4)}, {"pooled_size": (2, 2), "spatial_scale": 1.0}),
]

REGION = {"pooled_size": (2, 2), "spatial_scale": 1.0}
SENSITIVE = {"spatial_scale": 1.0, "output_dim": 2, "pooled_size": 2}
INFINITE = np.zeros((1, 8, 6, 6), "float32")
INFINITE[0, :, 2, 3] = np.inf
FAR = [[0, 3, 3, 5, 5], [0, 0, 0, 1, 1], [0, 0, 0, 5, 5], [0, -400, -300, 500, 600]]
SPREAD = [
    Row("contrib.ROIAlign", {"data": INFINITE, "rois": FAR}, dict(REGION, sample_ratio=2), grad=False),
    Row("contrib.ROIAlign", {"data": INFINITE, "rois": FAR}, REGION, grad=False),
    Row("contrib.PSROIPooling", {"data": INFINITE, "rois": FAR}, dict(REGION, output_dim=2, pooled_size=2), grad=False),
]

PSROI = [
    _regions("contrib.PSROIPooling", SENSITIVE, data=(2, 8, 8, 10), compile=True),
    _regions("contrib.PSROIPooling", dict(SENSITIVE, spatial_scale=0.7, group_size=3), data=(2, 18, 8, 10)),
    _regions("contrib.PSROIPooling", dict(SENSITIVE, spatial_scale=0.0625), data=(2, 8, 3, 4)),
    _regions("contrib.PSROIPooling", dict(SENSITIVE, pooled_size=3), data=(2, 18, 8, 10), dtype="float64"),
    _regions("contrib.PSROIPooling", dict(SENSITIVE, pooled_size=4, group_size=2), data=(2, 8, 8, 10)),
    _regions("contrib.PSROIPooling", SENSITIVE, data=(2, 11, 8, 10)),
    Bad("contrib.PSROIPooling", {"data": (2, 7, 8, 10), "rois": REGIONS}, SENSITIVE, error="MXNetError"),
    Bad("contrib.PSROIPooling", {"data": (2, 8, 8), "rois": REGIONS}, SENSITIVE),
]

DEFORMABLE = dict(SENSITIVE, group_size=2)


def _deformable(params, trans=None, data=(2, 8, 8, 10), **options):
    inputs = {"data": data, "rois": REGIONS}
    if trans is not None:
        inputs["trans"] = trans
    return Row("contrib.DeformablePSROIPooling", inputs, dict(DEFORMABLE, **params), **options)


DEFORMABLE_PSROI = [
    _deformable({"no_trans": True}),
    _deformable({"no_trans": True, "sample_per_part": 4, "spatial_scale": 0.5}, compile=True),
    _deformable({"trans_std": 0.1, "sample_per_part": 2}, (6, 2, 2, 2), compile=True),
    _deformable({"trans_std": 0.3, "sample_per_part": 3, "part_size": 4, "pooled_size": 3}, (6, 4, 4, 4)),
    _deformable({"trans_std": 0.2, "sample_per_part": 2}, (6, 4, 2, 2), dtype="float64"),
    _deformable({"no_trans": True, "sample_per_part": 2}, data=(2, 9, 8, 10)),
    Bad(
        "contrib.DeformablePSROIPooling",
        {"data": (2, 7, 8, 10), "rois": REGIONS},
        dict(DEFORMABLE, no_trans=True),
        error="MXNetError",
    ),
    Bad(
        "contrib.DeformablePSROIPooling",
        {"data": (2, 8, 8, 10), "rois": REGIONS, "trans": (6, 2, 3, 2)},
        DEFORMABLE,
        error="MXNetError",
    ),
    Bad("contrib.DeformablePSROIPooling", {"data": (2, 8, 8, 10), "rois": (3, 4)}, dict(DEFORMABLE, no_trans=True)),
]

test_rows = rows_test([*ROI_POOLING, *ROI_ALIGN, *PSROI, *SPREAD, *DEFORMABLE_PSROI], __file__)
