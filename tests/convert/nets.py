"""Small networks of the kinds that people convert, with their input shapes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import mxcompat as mx
from mxcompat.convert import checkpoint

sym = mx.sym


@dataclass
class Net:
    """``shapes`` are those of inputs and labels; ``classes`` the number of classes of each label that names one."""

    build: Callable[[], Any]
    shapes: dict[str, tuple[int, ...]]
    labels: dict[str, tuple[int, ...]] = field(default_factory=dict)
    classes: int = 0
    exports: tuple[str, ...] = ("pt2", "onnx")
    label_inputs: tuple[str, ...] = ()

    @property
    def forward_inputs(self) -> tuple[str, ...]:
        """What ``forward`` of a converted network takes: the inputs, and the labels that outputs depend on."""
        return (*self.shapes, *self.label_inputs)


def convolution(data: Any, filters: int, kernel: int, name: str, **options: Any) -> Any:
    pad = options.pop("pad", kernel // 2)
    return sym.Convolution(data, num_filter=filters, kernel=(kernel, kernel), pad=(pad, pad), name=name, **options)


def relu(data: Any, name: str | None = None) -> Any:
    return sym.Activation(data, act_type="relu", name=name)


def classifier(data: Any, classes: int, **options: Any) -> Any:
    scores = sym.FullyConnected(sym.Flatten(data), num_hidden=classes, name="fc")
    return sym.SoftmaxOutput(scores, name="softmax", **options)


def mlp() -> Any:
    net = sym.Variable("data")
    for index, width in enumerate((16, 8)):
        net = relu(sym.FullyConnected(net, num_hidden=width, name=f"fc{index + 1}"))
    return sym.SoftmaxOutput(sym.FullyConnected(net, num_hidden=4, name="fc3"), name="softmax", smooth_alpha=0.1)


def lenet() -> Any:
    net = sym.Variable("data")
    for index, filters in enumerate((4, 8)):
        net = sym.Activation(convolution(net, filters, 5, f"conv{index + 1}", pad=0), act_type="tanh")
        net = sym.Pooling(net, pool_type="max", kernel=(2, 2), stride=(2, 2))
    net = sym.Activation(sym.FullyConnected(net, num_hidden=16, name="fc1"), act_type="tanh")
    return sym.SoftmaxOutput(sym.FullyConnected(net, num_hidden=5, name="fc2"), name="softmax")


def vgg(dropped: float = 0.5) -> Any:
    net = sym.Variable("data")
    for stage, (count, filters) in enumerate([(1, 4), (1, 6), (2, 8)], 1):
        for index in range(1, count + 1):
            net = relu(convolution(net, filters, 3, f"conv{stage}_{index}"), f"relu{stage}_{index}")
        net = sym.Pooling(net, pool_type="max", kernel=(2, 2), stride=(2, 2), name=f"pool{stage}")
    net = relu(sym.FullyConnected(sym.Flatten(net), num_hidden=12, name="fc6"))
    return classifier(sym.Dropout(net, p=dropped), 5)


def _factory(data: Any, filters: int, kernel: int, name: str, suffix: str = "", stride: int = 1) -> Any:
    net = convolution(data, filters, kernel, f"conv_{name}{suffix}", stride=(stride, stride))
    return relu(sym.BatchNorm(net, name=f"bn_{name}{suffix}", eps=1e-4), f"relu_{name}{suffix}")


def _inception(data: Any, filters: int, name: str) -> Any:
    towers = [
        _factory(data, filters, 1, name, "_1x1"),
        _factory(_factory(data, 3, 1, name, "_3x3_reduce"), filters, 3, name, "_3x3"),
        _factory(
            sym.Pooling(data, kernel=(3, 3), stride=(1, 1), pad=(1, 1), pool_type="avg", name=f"pool_{name}"), 2, 1, name,
            "_proj",
        ),
    ]  # fmt: skip
    return sym.Concat(*towers, name=f"ch_concat_{name}_chconcat")


def inception_bn() -> Any:
    net = _factory(sym.Variable("data"), 4, 3, "1", stride=2)
    for name, filters in (("3a", 4), ("3b", 5), ("3c", 6)):
        net = _inception(net, filters, name)
    net = sym.Pooling(net, global_pool=True, kernel=(7, 7), pool_type="avg", name="global_pool")
    return classifier(net, 5)


def _normalized(data: Any, name: str, act: bool) -> Any:
    data = sym.BatchNorm(data, fix_gamma=False, eps=2e-5, momentum=0.9, name=name)
    return relu(data, name.replace("bn", "relu")) if act else data


def _unit_v1(data: Any, filters: int, stride: int, name: str) -> Any:
    def conv(net: Any, kernel: int, step: int, suffix: str) -> Any:
        return convolution(net, filters, kernel, name + suffix, stride=(step, step), no_bias=True)

    net = _normalized(conv(data, 3, stride, "_conv1"), name + "_bn1", True)
    net = _normalized(conv(net, 3, 1, "_conv2"), name + "_bn2", False)
    shortcut = data if stride == 1 else _normalized(conv(data, 1, stride, "_sc"), name + "_sc_bn", False)
    return relu(net + shortcut, name + "_out")


def _unit_v2(data: Any, filters: int, stride: int, name: str) -> Any:
    def conv(net: Any, kernel: int, step: int, suffix: str) -> Any:
        return convolution(net, filters, kernel, name + suffix, stride=(step, step), no_bias=True)

    first = _normalized(data, name + "_bn1", True)
    net = _normalized(conv(first, 3, stride, "_conv1"), name + "_bn2", True)
    net = conv(net, 3, 1, "_conv2")
    return net + (data if stride == 1 else conv(first, 1, stride, "_sc"))


def _resnet(unit: Callable, units: tuple[int, ...], act_at_end: bool) -> Any:
    net = sym.BatchNorm(sym.identity(sym.Variable("data"), name="id"), fix_gamma=True, eps=2e-5, name="bn_data")
    net = convolution(net, 6, 3, "conv0", no_bias=True)
    for stage, count in enumerate(units, 1):
        for index in range(1, count + 1):
            stride = 2 if index == 1 and stage > 1 else 1
            net = unit(net, 6 + 2 * (stage - 1), stride, f"stage{stage}_unit{index}")
    net = _normalized(net, "bn1", True) if act_at_end else net
    return classifier(sym.Pooling(net, global_pool=True, kernel=(7, 7), pool_type="avg", name="pool1"), 5)


def resnet_v1() -> Any:
    return _resnet(_unit_v1, (2, 3, 3), False)


def resnet_v2() -> Any:
    return _resnet(_unit_v2, (2, 3, 3), True)


def mobilenet() -> Any:
    net = _factory(sym.Variable("data"), 8, 3, "1", stride=2)
    for index, (filters, stride) in enumerate([(8, 1), (12, 2), (12, 1)], 2):
        channels = 8 if index <= 3 else 12
        net = convolution(
            net, channels, 3, f"conv{index}_dw", num_group=channels, stride=(stride, stride), no_bias=True
        )
        net = relu(sym.BatchNorm(net, fix_gamma=False, name=f"bn{index}_dw"))
        net = convolution(net, filters, 1, f"conv{index}_sep", no_bias=True)
        net = relu(sym.BatchNorm(net, fix_gamma=False, name=f"bn{index}_sep"))
    return classifier(sym.Pooling(net, global_pool=True, kernel=(1, 1), pool_type="avg"), 5)


def _ssd_heads() -> tuple[Any, Any, Any]:
    body = relu(convolution(sym.Variable("data"), 6, 3, "conv1", stride=(2, 2)))
    layers = [body, relu(convolution(body, 8, 3, "conv2", stride=(2, 2)))]
    scores, boxes, anchors = [], [], []
    for index, layer in enumerate(layers):
        ratios, sizes = (1, 2, 0.5), (0.3 + 0.3 * index, 0.4 + 0.3 * index)
        count = len(ratios) + len(sizes) - 1
        score = convolution(layer, count * 3, 3, f"cls_pred{index}")
        box = convolution(layer, count * 4, 3, f"loc_pred{index}")
        scores.append(sym.Flatten(sym.transpose(score, axes=(0, 2, 3, 1))))
        boxes.append(sym.Flatten(sym.transpose(box, axes=(0, 2, 3, 1))))
        anchors.append(sym.contrib.MultiBoxPrior(layer, sizes=sizes, ratios=ratios, name=f"anchors{index}"))
    classes = sym.transpose(sym.Reshape(sym.Concat(*scores, dim=1), shape=(0, -1, 3)), axes=(0, 2, 1))
    return classes, sym.Concat(*boxes, dim=1), sym.Concat(*anchors, dim=1)


def ssd() -> Any:
    """The network that detects."""
    classes, boxes, anchors = _ssd_heads()
    share = sym.SoftmaxActivation(classes, mode="channel", name="cls_prob")
    return sym.contrib.MultiBoxDetection(share, boxes, anchors, nms_threshold=0.45, name="detection")


def ssd_training() -> Any:
    """The network that learns to."""
    classes, boxes, anchors = _ssd_heads()
    target = sym.contrib.MultiBoxTarget(anchors, sym.Variable("label"), classes, overlap_threshold=0.5, name="target")
    share = sym.SoftmaxOutput(
        classes, target[2], ignore_label=-1, use_ignore=True, multi_output=True, normalization="valid", name="cls_prob"
    )
    distance = sym.smooth_l1(target[1] * (boxes - target[0]), scalar=1.0, name="distance")
    located = sym.MakeLoss(distance, grad_scale=1.0, normalization="valid", name="loc_loss")
    return sym.Group([share, located, sym.MakeLoss(target[2], grad_scale=0, name="cls_label")])


def fcn() -> Any:
    data = sym.Variable("data")
    net = relu(convolution(data, 6, 3, "conv1", pad=8))
    fine = sym.Pooling(net, pool_type="max", kernel=(2, 2), stride=(2, 2), pooling_convention="full")
    coarse = sym.Pooling(relu(convolution(fine, 8, 3, "conv2")), pool_type="max", kernel=(2, 2), stride=(2, 2))
    score = convolution(coarse, 4, 1, "score")
    score2 = sym.Deconvolution(score, kernel=(4, 4), stride=(2, 2), num_filter=4, no_bias=True, name="score2")
    fused = convolution(fine, 4, 1, "score_fine") + sym.Crop(score2, fine, num_args=2, center_crop=True)
    big = sym.Deconvolution(fused, kernel=(4, 4), stride=(2, 2), adj=(1, 1), num_filter=4, no_bias=True, name="bigscore")
    score = sym.Crop(big, data, offset=(3, 3), num_args=2, name="score_crop")
    return sym.SoftmaxOutput(score, multi_output=True, use_ignore=True, ignore_label=3, name="softmax")


def unrolled_lstm() -> Any:
    embedded = sym.Embedding(sym.Variable("data"), input_dim=9, output_dim=6, name="embed")
    stack = mx.rnn.SequentialRNNCell()
    for layer in range(2):
        stack.add(mx.rnn.LSTMCell(num_hidden=5, prefix=f"lstm_l{layer}_"))
    outputs, _ = stack.unroll(6, inputs=embedded, merge_outputs=True)
    scores = sym.FullyConnected(sym.Reshape(outputs, shape=(-1, 5)), num_hidden=9, name="pred")
    return sym.SoftmaxOutput(scores, sym.Reshape(sym.Variable("softmax_label"), shape=(-1,)), name="softmax")


def handmade_gru() -> Any:
    """Steps written out, with a state that is an input, dropout between the layers and outputs one after the other."""
    words = sym.Embedding(sym.Variable("data"), input_dim=9, output_dim=6, name="embed")
    pieces = sym.SliceChannel(words, num_outputs=5, squeeze_axis=True, name="words")
    weights = {name: sym.Variable(name) for name in ("gate_weight", "gate_bias", "new_weight", "new_bias")}
    state, outputs = sym.Variable("init_h"), []
    for step in range(5):
        both = sym.Concat(pieces[step], state, name=f"t{step}_both")
        gate = sym.FullyConnected(both, weights["gate_weight"], weights["gate_bias"], num_hidden=4, name=f"t{step}_gate")
        new = sym.FullyConnected(both, weights["new_weight"], weights["new_bias"], num_hidden=4, name=f"t{step}_new")
        gate = sym.Activation(gate, act_type="sigmoid")
        state = sym.broadcast_add((1 - gate) * state, gate * sym.Activation(new, act_type="tanh"), name=f"t{step}_h")
        outputs.append(sym.Dropout(state, p=0.0))
    scores = sym.FullyConnected(sym.Concat(*outputs, dim=0), num_hidden=9, name="pred")
    label = sym.Reshape(sym.transpose(sym.Variable("softmax_label")), shape=(-1,))
    return sym.Group([sym.SoftmaxOutput(scores, label, name="softmax"), sym.BlockGrad(state, name="last_h")])


def fused_lstm() -> Any:
    embedded = sym.Embedding(sym.Variable("data"), input_dim=9, output_dim=6, name="embed")
    cell = mx.rnn.FusedRNNCell(5, num_layers=2, mode="lstm", bidirectional=True, prefix="lstm_")
    outputs, _ = cell.unroll(6, inputs=sym.SwapAxis(embedded, dim1=0, dim2=1), merge_outputs=True, layout="TNC")
    outputs = sym.SwapAxis(outputs, dim1=0, dim2=1)
    scores = sym.FullyConnected(sym.Reshape(outputs, shape=(-1, 10)), num_hidden=9, name="pred")
    return sym.SoftmaxOutput(scores, sym.Reshape(sym.Variable("softmax_label"), shape=(-1,)), name="softmax")


def several_outputs() -> Any:
    trunk = sym.Activation(sym.FullyConnected(sym.Variable("data"), num_hidden=12, name="trunk"), act_type="tanh")
    classes = sym.SoftmaxOutput(sym.FullyConnected(trunk, num_hidden=3, name="classes"), grad_scale=0.5, name="softmax")
    values = sym.FullyConnected(trunk, num_hidden=2, name="values")
    values = sym.LinearRegressionOutput(values, name="regression", grad_scale=2.0)
    chance = sym.LogisticRegressionOutput(sym.FullyConnected(trunk, num_hidden=1, name="chance"), name="logistic")
    return sym.Group([classes, values, chance, sym.BlockGrad(trunk, name="feature")])


def several_heads() -> Any:
    """The heads have the same layers: each is an instance of a class, whose value is an output."""
    data, outputs = sym.Variable("data"), []
    for name, size in (("age", 3), ("mood", 5), ("place", 4)):
        net = relu(sym.FullyConnected(data, num_hidden=8, name=f"{name}_fc1"))
        net = relu(sym.FullyConnected(net, num_hidden=6, name=f"{name}_fc2"))
        outputs.append(sym.SoftmaxOutput(sym.FullyConnected(net, num_hidden=size, name=f"{name}_fc3"), name=name))
    return sym.Group(outputs)


def custom_loss() -> Any:
    predicted = sym.FullyConnected(sym.Variable("data"), num_hidden=3, name="fc")
    predicted = sym.LeakyReLU(predicted, act_type="prelu", name="prelu")
    error = sym.square(predicted - sym.Variable("label"))
    bonus = sym.MakeLoss(0.01 * sym.sum(sym.abs(predicted), axis=1), normalization="batch", name="bonus")
    return sym.Group([sym.MakeLoss(sym.mean(error, axis=1), name="loss"), bonus, sym.BlockGrad(predicted, name="shown")])


IMAGE = {"data": (2, 3, 16, 16)}
ONE_LABEL = {"softmax_label": (2,)}
NETS = {
    "mlp": Net(mlp, {"data": (4, 10)}, {"softmax_label": (4,)}, 4),
    "lenet": Net(lenet, {"data": (2, 1, 20, 20)}, ONE_LABEL, 5),
    "vgg": Net(vgg, IMAGE, ONE_LABEL, 5),
    "vgg_steady": Net(lambda: vgg(0.0), IMAGE, ONE_LABEL, 5),
    "inception_bn": Net(inception_bn, IMAGE, ONE_LABEL, 5),
    "resnet_v1": Net(resnet_v1, IMAGE, ONE_LABEL, 5),
    "resnet_v2": Net(resnet_v2, IMAGE, ONE_LABEL, 5),
    "mobilenet": Net(mobilenet, IMAGE, ONE_LABEL, 5),
    "ssd": Net(ssd, {"data": (2, 3, 12, 12)}),
    "ssd_training": Net(ssd_training, {"data": (2, 3, 12, 12)}, {"label": (2, 2, 5)}, exports=(), label_inputs=("label",)),
    "fcn": Net(fcn, {"data": (1, 3, 11, 13)}, {"softmax_label": (1, 11, 13)}, 4),
    "unrolled_lstm": Net(unrolled_lstm, {"data": (3, 6)}, {"softmax_label": (3, 6)}, 9),
    "fused_lstm": Net(fused_lstm, {"data": (3, 6)}, {"softmax_label": (3, 6)}, 9),
    "several_outputs": Net(
        several_outputs, {"data": (4, 7)},
        {"softmax_label": (4,), "regression_label": (4, 2), "logistic_label": (4, 1)}, 3,
    ),
    "handmade_gru": Net(handmade_gru, {"data": (3, 5), "init_h": (3, 4)}, {"softmax_label": (3, 5)}, 9),
    "several_heads": Net(several_heads, {"data": (4, 7)}, {"age_label": (4,), "mood_label": (4,), "place_label": (4,)}, 3),
    "custom_loss": Net(custom_loss, {"data": (4, 7)}, {"label": (4, 3)}, label_inputs=("label",)),
}  # fmt: skip


def values(net: Net, seed: int = 0) -> dict[str, Any]:
    """Parameters and auxiliary states, by name."""
    generator = np.random.RandomState(seed)
    symbol = net.build()
    shapes = {**net.shapes, **net.labels}
    arguments, _, aux = symbol.infer_shape(**shapes)
    names = [*symbol.list_arguments(), *symbol.list_auxiliary_states()]
    found = {}
    for name, shape in zip(names, [*arguments, *aux]):
        if name in shapes:
            continue
        if name.endswith(("gamma", "var")):
            array = generator.uniform(0.5, 1.5, shape)
        elif len(shape) > 1:
            array = generator.uniform(-1, 1, shape) * (3.0 / np.prod(shape[1:])) ** 0.5
        else:
            array = generator.uniform(-0.3, 0.3, shape)
        found[name] = mx.nd.array(array)
    return found


def batches(net: Net, count: int, seed: int = 0) -> list[dict[str, np.ndarray]]:
    """Inputs and labels to train on."""
    generator = np.random.RandomState(seed)
    found = []
    for _ in range(count):
        batch = {}
        for name, shape in {**net.shapes, **net.labels}.items():
            is_class = name == "softmax_label" or (name.endswith("_label") and len(shape) == 1)
            if len(shape) == 3 and shape[-1] == 5:  # boxes: class and corners
                low = generator.uniform(0, 0.5, (*shape[:2], 2))
                kinds = generator.randint(0, 2, (*shape[:2], 1))
                batch[name] = np.concatenate((kinds, low, low + generator.uniform(0.2, 0.5, low.shape)), -1)
            elif is_class or (net.classes == 9 and name == "data"):
                batch[name] = generator.randint(0, net.classes, shape)
            elif name == "logistic_label":
                batch[name] = generator.randint(0, 2, shape)
            else:
                batch[name] = generator.standard_normal(shape)
        found.append({name: array.astype("float32") for name, array in batch.items()})
    return found


def bound(name: str, batch: int = 0) -> checkpoint.Checkpoint:
    """The checkpoint of a network of this file, for another batch size if given."""
    net = NETS[name]
    given = {key: (batch or shape[0], *shape[1:]) for key, shape in {**net.shapes, **net.labels}.items()}
    return checkpoint.make(net.build(), values(net), given, name)


def save(name: str, prefix: str, epoch: int = 1) -> None:
    """Write the network's checkpoint."""
    net = NETS[name]
    symbol, arrays = net.build(), values(net)
    aux = set(symbol.list_auxiliary_states())
    mx.model.save_checkpoint(
        prefix, epoch, symbol, {key: value for key, value in arrays.items() if key not in aux},
        {key: value for key, value in arrays.items() if key in aux},
    )  # fmt: skip
