"""Rows of the fused recurrent layers, and checks of what the original does on a GPU only."""

import numpy as np

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


def _run(mode, arrays, **params):
    """Outputs and the gradients of data and parameters, head gradients of ones."""
    import mxcompat as mx

    handles = {name: mx.nd.array(array) for name, array in arrays.items()}
    for name in ("data", "parameters"):
        handles[name].attach_grad()
    with mx.autograd.record():
        results = mx.nd.RNN(**handles, **_params(mode, state_outputs=True, **params))
    mx.autograd.backward(results)
    return [array.asnumpy() for array in results], handles["data"].grad.asnumpy(), handles["parameters"].grad.asnumpy()


def _drawn(mode, **shape):
    rng = np.random.RandomState(3)
    shapes = {name: spec if isinstance(spec, tuple) else None for name, spec in _arrays(mode, **shape).items()}
    count = parameter_count(mode, 3, **{key: value for key, value in shape.items() if key != "steps"})
    return {name: rng.uniform(-1, 1, size or (count,)).astype("float32") for name, size in shapes.items()}


def test_lengths_end_each_sequence():
    """A padded batch equals its sequences run alone; outputs beyond the end are zero."""
    for mode in GATES:
        shape = dict(state=2, layers=2, directions=2)
        arrays = _drawn(mode, **shape)
        lengths = np.array([2, 4])
        padded = dict(arrays, sequence_length=lengths)
        outputs, data_grad, parameter_grad = _run(mode, padded, use_sequence_length=True, **shape)
        total = np.zeros_like(parameter_grad)
        for index, length in enumerate(lengths):
            alone = {name: array[:, index : index + 1] for name, array in arrays.items() if name != "parameters"}
            alone.update(data=alone["data"][:length], parameters=arrays["parameters"])
            wanted, wanted_grad, share = _run(mode, alone, **shape)
            total += share
            np.testing.assert_allclose(outputs[0][:length, index], wanted[0][:, 0], rtol=1e-4, atol=1e-6)
            assert not outputs[0][length:, index].any()
            for found, state in zip(outputs[1:], wanted[1:]):
                np.testing.assert_allclose(found[:, index], state[:, 0], rtol=1e-4, atol=1e-6)
            np.testing.assert_allclose(data_grad[:length, index], wanted_grad[:, 0], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(parameter_grad, total, rtol=1e-4, atol=1e-5)


def test_clipping_bounds_the_cell_state():
    arrays = _drawn("lstm", state=2)
    free, *_ = _run("lstm", arrays, state=2)
    wide, *_ = _run("lstm", arrays, state=2, lstm_state_clip_min=-9.0, lstm_state_clip_max=9.0)
    for found, wanted in zip(wide, free):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
    tight, *_ = _run("lstm", arrays, state=2, lstm_state_clip_min=-0.1, lstm_state_clip_max=0.1)
    assert np.abs(tight[2]).max() <= np.float32(0.1) < np.abs(free[2]).max()


def test_clipping_can_stop_nan():
    arrays = _drawn("lstm", state=2)
    arrays["state_cell"][:] = np.nan
    limits = dict(lstm_state_clip_min=-0.1, lstm_state_clip_max=0.1, state=2)
    assert np.isnan(_run("lstm", arrays, **limits)[0][2]).all()
    assert np.isfinite(_run("lstm", arrays, lstm_state_clip_nan=True, **limits)[0][2]).all()


def test_identity_projection_changes_nothing():
    """With P = H and the unit matrix a projected LSTM is an LSTM; its gradients too."""
    arrays = _drawn("lstm", state=2)
    split = 4 * 2 * (3 + 2)  # weights, then biases
    weights, biases = np.split(arrays["parameters"], [split])
    projected = dict(arrays, parameters=np.concatenate([weights, np.eye(2, dtype="float32").ravel(), biases]))
    wanted, wanted_data, wanted_parameters = _run("lstm", arrays, state=2)
    found, found_data, found_parameters = _run("lstm", projected, state=2, projection=2)
    for one, other in zip(found, wanted):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found_data, wanted_data, rtol=1e-4, atol=1e-6)
    kept = np.delete(found_parameters, np.arange(split, split + 4))
    np.testing.assert_allclose(kept, wanted_parameters, rtol=1e-4, atol=1e-6)
