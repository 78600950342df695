"""Arithmetic on partial shapes, and the shape rules that families of operators share.

A partial shape is None (unknown rank) or a tuple in which -1 stands for an unknown size. A rule takes and returns
``(in_shapes, out_shapes)``; it fills in what follows and raises ``MXNetError`` on a contradiction. The caller names
operator and node.
"""

from collections.abc import Callable, Sequence
from typing import Any

from mxcompat.base import MXNetError
from mxcompat.ops.schema import Params, ShapeRule
from mxcompat.scope import is_np_shape

Shape = tuple | None


class SizeMismatch(MXNetError):
    """A shape to be inferred that no number of elements fits."""


def partial_shape(shape: Sequence[int] | None) -> Shape:
    """The user's spelling of a partial shape.

    0 (or -1) is an unknown size and () an unknown rank; under NumPy shape semantics -1 and None.
    """
    if shape is None:
        return None
    sizes = tuple(int(dim) for dim in shape)
    if is_np_shape():
        return tuple(-1 if dim < 0 else dim for dim in sizes)
    return tuple(-1 if dim <= 0 else dim for dim in sizes) or None


def shown_shape(shape: Shape) -> Shape:
    """A partial shape as the user sees it."""
    if is_np_shape():
        return shape
    return () if shape is None else tuple(0 if dim == -1 else dim for dim in shape)


def or_one(shape: tuple) -> tuple:
    """The shape of a result without axes is (1,), but for NumPy shape semantics."""
    return shape if shape or is_np_shape() else (1,)


def is_known(shape: Shape) -> bool:
    """Whether rank and every size are known."""
    return shape is not None and -1 not in shape


def size(shape: Sequence[int]) -> int:
    """The number of elements of a known shape."""
    product = 1
    for dim in shape:
        product *= dim
    return product


def merge(first: Shape, second: Shape, what: str = "shape") -> Shape:
    """What two partial shapes of the same array say together; a contradiction raises ``MXNetError``."""
    if first is None or first == second:
        return second
    if second is None:
        return first
    if len(first) != len(second):
        raise MXNetError(f"{what}: expected {first}, got {second}")
    merged = tuple(b if a == -1 else a for a, b in zip(first, second))
    if any(b not in (-1, m) for b, m in zip(second, merged)):
        raise MXNetError(f"{what}: expected {first}, got {second}")
    return merged


def merge_inputs(names: Sequence[str], ins: list, expected: Sequence[Shape]) -> list:
    """Merge each input's shape with the expected one, naming the input in a contradiction."""
    return [
        merge(want, have, f"Shape inconsistent, input {name}")
        for name, have, want in zip(names, ins, expected, strict=True)
    ]


def normalize_axis(axis: int, ndim: int, what: str = "axis") -> int:
    """A non-negative axis; outside [-ndim, ndim) raises ``MXNetError``."""
    if not -ndim <= axis < ndim:
        raise MXNetError(f"{what} {axis} is out of bounds for array of dimension {ndim}")
    return axis % ndim if ndim else 0


def same_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    """All inputs and outputs have one shape, in both directions."""
    first = ins[0] if ins else None
    if (
        first is not None
        and -1 not in first
        and all(s == first for s in ins)
        and all(s is None or s == first for s in outs)
    ):
        return ins, [first] * len(outs)
    shape: Shape = None
    for index, other in enumerate([*ins, *outs]):
        kind, place = ("input", index) if index < len(ins) else ("output", index - len(ins))
        shape = merge(shape, other, f"Incompatible attr in node at {place}-th {kind}")
    return [shape] * len(ins), [shape] * len(outs)


def broadcast_shapes(first: Shape, second: Shape) -> Shape:
    """numpy's broadcast of two partial shapes, ranks aligned from the right; a mismatch raises ``MXNetError``."""
    if first is None or second is None:
        return None
    ndim = max(len(first), len(second))
    padded = [(1,) * (ndim - len(s)) + tuple(s) for s in (first, second)]
    result = []
    for a, b in zip(*padded):
        if a == b or b == 1:
            result.append(a)
        elif a == 1:
            result.append(b)
        elif a == -1 or b == -1:
            result.append(max(a, b))
        else:
            raise MXNetError(f"operands could not be broadcast together with shapes {first} {second}")
    return tuple(result)


