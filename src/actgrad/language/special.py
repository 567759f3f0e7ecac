"""Special functions over the elementary ones: the meaning of those rows of the vocabulary, and what a
framework computes whose own function is missing or inexact.

Each is written over a `Numbers`, so that it runs on arrays and builds expressions alike. All are made of
a few pieces, none of which loses digits: a Taylor series at 2, whose coefficients are values of the
Hurwitz zeta function, recurrences without cancellation, asymptotic series, and reflection.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, reduce
from typing import Any

import numpy as np

from actgrad.language import coefficients as fitted

Number = Any
Function = Callable[..., Number]


@dataclass(frozen=True)
class Numbers:
    """Elementary operations on numbers of some kind, which themselves have + - * / and <."""

    abs: Function
    floor: Function
    round: Function
    sqrt: Function
    exp: Function
    log: Function
    log1p: Function
    pow: Function
    sin: Function
    cos: Function
    eq: Function
    select: Function


ARRAYS = Numbers(
    np.abs, np.floor, np.rint, np.sqrt, np.exp, np.log, np.log1p, np.power, np.sin, np.cos, np.equal,
    lambda condition, yes, no: np.asarray(np.where(condition, yes, no))[()],
)  # fmt: skip

_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510,
              43867 / 798, -174611 / 330)  # fmt: skip
"""B_2, B_4, ..."""
_FAR = 8.5
"""From here on the asymptotic series of the gamma function hold to the last digit."""
_ROOT = (1.4616317749023438, 3.7006601859126265e-07)
"""The zero of digamma, as a sum: x less the first part is exact, in float32 too."""


def _polynomial(x: Number, coefficients: Sequence[float]) -> Number:
    """Horner's rule, highest power first."""
    return reduce(lambda value, c: value * x + c, coefficients[1:], coefficients[0])


def _hurwitz(s: int, q: float) -> float:
    """The sum of (q + k) ** -s over k = 0, 1, ..., by Euler and Maclaurin."""
    end = q + 12
    terms = [(q + k) ** -s for k in range(12)]
    terms += [end ** (1 - s) / (s - 1), end**-s / 2]
    rising = float(s)
    for j, bernoulli in enumerate(_BERNOULLI, 1):
        terms.append(bernoulli / math.factorial(2 * j) * rising * end ** (1 - s - 2 * j))
        rising *= (s + 2 * j - 1) * (s + 2 * j)
    return math.fsum(terms)


# The gamma function.


@cache
def _at_two() -> tuple[float, ...]:
    """log(gamma(2 + t)) for |t| <= 1/2."""
    first = 0.42278433509846714  # 1 - Euler's constant
    return (*((-1) ** k * _hurwitz(k, 2.0) / k for k in range(27, 1, -1)), first, 0.0)


def _parts(m: Numbers, x: Number) -> tuple[Number, Number]:
    """x as a whole number plus at most a half."""
    whole = m.round(x)
    return whole, x - whole


def _rising(m: Numbers, whole: Number, rest: Number) -> Number:
    """The product of `k + rest` over k = 2 ... whole - 1."""
    factors = [m.select(k < whole, rest + k, 1.0) for k in range(2, round(_FAR))]
    return reduce(lambda a, b: a * b, factors)


def _stirling(m: Numbers, x: Number) -> Number:
    """log(gamma(x)) less its main terms."""
    series = [b / (2 * k * (2 * k - 1)) for k, b in enumerate(_BERNOULLI, 1)]
    inverse = 1.0 / x
    return inverse * _polynomial(inverse * inverse, series[::-1])


def gamma(m: Numbers, x: Number) -> Number:
    """inf and -inf at the two zeros, nan at the other poles, as in SciPy and C."""
    size = m.abs(x)
    near = m.select(x < -0.5, size, x)
    whole, rest = _parts(m, near)
    value = m.exp(_polynomial(rest, _at_two()))
    first = value / m.select(whole < 0.5, near * (1.0 + near), near)
    small = m.select(whole < 1.5, first, value * _rising(m, whole, rest))
    capped = m.select(near > 172.0, 172.0, near)  # there it overflows
    root = m.pow(capped, 0.5 * capped - 0.25) * m.exp(-0.5 * capped)
    large = root * root * (math.sqrt(2 * math.pi) * m.exp(_stirling(m, capped)))
    positive = m.select(near < _FAR, small, large)
    sine = m.sin(math.pi * rest)
    sine = m.select(m.eq(whole, 2.0 * m.floor(0.5 * whole)), -sine, sine)
    negative = math.pi / (sine * size) / positive
    return m.select(x < -0.5, m.select(m.eq(rest, 0.0), math.nan, negative), positive)


