"""Small networks of the usual kinds, and everything that is looked at when one runs.

Builders take ``mx``, so that real MXNet and mxcompat build and run the same network; values come from the net alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.golden_store import Result
from tests.rows import Spec, ints, normal, uniform

STEPS = 5


# -- the networks -----------------------------------------------------------------------------------------------


def mlp(mx: Any) -> Any:
    """Three linear layers."""
    net = mx.sym.Variable("data")
    net = mx.sym.FullyConnected(net, num_hidden=16, name="fc1")
    net = mx.sym.Activation(net, act_type="relu", name="relu1")
    net = mx.sym.FullyConnected(net, num_hidden=8, name="fc2")
    net = mx.sym.Activation(net, act_type="sigmoid", name="sigmoid2")
    net = mx.sym.FullyConnected(net, num_hidden=4, name="fc3")
    return mx.sym.SoftmaxOutput(net, name="softmax")


def lenet(mx: Any) -> Any:
    """Two convolutions with pooling, two linear layers, tanh throughout."""
    net = mx.sym.Variable("data")
    for index, (kernel, filters) in enumerate([(5, 4), (3, 8)], 1):
        net = mx.sym.Convolution(net, kernel=(kernel, kernel), num_filter=filters, name=f"conv{index}")
        net = mx.sym.Activation(net, act_type="tanh", name=f"tanh{index}")
        net = mx.sym.Pooling(net, pool_type="max", kernel=(2, 2), stride=(2, 2), name=f"pool{index}")
    net = mx.sym.Flatten(net, name="flatten")
    net = mx.sym.FullyConnected(net, num_hidden=16, name="fc1")
    net = mx.sym.Activation(net, act_type="tanh", name="tanh3")
    net = mx.sym.FullyConnected(net, num_hidden=5, name="fc2")
    return mx.sym.SoftmaxOutput(net, name="softmax")


def _residual_block(mx: Any, net: Any, filters: int, stride: int, act_type: str, name: str) -> Any:
    """Normalize, activate, convolve, twice; the shortcut is projected where the shape changes."""

    def convolution(data: Any, kernel: int, step: int, suffix: str) -> Any:
        pad = kernel // 2
        return mx.sym.Convolution(
            data, kernel=(kernel, kernel), stride=(step, step), pad=(pad, pad), num_filter=filters, no_bias=True,
            name=name + suffix,
        )  # fmt: skip

    first = mx.sym.BatchNorm(net, fix_gamma=False, eps=2e-5, momentum=0.8, name=name + "_bn1")
    first = mx.sym.Activation(first, act_type=act_type, name=name + "_act1")
    branch = convolution(first, 3, stride, "_conv1")
    branch = mx.sym.BatchNorm(branch, fix_gamma=False, eps=2e-5, momentum=0.8, name=name + "_bn2")
    branch = mx.sym.Activation(branch, act_type=act_type, name=name + "_act2")
    branch = convolution(branch, 3, 1, "_conv2")
    shortcut = net if stride == 1 else convolution(first, 1, stride, "_shortcut")
    return branch + shortcut


def resnet(mx: Any, act_type: str) -> Any:
    """Three residual blocks with batch normalization, the second at half the resolution."""
    net = mx.sym.Variable("data")
    net = mx.sym.BatchNorm(net, fix_gamma=True, eps=2e-5, name="bn_data")
    net = mx.sym.Convolution(net, kernel=(3, 3), pad=(1, 1), num_filter=6, no_bias=True, name="conv0")
    net = _residual_block(mx, net, 6, 1, act_type, "block1")
    net = _residual_block(mx, net, 8, 2, act_type, "block2")
    net = _residual_block(mx, net, 8, 1, act_type, "block3")
    net = mx.sym.BatchNorm(net, fix_gamma=False, eps=2e-5, name="bn_last")
    net = mx.sym.Activation(net, act_type=act_type, name="act_last")
    net = mx.sym.Pooling(net, global_pool=True, pool_type="avg", kernel=(7, 7), name="pool")
    net = mx.sym.FullyConnected(mx.sym.Flatten(net), num_hidden=4, name="fc")
    return mx.sym.SoftmaxOutput(net, name="softmax")


def _lstm_step(mx: Any, weights: dict[str, Any], data: Any, hidden: Any, cell: Any, size: int, name: str) -> tuple:
    """One step of one layer; the gates stand in the order input, transform, forget, output."""
    gates = mx.sym.FullyConnected(
        data, weight=weights["i2h_weight"], bias=weights["i2h_bias"], num_hidden=4 * size, name=name + "_i2h"
    ) + mx.sym.FullyConnected(
        hidden, weight=weights["h2h_weight"], bias=weights["h2h_bias"], num_hidden=4 * size, name=name + "_h2h"
    )
    parts = mx.sym.SliceChannel(gates, num_outputs=4, name=name + "_slice")
    enter = mx.sym.Activation(parts[0], act_type="sigmoid")
    transform = mx.sym.Activation(parts[1], act_type="tanh")
    forget = mx.sym.Activation(parts[2], act_type="sigmoid")
    leave = mx.sym.Activation(parts[3], act_type="sigmoid")
    cell = forget * cell + enter * transform
    return leave * mx.sym.Activation(cell, act_type="tanh"), cell


def lstm(mx: Any, length: int = 4, layers: int = 2, size: int = 6, vocabulary: int = 9) -> Any:
    """A language model: two LSTM layers unrolled over explicit symbols that share their weights."""
    embedding = mx.sym.Embedding(mx.sym.Variable("data"), input_dim=vocabulary, output_dim=size, name="embed")
    steps = mx.sym.SliceChannel(embedding, num_outputs=length, axis=1, squeeze_axis=True, name="steps")
    kinds = ("i2h_weight", "i2h_bias", "h2h_weight", "h2h_bias")
    weights = [{kind: mx.sym.Variable(f"l{layer}_{kind}") for kind in kinds} for layer in range(layers)]
    states = [(mx.sym.Variable(f"l{layer}_init_h"), mx.sym.Variable(f"l{layer}_init_c")) for layer in range(layers)]
    outputs = []
    for time in range(length):
        hidden = steps[time]
        for layer in range(layers):
            states[layer] = _lstm_step(mx, weights[layer], hidden, *states[layer], size, f"t{time}_l{layer}")
            hidden = states[layer][0]
        outputs.append(hidden)
    merged = mx.sym.Concat(*outputs, dim=0, name="merged")
    scores = mx.sym.FullyConnected(merged, num_hidden=vocabulary, name="scores")
    label = mx.sym.Reshape(mx.sym.transpose(mx.sym.Variable("softmax_label")), shape=(-1,))
    return mx.sym.SoftmaxOutput(scores, label=label, name="softmax")


def several_outputs(mx: Any) -> Any:
    """A classifier, a regression and a feature without gradient on one trunk."""
    trunk = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=12, name="trunk")
    trunk = mx.sym.Activation(trunk, act_type="tanh", name="trunk_tanh")
    classes = mx.sym.FullyConnected(trunk, num_hidden=3, name="classes")
    classes = mx.sym.SoftmaxOutput(classes, grad_scale=0.5, name="softmax")
    values = mx.sym.FullyConnected(trunk, num_hidden=2, name="values")
    values = mx.sym.LinearRegressionOutput(values, name="regression")
    return mx.sym.Group([classes, values, mx.sym.BlockGrad(trunk, name="feature")])


# -- running one ------------------------------------------------------------------------------------------------


class Net:
    """A network with its inputs. ``tolerance`` is relative, in the L2 norm of each array.

    ``constant`` names inputs of which no gradient exists: the indices of an embedding, and labels that reach the loss
    through other operators (the loss leaves their gradient undefined).
    """

    def __init__(
        self, name: str, build: Callable[[Any], Any], inputs: dict[str, Spec], dtype: str = "float32",
        tolerance: float = 1e-4, constant: tuple[str, ...] = (),
    ):  # fmt: skip
        self.name, self.build, self.inputs, self.dtype = name, build, inputs, dtype
        self.tolerance, self.constant = tolerance, constant

    @property
    def batch(self) -> int:
        return self.input_arrays(0)["data"].shape[0]

    def input_arrays(self, step: int) -> dict[str, np.ndarray]:
        """The inputs and labels of one batch."""
        return {name: spec.build(f"{self.name}/{step}/{name}", self.dtype) for name, spec in self.inputs.items()}

    def initial(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """The initial value of a parameter or auxiliary state."""
        if name.endswith(("gamma", "var")):
            spec = uniform(shape, 0.5, 1.5)
        elif name.endswith("weight"):
            bound = (3.0 / np.prod(shape[1:])) ** 0.5
            spec = uniform(shape, -bound, bound)
        else:
            spec = uniform(shape, -0.3, 0.3)
        return spec.build(f"{self.name}/{name}", self.dtype)


LABELS = ints((4,), 0, 4)
IMAGES = {"data": normal((4, 3, 8, 8)), "softmax_label": LABELS}
SEQUENCE = {"data": ints((3, 4), 0, 9), "softmax_label": ints((3, 4), 0, 9)}
SEQUENCE.update({f"l{layer}_init_{kind}": normal((3, 6)) for layer in (0, 1) for kind in "hc"})
PAIRS = {"data": normal((6, 7)), "softmax_label": ints((6,), 0, 3), "regression_label": normal((6, 2))}

NETS = {
    net.name: net
    for net in [
        Net("mlp", mlp, {"data": normal((8, 10)), "softmax_label": ints((8,), 0, 4)}),
        Net("lenet", lenet, {"data": normal((4, 1, 14, 14)), "softmax_label": LABELS}),
        # one rounding difference at a kink of relu moves whole gradients: float32 is judged by 1e-2 there
        Net("resnet-relu", lambda mx: resnet(mx, "relu"), IMAGES, tolerance=1e-2),
        Net("resnet-relu-float64", lambda mx: resnet(mx, "relu"), IMAGES, "float64"),
        Net("resnet-tanh", lambda mx: resnet(mx, "tanh"), IMAGES),
        Net("lstm", lstm, SEQUENCE, constant=("data", "softmax_label")),
        Net("several-outputs", several_outputs, PAIRS),
    ]
}


def bind(mx: Any, net: Net, requests: Any) -> Any:
    """An executor of the net with its initial parameters and first batch; ``requests(name)`` gives each grad_req."""
    symbol = net.build(mx)
    batch = net.input_arrays(0)
    names = symbol.list_arguments()
    executor = symbol.simple_bind(
        mx.cpu(), grad_req={name: requests(name) for name in names}, type_dict=dict.fromkeys(names, net.dtype),
        **{name: array.shape for name, array in batch.items()},
    )  # fmt: skip
    for arrays in (executor.arg_dict, executor.aux_dict):
        for name, array in arrays.items():
            array[:] = batch[name] if name in batch else net.initial(name, array.shape)
    return executor


def observe(mx: Any, net: Net) -> Result:
    """Outputs, gradients, auxiliary states after one and two backwards, and parameters after some updates."""
    found: dict[str, np.ndarray] = {}
    executor = bind(mx, net, lambda name: "null" if name in net.constant else "write")
    _keep(found, "infer/output", executor.forward(is_train=False))
    _keep(found, "train/output", executor.forward(is_train=True))
    executor.backward()
    mx.nd.waitall()  # the original's engine does not know that backward writes auxiliary states
    _keep(found, "grad", executor.grad_dict)
    _keep(found, "aux", executor.aux_dict)
    executor.backward()
    mx.nd.waitall()
    _keep(found, "aux-again", executor.aux_dict)
    _keep(found, "infer-after/output", executor.forward(is_train=False))
    _train(mx, net, found)
    names = (executor.arg_dict, executor.output_dict, executor.aux_dict)
    return Result(dict(zip(("arguments", "outputs", "auxiliary"), map(list, names))), found)


def repeated_gradients(mx: Any, net: Net, request: str) -> dict[str, np.ndarray]:
    """Gradients after one forward and two backwards, ``request`` being 'write' or 'add'.

    They are not recorded: real MXNet plans the memory for one backward, which overwrites what a second one needs.
    """
    found: dict[str, np.ndarray] = {}
    executor = bind(mx, net, lambda name: "null" if name in net.constant else request)
    executor.forward(is_train=True)
    executor.backward()
    executor.backward()
    _keep(found, "grad", executor.grad_dict)
    return found


def _train(mx: Any, net: Net, found: dict[str, np.ndarray]) -> None:
    """Steps of SGD with momentum and weight decay, each on a batch of its own."""
    executor = bind(mx, net, lambda name: "null" if name in net.inputs else "write")
    parameters = [name for name in executor.arg_dict if name not in net.inputs]
    optimizer = mx.optimizer.create(
        "sgd", learning_rate=0.05, momentum=0.9, wd=1e-3, rescale_grad=1.0 / net.batch,
        param_idx2name=dict(enumerate(parameters)),
    )  # fmt: skip
    update = mx.optimizer.get_updater(optimizer)
    for step in range(STEPS):
        for name, array in net.input_arrays(step).items():
            executor.arg_dict[name][:] = array
        executor.forward(is_train=True)
        executor.backward()
        for index, name in enumerate(parameters):
            update(index, executor.grad_dict[name], executor.arg_dict[name])
    mx.nd.waitall()
    _keep(found, "last-step/output", executor.outputs)
    _keep(found, "trained", {name: executor.arg_dict[name] for name in parameters})
    _keep(found, "trained-aux", executor.aux_dict)


def _keep(found: dict[str, np.ndarray], group: str, arrays: Any) -> None:
    """Copy a list or dict of NDArrays; those without a value (no gradient) are left out."""
    if isinstance(arrays, dict):
        found.update({f"{group}/{name}": array.asnumpy() for name, array in arrays.items() if array is not None})
    else:
        found.update({f"{group}{index}": array.asnumpy() for index, array in enumerate(arrays)})


def relative_error(expected: np.ndarray, found: np.ndarray) -> float:
    """L2 norm of the difference over that of ``expected``; values below 1e-3 in the mean count as 1e-3."""
    floor = 1e-3 * expected.size**0.5
    difference = np.linalg.norm(expected.astype(np.float64) - found.astype(np.float64))
    return float(difference / max(float(np.linalg.norm(expected.astype(np.float64))), floor))
