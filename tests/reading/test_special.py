"""Special functions in each library's spelling: value and slope are the library's own."""

from __future__ import annotations

import importlib
import math

import numpy as np
import pytest

from actgrad.errors import TraceError
from actgrad.language.derive import derive
from actgrad.language.expression import evaluate
from actgrad.reading.define import define
from tests.reading.corpus.reading import RIGHT, outcome

SCIPY = {
    "polygamma": lambda s, x: s.polygamma(0, x) + s.polygamma(1, x) + s.polygamma(3, abs(x) + 0.5),
    "gammas": lambda s, x: s.gamma(x) + s.gammaln(x) - s.loggamma(abs(x) + 0.1) + s.psi(x),
    "sign": lambda s, x: s.gammasgn(x) * x,
    "factorial": lambda s, x: s.factorial(abs(x)) + s.factorial(-abs(x) - 1),
    "multigammaln": lambda s, x: s.multigammaln(abs(x) + 2.1, 3),
    "zeta": lambda s, x: s.zeta(2, abs(x) + 0.1) + s.zeta(4, x),
    "inverses": lambda s, x: s.erfinv(s.erf(x / 4)) + s.erfcinv(s.erfc(x / 4)) + s.ndtri(s.ndtr(x / 4)),
    "erfcx": lambda s, x: s.erfcx(x) + s.log_ndtr(x),
    "Bessel": lambda s, x: s.i0(x) + s.i0e(x) + s.i1(x) + s.i1e(x),
    "exprel": lambda s, x: s.exprel(x) + s.cosm1(x),
    "entropies": lambda s, x: s.entr(x) + s.rel_entr(abs(x), x + 9) + s.kl_div(x, 0.3),
    "huber": lambda s, x: s.pseudo_huber(1.5, x),
    "round": lambda s, x: s.round(x) + x,
    "degrees": lambda s, x: s.sindg(20 * x) + s.cosdg(20 * x) + s.tandg(20 * x + 1),
    "cotangent": lambda s, x: s.cotdg(20 * x + 1),
    "rgamma": lambda s, x: s.rgamma(x),
    "powers": lambda s, x: s.boxcox(abs(x) + 0.1, 0.3) + s.boxcox1p(abs(x), -0.3) + s.boxcox(abs(x) + 1, 0),
    "inverse power": lambda s, x: s.inv_boxcox(abs(x), 0.3) + s.inv_boxcox(x / 9, 0),
    "powm1": lambda s, x: s.powm1(abs(x) + 0.1, 0.3),
    "betaln": lambda s, x: s.betaln(abs(x) + 0.1, 2.5),
    "Chebyshev": lambda s, x: s.eval_chebyt(5, x) + s.eval_chebyu(4, x) + s.eval_chebyt(0, x) * x,
    "Hermite": lambda s, x: s.eval_hermite(4, x) + s.eval_hermitenorm(3, x),
    "Legendre": lambda s, x: s.eval_legendre(5, x) + s.eval_laguerre(3, x) + s.eval_legendre(1, x),
}  # fmt: skip
OTHERS = {
    "torch": [
        lambda t, x: t.lgamma(x) + x.lgamma() + t.special.gammaln(x),
        lambda t, x: t.digamma(x) + x.digamma() + t.special.psi(x) + t.special.digamma(x),
        lambda t, x: t.polygamma(1, x) + x.abs().polygamma(2) + t.special.polygamma(0, x),
        lambda t, x: t.mvlgamma(x.abs() + 3, 3) + t.special.multigammaln(x.abs() + 3, p=2),
        lambda t, x: t.erfinv(0.9 * t.sin(x)) + 0.9 * t.sin(x).erfinv() + t.special.erfinv(0.9 * t.sin(x)),
        lambda t, x: t.special.ndtri(t.special.ndtr(x / 4)) + t.special.erfcx(x),
        lambda t, x: t.special.log_ndtr(x),
        lambda t, x: t.special.i0e(x) + t.special.i1e(x),
        lambda t, x: t.i0(x / 4) + (x / 4).i0() + t.special.i1(x / 4) + t.special.i0(x / 4),
        lambda t, x: t.special.zeta(3, x.abs() + 0.1),
        lambda t, x: x * t.special.modified_bessel_i0(x / 4) + t.special.modified_bessel_i1(x / 4),
        lambda t, x: x * t.special.spherical_bessel_j0(x),
    ],
    "tensorflow": [
        lambda t, x: t.math.lgamma(x) + t.math.digamma(x) + t.math.polygamma(1.0, x),
        lambda t, x: t.math.erfinv(0.9 * t.sin(x)) + t.math.erfcinv(1 + 0.9 * t.sin(x)),
        lambda t, x: t.math.ndtri(0.5 + 0.4 * t.sin(x)) + t.math.zeta(2.0, t.abs(x) + 0.1),
        lambda t, x: t.math.bessel_i0(x) + t.math.bessel_i0e(x) + t.math.bessel_i1e(x),
        lambda t, x: t.math.special.bessel_i0e(x) * t.math.special.bessel_i1(x + 0.01),
    ],
    "jax": [
        lambda j, x: j.scipy.special.gammaln(x) + j.lax.lgamma(x) + j.scipy.special.digamma(x),
        lambda j, x: j.scipy.special.gamma(x),
        lambda j, x: j.scipy.special.polygamma(1, x * x + 0.1) + j.lax.digamma(x),
        lambda j, x: j.scipy.special.erfinv(0.9 * j.numpy.sin(x)) + j.lax.erf_inv(0.9 * j.numpy.sin(x)),
        lambda j, x: j.scipy.special.ndtri(0.5 + 0.4 * j.numpy.sin(x)) + j.scipy.special.log_ndtr(x),
        lambda j, x: j.scipy.special.i0e(x) + j.scipy.special.i1e(x) + j.numpy.i0(x),
        lambda j, x: j.scipy.special.i0(x + 0.01) + j.scipy.special.i1(x + 0.01) + j.lax.bessel_i0e(x),
        lambda j, x: j.scipy.special.zeta(2, x * x + 0.1) + j.scipy.special.factorial(x * x),
        lambda j, x: j.scipy.special.rel_entr(x * x + 0.1, 2.0) + j.scipy.special.kl_div(x * x, 0.3),
        lambda j, x: j.scipy.special.multigammaln(x * x + 2.1, 2) * j.nn.log1mexp(x * x + 0.1),
    ],
    "keras": [lambda k, x: k.ops.erfinv(k.ops.tanh(x / 8)) + k.ops.i0(x / 4)],
}  # fmt: skip
CASES = [(package, i) for package in OTHERS for i in range(len(OTHERS[package]))]


