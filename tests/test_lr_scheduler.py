"""Learning-rate schedules (semantics.md, 218 to 220)."""

from __future__ import annotations

import pytest

import mxcompat as mx
from tests.training.lr_scheduler_cases import CASES as RECORDED_CASES
from tests.training.observing import differences, recorded

lr = mx.lr_scheduler


def test_factor() -> None:
    schedule = lr.FactorScheduler(2, 0.5, base_lr=1.0)
    assert [schedule(i) for i in range(1, 8)] == [1.0, 1.0, 0.5, 0.5, 0.25, 0.25, 0.125]


def test_multi_factor_poly_and_cosine() -> None:
    multi, poly, cosine = (
        lr.MultiFactorScheduler([2, 4], 0.1, base_lr=1.0),
        lr.PolyScheduler(4, 1.0),
        lr.CosineScheduler(4, 1.0),
    )
    assert [round(multi(i), 4) for i in range(1, 7)] == [1.0, 1.0, 0.1, 0.1, 0.01, 0.01]
    assert [round(poly(i), 4) for i in range(6)] == [1.0, 0.5625, 0.25, 0.0625, 0.0, 0.0]
    assert [round(cosine(i), 4) for i in range(6)] == [1.0, 0.8536, 0.5, 0.1464, 0.0, 0.0]
    assert lr.PolyScheduler(4, 1.0)(9) == 1.0


def test_warm_up() -> None:
    linear = lr.FactorScheduler(10, 0.5, base_lr=1.0, warmup_steps=4, warmup_begin_lr=0.2)
    assert [round(linear(i), 3) for i in range(7)] == [0.2, 0.4, 0.6, 0.8, 1.0, 1.0, 1.0]
    constant = lr.FactorScheduler(10, 0.5, base_lr=1.0, warmup_steps=2, warmup_begin_lr=0.2, warmup_mode="constant")
    assert [constant(i) for i in range(4)] == [0.2, 0.2, 1.0, 1.0]


def test_bad_arguments() -> None:
    for make in (
        lambda: lr.FactorScheduler(0),
        lambda: lr.FactorScheduler(1, 2.0),
        lambda: lr.MultiFactorScheduler([4, 2]),
        lambda: lr.PolyScheduler(0),
        lambda: lr.FactorScheduler(1, warmup_mode="sudden"),
    ):
        with pytest.raises(ValueError):
            make()


RECORDED = recorded("lr_scheduler")


@pytest.mark.parametrize("name", RECORDED_CASES)
def test_as_recorded(name: str) -> None:
    assert differences(RECORDED_CASES[name](mx), RECORDED[name]) == []
