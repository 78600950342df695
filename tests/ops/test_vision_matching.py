"""Rows of matching, box targets and turned regions."""

from tests.harness import Bad, Row, distinct, rows_test, uniform, values

NAN = float("nan")
SCORES = values([[0.5, 0.6], [0.1, 0.2], [0.3, 0.4]])


def _matching(data=SCORES, **params):
    options = {key: params.pop(key) for key in ("dtype", "compile") if key in params}
    return Row("contrib.bipartite_matching", {"data": data}, params, **options)


MATCHING = [
    _matching(threshold=1e-12, compile=True),
    _matching(threshold=0.25),
    _matching(threshold=0.5),
    _matching(threshold=0.45, is_ascend=True),
    _matching(threshold=1, is_ascend=True),
    *[_matching(distinct((2, 5, 4)), threshold=-9, topk=topk) for topk in (-1, 0, 1, 2)],
    _matching(distinct((2, 3, 3, 4)), threshold=0),
    _matching(values([[1.0] * 4] * 3), threshold=0.5),
    _matching(values([[NAN, 1], [2, NAN]]), threshold=0.5),
    _matching(distinct((3, 4)), threshold=0, dtype="float16"),
    _matching(distinct((3, 4)), threshold=0, dtype="float64"),
    Bad("contrib.bipartite_matching", {"data": SCORES}),
    Bad("contrib.bipartite_matching", {"data": (3,)}, {"threshold": 0.5}),
    Bad("contrib.bipartite_matching", {"data": (3, 2)}, {"threshold": 0.5}, dtype="int32"),
]

ANCHORS = [[[1, 2, 5, 6], [0, 0, 3, 8], [4, 4, 9.5, 7]]] * 2
REFS = [[[1, 1, 6, 6], [0.5, 0, 3, 9]], [[2, 2, 4, 4], [0, 1, 8, 7]]]
COUNTS = [[1, 0, 0.6], [-1, 1, 0.5]]
MATCHES = [[1, 0, 1.7], [0, 1, 1]]


def _encode(samples=COUNTS, matches=MATCHES, anchors=ANCHORS, refs=REFS, means=(0,) * 4, stds=(1,) * 4, **options):
    inputs = {"samples": samples, "matches": matches, "anchors": anchors, "refs": refs}
    inputs.update(means=values(list(means)), stds=values(list(stds)))
    return Row("contrib.box_encode", {key: _spec(value) for key, value in inputs.items()}, **options)


def _spec(value):
    return values(value) if isinstance(value, list) else value


ENCODED = [
    _encode(compile=True),
    _encode(means=(0.1, -0.2, 0.3, 0.4), stds=(0.1, 0.1, 0.2, 0.5)),
    _encode(stds=(0.1, 0.1, 0.2, 0.5), dtype="float64"),
    _encode(dtype="float16"),
    _encode(samples=[[-1, -1, -1], [1, 1, 1]]),
    Bad(
        "contrib.box_encode",
        {"samples": (2, 3), "matches": (2, 3), "anchors": (1, 3, 4), "refs": (1, 2, 4), "means": (4,), "stds": (4,)},
    ),
    Bad(
        "contrib.box_encode",
        {"samples": (2, 3), "matches": (2, 3), "anchors": (2, 3, 4), "refs": (2, 2, 4), "means": (3,), "stds": (4,)},
    ),
    Bad(
        "contrib.box_encode",
        {"samples": (2, 3), "matches": (2, 3), "anchors": (2, 3, 5), "refs": (2, 2, 4), "means": (4,), "stds": (4,)},
    ),
]


def _decode(data=(2, 3, 4), anchors=ANCHORS[:1], **params):
    options = {key: params.pop(key) for key in ("dtype", "compile") if key in params}
    return Row("contrib.box_decode", {"data": data, "anchors": _spec(anchors)}, params, **options)


DECODED = [
    _decode(),
    _decode(format="corner", compile=True),
    _decode(clip=0.1),
    _decode(clip=0.1, format="corner", dtype="float64"),
    _decode(std0=0.125, std1=0.25, std2=0.5, std3=0.75),
    _decode((2, 3, 4), uniform((1, 1, 3, 4), 0, 5), dtype="float16"),
    Bad("contrib.box_decode", {"data": (2, 3, 4), "anchors": (2, 3, 4)}),
    Bad("contrib.box_decode", {"data": (3, 4), "anchors": (1, 3, 4)}),
    Bad("contrib.box_decode", {"data": (2, 3, 4), "anchors": (1, 3, 4)}, {"format": "edge"}),
]

TURNED = values(
    [[0, 4, 4, 4, 6, 30], [1, 5, 3, 9, 2, -75], [0, 0, 0, 3, 3, 0], [1, 8, 9, 0.5, 0.1, 180], [0, 6, 3, 2, 8, 90]]
)
REGION = {"pooled_size": (2, 3), "spatial_scale": 1.0}


def _turned(params, data=(2, 3, 8, 10), **options):
    return Row("contrib.RROIAlign", {"data": data, "rois": TURNED}, dict(REGION, **params), grad=False, **options)


ALIGNED = [
    _turned({}, compile=True),
    _turned({"sampling_ratio": 2}),
    _turned({"sampling_ratio": 3, "spatial_scale": 0.5}),
    _turned({"pooled_size": (7, 1), "spatial_scale": 0.75}, dtype="float64"),
    _turned({}, data=(2, 2, 1, 3)),
    Bad("contrib.RROIAlign", {"data": (2, 3, 8, 10), "rois": (3, 5)}, REGION),
    Bad("contrib.RROIAlign", {"data": (3, 8, 10), "rois": (3, 6)}, REGION),
    Bad("contrib.RROIAlign", {"data": (2, 3, 8, 10), "rois": (3, 6)}, dict(REGION, spatial_scale=2.0)),
    Bad("contrib.RROIAlign", {"data": (2, 3, 8, 10), "rois": (3, 6)}, dict(REGION, pooled_size=(0, 2))),
]

test_rows = rows_test([*MATCHING, *ENCODED, *DECODED, *ALIGNED], __file__)
