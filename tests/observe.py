"""Evaluating a row with whatever ``mx`` is given: real MXNet or mxcompat. Nothing here knows which of the two it is."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from tests.golden_store import Result
from tests.rows import Bad, Case, Row, Sampled, by_position

PARTIAL_INPUTS = 6  # partial inference starts from each of the first so many inputs


def find(module: Any, path: str) -> Any:
    """The function at a dotted path below ``mx.sym`` or ``mx.nd``, None where there is none."""
    for part in path.split("."):
        module = getattr(module, part, None)
    return module


def call(function: Any, row: Case, arguments: dict[str, Any], **extra: Any) -> Any:
    """Call an operator with named inputs, by position where their names say so."""
    positional = [value for name, value in arguments.items() if by_position(name)]
    named = {name: value for name, value in arguments.items() if not by_position(name)}
    return function(*positional, **dict(named, **row.params), **extra)


def compose(mx: Any, row: Case) -> Any:
    """The row's symbol: the operator, named ``op``, over variables named like its inputs."""
    with mx.name.NameManager():
        variables = {name: mx.sym.Variable(name) for name in row.all_names}
        extra = {} if row.name is None else {"name": row.name}
        return call(find(mx.sym, row.op), row, variables, **extra)


def observe(mx: Any, row: Case) -> Result:
    """Everything that is recorded of a row. ``LookupError`` when a face has no such operator."""
    for face in row.faces:
        if find(getattr(mx, face), row.op) is None:
            raise LookupError(f"mx.{face} has no {row.op}; say so with faces=")
    if isinstance(row, Bad):
        return Result({"errors": {face: raised(mx, row, face) for face in row.faces}}, {})
    if isinstance(row, Sampled):
        found = {face: describe(sample(mx, row, face)) for face in row.faces}  # type: dict[str, Any]
        return Result(dict(found, nodes=nodes(compose(mx, row)) if "sym" in row.faces else []), {})
    assert isinstance(row, Row)
    facts, arrays = {}, {}  # type: dict[str, Any], dict[str, np.ndarray]
    if "sym" in row.faces:
        facts.update(symbol_facts(mx, row, compose(mx, row)))
        arrays.update(run_symbol(mx, row))
    if "nd" in row.faces:
        arrays.update(run_imperative(mx, row))
    return Result(facts, arrays)


# -- what a symbol knows of itself ------------------------------------------------------------------------------


def symbol_facts(mx: Any, row: Row, symbol: Any) -> dict[str, Any]:
    """Names, nodes, and what inference finds from all inputs and from each single one."""
    shapes = {name: array.shape for name, array in row.arrays().items()}
    dtypes = {name: array.dtype.name for name, array in row.arrays().items()}
    first = dict(list(dtypes.items())[:1])
    return {
        "arguments": symbol.list_arguments(),
        "outputs": symbol.list_outputs(),
        "auxiliary": symbol.list_auxiliary_states(),
        "nodes": nodes(symbol),
        "shapes": _lists(symbol.infer_shape(**shapes)),
        "types": _type_names(symbol.infer_type(**dtypes)),
        "shapes_from": {name: _partial_shapes(symbol, {name: shapes[name]}) for name in list(shapes)[:PARTIAL_INPUTS]},
        "types_from_first": _partial_types(symbol, first),
        "automatic": _automatic_inputs(mx, row),
    }


def nodes(symbol: Any) -> list:
    """Operator and attributes of each node that is no variable."""
    found = json.loads(symbol.tojson())["nodes"]
    return [[node["op"], node.get("attrs", {})] for node in found if node["op"] != "null"]


def _lists(found: Any) -> list:
    return [None if group is None else [list(shape) for shape in group] for group in found]


def _type_names(found: Any) -> list:
    return [None if group is None else [None if t is None else np.dtype(t).name for t in group] for group in found]


def _partial_shapes(symbol: Any, known: dict[str, tuple]) -> list | None:
    """Argument, output and auxiliary shapes inferred from some of them; None where inference raises."""
    try:
        return _lists(symbol.infer_shape_partial(**known))
    except RuntimeError:  # MXNetError is one: some of the original's rules insist on inputs they were not given
        return None


def _partial_types(symbol: Any, known: dict[str, str]) -> list | None:
    try:
        return _type_names(symbol.infer_type_partial(**known))
    except RuntimeError:
        return None


def _automatic_inputs(mx: Any, row: Row) -> list | None:
    """Arguments and auxiliary states when only the first input is given; None where that raises."""
    names = row.all_names
    if row.name is None or not names or by_position(names[0]):
        return None
    try:
        symbol = call(find(mx.sym, row.op), row, {names[0]: mx.sym.Variable(names[0])}, name=row.name)
        return [symbol.list_arguments(), symbol.list_auxiliary_states()]
    except (RuntimeError, TypeError, AssertionError, ValueError):
        return None


# -- the two faces ----------------------------------------------------------------------------------------------


