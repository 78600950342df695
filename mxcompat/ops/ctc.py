"""Connectionist temporal classification."""

import torch

from mxcompat.base import MXNetError
from mxcompat.ops.dtypes import FLOATS, NAME_BY_TORCH
from mxcompat.ops.registry import register
from mxcompat.ops.schema import Bool, Enum, Params
from mxcompat.ops.shape import merge


# torch's kernels size their work by the longest label, a value; behind one opaque operator graphs stay whole.
@torch.library.custom_op("mxcompat::ctc_loss_and_gradient", mutates_args=())
def _ctc_loss_and_gradient(
    data: torch.Tensor, label: torch.Tensor, steps: torch.Tensor, lengths: torch.Tensor, blank: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss (N,) and its gradient with respect to raw activations (T, N, K); an impossible alignment has 0 for both."""
    scores = torch.log_softmax(data, 2)
    loss, alpha = torch._ctc_loss(scores, label, steps, lengths, blank, True)
    gradient = torch.ops.aten._ctc_loss_backward.Tensor(
        torch.ones_like(loss), scores, label, steps, lengths, loss, alpha, blank, True
    )
    possible = torch.isfinite(loss)
    return loss.masked_fill(~possible, 0.0), gradient.masked_fill(~possible[None, :, None], 0.0)


@_ctc_loss_and_gradient.register_fake
def _(data, label, steps, lengths, blank):
    return data.new_empty(data.shape[1]), torch.empty_like(data, memory_format=torch.contiguous_format)


class _CTCLoss(torch.autograd.Function):
    """The loss, whose gradient was computed along with it."""

    first_order_only = True

    @staticmethod
    def forward(ctx, data, label, steps, lengths, blank):
        loss, gradient = _ctc_loss_and_gradient(data, label, steps, lengths, blank)
        ctx.save_for_backward(gradient)
        return loss

    @staticmethod
    def backward(ctx, head):
        (gradient,) = ctx.saved_tensors
        return gradient * head[None, :, None], None, None, None, None


def _ctc_inputs(params: Params) -> tuple[str, ...]:
    lengths = ("data_lengths",) * params.use_data_lengths + ("label_lengths",) * params.use_label_lengths
    return ("data", "label", *lengths)


def _ctc_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    data, label = ins[:2]
    if (data is not None and len(data) != 3) or (label is not None and len(label) != 2):
        raise MXNetError(f"expected data with 3 axes (time, batch, class) and label with 2, got {data} and {label}")
    batch = (-1,) if data is None else data[1:2]
    label = merge((*batch, -1), label, "the batch sizes of data and label")
    if data is not None and -1 not in (data[0], label[1]) and data[0] < label[1]:
        raise MXNetError(f"labels of length {label[1]} are longer than the {data[0]} steps of the data")
    batch = label[:1]
    rest = [merge(batch, shape, "Shape inconsistent, input lengths") for shape in ins[2:]]
    return [data, label, *rest], [merge(batch, outs[0], "output")]


def _ctc_type(params: Params, ins: list, outs: list) -> tuple[list, list]:
    data = ins[0] or outs[0]
    if data is not None and data not in FLOATS:
        raise MXNetError(f"data has type {NAME_BY_TORCH[data]}, expected a floating type")
    return [data, *ins[1:]], [data]


@register(
    "CTCLoss",
    ("_contrib_CTCLoss", "_contrib_ctc_loss", "ctc_loss"),
    infer_shape=_ctc_shape,
    infer_type=_ctc_type,
    active=_ctc_inputs,
    output_names=("output0",),
)
def ctc_loss(
    data,
    label,
    data_lengths=None,
    label_lengths=None,
    *,
    use_data_lengths: Bool = False,
    use_label_lengths: Bool = False,
    blank_label: Enum("first", "last") = "first",
):
    """Negative log-likelihood of label sequences, summed over all alignments with the data.

    data (T, N, K) raw activations, label (N, L), lengths (N,) -> (N,). The blank is class 0 and 0 pads labels
    (``first``), or it is class K - 1 and -1 pads (``last``); ``label_lengths`` replaces the padding. A label that
    cannot be aligned has loss and gradient 0.
    """
    if use_label_lengths and not use_data_lengths:  # the only lengths given come third
        data_lengths, label_lengths = None, data_lengths if label_lengths is None else label_lengths
    time, batch, classes = data.shape
    names = label.to(torch.int64)
    if use_label_lengths:
        lengths = label_lengths.to(torch.int64)
    else:
        lengths = (names != (0 if blank_label == "first" else -1)).to(torch.int64).cumprod(1).sum(1)
    if use_data_lengths:
        steps = data_lengths.to(torch.int64)
    else:
        steps = torch.full((batch,), time, dtype=torch.int64, device=data.device)
    blank = 0 if blank_label == "first" else classes - 1
    return _CTCLoss.apply(data, names.clamp(0, classes - 1), steps, lengths, blank)
