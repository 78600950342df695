"""An executor bound by hand: two outputs, head gradients, gradients that add up, an optimizer called directly."""

import mxnet as mx
import numpy as np

np.random.seed(7)
inputs, targets = mx.sym.Variable("x"), mx.sym.Variable("t")
hidden = mx.sym.Activation(mx.sym.FullyConnected(inputs, num_hidden=7, name="fc1"), act_type="tanh", name="act1")
output = mx.sym.FullyConnected(hidden, num_hidden=3, name="fc2")
loss = mx.sym.MakeLoss(mx.sym.square(output - targets), name="loss")
requests = {"x": "null", "t": "null", "fc1_weight": "add", "fc1_bias": "write", "fc2_weight": "write", "fc2_bias": "write"}
executor = mx.sym.Group([output, loss]).simple_bind(mx.cpu(), x=(6, 4), t=(6, 3), grad_req=requests)
names = [name for name in requests if name.startswith("fc")]
for name in names:
    executor.arg_dict[name][:] = np.random.uniform(-0.5, 0.5, executor.arg_dict[name].shape)
optimizer = mx.optimizer.create("rmsprop", learning_rate=0.01)
states = {name: optimizer.create_state(i, executor.arg_dict[name]) for i, name in enumerate(names)}
for _ in range(4):
    executor.grad_dict["fc1_weight"][:] = 0
    for _ in range(2):
        executor.forward(is_train=True, x=mx.nd.array(np.random.randn(6, 4)), t=np.random.randn(6, 3).astype("float32"))
        executor.backward([mx.nd.ones((6, 3)) * 0.1, mx.nd.ones((6, 3))])
    for i, name in enumerate(names):
        optimizer.update(i, executor.arg_dict[name], executor.grad_dict[name], states[name])
