"""Elementwise operators, broadcasting and dtypes, each as real MXNet 1.9.1 answered."""

from __future__ import annotations

import math

import numpy as np

import mxcompat as mx
from tests.semantics.shorthand import exc, grad, listed, near

nd, sym, V = mx.nd, mx.sym, mx.sym.Variable


def test_symbols_do_not_broadcast() -> None:
    """17. + - * / between two Symbols are the elementwise operators (auto-names _plusN, _minusN, _mulN, _divN) and do not
    broadcast: infer_shape raises; NDArray operators do broadcast.
    """
    assert exc(lambda: (V("a") + V("b")).infer_shape(a=(2, 3), b=(1, 3))) == "MXNetError"
    assert (nd.ones((2, 3)) + nd.ones((1, 3))).shape == (2, 3)
    assert (V("a") + V("b")).name == "_plus1"


def test_broadcast_aligns_from_the_right() -> None:
    """18. broadcast_* align ranks from the right as numpy does."""
    assert nd.broadcast_add(nd.ones((2, 3)), nd.ones((3,))).shape == (2, 3)


def test_mixed_dtypes_raise() -> None:
    """19. Mixed dtypes never promote: they raise MXNetError."""
    assert exc(lambda: (nd.ones((2,)) + nd.ones((2,), dtype="float64")).asnumpy()) == "MXNetError"


def test_comparisons_keep_the_dtype() -> None:
    """20. Comparisons give the dtype of the inputs (1.0 / 0.0), not bool."""
    assert (nd.array([1, 2]) > 1).dtype.__name__ == "float32"
    assert (nd.array([1, 2], dtype="int32") > 1).dtype.__name__ == "int32"
    assert (
        nd.broadcast_equal(nd.ones((1,), dtype="float64"), nd.ones((1,), dtype="float64")).dtype.__name__ == "float64"
    )


def test_integer_division() -> None:
    """21. Integer / truncates toward zero (C division); % follows the sign of the divisor (Python); integer division by an
    array holding zero raises here, where the original ends the process.
    """
    assert (nd.array([7, -7], dtype="int32") / nd.array([2, 2], dtype="int32")).asnumpy().tolist() == [3, -3]
    assert (nd.array([7, -7, 7], dtype="int32") % nd.array([3, 3, -3], dtype="int32")).asnumpy().tolist() == [1, 2, -2]
    assert near((nd.array([5.5, -5.5]) % 2).asnumpy().tolist(), [1.5, 0.5])
    assert exc(lambda: nd.array([5], dtype="int32") / nd.array([0], dtype="int32")) == "MXNetError"


def test_integers_with_float_scalars() -> None:
    """22. An integer array with a float scalar keeps its integer dtype and the scalar is cut to an integer first:
    int32*1.5 is int32*1, int32+0.5 is unchanged, int32/2 truncates, comparisons too.
    """
    assert [
        (x.asnumpy().tolist(), x.dtype.__name__)
        for x in (
            nd.array([1, 2, 3], dtype="int32") * 2,
            nd.array([1, 2, 3], dtype="int32") * 1.5,
            nd.array([1, 2, 3], dtype="int32") / 2,
            nd.array([1, 2, 3], dtype="int32") + 0.5,
        )
    ] == [([2, 4, 6], "int32"), ([1, 2, 3], "int32"), ([0, 1, 1], "int32"), ([1, 2, 3], "int32")]
    assert (nd.array([1, 2, 3], dtype="int32") > 1.5).asnumpy().tolist() == [0, 1, 1]


def test_remainder_of_zero_and_its_gradients() -> None:
    """23. x % 0 is 0 for floats, and its gradients are: d/dlhs = 1, d/drhs = -floor(lhs/rhs)."""
    assert (nd.array([5.0]) % 0).asnumpy().tolist() == [0.0]
    assert grad(sym.broadcast_mod(V("a"), V("b")), "a", [[1.0]], a=[5.5], b=[2.0]) == [1.0]
    assert grad(sym.broadcast_mod(V("a"), V("b")), "b", [[1.0]], a=[5.5], b=[2.0]) == [-2.0]


