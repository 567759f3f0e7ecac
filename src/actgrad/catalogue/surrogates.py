"""Steps with surrogate derivatives: those of snnTorch, SpikingJelly, Norse, Larq and Sinabs.

`actgrad.surrogates.atan` is an activation: a Heaviside step forward, the surrogate backward;
`surrogates.atan(alpha=5.0)` is the same with another parameter. The step is 1 at zero, or
`at_zero`: `surrogates.atan(at_zero=0.0)`. With `surrogates.atan(scaled=True)` the surrogate is
multiplied by the c that keeps gradients at their size (`f.scaled()`). `ENTRIES` holds for each the
formula of its derivative, a primitive of which it is the true derivative, and its name in each library.

>>> from actgrad import surrogates
>>> step = surrogates.triangle(alpha=1.0)
>>> step(-0.25), step(0.0), step.derivative(-0.25), surrogates.triangle(at_zero=0.0)(0.0)
(0.0, 1.0, 0.75, 0.0)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import cast

from actgrad.activation import Activation, activation
from actgrad.catalogue.entry import Function, served
from actgrad.catalogue.formulas import sigmoid as _sigmoid


def heaviside(x, at_zero=1.0):
    """0 below zero, 1 above, `at_zero` at zero."""
    if at_zero == 1:
        return 1.0 if x >= 0 else 0.0
    return 1.0 if x > 0 else at_zero if x == 0 else 0.0


def sign(x, at_zero=1.0):
    """-1 below zero, 1 above, `at_zero` at zero."""
    if at_zero == 1:
        return 1.0 if x >= 0 else -1.0
    return 1.0 if x > 0 else at_zero if x == 0 else -1.0


def ternary(x, threshold=0.05):
    """-1 below -threshold, 1 above threshold, 0 between."""
    return 1.0 if x > threshold else -1.0 if x < -threshold else 0.0


def quantised(x, k_bit=2.0):
    """x within [0, 1] in steps of 1 / (2^k_bit - 1)."""
    n = 2.0**k_bit - 1
    return round(min(max(x, 0.0), 1.0) * n) / n


@dataclass(frozen=True)
class Surrogate:
    """A forward function, its surrogate derivative, and the function whose derivative that is."""

    derivative: Function
    primitive: Function
    forward: Function = heaviside
    libraries: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.derivative.__name__

    @property
    def formula(self) -> str:
        return (self.derivative.__doc__ or "").partition("\n")[0]

    @cached_property
    def activation(self) -> Activation:
        return activation(self.forward, surrogate=self.derivative, name=self.name)


ENTRIES: dict[str, Surrogate] = {}


def _of(
    primitive: Function, forward: Function = heaviside, **libraries: str
) -> Callable[[Function], Activation]:
    """Collect a derivative. Its name is taken from the module later, which answers with an
    `Activation` for it: that is its type."""

    def collect(derivative: Function) -> Activation:
        ENTRIES[derivative.__name__] = Surrogate(derivative, primitive, forward, libraries)
        return cast(Activation, derivative)

    return collect


def _normal(x, mu, sigma):
    return math.exp(-(((x - mu) / sigma) ** 2) / 2) / (sigma * math.sqrt(2 * math.pi))


def _normal_cdf(x, mu, sigma):
    return 0.5 * math.erfc(-(x - mu) / (sigma * math.sqrt(2)))


def _odd(x, positive):
    """The odd function that is `positive` above zero."""
    return positive(x) if x >= 0 else -positive(-x)


# Constant and piecewise constant.


@_of(lambda x: x, snntorch="straight_through_estimator", larq="ste_heaviside(clip_value=None)")
def straight_through(x):
    """1"""
    return 1.0


@_of(lambda x, clip: min(max(x, -clip), clip), larq="ste_heaviside")
def box(x, clip=1.0):
    """1 where |x| <= clip"""
    return 1.0 if abs(x) <= clip else 0.0


@_of(lambda x, alpha: min(max(alpha * x, -0.5), 0.5), spikingjelly="Rect")
def rect(x, alpha=1.0):
    """alpha where |x| < 1 / (2 alpha)"""
    return alpha if abs(x) < 1 / (2 * alpha) else 0.0


@_of(lambda x: max(x, 0.0), snntorch="heaviside")
def half(x):
    """1 where x > 0"""
    return 1.0 if x > 0 else 0.0


@_of(lambda x, window: max(x + window, 0.0), sinabs="Heaviside")
def shifted_half(x, window=1.0):
    """1 where x >= -window"""
    return 1.0 if x >= -window else 0.0


@_of(lambda x, threshold: -threshold * abs(x), snntorch="triangular")
def up_down(x, threshold=1.0):
    """threshold below zero, -threshold from zero on (snnTorch's `triangular`, as shipped)"""
    return threshold if x < 0 else -threshold


@_of(lambda x, slope: x if x > 0 else slope * x, snntorch="LSO")
def leaky(x, slope=0.1):
    """1 where x > 0, else slope"""
    return 1.0 if x > 0 else slope


@_of(lambda x, leak, k: k * x if x >= 0 else leak * x, spikingjelly="LeakyKReLU")
def leaky_k_relu(x, leak=0.0, k=1.0):
    """k where x >= 0, else leak"""
    return k if x >= 0 else leak


@_of(
    lambda x, w, c: x / (2 * w) if abs(x) < w else _odd(x, lambda u: c * (u - w) + 0.5),
    spikingjelly="PiecewiseLeakyReLU",
)
def piecewise_leaky_relu(x, w=1.0, c=0.01):
    """1 / (2 w) where |x| < w, else c"""
    return 1 / (2 * w) if abs(x) < w else c


# Piecewise linear.


@_of(lambda x, alpha: alpha * _odd(x, lambda u: u - u * u / 2 if u < 1 else 0.5), norse="triangle")
def triangle(x, alpha=0.3):
    """alpha max(0, 1 - |x|)"""
    return alpha * max(0.0, 1 - abs(x))


@_of(
    lambda x, alpha: _odd(x, lambda u: alpha * u - (alpha * u) ** 2 / 2 if alpha * u < 1 else 0.5),
    spikingjelly="PiecewiseQuadratic",
)
def piecewise_quadratic(x, alpha=1.0):
    """max(0, alpha - alpha^2 |x|)"""
    return max(0.0, alpha - alpha * alpha * abs(x))


# Rational.


@_of(lambda x, slope: x / (1 + slope * abs(x)), snntorch="fast_sigmoid", norse="super(alpha=100)")
def fast_sigmoid(x, slope=25.0):
    """1 / (1 + slope |x|)^2"""
    return 1 / (1 + slope * abs(x)) ** 2


@_of(lambda x, alpha: alpha * x / (1 + abs(x)), spikingjelly="SuperSpike")
def super_spike(x, alpha=1.0):
    """alpha / (1 + |x|)^2"""
    return alpha / (1 + abs(x)) ** 2


@_of(lambda x, alpha: alpha * x / (1 + alpha * abs(x)) / 2, spikingjelly="SoftSign")
def soft_sign(x, alpha=2.0):
    """1 / (2 alpha (1 / alpha + |x|)^2)"""
    return 1 / (2 * alpha * (1 / alpha + abs(x)) ** 2)


@_of(
    lambda x, alpha: math.atan(math.pi / 2 * alpha * x) / math.pi,
    snntorch="atan",
    spikingjelly="ATan",
)
def atan(x, alpha=2.0):
    """(alpha / 2) / (1 + (pi alpha x / 2)^2)"""
    return alpha / 2 / (1 + (math.pi / 2 * alpha * x) ** 2)


@_of(lambda x, alpha: alpha * x / math.sqrt(x * x + alpha * alpha), norse="circ")
def circ(x, alpha=1.0):
    """alpha^3 / (x^2 + alpha^2)^(3 / 2)"""
    return (alpha / math.hypot(x, alpha)) ** 3


@_of(
    lambda x, alpha: _odd(x, lambda u: 0.5 - 0.5 * (1 + 2 * u / (alpha - 1)) ** (1 - alpha)),
    spikingjelly="QPseudoSpike",
)
def q_pseudo_spike(x, alpha=2.0):
    """(1 + 2 |x| / (alpha - 1))^-alpha, alpha > 1"""
    return (1 + 2 * abs(x) / (alpha - 1)) ** -alpha


@_of(lambda x, alpha: _odd(x, lambda u: math.log(alpha * u + 1)), spikingjelly="NonzeroSignLogAbs")
def nonzero_sign_log_abs(x, alpha=1.0):
    """1 / (1 / alpha + |x|)"""
    return 1 / (1 / alpha + abs(x))


@_of(
    lambda x, alpha: (
        alpha * x if alpha * abs(x) < 1 else _odd(x, lambda u: 1 + math.log(alpha * u))
    ),
    spikingjelly="FakeNumericalGradient",
)
def fake_numerical_gradient(x, alpha=0.3):
    """min(1 / |x|, alpha)"""
    return alpha if abs(x) < 1 / alpha else 1 / abs(x)


@_of(
    lambda x, alpha: alpha * x if x <= 0 else x if x <= 1 else 1 + math.log(x),
    spikingjelly="LogTailedReLU",
)
def log_tailed_relu(x, alpha=0.0):
    """alpha where x <= 0, 1 up to 1, 1 / x above"""
    return alpha if x <= 0 else 1.0 if x <= 1 else 1 / x


@_of(
    lambda x, slope, b: x / (1 + slope * x) - b / (1 + slope * b) if x > b else 0.0,
    snntorch="SFS",
)
def sparse_fast_sigmoid(x, slope=25.0, b=1.0):
    """1 / (1 + slope |x|)^2 where x > b, else 0 (b >= 0)"""
    return 1 / (1 + slope * abs(x)) ** 2 if x > b else 0.0


# Sigmoids and exponentials.


@_of(lambda x, slope: _sigmoid(slope * x), snntorch="sigmoid", spikingjelly="Sigmoid(alpha=4)")
def sigmoid(x, slope=25.0):
    """slope s(slope x) s(-slope x), s the logistic function"""
    return slope * _sigmoid(slope * x) * _sigmoid(-slope * x)


@_of(lambda x, alpha: math.tanh(alpha * x) / alpha, norse="tanh")
def tanh(x, alpha=1.0):
    """1 - tanh(alpha x)^2"""
    return 4 * _sigmoid(2 * alpha * x) * _sigmoid(-2 * alpha * x)


@_of(
    lambda x, alpha, beta: _sigmoid(alpha * x) if x < 0 else beta * math.log(x + 1) + 0.5,
    spikingjelly="S2NN",
)
def s2nn(x, alpha=4.0, beta=1.0):
    """alpha s(alpha x) s(-alpha x) where x < 0, else beta / (x + 1)"""
    return alpha * _sigmoid(alpha * x) * _sigmoid(-alpha * x) if x < 0 else beta / (x + 1)


@_of(
    lambda x, alpha: _odd(x, lambda u: 0.5 - 0.5 * math.exp(-alpha * u)),
    spikingjelly="PiecewiseExp",
)
def piecewise_exp(x, alpha=1.0):
    """(alpha / 2) e^(-alpha |x|)"""
    return alpha / 2 * math.exp(-alpha * abs(x))


@_of(
    lambda x, width, threshold: _odd(x, lambda u: 1 - math.exp(-u / (threshold * width))),
    sinabs="SingleExponential",
)
def single_exponential(x, width=0.5, threshold=1.0):
    """e^(-|x| / (threshold width)) / (threshold width)"""
    return math.exp(-abs(x) / (threshold * width)) / (threshold * width)


@_of(
    lambda x, beta, slope: _odd(x - 1, lambda u: slope / beta * (1 - math.exp(-beta * u))),
    snntorch="spike_rate_escape",
)
def spike_rate_escape(x, beta=1.0, slope=25.0):
    """slope e^(-beta |x - 1|)"""
    return slope * math.exp(-beta * abs(x - 1))


# Bells.


@_of(lambda x, alpha: math.erf(alpha * x) / 2, spikingjelly="Erf")
def erf(x, alpha=2.0):
    """(alpha / sqrt(pi)) e^(-alpha^2 x^2)"""
    return alpha / math.sqrt(math.pi) * math.exp(-((alpha * x) ** 2))


@_of(lambda x, alpha: math.erf(alpha * x) / alpha, norse="heavi_erfc")
def erfc(x, alpha=1.0):
    """(2 / sqrt(pi)) e^(-(alpha x)^2)"""
    return 2 / math.sqrt(math.pi) * math.exp(-((alpha * x) ** 2))


@_of(lambda x, mu, sigma: _normal_cdf(x, mu, sigma), sinabs="Gaussian")
def gaussian(x, mu=0.0, sigma=0.5):
    """the normal density of mean mu and deviation sigma"""
    return _normal(x, mu, sigma)


@_of(
    lambda x, mu, sigma, h, s: (
        (1 + h) * _normal_cdf(x, mu, sigma)
        - h * _normal_cdf(x, -sigma, s * sigma)
        - h * _normal_cdf(x, sigma, s * sigma)
    ),
    sinabs="MultiGaussian",
)
def multi_gaussian(x, mu=0.0, sigma=0.5, h=0.15, s=6.0):
    """(1 + h) N(mu, sigma) - h N(-sigma, s sigma) - h N(sigma, s sigma)"""
    flanks = _normal(x, -sigma, s * sigma) + _normal(x, sigma, s * sigma)
    return (1 + h) * _normal(x, mu, sigma) - h * flanks


@_of(
    lambda x, n, period: sum(
        2 / (math.pi * (2 * i - 1)) * math.sin((2 * i - 1) * 2 * math.pi * x / period)
        for i in range(1, n)
    ),
    spikingjelly="SquarewaveFourierSeries",
)
def square_wave_fourier(x, n=2, period=8.0):
    """(4 / period) sum over i = 1 .. n - 1 of cos((2 i - 1) 2 pi x / period)"""
    angle = 2 * math.pi * x / period
    return 4 / period * sum(math.cos((2 * i - 1) * angle) for i in range(1, n))


# Forward functions other than Heaviside's step.


@_of(lambda x, clip: min(max(x, -clip), clip), sign, larq="ste_sign")
def ste_sign(x, clip=1.0):
    """1 where |x| <= clip; forward the sign"""
    return 1.0 if abs(x) <= clip else 0.0


@_of(lambda x: _odd(x, lambda u: 2 * u - u * u if u <= 1 else 1.0), sign, larq="approx_sign")
def approx_sign(x):
    """2 (1 - |x|) where |x| <= 1; forward the sign"""
    return 2 * (1 - abs(x)) if abs(x) <= 1 else 0.0


@_of(
    lambda x, beta: 2 * _sigmoid(beta * x) * (1 + beta * x * _sigmoid(-beta * x)) - 1,
    sign,
    larq="swish_sign",
)
def swish_sign(x, beta=5.0):
    """beta (2 - beta x tanh(beta x / 2)) / (1 + cosh(beta x)); forward the sign"""
    u = beta * x
    return beta * (2 - u * math.tanh(u / 2)) * 2 * _sigmoid(u) * _sigmoid(-u)


@_of(lambda x, clip: min(max(x, -clip), clip), ternary, larq="ste_tern")
def ste_ternary(x, clip=1.0):
    """1 where |x| <= clip; forward -1, 0 or 1"""
    return 1.0 if abs(x) <= clip else 0.0


@_of(lambda x: min(max(x, 0.0), 1.0), quantised, larq="DoReFa")
def dorefa(x):
    """1 within [0, 1]; forward x in 2^k_bit - 1 steps"""
    return 1.0 if 0 <= x <= 1 else 0.0


__getattr__, __dir__ = served(ENTRIES, "the catalogue has no surrogate", globals())
