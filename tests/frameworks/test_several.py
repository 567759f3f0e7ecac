"""Several inputs, parameters that are arrays or learnt, and whole gradients: the same in each framework.

The oracle is the plain Python function, number by number, and its differences.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")
torch = pytest.importorskip("torch")
jax = pytest.importorskip("jax")
import jax.numpy as jnp

from actgrad import Activation, activation, trainable
from actgrad.errors import NoDerivativeError


def difference(a, b):
    return a - b


def gated(a, b):
    return a / (1 + math.exp(-b))


def length(a, b):
    return math.hypot(a, b)


def softly(a, b, beta=1.5):
    return a / (1 + math.exp(-beta * b))


ACTIVATIONS = {f.__name__: activation(f) for f in (difference, gated, length)}
SOFTLY = activation(softly)


def in_tensorflow(wrap: Callable[[Any], Any]) -> Any:
    def run(f: Activation, inputs: list[Any], parameters: dict[str, Any], upstream: Any) -> Any:
        def both(xs: Any, given: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch([xs, given])
                value = f(*xs, **given)
            return value, tape.gradient(value, [xs, given], output_gradients=tf.constant(upstream))

        value, (by_inputs, by_parameters) = wrap(both)(
            list(map(tf.constant, inputs)), {n: tf.constant(p) for n, p in parameters.items()}
        )
        return value.numpy(), [g.numpy() for g in [*by_inputs, *by_parameters.values()]]

    return run


def in_torch(wrap: Callable[[Any], Any]) -> Any:
    def run(f: Activation, inputs: list[Any], parameters: dict[str, Any], upstream: Any) -> Any:
        leaves = [torch.tensor(x, requires_grad=True) for x in (*inputs, *parameters.values())]
        torch._dynamo.reset()
        size, names = len(inputs), list(parameters)
        function = wrap(lambda *xs: f(*xs[:size], **dict(zip(names, xs[size:], strict=True))))
        value = function(*leaves)
        found = torch.autograd.grad(value, leaves, torch.tensor(upstream))
        return value.detach().numpy(), [g.numpy() for g in found]

    return run


def in_jax(wrap: Callable[[Any], Any]) -> Any:
    def run(f: Activation, inputs: list[Any], parameters: dict[str, Any], upstream: Any) -> Any:
        with jax.enable_x64(True):
            call = lambda xs, given: f(*xs, **given)
            value, back = jax.vjp(
                wrap(call), list(map(jnp.asarray, inputs)), jax.tree.map(jnp.asarray, parameters)
            )
            by_inputs, by_parameters = back(jnp.asarray(upstream))
            found = [*by_inputs, *(by_parameters[name] for name in parameters)]
            return np.asarray(value), list(map(np.asarray, found))

    return run


MODES = {
    "TensorFlow eager": in_tensorflow(lambda f: f),
    "tf.function": in_tensorflow(tf.function),
    "XLA": in_tensorflow(lambda f: tf.function(f, jit_compile=True)),
    "PyTorch eager": in_torch(lambda f: f),
    "torch.compile": in_torch(lambda f: torch.compile(f, backend="aot_eager", fullgraph=True)),
    "JAX": in_jax(lambda f: f),
    "jax.jit": in_jax(jax.jit),
}
SHAPES = [
    ("difference", ((2, 3), (3,))),
    ("difference", ((), (2, 3))),
    ("gated", ((2, 3), (2, 3))),
    ("gated", ((4, 1, 3), (2, 1))),
    ("length", ((2, 1), (1, 3))),
]


def numbers(shape: tuple[int, ...], seed: int) -> Any:
    return np.random.default_rng(seed).uniform(0.3, 2.0, shape)


def differences(function: Any, arguments: list[Any], upstream: Any) -> list[Any]:
    """The gradient of sum(upstream * function) by every element of every argument."""
    over_arrays = np.vectorize(function, otypes=[np.float64])
    found = []
    for i, argument in enumerate(arguments):
        slopes = np.zeros_like(argument)
        for at in np.ndindex(argument.shape):
            sides = []
            for step in (1e-5, -1e-5):
                moved = argument.copy()
                moved[at] += step
                value = over_arrays(*arguments[:i], moved, *arguments[i + 1 :])
                sides.append(np.sum(upstream * value))
            slopes[at] = (sides[0] - sides[1]) / 2e-5
        found.append(slopes)
    return found


def agree(found: Any, function: Any, arguments: list[Any], upstream: Any) -> None:
    value, gradients = found
    over_arrays = np.vectorize(function, otypes=[np.float64])
    np.testing.assert_allclose(value, over_arrays(*arguments), rtol=1e-14)
    wanted = differences(function, arguments, upstream)
    assert [g.shape for g in gradients] == [a.shape for a in arguments]
    for own, true in zip(gradients, wanted, strict=True):
        np.testing.assert_allclose(own, true, rtol=1e-8)


@pytest.mark.diagonal
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("name", "shapes"), SHAPES, ids=str)
def test_inputs_broadcast_and_gradients_are_summed_back(mode: str, shapes: Any, name: str) -> None:
    inputs = [numbers(shape, seed) for seed, shape in enumerate(shapes)]
    upstream = numbers(np.broadcast_shapes(*shapes), 9)
    f = ACTIVATIONS[name]
    agree(MODES[mode](f, inputs, {}, upstream), globals()[name], inputs, upstream)


@pytest.mark.diagonal
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", [(), (3,), (2, 1)], ids=str)
def test_a_parameter_is_an_array_with_its_own_gradient(mode: str, shape: Any) -> None:
    inputs, beta = [numbers((2, 3), 0), numbers((3,), 1)], numbers(shape, 2)
    upstream = numbers((2, 3), 9)
    found = MODES[mode](SOFTLY, inputs, {"beta": beta}, upstream)
    agree(found, softly, [*inputs, beta], upstream)


SEVEN_FIVE = activation(lambda a, b: a * b, name="seven_five", surrogate=lambda a, b: (7.0, 5.0))


@pytest.mark.parametrize("mode", MODES)
def test_a_declared_derivative_by_each_input_is_summed_back(mode: str) -> None:
    inputs, upstream = [numbers((4, 1, 3), 0), numbers((2, 1), 1)], numbers((4, 2, 3), 9)
    _, (by_a, by_b) = MODES[mode](SEVEN_FIVE, inputs, {}, upstream)
    np.testing.assert_allclose(by_a, 7 * upstream.sum(1, keepdims=True), rtol=1e-14)
    np.testing.assert_allclose(by_b, 5 * upstream.sum((0, 2))[:, None], rtol=1e-14)


# Parameters that are learnt, until they are what made the data.


def bent(x, k=1.0):
    return x if x > 0 else k * (math.exp(x) - 1)


BENT = activation(bent)
POINTS = np.random.default_rng(3).normal(0, 1.5, (64, 3)).astype(np.float32)
RATE, STEPS = 3.0, 150


def target(k: Any) -> Any:
    return np.vectorize(bent, otypes=[np.float32])(POINTS, np.asarray(k))


def by_tensorflow(k: Any, wanted: Any, low: float, high: float) -> Any:
    weight = tf.Variable(np.float32(k), constraint=lambda w: tf.clip_by_value(w, low, high))

    @tf.function
    def step() -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((BENT(tf.constant(POINTS), k=weight) - wanted) ** 2)
        weight.assign(weight.constraint(weight - RATE * tape.gradient(loss, weight)))

    for _ in range(STEPS):
        step()
    return weight.numpy()


def by_keras(k: Any, wanted: Any, low: float, high: float) -> Any:
    keras = pytest.importorskip("keras")
    learnt = trainable(1.0, low=low, high=high, per_channel=np.ndim(k) == 1)
    layer = BENT.layer(k=learnt)
    model = keras.Sequential([keras.Input((3,)), layer])
    model.compile(optimizer=keras.optimizers.SGD(RATE), loss="mse")
    x, y = np.tile(POINTS, (STEPS, 1)), np.tile(wanted, (STEPS, 1))
    model.fit(x, y, batch_size=len(POINTS), shuffle=False, verbose=0)
    return layer.get_weights()[0]


def by_torch(k: Any, wanted: Any, low: float, high: float) -> Any:
    model = BENT.module(k=trainable(1.0, low=low, high=high, per_channel=np.ndim(k) == 1))
    x, y = torch.tensor(POINTS), torch.tensor(wanted)
    model(x)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    for _ in range(STEPS):
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(model(x), y).backward()
        optimizer.step()
    return model.k.detach().numpy()


def by_jax(k: Any, wanted: Any, low: float, high: float) -> Any:
    loss = lambda k: jnp.mean((BENT(jnp.asarray(POINTS), k=k) - wanted) ** 2)
    step = jax.jit(lambda k: jnp.clip(k - RATE * jax.grad(loss)(k), low, high))
    k = jnp.asarray(k, jnp.float32)
    for _ in range(STEPS):
        k = step(k)
    return np.asarray(k)


LEARN = {"TensorFlow": by_tensorflow, "Keras": by_keras, "PyTorch": by_torch, "JAX": by_jax}


@pytest.mark.diagonal
@pytest.mark.parametrize("framework", LEARN)
@pytest.mark.parametrize(
    ("start", "best"),
    [(1.0, 2.5), (np.ones(3), np.array([0.5, 1.5, 2.5]))],
    ids=["one", "per channel"],
)
def test_a_parameter_is_learnt(framework: str, start: Any, best: Any) -> None:
    found = LEARN[framework](start, target(best), 0.1, 4.0)
    np.testing.assert_allclose(np.squeeze(found), best, rtol=1e-4)


@pytest.mark.diagonal
@pytest.mark.parametrize("framework", LEARN)
@pytest.mark.parametrize(
    ("best", "within"),
    [(2.5, 2.0), (np.array([0.2, 1.5, 2.5]), np.array([0.5, 1.5, 2.0]))],
    ids=["one", "per channel"],
)
def test_a_learnt_parameter_ends_at_its_bound(framework: str, best: Any, within: Any) -> None:
    found = LEARN[framework](np.ones_like(best), target(best), 0.5, 2.0)
    np.testing.assert_allclose(np.squeeze(found), within, rtol=1e-4)


# A whole gradient: reverse mode, and no other.

GUIDED = activation(
    lambda x: max(x, 0.0),
    name="guided",
    gradient=lambda x, upstream: upstream if upstream > 0 < x else 0.0,
)
SWAPPED = activation(
    lambda a, b: a - b, name="swapped", gradient=lambda a, b, upstream: (upstream * b, upstream * a)
)


@pytest.mark.parametrize("mode", MODES)
def test_a_whole_gradient_in_reverse_mode(mode: str) -> None:
    x, upstream = np.array([-1.0, 2.0, 3.0, -4.0]), np.array([1.0, -5.0, 5.0, -1.0])
    value, (found,) = MODES[mode](GUIDED, [x], {}, upstream)
    assert value.tolist() == [0, 2, 3, 0]
    assert found.tolist() == [0, 0, 5, 0]


@pytest.mark.parametrize("mode", MODES)
def test_a_whole_gradient_of_two_inputs_is_summed_back(mode: str) -> None:
    a, b, upstream = numbers((2, 3), 0), numbers((3,), 1), numbers((2, 3), 9)
    _, (by_a, by_b) = MODES[mode](SWAPPED, [a, b], {}, upstream)
    np.testing.assert_allclose(by_a, upstream * b, rtol=1e-14)
    np.testing.assert_allclose(by_b, (upstream * a).sum(0), rtol=1e-14)


def tf_forward() -> None:
    x = tf.constant([1.0])
    with tf.autodiff.ForwardAccumulator(x, x) as accumulator:
        accumulator.jvp(GUIDED(x))


ONE = np.ones(1, np.float32)
FORWARD = {
    "ForwardAccumulator": tf_forward,
    "ForwardAccumulator in tf.function": lambda: tf.function(tf_forward)(),
    "ForwardAccumulator in XLA": lambda: tf.function(tf_forward, jit_compile=True)(),
    "torch.func.jvp": lambda: torch.func.jvp(GUIDED, (torch.ones(1),), (torch.ones(1),)),
    "torch.func.jacfwd": lambda: torch.func.jacfwd(GUIDED)(torch.ones(1)),
    "torch.func.hessian": lambda: torch.func.hessian(lambda x: GUIDED(x).sum())(torch.ones(1)),
    "jax.jvp": lambda: jax.jvp(GUIDED, (jnp.asarray(ONE),), (jnp.asarray(ONE),)),
    "jax.jacfwd": lambda: jax.jacfwd(GUIDED)(jnp.asarray(ONE)),
    "jax.jit(jax.jacfwd)": lambda: jax.jit(jax.jacfwd(GUIDED))(jnp.asarray(ONE)),
}


@pytest.mark.parametrize("mode", FORWARD)
def test_a_whole_gradient_is_refused_in_forward_mode(mode: str) -> None:
    with pytest.raises(Exception, match="reverse mode only") as caught:
        FORWARD[mode]()
    chain = (caught.value, caught.value.__cause__)
    assert any("NoDerivativeError" in f"{type(e).__name__} {e!r}" for e in chain) or isinstance(
        caught.value, NoDerivativeError
    )
