"""What the oracle cannot show: texts of errors, shared storages, copies, iterators and subclasses of all ages."""

from __future__ import annotations

import threading
import warnings
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mxcompat as mx
from mxcompat.base import MXNetError
from mxcompat.io import DataBatch, DataDesc
from mxcompat.module import executor_group
from mxcompat.ndarray.ndarray import is_shared
from tests.module.looking import batch_of, bound, iterator, mlp
from tests.module.loop_cases import bucket_batch, bucketing


def storage(array: Any) -> int:
    return array._data.untyped_storage().data_ptr()


# -- texts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "label", "text"),
    [
        ((4, 3), (3,), r"softmax_label has shape \(3,\), expected 4 along axis 0"),
        ((4, 3), (4, 1), r"softmax_label has shape \(4, 1\), expected \(4,\)"),
        ((4, 5), (4,), "fc1_weight"),
    ],
)
def test_wrong_shape_names_the_argument(data: tuple, label: tuple, text: str) -> None:
    module = bound(mx)
    with pytest.raises(MXNetError, match=text):
        module.forward(DataBatch([mx.nd.ones(data)], [mx.nd.ones(label)]))
    module.forward(batch_of(mx))  # the module is as it was
    assert module.get_outputs()[0].shape == (4, 3)


def test_wrong_part_names_the_argument() -> None:
    module = bound(mx, 4, context=[mx.cpu(0), mx.cpu(1)])
    with pytest.raises(MXNetError, match=r"softmax_label has shape \(3,\), expected 4 along axis 0"):
        module.forward(DataBatch([mx.nd.ones((4, 3))], [mx.nd.ones((3,))]))


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda m: m.forward(None), "forward: the module is not bound, call bind first"),
        (lambda m: m.update(), "update: the module is not bound, call bind first"),
        (lambda m: m.get_params(), "get_params: no parameters yet, call init_params first"),
        (lambda m: m.save_optimizer_states("x"), "save_optimizer_states: no optimizer yet, call init_optimizer first"),
    ],
)
def test_missing_step_is_named(call: Any, text: str) -> None:
    with pytest.raises(AssertionError, match=text):
        call(mx.mod.Module(mlp(mx)))


def test_parameter_of_another_shape_is_named() -> None:
    module = bound(mx)
    with pytest.raises(MXNetError, match=r"fc1_bias has shape \(3,\), expected \(4,\)"):
        module.set_params({"fc1_bias": mx.nd.ones((3,))}, {}, allow_missing=True)
    with pytest.raises(MXNetError, match=r"fc1_bias has shape \(3,\), expected \(4,\)"):
        module.init_params(arg_params={"fc1_bias": mx.nd.ones((3,))}, allow_missing=True, force_init=True)
    with pytest.raises(RuntimeError, match="fc1_bias is not presented"):
        module.set_params({}, {})


def test_unknown_label_is_named() -> None:
    module = mx.mod.Module(mlp(mx))
    with warnings.catch_warnings(), pytest.raises(KeyError, match="'y': bind gives a shape for it, but"):
        warnings.simplefilter("ignore")
        module.bind([("data", (4, 3))], [("y", (4,))])


# -- memory -----------------------------------------------------------------------------------------------------


def test_buckets_share_storages() -> None:
    module = bucketing(mx)
    module.init_optimizer()
    for length in (3, 5, 2):
        module.forward_backward(bucket_batch(mx, length, 0))
        module.update()
    first, *others = (m._exec_group.execs[0] for m in module._buckets.values())
    for other in others:
        for name in ("embed_weight", "fc_weight", "fc_bias"):
            assert storage(other.arg_dict[name]) == storage(first.arg_dict[name])
            assert storage(other.grad_dict[name]) == storage(first.grad_dict[name])
        assert storage(other.arg_dict["data"]) == storage(first.arg_dict["data"])
        assert not is_shared(other.grad_dict["fc_weight"]._data)  # gradients are still rebound, not copied
    assert len({id(m._updater) for m in module._buckets.values()}) == 1
    assert len({id(m._arg_params) for m in module._buckets.values()}) == 1


