"""Features by name."""

from __future__ import annotations

import pytest
import torch

import mxcompat as mx
from tests import api_walk


def test_names_and_signatures() -> None:
    structure = "a C structure in the original, a plain class here"
    shown = "Python shows the class method's parameters in another way"
    api_walk.check(["mx.runtime"], {"mx.runtime.Feature.*": structure, "mx.runtime.Features.fromkeys": shown})


def test_features() -> None:
    features = mx.runtime.Features()
    assert features is mx.runtime.Features() is mx.runtime.Features.instance
    assert list(features)[:5] == ["CUDA", "CUDNN", "NCCL", "CUDA_RTC", "TENSORRT"] and len(features) == 32
    assert features.is_enabled("cuda") is torch.backends.cuda.is_built()
    assert features["PROFILER"].enabled and features["PROFILER"].name == "PROFILER"
    assert not features.is_enabled("DIST_KVSTORE")
    assert repr(features).endswith("✖ TVM_OP]") and "✔ PROFILER, " in repr(features)
    with pytest.raises(RuntimeError, match="Feature 'NO SUCH' is unknown, known features are: .'CUDA'"):
        features.is_enabled("no such")


def test_feature_list() -> None:
    assert [(f.name, f.enabled) for f in mx.runtime.feature_list()] == [
        (name, feature.enabled) for name, feature in mx.runtime.Features().items()
    ]
