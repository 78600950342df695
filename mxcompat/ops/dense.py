"""Linear layers and matrix products."""

import torch

from mxcompat.base import MXNetError
from mxcompat.ops.registry import register
from mxcompat.ops.schema import Bool, Int, Params
from mxcompat.ops.shape import is_known, merge, merge_inputs, size


def _fully_connected_inputs(params: Params) -> tuple[str, ...]:
    return ("data", "weight") if params.no_bias else ("data", "weight", "bias")


def _fully_connected_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    data, hidden = ins[0], params.num_hidden
    if data is None:
        return [None, *merge_inputs(("weight", "bias"), ins[1:], ((hidden, -1), (hidden,))[: len(ins) - 1])], outs
    if not data:
        raise MXNetError("data must have at least one dimension")
    features = data[1:] if params.flatten else data[-1:]
    width = size(features) if is_known(features) else -1
    output = (data[0] if params.flatten else data[:-1]) if data else -1
    output = (output, hidden) if params.flatten else (*output, hidden)
    output = merge(output, outs[0], "output")
    if params.flatten and output is not None:  # the batch size is known to the output's consumer: begin states
        data = (output[0] if data[0] == -1 else data[0], *data[1:])
    expected = (data, (hidden, width), (hidden,))[: len(ins)]
    return merge_inputs(("data", "weight", "bias"), ins, expected), [output]


@register("FullyConnected", ("_sparse_FullyConnected",), infer_shape=_fully_connected_shape, active=_fully_connected_inputs)
def fully_connected(data, weight, bias=None, *, num_hidden: Int(min=1), no_bias: Bool = False, flatten: Bool = True):
    """Linear layer ``data @ weight.T + bias``.

    data (N, ...), weight (num_hidden, K), bias (num_hidden,) -> (N, num_hidden); K is the product of the trailing axes
    of ``data`` when ``flatten``, else the result is (..., num_hidden) and K is the last axis of ``data``.
    """
    if flatten and data.ndim != 2:
        data = data.reshape(data.shape[0], -1)
    return torch.nn.functional.linear(data, weight, bias)
