"""Elementwise operators of one array, of two arrays of one shape, and of any number of them."""

import math
from collections.abc import Callable

import torch

from mxcompat.base import MXNetError
from mxcompat.ops.dtypes import NAME_BY_TORCH, TORCH_BY_NAME, fixed_output, in_type, output_from, unify
from mxcompat.ops.registry import register
from mxcompat.ops.schema import Bool, DType, Float, Int, Params
from mxcompat.ops.shape import forward_rule, merge, same_shape

# -- families -------------------------------------------------------------------------------------------------------


def define(fn: Callable, name: str, doc: str) -> Callable:
    """Give a function made from a table row the identity of a hand-written one (graphs print it)."""
    fn.__name__ = fn.__qualname__ = name.strip("_").lower()
    fn.__module__ = __name__
    fn.__doc__ = doc
    return fn


def in_floating(function: Callable) -> Callable:
    """``function`` of an integer array: computed in float64, then cut back to the array's own type, as C does."""

    def computed(data):
        if data.is_floating_point():
            return function(data)
        return cast_tensor(function(data.to(torch.float64)), data.dtype)

    return computed


def taped(*tensors: torch.Tensor) -> bool:
    """Whether a gradient may flow through a result; where none can, custom functions are not worth their overhead."""
    return torch.is_grad_enabled() and any(t.requires_grad for t in tensors)


def _round_away(data):
    """Halves away from zero."""
    return torch.sign(data) * torch.floor(torch.abs(data) + 0.5)


def _rint(data):
    """Halves down, unlike torch.round."""
    return torch.ceil(data - 0.5)


def _gamma_function(data):
    """The gamma function; its sign for negative arguments alternates between the poles, where it is nan."""
    magnitude = torch.exp(torch.lgamma(data))
    whole = torch.floor(data)
    negative = torch.signbit(data) & ((data == 0) | (torch.remainder(whole, 2) == 1))
    signed = torch.where(negative, -magnitude, magnitude)
    return torch.where((data < 0) & (data == whole), torch.nan, signed)


class _Differentiable(torch.autograd.Function):
    """A function with its derivative written out: right at 0 and infinity, where the chain rule gives nan."""

    @staticmethod
    def forward(ctx, data, function, derivative):
        result = function(data)
        ctx.save_for_backward(data, result)
        ctx.derivative = derivative
        return result

    @staticmethod
    def backward(ctx, gradient):
        return gradient * ctx.derivative(*ctx.saved_tensors), None, None


def _cube_root(data):
    return torch.copysign(torch.pow(torch.abs(data), 1 / 3), data)


def differentiable(data: torch.Tensor, function: Callable, derivative: Callable) -> torch.Tensor:
    """``function(data)``, whose gradient is ``derivative(data, result)``."""
    return _Differentiable.apply(data, function, derivative) if taped(data) else function(data)


def _cbrt(data):
    return differentiable(data, _cube_root, lambda x, y: 1 / (3 * y * y))


def _rcbrt(data):
    return differentiable(data, lambda x: 1 / _cube_root(x), lambda x, y: -y / (3 * x))


def _psi(data):
    """The logarithmic derivative of the gamma function, infinite at its poles."""
    pole = (data <= 0) & (data == torch.floor(data))
    return torch.where(pole, math.inf, torch.digamma(data))


def _gamma(data):
    return differentiable(data, _gamma_function, lambda x, y: y * _psi(x))


def _gammaln(data):
    return differentiable(data, torch.lgamma, lambda x, y: _psi(x))


def _softsign(data):
    def derivative(x, y):
        scale = 1 + torch.abs(x)
        return 1 / (scale * scale)

    return differentiable(data, lambda x: x / (1 + torch.abs(x)), derivative)


class _Relu(torch.autograd.Function):
    """max(x, 0) with the gradient 1 above 0 and 0 below and at it. Compat: it is nan where x is."""

    @staticmethod
    def forward(ctx, data):
        result = torch.relu(data)
        ctx.save_for_backward(result)
        return result

    @staticmethod
    def backward(ctx, gradient):
        (result,) = ctx.saved_tensors
        return gradient * torch.where(result > 0, 1, result)


def _relu(data):
    return _Relu.apply(data) if taped(data) else torch.relu(data)


