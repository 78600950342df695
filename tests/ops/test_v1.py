"""Rows of the first generation of convolution, pooling and batch normalization."""

from tests.harness import Bad, Row, distinct, positive, rows_test

IMAGE, SMALL = (2, 4, 5, 6), (2, 3, 2, 2)
FILTERS = {"num_filter": 6, "kernel": (3, 2)}
CONV = {"data": IMAGE, "weight": (6, 4, 3, 2), "bias": (6,)}
POOLED = {"data": (2, 3, 5, 6)}
TIES = [[[[1.0, 1.0, 0.0, 2.0], [1.0, 1.0, 2.0, 2.0], [-1.0, -1.0, 2.0, 0.0], [-1.0, -2.0, 0.0, 0.0]]]]
BELOW = [[[[-3.0, -1.0, -2.0], [-1.0, -4.0, -1.0], [-5.0, -1.0, -2.0]]]]
NORM = {"data": SMALL, "gamma": (3,), "beta": (3,)}
MOVING = {"moving_mean": (3,), "moving_var": positive((3,))}
SYM = ("sym",)  # imperatively the original takes three of the five inputs, and then asks for five

ROWS = [
    Row("Convolution_v1", CONV, FILTERS, compile=True),
    Row("Convolution_v1", CONV, dict(FILTERS, stride=(2, 1), pad=(1, 2), workspace=64), dtype="float64"),
    Row("Convolution_v1", CONV, dict(FILTERS, dilate=(2, 3), layout="NCHW")),
    Row("Convolution_v1", {"data": IMAGE, "weight": (6, 2, 3, 2)}, dict(FILTERS, num_group=2, no_bias=True)),
    Bad("Convolution_v1", {"data": (2, 4, 5), "weight": (6, 4, 3), "bias": (6,)}, {"num_filter": 6, "kernel": (3,)}),
    Bad("Convolution_v1", {"data": (1, 4, 3, 3, 3), "weight": (6, 4, 2, 2, 2), "bias": (6,)}, dict(FILTERS, kernel=(2, 2, 2))),
    Bad("Convolution_v1", {"data": (2, 5, 6, 4), "weight": (6, 3, 2, 4), "bias": (6,)}, dict(FILTERS, layout="NHWC")),
    Bad("Convolution_v1", CONV, dict(FILTERS, stride=(1,))),
    Bad("Convolution_v1", CONV, dict(FILTERS, stride=(0, 1))),
    Bad("Convolution_v1", CONV, dict(FILTERS, num_group=3), match="num_group"),
    Bad("Convolution_v1", CONV, dict(FILTERS, kernel=(6, 2)), match="kernel"),
    Bad("Convolution_v1", CONV, dict(FILTERS, dilate=(3, 1))),
    Bad("Convolution_v1", CONV, dict(FILTERS, kernel=(2, 2)), match="weight"),
    *[
        Row("Pooling_v1", POOLED, dict(geometry, kernel=(3, 2), pool_type=kind), compile=not geometry)
        for kind in ("max", "avg", "sum")
        for geometry in (
            {},
            {"stride": (2, 3), "pad": (1, 1)},
            {"stride": (2, 3), "pooling_convention": "full"},
            {"stride": (3, 2), "pad": (1, 0), "pooling_convention": "full"},
        )
    ],
    *[Row("Pooling_v1", POOLED, {"global_pool": True, "pool_type": kind}) for kind in ("max", "avg", "sum")],
    Row("Pooling_v1", {"data": distinct((1, 2, 4, 4))}, {"kernel": (2, 2), "global_pool": True}, dtype="float64"),
    Row("Pooling_v1", {"data": distinct((1, 2, 4, 4))}, {"kernel": (2, 2), "stride": (2, 2)}, dtype="float16"),
    Row("Pooling_v1", {"data": TIES}, {"kernel": (2, 2)}, tag="ties"),
    Row("Pooling_v1", {"data": BELOW}, {"kernel": (3, 3), "stride": (2, 2), "pad": (1, 1)}, tag="padding-counts"),
    Row("Pooling_v1", {"data": BELOW}, {"kernel": (2, 2), "stride": (2, 2), "pooling_convention": "full"}),
    Bad("Pooling_v1", POOLED, match="kernel"),
    Bad("Pooling_v1", POOLED, {"kernel": (2,)}),
    Bad("Pooling_v1", POOLED, {"kernel": (2, 2), "stride": (0, 0)}),
    Bad("Pooling_v1", POOLED, {"kernel": (2, 2), "stride": (2,)}),
    Bad("Pooling_v1", POOLED, {"kernel": (7, 2)}, match="exceeds"),
    Bad("Pooling_v1", POOLED, {"kernel": (2, 2), "pool_type": "lp"}, match="pool_type"),
    Bad("Pooling_v1", {"data": (2, 3, 4)}, {"kernel": (2,)}),
    Bad("Pooling_v1", {"data": (1, 1, 4, 4, 4)}, {"kernel": (2, 2, 2)}),
    # atol: the gradients of the data cancel
    Row("BatchNorm_v1", NORM, aux=MOVING, faces=SYM, compile=True, atol=1e-5),
    Row("BatchNorm_v1", NORM, {"fix_gamma": False, "eps": 0.1, "momentum": 0.5}, aux=MOVING, faces=SYM, atol=1e-5),
    Row("BatchNorm_v1", NORM, {"output_mean_var": True, "fix_gamma": False}, aux=MOVING, faces=SYM, atol=1e-5),
    Row("BatchNorm_v1", NORM, {"use_global_stats": True, "fix_gamma": False}, aux=MOVING, faces=SYM),
    Row("BatchNorm_v1", NORM, {"fix_gamma": False}, aux=MOVING, faces=SYM, train=False, grad=False),
    Row("BatchNorm_v1", dict(NORM, data=(7, 3)), {"fix_gamma": False}, aux=MOVING, faces=SYM, atol=1e-5),
    Bad("BatchNorm_v1", dict(NORM, data=(2, 3, 4)), aux=MOVING, faces=SYM, match="axes"),
    Bad("BatchNorm_v1", NORM, aux=MOVING, faces=SYM, dtype="float64", error="MXNetError", match="float32"),
]  # fmt: skip

test_rows = rows_test(ROWS, __file__)
