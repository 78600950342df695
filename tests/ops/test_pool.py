"""Rows of pooling. Values are distinct where ties are not meant: their gradient goes to the first position."""

from tests.harness import Bad, Row, distinct, ints, rows_test, uniform

SPACES = [((3,), (7,)), ((3, 2), (6, 7)), ((2, 3, 2), (4, 5, 6))]
TYPES = ["max", "avg", "sum", "lp"]


def _pool(space, pool_type="max", data=None, compiled=False, dtype="float32", **params):
    if data is None:
        data = uniform((2, 3, *space), 0.1, 1.0) if pool_type == "lp" else distinct((2, 3, *space))
    if pool_type == "lp":
        params.setdefault("p_value", 2)
    return Row("Pooling", {"data": data}, dict(params, pool_type=pool_type), compile=compiled, dtype=dtype)


def _windows(kernel, space, kind):
    axes = len(kernel)
    one, two, three = (1,) * axes, (2,) * axes, (3,) * axes
    return [
        _pool(space, kind, kernel=kernel, compiled=axes == 2),
        _pool(space, kind, kernel=kernel, stride=two, pad=one),
        _pool(space, kind, kernel=kernel, stride=two, pad=one, pooling_convention="full", compiled=axes == 2),
        _pool(space, kind, kernel=three, pad=two),  # more than half a window of padding
        _pool(space, kind, kernel=kernel, stride=two, pad=one, global_pool=True),
        _pool(space, kind, global_pool=True, compiled=axes == 2),
    ]


def _borders(kernel, space):
    """Windows cut by the border, with and without the padding; in three dimensions empty windows are undefined."""
    axes = len(kernel)
    rows = []
    for include_pad in (True, False):
        given = {"stride": (2,) * axes, "count_include_pad": include_pad}
        rows.append(_pool(space, "avg", kernel=kernel, pad=(1,) * axes, **given))
        if axes < 3:
            rows.append(_pool(space, "avg", kernel=kernel, pad=(1,) * axes, pooling_convention="full", **given))
    if axes < 3:
        for kind in TYPES:  # windows that lie in the padding
            rows.append(_pool(space, kind, kernel=(1,) * axes, stride=(3,) * axes, pooling_convention="full"))
    return rows


DATA = (2, 3, 6, 7)
AT_BIND = "RuntimeError"  # the original finds out when it composes or runs, here binding does

ROWS = [
    *[row for kernel, space in SPACES for kind in TYPES for row in _windows(kernel, space, kind)],
    *[row for kernel, space in SPACES for row in _borders(kernel, space)],
    *[_pool((6, 7), "lp", kernel=(2, 2), p_value=power) for power in (1, 3)],
    _pool((6, 7), data=ints(DATA, -2, 3), kernel=(2, 2)),
    _pool((6, 7), data=ints(DATA, -2, 3), kernel=(3, 3), stride=(2, 2), pad=(1, 1), compiled=True),
    _pool((6, 7), data=ints(DATA, -2, 3), global_pool=True),
    _pool((7,), data=ints((2, 3, 7), 0, 3), kernel=(2,)),
    _pool((3, 3, 3), data=ints((1, 1, 3, 3, 3), 0, 2), kernel=(2, 2, 2)),
    *[_pool((6, 7), kind, kernel=(3, 3), stride=(2, 2), dtype="float64") for kind in TYPES],
    *[_pool((6, 7), kind, kernel=(2, 2), stride=(2, 2), dtype="float16") for kind in ("max", "avg")],
    *[
        _pool((5, 3), kind, data=distinct((2, 6, 5, 3)), kernel=(2, 2), stride=(2, 2), layout="NHWC")
        for kind in ("max", "avg")
    ],
    _pool((5, 3), data=distinct((2, 6, 5, 3)), global_pool=True, layout="NHWC"),
    _pool((3,), data=distinct((2, 6, 3)), kernel=(2,), layout="NWC"),
    _pool((4, 3), "avg", data=distinct((2, 6, 5, 4, 3)), kernel=(2, 2, 2), layout="NDHWC"),
    *[
        _pool((7,), kind, kernel=(3,), stride=(2,), pad=(0, 0, 0), pooling_convention="same", dtype="float64")
        for kind in TYPES  # in float32 the original's library fails on windows that the border cuts
    ],
    _pool((6,), kernel=(2,), stride=(2,), pad=(0, 0, 0), pooling_convention="same", compiled=True),
    Row("Pooling", {"data": DATA}, {"kernel": (2, 2), "pool_type": "max"}, train=False, grad=False, exact=True),
    Bad("Pooling", {"data": DATA}, {"kernel": (2, 2), "pool_type": "lp", "p_value": 4}, match="p_value", error=AT_BIND),
    Bad("Pooling", {"data": DATA}, {"kernel": (2, 2), "pool_type": "lp"}, match="p_value"),
    Bad("Pooling", {"data": DATA}, {"kernel": (2, 2), "pad": (2, 2), "pool_type": "max"}, match="pad", error=AT_BIND),
    Bad("Pooling", {"data": DATA}, {"kernel": (9, 2), "pool_type": "max"}, match="kernel size 9"),
    Bad("Pooling", {"data": DATA}, {"kernel": (2, 2, 2), "pool_type": "max"}),
    Bad("Pooling", {"data": DATA}, {"kernel": (2, 2), "stride": (1,), "pool_type": "max"}, match="stride"),
    Bad("Pooling", {"data": DATA}, {"pool_type": "max"}, match="kernel", error=AT_BIND),
    Bad("Pooling", {"data": (2, 3)}, {"kernel": (2,), "pool_type": "max"}),
    Bad("Pooling", {"data": DATA}, {"kernel": (2, 2), "pooling_convention": "same"}, match="same"),
    Bad("Pooling", {"data": (1, 2, 7)}, {"kernel": (2,), "pooling_convention": "same"}, match="same"),
    Bad("Pooling", {"data": DATA}, {"kernel": (2, 2), "pool_type": "median"}, match="pool_type"),
]

test_rows = rows_test(ROWS, __file__)
