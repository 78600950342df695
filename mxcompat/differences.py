"""The one list of documented differences in behaviour from MXNet 1.9.1, by operator (registry name) or place below ``mx``.

``mxcompat check`` reports them as MX2, ``mxcompat run --profile`` notes them, ``--strict`` refuses them, both in the
words of ``differs`` and ``no_effect``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["DIFFERENCES", "DRAWS", "GENERAL", "RANDOM", "difference", "differs", "no_effect"]

#: other random numbers are expected of a port: they are noted, and reported where a seed is set, but not refused
DRAWS = "random numbers come from PyTorch's generators: a seed repeats a run, but draws other numbers than MXNet's"
_NO_INTEGER_GRADIENT = "in a Symbol a cast to an integer type passes no gradient (MXNet passes it through)"
_CHECKED_ON_CPU = "indices out of range with mode='raise' are found in eager execution on the CPU only"

#: operators that draw random numbers
RANDOM = frozenset(
    """
    Dropout LeakyReLU RNN _shuffle _sample_multinomial _sample_unique_zipfian
    _random_uniform _random_uniform_like _random_normal _random_normal_like _random_exponential
    _random_exponential_like _random_gamma _random_gamma_like _random_poisson _random_poisson_like
    _random_negative_binomial _random_negative_binomial_like _random_generalized_negative_binomial
    _random_generalized_negative_binomial_like _random_randint
    _sample_uniform _sample_normal _sample_exponential _sample_gamma _sample_poisson _sample_negative_binomial
    _sample_generalized_negative_binomial
    _image_random_brightness _image_random_contrast _image_random_saturation _image_random_hue
    _image_random_color_jitter _image_random_lighting _image_random_flip_left_right _image_random_flip_top_bottom
    """.split()
)

#: registry name of an operator, or place of a function below ``mx`` -> what is different
DIFFERENCES: dict[str, str] = {
    **dict.fromkeys(sorted(RANDOM), DRAWS),
    "random.seed": DRAWS,
    "Cast": _NO_INTEGER_GRADIENT,
    "take": _CHECKED_ON_CPU,
    "_image_flip_left_right": "along an axis of odd size the middle line stays in its place (MXNet leaves it unwritten)",
    "_image_flip_top_bottom": "along an axis of odd size the middle line stays in its place (MXNet leaves it unwritten)",
    "profiler.dumps": "the mean of a counter or of memory is the mean of its values (MXNet gives half its range)",
    "profiler.set_config": "profile_api is off unless it is asked for, and then shows PyTorch's own events",
}

#: what belongs to no single name
GENERAL: tuple[str, ...] = (
    DRAWS,
    "integer division by zero is found in eager execution on the CPU only",
    "errors are raised by the call that makes them, not later by asnumpy or wait_to_read",
    "a second backward after one forward repeats the forward: weights written in between count",
    "an executor made by reshape shares arguments with the first one, but not the memory of its outputs",
    "monitors are not shown hidden outputs of LayerNorm, LRN and max Pooling",
    "under mxcompat run, methods that NumPy removed from its arrays (tostring, itemset, ptp, newbyteorder) stay removed, "
    "and arithmetic of NumPy scalars follows NumPy 2",
)

#: operator -> the parameter values with which alone it differs
_ONLY_WITH: dict[str, dict[str, tuple]] = {
    "Cast": {"dtype": ("uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "bool")},
    "LeakyReLU": {"act_type": ("rrelu",)},
    "take": {"mode": ("raise",)},
}
#: operators that differ in graphs, and not as calls on arrays
_IN_GRAPHS = frozenset({"Cast"})
#: operator -> the parameter values with which it does not differ
_NOT_WITH: dict[str, dict[str, tuple]] = {"Dropout": {"p": (0.0,)}, "RNN": {"p": (0.0,)}}


def difference(name: str, params: Mapping[str, Any], symbolic: bool = True) -> str | None:
    """What is different in the operator of that registry name with these parsed parameters; None when nothing is.

    ``symbolic``: it is a node of a graph, and not a call on arrays.
    """
    if name in _IN_GRAPHS and not symbolic:
        return None
    only, never = _ONLY_WITH.get(name, {}), _NOT_WITH.get(name, {})
    if any(params.get(key) not in values for key, values in only.items()):
        return None
    if any(params.get(key) in values for key, values in never.items()):
        return None
    return DIFFERENCES.get(name)


def differs(label: str, text: str) -> str:
    """The sentence about a use of what differs."""
    return f"{label} differs from MXNet: {text}"


def no_effect(label: str, names: Sequence[str]) -> str:
    """The sentence about parameters that are accepted and change nothing."""
    return f"{label}: {', '.join(names)} {'has' if len(names) == 1 else 'have'} no effect here"
