"""What the two faces of the catalogue share: where a name belongs, its signature and docstring, and argument splitting."""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from mxcompat.base import MXNetError, _Null
from mxcompat.ops.reference import why_excluded
from mxcompat.ops.schema import NoEffect, Operator

#: prefix of a registry name -> submodule of mx.nd and mx.sym in which the rest of the name is public
PREFIXES = {
    "_contrib_": "contrib",
    "_linalg_": "linalg",
    "_sparse_": "sparse",
    "_image_": "image",
    "_random_": "random",
}
SUBMODULES = ("op", "_internal", "contrib", "linalg", "sparse", "image", "random")

#: what follows inputs and parameters in the functions of mx.nd, and in those of mx.sym
ARRAY_TAIL, SYMBOL_TAIL = ("out", "name"), ("name", "attr", "out")

#: methods of NDArray and Symbol that only pass the object on as the first input
METHODS = """abs arccos arccosh arcsin arcsinh arctan arctanh argmax argmax_channel argmin argsort broadcast_axes cbrt ceil
clip cos cosh degrees depth_to_space exp expm1 fix flip floor log log10 log1p log2 log_softmax max mean min nanprod nansum
norm one_hot ones_like pad pick prod radians rcbrt reciprocal relu repeat reshape_like rint round rsqrt shape_array sigmoid
sign sin sinh size_array slice slice_axis slice_like softmax softmin sort space_to_depth split split_v2 sqrt square sum
swapaxes take tan tanh tile topk trunc zeros_like""".split()


def place(name: str) -> tuple[str, str]:
    """Submodule and public name of a registry name: ``_contrib_Proposal`` is ``contrib.Proposal``."""
    for prefix, module in PREFIXES.items():
        if name.startswith(prefix) and (module != "random" or name.endswith("_like")):
            return module, name[len(prefix) :]
    return ("_internal" if name.startswith("_") else "op"), name


@functools.cache
def _parameter(name: str, default: Any) -> inspect.Parameter:
    """A parameter by position or keyword; many functions share one, as making them takes longer than the functions."""
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default)


@functools.cache
def signature(op: Operator, symbolic: bool) -> inspect.Signature:
    """The signature as the original's generated functions show it."""
    rest = inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD)
    if op.variadic is not None:
        return inspect.Signature([inspect.Parameter("data", inspect.Parameter.VAR_POSITIONAL), rest])
    entries = [_parameter(name, None) for name in op.inputs]
    entries += [_parameter(name, _Null) for name in op.params if name.isidentifier()]
    entries += [_parameter(name, None) for name in (SYMBOL_TAIL if symbolic else ARRAY_TAIL)]
    return inspect.Signature([*entries, rest])


def docstring(op: Operator, kind: str) -> str:
    """The operator's text, then its inputs (of class ``kind``) and parameters with kind and default."""
    lines = [op.doc, "", "Parameters", "----------"]
    if op.variadic is not None:
        lines.append(f"data : {kind}, any number of them" + (f" (`{op.variadic}`)" if op.variadic else ""))
    else:
        lines += [f"{name} : {kind}" + (" (auxiliary state)" if name in op.aux else "") for name in op.inputs]
    for param in op.params.values():
        text = f"{param.name} : {param.kind.text}, "
        text += "required" if param.required else f"default {param.default!r}"
        lines.append(text + (" (accepted, has no effect)" if isinstance(param.kind, NoEffect) else ""))
    if op.aliases:
        lines += ["", "Other names: " + ", ".join(op.aliases)]
    return "\n".join(lines)


def refusal(name: str) -> Callable:
    """What stands in the place of an operator that is left out: calling it raises ``MXNetError`` with the reason."""

    def function(*args: Any, **kwargs: Any) -> Any:
        raise MXNetError(f"operator {name} is not supported: {function.reason}")  # type: ignore[attr-defined]

    function.__name__ = function.__qualname__ = place(name)[1]
    function.reason = why_excluded(name)  # type: ignore[attr-defined]
    function.__doc__ = f"Not supported: {why_excluded(name)}."
    return function


def split_tail(op: Operator, args: tuple, tail: Sequence[str]) -> tuple[tuple, dict[str, Any]]:
    """Positional arguments without those behind the parameters, and these by the names in ``tail``.

    ``TypeError`` for more than there are names.
    """
    count = len(op.inputs) + len(op.params)
    if op.variadic is not None or len(args) <= count:
        return args, {}
    if len(args) > count + len(tail):
        raise TypeError(f"{op.name}() takes at most {count + len(tail)} positional arguments, {len(args)} given")
    return args[:count], dict(zip(tail, args[count:]))


def split_arguments(
    op: Operator, args: Sequence[Any], kwargs: dict[str, Any]
) -> tuple[list, dict[str, Any], dict[str, Any]]:
    """Positional inputs, inputs by keyword, and parameters of one call, as the original's generated functions bind them.

    Positional arguments beyond the inputs are parameters in their order; ``_Null`` means not given. ``TypeError`` for
    too many positional arguments or an argument given twice.
    """
    if op.variadic is not None:
        params = {name: value for name, value in kwargs.items() if value is not _Null}
        return list(args), {}, params
    count = len(op.inputs)
    inputs = list(args[:count])
    if not kwargs and len(args) <= count:
        return inputs, {}, {}
    named = {name: kwargs.pop(name) for name in op.inputs if name in kwargs}
    params = {}
    if len(args) > count:
        params = {name: value for name, value in zip(op.params, args[count:]) if value is not _Null}
    for name in op.inputs[: len(inputs)]:
        if name in named and named[name] is not None:
            raise TypeError(f"{op.name}() got multiple values for argument {name!r}")
    for name, value in kwargs.items():
        if name in params:
            raise TypeError(f"{op.name}() got multiple values for argument {name!r}")
        if value is not _Null:
            params[name] = value
    return inputs, named, params
