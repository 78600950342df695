"""Data sets and pretrained models of MXNet's examples, and an iterator that repeats one batch."""

from __future__ import annotations

import bz2
import gzip
import logging
import os
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mxcompat import downloads, io
from mxcompat.formats.atomic import write_atomically

__all__ = [
    "DummyIter",
    "download",
    "download_model",
    "get_bz2_data",
    "get_cifar10",
    "get_mnist",
    "get_mnist_iterator",
    "get_mnist_pkl",
    "get_mnist_ubyte",
    "get_zip_data",
]
_MNIST = "http://data.mxnet.io/data/mnist/"
_MNIST_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
_MNIST_ZIP = "http://data.mxnet.io/mxnet/data/mnist.zip"
_CIFAR10_ZIP = "http://data.mxnet.io/mxnet/data/cifar10.zip"
_MODELS = "http://data.mxnet.io/models/"
#: model -> (file of the symbol, file of the parameters) without their endings
_MODEL_FILES = {
    "imagenet1k-inception-bn": ("imagenet/inception-bn/Inception-BN", "0126"),
    **{
        f"imagenet1k-resnet-{layers}": (f"imagenet/resnet/{layers}-layers/resnet-{layers}", "0000")
        for layers in (18, 34, 50, 101, 152)
    },
    "imagenet1k-resnext-50": ("imagenet/resnext/50-layers/resnext-50", "0000"),
    "imagenet1k-resnext-101": ("imagenet/resnext/101-layers/resnext-101", "0000"),
    "imagenet1k-resnext-101-64x4d": ("imagenet/resnext/101-layers/resnext-101-64x4d", "0000"),
    "imagenet11k-resnet-152": ("imagenet-11k/resnet-152/resnet-152", "0000"),
    "imagenet11k-place365ch-resnet-152": ("imagenet-11k-place365-ch/resnet-152", "0000"),
    "imagenet11k-place365ch-resnet-50": ("imagenet-11k-place365-ch/resnet-50", "0000"),
}


def download(
    url: str, fname: str | None = None, dirname: str | None = None, overwrite: bool = False, retries: int = 5
) -> str:
    """Download a file; returns its path: ``fname`` (default: the URL's last part) in ``dirname`` (default: here).

    A file that is there stays as it is, unless ``overwrite``. Copies in the folder ``MXCOMPAT_DATA`` come first; see
    ``mxcompat.downloads``. Raises ``mxcompat.downloads.DownloadError``, an ``OSError``.
    """
    if retries < 0:
        raise AssertionError(f"Number of retries should be at least 0, found {retries}")
    fname = url.split("/")[-1] if fname is None else fname
    if dirname is not None:
        fname = os.path.join(dirname, fname)
    if os.path.dirname(fname):
        os.makedirs(os.path.dirname(fname), exist_ok=True)
    if not overwrite and os.path.exists(fname):
        logging.info("%s exists, skipping download", fname)
        return fname
    downloads.fetch(url, fname, retries)
    logging.info("downloaded %s into %s successfully", url, fname)
    return fname


def download_model(
    model_name: str, dst_dir: str = "./", meta_info: Mapping[str, Mapping[str, str]] | None = None
) -> tuple[str | None, int]:
    """Download a pretrained model into ``dst_dir``; returns prefix and epoch for ``load_checkpoint``.

    ``meta_info`` maps names to ``{'symbol': url, 'params': url}``; a name that it lacks gives ``(None, 0)``.
    """
    if meta_info is None:
        meta_info = {
            name: {"symbol": f"{_MODELS}{path}-symbol.json", "params": f"{_MODELS}{path}-{epoch}.params"}
            for name, (path, epoch) in _MODEL_FILES.items()
        }
    if model_name not in meta_info:
        return None, 0
    urls = meta_info[model_name]
    for key in ("symbol", "params"):
        if key not in urls:
            raise AssertionError(f"download_model: meta_info has no {key} URL for {model_name}")
    os.makedirs(dst_dir, exist_ok=True)
    prefix = os.path.join(dst_dir, model_name)
    download(urls["symbol"], prefix + "-symbol.json")
    download(urls["params"], prefix + "-0000.params")
    return prefix, 0


