"""Random draws. The streams are PyTorch's: a seed repeats a run, but gives other numbers than MXNet.

``_random_*`` draw an array from one distribution, ``_random_*_like`` in the shape of an input, ``_sample_*`` from one
distribution an element of their inputs. None of them has a gradient.
"""

import inspect
import math
from collections.abc import Callable

import torch

from mxcompat.base import MXNetError
from mxcompat.ops.dtypes import NAME_BY_TORCH, TORCH_BY_NAME, fixed_output, floating, same_type, unify
from mxcompat.ops.elemwise import define
from mxcompat.ops.init import created_shape
from mxcompat.ops.registry import register
from mxcompat.ops.schema import Bool, Device, DType, Float, Int, NoEffect, Optional, OutputShape, Params, Shape, Str
from mxcompat.ops.shape import merge, same_shape, size

_FLOATS = Optional(DType("float16", "float32", "float64"))


def _type_rule(default: str = "float32") -> Callable:
    def rule(params: Params, ins: list, outs: list) -> tuple[list, list]:
        return ins, [TORCH_BY_NAME[params.dtype or default]]

    return rule


# -- distributions: functions of parameter tensors already expanded to the result's shape --------------------------------


def _uniform(low, high):
    return low + (high - low) * torch.rand(low.shape, dtype=low.dtype, device=low.device)


def _normal(loc, scale):
    return loc + scale * torch.randn(loc.shape, dtype=loc.dtype, device=loc.device)


def _exponential(lam):
    return torch.empty_like(lam).exponential_() / lam


def _gamma(alpha, beta):
    return torch._standard_gamma(alpha) * beta


def _poisson(lam):
    return torch.poisson(lam.clamp(min=0))


def _negative_binomial(k, p):
    return _poisson(torch._standard_gamma(k) * (1 - p) / p)


def _generalized_negative_binomial(mu, alpha):
    flat = alpha == 0
    shape = 1 / torch.where(flat, 1, alpha)
    return _poisson(torch.where(flat, mu, torch._standard_gamma(shape) * mu / shape))


def _above_zero(*names: str, zero: bool = False) -> Callable:
    """A check that these parameters are positive (or, with ``zero``, not negative)."""

    def check(params: Params, *tensors: torch.Tensor) -> None:
        for name in names:
            if params[name] < 0 or (params[name] == 0 and not zero):
                raise MXNetError(f"parameter {name}={params[name]}: must be {'at least' if zero else 'above'} 0")

    return check


def _ordered(params: Params, *tensors: torch.Tensor) -> None:
    if params.low > params.high:
        raise MXNetError(f"low={params.low} must be less than or equal to high={params.high}")


def _binomial_parameters(params: Params, *tensors: torch.Tensor) -> None:
    _above_zero("k", zero=True)(params)
    _above_zero("p")(params)


class _Family:
    """One distribution: its parameters with defaults, the draw, and the names of the ``_sample`` inputs."""

    def __init__(
        self, draw: Callable, text: str, check: Callable | None = None, inputs: tuple[str, ...] = (), **params
    ):
        self.draw, self.text, self.check, self.params = draw, text, check, params
        self.inputs = inputs or tuple(params)

    def values(self, given: dict) -> tuple:
        return tuple(given.get(name, default) for name, default in self.params.items())


_FAMILIES = {
    "uniform": _Family(_uniform, "Uniform in [low, high).", _ordered, low=0.0, high=1.0),
    "normal": _Family(
        _normal,
        "Normal with mean loc and standard deviation scale.",
        _above_zero("scale"),
        ("mu", "sigma"),
        loc=0.0,
        scale=1.0,
    ),
    "exponential": _Family(_exponential, "Exponential with rate lam (mean 1 / lam).", _above_zero("lam"), lam=1.0),
    "gamma": _Family(
        _gamma, "Gamma with shape alpha and scale beta.", _above_zero("alpha", "beta"), alpha=1.0, beta=1.0
    ),
    "poisson": _Family(_poisson, "Poisson with mean lam.", _above_zero("lam", zero=True), lam=1.0),
    "negative_binomial": _Family(
        _negative_binomial,
        "Failures before the k-th success of probability p.",
        _binomial_parameters,
        k=1,
        p=1.0,
    ),
    "generalized_negative_binomial": _Family(
        _generalized_negative_binomial,
        "Negative binomial by mean mu and dispersion alpha.",
        _above_zero("mu", "alpha", zero=True),
        mu=1.0,
        alpha=1.0,
    ),
}


def _drawn(draw: Callable, numbers: tuple, shape: tuple, dtype: torch.dtype, device) -> torch.Tensor:
    """A draw from one distribution; float16 is drawn in float32, integers are refused."""
    if not dtype.is_floating_point:
        raise MXNetError(f"expected a floating type, got {NAME_BY_TORCH[dtype]}")
    wide = torch.float64 if dtype is torch.float64 else torch.float32
    return draw(*[torch.full(shape, float(x), dtype=wide, device=device) for x in numbers]).to(dtype)


