"""Normalization, convolution, pooling, dropout and recurrent layers, each as real MXNet 1.9.1 answered."""

from __future__ import annotations

import numpy as np

import mxcompat as mx
from tests.semantics.shorthand import bn, exc, listed, near, out, run

nd, sym, V = mx.nd, mx.sym, mx.sym.Variable


def test_batch_norm_fixes_gamma() -> None:
    """76. BatchNorm fix_gamma defaults to True: gamma counts as 1 whatever it holds, and running it in training with
    gradients bound writes 1 into the gamma array itself.
    """
    r = bn(back=True)
    assert near(r[0][0], [[-0.9995, -0.99998], [0.9995, 0.99998]])
    assert r[2].arg_dict["g"].asnumpy().tolist() == [1.0, 1.0]
    assert bn()[2].arg_dict["g"].asnumpy().tolist() == [2.0, 2.0]


def test_batch_norm_uses_gamma() -> None:
    """77. With fix_gamma=False gamma is used; eps defaults to 1e-3."""
    assert near(bn(fix_gamma=False)[0][0], [[-1.999001, -1.99996], [1.999001, 1.99996]])


def test_batch_norm_gradient_of_gamma() -> None:
    """78. Gradient to gamma is zero with fix_gamma."""
    r = bn(back=True)
    assert r[1]["g"] == [0.0, 0.0]
    assert r[1]["b"] == [4.0, 7.0]


def test_batch_norm_moving_statistics() -> None:
    """79. moving = moving*momentum + batch*(1-momentum), momentum .9, with the BIASED batch variance. The averages are
    updated by BACKWARD, not by forward: after forward(is_train=True) alone they are unchanged.
    """
    assert [x.asnumpy().tolist() for x in bn()[2].aux_dict.values()] == [[0.0, 0.0], [1.0, 1.0]]
    assert near([x.asnumpy().tolist() for x in bn(back=True)[2].aux_dict.values()], [[0.2, 1.5], [1.0, 3.4]])


def test_batch_norm_inference() -> None:
    """80. is_train=False uses the moving statistics and leaves them alone; use_global_stats=True uses them in training
    too.
    """
    assert near(bn(train=False)[0][0], [[0.9995, 9.995004], [2.998501, 19.990007]])
    assert near(bn(use_global_stats=True)[0][0], [[0.9995, 9.995004], [2.998501, 19.990007]])
    assert bn(use_global_stats=True)[2].aux_dict["mm"].asnumpy().tolist() == [0.0, 0.0]


def test_batch_norm_mean_and_deviation() -> None:
    """81. output_mean_var=True gives output, mean, var; in training the var output is the INVERSE STANDARD DEVIATION
    1/sqrt(var+eps).
    """
    r = bn(output_mean_var=True)
    assert r[0][1] == [2.0, 15.0]
    assert near(r[0][2], [0.9995, 0.199996])
    assert sym.BatchNorm(V("d"), output_mean_var=True, name="bn").list_outputs() == ["bn_output", "bn_mean", "bn_var"]


def test_batch_norm_auxiliary_states() -> None:
    """82. Auxiliary states are not in list_arguments; their names end in moving_mean, moving_var and they carry __init__
    attributes (zero, one).
    """
    s = sym.BatchNorm(V("d"), name="bn")
    assert s.list_arguments() == ["d", "bn_gamma", "bn_beta"]
    assert s.list_auxiliary_states() == ["bn_moving_mean", "bn_moving_var"]
    assert {k: v.get("__init__") for k, v in s.attr_dict().items()} == {
        "bn_moving_mean": '["zero", {}]',
        "bn_moving_var": '["one", {}]',
    }


