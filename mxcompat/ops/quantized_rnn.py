"""LSTM layers on 8-bit integers: uint8 data and states, int8 weights, gates and cells as numbers.

An integer stands for ``(integer - shift) / scale``; states take the scale and shift of the data.
"""

import torch
from torch.nn import functional

from mxcompat.base import MXNetError
from mxcompat.ops.quantize import assign_types, over, saturated
from mxcompat.ops.registry import register
from mxcompat.ops.rnn import parameter_size, unpacked
from mxcompat.ops.schema import Bool, Enum, Float, Int, NoEffect, Optional, Params
from mxcompat.ops.shape import merge, merge_inputs

_INPUTS = ("data", "parameters", "state", "state_cell", "min_data", "max_data")
_OUTPUTS = ("output", "state_output", "statecell_ouput")  # Compat: the original's spelling
_UNSUPPORTED = ("projection_size", "lstm_state_clip_min", "lstm_state_clip_max")
FLOAT = torch.float32


def _outputs(params: Params) -> int:
    return 3 if params.state_outputs else 1


def _check(params: Params) -> None:
    if params.mode != "lstm":
        raise MXNetError(f"mode={params.mode!r}: only 'lstm' exists for quantized data")
    for name in _UNSUPPORTED:
        if params[name] is not None:
            raise MXNetError(f"{name}={params[name]} is not supported for quantized data")
    if params.use_sequence_length or params.lstm_state_clip_nan:
        raise MXNetError("use_sequence_length and lstm_state_clip_nan are not supported for quantized data")


def _shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    _check(params)
    data = ins[0]
    if data is None:
        return ins, outs
    if len(data) != 3:
        raise MXNetError(f"data has shape {data}, expected axes (time, batch, feature)")
    time, batch, features = data
    directions = 1 + params.bidirectional
    state = (params.num_layers * directions, batch, params.state_size)
    vector = (parameter_size(params, features) if features != -1 else -1,)
    expected = (data, vector, state, state, (1,), (1,))
    results = ((time, batch, params.state_size * directions), state, state)
    merged = [merge(shape, out, f"output {i}") for i, (shape, out) in enumerate(zip(results, outs))]
    return merge_inputs(_INPUTS, ins, expected), merged


def _type(params: Params, ins: list, outs: list) -> tuple[list, list]:
    return assign_types(_INPUTS, ins, ((torch.uint8,), *[FLOAT] * 5)), [FLOAT] * len(outs)


def _part(vector, start: int, rows: int, columns: int):
    """A block of the packed parameters as magnitudes; what lies behind them counts as 0."""
    found = vector[start : start + rows * columns].abs()
    return functional.pad(found, (0, rows * columns - found.numel())).reshape(rows, columns)


def _weight_scales(vector, params: Params, features: int):
    """Integer steps for one by gate and unit (4 * H,), the same in all layers.

    Compat: they come from the first layer, and from a part of each further one that the original's kernel runs apart (all
    if ``bidirectional``, the second if data are not as wide as states); what exceeds them there is cut off.
    """
    width, directions = params.state_size, 1 + params.bidirectional
    gates = 4 * width
    block = gates * (features + width)
    largest = torch.zeros(gates, dtype=FLOAT, device=vector.device)
    for direction in range(directions):
        for start, columns in ((direction * block, features), (direction * block + gates * features, width)):
            largest = torch.maximum(largest, _part(vector, start, gates, columns).amax(1))
    apart = params.num_layers - 1 if params.bidirectional else min(params.num_layers - 1, int(features != width))
    inputs, hidden, further = 0, gates * features, directions * block
    for _ in range(apart):
        inputs, hidden = inputs + further, hidden + further
        for start in (inputs, hidden):
            largest = torch.maximum(largest, _part(vector, start, gates, width).amax(1))
        further = directions * gates * width * (1 + directions)
        hidden = inputs + gates * width
    return over(127.0, largest)