def _make_random(name: str, family: _Family) -> None:
    """``_random_<name>`` and ``_random_<name>_like``; their signatures depend on the distribution's parameters."""
    random, like = _functions(family)
    names = ("normal", "uniform")
    register(
        f"_random_{name}",
        (f"random_{name}", *((name,) if name in names else ())),
        infer_shape=created_shape,
        infer_type=_type_rule(),
        check=family.check,
        random=True,
        stops_gradient=True,
    )(
        define(
            random,
            f"_random_{name}",
            f"{family.text}\n\nAn array of ``shape`` and ``dtype`` (float32).",
        )
    )
    register(f"_random_{name}_like", infer_shape=same_shape, check=family.check, random=True, stops_gradient=True)(
        define(like, f"_random_{name}_like", f"{family.text}\n\nAn array of the shape and type of ``data``.")
    )


def _functions(family: _Family) -> tuple[Callable, Callable]:
    """The two functions of a distribution; their signatures carry its parameter names."""

    def random(*, created, shape=None, ctx="", dtype=None, device=None, **numbers):
        return _drawn(family.draw, family.values(numbers), created, TORCH_BY_NAME[dtype or "float32"], device)

    def like(data, **numbers):
        return _drawn(family.draw, family.values(numbers), data.shape, data.dtype, data.device)

    keyword = inspect.Parameter.KEYWORD_ONLY
    numbers = [
        inspect.Parameter(name, keyword, default=default, annotation=Int() if name == "k" else Float())
        for name, default in family.params.items()
    ]
    common = [
        inspect.Parameter("shape", keyword, default=None, annotation=Optional(Shape())),
        inspect.Parameter("ctx", keyword, default="", annotation=NoEffect(Str)),
        inspect.Parameter("dtype", keyword, default=None, annotation=_FLOATS),
        inspect.Parameter("created", keyword, annotation=OutputShape),
        inspect.Parameter("device", keyword, default=None, annotation=Device),
    ]
    random.__signature__ = inspect.Signature([*numbers, *common])
    data = inspect.Parameter("data", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    like.__signature__ = inspect.Signature([data, *numbers])
    return random, like


for _name, _family in _FAMILIES.items():
    _make_random(_name, _family)


def _not_empty(params: Params, *tensors: torch.Tensor) -> None:
    if params.low >= params.high:
        raise MXNetError(f"low={params.low} must be less than high={params.high}")


@register(
    "_random_randint",
    ("random_randint",),
    infer_shape=created_shape,
    infer_type=_type_rule("int32"),
    check=_not_empty,
    random=True,
    stops_gradient=True,
)
def random_randint(
    *,
    low: Int,
    high: Int,
    shape: Optional(Shape()) = None,
    ctx: NoEffect(Str) = "",
    dtype: Optional(DType("int32", "int64")) = None,
    created: OutputShape,
    device: Device = None,
):
    """Integers in [low, high), int32 by default."""
    return torch.randint(low, high, created, dtype=TORCH_BY_NAME[dtype or "int32"], device=device)


# -- one distribution an element ------------------------------------------------------------------------------------------


def _sample_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    shape = None
    for i, other in enumerate(ins):
        shape = merge(shape, other, f"input {i}")
    own = len(params.shape)
    if shape is None and outs[0] is not None and len(outs[0]) > own:
        shape = (-1,) * (len(outs[0]) - own)
    if shape is None:
        return ins, outs
    out = merge((*shape, *params.shape), outs[0], "output")
    return [out[: len(shape)]] * len(ins), [out]


def _sample_type(params: Params, ins: list, outs: list) -> tuple[list, list]:
    dtype = unify(ins)
    return [dtype] * len(ins), [TORCH_BY_NAME[params.dtype or "float32"]]


def _sampled(draw: Callable, tensors: tuple, shape: tuple, dtype: str | None) -> torch.Tensor:
    result = TORCH_BY_NAME[dtype or "float32"]
    wide = torch.float64 if result is torch.float64 else torch.float32
    spread = [
        t.detach().to(wide).reshape(*t.shape, *[1] * len(shape)).expand(*t.shape, *shape).contiguous() for t in tensors
    ]
    return draw(*spread).to(result)


def _make_sample(name: str, family: _Family) -> None:
    def sample(*tensors, shape=(), dtype=None):
        return _sampled(family.draw, tensors, shape, dtype)

    sample.__signature__ = inspect.Signature(
        [
            *[inspect.Parameter(x, inspect.Parameter.POSITIONAL_OR_KEYWORD) for x in family.inputs],
            inspect.Parameter("shape", inspect.Parameter.KEYWORD_ONLY, default=(), annotation=Shape()),
            inspect.Parameter("dtype", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_FLOATS),
        ]
    )
    register(
        f"_sample_{name}",
        (f"sample_{name}",),
        infer_shape=_sample_shape,
        infer_type=_sample_type,
        random=True,
        stops_gradient=True,
    )(
        define(
            sample,
            f"_sample_{name}",
            f"{family.text}\n\n``shape`` draws for every element of the inputs: (..., *shape).",
        )
    )


for _name, _family in _FAMILIES.items():
    _make_sample(_name, _family)


#: the most classes whose numbers each type tells apart
_MOST_CLASSES = {"uint8": 1 << 8, "float16": 1 << 11, "float32": 1 << 24, "int32": 1 << 31, "float64": 1 << 53}


def _multinomial_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    if ins[0] is None:
        return ins, outs
    most = _MOST_CLASSES.get(params.dtype)
    if most is not None and ins[0] and ins[0][-1] > most:
        raise MXNetError(f"data has {ins[0][-1]} classes, expected at most {most} for dtype={params.dtype!r}")
    shape = (*ins[0][:-1], *params.shape) or (1,)
    return ins, [merge(shape, out, "output") for out in outs]


def _multinomial_type(params: Params, ins: list, outs: list) -> tuple[list, list]:
    return floating()(params, ins, [None])[0], [TORCH_BY_NAME[params.dtype], *ins[:1]][: len(outs)]


@register(
    "_sample_multinomial",
    ("sample_multinomial",),
    infer_shape=_multinomial_shape,
    infer_type=_multinomial_type,
    outputs=lambda params: 2 if params.get_prob else 1,
    random=True,
    loss=lambda params: not params.get_prob,
)
def sample_multinomial(
    data,
    *,
    shape: Shape() = (),
    get_prob: Bool = False,
    dtype: DType("float16", "float32", "float64", "int32", "uint8") = "int32",
):
    """Indices drawn with the probabilities in the last axis: (..., K) -> (..., *shape), and their log-likelihoods.

    The probabilities are taken as they are: entries beyond a sum of 1 are never drawn. The log-likelihoods are
    differentiable.
    """
    rows = data.reshape(-1, data.shape[-1])
    sums = rows.detach().to(torch.float64).cumsum(1)
    places = torch.rand((rows.shape[0], size(shape)), dtype=torch.float64, device=data.device)
    places = places * sums[:, -1:].clamp(max=1)  # a sum that rounding leaves just below 1 counts as 1
    drawn = torch.searchsorted(sums, places, right=True).clamp(max=data.shape[-1] - 1)
    result_shape = (*data.shape[:-1], *shape) or (1,)
    indices = drawn.reshape(result_shape).to(TORCH_BY_NAME[dtype])
    if not get_prob:
        return indices
    return indices, torch.log(rows.gather(1, drawn)).reshape(result_shape)


@register("_shuffle", ("shuffle",), infer_shape=same_shape, infer_type=same_type, random=True, no_gradient=True)
def shuffle(data):
    """The rows in random order."""
    return data[torch.randperm(data.shape[0], device=data.device)]


def _unique_zipfian_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    shape = params.shape if params.shape is not None else outs[0]
    if shape is None or len(shape) != 2:
        raise MXNetError(f"shape is {shape}, expected (batch, samples)")
    if shape[1] > params.range_max:
        raise MXNetError(f"cannot draw {shape[1]} different numbers below range_max={params.range_max}")
    return ins, [merge(shape, outs[0], "output 0"), merge(shape[:1], outs[1], "output 1")]


def _draw_unique(count: int, range_max: int, device) -> tuple[torch.Tensor, torch.Tensor]:
    """``count`` different numbers below ``range_max`` in the order they came, and how many draws that took."""
    drawn = torch.empty(0, dtype=torch.int64, device=device)
    while True:
        places = torch.rand(max(2 * count, drawn.numel()), dtype=torch.float64, device=device)
        drawn = torch.cat([drawn, torch.exp(places * math.log(range_max)).round().to(torch.int64) - 1])
        numbers, which = drawn.unique(return_inverse=True)
        if numbers.numel() >= count:
            order = torch.arange(drawn.numel(), device=device)
            first = torch.full_like(numbers, drawn.numel()).scatter_reduce(0, which, order, "amin").sort().values
            return drawn[first[:count]], first[count - 1] + 1


@register(
    "_sample_unique_zipfian",
    infer_shape=_unique_zipfian_shape,
    infer_type=fixed_output("int64"),
    outputs=2,
    random=True,
    traceable=False,
)
def sample_unique_zipfian(*, range_max: Int, shape: Optional(Shape()) = None, device: Device = None):
    """Different numbers below ``range_max``, small ones more often: (batch, samples), and the draws each row took (batch,).

    A number k is drawn with probability ``log((k + 1.5) / (k + 0.5)) / log(range_max)``, about that of a logarithmic
    uniform distribution, and dropped when the row has it already. How long that takes depends on the values, so this does
    not trace; it gets long when almost all numbers of a large range are asked for.
    """
    assert shape is not None  # the shape rule has seen to it
    rows = [_draw_unique(shape[1], range_max, device) for _ in range(shape[0])]
    return torch.stack([samples for samples, _ in rows]), torch.stack([draws for _, draws in rows])
