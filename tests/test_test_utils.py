"""``mx.test_utils``: what passes, what fails and with which report."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import mxcompat as mx
from mxcompat import test_utils as tu

FLOATS = ("float16", "float32", "float64")
EXACT = ("bool", "int8", "uint8", "int32", "uint32", "int64", "uint64")


def product() -> mx.sym.Symbol:
    """``a * b``."""
    return mx.sym.Variable("a") * mx.sym.Variable("b")


# -- names and defaults -------------------------------------------------------------------------------------------


def test_a_star_import_gives_what_tests_rely_on() -> None:
    names: dict = {}
    exec("from mxcompat.test_utils import *", names)
    assert names["mx"] is mx and names["np"] is np and names["rnd"] is np.random
    assert callable(names["environment"]) and callable(names["assert_almost_equal"])
    assert names["ss"] is None or hasattr(names["ss"], "norm")
    assert len(set(tu.__all__)) == len(tu.__all__)


def test_default_tolerances() -> None:
    assert [tu.default_rtols()[np.dtype(name)] for name in FLOATS] == [1e-2, 1e-4, 1e-5]
    assert [tu.default_atols()[np.dtype(name)] for name in FLOATS] == [1e-1, 1e-3, 1e-20]
    assert [tu.default_numeric_eps()[np.dtype(name)] for name in FLOATS] == [1 / 64, 1 / 512, 1 / 16384]
    for table in (tu.default_rtols(), tu.default_atols()):
        assert {str(dtype) for dtype in table} == {*FLOATS, *EXACT}
        assert all(table[np.dtype(name)] == 0 for name in EXACT)
    assert (tu.get_rtol(), tu.get_atol(), tu.get_etol()) == (1e-5, 1e-20, 0)
    assert (tu.get_rtol(0.5), tu.get_atol(0.25), tu.get_etol(0.1)) == (0.5, 0.25, 0.1)


def test_tolerances_of_a_pair_are_the_coarser_ones() -> None:
    half, double = np.ones(2, np.float16), np.ones(2)
    assert tu.get_tols(half, double, None, None) == (1e-2, 1e-1)
    assert tu.get_tols(1.0, 2.0, None, None) == (1e-5, 1e-20)
    assert tu.get_tols(double, double, {np.dtype("float64"): 0.5}, 0.125) == (0.5, 0.125)
    with pytest.raises(KeyError):
        tu.get_tols(np.ones(2, np.int16), double, None, None)


def test_effective_dtype_on_a_gpu_that_rounds_products(monkeypatch: pytest.MonkeyPatch) -> None:
    class OnGpu:
        dtype, ctx = np.float32, mx.gpu(0)

    monkeypatch.setattr(tu._defaults, "get_cuda_compute_capability", lambda ctx: 90)
    monkeypatch.delenv("NVIDIA_TF32_OVERRIDE", raising=False)
    assert tu.effective_dtype(OnGpu) == np.float16
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    assert tu.effective_dtype(OnGpu) == np.float32
    assert tu.effective_dtype(mx.nd.ones(2)) == np.float32


def test_default_context() -> None:
    before = tu.default_context()
    try:
        tu.set_default_context(mx.cpu(3))
        assert tu.default_context() == mx.cpu(3) == mx.nd.ones(1).context
    finally:
        tu.set_default_context(before)
    assert tu.default_dtype() is np.float32


# -- comparing ----------------------------------------------------------------------------------------------------


def test_equal_arrays_pass() -> None:
    tu.assert_almost_equal(mx.nd.array([1, 2]), np.array([1, 2.00001]))
    tu.assert_almost_equal(np.ones((3, 1)), np.ones(3))
    tu.assert_almost_equal(1, 1)
    tu.assert_almost_equal(np.array([np.inf, np.nan]), np.array([np.inf, np.nan]), equal_nan=True)
    tu.assert_almost_equal(np.float16([1]), 1.05)
    tu.assert_almost_equal(np.array([True]), np.array([True]))
    tu.assert_allclose(np.array([np.nan, 1]), np.array([np.nan, 1 + 1e-8]))


def test_mismatch_report(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(AssertionError) as caught:
        tu.assert_almost_equal(np.array([1, 5, 6, 2.0]), np.array([1, 5.1, 7, 2]), names=("found", "truth"))
    lines = str(caught.value).splitlines()
    assert lines[2:4] == [
        "Error 14285.714286 exceeds tolerance rtol=1.000000e-05, atol=1.000000e-20 (mismatch 50.000000%).",
        "Location of maximum error: (2,), found=6.00000000, truth=7.00000000",
    ]
    assert capsys.readouterr().out.splitlines() == [
        "",
        "*** Maximum errors for vector of size 4:  rtol=1e-05, atol=1e-20",
        "",
        "  1: Error 14285.714286  Location of error: (2,), found=6.00000000, truth=7.00000000",
        "  2: Error 1960.784314  Location of error: (1,), found=5.00000000, truth=5.10000000",
    ]


def test_mismatch_report_is_cut_as_asked(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(AssertionError, match=r"mismatch at least 5\.000000%"):
        tu.assert_almost_equal(np.zeros(100), np.ones(100), mismatches=(2, 4))
    assert len(capsys.readouterr().out.splitlines()) == 3 + 2
    with pytest.raises(AssertionError, match=r"mismatch 100\.000000%"):
        tu.assert_almost_equal(np.zeros(100), np.ones(100), mismatches=(0, 0))
    with pytest.raises(AssertionError, match=r"mismatch 100\.000000%"):
        tu.assert_almost_equal(np.zeros((3, 1)), np.ones(3))


def test_report_keeps_print_options() -> None:
    before = np.get_printoptions()
    with pytest.raises(AssertionError):
        tu.assert_almost_equal(np.zeros(20), np.ones(20))
    assert np.get_printoptions() == before


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (np.array(1.0), np.array(2.0)),
        (1, 2),
        (np.array([1, np.nan]), np.array([1, np.nan])),
        (np.array([np.inf]), np.array([-np.inf])),
        (np.array([1, 2], np.uint8), np.array([2, 1], np.uint8)),
        (np.array([True]), np.array([False])),
        (mx.nd.array([1], dtype="int32"), mx.nd.array([2], dtype="int32")),
        (np.array([True, False]), np.array([1, 2], np.int32)),
    ],
)
def test_unequal_arrays_fail(a: object, b: object) -> None:
    with pytest.raises(AssertionError):
        tu.assert_almost_equal(a, b)


def test_shapes() -> None:
    with pytest.raises(mx.MXNetError, match=r"a has shape \(2, 3\), b has shape \(3,\)"):
        tu.assert_almost_equal(mx.nd.ones((2, 3)), mx.nd.ones(3))
    with pytest.raises(AssertionError, match="are not equal"):
        tu.assert_almost_equal(np.ones((2, 3)), np.ones(3), use_broadcast=False)
    with pytest.raises(AssertionError, match="are not equal"):
        tu.almost_equal(np.ones((2, 3)), np.ones(3), use_broadcast=False)
    assert tu.almost_equal(np.ones((2, 3)), np.ones(3))


def test_share_of_wrong_elements() -> None:
    a, b = np.zeros(10), np.zeros(10)
    b[0] = 1
    tu.assert_almost_equal_with_err(a, b, etol=0.1)
    tu.assert_almost_equal_with_err(mx.nd.array(a), mx.nd.array(b), etol=0.1)
    with pytest.raises(AssertionError, match="exceeds tolerance"):
        tu.assert_almost_equal_with_err(a, b, etol=0.05)
    with pytest.raises(AssertionError, match="exceeds tolerance"):
        tu.assert_almost_equal_with_err(a, b)


def test_ignoring_nan() -> None:
    tu.assert_almost_equal_ignore_nan(np.array([1, np.nan, 3]), np.array([1, 2, np.nan]))
    with pytest.raises(AssertionError):
        tu.assert_almost_equal_ignore_nan(np.array([1, np.nan]), np.array([2, 2]))


def test_exceptions_and_retries() -> None:
    tu.assert_exception(int, ValueError, "x")
    with pytest.raises(AssertionError, match="did not raise"):
        tu.assert_exception(int, ValueError, "1")
    calls = []

    @tu.retry(3)
    def unsteady(enough: int) -> None:
        calls.append(enough)
        assert len(calls) >= enough

    unsteady(2)
    assert calls == [2, 2] and unsteady.__name__ == "unsteady"
    with pytest.raises(AssertionError):
        unsteady(100)
    assert len(calls) == 5


def test_same_array_and_symbols() -> None:
    a = mx.nd.zeros(3)
    assert tu.same_array(a, a[:]) and not tu.same_array(a, a.copy())
    assert tu.same(a.asnumpy(), np.zeros(3)) and not tu.same(a.asnumpy(), np.zeros(2))
    assert tu.same_symbol_structure(product(), product())
    assert not tu.same_symbol_structure(product(), mx.sym.Variable("a") + mx.sym.Variable("b"))


# -- random data --------------------------------------------------------------------------------------------------


def test_random_arrays() -> None:
    assert tu.random_arrays((2, 3)).dtype == np.float32
    scalar, matrix = tu.random_arrays((), (2, 3))
    assert scalar.shape == () and matrix.shape == (2, 3)
    (uniform,) = tu.random_uniform_arrays((50,), low=2, high=3, dtype=np.float64)
    assert uniform.dtype == np.float64 and uniform.min() >= 2 and uniform.max() < 3
    with pytest.raises(TypeError):
        tu.random_uniform_arrays((2,), upper=1)
    assert sorted(tu.random_sample([1, 2, 3], 3)) == [1, 2, 3] and len(tu.random_sample([1, 2, 3], 2)) == 2
    with pytest.raises(AssertionError):
        tu.random_sample([1], 2)


def test_random_shapes() -> None:
    assert all(1 <= size <= 4 for _ in range(30) for size in tu.rand_shape_2d(4, 4))
    assert any(0 in tu.rand_shape_3d(1, 1, 1, allow_zero_size=True) for _ in range(50))
    assert len(tu.rand_shape_nd(5, dim=2)) == 5
    x, y = tu.rand_coord_2d(0, 2, 5, 6)
    assert x in (0, 1) and y == 5


def test_numbered_and_identity_arrays() -> None:
    assert tu.same(tu.create_2d_tensor(3, 2).asnumpy(), np.array([[0, 0], [1, 1], [2, 2]]))
    assert tu.create_vector(4).dtype == np.int64
    assert tu.same(tu.get_identity_mat(3).asnumpy(), np.eye(3))
    assert tu.get_identity_mat_batch(3).shape == (2, 3, 3)


def test_functions_of_every_element() -> None:
    a = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert tu.same(tu.assign_each(a, lambda x: x + 1), a + 1) and tu.same(tu.assign_each(a, None), a)
    assert tu.same(tu.assign_each2(a, a, lambda x, y: x * y), a * a)
    with pytest.raises(AssertionError):
        tu.assign_each2(a, a[0], max)


@pytest.mark.parametrize("axis", [0, (0, 2), None, [1]])
@pytest.mark.parametrize("keepdims", [True, False])
def test_np_reduce(axis: object, keepdims: bool) -> None:
    a = np.random.rand(2, 3, 4)
    axes = tuple(axis) if isinstance(axis, list) else axis
    np.testing.assert_allclose(tu.np_reduce(a, axis, keepdims, np.sum), a.sum(axis=axes, keepdims=keepdims))


def test_collapse_sum_like() -> None:
    a = np.random.rand(2, 3, 4)
    np.testing.assert_allclose(tu.collapse_sum_like(a, (3, 1)), a.sum(axis=(0, 2)).reshape(3, 1))
    assert tu.collapse_sum_like(np.zeros((0, 2)), (1, 2)).tolist() == [[0, 0]]
    with pytest.raises(AssertionError):
        tu.collapse_sum_like(a, (2, 4))


def test_matrices_with_real_eigenvalues() -> None:
    for matrix in tu.new_matrix_with_real_eigvals_nd((2, 3, 3)):
        assert np.abs(np.linalg.eigvals(matrix).imag).max() < 1e-9
    symmetric = tu.new_sym_matrix_with_real_eigvals_nd((2, 3, 3))
    np.testing.assert_allclose(symmetric, symmetric.transpose(0, 2, 1), atol=1e-12)
    q = tu.new_orthonormal_matrix_2d(4)
    np.testing.assert_allclose(q @ q.T, np.eye(4), atol=1e-12)


# -- sparse data --------------------------------------------------------------------------------------------------


def test_row_sparse_arrays() -> None:
    array, (values, rows) = tu.rand_sparse_ndarray((6, 2), "row_sparse", density=0.5, dtype="float64")
    assert array.stype == "row_sparse" and array.dtype == np.float64
    dense = np.zeros((6, 2))
    dense[rows] = values
    assert tu.same(array.asnumpy(), dense)
    array = tu.create_sparse_array_zd((6, 2), "row_sparse", 1, data_init=2, rsp_indices=[4, 1])
    assert tu.same(array.asnumpy()[:, 0], np.array([0, 2, 0, 0, 2, 0]))
    array = tu.rand_ndarray((6, 2), "row_sparse", density=1, modifier_func=lambda x: -1)
    assert tu.same(array.asnumpy(), -np.ones((6, 2)))
    assert not tu.rand_ndarray((6, 2), "row_sparse", density=0).asnumpy().any()


def test_csr_arrays() -> None:
    array, (indptr, indices, data) = tu.rand_sparse_ndarray((10, 20), "csr", density=0.3)
    assert array.stype == "csr" and len(data) == len(indices) == 60 and indptr.asnumpy()[-1] == 60
    assert (array.asnumpy() != 0).sum() == 60
    array = tu.create_sparse_array((4, 5), "csr", data_init=3, density=1, shuffle_csr_indices=True)
    assert tu.same(array.asnumpy(), np.full((4, 5), 3))
    assert tu.rand_ndarray((3, 4), "csr", density=0.5, dtype="int32").dtype == np.int32


def test_powerlaw_rows_double() -> None:
    array, (indptr, _, _) = tu.rand_sparse_ndarray((5, 16), "csr", density=0.5, distribution="powerlaw")
    counts = np.diff(indptr.asnumpy())
    assert counts.tolist()[:4] == [2, 4, 8, 16] and counts.sum() == 40
    with pytest.raises(ValueError, match="density"):
        tu.rand_sparse_ndarray((5, 16), "csr", density=0.01, distribution="powerlaw")


def test_bad_sparse_requests() -> None:
    with pytest.raises(ValueError, match="density"):
        tu.rand_sparse_ndarray((2, 2), "csr", density=2)
    for shape, stype, more in (
        ((2, 2), "other", {}),
        ((2, 2), "row_sparse", {"distribution": "powerlaw"}),
        ((2, 2), "csr", {"distribution": "normal"}),
        ((2, 2, 2), "csr", {}),
        ((2, 2), "row_sparse", {"rsp_indices": [0, 0, 1]}),
    ):
        with pytest.raises(AssertionError):
            tu.rand_sparse_ndarray(shape, stype, **more)
    with pytest.raises(AssertionError):
        tu.create_sparse_array((2, 2), "default")


# -- symbols ------------------------------------------------------------------------------------------------------


def test_simple_forward() -> None:
    a, b = np.ones((2, 2)), np.full((2, 2), 3.0)
    assert tu.same(tu.simple_forward(product(), a=a, b=b), b)
    net = product()
    both = tu.simple_forward(mx.sym.Group([net, net + 1]), a=a, b=b)
    assert len(both) == 2


def test_symbolic_forward() -> None:
    a, b = np.ones((2, 2)), np.full((2, 2), 3.0)
    for location in ([a, b], {"a": a, "b": b}):
        (output,) = tu.check_symbolic_forward(product(), location, [b])
        assert output.dtype == np.float32
    net = product()
    (output,) = tu.check_symbolic_forward(net, [a, b], {net.list_outputs()[0]: b}, dtype="asnumpy")
    assert output.dtype == np.float64
    with pytest.raises(AssertionError, match="EXPECTED|exceeds"):
        tu.check_symbolic_forward(product(), [a, b], [a])
    with pytest.raises(ValueError, match="do not match"):
        tu.check_symbolic_forward(product(), {"a": a}, [b])
    with pytest.raises(AssertionError, match="dtype"):
        tu.check_symbolic_forward(product(), [a, b], [b], dtype=np.int32)


@pytest.mark.parametrize("grad_req", ["write", "add", "null", ["write", "add"], {"a": "null", "b": "write"}])
def test_symbolic_backward(grad_req: object) -> None:
    a, b, head = np.random.rand(2, 2), np.random.rand(2, 2), np.random.rand(2, 2)
    tu.check_symbolic_backward(product(), [a, b], [head], [head * b, head * a], grad_req=grad_req, rtol=1e-4, atol=1e-5)
    if grad_req != "null":
        with pytest.raises(AssertionError, match="exceeds"):
            tu.check_symbolic_backward(product(), [a, b], [head], {"b": head * a + 1}, grad_req=grad_req)


def test_aux_states() -> None:
    net = mx.sym.BatchNorm(mx.sym.Variable("data"), name="bn", fix_gamma=False, eps=1e-5)
    data, mean, var = np.random.rand(4, 3), np.zeros(3), np.ones(3)
    location = {"data": data, "bn_gamma": np.ones(3), "bn_beta": np.zeros(3)}
    for states in ([mean, var], {"bn_moving_mean": mean, "bn_moving_var": var}):
        tu.check_symbolic_forward(net, location, [data], aux_states=states, rtol=1e-4, atol=1e-4)
    tu.check_numeric_gradient(net, location, [mean, var], numeric_eps=1e-4, rtol=1e-2, atol=1e-3, dtype=np.float64)
    with pytest.raises(ValueError, match="aux_states"):
        tu.check_symbolic_forward(net, location, [data], aux_states={"bn_moving_mean": mean})


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numeric_gradient(dtype: type) -> None:
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=3, name="fc")
    location = [np.random.rand(2, 4), np.random.rand(3, 4), np.random.rand(3)]
    tu.check_numeric_gradient(net, location, rtol=1e-2, atol=1e-2, dtype=dtype)
    tu.check_numeric_gradient(net, location, grad_nodes={"data": "add", "fc_weight": "null"}, atol=1e-2, dtype=dtype)
    tu.check_numeric_gradient(net, location, grad_nodes=["fc_bias"], rtol=1e-2, atol=1e-2, dtype=dtype)


def test_wrong_gradient_is_found() -> None:
    with pytest.raises(AssertionError, match="NUMERICAL_a"):
        tu.check_numeric_gradient(mx.sym.BlockGrad(mx.sym.Variable("a")) + mx.sym.Variable("b"), [np.ones(2)] * 2)
    with pytest.raises(AssertionError, match="1e-5"):
        tu.check_numeric_gradient(product(), [np.ones(2)] * 2, numeric_eps=1e-6)
    with pytest.raises(ValueError, match="grad_nodes"):
        tu.check_numeric_gradient(product(), [np.ones(2)] * 2, grad_nodes="a")


def test_numeric_grad_leaves_the_arguments() -> None:
    executor = mx.sym.sum(product()).simple_bind(mx.cpu(), a=(2,), b=(2,))
    location = {"a": np.array([1.0, 2]), "b": np.array([3.0, 4])}
    found = tu.numeric_grad(executor, location, eps=1 / 64)
    np.testing.assert_allclose(found["a"], [3, 4], rtol=1e-3)
    assert executor.arg_dict["a"].asnumpy().tolist() == [1, 2]


def test_consistency_across_types() -> None:
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=3, name="fc")
    contexts = [{"ctx": mx.cpu(i), "data": (2, 4), "type_dict": {"data": t}} for i, t in enumerate(FLOATS[::-1])]
    truth = tu.check_consistency(net, contexts)
    assert set(truth) == {"fc_output", "data", "fc_weight", "fc_bias"} and truth["fc_output"].dtype == np.float64
    tu.check_consistency(net, contexts[:2], grad_req={"data": "write", "fc_weight": "null", "fc_bias": "null"})
    tu.check_consistency(net, contexts[:2], grad_req="add", use_uniform=True, rand_type=np.float32)
    assert set(tu.check_consistency(net, contexts[:2], grad_req="null")) == {"fc_output"}


def test_inconsistency_is_found(capfd: pytest.CaptureFixture) -> None:
    first = mx.sym.Variable("a") * 2
    symbols = [first, mx.sym.FullyConnected(mx.sym.Variable("a"), num_hidden=1)]
    contexts = [{"ctx": mx.cpu(), "a": (2, 2)}] * 2
    with pytest.raises(AssertionError, match="names"):
        tu.check_consistency(symbols, contexts)
    with pytest.raises(AssertionError):
        tu.check_consistency(first, contexts[:1])
    other = mx.sym.broadcast_mul(mx.sym.Variable("a"), mx.sym.Variable("b"), name="out")
    close = mx.sym.broadcast_add(mx.sym.Variable("a"), mx.sym.Variable("b"), name="out")
    contexts = [{"ctx": mx.cpu(), "a": (2,), "b": (2,)}] * 2
    with pytest.raises(AssertionError, match="exceeds"):
        tu.check_consistency([other, close], contexts)
    tu.check_consistency([other, close], contexts, raise_on_err=False)
    assert "Train Err: ctx 1 vs ctx 0 at a" in capfd.readouterr().out


def test_speed() -> None:
    assert 0 < tu.check_speed(product(), N=2, a=(2,), b=(2,)) < 10
    assert 0 < tu.check_speed(product(), {"a": np.ones(2), "b": np.ones(2)}, N=1, typ="forward") < 10
    with pytest.raises(ValueError, match="typ"):
        tu.check_speed(product(), typ="backward", a=(2,), b=(2,))


def test_optimizers() -> None:
    def sgd(rate: float = 0.1) -> mx.optimizer.Optimizer:
        return mx.optimizer.create("sgd", learning_rate=rate, momentum=0.9)

    tu.compare_optimizer(sgd(), sgd(), (3, 4), "float32")
    with pytest.raises(AssertionError):
        tu.compare_optimizer(sgd(), sgd(0.2), (3, 4), "float32")
    multi = [mx.optimizer.create("sgd", learning_rate=0.1, momentum=0.9) for _ in range(2)]
    tu.compare_optimizer(*multi, [(3,), (2, 2)], "float32", ntensors=2)
    with pytest.raises(ValueError, match="storage type"):
        tu.compare_optimizer(sgd(), sgd(), (3, 4), "float32", w_stype="other")


def test_gluon_is_refused() -> None:
    with pytest.raises(mx.MXNetError, match="Gluon"):
        tu.check_gluon_hybridize_consistency(lambda: None, [])


# -- distributions ------------------------------------------------------------------------------------------------


def test_distributions() -> None:
    draws = np.random.RandomState(0)
    assert tu.mean_check(lambda n: draws.normal(1, 2, n), 1, 2, nsamples=10000)
    assert not tu.mean_check(lambda n: draws.normal(2, 2, n), 1, 2, nsamples=10000)
    assert tu.var_check(lambda n: draws.normal(1, 2, n), 2, nsamples=10000)
    assert not tu.var_check(lambda n: draws.normal(1, 3, n), 2, nsamples=10000)
    buckets, probs = tu.gen_buckets_probs_with_ppf(lambda p: 2 * p - 1, 4)
    assert buckets == [(-1, -0.5), (-0.5, 0), (0, 0.5), (0.5, 1)] and probs == [0.25] * 4
    tu.verify_generator(lambda n: draws.uniform(-1, 1, n), buckets, probs, nsamples=10000)
    with pytest.raises(AssertionError, match="Generator test fails"):
        tu.verify_generator(lambda n: draws.uniform(-1, 0.9, n), buckets, probs, nsamples=10000)


def test_chi_square() -> None:
    p, observed, expected = tu.chi_square_check(lambda n: np.arange(n) % 3, [0, 1, 2], [0.5, 0.25, 0.25], nsamples=12)
    assert observed.tolist() == [4, 4, 4] and expected.tolist() == [6, 3, 3]
    assert p == pytest.approx(math.exp(-((4 / 6 + 1 / 3 + 1 / 3) / 2)))  # closed form with two degrees of freedom
    with pytest.raises(AssertionError):
        tu.chi_square_check(np.arange, [0, 1], [1.0])
    with pytest.raises(AssertionError, match="ascend"):
        tu.chi_square_check(np.arange, [(1, 2), (0, 1)], [0.5, 0.5])


# -- environment --------------------------------------------------------------------------------------------------


def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_A", "1")
    monkeypatch.delenv("TEST_B", raising=False)
    with pytest.raises(ZeroDivisionError), tu.environment({"TEST_A": None, "TEST_B": "2"}):
        assert "TEST_A" not in os.environ and mx.util.getenv("TEST_B") == "2"
        raise ZeroDivisionError
    assert os.environ["TEST_A"] == "1" and "TEST_B" not in os.environ
    with tu.environment("TEST_A", "3"):
        assert os.environ["TEST_A"] == "3"
    with pytest.raises(AssertionError), tu.environment("TEST_A"):
        pass


def test_standard_error_is_discarded() -> None:
    program = (
        "import os; from mxcompat.test_utils import discard_stderr\n"
        "with discard_stderr(): os.write(2, b'hidden')\n"
        "os.write(2, b'shown')"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stderr == "shown"


def test_facts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CD_JOB", "1")
    assert tu.is_cd_run() and not tu.has_tvm_ops() and tu.is_op_runnable()
    assert list(tu.list_gpus()) == list(range(mx.context.num_gpus()))
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "im2rec.py").write_text("")
    monkeypatch.setenv("MXNET_HOME", str(tmp_path))
    assert tu.get_im2rec_path() == str(tmp_path / "tools" / "im2rec.py")
    monkeypatch.setenv("MXNET_HOME", str(tmp_path / "none"))
    with pytest.raises(OSError, match="im2rec"):
        tu.get_im2rec_path()


# -- data sets ----------------------------------------------------------------------------------------------------


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty working folder; the folder of local copies beside it, and no network."""
    copies, here = tmp_path / "copies", tmp_path / "here"
    copies.mkdir()
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("MXCOMPAT_DATA", str(copies))

    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    return copies