def test_rounding_of_halves() -> None:
    """24. round sends halves away from zero; rint sends halves DOWN (-0.5 to -1, 0.5 to 0, 1.5 to 1, 2.5 to 2), unlike
    torch.round; fix and trunc cut.
    """
    assert [
        getattr(nd, f)(nd.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5])).asnumpy().tolist()
        for f in ("round", "rint", "fix", "trunc")
    ] == [
        [-3.0, -2.0, -1.0, 1.0, 2.0, 3.0],
        [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0],
        [-2.0, -1.0, -0.0, 0.0, 1.0, 2.0],
        [-2.0, -1.0, -0.0, 0.0, 1.0, 2.0],
    ]


def test_steps_have_zero_gradient() -> None:
    """25. sign, floor, ceil, round, rint, fix, trunc are differentiable with zero gradient."""
    assert [grad(getattr(sym, f)(V("a")), "a", [[1.0, 1.0]], a=[0.3, -0.7]) for f in ("sign", "floor", "round")] == [
        [0.0, 0.0],
        [0.0, 0.0],
        [0.0, 0.0],
    ]
    for name in ("ceil", "rint", "fix", "trunc"):
        assert grad(getattr(sym, name)(V("a")), "a", [[1.0, 1.0]], a=[0.3, -0.7]) == [0.0, 0.0]


def test_gradients_at_kinks() -> None:
    """26. relu gradient at 0 is 0; abs gradient at 0 is 0; clip passes the gradient at the bounds."""
    assert grad(sym.relu(V("a")), "a", [[1.0]], a=[0.0]) == [0.0]
    assert grad(sym.abs(V("a")), "a", [[1.0]], a=[0.0]) == [0.0]
    assert grad(sym.clip(V("a"), a_min=-1, a_max=1), "a", [[1.0, 1.0, 1.0]], a=[-1.0, 1.0, 2.0]) == [1.0, 1.0, 0.0]


def test_ties_of_two_go_left() -> None:
    """27. maximum(a,b) with a tie gives the whole gradient to the left; minimum likewise."""
    assert grad(sym.broadcast_maximum(V("a"), V("b")), "a", [[1.0]], a=[1.0], b=[1.0]) == [1.0]
    assert grad(sym.broadcast_maximum(V("a"), V("b")), "b", [[1.0]], a=[1.0], b=[1.0]) == [0.0]
    assert grad(sym.broadcast_minimum(V("a"), V("b")), "a", [[1.0]], a=[1.0], b=[1.0]) == [1.0]
    assert grad(sym.broadcast_minimum(V("a"), V("b")), "b", [[1.0]], a=[1.0], b=[1.0]) == [0.0]


def test_ties_of_max_share() -> None:
    """28. max over ties: every tied position receives the gradient."""
    assert grad(sym.max(V("a"), axis=1), "a", [[1.0]], a=[[2.0, 2.0, 1.0]]) == [[1.0, 1.0, 0.0]]


def test_casts_truncate_and_wrap() -> None:
    """29. Cast from float to integers truncates; out-of-range wraps as C does; cast to bool is != 0; a cast is
    differentiable (gradient is cast back).
    """
    assert nd.cast(nd.array([-2.7, 1.5, 2.5]), dtype="int32").asnumpy().tolist() == [-2, 1, 2]
    assert nd.cast(nd.array([300], dtype="int32"), dtype="uint8").asnumpy().tolist() == [44]
    assert grad(sym.Cast(V("a"), dtype="float64"), "a", [np.array([2.0])], a=[1.5]) == [2.0]
    assert nd.cast(nd.array([0.5, 0.0, -2.0]), dtype="bool").asnumpy().tolist() == [True, False, True]


def test_roots_and_logarithms_outside() -> None:
    """30. log of 0 is -inf, of a negative nan; sqrt likewise; rsqrt(0) inf; no exception."""
    assert near(nd.log(nd.array([0, -1])).asnumpy().tolist(), [-math.inf, math.nan])
    assert near(nd.rsqrt(nd.array([0.0])).asnumpy().tolist(), [math.inf])
    assert near(nd.sqrt(nd.array([-1.0])).asnumpy().tolist(), [math.nan])


def test_gamma_and_erfinv() -> None:
    """31. gamma and gammaln are the functions; erfinv outside (-1, 1) gives nan / inf."""
    assert near(listed(nd.gamma(nd.array([4.5]))), [11.63173])
    assert near(listed(nd.gammaln(nd.array([4.5]))), [2.45374])
    assert near(nd.erfinv(nd.array([1.0, 2.0])).asnumpy().tolist(), [math.inf, math.nan])


