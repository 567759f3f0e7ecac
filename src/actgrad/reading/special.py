"""Special functions as libraries spell them, over those of the vocabulary."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from typing import Any

from actgrad.language import decomposed
from actgrad.reading.formulas import square
from actgrad.reading.meanings import (
    Number,
    absolute,
    add,
    divide,
    equal,
    erfc,
    exp,
    expm1,
    floor,
    is_nan,
    less,
    less_equal,
    log,
    log1p,
    logical_and,
    mod,
    multiply,
    negative,
    sin,
    sqrt,
    subtract,
    where,
)
from actgrad.reading.refusal import HOST, refuse
from actgrad.reading.symbol import Symbol, apply, given, made, number

MAX_ORDER = 20
"""Of `polygamma`. float32 holds the factorials of a few more."""


def _operation(op: str) -> Callable[[Number], Number]:
    return lambda x: apply(op, x)


gamma, lgamma, digamma, trigamma = map(_operation, ("gamma", "lgamma", "digamma", "trigamma"))
erfinv, ndtri, erfcx, i0e, i1e = map(_operation, ("erfinv", "ndtri", "erfcx", "i0e", "i1e"))


# The gamma function.


def loggamma(x: Number) -> Number:
    """SciPy's: of a negative number it is complex, and nan among real ones."""
    return where(less(x, 0), math.nan, lgamma(x))


def gamma_sign(x: Number) -> Number:
    """The sign of gamma, which is nan at its poles but for 0."""
    below = floor(x)
    negative_side = where(equal(mod(below, 2), 0), 1, -1)
    at_zero = apply("copysign", 1, x)
    inside = where(equal(below, x), math.nan, negative_side)
    return where(less(0, x), 1, where(equal(x, 0), at_zero, inside))


def factorial_of(x: Number, exact: bool = False) -> Number:
    """gamma(x + 1), and 0 of negative numbers."""
    if exact:
        refuse("`factorial` with exact=True works on integers", "Leave `exact` out.")
    return where(less(x, 0), 0, gamma(add(x, 1)))


def digamma_open(x: Number) -> Number:
    """TensorFlow's and JAX's, nan at 0 too."""
    return where(equal(x, 0), math.nan, digamma(x))


def polygamma(order: Any, x: Number) -> Number:
    """The derivative of digamma of this order."""
    n = _plain(order, "the order of `polygamma`")
    if n == 0:
        return digamma(x)
    if n == 1:
        return trigamma(x)
    return made(decomposed.polygamma(n, number(x).expr), number(x))


def method_polygamma(x: Number, order: Any) -> Number:
    return polygamma(order, x)


def _plain(value: Any, what: str) -> int:
    if isinstance(value, Symbol) and value.expr.op == "const":
        value = value.expr.value
    if isinstance(value, Symbol) or not 0 <= (plain := float(value)) <= MAX_ORDER or plain % 1:
        refuse(f"{what} must be a plain integer from 0 to {MAX_ORDER}", "Write it out. " + HOST)
    return int(plain)


def zeta(s: Any, q: Number) -> Number:
    """Hurwitz's, of a plain integer s and an input q."""
    n = _plain(s, "the first argument of `zeta`") - 1
    if n < 1:
        refuse("the first argument of `zeta` must be at least 2", "Write a larger one. " + HOST)
    return divide(polygamma(n, q), (-1) ** (n + 1) * math.factorial(n))


def multigammaln(x: Number, p: int) -> Number:
    dimensions = _plain(p, "the dimension of `multigammaln`")
    start = 0.25 * dimensions * (dimensions - 1) * math.log(math.pi)
    return reduce(add, (lgamma(subtract(x, 0.5 * k)) for k in range(dimensions)), start)


# The normal distribution.


def erfcinv(x: Number) -> Number:
    return multiply(-math.sqrt(0.5), ndtri(multiply(0.5, x)))


