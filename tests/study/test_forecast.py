"""The forecast beside networks that are really built, layer by layer, in NumPy."""

import json
import math
from functools import cache

import numpy as np
import pytest

from actgrad import activation, activations
from actgrad.errors import CallError
from tests.sample import exhaustive_but

WIDTH, DEPTH = 400, 5
NETWORKS = {"square": 150}  # whose networks scatter most; 40 of the others

ERF = np.vectorize(math.erf, otypes=[float])


def density(x):
    return np.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def cdf(x):
    return (1 + ERF(x / math.sqrt(2))) / 2


# Python's function, and its value and derivative by hand in NumPy.
FUNCTIONS = {
    "relu": (lambda x: max(x, 0), lambda x: np.maximum(x, 0), lambda x: (x > 0) * 1.0),
    "tanh": (math.tanh, np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    "gelu": (
        lambda x: 0.5 * x * (1 + math.erf(x / math.sqrt(2))),
        lambda x: x * cdf(x),
        lambda x: cdf(x) + x * density(x),
    ),
    "square": (lambda x: x**2, lambda x: x * x, lambda x: 2 * x),
}
CASES = [("relu", 1.0, 0.0), ("relu", 1.2, 0.5)] + [
    (name, scale, 0.0) for name in ("tanh", "gelu", "square") for scale in (1.0, 1.2)
]
SOME = [("relu", 1.2, 0.5), ("gelu", 1.0, 0.0), ("tanh", 1.2, 0.0), ("square", 1.0, 0.0)]


@cache
def found(name):
    return activation(FUNCTIONS[name][0], name=name).propagation()


@cache
def simulated(name, weight_scale, bias_scale):
    """For each network: log of the pre-activations' variance, and of the gradient's rms, by layer."""
    _, f, slope = FUNCTIONS[name]
    sigma = weight_scale * found(name).gain
    random = np.random.default_rng(1)
    variances, gradients = [], []
    for _ in range(NETWORKS.get(name, 40)):
        x = random.standard_normal(WIDTH)
        x *= math.sqrt(WIDTH) / np.linalg.norm(x) / found(name).gain
        weights, inputs, log_q = [], [], []
        for _ in range(DEPTH):
            w = random.standard_normal((WIDTH, WIDTH), dtype=np.float32) * sigma / WIDTH**0.5
            h = w @ x + bias_scale * random.standard_normal(WIDTH)
            log_q.append(math.log(sigma**2 * np.mean(x * x) + bias_scale**2))
            weights.append(w)
            inputs.append(h)
            x = f(h)
        g = random.standard_normal(WIDTH)
        g /= math.sqrt(np.mean(g * g))
        log_g = [0.0]
        for w, h in zip(weights[:0:-1], inputs[-2::-1], strict=True):
            g = slope(h) * (w.T @ g)
            log_g.append(math.log(np.mean(g * g)) / 2)
        variances.append(log_q)
        gradients.append(log_g[::-1])
    return np.array(variances), np.array(gradients)


def noise(logs):
    return logs.std(axis=0) / math.sqrt(len(logs))


def ahead(name, weight_scale, bias_scale):
    return found(name).forecast(DEPTH, WIDTH, weight_scale, bias_scale)


@pytest.mark.parametrize("case", exhaustive_but(SOME, CASES), ids=str)
def test_log_variance_within_a_fifth(case):
    truth = simulated(*case)[0].mean(axis=0)
    found = np.array(ahead(*case).log_variance)
    assert np.abs(found - truth).max() <= 0.2 * max(1, np.abs(truth).max()), (found, truth)
    assert np.all(np.abs(found - truth) <= 0.02 + 3 * noise(simulated(*case)[0])), (found, truth)


@pytest.mark.parametrize("case", exhaustive_but(SOME, CASES), ids=str)
def test_gradient_rms_within_a_fifth(case):
    logs = simulated(*case)[1]
    error = np.abs(np.log(ahead(*case).gradient_rms) - logs.mean(axis=0))
    assert np.all(error <= math.log(1.2)), error
    assert np.all(error <= 0.02 + 3 * noise(logs)), error


@pytest.mark.parametrize("case", exhaustive_but(SOME, CASES), ids=str)
def test_spread_over_networks(case):
    made, forecast = simulated(*case), ahead(*case)
    for logs, spread in zip(
        made, (forecast.log_variance_spread, forecast.gradient_spread), strict=True
    ):
        truth = logs.std(axis=0)
        assert np.all(np.abs(np.array(spread) - truth) <= 0.02 + 0.4 * truth), (spread, truth)


def test_the_law_of_the_square():
    s = 1.1
    wide = found("square").forecast(6, 10**7, s)
    law = [(2**layer - 1) * 2 * math.log(s) for layer in range(1, 7)]
    assert wide.log_variance == pytest.approx(law, rel=1e-3)
    (point,) = wide.fixed_points
    assert point.variance == pytest.approx(1 / s**2, rel=1e-6)
    assert point.slope == pytest.approx(2)
    assert not point.attracts


def test_relu_keeps_every_variance():
    forecast = found("relu").forecast(50, 10**9)
    assert forecast.keeps_every
    assert forecast.log_variance == pytest.approx([0] * 50, abs=1e-3)
    assert forecast.gradient_rms == pytest.approx([1] * 50, abs=1e-3)


def test_tanh_is_drawn_to_its_fixed_point():
    forecast = found("tanh").forecast(30, 10**9, 1.2, input_moment=100.0)
    (point,) = (p for p in forecast.fixed_points if p.attracts)
    assert math.exp(forecast.log_variance[-1]) == pytest.approx(point.variance, rel=0.01)
    assert math.exp(forecast.log_variance[0]) == pytest.approx(
        100 * (1.2 * found("tanh").gain) ** 2
    )


def test_biases_add_their_variance():
    step = activation(lambda x: 1.0 if x >= 0 else -1.0, surrogate=1, name="sign").propagation()
    forecast = step.forecast(3, 100, 1.0, bias_scale=2.0)
    assert np.exp(forecast.log_variance) == pytest.approx([5, 5, 5])
    assert forecast.log_variance_spread == pytest.approx([0, 0, 0], abs=1e-9)


def test_surrogates_forecast_their_own_gradient():
    from actgrad import surrogates

    plain = surrogates.fast_sigmoid(slope=100.0).propagation().forecast(5, 10**8)
    assert plain.gradient_rms[0] == pytest.approx(0.0729**4, rel=0.02)
    scaled = surrogates.fast_sigmoid(slope=100.0, scaled=True).propagation().forecast(5, 10**8)
    assert scaled.gradient_rms == pytest.approx([1] * 5, rel=0.02)


def test_as_text_json_and_picture(tmp_path):
    pytest.importorskip("matplotlib")
    forecast = found("square").forecast(8, 100, 1.5)
    assert "layer" in str(forecast)
    json.dumps(forecast.to_dict(), allow_nan=False)
    figure = forecast.plot(tmp_path / "picture.svg")
    assert (tmp_path / "picture.svg").stat().st_size > 1000
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert any("drives away" in label for label in labels)
    assert list(figure.axes[1].get_lines()[0].get_xdata()) == list(range(1, 9))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"depth": 0}, "depth is a whole number"),
        ({"width": 2.5}, "width is a whole number"),
        ({"weight_scale": 0.0}, "weight_scale is above 0"),
        ({"bias_scale": -1.0}, "weight_scale is above 0"),
    ],
)
def test_what_cannot_be_forecast(options, words):
    with pytest.raises(CallError, match=words):
        found("relu").forecast(**options)


