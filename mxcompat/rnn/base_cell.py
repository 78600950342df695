"""What recurrent cells share: their variables, one step, many steps, packed weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mxcompat import ndarray, symbol
from mxcompat.base import string_types
from mxcompat.symbol import Symbol


def check(condition: Any, message: str) -> None:
    """Raise ``AssertionError``, the class that the original raises for wrong use of a cell."""
    if not condition:
        raise AssertionError(message)


def normalize_sequence(
    length: int | None, inputs: Any, layout: str, merge: bool | None, in_layout: str | None = None
) -> tuple[Any, int]:
    """A sequence as one symbol (``merge``) or as a list with one symbol a step (``merge=False``), and its time axis.

    One symbol has the axes ``layout`` (``in_layout`` before, when given); those of a list have no time axis.
    ``merge=None`` leaves the form as it is.
    """
    check(
        inputs is not None,
        "unroll(inputs=None) has been deprecated. Please create input variables outside unroll.",
    )
    axis = layout.find("T")
    in_axis = axis if in_layout is None else in_layout.find("T")
    if isinstance(inputs, Symbol):
        if merge is False:
            check(
                len(inputs.list_outputs()) == 1,
                "unroll doesn't allow grouped symbol as input. Please convert to list with list(inputs) first or let "
                "unroll handle splitting.",
            )
            inputs = list(symbol.split(inputs, axis=in_axis, num_outputs=length, squeeze_axis=1))
    else:
        check(
            length is None or len(inputs) == length,
            f"unroll: there are {len(inputs)} input symbols, expected one for each of the {length} steps",
        )
        if merge is True:
            inputs = symbol.Concat(*[symbol.expand_dims(step, axis=axis) for step in inputs], dim=axis)
            in_axis = axis
    if isinstance(inputs, Symbol) and axis != in_axis:
        inputs = symbol.swapaxes(inputs, dim0=axis, dim1=in_axis)
    return inputs, axis


class RNNParams:
    """The variables of cells by name; cells that share one share their weights."""

    def __init__(self, prefix: str = ""):
        self._prefix = prefix
        self._params: dict[str, Symbol] = {}

    def get(self, name: str, **kwargs: Any) -> Symbol:
        """The variable called prefix + ``name``, made with ``mx.sym.Variable(..., **kwargs)`` at the first call."""
        name = self._prefix + name
        if name not in self._params:
            self._params[name] = symbol.Variable(name, **kwargs)
        return self._params[name]


class BaseRNNCell:
    """Base class of recurrent cells: composes the symbols of one step (a call) or of many (``unroll``).

    ``prefix`` starts the names of its nodes, and of its variables unless ``params`` holds those.
    """

    def __init__(self, prefix: str = "", params: RNNParams | None = None):
        self._own_params = params is None
        self._prefix = prefix
        self._params = RNNParams(prefix) if params is None else params
        self._modified = False
        self.reset()

    def reset(self) -> None:
        """Count steps and begin states from zero again, before the cell makes another graph."""
        self._init_counter = -1
        self._counter = -1
        for cell in getattr(self, "_cells", ()):
            cell.reset()

    def __call__(self, inputs: Symbol, states: Sequence[Symbol]) -> tuple[Symbol, list]:
        """One step: the output and the new states for an input (N, C) and the states before."""
        raise NotImplementedError()

    @property
    def params(self) -> RNNParams:
        """The variables of the cell; who asked for them may share them."""
        self._own_params = False
        return self._params

    @property
    def state_info(self) -> list[dict[str, Any]]:
        """Shape (0: the batch) and layout of each state."""
        raise NotImplementedError()

    @property
    def state_shape(self) -> list[tuple[int, ...]]:
        """Shape of each state."""
        return [info["shape"] for info in self.state_info]

    @property
    def _gate_names(self) -> Sequence[str]:
        """Suffixes of the gates, in the order in which their rows lie in a weight."""
        return ()

    def _next_name(self) -> str:
        """The prefix of the nodes of the next step."""
        self._counter += 1
        return f"{self._prefix}t{self._counter}_"

    def begin_state(self, func: Callable[..., Symbol] = symbol.zeros, **kwargs: Any) -> list:
        """The states before the first step: ``func(name=..., shape=..., **kwargs)`` for each.

        ``symbol.zeros`` gives constants; ``symbol.Variable`` gives inputs called prefix + ``begin_state_0`` and so on.
        """
        check(
            not self._modified,
            "After applying modifier cells (e.g. DropoutCell) the base cell cannot be called directly. Call the "
            "modifier cell instead.",
        )
        states = []
        for info in self.state_info:
            self._init_counter += 1
            kwargs.update(info or {})
            states.append(func(name=f"{self._prefix}begin_state_{self._init_counter}", **kwargs))
        return states

    def unpack_weights(self, args: dict[str, Any]) -> dict[str, Any]:
        """A copy of ``args`` in which each weight and bias of this cell is replaced by one array for each gate."""
        args = args.copy()
        if not self._gate_names:
            return args
        rows = self._num_hidden  # type: ignore[attr-defined]
        for group in ("i2h", "h2h"):
            whole = {kind: args.pop(f"{self._prefix}{group}_{kind}") for kind in ("weight", "bias")}
            for place, gate in enumerate(self._gate_names):
                for kind, array in whole.items():
                    piece = array[place * rows : (place + 1) * rows].copy()
                    args[f"{self._prefix}{group}{gate}_{kind}"] = piece
        return args

    def pack_weights(self, args: dict[str, Any]) -> dict[str, Any]:
        """The reverse of ``unpack_weights``."""
        args = args.copy()
        if not self._gate_names:
            return args
        for group in ("i2h", "h2h"):
            for kind in ("weight", "bias"):
                pieces = [args.pop(f"{self._prefix}{group}{gate}_{kind}") for gate in self._gate_names]
                args[f"{self._prefix}{group}_{kind}"] = ndarray.concatenate(pieces)
        return args

    def unroll(
        self,
        length: int,
        inputs: Any,
        begin_state: Any = None,
        layout: str = "NTC",
        merge_outputs: bool | None = None,
    ) -> tuple[Any, list]:
        """``length`` steps: the outputs and the last states.

        ``inputs`` is one symbol with the axes ``layout`` (NTC or TNC) or a list with one symbol (N, ...) a step. The
        outputs are one symbol (``merge_outputs=True``), a list (False), or whichever needs no further node (None).
        """
        self.reset()
        inputs, _ = normalize_sequence(length, inputs, layout, False)
        states = self.begin_state() if begin_state is None else begin_state
        outputs = []
        for step in range(length):
            output, states = self(inputs[step], states)
            outputs.append(output)
        return normalize_sequence(length, outputs, layout, merge_outputs)[0], states

    def _get_activation(self, inputs: Symbol, activation: Any, **kwargs: Any) -> Symbol:
        """The activation of that name, or what a callable makes of ``inputs``."""
        if isinstance(activation, string_types):
            return symbol.Activation(inputs, act_type=activation, **kwargs)
        return activation(inputs, **kwargs)


class StackedCells(BaseRNNCell):
    """A cell made of ``_cells``: their states one after the other, their weights packed by each."""

    _cells: list[BaseRNNCell]

    @property
    def state_info(self) -> list[dict[str, Any]]:
        return [info for cell in self._cells for info in cell.state_info]

    def begin_state(self, **kwargs: Any) -> list:  # type: ignore[override]
        check(
            not self._modified,
            "After applying modifier cells (e.g. ZoneoutCell) the base cell cannot be called directly. Call the "
            "modifier cell instead.",
        )
        return [state for cell in self._cells for state in cell.begin_state(**kwargs)]

    def unpack_weights(self, args: dict[str, Any]) -> dict[str, Any]:
        for cell in self._cells:
            args = cell.unpack_weights(args)
        return args

    def pack_weights(self, args: dict[str, Any]) -> dict[str, Any]:
        for cell in self._cells:
            args = cell.pack_weights(args)
        return args

    def _share_params(self, cells: Sequence[BaseRNNCell], given: bool) -> None:
        """Take the variables of ``cells``; when this cell's own were given, the cells get those first."""
        if given:
            check(
                all(cell._own_params for cell in cells),
                f"Either specify params for {type(self).__name__} or child cells, not both.",
            )
            for cell in cells:
                cell.params._params.update(self.params._params)
        for cell in cells:
            self.params._params.update(cell.params._params)
