"""Control flow over subgraphs: a loop over the first axis, a loop with a condition, a choice.

The operators see their subgraphs through four methods (``mxcompat.symbol.subgraph``): ``count`` inputs,
``infer_shapes(ins)`` and ``infer_types(ins)`` -> (ins, outs) refined, ``run(tensors, is_train)`` -> outputs. The bodies
are Python loops, so a graph that holds one stays eager, and autograd differentiates what has really run.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from mxcompat.base import MXNetError
from mxcompat.ops.registry import register
from mxcompat.ops.schema import Int, Params, Shape, Subgraphs, TrainMode
from mxcompat.ops.shape import merge

Locations = Shape


def _instance(fn: Callable) -> Callable:
    """What a bound node runs: the body over this node's own subgraphs."""

    def instantiate(params: Params, context: Any, *known: Any) -> Callable:
        def run(*tensors, is_train=False):
            return fn(*tensors, is_train=is_train, **params)

        run.__name__ = fn.__name__
        return run

    return instantiate


def _inputs(subgraphs: int) -> Callable:
    return lambda params: tuple(f"data{i}" for i in range(params.num_args - subgraphs))


def _results(tensors: Sequence) -> Any:
    return tuple(tensors) if len(tensors) != 1 else tensors[0]


def _control(name: str, subgraphs: int, infer_shape: Callable, infer_type: Callable) -> Callable:
    """Registration of a control-flow operator over so many subgraphs."""

    def decorate(fn: Callable) -> Callable:
        return register(
            name,
            active=_inputs(subgraphs),
            variadic="num_args",
            counts_itself=False,
            infer_shape=infer_shape,
            infer_type=infer_type,
            outputs=lambda params: params.num_outputs,
            instantiate=_instance(fn),
            traceable=False,
            random=True,
            may_view=True,
        )(fn)

    return decorate


def _merged(known: Any, new: Any, shapes: bool, what: str) -> Any:
    if new is None or known is None:
        return known if new is None else new
    if shapes:
        return merge(known, new, what)
    if known is not new:
        raise MXNetError(f"{what} has type {known}, expected {new}")
    return known


def _infer_subgraph(
    subgraph: Any, locations: Sequence[int], ins: list, shapes: bool, known: Callable | None = None
) -> list:
    """Refine ``ins`` (the operator's inputs) by a subgraph that takes those at ``locations``; its outputs."""
    given = [ins[place] for place in locations]
    if known is not None:
        given = [known(place, value) for place, value in zip(locations, given)]
    new, outs = (subgraph.infer_shapes if shapes else subgraph.infer_types)(given)
    for place, value in zip(locations, new):
        if known is None or known(place, ins[place]) is ins[place]:
            ins[place] = _merged(ins[place], value, shapes, f"input {place}")
    return outs


# -- foreach ------------------------------------------------------------------------------------------------------


def _foreach_places(params: Params) -> list[int]:
    """The operator's input for each input of the subgraph."""
    order = (*params.in_data_locs, *params.in_state_locs, *params.remain_locs)
    places = [0] * len(order)
    for place, location in enumerate(order):
        places[location] = place
    return places


def _foreach_rule(shapes: bool) -> Callable:
    def rule(params: Params, ins: list, outs: list) -> tuple[list, list]:
        ins, outs = list(ins), list(outs)
        steps, data = -1, len(params.in_data_locs)
        if shapes:
            for shape in [*ins[:data], *outs[: params.num_out_data]]:
                if shape is not None and not shape:
                    raise MXNetError("foreach: the data has no axis to run over")
                if shape is not None and shape[0] != -1:
                    if steps not in (-1, shape[0]):
                        raise MXNetError(f"foreach: the data have first axes of {steps} and {shape[0]}")
                    steps = shape[0]

        def one_step(place: int, value: Any) -> Any:
            if not shapes or place >= data or value is None:
                return value
            return value[1:] or (1,)  # Compat: a slice of one axis is an array of one element

        for i, out in enumerate(outs[params.num_out_data :]):  # a state keeps its shape and type
            ins[data + i] = _merged(ins[data + i], out, shapes, f"state {i}")
        results = _infer_subgraph(params.subgraphs[0], _foreach_places(params), ins, shapes, one_step)
        for i, result in enumerate(results):
            if i < params.num_out_data:
                if result is not None:
                    outs[i] = _merged(outs[i], (steps, *result) if shapes else result, shapes, f"output {i}")
            else:
                state = data + i - params.num_out_data
                ins[state] = _merged(ins[state], result, shapes, f"state {i - params.num_out_data}")
                outs[i] = ins[state]
        return ins, outs

    return rule


@_control("_foreach", 1, _foreach_rule(True), _foreach_rule(False))
def foreach(
    *args,
    num_args: Int(min=1),
    num_outputs: Int,
    num_out_data: Int,
    in_state_locs: Locations,
    in_data_locs: Locations,
    remain_locs: Locations,
    subgraphs: Subgraphs,
    is_train: TrainMode = False,
):
    """Run a subgraph on each slice of the data along axis 0, handing states on from step to step.

    Inputs are the data, the first states and what else the subgraph needs; outputs are the stacked results (steps, ...)
    and the last states.
    """
    data = len(in_data_locs)
    places = _foreach_places(Params(in_data_locs=in_data_locs, in_state_locs=in_state_locs, remain_locs=remain_locs))
    steps, current = args[0].shape[0], list(args)
    if steps == 0:
        raise MXNetError("_foreach: the data have no steps: expected a first axis of at least 1")
    collected: list = [[] for _ in range(num_out_data)]
    for step in range(steps):
        current[:data] = [tensor[step] if tensor.ndim > 1 else tensor[step : step + 1] for tensor in args[:data]]
        results = subgraphs[0].run([current[place] for place in places], is_train)
        for column, result in zip(collected, results):
            column.append(result)
        current[data : data + num_outputs - num_out_data] = results[num_out_data:]
    return _results([*map(torch.stack, collected), *current[data : data + num_outputs - num_out_data]])


