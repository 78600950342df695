"""The NDArray tutorial: creating, computing, slicing, copying, saving."""
from __future__ import print_function

import pickle as pkl

import mxnet as mx
import numpy as np

c = np.arange(15).reshape(3, 5)
# create a 2-dimensional array from a numpy.ndarray object
a = mx.nd.array(c)
print({'a.shape': a.shape})

# float32 is used in deafult
a = mx.nd.array([1, 2, 3])
# create an int32 array
b = mx.nd.array([1, 2, 3], dtype=np.int32)
# create a 16-bit float array
c = mx.nd.array([1.2, 2.3], dtype=np.float16)
print((a.dtype, b.dtype, c.dtype))

a = mx.nd.zeros((2, 3))
b = mx.nd.ones((2, 3))
# create a same shape array with all elements set to 7
c = mx.nd.full((2, 3), 7)
# create a same shape whose initial content is random and
# depends on the state of the memory
d = mx.nd.empty((2, 3))
print(a.asnumpy(), b.asnumpy(), c.asnumpy(), d.shape)

a = mx.nd.ones((2, 3))
b = mx.nd.ones((2, 3))
# elementwise plus
c = a + b
# elementwise minus
d = - c
# elementwise pow and sin, and then transpose
e = mx.nd.sin(c**2).T
# elementwise max
f = mx.nd.maximum(a, c)
print(d.asnumpy(), e.shape, f.asnumpy())

a = mx.nd.ones((2, 2))
b = a * a
c = mx.nd.dot(a, a)
print(b.asnumpy(), c.asnumpy())

a = mx.nd.ones((2, 2))
b = mx.nd.ones(a.shape)
b += a
print(b.asnumpy())

a = mx.nd.array(np.arange(6).reshape(3, 2))
a[1:2] = 1
print(a[:].asnumpy())
d = mx.nd.slice_axis(a, axis=1, begin=1, end=2)
print(d.asnumpy())

a = mx.nd.array(np.arange(24))
b = a.reshape((2, 3, 4))
print(b.asnumpy())

a = mx.nd.ones((2, 3))
b = mx.nd.ones((2, 3))*2
c = mx.nd.concatenate([a, b])
print(c.asnumpy())

a = mx.nd.ones((2, 3))
b = mx.nd.sum(a, axis=1)
print(b.asnumpy())

a = mx.nd.array(np.arange(6).reshape(6, 1))
b = a.broadcast_to((6, 2))
print(b.asnumpy())
c = a.reshape((2, 1, 1, 3))
d = c.broadcast_to((2, 2, 2, 3))
print(d.asnumpy())

a = mx.nd.ones((2, 2))
b = a
print(b is a)


def f(x):
    return x


print(a is f(a))
b = a.copy()
print(b is a)

# on a GPU
a = mx.nd.ones((100, 100), mx.gpu(0))
print(a.shape, a[0, 0].asscalar())
a = mx.nd.ones((100, 100), mx.cpu())
b = mx.nd.ones((100, 100), mx.gpu())
c = mx.nd.ones((100, 100), mx.gpu())
a.copyto(c)  # copy from CPU to GPU
d = b + c
e = b.as_in_context(c.context) + c  # same to above
print(d[0, :4].asnumpy(), (d - e).asnumpy().any())

# to the disk and back
a = mx.nd.ones((2, 3))
data = pkl.dumps(a)
b = pkl.loads(data)
print(b.asnumpy())

a = mx.nd.ones((2, 3))
b = mx.nd.ones((5, 6))
mx.nd.save("temp.ndarray", [a, b])
c = mx.nd.load("temp.ndarray")
print(c)

a = mx.nd.ones((2, 3), ctx=mx.gpu())
a[:] = np.random.rand(*a.shape)
print(a.shape)
