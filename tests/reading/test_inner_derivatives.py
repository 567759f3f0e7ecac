"""Derivatives that a function takes inside: `jax.grad`, `torch.func.jacrev`, `tf.GradientTape`."""

from __future__ import annotations

import collections
import re

import numpy as np
import pytest

from actgrad import activation, from_json
from actgrad.errors import ActgradWarning, MixingError, TraceError
from tests.sample import exhaustive_but

jax = pytest.importorskip("jax")
torch = pytest.importorskip("torch")
tf = pytest.importorskip("tensorflow")
jnp = jax.numpy
F, grad = torch.nn.functional, torch.func.grad
pytestmark = pytest.mark.filterwarnings(f"ignore::{ActgradWarning.__module__}.ActgradWarning")
X = np.array([-3.1, -1.7, -0.3, 0.0, 0.2, 0.6, 1.4, 2.7])


def g(x):
    return jnp.sin(x) * jax.nn.relu(x)


@jax.custom_jvp
def straight(x):
    return jnp.round(x)


straight.defjvp(lambda primals, tangents: (straight(primals[0]), tangents[0]))


@jax.custom_jvp
def with_a_rule(t):
    return jnp.sin(t)


@with_a_rule.defjvp
def _(primals, tangents):
    (t,), (dt,) = primals, tangents
    return with_a_rule(t), jax.grad(lambda s: jnp.sin(s) * t)(t) * dt


dg, both = jax.grad(g), jax.value_and_grad(g)
hessian, by_two = jax.hessian(g), jax.jacrev(lambda a, b: g(a) * b, argnums=(0, 1))


def product(a, b):
    return jnp.tanh(a * b) * a


Named = collections.namedtuple("Named", "sine square")


def named(t):
    return Named(jnp.sin(t), t * t)


FUNCTIONS = {
    "made before": lambda x: dg(x) * x,
    "of the sum": lambda x: jax.grad(lambda v: jnp.sum(jnp.sin(v)))(x),
    "of a where": lambda x: jax.grad(lambda v: jnp.where(v > 0.1, v * x, jnp.exp(v)))(x),
    "in a rule, in a derivative": lambda x: jax.grad(lambda z: with_a_rule(z * z))(x),
    "value and slope": lambda x: both(x)[0] + 2 * both(x)[1],
    "a declared derivative": lambda x: jax.grad(straight)(x) * x,
    "of the outer number too": lambda x: jax.grad(lambda y: y * x * x)(x),
    "one in another": lambda x: jax.grad(lambda y: y * jax.grad(lambda z: z * z * y)(x))(x),
    "jvp": lambda x: jax.jvp(g, (x,), (2.0 * x,))[1],
    "vjp": lambda x: jax.vjp(lambda a, b: a * jnp.tanh(b), x, x)[1](3.0 * x)[1],
    "hessian of one number at a time": lambda x: jax.hessian(g)(x) if x > 0.0 else x,
    "grad by two": lambda x: sum(jax.grad(product, argnums=(0, 1))(x, jnp.sin(x))),
    "something besides": lambda x: sum(jax.grad(lambda v: (g(v), v * v), has_aux=True)(x)),
    "value, slope and more": lambda x: sum(
        jax.value_and_grad(lambda v: (g(v), v * v), has_aux=True)(x)[0]
    ),
    "linearize": lambda x: jax.linearize(g, x)[1](2.0 * x),
    "jvp of named results": lambda x: jax.jvp(named, (x,), (x,))[1].square,
    "jvp of two results": lambda x: sum(jax.jvp(lambda v: (g(v), v * v), (x,), (x,))[1]),
    "vjp of two results": lambda x: jax.vjp(lambda v: (g(v), v * v), x)[1]((x, 3.0 * x))[0],
    "a step of Newton's": lambda x: x - g(x) / (jax.grad(g)(x) + 3.0),
}

