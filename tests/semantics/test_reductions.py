"""Reductions, sorting, indexing and linear algebra, each as real MXNet 1.9.1 answered."""

from __future__ import annotations

import math

import numpy as np

import mxcompat as mx
from tests.semantics.shorthand import exc, grad, listed, near, run

nd, sym, V = mx.nd, mx.sym, mx.sym.Variable


def test_axes_of_reductions() -> None:
    """40. sum/mean/max/min/prod/norm: axis absent or () reduces all to shape (1,); keepdims; exclude=True reduces all the
    other axes.
    """
    assert nd.ones((2, 3, 4)).sum(axis=()).shape == (1,)
    assert nd.ones((2, 3, 4)).sum(axis=1, exclude=True).shape == (3,)
    assert nd.ones((2, 3, 4)).sum(keepdims=True).shape == (1, 1, 1)
    for name in ("mean", "max", "min", "prod", "norm"):
        assert getattr(nd, name)(nd.ones((2, 3, 4))).shape == (1,)
        assert getattr(nd, name)(nd.ones((2, 3, 4)), axis=(), keepdims=True).shape == (1, 1, 1)
    for name in ("mean", "max", "min", "prod"):
        assert getattr(nd, name)(nd.ones((2, 3, 4)), axis=1, exclude=True).shape == (3,)


def test_norm_orders() -> None:
    """41. norm: ord 2 by default, axis None flattens; ord 1 supported; other ord raises."""
    assert listed(nd.norm(nd.array([[3.0, 4.0]]))) == [5.0]
    assert listed(nd.norm(nd.array([[3.0, -4.0]]), ord=1, axis=1)) == [7.0]
    assert exc(lambda: nd.norm(nd.array([[3.0, 4.0]]), ord=3).asnumpy()) == "MXNetError"


def test_gradient_of_norm_at_zero() -> None:
    """42. The gradient of norm at the zero vector is nan (0/0)."""
    assert near(grad(sym.norm(V("a")), "a", [[1.0]], a=[0.0, 0.0]), [math.nan, math.nan])


def test_argmax_takes_the_first() -> None:
    """43. argmax over ties returns the first; axis None flattens; keepdims supported."""
    assert nd.argmax(nd.array([[1, 3, 3]]), axis=1).asnumpy().tolist() == [1.0]
    assert nd.argmax(nd.array([[1, 3], [5, 2]])).asnumpy().tolist() == [2.0]
    assert nd.argmax(nd.array([[1, 3], [5, 2]]), axis=1, keepdims=True).shape == (2, 1)


def test_topk_defaults() -> None:
    """44. topk: default k=1, axis -1, ret_typ indices, largest first; both gives [values, indices]; mask has the input
    shape; axis None flattens.
    """
    assert [x.asnumpy().tolist() for x in nd.topk(nd.array([[3, 1, 2]]), k=2, ret_typ="both")] == [
        [[3.0, 2.0]],
        [[0.0, 2.0]],
    ]
    assert nd.topk(nd.array([[3, 1, 2]]), k=2, ret_typ="mask").asnumpy().tolist() == [[1.0, 0.0, 1.0]]
    assert sym.topk(V("a"), ret_typ="both", name="t").list_outputs() == ["t_output0", "t_output1"]
    assert nd.topk(nd.array([[3, 1], [5, 2]]), k=2, axis=None).asnumpy().tolist() == [2, 0]


def test_topk_of_zero_is_all() -> None:
    """45. topk with k=0 (k < 1) means all elements, sorted."""
    assert nd.topk(nd.array([3, 1, 2]), k=0, ret_typ="value").asnumpy().tolist() == [3.0, 2.0, 1.0]


def test_gradient_of_topk() -> None:
    """46. topk value is differentiable (scatter of the head gradient); indices give zero gradient."""
    assert grad(sym.topk(V("a"), k=2, ret_typ="value"), "a", [[10.0, 20.0]], a=[3.0, 1.0, 2.0]) == [10.0, 0.0, 20.0]
    assert grad(sym.topk(V("a"), k=1), "a", [[1.0]], a=[3.0, 1.0]) == [0.0, 0.0]


