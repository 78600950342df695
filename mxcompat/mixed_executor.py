"""The executor of graphs with sparse arrays or row_sparse gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from mxcompat.base import MXNetError
from mxcompat.executor import Executor, _Call, _Mode
from mxcompat.graph import compile as policy
from mxcompat.graph import storage
from mxcompat.graph.lower import Lowered, lower
from mxcompat.ndarray.mixed_dispatch import handle_of, value_of
from mxcompat.ndarray.ndarray import NDArray, is_shared
from mxcompat.ndarray.sparse_array import _wrap_storage, store_gradient
from mxcompat.ops.mixed import Sparse, proxy
from mxcompat.ops.storage import Storage, empty
from mxcompat.symbol.node import topological

__all__ = ["MixedExecutor"]


class MixedExecutor(Executor):
    """An ``Executor`` some of whose arrays, outputs or gradients are sparse. Its graphs are not compiled.

    In the graph sparse values are ``Sparse`` objects. Outside of ``_run`` they are their tapes, tensors of full shape
    without memory, and ``_storages`` has the storages of the last outputs.
    """

    _storages: Sequence[Storage | None] = ()

    def _output_handles(self, shapes: Sequence[tuple[int, ...]], types: Sequence[torch.dtype]) -> list[NDArray]:
        stypes = storage.infer_stypes(topological(self._heads), self._given_stypes())
        handles = super()._output_handles(shapes, types)
        for index, ((node, output), shape, dtype) in enumerate(zip(self._heads, shapes, types)):
            stype = stypes[id(node)][output]
            if stype != "default" and node.op is not None:
                handles[index] = _wrap_storage(empty(stype, shape, dtype, self._device), self._ctx)
        return handles

    def _given_stypes(self) -> dict[int, str]:
        return {id(node): array.stype for node, array in zip(self._variables, self._inputs)}

    def _mode(self, is_train: bool) -> _Mode:
        mode = self._modes.get(is_train)
        if mode is None:
            order = topological(self._heads)
            stypes = storage.infer_stypes(order, self._given_stypes())
            targets = storage.targets(order, stypes, self._instances or {})
            lowered = lower(
                self._heads, self._variables, set(self._wanted), is_train, self._device, self._created, targets
            )
            for position, _ in lowered.forward_writes:
                if self._wanted and self._inputs[position].stype != "default":
                    name = self._variables[position].name
                    raise MXNetError(f"forward: {name} is {self._inputs[position].stype} and cannot be written")
            runner = policy.Runner(lowered.module, lowered.module, lowered.operators, False, self._policy)
            mode = self._modes[is_train] = _Mode(lowered, runner)
        return mode

    def _values(self) -> list[Any]:
        return [value_of(array, recorded=False) for array in self._inputs]

    def _run(self, mode: _Mode, tensors: list[Any], call: _Call | None = None) -> Any:
        outputs, statistics = super()._run(mode, tensors, call)
        self._storages = [y.storage if isinstance(y, Sparse) else None for y in outputs]
        return [_tape_of(y) if isinstance(y, Sparse) else y for y in outputs], statistics

    def _observed(self, value: Any) -> NDArray:
        if isinstance(value, Sparse):
            return handle_of(value, self._ctx, recorded=False)
        return super()._observed(value)

    def _tape(self, call: _Call, mode: _Mode) -> None:
        values = self._values()
        call.leaves = []
        for position in self._wanted:
            value = values[position]
            leaf = proxy(value.storage) if isinstance(value, Sparse) else value.data
            leaf.requires_grad_(True)
            values[position] = Sparse(value.storage, leaf) if isinstance(value, Sparse) else leaf
            call.leaves.append(leaf)
        with torch.enable_grad():
            call.outputs, call.statistics = self._run(mode, values)

    def _show(self, lowered: Lowered, values: Sequence[torch.Tensor]) -> None:
        for index, (handle, value, sparse) in enumerate(zip(self.outputs, values, self._storages)):
            if sparse is not None:
                handle._storage = sparse
            elif index not in lowered.aliases:
                self._show_dense(handle, value.data, index in lowered.may_alias)

    @staticmethod
    def _show_dense(handle: NDArray, data: torch.Tensor, may_alias: bool) -> None:
        if is_shared(handle._data) and handle._data.is_contiguous():  # not the placeholder of before the first forward
            handle._data.copy_(data)
        elif may_alias or not data.is_contiguous():
            handle._data = data.clone(memory_format=torch.contiguous_format)
        else:
            handle._data = data

    def _free_gradients(self) -> None:
        """Gradients stay where they are: not all of them are replaced."""

    def _write_gradients(self, gradients: Sequence[torch.Tensor | None], heads: Sequence[Any], call: _Call) -> None:
        for position, gradient in zip(self._wanted, gradients):
            handle, adds = self._grads[position], self._grad_req[position] == "add"
            assert handle is not None
            if gradient is not None:
                store_gradient(handle, gradient, adds)
            elif not adds:
                handle._write(torch.zeros((), dtype=handle._like.dtype).expand(handle.shape))

    def _commit(self, lowered: Lowered, call: _Call) -> None:
        if lowered.commits:  # without any the dense copies of the inputs are not needed
            super()._commit(lowered, call)


def _tape_of(value: Sparse) -> torch.Tensor:
    return proxy(value.storage) if value.tape is None else value.tape
