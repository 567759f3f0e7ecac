"""Every surrogate is the derivative of its stated primitive, and its library's formula."""

import inspect
import math

import numpy as np
import pytest

from actgrad import surrogates

ENTRIES = surrogates.ENTRIES
ROWS = {
    "snntorch": 9,
    "spikingjelly": 16,
    "norse": 5,
    "larq": 6,
    "sinabs": 4,
}


def _defaults(entry):
    arguments = inspect.signature(entry.derivative).parameters.values()
    return {a.name: a.default for a in arguments if a.default is not a.empty}


@pytest.mark.parametrize(("library", "rows"), ROWS.items())
def test_every_row_of_a_library_is_covered(library, rows):
    names = {
        e.libraries[library].partition("(")[0] for e in ENTRIES.values() if library in e.libraries
    }
    assert len(names) == rows


@pytest.mark.parametrize("name", ENTRIES)
def test_is_the_derivative_of_its_primitive(name):
    entry, h = ENTRIES[name], 1e-6
    values = _defaults(entry)
    x = np.linspace(-6.013, 6.021, 241)
    primitive = np.array(
        [[entry.primitive(float(v + k * h), **values) for k in (-2, -1, 1, 2)] for v in x], float
    )
    wide, narrow = (
        (primitive[:, 3] - primitive[:, 0]) / (4 * h),
        (primitive[:, 2] - primitive[:, 1]) / (2 * h),
    )
    smooth = np.abs(wide - narrow) < 1e-6 * (1 + np.abs(narrow))
    assert smooth.mean() > 0.95
    ours = getattr(surrogates, name).derivative(x)
    np.testing.assert_allclose(ours[smooth], narrow[smooth], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("name", ENTRIES)
def test_finite_far_out(name, dtype):
    far = np.array([-1e4, -300, 300, 1e4], dtype)
    activation = getattr(surrogates, name)
    assert np.isfinite(activation(far)).all()
    assert np.isfinite(activation.derivative(far)).all()


@pytest.mark.parametrize(
    "name", [n for n, e in ENTRIES.items() if e.forward.__name__ in {"heaviside", "sign"}]
)
def test_value_at_zero_is_one_or_what_is_asked(name):
    activation = getattr(surrogates, name)
    low = -1.0 if ENTRIES[name].forward.__name__ == "sign" else 0.0
    assert (activation(0.0), activation(-0.0), activation(1e-30), activation(-1e-30)) == (
        1,
        1,
        1,
        low,
    )
    assert activation(at_zero=0.0)(0.0) == 0.0
    assert activation(at_zero=0.5)([-1.0, 0.0, 1.0]).tolist() == [low, 0.5, 1.0]


S = lambda x: 1 / (1 + math.exp(-x))
LIBRARY_FORMULAS = {
    # as written in the libraries' sources, at their own defaults
    "fast_sigmoid": (dict(slope=25.0), lambda x: 1 / (25 * abs(x) + 1.0) ** 2),
    "atan": (dict(alpha=2.0), lambda x: 2 / 2 / (1 + (math.pi / 2 * 2 * x) ** 2)),
    "sigmoid": (dict(slope=4.0), lambda x: 4 * (1 - S(4 * x)) * S(4 * x)),
    "spike_rate_escape": ({}, lambda x: 25 * math.exp(-1 * abs(x - 1))),
    "sparse_fast_sigmoid": ({}, lambda x: 1 / (25 * abs(x) + 1) ** 2 * (x > 1)),
    "leaky": ({}, lambda x: 1.0 if x > 0 else 0.1),
    "up_down": ({}, lambda x: 1.0 if x < 0 else -1.0),
    "piecewise_quadratic": ({}, lambda x: 0.0 if abs(x) > 1 else -abs(x) + 1),
    "piecewise_exp": (dict(alpha=3.0), lambda x: 3 / 2 * math.exp(-3 * abs(x))),
    "soft_sign": ({}, lambda x: 1 / (2 * 2 * (1 / 2 + abs(x)) ** 2)),
    "super_spike": (dict(alpha=2.0), lambda x: 2 / (abs(x) + 1) ** 2),
    "nonzero_sign_log_abs": (dict(alpha=3.0), lambda x: 1 / (1 / 3 + abs(x))),
    "erf": ({}, lambda x: 2 / math.sqrt(math.pi) * math.exp(-(2**2) * x**2)),
    "piecewise_leaky_relu": ({}, lambda x: 0.5 if abs(x) < 1 else 0.01),
    "square_wave_fourier": (
        dict(n=4),
        lambda x: 4 / 8 * sum(math.cos((2 * i - 1) * x * 2 * math.pi / 8) for i in range(1, 4)),
    ),
    "s2nn": ({}, lambda x: 4 * (1 - S(4 * x)) * S(4 * x) if x < 0 else 1 / (x + 1)),
    "q_pseudo_spike": ({}, lambda x: (1 + 2 / (2 - 1) * abs(x)) ** -2),
    "fake_numerical_gradient": ({}, lambda x: min((2 * (x >= 0) - 1) / x, 0.3)),
    "log_tailed_relu": ({}, lambda x: 0.0 if x <= 0 else 1.0 if x <= 1 else 1 / x),
    "rect": (dict(alpha=2.0), lambda x: 2.0 if abs(x) < 0.25 else 0.0),
    "triangle": ({}, lambda x: 0.3 * max(0, 1 - abs(x))),
    "tanh": (dict(alpha=2.0), lambda x: 1 - math.tanh(2 * x) ** 2),
    "circ": (dict(alpha=2.0), lambda x: 2**3 / (x**2 + 2**2) ** 1.5),
    "erfc": (dict(alpha=2.0), lambda x: 2 / math.sqrt(math.pi) * math.exp(-((2 * x) ** 2))),
    "ste_sign": ({}, lambda x: 1.0 if abs(x) <= 1 else 0.0),
    "approx_sign": ({}, lambda x: (1 - abs(x)) * 2 if abs(x) <= 1 else 0.0),
    "swish_sign": ({}, lambda x: 5 * (2 - 5 * x * math.tanh(5 * x / 2)) / (1 + math.cosh(5 * x))),
    "dorefa": ({}, lambda x: 1.0 if 0 <= x <= 1 else 0.0),
    "gaussian": ({}, lambda x: math.exp(-((x / 0.5) ** 2) / 2) / (0.5 * math.sqrt(2 * math.pi))),
    "single_exponential": ({}, lambda x: math.exp(-abs(x) / 0.5) / 0.5),
}


@pytest.mark.parametrize("name", LIBRARY_FORMULAS)
def test_is_the_librarys_formula(name):
    values, formula = LIBRARY_FORMULAS[name]
    x = np.linspace(-3.01, 3.02, 121)
    ours = (
        getattr(surrogates, name)(**values).derivative(x)
        if values
        else getattr(surrogates, name).derivative(x)
    )
    np.testing.assert_allclose(ours, [formula(float(v)) for v in x], rtol=2e-9, atol=1e-15)


def test_the_ternary_and_the_quantised_forward():
    assert surrogates.ste_ternary([-0.06, -0.04, 0.0, 0.04, 0.06]).tolist() == [-1, 0, 0, 0, 1]
    assert surrogates.dorefa([-1.0, 0.1, 0.2, 0.5, 0.9, 2.0]).tolist() == [0, 0, 1 / 3, 2 / 3, 1, 1]


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(AttributeError, match=r"no surrogate .arctan.; .*atan"):
        _ = surrogates.arctan
