"""Iterators, callbacks, kvstore, autograd, custom operators and cells, each as real MXNet 1.9.1 answered."""

from __future__ import annotations

import re
import time
from pathlib import Path

import numpy as np

import mxcompat as mx
from tests.semantics.shorthand import exc, listed, logged, mlp, near, printed

nd, V = mx.nd, mx.sym.Variable


def test_last_batch() -> None:
    """167. NDArrayIter last_batch_handle pad (default): the last batch is filled from the start, getpad tells how many;
    discard drops; roll_over keeps the remainder for the next epoch.
    """
    r = []
    for h in ("pad", "discard", "roll_over"):
        it = mx.io.NDArrayIter(np.arange(5), batch_size=2, last_batch_handle=h)
        e1 = [(b.data[0].asnumpy().tolist(), b.pad) for b in it]
        it.reset()
        r.append((h, e1, [(b.data[0].asnumpy().tolist(), b.pad) for b in it]))
    assert r == [
        (
            "pad",
            [([0.0, 1.0], 0), ([2.0, 3.0], 0), ([4.0, 0.0], 1)],
            [([0.0, 1.0], 0), ([2.0, 3.0], 0), ([4.0, 0.0], 1)],
        ),
        ("discard", [([0.0, 1.0], 0), ([2.0, 3.0], 0)], [([0.0, 1.0], 0), ([2.0, 3.0], 0)]),
        ("roll_over", [([0.0, 1.0], 0), ([2.0, 3.0], 0)], [([4.0, 0.0], 1), ([1.0, 2.0], 0), ([3.0, 4.0], 0)]),
    ]


def test_names_of_the_iterator() -> None:
    """168. NDArrayIter: names data and softmax_label, several arrays in a list are _0_data, _1_data; numpy float64 input
    becomes float32; provide_data holds DataDesc(name, shape, dtype, layout).
    """
    it = mx.io.NDArrayIter(np.zeros((4, 2)), np.zeros(4), batch_size=2)
    assert str(it.provide_data) == "[DataDesc[data,(2, 2),<class 'numpy.float32'>,NCHW]]"
    assert str(it.provide_label) == "[DataDesc[softmax_label,(2,),<class 'numpy.float32'>,NCHW]]"
    assert it.next().data[0].dtype is np.float32
    two = mx.io.NDArrayIter([np.zeros((4, 2)), np.zeros((4, 1))], batch_size=2)
    assert [x.name for x in two.provide_data] == ["_0_data", "_1_data"]


def test_shuffle_draws_from_numpy() -> None:
    """169. shuffle=True reshuffles at every reset (numpy global random state)."""
    np.random.seed(0)
    it = mx.io.NDArrayIter(np.arange(6), batch_size=6, shuffle=True)
    a = it.next().data[0].asnumpy().tolist()
    it.reset()
    b = it.next().data[0].asnumpy().tolist()
    assert a == [5.0, 2.0, 1.0, 3.0, 0.0, 4.0]
    assert b == [1.0, 3.0, 5.0, 4.0, 2.0, 0.0]


def test_batch_larger_than_the_data() -> None:
    """170. A batch size larger than the data is filled by wrapping around."""
    it = mx.io.NDArrayIter(np.arange(3), batch_size=5)
    assert it.next().data[0].asnumpy().tolist() == [0, 1, 2, 0, 1]


def test_wrapping_iterators() -> None:
    """171. ResizeIter(it, n) yields n batches, restarting the inner iterator; PrefetchingIter can rename; CSVIter,
    LibSVMIter, MNISTIter, ImageRecordIter are native.
    """
    assert len(list(mx.io.ResizeIter(mx.io.NDArrayIter(np.arange(4), batch_size=2), 5))) == 5
    inner = mx.io.NDArrayIter(np.arange(4), batch_size=2)
    names = [x.name for x in mx.io.PrefetchingIter(inner, rename_data=[{"data": "other"}]).provide_data]
    assert names == ["other"]


