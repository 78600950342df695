"""Descriptions, batches, and the iterators over arrays and other iterators."""

from __future__ import annotations

import gc
import os
import pickle
import subprocess
import sys
import threading
import time
from typing import Any

import numpy as np
import pytest

import mxcompat as mx
from mxcompat import nd
from mxcompat.base import MXNetError


def batches(iterator: Any) -> list[tuple[list, int]]:
    """Values of the first data array, and the pad, of each batch of an epoch."""
    return [(batch.data[0].asnumpy().tolist(), batch.pad) for batch in iterator]


def counting(count: int, size: int, **options: Any) -> Any:
    return mx.io.NDArrayIter(np.arange(count), batch_size=size, **options)


class TestDescriptions:
    def test_data_desc(self) -> None:
        desc = mx.io.DataDesc("x", (2, 3))
        assert (tuple(desc), desc.dtype, desc.layout) == (("x", (2, 3)), np.float32, "NCHW")
        assert repr(desc) == "DataDesc[x,(2, 3),<class 'numpy.float32'>,NCHW]"
        name, shape = desc
        assert (name, shape) == (desc.name, desc.shape)
        other = mx.io.DataDesc("x", (2, 3), np.int8, "TN")
        assert desc == other == ("x", (2, 3))
        loaded = pickle.loads(pickle.dumps(other))
        assert (loaded, loaded.dtype, loaded.layout) == (other, np.int8, "TN")

    def test_batch_axis(self) -> None:
        assert [mx.io.DataDesc.get_batch_axis(layout) for layout in ("NTC", "TNC", None, "TC")] == [0, 1, 0, -1]

    def test_list_of_descriptions(self) -> None:
        shapes = [("a", (1,)), ("b", (2,))]
        assert [d.dtype for d in mx.io.DataDesc.get_list(shapes, [("b", np.int8), ("a", np.int32)])] == [
            np.int32,
            np.int8,
        ]
        assert mx.io.DataDesc.get_list(shapes, None) == shapes

    def test_data_batch(self) -> None:
        batch = mx.io.DataBatch([nd.ones((2, 3))], [nd.ones((2,))], 1, [4, 5], "key", [1], [2])
        assert (batch.pad, batch.index, batch.bucket_key) == (1, [4, 5], "key")
        assert (batch.provide_data, batch.provide_label) == ([1], [2])
        assert str(batch) == "DataBatch: data shapes: [(2, 3)] label shapes: [(2,)]"
        assert str(mx.io.DataBatch([nd.ones((2,))])) == "DataBatch: data shapes: [(2,)] label shapes: None"
        with pytest.raises(AssertionError, match="Data must be list"):
            mx.io.DataBatch(nd.ones((2,)))
        with pytest.raises(AssertionError, match="Label must be list"):
            mx.io.DataBatch([nd.ones((2,))], nd.ones((2,)))


class TestDataIter:
    def test_base(self) -> None:
        with pytest.raises(StopIteration):
            mx.io.DataIter(3).next()

    def test_subclass_by_parts(self) -> None:
        class Once(mx.io.DataIter):
            done = False

            def iter_next(self) -> bool:
                done, self.done = self.done, True
                return not done

            def getdata(self) -> list:
                return [nd.ones((1,))]

            def getlabel(self) -> None:
                return None

            def getpad(self) -> int:
                return 0

        (batch,) = list(Once())
        assert (batch.data[0].shape, batch.label, batch.pad, batch.index) == ((1,), None, 0, None)


class TestLastBatch:
    @pytest.mark.parametrize(
        ("handle", "first", "second"),
        [
            ("pad", [([0, 1], 0), ([2, 3], 0), ([4, 0], 1)], [([0, 1], 0), ([2, 3], 0), ([4, 0], 1)]),
            ("discard", [([0, 1], 0), ([2, 3], 0)], [([0, 1], 0), ([2, 3], 0)]),
            ("roll_over", [([0, 1], 0), ([2, 3], 0)], [([4, 0], 1), ([1, 2], 0), ([3, 4], 0)]),
        ],
    )
    def test_handles(self, handle: str, first: list, second: list) -> None:
        iterator = counting(5, 2, last_batch_handle=handle)
        assert batches(iterator) == first
        iterator.reset()
        assert batches(iterator) == second

    def test_more_than_there_is(self) -> None:
        assert batches(counting(3, 5)) == [([0, 1, 2, 0, 1], 2)]
        assert batches(counting(3, 8)) == [([0, 1, 2, 0, 1, 2, 0, 1], 5)]
        assert batches(counting(3, 6)) == [([0, 1, 2, 0, 1, 2], 3)]
        assert batches(counting(3, 5, last_batch_handle="discard")) == []

    def test_roll_over_with_labels(self) -> None:
        iterator = mx.io.NDArrayIter(np.arange(5), np.arange(5) * 10, 2, last_batch_handle="roll_over")
        list(iterator)
        iterator.reset()
        assert iterator.next().label[0].asnumpy().tolist() == [40, 0]

    def test_hard_reset_forgets(self) -> None:
        iterator = counting(5, 2, last_batch_handle="roll_over")
        list(iterator)
        iterator.hard_reset()
        assert batches(iterator)[0] == ([0, 1], 0)

    def test_behind_the_end(self) -> None:
        iterator = counting(4, 2)
        list(iterator)
        with pytest.raises(StopIteration):
            iterator.next()
        with pytest.raises(AssertionError, match="reset"):
            iterator.getdata()

    def test_before_the_start(self) -> None:
        iterator = counting(4, 2)
        assert (iterator.getpad(), iterator.getindex(), iterator.getlabel()) == (0, None, [])
        with pytest.raises(MXNetError):
            iterator.getdata()


