"""The networks that the benchmarks train and run: each in MXNet's API and by hand in PyTorch, with the same work.

``NETWORKS`` maps a name to ``(symbol builder, module builder, input shapes, label shape, classes)``; batches are made by
``batch``. Runs on Python 3.8 and real MXNet too.
"""

import numpy as np

SEQUENCE, BATCH, HIDDEN, LAYERS, VOCABULARY = 20, 32, 128, 2, 1000


# -- MXNet's API --------------------------------------------------------------------------------------------------


def mlp(mx):
    net = mx.sym.Variable("data")
    for i, width in enumerate((128, 64)):
        net = mx.sym.Activation(mx.sym.FullyConnected(net, num_hidden=width, name=f"fc{i}"), act_type="relu")
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(net, num_hidden=10, name="out"), name="softmax")


def lenet(mx):
    net = mx.sym.Variable("data")
    for filters in (20, 50):
        net = mx.sym.Activation(mx.sym.Convolution(net, kernel=(5, 5), num_filter=filters), act_type="tanh")
        net = mx.sym.Pooling(net, pool_type="max", kernel=(2, 2), stride=(2, 2))
    net = mx.sym.Activation(mx.sym.FullyConnected(mx.sym.Flatten(net), num_hidden=500), act_type="tanh")
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(net, num_hidden=10), name="softmax")


def _conv(mx, net, filters, kernel, stride, name):
    pad = (kernel // 2, kernel // 2)
    net = mx.sym.Convolution(
        net, num_filter=filters, kernel=(kernel, kernel), stride=(stride, stride), pad=pad, no_bias=True, name=name
    )
    return mx.sym.BatchNorm(net, fix_gamma=False, name=name + "_bn")


def _relu(mx, net):
    return mx.sym.Activation(net, act_type="relu")


def resnet20(mx):
    """A 20-layer residual network for 32 x 32 images."""
    net = _relu(mx, _conv(mx, mx.sym.Variable("data"), 16, 3, 1, "stem"))
    for stage, width in enumerate((16, 32, 64)):
        for block in range(3):
            name = f"s{stage}b{block}"
            stride = 2 if stage and not block else 1
            shortcut = _conv(mx, net, width, 1, stride, name + "_sc") if stride == 2 else net
            branch = _relu(mx, _conv(mx, net, width, 3, stride, name + "_a"))
            net = _relu(mx, _conv(mx, branch, width, 3, 1, name + "_b") + shortcut)
    net = mx.sym.Flatten(mx.sym.Pooling(net, global_pool=True, pool_type="avg", kernel=(8, 8)))
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(net, num_hidden=10, name="fc"), name="softmax")


def resnet50(mx):
    """A 50-layer residual network for 224 x 224 images, three-layer blocks."""
    net = _relu(mx, _conv(mx, mx.sym.Variable("data"), 64, 7, 2, "stem"))
    net = mx.sym.Pooling(net, kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type="max")
    for stage, (blocks, width) in enumerate(((3, 64), (4, 128), (6, 256), (3, 512))):
        for block in range(blocks):
            name = f"s{stage}b{block}"
            stride = 2 if stage and not block else 1
            shortcut = _conv(mx, net, 4 * width, 1, stride, name + "_sc") if not block else net
            branch = _relu(mx, _conv(mx, net, width, 1, 1, name + "_a"))
            branch = _relu(mx, _conv(mx, branch, width, 3, stride, name + "_b"))
            net = _relu(mx, _conv(mx, branch, 4 * width, 1, 1, name + "_c") + shortcut)
    net = mx.sym.Flatten(mx.sym.Pooling(net, global_pool=True, pool_type="avg", kernel=(7, 7)))
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(net, num_hidden=1000, name="fc"), name="softmax")


def _language_model(mx, unroll):
    data, label = mx.sym.Variable("data"), mx.sym.Variable("softmax_label")
    embedded = mx.sym.Embedding(data, input_dim=VOCABULARY, output_dim=HIDDEN, name="embed")
    net = mx.sym.Reshape(unroll(embedded), shape=(-1, HIDDEN))
    net = mx.sym.FullyConnected(net, num_hidden=VOCABULARY, name="pred")
    return mx.sym.SoftmaxOutput(net, mx.sym.Reshape(label, shape=(-1,)), name="softmax")


def unrolled_lstm(mx, length=SEQUENCE):
    """Two layers of LSTM cells, a node a step."""

    def unroll(embedded):
        stack = mx.rnn.SequentialRNNCell()
        for layer in range(LAYERS):
            stack.add(mx.rnn.LSTMCell(HIDDEN, prefix=f"lstm_l{layer}_"))
        return stack.unroll(length, inputs=embedded, merge_outputs=True)[0]

    return _language_model(mx, unroll)


