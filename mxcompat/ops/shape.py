"""Arithmetic on partial shapes, and the shape rules that families of operators share.

A partial shape is None (unknown rank) or a tuple in which -1 stands for an unknown size. A rule takes and returns
``(in_shapes, out_shapes)``; it fills in what follows and raises ``MXNetError`` on a contradiction. The caller names
operator and node.
"""

from collections.abc import Callable, Sequence
from typing import Any

from mxcompat.base import MXNetError
from mxcompat.ops.schema import Params, ShapeRule

Shape = tuple | None


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
        merge(want, have, f"Shape inconsistent, input {name}") for name, have, want in zip(names, ins, expected, strict=True)
    ]


def normalize_axis(axis: int, ndim: int, what: str = "axis") -> int:
    """A non-negative axis; outside [-ndim, ndim) raises ``MXNetError``."""
    if not -ndim <= axis < ndim:
        raise MXNetError(f"{what} {axis} is out of bounds for array of dimension {ndim}")
    return axis % ndim if ndim else 0


def same_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    """All inputs and outputs have one shape, in both directions."""
    first = ins[0] if ins else None
    if first is not None and -1 not in first and all(s == first for s in ins) and all(s is None or s == first for s in outs):
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