def pack_mnist(folder: Path) -> None:
    """The four packed files with a handful of images."""
    import gzip
    import struct

    for part, count in (("train", 4), ("t10k", 2)):
        pixels = np.arange(count * 784, dtype=np.uint8).tobytes()
        images = struct.pack(">IIII", 2051, count, 28, 28) + pixels
        labels = struct.pack(">II", 2049, count) + bytes(range(count))
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(images))
        (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))


def test_mnist_from_local_copies(offline: Path) -> None:
    pack_mnist(offline)
    mnist = tu.get_mnist()
    assert mnist["train_data"].shape == (4, 1, 28, 28) and mnist["train_data"].dtype == np.float32
    assert mnist["train_data"].max() == 1 and mnist["test_label"].tolist() == [0, 1]
    assert mnist["train_label"].dtype == np.int8
    tu.get_mnist_ubyte()
    assert sorted(os.listdir("data")) == sorted(f"{p}-ubyte" for p in _mnist_parts())
    tu.get_mnist_ubyte()


def _mnist_parts() -> list[str]:
    return [f"{part}-{kind}" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]


def test_archives(offline: Path) -> None:
    import bz2

    with zipfile.ZipFile(offline / "cifar10.zip", "w") as archive:
        for name in ("train.rec", "test.rec", "train.lst", "test.lst"):
            archive.writestr(f"cifar/{name}", name)
    tu.get_cifar10()
    assert Path("data/cifar/test.lst").read_text() == "test.lst"
    (offline / "x.bz2").write_bytes(bz2.compress(b"lines"))
    tu.get_bz2_data("out", "x", "http://host/x.bz2", "x.bz2")
    assert os.listdir("out") == ["x"] and Path("out/x").read_bytes() == b"lines"
    with zipfile.ZipFile(offline / "y.zip", "w") as archive:
        archive.writestr("y.txt", "y")
    tu.get_zip_data("out", "http://host/y.zip", "y.zip")
    assert Path("out/y.txt").read_text() == "y"
    (offline / "mnist.pkl.gz").write_bytes(b"p")
    tu.get_mnist_pkl()
    assert Path("data/mnist.pkl.gz").read_bytes() == b"p"


