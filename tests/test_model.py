"""Checkpoint files and the functions that Module and FeedForward share."""

from __future__ import annotations

import logging
import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mxcompat as mx
from mxcompat import executor_manager, model
from tests.module.looking import iterator, mlp
from tests.module.loop_cases import feed_forward

SAMPLES = Path(__file__).parent / "golden" / "samples"


def test_checkpoint_of_the_original_loads_and_comes_back_the_same(tmp_path: Path) -> None:
    symbol, arg_params, aux_params = model.load_checkpoint(str(SAMPLES / "convnet"), 3)
    assert set(arg_params) <= set(symbol.list_arguments())
    assert set(aux_params) == set(symbol.list_auxiliary_states())
    model.save_checkpoint(str(tmp_path / "net"), 7, symbol, arg_params, aux_params)
    again = model.load_checkpoint(str(tmp_path / "net"), 7)
    assert again[0].tojson() == symbol.tojson()
    for before, after in zip((arg_params, aux_params), again[1:]):
        assert {name: x.asnumpy().tolist() for name, x in before.items()} == {
            name: x.asnumpy().tolist() for name, x in after.items()
        }


def test_checkpoint_of_the_original_predicts(tmp_path: Path) -> None:
    data = np.load(SAMPLES / "convnet-input.npy")
    module = mx.mod.Module.load(str(SAMPLES / "convnet"), 3, label_names=None)
    module.bind([("data", data.shape)], for_training=False)
    first = module.predict(data).asnumpy()
    module.save_checkpoint(str(tmp_path / "net"), 1)
    again = mx.mod.Module.load(str(tmp_path / "net"), 1, label_names=None)
    again.bind([("data", data.shape)], for_training=False)
    assert np.array_equal(again.predict(data).asnumpy(), first)


def test_symbol_may_be_left_out(tmp_path: Path) -> None:
    model.save_checkpoint(str(tmp_path / "net"), 1, None, {"w": mx.nd.ones((2,))}, {"m": mx.nd.zeros((1,))})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net-0001.params"]
    arg_params, aux_params = model.load_params(str(tmp_path / "net"), 1)
    assert (sorted(arg_params), sorted(aux_params)) == (["w"], ["m"])


def test_numbers_have_four_digits_and_more(tmp_path: Path) -> None:
    for epoch, name in ((0, "0000"), (12, "0012"), (123456, "123456")):
        model.save_checkpoint(str(tmp_path / "net"), epoch, None, {"w": mx.nd.ones((2,))}, {})
        assert (tmp_path / f"net-{name}.params").exists()


