"""Cells that change what another cell does: zoneout, residual connections."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from mxcompat import symbol
from mxcompat.rnn.base_cell import BaseRNNCell, RNNParams, check, normalize_sequence
from mxcompat.rnn.fused_cell import FusedRNNCell
from mxcompat.rnn.stacked_cells import BidirectionalCell, SequentialRNNCell
from mxcompat.symbol import Symbol


class ModifierCell(BaseRNNCell):
    """Base class of cells around a cell, whose variables and states they use; it is no longer called directly.

    Compat: ``reset`` does not reach the base cell, whose steps count on when the modifier is unrolled again.
    """

    def __init__(self, base_cell: BaseRNNCell):
        super().__init__()
        base_cell._modified = True
        self.base_cell = base_cell

    @property
    def params(self) -> RNNParams:
        self._own_params = False
        return self.base_cell.params

    @property
    def state_info(self) -> list[dict[str, Any]]:
        return self.base_cell.state_info

    @contextmanager
    def _base_unmodified(self) -> Iterator[None]:
        self.base_cell._modified = False
        try:
            yield
        finally:
            self.base_cell._modified = True

    def begin_state(  # type: ignore[override]
        self, init_sym: Callable[..., Symbol] = symbol.zeros, **kwargs: Any
    ) -> list:
        """The base cell's, by the function ``init_sym`` (also taken as ``func``, the name that other cells give it)."""
        check(
            not self._modified,
            "After applying modifier cells (e.g. DropoutCell) the base cell cannot be called directly. Call the "
            "modifier cell instead.",
        )
        kwargs.setdefault("func", init_sym)
        with self._base_unmodified():
            return self.base_cell.begin_state(**kwargs)

    def unpack_weights(self, args: dict[str, Any]) -> dict[str, Any]:
        return self.base_cell.unpack_weights(args)

    def pack_weights(self, args: dict[str, Any]) -> dict[str, Any]:
        return self.base_cell.pack_weights(args)

    def __call__(self, inputs: Symbol, states: Sequence[Symbol]) -> tuple[Symbol, list]:
        raise NotImplementedError


def _has_both_directions(cell: BaseRNNCell) -> bool:
    return isinstance(cell, BidirectionalCell) or (
        isinstance(cell, SequentialRNNCell) and any(_has_both_directions(part) for part in cell._cells)
    )


class ZoneoutCell(ModifierCell):
    """Each output and state stays as it was one step before with the given probabilities (in training)."""

    def __init__(self, base_cell: BaseRNNCell, zoneout_outputs: float = 0.0, zoneout_states: float = 0.0):
        check(not isinstance(base_cell, FusedRNNCell), "FusedRNNCell doesn't support zoneout. Please unfuse first.")
        check(
            not _has_both_directions(base_cell),
            "BidirectionalCell doesn't support zoneout since it doesn't support step. Please add ZoneoutCell to the "
            "cells underneath instead.",
        )
        super().__init__(base_cell)
        self.zoneout_outputs, self.zoneout_states = zoneout_outputs, zoneout_states
        self.prev_output: Symbol | None = None

    def reset(self) -> None:
        super().reset()
        self.prev_output = None

    def __call__(self, inputs: Symbol, states: Sequence[Symbol]) -> tuple[Symbol, list]:
        output, next_states = self.base_cell(inputs, states)
        before = symbol.zeros((0, 0)) if self.prev_output is None else self.prev_output
        if self.zoneout_outputs != 0.0:
            output = symbol.where(_kept(self.zoneout_outputs, output), output, before)
        if self.zoneout_states != 0.0:
            pairs = zip(next_states, states)
            next_states = [symbol.where(_kept(self.zoneout_states, new), new, old) for new, old in pairs]
        # Compat: what the next step holds on to is this output with zoneout applied.
        self.prev_output = output
        return output, next_states


def _kept(probability: float, like: Symbol) -> Symbol:
    """Zero with that probability, in the shape of ``like``."""
    return symbol.Dropout(symbol.ones_like(like), p=probability)


class ResidualCell(ModifierCell):
    """The output of a cell plus its input."""

    def __call__(self, inputs: Symbol, states: Sequence[Symbol]) -> tuple[Symbol, list]:
        output, states = self.base_cell(inputs, states)
        return _plus(output, inputs), states  # type: ignore[return-value]

    def unroll(
        self,
        length: int,
        inputs: Any,
        begin_state: Any = None,
        layout: str = "NTC",
        merge_outputs: bool | None = None,
    ) -> tuple[Any, list]:
        self.reset()
        with self._base_unmodified():
            outputs, states = self.base_cell.unroll(
                length, inputs=inputs, begin_state=begin_state, layout=layout, merge_outputs=merge_outputs
            )
        merged = isinstance(outputs, Symbol) if merge_outputs is None else merge_outputs
        inputs, _ = normalize_sequence(length, inputs, layout, merged)
        if merged:
            return _plus(outputs, inputs), states
        return [_plus(output, step) for output, step in zip(outputs, inputs)], states


def _plus(output: Symbol, inputs: Symbol) -> Symbol:
    return symbol.elemwise_add(output, inputs, name=f"{output.name}_plus_residual")
