"""Behaviours of arrays, symbols and executors that surprise, each as real MXNet 1.9.1 answered; numbers are the reference's."""

from __future__ import annotations

import copy
import json
import pickle
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mxcompat as mx
from tests.semantics.shorthand import V, exc, nd, sym


@pytest.fixture(autouse=True)
def names() -> Any:
    """Automatic names start anew in every test."""
    with mx.name.NameManager():
        yield


def mlp() -> Any:
    net = sym.FullyConnected(V("data"), num_hidden=4, name="fc1")
    net = sym.Activation(net, act_type="relu", name="relu1")
    return sym.SoftmaxOutput(sym.FullyConnected(net, num_hidden=3, name="fc2"), name="softmax")


def gradients(net: Any, **inputs: list[float]) -> dict[str, Any]:
    """Gradients of all arguments after a training forward and a backward without head gradients."""
    args = {name: nd.array(value) for name, value in inputs.items()}
    bound = net.bind(mx.cpu(), args, args_grad={name: nd.zeros(array.shape) for name, array in args.items()})
    bound.forward(is_train=True)
    bound.backward()
    return {name: array.asnumpy().tolist() for name, array in bound.grad_dict.items()}


def test_101() -> None:
    """101. Row and slice views share memory; a reshape shares; column slices and advanced indexing copy."""
    a = nd.zeros((2, 3))
    a[0][:] = 1
    a[1:2][:] = 2
    b = a.reshape((6,))
    b[0:1] = 9
    a[:, 1][:] = 7
    assert a.asnumpy().tolist() == [[9.0, 1.0, 1.0], [2.0, 2.0, 2.0]]


def test_102() -> None:
    """102. copy() and asnumpy() are independent copies; detach shares."""
    a = nd.zeros((2,))
    c = a.copy()
    c[:] = 1
    n = a.asnumpy()
    n[:] = 5
    d = a.detach()
    d[:] = 3
    assert a.asnumpy().tolist() == [3.0, 3.0]


def test_103() -> None:
    """103. a[:] = value assigns in place (scalar, numpy, NDArray with broadcasting, cast to the dtype of a)."""
    a = nd.zeros((2, 2), dtype="int32")
    a[:] = 2.7
    b = a
    a[:] = np.array([1, 2])
    assert (b.asnumpy().tolist(), a.dtype.__name__) == ([[1, 2], [1, 2]], "int32")


def test_104() -> None:
    """104. a += b mutates in place: views and aliases see it."""
    a = nd.ones((2,))
    b = a
    a += 1
    assert (b.asnumpy().tolist(), a is b) == ([2.0, 2.0], True)


def test_105() -> None:
    """105. Truth value only for a single element; otherwise ValueError. float(nd) and int(nd) are not defined;
    asscalar needs size 1.
    """
    assert (
        bool(nd.array([2])),
        exc(lambda: bool(nd.ones((2,)))),
        exc(lambda: float(nd.ones((1,)))),
        exc(lambda: nd.ones((2,)).asscalar()),
    ) == (True, "ValueError", "TypeError", "ValueError")


def test_106() -> None:
    """106. A 0 in the shape given to zeros raises by default (numpy shape semantics off); nd.array([]) has shape (0,)."""
    assert (exc(lambda: nd.zeros((0, 3))), nd.array([]).shape) == ("MXNetError", (0,))


def test_107() -> None:
    """107. == with a number is elementwise; comparing with None raises TypeError."""
    assert ((nd.array([1, 2]) == 1).asnumpy().tolist(), exc(lambda: nd.array([1]) == None)) == ([1.0, 0.0], "TypeError")  # noqa: E711


def test_109() -> None:
    """109. reading out of bounds raises IndexError; iterating gives rows; len is the first dimension."""
    assert (exc(lambda: nd.ones((2, 3))[2]), len(nd.ones((2, 3))), [x.shape for x in nd.ones((2, 3))]) == (
        "IndexError",
        2,
        [(3,), (3,)],
    )


