"""Loss operators, each as real MXNet 1.9.1 answered."""

from __future__ import annotations

import numpy as np

import mxcompat as mx
from tests.semantics.shorthand import LABELS, LOGITS, exc, grad, listed, near, out, run

nd, sym, V = mx.nd, mx.sym, mx.sym.Variable


def test_softmax_output_gradient() -> None:
    """59. SoftmaxOutput forward is softmax; its gradient is (p - onehot) whatever the head gradient; no head gradient is
    needed; label gradient is zero.
    """
    x, labels = (LOGITS, LABELS)
    s = sym.SoftmaxOutput(V("x"), V("l"))
    assert near(grad(s, "x", None, x=x, l=labels), [[0.09003, 0.24473, -0.33476], [-0.66667, 0.33333, 0.33333]])
    assert near(
        grad(s, "x", [np.full((2, 3), 7.0)], x=x, l=labels),
        [[0.09003, 0.24473, -0.33476], [-0.66667, 0.33333, 0.33333]],
    )
    assert grad(s, "l", None, x=x, l=labels) == [0.0, 0.0]


def test_softmax_output_normalization() -> None:
    """60. grad_scale multiplies; normalization batch divides by the batch size, valid by the number of labels that are not
    ignored (all when use_ignore is False), null by nothing.
    """
    x, labels = (LOGITS, LABELS)
    assert near(
        [
            grad(sym.SoftmaxOutput(V("x"), V("l"), **p), "x", x=x, l=labels)[0][2]
            for p in (
                {},
                dict(grad_scale=10),
                dict(normalization="batch"),
                dict(normalization="valid"),
                dict(normalization="valid", use_ignore=True, ignore_label=0),
            )
        ],
        [-0.33476, -3.34759, -0.16738, -0.16738, -0.33476],
    )


def test_softmax_output_ignore_label() -> None:
    """61. ignore_label has effect only with use_ignore=True; then ignored rows have zero gradient."""
    x, labels = (LOGITS, LABELS)
    assert near(
        grad(sym.SoftmaxOutput(V("x"), V("l"), ignore_label=0), "x", x=x, l=labels)[1], [-0.66667, 0.33333, 0.33333]
    )
    assert grad(sym.SoftmaxOutput(V("x"), V("l"), ignore_label=0, use_ignore=True), "x", x=x, l=labels)[1] == [
        0.0,
        0.0,
        0.0,
    ]


def test_softmax_output_out_grad() -> None:
    """62. out_grad=True makes it multiply by the head gradient."""
    x, labels = (LOGITS, LABELS)
    assert near(
        grad(sym.SoftmaxOutput(V("x"), V("l"), out_grad=True), "x", [np.full((2, 3), 2.0)], x=x, l=labels)[0],
        [0.00811, 0.05989, -0.2227],
    )


def test_softmax_output_smooth_alpha() -> None:
    """63. smooth_alpha a: the target is 1-a at the label and a/(k-1) elsewhere."""
    x, labels = (LOGITS, LABELS)
    assert near(
        grad(sym.SoftmaxOutput(V("x"), V("l"), smooth_alpha=0.3), "x", x=x, l=labels)[1], [-0.36667, 0.18333, 0.18333]
    )


def test_softmax_output_multi_output() -> None:
    """64. multi_output: softmax over axis 1 of (n, k, d...); the label may be (n, d...) or (n, prod d), the inferred one
    is flattened (n, prod d). With normalization null the gradient IS divided by the number of positions prod d (not by
    n).
    """
    s = sym.SoftmaxOutput(V("x"), V("l"), multi_output=True, name="s")
    assert s.infer_shape(x=(2, 3, 4, 5))[0] == [(2, 3, 4, 5), (2, 20)]
    assert near(grad(s, "x", x=np.zeros((1, 2, 2), "f"), l=[[0, 1]]), [[[-0.25, 0.25], [0.25, -0.25]]])
    assert near(
        grad(
            sym.SoftmaxOutput(V("x"), V("l"), multi_output=True, normalization="valid"),
            "x",
            x=np.zeros((1, 2, 2), "f"),
            l=[[0, 1]],
        ),
        [[[-0.25, 0.25], [0.25, -0.25]]],
    )
    assert s.infer_shape(x=(2, 3, 4, 5), l=(2, 4, 5))[0] == [(2, 3, 4, 5), (2, 4, 5)]


def test_softmax_output_of_many_axes() -> None:
    """65. Without multi_output an N-D input (n, a, b) is one softmax per sample over all of a*b, yet the inferred label
    shape is (n, a); preserve_shape=True takes the softmax over the last axis.
    """
    assert sym.SoftmaxOutput(V("x"), V("l")).infer_shape(x=(2, 3, 4))[0] == [(2, 3, 4), (2, 3)]
    assert sym.SoftmaxOutput(V("x"), V("l"), preserve_shape=True).infer_shape(x=(2, 3, 4))[0] == [(2, 3, 4), (2, 3)]
    assert near(
        out(sym.SoftmaxOutput(V("x"), V("l")), x=np.zeros((1, 2, 2), "f"), l=[[0, 0]]), [[[0.25, 0.25], [0.25, 0.25]]]
    )
    assert near(
        out(sym.SoftmaxOutput(V("x"), V("l"), preserve_shape=True), x=np.zeros((1, 2, 2), "f"), l=[[0, 0]]),
        [[[0.5, 0.5], [0.5, 0.5]]],
    )


