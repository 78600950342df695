"""Symbol: one or more outputs of a graph of nodes (public path of the original: ``mxnet.symbol.symbol``)."""

from __future__ import annotations

import importlib
import inspect
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from numbers import Number
from typing import Any

from mxcompat import attribute
from mxcompat.base import MXNetError, NotImplementedForSymbol
from mxcompat.context import current_context
from mxcompat.dtype import CODES, dtype_name
from mxcompat.formats.arrays import STORAGE_CODES
from mxcompat.formats.atomic import write_atomically
from mxcompat.ops import registry
from mxcompat.ops.dtypes import NUMPY_BY_TORCH, torch_dtype
from mxcompat.ops.schema import attribute_text
from mxcompat.ops.shape import partial_shape, shown_shape
from mxcompat.symbol import compose, infer, serialize
from mxcompat.symbol.node import Entry, Node, copy_graph, is_user_attribute, shown_attributes, stored_key, topological

__all__ = ["Group", "Symbol", "Variable", "fromjson", "load", "load_json", "var"]

_EXECUTOR_LAYER = "mxcompat.bind"
_executors: dict[str, Callable] = {}


def install_executors(bind: Callable, simple_bind: Callable) -> None:
    """The registration point of the executor layer: what ``Symbol.bind`` and ``Symbol.simple_bind`` call."""
    _executors.update(bind=bind, simple_bind=simple_bind)


def _executor_layer(name: str) -> Callable:
    if not _executors:
        importlib.import_module(_EXECUTOR_LAYER)  # it installs itself
    return _executors[name]


class SymbolBase:
    """What symbols of every kind derive from."""

    __slots__ = ()