class TestSources:
    def test_names_and_types(self) -> None:
        iterator = mx.io.NDArrayIter(np.zeros((4, 2)), np.zeros(4), batch_size=2)
        assert repr(iterator.provide_data) == "[DataDesc[data,(2, 2),<class 'numpy.float32'>,NCHW]]"
        assert repr(iterator.provide_label) == "[DataDesc[softmax_label,(2,),<class 'numpy.float32'>,NCHW]]"
        many = mx.io.NDArrayIter([np.zeros((4, 2)), np.zeros((4, 1))], batch_size=2)
        assert many.provide_data == [("_0_data", (2, 2)), ("_1_data", (2, 1))]
        named = mx.io.NDArrayIter({"b": np.zeros((4, 1)), "a": np.zeros((4, 2))}, batch_size=2, data_name="ignored")
        assert named.provide_data == [("a", (2, 2)), ("b", (2, 1))]
        assert [array.shape for array in named.next().data] == [(2, 2), (2, 1)]
        assert named.provide_label == []
        assert named.next().label == []

    def test_a_dict_of_numpy_arrays_stays_as_it_is(self) -> None:
        given = {"a": np.zeros((4, 2))}
        mx.io.NDArrayIter(given, batch_size=2)
        assert type(given["a"]) is np.ndarray

    def test_ndarrays_keep_their_type_until_shuffled(self) -> None:
        array = nd.array([[1, 2], [3, 4]], dtype="int32")
        assert mx.io.NDArrayIter(array, batch_size=2).next().data[0].dtype == np.int32
        shuffled = mx.io.NDArrayIter(array, batch_size=2, shuffle=True)
        assert (shuffled.next().data[0].dtype, shuffled.provide_data[0].dtype) == (np.float32, np.float32)

    def test_batches_are_copies(self) -> None:
        array = nd.array([1.0, 2.0])
        mx.io.NDArrayIter(array, batch_size=2).next().data[0][:] = 9
        assert array.asnumpy().tolist() == [1, 2]

    def test_layout(self) -> None:
        data = np.arange(8).reshape(2, 4)
        iterator = mx.io.NDArrayIter(data, data, batch_size=3, layout="TN")
        assert (iterator.provide_data, iterator.num_data) == ([("data", (2, 3))], 2)
        assert batches(iterator) == [([[0, 1, 0], [4, 5, 4]], 1)]
        with pytest.raises(MXNetError, match="batch axis"):
            mx.io.NDArrayIter(data, np.arange(2), batch_size=2, layout="TN").next()

    def test_lengths(self) -> None:
        longer = mx.io.NDArrayIter({"a": np.zeros((4, 2)), "b": np.zeros((9, 2))}, batch_size=2)
        assert len(list(longer)) == 2
        with pytest.raises(MXNetError, match=r"shape \(3, 2\)"):
            list(mx.io.NDArrayIter({"a": np.zeros((4, 2)), "b": np.zeros((3, 2))}, batch_size=2))

    @pytest.mark.parametrize("given", ["text", 5, {"a": "text"}, {"a": object()}])
    def test_no_arrays(self, given: Any) -> None:
        with pytest.raises(TypeError):
            mx.io.NDArrayIter(given)

    def test_nothing(self) -> None:
        for given in (None, []):
            with pytest.raises(AssertionError, match="at least one"):
                mx.io.NDArrayIter(given)

    def test_init_data(self) -> None:
        assert mx.io._init_data is mx.io.utils._init_data
        assert mx.io._init_data(None, True, "x") == []
        (name, array) = mx.io._init_data(np.zeros((2, 3)), False, "x")[0]
        assert (name, array.shape, array.dtype) == ("x", (2, 3), np.float32)
        assert mx.io._has_instance([("x", array)], nd.NDArray)


