"""The pass that puts layers on 8-bit integers into a graph, and the one that writes calibrated ranges into it.

A layer that is quantized reads bytes: nodes that convert stand before it where its inputs are numbers, and behind it where
something else reads its output. Names, order and attributes of the nodes are the original's
(src/operator/quantization/quantize_graph_pass.cc).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from mxcompat.base import MXNetError
from mxcompat.ops import registry
from mxcompat.ops.schema import Params
from mxcompat.symbol import Symbol
from mxcompat.symbol.node import Entry, Node, copy_graph, topological

__all__ = ["calibrate", "quantize"]

#: operator -> what takes its place; ``_fits`` says for which parameters
_COUNTERPARTS = {
    "Activation": "_contrib_quantized_act",
    "BatchNorm": "_contrib_quantized_batch_norm",
    "Concat": "_contrib_quantized_concat",
    "Convolution": "_contrib_quantized_conv",
    "Embedding": "_contrib_quantized_embedding",
    "Flatten": "_contrib_quantized_flatten",
    "FullyConnected": "_contrib_quantized_fully_connected",
    "Pooling": "_contrib_quantized_pooling",
    "RNN": "_contrib_quantized_rnn",
    "elemwise_add": "_contrib_quantized_elemwise_add",
    "elemwise_mul": "_contrib_quantized_elemwise_mul",
}
_FITS: dict[str, Callable[[Params], bool]] = {
    "Activation": lambda params: params.act_type == "relu",
    "Concat": lambda params: params.dim > 0,
    "Embedding": lambda params: params.dtype == "float32",
    "Pooling": lambda params: params.pool_type in ("max", "avg"),
    "RNN": lambda params: params.mode == "lstm",
}
#: what the original has kernels for on other devices than the cpu
_ON_GPU = frozenset({"Convolution", "Flatten", "FullyConnected", "Pooling"})
_WORTH_IT = frozenset({"Convolution", "FullyConnected", "RNN"})  # the others follow them in mode 'smart'
_REQUANTIZED = frozenset({"Convolution", "FullyConnected", "elemwise_add", "elemwise_mul"})
#: inputs that stay numbers
_KEPT: dict[str, Callable[[int], bool]] = {
    "BatchNorm": lambda position: position != 0,
    "Embedding": lambda position: position == 0,
    "RNN": lambda position: position != 0,
}
_CALIBRATED_INPUT = frozenset({"_contrib_quantize_v2", "_contrib_requantize", "_contrib_quantize_asym"})
_CALIBRATED_OUTPUT = frozenset({"_contrib_quantized_batch_norm"})

#: operators whose outputs have names of their own in the original; those of the others go by number
_NAMED_OUTPUTS = frozenset(
    """Activation BatchNorm BatchNorm_v1 BilinearSampler Concat Convolution Convolution_v1 Correlation Crop Custom
    Deconvolution Dropout FullyConnected GridGenerator GroupNorm IdentityAttachKLSparseReg InstanceNorm L2Normalization LRN
    LayerNorm LeakyReLU MakeLoss Pad Pooling Pooling_v1 RNN ROIPooling SVMOutput SequenceLast SequenceMask SequenceReverse
    SliceChannel SoftmaxActivation SoftmaxOutput SpatialTransformer SwapAxis UpSampling _CrossDeviceCopy _NDArray _Native
    _contrib_BatchNormWithReLU _contrib_DeformableConvolution _contrib_DeformablePSROIPooling _contrib_MultiBoxDetection
    _contrib_MultiBoxPrior _contrib_MultiBoxTarget _contrib_MultiProposal _contrib_PSROIPooling _contrib_Proposal
    _contrib_ROIAlign _contrib_RROIAlign _contrib_SyncBatchNorm _contrib_count_sketch _contrib_fft _contrib_hawkesll
    _contrib_ifft _contrib_index_array _contrib_interleaved_matmul_encdec_qk _contrib_interleaved_matmul_encdec_valatt
    _contrib_interleaved_matmul_selfatt_qk _contrib_interleaved_matmul_selfatt_valatt _rnn_param_concat col2im elemwise_add
    im2col make_loss softmax softmin""".split()
)

# -- which layers ---------------------------------------------------------------------------------------------------


def _is_candidate(node: Node, names: Collection[str], operators: Collection[str], on_cpu: bool) -> bool:
    if node.op is None or node.op.name not in _COUNTERPARTS:
        return False
    if node.name in names or node.op.name in operators or not (on_cpu or node.op.name in _ON_GPU):
        return False
    return node.op.name not in _FITS or _FITS[node.op.name](node.params)


def _reached(start: Sequence[Node], edges: Mapping[int, Sequence[Node]], inside: Collection[int]) -> set[int]:
    """The nodes of ``inside`` that lead along the edges from the start without leaving it."""
    found: set[int] = set()
    waiting = list(start)
    while waiting:
        for other in edges[id(waiting.pop())]:
            if id(other) in inside and id(other) not in found:
                found.add(id(other))
                waiting.append(other)
    return found


def _chosen(order: Sequence[Node], candidates: Sequence[Node], mode: str) -> set[int]:
    """The nodes to quantize: all candidates, or those worth it and the candidates between two of these."""
    if mode == "full":
        return {id(node) for node in candidates}
    if mode != "smart":
        raise MXNetError(f"unrecognized quantize mode: {mode} (expected 'full' or 'smart')")
    before = {id(node): [child for child, _ in node.inputs] for node in order}
    behind: dict[int, list[Node]] = {id(node): [] for node in order}
    for node in order:
        for child, _ in node.inputs:
            behind[id(child)].append(node)
    worth = [node for node in candidates if node.op is not None and node.op.name in _WORTH_IT]
    others = {id(node) for node in candidates} - {id(node) for node in worth}
    return {id(node) for node in worth} | (_reached(worth, before, others) & _reached(worth, behind, others))


# -- the new graph --------------------------------------------------------------------------------------------------


class _Pass:
    """One run over a graph: ``mirror`` maps its nodes to the new ones, ``origin`` back."""

    def __init__(self, chosen: set[int], offline: Collection[str], dtype: str):
        self.chosen, self.offline, self.dtype = chosen, offline, dtype
        self.mirror: dict[int, Node] = {}
        self.origin: dict[int, Node] = {}
        self.bytes_of: dict[tuple[int, int], list[Entry]] = {}  # converted inputs: integers and range ends

    def run(self, order: Sequence[Node], heads: Sequence[Entry]) -> list[Entry]:
        for node in order:
            made = self._quantized(node) if id(node) in self.chosen else self._copied(node)
            self._note(made, node)
        return [self._number(entry, fresh=True) for entry in heads]

    def _note(self, made: Node, node: Node) -> None:
        self.mirror[id(node)] = made
        self.origin[id(made)] = node

    def _gives_bytes(self, node: Node) -> bool:
        """Whether the node's mirror has integers; a quantized RNN gives numbers."""
        return id(node) in self.chosen and node.op is not None and node.op.name != "RNN"

    def _copied(self, node: Node) -> Node:
        inputs = [self._number(entry) for entry in node.inputs]
        return Node(node.op, node.name, dict(node.attrs), inputs, subgraphs=node.subgraphs)

    def _number(self, entry: Entry, fresh: bool = False) -> Entry:
        """The entry of the new graph that holds these numbers; ``fresh``: by a conversion of its own."""
        node, index = entry
        made = self.mirror[id(node)]
        if not self._gives_bytes(node):
            return made, index
        if _is(made, "_contrib_dequantize"):
            if not fresh:
                return made, index
            made = made.inputs[0][0]
        converted = _node("_contrib_dequantize", f"{node.name}_dequantize", {}, _with_range(made, index))
        if not fresh:
            self._note(converted, node)
        return converted, 0

    def _quantized(self, node: Node) -> Node:
        assert node.op is not None
        kept = _KEPT.get(node.op.name, lambda position: False)
        arrays: list[Entry] = []
        ends: list[Entry] = []
        for position, (child, index) in enumerate(node.inputs):
            if kept(position):
                arrays.append((self.mirror[id(child)], index))
                continue
            integers, *range_ends = self._bytes(node, (child, index))
            arrays.append(integers)
            ends += range_ends
        attrs = {**node.attrs, "quantized": "true"} if node.op.name == "RNN" else dict(node.attrs)
        made = _node(_COUNTERPARTS[node.op.name], f"quantized_{node.name}", attrs, [*arrays, *ends])
        if node.op.name not in _REQUANTIZED:
            return made
        outputs = [(made, i) for i in range(3)]
        return _node("_contrib_requantize", f"requantize_{node.name}", {"out_type": self.dtype}, outputs)

    def _bytes(self, node: Node, entry: Entry) -> list[Entry]:
        """Integers and range ends of an input of a quantized node."""
        child, index = entry
        made = self.mirror[id(child)]
        if self._gives_bytes(child):
            return _with_range(made.inputs[0][0] if _is(made, "_contrib_dequantize") else made, index)
        key = (id(child), index)
        if key not in self.bytes_of:
            self.bytes_of[key] = self._converted(node, child, index)
        return self.bytes_of[key]

    def _converted(self, node: Node, child: Node, index: int) -> list[Entry]:
        name = f"{child.name}{_suffix(child, index)}_quantize"
        source = [(self.mirror[id(child)], index)]
        if node.op is not None and node.op.name == "RNN":
            made = _node("_contrib_quantize_asym", name, {}, source)
        elif child.op is None and child.name in self.offline:
            return [(Node(None, name + end, {}), 0) for end in ("", "_min", "_max")]
        else:
            made = _node("_contrib_quantize_v2", name, {"out_type": self.dtype}, source)
        return [(made, i) for i in range(3)]

    def calibrated(self, heads: Sequence[Entry]) -> list[str]:
        """Names of the outputs of the old graph whose ranges the new one wants to know."""
        names = []
        for node in topological(heads):
            if node.op is not None and node.op.name in _CALIBRATED_INPUT:
                source, index = node.inputs[0]
                known = self.origin.get(id(node)) or self.origin[id(source)]
                names.append(known.output_name(index))
            elif node.op is not None and node.op.name in _CALIBRATED_OUTPUT:
                names.append(self.origin[id(node)].output_name(0))
        return names


