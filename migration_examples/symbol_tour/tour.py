"""The Symbol tutorial: composing, naming, grouping, inferring, binding, saving."""
from __future__ import print_function

import mxnet as mx

a = mx.sym.Variable('a')
b = mx.sym.Variable('b')
c = a + b
print((a, b, c))

# most of the NDArray operations apply to symbols
d = a * b
e = mx.sym.dot(a, b)
f = mx.sym.Reshape(d + e, shape=(1, 4))
g = mx.sym.broadcast_to(f, shape=(2, 4))
print(mx.viz.plot_network(symbol=g).source.splitlines()[0])

# a network of two layers
net = mx.sym.Variable('data')
net = mx.sym.FullyConnected(data=net, name='fc1', num_hidden=128)
net = mx.sym.Activation(data=net, name='relu1', act_type="relu")
net = mx.sym.FullyConnected(data=net, name='fc2', num_hidden=10)
net = mx.sym.SoftmaxOutput(data=net, name='out')
mx.viz.plot_network(net, shape={'data': (100, 200)})
print(net.list_arguments())
print(mx.sym.Variable('data'))

# a parameter declared by hand
net = mx.symbol.Variable('data')
w = mx.symbol.Variable('myweight')
net = mx.symbol.FullyConnected(data=net, weight=w, name='fc1', num_hidden=128)
print(net.list_arguments())

# an operation between variables first
lhs = mx.symbol.Variable('data1')
rhs = mx.symbol.Variable('data2')
net = mx.symbol.FullyConnected(data=lhs + rhs, name='fc1', num_hidden=128)
print(net.list_arguments())

# a symbol used as a function
data = mx.symbol.Variable('data')
net1 = mx.symbol.FullyConnected(data=data, name='fc1', num_hidden=10)
print(net1.list_arguments())
net2 = mx.symbol.Variable('data2')
net2 = mx.symbol.FullyConnected(data=net2, name='fc2', num_hidden=10)
composed = net2(data2=net1, name='composed')
print(composed.list_arguments())

# a common prefix
data = mx.sym.Variable("data")
net = data
n_layer = 2
for i in range(n_layer):
    with mx.name.Prefix("layer%d_" % (i + 1)):
        net = mx.sym.FullyConnected(data=net, name="fc", num_hidden=100)
print(net.list_arguments())


# modules of deep networks, made by functions
def ConvFactory(data, num_filter, kernel, stride=(1, 1), pad=(0, 0), name=None, suffix=''):
    conv = mx.symbol.Convolution(data=data, num_filter=num_filter, kernel=kernel, stride=stride, pad=pad,
                                 name='conv_%s%s' % (name, suffix))
    bn = mx.symbol.BatchNorm(data=conv, name='bn_%s%s' % (name, suffix))
    act = mx.symbol.Activation(data=bn, act_type='relu', name='relu_%s%s' % (name, suffix))
    return act


prev = mx.symbol.Variable(name="Previos Output")
conv_comp = ConvFactory(data=prev, num_filter=64, kernel=(7, 7), stride=(2, 2))
shape = {"Previos Output": (128, 3, 28, 28)}
mx.viz.plot_network(symbol=conv_comp, shape=shape)
print(conv_comp.infer_shape(**shape)[1])