def test_other_norms() -> None:
    """83. LayerNorm: axis -1, eps 1e-5; InstanceNorm eps 1e-3 over the trailing axes; GroupNorm gamma/beta have shape
    (num_groups,) in 1.9.1, eps 1e-5.
    """
    assert near(
        listed(nd.LayerNorm(nd.array([[1.0, 2.0, 4.0]]), nd.ones((3,)), nd.zeros((3,)))), [[-1.06904, -0.26726, 1.3363]]
    )
    assert near(
        listed(nd.InstanceNorm(nd.array([[[1.0, 2.0, 4.0]]]), nd.ones((1,)), nd.zeros((1,)))),
        [[[-1.0687, -0.26718, 1.33588]]],
    )
    x, four = nd.ones((2, 4, 3)), nd.ones((4,))
    assert exc(lambda: nd.GroupNorm(x, four, four, num_groups=2).asnumpy()) == "MXNetError"
    assert listed(nd.GroupNorm(x, nd.ones((2,)), nd.zeros((2,)), num_groups=2)) == listed(nd.zeros((2, 4, 3)))


def test_lrn_window() -> None:
    """84. LRN: x / (knorm + alpha/nsize * sum over nsize channels of x^2)^beta; alpha 1e-4, beta .75, knorm 2; the window
    is centred.
    """
    assert near(
        listed(nd.LRN(nd.array([1.0, 2.0, 3.0]).reshape((1, 3, 1, 1)), nsize=3, alpha=3.0, beta=1.0, knorm=1.0)),
        [[[[1 / (1 + 1 + 4)]], [[2 / (1 + 1 + 4 + 9)]], [[3 / (1 + 4 + 9)]]]],
    )


def test_dropout_scales() -> None:
    """85. Dropout scales by 1/(1-p) in training, is identity otherwise; mode always also drops at inference; axes shares
    the mask; backward uses the same mask.
    """
    assert sorted(set(np.array(out(sym.Dropout(V("a"), p=0.75), a=np.ones((50,), "f"))).tolist())) == [0.0, 4.0]
    assert run(sym.Dropout(V("a"), p=0.75), train=False, back=False, a=np.ones((3,), "f"))[0] == [[1.0, 1.0, 1.0]]
    assert set(nd.Dropout(nd.ones((100,)), p=0.5, mode="always").asnumpy().tolist()) == {0.0, 2.0}
    assert (np.ptp(out(sym.Dropout(V("a"), p=0.5, axes=(1,)), a=np.ones((20, 5), "f")), axis=1) == 0).all()
    outputs, gradients, _ = run(sym.Dropout(V("a"), p=0.5), head=[np.ones(50)], a=np.ones(50, "f"))
    assert outputs[0] == gradients["a"]


def test_dropout_outside_record() -> None:
    """86. Imperative nd.Dropout outside autograd.record (training mode) is the identity."""
    assert nd.Dropout(nd.ones((4,)), p=0.9).asnumpy().tolist() == [1.0, 1.0, 1.0, 1.0]


def test_convolution_defaults() -> None:
    """87. Convolution defaults: stride 1, pad 0, dilate 1 for every axis, bias present (argument list data, weight, bias),
    weight (num_filter, C/groups, *kernel).
    """
    s = sym.Convolution(V("d"), kernel=(3, 3), num_filter=4, num_group=2, name="c")
    assert s.list_arguments() == ["d", "c_weight", "c_bias"]
    assert s.infer_shape(d=(1, 4, 6, 6))[0] == [(1, 4, 6, 6), (4, 2, 3, 3), (4,)]


def test_deconvolution_defaults() -> None:
    """88. Deconvolution has no_bias=True by default; weight (C, num_filter/groups, *kernel); output (i-1)*stride +
    dilate*(k-1)+1 - 2*pad + adj.
    """
    s = sym.Deconvolution(V("d"), kernel=(3, 3), num_filter=2, stride=(2, 2), pad=(1, 1), adj=(1, 1), name="c")
    assert s.list_arguments() == ["d", "c_weight"]
    assert s.infer_shape(d=(1, 3, 4, 4))[:2] == ([(1, 3, 4, 4), (3, 2, 3, 3)], [(1, 2, 8, 8)])


def test_deconvolution_target_shape() -> None:
    """89. Deconvolution target_shape overrides pad and adj (computed so that the output has that size)."""
    assert sym.Deconvolution(V("d"), kernel=(4, 4), num_filter=2, stride=(2, 2), target_shape=(8, 8)).infer_shape(
        d=(1, 3, 4, 4)
    )[1] == [(1, 2, 8, 8)]


