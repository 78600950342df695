"""Cells of dense layers: plain, LSTM, GRU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mxcompat import initializer, symbol
from mxcompat.rnn.base_cell import BaseRNNCell, RNNParams
from mxcompat.symbol import Symbol, _internal

_OPERATORS: Any = _internal  # made at import


class _DenseCell(BaseRNNCell):
    """A cell with one dense layer of the input (``i2h``) and one of the state (``h2h``)."""

    def __init__(self, num_hidden: int, prefix: str, params: RNNParams | None, **i2h_bias: Any):
        super().__init__(prefix=prefix, params=params)
        self._num_hidden = num_hidden
        self._iW = self.params.get("i2h_weight")  # noqa: N815  (names that programs reach for)
        self._iB = self.params.get("i2h_bias", **i2h_bias)
        self._hW = self.params.get("h2h_weight")
        self._hB = self.params.get("h2h_bias")

    @property
    def state_info(self) -> list[dict[str, Any]]:
        return [{"shape": (0, self._num_hidden), "__layout__": "NC"}]

    def _layers(self, inputs: Symbol, state: Symbol, name: str) -> tuple[Any, Any]:
        """Both dense layers, all gates at once."""
        rows = self._num_hidden * len(self._gate_names)
        i2h = symbol.FullyConnected(data=inputs, weight=self._iW, bias=self._iB, num_hidden=rows, name=f"{name}i2h")
        h2h = symbol.FullyConnected(data=state, weight=self._hW, bias=self._hB, num_hidden=rows, name=f"{name}h2h")
        return i2h, h2h


class RNNCell(_DenseCell):
    """``h' = activation(W_i x + b_i + W_h h + b_h)``; the output is the state."""

    def __init__(
        self, num_hidden: int, activation: Any = "tanh", prefix: str = "rnn_", params: RNNParams | None = None
    ):
        super().__init__(num_hidden, prefix, params)
        self._activation = activation

    @property
    def _gate_names(self) -> Sequence[str]:
        return ("",)

    def __call__(self, inputs: Symbol, states: Sequence[Symbol]) -> tuple[Symbol, list]:
        name = self._next_name()
        i2h, h2h = self._layers(inputs, states[0], name)
        output = self._get_activation(i2h + h2h, self._activation, name=f"{name}out")
        return output, [output]


class LSTMCell(_DenseCell):
    """``c' = f c + i g``, ``h' = o tanh(c')`` with the gates i, f, g (named ``c``), o of ``W_i x + b_i + W_h h + b_h``.

    ``forget_bias`` is what ``mx.init.LSTMBias`` writes into the forget gate of the input's bias.
    """

    def __init__(
        self, num_hidden: int, prefix: str = "lstm_", params: RNNParams | None = None, forget_bias: float = 1.0
    ):
        super().__init__(num_hidden, prefix, params, init=initializer.LSTMBias(forget_bias=forget_bias))

    @property
    def state_info(self) -> list[dict[str, Any]]:
        return [{"shape": (0, self._num_hidden), "__layout__": "NC"} for _ in range(2)]

    @property
    def _gate_names(self) -> Sequence[str]:
        return ["_i", "_f", "_c", "_o"]

    def __call__(self, inputs: Symbol, states: Sequence[Symbol]) -> tuple[Symbol, list]:
        name = self._next_name()
        i2h, h2h = self._layers(inputs, states[0], name)
        return lstm_step(self, i2h + h2h, states[1], name, "tanh")


def lstm_step(
    cell: BaseRNNCell, gates: Symbol, memory: Symbol, name: str, activation: Any, **slicing: Any
) -> tuple[Symbol, list]:
    """Output and states of an LSTM from its stacked gates and the memory before."""
    sliced = symbol.SliceChannel(gates, num_outputs=4, name=f"{name}slice", **slicing)
    in_gate = symbol.Activation(sliced[0], act_type="sigmoid", name=f"{name}i")
    forget_gate = symbol.Activation(sliced[1], act_type="sigmoid", name=f"{name}f")
    in_transform = cell._get_activation(sliced[2], activation, name=f"{name}c")
    out_gate = symbol.Activation(sliced[3], act_type="sigmoid", name=f"{name}o")
    memory = _OPERATORS._plus(forget_gate * memory, in_gate * in_transform, name=f"{name}state")
    output = _OPERATORS._mul(out_gate, cell._get_activation(memory, activation), name=f"{name}out")
    return output, [output, memory]


class GRUCell(_DenseCell):
    """``h' = (1 - z) tanh(i_o + r h_o) + z h`` with the gates r, z, o of ``W_i x + b_i`` and of ``W_h h + b_h``."""

    def __init__(self, num_hidden: int, prefix: str = "gru_", params: RNNParams | None = None):
        super().__init__(num_hidden, prefix, params)

    @property
    def _gate_names(self) -> Sequence[str]:
        return ["_r", "_z", "_o"]

    def __call__(self, inputs: Symbol, states: Sequence[Symbol]) -> tuple[Symbol, list]:
        name = self._next_name()
        # Compat: the nodes of a GRU have two underscores, gru_t0__i2h; only the output's name has one.
        i2h, h2h = self._layers(inputs, states[0], f"{name}_")
        return gru_step(self, i2h, h2h, states[0], name, "tanh")


def gru_step(
    cell: BaseRNNCell, i2h: Symbol, h2h: Symbol, state: Symbol, name: str, activation: Any
) -> tuple[Symbol, list]:
    """Output and states of a GRU from both stacks of gates and the state before."""
    i2h_r, i2h_z, i2h_o = symbol.SliceChannel(i2h, num_outputs=3, name=f"{name}_i2h_slice")
    h2h_r, h2h_z, h2h_o = symbol.SliceChannel(h2h, num_outputs=3, name=f"{name}_h2h_slice")
    reset = symbol.Activation(i2h_r + h2h_r, act_type="sigmoid", name=f"{name}_r_act")
    update = symbol.Activation(i2h_z + h2h_z, act_type="sigmoid", name=f"{name}_z_act")
    fresh = cell._get_activation(i2h_o + reset * h2h_o, activation, name=f"{name}_h_act")
    output = _OPERATORS._plus((1.0 - update) * fresh, update * state, name=f"{name}out")
    return output, [output]