#: name -> (function, text, and True where the gradient is zero)
_UNARY: dict[str, tuple[Callable, str, bool]] = {
    "abs": (torch.abs, "|x|; the gradient at 0 is 0.", False),
    "arccos": (torch.arccos, "Inverse cosine in [0, pi].", False),
    "arccosh": (torch.arccosh, "Inverse hyperbolic cosine.", False),
    "arcsin": (torch.arcsin, "Inverse sine in [-pi/2, pi/2].", False),
    "arcsinh": (torch.arcsinh, "Inverse hyperbolic sine.", False),
    "arctan": (torch.arctan, "Inverse tangent in [-pi/2, pi/2].", False),
    "arctanh": (torch.arctanh, "Inverse hyperbolic tangent.", False),
    "cbrt": (_cbrt, "Cube root.", False),
    "ceil": (torch.ceil, "The next integer towards +infinity; zero gradient.", True),
    "cos": (torch.cos, "Cosine of radians.", False),
    "cosh": (torch.cosh, "Hyperbolic cosine.", False),
    "degrees": (lambda x: x * (180.0 / math.pi), "Radians to degrees.", False),
    "erf": (torch.erf, "Gauss error function.", False),
    "erfinv": (torch.erfinv, "Inverse of erf; infinite at 1 and -1, nan beyond.", False),
    "exp": (torch.exp, "e ** x.", False),
    "expm1": (torch.expm1, "e ** x - 1, exact near 0.", False),
    "fix": (torch.trunc, "The integer part; zero gradient.", True),
    "floor": (torch.floor, "The next integer towards -infinity; zero gradient.", True),
    "gamma": (_gamma, "The gamma function.", False),
    "gammaln": (_gammaln, "Logarithm of the absolute value of the gamma function.", False),
    "log": (torch.log, "Natural logarithm; -inf at 0, nan below.", False),
    "log10": (torch.log10, "Logarithm to base 10.", False),
    "log1p": (torch.log1p, "log(1 + x), exact near 0.", False),
    "log2": (torch.log2, "Logarithm to base 2.", False),
    "negative": (torch.neg, "-x.", False),
    "radians": (lambda x: x * (math.pi / 180.0), "Degrees to radians.", False),
    "rcbrt": (_rcbrt, "One over the cube root.", False),
    "reciprocal": (lambda x: 1 / x, "1 / x.", False),
    "relu": (_relu, "max(x, 0); the gradient at 0 is 0, at nan nan.", False),
    "rint": (_rint, "The nearest integer, halves down; zero gradient.", True),
    "round": (_round_away, "The nearest integer, halves away from zero; zero gradient.", True),
    "rsqrt": (torch.rsqrt, "One over the square root; infinite at 0.", False),
    "sigmoid": (torch.sigmoid, "1 / (1 + e ** -x).", False),
    "sign": (torch.sign, "-1, 0 or 1; zero gradient (which, unlike that of floor, needs a head gradient).", False),
    "sin": (torch.sin, "Sine of radians.", False),
    "sinh": (torch.sinh, "Hyperbolic sine.", False),
    "softsign": (_softsign, "x / (1 + |x|).", False),
    "sqrt": (torch.sqrt, "Square root; nan below 0.", False),
    "square": (lambda x: x * x, "x * x.", False),
    "tan": (torch.tan, "Tangent of radians.", False),
    "tanh": (torch.tanh, "Hyperbolic tangent.", False),
    "trunc": (torch.trunc, "The integer part; zero gradient.", True),
}
_NO_SPARSE = {"erf", "erfinv", "softsign", "reciprocal", "rcbrt"}
_EXACT_ON_INTEGERS = {"abs", "ceil", "fix", "floor", "negative", "relu", "rint", "round", "sign", "square", "trunc"}


def _unary(name: str, function: Callable, text: str, zero_gradient: bool) -> None:
    if name in _EXACT_ON_INTEGERS and not zero_gradient:
        body = function
    elif zero_gradient:

        def body(data):
            return function(data.detach()) if data.is_floating_point() else data.clone()

    else:
        body = in_floating(function)

    def operator(data):
        return body(data)

    aliases = () if name in _NO_SPARSE else (f"_sparse_{name}",)
    register(name, aliases, infer_shape=same_shape, stops_gradient=zero_gradient)(
        define(operator, name, f"{text}\n\ndata of any shape -> the same shape and type.")
    )


