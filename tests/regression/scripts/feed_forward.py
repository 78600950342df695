"""FeedForward, with dropout in training, and its predictions."""

import mxnet as mx
import numpy as np

mx.random.seed(9)
np.random.seed(9)
net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=40, name="fc1")
net = mx.sym.Activation(net, act_type="sigmoid", name="act1")
net = mx.sym.Dropout(net, p=0.3, name="drop1")
net = mx.sym.SoftmaxOutput(mx.sym.FullyConnected(net, num_hidden=4, name="fc2"), name="softmax")
data = np.random.randn(60, 30).astype("float32")
labels = data[:, :4].argmax(axis=1).astype("float32")
model = mx.model.FeedForward(net, ctx=mx.cpu(), num_epoch=2, learning_rate=0.1, momentum=0.9, numpy_batch_size=20)
model.fit(data, labels)
print((model.predict(data).argmax(axis=1) == labels).mean())