def test_111() -> None:
    """111. An NDArray used as an index is a list of integer positions (float or int), never a mask."""
    assert nd.array([10, 20, 30])[nd.array([1, 0, 1])].asnumpy().tolist() == [20.0, 10.0, 20.0]


def test_112() -> None:
    """112. nd.array copies from numpy; as_in_context returns the same object when the context is the same;
    copyto(other) writes into it.
    """
    a = nd.ones((2,))
    assert (a.as_in_context(mx.cpu(0)) is a, a.copyto(mx.cpu(0)) is a) == (True, False)


def test_113(tmp_path: Path) -> None:
    """113. nd.load returns a list or a dict as saved; nd.save takes one NDArray as a list of one."""
    nd.save(str(tmp_path) + "/x", nd.ones((2,)))
    assert type(nd.load(str(tmp_path) + "/x")).__name__ == "list"


def test_114() -> None:
    """114. onehot_encode, concatenate, moveaxis, arange(repeat), full, linspace exist in mx.nd; arange is float32."""
    assert (nd.arange(0, 2, 0.5, repeat=2).asnumpy().tolist(), nd.arange(3).dtype.__name__) == (
        [0.0, 0.0, 0.5, 0.5, 1.0, 1.0, 1.5, 1.5],
        "float32",
    )


def test_115() -> None:
    """115. imperative operators accept out=; the output is returned too."""
    o = nd.zeros((2,))
    assert (nd.exp(nd.zeros((2,)), out=o) is o, o.asnumpy().tolist()) == (True, [1.0, 1.0])


def test_116() -> None:
    """116. Auto-names are the lower-case operator name with a counter per hint; scalar operators are _plusscalarN,
    _mulscalarN ..., comparisons _greater_scalarN; negation is _mulscalarN.
    """
    d = V("d")
    assert [
        sym.FullyConnected(d, num_hidden=1).name,
        sym.FullyConnected(d, num_hidden=1).name,
        (d + d).name,
        (d * 2).name,
        (1 - d).name,
        (d / 2).name,
        (d**2).name,
        sym.exp(d).name,
        sym.Concat(d, d).name,
        sym.BatchNorm(d).name,
        sym.elemwise_add(d, d).name,
        (d > 1).name,
        (-d).name,
    ] == [
        "fullyconnected0",
        "fullyconnected1",
        "_plus0",
        "_mulscalar0",
        "_rminusscalar0",
        "_divscalar0",
        "_powerscalar0",
        "exp0",
        "concat0",
        "batchnorm0",
        "elemwise_add0",
        "_greater_scalar0",
        "_mulscalar1",
    ]


def test_117() -> None:
    """117. The counters are thread local; Prefix prepends to automatic AND explicit names."""
    r = []
    sym.exp(V("a"))
    t = threading.Thread(target=lambda: r.append(sym.exp(V("a")).name))
    t.start()
    t.join()
    with mx.name.Prefix("p_"):
        r += [sym.exp(V("a")).name, sym.exp(V("a"), name="x").name]
    assert r == ["exp0", "p_exp0", "p_x"]


def test_118() -> None:
    """118. list_arguments is depth-first post-order from the outputs, each variable once."""
    a, b, c = (V("a"), V("b"), V("c"))
    assert ((a * b + c * a).list_arguments(), mlp().list_arguments()) == (
        ["a", "b", "c"],
        ["data", "fc1_weight", "fc1_bias", "fc2_weight", "fc2_bias", "softmax_label"],
    )


def test_119() -> None:
    """119. get_internals lists every node output (variables by name, operators as name_output) in the same order;
    indexing by name needs the _output suffix.
    """
    s = mlp()
    assert (s.get_internals().list_outputs(), s.get_internals()["fc1_output"].list_arguments()) == (
        [
            "data",
            "fc1_weight",
            "fc1_bias",
            "fc1_output",
            "relu1_output",
            "fc2_weight",
            "fc2_bias",
            "fc2_output",
            "softmax_label",
            "softmax_output",
        ],
        ["data", "fc1_weight", "fc1_bias"],
    )


