"""The public names and signatures of the training world are the original's, but for the excused ones."""

from __future__ import annotations

import pytest

from tests import api_walk

IMPORTED = "the original's module imports the name and does not offer it"
#: modules -> what they lack, with reasons
MODULES: dict[str, dict[str, str]] = {
    "mx.callback": {},
    "mx.executor_manager": {},
    "mx.initializer": {"mx.initializer.is_np_array": IMPORTED, "mx.initializer.ndarray": IMPORTED},
    "mx.lr_scheduler": {},
    "mx.misc": {},
    "mx.model": {},
    "mx.module": {},
    "mx.optimizer": {},
    "mx.registry": {},
    "mx.rnn": {},
    "mx.rnn.io": {},
    "mx.rnn.rnn": {},
    "mx.rnn.rnn_cell": {},
    "mx.test_utils": {"mx.test_utils.np_symbol": "NumPy semantics: there is no mx.np"},
}


@pytest.mark.parametrize("module", MODULES)
def test_names_and_signatures(module: str) -> None:
    api_walk.check([module], MODULES[module])