def test_batches_and_descriptions() -> None:
    """172. DataBatch(data, label=None, pad=None, index=None, bucket_key=None, provide_data=None, provide_label=None);
    DataDesc is a named tuple of (name, shape) with attributes dtype float32 and layout NCHW.
    """
    d = mx.io.DataDesc("x", (2, 3))
    assert tuple(d) == ("x", (2, 3))
    assert d.dtype.__name__ == "float32"
    assert d.layout == "NCHW"
    assert mx.io.DataDesc.get_batch_axis("NTC") == 0
    assert mx.io.DataDesc.get_batch_axis("TNC") == 1
    batch = mx.io.DataBatch([nd.ones((1,))])
    for name in ("label", "pad", "index", "bucket_key", "provide_data", "provide_label"):
        assert getattr(batch, name) is None


def test_speedometer_lines() -> None:
    """175. Speedometer(batch_size, frequent) line format; auto_reset resets the metric."""
    meter, metric = mx.callback.Speedometer(4, 1), mx.metric.Accuracy()
    metric.update([nd.array([0])], [nd.array([[0.9, 0.1]])])

    def three_batches() -> None:
        for i in range(3):
            meter(mx.model.BatchEndParam(epoch=0, nbatch=i, eval_metric=metric, locals=None))
            time.sleep(0.01)

    assert re.sub(r"Speed: [\d.]+", "Speed: S", logged(three_batches)).splitlines() == [
        "INFO:Epoch[0] Batch [0-1]\tSpeed: S samples/sec\taccuracy=1.000000",
        "INFO:Epoch[0] Batch [1-2]\tSpeed: S samples/sec\taccuracy=nan",
    ]


def test_do_checkpoint(tmp_path: Path) -> None:
    """176. do_checkpoint(prefix, period) saves when (epoch+1) % period == 0 with number epoch+1; the log line is shown."""
    save = mx.callback.do_checkpoint(str(tmp_path / "k"), 2)
    assert logged(lambda: save(0, mlp(), {"fc1_weight": nd.ones((1,))}, {})) == ""
    path = str(tmp_path / "k-0002.params")
    assert logged(lambda: save(1, mlp(), {"fc1_weight": nd.ones((1,))}, {})) == f'INFO:Saved checkpoint to "{path}"\n'


def test_log_train_metric() -> None:
    """177. log_train_metric(period) line format."""
    metric = mx.metric.Accuracy()
    metric.update([nd.array([0])], [nd.array([[0.9, 0.1]])])
    after = mx.model.BatchEndParam(epoch=0, nbatch=0, eval_metric=metric, locals=None)
    assert logged(lambda: mx.callback.log_train_metric(1)(after)) == "INFO:Iter[0] Batch[0] Train-accuracy=1.000000\n"


def test_print_summary_table() -> None:
    """178. print_summary prints a table of 120 columns with column ends at .44 .64 .74 1."""
    lines = printed(lambda: mx.viz.print_summary(mlp(), shape={"data": (1, 3)})).splitlines()
    assert {len(x) for x in lines if not x.startswith("Total")} == {120}
    rows = [(x[:52].strip(), x[52:76].strip(), x[76:88].strip(), x[88:].strip()) for x in lines if x[0] not in "_="]
    assert rows == [
        ("Layer (type)", "Output Shape", "Param #", "Previous Layer"),
        ("data(null)", "3", "0", ""),
        ("fc1(FullyConnected)", "4", "16", "data"),
        ("relu1(Activation)", "4", "0", "fc1"),
        ("fc2(FullyConnected)", "3", "15", "relu1"),
        ("softmax(SoftmaxOutput)", "3", "0", "fc2"),
        ("Total params: 31", "", "", ""),
    ]


