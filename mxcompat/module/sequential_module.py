"""SequentialModule: modules run one after the other (public path: ``mxnet.module``)."""

from __future__ import annotations

import copy
import logging
from typing import Any

from mxcompat.module.base_module import DEFAULT_INITIALIZER, BaseModule, _require

__all__ = ["SequentialModule"]


class SequentialModule(BaseModule):
    """A chain of modules: the outputs of each are the data of the next."""

    #: option of ``add``: the module takes the labels of the batch
    META_TAKE_LABELS = "take_labels"
    #: option of ``add``: outputs of the module before are matched with this one's data by order, not by name
    META_AUTO_WIRING = "auto_wiring"

    def __init__(self, logger: Any = logging):
        super().__init__(logger=logger)
        self._modules: list[BaseModule] = []
        self._metas: list[dict[str, Any]] = []
        self._label_shapes: Any = None
        names = [name for name in dir(type(self)) if name.startswith("META_")]
        self._meta_keys = {getattr(type(self), name) for name in names}

    def add(self, module: BaseModule, **kwargs: Any) -> SequentialModule:
        """Append a module (``take_labels``, ``auto_wiring``); returns the chain itself, which must be bound again."""
        unknown = sorted(set(kwargs) - self._meta_keys)
        _require(not unknown, f"add: unknown option {unknown}, expected some of {sorted(self._meta_keys)}")
        self._modules.append(module)
        self._metas.append(kwargs)
        self.binded = False
        self.params_initialized = False
        self.optimizer_initialized = False
        return self

    # -- what it is ---------------------------------------------------------------------------------------------

    @property
    def data_names(self) -> list[str]:
        """Names of the inputs of the first module."""
        return self._modules[0].data_names if self._modules else []

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs of the last module."""
        return self._modules[-1].output_names if self._modules else []

    @property
    def data_shapes(self) -> list:
        """Descriptions of the inputs."""
        self._check_ready("data_shapes", parameters=False)
        return self._modules[0].data_shapes

    @property
    def label_shapes(self) -> list | None:
        """Descriptions of the labels; None when no module takes labels."""
        self._check_ready("label_shapes", parameters=False)
        return self._label_shapes

    @property
    def output_shapes(self) -> list:
        """``(name, shape)`` of each output."""
        self._check_ready("output_shapes", parameters=False)
        return self._modules[-1].output_shapes

    # -- parameters ---------------------------------------------------------------------------------------------

    def get_params(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """``(arg_params, aux_params)`` of all modules."""
        self._check_ready("get_params")
        arg_params: dict[str, Any] = {}
        aux_params: dict[str, Any] = {}
        for module in self._modules:
            arg, aux = module.get_params()
            arg_params.update(arg)
            aux_params.update(aux)
        return arg_params, aux_params

    def init_params(
        self,
        initializer: Any = DEFAULT_INITIALIZER,
        arg_params: Any = None,
        aux_params: Any = None,
        allow_missing: bool = False,
        force_init: bool = False,
        allow_extra: bool = False,
    ) -> None:
        """Give the parameters of all modules their first values; names must differ (``AssertionError``)."""
        if self.params_initialized and not force_init:
            return
        _require(self.binded, "call bind before initializing the parameters")
        extra = {"allow_extra": True} if allow_extra else {}  # subclasses written before it do not take it
        for module in self._modules:
            module.init_params(
                initializer=initializer,
                arg_params=arg_params,
                aux_params=aux_params,
                allow_missing=allow_missing,
                force_init=force_init,
                **extra,
            )
        owners: tuple[dict[str, int], dict[str, int]] = ({}, {})
        for i, module in enumerate(self._modules):
            for owner, params in zip(owners, module.get_params()):
                for name in params:
                    _require(
                        name not in owner, f"parameter {name!r} of module {i} is also one of module {owner.get(name)}"
                    )
                    owner[name] = i
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
        """Bind each module to the output shapes of the one before; inner modules get input gradients in training."""
        if self.binded and not force_rebind:
            self.logger.warning("Already bound, ignoring bind()")
            return
        _require(for_training or not inputs_need_grad, "bind: inputs_need_grad=True needs for_training=True")
        _require(shared_module is None, "bind: SequentialModule takes no shared_module")
        _require(self._modules, "bind: the chain is empty, add modules first")
        shapes = data_shapes
        for i, (module, meta) in enumerate(zip(self._modules, self._metas)):
            if meta.get(self.META_AUTO_WIRING, False):
                names = module.data_names
                _require(
                    len(names) == len(shapes), f"bind: module {i} takes {names}, but is given {len(shapes)} arrays"
                )
                shapes = [(name, shape) for name, (_, shape) in zip(names, shapes)]
            module.bind(
                data_shapes=shapes,
                label_shapes=label_shapes if meta.get(self.META_TAKE_LABELS) else None,
                for_training=for_training,
                inputs_need_grad=bool(inputs_need_grad or (for_training and i > 0)),
                force_rebind=force_rebind,
                shared_module=None,
                grad_req=grad_req,
            )
            shapes = module.output_shapes
        takes_labels = any(meta.get(self.META_TAKE_LABELS) for meta in self._metas)
        self._label_shapes = label_shapes if takes_labels else None
        self.for_training, self.inputs_need_grad = for_training, inputs_need_grad
        self.binded = True

    def init_optimizer(
        self,
        kvstore: Any = "local",
        optimizer: Any = "sgd",
        optimizer_params: Any = (("learning_rate", 0.01),),
        force_init: bool = False,
    ) -> None:
        """Install an optimizer in each module."""
        self._check_ready("init_optimizer")
        if self.optimizer_initialized and not force_init:
            self.logger.warning("optimizer already initialized, ignoring.")
            return
        for module in self._modules:
            module.init_optimizer(
                kvstore=kvstore, optimizer=optimizer, optimizer_params=optimizer_params, force_init=force_init
            )
        self.optimizer_initialized = True

    # -- running ------------------------------------------------------------------------------------------------

    def forward(self, data_batch: Any, is_train: bool | None = None) -> None:
        """Run a batch through the chain."""
        self._check_ready("forward")
        data_batch = copy.copy(data_batch)  # it is changed from module to module
        for module in self._modules:
            module.forward(data_batch, is_train=is_train)
            if module is self._modules[-1]:
                break
            data_batch.data = module.get_outputs()
            if hasattr(data_batch, "provide_data"):
                names = [name for name, _ in module.output_shapes]
                data_batch.provide_data = [(name, x.shape) for name, x in zip(names, data_batch.data)]

    def backward(self, out_grads: Any = None) -> None:
        """Run the chain backward; ``out_grads`` belong to the last module."""
        self._check_ready("backward")
        for module in reversed(self._modules):
            module.backward(out_grads=out_grads)
            if module is not self._modules[0]:
                out_grads = module.get_input_grads()

    def update(self) -> None:
        """One step of each module's optimizer."""
        self._check_ready("update", optimizer=True)
        for module in self._modules:
            module.update()

    def get_outputs(self, merge_multi_context: bool = True) -> list:
        """Outputs of the last module."""
        self._check_ready("get_outputs")
        return self._modules[-1].get_outputs(merge_multi_context=merge_multi_context)

    def get_input_grads(self, merge_multi_context: bool = True) -> list:
        """Gradients of the inputs of the first module; needs ``bind(inputs_need_grad=True)``."""
        self._check_ready("get_input_grads")
        _require(self.inputs_need_grad, "get_input_grads: bind the module with inputs_need_grad=True")
        return self._modules[0].get_input_grads(merge_multi_context=merge_multi_context)

    def update_metric(self, eval_metric: Any, labels: Any, pre_sliced: bool = False) -> None:
        """Add the outputs of the modules that take labels to a metric."""
        self._check_ready("update_metric")
        for meta, module in zip(self._metas, self._modules):
            if meta.get(self.META_TAKE_LABELS):
                module.update_metric(eval_metric, labels, pre_sliced)

    def install_monitor(self, mon: Any) -> None:
        """Let a Monitor watch all modules."""
        self._check_ready("install_monitor", parameters=False)
        for module in self._modules:
            module.install_monitor(mon)
