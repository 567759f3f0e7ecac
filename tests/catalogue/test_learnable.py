"""Each entry against the formulas of its paper, written here anew, and its gradients by every parameter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from actgrad import learnable, sampled, trainable

ENTRIES = learnable.ENTRIES
X = np.linspace(-6.13, 17.29, 211)  # on no kink and no step of the values below


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def acon(x: Any, p1: Any, p2: Any, beta: Any) -> Any:
    return (p1 - p2) * x * sigmoid(beta * (p1 - p2) * x) + p2 * x


def pau(x: Any, numerator: Any, denominator: Any) -> Any:
    above = sum(a * x**j for j, a in enumerate(numerator))
    return above / (1 + np.abs(sum(b * x ** (j + 1) for j, b in enumerate(denominator))))


def apl(x: Any, a: Any, b: Any) -> Any:
    return np.maximum(0, x) + sum(
        a_s * np.maximum(0, -x + b_s) for a_s, b_s in zip(a, b, strict=True)
    )


def pwlu(x: Any, values: Any, low: Any, high: Any, left: Any, right: Any) -> Any:
    values = np.asarray(values)
    size = (high - low) / (len(values) - 1)
    index = np.clip(np.floor((x - low) / size), 0, len(values) - 2).astype(int)
    slopes = np.diff(values) / size
    inside = (x - (low + index * size)) * slopes[index] + values[index]
    outside = np.where(x < low, (x - low) * left + values[0], (x - high) * right + values[-1])
    return np.where((x < low) | (x >= high), outside, inside)


def b_spline(x: Any, coefficients: Any, low: Any, high: Any) -> Any:
    from scipy.interpolate import BSpline

    step = (high - low) / (len(coefficients) - 3)
    knots = low + step * np.arange(-3, len(coefficients) + 1)
    return BSpline(knots, np.asarray(coefficients), 3)(np.clip(x, low, high))


EXACT: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "acon": (acon, {"p1": 1.3, "p2": -0.4, "beta": 0.7}),
    "dyt": (
        lambda x, alpha, weight, bias: weight * np.tanh(alpha * x) + bias,
        {"alpha": 0.8, "weight": 1.2, "bias": 0.3},
    ),
    "rational": (pau, {"numerator": [0.1, 0.9, -0.4, 0.2], "denominator": [0.3, -0.2]}),
    "apl": (apl, {"a": [0.2, -0.3, 0.5], "b": [-1.01, 0.52, 2.13]}),
    "pwlu": (
        pwlu,
        {
            "values": [0.3, -0.2, 0.9, 1.7, 0.4],
            "low": -2.01,
            "high": 3.02,
            "left": 0.1,
            "right": 1.2,
        },
    ),
    "b_spline": (
        b_spline,
        {"coefficients": [0.3, -0.2, 0.9, 1.7, 0.4, -1.2], "low": -2.01, "high": 3.02},
    ),
    "rrelu": (lambda x, slope: np.where(x >= 0, x, slope * x), {"slope": 0.3}),
    "gumbel_noise": (lambda x, noise: x + noise, {"noise": 0.7}),
    "binary_concrete": (
        lambda x, temperature, noise: sigmoid((x + noise) / temperature),
        {"temperature": 0.7, "noise": -0.4},
    ),
}


@pytest.mark.parametrize("name", EXACT)
def test_the_value_is_the_papers(name: str) -> None:
    formula, values = EXACT[name]
    f = getattr(learnable, name)
    np.testing.assert_allclose(f(X, **values), formula(X, **values), rtol=1e-12, atol=1e-13)
    assert f.program.kind == "exact"


@pytest.mark.parametrize("name", EXACT)
def test_the_gradient_by_every_parameter_is_the_slope(name: str) -> None:
    formula, values = EXACT[name]
    f = getattr(learnable, name)(**values)
    for parameter, value in values.items():
        partials = f.partial(parameter)
        partials = partials if isinstance(partials, tuple) else (partials,)
        assert len(partials) == np.size(value)
        for i, partial in enumerate(partials):
            step = np.zeros(np.size(value))
            step[i] = 1e-6
            step = step.reshape(np.shape(value))
            changed = [{**values, parameter: np.asarray(value) + sign * step} for sign in (1, -1)]
            slope = (formula(X, **changed[0]) - formula(X, **changed[1])) / 2e-6
            found = np.broadcast_to(partial(X), X.shape)
            np.testing.assert_allclose(found, slope, rtol=1e-5, atol=1e-7)


def test_the_rational_starts_as_relu() -> None:
    x = np.linspace(-3, 3, 61)
    assert np.abs(learnable.rational(x) - np.maximum(x, 0)).max() < 0.05


def test_pact() -> None:
    for bits in (2.0, 4.0):
        for alpha in (6.0, 9.7):
            y = 0.5 * (np.abs(X) - np.abs(X - alpha) + alpha)  # equation 1
            scale = (2**bits - 1) / alpha
            f = learnable.pact(alpha=alpha, bits=bits)
            np.testing.assert_allclose(f(X), np.round(y * scale) / scale, rtol=1e-12)
            assert np.array_equal(
                f.partial("alpha")(X), np.where(X < alpha, 0.0, 1.0)
            )  # equation 3
            assert np.array_equal(f.derivative(X), (X >= 0) & (X < alpha))


@pytest.mark.parametrize(("below", "above"), [(8, 7), (0, 15), (2, 1)])
@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_lsq(below: int, above: int, scale: float) -> None:
    step = 0.7
    ratio = X / step
    f = learnable.lsq(step=step, low=-below, high=above, scale=scale)
    expected = np.round(np.clip(ratio, -below, above)) * step  # equations 1 and 2
    np.testing.assert_allclose(f(X), expected, rtol=1e-12)
    inside = (-below < ratio) & (ratio < above)
    by_step = np.where(inside, -ratio + np.round(ratio), np.where(ratio <= -below, -below, above))
    np.testing.assert_allclose(f.partial("step")(X), scale * by_step, rtol=1e-12)  # equation 3
    assert np.array_equal(f.derivative(X), inside)  # equation 5


def test_lsq_plus() -> None:
    step, offset, low, high = 0.7, -1.3, -2, 9
    ratio = (X - offset) / step
    f = learnable.lsq_plus(step=step, offset=offset, low=low, high=high)
    expected = np.round(np.clip(ratio, low, high)) * step + offset
    np.testing.assert_allclose(f(X), expected, rtol=1e-12, atol=1e-15)
    inside = (low < ratio) & (ratio < high)
    by_step = np.where(inside, -ratio + np.round(ratio), np.where(ratio <= low, low, high))
    np.testing.assert_allclose(f.partial("step")(X), by_step, rtol=1e-9, atol=1e-12)
    assert np.array_equal(f.partial("offset")(X), ~inside)
    assert np.array_equal(f.derivative(X), inside)


def test_the_threshold_of_a_spike() -> None:
    f = learnable.spike(threshold=1.5, width=2.0)
    triangle = np.maximum(0, 1 - np.abs(X - 1.5) / 2.0) / 2.0
    assert np.array_equal(f(X), X >= 1.5)
    np.testing.assert_allclose(f.derivative(X), triangle)
    np.testing.assert_allclose(f.partial("threshold")(X), -triangle)


def test_a_threshold_moves_in_torch() -> None:
    torch = pytest.importorskip("torch")
    module = learnable.spike.module(threshold=trainable())
    optimizer = torch.optim.SGD(module.parameters(), lr=0.5)
    v = torch.tensor([0.6, 0.8])  # below the threshold, and meant to spike
    for _ in range(20):
        optimizer.zero_grad()
        ((module(v) - 1) ** 2).sum().backward()
        optimizer.step()
    assert module.threshold.item() <= 0.6
    assert module(v).tolist() == [1.0, 1.0]


def test_a_stochastic_neuron_fires_with_its_probability() -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    module = learnable.stochastic_binary.module(**ENTRIES["stochastic_binary"].noise)
    x = torch.full((20_000,), 0.8, requires_grad=True)
    value = module(x)
    assert set(value.tolist()) == {0.0, 1.0}
    p = sigmoid(0.8)
    assert abs(value.mean().item() - p) < 6 * np.sqrt(p * (1 - p) / 20_000)
    value.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), p * (1 - p), rtol=1e-5)
    still = module.eval()(torch.tensor([-0.1, 0.1]))
    assert still.tolist() == [0.0, 1.0]


def test_what_is_drawn() -> None:
    assert ENTRIES["rrelu"].noise == {"slope": sampled("uniform", 1 / 8, 1 / 3)}
    assert ENTRIES["gumbel_noise"].noise["noise"].distribution == "gumbel"


@pytest.mark.parametrize("name", ENTRIES)
def test_says_what_it_is(name: str) -> None:
    entry = ENTRIES[name]
    assert entry.formula
    assert entry.source
    assert entry.name == name
    assert getattr(learnable, name) == entry.activation
    assert name in dir(learnable)


def test_an_unknown_name_lists_what_there_is() -> None:
    with pytest.raises(AttributeError, match=r"no activation .pakt.; .*pact"):
        _ = learnable.pakt