def test_reshape_shares_storages_and_keeps_executors() -> None:
    module = bound(mx)
    first = module._exec_group.execs[0]
    module.forward_backward(batch_of(mx, 2))
    other = module._exec_group.execs[0]
    assert other is not first
    for name in ("fc1_weight", "fc2_bias"):
        assert storage(other.arg_dict[name]) == storage(first.arg_dict[name])
        assert storage(other.grad_dict[name]) == storage(first.grad_dict[name])
    assert storage(other.arg_dict["data"]) == storage(first.arg_dict["data"])
    assert not is_shared(first.grad_dict["fc1_weight"]._data)  # gradients are still rebound, not copied
    module.forward_backward(batch_of(mx, 4))
    assert module._exec_group.execs[0] is first  # what was compiled for it is not lost
    module.forward_backward(batch_of(mx, 2))
    assert module._exec_group.execs[0] is other


def test_only_the_executor_in_use_keeps_activations() -> None:
    module = bound(mx)
    for rows in (4, 2, 4):
        module.forward_backward(batch_of(mx, rows))
    kept = [execs[0]._call is not None for execs in module._exec_group._reshaped.values()]
    assert sorted(kept) == [False, True]
    buckets = bucketing(mx)
    for length in (5, 3, 2):
        buckets.forward_backward(bucket_batch(mx, length, 0))
    found = {key: m._exec_group.execs[0]._call is not None for key, m in buckets._buckets.items()}
    assert found == {5: False, 3: False, 2: True}


def test_size_is_the_third_line_from_the_end() -> None:
    text = bound(mx)._exec_group.execs[0].debug_str()
    assert int(text.split("\n")[-3].split()[1]) == 0  # as copies of the original's executor group read it


def test_executors_for_other_shapes_are_not_kept_for_ever() -> None:
    module = bound(mx)
    for rows in range(5, 5 + 3 * executor_group.KEPT_SHAPES):
        module.forward(batch_of(mx, rows), is_train=False)
    assert len(module._exec_group._reshaped) == executor_group.KEPT_SHAPES


def test_a_failed_reshape_changes_nothing() -> None:
    module = bound(mx)
    with pytest.raises(MXNetError):
        module.reshape([("data", (4, 9))], [("softmax_label", (4,))])
    assert module.data_shapes[0].shape == (4, 3)
    assert module._exec_group.batch_size == 4
    with pytest.raises(AssertionError, match="same batch size"):
        module.reshape([("data", (5, 3))], [("softmax_label", (4,))])
    assert module._exec_group.slices == [slice(0, 4)]


def test_one_device_copies_a_batch_once(monkeypatch: pytest.MonkeyPatch) -> None:
    module, batch = bound(mx), batch_of(mx)
    for name in ("slice_axis", "concat"):
        monkeypatch.delattr(mx.nd, name)
    monkeypatch.setattr(mx.nd.NDArray, "__getitem__", None)
    monkeypatch.setattr(mx.nd.NDArray, "copyto", None)
    metric = mx.metric.Loss()
    module.forward_backward(batch)
    module.update_metric(metric, batch.label)
    assert module.get_outputs()[0] is module._exec_group.execs[0].outputs[0]


def test_input_gradients_are_those_of_the_reshaped_executor() -> None:
    module = bound(mx, bind={"inputs_need_grad": True})
    module.forward_backward(batch_of(mx, 2))
    small = module.get_input_grads()[0]
    assert small.shape == (2, 3)
    assert abs(small.asnumpy()).sum() > 0


# -- updating ---------------------------------------------------------------------------------------------------


def test_update_calls_the_updater_once() -> None:
    module = bound(mx)
    module.init_optimizer()
    calls: list = []

    class Counting(mx.optimizer.Updater):
        def __call__(self, index: Any, grad: Any, weight: Any) -> None:
            calls.append((list(index), [g.shape for g in grad], [w.shape for w in weight]))

    module._updater = Counting(module._optimizer)
    module.forward_backward(batch_of(mx))
    module.update()
    shapes = [(4, 3), (4,), (3, 4), (3,)]
    assert calls == [([0, 1, 2, 3], shapes, shapes)]