for _name, (_function, _text, _zero) in _UNARY.items():
    _unary(_name, _function, _text, _zero)


class _Chosen(torch.autograd.Function):
    """``function(lhs, rhs)``, one of the two; the gradient goes to the left where ``wins(lhs, rhs)``, else to the right."""

    @staticmethod
    def forward(ctx, lhs, rhs, function, wins):
        ctx.save_for_backward(wins(lhs, rhs))
        return function(lhs, rhs)

    @staticmethod
    def backward(ctx, gradient):
        (left,) = ctx.saved_tensors
        return torch.where(left, gradient, 0), torch.where(left, 0, gradient), None, None


def maximum(lhs, rhs):
    """The larger; a tie counts for the left one."""
    if not taped(lhs, rhs):
        return torch.maximum(lhs, rhs)
    return _Chosen.apply(*torch.broadcast_tensors(lhs, rhs), torch.maximum, torch.ge)


def minimum(lhs, rhs):
    """The smaller; a tie counts for the left one."""
    if not taped(lhs, rhs):
        return torch.minimum(lhs, rhs)
    return _Chosen.apply(*torch.broadcast_tensors(lhs, rhs), torch.minimum, torch.le)


def divide(lhs, rhs):
    """Quotient; of integers it is cut towards zero, as in C."""
    if lhs.is_floating_point():
        return lhs / rhs
    return torch.div(lhs, rhs, rounding_mode="trunc")


class _Modulo(torch.autograd.Function):
    """Remainder with the sign of the divisor, 0 for the divisor 0 (and for -1, which traps where the quotient overflows).

    Gradients: head to the left, -head * floor(lhs / rhs) to the right.
    """

    @staticmethod
    def forward(ctx, lhs, rhs):
        ctx.save_for_backward(lhs, rhs)
        if not rhs.is_floating_point():
            trap = rhs == 0 if rhs.dtype is torch.uint8 else (rhs == 0) | (rhs == -1)
            return torch.remainder(lhs, torch.where(trap, 1, rhs))
        zero = rhs == 0
        return torch.where(zero, 0, torch.remainder(lhs, torch.where(zero, 1, rhs)))

    @staticmethod
    def backward(ctx, gradient):
        lhs, rhs = ctx.saved_tensors
        return gradient, -gradient * torch.floor(lhs / rhs)


def modulo(lhs, rhs):
    """Remainder with the sign of the divisor."""
    lhs, rhs = torch.broadcast_tensors(lhs, rhs)
    return _Modulo.apply(lhs, rhs)


class _Power(torch.autograd.Function):
    """lhs ** rhs; gradients head * rhs * lhs ** (rhs - 1) and head * lhs ** rhs * log(lhs), not finite where lhs is 0."""

    @staticmethod
    def forward(ctx, lhs, rhs):
        result = torch.pow(lhs, rhs)
        ctx.save_for_backward(lhs, rhs, result)
        return result

    @staticmethod
    def backward(ctx, gradient):
        lhs, rhs, result = ctx.saved_tensors
        left = gradient * rhs * torch.pow(lhs, rhs - 1) if ctx.needs_input_grad[0] else None
        return left, gradient * result * torch.log(lhs) if ctx.needs_input_grad[1] else None


def power(lhs, rhs):
    """lhs ** rhs, computed in floating point for integers too."""
    if taped(lhs, rhs):
        return _Power.apply(*torch.broadcast_tensors(lhs, rhs))
    if lhs.is_floating_point():
        return torch.pow(lhs, rhs)
    return torch.pow(lhs.to(torch.float64), rhs.to(torch.float64)).to(lhs.dtype)


def hypotenuse(lhs, rhs):
    """sqrt(lhs ** 2 + rhs ** 2)."""
    if lhs.is_floating_point():
        return torch.hypot(lhs, rhs)
    return torch.hypot(lhs.to(torch.float64), rhs.to(torch.float64)).to(lhs.dtype)


def comparison(function: Callable) -> Callable:
    """A comparison whose result is 1 or 0 in the type of its operands."""

    def compared(lhs, rhs):
        return function(lhs, rhs).to(lhs.dtype)

    return compared


