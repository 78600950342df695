"""``mx.test_utils``: comparing arrays, checking symbols, random data (public path: ``mxnet.test_utils``).

Compat: ``from mxnet.test_utils import *`` also gives what the original's file imports, such as ``np``, ``mx`` and
``rnd``: tests rely on it. ``ss`` is ``scipy.stats``, or None without SciPy.
"""

import bz2
import errno
import gzip
import json
import logging
import numbers
import os
import platform
import struct
import sys
import time
import traceback
import zipfile
from collections import OrderedDict
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.testing as npt
from numpy import random as rnd

import mxcompat as mx
from mxcompat.context import Context, current_context
from mxcompat.ndarray import array
from mxcompat.runtime import Features
from mxcompat.symbol import Symbol
from mxcompat.test_utils import arrays as _arrays
from mxcompat.test_utils import compare as _compare
from mxcompat.test_utils import consistency as _consistency
from mxcompat.test_utils import data as _data
from mxcompat.test_utils import defaults as _defaults
from mxcompat.test_utils import gradients as _gradients
from mxcompat.test_utils import machine as _machine
from mxcompat.test_utils import sparse_arrays as _sparse_arrays
from mxcompat.test_utils import statistics as _statistics
from mxcompat.test_utils.arrays import *  # noqa: F403
from mxcompat.test_utils.compare import *  # noqa: F403
from mxcompat.test_utils.consistency import *  # noqa: F403
from mxcompat.test_utils.data import *  # noqa: F403
from mxcompat.test_utils.defaults import *  # noqa: F403
from mxcompat.test_utils.gradients import *  # noqa: F403
from mxcompat.test_utils.machine import *  # noqa: F403
from mxcompat.test_utils.sparse_arrays import *  # noqa: F403
from mxcompat.test_utils.statistics import *  # noqa: F403
from mxcompat.util import get_cuda_compute_capability, getenv, setenv, use_np

__all__ = ["Context", "Features", "OrderedDict", "Symbol", "array", "bz2", "contextmanager", "current_context"]
__all__ += ["errno", "get_cuda_compute_capability", "getenv", "gzip", "json", "logging", "mx", "np", "npt", "numbers"]
__all__ += ["os", "platform", "rnd", "setenv", "ss", "struct", "sys", "time", "traceback", "use_np"]  # noqa: F405
__all__ += ["zipfile"]
for _part in (_arrays, _compare, _consistency, _data, _defaults, _gradients, _machine, _sparse_arrays, _statistics):
    __all__ += _part.__all__  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    if name == "ss":  # imported at first use: it takes a second
        try:
            import scipy.stats as value
        except ImportError:
            value = None
        globals()["ss"] = value
        return value
    raise AttributeError(f"module 'mxcompat.test_utils' has no attribute {name!r}")
