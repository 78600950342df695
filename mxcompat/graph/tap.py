"""Watching a graph run: every node's outputs in forward, and the gradients of its inputs in backward (Monitor)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import fx

from mxcompat.ops.schema import Operator
from mxcompat.scope import WATCH
from mxcompat.symbol.node import Node

Observer = Callable[[str, torch.Tensor], None]
#: operators of the original's oldest kind, whose gradients bear the names of the inputs
_NAMED = frozenset(
    "BatchNorm_v1 BilinearSampler Convolution_v1 Correlation Crop GridGenerator IdentityAttachKLSparseReg InstanceNorm "
    "L2Normalization MakeLoss Pad Pooling_v1 ROIPooling SVMOutput SequenceLast SequenceMask SequenceReverse SliceChannel "
    "SpatialTransformer SwapAxis _contrib_DeformableConvolution _contrib_DeformablePSROIPooling _contrib_PSROIPooling "
    "_contrib_SyncBatchNorm _contrib_count_sketch _contrib_fft _contrib_ifft".split()
)


#: operators with one input that has a name of its own; the inputs of all others with one are shown as ``input0``
_NAMED_INPUT = frozenset(
    "Concat Crop Custom Dropout GridGenerator L2Normalization LRN LeakyReLU MakeLoss Pad Pooling Pooling_v1 SequenceLast "
    "SequenceMask SequenceReverse SliceChannel SwapAxis UpSampling _contrib_BilinearResize2D _contrib_MultiBoxPrior "
    "_contrib_count_sketch _contrib_fft _contrib_ifft _contrib_index_array _contrib_quadratic _contrib_quantize_asym "
    "_contrib_quantize_v2 _histogram _image_normalize _image_to_tensor _linalg_det _linalg_extractdiag "
    "_linalg_extracttrian _linalg_gelqf _linalg_inverse _linalg_makediag _linalg_maketrian _linalg_potrf _linalg_potri "
    "_linalg_slogdet _linalg_sumlogdiag _linalg_syevd _linalg_syrk _np_cumsum _ravel_multi_index _sample_exponential "
    "_sample_poisson _split_v2 _unravel_index add_n all_finite col2im depth_to_space diag im2col khatri_rao log_softmax "
    "moments one_hot repeat reverse softmax space_to_depth squeeze stack tile".split()
)


def shown_inputs(op: Operator, names: Sequence[str]) -> Sequence[str]:
    """What the original's monitor calls an operator's inputs."""
    stem = {"amp_multicast": "data", "multi_all_finite": "array", "multi_sum_sq": "array"}.get(op.name)
    if stem is not None:
        return [f"{stem}_{index}" for index in range(len(names))]
    return ["input0"] if len(names) == 1 and op.name not in _NAMED_INPUT else names


class Watched(fx.Interpreter):
    """Runs the graph once, every operator through ``call(name, function, arguments, keywords)`` (the profiler)."""

    def __init__(self, module: fx.GraphModule, call: Callable[..., Any]):
        super().__init__(module)
        self._call = call

    def run_node(self, n: fx.Node) -> Any:
        if "operator" not in n.meta:
            return super().run_node(n)
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        return self._call(n.meta["operator"], n.target, args, kwargs)


#: inputs whose gradients are no node's outputs in the original: those of a sum are the head's own
_UNSEEN = {"elemwise_add": ("lhs", "rhs"), "where": ("condition",)}


class _Shown(torch.autograd.Function):
    """The tensors as they are; ``show(index, gradient)`` in backward, also of those that need no gradient.

    The original computes all gradients of an operator when it needs one, and shows them.
    """

    @staticmethod
    def forward(ctx: Any, show: Callable[[int, torch.Tensor], None], *tensors: torch.Tensor) -> Any:
        ctx.show = show
        outputs = tuple(tensor.view_as(tensor) for tensor in tensors)
        ctx.mark_non_differentiable(*[output for output in outputs if not output.is_floating_point()])
        return outputs

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        for index, gradient in enumerate(gradients):
            ctx.show(index, gradient)
        return (None, *gradients)


class Tap(fx.Interpreter):
    """Runs the graph once, node by node, and shows each output to ``observe(name, tensor)`` as it appears.

    With ``inputs`` the inputs are shown too, a variable under its own name first. Gradients are shown during backward, in
    the order the engine reaches them: ``<node>_backward_output<i>`` for the i-th input (``_NAMED`` operators: the input's name).
    """

    def __init__(self, module: fx.GraphModule, nodes: Sequence[Node], observe: Observer, inputs: bool):
        super().__init__(module)
        self._nodes = {node.name: node for node in nodes if node.op is not None}
        self._observe, self._inputs = observe, inputs

    def run_node(self, n: fx.Node) -> Any:
        node = self._nodes.get(n.meta.get("mxnet_name", "")) if "operator" in n.meta else None
        if node is None:
            return super().run_node(n)
        op = node.op
        assert op is not None
        if self._inputs:
            self._show_inputs(n, node, op)
        watched = self._watched(n, node, op)
        if WATCH.symbolic is not None:
            result = WATCH.symbolic(op.name, n.target, watched, dict(n.kwargs))
        else:
            result = self.call_function(n.target, tuple(watched), dict(n.kwargs))
        values = result if isinstance(result, (tuple, list)) else (result,)
        for index in range(node.num_outputs()):
            if index < len(values):
                self._observe(node.output_name(index), values[index])
        return result

    def _watched(self, n: fx.Node, node: Node, op: Operator) -> list[Any]:
        """The inputs; where one needs a gradient, as tensors of this consumer's own that show this node's part."""
        values = [self.env[arg] if isinstance(arg, fx.Node) else arg for arg in n.args]
        if not any(isinstance(value, torch.Tensor) and value.requires_grad for value in values):
            return values
        hidden = {i for i, name in enumerate(op.input_names(node.params)) if name in _UNSEEN.get(op.name, ())}
        hidden.update(node.aux_inputs())
        places = [i for i, value in enumerate(values) if isinstance(value, torch.Tensor) and i not in hidden]
        names = self._gradient_names(node, op, places)
        shown = _Shown.apply(
            lambda index, gradient: self._observe(names[index], gradient), *[values[i] for i in places]
        )
        for place, value in zip(places, shown):
            values[place] = value
        return values

    @staticmethod
    def _gradient_names(node: Node, op: Operator, places: Sequence[int]) -> list[str]:
        if op.name in _NAMED:
            return [f"{node.name}_backward_{op.input_names(node.params)[place]}" for place in places]
        if len(places) == 1:
            return [f"{node.name}_backward_output"]
        return [f"{node.name}_backward_output{number}" for number in range(len(places))]

    def _show_inputs(self, n: fx.Node, node: Node, op: Operator) -> None:
        for name, arg in zip(shown_inputs(op, op.input_names(node.params)), n.args):
            assert isinstance(arg, fx.Node)
            if arg.op == "placeholder":
                self._observe(arg.meta["mxnet_name"], self.env[arg])
            self._observe(f"{node.name}_{name}", self.env[arg])
