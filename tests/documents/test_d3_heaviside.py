"""D3: "Heaviside step function in TensorFlow"."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

from actgrad import activation, override
from actgrad.errors import ZeroDerivativeWarning

X = np.float32([[-30, -1, -0.5], [-0.0, 0.0, 1e-30], [0.25, 1, 30]])


def heaviside(x):
    return 1.0 if x >= 0 else 0.0


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def d_sigmoid(x):
    return sigmoid(x) * (1 - sigmoid(x))


def triangle(x):
    return max(0, 1 - abs(x))


# The first by mpmath's formula, in float64 and stable; the second as it is.
EXPECTED = {
    d_sigmoid: 0.25 / np.cosh(X.astype(np.float64) / 2) ** 2,
    triangle: np.maximum(0, 1 - np.abs(X.astype(np.float64))),
}


@pytest.fixture(scope="module", params=EXPECTED, ids=lambda rule: rule.__name__)
def rule(request):
    return request.param


@pytest.fixture(scope="module")
def step(rule):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it is declared, so there is nothing to warn about
        return activation(heaviside, surrogate=rule)


# 1 to 4.


def test_whole_tensors_in_every_framework(run, step, rule):
    y, (dy,) = run(step, X)
    np.testing.assert_array_equal(y, [[0, 0, 0], [1, 1, 1], [1, 1, 1]])
    np.testing.assert_allclose(dy, EXPECTED[rule], rtol=1e-5, atol=1e-30)


def test_the_elements_are_not_mixed_up(run, step, rule):
    upstream = np.arange(9, dtype=np.float32).reshape(3, 3) - 4
    _, (dy,) = run(step, X, upstream=upstream)
    np.testing.assert_allclose(dy, upstream * EXPECTED[rule], rtol=1e-5, atol=1e-30)


@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_heaviside_of_zero_is_one(run, step, zero):
    y, _ = run(step, [zero])
    assert y == 1


def test_as_the_documents_answers_write_it(run, rule):
    tf = pytest.importorskip("tensorflow")

    def with_tf(x):
        return tf.cast(tf.greater_equal(x, 0.0), tf.float32)

    step = activation(with_tf, surrogate=rule)
    y, (dy,) = run(step, X)
    np.testing.assert_array_equal(y, [[0, 0, 0], [1, 1, 1], [1, 1, 1]])
    np.testing.assert_allclose(dy, EXPECTED[rule], rtol=1e-5, atol=1e-30)


def test_a_sigmoid_written_with_tensorflow(run):
    tf = pytest.importorskip("tensorflow")
    step = activation(heaviside, surrogate=lambda x: tf.sigmoid(x) * (1 - tf.sigmoid(x)))
    _, (dy,) = run(step, X)
    np.testing.assert_allclose(dy, EXPECTED[d_sigmoid], rtol=1e-5, atol=1e-30)


def test_without_a_surrogate_one_is_told():
    with pytest.warns(ZeroDerivativeWarning, match="surrogate="):
        activation(heaviside)


def test_a_network_of_steps_learns():
    keras = pytest.importorskip("keras")
    datasets = pytest.importorskip("sklearn.datasets")
    x, y = datasets.load_digits(return_X_y=True)
    keras.utils.set_random_seed(0)
    step = activation(heaviside, surrogate=triangle)
    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(64, activation=step),
            keras.layers.Dense(64, activation=step),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    first = model.layers[0].get_weights()[0]
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x / 16, y, epochs=15, batch_size=32, verbose=0)
    assert model.evaluate(x / 16, y, verbose=0)[1] > 0.9
    assert not np.array_equal(model.layers[0].get_weights()[0], first)


# 5. The gradient of an operation that exists already.


@pytest.mark.parametrize("name", ["sign", "identity", "round"])
def test_an_operation_of_tensorflow_with_another_gradient(run, name):
    tf = pytest.importorskip("tensorflow")
    operation = getattr(tf, name)
    f = activation(operation, name=name, gradient=lambda x, grad: grad * max(0, 1 - abs(x)))
    x = np.float32([-2, -0.75, 0.0, 0.5])
    y, (dy,) = run(f, x, upstream=[3, 3, 3, 3])
    np.testing.assert_array_equal(y, operation(x).numpy())
    np.testing.assert_allclose(dy, [0, 0.75, 3, 1.5])


def test_inside_a_scope():
    tf = pytest.importorskip("tensorflow")
    keras = pytest.importorskip("keras")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Activation(tf.sign)])
    x = tf.constant([[-2.0, 0.5, 0.75]])

    def gradient():
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = model(x)
        return y.numpy(), tape.gradient(y, x).numpy()

    for _ in range(2):
        y, dy = gradient()
        np.testing.assert_array_equal(y, [[-1, 1, 1]])
        np.testing.assert_array_equal(dy, [[0, 0, 0]])
        with override(model, tf.sign, surrogate=triangle):
            y, dy = gradient()
        np.testing.assert_array_equal(y, [[-1, 1, 1]])
        np.testing.assert_array_equal(dy, [[0, 0.5, 0.25]])