def test_hermite_coefficients():
    assert found("square").hermite == pytest.approx([1, 0, math.sqrt(2), 0, 0, 0, 0, 0], abs=1e-9)
    relu = [0.3989423, 0.5, 0.2820948, 0]  # 1/√2π, 1/2, 1/(2√π), 0
    assert found("relu").hermite[:4] == pytest.approx(relu, abs=1e-7)


def test_a_bounded_fixed_point_with_a_tail_is_warned_about():
    damped = activation(lambda x: x - 0.1 * x**3, name="damped").propagation()
    (warning,) = damped.warnings(depth=2)
    assert "beyond 3" in warning
    assert damped.warnings(depth=1) == []


def test_the_safe_depth_of_the_square():
    assert found("square").safe_depth == 2
    assert "at most 2 layers" in found("square").warnings(depth=4)[0]
    assert found("relu").safe_depth == math.inf


def test_a_forecast_that_diverges_says_so():
    lost = activations.square.propagation().forecast(depth=10, width=512)
    assert lost.diverges
    assert lost.diverges[0].startswith("in many networks the variance leaves")
    assert f"it diverges: {lost.diverges[0]}" in str(lost)
    layer = int(lost.diverges[0].rpartition("layer ")[2].split()[0]) - 1
    reach = np.abs(lost.log_variance) + lost.log_variance_spread
    assert reach[layer] > 12 * np.log(10) >= reach[layer - 1]
    axes = lost.plot().axes[1]
    assert min(axes.get_ylim()) >= -12
    assert max(axes.get_ylim()) <= 12
    assert "\n".join(lost.diverges) in [text.get_text() for text in axes.texts]
    rows = [line.split() for line in str(lost).splitlines()[2:12]]
    assert rows[layer][1] == "diverges" != rows[layer - 1][1]
    assert all(float(x) < 1e12 for row in rows for x in row if x != "diverges")
    assert activations.relu.propagation().forecast().diverges == ()


def test_the_map_is_the_ratio_to_what_is_kept():
    forecast = activations.square.propagation().forecast()
    line = next(x for x in forecast.plot().axes[0].lines if x.get_label() == "one layer")
    q, ratio = line.get_data()
    np.testing.assert_allclose(ratio, q, atol=1e-6)  # E (x²)² / q = 3 q² / 3 q: the ratio is q
