"""Keras on JAX. The backend is chosen before Keras is imported, so `test_keras_jax.py` runs these in a
process of their own, with KERAS_BACKEND=jax and two devices."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actgrad import activation, trainable

ON_JAX = os.environ.get("KERAS_BACKEND") == "jax"
SOURCE = Path(__file__).parents[2] / "src"

if ON_JAX:
    import jax
    import jax.numpy as jnp
    import keras
    from keras import layers

spiky = activation(
    lambda x: x % 1 if x % 1 <= 0.5 else 0,
    derivative=lambda x: 1.0 if x % 1 <= 0.5 else 0.0,
    name="spiky",
)
step = activation(
    lambda x, slope=1.5: 1.0 if x >= 0 else 0.0,
    surrogate=lambda x, slope: slope * np.exp(-slope * x * x),
    name="step",
)
seven = activation(lambda x: x * x, surrogate=7, name="seven")
swish = activation(lambda x, beta=1.0: x / (1 + np.exp(-beta * x)), name="swish")


def by_hand(value: Any, slope: Any) -> Any:
    """Any value with any first derivative, in plain JAX."""

    def function(x: Any) -> Any:
        still = jax.lax.stop_gradient
        return still(value(x)) + still(slope(x)) * (x - still(x))

    return function


CASES = ["spiky", "step", "seven"]


@cache
def pair(name: str) -> tuple[Any, Any]:
    """An activation of ours, and the same in plain JAX (registered, as Keras demands of functions)."""
    ours, theirs = _pair(name)
    return ours, keras.saving.register_keras_serializable("tests", f"by_hand_{name}")(theirs)


def _pair(name: str) -> tuple[Any, Any]:
    fraction = lambda x: x - jnp.floor(x)
    bump = lambda x: 1.5 * jnp.exp(-1.5 * x * x)
    return {
        "spiky": (
            spiky,
            by_hand(
                lambda x: jnp.where(fraction(x) <= 0.5, fraction(x), 0),
                lambda x: (fraction(x) <= 0.5).astype(x.dtype),
            ),
        ),
        "step": (step, by_hand(lambda x: (x >= 0).astype(x.dtype), bump)),
        "seven": (seven, by_hand(lambda x: x * x, lambda x: 7.0)),
    }[name]


LAYERS = {
    "Dense": ((4,), lambda f: layers.Dense(3, activation=f)),
    "Conv2D": ((6, 5, 2), lambda f: layers.Conv2D(3, 2, activation=f)),
    "LSTM": ((5, 3), lambda f: layers.LSTM(4, activation=f)),
    "LSTM gates": ((5, 3), lambda f: layers.LSTM(4, recurrent_activation=f)),
    "GRU": ((5, 3), lambda f: layers.GRU(4, activation=f, return_sequences=True)),
    "Bidirectional": ((5, 3), lambda f: layers.Bidirectional(layers.LSTM(4, activation=f))),
    "TimeDistributed": ((5, 3), lambda f: layers.TimeDistributed(layers.Dense(2, activation=f))),
    "Activation": ((4,), lambda f: layers.Activation(f)),
    "EinsumDense": ((5, 3), lambda f: layers.EinsumDense("abc,cd->abd", (None, 2), activation=f)),
    "SeparableConv1D": ((6, 3), lambda f: layers.SeparableConv1D(2, 2, activation=f)),
}


def batch(shape: tuple[int, ...], dtype: Any = np.float32) -> Any:
    return np.random.default_rng(0).normal(size=(3, *shape)).astype(dtype)


def gradients(layer: Any, x: Any) -> list[Any]:
    """Of the sum of squares of what the layer gives, by its weights and by x."""
    weights = [v.value for v in layer.trainable_variables]
    others = [v.value for v in layer.non_trainable_variables]

    def loss(weights: Any, x: Any) -> Any:
        out, _ = layer.stateless_call(weights, others, x)
        return (out.astype(jnp.float32) ** 2).sum()

    by_weights, by_x = jax.jit(jax.grad(loss, (0, 1)))(weights, jnp.asarray(x))
    return [*by_weights, by_x]


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("name", CASES)
def test_as_the_activation_of_a_layer(name: str, kind: str) -> None:
    shape, make = LAYERS[kind]
    ours, theirs = map(make, pair(name))
    x = batch(shape)
    theirs(x), ours(x)
    ours.set_weights(theirs.get_weights())
    np.testing.assert_allclose(ours(x), theirs(x), rtol=1e-5, atol=1e-6)
    wanted = gradients(theirs, x)
    for mine, their in zip(gradients(ours, x), wanted, strict=True):
        np.testing.assert_allclose(mine, their, rtol=1e-4, atol=1e-5)
    assert any(np.abs(g).max() > 0 for g in wanted)


def dense_pair(f: Any) -> Any:
    return keras.Sequential([keras.Input((4,)), layers.Dense(8, activation=f), layers.Dense(1)])


@pytest.mark.parametrize(
    "how", [{"jit_compile": True}, {"jit_compile": False}, {}, {"run_eagerly": True}]
)
def test_a_network_trains_as_its_twin_in_plain_jax(how: dict[str, bool]) -> None:
    weights = []
    x, y = batch((4,)), batch((1,))
    for f in pair("step"):
        keras.utils.set_random_seed(1)
        model = dense_pair(f)
        model.compile("sgd", "mse", **how)
        model.fit(x, y, epochs=3, verbose=0, shuffle=False)
        weights.append(model.get_weights())
    for mine, their in zip(*weights, strict=True):
        np.testing.assert_allclose(mine, their, rtol=1e-4, atol=1e-5)


def test_functional() -> None:
    inputs = keras.Input((4,))
    hidden = seven(layers.Dense(3)(inputs))
    assert isinstance(hidden, keras.KerasTensor)
    assert (hidden.shape, hidden.dtype) == ((None, 3), "float32")
    model = keras.Model(inputs, layers.Dense(1)(swish(hidden, beta=2.0)))
    x = batch((4,))
    z = x @ model.layers[1].kernel + model.layers[1].bias
    np.testing.assert_allclose(model.layers[2](z), z * z, rtol=1e-6)
    assert model.predict(x, verbose=0).shape == (3, 1)


def test_functional_with_two_inputs() -> None:
    gate = activation(lambda a, b: a / (1 + np.exp(-b)), name="gate")
    a, b = keras.Input((4,)), keras.Input((1,))
    model = keras.Model([a, b], gate(a, b))
    x, y = batch((4,)), batch((1,))
    np.testing.assert_allclose(model([x, y]), x / (1 + np.exp(-y)), rtol=1e-5)


def test_variables_beside_arrays() -> None:
    gate = activation(lambda a, b: a / (1 + np.exp(-b)), name="gate")
    x, b = jnp.asarray(batch((4,))), keras.Variable(np.float32([0.5, 1, 2, 3]))
    wanted = x / (1 + np.exp(-np.asarray(b.value)))
    np.testing.assert_allclose(gate(x, b), wanted, rtol=1e-5)
    np.testing.assert_allclose(gate(keras.Variable(x), b.value), wanted, rtol=1e-5)
    np.testing.assert_allclose(swish(x, beta=b), x / (1 + np.exp(-x * b.value)), rtol=1e-5)


def test_subclassed() -> None:
    class Model(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense, self.out = layers.Dense(3), layers.Dense(1, activation=seven)

        def call(self, x: Any) -> Any:
            return self.out(step(self.dense(x), slope=2.0))

    model = Model()
    model.compile("sgd", "mse")
    before = model(batch((4,))) is not None and model.dense.get_weights()[0]
    model.fit(batch((4,)), batch((1,)), verbose=0)
    assert np.abs(model.dense.get_weights()[0] - before).max() > 0


def test_unknown_batch_and_time() -> None:
    inputs = keras.Input((None, 3))
    outputs = seven(layers.LSTM(4, activation=spiky, return_sequences=True)(inputs))
    assert outputs.shape == (None, None, 4)
    model = keras.Model(inputs, outputs)
    for time in (2, 5):
        assert model(np.ones((3, time, 3), "float32")).shape == (3, time, 4)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "bfloat16", "float16"])
def test_mixed_precision(policy: str) -> None:
    dtype = policy.removeprefix("mixed_")
    ours = layers.Dense(3, activation=seven, dtype=policy)
    theirs = layers.Dense(3, activation=pair("seven")[1], dtype=policy)
    x = batch((4,))
    ours(x), theirs(x)
    ours.set_weights(theirs.get_weights())
    assert ours(x).dtype == dtype
    for mine, their in zip(gradients(ours, x), gradients(theirs, x), strict=True):
        assert mine.dtype == their.dtype
        np.testing.assert_allclose(mine.astype(float), their.astype(float), rtol=0.03, atol=0.1)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_trainable_parameter_stays_wide_in_mixed_precision(dtype: str) -> None:
    keras.config.set_dtype_policy(f"mixed_{dtype}")
    try:
        layer = swish.layer(beta=trainable(1.5))
        assert layer(batch((4,))).dtype == dtype
    finally:
        keras.config.set_dtype_policy("float32")
    assert layer.weights[0].dtype == "float32"
    by_beta, by_x = gradients(layer, batch((4,)))
    assert (by_beta.dtype, by_x.dtype) == ("float32", "float32")
    wide = swish.layer(beta=trainable(1.5))
    wide(batch((4,)))
    np.testing.assert_allclose(by_beta, gradients(wide, batch((4,)))[0], rtol=0.02)


def test_trainable_parameter_reaches_the_one_that_made_the_data() -> None:
    x = np.linspace(-3, 3, 128, dtype=np.float32)[:, None]
    y = np.asarray(swish(x, beta=2.5), np.float32)
    layer = swish.layer(beta=trainable(1.0, low=0.0))
    model = keras.Sequential([keras.Input((1,)), layer])
    model.compile(keras.optimizers.Adam(0.1), "mse")
    model.fit(x, y, epochs=120, batch_size=128, verbose=0)
    assert float(layer.weights[0].value) == pytest.approx(2.5, abs=0.03)


@pytest.mark.parametrize("jit_compile", [True, False])
def test_bounds_hold_after_every_step(jit_compile: bool) -> None:
    layer = swish.layer(beta=trainable(1.0, low=0.5, high=1.2))
    model = keras.Sequential([keras.Input((1,)), layer])
    model.compile(keras.optimizers.SGD(10.0), "mse", jit_compile=jit_compile)
    x = np.linspace(-3, 3, 64, dtype=np.float32)[:, None]
    model.fit(x, np.asarray(swish(x, beta=2.5)), epochs=20, verbose=0)
    assert float(layer.weights[0].value) == pytest.approx(1.2)


def test_one_parameter_per_channel() -> None:
    x = np.random.default_rng(0).normal(size=(256, 3)).astype(np.float32) * 2
    betas = np.float32([0.5, 1.0, 2.0])
    layer = swish.layer(beta=trainable(1.0, per_channel=True))
    model = keras.Sequential([keras.Input((3,)), layer])
    model.compile(keras.optimizers.Adam(0.05), "mse")
    model.fit(x, np.asarray(swish(x, beta=betas)), epochs=150, batch_size=256, verbose=0)
    np.testing.assert_allclose(layer.weights[0].value, betas, atol=0.05)


def test_clone_model() -> None:
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(3, activation=seven), swish.layer(beta=trainable(1.5))]
    )
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    assert clone.layers[0].activation == seven
    np.testing.assert_array_equal(clone(batch((4,))), model(batch((4,))))
    for mine, their in zip(
        gradients(clone, batch((4,))), gradients(model, batch((4,))), strict=True
    ):
        np.testing.assert_array_equal(mine, their)


def test_rematerialised() -> None:
    with keras.RematScope(mode="full"):
        ours = layers.Dense(3, activation=seven)
        ours(batch((4,)))
    plain = layers.Dense(3, activation=seven)
    plain(batch((4,)))
    plain.set_weights(ours.get_weights())
    for mine, their in zip(
        gradients(ours, batch((4,))), gradients(plain, batch((4,))), strict=True
    ):
        np.testing.assert_allclose(mine, their, rtol=1e-6)


def test_data_parallel_over_two_devices() -> None:
    assert len(jax.devices()) == 2
    x, y = np.tile(batch((4,)), (4, 1)), np.tile(batch((1,)), (4, 1))

    def trained() -> list[Any]:
        keras.utils.set_random_seed(3)
        f = swish.layer(beta=trainable(1.5, low=0.1))
        model = keras.Sequential(
            [
                keras.Input((4,)),
                layers.Dense(8, activation=step),
                f,
                layers.Dense(1, activation=seven),
            ]
        )
        model.compile(keras.optimizers.SGD(0.01), "mse")
        model.fit(x, y, epochs=3, batch_size=4, shuffle=False, verbose=0)
        return [np.asarray(w) for w in model.get_weights()]

    alone = trained()
    keras.distribution.set_distribution(
        keras.distribution.DataParallel(devices=keras.distribution.list_devices())
    )
    try:
        together = trained()
    finally:
        keras.distribution.set_distribution(None)
    for a, b in zip(alone, together, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def saved_model(path: Path) -> Any:
    inputs = keras.Input((4,))
    hidden = layers.Dense(5, activation=spiky)(inputs)
    hidden = layers.Dense(5)(hidden)
    hidden = swish.layer(beta=trainable(1.5, low=0.1, per_channel=True))(
        step(hidden, slope=2.0) + hidden
    )
    model = keras.Model(inputs, layers.Dense(2, activation=seven)(hidden))
    model.save(path)
    return model


# Opened without the code that defined the activations; safe mode is Keras's default.
OPEN = """
import sys
import numpy as np
import actgrad, keras
path, answers, backend = sys.argv[1:]
assert keras.config.backend() == backend
model = keras.saving.load_model(path)
x = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
if backend == "jax":
    import jax
    slope = jax.grad(lambda x: model(x).sum())(jax.numpy.asarray(x))
