"""Fourier transforms and count sketches, against NumPy: the original computes them on gpus alone."""

import numpy as np
import pytest

import mxcompat as mx
from tests.harness import Bad, rows_test

ROWS = [
    Bad("contrib.fft", {"data": (3,)}, error="MXNetError"),
    Bad("contrib.fft", {"data": (2, 3)}, dtype="int32", error="MXNetError"),
    Bad("contrib.ifft", {"data": (2, 3)}, error="MXNetError"),
    Bad("contrib.ifft", {"data": (2, 3, 4)}, error="MXNetError"),
    Bad("contrib.count_sketch", {"data": (2, 3), "h": (1, 2), "s": (1, 3)}, {"out_dim": 4}, error="MXNetError"),
    Bad("contrib.count_sketch", {"data": (2, 3), "h": (1, 3), "s": (1, 3)}, error="MXNetError"),
]
test_rows = rows_test(ROWS, __file__)


def _interleaved(values):
    return np.stack((values.real, values.imag), -1).reshape(*values.shape[:-1], -1)


def _run(name, arrays, head=None, **params):
    """Output and gradients of the symbol, and whether the imperative output is the same."""
    symbol = getattr(mx.sym.contrib, name)(*[mx.sym.var(key) for key in arrays], **params)
    handles = {key: mx.nd.array(value, dtype=value.dtype) for key, value in arrays.items()}
    executor = symbol.bind(mx.cpu(), handles, {key: mx.nd.zeros_like(value) for key, value in handles.items()})
    output = executor.forward(is_train=True)[0].asnumpy()
    imperative = getattr(mx.nd.contrib, name)(*handles.values(), **params).asnumpy()
    np.testing.assert_array_equal(output, imperative)
    executor.backward(mx.nd.array(head, dtype=output.dtype))
    return output, {key: value.asnumpy() for key, value in executor.grad_dict.items()}


@pytest.mark.parametrize("shape", [(3, 8), (2, 5), (2, 1, 3, 7), (1, 1)])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-12)])
def test_fft(shape, dtype, tolerance):
    rng = np.random.RandomState(0)
    data, head = rng.randn(*shape).astype(dtype), rng.randn(*shape[:-1], 2 * shape[-1]).astype(dtype)
    output, gradients = _run("fft", {"data": data}, head)
    np.testing.assert_allclose(output, _interleaved(np.fft.fft(data)), atol=tolerance)
    assert output.dtype == dtype
    expected = np.fft.ifft(head[..., ::2] + 1j * head[..., 1::2]).real * shape[-1]
    np.testing.assert_allclose(gradients["data"], expected, atol=tolerance)


@pytest.mark.parametrize("shape", [(3, 8), (2, 10), (2, 1, 3, 14)])
def test_ifft(shape):
    rng = np.random.RandomState(1)
    data, head = rng.randn(*shape).astype("float32"), rng.randn(*shape[:-1], shape[-1] // 2).astype("float32")
    output, gradients = _run("ifft", {"data": data}, head, compute_size=2)
    expected = np.fft.ifft(data[..., ::2] + 1j * data[..., 1::2]).real * (shape[-1] // 2)
    np.testing.assert_allclose(output, expected, atol=1e-5)
    np.testing.assert_allclose(gradients["data"], _interleaved(np.fft.fft(head)), atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 3), (2, 2, 1, 3)])
def test_count_sketch(shape):
    rng = np.random.RandomState(2)
    data, head = rng.randn(*shape).astype("float32"), rng.randn(*shape[:-1], 5).astype("float32")
    places, signs = np.array([[4, 0, 4]], "float32"), np.array([[1, -1, -1]], "float32")
    output, gradients = _run("count_sketch", {"data": data, "h": places, "s": signs}, head, out_dim=5)
    expected = np.zeros((*shape[:-1], 5), "float32")
    expected[..., 0], expected[..., 4] = -data[..., 1], data[..., 0] - data[..., 2]
    np.testing.assert_array_equal(output, expected)
    np.testing.assert_array_equal(gradients["data"], head[..., [4, 0, 4]] * signs[0])
    assert not gradients["h"].any()
    assert not gradients["s"].any()


def test_count_sketch_place_out_of_range():
    data = mx.nd.ones((2, 3))
    with pytest.raises(mx.MXNetError, match="h: expected numbers in"):
        mx.nd.contrib.count_sketch(data, mx.nd.array([[0, 5, 1]]), mx.nd.ones((1, 3)), out_dim=5).wait_to_read()
