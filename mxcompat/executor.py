"""Executor: a symbol bound to arrays; runs its graph and differentiates it (public path: ``mxnet.executor``)."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from torch.fx import GraphModule

from mxcompat import allocator
from mxcompat.base import MXNetError, is_callback_error
from mxcompat.context import Context, torch_device
from mxcompat.graph import compile as policy
from mxcompat.graph import fuse, memory, mirror, rewrite
from mxcompat.graph.inference import Inference
from mxcompat.graph.joint import Joint, Recorder
from mxcompat.graph.lower import Lowered, asked_heads, lower, moved_states, refused_gradient
from mxcompat.graph.tap import Tap, Watched
from mxcompat.ndarray.ndarray import NDArray, _wrap, array_like, is_shared
from mxcompat.scope import WATCH
from mxcompat.symbol import infer
from mxcompat.symbol.node import topological
from mxcompat.symbol.symbol import Symbol

__all__ = ["Executor"]

#: elements from which on a gradient's memory is given back before backward makes a new one
LARGE = 1 << 16
#: the training call that is recorded; nets that take fewer steps are not worth it
RECORDED_CALL = 3


class _Mode:
    """The lowered graph and its runner for one mode; ``joint`` is a recorded call, once there is one."""

    def __init__(self, lowered: Lowered, runner: policy.Runner):
        self.lowered, self.runner = lowered, runner
        self.joint: Joint | None = None
        self.backwards = 0
        self._attempts = 3 if runner.is_traceable else 0  # a forward may go without its backward

    def recorder(self, inputs: Sequence[torch.Tensor]) -> Recorder | None:
        """What records a training call that begins now, if it is to be recorded."""
        if self._attempts == 0 or self.backwards < RECORDED_CALL - 1 or not self.runner.is_eager:
            return None
        self._attempts -= 1
        return Recorder(inputs)

    def finish(self, recorder: Recorder, call: _Call, gradients: Sequence[torch.Tensor | None]) -> None:
        """Both parts of the call are recorded."""
        self._attempts = 0
        self.joint = Joint.of(recorder, call.outputs or (), call.statistics, gradients)


class _Call:
    """What the last forward left behind for a backward: the tape, or what it takes to make one."""

    def __init__(self, is_train: bool, random_state: Any, seconds: float):
        self.is_train, self.random_state, self.seconds = is_train, random_state, seconds
        self.outputs: Sequence[torch.Tensor] | None = None
        self.statistics: Sequence[Sequence[torch.Tensor]] = ()
        self.leaves: list[torch.Tensor] = []
        self.recorder: Recorder | None = None
        self.joint: Joint | None = None
        self.saved: Sequence[torch.Tensor] = ()
        self.is_spent = False  # whether a backward has freed the tape

    def repeat(self, inputs: Sequence[torch.Tensor]) -> tuple:
        """Run the recorded forward; what its backward needs is kept here."""
        assert self.joint is not None
        outputs, statistics, self.saved = self.joint.forward(inputs)
        return outputs, statistics

    def has_gradient(self, index: int) -> bool:
        """Whether a gradient passes through an output."""
        if self.joint is not None:
            return self.joint.requires[index]
        output = (self.outputs or ())[index]
        return isinstance(output, torch.Tensor) and output.requires_grad


class Executor:
    """A bound symbol. ``outputs``, ``arg_arrays``, ``grad_arrays`` and ``aux_arrays`` are NDArrays in list order.

    The arrays given at bind are used by reference: writing them changes the next forward. Replacing an entry of
    ``arg_dict`` does not.
    """

    def __init__(
        self,
        symbol: Symbol,
        ctx: Context,
        args: Sequence[NDArray],
        grads: Sequence[NDArray | None],
        grad_req: Sequence[str],
        aux: Sequence[NDArray],
        output_shapes: Sequence[tuple[int, ...]],
        output_types: Sequence[torch.dtype],
        group2ctx: dict[str, Context] | None = None,
        created: Mapping[int, tuple] | None = None,
        instances: Mapping[int, Callable] | None = None,
    ):
        self._symbol, self._ctx, self._group2ctx = symbol, ctx, group2ctx
        self._created, self._instances = created, instances
        self._heads = list(symbol._heads)
        arguments, auxiliary = symbol._variables()
        self._variables = [*arguments, *auxiliary]
        self._arg_names = [node.name for node in arguments]
        self._aux_names = [node.name for node in auxiliary]
        self._output_names = symbol.list_outputs()
        self._device = torch_device(ctx)
        self._inputs = [*args, *aux]  # private handles: the public lists may be changed by the user
        self._grads = [grad if req != "null" else None for grad, req in zip(grads, grad_req)]
        self._grad_req = list(grad_req)
        self._wanted = [i for i, grad in enumerate(self._grads) if grad is not None and _differentiable(args[i])]
        self._constant = [
            grad for grad, array, req in zip(self._grads, args, grad_req)
            if grad is not None and req == "write" and grad._storage is None and not _differentiable(array)
        ]  # fmt: skip
        self._replaced = [
            grad for i, grad in enumerate(self._grads)
            if grad is not None and grad._storage is None and _differentiable(args[i])
            and grad_req[i] == "write" and grad.size > LARGE
        ]  # fmt: skip
        leaves = {id(self._variables[i]) for i in self._wanted}
        self._refused, self._asked_heads = refused_gradient(self._heads, leaves), asked_heads(self._heads, leaves)
        self.arg_arrays, self.aux_arrays, self.grad_arrays = list(args), list(aux), list(grads)
        self._policy, self._mirrors_cheap = policy.policy(), mirror.is_asked()
        self._modes: dict[bool, _Mode] = {}
        self._call: _Call | None = None
        self._monitor: tuple[Callable, bool] | None = None
        self._keeps_tape = False  # a backward frees the tape as it goes, until one forward sees a second backward
        self.outputs = self._output_handles(output_shapes, output_types)
        self._arg_dict = dict(zip(self._arg_names, self.arg_arrays))
        self._grad_dict = dict(zip(self._arg_names, self.grad_arrays))
        self._aux_dict = dict(zip(self._aux_names, self.aux_arrays))
        self._output_dict = dict(zip(self._output_names, self.outputs))

    def _output_handles(self, shapes: Sequence[tuple[int, ...]], types: Sequence[torch.dtype]) -> list[NDArray]:
        place = {id(variable): i for i, variable in enumerate(self._variables)}
        handles = []
        for (node, _), shape, dtype in zip(self._heads, shapes, types):
            if node.op is None:  # a bare variable: the output is the argument's memory
                handles.append(self._inputs[place[id(node)]].detach())
            else:
                # memory comes with the first forward; until then the output is one zero seen through the whole shape
                zero = torch.zeros((), dtype=dtype, device=self._device)
                handles.append(_wrap(zero.expand(shape), self._ctx))
        return handles

    # -- what it holds ------------------------------------------------------------------------------------------

    @property
    def arg_dict(self) -> dict[str, NDArray]:
        """Arguments by name."""
        return self._arg_dict

    @property
    def grad_dict(self) -> dict[str, NDArray | None]:
        """Gradient arrays by argument name, None where there is none."""
        return self._grad_dict

    @property
    def aux_dict(self) -> dict[str, NDArray]:
        """Auxiliary states by name."""
        return self._aux_dict

    @property
    def output_dict(self) -> dict[str, NDArray]:
        """Outputs by name."""
        return self._output_dict

    @property
    def graph_module(self) -> torch.fx.GraphModule:
        """The fx graph that forward runs (of the last mode used; inference before the first forward)."""
        is_train = self._call.is_train if self._call is not None else False
        return self._mode(is_train).lowered.module

    def debug_str(self) -> str:
        """The symbol's listing, and an estimate of the memory that forward and backward need beside the bound arrays."""
        order, given = self._symbol._nodes(), [*zip(self._variables, self._inputs)]
        shapes = infer.infer_shapes(order, {id(node): x.shape for node, x in given})
        types = infer.infer_types(order, {id(node): x._like.dtype for node, x in given})
        wanted = {id(self._variables[i]) for i in self._wanted}
        mirrored = {id(node) for node in order if mirror.is_mirrored(node, self._mirrors_cheap)}
        size = memory.planned_bytes(order, self._heads, wanted, shapes, types, mirrored) // 2**20
        # the last two lines are the original's: programs count from the end to find the size
        return f"{self._symbol.debug_str()}Total {size} MB allocated\nTotal 0 TempSpace resource requested\n"

    def get_optimized_symbol(self) -> Symbol:
        """The symbol itself: optimization happens below it."""
        return self._symbol

    # -- forward ------------------------------------------------------------------------------------------------

    def forward(self, is_train: bool = False, **kwargs: Any) -> list[NDArray]:
        """Run the graph; keywords are copied into the arguments of that name first. Returns ``outputs``.

        ``TypeError`` for an unknown name, ``ValueError`` for another shape than bound.
        """
        for name, value in kwargs.items():
            self._load(name, value)
        is_train = bool(is_train)
        mode = self._mode(is_train)
        self._call = None  # the old tape goes before the new one is made
        start = time.perf_counter()
        random_state = self._random_state() if mode.lowered.random and self._wanted else None
        call = _Call(is_train, random_state, 0.0)
        if self._wanted:
            for position, number in mode.lowered.forward_writes:
                self._inputs[position]._data.fill_(number)
        if self._wanted and (is_train or self._instances):  # a callback must not run again for a backward
            self._tape(call, mode)
            values: Sequence[torch.Tensor] = call.outputs or ()
        else:
            with torch.no_grad():
                values, _ = self._run(mode, self._values())
        self._show(mode.lowered, values)
        call.seconds = time.perf_counter() - start
        if not self._wanted or not is_train:
            mode.runner.record(call.seconds)
        self._call = call
        return self.outputs

    def _load(self, name: str, value: Any) -> None:
        if name not in self._arg_dict:
            raise TypeError(f"Unknown argument {name}")
        target = self._inputs[self._arg_names.index(name)]
        if not isinstance(value, (NDArray, np.ndarray)):
            value = array_like(value, target)
        if tuple(value.shape) != target.shape:
            raise ValueError(f"Shape not match! Argument {name}, need: {target.shape}, received: {tuple(value.shape)}")
        target[:] = value

    def _mode(self, is_train: bool) -> _Mode:
        mode = self._modes.get(is_train)
        if mode is None:
            wanted = set(self._wanted)
            lowered = lower(
                self._heads, self._variables, wanted, is_train, self._device, self._created, self._instances
            )
            eager: Callable = lowered.module
            traceable = lowered.traceable
            if fuse.available(self._device):
                eager = rewrite.for_training(lowered.module) if is_train else Inference(lowered.module, traceable)
            mirrors = self._mirrors() if is_train and self._wanted else {}
            if mirrors:
                if self._mirrors_cheap and self._device.type == "cpu":
                    allocator.return_large_blocks()
                eager, traceable = mirror.Mirrored(cast(GraphModule, eager), mirrors), False
            runner = policy.Runner(lowered.module, eager, lowered.operators, traceable, self._policy, lowered.is_best_eager)
            mode = self._modes[is_train] = _Mode(lowered, runner)
        return mode

    def _mirrors(self) -> dict[str, bool]:
        """The nodes by name that are computed again in backward; empty where there are none."""
        found: dict[str, bool] = {}
        for node in topological(self._heads):
            found[node.name] = mirror.is_mirrored(node, self._mirrors_cheap) and found.get(node.name, True)
        return found if any(found.values()) else {}

    def _run(self, mode: _Mode, tensors: list[torch.Tensor], call: _Call | None = None) -> Any:
        """Outputs and batch statistics; by the recorded graph where the call has one."""
        try:
            if self._monitor is not None:
                return self._tapped(mode, *self._monitor).run(*tensors)
            if WATCH.symbolic is not None:
                return Watched(mode.lowered.module, WATCH.symbolic).run(*tensors)
            if call is not None and call.joint is not None:
                return call.repeat(tensors)
            return mode.runner(tensors)
        except MXNetError:
            raise
        except (RuntimeError, IndexError, ValueError) as error:
            if is_callback_error(error):
                raise
            raise MXNetError(f"forward of {self._symbol.name or self._output_names}: {error}") from error

    def _tapped(self, mode: _Mode, callback: Callable, monitor_all: bool) -> Tap:
        def observe(name: str, value: torch.Tensor) -> None:
            callback(name.encode("utf-8"), self._observed(value))

        return Tap(mode.lowered.module, topological(self._heads), observe, monitor_all)

    def _observed(self, value: Any) -> NDArray:
        """A value of the graph as an array."""
        return _wrap(value.detach().contiguous(), self._ctx)

    def _values(self) -> list[Any]:
        """What goes into the graph."""
        return [x._data for x in self._inputs]

    def _tape(self, call: _Call, mode: _Mode) -> None:
        """Run with gradients; leaves are ``.data``, so that weights may be written between forward and backward."""
        tensors = self._values()
        is_watched = self._monitor is not None or WATCH.symbolic is not None
        if mode.joint is not None and not is_watched and mode.runner.is_eager and mode.joint.fits(tensors):
            call.joint, call.leaves = mode.joint, [tensors[position] for position in self._wanted]
            call.outputs, call.statistics = self._run(mode, tensors, call)
            return
        call.joint, call.leaves = None, []
        for position in self._wanted:
            leaf = tensors[position].data.requires_grad_(True)
            tensors[position] = leaf
            call.leaves.append(leaf)
        call.recorder = None if is_watched else mode.recorder(tensors)
        with torch.enable_grad(), call.recorder or contextlib.nullcontext():
            call.outputs, call.statistics = self._run(mode, tensors)

    def _show(self, lowered: Lowered, values: Sequence[torch.Tensor]) -> None:
        """Give the output handles their new values; ``.data`` lets the user write them without breaking the tape."""
        used = {x._data.untyped_storage().data_ptr() for x in self._inputs} if lowered.may_alias else set()
        for index, (handle, value) in enumerate(zip(self.outputs, values)):
            if index in lowered.aliases:
                continue
            data = value.data
            where = data.untyped_storage().data_ptr() if lowered.may_alias else 0
            if not data.is_contiguous() or (index in lowered.may_alias and where in used):
                data = data.clone(memory_format=torch.contiguous_format)
            elif lowered.may_alias:
                used.add(where)
            if (
                is_shared(handle._data) and handle._data.is_contiguous()
            ):  # not the placeholder of before the first forward
                handle._data.copy_(data)
            else:
                handle._data = data

    # -- backward -----------------------------------------------------------------------------------------------

    def backward(self, out_grads: Any = None, is_train: bool = True) -> None:
        """Write the gradients of the last forward by ``grad_req``, and move the auxiliary states.

        ``out_grads`` are the head gradients: an NDArray, a list, or a dict by output name; outputs that are losses, or
        made of nothing but losses, need none, any other raises ``MXNetError`` without. Compat: more heads than outputs
        are ignored, and so is the head of an output through which no gradient goes, or for which none is needed if its
        shape is another. The gradient of an argument of integers is 0.

        Backward frees what the forward saved. A second one after the same forward runs the forward again, with the same
        random numbers; from then on this executor keeps what it saves until the next forward.
        """
        for grad in self._constant:
            grad._data.zero_()
        if not self._wanted:
            return
        if self._refused:
            raise MXNetError(f"backward: {self._refused}")
        if self._call is None:
            self.forward(is_train=True)
        assert self._call is not None
        call, mode = self._call, self._modes[self._call.is_train]
        start = time.perf_counter()
        if call.outputs is None or call.is_spent:  # run it again with the random numbers it had
            self._keeps_tape = self._keeps_tape or call.is_spent
            with self._restored(call.random_state):
                self._tape(call, mode)
            call.is_spent = False
        heads = self._head_gradients(out_grads, call)
        self._free_gradients()
        try:
            gradients = self._differentiate(call, mode, heads)
        except BaseException as error:
            self._refill_gradients()
            if not isinstance(error, RuntimeError) or is_callback_error(error):
                raise
            raise MXNetError(f"backward of {self._symbol.name or self._output_names}: {error}") from error
        self._write_gradients(gradients, heads, call)
        if call.is_train:
            self._commit(mode.lowered, call)
        mode.runner.record(call.seconds + time.perf_counter() - start)
        call.seconds = 0.0

    def _differentiate(self, call: _Call, mode: _Mode, heads: list[torch.Tensor]) -> Sequence[torch.Tensor | None]:
        """The gradients of the leaves; ``heads`` are those of the outputs through which a gradient passes."""
        # a compiled backward whose tape is freed once may overwrite it ever after
        is_compiled = not mode.runner.is_eager
        keeps = self._keeps_tape or bool(self._instances) or self._monitor is not None or is_compiled
        if call.joint is not None:
            values = [*call.saved, *heads]
            if not keeps:
                call.saved, call.is_spent = (), True
            return call.joint.backward(values)
        outputs = [output for i, output in enumerate(call.outputs or ()) if call.has_gradient(i)]
        if not outputs:
            return [None] * len(call.leaves)
        call.is_spent = not keeps
        recorder, call.recorder = call.recorder, None
        if recorder is not None:
            heads = [head.detach() for head in heads]
            recorder.begin_backward(heads)
        with recorder or contextlib.nullcontext():
            with torch.enable_grad():
                seed = _Seed.apply(heads, *outputs)
            gradients = torch.autograd.grad(seed, call.leaves, retain_graph=keeps, allow_unused=True)
        if recorder is not None:
            mode.finish(recorder, call, gradients)
        mode.backwards += 1
        return gradients

    def _free_gradients(self) -> None:
        """Give back the memory of large gradients that are to be replaced, before the new ones take as much."""
        for handle in self._replaced:
            data = handle._data
            if data.is_contiguous() and not is_shared(data):
                handle._data = torch.zeros((), dtype=data.dtype, device=data.device).expand(data.shape)

    def _refill_gradients(self) -> None:
        """Gradients that were given back and did not come are zeros."""
        for handle in self._replaced:
            if not handle._data.is_contiguous():
                handle._data = torch.zeros_like(handle._data, memory_format=torch.contiguous_format)

    def _head_gradients(self, out_grads: Any, call: _Call) -> list[torch.Tensor]:
        """The head gradients of the outputs through which a gradient passes."""
        if isinstance(out_grads, NDArray):
            given: list = [out_grads]
        elif isinstance(out_grads, dict):
            given = [out_grads[name] for name in self._output_names]
        else:
            given = list(out_grads) if out_grads is not None else []
        given += [None] * (len(self._heads) - len(given))
        heads: list[torch.Tensor] = []
        for index, (name, output, asked, head) in enumerate(
            zip(self._output_names, self.outputs, self._asked_heads, given)
        ):
            has_gradient = call.has_gradient(index)
            if head is not None and not has_gradient:
                continue
            if isinstance(head, NDArray) and not asked and head.shape != output.shape:
                head = None
            if head is None:
                if asked:
                    raise MXNetError(
                        f"backward: output {name} is not a loss: Because the last operator is not Loss function, "
                        "head_gradient is required when calling backward. If you are attempting to minimize the output "
                        "as an objective, please modify your network and pass it through the make_loss symbol."
                    )
                if has_gradient:
                    heads.append(torch.ones_like(output._data, memory_format=torch.contiguous_format))
                continue
            if not isinstance(head, NDArray):
                raise TypeError(f"backward: head gradient of {name} is {type(head)}, expected NDArray")
            if head.shape != output.shape:
                raise MXNetError(f"backward: head gradient of {name} has shape {head.shape}, expected {output.shape}")
            heads.append(head._data.to(self._device, output._data.dtype).contiguous())
        return heads

    def _write_gradients(self, gradients: Sequence[torch.Tensor | None], heads: Sequence[Any], call: _Call) -> None:
        """Rebind a gradient handle where that is safe, else copy (rule 3 of the design)."""
        pinned = {t.untyped_storage().data_ptr() for t in (*heads, *call.leaves)}
        pinned.update(t.untyped_storage().data_ptr() for t in call.outputs or () if isinstance(t, torch.Tensor))
        for position, gradient in zip(self._wanted, gradients):
            handle = self._grads[position]
            assert handle is not None
            if gradient is None:
                if self._grad_req[position] == "write":
                    self._place_for(handle).zero_()
                continue
            if self._grad_req[position] == "add":
                handle._data.add_(gradient)
                continue
            storage = gradient.untyped_storage()
            where = storage.data_ptr()
            if (
                where not in pinned
                and gradient.is_contiguous()
                and storage.nbytes() == gradient.numel() * gradient.element_size()
                and gradient.dtype is handle._data.dtype
                and handle._data.shape == gradient.shape
                and not is_shared(handle._data)
            ):
                handle._data = gradient
                pinned.add(where)
            else:
                self._place_for(handle).copy_(gradient)

    @staticmethod
    def _place_for(handle: NDArray) -> torch.Tensor:
        """The memory of a gradient, new where it was given back."""
        if not handle._data.is_contiguous():
            handle._data = torch.empty_like(handle._data, memory_format=torch.contiguous_format)
        return handle._data

    def _commit(self, lowered: Lowered, call: _Call) -> None:
        with torch.no_grad():
            for position, value in moved_states(lowered, [x._data for x in self._inputs], call.statistics):
                self._inputs[position]._write(value)

    def _random_state(self) -> Any:
        if self._device.type == "cuda":
            return torch.cuda.get_rng_state(self._device)
        return torch.get_rng_state()

    def _restored(self, state: Any) -> Any:
        """A scope with the generator as it was at the forward (nothing to do for a graph that draws nothing)."""
        devices = [self._device] if self._device.type == "cuda" else []
        scope = torch.random.fork_rng(devices, enabled=state is not None)
        return _Restored(scope, state, self._device)

    # -- the rest -----------------------------------------------------------------------------------------------

    def release(self) -> None:
        """Free what the last forward kept for a backward, which does nothing until the next forward."""
        self._call = None

    def set_monitor_callback(self, callback: Callable, monitor_all: bool = False) -> None:
        """Call ``callback(name, array)`` for every node output (with ``monitor_all`` for inputs too); names are bytes."""
        self._monitor = None if callback is None else (callback, monitor_all)

    def copy_params_from(
        self,
        arg_params: dict[str, NDArray],
        aux_params: dict[str, NDArray] | None = None,
        allow_extra_params: bool = False,
    ) -> None:
        """Copy arrays into arguments and auxiliary states by name; ``ValueError`` for a name that is not there."""
        for given, targets, kind in (
            (arg_params, self._arg_dict, "arguments"),
            (aux_params or {}, self._aux_dict, "auxiliary states"),
        ):
            for name, value in given.items():
                if name in targets:
                    value.astype(targets[name].dtype).copyto(targets[name])
                elif not allow_extra_params:
                    raise ValueError(f'Find name "{name}" that is not in the {kind}')

    def reshape(self, partial_shaping: bool = False, allow_up_sizing: bool = False, **kwargs: Any) -> Executor:
        """An executor for other input shapes that shares this one's memory.

        Arrays that grow need ``allow_up_sizing``; arguments that change without being named need ``partial_shaping``
        (``MXNetError`` otherwise).
        """
        return _reshape(self, partial_shaping, allow_up_sizing, kwargs)


_reshape: Callable[..., Executor]


def install_reshape(function: Callable[..., Executor]) -> None:
    """The registration point of binding: what ``Executor.reshape`` calls."""
    global _reshape
    _reshape = function


class _Seed(torch.autograd.Function):
    """One number whose gradients are the head gradients.

    ``torch.autograd.grad`` with head gradients of its own imports sympy at its first call, half a second in the first step.
    """

    @staticmethod
    def forward(ctx: Any, heads: Sequence[torch.Tensor], *outputs: torch.Tensor) -> torch.Tensor:
        ctx.heads = heads
        return torch.zeros((), device=outputs[0].device)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple:
        return (None, *ctx.heads)


class _Restored:
    def __init__(self, scope: Any, state: Any, device: torch.device):
        self._scope, self._state, self._device = scope, state, device

    def __enter__(self) -> None:
        self._scope.__enter__()
        if self._state is not None:
            if self._device.type == "cuda":
                torch.cuda.set_rng_state(self._state, self._device)
            else:
                torch.set_rng_state(self._state)

    def __exit__(self, *error: Any) -> Any:
        return self._scope.__exit__(*error)


def _differentiable(array: NDArray) -> bool:
    return array._like.dtype.is_floating_point
