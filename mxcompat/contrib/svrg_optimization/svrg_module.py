"""SVRGModule: a Module whose gradients have less variance, at the cost of a pass over all data every few epochs."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

from mxcompat import metric
from mxcompat import ndarray as nd
from mxcompat import optimizer as opt
from mxcompat.contrib.svrg_optimization.svrg_optimizer import _SVRGOptimizer
from mxcompat.model import _create_kvstore
from mxcompat.module import Module
from mxcompat.module.base_module import DEFAULT_INITIALIZER, _call, _metric_labels, _require
from mxcompat.module.module import DEFAULT_CONTEXT

__all__ = ["SVRGModule"]


class SVRGModule(Module):
    """A Module that updates with ``g(w) - g(w') + G(w')``: the gradient of the batch, corrected by weights of the past.

    w' are the weights at the start of every ``update_freq``-th epoch, g the gradient of the batch and G the mean of the
    batches' gradients over all data. ``fit`` does everything; a loop of its own calls ``update_full_grads(train_data)``
    at those epochs. ``ValueError`` or ``TypeError`` unless ``update_freq`` is a positive integer. The other arguments are
    those of Module.
    """

    _mod_aux: Any = None  # the same symbol with the weights w'

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
        update_freq: int | None = None,
    ):
        arguments = (symbol, data_names, label_names, logger, context, work_load_list, fixed_param_names, state_names)
        super().__init__(*arguments, group2ctxs, compression_params)
        if not isinstance(update_freq, int):
            raise TypeError(
                "update_freq in SVRGModule must be an integer to represent the frequency for calculating full "
                f"gradients, found {update_freq!r}"
            )
        if update_freq <= 0:
            raise ValueError(
                "update_freq in SVRGModule must be a positive integer to represent the frequency for calculating full "
                f"gradients, found {update_freq}"
            )
        self.update_freq = update_freq
        self._mod_aux = Module(*arguments, group2ctxs, compression_params)
        self._param_dict: Any = None  # G(w') by name, for each device
        self._ctx_len = len(self._context)

    def _reset_bind(self) -> None:
        super()._reset_bind()
        if self._mod_aux is not None:
            self._mod_aux._reset_bind()

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
        """``Module.bind``, for both modules when training."""
        options = (for_training, inputs_need_grad, force_rebind, shared_module, grad_req)
        super().bind(data_shapes, label_shapes, *options)
        if for_training:
            self._mod_aux.bind(data_shapes, label_shapes, *options)

    def reshape(self, data_shapes: Any, label_shapes: Any = None) -> None:
        """``Module.reshape``, for both modules when training."""
        super().reshape(data_shapes, label_shapes=label_shapes)
        if self._mod_aux.binded:
            self._mod_aux.reshape(data_shapes, label_shapes=label_shapes)

    # -- optimizer ----------------------------------------------------------------------------------------------

    def init_optimizer(
        self,
        kvstore: Any = "local",
        optimizer: Any = "sgd",
        optimizer_params: Any = (("learning_rate", 0.01),),
        force_init: bool = False,
    ) -> None:
        """``Module.init_optimizer``; a kvstore also gets a key ``<parameter>_full`` for each full gradient.

        The full gradients become 0. Compat: where the kvstore runs the optimizer, so do the devices' parameters, until the
        first update brings the kvstore's.
        """
        self._param_dict = [
            {name: nd.zeros(value.shape, ctx=device) for name, value in self.get_params()[0].items()}
            for device in self._context
        ]
        if self.optimizer_initialized and not force_init:
            super().init_optimizer(kvstore, optimizer, optimizer_params)  # says that there is one
            return
        svrg_optimizer = self._create_optimizer(_SVRGOptimizer.__name__, optimizer, kvstore, optimizer_params)
        super().init_optimizer(
            kvstore=kvstore, optimizer=svrg_optimizer, optimizer_params=optimizer_params, force_init=force_init
        )
        if self._kvstore:
            for index, (name, arrays) in enumerate(zip(self._exec_group.param_names, self._exec_group.param_arrays)):
                self._kvstore.init(f"{name}_full", nd.zeros(self._arg_params[name].shape))
                if self._update_on_kvstore:
                    self._kvstore.pull(f"{name}_full", arrays, priority=-index)

    def _create_optimizer(self, optimizer: str, default_opt: Any, kvstore: Any, optimizer_params: Any) -> Any:
        """The optimizer for a kvstore's keys or an updater's numbers: parameters first, then full gradients."""
        store, update_on_kvstore = _create_kvstore(kvstore, self._ctx_len, self._arg_params)
        batch_size = self._exec_group.batch_size
        if store and "dist" in store.type and "_sync" in store.type:
            batch_size *= store.num_workers
        names = self._exec_group.param_names
        step = 1 if update_on_kvstore else self._ctx_len
        idx2name = {i * step + device: name for i, name in enumerate(names) for device in range(step)}
        for name in self._param_dict[0]:
            idx2name[max(idx2name) + 1] = f"{name}_full"
        params = {"rescale_grad": 1.0 / batch_size, **dict(optimizer_params)}
        return opt.create(optimizer, default_optimizer=default_opt, param_idx2name=idx2name, **params)

    # -- running ------------------------------------------------------------------------------------------------

    def forward(self, data_batch: Any, is_train: bool | None = None) -> None:
        """``Module.forward``, for both modules if ``is_train`` is given as true."""
        super().forward(data_batch, is_train)
        if is_train:
            self._mod_aux.forward(data_batch, is_train)

    def backward(self, out_grads: Any = None) -> None:
        """``Module.backward``, for both modules."""
        super().backward(out_grads)
        if self._mod_aux.binded:
            self._mod_aux.backward(out_grads)

    def update(self) -> None:
        """One step of the optimizer with the corrected gradients, which take the place of the batch's."""
        self._update_svrg_gradients()
        super().update()

    def _update_svrg_gradients(self) -> None:
        own, past = self._exec_group.grad_arrays, self._mod_aux._exec_group.grad_arrays
        for index, name in enumerate(self._exec_group.param_names):
            for device in range(self._ctx_len):
                if own[index][device] is not None:
                    self._svrg_grads_update_rule(
                        own[index][device], past[index][device], self._param_dict[device][name]
                    )

    def _svrg_grads_update_rule(
        self, g_curr_batch_curr_weight: Any, g_curr_batch_special_weight: Any, g_special_weight_all_batch: Any
    ) -> Any:
        """g(w) - g(w') + G(w'), written into the first array, which is returned."""
        g_curr_batch_curr_weight -= g_curr_batch_special_weight
        g_curr_batch_curr_weight += g_special_weight_all_batch
        return g_curr_batch_curr_weight

    def update_full_grads(self, train_data: Any) -> None:
        """Make the present weights w', and compute G(w') over all batches; a kvstore sums it over the workers.

        Compat: the sum of the batches' gradients is added to the previous G, not to 0, before it is divided by the
        number of batches (padding counts as part of one).
        """
        arg, aux = self.get_params()
        self._mod_aux.set_params(arg_params=arg, aux_params=aux)
        gradients = self._mod_aux._exec_group.grad_arrays
        names = [name for name, arrays in zip(self._exec_group.param_names, gradients) if arrays[0] is not None]
        train_data.reset()
        nbatch, padding = 0, 0
        for batch in train_data:
            self._mod_aux.forward(batch, is_train=True)
            self._mod_aux.backward()
            nbatch += 1
            padding = batch.pad or 0
            for index, name in enumerate(self._exec_group.param_names):
                for device in range(self._ctx_len):
                    if name in names:
                        self._param_dict[device][name] += gradients[index][device]
        for name in names:
            for device in range(self._ctx_len):
                self._param_dict[device][name] /= nbatch - padding / train_data.batch_size
            if self._kvstore:
                self._accumulate_kvstore(name, [params[name] for params in self._param_dict])

    def _accumulate_kvstore(self, key: str, value: list) -> None:
        """Replace a full gradient of each device by the mean over the devices and the sum over the workers."""
        self._kvstore.push(f"{key}_full", value)
        self._kvstore._barrier()
        self._kvstore.pull(f"{key}_full", value)
        self._allocate_gradients(key, value)

    def _allocate_gradients(self, key: str, value: list) -> None:
        for device in range(self._ctx_len):
            self._param_dict[device][key] = value[device] / self._ctx_len

    # -- training -----------------------------------------------------------------------------------------------

    def fit(
        self, train_data: Any, eval_data: Any = None, eval_metric: Any = "acc", epoch_end_callback: Any = None,
        batch_end_callback: Any = None, kvstore: Any = "local", optimizer: Any = "sgd",
        optimizer_params: Any = (("learning_rate", 0.01),), eval_end_callback: Any = None,
        eval_batch_end_callback: Any = None, initializer: Any = DEFAULT_INITIALIZER, arg_params: Any = None,
        aux_params: Any = None, allow_missing: bool = False, force_rebind: bool = False, force_init: bool = False,
        begin_epoch: int = 0, num_epoch: int | None = None, validation_metric: Any = None, monitor: Any = None,
        sparse_row_id_fn: Any = None,
    ) -> None:  # fmt: skip
        """``Module.fit``, with ``update_full_grads`` before every epoch whose number ``update_freq`` divides.

        Compat: the training metric that is logged is the local one, which a callback may have reset.
        """
        _require(num_epoch is not None, "fit: give num_epoch, the number of the epoch to stop before")
        self._set_up(train_data, force_rebind, monitor)
        self.init_params(
            initializer=initializer, arg_params=arg_params, aux_params=aux_params, allow_missing=allow_missing,
            force_init=force_init,
        )  # fmt: skip
        self.init_optimizer(kvstore=kvstore, optimizer=optimizer, optimizer_params=optimizer_params)
        if validation_metric is None:
            validation_metric = eval_metric
        if not isinstance(eval_metric, metric.EvalMetric):
            eval_metric = metric.create(eval_metric)
        for epoch in range(begin_epoch, num_epoch):  # type: ignore[arg-type]
            eval_metric.reset()
            tic = time.time()
            if epoch % self.update_freq == 0:
                self.update_full_grads(train_data)
            train_data.reset()
            nbatch = 0
            data_iter = iter(train_data)
            end_of_batch = False
            next_data_batch = next(data_iter)
            while not end_of_batch:
                data_batch = next_data_batch
                if monitor is not None:
                    monitor.tic()
                self.forward_backward(data_batch)
                self.update()
                self.update_metric(eval_metric, *_metric_labels(data_batch))
                try:
                    next_data_batch = next(data_iter)
                    self.prepare(next_data_batch, sparse_row_id_fn=sparse_row_id_fn)
                except StopIteration:
                    end_of_batch = True
                if monitor is not None:
                    monitor.toc_print()
                if end_of_batch:  # before the callbacks: some reset the metric
                    eval_name_vals = eval_metric.get_name_value()
                if batch_end_callback is not None:
                    _call(batch_end_callback, epoch, nbatch, eval_metric, locals())
                nbatch += 1
            self._end_epoch(epoch, eval_name_vals, tic, epoch_end_callback)
            if eval_data:
                self._validate(epoch, eval_data, validation_metric, eval_end_callback, eval_batch_end_callback)

    def prepare(self, data_batch: Any, sparse_row_id_fn: Any = None) -> None:
        """``Module.prepare``, for both modules."""
        super().prepare(data_batch, sparse_row_id_fn=sparse_row_id_fn)
        self._mod_aux.prepare(data_batch, sparse_row_id_fn=sparse_row_id_fn)
