"""Sparse arrays: cases recorded with real MXNet, errors, files, and what they cost."""

from __future__ import annotations

import functools
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mxcompat as mx
from mxcompat.base import MXNetError, NotSupportedForSparseNDArray
from tests.ndarray.sparse_cases import CASES, VALUES, arrays, described

nd, sparse = mx.nd, mx.nd.sparse
RECORDED = json.loads((Path(__file__).parents[1] / "golden" / "sparse.json").read_text(encoding="utf-8"))
ROWS, WIDTH = 1 << 30, 64  # an array of so many rows fits in no memory


@pytest.mark.filterwarnings("ignore:.*pow.*:RuntimeWarning")
@pytest.mark.parametrize("name", CASES)
def test_recorded(name: str) -> None:
    compare(described(CASES[name](mx)), RECORDED[name], name)


def compare(found: Any, expected: Any, where: str) -> None:
    """Equal storage types, shapes and types, and elements up to rounding; a kernel that the original lacks may exist."""
    if expected == "MXNetError":
        return
    if isinstance(expected, list) and expected and expected[0] in ("default", "csr", "row_sparse"):
        assert found[:3] == expected[:3], where
        values = [np.array([float(x) for x in elements]) for elements in (found[3], expected[3])]
        np.testing.assert_allclose(*values, rtol=2e-5, atol=2e-5, err_msg=where)
    elif isinstance(expected, list):
        assert len(found) == len(expected), where
        for index, parts in enumerate(zip(found, expected)):
            compare(*parts, f"{where}[{index}]")
    else:
        assert found == expected, where


def test_every_case_is_recorded() -> None:
    assert set(RECORDED) == set(CASES)


class TestMaking:
    @pytest.mark.parametrize(
        ("parts", "shape", "error", "text"),
        [
            (([1, 2], [0, 1, 2], [0, 1, 3]), (2, 3), MXNetError, "data has 2 elements and indices 3"),
            (([[1, 2]], [0, 1], [0, 1, 2]), (2, 3), ValueError, "one axis each"),
            (([1, 2], [0, 1], [0, 1, 2]), (2, 3, 4), ValueError, "two dimensions"),
            (([], [], [0]), None, ValueError, "no indices"),
            (([1], [0]), (2, 3), ValueError, "Shape mismatch"),
            ((1,), None, ValueError, "length of input tuple"),
        ],
    )
    def test_wrong_csr(self, parts: tuple, shape: Any, error: type, text: str) -> None:
        with pytest.raises(error, match=text):
            sparse.csr_matrix(parts, shape=shape)

    @pytest.mark.parametrize(
        ("parts", "shape", "error", "text"),
        [
            (([[1, 2], [3, 4]], [0]), (4, 2), MXNetError, r"data has shape \(2, 2\), expected \(1, 2\)"),
            (([[1, 2, 3]], [0]), (4, 2), MXNetError, "expected"),
            (([[1, 2]], [[0]]), (4, 2), ValueError, "one axis"),
            (([1], [0]), (4, 2), ValueError, "invalid shape"),
            ((2,), None, ValueError, "length of input tuple"),
        ],
    )
    def test_wrong_rows(self, parts: tuple, shape: Any, error: type, text: str) -> None:
        with pytest.raises(error, match=text):
            sparse.row_sparse_array(parts, shape=shape)

    @pytest.mark.parametrize(
        ("array", "text"),
        [
            (lambda: sparse.csr_matrix(([1, 2, 3], [0, 2, 1], [0, 5, 2, 3]), shape=(3, 4)), "indptr does not rise"),
            (lambda: sparse.csr_matrix(([1, 2, 3], [0, 2, 1], [0, 1, 3]), shape=(3, 4)), "indptr has 3 entries"),
            (lambda: sparse.csr_matrix(([1, 2], [0, 9], [0, 1, 2]), shape=(2, 4)), "from 0 to 9, outside of 0 to 3"),
            (lambda: sparse.row_sparse_array(([[1, 2], [3, 4]], [1, -2]), shape=(3, 2)), "from -2 to 1"),
        ],
    )
    def test_numbers_out_of_range_are_found_when_the_array_is_read(self, array: Any, text: str) -> None:
        for use in (
            lambda x: x.check_format(),
            lambda x: x.check_format(False),
            lambda x: x.asnumpy(),
            lambda x: x * 2,
        ):
            with pytest.raises(MXNetError, match=text):
                use(array())

    def test_unordered_numbers_fail_the_full_check_only(self) -> None:
        for array in (
            sparse.csr_matrix(([1, 2], [2, 1], [0, 2]), shape=(1, 3)),
            sparse.row_sparse_array(([[1, 2], [3, 4]], [1, 0]), shape=(3, 2)),
        ):
            array.check_format(full_check=False)
            with pytest.raises(MXNetError, match="do not rise"):
                array.check_format()
        assert sparse.csr_matrix(([1, 2], [2, 1], [0, 2]), shape=(1, 3)).asnumpy().tolist() == [[0, 2, 1]]

    def test_dense_and_foreign_sources_are_refused(self) -> None:
        with pytest.raises(AssertionError, match="tostype"):
            sparse.array(nd.ones((2, 2)))
        for source in (np.ones((2, 2)), [[1]]):
            with pytest.raises(ValueError, match="source_array"):
                sparse.array(source)
        with pytest.raises(ValueError, match="unknown storage type"):
            sparse.zeros("dense", (2, 2))
        with pytest.raises(ValueError, match="RowSparseNDArray"):
            sparse.csr_matrix(arrays(mx, "row_sparse"))
        with pytest.raises(ValueError, match="CSRNDArray"):
            sparse.row_sparse_array(arrays(mx, "csr"))

    def test_scipy(self) -> None:
        scipy_sparse = pytest.importorskip("scipy.sparse")
        matrix = scipy_sparse.csr_matrix(([1.0, 2, 3, 4], [2, 0, 1, 1], [0, 2, 4]), shape=(2, 3))
        array = nd.array(matrix)
        assert (array.stype, array.dtype, array.indices.asnumpy().tolist()) == ("csr", np.float64, [0, 2, 1])
        assert array.asnumpy().tolist() == matrix.toarray().tolist()
        assert (array.asscipy() != matrix).nnz == 0