class TestShuffle:
    def test_numpy_draws_the_order(self) -> None:
        np.random.seed(0)
        iterator = counting(6, 6, shuffle=True)
        first = iterator.next().data[0].asnumpy().tolist()
        iterator.reset()
        second = iterator.next().data[0].asnumpy().tolist()
        assert (first, second) == ([5, 2, 1, 3, 0, 4], [1, 3, 5, 4, 2, 0])

    def test_labels_follow(self) -> None:
        iterator = mx.io.NDArrayIter(np.arange(20), np.arange(20) * 2, 5, shuffle=True)
        for _ in range(3):
            for batch in iterator:
                assert (batch.label[0].asnumpy() == batch.data[0].asnumpy() * 2).all()
            iterator.reset()


class FakeDataset:
    """As an ``h5py.Dataset``: rows are read by increasing numbers only."""

    def __init__(self, content: np.ndarray):
        self.content, self.shape, self.dtype = content, content.shape, content.dtype

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        if (np.diff(rows) <= 0).any():
            raise TypeError("Indexing elements must be in increasing order")
        return self.content[rows]


class TestOtherSources:
    @pytest.fixture
    def dataset(self, monkeypatch: Any) -> type:
        module = type(threading)("h5py")
        module.Dataset = FakeDataset  # type: ignore[attr-defined]
        monkeypatch.setitem(__import__("sys").modules, "h5py", module)
        return FakeDataset

    def test_h5py(self, dataset: type) -> None:
        source = dataset(np.arange(10.0).reshape(5, 2))
        iterator = mx.io.NDArrayIter(source, np.arange(5), batch_size=2)
        assert iterator.provide_data[0].dtype == np.float64
        assert batches(iterator) == [([[0, 1], [2, 3]], 0), ([[4, 5], [6, 7]], 0), ([[8, 9], [0, 1]], 1)]

    def test_shuffled_h5py_stays_with_its_labels(self, dataset: type) -> None:
        source = dataset(np.arange(12.0).reshape(12, 1))
        iterator = mx.io.NDArrayIter({"d": source}, np.arange(12), batch_size=4, shuffle=True)
        for _ in range(3):
            found = [(batch.data[0].asnumpy()[:, 0], batch.label[0].asnumpy()) for batch in iterator]
            assert all((data == label).all() for data, label in found)
            assert sorted(np.concatenate([data for data, _ in found])) == list(range(12))
            iterator.reset()

    def test_csr(self) -> None:
        sparse = pytest.importorskip("scipy.sparse")
        matrix = sparse.csr_matrix(np.eye(5, 3))
        iterator = mx.io.NDArrayIter({"d": matrix}, batch_size=2, last_batch_handle="discard")
        assert iterator.provide_data[0].dtype == np.float64
        assert batches(iterator) == [([[1, 0, 0], [0, 1, 0]], 0), ([[0, 0, 1], [0, 0, 0]], 0)]
        shuffled = mx.io.NDArrayIter({"d": matrix}, np.arange(5), 5, shuffle=True, last_batch_handle="discard")
        batch = shuffled.next()
        assert (np.eye(5, 3)[batch.label[0].asnumpy().astype(int)] == batch.data[0].asnumpy()).all()
        with pytest.raises(NotImplementedError, match="discard"):
            mx.io.NDArrayIter({"d": matrix}, batch_size=2)
        with pytest.raises(TypeError):
            mx.io.NDArrayIter(matrix, batch_size=2)


class TestResize:
    def test_longer_and_shorter(self) -> None:
        iterator = mx.io.ResizeIter(counting(4, 2), 5)
        assert [values for values, _ in batches(iterator)] == [[0, 1], [2, 3], [0, 1], [2, 3], [0, 1]]
        with pytest.raises(StopIteration):
            iterator.next()
        iterator.reset()
        assert len(batches(iterator)) == 5
        assert (iterator.getpad(), iterator.getlabel(), iterator.getindex()) == (0, [], None)
        assert (iterator.provide_data, iterator.batch_size) == ([("data", (2,))], 2)

    def test_going_on(self) -> None:
        iterator = mx.io.ResizeIter(counting(6, 2), 2, reset_internal=False)
        assert [values for values, _ in batches(iterator)] == [[0, 1], [2, 3]]
        iterator.reset()
        assert [values for values, _ in batches(iterator)] == [[4, 5], [0, 1]]

    def test_bucket_key(self) -> None:
        inner = counting(4, 2)
        assert not hasattr(mx.io.ResizeIter(inner, 1), "default_bucket_key")
        inner.default_bucket_key = 7
        assert mx.io.ResizeIter(inner, 1).default_bucket_key == 7


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "mxcompat-prefetch"]


