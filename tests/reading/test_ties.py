"""At ties and edges each library's function has that library's derivative, measured by its own autograd."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from actgrad import activation

X = np.array([0.0, 1.0, 0.5, -1.0, 2.0])


def _torch(f: Callable[[Any], Any]) -> tuple[Any, Any]:
    torch = pytest.importorskip("torch")
    x = torch.tensor(X, requires_grad=True)
    y = f(x)
    return y.detach().numpy(), torch.autograd.grad(y.sum(), x)[0].numpy(force=True)


def _tensorflow(f: Callable[[Any], Any]) -> tuple[Any, Any]:
    tf = pytest.importorskip("tensorflow")
    x = tf.constant(X)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    return y.numpy(), tape.gradient(y, x).numpy()


def _jax(f: Callable[[Any], Any]) -> tuple[Any, Any]:
    jax = pytest.importorskip("jax")
    both = jax.value_and_grad(lambda z: (lambda y: (y.sum(), y))(f(z)), has_aux=True)
    (_, value), slopes = jax.jit(both)(jax.numpy.asarray(X))
    return np.asarray(value), np.asarray(slopes)


OWN = {"torch": _torch, "tensorflow": _tensorflow, "jax": _jax}

FUNCTIONS = {
    "torch": """
        torch.max(x, 2 * x)
        torch.min(x, 2 * x)
        torch.fmax(x, 2 * x)
        torch.fmin(2 * x, x)
        x.max(2 * x)
        x.maximum(torch.zeros_like(x))
        torch.stack([x, 2 * x, 3 * x]).max(0)[0]
        torch.max(torch.stack([3 * x, 2 * x, x]), 0).values
        torch.stack([x, 2 * x], -1).min(-1)[0]
        torch.amax(torch.stack([x, 2 * x, 3 * x], -1), -1)
        torch.stack([x, 2 * x]).amin(0)
        torch.clamp(x, 0, 1)
        torch.clamp(x, 2 * x, 3 * x)
        x.clamp_min(0)
        torch.copysign(x, x)
        torch.hypot(x, torch.ones_like(x))
        F.hardshrink(x, 0.0)
        F.leaky_relu(x, -0.5)
        F.smooth_l1_loss(x, torch.zeros_like(x), reduction="none")
    """,
    "tensorflow": """
        tf.maximum(x, 2 * x)
        tf.minimum(2 * x, x)
        tf.reduce_max(tf.stack([x, 2 * x, 3 * x]), 0)
        tf.reduce_min(tf.stack([x, 2 * x], -1), -1)
        tf.clip_by_value(x, 0.0, 1.0)
        tf.raw_ops.Relu(features=x)
        tf.raw_ops.Maximum(x=x, y=2 * x)
        tf.experimental.numpy.maximum(x, 0)
        tf.experimental.numpy.maximum(x, 2 * x)
        tf.reduce_sum(tf.nn.crelu(x[..., None]), -1)
        tf.nn.log_poisson_loss(tf.ones_like(x), x)
        keras.ops.maximum(x, 2 * x)
        keras.ops.max(keras.ops.stack([x, 2 * x]), axis=0)
    """,
    "jax": """
        jnp.maximum(x, 2 * x)
        jnp.hypot(x, 0.0)
        jnp.hypot(x, x)
        jnp.astype(x > 0, x.dtype) * jnp.hypot(x, 1.0)
        jnp.fmax(x, 2 * x)
        jnp.fmin(x, 2 * x)
        jnp.max(jnp.stack([x, 2 * x, 3 * x]), 0)
        jnp.clip(x, 0, 1)
        jax.lax.clamp(0.0, x, 1.0)
        jnp.interp(x, jnp.array([0.0, 1.0]), jnp.array([0.0, 2.0]))
    """,
}
LINES = [
    (library, line.strip())
    for library, text in FUNCTIONS.items()
    for line in text.strip().splitlines()
]


def _function(library: str, line: str) -> Callable[[Any], Any]:
    names: dict[str, Any] = {library: pytest.importorskip(library)}
    if library == "torch":
        names["F"] = names["torch"].nn.functional
    elif library == "tensorflow":
        names |= {"tf": names["tensorflow"], "keras": pytest.importorskip("keras")}
    else:
        names["jnp"] = names["jax"].numpy
    function: Callable[[Any], Any] = eval(f"lambda x: {line}", names)
    return function


@pytest.mark.parametrize(("library", "line"), LINES, ids=[line for _, line in LINES])
def test_the_derivative_at_a_tie_is_the_librarys(library: str, line: str) -> None:
    function = _function(library, line)
    values, slopes = OWN[library](function)
    read = activation(function)
    np.testing.assert_allclose(read(X), values, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(np.broadcast_to(read.derivative(X), X.shape), slopes, rtol=1e-6)
