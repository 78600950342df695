"""A BucketingModule: recurrent cells unrolled to three lengths, on two devices."""

import mxnet as mx
import numpy as np

mx.random.seed(5)
np.random.seed(5)
lengths = [2, 3, 4]
cell = mx.rnn.LSTMCell(6, prefix="lstm_")


def network(length):
    """The network for sequences of one length."""
    data, label = mx.sym.Variable("data"), mx.sym.Variable("softmax_label")
    embedded = mx.sym.Embedding(data, input_dim=9, output_dim=5, name="embed")
    cell.reset()
    outputs, _ = cell.unroll(length, inputs=embedded, merge_outputs=True)
    flat = mx.sym.FullyConnected(mx.sym.Reshape(outputs, shape=(-1, 6)), num_hidden=9, name="pred")
    return mx.sym.SoftmaxOutput(flat, mx.sym.Reshape(label, shape=(-1,)), name="softmax"), ("data",), ("softmax_label",)


module = mx.mod.BucketingModule(network, default_bucket_key=4, context=[mx.cpu(0), mx.cpu(1)])
module.bind([("data", (4, 4))], [("softmax_label", (4, 4))])
module.init_params(mx.init.Uniform(0.3))
module.init_optimizer(kvstore="local", optimizer="adam", optimizer_params={"learning_rate": 0.02})
metric = mx.metric.Perplexity(0)
for step in range(8):
    length = lengths[step % 3]
    text = np.random.randint(0, 9, (4, length + 1)).astype("float32")
    shapes = [[("data", (4, length))], [("softmax_label", (4, length))]]
    batch = mx.io.DataBatch(
        [mx.nd.array(text[:, :-1])], [mx.nd.array(text[:, 1:])], bucket_key=length,
        provide_data=shapes[0], provide_label=shapes[1],
    )  # fmt: skip
    module.forward_backward(batch)
    module.update()
    module.update_metric(metric, batch.label)
print(metric.get())
