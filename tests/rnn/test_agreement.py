"""Recurrent cells agree with real MXNet: graphs and other facts to the letter, arrays within rounding."""

from __future__ import annotations

import json

import numpy as np
import pytest

import mxcompat as mx
from tests import golden_store
from tests.golden import record_rnn
from tests.rnn import cases

RECORDED = golden_store.load(record_rnn.GOLDEN)


@pytest.mark.parametrize("name", cases.CASES)
def test_case(name: str) -> None:
    facts, found = cases.CASES[name](mx)
    expected = RECORDED[name]
    facts = json.loads(json.dumps(facts))
    for graphs in (facts.get("graphs"), expected.facts.get("graphs")):  # compared first: the difference is then short
        for way in graphs or ():
            if isinstance(graphs[way], dict):
                graphs[way]["graph"] = json.loads(graphs[way]["graph"])
    for key, value in expected.facts.items():
        assert facts[key] == value, key
    assert sorted(found) == sorted(expected.arrays)
    for key, array in expected.arrays.items():
        assert (found[key].shape, found[key].dtype) == (array.shape, array.dtype), key
        # rounding of sums of some ten products in float32
        np.testing.assert_allclose(found[key], array, rtol=2e-5, atol=2e-5, err_msg=key)


def test_every_case_is_recorded() -> None:
    assert sorted(RECORDED) == sorted(cases.CASES)