class _Cell:
    """One layer in one direction: int8 weights, and what brings sums of products back to numbers."""

    def __init__(self, cell, weight_scales, scale, shift):
        column = weight_scales[:, None]
        weights = [saturated(w * column, torch.int8).double() for w in (cell.input_weight, cell.hidden_weight)]
        self.input_weight, self.hidden_weight = weights
        self.scale, self.shift = scale, shift
        self.steps = weight_scales * scale
        surplus = sum(w.sum(1) for w in weights).float()
        self.bias = (cell.input_bias + cell.hidden_bias) - over(surplus * shift, self.steps)

    def run(self, data, hidden, memory):
        """uint8 data (T, N, C) and state (N, H), memory (N, H) -> uint8 outputs (T, N, H), the last state and memory."""
        shares = functional.linear(data.double(), self.input_weight)
        outputs = []
        for step in range(data.shape[0]):
            sums = shares[step] + functional.linear(hidden.double(), self.hidden_weight)
            gates = over(sums.float(), self.steps.expand(sums.shape)) + self.bias
            enter, forget, content, leave = gates.chunk(4, 1)
            memory = torch.sigmoid(forget) * memory + torch.sigmoid(enter) * torch.tanh(content)
            hidden = self.quantized(torch.sigmoid(leave) * torch.tanh(memory))
            outputs.append(hidden)
        return torch.stack(outputs), hidden, memory

    def quantized(self, numbers):
        """The integers for numbers."""
        return saturated(numbers * self.scale + self.shift, torch.uint8)


@register(
    "_contrib_quantized_rnn",
    infer_shape=_shape,
    infer_type=_type,
    active=lambda params: _INPUTS,
    outputs=_outputs,
    output_names=lambda params: _OUTPUTS[: _outputs(params)],
    no_gradient=True,
    open_params=True,
)
def quantized_rnn(
    data,
    parameters,
    state,
    state_cell,
    data_scale,
    data_shift,
    *,
    state_size: Int(min=1),
    num_layers: Int(min=1),
    bidirectional: Bool = False,
    mode: Enum("gru", "lstm", "rnn_relu", "rnn_tanh"),
    p: NoEffect(Float(min=0, max=1)) = 0.0,
    state_outputs: Bool = False,
    projection_size: Optional(Int) = None,
    lstm_state_clip_min: Optional(Float) = None,
    lstm_state_clip_max: Optional(Float) = None,
    lstm_state_clip_nan: Bool = False,
    use_sequence_length: Bool = False,
    **unknown,
):
    """LSTM on uint8 data (T, N, C) with ``scale`` and ``shift`` (1,): output (T, N, directions * H), as numbers.

    Parameters and states are those of ``RNN``; with ``state_outputs`` the last states and cells follow. Projections,
    clipping and sequence lengths are not supported (``MXNetError``), as other modes than ``lstm``. It has no gradient.
    """
    layers = Params(
        mode=mode, state_size=state_size, num_layers=num_layers, bidirectional=bidirectional, projection_size=None
    )
    scales = _weight_scales(parameters, layers, data.shape[2])
    cells = [_Cell(cell, scales, data_scale, data_shift) for cell in unpacked(parameters, layers, data.shape[2])]
    directions, states, memories = 1 + bidirectional, [], []
    for layer in range(num_layers):
        outputs = []
        for direction in range(directions):
            index = layer * directions + direction
            steps = data.flip(0) if direction else data
            output, hidden, memory = cells[index].run(steps, cells[index].quantized(state[index]), state_cell[index])
            outputs.append(output.flip(0) if direction else output)
            states.append(hidden)
            memories.append(memory)
        data = torch.cat(outputs, 2)
    result = _numbers(data, data_scale, data_shift)
    if not state_outputs:
        return result
    return result, _numbers(torch.stack(states), data_scale, data_shift), torch.stack(memories)


def _numbers(integers, scale, shift):
    return over(integers.float() - shift, scale.expand(integers.shape))