def test_120() -> None:
    """120. Hidden outputs: BatchNorm shows one output although the node has three; Dropout too (mask hidden)."""
    assert (
        sym.BatchNorm(V("d"), name="b").list_outputs(),
        sym.Dropout(V("d"), name="d").list_outputs(),
        sym.BatchNorm(V("d"), name="b").get_internals().list_outputs(),
    ) == (["b_output"], ["d_output"], ["d", "b_gamma", "b_beta", "b_moving_mean", "b_moving_var", "b_output"])


def test_121() -> None:
    """121. A multi-output symbol used as one input raises; index it first. Iterating gives the outputs (each still
    named as the node).
    """
    s = sym.SliceChannel(V("a"), num_outputs=2, name="s")
    assert (exc(lambda: sym.exp(s)), [x.name for x in s], len(s)) == ("MXNetError", ["s", "s"], 2)


def test_122() -> None:
    """122. Group: name is None, list_outputs concatenates; children via get_children."""
    g = sym.Group([V("a"), sym.exp(V("b"), name="e")])
    assert (g.name, g.list_outputs(), sym.exp(V("b")).get_children().list_outputs()) == (None, ["a", "e_output"], ["b"])


def test_123() -> None:
    """123. Composition by calling: f(data2=g) replaces the variable, unknown names raise."""
    f = sym.FullyConnected(V("x"), num_hidden=2, name="f")
    assert f(x=sym.exp(V("q"), name="e")).list_arguments() == ["q", "f_weight", "f_bias"]


def test_124() -> None:
    """124. Missing inputs become variables named op_inputname; in a one-input operator the second positional argument
    is the name, so a Symbol there raises.
    """
    assert (
        sym.FullyConnected(V("x"), num_hidden=2, name="f").list_arguments(),
        exc(lambda: sym.exp(V("a"), V("b"))),
    ) == (["x", "f_weight", "f_bias"], "NotImplementedForSymbol")


def test_125() -> None:
    """125. Variable(lr_mult=, wd_mult=, dtype=, init=, shape=, stype=) store __lr_mult__ ... as text (dtype as a
    code); list_attr and attr_dict show lr_mult, wd_mult, ctx_group, force_mirroring twice, with and without
    underscores. Other keyword names without underscores raise.
    """
    assert (
        V("a", lr_mult=2, wd_mult=0.5, dtype="float64", shape=(2, 3), init=mx.init.One()).list_attr(),
        exc(lambda: V("a", foo=1)),
    ) == (
        {
            "__init__": '["one", {}]',
            "__dtype__": "1",
            "__wd_mult__": "0.5",
            "wd_mult": "0.5",
            "__lr_mult__": "2",
            "lr_mult": "2",
            "__shape__": "(2, 3)",
        },
        "ValueError",
    )


def test_126() -> None:
    """126. AttrScope values are merged into every symbol made inside, and automatically created variables inherit both
    the scope attributes and the operator parameters; read back through attr or attr_dict.
    """
    with mx.AttrScope(ctx_group="g", __data__="x"):
        s = sym.FullyConnected(V("d"), num_hidden=2, name="f")
    assert (s.attr("ctx_group"), s.attr("__ctx_group__"), {k: sorted(v) for k, v in s.attr_dict().items()}) == (
        "g",
        "g",
        {
            "d": ["__ctx_group__", "__data__", "ctx_group"],
            "f_weight": ["__ctx_group__", "__data__", "ctx_group", "num_hidden"],
            "f_bias": ["__ctx_group__", "__data__", "ctx_group", "num_hidden"],
            "f": ["__ctx_group__", "__data__", "ctx_group", "num_hidden"],
        },
    )


def test_127() -> None:
    """127. attr_dict holds operator parameters too, as text, only those given explicitly; also for auto-created
    variables.
    """
    assert sym.FullyConnected(V("d"), num_hidden=2, name="f").attr_dict() == {
        "f_weight": {"num_hidden": "2"},
        "f_bias": {"num_hidden": "2"},
        "f": {"num_hidden": "2"},
    }


