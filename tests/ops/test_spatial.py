"""Rows of spatial transformers, resizing and pooling to a given size."""

from tests.harness import Bad, Row, normal, rows_test, uniform, values

DATA = (2, 3, 5, 4)


def _grid(data, **params):
    return Row("GridGenerator", {"data": data}, params, compile="target_shape" in params and data == (2, 6))


GRIDS = [
    _grid((2, 6), transform_type="affine", target_shape=(3, 4)),
    _grid((1, 6), transform_type="affine", target_shape=(1, 2)),
    _grid((3, 6), transform_type="affine", target_shape=(2, 2, 9)),
    _grid((2, 2, 3, 4), transform_type="warp"),
    _grid((2, 2, 1, 3), transform_type="warp", target_shape=(7, 7)),
    Bad("GridGenerator", {"data": (2, 6)}, {"transform_type": "affine"}, match="target_shape"),
    Bad("GridGenerator", {"data": (2, 6)}, {"transform_type": "affine", "target_shape": 3}),
    Bad("GridGenerator", {"data": (2, 5)}, {"transform_type": "affine", "target_shape": (2, 3)}),
    Bad("GridGenerator", {"data": (2, 3, 4, 4)}, {"transform_type": "warp"}),
    Bad("GridGenerator", {"data": (2, 6)}, {"transform_type": "affine", "target_shape": (2, 2)}, dtype="float64"),
    Bad("GridGenerator", {"data": (2, 6)}, {"transform_type": "bend"}),
    Bad("GridGenerator", {"data": (2, 6)}),
]

CORNERS = values([[[[-1, 1, 0], [-1, 1, 1.5]], [[-1, 1, 0], [1, -1, -1.01]]]])
SAMPLERS = [
    Row("BilinearSampler", {"data": DATA, "grid": uniform((2, 2, 3, 6), -1.5, 1.5)}, compile=True),
    Row("BilinearSampler", {"data": (1, 2, 4, 3), "grid": CORNERS}),
    Row("BilinearSampler", {"data": (1, 2, 1, 1), "grid": uniform((1, 2, 2, 2), -1, 1)}),
    Row("BilinearSampler", {"data": DATA, "grid": uniform((2, 2, 3, 2), -1, 1)}, dtype="float64"),
    Row("BilinearSampler", {"data": DATA, "grid": uniform((2, 2, 3, 2), -1, 1)}, {"cudnn_off": True}, dtype="float16"),
    Row("BilinearSampler", {"data": (1, 1, 2, 2), "grid": values([[[[float("nan"), 1e30]], [[0, 0]]]])}, tag="outside"),
    Bad("BilinearSampler", {"data": DATA, "grid": (1, 2, 3, 3)}),
    Bad("BilinearSampler", {"data": DATA, "grid": (2, 3, 3, 3)}, match="grid"),
    Bad("BilinearSampler", {"data": (2, 3, 4), "grid": (2, 2, 3, 3)}),
    Bad("BilinearSampler", {"data": DATA, "grid": (2, 2, 3, 3)}, dtype="int32"),
]

AFFINE = {"transform_type": "affine", "sampler_type": "bilinear"}
TURNED = values([[0.8, 0.3, 0.1, -0.2, 0.9, 0], [1.2, 0, -0.5, 0.1, 0.7, 0.4]])
TRANSFORMERS = [
    Row("SpatialTransformer", {"data": DATA, "loc": TURNED}, dict(AFFINE, target_shape=(3, 7)), compile=True),
    Row("SpatialTransformer", {"data": DATA, "loc": TURNED}, dict(AFFINE, target_shape=(2, 2)), dtype="float64"),
    Row("SpatialTransformer", {"data": (2, 1, 3, 3), "loc": normal((2, 6))}, dict(AFFINE, target_shape=(4, 4))),
    Row("SpatialTransformer", {"data": DATA, "loc": TURNED}, dict(AFFINE, target_shape=(1, 3)), grad=False, tag="line"),
    Bad("SpatialTransformer", {"data": DATA, "loc": (2, 6)}, AFFINE),
    Bad("SpatialTransformer", {"data": DATA, "loc": (2, 5)}, dict(AFFINE, target_shape=(2, 2))),
    Bad("SpatialTransformer", {"data": DATA, "loc": (3, 6)}, dict(AFFINE, target_shape=(2, 2))),
    Bad("SpatialTransformer", {"data": DATA, "loc": (2, 6)}, dict(AFFINE, target_shape=(2, 2)), dtype="float16"),
    Bad("SpatialTransformer", {"data": DATA, "loc": (2, 6)}, {"target_shape": (2, 2), "sampler_type": "bilinear"}),
]


