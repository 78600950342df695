"""The iterators over files that ``mx.io`` has, and their parameters in the original's order.

The signature is the schema, as in ``mxcompat.ops``.
"""

from typing import Any

from mxcompat.base import MXNetError
from mxcompat.io.csv import CSVRows, CSVSamples
from mxcompat.io.loader import BatchLoader
from mxcompat.io.mnist import open_mnist
from mxcompat.io.native import DTYPES, data_iter
from mxcompat.ops.schema import Bool, Enum, Int, NoEffect, Optional, Shape, Str

__all__: list[str] = []


@data_iter("CSVIter")
def csv_iter(
    *, data_csv: Str, data_shape: Shape(min=1), label_csv: Str = "NULL", label_shape: Shape(min=1) = (1,),
    batch_size: Int(min=1), round_batch: Bool = True, prefetch_buffer: NoEffect(Int(min=0)) = 4,
    ctx: NoEffect(Enum("cpu", "gpu")) = "gpu", dtype: Optional(Enum(*DTYPES)) = None,
) -> Any:  # fmt: skip
    """Batches of the rows of comma separated numbers in text files, each row reshaped to ``data_shape``.

    Labels are the rows of ``label_csv``, or zeros. ``dtype`` is float32 (also when not given), int32 or int64, for data
    and labels. With ``round_batch`` the last batch is filled up with the first rows and the next epoch begins behind
    these, else with rows of the batch before. Paths may be several (``a;b``), folders or patterns. A row whose length is
    not that of the shape raises ``MXNetError`` naming file and line.
    """
    if dtype not in (None, "float32", "int32", "int64"):
        raise MXNetError(f"CSVIter: dtype={dtype!r} is not supported for CSVIter, expected float32, int32 or int64")
    data = CSVRows(data_csv, "data_csv", data_shape, dtype or "float32")
    label = None if label_csv == "NULL" else CSVRows(label_csv, "label_csv", label_shape, dtype or "float32")
    return BatchLoader(CSVSamples(data, label), batch_size, round_batch)


@data_iter("MNISTIter", ignored=("input_shape",))
def mnist_iter(
    *, image: Str = "./train-images-idx3-ubyte", label: Str = "./train-labels-idx1-ubyte", batch_size: Int(min=1) = 128,
    shuffle: Bool = True, flat: Bool = False, seed: Int = 0, silent: Bool = False, num_parts: Int(min=1) = 1,
    part_index: Int(min=0) = 0, prefetch_buffer: NoEffect(Int(min=0)) = 4, ctx: NoEffect(Enum("cpu", "gpu")) = "gpu",
    dtype: Optional(Enum(*DTYPES)) = None,
) -> Any:  # fmt: skip
    """Batches of images (N, 1, rows, columns), or (N, pixels) when ``flat``, of float32 in [0, 1): pixel / 256.

    ``shuffle`` brings them into one order for all epochs, the original's for the same ``seed``. Samples that do not fill
    the last batch are left out. Files may be gzipped. ``dtype`` can only be float32, as in the original.
    """
    if dtype not in (None, "float32"):
        raise MXNetError(f"MNISTIter: dtype={dtype!r} is not supported, its data are float32")
    return open_mnist(
        image, label, batch_size=batch_size, shuffle=shuffle, flat=flat, seed=seed, silent=silent,
        num_parts=num_parts, part_index=part_index,
    )  # fmt: skip
