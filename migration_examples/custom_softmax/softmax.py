"""The tutorial of operators in Python: a softmax output layer, trained."""
from __future__ import print_function

import logging

import mxnet as mx
import numpy as np


class Softmax(mx.operator.CustomOp):
    def forward(self, is_train, req, in_data, out_data, aux):
        x = in_data[0].asnumpy()
        y = np.exp(x - x.max(axis=1).reshape((x.shape[0], 1)))
        y /= y.sum(axis=1).reshape((x.shape[0], 1))
        self.assign(out_data[0], req[0], mx.nd.array(y))

    def backward(self, req, out_grad, in_data, out_data, in_grad, aux):
        l = in_data[1].asnumpy().ravel().astype(np.int)
        y = out_data[0].asnumpy()
        y[np.arange(l.shape[0]), l] -= 1.0
        self.assign(in_grad[0], req[0], mx.nd.array(y))


# register this operator into MXNet by name "softmax"
@mx.operator.register("softmax")
class SoftmaxProp(mx.operator.CustomOpProp):
    def __init__(self):
        # softmax is a loss layer so we don't need gradient input
        # from layers above.
        super(SoftmaxProp, self).__init__(need_top_grad=False)

    def list_arguments(self):
        return ['data', 'label']

    def list_outputs(self):
        return ['output']

    def infer_shape(self, in_shape):
        data_shape = in_shape[0]
        label_shape = (in_shape[0][0],)
        output_shape = in_shape[0]
        return [data_shape, label_shape], [output_shape], []

    def create_operator(self, ctx, shapes, dtypes):
        return Softmax()


def network(last_layer):
    data = mx.symbol.Variable('data')
    net = mx.symbol.FullyConnected(data=data, name='fc1', num_hidden=32)
    net = mx.symbol.Activation(data=net, name='relu1', act_type="relu")
    net = mx.symbol.FullyConnected(data=net, name='fc2', num_hidden=4)
    return last_layer(net)


logging.basicConfig(level=logging.INFO)
rng = np.random.RandomState(0)
centres = rng.uniform(-1, 1, (4, 16))
labels = rng.randint(0, 4, 512)
points = centres[labels] + rng.normal(0, 0.3, (512, 16))

for title, last in (('built in', lambda net: mx.symbol.SoftmaxOutput(data=net, name='softmax')),
                    ('in Python', lambda net: mx.symbol.Custom(data=net, op_type='softmax', name='softmax'))):
    mx.random.seed(1)
    np.random.seed(1)
    train = mx.io.NDArrayIter(points, labels, batch_size=64, label_name='softmax_label')
    mod = mx.mod.Module(network(last), label_names=['softmax_label'])
    mod.fit(train, optimizer_params={'learning_rate': 0.2}, initializer=mx.init.Xavier(), num_epoch=5)
    print('%s: accuracy %.4f' % (title, mod.score(train, 'acc')[0][1]))
