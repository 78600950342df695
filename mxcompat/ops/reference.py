"""The names of the original's operators, and which of these are left out for good, and why."""

import functools
import importlib.resources
import json
from collections.abc import Iterable

__all__ = ["excluded", "registered_names", "why_excluded"]

#: reason -> registry names
_EXCLUDED: dict[str, tuple[str, ...]] = {
    "graph sampling belongs to DGL, which has a PyTorch backend": (
        "_contrib_dgl_adjacency",
        "_contrib_dgl_csr_neighbor_non_uniform_sample",
        "_contrib_dgl_csr_neighbor_uniform_sample",
        "_contrib_dgl_graph_compact",
        "_contrib_dgl_subgraph",
    ),
    "it only occurs in graphs that the original rewrote for one of its backends; use the symbol from before that": (
        "_TensorRT",
        "_sg_mkldnn_conv",
        "_sg_mkldnn_fully_connected",
        "_sg_mkldnn_selfatt_qk",
        "_sg_mkldnn_selfatt_valatt",
    ),
    "intgemm kernels exist in special builds of the original only": (
        "_contrib_intgemm_fully_connected",
        "_contrib_intgemm_maxabsolute",
        "_contrib_intgemm_prepare_data",
        "_contrib_intgemm_prepare_weight",
        "_contrib_intgemm_take_weight",
    ),
    "TVM kernels exist in special builds of the original only": ("_contrib_tvm_dot", "_contrib_tvm_vadd"),
    "the original uses it inside its backward pass; here autograd computes gradients": (
        "_NoGradient",
        "_broadcast_backward",
        "_contrib_backward_hawkesll",
        "_contrib_backward_index_copy",
        "_contrib_backward_quadratic",
        "_split_v2_backward",
    ),
    "it is part of Gluon, which is not supported; port blocks to torch.nn": ("_CachedOp", "_CachedOpThreadSafe"),
    "subclass mx.autograd.Function instead": ("_CustomFunction",),
    "use mx.image.imdecode": ("_imdecode",),
}
_REASONS = {name: reason for reason, names in _EXCLUDED.items() for name in names}


def excluded() -> Iterable[str]:
    """The registry names of the operators that are left out."""
    return _REASONS


def why_excluded(name: str) -> str:
    """Why the operator of that registry name is left out; empty when it is not."""
    return _REASONS.get(name, "")


@functools.cache
def registered_names() -> dict[str, list[str]]:
    """Every operator of the original (1.9.1, built for the CPU): registry name -> aliases."""
    text = importlib.resources.files("mxcompat.ops").joinpath("reference.json").read_text(encoding="utf-8")
    return json.loads(text)