@pytest.mark.parametrize("name", SCIPY)
def test_scipy_special(name):
    special = pytest.importorskip("scipy.special")
    with np.errstate(all="ignore"):
        found = outcome("scipy", lambda x: SCIPY[name](special, x))
        assert found.kind == RIGHT, found.detail
        x = np.array([-2.7, -0.6, 0.3, 0.77, 1.9, 4.2])
        step = 1e-6
        high, low = (SCIPY[name](special, x + s) for s in (step, -step))
        slope = derive(define(lambda x: SCIPY[name](special, x)).value, "x")
        wanted = (high - low) / (2 * step)
        seen = np.isfinite(wanted)
        ours = np.broadcast_to(evaluate(slope, {"x": x}), x.shape)
    np.testing.assert_allclose(ours[seen], wanted[seen], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(("package", "i"), CASES)
def test_library(package, i):
    if package == "jax":
        pytest.importorskip("jax.scipy.special")
    library = pytest.importorskip(package)
    found = outcome(package, lambda x: OTHERS[package][i](library, x))
    assert found.kind == RIGHT, found.detail


def test_math():
    f = define(lambda x: math.gamma(x) + math.lgamma(x))
    for x in (0.1, 0.5, 1.0, 2.5, 7.0, 33.3, 150.0, -0.5, -3.3):
        assert f.evaluate(x) == pytest.approx(math.gamma(x) + math.lgamma(x), rel=1e-14)
    assert f.evaluate(200.0) == math.inf  # where Python raises OverflowError


@pytest.mark.parametrize("order", ["x", 0.5, -1, 21])
def test_an_order_that_is_no_plain_integer_is_refused(order):
    special = importlib.import_module("scipy.special")
    with pytest.raises(TraceError, match="order of `polygamma` must be a plain integer"):
        define(lambda x: special.polygamma(x if order == "x" else order, x))


def test_the_reciprocal_gamma_function_at_its_zeros():
    mpmath = pytest.importorskip("mpmath")
    special = pytest.importorskip("scipy.special")
    program = define(special.rgamma)
    slope = program.partial(program.inputs[0])
    for x in (0.0, -1.0, -2.0, -7.0, -30.0, 0.49, 0.51, -3.5, 120.5, 171.9, 250.0):
        assert program.evaluate(x) == pytest.approx(float(mpmath.rgamma(x)), rel=2e-13, abs=1e-300)
        wanted = float(mpmath.diff(mpmath.rgamma, x))
        assert slope.evaluate(x) == pytest.approx(wanted, rel=1e-12, abs=1e-300)
    assert program.evaluate(-180.0) == 0.0


def test_degrees_are_exact_where_they_turn():
    special = pytest.importorskip("scipy.special")
    sine, cosine = define(special.sindg), define(special.cosdg)
    for turns in range(-6, 7):
        assert sine.evaluate(180.0 * turns) == 0.0
        assert cosine.evaluate(180.0 * turns + 90.0) == 0.0
        assert cosine.evaluate(360.0 * turns) == 1.0
