"""Learning-rate schedules: rates, log lines, attributes, errors (runs on real MXNet, too)."""

from __future__ import annotations

from tests.training.observing import attempt, logged


def _rates(make, updates=range(1, 13)):
    def case(mx):
        schedule, rates = make(mx.lr_scheduler), []
        lines = logged(lambda: rates.extend(schedule(update) for update in updates))
        return [rates, lines, {key: value for key, value in sorted(vars(schedule).items())}]

    return case


def _schedule_errors(mx):
    lr = mx.lr_scheduler
    calls = [
        lambda: lr.FactorScheduler(0),
        lambda: lr.FactorScheduler(1, 1.5),
        lambda: lr.FactorScheduler(1, warmup_mode="sudden"),
        lambda: lr.FactorScheduler(1, base_lr=0.1, warmup_begin_lr=0.2),
        lambda: lr.FactorScheduler(1, warmup_steps=-1),
        lambda: lr.FactorScheduler(1, warmup_steps=1.5),
        lambda: lr.MultiFactorScheduler([4, 2]),
        lambda: lr.MultiFactorScheduler([2, 2]),
        lambda: lr.MultiFactorScheduler([0, 2]),
        lambda: lr.MultiFactorScheduler([]),
        lambda: lr.MultiFactorScheduler((2, 4)),
        lambda: lr.MultiFactorScheduler([2], 2),
        lambda: lr.PolyScheduler(0),
        lambda: lr.PolyScheduler(2.5),
        lambda: lr.CosineScheduler(0),
        lambda: lr.PolyScheduler(4, warmup_steps=4)(4),
        lambda: lr.LRScheduler()(1),
        lambda: lr.LRScheduler(warmup_steps=2).get_warmup_lr(1),
        lambda: lr.LRScheduler(warmup_steps=2).get_warmup_lr(2),
    ]
    return [attempt(call) for call in calls]


def _misc(mx):
    import importlib

    misc = importlib.import_module(mx.__name__ + ".misc")
    schedule, rates = misc.FactorScheduler(3, 0.5), []
    schedule.base_lr = 0.2
    lines = logged(lambda: rates.extend(schedule(update) for update in range(8)))
    base = misc.LearningRateScheduler()
    errors = [lambda: misc.FactorScheduler(0), lambda: misc.FactorScheduler(1, 1.0), lambda: base(1)]
    return [rates, lines, base.base_lr, [attempt(call) for call in errors], sorted(vars(schedule))]


CASES = {
    "factor": _rates(lambda lr: lr.FactorScheduler(2, 0.5, base_lr=1.0)),
    "factor, defaults": _rates(lambda lr: lr.FactorScheduler(3)),
    "factor, stop": _rates(lambda lr: lr.FactorScheduler(1, 0.1, 0.05, base_lr=1.0), range(1, 6)),
    "factor, far": _rates(lambda lr: lr.FactorScheduler(2, 0.5, base_lr=1.0), (1, 9, 3)),
    "factor, linear": _rates(
        lambda lr: lr.FactorScheduler(3, 0.5, base_lr=1.0, warmup_steps=4, warmup_begin_lr=0.2), range(14)
    ),
    "factor, constant": _rates(
        lambda lr: lr.FactorScheduler(3, 0.5, base_lr=1.0, warmup_steps=4, warmup_begin_lr=0.2, warmup_mode="constant"),
        range(9),
    ),
    "steps": _rates(lambda lr: lr.MultiFactorScheduler([2, 5], 0.1, base_lr=1.0)),
    "steps, far": _rates(lambda lr: lr.MultiFactorScheduler([2, 5, 9], 0.1, base_lr=1.0), (7, 20, 3)),
    "steps, linear": _rates(lambda lr: lr.MultiFactorScheduler([3, 6], 0.1, base_lr=1.0, warmup_steps=2), range(9)),
    "polynomial": _rates(lambda lr: lr.PolyScheduler(8, 1.0), range(11)),
    "polynomial, given": _rates(
        lambda lr: lr.PolyScheduler(8, 1.0, 3, 0.1, warmup_steps=2, warmup_begin_lr=0.5), range(11)
    ),
    "polynomial, late": _rates(lambda lr: lr.PolyScheduler(4, 1.0), (9,)),
    "cosine": _rates(lambda lr: lr.CosineScheduler(8, 1.0), range(11)),
    "cosine, given": _rates(lambda lr: lr.CosineScheduler(8, 1.0, 0.1, 2, 0.5, "constant"), range(11)),
    "schedule errors": _schedule_errors,
    "misc": _misc,
}
