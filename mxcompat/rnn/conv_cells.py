"""Cells of convolutions, whose states are images: plain, LSTM, GRU."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from mxcompat import symbol
from mxcompat.rnn.base_cell import BaseRNNCell, RNNParams, check
from mxcompat.rnn.plain_cells import gru_step, lstm_step
from mxcompat.symbol import Symbol

_LEAKY = functools.partial(symbol.LeakyReLU, act_type="leaky", slope=0.2)


class BaseConvRNNCell(BaseRNNCell):
    """Base class of cells with one convolution of the input (``i2h``) and one of the state (``h2h``).

    ``input_shape`` is that of one step, batch included, with the axes ``conv_layout``. The sizes of ``h2h_kernel``
    are odd, since the state keeps its size (``AssertionError``).
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        num_hidden: int,
        h2h_kernel: tuple[int, int],
        h2h_dilate: tuple[int, int],
        i2h_kernel: tuple[int, int],
        i2h_stride: tuple[int, int],
        i2h_pad: tuple[int, int],
        i2h_dilate: tuple[int, int],
        i2h_weight_initializer: Any,
        h2h_weight_initializer: Any,
        i2h_bias_initializer: Any,
        h2h_bias_initializer: Any,
        activation: Any,
        prefix: str = "",
        params: RNNParams | None = None,
        conv_layout: str = "NCHW",
    ):
        super().__init__(prefix=prefix, params=params)
        odd = all(size % 2 == 1 for size in h2h_kernel[:2])
        check(odd, f"Only support odd number, get h2h_kernel= {h2h_kernel}")
        sizes = zip(h2h_kernel[:2], h2h_dilate[:2])
        self._h2h = {
            "kernel": h2h_kernel,
            "dilate": h2h_dilate,
            "pad": tuple(dilate * (size - 1) // 2 for size, dilate in sizes),
            "stride": (1, 1),
        }
        self._i2h = {"kernel": i2h_kernel, "stride": i2h_stride, "pad": i2h_pad, "dilate": i2h_dilate}
        self._num_hidden, self._input_shape = num_hidden, input_shape
        self._conv_layout, self._activation = conv_layout, activation
        # Compat: as in the original this unnamed node uses up one automatic name, convolution0.
        state = symbol.Convolution(data=symbol.Variable("data"), num_filter=num_hidden, layout=conv_layout, **self._i2h)
        self._state_shape = (0,) + state.infer_shape(data=input_shape)[1][0][1:]
        self._iW = self.params.get("i2h_weight", init=i2h_weight_initializer)  # noqa: N815
        self._hW = self.params.get("h2h_weight", init=h2h_weight_initializer)
        self._iB = self.params.get("i2h_bias", init=i2h_bias_initializer)
        self._hB = self.params.get("h2h_bias", init=h2h_bias_initializer)

    @property
    def _num_gates(self) -> int:
        return len(self._gate_names)

    @property
    def state_info(self) -> list[dict[str, Any]]:
        return [{"shape": self._state_shape, "__layout__": self._conv_layout} for _ in range(2)]

    def _conv_forward(self, inputs: Symbol, states: Sequence[Symbol], name: str) -> tuple[Any, Any]:
        """Both convolutions, all gates at once."""
        shared = {"num_filter": self._num_hidden * self._num_gates, "layout": self._conv_layout}
        i2h = symbol.Convolution(name=f"{name}i2h", data=inputs, weight=self._iW, bias=self._iB, **self._i2h, **shared)
        h2h = symbol.Convolution(
            name=f"{name}h2h", data=states[0], weight=self._hW, bias=self._hB, **self._h2h, **shared
        )
        return i2h, h2h

    def __call__(self, inputs: Symbol, states: Sequence[Symbol]) -> tuple[Symbol, list]:
        raise NotImplementedError("BaseConvRNNCell is abstract class for convolutional RNN")


class ConvRNNCell(BaseConvRNNCell):
    """``h' = activation(W_i * x + b_i + W_h * h + b_h)`` with convolutions; the output is the state."""

    def __init__(
        self,
        input_shape: tuple[int, ...],
        num_hidden: int,
        h2h_kernel: tuple[int, int] = (3, 3),
        h2h_dilate: tuple[int, int] = (1, 1),
        i2h_kernel: tuple[int, int] = (3, 3),
        i2h_stride: tuple[int, int] = (1, 1),
        i2h_pad: tuple[int, int] = (1, 1),
        i2h_dilate: tuple[int, int] = (1, 1),
        i2h_weight_initializer: Any = None,
        h2h_weight_initializer: Any = None,
        i2h_bias_initializer: Any = "zeros",
        h2h_bias_initializer: Any = "zeros",
        activation: Any = _LEAKY,
        prefix: str = "ConvRNN_",
        params: RNNParams | None = None,
        conv_layout: str = "NCHW",
    ):
        super().__init__(
            input_shape,
            num_hidden,
            h2h_kernel,
            h2h_dilate,
            i2h_kernel,
            i2h_stride,
            i2h_pad,
            i2h_dilate,
            i2h_weight_initializer,
            h2h_weight_initializer,
            i2h_bias_initializer,
            h2h_bias_initializer,
            activation,
            prefix,
            params,
            conv_layout,
        )

    @property
    def _gate_names(self) -> Sequence[str]:
        return ("",)

    @property
    def state_info(self) -> list[dict[str, Any]]:
        return super().state_info[:1]

    def __call__(self, inputs: Symbol, states: Sequence[Symbol]) -> tuple[Symbol, list]:
        name = self._next_name()
        i2h, h2h = self._conv_forward(inputs, states, name)
        output = self._get_activation(i2h + h2h, self._activation, name=f"{name}out")
        return output, [output]


class ConvLSTMCell(BaseConvRNNCell):
    """An LSTM whose dense layers are convolutions."""

    def __init__(
        self,
        input_shape: tuple[int, ...],
        num_hidden: int,
        h2h_kernel: tuple[int, int] = (3, 3),
        h2h_dilate: tuple[int, int] = (1, 1),
        i2h_kernel: tuple[int, int] = (3, 3),
        i2h_stride: tuple[int, int] = (1, 1),
        i2h_pad: tuple[int, int] = (1, 1),
        i2h_dilate: tuple[int, int] = (1, 1),
        i2h_weight_initializer: Any = None,
        h2h_weight_initializer: Any = None,
        i2h_bias_initializer: Any = "zeros",
        h2h_bias_initializer: Any = "zeros",
        activation: Any = _LEAKY,
        prefix: str = "ConvLSTM_",
        params: RNNParams | None = None,
        conv_layout: str = "NCHW",
    ):
        super().__init__(
            input_shape,
            num_hidden,
            h2h_kernel,
            h2h_dilate,
            i2h_kernel,
            i2h_stride,
            i2h_pad,
            i2h_dilate,
            i2h_weight_initializer,
            h2h_weight_initializer,
            i2h_bias_initializer,
            h2h_bias_initializer,
            activation,
            prefix,
            params,
            conv_layout,
        )

    @property
    def _gate_names(self) -> Sequence[str]:
        return ["_i", "_f", "_c", "_o"]

    def __call__(self, inputs: Symbol, states: Sequence[Symbol]) -> tuple[Symbol, list]:
        name = self._next_name()
        i2h, h2h = self._conv_forward(inputs, states, name)
        channels = self._conv_layout.find("C")
        return lstm_step(self, i2h + h2h, states[1], name, self._activation, axis=channels)


class ConvGRUCell(BaseConvRNNCell):
    """A GRU whose dense layers are convolutions.

    Compat: gates are cut along axis 1 whatever ``conv_layout`` is, so only layouts with the channels there work.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        num_hidden: int,
        h2h_kernel: tuple[int, int] = (3, 3),
        h2h_dilate: tuple[int, int] = (1, 1),
        i2h_kernel: tuple[int, int] = (3, 3),
        i2h_stride: tuple[int, int] = (1, 1),
        i2h_pad: tuple[int, int] = (1, 1),
        i2h_dilate: tuple[int, int] = (1, 1),
        i2h_weight_initializer: Any = None,
        h2h_weight_initializer: Any = None,
        i2h_bias_initializer: Any = "zeros",
        h2h_bias_initializer: Any = "zeros",
        activation: Any = _LEAKY,
        prefix: str = "ConvGRU_",
        params: RNNParams | None = None,
        conv_layout: str = "NCHW",
    ):
        super().__init__(
            input_shape,
            num_hidden,
            h2h_kernel,
            h2h_dilate,
            i2h_kernel,
            i2h_stride,
            i2h_pad,
            i2h_dilate,
            i2h_weight_initializer,
            h2h_weight_initializer,
            i2h_bias_initializer,
            h2h_bias_initializer,
            activation,
            prefix,
            params,
            conv_layout,
        )

    @property
    def _gate_names(self) -> Sequence[str]:
        return ["_r", "_z", "_o"]

    @property
    def state_info(self) -> list[dict[str, Any]]:
        return super().state_info[:1]

    def __call__(self, inputs: Symbol, states: Sequence[Symbol]) -> tuple[Symbol, list]:
        name = self._next_name()
        i2h, h2h = self._conv_forward(inputs, states, name)
        return gru_step(self, i2h, h2h, states[0], name, self._activation)
