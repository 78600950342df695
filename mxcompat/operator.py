"""Custom operators in Python (public path: ``mxnet.operator``).

A ``CustomOpProp`` says names, shapes and types; its ``create_operator`` makes the ``CustomOp`` whose ``forward`` and
``backward`` get NDArrays and write results with ``assign``. One property is made for each node of a symbol, one instance
for each node of each bound executor, and one of both for each imperative call.
"""

from __future__ import annotations

import ctypes
import itertools
import logging
import warnings
from collections import namedtuple
from collections.abc import Callable, Sequence
from typing import Any

import torch

from mxcompat import dtype as table
from mxcompat import symbol
from mxcompat.base import MXNetError, NDArrayHandle, is_callback_error, mark_callback_error, py_str
from mxcompat.context import Context
from mxcompat.ndarray.ndarray import NDArray, _wrap
from mxcompat.ops import custom, registry
from mxcompat.ops.dtypes import NAME_BY_TORCH, NUMPY_BY_TORCH, torch_dtype
from mxcompat.ops.schema import Enum, NoEffect, Optional, Param
from mxcompat.scope import STATE, WATCH

__all__ = ["CustomOp", "CustomOpProp", "NDArrayOp", "NumpyOp", "OperatorArguments", "PythonOp"]
__all__ += ["get_all_registered_operators", "get_operator_arguments", "register"]
__all__ += ["NDArray", "NDArrayHandle", "ctypes", "py_str", "symbol"]  # Compat: star imports of the original give these

OperatorArguments = namedtuple("OperatorArguments", ["narg", "names", "types"])


class CustomOp:
    """The computation of a custom operator."""

    def __init__(self) -> None:
        pass  # takes no arguments, as in the original

    def forward(self, is_train: bool, req: list[str], in_data: list, out_data: list, aux: list) -> None:
        """Compute ``out_data`` from ``in_data``; write with ``assign``."""

    def backward(self, req: list[str], out_grad: list, in_data: list, out_data: list, in_grad: list, aux: list) -> None:
        """Compute ``in_grad`` from ``out_grad``; write with ``assign``."""

    def assign(self, dst: NDArray, req: str, src: Any) -> None:
        """Write ``src`` into ``dst`` as ``req`` says: write, inplace or add; any other writes nothing."""
        if req in ("write", "inplace"):
            dst[:] = src
        elif req == "add":
            dst[:] += src


class CustomOpProp:
    """Names, shapes and types of a custom operator.

    ``need_top_grad`` False marks a loss: backward needs no head gradient. Keyword arguments always arrive as text.
    """

    def __init__(self, need_top_grad: bool = True):
        self.need_top_grad_ = need_top_grad

    def infer_shape(self, in_shape: list) -> tuple:
        """``(in_shape, out_shape)`` or ``(in_shape, out_shape, aux_shape)``; by default every output has the shape of the
        first input. An unknown size is -1, an unknown shape is empty."""
        return in_shape, (in_shape[0],) * len(self.list_outputs()), ()

    def infer_type(self, in_type: list) -> tuple:
        """``(in_type, out_type)`` or ``(in_type, out_type, aux_type)``; by default all outputs and states have the type of
        the first input. An unknown type is None."""
        first = in_type[0]
        return in_type, [first] * len(self.list_outputs()), [first] * len(self.list_auxiliary_states())

    def infer_storage_type(self, in_stype: list[str]) -> tuple:
        """``(in_stype, out_stype, aux_stype)``; only dense (``default``) is possible."""
        _require_dense(in_stype)
        outputs, aux = len(self.list_outputs()), len(self.list_auxiliary_states())
        return in_stype, ["default"] * outputs, ["default"] * aux

    def infer_storage_type_backward(
        self, ograd_stype: list, in_stype: list, out_stype: list, igrad_stype: list, aux_stype: list
    ) -> tuple:
        """The same five lists; only dense (``default``) is possible."""
        _require_dense([*ograd_stype, *(stype for stype in igrad_stype if stype != "undefined")])
        groups = (ograd_stype, in_stype, out_stype, igrad_stype, aux_stype)
        return tuple(["default"] * len(group) for group in groups)

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
        """What backward reads, of numbered arrays. Without any of ``out_grad`` the operator is a loss; the rest decides
        nothing here, backward always gets all arrays."""
        return [*(out_grad if self.need_top_grad_ else []), *in_data, *out_data]

    def create_operator(self, ctx: Context, in_shapes: list, in_dtypes: list) -> CustomOp:
        """The instance that computes. Shapes and types (as their numbers: 0 is float32) include the auxiliary states."""
        return CustomOp()


