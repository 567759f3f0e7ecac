"""What libraries compute of a row, in a function of one: value and gradient of the library's own run."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
import scipy.special
import tensorflow as tf
import torch
import torch.nn.functional as F

from actgrad import activation, from_json
from actgrad.errors import CallError, ImpureError, TraceError
from tests.rows.functions import rows

pytestmark = pytest.mark.usefixtures("float64")


NUMPY: dict[str, Callable[[Any], Any]] = {
    "median": lambda x: x - np.median(x),
    "median of an odd number": lambda x: x[1:] * np.median(x[1:], keepdims=True),
    "quantile": lambda x: np.clip(x, np.quantile(x, 0.13), np.quantile(x, 0.9)),
    "percentile": lambda x: x * np.percentile(x, 30),
    "roll": lambda x: x * np.roll(x, 1) + np.roll(x, -2),
    "roll by half": lambda x: x * np.roll(x, len(x) // 2),
    "ptp": lambda x: (x - np.min(x)) / np.ptp(x),
    "var": lambda x: x / (1 + np.var(x, ddof=1)) + x.var(),
    "std": lambda x: x / np.std(x) + x.std(),
    "average": lambda x: x * np.average(x, weights=np.exp(x)),
    "scipy softmax": lambda x: x * scipy.special.softmax(x),
    "scipy log_softmax": lambda x: x * scipy.special.log_softmax(x),
    "scipy logsumexp": lambda x: x - scipy.special.logsumexp(x),
}
TORCH: dict[str, Callable[[Any], Any]] = {
    "torch.softmax": lambda x: x * torch.softmax(x, -1) + x.softmax(dim=-1),
    "F.softmax": lambda x: x * F.softmax(x, dim=-1) + F.softmin(x, -1) + F.log_softmax(x, -1),
    "logsumexp": lambda x: x - torch.logsumexp(x, -1, keepdim=True),
    "F.normalize": lambda x: F.normalize(x, dim=-1) + F.normalize(x, p=1.0, dim=-1),
    "F.layer_norm": lambda x: F.layer_norm(x, (x.shape[-1],)) * F.layer_norm(x, x.shape, eps=0.1),
    "F.rms_norm": lambda x: x * F.rms_norm(x, (x.shape[-1],), eps=1e-6),
    "F.glu": lambda x: F.glu(x, -1) + F.glu(x),
    "median": lambda x: x - torch.median(x) + x.median(-1).values * x.median(dim=-1)[0],
    "quantile": lambda x: torch.minimum(x, torch.quantile(x, 0.7)),
    "roll": lambda x: x * torch.roll(x, 1, -1) + torch.roll(x, shifts=-1, dims=-1),
    "var": lambda x: x / (1 + torch.var(x, -1)) + torch.var(x, correction=0),
    "std": lambda x: x / torch.std(x) + x.std(-1, unbiased=False) + torch.std(x, unbiased=False),
}
TENSORFLOW: dict[str, Callable[[Any], Any]] = {
    "softmax": lambda x: x * tf.nn.softmax(x) + tf.nn.log_softmax(x, axis=-1),
    "l2_normalize": lambda x: tf.nn.l2_normalize(x, -1) + tf.math.l2_normalize(2 * x),
    "logsumexp": lambda x: x - tf.reduce_logsumexp(x),
    "moments": lambda x: x * tf.nn.moments(x, [-1])[1] - tf.nn.moments(x, -1)[0],
    "roll": lambda x: x * tf.roll(x, 2, -1),
    "variance": lambda x: x * tf.math.reduce_variance(x) + tf.math.reduce_std(x),
}
JAX: dict[str, Callable[[Any], Any]] = {
    "softmax": lambda x: x * jax.nn.softmax(x) + jax.nn.log_softmax(x, axis=-1),
    "standardize": lambda x: x * jax.nn.standardize(x),
    "logsumexp": lambda x: x - jax.nn.logsumexp(x) + jax.scipy.special.logsumexp(2 * x),
    "glu": lambda x: jax.nn.glu(x),
    "median": lambda x: x * jnp.median(x) + jnp.quantile(x, 0.3),
    "roll": lambda x: x * jnp.roll(x, 1) / jnp.ptp(x),
    "var": lambda x: x * jnp.var(x) + jnp.std(x, ddof=1),
}
KERAS: dict[str, Callable[[Any], Any]] = {
    "softmax": lambda x: x * keras.ops.softmax(x) + keras.ops.log_softmax(x, axis=-1),
    "logsumexp": lambda x: x - keras.ops.logsumexp(x),
    "normalize": lambda x: keras.ops.normalize(x) + keras.ops.normalize(x, order=1),
    "median": lambda x: x * keras.ops.median(x) + keras.ops.quantile(x, 0.25),
    "roll": lambda x: x * keras.ops.roll(x, 1),
    "var": lambda x: x * keras.ops.var(x) + keras.ops.std(x),
    "moments": lambda x: x * keras.ops.moments(x, axes=[-1])[1],
    "layer_normalization": lambda x: x * keras.ops.layer_normalization(x, epsilon=1e-3),
    "rms_normalization": lambda x: x * keras.ops.rms_normalization(x, 2.0),
}


def compare(
    function: Any, x: Any, values: Any, slopes: Any, upstream: Any, exact: bool = True
) -> None:
    f = activation(function, axis=-1, name="f")
    assert from_json(f.to_json()) == f
    close = dict(rtol=1e-9, atol=1e-11) if exact else dict(rtol=2e-5, atol=1e-5)
    np.testing.assert_allclose(f(x), values, **close)
    tensor = torch.tensor(x, requires_grad=True)
    f(tensor).backward(torch.tensor(upstream))
    np.testing.assert_allclose(
        tensor.grad, slopes, **(close if exact else dict(rtol=1e-4, atol=1e-4))
    )


def above(values: Any) -> Any:
    return np.random.default_rng(1).normal(size=values.shape)


X = rows("softmax", 5)[0]


@pytest.mark.parametrize("name", NUMPY)
def test_numpy_and_scipy(name: str) -> None:
    function = NUMPY[name]
    values = np.stack([np.asarray(function(row)) for row in X])
    upstream, slopes = above(values), np.zeros_like(X)
    for j in range(X.shape[1]):
        step = 1e-6 * np.eye(X.shape[1])[j]
        ends = [np.stack([np.asarray(function(row + s * step)) for row in X]) for s in (1, -1)]
        slopes[:, j] = ((ends[0] - ends[1]) / 2e-6 * upstream).reshape(5, -1).sum(-1)
    f = activation(function, axis=-1, name="f")
    np.testing.assert_allclose(f(X), values, rtol=1e-12, atol=1e-13)
    tensor = torch.tensor(X, requires_grad=True)
    f(tensor).backward(torch.tensor(upstream))
    np.testing.assert_allclose(tensor.grad, slopes, rtol=2e-5, atol=2e-7)


@pytest.mark.parametrize("name", TORCH)
def test_torch(name: str) -> None:
    tensor = torch.tensor(X, requires_grad=True)
    own = torch.stack([TORCH[name](row) for row in tensor])
    upstream = above(own)
    (slopes,) = torch.autograd.grad(own, tensor, torch.tensor(upstream))
    compare(TORCH[name], X, own.detach(), slopes, upstream)


@pytest.mark.parametrize("name", TENSORFLOW)
def test_tensorflow(name: str) -> None:
    tensor = tf.constant(X)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        own = tf.stack([TENSORFLOW[name](row) for row in tf.unstack(tensor)])
    upstream = above(own.numpy())
    slopes = tape.gradient(own, tensor, tf.constant(upstream))
    compare(TENSORFLOW[name], X, own, slopes, upstream)


@pytest.mark.parametrize("name", JAX)
def test_jax(name: str) -> None:
    function = jax.vmap(JAX[name])
    upstream = above(jax.eval_shape(function, X))

    def both(x: Any) -> Any:
        own, pull = jax.vjp(function, x)
        return own, pull(jnp.asarray(upstream))[0]

    own, slopes = jax.jit(both)(X)  # one compiled program, not one for each operation
    compare(JAX[name], X, own, slopes, upstream)


@pytest.mark.parametrize("name", KERAS)
def test_keras(name: str) -> None:
    """On its backend, whose quantile rounds the place to float32: so it is read where that is exact."""
    assert keras.config.backend() == "tensorflow"
    narrow = X.astype(np.float32)
    tensor = tf.constant(narrow)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        own = tf.stack([KERAS[name](row) for row in tf.unstack(tensor)])
    upstream = above(own.numpy()).astype(np.float32)
    slopes = tape.gradient(own, tensor, tf.constant(upstream))
    compare(KERAS[name], narrow, own, slopes, upstream, exact=False)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: F.rms_norm(x, (x.shape[-1],)), "depends on the dtype"),
        (lambda x: F.layer_norm(x, (6,)), "the row's own"),
        (lambda x: tf.nn.moments(x, [-1], shift=0.5)[1] * x, "shift"),
        (lambda x: torch.quantile(x, 0.5, interpolation="lower"), "another method"),
        (lambda x: scipy.special.logsumexp(x, b=2.0), "b=2.0"),
        (lambda x: jnp.var(x, where=x > 0) * x, "where="),
        (lambda x: F.softmax(x, dim=1), "only axis is -1"),
        (lambda x: F.gumbel_softmax(x), "random"),
        (lambda x: np.roll(x, 1.5), "rolled by"),
    ],
)
def test_what_is_not_read_is_refused(function: Any, message: str) -> None:
    with pytest.raises((TraceError, ImpureError), match=message):
        activation(function, axis=-1, name="f")


def test_a_rolled_row_must_be_longer() -> None:
    f = activation(lambda x: np.roll(x, 3), axis=-1, name="f")
    np.testing.assert_array_equal(f(np.arange(5.0)), np.roll(np.arange(5.0), 3))
    with pytest.raises(CallError, match="length 3"):
        f(np.arange(3.0))
    assert math.isclose(
        float(activation(lambda x: np.median(x), axis=-1)(np.float64([3, 1, 2, 9]))), 2.5
    )
