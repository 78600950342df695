"""DataParallelExecutorGroup: one executor for each context, each with its part of the batch."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from mxcompat import context as ctx
from mxcompat import ndarray as nd
from mxcompat.base import MXNetError, _as_list
from mxcompat.dtype import DTYPE_MX_TO_NP
from mxcompat.executor_manager import _split_input_slice
from mxcompat.io import DataDesc

__all__ = ["DataParallelExecutorGroup"]

#: executors for other shapes that a group keeps; the shapes used longest ago go first
KEPT_SHAPES = 8


def _copy_part(source: Any, target: nd.NDArray, axis: int, part: slice | None, name: str) -> None:
    """Copy ``source``, or its ``part`` along ``axis``, into a bound array: one copy, with the array's own type."""
    if not isinstance(source, nd.NDArray):
        source = nd.array(source, dtype=target.dtype)
    if source._storage is not None or target._storage is not None:  # sparse
        if part is not None and axis == 0 and (part.start != 0 or part.stop != source.shape[0]):
            source = source[part]
        if source.shape != target.shape:
            raise MXNetError(f"forward: {name} has shape {source.shape}, expected {target.shape} as bound")
        source.copyto(target)
        return
    data, bound = source._data, target._data
    if part is not None and axis >= 0 and (part.start != 0 or part.stop != data.shape[axis]):
        if data.ndim <= axis or part.stop > data.shape[axis]:
            raise MXNetError(f"forward: {name} has shape {tuple(data.shape)}, expected {part.stop} along axis {axis}")
        data = data.narrow(axis, part.start, part.stop - part.start)
    if data.shape != bound.shape:
        raise MXNetError(f"forward: {name} has shape {tuple(data.shape)}, expected {target.shape} as bound")
    if data.data_ptr() != bound.data_ptr() or data.dtype is not bound.dtype:
        bound.copy_(data)


def _load_general(data: Any, targets: Any, major_axis: Any, names: Sequence[str] = ()) -> None:
    """Copy arrays into bound ones: each target is an array, a list of arrays (from a list of as many), or a list of
    ``(slice, array)`` that take the parts of one array along its axis (all of it where the axis is -1)."""
    names = [*names, *(f"array {i}" for i in range(len(names), len(targets)))]
    for source, target, axis, name in zip(data, targets, major_axis, names):
        if isinstance(target, nd.NDArray):
            _copy_part(source, target, axis, None, name)
        elif isinstance(source, (list, tuple)):
            for one_source, one_target in zip(source, target):
                _copy_part(one_source, one_target, axis, None, name)
        else:
            for part, one_target in target:
                _copy_part(source, one_target, axis, part, name)


def _load(batch: Any, what: str, targets: Any, major_axis: Any, names: Sequence[str]) -> None:
    if isinstance(batch, list):  # one batch for each device
        parts = [[getattr(one, what)[i] for one in batch] for i in range(len(targets))]
        _load_general(parts, [[array for _, array in target] for target in targets], major_axis, names)
    else:
        _load_general(getattr(batch, what), targets, major_axis, names)


def _load_data(batch: Any, targets: Any, major_axis: Any, names: Sequence[str] = ()) -> None:
    """Copy the data of a batch, or of a list with one batch for each device, into the bound arrays."""
    _load(batch, "data", targets, major_axis, names)


def _load_label(batch: Any, targets: Any, major_axis: Any, names: Sequence[str] = ()) -> None:
    """Copy the labels of a batch, or of a list with one batch for each device, into the bound arrays."""
    _load(batch, "label", targets, major_axis, names)


def _merge_multi_context(outputs: Any, major_axis: Any) -> list:
    """Join each list of parts along its batch axis; the first part stands for all where there is no batch axis."""
    return [
        parts[0]
        if axis < 0 or len(parts) == 1
        else nd.concat(*[part.as_in_context(parts[0].context) for part in parts], dim=axis)
        for parts, axis in zip(outputs, major_axis)
    ]