def test_pooling_stride_is_one() -> None:
    """90. Pooling default stride is 1 (not the kernel); kernel is needed unless global_pool."""
    assert nd.Pooling(nd.ones((1, 1, 4, 4)), kernel=(2, 2), pool_type="max").shape == (1, 1, 3, 3)
    assert nd.Pooling(nd.ones((1, 1, 4, 4)), global_pool=True, pool_type="avg").shape == (1, 1, 1, 1)
    assert exc(lambda: nd.Pooling(nd.ones((1, 1, 4, 4)), pool_type="max")) == "MXNetError"


def test_pooling_conventions() -> None:
    """91. pooling_convention: valid floors, full ceils. same is usable by no input in this build: 1-D fails inside, 2-D is
    refused.
    """
    assert [
        nd.Pooling(nd.ones((1, 1, 6, 6)), kernel=(3, 3), stride=(2, 2), pooling_convention=c).shape
        for c in ("valid", "full")
    ] == [(1, 1, 2, 2), (1, 1, 3, 3)]
    for axes in (1, 2):
        window = {"kernel": (3,) * axes, "stride": (2,) * axes}
        x = nd.ones((1, 1) + (8,) * axes)
        assert exc(lambda x=x, window=window: nd.Pooling(x, pooling_convention="same", **window)) == "MXNetError"


def test_pooling_divisors() -> None:
    """92. avg pooling counts the padding by default (count_include_pad None acts as True); with full, the divisor is the
    window clipped to the padded input.
    """
    assert near(
        listed(nd.Pooling(nd.ones((1, 1, 2, 2)), kernel=(2, 2), stride=(2, 2), pad=(1, 1), pool_type="avg")),
        [[[[0.25, 0.25], [0.25, 0.25]]]],
    )
    assert listed(
        nd.Pooling(
            nd.ones((1, 1, 2, 2)), kernel=(2, 2), stride=(2, 2), pad=(1, 1), pool_type="avg", count_include_pad=False
        )
    ) == [[[[1.0, 1.0], [1.0, 1.0]]]]
    assert listed(
        nd.Pooling(nd.ones((1, 1, 3, 3)), kernel=(2, 2), stride=(2, 2), pool_type="avg", pooling_convention="full")
    ) == [[[[1.0, 1.0], [1.0, 1.0]]]]


def test_sum_and_lp_pooling() -> None:
    """93. sum pooling and lp pooling (p_value) exist; global pooling keeps the spatial axes as 1."""
    assert listed(nd.Pooling(nd.array([[[[3.0, 4.0]]]]), kernel=(1, 2), pool_type="lp", p_value=2)) == [[[[5.0]]]]
    assert listed(nd.Pooling(nd.array([[[[3.0, 4.0]]]]), kernel=(1, 2), pool_type="sum")) == [[[[7.0]]]]


def test_pooling_v1_divisors() -> None:
    """94. Pooling_v1 divides the average at a full-convention border by the whole kernel size, unlike Pooling (previous
    items).
    """
    assert near(
        listed(
            nd.Pooling_v1(
                nd.ones((1, 1, 3, 3)), kernel=(2, 2), stride=(2, 2), pool_type="avg", pooling_convention="full"
            )
        ),
        [[[[1.0, 0.5], [0.5, 0.25]]]],
    )


def test_up_sampling() -> None:
    """95. UpSampling nearest repeats; several inputs are each scaled to the size of the first times scale and concatenated
    (or summed); bilinear is a Deconvolution with weight argument (name_weight) of kernel 2*scale - scale%2.
    """
    s = sym.UpSampling(V("a"), scale=2, sample_type="bilinear", num_filter=3, num_args=1, name="up")
    assert s.list_arguments() == ["a", "up_weight"]
    assert s.infer_shape(a=(1, 3, 4, 4))[:2] == ([(1, 3, 4, 4), (3, 1, 4, 4)], [(1, 3, 8, 8)])
    assert nd.UpSampling(
        nd.ones((1, 1, 2, 2)), nd.ones((1, 2, 1, 1)), scale=2, sample_type="nearest", num_args=2
    ).shape == (1, 3, 4, 4)
    pair = nd.ones((1, 1, 1, 1)), nd.ones((1, 1, 2, 2))
    summed = nd.UpSampling(*pair, scale=2, sample_type="nearest", num_args=2, multi_input_mode="sum")
    assert summed.asnumpy().tolist() == [[[[2, 2], [2, 2]]]]


