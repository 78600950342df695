"""Every optimizer against the runs recorded with real MXNet (``tests/golden/record_optimizer.py``)."""

from __future__ import annotations

import functools
import os

import numpy as np
import pytest

import mxcompat as mx
from tests import golden_store
from tests.harness import differences
from tests.optimizer import cases, saved

GOLDEN = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "golden", "optimizer.npz")

#: twenty steps add rounding errors up; half the weights are rounded to float16 after each step
TOLERANCES = {"float16": (2e-3, 1e-3), "float32": (1e-5, 2e-6), "float64": (1e-7, 1e-8)}
#: the original sums squares of float16 in float16 (LARS), and takes the norm of the rounded weights (LAMB)
WIDER = {"lars-half": 5e-3, "lamb-half": 1e-4}

pytestmark = pytest.mark.filterwarnings("ignore:Accumulating with float16")


@functools.lru_cache
def recorded() -> dict[str, golden_store.Result]:
    return golden_store.load(GOLDEN)


def check(expected: dict[str, np.ndarray], found: dict[str, np.ndarray], wider: float = 0.0) -> list[str]:
    problems = [f"arrays: expected {sorted(expected)}, found {sorted(found)}"] if set(expected) != set(found) else []
    for key in sorted(set(expected) & set(found)):
        rtol, atol = TOLERANCES[expected[key].dtype.name]
        problem = differences(expected[key], found[key], max(rtol, wider), max(atol, wider))
        problems += [f"{key}: {problem}"] if problem else []
    return problems


@pytest.mark.parametrize("name", cases.CASES)
def test_run(name: str) -> None:
    facts, arrays = cases.run(mx, name)
    assert facts == recorded()[name].facts
    assert check(recorded()[name].arrays, arrays, WIDER.get(name, 0.0)) == []


@pytest.mark.parametrize("name", [name for name in cases.CASES if not name.startswith("lars")])
def test_lists_give_the_numbers_of_single_updates(name: str) -> None:
    """LARS is left out: it corrects the momentum by groups of parameters."""
    _, together = cases.run(mx, name)
    _, apart = cases.run(mx, name, one_by_one=True)
    assert set(together) == set(apart)
    for key, array in together.items():
        np.testing.assert_array_equal(array, apart[key], err_msg=key)


@pytest.mark.parametrize("name", saved.CASES)
def test_states_of_real_mxnet_go_on(name: str) -> None:
    expected = dict(recorded()["saved-" + name].arrays)
    content = expected.pop("bytes").tobytes()
    assert check(expected, saved.go_on(mx, content, name), WIDER.get(saved.CASES[name][0], 0.0)) == []


@pytest.mark.parametrize("name", saved.CASES)
def test_own_states_go_on(name: str) -> None:
    expected = dict(recorded()["saved-" + name].arrays)
    del expected["bytes"]
    found = saved.go_on(mx, saved.write(mx, name), name)
    assert check(expected, found, WIDER.get(saved.CASES[name][0], 0.0)) == []


def test_every_registered_optimizer_is_recorded() -> None:
    missing = set(mx.optimizer.Optimizer.opt_registry) - {registered for registered, _ in cases.CASES.values()}
    missing = {name for name in missing if mx.optimizer.Optimizer.opt_registry[name].__module__.startswith("mxcompat.optimizer.")}
    assert missing == {"sgld"}  # random
