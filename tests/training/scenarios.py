"""Training programs of the usual kinds, run by real MXNet to record and by mxcompat to compare (Python 3.8).

``SCENARIOS[name](mx, start)`` trains for ``STEPS`` steps and returns ``(start, found)``: the parameters it began with
(those of ``start`` when given, else drawn by the package's initializers) and arrays, of which ``losses`` has a value
for each step.
"""

from __future__ import annotations

import logging
import random
import warnings

import numpy as np

STEPS = 20


def blobs(rows, width, classes, seed):
    """Points around one centre for each class, with the labels."""
    draw = np.random.RandomState(seed)
    label = draw.randint(0, classes, rows)
    centres = draw.uniform(-1, 1, (classes, width))
    return (centres[label] + draw.uniform(-0.5, 0.5, (rows, width))).astype("float32"), label.astype("float32")


def cross_entropy(probability, label):
    """Mean of -log p of the labels; rows whose label is negative do not count."""
    label = label.reshape(-1).astype(int)
    rows = np.nonzero(label >= 0)[0]
    return float(-np.log(np.maximum(probability.reshape(len(label), -1)[rows, label[rows]], 1e-10)).mean())


def begin(mx, module, start, initializer=None):
    """Initialize a bound module from ``start`` or by an initializer, and return its parameters as NumPy arrays."""
    if start is None:
        mx.random.seed(11)
        np.random.seed(11)
        module.init_params(initializer or mx.init.Xavier())
    else:
        held = {kind: {} for kind in ("arg", "aux")}
        for key, value in start.items():
            kind, _, name = key.partition(":")
            held[kind][name] = mx.nd.array(value, dtype=value.dtype)
        module.init_params(None, arg_params=held["arg"], aux_params=held["aux"])
    return parameters(module)


def parameters(module):
    arg, aux = module.get_params()
    found = {"arg:" + name: array.asnumpy() for name, array in arg.items()}
    found.update(("aux:" + name, array.asnumpy()) for name, array in aux.items())
    return found


def result(start, losses, module=None, **arrays):
    found = {key: np.asarray(value) for key, value in arrays.items()}
    found["losses"] = np.array(losses, "float64")
    if module is not None:
        found.update(parameters(module))
    return start, found


def mlp(mx, hidden=8, classes=3):
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=hidden, name="fc1")
    net = mx.sym.Activation(net, act_type="relu", name="relu1")
    net = mx.sym.FullyConnected(net, num_hidden=classes, name="fc2")
    return mx.sym.SoftmaxOutput(net, name="softmax")


def steps(source):
    """``STEPS`` batches of an iterator, from the start again as often as it takes."""
    done = 0
    while True:
        source.reset()
        for batch in source:
            if done == STEPS:
                return
            done += 1
            yield batch


# -- the programs -----------------------------------------------------------------------------------------------


