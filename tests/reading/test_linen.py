"""Modules of Flax Linen: applied to variables, bound to them, and passed themselves."""

from __future__ import annotations

import numpy as np
import pytest

from actgrad import activation, from_json
from actgrad.errors import TraceError

jax = pytest.importorskip("jax")
nn = pytest.importorskip("flax.linen")
jnp = jax.numpy
X = np.array([-3.1, -1.7, -0.3, 0.2, 0.6, 1.4, 2.7])


class Swish(nn.Module):
    beta: float = 1.5

    @nn.compact
    def __call__(self, x):
        gain = self.param("gain", lambda key: jnp.float32(0.75))
        return gain * x * jax.nn.sigmoid(self.beta * x)


class Chain(nn.Module):
    """Parts by their places, out of order, by a name, and one that is given."""

    last: nn.Module
    scale: float = 2.0

    @nn.compact
    def __call__(self, x):
        first, second = nn.PReLU(negative_slope_init=0.25), nn.PReLU(negative_slope_init=0.5)
        named = nn.PReLU(negative_slope_init=0.125, name="named")
        third = nn.PReLU(negative_slope_init=2.0)
        x = first(second(x) - 1) * self.scale
        return self.last(third(named(x) - 1) + jnp.tanh(x))


class WithSetup(nn.Module):
    parts: int = 2

    def setup(self):
        self.slopes = [nn.PReLU(negative_slope_init=0.5 + i) for i in range(self.parts)]
        self.swish = Swish()
        self.shift = self.param("shift", lambda key: jnp.float32(0.5))

    def __call__(self, x):
        for slope in self.slopes:
            x = slope(x) - self.shift
        return self.swish(x)

    def other(self, x):
        return 3 * self.swish(x) + self.shift


def bound(module):
    return module.bind(module.init(jax.random.key(0), jnp.ones(3)))


chain, with_setup = bound(Chain(Swish())), bound(WithSetup())
alone, variables = WithSetup(), with_setup.variables
sequential = bound(nn.Sequential([nn.PReLU(), jnp.tanh]))

FUNCTIONS = {
    "applied": lambda x: alone.apply(variables, x),
    "bound inside": lambda x: alone.bind(variables)(x),
    "bound before": lambda x: chain(x) + x,
    "itself": with_setup,
    "itself, of parts": chain,
    "of a list": sequential,
    "another method": lambda x: alone.apply(variables, x, method=WithSetup.other),
    "another method by name": lambda x: alone.apply(variables, x, method="other"),
    "made inside": lambda x: nn.PReLU().apply({"params": {"negative_slope": 0.2}}, x),
    "under jit": lambda x: jax.jit(alone.apply)(variables, x),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_it_computes_what_flax_computes(name):
    theirs = FUNCTIONS[name]
    x = jnp.asarray(X, jnp.float32)
    value, slope = jax.jit(lambda x: jax.jvp(theirs, (x,), (jnp.ones_like(x),)))(x)
    f = activation(theirs, name="f")
    for each in (f, from_json(f.to_json())):
        np.testing.assert_allclose(each(X), value, rtol=2e-6)
        np.testing.assert_allclose(each.derivative(X), slope, rtol=2e-5, atol=1e-6)


def test_its_numbers_are_parameters():
    f = activation(with_setup)
    assert dict(f.program.parameters) == {
        "beta": 1.5,
        "gain": 0.75,
        "shift": 0.5,
        "negative_slope_slopes_0": 0.5,
        "negative_slope_slopes_1": 1.5,
    }
    assert f(2.0, gain=1.5) == pytest.approx(2 * f(2.0))


def test_a_module_without_values_is_refused():
    with pytest.raises(TraceError, match=r"module\.bind\(module\.init\(key, x\)\)"):
        activation(lambda x: alone(x))


def test_variables_that_change_are_refused():
    with pytest.raises(TraceError, match="keeps no state"):
        activation(lambda x: alone.apply(variables, x, mutable=["batch_stats"])[0])
