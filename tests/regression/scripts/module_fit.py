"""A Module with convolution, BatchNorm and a schedule, evaluated after each epoch."""

import mxnet as mx
import numpy as np

mx.random.seed(3)
np.random.seed(3)
net = mx.sym.Variable("data")
net = mx.sym.Convolution(net, kernel=(3, 3), num_filter=4, name="conv1")
net = mx.sym.BatchNorm(net, fix_gamma=False, name="bn1")
net = mx.sym.Activation(net, act_type="relu", name="relu1")
net = mx.sym.Pooling(net, pool_type="max", kernel=(2, 2), stride=(2, 2), name="pool1")
net = mx.sym.FullyConnected(mx.sym.Flatten(net), num_hidden=5, name="fc1")
net = mx.sym.SoftmaxOutput(net, name="softmax")

images = np.random.randint(0, 256, (48, 1, 10, 10)).astype("float32") / 256
labels = (images[:, 0, 0, 0] * 5).astype("int").astype("float32")
train = mx.io.NDArrayIter(images, labels, 8)
module = mx.mod.Module(net)
module.fit(
    train,
    eval_data=mx.io.NDArrayIter(images[:16], labels[:16], 8),
    num_epoch=2,
    optimizer="sgd",
    optimizer_params={
        "learning_rate": 0.1,
        "momentum": 0.9,
        "wd": 1e-3,
        "lr_scheduler": mx.lr_scheduler.FactorScheduler(3, 0.5),
    },
    initializer=mx.init.Xavier(),
    eval_metric=["acc", "ce", mx.metric.TopKAccuracy(3)],
)
