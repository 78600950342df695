"""Rows of the LSTM on 8-bit integers.

Record them with DNNL_MAX_CPU_ISA=AVX2: the original's kernel does not run on newer processors. There, products of large
integers overflow within the kernel; data below 128 avoid it. Its symbols cannot be composed by the names of their inputs.
"""

from tests.harness import Bad, Row, ints, rows_test, uniform, values

NAMES = ("data", "parameters", "state", "state_cell", "data_scale", "data_shift")
SCALE, SHIFT = values([40.0], "float32"), values([60.0], "float32")


def _inputs(time, batch, features, units, layers=1, directions=1):
    widths = [features, *[units * directions] * (layers - 1)]
    size = sum(directions * 4 * units * (width + units + 2) for width in widths)
    state = (layers * directions, batch, units)
    arrays = [ints((time, batch, features), 0, 128, "uint8"), uniform((size,), -0.5, 0.5), uniform(state, -0.5, 0.5),
              uniform(state, -0.5, 0.5), SCALE, SHIFT]  # fmt: skip
    return dict(zip(NAMES, arrays))


def _row(sizes, layers=1, bidirectional=False, **options):
    params = {"state_size": sizes[3], "num_layers": layers, "mode": "lstm", "state_outputs": True}
    inputs = _inputs(*sizes, layers, 1 + bidirectional)
    params = {**params, **({"bidirectional": True} if bidirectional else {})}
    return Row("contrib.quantized_rnn", inputs, params, grad=False, train=False, faces=("nd",), **options)


def _bad(change=None, error=None, **params):
    inputs = {**_inputs(2, 1, 3, 2), **(change or {})}
    given = {"state_size": 2, "num_layers": 1, "mode": "lstm", **params}
    return Bad("contrib.quantized_rnn", inputs, given, error=error, train=False, faces=("nd",))


ROWS = [
    _row((1, 1, 2, 2)),
    _row((3, 2, 3, 4)),
    _row((3, 2, 5, 4), bidirectional=True),
    _row((2, 1, 2, 2), layers=2),  # all layers in one kernel: the first one's weights give the scales
    _row((2, 2, 3, 5), layers=3),
    _row((2, 2, 9, 2), layers=3),
    _row((2, 1, 3, 3), layers=2, bidirectional=True),
    _row((3, 2, 4, 2), layers=3, bidirectional=True),
    Row("contrib.quantized_rnn", _inputs(2, 1, 3, 2), {"state_size": 2, "num_layers": 1, "mode": "lstm"}, grad=False,
        train=False, faces=("nd",)),
    _bad(mode="gru"),
    _bad({"data": ints((2, 1, 3), 0, 9, "int8")}),
    _bad({"parameters": uniform((5,), -0.5, 0.5)}),
    _bad(projection_size=1, error="MXNetError"),  # these the original accepts, and computes as if they were not there
    _bad(lstm_state_clip_min=-0.1, lstm_state_clip_max=0.1, error="MXNetError"),
]  # fmt: skip

test_rows = rows_test(ROWS, __file__)