def test_softmax_output_of_probabilities() -> None:
    """66. A label with the shape of the data is taken as a probability target (gradient p - label)."""
    assert near(grad(sym.SoftmaxOutput(V("x"), V("l")), "x", x=[[0.0, 0.0]], l=[[0.9, 0.1]]), [[-0.4, 0.4]])


def test_regression_outputs() -> None:
    """67. Linear/Logistic/MAE regression outputs: gradient (y-l), (sigmoid-l), sign(y-l) times grad_scale divided by the
    number of outputs per sample (size/batch), head gradient ignored.
    """
    assert near(
        [
            grad(getattr(sym, n)(V("x"), V("l")), "x", x=[[1.0, 2.0]], l=[[0.0, 4.0]])
            for n in ("LinearRegressionOutput", "LogisticRegressionOutput", "MAERegressionOutput")
        ],
        [[[0.5, -1.0]], [[0.36553, -1.5596]], [[0.5, -0.5]]],
    )
    assert grad(sym.LinearRegressionOutput(V("x"), V("l"), grad_scale=4), "x", x=[[1.0, 2.0]], l=[[0.0, 4.0]]) == [
        [2.0, -4.0]
    ]


def test_regression_labels() -> None:
    """68. The regression outputs infer a label of shape (n,) for data (n,1), else the data shape."""
    assert sym.LinearRegressionOutput(V("x"), name="lr").infer_shape(x=(5, 1))[0] == [(5, 1), (5,)]
    assert sym.LinearRegressionOutput(V("x"), V("l")).infer_shape(x=(5, 1), l=(5,))[0] == [(5, 1), (5,)]


def test_svm_output() -> None:
    """69. SVMOutput forward is identity; gradient of squared hinge by default, use_linear for the plain hinge."""
    assert grad(sym.SVMOutput(V("x"), V("l")), "x", x=[[1.0, 0.5, -2.0]], l=[0]) == [[-0.0, 3.0, -0.0]]
    assert grad(sym.SVMOutput(V("x"), V("l"), use_linear=True), "x", x=[[1.0, 0.5, -2.0]], l=[0]) == [[-0.0, 1.0, 0.0]]


def test_make_loss() -> None:
    """70. MakeLoss: forward identity, gradient grad_scale everywhere (head ignored); batch divides by shape[0]; valid by
    the count of elements > valid_thresh. make_loss is another operator without parameters and swallows unknown ones.
    """
    assert near(
        [
            grad(sym.MakeLoss(V("x"), **p), "x", [np.full((2, 2), 9.0)], x=[[1.0, -1.0], [2.0, 3.0]])[0]
            for p in ({}, dict(grad_scale=0.5), dict(normalization="batch"), dict(normalization="valid"))
        ],
        [[1.0, 1.0], [0.5, 0.5], [0.5, 0.5], [0.33333, 0.33333]],
    )
    assert exc(lambda: sym.make_loss(V("x"), grad_scale=2.0)) == "nothing"


def test_block_grad() -> None:
    """71. BlockGrad (stop_gradient) gives zeros."""
    assert grad(sym.BlockGrad(V("x") * 2), "x", [[1.0]], x=[3.0]) == [0.0]


def test_softmax_cross_entropy() -> None:
    """72. softmax_cross_entropy is a sum over the batch with shape (1,); asking a gradient for the label raises."""
    s = sym.softmax_cross_entropy(V("x"), V("l"))
    assert near(out(s, x=[[0.0, 0.0], [0.0, 0.0]], l=[0, 1]), [1.38629])
    assert run(s, head=[[2.0]], req={"x": "write", "l": "null"}, x=[[0.0, 0.0]], l=[0])[1]["x"] == [[-1.0, 1.0]]
    assert exc(lambda: grad(s, "l", [[2.0]], x=[[0.0, 0.0]], l=[0])) == "MXNetError"


def test_softmax_temperature_and_length() -> None:
    """73. softmax/log_softmax default axis -1; temperature divides; use_length masks with zeros beyond the length."""
    assert near(listed(nd.softmax(nd.array([[1.0, 2.0, 3.0]]), temperature=2.0)), [[0.18632, 0.3072, 0.50648]])
    assert near(
        listed(nd.softmax(nd.array([[1.0, 2.0, 3.0]]), nd.array([2], dtype="int32"), use_length=True, axis=1)),
        [[0.26894, 0.73106, 0.0]],
    )


def test_softmax_activation_modes() -> None:
    """74. SoftmaxActivation: instance is over the last axis, channel over axis 1."""
    assert near(listed(nd.SoftmaxActivation(nd.zeros((1, 2, 2)))), [[[0.5, 0.5], [0.5, 0.5]]])
    assert near(listed(nd.SoftmaxActivation(nd.zeros((1, 2, 2)), mode="channel")), [[[0.5, 0.5], [0.5, 0.5]]])
    x = nd.array([[[1, 2], [3, 5]]])
    assert near(listed(nd.SoftmaxActivation(x)), [[[0.26894, 0.73106], [0.1192, 0.8808]]])
    assert near(listed(nd.SoftmaxActivation(x, mode="channel")), [[[0.1192, 0.04743], [0.8808, 0.95257]]])


def test_ctc_blanks() -> None:
    """75. CTCLoss data is (seq, batch, alphabet) of raw activations, loss per sample; blank is label 0 by default (labels
    from 1, padding 0); with blank_label last labels start at 0 and padding is -1.
    """
    assert near(listed(nd.CTCLoss(nd.zeros((3, 1, 3)), nd.array([[1, 2]]))), [1.6864])
    assert near(listed(nd.CTCLoss(nd.zeros((3, 1, 3)), nd.array([[0, -1]]), blank_label="last")), [1.50408])