def bind(mx: Any, row: Case, symbol: Any, gradients: list[str]) -> Any:
    """An executor of the row's symbol, filled with the row's values."""
    arrays = row.arrays()
    missing = set(symbol.list_arguments()) - set(arrays)
    if missing and not isinstance(row, Bad):
        raise ValueError(f"{row!r}: the row gives no values for {sorted(missing)}")
    requests = {name: "write" if name in gradients else "null" for name in arrays} if arrays else "null"  # type: Any
    types = {name: array.dtype for name, array in arrays.items()}
    shapes = {name: array.shape for name, array in arrays.items()}
    executor = symbol.simple_bind(mx.cpu(), grad_req=requests, type_dict=types, **shapes)
    for name, array in arrays.items():
        executor.arg_dict[name][:] = array
    for name, array in row.aux_arrays().items():
        executor.aux_dict[name][:] = array
    return executor


def run_symbol(mx: Any, row: Row) -> dict[str, np.ndarray]:
    """Outputs, gradients and auxiliary states after one forward and backward, and arguments that these changed."""
    arrays = row.arrays()
    gradients = row.gradient_names(arrays)
    executor = bind(mx, row, compose(mx, row), gradients)
    executor.forward(is_train=row.train)
    outputs = [output.asnumpy() for output in executor.outputs]
    if gradients:
        heads = row.head_arrays([(output.shape, output.dtype.name) for output in outputs])
        executor.backward(None if heads is None else [_array(mx, head) for head in heads])
        mx.nd.waitall()  # the original's engine does not know that backward writes auxiliary states
    found = {f"sym/output{i}": output for i, output in enumerate(outputs)}
    found.update({f"sym/grad/{name}": executor.grad_dict[name].asnumpy() for name in gradients})
    found.update({f"sym/aux/{name}": executor.aux_dict[name].asnumpy() for name in row.aux})
    after = {name: executor.arg_dict[name].asnumpy() for name in arrays}
    found.update({f"sym/after/{name}": after[name] for name in arrays if not same_bits(after[name], arrays[name])})
    return found


def run_imperative(mx: Any, row: Row) -> dict[str, np.ndarray]:
    """Outputs, gradients, and every input and auxiliary state that the call changed."""
    arrays = row.arrays()
    before = dict(arrays, **row.aux_arrays())
    handles = {name: _array(mx, array) for name, array in before.items()}
    function = find(mx.nd, row.op)
    gradients = row.gradient_names(arrays)
    for name in gradients:
        handles[name].attach_grad()
    if gradients:
        with mx.autograd.record(train_mode=row.train):
            results = _as_list(call(function, row, handles))
        outputs = [result.asnumpy() for result in results]
        heads = row.head_arrays([(output.shape, output.dtype.name) for output in outputs])
        mx.autograd.backward(results, None if heads is None else [_array(mx, head) for head in heads])
        mx.nd.waitall()
    else:
        with mx.autograd.train_mode() if row.train else mx.autograd.predict_mode():
            extra = {"out": [handles[name] for name in row.out]} if row.out else {}
            outputs = [result.asnumpy() for result in _as_list(call(function, row, handles, **extra))]
    found = {f"nd/output{i}": output for i, output in enumerate(outputs)}
    found.update({f"nd/grad/{name}": handles[name].grad.asnumpy() for name in gradients})
    after = {name: handle.asnumpy() for name, handle in handles.items()}
    found.update({f"nd/after/{name}": after[name] for name in before if not same_bits(after[name], before[name])})
    return found


def same_bits(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two arrays agree in type, shape and every bit."""
    return first.dtype == second.dtype and first.shape == second.shape and first.tobytes() == second.tobytes()


def _array(mx: Any, value: np.ndarray) -> Any:
    return mx.nd.array(value, dtype=value.dtype)


def _as_list(result: Any) -> list:
    return list(result) if isinstance(result, (list, tuple)) else [result]


# -- draws and errors -------------------------------------------------------------------------------------------


def sample(mx: Any, row: Case, face: str) -> list[np.ndarray]:
    """The outputs of one call without gradients."""
    if face == "sym":
        outputs = bind(mx, row, compose(mx, row), []).forward(is_train=row.train)
        return [output.asnumpy() for output in outputs]
    handles = {name: _array(mx, array) for name, array in dict(row.arrays(), **row.aux_arrays()).items()}
    with mx.autograd.train_mode() if row.train else mx.autograd.predict_mode():
        return [output.asnumpy() for output in _as_list(call(find(mx.nd, row.op), row, handles))]


def describe(outputs: list[np.ndarray]) -> list:
    """Shape and type of each output."""
    return [[list(output.shape), output.dtype.name] for output in outputs]


def failure(mx: Any, row: Case, face: str) -> Exception | None:
    """What composing, binding and running the row on one face raises; None when nothing does."""
    try:
        sample(mx, row, face)
        mx.nd.waitall()
    except Exception as error:  # noqa: BLE001 - the class is what is asked for
        return error
    return None


def raised(mx: Any, row: Case, face: str) -> str:
    """The class name of ``failure``, or 'none'."""
    error = failure(mx, row, face)
    return "none" if error is None else type(error).__name__
