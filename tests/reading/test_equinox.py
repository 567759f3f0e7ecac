"""Equinox's custom gradients and derivatives, and JAX's with symbolic zeros, against their own run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from actgrad import activation, from_json
from actgrad.errors import TraceError

jax = pytest.importorskip("jax")
eqx = pytest.importorskip("equinox")
jnp = jax.numpy
X = np.array([-2.5, -1.0, -0.4, 0.0, 0.3, 0.75, 1.5])


@eqx.filter_custom_vjp
def spike(x: Any) -> Any:
    return jnp.where(x > 0, 1.0, 0.0)


@spike.def_fwd
def _(perturbed: bool, x: Any) -> Any:
    return spike(x), (x if perturbed else None)


@spike.def_bwd
def _(residuals: Any, upstream: Any, perturbed: bool, x: Any) -> Any:
    return upstream / (1 + jnp.abs(residuals)) ** 2


@eqx.filter_custom_vjp
def compared(pair: Any, scale: float) -> Any:
    return scale * jnp.sign(pair[0] - pair[1])


@compared.def_fwd
def _(perturbed: Any, pair: Any, scale: float) -> Any:
    return compared(pair, scale), None


@compared.def_bwd
def _(residuals: None, upstream: Any, perturbed: Any, pair: Any, scale: float) -> Any:
    slope = scale * upstream * jnp.exp(-jnp.abs(pair[0] - pair[1]))
    return (slope if perturbed[0] else None, -slope if perturbed[1] else None)


@eqx.filter_custom_jvp
def rounded(x: Any, y: Any, *, scale: float = 2.0) -> Any:
    return jnp.round(scale * x) * y


@rounded.def_jvp
def _(primals: Any, tangents: Any, *, scale: float = 2.0) -> Any:
    (x, y), (dx, dy) = primals, tangents
    out = rounded(x, y, scale=scale)
    moved = 0.0 if dx is None else scale * dx * y
    return out, moved + (0.0 if dy is None else dy * jnp.round(scale * x))


@jax.custom_vjp
def told(x: Any) -> Any:
    return jnp.sign(x)


def _told_forward(x: Any) -> Any:
    return told(x.value), (x.value, x.perturbed)


def _told_backward(residuals: Any, upstream: Any) -> Any:
    x, perturbed = residuals
    if not perturbed or isinstance(upstream, jax.custom_derivatives.SymbolicZero):
        return (jnp.zeros_like(x),)
    return (upstream * jnp.where(jnp.abs(x) < 1, 1.0, 0.0),)


told.defvjp(_told_forward, _told_backward, symbolic_zeros=True)


@jax.custom_jvp
def product(x: Any, y: Any) -> Any:
    return jnp.round(x) * y


def _product_jvp(primals: Any, tangents: Any) -> Any:
    (x, y), (dx, dy) = primals, tangents
    moved = jnp.zeros_like(x * y)
    if type(dx) is not jax.custom_derivatives.SymbolicZero:
        moved += 0.5 * dx * y
    if type(dy) is not jax.custom_derivatives.SymbolicZero:
        moved += dy * jnp.round(x)
    return product(x, y), moved


product.defjvp(_product_jvp, symbolic_zeros=True)


def curve(z: Any) -> Any:
    return jnp.tanh(z) * z


FUNCTIONS = {
    "vjp": lambda x: spike(x) * x,
    "vjp, itself": spike,
    "vjp of a tuple": lambda x: compared((x, 0.5), 2.0) + compared((0.25, x), 1.0),
    "vjp of a tuple, twice x": lambda x: compared((2 * x, x), 2.0),
    "jvp": lambda x: rounded(x, 0.5 * x, scale=3.0),
    "jvp, by one": lambda x: rounded(x, 1.5),
    "jax vjp": told,
    "jax vjp within": lambda x: told(2 * x) * x,
    "jax jvp": lambda x: product(x, x * x) + product(x, 2.0),
    "filter_grad": lambda x: eqx.filter_grad(lambda z: jnp.sum(curve(z)))(x) * x,
    "filter_value_and_grad": lambda x: eqx.filter_value_and_grad(lambda z: curve(z).sum())(x)[1],
    "filter_jvp": lambda x: eqx.filter_jvp(curve, (x,), (2 * x,))[1],
    "filter_vjp": lambda x: eqx.filter_vjp(curve, x)[1](2 * x)[0],
    "filter_vmap": lambda x: eqx.filter_vmap(eqx.filter_grad(curve))(x),
    "filter_jit": lambda x: eqx.filter_jit(curve)(x),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_value_and_derivative_are_the_library_s(name: str) -> None:
    function = FUNCTIONS[name]
    x = jnp.asarray(X, "float32")
    slope = jax.grad(lambda v: jnp.sum(function(v)))(x)
    made = from_json(activation(function, name="f").to_json())
    np.testing.assert_allclose(made(X), function(x), rtol=2e-6, atol=2e-6)
    np.testing.assert_allclose(made.derivative(X) + 0 * X, slope, rtol=2e-6, atol=2e-6)


def test_a_keyword_is_a_plain_number() -> None:
    made = activation(rounded, name="f")
    assert made.inputs == ("x", "y")
    assert made(0.8, 3.0) == 6.0
    assert float(jax.grad(made, argnums=0)(0.8, 3.0)) == 6.0


def test_what_has_no_derivative_in_equinox_is_refused() -> None:
    with pytest.raises(TraceError, match=r"Make the first one a tuple of all that have one"):
        activation(lambda x: compared((x, 0.5), x))
    with pytest.raises(TraceError, match=r"Pass what has one by position"):
        activation(lambda x: rounded(x, 1.0, scale=x))