def _read_mnist(part: str) -> tuple[np.ndarray, np.ndarray]:
    """Labels (N,) int8 and images (N, 1, 28, 28) float32 in [0, 1]."""
    with gzip.open(download(f"{_MNIST}{part}-labels-idx1-ubyte.gz")) as file:
        labels = np.frombuffer(file.read(), dtype=np.int8, offset=8)
    with gzip.open(download(f"{_MNIST}{part}-images-idx3-ubyte.gz")) as file:
        pixels = np.frombuffer(file.read(), dtype=np.uint8, offset=16)
    return labels, pixels.reshape(len(labels), 1, 28, 28).astype(np.float32) / 255


def get_mnist() -> dict[str, np.ndarray]:
    """MNIST: ``train_data`` and ``test_data`` (N, 1, 28, 28) float32 in [0, 1], ``train_label``, ``test_label`` int8.

    The four files are downloaded into the current folder.
    """
    train_label, train_data = _read_mnist("train")
    test_label, test_data = _read_mnist("t10k")
    return {"train_data": train_data, "train_label": train_label, "test_data": test_data, "test_label": test_label}


def get_mnist_pkl() -> None:
    """Download ``mnist.pkl.gz`` into the folder ``data``."""
    download("http://deeplearning.net/data/mnist/mnist.pkl.gz", dirname="data")


def _unpack(stream: Any, path: str) -> None:
    with stream:
        write_atomically(path, lambda target: shutil.copyfileobj(stream, target))


def _unzip(url: str, folder: str) -> None:
    with zipfile.ZipFile(download(url, dirname=folder)) as archive:
        archive.extractall(folder)


def get_mnist_ubyte() -> None:
    """Put the four files of MNIST into the folder ``data``: from a local ``mnist.zip``, else from the packed files."""
    absent = [name for name in _MNIST_FILES if not os.path.exists(os.path.join("data", name))]
    if not absent:
        return
    if os.path.exists(os.path.join("data", "mnist.zip")) or downloads.local_copy(_MNIST_ZIP):
        _unzip(_MNIST_ZIP, "data")
        return
    for name in absent:
        packed = download(f"{_MNIST}{name}.gz", dirname="data")
        _unpack(gzip.open(packed), os.path.join("data", name))
        os.remove(packed)


def get_cifar10() -> None:
    """Download CIFAR-10 into the folder ``data`` and unpack its record files to ``data/cifar``."""
    names = ("train.rec", "test.rec", "train.lst", "test.lst")
    if not all(os.path.exists(os.path.join("data", "cifar", name)) for name in names):
        _unzip(_CIFAR10_ZIP, "data")


def get_mnist_iterator(
    batch_size: int, input_shape: Sequence[int], num_parts: int = 1, part_index: int = 0
) -> tuple[Any, Any]:
    """``MNISTIter`` for training (shuffled) and for validation; flat unless ``input_shape`` has three axes."""
    get_mnist_ubyte()
    maker: Any = io
    common = {"input_shape": input_shape, "batch_size": batch_size, "flat": len(input_shape) != 3}
    common.update(num_parts=num_parts, part_index=part_index)
    train, validation = (
        {"image": f"data/{part}-images-idx3-ubyte", "label": f"data/{part}-labels-idx1-ubyte"}
        for part in ("train", "t10k")
    )
    return maker.MNISTIter(**train, shuffle=True, **common), maker.MNISTIter(**validation, **common)


def get_zip_data(data_dir: str, url: str, data_origin_name: str) -> None:
    """Download a zip archive into ``data_dir`` and unpack it there, unless the archive ``data_origin_name`` is there."""
    archive_path = os.path.join(data_dir, data_origin_name)
    if not os.path.exists(archive_path):
        download(url, dirname=data_dir)
        with zipfile.ZipFile(archive_path) as archive:
            archive.extractall(data_dir)


def get_bz2_data(data_dir: str, data_name: str, url: str, data_origin_name: str) -> None:
    """Download the bz2 file ``data_origin_name`` and unpack it as ``data_name`` in ``data_dir``, unless that is there."""
    unpacked = os.path.join(data_dir, data_name)
    if os.path.exists(unpacked):
        return
    packed = download(url, fname=data_origin_name, dirname=data_dir)
    _unpack(bz2.open(packed), unpacked)
    os.remove(packed)


class DummyIter(io.DataIter):
    """Gives the first batch of another iterator for ever; for measuring speed."""

    def __init__(self, real_iter: Any):
        super().__init__()
        self.real_iter = real_iter
        self.provide_data = real_iter.provide_data
        self.provide_label = real_iter.provide_label
        self.batch_size = real_iter.batch_size
        self.the_batch = next(real_iter)

    def __iter__(self) -> DummyIter:
        return self

    def next(self) -> Any:
        """The batch; there is always one."""
        return self.the_batch
