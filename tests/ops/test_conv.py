"""Rows of convolution, its transpose, up-sampling and cropping."""

import numpy as np

from tests.harness import Bad, Row, rows_test

#: kernel, spatial size of the data
SPACES = [((3,), (7,)), ((3, 2), (6, 5)), ((2, 3, 2), (4, 5, 4))]
LOOSE = {"rtol": 1e-4, "atol": 1e-5}  # sums of up to a few hundred products in another order


def _convolution(kernel, space, groups=1, bias=True, filters=6, channels=4, dtype="float32", compiled=False, **params):
    inputs = {"data": (2, channels, *space), "weight": (filters, channels // groups, *kernel), "bias": (filters,)}
    if not bias:
        del inputs["bias"]
        params["no_bias"] = True
    if groups != 1:
        params["num_group"] = groups
    given = dict(params, kernel=kernel, num_filter=filters)
    loose = LOOSE if dtype == "float32" else {}
    return Row("Convolution", inputs, given, dtype=dtype, compile=compiled, **loose)


def _deconvolution(
    kernel, space, groups=1, bias=False, filters=6, channels=4, dtype="float32", compiled=False, **params
):
    inputs = {"data": (2, channels, *space), "weight": (channels, filters // groups, *kernel)}
    if bias:
        inputs["bias"] = (filters,)
        params["no_bias"] = False
    if groups != 1:
        params["num_group"] = groups
    given = dict(params, kernel=kernel, num_filter=filters)
    loose = LOOSE if dtype == "float32" else {}
    return Row("Deconvolution", inputs, given, dtype=dtype, compile=compiled, **loose)


def _spatial_rows(kernel, space):
    axes = len(kernel)
    two, one = (2,) * axes, (1,) * axes
    rows = [
        _convolution(kernel, space, compiled=axes == 2),
        _convolution(kernel, space, groups=2, stride=two, pad=one),
        _convolution(kernel, space, bias=False, dilate=two, pad=two),
        _deconvolution(kernel, space, compiled=axes == 2),
        _deconvolution(kernel, space, groups=2, bias=True, stride=two, pad=one, adj=one),
    ]
    if axes < 3:
        rows.append(_deconvolution(kernel, space, dilate=two, filters=3))
    return rows


CONVOLUTION = {"data": (2, 4, 6, 5), "weight": (6, 4, 3, 3), "bias": (6,)}
PLANE = {"kernel": (3, 3), "num_filter": 6}
TRANSPOSED = {"data": (2, 4, 6, 5), "weight": (4, 6, 3, 3)}


def _nearest(*shapes, **params):
    inputs = {f"arg{i}": shape for i, shape in enumerate(shapes)}
    return Row("UpSampling", inputs, dict(params, sample_type="nearest", num_args=len(shapes)), exact=len(shapes) == 1)


def _bilinear(scale, **options):
    size = 2 * scale - scale % 2
    params = {"scale": scale, "sample_type": "bilinear", "num_args": 2, "num_filter": 2}
    return Row("UpSampling", {"arg0": (1, 2, 3, 4), "arg1": (2, 1, size, size)}, params, **LOOSE, **options)


def _crop(*shapes, bad=False, **params):
    inputs = {f"arg{i}": shape for i, shape in enumerate(shapes)}
    return (Bad if bad else Row)("Crop", inputs, dict(params, num_args=len(shapes)))


IMAGE = (1, 2, 5, 6)
AT_BIND = "RuntimeError"  # the original finds out when it composes or runs, here binding does

ROWS = [
    *[row for kernel, space in SPACES for row in _spatial_rows(kernel, space)],
    _convolution((3, 3), (6, 5), dtype="float64"),
    _convolution((3, 3), (6, 5), groups=4, filters=4, layout="NCHW"),
    _convolution((1, 1), (4, 4), filters=1, bias=False),
    _convolution((5, 5), (5, 5), filters=2, pad=(2, 2), stride=(2, 3), workspace=64, cudnn_tune="off"),
    Row("Convolution", CONVOLUTION, PLANE, grad=("weight",), **LOOSE),
    Row("Convolution", CONVOLUTION, PLANE, train=False, grad=False, **LOOSE),
    _deconvolution((3, 3), (6, 5), dtype="float64"),
    _deconvolution((2, 2), (3, 3), stride=(3, 3)),
    Bad("Convolution", dict(CONVOLUTION, bias=(5,)), PLANE, match=r"expected \(6,\)"),
    Bad("Convolution", dict(CONVOLUTION, weight=(6, 3, 3, 3)), PLANE, match="weight"),
    Bad("Convolution", CONVOLUTION, dict(PLANE, kernel=(3,))),
    Bad("Convolution", CONVOLUTION, dict(PLANE, kernel=(9, 9)), match="kernel size 9"),
    Bad("Convolution", CONVOLUTION, dict(PLANE, stride=(1,)), match="stride", error=AT_BIND),
    Bad("Convolution", CONVOLUTION, dict(PLANE, stride=(0, 1)), match="stride"),
    Bad("Convolution", CONVOLUTION, dict(PLANE, num_group=4), match="num_group"),
    Bad("Convolution", CONVOLUTION, dict(PLANE, num_filter=0)),
    Bad("Convolution", CONVOLUTION, {"num_filter": 6}, match="kernel"),
    Bad("Deconvolution", TRANSPOSED, dict(PLANE, adj=(1, 1)), match="adj"),
    Bad("Deconvolution", TRANSPOSED, dict(PLANE, target_shape=(99, 99)), match="too big"),
    Bad("Deconvolution", TRANSPOSED, dict(PLANE, target_shape=(8,))),
    Bad("Deconvolution", dict(TRANSPOSED, weight=(4, 5, 3, 3)), PLANE),
    _nearest((1, 2, 3, 2), scale=3),
    _nearest((2, 3, 2, 2), scale=1),
    _nearest((1, 2, 3, 2), (1, 1, 6, 4), scale=2),
    _nearest((1, 2, 3, 2), (1, 2, 6, 4), scale=2, multi_input_mode="sum"),
    Row("UpSampling", {"arg0": (1, 2, 3, 2)}, {"scale": 2, "sample_type": "nearest", "num_args": 1}, compile=True),
    _bilinear(1),
    _bilinear(2, compile=True),
    _bilinear(3),
    _bilinear(4),
    Bad("UpSampling", {"arg0": (1, 2, 3)}, {"scale": 2, "sample_type": "nearest", "num_args": 1}),
    _crop(IMAGE, h_w=(2, 3)),
    _crop(IMAGE, h_w=(2, 3), offset=(3, 1)),
    _crop(IMAGE, h_w=(2, 3), center_crop=True),
    _crop(IMAGE, (3, 1, 2, 3), center_crop=True),
    _crop(IMAGE, (1, 2, 2, 3), offset=(1, 2)),
    Row("Crop", {"arg0": IMAGE}, {"h_w": (4, 4), "num_args": 1}, compile=True),
    _crop(IMAGE, h_w=(6, 3), bad=True),
    _crop(IMAGE, bad=True),
    _crop((2, 5, 6), h_w=(2, 2), bad=True),
    Bad("Crop", {"arg0": IMAGE}, {"h_w": (2, 3), "offset": (4, 0), "num_args": 1}, error=AT_BIND),
]

test_rows = rows_test(ROWS, __file__)


def _run(op, params, *arrays):
    """The output, and the gradients of the inputs for head gradients of 0, 1, 2, ..."""
    import mxcompat as mx

    handles = [mx.nd.array(array) for array in arrays]
    for handle in handles:
        handle.attach_grad()
    with mx.autograd.record():
        output = getattr(mx.nd, op)(*handles, **params)
    output.backward(mx.nd.arange(output.size).reshape(output.shape))
    return [output.asnumpy(), *[handle.grad.asnumpy() for handle in handles]]


def _draw(*shapes):
    rng = np.random.RandomState(5)
    return [rng.uniform(-1, 1, shape).astype("float32") for shape in shapes]


def test_channels_last_is_a_permutation():
    """The original has these layouts on a GPU only."""
    for op, layout, space, kernel in [
        ("Convolution", "NHWC", (6, 5), (3, 2)),
        ("Convolution", "NDHWC", (3, 4, 3), (2, 3, 2)),
        ("Deconvolution", "NHWC", (4, 3), (3, 2)),
    ]:
        params = {"kernel": kernel, "num_filter": 6, "no_bias": True, "num_group": 2}
        weight = (6, *kernel, 2) if op == "Convolution" else (4, *kernel, 3)
        data, weight = _draw((2, *space, 4), weight)
        found = _run(op, dict(params, layout=layout), data, weight)
        first = [np.moveaxis(array, -1, 1) for array in (data, weight)]
        output = _run(op, params, *first)[0]
        np.testing.assert_allclose(found[0], np.moveaxis(output, 1, -1), rtol=1e-4, atol=1e-5)
        assert found[1].shape == data.shape and found[2].shape == weight.shape


def test_deconvolution_target_shape_replaces_pad_and_adj():
    """The original's CPU build infers this shape and then finds no kernel for it."""
    data, weight = _draw((2, 4, 5, 6), (4, 3, 3, 3))
    params = {"kernel": (3, 3), "stride": (2, 2), "num_filter": 3}
    # (in - 1) * 2 + 3 is 11 and 13: an excess of 1 and 3 is halved upwards, the odd one given back as adj
    found = _run("Deconvolution", dict(params, target_shape=(10, 10), pad=(7, 7)), data, weight)
    wanted = _run("Deconvolution", dict(params, pad=(1, 2), adj=(1, 1)), data, weight)
    for one, other in zip(found, wanted):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
