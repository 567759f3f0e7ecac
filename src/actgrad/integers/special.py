"""The special functions on decimal numbers, by series and expansions of any precision: see `decimals`."""

from __future__ import annotations

import decimal
import math
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from functools import cache

from actgrad.integers.decimals import (
    DIGITS,
    FUNCTIONS,
    erfcx_far,
    guarded,
    ieee,
    odd,
    pi,
    series,
    sine,
)

_HALF = Decimal("0.5")


# The gamma function and its logarithm's derivatives: Stirling's series, far enough to the right.


@cache
def _bernoulli(n: int) -> Fraction:
    """The Bernoulli number of an even index."""
    total = sum(math.comb(n + 1, k) * _bernoulli(k) for k in range(0, n, 2))
    return (Fraction(n + 1, 2) - total) / (n + 1) if n else Fraction(1)


def _moved(x: Decimal, each: Callable[[Decimal], Decimal]) -> tuple[Decimal, list[Decimal]]:
    """A number that is large enough for Stirling's series, and `each` of the steps on the way there."""
    steps = max(0, math.ceil(decimal.getcontext().prec // 2 - x)) if x < 1000 else 0
    return x + steps, [each(x + k) for k in range(steps)]


def _stirling(x: Decimal, term: Callable[[int, Decimal], Decimal]) -> Decimal:
    """The sum of term(n, B(n) / x ** n) over even n."""
    total, n, power = Decimal(0), 0, Decimal(1)
    while True:
        n += 2
        power = power / (x * x)
        number = _bernoulli(n)
        before = total
        total += term(n, power * number.numerator / number.denominator)
        if total == before:
            return total


def _reflected(x: Decimal) -> tuple[Decimal, Decimal]:
    """The sine and cosine of pi x, exact near its zeros."""
    whole = x.to_integral_value()
    angle, sign = pi() * (x - whole), 1 - 2 * int(whole % 2 != 0)
    return sign * sine(angle, 0), sign * sine(angle, 1)


def _is_pole(x: Decimal) -> bool:
    return x <= 0 and x == x.to_integral_value()


@guarded("lgamma")
def _lgamma(x: Decimal) -> Decimal:
    if _is_pole(x):
        return ieee("lgamma", x)
    if x in (1, 2):
        return Decimal(0)
    if x < 0:
        return (pi() / abs(_reflected(x)[0])).ln() - _lgamma(1 - x)
    far, steps = _moved(x, lambda z: z)
    product = math.prod(steps, start=Decimal(1))
    rest = _stirling(far, lambda n, term: term * far / (n * (n - 1)))
    return (far - _HALF) * far.ln() - far + (2 * pi()).ln() / 2 + rest - product.ln()


@guarded("gamma")
def _gamma(x: Decimal) -> Decimal:
    if _is_pole(x):
        return ieee("gamma", x)
    if x == x.to_integral_value() and x < 1000:
        return Decimal(math.factorial(int(x) - 1))
    return pi() / (_reflected(x)[0] * _gamma(1 - x)) if x < 0 else _lgamma(x).exp()


@guarded("digamma")
def _digamma(x: Decimal) -> Decimal:
    if _is_pole(x):
        return ieee("digamma", x)
    if x < 0:
        height, width = _reflected(x)
        return _digamma(1 - x) - pi() * width / height
    far, steps = _moved(x, lambda z: 1 / z)
    return far.ln() - _HALF / far - _stirling(far, lambda n, term: term / n) - sum(steps)


@guarded("trigamma")
def _trigamma(x: Decimal) -> Decimal:
    if _is_pole(x):
        return ieee("trigamma", x)
    if x < 0:
        return (pi() / _reflected(x)[0]) ** 2 - _trigamma(1 - x)
    far, steps = _moved(x, lambda z: 1 / (z * z))
    rest = _stirling(far, lambda n, term: term / far)
    return 1 / far + _HALF / (far * far) + rest + sum(steps)


# The error function's relatives.


@guarded("erfcx")
def _erfcx(x: Decimal) -> Decimal:
    if x > 25:
        return erfcx_far(x)
    return (x * x).exp() * FUNCTIONS["erfc"](x)


def _newton(x: Decimal, step: Callable[[Decimal], Decimal]) -> Decimal:
    """Where the step is zero."""
    while True:
        move = step(x)
        x -= move
        if abs(move) <= abs(x).scaleb(-DIGITS - 20):
            return x


def _inverse_erfc(y: Decimal) -> Decimal:
    """Of 0 < y < 1, by its logarithm, which is concave: every step comes nearer."""
    root, wanted = pi().sqrt() / 2, y.ln()

    def step(x: Decimal) -> Decimal:
        value = FUNCTIONS["erfc"](x)
        return (wanted - value.ln()) * value * (x * x).exp() * root

    return _newton((-wanted).sqrt(), step)


@guarded("erfinv")
@odd
def _erfinv(y: Decimal) -> Decimal:
    if y >= 1:
        return ieee("erfinv", y)
    if y > _HALF:
        return _inverse_erfc(1 - y)
    erf, root = FUNCTIONS["erf"], pi().sqrt() / 2
    return _newton(y * root, lambda x: (erf(x) - y) * (x * x).exp() * root)


@guarded("ndtri")
def _ndtri(p: Decimal) -> Decimal:
    if not 0 < p < 1:
        return ieee("ndtri", p)
    root = Decimal(2).sqrt()
    if p < Decimal("0.25"):
        return -root * _inverse_erfc(2 * p)
    return root * _erfinv(2 * p - 1)


# Bessel functions.


def _scaled_bessel(order: int, x: Decimal) -> Decimal:
    """exp(-x) times the modified Bessel function, of x > 0."""
    if x < 200:
        square = x * x / 4
        first = (-x).exp() * (x / 2 if order else 1)
        return series(first, lambda k: square / (k * (k + order)))
    # Terms that grow again, from k = 2 x on, have long been too small to count.
    far = series(Decimal(1), lambda k: ((2 * k - 1) ** 2 - 4 * order) / (8 * k * x))
    return far / (2 * pi() * x).sqrt()


guarded("i0e")(lambda x: _scaled_bessel(0, abs(x)))
guarded("i1e")(odd(lambda x: _scaled_bessel(1, x)))