def lgamma(m: Numbers, x: Number) -> Number:
    """log(|gamma(x)|), inf at the poles."""
    size = m.abs(x)
    near = m.select(x < -0.5, size, x)
    whole, rest = _parts(m, near)
    logarithm = m.select(
        whole < 0.5,
        -m.log(m.abs(near) * (1.0 + near)),
        m.select(whole < 1.5, -m.log1p(rest), m.log(_rising(m, whole, rest))),
    )
    small = _polynomial(rest, _at_two()) + logarithm
    half_log = 0.5 * math.log(2 * math.pi)
    large = (near - 0.5) * (m.log(near) - 1.0) + (half_log - 0.5 + _stirling(m, near))
    positive = m.select(near < _FAR, small, large)
    reflected = m.log(math.pi / (size * m.abs(m.sin(math.pi * rest)))) - positive
    pole = m.select(m.eq(rest, 0.0), math.inf, reflected)
    return m.select(x < -0.5, m.select(m.eq(size, math.inf), math.inf, pole), positive)


@cache
def _at_root() -> tuple[float, ...]:
    """digamma(root + u) / u for |u| <= 0.3."""
    return tuple((-1) ** j * _hurwitz(j + 2, math.fsum(_ROOT)) for j in range(27, -1, -1))


def digamma(m: Numbers, x: Number) -> Number:
    """-inf and inf at the two zeros, nan at the other poles."""
    near = m.select(x < -0.5, 1.0 - x, x)
    whole, rest = _parts(m, near)
    series = [(k + 1) * c for k, c in enumerate(_at_two()[-2::-1])][::-1]
    value = _polynomial(rest, series)
    for k in range(2, round(_FAR)):
        value = value + m.select(k < whole, 1.0 / (rest + k), 0.0)
    beyond = m.select(whole < 0.5, 1.0 / near + 1.0 / (1.0 + near), 1.0 / near)
    small = m.select(whole < 1.5, value - beyond, value)
    root, rest_of_root = _ROOT
    # XLA would add up the two parts if it knew the second.
    distance = (near - root) - m.select(m.eq(x, x), rest_of_root, x)
    at_root = distance * _polynomial(distance, _at_root())
    small = m.select(m.abs(near - 1.5) < 0.25, at_root, small)
    inverse = 1.0 / near
    tail = [b / (2 * k) for k, b in enumerate(_BERNOULLI, 1)]
    square = inverse * inverse
    large = m.log(near) - (0.5 * inverse + square * _polynomial(square, tail[::-1]))
    positive = m.select(near < _FAR, small, large)
    sine, cosine = _sine_and_cosine(m, x)
    cotangent = m.select(m.eq(sine, 0.0), math.nan, cosine / sine)
    return m.select(x < -0.5, positive - math.pi * cotangent, positive)


def _sine_and_cosine(m: Numbers, x: Number) -> tuple[Number, Number]:
    """Of pi x, up to one sign for both."""
    angle = math.pi * (x - m.round(x))
    return m.sin(angle), m.cos(angle)


def polygamma(m: Numbers, order: int, x: Number) -> Number:
    """The derivative of digamma of this order, from 1 on."""
    sign = (-1) ** (order + 1) * math.factorial(order)
    positive = sign * _hurwitz_of(order + 1, m.select(x < 0.0, 1.0 - x, x))
    sine, cosine = _sine_and_cosine(m, x)
    slope = math.pi ** (order + 1) * _polynomial(cosine / sine, _cotangent(order))
    reflected = positive - slope if order % 2 == 0 else -positive - slope
    return m.select(x < 0.0, reflected, positive)


def trigamma(m: Numbers, x: Number) -> Number:
    return polygamma(m, 1, x)


