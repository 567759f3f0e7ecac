"""Derivatives that a function takes itself, as the library that takes them has them."""

import numpy as np
import pytest

from actgrad import activation, from_json
from actgrad.errors import ActgradWarning, TraceError

torch = pytest.importorskip("torch")
jax = pytest.importorskip("jax")
F = torch.nn.functional
jnp = jax.numpy
grad = torch.func.grad
pytestmark = pytest.mark.filterwarnings(f"ignore::{ActgradWarning.__module__}.ActgradWarning")

X = np.concatenate([np.linspace(-3.1, 3, 40), [0.3, -0.7]])


def branches(v):
    if v > 0.5:
        return v**2
    return -v


def by_autograd(x):
    y = torch.tanh(x) * x
    (slope,) = torch.autograd.grad(y, x, torch.ones_like(y), create_graph=True)
    return slope * x


def without_graph(x):
    y = torch.tanh(x)
    return torch.autograd.grad(outputs=[y], inputs=[x], grad_outputs=[2 * x])[0] * x


TORCH = {
    "of a library's function": lambda x: grad(torch.tanh)(x),
    "of a function of its own": lambda x: grad(lambda v: F.silu(v) * x)(2 * x) * x,
    "the second": lambda x: grad(grad(torch.sin))(2 * x),
    "of the sum": lambda x: grad(lambda v: torch.sum(torch.sin(v)) / 2)(x),
    "by another argument": lambda x: grad(lambda a, c: a * c * c, argnums=1)(3.0, x),
    "at a constant": lambda x: grad(lambda c: c**3)(torch.tensor(2.0)) * x,
    "value and derivative": lambda x: sum(torch.func.grad_and_value(torch.sin)(x)),
    "of a rounded function": lambda x: x - grad(lambda v: v + (torch.round(v) - v).detach())(x),
    "of branches": lambda x: grad(branches)(x * 2),
    "by several arguments": lambda x: grad(lambda a, b: a * b, argnums=(0, 1))(x, 2 * x)[0],
    "with other results": lambda x: grad(lambda a: (a * a, a), has_aux=True)(x)[0],
}


@pytest.mark.parametrize("name", TORCH)
def test_func_grad_is_the_derivative(name):
    function = TORCH[name]
    x = torch.tensor(X, requires_grad=True)
    value = torch.stack([torch.as_tensor(function(part)) for part in x])
    (slope,) = torch.autograd.grad(value.sum(), x)
    made = from_json(activation(function).to_json())
    np.testing.assert_allclose(made(X), value.detach().numpy(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(made.derivative(X), slope.numpy(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(made(jnp.asarray(X)), made(X), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("function", [by_autograd, without_graph], ids=lambda f: f.__name__)
def test_autograd_grad_by_the_input(function):
    x = torch.tensor(X, requires_grad=True)
    value = function(x)
    (slope,) = torch.autograd.grad(value.sum(), x)
    made = activation(function)
    np.testing.assert_allclose(made(X), value.detach().numpy(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(made.derivative(X), slope.numpy(), rtol=1e-9, atol=1e-12)


JAX = {
    "grad": lambda x: jax.grad(jnp.tanh)(x),
    "vmap of grad": lambda x: jax.vmap(jax.grad(lambda v: v * jax.nn.sigmoid(v)))(x),
    "grad of the sum": lambda x: jax.grad(lambda v: jnp.sum(jnp.sin(v)))(x),
    "value and grad": lambda x: sum(jax.value_and_grad(jnp.sin)(x)),
    "of a where": lambda x: jax.grad(lambda v: jnp.where(v > 0.1, v * x, jnp.exp(v)))(x),
}


@pytest.mark.parametrize("name", JAX)
def test_jax_grad_is_the_derivative(name):
    function = JAX[name]
    made = activation(function)
    wide = jnp.asarray(X)
    each = function if name.startswith(("vmap", "grad of")) else jax.vmap(function)
    np.testing.assert_allclose(made(X), each(wide), rtol=2e-5, atol=1e-5)


def test_a_derivative_within_a_rule_within_a_derivative():
    @jax.custom_jvp
    def curve(t):
        return jnp.sin(t)

    @curve.defjvp
    def _(primals, tangents):
        (t,), (dt,) = primals, tangents
        return curve(t), jax.grad(lambda s: jnp.sin(s) * t)(t) * dt

    def function(x):
        return jax.grad(lambda z: curve(z * z))(x)

    made = activation(function)
    np.testing.assert_allclose(made(X), jax.vmap(function)(jnp.asarray(X)), rtol=2e-5, atol=1e-5)


def test_a_hook_that_is_not_linear_is_the_whole_gradient():
    def function(x):
        y = torch.tanh(x)
        if y.requires_grad:
            y.register_hook(lambda upstream: upstream.clamp(-0.5, 0.5))
        return y

    made = activation(function)
    x = torch.tensor(X, requires_grad=True)
    upstream = torch.linspace(-2, 2, len(X), dtype=x.dtype)
    (ours,), (own,) = (torch.autograd.grad(f(x * 1), x, upstream) for f in (made, function))
    torch.testing.assert_close(ours, own, rtol=1e-12, atol=1e-12)


REFUSED = {
    "of a sum that mixes": lambda x: grad(lambda v: v * v.sum())(x),
    "by what is no input": lambda x: torch.autograd.grad(torch.sin(2 * x), 2 * x)[0],
    "of a sum, by what is no input": lambda x: torch.autograd.grad(torch.sin(2 * x).sum(), 2 * x)[
        0
    ],
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_derivatives_are_refused(name):
    with pytest.raises(TraceError):
        activation(REFUSED[name])


def test_the_derivative_of_a_row_s_function_is_refused():
    with pytest.raises(TraceError, match="derivative that is taken inside"):
        activation(lambda x: grad(lambda v: (v * v).sum())(x), axis=-1)