class TestArrays:
    @pytest.mark.parametrize("stype", ["csr", "row_sparse"])
    def test_pickles_and_files(self, stype: str, tmp_path: Path) -> None:
        array = arrays(mx, stype)
        for loaded in (pickle.loads(pickle.dumps(array)), array.copy(), array.detach()):
            assert type(loaded) is type(array)
            assert loaded.asnumpy().tolist() == VALUES.tolist()
        file = str(tmp_path / "arrays")
        nd.save(file, {"a": array, "empty": sparse.zeros(stype, (3, 2)), "dense": nd.ones((2,))})
        found = nd.load(file)
        assert [found[key].stype for key in ("a", "empty", "dense")] == [stype, stype, "default"]
        assert found["a"].asnumpy().tolist() == VALUES.tolist()
        assert (found["empty"].shape, found["empty"].asnumpy().any()) == ((3, 2), False)

    def test_what_there_is_not(self) -> None:
        csr, rows = arrays(mx, "csr"), arrays(mx, "row_sparse")
        for array in (csr, rows):
            for use, error in (
                (lambda x: x.size, NotImplementedError),
                (lambda x: x.reshape((2, 8)), NotSupportedForSparseNDArray),
                (lambda x: x[0, 1], ValueError),
                (lambda x: x.copyto("cpu"), TypeError),
                (lambda x: x.copyto(nd.ones((2, 2))), MXNetError),
                (lambda x: setattr(x, "data", 1), NotImplementedError),
                (lambda x: x.__setitem__(0, 1), TypeError),
                (lambda x: x.__setitem__(slice(0, 1), nd.ones((1, 4))), ValueError),
                (bool, ValueError),
            ):
                with pytest.raises(error):
                    use(array)
        with pytest.raises(ValueError, match="numeric"):
            csr[:] = 1
        with pytest.raises(IndexError):
            csr[4]
        with pytest.raises(TypeError):
            csr.copyto(rows)
        with pytest.raises(ValueError, match="csr to row_sparse"):
            csr.tostype("row_sparse")
        with pytest.raises(ValueError, match="2 Dimensional"):
            nd.ones((3,)).tostype("csr")
        with pytest.warns(RuntimeWarning, match="itself"):
            assert csr.copyto(csr) is False
        with pytest.warns(RuntimeWarning, match="not efficient"):
            csr[:] = np.eye(4, dtype="float32")
        assert csr.indices.asnumpy().tolist() == [0, 1, 2, 3]

    def test_parts_are_copies(self) -> None:
        rows = arrays(mx, "row_sparse")
        rows.data[:] = 9
        rows.copy()[:] = 9
        rows.tostype("default")[:] = 9
        assert rows.asnumpy().tolist() == VALUES.tolist()

    def test_text(self) -> None:
        assert repr(arrays(mx, "csr")) == "\n<CSRNDArray 4x4 @cpu(0)>"

    def test_every_operator_runs_on_dense_copies(self) -> None:
        csr, dense = arrays(mx, "csr"), nd.array(VALUES)
        fully_connected = functools.partial(nd.FullyConnected, weight=dense, num_hidden=4, no_bias=True)
        for use in (nd.softmax, nd.flatten, functools.partial(nd.topk, k=2), fully_connected, nd.transpose):
            assert use(csr).asnumpy().tolist() == use(dense).asnumpy().tolist()


