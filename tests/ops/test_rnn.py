"""Rows of the fused recurrent layers, and checks of what the original does on a GPU only."""

from tests.harness import Bad, Row, rows_test, uniform

GATES = {"rnn_relu": 1, "rnn_tanh": 1, "gru": 3, "lstm": 4}
LOOSE = {"rtol": 2e-4, "atol": 2e-5}  # a recursion over time


def parameter_count(mode, inputs, state, layers=1, directions=1, projection=None):
    """The length of the packed vector, counted cell by cell."""
    gates, width = GATES[mode] * state, projection or state
    total = 0
    for layer in range(layers):
        incoming = inputs if layer == 0 else width * directions
        total += directions * (gates * (incoming + width + 2) + (projection or 0) * state)
    return total


def _arrays(mode, steps=4, batch=2, inputs=3, state=2, layers=1, directions=1, projection=None):
    count = parameter_count(mode, inputs, state, layers, directions, projection)
    arrays = {
        "data": (steps, batch, inputs),
        "parameters": uniform((count,), -1, 1),
        "state": (layers * directions, batch, projection or state),
    }
    if mode == "lstm":
        arrays["state_cell"] = (layers * directions, batch, state)
    return arrays


def _params(mode, state=2, layers=1, directions=1, projection=None, **params):
    params.update(mode=mode, state_size=state, num_layers=layers)
    if directions == 2:
        params["bidirectional"] = True
    if projection:
        params["projection_size"] = projection
    return params


def _row(mode, dtype="float32", train=True, grad=True, compiled=False, faces=("sym", "nd"), size=None, **shape):
    flags = {name: shape.pop(name) for name in ("state_outputs", "p") if name in shape}
    loose = LOOSE if dtype == "float32" else {"rtol": 1e-5, "atol": 1e-6}  # the original keeps some steps in float32
    params = _params(
        mode, **{key: value for key, value in shape.items() if key not in ("steps", "batch", "inputs")}, **flags
    )
    options = dict(dtype=dtype, train=train, grad=grad, compile=compiled, faces=faces)
    return Row("RNN", _arrays(mode, **shape), params, **options, **loose)


def _mode(mode):
    rows = []
    for shown in (True, False):
        rows += [
            _row(mode, state_outputs=shown, compiled=shown),
            _row(mode, layers=2, state_outputs=shown),
            _row(mode, directions=2, state_outputs=shown),
            _row(mode, layers=2, directions=2, state=3, state_outputs=shown),
        ]
    return [
        *rows,
        _row(mode, layers=2, directions=2, state_outputs=True, dtype="float64"),
        _row(mode, layers=2, state_outputs=True, p=0.5, train=False, grad=False),
        _row(mode, steps=1, batch=1, inputs=1, state=1),
    ]


def _projected(**shape):
    """The original's CPU runs projections imperatively and without gradients only."""
    return _row("lstm", state_outputs=True, train=False, grad=False, faces=("nd",), **shape)


LSTM, GRU = _arrays("lstm"), _arrays("gru")
CLIP = {"lstm_state_clip_min": -1.0, "lstm_state_clip_max": 1.0}

ROWS = [
    *[row for mode in GATES for row in _mode(mode)],
    _projected(projection=1),
    _projected(state=3, projection=2, layers=2),
    _projected(state=3, projection=2, layers=2, directions=2),
    Bad("RNN", dict(LSTM, data=(4, 3)), _params("lstm"), match="axes"),
    Bad("RNN", dict(LSTM, parameters=(55,)), _params("lstm"), match="parameters"),
    Bad("RNN", dict(GRU, state=(2, 2, 2)), _params("gru"), match="state"),
    Bad("RNN", GRU, _params("elman"), match="mode"),
    Bad("RNN", GRU, _params("gru", p=1.5), match="p="),
    Bad("RNN", GRU, _params("gru", **CLIP), match="lstm_state_clip", error="RuntimeError"),
    Bad("RNN", LSTM, _params("lstm", lstm_state_clip_min=-1.0), match="together", error="RuntimeError"),
    Bad("RNN", _arrays("gru", projection=1), _params("gru", projection=1), match="projection", error="RuntimeError"),
]

test_rows = rows_test(ROWS, __file__)
