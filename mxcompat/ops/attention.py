"""Products of multi-head attention on projections that lie next to each other.

Sequences come first: (length, batch, width). The width holds for every head its query, key and value (attention of a
sequence to itself), or its key and value (attention to another sequence), ``head width`` numbers each.
"""

import math

import torch

from mxcompat.base import MXNetError
from mxcompat.ops.dtypes import floating
from mxcompat.ops.registry import register
from mxcompat.ops.schema import Int, Params
from mxcompat.ops.shape import forward_rule


def _check_width(name: str, shape: tuple, parts: int, heads: int) -> None:
    if len(shape) != 3:
        raise MXNetError(f"{name} has shape {shape}, expected (length, batch, width)")
    if heads < 1:
        raise MXNetError(f"heads={heads}: expected a positive number")
    if shape[2] % (parts * heads):
        raise MXNetError(f"{name} has shape {shape}: the width is no multiple of {parts} * heads = {parts * heads}")


def _split(data: torch.Tensor, heads: int, parts: int) -> tuple[torch.Tensor, ...]:
    """(length, batch, heads * parts * n) -> as many arrays (batch * heads, length, n) as there are parts."""
    length, batch, width = data.shape
    rows = data.reshape(length, batch * heads, parts, width // (heads * parts)).permute(2, 1, 0, 3)
    return rows.unbind(0)


def _scores(queries: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
    """q · k / sqrt(head width): (B, Lq, n), (B, Lk, n) -> (B, Lq, Lk)."""
    return torch.bmm(queries / math.sqrt(queries.shape[-1]), keys.transpose(1, 2))


def _weighted(attention: torch.Tensor, values: torch.Tensor, batch: int) -> torch.Tensor:
    """(B * heads, Lq, Lk), (B * heads, Lk, n) -> (Lq, B, heads * n)."""
    result = torch.bmm(attention, values).transpose(0, 1)
    return result.reshape(attention.shape[1], batch, -1)


def _self_qk_shape(params: Params, data: tuple) -> tuple:
    _check_width("queries_keys_values", data, 3, params.heads)
    return (params.heads * data[1], data[0], data[0])


@register("_contrib_interleaved_matmul_selfatt_qk", infer_shape=forward_rule(_self_qk_shape), infer_type=floating())
def self_attention_scores(queries_keys_values, *, heads: Int):
    """How much each place of a sequence attends to each other: q · k / sqrt(head width), before the softmax.

    queries_keys_values (length, batch, heads * 3 * head width) -> (batch * heads, length, length).
    """
    queries, keys, _ = _split(queries_keys_values, heads, 3)
    return _scores(queries, keys)


def _self_values_shape(params: Params, data: tuple, attention: tuple) -> tuple:
    _check_width("queries_keys_values", data, 3, params.heads)
    expected = (params.heads * data[1], data[0], data[0])
    if attention != expected:
        raise MXNetError(f"attention has shape {attention}, expected (batch * heads, length, length) = {expected}")
    return (data[0], data[1], data[2] // 3)


@register(
    "_contrib_interleaved_matmul_selfatt_valatt", infer_shape=forward_rule(_self_values_shape), infer_type=floating()
)
def self_attention_values(queries_keys_values, attention, *, heads: Int):
    """The values of a sequence weighted by its attention to itself.

    queries_keys_values (length, batch, heads * 3 * head width), attention (batch * heads, length, length)
    -> (length, batch, heads * head width).
    """
    values = _split(queries_keys_values, heads, 3)[2]
    return _weighted(attention, values, queries_keys_values.shape[1])


def _other_qk_shape(params: Params, queries: tuple, pairs: tuple) -> tuple:
    _check_width("queries", queries, 1, params.heads)
    if len(pairs) != 3 or pairs[1:] != (queries[1], 2 * queries[2]):
        raise MXNetError(f"keys_values has shape {pairs}, expected (length, {queries[1]}, {2 * queries[2]})")
    return (params.heads * queries[1], queries[0], pairs[0])


@register("_contrib_interleaved_matmul_encdec_qk", infer_shape=forward_rule(_other_qk_shape), infer_type=floating())
def attention_scores(queries, keys_values, *, heads: Int):
    """How much each place of one sequence attends to each of another: q · k / sqrt(head width), before the softmax.

    queries (Lq, batch, heads * head width), keys_values (Lk, batch, heads * 2 * head width) -> (batch * heads, Lq, Lk).
    """
    (queries,) = _split(queries, heads, 1)
    return _scores(queries, _split(keys_values, heads, 2)[0])


def _other_values_shape(params: Params, pairs: tuple, attention: tuple) -> tuple:
    _check_width("keys_values", pairs, 2, params.heads)
    if len(attention) != 3 or (attention[0], attention[2]) != (pairs[1] * params.heads, pairs[0]):
        raise MXNetError(f"attention has shape {attention}, expected ({pairs[1] * params.heads}, length, {pairs[0]})")
    return (attention[1], pairs[1], pairs[2] // 2)


@register(
    "_contrib_interleaved_matmul_encdec_valatt", infer_shape=forward_rule(_other_values_shape), infer_type=floating()
)
def attention_values(keys_values, attention, *, heads: Int):
    """The values of one sequence weighted by the attention of another to it.

    keys_values (Lk, batch, heads * 2 * head width), attention (batch * heads, Lq, Lk) -> (Lq, batch, heads * head width).
    """
    values = _split(keys_values, heads, 2)[1]
    return _weighted(attention, values, keys_values.shape[1])
