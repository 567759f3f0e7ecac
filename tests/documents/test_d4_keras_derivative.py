"""D4: "How to define the derivative of a custom activation function in Keras"."""

from __future__ import annotations

import json

import numpy as np
import pytest

from actgrad import activation, trainable
from tests.process import python

keras = pytest.importorskip("keras")
if keras.config.backend() != "tensorflow":
    pytest.skip("Keras runs on another backend here", allow_module_level=True)
tf = pytest.importorskip("tensorflow")

# The document's derivative is a surrogate that no parameter shares: learning one says so.
pytestmark = pytest.mark.filterwarnings("ignore::actgrad.errors.SurrogateWarning")


# The derivative is absurd on purpose: only if it is used do the numbers come out.
@activation(surrogate=lambda x, p1, p2: p1 + 10 * p2)
def my_activation(x, p1=1.0, p2=0.5):
    if x > p1:
        return x + p2
    return p2 * x


def in_python(x, p1, p2):
    return x + p2 if x > p1 else p2 * x


X = np.float32([[-2, 0.5, 1.5], [4, 1, -0.25]])


def check(layer, p1, p2):
    """A layer of one input and no other weights has this value and this derivative."""
    x = tf.constant(X)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
    expected = [[in_python(float(v), p1, p2) for v in row] for row in X]
    np.testing.assert_allclose(y, expected, rtol=1e-6)
    np.testing.assert_allclose(tape.gradient(y, x), np.full_like(X, p1 + 10 * p2), rtol=1e-6)


# 1. Dense(128, activation=my_activation(p1=..., p2=...)).


def test_dense_with_parameters_uses_the_derivative():
    x = np.float32([[0.5, -1.0]])
    dense = keras.layers.Dense(128, activation=my_activation(p1=2.0, p2=0.25))
    with tf.GradientTape() as tape:
        y = dense(x)
    kernel = dense.kernel.numpy()
    got = tape.gradient(y, dense.kernel.value)
    np.testing.assert_allclose(
        y, [[in_python(float(v), 2.0, 0.25) for v in (x @ kernel)[0]]], rtol=1e-5, atol=1e-7
    )
    np.testing.assert_allclose(got, np.repeat(x.T * (2.0 + 2.5), 128, axis=1), rtol=1e-6)


@pytest.mark.parametrize("jit", [False, True], ids=["graph", "xla"])
def test_training_uses_the_derivative(jit):
    model = keras.Sequential(
        [keras.Input((1,)), keras.layers.Dense(1, my_activation(p1=2.0, p2=0.25), use_bias=False)]
    )
    model.layers[0].set_weights([np.float32([[1.0]])])
    model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=jit)
    model.fit(np.float32([[1.0]]), np.float32([[1.25]]), verbose=0)
    # y = 0.25, loss (0.25 - 1.25)^2, its slope -2, the derivative 4.5: w = 1 + 0.1 * 2 * 4.5
    np.testing.assert_allclose(model.layers[0].get_weights()[0], [[1.9]], rtol=1e-6)


# 2. A parameter shared by function and derivative.


@pytest.mark.parametrize(("p1", "p2"), [(1.0, 0.5), (0.0, 2.0), (3.0, -1.0)])
def test_a_parameter_changed_once_changes_both(p1, p2):
    check(my_activation(p1=p1, p2=p2), p1, p2)


def test_one_may_be_left_at_its_default():
    check(my_activation(p2=2.0), 1.0, 2.0)
    check(my_activation(p1=0.0), 0.0, 0.5)


def test_a_trainable_parameter_acts_in_both():
    layer = my_activation.layer(p1=trainable(2.0), p2=trainable(0.25))
    check(layer, 2.0, 0.25)
    for weight in layer.weights:
        weight.assign(weight * 2)
    check(layer, 4.0, 0.5)


def test_a_trainable_parameter_learns_and_stays_in_its_bounds():
    layer = my_activation.layer(p2=trainable(0.5, low=0.0, high=1.25))
    model = keras.Sequential([keras.Input((1,)), layer])
    model.compile(keras.optimizers.SGD(0.25), "mse")
    x, y = np.float32([[1.0]]), np.float32([[1.0]])
    model.fit(x, y, verbose=0)
    # y = p2 x, slope -2 (1 - 0.5): p2 = 0.5 + 0.25
    np.testing.assert_allclose(layer.weights[0].numpy(), 0.75, rtol=1e-6)
    model.fit(x, 100 * y, verbose=0)
    assert layer.weights[0].numpy() == 1.25


# 3. Wherever Keras takes an activation, and saved with the model.

