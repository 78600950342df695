"""Graphs as text: the bytes are those of real MXNet 1.9.1, whose digests stand here, also after a round trip."""

from __future__ import annotations

import copy
import hashlib
import pickle
import warnings
from pathlib import Path
from typing import Any

import pytest

import mxcompat as mx

sym, V = mx.sym, mx.sym.Variable


def perceptron(d: Any) -> Any:
    hidden = sym.Activation(sym.FullyConnected(d, num_hidden=128, name="fc1"), act_type="relu", name="r1")
    return sym.SoftmaxOutput(sym.FullyConnected(hidden, num_hidden=10, name="fc2"), name="softmax")


def convolution(d: Any) -> Any:
    net = sym.Convolution(d, num_filter=8, kernel=(3, 3), pad=(1, 1), no_bias=True, name="c1", attr={"lr_mult": "2"})
    net = sym.Activation(sym.BatchNorm(net, fix_gamma=False, eps=2e-5, momentum=0.9, name="bn1"), act_type="relu")
    net = sym.Pooling(net, kernel=(2, 2), stride=(2, 2), pool_type="max")
    label = V("lab", shape=(0, 10), dtype="float32")
    return sym.LinearRegressionOutput(sym.Flatten(net), label, grad_scale=0.5, name="lro")


def scopes(d: Any) -> Any:
    with mx.AttrScope(ctx_group="dev1", __k__="v"):
        x = sym.exp(d, name="e")
        y = sym.broadcast_add(x, V("w", init=mx.init.Xavier(), lr_mult=2, wd_mult=0.0))
    return sym.Group([y * 2, x / 3.5, y**2, 1 / x, y - 0.1])


def parts(d: Any) -> Any:
    s = sym.SliceChannel(d, num_outputs=3, axis=1, name="s")
    return sym.Concat(s[0], s[2], s[1], dim=1)


def cells(d: Any) -> Any:
    stack = mx.rnn.SequentialRNNCell()
    stack.add(mx.rnn.LSTMCell(16, prefix="l0_"))
    stack.add(mx.rnn.DropoutCell(0.3))
    stack.add(mx.rnn.GRUCell(8, prefix="l1_"))
    embedded = sym.Embedding(d, input_dim=20, output_dim=6, name="emb")
    return stack.unroll(3, inputs=embedded, merge_outputs=True)[0]


def fused(d: Any) -> Any:
    cell = mx.rnn.FusedRNNCell(12, num_layers=2, mode="lstm", bidirectional=True, dropout=0.1, prefix="f_")
    return cell.unroll(4, inputs=d, layout="NTC", merge_outputs=True)[0]


def many(d: Any) -> Any:
    width = (0, 0, 0, 0, 1, 1, 1, 1)
    return sym.Group(
        [
            sym.slice_axis(d, axis=1, begin=0, end=None),
            sym.transpose(d, axes=(0, 2, 1)),
            sym.clip(d, -1, 1.5),
            sym.sum(d, axis=(1, 2), keepdims=True),
            sym.reshape(d, shape=(0, -1, -2)),
            sym.pad(d, mode="constant", pad_width=width, constant_value=1e-3),
            sym.one_hot(d, depth=3, dtype="int32"),
            sym.arange(0, 10, 2.5),
            sym.random.uniform(0, 1, shape=(2, 3)),
            sym.Cast(d, dtype="float16"),
            sym.LeakyReLU(d, act_type="prelu", name="pr"),
            sym.tile(d, reps=(2, 1)),
            sym.zeros((2,)),
            sym.squeeze(d),
            sym.squeeze(d, axis=(0, 1)),
            d == 1,
            d != d,
            sym.maximum(d, 2),
            sym.topk(d, k=3, ret_typ="both"),
            sym.where(d, d, d),
            sym.linalg.gemm2(d, d, transpose_b=True),
            sym.contrib.box_nms(d, overlap_thresh=0.3),
            sym.dot(d, d, transpose_a=1),
            sym.Dropout(d, p=0.3),
            sym.L2Normalization(d),
            sym.InstanceNorm(d, name="in"),
            sym.LRN(d, nsize=5),
            sym.SequenceMask(d, use_sequence_length=False),
            sym.UpSampling(d, scale=2, sample_type="nearest", num_args=1),
            sym.Deconvolution(d, kernel=(2, 2), num_filter=3, name="dc"),
            sym.CTCLoss(d, V("l")),
            sym.ROIPooling(d, V("rois"), pooled_size=(2, 2), spatial_scale=0.5),
            sym.add_n(d, d, d),
            sym.stack(d, d, axis=1),
            sym.identity(d),
            sym.make_loss(d),
            sym.MakeLoss(d, grad_scale=2.0),
        ]
    )


NETS = {
    perceptron: "4c7b890e78f86a76357f60e5874d10fe",
    convolution: "b6d1c5550129573a4b679c5fe8cbe4b8",
    scopes: "219b4e51db2825dade24d3674e3c2ae6",
    parts: "2d2cc43b98bc666824840d649c9f8a1f",
    cells: "d333c051e2c911367f0eac35b5096da1",
    fused: "0c866b67230db18353939392e362a524",
    many: "aa5cf5b09434242df7ed3bd53c97a911",
}


@pytest.mark.parametrize("make", NETS, ids=lambda make: make.__name__)
def test_bytes_are_the_originals(make: Any, tmp_path: Path) -> None:
    with mx.name.NameManager(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = make(V("data"))
    text = net.tojson()
    assert hashlib.md5(text.encode()).hexdigest() == NETS[make]
    net.save(str(tmp_path / "net.json"))
    assert (tmp_path / "net.json").read_text() == text
    for again in (sym.load_json(text), sym.load(str(tmp_path / "net.json")), copy.deepcopy(net)):
        assert again.tojson() == text
    assert pickle.loads(pickle.dumps(net)).tojson() == text