def test_another_updater_gets_arrays_one_by_one() -> None:
    module = bound(mx)
    module.init_optimizer()
    calls: list = []
    module._updater = lambda index, grad, weight: calls.append((index, grad.shape, weight.shape))
    module.forward_backward(batch_of(mx))
    module.update()
    assert calls == [(0, (4, 3), (4, 3)), (1, (4,), (4,)), (2, (3, 4), (3, 4)), (3, (3,), (3,))]


def test_rebinding_keeps_parameters_and_optimizer() -> None:
    module = bound(mx)
    module.init_optimizer(optimizer_params={"learning_rate": 0.5, "momentum": 0.9})
    module.forward_backward(batch_of(mx))
    module.update()
    before = {name: x.asnumpy() for name, x in module.get_params()[0].items()}
    module.bind([("data", (2, 3))], [("softmax_label", (2,))], force_rebind=True)
    for name, array in module._exec_group.execs[0].arg_dict.items():
        if name in before:
            assert (array.asnumpy() == before[name]).all()
    module.forward_backward(batch_of(mx, 2))
    module.update()


def test_rebinding_buckets_keeps_the_optimizer() -> None:
    module = bucketing(mx)
    module.init_optimizer()
    module.forward_backward(bucket_batch(mx, 3, 0))
    module.update()
    module.bind([("data", (2, 5))], [("softmax_label", (2,))], force_rebind=True)
    module.forward_backward(bucket_batch(mx, 5, 0, 2))
    module.update()


# -- iterators, batches and subclasses of all ages --------------------------------------------------------------


class OldIterator:
    """Knows provide_data, reset and next only."""

    batch_size = 4
    provide_data = [("data", (4, 3))]
    provide_label = [("softmax_label", (4,))]

    def __init__(self) -> None:
        self.left = 3

    def reset(self) -> None:
        self.left = 3

    def next(self) -> Any:
        if not self.left:
            raise StopIteration
        self.left -= 1
        return DataBatch([mx.nd.ones((4, 3))], [mx.nd.zeros((4,))], pad=None)


class OldSelfIterator(OldIterator):
    """Returns itself from __iter__ without __next__, as in Python 2."""

    def __iter__(self) -> OldSelfIterator:
        return self


class SequenceOfBatches:
    """A list of batches with the properties of an iterator."""

    provide_data = OldIterator.provide_data
    provide_label = OldIterator.provide_label

    def __iter__(self) -> Any:
        return iter([batch_of(mx, 4, seed) for seed in range(3)])

    def reset(self) -> None:
        pass


@pytest.mark.parametrize("kind", [OldIterator, OldSelfIterator, SequenceOfBatches])
def test_any_iterator(kind: type) -> None:
    module = mx.mod.Module(mlp(mx))
    module.fit(kind(), eval_data=kind(), num_epoch=2)
    assert module.predict(kind()).shape == (12, 3)
    assert module.score(kind(), "acc")[0][0] == "accuracy"
    assert [i for _, i, _ in module.iter_predict(kind(), num_batch=2)] == [0, 1]


def test_batches_of_other_classes() -> None:
    module = bound(mx)
    module.forward(namedtuple("Batch", ["data"])([mx.nd.ones((4, 3))]), is_train=False)
    first = module.get_outputs()[0].asnumpy()
    module.forward(namedtuple("Batch", ["data"])([np.ones((4, 3), np.float32)]), is_train=False)
    assert (module.get_outputs()[0].asnumpy() == first).all()


def test_an_exhausted_iterator_stops_at_once() -> None:
    it = iterator(mx)
    list(it)
    with pytest.raises(StopIteration):
        mx.mod.Module(mlp(mx)).fit(it, num_epoch=1)