def reject_zero_divisor(params: Params, lhs: torch.Tensor, rhs: torch.Tensor) -> None:
    """Integer division by zero, or of the least number by -1 (the original's process dies of both)."""
    if rhs.is_floating_point():
        return
    if bool((rhs == 0).any()):
        raise MXNetError("integer division by zero")
    if lhs.dtype in (torch.int32, torch.int64) and bool(((rhs == -1) & (lhs == torch.iinfo(lhs.dtype).min)).any()):
        raise MXNetError(f"integer division overflows: {torch.iinfo(lhs.dtype).min} / -1")


#: operators of two arrays: stem -> (function, text, True for comparisons)
BINARY: dict[str, tuple[Callable, str, bool]] = {
    "add": (torch.add, "lhs + rhs.", False),
    "sub": (torch.sub, "lhs - rhs.", False),
    "mul": (torch.mul, "lhs * rhs.", False),
    "div": (divide, "lhs / rhs; integers are cut towards zero, and dividing them by zero raises.", False),
    "mod": (modulo, "The remainder with the sign of rhs; 0 where rhs is 0.", False),
    "power": (power, "lhs ** rhs.", False),
    "maximum": (maximum, "The larger one; in a tie the gradient goes to lhs.", False),
    "minimum": (minimum, "The smaller one; in a tie the gradient goes to lhs.", False),
    "hypot": (hypotenuse, "sqrt(lhs ** 2 + rhs ** 2).", False),
    "equal": (comparison(torch.eq), "1 where lhs == rhs, else 0.", True),
    "not_equal": (comparison(torch.ne), "1 where lhs != rhs, else 0.", True),
    "greater": (comparison(torch.gt), "1 where lhs > rhs, else 0.", True),
    "greater_equal": (comparison(torch.ge), "1 where lhs >= rhs, else 0.", True),
    "lesser": (comparison(torch.lt), "1 where lhs < rhs, else 0.", True),
    "lesser_equal": (comparison(torch.le), "1 where lhs <= rhs, else 0.", True),
    "logical_and": (comparison(torch.logical_and), "1 where both are not 0, else 0.", True),
    "logical_or": (comparison(torch.logical_or), "1 where one is not 0, else 0.", True),
    "logical_xor": (comparison(torch.logical_xor), "1 where exactly one is not 0, else 0.", True),
}
#: stem -> registered name and aliases of the operator on equal shapes
_SAME_SHAPE_NAMES = {
    "add": ("elemwise_add", "_Plus", "_add", "_plus", "_sparse_elemwise_add"),
    "sub": ("elemwise_sub", "_Minus", "_minus", "_sparse_elemwise_sub", "_sub"),
    "mul": ("elemwise_mul", "_Mul", "_mul", "_sparse_elemwise_mul"),
    "div": ("elemwise_div", "_Div", "_div", "_sparse_elemwise_div"),
}


def binary_operator(name: str, function: Callable, text: str) -> Callable:
    """The catalogue function of one row."""

    def operator(lhs, rhs):
        return function(lhs, rhs)

    return define(operator, name, text)


for _stem, (_function, _text, _is_comparison) in BINARY.items():
    _title = "_".join(part.capitalize() for part in _stem.split("_"))
    _main, *_aliases = _SAME_SHAPE_NAMES.get(_stem, (f"_{_stem}", f"_{_title}"))
    register(
        _main,
        _aliases,
        infer_shape=same_shape,
        check=reject_zero_divisor if _stem == "div" else None,
        stops_gradient=_is_comparison,
    )(binary_operator(_main, _function, f"{_text}\n\nlhs and rhs of one shape and type -> the same (no broadcasting)."))


@register("_grad_add", infer_shape=same_shape, no_gradient=True)
def grad_add(lhs, rhs):
    """lhs + rhs, as gradients are summed.

    Both of one shape and type -> the same.
    """
    return lhs + rhs


@register("_scatter_elemwise_div", infer_shape=same_shape, check=reject_zero_divisor)
def scatter_elemwise_div(lhs, rhs):
    """lhs / rhs.

    Both of one shape and type -> the same.
    """
    return divide(lhs, rhs)


@register(
    "add_n",
    ("ElementWiseSum", "_sparse_ElementWiseSum", "_sparse_add_n"),
    infer_shape=same_shape,
    variadic="num_args",
    may_view=True,
)
def add_n(*args, num_args: Int(min=1)):
    """The sum of any number of arrays of one shape and type -> the same."""
    total = args[0]
    for other in args[1:]:
        total = total + other
    return total


