"""Custom operators in Python (public path: ``mxnet.operator``).

A ``CustomOpProp`` says names, shapes and types; its ``create_operator`` makes the ``CustomOp`` whose ``forward`` and
``backward`` get NDArrays and write results with ``assign``. One instance is made for each node of each bound executor.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from mxcompat import symbol
from mxcompat.base import MXNetError
from mxcompat.context import Context
from mxcompat.ndarray import NDArray
from mxcompat.ndarray.ndarray import _wrap
from mxcompat.ops import custom, registry
from mxcompat.ops.dtypes import NUMPY_BY_TORCH, torch_dtype
from mxcompat.scope import STATE

__all__ = ["CustomOp", "CustomOpProp", "NDArrayOp", "NumpyOp", "PythonOp", "get_all_registered_operators"]
__all__ += ["get_operator_arguments", "register"]

OperatorArguments = namedtuple("OperatorArguments", ["narg", "names", "types"])

_classes: dict[str, type[CustomOpProp]] = {}


class CustomOp:
    """The computation of a custom operator."""

    def forward(self, is_train: bool, req: list[str], in_data: list, out_data: list, aux: list) -> None:
        """Compute ``out_data`` from ``in_data``; write with ``assign``."""
        raise TypeError(f"{type(self).__name__} must define forward")

    def backward(self, req: list[str], out_grad: list, in_data: list, out_data: list, in_grad: list, aux: list) -> None:
        """Compute ``in_grad`` from ``out_grad``; write with ``assign``."""
        raise TypeError(f"{type(self).__name__} must define backward")

    def assign(self, dst: NDArray, req: str, src: Any) -> None:
        """Write ``src`` into ``dst`` as ``req`` says: null, write, inplace or add."""
        if req in ("write", "inplace"):
            dst[:] = src
        elif req == "add":
            dst[:] += src
        elif req != "null":
            raise ValueError(f"req {req!r} is not one of 'null', 'write', 'inplace', 'add'")


class CustomOpProp:
    """Names, shapes and types of a custom operator.

    ``need_top_grad`` False marks a loss: backward needs no head gradient. Keyword arguments always arrive as text.
    """

    def __init__(self, need_top_grad: bool = True):
        self.need_top_grad_ = need_top_grad

    def infer_shape(self, in_shape: list) -> tuple:
        """``(in_shape, out_shape, aux_shape)``; by default every output has the shape of the first input."""
        return in_shape, (in_shape[0],) * len(self.list_outputs()), ()

    def infer_type(self, in_type: list) -> tuple:
        """``(in_type, out_type, aux_type)``; by default all are the type of the first input."""
        first = in_type[0]
        return in_type, [first] * len(self.list_outputs()), [first] * len(self.list_auxiliary_states())

    def list_arguments(self) -> list[str]:
        """Names of the inputs."""
        return ["data"]

    def list_outputs(self) -> list[str]:
        """Names of the outputs."""
        return ["output"]

    def list_auxiliary_states(self) -> list[str]:
        """Names of the auxiliary states."""
        return []

    def declare_backward_dependency(self, out_grad: list, in_data: list, out_data: list) -> list:
        """What backward reads; accepted, everything is kept here."""
        return [*(out_grad if self.need_top_grad_ else []), *in_data, *out_data]

    def create_operator(self, ctx: Context, in_shapes: list, in_dtypes: list) -> CustomOp:
        """The instance that computes."""
        return CustomOp()


def register(reg_name: str) -> Callable[[type], type]:
    """Decorator that makes a ``CustomOpProp`` reachable as ``op_type=reg_name``; a taken name is replaced."""

    def do_register(prop_cls: type) -> type:
        if not issubclass(prop_cls, CustomOpProp):
            raise TypeError(f"{prop_cls} is no CustomOpProp")
        _classes[reg_name] = prop_cls
        custom.forget(reg_name)
        return prop_cls

    return do_register


def _callback(function: Callable, *args: Any, **kwargs: Any) -> Any:
    """Call the user's code outside any recording; its exceptions are marked, so that they pass as they are."""
    recording, STATE.recording = STATE.recording, False
    try:
        return function(*args, **kwargs)
    except Exception as error:
        error.mx_callback = True  # type: ignore[attr-defined]
        raise
    finally:
        STATE.recording = recording


