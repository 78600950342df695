"""The functions of ``mx.nd.contrib`` around the update operators give what the operators give."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mxcompat import nd

ADAMW = {"lrs": (0.1, 0.2), "wds": (0.1, 0.0), "etas": (1.0, 0.5)}
LAMB = {"step_count": (1, 3), "lrs": (0.1, 0.2), "wds": (0.1, 0.0)}
SHAPES = ((2, 3), (4,))


def arrays(mixed: bool) -> list[list[Any]]:
    """Weights, gradients, means, variances and, if mixed, float32 copies."""
    rng = np.random.RandomState(0)
    kind = "float16" if mixed else "float32"
    columns = [[nd.array(rng.uniform(0.5, 1, shape), dtype=kind) for shape in SHAPES] for _ in range(2)]
    columns += [[nd.array(rng.uniform(0.5, 1, shape)) for shape in SHAPES] for _ in range(2)]
    return [*columns, [weight.astype("float32") for weight in columns[0]]] if mixed else columns


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("scale", [0.5, nd.array([0.5], dtype="float64")])
def test_adamw(mixed: bool, scale: Any) -> None:
    function = nd.contrib.multi_mp_adamw_update if mixed else nd.contrib.multi_adamw_update
    single = nd.contrib.mp_adamw_update if mixed else nd.contrib.adamw_update
    together, apart = arrays(mixed), arrays(mixed)
    function(*together, scale, out=together[0], **ADAMW)
    for i in range(2):
        numbers = {"lr": ADAMW["lrs"][i], "wd": ADAMW["wds"][i], "eta": ADAMW["etas"][i]}
        single(*[column[i] for column in apart], scale, out=apart[0][i], **numbers)
        for role in (0, *range(2, len(apart))):
            np.testing.assert_allclose(together[role][i].asnumpy(), apart[role][i].asnumpy(), rtol=1e-6)
        assert (together[0][i].asnumpy() != arrays(mixed)[0][i].asnumpy()).all()


@pytest.mark.parametrize("mixed", [False, True])
def test_lamb(mixed: bool) -> None:
    function = nd.contrib.multi_mp_lamb_update if mixed else nd.contrib.multi_lamb_update
    operator = nd._internal._multi_mp_lamb_update if mixed else nd._internal._multi_lamb_update
    found, expected = arrays(mixed), arrays(mixed)
    function(*found, out=found[0], beta1=0.8, **LAMB)
    inputs = [array for group in zip(*expected) for array in group]
    params = {"learning_rates": LAMB["lrs"], "wds": LAMB["wds"], "step_count": LAMB["step_count"], "num_tensors": 2}
    operator(*inputs, out=expected[0], beta1=0.8, **params)
    for one, other in zip(found, expected):
        for i in range(2):
            np.testing.assert_array_equal(one[i].asnumpy(), other[i].asnumpy())
