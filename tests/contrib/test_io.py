"""Data loaders as iterators of modules."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
import torch

import mxcompat as mx
from mxcompat.contrib.io import DataLoaderIter
from tests import api_walk


def torch_loader() -> Iterable:
    dataset = torch.utils.data.TensorDataset(torch.arange(20.0).reshape(10, 2), torch.arange(10))
    return torch.utils.data.DataLoader(dataset, batch_size=4)


def numpy_batches() -> Iterable:
    data, label = np.arange(20.0).reshape(10, 2), np.arange(10)
    return [(data[i : i + 4], label[i : i + 4]) for i in (0, 4, 8)]


def array_batches() -> Iterable:
    return [tuple(mx.nd.array(part) for part in batch) for batch in numpy_batches()]


def test_names_and_signatures() -> None:
    api_walk.check(["mx.contrib.io"], {})


@pytest.mark.parametrize("loader", [torch_loader, numpy_batches, array_batches])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_batches(loader: Iterable, dtype: str) -> None:
    iterator = DataLoaderIter(loader(), label_name="label", dtype=dtype)  # type: ignore[operator]
    assert iterator.batch_size == 4
    assert iterator.provide_data == [mx.io.DataDesc("data", (4, 2), dtype)]
    assert iterator.provide_label == [mx.io.DataDesc("label", (4,), dtype)]
    for _ in range(2):
        batches = list(iterator)
        assert [batch.pad for batch in batches] == [0, 0, 2]
        assert all(batch.data[0].dtype == np.dtype(dtype) and batch.data[0].shape == (4, 2) for batch in batches)
        assert batches[1].data[0].asnumpy().tolist() == [[8, 9], [10, 11], [12, 13], [14, 15]]
        assert batches[2].data[0].asnumpy().tolist() == [[16, 17], [18, 19], [0, 0], [0, 0]]
        assert batches[2].label[0].asnumpy().tolist() == [8, 9, 0, 0] and batches[2].index is None
        iterator.reset()


def test_a_module_trains_on_it() -> None:
    net = mx.sym.SoftmaxOutput(mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=10), name="softmax")
    module = mx.mod.Module(net)
    module.fit(DataLoaderIter(torch_loader()), num_epoch=1)
    assert module.predict(DataLoaderIter(torch_loader())).shape == (10, 10)


@pytest.mark.parametrize(
    ("loader", "text"),
    [([], "no batches"), ([np.ones(3)], "a ndarray, expected"), ([(1, 2, 3)], "a tuple of 3, expected .data, label.")],
)
def test_refusals(loader: Iterable, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        DataLoaderIter(loader)


def test_no_batch_yet() -> None:
    with pytest.raises(ValueError, match="call iter_next first"):
        DataLoaderIter(numpy_batches()).getdata()
