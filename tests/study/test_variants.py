"""Scaled surrogates, standardised activations, polynomials: against their own definitions."""

import math
import pickle

import numpy as np
import pytest

from actgrad import activation, activations, surrogates
from actgrad.errors import CallError

Z = np.random.default_rng(0).standard_normal(400_000)


@pytest.mark.parametrize(
    ("step", "factor"),
    [
        (surrogates.straight_through, 0.70711),
        (surrogates.box, 0.85580),
        (surrogates.triangle(alpha=1.0), 1.40427),
        (surrogates.atan(alpha=2.0), 1.61316),
        (surrogates.fast_sigmoid(slope=100.0), 13.71154),
        (surrogates.ste_sign, None),
    ],
    ids=lambda item: getattr(item, "name", ""),
)
def test_scaled_surrogates(step, factor):
    found = step.scaled()
    x = np.linspace(-2, 2, 9)
    np.testing.assert_array_equal(found(x), step(x))
    ratio = found.derivative(0.01) / step.derivative(0.01)
    assert factor is None or ratio == pytest.approx(factor, rel=1e-5)
    assert found.propagation().chi == pytest.approx(1, rel=1e-9)
    assert found.program.kind == "surrogate"


def test_scaled_is_an_option_of_every_surrogate():
    by_option = surrogates.atan(alpha=5.0, scaled=True)
    assert by_option == surrogates.atan(alpha=5.0).scaled()
    assert surrogates.atan(scaled=False) == surrogates.atan
    assert pickle.loads(pickle.dumps(by_option)) == by_option


def test_a_parameter_named_scaled_stays_one():
    f = activation(lambda x, scaled=1.0: x * scaled)
    assert f(scaled=3.0)(2.0) == 6.0


def test_nothing_brings_a_zero_derivative_into_scale():
    with pytest.warns(UserWarning, match="zero"):
        step = activation(lambda x: 1.0 if x > 0 else 0.0)
    with pytest.raises(CallError, match="into scale"):
        step.scaled()


@pytest.mark.parametrize(
    "f",
    [
        activation(lambda x: x**2, name="square"),
        activation(lambda x: x**2, name="seven", surrogate=7),
        activations.softplus,
        surrogates.atan,
        activation(math.exp, name="exp"),
    ],
    ids=lambda f: f.name,
)
def test_standardised(f):
    found = f.standardised()
    numbers = found.propagation()
    assert numbers.mean == pytest.approx(0, abs=1e-9)
    assert numbers.second_moment == pytest.approx(1, rel=1e-9)
    y = f.program.evaluate(Z)
    assert found(0.3) == pytest.approx((f(0.3) - y.mean()) / y.std(), abs=0.02)
    ratio = found.derivative(0.3) / f.derivative(0.3)
    assert ratio == pytest.approx(f.propagation().centred_gain, rel=1e-9)


def test_a_constant_cannot_be_standardised():
    with pytest.warns(UserWarning, match="zero"):
        f = activation(lambda x: x * 0 + 1)
    with pytest.raises(CallError, match="cannot be standardised"):
        f.standardised()


def relu(x):
    return max(x, 0)


@pytest.mark.parametrize("interval", [(-1, 1), (-4, 4), (0.5, 7)])
@pytest.mark.parametrize("degree", [0, 1, 2, 5, 14])
def test_polynomial_error_is_that_on_the_interval(degree, interval):
    near = activation(relu).polynomial(degree, interval)
    x = np.linspace(*interval, 30011)
    error = np.abs(near(x) - np.maximum(x, 0)).max()
    assert near.largest_error == pytest.approx(error, rel=1e-3, abs=1e-12)
    assert f"{near.largest_error:.3g}" in repr(near)
    powers = sum(c * x**k for k, c in enumerate(near.coefficients))
    np.testing.assert_allclose(powers, near(x), atol=1e-8)


@pytest.mark.parametrize("degree", [2, 4, 8])
def test_polynomial_is_near_the_best_there_is(degree):
    # Bernstein: the best uniform approximation of |x| on [-1, 1] has the error 0.2802 / degree.
    near = activation(abs).polynomial(degree, (-1, 1))
    assert 0.2 / degree < near.largest_error < 0.6 / degree


def test_a_polynomial_is_its_own_polynomial():
    f = activation(lambda x: 3 * x**3 - x + 2)
    near = f.polynomial(3, (-2, 5))
    assert near.largest_error < 1e-11
    np.testing.assert_allclose(near.coefficients, [2, -1, 0, 3], atol=1e-11)


def test_its_derivative_is_exact():
    near = activation(relu, surrogate=7).polynomial(4)
    assert near.check().verdict == "exact"
    assert near.derivative(0.5) == pytest.approx((near(0.5 + 1e-6) - near(0.5 - 1e-6)) / 2e-6)


def test_both_sides_of_a_jump_are_measured():
    near = activation(lambda x: 1.0 if x >= 0.3 else 0.0, surrogate=1).polynomial(9, (-1, 1))
    assert near.largest_error >= 0.5


@pytest.mark.parametrize(
    ("degree", "interval", "words"),
    [
        (-1, (-1, 1), "from 0 to 30"),
        (2.0, (-1, 1), "from 0 to 30"),
        (31, (-1, 1), "from 0 to 30"),
        (3, (1, 1), "from low to high"),
        (3, (0, math.inf), "from low to high"),
        (3, (-1, 1), "not finite at"),
    ],
)
def test_what_has_no_polynomial(degree, interval, words):
    with pytest.raises(CallError, match=words):
        activation(math.log).polynomial(degree, interval)


def test_a_polynomial_is_copied_and_saved_as_its_formula():
    near = activation(relu).polynomial(3)
    again = pickle.loads(pickle.dumps(near))
    assert again == near == near(**{})
    assert repr(near).endswith(f"within {near.largest_error:.3g} of relu on [-3, 3]>")


def test_keras_loads_a_model_with_a_polynomial(tmp_path):
    keras = pytest.importorskip("keras")
    near = activation(relu).polynomial(3)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, activation=near)])
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    x = np.linspace(-2, 2, 8, dtype="float32").reshape(4, 2)
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
    assert again.layers[-1].activation == near
