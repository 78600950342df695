"""``mx.io``: batches of data for training (public path of the original: ``mxnet.io``)."""

from mxcompat.io import io, utils
from mxcompat.io.io import (
    CSVIter,
    DataBatch,
    DataDesc,
    DataIter,
    MNISTIter,
    MXDataIter,
    NDArrayIter,
    PrefetchingIter,
    ResizeIter,
)
from mxcompat.io.utils import _getdata_by_idx, _has_instance, _init_data

__all__ = ["CSVIter", "DataBatch", "DataDesc", "DataIter", "MNISTIter", "MXDataIter", "NDArrayIter", "PrefetchingIter"]
__all__ += ["ResizeIter", "_getdata_by_idx", "_has_instance", "_init_data", "io", "utils"]
