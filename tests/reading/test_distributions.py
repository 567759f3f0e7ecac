"""Densities and distribution functions: value and slope are the library's own."""

from __future__ import annotations

import importlib
import math

import numpy as np
import pytest

from actgrad import activation
from actgrad.errors import TraceError
from actgrad.language.derive import derive
from actgrad.language.expression import evaluate
from actgrad.reading.define import define
from actgrad.reading.libraries.distributions import LAWS
from actgrad.reading.libraries.special_tables import SPECIAL
from tests.reading.corpus.reading import outcome
from tests.sample import exhaustive_but

SHAPES = {"t": (3.5,)}
SCIPY = [
    (law, method)
    for law in LAWS
    for method in LAWS[law]
    if not law.endswith("_torch") and not method.endswith("_open")
]
pytestmark = pytest.mark.filterwarnings("ignore::actgrad.errors.ZeroDerivativeWarning")
POINTS = np.array([-6.3, -2.7, -0.6, 0.3, 0.77, 1.9, 4.2, 11.0])
INSIDE = np.array([1e-9, 0.03, 0.3, 0.5, 0.77, 0.9, 0.999])


@pytest.mark.parametrize(("law", "method"), SCIPY)
def test_scipy_stats(law, method):
    stats = pytest.importorskip("scipy.stats")
    shapes = SHAPES.get(law, ())
    of = getattr(getattr(stats, law), method)
    quantile = method in ("ppf", "isf")
    loc, scale = 0.4, 1.7
    x = INSIDE if quantile else POINTS
    program = define(lambda x: of(x, *shapes, loc, scale=scale))
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(program.evaluate(x), of(x, *shapes, loc, scale), 1e-12, 1e-15)
        edges = np.array([0.0, 1.0, -0.1, 1.1, np.nan] if quantile else [-np.inf, np.inf, np.nan])
        np.testing.assert_allclose(program.evaluate(edges), of(edges, *shapes, loc, scale))
        step = 1e-6 * np.minimum(x, 1 - x) if quantile else 1e-6
        wanted = (of(x + step, *shapes, loc, scale) - of(x - step, *shapes, loc, scale)) / (
            2 * step
        )
        slope = np.broadcast_to(evaluate(derive(program.value, "x"), {"x": x}), x.shape)
    seen = np.isfinite(wanted) & (abs(x) > 1e-6)
    np.testing.assert_allclose(slope[seen], wanted[seen], rtol=1e-5, atol=1e-8)


def test_frozen_laws_standard_ones_and_laws_of_parameters():
    stats = pytest.importorskip("scipy.stats")
    frozen = stats.norm(0.5, scale=2.0)
    assert activation(frozen.cdf)(0.7) == pytest.approx(frozen.cdf(0.7), rel=1e-14)
    assert define(lambda x: frozen.cdf(x)).evaluate(0.7) == pytest.approx(
        frozen.cdf(0.7), rel=1e-14
    )
    inside = define(lambda x: x * stats.laplace(1.0).sf(x) + stats.norm.pdf(0.0))
    assert inside.evaluate(0.7) == pytest.approx(0.7 * stats.laplace.sf(0.7, 1) + stats.norm.pdf(0))
    gelu = activation(lambda x, sd=1.0: x * stats.norm.cdf(x, scale=sd), name="gelu")
    assert gelu(0.7, sd=2.0) == pytest.approx(0.7 * stats.norm.cdf(0.35), rel=1e-14)
    assert math.isnan(gelu(0.7, sd=-1.0))
    assert math.isnan(stats.norm.cdf(0.7, scale=-1.0))


@pytest.mark.parametrize("call", ["norm.rvs", "gamma.pdf", "norm.expect"])
def test_what_is_not_read_is_refused(call):
    stats = pytest.importorskip("scipy.stats")
    law, method = call.split(".")
    with pytest.raises(TraceError, match="cannot be read"):
        define(lambda x: getattr(getattr(stats, law), method)(x, 2.0))


JAX = [
    (path.rpartition(".")[2], entry.partition("=")[0])
    for path, text in SPECIAL.items()
    if path.startswith("jax.scipy.stats")
    for entry in text.split()
]


@pytest.mark.parametrize("case", exhaustive_but(JAX[::3], JAX), ids=".".join)
def test_jax_scipy_stats(case):
    law, method = case
    jax = pytest.importorskip("jax")
    module = importlib.import_module(f"jax.scipy.stats.{law}")
    shapes = SHAPES.get(law, ())
    of = getattr(module, method)
    program = define(lambda x: of(x, *shapes, loc=0.4, scale=1.7))
    x = INSIDE[1:] if method in ("ppf", "isf") else POINTS
    with jax.enable_x64(True):
        both = jax.value_and_grad(lambda x: of(x, *shapes, 0.4, 1.7))
        values, slopes = jax.jit(jax.vmap(both))(x)
    ours = np.broadcast_to(evaluate(derive(program.value, "x"), {"x": x}), x.shape)
    np.testing.assert_allclose(ours, slopes, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(program.evaluate(x), values, rtol=1e-9, atol=1e-12)


TORCH = {
    "Normal": ((0.4, 1.7), "log_prob cdf icdf"),
    "Laplace": ((0.4, 1.7), "log_prob cdf icdf"),
    "Cauchy": ((0.4, 1.7), "log_prob cdf icdf"),
    "Gumbel": ((0.4, 1.7), "log_prob cdf"),
    "HalfNormal": ((1.7,), "log_prob cdf icdf"),
    "Exponential": ((0.6,), "log_prob cdf icdf"),
    "Uniform": ((-0.4, 1.7), "log_prob cdf icdf"),
    "StudentT": ((3.5, 0.4, 1.7), "log_prob"),
}


@pytest.mark.parametrize("kind", TORCH)
def test_torch_distributions(kind):
    torch = pytest.importorskip("torch")
    numbers, methods = TORCH[kind]
    law = getattr(torch.distributions, kind)
    outside = law(*(torch.tensor(n, dtype=torch.float64) for n in numbers), validate_args=False)
    for method in methods.split():
        move = (lambda x: torch.sigmoid(x)) if method == "icdf" else (lambda x: x)
        of = getattr(outside, method)
        found = outcome("torch", lambda x, of=of, move=move: of(move(x)))
        assert found.kind.startswith("right"), (method, found.detail)
        inside = define(lambda x: getattr(law(*numbers), method)(x))
        x = 0.6
        assert inside.evaluate(x) == pytest.approx(of(torch.tensor(x, dtype=torch.float64)).item())


def test_several_numbers_and_weights_of_a_torch_distribution_are_refused():
    torch = pytest.importorskip("torch")
    several = torch.distributions.Normal(torch.zeros(3), torch.ones(3))
    with pytest.raises(TraceError, match="several numbers"):
        define(lambda x: several.log_prob(x))
    weight = torch.distributions.Normal(torch.nn.Parameter(torch.tensor(0.0)), 1.0)
    with pytest.raises(TraceError, match="the weight 'loc'"):
        define(lambda x: weight.log_prob(x))
