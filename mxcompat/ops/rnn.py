"""Fused recurrent layers over one packed parameter vector.

The vector holds all weights, then all biases: per layer, per direction, input-to-hidden, hidden-to-hidden and, with a
projection, hidden-to-output weights; biases of the first two. Gates are stacked i, f, c, o (LSTM) or r, z, n (GRU), the
order of torch's kernels. Those serve all but the options that need every step's state, sequence lengths and clipping,
and projections on the CPU.
"""

from typing import NamedTuple

import torch
from torch.nn import functional

from mxcompat.base import MXNetError
from mxcompat.ops.dtypes import FLOATS, NAME_BY_TORCH, unify
from mxcompat.ops.registry import register
from mxcompat.ops.schema import Bool, Enum, Float, Int, Optional, Params, TrainMode
from mxcompat.ops.sequence import sequence_mask, sequence_reverse
from mxcompat.ops.shape import merge, merge_inputs

GATES = {"rnn_relu": 1, "rnn_tanh": 1, "gru": 3, "lstm": 4}
_KERNELS = {"rnn_relu": torch.rnn_relu, "rnn_tanh": torch.rnn_tanh, "gru": torch.gru}


class _Layers(NamedTuple):
    """The parameters of a node that its arithmetic depends on; ``Params`` of a shape rule serves as well."""

    mode: str
    state_size: int
    num_layers: int
    bidirectional: bool
    p: float
    projection_size: int | None
    lstm_state_clip_min: float | None
    lstm_state_clip_max: float | None
    lstm_state_clip_nan: bool


class _Cell(NamedTuple):
    """Parameters of one layer in one direction, in torch's order; ``projection`` is None without one."""

    input_weight: torch.Tensor
    hidden_weight: torch.Tensor
    input_bias: torch.Tensor
    hidden_bias: torch.Tensor
    projection: torch.Tensor | None

    def tensors(self) -> list:
        return [tensor for tensor in self if tensor is not None]


def _weight_shapes(layers: _Layers, features: int) -> list[tuple[tuple[int, int], ...]]:
    """Shapes of the weights of each cell, layer by layer and direction by direction."""
    directions, gates = 1 + layers.bidirectional, GATES[layers.mode] * layers.state_size
    width = layers.projection_size or layers.state_size
    shapes = []
    for layer in range(layers.num_layers):
        incoming = features if layer == 0 else width * directions
        cell = [(gates, incoming), (gates, width)]
        if layers.projection_size:
            cell.append((width, layers.state_size))
        shapes += [tuple(cell)] * directions
    return shapes


def parameter_size(layers: _Layers, features: int) -> int:
    """The length of the packed parameter vector for inputs of that many features."""
    weights = sum(rows * columns for cell in _weight_shapes(layers, features) for rows, columns in cell)
    biases = 2 * layers.num_layers * (1 + layers.bidirectional) * GATES[layers.mode] * layers.state_size
    return weights + biases


def unpacked(vector, layers: _Layers, features: int) -> list[_Cell]:
    """The cells that a packed parameter vector holds, layer by layer and direction by direction."""
    position, weights = 0, []
    for shapes in _weight_shapes(layers, features):
        cell = []
        for rows, columns in shapes:
            cell.append(vector[position : position + rows * columns].reshape(rows, columns))
            position += rows * columns
        weights.append(cell)
    length = GATES[layers.mode] * layers.state_size
    cells = []
    for cell in weights:
        biases = vector[position : position + 2 * length].reshape(2, length).unbind()
        position += 2 * length
        cells.append(_Cell(cell[0], cell[1], *biases, cell[2] if len(cell) == 3 else None))
    return cells


def _rnn_inputs(params: Params) -> tuple[str, ...]:
    names = ("data", "parameters", "state") + ("state_cell",) * (params.mode == "lstm")
    return names + ("sequence_length",) * params.use_sequence_length


def _rnn_output_names(params: Params) -> tuple[str, ...]:
    if not params.state_outputs:
        return ("output",)
    return ("output", "state_output") + ("statecell_output",) * (params.mode == "lstm")


