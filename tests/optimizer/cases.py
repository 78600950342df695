"""Training runs of every optimizer: what is recorded with real MXNet, and run again by the tests.

A case is evaluated with whatever ``mx`` is given. Three parameters get twenty updates with drawn gradients, through an
updater that is called with lists, as a Module calls it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

STEPS = 20
WATCHED = (1, 2, 5, 20)  # after these steps the weights are kept
SHAPES = {"fc_weight": (4, 3), "fc_bias": (4,), "bn_gamma": (2, 3, 2)}
#: weight decay, rescaling, clipping, a schedule that drops the rate, and names that switch the weight decay off
EVERYTHING = {"wd": 0.05, "rescale_grad": 0.5, "clip_gradient": 0.4, "names": True, "factor": (3, 0.5)}
MULTIPLIERS = {"wd": 0.05, "names": True, "lr_mult": {0: 0.5, "fc_bias": 2.0}, "wd_mult": {"fc_bias": 1.5}}

#: name -> (registered name, arguments); "names", "factor", "lr_mult", "wd_mult", "dtype" are read here
CASES = {}  # type: dict[str, tuple[str, dict[str, Any]]]


def _add(optimizer: str, **variants: dict) -> None:
    CASES[optimizer] = optimizer, {}
    CASES[optimizer + "-everything"] = optimizer, dict(EVERYTHING)
    for name, arguments in variants.items():
        CASES[optimizer + "-" + name] = optimizer, arguments


HALF = {"dtype": "float16", "multi_precision": True}
_add(
    "sgd",
    momentum={"momentum": 0.9, "learning_rate": 0.1},
    momentum_everything=dict(EVERYTHING, momentum=0.9, learning_rate=0.1),
    multipliers=dict(MULTIPLIERS, momentum=0.5, learning_rate=0.1),
    begin={"begin_num_update": 5, "factor": (4, 0.1), "learning_rate": 0.1},
    half=dict(HALF, learning_rate=0.1, wd=0.01),
    half_momentum=dict(HALF, learning_rate=0.1, momentum=0.9),
    half_plain={"dtype": "float16", "learning_rate": 0.1},
    double={"dtype": "float64", "learning_rate": 0.1, "momentum": 0.9},
    warmup={"warmup": (4, 0.01), "learning_rate": 0.1},
)
_add("ccsgd")
_add(
    "nag",
    momentum={"momentum": 0.9, "learning_rate": 0.1},
    momentum_everything=dict(EVERYTHING, momentum=0.9, learning_rate=0.1),
    half_momentum=dict(HALF, learning_rate=0.1, momentum=0.9),
    half=dict(HALF, learning_rate=0.1),
)
_add("signum", plain={"momentum": 0.0, "wd": 0.1}, decay={"wd_lh": 0.1, "wd": 0.05}, half=dict(HALF))
_add("dcasgd", rate={"learning_rate": 0.1, "lamda": 0.5})
_add(
    "adam",
    rate={"learning_rate": 0.05, "beta1": 0.8, "beta2": 0.95, "epsilon": 1e-3},
    multipliers=dict(MULTIPLIERS, learning_rate=0.05),
    half=dict(HALF, learning_rate=0.05),
    begin={"begin_num_update": 3},
)
_add("adagrad", rate={"learning_rate": 0.1, "wd": 0.01, "eps": 1e-3}, half=dict(HALF, learning_rate=0.1))
_add(
    "rmsprop",
    rate={"learning_rate": 0.01, "gamma1": 0.8},
    centered={"learning_rate": 0.01, "centered": True, "gamma2": 0.7},
    centered_everything=dict(EVERYTHING, learning_rate=0.01, centered=True),
    clipped={"learning_rate": 0.05, "clip_weights": 0.5},
    half=dict(HALF, learning_rate=0.01),
)
_add("adadelta", rho={"rho": 0.7, "epsilon": 1e-3, "wd": 0.01}, half=dict(HALF))
_add("ftrl", lamda={"lamda1": 0.1, "beta": 0.5, "wd": 0.01}, half=dict(HALF))
_add("ftml", rate={"learning_rate": 0.05, "beta1": 0.5}, half=dict(HALF))
_add("adamax", rate={"learning_rate": 0.05, "beta1": 0.8}, half=dict(HALF))
_add("nadam", rate={"learning_rate": 0.05, "schedule_decay": 0.01}, half=dict(HALF))
_add(
    "lamb",
    bounds={"learning_rate": 0.05, "lower_bound": 0.2, "upper_bound": 0.8, "wd": 0.01},
    uncorrected={"learning_rate": 0.05, "bias_correction": False},
    half=dict(HALF, learning_rate=0.01),
)
_add(
    "lars",
    momentum={"momentum": 0.9, "learning_rate": 1.0, "eta": 0.1, "names": True},
    momentum_everything=dict(EVERYTHING, momentum=0.9, learning_rate=1.0, eta=0.1, eps=1e-3),
    corrected={"momentum": 0.9, "learning_rate": 1.0, "eta": 0.1, "factor": (3, 0.5), "copies": 2},
    uncorrected={"momentum": 0.9, "learning_rate": 1.0, "factor": (3, 0.5), "momentum_correction": False},
    half=dict(HALF, learning_rate=0.5, momentum=0.9, eta=0.1),
)
_add(
    "lbsgd",
    momentum={"momentum": 0.9, "learning_rate": 0.1},
    linear={"learning_rate": 0.05, "batch_scale": 4, "warmup_epochs": 2, "updates_per_epoch": 5},
    power2={"warmup_strategy": "power2", "batch_scale": 3, "warmup_epochs": 1, "updates_per_epoch": 12},
    sqrt={"warmup_strategy": "sqrt", "batch_scale": 2, "warmup_epochs": 1, "updates_per_epoch": 10},
    lars={"warmup_strategy": "lars", "learning_rate": 0.1, "wd": 0.01},
    schedule={"learning_rate": 0.1, "factor": (4, 0.5), "begin_epoch": 1, "batch_scale": 2},
    half=dict(HALF, learning_rate=0.1, momentum=0.9),
)
_add("test")
CASES["groupadagrad"] = "groupadagrad", {"matrices": True}
CASES["groupadagrad-everything"] = "groupadagrad", dict(EVERYTHING, wd=0.0, matrices=True)


def _schedule(mx: Any, arguments: dict) -> Any:
    if "factor" in arguments:
        step, factor = arguments.pop("factor")
        return mx.lr_scheduler.FactorScheduler(step, factor, base_lr=arguments.get("learning_rate", 0.01))
    if "warmup" in arguments:
        steps, begin = arguments.pop("warmup")
        base = arguments.get("learning_rate", 0.01)
        return mx.lr_scheduler.FactorScheduler(6, 0.5, base_lr=base, warmup_steps=steps, warmup_begin_lr=begin)
    return None


def make(mx: Any, name: str) -> tuple[Any, dict[str, tuple[int, ...]], str]:
    """The optimizer of a case, the shapes of the parameters by name, and their type."""
    registered, given = CASES[name]
    arguments = dict(given)
    dtype = arguments.pop("dtype", "float32")
    shapes = {f"{key}{i}" if i else key: s for i in range(arguments.pop("copies", 1)) for key, s in SHAPES.items()}
    if arguments.pop("matrices", False):
        shapes = {"fc_weight": (4, 3), "embed_weight": (5, 2)}
    factors = [arguments.pop("lr_mult", None), arguments.pop("wd_mult", None)]
    schedule = _schedule(mx, arguments)
    if schedule is not None:
        arguments["lr_scheduler"] = schedule
    if arguments.pop("names", False):
        arguments["param_idx2name"] = dict(enumerate(shapes))
    optimizer = mx.optimizer.create(registered, **arguments)
    if factors[0]:
        optimizer.set_lr_mult(factors[0])
        optimizer.set_wd_mult(factors[1])
    return optimizer, shapes, dtype


def draws(shapes: dict[str, tuple[int, ...]], dtype: str) -> tuple[list, list]:
    """Weights, and gradients by step."""
    rng = np.random.RandomState(7)
    weights = [rng.uniform(-1, 1, shape).astype(dtype) for shape in shapes.values()]
    grads = [[rng.uniform(-2, 2, shape).astype(dtype) for shape in shapes.values()] for _ in range(STEPS)]
    return weights, grads


def flat(state: Any) -> list:
    """The arrays of a state, nested tuples unpacked, absent ones left out."""
    if isinstance(state, (tuple, list)):
        return [array for part in state for array in flat(part)]
    return [] if state is None else [state]


def run(mx: Any, name: str, one_by_one: bool = False) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Facts and arrays of a case."""
    optimizer, shapes, dtype = make(mx, name)
    first, gradients = draws(shapes, dtype)
    weights = [mx.nd.array(array, dtype=dtype) for array in first]
    grads = [mx.nd.zeros(array.shape, dtype=dtype) for array in first]
    updater = mx.optimizer.get_updater(optimizer)
    arrays, rates = {}, []
    indices = list(range(len(weights)))
    for step in range(1, STEPS + 1):
        for array, value in zip(grads, gradients[step - 1]):
            array[:] = value
        if one_by_one:
            for arguments in zip(indices, grads, weights):
                updater(*arguments)
        else:
            updater(list(indices), list(grads), list(weights))
        rates.append(float(optimizer.learning_rate))
        if step in WATCHED:
            arrays.update({f"step{step}/{key}": w.asnumpy() for key, w in zip(shapes, weights)})
    for index, key in enumerate(shapes):
        for number, array in enumerate(flat(updater.states[index])):
            arrays[f"state/{key}/{number}"] = array.asnumpy()
    facts = {"rates": rates, "num_update": optimizer.num_update, "aggregate_num": optimizer.aggregate_num}
    facts["counts"] = {str(key): value for key, value in optimizer._index_update_count.items()}
    return facts, arrays
