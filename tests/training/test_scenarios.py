"""Training programs agree with real MXNet: the losses of every step, from the same parameters."""

from __future__ import annotations

import numpy as np
import pytest

import mxcompat as mx
from tests.golden.record_scenarios import path
from tests.training.scenarios import SCENARIOS, STEPS

LOSS_TOLERANCE = 1e-4
#: of everything else that was found: twenty steps multiply the rounding of one
TOLERANCE = 1e-3


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name: str) -> None:
    with np.load(path(name)) as archive:
        recorded = {key.replace("|", "/"): archive[key] for key in archive.files}
    start = {key[len("start/") :]: value for key, value in recorded.items() if key.startswith("start/")}
    begun, found = SCENARIOS[name](mx, start)
    for key, value in start.items():
        np.testing.assert_array_equal(begun[key], value, err_msg=key)
    assert len(found["losses"]) == STEPS
    np.testing.assert_allclose(found["losses"], recorded["found/losses"], rtol=0, atol=LOSS_TOLERANCE)
    assert {"found/" + key for key in found} == {key for key in recorded if key.startswith("found/")}
    for key, value in found.items():
        wanted = recorded["found/" + key]
        assert (value.shape, value.dtype) == (wanted.shape, wanted.dtype), key
        np.testing.assert_allclose(value, wanted, rtol=TOLERANCE, atol=TOLERANCE, err_msg=key)


@pytest.mark.parametrize("name", ["chained_modules", "adversaries"])
def test_scenario_from_its_own_start(name: str) -> None:
    _, found = SCENARIOS[name](mx, None)
    assert np.isfinite(found["losses"]).all()