def InceptionFactoryA(data, num_1x1, num_3x3red, num_3x3, num_d3x3red, num_d3x3, pool, proj, name):
    # 1x1
    c1x1 = ConvFactory(data=data, num_filter=num_1x1, kernel=(1, 1), name=('%s_1x1' % name))
    # 3x3 reduce + 3x3
    c3x3r = ConvFactory(data=data, num_filter=num_3x3red, kernel=(1, 1), name=('%s_3x3' % name), suffix='_reduce')
    c3x3 = ConvFactory(data=c3x3r, num_filter=num_3x3, kernel=(3, 3), pad=(1, 1), name=('%s_3x3' % name))
    # double 3x3 reduce + double 3x3
    cd3x3r = ConvFactory(data=data, num_filter=num_d3x3red, kernel=(1, 1), name=('%s_double_3x3' % name),
                         suffix='_reduce')
    cd3x3 = ConvFactory(data=cd3x3r, num_filter=num_d3x3, kernel=(3, 3), pad=(1, 1), name=('%s_double_3x3_0' % name))
    cd3x3 = ConvFactory(data=cd3x3, num_filter=num_d3x3, kernel=(3, 3), pad=(1, 1), name=('%s_double_3x3_1' % name))
    # pool + proj
    pooling = mx.symbol.Pooling(data=data, kernel=(3, 3), stride=(1, 1), pad=(1, 1), pool_type=pool,
                                name=('%s_pool_%s_pool' % (pool, name)))
    cproj = ConvFactory(data=pooling, num_filter=proj, kernel=(1, 1), name=('%s_proj' % name))
    # concat
    concat = mx.symbol.Concat(*[c1x1, c3x3, cd3x3, cproj], name='ch_concat_%s_chconcat' % name)
    return concat


prev = mx.symbol.Variable(name="Previos Output")
in3a = InceptionFactoryA(prev, 64, 64, 64, 64, 96, "avg", 32, name="in3a")
mx.viz.plot_network(symbol=in3a, shape=shape)
print(in3a.infer_shape(**shape)[1])

# several losses
net = mx.sym.Variable('data')
fc1 = mx.sym.FullyConnected(data=net, name='fc1', num_hidden=128)
net = mx.sym.Activation(data=fc1, name='relu1', act_type="relu")
out1 = mx.sym.SoftmaxOutput(data=net, name='softmax')
out2 = mx.sym.LinearRegressionOutput(data=net, name='regression')
group = mx.sym.Group([out1, out2])
print(group.list_outputs())

# shapes and types follow from the inputs'
arg_name = c.list_arguments()
out_name = c.list_outputs()
arg_shape, out_shape, _ = c.infer_shape(a=(2, 3), b=(2, 3))
arg_type, out_type, _ = c.infer_type(a='float32', b='float32')
print({'input': dict(zip(arg_name, arg_shape)), 'output': dict(zip(out_name, out_shape))})
print({'input': dict(zip(arg_name, arg_type)), 'output': dict(zip(out_name, out_type))})

# evaluation
ex = c.bind(ctx=mx.cpu(), args={'a': mx.nd.ones([2, 3]), 'b': mx.nd.ones([2, 3])})
ex.forward()
print('number of outputs = %d\nthe first output = \n%s' % (len(ex.outputs), ex.outputs[0].asnumpy()))

ex_gpu = c.bind(ctx=mx.gpu(), args={'a': mx.nd.ones([3, 4], mx.gpu()) * 2, 'b': mx.nd.ones([3, 4], mx.gpu()) * 3})
ex_gpu.forward()
print(repr(ex_gpu.outputs[0].asnumpy()))

ex = c.eval(ctx=mx.cpu(), a=mx.nd.ones([2, 3]), b=mx.nd.ones([2, 3]))
print('number of outputs = %d\nthe first output = \n%s' % (len(ex), ex[0].asnumpy()))

# save and load
print(c.tojson())
c.save('symbol-c.json')
c2 = mx.symbol.load('symbol-c.json')
print(c.tojson() == c2.tojson())

# other types
a = mx.sym.Variable('data')
b = mx.sym.Cast(data=a, dtype='float16')
arg, out, _ = b.infer_type(data='float32')
print({'input': arg, 'output': out})
c = mx.sym.Cast(data=a, dtype='uint8')
arg, out, _ = c.infer_type(data='int32')
print({'input': arg, 'output': out})

# one array for several variables
a = mx.sym.Variable('a')
b = mx.sym.Variable('b')
c = mx.sym.Variable('c')
d = a + b * c
data = mx.nd.ones((2, 3)) * 2
ex = d.bind(ctx=mx.cpu(), args={'a': data, 'b': data, 'c': data})
ex.forward()
print(repr(ex.outputs[0].asnumpy()))
