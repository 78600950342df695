"""Output layers: operators whose backward starts a gradient of its own instead of passing one on.

Unless said otherwise the head gradient is ignored, none is needed, and labels get a zero gradient.
"""

import torch

from mxcompat.base import MXNetError
from mxcompat.ops.dtypes import floating
from mxcompat.ops.registry import register
from mxcompat.ops.schema import Bool, Enum, Float, Params, TrainMode
from mxcompat.ops.shape import is_known, merge, merge_inputs, same_shape, size

Normalization = Enum("batch", "null", "valid")


def _one_hot(label, classes: int, axis: int):
    """Mask of the class each label names, a new axis; labels are cut to whole numbers, those outside name none."""
    positions = torch.arange(classes, device=label.device)
    shape = [1] * (label.ndim + 1)
    shape[axis] = classes
    return positions.reshape(shape) == label.to(torch.int64).unsqueeze(axis)


def _minus_one_hot(share, label):
    """``share`` (samples, classes, positions) less 1 at each label's class; a label outside names none."""
    named = label.to(torch.int64).unsqueeze(1)
    inside = named.clamp(0, share.shape[1] - 1)
    return share.scatter_add(1, inside, (inside == named).to(share.dtype).neg())


def _grouped(data, multi_output: bool, preserve_shape: bool):
    """The data as (samples, classes, positions); the softmax runs along axis 1."""
    if multi_output:
        return data.reshape(data.shape[0], data.shape[1], -1)
    return data.reshape(-1 if preserve_shape else data.shape[0], data.shape[-1] if preserve_shape else -1, 1)


def _softmax_output_gradient(output, label, options: tuple):
    """(output - target) * grad_scale / count, for a label that names classes."""
    grad_scale, ignore_label, multi_output, use_ignore, preserve_shape, normalization, smooth_alpha = options
    share = _grouped(output, multi_output, preserve_shape)
    samples, classes, positions = share.shape
    # Compat: without multi_output and preserve_shape a longer label is read from its start.
    names = label.reshape(-1)[: samples * positions].reshape(samples, positions)
    if smooth_alpha and not multi_output:
        hit = _one_hot(names, classes, 1)
        target = torch.where(hit, 1.0 - smooth_alpha, smooth_alpha / (classes - 1)).to(share.dtype)
        grad = share - target
    else:
        grad = _minus_one_hot(share, names)
    if use_ignore:
        grad = grad.masked_fill((names.to(torch.int64) == int(ignore_label)).unsqueeze(1), 0.0)
    scale = grad_scale / (positions if multi_output and normalization != "valid" else 1)
    if normalization == "batch":
        scale = scale / (label.shape[0] if multi_output else label.numel())
    if normalization == "valid":
        count = (label.to(torch.int64) != int(ignore_label)).sum().clamp(min=1)
        grad = grad * (scale / count)
    elif scale != 1:
        grad = grad * scale
    return grad.to(output.dtype).reshape(output.shape)


def _share(data, options: tuple):
    """The softmax, with the shape of the data."""
    _, _, multi_output, _, preserve_shape, _, _ = options
    if data.ndim > 2 and not multi_output and not preserve_shape:
        return torch.softmax(data.reshape(data.shape[0], -1), -1).reshape(data.shape)
    return torch.softmax(data, 1 if multi_output else -1)


class _SoftmaxOutput(torch.autograd.Function):
    """Softmax whose gradient is (output - target) * grad_scale, whatever the head gradient.

    Compat: ``out_grad`` multiplies that by the output itself, not by the head gradient.
    """

    first_order_only = True

    @staticmethod
    def forward(ctx, data, label, out_grad, options):
        output = _share(data, options)
        ctx.save_for_backward(output, label)
        ctx.out_grad, ctx.options = out_grad, options
        return output

    @staticmethod
    def backward(ctx, head):
        output, label = ctx.saved_tensors
        if output.shape == label.shape:
            grad = (output - label) * ctx.options[0]
        else:
            grad = _softmax_output_gradient(output, label, ctx.options)
        return (grad * output if ctx.out_grad else grad), None, None, None


