"""The first form of imperative gradients."""

from __future__ import annotations

import numpy as np
import pytest

import mxcompat as mx
from mxcompat import autograd
from mxcompat.contrib import autograd as old
from tests import api_walk


def array(*values: float) -> mx.nd.NDArray:
    return mx.nd.array(values)


def test_names_and_signatures() -> None:
    api_walk.check(["mx.contrib.autograd"], {})


def test_scopes_switch_recording_and_training() -> None:
    def state() -> tuple[bool, bool]:
        return autograd.is_recording(), autograd.is_training()

    with old.train_section():
        assert state() == (True, True)
        with old.test_section():
            assert state() == (False, False)
        assert state() == (True, True)
    assert state() == (False, False)
    assert old.set_is_training(True) is False and old.set_is_training(False) is True


def test_gradients_and_loss() -> None:
    x, y = array(1, 2, 3), array(4, 5, 6)
    grads, loss = old.grad_and_loss(lambda x, y: x * y + x)(x, y)
    np.testing.assert_array_equal(loss.asnumpy(), [5, 12, 21])
    np.testing.assert_array_equal([g.asnumpy() for g in grads], [[5, 6, 7], [1, 2, 3]])
    [only] = old.grad(lambda x, y: x * y, argnum=1)(x, y)
    np.testing.assert_array_equal(only.asnumpy(), [1, 2, 3])
    both = old.grad(lambda x, y: [x * y, x], argnum=[1, 0])(x, y)
    np.testing.assert_array_equal([g.asnumpy() for g in both], [[1, 2, 3], [5, 6, 7]])
    with pytest.raises(AssertionError, match="should be NDArray, found int"):
        old.grad(lambda x: x)(3)


def test_backward_with_head_gradients() -> None:
    x, gradient = array(1, 2), array(7, 7)
    old.mark_variables([x], [gradient], "add")
    for heads in (None, [array(10, 20)], [None]):
        with old.train_section():
            y = x * 3
        old.backward([y], heads)
    np.testing.assert_array_equal(gradient.asnumpy(), [7 + 3 + 30 + 3, 7 + 3 + 60 + 3])
    for outputs, heads, text in ((y, None, "list or tuple"), ([y], [], "same length")):
        with pytest.raises(AssertionError, match=text):
            old.backward(outputs, heads)


def test_graph_can_be_kept() -> None:
    x, gradient = array(1, 2), array(0, 0)
    old.mark_variables([x], [gradient])
    with old.train_section():
        y = x * x
    old.backward([y], retain_graph=True)
    old.compute_gradient([y])
    np.testing.assert_array_equal(gradient.asnumpy(), [2, 4])
    with pytest.raises(mx.MXNetError):
        old.compute_gradient([y])
