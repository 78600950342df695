"""Recorded calls: they give the numbers that autograd gives, and step aside where they must."""

import numpy as np
import pytest
import torch

import mxcompat as mx
from mxcompat import executor as executors
from mxcompat.graph import compile as policy


def net_with_everything():
    x = mx.sym.Convolution(mx.sym.Variable("data"), kernel=(3, 3), num_filter=4, name="conv")
    x = mx.sym.Activation(mx.sym.BatchNorm(x, name="bn", fix_gamma=False), act_type="relu")
    x = mx.sym.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type="max")
    x = mx.sym.Dropout(mx.sym.FullyConnected(x, num_hidden=8, name="fc1"), p=0.5)
    x = mx.sym.FullyConnected(mx.sym.tanh(x), num_hidden=5, name="fc2")
    return mx.sym.Group([mx.sym.SoftmaxOutput(x, name="softmax"), mx.sym.sum(x, name="total"), mx.sym.BlockGrad(x)])


def language_model():
    x = mx.sym.Embedding(mx.sym.Variable("data"), input_dim=11, output_dim=6, name="embed")
    cells = mx.rnn.SequentialRNNCell()
    cells.add(mx.rnn.FusedRNNCell(7, mode="lstm", prefix="f_", num_layers=2))
    cells.add(mx.rnn.GRUCell(6, prefix="g_"))
    outputs, _ = cells.unroll(4, inputs=mx.sym.swapaxes(x, dim1=0, dim2=1), merge_outputs=True, layout="TNC")
    outputs = mx.sym.swapaxes(outputs, dim1=0, dim2=1)
    x = mx.sym.FullyConnected(mx.sym.Reshape(outputs, shape=(-1, 6)), num_hidden=11, name="out")
    return mx.sym.SoftmaxOutput(x, mx.sym.Reshape(mx.sym.Variable("softmax_label"), shape=(-1,)), name="softmax")


NETS = {
    "everything": (net_with_everything, {"data": (3, 2, 8, 8)}, 3),
    "language model": (language_model, {"data": (3, 4), "softmax_label": (3, 4)}, 1),
}


def bound(name, grad_req="write"):
    make, shapes, _ = NETS[name]
    with policy.using("never"):
        net = make()
        requests = {key: "null" if key in shapes else grad_req for key in net.list_arguments()}
        ex = net.simple_bind(mx.cpu(), grad_req=requests, **shapes)
    rng = np.random.RandomState(1)
    for key, array in ex.arg_dict.items():
        array[:] = rng.randint(0, 5, array.shape) if key in ("softmax_label",) else rng.normal(0, 0.5, array.shape)
    if name == "language model":
        ex.arg_dict["data"][:] = rng.randint(0, 11, (3, 4))
    return ex


def steps(ex, name, count=6, backwards=1, own_head=None):
    """Outputs, gradients and states of some training steps, the weights moving on the way."""
    mx.random.seed(3)
    found = []
    for step in range(count):
        outputs = ex.forward(is_train=True)
        heads = [mx.nd.ones(o.shape) * (step + 1) for o in outputs] if own_head or NETS[name][2] > 1 else None
        for _ in range(backwards):
            ex.backward(heads)
        found.append([o.asnumpy() for o in outputs])
        found[-1] += [g.asnumpy() for g in ex.grad_arrays if g is not None] + [a.asnumpy() for a in ex.aux_arrays]
        for key, gradient in ex.grad_dict.items():
            if gradient is not None and "weight" in key:
                ex.arg_dict[key][:] = ex.arg_dict[key] - 0.1 * gradient
    return found


def is_recorded(ex):
    return ex._modes[True].joint is not None


@pytest.mark.parametrize("grad_req", ["write", "add"])
@pytest.mark.parametrize("backwards", [1, 2])
@pytest.mark.parametrize("name", NETS)
def test_the_numbers_are_those_of_autograd(name, backwards, grad_req, monkeypatch):
    ex = bound(name, grad_req)
    found = steps(ex, name, backwards=backwards)
    assert is_recorded(ex)
    monkeypatch.setattr(executors, "RECORDED_CALL", 100)
    plain = bound(name, grad_req)
    expected = steps(plain, name, backwards=backwards)
    assert not is_recorded(plain)
    for own, other in zip(found, expected):
        assert all(np.array_equal(a, b) for a, b in zip(own, other))


