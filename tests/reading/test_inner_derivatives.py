"""Functions that `jax.grad` made before, `jax.jvp` and `jax.vjp`."""

from __future__ import annotations

import numpy as np
import pytest

from actgrad import activation, from_json

jax = pytest.importorskip("jax")
jnp = jax.numpy
X = np.array([-3.1, -1.7, -0.3, 0.0, 0.2, 0.6, 1.4, 2.7])


def g(x):
    return jnp.sin(x) * jax.nn.relu(x)


@jax.custom_jvp
def straight(x):
    return jnp.round(x)


straight.defjvp(lambda primals, tangents: (straight(primals[0]), tangents[0]))
dg, both = jax.grad(g), jax.value_and_grad(g)


FUNCTIONS = {
    "made before": lambda x: dg(x) * x,
    "value and slope": lambda x: both(x)[0] + 2 * both(x)[1],
    "a declared derivative": lambda x: jax.grad(straight)(x) * x,
    "of the outer number too": lambda x: jax.grad(lambda y: y * x * x)(x),
    "one in another": lambda x: jax.grad(lambda y: y * jax.grad(lambda z: z * z * y)(x))(x),
    "jvp": lambda x: jax.jvp(g, (x,), (2.0 * x,))[1],
    "vjp": lambda x: jax.vjp(lambda a, b: a * jnp.tanh(b), x, x)[1](3.0 * x)[1],
    "a step of Newton's": lambda x: x - g(x) / (jax.grad(g)(x) + 3.0),
}


def own(function):
    """The function's own value and derivative, in JAX."""
    x64 = jax.enable_x64 if hasattr(jax, "enable_x64") else jax.experimental.enable_x64
    with x64(True):
        value = [float(function(float(x))) for x in X]
        return value, [float(jax.grad(lambda v: 1.0 * function(v))(float(x))) for x in X]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_it_is_the_derivative_that_jax_takes(name):
    value, slope = own(FUNCTIONS[name])
    f = activation(FUNCTIONS[name], name="f")
    for each in (f, from_json(f.to_json())):
        np.testing.assert_allclose(each(X), value, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(each.derivative(X) + 0 * X, slope, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("made", [dg, jax.vmap(dg)], ids=["grad", "vmap(grad)"])
def test_a_derivative_is_an_activation_itself(made):
    _, slope = own(g)
    f = activation(made, name="f")
    np.testing.assert_allclose(f(X), slope, rtol=1e-12, atol=1e-12)
