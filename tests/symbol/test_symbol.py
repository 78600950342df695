"""Symbols: naming, composition, inference and text (semantics.md, 116 to 142)."""

from __future__ import annotations

import copy
import json
import pickle
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mxcompat as mx
from mxcompat.base import MXNetError, NotImplementedForSymbol

sym, V = mx.sym, mx.sym.Variable


def mlp() -> Any:
    net = sym.FullyConnected(V("data"), num_hidden=4, name="fc1")
    net = sym.Activation(net, act_type="relu", name="relu1")
    net = sym.FullyConnected(net, num_hidden=3, name="fc2")
    return sym.SoftmaxOutput(net, name="softmax")


def test_automatic_names() -> None:
    with mx.name.NameManager():
        d = V("d")
        made = [
            sym.FullyConnected(d, num_hidden=1),
            sym.FullyConnected(d, num_hidden=1),
            d + d,
            d * 2,
            1 - d,
            d / 2,
            d**2,
            sym.exp(d),
            sym.Concat(d, d),
            sym.BatchNorm(d),
            sym.elemwise_add(d, d),
            d > 1,
            -d,
        ]
    expected = """fullyconnected0 fullyconnected1 _plus0 _mulscalar0 _rminusscalar0 _divscalar0 _powerscalar0 exp0 concat0
    batchnorm0 elemwise_add0 _greater_scalar0 _mulscalar1"""
    assert [s.name for s in made] == expected.split()


def test_counters_are_thread_local_and_prefix_covers_explicit_names() -> None:
    names: list[Any] = []
    sym.exp(V("a"))
    thread = threading.Thread(target=lambda: names.append(sym.exp(V("a")).name))
    thread.start()
    thread.join()
    with mx.name.Prefix("p_"):
        names += [sym.exp(V("a")).name, sym.exp(V("a"), name="x").name]
    assert names == ["exp0", "p_exp0", "p_x"]


def test_argument_order_and_internals() -> None:
    a, b, c = V("a"), V("b"), V("c")
    assert ((a * b) + c * a).list_arguments() == ["a", "b", "c"]
    net = mlp()
    assert net.list_arguments() == ["data", "fc1_weight", "fc1_bias", "fc2_weight", "fc2_bias", "softmax_label"]
    assert net.get_internals().list_outputs() == [
        *["data", "fc1_weight", "fc1_bias", "fc1_output", "relu1_output"],
        *["fc2_weight", "fc2_bias", "fc2_output", "softmax_label", "softmax_output"],
    ]
    assert net.get_internals()["fc1_output"].list_arguments() == ["data", "fc1_weight", "fc1_bias"]
    with pytest.raises(ValueError, match="zz"):
        net["zz"]
    with pytest.raises(IndexError):
        net[5]


def test_hidden_outputs_are_not_listed() -> None:
    assert sym.BatchNorm(V("d"), name="b").list_outputs() == ["b_output"]
    assert sym.Dropout(V("d"), name="d").list_outputs() == ["d_output"]
    internals = sym.BatchNorm(V("d"), name="b").get_internals().list_outputs()
    assert internals == ["d", "b_gamma", "b_beta", "b_moving_mean", "b_moving_var", "b_output"]
    assert sym.BatchNorm(V("d"), name="b").list_auxiliary_states() == ["b_moving_mean", "b_moving_var"]


def test_several_outputs_need_an_index() -> None:
    split = sym.SliceChannel(V("a"), num_outputs=2, name="s")
    with pytest.raises(MXNetError, match="tuple"):
        sym.exp(split)
    assert [x.name for x in split] == ["s", "s"]
    assert len(split) == 2
    assert split[1:].list_outputs() == ["s_output1"]


def test_groups_and_children() -> None:
    group = sym.Group([V("a"), sym.exp(V("b"), name="e")])
    assert group.name is None
    assert group.list_outputs() == ["a", "e_output"]
    assert sym.exp(V("b")).get_children().list_outputs() == ["b"]
    assert V("a").get_children() is None
    assert repr(group) == "<Symbol group [a, e]>"
    assert repr(V("a")) == "<Symbol a>"
    with pytest.raises(TypeError):
        sym.Group([])


