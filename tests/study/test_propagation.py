"""Moments and gains, against published numbers and closed forms."""

import json
import math

import pytest

from actgrad import activation, from_json
from actgrad.errors import CallError

ALPHA, SCALE = 1.6732632423543772, 1.0507009873554805


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def heaviside(x):
    return 1.0 if x >= 0 else 0.0


FUNCTIONS = {
    "relu": lambda x: max(x, 0),
    "tanh": lambda x: math.tanh(x),
    "gelu": lambda x: 0.5 * x * (1 + math.erf(x / math.sqrt(2))),
    "silu": lambda x: x * sigmoid(x),
    "selu": lambda x: SCALE * (x if x > 0 else ALPHA * (math.exp(x) - 1)),
    "elu": lambda x: x if x > 0 else math.exp(x) - 1,
    "sigmoid": sigmoid,
    "softplus": lambda x: math.log(1 + math.exp(x)),
    "softsign": lambda x: x / (1 + abs(x)),
    "hardtanh": lambda x: max(-1, min(1, x)),
    "square": lambda x: x**2,
    "square and line": lambda x: x**2 + x,
    "cube": lambda x: x**3,
    "heaviside": heaviside,
    "sign": lambda x: 1.0 if x >= 0 else -1.0,
}

# E f, E f², g_f, g_c (None: as g_f), E f'², g_b, chi, eta; to the digits of the reference.
REFERENCE = {
    "relu": (0.39894228, 0.5, 1.41421356, 1.71285855, 0.5, 1.41421356, 1, 1),
    "tanh": (0, 0.39429449, 1.59253742, None, 0.46440290, 1.46741359, 1.177807, 0.461071),
    "gelu": (
        0.28209479,
        0.42522148,
        1.53353044,
        1.70092624,
        0.45585087,
        1.48111441,
        1.072032,
        1.144063,
    ),
    "silu": (
        0.20662096,
        0.35577552,
        1.67653247,
        1.78718722,
        0.37948235,
        1.62332026,
        1.066634,
        1.172594,
    ),
    "selu": (0, 1, 1, 1, 1.07157499, 0.96602578, 1.071575, 0.782648),
    "elu": (
        0.16052057,
        0.64494542,
        1.24519830,
        1.27084342,
        0.66810200,
        1.22342856,
        1.035905,
        0.890968,
    ),
    "sigmoid": (
        0.5,
        0.29337904,
        1.84622855,
        4.80131337,
        0.04483624,
        4.72264609,
        0.152827,
        0.106341,
    ),
    "softplus": (
        0.80605918,
        0.92124591,
        1.04186684,
        1.91912598,
        0.29337904,
        1.84622855,
        0.318459,
        0.492053,
    ),
    "hardtanh": (0, 0.51605855, 1.39203614, None, 0.68268949, 1.21028706, 1.322892, 0.385127),
    "square": (1, 3, 0.57735027, 0.70710678, 4, 0.5, 1.333333, 2),
    "square and line": (1, 4, 0.5, 0.57735027, 5, 0.44721360, 1.25, 1.75),
    "cube": (0, 15, 0.25819889, None, 27, 0.19245009, 1.8, 3),
    "heaviside": (0.5, 0.5, 1.41421356, 2, None, None, None, 0),
    "sign": (0, 1, 1, 1, None, None, None, 0),
}
FIELDS = (
    "mean",
    "second_moment",
    "gain",
    "centred_gain",
    "slope_moment",
    "backward_gain",
    "chi",
    "eta",
)
ROWS = [
    (name, field, row[2] if value is None and field == "centred_gain" else value)
    for name, row in REFERENCE.items()
    for field, value in zip(FIELDS, row, strict=True)
    if value is not None or field == "centred_gain"
]


def numbers(function, surrogate=1.0):
    return activation(function, name="f", surrogate=surrogate).propagation()


def exact(name):
    function = FUNCTIONS[name]
    if name in ("heaviside", "sign"):
        return numbers(function)
    return activation(function, name=name).propagation()