def _check_options(params: Params) -> None:
    if params.mode != "lstm":
        for name in ("projection_size", "lstm_state_clip_min", "lstm_state_clip_max"):
            if params[name] is not None:
                raise MXNetError(f"{name}={params[name]} is for mode='lstm' only, mode is {params.mode!r}")
    if params.projection_size and params.projection_size > params.state_size:
        raise MXNetError(f"projection_size={params.projection_size} exceeds state_size={params.state_size}")
    low, high = params.lstm_state_clip_min, params.lstm_state_clip_max
    if (low is None) != (high is None) or (low is not None and low > high):
        raise MXNetError(f"lstm_state_clip_min={low} and lstm_state_clip_max={high} must be given together, in order")


def _rnn_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    _check_options(params)
    data = ins[0]
    if data is None:
        return ins, outs
    if len(data) != 3:
        raise MXNetError(f"data has shape {data}, expected axes (time, batch, feature)")
    time, batch, features = data
    directions = 1 + params.bidirectional
    width = params.projection_size or params.state_size
    state = (params.num_layers * directions, batch, width)
    cell = (*state[:2], params.state_size)
    vector = (parameter_size(params, features) if features != -1 else -1,)
    expected = {"data": data, "parameters": vector, "state": state, "state_cell": cell, "sequence_length": (batch,)}
    names = _rnn_inputs(params)
    results = [(time, batch, width * directions), state, cell][: len(outs)]
    merged = [merge(shape, out, f"output {i}") for i, (shape, out) in enumerate(zip(results, outs))]
    return merge_inputs(names, ins, [expected[name] for name in names]), merged


def _rnn_type(params: Params, ins: list, outs: list) -> tuple[list, list]:
    own = ins[:-1] if params.use_sequence_length else ins
    kind = unify([*own, *outs])
    if kind is not None and kind not in FLOATS:
        raise MXNetError(f"data has type {NAME_BY_TORCH[kind]}, expected a floating type")
    lengths = [kind if t is None else t for t in ins[len(own) :]]
    return [kind] * len(own) + lengths, [kind] * len(outs)


def _step(layers: _Layers, cell: _Cell, gates, hidden, memory):
    """One step: gates are the input's share, (N, gates * H) -> the new hidden state and memory."""
    share = functional.linear(hidden, cell.hidden_weight, cell.hidden_bias)
    if layers.mode == "gru":
        reset, update, new = gates.chunk(3, 1)
        reset_share, update_share, new_share = share.chunk(3, 1)
        candidate = torch.tanh(new + torch.sigmoid(reset + reset_share) * new_share)
        keep = torch.sigmoid(update + update_share)
        return (1 - keep) * candidate + keep * hidden, memory
    if layers.mode != "lstm":
        return (torch.relu if layers.mode == "rnn_relu" else torch.tanh)(gates + share), memory
    enter, forget, content, leave = (gates + share).chunk(4, 1)
    memory = torch.sigmoid(forget) * memory + torch.sigmoid(enter) * torch.tanh(content)
    low, high = layers.lstm_state_clip_min, layers.lstm_state_clip_max
    if low is not None:
        clipped = memory.clamp(low, high)
        memory = torch.where(memory.isnan(), low, clipped) if layers.lstm_state_clip_nan else clipped
    hidden = torch.sigmoid(leave) * torch.tanh(memory)
    return (hidden if cell.projection is None else functional.linear(hidden, cell.projection)), memory


def _run_cell(layers: _Layers, cell: _Cell, data, hidden, memory, lengths):
    """One layer in one direction, step by step: outputs (T, N, width) and the state after each sequence's last step."""
    gates = functional.linear(data, cell.input_weight, cell.input_bias)
    outputs = []
    for step in range(data.shape[0]):
        new_hidden, new_memory = _step(layers, cell, gates[step], hidden, memory)
        if lengths is not None:
            running = (lengths > step).unsqueeze(1)
            new_hidden = torch.where(running, new_hidden, hidden)
            new_memory = None if memory is None else torch.where(running, new_memory, memory)
        hidden, memory = new_hidden, new_memory
        outputs.append(hidden)
    return torch.stack(outputs), hidden, memory


def _reversed(data, lengths):
    return data.flip(0) if lengths is None else sequence_reverse(data, lengths, use_sequence_length=True)