def test_composition_by_calling() -> None:
    net = sym.FullyConnected(V("x"), num_hidden=2, name="f")
    assert net(x=sym.exp(V("q"), name="e")).list_arguments() == ["q", "f_weight", "f_bias"]
    assert net.list_arguments() == ["x", "f_weight", "f_bias"]
    with pytest.raises(MXNetError, match="zz"):
        net(zz=V("q"))
    with pytest.raises(TypeError):
        net(V("q"), x=V("q"))


def test_missing_inputs_become_variables() -> None:
    assert sym.FullyConnected(V("x"), num_hidden=2, name="f").list_arguments() == ["x", "f_weight", "f_bias"]
    assert sym.FullyConnected(V("x"), num_hidden=2, no_bias=True, name="f").list_arguments() == ["x", "f_weight"]
    assert sym.Concat(name="c", num_args=2).list_arguments() == ["c_arg0", "c_arg1"]
    prelu = sym.LeakyReLU(V("x"), act_type="prelu", name="p")
    assert prelu.list_arguments() == ["x", "p_gamma"]
    assert prelu.infer_shape(x=(2, 3, 4))[0] == [(2, 3, 4), (3,)]


def test_variable_attributes() -> None:
    variable = V("a", lr_mult=2, wd_mult=0.5, dtype="float64", shape=(2, 3), init=mx.init.One())
    assert variable.list_attr() == {
        "__init__": '["one", {}]',
        "__dtype__": "1",
        "__wd_mult__": "0.5",
        "wd_mult": "0.5",
        "__lr_mult__": "2",
        "lr_mult": "2",
        "__shape__": "(2, 3)",
    }
    with pytest.raises(ValueError, match="foo"):
        V("a", foo=1)
    assert V("a", __foo__="1").attr("__foo__") == "1"


def test_attribute_scopes_reach_automatic_variables() -> None:
    with mx.AttrScope(ctx_group="g", __data__="x"):
        net = sym.FullyConnected(V("d"), num_hidden=2, name="f")
    assert net.attr("ctx_group") == net.attr("__ctx_group__") == "g"
    common = ["__ctx_group__", "__data__", "ctx_group"]
    assert {k: sorted(v) for k, v in net.attr_dict().items()} == {
        "d": common,
        "f_weight": [*common, "num_hidden"],
        "f_bias": [*common, "num_hidden"],
        "f": [*common, "num_hidden"],
    }
    with pytest.raises(ValueError, match="string"):
        mx.AttrScope(a=1)


def test_hidden_keywords_become_attributes() -> None:
    net = sym.FullyConnected(V("a"), num_hidden=2, lr_mult=2, name="q")
    assert net.attr_dict()["q_weight"] == {"num_hidden": "2", "__lr_mult__": "2", "lr_mult": "2"}
    with pytest.raises(MXNetError, match="weight_lr_mult"):
        sym.FullyConnected(V("a"), num_hidden=2, weight_lr_mult=2)
    with pytest.raises(MXNetError, match="foo"):
        sym.FullyConnected(V("a"), num_hidden=2, attr={"foo": "1"})


def test_parameters_are_kept_as_text() -> None:
    net = sym.Pooling(
        sym.slice_axis(V("d"), axis=0, begin=0, end=None), kernel=(3, 3), global_pool=True, pool_type="avg"
    )
    attrs = [n.get("attrs") for n in json.loads(net.tojson())["nodes"] if n["op"] != "null"]
    assert attrs == [
        {"axis": "0", "begin": "0", "end": "None"},
        {"global_pool": "True", "kernel": "(3, 3)", "pool_type": "avg"},
    ]


