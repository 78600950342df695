"""The first form of imperative gradients (public path: ``mxnet.contrib.autograd``); ``mx.autograd`` took its place.

One switch stands for both recording and training mode.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from mxcompat import autograd
from mxcompat.base import string_types
from mxcompat.ndarray import NDArray, zeros_like

__all__ = ["NDArray", "TrainingStateScope", "backward", "compute_gradient", "grad", "grad_and_loss", "mark_variables"]
__all__ += ["set_is_training", "string_types", "test_section", "train_section", "zeros_like"]


def set_is_training(is_train: bool) -> bool:
    """Switch training mode and recording on or off in this thread; returns whether it was recording."""
    autograd.set_training(is_train)
    return autograd.set_recording(is_train)


class TrainingStateScope:
    """A ``with`` in which training mode and recording are both on, or both off."""

    def __init__(self, enter_state: bool):
        self._enter_state, self._prev = enter_state, enter_state

    def __enter__(self) -> None:
        self._prev = set_is_training(self._enter_state)

    def __exit__(
        self, ptype: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Compat: where recording was already so, training mode stays as this scope set it.
        if self._prev != self._enter_state:
            set_is_training(self._prev)


def train_section() -> TrainingStateScope:
    """A scope whose operators are recorded and run in training mode."""
    return TrainingStateScope(True)


def test_section() -> TrainingStateScope:
    """A scope inside a ``train_section`` whose operators are not recorded and run in inference mode."""
    return TrainingStateScope(False)


def mark_variables(variables: Sequence[NDArray], gradients: Sequence[NDArray], grad_reqs: Any = "write") -> None:
    """Make arrays leaves of the recording, with the arrays their gradients go into."""
    autograd.mark_variables(list(variables), list(gradients), grad_reqs)


def backward(
    outputs: Sequence[NDArray], out_grads: Sequence[NDArray | None] | None = None, retain_graph: bool = False
) -> None:
    """Gradients of the outputs with respect to every marked array, with ones (or ``out_grads``) as head gradients.

    ``AssertionError`` unless ``outputs`` is a list or tuple as long as ``out_grads``.
    """
    if not isinstance(outputs, (list, tuple)):
        raise AssertionError("outputs must be a list or tuple of NDArrays")
    if out_grads is not None and len(out_grads) != len(outputs):
        raise AssertionError("outputs and out_grads must have the same length")
    autograd.backward(list(outputs), None if out_grads is None else list(out_grads), retain_graph)


def compute_gradient(outputs: Sequence[NDArray]) -> None:
    """The old spelling of ``backward``."""
    backward(outputs)


def grad_and_loss(func: Callable, argnum: int | list[int] | None = None) -> Callable:
    """A function that returns (the gradients of ``func``'s arguments, what ``func`` returned).

    Gradients are those of the arguments that ``argnum`` counts, or of all. Calling it with something other than NDArrays
    there raises ``AssertionError``.
    """

    @functools.wraps(func)
    def wrapped(*args: Any) -> tuple[list[NDArray], Any]:
        chosen = range(len(args)) if argnum is None else argnum if isinstance(argnum, list) else [argnum]
        variables = [args[index] for index in chosen]
        for variable in variables:
            if not isinstance(variable, NDArray):
                raise AssertionError(f"type of autograd input should be NDArray, found {type(variable).__name__}")
        gradients = [zeros_like(variable) for variable in variables]
        mark_variables(variables, gradients)
        with train_section():
            outputs = func(*args)
        compute_gradient([outputs] if isinstance(outputs, NDArray) else outputs)
        return gradients, outputs

    return wrapped


def grad(func: Callable, argnum: int | list[int] | None = None) -> Callable:
    """A function that returns the gradients alone (see ``grad_and_loss``)."""
    with_loss = grad_and_loss(func, argnum)

    @functools.wraps(with_loss)
    def wrapped(*args: Any) -> list[NDArray]:
        return with_loss(*args)[0]

    return wrapped