def _node(operator: str, name: str, attrs: dict[str, str], inputs: Sequence[Entry]) -> Node:
    return Node(registry.get(operator), name, attrs, inputs)


def _is(node: Node, operator: str) -> bool:
    return node.op is not None and node.op.name == operator


def _with_range(node: Node, index: int) -> list[Entry]:
    """An output of a quantized node and its range ends."""
    first = node.num_visible() - 2 + 2 * index
    return [(node, index), (node, first), (node, first + 1)]


def _suffix(node: Node, index: int) -> str:
    if node.op is None:
        return ""
    if node.op.name in _NAMED_OUTPUTS:
        return "_" + node.op.output_names(node.params)[index]
    return f"_{index}"


def quantize(
    symbol: Symbol,
    on_cpu: bool,
    names: Collection[str],
    operators: Collection[str],
    offline: Collection[str],
    dtype: str,
    mode: str,
) -> tuple[Symbol, list[str]]:
    """The graph with layers on integers, and the names of the outputs that it can be calibrated with.

    Nodes in ``names`` and nodes of ``operators`` (registered names) stay as they are. ``offline`` names variables that come
    quantized: ``x`` becomes ``x_quantize``, ``x_quantize_min`` and ``x_quantize_max``. ``dtype`` is the ``out_type`` of what
    converts. ``mode`` is 'full', or 'smart': convolutions, dense and LSTM layers, and what stands between two of these.
    """
    heads = list(symbol._heads)
    order = topological(heads)
    candidates = [node for node in order if _is_candidate(node, names, operators, on_cpu)]
    made = _Pass(_chosen(order, candidates, mode), offline, dtype)
    outputs = made.run(order, heads)
    return Symbol(outputs), made.calibrated(outputs)


def calibrate(symbol: Symbol, ranges: Mapping[str, tuple[float, float]]) -> Symbol:
    """A copy of a quantized graph with the ranges, by output name, as attributes of what converts."""
    heads = copy_graph(symbol._heads)
    for node in topological(heads):
        if node.op is None:
            continue
        if node.op.name in _CALIBRATED_INPUT:
            source, index = node.inputs[0]
        elif node.op.name in _CALIBRATED_OUTPUT:
            source, index = node, 0
        else:
            continue
        name = source.output_name(index)
        if source.name.startswith("quantized_"):
            name = name[len("quantized_") :]
        if name in ranges:
            for end, value in zip(("min", "max"), ranges[name]):
                node.set_attribute(f"{end}_calib_range", f"{value:f}")
    return Symbol(heads)