def language_model(mx, start):
    """A BucketingModule on sentences of several lengths: an embedding, two LSTM layers, a decoder."""
    words, hidden, batch_size = 12, 8, 4
    draw = np.random.RandomState(5)
    sentences = [list(np.cumsum(draw.randint(1, 4, draw.choice([3, 5, 8]))) % words) for _ in range(96)]
    random.seed(2)
    np.random.seed(2)
    source = mx.rnn.BucketSentenceIter(sentences, batch_size, buckets=[3, 5, 8], invalid_label=-1)
    stack = mx.rnn.SequentialRNNCell()
    for layer in range(2):
        stack.add(mx.rnn.LSTMCell(hidden, prefix="lstm_l%d_" % layer))  # noqa: UP031

    def sym_gen(length):
        data, label = mx.sym.Variable("data"), mx.sym.Variable("softmax_label")
        net = mx.sym.Embedding(data, input_dim=words, output_dim=6, name="embed")
        stack.reset()
        net, _ = stack.unroll(length, inputs=net, merge_outputs=True)
        net = mx.sym.FullyConnected(mx.sym.Reshape(net, shape=(-1, hidden)), num_hidden=words, name="pred")
        label = mx.sym.Reshape(label, shape=(-1,))
        net = mx.sym.SoftmaxOutput(net, label, use_ignore=True, ignore_label=-1, normalization="valid", name="softmax")
        return net, ("data",), ("softmax_label",)

    module = mx.mod.BucketingModule(sym_gen, default_bucket_key=source.default_bucket_key)
    module.bind(source.provide_data, source.provide_label)
    start = begin(mx, module, start, mx.init.Xavier(factor_type="in", magnitude=2.34))
    module.init_optimizer(optimizer="adam", optimizer_params={"learning_rate": 0.02, "wd": 1e-5})
    random.seed(3)
    np.random.seed(3)
    losses, keys, metric = [], [], mx.metric.Perplexity(-1)
    for batch in steps(source):
        module.forward(batch)
        losses.append(cross_entropy(module.get_outputs()[0].asnumpy(), batch.label[0].asnumpy()))
        module.update_metric(metric, batch.label)
        module.backward()
        module.update()
        keys.append(batch.bucket_key)
    return result(start, losses, module, keys=keys, perplexity=metric.get()[1])


def feed_forward(mx, start):
    """``FeedForward.fit`` and ``predict`` on NumPy arrays."""
    data, label = blobs(50, 4, 3, 1)
    losses, begun = [], {}

    def watch(param):
        losses.append(param.eval_metric.get()[1])
        param.eval_metric.reset()

    class Kept(mx.init.Xavier):
        """Xavier, or what ``start`` says; keeps what it gave."""

        def __call__(self, name, array):
            key = "arg:" + str(name)
            if start is None:
                mx.init.Xavier.__call__(self, name, array)
            else:
                array[:] = start[key]
            begun[key] = array.asnumpy()

    mx.random.seed(3)
    np.random.seed(3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # FeedForward is deprecated, and so are plain names
        model = mx.model.FeedForward(
            mlp(mx),
            num_epoch=5,
            optimizer="sgd",
            initializer=Kept(),
            numpy_batch_size=10,
            learning_rate=0.1,
            momentum=0.9,
        )
        np.random.seed(4)
        model.fit(data, label, eval_metric="ce", batch_end_callback=watch)
        probability = model.predict(data)
        score = model.score(mx.io.NDArrayIter(data, label, 10))
    found = {"arg:" + name: array.asnumpy() for name, array in model.arg_params.items()}
    return result(begun, losses[:STEPS], None, probability=probability, score=score, **found)


def chained_modules(mx, start):
    """A SequentialModule of two Modules, the first without a loss."""
    data, label = blobs(60, 5, 3, 2)
    source = mx.io.NDArrayIter(data, label, 6)
    net = mx.sym.Activation(mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=7, name="low"), act_type="tanh")
    module = mx.mod.SequentialModule()
    module.add(mx.mod.Module(net, label_names=None)).add(mx.mod.Module(mlp(mx)), take_labels=True, auto_wiring=True)
    module.bind(source.provide_data, source.provide_label)
    start = begin(mx, module, start)
    module.init_optimizer(optimizer_params={"learning_rate": 0.3, "momentum": 0.5})
    losses = []
    for batch in steps(source):
        module.forward_backward(batch)
        losses.append(cross_entropy(module.get_outputs()[0].asnumpy(), batch.label[0].asnumpy()))
        module.update()
    return result(start, losses, module)