class TestEdges:
    """``contrib.edge_id``; expected values are the original's."""

    @pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64"])
    def test_numbers_of_edges(self, dtype: str) -> None:
        edges = nd.array([[0, 2, 0], [3, 0, 4], [0, 0, 5]]).astype(dtype).tostype("csr")
        found = nd.contrib.edge_id(edges, nd.array([0, 0, 1, 1, 2, 2]), nd.array([0, 1, 0, 1, 2, 0]))
        assert found.dtype is np.dtype(dtype).type
        assert found.asnumpy().tolist() == [-1, 2, 3, -1, 5, -1]

    def test_nothing_stored_and_columns_beyond(self) -> None:
        none = nd.sparse.zeros("csr", (2, 3))
        assert nd.contrib.edge_id(none, nd.array([0, 1]), nd.array([0, 2])).asnumpy().tolist() == [-1, -1]
        zero = nd.sparse.csr_matrix(([0.0, 7.0], [1, 2], [0, 1, 2]), shape=(2, 3))
        found = nd.contrib.edge_id(zero, nd.array([0, 0, 1, 0]), nd.array([1, 3, 2, -1]))
        assert found.asnumpy().tolist() == [0, -1, 7, -1]
        unordered = nd.sparse.csr_matrix(([5.0, 6.0, 7.0], [2, 0, 1], [0, 2, 3]), shape=(2, 3))
        found = nd.contrib.edge_id(unordered, nd.array([0, 0, 0, 1]), nd.array([0, 1, 2, 1]))
        assert found.asnumpy().tolist() == [6, -1, 5, 7]

    def test_symbol(self) -> None:
        edges = nd.array([[0, 2], [3, 0]]).tostype("csr")
        node = mx.sym.contrib.edge_id(mx.sym.var("g", stype="csr"), mx.sym.var("u"), mx.sym.var("v"))
        arrays = {"g": edges, "u": nd.array([0, 1]), "v": nd.array([1, 1])}
        assert node.bind(mx.cpu(), arrays, grad_req="null").forward()[0].asnumpy().tolist() == [2, -1]

    def test_errors(self) -> None:
        edges, two = nd.array([[0, 2], [3, 0]]).tostype("csr"), nd.array([0, 1])
        for data, u, v, words in (
            (nd.ones((2, 2)), two, two, "csr array"),
            (edges, two, nd.array([0]), "as long as u"),
            (edges, nd.ones((1, 2)), nd.ones((1, 2)), "one dimension"),
            (edges, nd.array([0, 2]), two, "rows outside of 0 to 1"),
        ):
            with pytest.raises(MXNetError, match=words):
                nd.contrib.edge_id(data, u, v)