OF_A_VECTOR = {
    "jacfwd": lambda x: jax.vmap(jax.jacfwd(g))(x) * x,
    "jacrev of named results": lambda x: jax.vmap(jax.jacrev(named))(x).square,
    "jacrev made before, by two": lambda x: sum(jax.vmap(by_two)(x, 2 * x)),
    "hessian made before": lambda x: jax.vmap(hessian)(x),
    "hessian by two": lambda x: jax.vmap(jax.hessian(product, argnums=(0, 1)))(x, jnp.sin(x))[0][1],
    "jacobian of a sum": lambda x: jax.jacrev(lambda z: g(z).sum())(x) * x,
}


SOME = [
    *("made before", "of the sum", "of a where", "in a rule, in a derivative", "jvp", "vjp"),
    *("a declared derivative", "one in another", "grad by two", "something besides", "jacfwd"),
]


def own(function, name=""):
    """The function's own value and derivative, in JAX: of each number, or of all as a vector.

    As one compiled program, but for the one that asks what its number is.
    """
    x64 = jax.enable_x64 if hasattr(jax, "enable_x64") else jax.experimental.enable_x64
    with x64(True):
        if name in OF_A_VECTOR:
            both = lambda v: (function(v), jax.grad(lambda v: function(v).sum())(v))
            return jax.jit(both)(jnp.array(X))
        both = jax.value_and_grad(lambda v: 1.0 * function(v))
        if name.endswith("one number at a time"):
            return np.transpose([both(float(x)) for x in X])
        return jax.jit(jax.vmap(both))(jnp.array(X))