def test_128() -> None:
    """128. Parameters are stored as Python text: tuples as (3, 3), booleans True/False, None as None."""
    assert [
        n.get("attrs")
        for n in json.loads(
            sym.Pooling(sym.slice_axis(V("d"), axis=0, begin=0, end=None), kernel=(3, 3), global_pool=True).tojson()
        )["nodes"]
        if n["op"] != "null"
    ] == [{"axis": "0", "begin": "0", "end": "None"}, {"global_pool": "True", "kernel": "(3, 3)"}]


@pytest.mark.filterwarnings("ignore:Cannot decide shape")
def test_129() -> None:
    """129. infer_shape returns (arg, out, aux) in list order; with too little information (None, None, None);
    infer_shape_partial gives () where nothing is known and 0 for unknown axes of known rank.
    """
    s = mlp()
    assert (s.infer_shape(), s.infer_shape_partial()[:2], s.infer_shape_partial(data=(0, 5))[0]) == (
        (None, None, None),
        ([(), (), (), (), (), ()], [()]),
        [(0, 5), (4, 5), (4,), (3, 4), (3,), (0,)],
    )


def test_130() -> None:
    """130. Inference is bidirectional for elementwise operators; a FullyConnected weight does not determine its data."""
    assert (
        (V("a") + V("b")).infer_shape(a=(2, 3)),
        sym.FullyConnected(V("d"), V("w"), num_hidden=4, no_bias=True).infer_shape_partial(w=(4, 7))[0],
    ) == (([(2, 3), (2, 3)], [(2, 3)], []), [(), (4, 7)])


def test_131() -> None:
    """131. 0 in a given shape means unknown in that axis and can be filled from elsewhere."""
    assert (V("a") + V("b")).infer_shape(a=(0, 3), b=(2, 0)) == ([(2, 3), (2, 3)], [(2, 3)], [])


def test_132() -> None:
    """132. A conflict raises MXNetError naming the operator; unknown keyword raises too; non-tuple raises TypeError."""
    assert (
        exc(lambda: (V("a") + V("b")).infer_shape(a=(2, 3), b=(2, 4))),
        exc(lambda: V("a").infer_shape(zz=(1,))),
        exc(lambda: V("a").infer_shape(a=3)),
    ) == ("MXNetError", "MXNetError", "TypeError")


def test_133() -> None:
    """133. simple_bind without enough shapes raises RuntimeError (not MXNetError) listing the arguments."""
    assert exc(lambda: mlp().simple_bind(mx.cpu())) == "RuntimeError"


def test_134() -> None:
    """134. infer_type propagates float64 to weights; conflicting types raise; unknown types default to float32 at
    bind.
    """
    assert (
        [[t.__name__ for t in x] for x in mlp().infer_type(data="float64")],
        exc(lambda: (V("a") + V("b")).infer_type(a="float32", b="float64")),
    ) == ([["float64", "float64", "float64", "float64", "float64", "float64"], ["float64"], []], "MXNetError")


def test_135() -> None:
    """135. BatchNorm with float16 data keeps gamma, beta and the moving statistics in float32."""
    assert [[np.dtype(t).name for t in x] for x in sym.BatchNorm(V("d")).infer_type(d="float16")] == [
        ["float16", "float32", "float32"],
        ["float16"],
        ["float32", "float32"],
    ]


def test_136() -> None:
    """136. Variable shape= and dtype= are used by simple_bind without being passed."""
    ex = (V("a", shape=(2, 3), dtype="float64") * 2).simple_bind(mx.cpu())
    assert (ex.arg_dict["a"].shape, ex.arg_dict["a"].dtype.__name__) == ((2, 3), "float64")


def test_137() -> None:
    """137. Symbols have no truth value; == builds a comparison node when the other is a Symbol or number."""
    assert (exc(lambda: bool(V("a"))), type(V("a") == 1).__name__) == ("NotImplementedForSymbol", "Symbol")