def test_take_clips() -> None:
    """47. take: mode clip by default (also for negative indices: -1 becomes 0); wrap is modulo; raise checks. Indices may
    be float and are cut.
    """
    assert nd.take(nd.array([10, 20, 30]), nd.array([-1, 5, 1.9])).asnumpy().tolist() == [10.0, 30.0, 20.0]
    assert nd.take(nd.array([10, 20, 30]), nd.array([-1, 5]), mode="wrap").asnumpy().tolist() == [30.0, 30.0]
    assert exc(lambda: nd.take(nd.array([10, 20, 30]), nd.array([5]), mode="raise").asnumpy()) == "MXNetError"


def test_pick_clips() -> None:
    """48. pick: axis -1, mode clip, negative indices clipped to 0 too; choose_element_0index is an alias."""
    assert nd.pick(nd.array([[1, 2, 3], [4, 5, 6]]), nd.array([-1, 7])).asnumpy().tolist() == [1.0, 6.0]
    assert nd.pick(nd.array([[1, 2, 3], [4, 5, 6]]), nd.array([-1, 7]), mode="wrap").asnumpy().tolist() == [3.0, 5.0]
    assert nd.choose_element_0index(nd.array([[1, 2], [3, 4]]), nd.array([1, 0])).asnumpy().tolist() == [2, 3]


def test_embedding_clips_and_accumulates() -> None:
    """49. Embedding clips out-of-range ids into [0, input_dim-1] in forward (9 and -2 here read rows 2 and 0); gradients
    of repeated ids accumulate, the clipped ones too; asking a gradient for the ids raises.
    """
    r = run(
        sym.Embedding(V("d"), V("w"), input_dim=3, output_dim=1),
        head=[np.array([[1.0], [2.0], [4.0], [8.0]])],
        req={"d": "null", "w": "write"},
        d=[1, 1, 9, -2],
        w=[[1.0], [2.0], [3.0]],
    )
    assert r[0] == [[[2.0], [2.0], [3.0], [1.0]]]
    assert r[1]["w"] == [[8.0], [3.0], [4.0]]
    net = sym.Embedding(V("d"), V("w"), input_dim=3, output_dim=1)
    assert exc(lambda: run(net, head=[np.ones((1, 1))], d=[1], w=[[1.0], [2.0], [3.0]])) == "MXNetError"


def test_one_hot_outside_the_depth() -> None:
    """50. one_hot of an id outside the depth is a row of off_value."""
    assert nd.one_hot(nd.array([0, 3, -1]), depth=2).asnumpy().tolist() == [[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]]


def test_gather_and_scatter() -> None:
    """51. gather_nd takes indices of shape (M, ...) with M leading axes; scatter_nd with repeated indices keeps one value
    in forward (not a sum), while the gradient of gather_nd does accumulate.
    """
    assert nd.gather_nd(nd.array([[1, 2], [3, 4]]), nd.array([[0, 1], [1, 0]])).asnumpy().tolist() == [2.0, 3.0]
    assert grad(sym.gather_nd(V("a"), V("i")), "a", [[1.0, 10.0]], a=[1.0, 2.0], i=np.array([[1, 1]], "f")) == [
        0.0,
        11.0,
    ]
    assert nd.scatter_nd(nd.array([1, 2]), nd.array([[1, 1]]), shape=(3,)).asnumpy()[1] in (1, 2)


def test_dot_contracts_last_with_first() -> None:
    """52. dot on N-D contracts the last axis of lhs with the first axis of rhs (not numpy matmul, not numpy dot)."""
    assert nd.dot(nd.ones((2, 3, 4)), nd.ones((4, 5, 6))).shape == (2, 3, 5, 6)
    assert nd.dot(nd.ones((3,)), nd.ones((3,))).shape == (1,)


def test_dot_transpose_a() -> None:
    """53. dot transpose_a on N-D moves the first axis: shape (4,2,3) with transpose_a contracts axis 0."""
    assert nd.dot(nd.ones((4, 2, 3)), nd.ones((4, 5)), transpose_a=True).shape == (2, 3, 5)


def test_batch_dot_needs_three_axes() -> None:
    """54. batch_dot needs rank >= 3 and equal leading axes."""
    assert nd.batch_dot(nd.ones((2, 3, 4)), nd.ones((2, 4, 5))).shape == (2, 3, 5)
    assert exc(lambda: nd.batch_dot(nd.ones((3, 4)), nd.ones((4, 5)))) == "MXNetError"


