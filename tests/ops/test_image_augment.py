"""Rows of colour changes and random changes of images; a range of one factor makes a draw comparable."""

import numpy as np

from tests.harness import Bad, Row, rows_test
from tests.rows import Sampled, ints, uniform

BYTES = ints((4, 5, 3), 0, 256, dtype="uint8")
FLOATS = uniform((4, 5, 3), 0.0, 255.0)
GRAYS = np.array([[[0, 0, 0], [255, 255, 255], [90, 90, 90]], [[255, 0, 0], [0, 200, 0], [10, 0, 240]]], "float32")
PAIRS = [("brightness", 1.3), ("contrast", 0.6), ("contrast", 1.7), ("saturation", 0.5), ("saturation", 1.4)]
TURNS = [0.0, 0.1, 0.5, 1.75]


def _fixed(name, factor, data, **options):
    return Row(f"image.random_{name}", {"data": data}, {"min_factor": factor, "max_factor": factor}, **options)


def _around(low, high):
    """Every value lies within what the operator may do to 100."""

    def check(sample):
        assert low <= sample.min()
        assert sample.max() <= high

    return check


def _mirrored(axis):
    def check(sample):
        line = np.arange(12).reshape(2, 2, 3)
        assert any((sample == given).all() for given in (line, np.flip(line, axis)))

    return check


HUNDRED = np.full((3, 4, 3), 100, "float32")
LINE = np.arange(12, dtype="float32").reshape(2, 2, 3)
JITTER = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}

ROWS = [
    *[_fixed(name, factor, data) for name, factor in PAIRS for data in (BYTES, FLOATS)],
    *[_fixed(name, 0.8, uniform((4, 5, 1), 0.0, 255.0)) for name in ("brightness", "contrast", "saturation")],
    *[_fixed("hue", part, data) for part in TURNS for data in (FLOATS, GRAYS)],
    _fixed("brightness", 0.5, ints((4, 5, 3), -100, 100), dtype="int32"),
    _fixed("contrast", 0.5, FLOATS, dtype="float64", rtol=1e-6, compile=True),  # computed in single precision
    Row("image.adjust_lighting", {"data": FLOATS}, {"alpha": (0.1, -0.2, 0.3)}, compile=True),
    Row("image.adjust_lighting", {"data": BYTES}, {"alpha": (2.0, 1.0, -1.0)}),
    Row("image.adjust_lighting", {"data": FLOATS}, {"alpha": (0.0, 5.0, 0.0)}, dtype="float64", rtol=1e-6),
    *[
        Sampled(f"image.random_flip_{way}", {"data": LINE}, check=_mirrored(axis), tag=tag)
        for way, axis in (("left_right", 1), ("top_bottom", 0))
        for tag in ("a", "b", "c")
    ],
    Sampled("image.random_lighting", {"data": HUNDRED}, check=_around(70, 130)),
    Sampled("image.random_lighting", {"data": HUNDRED}, {"alpha_std": 0.2}, check=_around(0, 200)),
    Sampled("image.random_lighting", {"data": HUNDRED}, {"alpha_std": 0.01}, check=_around(90, 110), dtype="float64"),
    Sampled("image.random_color_jitter", {"data": HUNDRED}, dict(JITTER, brightness=0.3), check=_around(70, 130)),
    Sampled(
        "image.random_color_jitter", {"data": HUNDRED}, dict(JITTER, saturation=0.1, hue=0.2), check=_around(85, 115)
    ),
    Sampled("image.random_color_jitter", {"data": HUNDRED}, {key: 0.2 for key in JITTER}, check=_around(40, 160)),
    Bad("image.random_brightness", {"data": (4, 5)}, {"min_factor": 0.5, "max_factor": 1.0}),
    Bad("image.random_brightness", {"data": (4, 5, 2)}, {"min_factor": 0.5, "max_factor": 1.0}),
    Bad("image.random_contrast", {"data": (4, 5, 3)}, {"min_factor": -0.5, "max_factor": 1.0}),
    Bad("image.random_hue", {"data": (4, 5, 3)}, {"min_factor": 0.5}),
    Bad("image.adjust_lighting", {"data": (4, 5, 3)}, {"alpha": (0.1, 0.2)}, error="MXNetError"),
]

test_rows = rows_test(ROWS, __file__)


def test_a_jitter_that_may_change_nothing_changes_nothing() -> None:
    import mxcompat as mx

    found = mx.nd.image.random_color_jitter(mx.nd.array(GRAYS), **JITTER)
    np.testing.assert_array_equal(found.asnumpy(), GRAYS)


def test_both_ways_of_a_random_flip_occur() -> None:
    import mxcompat as mx

    mx.random.seed(1)
    sums = {float(mx.nd.image.random_flip_left_right(mx.nd.array(LINE))[0, 0, 0].asscalar()) for _ in range(40)}
    assert sums == {0.0, 3.0}