def test_138() -> None:
    """138. repr of a variable, a group and an operator."""
    assert (
        repr(V("a")),
        repr(sym.Group([V("a"), V("b")])),
        repr(sym.SliceChannel(V("a"), num_outputs=2, name="s")),
    ) == ("<Symbol a>", "<Symbol group [a, b]>", "<Symbol s>")


def test_139() -> None:
    """139. sym.eval(ctx, **arrays) returns a list of NDArrays."""
    assert [x.asnumpy().tolist() for x in (V("a") + 1).eval(ctx=mx.cpu(), a=nd.ones((2,)))] == [[2.0, 2.0]]


def test_140() -> None:
    """140. Deep copy and pickle work; tojson is stable."""
    s = mlp()
    assert (copy.deepcopy(s).tojson() == s.tojson(), pickle.loads(pickle.dumps(s)).tojson() == s.tojson()) == (
        True,
        True,
    )


def test_141() -> None:
    """141. sgd_update and the other optimizer operators can be built imperatively only; as symbols they raise."""
    assert exc(lambda: sym.sgd_update(V("w"), V("g"), lr=0.1)) == "MXNetError"


def test_142() -> None:
    """142. Unknown parameters raise at construction; a few operators without any parameter struct (exp, Flatten...)
    accept unknown keywords silently.
    """
    assert (exc(lambda: sym.FullyConnected(V("d"), num_hidden=1, foo=2)), exc(lambda: sym.exp(V("d"), foo=2).name)) == (
        "MXNetError",
        "nothing",
    )


def test_143() -> None:
    """143. backward() without out_grads is fine when every output is a loss; otherwise it raises."""
    assert (exc(lambda: gradients(V("a") * 2, a=[1.0])), exc(lambda: gradients(sym.MakeLoss(V("a") * 2), a=[1.0]))) == (
        "MXNetError",
        "nothing",
    )


def test_144() -> None:
    """144. grad_req add accumulates over backward calls, write overwrites, null leaves the array untouched; a dict or
    list sets it per argument (missing names count as null).
    """
    s = V("a") * V("b")
    ex = s.bind(
        mx.cpu(),
        {"a": nd.array([2.0]), "b": nd.array([3.0])},
        args_grad={"a": nd.array([100.0]), "b": nd.array([100.0])},
        grad_req={"a": "add", "b": "write"},
    )
    for _ in range(2):
        ex.forward(is_train=True)
        ex.backward([nd.ones((1,))])
    assert {k: v.asnumpy().tolist() for k, v in ex.grad_dict.items()} == {"a": [106.0], "b": [2.0]}


def test_145() -> None:
    """145. simple_bind allocates gradients for every argument, data and label included (grad_req write); with a dict,
    only for the named.
    """
    assert (
        sorted((k for k, v in mlp().simple_bind(mx.cpu(), data=(2, 3)).grad_dict.items() if v is not None)),
        sorted(
            (
                k
                for k, v in mlp().simple_bind(mx.cpu(), data=(2, 3), grad_req={"fc1_weight": "write"}).grad_dict.items()
                if v is not None
            )
        ),
    ) == (["data", "fc1_bias", "fc1_weight", "fc2_bias", "fc2_weight", "softmax_label"], ["fc1_weight"])


def test_146() -> None:
    """146. backward after forward(is_train=False) is accepted and yields gradients of that forward; Dropout then
    passes the gradient through.
    """
    a = V("a")
    ex = (a * a).simple_bind(mx.cpu(), a=(1,))
    ex.arg_dict["a"][:] = 3
    ex.forward(is_train=False)
    ex.backward(nd.ones((1,)))
    ex2 = sym.Dropout(a, p=0.5).simple_bind(mx.cpu(), a=(3,))
    ex2.forward(is_train=False)
    ex2.backward(nd.ones((3,)))
    assert (ex.grad_dict["a"].asnumpy().tolist(), ex2.grad_dict["a"].asnumpy().tolist()) == ([6.0], [1.0, 1.0, 1.0])


