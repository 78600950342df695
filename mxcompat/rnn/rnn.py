"""Checkpoints of networks with recurrent cells (public path: ``mxnet.rnn.rnn``)."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

from mxcompat.base import MXNetError
from mxcompat.model import load_checkpoint, save_checkpoint
from mxcompat.rnn.base_cell import BaseRNNCell

__all__ = ["do_rnn_checkpoint", "load_checkpoint", "load_rnn_checkpoint", "rnn_unroll", "save_checkpoint"]
__all__ += ["save_rnn_checkpoint"]


def rnn_unroll(
    cell: BaseRNNCell,
    length: int,
    inputs: Any = None,
    begin_state: Any = None,
    input_prefix: str = "",
    layout: str = "NTC",
) -> tuple[Any, list]:
    """Deprecated: ``cell.unroll``. A prefix of inputs is for cells whose own ``unroll`` takes one."""
    warnings.warn("rnn_unroll is deprecated. Please call cell.unroll directly.", stacklevel=2)
    # The original hands input_prefix to every cell, none of which takes it.
    prefix: dict[str, Any] = {"input_prefix": input_prefix} if input_prefix else {}
    return cell.unroll(length=length, inputs=inputs, begin_state=begin_state, layout=layout, **prefix)


def _listed(cells: BaseRNNCell | Sequence[BaseRNNCell]) -> Sequence[BaseRNNCell]:
    return [cells] if isinstance(cells, BaseRNNCell) else cells


class _UnfitWeights(MXNetError, KeyError):
    """Compat: programs catch ``KeyError`` where weights are missing."""

    __str__ = Exception.__str__


def save_rnn_checkpoint(
    cells: Any, prefix: str, epoch: int, symbol: Any, arg_params: dict[str, Any], aux_params: dict[str, Any]
) -> None:
    """``mx.model.save_checkpoint`` with the weights of ``cells`` (one or several) unpacked."""
    for cell in _listed(cells):
        arg_params = cell.unpack_weights(arg_params)
    save_checkpoint(prefix, epoch, symbol, arg_params, aux_params)


def load_rnn_checkpoint(cells: Any, prefix: str, epoch: int) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """Symbol, parameters and auxiliary states that ``save_rnn_checkpoint`` wrote, the weights packed for ``cells``."""
    symbol, arg_params, aux_params = load_checkpoint(prefix, epoch)
    for cell in _listed(cells):
        try:
            arg_params = cell.pack_weights(arg_params)
        except (MXNetError, LookupError, ValueError) as error:
            raise _UnfitWeights(f"{prefix}-{int(epoch):04d}.params: not the weights of the cells: {error!r}") from error
    return symbol, arg_params, aux_params


def do_rnn_checkpoint(cells: Any, prefix: str, period: int = 1) -> Callable:
    """An epoch callback that saves a checkpoint with unpacked weights every ``period`` epochs."""
    period = int(max(1, period))

    def _callback(iter_no: int, sym: Any = None, arg: Any = None, aux: Any = None) -> None:
        if (iter_no + 1) % period == 0:
            save_rnn_checkpoint(cells, prefix, iter_no + 1, sym, arg, aux)

    return _callback