def _softmax_output_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    data = merge(ins[0], outs[0], "output")
    label = ins[1]
    if data is None or not data:
        return [data, label], [data]
    if label == data and is_known(data):
        return [data, label], [data]
    if not params.multi_output:
        return [data, merge(data[:-1], label, "Shape inconsistent, input label")], [data]
    if len(data) < 2:
        raise MXNetError(f"data has shape {data}, expected at least 2 axes for multi_output=True")
    flat = (data[0], size(data[2:]) if is_known(data[2:]) else -1)
    if label is None:
        label = flat
    elif is_known(label) and is_known(data) and label not in (flat, data[:1] + data[2:], (data[0], 1, *data[2:])):
        raise MXNetError(f"label has shape {label}, expected {flat} or {data[:1] + data[2:]}")
    return [data, label], [data]


@register("SoftmaxOutput", ("Softmax",), infer_shape=_softmax_output_shape, infer_type=floating(), loss=True)
def softmax_output(
    data,
    label,
    *,
    grad_scale: Float = 1.0,
    ignore_label: Float = -1.0,
    multi_output: Bool = False,
    use_ignore: Bool = False,
    preserve_shape: Bool = False,
    normalization: Normalization = "null",
    out_grad: Bool = False,
    smooth_alpha: Float = 0.0,
):
    """Softmax with the gradient of cross entropy, ``(output - one_hot(label)) * grad_scale``.

    data (N, K), label (N,) of class numbers. With more axes the softmax runs over all but the first, with
    ``preserve_shape`` along the last one, with ``multi_output`` along axis 1 of (N, K, ...), whose label is (N, ...).
    A label with the shape of the data is taken as target probabilities. ``use_ignore`` zeroes the gradient where the
    label is ``ignore_label``. ``normalization`` divides the gradient by the number of labels (``batch``) or of those
    that differ from ``ignore_label`` (``valid``); ``multi_output`` divides by the number of positions besides, unless
    ``valid``. ``smooth_alpha`` moves that much of the target to the other classes. The head gradient is ignored, as in
    src/operator/softmax_output-inl.h; ``out_grad`` multiplies the gradient by the output.
    """
    options = (grad_scale, ignore_label, multi_output, use_ignore, preserve_shape, normalization, smooth_alpha)
    if not torch.is_grad_enabled():
        return _share(data, options)
    return _SoftmaxOutput.apply(data, label, out_grad, options)


class _Regression(torch.autograd.Function):
    """An output whose gradient is residual(output, label) * grad_scale / (outputs per sample)."""

    first_order_only = True

    @staticmethod
    def forward(ctx, data, label, kind, grad_scale):
        output = torch.sigmoid(data) if kind == "logistic" else data.clone()
        ctx.save_for_backward(output, label)
        ctx.kind, ctx.grad_scale = kind, grad_scale
        return output

    @staticmethod
    def backward(ctx, head):
        output, label = ctx.saved_tensors
        residual = output - label.reshape(output.shape)
        if ctx.kind == "mae":
            residual = torch.where(residual > 0, 1.0, -1.0).to(output.dtype)  # Compat: -1 for no residual
        return residual * (ctx.grad_scale * output.shape[0] / max(output.numel(), 1)), None, None, None


def _regression_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    data, label = merge(ins[0], outs[0], "output"), ins[1]
    if data is None:
        return ins, outs
    if label is None or (-1 in label and len(label) == len(data)):
        label = data[:1] if label is None and len(data) == 2 and data[1] == 1 else merge(data, label, "input label")
    elif is_known(data) and is_known(label) and (label[:1] != data[:1] or size(label) != size(data)):
        raise MXNetError(f"Shape inconsistent, input label has shape {label}, expected {data}")
    return [data, label], [data]