def test_147() -> None:
    """147. forward(name=array) copies into the bound argument; unknown names TypeError; wrong shape ValueError."""
    ex = (V("a") * 2).simple_bind(mx.cpu(), a=(2,))
    assert (
        ex.forward(a=nd.array([1, 2]))[0].asnumpy().tolist(),
        ex.arg_dict["a"].asnumpy().tolist(),
        exc(lambda: ex.forward(b=nd.ones((2,)))),
        exc(lambda: ex.forward(a=nd.ones((3,)))),
    ) == ([2.0, 4.0], [1.0, 2.0], "TypeError", "ValueError")


def test_148() -> None:
    """148. Arrays given to bind are used by reference: writing them changes the next forward."""
    a = nd.ones((1,))
    ex = (V("a") * 2).bind(mx.cpu(), {"a": a})
    a[:] = 5
    assert ex.forward()[0].asnumpy().tolist() == [10.0]


def test_149() -> None:
    """149. Executor.reshape shares parameters; growing an input needs allow_up_sizing, changing parameters needs
    partial_shaping.
    """
    ex = sym.FullyConnected(V("x"), num_hidden=2, name="f").simple_bind(mx.cpu(), x=(2, 3))
    e2 = ex.reshape(x=(1, 3))
    ex.arg_dict["f_weight"][:] = 4
    assert (
        e2.arg_dict["f_weight"].asnumpy()[0].tolist(),
        exc(lambda: ex.reshape(x=(9, 3))),
        exc(lambda: ex.reshape(x=(2, 5))),
        ex.reshape(x=(9, 3), allow_up_sizing=True).outputs[0].shape,
    ) == ([4.0, 4.0, 4.0], "MXNetError", "MXNetError", (9, 2))


def test_150() -> None:
    """150. outputs, arg_arrays, grad_arrays, aux_arrays follow list order; output_dict by name."""
    ex = mlp().simple_bind(mx.cpu(), data=(2, 3))
    assert (list(ex.arg_dict), list(ex.output_dict), len(ex.grad_arrays)) == (
        ["data", "fc1_weight", "fc1_bias", "fc2_weight", "fc2_bias", "softmax_label"],
        ["softmax_output"],
        6,
    )


def test_151() -> None:
    """151. copy_params_from raises for unknown names unless allow_extra_params."""
    ex = (V("a") * 2).simple_bind(mx.cpu(), a=(2,))
    assert (
        exc(lambda: ex.copy_params_from({"z": nd.ones((2,))})),
        ex.copy_params_from({"z": nd.ones((2,))}, allow_extra_params=True),
    ) == ("ValueError", None)


def test_152() -> None:
    """152. Two different Variable objects with one name are two arguments: list_arguments shows the name twice and
    simple_bind fails.
    """
    s = V("a") + V("a")
    assert (s.list_arguments(), exc(lambda: s.simple_bind(mx.cpu(), a=(2,)).arg_arrays)) == (["a", "a"], "RuntimeError")


def test_154() -> None:
    """154. MXNetError is a RuntimeError, also reachable as mx.base.MXNetError."""
    assert (
        [c.__name__ for c in mx.MXNetError.__mro__],
        mx.MXNetError is mx.base.MXNetError,
        mx.base.MXNetError.__module__,
    ) == (["MXNetError", "RuntimeError", "Exception", "BaseException", "object"], True, "mxnet.base")


def test_155() -> None:
    """155. The Executor monitor callback receives bytes names (node_output) for operator nodes; inputs are excluded by
    default.
    """
    ex = mlp().simple_bind(mx.cpu(), data=(1, 2))
    n = []
    ex.set_monitor_callback(lambda a, b: n.append(a))
    ex.forward()[0].asnumpy()
    assert n == [b"fc1_output", b"relu1_output", b"fc2_output", b"softmax_output"]