def test_monitor_rows() -> None:
    """179. Monitor: stat_helper collects (step, name, value) with the pattern; default stat is mean absolute value
    (norm/sqrt(size)).
    """
    m = mx.mon.Monitor(1, pattern="fc1.*")
    md = mx.mod.Module(mlp())
    md.bind([("data", (2, 3))], [("softmax_label", (2,))])
    md.init_params(mx.init.One())
    md.install_monitor(m)
    m.tic()
    md.forward(mx.io.DataBatch([nd.ones((2, 3))], [nd.ones((2,))]), is_train=False)
    assert [(a, b, c.strip()) for a, b, c in m.toc()] == [
        (1, "fc1_output", "3.0"),
        (1, "fc1_weight", "1.0"),
        (1, "fc1_bias", "0.0"),
    ]
    assert near(listed(mx.mon.Monitor(1).stat_func(nd.array([3.0, -4.0]))), [3.53553])


def test_kvstore_sums() -> None:
    """225. kvstore local: push sums the list of values and, without an updater, replaces the stored value; pull copies."""
    k = mx.kv.create("local")
    k.init("a", nd.ones((1,)))
    k.push("a", [nd.ones((1,)), nd.ones((1,)) * 3])
    o = nd.zeros((1,))
    k.pull("a", out=o)
    assert o.asnumpy().tolist() == [4.0]
    assert k.type == "local"
    assert k.rank == 0
    assert k.num_workers == 1


def test_kvstore_with_an_updater() -> None:
    """226. kvstore with an updater applies it to (key, merged, stored); set_optimizer does the same with an optimizer."""
    k = mx.kv.create()
    k._set_updater(lambda i, g, w: w.__iadd__(g * 2))
    k.init(3, nd.ones((1,)))
    k.push(3, nd.ones((1,)))
    o = nd.zeros((1,))
    k.pull(3, out=o)
    assert o.asnumpy().tolist() == [3.0]
    k = mx.kv.create()
    k.set_optimizer(mx.optimizer.SGD(learning_rate=1.0))
    k.init(3, nd.ones((1,)))
    k.push(3, nd.ones((1,)) * 0.25)
    k.pull(3, out=o)
    assert o.asnumpy().tolist() == [0.75]


def test_autograd_modes() -> None:
    """227. autograd: record() sets training mode too; pause, train_mode, predict_mode; backward on a recorded head;
    grad_req add accumulates; second backward without retain_graph raises.
    """
    x = nd.array([2.0])
    x.attach_grad()
    with mx.autograd.record():
        y = x * x
        t = mx.autograd.is_training()
    y.backward()
    assert t
    assert x.grad.asnumpy().tolist() == [4.0]
    assert exc(lambda: y.backward()) == "MXNetError"
    x.attach_grad(grad_req="add")
    for _ in range(2):
        with mx.autograd.record():
            y = x * x
            with mx.autograd.pause():
                paused = mx.autograd.is_recording(), mx.autograd.is_training()
            with mx.autograd.predict_mode():
                predicting = mx.autograd.is_recording(), mx.autograd.is_training()
        y.backward()
    with mx.autograd.train_mode():
        training = mx.autograd.is_recording(), mx.autograd.is_training()
    assert x.grad.asnumpy().tolist() == [8.0]
    assert (paused, predicting, training) == ((False, False), (True, False), (False, True))


def test_custom_parameters_are_text() -> None:
    """228. A Custom operator keyword parameter always arrives as text; list_arguments defaults to [data], list_outputs to
    [output]. CustomOp.forward and backward are called with keyword arguments (is_train, req, in_data, out_data, aux /
    req, out_grad, in_data, out_data, in_grad, aux).
    """
    seen = []

    class AddOne(mx.operator.CustomOp):
        def forward(self, is_train, req, in_data, out_data, aux):
            self.assign(out_data[0], req[0], in_data[0] + 1)

    class AddOneProp(mx.operator.CustomOpProp):
        def __init__(self, k="0"):
            super().__init__()
            seen.append(k)

        def create_operator(self, ctx, in_shapes, in_dtypes):
            return AddOne()

    mx.operator.register("semantics_add_one")(AddOneProp)
    assert nd.Custom(nd.ones((1,)), k=5, op_type="semantics_add_one").asnumpy().tolist() == [2.0]
    assert seen[0] == "5"
    assert (AddOneProp().list_arguments(), AddOneProp().list_outputs()) == (["data"], ["output"])