def test_shape_inference_in_both_directions() -> None:
    net = mlp()
    with pytest.warns(UserWarning, match="Cannot decide shape"):
        assert net.infer_shape() == (None, None, None)
    assert net.infer_shape_partial()[:2] == ([()] * 6, [()])
    assert net.infer_shape_partial(data=(0, 5))[0] == [(0, 5), (4, 5), (4,), (3, 4), (3,), (0,)]
    assert (V("a") + V("b")).infer_shape(a=(2, 3)) == ([(2, 3), (2, 3)], [(2, 3)], [])
    assert (V("a") + V("b")).infer_shape(a=(0, 3), b=(2, 0)) == ([(2, 3), (2, 3)], [(2, 3)], [])
    fc = sym.FullyConnected(V("d"), V("w"), num_hidden=4, no_bias=True)
    assert fc.infer_shape_partial(w=(4, 7))[0] == [(), (4, 7)]
    assert net.infer_shape((2, 5))[1] == [(2, 3)]


def test_inference_errors() -> None:
    with pytest.raises(MXNetError, match=r"Error in operator plus.*\(2, 3\).*\(2, 4\)"):
        sym.elemwise_add(V("a"), V("b"), name="plus").infer_shape(a=(2, 3), b=(2, 4))
    with pytest.raises(MXNetError, match="zz"):
        V("a").infer_shape(zz=(1,))
    with pytest.raises(TypeError, match="shapes"):
        V("a").infer_shape(a=3)
    with pytest.raises(MXNetError):
        (V("a") + V("b")).infer_shape(a=(2, 3), b=(1, 3))
    with pytest.raises(MXNetError, match="float32"):
        (V("a") + V("b")).infer_type(a="float32", b="float64")


def test_type_inference() -> None:
    types = mlp().infer_type(data="float64")
    assert [[np.dtype(t).name for t in group] for group in types] == [["float64"] * 6, ["float64"], []]
    norm = sym.BatchNorm(V("d")).infer_type(d="float16")
    assert [[np.dtype(t).name for t in group] for group in norm] == [
        ["float16", "float32", "float32"],
        ["float16"],
        ["float32", "float32"],
    ]


def test_equal_names_are_two_arguments() -> None:
    twice = V("a") + V("a")
    assert twice.list_arguments() == ["a", "a"]
    with pytest.raises(RuntimeError, match="'a'"):
        twice.simple_bind(mx.cpu(), a=(2,))


def test_copies_pickles_and_text_are_stable() -> None:
    net = mlp()
    assert copy.deepcopy(net).tojson() == net.tojson()
    assert pickle.loads(pickle.dumps(net)).tojson() == net.tojson()
    assert sym.load_json(net.tojson()).tojson() == net.tojson()


def test_what_symbols_refuse() -> None:
    with pytest.raises(NotImplementedForSymbol, match="bool"):
        bool(V("a"))
    assert isinstance(V("a") == 1, sym.Symbol)
    with pytest.raises(NotImplementedForSymbol):
        V("a").asnumpy()
    a = V("a")
    with pytest.raises(NotImplementedForSymbol):
        a += 1
    with pytest.raises(TypeError):
        V("a") + mx.nd.ones((1,))
    with pytest.raises(MXNetError, match="sgd_update"):
        sym.sgd_update(V("w"), V("g"), lr=0.1)


def test_parameter_errors_name_operator_node_and_parameter() -> None:
    with pytest.raises(MXNetError, match=r"FullyConnected f.*foo"):
        sym.FullyConnected(V("d"), num_hidden=1, foo=2, name="f")
    with pytest.raises(MXNetError, match=r"num_hidden"):
        sym.FullyConnected(V("d"))
    with pytest.raises(MXNetError, match=r"act_type='foo'.*relu"):
        sym.Activation(V("d"), act_type="foo")
    with pytest.raises(AssertionError, match="Symbol"):
        sym.FullyConnected(1, num_hidden=2)
    assert sym.exp(V("d"), foo=2, name="e").name == "e"


def test_strings_and_values_give_the_same_parameters() -> None:
    values = sym.Convolution(V("d"), kernel=(3, 3), num_filter=4, no_bias=True)
    texts = sym.Convolution(V("d"), kernel="(3, 3)", num_filter="4", no_bias="True")
    assert values.infer_shape(d=(1, 2, 8, 8)) == texts.infer_shape(d=(1, 2, 8, 8))


