"""Key-value stores: sums, updaters, optimizers, errors (runs on real MXNet, too)."""

from __future__ import annotations

import os
import tempfile

from tests.training.observing import attempt, plain


def _pull(mx, store, key, shape=(2,)):
    out = mx.nd.zeros(shape)
    store.pull(key, out=out)
    return plain(out)


def _sums(mx):
    nd, found = mx.nd, []
    for kind in ("local", "device", "local_allreduce_cpu", "LOCAL", "local_update_cpu", "local_allreduce_device"):
        store = mx.kv.create(kind)
        store.init("a", nd.ones((2,)))
        found.append([_pull(mx, store, "a"), store.type, store.rank, store.num_workers, store.is_capable("optimizer")])
        store.push("a", [nd.ones((2,)), nd.ones((2,)) * 3])
        found.append(_pull(mx, store, "a"))
        store.push("a", nd.ones((2,)) * 7)
        found.append(_pull(mx, store, "a"))
    return found


def _lists(mx):
    nd, store = mx.nd, mx.kv.create()
    store.init([3, 5], [nd.ones((2,)), nd.zeros((2,))])
    store.push([3, 5], [[nd.ones((2,)), nd.ones((2,))], [nd.ones((2,))]])
    outs = [[nd.zeros((2,)), nd.zeros((2,))], [nd.zeros((2,))]]
    store.pull([3, 5], out=outs)
    found = [plain(outs)]
    store.push([3, 3, 5], [nd.ones((2,)), nd.ones((2,)) * 2, nd.ones((2,)) * 5])
    found += [_pull(mx, store, 3), _pull(mx, store, 5)]
    values = [nd.ones((2,)), nd.ones((2,)) * 4]
    store.pushpull(3, values)
    found.append(plain(values))
    store.pushpull([3, 5], values, out=outs)
    found.append(plain(outs))
    other = mx.kv.create("device")
    out = [nd.zeros((2,)), nd.zeros((2,))]
    other.broadcast("w", nd.ones((2,)) * 2, out)
    other.broadcast(["x", "y"], values, out)
    found += [plain(out), _pull(mx, other, "w")]
    other.push("w", nd.ones((2,)) * 9)
    half = nd.zeros((2,), dtype="float16")
    found.append(attempt(lambda: [other.pull("w", out=half), plain(half)][1]))
    return found


def _updaters(mx):
    nd, found, calls = mx.nd, [], []
    for keys in ((3, 4), ("a", "b"), ("7", "8")):
        store = mx.kv.create()
        store.init(list(keys), [nd.ones((2,)), nd.ones((2,)) * 2])

        def update(key, merged, stored):
            calls.append([repr(key), plain(merged), plain(stored)])
            stored += merged * 2

        store._set_updater(update)
        store.push(keys[0], [nd.ones((2,)), nd.ones((2,)) * 2])
        store.pushpull(keys[1], nd.ones((2,)), out=nd.zeros((2,)))
        found += [_pull(mx, store, key) for key in keys]
    return [found, calls]


def _optimizers(mx):
    nd, found = mx.nd, []
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "states")
        for keys in ((0, 1), ("fc_weight", "fc_bias"), ("0", "1")):
            stores = []
            for _ in range(2):
                store = mx.kv.create()
                store.init(list(keys), [nd.ones((2,)), nd.ones((2,)) * 2])
                optimizer = mx.optimizer.create("sgd", learning_rate=0.5, momentum=0.5, wd=0.1, rescale_grad=0.5)
                store.set_optimizer(optimizer)
                stores.append(store)
            stores[0].push(list(keys), [nd.ones((2,)), nd.ones((2,)) * 3])
            stores[0].push(keys[0], nd.ones((2,)))
            stores[0].save_optimizer_states(path)
            found.append([_pull(mx, stores[0], key) for key in keys])
            stores[1].load_optimizer_states(path)
            stores[1].push(list(keys), [nd.ones((2,)), nd.ones((2,)) * 3])
            found.append([_pull(mx, stores[1], key) for key in keys])
            found.append(sorted(str(key) for key in stores[1]._updater.states))
    return found