class OldModule(mx.mod.BaseModule):
    """A subclass with the signatures of MXNet 0.8, wrapping a module as detection scripts do."""

    def __init__(self, symbol: Any):
        super().__init__()
        self._symbol, self._curr_module = symbol, None

    data_names = property(lambda self: ["data"])
    output_names = property(lambda self: self._symbol.list_outputs())
    data_shapes = property(lambda self: self._curr_module.data_shapes)
    label_shapes = property(lambda self: self._curr_module.label_shapes)
    output_shapes = property(lambda self: self._curr_module.output_shapes)

    def get_params(self) -> Any:
        return self._curr_module.get_params()

    def init_params(
        self, initializer: Any = None, arg_params: Any = None, aux_params: Any = None, allow_missing: bool = False,
        force_init: bool = False,
    ) -> None:  # fmt: skip
        if not self.params_initialized or force_init:
            self._curr_module.init_params(initializer, arg_params, aux_params, allow_missing, force_init)
            self.params_initialized = True

    def bind(
        self, data_shapes: Any, label_shapes: Any = None, for_training: bool = True, inputs_need_grad: bool = False,
        force_rebind: bool = False, shared_module: Any = None,
    ) -> None:  # fmt: skip
        self.binded = self.for_training = True
        self._curr_module = mx.mod.Module(self._symbol)
        self._curr_module.bind(data_shapes, label_shapes, for_training)

    def init_optimizer(self, kvstore: Any = None, optimizer: Any = None, optimizer_params: Any = ()) -> None:
        self._curr_module.init_optimizer(kvstore, optimizer, optimizer_params)
        self.optimizer_initialized = True

    def prepare(self, data_batch: Any) -> None:
        pass

    def forward(self, data_batch: Any, is_train: bool | None = None) -> None:
        self._curr_module.forward(data_batch, is_train)

    def backward(self, out_grads: Any = None) -> None:
        self._curr_module.backward(out_grads)

    def update(self) -> None:
        self._curr_module.update()

    def get_outputs(self, merge_multi_context: bool = True) -> Any:
        return self._curr_module.get_outputs(merge_multi_context)

    def update_metric(self, eval_metric: Any, labels: Any) -> None:
        self._curr_module.update_metric(eval_metric, labels)


def test_old_subclass_trains() -> None:
    module = OldModule(mlp(mx))
    it = iterator(mx, 8)
    module.fit(it, eval_data=it, num_epoch=2, initializer=mx.init.One())
    assert module.predict(it).shape == (8, 3)


def test_base_module_says_what_is_missing() -> None:
    module = mx.mod.BaseModule()
    for name in ("data_names", "output_names", "data_shapes", "label_shapes", "output_shapes"):
        with pytest.raises(NotImplementedError, match=f"BaseModule does not implement {name}"):
            getattr(module, name)
    for call in (module.get_params, module.init_params, module.update, module.backward, module.get_outputs):
        with pytest.raises(NotImplementedError, match=call.__name__):
            call()


# -- the rest ---------------------------------------------------------------------------------------------------


def test_group2ctxs() -> None:
    with mx.AttrScope(ctx_group="first"):
        net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=4, name="fc1")
    with mx.AttrScope(ctx_group="second"):
        net = mx.sym.SoftmaxOutput(mx.sym.FullyConnected(net, num_hidden=3, name="fc2"), name="softmax")
    for groups in (
        {"first": mx.cpu(1), "second": [mx.cpu(2)]},
        [{"first": mx.cpu(1), "second": mx.cpu(2)}],
    ):
        module = mx.mod.Module(net, group2ctxs=groups)
        module.bind([("data", (4, 3))], [("softmax_label", (4,))])
        module.init_params()
        module.init_optimizer()
        module.forward_backward(batch_of(mx))
        module.update()
        contexts = {name: str(x.context) for name, x in module._exec_group.execs[0].arg_dict.items()}
        assert (contexts["fc1_weight"], contexts["fc2_weight"]) == ("cpu(1)", "cpu(2)")
    for wrong in ([{}, {}], {"first": [mx.cpu(1), mx.cpu(2)]}, 3):
        with pytest.raises(AssertionError, match="group2ctxs"):
            mx.mod.Module(net, group2ctxs=wrong).bind([("data", (4, 3))], [("softmax_label", (4,))])


