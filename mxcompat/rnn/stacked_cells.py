"""Cells made of cells: one after the other, both directions; and dropout between layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mxcompat import symbol
from mxcompat.base import numeric_types
from mxcompat.rnn.base_cell import BaseRNNCell, RNNParams, StackedCells, check, normalize_sequence
from mxcompat.symbol import Symbol


class SequentialRNNCell(StackedCells):
    """Cells of which each takes the outputs of the one before."""

    def __init__(self, params: RNNParams | None = None):
        super().__init__(prefix="", params=params)
        self._override_cell_params = params is not None
        self._cells = []

    def add(self, cell: BaseRNNCell) -> None:
        """Put a cell on top."""
        self._cells.append(cell)
        self._share_params([cell], self._override_cell_params)

    def _split_states(self, states: Sequence) -> list[tuple[BaseRNNCell, Sequence]]:
        """Each cell with its states."""
        found, start = [], 0
        for cell in self._cells:
            count = len(cell.state_info)
            found.append((cell, states[start : start + count]))
            start += count
        return found

    def __call__(self, inputs: Symbol, states: Sequence[Symbol]) -> tuple[Symbol, list]:
        self._counter += 1
        next_states: list = []
        for cell, before in self._split_states(states):
            check(not isinstance(cell, BidirectionalCell), "SequentialRNNCell: a BidirectionalCell cannot be stepped")
            inputs, after = cell(inputs, before)
            next_states += after
        return inputs, next_states

    def unroll(
        self,
        length: int,
        inputs: Any,
        begin_state: Any = None,
        layout: str = "NTC",
        merge_outputs: bool | None = None,
    ) -> tuple[Any, list]:
        self.reset()
        if begin_state is None:
            begin_state = self.begin_state()
        next_states: list = []
        for place, (cell, before) in enumerate(self._split_states(begin_state)):
            merge = merge_outputs if place == len(self._cells) - 1 else None
            inputs, after = cell.unroll(length, inputs=inputs, begin_state=before, layout=layout, merge_outputs=merge)
            next_states.extend(after)
        return inputs, next_states


class BidirectionalCell(StackedCells):
    """One cell over the sequence and one over its reverse; outputs are joined along the channels."""

    def __init__(
        self, l_cell: BaseRNNCell, r_cell: BaseRNNCell, params: RNNParams | None = None, output_prefix: str = "bi_"
    ):
        super().__init__("", params=params)
        self._output_prefix = output_prefix
        self._override_cell_params = params is not None
        self._cells = [l_cell, r_cell]
        self._share_params(self._cells, self._override_cell_params)

    def __call__(self, inputs: Symbol, states: Sequence[Symbol]) -> tuple[Symbol, list]:
        raise NotImplementedError("Bidirectional cannot be stepped. Please use unroll")

    def unroll(
        self,
        length: int,
        inputs: Any,
        begin_state: Any = None,
        layout: str = "NTC",
        merge_outputs: bool | None = None,
    ) -> tuple[Any, list]:
        """As for every cell; the states are a list of two lists, one for each direction."""
        self.reset()
        inputs, axis = normalize_sequence(length, inputs, layout, False)
        if begin_state is None:
            begin_state = self.begin_state()
        l_cell, r_cell = self._cells
        count = len(l_cell.state_info)
        options: dict[str, Any] = {"layout": layout, "merge_outputs": merge_outputs}
        left, l_states = l_cell.unroll(length, inputs=inputs, begin_state=begin_state[:count], **options)
        right, r_states = r_cell.unroll(length, inputs=inputs[::-1], begin_state=begin_state[count:], **options)
        if merge_outputs is None:
            merge_outputs = isinstance(left, Symbol) and isinstance(right, Symbol)
            if not merge_outputs:
                left, right = (
                    list(symbol.SliceChannel(side, axis=axis, num_outputs=length, squeeze_axis=1))
                    if isinstance(side, Symbol)
                    else side
                    for side in (left, right)
                )
        return self._join(left, right, axis, merge_outputs), [l_states, r_states]

    def _join(self, left: Any, right: Any, axis: int, merged: bool) -> Any:
        if merged:
            right = symbol.reverse(right, axis=axis)
            return symbol.Concat(left, right, dim=2, name=f"{self._output_prefix}out")
        return [
            symbol.Concat(one, other, dim=1, name=f"{self._output_prefix}t{step}")
            for step, (one, other) in enumerate(zip(left, reversed(right)))
        ]


class DropoutCell(BaseRNNCell):
    """Dropout of its inputs with probability ``dropout``; it has no states and no variables."""

    def __init__(self, dropout: float, prefix: str = "dropout_", params: RNNParams | None = None):
        super().__init__(prefix, params)
        check(isinstance(dropout, numeric_types), "dropout probability must be a number")
        self.dropout = dropout

    @property
    def state_info(self) -> list[dict[str, Any]]:
        return []

    def __call__(self, inputs: Symbol, states: Sequence[Symbol]) -> tuple[Symbol, Any]:
        if self.dropout > 0:
            inputs = symbol.Dropout(data=inputs, p=self.dropout)
        return inputs, states

    def unroll(
        self,
        length: int,
        inputs: Any,
        begin_state: Any = None,
        layout: str = "NTC",
        merge_outputs: bool | None = None,
    ) -> tuple[Any, list]:
        """As for every cell; inputs in one symbol get one Dropout node, those in a list one each."""
        self.reset()
        inputs, _ = normalize_sequence(length, inputs, layout, merge_outputs)
        if isinstance(inputs, Symbol):
            return self(inputs, [])
        return super().unroll(length, inputs, begin_state, layout, merge_outputs)