def log_ndtr(x: Number) -> Number:
    scaled = erfcx(multiply(-math.sqrt(0.5), x))
    left = subtract(log(multiply(0.5, scaled)), multiply(0.5, multiply(x, x)))
    right = log1p(multiply(-0.5, erfc(multiply(math.sqrt(0.5), x))))
    slope = divide(math.sqrt(2 / math.pi), scaled)
    return given(where(less(x, -1), left, right), x, slope)


# Bessel functions. The slopes are given, as that of the product would lose digits.


def i0(x: Number) -> Number:
    return given(_i0(x), x, i1(x))


def i1(x: Number) -> Number:
    value = _times_exp(x, i1e(x), x)
    quarter = multiply(0.25, square(x))
    terms = [0.5 / (math.factorial(k) * math.factorial(k + 1)) for k in range(9)]
    near = reduce(lambda rest, term: add(multiply(rest, quarter), term), reversed(terms))
    ratio = where(less(absolute(x), 0.5), near, divide(value, x))
    return given(value, x, subtract(given(_i0(x), x, value), ratio))


def _i0(x: Number) -> Number:
    return _times_exp(x, i0e(x), absolute(x))


def _times_exp(x: Number, scaled: Number, limit: Number) -> Number:
    """In two parts, as exp(|x|) overflows first."""
    part = exp(multiply(0.5, absolute(x)))
    product = multiply(multiply(part, scaled), part)
    return where(equal(absolute(x), math.inf), limit, product)


def iv(order: Any, x: Number) -> Number:
    """The modified Bessel function of an order that is 0 or 1."""
    return (i0, i1)[_first_order(order)](x)


def ive(order: Any, x: Number) -> Number:
    return (i0e, i1e)[_first_order(order)](x)


def _first_order(order: Any) -> int:
    n = _plain(order, "the order of `iv`")
    if n > 1:
        refuse("`iv` of an order above 1", "Use 0 or 1. " + HOST)
    return n


# What is smooth where its formula divides zero by zero.


def exprel(x: Number) -> Number:
    """(exp(x) - 1) / x, 1 at 0."""
    value = where(equal(x, math.inf), x, divide(expm1(x), x))
    value = where(equal(x, 0), 1, value)
    terms = [k / math.factorial(k + 1) for k in range(1, 18)]
    near = reduce(lambda rest, term: add(multiply(rest, x), term), reversed(terms))
    return given(value, x, where(less(absolute(x), 1), near, divide(subtract(exp(x), value), x)))


def cosm1(x: Number) -> Number:
    """cos(x) - 1."""
    return multiply(-2.0, square(sin(multiply(0.5, x))))


# Entropies and losses.


def rel_entr(x: Number, y: Number) -> Number:
    """x log(x / y); 0 where x is 0 and y is not negative; inf outside."""
    inside = multiply(x, log(divide(x, y)))
    edge = where(logical_and(equal(x, 0), less_equal(0, y)), 0, math.inf)
    found = where(logical_and(less(0, x), less(0, y)), inside, edge)
    return where(is_nan(add(x, y)), math.nan, found)


def kl_div(x: Number, y: Number) -> Number:
    """x log(x / y) - x + y."""
    inside = add(subtract(multiply(x, log(divide(x, y))), x), y)
    edge = where(logical_and(equal(x, 0), less_equal(0, y)), y, math.inf)
    found = where(logical_and(less(0, x), less(0, y)), inside, edge)
    return where(is_nan(add(x, y)), math.nan, found)


def log1mexp(x: Number) -> Number:
    """log(1 - exp(-x)) for positive x."""
    near = log(negative(expm1(negative(x))))
    return where(less(x, math.log(2)), near, log1p(negative(exp(negative(x)))))


def pseudo_huber(delta: Number, x: Number) -> Number:
    ratio = divide(x, delta)
    value = multiply(square(delta), subtract(sqrt(add(1, square(ratio))), 1))
    return where(less(delta, 0), math.inf, where(equal(delta, 0), 0, value))
