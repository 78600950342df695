"""Export to ONNX, by way of the module that ``mxcompat convert`` writes and ``torch.onnx``; verified before it is written."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mxcompat import ndarray as nd
from mxcompat import symbol as symbols

__all__ = ["export_model", "get_operator_support"]


def get_operator_support(opset_version: int | None = None) -> list[str]:
    """The names of the operators that can be exported, sorted; the same for every ``opset_version``."""
    from mxcompat.convert.lift import is_liftable
    from mxcompat.convert.translate import emitters
    from mxcompat.ops import registry

    return sorted(op.name for op in registry.operators() if op.name in emitters() or is_liftable(op))


def export_model(
    sym: Any,
    params: Any,
    in_shapes: Sequence[tuple] | None = None,
    in_types: Any = np.float32,
    onnx_file_path: str = "model.onnx",
    verbose: bool = False,
    dynamic: bool = False,
    dynamic_input_shapes: Sequence[tuple] | None = None,
    run_shape_inference: bool = False,
    input_type: Any = None,
    input_shape: Sequence[tuple] | None = None,
) -> str:
    """Write an ONNX file; its path is returned.

    ``sym`` and ``params`` are paths, or a Symbol and a dict of NDArrays or a list of two (arguments and auxiliary states;
    names may begin with ``arg:`` and ``aux:``). ``in_shapes`` and ``in_types`` follow the order of the symbol's inputs,
    labels aside; ``input_shape`` and ``input_type`` are their old names. With ``dynamic`` the sizes in
    ``dynamic_input_shapes`` that are no numbers stay open (of each input the first, when it is not given). The file always
    carries its inferred shapes, so ``run_shape_inference`` adds nothing; ``verbose`` prints how the outputs compare.

    Raises ``ImportError`` without the package onnx (extra ``mxcompat[onnx]``), ``ValueError`` for files that do not exist
    and arguments that are neither files nor objects, ``MXNetError`` naming node and operator for what cannot be exported,
    and where the outputs of the file differ from mxcompat's by more than 1e-4 of their largest value.
    """
    from mxcompat.convert import checkpoint, exports

    for package in ("onnx", "onnxscript"):
        if importlib.util.find_spec(package) is None:
            raise ImportError(f"ONNX export needs the package {package}: pip install 'mxcompat[onnx]'")
    symbol, arrays = _objects(sym, params)
    names = [name for name in symbol.list_inputs() if name not in arrays and not name.endswith("label")]
    shapes = input_shape if input_shape is not None else in_shapes
    types = input_type if input_type is not None else in_types
    if shapes is None or len(shapes) != len(names):
        raise ValueError(f"in_shapes={shapes}: expected one shape for each of the inputs {', '.join(names)}")
    kinds = list(types) if isinstance(types, (list, tuple)) else [types] * len(names)
    if len(kinds) != len(names):
        raise ValueError(f"in_types={types}: expected one type for each of the inputs {', '.join(names)}")
    given = dict(zip(names, map(tuple, shapes)))
    by_name = {name: np.dtype(kind).name for name, kind in zip(names, kinds)}
    found = checkpoint.make(symbol, arrays, given, "model", by_name)
    axes = _open_axes(names, dynamic_input_shapes) if dynamic else None
    path = os.fspath(onnx_file_path)
    written = path if path.endswith(".onnx") else f"{path}.onnx"
    result = exports.convert(found, "onnx", written, dynamic=axes)
    if written != path:
        os.replace(written, path)
    if verbose:
        for difference in result.differences:
            print(difference.text())
    return onnx_file_path


def _objects(symbol: Any, params: Any) -> tuple[Any, dict[str, Any]]:
    """The Symbol and its arrays by plain name."""
    if isinstance(symbol, str) and isinstance(params, str):
        for path in (symbol, params):
            if not os.path.isfile(path):
                raise ValueError(f"{path}: no such file")
        symbol, params = symbols.load(symbol), nd.load(params)
    elif isinstance(symbol, symbols.Symbol) and isinstance(params, (list, tuple)) and len(params) == 2:
        params = {**params[0], **params[1]}
    if not isinstance(symbol, symbols.Symbol) or not isinstance(params, Mapping):
        raise ValueError("sym and params must both be file names, or a Symbol and a dict (or two) of NDArrays")
    return symbol, {name.removeprefix("arg:").removeprefix("aux:"): array for name, array in params.items()}


def _open_axes(names: Sequence[str], shapes: Sequence[tuple] | None) -> dict[str, list[int]]:
    if shapes is None:
        return {name: [0] for name in names}
    if len(shapes) != len(names):
        raise ValueError(f"dynamic_input_shapes={shapes}: expected one shape for each of {', '.join(names)}")
    return {
        name: [axis for axis, size in enumerate(shape) if not isinstance(size, (int, np.integer))]
        for name, shape in zip(names, shapes)
    }
