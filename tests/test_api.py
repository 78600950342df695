"""The public names and signatures of the training world are the original's, but for the excused ones."""

from __future__ import annotations

import pytest

import mxcompat as mx
from tests import api_walk

IMPORTED = "the original's module imports the name and does not offer it"
#: modules -> what they lack, with reasons
MODULES: dict[str, dict[str, str]] = {
    "mx.callback": {},
    "mx.executor_manager": {},
    "mx.initializer": {"mx.initializer.is_np_array": IMPORTED, "mx.initializer.ndarray": IMPORTED},
    "mx.io": {},
    "mx.io.io": {f"mx.io.io.{name}": IMPORTED for name in ("CSRNDArray", "NDArray", "array")},
    "mx.io.utils": {"mx.io.utils.array": IMPORTED, "mx.io.utils.sparse_array": IMPORTED},
    "mx.kvstore": {"mx.kvstore.KVStore.__del__": "there is no handle to free"},
    "mx.lr_scheduler": {},
    "mx.metric": {"mx.metric.ndarray": IMPORTED},
    "mx.misc": {},
    "mx.model": {},
    "mx.module": {},
    "mx.monitor": {"mx.monitor.ndarray": IMPORTED},
    "mx.operator": {"mx.operator.is_np_array": IMPORTED, "mx.operator.context": IMPORTED},
    "mx.optimizer": {},
    "mx.optimizer.contrib": {"mx.optimizer.contrib.contrib": IMPORTED},
    "mx.registry": {},
    "mx.rnn": {},
    "mx.rnn.io": {},
    "mx.rnn.rnn": {},
    "mx.rnn.rnn_cell": {},
}


@pytest.mark.parametrize("module", MODULES)
def test_names_and_signatures(module: str) -> None:
    api_walk.check([module], MODULES[module])


def test_optimizers_have_the_recorded_attributes() -> None:
    for name, attributes in api_walk.survey()["optimizer_default_instances"].items():
        optimizer = mx.optimizer.create(name)
        lacking = [key for key in attributes if not hasattr(optimizer, key)]
        assert not lacking, f"{name}: {lacking}"


def test_registered_names() -> None:
    """Initializers and metrics can be made by every name that the original knows."""
    registries = api_walk.survey()["registries"]
    for path, base in (("initializer.Initializer", mx.init.Initializer), ("metric.EvalMetric", mx.metric.EvalMetric)):
        assert set(registries[f"mxnet.{path}"]) <= set(mx.registry.get_registry(base))


def test_short_names_of_modules() -> None:
    for short, long in {"mod": "module", "init": "initializer", "kv": "kvstore", "mon": "monitor"}.items():
        assert getattr(mx, short) is getattr(mx, long)
