"""An operator of the script's own; the training is left alone when the file is imported."""

import mxnet as mx
import numpy as np


class Square(mx.operator.CustomOp):
    """The square, and its gradient."""

    def forward(self, is_train, req, in_data, out_data, aux):
        self.assign(out_data[0], req[0], in_data[0] * in_data[0])

    def backward(self, req, out_grad, in_data, out_data, in_grad, aux):
        self.assign(in_grad[0], req[0], 2 * in_data[0] * out_grad[0])


@mx.operator.register("square_of_script")
class SquareProp(mx.operator.CustomOpProp):
    """One input, one output of the same shape."""

    def create_operator(self, ctx, shapes, dtypes):
        return Square()


def main():
    """Three steps."""
    np.random.seed(2)
    data = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=3, name="fc1")
    net = mx.sym.MakeLoss(mx.sym.Custom(data, op_type="square_of_script", name="square"), name="loss")
    module = mx.mod.Module(net, label_names=None)
    module.bind([("data", (4, 5))])
    module.init_params(mx.init.Uniform(0.5))
    module.init_optimizer(optimizer_params={"learning_rate": 0.1})
    for _ in range(3):
        module.forward_backward(mx.io.DataBatch([mx.nd.array(np.random.randn(4, 5))]))
        module.update()


if __name__ == "__main__":
    main()
