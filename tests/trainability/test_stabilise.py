"""What a plan chooses, and that a square network that dies plain trains when it is repaired."""

import math

import numpy as np
import pytest

from actgrad import activation, surrogates
from actgrad.errors import CallError
from actgrad.trainability.stabilise import plan

SQUARE = activation(lambda x: x**2, name="square")
RELU = activation(lambda x: max(x, 0), name="relu")


@pytest.mark.parametrize(
    ("f", "depth", "foldable", "normalisation", "boundary", "clip", "slower"),
    [
        (RELU, 4, False, None, None, None, False),
        (RELU, 20, True, None, None, None, False),
        (activation(math.tanh, name="tanh"), 8, False, None, None, None, False),
        (SQUARE, 4, False, "sample", None, 1.0, False),
        (SQUARE, 4, True, "batch", 3.0, 1.0, False),
        (SQUARE, 2, False, None, 3.0, 1.0, True),
        (surrogates.atan, 4, False, None, None, None, False),
    ],
    ids=str,
)
def test_what_is_chosen(f, depth, foldable, normalisation, boundary, clip, slower):
    found = plan(f, depth, 1e-3, foldable=foldable)
    assert (found.normalisation, found.boundary, found.clip) == (normalisation, boundary, clip)
    assert (found.learning_rate < 1e-3) == slower
    assert found.gain == f.propagation().gain
    said = str(found)
    chosen = {"normalisation of": normalisation, "a penalty": boundary, "clipped": clip}
    assert all((words in said) == bool(value) for words, value in chosen.items())
    assert f"{found.learning_rate:.3g}" in said


def test_a_surrogate_is_scaled():
    found = plan(surrogates.fast_sigmoid(slope=100.0), 4)
    assert found.function == surrogates.fast_sigmoid(slope=100.0, scaled=True)
    assert "the surrogate × 13.71" in str(found)


def test_a_zero_derivative_is_beyond_repair():
    with pytest.warns(UserWarning, match="zero"):
        step = activation(lambda x: 1.0 if x > 0 else 0.0)
    with pytest.raises(CallError, match="surrogate="):
        plan(step, 3)


# On the digits.


@pytest.fixture(scope="module")
def digits():
    datasets = pytest.importorskip("sklearn.datasets")
    x, y = datasets.load_digits(return_X_y=True)
    x = (x / 16).astype("float32")
    return (x[:1400], y[:1400]), (x[1400:], y[1400:])


def built(keras, f, depth=4):
    keras.utils.set_random_seed(0)
    hidden = [keras.layers.Dense(64, activation=f) for _ in range(depth)]
    return keras.Sequential([keras.Input((64,)), *hidden, keras.layers.Dense(10)])


def trained(keras, model, optimizer, digits, epochs=8):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"])
    losses = model.fit(*digits[0], batch_size=64, epochs=epochs, verbose=0).history["loss"]
    return losses, model.evaluate(*digits[1], verbose=0)[1]


def test_plain_it_dies(digits):
    keras = pytest.importorskip("keras")
    losses, accuracy = trained(
        keras, built(keras, SQUARE), keras.optimizers.SGD(0.2), digits, epochs=10
    )
    assert not np.isfinite(losses[-1])
    assert accuracy == pytest.approx(np.mean(digits[1][1] == 0))


@pytest.mark.exhaustive  # tests/documents/test_d2_square.py trains a repaired one in make test
@pytest.mark.parametrize("foldable", [False, True])
def test_repaired_it_trains_and_is_saved(digits, tmp_path, foldable):
    keras = pytest.importorskip("keras")
    from actgrad.trainability.repair import optimizer, stabilise

    model, chosen = stabilise(built(keras, SQUARE), 3e-3, foldable=foldable)
    losses, accuracy = trained(keras, model, optimizer(chosen), digits)
    assert np.isfinite(losses).all()
    assert accuracy > (0.75 if foldable else 0.85)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    x = digits[1][0][:20]
    np.testing.assert_array_equal(again(x), model(x))


def test_the_repaired_network_has_the_gain(digits):
    keras = pytest.importorskip("keras")
    from actgrad.trainability.repair import stabilise

    model, _ = stabilise(built(keras, SQUARE))
    weights = [np.asarray(w) for w in model.trainable_weights if w.path.endswith("kernel")]
    assert len(weights) == 5
    assert [w.var() * 64 for w in weights[:4]] == pytest.approx([1 / 3] * 4, rel=0.1)


def test_convolutions_and_what_needs_no_repair():
    keras = pytest.importorskip("keras")
    from actgrad.trainability.repair import stabilise

    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            *(layers.Conv2D(4, 3, padding="same", activation=SQUARE) for _ in range(3)),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )
    repaired, chosen = stabilise(model)
    assert chosen.depth == 3
    assert repaired.output_shape == (None, 10)
    kinds = [type(layer).__name__ for layer in repaired.layers[0].layers]
    assert kinds == ["Conv2D", "GroupNormalization", "Activation"]
    with pytest.raises(CallError, match="nothing to repair"):
        stabilise(built(keras, "relu"))
