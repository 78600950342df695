"""Binding: from arrays or shapes to an Executor (what ``Symbol.bind``, ``Symbol.simple_bind`` and ``reshape`` do)."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Sequence
from typing import Any

import torch

from mxcompat.base import MXNetError
from mxcompat.context import Context, cpu, gpu, torch_device
from mxcompat.executor import Executor, install_reshape
from mxcompat.formats.arrays import STORAGE_CODES
from mxcompat.graph import storage
from mxcompat.graph.lower import Lowered, lower, moved_states
from mxcompat.mixed_executor import MixedExecutor
from mxcompat.ndarray.ndarray import NDArray, _share, _wrap
from mxcompat.ndarray.sparse_array import zeros_of
from mxcompat.ops.dtypes import torch_dtype
from mxcompat.ops.shape import is_known, partial_shape, size
from mxcompat.symbol import infer
from mxcompat.symbol.node import Node
from mxcompat.symbol.subgraph import Subgraph, install_runner
from mxcompat.symbol.symbol import Symbol, install_executors

GRAD_REQS = ("null", "write", "add")


def bind(
    symbol: Symbol,
    ctx: Any,
    args: Any,
    args_grad: Any,
    grad_req: Any,
    aux_states: Any,
    group2ctx: dict[str, Context] | None,
    shared_exec: Any,
) -> Executor:
    """An executor on given arrays.

    Lists must have one entry an argument (``ValueError``), dicts may have unused keys; shapes and types must agree with
    the graph, and every array must live on ``ctx`` unless ``group2ctx`` is given (``MXNetError``).
    """
    if not isinstance(ctx, Context):
        raise TypeError("Context type error")
    arguments, auxiliary = symbol._variables()
    arg_arrays = _arrays("args", args, arguments, allow_missing=False)
    grads = _arrays("args_grad", args_grad, arguments, allow_missing=True)
    aux_arrays = _arrays("aux_states", aux_states if aux_states is not None else [], auxiliary, allow_missing=False)
    names = [node.name for node in arguments]
    _check_distinct(names)
    requests = _requests(grad_req, names)
    requests = [req if grad is not None else "null" for req, grad in zip(requests, grads)]
    _check_contexts(ctx, arguments, arg_arrays, group2ctx)
    _check_contexts(ctx, auxiliary, aux_arrays, group2ctx)
    given = [*zip(arguments, arg_arrays), *zip(auxiliary, aux_arrays)]
    order = symbol._nodes()
    shapes = infer.infer_shapes(order, {id(node): x.shape for node, x in given})
    types = infer.infer_types(order, {id(node): x._like.dtype for node, x in given})
    for array in (*arg_arrays, *grads, *aux_arrays):
        if array is not None and array._storage is None:
            _share(array._data)  # the caller holds these handles too
    return _executor(symbol, ctx, arg_arrays, grads, requests, aux_arrays, shapes, types, group2ctx)


def _executor(
    symbol: Symbol,
    ctx: Context,
    args: Any,
    grads: Any,
    requests: Any,
    aux: Any,
    shapes: Any,
    types: Any,
    group2ctx: Any,
) -> Executor:
    out_shapes = [shapes[id(node)][index] for node, index in symbol._heads]
    out_types = [types[id(node)][index] or torch.float32 for node, index in symbol._heads]
    for name, shape in zip(symbol.list_outputs(), out_shapes):
        if not is_known(shape):
            raise MXNetError(f"bind: the shape of output {name} does not follow from the arguments")
    created, instances = _created(symbol._nodes(), ctx, shapes, types)
    variables = [node for nodes in symbol._variables() for node in nodes]
    stypes = {id(node): array.stype for node, array in zip(variables, [*args, *aux])}
    sparse_gradients = any(grad is not None and grad._storage is not None for grad in grads)
    kind = MixedExecutor if sparse_gradients or storage.is_mixed(symbol._nodes(), stypes) else Executor
    return kind(symbol, ctx, args, grads, requests, aux, out_shapes, out_types, group2ctx, created, instances)


def _created(order: Sequence[Node], ctx: Context, shapes: dict, types: dict) -> tuple[dict, dict]:
    """Shapes of the nodes (by id) that create arrays, callables of those that have state of their own."""
    created, instances = {}, {}
    for node in order:
        if node.op is not None and node.op.takes_shape:
            created[id(node)] = shapes[id(node)][0]
            if not is_known(created[id(node)]):
                raise MXNetError(f"bind: the shape of {node.name} does not follow from what uses it")
        elif node.op is not None and node.op.instantiate is not None:
            instances[id(node)] = _instance(node, ctx, shapes, types)
    return created, instances


def _instance(node: Node, ctx: Context, shapes: dict, types: dict) -> Callable:
    """What a node with state of its own runs in this executor."""
    assert node.op is not None
    assert node.op.instantiate is not None
    entries = [*node.inputs, *((node, i) for i in range(node.num_outputs()))]
    known_shapes = [shapes[id(child)][index] for child, index in entries]
    known_types = [types[id(child)][index] or torch.float32 for child, index in entries]
    if not all(is_known(shape) for shape in known_shapes):
        raise MXNetError(f"bind: not all shapes of {node.name} follow from the arguments, found {known_shapes}")
    count = len(node.inputs)
    return node.op.instantiate(
        node.params, ctx, known_shapes[:count], known_types[:count], known_shapes[count:], known_types[count:]
    )


def _arrays(what: str, given: Any, nodes: Sequence[Node], allow_missing: bool) -> list:
    if given is None:
        return [None] * len(nodes)
    if isinstance(given, dict):
        arrays = [given.get(node.name) for node in nodes]
        if not allow_missing:
            for node, array in zip(nodes, arrays):
                if array is None:
                    raise ValueError(f"key `{node.name}` is missing in `{what}`")
    elif isinstance(given, (list, tuple)):
        if len(given) != len(nodes):
            raise ValueError(
                f"Length of {what} does not match the number of arguments: expected {len(nodes)} "
                f"({', '.join(node.name for node in nodes)}), got {len(given)}"
            )
        arrays = list(given)
    else:
        raise TypeError("Only accept list of NDArrays or dict of str to NDArray")
    for array in arrays:
        if not (isinstance(array, NDArray) or (allow_missing and array is None)):
            raise TypeError("Only accept list of NDArrays or dict of str to NDArray")
    return arrays


def _check_distinct(names: Sequence[str]) -> None:
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise MXNetError(f"Input argument NDArray cannot be un-allocated: two arguments are called {twice!r}")


def _requests(grad_req: Any, names: Sequence[str]) -> list[str]:
    if isinstance(grad_req, str):
        requests = [grad_req] * len(names)
    elif isinstance(grad_req, (list, tuple)):
        requests = [*grad_req, *["null"] * (len(names) - len(grad_req))]
    elif isinstance(grad_req, dict):
        requests = [grad_req.get(name, "null") for name in names]
    else:
        raise TypeError(f"grad_req must be a string, a list or a dict, found {type(grad_req)}")
    for request in requests:
        if request not in GRAD_REQS:
            raise ValueError(f"grad_req must be in {GRAD_REQS}, found {request!r}")
    return requests


def _requests_for_each(grad_req: Any, names: Sequence[str]) -> list[str]:
    """As ``_requests``, but a list has as many entries as there are arguments, and what is bad is an ``MXNetError``."""
    if isinstance(grad_req, (list, tuple)) and len(grad_req) != len(names):
        raise MXNetError(
            f"Length of grad_req does not match the number of arguments: expected {len(names)} ({', '.join(names)}), "
            f"got {len(grad_req)}"
        )
    try:
        return _requests(grad_req, names)
    except ValueError as error:
        raise MXNetError(str(error)) from None


def _check_contexts(
    ctx: Context, nodes: Sequence[Node], arrays: Sequence[NDArray], group2ctx: dict[str, Context] | None
) -> None:
    for node, array in zip(nodes, arrays):
        if torch_device(array.context) != torch_device(ctx) or (not group2ctx and array.context != ctx):
            raise MXNetError(
                f"Input array {node.name} is in {array.context} while binding with ctx={ctx}. All arguments must be in "
                f"global context ({ctx}) unless group2ctx is specified for cross-device graph."
            )


def simple_bind(
    symbol: Symbol,
    ctx: Any,
    grad_req: Any,
    type_dict: Any,
    stype_dict: Any,
    group2ctx: dict[str, Context] | None,
    shared_arg_names: Any,
    shared_exec: Executor | None,
    shared_buffer: dict[str, NDArray] | None,
    given_shapes: dict[str, Any],
) -> Executor:
    """An executor on new arrays; parameters in ``shared_arg_names`` come from ``shared_exec``, others may come from
    ``shared_buffer`` (name -> array, which grows). ``RuntimeError`` listing the arguments where anything fails."""
    arguments, auxiliary = symbol._variables()
    names = [node.name for node in arguments]
    try:
        _check_distinct(names)
        shapes, types = _inferred(symbol, given_shapes, type_dict or {})
        allocate = _Allocator(ctx, group2ctx, shapes, types, set(shared_arg_names or ()), shared_exec, shared_buffer)
        allocate.stypes, allocate.gradient_stypes = _storage_types(symbol, stype_dict or {})
        requests = _requests_for_each(grad_req, names)
        args = [allocate.argument(node) for node in arguments]
        grads = [allocate.gradient(node) if req != "null" else None for node, req in zip(arguments, requests)]
        aux = [allocate.auxiliary(node) for node in auxiliary]
        return _executor(symbol, ctx, args, grads, requests, aux, shapes, types, group2ctx)
    except MXNetError as error:
        listing = "".join(f"{name}: {given_shapes.get(name)}\n" for name in names)
        raise RuntimeError(f"simple_bind error. Arguments:\n{listing}{error}") from error


def _storage_types(symbol: Symbol, stype_dict: dict[str, str]) -> tuple[dict[int, str], dict[int, str]]:
    """Storage types of variables and of their gradients (by id), where these are not all dense."""
    for name, stype in stype_dict.items():
        if stype not in (None, *STORAGE_CODES):
            raise MXNetError(f"stype_dict: {name} has {stype!r}, expected one of {', '.join(STORAGE_CODES)}")
    order = symbol._nodes()
    given = {id(n): stype_dict.get(n.name) or storage.declared(n) for n in order if n.op is None}
    if not storage.is_mixed(order, given):
        return {}, {}
    return given, storage.gradient_stypes(order, symbol._heads, storage.infer_stypes(order, given))


def _inferred(symbol: Symbol, given_shapes: dict[str, Any], type_dict: dict[str, Any]) -> tuple[dict, dict]:
    order = symbol._nodes()
    variables = [node for node in order if node.op is None]
    shapes = infer.infer_shapes(
        order,
        {id(n): partial_shape(_shape(n.name, given_shapes[n.name])) for n in variables if n.name in given_shapes},
    )
    missing = [n.name for n in variables if not is_known(shapes[id(n)][0])]
    if missing:
        raise MXNetError(
            f"the shapes of {', '.join(missing)} do not follow from the given ones. Please consider providing them as inputs"
        )
    types = infer.infer_types(order, {id(n): torch_dtype(type_dict[n.name]) for n in variables if n.name in type_dict})
    if any(types[id(n)][0] is None for n in variables):
        # Compat: what no given type decides is float32, starting with the inputs
        followers = _followers(order)
        open_types = {
            id(n): types[id(n)][0] or torch.float32 for n in variables if types[id(n)][0] or id(n) not in followers
        }
        types = infer.infer_types(order, open_types)
        types.update({id(n): [types[id(n)][0] or torch.float32] for n in variables})
    return shapes, types


def _followers(order: Sequence[Node]) -> set[int]:
    """The nodes (by id) that are not the first input of their first consumer: parameters, whose type follows the data."""
    first_use: dict[int, int] = {}
    for node in order:
        for position, (child, _) in enumerate(node.inputs):
            first_use.setdefault(id(child), position)
    return {key for key, position in first_use.items() if position > 0}


def _shape(name: str, shape: Any) -> tuple:
    if not isinstance(shape, (tuple, list)):
        raise MXNetError(f"{name}: expected a shape tuple, found {shape!r}")
    return tuple(shape)


#: from this many bytes on, zeros come from the system's zeroed pages, which cost nothing until they are used
LAZY_BYTES = 1 << 17


def _zeros(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """A tensor of zeros; large ones on the cpu are not touched before their first use, so that binding stays cheap."""
    nbytes = size(shape) * dtype.itemsize
    if device.type != "cpu" or nbytes < LAZY_BYTES or not hasattr(mmap, "MAP_ANONYMOUS"):
        return torch.zeros(shape, dtype=dtype, device=device)
    pages = mmap.mmap(-1, nbytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)  # the tensor keeps it mapped
    return torch.frombuffer(pages, dtype=dtype).view(shape)


class _Allocator:
    """Makes the arrays of a simple_bind, new or shared."""

    def __init__(
        self,
        ctx: Any,
        group2ctx: dict[str, Context] | None,
        shapes: dict,
        types: dict,
        shared_names: set[str],
        shared_exec: Executor | None,
        buffer: dict[str, NDArray] | None,
    ):
        self.ctx, self.group2ctx, self.shapes, self.types = ctx, group2ctx or {}, shapes, types
        self.shared_names, self.shared_exec, self.buffer = shared_names, shared_exec, buffer
        self.stypes: dict[int, str] = {}
        self.gradient_stypes: dict[int, str] = {}
        for group_ctx in (ctx, *self.group2ctx.values()):
            if not isinstance(group_ctx, Context):
                raise TypeError("Context type error")
            if torch_device(group_ctx) != torch_device(ctx):
                raise MXNetError(f"group2ctx: {group_ctx} is another device than {ctx}; one graph runs on one device")

    def _new(self, node: Node, stype: str = "default") -> NDArray:
        context = self.group2ctx.get(node.attrs.get("__ctx_group__", ""), self.ctx)
        dtype = self.types[id(node)][0] or torch.float32
        if stype != "default":
            return zeros_of(stype, self.shapes[id(node)][0], context, dtype)
        return _wrap(_zeros(self.shapes[id(node)][0], dtype, torch_device(context)), context)

    def _fits(self, node: Node, array: NDArray | None) -> bool:
        dtype = self.types[id(node)][0] or torch.float32
        return array is not None and array.shape == self.shapes[id(node)][0] and array._like.dtype is dtype

    def _shared(self, node: Node, where: str) -> NDArray | None:
        if self.shared_exec is None or self.buffer is None:
            return None  # Compat: without a shared buffer nothing is shared
        if node.name not in self.shared_names and where != "aux_dict":
            return None
        array = getattr(self.shared_exec, where).get(node.name)
        if array is not None and not self._fits(node, array):
            raise MXNetError(f"{node.name}: shared_exec has shape {array.shape}, expected {self.shapes[id(node)][0]}")
        return array  # the very handle: what one executor puts into it, the other has

    def argument(self, node: Node) -> NDArray:
        stype = self.stypes.get(id(node), "default")
        if node.name in self.shared_names:
            shared = self._shared(node, "arg_dict")
            return shared if shared is not None else self._new(node, stype)
        if self.buffer is None or stype != "default":
            return self._new(node, stype)
        return self._from_buffer(node, node.name)

    def _from_buffer(self, node: Node, name: str) -> NDArray:
        """A part of the buffer's array of that name; a larger array takes its place where it is too small."""
        assert self.buffer is not None
        shape, dtype = self.shapes[id(node)][0], self.types[id(node)][0] or torch.float32
        held = self.buffer.get(name)
        if held is None or held._data.dtype is not dtype or held.size < size(shape):
            held = self.buffer[name] = self._new(node)
        _share(held._data)
        if held.shape == shape:
            return held
        return _wrap(held._data.view(-1)[: size(shape)].view(shape), held.context)

    def gradient(self, node: Node) -> NDArray:
        stype = self.gradient_stypes.get(id(node), "default")
        if self.buffer is not None and node.name not in self.shared_names and stype == "default":
            return self._from_buffer(node, f"grad of {node.name}")
        shared = self._shared(node, "grad_dict")
        return shared if shared is not None else self._new(node, stype)

    def auxiliary(self, node: Node) -> NDArray:
        shared = self._shared(node, "aux_dict")
        return shared if shared is not None else self._new(node, self.stypes.get(id(node), "default"))