def _store_errors(mx):
    nd, store, text = mx.nd, mx.kv.create(), mx.kv.create()
    store.init(3, nd.ones((2,)))
    text.init("a", nd.ones((2,)))
    one = nd.ones((2,))
    calls = [
        lambda: store.init(3, one),
        lambda: store.push(5, one),
        lambda: store.pull(5, out=one),
        lambda: store.init("a", one),
        lambda: text.init(4, one),
        lambda: store.push("b", one),
        lambda: store.init([6, "c"], [one, one]),
        lambda: store.init([6, 7], [one]),
        lambda: store.init(8, 3),
        lambda: store.init(8, [3]),
        lambda: store.init(2.5, one),
        lambda: store.pull(3),
        lambda: mx.kv.create(3),
        lambda: store.is_capable("nonsense"),
        lambda: store.save_optimizer_states("nowhere"),
        lambda: store.load_optimizer_states("nowhere"),
        lambda: store.broadcast(3, one, out=one),
        lambda: store.row_sparse_pull(3),
    ]
    return [attempt(lambda call=call: plain(call())) for call in calls]


def _own_store(mx):
    base, found = mx.kv.KVStoreBase, []

    class OwnStore(base):
        pass

    base.register(OwnStore)
    store = mx.kv.create("ownstore")
    found.append([type(store).__name__, sorted(name for name in base.kv_registry)])
    for name, args in (
        ("pushpull", (1, 2)),
        ("broadcast", (1, 2, 3)),
        ("set_optimizer", (1,)),
        ("is_capable", ("optimizer",)),
    ):
        found.append(attempt(lambda name=name, args=args: getattr(store, name)(*args)))
    found += [attempt(lambda name=name: getattr(store, name)) for name in ("type", "rank", "num_workers")]
    found += [
        attempt(lambda name=name: getattr(store, name)("f"))
        for name in ("save_optimizer_states", "load_optimizer_states")
    ]
    del base.kv_registry["ownstore"]
    test, values = mx.kv.create("teststore"), [mx.nd.ones((2,)), mx.nd.ones((2,)) * 3]
    found += [
        test.type,
        test.rank,
        test.num_workers,
        test.is_capable("optimizer"),
        attempt(lambda: test.is_capable("x")),
    ]
    test.pushpull("a", values)
    out = mx.nd.zeros((2,))
    test.broadcast("a", values[0], out)
    found += [plain(values), plain(out), attempt(lambda: test.set_optimizer(None))]
    test.pushpull("a", values, out)
    found.append(plain(out))
    test.pushpull("a", out, values)
    return found + [plain(values)]


def _compressed(mx):
    nd, found = mx.nd, []
    for kind in ("device", "local_allreduce_device"):
        store = mx.kv.create(kind)
        store.set_gradient_compression({"type": "2bit", "threshold": 0.5})
        store.init(["a", "b"], [nd.zeros((4,)), nd.zeros((2,))])
        for _ in range(4):
            store.push("a", [nd.array([0.25, -0.25, 0.75, -1.25]), nd.array([0.5, 0.125, -0.5, -1.25])])
            found.append(_pull(mx, store, "a", (4,)))
        store.push("a", nd.array([0.25, -0.25, 0.75, -1.25]))
        store.push("b", nd.array([0.75, 0.25]))
        found += [_pull(mx, store, "a", (4,)), _pull(mx, store, "b")]
    store = mx.kv.create("device")
    store.set_gradient_compression({"type": "2bit"})
    store.init("a", nd.zeros((2,)))
    store._set_updater(lambda key, merged, stored: stored.__iadd__(merged))
    store.push("a", [nd.array([0.75, 0.25]), nd.array([0.75, -0.75])])
    found.append(_pull(mx, store, "a"))
    for params in ({"type": "1bit"}, {"threshold": 1}, {"type": "2bit", "threshold": -1}, {"type": "none"}, 3):
        found.append(attempt(lambda params=params: mx.kv.create("device").set_gradient_compression(params)))
    return found


def _kinds(mx):
    names = ["nonsense", "local_x", "my_device", "LOCAL"]
    return [attempt(lambda name=name: mx.kv.create(name).type) for name in names]


CASES = {
    "sums": _sums, "lists": _lists, "updaters": _updaters, "optimizers": _optimizers, "store errors": _store_errors,
    "own stores": _own_store, "compressed": _compressed, "kinds": _kinds,
}  # fmt: skip