def _require_dense(stypes: Sequence[str]) -> None:
    for index, stype in enumerate(stypes):
        if stype != "default":
            raise AssertionError(f"storage type {index} is {stype!r}, expected 'default' (dense)")


_classes: dict[str, Callable[..., CustomOpProp]] = {}


def register(reg_name: str) -> Callable[[type], type]:
    """Decorator that makes a ``CustomOpProp`` reachable as ``op_type=reg_name``.

    A taken name is replaced: nodes made before keep the old class.
    """

    def do_register(prop_cls: type) -> type:
        if reg_name in _classes:
            logging.getLogger(__name__).info("the custom operator %s is registered anew", reg_name)
        _classes[reg_name] = prop_cls
        return prop_cls

    return do_register


register("custom_op")(CustomOpProp)


class _user_code:  # noqa: N801 - a scope
    """The scope of the callback ``name``: nothing is recorded, training mode as said, and its errors pass as they are."""

    def __init__(self, name: str, training: bool, context: Context):
        self._name, self._training, self._context = name, training, context

    def __enter__(self) -> None:
        self._watched = WATCH.callback(self._name) if WATCH.callback is not None else None
        if self._watched is not None:
            self._watched.__enter__()
        self._before = STATE.recording, STATE.training
        STATE.recording, STATE.training = False, self._training
        self._context.__enter__()

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        self._context.__exit__(kind, error, trace)
        STATE.recording, STATE.training = self._before
        if self._watched is not None:
            self._watched.__exit__(None, None, None)
        if error is not None and not is_callback_error(error):
            marked = mark_callback_error(error)
            if marked is not error:
                raise marked


class _Operation:
    """A user's ``CustomOp`` in the terms of ``mxcompat.ops.custom``."""

    def __init__(self, name: str, instance: CustomOp, context: Context):
        self._name, self._instance, self._context = name, instance, context

    def _arrays(self, tensors: Sequence[torch.Tensor]) -> list[NDArray]:
        return [_wrap(tensor, self._context) for tensor in tensors]

    def forward(self, is_train: bool, inputs: Any, outputs: Any, aux: Any) -> None:
        with _user_code(self._name, is_train, self._context):
            self._instance.forward(
                is_train=int(is_train),  # type: ignore[arg-type]  # Compat: the original passes a number
                req=["write"] * len(outputs),
                in_data=self._arrays(inputs),
                out_data=self._arrays(outputs),
                aux=self._arrays(aux),
            )

    def backward(self, wanted: Sequence[bool], heads: Any, inputs: Any, outputs: Any, gradients: Any, aux: Any) -> None:
        # Compat: a gradient that is added shows as "write" into an array of zeros; the executor adds it
        with _user_code(f"_backward_{self._name}", True, self._context):
            self._instance.backward(
                req=["write" if want else "null" for want in wanted],
                in_data=self._arrays(inputs),
                out_data=self._arrays(outputs),
                in_grad=self._arrays(gradients),
                out_grad=self._arrays(heads),
                aux=self._arrays(aux),
            )


