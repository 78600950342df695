"""Operators without parameters of their own, as expressions of torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mxcompat.convert.layers import short
from mxcompat.convert.steps import Source, Step, number_text
from mxcompat.convert.translate import Call, emits
from mxcompat.ops.matrix import _axis_bounds, slice_ranges
from mxcompat.ops.pool import _torch_agrees
from mxcompat.ops.reduce import reduced_axes

# -- elementwise ------------------------------------------------------------------------------------------------------

_UNARY = """abs arccos arccosh arcsin arcsinh arctan arctanh ceil cos cosh erf erfinv exp expm1 floor log log10 log1p log2
reciprocal rsqrt sigmoid sign sin sinh sqrt square tan tanh trunc""".split()
_UNARY_TEXT = {name: f"torch.{name}({{0}})" for name in _UNARY}
_UNARY_TEXT.update(
    BlockGrad="{a0}.detach()",
    cbrt="torch.sign({0}) * torch.abs({0}) ** (1 / 3)",
    degrees="torch.rad2deg({0})",
    fix="torch.trunc({0})",
    gammaln="torch.lgamma({0})",
    hard_sigmoid="torch.clamp({alpha} * {a0} + {beta}, 0, 1)",
    logical_not="torch.logical_not({0}).to({a0}.dtype)",
    negative="-{a0}",
    ones_like="torch.ones_like({0})",
    radians="torch.deg2rad({0})",
    rcbrt="torch.sign({0}) * torch.abs({0}) ** (-1 / 3)",
    relu="F.relu({0})",
    rint="torch.ceil({a0} - 0.5)",
    round="torch.sign({0}) * torch.floor(torch.abs({0}) + 0.5)",
    softsign="F.softsign({0})",
    zeros_like="torch.zeros_like({0})",
)
_NEEDS_FLOAT = set(_UNARY) - {"abs", "ceil", "floor", "sign", "square", "trunc"}


@emits(*_UNARY_TEXT)
def unary(call: Call) -> Step | Source:
    if call.operator in ("rint", "round") and "float" not in call.types[0]:
        return call.inputs[0]
    if call.operator in _NEEDS_FLOAT and "float" not in call.types[0]:
        raise call.refuse(f"{call.types[0]} data is not supported")
    numbers = {"alpha": call.params.alpha, "beta": call.params.beta} if call.operator == "hard_sigmoid" else {}
    return call.step(_UNARY_TEXT[call.operator], **numbers)


GAMMA = '''\
def gamma(x):
    """The gamma function."""
    sign = torch.where((x < 0) & (torch.floor(x) % 2 != 0), -1.0, 1.0)
    return sign * torch.exp(torch.lgamma(x))
'''


@emits("gamma")
def gamma_function(call: Call) -> Step:
    if "float" not in call.types[0]:
        raise call.refuse(f"{call.types[0]} data is not supported")
    return call.step(f"{call.helper('gamma', GAMMA)}({{0}})")


@emits("_copy", "_CrossDeviceCopy", "amp_cast")
def identity(call: Call) -> Step | Source:
    if call.types[0] != call.output_types[0]:
        return call.step(f"{{a0}}.to(torch.{call.output_types[0]})")
    return call.inputs[0]


@emits("Cast")
def cast(call: Call) -> Step | Source | None:
    if call.output_types[0] in ("int8", "uint8", "bool"):
        return None
    return identity(call)


_ACTIVATIONS = {
    "relu": "F.relu({0})",
    "sigmoid": "torch.sigmoid({0})",
    "softrelu": "F.softplus({0}, threshold=40)",
    "softsign": "F.softsign({0})",
    "tanh": "torch.tanh({0})",
}


@emits("Activation")
def activation(call: Call) -> Step:
    return call.step(_ACTIVATIONS[call.params.act_type])


_OPERATORS = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
_COMPARISONS = {
    "equal": "==",
    "not_equal": "!=",
    "greater": ">",
    "greater_equal": ">=",
    "lesser": "<",
    "lesser_equal": "<=",
}
_FUNCTIONS = {
    "maximum": "torch.maximum", "minimum": "torch.minimum", "hypot": "torch.hypot", "power": "torch.pow",
    "mod": "torch.remainder",
}  # fmt: skip
_LOGICAL = ("and", "or", "xor")


def _binary_text(call: Call, stem: str, right: str) -> str | None:
    """The text of a binary operator on ``{0}`` and ``right``."""
    dtype, result = call.types[0], call.output_types[0]
    atom = "{a1}" if right == "{1}" else right
    if stem == "div" and "float" not in dtype:
        return f'torch.div({{0}}, {right}, rounding_mode="trunc")'
    if stem in _OPERATORS:
        return f"{{a0}} {_OPERATORS[stem]} {atom}"
    if stem in _COMPARISONS:
        return f"({{a0}} {_COMPARISONS[stem]} {atom}).to(torch.{result})"
    if stem in ("hypot", "mod") and "float" not in dtype:
        return None
    if stem in _FUNCTIONS:
        return f"{_FUNCTIONS[stem]}({{0}}, {right})"
    if stem.startswith("logical_"):
        sign = {"and": "&", "or": "|", "xor": "^"}[stem[8:]]
        return f"(({{a0}} != 0) {sign} ({atom} != 0)).to(torch.{result})"
    return None


def _binary(stem: str) -> Callable[[Call], Step | None]:
    def write(call: Call) -> Step | None:
        text = _binary_text(call, stem, "{1}")
        return None if text is None else call.step(text)

    return write


for _stem in (*_OPERATORS, *_COMPARISONS, *_FUNCTIONS, *(f"logical_{name}" for name in _LOGICAL)):
    emits(f"broadcast_{_stem}", f"elemwise_{_stem}" if _stem in _OPERATORS else f"_{_stem}")(_binary(_stem))

_SCALAR_STEMS = {"plus": "add", "minus": "sub"}


@emits(
    *(f"_{name}_scalar" for name in ("plus", "minus", "mul", "div", *_COMPARISONS)),
    *(f"_logical_{name}_scalar" for name in _LOGICAL),
)
def with_scalar(call: Call) -> Step | None:
    name = call.operator[1 : -len("_scalar")]
    text = _binary_text(call, _SCALAR_STEMS.get(name, name), "{scalar}")
    return None if text is None else call.step(text, scalar=_scalar(call))


def _scalar(call: Call) -> Any:
    if "float" in call.types[0]:
        return call.params.scalar
    if not call.params.get("is_int", True):
        raise call.refuse(f"a floating-point number with {call.types[0]} data is not supported")
    return int(call.params.scalar)


@emits(
    "_rminus_scalar", "_rdiv_scalar", "_power_scalar", "_rpower_scalar", "_maximum_scalar", "_minimum_scalar", "_mod_scalar",
    "_rmod_scalar", "_hypot_scalar",
)  # fmt: skip
def with_scalar_left(call: Call) -> Step:
    texts = {
        "_rminus_scalar": "{scalar} - {a0}",
        "_rdiv_scalar": "{scalar} / {a0}",
        "_power_scalar": "{a0} ** {scalar}",
        "_rpower_scalar": "torch.pow({scalar}, {0})",
        "_maximum_scalar": "torch.clamp({0}, min={scalar})",
        "_minimum_scalar": "torch.clamp({0}, max={scalar})",
        "_mod_scalar": "torch.remainder({0}, {scalar})",
        "_rmod_scalar": "torch.remainder({scalar}, {0})",
        "_hypot_scalar": "torch.sqrt({a0} ** 2 + {scalar} ** 2)",
    }
    if "float" not in call.types[0]:
        raise call.refuse(f"{call.types[0]} data is not supported")
    scalar = call.params.scalar
    if call.operator == "_power_scalar" and scalar < 0:
        return call.step("torch.pow({0}, {scalar})", scalar=scalar)
    return call.step(texts[call.operator], scalar=scalar)


@emits("add_n")
def add_n(call: Call) -> Step | Source:
    if len(call.inputs) == 1:
        return call.inputs[0]
    return call.step(" + ".join(f"{{a{i}}}" for i in range(len(call.inputs))))


@emits("clip")
def clip(call: Call) -> Step | None:
    if "float" not in call.types[0] or call.params.a_min > call.params.a_max:
        return None
    return call.step("torch.clamp({0}, {a_min}, {a_max})", a_min=call.params.a_min, a_max=call.params.a_max)


SMOOTH_L1 = '''\
def smooth_l1(x, scalar=1.0):
    """0.5 (scalar x)^2 where |x| < 1 / scalar^2, else |x| - 0.5 / scalar^2."""
    return F.smooth_l1_loss(x, torch.zeros_like(x), reduction="none", beta=1 / scalar**2)
'''


@emits("smooth_l1")
def smooth_l1(call: Call) -> Step | None:
    if not call.params.scalar or "float" not in call.types[0]:
        return None
    call.helper("smooth_l1", SMOOTH_L1)
    return call.step("smooth_l1({0}, {scalar})", scalar=call.params.scalar)


# -- shapes -----------------------------------------------------------------------------------------------------------


@emits("Flatten")
def flatten(call: Call) -> Step | Source:
    rank = len(call.shapes[0])
    if rank == 2:
        return call.inputs[0]
    return call.step("{a0}.flatten(1)" if rank > 2 else "{a0}.unsqueeze(1)")


@emits("Reshape")
def reshape(call: Call) -> Step | Source:
    """The batch size, where a code copies or infers it, stays open; all other sizes are written out."""
    params, source, target = call.params, call.shapes[0], call.outputs[0]
    if source == target and (params.shape or params.target_shape)[0] in (0, -1):
        return call.inputs[0]
    codes = params.shape
    if len(target) > 1 and target[1:-1] == source[1 : len(target) - 1] and target[0] == source[0] and codes[:1] == (0,):
        if len(source) > len(target):
            return call.step("{a0}.flatten({axis})", axis=len(target) - 1)
    if params.reverse or not codes or any(code < -1 for code in codes):
        sizes = tuple(target)
    else:
        sizes = tuple(code if code == -1 else size for code, size in zip(codes, target))
        if -1 in sizes and codes[0] == 0:  # two open sizes: that of the batch and the inferred one
            if len(source) == 2:
                return call.step("{a0}.unflatten(1, {sizes})", sizes=sizes[1:])
            return call.step("{a0}.reshape({a0}.shape[0], " + ", ".join(map(str, sizes[1:])) + ")")
        if -1 not in sizes and codes[0] == 0:
            sizes = (-1, *sizes[1:])
    if -1 not in sizes and codes and codes[0] in (-2, -3, 0) and target[0] != 1:
        sizes = (-1, *sizes[1:])
    return call.step("{a0}.reshape(" + ", ".join(map(str, sizes)) + ")")


@emits("transpose")
def transpose(call: Call) -> Step:
    axes = call.params.axes or tuple(range(len(call.shapes[0])))[::-1]
    return call.step("{a0}.t()" if axes == (1, 0) else "{a0}.permute(" + ", ".join(map(str, axes)) + ")")


@emits("SwapAxis")
def swap_axis(call: Call) -> Step:
    return call.step("{a0}.transpose({dim1}, {dim2})", dim1=call.params.dim1, dim2=call.params.dim2)


@emits("expand_dims")
def expand_dims(call: Call) -> Step:
    return call.step("{a0}.unsqueeze({axis})", axis=call.params.axis)


@emits("squeeze")
def squeeze(call: Call) -> Step | None:
    rank = len(call.shapes[0])
    axes = call.params.axis
    axes = [i for i, n in enumerate(call.shapes[0]) if n == 1] if axes is None else [axis % rank for axis in axes]
    if len(axes) == rank:
        return call.step("{a0}.reshape(1)")
    return call.step("{a0}.squeeze(" + number_text(short(tuple(axes)) if len(axes) == 1 else tuple(axes)) + ")")


@emits("Concat", "_rnn_param_concat")
def concat(call: Call) -> Step | Source:
    if len(call.inputs) == 1:
        return call.inputs[0]
    expanded = [child for child, _ in call.node.inputs if child.op is not None and child.op.name == "expand_dims"]
    if len(expanded) == len(call.inputs) and all(child.params.axis == call.params.dim for child in expanded):
        return _stacked(call, [producer.inputs[0] for producer, _ in call.inputs if isinstance(producer, Step)], call.params.dim)
    given = ", ".join(f"{{{i}}}" for i in range(len(call.inputs)))
    return call.step(f"torch.cat(({given}), {{dim}})", dim=call.params.dim)


@emits("stack")
def stack(call: Call) -> Step:
    return _stacked(call, call.inputs, call.params.axis)


def _stacked(call: Call, inputs: list[Source], axis: int) -> Step:
    given = ", ".join(f"{{{i}}}" for i in range(len(inputs)))
    comma = "," if len(inputs) == 1 else ""
    return call.step(f"torch.stack(({given}{comma}), {{axis}})", inputs, axis=axis)


@emits("SliceChannel")
def slice_channel(call: Call) -> Step | Source:
    params = call.params
    count, axis = params.num_outputs, params.axis
    if count == 1:
        return call.step("{a0}.squeeze({axis})", axis=axis) if params.squeeze_axis else call.inputs[0]
    method = "{a0}.unbind({axis})" if params.squeeze_axis else f"{{a0}}.chunk({count}, {{axis}})"
    step = call.step(method, axis=axis)
    step.count = count
    return step


def _slices(keys: list[str]) -> str:
    while keys and keys[-1] == ":":
        keys.pop()
    return "{a0}[" + ", ".join(keys) + "]"


def _bounds(begin: int, end: int, size: int) -> str:
    return (str(begin) if begin else "") + ":" + (str(end) if end != size else "")


@emits("slice_axis")
def slice_axis(call: Call) -> Step | Source:
    axis, begin, end = _axis_bounds(call.params, call.shapes[0])
    size = call.shapes[0][axis]
    if (begin, end) == (0, size):
        return call.inputs[0]
    return call.step(_slices([":"] * axis + [_bounds(begin, end, size)]))


@emits("slice")
def slice_(call: Call) -> Step | Source | None:
    shape = call.shapes[0]
    ranges = slice_ranges(call.params, shape)
    if any(step < 1 or not count for _, step, count in ranges):
        return None
    keys = []
    for (start, step, count), size in zip(ranges, shape):
        end = start + (count - 1) * step + 1
        keys.append(_bounds(start, size if end > size - step else end, size) + (f":{step}" if step > 1 else ""))
    return call.inputs[0] if set(keys) == {":"} else call.step(_slices(keys))


CROP = '''\
def crop(image, like, offset=None):
    """A window (N, C, h, w) of an image as large as another one, from ``offset`` (y, x) on; in the middle without."""
    height, width = like.shape[2:]
    top, left = offset or ((image.shape[2] - height) // 2, (image.shape[3] - width) // 2)
    return image[:, :, top : top + height, left : left + width]
'''


@emits("Crop")
def crop(call: Call) -> Step:
    params, (height, width) = call.params, call.shapes[0][2:]
    if params.num_args == 2:
        call.helper("crop", CROP)
        if params.center_crop:
            return call.step("crop({0}, {1})")
        return call.step("crop({0}, {1}, {offset})", offset=tuple(params.offset))
    (h, w), (top, left) = params.h_w, params.offset
    if params.center_crop:
        top, left = (height - h) // 2, (width - w) // 2
    return call.step(_slices([":", ":", _bounds(top, top + h, height), _bounds(left, left + w, width)]))


@emits("reverse")
def reverse(call: Call) -> Step:
    return call.step("{a0}.flip({axis})", axis=tuple(call.params.axis))


@emits("tile")
def tile(call: Call) -> Step | None:
    reps, rank = call.params.reps, len(call.shapes[0])
    return call.step("{a0}.repeat(" + number_text((1,) * (rank - len(reps)) + tuple(reps)) + ")") if reps else None


@emits("broadcast_axis", "broadcast_to")
def broadcast(call: Call) -> Step:
    sizes = tuple(-1 if have == want else want for have, want in zip(call.shapes[0], call.outputs[0]))
    return call.step("{a0}.expand(" + ", ".join(map(str, sizes)) + ")")


@emits("broadcast_like")
def broadcast_like(call: Call) -> Step | None:
    return call.step("{a0}.expand_as({1})") if call.params.lhs_axes is None else None


@emits("Pad")
def pad(call: Call) -> Step:
    widths = call.params.pad_width
    given = tuple(w for axis in range(len(call.shapes[0]) - 1, 1, -1) for w in widths[2 * axis : 2 * axis + 2])
    if call.params.mode == "constant":
        value = call.params.constant_value
        return call.step("F.pad({0}, {pad}" + (", value={value}" if value else "") + ")", pad=given, value=value)
    mode = "replicate" if call.params.mode == "edge" else "reflect"
    return call.step(f'F.pad({{0}}, {{pad}}, mode="{mode}")', pad=given)


# -- reductions, products, look-ups ------------------------------------------------------------------------------------

_REDUCTIONS = {"sum": "sum", "mean": "mean", "max": "amax", "min": "amin", "nansum": "nansum"}


@emits(*_REDUCTIONS)
def reduction(call: Call) -> Step | Source:
    params, rank = call.params, len(call.shapes[0])
    axes = reduced_axes(rank, params.axis, params.exclude)
    if not axes:
        return call.inputs[0]
    if "float" not in call.types[0] and call.operator not in ("max", "min"):
        raise call.refuse(f"{call.types[0]} data is not supported")
    dims = number_text(axes[0] if len(axes) == 1 else tuple(axes))
    if len(axes) == rank and not params.keepdims:
        return call.step(f"{{a0}}.{_REDUCTIONS[call.operator]}().reshape(1)")
    keep = ", keepdim=True" if params.keepdims else ""
    return call.step(f"{{a0}}.{_REDUCTIONS[call.operator]}({dims}{keep})")


@emits("prod")
def product(call: Call) -> Step | Source:
    params, rank = call.params, len(call.shapes[0])
    axes = reduced_axes(rank, params.axis, params.exclude)
    if not axes:
        return call.inputs[0]
    if "float" not in call.types[0]:
        raise call.refuse(f"{call.types[0]} data is not supported")
    if len(axes) == rank and not params.keepdims:
        return call.step("{a0}.prod().reshape(1)")
    keep = ", keepdim=True" if params.keepdims else ""
    return call.step("{a0}" + "".join(f".prod({axis}{keep})" for axis in sorted(axes, reverse=True)))


@emits("argmax", "argmin")
def position(call: Call) -> Step | None:
    params = call.params
    if params.axis is None:
        return None
    keep = ", keepdim=True" if params.keepdims else ""
    tail = "" if params.keepdims or len(call.shapes[0]) > 1 else ".reshape(1)"
    return call.step(f"{{a0}}.{call.operator}({params.axis}{keep}).to(torch.{call.output_types[0]}){tail}")


@emits("argmax_channel")
def argmax_channel(call: Call) -> Step:
    return call.step(f"{{a0}}.argmax(1).to(torch.{call.output_types[0]})")


@emits("dot")
def dot(call: Call) -> Step | None:
    if len(call.shapes[0]) != 2 or len(call.shapes[1]) != 2:
        return None
    left = "{a0}.t()" if call.params.transpose_a else "{a0}"
    right = "{a1}.t()" if call.params.transpose_b else "{a1}"
    return call.step(f"{left} @ {right}")


@emits("batch_dot")
def batch_dot(call: Call) -> Step:
    left = "{a0}.transpose(-1, -2)" if call.params.transpose_a else "{0}"
    right = "{a1}.transpose(-1, -2)" if call.params.transpose_b else "{1}"
    return call.step(f"torch.matmul({left}, {right})")


@emits("softmax", "log_softmax", "softmin")
def softmax(call: Call) -> Step | None:
    params = call.params
    if params.use_length or params.dtype is not None:
        return None
    function = "log_softmax" if call.operator == "log_softmax" else "softmax"
    data = "-{a0}" if call.operator == "softmin" else "{0}"
    if params.temperature is not None:
        data = "-{a0} / {temperature}" if call.operator == "softmin" else "{a0} / {temperature}"
        return call.step(f"F.{function}({data}, dim={{axis}})", axis=params.axis, temperature=params.temperature)
    return call.step(f"F.{function}({data}, dim={{axis}})", axis=params.axis)


@emits("SoftmaxActivation")
def softmax_activation(call: Call) -> Step | None:
    if call.params.mode == "channel":
        return call.step("F.softmax({0}, dim=1)")
    return call.step("F.softmax({0}, dim=1)") if len(call.shapes[0]) == 2 else None


@emits("LRN")
def local_response_norm(call: Call) -> Step:
    params = call.params
    window = params.nsize - 1 + params.nsize % 2  # an even window loses one channel and stays centred
    return call.step(
        "F.local_response_norm({0}, {size}, {alpha}, {beta}, {k})",
        size=window, alpha=params.alpha * window / params.nsize, beta=params.beta, k=params.knorm,
    )  # fmt: skip


# -- pooling ----------------------------------------------------------------------------------------------------------


@emits("Pooling", "Pooling_v1")
def pooling(call: Call) -> Step | None:
    params, space = call.params, call.shapes[0][2:]
    axes = len(space)
    if params.get("layout") not in (None, "NCW", "NCHW", "NCDHW") or params.pool_type not in ("max", "avg"):
        return None
    if params.global_pool:
        return call.step(f"F.adaptive_{params.pool_type}_pool{axes}d({{0}}, 1)")
    stride, pad = params.stride or (1,) * axes, params.pad or (0,) * axes
    full = params.pooling_convention == "full"
    windows = list(zip(space, params.kernel, stride, pad))
    if params.pooling_convention == "same" and call.outputs[0] != _floor_shape(call, windows):
        return None  # windows that the border cuts
    if not _torch_agrees(windows, full) or (call.operator == "Pooling_v1" and (params.pool_type == "avg" or any(pad))):
        return None
    options: dict[str, Any] = {"stride": short(tuple(stride))}
    if any(pad):
        options["padding"] = short(tuple(pad))
    if full and call.outputs[0] != _floor_shape(call, windows):
        options["ceil_mode"] = True
    if params.pool_type == "avg" and params.count_include_pad is False and any(pad):
        options["count_include_pad"] = False
    text = "".join(f", {name}={{{name}}}" for name in options)
    return call.step(
        f"F.{params.pool_type}_pool{axes}d({{0}}, {{kernel_size}}{text})", kernel_size=short(params.kernel), **options
    )


def _floor_shape(call: Call, windows: list[tuple[int, int, int, int]]) -> tuple[int, ...]:
    return (*call.shapes[0][:2], *(1 + (n + 2 * p - k) // s for n, k, s, p in windows))


# -- creation ---------------------------------------------------------------------------------------------------------


@emits("_zeros", "_ones", "_full", "_zeros_without_dtype")
def created(call: Call) -> Step:
    """A size that the symbol leaves open is that of an input, mostly the batch size."""
    sizes = []
    given = call.params.shape or ()
    inputs = call.translator.checkpoint.by_role("input")
    for axis, size in enumerate(call.outputs[0]):
        is_open = not given or (axis < len(given) and given[axis] == 0)
        places = [i for i, n in enumerate(inputs[0].shape) if n == size] if inputs and is_open else []
        sizes.append(f"{{like}}.shape[{places[0]}]" if len(places) == 1 else str(size))
    shape = f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"
    dtype = call.output_types[0]
    ending = ("" if dtype == "float32" else f"dtype=torch.{dtype}, ") + "device={like}.device"
    if call.operator == "_full":
        return call.step(f"torch.full({shape}, {{value}}, {ending})", value=call.params.value)
    return call.step(f"torch.{'ones' if call.operator == '_ones' else 'zeros'}({shape}, {ending})")


@emits("_arange")
def arange(call: Call) -> Step | None:
    params, count = call.params, call.outputs[0][0]
    if params.repeat != 1 or "float" not in call.output_types[0]:
        return None
    start = 0.0 if params.stop is None and not params.infer_range else params.start
    text = f"torch.arange({count}, dtype=torch.{call.output_types[0]}, device={{like}}.device)"
    text = text if params.step == 1 else f"{text} * {number_text(params.step)}"
    return call.step(text if not start else f"{text} + {number_text(start)}")