def test_other_parameter_files(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = str(tmp_path / "net-0001.params")
    mx.nd.save(path, {"arg:w": mx.nd.ones((1,)), "other:x": mx.nd.ones((1,))})
    assert sorted(model.load_params(str(tmp_path / "net"), 1)[0]) == ["w"]
    mx.nd.save(path, {"w": mx.nd.ones((1,))})
    with pytest.raises(ValueError, match="array 'w', expected a name that starts with arg: or aux:"):
        model.load_params(str(tmp_path / "net"), 1)
    mx.nd.save(path, [mx.nd.ones((1,))])
    with pytest.raises(ValueError, match="its arrays have no names"):
        model.load_params(str(tmp_path / "net"), 1)
    mx.nd.save(path, [])
    with caplog.at_level(logging.WARNING):
        assert model.load_params(str(tmp_path / "net"), 1) == ({}, {})
    assert caplog.messages == [f"Params file '{path}' is empty"]


def test_create_kvstore(monkeypatch: pytest.MonkeyPatch) -> None:
    params = {"w": mx.nd.ones((2,))}
    assert model._create_kvstore("local", 1, params) == (None, False)
    assert model._create_kvstore(None, 2, params) == (None, False)
    store, on_store = model._create_kvstore("local", 2, params)
    assert (store.type, on_store) == ("local", True)
    assert model._create_kvstore(store, 1, params) == (store, True)
    monkeypatch.setattr(model, "_LARGE_PARAMETER", 1)
    assert model._create_kvstore("local", 2, params)[1] is False
    assert model._create_kvstore("device", 2, params)[1] is True
    monkeypatch.setenv("MXNET_UPDATE_ON_KVSTORE", "0")
    assert model._create_kvstore("device", 2, params)[1] is False
    with pytest.raises(TypeError, match="kvstore must be KVStore, str or None"):
        model._create_kvstore(3, 1, params)


def test_update_params_numbers_devices() -> None:
    weights = [[mx.nd.ones((2,)), mx.nd.ones((2,))], [mx.nd.ones((1,)), mx.nd.ones((1,))]]
    grads: list = [[mx.nd.ones((2,)), mx.nd.ones((2,)) * 2], [None, None]]
    calls: list = []
    model._update_params(weights, grads, lambda i, g, w: calls.append((i, g.asnumpy().tolist())), 2)
    assert calls == [(0, [1, 1]), (1, [2, 2])]


def test_argument_names_must_differ() -> None:
    same = mx.sym.Variable("a") + mx.sym.Variable("a")
    with pytest.raises(ValueError, match="'a' occurs 2 times"):
        executor_manager._check_arguments(same)


def test_buckets_of_the_executor_manager(caplog: pytest.LogCaptureFixture) -> None:
    def sym_gen(length: int) -> Any:
        net = mx.sym.mean(mx.sym.Variable("data"), axis=1, keepdims=True)
        return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(net, num_hidden=2, name="fc"), name="softmax")

    class Batches(mx.io.DataIter):
        default_bucket_key, lengths = 3, (3, 2, 5)
        provide_data = [mx.io.DataDesc("data", (4, 3))]
        provide_label = [mx.io.DataDesc("softmax_label", (4,))]

        def __init__(self) -> None:
            super().__init__(4)
            self.left = list(self.lengths)

        def reset(self) -> None:
            self.left = list(self.lengths)

        def next(self) -> Any:
            if not self.left:
                raise StopIteration
            length = self.left.pop(0)
            described = [mx.io.DataDesc("data", (4, length))], self.provide_label
            data, label = mx.nd.ones((4, length)), mx.nd.array([0, 1, 0, 1])
            return mx.io.DataBatch([data], [label], 0, None, length, *described)

    with pytest.warns(DeprecationWarning, match="FeedForward has been deprecated"):
        net = mx.model.FeedForward(sym_gen, num_epoch=2, learning_rate=0.1)
    with caplog.at_level(logging.INFO), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net.fit(Batches())
    larger = 'bucketing: data "data" has a shape (4, 5), which is larger than already allocated shape (4, 3).'
    assert [text for text in caplog.messages if text.startswith(larger)]
    assert sorted(net.arg_params) == ["fc_bias", "fc_weight"]


def test_estimators_are_pickled() -> None:
    net = feed_forward(mx)
    it = iterator(mx)
    expected = net.predict(it)
    loaded = pickle.loads(pickle.dumps(net))
    assert type(loaded) is mx.model.FeedForward
    assert np.array_equal(loaded.predict(it), expected)


def test_create_trains() -> None:
    with pytest.warns(DeprecationWarning, match="FeedForward has been deprecated"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*by a plain name.*")
        net = mx.model.FeedForward.create(
            mlp(mx), np.ones((6, 3), np.float32), np.zeros(6), num_epoch=1, learning_rate=0.1, numpy_batch_size=4
        )
    assert net.predict(np.ones((2, 3), np.float32)).shape == (2, 3)


def test_every_name_of_the_original_is_there() -> None:
    for name in ("Context", "DataDesc", "DataParallelExecutorManager", "FeedForward", "LogValidationMetricsCallback"):
        assert isinstance(getattr(mx.model, name), type)
    for name in ("Uniform", "get_updater", "io", "kvs", "metric", "nd", "opt", "sym", "_train_multi_device"):
        assert hasattr(mx.model, name)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        mx.model.nothing  # noqa: B018
