"""Operators with parameters, as submodules of torch.nn; as functions where a submodule cannot own the parameters."""

from __future__ import annotations

from typing import Any

from mxcompat.convert.steps import Layer, Source, Step, Variable
from mxcompat.convert.translate import Call, emits
from mxcompat.ops.conv import CHANNELS_FIRST, _transposed_padding

FIXED_GAMMA = '''\
def fixed_gamma(norm):
    """The layer with a scale that stays 1 and is not trained (fix_gamma of the symbol)."""
    nn.init.ones_(norm.weight)
    norm.weight.requires_grad_(False)
    norm.has_fixed_gamma = True
    return norm
'''

GLOBAL_STATS = '''\
def global_stats(norm):
    """The layer that normalizes by its running averages in training too (use_global_stats of the symbol)."""
    norm.eval().train = lambda mode=True: norm
    return norm
'''


def short(values: tuple[int, ...]) -> Any:
    """One number for a tuple of equal ones."""
    return values[0] if len(set(values)) == 1 else tuple(values)


#: options of layers that are written only where they differ
DEFAULTS: dict[str, Any] = {
    "stride": 1, "padding": 0, "dilation": 1, "groups": 1, "output_padding": 0, "bias": True, "num_layers": 1,
    "bidirectional": False, "dropout": 0.0, "proj_size": 0,
}  # fmt: skip


def _option_text(options: dict[str, Any]) -> str:
    """The options as a function takes them, those with their default left out."""
    return "".join(f", {name}={{{name}}}" for name, value in options.items() if value != DEFAULTS[name])


def _geometry(call: Call, *names: str) -> dict[str, tuple[int, ...]]:
    axes = len(call.params.kernel)
    return {name: tuple(call.params[name]) or ((0 if name in ("pad", "adj") else 1),) * axes for name in names}


@emits("Convolution", "Convolution_v1")
def convolution(call: Call) -> Step | None:
    params, axes = call.params, len(call.params.kernel)
    if params.layout not in (None, CHANNELS_FIRST[axes]):
        return None
    at = _geometry(call, "stride", "pad", "dilate")
    options = {
        "stride": short(at["stride"]),
        "padding": short(at["pad"]),
        "dilation": short(at["dilate"]),
        "groups": params.num_group,
    }
    arguments = {
        "in_channels": call.shapes[0][1],
        "out_channels": params.num_filter,
        "kernel_size": short(params.kernel),
    }
    bias = {} if params.no_bias else {"bias": 2}
    layer = call.layer(f"nn.Conv{axes}d", arguments, {**options, "bias": not params.no_bias}, weight=1, **bias)
    if layer is not None:
        return call.call_layer(layer)
    given = "{0}, {1}" + ("" if params.no_bias else ", {2}")
    return call.step(f"F.conv{axes}d({given}{_option_text(options)})", **options)


@emits("Deconvolution")
def deconvolution(call: Call) -> Step | None:
    params, axes = call.params, len(call.params.kernel)
    if params.layout not in (None, CHANNELS_FIRST[axes]):
        return None
    at = _geometry(call, "stride", "dilate")
    given = (params.kernel, params.stride, params.dilate, params.pad, params.adj, params.target_shape)
    pad, adj = _transposed_padding(*given, call.shapes[0][2:])
    options = {
        "stride": short(at["stride"]),
        "padding": short(pad),
        "output_padding": short(adj),
        "groups": params.num_group,
        "dilation": short(at["dilate"]),
    }
    arguments = {
        "in_channels": call.shapes[0][1],
        "out_channels": params.num_filter,
        "kernel_size": short(params.kernel),
    }
    bias = {} if params.no_bias else {"bias": 2}
    layer = call.layer(f"nn.ConvTranspose{axes}d", arguments, {**options, "bias": not params.no_bias}, weight=1, **bias)
    if layer is not None:
        return call.call_layer(layer)
    inputs = "{0}, {1}" + ("" if params.no_bias else ", {2}")
    return call.step(f"F.conv_transpose{axes}d({inputs}{_option_text(options)})", **options)


