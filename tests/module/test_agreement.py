"""Modules agree with real MXNet: facts to the letter, arrays within rounding."""

from __future__ import annotations

import json

import numpy as np
import pytest

import mxcompat as mx
from tests import golden_store, nets
from tests.golden import record_module
from tests.module import looking, training

RECORDED = golden_store.load(record_module.GOLDEN)
#: relative, in the L2 norm: five steps of training multiply the rounding of one
TOLERANCE = 1e-4


def _check(name: str) -> None:
    facts, found = record_module.ALL[name](mx)
    expected = RECORDED[name]
    assert json.loads(json.dumps(facts)) == expected.facts
    assert sorted(found) == sorted(expected.arrays)
    for key, array in expected.arrays.items():
        assert (found[key].shape, found[key].dtype) == (array.shape, array.dtype), key
        assert nets.relative_error(array, np.asarray(found[key])) <= TOLERANCE, key


# Calling an initializer with a plain name is what FeedForward does, in the original too.
@pytest.mark.filterwarnings("ignore:.*init\\(str, NDArray\\).*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*init\\(str, NDArray\\).*:UserWarning")
@pytest.mark.parametrize("name", looking.CASES)
def test_case(name: str) -> None:
    _check(name)


@pytest.mark.parametrize("name", training.CASES)
def test_training(name: str) -> None:
    _check(name)


def test_every_case_is_recorded() -> None:
    assert sorted(RECORDED) == sorted(record_module.ALL)
