"""NumPy's meaning of shapes, and the other functions of ``mx.util``; facts from real MXNet 1.9.1."""

from __future__ import annotations

import json
import threading
import warnings
from typing import Any

import numpy as np
import pytest

import mxcompat as mx
from mxcompat.base import MXNetError

nd, sym, V = mx.nd, mx.sym, mx.sym.Variable


def test_np_shape_is_a_scope_of_this_thread() -> None:
    seen: list[bool] = []
    with mx.np_shape():
        assert mx.is_np_shape()
        thread = threading.Thread(target=lambda: seen.append(mx.is_np_shape()))
        thread.start()
        thread.join()
        with mx.np_shape(False):
            assert not mx.is_np_shape()
        assert mx.is_np_shape()
    assert not mx.is_np_shape()
    assert seen == [False]


def test_set_np_shape_2_is_for_every_thread() -> None:
    seen: list[bool] = []
    assert mx.util.set_np_shape(2) is False
    try:
        thread = threading.Thread(target=lambda: seen.append(mx.is_np_shape()))
        thread.start()
        thread.join()
    finally:
        assert mx.util.set_np_shape(False) is True
    assert seen == [True]
    assert not mx.is_np_shape()


def test_use_np_shape_on_functions_and_classes() -> None:
    @mx.use_np_shape
    class Box:
        """A box."""

        def inside(self) -> bool:
            return mx.is_np_shape()

        @property
        def value(self) -> bool:
            return mx.is_np_shape()

    assert mx.use_np_shape(mx.is_np_shape)() is True
    assert Box().inside() is True
    assert Box().value is True
    assert not mx.is_np_shape()
    with pytest.raises(TypeError):
        mx.use_np_shape(3)


def test_numpy_arrays_are_refused() -> None:
    assert mx.util.is_np_array() is False
    with pytest.raises(MXNetError, match="mx.np"), mx.util.np_array():
        pass
    with pytest.raises(MXNetError, match="mx.np"):
        mx.util.set_np()
    with pytest.raises(ValueError, match="NumPy Shape semantics is required"):
        mx.util.set_np(shape=False, array=True)
    mx.util.set_np(array=False)
    assert mx.is_np_shape()
    mx.util.reset_np()
    assert not mx.is_np_shape()


@pytest.mark.parametrize(
    ("text", "legacy", "numpy"),
    [
        ("nd.zeros(())", None, ()),
        ("nd.zeros((0, 3))", None, (0, 3)),
        ("nd.full((), 2)", None, ()),
        ("nd.empty((0,))", (0,), (0,)),
        ("nd.array(3.)", (), ()),
        ("nd.random.uniform(shape=())", None, ()),
        ("nd.random.uniform(shape=(0, 2))", None, (0, 2)),
        ("v[0]", (1,), ()),
        ("a[0, 0]", (1,), ()),
        ("v[1:1]", (0,), (0,)),
        ("nd.eye(0)", (0, 0), (0, 0)),
        ("nd.sum(a)", (1,), (1,)),  # the operators of mx.nd keep their shapes ...
        ("nd.dot(v, v)", (1,), (1,)),
        ("nd.squeeze(nd.ones((1, 1)))", (1,), (1,)),
        ("nd.linalg.det(nd.eye(2))", (1,), ()),  # ... but for the newer ones
        ("nd.linalg.slogdet(nd.eye(2))[1]", (1,), ()),
        ("nd.zeros((0, 2)).sum(axis=0)", None, (2,)),
        ("nd.concat(nd.zeros((0, 3)), a, dim=0)", None, (2, 3)),
        ("nd.FullyConnected(nd.ones((0, 3)), a, no_bias=True, num_hidden=2)", None, (0, 2)),
        ("nd.dot(nd.ones((2, 0)), nd.ones((0, 3)))", None, (2, 3)),
        ("nd.take(v, nd.array(1))", (), ()),
        ("nd.flatten(nd.zeros((0, 3, 2)))", None, (0, 6)),
        ("nd.zeros((0, 3)).T", None, (3, 0)),
    ],
)
def test_arrays_without_elements_or_axes(text: str, legacy: Any, numpy: Any) -> None:
    names = {"nd": nd, "a": nd.arange(6).reshape((2, 3)), "v": nd.arange(3)}
    for active, expected in ((False, legacy), (True, numpy)):
        with mx.np_shape(active):
            if expected is None:
                with pytest.raises(MXNetError):
                    eval(text, names)
            else:
                assert eval(text, names).shape == expected


def test_scalars_compute_and_print() -> None:
    with mx.np_shape():
        two = nd.ones(()) * 2
        assert (two + 1).asscalar() == 3
        assert len(nd.zeros((0, 2))) == 0
        assert repr(two) == "\n2.0\n<NDArray  @cpu(0)>"
        assert repr(nd.zeros((0, 2))) == "\n[]\n<NDArray 0x2 @cpu(0)>"