def test_fully_connected_flattens() -> None:
    """96. FullyConnected flattens all but axis 0 unless flatten=False; weight (num_hidden, in)."""
    assert sym.FullyConnected(V("d"), num_hidden=5).infer_shape(d=(2, 3, 4))[:2] == (
        [(2, 3, 4), (5, 12), (5,)],
        [(2, 5)],
    )
    assert sym.FullyConnected(V("d"), num_hidden=5, flatten=False).infer_shape(d=(2, 3, 4))[:2] == (
        [(2, 3, 4), (5, 4), (5,)],
        [(2, 3, 5)],
    )


def test_rnn_packed_size_and_gates() -> None:
    """97. RNN packed parameters: all weights first (per layer, per direction: i2h then h2h, gates stacked), then all
    biases (i2h then h2h); gates lstm i,f,c,o; gru r,z,n. Size for lstm I=3,H=2,L=1 is 4*2*(3+2)+2*4*2.
    """
    assert sym.RNN(V("d"), mode="lstm", state_size=2, num_layers=1, name="r").infer_shape(d=(5, 1, 3))[0] == [
        (5, 1, 3),
        (56,),
        (1, 1, 2),
        (1, 1, 2),
    ]
    assert mx.rnn.FusedRNNCell(2, num_layers=1, mode="lstm", prefix="l_")._gate_names == ["_i", "_f", "_c", "_o"]
    assert sorted(mx.rnn.FusedRNNCell(2, mode="lstm", prefix="l_").unpack_weights({"l_parameters": nd.arange(56)}))[
        :4
    ] == ["l_l0_h2h_c_bias", "l_l0_h2h_c_weight", "l_l0_h2h_f_bias", "l_l0_h2h_f_weight"]


def test_rnn_packed_order() -> None:
    """98. Where the packed values end up: unpack arange(56) of an LSTM with I=3, H=2."""
    u = mx.rnn.FusedRNNCell(2, mode="lstm", prefix="l_").unpack_weights({"l_parameters": nd.arange(56)})
    assert {k: v.asnumpy().ravel().tolist() for k, v in u.items() if "i2h_i" in k or "h2h_f" in k} == {
        "l_l0_i2h_i_weight": [0.0, 1.0, 2.0, 3.0, 4.0, 5.0],
        "l_l0_h2h_f_weight": [28.0, 29.0, 30.0, 31.0],
        "l_l0_i2h_i_bias": [40.0, 41.0],
        "l_l0_h2h_f_bias": [50.0, 51.0],
    }


def test_gru_reset_gate() -> None:
    """99. GRU cell: the reset gate multiplies (h2h n-gate product plus its bias), i.e. n = tanh(i2h_n + r*(h2h_n)); h =
    (1-z)*n + z*h. Check with all weights zero and h2h_n bias 1: n = tanh(r*1), r = z = .5.
    """
    p = np.zeros(3 * 1 * (1 + 1) + 2 * 3, "f")
    p[-1] = 1
    assert near(
        listed(nd.RNN(nd.zeros((1, 1, 1)), nd.array(p), nd.zeros((1, 1, 1)), mode="gru", state_size=1, num_layers=1)),
        [[[float(0.5 * np.tanh(0.5))]]],
    )


def test_rnn_outputs() -> None:
    """100. RNN outputs: only output unless state_outputs=True, then output, state (and state_cell for lstm)."""
    assert [
        sym.RNN(V("d"), mode=m, state_size=2, num_layers=1, state_outputs=True, name="r").list_outputs()
        for m in ("gru", "lstm")
    ] == [["r_output", "r_state_output"], ["r_output", "r_state_output", "r_statecell_output"]]
    assert sym.RNN(V("d"), mode="lstm", state_size=2, num_layers=1, name="r").list_arguments() == [
        "d",
        "r_parameters",
        "r_state",
        "r_state_cell",
    ]