def python_loss(mx, start):
    """A hinge loss whose gradient is a Python function, after a Module."""
    data, label = blobs(60, 5, 3, 3)
    source = mx.io.NDArrayIter(data, label, 6)

    def gradient(scores, labels):
        scores, labels = scores.asnumpy(), labels.asnumpy().astype(int)
        return mx.nd.array(hinge(scores, labels)[1])

    def hinge(scores, labels):
        rows = np.arange(len(labels))
        margin = 1 + scores - scores[rows, labels][:, None]
        margin[rows, labels] = 0
        slope = (margin > 0).astype("float32")
        slope[rows, labels] = -slope.sum(axis=1)
        return np.maximum(margin, 0).sum(axis=1).mean(), slope

    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=6, name="fc1")
    net = mx.sym.FullyConnected(mx.sym.Activation(net, act_type="sigmoid"), num_hidden=3, name="fc2")
    module = mx.mod.SequentialModule()
    module.add(mx.mod.Module(net, label_names=None))
    module.add(mx.mod.PythonLossModule(grad_func=gradient), take_labels=True, auto_wiring=True)
    module.bind(source.provide_data, source.provide_label)
    start = begin(mx, module, start)
    module.init_optimizer(optimizer="nag", optimizer_params={"learning_rate": 0.2, "momentum": 0.9})
    losses = []
    for batch in steps(source):
        module.forward(batch, is_train=True)
        losses.append(hinge(module.get_outputs()[0].asnumpy(), batch.label[0].asnumpy().astype(int))[0])
        module.backward()
        module.update()
    return result(start, losses, module)


def _generator(mx):
    net = mx.sym.Deconvolution(mx.sym.Variable("rand"), kernel=(3, 3), num_filter=6, no_bias=True, name="g1")
    net = mx.sym.BatchNorm(net, fix_gamma=True, eps=1e-4, name="gbn1")
    net = mx.sym.Activation(net, act_type="relu", name="gact1")
    options = {"kernel": (4, 4), "stride": (2, 2), "pad": (1, 1), "num_filter": 1, "no_bias": True, "name": "g2"}
    return mx.sym.Activation(mx.sym.Deconvolution(net, **options), act_type="tanh", name="gact2")


def _discriminator(mx):
    options = {"kernel": (4, 4), "stride": (2, 2), "pad": (1, 1), "num_filter": 4, "no_bias": True, "name": "d1"}
    net = mx.sym.LeakyReLU(mx.sym.Convolution(mx.sym.Variable("data"), **options), act_type="leaky", slope=0.2)
    net = mx.sym.Convolution(net, kernel=(3, 3), num_filter=6, no_bias=True, name="d2")
    net = mx.sym.LeakyReLU(mx.sym.BatchNorm(net, fix_gamma=True, eps=1e-4, name="dbn2"), act_type="leaky", slope=0.2)
    net = mx.sym.FullyConnected(mx.sym.Flatten(net), num_hidden=1, name="d3")
    return mx.sym.LogisticRegressionOutput(net, mx.sym.Variable("label"), name="dloss")


def adversaries(mx, start):
    """A generator and a discriminator; the discriminator's gradients of both halves are added in place."""
    batch, noise = 4, np.random.RandomState(7)
    images = np.tanh(noise.normal(size=(STEPS, batch, 1, 6, 6))).astype("float32")
    adam = {"learning_rate": 0.02, "wd": 0.0, "beta1": 0.5}
    maker = mx.mod.Module(_generator(mx), data_names=("rand",), label_names=None)
    maker.bind([("rand", (batch, 5, 1, 1))])
    judge = mx.mod.Module(_discriminator(mx), label_names=("label",))
    judge.bind([("data", (batch, 1, 6, 6))], [("label", (batch, 1))], inputs_need_grad=True)
    parts = {"maker": maker, "judge": judge}
    begun = {}
    for name, module in parts.items():
        own = None if start is None else {k[6:]: v for k, v in start.items() if k.startswith(name + "/")}
        begun.update((name + "/" + k, v) for k, v in begin(mx, module, own, mx.init.Normal(0.3)).items())
        module.init_optimizer(optimizer="adam", optimizer_params=adam)
    losses, fake_scores = [], []
    label = mx.nd.zeros((batch, 1))
    for step in range(STEPS):
        rand = mx.nd.array(noise.normal(size=(batch, 5, 1, 1)))
        maker.forward(mx.io.DataBatch([rand], None), is_train=True)
        made = maker.get_outputs()
        label[:] = 0
        judge.forward(mx.io.DataBatch(made, [label]), is_train=True)
        judge.backward()
        kept = [[grad.copyto(grad.context) for grad in grads] for grads in judge._exec_group.grad_arrays]
        on_fake = judge.get_outputs()[0].asnumpy()
        label[:] = 1
        judge.forward(mx.io.DataBatch([mx.nd.array(images[step])], [label]), is_train=True)
        judge.backward()
        for reals, fakes in zip(judge._exec_group.grad_arrays, kept):
            for real, fake in zip(reals, fakes):
                real += fake
        judge.update()
        on_real = judge.get_outputs()[0].asnumpy()
        losses.append(float(-np.log(on_real).mean() - np.log(1 - on_fake).mean()))
        judge.forward(mx.io.DataBatch(made, [label]), is_train=True)
        judge.backward()
        fake_scores.append(judge.get_outputs()[0].asnumpy())
        maker.backward(judge.get_input_grads())
        maker.update()
    found = {name + "/" + key: value for name, module in parts.items() for key, value in parameters(module).items()}
    return result(begun, losses, None, scores=np.stack(fake_scores), **found)