class _Property:
    """A user's ``CustomOpProp`` in the terms of ``mxcompat.ops.custom``."""

    def __init__(self, name: str, prop: CustomOpProp):
        self.name, self._prop = name, prop
        self.arguments = tuple(prop.list_arguments())
        self.outputs = tuple(prop.list_outputs())
        self.aux = tuple(prop.list_auxiliary_states())
        self.needs_heads = self._reads_heads()

    def _reads_heads(self) -> bool:
        ids = iter(range(2 * len(self.outputs) + len(self.arguments)))
        heads, inputs, outputs = (
            list(itertools.islice(ids, len(names))) for names in (self.outputs, self.arguments, self.outputs)
        )
        return any(i < len(heads) for i in self._prop.declare_backward_dependency(heads, inputs, outputs))

    def infer_shape(self, shapes: list[list[int]]) -> tuple[list, list, list]:
        return self._three(self._prop.infer_shape(shapes), "infer_shape")

    def infer_type(self, types: list) -> tuple[list, list, list]:
        found = self._three(self._prop.infer_type([t and NUMPY_BY_TORCH[t] for t in types]), "infer_type")
        arguments, outputs, aux = ([None if t is None else torch_dtype(t) for t in group] for group in found)
        return arguments, outputs, aux

    @staticmethod
    def _three(groups: Any, method: str) -> tuple[list, list, list]:
        if len(groups) not in (2, 3):
            raise ValueError(f"{method} must return 2 or 3 lists, got {len(groups)}")
        arguments, outputs, aux = (*groups, []) if len(groups) == 2 else groups
        return list(arguments), list(outputs), list(aux)

    def create(self, context: Context, shapes: list[list[int]], types: list[torch.dtype]) -> _Operation:
        codes = [table.CODES[NAME_BY_TORCH[t]] for t in types]
        with _user_code(self.name, STATE.training, context):
            return _Operation(self.name, self._prop.create_operator(context, shapes, codes), context)


class PythonOp:
    """Base of the operators of old: an object with ``forward`` and ``backward`` that makes a symbol when it is called.

    ``need_top_grad`` False marks a loss: backward needs no head gradient.
    """

    _ref_holder: list[PythonOp] = []

    def __init__(self, need_top_grad: bool = True):
        self.info_: str | None = None
        self.need_top_grad_ = need_top_grad
        warnings.warn(f"{type(self).__name__}: operators of this kind are deprecated, use CustomOp", stacklevel=2)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.get_symbol(*args, **kwargs)

    def get_symbol(self, *args: Any, **kwargs: Any) -> Any:
        """The symbol that applies this object to symbols."""
        raise NotImplementedError("Must override this")

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

    def _register(self) -> str:
        """Keep the object for as long as the process lives; the text under which symbols refer to it."""
        if self.info_ is None:
            self.info_ = format(len(PythonOp._ref_holder), "x")
            PythonOp._ref_holder.append(self)
        return self.info_

    def _adapted(self, arrays: list[NDArray]) -> list:
        """The arrays as the callbacks of this class get them; what is written into them arrives."""
        return arrays


class NumpyOp(PythonOp):
    """An operator of old whose callbacks get numpy arrays, which are the arrays' own memory on the cpu."""

    def get_symbol(self, *args: Any, **kwargs: Any) -> Any:
        """The symbol that applies this object to symbols."""
        info = self._register()
        native: Callable[..., Any] = vars(symbol._internal)["_Native"]
        return native(*args, info=info, need_top_grad=self.need_top_grad(), **kwargs)

    def _adapted(self, arrays: list[NDArray]) -> list:
        return [array._data.cpu().numpy() for array in arrays]


class NDArrayOp(PythonOp):
    """An operator of old whose callbacks get NDArrays."""

    def get_symbol(self, *args: Any, **kwargs: Any) -> Any:
        """The symbol that applies this object to symbols."""
        ndarray: Callable[..., Any] = vars(symbol._internal)["_NDArray"]
        return ndarray(*args, info=self._register(), **kwargs)

    def declare_backward_dependency(self, out_grad: list, in_data: list, out_data: list) -> list:
        """What backward reads, of numbered arrays (see ``CustomOpProp.declare_backward_dependency``)."""
        return [*(out_grad if self.need_top_grad() else []), *in_data, *out_data]