def _regression(name: str, kind: str, text: str) -> None:
    def regression_output(data, label, *, grad_scale: Float = 1.0):
        return _Regression.apply(data, label, kind, grad_scale)

    function = f"{kind}_regression_output"
    regression_output.__name__ = regression_output.__qualname__ = function
    regression_output.__doc__ = (
        f"{text}, times ``grad_scale`` and divided by the number of outputs per sample.\n\n"
        "data (N, ...), label with as many elements, (N,) when it is inferred for data (N, 1)."
    )
    globals()[function] = regression_output
    options = {"infer_shape": _regression_shape, "infer_type": floating(), "loss": True}
    register(name, (f"_sparse_{name}",), **options)(regression_output)


_regression("LinearRegressionOutput", "linear", "The data, with the gradient ``data - label``")
_regression("LogisticRegressionOutput", "logistic", "``1 / (1 + exp(-data))``, with the gradient ``output - label``")
_regression("MAERegressionOutput", "mae", "The data, with the gradient 1 where it exceeds the label and -1 elsewhere")


class _SVMOutput(torch.autograd.Function):
    """Identity with the gradient of a one-against-all hinge loss."""

    @staticmethod
    def forward(ctx, data, label, margin, coefficient, use_linear):
        ctx.save_for_backward(data, label)
        ctx.options = margin, coefficient, use_linear
        return data.clone()

    @staticmethod
    def backward(ctx, head):
        data, label = ctx.saved_tensors
        margin, coefficient, use_linear = ctx.options
        sign = torch.where(_one_hot(label, data.shape[-1], label.ndim), -1.0, 1.0).to(data.dtype)
        violation = margin + sign * data
        amount = (violation > 0).to(data.dtype) if use_linear else 2 * violation.clamp(min=0)
        return sign * amount * coefficient, None, None, None, None


def _labels_of_rows(params: Params, ins: list, outs: list) -> tuple[list, list]:
    data = merge(ins[0], outs[0], "output")
    if data is None:
        return ins, outs
    return merge_inputs(("data", "label"), ins, (data, data[:-1])), [data]


@register("SVMOutput", infer_shape=_labels_of_rows, infer_type=floating(), loss=True)
def svm_output(data, label, *, margin: Float = 1.0, regularization_coefficient: Float = 1.0, use_linear: Bool = False):
    """The data, with the gradient of a hinge loss of each class against the rest.

    data (N, K), label (N,). With t = 1 for the labelled class and -1 for the others, and v = margin - t * data, the
    gradient is ``-t * regularization_coefficient`` where v > 0 (``use_linear``), else times ``2 * max(v, 0)``.
    """
    return _SVMOutput.apply(data, label, margin, regularization_coefficient, use_linear)


class _MakeLoss(torch.autograd.Function):
    """Identity with the gradient grad_scale, divided by a count."""

    @staticmethod
    def forward(ctx, data, grad_scale, valid_thresh, normalization):
        if normalization == "valid":
            ctx.save_for_backward(data)
        ctx.options = grad_scale, valid_thresh, normalization
        return data.clone()

    @staticmethod
    def backward(ctx, head):
        grad_scale, valid_thresh, normalization = ctx.options
        if normalization == "valid":
            (data,) = ctx.saved_tensors
            count = (data > valid_thresh).sum().clamp(min=1)
            grad = (grad_scale / count).to(head.dtype).expand(head.shape)
        else:
            rows = size(head.shape[:-1]) if normalization == "batch" else 1
            grad = torch.full_like(head, grad_scale / rows)
        return grad.contiguous(), None, None, None


