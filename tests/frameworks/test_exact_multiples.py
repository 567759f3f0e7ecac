"""A quantiser at exact multiples, ties and steps: where a compiler's own quotient would be off by one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from actgrad import Activation, activation

DIVISORS = [3, 7, 10, 13, 41, 47, 49, 55, 82, 83, 93, 97, 98, 99, 103, 107, 161, 187, 197, 0.1, 0.7]


def quantisers(divisor: float) -> list[Activation]:
    return [
        activation(lambda x: math.floor(x / divisor), name="floor", surrogate=1.0),
        activation(lambda x, step=float(divisor): math.ceil(x / step), name="ceil", surrogate=1.0),
        activation(lambda x: 1.0 if x / divisor >= 3 else 0.0, name="step", surrogate=1.0),
        activation(lambda x: round(x / divisor) / divisor, name="levels", surrogate=1.0),
    ]


def _jax(f: Activation, x: Any) -> Any:
    jax = pytest.importorskip("jax")
    return f(jax.numpy.asarray(x))


def _jit(f: Activation, x: Any) -> Any:
    jax = pytest.importorskip("jax")
    return jax.jit(f)(x)


def _xla(f: Activation, x: Any) -> Any:
    tf = pytest.importorskip("tensorflow")
    return tf.function(f, jit_compile=True)(tf.constant(x))


def _tensorflow(f: Activation, x: Any) -> Any:
    tf = pytest.importorskip("tensorflow")
    return f(tf.constant(x))


def _torch(f: Activation, x: Any) -> Any:
    torch = pytest.importorskip("torch")
    return f(torch.tensor(x))


WAYS: list[Callable[[Activation, Any], Any]] = [_jax, _jit, _xla, _tensorflow, _torch]


@pytest.mark.diagonal
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("way", WAYS)
def test_at_exact_multiples(way: Callable[[Activation, Any], Any], dtype: type) -> None:
    import jax

    with jax.enable_x64(dtype is np.float64):
        for divisor in DIVISORS[:: 4 if way in (_jax, _jit, _xla) else 2]:
            c = dtype(divisor)
            whole = np.arange(-12, 13).astype(dtype)
            x = np.concatenate([whole * c, (whole + dtype(0.5)) * c])
            x = np.concatenate([x, np.nextafter(x, dtype(1e9)), np.nextafter(x, dtype(-1e9))])
            x = x[(x == 0) | (np.abs(x) >= np.finfo(dtype).tiny)]  # XLA takes others for zero
            expected = [np.floor(x / c), np.ceil(x / c), x / c >= 3, np.rint(x / c) / c]
            for f, wanted in zip(quantisers(divisor), expected, strict=True):
                found = np.asarray(way(f, x))
                np.testing.assert_array_equal(found, wanted.astype(dtype), f"{f.name} {divisor}")
