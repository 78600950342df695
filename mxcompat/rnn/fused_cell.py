"""All layers and steps in one RNN operator."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mxcompat import ndarray, symbol
from mxcompat.initializer import FUSED_GATES, FusedRNN, fused_pieces
from mxcompat.ndarray import NDArray
from mxcompat.rnn.base_cell import BaseRNNCell, RNNParams, check, normalize_sequence
from mxcompat.rnn.plain_cells import GRUCell, LSTMCell, RNNCell
from mxcompat.rnn.stacked_cells import BidirectionalCell, DropoutCell, SequentialRNNCell
from mxcompat.symbol import Symbol

_CELLS: dict[str, Callable[[int, str], BaseRNNCell]] = {
    "rnn_relu": lambda hidden, prefix: RNNCell(hidden, activation="relu", prefix=prefix),
    "rnn_tanh": lambda hidden, prefix: RNNCell(hidden, activation="tanh", prefix=prefix),
    "lstm": lambda hidden, prefix: LSTMCell(hidden, prefix=prefix),
    "gru": lambda hidden, prefix: GRUCell(hidden, prefix=prefix),
}


class FusedRNNCell(BaseRNNCell):
    """``num_layers`` layers of ``mode`` (rnn_relu, rnn_tanh, lstm, gru) as one node; it can only be unrolled.

    Its one variable, prefix + ``parameters``, holds all weights and biases. States have the shape
    (layers * directions, N, ``num_hidden``); ``unroll`` gives the last ones with ``get_next_state`` alone.
    """

    def __init__(
        self,
        num_hidden: int,
        num_layers: int = 1,
        mode: str = "lstm",
        bidirectional: bool = False,
        dropout: float = 0.0,
        get_next_state: bool = False,
        forget_bias: float = 1.0,
        prefix: str | None = None,
        params: RNNParams | None = None,
    ):
        super().__init__(prefix=f"{mode}_" if prefix is None else prefix, params=params)
        self._num_hidden, self._num_layers, self._mode = num_hidden, num_layers, mode
        self._bidirectional, self._dropout = bidirectional, dropout
        self._get_next_state = get_next_state
        self._directions = ["l", "r"] if bidirectional else ["l"]
        filler = FusedRNN(None, num_hidden, num_layers, mode, bidirectional, forget_bias)
        self._parameter: Any = self.params.get("parameters", init=filler)

    @property
    def state_info(self) -> list[dict[str, Any]]:
        shape = (len(self._directions) * self._num_layers, 0, self._num_hidden)
        return [{"shape": shape, "__layout__": "LNC"} for _ in range(2 if self._mode == "lstm" else 1)]

    @property
    def _gate_names(self) -> Sequence[str]:
        return list(FUSED_GATES[self._mode])

    @property
    def _num_gates(self) -> int:
        return len(self._gate_names)

    def _pieces(self, packed: NDArray) -> Iterator[tuple[str, NDArray]]:
        """Name and view of every weight and bias of the packed parameter."""
        start = 0
        for name, shape in fused_pieces(
            packed.size, self._num_hidden, self._num_layers, self._mode, self._bidirectional
        ):
            stop = start + math.prod(shape)
            yield self._prefix + name, packed[start:stop].reshape(shape)
            start = stop

    def unpack_weights(self, args: dict[str, Any]) -> dict[str, Any]:
        """A copy of ``args`` with one array for each layer, direction and gate: ``lstm_l0_i2h_f_weight`` and so on."""
        args = args.copy()
        packed = args.pop(self._parameter.name)
        args.update((name, piece.copy()) for name, piece in self._pieces(packed))
        return args

    def pack_weights(self, args: dict[str, Any]) -> dict[str, Any]:
        args = args.copy()
        first = args[f"{self._prefix}l0_i2h{self._gate_names[0]}_weight"]
        hidden, directions = self._num_hidden, len(self._directions)
        columns = first.shape[1] + hidden + 2 + (self._num_layers - 1) * (hidden + directions * hidden + 2)
        total = columns * hidden * self._num_gates * directions
        packed = ndarray.zeros((total,), ctx=first.context, dtype=first.dtype)
        for name, piece in self._pieces(packed):
            piece[:] = args.pop(name)
        args[self._parameter.name] = packed
        return args

    def __call__(self, inputs: Symbol, states: Sequence[Symbol]) -> tuple[Symbol, list]:
        raise NotImplementedError("FusedRNNCell cannot be stepped. Please use unroll")

    def unroll(
        self,
        length: int,
        inputs: Any,
        begin_state: Any = None,
        layout: str = "NTC",
        merge_outputs: bool | None = None,
    ) -> tuple[Any, list]:
        """As for every cell; NTC warns, since the operator takes TNC and the axes are swapped twice."""
        self.reset()
        inputs, axis = normalize_sequence(length, inputs, layout, True)
        if axis == 1:
            warnings.warn("NTC layout detected. Consider using TNC for FusedRNNCell for faster speed", stacklevel=2)
            inputs = symbol.swapaxes(inputs, dim1=0, dim2=1)
        else:
            check(axis == 0, f"Unsupported layout {layout}")
        outputs, states = self._operator(inputs, self.begin_state() if begin_state is None else begin_state)
        if axis == 1:
            outputs = symbol.swapaxes(outputs, dim1=0, dim2=1)
        return normalize_sequence(length, outputs, layout, merge_outputs)[0], states

    def _operator(self, inputs: Symbol, begin_state: Sequence[Symbol]) -> tuple[Symbol, list[Symbol]]:
        """Outputs (T, N, C) of the RNN operator and the states that it gives."""
        states = {"state": begin_state[0]}
        if self._mode == "lstm":
            states["state_cell"] = begin_state[1]
        rnn = symbol.RNN(
            data=inputs,
            parameters=self._parameter,
            state_size=self._num_hidden,
            num_layers=self._num_layers,
            bidirectional=self._bidirectional,
            p=self._dropout,
            state_outputs=self._get_next_state,
            mode=self._mode,
            name=f"{self._prefix}rnn",
            **states,
        )
        if not self._get_next_state:
            return rnn, []
        after = [rnn[1 + place] for place in range(len(states))]
        for state in after:
            state._set_attr(__layout__="LNC")
        return rnn[0], after

    def unfuse(self) -> SequentialRNNCell:
        """Cells that do the same step by step, and take the unpacked weights."""
        stack, cell = SequentialRNNCell(), _CELLS[self._mode]
        for layer in range(self._num_layers):
            sides = [cell(self._num_hidden, f"{self._prefix}{side}{layer}_") for side in self._directions]
            if self._bidirectional:
                stack.add(BidirectionalCell(sides[0], sides[1], output_prefix=f"{self._prefix}bi_l{layer}_"))
            else:
                stack.add(sides[0])
            if self._dropout > 0 and layer != self._num_layers - 1:
                stack.add(DropoutCell(self._dropout, prefix=f"{self._prefix}_dropout{layer}_"))
        return stack