class _PythonOperation(CustomOp):
    """Calls a ``PythonOp``."""

    def __init__(self, op: PythonOp):
        self._op = op

    def forward(self, is_train: bool, req: Any, in_data: Any, out_data: Any, aux: Any) -> None:
        written = self._op._adapted(out_data)
        self._op.forward(in_data=self._op._adapted(in_data), out_data=written)
        self._write_back(out_data, written)

    def backward(self, req: Any, out_grad: Any, in_data: Any, out_data: Any, in_grad: Any, aux: Any) -> None:
        written = self._op._adapted(in_grad)
        arrays = {"out_grad": out_grad, "in_data": in_data, "out_data": out_data}
        self._op.backward(in_grad=written, **{key: self._op._adapted(value) for key, value in arrays.items()})
        self._write_back(in_grad, written)

    @staticmethod
    def _write_back(arrays: list[NDArray], written: list) -> None:
        for array, source in zip(arrays, written):
            if array._data.is_cuda and source is not array:
                array[:] = source


class _PythonProp(CustomOpProp):
    """The property of a ``PythonOp``."""

    def __init__(self, op: PythonOp):
        super().__init__(op.need_top_grad())
        self._op = op
        self.list_arguments, self.list_outputs = op.list_arguments, op.list_outputs  # type: ignore[method-assign]
        self.infer_shape = op.infer_shape  # type: ignore[method-assign]
        if isinstance(op, NDArrayOp):
            self.declare_backward_dependency = op.declare_backward_dependency  # type: ignore[method-assign]

    def create_operator(self, ctx: Context, in_shapes: list, in_dtypes: list) -> CustomOp:
        return _PythonOperation(self._op)


def _make_property(operator: str, params: dict[str, Any]) -> _Property:
    """The property of one node or call (see ``mxcompat.ops.custom``)."""
    if operator != "Custom":
        number = int(params["info"], 16)
        if number >= len(PythonOp._ref_holder):
            raise MXNetError(f"{operator}: the object {params['info']} was made in another process")
        op = PythonOp._ref_holder[number]
        return _Property(type(op).__name__, _PythonProp(op))
    op_type = params.pop("op_type")
    if not op_type:
        raise MXNetError("Custom: Required argument `op_type` is missing.")
    if op_type not in _classes:
        raise MXNetError(f"Cannot find custom operator {op_type} (registered: {', '.join(sorted(_classes))})")
    return _Property(op_type, _classes[op_type](**params))


custom.install_properties(_make_property)


def get_all_registered_operators() -> list[str]:
    """Names and aliases of all operators."""
    return registry.names()


def get_operator_arguments(op_name: str) -> OperatorArguments:
    """``(narg, names, types)`` of an operator's inputs and parameters; ``MXNetError`` for an unknown one."""
    op = registry.get(op_name)
    names = [*op.inputs, *op.params]
    types = ["NDArray-or-Symbol" + "[]" * (op.variadic is not None)] * len(op.inputs)
    for param in op.params.values():
        types.append(_type_text(param))
    return OperatorArguments(len(names), names, types)


def _type_text(param: Param) -> str:
    """Type and default of a parameter as the original lists them."""
    kind, is_optional = param.kind, False
    while isinstance(kind, (NoEffect, Optional)):
        is_optional = is_optional or isinstance(kind, Optional)
        kind = kind.kind
    if isinstance(kind, Enum):
        text = ", ".join(["None"] * is_optional + [repr(value) for value in sorted(kind.values)])
        text = "{" + text + "}"
    else:
        text = {"Bool": "boolean", "Shape": "Shape(tuple)", "Float": "float"}.get(type(kind).__name__.strip("_"), kind.text)
        text += " or None" * is_optional
    return text + (", required" if param.required else f", optional, default={param.default!r}")
