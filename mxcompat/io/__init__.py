"""``mx.io``: batches of data for training (public path of the original: ``mxnet.io``)."""

from mxcompat.io import io, utils
from mxcompat.io.io import *  # noqa: F403
from mxcompat.io.utils import _getdata_by_idx, _has_instance, _init_data

__all__ = [*io.__all__, "_getdata_by_idx", "_has_instance", "_init_data", "io", "utils"]  # noqa: PLE0604