def test_functions_take_numbers() -> None:
    a = V("a")
    assert sym.maximum(a, 1).list_arguments() == ["a"]
    assert sym.pow(2, 3) == 8
    assert sym.zeros((2, 3)).infer_shape()[1] == [(2, 3)]
    result = (sym.maximum(a, 1) + sym.pow(a, 2)).eval(mx.cpu(), a=mx.nd.array([0, 3]))
    assert [x.asnumpy().tolist() for x in result] == [[1.0, 12.0]]


def test_deep_graphs_do_not_recurse() -> None:
    net = V("a")
    for _ in range(3000):
        net = net + 1
    assert net.infer_shape(a=(2,))[1] == [(2,)]
    assert sym.load_json(net.tojson()).list_arguments() == ["a"]


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda x: x.reshape((3, 2)), (3, 2)),
        (lambda x: x.reshape(shape=(0, -1), reverse=True), (2, 3)),
        (lambda x: x.transpose(), (3, 2)),
        (lambda x: x.transpose((1, 0)), (3, 2)),
        (lambda x: x.astype("float16"), (2, 3)),
        (lambda x: x.expand_dims(axis=1, inplace=True), (2, 1, 3)),
        (lambda x: x.expand_dims(0).squeeze(0), (2, 3)),
        (lambda x: x.flatten(), (2, 3)),
        (lambda x: x.diag(k=1), (2,)),
        (lambda x: x.broadcast_to((2, 3)), (2, 3)),
        (lambda x: x.broadcast_like(x), (2, 3)),
        (lambda x: x.split_v2(2)[0], (1, 3)),
        (lambda x: x.as_nd_ndarray() + 0, (2, 3)),
    ],
)
def test_methods_that_are_operators(make: Callable, shape: tuple) -> None:
    assert make(mx.sym.Variable("x")).infer_shape(x=(2, 3))[1] == [shape]


def test_name_and_attributes_may_follow_the_parameters_by_position() -> None:
    assert sym.clip(V("a"), 0, 1, "c").name == "c"
    assert sym.exp(V("a"), "e", {"__x__": "1"}).list_attr() == {"__x__": "1"}
    assert sym.FullyConnected(V("a"), None, None, 5, False, True, "f").list_arguments() == ["a", "f_weight", "f_bias"]
    with pytest.raises(mx.base.NotImplementedForSymbol):
        sym.exp(V("a"), V("b"))


def test_composition_in_place_and_the_operator_alone() -> None:
    net = sym.FullyConnected(name="fc", num_hidden=10)
    net._compose(fc_data=sym.exp(V("q")), name="composed")
    assert net.name == "composed"
    assert net.list_arguments() == ["q", "fc_weight", "fc_bias"]
    alone = sym.FullyConnected(V("x"), num_hidden=3)._gen_atomic_symbol()
    assert alone.attr("num_hidden") == "3"
    assert "x" not in alone.list_arguments()
    assert net.optimize_for("any", args={}, shape_dict={}) is net
    assert net.get_backend_symbol("any") is net
    with pytest.raises(MXNetError, match="mx.np"):
        net.as_np_ndarray()


def test_symbols_by_keyword_are_inputs() -> None:
    x = mx.sym.Variable("x")
    with pytest.raises(MXNetError, match="other not found. Candidates: data"):
        mx.sym.relu(data=x, other=x)
    with pytest.raises(MXNetError, match="data not found. Candidates: mu, sigma"):
        mx.sym.random.normal(mx.sym.Variable("mu"), mx.sym.Variable("sigma"), data=x)
    for drawn in (mx.sym.random.normal(0, 1, shape=(2, 3), data=x), mx.sym.random.randn(2, 3, data=x)):
        assert drawn.list_arguments() == []  # as in the original, an operator without inputs ignores them
    assert mx.sym.zeros(shape=(2,), data=x).list_arguments() == []