class TestErrors:
    def test_kernels(self) -> None:
        csr, dense = arrays(mx, "csr"), nd.ones((4, 4))
        with pytest.raises(MXNetError, match="row_sparse array"):
            sparse.retain(dense, nd.array([1]))
        with pytest.raises(MXNetError, match="csr array"):
            nd.contrib.getnnz(dense)
        with pytest.raises(MXNetError, match="axis = 0"):
            nd.contrib.getnnz(csr, axis=0)
        with pytest.raises(MXNetError, match="_square_sum needs"):
            nd._internal._square_sum(csr, axis=1)
        with pytest.raises(MXNetError, match="elemwise_div"):
            nd.broadcast_div(csr, dense)
        with pytest.raises(MXNetError, match="one dimension"):
            nd.take(csr, nd.ones((2, 2)))
        with pytest.raises(MXNetError, match="contracted axes"):
            sparse.dot(csr, nd.ones((3, 2)))
        with pytest.raises(MXNetError, match="out of bound"):
            nd.Embedding(nd.array([7]), arrays(mx, "row_sparse"), input_dim=4, output_dim=4)

    def test_updates(self) -> None:
        gradient = sparse.row_sparse_array(([[1.0, 2]], [1]), shape=(3, 2))
        part = sparse.row_sparse_array(([[1.0, 2]], [1]), shape=(3, 2))
        with pytest.raises(MXNetError, match="must have all rows"):
            sparse.sgd_update(part, gradient, out=part, lr=0.1)
        with pytest.raises(MXNetError, match="does not support wd"):
            sparse.adagrad_update(nd.ones((3, 2)), gradient, nd.ones((3, 2)), lr=0.1, wd=0.1)
        with pytest.raises(MXNetError, match="weight decay"):
            mx.optimizer.get_updater(mx.optimizer.AdaGrad(wd=0.1))(0, gradient, nd.ones((3, 2)))
        with pytest.raises(MXNetError, match="expected"):
            mx.optimizer.get_updater(mx.optimizer.SGD())(0, gradient, nd.ones((2, 2)))

    def test_stores(self) -> None:
        store = mx.kv.create("local")
        store.init("w", arrays(mx, "row_sparse"))
        store.init("d", nd.ones((4, 4)))
        out = sparse.zeros("row_sparse", (4, 4))
        for key, target, rows, text in (
            ("w", nd.ones((4, 4)), nd.array([1]), "out has storage default"),
            ("d", out, nd.array([1]), "the value has storage default"),
            ("w", out, nd.array([4]), "outside of 0 to 3"),
            ("x", out, nd.array([1]), "not in the store"),
        ):
            with pytest.raises(MXNetError, match=text):
                store.row_sparse_pull(key, out=target, row_ids=rows)
        with pytest.raises(MXNetError, match="csr"):
            store.push("w", arrays(mx, "csr"))
        with pytest.raises(AssertionError):
            store.row_sparse_pull("w", out=out)

    def test_graphs(self) -> None:
        with pytest.raises(MXNetError, match="storage type is 'dense'"):
            mx.sym.Variable("x", stype="dense")
        with pytest.raises(RuntimeError, match="stype_dict"):
            mx.sym.relu(mx.sym.Variable("x")).simple_bind(mx.cpu(), stype_dict={"x": "dense"}, x=(2, 2))


