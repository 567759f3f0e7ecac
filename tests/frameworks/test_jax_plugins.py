"""Where JAX libraries take an activation, ours goes in as it is: Flax NNX and Linen, Equinox, Haiku.

Each network is compared with its twin that has the same activation written for JAX by hand. A library
that is not installed is skipped.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from actgrad import activation
from tests.sample import exhaustive_but

jax = pytest.importorskip("jax")
jnp = pytest.importorskip("jax.numpy")

step = activation(
    lambda x, slope=1.5: 1.0 if x >= 0 else 0.0,
    surrogate=lambda x, slope: slope * np.exp(-slope * x * x),
    name="step",
)
swish = activation(lambda x, beta=1.0: x / (1 + np.exp(-beta * x)), name="swish")
X = jnp.asarray(np.random.default_rng(0).normal(size=(6, 4)), jnp.float32)
Y = jnp.asarray(np.random.default_rng(1).normal(size=(6, 2)), jnp.float32)


def by_hand(x: Any) -> Any:
    still = jax.lax.stop_gradient
    slope = 1.5 * jnp.exp(-1.5 * x * x)
    return still((x >= 0).astype(x.dtype)) + still(slope) * (x - still(x))


def close(mine: Any, theirs: Any) -> None:
    """The same numbers in two trees, and not only zeros."""
    mine, theirs = (
        [leaf for leaf in jax.tree.leaves(tree) if isinstance(leaf, jax.Array)]
        for tree in (mine, theirs)
    )
    assert len(mine) == len(theirs) > 0
    for a, b in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    assert max(float(jnp.abs(a).max()) for a in mine) > 0


# Flax


def nnx_network(nnx: Any, f: Any) -> Any:
    class Network(nnx.Module):
        def __init__(self, rngs: Any) -> None:
            self.first, self.last = nnx.Linear(4, 8, rngs=rngs), nnx.Linear(8, 2, rngs=rngs)
            self.activation = f

        def __call__(self, x: Any) -> Any:
            return self.last(self.activation(self.first(x)))

    return Network(nnx.Rngs(0))


@pytest.mark.parametrize("jit", exhaustive_but([True], [False, True]))
def test_nnx(jit: bool) -> None:
    nnx = pytest.importorskip("flax.nnx")
    found = []
    for f in (step, by_hand):
        network = nnx_network(nnx, f)
        loss = lambda network: ((network(X) - Y) ** 2).mean()
        gradient = nnx.jit(nnx.grad(loss)) if jit else nnx.grad(loss)
        found.append(gradient(network))
    close(*found)


def test_nnx_split_merge_and_clone() -> None:
    nnx = pytest.importorskip("flax.nnx")
    network = nnx_network(nnx, step)
    structure, state = nnx.split(network)
    assert hash(structure) == hash(nnx.split(nnx.clone(network))[0])
    np.testing.assert_array_equal(nnx.merge(structure, state)(X), network(X))


def test_nnx_sequential_trains() -> None:
    nnx, optax = pytest.importorskip("flax.nnx"), pytest.importorskip("optax")
    rngs = nnx.Rngs(0)
    network = nnx.Sequential(nnx.Linear(4, 32, rngs=rngs), step, nnx.Linear(32, 2, rngs=rngs))
    optimizer = nnx.Optimizer(network, optax.adam(0.02), wrt=nnx.Param)

    @nnx.jit
    def train(network: Any, optimizer: Any) -> Any:
        loss, gradient = nnx.value_and_grad(lambda n: ((n(X) - Y) ** 2).mean())(network)
        optimizer.update(network, gradient)
        return loss

    losses = [float(train(network, optimizer)) for _ in range(60)]
    assert losses[-1] < 0.1 * losses[0]


def test_nnx_param_as_a_parameter_of_the_activation() -> None:
    nnx = pytest.importorskip("flax.nnx")

    class Swish(nnx.Module):
        def __init__(self) -> None:
            self.beta = nnx.Param(jnp.float32(1.5))

        def __call__(self, x: Any) -> Any:
            return swish(x, beta=self.beta)

    gradient = nnx.jit(nnx.grad(lambda m: m(X).sum()))(Swish())
    wanted = jax.grad(lambda b: (X * jax.nn.sigmoid(b * X)).sum())(1.5)
    np.testing.assert_allclose(jax.tree.leaves(gradient)[0], wanted, rtol=1e-5)


def test_linen() -> None:
    linen = pytest.importorskip("flax.linen")

    class Network(linen.Module):
        activation: Any

        @linen.compact
        def __call__(self, x: Any) -> Any:
            return linen.Dense(2)(self.activation(linen.Dense(8)(x)))

    found = []
    for f in (step, by_hand):
        network = Network(activation=f)
        parameters = network.init(jax.random.key(0), X)
        loss = lambda p, network=network: ((network.apply(p, X) - Y) ** 2).mean()
        found.append(jax.jit(jax.grad(loss))(parameters))
    close(*found)


# Equinox


@pytest.mark.parametrize("jit", exhaustive_but([True], [False, True]))
def test_equinox(jit: bool) -> None:
    eqx = pytest.importorskip("equinox")
    found = []
    for f in (step, by_hand):
        network = eqx.nn.MLP(4, 2, 8, 2, activation=f, key=jax.random.key(0))
        gradient = eqx.filter_grad(lambda n: ((jax.vmap(n)(X) - Y) ** 2).mean())
        found.append((eqx.filter_jit(gradient) if jit else gradient)(network))
    close(*found)


def test_equinox_sequential_lambda_and_checkpoint() -> None:
    eqx = pytest.importorskip("equinox")
    found = []
    for f in (step, by_hand):
        keys = jax.random.split(jax.random.key(0))
        layers = [
            eqx.nn.Linear(4, 8, key=keys[0]),
            eqx.nn.Lambda(f),
            eqx.nn.Linear(8, 2, key=keys[1]),
        ]
        network = eqx.nn.Sequential(layers)
        gradient = eqx.filter_grad(
            lambda n: (eqx.filter_checkpoint(eqx.filter_vmap(n))(X) ** 2).mean()
        )
        found.append(eqx.filter_jit(gradient)(network))
    close(*found)


def test_equinox_saves_and_loads(tmp_path: Any) -> None:
    eqx = pytest.importorskip("equinox")
    make = lambda key: eqx.nn.MLP(4, 2, 8, 1, activation=step, key=jax.random.key(key))
    eqx.tree_serialise_leaves(tmp_path / "model.eqx", make(0))
    loaded = eqx.tree_deserialise_leaves(tmp_path / "model.eqx", make(1))
    np.testing.assert_array_equal(jax.vmap(loaded)(X), jax.vmap(make(0))(X))


def test_equinox_field_as_a_parameter_of_the_activation() -> None:
    eqx = pytest.importorskip("equinox")

    class Swish(eqx.Module):
        beta: Any

        def __call__(self, x: Any) -> Any:
            return swish(x, beta=self.beta)

    module = Swish(jnp.asarray([0.5, 1.0, 1.5, 2.0]))
    gradient = eqx.filter_jit(eqx.filter_grad(lambda m: m(X).sum()))(module)
    wanted = jax.grad(lambda b: (X * jax.nn.sigmoid(b * X)).sum())(module.beta)
    np.testing.assert_allclose(gradient.beta, wanted, rtol=1e-5)


# Haiku, and functions of no library


def test_haiku() -> None:
    hk = pytest.importorskip("haiku")
    found = []
    for f in (step, by_hand):
        network = hk.without_apply_rng(
            hk.transform(lambda x, f=f: hk.nets.MLP([8, 2], activation=f)(x))
        )
        parameters = network.init(jax.random.key(0), X)
        loss = lambda p, network=network: ((network.apply(p, X) - Y) ** 2).mean()
        found.append(jax.jit(jax.grad(loss))(parameters))
    close(*found)


def test_pure_functions() -> None:
    keys = jax.random.split(jax.random.key(0))
    weights = {"a": jax.random.normal(keys[0], (4, 8)), "b": jax.random.normal(keys[1], (8, 2))}

    def loss(weights: Any, f: Any) -> Any:
        return ((f(X @ weights["a"]) @ weights["b"] - Y) ** 2).mean()

    compiled = jax.jit(jax.grad(loss), static_argnums=1)
    close(compiled(weights, step), compiled(weights, by_hand))
