"""Every entry is its formula, its frameworks' built-in, finite far out, and right at its kinks."""

import importlib

import numpy as np
import pytest

from actgrad import activations

ENTRIES = activations.ENTRIES
GRID = np.concatenate([np.linspace(-8, 8, 161), [-0.0, 1e-3, -1e-3]])
PATHS = {
    "keras": ["keras.activations"],
    "torch": ["torch.nn.functional", "torch"],
    "jax": ["jax.nn", "jax.numpy"],
    "tensorflow": ["tensorflow.nn"],
}
BUILTINS = [(name, fw, path) for name, e in ENTRIES.items() for fw, path in e.builtins.items()]


def test_there_are_forty_or_more():
    assert len(ENTRIES) >= 40
    assert set(ENTRIES) <= set(dir(activations))


@pytest.mark.parametrize("name", ENTRIES)
def test_says_what_it_is(name):
    entry = ENTRIES[name]
    assert entry.formula
    assert entry.source
    assert getattr(activations, name).name == name


@pytest.mark.parametrize("name", ENTRIES)
def test_value_is_pythons(name):
    entry = ENTRIES[name]
    expected = [float(entry.function(float(x))) for x in GRID]
    np.testing.assert_allclose(entry.activation(GRID), expected, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("name", ENTRIES)
def test_derivative_is_the_slope(name):
    entry, h = ENTRIES[name], 1e-6
    x = np.linspace(-7.03, 7.03, 98)
    kinks = np.array([*entry.kinks, *entry.kinks, 0.0, 0.5, -0.5, 2.0, -2.0])
    x = x[np.abs(x[:, None] - kinks).min(axis=1) > 0.02]
    x = x if name != "spiky" else x[np.abs(x * 2 - np.round(x * 2)) > 0.02]
    slope = [(entry.function(float(v + h)) - entry.function(float(v - h))) / (2 * h) for v in x]
    np.testing.assert_allclose(entry.activation.derivative(x), slope, rtol=1e-6, atol=2e-8)


@pytest.mark.parametrize(("name", "x"), [(n, x) for n, e in ENTRIES.items() for x in e.kinks])
def test_derivative_at_a_kink(name, x):
    assert ENTRIES[name].activation.derivative(x) == pytest.approx(
        ENTRIES[name].kinks[x], abs=1e-15
    )


FINITE_FAR_OUT = [
    n for n in ENTRIES if n not in {"exponential", "square", "quadratic", "cube", "squared_relu"}
]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("name", FINITE_FAR_OUT)
def test_finite_far_out(name, dtype):
    far = np.array([-1e4, 1e4], dtype)
    assert np.isfinite(getattr(activations, name)(far)).all()
    assert np.isfinite(getattr(activations, name).derivative(far)).all()


@pytest.mark.parametrize(("name", "framework", "path"), BUILTINS)
def test_equals_the_builtin(name, framework, path):
    root = pytest.importorskip(framework)
    modules = [importlib.import_module(p) for p in PATHS[framework] if p != "tensorflow.nn"] or [
        root.nn
    ]
    builtin = next(getattr(m, path) for m in modules if hasattr(m, path))
    x = GRID.astype(np.float32)
    tensor = {
        "torch": lambda: root.tensor(x),
        "jax": lambda: importlib.import_module("jax.numpy").asarray(x),
        "keras": lambda: root.ops.convert_to_tensor(x),
        "tensorflow": lambda: root.constant(x),
    }[framework]()
    ours = getattr(activations, name)(x.astype(np.float64))
    np.testing.assert_allclose(ours, np.asarray(builtin(tensor)), rtol=2e-5, atol=2e-6)


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(AttributeError, match=r"no activation .rleu.; .*relu"):
        _ = activations.rleu