def reshape(executor: Executor, partial_shaping: bool, allow_up_sizing: bool, kwargs: dict[str, Any]) -> Executor:
    """See ``Executor.reshape``."""
    symbol = executor._symbol
    given = symbol._given((), kwargs, partial_shape, "reshape")
    arguments, auxiliary = symbol._variables()
    order = symbol._nodes()
    shapes = infer.infer_shapes(order, given)
    types = infer.infer_types(order, {id(n): x._like.dtype for n, x in zip((*arguments, *auxiliary), executor._inputs)})
    for node in (*arguments, *auxiliary):
        if not is_known(shapes[id(node)][0]):
            raise MXNetError(f"reshape: the shape of {node.name} does not follow from {sorted(kwargs)}")

    def moved(node: Node, array: NDArray | None, kind: str) -> NDArray | None:
        if array is None:
            return None
        shape = shapes[id(node)][0]
        if array.shape == shape:
            return array  # the very handle: what one executor puts into it, the other has
        if node.name not in kwargs and not partial_shaping:
            raise MXNetError(
                f"Shape of unspecifie {kind}: {node.name} changed. This can cause the new executor to not share parameters "
                "with the old one. Please check for error in network.If this is intended, set partial_shaping=True to "
                "suppress this warning."
            )
        if array._storage is not None:
            return zeros_of(array.stype, shape, array.context, array._like.dtype)
        _share(array._data)
        if size(shape) <= array.size:
            return _wrap(array._data.view(-1)[: size(shape)].view(shape), array.context)
        if not allow_up_sizing:
            raise MXNetError(
                f"Check failed: allow_up_sizing: New shape of {kind}: {node.name} is larger than original.First making a "
                "big executor and then down sizing it is more efficient than the reverse.If you really want to up size, "
                "set allow_up_sizing=True to enable allocation of new arrays."
            )
        return _wrap(torch.zeros(shape, dtype=array._data.dtype, device=array._data.device), array.context)

    count = len(arguments)
    args = [moved(node, x, "arg") for node, x in zip(arguments, executor._inputs[:count])]
    grads = [moved(node, x, "arg") for node, x in zip(arguments, executor._grads)]
    aux = [moved(node, x, "aux") for node, x in zip(auxiliary, executor._inputs[count:])]
    moved_executor = _executor(
        symbol, executor._ctx, args, grads, executor._grad_req, aux, shapes, types, executor._group2ctx
    )
    moved_executor._monitor = executor._monitor
    return moved_executor


