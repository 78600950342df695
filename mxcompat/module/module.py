"""Module: one symbol on one or several devices (public path: ``mxnet.module.module``)."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from typing import Any

from mxcompat import context as ctx
from mxcompat import ndarray as nd
from mxcompat import optimizer as opt
from mxcompat.base import MXNetError
from mxcompat.formats.atomic import write_atomically
from mxcompat.initializer import InitDesc
from mxcompat.io import DataDesc
from mxcompat.model import (
    _create_kvstore,
    _initialize_kvstore,
    _update_params,
    _update_params_on_kvstore,
    load_checkpoint,
)
from mxcompat.module.base_module import DEFAULT_INITIALIZER, BaseModule, _check_input_names, _parse_data_desc, _require
from mxcompat.module.executor_group import DataParallelExecutorGroup
from mxcompat.module.own_params import OwnParams, zeros_like
from mxcompat.optimizer.updater import read_states

__all__ = ["Module"]

DEFAULT_CONTEXT = ctx.cpu()


def _names(names: Sequence[str] | None) -> list[str]:
    return list(names) if names is not None else []


def _initial_value(
    name: InitDesc, array: nd.NDArray, given: dict | None, initializer: Any, allow_missing: bool
) -> None:
    """Fill ``array`` from ``given``, or by the initializer where that is None or (if allowed) lacks the name."""
    if given is not None and name in given:
        value = given[name]
        if value.shape != array.shape:
            raise MXNetError(f"init_params: {name} has shape {value.shape}, expected {array.shape} as bound")
        if value is not array:
            value.copyto(array)
        return
    if initializer is None and given is None or given is not None and not allow_missing:
        raise RuntimeError(f"{name} is not presented")
    if initializer is not None:
        initializer(name, array)


class Module(BaseModule):
    """A symbol with its parameters, run on one context or split over several.

    ``data_names`` and ``label_names`` are the inputs, ``state_names`` inputs that keep their value, all other arguments
    are parameters; those in ``fixed_param_names`` get no gradient. With several contexts the batch is divided by
    ``work_load_list``; ``group2ctxs`` places groups of the symbol; ``compression_params`` goes to the kvstore.
    """

    def __init__(
        self,
        symbol: Any,
        data_names: Sequence[str] | None = ("data",),
        label_names: Sequence[str] | None = ("softmax_label",),
        logger: Any = logging,
        context: Any = DEFAULT_CONTEXT,
        work_load_list: Sequence[float] | None = None,
        fixed_param_names: Sequence[str] | None = None,
        state_names: Sequence[str] | None = None,
        group2ctxs: Any = None,
        compression_params: dict[str, Any] | None = None,
    ):
        super().__init__(logger=logger)
        self._context = [context] if isinstance(context, ctx.Context) else context
        self._work_load_list = [1] * len(self._context) if work_load_list is None else work_load_list
        if len(self._work_load_list) != len(self._context):
            raise AssertionError(
                f"work_load_list has {len(self._work_load_list)} entries for {len(self._context)} contexts"
            )
        self._group2ctxs = group2ctxs
        self._compression_params = compression_params
        self._symbol = symbol
        self._data_names, self._label_names = _names(data_names), _names(label_names)
        self._state_names, self._fixed_param_names = _names(state_names), _names(fixed_param_names)
        _check_input_names(symbol, self._data_names, "data", True)
        _check_input_names(symbol, self._label_names, "label", False)
        _check_input_names(symbol, self._state_names, "state", True)
        _check_input_names(symbol, self._fixed_param_names, "fixed_param", True)
        inputs = {*self._data_names, *self._label_names, *self._state_names}
        self._param_names = [name for name in symbol.list_arguments() if name not in inputs]
        self._aux_names = symbol.list_auxiliary_states()
        self._output_names = symbol.list_outputs()
        self._own: tuple[OwnParams, OwnParams] | None = None  # arguments and auxiliary states
        self._params_dirty = False  # whether the executors' parameters are newer than these
        self._reset_optimizer()
        self._preload_opt_states: str | None = None
        self._grad_req: Any = None
        self._reset_bind()

    def _reset_optimizer(self) -> None:
        self._optimizer: Any = None
        self._kvstore: Any = None
        self._update_on_kvstore: bool | None = None
        self._updater: Any = None

    def _reset_bind(self) -> None:
        self.binded = False
        self._exec_group: Any = None
        self._data_shapes: Any = None
        self._label_shapes: Any = None

    @property
    def _total_exec_bytes(self) -> int:
        """The executors' memory in MB, 0 while there are none."""
        return self._exec_group._total_exec_bytes if self.binded else 0

    # -- checkpoints --------------------------------------------------------------------------------------------

    @staticmethod
    def load(prefix: str, epoch: int, load_optimizer_states: bool = False, **kwargs: Any) -> Module:
        """A module from the checkpoint ``prefix-symbol.json``, ``prefix-0001.params`` (numbered by ``epoch``).

        ``kwargs`` go to the constructor. The optimizer's state is read by the next ``init_optimizer``.
        """
        symbol, arg_params, aux_params = load_checkpoint(prefix, epoch)
        module = Module(symbol=symbol, **kwargs)
        module._arg_params, module._aux_params = arg_params, aux_params
        module.params_initialized = True
        if load_optimizer_states:
            module._preload_opt_states = f"{prefix}-{int(epoch):04d}.states"
        return module

    def save_checkpoint(
        self, prefix: str, epoch: int, save_optimizer_states: bool = False, remove_amp_cast: bool = True
    ) -> None:
        """Write ``prefix-symbol.json``, ``prefix-0001.params`` and, if asked, ``prefix-0001.states``."""
        self._symbol.save(f"{prefix}-symbol.json", remove_amp_cast=remove_amp_cast)
        param_name = f"{prefix}-{int(epoch):04d}.params"
        self.save_params(param_name)
        logging.info('Saved checkpoint to "%s"', param_name)
        if save_optimizer_states:
            state_name = f"{prefix}-{int(epoch):04d}.states"
            self.save_optimizer_states(state_name)
            logging.info('Saved optimizer state to "%s"', state_name)

    def save_optimizer_states(self, fname: str) -> None:
        """Write the optimizer's state to a file."""
        _require(self.optimizer_initialized, "save_optimizer_states: no optimizer yet, call init_optimizer first")
        if self._update_on_kvstore:
            self._kvstore.save_optimizer_states(fname)
        else:
            write_atomically(fname, self._updater.get_states())

    def load_optimizer_states(self, fname: str) -> None:
        """Read the optimizer's state from a file."""
        _require(self.optimizer_initialized, "load_optimizer_states: no optimizer yet, call init_optimizer first")
        if self._update_on_kvstore:
            self._kvstore.load_optimizer_states(fname)
        else:
            read_states(self._updater, fname)

    # -- what it is ---------------------------------------------------------------------------------------------

    @property
    def data_names(self) -> list[str]:
        """Names of the inputs."""
        return self._data_names

    @property
    def label_names(self) -> list[str]:
        """Names of the labels."""
        return self._label_names

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs."""
        return self._output_names

    @property
    def data_shapes(self) -> list[DataDesc]:
        """Descriptions of the inputs, as bound."""
        self._check_ready("data_shapes", parameters=False)
        return self._data_shapes

    @property
    def label_shapes(self) -> list[DataDesc] | None:
        """Descriptions of the labels, as bound; None without labels."""
        self._check_ready("label_shapes", parameters=False)
        return self._label_shapes

    @property
    def output_shapes(self) -> list[tuple[str, tuple[int, ...]]]:
        """``(name, shape)`` of each output."""
        self._check_ready("output_shapes", parameters=False)
        return self._exec_group.get_output_shapes()

    # -- parameters ---------------------------------------------------------------------------------------------

    def get_params(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """``(arg_params, aux_params)``: the module's own copies, brought up to date; writing them changes no executor."""
        _require(self.params_initialized, "get_params: no parameters yet, call init_params first")
        if self._params_dirty:
            self._sync_params_from_devices()
        return self._arg_params, self._aux_params

    @property
    def _arg_params(self) -> Any:
        """The module's own copies of the arguments; up to date where they had been let go."""
        return None if self._own is None else self._own_dicts()[0]

    @_arg_params.setter
    def _arg_params(self, arrays: dict[str, Any] | None) -> None:
        self._own = OwnParams(arrays or {}), OwnParams(self._aux_params or {})

    @property
    def _aux_params(self) -> Any:
        """The module's own copies of the auxiliary states."""
        return None if self._own is None else self._own_dicts()[1]

    @_aux_params.setter
    def _aux_params(self, arrays: dict[str, Any] | None) -> None:
        self._own = OwnParams(self._arg_params or {}), OwnParams(arrays or {})

    def _own_dicts(self) -> tuple[dict[str, Any], dict[str, Any]]:
        assert self._own is not None
        if any(part.is_let_go for part in self._own):
            self._sync_params_from_devices()
        return self._own[0].arrays(), self._own[1].arrays()

    def _let_go_of_params(self) -> None:
        """The executors' parameters are newer from now on."""
        self._params_dirty = True
        assert self._own is not None
        for part, newer in zip(self._own, self._bound_params()):
            part.let_go(newer)

    def _bound_params(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The first executor's parameters and auxiliary states, by name."""
        executor = self._exec_group.execs[0]
        return {name: executor.arg_dict[name] for name in self._param_names}, executor.aux_dict

    def _sync_params_from_devices(self) -> None:
        assert self._own is not None
        arg_params, aux_params = (part.arrays(newer) for part, newer in zip(self._own, self._bound_params()))
        self._exec_group.get_params(arg_params, aux_params)
        if self._kvstore and self._update_on_kvstore:
            for name, array in sorted(arg_params.items()):
                if array.stype == "row_sparse":
                    self._kvstore.row_sparse_pull(name, array, row_ids=nd.arange(0, array.shape[0], dtype="int64"))
        self._params_dirty = False

    def init_params(
        self,
        initializer: Any = DEFAULT_INITIALIZER,
        arg_params: Any = None,
        aux_params: Any = None,
        allow_missing: bool = False,
        force_init: bool = False,
        allow_extra: bool = False,
    ) -> None:
        """Give the parameters their first values, in the order of their names.

        Where ``arg_params`` or ``aux_params`` is given the values come from there: ``RuntimeError`` for a name they lack
        unless ``allow_missing``, in which case the initializer (if any) gives it. Extra names are ignored. A second call
        without ``force_init`` warns and changes nothing.
        """
        if self.params_initialized and not force_init:
            warnings.warn(
                "Parameters already initialized and force_init=False. init_params call ignored.", stacklevel=2
            )
            return
        _require(self.binded, "call bind before initializing the parameters")
        attributes = self._symbol.attr_dict()
        for own, given in ((self._arg_params, arg_params), (self._aux_params, aux_params)):
            for name, array in sorted(own.items()):
                _initial_value(InitDesc(name, attributes.get(name)), array, given, initializer, allow_missing)
        self.params_initialized = True
        self._params_dirty = False
        self._exec_group.set_params(self._arg_params, self._aux_params, allow_extra=allow_extra)

    def set_params(
        self,
        arg_params: Any,
        aux_params: Any,
        allow_missing: bool = False,
        force_init: bool = True,
        allow_extra: bool = False,
    ) -> None:
        """Give the parameters these values.

        With ``allow_missing`` the other ones keep theirs, and a name that the symbol lacks raises ``ValueError`` unless
        ``allow_extra``. Compat: without ``allow_missing`` extra names always pass.
        """
        if not allow_missing:
            super().set_params(arg_params, aux_params, False, force_init, allow_extra)
            return
        if self.params_initialized and not force_init:
            warnings.warn("Parameters already initialized and force_init=False. set_params call ignored.", stacklevel=2)
            return
        _require(self.binded, "set_params: the module is not bound, call bind first")
        self._exec_group.set_params(arg_params, aux_params, allow_extra=allow_extra)
        self._let_go_of_params()
        self.params_initialized = True

    # -- binding ------------------------------------------------------------------------------------------------

    def bind(
        self,
        data_shapes: Any,
        label_shapes: Any = None,
        for_training: bool = True,
        inputs_need_grad: bool = False,
        force_rebind: bool = False,
        shared_module: Any = None,
        grad_req: Any = "write",
    ) -> None:
        """Make the executors for inputs of these shapes; parameters that there are already are kept.

        ``shared_module`` is a bound module of the same contexts whose parameter, gradient and input memory is shared by
        name. A second call without ``force_rebind`` logs a warning and changes nothing.
        """
        if force_rebind:
            if self.binded and self._own is not None:
                self._own_dicts()  # Compat: the original goes back to what get_params last gave
            self._reset_bind()
        if self.binded:
            self.logger.warning("Already bound, ignoring bind()")
            return
        _require(for_training or not inputs_need_grad, "bind: inputs_need_grad=True needs for_training=True")
        shared_group = None if shared_module is None else self._group_of(shared_module)
        data_shapes, label_shapes = _parse_data_desc(self.data_names, self.label_names, data_shapes, label_shapes)
        self.for_training, self.inputs_need_grad, self._grad_req = for_training, inputs_need_grad, grad_req
        self._exec_group = DataParallelExecutorGroup(
            self._symbol, self._context, self._work_load_list, data_shapes, label_shapes, self._param_names, for_training,
            inputs_need_grad, shared_group, logger=self.logger, fixed_param_names=self._fixed_param_names,
            grad_req=grad_req, group2ctxs=self._group2ctxs, state_names=self._state_names,
        )  # fmt: skip
        self._data_shapes, self._label_shapes = data_shapes, label_shapes
        self._bind_params(shared_module)
        self.binded = True

    def _group_of(self, shared_module: Any) -> DataParallelExecutorGroup:
        if not (isinstance(shared_module, Module) and shared_module.binded and shared_module.params_initialized):
            raise AssertionError("bind: shared_module must be a Module that is bound and has parameters")
        group = shared_module._exec_group
        if len(group.execs) < len(self._context):
            raise AssertionError(f"bind: shared_module has {len(group.execs)} contexts, expected {len(self._context)}")
        return group

    def _bind_params(self, shared_module: Any) -> None:
        """The module's own copies of the parameters: the shared module's, those there are, or new ones."""
        group = self._exec_group
        if shared_module is not None:
            self.params_initialized = True
            self._own = shared_module._own
            if shared_module.optimizer_initialized:
                self.borrow_optimizer(shared_module)
        elif self.params_initialized:
            group.set_params(self._arg_params, self._aux_params)
        else:
            self._own = zeros_like(self._param_names, group.param_arrays), zeros_like(self._aux_names, group.aux_arrays)

    def reshape(self, data_shapes: Any, label_shapes: Any = None) -> None:
        """Change the shapes of the inputs; everything else stays (``forward`` calls it for a batch of another shape)."""
        self._check_ready("reshape", parameters=False)
        data_shapes, label_shapes = _parse_data_desc(self.data_names, self.label_names, data_shapes, label_shapes)
        self._exec_group.reshape(data_shapes, label_shapes)
        self._data_shapes, self._label_shapes = data_shapes, label_shapes

    # -- optimizer ----------------------------------------------------------------------------------------------

    def init_optimizer(
        self,
        kvstore: Any = "local",
        optimizer: Any = "sgd",
        optimizer_params: Any = (("learning_rate", 0.01),),
        force_init: bool = False,
    ) -> None:
        """Install an optimizer, given by name with its parameters or ready-made.

        ``rescale_grad`` is 1 / batch size unless given. A second call without ``force_init`` logs a warning and changes
        nothing.
        """
        self._check_ready("init_optimizer")
        if self.optimizer_initialized and not force_init:
            self.logger.warning("optimizer already initialized, ignoring...")
            return
        if self._params_dirty:
            self._sync_params_from_devices()
        kvstore, update_on_kvstore = _create_kvstore(kvstore, len(self._context), self._arg_params)
        self._optimizer = self._make_optimizer(optimizer, optimizer_params, kvstore, update_on_kvstore)
        self._kvstore, self._update_on_kvstore = kvstore, update_on_kvstore
        self._updater = None
        if kvstore:
            if self._compression_params:
                kvstore.set_gradient_compression(self._compression_params)
            if update_on_kvstore:
                kvstore.set_optimizer(self._optimizer)
            _initialize_kvstore(
                kvstore,
                self._exec_group.param_arrays,
                self._arg_params,
                self._param_names,
                update_on_kvstore,
            )
        if not update_on_kvstore:
            self._updater = opt.get_updater(self._optimizer)
        self.optimizer_initialized = True
        if self._preload_opt_states is not None:
            self.load_optimizer_states(self._preload_opt_states)
            self._preload_opt_states = None

    def _make_optimizer(self, optimizer: Any, optimizer_params: Any, kvstore: Any, update_on_kvstore: bool) -> Any:
        batch_size = self._exec_group.batch_size
        if kvstore and "dist" in kvstore.type and "_sync" in kvstore.type:
            batch_size *= kvstore.num_workers
        rescale_grad = 1.0 / batch_size
        step = 1 if update_on_kvstore else len(self._context)
        names = enumerate(self._exec_group.param_names)
        idx2name = {i * step + device: name for i, name in names for device in range(step)}
        if isinstance(optimizer, str):
            params = dict(optimizer_params)
            params.setdefault("rescale_grad", rescale_grad)
            return opt.create(optimizer, sym=self.symbol, param_idx2name=idx2name, **params)
        if not isinstance(optimizer, opt.Optimizer):
            raise AssertionError(f"init_optimizer: optimizer must be a name or an Optimizer, found {type(optimizer)}")
        if optimizer.rescale_grad != rescale_grad:
            warnings.warn(
                "Optimizer created manually outside Module but rescale_grad is not normalized to "
                f"1.0/batch_size/num_workers ({optimizer.rescale_grad} vs. {rescale_grad}). Is this intended?",
                stacklevel=3,
            )
        if not optimizer.idx2name:
            optimizer.idx2name = idx2name
        return optimizer

    def borrow_optimizer(self, shared_module: Any) -> None:
        """Use the optimizer, its state and the kvstore of another module."""
        _require(shared_module.optimizer_initialized, "borrow_optimizer: the other module has no optimizer yet")
        self._optimizer = shared_module._optimizer
        self._kvstore = shared_module._kvstore
        self._update_on_kvstore = shared_module._update_on_kvstore
        self._updater = shared_module._updater
        self.optimizer_initialized = True

    def update(self) -> None:
        """One step of the optimizer on the parameters, with what ``_exec_group.grad_arrays`` holds now."""
        self._check_ready("update", optimizer=True)
        if not self._params_dirty:
            self._let_go_of_params()
        group = self._exec_group
        if self._update_on_kvstore:
            _update_params_on_kvstore(group.param_arrays, group.grad_arrays, self._kvstore, group.param_names)
            return
        _update_params(
            group.param_arrays, group.grad_arrays, self._updater, len(self._context), self._kvstore, group.param_names
        )

    # -- running ------------------------------------------------------------------------------------------------

    def forward(self, data_batch: Any, is_train: bool | None = None) -> None:
        """Run a batch, or a list with one batch for each device; a batch of other shapes rebinds by ``reshape``.

        ``data_batch`` is anything with ``data`` (a list of NDArrays) and perhaps ``label``, ``provide_data`` and
        ``provide_label``.
        """
        self._check_ready("forward")
        shapes = _batch_shapes(data_batch)
        if shapes != [tuple(desc.shape) for desc in self._data_shapes]:
            self._reshape_for(data_batch, shapes)
        self._exec_group.forward(data_batch, is_train)

    def _reshape_for(self, data_batch: Any, shapes: list[tuple[int, ...]]) -> None:
        data_shapes = getattr(data_batch, "provide_data", None) or _described(self._data_shapes, shapes)
        label_shapes = getattr(data_batch, "provide_label", None)
        if not label_shapes:
            labels = getattr(data_batch, "label", None)
            label_shapes = _described(self._label_shapes or [], [x.shape for x in labels]) if labels else None
        self.reshape(data_shapes, label_shapes)

    def backward(self, out_grads: Any = None) -> None:
        """Compute the gradients; outputs that are no losses need ``out_grads``."""
        self._check_ready("backward")
        self._exec_group.backward(out_grads=out_grads)

    def get_outputs(self, merge_multi_context: bool = True) -> list:
        """Outputs of the last forward; unmerged, a list for each output with one array for each device."""
        self._check_ready("get_outputs")
        return self._exec_group.get_outputs(merge_multi_context=merge_multi_context)

    def get_input_grads(self, merge_multi_context: bool = True) -> list:
        """Gradients of the inputs from the last backward; needs ``bind(inputs_need_grad=True)``."""
        self._check_ready("get_input_grads")
        _require(self.inputs_need_grad, "get_input_grads: bind the module with inputs_need_grad=True")
        return self._exec_group.get_input_grads(merge_multi_context=merge_multi_context)

    def get_states(self, merge_multi_context: bool = True) -> list:
        """The arrays of the inputs in ``state_names``; only unmerged."""
        self._check_ready("get_states")
        return self._exec_group.get_states(merge_multi_context=merge_multi_context)

    def set_states(self, states: Any = None, value: Any = None) -> None:
        """Write the states: from a list like ``get_states`` gives, or one number everywhere."""
        self._check_ready("set_states")
        self._exec_group.set_states(states, value)

    def update_metric(self, eval_metric: Any, labels: Any, pre_sliced: bool = False) -> None:
        """Add the last outputs to a metric; ``pre_sliced`` labels are a list of labels for each device."""
        self._check_ready("update_metric")
        self._exec_group.update_metric(eval_metric, labels, pre_sliced)

    def install_monitor(self, mon: Any) -> None:
        """Let a Monitor watch the executors."""
        self._check_ready("install_monitor", parameters=False)
        self._exec_group.install_monitor(mon)

    def prepare(self, data_batch: Any, sparse_row_id_fn: Any = None) -> None:
        """Pull the rows of row_sparse parameters that the next batch needs from the kvstore.

        ``sparse_row_id_fn(data_batch)`` gives the row numbers as a dict of parameter name to NDArray. Parameters that the
        kvstore does not update, or that are not row_sparse, need none (a warning says so).
        """
        self._check_ready("prepare", parameters=False)
        if sparse_row_id_fn is None:
            return
        if not self._kvstore or not self._update_on_kvstore:
            warnings.warn("Parameters are not updated in the KVStore. No need to call sparse_row_id_fn.", stacklevel=2)
            return
        row_ids = sparse_row_id_fn(data_batch)
        _require(isinstance(row_ids, dict), "prepare: sparse_row_id_fn must return a dict of name to row numbers")
        for name, rows in row_ids.items():
            place = self._exec_group.param_names.index(name)
            arrays = self._exec_group.param_arrays[place]
            if arrays[0].stype != "row_sparse":
                warnings.warn(f"{name}.stype is not 'row_sparse'. No need to perform row_sparse_pull.", stacklevel=2)
            else:
                self._kvstore.row_sparse_pull(name, arrays, row_ids=rows, priority=-place)


def _batch_shapes(data_batch: Any) -> list[tuple[int, ...]]:
    """The shapes of the inputs in a batch; a list of batches counts as one batch of all their rows."""
    if not isinstance(data_batch, list):
        return [tuple(array.shape) for array in data_batch.data]
    if not data_batch:
        raise AssertionError("forward: the list of batches is empty")
    shapes = []
    for i, array in enumerate(data_batch[0].data):
        if any(part.data[i].shape != array.shape for part in data_batch):
            found = [part.data[i].shape for part in data_batch]
            raise AssertionError(f"forward: all batches in a list must have the same shapes, found {found}")
        shapes.append((len(data_batch) * array.shape[0], *array.shape[1:]))
    return shapes


def _described(descriptions: Sequence[DataDesc], shapes: Sequence[tuple[int, ...]]) -> list[DataDesc]:
    return [DataDesc(x.name, shape, x.dtype, x.layout) for x, shape in zip(descriptions, shapes)]
