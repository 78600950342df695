"""``mx.io``: batches of data for training (public path of the original: ``mxnet.io``)."""

from mxcompat.io import io, utils
from mxcompat.io.io import DataBatch, DataDesc, DataIter, NDArrayIter, PrefetchingIter, ResizeIter
from mxcompat.io.utils import _getdata_by_idx, _has_instance, _init_data

__all__ = ["DataBatch", "DataDesc", "DataIter", "NDArrayIter", "PrefetchingIter", "ResizeIter", "io", "utils"]
__all__ += ["_getdata_by_idx", "_has_instance", "_init_data"]