def test_222() -> None:
    """222. randint defaults to int32 and excludes high; multinomial draws int32 indices; shuffle permutes the first
    axis.
    """
    assert (
        nd.random.randint(0, 2, shape=(3,)).dtype.__name__,
        nd.random.multinomial(nd.array([0, 1.0])).asnumpy().tolist(),
        nd.random.multinomial(nd.array([0, 1.0])).dtype.__name__,
    ) == ("int32", [1], "int32")


def test_223() -> None:
    """223. gamma(alpha, beta): beta is the scale; exponential(scale) in nd.random takes the scale while the operator
    parameter lam is the rate.
    """
    mx.random.seed(1)
    gamma = nd.random.gamma(2.0, 3.0, shape=(20000,)).asnumpy().mean()
    by_scale = nd.random.exponential(4.0, shape=(20000,)).asnumpy().mean()
    by_rate = nd.random_exponential(lam=4.0, shape=(20000,)).asnumpy().mean()
    # five standard errors of 20000 draws
    assert abs(gamma - 6) < 0.15
    assert abs(by_scale - 4) < 0.15
    assert abs(by_rate - 0.25) < 0.01


def test_232() -> None:
    """232. simple_bind(shared_exec=ex) shares only the arguments named in shared_arg_names (same object memory);
    others are fresh arrays.
    """
    s = sym.FullyConnected(V("x"), num_hidden=2, name="f")
    e1 = s.simple_bind(mx.cpu(), x=(2, 3))
    r = []
    for kw in ({}, {"shared_arg_names": ["f_weight", "f_bias"]}):
        e2 = s.simple_bind(mx.cpu(), shared_exec=e1, x=(2, 3), **kw)
        e1.arg_dict["f_weight"][:] = 4
        r.append(bool((e2.arg_dict["f_weight"].asnumpy() == 4).all()))
    assert r == [False, False]


def test_246() -> None:
    """246. Group2ctx and ctx_group are accepted on CPU contexts and do not change results."""
    with mx.AttrScope(ctx_group="d1"):
        a = V("a") * 2
    with mx.AttrScope(ctx_group="d2"):
        b = a + 1
    ex = b.simple_bind(mx.cpu(0), group2ctx={"d1": mx.cpu(1), "d2": mx.cpu(2)}, a=(2,))
    ex.arg_dict["a"][:] = 3
    assert (ex.forward()[0].asnumpy().tolist(), str(ex.arg_dict["a"].context)) == ([7.0, 7.0], "cpu(1)")


def test_108() -> None:
    """108. repr prints the numpy text, then the shape joined by x and the context."""
    assert repr(nd.array([[1, 2], [3, 4]])) == "\n[[1. 2.]\n [3. 4.]]\n<NDArray 2x2 @cpu(0)>"


def test_110() -> None:
    """110. dtype attribute is a numpy scalar type, context prints cpu(0)."""
    one = nd.ones((1,))
    assert (one.dtype, str(one.context), one.context == mx.cpu(0)) == (np.float32, "cpu(0)", True)


def test_153() -> None:
    """153. Errors of kernels surface when a result is read; here at the call, a known difference. The class is the same."""
    assert exc(lambda: nd.linalg.potrf(nd.array([[-1.0]])).asnumpy()) == "MXNetError"


def test_221() -> None:
    """221. mx.random.seed fixes the sequence (the numbers are others here)."""
    draws = []
    for _ in range(2):
        mx.random.seed(3)
        draws.append(nd.random.uniform(shape=(2,)).asnumpy().tolist())
    assert draws[0] == draws[1]


def test_224() -> None:
    """224. Context is a with-scope: default_ctx, current_context; mx.cpu(1) differs from mx.cpu(0)."""
    with mx.Context("cpu", 1):
        inside, default = mx.current_context(), mx.Context.default_ctx
    assert (str(inside), default, mx.cpu(0) == mx.cpu(1), repr(mx.gpu(2))) == ("cpu(1)", inside, False, "gpu(2)")


def test_247() -> None:
    """247. engine.bulk and waitall exist and change nothing visible."""
    with mx.engine.bulk(10):
        x = nd.ones((1,)) + 1
    nd.waitall()
    assert x.asscalar() == 2