def _run_subgraph(subgraph: Subgraph, tensors: Sequence[torch.Tensor], is_train: bool) -> list[torch.Tensor]:
    """Run a subgraph of a control-flow node; its auxiliary states move at once, a step after the other."""
    shapes, types = [tuple(t.shape) for t in tensors], [t.dtype for t in tensors]
    device = tensors[0].device if tensors else torch.device("cpu")
    key = (is_train, device, *shapes, *types)
    if key not in subgraph.lowered:
        subgraph.lowered[key] = _lower_subgraph(subgraph, shapes, types, device, is_train)
    lowered = subgraph.lowered[key]
    outputs, statistics = lowered.module(*tensors)
    with torch.no_grad():
        for position, value in moved_states(lowered, tensors, statistics):
            tensors[position].copy_(value)
    return list(outputs)


def _lower_subgraph(
    subgraph: Subgraph, shapes: Sequence[tuple], types: Sequence[torch.dtype], device: torch.device, is_train: bool
) -> Lowered:
    variables, order = subgraph.variables, subgraph.order
    all_shapes = infer.infer_shapes(order, {id(node): shape for node, shape in zip(variables, shapes)})
    all_types = infer.infer_types(order, {id(node): dtype for node, dtype in zip(variables, types)})
    context = cpu() if device.type == "cpu" else gpu(device.index or 0)
    created, instances = _created(order, context, all_shapes, all_types)
    everything = set(range(len(variables)))
    return lower(subgraph.heads, variables, everything, is_train, device, created, instances)


install_executors(bind, simple_bind)
install_runner(_run_subgraph)
install_reshape(reshape)