def _run_stepwise(layers: _Layers, cells: list[_Cell], data, state, state_cell, lengths, is_train: bool):
    """All layers; a sequence's outputs beyond its length are 0 and its states are those of its last step."""
    directions, states, memories = 1 + layers.bidirectional, [], []
    for layer in range(layers.num_layers):
        if layer and layers.p and is_train:
            data = functional.dropout(data, layers.p)
        outputs = []
        for direction in range(directions):
            index = layer * directions + direction
            memory = None if state_cell is None else state_cell[index]
            steps = _reversed(data, lengths) if direction else data
            output, hidden, memory = _run_cell(layers, cells[index], steps, state[index], memory, lengths)
            outputs.append(_reversed(output, lengths) if direction else output)
            states.append(hidden)
            memories.append(memory)
        data = torch.cat(outputs, 2) if directions == 2 else outputs[0]
        if lengths is not None:
            data = sequence_mask(data, lengths, use_sequence_length=True)
    return data, torch.stack(states), (None if state_cell is None else torch.stack(memories))


def _needs_steps(layers: _Layers, use_sequence_length: bool, device: str) -> bool:
    """Whether torch's kernel does not serve. On the CPU its LSTM has no fast projection and does not compile."""
    if use_sequence_length or layers.lstm_state_clip_min is not None:
        return True
    if device != "cpu" or layers.mode != "lstm":
        return False
    return layers.projection_size is not None or torch.compiler.is_compiling()


def _run_fused(layers: _Layers, cells: list[_Cell], data, state, state_cell, is_train: bool):
    weights = [tensor for cell in cells for tensor in cell.tensors()]
    options = (True, layers.num_layers, layers.p, is_train, layers.bidirectional, False)
    if layers.mode == "lstm":
        return torch.lstm(data, (state, state_cell), weights, *options)
    return (*_KERNELS[layers.mode](data, state, weights, *options), None)


@register(
    "RNN",
    infer_shape=_rnn_shape,
    infer_type=_rnn_type,
    active=_rnn_inputs,
    outputs=lambda params: len(_rnn_output_names(params)),
    output_names=_rnn_output_names,
    random=True,
    whole_on_cpu=True,
)
def rnn(
    data,
    parameters,
    state,
    state_cell=None,
    sequence_length=None,
    *,
    state_size: Int(min=1),
    num_layers: Int(min=1),
    bidirectional: Bool = False,
    mode: Enum("gru", "lstm", "rnn_relu", "rnn_tanh"),
    p: Float(min=0.0, max=1.0) = 0.0,
    state_outputs: Bool = False,
    projection_size: Optional(Int(min=1)) = None,
    lstm_state_clip_min: Optional(Float) = None,
    lstm_state_clip_max: Optional(Float) = None,
    lstm_state_clip_nan: Bool = False,
    use_sequence_length: Bool = False,
    is_train: TrainMode = False,
):
    """Stacked recurrent layers over whole sequences.

    data (T, N, I), parameters (one vector, see the module), state (layers * directions, N, H), for LSTM state_cell
    likewise -> output (T, N, H * directions) and, with ``state_outputs``, the final states. A ``projection_size`` P
    makes output and state, not the cell state, P wide. ``p`` drops outputs between layers in training. The clip limits
    bound the LSTM's cell state at each step (``lstm_state_clip_nan`` brings nan to the lower one). sequence_length (N,)
    ends each sequence early: outputs beyond are 0, the backward direction and the final states start and end there.
    """
    limits = (lstm_state_clip_min, lstm_state_clip_max, lstm_state_clip_nan)
    layers = _Layers(mode, state_size, num_layers, bidirectional, p, projection_size, *limits)
    if mode != "lstm" and use_sequence_length and sequence_length is None:  # the lengths come fourth then
        state_cell, sequence_length = None, state_cell
    cells = unpacked(parameters, layers, data.shape[2])
    if _needs_steps(layers, use_sequence_length, data.device.type):
        lengths = sequence_length.to(torch.int64) if use_sequence_length else None
        results = _run_stepwise(layers, cells, data, state, state_cell, lengths, is_train)
    else:
        results = _run_fused(layers, cells, data, state, state_cell, is_train)
    return tuple(results[: 3 if mode == "lstm" else 2]) if state_outputs else results[0]