def test_smooth_l1_scalar_is_sigma() -> None:
    """32. smooth_l1 scalar is sigma: threshold 1/sigma^2, value .5 (sigma x)^2 inside."""
    assert near(listed(nd.smooth_l1(nd.array([0.1, 0.5, 2.0]), scalar=2.0)), [0.02, 0.375, 1.875])


def test_defaults_of_activations() -> None:
    """33. hard_sigmoid default alpha .2, beta .5; LeakyReLU default slope .25; elu uses slope as its factor; selu and gelu
    (erf form) fixed.
    """
    assert near(listed(nd.hard_sigmoid(nd.array([1.0]))), [0.7])
    assert near(
        [listed(nd.LeakyReLU(nd.array([-1.0]), act_type=t)) for t in ("leaky", "elu", "selu", "gelu")],
        [[-0.25], [-0.15803], [-1.11133], [-0.15866]],
    )


def test_prelu_makes_its_gamma() -> None:
    """34. prelu creates a gamma argument by itself; its shape is (channels,) inferred from axis 1."""
    s = sym.LeakyReLU(V("x"), act_type="prelu", name="p")
    assert s.list_arguments() == ["x", "p_gamma"]
    assert s.infer_shape(x=(2, 3, 4))[0] == [(2, 3, 4), (3,)]


def test_softrelu_and_softsign() -> None:
    """35. Activation softrelu is log(1+exp(x)); softsign x/(1+|x|)."""
    assert near(listed(nd.Activation(nd.array([1.0]), act_type="softrelu")), [1.31326])
    assert near(listed(nd.Activation(nd.array([1.0]), act_type="softsign")), [0.5])


def test_array_makes_float32() -> None:
    """36. nd.array gives float32 for every Python list and every numpy array whatever its dtype (dtype= to keep it; only
    an NDArray source keeps its own).
    """
    assert [
        nd.array(x).dtype.__name__
        for x in ([1, 2], np.array([1, 2]), np.array([1.0, 2.0]), np.array([1], "uint8"), np.array([1.0], "float16"))
    ] == ["float32", "float32", "float32", "float32", "float32"]
    assert nd.array(np.array([1, 2]), dtype="int64").dtype is np.int64
    assert nd.array(nd.array([1], dtype="int32")).dtype is np.int32


def test_dtypes_of_indices() -> None:
    """37. argmax, argmin, argsort, topk indices, one_hot and Embedding output are float32 by default; argmax of int input
    keeps its dtype; argsort/topk have a dtype parameter.
    """
    assert nd.argmax(nd.ones((2, 3)), axis=1).dtype.__name__ == "float32"
    assert nd.argsort(nd.ones((2,))).dtype.__name__ == "float32"
    assert nd.topk(nd.ones((2,)), k=1).dtype.__name__ == "float32"
    assert nd.topk(nd.ones((2,)), k=1, dtype="int32").dtype.__name__ == "int32"
    assert nd.argmax(nd.ones((2, 3), dtype="int32"), axis=1).dtype.__name__ == "int32"
    assert nd.one_hot(nd.array([1], dtype="int32"), 3).dtype.__name__ == "float32"
    assert nd.Embedding(nd.array([0], dtype="int32"), nd.ones((2, 3)), input_dim=2, output_dim=3).dtype is np.float32


def test_shape_array_is_int64() -> None:
    """38. shape_array and size_array are int64; float64 input keeps argmax in float64."""
    assert nd.shape_array(nd.ones((2, 3))).dtype.__name__ == "int64"
    assert nd.argmax(nd.ones((2,), dtype="float64")).dtype.__name__ == "float64"
    assert nd.size_array(nd.ones((2, 3))).dtype is np.int64


def test_amp_multicast() -> None:
    """39. amp_multicast returns all inputs in the widest of their types (narrowest with cast_narrow)."""
    assert [o.dtype.__name__ for o in nd.amp_multicast(nd.ones((2,)), nd.ones((2,)), num_outputs=2)] == [
        "float32",
        "float32",
    ]
    pair = nd.ones((2,), dtype="float16"), nd.ones((2,))
    assert [x.dtype for x in nd.amp_multicast(*pair, num_outputs=2)] == [np.float32] * 2
    assert [x.dtype for x in nd.amp_multicast(*pair, num_outputs=2, cast_narrow=True)] == [np.float16] * 2