else:
    import tensorflow as tf
    z = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(z)
        y = model(z)
    slope = tape.gradient(y, z)
np.savez(answers, value=np.asarray(model(x)), slope=np.asarray(slope))
"""
WRITE = """
import sys
sys.path.insert(0, sys.argv[1])
import on_keras_jax as tests
import keras
from keras import layers
tests.keras, tests.layers = keras, layers
tests.saved_model(sys.argv[2])
"""


def python(script: str, *arguments: Any, backend: str) -> None:
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(SOURCE)}
    environment["TF_CPP_MIN_LOG_LEVEL"] = "3"
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize(
    ("written", "opened"), [("jax", "jax"), ("jax", "tensorflow"), ("tensorflow", "jax")]
)
def test_saved_under_one_backend_and_opened_under_another(
    written: str, opened: str, tmp_path: Path
) -> None:
    if "tensorflow" in (written, opened):
        pytest.importorskip("tensorflow")
    path = tmp_path / "model.keras"
    if written == "jax":
        model = saved_model(path)
    else:
        python(WRITE, Path(__file__).parent, path, backend=written)
        model = keras.saving.load_model(path)
    x = batch((4,))
    slope = jax.grad(lambda x: model(x).sum())(jnp.asarray(x))
    python(OPEN, path, tmp_path / "answers.npz", opened, backend=opened)
    answers = np.load(tmp_path / "answers.npz")
    np.testing.assert_allclose(answers["value"], model(x), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(answers["slope"], slope, rtol=1e-4, atol=1e-4)
    assert np.abs(slope).max() > 0