# -- identities and constants -----------------------------------------------------------------------------------------


@register("_copy", ("identity",), infer_shape=same_shape, may_view=True)
def identity(data):
    """A copy of the array; the gradient passes."""
    return data


@register("_CrossDeviceCopy", infer_shape=same_shape, may_view=True)
def cross_device_copy(data):
    """A copy of the array; graphs of the original have it where an array goes from one device to another."""
    return data


@register(
    "BlockGrad", ("_sparse_stop_gradient", "stop_gradient"), infer_shape=same_shape, may_view=True, stops_gradient=True
)
def block_grad(data):
    """A copy of the array whose gradient is zero; nothing before it is differentiated through it."""
    return data.detach()


class _MakeLoss(torch.autograd.Function):
    """Identity; the gradient is one everywhere, whatever the head gradient."""

    @staticmethod
    def forward(ctx, data):
        return data.clone()

    @staticmethod
    def backward(ctx, gradient):
        return torch.ones_like(gradient)


@register("make_loss", ("_sparse_make_loss",), infer_shape=same_shape, loss=True, output_names=("loss",))
def make_loss(data):
    """Marks a value as the loss: identity whose gradient is one everywhere."""
    return _MakeLoss.apply(data)


@register("_identity_with_attr_like_rhs", infer_shape=same_shape, may_view=True)
def identity_with_attr_like_rhs(lhs, rhs):
    """lhs, with shape and type inferred from rhs too."""
    return lhs + torch.zeros_like(rhs)


@register("zeros_like", ("_sparse_zeros_like",), infer_shape=same_shape, stops_gradient=True)
def zeros_like(data):
    """Zeros of the shape and type of ``data``."""
    return torch.zeros_like(data)


@register("ones_like", infer_shape=same_shape, stops_gradient=True)
def ones_like(data):
    """Ones of the shape and type of ``data``."""
    return torch.ones_like(data)


@register("logical_not", infer_shape=same_shape, stops_gradient=True)
def logical_not(data):
    """1 where the array is 0, else 0, in the array's type."""
    return torch.logical_not(data).to(data.dtype)


@register(
    "shape_array",
    infer_shape=forward_rule(lambda params, data: (len(data),), partial=True),
    infer_type=fixed_output("int64"),
    stops_gradient=True,
)
def shape_array(data):
    """The sizes of the axes as an int64 array of shape (ndim,)."""
    return torch.tensor(data.shape, dtype=torch.int64, device=data.device)


@register(
    "size_array",
    infer_shape=lambda params, ins, outs: (ins, [(1,)]),
    infer_type=fixed_output("int64"),
    stops_gradient=True,
)
def size_array(data):
    """The number of elements as an int64 array of shape (1,)."""
    return torch.tensor([data.numel()], dtype=torch.int64, device=data.device)


# -- types --------------------------------------------------------------------------------------------------------------