def several_tasks(mx, start):
    """A Group of two softmax outputs and a regression on one trunk, with a metric of its own."""
    data, label = blobs(60, 5, 4, 4)
    labels = {"kind_label": label, "odd_label": label % 2, "sum_label": data.sum(axis=1)}
    source = mx.io.NDArrayIter({"data": data}, labels, 6, label_name="kind_label")
    trunk = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=8, name="trunk")
    trunk = mx.sym.Activation(trunk, act_type="relu")
    heads = [
        mx.sym.SoftmaxOutput(mx.sym.FullyConnected(trunk, num_hidden=4, name="fc_kind"), name="kind"),
        mx.sym.SoftmaxOutput(mx.sym.FullyConnected(trunk, num_hidden=2, name="fc_odd"), grad_scale=0.5, name="odd"),
        mx.sym.LinearRegressionOutput(mx.sym.FullyConnected(trunk, num_hidden=1, name="fc_sum"), name="sum"),
    ]

    class PerTask(mx.metric.EvalMetric):
        """Accuracy of each classifier."""

        def __init__(self, num):
            self.num = num
            super().__init__("per-task")

        def reset(self):
            self.hits, self.seen = [0] * self.num, [0] * self.num

        def update(self, labels, preds):
            for task in range(self.num):
                found = preds[task].asnumpy().argmax(axis=1)
                self.hits[task] += (found == labels[task].asnumpy()).sum()
                self.seen[task] += len(found)

        def get(self):
            return ["task%d" % n for n in range(self.num)], [h / s for h, s in zip(self.hits, self.seen)]  # noqa: UP031

    names = [name for name, _ in source.provide_label]
    module = mx.mod.Module(mx.sym.Group(heads), label_names=names)
    module.bind(source.provide_data, source.provide_label)
    start = begin(mx, module, start)
    module.init_optimizer(optimizer="rmsprop", optimizer_params={"learning_rate": 0.01})
    losses, metric = [], PerTask(2)
    order = [names.index(name) for name in ("kind_label", "odd_label", "sum_label")]
    for batch in steps(source):
        module.forward_backward(batch)
        outs = [out.asnumpy() for out in module.get_outputs()]
        wanted = [batch.label[place].asnumpy() for place in order]
        squares = np.square(outs[2][:, 0] - wanted[2]).mean()
        losses.append(cross_entropy(outs[0], wanted[0]) + cross_entropy(outs[1], wanted[1]) + squares)
        metric.update([batch.label[place] for place in order], module.get_outputs())
        module.update()
    return result(start, losses, module, accuracy=metric.get()[1])