def _hurwitz_of(s: int, q: Number) -> Number:
    """As `_hurwitz`."""
    terms = [1.0 / _power(q + k, s) for k in range(10)]
    end = 1.0 / (q + 10.0)
    series, rising = [], float(s)
    for j, bernoulli in enumerate(_BERNOULLI, 1):
        series.append(bernoulli / math.factorial(2 * j) * rising)
        rising *= (s + 2 * j - 1) * (s + 2 * j)
    tail = 1.0 / (s - 1) + end * (0.5 + end * _polynomial(end * end, series[::-1]))
    terms.append(_power(end, s - 1) * tail)
    return reduce(lambda a, b: b + a, reversed(terms))


def _power(x: Number, n: int) -> Number:
    return reduce(lambda a, _: a * x, range(n - 1), x)


@cache
def _cotangent(order: int) -> tuple[float, ...]:
    """The derivative of this order of cot, as a polynomial of cot, highest power first."""
    polynomial = np.polynomial.Polynomial([0.0, 1.0])
    for _ in range(order):
        polynomial = polynomial.deriv() * np.polynomial.Polynomial([-1.0, 0.0, -1.0])
    return tuple(map(float, polynomial.coef[::-1]))


# The normal distribution.


def erfinv(m: Numbers, x: Number) -> Number:
    size = m.abs(x)
    tail = _tail(m, 0.5 * (1.0 - size))
    beyond = m.select(x < 0.0, -tail, tail)
    return math.sqrt(0.5) * m.select(size < 0.85, _centre(0.5 * x), beyond)


def ndtri(m: Numbers, x: Number) -> Number:
    distance = x - 0.5
    below = distance < 0.0
    tail = _tail(m, m.select(below, x, 1.0 - x))
    beyond = m.select(below, -tail, tail)
    return m.select(m.abs(distance) < 0.425, _centre(distance), beyond)


def _centre(q: Number) -> Number:
    r = 0.180625 - q * q
    return q * (_polynomial(r, fitted.CENTRE_ABOVE) / _polynomial(r, fitted.CENTRE_BELOW))


def _tail(m: Numbers, p: Number) -> Number:
    """The size of the quantile of a small probability."""
    root = m.sqrt(-m.log(p))
    r = root - 1.6
    tail = _polynomial(r, fitted.TAIL_ABOVE) / _polynomial(r, fitted.TAIL_BELOW)
    r = root - 5.0
    far = _polynomial(r, fitted.FAR_ABOVE) / _polynomial(r, fitted.FAR_BELOW)
    return m.select(m.eq(p, 0.0), math.inf, m.select(root < 5.0, tail, far))


def erfcx(m: Numbers, x: Number) -> Number:
    """exp(x²) erfc(x)."""
    size = m.abs(x)
    t = 1.0 - 7.5 / (size + 3.75)
    right = _polynomial(t, fitted.ERFCX) / (1.0 + 2.0 * size)
    y = m.select(x < -30.0, -30.0, x)  # there it overflows
    near = m.round(256.0 * y) / 256.0  # whose square is exact
    left = 2.0 * m.exp(near * near) * m.exp((y - near) * (y + near)) - right
    return m.select(x < 0.0, left, right)


# Bessel functions.


def i0e(m: Numbers, x: Number) -> Number:
    """exp(-|x|) I0(x)."""
    near, far = _bessel(m, m.abs(x), _I0_NEAR, fitted.I0_FAR)
    return m.select(m.abs(x) < 8.0, near, far)


def i1e(m: Numbers, x: Number) -> Number:
    """exp(-|x|) I1(x)."""
    near, far = _bessel(m, m.abs(x), _I1_NEAR, fitted.I1_FAR)
    return m.select(m.abs(x) < 8.0, near * x, m.select(x < 0.0, -far, far))


_I0_NEAR = [1 / math.factorial(k) ** 2 for k in range(24)]
_I1_NEAR = [0.5 / (math.factorial(k) * math.factorial(k + 1)) for k in range(24)]


def _bessel(
    m: Numbers, size: Number, series: Sequence[float], far: Sequence[float]
) -> tuple[Number, Number]:
    """By the power series, whose terms are all positive, and far out."""
    near = m.exp(-size) * _polynomial(0.25 * size * size, series[::-1])
    return near, _polynomial(16.0 / size - 1.0, far) / m.sqrt(size)


def of_arrays(function: Callable[..., Number]) -> Callable[..., Number]:
    return lambda *args: function(ARRAYS, *args)