def test_weights_written_between_forward_and_backward_count_as_with_autograd(monkeypatch):
    def gradient():
        data, weight = mx.sym.Variable("data"), mx.sym.Variable("weight")
        ex = mx.sym.FullyConnected(data * 2, weight, no_bias=True, num_hidden=2).simple_bind(mx.cpu(), data=(3, 4))
        for _ in range(5):
            ex.forward(is_train=True, data=mx.nd.ones((3, 4)), weight=mx.nd.ones((2, 4)))
            ex.arg_dict["weight"][:] = 5
            ex.backward(mx.nd.ones((3, 2)))
        return ex, ex.grad_dict["data"].asnumpy()

    ex, found = gradient()
    assert is_recorded(ex)
    monkeypatch.setattr(executors, "RECORDED_CALL", 100)
    assert np.array_equal(found, gradient()[1])


def test_forwards_without_backward_are_not_what_is_recorded():
    ex = bound("everything")
    for _ in range(8):
        ex.forward(is_train=True)
    assert not is_recorded(ex)
    steps(ex, "everything")
    assert is_recorded(ex)


def test_backward_after_an_inference_forward():
    ex = bound("everything")
    steps(ex, "everything")
    outputs = ex.forward(is_train=False)
    before = [o.asnumpy() for o in outputs]
    ex.backward([mx.nd.ones(o.shape) for o in outputs])
    assert np.isfinite(ex.grad_dict["conv_weight"].asnumpy()).all()
    assert all(np.array_equal(a, o.asnumpy()) for a, o in zip(before, ex.outputs))


def test_a_monitor_sees_every_node_of_a_recorded_graph():
    ex = bound("language model")
    steps(ex, "language model")
    seen = []
    ex.set_monitor_callback(lambda name, array: seen.append(name))
    ex.forward(is_train=True)
    assert "out_output" in seen or b"out_output" in seen


def test_values_read_by_python_leave_the_graph_to_autograd():
    class Halves(mx.operator.CustomOp):
        def forward(self, is_train, req, in_data, out_data, aux):
            self.assign(out_data[0], req[0], in_data[0] * 0.5)

        def backward(self, req, out_grad, in_data, out_data, in_grad, aux):
            self.assign(in_grad[0], req[0], out_grad[0] * 0.5)

    @mx.operator.register("joint_halves")
    class HalvesProp(mx.operator.CustomOpProp):
        def create_operator(self, ctx, in_shapes, in_dtypes):
            return Halves()

    ex = mx.sym.Custom(mx.sym.Variable("x"), op_type="joint_halves").simple_bind(mx.cpu(), x=(2,))
    for _ in range(5):
        ex.forward(is_train=True, x=mx.nd.array([2, 4]))
        ex.backward(mx.nd.array([1, 3]))
    assert not is_recorded(ex) and ex.grad_dict["x"].asnumpy().tolist() == [0.5, 1.5]


def test_inputs_that_lie_differently_in_memory_are_not_replayed():
    memory = mx.nd.array(np.arange(12, dtype="float32").reshape(3, 4))
    ex = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=2, name="fc").simple_bind(mx.cpu(), data=(3, 4))
    for _ in range(4):
        ex.forward(is_train=True, data=memory, fc_weight=mx.nd.ones((2, 4)))
        ex.backward(mx.nd.ones((3, 2)))
    joint = ex._modes[True].joint
    inputs = ex._values()
    assert joint is not None and joint.fits(inputs)
    inputs[0] = inputs[0].t().contiguous().t()
    assert not joint.fits(inputs)


def test_recording_holds_no_tensor():
    from mxcompat.graph.joint import Recorder

    x = torch.ones(4)
    recorder = Recorder([x])
    with recorder:
        y = x * 2
        kept = y + 1
    assert recorder.node_of(kept) is not None and recorder._known[id(y)][0]() is y
    reference = recorder._known[id(y)][0]
    del y
    assert reference() is None and not recorder.refused


def test_what_cannot_be_recorded_says_why():
    from mxcompat.graph.joint import Recorder

    x = torch.ones(4)
    recorder = Recorder([x])
    with recorder:
        (x * 2).sum().item()
    assert "depends on values" in recorder.refused
    recorder = Recorder([x])
    with recorder:
        x.add_(1)
    assert "did not make" in recorder.refused
    elsewhere, recorder = torch.ones(4), Recorder([x])
    with recorder:
        x + elsewhere
    assert "elsewhere" in recorder.refused


def test_errors_of_a_recorded_call_name_the_graph(monkeypatch):
    ex = bound("language model")
    steps(ex, "language model")
    joint = ex._modes[True].joint

    def fails(inputs):
        raise RuntimeError("no memory")

    monkeypatch.setattr(joint, "forward", fails)
    with pytest.raises(mx.MXNetError, match="forward of softmax: no memory"):
        ex.forward(is_train=True)
