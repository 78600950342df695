"""The local key-value store (semantics.md, 225 and 226)."""

from __future__ import annotations

from typing import Any

import pytest

import mxcompat as mx
from mxcompat.base import MXNetError
from tests.training.kvstore_cases import CASES as RECORDED_CASES
from tests.training.observing import differences, recorded

nd = mx.nd


def pulled(store: Any, key: Any, shape: tuple = (1,)) -> list:
    out = nd.zeros(shape)
    store.pull(key, out=out)
    return out.asnumpy().tolist()


def test_push_sums_and_replaces() -> None:
    store = mx.kv.create("local")
    store.init("a", nd.ones((1,)))
    assert pulled(store, "a") == [1]
    store.push("a", [nd.ones((1,)), nd.ones((1,)) * 3])
    assert pulled(store, "a") == [4]
    assert (store.type, store.rank, store.num_workers) == ("local", 0, 1)


def test_a_pushed_array_stays_the_callers() -> None:
    store, value = mx.kv.create(), nd.ones((1,))
    store.init(0, nd.zeros((1,)))
    store.push(0, value)
    value[:] = 9
    assert pulled(store, 0) == [1]


def test_updaters() -> None:
    store = mx.kv.create()
    store._set_updater(lambda key, merged, stored: stored.__iadd__(merged * 2))
    store.init(3, nd.ones((1,)))
    store.push(3, nd.ones((1,)))
    assert pulled(store, 3) == [3]


def test_optimizers_and_their_states(tmp_path: Any) -> None:
    store = mx.kv.create()
    store.set_optimizer(mx.optimizer.SGD(learning_rate=0.5, momentum=0.5))
    store.init(0, nd.ones((1,)))
    store.push(0, nd.ones((1,)))
    path = str(tmp_path / "states")
    store.save_optimizer_states(path)
    store.push(0, nd.ones((1,)))
    after = pulled(store, 0)
    other = mx.kv.create()
    other.set_optimizer(mx.optimizer.SGD(learning_rate=0.5, momentum=0.5))
    other.init(0, nd.array([0.5]))
    other.load_optimizer_states(path)
    other.push(0, nd.ones((1,)))
    assert pulled(other, 0) == after


def test_one_process_serves_every_kind_but_the_distributed() -> None:
    for kind in ("nccl", "local_allreduce_cpu", "local_allreduce_device", "device"):
        store = mx.kv.create(kind)
        store.init("a", nd.zeros((1,)))
        store.pushpull("a", nd.ones((1,)), out=nd.zeros((1,)))
        assert (store.type, pulled(store, "a")) == (kind, [1])
    assert mx.kv.KVStoreServer(store).run() is None
    for kind in (
        "dist",
        "dist_sync",
        "dist_async",
        "dist_device_sync",
        "dist_sync_device",
        "dist_async_device",
        "byteps",
    ):
        with pytest.raises(MXNetError, match=f"{kind}.*'local' or 'device'"):
            mx.kv.create(kind)


def test_lists_of_keys() -> None:
    store = mx.kv.create("device")
    store.init(["a", "b"], [nd.ones((2,)), nd.zeros((2,))])
    store.push(["a", "b"], [[nd.ones((2,)), nd.ones((2,))], [nd.ones((2,))]])
    outs = [nd.zeros((2,)), nd.zeros((2,))]
    store.pull(["a", "b"], out=outs)
    assert [out.asnumpy().tolist() for out in outs] == [[2, 2], [1, 1]]
    store.pushpull("a", nd.ones((2,)), out=outs[1])
    assert outs[1].asnumpy().tolist() == [1, 1]


def test_errors() -> None:
    store = mx.kv.create()
    store.init(3, nd.ones((2,)))
    cases: list[tuple[type[Exception], str, Any]] = [
        (MXNetError, "key 3 has a value already", lambda: store.init(3, nd.ones((2,)))),
        (MXNetError, "key 5 is not in the store", lambda: store.push(5, nd.ones((2,)))),
        (MXNetError, "do not mix", lambda: store.init("a", nd.ones((2,)))),
        (MXNetError, r"shape \(2,\), found an array of \(3,\)", lambda: store.push(3, nd.ones((3,)))),
        (TypeError, "string", lambda: mx.kv.create(3)),
        (MXNetError, "dist_sync", lambda: mx.kv.create("dist_sync")),
        (MXNetError, "Horovod", lambda: mx.kv.create("Horovod")),
        (MXNetError, "only 'device' has", lambda: store.set_gradient_compression({"type": "2bit"})),
        (MXNetError, "row_sparse", lambda: store.row_sparse_pull(3, out=nd.ones((2,)), row_ids=nd.ones((1,)))),
        (TypeError, "NDArray", lambda: store.init(4, 3)),
        (AssertionError, "out", lambda: store.pull(3)),
    ]
    for error, text, call in cases:
        with pytest.raises(error, match=text):
            call()


RECORDED = recorded("kvstore")


@pytest.mark.parametrize("name", RECORDED_CASES)
def test_as_recorded(name: str) -> None:
    assert differences(RECORDED_CASES[name](mx), RECORDED[name]) == []
