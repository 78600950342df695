"""Dropout draws one stream, compiled or not."""

from __future__ import annotations

import numpy as np
import pytest

import mxcompat as mx
from mxcompat.graph.compile import using


@pytest.mark.compiled
def test_compiled_graphs_draw_the_same_mask() -> None:
    outputs = []
    for policy in ("never", "always"):
        with using(policy):
            executor = mx.sym.Dropout(mx.sym.Variable("x"), p=0.4).simple_bind(mx.cpu(), x=(40, 50))
        executor.arg_dict["x"][:] = 1
        mx.random.seed(11)
        first = executor.forward(is_train=True)[0].asnumpy()
        executor.backward([mx.nd.ones((40, 50))])
        np.testing.assert_array_equal(executor.grad_dict["x"].asnumpy(), first)
        outputs += [first, executor.forward(is_train=True)[0].asnumpy()]
    np.testing.assert_array_equal(outputs[0], outputs[2])
    np.testing.assert_array_equal(outputs[1], outputs[3])
    assert (outputs[0] != outputs[1]).any()
