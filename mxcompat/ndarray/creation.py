"""Arrays from values, and arrays on disk (what ``mxnet.ndarray.utils`` and parts of ``mxnet.ndarray.ndarray`` offer)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from mxcompat.base import MXNetError, numeric_types
from mxcompat.context import Context, current_context, torch_device
from mxcompat.dtype import as_numbers
from mxcompat.formats import arrays as array_format
from mxcompat.ndarray.dispatch import invoke
from mxcompat.ndarray.ndarray import NDArray, _from_record, _share_outside, _wrap
from mxcompat.ndarray.records import record_of
from mxcompat.ndarray.sparse_array import BaseSparseNDArray, is_scipy_csr, sparse_copy, zeros_of
from mxcompat.ops import registry
from mxcompat.ops.dtypes import NAME_BY_TORCH, torch_dtype
from mxcompat.scope import is_np_shape

__all__ = ["arange", "array", "concatenate", "empty", "eye", "from_dlpack", "from_numpy", "full", "histogram"]
__all__ += ["linspace", "load", "load_frombuffer", "moveaxis", "ones", "onehot_encode", "save", "split_v2"]
__all__ += ["to_dlpack_for_read", "to_dlpack_for_write", "zeros"]


def _shape(shape: Any) -> tuple[int, ...]:
    if isinstance(shape, (int, np.integer)):
        return (int(shape),)
    return tuple(int(dim) for dim in shape)


def _check_sizes(shape: tuple[int, ...]) -> None:
    least = 0 if is_np_shape() else 1
    if not (shape or is_np_shape()) or any(dim < least for dim in shape):
        raise MXNetError(f"shape : {shape}: every size must be {'at least 0' if is_np_shape() else 'positive'}")


def _filled(name: str, shape: Any, ctx: Any, dtype: Any, out: Any = None) -> NDArray:
    shape = _shape(shape)
    _check_sizes(shape)
    params = {"shape": shape, "ctx": ctx, "dtype": NAME_BY_TORCH[torch_dtype(dtype or "float32")]}
    return invoke(registry.get(name), (), params, out)


def zeros(shape: Any, ctx: Any = None, dtype: Any = None, stype: str | None = None, **kwargs: Any) -> NDArray:
    """An array of zeros; ``shape`` is a tuple or an int. ``stype`` 'csr' or 'row_sparse' makes a sparse one."""
    if stype not in (None, "default"):
        return zeros_of(stype, _shape(shape), ctx, dtype)
    return _filled("_zeros", shape, ctx, dtype, kwargs.get("out"))


def ones(shape: Any, ctx: Any = None, dtype: Any = None, **kwargs: Any) -> NDArray:
    """An array of ones; ``shape`` is a tuple or an int."""
    out = kwargs.get("out")
    if out is not None and not isinstance(out, NDArray):
        raise TypeError(f"ones: out has type {type(out)}, expected NDArray")
    return _filled("_ones", shape, ctx, dtype, out)


def full(shape: Any, val: float, ctx: Any = None, dtype: Any = np.float32, out: NDArray | None = None) -> NDArray:
    """An array filled with ``val``."""
    if out is None:
        _check_sizes(_shape(shape))
    result = empty(shape, ctx, dtype) if out is None else out
    result[:] = val
    return result


def empty(shape: Any, ctx: Any = None, dtype: Any = None, stype: str | None = None) -> NDArray:
    """A new array without meaningful content (zeros here)."""
    if stype not in (None, "default"):
        return zeros_of(stype, _shape(shape), ctx, dtype)
    context = ctx or current_context()
    return _wrap(
        torch.zeros(_shape(shape), dtype=torch_dtype(dtype or "float32"), device=torch_device(context)), context
    )


def array(source_array: Any, ctx: Context | None = None, dtype: Any = None) -> NDArray:
    """An array from numbers, nested lists, numpy or NDArray.

    The type is float32 unless ``dtype`` says otherwise or the source is an NDArray; ``TypeError`` for other sources.
    Sparse sources, scipy's csr matrices among them, give sparse arrays.
    """
    context = ctx or current_context()
    if isinstance(source_array, BaseSparseNDArray) or is_scipy_csr(source_array):
        return sparse_copy(source_array, context, dtype)
    if isinstance(source_array, NDArray):
        wanted = torch_dtype(dtype) if dtype is not None else source_array._data.dtype
        data = source_array._data.to(torch_device(context), wanted, copy=True)
        return _wrap(data.contiguous(), context)
    wanted = torch_dtype(dtype if dtype is not None else "float32")
    try:
        if isinstance(source_array, (list, tuple)) and any(isinstance(x, NDArray) for x in source_array):
            source_array = [x.asnumpy() if isinstance(x, NDArray) else x for x in source_array]
        values = as_numbers(np.asarray(source_array), NAME_BY_TORCH[wanted])
        if not values.flags.writeable or not values.flags.c_contiguous or values.dtype.byteorder == ">":
            values = np.array(values, dtype=values.dtype.newbyteorder("="))  # keeps 0-d, unlike ascontiguousarray
        if values.dtype.kind == "u" and values.dtype.itemsize > 1:
            values = values.astype(np.int64)
        tensor = torch.as_tensor(values)
    except (TypeError, ValueError):
        raise TypeError(f"source_array must be array like object, found {type(source_array)}") from None
    return _wrap(tensor.to(torch_device(context), wanted, copy=True), context)


def arange(
    start: float,
    stop: float | None = None,
    step: float = 1.0,
    repeat: int = 1,
    infer_range: bool | None = None,
    ctx: Any = None,
    dtype: Any = np.float32,
) -> NDArray:
    """Evenly spaced values in ``[start, stop)``, each ``repeat`` times; float32 by default."""
    if stop is None:
        start, stop = 0, start
    params = {"start": start, "stop": stop, "step": step, "repeat": repeat, "ctx": ctx, "dtype": _dtype_text(dtype)}
    return invoke(registry.get("_arange"), (), params)


def linspace(
    start: float, stop: float, num: int, endpoint: bool = True, ctx: Any = None, dtype: Any = np.float32
) -> NDArray:
    """``num`` evenly spaced values from ``start`` to ``stop``."""
    params = {"start": start, "stop": stop, "num": num, "endpoint": endpoint, "ctx": ctx, "dtype": _dtype_text(dtype)}
    return invoke(registry.get("_linspace"), (), params)


def eye(N: int, M: int = 0, k: int = 0, ctx: Any = None, dtype: Any = None, **kwargs: Any) -> NDArray:  # noqa: N803
    """A matrix with ones on its k-th diagonal."""
    params = {"N": N, "M": M, "k": k, "ctx": ctx, "dtype": _dtype_text(dtype)}
    return invoke(registry.get("_eye"), (), params, kwargs.get("out"))


def _dtype_text(dtype: Any) -> str:
    return NAME_BY_TORCH[torch_dtype("float32" if dtype is None else dtype)]


def moveaxis(tensor: NDArray, source: Any, destination: Any) -> NDArray:
    """The array with axes moved to new places, the others in their order."""
    sources = [source] if isinstance(source, int) else list(source)
    targets = [destination] if isinstance(destination, int) else list(destination)
    if len(sources) != len(targets):
        raise ValueError(f"moveaxis: source has {len(sources)} axes, destination {len(targets)}")
    for axis in (*sources, *targets):
        if not -tensor.ndim <= axis < tensor.ndim:
            raise ValueError(f"moveaxis: axis {axis} is out of bounds for array of dimension {tensor.ndim}")
    sources, targets = ([axis % tensor.ndim for axis in axes] for axes in (sources, targets))
    if len(set(sources)) != len(sources) or len(set(targets)) != len(targets):
        raise ValueError("moveaxis: an axis is repeated")
    order = [axis for axis in range(tensor.ndim) if axis not in sources]
    for target, origin in sorted(zip(targets, sources)):
        order.insert(target, origin)
    return tensor.transpose(order)


def concatenate(arrays: Sequence[NDArray], axis: int = 0, always_copy: bool = True) -> NDArray:
    """The arrays joined along an axis; a single array is returned itself unless ``always_copy``."""
    if not isinstance(arrays, (list, tuple)) or not arrays:
        raise ValueError("concatenate: expected a non-empty list of NDArrays")
    if not all(isinstance(x, NDArray) for x in arrays):
        raise TypeError("concatenate: expected NDArrays")
    if len(arrays) == 1 and not always_copy:
        return arrays[0]
    return invoke(registry.get("Concat"), arrays, {"num_args": len(arrays), "dim": axis})


def onehot_encode(indices: NDArray, out: NDArray) -> NDArray:
    """Write rows with a one at each index into ``out`` (N, depth)."""
    return invoke(registry.get("_onehot_encode"), (indices, out), {}, out)


def split_v2(ary: NDArray, indices_or_sections: Any, axis: int = 0, squeeze_axis: bool = False) -> Any:
    """Sub-arrays along an axis: that many equal parts, or parts ending at the given indices."""
    params: dict[str, Any] = {"axis": axis, "squeeze_axis": squeeze_axis}
    if isinstance(indices_or_sections, int):
        if ary.shape[axis] % indices_or_sections:
            raise ValueError("array split does not result in an equal division")
        params["indices"] = [i * ary.shape[axis] // indices_or_sections for i in range(indices_or_sections)]
        params["sections"] = indices_or_sections
    elif isinstance(indices_or_sections, (tuple, list)):
        params["indices"] = [0, *indices_or_sections]
    else:
        raise ValueError("indices_or_sections must be either int, or tuple / list of ints")
    return invoke(registry.get("_split_v2"), (ary,), params)


def histogram(a: NDArray, bins: Any = 10, range: Any = None) -> Any:  # noqa: A002
    """How many elements lie between successive edges, and the edges: (n,) and (n + 1,).

    ``bins`` are the edges (NDArray), or their number; without a ``range`` the latter are NumPy's, counts in float32.
    ``ValueError`` for other ``bins``.
    """
    if isinstance(bins, NDArray):
        return invoke(registry.get("_histogram"), (a, bins), {})
    if not isinstance(bins, int):
        raise ValueError("bins argument should be either an integer or an NDArray")
    if range is None:
        counts, edges = np.histogram(a.asnumpy(), bins=bins)
        return array(counts), array(edges)
    return invoke(registry.get("_histogram"), (a,), {"bin_cnt": bins, "range": range})


def from_numpy(ndarray: np.ndarray, zero_copy: bool = True, array_cls: type = NDArray) -> NDArray:
    """An array on the memory of ``ndarray`` (which becomes read-only), or a copy.

    ``ValueError`` for an array that is not contiguous, ``MXNetError`` for another ``array_cls`` than NDArray.
    """
    if array_cls is not NDArray:
        raise MXNetError(f"from_numpy: array_cls is {array_cls}, expected NDArray")
    if not zero_copy:
        return array(ndarray, dtype=ndarray.dtype)
    if not ndarray.flags["C_CONTIGUOUS"]:
        raise ValueError("Only c-contiguous arrays are supported for zero-copy")
    tensor = torch.from_numpy(ndarray)
    ndarray.flags["WRITEABLE"] = False
    _share_outside(tensor)
    return _wrap(tensor, Context("cpu", 0))


def from_dlpack(dlpack: Any) -> NDArray:
    """An array on the memory of a DLPack capsule or of an object with ``__dlpack__``."""
    tensor = torch.from_dlpack(dlpack)
    _share_outside(tensor)
    kind = "gpu" if tensor.device.type == "cuda" else "cpu"
    return _wrap(tensor if tensor.is_contiguous() else tensor.contiguous(), Context(kind, tensor.device.index or 0))


def to_dlpack_for_read(data: NDArray) -> Any:
    """A DLPack capsule on the array's memory."""
    return data.to_dlpack_for_read()


