"""Special functions as libraries spell them, over those of the vocabulary."""

from __future__ import annotations

import math
from functools import reduce
from typing import Any

from actgrad.language import decomposed
from actgrad.reading.formulas import i0_value, square, times_exp
from actgrad.reading.meanings import (
    Number,
    absolute,
    add,
    digamma,
    divide,
    equal,
    exp,
    expm1,
    gamma,
    i0e,
    i1e,
    less,
    lgamma,
    multiply,
    subtract,
    trigamma,
    where,
)
from actgrad.reading.refusal import HOST, refuse
from actgrad.reading.symbol import Symbol, given, made, number

MAX_ORDER = 20
"""Of `polygamma`. float32 holds the factorials of a few more."""


# The gamma function.


def factorial(x: Number) -> Number:
    if isinstance(x, Symbol):
        refuse("`math.factorial` of an input cannot be read", "Compute it of constants. " + HOST)
    return math.factorial(x)


def factorial_of(x: Number, exact: bool = False) -> Number:
    """gamma(x + 1), and 0 of negative numbers."""
    if exact:
        refuse("`factorial` with exact=True works on integers", "Leave `exact` out.")
    return where(less(x, 0), 0, gamma(add(x, 1)))


def polygamma(order: object, x: Number) -> Number:
    """The derivative of digamma of this order."""
    n = _plain(order, "the order of `polygamma`")
    if n == 0:
        return digamma(x)
    if n == 1:
        return trigamma(x)
    return made(decomposed.polygamma(n, number(x).expr), number(x))


def method_polygamma(x: Number, order: object) -> Number:
    return polygamma(order, x)


def _plain(value: Any, what: str) -> int:
    if isinstance(value, Symbol) and value.expr.op == "const":
        value = value.expr.value
    if isinstance(value, Symbol) or not 0 <= (plain := float(value)) <= MAX_ORDER or plain % 1:
        refuse(f"{what} must be a plain integer from 0 to {MAX_ORDER}", "Write it out. " + HOST)
    return int(plain)


def zeta(s: object, q: Number) -> Number:
    """Hurwitz's, of a plain integer s and an input q."""
    n = _plain(s, "the first argument of `zeta`") - 1
    if n < 1:
        refuse("the first argument of `zeta` must be at least 2", "Write a larger one. " + HOST)
    return divide(polygamma(n, q), (-1) ** (n + 1) * math.factorial(n))


def multigammaln(x: Number, p: int) -> Number:
    dimensions = _plain(p, "the dimension of `multigammaln`")
    start = 0.25 * dimensions * (dimensions - 1) * math.log(math.pi)
    return reduce(add, (lgamma(subtract(x, 0.5 * k)) for k in range(dimensions)), start)


# Bessel functions. The slopes are given, as that of the product would lose digits.


def i0(x: Number) -> Number:
    return given(i0_value(x), x, i1(x))


def i1(x: Number) -> Number:
    value = times_exp(x, i1e(x), x)
    quarter = multiply(0.25, square(x))
    terms = [0.5 / (math.factorial(k) * math.factorial(k + 1)) for k in range(9)]
    near = reduce(lambda rest, term: add(multiply(rest, quarter), term), reversed(terms))
    ratio = where(less(absolute(x), 0.5), near, divide(value, x))
    return given(value, x, subtract(given(i0_value(x), x, value), ratio))


def iv(order: object, x: Number) -> Number:
    """The modified Bessel function of an order that is 0 or 1."""
    return (i0, i1)[_first_order(order)](x)


def ive(order: object, x: Number) -> Number:
    return (i0e, i1e)[_first_order(order)](x)


def _first_order(order: object) -> int:
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