F = my_activation(p1=0.25, p2=0.5)
MILD = my_activation(p1=0.1, p2=0.05)  # F's derivative, 5.25, explodes over a few steps of time


def functional():
    inputs = keras.Input((6,))
    hidden = keras.layers.Dense(4, activation=F)(inputs)
    hidden = keras.layers.Activation(F)(hidden)
    hidden = F(hidden)  # a symbolic tensor
    hidden = my_activation.layer(p1=trainable(0.1))(hidden)
    return keras.Model(inputs, keras.layers.Dense(2)(hidden))


@keras.saving.register_keras_serializable("d4")
class Subclassed(keras.Model):
    def __init__(self, **options):
        super().__init__(**options)
        self.hidden = keras.layers.Dense(4, activation=F)
        self.out = keras.layers.Dense(2)

    def call(self, x):
        return self.out(F(self.hidden(x)))


def sequential(*layers, shape=(6,)):
    return keras.Sequential(
        [keras.Input(shape), *layers, keras.layers.Flatten(), keras.layers.Dense(2)]
    )


MODELS = {
    "Sequential": lambda: sequential(keras.layers.Dense(4, activation=F)),
    "Activation layer": lambda: sequential(keras.layers.Dense(4), keras.layers.Activation(F)),
    "layer with a trainable parameter": lambda: sequential(F.layer(p2=trainable(low=0.0))),
    "per channel": lambda: sequential(F.layer(p2=trainable(per_channel=True))),
    "Functional": functional,
    "convolution": lambda: sequential(
        keras.layers.Reshape((3, 2, 1)), keras.layers.Conv2D(2, 2, activation=F)
    ),
    "recurrent": lambda: sequential(
        keras.layers.Reshape((3, 2)),
        keras.layers.Bidirectional(
            keras.layers.LSTM(2, activation=MILD, recurrent_activation=MILD)
        ),
    ),
    "attention and wrappers": lambda: sequential(
        keras.layers.Reshape((3, 2)),
        keras.layers.TimeDistributed(keras.layers.Dense(2, activation=F)),
        keras.layers.EinsumDense("abc,cd->abd", (3, 3), activation=F),
    ),
}

LOAD = """
import json, sys
import numpy as np, tensorflow as tf, keras, actgrad
x = tf.constant(np.linspace(-2, 2, 30, dtype="float32").reshape(5, 6))
found = {{}}
for kind, path in json.loads({paths!r}).items():
    model = keras.models.load_model(path)  # safe mode, no custom_objects, none of the user's source
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = model(x)
    found[kind] = [y.numpy().tolist(), tape.gradient(y, x).numpy().tolist()]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Of each model, trained for a step: value and gradient here, and as loaded in a fresh process."""
    keras.utils.set_random_seed(0)
    folder = tmp_path_factory.mktemp("models")
    x = np.linspace(-2, 2, 30, dtype="float32").reshape(5, 6)
    here, paths = {}, {}
    for number, (kind, make) in enumerate(MODELS.items()):
        model = make()
        model.compile("sgd", "mse", jit_compile=False)  # seconds of XLA for one step
        model.fit(x, np.zeros((5, 2), "float32"), verbose=0)
        tensor = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(tensor)
            y = model(tensor)
        here[kind] = y.numpy(), tape.gradient(y, tensor).numpy()
        paths[kind] = str(folder / f"{number}.keras")
        model.save(paths[kind])
    text = python("-W", "ignore", "-c", LOAD.format(paths=json.dumps(paths)))[-1]
    return here, json.loads(text)


@pytest.mark.parametrize("kind", MODELS)
def test_saved_trained_and_loaded_in_a_fresh_process(kind, stored):
    (y, dy), (loaded_y, loaded_dy) = stored[0][kind], stored[1][kind]
    assert np.abs(dy).max() > 1e-3, "or this model shows nothing"
    np.testing.assert_allclose(loaded_y, y, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(loaded_dy, dy, rtol=1e-6, atol=1e-7)


def test_a_subclassed_model(tmp_path):
    model = Subclassed()
    model.compile("sgd", "mse")
    x = np.ones((5, 6), "float32")
    model.fit(x, np.zeros((5, 2), "float32"), verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(x), model(x))


@pytest.mark.parametrize("kind", [kind for kind in MODELS if kind != "recurrent"])
def test_cloned(kind):
    model = MODELS[kind]()
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    x = np.linspace(-2, 2, 30, dtype="float32").reshape(5, 6)
    np.testing.assert_array_equal(copy(x), model(x))