def broadcast_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    """The output of a broadcasting binary operator."""
    shape = broadcast_shapes(ins[0], ins[1])
    return ins, [merge(shape, outs[0], "output")]


def forward_rule(compute: Callable[..., Any], *, partial: bool = False) -> ShapeRule:
    """A rule that only goes forward: ``compute(params, *in_shapes)`` gives the output shape, or a list of them.

    It is asked once every input is fully known, or, with ``partial``, once every rank is (sizes may then be -1).
    """

    def rule(params: Params, ins: list, outs: list) -> tuple[list, list]:
        if any(s is None if partial else not is_known(s) for s in ins):
            return ins, outs
        result = compute(params, *ins)
        shapes = result if isinstance(result, list) else [result] * len(outs)
        return ins, [merge(s, o, f"output {i}") for i, (s, o) in enumerate(zip(shapes, outs, strict=True))]

    return rule


def reshape_target(codes: Sequence[int], shape: Sequence[int], reverse: bool = False) -> tuple[int, ...]:
    """The shape that reshape codes mean for an input of ``shape`` (sizes -1 in the input are unknown).

    0 copies the size at the same place, -1 is inferred (once), -2 takes all remaining, -3 merges two, -4 splits one into
    the two that follow. ``reverse`` matches from the right-hand end. Raises ``MXNetError`` for codes that do not fit.
    """
    codes, source = list(codes), list(shape)
    if reverse:
        # Compat: the whole list is reversed, so that -4 stands behind its two factors, the right one first
        codes, source = codes[::-1], source[::-1]
    target: list[int] = []
    place, inferred, code_index = 0, -1, 0
    while code_index < len(codes):
        code = codes[code_index]
        if code > 0:
            target.append(code)
            place += 1
        elif code == 0:
            target.append(_at(source, place, codes))
            place += 1
        elif code == -1:
            if inferred >= 0:
                raise MXNetError(f"reshape {tuple(codes)}: only one size can be inferred (-1)")
            inferred = len(target)
            target.append(-1)
            place += 1
        elif code == -2:
            target.extend(source[place:])
            place = len(source)
        elif code == -3:
            first, second = _at(source, place, codes), _at(source, place + 1, codes)
            target.append(-1 if -1 in (first, second) else first * second)
            place += 2
        elif code == -4:
            target.extend(_split(_at(source, place, codes), codes[code_index + 1 : code_index + 3]))
            place += 1
            code_index += 2
        else:
            raise MXNetError(f"reshape: code {code} is not one of 0, -1, -2, -3, -4 or a positive size")
        code_index += 1
    if inferred >= 0 and -1 not in source:
        rest = size([dim for i, dim in enumerate(target) if i != inferred])
        total = size(source)
        if rest == 0 or total % rest:
            raise SizeMismatch(f"cannot reshape array of shape {tuple(shape)} into {tuple(codes)}")
        target[inferred] = total // rest
    return tuple(target[::-1] if reverse else target)


def _at(source: Sequence[int], place: int, codes: Sequence[int]) -> int:
    if place >= len(source):
        raise MXNetError(f"reshape {tuple(codes)}: the input {tuple(source)} has too few dimensions")
    return source[place]


def _split(dim: int, factors: Sequence[int]) -> tuple[int, int]:
    if len(factors) != 2:
        raise MXNetError("reshape: -4 must be followed by two factors")
    first, second = factors
    if dim == -1:
        return first, second
    if first == -1 and second == -1:
        raise MXNetError("reshape: only one of the two factors of -4 can be inferred")
    if first == -1:
        first = dim // second
    elif second == -1:
        second = dim // first
    if first * second != dim:
        raise MXNetError(f"reshape: cannot split {dim} into {first} x {second}")
    return first, second