def wait_for_no_threads() -> None:
    deadline = time.monotonic() + 5
    while threads() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert threads() == []


class Failing(mx.io.DataIter):
    """Raises at its second batch, and goes on behind it."""

    provide_data = [mx.io.DataDesc("data", (1,))]
    provide_label: list = []

    def __init__(self) -> None:
        super().__init__(1)
        self.count = 0

    def reset(self) -> None:
        self.count = 0

    def next(self) -> Any:
        self.count += 1
        if self.count == 2:
            raise KeyError("second batch")
        if self.count > 3:
            raise StopIteration
        return mx.io.DataBatch([nd.array([float(self.count)])], [], 0)


class TestPrefetching:
    @pytest.mark.parametrize("drop", ["", "del iterator"])
    def test_a_program_may_end_while_a_batch_is_fetched(self, drop: str) -> None:
        """A thread that the interpreter ends inside a kernel would abort the process."""
        script = f"""
import numpy as np
import mxcompat as mx
source = mx.io.NDArrayIter(np.zeros((3000, 2000), "float32"), np.zeros(3000), 1500, shuffle=True)
iterator = mx.io.PrefetchingIter(source)
for batch in iterator:
    pass
iterator.reset()
{drop}
"""
        environment = {**os.environ, "PYTHONPATH": os.getcwd()}
        found = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
        assert (found.returncode, found.stderr) == (0, "")

    @pytest.fixture(autouse=True)
    def no_thread_is_left(self) -> Any:
        yield
        gc.collect()
        wait_for_no_threads()

    def test_two_iterators(self) -> None:
        inner = [mx.io.NDArrayIter(np.arange(4) * k, np.arange(4), batch_size=2) for k in (1, 10)]
        iterator = mx.io.PrefetchingIter(
            inner,
            rename_data=[{"data": "a"}, {"data": "b"}],
            rename_label=[{"softmax_label": "c"}, {"softmax_label": "d"}],
        )
        assert (iterator.provide_data, iterator.batch_size, iterator.n_iter) == ([("a", (2,)), ("b", (2,))], 2, 2)
        for _ in range(2):
            found = list(iterator)
            assert [[array.asnumpy().tolist() for array in batch.data] for batch in found] == [
                [[0, 1], [0, 10]],
                [[2, 3], [20, 30]],
            ]
            assert found[0].provide_label == [("c", (2,)), ("d", (2,))]
            for _ in range(2):
                with pytest.raises(StopIteration):
                    iterator.next()
            iterator.reset()
        assert iterator.getpad() == 0
        assert [len(x) for x in (iterator.getdata(), iterator.getlabel())] == [2, 2]

    def test_reset_in_the_middle(self) -> None:
        iterator = mx.io.PrefetchingIter(counting(8, 2))
        iterator.next()
        iterator.reset()
        assert [values for values, _ in batches(iterator)] == [[0, 1], [2, 3], [4, 5], [6, 7]]

    def test_lengths_must_agree(self) -> None:
        iterator = mx.io.PrefetchingIter([counting(4, 2), counting(6, 2)])
        with pytest.raises(AssertionError, match="mismatch"):
            list(iterator)

    def test_names_must_be_known(self) -> None:
        with pytest.raises(KeyError, match="data"):
            mx.io.PrefetchingIter([counting(4, 2)], rename_data=[{"x": "y"}])
        with pytest.raises(AssertionError, match="at least one"):
            mx.io.PrefetchingIter([])

    def test_errors_arrive(self) -> None:
        iterator = mx.io.PrefetchingIter(Failing())
        assert iterator.next().data[0].asscalar() == 1
        with pytest.raises(KeyError, match="second batch"):
            iterator.next()
        assert iterator.next().data[0].asscalar() == 3
        with pytest.raises(StopIteration):
            iterator.next()
        iterator.reset()
        assert iterator.next().data[0].asscalar() == 1

    def test_reads_ahead(self) -> None:
        inner = Failing()
        iterator = mx.io.PrefetchingIter(inner)
        deadline = time.monotonic() + 5
        while inner.count == 0 and time.monotonic() < deadline:
            time.sleep(0.005)
        assert inner.count == 1
        del iterator

    def test_abandoned(self) -> None:
        iterator = mx.io.PrefetchingIter([counting(100, 2), counting(100, 2)])
        iterator.next()
        assert len(threads()) == 2
        del iterator
        wait_for_no_threads()