class TestGraphs:
    def test_stype_dict_and_loading(self) -> None:
        net = mx.sym.sparse.dot(mx.sym.Variable("x"), mx.sym.Variable("w"))
        executor = net.simple_bind(mx.cpu(), stype_dict={"x": "csr"}, x=(4, 4), w=(4, 2))
        assert [array.stype for array in executor.arg_arrays] == ["csr", "default"]
        assert [array.stype for array in executor.grad_arrays] == ["default", "row_sparse"]
        executor.arg_dict["w"][:] = 1
        executor.forward(x=arrays(mx, "csr"))
        assert executor.outputs[0].asnumpy()[:, 0].tolist() == VALUES.sum(1).tolist()
        larger = executor.reshape(x=(8, 4), w=(4, 2), allow_up_sizing=True)
        larger.forward(x=sparse.zeros("csr", (8, 4)))
        assert (larger.outputs[0].shape, larger.arg_dict["x"].stype) == ((8, 2), "csr")

    def test_gradients_add_up(self) -> None:
        weight, ids = mx.sym.Variable("w"), mx.sym.Variable("i")
        net = mx.sym.sparse.Embedding(ids, weight, input_dim=4, output_dim=1, sparse_grad=True)
        for stype in ("row_sparse", "default"):
            grad = nd.zeros((4, 1), stype=stype)
            args = {"w": nd.ones((4, 1)), "i": nd.array([1, 3, 1])}
            executor = net.bind(mx.cpu(), args, args_grad={"w": grad}, grad_req={"w": "add", "i": "null"})
            for _ in range(2):
                executor.forward(is_train=True)
                executor.backward(nd.ones((3, 1)))
            assert (grad.stype, grad.asnumpy().reshape(-1).tolist()) == (stype, [0, 4, 0, 2])

    def test_monitor_sees_sparse_values(self) -> None:
        net = mx.sym.sparse.square(mx.sym.Variable("x", stype="csr"), name="squared")
        executor = net.bind(mx.cpu(), {"x": arrays(mx, "csr")})
        seen: dict[str, Any] = {}
        executor.set_monitor_callback(lambda name, array: seen.update({name.decode(): array.stype}), monitor_all=True)
        executor.forward()
        assert seen["squared_output"] == "csr"

    def test_outputs_keep_their_handles(self) -> None:
        executor = mx.sym.square(mx.sym.Variable("x", stype="csr")).bind(mx.cpu(), {"x": arrays(mx, "csr")})
        (output,) = executor.outputs
        executor.forward()
        assert output.asnumpy().tolist() == (VALUES**2).tolist()
        executor.arg_dict["x"][:] = sparse.zeros("csr", (4, 4))
        executor.forward()
        assert not output.asnumpy().any()


class TestCost:
    """Arrays whose dense copies would need a quarter of a terabyte: nothing here may make one."""

    def test_operators(self) -> None:
        rows = sparse.row_sparse_array((np.ones((2, WIDTH), "float32"), [1, ROWS - 1]), shape=(ROWS, WIDTH))
        total = rows + rows * 2
        assert (total.shape, total.data.asnumpy().sum()) == ((ROWS, WIDTH), 6 * WIDTH)
        kept = rows.retain(nd.array([ROWS - 1], dtype="int64"))
        assert kept.indices.asnumpy().tolist() == [ROWS - 1]
        assert rows.norm().asscalar() == pytest.approx((2 * WIDTH) ** 0.5)
        assert sparse.square(rows).shape == rows.shape
        data = sparse.csr_matrix(([1.0, 2], [1, ROWS - 1], [0, 1, 2]), shape=(2, ROWS))
        assert sparse.dot(data, rows).asnumpy()[:, 0].tolist() == [1, 2]
        product = sparse.dot(data, nd.ones((2, 3)), transpose_a=True)
        assert (product.stype, product.indices.asnumpy().tolist()) == ("row_sparse", [1, ROWS - 1])
        assert data[1].indices.asnumpy().tolist() == [ROWS - 1]

    def test_recorded_gradients(self) -> None:
        rows = sparse.row_sparse_array((np.ones((1, WIDTH), "float32"), [5]), shape=(ROWS, WIDTH))
        rows.attach_grad()
        data = sparse.csr_matrix(([1.0, 2], [5, 7], [0, 1, 2]), shape=(2, ROWS))
        with mx.autograd.record():
            loss = sparse.dot(data, sparse.square(rows)).sum() + sparse.dot(data, rows * 3).sum()
        loss.backward()
        assert rows.grad.indices.asnumpy().tolist() == [5, 7]
        assert rows.grad.data.asnumpy()[:, 0].tolist() == [5, 6]

    def test_graph(self) -> None:
        weight = mx.sym.Variable("w", stype="row_sparse")
        net = mx.sym.Embedding(mx.sym.Variable("i"), weight, input_dim=ROWS, output_dim=WIDTH, sparse_grad=True)
        executor = net.simple_bind(mx.cpu(), i=(3,), grad_req={"i": "null", "w": "write"})
        executor.arg_dict["w"][:] = sparse.row_sparse_array((np.ones((1, WIDTH)), [5]), shape=(ROWS, WIDTH))
        executor.forward(is_train=True, i=nd.array([5, 1, 5]))
        executor.backward(nd.ones((3, WIDTH)))
        assert executor.outputs[0].asnumpy()[:, 0].tolist() == [1, 0, 1]
        assert executor.grad_dict["w"].indices.asnumpy().tolist() == [1, 5]
