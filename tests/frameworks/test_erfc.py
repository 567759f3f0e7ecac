"""erfc far out, where libraries take exp of the rounded x²: within the bound of all other operations."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest

from actgrad import activation

tf = pytest.importorskip("tensorflow")
jax = pytest.importorskip("jax")

ULP = 16
FAR = {"float32": 9.1, "float64": 26.5}

f = activation(math.erfc, name="erfc")

WAYS = {
    "NumPy": f,
    "TensorFlow": lambda x: f(tf.constant(x)),
    "XLA": lambda x: tf.function(f, jit_compile=True)(tf.constant(x)),
    "JAX": lambda x: f(jax.numpy.asarray(x)),
    "jit": lambda x: jax.jit(f)(x),
}


@pytest.mark.parametrize("dtype", FAR)
@pytest.mark.parametrize("way", WAYS)
def test_erfc_far_out(way, dtype):
    x = np.random.default_rng(0).uniform(2.0, FAR[dtype], 400).astype(dtype)
    with jax.enable_x64(dtype == "float64"):
        got = np.asarray(WAYS[way](x))
    assert got.dtype == dtype
    with mpmath.workdps(40):
        wanted = [mpmath.erfc(mpmath.mpf(float(number))) for number in x]
        units = [float(np.spacing(np.asarray(float(w), dtype))) for w in wanted]
        off = [
            abs(mpmath.mpf(float(g)) - w) / u for g, w, u in zip(got, wanted, units, strict=True)
        ]
    assert max(off) <= ULP