CASES = [
    (V("a"), {}, ([()], [()]), ([None], [None])),
    (sym.sin(V("a")), {"a": (-1, 2)}, ([(0, 2)], [(0, 2)]), ([(-1, 2)], [(-1, 2)])),
    (sym.sin(V("a")), {"a": (0, 2)}, ([(0, 2)], [(0, 2)]), ([(0, 2)], [(0, 2)])),
    (sym.sin(V("a")), {"a": ()}, ([()], [()]), ([()], [()])),
    (V("a") + V("b"), {"a": (-1, 3), "b": (2, -1)}, ([(2, 3)] * 2, [(2, 3)]), ([(2, 3)] * 2, [(2, 3)])),
    (V("a") + V("b"), {"a": (0, 3), "b": (2, 0)}, ([(2, 3)] * 2, [(2, 3)]), None),
    (sym.zeros((0, 2)) + V("a"), {"a": (3, 2)}, ([(3, 2)], [(3, 2)]), None),
    (sym.ones((-1, 2)), {}, ([], [(0, 2)]), ([], [(-1, 2)])),
    (sym.sum(V("a")), {"a": (2, 3)}, ([(2, 3)], [(1,)]), ([(2, 3)], [(1,)])),
    (
        sym.FullyConnected(V("a"), num_hidden=3, flatten=False, no_bias=True),
        {"a": (-1, 0, 4)},
        ([(0, 0, 4), (3, 4)], [(0, 0, 3)]),
        ([(-1, 0, 4), (3, 4)], [(-1, 0, 3)]),
    ),
]


@pytest.mark.parametrize(("net", "given", "legacy", "numpy"), CASES)
def test_inferred_shapes(net: Any, given: dict[str, Any], legacy: Any, numpy: Any) -> None:
    for active, expected in ((False, legacy), (True, numpy)):
        with mx.np_shape(active):
            if expected is None:
                with pytest.raises(MXNetError):
                    net.infer_shape_partial(**given)
            else:
                assert net.infer_shape_partial(**given)[:2] == expected


def test_a_size_of_0_is_known() -> None:
    net = sym.FullyConnected(V("a"), num_hidden=3)
    with mx.np_shape():
        assert net.infer_shape(a=(0, 4)) == ([(0, 4), (3, 4), (3,)], [(0, 3)], [])
        assert sym.sin(V("a")).infer_shape(a=()) == ([()], [()], [])
        assert (V("x") * 2).simple_bind(mx.cpu(), x=(0, 2)).forward()[0].shape == (0, 2)
        assert (V("x") + 1).simple_bind(mx.cpu(), x=()).forward()[0].shape == ()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert net.infer_shape(a=(0, 4)) == (None, None, None)


def test_symbol_files_say_which_shapes_they_mean(tmp_path: Any) -> None:
    net = sym.FullyConnected(V("a"), V("w", shape=(3, 0)), num_hidden=3, no_bias=True)
    net.save(str(tmp_path / "old.json"))
    assert "is_np_shape" not in json.loads(net.tojson())["attrs"]
    with mx.np_shape():
        assert json.loads(net.tojson())["attrs"]["is_np_shape"] == ["int", 1]
        assert sym.load(str(tmp_path / "old.json")).infer_shape(a=(2, 4))[0] == [(2, 4), (3, 4)]


def test_array_files_hold_for_the_shapes_they_were_saved_under(tmp_path: Any) -> None:
    arrays = [nd.array(np.ones((2, 0))), nd.array(np.ones(3))]
    file = str(tmp_path / "arrays")
    for saved in (False, True):
        with mx.np_shape(saved):
            nd.save(file, arrays)
            assert [x.shape for x in nd.load(file)] == [(2, 0), (3,)]
        with mx.np_shape(not saved), pytest.raises(MXNetError, match="NumPy shape semantics"):
            nd.load(file)
    with mx.np_shape():
        nd.save(file, [nd.array(4)])
        assert nd.load(file)[0].asscalar() == 4


def test_environment_and_modules(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MXCOMPAT_TEST_VALUE", raising=False)
    assert mx.util.getenv("MXCOMPAT_TEST_VALUE") is None
    mx.util.setenv("MXCOMPAT_TEST_VALUE", "3")
    assert mx.util.getenv("MXCOMPAT_TEST_VALUE") == "3"
    mx.util.setenv("MXCOMPAT_TEST_VALUE", None)
    assert mx.util.getenv("MXCOMPAT_TEST_VALUE") is None
    mx.util.makedirs(str(tmp_path / "a" / "b"))
    assert (tmp_path / "a" / "b").is_dir()

    @mx.util.set_module("mxnet.something")
    def function() -> None:
        pass

    assert function.__module__ == "mxnet.something"