def _prepare_group2ctxs(group2ctxs: Any, ctx_len: int) -> list:
    """One ``group2ctx`` for each device, from a list of them or from a dict of contexts or lists of contexts."""
    if group2ctxs is None:
        return [None] * ctx_len
    if isinstance(group2ctxs, list):
        if len(group2ctxs) != ctx_len:
            raise AssertionError(
                f"group2ctxs has {len(group2ctxs)} entries, expected one for each of {ctx_len} contexts"
            )
        return group2ctxs
    if not isinstance(group2ctxs, dict):
        raise AssertionError(f"group2ctxs must be a list of dicts or a dict, found {type(group2ctxs)}")
    result: list[dict] = [{} for _ in range(ctx_len)]
    for group, contexts in group2ctxs.items():
        contexts = [contexts] if isinstance(contexts, ctx.Context) else list(contexts)
        if len(contexts) not in (1, ctx_len):
            raise AssertionError(f"group2ctxs[{group!r}] has {len(contexts)} contexts, expected 1 or {ctx_len}")
        for i in range(ctx_len):
            result[i][group] = contexts[i % len(contexts)]
    return result


def _descriptions(shapes: Any) -> list[DataDesc] | None:
    return None if shapes is None else [x if isinstance(x, DataDesc) else DataDesc(*x) for x in shapes]


