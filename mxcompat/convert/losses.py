"""Output layers: what they show in ``forward``, and the loss of which their gradient is the derivative."""

from __future__ import annotations

from typing import Any

from mxcompat.convert.steps import Source, Step
from mxcompat.convert.translate import Call, emits


def _shown(call: Call, text: str) -> Step:
    """The output as forward gives it; no gradient flows back through it, training goes by ``loss``."""
    if call.translator.users.get(id(call.node)):
        text = text.replace("{0}", "{a0}") + ".detach()" if text == "{0}" else f"{text}.detach()"
    step = call.step(text, call.inputs[:1])
    step.ends_gradient = True
    return step


def _loss(call: Call, text: str, inputs: list[Source], scale: float, **numbers: Any) -> None:
    """Add a term of the loss, times ``grad_scale``; one of scale 0 is left out."""
    if scale == 0:
        return
    text = text if scale == 1 else f"{{grad_scale}} * {text}"
    step = Step(call.name, call.operator, text, inputs, {"grad_scale": scale, **numbers}, shapes=[()])
    call.translator.losses.append(step)


@emits("SoftmaxOutput")
def softmax_output(call: Call) -> Step:
    params, data, label = call.params, call.shapes[0], call.shapes[1]
    if params.out_grad:
        raise call.refuse("out_grad=True has no loss function")
    flat = len(data) > 2 and not params.multi_output and not params.preserve_shape
    if flat:
        shown = _shown(call, "F.softmax({a0}.flatten(1), dim=1).reshape(" + ", ".join(map(str, (-1, *data[1:]))) + ")")
    else:
        shown = _shown(call, f"F.softmax({{0}}, dim={1 if params.multi_output or len(data) == 2 else -1})")
    scores = "{a0}.flatten(1)" if flat else "{0}"
    if params.preserve_shape and not params.multi_output and len(data) > 2:
        scores = "{a0}.flatten(0, -2)"
    if data == label:
        _loss(call, f'F.cross_entropy({scores}, {{1}}, reduction="sum")', call.inputs, params.grad_scale)
        return shown
    _softmax_loss(call, scores, flat)
    return shown


PER_VALID = '''\
def per_valid_label(total, label, ignore_label):
    """The total divided by the number of labels other than ignore_label."""
    return total / (label.long() != ignore_label).sum().clamp(min=1)
'''


def _softmax_loss(call: Call, scores: str, flat: bool) -> None:
    params, data, label = call.params, call.shapes[0], call.shapes[1]
    classes = data[1] if params.multi_output else (_size(data[1:]) if flat else data[-1])
    targets = "{a1}.long()"
    if not params.multi_output and len(label) > 1:
        targets = "{a1}.flatten().long()" + (f"[: {data[0]}]" if flat else "")
    elif params.multi_output and len(data) > 2 and label != (data[0], *data[2:]):
        targets = f"{{a1}}.reshape({', '.join(map(str, (-1, *data[2:])))}).long()"
    ignore = int(params.ignore_label)
    options = ", ignore_index={ignore_label}" if params.use_ignore else ""
    if params.smooth_alpha and not params.multi_output:
        options += ", label_smoothing={smoothing}"
    text = f'F.cross_entropy({scores}, {targets}, reduction="sum"{options})'
    scale, numbers = params.grad_scale, {"ignore_label": ignore}
    numbers["smoothing"] = params.smooth_alpha * classes / max(classes - 1, 1)
    if params.normalization == "valid":
        call.helper("per_valid_label", PER_VALID)
        text = f"per_valid_label({text}, {{1}}, {{ignore_label}})"
    else:
        if params.multi_output and len(data) > 2:
            text += " / {1}[0].numel()"
        if params.normalization == "batch":
            text += " / len({1})" if params.multi_output or len(label) == 1 else " / {a1}.numel()"
    if not params.use_ignore and ignore < 0:
        note = "a label that names no class is an error here; the symbol let it lower the score of every class."
        call.translator.notes.setdefault(note, []).append(call.name)
    _loss(call, text, call.inputs, scale, **numbers)


def _size(shape: tuple[int, ...]) -> int:
    product = 1
    for dim in shape:
        product *= dim
    return product


def _regression(call: Call, shown: str, function: str, factor: float = 1.0) -> Step:
    """A loss per sample: the sum over the batch of the mean over a sample's outputs."""
    data, label = call.shapes[0], call.shapes[1]
    target = "{1}" if data == label else "{a1}.reshape(" + ", ".join(map(str, (-1, *data[1:]))) + ")"
    scale = factor * call.params.grad_scale / max(_size(data[1:]), 1)
    _loss(call, f'{function}({{0}}, {target}, reduction="sum")', call.inputs, scale)
    return _shown(call, shown)


@emits("LinearRegressionOutput")
def linear_regression(call: Call) -> Step:
    return _regression(call, "{0}", "F.mse_loss", 0.5)


@emits("LogisticRegressionOutput")
def logistic_regression(call: Call) -> Step:
    return _regression(call, "torch.sigmoid({0})", "F.binary_cross_entropy_with_logits")


@emits("MAERegressionOutput")
def mae_regression(call: Call) -> Step:
    return _regression(call, "{0}", "F.l1_loss")


HINGE = '''\
def hinge_loss(scores, label, margin, power):
    """Hinge loss of each class against the rest: max(0, margin - t * score) ** power, t = 1 for the labelled class."""
    classes = torch.arange(scores.shape[-1], device=scores.device)
    sign = torch.where(label.long().unsqueeze(-1) == classes, 1.0, -1.0)
    return (margin - sign * scores).clamp(min=0).pow(power).sum()
'''


@emits("SVMOutput")
def svm_output(call: Call) -> Step:
    params = call.params
    call.helper("hinge_loss", HINGE)
    text = "hinge_loss({0}, {1}, {margin}, {power})"
    power = 1 if params.use_linear else 2
    _loss(call, text, call.inputs, params.regularization_coefficient, margin=params.margin, power=power)
    return _shown(call, "{0}")


@emits("MakeLoss", "make_loss")
def make_loss(call: Call) -> Step:
    params = call.params
    normalization, scale = params.get("normalization", "null"), params.get("grad_scale", 1.0)
    text = "{a0}.sum()"
    if normalization == "valid":
        text += " / ({a0} > {valid_thresh}).sum().clamp(min=1)"
    elif normalization == "batch":
        text += " / {a0}.shape[:-1].numel()"
    _loss(call, text, call.inputs, scale, valid_thresh=params.get("valid_thresh", 0.0))
    return _shown(call, "{0}")
