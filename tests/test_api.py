"""The public names and signatures of the training world and of what is around it are the original's, but for the excused.

Arrays, symbols and executors: ``tests/test_api_core.py``. Modules with a test of their own (``mx.profiler``, ``mx.runtime``,
``mx.log``, ``mx.error``, ``mx.engine``, ``mx.libinfo``, most of ``mx.contrib``) are walked there.
"""

from __future__ import annotations

import pytest

import mxcompat as mx
from tests import api_walk

IMPORTED = "the original's module imports the name and does not offer it"
MX_NP = "it belongs to mx.np, which is not supported"
#: modules -> what they lack, with reasons
MODULES: dict[str, dict[str, str]] = {
    "mx.autograd": {},
    "mx.callback": {},
    "mx.contrib": {},
    "mx.contrib.onnx": {},
    "mx.contrib.quantization": {
        f"mx.contrib.quantization.{name}": IMPORTED for name in "DataBatch DataDesc nd_load nd_save sym_load".split()
    },
    "mx.executor_manager": {},
    "mx.image": {f"mx.image.{name}": IMPORTED for name in "io is_np_array nd numeric_types recordio".split()},
    "mx.image.detection": {
        f"mx.image.detection.{name}": IMPORTED for name in "io is_np_array nd numeric_types".split()
    },
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
    "mx.recordio": {},
    "mx.registry": {},
    "mx.rnn": {},
    "mx.rnn.io": {},
    "mx.rnn.rnn": {},
    "mx.rnn.rnn_cell": {},
    "mx.test_utils": {"mx.test_utils.np_symbol": MX_NP},
    "mx.visualization": {},
}


@pytest.mark.parametrize("module", MODULES)
def test_names_and_signatures(module: str) -> None:
    api_walk.check([module], MODULES[module])


def test_few_names_are_excused() -> None:
    """At most one name in twenty differs."""
    names = differing = 0
    for module in MODULES:
        entry = api_walk.survey()["modules"][module]
        names += sum(len(cls["methods"]) + len(cls["properties"]) + 1 for cls in entry["classes"].values())
        names += len(entry["functions"]) + len(entry["values"]) + len(entry["submodules"])
        differing += sum(1 for _ in api_walk.problems([module]))
    assert differing <= names / 20, f"{differing} of {names}"


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
