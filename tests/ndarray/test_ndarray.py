"""NDArray: views, assignment, arithmetic, files (semantics.md, 12 to 22, 36, 101 to 115)."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

import mxcompat as mx
from mxcompat.base import MXNetError

nd = mx.nd


def test_views_share_memory_and_the_rest_copies() -> None:
    a = nd.zeros((2, 3))
    a[0][:] = 1
    a[1:2][:] = 2
    b = a.reshape((6,))
    b[0:1] = 9
    a[:, 1][:] = 7
    assert a.asnumpy().tolist() == [[9, 1, 1], [2, 2, 2]]
    part = a[0, 1:3]
    part[:] = 5
    assert a.asnumpy().tolist() == [[9, 5, 5], [2, 2, 2]]


def test_copies_are_independent_and_detach_shares() -> None:
    a = nd.zeros((2,))
    a.copy()[:] = 1
    a.asnumpy()[:] = 5
    a.detach()[:] = 3
    assert a.asnumpy().tolist() == [3, 3]


def test_assignment_casts_and_broadcasts() -> None:
    a = nd.zeros((2, 2), dtype="int32")
    b = a
    a[:] = 2.7
    assert b.asnumpy().tolist() == [[2, 2], [2, 2]]
    a[:] = np.array([1, 2])
    assert b.asnumpy().tolist() == [[1, 2], [1, 2]]
    a[0, 1] = nd.array([9])
    a[nd.array([1])] = 3
    assert b.asnumpy().tolist() == [[1, 9], [3, 3]]
    with pytest.raises(ValueError, match="broadcast"):
        a[:] = nd.ones((2, 3))
    with pytest.raises(TypeError):
        a[:] = "text"


def test_in_place_arithmetic_keeps_the_handle() -> None:
    a = nd.ones((2,))
    b = a
    a += 1
    a *= b
    assert a is b
    assert b.asnumpy().tolist() == [4, 4]


def test_truth_and_scalars() -> None:
    assert bool(nd.array([2]))
    with pytest.raises(ValueError, match="ambiguous"):
        bool(nd.ones((2,)))
    with pytest.raises(ValueError, match="not a scalar"):
        nd.ones((2,)).asscalar()
    with pytest.raises(TypeError):
        float(nd.ones((1,)))


def test_shapes_without_elements() -> None:
    with pytest.raises(MXNetError, match=r"\(0, 3\)"):
        nd.zeros((0, 3))
    assert nd.array([]).shape == (0,)
    assert nd.array(3.0).shape == ()
    x = nd.arange(24).reshape((2, 3, 4))
    assert x[1:1].shape == (0, 3, 4)


def test_comparison() -> None:
    assert (nd.array([1, 2]) == 1).asnumpy().tolist() == [1, 0]
    assert (nd.array([1, 2], dtype="int32") > 1).dtype is np.int32
    for compare in (lambda a: a == None, lambda a: a > "x"):  # noqa: E711
        with pytest.raises(TypeError, match="not supported"):
            compare(nd.array([1]))


def test_text() -> None:
    assert repr(nd.array([[1, 2], [3, 4]])) == "\n[[1. 2.]\n [3. 4.]]\n<NDArray 2x2 @cpu(0)>"


def test_indexing() -> None:
    x = nd.arange(24).reshape((2, 3, 4))
    shapes = [x[0, 1].shape, x[0, 1, 2].shape, x[..., 1].shape, x[:, None].shape, x[[0, 1]].shape, x[::-1].shape]
    assert shapes == [(4,), (1,), (2, 3), (2, 1, 3, 4), (2, 3, 4), (2, 3, 4)]
    assert x[::-1].asnumpy().tolist() == x.asnumpy()[::-1].tolist()
    assert x[:, ::-2, 1:3].asnumpy().tolist() == x.asnumpy()[:, ::-2, 1:3].tolist()
    assert nd.array([10, 20, 30])[nd.array([1, 0, 1])].asnumpy().tolist() == [20, 10, 20]
    for key, text in ((2, "out of bounds"), ((0, 0, 0, 0), "too many")):
        with pytest.raises(IndexError, match=text):
            x[key]
    with pytest.raises(ValueError, match="slicing"):
        x["a"]
    assert [row.shape for row in nd.ones((2, 3))] == [(3,), (3,)]


def test_types_of_new_arrays() -> None:
    sources: list[Any] = [[1, 2], np.array([1, 2]), np.array([1.0]), np.array([1], "uint8"), np.array([1.0], "float16")]
    assert {nd.array(x).dtype for x in sources} == {np.float32}
    assert nd.array(nd.ones((1,), dtype="int32")).dtype is np.int32
    assert nd.arange(3).dtype is np.float32
    assert nd.arange(0, 2, 0.5, repeat=2).asnumpy().tolist() == [0, 0, 0.5, 0.5, 1, 1, 1.5, 1.5]
    with pytest.raises(TypeError, match="array like"):
        nd.array(object())


def test_text_and_objects_are_read_as_numbers() -> None:
    """As columns of text files come; every value was read off the original."""
    texts: list[Any] = [["1", "2"], np.array(["1", "2"]), [b"1", b"2"], [1, "2"], np.array([1, "2"], object)]
    assert all(nd.array(x).asnumpy().tolist() == [1, 2] and nd.array(x).dtype is np.float32 for x in texts)
    assert nd.array(["9007199254740993"], dtype="int64").asnumpy().tolist() == [2**53 + 1]
    assert nd.array(np.array([2**60 + 1], object), dtype="int64").asnumpy().tolist() == [2**60 + 1]
    assert np.isnan(nd.array([None, 1]).asnumpy()).tolist() == [True, False]
    target = nd.zeros((2,))
    for value in texts:
        target[:] = 0
        target[:] = value
        assert target.asnumpy().tolist() == [1, 2]
    target[:] = [None, 1]
    assert np.isnan(target.asnumpy()).tolist() == [True, False]
    with pytest.raises(TypeError, match="array like"):
        nd.array(["1", "one"])
    with pytest.raises(TypeError, match="non-array-like object"):
        target[:] = ["1", "one"]


def test_no_promotion_and_integer_rules() -> None:
    with pytest.raises(MXNetError, match="float64"):
        nd.ones((2,)) + nd.ones((2,), dtype="float64")
    ints = nd.array([1, 2, 3], dtype="int32")
    found = [(x.asnumpy().tolist(), x.dtype) for x in (ints * 2, ints * 1.5, ints / 2, ints + 0.5)]
    assert found == [([2, 4, 6], np.int32), ([1, 2, 3], np.int32), ([0, 1, 1], np.int32), ([1, 2, 3], np.int32)]
    seven = nd.array([7, -7], dtype="int32")
    assert (seven / nd.array([2, 2], dtype="int32")).asnumpy().tolist() == [3, -3]
    with pytest.raises(MXNetError, match="zero"):
        seven / nd.array([0, 1], dtype="int32")


def test_broadcasting_and_reflected_operators() -> None:
    assert (nd.ones((2, 3)) + nd.ones((1, 3))).shape == (2, 3)
    with pytest.raises(MXNetError, match="broadcast"):
        nd.ones((2, 3)) + nd.ones((2, 2))
    a = nd.array([1.0, 4.0])
    assert [
        (3 - a).asnumpy().tolist(),
        (8 / a).asnumpy().tolist(),
        (2**a).asnumpy().tolist(),
        (5 % a).asnumpy().tolist(),
    ] == [
        [2, -1],
        [8, 2],
        [2, 16],
        [0, 1],
    ]


def test_contexts() -> None:
    a = nd.ones((2,))
    assert a.as_in_context(mx.cpu(0)) is a
    assert a.copyto(mx.cpu(0)) is not a
    assert str((nd.ones((2,), ctx=mx.cpu(1)) + a).context) == "cpu(1)"
    with mx.Context("cpu", 1):
        assert str(mx.current_context()) == "cpu(1)"
        assert str(nd.ones((1,)).context) == "cpu(1)"
    assert mx.cpu(0) != mx.cpu(1)
    assert repr(mx.gpu(2)) == "gpu(2)"


@pytest.mark.skipif(mx.context.num_gpus() > 0, reason="needs a machine without CUDA")
def test_allocating_on_a_missing_gpu() -> None:
    with pytest.raises(MXNetError, match=r"gpu\(0\).*--device cpu"):
        nd.zeros((2, 3), ctx=mx.gpu(0))
    with pytest.raises(RuntimeError, match=r"gpu\(0\)"):
        mx.sym.exp(mx.sym.Variable("a")).simple_bind(mx.gpu(0), a=(2,))


def test_copyto_writes_into_the_target_and_keeps_its_type() -> None:
    target = nd.zeros((2,), dtype="int32")
    assert nd.array([1.5, 2]).copyto(target) is target
    assert target.asnumpy().tolist() == [1, 2]
    with pytest.raises(MXNetError, match="shape"):
        nd.ones((2,)).copyto(nd.zeros((3,)))


def test_out_is_written_and_returned() -> None:
    out = nd.zeros((2,))
    assert nd.exp(nd.zeros((2,)), out=out) is out
    assert out.asnumpy().tolist() == [1, 1]
    for wrong in (nd.zeros((3,)), nd.zeros((2,), dtype="float64")):
        with pytest.raises(MXNetError, match="exp"):
            nd.exp(nd.ones((2,)), out=wrong)


def test_call_errors() -> None:
    with pytest.raises(MXNetError, match="FullyConnected expects 3 inputs"):
        nd.FullyConnected(nd.ones((2, 3)), num_hidden=2)
    with pytest.raises(MXNetError, match="foo"):
        nd.sum(nd.ones((2,)), foo=1)
    with pytest.raises(AssertionError, match="NDArray"):
        nd.exp(np.ones(2))
    assert nd.sum(nd.ones((2, 3)), 1).shape == (2,)


def test_files_and_pickles(tmp_path: Any) -> None:
    path = str(tmp_path / "x.nd")
    arrays = {"a": nd.ones((2, 3)), "b": nd.array([1, 2], dtype="int64"), "c": nd.array([True, False], dtype="bool")}
    nd.save(path, arrays)
    loaded = nd.load(path)
    assert {k: (v.shape, v.dtype) for k, v in loaded.items()} == {k: (v.shape, v.dtype) for k, v in arrays.items()}
    nd.save(path, nd.ones((2,)))
    assert isinstance(nd.load(path), list)
    with open(path, "rb") as stream:
        assert nd.load_frombuffer(stream.read())[0].asnumpy().tolist() == [1, 1]
    assert pickle.loads(pickle.dumps(arrays["a"])).asnumpy().tolist() == [[1] * 3] * 2
    with pytest.raises(MXNetError, match="missing"):
        nd.load(str(tmp_path / "missing"))
    with pytest.raises(TypeError):
        nd.save(path, {1: nd.ones((1,))})


def test_numpy_and_dlpack() -> None:
    import torch

    a = nd.array([[1, 2]])
    assert np.asarray(a).tolist() == [[1, 2]]
    shared = torch.from_dlpack(a)
    shared[0, 0] = 7
    assert a.asnumpy().tolist() == [[7, 2]]
    assert nd.from_dlpack(torch.ones(2)).asnumpy().tolist() == [1, 1]
    source = np.zeros(2, "float32")
    b = nd.from_numpy(source)
    b[:] = 4
    assert source.tolist() == [4, 4]


def test_recording() -> None:
    x = nd.array([2.0])
    x.attach_grad()
    with mx.autograd.record():
        y = x * x
        assert mx.autograd.is_training()
    y.backward()
    assert x.grad.asnumpy().tolist() == [4]
    with pytest.raises(MXNetError, match="Cannot differentiate"):
        y.backward()
    with mx.autograd.record(), pytest.raises(MXNetError, match="computational graph"):
        x += 1


def test_functions_have_signatures_and_documentation() -> None:
    import inspect

    assert list(inspect.signature(nd.Convolution).parameters)[:5] == ["data", "weight", "bias", "kernel", "stride"]
    assert "kernel : tuple of int" in nd.Convolution.__doc__
    assert "(accepted, has no effect)" in nd.Convolution.__doc__


def test_histogram_takes_edges_or_their_number() -> None:
    data = nd.array([0, 0.1, 0.5, 1, 1.5, 2, 2.1, -1])
    for bins, limits, counts, kind in ((2, (0, 2), [3, 3], np.int64), (3, None, [2, 3, 3], np.float32)):
        found, edges = nd.histogram(data, bins, limits)
        assert found.asnumpy().tolist() == counts
        assert found.dtype is kind
        assert edges.shape == (bins + 1,)
    assert nd.histogram(data, nd.array([0, 1, 2]))[0].asnumpy().tolist() == [3, 3]
    with pytest.raises(ValueError, match="integer or an NDArray"):
        nd.histogram(data, "auto")


def test_a_read_only_handle_refuses_arithmetic_in_place() -> None:
    base = nd.arange(4)
    handle = nd.NDArray(base.handle, writable=False)
    for array in (handle, handle[1:2], handle.reshape((2, 2))):
        assert not array.writable
        for change in ("+=", "-=", "*=", "/=", "%="):
            with pytest.raises(ValueError, match="readonly NDArray"):
                exec(f"array {change} 1", {"array": array})
    assert handle.copy().writable
    handle[:] = 7  # assigning elements is not refused
    assert base.asnumpy().tolist() == [7, 7, 7, 7]


def test_a_power_in_place_makes_a_new_array() -> None:
    a = b = nd.array([1.0, 2.0])
    b **= 2
    assert a.asnumpy().tolist() == [1, 2]
    assert b.asnumpy().tolist() == [1, 4]


def test_code_tables_of_the_original() -> None:
    module = mx.nd.ndarray
    assert module._DTYPE_NP_TO_MX[np.float32] == 0
    assert module._DTYPE_MX_TO_NP[6] is np.int64
    assert module._STORAGE_TYPE_STR_TO_ID == {"undefined": -1, "default": 0, "row_sparse": 1, "csr": 2}
    assert mx.nd._GRAD_REQ_MAP == {"null": 0, "write": 1, "add": 3}


@pytest.mark.parametrize("key", [slice(None), (), Ellipsis, None, slice(0, 2)])
def test_a_recorded_value_that_fills_an_array_makes_it_a_part_of_the_recording(key: Any) -> None:
    y, x = nd.array([1.0, 2.0]), nd.zeros((2,))
    y.attach_grad()
    with mx.autograd.record():
        x[key] = y * 3
        z = (x * x).sum()
    z.backward()
    assert x.asnumpy().tolist() == [3, 6]
    assert y.grad.asnumpy().tolist() == [18, 36]


def test_recorded_values_are_broadcast_cast_and_copied() -> None:
    y, x = nd.array([1.0, 2.0]), nd.zeros((2,))
    y.attach_grad()
    with mx.autograd.record():
        x[:] = (y * 3).astype("float64").sum()
    x.backward()
    assert (x.asnumpy().tolist(), y.grad.asnumpy().tolist()) == ([9, 9], [6, 6])
    with mx.autograd.record():
        (y * 3).copyto(x := nd.zeros((2,)))
    x.backward()
    assert y.grad.asnumpy().tolist() == [3, 3]


@pytest.mark.parametrize(
    "text",
    ["x[0] = c", "x[:1] = c", "x[[0]] = c", "x[nd.array([0])] = c", "x += y", "x[::-1] = y", "z = x * 1; z += y"],
)
def test_recorded_values_do_not_change_parts_of_arrays(text: str) -> None:
    names = {"nd": nd, "x": nd.zeros((2, 3)), "y": nd.ones((2, 3)), "c": nd.ones((3,))}
    names["y"].attach_grad()
    names["c"].attach_grad()
    with mx.autograd.record(), pytest.raises(MXNetError, match="Inplace operations"):
        exec(text, names)


def test_arrays_of_the_recording_are_written_with_numpy_values_only() -> None:
    x, z = nd.zeros((2,)), nd.ones((2,))
    x.attach_grad()
    for change in ("x[:] = 1", "x[:] = z", "x[0] = 1", "x += 1", "z.copyto(x)", "x[[0]] = 1"):
        with mx.autograd.record(), pytest.raises(MXNetError, match="already in a computational graph"):
            exec(change, {"x": x, "z": z})
    with mx.autograd.record():
        x[:] = np.array([4, 5])
    assert x.asnumpy().tolist() == [4, 5]


@pytest.mark.parametrize(
    "key",
    [
        (1, [2], [[3]], slice(None, None, -1)),
        ([1, 2], slice(3, 0, -1), [2, 3]),
        (0, slice(None), [0, 1]),
        (slice(None), 1, slice(None), [2, 0]),
        ([0, 1], None, 2),
        (slice(None, None, -2), [1]),
    ],
)
def test_advanced_keys_with_numbers_and_steps_back_are_numpys(key: Any) -> None:
    values = np.arange(360).reshape(3, 4, 5, 6)
    array = nd.array(values)
    assert array[key].asnumpy().tolist() == values[key].tolist()
    fill = -np.arange(values[key].size).reshape(values[key].shape)
    array[key] = fill
    values[key] = fill
    assert array.asnumpy().tolist() == values.tolist()


def test_out_and_name_may_follow_the_parameters_by_position() -> None:
    out = nd.zeros((2,))
    assert nd.exp(nd.zeros((2,)), out) is out
    assert nd.clip(nd.ones((2,)), 0, 0.5, out, "name") is out
    assert out.asnumpy().tolist() == [0.5, 0.5]
    with pytest.raises(TypeError, match="at most 3 positional"):
        nd.exp(out, out, "name", 1)


@pytest.mark.parametrize(
    "key", [(slice(1, 2), slice(None, None, -1)), (slice(0, 1), slice(3, None, 20)), (2, slice(1, 3))]
)
def test_keys_that_select_neighbours_give_views(key: Any) -> None:
    array = nd.zeros((3, 4))
    view = nd.NDArray._basic_indexing_slice_is_contiguous(key, array.shape)
    array[key][:] = 1
    assert view == bool(array.asnumpy().any())


def test_one_row_in_reverse_is_a_view() -> None:
    array = nd.zeros((3, 4))
    array[1:0:-1][:] = 1
    assert array.asnumpy().tolist() == [[0] * 4, [1] * 4, [0] * 4]
