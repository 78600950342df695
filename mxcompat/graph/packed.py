"""Layers of inference graphs that keep packed weights: convolutions, fully connected layers and LSTMs, by oneDNN.

Each keeps its folded and packed weights beside the parameters they were made from. They are made at the second call with
the same parameters, so that a validation pass between two updates does not pay for packing, and are used as long as the
very tensors, at the very versions, come in again. Parameters whose memory another library holds (``from_numpy``, DLPack)
are never packed: they may change without a new version.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn import functional

from mxcompat.graph import fuse
from mxcompat.graph.recurrent import ordered, stacked
from mxcompat.ndarray.ndarray import OUTSIDE, is_outside
from mxcompat.ops.rnn import unpacked

__all__ = ["Convolution", "Layer", "Linear", "Recurrent", "UnrolledRecurrent", "Watch"]

#: weights, or multiplications, of a linear layer from which on packed weights gain (5 to 60 %) where plain ones do not
PACKED_WEIGHTS, PACKED_WORK = 1 << 18, 1 << 25
#: torch's number of the LSTM among its recurrent layers
LSTM = 2


class Watch:
    """Notices when tensors are others than at the last look, or have new values, or may have been given away since."""

    def __init__(self) -> None:
        self._tensors: Sequence[torch.Tensor | None] = ()
        self._versions: list[int] = []

    def is_unchanged(self, tensors: Sequence[torch.Tensor | None]) -> bool:
        """Whether they are the very tensors of the last look, at the very versions; remembers these."""
        versions = [0 if t is None else t._version for t in tensors]
        versions.append(OUTSIDE["storages"])
        unchanged = versions == self._versions and all(map(operator.is_, tensors, self._tensors))
        if not unchanged:
            self._tensors, self._versions = tensors, versions
        return unchanged


class Layer:
    """A layer with parameters, which begin at its ``first``-th argument; ``packed`` are the tensors made of them."""

    __name__ = "fused_layer"
    first = 1

    def __init__(self, activation: str):
        self.activation = activation
        self.packed: tuple | None = None
        self._watch = Watch()
        self._held_outside = False

    def is_settled(self, tensors: Sequence[torch.Tensor | None]) -> bool:
        """Whether the parameters are those of the last call, unchanged; forgets what was packed if not."""
        settled = self._watch.is_unchanged(tensors)
        if not settled:
            self.packed = None
            self._held_outside = any(t is not None and is_outside(t) for t in tensors)
        return settled and not self._held_outside


class Convolution(Layer):
    """Convolution, then maybe BatchNorm by moving averages, an addition, an activation."""

    first = 2

    def __init__(self, geometry: tuple, eps: float | None, adds: bool, activation: str):
        super().__init__(activation)
        self.geometry, self.eps, self.adds = geometry, eps, adds
        self.overwrites = False  # whether the sum may take the memory of what is added

    def __call__(self, x: torch.Tensor, other: Any, *parameters: Any) -> torch.Tensor:
        if x.dtype is not torch.float32:
            return self._plain(x, other, *parameters)
        x = fuse.channels_last(x)
        if not self.is_settled(parameters):
            return self._plain(x, other, *parameters)
        if self.packed is None:
            self.packed = self._pack(x, *parameters)
        weight, bias = self.packed
        stride, pad, dilate, groups = self.geometry
        if not self.adds:
            return torch.ops.mkldnn._convolution_pointwise(
                x, weight, bias, pad, stride, dilate, groups, self.activation, [], ""
            )
        activation = None if self.activation == "none" else self.activation
        other = fuse.channels_last(other)
        options: tuple = (weight, bias, pad, stride, dilate, groups, "add", 1.0, activation, [], None)
        if self.overwrites:
            return torch.ops.mkldnn._convolution_pointwise_.binary(other, x, *options)
        return torch.ops.mkldnn._convolution_pointwise.binary(x, other, *options)

    def _plain(self, x: Any, other: Any, weight: Any, bias: Any, *norm: Any) -> torch.Tensor:
        stride, pad, dilate, groups = self.geometry
        y = functional.conv2d(x, weight, bias, stride, pad, dilate, groups)
        if self.eps is not None:
            gamma, beta, mean, variance = norm
            y = functional.batch_norm(y, mean, variance, gamma, beta, False, 0.0, self.eps)
        if self.adds:
            y = y + other
        return y if self.activation == "none" else fuse.ACTIVATIONS[self.activation](y)

    def _pack(self, x: torch.Tensor, weight: torch.Tensor, bias: Any, *norm: Any) -> tuple:
        stride, pad, dilate, groups = self.geometry
        if self.eps is not None:
            gamma, beta, mean, variance = norm
            scale = (variance + self.eps).rsqrt()
            if gamma is not None:
                scale = scale * gamma
            bias = beta - mean * scale if bias is None else beta + (bias - mean) * scale
            weight = weight * scale.reshape(-1, 1, 1, 1)
        packed = torch.ops.mkldnn._reorder_convolution_weight(weight, pad, stride, dilate, groups, list(x.shape))
        return packed, None if bias is None else bias.clone()


class Linear(Layer):
    """A fully connected layer, maybe with an activation."""

    def __init__(self, flatten: bool, activation: str):
        super().__init__(activation)
        self.flatten = flatten
        self.linear_pays = fuse.linear_pays()

    def _gains(self, x: torch.Tensor, weight: torch.Tensor) -> bool:
        """Whether the layer is large enough for packed weights to be faster."""
        work = x.numel() // weight.shape[1] * weight.numel()
        if x.dtype is not torch.float32 or work < fuse.LINEAR_WORK:
            return False
        return self.linear_pays or weight.numel() >= PACKED_WEIGHTS or work >= PACKED_WORK

    def __call__(self, x: torch.Tensor, weight: torch.Tensor, bias: Any) -> torch.Tensor:
        rows = x.reshape(x.shape[0], -1) if self.flatten else x.reshape(-1, x.shape[-1])
        if not self._gains(rows, weight) or not self.is_settled((weight, bias)):
            return fuse.linear(x, weight, bias, self.flatten, self.activation)
        if self.packed is None:
            self.packed = (torch.ops.mkldnn._reorder_linear_weight(weight, rows.shape[0]),)
        y = torch.ops.mkldnn._linear_pointwise(rows.contiguous(), self.packed[0], bias, self.activation, [], "")
        return y if self.flatten else y.reshape(*x.shape[:-1], -1)


class _Lstm(Layer):
    """LSTM layers over whole sequences; ``plain`` is the same without packed weights."""

    first = 3

    def __init__(self, plain: Callable, bidirectional: bool = False):
        super().__init__("none")
        self.plain, self.directions = plain, 1 + bidirectional

    def __call__(self, data: Any, state: torch.Tensor, memory: torch.Tensor, *parameters: torch.Tensor) -> Any:
        if state.dtype is not torch.float32 or state.numel() == 0 or not self.is_settled(parameters):
            return self.plain(data, state, memory, *parameters)
        return self._finish(*self._layers(self._start(data), *self._states(state, memory), parameters))

    def _start(self, data: Any) -> torch.Tensor:
        """The input of the first layer (T, N, I)."""
        return data

    def _states(self, state: torch.Tensor, memory: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The first states (layers * directions, N, H)."""
        return state, memory

    def _cells(self, parameters: Sequence[torch.Tensor], features: int) -> list[Sequence[torch.Tensor]]:
        """Weights and biases of each layer and direction, in torch's order."""
        raise NotImplementedError

    def _finish(self, outputs: torch.Tensor, states: list[torch.Tensor], memories: list[torch.Tensor]) -> Any:
        raise NotImplementedError

    def _layers(self, x: torch.Tensor, state: torch.Tensor, memory: torch.Tensor, parameters: Any) -> tuple:
        if self.packed is None:
            self.packed = tuple(self._pack(x, self._cells(parameters, x.shape[2])))
        x, state, memory = (value.contiguous() for value in (x, state, memory))
        states, memories, count = [], [], state.shape[0] // self.directions
        options = (LSTM, state.shape[2], count, True, self.directions == 2, False, False)
        for layer in range(count):
            outputs = []
            for direction in range(self.directions):
                i = layer * self.directions + direction
                output, *last, _ = torch.ops.aten.mkldnn_rnn_layer(
                    x, *self.packed[4 * i : 4 * i + 4], state[i], memory[i], bool(direction), [], *options
                )
                outputs.append(output)
                states.append(last[0])
                memories.append(last[1])
            x = outputs[0] if self.directions == 1 else torch.cat(outputs, 2)
        return x, states, memories

    def _pack(self, x: torch.Tensor, cells: Sequence[Sequence[torch.Tensor]]) -> list[torch.Tensor]:
        packed = []
        for i, (weight, recurrent, *biases) in enumerate(cells):
            shape, reverse = [*x.shape[:2], weight.shape[1]], i % self.directions == 1
            packed += torch.ops.mkldnn._reorder_mkldnn_rnn_layer_weight(
                weight.contiguous(), recurrent.contiguous(), recurrent.shape[1], reverse, True, False, shape
            )
            packed += [bias.clone() for bias in biases]
        return packed