def _context_of(tensor: torch.Tensor) -> Context:
    return Context("gpu", tensor.device.index or 0) if tensor.device.type == "cuda" else Context("cpu", 0)


class _Property:
    """A user's property in the terms of ``mxcompat.ops.custom``."""

    def __init__(self, op_type: str, given: dict[str, str]):
        if op_type not in _classes:
            raise MXNetError(f"op_type {op_type!r} is not registered (known: {', '.join(sorted(_classes)) or 'none'})")
        self.op_type = op_type
        self._prop = _callback(_classes[op_type], **given)
        self.arguments = list(self._prop.list_arguments())
        self.outputs = list(self._prop.list_outputs())
        self.aux = list(self._prop.list_auxiliary_states())
        self.needs_head = self._prop.need_top_grad_

    def infer_shape(self, shapes: list) -> tuple[list, list, list]:
        found = _callback(self._prop.infer_shape, shapes)
        if len(found) == 2:
            found = (*found, [])
        if len(found) != 3:
            raise MXNetError(f"infer_shape of {self.op_type} must return 2 or 3 lists, got {len(found)}")
        return tuple([tuple(int(dim) for dim in shape) for shape in group] for group in found)  # type: ignore[return-value]

    def infer_type(self, types: list) -> tuple[list, list, list]:
        found = _callback(self._prop.infer_type, [NUMPY_BY_TORCH[t] for t in types])
        if len(found) == 2:
            found = (*found, [found[0][0]] * len(self.aux))
        return tuple([torch_dtype(t) for t in group] for group in found)  # type: ignore[return-value]

    def create(self, tensors: Sequence[torch.Tensor]) -> CustomOp:
        arguments = tensors[: len(self.arguments)]
        shapes = [list(t.shape) for t in arguments]
        dtypes = [NUMPY_BY_TORCH[t.dtype] for t in arguments]
        context = _context_of(tensors[0]) if tensors else Context("cpu", 0)
        with context:
            return _callback(self._prop.create_operator, context, shapes, dtypes)

    def _split(self, tensors: Sequence[torch.Tensor]) -> tuple[list[NDArray], list[NDArray]]:
        arrays = [_wrap(t, _context_of(t)) for t in tensors]
        return arrays[: len(self.arguments)], arrays[len(self.arguments) :]

    def forward(self, instance: CustomOp, is_train: bool, tensors: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        in_data, aux = self._split(tensors)
        _, shapes, _ = self.infer_shape([list(array.shape) for array in in_data])
        _, types, _ = self.infer_type([array._data.dtype for array in in_data])
        context = in_data[0].context if in_data else Context("cpu", 0)
        device = in_data[0]._data.device if in_data else torch.device("cpu")
        out_data = [_wrap(torch.zeros(s, dtype=t, device=device), context) for s, t in zip(shapes, types)]
        _callback(
            instance.forward,
            is_train=is_train,
            req=["write"] * len(out_data),
            in_data=in_data,
            out_data=out_data,
            aux=aux,
        )
        return tuple(array._data for array in out_data)

    def backward(self, instance: CustomOp, heads: Any, inputs: Any, outputs: Any, wanted: Sequence[bool]) -> list:
        in_data, aux = self._split(inputs)
        in_grad = [_wrap(torch.zeros_like(array._data), array.context) for array in in_data]
        context = in_data[0].context if in_data else Context("cpu", 0)
        _callback(
            instance.backward,
            req=["write" if want else "null" for want in wanted],
            out_grad=[_wrap(head.contiguous(), context) for head in heads],
            in_data=in_data,
            out_data=[_wrap(tensor, context) for tensor in outputs],
            in_grad=in_grad,
            aux=aux,
        )
        return [array._data if want else None for array, want in zip(in_grad, wanted)]


class PythonOp:
    """Base of the operators of old: an object with ``forward``, ``backward`` and ``get_symbol``."""

    def __init__(self, need_top_grad: bool = True):
        self.need_top_grad_ = need_top_grad

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.get_symbol(*args, **kwargs)

    def forward(self, in_data: list, out_data: list) -> None:
        """Compute ``out_data``; by default a copy of the first input."""
        out_data[0][:] = in_data[0]

    def backward(self, out_grad: list, in_data: list, out_data: list, in_grad: list) -> None:
        """Compute ``in_grad``; by default ones."""
        in_grad[0][:] = 1.0

    def infer_shape(self, in_shape: list) -> tuple:
        """``(in_shape, out_shape)``; by default the output has the shape of the first input."""
        return in_shape, [in_shape[0]]

    def list_outputs(self) -> list[str]:
        """Names of the outputs."""
        return ["output"]

    def list_arguments(self) -> list[str]:
        """Names of the inputs."""
        return ["data"]

    def need_top_grad(self) -> bool:
        """Whether backward needs head gradients."""
        return self.need_top_grad_

    def _run_forward(self, in_data: list, out_data: list) -> None:
        raise TypeError("use NumpyOp or NDArrayOp")

    def _run_backward(self, out_grad: list, in_data: list, out_data: list, in_grad: list) -> None:
        raise TypeError("use NumpyOp or NDArrayOp")

    def get_symbol(self, *args: Any, **kwargs: Any) -> Any:
        """The symbol that applies this object to symbols."""
        name = f"_python_op_{id(self)}"
        _classes[name] = _property_of(self)
        custom.forget(name)
        return symbol.Custom(*args, op_type=name, **kwargs)


def _property_of(op: PythonOp) -> type[CustomOpProp]:
    class Operator(CustomOp):
        def forward(self, is_train: Any, req: Any, in_data: Any, out_data: Any, aux: Any) -> None:
            op._run_forward(in_data, out_data)

        def backward(self, req: Any, out_grad: Any, in_data: Any, out_data: Any, in_grad: Any, aux: Any) -> None:
            op._run_backward(out_grad, in_data, out_data, in_grad)

    class Property(CustomOpProp):
        def __init__(self) -> None:
            super().__init__(op.need_top_grad())

        def list_arguments(self) -> list[str]:
            return op.list_arguments()

        def list_outputs(self) -> list[str]:
            return op.list_outputs()

        def infer_shape(self, in_shape: list) -> tuple:
            return (*op.infer_shape(in_shape), [])

        def create_operator(self, ctx: Any, in_shapes: Any, in_dtypes: Any) -> CustomOp:
            return Operator()

    return Property


class NDArrayOp(PythonOp):
    """An operator of old whose callbacks get NDArrays."""

    def _run_forward(self, in_data: list, out_data: list) -> None:
        self.forward(in_data=in_data, out_data=out_data)

    def _run_backward(self, out_grad: list, in_data: list, out_data: list, in_grad: list) -> None:
        self.backward(out_grad=out_grad, in_data=in_data, out_data=out_data, in_grad=in_grad)

    def declare_backward_dependency(self, out_grad: list, in_data: list, out_data: list) -> list:
        """What backward reads; accepted, everything is kept here."""
        return [*(out_grad if self.need_top_grad() else []), *in_data, *out_data]


class NumpyOp(PythonOp):
    """An operator of old whose callbacks get numpy arrays and write into them."""

    def _with_numpy(self, function: Callable, written: list, read: dict[str, list]) -> None:
        copies = {key: [np.array(array.asnumpy()) for array in arrays] for key, arrays in read.items()}
        results = [array.asnumpy() for array in written]
        function(results, copies)
        for array, result in zip(written, results):
            array[:] = result

    def _run_forward(self, in_data: list, out_data: list) -> None:
        self._with_numpy(lambda out, given: self.forward(out_data=out, **given), out_data, {"in_data": in_data})

    def _run_backward(self, out_grad: list, in_data: list, out_data: list, in_grad: list) -> None:
        given = {"out_grad": out_grad, "in_data": in_data, "out_data": out_data}
        self._with_numpy(lambda grads, arrays: self.backward(in_grad=grads, **arrays), in_grad, given)


def get_all_registered_operators() -> list[str]:
    """Names and aliases of all operators."""
    return registry.names()


def get_operator_arguments(op_name: str) -> Any:
    """``(narg, names, types)`` of an operator's inputs and parameters; ``MXNetError`` for an unknown one."""
    op = registry.get(op_name)
    names = [*op.inputs, *op.params]
    types = ["NDArray-or-Symbol"] * len(op.inputs) + [param.kind.text for param in op.params.values()]
    return OperatorArguments(len(names), names, types)


custom.install_factory(_Property)