@emits("UpSampling")
def upsampling(call: Call) -> Step | None:
    scale = call.params.scale
    if call.params.sample_type == "nearest":
        return call.step("F.interpolate({0}, scale_factor={scale})", scale=scale) if len(call.inputs) == 1 else None
    channels = call.params.num_filter
    arguments = {"in_channels": channels, "out_channels": channels, "kernel_size": 2 * scale - scale % 2}
    options = {"stride": scale, "padding": scale // 2, "groups": channels, "bias": False}
    layer = call.layer("nn.ConvTranspose2d", arguments, options, weight=1)
    return None if layer is None else call.call_layer(layer)


@emits("FullyConnected")
def fully_connected(call: Call) -> Step | None:
    params, shape = call.params, call.shapes[0]
    data = "{a0}.flatten(1)" if params.flatten and len(shape) > 2 else "{0}"
    if len(shape) == 1 or (len(call.shapes) > 2 and len(call.shapes[2]) > 1):
        return None
    arguments = {"in_features": call.shapes[1][1], "out_features": params.num_hidden}
    bias = {} if params.no_bias else {"bias": 2}
    layer = call.layer("nn.Linear", arguments, {"bias": not params.no_bias}, weight=1, **bias)
    if layer is not None:
        return call.call_layer(layer, f"{{self}}({data})")
    return call.step(f"F.linear({data}, {{1}}" + ("" if params.no_bias else ", {2}") + ")")


@emits("Embedding")
def embedding(call: Call) -> Step | None:
    arguments = {"num_embeddings": call.params.input_dim, "embedding_dim": call.params.output_dim}
    layer = call.layer("nn.Embedding", arguments, {}, weight=1)
    data = "{a0}.long()" if call.types[0] != "int64" else "{0}"
    note = "an index outside of the table is an error here; the symbol took the first or last row."
    call.translator.notes.setdefault(note, []).append(call.name)
    if layer is not None:
        return call.call_layer(layer, f"{{self}}({data})")
    return call.step(f"F.embedding({data}, {{1}})")


@emits("BatchNorm", "BatchNorm_v1", "_contrib_SyncBatchNorm", "_contrib_BatchNormWithReLU")
def batch_norm(call: Call) -> Step | None:
    params, rank = call.params, len(call.shapes[0])
    if params.output_mean_var:
        raise call.refuse("output_mean_var=True: the statistics have no place in nn.BatchNorm")
    axis = params.get("axis", 1) % rank
    momentum = round(1 - params.momentum, 7)
    options = {"eps": params.eps, "momentum": momentum}
    weights = {"weight": 1, "bias": 2, "running_mean": 3, "running_var": 4}
    layer = call.layer(f"nn.BatchNorm{max(rank - 2, 1)}d", {"num_features": call.shapes[1][0]}, options, **weights)
    if layer is None or rank > 5:
        raise call.refuse("its parameters or statistics are used elsewhere too, which nn.BatchNorm cannot express")
    wraps = []
    if params.fix_gamma:
        wraps.append(call.helper("fixed_gamma", FIXED_GAMMA))
    if params.use_global_stats:
        wraps.append(call.helper("global_stats", GLOBAL_STATS))
    layer.wrap = " ".join(wraps)
    text = "{self}({0})" if axis == 1 else f"{{self}}({{a0}}.movedim({axis}, 1)).movedim(1, {axis})"
    return call.call_layer(layer, f"F.relu({text})" if call.operator.endswith("WithReLU") else text)


@emits("InstanceNorm")
def instance_norm(call: Call) -> Step | None:
    rank = len(call.shapes[0])
    options = {"eps": call.params.eps, "affine": True}
    if rank > 5 or max(call.shapes[0][2:]) == 1:  # PyTorch refuses to normalize single numbers
        return None
    layer = call.layer(f"nn.InstanceNorm{rank - 2}d", {"num_features": call.shapes[0][1]}, options, weight=1, bias=2)
    return None if layer is None else call.call_layer(layer)


@emits("LayerNorm")
def layer_norm(call: Call) -> Step | None:
    shape = call.shapes[0]
    if call.params.axis % len(shape) != len(shape) - 1 or call.params.output_mean_var:
        return None
    layer = call.layer("nn.LayerNorm", {"normalized_shape": shape[-1]}, {"eps": call.params.eps}, weight=1, bias=2)
    return None if layer is None else call.call_layer(layer)


@emits("Dropout")
def dropout(call: Call) -> Step | Source | None:
    params = call.params
    if params.p == 0:
        return call.inputs[0]
    if params.mode == "always" or params.axes:
        return None
    return call.step("F.dropout({0}, {p}, {training})", p=params.p)


_RECURRENT = {"lstm": "nn.LSTM", "gru": "nn.GRU", "rnn_tanh": "nn.RNN", "rnn_relu": "nn.RNN"}


@emits("RNN")
def rnn(call: Call) -> Step | None:
    params = call.params
    if params.use_sequence_length or params.lstm_state_clip_min is not None:
        return None
    options = {
        "num_layers": params.num_layers,
        "bidirectional": params.bidirectional,
        "dropout": params.p,
        "proj_size": params.projection_size or 0,
    }
    if params.mode == "rnn_relu":
        options["nonlinearity"] = "relu"
    arguments = {"input_size": call.shapes[0][2], "hidden_size": params.state_size}
    vector = call.inputs[1][0]
    if not isinstance(vector, Variable) or not vector.is_stored or not call.translator.can_own(call.node, [1]):
        return None
    layer = call.translator.shared_layer(call.node, _RECURRENT[params.mode], arguments, options, {"": vector})
    is_lstm = params.mode == "lstm"
    states = call.inputs[2:]
    if all(isinstance(state, Step) and state.operator.startswith("_zeros") for state, _ in states):
        states = []  # which is what the layer begins with
    given = "{0}" + (", ({1}, {2})" if is_lstm else ", {1}") * bool(states)
    step = call.step(f"{{self}}({given})", [call.inputs[0], *states])
    step.layer = layer
    if params.state_outputs:
        step.count = 3 if is_lstm else 2
        step.pattern = "{0}, ({1}, {2})" if is_lstm else "{0}, {1}"
    else:
        step.text += "[0]"
    return step


@emits("LeakyReLU")
def leaky_relu(call: Call) -> Step | None:
    params = call.params
    if params.act_type == "leaky":
        return call.step("F.leaky_relu({0}, {slope})", slope=params.slope)
    if params.act_type == "elu":
        return call.step("F.elu({0}, {slope})", slope=params.slope)
    if params.act_type == "gelu":
        return call.step("F.gelu({0})")
    if params.act_type == "rrelu":
        text = "F.rrelu({0}, {lower_bound}, {upper_bound}, {training})"
        return call.step(text, lower_bound=params.lower_bound, upper_bound=params.upper_bound)
    if params.act_type != "prelu" or call.shapes[1] not in ((1,), call.shapes[0][1:2]):
        return None  # selu: the original's gradient is not the derivative
    variable = call.inputs[1][0]
    layer: Layer | None = call.layer("nn.PReLU", {"num_parameters": call.shapes[1][0]}, {}, weight=1)
    if layer is None or not isinstance(variable, Variable):
        return call.step("F.prelu({0}, {1})")
    return call.call_layer(layer)
