"""BucketingModule: a module for each bucket of lengths; all share parameters (public path: ``mxnet.module``)."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mxcompat import ndarray as nd
from mxcompat import symbol as sym
from mxcompat.model import load_params
from mxcompat.module.base_module import DEFAULT_INITIALIZER, BaseModule, _check_input_names, _require
from mxcompat.module.module import DEFAULT_CONTEXT, Module, _names
from mxcompat.name import NameManager

__all__ = ["BucketingModule"]


class BucketingModule(BaseModule):
    """Switches between modules that ``sym_gen(bucket_key)`` describes by ``(symbol, data_names, label_names)``.

    The module of ``default_bucket_key`` is bound first and should be the largest: the others share its parameters, its
    gradients and its input memory. The other arguments are those of ``Module``.
    """

    def __init__(
        self,
        sym_gen: Callable,
        default_bucket_key: Any = None,
        logger: Any = logging,
        context: Any = DEFAULT_CONTEXT,
        work_load_list: Sequence[float] | None = None,
        fixed_param_names: Sequence[str] | None = None,
        state_names: Sequence[str] | None = None,
        group2ctxs: Any = None,
        compression_params: dict[str, Any] | None = None,
    ):
        super().__init__(logger=logger)
        _require(default_bucket_key is not None, "BucketingModule: give default_bucket_key")
        self._default_bucket_key = default_bucket_key
        self._sym_gen = sym_gen
        self._fixed_param_names, self._state_names = _names(fixed_param_names), _names(state_names)
        symbol, data_names, label_names = self._call_sym_gen(default_bucket_key)
        _check_input_names(symbol, _names(data_names), "data", True)
        _check_input_names(symbol, _names(label_names), "label", False)
        _check_input_names(symbol, self._state_names, "state", True)
        _check_input_names(symbol, self._fixed_param_names, "fixed_param", True)
        self._compression_params = compression_params
        self._context = context
        self._work_load_list = work_load_list
        self._group2ctxs = group2ctxs
        self._params_dirty = False  # whether the executors' parameters are newer than the modules' own
        self._monitor: Any = None
        self._grad_req: Any = None
        self._reset_bind()

    def _reset_bind(self) -> None:
        self.binded = False
        self._buckets: dict[Any, Module] = {}
        self._curr_module: Any = None
        self._curr_bucket_key: Any = None

    def _call_sym_gen(self, *args: Any, **kwargs: Any) -> tuple:
        """What ``sym_gen`` gives, its automatic names counted from 0: they must be equal in all buckets."""
        with NameManager():
            return self._sym_gen(*args, **kwargs)

    def _make_module(self, bucket_key: Any) -> Module:
        symbol, data_names, label_names = self._call_sym_gen(bucket_key)
        return Module(
            symbol,
            data_names,
            label_names,
            logger=self.logger,
            context=self._context,
            work_load_list=self._work_load_list,
            fixed_param_names=self._fixed_param_names,
            state_names=self._state_names,
            group2ctxs=self._group2ctxs,
            compression_params=self._compression_params,
        )

    # -- what the current module is -----------------------------------------------------------------------------

    @property
    def data_names(self) -> list[str]:
        """Names of the inputs."""
        return self._curr_module.data_names if self.binded else self._call_sym_gen(self._default_bucket_key)[1]

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs."""
        if self.binded:
            return self._curr_module.output_names
        return self._call_sym_gen(self._default_bucket_key)[0].list_outputs()

    @property
    def data_shapes(self) -> list:
        """Descriptions of the inputs of the current bucket."""
        self._check_ready("data_shapes", parameters=False)
        return self._curr_module.data_shapes

    @property
    def label_shapes(self) -> list | None:
        """Descriptions of the labels of the current bucket."""
        self._check_ready("label_shapes", parameters=False)
        return self._curr_module.label_shapes

    @property
    def output_shapes(self) -> list:
        """``(name, shape)`` of each output of the current bucket."""
        self._check_ready("output_shapes", parameters=False)
        return self._curr_module.output_shapes

    @property
    def symbol(self) -> Any:
        """The symbol of the current bucket."""
        self._check_ready("symbol", parameters=False)
        return self._curr_module.symbol

    # -- parameters ---------------------------------------------------------------------------------------------

    def get_params(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """``(arg_params, aux_params)``, brought up to date."""
        _require(self.params_initialized, "get_params: no parameters yet, call init_params first")
        self._curr_module._params_dirty = self._params_dirty
        params = self._curr_module.get_params()
        self._params_dirty = False
        return params

    def set_params(
        self,
        arg_params: Any,
        aux_params: Any,
        allow_missing: bool = False,
        force_init: bool = True,
        allow_extra: bool = False,
    ) -> None:
        """Give the parameters these values (as ``Module.set_params``)."""
        if not allow_missing:
            super().set_params(arg_params, aux_params, False, force_init, allow_extra)
            return
        if self.params_initialized and not force_init:
            warnings.warn("Parameters already initialized and force_init=False. set_params call ignored.", stacklevel=2)
            return
        _require(self.binded, "set_params: the module is not bound, call bind first")
        self._curr_module.set_params(
            arg_params, aux_params, allow_missing=allow_missing, force_init=force_init, allow_extra=allow_extra
        )
        self._params_dirty = True
        self.params_initialized = True

    def init_params(
        self,
        initializer: Any = DEFAULT_INITIALIZER,
        arg_params: Any = None,
        aux_params: Any = None,
        allow_missing: bool = False,
        force_init: bool = False,
        allow_extra: bool = False,
    ) -> None:
        """Give the parameters their first values (as ``Module.init_params``; a second call is ignored silently)."""
        if self.params_initialized and not force_init:
            return
        _require(self.binded, "call bind before initializing the parameters")
        self._curr_module.init_params(
            initializer=initializer,
            arg_params=arg_params,
            aux_params=aux_params,
            allow_missing=allow_missing,
            force_init=force_init,
            allow_extra=allow_extra,
        )
        self._params_dirty = False
        self.params_initialized = True

    def get_states(self, merge_multi_context: bool = True) -> list:
        """The arrays of the inputs in ``state_names`` of the current bucket; only unmerged."""
        self._check_ready("get_states")
        return self._curr_module.get_states(merge_multi_context=merge_multi_context)

    def set_states(self, states: Any = None, value: Any = None) -> None:
        """Write the states of the current bucket: from a list like ``get_states`` gives, or one number everywhere."""
        self._check_ready("set_states")
        self._curr_module.set_states(states, value)

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
        """Bind the default bucket; the others are bound when they are switched to.

        Parameters that there are already are kept. A second call without ``force_rebind`` logs a warning and changes
        nothing.
        """
        params = self.get_params() if self.params_initialized else None
        before = self._curr_module
        if force_rebind:
            self._reset_bind()
        if self.binded:
            self.logger.warning("Already bound, ignoring bind()")
            return
        _require(shared_module is None, "bind: BucketingModule takes no shared_module")
        key = self._default_bucket_key
        module = self._buckets[key] if key in self._buckets else self._make_module(key)
        module.bind(data_shapes, label_shapes, for_training, inputs_need_grad, grad_req=grad_req)
        self.for_training, self.inputs_need_grad, self._grad_req = for_training, inputs_need_grad, grad_req
        self._buckets[key] = module
        self._curr_module, self._curr_bucket_key = module, key
        self.binded = True
        if params is not None:
            self.set_params(*params)
        if before is not None and before is not module and before.optimizer_initialized:
            module.borrow_optimizer(before)

    def switch_bucket(self, bucket_key: Any, data_shapes: Any, label_shapes: Any = None) -> None:
        """Make the module of a bucket the current one; it is bound to these shapes when it is used for the first time."""
        _require(self.binded, "call bind before switching bucket")
        module = self._buckets.get(bucket_key)
        if module is None:
            module = self._make_module(bucket_key)
        if not module.binded:
            module.bind(
                data_shapes,
                label_shapes,
                self._curr_module.for_training,
                self._curr_module.inputs_need_grad,
                shared_module=self._buckets[self._default_bucket_key],
                grad_req=self._grad_req,
            )
            if self._monitor is not None:
                module.install_monitor(self._monitor)
            self._buckets[bucket_key] = module
        self._curr_module, self._curr_bucket_key = module, bucket_key

    def init_optimizer(
        self,
        kvstore: Any = "local",
        optimizer: Any = "sgd",
        optimizer_params: Any = (("learning_rate", 0.01),),
        force_init: bool = False,
    ) -> None:
        """Install an optimizer (as ``Module.init_optimizer``), which all buckets use."""
        self._check_ready("init_optimizer")
        if self.optimizer_initialized and not force_init:
            self.logger.warning("optimizer already initialized, ignoring.")
            return
        self._curr_module.init_optimizer(kvstore, optimizer, optimizer_params, force_init=force_init)
        for module in self._buckets.values():
            if module is not self._curr_module:
                module.borrow_optimizer(self._curr_module)
        self.optimizer_initialized = True

    # -- running ------------------------------------------------------------------------------------------------

    def prepare(self, data_batch: Any, sparse_row_id_fn: Any = None) -> None:
        """Bind the bucket of a batch that comes next; the current bucket stays."""
        self._check_ready("prepare")
        current = self._curr_bucket_key
        self.switch_bucket(data_batch.bucket_key, data_batch.provide_data, data_batch.provide_label)
        self._curr_module.prepare(data_batch, sparse_row_id_fn=sparse_row_id_fn)
        self.switch_bucket(current, None, None)

    def forward(self, data_batch: Any, is_train: bool | None = None) -> None:
        """Switch to the bucket of the batch and run it."""
        self._check_ready("forward")
        before = self._curr_module
        self.switch_bucket(data_batch.bucket_key, data_batch.provide_data, data_batch.provide_label)
        if before is not self._curr_module:
            before._exec_group.release()
        self._curr_module.forward(data_batch, is_train=is_train)

    def backward(self, out_grads: Any = None) -> None:
        """Compute the gradients of the current bucket."""
        self._check_ready("backward")
        self._curr_module.backward(out_grads=out_grads)

    def update(self) -> None:
        """One step of the optimizer with the gradients of the current bucket."""
        self._check_ready("update", optimizer=True)
        self._params_dirty = True
        self._curr_module.update()

    def get_outputs(self, merge_multi_context: bool = True) -> list:
        """Outputs of the last forward."""
        self._check_ready("get_outputs")
        return self._curr_module.get_outputs(merge_multi_context=merge_multi_context)

    def get_input_grads(self, merge_multi_context: bool = True) -> list:
        """Gradients of the inputs from the last backward; needs ``bind(inputs_need_grad=True)``."""
        self._check_ready("get_input_grads")
        _require(self.inputs_need_grad, "get_input_grads: bind the module with inputs_need_grad=True")
        return self._curr_module.get_input_grads(merge_multi_context=merge_multi_context)

    def update_metric(self, eval_metric: Any, labels: Any, pre_sliced: bool = False) -> None:
        """Add the last outputs to a metric."""
        self._check_ready("update_metric")
        self._curr_module.update_metric(eval_metric, labels, pre_sliced)

    def install_monitor(self, mon: Any) -> None:
        """Let a Monitor watch all buckets, those to come included."""
        self._check_ready("install_monitor", parameters=False)
        self._monitor = mon
        for module in self._buckets.values():
            module.install_monitor(mon)

    # -- checkpoints --------------------------------------------------------------------------------------------

    def save_checkpoint(self, prefix: str, epoch: int, remove_amp_cast: bool = False) -> None:
        """Write ``prefix-0001.params``, ``prefix-KEY-symbol.json`` for each bucket and their keys to ``prefix.buckets``.

        Keys must be integers (or tuples of as many integers each).
        """
        _require(self._buckets, "save_checkpoint: no bucket yet, call bind first")
        self.save_params(f"{prefix}-{int(epoch):04d}.params")
        for key in self._buckets:
            symbol = self._call_sym_gen(key)[0]
            symbol.save(f"{prefix}-{key}-symbol.json", remove_amp_cast=remove_amp_cast)
        nd.save(f"{prefix}.buckets", nd.array(list(self._buckets), dtype=np.int32))

    @staticmethod
    def load(
        prefix: str, epoch: int, sym_gen: Any = None, default_bucket_key: Any = None, **kwargs: Any
    ) -> BucketingModule:
        """A module from the files that ``save_checkpoint`` wrote; ``kwargs`` go to the constructor."""
        _require(sym_gen is not None, "BucketingModule.load: give sym_gen")
        _require(default_bucket_key is not None, "BucketingModule.load: give default_bucket_key")
        rows = nd.load(f"{prefix}.buckets")[0].asnumpy().tolist()
        keys = [tuple(row) if isinstance(row, list) else int(row) for row in rows]
        symbols = {key: sym.load(f"{prefix}-{key}-symbol.json") for key in keys}
        return BucketingModule._loaded(symbols, sym_gen, default_bucket_key, load_params(prefix, epoch), kwargs)

    @staticmethod
    def load_dict(
        sym_dict: Any = None,
        sym_gen: Any = None,
        default_bucket_key: Any = None,
        arg_params: Any = None,
        aux_params: Any = None,
        **kwargs: Any,
    ) -> BucketingModule:
        """A module from a dict of bucket key to symbol and from parameters; ``kwargs`` go to the constructor."""
        for name, value in (("sym_dict", sym_dict), ("arg_params", arg_params), ("aux_params", aux_params)):
            _require(value is not None, f"BucketingModule.load_dict: give {name}")
        _require(default_bucket_key is not None, "BucketingModule.load_dict: give default_bucket_key")
        return BucketingModule._loaded(sym_dict, sym_gen, default_bucket_key, (arg_params, aux_params), kwargs)

    @staticmethod
    def _loaded(
        symbols: dict, sym_gen: Any, default_key: Any, params: tuple[dict, dict], kwargs: dict
    ) -> BucketingModule:
        result = BucketingModule(sym_gen, default_key, **kwargs)
        for key, symbol in symbols.items():
            _, data_names, label_names = result._call_sym_gen(key)
            result._buckets[key] = Module(symbol, data_names, label_names, **kwargs)
        _require(
            default_key in result._buckets, f"no symbol for the default bucket {default_key} among {list(symbols)}"
        )
        module = result._curr_module = result._buckets[default_key]
        module._arg_params, module._aux_params = params
        module.params_initialized = result.params_initialized = True
        return result