def test_l2_normalization_modes() -> None:
    """55. L2Normalization modes: instance over all but axis 0, channel over axis 1, spatial over axes >= 2; divides by
    sqrt(sum + eps), eps 1e-10.
    """
    assert near(
        [
            listed(nd.L2Normalization(nd.array([[[3.0, 4.0], [0.0, 5.0]]]), mode=m), 4)
            for m in ("instance", "channel", "spatial")
        ],
        [[[[0.4243, 0.5657], [0.0, 0.7071]]], [[[1.0, 0.6247], [0.0, 0.7809]]], [[[0.6, 0.8], [0.0, 1.0]]]],
    )


def test_linalg_conventions() -> None:
    """56. linalg: potrf lower, gemm(A,B,C) alpha*A*B+beta*C, syrk A*A^T, trsm/trmm use only the lower triangle by default,
    potri from the factor gives the inverse of A=LL^T, sumlogdiag, syevd returns rows as eigenvectors (U with A = U^T
    diag(L) U), gelqf gives Q, L with A = L Q.
    """
    assert near(
        [listed(x, 4) for x in nd.linalg.syevd(nd.array([[2.0, 1.0], [1.0, 2.0]]))],
        [[[0.7071, -0.7071], [0.7071, 0.7071]], [1.0, 3.0]],
    )
    assert near([listed(x, 4) for x in nd.linalg.gelqf(nd.array([[3.0, 4.0]]))], [[[-0.6, -0.8]], [[-5.0]]])
    assert near(listed(nd.linalg.potri(nd.array([[2.0, 0.0], [0.0, 4.0]])), 4), [[0.25, -0.0], [-0.0, 0.0625]])
    lower, square = nd.array([[2.0, 9.0], [0.0, 4.0]]), nd.array([[1.0, 2.0], [3.0, 4.0]])
    triangle = nd.array([[1.0, 0.0], [1.0, 1.0]])
    assert listed(nd.linalg.potrf(nd.array([[4.0, 2.0], [2.0, 5.0]]))) == [[2, 0], [1, 2]]
    assert listed(nd.linalg.gemm(square, triangle, nd.ones((2, 2)), alpha=2.0, beta=3.0)) == [[9, 7], [17, 11]]
    assert listed(nd.linalg.syrk(square)) == [[5, 11], [11, 25]]
    assert listed(nd.linalg.trsm(lower, nd.array([[2.0, 4.0], [4.0, 8.0]]))) == [[1, 2], [1, 2]]
    assert listed(nd.linalg.trmm(lower, triangle)) == [[2, 0], [4, 4]]
    assert near(listed(nd.linalg.sumlogdiag(nd.array([[1.0, 9.0], [9.0, 2.0]]))), [0.69315])


def test_khatri_rao_and_flat_indices() -> None:
    """57. khatri_rao is column-wise; ravel_multi_index/unravel_index work on (ndim, N) columns and return float by
    default.
    """
    assert nd.khatri_rao(nd.array([[1, 2]]), nd.array([[3, 4], [5, 6]])).asnumpy().tolist() == [[3.0, 8.0], [5.0, 12.0]]
    assert nd.unravel_index(nd.array([5]), shape=(2, 3)).asnumpy().tolist() == [[1.0], [2.0]]
    assert nd.ravel_multi_index(nd.array([[1], [2]]), shape=(2, 3)).asnumpy().tolist() == [5]


def test_sequences_start_with_time() -> None:
    """58. SequenceMask/Last/Reverse: time is axis 0; without use_sequence_length=True they take one input only, passing
    lengths raises.
    """
    assert exc(lambda: nd.SequenceLast(nd.array([[1, 2], [3, 4], [5, 6]]), nd.array([1, 2]))) == "MXNetError"
    assert nd.SequenceLast(
        nd.array([[1, 2], [3, 4], [5, 6]]), nd.array([1, 2]), use_sequence_length=True
    ).asnumpy().tolist() == [1.0, 4.0]
    steps, lengths = nd.array([[1, 2], [3, 4], [5, 6]]), nd.array([1, 2])
    masked = nd.SequenceMask(steps, lengths, use_sequence_length=True, value=-1)
    assert masked.asnumpy().tolist() == [[1, 2], [-1, 4], [-1, -1]]
    assert nd.SequenceReverse(steps, lengths, use_sequence_length=True).asnumpy().tolist() == [[1, 4], [3, 2], [5, 6]]
