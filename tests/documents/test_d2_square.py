"""D2: "A custom activation in TensorFlow": ReLU replaced by its input's square."""

from __future__ import annotations

import numpy as np
import pytest

from actgrad import activation, replace

# 1. x ** 2 with the derivative 2 * x.

WRITTEN = {
    "x ** 2": lambda x: x**2,
    "pow(x, 2)": lambda x: pow(x, 2),
    "x * x": lambda x: x * x,
    "np.square": lambda x: np.square(x),
}


def d_square(x):
    return 2 * x


@pytest.mark.parametrize("rule", [{"derivative": d_square}, {}], ids=["given", "exact"])
@pytest.mark.parametrize("written", WRITTEN)
def test_value_and_derivative(run, written, rule):
    square = activation(WRITTEN[written], name="square", **rule)
    x = np.float32([-3, -0.5, -0.0, 0.0, 0.5, 2, 1e-18, 1e19, -1e30])
    y, (dy,) = run(square, x, upstream=np.full(9, 0.5))
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(y, x * x, rtol=1e-6)
    np.testing.assert_array_equal(dy, x)


def test_tf_pow():
    tf = pytest.importorskip("tensorflow")
    square = activation(lambda x: tf.pow(x, 2), name="square", derivative=d_square)
    np.testing.assert_array_equal(square(np.float32([-3, 2])), [9, 4])


# 2. Why its author's network fell to 10%, and one that trains.

DEPTH = 4


@pytest.fixture(scope="module")
def square():
    return activation(lambda x: x**2, name="square", derivative=d_square)


@pytest.fixture(scope="module")
def digits():
    datasets = pytest.importorskip("sklearn.datasets")
    x, y = datasets.load_digits(return_X_y=True)
    x = (x / 16).astype("float32")
    return (x[:1400], y[:1400]), (x[1400:], y[1400:])


@pytest.fixture(scope="module")
def train(digits):
    keras = pytest.importorskip("keras")
    if keras.config.backend() != "tensorflow":
        pytest.skip("Keras runs on another backend here")

    def train(f, normalise=False, epochs=10):
        keras.utils.set_random_seed(0)
        layers = [keras.Input((64,))]
        for _ in range(DEPTH):
            if normalise:
                layers.append(keras.layers.LayerNormalization())
            layers.append(keras.layers.Dense(64, activation="relu"))
        model = keras.Sequential([*layers, keras.layers.Dense(10, activation="softmax")])
        replace(model, {"relu": f})
        sgd = keras.optimizers.SGD(0.05)
        model.compile(sgd, "sparse_categorical_crossentropy", metrics=["accuracy"])
        history = model.fit(*digits[0], epochs=epochs, batch_size=64, verbose=0).history
        return history, model.evaluate(*digits[1], verbose=0)[1], model

    return train


@pytest.fixture(scope="module")
def plain(train, square):
    return train(square)


@pytest.fixture(scope="module")
def repaired(train, square):
    return train(square, normalise=True)


def test_the_plain_network_falls_to_one_in_ten(plain, digits):
    history, accuracy, model = plain
    assert np.isnan(history["loss"][-1])
    # "About 10%" has a cause: of a row of nan the argmax is 0, so it is the share of that class.
    assert accuracy == pytest.approx(np.mean(digits[1][1] == 0))
    assert accuracy < 0.12
    assert np.isnan(model.layers[0].get_weights()[0]).all()


def test_relu_trains_in_the_same_network(train):
    assert train("relu")[1] > 0.7


def test_the_repaired_network_trains(repaired):
    history, accuracy, _ = repaired
    assert np.isfinite(history["loss"]).all()
    assert history["accuracy"][-1] > 0.98
    assert accuracy > 0.88


def spread(model, x):
    """The largest share of one sample in a layer's second moments, layer after layer."""
    ratios = []
    for layer in model.layers:
        x = np.asarray(layer(x), np.float64)
        if "dense" in layer.name:
            size = (x**2).mean(axis=1)
            ratios.append(np.std(np.log(size)))
    return ratios[:DEPTH]


def test_the_cause_is_that_each_square_doubles_the_spread_in_log(train, square, digits):
    # Untrained: what one sample is larger than another, in log, doubles with each layer, whatever
    # the scale of the weights; a norm of each sample takes it away.
    plain = spread(train(square, epochs=0)[2], digits[1][0])
    normed = spread(train(square, normalise=True, epochs=0)[2], digits[1][0])
    growth = np.array(plain[1:]) / plain[:-1]
    assert (growth > 1.6).all(), growth
    assert normed[-1] < 2 * normed[0]


def test_it_is_predicted_before_training(square):
    found = square.propagation()
    # By hand, for Z ~ N(0, 1): E Z^4 = 3, E (2 Z)^2 = 4, and Q(q) = 3 q^2.
    assert found.second_moment == pytest.approx(3, rel=1e-6)
    assert found.gain == pytest.approx(3**-0.5, rel=1e-6)
    assert found.chi == pytest.approx(4 / 3, rel=1e-6)
    assert found.eta == pytest.approx(2, rel=1e-6)
    assert found.tail_exponent == pytest.approx(2, abs=1e-3)
    assert 1 <= found.escape_threshold < 1.1
    (warning,) = found.warnings(DEPTH)
    assert "normalise each sample" in warning


def test_relu_is_not_warned_about():
    relu = activation(lambda x: max(x, 0.0), name="relu").propagation()
    assert relu.eta == pytest.approx(1, rel=1e-6)
    assert relu.warnings(DEPTH) == []
