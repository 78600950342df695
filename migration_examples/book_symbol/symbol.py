# -*- coding: utf-8 -*-
"""The book's chapter on Symbol: a network, its shapes, a part of it, and the same computed on arrays."""
import mxnet as mx

data = mx.sym.Variable('data')
conv = mx.sym.Convolution(data=data, num_filter=128, kernel=(3,3), pad=(1,1), name='conv1')
bn = mx.sym.BatchNorm(data=conv, name='bn1')
relu = mx.sym.Activation(data=bn, act_type='relu', name='relu1')
pool = mx.sym.Pooling(data=relu, kernel=(2,2), stride=(2,2), pool_type='max', name='pool1')
fc = mx.sym.FullyConnected (data=pool, num_hidden=2, name='fc1')
sym = mx.sym.SoftmaxOutput (data=fc, name='softmax')
print(sym.list_arguments())

arg_shape,out_shape,aux_shape = sym.infer_shape(data=(1,3,10,10))
print(arg_shape)
print(out_shape)
print(aux_shape)

sym_mini = sym.get_internals()['pool1_output']
print(sym_mini.list_arguments())

fc_new = mx.sym.FullyConnected (data=sym_mini, num_hidden=5, name='fc_new')
sym_new = mx.sym.SoftmaxOutput (data=fc_new, name='softmax')
print(sym_new.list_arguments())

data_a = mx.sym.Variable ('data_a')
data_b = mx.sym.Variable ('data_b')
data_c = mx.sym.Variable ('data_c')
s = data_c*(data_a+data_b)
print(type(s))

e = s.bind(mx.cpu(), {'data_a':mx.nd.array([1,2,3]), 'data_b':mx.nd.array([4,5,6]),
                      'data_c':mx.nd.array([2,3,4])})
print(type(e))
output=e.forward()
print(output[0])

data_a = mx.nd.array([1,2,3])
data_b = mx.nd.array([4,5,6])
data_c = mx.nd.array([2,3,4])
result = data_c*(data_a+data_b)
print(result)

data = mx.nd.arange(0,28).reshape((1,1,4,7))
print(data)
conv1 = mx.nd.Convolution(data=data, weight=mx.nd.ones((10,1,3,3)),
                          bias=mx.nd.zeros((10)), num_filter=10, kernel=(3,3),
                          name='conv1')
print(conv1)