def fused_lstm(mx):
    """Two layers of LSTM in one RNN operator."""

    def unroll(embedded):
        cell = mx.rnn.FusedRNNCell(HIDDEN, num_layers=LAYERS, mode="lstm", prefix="lstm_")
        return cell.unroll(SEQUENCE, inputs=embedded, merge_outputs=True, layout="NTC")[0]

    return _language_model(mx, unroll)


# -- by hand in PyTorch -------------------------------------------------------------------------------------------


def mlp_torch(torch):
    nn = torch.nn
    return nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))


def lenet_torch(torch):
    nn = torch.nn
    first = [nn.Conv2d(1, 20, 5), nn.Tanh(), nn.MaxPool2d(2), nn.Conv2d(20, 50, 5), nn.Tanh(), nn.MaxPool2d(2)]
    return nn.Sequential(*first, nn.Flatten(), nn.Linear(800, 500), nn.Tanh(), nn.Linear(500, 10))


def _conv_torch(nn, channels, filters, kernel, stride):
    conv = nn.Conv2d(channels, filters, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(filters))


def _residual_torch(nn, branch, shortcut):
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.branch, self.shortcut = branch, shortcut

        def forward(self, x):
            return nn.functional.relu(self.branch(x) + self.shortcut(x))

    return Residual()


def resnet20_torch(torch):
    nn = torch.nn
    layers, channels = [_conv_torch(nn, 3, 16, 3, 1), nn.ReLU()], 16
    for stage, width in enumerate((16, 32, 64)):
        for block in range(3):
            stride = 2 if stage and not block else 1
            parts = [_conv_torch(nn, channels, width, 3, stride), nn.ReLU(), _conv_torch(nn, width, width, 3, 1)]
            shortcut = _conv_torch(nn, channels, width, 1, stride) if stride == 2 else nn.Identity()
            layers.append(_residual_torch(nn, nn.Sequential(*parts), shortcut))
            channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def resnet50_torch(torch):
    nn = torch.nn
    layers, channels = [_conv_torch(nn, 3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)], 64
    for stage, (blocks, width) in enumerate(((3, 64), (4, 128), (6, 256), (3, 512))):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            parts = [_conv_torch(nn, channels, width, 1, 1), nn.ReLU(), _conv_torch(nn, width, width, 3, stride)]
            parts += [nn.ReLU(), _conv_torch(nn, width, 4 * width, 1, 1)]
            shortcut = nn.Identity() if block else _conv_torch(nn, channels, 4 * width, 1, stride)
            layers.append(_residual_torch(nn, nn.Sequential(*parts), shortcut))
            channels = 4 * width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 1000))


def unrolled_lstm_torch(torch):
    nn = torch.nn

    class Unrolled(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(VOCABULARY, HIDDEN)
            self.cells = nn.ModuleList(nn.LSTMCell(HIDDEN, HIDDEN) for _ in range(LAYERS))
            self.out = nn.Linear(HIDDEN, VOCABULARY)

        def forward(self, ids):
            zero = torch.zeros(ids.shape[0], HIDDEN)
            states, steps = [(zero, zero)] * LAYERS, []
            for x in self.embed(ids.long()).unbind(1):
                for layer, cell in enumerate(self.cells):
                    states[layer] = cell(x, states[layer])
                    x = states[layer][0]
                steps.append(x)
            return self.out(torch.stack(steps, 1).reshape(-1, HIDDEN))

    return Unrolled()


def fused_lstm_torch(torch):
    nn = torch.nn

    class Fused(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(VOCABULARY, HIDDEN)
            self.lstm = nn.LSTM(HIDDEN, HIDDEN, LAYERS, batch_first=True)
            self.out = nn.Linear(HIDDEN, VOCABULARY)

        def forward(self, ids):
            return self.out(self.lstm(self.embed(ids.long()))[0].reshape(-1, HIDDEN))

    return Fused()


# -- the table ----------------------------------------------------------------------------------------------------

NETWORKS = {
    "MLP": (mlp, mlp_torch, (64, 784), (64,), 10),
    "LeNet": (lenet, lenet_torch, (64, 1, 28, 28), (64,), 10),
    "ResNet-20": (resnet20, resnet20_torch, (32, 3, 32, 32), (32,), 10),
    "ResNet-50": (resnet50, resnet50_torch, (4, 3, 224, 224), (4,), 1000),
    "unrolled LSTM": (unrolled_lstm, unrolled_lstm_torch, (BATCH, SEQUENCE), (BATCH, SEQUENCE), VOCABULARY),
    "fused LSTM": (fused_lstm, fused_lstm_torch, (BATCH, SEQUENCE), (BATCH, SEQUENCE), VOCABULARY),
}


def batch(name):
    """Data and label of one batch, float32 as an iterator gives them."""
    _, _, data_shape, label_shape, classes = NETWORKS[name]
    rng = np.random.RandomState(0)
    is_text = name.endswith("LSTM")
    data = rng.randint(0, VOCABULARY, data_shape) if is_text else rng.uniform(-1, 1, data_shape)
    return data.astype("float32"), rng.randint(0, classes, label_shape).astype("float32")