@pytest.mark.parametrize(("name", "field", "value"), ROWS)
def test_reference_table(name, field, value):
    assert getattr(exact(name), field) == pytest.approx(value, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize(
    ("name", "gamma"),
    [
        ("relu", 1.71395886),
        ("gelu", 1.70150435),
        ("silu", 1.78812933),
        ("tanh", 1.59391177),
        ("selu", 1.00085151),
        ("sigmoid", 4.80383539),
        ("softplus", 1.92033231),
        ("softsign", 2.33885312),
        ("elu", 1.27160048),
    ],
)
def test_sampled_gammas_of_timm(name, gamma):
    assert exact(name).centred_gain == pytest.approx(gamma, rel=1e-3)


SURROGATES = {
    "straight through": (1.0, 1.0, 0.70711),
    "box": (lambda x: 1.0 if abs(x) < 1 else 0.0, 0.68268949, 0.85580),
    "triangle": (lambda x: max(0, 1 - abs(x)), 0.25355131, 1.40427),
    "arctan": (lambda x: 1 / (1 + (math.pi * x) ** 2), 0.19213964, 1.61316),
    "gaussian": (lambda x: math.exp(-x * x / 2) / math.sqrt(2 * math.pi), 0.09188815, 2.33268),
    "sigmoid": (lambda x: sigmoid(x) * (1 - sigmoid(x)), 0.04483624, 3.3394),
    "fast 1": (lambda x: (1 + abs(x)) ** -2, 0.22767134, 1.48194),
    "fast 10": (lambda x: (1 + 10 * abs(x)) ** -2, 0.02648784, 4.34472),
    "fast 25": (lambda x: (1 + 25 * abs(x)) ** -2, 0.01063068, 6.85811),
    "fast 100": (lambda x: (1 + 100 * abs(x)) ** -2, 0.00265949, 13.71154),
}


@pytest.mark.parametrize("name", SURROGATES)
def test_scale_of_surrogates_of_heaviside(name):
    surrogate, moment, factor = SURROGATES[name]
    found = numbers(heaviside, surrogate)
    assert found.slope_moment == pytest.approx(moment, rel=2e-6)
    assert found.surrogate_factor == pytest.approx(factor, rel=1e-5)


@pytest.mark.parametrize(("name", "gap"), [("heaviside", 0.39894), ("sign", 0.79788)])
def test_a_missing_jump_is_a_stein_gap(name, gap):
    assert numbers(FUNCTIONS[name], 1e-300).stein_gap == pytest.approx(gap, abs=1e-5)


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name not in ("heaviside", "sign")])
def test_no_stein_gap_for_an_exact_derivative(name):
    assert exact(name).stein_gap == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("function", "exponent"),
    [
        (lambda x: x**2, 2),
        (lambda x: x**3 - x, 3),
        (FUNCTIONS["gelu"], 1),
        (FUNCTIONS["tanh"], 0),
        (lambda x: math.copysign(math.sqrt(abs(x)), x), 0.5),
        (lambda x: math.exp(x), math.inf),
    ],
    ids=["square", "cubic", "gelu", "tanh", "root", "exp"],
)
def test_tail_exponent(function, exponent):
    assert numbers(function).tail_exponent == pytest.approx(exponent, abs=1e-6)


@pytest.mark.parametrize("name", ["relu", "tanh", "gelu", "selu", "heaviside"])
def test_no_escape_with_a_tail_at_most_linear(name):
    assert numbers(FUNCTIONS[name]).escape_threshold == math.inf


def test_the_square_escapes_at_once():
    assert exact("square").escape_threshold == pytest.approx(1.0, rel=1e-6)


def test_escape_threshold_of_a_damped_cubic():
    """f = x - a x³ has Q(q) = q - 6 a q² + 15 a² q³, so Q(q) = q Q(1) at q = 2/(5a) - 1 besides q = 1."""
    a = 0.1
    found = activation(lambda x: x - a * x**3).propagation()
    assert found.eta == pytest.approx((1 - 12 * a + 45 * a**2) / (1 - 6 * a + 15 * a**2))
    assert found.escape_threshold == pytest.approx(2 / (5 * a) - 1, rel=1e-6)


@pytest.mark.parametrize("depth", [2, 10, 100])
@pytest.mark.parametrize("name", ["relu", "tanh", "gelu", "silu", "selu", "elu"])
def test_never_a_warning_for_sound_activations(name, depth):
    assert exact(name).warnings(depth=depth) == []


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: exact("square"), ["variance does not stay", "eta = 2", "normalise each sample"]),
        (lambda: exact("sigmoid"), ["vanishes", "0.391", "skip connections"]),
        (lambda: activation(lambda x: math.sin(6 * x)).propagation(), ["explodes"]),
        (
            lambda: numbers(heaviside, SURROGATES["fast 100"][0]),
            ["out of scale", "0.0729", "c = 13.712"],
        ),
        (lambda: activation(lambda x: max(x - 2, 0)).propagation(), ["derivative is zero for 98%"]),
    ],
    ids=["escaping", "vanishing", "exploding", "surrogate", "dead"],
)
def test_warnings_have_numbers_and_remedies(make, words):
    text = " ".join(make().warnings(depth=10))
    missing = [word for word in words if word not in text]
    assert not missing, text


def test_zero_derivative_is_warned_about():
    with pytest.warns(UserWarning, match="zero almost everywhere"):
        step = activation(heaviside, name="step")
    assert "derivative is zero everywhere" in " ".join(step.propagation().warnings())


def test_a_value_of_zero_is_warned_about_and_has_no_forecast():
    nothing = activation(lambda x: 0.0 * x, surrogate=lambda x: 1.0, name="nothing")
    numbers = nothing.propagation()
    assert numbers.warnings() == ["nothing: the value is zero everywhere, so nothing passes."]
    with pytest.raises(CallError, match="no gain keeps this activation's variance"):
        numbers.forecast()


def test_parameters_and_stored_activations():
    leaky = activation(lambda x, a=0.0: x if x > 0 else a * x)
    assert leaky.propagation(a=0.5).second_moment == pytest.approx((1 + 0.25) / 2)
    assert from_json(leaky.to_json()).propagation() == leaky.propagation()


def test_json_and_text():
    found = exact("relu")
    back = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert (back["gain"], back["escape_threshold"]) == (found.gain, "inf")
    assert "1.41421" in str(found)


def test_several_inputs_are_refused():
    with pytest.raises(CallError, match="one input"):
        activation(lambda a, b: a * b).propagation()


def test_a_gradient_rule_is_refused():
    with pytest.raises(CallError, match="no derivative to take moments of"):
        activation(math.tanh, gradient=lambda x, g: g).propagation()