def test_record_headers() -> None:
    """229. RecordIO pack: IRHeader(flag, label, id, id2); a number label sets flag 0, an array sets flag = its size."""
    header, content = mx.recordio.unpack(mx.recordio.pack(mx.recordio.IRHeader(0, [1.0, 2.0], 7, 0), b"x"))
    assert (header.flag, header.label.tolist(), header.id, header.id2, content) == (2, [1.0, 2.0], 7, 0, b"x")
    assert mx.recordio.unpack(mx.recordio.pack(mx.recordio.IRHeader(5, 3.0, 7, 0), b"x")) == ((0, 3.0, 7, 0), b"x")


def test_names_of_cells() -> None:
    """230. mx.rnn cells: default prefixes lstm_, gru_, rnn_; parameters prefix+i2h_weight, i2h_bias, h2h_weight, h2h_bias;
    LSTM gate order i, f, c, o; begin_state symbols are named prefix+begin_state_N.
    """
    c = mx.rnn.LSTMCell(2)
    o, s = c.unroll(2, inputs=V("d"), merge_outputs=True)
    assert o.list_arguments() == ["d", "lstm_i2h_weight", "lstm_i2h_bias", "lstm_h2h_weight", "lstm_h2h_bias"]
    assert c._gate_names == ["_i", "_f", "_c", "_o"]
    assert c.state_info == [{"shape": (0, 2), "__layout__": "NC"}, {"shape": (0, 2), "__layout__": "NC"}]
    assert [x.name for x in mx.rnn.LSTMCell(2).begin_state()] == ["lstm_begin_state_0", "lstm_begin_state_1"]
    for cell, prefix in ((mx.rnn.GRUCell(2), "gru_"), (mx.rnn.RNNCell(2), "rnn_")):
        names = cell.unroll(1, inputs=V("d"), merge_outputs=True)[0].list_arguments()
        assert names == ["d"] + [prefix + x for x in ("i2h_weight", "i2h_bias", "h2h_weight", "h2h_bias")]


def test_test_utils_defaults() -> None:
    """231. test_utils: default tolerances and helpers."""
    assert mx.test_utils.default_dtype().__name__ == "float32"
    assert str(mx.test_utils.default_context()) == "cpu(0)"


def test_unfuse_and_pack() -> None:
    """244. RNN cell parameters by unrolling and the fused cell: unpack_weights / pack_weights are inverse;
    FusedRNNCell.unfuse gives a SequentialRNNCell.
    """
    c = mx.rnn.FusedRNNCell(2, num_layers=2, mode="gru", prefix="g_")
    u = c.unfuse()
    assert type(u).__name__ == "SequentialRNNCell"
    assert [type(x).__name__ for x in u._cells] == ["GRUCell", "GRUCell"]
    assert sorted(u.params._params)[:3] == ["g_l0_h2h_bias", "g_l0_h2h_weight", "g_l0_i2h_bias"]
    packed = {"g_parameters": nd.arange(78)}
    assert c.pack_weights(c.unpack_weights(packed))["g_parameters"].asnumpy().tolist() == list(range(78))


def test_bucketed_sentences() -> None:
    """245. BucketSentenceIter puts the sentences in the smallest fitting bucket and pads with invalid_label (-1); labels
    are the data shifted by one.
    """
    sentences = [[1, 2], [3, 4, 5], [1, 2], [3, 4, 5]]
    it = mx.rnn.BucketSentenceIter(sentences, batch_size=2, buckets=[2, 3])
    rows = sorted((b.bucket_key, b.data[0].asnumpy().tolist()[0], b.label[0].asnumpy().tolist()[0]) for b in it)
    assert rows == [(2, [1.0, 2.0], [2.0, -1.0]), (3, [3.0, 4.0, 5.0], [4.0, 5.0, -1.0])]