# -- while_loop ---------------------------------------------------------------------------------------------------


def _while_rule(shapes: bool) -> Callable:
    def rule(params: Params, ins: list, outs: list) -> tuple[list, list]:
        ins, outs = list(ins), list(outs)
        variables = [params.func_input_locs[location] for location in params.func_var_locs]
        for place, out in zip(variables, outs[params.num_out_data :]):
            ins[place] = _merged(ins[place], out, shapes, f"loop variable {place}")
        _infer_subgraph(params.subgraphs[0], params.cond_input_locs, ins, shapes)
        results = _infer_subgraph(params.subgraphs[1], params.func_input_locs, ins, shapes)
        for i, result in enumerate(results[: params.num_out_data]):
            if result is not None:
                outs[i] = _merged(
                    outs[i], (params.max_iterations, *result) if shapes else result, shapes, f"output {i}"
                )
        for i, (place, result) in enumerate(zip(variables, results[params.num_out_data :])):
            ins[place] = _merged(ins[place], result, shapes, f"loop variable {i}")
            outs[params.num_out_data + i] = ins[place]
        return ins, outs

    return rule


@_control("_while_loop", 2, _while_rule(True), _while_rule(False))
def while_loop(
    *args,
    num_args: Int(min=2),
    num_outputs: Int(min=1),
    num_out_data: Int(min=0),
    max_iterations: Int(min=1),
    cond_input_locs: Locations,
    func_input_locs: Locations,
    func_var_locs: Locations,
    subgraphs: Subgraphs,
    is_train: TrainMode = False,
):
    """Run the second subgraph while the first gives a true value, at most ``max_iterations`` times.

    Outputs are the stacked results of the steps (max_iterations, ...), zero behind the last step, and the final loop
    variables.
    """
    current = list(args)
    variables = [func_input_locs[location] for location in func_var_locs]
    collected: list = [[] for _ in range(num_out_data)]
    for _ in range(max_iterations):
        if not _truth(subgraphs[0].run([current[place] for place in cond_input_locs], is_train)[0], "_while_loop"):
            break
        results = subgraphs[1].run([current[place] for place in func_input_locs], is_train)
        for column, result in zip(collected, results):
            column.append(result)
        for place, result in zip(variables, results[num_out_data:]):
            if result.shape != current[place].shape:
                raise MXNetError(
                    f"_while_loop: a loop variable of shape {tuple(current[place].shape)} became {tuple(result.shape)}"
                )
            current[place] = result
    stacked = []
    for i, column in enumerate(collected):
        if column:
            rest = column[0].new_zeros((max_iterations - len(column), *column[0].shape))
            stacked.append(torch.cat([torch.stack(column), rest]) if rest.shape[0] else torch.stack(column))
        else:
            stacked.append(_nothing(subgraphs[1], [current[place] for place in func_input_locs], i, max_iterations))
    return _results([*stacked, *(current[place] for place in variables)])


def _truth(tensor: torch.Tensor, name: str) -> bool:
    if tensor.numel() != 1:
        raise MXNetError(f"{name}: the condition has shape {tuple(tensor.shape)}, expected one element")
    return bool(tensor.item())


def _nothing(subgraph: Any, tensors: Sequence[torch.Tensor], output: int, steps: int) -> torch.Tensor:
    """The stacked output of a loop that never ran."""
    _, shapes = subgraph.infer_shapes([tuple(tensor.shape) for tensor in tensors])
    _, types = subgraph.infer_types([tensor.dtype for tensor in tensors])
    return torch.zeros((steps, *shapes[output]), dtype=types[output] or torch.float32, device=tensors[0].device)


# -- cond ---------------------------------------------------------------------------------------------------------


def _cond_rule(shapes: bool) -> Callable:
    def rule(params: Params, ins: list, outs: list) -> tuple[list, list]:
        ins, outs = list(ins), list(outs)
        _infer_subgraph(params.subgraphs[0], params.cond_input_locs, ins, shapes)
        for subgraph, locations in zip(params.subgraphs[1:], (params.then_input_locs, params.else_input_locs)):
            for i, result in enumerate(_infer_subgraph(subgraph, locations, ins, shapes)):
                outs[i] = _merged(outs[i], result, shapes, f"output {i}")
        return ins, outs

    return rule


@_control("_cond", 3, _cond_rule(True), _cond_rule(False))
def cond(
    *args,
    num_args: Int(min=3),
    num_outputs: Int(min=1),
    cond_input_locs: Locations,
    then_input_locs: Locations,
    else_input_locs: Locations,
    subgraphs: Subgraphs,
    is_train: TrainMode = False,
):
    """Run the second subgraph if the first gives a true value, else the third."""
    chosen = _truth(subgraphs[0].run([args[place] for place in cond_input_locs], is_train)[0], "_cond")
    locations = then_input_locs if chosen else else_input_locs
    return _results(subgraphs[1 if chosen else 2].run([args[place] for place in locations], is_train))
