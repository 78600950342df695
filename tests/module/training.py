"""Training of the example networks (``tests/nets.py``) by a Module, from the same parameters and batches."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from tests import nets

OPTIONS = {"learning_rate": 0.05, "momentum": 0.9, "wd": 1e-3}
#: case -> network, devices, whether it is trained by fit
RUNS = {
    "mlp by steps": ("mlp", 1, False),
    "mlp by fit": ("mlp", 1, True),
    "mlp on two devices": ("mlp", 2, False),
    "lenet by steps": ("lenet", 1, False),
    "lenet by fit": ("lenet", 1, True),
    "resnet by steps": ("resnet-tanh", 1, False),
    "resnet on two devices": ("resnet-tanh", 2, False),
    "resnet in float64 by fit": ("resnet-relu-float64", 1, True),
    "lstm by steps": ("lstm", 1, False),
    "several outputs by steps": ("several-outputs", 1, False),
    "several outputs by fit": ("several-outputs", 1, True),
}


class Batches:
    """The batches of a network as an iterator."""

    def __init__(self, mx: Any, net: nets.Net):
        self.mx, self.net, self.batch_size = mx, net, net.batch
        first = net.input_arrays(0)
        described = [mx.io.DataDesc(name, array.shape, net.dtype) for name, array in first.items()]
        self.provide_data = [desc for desc in described if not desc.name.endswith("_label")]
        self.provide_label = [desc for desc in described if desc.name.endswith("_label")]

    def batch(self, step: int) -> Any:
        values = {name: self.mx.nd.array(x, dtype=x.dtype) for name, x in self.net.input_arrays(step).items()}
        data = [values[desc.name] for desc in self.provide_data]
        return self.mx.io.DataBatch(data, [values[desc.name] for desc in self.provide_label], pad=0)

    def __iter__(self) -> Any:
        return iter([self.batch(step) for step in range(nets.STEPS)])

    def reset(self) -> None:
        pass


def metric(mx: Any, net: nets.Net) -> Any:
    """The metric of a network; those of several outputs choose theirs by name."""
    if net.name != "several-outputs":
        return mx.metric.create("ce" if net.name != "lstm" else "loss")
    found = mx.metric.CompositeEvalMetric()
    found.add(mx.metric.Accuracy(output_names=["softmax_output"], label_names=["softmax_label"]))
    found.add(mx.metric.MSE(output_names=["regression_output"], label_names=["regression_label"]))
    return found


def train(mx: Any, name: str, devices: int, by_fit: bool) -> tuple:
    net = nets.NETS[name]
    batches = Batches(mx, net)
    data_names, label_names = ([d.name for d in descs] for descs in (batches.provide_data, batches.provide_label))
    contexts = [mx.cpu(i) for i in range(devices)]
    module = mx.mod.Module(net.build(mx), data_names, label_names, context=contexts)
    module.bind(batches.provide_data, batches.provide_label)
    arg, aux = ({n: x.shape for n, x in params.items()} for params in (module._arg_params, module._aux_params))
    module.init_params(
        arg_params={n: mx.nd.array(net.initial(n, shape), dtype=net.dtype) for n, shape in arg.items()},
        aux_params={n: mx.nd.array(net.initial(n, shape), dtype=net.dtype) for n, shape in aux.items()},
    )
    measure = metric(mx, net)
    if by_fit:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # there are parameters already
            module.fit(batches, eval_metric=measure, num_epoch=1, optimizer_params=OPTIONS, force_init=False)
    else:
        module.init_optimizer(optimizer_params=OPTIONS)
        for batch in batches:
            module.forward_backward(batch)
            module.update()
            module.update_metric(measure, batch.label)
    mx.nd.waitall()
    return observe(mx, module, batches, measure)


def observe(mx: Any, module: Any, batches: Batches, measure: Any) -> tuple:
    found = {"last/" + name: out.asnumpy() for name, out in zip(module.output_names, module.get_outputs())}
    for kind, params in zip(("arg", "aux"), module.get_params()):
        found.update((kind + "/" + name, array.asnumpy()) for name, array in params.items())
    found["metric"] = np.array([value for _, value in measure.get_name_value()])
    module.forward(batches.batch(0), is_train=False)
    found.update(("infer/" + name, out.asnumpy()) for name, out in zip(module.output_names, module.get_outputs()))
    return {"shapes": [[name, list(shape)] for name, shape in module.output_shapes]}, found


def _case(name: str) -> Callable[[Any], tuple]:
    return lambda mx: train(mx, *RUNS[name])


CASES = {name: _case(name) for name in RUNS}
