"""Rows of batch normalization with statistics of several devices, and fused with a rectifier."""

from tests.harness import Bad, Row, positive, rows_test

AUX = {"moving_mean": (3,), "moving_var": positive((3,))}
SYNC, RELU = "contrib.SyncBatchNorm", "contrib.BatchNormWithReLU"


def _rows(op, data, params, **options):
    inputs = {"data": data, "gamma": (3,), "beta": (3,)}
    return Row(op, inputs, params, aux=AUX, atol=1e-5, **options)  # sums of squares cancel in the original


def _key(number, **params):
    return dict(params, key=f"layer{number}")


ROWS = [
    _rows(SYNC, (4, 3, 2, 5), _key(1, fix_gamma=False), compile=True),
    _rows(SYNC, (4, 3, 2, 5), _key(2), partial=False),
    _rows(SYNC, (4, 3), _key(3, fix_gamma=False, eps=0.25, momentum=0.5)),
    _rows(SYNC, (4, 3, 5), _key(4, fix_gamma=False, use_global_stats=True)),
    _rows(SYNC, (4, 3, 5), _key(5, fix_gamma=False), train=False, grad=False),
    _rows(SYNC, (4, 3, 2, 2, 2), _key(6, fix_gamma=False, output_mean_var=True), head=[(4, 3, 2, 2, 2), (3,), (3,)]),
    Bad(SYNC, {"data": (4, 3), "gamma": (3,), "beta": (3,)}, {}, aux=AUX),
    Bad(SYNC, {"data": (4,), "gamma": (4,), "beta": (4,)}, _key(7), aux={"moving_mean": (4,), "moving_var": (4,)}),
    Bad(
        SYNC, {"data": (4, 3), "gamma": (3,), "beta": (3,)}, _key(8, ndev=2), aux=AUX, error="MXNetError", match="ndev"
    ),
    Bad(SYNC, {"data": (4, 3), "gamma": (3,), "beta": (3,)}, _key(9), aux=AUX, dtype="float64"),
    _rows(RELU, (4, 3, 2, 5), {"fix_gamma": False}, compile=True),
    _rows(RELU, (4, 3, 2, 5), {}),
    _rows(RELU, (4, 3, 2, 5), {"fix_gamma": False, "use_global_stats": True}),
    _rows(RELU, (4, 3, 2, 5), {"fix_gamma": False, "eps": 0.25, "momentum": 0.5}),
    _rows(RELU, (4, 3, 2, 5), {"fix_gamma": False}, train=False, grad=False),
    _rows(RELU, (4, 3, 1, 5), {"fix_gamma": False, "output_mean_var": True}, head=[(4, 3, 1, 5), (3,), (3,)]),
    Bad(RELU, {"data": (4, 3), "gamma": (3,), "beta": (3,)}, aux=AUX),
    Bad(RELU, {"data": (4, 2, 2, 3), "gamma": (3,), "beta": (3,)}, {"axis": 3}, aux=AUX),
]

test_rows = rows_test(ROWS, __file__)
