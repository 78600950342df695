"""What the library underneath can do (public path: ``mxnet.runtime``)."""

from __future__ import annotations

import functools
import importlib.util
import platform
from collections import OrderedDict

__all__ = ["Feature", "Features", "feature_list"]


class Feature:
    """One feature: its ``name``, and whether it is ``enabled``."""

    def __init__(self, name: str, enabled: bool):
        self._name, self._enabled = name, enabled

    @property
    def name(self) -> str:
        """The feature's name, in capitals."""
        return self._name

    @property
    def enabled(self) -> bool:
        """Whether it is there."""
        return self._enabled

    def __repr__(self) -> str:
        return f"{'✔' if self._enabled else '✖'} {self._name}"


@functools.cache
def _features() -> dict[str, bool]:
    import torch

    config = torch.__config__.show()
    x86 = platform.machine().lower() in ("x86_64", "amd64")
    # torch picks its kernels by the same levels; below AVX2 it uses what every x86-64 processor has
    avx2 = x86 and torch.backends.cpu.get_cpu_capability() != "DEFAULT"
    return {
        "CUDA": torch.backends.cuda.is_built(),
        "CUDNN": torch.backends.cudnn.is_available(),
        "NCCL": torch.distributed.is_available() and torch.distributed.is_nccl_available(),
        "CUDA_RTC": False,
        "TENSORRT": False,
        "CPU_SSE": x86,
        "CPU_SSE2": x86,
        "CPU_SSE3": avx2,
        "CPU_SSE4_1": avx2,
        "CPU_SSE4_2": avx2,
        "CPU_SSE4A": False,
        "CPU_AVX": avx2,
        "CPU_AVX2": avx2,
        "OPENMP": torch.backends.openmp.is_available(),
        "SSE": False,
        "F16C": avx2,
        "JEMALLOC": False,
        "BLAS_OPEN": "BLAS_INFO=open" in config,
        "BLAS_ATLAS": "BLAS_INFO=atlas" in config,
        "BLAS_MKL": torch.backends.mkl.is_available(),
        "BLAS_APPLE": "BLAS_INFO=accelerate" in config,
        "LAPACK": torch._C.has_lapack,
        "MKLDNN": torch.backends.mkldnn.is_available(),
        "OPENCV": importlib.util.find_spec("cv2") is not None,
        "CAFFE": False,
        "PROFILER": True,
        "DIST_KVSTORE": False,
        "CXX14": False,
        "INT64_TENSOR_SIZE": True,
        "SIGNAL_HANDLER": False,
        "DEBUG": False,
        "TVM_OP": False,
    }


def feature_list() -> list[Feature]:
    """The original's features in its order, each with whether PyTorch (or mxcompat) has it here."""
    return [Feature(name, enabled) for name, enabled in _features().items()]


class Features(OrderedDict):
    """The features by name; there is one object of this class."""

    instance: Features | None = None

    def __new__(cls) -> Features:
        if cls.instance is None:
            cls.instance = super().__new__(cls)
            cls.instance.update((feature.name, feature) for feature in feature_list())
        return cls.instance

    def __repr__(self) -> str:
        return str(list(self.values()))

    def is_enabled(self, feature_name: str) -> bool:
        """Whether a feature is there, by its name in any case; ``RuntimeError`` for an unknown name."""
        name = feature_name.upper()
        if name not in self:
            raise RuntimeError(f"Feature '{name}' is unknown, known features are: {list(self)}")
        return self[name].enabled
