"""Modules and fit, each as real MXNet 1.9.1 answered."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np

import mxcompat as mx
from tests.semantics.shorthand import exc, initialised, listed, logged, mlp, near

nd, sym, V = mx.nd, mx.sym, mx.sym.Variable


def test_optimizer_and_initializer_defaults() -> None:
    """156. init_params default initializer is Uniform(0.01); init_optimizer default sgd with learning_rate 0.01, and
    rescale_grad is 1/batch_size.
    """
    m, it = initialised()
    m.init_optimizer()
    o = m._optimizer
    assert type(o).__name__ == "SGD"
    assert near(o.lr, 0.01)
    assert near(o.rescale_grad, 0.25)
    assert o.momentum == 0.0
    assert o.wd == 0.0
    m.init_params(force_init=True)
    assert 0 < abs(m.get_params()[0]["fc1_weight"].asnumpy()).max() <= 0.01


def test_rescale_grad_of_the_user() -> None:
    """157. A rescale_grad in optimizer_params replaces the 1/batch_size default silently; an Optimizer instance whose
    rescale_grad differs only triggers a warning.
    """
    m, it = initialised()
    m.init_optimizer(optimizer_params={"rescale_grad": 1.0})
    a = m._optimizer.rescale_grad
    with warnings.catch_warnings(record=True) as w:
        warnings.simplefilter("always")
        m.init_optimizer(optimizer=mx.optimizer.SGD(), force_init=True)
    assert a == 1.0
    assert m._optimizer.rescale_grad == 1.0
    assert [str(x.message)[:48] for x in w] == ["Optimizer created manually outside Module but re"]


def test_no_decay_of_biases() -> None:
    """158. wd is not applied to names that do not end in _weight or _gamma: bias and beta get wd_mult 0 by default;
    lr_mult/wd_mult attributes are read from the symbol.
    """
    m, it = initialised()
    m.init_optimizer()
    assert m._optimizer.wd_mult == {"fc1_bias": 0.0, "fc2_bias": 0.0}
    assert m._optimizer.idx2name == {0: "fc1_weight", 1: "fc1_bias", 2: "fc2_weight", 3: "fc2_bias"}


def test_predict_drops_padding() -> None:
    """159. predict drops the padding of the last batch, so outputs have the number of samples; num_batch limits;
    merge_batches=False gives a list per batch.
    """
    m, it = initialised()
    assert m.predict(it).shape == (10, 3)
    assert m.predict(it, merge_batches=False)[0][0].shape == (4, 3)
    assert m.predict(it, num_batch=1).shape == (4, 3)


def test_score_counts_padding() -> None:
    """160. score returns a list of (name, value); padded samples of the last batch ARE counted in the metric (12 instances
    here for 10 samples).
    """
    m, it = initialised()
    e = mx.metric.Accuracy()
    m.score(it, e)
    assert e.num_inst == 12
    assert m.score(it, "acc")[0][0] == "accuracy"


def test_forward_reshapes() -> None:
    """161. forward with another batch size rebinds (reshapes) automatically."""
    m, it = initialised()
    m.forward(mx.io.DataBatch([nd.ones((7, 3))], [nd.ones((7,))]), is_train=False)
    assert m.get_outputs()[0].shape == (7, 3)


def test_input_gradients_are_asked_for() -> None:
    """162. get_input_grads needs inputs_need_grad=True at bind."""
    m, _ = initialised()
    assert exc(m.get_input_grads) == "AssertionError"


def test_missing_and_extra_parameters() -> None:
    """163. set_params raises RuntimeError for a missing name when allow_missing is False; extra names pass silently in
    Module whatever allow_extra says.
    """
    m, it = initialised()
    assert exc(lambda: m.set_params({"fc1_weight": nd.ones((4, 3))}, {})) == "RuntimeError"
    assert exc(lambda: m.set_params(dict(m.get_params()[0], zz=nd.ones((1,))), {}, allow_extra=False)) == "nothing"
    assert exc(lambda: m.set_params(dict(m.get_params()[0], zz=nd.ones((1,))), {}, allow_extra=True)) == "nothing"


def test_fixed_parameters() -> None:
    """164. fixed_param_names get grad_req null and are not updated."""
    m = mx.mod.Module(mlp(), fixed_param_names=["fc1_weight"])
    m.bind([("data", (2, 3))], [("softmax_label", (2,))])
    m.init_params(mx.init.One())
    m.init_optimizer(optimizer_params={"learning_rate": 1.0})
    m.forward_backward(mx.io.DataBatch([nd.ones((2, 3))], [nd.array([0, 1])]))
    m.update()
    p = m.get_params()[0]
    assert bool((p["fc1_weight"].asnumpy() == 1).all())
    assert not bool((p["fc2_bias"].asnumpy() == 1).all())


def test_checkpoint_files(tmp_path: Path) -> None:
    """165. save_checkpoint writes prefix-symbol.json, prefix-%04d.params with arg: and aux: keys, and .states on demand."""
    m, _ = initialised()
    m.init_optimizer()
    m.save_checkpoint(str(tmp_path / "c"), 3, save_optimizer_states=True)
    assert sorted(x.name for x in tmp_path.iterdir()) == ["c-0003.params", "c-0003.states", "c-symbol.json"]
    names = sorted(nd.load(str(tmp_path / "c-0003.params")))
    assert names == ["arg:fc1_bias", "arg:fc1_weight", "arg:fc2_bias", "arg:fc2_weight"]


def test_two_contexts_split_the_batch() -> None:
    """166. With two contexts the batch is split along axis 0 (decide_slices), outputs are concatenated back, gradients
    summed over devices.
    """
    m = mx.mod.Module(mlp(), context=[mx.cpu(0), mx.cpu(1)])
    m.bind([("data", (5, 3))], [("softmax_label", (5,))])
    m.init_params()
    m.forward(mx.io.DataBatch([nd.ones((5, 3))], [nd.ones((5,))]))
    assert m.get_outputs()[0].shape == (5, 3)
    assert m._exec_group.slices == [slice(0, 2, None), slice(2, 5, None)]
    assert [o.shape for o in m.get_outputs(merge_multi_context=False)[0]] == [(2, 3), (3, 3)]
    sums = []
    for contexts in (mx.cpu(0), [mx.cpu(0), mx.cpu(1)]):
        m = mx.mod.Module(mlp(), context=contexts)
        m.bind([("data", (5, 3))], [("softmax_label", (5,))])
        m.init_params(mx.init.One())
        m.forward_backward(mx.io.DataBatch([nd.ones((5, 3))], [nd.ones((5,))]))
        sums.append(sum(x.asnumpy() for x in m._exec_group.grad_arrays[3]))
    assert near(sums[0].tolist(), sums[1].tolist())


def test_buckets_share_parameters() -> None:
    """173. BucketingModule: sym_gen(key) returns (symbol, data_names, label_names); parameters are shared by name across
    buckets; the default bucket binds first.
    """

    def g(k):
        return (mlp(), ("data",), ("softmax_label",))

    m = mx.mod.BucketingModule(g, default_bucket_key=3)
    m.bind([("data", (2, 3))], [("softmax_label", (2,))])
    m.init_params(mx.init.One())
    assert sorted(m.get_params()[0]) == ["fc1_bias", "fc1_weight", "fc2_bias", "fc2_weight"]
    m.switch_bucket(5, [("data", (5, 3))], [("softmax_label", (5,))])
    assert (m._curr_module._exec_group.execs[0].arg_dict["fc1_weight"].asnumpy() == 1).all()


def test_fit_log() -> None:
    """174. fit logs, per epoch: Epoch[i] Train-name=value, Time cost, Validation-name; text and decimals as shown."""
    it = mx.io.NDArrayIter(np.arange(30, dtype="f").reshape(10, 3), np.arange(10) % 3, batch_size=4)
    m = mx.mod.Module(mlp())
    lines = logged(lambda: m.fit(it, eval_data=it, num_epoch=1, initializer=mx.init.One(), eval_metric=["acc", "ce"]))
    assert re.sub(r"cost=\d+\.\d+", "cost=T", lines).splitlines() == [
        "INFO:Epoch[0] Train-accuracy=0.333333",
        "INFO:Epoch[0] Train-cross-entropy=7.896685",
        "INFO:Epoch[0] Time cost=T",
        "INFO:Epoch[0] Validation-accuracy=0.250000",
        "INFO:Epoch[0] Validation-cross-entropy=15.845463",
    ]


def test_lr_mult_of_a_variable() -> None:
    """233. lr_mult given to a Variable reaches the optimizer through the symbol attributes: lr_mult 0 freezes a weight in
    a Module.
    """
    s = sym.SoftmaxOutput(sym.FullyConnected(V("data"), V("w", lr_mult=0), num_hidden=2, name="f"), name="softmax")
    m = mx.mod.Module(s)
    m.bind([("data", (2, 3))], [("softmax_label", (2,))])
    m.init_params(mx.init.Normal(0.0), arg_params={"w": nd.ones((2, 3)), "f_bias": nd.zeros((2,))})
    m.init_optimizer(optimizer_params={"learning_rate": 1.0})
    m.forward_backward(mx.io.DataBatch([nd.ones((2, 3))], [nd.array([0, 0])]))
    m.update()
    assert near(
        {k: listed(v) for k, v in m.get_params()[0].items()},
        {"w": [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]], "f_bias": [0.5, -0.5]},
    )
    assert m._optimizer.lr_mult == {"w": 0.0}


def test_get_params_copies() -> None:
    """234. get_params returns the module's CPU copies: changing them does not change what the executors use until
    set_params.
    """
    m, it = initialised()
    p, _ = m.get_params()
    p["fc1_weight"][:] = 9
    assert near(float(m._exec_group.execs[0].arg_dict["fc1_weight"].asnumpy()[0, 0]), 0.1)


def test_second_calls_are_ignored() -> None:
    """235. A second bind without force_rebind, a second init_params or init_optimizer without force_init are ignored with
    a log line or a warning.
    """
    m, it = initialised()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        log = logged(
            lambda: (
                m.bind(it.provide_data, it.provide_label),
                m.init_params(mx.init.One()),
                m.init_optimizer(),
                m.init_optimizer(),
            )
        )
    assert log.splitlines() == [
        "WARNING:Already bound, ignoring bind()",
        "WARNING:optimizer already initialized, ignoring...",
    ]
    assert [str(x.message)[:60] for x in caught] == ["Parameters already initialized and force_init=False. init_pa"]


def test_one_device_needs_no_kvstore() -> None:
    """236. With one device and kvstore local the module uses no kvstore at all (updates with a local updater); with two
    devices it makes one and updates on it.
    """
    m, it = initialised()
    m.init_optimizer()
    m2 = mx.mod.Module(mlp(), context=[mx.cpu(0), mx.cpu(1)])
    m2.bind([("data", (4, 3))], [("softmax_label", (4,))])
    m2.init_params()
    m2.init_optimizer()
    assert m._kvstore is None
    assert not m._update_on_kvstore
    assert m2._kvstore.type == "local"
    assert m2._update_on_kvstore


def test_gradients_are_sums() -> None:
    """237. Gradients of a module are sums over the batch (losses are not averaged); the 1/batch_size is in rescale_grad."""
    m = mx.mod.Module(mlp())
    m.bind([("data", (4, 3))], [("softmax_label", (4,))])
    m.init_params(mx.init.One())
    m.forward_backward(mx.io.DataBatch([nd.ones((4, 3))], [nd.zeros((4,))]))
    assert near(listed(m._exec_group.grad_arrays[3][0]), [-2.66667, 1.33333, 1.33333])


def test_outputs_and_names() -> None:
    """238. get_outputs(merge_multi_context) gives one array per output; update_metric pairs outputs with labels in order."""
    m, it = initialised()
    m.forward(it.next(), is_train=False)
    assert [o.shape for o in m.get_outputs()] == [(4, 3)]
    assert m.output_names == ["softmax_output"]
    assert m.output_shapes == [("softmax_output", (4, 3))]
    assert m.data_names == ["data"]
    assert m.label_names == ["softmax_label"]


def test_module_without_labels() -> None:
    """239. label_names not used by the symbol only warn; a Module without label is fine for inference (label_shapes None)."""
    m = mx.mod.Module(sym.FullyConnected(V("data"), num_hidden=2, name="f"), label_names=None)
    m.bind([("data", (2, 3))], for_training=False)
    m.init_params(mx.init.One())
    m.forward(mx.io.DataBatch([nd.ones((2, 3))]))
    assert listed(m.get_outputs()[0]) == [[3.0, 3.0], [3.0, 3.0]]


def test_sequential_module() -> None:
    """240. SequentialModule: add(module, take_labels=True, auto_wiring=True)."""
    a = mx.mod.Module(sym.FullyConnected(V("data"), num_hidden=4, name="f1"), label_names=[])
    b = mx.mod.Module(mlp())
    q = mx.mod.SequentialModule()
    q.add(a).add(b, take_labels=True, auto_wiring=True)
    q.bind([("data", (2, 3))], [("softmax_label", (2,))])
    q.init_params()
    q.forward(mx.io.DataBatch([nd.ones((2, 3))], [nd.zeros((2,))]))
    assert q.get_outputs()[0].shape == (2, 3)
    assert sorted(q.get_params()[0]) == ["f1_bias", "f1_weight", "fc1_bias", "fc1_weight", "fc2_bias", "fc2_weight"]


def test_python_loss_module() -> None:
    """241. PythonLossModule(name=pyloss): grad_func(scores, labels) supplies the gradient; forward passes the scores
    through.
    """
    p = mx.mod.PythonLossModule(grad_func=lambda s, labels: s - 1)
    p.bind([("data", (2, 3))], [("softmax_label", (2,))])
    p.forward(mx.io.DataBatch([nd.ones((2, 3)) * 3], [nd.zeros((2,))]), is_train=True)
    p.backward()
    assert listed(p.get_input_grads()[0])[0] == [2.0, 2.0, 2.0]
    assert p.output_names == ["pyloss_output"]
    assert p.output_shapes == [("pyloss_output", (2, 3))]


def test_callbacks_of_fit() -> None:
    """242. epoch_end_callback gets (epoch, symbol, arg_params, aux_params); batch_end_callback gets BatchEndParam(epoch,
    nbatch, eval_metric, locals).
    """
    r = []
    X = np.zeros((4, 3), "f")
    it = mx.io.NDArrayIter(X, np.zeros(4), batch_size=2)
    mx.mod.Module(mlp()).fit(
        it,
        num_epoch=1,
        epoch_end_callback=lambda *a: r.append((a[0], type(a[1]).__name__, sorted(a[2]), a[3])),
        batch_end_callback=lambda p: r.append((p.epoch, p.nbatch, type(p.locals).__name__)),
    )
    assert r == [
        (0, 0, "dict"),
        (0, 1, "dict"),
        (0, "Symbol", ["fc1_bias", "fc1_weight", "fc2_bias", "fc2_weight"], {}),
    ]


def test_begin_and_num_epoch() -> None:
    """243. fit: begin_epoch, num_epoch is the end (exclusive), so num_epoch=3 with begin_epoch=2 runs one epoch."""
    r = []
    it = mx.io.NDArrayIter(np.zeros((4, 3), "f"), np.zeros(4), batch_size=4)
    mx.mod.Module(mlp()).fit(it, begin_epoch=2, num_epoch=3, epoch_end_callback=lambda *a: r.append(a[0]))
    assert r == [2]