@pytest.mark.parametrize("name", exhaustive_but(SOME, [*FUNCTIONS, *OF_A_VECTOR]))
def test_it_is_the_derivative_that_jax_takes(name):
    function = {**FUNCTIONS, **OF_A_VECTOR}[name]
    value, slope = own(function, name)
    f = activation(function, name="f")
    for each in (f, from_json(f.to_json())):
        np.testing.assert_allclose(each(X), value, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(each.derivative(X) + 0 * X, slope, rtol=1e-12, atol=1e-12)


def test_a_custom_gradient_under_vmap_is_read():
    @jax.custom_gradient
    def rounded(x):
        return jnp.round(x), lambda upstream: (upstream * (jnp.abs(x) < 2),)

    f = activation(jax.vmap(rounded))
    np.testing.assert_array_equal(f(X), np.round(X))
    np.testing.assert_array_equal(f.derivative(X), np.abs(X) < 2)


@pytest.mark.parametrize("made", [dg, jax.vmap(dg)], ids=["grad", "vmap(grad)"])
def test_a_derivative_is_an_activation_itself(made):
    _, slope = own(g)
    f = activation(made, name="f")
    np.testing.assert_allclose(f(X), slope, rtol=1e-12, atol=1e-12)


def curve(x):
    return torch.tanh(x) * x**2


def of_two(a, b):
    return torch.tanh(a * b) * a


def branches(v):
    if v > 0.5:
        return v**2
    return -v


jacobian_before = torch.vmap(torch.func.jacrev(curve))
functional = torch.autograd.functional


def by_autograd(x):
    y = curve(x)
    (slope,) = torch.autograd.grad(
        y.sum(), [x], create_graph=True, retain_graph=True, only_inputs=True
    )
    return slope


def by_a_list(x):
    y = torch.tanh(x)
    return torch.autograd.grad(outputs=[y], inputs=[x], grad_outputs=[2 * x])[0] * x


def of_a_leaf(x):
    with torch.enable_grad():
        z = x.detach().clone().requires_grad_(True)
        (slope,) = torch.autograd.grad(curve(z), z, torch.ones_like(z))
    return x * slope


def of_a_leaf_by_an_attribute(x):
    z = x.detach()
    z.requires_grad = True
    return torch.autograd.grad(curve(z).sum(), z)[0] + x


TORCH = {
    "jacrev": lambda x: torch.vmap(torch.func.jacrev(curve))(x),
    "jacfwd by the second": lambda x: torch.vmap(torch.func.jacfwd(of_two, argnums=1))(x, x.sin()),
    "hessian": lambda x: torch.vmap(torch.func.hessian(curve))(x),
    "made before": lambda x: jacobian_before(x) + x,
    "by two": lambda x: sum(torch.vmap(torch.func.grad(of_two, argnums=(0, 1)))(x, x.sin())),
    "jvp": lambda x: torch.func.jvp(curve, (x,), (2 * x,))[1],
    "vjp": lambda x: torch.func.vjp(curve, x)[1](2 * x)[0],
    "autograd": by_autograd,
    "autograd of a list": by_a_list,
    "autograd of a leaf": of_a_leaf,
    "autograd of a leaf by an attribute": of_a_leaf_by_an_attribute,
    "itself": jacobian_before,
    "functional.jacobian": lambda x: functional.jacobian(lambda z: curve(z).sum(), x) + x,
    "functional.jacobian by two": lambda x: functional.jacobian(
        lambda a, b: of_two(a, b).sum(), (x, x.sin()), create_graph=True, vectorize=True
    )[1],
    "functional.vjp": lambda x: functional.vjp(curve, x, 2 * x, create_graph=True)[1],
    "functional.vjp of a sum": lambda x: functional.vjp(
        lambda z: curve(z).sum(), x, create_graph=True
    )[1],
    "functional.jvp by two": lambda x: functional.jvp(
        of_two, (x, x.sin()), (x, torch.ones_like(x)), create_graph=True
    )[1],
    "functional.jvp, its value": lambda x: functional.jvp(curve, x, x)[0] * x,
    "functional.vhp": lambda x: functional.vhp(lambda z: curve(z).sum(), x, x, create_graph=True)[
        1
    ],
    "functional.hvp": lambda x: (
        functional.hvp(lambda z: curve(z).sum(), x, torch.ones_like(x))[1] * x
    ),
}


@pytest.mark.parametrize("strict", [False, True])
def test_a_hessian_of_one_number_at_a_time(strict):
    def curvature(x):
        if x <= 0:
            return 0.5 * x
        return functional.hessian(lambda z: curve(z), x, create_graph=True, strict=strict)

    f = activation(curvature, name="f")
    for x in X[X > 0]:
        own = functional.hessian(curve, torch.tensor(x)).item()
        np.testing.assert_allclose(f(x), own, rtol=1e-12)
    assert f(-3.0) == -1.5


@pytest.mark.parametrize("name", TORCH)
def test_it_is_the_derivative_that_torch_takes(name):
    x = torch.tensor(X, requires_grad=True)
    value = TORCH[name](x)
    (slope,) = torch.autograd.grad(value.sum(), x)
    f = activation(TORCH[name], name="f")
    np.testing.assert_allclose(f(X), value.detach(), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(f.derivative(X), slope, rtol=1e-12, atol=1e-12)


OF_NUMBERS = {
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


@pytest.mark.parametrize("name", OF_NUMBERS)
def test_it_is_the_derivative_that_torch_takes_of_each_number(name):
    function = OF_NUMBERS[name]
    x = torch.tensor(X, requires_grad=True)
    value = torch.stack([torch.as_tensor(function(part)) for part in x])
    (slope,) = torch.autograd.grad(value.sum(), x)
    f = from_json(activation(function).to_json())
    np.testing.assert_allclose(f(X), value.detach(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(f.derivative(X), slope, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(f(jnp.asarray(X)), f(X), rtol=1e-5, atol=1e-6)


def twice(x):
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = tf.tanh(x) * x * x
        slope = inner.gradient(y, x)
    return outer.gradient(slope, x)


def of_several(x):
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = tf.tanh(x) * x
        z = tf.reduce_sum(y * y)
    return tape.gradient(y, x) + tape.gradient(z, [x])[0]


@pytest.mark.parametrize("function", [twice, of_several])
def test_it_is_the_derivative_that_tensorflow_takes(function):
    x = tf.constant(X)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = function(x)
    slope = tape.gradient(value, x)
    f = activation(function, name="f")
    np.testing.assert_allclose(f(X), value, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(f.derivative(X), slope, rtol=1e-12, atol=1e-12)


class Spike:
    def __init__(self, beta):
        self.beta = beta

    def _rule(self, v):
        return tf.cast(v > 0, v.dtype), lambda upstream: upstream / (1 + self.beta * tf.abs(v)) ** 2

    spike = tf.custom_gradient(_rule)
    __call__ = tf.custom_gradient(_rule)


@pytest.mark.parametrize("name", ["itself", "called", "method"])
def test_a_method_with_a_custom_gradient_is_read(name):
    spike = Spike(2.0)
    function = {"itself": spike, "called": lambda x: spike(x), "method": lambda x: spike.spike(x)}
    f = activation(function[name])
    np.testing.assert_array_equal(f(X), X > 0)
    np.testing.assert_allclose(f.derivative(X), 1 / (1 + 2 * np.abs(X)) ** 2, rtol=1e-12)


def not_watched(x):
    with tf.GradientTape() as tape:
        y = tf.tanh(x)
    return tape.gradient(y, x)


def of_another(x):
    return torch.autograd.grad(torch.tanh(x).sum(), x * 2)[0]


def by_what_is_no_input(x):
    return torch.autograd.grad(torch.sin(2 * x), 2 * x)[0]


def of_a_sum_by_what_is_no_input(x):
    return torch.autograd.grad(torch.sin(2 * x).sum(), 2 * x)[0]


def backward(x):
    y = torch.tanh(x)
    y.sum().backward()
    return x.grad


def by_data(x):
    y = x.clone()
    y.data = torch.sign(x)
    return y


def switched_off(x):
    return torch.tanh(x.requires_grad_(False))


def kept(x):
    y = torch.tanh(x)
    y.note = 1
    return y


@pytest.mark.parametrize(
    "function",
    [
        pytest.param(jax.jacrev(g), marks=pytest.mark.exhaustive),
        pytest.param(lambda x: jax.hessian(g)(x), marks=pytest.mark.exhaustive),
        lambda x: jax.jacfwd(g)(x) * x,
        lambda x: torch.func.jacrev(curve)(x),
        lambda x: functional.jacobian(curve, x),
        lambda x: functional.hessian(lambda z: curve(z).sum(), x),
    ],
)
def test_the_matrix_of_a_whole_array_is_refused(function):
    with pytest.raises(MixingError, match=r"jax\.vmap\(jax\.jacrev\(g\)\)\(x\)"):
        activation(function)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (
            lambda x: jax.jvp(lambda z: g(z).sum(), (x,), (2 * x,))[1],
            "`sum` mixes the elements of a row",
        ),
        (not_watched, "the result is not a number: None"),
        (of_another, "what the output was not computed of"),
        (lambda x: x.grad, "`torch.autograd.grad(y.sum(), x, create_graph=True)[0]`"),
        (backward, "`torch.autograd.grad(y.sum(), x, create_graph=True)[0]`"),
        (by_data, "`y = y + (value - y).detach()`"),
        (switched_off, "Use `x.detach()`"),
        (kept, "Keep it in a local variable"),
        (lambda x: grad(lambda v: v * v.sum())(x), "`sum` mixes the elements of a row"),
        (by_what_is_no_input, "grad can be implicitly created only for scalar outputs"),
        (of_a_sum_by_what_is_no_input, "appears to not have been used in the graph"),
    ],
)
def test_what_is_no_derivative_is_refused(function, said):
    with pytest.raises(TraceError, match=re.escape(said)):
        activation(function)


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


def test_the_derivative_of_a_row_s_function_is_refused():
    with pytest.raises(TraceError, match="derivative that is taken inside"):
        activation(lambda x: grad(lambda v: (v * v).sum())(x), axis=-1)