def cast_tensor(data: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """``data`` in another type: floats are cut, out-of-range integers wrap as in C, bool is ``!= 0``."""
    if dtype is torch.bool:
        return data != 0
    if data.is_floating_point() and dtype in (torch.int8, torch.uint8):
        return data.to(torch.int32).to(dtype)
    return data.to(dtype)


@register("Cast", ("cast",), infer_shape=same_shape, infer_type=output_from("dtype"), may_view=True)
def cast(data, *, dtype: DType()):
    """The array in another element type; the gradient is cast back."""
    return cast_tensor(data, TORCH_BY_NAME[dtype])


@register("amp_cast", infer_shape=same_shape, infer_type=output_from("dtype"), may_view=True)
def amp_cast(data, *, dtype: DType("bfloat16", "float16", "float32", "float64", "int32", "int64", "int8", "uint8")):
    """The array in another type where both are floating, else the array as it is declared."""
    return cast_tensor(data, TORCH_BY_NAME[dtype])


_WIDTH = {torch.float16: 0, torch.bfloat16: 1, torch.float32: 2, torch.float64: 3}


def _common_type(cast_narrow: bool, types: list) -> torch.dtype | None:
    floats = [t for t in types if t in _WIDTH]
    if not floats:
        return None
    return (min if cast_narrow else max)(floats, key=_WIDTH.__getitem__)


def _multicast_type(params: Params, ins: list, outs: list) -> tuple[list, list]:
    if any(t is None for t in ins):
        return ins, outs
    common = _common_type(params.cast_narrow, ins)
    return ins, [common if t in _WIDTH else t for t in ins]


def _pairwise_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    shapes = [merge(a, b) for a, b in zip(ins, outs)]
    return shapes, shapes


@register(
    "amp_multicast",
    infer_shape=_pairwise_shape,
    infer_type=_multicast_type,
    variadic="num_outputs",
    outputs=lambda params: params.num_outputs,
    may_view=True,
)
def amp_multicast(*data, num_outputs: Int(min=1), cast_narrow: Bool = False):
    """All inputs in the widest of their floating types (the narrowest with ``cast_narrow``)."""
    common = _common_type(cast_narrow, [x.dtype for x in data])
    results = tuple(x.to(common) if x.dtype in _WIDTH else x for x in data)
    return results[0] if len(results) == 1 else results


# -- with parameters ------------------------------------------------------------------------------------------------------


@register("clip", ("_sparse_clip",), infer_shape=same_shape)
def clip(data, *, a_min: Float, a_max: Float):
    """The array limited to [a_min, a_max]; the gradient passes inside and at the bounds."""
    if a_min > a_max:  # the upper bound is applied to what lies above it, the lower one to the rest
        upper, lower = in_type(a_max, data.dtype), in_type(a_min, data.dtype)
        return torch.where(data > a_max, upper, torch.where(data < a_min, lower, data))
    if data.is_floating_point():
        return torch.clamp(data, a_min, a_max)
    return torch.clamp(data.to(torch.float64), a_min, a_max).to(data.dtype)


@register("smooth_l1", infer_shape=same_shape)
def smooth_l1(data, *, scalar: Float = 1.0):
    """0.5 (s x)^2 where |x| < 1 / s^2, else |x| - 0.5 / s^2, with s the ``scalar``."""
    squared = in_type(scalar, data.dtype) ** 2
    bound = 1.0 / squared if squared else math.inf

    def loss(x):
        magnitude = torch.abs(x)
        return torch.where(magnitude > bound, magnitude - 0.5 * bound, 0.5 * squared * x * x)

    def derivative(x, y):
        return torch.clamp(squared * x, -1.0, 1.0)

    if not data.is_floating_point():
        return loss(data.to(torch.float32)).to(data.dtype)
    return differentiable(data, loss, derivative)


def _require_floating(data: torch.Tensor) -> torch.Tensor:
    """The array itself; the original finds only when it computes that it cannot do so with integers."""
    if not data.is_floating_point():
        raise MXNetError(f"expected a floating type, got {NAME_BY_TORCH[data.dtype]}")
    return data


@register("hard_sigmoid", infer_shape=same_shape)
def hard_sigmoid(data, *, alpha: Float = 0.2, beta: Float = 0.5):
    """max(0, min(1, alpha x + beta)); the gradient is 0 at both bounds."""
    return torch.nn.functional.hardtanh(alpha * _require_floating(data) + beta, 0.0, 1.0)


def _finite_type(params: Params, ins: list, outs: list) -> tuple[list, list]:
    return [unify(ins)] * len(ins), [torch.float32]


def _finite_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    if not params.init_output:
        raise MXNetError("init_output=False: results of several calls cannot be gathered in one array; combine them")
    return ins, [(1,)]


@register("all_finite", infer_shape=_finite_shape, infer_type=_finite_type, stops_gradient=True, no_gradient=True)
def all_finite(data, *, init_output: Bool = True):
    """1 in an array of shape (1,) when every element is finite, else 0; ``init_output=False`` raises."""
    return torch.isfinite(_require_floating(data)).all().to(torch.float32).reshape(1)


@register(
    "multi_all_finite",
    infer_shape=_finite_shape,
    infer_type=_finite_type,
    variadic="num_arrays",
    stops_gradient=True,
    no_gradient=True,
)
def multi_all_finite(*data, num_arrays: Int(min=1) = 1, init_output: Bool = True):
    """1 in an array of shape (1,) when every element of every array is finite, else 0; ``init_output=False`` raises."""
    finite = torch.stack([torch.isfinite(_require_floating(x)).all() for x in data]).all()
    return finite.to(torch.float32).reshape(1)