class Recurrent(_Lstm):
    """The operator RNN with ``mode='lstm'``; its arguments are data, state, memory and the packed parameter vector."""

    def __init__(self, operator_call: Callable, params: Any):
        def plain(data: Any, state: Any, memory: Any, vector: Any) -> Any:
            return operator_call(data, vector, state, memory)

        super().__init__(plain, params.bidirectional)
        self.params = params

    def _cells(self, parameters: Sequence[torch.Tensor], features: int) -> list[Sequence[torch.Tensor]]:
        return [cell.tensors() for cell in unpacked(parameters[0], self.params, features)]

    def _finish(self, outputs: torch.Tensor, states: list[torch.Tensor], memories: list[torch.Tensor]) -> Any:
        if not self.params.state_outputs:
            return outputs
        shape = (len(states), *states[0].shape[-2:])
        return outputs, torch.cat(states).view(shape), torch.cat(memories).view(shape)


class UnrolledRecurrent(_Lstm):
    """A layer that was joined from its steps (``recurrent.run_layer``); its parameters are those of one step."""

    def __init__(self, run_layer: Callable, order: Sequence[int], steps_first: bool):
        def plain(inputs: Any, state: Any, memory: Any, *parameters: Any) -> Any:
            return run_layer(inputs, state, memory, parameters, order, steps_first)

        super().__init__(plain)
        self.order, self.steps_first = order, steps_first

    def _start(self, data: Any) -> torch.Tensor:
        return stacked(data, self.steps_first)

    def _states(self, state: torch.Tensor, memory: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return state.unsqueeze(0), memory.unsqueeze(0)

    def _cells(self, parameters: Sequence[torch.Tensor], features: int) -> list[Sequence[torch.Tensor]]:
        return [ordered(parameters, self.order)]

    def _finish(self, outputs: torch.Tensor, states: list[torch.Tensor], memories: list[torch.Tensor]) -> Any:
        return outputs, memories[0].reshape(outputs.shape[1:])