def test_models(offline: Path) -> None:
    for name in ("resnet-18-symbol.json", "resnet-18-0000.params"):
        (offline / name).write_text(name)
    assert tu.download_model("imagenet1k-resnet-18", "models") == (os.path.join("models", "imagenet1k-resnet-18"), 0)
    assert sorted(os.listdir("models")) == ["imagenet1k-resnet-18-0000.params", "imagenet1k-resnet-18-symbol.json"]
    assert tu.download_model("unknown") == (None, 0)
    with pytest.raises(AssertionError, match="params"):
        tu.download_model("m", meta_info={"m": {"symbol": "u"}})


def test_download_keeps_what_is_there(offline: Path) -> None:
    (offline / "f.txt").write_text("new")
    Path("f.txt").write_text("old")
    assert tu.download("http://host/f.txt") == "f.txt" and Path("f.txt").read_text() == "old"
    tu.download("http://host/f.txt", overwrite=True)
    assert Path("f.txt").read_text() == "new"
    assert tu.download("http://host/f.txt", "g.txt", "sub/dir") == os.path.join("sub/dir", "g.txt")
    with pytest.raises(AssertionError):
        tu.download("http://host/f.txt", retries=-1)
    with pytest.raises(OSError, match=r"Place a copy at .*host.none\.txt"):
        tu.download("http://host/none.txt", retries=1)


def test_dummy_iterator() -> None:
    real = mx.io.NDArrayIter(np.arange(8).reshape(4, 2), np.arange(4), batch_size=2)
    dummy = tu.DummyIter(real)
    assert dummy.provide_data == real.provide_data and dummy.batch_size == 2
    batches = iter(dummy)
    assert next(batches) is next(batches)