def to_dlpack_for_write(data: NDArray) -> Any:
    """A DLPack capsule on the array's memory."""
    return data.to_dlpack_for_write()


# -- files ----------------------------------------------------------------------------------------------------------


def save(fname: str | os.PathLike, data: Any) -> None:
    """Write one array, a list, or a dict of arrays in the original's binary form; the file appears whole or not at all.

    ``TypeError`` for anything else.
    """
    names: list[str] = []
    if isinstance(data, NDArray):
        data = [data]
    if isinstance(data, dict):
        for name in data:
            if not isinstance(name, str):
                raise TypeError("save only accept dict str->NDArray or list of NDArray")
        names, data = list(data), list(data.values())
    if not isinstance(data, (list, tuple)):
        raise ValueError(
            f"data needs to either be a NDArray, dict of str, NDArray pairs or a list of NDarrays, found {type(data)}"
        )
    if not all(isinstance(x, NDArray) for x in data):
        raise TypeError("save only accept dict str->NDArray or list of NDArray")
    array_format.save(os.fspath(fname), [record_of(x) for x in data], names)


def _named(records: Sequence[Any], names: Sequence[str], source: str) -> Any:
    arrays = []
    for number, record in enumerate(records):
        try:
            arrays.append(_from_record(record))
        except MXNetError as error:
            what = repr(names[number]) if names else number
            raise MXNetError(f"{source}: array {what}: {error}") from None
    return dict(zip(names, arrays)) if names else arrays


def load(fname: str | os.PathLike) -> Any:
    """The list or dict of arrays in a file; ``MXNetError`` naming file and place when it is damaged."""
    if not isinstance(fname, (str, os.PathLike)):
        raise TypeError("fname required to be a string")
    return _named(*array_format.load(os.fspath(fname)), os.fspath(fname))


def load_frombuffer(buf: Any) -> Any:
    """Like ``load``, from the bytes of a file."""
    if not isinstance(buf, (str, bytes, bytearray, memoryview)):
        raise TypeError("buf required to be a string or bytes")
    return _named(*array_format.loads(buf.encode() if isinstance(buf, str) else bytes(buf)), "<buffer>")


def is_number(value: Any) -> bool:
    """Whether ``value`` is a Python or numpy number."""
    return isinstance(value, numeric_types)
