"""Quantisers and narrow integers, against TensorFlow's and PyTorch's own run and gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from actgrad import activation
from actgrad.errors import TraceError

tf = pytest.importorskip("tensorflow")
X = np.concatenate([np.linspace(-8, 8, 641), [-1.0, 1.0, 2.0, 0.3, -1.3]]).astype(np.float32)
Q = tf.quantization


@pytest.mark.parametrize("options", [{}, {"signed_input": False}, {"narrow_range": True}], ids=str)
def test_quantize_and_dequantize(options: dict[str, Any]) -> None:
    def function(x: Any) -> Any:
        return Q.quantize_and_dequantize_v2(x, -1.0, 2.0, num_bits=3, range_given=True, **options)

    _check(function)


def _check(function: Callable[[Any], Any]) -> None:
    x = tf.constant(X)
    with tf.GradientTape() as tape:
        tape.watch(x)
        own = function(x)
    read = activation(function)
    with tf.GradientTape() as ours:
        ours.watch(x)
        values = read(x)
    np.testing.assert_allclose(values, own, rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(ours.gradient(values, x), tape.gradient(own, x))


def test_a_range_from_the_input_mixes_its_elements() -> None:
    with pytest.raises(
        TraceError, match=r"takes its range from the input.*\n.*\n.*\n.*range_given=True"
    ):
        activation(lambda x: Q.quantize_and_dequantize_v2(x, -1.0, 2.0))


def test_a_narrow_integer_that_holds_the_number_is_read() -> None:
    torch = pytest.importorskip("torch")

    def quantised(x: Any) -> Any:
        return torch.clamp(torch.round(x / 0.1), -128, 127).to(torch.int8).to(x.dtype) * 0.1

    with pytest.warns(UserWarning, match="zero almost everywhere"):
        read = activation(quantised)
    x = torch.tensor(X)
    torch.testing.assert_close(read(x), quantised(x))
    with pytest.raises(TraceError, match="casts to int8, which wraps around"):
        activation(lambda x: np.clip(np.round(x), -128, 128).astype(np.int8) * 1.0)