class DataParallelExecutorGroup:
    """Executors of one symbol on several contexts.

    ``execs`` are the executors; ``data_arrays`` and ``label_arrays`` hold, for each input, ``(slice of the batch, bound
    array)`` of each executor; ``param_arrays``, ``grad_arrays``, ``aux_arrays``, ``state_arrays`` and
    ``input_grad_arrays`` hold, for each name, one array of each executor. ``slices`` are the parts of the batch.
    """

    def __init__(
        self, symbol: Any, contexts: Sequence[ctx.Context], workload: Sequence[float], data_shapes: Any,
        label_shapes: Any, param_names: Sequence[str], for_training: bool, inputs_need_grad: bool,
        shared_group: DataParallelExecutorGroup | None = None, logger: Any = logging,
        fixed_param_names: Sequence[str] | None = None, grad_req: Any = "write",
        state_names: Sequence[str] | None = None, group2ctxs: Any = None,
    ):  # fmt: skip
        self.param_names = param_names
        self.arg_names = symbol.list_arguments()
        self.aux_names = symbol.list_auxiliary_states()
        self.symbol = symbol
        self.contexts = contexts
        self.workload = workload
        self.group2ctxs = _prepare_group2ctxs(group2ctxs, len(contexts))
        self.for_training = for_training
        self.inputs_need_grad = inputs_need_grad
        self.logger = logger
        self.fixed_param_names = list(fixed_param_names) if fixed_param_names is not None else []
        self.state_names = list(state_names) if state_names is not None else []
        descriptions = _descriptions(data_shapes)
        assert descriptions is not None
        self.grad_req = self._requests(grad_req if for_training else "null", [x.name for x in descriptions])
        self.shared_data_arrays: list[dict] = (
            [{} for _ in contexts] if shared_group is None else shared_group.shared_data_arrays
        )
        self.batch_size: int | None = None
        self.slices: list[slice] | None = None
        self.execs: list = []
        self._default_execs: list | None = None
        self._reshaped: OrderedDict[Any, list] = OrderedDict()
        self.label_names: list[str] = []
        self.label_layouts: list[int] = []
        self.output_names = symbol.list_outputs()
        self.num_outputs = len(self.output_names)
        self.output_layouts = [
            DataDesc.get_batch_axis(symbol[index].attr("__layout__")) for index in range(self.num_outputs)
        ]
        self.bind_exec(descriptions, _descriptions(label_shapes), shared_group)

    def _requests(self, grad_req: Any, data_names: Sequence[str]) -> dict[str, str]:
        """``grad_req`` of each argument: parameters take it, inputs where their gradients are wanted, others none."""
        if isinstance(grad_req, (list, tuple)):
            if len(grad_req) != len(self.arg_names):
                raise AssertionError(f"grad_req has {len(grad_req)} entries for the {len(self.arg_names)} arguments")
            return dict(zip(self.arg_names, grad_req))
        if not isinstance(grad_req, (str, dict)):
            raise ValueError(f"grad_req must be a string, a list, a tuple or a dict, found {type(grad_req)}")
        usual = grad_req if isinstance(grad_req, str) else "write"
        wanted = {name for name in self.param_names if name not in self.fixed_param_names}
        if self.inputs_need_grad:
            wanted.update(data_names)
        requests = {name: usual if name in wanted else "null" for name in self.arg_names}
        if isinstance(grad_req, dict):
            requests.update(grad_req)
        return requests

    # -- binding ------------------------------------------------------------------------------------------------

    def decide_slices(self, data_shapes: Sequence[DataDesc]) -> list[int]:
        """The batch axis of each input (-1: none); sets ``batch_size`` and ``slices``, and checks that inputs agree."""
        if not data_shapes and self.batch_size is None:
            raise AssertionError("bind: data_shapes is empty, expected at least one input")
        major_axis = [DataDesc.get_batch_axis(x.layout) for x in data_shapes]
        for (name, shape), axis in zip(data_shapes, major_axis):
            if axis == -1:
                continue
            if self.batch_size is None:
                self.batch_size = shape[axis]
                self.slices = _split_input_slice(self.batch_size, self.workload)
            elif shape[axis] != self.batch_size:
                raise AssertionError(
                    f"all data must have the same batch size: batch_size = {self.batch_size}, but {name} has shape {shape}"
                )
        return major_axis

    def _part(self, i: int) -> slice:
        """The part of the batch that the i-th executor takes (inputs without a batch axis have no parts)."""
        return self.slices[i] if self.slices else slice(i, i + 1)

    @property
    def _total_exec_bytes(self) -> int:
        """Size of the executors' arrays as ``Executor.debug_str`` tells it: in MB, whatever the original's name says."""
        return sum(int(executor.debug_str().split("\n")[-3].split()[1]) for executor in self.execs)

    def bind_exec(
        self,
        data_shapes: Sequence[DataDesc],
        label_shapes: Sequence[DataDesc] | None,
        shared_group: DataParallelExecutorGroup | None = None,
        reshape: bool = False,
    ) -> None:
        """Make the executors for these shapes; with ``reshape`` from those there are, whose memory they share."""
        if self.execs and not reshape:
            raise AssertionError("bind_exec: the group has executors already, give reshape=True")
        before = self.batch_size, self.slices
        self.batch_size = None
        try:
            data_layouts = self.decide_slices(data_shapes)
            label_layouts = self.decide_slices(label_shapes) if label_shapes is not None else []
            if reshape:
                self.execs = self._reshaped_execs(data_shapes, data_layouts, label_shapes or [], label_layouts)
            else:
                for i in range(len(self.contexts)):
                    data_part = self._sliced_shape(data_shapes, i, data_layouts)
                    label_part = self._sliced_shape(label_shapes or [], i, label_layouts)
                    self.execs.append(self._bind_ith_exec(i, data_part, label_part, shared_group))
        except Exception:
            self.batch_size, self.slices = before
            raise
        self.data_shapes, self.label_shapes = data_shapes, label_shapes
        self.data_layouts, self.data_names = data_layouts, [x.name for x in data_shapes]
        if label_shapes is not None:
            self.label_layouts, self.label_names = label_layouts, [x.name for x in label_shapes]
        self._collect_arrays()

    def _reshaped_execs(self, data_shapes: Any, data_layouts: Any, label_shapes: Any, label_layouts: Any) -> list:
        """Executors for other shapes. They are kept: a smaller last batch comes back every epoch."""
        assert self._default_execs is not None
        key = tuple((x.name, tuple(x.shape), x.layout) for x in (*data_shapes, *label_shapes))
        execs = self._reshaped.pop(key, None)
        if execs is None:
            execs = []
            for i, executor in enumerate(self._default_execs):
                parts = self._sliced_shape(data_shapes, i, data_layouts)
                parts += self._sliced_shape(label_shapes, i, label_layouts)
                shapes = {x.name: x.shape for x in parts}
                same = all(executor.arg_dict[n].shape == s for n, s in shapes.items() if n in executor.arg_dict)
                execs.append(executor if same else executor.reshape(allow_up_sizing=True, **shapes))
        self._reshaped[key] = execs
        if len(self._reshaped) > KEPT_SHAPES:
            self._reshaped.popitem(last=False)
        return list(execs)

    def _bind_ith_exec(
        self, i: int, data_shapes: list[DataDesc], label_shapes: list[DataDesc], shared_group: Any
    ) -> Any:
        input_types = {x.name: x.dtype for x in data_shapes}
        for name, attributes in self.symbol.attr_dict().items():
            code = attributes.get("__dtype__", "-1")
            if name in input_types and code != "-1":
                input_types[name] = DTYPE_MX_TO_NP[int(code)]
        input_types.update((x.name, x.dtype) for x in label_shapes)
        shapes = {x.name: x.shape for x in (*data_shapes, *label_shapes)}
        unknown = [name for name in shapes if name not in self.arg_names and name not in self.aux_names]
        if unknown:
            raise KeyError(f"{unknown[0]!r}: bind gives a shape for it, but the symbol has the inputs {self.arg_names}")
        return self.symbol.simple_bind(
            ctx=self.contexts[i],
            grad_req=self.grad_req,
            type_dict=input_types,
            shared_arg_names=self.param_names,
            shared_exec=None if shared_group is None else shared_group.execs[i],
            group2ctx=self.group2ctxs[i],
            shared_buffer=self.shared_data_arrays[i],
            **shapes,
        )

    def _sliced_shape(self, shapes: Sequence[DataDesc], i: int, major_axis: Sequence[int]) -> list[DataDesc]:
        """The descriptions with the i-th executor's part of the batch."""
        sliced = []
        for desc, axis in zip(shapes, major_axis):
            shape = list(desc.shape)
            if axis >= 0:
                part = self._part(i)
                shape[axis] = part.stop - part.start
            sliced.append(DataDesc(desc.name, tuple(shape), desc.dtype, desc.layout))
        return sliced

    def _collect_arrays(self) -> None:
        parameters = [i for i, name in enumerate(self.arg_names) if name in self.param_names]
        self.data_arrays = self._with_parts(self.data_shapes)
        self.label_arrays = None if self.label_shapes is None else self._with_parts(self.label_shapes)
        self.state_arrays = [[e.arg_dict[name] for e in self.execs] for name in self.state_names]
        self.param_arrays = [[e.arg_arrays[i] for e in self.execs] for i in parameters]
        self.grad_arrays = [[e.grad_arrays[i] for e in self.execs] for i in parameters] if self.for_training else None
        self.input_grad_arrays = None
        if self.inputs_need_grad:
            places = [self.arg_names.index(name) for name, _ in self.data_shapes if name in self.arg_names]
            self.input_grad_arrays = [[e.grad_arrays[i] for e in self.execs] for i in places]
        self.aux_arrays = [[e.aux_arrays[i] for e in self.execs] for i in range(len(self.aux_names))]

    def _with_parts(self, shapes: Sequence[DataDesc]) -> list[list[tuple[slice, Any]]]:
        return [[(self._part(i), e.arg_dict[name]) for i, e in enumerate(self.execs)] for name, _ in shapes]

    def reshape(self, data_shapes: Sequence[DataDesc], label_shapes: Sequence[DataDesc] | None) -> None:
        """Change the shapes of the inputs; parameters, gradients and auxiliary states stay where they are."""
        if data_shapes == self.data_shapes and label_shapes == self.label_shapes:
            return
        if self._default_execs is None:
            self._default_execs = list(self.execs)
        self.release()
        self.bind_exec(data_shapes, label_shapes, reshape=True)

    def release(self) -> None:
        """Free what the executors keep for a backward: others, which stand for the same memory, run next."""
        for executor in self.execs:
            executor.release()

    # -- parameters ---------------------------------------------------------------------------------------------

    def set_params(self, arg_params: dict, aux_params: dict, allow_extra: bool = False) -> None:
        """Copy parameters into every executor; ``ValueError`` for a name that is not there unless ``allow_extra``."""
        for executor in self.execs:
            _check_shapes(arg_params, executor.arg_dict)
            _check_shapes(aux_params or {}, executor.aux_dict)
            executor.copy_params_from(arg_params, aux_params, allow_extra_params=allow_extra)

    def get_params(self, arg_params: dict, aux_params: dict) -> None:
        """Write the mean over the executors into the given arrays."""
        for names, blocks, found in (
            (self.param_names, self.param_arrays, arg_params),
            (self.aux_names, self.aux_arrays, aux_params),
        ):
            for name, block in zip(names, blocks):
                _mean(block).copyto(found[name])

    # -- running ------------------------------------------------------------------------------------------------

    def forward(self, data_batch: Any, is_train: bool | None = None) -> None:
        """Load a batch (or a list with one batch for each device) and run every executor."""
        _load_data(data_batch, self.data_arrays, self.data_layouts, self.data_names)
        first = data_batch[0] if isinstance(data_batch, list) else data_batch
        if self.label_arrays is not None and getattr(first, "label", None):
            _load_label(data_batch, self.label_arrays, self.label_layouts, self.label_names)
        for executor in self.execs:
            executor.forward(is_train=self.for_training if is_train is None else is_train)

    def backward(self, out_grads: Any = None) -> None:
        """Run every executor backward, each with its part of the head gradients."""
        if not self.for_training:
            raise AssertionError("backward: the module is bound for inference, bind it with for_training=True")
        heads = [] if out_grads is None else _as_list(out_grads)
        for i, executor in enumerate(self.execs):
            executor.backward([self._head_part(head, axis, i) for head, axis in zip(heads, self.output_layouts)])

    def _head_part(self, head: Any, axis: int, i: int) -> Any:
        if head is None:
            return None
        part = self._part(i)
        if axis >= 0 and (part.start != 0 or part.stop != head.shape[axis]):
            head = nd.slice_axis(head, axis=axis, begin=part.start, end=part.stop)
        return head.as_in_context(self.contexts[i])

    def get_output_shapes(self) -> list[tuple[str, tuple[int, ...]]]:
        """``(name, shape)`` of each output, for the whole batch."""
        found = []
        for name, output, axis in zip(self.output_names, self.execs[0].outputs, self.output_layouts):
            shape = list(output.shape)
            if axis >= 0:
                shape[axis] = self.batch_size
            found.append((name, tuple(shape)))
        return found

    def get_outputs(self, merge_multi_context: bool = True, begin: int = 0, end: int | None = None) -> list:
        """The outputs ``begin`` to ``end``, joined along the batch axis, or a list of the executors' for each output."""
        outputs = [[e.outputs[i] for e in self.execs] for i in range(begin, self.num_outputs if end is None else end)]
        return _merge_multi_context(outputs, self.output_layouts[begin:]) if merge_multi_context else outputs

    def get_input_grads(self, merge_multi_context: bool = True) -> list:
        """Gradients of the inputs, joined along the batch axis, or a list of the executors' for each input."""
        if self.input_grad_arrays is None:
            raise AssertionError("get_input_grads: bind the module with inputs_need_grad=True")
        return (
            _merge_multi_context(self.input_grad_arrays, self.data_layouts)
            if merge_multi_context
            else self.input_grad_arrays
        )

    def get_states(self, merge_multi_context: bool = True) -> list:
        """The arrays of the states: a list for each state with one array for each executor."""
        if merge_multi_context:
            raise AssertionError("get_states: states are not merged over contexts, give merge_multi_context=False")
        return self.state_arrays

    def set_states(self, states: Any = None, value: Any = None) -> None:
        """Write the states: from a list like ``get_states`` gives, or one number everywhere."""
        if (states is None) == (value is None):
            raise AssertionError("set_states: give either states or value")
        if states is not None:
            if not all(isinstance(state, (list, tuple)) for state in states):
                raise TypeError("set_states: states must be a list for each state, with one array for each context")
            _load_general(states, self.state_arrays, (0,) * len(states), self.state_names)
            return
        for arrays in self.state_arrays:
            for array in arrays:
                array[:] = value

    def update_metric(self, eval_metric: Any, labels: Any, pre_sliced: bool = False) -> None:
        """Add every executor's outputs to the metric, with its part of the labels (given in parts if ``pre_sliced``)."""
        for i, executor in enumerate(self.execs):
            if pre_sliced:
                parts = labels[i]
            else:
                parts = [self._label_part(label, axis, i) for label, axis in zip(labels or [], self.label_layouts)]
            outputs = OrderedDict(zip(self.output_names, executor.outputs))
            eval_metric.update_dict(OrderedDict(zip(self.label_names, parts)), outputs)

    def _label_part(self, label: Any, axis: int, i: int) -> Any:
        part = self._part(i)
        if axis < 0 or (part.start == 0 and part.stop == label.shape[axis]):
            return label
        return label[part] if axis == 0 else nd.slice_axis(label, axis=axis, begin=part.start, end=part.stop)

    def install_monitor(self, mon: Any) -> None:
        """Let a Monitor watch every executor."""
        for executor in self.execs:
            mon.install(executor)


def _mean(block: Sequence[Any]) -> Any:
    """The mean of the devices' arrays, on the cpu."""
    if len(block) == 1:
        return block[0]
    return sum(array.copyto(ctx.cpu()) for array in block) / len(block)


def _check_shapes(given: dict, bound: dict) -> None:
    for name, value in given.items():
        if name in bound and value.shape != bound[name].shape:
            raise MXNetError(f"set_params: {name} has shape {value.shape}, expected {bound[name].shape} as bound")
