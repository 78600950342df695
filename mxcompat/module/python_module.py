"""Modules written in Python: PythonModule without parameters, PythonLossModule (public path: ``mxnet.module``)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from mxcompat import ndarray as nd
from mxcompat.module.base_module import DEFAULT_INITIALIZER, BaseModule, _require

__all__ = ["PythonLossModule", "PythonModule"]


class PythonModule(BaseModule):
    """A module without parameters, to be subclassed: give ``_compute_output_shapes``, ``forward``, ``backward``,
    ``get_outputs`` and ``get_input_grads``."""

    def __init__(
        self,
        data_names: Sequence[str],
        label_names: Sequence[str] | None,
        output_names: Sequence[str],
        logger: Any = logging,
    ):
        super().__init__(logger=logger)
        self._data_names = list(data_names) if isinstance(data_names, tuple) else data_names
        self._label_names = list(label_names) if isinstance(label_names, tuple) else label_names
        self._output_names = output_names
        self._data_shapes: Any = None
        self._label_shapes: Any = None
        self._output_shapes: Any = None

    @property
    def data_names(self) -> Any:
        """Names of the inputs."""
        return self._data_names

    @property
    def output_names(self) -> Any:
        """Names of the outputs."""
        return self._output_names

    @property
    def data_shapes(self) -> Any:
        """``(name, shape)`` of each input; None before ``bind``."""
        return self._data_shapes

    @property
    def label_shapes(self) -> Any:
        """``(name, shape)`` of each label; None without labels."""
        return self._label_shapes

    @property
    def output_shapes(self) -> Any:
        """``(name, shape)`` of each output; None before ``bind``."""
        return self._output_shapes

    def get_params(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Two empty dicts: there are no parameters."""
        return {}, {}

    def init_params(
        self,
        initializer: Any = DEFAULT_INITIALIZER,
        arg_params: Any = None,
        aux_params: Any = None,
        allow_missing: bool = False,
        force_init: bool = False,
        allow_extra: bool = False,
    ) -> None:
        """Nothing to do: there are no parameters."""

    def init_optimizer(
        self,
        kvstore: Any = "local",
        optimizer: Any = "sgd",
        optimizer_params: Any = (("learning_rate", 0.01),),
        force_init: bool = False,
    ) -> None:
        """Nothing to do: there are no parameters."""

    def update(self) -> None:
        """Nothing to do: there are no parameters."""

    def update_metric(self, eval_metric: Any, labels: Any, pre_sliced: bool = False) -> None:
        """Add the outputs to a metric, where the module is bound with labels; ``RuntimeError`` for ``pre_sliced`` ones."""
        if self._label_shapes is None:
            return
        if pre_sliced:
            raise RuntimeError("update_metric: a PythonModule takes the labels of the whole batch, not of each device")
        eval_metric.update(labels, self.get_outputs())

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
        """Note the shapes of inputs and labels, whose names must be the module's. Compat: ``binded`` stays False."""
        if self.binded and not force_rebind:
            self.logger.warning("Already bound, ignoring bind()")
            return
        _require(grad_req == "write", f"bind: a Python module only writes gradients, found grad_req={grad_req!r}")
        self._check_names("data", data_shapes, self._data_names)
        if label_shapes is not None:
            self._check_names("label", label_shapes, self._label_names)
        self.for_training, self.inputs_need_grad = for_training, inputs_need_grad
        self._data_shapes, self._label_shapes = data_shapes, label_shapes
        self._output_shapes = self._compute_output_shapes()

    def _check_names(self, what: str, shapes: Any, expected: Any) -> None:
        found = [desc[0] for desc in shapes]
        _require(found == expected, f"bind: {what}_shapes are for {found}, expected {expected}")

    def _compute_output_shapes(self) -> list:
        """``(name, shape)`` of each output, from ``_data_shapes`` and ``_label_shapes``: for the subclass to give."""
        raise self._missing("_compute_output_shapes")


class PythonLossModule(PythonModule):
    """A loss whose outputs are its inputs, the scores; ``grad_func(scores, labels)`` gives their gradient.

    A subclass may give ``_backward_impl`` instead, which sets ``_scores_grad``.
    """

    def __init__(
        self,
        name: str = "pyloss",
        data_names: Sequence[str] = ("data",),
        label_names: Sequence[str] = ("softmax_label",),
        logger: Any = logging,
        grad_func: Callable | None = None,
    ):
        super().__init__(data_names, label_names, [name + "_output"], logger=logger)
        _require(len(data_names) == 1, f"PythonLossModule: expected one data name, found {data_names}")
        _require(len(label_names) == 1, f"PythonLossModule: expected one label name, found {label_names}")
        _require(grad_func is None or callable(grad_func), "PythonLossModule: grad_func must be a function")
        self._name = name
        self._scores: Any = None
        self._labels: Any = None
        self._scores_grad: Any = None
        self._grad_func = grad_func

    def _compute_output_shapes(self) -> list:
        return [(self._name + "_output", self._data_shapes[0][1])]

    def forward(self, data_batch: Any, is_train: bool | None = None) -> None:
        """Keep the scores, and in training the labels."""
        self._scores = data_batch.data[0]
        if self.for_training if is_train is None else is_train:
            self._labels = data_batch.label[0]

    def get_outputs(self, merge_multi_context: bool = True) -> list:
        """The scores."""
        _require(merge_multi_context is True, "get_outputs: a PythonLossModule has one device, outputs are merged")
        return [self._scores]

    def backward(self, out_grads: Any = None) -> None:
        """Compute the gradient of the scores; a loss takes no ``out_grads``."""
        _require(out_grads is None, "backward: a loss module takes no out_grads")
        _require(self.for_training, "backward: the module is bound for inference, bind it with for_training=True")
        self._backward_impl()

    def _backward_impl(self) -> None:
        if self._grad_func is None:
            raise NotImplementedError(f"{self._name}: give grad_func, or a subclass with _backward_impl")
        grad = self._grad_func(self._scores, self._labels)
        self._scores_grad = grad if isinstance(grad, nd.NDArray) else nd.array(grad)

    def get_input_grads(self, merge_multi_context: bool = True) -> list:
        """The gradient of the scores."""
        _require(
            merge_multi_context is True, "get_input_grads: a PythonLossModule has one device, gradients are merged"
        )
        return [self._scores_grad]