@register("MakeLoss", infer_shape=same_shape, infer_type=floating(), loss=True)
def make_loss_layer(data, *, grad_scale: Float = 1.0, valid_thresh: Float = 0.0, normalization: Normalization = "null"):
    """The data as a loss: its gradient is ``grad_scale``.

    That is divided by the number of rows, the product of all axes but the last (``batch``), or by the number of
    elements above ``valid_thresh`` (``valid``).
    """
    return _MakeLoss.apply(data, grad_scale, valid_thresh, normalization)


class _CrossEntropy(torch.autograd.Function):
    """-sum(log(max(softmax(data)[label], 1e-8))), with the gradient (softmax(data) - one_hot(label)) * head."""

    @staticmethod
    def forward(ctx, data, label):
        share = torch.softmax(data, -1)
        ctx.save_for_backward(data, label)
        # Labels outside the range, for which the original reads foreign memory, are moved into it.
        names = label.to(torch.int64).clamp(0, data.shape[1] - 1)
        return -share.gather(1, names.unsqueeze(1)).clamp(min=1e-8).log().sum().reshape(1)

    @staticmethod
    def backward(ctx, head):
        data, label = ctx.saved_tensors
        share = torch.softmax(data, -1)
        return torch.add(share, _one_hot(label, share.shape[1], 1), alpha=-1) * head, None


def _cross_entropy_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    data, label = ins
    if (data is not None and len(data) != 2) or (label is not None and len(label) != 1):
        raise MXNetError(f"expected data with 2 axes and label with 1, got {data} and {label}")
    batch = merge(None if data is None else data[:1], label, "data and label")
    return [None if data is None else (*batch, data[1]), batch], [merge((1,), outs[0], "output")]


@register("softmax_cross_entropy", infer_shape=_cross_entropy_shape, infer_type=floating(), no_gradient=("label",))
def softmax_cross_entropy(data, label):
    """Cross entropy of softmax(data) and class numbers, summed over the batch: data (N, K), label (N,) -> (1,)."""
    return _CrossEntropy.apply(data, label)


class _SparseActivation(torch.autograd.Function):
    """Identity that adds penalty * ((1 - target) / (1 - average) - target / average) to the gradient."""

    first_order_only = True

    @staticmethod
    def forward(ctx, data, average, target, penalty):
        ctx.save_for_backward(average)
        ctx.options = target, penalty
        return data.clone()

    @staticmethod
    def backward(ctx, head):
        (average,) = ctx.saved_tensors
        target, penalty = ctx.options
        slope = penalty * ((1 - target) / (1 - average) - target / average)
        return head + slope, None, None, None


def _sparse_activation_shape(params: Params, ins: list, outs: list) -> tuple[list, list]:
    data = merge(ins[0], outs[0], "output")
    if data is None:
        return ins, outs
    if len(data) != 2:
        raise MXNetError(f"data has shape {data}, expected 2 axes (batch, unit)")
    return merge_inputs(("data", "moving_avg"), ins, (data, data[1:])), [data]


@register(
    "IdentityAttachKLSparseReg",
    infer_shape=_sparse_activation_shape,
    infer_type=floating(),
    aux=("moving_avg",),
    variable_attributes={"moving_avg": {"__init__": '["zero", {}]'}},
    commit=lambda params, aux, statistics: statistics,
)
def sparse_activation(
    data,
    moving_avg,
    *,
    sparseness_target: Float(min=0.0, max=1.0) = 0.100000001,
    penalty: Float = 0.00100000005,
    momentum: Float(min=0.0, max=1.0) = 0.899999976,
    is_train: TrainMode = False,
):
    """The data, a sigmoid's output; its gradient gets the slope of a Kullback-Leibler sparsity penalty added.

    data (N, K), moving_avg (K,): the mean activation of each unit, which advances in backward before it is used. The
    penalty pulls it towards ``sparseness_target``.
    """
    average = momentum * moving_avg + (1 - momentum) * data.detach().mean(0)
    output = _SparseActivation.apply(data, average, sparseness_target, penalty)
    return (output, average) if is_train else output