def _own_softmax(mx):
    """Register a softmax of its own as a custom operator."""

    class OwnSoftmax(mx.operator.CustomOp):
        def forward(self, is_train, req, in_data, out_data, aux):
            values = in_data[0].asnumpy()
            power = np.exp(values - values.max(axis=1, keepdims=True))
            self.assign(out_data[0], req[0], mx.nd.array(power / power.sum(axis=1, keepdims=True)))

        def backward(self, req, out_grad, in_data, out_data, in_grad, aux):
            label, slope = in_data[1].asnumpy().astype(int), out_data[0].asnumpy()
            slope[np.arange(len(label)), label] -= 1
            self.assign(in_grad[0], req[0], mx.nd.array(slope))

    @mx.operator.register("scenario_softmax")
    class OwnSoftmaxProp(mx.operator.CustomOpProp):
        def __init__(self):
            super().__init__(need_top_grad=False)

        def list_arguments(self):
            return ["data", "label"]

        def list_outputs(self):
            return ["output"]

        def infer_shape(self, in_shape):
            return [in_shape[0], (in_shape[0][0],)], [in_shape[0]], []

        def create_operator(self, ctx, shapes, dtypes):
            return OwnSoftmax()

    return OwnSoftmaxProp


def custom_operator(mx, start):
    """A classifier whose loss is a custom operator, trained by ``fit``."""
    _own_softmax(mx)
    data, label = blobs(60, 5, 3, 5)
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=8, name="fc1")
    net = mx.sym.FullyConnected(mx.sym.Activation(net, act_type="relu"), num_hidden=3, name="fc2")
    net = mx.sym.Custom(net, name="softmax", op_type="scenario_softmax")
    module = mx.mod.Module(net)
    source = mx.io.NDArrayIter(data, label, 6)
    module.bind(source.provide_data, source.provide_label)
    start = begin(mx, module, start)
    losses = []

    def watch(param):
        losses.append(param.eval_metric.get()[1])
        param.eval_metric.reset()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the parameters are there already
        module.fit(
            source, eval_metric="ce", optimizer_params={"learning_rate": 0.2, "wd": 1e-3}, num_epoch=2,
            batch_end_callback=watch,
        )  # fmt: skip
    return result(start, losses, module)


def monitored(mx, start):
    """A Monitor on weights, gradients and outputs every fifth step."""
    data, label = blobs(60, 5, 3, 6)
    source = mx.io.NDArrayIter(data, label, 6)
    module = mx.mod.Module(mlp(mx))
    module.bind(source.provide_data, source.provide_label)
    start = begin(mx, module, start)
    monitor = mx.mon.Monitor(
        5, lambda x: mx.nd.norm(x) / np.sqrt(x.size), pattern=".*(output|weight|grad).*", sort=True
    )
    module.install_monitor(monitor)
    module.init_optimizer(optimizer="adagrad", optimizer_params={"learning_rate": 0.1})
    losses, told = [], []
    for batch in steps(source):
        monitor.tic()
        module.forward_backward(batch)
        losses.append(cross_entropy(module.get_outputs()[0].asnumpy(), batch.label[0].asnumpy()))
        module.update()
        told += monitor.toc()
    # nothing needs the gradients of data and label: the original shows them without computing them
    unneeded, names = ("fc1_backward_output0", "softmax_backward_output1"), [name for _, name, _ in told]
    values = [0.0 if name in unneeded else float(value) for _, name, value in told]
    texts = np.frombuffer("\n".join(names).encode(), np.uint8)
    steps_told = [step for step, _, _ in told]
    return result(start, losses, module, told_steps=steps_told, told_values=values, told_names=texts)