class Symbol(SymbolBase):
    """Outputs of a graph. Immutable in structure; attributes of its node can be set."""

    __slots__ = ("__weakref__", "_heads", "_order")
    __array_priority__ = 1000.0

    def __init__(self, handle: Any):
        self._heads: list[Entry] = list(handle._heads if isinstance(handle, Symbol) else handle or ())
        self._order: list[Node] | None = None

    # -- what it is ---------------------------------------------------------------------------------------------

    @property
    def name(self) -> str | None:
        """The node's name; None for a group."""
        nodes = {id(node): node for node, _ in self._heads}
        return next(iter(nodes.values())).name if len(nodes) == 1 else None

    @property
    def handle(self) -> Symbol:
        """The symbol itself; the original's C handle has no counterpart."""
        return self

    def __repr__(self) -> str:
        if self.name is None:
            return f"<{type(self).__name__} group [{', '.join(str(x.name) for x in self)}]>"
        return f"<{type(self).__name__} {self.name}>"

    def __len__(self) -> int:
        return len(self._heads)

    def __iter__(self) -> Iterator[Symbol]:
        return (Symbol([head]) for head in list(self._heads))

    def __hash__(self) -> int:
        return id(self) >> 4

    def __bool__(self) -> bool:
        raise NotImplementedForSymbol(self.__bool__, "bool")

    __nonzero__ = __bool__

    def __getitem__(self, index: Any) -> Symbol:
        if isinstance(index, slice):
            return Group([Symbol([head]) for head in self._heads[index]])
        if isinstance(index, str):
            found = [i for i, name in enumerate(self.list_outputs()) if name == index]
            if len(found) > 1:
                raise ValueError(f'There are multiple outputs with name "{index}"')
            if not found:
                raise ValueError(f'Cannot find output that matches name "{index}"')
            index = found[0]
        if not isinstance(index, int):
            raise TypeError("Symbol only support integer index to fetch i-th output")
        if not -len(self) <= index < len(self):
            raise IndexError(f"output index {index} is out of range for a symbol with {len(self)} outputs")
        return Symbol([self._heads[index]])

    # -- composition --------------------------------------------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> Symbol:
        """A copy in which variables are replaced: positionally in the order of ``list_inputs``, or by name."""
        result = self.__copy__()
        result._compose(*args, **kwargs)
        return result

    def _compose(self, *args: Any, **kwargs: Any) -> None:
        """Replace variables of this very symbol, and give its node another ``name``."""
        name = kwargs.pop("name", None)
        if args and kwargs:
            raise TypeError("compose only accept input Symbols either as positional or keyword arguments, not both")
        for value in (*args, *kwargs.values()):
            if not isinstance(value, Symbol):
                raise TypeError("Compose expect `Symbol` as arguments")
        variables = [node for node in topological(self._heads) if node.op is None]
        if len(args) > len(variables):
            raise MXNetError(f"compose: got {len(args)} positional symbols, the symbol has {len(variables)} inputs")
        replace = {id(node): value._single_entry() for node, value in zip(variables, args)}
        by_name = {node.name: node for node in variables}
        for key, value in kwargs.items():
            if key not in by_name:
                raise MXNetError(
                    f"Symbol.Compose: Keyword argument name {key} not found. Candidates: {', '.join(by_name)}"
                )
            replace[id(by_name[key])] = value._single_entry()
        self._heads = copy_graph(self._heads, replace)
        self._order = None
        if name:
            self._heads[0][0].name = name

    def _gen_atomic_symbol(self) -> Symbol:
        """The node's operator alone: its inputs are new variables."""
        node = self._heads[0][0]
        if node.op is None:
            raise MXNetError(f"_gen_atomic_symbol: {node.name} is a variable and applies no operator")
        given = {key: value for key, value in node.attrs.items() if not is_user_attribute(key)}
        bare = compose.make_node(node.op, node.op.hint, [], {}, given)
        return Symbol([(bare, i) for i in range(bare.num_visible())])

    def _single_entry(self) -> Entry:
        """The one output this symbol stands for as an input; ``MXNetError`` when it has several."""
        if len(self._heads) != 1:
            raise MXNetError(
                f"Symbol {self.name} has {len(self._heads)} outputs and cannot be one input: Argument is a tuple; index it"
            )
        return self._heads[0]

    def __copy__(self) -> Symbol:
        return Symbol(copy_graph(self._heads))

    def __deepcopy__(self, _: Any) -> Symbol:
        return Symbol(copy_graph(self._heads))

    def __reduce__(self) -> tuple:
        return Symbol, (None,), self.__getstate__()

    def __getstate__(self) -> dict[str, Any]:
        return {"handle": self.tojson()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._heads = serialize.from_json(state["handle"], "<pickle>") if state["handle"] else []
        self._order = None

    def get_internals(self) -> Symbol:
        """All outputs of all nodes, in topological order."""
        return Symbol([(n, i) for n in topological(self._heads) for i in range(n.num_visible())])

    def get_children(self) -> Symbol | None:
        """The inputs of the heads' nodes; None when there are none."""
        entries: list[Entry] = []
        for node in {id(node): node for node, _ in self._heads}.values():
            entries.extend(entry for entry in node.inputs if entry not in entries)
        return Symbol(entries) if entries else None

    # -- names --------------------------------------------------------------------------------------------------

    def _nodes(self) -> list[Node]:
        """All nodes, each after its inputs; the structure never changes, so they are listed once."""
        if self._order is None:
            self._order = topological(self._heads)
        return self._order

    def _variables(self) -> tuple[list[Node], list[Node]]:
        """Argument and auxiliary variables, in topological order."""
        order = self._nodes()
        aux = {id(node.inputs[i][0]) for node in order for i in node.aux_inputs()}
        variables = [node for node in order if node.op is None]
        return [n for n in variables if id(n) not in aux], [n for n in variables if id(n) in aux]

    def list_arguments(self) -> list[str]:
        """Names of the arguments, depth-first from the outputs."""
        return [node.name for node in self._variables()[0]]

    def list_auxiliary_states(self) -> list[str]:
        """Names of the auxiliary states."""
        return [node.name for node in self._variables()[1]]

    def list_inputs(self) -> list[str]:
        """Names of all variables, auxiliary states included."""
        return [node.name for node in topological(self._heads) if node.op is None]

    def list_outputs(self) -> list[str]:
        """Names of the outputs."""
        return [node.output_name(index) for node, index in self._heads]

    @property
    def num_outputs(self) -> int:
        """Number of outputs."""
        return len(self._heads)

    # -- attributes ---------------------------------------------------------------------------------------------

    def attr(self, key: str) -> str | None:
        """One attribute of the node, None when it is not set."""
        attrs = self._heads[0][0].attrs
        return attrs.get(key, attrs.get(stored_key(key)))

    def list_attr(self, recursive: bool = False) -> dict[str, str]:
        """The node's attributes (hidden ones such as ``lr_mult`` with and without their double underscores)."""
        if recursive:
            raise DeprecationWarning(
                "Symbol.list_attr with recursive=True has been deprecated. Please use attr_dict instead."
            )
        return shown_attributes(self._heads[0][0].attrs)

    def attr_dict(self) -> dict[str, dict[str, str]]:
        """``list_attr`` of every node that has attributes, by node name."""
        return {node.name: shown_attributes(node.attrs) for node in topological(self._heads) if node.attrs}

    def _set_attr(self, **kwargs: str) -> None:
        for key, value in kwargs.items():
            if not isinstance(value, str):
                raise ValueError("Set Attr only accepts string values")
            for node in {id(node): node for node, _ in self._heads}.values():
                node.set_attribute(stored_key(key), value)

    # -- inference ----------------------------------------------------------------------------------------------

    def infer_shape(self, *args: Any, **kwargs: Any) -> tuple:
        """``(argument, output, auxiliary)`` shapes from some known ones; three None when they do not follow.

        0 in a shape is an unknown size. Raises ``MXNetError`` on a contradiction, naming the operator.
        """
        shapes = self._partial_shapes(args, kwargs)
        if not all(infer.all_known(group) for group in shapes):
            unknown = [
                f"\t{name}: {shown_shape(shape)}"
                for name, shape in zip(self.list_arguments(), shapes[0])
                if not infer.all_known([shape])
            ]
            warnings.warn(
                "Cannot decide shape for the following arguments (0s in shape means unknown dimensions). "
                "Consider providing them as input:\n" + "\n".join(unknown),
                stacklevel=2,
            )
            return None, None, None
        return tuple([shown_shape(shape) for shape in group] for group in shapes)

    def infer_shape_partial(self, *args: Any, **kwargs: Any) -> tuple:
        """Like ``infer_shape``, with ``()`` for an unknown rank and 0 for an unknown size."""
        return tuple([shown_shape(s) for s in group] for group in self._partial_shapes(args, kwargs))

    def _partial_shapes(self, args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[list, list, list]:
        for label, shape in (*enumerate(args), *kwargs.items()):
            if not (isinstance(shape, (tuple, list)) or (shape is None and label not in kwargs)):
                raise TypeError(f"Arguments need to be shapes (tuple), but {label!r} is {type(shape)}.")
        given = self._given(args, kwargs, partial_shape, "InferShape")
        return self._inferred(infer.infer_shapes, given)

    def _given(self, args: Sequence[Any], kwargs: dict[str, Any], convert: Callable, what: str) -> dict[int, Any]:
        if args and kwargs:
            raise ValueError("Can only specify known values either by positional or kwargs way.")
        arguments, aux = self._variables()
        if len(args) > len(arguments):
            raise MXNetError(f"{what}: got {len(args)} values for {len(arguments)} arguments")
        given = {id(node): convert(value) for node, value in zip(arguments, args) if value is not None}
        by_name: dict[str, list[Node]] = {}
        for node in (*arguments, *aux):
            by_name.setdefault(node.name, []).append(node)
        for key, value in kwargs.items():
            if key not in by_name:
                candidates = "\n".join(f"\t[{i}]{name}" for i, name in enumerate(by_name))
                raise MXNetError(f"{what}: Keyword argument name {key} not found.\nCandidate arguments:\n{candidates}")
            if value is not None:
                given.update({id(node): convert(value) for node in by_name[key]})
        return given

    def _inferred(self, run: Callable, given: dict[int, Any]) -> tuple[list, list, list]:
        values = run(self._nodes(), given)
        arguments, aux = self._variables()
        outputs = [values[id(node)][index] for node, index in self._heads]
        return [values[id(n)][0] for n in arguments], outputs, [values[id(n)][0] for n in aux]

    def infer_type(self, *args: Any, **kwargs: Any) -> tuple:
        """``(argument, output, auxiliary)`` types as numpy types; three None when they do not follow."""
        types = self._partial_types(args, kwargs)
        if any(t is None for group in types for t in group):
            unknown = [f"\t{name}: None" for name, t in zip(self.list_arguments(), types[0]) if t is None]
            warnings.warn(
                "Cannot decide type for the following arguments. Consider providing them as input:\n"
                + "\n".join(unknown),
                stacklevel=2,
            )
            return None, None, None
        return types

    def infer_type_partial(self, *args: Any, **kwargs: Any) -> tuple:
        """Like ``infer_type``, with None where a type does not follow."""
        return self._partial_types(args, kwargs)

    def _partial_types(self, args: Sequence[Any], kwargs: dict[str, Any]) -> tuple:
        given = self._given(args, kwargs, torch_dtype, "InferType")
        groups = self._inferred(infer.infer_types, given)
        return tuple([None if t is None else NUMPY_BY_TORCH.get(t, "bfloat16") for t in group] for group in groups)

    # -- text ---------------------------------------------------------------------------------------------------

    def tojson(self, remove_amp_cast: bool = True) -> str:
        """The graph as JSON text, as MXNet 1.9.1 writes it."""
        heads = serialize.without_amp_cast(self._heads) if remove_amp_cast else self._heads
        return serialize.to_json(heads)

    def save(self, fname: str | os.PathLike, remove_amp_cast: bool = True) -> None:
        """Write ``tojson`` to a file, which appears whole or not at all."""
        if not isinstance(fname, (str, os.PathLike)):
            raise TypeError("fname need to be string")
        write_atomically(os.fspath(fname), [self.tojson(remove_amp_cast).encode("utf-8")])

    def debug_str(self) -> str:
        """A listing of the outputs, the variables and the operators with their inputs."""
        return serialize.debug_text(self._heads)

    # -- binding ------------------------------------------------------------------------------------------------

    def bind(
        self,
        ctx: Any,
        args: Any,
        args_grad: Any = None,
        grad_req: Any = "write",
        aux_states: Any = None,
        group2ctx: Any = None,
        shared_exec: Any = None,
    ) -> Any:
        """An Executor on the given arrays (lists in ``list_arguments`` order, or dicts by name)."""
        return _executor_layer("bind")(self, ctx, args, args_grad, grad_req, aux_states, group2ctx, shared_exec)

    def simple_bind(
        self,
        ctx: Any,
        grad_req: Any = "write",
        type_dict: Any = None,
        stype_dict: Any = None,
        group2ctx: Any = None,
        shared_arg_names: Any = None,
        shared_exec: Any = None,
        shared_buffer: Any = None,
        **kwargs: Any,
    ) -> Any:
        """An Executor on new arrays whose shapes follow from the given ones (``data=(32, 10)``).

        Raises ``RuntimeError`` listing the arguments when the shapes do not follow.
        """
        return _executor_layer("simple_bind")(
            self, ctx, grad_req, type_dict, stype_dict, group2ctx, shared_arg_names, shared_exec, shared_buffer, kwargs
        )

    def eval(self, ctx: Any = None, **kwargs: Any) -> list:
        """The outputs for the given arrays, as a list."""
        return self.bind(ctx or current_context(), kwargs).forward()

    def gradient(self, wrt: Any) -> Any:
        """The original refuses it too: gradients come from an executor's ``backward``."""
        raise MXNetError("Symbol.gradient: bind the symbol and call Executor.backward instead")

    grad = gradient

    def get_backend_symbol(self, backend: str) -> Symbol:
        """The symbol itself: there are no backends to partition for."""
        return self

    def optimize_for(
        self,
        backend: str,
        args: Any = None,
        aux: Any = None,
        ctx: Any = None,
        shape_dict: Any = None,
        type_dict: Any = None,
        stype_dict: Any = None,
        skip_infer: bool = False,
        **kwargs: Any,
    ) -> Symbol:
        """The symbol itself: there are no backends to partition for, and no option changes a result."""
        return self

    def as_nd_ndarray(self) -> Symbol:
        """The symbol itself."""
        return self

    def as_np_ndarray(self) -> Any:
        """``mx.np`` symbols are not supported: raises ``MXNetError``."""
        raise MXNetError("as_np_ndarray: NumPy symbols (mx.np) are not supported")

    # -- arithmetic (attached below) and what only NDArray has --------------------------------------------------

    def __neg__(self) -> Symbol:
        return apply("_MulScalar", "_mulscalar", [self], {"scalar": -1.0})

    def __abs__(self) -> Symbol:
        return apply("abs", "abs", [self], {})


def apply(op_name: str, hint: str, inputs: Sequence[Symbol], params: dict[str, Any]) -> Symbol:
    """The symbol of one operator on symbols."""
    node = compose.make_node(registry.get(op_name), hint, [x._single_entry() for x in inputs], {}, params)
    return Symbol([(node, i) for i in range(node.num_visible())])


#: Python method -> operators of two symbols, of symbol and number, of number and symbol. The automatic name's stem is the
#: lower-case spelling.
_ARITHMETIC = {
    "add": ("_Plus", "_PlusScalar", "_PlusScalar"),
    "sub": ("_Minus", "_MinusScalar", "_RMinusScalar"),
    "mul": ("_Mul", "_MulScalar", "_MulScalar"),
    "div": ("_Div", "_DivScalar", "_RDivScalar"),
    "truediv": ("_Div", "_DivScalar", "_RDivScalar"),
    "mod": ("_Mod", "_ModScalar", "_RModScalar"),
    "pow": ("_Power", "_PowerScalar", "_rpower_scalar"),
}
_COMPARISON = {
    "eq": "equal",
    "ne": "not_equal",
    "gt": "greater",
    "ge": "greater_equal",
    "lt": "lesser",
    "le": "lesser_equal",
}


def _attach(method: str, symbols: str, scalar: str, swapped: bool = False) -> None:
    def binary(self: Symbol, other: Any) -> Symbol:
        if isinstance(other, Symbol):
            pair = [other, self] if swapped else [self, other]
            return apply(symbols, symbols.lower(), pair, {})
        if isinstance(other, Number):
            return apply(scalar, scalar.lower(), [self], {"scalar": other})
        raise TypeError(f"type {type(other)} not supported")

    binary.__name__ = f"__{method}__"
    binary.__qualname__ = f"Symbol.__{method}__"
    setattr(Symbol, binary.__name__, binary)


def _refuse(method: str, alias: str | None = None, in_place: bool = False) -> None:
    def refused(self: Symbol, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedForSymbol(refused, alias, *args)

    refused.__name__ = method
    refused.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in ("self", "other")[: 1 + in_place]]
    )
    refused.__qualname__ = f"Symbol.{method}"
    refused.__doc__ = "Only an NDArray has it: raises ``NotImplementedForSymbol``."
    setattr(Symbol, method, refused)


for _method, (_symbols, _scalar, _reflected) in _ARITHMETIC.items():
    _attach(_method, _symbols, _scalar)
    _attach(f"r{_method}", _symbols, _reflected, swapped=True)
    _alias = {"add": "+=", "sub": "-=", "mul": "*=", "mod": "%=", "pow": "**="}.get(_method, "/=")
    _refuse(f"__i{_method}__", _alias, in_place=True)
for _method, _stem in _COMPARISON.items():
    _attach(_method, f"_{_stem}", f"_{_stem}_scalar")
for _method in ("wait_to_read", "asnumpy", "asscalar", "copy", "as_in_context", "detach", "backward", "attach_grad"):
    _refuse(_method)


def Variable(  # noqa: N802
    name: str,
    attr: dict[str, str] | None = None,
    shape: Any = None,
    lr_mult: float | None = None,
    wd_mult: float | None = None,
    dtype: Any = None,
    init: Any = None,
    stype: str | None = None,
    **kwargs: Any,
) -> Symbol:
    """A named input. ``shape``, ``dtype`` and ``stype`` serve ``simple_bind``; ``lr_mult``, ``wd_mult`` and ``init`` a Module.

    Further keywords must look like ``__key__`` (``ValueError`` otherwise) and become attributes.
    """
    if not isinstance(name, str):
        raise TypeError("Expect a string for variable `name`")
    attrs = {stored_key(key): value for key, value in attribute.current().get(attr).items()}
    for value in attrs.values():
        if not isinstance(value, str):
            raise ValueError("Set Attr only accepts string values")
    if shape is not None:
        attrs["__shape__"] = attribute_text(tuple(shape) if isinstance(shape, (list, tuple)) else (shape,))
    if lr_mult is not None:
        attrs["__lr_mult__"] = str(lr_mult)
    if wd_mult is not None:
        attrs["__wd_mult__"] = str(wd_mult)
    if dtype is not None:
        attrs["__dtype__"] = str(CODES[dtype_name(dtype)])
    if init is not None:
        attrs["__init__"] = init if isinstance(init, str) else init.dumps()
    if stype is not None:
        if stype not in STORAGE_CODES:
            raise MXNetError(f"Variable {name}: storage type is {stype!r}, expected one of {', '.join(STORAGE_CODES)}")
        attrs["__storage_type__"] = str(STORAGE_CODES[stype])
    for key, value in kwargs.items():
        if not (key.startswith("__") and key.endswith("__")):
            raise ValueError(
                f"Attribute name={key} is not supported. Additional attributes must start and end with double "
                "underscores, e.g, __yourattr__"
            )
        attrs[key] = str(value)
    return Symbol([(Node(None, name, attrs), 0)])


var = Variable


def Group(symbols: Sequence[Symbol], create_fn: Callable = Symbol) -> Symbol:  # noqa: N802
    """One symbol with the outputs of all the given ones."""
    if not symbols or any(not isinstance(symbol, Symbol) for symbol in symbols):
        raise TypeError("Expected a list of symbols as input")
    return create_fn([head for symbol in symbols for head in symbol._heads])


def load(fname: str | os.PathLike) -> Symbol:
    """The symbol in a JSON file of any version; ``MXNetError`` naming file and node when it is damaged."""
    if not isinstance(fname, (str, os.PathLike)):
        raise TypeError("fname need to be string")
    return Symbol(serialize.from_file(fname))


def load_json(json_str: str) -> Symbol:
    """The symbol of a JSON text of any version."""
    if not isinstance(json_str, str):
        raise TypeError("fname required to be string")
    return Symbol(serialize.from_json(json_str, "<json>"))


fromjson = load_json
