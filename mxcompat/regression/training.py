"""Repeating the updates and metrics of a recorded step."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import mxcompat as mx
from mxcompat import lr_scheduler
from mxcompat.optimizer import Optimizer
from mxcompat.regression.compare import Comparison
from mxcompat.regression.golden import decoded

__all__ = ["repeat_metric", "repeat_update", "to_array"]

#: optimizers whose step of one element depends on all of them
_OF_NORMS = frozenset(["LARS", "LAMB", "LBSGD"])
#: optimizers that draw random numbers
_DRAWING = frozenset(["SGLD"])
#: packages whose classes are the same here
_PACKAGES = ("mxnet.", "mxcompat.")
#: rates and sums of metrics are few operations on doubles, or float32 sums over a batch
_RATE_ERROR = 1e-6
_METRIC_ERROR = 1e-5


def to_array(value: np.ndarray, entry: Mapping[str, Any]) -> Any:
    """A recorded array with its type and storage."""
    array = mx.nd.array(value, dtype=value.dtype)
    return array.tostype(entry["stype"]) if "stype" in entry else array


def _schedule(entry: Mapping[str, Any]) -> Any:
    """The schedule of an optimizer as it was; None for a class of the script."""
    kind = getattr(lr_scheduler, entry["class"], None)
    if kind is None or not entry["module"].startswith(_PACKAGES):
        return None
    schedule = kind.__new__(kind)
    settings = {name: decoded(value) for name, value in entry["settings"].items()}
    warmup = {"warmup_steps": 0, "warmup_begin_lr": 0, "warmup_mode": "linear"}  # old versions knew none
    vars(schedule).update(warmup, warmup_final_lr=settings.get("base_lr", 0.01))
    vars(schedule).update(settings)
    return schedule


def _optimizer(entry: Mapping[str, Any], update: Mapping[str, Any], counts_first: bool) -> Any:
    """The optimizer as it was before an update; a text that says why there is none.

    It repeats the recorded rates where a schedule is a class of the script, or where MXNet did not count the update first.
    """
    kind = Optimizer.opt_registry.get(entry["class"].lower())
    if kind is None or not entry["module"].startswith(_PACKAGES):
        return f"updates by {entry['class']}, a class of the script"
    if entry["class"] in _DRAWING:
        return f"updates by {entry['class']}, which draws random numbers"
    if entry["other"]:
        return f"updates by {entry['class']}, which keeps {', '.join(entry['other'])} between updates"
    optimizer = kind()
    for name, value in entry["settings"].items():
        if name in vars(optimizer):
            setattr(optimizer, name, decoded(value))
    optimizer.num_update = update["num_update"]
    for parameter in update["parameters"]:
        if parameter["count"] is not None:
            optimizer._index_update_count[parameter["index"]] = parameter["count"]
    if "scheduler" in entry:
        schedule = _schedule(entry["scheduler"]) if counts_first else None
        if schedule is None:  # the rates that it gave
            rates = {parameter["index"]: parameter.get("lr") for parameter in update["parameters"]}
            if None in rates.values():
                return f"updates with {entry['scheduler']['class']}, a schedule of the script"
            optimizer._get_lrs = lambda indices: [rates[index] for index in indices]
        optimizer.lr_scheduler = schedule
    return optimizer


def _state(replay: Any, entry: Any) -> Any:
    if entry is None:
        return None
    if "sequence" in entry:
        return tuple(_state(replay, part) for part in entry["sequence"])
    if "number" in entry:
        return entry["number"]
    return to_array(replay.recording.array(entry), entry)


def repeat_update(replay: Any, update: Mapping[str, Any]) -> None:
    """Run the optimizer on the recorded parameters and gradients; compare new parameters, states and rates."""
    entry = replay.recording.optimizers[update["optimizer"]]
    version = replay.recording.meta["versions"]["mxnet"]
    counts_first = not version.startswith("0.11.")  # Compat: that one asks the schedule before it counts the update
    if not counts_first and "scheduler" in entry:
        replay.skip(f"rates of a schedule in MXNet {version}, which asks it before it counts the update")
    optimizer = _optimizer(entry, update, counts_first)
    if isinstance(optimizer, str):
        replay.skip(optimizer)
        return
    updater = mx.optimizer.get_updater(optimizer)
    of_norms = entry["class"] in _OF_NORMS
    parameters, weights, gradients, befores, whole = [], [], [], [], []
    for parameter in update["parameters"]:
        gradient, is_whole = replay.given(parameter["gradient"], use_random=not of_norms)
        if gradient is None:
            replay.skip(f"updates by {entry['class']} with gradients that depend on random numbers")
            continue
        before = replay.recording.array(parameter["weight"])
        parameters.append(parameter)
        befores.append(before)
        weights.append(to_array(before, parameter["weight"]))
        gradients.append(to_array(gradient, parameter["gradient"]))
        whole.append(is_whole)
        if parameter["known"]:
            updater.states[parameter["index"]] = _state(replay, parameter["state"])
            updater.states_synced[parameter["index"]] = True
    indices = [parameter["index"] for parameter in parameters]
    if update["many"]:
        updater(indices, gradients, weights)
    else:
        for arguments in zip(indices, gradients, weights):
            updater(*arguments)
    for parameter, weight, before, is_whole in zip(parameters, weights, befores, whole):
        _compare_update(replay, entry["class"], parameter, weight, before, updater, is_whole)


def _compare_update(
    replay: Any, rule: str, parameter: Mapping[str, Any], weight: Any, before: np.ndarray, updater: Any, whole: bool
) -> None:
    name, index = parameter["name"], parameter["index"]
    what = f"{name} after its update by {rule}"
    for key, rates in (("lr", updater.optimizer._get_lrs), ("wd", updater.optimizer._get_wds)):
        if key in parameter:
            _compare_numbers(replay, f"{key} of {name}", parameter[key], rates([index])[0], _RATE_ERROR)
    replay.check(what, "", parameter["weight_after"], weight.asnumpy(), before=before)
    pairs = _leaves(parameter["state_after"], updater.states.get(index))
    for number, (entry, state) in enumerate(pairs):
        if state is None:
            replay.report.add(Comparison(replay.at, f"state {number} of {what}", "", problem="there is none here"))
        else:
            replay.check(f"state {number} of {what}", "", entry, state.asnumpy(), whole=whole)


def _leaves(entry: Any, state: Any) -> list[tuple[Mapping[str, Any], Any]]:
    """Recorded arrays of a state, and those found in their places."""
    if entry is None or "number" in entry:
        return []
    if "sequence" not in entry:
        return [(entry, state if hasattr(state, "asnumpy") else None)]
    parts: Sequence[Any] = state if isinstance(state, (list, tuple)) else ()
    padded = [*parts, *[None] * len(entry["sequence"])]
    return [leaf for part, own in zip(entry["sequence"], padded) for leaf in _leaves(part, own)]


def _compare_numbers(replay: Any, what: str, recorded: float, found: float, allowed: float) -> None:
    difference = abs(recorded - found)
    error = difference / abs(recorded) if recorded and difference else difference
    same = recorded == found or math.isnan(recorded) and math.isnan(found)
    comparison = Comparison(replay.at, what, "", (), 0.0 if same else error, allowed, same, (), recorded, found)
    replay.report.add(comparison)


# -- metrics ------------------------------------------------------------------------------------------------------


def _metric(entry: Mapping[str, Any]) -> Any:
    """The metric as it was before the batch; a text that says why there is none."""
    name, before = entry["class"], entry["before"]
    kind = getattr(mx.metric, name, None)
    if kind is None or not entry["module"].startswith(_PACKAGES) or entry["config"] is None:
        return f"{name}, a metric of the script"
    if entry["other"] and before.get("num_inst"):
        return f"{name}, which keeps {', '.join(entry['other'])} between batches"
    known = inspect.signature(kind).parameters
    config = {key: value for key, value in decoded(entry["config"]).items() if key in known}
    metric = kind(**config)
    for key, value in before.items():
        if isinstance(value, (int, float)) and not isinstance(value, bool) and key in vars(metric):
            setattr(metric, key, value)
    return metric


def repeat_metric(replay: Any, entry: Mapping[str, Any]) -> None:
    """Give a metric the recorded labels and predictions; compare its sums."""
    metric = _metric(entry)
    if isinstance(metric, str):
        replay.skip(metric)
        return
    arrays: dict[str, list] = {}
    for kind in ("labels", "predictions"):
        values = [replay.given(one)[0] for one in entry[kind]]
        if any(value is None for value in values):
            replay.skip("metrics of outputs that depend on random numbers")
            return
        arrays[kind] = [to_array(value, one) for value, one in zip(values, entry[kind])]
    metric.update(arrays["labels"], arrays["predictions"])
    for key, value in entry["after"].items():
        found = vars(metric).get(key)
        if (
            isinstance(value, (int, float))
            and isinstance(found, (int, float, np.number))
            and not isinstance(value, bool)
        ):
            _compare_numbers(replay, f"{key} of {entry['class']}", float(value), float(found), _METRIC_ERROR)