def two_devices(mx, start):
    """A convolutional network on two devices, updated on a kvstore, with a schedule."""
    data, label = blobs(80, 36, 3, 7)
    source = mx.io.NDArrayIter(data.reshape(80, 1, 6, 6), label, 8)
    net = mx.sym.Convolution(mx.sym.Variable("data"), kernel=(3, 3), num_filter=4, name="conv1")
    net = mx.sym.Activation(mx.sym.BatchNorm(net, fix_gamma=False, name="bn1"), act_type="relu")
    net = mx.sym.Pooling(net, kernel=(2, 2), stride=(2, 2), pool_type="max")
    net = mx.sym.SoftmaxOutput(mx.sym.FullyConnected(net, num_hidden=3, name="fc1"), name="softmax")
    module = mx.mod.Module(net, context=[mx.cpu(0), mx.cpu(1)])
    module.bind(source.provide_data, source.provide_label)
    start = begin(mx, module, start, mx.init.Xavier(magnitude=2))
    schedule = mx.lr_scheduler.MultiFactorScheduler([8, 14], 0.5)
    options = {"learning_rate": 0.1, "momentum": 0.9, "wd": 1e-4, "lr_scheduler": schedule}
    module.init_optimizer(kvstore="device", optimizer_params=options)
    losses = []
    for batch in steps(source):
        module.forward_backward(batch)
        losses.append(cross_entropy(module.get_outputs()[0].asnumpy(), batch.label[0].asnumpy()))
        module.update()
    return result(start, losses, module)


def placed_layers(mx, start):
    """An unrolled LSTM whose layers lie on three devices, with an executor and an updater of its own."""
    length, batch, hidden, words = 4, 3, 5, 8
    with mx.AttrScope(ctx_group="embed"):
        inputs = mx.sym.Embedding(mx.sym.Variable("data"), input_dim=words, output_dim=6, name="embed")
    for layer in range(2):
        with mx.AttrScope(ctx_group="layer%d" % layer):  # noqa: UP031
            cell = mx.rnn.LSTMCell(hidden, prefix="lstm%d_" % layer)  # noqa: UP031
            inputs, _ = cell.unroll(length, inputs, merge_outputs=True)
    with mx.AttrScope(ctx_group="decode"):
        net = mx.sym.FullyConnected(mx.sym.Reshape(inputs, shape=(-1, hidden)), num_hidden=words, name="decode")
        net = mx.sym.SoftmaxOutput(net, mx.sym.Reshape(mx.sym.Variable("label"), shape=(-1,)), name="softmax")
    places = {"embed": mx.cpu(0), "layer0": mx.cpu(1), "layer1": mx.cpu(2), "decode": mx.cpu(1)}
    needs = {name: "null" if name in ("data", "label") else "write" for name in net.list_arguments()}
    run = net.simple_bind(mx.cpu(0), grad_req=needs, group2ctx=places, data=(batch, length), label=(batch, length))
    names = [name for name in net.list_arguments() if needs[name] == "write"]
    for name in names:
        if start is None:
            mx.random.seed(len(name))
            mx.init.Uniform(0.5)._init_weight(name, run.arg_dict[name])
        else:
            run.arg_dict[name][:] = start[name]
    start = {name: run.arg_dict[name].asnumpy() for name in names}
    update = mx.optimizer.get_updater(
        mx.optimizer.create("sgd", learning_rate=0.5, momentum=0.9, rescale_grad=1 / batch)
    )
    draw, losses = np.random.RandomState(9), []
    for _ in range(STEPS):
        data = (draw.randint(0, words, (batch, 1)) + np.arange(length + 1)) % words
        run.forward(is_train=True, data=mx.nd.array(data[:, :-1]), label=mx.nd.array(data[:, 1:]))
        losses.append(cross_entropy(run.outputs[0].asnumpy(), data[:, 1:]))
        run.backward()
        for place, name in enumerate(names):
            update(place, run.grad_dict[name], run.arg_dict[name])
    return result(start, losses, None, **{name: run.arg_dict[name].asnumpy() for name in names})


logging.getLogger().setLevel(logging.WARNING)
SCENARIOS = {
    "language_model": language_model, "feed_forward": feed_forward, "chained_modules": chained_modules,
    "python_loss": python_loss, "adversaries": adversaries, "several_tasks": several_tasks,
    "custom_operator": custom_operator, "monitored": monitored, "two_devices": two_devices,
    "placed_layers": placed_layers,
}  # fmt: skip