def _resize(data=DATA, like=None, **params):
    options = {key: params.pop(key) for key in ("dtype", "compile", "rtol", "atol") if key in params}
    inputs = {"data": data} if like is None else {"data": data, "like": like}
    return Row("contrib.BilinearResize2D", inputs, params, **options)


RESIZES = [
    _resize(height=7, width=3, compile=True),
    _resize(height=7, width=3, align_corners=False),
    _resize(height=2, width=9, align_corners=False, dtype="float64", atol=1e-6),  # the original's places are float32
    _resize(height=3, width=3, dtype="float64", atol=1e-6),
    _resize(height=3, width=6, dtype="float16"),
    _resize(height=1, width=6),
    _resize(height=6, width=1, align_corners=False),
    _resize(height=5, width=4),
    _resize(),
    _resize(scale_height=2.0, scale_width=0.5, height=9),
    _resize(scale_width=2.0, height=3, width=3),
    _resize((1, 2, 10, 10), scale_height=0.7, scale_width=1.1),
    _resize(mode="odd_scale", scale_height=2.0, scale_width=0.5),
    _resize(mode="odd_scale", scale_height=0.3, scale_width=3, align_corners=False),
    _resize(mode="like", like=(2, 7, 3, 8)),
    _resize(mode="like", like=(2, 7, 5, 8), align_corners=False),
    *[_resize(mode=f"to_{parity}_{way}") for parity in ("even", "odd") for way in ("down", "up")],
    _resize((1, 2, 6, 7), mode="to_odd_down", align_corners=False),
    Bad("contrib.BilinearResize2D", {"data": DATA}, {"height": 0, "width": 2}),
    Bad("contrib.BilinearResize2D", {"data": DATA}, {"scale_height": 2.0}),
    Bad("contrib.BilinearResize2D", {"data": DATA}, {"mode": "odd_scale"}),
    Bad("contrib.BilinearResize2D", {"data": DATA}, {"mode": "simple"}),
    Bad("contrib.BilinearResize2D", {"data": (3, 5, 4)}, {"height": 2, "width": 2}),
    Bad("contrib.BilinearResize2D", {"data": DATA, "like": (2, 2)}, {"mode": "like"}),
]


def _adaptive(data=DATA, output_size=None, **options):
    params = {} if output_size is None else {"output_size": output_size}
    return Row("contrib.AdaptiveAvgPooling2D", {"data": data}, params, **options)


ADAPTIVE = [
    _adaptive(),
    _adaptive(output_size=2, compile=True),
    _adaptive(output_size=(2, 3)),
    _adaptive((1, 2, 7, 9), output_size=(3, 4), dtype="float64"),
    _adaptive(output_size=(7, 9)),
    _adaptive(output_size=(2, 3, 4)),
    _adaptive(output_size=(3, 1), dtype="float16"),
    Bad("contrib.AdaptiveAvgPooling2D", {"data": (3, 5, 4)}, {"output_size": 2}),
    Bad("contrib.AdaptiveAvgPooling2D", {"data": DATA}, {"output_size": 2}, dtype="int32"),
]

test_rows = rows_test([*GRIDS, *SAMPLERS, *TRANSFORMERS, *RESIZES, *ADAPTIVE], __file__)