def test_compression_needs_a_distributed_store() -> None:
    module = bound(mx, context=[mx.cpu(0), mx.cpu(1)], compression_params={"type": "2bit"})
    with pytest.raises(MXNetError):
        module.init_optimizer(kvstore="local")


def test_row_numbers_are_not_needed() -> None:
    module = bound(mx)
    module.init_optimizer()
    with pytest.warns(
        UserWarning, match="Parameters are not updated in the KVStore. No need to call sparse_row_id_fn."
    ):
        module.prepare(None, sparse_row_id_fn=lambda batch: {})
    module = bound(mx, context=[mx.cpu(0), mx.cpu(1)])
    module.init_optimizer()
    with pytest.warns(UserWarning, match="fc1_weight.stype is not 'row_sparse'. No need to perform row_sparse_pull."):
        module.prepare(None, sparse_row_id_fn=lambda batch: {"fc1_weight": mx.nd.ones((1,))})


def test_states_are_saved_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = bound(mx)
    module.init_optimizer(optimizer_params={"momentum": 0.9})
    module.forward_backward(batch_of(mx))
    module.update()
    path = tmp_path / "net.states"
    module.save_optimizer_states(str(path))
    before = path.read_bytes()
    monkeypatch.setattr("os.fsync", lambda descriptor: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        module.save_optimizer_states(str(path))
    assert path.read_bytes() == before


def test_learning_goes_through_a_checkpoint(tmp_path: Path) -> None:
    """The loss falls, and the loaded module predicts what the saved one did."""
    it = iterator(mx, 12, last_batch_handle="discard")
    module = mx.mod.Module(mlp(mx, 16))
    mx.random.seed(1)
    options = {"initializer": mx.init.Xavier(), "optimizer_params": {"learning_rate": 0.5, "momentum": 0.9}}
    module.fit(it, num_epoch=1, **options)
    before = dict(module.score(it, "ce"))["cross-entropy"]
    it.reset()
    with pytest.warns(UserWarning, match="init_params call ignored"):
        module.fit(it, num_epoch=30, **options)
    assert dict(module.score(it, "ce"))["cross-entropy"] < before / 2
    module.save_checkpoint(str(tmp_path / "net"), 1)
    loaded = mx.mod.Module.load(str(tmp_path / "net"), 1)
    loaded.bind(it.provide_data, it.provide_label, for_training=False)
    assert (loaded.predict(it).asnumpy() == module.predict(it).asnumpy()).all()


def test_threads_share_a_module_one_at_a_time() -> None:
    module = bound(mx, bind={"for_training": False})
    expected = {rows: _predicted(module, rows) for rows in (1, 2, 3, 4)}
    lock, wrong = threading.Lock(), []

    def work(rows: int) -> None:
        for _ in range(5):
            with lock:
                found = _predicted(module, rows)
            if not np.array_equal(found, expected[rows]):
                wrong.append(rows)

    threads = [threading.Thread(target=work, args=(rows,)) for rows in expected]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def _predicted(module: Any, rows: int) -> np.ndarray:
    module.forward(batch_of(mx, rows), is_train=False)
    return module.get_outputs()[0].asnumpy()


def test_descriptions_keep_type_and_layout() -> None:
    module = mx.mod.Module(mlp(mx))
    module.bind([DataDesc("data", (4, 3), "float64", "NC")], [DataDesc("softmax_label", (4,), "float64", "N")])
    module.init_params()
    module.forward(batch_of(mx, 2), is_train=False)
    assert (module.data_shapes[0].dtype, module.data_shapes[0].layout) == ("float64", "NC")
    assert module.get_outputs()[0].dtype is np.float64
