"""The API guide's page on symbols: composing, naming, inferring, binding, gradients."""
from __future__ import print_function

import mxnet as mx

net = mx.symbol.Variable('data')
net = mx.symbol.FullyConnected(data=net, name='fc1', num_hidden=128)
net = mx.symbol.Activation(data=net, name='relu1', act_type="relu")
net = mx.symbol.FullyConnected(data=net, name='fc2', num_hidden=64)
net = mx.symbol.SoftmaxOutput(data=net, name='out')
print(type(net))
print(net.list_arguments())

net = mx.symbol.Variable('data')
w = mx.symbol.Variable('myweight')
net = mx.symbol.FullyConnected(data=net, weight=w, name='fc1', num_hidden=128)
print(net.list_arguments())

lhs = mx.symbol.Variable('data1')
rhs = mx.symbol.Variable('data2')
net = mx.symbol.FullyConnected(data=lhs + rhs, name='fc1', num_hidden=128)
print(net.list_arguments())

net = mx.symbol.Variable('data')
net = mx.symbol.FullyConnected(data=net, name='fc1', num_hidden=128)
net2 = mx.symbol.Variable('data2')
net2 = mx.symbol.FullyConnected(data=net2, name='net2', num_hidden=128)
composed_net = net(data=net2, name='compose')
print(composed_net.list_arguments())

net = mx.symbol.Variable('data')
net = mx.symbol.FullyConnected(data=net, name='fc1', num_hidden=10)
arg_shape, out_shape, aux_shape = net.infer_shape(data=(100, 100))
print(dict(zip(net.list_arguments(), arg_shape)))
print(out_shape)

# define computation graphs
A = mx.symbol.Variable('A')
B = mx.symbol.Variable('B')
C = A * B
a = mx.nd.ones(3) * 4
b = mx.nd.ones(3) * 2
# bind the symbol with real arguments
c_exec = C.bind(ctx=mx.cpu(), args={'A': a, 'B': b})
# do forward pass calculation.
c_exec.forward()
print(c_exec.outputs[0].asnumpy())

# for neural nets simple_bind makes the arrays
net = mx.symbol.SoftmaxOutput(net, name='out')
texec = net.simple_bind(mx.cpu(), data=(100, 100))
texec.forward(is_train=True)
texec.backward()
print(sorted((name, grad.shape) for name, grad in texec.grad_dict.items()))
